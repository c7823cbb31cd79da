"""A policy translated into the other dialect means the same rollouts, or a note says what is lost."""

import json
import math
from fractions import Fraction

import pandas as pd
import pytest
from generators import scenarios
from hypothesis import given, note, strategies as st

from simdeploy import Scenario, simulate
from simdeploy.api import (
    DeploymentSpec,
    HealthCheck,
    RolloutHealthCheck,
    RolloutSpec,
    parse_deployment,
    spec_from_dict,
    spec_problems,
)
from simdeploy.api.values import MAX_COUNT
from simdeploy.dialects import policy_from_spec
from simdeploy.dialects.translation import translate_spec
from simdeploy.errors import InputError
from simdeploy.rules.health import read_health_rule
from simdeploy.rules.orchestrator import EXPANSO
from simdeploy.rules.waves import plan_waves
from simdeploy.units import MAX_DURATION_NS, parse_duration

S = 10**9
OTHER = {"deployment": "rollout", "rollout": "deployment"}
OF_THE_API = scenarios().filter(lambda raw: raw["policies"]["p"]["dialect"] in OTHER)


def rolling(**values):
    return DeploymentSpec(strategy="rolling", health_check=HealthCheck(deadline="5m"), **values)


def to_rollout(spec, nodes=100, interval_ns=10 * S, **options):
    return translate_spec(spec, "rollout", nodes=nodes, interval_ns=interval_ns, **options)


def to_deployment(spec, nodes=100, interval_ns=10 * S, **options):
    return translate_spec(spec, "deployment", nodes=nodes, interval_ns=interval_ns, **options)


def plan(spec, nodes):
    return plan_waves(policy_from_spec(spec, interval_ns=10 * S), EXPANSO, nodes)


def translate_generated(scenario, spec):
    return translate_spec(
        spec,
        OTHER[spec.dialect],
        nodes=scenario.fleet.nodes,
        interval_ns=scenario.health_interval_ns,
        window_reset=scenario.orchestrator.window_reset,
    )


def assert_same_rollout(scenario, spec, other):
    one, two = simulate(scenario, spec, engine="reference"), simulate(scenario, other, engine="reference")
    pd.testing.assert_series_equal(one.responses, two.responses, check_names=False)
    for table in ("events", "timeline", "nodes", "revisions"):
        pd.testing.assert_frame_equal(getattr(one, table), getattr(two, table))


def test_an_exact_translation_means_the_same_rollouts():
    """Without losses both specs give the same records on any fleet, under any orchestrator. [property]"""
    counts = {"deployment": 0, "rollout": 0}

    @given(OF_THE_API, st.booleans())
    def check(raw, beyond_reach):
        policy = raw["policies"]["p"]
        if beyond_reach and policy["dialect"] == "rollout" and "health_check" in policy:
            policy["health_check"]["failure_threshold"] = (
                1000  # otherwise it can hardly be expressed in the other dialect
            )
        scenario = Scenario.from_dict(raw)
        spec = scenario.policy("p").spec
        translation = translate_generated(scenario, spec)
        note(f"{spec!r}\n{translation!r}")
        assert translation.spec.dialect == OTHER[spec.dialect]
        assert spec_problems(translation.spec) == []
        if translation.is_exact:
            counts[spec.dialect] += spec.strategy != "immediate"
            assert_same_rollout(scenario, spec, translation.spec)

    check()
    assert min(counts.values()) >= 2, counts


@given(OF_THE_API)
def test_round_trip(raw):
    """A spec translated back without a loss has its original meaning, and stays unchanged from then on. [property]"""
    scenario = Scenario.from_dict(raw)
    spec = scenario.policy("p").spec
    there = translate_generated(scenario, spec)
    back = translate_generated(scenario, there.spec)
    if there.is_exact and back.is_exact:
        assert_same_rollout(scenario, spec, back.spec)
        again = translate_generated(scenario, translate_generated(scenario, back.spec).spec)
        assert again.spec == back.spec


@given(st.integers(0, 400), st.integers(1, 400))
def test_waves_are_the_largest_that_are_not_larger(wanted, nodes):
    """The wave is the same if a whole percentage gives it, else the next smaller one, or 1 %. [oracle]"""
    translation = to_rollout(rolling(max_parallel=wanted), nodes)
    waves = [math.ceil(Fraction(percent * nodes, 100)) for percent in range(1, 101)]
    meant = min(wanted or nodes, nodes)
    best = max([wave for wave in waves if wave <= meant], default=waves[0])
    assert plan(translation.spec, nodes).parallel == best
    assert plan(rolling(max_parallel=wanted), nodes).parallel == meant
    assert translation.is_exact == (best == meant)


@given(st.integers(0, 100), st.integers(1, 400))
def test_a_percent_is_always_a_number_of_nodes(percent, nodes):
    """Waves of the rollout dialect can be expressed exactly as nodes. [property]"""
    spec = RolloutSpec(strategy="rolling", max_parallel=percent, health_check=RolloutHealthCheck(deadline=S))
    translation = to_deployment(spec, nodes)
    assert translation.is_exact
    assert plan(spec, nodes) == plan(translation.spec, nodes)


@given(
    st.integers(1, 100).map(lambda count: count * S),
    st.integers(0, 10**12),
    st.integers(0, 10**12),
    st.sampled_from([None, 0, 0.05, 1]),
)
def test_windows_and_deadlines(interval_ns, healthy_ns, deadline_ns, max_error_rate):
    """The health rule is the same, with an unreachable threshold of one more window than fit the deadline. [property]"""
    texts = {"deadline": f"{deadline_ns}ns", "min_healthy_time": f"{healthy_ns}ns"}
    given_rate = {} if max_error_rate is None else {"max_error_rate": max_error_rate}
    spec = DeploymentSpec(strategy="rolling", health_check=HealthCheck(**texts, **given_rate))
    translation = to_rollout(spec, interval_ns=interval_ns)
    before, after = (
        read_health_rule(policy_from_spec(one, interval_ns=interval_ns), EXPANSO) for one in (spec, translation.spec)
    )
    assert (after.deadline_ns, after.interval_ns) == (before.deadline_ns, before.interval_ns)
    assert after.max_error_rate == before.max_error_rate
    assert ("max_error_rate" in translation.to_dict()["health_check"]) == (max_error_rate is not None)
    assert after.windows_needed == max(before.windows_needed, 1)
    assert translation.is_exact == (healthy_ns > 0)
    assert (after.failure_threshold - 1) * interval_ns <= deadline_ns < after.failure_threshold * interval_ns
    back = to_deployment(translation.spec, interval_ns=interval_ns)
    assert back.is_exact
    assert parse_duration(back.spec.health_check.deadline) == deadline_ns
    n_windows = max(-(-healthy_ns // interval_ns), 1)
    assert parse_duration(back.spec.health_check.min_healthy_time) == n_windows * interval_ns


def test_every_other_field_is_carried_over():
    """Fields common to both dialects are copied; unset ones stay unset. [contract]"""
    common = {
        "strategy": "canary",
        "canary_count": 3,
        "canary_percent": 0,
        "auto_promote": True,
        "max_failed_nodes": 0,
        "max_failed_nodes_percent": 7.5,
        "no_auto_rollback": False,
    }
    spec = DeploymentSpec(**common, max_parallel=20, health_check=HealthCheck(deadline="5m", max_error_rate=0))
    there = to_rollout(spec).to_dict()
    assert there == {
        **common,
        "dialect": "rollout",
        "max_parallel": 20,
        "health_check": {
            "deadline": 300 * S,
            "interval": 10 * S,
            "max_error_rate": 0,
            "success_threshold": 3,
            "failure_threshold": 31,
        },
    }
    back = to_deployment(to_rollout(spec).spec).to_dict()
    health_check = {"deadline": "5m", "max_error_rate": 0, "min_healthy_time": "30s"}
    assert back == {**common, "dialect": "deployment", "max_parallel": 20, "health_check": health_check}
    unset = to_deployment(RolloutSpec(strategy="rolling", health_check=RolloutHealthCheck(deadline=S))).to_dict()
    assert unset.keys() == {"dialect", "strategy", "max_parallel", "health_check"}
    assert unset["max_parallel"] == 10
    assert unset["health_check"] == {"deadline": "1s", "min_healthy_time": "20s"}


def test_all_at_once_stays_all_at_once():
    """0 nodes are 100 percent, and 100 percent are 0 nodes, for any fleet. [contract]"""
    assert to_rollout(rolling(max_parallel=0)).spec.max_parallel == 100
    assert to_rollout(rolling()).spec.max_parallel == 100
    assert to_rollout(rolling(max_parallel=1), nodes=1).spec.max_parallel == 100
    assert to_deployment(to_rollout(rolling()).spec).spec.max_parallel == 0


def test_losses_are_reported():
    """What the other dialect can't express is a loss that names the key, and is among the notes. [contract]"""
    check = RolloutHealthCheck(deadline=60 * S, interval=5 * S, success_threshold=2, failure_threshold=3)
    spec = RolloutSpec(strategy="rolling", max_parallel=5, health_check=check)
    of_a_thousand = "of 1,000 nodes is not a whole percent"
    without_window = DeploymentSpec(strategy="rolling", health_check=HealthCheck(deadline="1m", min_healthy_time="0"))
    cases = [
        (to_deployment(spec, interval_ns=5 * S), ["failure_threshold: can't be expressed"]),
        (to_deployment(spec), ["interval: windows of 5s can't be expressed", "failure_threshold: can't be expressed"]),
        (to_deployment(spec, interval_ns=5 * S, window_reset=False), ["window_reset: ", "failure_threshold: "]),
        (to_rollout(rolling(max_parallel=45), 1000), [f"max_parallel: 45 {of_a_thousand}"]),
        (to_rollout(rolling(max_parallel=3), 1000), [f"max_parallel: 3 {of_a_thousand}; 1 percent"]),
        (to_rollout(rolling(), window_reset=False), ["window_reset: "]),
        (to_rollout(rolling(), interval_ns=30 * S, window_reset=False), []),
        (to_rollout(without_window), ["min_healthy_time: a node needs 1 healthy window"]),
    ]
    for translation, losses in cases:
        assert len(translation.losses) == len(losses), translation
        assert all(loss_note.startswith(loss) for loss_note, loss in zip(translation.losses, losses, strict=True)), (
            translation
        )
        assert set(translation.losses) <= set(translation.notes)
        assert translation.is_exact == (not losses)


def test_changes_of_form_are_noted():
    """Notes say what depends on this fleet, what is rounded, and why the threshold is high. [contract]"""
    check = HealthCheck(deadline="5m", min_healthy_time="45s")
    spec = DeploymentSpec(strategy="rolling", max_parallel=20, health_check=check)
    notes = "\n".join(to_rollout(spec).notes)
    assert "in this fleet of 100, 20 percent are 20 nodes" in notes
    assert "1 percent is 1 node;" in "\n".join(to_rollout(rolling(max_parallel=1)).notes)
    assert "45s is rounded up to 5 windows of 10s" in notes
    assert "31, never reached: only 30 windows of 10s fit the deadline" in notes
    assert any("500 nodes are all" in note for note in to_rollout(rolling(max_parallel=500)).notes)
    back = to_deployment(to_rollout(rolling(max_parallel=7)).spec)
    assert any("7 of this fleet's 100 nodes" in note for note in back.notes)


def test_immediate_leaves_out_what_it_ignores():
    """Under immediate neither waves nor a health check is translated, without a loss. [contract]"""
    ignored = {"max_parallel": 3, "health_check": HealthCheck(min_healthy_time="0")}
    spec = DeploymentSpec(strategy="immediate", max_failed_nodes=2, **ignored)
    translation = to_rollout(spec)
    assert translation.to_dict() == {"dialect": "rollout", "strategy": "immediate", "max_failed_nodes": 2}
    assert translation.is_exact
    assert [note.split(":")[0] for note in translation.notes] == ["max_parallel", "health_check"]
    assert to_deployment(translation.spec).notes == ()


def test_unknown_keys_are_left_out():
    """A key unknown to the API is left out, even if the other dialect has it. [contract]"""
    check = HealthCheck(deadline="5m", success_threshold=9, grace="1s")
    spec = DeploymentSpec(strategy="rolling", surge=3, health_check=check)
    translation = to_rollout(spec)
    assert "surge" not in translation.to_dict()
    assert translation.spec.health_check.success_threshold == 3
    assert "grace" not in translation.to_dict()["health_check"]
    fields = sorted(note.split(":")[0] for note in translation.notes)
    assert fields == ["failure_threshold", "health_check.grace", "health_check.success_threshold", "surge"]


def test_values_out_of_range_are_cut():
    """Thresholds and times beyond the other dialect's range are cut, as a loss. [contract]"""
    eternal = HealthCheck(deadline="876000h", min_healthy_time="876000h")
    there = to_rollout(DeploymentSpec(strategy="rolling", health_check=eternal), interval_ns=10**6)
    assert there.spec.health_check.success_threshold == there.spec.health_check.failure_threshold == MAX_COUNT
    assert len(there.losses) == 2
    check = RolloutHealthCheck(deadline=S, interval=MAX_DURATION_NS, success_threshold=2)
    back = to_deployment(RolloutSpec(strategy="rolling", health_check=check), interval_ns=MAX_DURATION_NS)
    assert parse_duration(back.spec.health_check.min_healthy_time) == MAX_DURATION_NS
    assert len(back.losses) == 1


def test_the_own_dialect_changes_nothing():
    """Translated into its own dialect a spec is unchanged. [contract]"""
    spec = rolling(surge=3)
    assert to_deployment(spec).spec is spec
    assert to_deployment(spec).notes == ()


@pytest.mark.parametrize("gate", ["sprt", {"kind": "pooled", "over": "window"}, "cusum"])
def test_no_dialect_of_the_api_knows_a_gate(gate):
    """A gate is lost in the other dialect; in its own it stays in the scenario but not in the JSON. [contract]"""
    spec = DeploymentSpec(strategy="rolling", health_check={"deadline": "5m", "gate": gate})
    kind = spec.health_check.gate.kind
    note = f"gate: the API has no {kind} gate, only the threshold"
    other = to_rollout(spec)
    assert not other.is_exact
    assert other.losses == (f"{note}; left out",)
    assert other.spec == to_rollout(rolling()).spec
    own = to_deployment(spec)
    assert (own.spec, own.losses, own.notes) == (spec, (), (f"{note}; omitted from the API spec",))
    assert own.to_dict()["health_check"]["gate"]["kind"] == kind
    assert json.loads(own.to_json()) == {"strategy": "rolling", "health_check": {"deadline": "5m"}}
    back = to_deployment(RolloutSpec(strategy="rolling", health_check={"deadline": 300 * S, "gate": gate}))
    assert f"{note}; left out" in back.losses
    assert back.spec.health_check.gate is None


def test_the_deployment_object_has_no_gate():
    """The deployment object of a rollout with a gate has the spec without it. [contract]"""
    health_check = {"deadline": "5m", "gate": "sprt"}
    raw = {
        "name": "two-nodes",
        "fleet": {"nodes": 2, "update_duration": "30s", "requests_per_second": 1},
        "policies": {"waves": {"strategy": "rolling", "health_check": health_check}},
    }
    rollout = simulate(Scenario.from_dict(raw), engine="reference")
    assert rollout.policy.spec.health_check.gate.kind == "sprt"
    assert rollout.deployment.spec.to_dict() == {"strategy": "rolling", "health_check": {"deadline": "5m"}}
    assert "gate" not in rollout.to_json()


def test_the_threshold_is_no_loss():
    """The threshold, or a gate that the strategy ignores, is left out without a note. [contract]"""
    for strategy, gate in (("rolling", "threshold"), ("immediate", "sprt")):
        spec = DeploymentSpec(strategy=strategy, health_check={"deadline": "5m", "gate": gate})
        translation = to_rollout(spec)
        assert translation.is_exact
        assert not any(note.startswith("gate:") for note in translation.notes)
        assert "gate" not in translation.to_json()


@pytest.mark.parametrize(
    "translation", [to_rollout(rolling(max_parallel=7)), to_deployment(to_rollout(rolling()).spec)]
)
def test_it_can_be_pasted(translation):
    """The JSON is valid for the API in that dialect, and the dict for a scenario as a policy. [contract]"""
    document = parse_deployment(translation.to_json())
    assert (document.spec, document.dialect) == (translation.spec, translation.spec.dialect)
    assert json.loads(translation.to_json()) == translation.spec.to_dict()
    raw = translation.to_dict()
    assert next(iter(raw)) == "dialect"
    spec, problems = spec_from_dict(raw, dialect=raw.pop("dialect"))
    assert (spec, problems) == (translation.spec, [])


def test_invalid_arguments():
    """An unknown dialect and a fleet without nodes are reported together. [contract]"""
    with pytest.raises(InputError, match="did you mean 'rollout'") as caught:
        translate_spec(rolling(), "rolout", nodes=0, interval_ns=S)
    assert len(caught.value.problems) == 2
