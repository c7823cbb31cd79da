"""`score`: compares forecasts in a log with what happened."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.scoring.log import Entry, read_log
from simdeploy.analysis.scoring.outcomes import Outcome, find_outcome, read_outcomes
from simdeploy.analysis.scoring.result import ANSWERS, BINS, FEWEST_ROLLOUTS, FILES, PROBABILITIES, TIMES, Score
from simdeploy.api import parse_time
from simdeploy.errors import raise_if_any, shorten, warn_user
from simdeploy.experiments.arguments import read_seed
from simdeploy.result import make_frame
from simdeploy.statistics.intervals import proportion_interval
from simdeploy.statistics.levels import level_problems
from simdeploy.statistics.reliability import decompose_brier, resample_mean
from simdeploy.units import NS_PER_S
from simdeploy.vocabulary import TERMINAL_STATES

if TYPE_CHECKING:
    import pandas as pd

_BINS = 10
# A score has no interval with fewer rollouts of either outcome.
_FEWEST_OF_EACH = 10
# Horizons of times (seconds), and the quantiles of their forecasts.
_HORIZONS_S = (0.0, 600.0, 3600.0, math.inf)
_COVERED, _LEVELS = 0.95, (0.025, 0.5, 0.975)
# A forecast accounts for cancellations if it gives them at least this probability.
_LEAST_CANCEL_PROBABILITY = 0.005
_EVENTS = {"defective": ("defective", "was_defective", "before"), "completed": ("completed", "has_completed", None)}


def score(
    log: str | os.PathLike[str],
    *,
    outcomes: Any = None,
    confidence_level: float = 0.95,
    seed: int = 0,
) -> Score:
    """Compare forecasts in a log with what happened afterwards.

    Parameters
    ----------
    log : path
        The folder that was passed to `forecast` and `advise` as `log`.
    outcomes : path, DataFrame, or deployment objects, optional
        Final deployment objects, or a table (CSV, Parquet) with ``id``, and where known ``defective``, ``state`` and ``completed_at``.
        Objects don't show whether a release was defective. Final objects that were passed to later calls are in the log, and are always
        used.
    confidence_level : float, default 0.95
        Of each interval separately.
    seed : int, default 0
        Seed of the bootstrap of rollouts for the intervals of Brier scores.

    Returns
    -------
    Score

    Raises
    ------
    InputError
        If there is no log, or if outcomes contradict each other.

    Notes
    -----
    A rollout is identified by the id of its deployment object, or else by `created_at`. Answers about one rollout share its outcome, so each
    rollout counts once in each tenth of probability and each horizon, by its first answer there [1]_. How many answers follow depends on
    the outcome: a defective release may soon be stopped. So averages over the answers of a rollout would be biased. If somebody canceled
    a rollout, it is unknown how it would have gone on. So unless the forecast allowed for cancellation, only its probability of a defect
    is scored. If advice was followed, that affects many defective releases.

    References
    ----------
    .. [1] `simdeploy.statistics.reliability` has the formulas.

    Examples
    --------
    >>> import tempfile
    >>> import simdeploy
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "four nodes",
    ...     "fleet": {"nodes": 4, "update_duration": "1m", "start_failure": 0.05},
    ...     "release": {"good": {"probability": 0.9}, "bad": {"probability": 0.1, "defective": True, "start_failure": 0.9}},
    ...     "policies": {"in-twos": {
    ...         "strategy": "rolling", "max_parallel": 2, "max_failed_nodes": 2, "max_failed_nodes_percent": 50,
    ...         "health_check": {"deadline": "5m", "min_healthy_time": "0s"}}},
    ... })
    >>> rollout = simdeploy.simulate(scenario, "in-twos", seed=9)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     how = {"replications": 200, "engine": "reference", "log": folder}
    ...     _ = simdeploy.forecast(scenario, "in-twos", seen=rollout.revisions[:2], **how)
    ...     result = simdeploy.score(folder, outcomes=rollout.deployment)
    >>> result.answers["use"].tolist(), result.is_trusted
    (['scored'], False)
    """
    raise_if_any(list(level_problems(confidence_level)))
    seed = read_seed(seed)
    entries, damaged = read_log(log)
    _warn_of_shared_ids(entries)
    known = _find_outcomes(entries)
    stated = {} if outcomes is None else read_outcomes(outcomes)
    if entries and stated and not stated.keys() & {entry.rollout for entry in entries}:
        warn_user(f"no rollout in the log is among the outcomes, such as {shorten(entries[0].rollout)}")
    for name, outcome in stated.items():
        known[name] = outcome.merge(known.get(name, Outcome())) or outcome
    answers = make_frame([_compare(entry, known.get(entry.rollout, Outcome())) for entry in entries], ANSWERS)
    is_late = answers["was_left_s"] < 0
    if is_late.any():
        when = "after the end of their rollout, according to its outcome; their times are not compared"
        warn_user(f"{int(is_late.sum()):,} of {len(answers):,} answers were given {when}")
        answers["was_left_s"] = answers["was_left_s"].mask(is_late)
    probabilities, bins = [], []
    for event, (called, happened, before) in _EVENTS.items():
        part = answers[
            answers["use"].isin(("scored", "canceled")) & answers[called].notna() & answers[happened].notna()
        ]
        rows = _list_bins(event, part, called, happened, confidence_level)
        bins += rows
        verdicts = [row["verdict"] for row in rows]
        probabilities.append(_summarize(event, part, (called, happened, before), verdicts, confidence_level, seed))
    is_scored = answers["use"].eq("scored") | (answers["use"].eq("canceled") & answers["was_defective"].notna())
    n_scored = answers.loc[is_scored, "rollout"].nunique()
    return Score(
        make_frame(probabilities, PROBABILITIES),
        make_frame(bins, BINS),
        make_frame(_list_times(answers, confidence_level), TIMES),
        answers,
        make_frame([{"file": name, "problem": problem} for name, problem in damaged.items()], FILES),
        n_rollouts=len({entry.rollout for entry in entries}),
        n_scored=int(n_scored),
        is_trusted=bool(n_scored >= FEWEST_ROLLOUTS),
        confidence_level=confidence_level,
        computed_under={"log": os.fspath(log), "seed": seed},
    )


def _warn_of_shared_ids(entries: Sequence[Entry]) -> None:
    starts: dict[str, set[str]] = {}
    for entry in entries:
        starts.setdefault(entry.rollout, set()).add(entry.created_at)
    for name, of_rollout in starts.items():
        if len(of_rollout) > 1:
            warn_user(f"the id {shorten(name)} has {len(of_rollout)} creation times, but counts as one rollout")


def _find_outcomes(entries: Sequence[Entry]) -> dict[str, Outcome]:
    """Return the last outcome of each rollout that the log contains among what was seen."""
    outcomes = {}
    for entry in entries:
        for each in entry.seen:
            pair = find_outcome(each)
            if pair is not None:
                outcomes[entry.rollout] = pair[1]
    return outcomes


def _compare(entry: Entry, outcome: Outcome) -> dict[str, Any]:
    """Return what an answer said, and what happened."""
    kinds, forecast = entry.answer["kinds"], entry.answer["forecast"]
    estimates = {(row["measure"], row["quantile"]): row["estimate"] for row in forecast}
    left = math.nan
    if outcome.completed_ns is not None and entry.created_at:
        left = (outcome.completed_ns - parse_time(entry.created_at)) / NS_PER_S - entry.at_s
    times = [_number(estimates.get(("time_left_s", level))) for level in _LEVELS]
    use = _choose_use(entry, outcome, _number(estimates.get(("canceled", None))))
    return {
        "file": entry.file,
        "rollout": entry.rollout,
        "at_s": entry.at_s,
        "defective": math.fsum(kind["posterior"] for kind in kinds if kind["defective"]),
        "before": math.fsum(kind["prior"] for kind in kinds if kind["defective"]),
        "completed": _number(estimates.get(("completed", None))),
        **dict(zip(("left_low_s", "left_s", "left_high_s"), times, strict=True)),
        "was_defective": _number(outcome.defective),
        # It is unknown how a canceled rollout would have gone on.
        "has_completed": math.nan
        if outcome.state is None or use == "canceled"
        else float(outcome.state == "completed"),
        "was_left_s": left,
        "use": use,
    }


def _choose_use(entry: Entry, outcome: Outcome, canceled: float) -> str:
    if not entry.answer["is_trusted"]:
        return "undecided"
    if outcome == Outcome():
        return "no outcome"
    if entry.answer["state"] in TERMINAL_STATES:
        return "over"
    return "canceled" if outcome.state == "canceled" and not canceled >= _LEAST_CANCEL_PROBABILITY else "scored"


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


# -- probabilities -----------------------------------------------------------------------------------------------------


def _list_bins(
    event: str, part: pd.DataFrame, called: str, happened: str, confidence_level: float
) -> list[dict[str, Any]]:
    """Group answers by the forecast probability, and return what happened in each group."""
    places = _find_bins(part[called])
    n_bins = len(np.unique(places))
    rows = []
    for place in np.unique(places).tolist():
        of_bin = part[places == place]
        first = _take_first(of_bin)
        mean, of_event = float(first[called].mean()), (float(first[happened].sum()), len(first))
        low, high = proportion_interval(*of_event, confidence_level)
        rows.append(
            {
                "event": event,
                "from_fraction": place / _BINS,
                "to_fraction": (place + 1) / _BINS,
                "n_answers": len(of_bin),
                "n_rollouts": len(first),
                "called": mean,
                "happened": float(first[happened].mean()),
                "low": low,
                "high": high,
                "verdict": _judge(mean, proportion_interval(*of_event, 1 - (1 - confidence_level) / n_bins)),
            }
        )
    return rows


def _find_bins(called: pd.Series) -> np.ndarray:
    """Return the tenths of forecast probabilities."""
    bins: np.ndarray = np.minimum((called.to_numpy() * _BINS).astype(int), _BINS - 1)
    return bins


def _take_first(answers: pd.DataFrame, *of_each: str) -> pd.DataFrame:
    """Return the first answer about each rollout, or for each value of further columns.

    What was forecast then can't depend on how long the rollout went on.
    """
    return answers.sort_values("at_s", kind="stable").drop_duplicates(["rollout", *of_each])


def _judge(called: float, limits: tuple[float, float]) -> str:
    if called < limits[0]:
        return "too low"
    return "too high" if called > limits[1] else "consistent"


def _summarize(
    event: str,
    part: pd.DataFrame,
    columns: tuple[str, str, str | None],
    verdicts: Sequence[str],
    confidence_level: float,
    seed: int,
) -> dict[str, Any]:
    row: dict[str, Any] = {"event": event, "n_answers": len(part), "n_rollouts": part["rollout"].nunique()}
    if not len(part):
        return dict.fromkeys(PROBABILITIES, math.nan) | row | {"verdict": "unknown"}
    part = _take_first(part.assign(bin=_find_bins(part[columns[0]])), "bin")
    called, happened, rollouts = (part[name].to_numpy() for name in (*columns[:2], "rollout"))
    parts = decompose_brier(called, happened, part["bin"].to_numpy())
    squares = (called - happened) ** 2
    gain = (math.nan,) * 3
    if columns[2] is not None:
        before = (part[columns[2]].to_numpy() - happened) ** 2
        gain = resample_mean(before - squares, rollouts, confidence_level, seed)
    brier = resample_mean(squares, rollouts, confidence_level, seed)
    if min(len(np.unique(rollouts[happened == outcome])) for outcome in (0, 1)) < _FEWEST_OF_EACH:
        # The bootstrap is unreliable if one of the outcomes is rare.
        brier, gain = (brier[0], math.nan, math.nan), (gain[0], math.nan, math.nan)
    off = [verdict for verdict in verdicts if verdict != "consistent"]
    verdict = "unknown" if row["n_rollouts"] < FEWEST_ROLLOUTS else (off[0] if off else "consistent")
    return row | {
        "called": float(called.mean()),
        "happened": float(happened.mean()),
        **dict(zip(("brier", "low", "high"), brier, strict=True)),
        **dict(zip(("gain", "gain_low", "gain_high"), gain, strict=True)),
        "reliability": parts.reliability,
        "resolution": parts.resolution,
        "uncertainty": parts.uncertainty,
        "verdict": verdict,
    }


# -- times -------------------------------------------------------------------------------------------------------------


def _list_times(answers: pd.DataFrame, confidence_level: float) -> list[dict[str, Any]]:
    """Return how often times were within their forecasts: in all, and by horizon."""
    part = answers[(answers["use"] == "scored") & answers["was_left_s"].notna() & answers["left_s"].notna()]
    parts = [(0.0, math.inf, part)]
    for low, high in itertools.pairwise(_HORIZONS_S):
        parts.append((low, high, part[(part["left_s"] >= low) & (part["left_s"] < high)]))
    parts = [each for each in parts if len(each[2])]
    return [_measure_coverage(of_horizon, low, high, confidence_level, len(parts)) for low, high, of_horizon in parts]


def _measure_coverage(
    part: pd.DataFrame, from_s: float, to_s: float, confidence_level: float, n_judged: int
) -> dict[str, Any]:
    first = _take_first(part)
    left, n_rollouts = first["was_left_s"], len(first)
    is_earlier, is_later = left < first["left_low_s"], left > first["left_high_s"]
    n_covered = float((~(is_earlier | is_later)).sum())
    low, high = proportion_interval(n_covered, n_rollouts, confidence_level)
    verdict = "unknown"
    if n_rollouts >= FEWEST_ROLLOUTS:
        verdict = _judge(_COVERED, proportion_interval(n_covered, n_rollouts, 1 - (1 - confidence_level) / n_judged))
    return {
        "from_s": from_s,
        "to_s": to_s,
        "n_answers": len(part),
        "n_rollouts": n_rollouts,
        "covered": n_covered / n_rollouts,
        "low": low,
        "high": high,
        "earlier": float(is_earlier.mean()),
        "later": float(is_later.mean()),
        "verdict": verdict,
    }
