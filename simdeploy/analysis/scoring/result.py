"""Result of `score`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from simdeploy.result import Columns, Result, floats

if TYPE_CHECKING:
    import pandas as pd

Event = Literal["defective", "completed"]
ForecastVerdict = Literal["consistent", "too low", "too high", "unknown"]
Use = Literal["scored", "no outcome", "undecided", "over", "canceled"]

# Numbers of answers, and of their rollouts.
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

# With fewer rollouts, a score is not trusted.
FEWEST_ROLLOUTS = 20


@dataclass(frozen=True, eq=False, repr=False)
class Score(Result):
    """Result of `score`.

    Attributes
    ----------
    probabilities : DataFrame
        One row per `event` (the release is defective; the rollout completes). A rollout counts once in each tenth of the forecast probability
        (bin), by its first answer there. The mean forecast probability (`called`), and the fraction of these answers whose event
        `happened`; the `brier` score (0 is perfect) with its interval and its parts (`reliability`, `resolution`, `uncertainty`); and by
        how much it is lower than the score of the probability before anything was seen (`gain`). The `verdict` says whether the first bin
        that is inconsistent with what happened was forecast too low or too high.
    bins : DataFrame
        The same by tenths of the forecast probability; `low` and `high` bound the fraction that `happened`.
    times : DataFrame
        How often the actual time left was in the middle 95 % of its forecast (`covered`), below it (`earlier`) or above (`later`): in the first
        answer about each rollout, and in the first with a forecast median of `from_s` to `to_s`. The `verdict` says whether 95 % is too
        low (forecasts are too wide) or too high (too narrow).
    answers : DataFrame
        One row per answer in the log: what it said, what happened (NaN if unknown), and its `use`: "scored"; "no outcome" is known;
        "undecided", because the answer was not trusted; the rollout was "over"; or "canceled", which a forecast of going on doesn't cover.
    files : DataFrame
        Files of the log that could not be read.
    n_rollouts : int
        Number of rollouts in the log.
    n_scored : int
        Number of rollouts whose outcome can be compared.
    is_trusted : bool
        Whether these are at least 20.
    confidence_level : float
        Of each interval separately. Verdicts hold for all bins of an event together, and for all rows of `times` together.
    computed_under : dict
        Log and seed.
    """

    probabilities: Annotated[pd.DataFrame, Columns(PROBABILITIES, words={"event": Event, "verdict": ForecastVerdict})]
    bins: Annotated[pd.DataFrame, Columns(BINS, words={"event": Event, "verdict": ForecastVerdict})]
    times: Annotated[pd.DataFrame, Columns(TIMES, words={"verdict": ForecastVerdict})]
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
