"""Counts of traced values at each instant, and their means and quantiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from simdeploy.engines.traces import BROKEN, ERROR_RATE, NO_RELEASE, QUANTITIES, STEP, UNKNOWN, Grid, Traces
from simdeploy.units import NS_PER_S

MOST_NODES_COUNTED = 2000
# Error rates are counted in single steps up to this one, and in this many steps at a time beyond it.
_LAST_FINE, _COARSE = 500, 50
# The counted error rates, in steps.
_RATES = np.append(np.arange(_LAST_FINE), np.arange(_LAST_FINE, round(1 / STEP) + 1, _COARSE))


class Bands:
    """How often each value occurred, by policy, kind of release, quantity and instant.

    Nodes are counted one by one up to a fleet of 2,000; of a larger one in steps of 1/2,000 of it. Error rates are counted in steps of
    0.00001 up to 0.005, and of 0.0005 beyond. So memory does not depend on the number of replications, and the result not on their order.

    Examples
    --------
    >>> import numpy as np
    >>> from simdeploy.engines.traces import Grid, Traces
    >>> bands = Bands(1, 1, n_nodes=10, grid=Grid(10**9, 1), rows=[1])
    >>> for failed in (0, 1, 1, 4):
    ...     bands.add(0, Traces(np.full((1, 1, 7, 1), failed, np.int32), np.zeros((1, 1), np.int32)))
    >>> [(row["mean"], row["p50"], row["n"]) for row in bands.rows((0.5,))]
    [(1.5, 1.0, 4)]
    """

    def __init__(
        self,
        n_policies: int,
        n_kinds: int,  # a deployment without a release counts as one of the last kind
        *,
        n_nodes: int,
        grid: Grid,
        rows: Sequence[int],  # the quantities wanted, as places in `QUANTITIES`
    ) -> None:
        self._grid = grid
        self.quantities = list(rows)
        self._steps = min(n_nodes, MOST_NODES_COUNTED)
        self._n_nodes = n_nodes
        self._n_kinds = n_kinds
        self.n_failed = 0
        self.first_error = ""
        self.counts: dict[tuple[int, int], np.ndarray] = {}
        self.n_rollouts = np.zeros((n_policies, n_kinds), np.int64)

    def count_bytes(self) -> int:
        """Return the most memory that the counts can take."""
        return 4 * self.n_rollouts.size * len(self.quantities) * self._grid.n_times * self._n_bins

    @property
    def _n_bins(self) -> int:
        return max(self._steps + 1, len(_RATES))

    def add(self, first_policy: int, traces: Traces) -> None:
        """Count traces of consecutive policies."""
        self.n_failed += int((traces.kinds == BROKEN).sum())
        self.first_error = self.first_error or traces.error
        for policy, kinds in enumerate(traces.kinds, start=first_policy):
            for kind in range(self._n_kinds):
                chosen = np.where(kinds == NO_RELEASE, self._n_kinds - 1, kinds) == kind
                if chosen.any():
                    self._count(policy, kind, traces.values[policy - first_policy, chosen])

    def _count(self, policy: int, kind: int, values: np.ndarray) -> None:
        counts = self.counts.get((policy, kind))
        if counts is None:
            shape = (len(self.quantities), self._grid.n_times, self._n_bins)
            counts = self.counts[policy, kind] = np.zeros(shape, np.int32)
        self.n_rollouts[policy, kind] += len(values)
        for place, row in enumerate(self.quantities):
            bins = values[:, row].astype(np.int64)
            is_known = bins != UNKNOWN
            if row >= ERROR_RATE:
                coarse = _LAST_FINE + (bins - _LAST_FINE + _COARSE // 2) // _COARSE
                bins = np.where(bins > _LAST_FINE, coarse, bins)
            elif self._n_nodes > self._steps:
                bins = (bins * (2 * self._steps) + self._n_nodes) // (2 * self._n_nodes)
            at = np.broadcast_to(np.arange(self._grid.n_times), bins.shape)
            np.add.at(counts[place], (at[is_known], bins[is_known]), 1)

    def rows(self, quantiles: Sequence[float]) -> Iterator[dict[str, Any]]:
        """Yield a row per policy, kind, quantity and instant, each by number."""
        times_s = self._grid.times_ns / NS_PER_S
        for (policy, kind), counts in sorted(self.counts.items()):
            for place, row in enumerate(self.quantities):
                values, size = (np.arange(self._steps + 1), self._n_nodes / self._steps)
                if row >= ERROR_RATE:
                    values, size = _RATES, STEP
                mean, levels, n = _summarize(counts[place, :, : len(values)], values, quantiles)
                for at, time_s in enumerate(times_s.tolist()):
                    yield {
                        "policy": policy,
                        "release": kind,
                        "quantity": QUANTITIES[row],
                        "time_s": time_s,
                        "n": int(n[at]),
                        "mean": float(mean[at]) * size,
                        **{
                            name_quantile(quantile): float(level[at]) * size
                            for quantile, level in zip(quantiles, levels, strict=True)
                        },
                    }


def _summarize(
    counts: np.ndarray, values: np.ndarray, quantiles: Sequence[float]
) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Return mean, quantiles and number of counted `values`, by instant, in steps; NaN without any.

    A quantile q is the lowest value that a fraction q of the values do not exceed.
    """
    reached = np.cumsum(counts, axis=1, dtype=np.int64)
    n = reached[:, -1]
    with np.errstate(invalid="ignore"):
        mean = (counts @ values) / n
    levels = []
    for quantile in quantiles:
        # Rounding errors must not require one more value: a tenth of 10 values is one.
        wanted = np.maximum(np.ceil(quantile * n - 1e-9), 1)
        level = (reached < wanted[:, None]).sum(axis=1)
        levels.append(np.where(n > 0, values[np.minimum(level, len(values) - 1)], np.nan))
    return mean, levels, n


def name_quantile(quantile: float) -> str:
    """Return the name of a quantile's column.

    Examples
    --------
    >>> name_quantile(0.05), name_quantile(0.975)
    ('p5', 'p97.5')
    """
    return f"p{round(100 * quantile, 6):g}"
