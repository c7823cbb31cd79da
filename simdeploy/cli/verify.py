"""``simdeploy verify``."""

from __future__ import annotations

import click

from simdeploy.cli.progress import progress_bar
from simdeploy.cli.study import Finding, study_command


@study_command(
    "verify", policies=None, replications=200, least=100, simulates=False, plot=False, example="simdeploy verify"
)
def command(ctx: click.Context) -> Finding:
    """Check both engines against closed forms and each other.

    Simulates small scenarios with known means on this machine: --replications of each case on the reference engine, and
    50 times as many on the compiled one. Exits with 1 on a discrepancy.
    """
    from simdeploy.validation.verification import verify

    seed, replications = ctx.params["seed"], ctx.params["replications"]
    with progress_bar("cases") as progress:
        result = verify(replications=replications, seed=seed, progress=progress or False)
    return Finding(
        result,
        about=f"{len(result.comparisons)} comparisons; probability of a false failure "
        f"at most {result.false_alarm_probability:.1g}",
        failed=not result.is_ok,
    )
