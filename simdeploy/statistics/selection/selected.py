"""What a selection gives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple

from simdeploy.result import Array, Columns, Result

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import pandas as pd


class Round(NamedTuple):
    """How far a selection has got.

    Attributes
    ----------
    round : int
        From 1.
    n : int
        Observations so far of a candidate that is still in; of the one with the lowest mean where they differ.
    survivors : int
        Candidates that are still in.
    n_observations : int
        So far, of all candidates together.
    """

    round: int
    n: int
    survivors: int
    n_observations: int


_ROUND = dict.fromkeys(Round._fields, "int64")


@dataclass(frozen=True, eq=False, repr=False)
class Selection(Result):
    """The candidate that was selected, and what it took.

    Attributes
    ----------
    candidates : ndarray of int64
        All of them, as they were given.
    best : int
        The candidate with the lowest mean of those that are still in; of equal means the first.
    survivors : ndarray of int64
        The candidates that were still in when the selection ended, the lowest mean first. Several although it is
        decided: no observation tells them apart.
    means : ndarray of float64
        Of the observations that were made of each candidate, beside `candidates`; NaN without any.
    n_used : ndarray of int64
        Observations of each candidate, beside `candidates`.
    n_observations : int
        Of all candidates together.
    is_decided : bool
        Whether the procedure came to its own end, so that its promise holds. False if the budget was used up before;
        always False of a procedure that promises nothing and just uses up its budget.
    probability_correct : float
        What the procedure says of its choice: at least this if it is decided (on its own conditions), about this if
        it promises nothing, NaN if it was broken off.
    rounds : DataFrame
        One row per round: `round`, `n`, `survivors`, `n_observations`, as in `Round`.
    """

    candidates: Annotated[np.ndarray, Array("int64")]
    best: int
    survivors: Annotated[np.ndarray, Array("int64")]
    means: Annotated[np.ndarray, Array("float64")]
    n_used: Annotated[np.ndarray, Array("int64")]
    n_observations: int
    is_decided: bool
    probability_correct: float
    rounds: Annotated[pd.DataFrame, Columns(_ROUND)]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per candidate: `candidate`, `mean`, `n_used`, `survives`."""
        import numpy as np
        import pandas as pd

        survives = np.isin(self.candidates, self.survivors)
        columns = {"candidate": self.candidates, "mean": self.means, "n_used": self.n_used, "survives": survives}
        return pd.DataFrame(columns)


def tabulate_rounds(rounds: Iterable[Round]) -> pd.DataFrame:
    """Return rounds as a table of whole numbers, also if there are none."""
    import pandas as pd

    return pd.DataFrame(list(rounds), columns=list(_ROUND)).astype(_ROUND)


def select_only(candidates: np.ndarray) -> Selection:
    """Return the selection of the only candidate there is, which takes no observation."""
    import numpy as np

    return Selection(
        candidates=candidates,
        best=int(candidates[0]),
        survivors=candidates,
        means=np.full(1, math.nan),
        n_used=np.zeros(1, dtype=np.int64),
        n_observations=0,
        is_decided=True,
        probability_correct=1.0,
        rounds=tabulate_rounds([]),
    )
