"""Dealing failures to waves and verdicts to nodes, with the logarithm of the factor by which each changes the world's weight."""

from __future__ import annotations

import numpy as np


def split_failures(
    total: np.ndarray,  # failures in both groups, by world
    here: tuple[int, np.ndarray],  # number of nodes, and the probability that one of them failed
    rest: tuple[int, np.ndarray],  # the same for the others
    u: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Split failures between two groups of nodes, as if each node failed with its group's probability.

    Return the failures in the first group, and log weights: -inf where no split is possible.

    Examples
    --------
    >>> failed, log_weights = split_failures(np.array([1]), (1, np.array([0.5])), (3, np.array([0.5])), np.array([0.1]))
    >>> failed.tolist(), np.exp(-log_weights).round(2).tolist()
    ([0], [0.75])
    """
    from scipy.special import gammaln, xlog1py, xlogy

    def log_binomial(k: np.ndarray, n: int, p: np.ndarray) -> np.ndarray:
        inside = (k >= 0) & (k <= n)
        k = np.clip(k, 0, n)
        ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
        return np.where(inside, ways + xlogy(k, p) + xlog1py(n - k, -p), -np.inf)

    numbers = np.arange(min(here[0], int(total.max(initial=0))) + 1)[:, np.newaxis]
    logs = log_binomial(numbers, *here) + log_binomial(total - numbers, *rest)
    best = logs.max(axis=0)
    fits = np.isfinite(best)
    chances = np.exp(np.where(fits, logs - np.where(fits, best, 0.0), -np.inf))
    cumulated = np.cumsum(chances, axis=0)
    chosen = np.minimum((cumulated < u * cumulated[-1]).sum(axis=0), len(numbers) - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_weights = -np.log(chances[chosen, np.arange(len(total))] / cumulated[-1])
    return chosen, np.where(fits, log_weights, -np.inf)


def deal_verdicts(
    places: np.ndarray,  # of the nodes' laws, shape (worlds, nodes)
    chances: np.ndarray,  # shape (laws, verdicts, worlds)
    means: np.ndarray,  # over the nodes of the wave, shape (verdicts, worlds)
    left: np.ndarray,  # how many of each verdict are to be dealt, shape (verdicts, worlds)
    u: np.ndarray,  # uniforms of shape (worlds, nodes)
) -> tuple[np.ndarray, np.ndarray]:
    """Deal the verdicts of a wave to its nodes, one after the other.

    Return the dealt verdicts, shape (worlds, nodes), and log weights by world: -inf or NaN where they can't be dealt.

    Examples
    --------
    One of two identical nodes failed, which has the probability 2 x 0.9 x 0.1:

    >>> chances = np.array([[[0.9], [0.1]]])
    >>> dealt, log_weights = deal_verdicts(np.zeros((1, 2), int), chances, chances[0], np.array([[1], [1]]), np.full((1, 2), 0.3))
    >>> dealt.tolist(), np.exp(log_weights).round(2).tolist()
    ([[0, 1]], [0.18])
    """
    n_worlds, n_nodes = places.shape
    worlds, log_weights = np.arange(n_worlds), np.zeros(n_worlds)
    dealt = np.zeros(places.shape, dtype=np.int64)
    relative = np.divide(chances, means, out=np.zeros_like(chances), where=means > 0)
    is_alike = bool((places == places[:1, :1]).all())
    left = left.astype(float)
    for node in range(n_nodes):
        law = places[:, node]
        shares = left * (relative[places[0, 0]] if is_alike else relative[law, :, worlds].T)
        cumulated = np.cumsum(shares, axis=0)
        chosen = np.minimum((cumulated < u[:, node] * cumulated[-1]).sum(axis=0), len(left) - 1)
        dealt[:, node] = chosen
        with np.errstate(divide="ignore", invalid="ignore"):
            log_weights += np.log(chances[law, chosen, worlds]) - np.log(shares[chosen, worlds] / cumulated[-1])
        left[chosen, worlds] = np.maximum(left[chosen, worlds] - 1, 0)
    return dealt, log_weights
