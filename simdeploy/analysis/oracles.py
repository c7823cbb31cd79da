"""Moved to `simdeploy.validation.oracles`; this path goes in the next release."""

import warnings
from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    value = getattr(import_module("simdeploy.validation.oracles"), name)
    if not name.startswith("__"):
        message = "simdeploy.analysis.oracles has moved to simdeploy.validation.oracles; the next release removes the old name"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    return value
