"""What is known without simulation: which verdicts each kind of release allows, and how probable they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.pricing import find_prices, is_of_verdicts
from simdeploy.scenario.measures import SORTS, Measure
from simdeploy.vocabulary import VERDICTS

if TYPE_CHECKING:
    from simdeploy.experiments.kinds import Kinds
    from simdeploy.scenario.parts import Costs
    from simdeploy.statistics.sample import Strata


@dataclass(frozen=True, slots=True)
class Known:
    """What the kinds of release imply for the rollouts of a table."""

    kinds: Kinds | None  # None if the table has none; then nothing is known
    strata: Strata
    names: tuple[str, ...]  # the kinds that are strata; empty if the table isn't divided
    costs: Costs | None

    def allows(self, place: int, verdict: str) -> bool:
        """Return whether rollouts of a stratum may have a verdict."""
        if self.kinds is None:
            return True
        names = self.names[place : place + 1] or self.kinds.possible
        return any(self.kinds.allows(verdict, name) for name in names)

    def expected(self, measure: Measure, counts: np.ndarray) -> np.ndarray:
        """Return the expected number of worlds of the rarest kind of release that a mean depends on; by case, or one for all.

        `counts` are the numbers of worlds that count, by stratum, or by case and stratum. Infinite for fractions: they are bounded, so their limits allow for kinds that no world showed.
        """
        if measure.kind != "mean" or measure.is_fraction or self.kinds is None:
            return np.array([np.inf])
        possible = np.atleast_2d(self.kinds.probabilities)
        if self.names:
            none = np.zeros(counts.shape[:-1])
            of_names = dict(zip(self.names, np.moveaxis(counts, -1, 0), strict=True))
            expected = np.stack([of_names.get(name, none) for name in self.kinds.names], axis=-1)
        else:
            expected = possible * counts
        concerned = (possible > 0) & [self.kinds.allows(measure.given, name) for name in self.kinds.names]
        fewest: np.ndarray = np.where(concerned, expected, np.inf).min(axis=1)
        return fewest

    def certain(self, measure: Measure) -> np.ndarray:
        """Return in which strata a value is known beforehand (no good release escapes); for costs, apart from priced verdicts."""
        is_certain = np.full(self.strata.n, is_of_verdicts(measure, self.costs))
        if measure.kind == "rate" and self.kinds is not None:
            for place, name in enumerate(self.names):
                is_of_release = measure.of in SORTS or measure.of in self.names
                is_certain[place] = is_of_release or not self.kinds.allows(measure.of, name)
        return is_certain

    def covers(self, measure: Measure) -> np.ndarray:
        """Return in which strata the condition of a measure may hold."""
        if self.kinds is None or not self.names:
            return np.ones(1, dtype=bool)
        return np.array([self.kinds.allows(measure.given, name) for name in self.names])

    def selects(self, measure: Measure) -> np.ndarray | None:
        """Return in which strata a condition may hold that is decided in each world; None without one."""
        kinds, given = self.kinds, measure.given
        if given is None or given in SORTS or kinds is None or not self.names or given in kinds.names:
            return None
        return self.covers(measure)

    def rates(self, measure: Measure) -> dict[str, np.ndarray]:
        """Return the probabilities of verdicts that a measure depends on, by case and stratum; NaN where not known."""
        kinds, given = self.kinds, measure.given
        if kinds is None or not self.names or not (given is None or given in SORTS or given in kinds.names):
            return {}
        verdicts = {"rate": [measure.of], "mean": [*find_prices(measure, self.costs)]}.get(measure.kind, [])
        rates = {verdict: kinds.verdict_rates(verdict) for verdict in verdicts if verdict in VERDICTS}
        return {verdict: of_verdict for verdict, of_verdict in rates.items() if of_verdict is not None}
