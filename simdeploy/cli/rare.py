"""``simdeploy rare``."""

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
from simdeploy.cli.progress import progress_bar
from simdeploy.errors import InputError, Problem, shorten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simdeploy.analysis.rare.result import Rare


@click.command("rare")
@scenario_argument
@policy_option
@click.option(
    "--event",
    required=True,
    metavar="EVENT",
    help='What happens, such as "min_in_service_fraction < 90%", or "failed_requests_excess > 1e6 and escaped".',
)
@click.option(
    "--method",
    default="importance",
    show_default=True,
    help="importance: makes it happen more often, and weighs; splitting: goes on from where it nearly happened.",
)
@click.option(
    "--tilt",
    "tilts",
    metavar="NAME[=FACTOR]",
    multiple=True,
    help="What is made likelier, and by how much; with names only a pilot finds the factors. May be repeated; by default it tries everything.",
)
@click.option(
    "--levels",
    default="failed_nodes",
    show_default=True,
    metavar="NAME[=N,N,...]",
    help="What splitting goes by, failed_nodes or peak_exposed_nodes, and its levels; by default a pilot finds these.",
)
@click.option(
    "--rollouts", type=click.IntRange(100), default=20_000, show_default=True, help="That the estimate is over."
)
@seed_option
@confidence_option
@engine_option
@workers_option
@picture_option("--plot", "Draw what this and plain simulation cost into this .png, .svg or .pdf.")
@table_option("--out", "Write the numbers to this .csv or .parquet.")
@json_option
@example('simdeploy rare scenarios/stop-that-hurts.yaml --event "min_in_service_fraction < 90%"')
def command(
    *,
    scenario: str,
    policy: str | None,
    event: str,
    method: str,
    tilts: tuple[str, ...],
    levels: str,
    rollouts: int,
    seed: int,
    confidence_level: float,
    engine: str,
    workers: int,
    plot: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Estimate how likely a catastrophe is under a policy of SCENARIO: what plain simulation would hardly ever meet.

    Prints the probability with its interval, what plain simulation would have needed, and what speaks for the
    estimate. Exits with 1 if it can't be trusted; then no probability is stated.
    """
    from simdeploy.analysis.rare.estimating import estimate_rare

    read = read_with_warnings(scenario)
    chosen = choose_policy(read, policy)
    with progress_bar("rollouts") as bar:
        result = estimate_rare(
            read,
            chosen,
            event=event,
            method=method,
            tilt=_read_tilts(tilts),
            levels=_read_levels(levels),
            rollouts=rollouts,
            confidence_level=confidence_level,
            seed=seed,
            engine=engine,
            workers=workers,
            progress=bar or False,
        )
    under = result.computed_under
    told = f"policy {result.policy}, {result.method}, seed {seed}, engine {under['engine']}"
    lines = [f"{read.name}: {told}", describe_orchestrator(read.orchestrator)]
    print_answer(result, as_json=as_json, computed_under=under, lines=lines)
    if out is not None:
        write_table(result.to_frame(), out)
    if plot is not None:
        _plot(result, plot)
    if result.doubts:
        raise click.exceptions.Exit(1)


def _read_tilts(tilts: Sequence[str]) -> Mapping[str, float] | list[str] | None:
    if not tilts:
        return None
    pairs = [tilt.partition("=") for tilt in tilts]
    if not any(sign for _, sign, _ in pairs):
        return [name.strip() for name, _, _ in pairs]
    factors = {}
    problems = []
    for name, _, text in pairs:
        try:
            factors[name.strip()] = float(text)
        except ValueError:
            allowed = "a number above 0 for every name, or for none"
            problems.append(Problem("not a factor", ("--tilt", name), found=shorten(text), allowed=allowed))
    if problems:
        raise InputError(problems)
    return factors


def _read_levels(levels: str) -> str | dict[str, list[int]]:
    name, sign, text = levels.partition("=")
    if not sign:
        return name.strip()
    try:
        return {name.strip(): [int(one) for one in text.split(",")]}
    except ValueError:
        problem = Problem("no levels", ("--levels", name), found=shorten(text), allowed="whole numbers, such as 3,5,7")
        raise InputError(problem) from None


def _plot(result: Rare, path: Path) -> None:
    from matplotlib.figure import Figure

    from simdeploy.plotting.rare import plot_rare

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    plot_rare(figure.subplots(), result)
    write_picture(figure, path)
