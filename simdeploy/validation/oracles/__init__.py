"""Closed forms that a simulation can be held against: one subject one file.

They share nothing with the engines but the laws, and how a policy's gate is read, so that an error in one does not hide in
the other.

From outside: those that `__init__.pyi` lists.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
