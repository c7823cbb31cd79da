"""Engines that run the model: `simulate` and its result.

May be used from outside: the names in `__init__.pyi`. They are imported on first use, so a process that compiles one part of an
engine doesn't wait for others.
May import: `simdeploy.scenario` and what lies below it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
