"""How many worlds each kind of release gets, which depends on the question and on the worlds finished so far."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.experiments.allocation import divide, divide_by_roots
from simdeploy.experiments.kinds import Kinds
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.allocation import find_shares
from simdeploy.statistics.combining import enough_of_each

if TYPE_CHECKING:
    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.statistics.sample import Sample

# Share of the worlds in the pilot, which shows what varies.
_PILOT = 0.2
# The fewest worlds of a kind whose price or requirement decides, if there are that many. With fewer than the second number, a
# mean is too uncertain.
_LEAST, _FEWEST = 400, 24
# Leading candidates of a search, whose differences decide; no kind gets less than this fraction of an equal share for them.
_COMPETING, _LEAST_SHARE = 50, 0.2


def plan_first(kinds: Kinds, concerned: Sequence[str], n: int) -> dict[str, int]:
    """Divide n worlds among kinds in proportion to the square roots of their probabilities, before anything else is known."""
    all_kinds = divide_by_roots(kinds, n)
    if set(all_kinds) == set(concerned):
        return all_kinds
    return divide({kind: float(all_kinds[kind]) for kind in concerned}, n, fewest=2)


def plan_pilot(kinds: Kinds, concerned: Sequence[str], n: int) -> dict[str, int]:
    """Return the number of worlds of each kind in the pilot, out of n worlds in all; all of them if there is only one kind."""
    if len(concerned) == 1:
        return {concerned[0]: n}
    return plan_first(kinds, concerned, max(int(_PILOT * n), min(n, 20 * len(concerned))))


def plan_rest(values: Values, measures: Sequence[Measure], concerned: Sequence[str], n: int) -> dict[str, int]:
    r"""Divide n worlds among kinds, including those that the values show.

    The result depends only on the values, so it is the same in a resumed run and with any number of workers.

    Notes
    -----
    Neyman's allocation (`find_shares`): for the estimates of each measure in every case, and for costs also for the
    differences from the case with the lowest mean. Several measures share the worlds equally. Each of K kinds gets at least
    :math:`\min(400, n / 2 K)` worlds (or 24, if n is small), at least as many as trusted means need, and at least those it has.
    """
    judged = {measure: values.sample(measure) for measure in measures}
    return plan_samples(judged.items(), values.kinds, concerned, n)


def plan_samples(
    judged: Collection[tuple[Measure, Sample]], names: Sequence[str], concerned: Sequence[str], n: int
) -> dict[str, int]:
    """Divide n worlds among kinds as `plan_rest` does, from samples of measures in the same worlds; `names` are those of the strata."""
    shares = [_shares(sample, measure) for measure, sample in judged if measure.kind != "quantile"]
    mean = np.mean(shares, axis=0) if shares else np.ones(len(names))
    wanted = {name: float(share) for name, share in zip(names, mean, strict=True) if name in concerned}
    _, sample = next(iter(judged))
    counts = dict(zip(names, sample.strata.counts.tolist(), strict=True))
    enough = dict(zip(names, enough_of_each(sample.strata.probabilities, n).tolist(), strict=True))
    more = {name: max(count, enough[name]) if name in concerned else count for name, count in counts.items()}
    return add_to(more if sum(more.values()) <= n else counts, wanted, n)


def plan_next(
    kinds: Kinds, concerned: Sequence[str], taken: Mapping[str, int], judged: Collection[tuple[Measure, Sample]], n: int
) -> dict[str, range]:
    """Return the next n worlds by kind, after those already `taken`, given samples of measures in all of these.

    Without samples they are divided as by `plan_first`.
    """
    had = {kind: taken.get(kind, 0) for kind in concerned}
    if judged:
        counts = plan_samples(judged, kinds.possible, concerned, n + sum(had.values()))
    else:
        counts = plan_first(kinds, concerned, n)
    return {kind: range(had[kind], count) for kind, count in counts.items() if count > had[kind]}


def add_to(
    counts: Mapping[str, int], shares: Mapping[str, float], n: int, *, least: int | None = None
) -> dict[str, int]:
    """Divide n worlds by the shares as closely as possible, with at least `least` of each kind, and at least those it has already.

    Examples
    --------
    >>> add_to({"good": 60, "bad": 20}, {"good": 0.1, "bad": 0.9}, 200)
    {'good': 60, 'bad': 140}
    """
    if least is None:
        least = min(_LEAST, max(n // (2 * len(shares)), min(_FEWEST, n // len(shares))))
    fixed: dict[str, int] = {}
    while True:  # until no kind gets fewer than it has
        free = {kind: share for kind, share in shares.items() if kind not in fixed}
        target = divide(free, n - sum(fixed.values()), fewest=least) if free else {}
        many = {kind: counts[kind] for kind, number in target.items() if counts.get(kind, 0) > number}
        if not many:
            return {kind: (fixed | target)[kind] for kind in shares}
        fixed |= many


def _shares(sample: Sample, measure: Measure) -> np.ndarray:
    """Return the shares of the strata that are best for one measure of all cases."""
    rows, worst = sample, np.zeros(sample.strata.n)
    if measure.kind == "rate":
        has_values = [not np.isnan(sample.values[:, columns]).all() for columns in sample.strata.columns]
        worst = (np.array(has_values) & ~np.atleast_2d(sample.is_certain).all(axis=0)).astype(float)
    elif len(sample) > 1:
        means = sample.means()
        if not np.isnan(means).all():
            best = sample[int(np.nanargmin(means))][None]
            rows = sample.stack(sample - best)
    return find_shares(rows, worst + _sizes_of_unseen(sample))


def _sizes_of_unseen(sample: Sample) -> np.ndarray:
    """Return by stratum the cost of priced verdicts with unknown rates, because limits of means allow for verdicts that no world had."""
    return sum((np.abs(lump.unknown_sizes) for lump in sample.lumps), start=np.zeros(sample.strata.n))


class Allocation:
    """How many worlds of each kind a search simulates, given its finished stages.

    It keeps the shares of the kinds, and the worst outcome seen in worlds of each.

    `names` are the kinds with worlds of their own, or the single stratum of all worlds. Observations are those of
    candidates without a gap.
    """

    # Candidates in the pilot, and its worlds of each kind, which only show what varies.
    n_piloted, _of_each = 24, 20

    def __init__(self, kinds: Kinds, names: Sequence[str]) -> None:
        self._kinds, self._names = kinds, names
        self._shares: np.ndarray | None = None
        self._worst = np.zeros(len(names))
        self._weights = np.ones(len(names))

    @property
    def of_pilot(self) -> dict[str, int]:
        """Worlds of each kind in the pilot."""
        return dict.fromkeys(self._names, self._of_each)

    def learn(self, observations: Sample) -> None:
        """Update the shares and the worst outcomes from the best candidates."""
        if not len(observations):
            return
        means, weights = observations.means_by_stratum()
        order = np.argsort(observations.means(), kind="stable")
        self._weights = weights[order[0]]
        feared = observations.without_known_events()
        for place, columns in enumerate(observations.strata.columns):
            values, before = feared[:, columns] - means[order[0], place], self._worst[place]
            if observations.lumps and not any(lump.unknown_sizes[place] for lump in observations.lumps):
                # The rates of all events are known, so only the rest of the costs under good candidates matters.
                best_ones = order[: _COMPETING + 1]
                values, before = feared[best_ones][:, columns] - means[best_ones, place, None], 0.0
            if not np.isnan(values).all():
                self._worst[place] = max(before, float(np.nanmax(values)))
        best = observations[order[:1]]
        competing = observations[order[1 : _COMPETING + 1]] - best if len(order) > 1 else best
        self._shares = find_shares(competing, self._worst * (self._weights > 0))

    def divide(self, n: int, *, fewest: int = 2) -> dict[str, int]:
        """Divide worlds among the kinds so that differences between candidates have the least variance."""
        n_kinds = len(self._names)
        least = max(int(_LEAST_SHARE * n / n_kinds), fewest)
        return self._divide(max(n, fewest * n_kinds), self._shares, fewest=least)

    def divide_for(self, observations: Sample, n: int, *, fewest: int) -> dict[str, int]:
        """Divide worlds so that the mean of the first candidate, and its differences from the others, have the least variance."""
        rows = observations if len(observations) < 2 else observations[:1].stack(observations[1:] - observations[:1])
        worst = np.maximum(self._worst, _sizes_of_unseen(observations)) * (self._weights > 0)
        shares = find_shares(rows, worst)
        enough = enough_of_each(observations.strata.probabilities * (self._weights > 0), n)
        if len(self._names) == 1 or enough.sum() > n:
            return self._divide(n, shares, fewest=fewest)
        enough_by_name, wanted = (dict(zip(self._names, each.tolist(), strict=True)) for each in (enough, shares))
        return add_to(enough_by_name, wanted, n, least=fewest)

    def unseen(self, counts: np.ndarray) -> np.ndarray:
        """Return by kind how much a candidate's mean would rise if one more world had the worst outcome."""
        unseen: np.ndarray = self._weights * self._worst / (counts + 1)
        return unseen

    def _divide(self, n: int, shares: np.ndarray | None, *, fewest: int) -> dict[str, int]:
        if len(self._names) == 1:
            return {self._names[0]: n}
        if shares is None:
            return plan_first(self._kinds, self._names, n)
        return divide(dict(zip(self._names, shares.tolist(), strict=True)), n, fewest=fewest)
