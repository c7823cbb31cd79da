"""Moved to `simdeploy.statistics.selection`; this path will be removed in the next release."""

import warnings
from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    value = getattr(import_module("simdeploy.statistics.selection"), name)
    if not name.startswith("__"):
        message = "simdeploy.analysis.selection has moved to simdeploy.statistics.selection; the next release removes the old name"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    return value
