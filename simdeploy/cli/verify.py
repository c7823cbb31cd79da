"""``simdeploy verify``."""

from __future__ import annotations

import click

from simdeploy.cli.options import CLUSTER, WORKERS, is_given, refuse_without, use, whole_option
from simdeploy.cli.progress import progress_bar
from simdeploy.cli.study import Finding, run_with_bar, study_command


@study_command(
    "verify", policies=None, replications=200, least=100, simulates=False, plot=False, example="simdeploy verify"
)
@click.option(
    "--decisions",
    is_flag=True,
    help="Instead, test tune and compare on ten problems with known costs; takes minutes.",
)
@use(whole_option("--seeds", 30, "Answers to each problem of --decisions.", most=10_000), WORKERS, *CLUSTER)
def command(ctx: click.Context, *, decisions: bool, seeds: int) -> Finding:
    """Check the engines, or decisions, against exact values.

    Simulates small scenarios with known means on this machine: --replications of each case on the reference engine, and
    50 times as many on the compiled one. Exits with 1 on a discrepancy. With --decisions, tune and compare solve
    problems whose best policy is known. Exits with 1 if a claim is then true less often than stated.
    """
    if decisions:
        return _verify_decisions(ctx, seeds)
    refuse_without(ctx, "--decisions", "seeds", "workers", "cluster")
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


def _verify_decisions(ctx: click.Context, seeds: int) -> Finding:
    from simdeploy.validation.decisions import verify_decisions

    if is_given(ctx, "replications"):
        raise click.UsageError("--replications can't be combined with --decisions; use --seeds N")
    result = run_with_bar(ctx, "answers", verify_decisions, seeds=seeds)
    return Finding(
        result,
        about=f"{seeds} answers to each of {len(result.problems)} problems; probability of a false failure "
        f"at most {result.false_alarm_probability:.1g}",
        failed=not result.is_ok,
    )
