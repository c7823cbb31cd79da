"""Bands of status and error rate over time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.bands.checkpoint import FILE, LOCK, Checkpoint
from simdeploy.analysis.bands.counting import Bands, name_quantile
from simdeploy.analysis.bands.job import TraceJob
from simdeploy.analysis.bands.result import BAND, GROWING, PEAK, WORST_WHEN_LOW, Timelines
from simdeploy.engines.choice import check_room, choose_engine
from simdeploy.engines.traces import QUANTITIES, STEP, Grid
from simdeploy.errors import InputError, Problem, SimulationError, not_among, raise_if_any, shorten
from simdeploy.experiments.arguments import Progress, check_numbers, choose_policies
from simdeploy.experiments.campaign import Campaign, make_question
from simdeploy.experiments.design import make_points
from simdeploy.experiments.jobs import Executor, Span
from simdeploy.memory import check_rows_fit
from simdeploy.result import make_frame
from simdeploy.scenario import PoliciesLike, Scenario, ScenarioOrPath, ScenarioPolicy, as_scenario
from simdeploy.units import MAX_DURATION_NS, NS_PER_S, exact, parse_duration, round_half_up, suggest_duration

if TYPE_CHECKING:
    import pandas as pd


_FEWEST_INSTANTS = 200
_MOST_INSTANTS = 5000
_PILOT = 100
_ROUND = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
# Nodes traced in one span: about a second of work.
_NODES_PER_SPAN = {"compiled": 200_000, "reference": 2000}
_MOST_PER_SPAN = 200


def timelines(
    scenario: ScenarioOrPath,
    policies: PoliciesLike | None = None,
    *,
    quantities: str | Sequence[str] | None = None,
    every: str | float | None = None,
    until: str | float | None = None,
    quantiles: Sequence[float] = (0.05, 0.5, 0.95),
    replications: int | range = 1000,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> Timelines:
    """Estimate the distribution of node counts and error rates over time, by policy and kind of release.

    Parameters
    ----------
    scenario : Scenario or path
    policies : str, path, mapping, spec or document, or several, optional
        As for `replicate`; by default all policies of the scenario.
    quantities : str or sequence of str, optional
        By default all: `updated` and `failed` (nodes, as the deployment counts them), `exposed` and
        `in_service` (nodes), `error_rate` and `error_rate_new` (expected fraction of failed requests, over all nodes in
        service and over those on the new version), and `shed` (fraction of the requests, of a shared service only).
    every : str or float, optional
        Time step: a duration such as ``"30s"``, or seconds. By default a round duration, about 1/200 of `until`.
    until : str or float, optional
        Last instant. By default the longest time until service was restored, or the rollout completed, in the first 100
        replications.
    quantiles : sequence of float, default (0.05, 0.5, 0.95)
        Between 0 and 1.
    replications : int or range, default 1000
    seed, engine, executor, workers, cluster
        As for `replicate`. Neither the engine nor the number of workers changes the result.
    store : path-like, optional
        A folder for the counts so far; the same call resumes from it.
    progress : bool or callable, default False

    Returns
    -------
    Timelines

    Raises
    ------
    InputError
        If an argument is invalid, or no rollout ends and `until` is missing.
    SimulationError
        If every replication failed and `until` is missing.

    Notes
    -----
    Memory does not grow with the replications: values are counted, not kept. Nodes are counted one by one up to a fleet of
    2,000, and in steps of 1/2,000 of a larger one; error rates are counted in steps of 0.00001 up to 0.005, of 0.0005 beyond.
    A quantile q is the lowest value that a fraction q of the rollouts do not exceed. A rollout that has ended keeps its last
    values; one that never ends is followed until the last instant. Bands are pointwise: a single rollout may leave them at
    some instant.

    Examples
    --------
    >>> import simdeploy
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "ten nodes",
    ...     "fleet": {"nodes": 10, "update_duration": {"uniform": {"low": "30s", "high": "60s"}}},
    ...     "policies": {"at-once": {"strategy": "immediate"}},
    ... })
    >>> result = simdeploy.timelines(scenario, quantities="in_service", every="30s", replications=100, engine="reference")
    >>> result.bands[["time_s", "p5", "p50", "p95"]].values.tolist()
    [[0.0, 0.0, 0.0, 0.0], [30.0, 0.0, 0.0, 0.0], [60.0, 10.0, 10.0, 10.0]]
    """
    scenario = as_scenario(scenario)
    numbers, seed = check_numbers(replications=replications, seed=seed, engine=engine)
    rows, levels = _check_quantities(quantities, scenario), _check_quantiles(quantiles)
    every_ns, until_ns = _read_duration("every", every), _read_duration("until", until)
    chosen, problems = choose_policies(scenario, policies)
    if scenario.tilt is not None:
        problems.append(Problem("the scenario has a tilt, whose rollouts have weights", ("scenario",)))
    raise_if_any(problems)
    n_updates = len(numbers) * len(chosen) * scenario.fleet.nodes
    engine = choose_engine(engine, [(scenario, list(chosen.values()))], node_updates=n_updates, in_bundles=False)
    check_room(scenario, list(chosen.values()), engine)
    parts = rf"pilot|{FILE}|\.{FILE}\.tmp|{LOCK}"
    campaign = Campaign(seed, engine, executor, workers, cluster, store, progress, parts=parts)
    if until_ns is None:
        until_ns = _find_end(campaign, scenario, chosen, numbers)
    grid = _make_grid(every_ns, until_ns)
    kinds = [*(kind.name for kind in scenario.release), ""]
    bands = Bands(len(chosen), len(kinds), n_nodes=scenario.fleet.nodes, grid=grid, rows=rows)
    check_rows_fit(1, bands.count_bytes(), hint="choose fewer quantities or policies, or a larger `every`")
    job = TraceJob(scenario, tuple(chosen.values()), grid, seed, engine)
    _trace(campaign, job, bands, numbers, chosen)
    campaign.note_failures(bands.n_failed, bands.first_error)
    campaign.note(len(numbers) * len(chosen), engine)
    campaign.warn_of_failures()
    frame = _make_frame(bands, list(chosen), kinds, levels)
    return Timelines(
        bands=frame,
        peaks=_find_peaks(frame, bands, list(chosen), kinds, levels),
        every_s=grid.every_ns / NS_PER_S,
        until_s=grid.last_ns / NS_PER_S,
        quantiles=levels,
        n_nodes=scenario.fleet.nodes,
        n_replications=len(numbers),
        n_failed=bands.n_failed,
        computed_under=campaign.computed_under(scenario),
    )


def _check_quantities(quantities: str | Sequence[str] | None, scenario: Scenario) -> list[int]:
    is_shared = scenario.fleet.service is not None
    asked = [name for name in QUANTITIES if is_shared or name != "shed"] if quantities is None else quantities
    names = [asked] if isinstance(asked, str) else list(asked)
    problems = [
        not_among("no such quantity", ("quantities",), name, QUANTITIES) for name in names if name not in QUANTITIES
    ]
    if "shed" in names and not is_shared:
        hint = "fleet.service: {shared: {capacity: 1.4}}"
        problems.append(Problem("only a shared service sheds requests", ("quantities",), found="shed", allowed=hint))
    if not names:
        problems.append(Problem("no quantity", ("quantities",), allowed=", ".join(QUANTITIES)))
    raise_if_any(problems)
    return [QUANTITIES.index(name) for name in dict.fromkeys(names)]


def _check_quantiles(quantiles: Sequence[float]) -> tuple[float, ...]:
    levels = tuple(quantiles)
    for level in levels:
        if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
            allowed = "fractions between 0 and 1"
            raise InputError(Problem("invalid quantile", ("quantiles",), found=shorten(level), allowed=allowed))
    if not levels:
        raise InputError(Problem("no quantile", ("quantiles",), allowed="fractions between 0 and 1"))
    return tuple(sorted(set(levels)))


def _read_duration(name: str, value: str | float | None) -> int | None:
    """Return a positive duration in nanoseconds."""
    if value is None:
        return None
    allowed = 'above 0 and at most 100 years: a duration such as "30s", or seconds'
    hint = None
    try:
        ns = parse_duration(value) if isinstance(value, str) else round_half_up(exact(value) * NS_PER_S)
    except (ValueError, TypeError):
        ns = 0
        hint = suggest_duration(value) if isinstance(value, str) else None
    if isinstance(value, bool) or not 0 < ns <= MAX_DURATION_NS:
        raise InputError(Problem("invalid duration", (name,), found=shorten(value), allowed=allowed, hint=hint))
    return ns


def _find_end(
    campaign: Campaign, scenario: Scenario, policies: Mapping[str, ScenarioPolicy], replications: range
) -> int:
    """Return the longest time until service was restored, or the rollout completed, in a pilot."""
    part = None if campaign.store is None else "pilot"
    pilot = campaign.sweep({scenario.name: scenario}, policies, part=part, replications=replications[:_PILOT])
    ends = pilot.to_frame(["makespan_s", "restored_at_s"]).max(axis="columns").dropna()
    if ends.empty:
        campaign.warn_of_failures()
        if campaign.n_failed == campaign.n_done:
            raise SimulationError("every replication failed")
        raise InputError(Problem("no rollout ends", ("until",), hint='set until, such as "2h"'))
    return max(round(float(ends.max()) * NS_PER_S), 1)


def _make_grid(every_ns: int | None, until_ns: int) -> Grid:
    if every_ns is None:
        wanted_s = until_ns / NS_PER_S / _FEWEST_INSTANTS
        small = (size * 10.0**power for power in range(-9, 0) for size in (1, 2, 5))
        every_s = next((size for size in (*small, *_ROUND) if size >= wanted_s), None)
        every_ns = round((every_s or -(-wanted_s // 86_400) * 86_400) * NS_PER_S)
    n_times = -(-until_ns // every_ns) + 1
    if n_times > _MOST_INSTANTS:
        message = f"more than {_MOST_INSTANTS:,} instants"
        hint = f"make it at least {-(-until_ns // (_MOST_INSTANTS - 1)) / NS_PER_S:g} s"
        raise InputError(Problem(message, ("every",), found=f"{n_times:,}", hint=hint))
    return Grid(every_ns, n_times)


def _trace(
    campaign: Campaign,
    job: TraceJob,
    bands: Bands,
    replications: range,
    policies: Mapping[str, ScenarioPolicy],
) -> None:
    """Trace all replications; with a store, those that it does not contain yet."""
    size = min(max(_NODES_PER_SPAN[job.engine] // job.scenario.fleet.nodes, 1), _MOST_PER_SPAN)
    checkpoint = None
    done: list[range] = []
    if campaign.store is not None:
        checkpoint = Checkpoint(campaign.store, _make_question(job, policies, replications, bands))
    is_whole = False  # whether the counts match `done`, which an interruption in between would prevent
    try:
        if checkpoint is not None:
            done = checkpoint.load(bands)
            is_whole = True
        spans = [
            Span(0, 0, len(policies), first, min(size, part.stop - first))
            for part in find_missing(replications, done)
            for first in range(part.start, part.stop, size)
        ]

        def report() -> None:
            campaign.report(len(policies) * sum(map(len, done)), len(policies) * len(replications))

        report()
        with closing(campaign.executor(job.engine).run(job, iter(spans))) as finished:
            for span, traces in finished:
                is_whole = False
                bands.add(span.policy, traces)
                done = join_ranges([*done, range(span.first, span.first + span.n_replications)])
                is_whole = True
                report()
                if checkpoint is not None:
                    checkpoint.save(bands, done)
    finally:
        if checkpoint is not None:
            if is_whole:
                checkpoint.save(bands, done, at_once=True)
            checkpoint.close()


def join_ranges(ranges: Sequence[range]) -> list[range]:
    """Return the same numbers in as few ranges as possible, ascending; the given ranges must not overlap.

    Examples
    --------
    >>> join_ranges([range(5, 7), range(0, 2), range(2, 5)])
    [range(0, 7)]
    """
    joined: list[range] = []
    for part in sorted(ranges, key=lambda part: part.start):
        if joined and joined[-1].stop == part.start:
            joined[-1] = range(joined[-1].start, part.stop)
        else:
            joined.append(part)
    return joined


def find_missing(wanted: range, there: Sequence[range]) -> list[range]:
    """Return the wanted numbers that are in none of the ranges, which ascend.

    Examples
    --------
    >>> find_missing(range(10), [range(0, 3), range(5, 6)])
    [range(3, 5), range(6, 10)]
    """
    starts = [wanted.start, *(part.stop for part in there)]
    stops = [*(part.start for part in there), wanted.stop]
    return [range(start, stop) for start, stop in zip(starts, stops, strict=True) if start < stop]


def _make_question(
    job: TraceJob, policies: Mapping[str, ScenarioPolicy], replications: range, bands: Bands
) -> dict[str, Any]:
    scenarios = {job.scenario.name: job.scenario}
    bases = {(job.scenario.name, name): policy for name, policy in policies.items()}
    points = make_points([], [], "grid", seed=job.seed)
    how: dict[str, Any] = {"replications": replications, "seed": job.seed, "engine": job.engine}
    return {
        **make_question(scenarios, bases, points, "grid", **how),
        "every_ns": job.grid.every_ns,
        "instants": job.grid.n_times,
        "quantities": [QUANTITIES[row] for row in bands.quantities],
        "rate_step": STEP,
    }


def _make_frame(bands: Bands, policies: Sequence[str], kinds: Sequence[str], levels: Sequence[float]) -> pd.DataFrame:
    named = [{**row, "policy": policies[row["policy"]], "release": kinds[row["release"]]} for row in bands.rows(levels)]
    return make_frame(named, {**BAND, **{name_quantile(level): "float64" for level in levels}})


def _find_peaks(
    frame: pd.DataFrame, bands: Bands, policies: Sequence[str], kinds: Sequence[str], levels: Sequence[float]
) -> pd.DataFrame:
    """Return the worst value of the worst quantile of each band, for updated nodes its highest, and the last mean."""
    rows = []
    for (policy, release, quantity), band in frame.groupby(["policy", "release", "quantity"], sort=False):
        column = name_quantile(min(levels) if quantity in WORST_WHEN_LOW else max(levels))
        is_low = quantity in WORST_WHEN_LOW and quantity not in GROWING
        values = band[column].to_numpy()
        known = not np.isnan(values).all()
        place = 0 if not known else int(np.nanargmin(values) if is_low else np.nanargmax(values))
        rows.append(
            {
                "policy": policy,
                "release": release,
                "quantity": quantity,
                "rollouts": int(bands.n_rollouts[policies.index(policy), kinds.index(release)]),
                "peak": values[place],
                "peak_at_s": band["time_s"].iloc[place] if known else np.nan,
                "end": band["mean"].iloc[-1],
            }
        )
    return make_frame(rows, PEAK)
