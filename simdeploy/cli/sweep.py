"""``simdeploy sweep``."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli.answers import say
from simdeploy.cli.files import picture_option, write_picture
from simdeploy.cli.inputs import (
    check_cluster,
    choose_policies,
    cluster_options,
    describe_orchestrator,
    engine_option,
    example,
    read_with_warnings,
    scenario_argument,
    seed_option,
    workers_option,
)
from simdeploy.cli.precision import precision_options, print_precision, read_precision
from simdeploy.cli.resuming import ResumableCommand, folder_option, resumable
from simdeploy.cli.vary import read_count, read_vary, vary_option
from simdeploy.errors import shorten

if TYPE_CHECKING:
    from simdeploy.analysis import GridSummary
    from simdeploy.analysis.estimates.precision_result import Precision
    from simdeploy.experiments import LatinHypercube, SweepResult
    from simdeploy.scenario import Scenario

_MOST_PANELS = 4


def _read_design(_ctx: click.Context, _param: click.Parameter, value: str) -> str | LatinHypercube:
    if value in ("grid", "list"):
        return value
    kind, _, points = value.partition(":")
    from simdeploy.experiments.design import MOST_CASES, LatinHypercube

    number = read_count(points, MOST_CASES)
    if kind != "lhs" or number is None:
        message = f"{shorten(value)} is none of grid, list and lhs:N with the number of points, up to {MOST_CASES:,}"
        raise click.BadParameter(message)
    return LatinHypercube(number)


@click.command("sweep", cls=ResumableCommand)
@scenario_argument
@click.option(
    "--policy",
    "policies",
    metavar="NAME|FILE",
    multiple=True,
    help="A policy of the scenario, or a deployment in JSON; may be repeated. The first of the scenario by default.",
)
@vary_option("Keys are those of the policy, and after 'scenario.' those of the scenario.")
@click.option(
    "--design",
    metavar="grid|list|lhs:N",
    default="grid",
    show_default=True,
    callback=_read_design,
    help="Every combination; the lists side by side; N points of a Latin hypercube (low:high is a range then, low:high:log one in equal ratios).",
)
@click.option("--replications", type=click.IntRange(1), default=100, show_default=True, help="Rollouts of each case.")
@precision_options
@seed_option
@engine_option
@workers_option
@cluster_options
@folder_option("--out")
@picture_option("--plot", "Draw false alarms, escapes and makespan into this .png, .svg or .pdf.")
@example(
    "simdeploy sweep scenarios/small-fleet.yaml --policy rolling --vary max_failed_nodes=0:10:6 "
    "--vary max_error_rate=0.01,0.05,0.1 --replications 200 --plot sweep.png"
)
@click.pass_context
def command(
    ctx: click.Context,
    *,
    scenario: str,
    policies: tuple[str, ...],
    vary: tuple[str, ...],
    design: str | LatinHypercube,
    replications: int,
    precision: tuple[str, ...],
    most: int,
    seed: int,
    engine: str,
    workers: int,
    cluster: str | None,
    out: Path | None,
    plot: Path | None,
) -> None:
    """Try many values of policy and scenario on SCENARIO, all in the same simulated worlds.

    Prints how often each case stops a good release or lets a defective one through, how long it takes and what it
    costs, with intervals.
    """
    from simdeploy.analysis import summarize_grid
    from simdeploy.analysis.estimates.precision import sweep_to_precision
    from simdeploy.experiments import sweep

    check_cluster(ctx)
    targets = read_precision(precision)
    read = read_with_warnings(scenario)
    chosen = choose_policies(read, policies or [next(iter(read.policies))])
    values = read_vary(vary, read, chosen, has_ranges=not isinstance(design, str), is_grid=design == "grid")
    if plot is not None and not any(len(of_key) > 1 for of_key in values.values()):
        raise click.UsageError("--plot needs a key with several values: --vary KEY=...")
    how: dict[str, Any] = {
        "vary": values,
        "design": design,
        "seed": seed,
        "engine": engine,
        "workers": workers,
        "cluster": cluster,
    }
    start = perf_counter()
    precise = None
    with resumable(ctx, out, flag="--out", in_parts=bool(targets)) as progress:
        if targets:
            precise = sweep_to_precision(read, chosen, targets, most=most, store=out, progress=progress, **how)
            result = precise.responses
        else:
            result = sweep(read, chosen, replications=replications, store=out, progress=progress, **how)
    if sys.stderr.isatty():
        seconds = perf_counter() - start
        say(f"{seconds:.1f} s, {seconds / len(result.cases):.3g} s per case")
    summary = summarize_grid(result)
    _print(read, result, summary, precise)
    if plot is not None:
        _plot(summary, plot)
    if summary.cells["failed"].any():  # a warning has said which
        raise click.exceptions.Exit(1)


def _print(
    scenario: Scenario, result: SweepResult, summary: GridSummary, precise: Precision[SweepResult] | None
) -> None:
    from simdeploy.cli.screen import MOST_ROWS, make_console, print_tables
    from simdeploy.report.grid import tabulate_grid

    console = make_console()
    several = "policies" if len(result.policies) > 1 else "policy"
    console.print(
        f"{scenario.name}: {several} {', '.join(result.policies)}, {len(result.cases):,} cases, "
        f"{result.replications:,} replications of each, seed {result.attrs['seed']}, engine {result.attrs['engine']}",
        soft_wrap=True,
    )
    for name in result.factors:
        console.print(f"{name}, {result.describe(name)}", soft_wrap=True)
    if precise is not None:
        console.print(precise.answer, soft_wrap=True)
    console.print(describe_orchestrator(scenario.orchestrator), soft_wrap=True)
    console.print()
    table = tabulate_grid(summary, rows=MOST_ROWS)
    print_tables(console, [table])
    n_more = len(result.cases) - len(table.rows)
    if n_more:
        where = f"in {result.store}" if result.store else "--out DIR keeps all of them"
        console.print(f"and {n_more:,} more cases: {where}", soft_wrap=True)
    if precise is not None:
        print_precision(precise)


def _plot(summary: GridSummary, path: Path) -> None:
    from matplotlib.figure import Figure

    from simdeploy.plotting import plot_heatmap
    from simdeploy.plotting.slices import list_slices

    slices = list_slices(summary)
    shown = slices[:_MOST_PANELS]
    figure = Figure(figsize=(13, 4.4 * len(shown)), layout="constrained")
    for axes, at in zip(figure.subplots(len(shown), 3, squeeze=False), shown, strict=True):
        plot_heatmap(axes, summary, at=at)
    write_picture(figure, path)
    if len(slices) > len(shown):
        say(f"it shows {len(shown)} of {len(slices)} combinations of the other keys")
