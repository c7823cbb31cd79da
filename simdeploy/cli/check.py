"""``simdeploy check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from simdeploy.cli.answers import json_option, print_answer, say
from simdeploy.cli.files import file_option, picture_option, table_option, write_file, write_picture, write_table
from simdeploy.cli.inputs import (
    confidence_option,
    describe_orchestrator,
    engine_option,
    example,
    policies_option,
    read_with_warnings,
    require_option,
    scenario_argument,
    seed_option,
    workers_option,
)
from simdeploy.cli.progress import progress_bar
from simdeploy.errors import InputError, Problem

if TYPE_CHECKING:
    from simdeploy.analysis.checking.checking import Check

_NOT_MET = 1
_UNWRITABLE = 2
_UNDECIDED = 3


@click.command("check")
@scenario_argument
@require_option
@policies_option("Names of the policies to check; all of them by default.")
@click.option(
    "--most", type=click.IntRange(1), default=10_000, show_default=True, help="The budget: rollouts of a policy."
)
@seed_option
@confidence_option
@engine_option
@workers_option
@file_option("--junit", "Write the verdicts as JUnit XML.", ".xml")
@picture_option("--plot", "Draw what was found beside its limits into this .png, .svg or .pdf.")
@table_option("--out", "Write the table of verdicts to this .csv or .parquet.")
@json_option
@example('simdeploy check scenarios/small-fleet.yaml --require "false_alarm given good <= 1%" --junit verdicts.xml')
def command(
    *,
    scenario: str,
    requirements: tuple[str, ...],
    policies: list[str] | None,
    most: int,
    seed: int,
    confidence_level: float,
    engine: str,
    workers: int,
    junit: Path | None,
    plot: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Check whether the policies of SCENARIO meet its requirements, for a CI job.

    Simulates until every requirement is decided, or the budget is used up. Ends with 0 if all are met, 1 if one is not
    (or a replication failed), 3 if the budget does not decide, 2 if the input is no use.
    """
    from simdeploy.analysis.checking.checking import check
    from simdeploy.report.checking import count_rollouts

    read = read_with_warnings(scenario)
    if not requirements and not read.requirements:
        hint = 'write them into the scenario, such as "requirements: [{of: false_alarm, given: good, at_most: 0.01}]", '
        hint += 'or give one, such as --require "false_alarm given good <= 1%"'
        raise InputError(Problem("nothing is required", ("requirements",), file=scenario, hint=hint))
    with progress_bar("replications") as progress:
        found = check(
            read,
            requirements or None,
            policies=policies,
            confidence_level=confidence_level,
            most=most,
            seed=seed,
            engine=engine,
            workers=workers,
            progress=progress or False,
        )
    lines = [
        f"{read.name}: at most {count_rollouts(most)} of each policy, seed {seed}, engine {found.computed_under['engine']}",
        describe_orchestrator(read.orchestrator),
    ]
    print_answer(found, as_json=as_json, computed_under=found.computed_under, lines=lines)
    try:
        _write_files(found, junit, out, plot)
    except OSError as error:
        # Not 1, which says that a requirement is not met.
        say(f"error: {error.filename}: {error.strerror}")
        raise click.exceptions.Exit(_UNWRITABLE) from None
    if found.verdict == "not met" or any(found.n_failed.values()):  # a warning has said which failed
        raise click.exceptions.Exit(_NOT_MET)
    if found.verdict == "undecided":
        raise click.exceptions.Exit(_UNDECIDED)


def _write_files(found: Check, junit: Path | None, out: Path | None, plot: Path | None) -> None:
    if junit is not None:
        from simdeploy.cli.junit import write_junit

        text = write_junit(found)
        write_file(junit, lambda file: file.write(text))
    if out is not None:
        write_table(found.verdicts, out)
    if plot is not None:
        _plot(found, plot)


def _plot(found: Check, path: Path) -> None:
    from matplotlib.figure import Figure

    from simdeploy.plotting.check import plot_check

    figure = Figure(figsize=(9, 1.6 + 0.45 * len(found.verdicts)), layout="constrained")
    plot_check(figure.subplots(), found)
    write_picture(figure, path)
