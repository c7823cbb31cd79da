"""``simdeploy discover``."""

from __future__ import annotations

from simdeploy.cli.options import REQUIRE, use, vary_option, whole_option
from simdeploy.cli.study import Finding, Study, study_command
from simdeploy.cli.vary import read_vary
from simdeploy.errors import plural


@study_command(
    "discover",
    replications=400,
    example='simdeploy discover scenarios/small-fleet.yaml --policy canary --require "false_alarm given good <= 5%" '
    "--vary fleet.start_failure=0.001:0.1:log --vary update_duration.lognormal.median=30s:80s",
)
@use(
    REQUIRE,
    vary_option("KEY=low:high and low:high:log are ranges. Keys as for sweep."),
    whole_option("--points", 500, "Worlds to try: half find boxes, half test them."),
)
def command(study: Study, *, vary: tuple[str, ...]) -> Finding:
    """Find the conditions under which a policy breaks.

    Varies factors of SCENARIO. A world breaks if the policy misses a requirement there. Prints the ranges of factors (a box) in which
    worlds break most often, the fraction of worlds in the box that break, and the fraction of breaking worlds that are in it. Both
    fractions are from other worlds than those that found the box.
    """
    from simdeploy.analysis import discover
    from simdeploy.report.check import describe_requirements

    policy = study.policy
    values = read_vary(vary, study.scenario, {policy.name: policy}, has_ranges=True)
    result = study.run(discover, study.scenario, policy, vary=values)
    return Finding(
        result,
        about=f"policy {policy.name}, {len(result.worlds):,} worlds, {plural(result.n_replications, 'replication')} in each",
        lines=[f"required: {requirement}" for requirement in describe_requirements(result)],
        table=lambda: result.worlds,
        under={"requirements": list(map(str, result.requirements))},
        undecided=result.is_refused or result.n_undecided == result.n_known,
    )
