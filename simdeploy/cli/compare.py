"""``simdeploy compare``."""

from __future__ import annotations

from collections.abc import Mapping
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
    policies_option,
    read_with_warnings,
    scenario_argument,
    seed_option,
    workers_option,
)
from simdeploy.cli.precision import describe_precision, precision_options, print_precision, read_precision
from simdeploy.cli.progress import progress_bar
from simdeploy.errors import InputError, Problem, listed, nearest, shorten

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.comparison.compare import Comparison
    from simdeploy.analysis.costs.causes import CostResult
    from simdeploy.analysis.estimates.precision_result import Precision
    from simdeploy.scenario import Scenario


@click.command("compare")
@scenario_argument
@policies_option("Names of the policies to compare; all of them by default.")
@click.option("--replications", type=click.IntRange(1), default=100, show_default=True, help="Rollouts of each policy.")
@precision_options
@seed_option
@click.option("--baseline", metavar="A", help="The policy that the others are compared to; the first by default.")
@confidence_option
@engine_option
@workers_option
@click.option("--costs", "by_cause", is_flag=True, help="Split the cost by cause; --plot draws it.")
@json_option
@picture_option("--plot", "Draw the verdicts, or the costs, into this .png, .svg or .pdf.")
@table_option("--out", "Write every replication's responses to this .csv or .parquet.")
@example("simdeploy compare scenarios/small-fleet.yaml --replications 200 --plot verdicts.png")
def command(
    *,
    scenario: str,
    policies: list[str] | None,
    replications: int,
    precision: tuple[str, ...],
    most: int,
    seed: int,
    baseline: str | None,
    confidence_level: float,
    engine: str,
    workers: int,
    by_cause: bool,
    as_json: bool,
    plot: Path | None,
    out: Path | None,
) -> None:
    """Compare the policies of SCENARIO over many rollouts in the same simulated worlds.

    Prints which policy is the best and which ones can't be told from it; then how likely each verdict is, how long the
    rollout takes and what it costs, with intervals, and the differences to a baseline.
    """
    from simdeploy.analysis.comparison.compare import compare

    targets = read_precision(precision)
    read = read_with_warnings(scenario)
    chosen = list(read.policies) if policies is None else policies
    # Known at once, so it is said before the long work and not after it.
    if baseline is not None and baseline not in chosen:
        raise InputError(
            Problem(
                "not one of the policies compared",
                path=("baseline",),
                found=shorten(baseline),
                allowed=listed(chosen),
                hint=nearest(baseline, chosen),
            )
        )
    if by_cause and read.costs is None:
        hint = "add a section `costs`"
        raise InputError(Problem("the scenario has no costs to split", ("--costs",), found=read.name, hint=hint))
    how = {"policies": chosen, "seed": seed, "engine": engine, "workers": workers}
    precise = None
    if targets:
        precise = _replicate_to_precision(read, targets, most=most, confidence_level=confidence_level, **how)
        responses, replications = precise.responses, precise.n_replications
    else:
        responses = _replicate(read, replications=replications, **how)
    comparison = compare(responses, baseline=baseline, confidence_level=confidence_level, costs=read.costs)
    about = (
        f"{read.name}: {replications:,} replications of each policy, seed {seed}, engine {responses.attrs['engine']}"
    )
    print_answer(
        comparison,
        as_json=as_json,
        computed_under={**comparison.computed_under, "replications": replications, **describe_precision(precise)},
        lines=[about, *([] if precise is None else [precise.answer]), describe_orchestrator(read.orchestrator)],
    )
    if precise is not None and not as_json:
        print_precision(precise)
    split = None
    if by_cause:
        from simdeploy.analysis.costs.causes import estimate_costs
        from simdeploy.cli.screen import make_console, print_tables

        assert read.costs is not None  # noqa: S101 - checked before the work
        split = estimate_costs(responses, read.costs, confidence_level=confidence_level)
        if not as_json:
            print_tables(make_console(), split.summarize())
    if out is not None:
        write_table(responses, out)
    if plot is not None:
        _plot(comparison, split, plot)
    if responses["status"].eq("failed").any():  # a warning has said which
        raise click.exceptions.Exit(1)


def _replicate(scenario: Scenario, **how: Any) -> pd.DataFrame:
    from simdeploy.experiments import replicate

    with progress_bar("replications") as progress:
        return replicate(scenario, progress=progress or False, **how)


def _replicate_to_precision(scenario: Scenario, targets: Mapping[str, str], **how: Any) -> Precision[pd.DataFrame]:
    from simdeploy.analysis.estimates.precision import replicate_to_precision

    with progress_bar("replications") as progress:
        return replicate_to_precision(scenario, targets, progress=progress or False, **how)


def _plot(comparison: Comparison, costs: CostResult | None, path: Path) -> None:
    """Draw the verdicts; or where the cost was split, its causes, and each policy against the best of the others."""
    from matplotlib.figure import Figure

    from simdeploy.plotting.comparison import plot_comparison
    from simdeploy.plotting.costs import plot_costs
    from simdeploy.plotting.ranking import plot_ranking

    n = len(comparison.policies)
    if costs is None:
        figure = Figure(figsize=(8, 1.4 + 0.6 * n), layout="constrained")
        plot_comparison(figure.subplots(), comparison)
    else:
        figure = Figure(figsize=(8, 2.8 + 1.0 * n), layout="constrained")
        above, below = figure.subplots(2, 1, height_ratios=[1.2 + 0.6 * n, 1.4 + 0.4 * n])
        plot_costs(above, costs)
        plot_ranking(below, comparison, of="cost")
    write_picture(figure, path)
