"""``simdeploy tune``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli.answers import json_option, print_answer
from simdeploy.cli.files import picture_option, table_option, write_picture, write_table
from simdeploy.cli.inputs import (
    choose_policy,
    confidence_option,
    describe_orchestrator,
    direction_option,
    engine_option,
    example,
    of_option,
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
    from simdeploy.analysis import Tuning


@click.command("tune", cls=ResumableCommand)
@scenario_argument
@policy_option
@of_option
@direction_option
@require_option
@vary_option(
    "Only the grid of such keys of the policy is searched; by default strategy, sizes, thresholds and times are."
)
@click.option(
    "--candidates",
    type=click.IntRange(1),
    default=2000,
    show_default=True,
    help="Policies that are tried; of more combinations a sample is drawn.",
)
@click.option(
    "--worlds", type=click.IntRange(2), default=100, show_default=True, help="In which every candidate is tried."
)
@click.option(
    "--indifference", type=float, help="The smallest difference that matters; 5 % of the best, or 0.5 points of a rate."
)
@click.option(
    "--budget", type=click.IntRange(1), help="Rollouts for the final choice, instead of as many as it takes to be sure."
)
@click.option(
    "--most-rollouts",
    type=click.IntRange(1),
    default=1_000_000,
    show_default=True,
    help="What each stage after the first may cost.",
)
@seed_option
@confidence_option
@engine_option
@workers_option
@picture_option("--plot", "Draw all candidates into this .png, .svg or .pdf.")
@table_option("--out", "Write all candidates to this .csv or .parquet.")
@store_option
@json_option
@example('simdeploy tune scenarios/small-fleet.yaml --policy canary --require "false_alarm given good <= 5%"')
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
    seed: int,
    engine: str,
    **options: Any,
) -> None:
    """Search for the policy that costs least on SCENARIO, under requirements.

    Prints which one to use and what it saves, what it can't be told from, which requirement holds it back, and the
    policy as a deployment spec in both dialects of the API.
    """
    from simdeploy.analysis import tune
    from simdeploy.report.tuning import describe_specs

    read = read_with_warnings(scenario)
    base = choose_policy(read, policy)
    values = read_vary(vary, read, {base.name: base}, has_ranges=False, is_grid=True) if vary else None
    with resumable(ctx, store, in_parts=True) as progress:
        result = tune(
            read,
            base,
            requirements=requirements or None,
            vary=values,
            seed=seed,
            engine=engine,
            store=store,
            progress=progress,
            **options,
        )
    under = result.computed_under
    required = "; ".join(map(str, result.requirements))
    lines = [
        f"{read.name}: policy {base.name}, seed {seed}, engine {under['engine']}",
        describe_orchestrator(read.orchestrator),
        f"{result.direction}imise {result.of}" + (f", subject to {required}" if required else ""),
    ]
    print_answer(result, as_json=as_json, computed_under=under, lines=lines)
    if not as_json:
        for line in describe_specs(result):
            click.echo(line)
    if out is not None:
        write_table(result.to_frame(), out)
    if plot is not None:
        _plot(result, plot)
    if result.choice is None or result.n_failed:
        raise click.exceptions.Exit(1)


def _plot(result: Tuning, path: Path) -> None:
    from matplotlib.figure import Figure

    from simdeploy.plotting.tuning import plot_tuning

    figure = Figure(figsize=(8, 5), layout="constrained")
    plot_tuning(figure.subplots(), result)
    write_picture(figure, path)
