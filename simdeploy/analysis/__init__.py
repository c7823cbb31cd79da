"""Analyses of replications: a package for each question, whose main file has the public function.

A call takes values (a scenario to simulate, or a table of replications) and returns a frozen result with verdicts as
columns. `simdeploy.report` puts results into words, `simdeploy.plotting` into pictures; `simdeploy.statistics` has
arithmetic independent of rollouts, `asking` what all questions share: measures, requirements, directions.

From outside: the names that `__init__.pyi` lists, imported on first use.
"""

import warnings
from importlib import import_module
from typing import Any

import lazy_loader

_find, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# Where names of version 0.1 moved; to be removed in the next one.
_MOVED = {"Verification": "simdeploy.validation", "verify": "simdeploy.validation"}


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        home = _MOVED[name]
        message = f"simdeploy.analysis.{name} has moved to {home}; the next release removes the old name"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return getattr(import_module(home), name)
    return _find(name)
