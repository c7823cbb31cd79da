"""How gates stand against the threshold: only what the intervals support."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from simdeploy.analysis.gates.curves import STOPPED

if TYPE_CHECKING:
    from simdeploy.analysis.gates.result import GateComparison


class Standing(NamedTuple):
    """How a gate errs, and how surely otherwise than the threshold.

    Attributes
    ----------
    gate : str
    false_alarms, escapes : float
        Estimates, fractions: good releases that are stopped; defects of the result's size that are not.
    false_alarms_less, escapes_less : tuple of float
        The interval of the difference to the threshold; NaN where it is unknown.
    """

    gate: str
    false_alarms: float
    escapes: float
    false_alarms_less: tuple[float, float]
    escapes_less: tuple[float, float]

    @property
    def is_known(self) -> bool:
        """Whether both differences are."""
        return not any(map(math.isnan, (*self.false_alarms_less, *self.escapes_less)))

    @property
    def is_better(self) -> bool:
        """Whether one error surely is rarer."""
        return any(high < 0 for _, high in (self.false_alarms_less, self.escapes_less))

    @property
    def is_worse(self) -> bool:
        """Whether one error surely is more frequent."""
        return any(low > 0 for low, _ in (self.false_alarms_less, self.escapes_less))

    @property
    def verdict(self) -> str:
        """What can be said against the threshold: better, worse, trades, not sure or not known."""
        if not self.is_known:
            return "not known"
        if self.is_better:
            return "trades" if self.is_worse else "better"
        return "worse" if self.is_worse else "not sure"


def list_standings(result: GateComparison) -> list[Standing]:
    """Return how each gate but the threshold stands."""
    standings = []
    for gate in result.gates["gate"].tolist()[1:]:
        good, bad = (result.row(gate, size, STOPPED) for size in (0.0, result.size))
        less = [result.difference(gate, size, STOPPED) for size in (0.0, result.size)]
        standings.append(
            Standing(
                gate,
                float(good["estimate"]),
                1 - float(bad["estimate"]),
                (float(less[0]["low"]), float(less[0]["high"])),
                (-float(less[1]["high"]), -float(less[1]["low"])),
            )
        )
    return standings


def find_best(standings: list[Standing]) -> Standing | None:
    """Return the gate that errs least by the estimates, of those that surely err less and nowhere surely more."""
    better = [standing for standing in standings if standing.verdict == "better"]
    return min(better, key=lambda one: one.false_alarms + one.escapes, default=None)
