"""Independent runs through the levels of splitting, each saved in a store."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from simdeploy.analysis.rare.rollouts import CONCERNED, HAPPENED, TOUCHED, UNKNOWN, Rollouts
from simdeploy.errors import InputError, SimulationError, catch_warned
from simdeploy.experiments.jobs import Span
from simdeploy.experiments.store import Store, StoreError, place_within, read_store
from simdeploy.statistics.splitting import split

if TYPE_CHECKING:
    from simdeploy.experiments.campaign import Campaign

REPETITIONS = 10  # of each kind of release
FOLDER = "splitting"  # of the store that has them


@dataclass(frozen=True)
class Plan:
    """How one kind of release is split."""

    levels: list[int]
    n_pilot: int
    effort: int

    @property
    def n_rollouts(self) -> int:
        """Rollouts of one repetition that reaches the last level."""
        return self.effort * (len(self.levels) + 1)


class Stage(NamedTuple):
    """Outcome of one stage of one repetition with one kind of release, by number.

    `happened`, `touched` and `unknown` are sums over its `n` trajectories, `fraction` is that of those that reached the
    next level, NaN for the last stage; estimates are those of the whole repetition.
    """

    kind: int
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
    """Job of an executor. Each replication is a whole run through the levels of a kind; ten consecutive ones are of the same kind."""

    processes: tuple[Rollouts, ...]
    plans: tuple[Plan, ...]
    firsts: tuple[int, ...]  # number of the first trajectory of each kind

    @property
    def number(self) -> int:
        """How many runs there are."""
        return REPETITIONS * len(self.plans)

    def n_rollouts(self, number: int) -> int:
        """Return the rollouts of a run that reaches the last level."""
        return self.plans[number // REPETITIONS].n_rollouts

    def run(self, span: Span) -> list[Stage]:
        """Do one run."""
        kind, repetition = divmod(span.first, REPETITIONS)
        process, plan = self.processes[kind], self.plans[kind]
        first = self.firsts[kind] + repetition * plan.n_rollouts
        result = split(process, plan.levels, effort=plan.effort, first=first, seed=process.seed)
        estimates = (float(result.estimates[place]) for place in (HAPPENED, CONCERNED, TOUCHED))
        shared = dict(zip(("estimate_happened", "estimate_concerned", "estimate_touched"), estimates, strict=True))
        fractions = [*result.fractions.tolist(), math.nan]
        return [
            Stage(
                kind=kind,
                repetition=repetition,
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
    make_plans: Callable[[], list[Plan]],
    make_job: Callable[[list[Plan]], Repetitions],
) -> tuple[list[Plan], list[Stage]]:
    """Run the repetitions missing in a store; return the plans, and stages by kind and repetition.

    `make_plans` runs pilots; it is called only if the store has no plans. `question` contains everything that determines
    the numbers.
    """
    folder = place_within(campaign.store, FOLDER)
    if folder is None:
        plans = make_plans()
        job = make_job(plans)
        n_pilot = sum(plan.n_pilot for plan in plans)
        stages = [stage for _, of_run in _run(campaign, job, range(job.number), n_pilot) for stage in of_run]
    else:
        import pyarrow as pa

        def cut() -> dict[str, Any]:
            plans = make_plans()
            return {"n_parts": make_job(plans).number, "kinds": [asdict(plan) for plan in plans]}

        with Store.open(folder, question=question, make_cut=cut) as store:
            plans = [Plan(**fields) for fields in store.cut["kinds"]]
            job = make_job(plans)
            missing = [number for number in range(job.number) if number not in store.finished]
            for number, of_run in _run(campaign, job, missing, count_saved(folder.parent)):
                store.write(number, pa.Table.from_pylist([stage._asdict() for stage in of_run]))
            store.finish(job.number)
        rows = read_store(folder).to_frame().to_dict("records")
        stages = [Stage(**{str(name): value for name, value in row.items()}) for row in rows]
    campaign.note(sum(plan.n_pilot for plan in plans) + sum(stage.n for stage in stages), job.processes[0].engine)
    return plans, sorted(stages)


def count_saved(folder: str | os.PathLike[str]) -> int:
    """Return how many rollouts of splitting, pilots included, a folder has; 0 if there are none, or they can't be read."""
    # Each row is a stage of many rollouts.
    with catch_warned():
        try:
            saved = read_store(place_within(folder, FOLDER))
            n_pilot = sum(int(plan["n_pilot"]) for plan in saved.manifest["cut"]["kinds"])
            return n_pilot + (int(saved["n"].sum()) if len(saved) else 0)
        except (InputError, StoreError, LookupError, TypeError, ValueError):
            return 0


def _run(
    campaign: Campaign, job: Repetitions, numbers: Sequence[int], n_done: int
) -> Iterator[tuple[int, list[Stage]]]:
    """Yield runs as they finish, and report how many rollouts are done, at first `n_done`.

    The total shrinks if a run ends before the last level.
    """
    n_left = sum(job.n_rollouts(number) for number in numbers)
    campaign.report(n_done, n_done + n_left)
    spans = (Span(0, 0, 1, first=number, n_replications=1) for number in numbers)
    # An executor also needs `join` for spans that it runs in parts, but each of these is one replication.
    run: Any = campaign.executor(job.processes[0].engine).run
    with closing(run(job, spans)) as finished:
        for span, of_run in finished:
            n_done += sum(stage.n for stage in of_run)
            n_left -= job.n_rollouts(span.first)
            campaign.report(n_done, n_done + n_left)
            yield span.first, of_run
