"""``simdeploy forecast``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.cli.options import use
from simdeploy.cli.seen import AT, EVIDENCE, LOG, SEEN, read_evidence, read_files
from simdeploy.cli.study import Finding, Study, study_command
from simdeploy.errors import plural

if TYPE_CHECKING:
    from simdeploy.analysis.advice.result import Forecast


@study_command(
    "forecast",
    policies="seen",
    replications=2000,
    least=10,
    stores=False,
    example="simdeploy forecast scenarios/small-fleet.yaml --seen deployment.json",
)
@use(SEEN, AT, EVIDENCE, LOG)
def command(study: Study, *, seen: tuple[str, ...], evidence: str | None) -> Finding:
    """Forecast the rest of a rollout.

    Samples worlds of SCENARIO that agree with what was seen of the rollout (its deployment object now, or several over time), and
    continues them. Says when it will be done, how many nodes will fail, and how probable each kind of release is.
    """
    from simdeploy.analysis import forecast

    result = study.run(
        forecast, study.scenario, study.only_policy, seen=read_files(seen), evidence=read_evidence(evidence, seen)
    )
    return Finding(
        result,
        about=describe(result),
        lines=[describe_way(result)],
        undecided=not result.is_trusted,
    )


def describe(result: Forecast) -> str:
    """Say what was looked at."""
    assumed = ", the last change" if result.is_assumed else ""
    return f"{result.state} at {result.at_s:,.0f} s{assumed}; {plural(result.n_worlds, 'world')}"


def describe_way(result: Forecast) -> str:
    """Describe how matching worlds were sampled."""
    from simdeploy.analysis.advice.result import NODE_BY_NODE

    ways = {
        "laws": "importance sampling from the distribution of each node",
        "nodes": f"each node was tried separately ({result.why_tried.removesuffix(NODE_BY_NODE)})",
        "worlds": f"whole worlds were tried ({result.why_tried})",
    }
    return f"{ways[result.way]}: {plural(result.n_tried, 'world')} drawn, {result.effective_worlds:,.0f} effective"
