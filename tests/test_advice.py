"""Advice and forecasts: conditioning against brute force and closed forms, refused input, and answers."""

import copy
import dataclasses
import itertools
import json
import math
from types import SimpleNamespace

import every_result
import numpy as np
import pandas as pd
import pytest
from invoking import invoke
from scipy import stats
from small import rolling

import simdeploy as sd
from simdeploy import read_result
from simdeploy.analysis.advice import lives, proposing_spells
from simdeploy.analysis.advice.conditioning import condition
from simdeploy.analysis.advice.costing import Costing, Priced
from simdeploy.analysis.advice.drawing import FAILS, RUNS, Nodes, draw_lives
from simdeploy.analysis.advice.estimating import Weighted
from simdeploy.analysis.advice.finding import Supply, find_replications
from simdeploy.analysis.advice.impossible import check_possible
from simdeploy.analysis.advice.laws import NodeLaw, starts_within
from simdeploy.analysis.advice.observed import Observed
from simdeploy.analysis.advice.proposing_spells import SpellProposer
from simdeploy.analysis.advice.result import Advice
from simdeploy.analysis.advice.running import Runner
from simdeploy.analysis.advice.seen import read_seen
from simdeploy.analysis.advice.straying import RoughRollouts, find_strays
from simdeploy.analysis.advice.waiting import choose_by_halves, find_worth
from simdeploy.analysis.advice.waves import read_course
from simdeploy.analysis.advice.ways import follows_clock, shows_all_verdicts, why_no_laws
from simdeploy.api import Deployment, DeploymentStatus, format_time, parse_time
from simdeploy.cli.forecast import describe_way
from simdeploy.engines.continuing import Worlds, run_continued
from simdeploy.errors import InputError
from simdeploy.experiments.executors import Threads
from simdeploy.report.advice import tell
from simdeploy.rules.health import read_health_rule
from simdeploy.rules.waves import plan_waves
from simdeploy.units import NS_PER_S
from simdeploy.world.distributions import Exponential, Gamma
from simdeploy.world.operator import ScriptedAct

CREATED = "2026-01-05T09:00:00Z"
CHECK = {"deadline": "3m", "min_healthy_time": "30s"}
BASE = {
    "name": "six",
    "fleet": {
        "nodes": 6,
        "update_duration": {"uniform": {"low": "40s", "high": "80s"}},
        "start_failure": 0.1,
        "start_attempts": 2,
    },
    "release": {
        "good": {"probability": 0.7},
        "bad": {"probability": 0.3, "defective": True, "start_failure": 0.5, "affects": {"share": 0.6}},
    },
    "costs": {"hour_of_delay": 10, "false_alarm": 50, "escape": 400},
    "policies": {"waves": rolling(3, max_failed_nodes=3, max_failed_nodes_percent=60, health_check=CHECK)},
}
ALL_GOOD = {"release.bad.probability": 0, "release.good.probability": 1}
ONE_AFTER_ONE = {"fleet.start_attempts": 1, "fleet.update_duration": "1m", "policies.waves.max_parallel": 1}


def make(changes=(), **policy):
    """Return the scenario with changed values, and a policy with other keys."""
    raw = copy.deepcopy(BASE)
    raw["policies"]["waves"] |= policy
    return sd.Scenario.from_dict(raw).with_values(dict(changes))


def at(seconds):
    """Return an instant after the start, as the API writes it."""
    return format_time(parse_time(CREATED) + round(seconds * 1e9))


def counts(wave, updated, failed):
    """Return the counting fields of a status."""
    return {"current_wave": wave, "updated_nodes": updated, "failed_nodes": failed}


def look(scenario, updated_s, counted=(), **status):
    """Return a deployment object, optionally with these counts: its wave, its updated and its failed nodes."""
    status = {"state": "in_progress", "created_at": CREATED, "updated_at": at(updated_s), **status}
    status |= counts(*counted) if counted else {}
    return Deployment(id="d", type="update", spec=scenario.policy().spec, status=DeploymentStatus(**status))


# -- the laws of nodes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("law", "exact"),
    [
        (Exponential(60.0), lambda k: stats.gamma(k, scale=60.0)),
        (Gamma(4.0, 15.0), lambda k: stats.gamma(4 * k, scale=15.0)),
    ],
)
@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_sums_of_attempts(law, exact, attempts):
    """The distribution function of several attempts is that of a sum, with any slowdown. [oracle]"""
    known = exact(attempts)
    x = known.ppf([0.01, 0.3, 0.7, 0.99])
    assert starts_within(law, attempts, 2 * x * 1e9, 2.0) == pytest.approx(known.cdf(x), abs=5e-4)


LAWS = {
    "attempts, hangs, after, share": (
        {
            "fleet.start_attempts": 3,
            "fleet.start_hang": 0.3,
            "fleet.slowdown": 1.2,
            "release.bad.error_rate": 0.12,
            "release.bad.after": {"exponential": {"mean": "30s"}},
        },
        {"health_check": {**CHECK, "deadline": "10m"}},
    ),
    "own levels, deadline from the start": (
        {
            "fleet.error_rate": {"beta": {"mean": 0.08, "sd": 0.03}},
            "orchestrator.deadline_starts": "started",
            "orchestrator.window_reset": False,
        },
        {},
    ),
    "thresholds": (
        {"release.bad.error_rate": 0.08},
        {
            "dialect": "rollout",
            "max_parallel": 50,
            "health_check": {"deadline": 180 * 10**9, "success_threshold": 3, "failure_threshold": 2},
        },
    ),
}


def laws_of(scenario):
    """Yield each kind of release, and the law of a node under it."""
    rule = read_health_rule(scenario.policy().policy, scenario.orchestrator)
    for kind in scenario.release:
        yield kind, NodeLaw(scenario.fleet.behaviour, kind, rule, float(kind.affects.share or 1))


@pytest.mark.parametrize("case", LAWS)
def test_laws_are_those_of_drawn_nodes(case):
    """At any time, the share of drawn nodes that run, or have failed, is that of their law. [oracle]"""
    changes, policy = LAWS[case]
    scenario = make({"fleet.requests_per_second": 10, **changes}, **policy)
    n, behaviour = 20_000, scenario.fleet.behaviour
    slowdown, failure = behaviour.slowdown.mean, behaviour.start_failure.mean
    nodes = Nodes(np.arange(n), np.zeros(n, int), np.zeros(n, int), np.full(n, slowdown), np.full(n, failure))
    for _, law in laws_of(scenario):
        verdicts, times, _ = draw_lives([law], nodes, 5, np.zeros(n, int))
        for x in np.quantile(times, [0.1, 0.5, 0.9, 0.99]):
            for verdict, by in ((RUNS, law.running), (FAILS, law.failed)):
                exact = float(by(x, slowdown, failure))
                seen = ((verdicts == verdict) & (times <= x)).mean()
                assert abs(seen - exact) <= 4 * math.sqrt(exact * (1 - exact) / n) + 1e-9


@pytest.mark.parametrize("case", LAWS)
def test_drawn_nodes_are_those_of_the_engine(case):
    """A node drawn from a replication gets its verdict when the engine gives it. [property]"""
    changes, policy = LAWS[case]
    if policy:
        policy = {**policy, "max_parallel": 100}
    large = {"fleet.nodes": 60, "fleet.requests_per_second": 10, "policies.waves.max_failed_nodes_percent": 100}
    scenario = make({**large, **changes}, max_failed_nodes=60, **({"max_parallel": 60} | policy))
    behaviour = scenario.fleet.behaviour
    for kind, law in laws_of(scenario):
        engine = sd.simulate(scenario.given(kind.name), replication=7).nodes
        shared = [np.full(60, each.mean) for each in (behaviour.slowdown, behaviour.start_failure)]
        nodes = Nodes(np.arange(60), np.zeros(60, int), np.zeros(60, int), *shared)
        verdicts, times, _ = draw_lives([law], nodes, 0, np.full(60, 7))
        assert times / 1e9 == pytest.approx(engine["resolved_at_s"].to_numpy(), abs=1e-8)
        assert (verdicts == FAILS).tolist() == engine["failed_at_s"].notna().tolist()


SPREAD = {"fleet.update_duration": {"lognormal": {"median": "40s", "p95": "90s"}}}
# With one attempt, most tries are ruled out by few numbers: the attempt's duration, and windows.
SIEVED = SPREAD | {"fleet.start_attempts": 1, "fleet.error_rate": 0.04}
SIEVED_LEVELS = SIEVED | {"fleet.error_rate": {"beta": {"mean": 0.04, "sd": 0.02}}}
TRIED = LAWS | {
    "spread": (SPREAD, {}),
    "sieved": (SIEVED, {}),
    "sieved, thresholds": (SIEVED_LEVELS, LAWS["thresholds"][1]),
}


@pytest.mark.parametrize("case", TRIED)
def test_compiled_tries_find_the_same(case):
    """Compiled code finds the same first replication for each node as numpy. [property]"""
    changes, policy = TRIED[case]
    scenario = make({"fleet.requests_per_second": 10, **changes}, **policy)
    n = 300
    rng = np.random.default_rng(1)
    nodes = Nodes(np.arange(n), np.arange(n), np.zeros(n, int), rng.uniform(0.8, 1.2, n), np.full(n, 0.1))
    for _, law in laws_of(scenario):
        # What each node does in some replication, within a few seconds.
        verdicts, times, _ = draw_lives([law], nodes, 5, np.full(n, 10**6))
        wanted, supply = Observed.of_verdicts(verdicts, times - 5e9, times + 5e9), Supply(0, 2000 * n, 2000)
        found, at_ns = find_replications([law], nodes, supply, 5, wanted, is_compiled=True)
        theirs = find_replications([law], nodes, supply, 5, wanted, is_compiled=False)
        assert found.tolist() == theirs[0].tolist()
        assert at_ns.tolist() == theirs[1].tolist()
        assert (found >= 0).all()


# -- conditioning ------------------------------------------------------------------------------------------------------


def outcomes(block, places):
    """Return whether the release is bad, failed nodes, whether the rollout completed, and its makespan (0 if it has none)."""
    rows = block.index[0, places]
    assert block.is_ok[rows].all()
    release, state = (np.array([*block.words[name], ""])[block.codes[name][rows]] for name in ("release", "state"))
    failed, makespan = (block.numbers[name][rows] for name in ("failed_nodes", "makespan_s"))
    return np.stack([release == "bad", failed, state == "completed", np.nan_to_num(makespan)])


def run_all(scenario, seen, n, seed, enough):
    """Return `outcomes` of those of n unconditioned worlds that match the observation, or of the first ones if many do."""
    how = {"looks_ns": seen.instants_ns, "seed": seed, "engine": "compiled"}
    alike = np.empty((4, 0))
    for roots in np.split(np.arange(n), 10):
        nodes = np.repeat(roots[:, np.newaxis], scenario.fleet.nodes, axis=1)
        continued = run_continued(scenario, seen.policy, Worlds(roots, nodes), **how)
        found = outcomes(continued.block, np.flatnonzero(seen.agree(continued.looks)))
        alike = np.concatenate([alike, found], axis=1)
        if alike.shape[1] >= enough:
            break
    return alike


def run_conditioned(conditioned):
    """Return `outcomes` of conditioned worlds, and their weights."""
    found, weights = [], []
    for of_kind in conditioned.by_kind:
        scenario = conditioned.scenario.given(of_kind.kind.name)
        how = {"looks_ns": [], "seed": conditioned.seed, "engine": "compiled"}
        continued = run_continued(scenario, conditioned.seen.policy, of_kind.worlds, **how)
        found.append(outcomes(continued.block, np.arange(len(of_kind.weights))))
        weights += of_kind.weights.tolist()
    return np.concatenate(found, axis=1), np.array(weights)


def assert_like_plain_worlds(conditioned, plain, *, n_unseen):
    """Compare means of outcomes with those of unconditioned worlds with the same observation; events without a hit are allowed `n_unseen`."""
    found, weights = run_conditioned(conditioned)
    sizes = [len(each.weights) for each in conditioned.by_kind]
    weighted = Weighted(weights, sizes, [each.n_tried for each in conditioned.by_kind], 0.95)
    for ours, theirs in zip(found, plain, strict=True):
        mean = weighted.mean(ours)
        error = math.hypot((mean.high - mean.low) / (2 * 1.96), theirs.std() / math.sqrt(len(theirs)))
        assert abs(mean.estimate - theirs.mean()) <= 4 * error + (n_unseen / len(theirs) if not theirs.std() else 1e-9)


def canary(**changes):
    """Return a scenario with canaries and an operator."""
    people = {
        "operator.promote_after": {"exponential": {"mean": "2m"}},
        "operator.notices_defect": 0.6,
        "operator.rejects_good": 0.1,
    }
    policy = {"strategy": "canary", "canary_count": 2, "max_parallel": 2}
    return make({**people, **changes}, **policy)


COUPLED = {
    "fleet.slowdown": {"uniform": {"low": 0.8, "high": 1.2}},
    "fleet.start_failure": {"beta": {"mean": 0.2, "sd": 0.1}},
    "fleet.order": "random",
    "fleet.classes": [{"name": "slow", "share": 0.25, "update_duration": "70s"}],
    "release.bad.affects": {"count": 3},
}


SPELLS = {
    "crashes": {"fleet.crash": {"up": "10m", "repair": "1m"}},
    "degraded spells": {
        "fleet.flapping": {"good": "4m", "degraded": "1m", "error_rate": 0.3},
        "fleet.requests_per_second": 10,
    },
    "outages of zones": {"fleet.zones": 2, "fleet.zone_outage": {"up": "20m", "repair": "1m"}},
}
BATCHES = {"orchestrator.pacing": "rate", "orchestrator.rate": {"per_minute": 2}}


def cases():
    """Yield a name, a scenario, what is seen, and the time of observation."""
    plain = make()
    yield "one object", plain, look(plain, 220, (2, 3, 1)), None
    yield "nothing happened since", plain, look(plain, 220, (2, 3, 1)), 245
    coupled = make(COUPLED)
    yield "level, slowdown, classes, count", coupled, look(coupled, 220, (2, 3, 1)), None
    rollout = sd.simulate(coupled, replication=5)
    revisions = rollout.revisions
    skewed = {"fleet.update_duration": {"lognormal": {"median": "40s", "p95": "50s"}}}
    wide = make({**COUPLED, **skewed, "fleet.slowdown": {"lognormal": {"mean": 1, "sd": 0.1}}}, max_parallel=2)
    yield "starts that nobody saw", wide, look(wide, 290, (3, 5, 0)), None
    yield "revisions", make(COUPLED), revisions[revisions["time_s"] < 100], None
    counted = revisions[["state", "created_at", "updated_at", "current_wave", "updated_nodes", "failed_nodes"]]
    yield "revisions without instants", make(COUPLED), counted[revisions["time_s"] < 100], None
    zones = make({"fleet.zones": 3, "release.bad.affects": {"zones": [0, 1]}, "fleet.start_attempts": 1})
    first = look(zones, 70, (1, 0, 1))
    second = look(zones, 108, (2, 2, 1), last_progress_time=at(108), healthy_deadline=at(288))
    yield "looks with instants", zones, [(at(75), first), (at(120), second)], None
    waits = canary()
    yield "canaries promoted", waits, look(waits, 240, (2, 2, 0)), None
    yield "canaries wait", waits, look(waits, 150, (1, 2, 0), canary_promoted=False), 200
    resolved, promoted = look(waits, 145, (1, 2, 0)), look(waits, 215, (2, 2, 0))
    yield "canaries promoted between looks", waits, [resolved, promoted], None
    first, then = look(plain, 60, (1, 0, 0), state="paused"), look(plain, 200, (1, 2, 1), state="paused")
    yield "paused", plain, [first, then], None
    yield "canceled", plain, look(plain, 150, (2, 2, 1), state="canceled"), 200
    yield "stopped", plain, look(plain, 280, (2, 1, 4), state="failed"), None
    yield "stopped long ago", plain, look(plain, 280, (2, 1, 4), state="failed"), 400
    ended = look(coupled, 240, (2, 5, 1), state="completed", completed_at=at(240))
    yield "completed, when it ended", coupled, ended, None
    one = make({"fleet.start_attempts": 1}, max_parallel=6)
    yield "stopped with others in flight", one, look(one, 280, (1, 0, 4), state="failed"), None
    ended = look(one, 66, (1, 0, 4), state="failed", completed_at=at(66))
    yield "stopped, when it ended", one, ended, None
    for spell, changes in SPELLS.items():
        spelled = make(changes)
        yield spell, spelled, look(spelled, 110, (2, 2, 1), healthy_deadline=at(290)), None
    crashing = make(SPELLS["crashes"] | COUPLED)
    first = look(crashing, 30, (1, 0, 0))
    then = look(crashing, 220, (2, 3, 1))
    yield "crashes, looks", crashing, [first, then], None
    yield "crashes, stopped", crashing, [first, look(crashing, 280, (2, 1, 4), state="failed")], None
    waits = canary(**SPELLS["degraded spells"])
    first = look(waits, 30, (1, 0, 0))
    then = look(waits, 240, (2, 2, 0))
    yield "degraded spells, canaries", waits, [first, then], None
    sliding = make({"orchestrator.pacing": "sliding"})
    yield "sliding", sliding, look(sliding, 150, updated_nodes=3, failed_nodes=0), None
    batches = make({**COUPLED, **BATCHES})
    yield "batches", batches, look(batches, 150, (3, 4, 0), last_progress_time=at(144)), None
    first = look(batches, 100, (2, 1, 0), health_check_deadline=at(180))
    second = look(batches, 170, (3, 3, 0), health_check_deadline=at(240))
    yield "batches, looks", batches, [first, second], None
    few = make({**BATCHES, "fleet.nodes": 3, "orchestrator.rate": {"per_minute": 1}})
    revisions = sd.simulate(few, replication=0).revisions
    yield "batches, revisions", few, revisions[revisions["time_s"] < 130], None
    yield "batches, stopped", make(BATCHES), look(batches, 400, (3, 2, 4), state="failed"), None
    yield "batches, canceled", batches, look(batches, 150, (3, 4, 0), state="canceled"), None
    ended = look(batches, 205, (3, 6, 0), state="completed", completed_at=at(205))
    yield "batches, when they ended", batches, ended, None


CASES = {name: case for name, *case in cases()}


@pytest.mark.parametrize("name", CASES)
def test_conditioned_worlds_match_brute_force(name):
    """Kinds, failures and makespans are those of plain worlds with the same observation. [oracle]"""
    scenario, seen, instant = CASES[name]
    seen = read_seen(scenario, None, seen, instant)
    # With pauses the plain worlds need them, too.
    conditioned = condition(scenario, seen, replications=600, seed=3, engine="compiled")
    assert bool(conditioned.why_tried) == (name == "sliding")
    # With 600 conditioned worlds, more than 2000 would make the standard error of a difference at most a tenth smaller.
    plain = run_all(conditioned.scenario, seen, 60_000, 4, enough=2000)
    assert plain.shape[1] >= 40
    assert_like_plain_worlds(conditioned, plain, n_unseen=1)


def propose(name, engine, n):
    """Propose n worlds for a case; return their weights and numbers, and whether they are drawn."""
    scenario, seen, instant = CASES[name]
    seen = read_seen(scenario, None, seen, instant)
    fleet, orchestrator = scenario.fleet, scenario.orchestrator_of(seen.policy)
    plan = plan_waves(seen.policy.policy, orchestrator, fleet.nodes, fleet.zones)
    kind, roots = scenario.release[1], np.arange(n)
    course, shared = read_course(scenario, plan, seen), (scenario.given(kind.name), seen.policy, plan, kind, 3)
    strays = find_strays(RoughRollouts(*shared, 100 + roots, engine, course.end_ns))
    rough, supply = RoughRollouts(*shared, roots, engine, course.end_ns, strays), Supply(1000, 10**6, 10**4)
    proposal = SpellProposer(rough, course, supply, roots, np.zeros(n), None, never_failed=False).propose()
    assert np.isfinite(proposal.log_weights).sum() >= 3
    return [proposal.log_weights.tolist(), proposal.are_drawn.tolist(), proposal.worlds.nodes.tolist()]


@pytest.mark.parametrize("name", ["crashes", "degraded spells", "crashes, stopped"])
def test_nodes_are_tried_alike_on_both_engines(name, monkeypatch):
    """Given counts, nodes that are tried individually get the same numbers and weights on both engines. [property]"""
    monkeypatch.setattr(proposing_spells, "TRIES", 4)
    assert propose(name, "compiled", 16) == propose(name, "reference", 16)


@pytest.mark.parametrize("least", [1e-5, 0.5])
@pytest.mark.parametrize("name", ["crashes", "degraded spells", "outages of zones"])
def test_tries_without_spells_need_not_be_simulated(name, least, monkeypatch):
    """Simulating all tries gives the same numbers and weights, also if many fates are too rare to be drawn from a law. [property]"""
    monkeypatch.setattr(proposing_spells, "least_chances", lambda laws: np.full(len(laws), least))
    proposed = propose(name, "compiled", 64)
    monkeypatch.setattr(
        lives, "find_disturbed", lambda _, worlds, nodes, tried, at_ns: np.ones((*tried.shape, nodes.shape[1]), bool)
    )
    assert propose(name, "compiled", 64) == proposed


def test_the_clock_is_that_of_the_rollout():
    """The second wave of a rollout created at 16:59 waits for change windows at 9:00, by the rollout's own date. [oracle]"""
    steady = {"fleet.update_duration": "1m", "fleet.start_attempts": 1, "fleet.start_failure": 0}
    hours = {"operator.change_windows": [{"from": "9h", "to": "17h"}], "release.bad.start_failure": 0}
    scenario = make(steady | hours).with_values({"deployment.created_at": "2026-01-01T12:00:00+01:00"})
    created = {"created_at": "2026-01-05T15:59:00Z", "updated_at": "2026-01-05T16:00:30Z"}
    seen = look(scenario, 90, (1, 3, 0), **created)
    result = sd.forecast(scenario, seen=seen, at=100, replications=20, engine="compiled")
    left = result.forecast.set_index("measure").loc["time_left_s", "estimate"]
    assert left.tolist() == pytest.approx([16 * 3600 + 60 + 90 - 100] * 4)
    # A table with timestamps says it, too.
    names = ("dispatched_at", "started_at", "resolved_at")
    times = pd.to_datetime([f"2026-01-05T{time}Z" for time in ("15:59:00", "16:00:00", "16:00:30")])
    rows = [{"node": node, "status": "running", **dict(zip(names, times, strict=True))} for node in range(3)]
    result = sd.forecast(scenario, seen=pd.DataFrame(rows), at=100, replications=20, engine="compiled")
    assert result.forecast.set_index("measure").loc["time_left_s", "estimate"].tolist() == left.tolist()


def test_most_worlds_count():
    """Even without observed starts of waves, weights vary little, and an unlikely kind gets few worlds. [contract]"""
    changes = {
        "fleet.nodes": 40,
        "fleet.slowdown": {"lognormal": {"mean": 1, "sd": 0.3}},
        "fleet.start_failure": 0.02,
        "release.bad.affects": "all",
        "release.bad.start_failure": 0.9,
    }
    scenario = make(changes, max_parallel=8)
    seen = read_seen(scenario, None, look(scenario, 270, (3, 16, 1)), None)
    good, bad = condition(scenario, seen, replications=200, seed=0, engine="compiled").by_kind
    assert good.weights.sum() ** 2 / (good.weights**2).sum() > 100
    assert len(good.weights) >= 200
    assert len(bad.weights) < 50
    # Nodes in flight waited until somebody canceled.
    seen = read_seen(scenario, None, look(scenario, 270, (3, 16, 1), state="canceled"), None)
    assert condition(scenario, seen, replications=200, seed=0, engine="compiled").effective_worlds > 100


def test_kinds_after_k_failures_of_n():
    """With nodes one after the other the posterior is that of two binomials. [oracle]"""
    scenario = make({**ONE_AFTER_ONE, "release.bad.affects": "all"})
    seen = look(scenario, 420, (6, 3, 2))
    result = sd.forecast(scenario, seen=seen, replications=400, engine="compiled")
    chances = np.array([0.7, 0.3]) * [stats.binom.pmf(2, 5, 0.1), stats.binom.pmf(2, 5, 0.55)]
    # A good start takes 90 s, a failed one 60 s, so that the sixth node went at 390 s whoever failed.
    assert result.kinds["posterior"].tolist() == pytest.approx((chances / chances.sum()).tolist(), abs=1e-9)
    assert (result.n_worlds, result.why_tried) == (result.n_tried, "")


def test_a_failure_in_an_unknown_wave():
    """If the release affects two of five nodes, one failure has the probability of a single failure among all. [oracle]"""
    scenario = make({**ONE_AFTER_ONE, "release.bad.affects": {"nodes": [0, 3]}})
    # Nodes 0 to 4, one of which failed, went within 60 + 4 x 90 s.
    seen = look(scenario, 450, (6, 4, 1))
    result = sd.forecast(scenario, seen=seen, replications=2000, engine="compiled")
    chances = []
    for hurt in ((), (0, 3)):
        p = np.array([0.55 if node in hurt else 0.1 for node in range(5)])
        chances.append(sum(p[node] * np.prod(1 - np.delete(p, node)) for node in range(5)))
    exact = 0.3 * chances[1] / (0.7 * chances[0] + 0.3 * chances[1])
    found = result.kinds.iloc[1]
    assert abs(found["posterior"] - exact) <= 4 * (found["high"] - found["low"]) / (2 * 1.96) + 1e-9


def test_a_level_that_all_nodes_share():
    """If the failure probability is drawn once, the next node fails with the beta-binomial's probability. [oracle]"""
    scenario = make({**ONE_AFTER_ONE, **ALL_GOOD, "fleet.start_failure": {"beta": {"mean": 0.2, "sd": 0.2}}})
    seen = look(scenario, 390.6, (6, 3, 2))
    result = sd.forecast(scenario, seen=seen, replications=2000, engine="compiled")
    strength = 0.2 * 0.8 / 0.2**2 - 1
    exact = (0.2 * strength + 2) / (strength + 5)
    row = result.forecast.query("measure == 'failed_nodes_to_come' and quantile.isna()").iloc[0]
    assert abs(row["estimate"] - exact) <= 4 * (row["high"] - row["low"]) / (2 * 1.96)


def test_the_last_node_of_a_wave():
    """The time at which a wave ends gives the slowdown, as the largest of three uniform times. [oracle]"""
    slow = {"fleet.slowdown": {"empirical": {"values": [1.0, 1.25]}}, "fleet.start_failure": 0}
    scenario = make({**slow, "fleet.start_attempts": 1, **ALL_GOOD})
    # The first wave took 79 s and three windows.
    seen = look(scenario, 109, (2, 3, 0), last_progress_time=at(109))
    seen = read_seen(scenario, None, seen, None)
    conditioned = condition(scenario, seen, replications=2000, seed=0, engine="compiled")
    weights = conditioned.by_kind[0].weights
    from simdeploy.world.streams import Stream, uniforms

    roots = conditioned.by_kind[0].worlds.roots
    is_slow = uniforms(0, roots, Stream.SLOWDOWN, 0) > 0.5
    by = [[stats.uniform(40, 40).cdf((79 + h) / s) ** 3 for h in (-0.5, 0.5)] for s in (1.0, 1.25)]
    fast, slow = np.diff(by)[:, 0]
    mean = Weighted(weights, [len(weights)], [conditioned.by_kind[0].n_tried], 0.95).mean(is_slow.astype(float))
    assert abs(mean.estimate - slow / (fast + slow)) <= 4 * (mean.high - mean.low) / (2 * 1.96)


# -- what cannot be, and what is not supported --------------------------------------------------------------------------

IMPOSSIBLE = [
    (counts(1, 4, 0), "4 updated and 0 failed nodes, but only 3 were dispatched"),
    (counts(2, 2, 0), "wave 2 went, although only 2 of the 3 nodes before it"),
    (counts(3, 2, 0), "there is no such wave"),
    (counts(2, 0, 4), "more failed nodes than the rollout survives"),
    ({"total_nodes": 7}, "another fleet"),
    ({"state": "pending"}, "has not begun"),
    (counts(0, 0, 0), "the first wave goes at once"),
    ({"state": "canceled", **counts(0, 0, 0)}, "the first wave goes at once"),
    ({"state": "completed", **counts(2, 5, 0)}, "only 5 of 6 nodes have a verdict"),
    ({"current_wave": 1, "health_check_deadline": at(100)}, "no node can have it"),
    ({"current_wave": 1, "health_check_deadline": at(180)}, "no node is in flight with it"),
    ({"canary_promoted": True}, "has no canaries"),
    (
        {"message": "wave 1 of 2; waits for 2 unreachable nodes"},
        "unreachable nodes, but no rollout of this scenario does",
    ),
    (counts(2, 6, 0), "worlds agrees with this"),
]


@pytest.mark.parametrize(("status", "message"), IMPOSSIBLE)
def test_impossible_observations(status, message):
    """An observation that no rollout can show is an error with the reason. [contract]"""
    scenario = make()
    with pytest.raises(InputError, match=message):
        sd.advise(scenario, seen=look(scenario, 300, **status), replications=20, engine="reference")


def test_more_waiting_nodes_than_there_are():
    """A message that names more unreachable nodes than have no verdict is an error with the numbers. [contract]"""
    scenario = make(SPELLS["crashes"] | {"orchestrator.unreachable_nodes": "wait"})
    seen = look(scenario, 100, (1, 1, 1), message="wave 1 of 2; waits for 2 unreachable nodes")
    with pytest.raises(
        InputError, match=r"status\.message: waits for 2 unreachable nodes, but only 1 of the nodes whose"
    ):
        sd.forecast(scenario, seen=seen, replications=20, engine="reference")


def test_the_message_of_another_plan():
    """A message that counts other waves than the policy's is no evidence, like any other text. [contract]"""
    scenario = make(SPELLS["crashes"] | {"orchestrator.unreachable_nodes": "wait"})
    for message, awaited in (
        ("wave 1 of 2", 0),
        ("wave 1 of 2; waits for 1 unreachable node", 1),
        ("wave 1 of 9", None),
        ("baking after wave 1 of 9; waits for 1 unreachable node", None),
    ):
        seen = read_seen(scenario, None, look(scenario, 100, (1, 1, 0), message=message), None)
        assert seen.last.fields.get("awaited_nodes") == awaited, message
    rollout = sd.simulate(scenario)
    looks = read_seen(scenario, None, rollout, None).looks
    assert all(("awaited_nodes" in each.fields) != (each.fields["state"] == "completed") for each in looks)


def test_stale_observations():
    """Nodes in flight for longer than their deadline since the last change are an error. [contract]"""
    scenario = make()
    for fields in ({}, {"health_check_deadline": at(180)}):
        seen = look(scenario, 120, (1, 2, 0), **fields)
        assert sd.forecast(scenario, seen=seen, at=150, replications=20, engine="compiled").n_worlds
        with pytest.raises(InputError, match=r"at: nothing changed for 4m 40s, although 1 of 3 nodes .* at most 3m"):
            sd.forecast(scenario, seen=seen, at=400, replications=20, engine="compiled")
    with pytest.raises(InputError, match="passed 30s before this was seen"):
        sd.forecast(scenario, seen=seen, at=210, replications=20, engine="compiled")


def test_promotions_that_did_not_come():
    """Canaries that wait longer than the scenario's operator ever takes are an error with the reason. [contract]"""
    policy = {"strategy": "canary", "canary_count": 2, "max_parallel": 2, "max_failed_nodes": 1}
    seldom = {"exponential": {"mean": "10m"}}
    for after, waits, message in (
        (0, 0, "promotes at once"),
        (30, 29, None),
        (30, 31, "within 30s"),
        (seldom, 300, None),
    ):
        scenario = make({"operator.promote_after": after}, **policy)
        seen = look(scenario, 100, (1, 2, 0))
        how = {"seen": seen, "at": 100 + waits, "replications": 20, "engine": "reference"}
        if message is None:
            assert sd.forecast(scenario, **how).n_worlds
            continue
        waiting = r"status\.current_wave: wave 1 waits for a promotion"
        with pytest.raises(InputError, match=rf"{waiting}, .* {message}; allowed: operator"):
            sd.forecast(scenario, **how)


def test_impossible_batches():
    """Under rate pacing, batches or nodes that don't match the elapsed minutes are errors. [contract]"""
    scenario, how = make(BATCHES), {"replications": 20, "engine": "reference"}
    early = look(scenario, 100, (3, 2, 0))
    with pytest.raises(InputError, match=r"a batch goes each minute, so 2 went by 100\.5 s \(found 3\)"):
        sd.advise(scenario, seen=early, **how)
    table = pd.DataFrame({"node": range(4), "status": "starting", "dispatched_at_s": [0, 0, 60, 75]})
    with pytest.raises(InputError, match=r"row 4\.dispatched_at_s: not when its batch goes, one each minute"):
        sd.advise(scenario, seen=table, at=100, **how)


HARD = {
    "reporting delay": {"orchestrator": {"preset": "expanso", "reporting_delay": "50s"}},
    "offline": {
        "fleet": {
            "connection": {"online": {"exponential": {"mean": "5m"}}, "offline": {"exponential": {"mean": "2m"}}}
        },
        "orchestrator": {"preset": "expanso", "unreachable_nodes": "wait"},
    },
    "sliding": {"orchestrator": {"preset": "expanso", "pacing": "sliding", "reporting_delay": "20s"}},
    "batches": {"orchestrator": {"preset": "expanso", "pacing": "rate", "rate": {"per_minute": 2}}},
    "crashes": {
        "fleet": {"crash": {"up": {"exponential": {"mean": "10m"}}, "repair": {"exponential": {"mean": "1m"}}}},
        "orchestrator": "expanso",
    },
    "people": {
        "orchestrator": "expanso",
        "operator": {"promote_after": "20s"},
        "policies": {"p": {"strategy": "canary", "canary_count": 2, "max_parallel": 2, "health_check": CHECK}},
    },
}


@pytest.mark.parametrize("case", HARD)
def test_simulated_states_are_possible(case):
    """No state of a simulated rollout is called impossible, whatever delays or hides verdicts. [property]"""
    scenario = sd.Scenario.from_dict({**BASE, **HARD[case], "fleet": {**BASE["fleet"], **HARD[case].get("fleet", {})}})
    n_seen = 0
    for replication in range(6):
        rollout = sd.simulate(scenario, replication=replication)
        for number in range(1, rollout.deployment.status.revision + 1):
            seen = read_seen(scenario, None, rollout.deployment_at(number), None)
            plan = plan_waves(seen.policy.policy, scenario.orchestrator, 6, 1)
            why = why_no_laws(scenario, plan, seen)
            shows_all, by_clock = shows_all_verdicts(scenario, seen, why), follows_clock(plan, why)
            check_possible(scenario, plan, seen, every_node_has_verdict=shows_all, by_clock=by_clock)
            n_seen += 1
    assert n_seen > 30


def test_looks_that_contradict_each_other():
    """Falling counts, an end that is undone, another spec and a wrong order are errors. [contract]"""
    scenario = make()
    first = look(scenario, 100, (1, 2, 0))
    for later, message in (
        (look(scenario, 120, (1, 1, 0)), "updated_nodes falls from 2 to 1"),
        (
            look(scenario, 90, (1, 2, 0)),
            r"seen\[1\]: earlier than the object before \(found 90 s\); allowed: at least 100 s after the start",
        ),
        (look(make(max_parallel=2), 120, current_wave=1), "spec changes"),
    ):
        with pytest.raises(InputError, match=message):
            sd.forecast(scenario, seen=[first, later], replications=20)
    with pytest.raises(
        InputError, match=r"seen\[1\]: earlier than the object before \(found 110 s\); allowed: at least 130 s"
    ):
        sd.forecast(scenario, seen=[(130, first), (110, first)], replications=20)
    with pytest.raises(InputError, match=r"at: earlier than the object before \(found 110 s\)"):
        sd.forecast(scenario, seen=[(130, first), first], at=110, replications=20)
    paused = look(scenario, 100, (1, 3, 0), state="paused")
    resumed, later = (look(scenario, 150 + 90 * n, (2, 3 + n, 0)) for n in (0, 1))
    with pytest.raises(InputError, match=r"seen\[1\]\.status\.state: resumed at an unknown time"):
        sd.forecast(scenario, seen=[paused, later], replications=20)
    assert sd.forecast(scenario, seen=[paused, resumed, later], replications=20).state == "in_progress"
    ended = look(scenario, 100, (1, 2, 0), state="canceled")
    with pytest.raises(InputError, match="canceled stays so"):
        sd.forecast(scenario, seen=[ended, look(scenario, 120, current_wave=1)], replications=20)


@pytest.mark.parametrize(
    ("name", "values"), [("id", ("d", "e")), ("type", ("update", "create")), ("to_version", (4, 5))]
)
def test_objects_of_several_deployments(name, values):
    """Objects whose identity differs are an error that names the field; fields that some leave out are not compared. [contract]"""
    scenario = make()
    first, second = (
        look(scenario, seconds, (1, n, 0)).model_copy(update={name: value})
        for n, (seconds, value) in enumerate(zip((60, 90), values, strict=True))
    )
    with pytest.raises(InputError, match=rf"seen\[1\]\.{name}: objects of several deployments .found '?{values[1]}"):
        sd.forecast(scenario, seen=[first, second], replications=20)
    unknown = first.model_copy(update={name: None})
    assert sd.forecast(scenario, seen=[unknown, first], at=90, replications=20, engine="compiled").n_worlds


def test_invalid_arguments():
    """Nothing observed, an instant too early, unavailable acts and unsupported settings are refused by name. [contract]"""
    scenario = make()
    seen = look(scenario, 100, (1, 1, 0))
    stop = Deployment(**{**seen.model_dump(), "type": "rollback", "spec": seen.spec, "status": seen.status})
    gated = make(health_check={**CHECK, "max_error_rate": 0.05, "gate": {"kind": "pooled"}})
    for arguments, message in (
        ({"seen": 3}, "not a deployment object"),
        ({"seen": []}, "nothing was seen"),
        ({"seen": pd.DataFrame({"node": [0]})}, "neither a table of revisions nor of nodes"),
        ({"seen": seen, "at": 50}, "before updated_at"),
        ({"seen": seen, "at": "soon"}, "not an instant"),
        ({"seen": stop}, "type rollback is not supported"),
        ({"scenario": gated, "seen": look(gated, 100, current_wave=1)}, "gate pooled is not supported yet"),
        ({"scenario": scenario.tilted({"start_failure": 2}), "seen": seen}, "has a tilt"),
        ({"seen": seen, "policy": {"strategy": "immediate"}}, "differs from the spec that was seen"),
        ({"seen": seen, "acts": "promote"}, "nothing awaits a promotion"),
        ({"seen": seen, "acts": ["cancle"]}, "no such act .* did you mean 'cancel'"),
        ({"seen": seen, "acts": ["pause 0s"]}, "invalid pause"),
        ({"seen": seen, "acts": {"more": {"max_failed_nods": 20}}}, "max_failed_nods"),
        ({"seen": seen, "acts": {"other": {"strategy": "immediate"}}}, "can't change during a rollout"),
        ({"seen": seen, "acts": {"same": {}}}, "nothing changes"),
        ({"seen": seen, "acts": {"": "cancel"}}, "an act without a name"),
        ({"seen": seen, "acts": "rollback"}, "cancel rolls back"),
        ({"seen": seen, "replications": 3}, "replications: out of range"),
        ({"seen": seen, "confidence_level": 95}, "invalid confidence level"),
        ({"seen": seen, "engine": "refrence"}, "did you mean 'reference'"),
    ):
        with pytest.raises(InputError, match=message):
            sd.advise(arguments.pop("scenario", scenario), arguments.pop("policy", None), **arguments)


# -- what comes out ----------------------------------------------------------------------------------------------------


def test_acts_are_compared_in_the_same_worlds():
    """The best act costs nothing more than itself; others differ by the difference of means. [property]"""
    scenario = make()
    seen = look(scenario, 220, (2, 2, 2))
    result = sd.advise(scenario, seen=seen, replications=1000, engine="compiled")
    acts = result.acts.set_index("act")
    assert list(acts.index) == ["go on", "pause 10m", "cancel"]
    assert acts.loc[result.best, "more_than_best"] == 0
    assert (acts["more_than_best"] + acts["cost"].min()).tolist() == pytest.approx(acts["cost"].tolist())
    assert acts.loc["cancel", "time_left_s"] == 0
    # To cancel is a false alarm if and only if the release is good.
    assert acts.loc["cancel", "false_alarm"] == pytest.approx(1 - result.defective)
    assert acts.loc["cancel", "escaped"] == 0
    assert acts.loc["cancel", "cost"] == pytest.approx((1 - result.defective) * (50 + 10 * 220.5 / 3600), rel=1e-3)


def test_limits_of_costs_are_not_negative():
    """An interval of a cost begins at 0 if few worlds cost anything; that of a difference may begin below. [contract]"""
    n = 20
    costing = Costing(Weighted(np.ones(n), [n], [n], 0.95), make(), [False], 0.95, has_enough=True)
    costs = Priced(np.where(np.arange(n) < 1, 50.0, 0.0), np.full(n, "completed_good", dtype=object))
    nothing = Priced(np.zeros(n), costs.verdicts)
    assert costing.difference(costs, nothing).low < 0
    assert costing.mean(costs).low == 0
    assert costing.mean(costs).estimate == 2.5


def test_fields_that_change():
    """After a change to a limit that can't be crossed, no further node stops a rollout. [contract]"""
    scenario = make({"fleet.start_failure": 0.4})
    seen = look(scenario, 220, (2, 1, 3))
    acts = {"go on": "go on", "allow all": {"max_failed_nodes": 6, "max_failed_nodes_percent": 100}}
    result = sd.advise(scenario, seen=seen, acts=acts, replications=200, engine="compiled")
    acts = result.acts.set_index("act")
    assert acts.loc["go on", "false_alarm"] > 0
    assert acts.loc["allow all", "false_alarm"] == 0
    assert acts.loc["allow all", "escaped"] == pytest.approx(result.defective)


def test_a_terminal_state_offers_nothing():
    """After its end a rollout has kinds and a forecast, and no acts. [contract]"""
    scenario = make()
    ended = look(scenario, 100, (1, 1, 0), state="canceled")
    result = sd.advise(scenario, seen=ended, replications=20, engine="reference")
    assert (len(result.acts), len(result.waiting), result.best) == (0, 0, "")
    with pytest.raises(InputError, match="offers no acts"):
        sd.advise(scenario, seen=ended, acts="cancel", replications=20)


def test_what_waits_is_promoted():
    """Waiting canaries can be promoted, and a paused rollout resumed. [contract]"""
    scenario = canary()
    waits = look(scenario, 150, (1, 2, 0), canary_promoted=False)
    result = sd.advise(scenario, seen=waits, replications=40, engine="compiled")
    assert result.acts["act"].tolist() == ["go on", "promote", "pause 10m", "cancel"]
    plain = make()
    paused = look(plain, 100, (1, 3, 0), state="paused")
    result = sd.advise(plain, seen=paused, replications=40, engine="compiled")
    acts = result.acts.set_index("act")
    assert list(acts.index) == ["go on", "resume", "cancel"]
    # Doing nothing means waiting for ever.
    assert acts["cost"].isna().tolist() == [True, False, False]


def test_an_act_that_may_never_end():
    """If the rollout may never end after an act, its cost is unknown and no act is best; staying paused is no such act. [contract]"""
    scenario = make({"orchestrator.on_failure": "pause"}, max_failed_nodes=0)
    paused = look(scenario, 140, (1, 2, 1), state="paused")
    result = sd.advise(scenario, seen=paused, replications=400, engine="compiled")
    acts = result.acts.set_index("act")
    assert acts["cost"].isna().to_dict() == {"go on": True, "resume": True, "cancel": False}
    assert acts["more_than_best"].isna().all()
    assert (result.best, len(result.waiting), result.is_trusted) == ("", 0, True)
    assert "No act is best: the cost of resuming is unknown, because the rollout may never end. " in result.answer
    assert result.answer.endswith("It stays paused until somebody resumes or cancels it.")


def test_advice_without_costs():
    """Without costs no act is best, and the answer says why. [contract]"""
    scenario = sd.Scenario.from_dict({key: value for key, value in BASE.items() if key != "costs"})
    result = sd.advise(scenario, seen=look(scenario, 100, (1, 2, 0)), replications=200, engine="compiled")
    assert "No act is best: the scenario has no costs." in result.answer


def test_too_few_effective_worlds():
    """With fewer than a hundred effective worlds no act is called best. [contract]"""
    scenario = make()
    seen = look(scenario, 220, (2, 3, 1))
    result = sd.advise(scenario, seen=seen, replications=20, engine="compiled")
    assert result.effective_worlds < 100
    assert (result.best, result.is_trusted) == ("", False)
    assert result.answer.startswith("Undecided")
    assert "whole worlds" not in tell(result)
    tried = tell(dataclasses.replace(result, why_tried="missing counts", n_tried=30))
    assert tried.endswith("whole worlds tried because of missing counts. Simulate more --replications.")
    tried = tell(dataclasses.replace(result, why_tried="a reporting delay", n_tried=10_000_000))
    assert tried.endswith("whole worlds tried because of a reporting delay. Give fewer timestamps.")
    worst = "rate pacing after canaries without a table of nodes"
    tried = tell(dataclasses.replace(result, why_tried=worst, n_tried=10_000_000))
    assert tried.endswith(f"whole worlds tried because of {worst}. Give one, or fewer timestamps.")
    assert len(tried) <= 240


CRASH = {"fleet.crash": {"up": "24h", "repair": "10m"}}
WAYS = [
    ("importance sampling from the distribution of each node", {}, False),
    ("each node was tried separately (crashes)", CRASH, True),
    ("whole worlds were tried (crashes without a table of nodes)", CRASH, False),
    ("whole worlds were tried (sliding pacing without a table of nodes)", {"orchestrator.pacing": "sliding"}, False),
    ("whole worlds were tried (traffic)", {"fleet.traffic": {"daily": [["0h", 1], ["12h", 2]]}}, True),
]


@pytest.mark.parametrize(("way", "changes", "is_table"), WAYS)
def test_the_sampling_method_is_stated(way, changes, is_table):
    """The command says whether worlds come from formulas, from nodes tried separately, or from whole worlds, and why. [contract]"""
    scenario = make({"fleet.start_failure": 0, **changes}, max_parallel=6)
    table = pd.DataFrame({"node": range(6), "status": "starting"})
    seen = table if is_table else look(scenario, 20, (1, 0, 0))
    result = sd.forecast(scenario, seen=seen, at=20, replications=20, engine="compiled")
    assert describe_way(result).startswith(f"{way}: {result.n_tried:,} worlds drawn, ")
    # What is kept says it, too.
    assert describe_way(read_result(result.to_dict())) == describe_way(result)


def pay(costs, groups):
    """Return what each world costs if the act is chosen by its group."""
    n = costs.shape[1]
    return costs[choose_by_halves(np.ones(n), costs, groups), np.arange(n)]


def test_a_rule_is_judged_by_other_worlds():
    """If observations are uninformative, choosing later has value 0, which a rule judged by its own worlds would exceed. [oracle]"""
    rng = np.random.default_rng(1)
    worth = []
    for _ in range(200):
        costs = rng.normal(size=(2, 400))
        groups = rng.integers(0, 10, 400)
        best = costs[costs.mean(axis=1).argmin()]
        worth.append((best - pay(costs, groups)).mean())
    # A lower bound of 0 that isn't above it.
    assert np.mean(worth) < 4 * np.std(worth) / math.sqrt(len(worth))


def test_later_observations_are_used():
    """If groups show which act is cheap, the rule uses them: with costs of 0 and 1 by group it pays 0. [oracle]"""
    groups = np.tile([0, 0, 1, 1], 50)
    costs = np.stack([groups, 1 - groups]).astype(float)
    assert pay(costs, groups).tolist() == [0.0] * 200
    # Where the rollout is over, nothing is left to choose.
    assert pay(costs, np.full(200, -1)).tolist() == groups.tolist()


def test_useless_waiting_seldom_pays():
    """In 97.5 % of the repetitions none of six worthless waits pays, as one-sided intervals at a sixth imply. [oracle]"""
    rng = np.random.default_rng(3)
    n, repetitions = 200, 400
    conditioned = SimpleNamespace(at_ns=0, scenario=None)
    look = {"state": np.zeros(n), "failed_nodes": np.zeros(n)}
    weights, words = np.full(n, 1 / n), {"verdict": np.full(n, "", dtype=object)}
    scenario = SimpleNamespace(costs=None, fleet=SimpleNamespace(behaviours=[], service=None))
    costing = Costing(Weighted(weights, [n], [n], 0.95), scenario, [False], 0.95, has_enough=True)
    act, scripts = Priced(np.zeros(n), words["verdict"]), {("go on", wait): [()] for wait in range(6)}
    claims = separate = 0
    for _ in range(repetitions):
        outcomes = iter(
            [SimpleNamespace(costs=cost, words=words, look=lambda _: look) for cost in rng.normal(size=(6, n))]
        )
        runner = SimpleNamespace(conditioned=conditioned, run=lambda _, left=outcomes: next(left))
        rows = find_worth(runner, costing, [act], weights, scripts)
        claims += any(row["pays"] for row in rows)
        separate += any(row["low"] > 0 for row in rows)
    assert abs(claims / repetitions - 0.025) <= 4 * math.sqrt(0.025 * 0.975 / repetitions)
    assert separate > 3 * claims


@pytest.mark.parametrize("then", ["cancel", "resume"])
def test_finished_worlds_stay_as_they_are(then):
    """An act changes no world that ended before it, so these need not be run again. [property]"""
    scenario = make(max_failed_nodes=1)
    seen = read_seen(scenario, None, look(scenario, 30, (1, 0, 0)), None)
    conditioned = condition(scenario, seen, replications=100, seed=3, engine="compiled")
    later_ns = conditioned.at_ns + 170 * NS_PER_S
    script = (ScriptedAct(conditioned.at_ns + 1, "pause"), ScriptedAct(later_ns + 1, then))
    script = script[1:] if then == "cancel" else script
    finished = []
    looks_ns = (conditioned.at_ns, later_ns)
    together, alone = (Runner(conditioned, Threads(1), looks_ns, (), finished.append) for _ in range(2))
    together.run_all([(script, None), ((), None), (script[:-1], None)])
    are_over = together.run(script[:-1]).numbers["makespan_s"] * NS_PER_S <= later_ns
    assert 0 < are_over.sum() < len(are_over)
    found = together.run(script)
    assert sum(finished) == len({script, (), script[:-1]}) * len(are_over)
    plain = alone.run(script)
    assert (found.looks == plain.looks).all()
    for name, values in plain.numbers.items():
        np.testing.assert_array_equal(found.numbers[name], values)
    for name, values in plain.words.items():
        assert (found.words[name] == values).all()
    assert len(found.exposed_later) == len(plain.exposed_later) == 0


def test_estimates_of_weighted_worlds():
    """The standard error of a mean of two kinds with different weights equals its spread over repetitions. [oracle]"""
    rng = np.random.default_rng(2)
    found, errors = [], []
    for _ in range(400):
        weights = [p * rng.exponential(size=60) / 60 for p in (0.8, 0.2)]
        values = np.concatenate([rng.normal(0, 1, 60), rng.normal(3, 1, 60)])
        mean = Weighted(np.concatenate(weights), [60, 60], [60, 60], 0.95).mean(values)
        found.append(mean.estimate)
        errors.append((mean.high - mean.low) / (2 * 1.959964))
    assert abs(np.mean(found) - 0.6) <= 4 * np.std(found) / 20
    assert np.mean(errors) == pytest.approx(np.std(found), rel=4 / math.sqrt(2 * 400))


def test_a_nearly_impossible_kind():
    """The interval of a negligible probability is that of no event in as many effective worlds. [contract]"""
    weighted = Weighted(np.array([1.0] * 50 + [1e-250] * 50), [50, 50], [50, 50], 0.95)
    found = weighted.probability(np.repeat([0.0, 1.0], 50))
    assert 0 <= found.low <= found.estimate < 1e-200
    assert 0.05 < found.high < 0.1


def test_quantiles_of_weighted_worlds():
    """A quantile is the lowest value that this share of the weight does not exceed. [oracle]"""
    weighted = Weighted(np.array([0.1, 0.2, 0.3, 0.4]), [4], [4], 0.95)
    values = np.array([4.0, 3.0, 2.0, 1.0])
    assert [weighted.quantile(values, level).estimate for level in (0.1, 0.4, 0.41, 0.7, 0.95)] == [1, 1, 2, 2, 4]


def test_workers_and_engine_change_no_answer():
    """Threads and both engines give the same advice. [property]"""
    scenario = make()
    seen = look(scenario, 220, (2, 3, 1))
    how = {"seen": seen, "replications": 20, "acts": ["go on", "cancel"]}
    compiled = sd.advise(scenario, engine="compiled", **how)
    threads = sd.advise(scenario, engine="compiled", executor=Threads(2), **how)
    assert threads.to_dict() == compiled.to_dict()
    reference = sd.advise(scenario, engine="reference", **how)
    pd.testing.assert_frame_equal(reference.acts, compiled.acts, rtol=1e-9)
    pd.testing.assert_frame_equal(reference.kinds, compiled.kinds)


def test_progress_reaches_its_total():
    """Progress starts at 0 after the arguments are checked, never decreases, and ends at its total. [contract]"""
    scenario = make()
    heard = []
    with pytest.raises(InputError, match="no such wave"):
        sd.forecast(scenario, seen=look(scenario, 300, (3, 2, 0)), progress=lambda *of: heard.append(of))
    assert not heard
    seen = look(scenario, 220, (2, 3, 1))
    sd.advise(scenario, seen=seen, replications=20, engine="compiled", progress=lambda *of: heard.append(of))
    done = [so_far for so_far, _ in heard]
    assert done[0] == 0
    assert done == sorted(done)
    assert heard[-1][0] == heard[-1][1] > 0
    # Worlds are reported as they are found, kind by kind, not only when they go on.
    assert len([so_far for so_far in done if 0 < so_far <= 20]) >= 2


# -- the commands ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with a scenario and an observation."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "six.yaml").write_text(json.dumps(BASE), encoding="utf-8")
    scenario = make()
    for number, each in enumerate((look(scenario, 100, (1, 1, 0)), look(scenario, 220, (2, 3, 1)))):
        (tmp_path / f"{number}.json").write_text(each.to_json(), encoding="utf-8")
    return tmp_path


def call(*words, **how):
    """Run a command in this process."""
    return invoke(*words, "--replications", "40", "--engine", "compiled", **how)


def test_observations_from_files_and_pipes(folder):
    """Several files, a list in one, and standard input give the same answer; a table has every change. [contract]"""
    texts = [(folder / f"{number}.json").read_text(encoding="utf-8") for number in (0, 1)]
    (folder / "list.json").write_text(json.dumps([json.loads(text) for text in texts]), encoding="utf-8")
    calls = (
        call("forecast", "six.yaml", "--seen", "0.json", "--seen", "1.json", "--json"),
        call("forecast", "six.yaml", "--seen", "list.json", "--json"),
        call("forecast", "six.yaml", "--seen", "-", "--json", input=(folder / "list.json").read_text()),
    )
    documents = [json.loads(each.stdout) for each in calls]
    assert len({each["computed_under"].pop("command") for each in documents}) == 3
    assert documents[0] == documents[1] == documents[2]
    revisions = sd.simulate(make(), replication=2).revisions
    revisions[revisions["time_s"] < 200].to_csv("seen.csv", index=False)
    assert call("forecast", "six.yaml", "--seen", "seen.csv").exit_code in (0, 3)
    refused = call("forecast", "six.yaml", "--seen", "seen.csv", "--seen", "1.json")
    assert (refused.exit_code, "single table" in refused.stderr) == (2, True)


def test_output_of_run_is_an_observation(folder):
    """The output of `simdeploy run --json` is read as a rollout at its end. [contract]"""
    ran = invoke("run", "six.yaml", "--json").stdout
    result = call("advise", "six.yaml", "--seen", "-", "--json", "--exit-code", input=ran)
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert document["state"] in ("completed", "failed")
    assert document["acts"] == []


CODES = [("go on", 0), ("pause 5m", 10), ("cancel", 11), ("promote", 12), ("resume", 13), ("", 3)]


@pytest.mark.parametrize(("best", "code"), CODES)
@pytest.mark.parametrize("pays", [None, "go on", "pause"])
def test_exit_codes(best, code, pays):
    """Exit code and first words follow the best act; if waiting for later observations pays, they say to wait. [contract]"""
    from simdeploy.cli.advise import find_code

    offered = itertools.product(("go on", "pause"), (1, 2))
    ways = [
        {"how": how, "wait_s": 300.0 * n, "worth": n, "low": n - 0.5, "high": n + 0.5, "pays": how == pays}
        for how, n in offered
    ]
    equal = {"cost": 7.0, "more_than_best": 0.0, "more_low": 0.0, "more_high": 0.0}
    acts = [{"act": act, **equal} for act in ("go on", "cancel")]
    kinds = pd.DataFrame({"defective": [True], "posterior": [0.5]})
    fields = dict.fromkeys(field.name for field in dataclasses.fields(Advice))
    fields |= {"best": best, "waiting": pd.DataFrame(ways), "acts": pd.DataFrame(acts), "kinds": kinds}
    advice = Advice(**{**fields, "is_trusted": True, "computed_under": {}})
    waits = pays is not None and best not in ("", pays)
    assert find_code(advice) == (10 if waits else code)
    if best:
        sentence = tell(advice)
        start = f"{pays.capitalize()}, and look again in 10m: " if waits else f"{best.capitalize()}: "
        assert sentence.startswith(start + "the release is defective with probability 50 %.")
        assert ("saves 2.00 over" in sentence) == waits


def test_an_act_that_costs_the_same():
    """Only the best act has no difference from the best; one that costs the same has none of a number's words. [contract]"""
    advice = every_result.make("Advice")
    same = advice.acts.iloc[[0]].assign(act="pause")
    tied = dataclasses.replace(advice, best="go on", acts=pd.concat([advice.acts.iloc[[0]], same]), is_trusted=True)
    table = tied.summarize()[0]
    place = table.header.index("more than the best")
    assert [row[place] for row in table.rows] == ["", "+0.0\n+0.0 to +0.0"]
    assert "Pause costs the same." in tied.answer


def test_a_paused_rollout_stays_paused():
    """If waiting pays, a paused rollout stays paused; the document states for how long, and reads back. [contract]"""
    advice = every_result.make("Advice")
    row = {"how": "go on", "wait_s": 600.0, "worth": 35.0, "low": 30.0, "high": 40.0, "is_trusted": True, "pays": True}
    waiting = pd.DataFrame([row, {**row, "wait_s": 300.0, "worth": 20.0}, {**row, "worth": 50.0, "pays": False}])
    paused = dataclasses.replace(advice, state="paused", best="resume", waiting=waiting, is_trusted=True)
    assert paused.answer.startswith("Stay paused, and look again in 10m: ")
    assert "over resuming now" in paused.answer
    assert "Go on" not in str(paused.summarize()[-1])
    document = json.loads(json.dumps(paused.to_dict()))
    assert document["wait"] == row
    assert read_result(document).wait == row
    assert dataclasses.replace(paused, waiting=waiting.assign(pays=False)).to_dict()["wait"] is None


def test_a_picture_and_a_table(folder):
    """A picture is drawn, and the table is that of the acts. [contract]"""
    files, acts = ("--seen", "1.json", "--plot", "p.svg", "--out", "o.csv"), ("--act", "go on", "--act", "cancel")
    result = call("advise", "six.yaml", *files, *acts)
    assert result.exit_code == 3, result.stderr  # too few worlds
    assert pd.read_csv("o.csv")["act"].tolist() == ["go on", "cancel"]
    assert (folder / "p.svg").stat().st_size > 0
    assert result.stdout.startswith("Undecided")
