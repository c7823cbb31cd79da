"""Equal parts of scenarios are read once, without observable difference."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from simdeploy import InputError, Scenario, read_scenario

LAW = {"lognormal": {"median": "45s", "p95": "2m"}}


def contents(nodes: int = 12, **sections: Any) -> dict[str, Any]:
    """Return the contents of a file; fleet and policies are new objects every time."""
    policy = {"strategy": "rolling", "max_parallel": 4, "health_check": {"deadline": "5m"}}
    fleet = {"nodes": nodes, "update_duration": dict(LAW)}
    return {"name": "small", "fleet": fleet, "policies": {"rolling": policy}, **sections}


def test_equal_parts_are_read_once() -> None:
    """Scenarios that differ in one key share their other sections, distributions and policies. [contract]"""
    operator = {"promote_after": {"exponential": {"mean": "7m"}}}
    first, second = (Scenario.from_dict(contents(nodes, operator=operator)) for nodes in (12, 13))
    assert first.fleet != second.fleet
    assert first.operator is second.operator
    assert first.orchestrator is second.orchestrator
    assert first.fleet.behaviour.update_duration is second.fleet.behaviour.update_duration
    assert first.policies["rolling"].policy is second.policies["rolling"].policy


@pytest.mark.parametrize("other", [1.0, True, "1"])
def test_values_of_other_types_are_not_equal(other: object) -> None:
    """A value equal to a valid one only in Python, or in writing, is still refused. [contract]"""
    valid = contents(operator={"script": [{"at": 60, "do": "pause"}]}, deployment={"from_version": 1})
    Scenario.from_dict(valid)
    with pytest.raises(InputError, match=r"deployment.from_version: not a whole number"):
        Scenario.from_dict(valid | {"deployment": {"from_version": other}})


def test_equal_mistakes_have_their_own_lines(tmp_path: Path) -> None:
    """The same mistake in several files is reported with each file's name, lines and policy. [contract]"""
    text = "name: a\n{}fleet: {{nodes: 3, update_duration: {{uniform: {{low: 1}}}}}}\npolicies:\n  {}: {{strategy: rolling}}\n"
    for file, above, policy in (("a.yaml", "", "first"), ("b.yaml", "\n\n\n", "second")):
        path = tmp_path / file
        path.write_text(text.format(above, policy), encoding="utf-8")
        fleet, *others = refused(read_scenario, path).problems
        shift = len(above)
        assert {fleet.file, *(problem.file for problem in others)} == {str(path)}
        assert [fleet.line, others[0].line] == [2 + shift, 4 + shift]
        assert others[0].path[:2] == ("policies", policy)


def test_named_files_are_read_each_time(tmp_path: Path) -> None:
    """The same text has another meaning after the file that it names has changed. [contract]"""
    file = tmp_path / "x.csv"
    means = []
    for value in ("10", "20"):
        file.write_text(value, encoding="utf-8")
        fleet = {"nodes": 3, "update_duration": {"empirical": {"file": "x.csv"}}}
        operator = {"promote_after": {"empirical": {"file": "x.csv"}}}
        scenario = Scenario.from_dict(contents() | {"fleet": fleet, "operator": operator}, base=tmp_path)
        means.append((scenario.fleet.behaviour.update_duration.mean, scenario.operator.promote_after.mean))
    assert means == [(10, 10), (20, 20)]


def test_later_changes_of_the_contents_have_no_effect() -> None:
    """A scenario doesn't change with the dict it was read from, or one made from it. [contract]"""
    unusual = {"only-here": {"strategy": "immediate", "max_failed_nodes": 7}}
    given = contents(policies=unusual)
    first = Scenario.from_dict(given)
    unusual["only-here"]["max_failed_nodes"] = 8
    first.to_dict()["policies"]["only-here"]["max_failed_nodes"] = 9
    again = first.with_values({"fleet.nodes": 13})
    assert again.policies["only-here"].policy.max_failed_nodes == 7
    assert Scenario.from_dict(given).policies["only-here"].policy.max_failed_nodes == 8


def test_fleets_share_policies() -> None:
    """Scenarios that differ in their fleets have identical policy objects, and so have those derived from each other. [contract]"""
    first, second = (Scenario.from_dict(contents(nodes)) for nodes in (12, 13))
    assert first.fleet != second.fleet
    assert first.policies is second.policies
    assert first.with_values({"fleet.nodes": 14}).policies is first.policies


@pytest.mark.parametrize(
    "values",
    [
        {"fleet.nodes": 3},
        {"fleet.start_failure": 0.7},
        {"fleet.nodes": 60, "orchestrator.bake_time": "1m"},
        {"orchestrator.pacing": "rate"},
        {"policies.rolling.health_check.min_healthy_time": "15s"},
        {"operator.promote_after": "1h", "policies.rolling.max_parallel": 0},
    ],
)
def test_changed_scenarios_are_checked_as_if_read_anew(values: dict[str, Any]) -> None:
    """A changed scenario equals one read with the same values, with the same warnings in order. [property]"""
    given = contents()
    given["policies"]["rolling"] |= {"dialect": "general", "max_failed_nodes": 20, "surge_canaries": True}
    base = Scenario.from_dict(given)
    changed = base.with_values(values)
    anew = Scenario.from_dict(changed.to_dict() | {"description": "whatever else was read has another one"})
    assert anew.warnings == changed.warnings != base.warnings
    assert replace(anew, description="") == changed


def test_named_policies_follow_the_size_of_the_fleet(tmp_path: Path) -> None:
    """A policy file that depends on the number of hosts is read anew for another fleet. [contract]"""
    config = {"deploymentConfigName": "own", "minimumHealthyHosts": {"type": "HOST_COUNT", "value": 6}}
    (tmp_path / "own.json").write_text(json.dumps(config), encoding="utf-8")
    scenario = Scenario.from_dict(contents(9, policies={"own": {"file": "own.json"}}), base=tmp_path)
    others = [scenario, *(scenario.with_values(values) for values in ({"fleet.nodes": 12}, {"fleet.zones": 2}))]
    assert [other.policies["own"].policy.max_parallel for other in others] == [3, 6, 3]
