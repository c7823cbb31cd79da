"""simdeploy: discrete-event simulation and policy analysis for software rollouts.

Users import the names in `__init__.pyi`, the one list for readers, type checkers and the interpreter. They are
imported on first use, so ``import simdeploy`` is fast.
"""

from importlib import import_module

import lazy_loader

from simdeploy.result import Result

__version__ = "0.2.0"

Result.find_report = staticmethod(lambda: import_module("simdeploy.report"))

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
