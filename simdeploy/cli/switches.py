"""``simdeploy switches``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli.answers import json_option, print_answer
from simdeploy.cli.files import picture_option, table_option, write_picture, write_table
from simdeploy.cli.inputs import (
    choose_policies,
    confidence_option,
    describe_orchestrator,
    direction_option,
    engine_option,
    example,
    of_option,
    policies_option,
    read_with_warnings,
    require_option,
    scenario_argument,
    seed_option,
    workers_option,
)
from simdeploy.cli.resuming import ResumableCommand, resumable, store_option

if TYPE_CHECKING:
    from simdeploy.analysis.switches.result import Switches


@click.command("switches", cls=ResumableCommand)
@scenario_argument
@policies_option("Policies to choose from, or deployments in JSON; all by default.", "A,B|FILE")
@of_option
@direction_option
@require_option
@click.option("--pairs/--no-pairs", default=True, show_default=True, help="Try every two values together as well.")
@click.option(
    "--replications",
    type=click.IntRange(2),
    default=500,
    show_default=True,
    help="Rollouts of each policy and setting.",
)
@seed_option
@confidence_option
@engine_option
@workers_option
@picture_option("--plot", "Draw what each value does to the choice into this .png, .svg or .pdf.")
@table_option("--out", "Write the tables of values and pairs to this .csv or .parquet.")
@store_option
@json_option
@example('simdeploy switches scenarios/small-fleet.yaml --require "false_alarm given good <= 5%" --plot tornado.png')
@click.pass_context
def command(
    ctx: click.Context,
    *,
    scenario: str,
    policies: list[str] | None,
    of: str,
    direction: Any,
    requirements: tuple[str, ...],
    pairs: bool,
    replications: int,
    seed: int,
    confidence_level: float,
    engine: str,
    workers: int,
    plot: Path | None,
    out: Path | None,
    store: Path | None,
    as_json: bool,
) -> None:
    """Choose a policy for SCENARIO, and say whether a switch of the control plane would change the choice.

    The API leaves open how a control plane reads a policy. Every value of every such switch is tried, alone and with
    every value of another one, in the same simulated worlds.
    """
    from simdeploy.analysis.switches.varying import vary_switches
    from simdeploy.cli.screen import MOST_ROWS

    read = read_with_warnings(scenario)
    chosen = None if policies is None else choose_policies(read, policies)
    with resumable(ctx, store, in_parts=True) as progress:
        result = vary_switches(
            read,
            policies=chosen,
            of=of,
            direction=direction,
            requirements=requirements or None,
            replications=replications,
            confidence_level=confidence_level,
            pairs=pairs,
            seed=seed,
            engine=engine,
            workers=workers,
            store=store,
            progress=progress,
        )
    under = {**result.computed_under, "replications": replications, "requirements": list(map(str, result.requirements))}
    n_settings = 1 + int(result.values["is_possible"].sum()) + int(result.pairs["is_possible"].sum())
    told = f"{replications:,} replications of each policy under each of {n_settings:,} settings"
    lines = [
        f"{read.name}: {told}, seed {seed}, engine {under['engine']}",
        describe_orchestrator(read.orchestrator),
        *(f"required: {requirement}" for requirement in result.requirements),
    ]
    print_answer(result, as_json=as_json, computed_under=under, lines=lines, rows=MOST_ROWS)
    if out is not None:
        write_table(result.to_frame(), out)
    if plot is not None:
        _plot(result, plot)
    if result.n_failed:  # a warning has said how many
        raise click.exceptions.Exit(1)


def _plot(result: Switches, path: Path) -> None:
    from matplotlib.figure import Figure

    from simdeploy.plotting.tornado import plot_tornado

    n_bars = int(result.values["has_effect"].eq(True).sum())
    figure = Figure(figsize=(9, 1.8 + 0.27 * n_bars), layout="constrained")
    plot_tornado(figure.subplots(), result)
    write_picture(figure, path)
