"""``simdeploy compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from simdeploy.cli.files import picture_option, table_option, write_picture, write_table
from simdeploy.cli.inputs import (
    confidence_option,
    describe_orchestrator,
    engine_option,
    example,
    read_with_warnings,
    scenario_argument,
    seed_option,
    workers_option,
)
from simdeploy.cli.progress import progress_bar
from simdeploy.errors import InputError, Problem, nearest, shorten

if TYPE_CHECKING:
    from simdeploy.analysis import Comparison
    from simdeploy.scenario import Scenario


@click.command("compare")
@scenario_argument
@click.option("--policies", metavar="A,B", help="Names of the policies to compare; all of them by default.")
@click.option("--replications", type=click.IntRange(1), default=100, show_default=True, help="Rollouts of each policy.")
@seed_option
@click.option("--baseline", metavar="A", help="The policy that the others are compared to; the first by default.")
@confidence_option
@engine_option
@workers_option
@picture_option("--plot", "Draw the verdicts into this .png, .svg or .pdf.")
@table_option("--out", "Write every replication's responses to this .csv or .parquet.")
@example("simdeploy compare scenarios/small-fleet.yaml --replications 200 --plot verdicts.png")
def command(
    *,
    scenario: str,
    policies: str | None,
    replications: int,
    seed: int,
    baseline: str | None,
    confidence_level: float,
    engine: str,
    workers: int,
    plot: Path | None,
    out: Path | None,
) -> None:
    """Compare the policies of SCENARIO over many rollouts in the same simulated worlds.

    Prints how likely each verdict is, how long the rollout takes and what it costs, with intervals, and the differences
    to a baseline.
    """
    from simdeploy.analysis import compare
    from simdeploy.experiments import replicate

    read = read_with_warnings(scenario)
    chosen = list(read.policies) if policies is None else [name.strip() for name in policies.split(",") if name.strip()]
    # Known at once, so it is said before the long work and not after it.
    if baseline is not None and baseline not in chosen:
        raise InputError(
            Problem(
                "not one of the policies compared",
                path=("baseline",),
                found=shorten(baseline),
                allowed=", ".join(chosen),
                hint=nearest(baseline, chosen),
            )
        )
    with progress_bar("replications") as progress:
        responses = replicate(
            read,
            policies=chosen,
            replications=replications,
            seed=seed,
            engine=engine,
            workers=workers,
            progress=progress or False,
        )
    comparison = compare(responses, baseline=baseline, confidence_level=confidence_level)
    _print(read, comparison, replications, seed, responses.attrs["engine"])
    if out is not None:
        write_table(responses, out)
    if plot is not None:
        _plot(comparison, plot)
    if responses["status"].eq("failed").any():  # a warning has said which
        raise click.exceptions.Exit(1)


def _print(scenario: Scenario, comparison: Comparison, replications: int, seed: int, engine: str) -> None:
    from simdeploy.analysis.summary import summarize
    from simdeploy.cli.screen import make_console, print_table

    console = make_console()
    console.print(
        f"{scenario.name}: {replications:,} replications of each policy, seed {seed}, engine {engine}", soft_wrap=True
    )
    console.print(describe_orchestrator(scenario.orchestrator), soft_wrap=True)
    console.print()
    for table in summarize(comparison):
        print_table(console, table.title, table.header, table.rows)


def _plot(comparison: Comparison, path: Path) -> None:
    from matplotlib.figure import Figure

    from simdeploy.plotting import plot_comparison

    figure = Figure(figsize=(8, 1.4 + 0.6 * len(comparison.policies)), layout="constrained")
    plot_comparison(figure.subplots(), comparison)
    write_picture(figure, path)
