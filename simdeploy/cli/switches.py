"""``simdeploy switches``."""

from __future__ import annotations

import click

from simdeploy.cli.options import DIRECTION, OF, REQUIRE, use
from simdeploy.cli.study import Finding, Study, study_command
from simdeploy.errors import plural


@study_command(
    "switches",
    policies="all",
    replications=500,
    least=2,
    example='simdeploy switches scenarios/small-fleet.yaml --require "false_alarm given good <= 5%" --plot tornado.png',
)
@use(OF, DIRECTION, REQUIRE)
@click.option("--pairs/--no-pairs", default=True, show_default=True, help="Also try every pair of values.")
def command(study: Study) -> Finding:
    """Choose a policy, and test the choice against switches.

    Switches are rules of a control plane that the API doesn't document. Tries every value of every switch, alone and in
    pairs, in the same simulated worlds.
    """
    from simdeploy.analysis.switches.varying import vary_switches
    from simdeploy.report.check import describe_requirements

    result = study.run(vary_switches, study.scenario, study.policies or None)
    replications = study.ctx.params["replications"]
    is_unknown = result.choice is None and result.unsure_of == "requirements"
    n_settings = 1 + int(result.values["is_possible"].sum()) + int(result.pairs["is_possible"].sum())
    return Finding(
        result,
        about=f"{plural(replications, 'replication')} of each policy under each of {n_settings:,} settings",
        lines=[f"required: {requirement}" for requirement in describe_requirements(result)],
        under={"replications": replications, "requirements": list(map(str, result.requirements))},
        failed=result.choice is None and not is_unknown,
        undecided=is_unknown,
    )
