"""Pictures: every function draws on the axes it is given and returns them, without global state.

Functions are imported on first use, which saves time. Other packages use those that `__init__.pyi` lists; commands and reports
also use `figures`, `marks`, `slices` and the colours of `style`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
