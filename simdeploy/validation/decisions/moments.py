"""Probabilities of the states of a rollout, with the first two moments of each account's payments so far.

An array has layers along its first axis: the probability of each state, and the sums (expectations over that part of all
rollouts) of U, U**2, and per account C, C * U and C**2. U is the number of nodes that failed to start, C the account's
payments. All payments are linear in U, so these moments stay exact.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_P, _U, _UU, _PER_ACCOUNT = 0, 1, 2, 3


def start(accounts: int) -> np.ndarray:
    """Return the only state before the first wave: no node has failed."""
    moments = np.zeros((3 + 3 * accounts, 1))
    moments[_P] = 1.0
    return moments


def probability(moments: np.ndarray) -> float:
    """Return the probability of all states together."""
    return float(moments[_P].sum())


def paid(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, by account, the sums of C and of C**2."""
    c, _, cc = _accounts(moments)
    states = tuple(range(1, c.ndim))
    return c.sum(axis=states), cc.sum(axis=states)


def pay(moments: np.ndarray, fixed: np.ndarray, per_unstarted: np.ndarray | None = None) -> np.ndarray:
    """Add ``fixed + per_unstarted * U``, by account, to the payments in every state."""
    p, u, uu = moments[:_PER_ACCOUNT]
    c, cu, cc = _accounts(moments)
    by_account = (-1, *(1 for _ in p.shape))
    fixed = fixed.reshape(by_account)
    # E[(fixed + slope * U)] and the same times U.
    if per_unstarted is None:
        payment, times_u = fixed * p, fixed * u
        squares = cc + 2 * (fixed * c) + fixed * payment
    else:
        slope = per_unstarted.reshape(by_account)
        payment, times_u = fixed * p + slope * u, fixed * u + slope * uu
        squares = cc + 2 * (fixed * c + slope * cu) + fixed * payment + slope * times_u
    following = moments.copy()
    paid, paid_u, paid_squares = _accounts(following)
    paid += payment
    paid_u += times_u
    paid_squares[...] = squares
    return following


def _accounts(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sums of C, C * U and C**2, by account."""
    n = (len(moments) - _PER_ACCOUNT) // 3
    first = _PER_ACCOUNT
    return moments[first : first + n], moments[first + n : first + 2 * n], moments[first + 2 * n :]


def start_wave(moments: np.ndarray, nodes: int, failure: float) -> np.ndarray:
    """Start a wave: convert states by failed nodes (last axis) to states by failed and unresolved nodes."""
    n_failed = moments.shape[1]
    fail = np.arange(nodes + 1)[:, None]
    p, u, _ = moments[:_PER_ACCOUNT]
    c, _, _ = _accounts(moments)
    split = np.repeat(moments[:, None], nodes + 1, axis=1)
    split[_U] += fail * p
    split[_UU] += 2 * fail * u
    split[_UU] += fail**2 * p
    _, split_cu, _ = _accounts(split)
    split_cu += fail * c[:, None]
    split *= binomial(nodes, failure)[nodes][:, None]
    following = np.zeros((len(moments), n_failed + nodes, nodes + 1))
    for n in range(nodes + 1):
        following[:, n : n + n_failed, nodes - n] = split[:, n]
    return following


def fail_some(moments: np.ndarray, failure: float, *, n_failed: int) -> np.ndarray:
    """Let each unresolved node fail with a probability; return the states with fewer than `n_failed` failed nodes."""
    layers, reached, most = moments.shape
    if not failure and reached == n_failed:
        return moments
    following = np.zeros((layers, n_failed, most))
    following[:, :reached] = moments
    if failure:
        chances = binomial(most - 1, failure)
        following[:, :reached] *= chances[:, 0]
        for fail in range(1, most):
            # No state has more failed nodes than there were nodes, so the rows cut off here are empty.
            to = following[:, fail : fail + reached, : most - fail]
            to += moments[:, : to.shape[1], fail:] * chances[fail:, fail]
    return following


def run_some(moments: np.ndarray, running: float) -> np.ndarray:
    """Let each unresolved node be running with a probability."""
    if not running:
        return moments
    following: np.ndarray = moments @ _passing(moments.shape[2] - 1, running)
    return following


@lru_cache(maxsize=4096)
def _passing(most: int, running: float) -> np.ndarray:
    """Return at [r, r - k] the probability that k of r unresolved nodes are running, for r up to `most`."""
    table = np.zeros((most + 1, most + 1))
    for before, chances in enumerate(binomial(most, running)):
        table[before, : before + 1] = chances[: before + 1][::-1]
    table.setflags(write=False)
    return table


@lru_cache(maxsize=4096)
def binomial(most: int, chance: float) -> np.ndarray:
    """Return at [n, k] the probability of k successes among n, for n up to `most`."""
    from scipy.stats import binom

    n = np.arange(most + 1)
    table = np.asarray(binom.pmf(n[None, :], n[:, None], chance))
    table.setflags(write=False)
    return table
