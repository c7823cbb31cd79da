"""Input and output of a selection: observations, arguments and result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple, Protocol

import numpy as np

from simdeploy.errors import InputError, Problem, shorten
from simdeploy.result import Array, Columns, Result

if TYPE_CHECKING:
    import pandas as pd


class Round(NamedTuple):
    """Progress of a selection."""

    round: int  # from 1
    n: int  # observations so far of each remaining candidate; if they differ, of the one with the lowest mean
    survivors: int  # remaining candidates
    n_observations: int  # observations so far of all candidates together


_ROUND = dict.fromkeys(Round._fields, "int64")


@dataclass(frozen=True, eq=False, repr=False)
class Selection(Result):
    """The selected candidate, and the observations it took.

    Attributes
    ----------
    candidates : ndarray of int64
        All candidates, as given.
    best : int
        The remaining candidate with the lowest mean; the first of ties.
    survivors : ndarray of int64
        Candidates remaining at the end, the lowest mean first. If there are several although it is decided, their
        observations are equal.
    means : ndarray of float64
        Mean of each candidate's observations, in the order of `candidates`; NaN without observations.
    n_used : ndarray of int64
        Observations of each candidate, in the order of `candidates`.
    n_observations : int
        Observations of all candidates together.
    n_needed : int
        Observations at which it would be decided at the latest, as far as known; `n_observations` if it is decided, or if
        the procedure has no guarantee.
    is_decided : bool
        Whether the procedure finished, so its guarantee holds. False if the budget ran out before; always False for a
        procedure without a guarantee.
    probability_correct : float
        Probability of a correct choice: at least this if decided (under the procedure's conditions), about this without
        a guarantee, NaN if the budget ran out.
    rounds : DataFrame
        One row per round: `round`, `n`, `survivors`, `n_observations`, as in `Round`.
    """

    candidates: Annotated[np.ndarray, Array("int64")]
    best: int
    survivors: Annotated[np.ndarray, Array("int64")]
    means: Annotated[np.ndarray, Array("float64")]
    n_used: Annotated[np.ndarray, Array("int64")]
    n_observations: int
    n_needed: int
    is_decided: bool
    probability_correct: float
    rounds: Annotated[pd.DataFrame, Columns(_ROUND)]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per candidate: `candidate`, `mean`, `n_used`, `survives`."""
        import pandas as pd

        survives = np.isin(self.candidates, self.survivors)
        columns = {"candidate": self.candidates, "mean": self.means, "n_used": self.n_used, "survives": survives}
        return pd.DataFrame(columns)


def tabulate_rounds(rounds: Iterable[Round]) -> pd.DataFrame:
    """Return rounds as a table of whole numbers, even if empty."""
    import pandas as pd

    numbers = np.array(list(rounds), dtype=np.int64).reshape(-1, len(_ROUND))
    return pd.DataFrame(numbers, columns=list(_ROUND))


def select_only(candidates: np.ndarray) -> Selection:
    """Return the selection of a single candidate, which takes no observation."""
    return Selection(
        candidates=candidates,
        best=int(candidates[0]),
        survivors=candidates,
        means=np.full(1, math.nan),
        n_used=np.zeros(1, dtype=np.int64),
        n_observations=0,
        n_needed=0,
        is_decided=True,
        probability_correct=1.0,
        rounds=tabulate_rounds([]),
    )


class Sampler(Protocol):
    """Makes observations of candidates; the lower their mean, the better."""

    def __call__(self, candidates: np.ndarray, first: int, count: int) -> np.ndarray:
        """Make observations `first` to `first + count - 1` of these candidates.

        Parameters
        ----------
        first, count : int
            An observation number is the same random world for all candidates (common random numbers), and always gives
            the same value. Different numbers are independent.

        Returns
        -------
        ndarray of float
            Of shape ``(len(candidates), count)``.
        """


def observe(sample: Sampler, candidates: np.ndarray, first: int, count: int) -> np.ndarray:
    """Call a sampler; raise `ValueError` for a wrong shape, or numbers that are not finite.

    Leave out beforehand candidates whose rollouts may have no value: their mean can't be compared.
    """
    values = np.asarray(sample(candidates, first, count), dtype=float)
    if values.shape != (len(candidates), count):
        raise ValueError(f"the sampler gave observations of shape {values.shape}, not {(len(candidates), count)}")
    are_finite = np.isfinite(values)
    if not are_finite.all():
        row, column = np.argwhere(~are_finite)[0]
        raise ValueError(f"observation {first + column} of candidate {candidates[row]} is {values[row, column]}")
    return values


def read_candidates(candidates: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the candidates as an array; there must be at least one, and all different."""
    ids = np.asarray(candidates)
    if ids.ndim != 1 or not len(ids) or ids.dtype.kind not in "iu":
        raise InputError(
            Problem("no candidates", ("candidates",), allowed="one or more whole numbers, in one dimension")
        )
    if len(np.unique(ids)) < len(ids):
        raise InputError(Problem("duplicate candidate", ("candidates",), allowed="different numbers"))
    return ids.astype(np.int64)


def error_probability_problems(alpha: float) -> list[Problem]:
    """Return the problems of an error probability."""
    if 0 < alpha < 0.5:
        return []
    # From one half on the bounds reverse: the better of two would be eliminated without any lead.
    return [Problem("invalid probability of error", ("alpha",), found=shorten(alpha), allowed="above 0 and below 0.5")]


def number_problems(name: str, number: float, least: int) -> list[Problem]:
    """Return the problems of a count."""
    if number >= least:
        return []
    return [Problem("too few", (name,), found=shorten(number), allowed=f"a whole number of at least {least}")]
