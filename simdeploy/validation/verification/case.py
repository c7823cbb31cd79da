"""A small scenario with a known closed form of a result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

NO_WINDOWS = {"deadline": "24h", "min_healthy_time": "0s"}
NEVER_STOPS = {"max_failed_nodes": 10**6, "max_failed_nodes_percent": 100}


@dataclass(frozen=True)
class Case:
    """A scenario as in a file, a quantity of each of its rollouts, and the closed form of its mean.

    `oracles` are the functions of `simdeploy.validation.oracles` to compare with; `quantity` describes the mean.
    """

    name: str
    quantity: str
    oracles: tuple[str, ...]
    truth: Callable[[], float]
    take: Callable[[pd.DataFrame], np.ndarray]
    scenario: Mapping[str, Any]


def make_case(
    name: str,
    quantity: str,
    held: str,
    truth: Callable[[], float],
    take: Callable[[pd.DataFrame], np.ndarray],
    fleet: Mapping[str, Any],
    policy: Mapping[str, Any],
    **more: Any,
) -> Case:
    """Make a case with one policy; `held` names oracles, and `fleet`, `policy` and `more` are as in a file."""
    scenario = {"name": name, "fleet": {"update_duration": "30s", **fleet}, "policies": {"p": policy}, **more}
    return Case(name, quantity, tuple(held.split()), truth, take, scenario)


def rolling(max_parallel: int = 0, **more: Any) -> dict[str, Any]:
    """Return a rolling policy without windows; 0 is one wave."""
    return {"strategy": "rolling", "max_parallel": max_parallel, "health_check": NO_WINDOWS, **more}


def canary(count: int, **more: Any) -> dict[str, Any]:
    """Return a policy with this many canaries, without windows."""
    return {"strategy": "canary", "canary_count": count, "auto_promote": True, "health_check": NO_WINDOWS, **more}


def number_of(name: str, divisor: float = 1.0) -> Callable[[pd.DataFrame], np.ndarray]:
    """Return a function of a table: a response, divided."""
    return lambda table: table[name].to_numpy(float, na_value=math.nan) / divisor


def at_least(name: str, least: float) -> Callable[[pd.DataFrame], np.ndarray]:
    """Return a function of a table: 1 if a response is at least this, otherwise 0."""
    return lambda table: (table[name].to_numpy(float, na_value=math.nan) >= least).astype(float)


def below(name: str, limit: float) -> Callable[[pd.DataFrame], np.ndarray]:
    """Return a function of a table: 1 if a response is below this, otherwise 0."""
    return lambda table: (table[name].to_numpy(float, na_value=math.nan) < limit).astype(float)


def share_of(column: str, word: str) -> Callable[[pd.DataFrame], np.ndarray]:
    """Return a function of a table: 1 if a column has this word, otherwise 0."""
    return lambda table: table[column].eq(word).to_numpy(float)
