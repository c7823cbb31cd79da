"""`estimate_rare` by splitting: pilots choose levels and effort for each kind of release, then independent runs follow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simdeploy.analysis.rare.combining import ROUNDING, Part, combine, exact_limit, main_part
from simdeploy.analysis.rare.kinds import Kind, Pilot, divide_rollouts, find_kinds
from simdeploy.analysis.rare.question import FEWER, Question
from simdeploy.analysis.rare.repetitions import REPETITIONS, Plan, Repetitions, Stage, repeat
from simdeploy.analysis.rare.result import STEP_COLUMNS, Doubt, doubt_hidden, doubt_unknown
from simdeploy.analysis.rare.rollouts import HAPPENED, Rollouts, choose_levels
from simdeploy.memory import check_rows_fit
from simdeploy.result import make_frame
from simdeploy.statistics.splitting import Split, split
from simdeploy.statistics.weights import plain_mean
from simdeploy.world.tilt import find_untiltable

_FEWEST_EFFORT = 20
# Trust requires that the event occurs in all independent repetitions but one, and that none has more than this share of the sum.
_LARGEST_SHARE = 0.4
# For each node of a trajectory: whose numbers it has before and after it branches off, and whether it keeps them.
_BYTES_PER_NODE = 32


def estimate_by_splitting(question: Question, levels: str | Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Return the fields of a `Rare` other than the question; `levels` are as for `estimate_rare`."""
    counts = levels if isinstance(levels, str) else next(iter(levels))
    kinds = find_kinds(question)
    processes = [
        Rollouts(kind.scenario, question.policy, question.event, counts, question.seed, question.engine)  # type: ignore[arg-type]
        for kind in kinds
    ]
    asked = None if isinstance(levels, str) else [int(level) for level in levels[counts]]
    plans, stages = repeat(
        question.campaign,
        question.to_dict() | {"levels": counts if asked is None else {counts: asked}},
        make_plans=lambda: _make_plans(question, kinds, processes, asked),
        make_job=lambda plans: _make_job(question, kinds, processes, plans),
    )
    of_kinds = [[stage for stage in stages if stage.kind == number] for number in range(len(kinds))]
    parts = [_describe(question, *each) for each in zip(kinds, plans, of_kinds, strict=True)]
    totals = np.sum([part.kind.probability * part.happened for part in parts], axis=0)
    return {
        **combine(parts, question.condition, question.confidence_level, n_failed=0),
        "tilt": {},
        "levels": tuple(plans[main_part(parts)].levels),
        "counts": counts,
        "diagnosis": {"repetitions": REPETITIONS, "n_hits": int((totals > 0).sum())},
        "steps": make_frame(
            [
                {"kind": kind.name} | row
                for kind, plan, of_kind in zip(kinds, plans, of_kinds, strict=True)
                for row in _tabulate(plan.levels, of_kind)
            ],
            STEP_COLUMNS,
        ),
    }


def _make_plans(
    question: Question, kinds: Sequence[Kind], processes: Sequence[Rollouts], asked: list[int] | None
) -> list[Plan]:
    """Choose each kind's levels in a pilot; with several kinds, divide the rollouts among them by a second pilot."""
    n = question.pilot_rollouts
    if asked is None or len(kinds) > 1:
        check_rows_fit(n, _bytes_of_lineage(question), hint=FEWER)
    schedules, pilots = [], []
    for kind, process in zip(kinds, processes, strict=True):
        first = kind.pilot_worlds(n).start
        if asked is not None:
            levels, used = asked, 0
        elif find_untiltable(kind.scenario.fleet):
            # Branches share these events with the rollouts that they leave, so that they show no more of them.
            levels, used = [], 0
        else:
            levels, used = choose_levels(process, effort=n, first=first)
        pilot = Pilot(0.0, 0.0)
        if len(kinds) > 1:
            result = split(process, levels, effort=n, first=first + used, seed=question.seed)
            pilot, used = _judge(result), used + n * len(result.values)
            levels = levels if pilot.estimate else []  # an exact limit needs plain rollouts
        schedules.append((levels, used))
        pilots.append(pilot)
    counts = divide_rollouts(question, kinds, pilots)
    return [
        Plan(levels, used, max(count // (REPETITIONS * (len(levels) + 1)), _FEWEST_EFFORT))
        for (levels, used), count in zip(schedules, counts, strict=True)
    ]


def _judge(pilot: Split) -> Pilot:
    """Summarize a run through levels as if its stages were independent, so that their squared relative errors add up."""
    estimate = float(pilot.estimates[HAPPENED])
    if not estimate:
        return Pilot(0.0, 0.0)
    reached = [float(fraction) for fraction in pilot.fractions if fraction]
    last = min(estimate / math.prod(reached), 1.0)
    squared = len(pilot.values) * sum((1 - fraction) / fraction for fraction in (*reached, last))
    return Pilot(estimate, 1 / (1 + squared))


def _make_job(
    question: Question, kinds: Sequence[Kind], processes: Sequence[Rollouts], plans: Sequence[Plan]
) -> Repetitions:
    at_once = getattr(question.campaign.executor(question.engine), "workers", 1)
    effort = max(plan.effort for plan in plans)
    check_rows_fit(effort * min(at_once, REPETITIONS), _bytes_of_lineage(question), hint=FEWER)
    return Repetitions(tuple(processes), tuple(plans), tuple(kind.first for kind in kinds))


def _bytes_of_lineage(question: Question) -> int:
    return _BYTES_PER_NODE * question.scenario.fleet.nodes


def _describe(question: Question, kind: Kind, plan: Plan, stages: Sequence[Stage]) -> Part:
    firsts = [stage for stage in stages if stage.stage == 0]
    happened = np.array([stage.estimate_happened for stage in firsts])
    concerned = np.array([stage.estimate_concerned for stage in firsts])
    on_average = np.array([stage.estimate_touched for stage in firsts])
    n_hits = int((happened > 0).sum())
    hidden = doubt_hidden(find_untiltable(kind.scenario.fleet)) if plan.levels else []  # with given levels
    doubts = doubt_unknown(int(sum(stage.unknown for stage in stages))) + hidden
    if n_hits < REPETITIONS - 1:
        doubts.append(Doubt(f"the event occurred in {n_hits} of {REPETITIONS} independent repetitions"))
    elif happened.max() > _LARGEST_SHARE * happened.sum():
        share = f"{100 * happened.max() / happened.sum():.0f} %"
        doubts.append(Doubt(f"one of {REPETITIONS} independent repetitions has {share} of the total"))
    estimate, error = plain_mean(happened)
    # The rollouts from the start are plain ones. They are also the best evidence if all repetitions agree.
    n_first = sum(stage.n for stage in firsts)
    n_open = int(sum(stage.happened + stage.unknown for stage in firsts))
    return Part(
        kind,
        happened,
        concerned,
        n=sum(stage.n for stage in stages),
        n_pilot=plan.n_pilot,
        n_hits=int(sum(stage.happened for stage in stages)),
        effective_hits=(estimate / error) ** 2 if error else math.nan,
        n_plain=0 if plan.levels and error > ROUNDING * estimate else n_first,
        n_touched=float(sum(stage.touched for stage in stages)),
        plain_touched=float(on_average.mean()),
        doubts=tuple(doubts),
        limit=exact_limit(n_open, n_first, question.confidence_level),
        levels=", ".join(map(str, plan.levels)),
    )


def _tabulate(levels: Sequence[int], stages: Sequence[Stage]) -> list[dict[str, Any]]:
    rows = []
    for number in range(len(levels) + 1):
        of_stage = [stage for stage in stages if stage.stage == number]
        is_last = number == len(levels)
        # In a repetition that ended earlier, no trajectory reached the level.
        fractions = {stage.repetition: stage.fraction for stage in of_stage}
        rows.append(
            {
                "stage": number,
                "tilt": "",
                "level": math.nan if is_last else levels[number],
                "n": sum(stage.n for stage in of_stage),
                "n_hits": int(sum(stage.happened for stage in of_stage)),
                "fraction": math.nan if is_last else np.mean([fractions.get(k, 0.0) for k in range(REPETITIONS)]),
                "used": True,
            }
        )
    return rows
