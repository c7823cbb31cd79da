"""``simdeploy sensitivity``."""

from __future__ import annotations

import click

from simdeploy.cli.options import OF, Choice, use, vary_option, whole_option
from simdeploy.cli.study import Finding, Study, study_command
from simdeploy.cli.vary import read_vary
from simdeploy.errors import plural


@study_command(
    "sensitivity",
    replications=400,
    example="simdeploy sensitivity scenarios/small-fleet.yaml --policy canary --of makespan_s "
    "--vary fleet.start_failure=0.001:0.1:log --vary update_duration.lognormal.median=30s:80s",
)
@use(vary_option("KEY=low:high and low:high:log are ranges. Keys as for sweep."), OF)
@click.option(
    "--method",
    type=Choice(["morris", "sobol"]),
    default="morris",
    show_default=True,
    help="morris: rank many factors with few points; sobol: fraction of the variance that each explains.",
)
@use(
    whole_option(
        "--size",
        None,
        "Morris: trajectories of k+1 points for k factors, default 20. Sobol: rows of k+2 points, default 256.",
    )
)
def command(study: Study, *, vary: tuple[str, ...]) -> Finding:
    """Find the factors that drive a policy's results.

    Varies factors of SCENARIO over the ranges you give, which express how uncertain each factor is. All points share
    the same simulated worlds.
    """
    from simdeploy.analysis import estimate_sensitivity

    policy = study.policy
    values = read_vary(vary, study.scenario, {policy.name: policy}, has_ranges=True)
    result = study.run(estimate_sensitivity, study.scenario, policy, vary=values)
    return Finding(
        result,
        about=f"policy {policy.name}, {len(result.points):,} points, {plural(result.n_replications, 'replication')} of each",
        undecided=result.is_refused,
    )
