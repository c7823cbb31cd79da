"""Backtests of simulated rollouts: the recorded policy repeats them, other policies are as simulated in the same world."""

import math
import random
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest
from generators import Decisions, scenario_of

from simdeploy import InputError, Scenario, SimulationError, simulate
from simdeploy.analysis.backtest import bounding
from simdeploy.analysis.backtest.backtesting import _Case
from simdeploy.analysis.backtest.bounding import bound_rollout, measure
from simdeploy.engines.replay import Modeller, replay
from simdeploy.engines.replay.knowing import RunBy
from simdeploy.engines.replay.ledger import Ledger
from simdeploy.engines.replay.node import ReplayedNode
from simdeploy.engines.replay.prober import ReplayedProber
from simdeploy.engines.replay.refusing import find_refusals
from simdeploy.records.histories import read_histories
from simdeploy.rules.deployment_types import TYPES

# Dependence on absolute time or on peers, and decisions of people by what they see.
_OF_TIME = ("crash", "zone_outage", "flapping", "traffic", "service", "connection")
_OF_PEOPLE = ("script", "change_windows", "rejects_good", "notices_defect")


def draw_raw(seed):
    """Draw a scenario with up to four policies."""
    return scenario_of(Decisions(random.Random(seed).randbytes(700)), (4,))


def calm(raw):
    """Remove what depends on absolute time, on peers, or on what people see."""
    fleet = {key: value for key, value in raw["fleet"].items() if key not in _OF_TIME}
    if "classes" in fleet:
        fleet["classes"] = [
            {key: value for key, value in each.items() if key not in (*_OF_TIME, "down")} for each in fleet["classes"]
        ]
    return raw | {
        "fleet": fleet,
        "operator": {key: value for key, value in raw.get("operator", {}).items() if key not in _OF_PEOPLE},
    }


def reachable(raw):
    """Remove what a record does not show: broken connections, change windows, and nodes that are waited for."""
    raw = raw | {
        "fleet": {key: value for key, value in raw["fleet"].items() if key != "connection"},
        "operator": {key: value for key, value in raw.get("operator", {}).items() if key != "change_windows"},
        "orchestrator": {key: value for key, value in raw["orchestrator"].items() if key != "unreachable_nodes"},
    }
    classes = [
        {key: value for key, value in each.items() if key != "connection"} for each in raw["fleet"].get("classes", [])
    ]
    return raw | {"fleet": raw["fleet"] | ({"classes": classes} if classes else {})}


def simulate_first(raw, seed):
    """Return a scenario and the rollout of its first policy; None if it can't be simulated, or starts no nodes."""
    try:
        scenario = Scenario.from_dict(raw)
        rollout = simulate(scenario, replication=seed)
    except (InputError, SimulationError):
        return None
    return None if rollout.policy.identity.type == "stop" else (scenario, rollout)


def case_of(rollout):
    """Return the case of a record."""
    return _Case(read_histories(rollout.to_records("r"))[0])


@cache
def make_calm_case(seed):
    """Return scenario and case of a calm rollout, or None; the search for each mistake uses the same ones."""
    made = simulate_first(calm(draw_raw(seed)), seed)
    return None if made is None else (made[0], case_of(made[1]))


@cache
def measure_simulated(seed, name):
    """Return the outcome of another policy in the same world."""
    return measure(simulate(make_calm_case(seed)[0], name, replication=seed)._recording)


def refusals(case, run_by):
    return list(find_refusals(case._history, case.known, case.recorded, run_by))


def is_within(bounds, value):
    return bounds.low <= value * (1 + 1e-12) and value <= bounds.high * (1 + 1e-12)


def compare_with_recording(bounded, rollout):
    """Return which responses, waves and windows of a replay differ from those of the rollout."""
    true, found, other = measure(rollout._recording), bounded.recording, rollout._recording
    differ = {name for name, value in true.items() if not is_within(bounded.bounds[name], value)}
    if bounded.unknown_ns is None:
        differ |= {name for name in true if bounded.bounds[name].low != bounded.bounds[name].high}
        end = math.inf if other.makespan_ns is None else other.makespan_ns
        for name in ("end_ns", "requests", "failed", "healthy", "up"):
            columns = [
                sorted(zip(each.windows.end_ns, getattr(each.windows, name), strict=True)) for each in (found, other)
            ]
            if [row for row in columns[0] if row[0] <= end] != [row for row in columns[1] if row[0] <= end]:
                differ.add(f"windows: {name}")
        if (found.waves, found.gate_requests) != (other.waves, other.gate_requests):
            differ.add("waves")
    return differ


def tally_repeated(seeds, change):
    """Replay drawn rollouts under their own policy; count the outcomes."""
    count = Counter()
    for seed in seeds:
        made = simulate_first(change(draw_raw(seed)), seed)
        if made is None:
            continue
        rollout = made[1]
        case = case_of(rollout)
        if refusals(case, case.recorded):
            count["refused"] += 1
            continue
        bounded = bound_rollout(case.known, case.recorded)
        differ = compare_with_recording(bounded, rollout)
        assert not differ, (seed, differ)
        count["exact" if bounded.unknown_ns is None else "bounded"] += 1
    return count


SEEDS = range(100, 180)


def tally_others(seeds):
    """Replay drawn rollouts under other policies, and simulate these in the same worlds; count values that are known.

    Modelled rollouts have the values that are known, and are within the bounds of others.
    """
    count = Counter()
    for seed in seeds:
        made = make_calm_case(seed)
        if made is None:
            continue
        scenario, case = made
        kinds = scenario.release if TYPES[case.known.type_name].releases else ()
        model = Modeller(case.known, scenario.fleet, kinds, scenario.operator).draw(0, seed)
        for name in list(scenario.policies)[1:]:
            policy = scenario.policies[name]
            run_by = RunBy(policy.policy, scenario.orchestrator_of(policy))
            if refusals(case, run_by):
                count["refused"] += 1
                continue
            true = measure_simulated(seed, name)
            bounded = bound_rollout(case.known, run_by)
            for response, value in true.items():
                bounds = bounded.bounds[response]
                assert is_within(bounds, value), (seed, name, response, bounds, value)
                count[response] += bounds.low == bounds.high
            for response, value in measure(replay(case.known, *run_by, model).recording).items():
                bounds = bounded.bounds[response]
                assert is_within(bounds, value), (seed, name, response, bounds, value, "modelled")
            count["pairs"] += 1
            count["known"] += bounded.unknown_ns is None
    return count


@pytest.mark.parametrize(
    "name",
    ["small-fleet", "subtle-defect", "api-response", "type-rollback", "zone-breaks", "shared-service", "type-restart"],
)
def test_shipped_scenarios_are_repeated(name):
    """Replayed under their own policies, rollouts of shipped scenarios are repeated, window by window. [oracle]"""
    scenario = read(name)
    for policy in scenario.policies:
        for replication in range(3):
            rollout = simulate(scenario, policy, replication=replication)
            case = case_of(rollout)
            bounded = bound_rollout(case.known, case.recorded)
            assert bounded.unknown_ns is None
            assert not compare_with_recording(bounded, rollout)
            assert bounded.moved_s == 0


def read(name):
    from pathlib import Path

    from simdeploy import read_scenario

    return read_scenario(Path(__file__).resolve().parents[1] / "scenarios" / f"{name}.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("change", [calm, reachable])
def test_drawn_rollouts_are_repeated(change):
    """Replayed under their own policies, drawn rollouts are repeated, and few outcomes are unknown. [property]"""
    count = tally_repeated(range(60), change)
    assert count["exact"] > 5 * count["bounded"] > 0
    assert count["exact"] > 25


@pytest.mark.slow
def test_other_policies_are_as_simulated():
    """If nothing depends on the hour or on peers, another policy has its simulated values in the same world. [oracle]"""
    count = tally_others(SEEDS)
    assert count["pairs"] > 60
    assert count["known"] > count["pairs"] / 3
    assert all(count[response] >= count["known"] for response in ("stopped", "makespan_s", "exposed_node_s"))
    assert count["stopped"] > count["known"]  # it may be known although not everything is


# -- mistakes that are planted, and must be found -------------------------------------------------------------------------


def _knows_silent_nodes(patch):
    """Assume that nodes silent until the end of their record are silent for ever."""
    start = ReplayedNode._start

    def mistaken(self, deadline):
        known = self._known
        if known.start == "silent" and known.start_ns >= 0:
            self._known = replace(known, start_ns=1 << 60)
        return (yield from start(self, deadline))

    patch.setattr(ReplayedNode, "_start", mistaken)


def _starts_when_it_was(patch):
    """Let nodes start at their recorded times, whenever they are dispatched."""
    wait = ReplayedNode._wait_until

    def mistaken(self, t):
        was, now = self._known.dispatched_ns, self.fate.dispatched_ns
        return wait(self, t if was is None or now is None else max(t + was - now, self._site.env.now))

    patch.setattr(ReplayedNode, "_wait_until", mistaken)


def _judges_nothing(patch):
    """Assume that every window in which the node was up is healthy."""
    see = ReplayedProber.look_at

    def mistaken(self, *args):
        seen = see(self, *args)
        return seen._replace(healthy=seen.was_up)

    patch.setattr(ReplayedProber, "look_at", mistaken)


def _narrows_everything(patch):
    """Assume that the extreme fates are extreme under every policy."""
    patch.setattr(bounding, "_is_monotone", lambda *_: True)


def _let_run(patch, fate):
    real = bounding.replay
    patch.setattr(bounding, "replay", lambda *args: real(*args[:3], args[3].replace(fate, "runs")))


def _forgets_slow_nodes(patch):
    """Let slow nodes run at once."""
    _let_run(patch, "late")


def _forgets_failures(patch):
    """Let nodes that fail run instead."""
    _let_run(patch, "fails")


def _trusts_what_is_over(patch):
    """Assume that what follows the first unknown instant is known."""
    patch.setattr(Ledger, "record_unknown", lambda *_, **__: None)


MISTAKES = (
    _knows_silent_nodes,
    _starts_when_it_was,
    _judges_nothing,
    _narrows_everything,
    _forgets_slow_nodes,
    _forgets_failures,
    _trusts_what_is_over,
)


@pytest.mark.slow
@pytest.mark.parametrize("plant", MISTAKES, ids=lambda plant: plant.__name__.strip("_"))
def test_planted_mistakes_are_found(plant, monkeypatch):
    """A mistake in replays or bounds is detected by simulations in the same worlds. [property]"""
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        tally_others(SEEDS)
