"""Which of the compared policies are shown to miss a requirement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.judging import UNDECIDED, judge_each, why_undecided
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.requirements import Asked, find_requirements, read_requirements
from simdeploy.result import INTERVAL, make_frame

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.scenario.measures import Requirement
    from simdeploy.scenario.parts import Costs

VERDICT = {"policy": "str", "requirement": "str", **INTERVAL, "n": "int64", "verdict": "str", "reason": "str"}


def read_required(responses: object, requirements: Asked | None, owners: Mapping[str, str]) -> tuple[Requirement, ...]:
    """Return the given requirements, or those recorded with the table that apply to these policies.

    `owners` maps each compared policy to its name in the scenario, which differs if it is one of several cases.
    """
    known = tuple(dict.fromkeys([*owners, *owners.values()]))
    if requirements is None:
        return tuple(each for each in find_requirements(responses) if each.policy in (None, *known))
    return read_requirements(requirements, policies=known)


def judge_policies(
    responses: pd.DataFrame,
    requirements: Sequence[Requirement],
    owners: Mapping[str, str],
    *,
    costs: Costs | None,
    confidence_level: float,
) -> pd.DataFrame:
    """Return the verdict on each requirement of each policy; see `Comparison.verdicts`."""
    if not requirements:
        return make_frame([], VERDICT)
    each_policys = list(_spread_over_cases(requirements, owners))
    values = Values(responses, [requirement.measure for requirement in each_policys], costs=costs)
    rows: list[dict[str, Any]] = []
    policies = values.cases["policy"].tolist()
    judged_each = judge_each(values, each_policys, confidence_level=confidence_level)
    for requirement, (cases, judged, unknown) in zip(each_policys, judged_each, strict=True):
        for place, case in enumerate(cases):
            numbers = {name: getattr(judged, name)[place].item() for name in (*INTERVAL, "n", "verdict")}
            known = numbers["n"], judged.fewest[place].item(), unknown[place].item()
            reason = why_undecided(requirement, *known) if numbers["verdict"] == UNDECIDED else ""
            rows.append({"policy": policies[case], "requirement": str(requirement), **numbers, "reason": reason})
    return make_frame(sorted(rows, key=lambda row: policies.index(row["policy"])), VERDICT)


def _spread_over_cases(requirements: Sequence[Requirement], owners: Mapping[str, str]) -> Iterator[Requirement]:
    """Yield a requirement for one policy of the scenario once for each of the policy's cases."""
    for requirement in requirements:
        if requirement.policy is None or requirement.policy in owners:
            yield requirement
        else:
            cases = [name for name, owner in owners.items() if owner == requirement.policy]
            yield from (replace(requirement, policy=name) for name in cases)
