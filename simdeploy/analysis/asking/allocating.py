"""How many worlds each kind of release gets: by what the question judges, and by what finished worlds have shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.experiments.kinds import Kinds, divide, divide_by_roots
from simdeploy.rules.deployment_types import TYPES
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.allocation import find_shares
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.scenario import Scenario
    from simdeploy.statistics.sample import Sample

# Share of the worlds that only show what varies.
_PILOT = 0.2
# A kind whose price or requirement decides gets as many worlds, if there are that many to give; fewer than the second
# number say too little of a mean.
_LEAST, _FEWEST = 400, 24


def find_concerned(
    scenario: Scenario, measures: Iterable[Measure], types: Collection[str], kinds: Kinds
) -> tuple[str, ...]:
    """Return the kinds of release that measures concern and that get worlds of their own; none if kinds are drawn.

    They are drawn if there is only one, for types of deployment without a release, and if no measure depends on the kind:
    neither a cost nor a rate nor a condition.
    """
    measures = list(measures)
    is_drawn = scenario.tilt is not None or scenario.kind is not None or len(kinds.possible) < 2
    if is_drawn or not all(TYPES[type_].releases for type_ in types):
        return ()
    if not any(measure.of in COSTS or measure.kind == "rate" or measure.given is not None for measure in measures):
        return ()
    return tuple(name for name in kinds.possible if any(kinds.allows(measure.given, name) for measure in measures))


def plan_first(kinds: Kinds, concerned: Sequence[str], n: int) -> dict[str, int]:
    """Divide n worlds among kinds by the roots of their probabilities, before anything is known of them."""
    all_kinds = divide_by_roots(kinds, n)
    if set(all_kinds) == set(concerned):
        return all_kinds
    return divide({kind: float(all_kinds[kind]) for kind in concerned}, n, fewest=2)


def plan_pilot(kinds: Kinds, concerned: Sequence[str], n: int) -> dict[str, int]:
    """Return how many of n worlds of each kind come first, to show what varies."""
    return plan_first(kinds, concerned, max(int(_PILOT * n), min(n, 20 * len(concerned))))


def plan_rest(values: Values, measures: Sequence[Measure], concerned: Sequence[str], n: int) -> dict[str, int]:
    r"""Divide n worlds among kinds, including those that the values show.

    It depends on the values alone, so a resumed run and any number of workers give the same numbers.

    Notes
    -----
    Neyman's allocation (`find_shares`): for the estimates of each measure in every case, and for costs also for the
    differences from the case with the lowest mean. Several measures share the worlds equally. No kind gets less than
    :math:`\min(400, n / 2 K)` of K kinds (or 24, of few worlds), and none less than it has.
    """
    judged = {measure: values.sample(measure) for measure in measures}
    return plan_samples(judged.items(), values.kinds, concerned, n)


def plan_samples(
    judged: Collection[tuple[Measure, Sample]], names: Sequence[str], concerned: Sequence[str], n: int
) -> dict[str, int]:
    """Divide n worlds among kinds as `plan_rest`, from samples of measures in the same worlds, whose strata have names."""
    shares = [_shares(sample, measure) for measure, sample in judged if measure.kind != "quantile"]
    mean = np.mean(shares, axis=0) if shares else np.ones(len(names))
    wanted = {name: float(share) for name, share in zip(names, mean, strict=True) if name in concerned}
    _, sample = next(iter(judged))
    return add_to(dict(zip(names, sample.strata.counts.tolist(), strict=True)), wanted, n)


def plan_next(
    kinds: Kinds, concerned: Sequence[str], taken: Mapping[str, int], judged: Collection[tuple[Measure, Sample]], n: int
) -> dict[str, range]:
    """Return the next n worlds by kind, after those already `taken`, given samples of measures in all of these.

    Without samples they are divided by the roots of the kinds' probabilities.
    """
    had = {kind: taken.get(kind, 0) for kind in concerned}
    if judged:
        counts = plan_samples(judged, kinds.possible, concerned, n + sum(had.values()))
    else:
        counts = plan_first(kinds, concerned, n)
    return {kind: range(had[kind], count) for kind, count in counts.items() if count > had[kind]}


def add_to(counts: Mapping[str, int], shares: Mapping[str, float], n: int) -> dict[str, int]:
    """Return numbers of worlds that are n in total, nowhere less than they are, and as near to the shares as possible.

    Examples
    --------
    >>> add_to({"good": 60, "bad": 20}, {"good": 0.1, "bad": 0.9}, 200)
    {'good': 60, 'bad': 140}
    """
    least = min(_LEAST, max(n // (2 * len(shares)), min(_FEWEST, n // len(shares))))
    fixed: dict[str, int] = {}
    while True:  # until none gets less than it has
        free = {kind: share for kind, share in shares.items() if kind not in fixed}
        target = divide(free, n - sum(fixed.values()), fewest=least) if free else {}
        many = {kind: counts[kind] for kind, number in target.items() if counts.get(kind, 0) > number}
        if not many:
            return {kind: (fixed | target)[kind] for kind in shares}
        fixed |= many


def _shares(sample: Sample, measure: Measure) -> np.ndarray:
    """Return the shares of the strata for a measure of all cases."""
    rows, worst = sample, np.zeros(sample.strata.n)
    if measure.kind == "rate":
        has_values = [not np.isnan(sample.values[:, columns]).all() for columns in sample.strata.columns]
        worst = (np.array(has_values) & ~np.resize(sample.is_certain, sample.strata.n)).astype(float)
    elif len(sample) > 1:
        means = sample.means()
        if not np.isnan(means).all():
            best = sample[int(np.nanargmin(means))][None]
            rows = sample.stack(sample - best)
    for lump in sample.lumps:
        worst = worst + np.abs(lump.unknown_sizes)
    return find_shares(rows, worst)
