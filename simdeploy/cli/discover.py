"""``simdeploy discover``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli.answers import json_option, print_answer
from simdeploy.cli.files import picture_option, table_option, write_picture, write_table
from simdeploy.cli.inputs import (
    check_cluster,
    choose_policy,
    cluster_options,
    confidence_option,
    describe_orchestrator,
    engine_option,
    example,
    policy_option,
    read_with_warnings,
    require_option,
    scenario_argument,
    seed_option,
    workers_option,
)
from simdeploy.cli.resuming import ResumableCommand, resumable, store_option
from simdeploy.cli.vary import read_vary, vary_option

if TYPE_CHECKING:
    from simdeploy.analysis import Discovery


@click.command("discover", cls=ResumableCommand)
@scenario_argument
@policy_option
@require_option
@vary_option("Over KEY=low:high, or low:high:log, what is between is varied; keys as for sweep.")
@click.option(
    "--points",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="Worlds: half to find boxes in, half to judge these.",
)
@click.option("--replications", type=click.IntRange(1), default=400, show_default=True, help="Rollouts in each world.")
@seed_option
@confidence_option
@engine_option
@workers_option
@cluster_options
@picture_option("--plot", "Draw worlds, box and peeling path into this .png, .svg or .pdf.")
@table_option("--out", "Write all worlds to this .csv or .parquet: whether each breaks, and its box.")
@store_option
@json_option
@example(
    'simdeploy discover scenarios/small-fleet.yaml --policy canary --require "false_alarm given good <= 5%" '
    "--vary fleet.start_failure=0.001:0.1:log --vary update_duration.lognormal.median=30s:80s"
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    scenario: str,
    policy: str | None,
    requirements: tuple[str, ...],
    vary: tuple[str, ...],
    plot: Path | None,
    out: Path | None,
    store: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Try a policy in many worlds around SCENARIO, and say in which of them it breaks.

    A world breaks if a requirement isn't met there. Prints the box of factors in which it does, how much of the box
    breaks, and how much of what breaks is in the box; both in worlds that had no part in finding it.
    """
    from simdeploy.analysis import discover
    from simdeploy.cli.screen import MOST_ROWS

    check_cluster(ctx)
    read = read_with_warnings(scenario)
    chosen = choose_policy(read, policy)
    values = read_vary(vary, read, {chosen.name: chosen}, has_ranges=True)
    with resumable(ctx, store, in_parts=True) as progress:
        result = discover(
            read, chosen, vary=values, requirements=requirements or None, store=store, progress=progress, **options
        )
    under = {**result.computed_under, "requirements": list(map(str, result.requirements))}
    told = f"policy {chosen.name}, {len(result.worlds):,} worlds, {result.n_replications:,} replications in each"
    lines = [
        f"{read.name}: {told}, seed {under['seed']}, engine {under['engine']}",
        describe_orchestrator(read.orchestrator),
        *(f"required: {requirement}" for requirement in result.requirements),
    ]
    print_answer(result, as_json=as_json, computed_under=under, lines=lines, rows=MOST_ROWS)
    if out is not None:
        write_table(result.worlds, out)
    if plot is not None:
        _plot(result, plot)
    if result.is_refused or result.n_failed:  # the answer, or a warning, has said why
        raise click.exceptions.Exit(1)


def _plot(result: Discovery, path: Path) -> None:
    from matplotlib.figure import Figure

    from simdeploy.plotting.discovery import plot_discovery, plot_peeling_path

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    worlds, trail = figure.subplots(1, 2)
    plot_discovery(worlds, result)
    plot_peeling_path(trail, result)
    write_picture(figure, path)
