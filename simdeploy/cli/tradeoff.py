"""``simdeploy tradeoff``."""

from __future__ import annotations

import click

from simdeploy.cli.options import use, vary_option
from simdeploy.cli.study import Finding, Study, study_command
from simdeploy.cli.vary import read_vary
from simdeploy.errors import plural


@study_command(
    "tradeoff",
    replications=1000,
    example="simdeploy tradeoff scenarios/edge-1000.yaml --vary max_failed_nodes=0,5,10,15,20,30,50 --plot curve.png",
)
@use(vary_option("Policy keys to vary; default: every relevant threshold."))
@click.option("--x", metavar="MEASURE", help='Measure on x, such as "false_alarm given good".')
@click.option("--y", metavar="MEASURE", help='Measure on y, such as "p95 blast_radius given defective".')
def command(study: Study, *, vary: tuple[str, ...], x: str | None, y: str | None) -> Finding:
    """Trade false alarms against escapes, by threshold.

    Varies the thresholds of a policy on SCENARIO, one at a time. Prints the current policy, the API default and the
    nearest better value; then every curve with its intervals.
    """
    from simdeploy.analysis.asking.usual_measures import find_usual
    from simdeploy.analysis.tradeoffs.moving import tradeoff

    policy = study.policy
    values = read_vary(vary, study.scenario, {policy.name: policy}, has_ranges=False) if vary else None
    axes = None
    if x is not None or y is not None:
        default_x, default_y, *_ = find_usual(study.scenario, policy.identity.type)
        axes = [default_x if x is None else x, default_y if y is None else y]
    result = study.run(tradeoff, study.scenario, policy, vary=values, axes=axes)
    return Finding(
        result,
        about=f"policy {result.policy}, {plural(study.ctx.params['replications'], 'replication')} of each value",
    )
