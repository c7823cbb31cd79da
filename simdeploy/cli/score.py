"""``simdeploy score``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from simdeploy.cli.files import PathName
from simdeploy.cli.options import CONFIDENCE_LEVEL, use
from simdeploy.cli.study import Finding, draw_panels, study_command

if TYPE_CHECKING:
    import numpy as np

    from simdeploy.analysis.scoring.result import Score


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
    """Compare kept forecasts with what happened.

    DIR is the folder that forecast and advise were given as --log. Says how often what was called so probable happened, and how many
    times left lay in their forecasts.
    """
    from simdeploy.analysis import score
    from simdeploy.report.wording import plural

    result = score(log, outcomes=outcomes, confidence_level=confidence_level, seed=ctx.params["seed"])
    left_out = f"; {plural(len(result.files), 'file')} left out" if len(result.files) else ""
    return Finding(
        result,
        about=f"{plural(len(result.answers), 'answer')}, {plural(result.n_rollouts, 'rollout')}{left_out}",
        draw=draw_panels((9, 4.5), _plot, result, panels=(1, 2)),
        undecided=not result.is_trusted,
    )


def _plot(axes: np.ndarray, result: Score) -> None:
    from simdeploy.plotting.scoring import plot_score

    plot_score(axes[0, 0], result)
    plot_score(axes[0, 1], result, event="completed")
