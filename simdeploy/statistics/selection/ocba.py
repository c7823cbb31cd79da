"""Optimal computing budget allocation: spends a fixed number of observations where they help the selection most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simdeploy.errors import Problem, raise_if_any
from simdeploy.statistics.selection import selected
from simdeploy.statistics.selection.selected import Round, Sampler, Selection

# Smaller fractions of the largest difference count as this fraction, because the rule divides by differences.
_NEAREST = 1e-6


def select_ocba(
    sample: Sampler,
    candidates: Sequence[int] | np.ndarray,
    *,
    budget: int,  # observations of all candidates together, all of which are made; at least `n0` of each
    n0: int,  # initial observations of each candidate, at least 2; use 10 or more, enough to see rare events
    step: int,  # observations between two allocations
    start: int = 0,  # number of the first observation
) -> Selection:
    r"""Select the candidate with the lowest mean within a budget, without a guarantee.

    The selection is never `is_decided`; all candidates are `survivors`, sorted by their means. Its `probability_correct` is the estimate
    below.

    Raises
    ------
    InputError
        If an argument is out of its range, before anything is sampled.
    ValueError
        If an observation is not a finite number.

    Notes
    -----
    The sequential algorithm of Chen, Lin, Yücesan and Chick (2000 [1]_) with the allocation of their theorem 1, see
    `allocate`. After each step the allocation of all observations so far plus one more step is computed from the
    current means and variances, and the step goes to candidates below their target. The probability is their APCS, by
    Bonferroni's inequality, with `b` the candidate with the lowest mean and `N` the numbers of observations:

    .. math:: 1 - \sum_{i \ne b} \Phi\left( -\frac{\bar x_i - \bar x_b}{\sqrt{s_b^2 / N_b + s_i^2 / N_i}} \right)

    and at least 0. It uses sample moments for the true ones: an approximation, too optimistic after few observations.

    Both assume independent observations. Common random numbers, mostly positively correlated, make the probability
    conservative; but candidates meet different numbers of worlds, so common effects don't cancel in the differences of
    their means. With correlations above about 0.8, equal numbers of observations do better than this allocation; use
    `select_kim_nelson` with `most` instead.

    References
    ----------
    .. [1] Chen, C.-H., Lin, J., Yücesan, E. and Chick, S. E. (2000). Simulation budget allocation for further
       enhancing the efficiency of ordinal optimization. Discrete Event Dynamic Systems 10(3), 251-270.

    Examples
    --------
    >>> import numpy as np
    >>> def sample(candidates, first, count):
    ...     worlds = [np.random.default_rng(number).normal(size=3) for number in range(first, first + count)]
    ...     return np.transpose(worlds)[candidates] + np.array([5.0, 5.5, 7.0])[candidates, None]
    >>> selection = select_ocba(sample, [0, 1, 2], budget=300, n0=10, step=20)
    >>> selection.best, selection.n_observations
    (0, 300)
    """
    ids = selected.read_candidates(candidates)
    problems = selected.number_problems("n0", n0, 2) + selected.number_problems("step", step, 1)
    problems += selected.number_problems("start", start, 0)
    if not problems and budget < n0 * len(ids):
        allowed = f"at least n0 of each candidate, {n0 * len(ids):,}"
        problems.append(Problem("budget too small to begin", ("budget",), found=f"{budget:,}", allowed=allowed))
    raise_if_any(problems)
    if len(ids) == 1:
        return selected.select_only(ids)
    values = selected.observe(sample, ids, start, n0)
    # Sums are of deviations from the first value, which preserves the precision of the variance.
    offsets = values[:, 0].copy()
    n, sums, squares = np.full(len(ids), n0), np.zeros(len(ids)), np.zeros(len(ids))

    def add(rows: np.ndarray, values: np.ndarray) -> None:
        deviations = values - offsets[rows, None]
        sums[rows] += deviations.sum(axis=1)
        squares[rows] += (deviations**2).sum(axis=1)

    add(np.arange(len(ids)), values)
    rounds: list[Round] = []
    while True:
        means = offsets + sums / n
        variances = np.maximum(squares - sums**2 / n, 0) / (n - 1)
        spent = int(n.sum())
        rounds.append(Round(len(rounds) + 1, int(n[means.argmin()]), len(ids), spent))
        if spent == budget:
            break
        more = share_out(allocate(means, variances, min(spent + step, budget)), n)
        # One call for all candidates that need the same observations.
        needed = set(zip(n[more > 0].tolist(), more[more > 0].tolist(), strict=True))
        for first, count in sorted(needed):
            rows = np.flatnonzero((n == first) & (more == count))
            add(rows, selected.observe(sample, ids[rows], start + first, count))
        n += more
    order = np.argsort(means, kind="stable")
    return Selection(
        candidates=ids,
        best=int(ids[order[0]]),
        survivors=ids[order],
        means=means,
        n_used=n,
        n_observations=budget,
        n_needed=budget,
        is_decided=False,
        probability_correct=estimate_probability(means, variances, n),
        rounds=selected.tabulate_rounds(rounds),
    )


def allocate(means: np.ndarray, variances: np.ndarray, total: float) -> np.ndarray:
    r"""Allocate `total` observations to candidates to maximize the probability of a correct choice.

    Means and variances are those of one observation of each candidate.

    Notes
    -----
    Theorem 1 of Chen, Lin, Yücesan and Chick (2000), which maximises the APCS as `total` grows: with `b` the candidate
    with the lowest mean and :math:`\delta_i = \bar x_i - \bar x_b`,

    .. math::

        N_i / N_j = \left( \frac{\sigma_i / \delta_i}{\sigma_j / \delta_j} \right)^2 \quad (i, j \ne b), \qquad
        N_b = \sigma_b \sqrt{\sum_{i \ne b} N_i^2 / \sigma_i^2}.

    A candidate without variance gets no more observations; if none has any variance, all get the same number. A mean equal
    to the best one counts as very close to it.

    Examples
    --------
    >>> import numpy as np
    >>> allocate(np.array([0.0, 3.0, 4.0]), np.array([1.0, 9.0, 16.0]), 290).round()
    array([ 50., 120., 120.])
    """
    best = int(means.argmin())
    others = np.arange(len(means)) != best
    differences = means - means[best]
    differences = np.maximum(differences, _NEAREST * differences.max()) if differences.max() > 0 else differences + 1
    weights = variances / differences**2
    weights[best] = np.sqrt(variances[best] * (variances[others] / differences[others] ** 4).sum())
    if not weights.any():
        weights[:] = 1
    allocation: np.ndarray = weights / weights.sum() * total
    return allocation


def share_out(targets: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return how many more observations each candidate gets, so that the total is the sum of the targets.

    Candidates above their target get none; the others share the rest in proportion to their shortfall, rounded by the
    largest remainders.

    Examples
    --------
    >>> import numpy as np
    >>> share_out(np.array([10.0, 25.0, 15.0]), np.array([20, 10, 10]))
    array([0, 8, 2])
    """
    extra = round(float(targets.sum())) - int(n.sum())
    lacks = np.maximum(targets - n, 0)
    shares = lacks / lacks.sum() * extra
    more: np.ndarray = np.floor(shares).astype(np.int64)
    more[np.argsort(more - shares, kind="stable")[: extra - int(more.sum())]] += 1
    return more


def estimate_probability(means: np.ndarray, variances: np.ndarray, n: np.ndarray) -> float:
    """Return the APCS: an approximate lower bound of the probability that the lowest mean is that of the best.

    Examples
    --------
    >>> import numpy as np
    >>> round(estimate_probability(np.array([0.0, 1.96]), np.array([5.0, 5.0]), np.array([10, 10])), 3)
    0.975
    """
    from scipy.special import ndtr

    best = int(means.argmin())
    others = np.arange(len(means)) != best
    differences = (means - means[best])[others]
    errors = np.sqrt(variances[best] / n[best] + (variances / n)[others])
    # Without variance a lead is certain, and a tie has the probability 1/2.
    leads = np.divide(differences, errors, out=np.where(differences > 0, np.inf, 0.0), where=errors > 0)
    return max(0.0, 1.0 - float(ndtr(-leads).sum()))
