"""``simdeploy backtest``."""

from __future__ import annotations

import click

from simdeploy.cli.files import PathName
from simdeploy.cli.options import CLUSTER, CONFIDENCE_LEVEL, MAP, WORKERS, refuse_without, use, whole_option
from simdeploy.cli.study import Finding, run_with_bar, study_command
from simdeploy.errors import plural


@study_command(
    "backtest",
    policies=None,
    simulates=False,
    example="simdeploy backtest records/2025 --policy today.json --policy new.json",
)
@click.argument("records", metavar="RECORDS...", nargs=-1, required=True, type=PathName(exists=True))
@click.option(
    "--policy",
    "policy_files",
    metavar="FILE",
    multiple=True,
    required=True,
    help="Policy file; its name is that of the policy; repeatable.",
)
@use(
    MAP,
    whole_option("--nodes", None, "Size of the fleet in rollouts whose records don't state it."),
    CONFIDENCE_LEVEL,
    whole_option(
        "--modelled",
        0,
        "Estimate between the bounds: how often to draw what is not on record.",
        least=0,
        most=10_000,
    ),
    WORKERS,
    *CLUSTER,
)
def command(
    ctx: click.Context,
    *,
    records: tuple[str, ...],
    policy_files: tuple[str, ...],
    mapping: dict[str, str],
    nodes: int | None,
    confidence_level: float,
    modelled: int,
) -> Finding:
    """Replay recorded rollouts under other policies.

    RECORDS are files or folders with records of past rollouts. Prints which of them each policy would have stopped, when, and how many
    nodes would have been exposed. Results that the records don't determine are bounded, not invented.
    """
    from simdeploy.analysis import backtest

    if not modelled:
        refuse_without(ctx, "--modelled N", "workers", "cluster")
    result = run_with_bar(
        ctx,
        "draws",
        backtest,
        list(records),
        list(policy_files),
        mapping=mapping or None,
        nodes=nodes,
        modelled=modelled,
        confidence_level=confidence_level,
    )
    n = result.rollouts["rollout"].nunique()
    return Finding(
        result,
        about=f"{plural(n, 'rollout')} recorded, {plural(result.n_dropped, 'row')} dropped",
        lines=["assumes that nodes behave as recorded from their dispatch on"],
    )
