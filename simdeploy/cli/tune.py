"""``simdeploy tune``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli.answers import json_option, print_answer
from simdeploy.cli.files import picture_option, table_option, write_picture, write_table
from simdeploy.cli.inputs import (
    confidence_option,
    describe_orchestrator,
    engine_option,
    example,
    find_policy,
    read_with_warnings,
    scenario_argument,
    seed_option,
    workers_option,
)
from simdeploy.cli.resuming import ResumableCommand, resumable, store_option

if TYPE_CHECKING:
    from simdeploy.analysis import Tuning


@click.command("tune", cls=ResumableCommand)
@scenario_argument
@click.option(
    "--policy",
    metavar="NAME|FILE",
    help="The current policy, whose keys are changed: one of the scenario, or a deployment in JSON; the first by default.",
)
@click.option(
    "--minimize", metavar="MEASURE", help="What is to be as low as possible; the scenario's costs by default."
)
@click.option("--maximize", metavar="MEASURE", help="What is to be as high as possible, instead.")
@click.option(
    "--require",
    "requirements",
    metavar="REQUIREMENT",
    multiple=True,
    help='What the choice must meet, such as "false_alarm given good <= 1%"; may be repeated. By default the scenario\'s '
    "own requirements.",
)
@click.option(
    "--vary",
    metavar="KEY=VALUES",
    multiple=True,
    help="Search only this key of the policy, over low:high:count or a list with commas; may be repeated. By default "
    "strategy, sizes, thresholds and times are searched.",
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
    from simdeploy.cli.vary import read_vary

    read = read_with_warnings(scenario)
    base = read.policy(None if policy is None else find_policy(read, policy))
    values = read_vary(vary, read, {base.name: base}, has_ranges=False) if vary else None
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
    told = {"scenario": read.name, "policy": base.name, "seed": seed, "engine": engine}
    under = {**told, "switches": read.orchestrator.switches()}
    lines = [
        f"{read.name}: policy {base.name}, seed {seed}, engine {engine}",
        describe_orchestrator(read.orchestrator),
        f"{result.direction}imise {result.objective}" + _list_requirements(result),
    ]
    print_answer(result, as_json=as_json, computed_under=under, lines=lines)
    if not as_json:
        for line in result.describe_specs():
            click.echo(line)
    if out is not None:
        write_table(result.to_frame(), out)
    if plot is not None:
        _plot(result, plot)
    if result.choice is None:
        raise click.exceptions.Exit(1)


def _list_requirements(result: Tuning) -> str:
    named = list(dict.fromkeys([*result.requirements["requirement"], *result.out_of_reach["requirement"]]))
    return f", subject to {'; '.join(named)}" if named else ""


def _plot(result: Tuning, path: Path) -> None:
    from matplotlib.figure import Figure

    from simdeploy.plotting.tuning import plot_tuning

    figure = Figure(figsize=(8, 5), layout="constrained")
    plot_tuning(figure.subplots(), result)
    write_picture(figure, path)
