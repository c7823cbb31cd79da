"""The measures that a change review asks for, of those that a scenario can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.requirements import why_impossible
from simdeploy.rules.deployment_types import TYPES
from simdeploy.scenario.measures import Measure, parse_measure

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario

# Stopped rollouts end early and keep their nodes in service, and a good release should reach every node: each measure is
# comparable only given one kind of rollout.
_OF_RELEASES = (
    "false_alarm given good",
    "escaped given defective",
    "makespan_s given completed_good",
    "blast_radius given defective",
)
_WITHOUT_RELEASE = ("makespan_s given completed", "failed", "min_in_service_fraction given completed")


def find_usual(scenario: Scenario, type_: str) -> list[Measure]:
    """Return the usual measures that rollouts of this type of deployment can have: first errors and time, last the cost.

    Examples
    --------
    >>> from simdeploy.scenario import load_example
    >>> for measure in find_usual(load_example("tune-1000"), "update"):
    ...     print(measure)
    false_alarm given good
    escaped given defective
    makespan_s given completed_good
    blast_radius given defective
    cost
    """
    measures = map(parse_measure, _OF_RELEASES if TYPES[type_].releases else _WITHOUT_RELEASE)
    possible = [measure for measure in measures if why_impossible(measure, scenario, type_) is None]
    return [*possible, *([Measure("cost")] if scenario.costs is not None else [])]
