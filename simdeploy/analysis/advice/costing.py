r"""Mean costs of weighted worlds, with intervals that allow for priced verdicts that few worlds show, or none.

Within kind k, which has the probability :math:`P_k` given what was seen, let a verdict that adds s to the cost happen at the rate
:math:`r_k`. In each world the verdict is replaced by its rate, which doesn't change the mean. The interval of that mean is normal, and the
limits :math:`l_k` and :math:`u_k` of the rate are exact (`simdeploy.statistics.intervals`), for the effective number of worlds of the kind.
All distances are combined as by Zou and Donner (2008 [1]_): with the half-width h, the upper limit is
:math:`\sqrt{h^2 + \sum_k (P_k s (u_k - r_k))^2}` above the mean. So if none of n worlds shows an escape, its rate may still be up to
:math:`1 - (\alpha / 2)^{1/n}`.

An interval is not trusted if the other costs are so skewed that a normal one is too narrow.

References
----------
.. [1] Zou, G. Y. and Donner, A. (2008). Construction of confidence limits about effect measures: a general approach.
   Statistics in Medicine 27(10), 1693-1702.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.analysis.asking.pricing import find_difference, find_prices, is_never_negative
from simdeploy.scenario.measures import ON_DEFECTIVE, Measure
from simdeploy.statistics.combining import MOST_SKEWED
from simdeploy.statistics.intervals import paired_proportions_interval, proportion_interval
from simdeploy.statistics.levels import share_out

if TYPE_CHECKING:
    from simdeploy.analysis.advice.estimating import Weighted
    from simdeploy.scenario import Scenario


# Marks of acts after which a world's verdict follows from the kind of release, or is that of going on, at most later.
CANCELED, SHIFTED = "canceled", "shifted"


@dataclass(frozen=True, eq=False)
class Priced:
    """What worlds cost under an act, and their verdicts."""

    costs: np.ndarray
    verdicts: np.ndarray  # words
    mark: str = ""  # acts with the same mark have the same verdict in every world


class Estimate(NamedTuple):
    """A mean with its interval; NaN where unknown."""

    estimate: float
    low: float
    high: float
    is_trusted: bool
    trusts_low: bool  # whether the lower limit can be trusted


UNKNOWN = Estimate(math.nan, math.nan, math.nan, is_trusted=False, trusts_low=False)


class Costing:
    """Estimates costs, and differences of costs in the same worlds."""

    def __init__(
        self,
        weighted: Weighted,
        scenario: Scenario,
        are_defective: list[bool],  # by kind
        confidence_level: float,
        *,
        has_enough: bool,  # whether there are enough effective worlds
    ) -> None:
        self._weighted, self._level, self._has_enough = weighted, confidence_level, has_enough
        self._are_defective = are_defective
        self._prices: Mapping[str, float] = find_prices(Measure("cost"), scenario.costs)
        fleet = scenario.fleet
        goes_down = any(each.crash or each.zone_outage or each.down for each in fleet.behaviours)
        never_negative = is_never_negative(
            Measure("cost"), scenario.costs, goes_down=goes_down, sheds=fleet.service is not None
        )
        self._least = 0.0 if never_negative else -math.inf

    def mean(self, of: Priced) -> Estimate:
        """Estimate a mean cost."""
        nothing = Priced(np.zeros(len(of.costs)), np.full(len(of.costs), "", dtype=object), CANCELED)
        found = self.difference(of, nothing)
        return found._replace(low=max(found.low, self._least))

    def difference(self, of: Priced, other: Priced, *, together: int = 1) -> Estimate:
        """Estimate by how much worlds cost more under one act; `together` intervals hold simultaneously (Bonferroni)."""
        values = of.costs - other.costs
        if np.isnan(values).any():
            return UNKNOWN
        level = share_out(self._level, together)
        down = up = 0.0
        if not of.mark or of.mark != other.mark:
            for place, is_defective in enumerate(self._are_defective):
                columns = self._weighted.columns(place)
                if not self._weighted.weights[columns].sum():
                    continue
                for verdict, price in self._prices.items():
                    if (verdict in ON_DEFECTIVE) == is_defective:
                        of_kind, below, above = self._set_apart(of, other, verdict, price, columns, level)
                        values[columns] -= of_kind
                        down, up = down + below**2, up + above**2
        rest = self._weighted.mean(values, together=together)
        skewness = self._weighted.skewness(values)
        reach = rest.high - rest.estimate
        low, high = rest.estimate - math.hypot(reach, math.sqrt(down)), rest.estimate + math.hypot(reach, math.sqrt(up))
        trusts_low, trusts_high = self._has_enough and skewness >= -MOST_SKEWED, skewness <= MOST_SKEWED
        return Estimate(rest.estimate, low, high, trusts_low and trusts_high, trusts_low)

    def _set_apart(
        self, of: Priced, other: Priced, verdict: str, price: float, columns: slice, level: float
    ) -> tuple[np.ndarray, float, float]:
        """Return by how much the verdict's part of worlds of a kind exceeds its mean, and how far its limits are below and above it."""
        weights = self._weighted.weights[columns]
        share = float(weights.sum()) / self._weighted.total
        happened = [(each.verdicts[columns] == verdict).astype(float) for each in (of, other)]
        costs = [each.costs[columns] for each in (of, other)]
        more = happened[0] - happened[1]
        extras = [find_difference(cost - price * event, event) for cost, event in zip(costs, happened, strict=True)]
        size = max(price + max(extras, key=abs), 0.0)
        rate = float((weights * more).sum() / weights.sum())
        low, high = self._limit(of, other, happened, weights, level)
        return size * (more - rate), share * size * (rate - min(low, rate)), share * size * (max(high, rate) - rate)

    def _limit(
        self, of: Priced, other: Priced, happened: list[np.ndarray], weights: np.ndarray, level: float
    ) -> tuple[float, float]:
        """Return the limits of the difference of the rates of a verdict within a kind."""
        rates = [float((weights * each).sum() / weights.sum()) for each in happened]
        n = min(_count_effective(weights, each, rate) for each, rate in zip(happened, rates, strict=True))
        of_first, of_second = (proportion_interval(rate * n, n, level) for rate in rates)
        if other.mark == CANCELED:
            return of_first[0] - rates[1], of_first[1] - rates[1]
        if of.mark == CANCELED:
            return rates[0] - of_second[1], rates[0] - of_second[0]
        gained, lost = (
            float((weights * (more > 0)).sum() / weights.sum())
            for more in (happened[0] - happened[1], happened[1] - happened[0])
        )
        low, high = paired_proportions_interval(np.asarray(gained * n), np.asarray(lost * n), np.asarray(n), level)
        return float(low), float(high)


def _count_effective(weights: np.ndarray, happened: np.ndarray, rate: float) -> float:
    """Return how many equally likely worlds tell as much about the rate of an event, at most the effective number of all worlds."""
    largest = weights.max()
    scaled = weights / largest  # squares of very small weights would be 0
    n = float(scaled.sum() ** 2 / (scaled**2).sum())
    variance = float((scaled**2 * (happened - rate) ** 2).sum() / scaled.sum() ** 2)
    return min(n, rate * (1 - rate) / variance) if variance > 0 else n
