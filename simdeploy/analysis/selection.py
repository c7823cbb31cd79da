"""Moved to `simdeploy.statistics.selection`; this path will be removed in the next release."""

from simdeploy.renaming import moved_module

__getattr__ = moved_module(__name__, "simdeploy.statistics.selection")
