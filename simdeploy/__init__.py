"""simdeploy: discrete-event simulation and policy analysis for software rollouts.

Public names are imported when they are first used, so that ``import simdeploy`` costs next to nothing.

`__init__.pyi` lists them, once for the reader, the type checker and the interpreter.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
