"""``simdeploy tradeoff``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from simdeploy.cli.answers import json_option, print_answer
from simdeploy.cli.files import picture_option, table_option, write_picture, write_table
from simdeploy.cli.inputs import (
    choose_policy,
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
    from simdeploy.analysis.tradeoffs.moving import Tradeoff
    from simdeploy.scenario import Scenario
    from simdeploy.scenario.measures import Measure

_MOST_COLUMNS = 4
_PANEL_IN = (3.9, 3.7)


@click.command("tradeoff", cls=ResumableCommand)
@scenario_argument
@policy_option
@vary_option("Only such keys of the policy are moved; by default every threshold that matters is.")
@click.option("--x", metavar="MEASURE", help='What the curve has on x, such as "false_alarm given good".')
@click.option("--y", metavar="MEASURE", help='What it has on y, such as "p95 blast_radius given defective".')
@click.option("--replications", type=click.IntRange(1), default=1000, show_default=True, help="Rollouts of each value.")
@seed_option
@confidence_option
@engine_option
@workers_option
@picture_option("--plot", "Draw the curve of every key into this .png, .svg or .pdf.")
@table_option("--out", "Write the curves to this .csv or .parquet.")
@store_option
@json_option
@example("simdeploy tradeoff scenarios/edge-1000.yaml --vary max_failed_nodes=0,5,10,15,20,30,50 --plot curve.png")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    scenario: str,
    policy: str | None,
    vary: tuple[str, ...],
    x: str | None,
    y: str | None,
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
    """Move each threshold of a policy alone on SCENARIO: what false alarms cost in escapes, and the other way round.

    Prints where the policy stands, where the API's default does, and the nearest value that is surely better; then
    every curve with its band.
    """
    from simdeploy.analysis.tradeoffs.moving import tradeoff

    read = read_with_warnings(scenario)
    chosen = choose_policy(read, policy)
    values = read_vary(vary, read, {chosen.name: chosen}, has_ranges=False) if vary else None
    axes = None if x is None and y is None else _read_axes(read, chosen.identity.type, x, y)
    with resumable(ctx, store) as progress:
        result = tradeoff(
            read,
            chosen,
            vary=values,
            axes=axes,
            replications=replications,
            confidence_level=confidence_level,
            seed=seed,
            engine=engine,
            workers=workers,
            store=store,
            progress=progress,
        )
    under = result.computed_under
    told = f"policy {result.policy}, {replications:,} replications of each value, seed {seed}, engine {under['engine']}"
    lines = [f"{read.name}: {told}", describe_orchestrator(read.orchestrator)]
    print_answer(result, as_json=as_json, computed_under=under, lines=lines)
    if out is not None:
        write_table(result.to_frame(), out)
    if plot is not None:
        _plot(result, plot)
    if result.n_failed:  # a warning has said which
        raise click.exceptions.Exit(1)


def _read_axes(scenario: Scenario, type_: str, x: str | None, y: str | None) -> list[Measure | str]:
    from simdeploy.analysis.tradeoffs.moving import default_axes

    default_x, default_y, *_ = default_axes(scenario, type_)
    return [default_x if x is None else x, default_y if y is None else y]


def _plot(result: Tradeoff, path: Path) -> None:
    """Draw a panel for each key; then, below, the third measure against the fourth if nobody chose the axes."""
    from matplotlib.figure import Figure

    from simdeploy.plotting.tradeoff import plot_tradeoff

    pairs = [result.axes[place : place + 2] for place in (0, 2) if len(result.axes) >= place + 2]
    columns = min(_MOST_COLUMNS, len(result.levers))
    rows_of_pair = -(-len(result.levers) // columns)
    width, height = _PANEL_IN
    size = (max(columns, 2) * width, len(pairs) * rows_of_pair * height)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(pairs) * rows_of_pair, columns, squeeze=False)
    for number, (x, y) in enumerate(pairs):
        axes = panels[number * rows_of_pair : (number + 1) * rows_of_pair].ravel()
        for ax, lever in zip(axes, result.levers, strict=False):
            plot_tradeoff(ax, result, lever=lever.name, x=x, y=y)
        for ax in axes[len(result.levers) :]:
            ax.set_axis_off()
    write_picture(figure, path)
