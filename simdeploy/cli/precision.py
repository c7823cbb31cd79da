"""``--precision`` and ``--most``: as many replications as it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from simdeploy.errors import shorten

if TYPE_CHECKING:
    from simdeploy.analysis.estimates.precision_result import Precision


def precision_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add both options to a command that has ``--replications``, which they replace."""
    options = (
        click.option(
            "--precision",
            metavar="MEASURE=WIDTH",
            multiple=True,
            help="Go on until the interval's half-width is no larger, such as 'makespan_s=5s', 'false_alarm given "
            "good=1pp' or 'cost=5%'; may be repeated. Instead of --replications.",
        ),
        click.option(
            "--most",
            type=click.IntRange(1),
            default=10_000,
            show_default=True,
            help="Replications that --precision may take.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def read_precision(texts: Sequence[str]) -> dict[str, str]:
    """Return the half-widths asked for, by measure; none if ``--precision`` wasn't given.

    What they mean is for the analysis to say, which checks them before its work.
    """
    ctx = click.get_current_context()
    given = {name for name in ("replications", "most") if _is_given(ctx, name)}
    if not texts:
        if "most" in given:
            raise click.UsageError("--most is the budget of --precision, which isn't there")
        return {}
    if "replications" in given:
        raise click.UsageError("--precision and --replications exclude each other: --most N is the budget")
    targets: dict[str, str] = {}
    for text in texts:
        measure, sign, width = (part.strip() for part in text.rpartition("="))
        if not (measure and sign and width):
            raise click.UsageError(f"--precision: {shorten(text)} is not MEASURE=WIDTH, such as 'makespan_s=5s'")
        if measure in targets:
            raise click.UsageError(f"--precision: {shorten(measure)} is there twice")
        targets[measure] = width
    return targets


def describe_precision(found: Precision[Any] | None) -> dict[str, Any]:
    """Return what another program is told of it, beside what the numbers were computed under."""
    return {} if found is None else {"precision": found.to_dict()}


def print_precision(found: Precision[Any]) -> None:
    """Print how precise each estimate is."""
    from simdeploy.cli.screen import MOST_ROWS, make_console, print_tables

    print_tables(make_console(), found.summarize(), rows=MOST_ROWS, rest="more estimates")


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
