"""Closed forms to compare simulations with, one subject per file.

They share only the laws and the reading of gates with the engines, so that an error can't affect both.

Other packages use those that `__init__.pyi` lists.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
