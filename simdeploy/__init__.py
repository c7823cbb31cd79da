"""simdeploy: discrete-event simulation and policy analysis for software rollouts.

From outside: the names that `__init__.pyi` lists, once for the reader, the type checker and the interpreter. They are imported
when they are first used, so that ``import simdeploy`` costs next to nothing.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
