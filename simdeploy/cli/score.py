"""``simdeploy score``."""

from __future__ import annotations

import click

from simdeploy.cli.files import PathName
from simdeploy.cli.options import CONFIDENCE_LEVEL, use
from simdeploy.cli.study import Finding, study_command
from simdeploy.errors import plural


@study_command(
    "score",
    policies=None,
    simulates=False,
    example="simdeploy score forecasts --outcomes rollouts.csv --plot reliability.png",
)
@click.argument("log", metavar="DIR", type=PathName(exists=True, file_okay=False))
@click.option(
    "--outcomes",
    metavar="FILE",
    type=PathName(exists=True, dir_okay=False, readable=True),
    help="Final deployment objects (.json), or a table of id, defective, state, completed_at (.csv, .parquet).",
)
@use(CONFIDENCE_LEVEL)
def command(ctx: click.Context, *, log: str, outcomes: str | None, confidence_level: float) -> Finding:
    """Compare logged forecasts with what happened.

    DIR is the --log folder of forecast and advise. Prints how often events happened, by their forecast probability, and how often the
    time left was within its forecast.
    """
    from simdeploy.analysis import score

    result = score(log, outcomes=outcomes, confidence_level=confidence_level, seed=ctx.params["seed"])
    left_out = f"; {plural(len(result.files), 'file')} left out" if len(result.files) else ""
    return Finding(
        result,
        about=f"{plural(len(result.answers), 'answer')}, {plural(result.n_rollouts, 'rollout')}{left_out}",
        undecided=not result.is_trusted,
    )
