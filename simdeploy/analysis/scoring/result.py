"""Result of `score`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from simdeploy.result import Columns, Result, floats

if TYPE_CHECKING:
    import pandas as pd

Event = Literal["defective", "completed"]
Verdict = Literal["consistent", "too low", "too high", "unknown"]
Use = Literal["scored", "no outcome", "undecided", "over", "canceled"]

# Answers, and rollouts that they are about.
_COUNTS = {"n_answers": "int64", "n_rollouts": "int64"}

PROBABILITIES = {
    "event": "str",
    **_COUNTS,
    **floats("called", "happened", "brier", "low", "high", "gain", "gain_low", "gain_high"),
    **floats("reliability", "resolution", "uncertainty"),
    "verdict": "str",
}
BINS = {
    "event": "str",
    **floats("from_fraction", "to_fraction"),
    **_COUNTS,
    **floats("called", "happened", "low", "high"),
    "verdict": "str",
}
TIMES = {
    **floats("from_s", "to_s"),
    **_COUNTS,
    **floats("covered", "low", "high", "earlier", "later"),
    "verdict": "str",
}
ANSWERS = {
    "file": "str",
    "rollout": "str",
    "at_s": "float64",
    **floats("defective", "before", "completed", "left_low_s", "left_s", "left_high_s"),
    **floats("was_defective", "has_completed", "was_left_s"),
    "use": "str",
}
FILES = {"file": "str", "problem": "str"}

# Fewer rollouts say nothing.
FEWEST_ROLLOUTS = 20


@dataclass(frozen=True, eq=False, repr=False)
class Score(Result):
    """Result of `score`.

    Attributes
    ----------
    probabilities : DataFrame
        One row per `event`: the release is defective; the rollout completes. Each rollout counts once, its answers in equal parts. How
        probable it was `called` on average, and the share in which it `happened`; the `brier` score (0 is perfect) with its interval, its
        parts (`reliability`, `resolution`, `uncertainty`), and what it is lower by than that of the probability before anything was seen
        (`gain`). The `verdict` says whether the first group that isn't consistent with what happened was called too low or too high.
    bins : DataFrame
        The same by tenths of the probability that was called; `low` and `high` bound the share that happened.
    times : DataFrame
        How often the time that was left lay in the middle 95 % of its forecast (`covered`), below it (`earlier`) or above (`later`): in
        all, and by the median that was forecast, `from_s` to `to_s`. The `verdict` says whether 95 % is too low (forecasts are too wide)
        or too high (too narrow).
    answers : DataFrame
        One row per kept answer: what it said, what happened (NaN: unknown), and its `use`: scored; no outcome is known; undecided, as it
        said itself; the rollout was over; it was canceled, which a forecast of going on says nothing of.
    files : DataFrame
        Files of the log that could not be read.
    n_rollouts : int
        Rollouts in the log.
    n_scored : int
        Those with an outcome that can be compared.
    is_trusted : bool
        Whether these are at least 20.
    confidence_level : float
        Of each interval separately. Verdicts are for all bins of an event together, and for all rows of `times`.
    computed_under : dict
        Log and seed.
    """

    probabilities: Annotated[pd.DataFrame, Columns(PROBABILITIES, words={"event": Event, "verdict": Verdict})]
    bins: Annotated[pd.DataFrame, Columns(BINS, words={"event": Event, "verdict": Verdict})]
    times: Annotated[pd.DataFrame, Columns(TIMES, words={"verdict": Verdict})]
    answers: Annotated[pd.DataFrame, Columns(ANSWERS, words={"use": Use})]
    files: Annotated[pd.DataFrame, Columns(FILES)]
    n_rollouts: int
    n_scored: int
    is_trusted: bool
    confidence_level: float
    computed_under: Mapping[str, Any]

    def to_frame(self) -> pd.DataFrame:
        """Return the answers."""
        return self.answers
