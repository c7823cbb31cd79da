"""Whether requirements are met: the one rule that every analysis uses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Literal

import numpy as np

from simdeploy.statistics.combining import MOST_SKEWED
from simdeploy.statistics.estimators import estimate_rows
from simdeploy.statistics.nonnegative import limit_from_below
from simdeploy.statistics.sample import Sample

if TYPE_CHECKING:
    from simdeploy.analysis.asking.measuring import Values
    from simdeploy.scenario.measures import Requirement

RequirementVerdict = Literal["met", "not met", "undecided"]
MET, MISSED, UNDECIDED = "met", "not met", "undecided"
# Why a requirement is undecided although there are enough observations.
IN_INTERVAL = "the confidence interval contains the limit"
_DTYPE = "<U9"

# Student's bounds reflect only observed events: 1,000 rollouts miss an event of one rollout in 200 one time in 150.
FEWEST_OF_A_MEAN = 1000

FIRST_LOOK = 100


@dataclass(frozen=True, eq=False)
class Judged:
    """Verdicts of several cases on one requirement, an entry for each case."""

    verdict: np.ndarray  # met, not met or undecided
    estimate: np.ndarray
    low: np.ndarray  # each bound errs with the allowed probability
    high: np.ndarray
    n: np.ndarray  # observations
    fewest: np.ndarray  # least number of observations that can show the requirement to be met


def judge(
    values: np.ndarray | Sample, requirement: Requirement, error: float, *, unknown: np.ndarray | bool = False
) -> Judged:
    r"""Judge for each case (row) whether observations show a requirement to be met, or not met; NaN is ignored.

    `error` is the probability of a wrong verdict, at most 1/2. `unknown` marks cases with rollouts that never end:
    their unknown values could break any limit. The verdict is ``met`` if the bound on the far side of the limit keeps
    within it, ``not met`` if the bound on the near side is beyond it; a value at the limit meets it.

    Notes
    -----
    One lower and one upper bound, each wrong with probability `error`: exact for a rate (Clopper and Pearson); between
    order statistics for a quantile, which is the exact test of the rate :math:`P(X \le limit)` against the quantile's
    probability; Student's for a mean, farther out where values are skewed (`simdeploy.statistics.combining.combine`). Only one of the
    two verdicts can be wrong, whatever the true value, so a verdict is wrong with probability at most `error`, and several looks at
    the same requirement with at most the sum of theirs, by Boole's inequality (Feller 1968 [1]_, section IV.5).

    Bounds of means are approximate. A mean is undecided below 1,000 observations, and where its limits can't be trusted
    (`docs/estimates.md`). Only where values are known not to be negative, fewer may show that a mean is above its limit: by an exact
    bound (`simdeploy.statistics.nonnegative.limit_from_below`). At 5 %, an upper bound errs in 4.9 % of samples of 1,000 lognormal values (sigma 1), a lower one in 3.2 %.

    References
    ----------
    .. [1] Feller, W. (1968). An Introduction to Probability Theory and Its Applications, vol. I, 3rd edition. Wiley.

    Examples
    --------
    >>> import numpy as np
    >>> from simdeploy.scenario.measures import parse_requirement
    >>> requirement = parse_requirement("false_alarm given good <= 1%")
    >>> [judge(np.zeros((1, n)), requirement, 0.05).verdict.item() for n in (298, 299)]
    ['undecided', 'met']
    """
    estimates = estimate_rows(values, requirement.measure, 1 - 2 * error)
    fewest = np.full(len(values), fewest_observations(requirement, error), dtype=float)
    is_enough = np.ones(len(values), dtype=bool)
    if requirement.measure.kind == "mean":
        is_enough = estimates.n >= fewest
        fewest = np.fmax(fewest, np.ceil(estimates.n * (estimates.skewness / MOST_SKEWED) ** 2))
    shows_missed = is_enough
    if requirement.at_most is not None and isinstance(values, Sample) and values.never_negative and not is_enough.all():
        # An exact limit: events that too few worlds show can only raise the mean.
        least = limit_from_below(values, error)
        estimates = estimates._replace(
            low=np.where(is_enough, estimates.low, least), trusts_low=np.where(is_enough, estimates.trusts_low, True)
        )
        shows_missed = np.ones(len(values), dtype=bool)
    low, high = (estimates.low, estimates.trusts_low), (estimates.high, estimates.trusts_high)
    (best, trusts_best), (worst, trusts_worst) = (high, low) if requirement.at_most is None else (low, high)
    is_missed = shows_missed & trusts_best & requirement.is_broken_by(best)
    is_met = is_enough & trusts_worst & ~requirement.is_broken_by(worst)
    verdict = np.select([unknown | ~(is_missed | is_met), is_missed], [UNDECIDED, MISSED], MET).astype(_DTYPE)
    return Judged(verdict, estimates.estimate, estimates.low, estimates.high, estimates.n, fewest)


def why_undecided(requirement: Requirement, n: int, fewest: float, unknown_fraction: float) -> str:
    """Return why observations leave a requirement undecided.

    There are `n` of them; at least `fewest` are needed to show the requirement to be met (`Judged`). A fraction `unknown_fraction` of the
    rollouts have an unknown value, because they never end.

    Examples
    --------
    >>> from simdeploy.scenario.measures import parse_requirement
    >>> why_undecided(parse_requirement("makespan_s <= 10m"), 400, FEWEST_OF_A_MEAN, 0.0)
    'a mean needs at least 1,000 observations; there are 400'
    """
    given, limit = requirement.measure.given, requirement.limit
    if unknown_fraction > 0:
        relevant = "" if given is None else "relevant "
        return f"{100 * unknown_fraction:.3g} % of the {relevant}rollouts never end"
    if n == 0:
        return "no rollout has a value" if given is None else f"no rollout has a value under the condition {given}"
    if math.isinf(fewest):
        return f"no number of rollouts can confirm a rate of exactly {limit:g}"
    if requirement.measure.kind == "mean" and n < FEWEST_OF_A_MEAN:
        return f"a mean needs at least {FEWEST_OF_A_MEAN:,} observations; there are {n:,}"
    if n < fewest:
        return f"at least {fewest:,.0f} observations are needed; there are {n:,}"
    return IN_INTERVAL


def join(verdicts: np.ndarray) -> np.ndarray:
    """Return one verdict per case (row) on several requirements (columns) together.

    Examples
    --------
    >>> join(np.array([["met", "undecided"], ["not met", "undecided"], ["met", "met"]])).tolist()
    ['undecided', 'not met', 'met']
    """
    missed, met = (verdicts == MISSED).any(axis=1), (verdicts == MET).all(axis=1)
    return np.select([missed, met], [MISSED, MET], UNDECIDED).astype(_DTYPE)


def fewest_observations(requirement: Requirement, error: float) -> float:
    """Return the fewest observations that can show a requirement to be met; infinite if none can.

    Examples
    --------
    >>> from simdeploy.scenario.measures import parse_requirement
    >>> [fewest_observations(parse_requirement(text), 0.05) for text in ("escaped <= 0", "p95 makespan_s <= 10m")]
    [inf, 59]
    """
    measure, limit = requirement.measure, requirement.limit
    if measure.kind == "mean":
        return FEWEST_OF_A_MEAN
    # n observations with probability p all agree with probability p**n, which must be below `error`.
    if measure.quantile is not None:
        probability = measure.quantile if requirement.at_least is None else 1 - measure.quantile
    else:
        probability = 1 - limit if requirement.at_least is None else limit
    if probability >= 1:
        return math.inf
    return math.ceil(math.log(error) / math.log(probability)) if probability > 0 else 1


@dataclass(frozen=True)
class Feasibility:
    """How one policy compares with its requirements.

    A requirement without an estimate (`escaped given defective` without a defective release) counts as met.
    """

    is_met: bool  # no estimate is on the wrong side of its limit
    verdict: RequirementVerdict  # by `judge`: all are met, one is not, or undecided
    broken: tuple[str, ...]  # requirements that the estimates break
    is_known: bool  # whether every rollout that the requirements cover has ended


def judge_each(
    values: Values, requirements: Sequence[Requirement], *, confidence_level: float
) -> Iterator[tuple[np.ndarray, Judged, np.ndarray]]:
    """Judge each requirement: yield the cases of its policy, their verdicts, and `Values.unknown_fractions`.

    `confidence_level` is that of the verdict on each requirement separately; below 1/2 it counts as 1/2.
    """
    policies = values.cases["policy"]
    error = min(1 - confidence_level, 0.5)
    for requirement in requirements:
        cases = np.flatnonzero(policies.isin([requirement.policy]) | (requirement.policy is None))
        unknown = values.unknown_fractions(requirement.measure)[cases]
        yield cases, judge(values.sample(requirement.measure)[cases], requirement, error, unknown=unknown > 0), unknown


def judge_requirements(
    values: Values, requirements: Sequence[Requirement], *, confidence_level: float
) -> tuple[Feasibility, ...]:
    """Judge every case by its policy's requirements together; a case without requirements meets them."""
    shape = (len(values.cases), len(requirements))
    verdicts, is_broken, is_unknown = np.full(shape, MET, dtype=_DTYPE), np.zeros(shape, bool), np.zeros(shape, bool)
    for place, of_requirement in enumerate(judge_each(values, requirements, confidence_level=confidence_level)):
        cases, judged, unknown = of_requirement
        verdicts[cases, place], is_unknown[cases, place] = judged.verdict, unknown > 0
        is_broken[cases, place] = requirements[place].is_broken_by(judged.estimate)
    names = [str(requirement) for requirement in requirements]
    return tuple(
        Feasibility(not broken.any(), verdict, tuple(compress(names, broken)), not unknown.any())
        for verdict, broken, unknown in zip(join(verdicts).tolist(), is_broken, is_unknown, strict=True)
    )


def plan_looks(most: int, first: int = FIRST_LOOK) -> tuple[int, ...]:
    """Return the numbers of replications at which to look: `first`, then doubling, and finally `most`.

    Examples
    --------
    >>> plan_looks(1000), plan_looks(50)
    ((100, 200, 400, 800, 1000), (50,))
    """
    looks = []
    look = first
    while look < most:
        looks.append(look)
        look *= 2
    return (*looks, most)
