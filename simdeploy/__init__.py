"""simdeploy: discrete-event simulation and policy analysis for software rollouts.

From outside: the names that `__init__.pyi` lists, once for the reader, the type checker and the interpreter. They are imported
when they are first used, so that ``import simdeploy`` costs next to nothing.
"""

from importlib import import_module

import lazy_loader

from simdeploy.result import Result

__version__ = "0.1.0"

Result.find_report = staticmethod(lambda: import_module("simdeploy.report"))

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
