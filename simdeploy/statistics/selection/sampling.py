"""Where observations come from, and what they and the arguments of a selection must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from simdeploy.errors import InputError, Problem, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


class Sampler(Protocol):
    """Makes observations of candidates; the lower their mean, the better."""

    def __call__(self, candidates: np.ndarray, first: int, count: int) -> np.ndarray:
        """Make observations `first` to `first + count - 1` of these candidates.

        Parameters
        ----------
        candidates : ndarray of int
        first, count : int
            The same observation number means the same random world for all candidates (common random numbers), and
            gives the same value whenever it is asked for. Different numbers are independent.

        Returns
        -------
        ndarray of float
            Of shape ``(len(candidates), count)``.
        """


def observe(sample: Sampler, candidates: np.ndarray, first: int, count: int) -> np.ndarray:
    """Ask a sampler, and refuse what no procedure could judge.

    Raises
    ------
    ValueError
        If the observations have another shape, or one of them is not a finite number. A candidate whose rollouts may
        have no value has no mean that could be the lowest: it is to be left out beforehand.
    """
    import numpy as np

    values = np.asarray(sample(candidates, first, count), dtype=float)
    if values.shape != (len(candidates), count):
        raise ValueError(f"the sampler gave observations of shape {values.shape}, not {(len(candidates), count)}")
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        raise ValueError(f"observation {first + column} of candidate {candidates[row]} is {values[row, column]}")
    return values


def read_candidates(candidates: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the candidates as an array; at least one, and all different."""
    import numpy as np

    ids = np.asarray(candidates)
    if ids.ndim != 1 or not len(ids) or ids.dtype.kind not in "iu":
        raise InputError(
            Problem("no candidates", ("candidates",), allowed="one whole number or more, in one dimension")
        )
    if len(np.unique(ids)) < len(ids):
        raise InputError(Problem("a candidate occurs twice", ("candidates",), allowed="different numbers"))
    return ids.astype(np.int64)


def error_probability_problems(alpha: float) -> list[Problem]:
    """Say what is wrong with a probability of error."""
    if 0 < alpha < 0.5:
        return []
    # From one half on the bounds turn round: the best of two would be dropped for a lead of nothing.
    return [Problem("no probability of error", ("alpha",), found=shorten(alpha), allowed="above 0 and below 0.5")]


def number_problems(name: str, number: float, least: int) -> list[Problem]:
    """Say what is wrong with a count."""
    if number >= least:
        return []
    return [Problem("too few", (name,), found=shorten(number), allowed=f"a whole number of at least {least}")]
