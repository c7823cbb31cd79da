"""The score of logged forecasts, in words and as tables."""

from __future__ import annotations

import math

from simdeploy.analysis.scoring.result import FEWEST_ROLLOUTS, Score
from simdeploy.errors import plural
from simdeploy.report.formatting import PERCENT, percent
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import join_answer
from simdeploy.result import Table
from simdeploy.units import NS_PER_S, short_duration

_EVENTS = {"defective": "the release is defective", "completed": "the rollout completes"}
_HOLD = {"consistent": "hold", "too low": "are too wide", "too high": "are too narrow"}

_PROBABILITIES = (
    Column("event", "event"),
    Column("n_rollouts", "rollouts", "count"),
    Column("called", "forecast", "share"),
    Column("happened", "happened", "share"),
    Column("brier", "Brier score", "stacked estimate", interval="estimate"),
    Column("gain", "gain over prior", "stacked difference"),
    Column("verdict", "verdict"),
)
_BINS = (
    Column("event", "event"),
    Column("range", "forecast"),
    Column("n_rollouts", "rollouts", "count"),
    Column("called", "mean forecast", "share"),
    Column("happened", "happened", "estimate", PERCENT, interval="estimate"),
    Column("verdict", "verdict"),
)
_TIMES = (
    Column("horizon", "forecast to end"),
    Column("n_rollouts", "rollouts", "count"),
    Column("covered", "within", "estimate", PERCENT, interval="estimate"),
    Column("earlier", "earlier", "share"),
    Column("later", "later", "share"),
    Column("verdict", "verdict"),
)
_USES = (Column("use", "answers"), Column("size", "number", "count"), Column("nunique", "rollouts", "count"))
_FILES = (Column("file", "file"), Column("problem", "problem"))


def tell(result: Score) -> str:
    """Say whether forecasts can be trusted."""
    if not result.is_trusted:
        n = f"{result.n_scored:,} of {plural(result.n_rollouts, 'rollout')}"
        return join_answer([f"Undecided: the outcome of {n} in the log is known, and {FEWEST_ROLLOUTS} are needed"])
    rows = result.probabilities.set_index("event")
    parts = []
    for event, (noun, happened) in {
        "defective": ("a defect", "were defective"),
        "completed": ("completing", "completed"),
    }.items():
        row = rows.loc[event]
        if row["verdict"] == "unknown":
            continue
        shares = f"forecast {100 * row['called']:.0f} %, {100 * row['happened']:.0f} % {happened}"
        holds = "hold" if row["verdict"] == "consistent" else f"are {row['verdict']} in places"
        parts.append(f"Probabilities of {noun} {holds} ({shares})")
    times = result.times
    if len(times) and times["verdict"].iloc[0] != "unknown":
        holds = _HOLD[times["verdict"].iloc[0]]
        parts.append(
            f"Forecasts of the remaining time {holds} ({100 * times['covered'].iloc[0]:.0f} % within their 95 % intervals)"
        )
    return join_answer([*parts[:1], "; ".join(parts[1:])])


def tabulate(result: Score) -> tuple[Table, ...]:
    """Return the scores, the groups of probabilities, times, what answers were used for, and damaged files."""
    shown = result.probabilities.assign(event=result.probabilities["event"].map(_EVENTS))
    level = f"{percent(result.confidence_level)} CI"
    tables = [make_table(f"Probabilities ({level})", shown, _PROBABILITIES)]
    if len(result.bins):
        bins = result.bins.assign(
            event=result.bins["event"].map(_EVENTS),
            range=[f"{100 * low:.0f} to {100 * high:.0f} %" for low, high in zip(result.bins["from_fraction"], result.bins["to_fraction"], strict=True)],
        )  # fmt: skip
        tables.append(make_table(f"Reliability ({level})", bins, _BINS))
    if len(result.times):
        times = result.times.assign(
            horizon=[_name_horizon(low, high) for low, high in zip(result.times["from_s"], result.times["to_s"], strict=True)],
        )  # fmt: skip
        tables.append(make_table(f"Remaining times, against forecast 95 % intervals ({level})", times, _TIMES))
    uses = result.answers.groupby("use", sort=False)["rollout"].agg(["size", "nunique"]).reset_index()
    tables.append(make_table("Answers in the log", uses, _USES))
    if len(result.files):
        tables.append(make_table("Files that were left out", result.files, _FILES))
    return tuple(tables)


def _name_horizon(from_s: float, to_s: float) -> str:
    start = short_duration(round(from_s) * NS_PER_S)
    if math.isinf(to_s):
        return "at any time" if from_s == 0 else f"after {start}"
    end = short_duration(round(to_s) * NS_PER_S)
    return f"within {end}" if from_s == 0 else f"{start} to {end}"
