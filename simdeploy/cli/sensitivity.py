"""``simdeploy sensitivity``."""

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
    scenario_argument,
    seed_option,
    workers_option,
)
from simdeploy.cli.resuming import ResumableCommand, resumable, store_option
from simdeploy.cli.vary import read_vary, vary_option

if TYPE_CHECKING:
    from simdeploy.analysis import Sensitivity


@click.command("sensitivity", cls=ResumableCommand)
@scenario_argument
@policy_option
@vary_option("Over KEY=low:high, or low:high:log, what is between is varied; keys as for sweep.")
@click.option("--of", default="cost", show_default=True, metavar="MEASURE", help="What may be moved.")
@click.option(
    "--method",
    type=click.Choice(["morris", "sobol"]),
    default="morris",
    show_default=True,
    help="Rank many factors with few points; or say how much of the variance each explains.",
)
@click.option(
    "--size",
    type=click.IntRange(1),
    help="Morris: trajectories, of one point more than there are factors; 20 by default. Sobol: rows, of two points "
    "more; 256 by default.",
)
@click.option("--replications", type=click.IntRange(1), default=100, show_default=True, help="Rollouts at each point.")
@seed_option
@confidence_option
@engine_option
@workers_option
@cluster_options
@picture_option("--plot", "Draw a bar for each factor into this .png, .svg or .pdf.")
@table_option("--out", "Write the indices to this .csv or .parquet.")
@store_option
@json_option
@example(
    "simdeploy sensitivity scenarios/small-fleet.yaml --policy canary --of makespan_s "
    "--vary fleet.start_failure=0.001:0.1:log --vary update_duration.lognormal.median=30s:80s"
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    scenario: str,
    policy: str | None,
    vary: tuple[str, ...],
    plot: Path | None,
    out: Path | None,
    store: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Vary factors of SCENARIO over ranges, and say which of them move what a policy leads to.

    Nobody but you knows how uncertain a factor is: give each its range. All points meet the same simulated worlds.
    """
    from simdeploy.analysis import estimate_sensitivity

    check_cluster(ctx)
    read = read_with_warnings(scenario)
    chosen = choose_policy(read, policy)
    values = read_vary(vary, read, {chosen.name: chosen}, has_ranges=True)
    with resumable(ctx, store) as progress:
        result = estimate_sensitivity(read, chosen, vary=values, store=store, progress=progress, **options)
    under = result.computed_under
    n_points = len(result.points)
    told = f"policy {chosen.name}, {n_points:,} points, {result.n_replications:,} replications of each"
    lines = [
        f"{read.name}: {told}, seed {under['seed']}, engine {under['engine']}",
        describe_orchestrator(read.orchestrator),
    ]
    print_answer(result, as_json=as_json, computed_under=under, lines=lines)
    if out is not None:
        write_table(result.to_frame(), out)
    if plot is not None:
        _plot(result, plot)
    if result.is_refused or result.n_failed:  # the answer, or a warning, has said why
        raise click.exceptions.Exit(1)


def _plot(result: Sensitivity, path: Path) -> None:
    from matplotlib.figure import Figure

    from simdeploy.plotting.sensitivity import plot_sensitivity

    figure = Figure(figsize=(8, 1.8 + 0.5 * len(result.factors)), layout="constrained")
    plot_sensitivity(figure.subplots(), result)
    write_picture(figure, path)
