"""The procedure of Kim and Nelson: eliminate candidates round by round until one is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from simdeploy.errors import Problem, raise_if_any, shorten
from simdeploy.statistics.selection import selected
from simdeploy.statistics.selection.selected import Round, Sampler, Selection

# The variances of all differences take 8 bytes each: 128 MB for this many candidates.
MOST_CANDIDATES = 4000


def select_kim_nelson(
    sample: Sampler,
    candidates: Sequence[int] | np.ndarray,
    *,
    indifference: float,
    alpha: float,
    n0: int,
    batch: int = 1,
    most: int | None = None,
    budget: int | None = None,
    start: int = 0,
    unseen: float | None = None,
    report: Callable[[Round], None] | None = None,
) -> Selection:
    """Select the candidate with the lowest mean, with a stated probability.

    Parameters
    ----------
    sample : Sampler
        Makes the observations; common random numbers speed it up without affecting the guarantee.
    candidates : sequence of int
        At most 4,000. If there are more, `screen` them first, with a part of `alpha` and other observations.
    indifference : float
        Smallest difference that matters, in the unit of the observations, above 0.
    alpha : float
        Largest probability of a wrong choice, below 0.5.
    n0 : int
        Batches of the first round, at least 2. Variances are estimated from these alone, so use 10 or more.
    batch : int, default 1
        Observations averaged into one batch. The theory assumes normal batches, which averages of skewed costs or rare
        events approach. The first round must contain the events in which candidates differ.
    most : int, optional
        Most observations of one candidate (not batches). Without it, a close race continues until it is decided.
    budget : int, optional
        Most observations of all candidates together; the first round is always made.
    start : int, default 0
        Number of the first observation. Observations that chose the candidates must not be reused: after `screen` over
        n observations start at n.
    unseen : float, optional
        How far an event that may not have occurred yet would move the mean of a batch. If given, variances are estimated
        from all batches so far, and are at least as large as one such event would make them.
    report : callable, optional
        Called with each `Round`.

    Returns
    -------
    Selection
        Its `probability_correct` is 1 - alpha if it is decided. Counts are of observations, not batches.

    Raises
    ------
    InputError
        If an argument is out of its range, before anything is sampled.
    ValueError
        If an observation is not a finite number.

    Notes
    -----
    Procedure KN of Kim and Nelson (2001 [1]_), for minimisation, with c = 1 and the error divided by Bonferroni's inequality. Each look
    comes after a quarter more batches, instead of after every batch. With `unseen`, variances are updated at every look, as in KN++ [2]_,
    and the guarantee is asymptotic. `docs/methods.md` has the equations and the proof for fewer looks.

    If the best is better than all others by at least `indifference`, it is selected with probability at least 1 - `alpha`, exactly
    for normal observations. Candidates within `indifference` of the best count as equally good, and any of them may be selected.

    References
    ----------
    .. [1] Kim, S.-H. and Nelson, B. L. (2001). A fully sequential procedure for indifference-zone selection in
       simulation. ACM Transactions on Modeling and Computer Simulation 11(3), 251-273.
    .. [2] Kim, S.-H. and Nelson, B. L. (2006). On the asymptotic validity of fully sequential selection procedures for
       steady-state simulation. Operations Research 54(3), 475-488.

    Examples
    --------
    >>> import numpy as np
    >>> def sample(candidates, first, count):
    ...     worlds = [np.random.default_rng(number).normal(size=3) for number in range(first, first + count)]
    ...     return np.transpose(worlds)[candidates] + np.array([5.0, 5.5, 7.0])[candidates, None]
    >>> selection = select_kim_nelson(sample, [0, 1, 2], indifference=0.5, alpha=0.05, n0=10)
    >>> selection
    <Selection: Candidate 0 is the best of 3 with probability at least 0.95.>
    >>> selection.n_used[2] < selection.n_used[0]
    np.True_
    """
    from scipy.spatial.distance import cdist

    ids = selected.read_candidates(candidates)
    _refuse(len(ids), indifference, alpha, n0, batch, most, start)
    if len(ids) == 1:
        return selected.select_only(ids)

    def average(standing: np.ndarray, first: int, count: int) -> np.ndarray:
        values = selected.observe(sample, ids[standing], start + first * batch, count * batch)
        batches: np.ndarray = values.reshape(len(standing), count, batch).mean(axis=2)
        return batches

    standing, r = np.arange(len(ids)), n0
    batches = average(standing, 0, n0)
    sums, squares = batches.sum(axis=1), variances_of_differences(batches) * (n0 - 1)
    # Deviations from the first means preserve the precision of sums of squares.
    first_means, deviations = sums / n0, np.zeros(len(ids))
    means, n_used = np.empty(len(ids)), np.empty(len(ids), dtype=np.int64)
    rounds: list[Round] = []
    while True:
        means[standing], n_used[standing] = sums / r, r * batch
        if not rounds or unseen is not None:
            variances = (squares - (deviations[:, None] - deviations) ** 2 / r) / (r - 1)
            if unseen is not None:
                variances = np.where(np.eye(len(standing), dtype=bool), 0.0, np.maximum(variances, unseen**2 / r))
            # The number of batches at which the continuation region of each pair ends: h^2 S^2 / delta^2.
            ends = 2 * find_eta(len(ids), r, alpha) * (r - 1) * variances / indifference**2
        margins = np.maximum(0, indifference / (2 * r) * (ends - r))
        stays = (means[standing, None] - means[standing] <= margins).all(axis=1)
        standing, sums, ends = standing[stays], sums[stays], ends[np.ix_(stays, stays)]
        squares, deviations = squares[np.ix_(stays, stays)], deviations[stays]
        rounds.append(Round(len(rounds) + 1, r * batch, len(standing), int(n_used.sum())))
        if report is not None:
            report(rounds[-1])
        last = math.floor(ends.max()) + 1
        is_decided = len(standing) == 1 or r >= last
        following = min(next_look(r), last)
        if most is not None:
            following = min(following, most // batch)
        if budget is not None:
            following = min(following, r + (budget - int(n_used.sum())) // (len(standing) * batch))
        if is_decided or following <= r:
            break
        batches = average(standing, r, following - r)
        sums += batches.sum(axis=1)
        if unseen is not None:
            batches -= first_means[standing, None]
            squares += cdist(batches, batches, "sqeuclidean")
            deviations += batches.sum(axis=1)
        r = following
    survivors = ids[standing[np.argsort(means[standing], kind="stable")]]
    return Selection(
        candidates=ids,
        best=int(survivors[0]),
        survivors=survivors,
        means=means,
        n_used=n_used,
        n_observations=int(n_used.sum()),
        n_needed=int(n_used.sum()) + (0 if is_decided else (last - r) * len(standing) * batch),
        is_decided=is_decided,
        probability_correct=1 - alpha if is_decided else math.nan,
        rounds=selected.tabulate_rounds(rounds),
    )


def find_eta(k: int, n0: int, alpha: float) -> float:
    """Return the procedure's constant eta for c = 1 and common random numbers.

    Examples
    --------
    >>> round(find_eta(2, 3, 0.125), 12)
    1.5
    """
    return (math.pow(2 * alpha / (k - 1), -2 / (n0 - 1)) - 1) / 2


def variances_of_differences(values: np.ndarray) -> np.ndarray:
    """Return the sample variance of the difference of every two rows.

    Examples
    --------
    >>> import numpy as np
    >>> variances_of_differences(np.array([[0.0, 2.0], [5.0, 5.0]]))
    array([[0., 2.],
           [2., 0.]])
    """
    from scipy.spatial.distance import cdist

    # From the differences, because var(i) + var(l) - 2 cov(i, l) loses precision if common random numbers work well.
    centred = values - values.mean(axis=1, keepdims=True)
    variances: np.ndarray = cdist(centred, centred, "sqeuclidean") / (values.shape[1] - 1)
    return variances


def next_look(r: int) -> int:
    """Return the number of batches at the next look.

    Examples
    --------
    >>> next_look(2), next_look(100)
    (3, 125)
    """
    return r + max(1, r // 4)


def _refuse(k: int, indifference: float, alpha: float, n0: int, batch: int, most: int | None, start: int) -> None:
    problems = selected.error_probability_problems(alpha) + selected.number_problems("n0", n0, 2)
    problems += selected.number_problems("batch", batch, 1) + selected.number_problems("start", start, 0)
    if not 0 < indifference < math.inf:
        found = shorten(indifference)
        problems.append(Problem("invalid indifference", ("indifference",), found=found, allowed="above 0"))
    if k > MOST_CANDIDATES:
        allowed = f"at most {MOST_CANDIDATES:,}"
        problems.append(Problem("too many", ("candidates",), found=f"{k:,}", allowed=allowed, hint="screen them first"))
    if not problems and most is not None and most < n0 * batch:
        allowed = f"at least n0 x batch, {n0 * batch:,}"
        problems.append(Problem("budget too small for the first round", ("most",), found=f"{most:,}", allowed=allowed))
    raise_if_any(problems)
