"""Result of `estimate_rare`, and its comparison with plain simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from simdeploy.errors import plural
from simdeploy.result import INTERVAL, Columns, Result, Written, floats
from simdeploy.scenario.measures import Event, parse_event

if TYPE_CHECKING:
    import pandas as pd

KIND_COLUMNS = {
    "kind": "str",
    "probability": "float64",
    **INTERVAL,
    **floats("standard_error", "share"),
    "n": "int64",
    "n_pilot": "int64",
    "n_hits": "int64",
    **floats("effective_hits", "mean_weight", "mean_weight_error"),
    "tilt": "str",
    "levels": "str",
    "doubt": "str",
}
STEP_COLUMNS = {
    "kind": "str",
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


_OFTEN = 0.01  # above this probability plain replications show the event

Remedy = Literal["more replications", "plain rollouts"]


class Doubt(NamedTuple):
    """Why an estimate can't be trusted, and what may remove the doubt, if anything."""

    text: str
    remedy: Remedy | None = "more replications"


@dataclass(frozen=True, eq=False, repr=False)
class Rare(Result):
    """Result of `estimate_rare`.

    Attributes
    ----------
    event : Event
    policy : str
    method : {'importance', 'splitting', 'plain'}
    probability, low, high : float
        Probability of the event in one rollout, with its interval; NaN if it can't be trusted.
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
    remedy : {'more replications', 'plain rollouts'} or None
        What may remove the first doubt: plain rollouts if it is about events, such as crashes, that no given tilt or level makes
        more frequent. None if nothing does, or if there is no doubt.
    is_trusted : bool
        Whether it can be trusted.
    n_failed : int
        Failed replications; with any, the estimate can't be trusted.
    tilt : dict of str to float
        The factors, by name, of the kind of release with the largest share of the estimate; empty under splitting.
    levels : tuple of int
        Of `counts`, for the same kind; empty under importance sampling.
    counts : str
        The response that defines the levels.
    diagnosis : dict
        Under importance sampling the parts of a `Diagnosis` of all rollouts, weighted by kind, with the heaviest tail of
        any kind, and whether it `is_bounded`; under splitting the `repetitions`, and in how many of them the event
        happened.
    kinds : DataFrame
        One row per `kind` of release under which the event can happen; a single unnamed one if there is no release. Its
        `probability`; the `estimate` of the event's probability given the kind (``low`` to ``high``, exact limits if rollouts
        are unweighted; 0 to the upper limit, or to 1, where there is a `doubt`); its `share` of the whole estimate; `n` rollouts, `n_pilot`,
        the `n_hits` with the event, and how many hits of plain simulation they are worth (`effective_hits`); the
        `mean_weight`, 1 in expectation; the `tilt` or the `levels`.
    steps : DataFrame
        By kind, under importance sampling the tilts tried: `tilt`, `n` rollouts, the `n_hits` in which the event happened, and
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
    remedy: Remedy | None
    is_trusted: bool
    n_failed: int
    tilt: Mapping[str, float]
    levels: tuple[int, ...]
    counts: str
    diagnosis: Mapping[str, bool | int | float]
    kinds: Annotated[pd.DataFrame, Columns(KIND_COLUMNS)]
    steps: Annotated[pd.DataFrame, Columns(STEP_COLUMNS)]
    computed_under: Mapping[str, Any]
    also = ("is_often",)

    @property
    def is_often(self) -> bool:
        """Whether the event is clearly so frequent that plain replications show it."""
        return float((self.kinds["probability"] * self.kinds["low"]).sum()) > _OFTEN

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
    """Return how many rollouts plain simulation needs for the same standard error; NaN if the event may be certain.

    Examples
    --------
    >>> round(plain_rollouts(0.5, 0.05))
    100
    """
    if not standard_error > 0 or not probability < 1:
        return math.nan
    return probability * (1 - probability) / (condition * standard_error**2)


def doubt_unknown(n_unknown: int) -> list[Doubt]:
    """Return the doubt about rollouts for which it is unknown whether the event happened, if any."""
    end = "never ends" if n_unknown == 1 else "never end"
    return [Doubt(f"{plural(n_unknown, 'rollout')} {end}, so the event is unknown there", None)] if n_unknown else []


def doubt_hidden(events: str) -> list[Doubt]:
    """Return the doubt about events that only plain rollouts show, such as crashes, if any."""
    text = f"{events} may lead to the event, too, but no tilt or level makes them more frequent"
    return [Doubt(text, "plain rollouts")] if events else []
