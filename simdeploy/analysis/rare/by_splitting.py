"""`estimate_rare` by splitting: a pilot chooses the levels, then independent runs follow, each saved in a store."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.analysis.rare.question import FEWER, PILOT, Question
from simdeploy.analysis.rare.result import STEP_COLUMNS, describe_numbers, doubt_unknown
from simdeploy.analysis.rare.rollouts import CONCERNED, HAPPENED, TOUCHED, UNKNOWN, Rollouts, choose_levels
from simdeploy.errors import SimulationError
from simdeploy.experiments.jobs import Span
from simdeploy.experiments.store import Store, place_within, read_store
from simdeploy.memory import check_rows_fit
from simdeploy.result import make_frame
from simdeploy.statistics.splitting import split
from simdeploy.statistics.weights import plain_mean, ratio

if TYPE_CHECKING:
    from simdeploy.experiments.campaign import Campaign

_REPETITIONS = 10
_FEWEST_EFFORT = 20
# Of independent repetitions: all but one are to meet the event, and none is to have more than this of the sum.
_LARGEST_SHARE = 0.4
# Whose numbers each node of a trajectory has, before and after it branches off, and whether it keeps them.
_BYTES_PER_NODE = 32


def estimate_by_splitting(question: Question, levels: str | Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Return the fields of a `Rare` other than the question; `levels` are as for `estimate_rare`."""
    counts = levels if isinstance(levels, str) else next(iter(levels))
    process = Rollouts(question.scenario, question.policy, question.event, counts, question.seed, question.engine)  # type: ignore[arg-type]
    bytes_of_lineage = _BYTES_PER_NODE * question.scenario.fleet.nodes

    def find_levels() -> tuple[list[int], int]:
        if not isinstance(levels, str):
            return [int(level) for level in levels[counts]], 0
        check_rows_fit(question.pilot_rollouts, bytes_of_lineage, hint=FEWER)
        return choose_levels(process, effort=question.pilot_rollouts, first=PILOT)

    def make_job(steps: list[int]) -> Repetitions:
        effort = max(question.rollouts // (_REPETITIONS * (len(steps) + 1)), _FEWEST_EFFORT)
        at_once = getattr(question.campaign.executor(question.engine), "workers", 1)
        check_rows_fit(effort * min(at_once, _REPETITIONS), bytes_of_lineage, hint=FEWER)
        return Repetitions(process, steps, effort, _REPETITIONS)

    steps, n_pilot, stages = repeat(question.campaign, question.to_dict() | {"levels": levels}, find_levels, make_job)
    firsts = [stage for stage in stages if stage.stage == 0]
    happened, concerned, on_average = (
        np.array([getattr(stage, f"estimate_{name}") for stage in firsts])
        for name in ("happened", "concerned", "touched")
    )
    condition = question.condition
    probability, error = ratio(happened, concerned) if condition is None else plain_mean(happened / condition)
    n_hits = int((happened > 0).sum())
    n_rollouts = sum(stage.n for stage in stages)
    doubts = list(doubt_unknown(int(sum(stage.unknown for stage in stages)), 0))
    if n_hits < _REPETITIONS - 1:
        doubts.insert(0, f"the event occurred in {n_hits} of {_REPETITIONS} independent repetitions")
    elif happened.max() > _LARGEST_SHARE * happened.sum():
        doubts.insert(
            0,
            f"one of {_REPETITIONS} independent repetitions has {100 * happened.max() / happened.sum():.0f} % of the total",
        )
    numbers = describe_numbers(
        probability,
        error,
        float(concerned.mean()) if condition is None else condition,
        degrees=_REPETITIONS - 1,
        confidence_level=question.confidence_level,
        doubts=doubts,
        n_all=n_rollouts + n_pilot,
    )
    touched = sum(stage.touched for stage in stages) / n_rollouts
    return {
        **numbers,
        "n_rollouts": n_rollouts,
        "n_pilot": n_pilot,
        "gain_in_updates": numbers["gain"] * float(on_average.mean()) / max(touched, 1.0),
        "doubts": tuple(doubts),
        "tilt": {},
        "levels": tuple(steps),
        "counts": counts,
        "diagnosis": {"repetitions": _REPETITIONS, "n_hits": n_hits},
        "steps": make_frame(_tabulate(steps, stages), STEP_COLUMNS),
    }


def _tabulate(levels: Sequence[int], stages: Sequence[Stage]) -> list[dict[str, Any]]:
    rows = []
    for number in range(len(levels) + 1):
        of_stage = [stage for stage in stages if stage.stage == number]
        is_last = number == len(levels)
        # If a repetition ended earlier, no trajectory reached the level.
        fractions = {stage.repetition: stage.fraction for stage in of_stage}
        rows.append(
            {
                "stage": number,
                "tilt": "",
                "level": math.nan if is_last else levels[number],
                "n": sum(stage.n for stage in of_stage),
                "n_hits": int(sum(stage.happened for stage in of_stage)),
                "fraction": math.nan if is_last else np.mean([fractions.get(k, 0.0) for k in range(_REPETITIONS)]),
                "used": True,
            }
        )
    return rows


class Stage(NamedTuple):
    """Outcome of one stage of one repetition.

    `happened`, `touched` and `unknown` are sums over its `n` trajectories, `fraction` is that of those that reached the
    next level, NaN for the last stage; estimates are those of the whole repetition.
    """

    repetition: int
    stage: int
    n: int
    happened: float
    touched: float
    unknown: float
    fraction: float
    estimate_happened: float
    estimate_concerned: float
    estimate_touched: float


@dataclass(frozen=True)
class Repetitions:
    """Job of an executor: each replication is a whole run through the levels, with `effort` trajectories per stage."""

    process: Rollouts
    levels: Sequence[int]
    effort: int
    number: int

    @property
    def n_rollouts(self) -> int:
        """Rollouts of one repetition that reaches the last level."""
        return self.effort * (len(self.levels) + 1)

    def run(self, span: Span) -> list[Stage]:
        """Run one repetition."""
        first = span.first * self.n_rollouts
        result = split(self.process, self.levels, effort=self.effort, first=first, seed=self.process.seed)
        estimates = (float(result.estimates[place]) for place in (HAPPENED, CONCERNED, TOUCHED))
        shared = dict(zip(("estimate_happened", "estimate_concerned", "estimate_touched"), estimates, strict=True))
        fractions = [*result.fractions.tolist(), math.nan]
        return [
            Stage(
                repetition=span.first,
                stage=stage,
                n=len(values),
                happened=float(values[:, HAPPENED].sum()),
                touched=float(values[:, TOUCHED].sum()),
                unknown=float(values[:, UNKNOWN].sum()),
                fraction=fractions[stage],
                **shared,
            )
            for stage, values in enumerate(result.values)
        ]

    def failed(self, _span: Span, _stage: str, error: str) -> list[Stage]:
        """Give up: a repetition can't be replaced."""
        raise SimulationError(error)


def repeat(
    campaign: Campaign,
    question: Mapping[str, Any],
    find_levels: Callable[[], tuple[list[int], int]],
    make_job: Callable[[list[int]], Repetitions],
) -> tuple[list[int], int, list[Stage]]:
    """Run the repetitions missing in a store; return the levels, the rollouts of a pilot, and stages by repetition.

    `find_levels` returns the levels and the number of rollouts of its pilot; it is called only for what the store
    lacks. `question` contains everything that determines the numbers.
    """
    folder = place_within(campaign.store, "splitting")
    if folder is None:
        levels, n_pilot = find_levels()
        job = make_job(levels)
        stages = [
            stage for _, of_repetition in _run(campaign, job, range(job.number), n_pilot) for stage in of_repetition
        ]
    else:
        import pyarrow as pa

        def cut() -> dict[str, Any]:
            levels, n_pilot = find_levels()
            return {"n_parts": make_job(levels).number, "levels": levels, "n_pilot": n_pilot}

        with Store.open(folder, question=question, make_cut=cut) as store:
            levels, n_pilot = store.cut["levels"], store.cut["n_pilot"]
            job = make_job(levels)
            missing = [number for number in range(job.number) if number not in store.finished]
            for number, of_repetition in _run(campaign, job, missing, n_pilot):
                store.write(number, pa.Table.from_pylist([stage._asdict() for stage in of_repetition]))
            store.finish(job.number)
        rows = read_store(folder).to_frame().to_dict("records")
        stages = [Stage(**{str(name): value for name, value in row.items()}) for row in rows]
    campaign.note(n_pilot + sum(stage.n for stage in stages), job.process.engine)
    return levels, n_pilot, sorted(stages)


def _run(
    campaign: Campaign, job: Repetitions, numbers: Sequence[int], n_pilot: int
) -> Iterator[tuple[int, list[Stage]]]:
    """Yield repetitions as they finish, and report how many are done."""
    n_done, n_all = n_pilot + (job.number - len(numbers)) * job.n_rollouts, n_pilot + job.number * job.n_rollouts
    campaign.report(n_done, n_all)
    spans = (Span(0, 0, 1, first=number, n_replications=1) for number in numbers)
    # An executor runs whatever has `run` and `failed`.
    run: Any = campaign.executor(job.process.engine).run
    with closing(run(job, spans)) as finished:
        for span, of_repetition in finished:
            n_done += job.n_rollouts
            campaign.report(n_done, n_all)
            yield span.first, of_repetition
