"""The scenario file: its contract, defaults, changed values, warnings."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jsonschema
import numpy as np
import pytest
from small import IMMEDIATE

from simdeploy.api import DeploymentSpec, HealthCheck, RolloutSpec, parse_deployment
from simdeploy.errors import InputError, Problem, SimdeployWarning, format_path
from simdeploy.rules.orchestrator import PRESETS, Orchestrator, Rate, switch_values
from simdeploy.scenario import Identity, Scenario, load, read_scenario, scenario_schema
from simdeploy.scenario.laws import DURATION, FACTOR, FAMILIES, PROBABILITY_LAW, Files, Quantity, read_law
from simdeploy.scenario.yaml_text import parse_yaml
from simdeploy.world.distributions import (
    Beta,
    Constant,
    Distribution,
    Empirical,
    Exponential,
    Gamma,
    Lognormal,
    Triangular,
    Uniform,
    Weibull,
)
from simdeploy.world.fleet import Flapping, Outages
from simdeploy.world.release import Affects

ROOT = Path(__file__).parents[1]
FIRST_RELEASE = Path(__file__).parent / "data" / "first-release.yaml"
SECOND = 10**9

RESPONSE = {
    "deployment": {
        "id": "d-7",
        "job_id": "sensor-pipeline",
        "type": "update",
        "from_version": 1,
        "to_version": 2,
        "spec": {"strategy": "rolling", "max_parallel": 10, "health_check": {"deadline": "5m"}},
        "status": {"state": "completed", "message": "not used"},
    }
}
ROLLING: dict[str, Any] = {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}}


def minimal(**sections: Any) -> dict[str, Any]:
    """Return a minimal scenario with other sections; keys of `fleet` are added."""
    fleet = {"nodes": 10, "update_duration": "45s", **sections.pop("fleet", {})}
    return {"name": "x", "fleet": fleet, "policies": {"p": IMMEDIATE}, **sections}


def read(**sections: Any) -> Scenario:
    """Read a minimal scenario with other sections."""
    return Scenario.from_dict(minimal(**sections))


@pytest.fixture
def first_release(tmp_path: Path) -> Scenario:
    """A file with every key of the first release."""
    (tmp_path / "scenario.yaml").write_bytes(FIRST_RELEASE.read_bytes())
    (tmp_path / "deployment.json").write_text(json.dumps(RESPONSE), encoding="utf-8")
    scenario, errors, _ = load(tmp_path / "scenario.yaml")
    assert errors == ()
    assert scenario is not None
    return scenario


def test_the_first_release_reads(first_release: Scenario) -> None:
    """Every key of a file of the first release is read into its place. [contract]"""
    fleet, release = first_release.fleet, first_release.release
    assert (first_release.name, first_release.description) == ("every-key", "A file that uses every key.")
    assert (fleet.nodes, fleet.zones, fleet.order) == (1000, 8, "index")
    behaviour = fleet.behaviour
    assert behaviour.requests_per_second == 20
    assert behaviour.update_duration == Lognormal.from_p95(45, 120)
    assert behaviour.rollback_duration == Constant(20)
    assert behaviour.slowdown == Lognormal.from_mean_sd(1, 0.3)
    assert behaviour.start_failure == Constant(0.01)
    assert (behaviour.rollback_failure, behaviour.start_attempts, behaviour.start_hang) == (0, 1, 0.001)
    assert behaviour.error_rate == Beta.from_mean_sd(0.004, 0.002)
    assert behaviour.flapping == Flapping(7200, 45, 0.3)
    assert behaviour.crash == Outages(Weibull.from_mean(720 * 3600, 0.8), Lognormal.from_p95(300, 1200))
    assert behaviour.zone_outage == Outages(Exponential(2000 * 3600), Exponential(1800))
    (arm,) = fleet.classes
    assert (arm.name, arm.share) == ("arm", Fraction(1, 5))
    assert arm.behaviour == dataclasses.replace(behaviour, update_duration=Constant(90))
    assert [kind.name for kind in release] == ["good", "bad", "latent"]
    assert [kind.probability for kind in release] == [Fraction(9, 10), Fraction(7, 100), Fraction(3, 100)]
    assert [kind.defective for kind in release] == [False, True, True]
    assert (release[1].error_rate, release[1].start_failure, release[1].start_hang) == (0.25, 0.1, 0.02)
    assert (release[2].after, release[2].crash_rate) == (Exponential(600), 10)
    assert release[2].affects == Affects("share", share=Fraction(3, 10))
    operator = first_release.operator
    assert operator.promote_after == Lognormal.from_p95(600, 3600)
    assert (operator.notices_defect, operator.rejects_good) == (0.8, 0.01)
    assert operator.escape_detection == Exponential(3600)
    assert [(act.at_ns, act.do) for act in operator.script] == [(600 * SECOND, "pause"), (1200 * SECOND, "resume")]
    assert first_release.orchestrator == Orchestrator(limit_comparison="reaches")
    assert first_release.health_interval_ns == 10 * SECOND
    assert first_release.identity.job_id == "sensor-pipeline"
    assert first_release.costs is not None
    assert dataclasses.astuple(first_release.costs) == (0.0001, 0.5, 20, 300, 5000, "", None, None, None)
    names = ["all-at-once", "waves-of-50", "careful", "newer-dialect", "from-an-api-response"]
    assert list(first_release.policies) == names
    newer = first_release.policies["newer-dialect"].policy
    assert (newer.dialect, newer.max_parallel) == ("rollout", 5)
    assert (newer.deadline_ns, newer.windows_needed) == (300 * SECOND, 2)
    from_file = first_release.policies["from-an-api-response"]
    assert (from_file.identity.id, from_file.policy.max_parallel) == ("d-7", 10)


def test_the_first_release_has_its_warnings(first_release: Scenario) -> None:
    """The file of the first release causes warnings of a promotion that nothing awaits, and of a dialect under another's preset. [contract]"""
    paths = [format_path(problem.path) for problem in first_release.warnings]
    assert paths == ["operator.promote_after", "policies.newer-dialect"]


DEFAULTS = {
    "simdeploy": 1,
    "description": "",
    "fleet": {
        "zones": 1,
        "order": "index",
        "requests_per_second": 0,
        "rollback_duration": "45s",
        "rollback_failure": 0,
        "slowdown": 1,
        "start_failure": 0,
        "start_attempts": 1,
        "start_hang": 0,
        "error_rate": 0,
        "flapping": None,
        "crash": "none",
        "zone_outage": None,
        "connection": "none",
        "classes": "none",
    },
    "release": {
        "good": {
            "probability": 1,
            "defective": False,
            "error_rate": 0,
            "start_failure": 0,
            "start_hang": 0,
            "after": 0,
            "affects": "all",
            "crash_rate": 1,
        }
    },
    "operator": {
        "promote_after": "0s",
        "notices_defect": 0,
        "rejects_good": 0,
        "escape_detection": "1h",
        "script": "none",
    },
    "orchestrator": "expanso",
    "health": {"interval": "10s"},
    "deployment": {
        "type": "update",
        "job_id": "sensor-pipeline",
        "job_type": "daemon",
        "namespace": "default",
        "from_version": None,
        "to_version": None,
        "created_at": "2026-01-01T00:00:00Z",
    },
    "costs": None,
    "requirements": [],
}


def test_a_key_left_out_has_its_default() -> None:
    """Stating every default changes nothing. [contract]"""
    stated = minimal(**copy.deepcopy(DEFAULTS))
    assert read() == Scenario.from_dict(stated)


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("description", "y"),
        *((f"fleet.{name}", 0.1) for name in ("rollback_failure", "start_failure", "start_hang", "error_rate")),
        *((f"release.good.{name}", 0.1) for name in ("start_failure", "start_hang", "error_rate")),
        *((f"operator.{name}", 0.1) for name in ("notices_defect", "rejects_good")),
        ("fleet.zones", 2),
        ("fleet.order", "zone"),
        ("fleet.order", [3]),
        ("fleet.requests_per_second", 1),
        ("fleet.rollback_duration", "1s"),
        ("fleet.slowdown", 2),
        ("fleet.start_attempts", 2),
        ("fleet.flapping", {"good": 1, "degraded": 1, "error_rate": 0.1}),
        ("fleet.crash", {"up": 1, "repair": 1}),
        ("fleet.zone_outage", {"up": 1, "repair": 1}),
        ("fleet.connection", {"online": 1, "offline": 1}),
        ("fleet.classes", [{"name": "a", "share": 0.1}]),
        ("fleet.classes", [{"name": "a", "nodes": [3], "down": True}]),
        ("release.good.defective", True),
        ("release.good.after", 1),
        ("release.good.affects", {"share": 0.5}),
        ("release.good.affects", {"nodes": [3]}),
        ("release.good.crash_rate", 2),
        ("operator.promote_after", 1),
        ("operator.escape_detection", 1),
        ("operator.undo_after", 1),
        ("operator.script", [{"at": 1, "do": "pause"}]),
        ("orchestrator", "expanso-rollout"),
        ("orchestrator.minimum_sample", 1),
        ("orchestrator.bake_time", "1s"),
        ("orchestrator.reporting_delay", "1s"),
        ("orchestrator.rate.per_minute", 1),
        ("orchestrator.rate.growth", 2),
        ("orchestrator.rate.max_per_minute", 2),
        ("health.interval", 1),
        ("deployment.type", "create"),
        ("deployment.job_id", "other"),
        ("deployment.job_type", "service"),
        ("deployment.namespace", "other"),
        ("deployment.from_version", 0),
        ("deployment.to_version", 3),
        ("deployment.created_at", "2026-01-02T00:00:00Z"),
        ("costs", {"escape": 1}),
        ("requirements", [{"of": "escaped", "at_most": 0.01}]),
        *(
            (f"orchestrator.{name}", value)
            for name, values in switch_values().items()
            for value in values
            if value != getattr(Orchestrator(), name)
        ),
    ],
)
def test_every_key_counts_for_equality(path: str, other: object) -> None:
    """Setting any key makes another scenario, whether its section is in the file or not. [property]"""
    bare = read()
    stated = read(**copy.deepcopy(DEFAULTS))
    assert bare.with_values({path: other}) != bare
    assert bare.with_values({path: other}) == stated.with_values({path: other})


@pytest.mark.parametrize(
    ("quantity", "raw", "law"),
    [
        (DURATION, "1h30m", Constant(5400)),
        (DURATION, 2.5, Constant(2.5)),
        (DURATION, {"constant": "500ms"}, Constant(0.5)),
        (DURATION, {"uniform": {"low": "1s", "high": 3}}, Uniform(1, 3)),
        (DURATION, {"triangular": {"low": 0, "mode": 1, "high": 3}}, Triangular(0, 1, 3)),
        (DURATION, {"exponential": {"mean": "10m"}}, Exponential(600)),
        (DURATION, {"weibull": {"scale": "1m", "shape": 0.8}}, Weibull(60, 0.8)),
        (DURATION, {"weibull": {"shape": 0.8, "mean": "1m"}}, Weibull.from_mean(60, 0.8)),
        (DURATION, {"lognormal": {"median": "45s", "p95": "2m"}}, Lognormal.from_p95(45, 120)),
        (DURATION, {"lognormal": {"median": "45s", "sigma": 0.5}}, Lognormal(45, 0.5)),
        (DURATION, {"lognormal": {"mean": "45s", "sd": "10s"}}, Lognormal.from_mean_sd(45, 10)),
        (DURATION, {"gamma": {"sd": 2, "mean": 1}}, Gamma.from_mean_sd(1, 2)),
        (DURATION, {"gamma": {"scale": "3s", "shape": 2}}, Gamma(2, 3)),
        (DURATION, {"empirical": {"values": ["1m", 2]}}, Empirical((60.0, 2.0))),
        (PROBABILITY_LAW, {"beta": {"mean": 0.05, "sd": 0.06}}, Beta.from_mean_sd(0.05, 0.06)),
        (PROBABILITY_LAW, {"beta": {"beta": 3, "alpha": 2}}, Beta(2, 3)),
        (PROBABILITY_LAW, 1, Constant(1)),
        (FACTOR, {"empirical": {"file": "x.csv"}}, Empirical((1.0, 2.5, 0.5))),
    ],
)
def test_every_form_of_a_law(quantity: Quantity, raw: object, law: Distribution, tmp_path: Path) -> None:
    """Each family and parametrisation gives its law, in seconds. [contract]"""
    (tmp_path / "x.csv").write_text("1\n2.5\n0.5\n\n", encoding="utf-8")
    assert read_law(raw, quantity, files=Files(str(tmp_path))) == law


def test_measured_durations_may_have_units(tmp_path: Path) -> None:
    """A file of durations may use Go's form or seconds, and Windows line ends. [contract]"""
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbf45s\r\n1m30s\r\n2.5\r\n")
    law = read_law({"empirical": {"file": "x.csv"}}, DURATION, files=Files(str(tmp_path)))
    assert law == Empirical((45.0, 90.0, 2.5))


def test_decimals_are_exact() -> None:
    """Decimals become the rationals of their shortest literals. [contract]"""
    scenario = read(
        fleet={"requests_per_second": 0.1, "classes": [{"name": "a", "share": 0.07}]},
        release={"a": {"probability": 0.1}, "b": {"probability": 0.2}, "c": {"probability": 0.7}},
        orchestrator={"pacing": "rate", "rate": {"per_minute": 0.3, "growth": 1.1, "max_per_minute": 2.2}},
    )
    assert scenario.fleet.behaviour.requests_per_second == Fraction(1, 10)
    assert scenario.fleet.classes[0].share == Fraction(7, 100)
    assert sum(kind.probability for kind in scenario.release) == 1
    assert scenario.orchestrator.rate == Rate(Fraction(3, 10), Fraction(11, 10), Fraction(11, 5))


@pytest.mark.parametrize(
    ("text", "ns"),
    [("0.1", SECOND // 10), ("1e-9", 1), ("1.5s", 3 * SECOND // 2), ("1h30m", 5400 * SECOND), ("7", 7 * SECOND)],
)
def test_durations_are_exact(text: str, ns: int) -> None:
    """Durations become whole nanoseconds. [contract]"""
    raw, _ = parse_yaml(f"operator: {{script: [{{at: {text}, do: pause}}]}}")
    assert read(**raw).operator.script[0].at_ns == ns


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1e-3", 0.001),
        ("010", 10),
        ("+5", 5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("yes", "yes"),
        ("on", "on"),
        ("NO", "NO"),
        ("True", "True"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("2026-01-01", "2026-01-01"),
        ('"5"', "5"),
        ("'true'", "true"),
        ("=", "="),
    ],
)
def test_yaml_words(word: str, value: object) -> None:
    """Unquoted words have their YAML 1.2 meaning, without the surprises of 1.1. [contract]"""
    (found,) = parse_yaml(f"a: {word}")[0].values()
    assert (found, type(found)) == (value, type(value))


def test_places_are_known() -> None:
    """Every key and item has its line and column, also below an alias. [contract]"""
    _, positions = parse_yaml("a: &x\n  b:\n    - 1\n    - c: 2\nd: *x\n")
    assert positions["a", "b", 1, "c"] == (4, 7)
    assert positions["d",] == (5, 1)
    assert positions["d", "b", 1, "c"] == (4, 7)


def test_aliases_repeat_values() -> None:
    """An alias stands for its anchor's value. [contract]"""
    raw, _ = parse_yaml("a: &x {b: 1}\nc: [*x, *x]")
    assert raw == {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}


def test_null_is_the_default_or_switches_off() -> None:
    """Null means the default, except for crash, flapping, zone_outage and connection, which it switches off. [contract]"""
    crash = {"up": "1h", "repair": "1m"}
    line = {"online": "1h", "offline": "1m"}
    classes = [
        {"name": "off", "share": 0.1, "crash": None, "connection": None, "requests_per_second": None},
        {"name": "word", "share": 0.1, "crash": "none", "connection": "none"},
        {"name": "on", "share": 0.1},
    ]
    fleet = {"crash": crash, "connection": line, "requests_per_second": 5, "zones": None, "classes": classes}
    scenario = read(fleet=fleet)
    assert [node_class.behaviour.crash is None for node_class in scenario.fleet.classes] == [True, True, False]
    assert [one.behaviour.connection is None for one in scenario.fleet.classes] == [True, True, False]
    assert all(behaviour.requests_per_second == 5 for behaviour in scenario.fleet.behaviours)
    assert scenario.fleet.zones == 1


def test_rollback_takes_as_long_as_the_nodes_own_update() -> None:
    """Without any rollback_duration a class's update_duration is also its rollback_duration. [contract]"""
    classes = [{"name": "a", "share": 0.1, "update_duration": "90s"}]
    bare = read(fleet={"classes": classes})
    assert [law.rollback_duration for law in bare.fleet.behaviours] == [Constant(45), Constant(90)]
    stated = bare.with_values({"fleet.rollback_duration": "20s"})
    assert [law.rollback_duration for law in stated.fleet.behaviours] == [Constant(20), Constant(20)]
    own = stated.with_values({"fleet.classes.a.rollback_duration": "5s"})
    assert [law.rollback_duration for law in own.fleet.behaviours] == [Constant(20), Constant(5)]


def test_presets() -> None:
    """A preset is a name, or a name with other values of switches. [contract]"""
    assert read(orchestrator="expanso-rollout").orchestrator == PRESETS["expanso-rollout"]
    mixed = read(orchestrator={"preset": "expanso-rollout", "bake_time": "1s", "on_failure": "stop"})
    assert mixed.orchestrator == Orchestrator(
        preset="expanso-rollout", node_local_rollback=True, bake_time_ns=SECOND, on_failure="stop"
    )


def test_values_at_paths(first_release: Scenario) -> None:
    """Paths lead through names, numbers, names of classes, presets and laws, and are applied together. [contract]"""
    changed = first_release.with_values(
        {
            "fleet.nodes": 500,
            "policies.careful.max_parallel": 20,
            "policies.careful.health_check.max_error_rate": 0.2,
            "fleet.classes.arm.share": 0.3,
            "fleet.classes[0].start_hang": 0.5,
            "operator.script.1.at": "30m",
            "fleet.update_duration.lognormal.p95": "3m",
            "release.bad.affects": {"count": 5},
            "policies.new": IMMEDIATE,
        }
    )
    assert changed.fleet.nodes == 500
    careful = changed.policies["careful"].policy
    assert (careful.max_parallel, careful.max_error_rate) == (20, Fraction(1, 5))
    assert changed.fleet.classes[0].share == Fraction(3, 10)
    assert changed.fleet.classes[0].behaviour.start_hang == 0.5
    assert changed.operator.script[1].at_ns == 1800 * SECOND
    assert changed.fleet.behaviour.update_duration == Lognormal.from_p95(45, 180)
    assert changed.release[1].affects == Affects("count", count=5)
    assert list(changed.policies)[-1] == "new"
    assert first_release.fleet.nodes == 1000


def test_a_preset_is_expanded_when_a_switch_is_set() -> None:
    """Setting a switch below a preset's name keeps the preset. [contract]"""
    scenario = read(orchestrator="expanso-rollout").with_values(
        {"orchestrator.rate.growth": 1, "orchestrator.pacing": "rate"}
    )
    assert scenario.orchestrator == dataclasses.replace(PRESETS["expanso-rollout"], pacing="rate")


def test_names_with_dots() -> None:
    """Names of policies and releases may contain dots; the longest matching name is meant. [contract]"""
    policies = {"v1": dict(ROLLING), "v1.2": dict(ROLLING), "v1.max_parallel": dict(ROLLING)}
    scenario = read(policies=policies)
    changed = scenario.with_values({"policies.v1.2.max_parallel": 7, "policies.v1.max_parallel": IMMEDIATE})
    assert [policy.policy.max_parallel for policy in changed.policies.values()] == [2, 7, 0]


def test_missing_sections() -> None:
    """A section that the file leaves out is made if all its required keys are given. [contract]"""
    scenario = read().with_values({"fleet.crash.up": "5h", "fleet.crash.repair": {"exponential": {"mean": "1m"}}})
    assert scenario.fleet.behaviour.crash == Outages(Constant(5 * 3600), Exponential(60))


def test_numbers_of_numpy_are_numbers() -> None:
    """Values of numpy arrays are accepted as numbers. [contract]"""
    nodes = np.arange(5, 7)
    scenario = read().with_values({"fleet.nodes": nodes[1], "fleet.start_hang": np.float64(0.25)})
    assert (scenario.fleet.nodes, scenario.fleet.behaviour.start_hang) == (6, 0.25)
    assert json.dumps(scenario.to_dict())


def test_callers_values_are_left_alone() -> None:
    """The scenario shares neither its input nor its output. [property]"""
    raw = minimal(policies={"p": dict(ROLLING)})
    before = copy.deepcopy(raw)
    scenario = Scenario.from_dict(raw)
    raw["fleet"]["nodes"] = 1
    scenario.to_dict()["fleet"]["nodes"] = 2
    scenario.with_values({"fleet.nodes": 3})
    assert scenario.to_dict() == before


def test_round_trip(first_release: Scenario) -> None:
    """from_dict(to_dict()) is the same scenario in any folder, if it may read the files. [property]"""
    assert Scenario.from_dict(first_release.to_dict(), base=Path(first_release.source or "").parent) == first_release


def test_pickle(first_release: Scenario, tmp_path: Path) -> None:
    """A pickled scenario is equal and can be changed, even where its files are gone. [property]"""
    (tmp_path / "deployment.json").unlink()
    again = pickle.loads(pickle.dumps(first_release))  # noqa: S301 (its own)
    assert again == first_release
    assert (again.warnings, again.source) == (first_release.warnings, first_release.source)
    changed = again.with_values({"fleet.nodes": 500})
    assert changed.policies["from-an-api-response"] == first_release.policies["from-an-api-response"]


def test_frozen(first_release: Scenario) -> None:
    """A scenario can't be modified. [contract]"""
    with pytest.raises(dataclasses.FrozenInstanceError):
        first_release.name = "y"  # type: ignore[misc]
    with pytest.raises(TypeError):
        first_release.policies["new"] = first_release.policies["careful"]  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        first_release.policies["careful"].name = "y"  # type: ignore[misc]


def test_equal_by_meaning() -> None:
    """Different notations of the same scenario are equal; source and warnings don't count. [contract]"""
    one = read(fleet={"rollback_duration": "1m30s", "start_hang": 0}, health={"interval": 10})
    two = read(fleet={"rollback_duration": {"constant": 90.0}})
    assert one == two
    assert one != two.with_values({"fleet.nodes": 11})


def test_messages_do_not_depend_on_the_hash_seed() -> None:
    """Messages come in the same order under every hash seed. [property]"""
    code = (
        "from simdeploy.scenario import Scenario\n"
        "try: Scenario.from_dict({'name': 5, 'x': 1, 'fleet': {'nods': 1, 'zons': 2}, 'release': {'a': {}, 'b': {}}})\n"
        "except Exception as error: print(error)"
    )
    texts = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert texts[0] == texts[1] != b""


# --- policies -------------------------------------------------------------------------------------------------


def test_the_first_policy_is_the_default() -> None:
    """None means the first policy of the file, a name that policy. [contract]"""
    scenario = read(policies={"b": dict(ROLLING), "a": IMMEDIATE})
    assert scenario.policy().name == "b"
    assert scenario.policy("a") is scenario.policies["a"]
    assert scenario.policy(scenario.policies["a"]) is scenario.policies["a"]


def test_policies_of_callers() -> None:
    """A dict, a spec and a document give the policy that the file would. [contract]"""
    scenario = read(policies={"rolling": dict(ROLLING)}, health={"interval": "5s"})
    spec = DeploymentSpec(strategy="rolling", max_parallel=2, health_check=HealthCheck(deadline="5m"))
    document = parse_deployment(json.dumps(ROLLING))
    for policy in (ROLLING, spec, document):
        assert scenario.policy(policy) == scenario.policies["rolling"]
    rollout = {**ROLLING, "dialect": "rollout", "health_check": {"deadline": 300 * SECOND}}
    with pytest.warns(SimdeployWarning, match="its usual preset is expanso-rollout"):
        assert isinstance(scenario.policy(rollout).spec, RolloutSpec)


def test_a_json_policy_brings_its_identity(tmp_path: Path) -> None:
    """A response's type, ids and versions take precedence over the scenario's, with a warning only for stated ones. [contract]"""
    response = copy.deepcopy(RESPONSE)
    response["deployment"] |= {"type": "restart", "from_version": 4, "namespace": ""}
    (tmp_path / "d.json").write_text(json.dumps(response), encoding="utf-8")
    raw = minimal(policies={"p": {"file": "d.json"}}, deployment={"type": "update", "namespace": "edge"})
    with pytest.warns(SimdeployWarning) as caught:
        scenario = Scenario.from_dict(raw, base=tmp_path)
    assert scenario.policies["p"].identity == Identity(
        "restart", "d-7", "sensor-pipeline", "daemon", "edge", 4, 2, "2026-01-01T00:00:00Z"
    )
    assert scenario.identity.type == "update"
    messages = " ".join(str(warning.message) for warning in caught)
    assert len(caught) == 2
    assert "its type overrides deployment.type, 'update' (found 'restart')" in messages
    assert "a restart keeps the version (found 4 to 2)" in messages


@pytest.mark.parametrize(
    ("deployment", "versions"),
    [
        ({}, (1, 2)),
        ({"type": "create"}, (0, 1)),
        ({"type": "rollback"}, (2, 1)),
        ({"type": "restart"}, (1, 1)),
        ({"type": "stop"}, (1, 1)),
        ({"type": "rollback", "from_version": 8}, (8, 7)),
        ({"type": "restart", "to_version": 8}, (8, 8)),
        ({"type": "create", "to_version": 3}, (0, 3)),
        ({"to_version": 8}, (7, 8)),
    ],
)
def test_versions_depend_on_the_type(tmp_path: Path, deployment: dict[str, Any], versions: tuple[int, int]) -> None:
    """Unstated versions are the usual ones of the type, also for a policy in JSON. [contract]"""
    identity = read(deployment=deployment).identity
    assert (identity.from_version, identity.to_version) == versions
    response = copy.deepcopy(RESPONSE)
    for key in ("from_version", "to_version"):
        del response["deployment"][key]
    (tmp_path / "d.json").write_text(json.dumps(response | {"deployment": response["deployment"] | deployment}))
    scenario = Scenario.from_dict(minimal(policies={"p": {"file": "d.json"}}), base=tmp_path)
    identity = scenario.policies["p"].identity
    if set(deployment) <= {"type"}:
        assert (identity.from_version, identity.to_version) == versions


@pytest.mark.parametrize(
    ("deployment", "message"),
    [
        ({"type": "create", "from_version": 3, "to_version": 4}, "a create has no version before it"),
        ({"type": "restart", "from_version": 3, "to_version": 4}, "a restart keeps the version"),
        ({"type": "stop", "from_version": 3, "to_version": 4}, "a stop keeps the version"),
        ({"type": "rollback", "from_version": 3, "to_version": 4}, "a rollback must go to an older version"),
        ({"from_version": 4, "to_version": 3}, "an update must go to a newer version"),
    ],
)
def test_versions_that_contradict_the_type_are_warned_about(deployment: dict[str, Any], message: str) -> None:
    """Unusual versions for a type of deployment are legal, with a warning. [contract]"""
    with pytest.warns(SimdeployWarning, match=f"deployment: {message}"):
        scenario = read(deployment=deployment)
    assert scenario.identity.to_version == deployment["to_version"]


def test_a_bare_spec_in_json_needs_evidence_or_a_dialect(tmp_path: Path) -> None:
    """A dialect beside the file decides if the file's fields don't. [contract]"""
    (tmp_path / "d.json").write_text('{"strategy": "immediate"}', encoding="utf-8")
    with pytest.raises(InputError, match="the dialect is ambiguous"):
        Scenario.from_dict(minimal(policies={"p": {"file": "d.json"}}), base=tmp_path)
    scenario = Scenario.from_dict(minimal(policies={"p": {"file": "d.json", "dialect": "rollout"}}), base=tmp_path)
    assert scenario.policies["p"].policy.dialect == "rollout"


# --- warnings -------------------------------------------------------------------------------------------------

CANARY: dict[str, Any] = {"strategy": "canary", "canary_count": 1, "health_check": {"deadline": "5m"}}


def one(spec: Mapping[str, Any] = MappingProxyType({}), **changes: Any) -> dict[str, Any]:
    """Return the section with one policy."""
    return {"policies": {"p": {**spec, **changes}}}


def rolled(fleet: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the sections with a rolling policy and these keys of the fleet."""
    return one(ROLLING, **changes) | {"fleet": fleet}


def waves(*entries: Any, **changes: Any) -> dict[str, Any]:
    """Return the section with one policy in the general dialect with these waves."""
    return one(ROLLING, dialect="general", waves=list(entries), **changes)


CHECK = "policies.p.health_check"
SLIDING = {"orchestrator": {"pacing": "sliding", "slot_until": "started", "limits_judged": "wave_end"}}
REACHES = {"orchestrator": {"limit_comparison": "reaches"}}
OFFICE_HOURS = {"operator": {"change_windows": [{"from": "9h", "to": "16h"}]}}
AT_NINE = {"deployment": {"created_at": "2026-03-02T09:00:00Z"}}
BUSY_AT_NOON = {"requests_per_second": 1, "traffic": {"daily": [["0h", 0.5], ["12h", 1]]}}
FEW_REQUESTS = {"requests_per_second": 0.04, "error_rate": 0.01}
SUSPICIOUS: list[tuple[dict[str, Any], str, str]] = [
    (one(ROLLING, max_failed_nodes=10), "policies.p.max_failed_nodes", "can never"),
    (one(ROLLING, max_failed_nodes=11) | REACHES, "policies.p.max_failed_nodes", "can never"),
    (one(ROLLING, max_failed_nodes_percent=100), "policies.p.max_failed_nodes_percent", "can never"),
    (one(CANARY, canary_count=11), "policies.p.canary_count", "10 nodes"),
    (
        one(CANARY, **IMMEDIATE, max_parallel=5),
        "policies.p",
        "immediate ignores max_parallel, canary_count, health_check",
    ),
    (
        one(IMMEDIATE, max_failed_nodes=5) | {"orchestrator": {"limits_apply_to_immediate": False}},
        "policies.p",
        "immediate ignores max_failed_nodes",
    ),
    (one(ROLLING, canary_percent=5, auto_promote=True), "policies.p", "rolling ignores canary_percent, auto_promote"),
    (one(ROLLING, max_parallel=11), "policies.p.max_parallel", "one wave"),
    (one(ROLLING) | {"orchestrator": {"pacing": "rate"}}, "policies.p.max_parallel", "ignored under pacing: rate"),
    ({"orchestrator": {"rate": {"growth": 2}}}, "orchestrator.rate", "barrier"),
    ({"orchestrator": {"bake_time": "1h"}}, "orchestrator.bake_time", "not watched"),
    (one(IMMEDIATE, dialect="rollout"), "policies.p", "expanso-rollout"),
    ({"orchestrator": "expanso-rollout"}, "policies.p", "expanso-rollout"),
    (rolled({"update_duration": {"uniform": {"low": "271s", "high": "10m"}}}), f"{CHECK}.deadline", "at least 4m31s"),
    (rolled({"classes": [{"name": "arm", "share": 0.1, "slowdown": 7}]}), f"{CHECK}.deadline", "no node of class arm"),
    ({"operator": {"promote_after": "1h"}}, "operator.promote_after", "without auto_promote"),
    ({"deployment": {"type": "stop"}, "release": {"a": {"probability": 1}}}, "release", "a stop releases nothing"),
    (
        {"deployment": {"type": "restart"}, "release": {"a": {"probability": 1, "start_failure": 0.9}}},
        "release",
        "a restart releases nothing",
    ),
    ({"release": {"a": {"probability": 1, "affects": {"count": 11}}}}, "release.a.affects.count", "10 nodes"),
    (rolled({"nodes": 11}, max_parallel=0), "policies.p.max_parallel", "all 11 nodes at once"),
    (one(CANARY) | {"fleet": {"nodes": 12}}, "policies.p.max_parallel", "all 11 nodes after the canaries at once"),
    (
        one(CANARY, canary_count=3, max_parallel=2),
        "policies.p.max_parallel",
        "doesn't limit canaries: up to 3 are updated at once (found 2); it limits `waves` (dialect: general)",
    ),
    (
        one(CANARY, dialect="general", canary_percent=60, canary_count=0, max_parallel="20%", max_parallel_per_zone=2)
        | {"fleet": {"zones": 2}},
        "policies.p.max_parallel",
        "up to 4 are updated at once (found 20%)",
    ),
    (
        one(CANARY, canary_count=2) | {"fleet": {"nodes": 1}},
        "policies.p.canary_count",
        "than the fleet's 1 node (found",
    ),
    (one(ROLLING, max_parallel=2) | {"fleet": {"nodes": 1}}, "policies.p.max_parallel", "than the fleet's 1 node: one"),
    (
        one(ROLLING, health_check={"deadline": "5m", "min_healthy_time": "31s"}),
        f"{CHECK}.min_healthy_time",
        "rounded up to 4 windows of 10s, 40s",
    ),
    (
        one(ROLLING, health_check={"deadline": "5m", "min_healthy_time": "5s"}),
        f"{CHECK}.min_healthy_time",
        "rounded up to 1 window of 10s (found 5s)",
    ),
    (
        one(
            {"dialect": "general", "strategy": "rolling", "health_check": {"deadline": "1h", "interval": "5m"}},
            waves=[1, {"until": "100%", "min_healthy_time": "10s"}],
        ),
        "policies.p.waves[1].min_healthy_time",
        "rounded up to 1 window of 5m (found 10s)",
    ),
    (
        one(ROLLING, health_check={"deadline": "30000h"}),
        f"{CHECK}.deadline",
        "slow to simulate: up to 10,800,000 windows of 10s for each node (found 30000h)",
    ),
    (rolled({"requests_per_second": 1, "error_rate": 0.11}), f"{CHECK}.max_error_rate", "without the release, 0.11"),
    (
        rolled({"requests_per_second": 1, "classes": [{"name": "old", "share": 0.5, "error_rate": 0.2}]}),
        f"{CHECK}.max_error_rate",
        "nodes of class old",
    ),
    (
        rolled({"requests_per_second": 1, "flapping": {"good": "6m", "degraded": "4m", "error_rate": 0.3}}),
        f"{CHECK}.max_error_rate",
        "without the release, 0.12",
    ),
    (
        rolled({"requests_per_second": 0.04, "error_rate": 0.01}),
        CHECK,
        "have 0.4 requests in each, but 0 are judged; set health.interval to 2m5s or more",
    ),
    (
        rolled({"requests_per_second": 0.05, "error_rate": 0.01}),
        CHECK,
        "nodes have 0.5 requests in each, but 1 is judged",
    ),
    (
        rolled({"requests_per_second": 0.01, "error_rate": 0.01}),
        CHECK,
        "0 are judged; set health.interval to 8m20s or more, and deadline to 8m20s or more",
    ),
    (
        rolled(
            {"requests_per_second": 0.03, "error_rate": 0.01}, health_check={"deadline": "5m", "min_healthy_time": "4m"}
        ),
        CHECK,
        "0 are judged; set health.interval to 2m47s or more, and deadline to 5m34s or more",
    ),
    (rolled({"requests_per_second": 0.04}) | {"orchestrator": {"no_traffic": "unhealthy"}}, CHECK, "but 0 are judged"),
    (
        rolled({"requests_per_second": 0.04})
        | {"release": {"bad": {"probability": 1, "defective": True, "error_rate": 0.1}}},
        CHECK,
        "but 0 are judged",
    ),
    (
        one(
            ROLLING,
            dialect="general",
            health_check={"deadline": "5m", "interval": "7s", "gate": {"kind": "sprt", "good": 0.01, "bad": 0.1}},
        )
        | {"fleet": {"requests_per_second": 0.5}},
        f"{CHECK}.interval",
        "windows of 7s are too short: nodes have 3.5 requests in each, but 4 are judged; set it to 10s or more",
    ),
    (
        rolled(
            {
                "requests_per_second": 5,
                "error_rate": 0.01,
                "classes": [{"name": "quiet", "share": 0.5, "requests_per_second": 0.02}],
            }
        ),
        CHECK,
        "nodes of class quiet have 0.2 requests in each, but 0 are judged",
    ),
    (
        rolled({"requests_per_second": 0.04, "error_rate": 0.01, "service": {"shared": {"capacity": 2}}}),
        CHECK,
        "nodes have 0.4 requests in each while all serve, but 0 are judged",
    ),
    (
        rolled({"requests_per_second": 0.01, "error_rate": 0.01, "traffic": {"daily": [["0h", 1], ["12h", 2]]}})
        | AT_NINE,
        CHECK,
        "nodes have 0.2 requests in each at the busiest hour, but 0 are judged",
    ),
    ({"fleet": {"start_failure": 0.51}}, "fleet.start_failure", "with any release"),
    ({"release": {"a": {"probability": 1, "start_failure": 0.6}}}, "release.a.start_failure", "is not defective"),
    (
        {"fleet": {"classes": [{"name": "old", "share": 0.5}, {"name": "bad", "share": 0.5, "start_failure": 0.9}]}},
        "fleet.classes[1].start_failure",
        "with any release",
    ),
    ({"release": {"a": {"probability": 1, "defective": True, "crash_rate": 2}}}, "release.a.defective", "nothing fail"),
    (
        one(ROLLING, dialect="general", max_failed_nodes_per_zone=5) | {"fleet": {"zones": 2}},
        "policies.p.max_failed_nodes_per_zone",
        "zones have at most 5 nodes",
    ),
    (
        waves({"size": 1, "max_failed_nodes": 1}, {"size": 3, "max_failed_nodes": 1}),
        "policies.p.waves[0].max_failed_nodes",
        "can never stop a wave of 1 node",
    ),
    (
        waves({"until": "25%"}, {"size": 3, "max_failed_nodes": 4}) | REACHES,
        "policies.p.waves[1].max_failed_nodes",
        "can never stop a wave of 3 nodes",
    ),
    (
        waves({"size": 5, "max_failed_nodes_percent": 100}),
        "policies.p.waves[0].max_failed_nodes_percent",
        "can never stop a wave",
    ),
    (
        one(ROLLING, max_failed_nodes=5, max_failed_nodes_percent=0.1),
        "policies.p.max_failed_nodes_percent",
        "allows no failed node: 0.1 % of 10 nodes is less than one (found 0.1); write 10 for 10 %",
    ),
    (
        one(ROLLING, max_failed_nodes_percent=0.1, orchestrator="expanso"),
        "policies.p.max_failed_nodes_percent",
        "allows no failed node",
    ),
    (
        waves({"size": 5, "max_failed_nodes_percent": 0.5}),
        "policies.p.waves[0].max_failed_nodes_percent",
        "allows no failed node: 0.5 % of 5 nodes is less than one (found 0.5); write 50 for 50 %",
    ),
    ({"orchestrator": {"slot_until": "started"}}, "orchestrator.slot_until", "nodes have no slots"),
    ({"orchestrator": {"failed_node_holds_slot": True}}, "orchestrator.failed_node_holds_slot", "nodes have no slots"),
    (
        {"orchestrator": {"pacing": "sliding", "limits_judged": "wave_end"}} | one(ROLLING),
        "orchestrator.limits_judged",
        "at once (found wave_end)",
    ),
    (
        {"orchestrator": {"explicit_zero_limit": "default"}} | one(ROLLING, dialect="general"),
        "orchestrator.explicit_zero_limit",
        "no effect: the general dialect has no default limits (found default)",
    ),
    (
        one(ROLLING, dialect="general", orchestrator={"preset": "expanso", "explicit_zero_limit": "default"}),
        "policies.p.orchestrator.explicit_zero_limit",
        "no effect",
    ),
    *(
        (
            {"release": {name: {"probability": 1, "start_failure": 0.1, "defective": is_defective}}},
            f"release.{name}",
            "rename it",
        )
        for name, is_defective in (
            ("completed", False),
            ("escaped", True),
            ("passed_canary", True),
            ("good", True),
            ("defective", False),
        )
    ),
    (
        {"release": {"good": {"probability": 0.5}, "flaky": {"probability": 0.5, "start_failure": 0.1}}},
        "release.good",
        "`given: good` means all good kinds, not only this one: rename it",
    ),
    (
        {
            "release": {
                name: {"probability": 0.5, "defective": True, "start_failure": 0.1} for name in ("hard", "defective")
            }
        },
        "release.defective",
        "`given: defective` means all defective kinds",
    ),
    (
        {"release": {name: {"probability": 0.5} for name in ("good", "fine")}, "deployment": {"type": "restart"}},
        "release",
        "no effect: a restart releases nothing",
    ),
    *(
        (
            one(
                ROLLING,
                dialect="general",
                health_check={"deadline": "5m", "max_error_rate": 0.1, "gate": {"kind": kind}},
            )
            | {"fleet": {"requests_per_second": 0}, "orchestrator": {"cant_tell": cant_tell, "on_failure": on_failure}},
            f"{CHECK}.gate.kind",
            f"nodes have no requests, so the gate has nothing to judge{what}",
        )
        for kind, cant_tell, on_failure, what in (
            ("pooled", "stop", "rollback", ": stops every rollout (found"),
            ("pooled", "unhealthy", "pause", ": pauses every rollout (found"),
            ("cusum", "stop", "rollback", ": stops every rollout (found"),
            ("sprt", "unhealthy", "continue", ": fails every node (found"),
            ("pooled", "pass", "rollback", ": passes every release (found"),
            ("pooled", "wait", "rollback", ": fails every node at its deadline (found"),
            ("baseline", "wait", "rollback", " (found"),
            ("cusum", "stop", "continue", " (found"),
        )
    ),
    ({"orchestrator": {"minimum_sample": 11}}, "orchestrator.minimum_sample", "never applies"),
    (
        one(ROLLING, dialect="general", rollback_delay="10s"),
        "policies.p.rollback_delay",
        "no effect: all nodes roll back at once; set rollback_parallel (found 10s)",
    ),
    (
        one(ROLLING, dialect="general", health_check={"deadline": "5m", "cumulative_failures": True}),
        f"{CHECK}.cumulative_failures",
        "no effect without failure_threshold",
    ),
    (
        rolled(
            {"requests_per_second": 1}, health_check={"deadline": "5m", "gate": {"kind": "baseline", "tolerance": 0.1}}
        ),
        f"{CHECK}.gate.tolerance",
        "no effect without test: mann_whitney (found 0.1)",
    ),
    (
        one(ROLLING, health_check={"deadline": "5m", "gate": "baseline"}) | {"deployment": {"type": "stop"}},
        f"{CHECK}.gate.kind",
        "no effect: nothing starts in a stop",
    ),
    (
        {"orchestrator": {"failed_tries_count": True}} | one(ROLLING, dialect="general", max_failed_nodes=1),
        "orchestrator.failed_tries_count",
        "no effect without retries and max_failed_nodes",
    ),
    (
        one(ROLLING, dialect="general", retries=1, orchestrator={"preset": "expanso", "failed_tries_count": True}),
        "policies.p.orchestrator.failed_tries_count",
        "no effect without retries and max_failed_nodes",
    ),
    ({"release": {"a": {"probability": 1, "error_rate": 0.5}}}, "fleet.requests_per_second", "traffic"),
    (
        {"fleet": BUSY_AT_NOON},
        "deployment.created_at",
        "under traffic; by default rollouts start on a Thursday at 00:00 UTC",
    ),
    (OFFICE_HOURS, "deployment.created_at", "under change_windows"),
]


def test_every_warning_has_a_problem() -> None:
    """A warning made of anything has a problem, and is written as its text. [contract]"""
    for made, text in (
        (SimdeployWarning(), ""),
        (SimdeployWarning("a", "b"), "('a', 'b')"),
        (SimdeployWarning(Problem("odd", ("a",), found="5")), "a: odd (found 5)"),
    ):
        assert (str(made), str(made.problem), repr(made)) == (text, text, f"SimdeployWarning({text!r})")


def test_a_gate_whose_windows_have_no_requests() -> None:
    """If no window has a request, a second warning says what the gate does to every rollout. [contract]"""
    check = {"deadline": "5m", "max_error_rate": 0.1, "gate": {"kind": "pooled"}}
    silent = one(ROLLING, dialect="general", health_check=check, orchestrator={"cant_tell": "stop"})
    with pytest.warns(SimdeployWarning) as caught:
        read(**silent, fleet={"requests_per_second": 0.01})
    problems = [warning.message.problem.message for warning in caught]  # type: ignore[union-attr]
    assert "no window has a request, so the gate has nothing to judge: stops every rollout" in problems
    assert len(problems) == 2


def test_a_small_ratio_of_another_orchestrator(tmp_path: Path) -> None:
    """No warning calls a ratio of Docker Swarm a mistaken percent. [contract]"""
    stack = {"services": {"web": {"deploy": {"update_config": {"parallelism": 2, "max_failure_ratio": 0.005}}}}}
    (tmp_path / "stack.yaml").write_text(json.dumps(stack))
    (tmp_path / "scenario.yaml").write_text(json.dumps(minimal(policies={"p": {"file": "stack.yaml"}})))
    scenario, *_ = load(tmp_path / "scenario.yaml")
    assert scenario is not None
    assert scenario.policy().policy.max_failed_nodes_percent == Fraction(1, 2)
    assert not [problem for problem in scenario.warnings if "max_failed_nodes_percent" in problem.path]


@pytest.mark.parametrize(("requests", "is_suspicious"), [(0.5, False), (0.1, True)])
def test_few_requests_under_an_imported_interval(tmp_path: Path, requests: float, is_suspicious: bool) -> None:
    """Windows are too short only if none of their requests are judged; an imported interval can't be set. [contract]"""
    job = 'job "web" { group "web" { count = 4\n update { max_parallel = 1\n min_healthy_time = "1s" } } }'
    (tmp_path / "web.nomad.hcl").write_text(job)
    fleet = {"requests_per_second": requests, "error_rate": 0.01}
    (tmp_path / "scenario.yaml").write_text(json.dumps(minimal(fleet=fleet, policies={"p": {"file": "web.nomad.hcl"}})))
    scenario, *_ = load(tmp_path / "scenario.yaml")
    assert scenario is not None
    found = [problem for problem in scenario.warnings if "too short" in problem.message]
    assert [(format_path(problem.path), problem.hint) for problem in found] == [(CHECK, None)] * is_suspicious


@pytest.mark.parametrize(("change", "path", "fragment"), SUSPICIOUS, ids=[" ".join(case[1:]) for case in SUSPICIOUS])
def test_suspicious_values_are_warned_about(change: dict[str, Any], path: str, fragment: str) -> None:
    """Each legal but suspicious value gives one warning with its path, which the scenario keeps. [contract]"""
    with pytest.warns(SimdeployWarning) as caught:
        scenario = read(**copy.deepcopy(change))
    assert [warning.message.problem for warning in caught] == list(scenario.warnings)  # type: ignore[union-attr]
    (problem,) = scenario.warnings
    assert str(caught[0].message) == str(problem)
    assert format_path(problem.path) == path
    assert fragment in str(problem)


@pytest.mark.parametrize(
    "change",
    [
        one(ROLLING, max_failed_nodes=9, max_failed_nodes_percent=99.9),
        one(ROLLING, max_failed_nodes=10) | REACHES,
        one(ROLLING, max_failed_nodes_percent=0),
        one(ROLLING, max_failed_nodes_percent=1),
        one(ROLLING, max_failed_nodes_percent=0.1) | {"fleet": {"nodes": 1000}},
        one(ROLLING, max_failed_nodes_percent=0.1) | {"orchestrator": {"limit_combination": "both"}},
        one(ROLLING, max_failed_nodes=0, max_failed_nodes_percent=0.1),
        one(ROLLING, max_failed_nodes=1, max_failed_nodes_percent=0.1) | REACHES,
        waves({"size": 5, "max_failed_nodes": 0, "max_failed_nodes_percent": 0.5}),
        one(ROLLING, max_failed_nodes_percent=0.1) | {"orchestrator": {"failed_percent_of": "wave"}},
        one(ROLLING, dialect="general", max_failed_nodes_per_zone="99%") | {"fleet": {"zones": 10}},
        one(ROLLING, dialect="general", max_failed_nodes_per_zone="100%") | {"fleet": {"zones": 2}} | REACHES,
        one(ROLLING) | {"orchestrator": {"explicit_zero_limit": "default"}},
        one(ROLLING, dialect="general", max_failed_nodes_per_zone=5) | {"fleet": {"zones": 2}} | REACHES,
        waves({"size": 1, "max_failed_nodes": 0}, {"until": 5, "max_failed_nodes": 3}) | SLIDING,
        waves({"size": 3, "max_failed_nodes": 3, "max_failed_nodes_percent": 100}) | REACHES,
        {"orchestrator": {"failed_node_freezes": True, "all_slots_held": "fail"}},
        {"orchestrator": {"failed_node_holds_slot": True}} | one(ROLLING, dialect="general", surge=1),
        waves(5, max_parallel=2) | SLIDING,
        one(ROLLING, dialect="general", rollback_delay="10s", rollback_parallel=4),
        one(ROLLING, dialect="general", rollback_delay="10s") | {"orchestrator": {"rollback_pacing": "max_parallel"}},
        one(
            ROLLING,
            dialect="general",
            health_check={"deadline": "5m", "cumulative_failures": True, "failure_threshold": 3},
        ),
        one(ROLLING, dialect="general", retries=1, max_failed_nodes=1) | {"orchestrator": {"failed_tries_count": True}},
        {
            "release": {
                "good": {"probability": 0.5},
                "defective": {"probability": 0.5, "defective": True, "start_failure": 0.1},
            }
        },
        {
            "release": {
                "good": {"probability": 1, "start_failure": 0.1},
                "fine": {"probability": 0, "start_failure": 0.1},
            }
        },
        one(ROLLING, max_parallel=10),
        one(ROLLING, max_parallel=0),
        one(CANARY) | {"fleet": {"nodes": 11}},
        one(ROLLING, health_check={"deadline": "5m", "min_healthy_time": "0s"}),
        rolled({"start_failure": 0.5}),
        one(CANARY, canary_count=10) | {"operator": {"promote_after": "1h"}},
        one(CANARY, canary_count=3, max_parallel=3),
        one(CANARY, dialect="general", canary_count=3, max_parallel=2, surge_canaries=True),
        one(CANARY, dialect="general", canary_count=3, max_parallel=2, max_parallel_per_zone=1)
        | {"fleet": {"zones": 2}},
        one(IMMEDIATE, max_failed_nodes=5, max_parallel=0),
        rolled({"requests_per_second": 0.33, "error_rate": 0.01}),
        rolled({"requests_per_second": 0.46, "error_rate": 0.01}),
        rolled(FEW_REQUESTS, health_check={"deadline": "5m", "min_healthy_time": "0s"}),
        rolled(FEW_REQUESTS, health_check={"deadline": "5m", "max_error_rate": 1}),
        rolled(
            {"requests_per_second": 0.05, "error_rate": 0.01}, health_check={"deadline": "5m", "max_error_rate": 0.99}
        ),
        rolled(FEW_REQUESTS, dialect="general"),
        rolled(FEW_REQUESTS) | {"deployment": {"type": "stop"}},
        rolled({"requests_per_second": 0.04}),
        one(IMMEDIATE) | {"fleet": FEW_REQUESTS},
        rolled({"update_duration": "270s"}),
        rolled({"update_duration": 0}, health_check={"deadline": "30s"}),
        rolled({"update_duration": "1h", "classes": [{"name": "all", "share": 1, "update_duration": "1s"}]}),
        rolled({"update_duration": "1h"}) | {"orchestrator": {"deadline_starts": "started"}},
        rolled({"update_duration": "1h"}) | {"deployment": {"type": "stop"}},
        rolled({"start_failure": 0.9}) | {"deployment": {"type": "stop"}},
        {"fleet": BUSY_AT_NOON} | AT_NINE,
        OFFICE_HOURS | AT_NINE,
        {"orchestrator": {"pacing": "rate", "rate": {"growth": 2}}},
        {"orchestrator": {"minimum_sample": 10}, "release": {"a": {"probability": 1, "affects": {"count": 10}}}},
        {"fleet": {"requests_per_second": 1, "error_rate": 0.1}},
        {
            "fleet": {"crash": {"up": "1h", "repair": "1m"}},
            "release": {"a": {"probability": 1, "defective": True, "crash_rate": 2}},
        },
        {"fleet": {"zones": 10, "classes": [{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5}]}},
    ],
)
def test_usual_values_are_not_warned_about(change: dict[str, Any]) -> None:
    """Values just below the threshold of suspicion cause no warning. [contract]"""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(**copy.deepcopy(change)).warnings == ()


def test_unknown_keys_in_json_are_warned_about(tmp_path: Path) -> None:
    """An unknown key in a policy's JSON is kept, and reported with that file's name and line. [contract]"""
    text = '{"deployment": {\n"spec": {"strategy": "immediate",\n"surge": 3}}}'
    (tmp_path / "d.json").write_text(text, encoding="utf-8")
    file = tmp_path / "s.yaml"
    file.write_text(json.dumps(minimal(policies={"p": {"file": "d.json"}})), encoding="utf-8")
    with pytest.warns(SimdeployWarning, match=r"deployment\.spec\.surge: unknown key"):
        scenario = read_scenario(file)
    (problem,) = scenario.warnings
    assert (problem.file, problem.line) == (str(tmp_path / "d.json"), 3)
    assert scenario.policies["p"].spec.to_dict()["surge"] == 3


def test_warnings_point_at_the_callers_line(tmp_path: Path) -> None:
    """Warnings name the caller's file, and changed values cause only new ones. [contract]"""
    raw = minimal(orchestrator={"bake_time": "1h"})
    file = tmp_path / "s.yaml"
    file.write_text(json.dumps(raw), encoding="utf-8")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scenario = Scenario.from_dict(raw)
        read_scenario(file)
        scenario.with_values({"orchestrator.minimum_sample": 11})
        scenario.policy({**ROLLING, "max_parallel": 11})
    assert [warning.filename for warning in caught] == [__file__] * 4
    assert [str(warning.message) for warning in caught][2:] == [
        "orchestrator.minimum_sample: more than the fleet's 10 nodes: max_failed_nodes_percent never applies (found 11)",
        "max_parallel: more than the fleet's 10 nodes: one wave updates all (found 11)",
    ]


# --- JSON Schema ----------------------------------------------------------------------------------------------


@cache
def _validator() -> jsonschema.Draft202012Validator:
    schema = scenario_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_schema_accepts_valid_files(first_release: Scenario) -> None:
    """The JSON Schema accepts the contract's file, the defaults, and all forms of none. [contract]"""
    validator = _validator()
    for raw in (first_release.to_dict(), minimal(), minimal(**DEFAULTS), minimal(orchestrator={"preset": "expanso"})):
        assert list(validator.iter_errors(raw)) == []


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_schema_accepts_shipped_scenarios(path: Path) -> None:
    """The JSON Schema accepts every scenario that is shipped. [contract]"""
    raw, _ = parse_yaml(path.read_text(encoding="utf-8"))
    assert list(_validator().iter_errors(raw)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"helth": {}},
        {"name": 5},
        {"fleet": {"nods": 5}},
        {"fleet": {"nodes": 0}},
        {"fleet": {"slowdown": {"normal": {"mean": 1}}}},
        {"fleet": {"slowdown": {"gamma": {"mean": 1}}}},
        {"fleet": {"error_rate": 2}},
        {"fleet": {"update_duration": "5 min"}},
        {"orchestrator": {"pacing": "slide"}},
        {"orchestrator": "expansoo"},
        {"policies": {}},
        one(IMMEDIATE, surge=3),
        one(IMMEDIATE, dialect="rolout"),
        {"policies": {"p": {"file": "d.json", "strategy": "immediate"}}},
        {"release": {"a": {}}},
        {"operator": {"script": [{"at": 1, "do": "stop"}]}},
        {"requirements": {"of": "escaped", "at_most": 0.01}},
        {"requirements": [{"of": "escapes", "at_most": 0.01}]},
        {"requirements": [{"at_most": 0.01}]},
        {"requirements": [{"of": "makespan_s", "at_most": True}]},
    ],
)
def test_the_schema_refuses_invalid_files(change: dict[str, Any]) -> None:
    """The JSON Schema detects what an editor should underline, which the reader refuses, too. [contract]"""
    raw = minimal(**change)
    assert list(_validator().iter_errors(raw)) != []
    with pytest.raises(InputError):
        Scenario.from_dict(raw)


def test_the_schema_helps_editors() -> None:
    """Every key has a description; switches have their values and default, keys of a class have no default. [contract]"""
    schema = scenario_schema()
    sections = {name: part for name, part in schema["$defs"].items() if name.endswith("Section")} | {"": schema}
    keys = {(name, key): value for name, part in sections.items() for key, value in part["properties"].items()}
    # A reference without a description uses that of its target.
    described = ("description", "$ref")
    assert [place for place, value in keys.items() if not any(word in value for word in described)] == []
    assert all("description" in part for part in schema["$defs"].values() if part.get("type") == "object")
    assert keys["OrchestratorSection", "pacing"]["enum"] == ["barrier", "sliding", "rate"]
    assert keys["OrchestratorSection", "pacing"]["default"] == "barrier"
    assert keys["FleetSection", "slowdown"]["default"] == 1
    assert "default" not in keys["ClassSection", "slowdown"]


def test_the_schema_is_a_copy() -> None:
    """Changing a returned schema changes no other. [property]"""
    scenario_schema()["properties"].clear()
    assert "fleet" in scenario_schema()["properties"]


# --- the page -------------------------------------------------------------------------------------------------

PAGE = ROOT / "docs" / "scenario-file.md"


def test_the_pages_scenario_reads() -> None:
    """The scenario on the page is valid. [contract]"""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert Scenario.from_dict(parse_yaml(text)[0]).name == "small"


def test_the_page_has_every_family() -> None:
    """The page's table of distributions has the reader's parametrisations. [contract]"""
    page = PAGE.read_text(encoding="utf-8")
    for family, forms in FAMILIES.items():
        words = "; or ".join(", ".join(f"`{name}`" for name in names) for names, _ in forms)
        assert f"| `{family}` | {words} |" in page


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"crash": {"up": 0, "repair": 5}}, "crash.up"),
        ({"zone_outage": {"up": {"empirical": {"values": [0, 0]}}, "repair": 5}}, "zone_outage.up"),
        ({"connection": {"online": 0, "offline": 5}}, "connection.online"),
        ({"flapping": {"good": 0, "degraded": 5, "error_rate": 0.1}}, "flapping.good"),
        ({"flapping": {"good": 5, "degraded": 0, "error_rate": 0.1}}, "flapping.degraded"),
    ],
)
def test_times_that_are_always_0_are_refused(section: dict[str, Any], key: str):
    """Spells that take no time are refused when the file is read. [contract]"""
    with pytest.raises(InputError, match=rf"fleet\.{key}.*the mean must be above 0"):
        read(fleet=section)


def test_invalid_costs_are_not_missing() -> None:
    """If the costs are invalid, a requirement on the cost is not reported as lacking them. [contract]"""
    raw = minimal() | {"costs": {"unit": "x" * 99}, "requirements": [{"of": "cost", "at_most": 1}]}
    with pytest.raises(InputError) as error:
        Scenario.from_dict(raw)
    assert [".".join(map(str, problem.path)) for problem in error.value.problems] == ["costs.unit"]


def test_a_scenario_in_a_notebook():
    """A scenario shows its name, size and policies, in a line and as HTML, and no internals. [contract]"""
    policies = {"at-once": {"strategy": "immediate"}, "again": {"strategy": "immediate"}}
    fleet = {"nodes": 2, "update_duration": "45s"}
    raw = {"name": "small <fleet>", "description": "a & b", "fleet": fleet, "policies": policies}
    scenario = Scenario.from_dict({**raw, "release": {"good": {"probability": 1}}})
    line = "small <fleet>, 2 nodes, 1 kind of release, 2 policies (at-once, again)"
    assert repr(scenario) == f"<Scenario: {line}>"
    assert scenario._repr_html_() == f"<p>{line.replace('<', '&lt;').replace('>', '&gt;')}</p><p>a &amp; b</p>"
