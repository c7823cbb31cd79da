"""Result of `estimate_rare`, and what follows from the estimate of a small probability."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from simdeploy.result import Columns, Result, Written
from simdeploy.scenario.measures import Event, parse_event
from simdeploy.statistics.weights import log_interval

if TYPE_CHECKING:
    import pandas as pd

STEP_COLUMNS = {
    "stage": "int64",
    "tilt": "str",
    "level": "float64",
    "n": "int64",
    "n_hits": "int64",
    "fraction": "float64",
    "used": "bool",
}

_NUMBERS = (
    "probability",
    "low",
    "high",
    "confidence_level",
    "standard_error",
    "n_rollouts",
    "n_pilot",
    "plain_rollouts",
    "gain",
    "gain_in_updates",
)


@dataclass(frozen=True, eq=False, repr=False)
class Rare(Result):
    """Result of `estimate_rare`.

    Attributes
    ----------
    event : Event
    policy : str
    method : {'importance', 'splitting', 'plain'}
    probability, low, high : float
        Of the event in one rollout, with its interval; NaN where that can't be trusted.
    confidence_level : float
    standard_error : float
    n_rollouts, n_pilot : int
        Rollouts of the estimate, and of the pilot that chose the tilt or the levels.
    plain_rollouts : float
        Rollouts that plain simulation needs for the same standard error.
    gain : float
        Variance of plain simulation with as many rollouts, pilot included, divided by this one.
    gain_in_updates : float
        The same for as many updates of nodes.
    is_cheaper : bool
        Whether it took fewer rollouts than plain simulation needs.
    doubts : tuple of str
        Why the estimate can't be trusted; empty if it can.
    is_trusted : bool
        Whether it can be trusted.
    n_failed : int
        Failed replications; with any, the estimate can't be trusted.
    tilt : dict of str to float
        The factors, by name; empty under splitting.
    levels : tuple of int
        Of `counts`; empty under importance sampling.
    counts : str
        The response that defines the levels.
    diagnosis : dict
        Under importance sampling the parts of a `Diagnosis`, and whether their tail `is_bounded`; under splitting the
        `repetitions`, and in how many of them the event happened.
    steps : DataFrame
        Under importance sampling the tilts tried: `tilt`, `n` rollouts, the `n_hits` in which the event happened, and
        as `fraction` the value of each rollout in equally weighted hits. Under splitting the stages: the `level` to
        reach, `n` rollouts, the `n_hits`, and the `fraction` that reached it. `used` marks those in the estimate.
    computed_under : dict
        Scenario, seed, engine and switches.
    """

    event: Annotated[Event, Written(parse_event)]
    policy: str
    method: str
    probability: float
    low: float
    high: float
    confidence_level: float
    standard_error: float
    n_rollouts: int
    n_pilot: int
    plain_rollouts: float
    gain: float
    gain_in_updates: float
    is_cheaper: bool
    doubts: tuple[str, ...]
    is_trusted: bool
    n_failed: int
    tilt: Mapping[str, float]
    levels: tuple[int, ...]
    counts: str
    diagnosis: Mapping[str, bool | int | float]
    steps: Annotated[pd.DataFrame, Columns(STEP_COLUMNS)]
    computed_under: Mapping[str, Any]

    def to_frame(self) -> pd.DataFrame:
        """Return one row: the event, the policy and the numbers."""
        import pandas as pd

        row = {
            "event": str(self.event),
            "policy": self.policy,
            "method": self.method,
            **{name: getattr(self, name) for name in _NUMBERS},
        }
        return pd.DataFrame([row])


def plain_rollouts(probability: float, standard_error: float, condition: float = 1.0) -> float:
    """Return how many rollouts plain simulation needs for the same standard error.

    Examples
    --------
    >>> round(plain_rollouts(0.5, 0.05))
    100
    """
    if not standard_error > 0:
        return math.nan
    return probability * (1 - probability) / (condition * standard_error**2)


def describe_numbers(
    probability: float,
    error: float,
    condition: float,
    *,
    degrees: int,
    confidence_level: float,
    doubts: Sequence[str],
    n_all: int,
) -> dict[str, float]:
    """Return the numbers of a `Rare` that follow from its estimate; NaN where there are doubts."""
    if doubts:
        unknown = ("probability", "low", "high", "standard_error", "plain_rollouts", "gain")
        return dict.fromkeys(unknown, math.nan)
    low, high = log_interval(probability, error, degrees, confidence_level)
    plain = plain_rollouts(probability, error, condition)
    return {
        "probability": probability,
        "low": low,
        "high": min(high, 1.0),
        "standard_error": error,
        "plain_rollouts": plain,
        "gain": plain / n_all,
    }


def doubt_unknown(n_unknown: int, n_failed: int) -> list[str]:
    """Return which rollouts leave open whether the event happened."""
    doubts = []
    if n_unknown:
        doubts.append(f"{n_unknown:,} rollouts never end, so the event is unknown for them")
    if n_failed:
        doubts.append(f"{n_failed:,} rollouts failed")
    return doubts
