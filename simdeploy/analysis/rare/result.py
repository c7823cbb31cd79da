"""What `estimate_rare` found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeploy.report.rare import format_count, format_probability
from simdeploy.result import Result, Table
from simdeploy.scenario.measures import Event

if TYPE_CHECKING:
    import pandas as pd

_MOST_TILTS = 4
STEP_COLUMNS = {
    "stage": "int64",
    "tilt": "str",
    "level": "float64",
    "n": "int64",
    "n_hits": "int64",
    "fraction": "float64",
    "used": "bool",
}


@dataclass(frozen=True, eq=False, repr=False)
class Rare(Result):
    """What `estimate_rare` found.

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
        Rollouts that the estimate is over, and those before that chose the tilt or the levels.
    plain_rollouts : float
        Rollouts that plain simulation needs for the same standard error.
    gain : float
        By how much the variance is smaller than that of plain simulation with as many rollouts, those of the pilot included.
    gain_in_updates : float
        The same at as many updates of nodes.
    doubts : tuple of str
        Why the estimate can't be trusted; empty if it can.
    tilt : dict of str to float
        The factors, by name; empty under splitting.
    levels : tuple of int
        Of `counts`; empty under importance sampling.
    counts : str
        What the levels are of.
    diagnosis : dict
        Under importance sampling the parts of a `Diagnosis`; under splitting the `repetitions`, and in how many of them the event happened.
    steps : DataFrame
        Under importance sampling the tilts that were tried: `tilt`, `n` rollouts, the `n_hits` in which the event happened, and as
        `fraction` what each rollout is worth in hits of equal weights. Under splitting the stages: the `level` that they go to, `n` rollouts, the `n_hits`, and
        the `fraction` of them that reached it. `used` says which of them the estimate has.
    computed_under : dict
        Scenario, seed, engine and switches.
    """

    event: Event
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
    doubts: tuple[str, ...]
    tilt: Mapping[str, float]
    levels: tuple[int, ...]
    counts: str
    diagnosis: Mapping[str, Any]
    steps: pd.DataFrame
    computed_under: Mapping[str, Any]

    @property
    def answer(self) -> str:
        """Say how likely the event is, and what that took; or why it can't be said."""
        if self.doubts:
            whose = "the weights" if self.method == "importance" else "the estimate"
            return f"{self.event}: {whose} can't be trusted, so no probability is stated: {'; '.join(self.doubts)}."
        interval = format_probability(self.probability, self.low, self.high)
        often = f"once in {format_count(1 / self.probability)} rollouts" if self.probability > 0 else "never"
        given = " that count" if self.event.given is not None else ""
        work = (
            f"{self.n_rollouts + self.n_pilot:,} rollouts did what plain simulation needs {format_count(self.plain_rollouts)} for"
            if self.gain > 1
            else f"plain simulation would have needed only {format_count(self.plain_rollouts)} rollouts"
        )
        return f"{self.event}: {interval}: {often}{given}; {work}."

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

    def to_dict(self) -> dict[str, Any]:
        """Return everything in values that JSON knows, the event as it is written."""
        return super().to_dict() | {"event": str(self.event)}

    def summarize(self) -> tuple[Table, ...]:
        """Return the estimate and what speaks for it, then the tilts or the levels."""
        level = f"{100 * self.confidence_level:g} %"
        probability = "not stated" if self.doubts else format_probability(self.probability, self.low, self.high)
        rows = [
            ("probability in one rollout", probability),
            ("rollouts", f"{self.n_rollouts:,}, and {self.n_pilot:,} to choose the {self._what_is_chosen}"),
            ("plain rollouts for the same error", format_count(self.plain_rollouts)),
            (
                "variance is smaller by",
                f"{format_count(self.gain)}; at as many updates of nodes by {format_count(self.gain_in_updates)}",
            ),
            *_say_diagnosis(self.diagnosis),
        ]
        return (Table(f"The estimate, with a {level} interval", ("number", "value"), tuple(rows)), *self._steps())

    @property
    def _what_is_chosen(self) -> str:
        return "levels" if self.method == "splitting" else "tilt"

    def _steps(self) -> tuple[Table, ...]:
        if self.steps.empty:
            return ()
        return (self._stages() if self.method == "splitting" else self._tilts(),)

    def _stages(self) -> Table:
        rows = [
            (
                "the end" if math.isnan(row["level"]) else f"{row['level']:g}",
                f"{row['n']:,}",
                f"{row['n_hits']:,}",
                "" if math.isnan(row["fraction"]) else f"{100 * row['fraction']:.1f} %",
            )
            for row in self.steps.to_dict("records")
        ]
        header = (f"{self.counts}, from the level before to", "rollouts", "with the event", "reached it")
        return Table("Stages", header, tuple(rows))

    def _tilts(self) -> Table:
        """Show the scenario as it is, the tilt that was chosen, and the best of the others."""
        is_shown = self.steps["used"] | (self.steps.index == 0)
        others = self.steps[~is_shown].sort_values("fraction", ascending=False, kind="stable").head(_MOST_TILTS)
        shown = [self.steps[is_shown], others]
        rows = [
            (row["tilt"], f"{row['n']:,}", f"{row['n_hits']:,}", f"{100 * row['fraction']:.1f} %", "yes" * row["used"])
            for steps in shown
            for row in steps.to_dict("records")
        ]
        header = ("tilt", "rollouts", "with the event", "effective hits", "used")
        return Table(f"The best of {len(self.steps):,} tilts that were tried", header, tuple(rows))


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


def _say_diagnosis(diagnosis: Mapping[str, Any]) -> list[tuple[str, str]]:
    if "repetitions" in diagnosis:
        return [
            ("independent repetitions", f"{diagnosis['repetitions']}, {diagnosis['n_hits']} of which met the event")
        ]
    k_hat = diagnosis["k_hat"]
    shape = "too few to tell" if math.isnan(k_hat) else "bounded" if math.isinf(k_hat) else f"{k_hat:.2f}"
    return [
        (
            "mean weight, expected to be 1",
            f"{diagnosis['mean_weight']:.3g} (standard error {diagnosis['mean_weight_error']:.2g})",
        ),
        (
            "rollouts with the event",
            f"{diagnosis['n_hits']:,}, worth {diagnosis['effective_hits']:,.0f} of equal weights",
        ),
        ("largest share of one of them", f"{100 * diagnosis['largest_share']:.2g} %"),
        ("tail of their weights (k-hat)", shape),
    ]
