"""Advice given a table of nodes: conditioning against brute force and closed forms, and impossible rows."""

import json
import math
import warnings
from dataclasses import replace
from threading import Event
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from scipy import stats
from test_advice import BASE, BATCHES, CHECK, COUPLED, LAWS, assert_like_plain_worlds, call, canary, make, outcomes

import simdeploy as sd
from simdeploy.analysis.advice import drawing, proposing_lives
from simdeploy.analysis.advice.conditioning import _find, condition
from simdeploy.analysis.advice.drawing import FAILS, RUNS, Nodes, draw_lives
from simdeploy.analysis.advice.estimating import Weighted
from simdeploy.analysis.advice.finding import Supply, find_replications
from simdeploy.analysis.advice.laws import FOREVER, NodeLaw
from simdeploy.analysis.advice.lives import Lives
from simdeploy.analysis.advice.observed import NO, UNKNOWN, YES, Observed
from simdeploy.analysis.advice.rollouts import Rollouts
from simdeploy.analysis.advice.searching import Search
from simdeploy.analysis.advice.seen import read_seen
from simdeploy.analysis.advice.seen_chances import find_chances
from simdeploy.analysis.advice.strata import Stratum
from simdeploy.engines.continuing import NOT_THERE, Worlds, run_continued
from simdeploy.errors import InputError
from simdeploy.rules.health import read_health_rule
from simdeploy.rules.waves import plan_waves
from simdeploy.world.streams import Stream, uniforms

TIMES = ("dispatched_at_s", "started_at_s", "resolved_at_s")


def cut(rollout, at, times=TIMES):
    """Return the nodes of a rollout at an instant, with some of their times."""
    nodes = rollout.nodes
    dispatched, started, resolved = (nodes[name].le(at) for name in TIMES)
    seen = [resolved & nodes["ever_failed"], ~dispatched, resolved, started]
    status = np.select(seen, ["failed", "pending", "running", "validating"], "starting")
    instants = {name: nodes[name].where(nodes[name].le(at)) for name in times}
    return nodes[["node", "position", "zone", "class"]].assign(status=status, **instants)


# -- the chance of what was seen of a node -----------------------------------------------------------------------------


def observe(verdicts, times, starts, rng):
    """Return a possible observation of such nodes: intervals, verdicts if any, starts or not."""
    n = len(times)
    end = rng.uniform(20e9, 250e9, n)
    is_open = times > end
    around = rng.uniform(1e9, 20e9, (2, n))
    started = np.where(starts > end, NO, YES)
    known = rng.random(n) < 0.7
    low = np.where(is_open, end, times - around[0])
    high = np.where(is_open, FOREVER, times + around[1])
    start_low = np.where((started == YES) & known, starts - around[0], -1.0)
    start_high = np.where((started == YES) & known, starts + around[1], end)
    started, start_high = np.where(known, started, UNKNOWN), np.minimum(start_high, end)
    return Observed(np.where(is_open, -1, verdicts), started, start_low, start_high, low, high, np.zeros(n, int))


def read_rule(scenario):
    """Return the health rule of the policy, and the fleet's behaviour."""
    return read_health_rule(scenario.policy().policy, scenario.orchestrator), scenario.fleet.behaviour


def make_nodes(n, places=None, slowdown=1.0, failure=0.1):
    """Return nodes of one class, each in its own world, all at the first place by default."""
    none = np.zeros(n, int)
    return Nodes(np.arange(n), none if places is None else places, none, np.full(n, slowdown), np.full(n, failure))


@pytest.mark.parametrize("case", LAWS)
def test_chances_are_those_of_drawn_nodes(case):
    """The share of drawn nodes that match an observation is its calculated chance. [oracle]"""
    changes, policy = LAWS[case]
    scenario = make({"fleet.requests_per_second": 10, "fleet.start_hang": 0.1, **changes}, **policy)
    rule, behaviour = read_rule(scenario)
    rng, n, n_seen = np.random.default_rng(4), 20_000, 12
    shared = {"slowdown": behaviour.slowdown.mean, "failure": behaviour.start_failure.mean}
    few = make_nodes(n_seen, **shared)
    for kind in scenario.release:
        law = NodeLaw(behaviour, kind, rule, float(kind.affects.share or 1))

        lives = draw_lives([law], make_nodes(n, **shared), 5, np.zeros(n, int))
        seen = observe(*draw_lives([law], few, 6, np.zeros(n_seen, int)), rng)
        chances = find_chances([law], few, seen)
        for place, chance in enumerate(chances.tolist()):
            one = seen.take(np.array([place]))
            verdicts, times, starts = lives
            by_then = np.where(np.where(one.verdict < 0, starts <= one.low, starts < FOREVER), YES, NO)
            fits = (times > one.low) & (times <= one.high) & ((one.verdict < 0) | (verdicts == one.verdict))
            fits &= (one.started == UNKNOWN) | (by_then == one.started)
            fits &= (by_then == NO) | ((starts > one.start_low) & (starts <= one.start_high))
            assert abs(fits.mean() - chance) <= 4 * math.sqrt(chance * (1 - chance) / n) + 1e-3 * chance


@pytest.mark.parametrize("kind", [0, 1])
def test_levels_between_bounds_decide_as_they_are(kind, monkeypatch):
    """Windows decided by bounds on a node's error level have the outcome of the exact level. [property]"""
    changes, policy = LAWS["own levels, deadline from the start"]
    scenario = make({"fleet.requests_per_second": 10, "release.bad.error_rate": 0.05, **changes}, **policy)
    rule, behaviour = read_rule(scenario)
    n, law = 30_000, NodeLaw(behaviour, scenario.release[kind], rule, (1, 0.6)[kind])
    nodes = make_nodes(n)
    lives = draw_lives([law], nodes, 5, np.arange(n))
    monkeypatch.setattr(drawing, "_FEWEST_BOUNDED", n + 1)
    for bounded, plain in zip(lives, draw_lives([law], nodes, 5, np.arange(n)), strict=True):
        assert (bounded == plain).all()


def test_nodes_are_found_by_their_starts():
    """Both searches find the same first replication in which a node starts as observed. [property]"""
    scenario = make({"fleet.requests_per_second": 10})
    rule, behaviour = read_rule(scenario)
    n, law = 300, NodeLaw(behaviour, scenario.release[0], rule)
    nodes = make_nodes(n, np.arange(n))
    lives = draw_lives([law], nodes, 5, np.full(n, 10**6))
    wanted = observe(*lives, np.random.default_rng(2)).in_the_end
    supply = Supply(0, 2000 * n, 2000)
    found, _ = find_replications([law], nodes, supply, 5, wanted, is_compiled=True)
    verdicts, times, starts = draw_lives([law], nodes, 5, found)
    assert (times > wanted.low).all()
    assert (times <= wanted.high).all()
    assert np.isin(verdicts, (RUNS, FAILS)).all()
    has_started = starts < FOREVER
    assert (has_started[wanted.started == YES]).all()
    assert not has_started[wanted.started == NO].any()
    assert ((starts > wanted.start_low) & (starts <= wanted.start_high))[has_started].all()
    plainly, _ = find_replications([law], nodes, supply, 5, wanted, is_compiled=False)
    assert found.tolist() == plainly.tolist()


def test_rare_nodes_are_found_without_compiled_code():
    """For a verdict at an instant of probability 4.5e-6, both searches find the same replication. [property]"""
    scenario = make({"fleet.requests_per_second": 10})
    rule, behaviour = read_rule(scenario)
    law = NodeLaw(behaviour, scenario.release[0], rule)
    nodes = Nodes(np.array([4]), np.array([0]), np.zeros(1, int), np.ones(1), np.full(1, 0.1))
    verdicts, at, starts = draw_lives([law], nodes, 5, np.full(1, 10**6))
    wanted = Observed(verdicts, np.array([YES]), starts - 1e5, starts + 1e5, at - 1e5, at + 1e5, np.zeros(1, int))
    supply = Supply(0, 2**31, 2**21)
    found, times = find_replications([law], nodes, supply, 5, wanted, is_compiled=True)
    assert found > 2**18
    assert find_replications([law], nodes, supply, 5, wanted, is_compiled=False) == (found, times)


# -- conditioning ------------------------------------------------------------------------------------------------------

DISPATCHED = TIMES[:1]
SILENT = {
    "fleet.start_hang": 0.2,
    "fleet.slowdown": {"uniform": {"low": 0.8, "high": 1.2}},
    "fleet.requests_per_second": 10,
    "release.bad.error_rate": 0.08,
    "fleet.error_rate": {"beta": {"mean": 0.05, "sd": 0.02}},
}


def cases():
    """Yield a name, a scenario, a replication, the time of observation, and the instants that are known."""
    yield "order, classes, level, slowdown, count", make(COUPLED), 5, 150, DISPATCHED
    zones = make({"fleet.zones": 3, "release.bad.affects": {"zones": [0, 1]}, "fleet.start_attempts": 1})
    yield "zones", zones, 2, 120, DISPATCHED
    limits = {"max_failed_nodes": 6, "max_failed_nodes_percent": 100}
    yield "hangs, windows", make(SILENT, max_parallel=2, **limits), 3, 270, DISPATCHED
    from_start = {**SILENT, "orchestrator.deadline_starts": "started"}
    yield "deadline from the start", make(from_start, max_parallel=2), 3, 190, ()
    yield "canaries promoted", canary(), 1, 200, ()
    yield "every instant", make({"fleet.nodes": 3}, max_parallel=2), 0, 125, TIMES[1:]
    yield "sliding", make({"orchestrator.pacing": "sliding"}), 1, 80, ()
    yield "batches", make({**BATCHES, "fleet.start_failure": {"beta": {"mean": 0.3, "sd": 0.1}}}), 5, 130, DISPATCHED
    promoted = {**BATCHES, "operator.promote_after": {"uniform": {"low": "10s", "high": "60s"}}}
    yield "batches after canaries", canary(**promoted), 1, 240, ()


CASES = {name: case for name, *case in cases()}


def look(scenario, replication, at, times):
    """Return an observation of a replication at an instant, with some of its times."""
    return read_seen(scenario, None, cut(sd.simulate(scenario, replication=replication), at, times), at)


def assert_like_brute_force(scenario, seen, n_plain, replications=500):
    """Assert that conditioned worlds match those of many plain ones with the same observed nodes; return them."""
    conditioned = condition(scenario, seen, replications=replications, seed=3, engine="compiled")
    plain = find_plain(scenario, seen, n_plain, 4)
    assert plain.shape[1] >= 25
    assert_like_plain_worlds(conditioned, plain, n_unseen=3)
    return conditioned


def look_roughly(scenario, *seen):
    """Return an observation of a replication, to within five seconds."""
    seen = look(scenario, *seen)
    return replace(seen, nodes=replace(seen.nodes, widths=np.full(scenario.fleet.nodes, 10.0)))


@pytest.mark.parametrize("name", CASES)
def test_conditioned_worlds_match_brute_force(name):
    """Kinds, failures and makespans are those of plain worlds with the same observed nodes. [oracle]"""
    scenario, *seen = CASES[name]
    assert_like_brute_force(scenario, look(scenario, *seen), 4000 if "order" in name else 40_000)


SLIDES = {"orchestrator.pacing": "sliding"}
SHARED = {
    "fleet.slowdown": {"uniform": {"low": 0.8, "high": 1.2}},
    "fleet.start_failure": {"beta": {"mean": 0.3, "sd": 0.1}},
}
TURNS = {
    "every instant": (make({**SLIDES, "fleet.nodes": 5}, max_parallel=2), 1, 165, TIMES),
    "one slot": (make(SLIDES | SHARED | {"fleet.nodes": 5}, max_parallel=1), 15, 290, TIMES[2:]),
    "verdicts, slowdown, level": (make(SLIDES | SHARED | SILENT, max_parallel=4), 4, 180, TIMES[2:]),
    "classes, order, count": (make(COUPLED | SLIDES | {"fleet.nodes": 5}, max_parallel=2), 1, 120, TIMES[2:]),
    "statuses": (make(SLIDES | SHARED, max_parallel=2), 15, 290, ()),
    "canaries": (canary(**SLIDES, **{"fleet.nodes": 6}), 1, 170, TIMES),
    "canaries, waves": (canary(**{"fleet.nodes": 4}), 1, 200, (TIMES[0], TIMES[2])),
}


@pytest.mark.parametrize("name", TURNS)
def test_turns_match_brute_force(name):
    """Under sliding pacing, conditioned worlds are plain ones with the same observed nodes, to within five seconds. [oracle]"""
    scenario, *seen = TURNS[name]
    n_plain = 4000 if "order" in name else 80_000
    assert assert_like_brute_force(scenario, look_roughly(scenario, *seen), n_plain).why_tried == ""


CRASH = {"fleet.crash": {"up": "10m", "repair": "1m"}}
CRASHES = {"fleet.crash": {"up": "5m", "repair": "1m"}}
FLAPPING = {"fleet.flapping": {"good": "4m", "degraded": "1m", "error_rate": 0.3}, "fleet.requests_per_second": 10}
OUTAGES = {"fleet.zones": 2, "fleet.zone_outage": {"up": "5m", "repair": "1m"}}
LINES = {"fleet.connection": {"online": "6m", "offline": "1m"}}
SKIP, WAIT = ({"orchestrator.unreachable_nodes": word} for word in ("skip", "wait"))
THREE = {"fleet.nodes": 3}
SPELLS = {
    "crashes": (make(CRASH | SHARED), 8, 110, TIMES[2:], 60_000),
    "crashes, waited for": (make(CRASH | WAIT), 5, 180, (), 10_000),
    "degraded spells": (make(FLAPPING, max_parallel=2), 7, 180, TIMES[2:], 20_000),
    "outages of zones": (make(OUTAGES), 0, 170, (), 20_000),
    "crashes, batches": (make(CRASHES | BATCHES), 2, 130, (), 20_000),
    "crashes, sliding": (make(CRASHES | SLIDES, max_parallel=3), 1, 150, (), 20_000),
    "crashes, sliding, instants": (make(CRASHES | SLIDES | THREE, max_parallel=1), 0, 250, TIMES[2:], 20_000),
    "lines, sliding, passed over": (make(LINES | SLIDES | SKIP, max_parallel=2), 4, 180, (), 20_000),
    "lines that break": (make(LINES | SHARED), 9, 110, (), 10_000),
    "lines, passed over": (make(LINES | SKIP), 4, 150, (), 10_000),
    "lines, failed at its turn": (make(LINES), 4, 150, DISPATCHED, 30_000),
    "crashes, passed over": (make(CRASHES | SKIP), 1, 150, (), 20_000),
    "crashes, failed at its turn": (make(CRASHES), 0, 150, (), 20_000),
}


@pytest.mark.parametrize("name", SPELLS)
def test_spells_match_brute_force(name):
    """If nodes crash, degrade or go offline, conditioned worlds are plain ones with the same observed nodes. [oracle]"""
    scenario, *seen, n_plain = SPELLS[name]
    conditioned = assert_like_brute_force(scenario, look_roughly(scenario, *seen), n_plain, replications=300)
    assert conditioned.why_tried == ""


@pytest.mark.parametrize("name", ["crashes", "lines, passed over", "outages of zones"])
def test_nodes_are_tried_alike_on_both_engines(name, monkeypatch):
    """Given a table, nodes that are tried individually get the same numbers and weights on both engines. [property]"""
    monkeypatch.setattr(proposing_lives, "TRIES", 4)
    scenario, *seen, _ = SPELLS[name]
    seen = look(scenario, *seen)
    table = replace(seen.nodes, widths=np.full(scenario.fleet.nodes, 40.0))
    fleet, roots = scenario.fleet, np.arange(12)
    plan = plan_waves(seen.policy.policy, scenario.orchestrator_of(seen.policy), fleet.nodes, fleet.zones)
    kind = scenario.release[0]
    rollouts = Rollouts(scenario.given(kind.name), seen.policy, plan, kind, 3, roots)
    compiled, reference = (
        proposing_lives.LifeProposer(rollouts, table, seen.last.at_ns, engine).propose(Supply(100, 10**6, 10**4), roots)
        for engine in ("compiled", "reference")
    )
    assert np.isfinite(compiled.log_weights).sum() >= 3
    assert compiled.log_weights.tolist() == reference.log_weights.tolist()
    assert compiled.are_drawn.tolist() == reference.are_drawn.tolist()
    assert compiled.worlds.nodes.tolist() == reference.worlds.nodes.tolist()


SELDOM = {"fleet.crash": {"up": "30m", "repair": "1m"}}
HURT = {f"release.{name}.crash_rate": 6 for name in ("good", "bad")}
DISTURBED = {
    "crashes": SELDOM | HURT,
    "degraded spells": FLAPPING,
    "outages of zones": OUTAGES,
    "all, in a class": SELDOM
    | FLAPPING
    | OUTAGES
    | {"fleet.classes": [{"name": "sound", "share": 0.5, "crash": None}]},
    "crashes, waited for": CRASHES | WAIT,
}


@pytest.mark.parametrize("name", DISTURBED)
def test_tries_left_out_have_no_spells(name):
    """Tries that aren't simulated look as they do without spells, and the others as if each had a rollout of its own. [property]"""
    scenario = make(DISTURBED[name])
    without = scenario.with_values(dict.fromkeys(("fleet.crash", "fleet.flapping", "fleet.zone_outage")))
    policy, kind, roots = scenario.policy(), scenario.release[1], np.arange(60)
    plan = plan_waves(policy.policy, scenario.orchestrator, scenario.fleet.nodes, scenario.fleet.zones)
    lives, plain = (
        Lives(Rollouts(each.given(kind.name), policy, plan, kind, 3, roots), 90 * 10**9, "compiled")
        for each in (scenario, without)
    )
    tried = 1000 + np.arange(60 * 32).reshape(60, 32)
    numbers, nodes = np.repeat(roots[:, np.newaxis], 6, axis=1), np.repeat(np.arange(3)[np.newaxis], 60, axis=0)
    found, are_tried = lives.try_disturbed(roots, numbers, nodes, tried)
    one_by_one = np.repeat(roots, 32), np.repeat(numbers, 32, axis=0), np.repeat(nodes, 32, axis=0)
    chosen = np.repeat(tried.reshape(-1, 1), 3, axis=1)
    alone, undisturbed = (each.follow(*one_by_one, chosen).reshape(found.shape) for each in (lives, plain))
    assert (found == alone)[are_tried].all()
    assert (alone == undisturbed)[~are_tried].all()
    assert (alone != undisturbed).any()
    assert 0.2 < are_tried.mean() < 0.9
    # The start of the wave shows in tries if it does so in any.
    starts = np.where(are_tried & (found["dispatched_ns"] != NOT_THERE), found["dispatched_ns"], FOREVER).min(
        axis=(1, 2)
    )
    assert (
        starts == np.where(alone["dispatched_ns"] != NOT_THERE, alone["dispatched_ns"], FOREVER).min(axis=(1, 2))
    ).all()


def test_a_negligible_kind_gets_few_worlds():
    """A kind that turns out to be negligible gets only its first worlds, if nodes are tried individually. [property]"""
    changes = {"fleet.crash": {"up": "5m", "repair": "20s"}, "release.bad.affects": "all"}
    scenario = make(changes | {"release.bad.start_failure": 0.999}, max_parallel=6)
    seen = read_seen(scenario, None, pd.DataFrame({"node": range(6), "status": "running"}), 175)
    good, bad = condition(scenario, seen, replications=200, seed=0, engine="compiled").by_kind
    assert bad.weights.sum() < 1e-9 * good.weights.sum()
    assert (bad.n_tried, len(good.worlds.roots) >= 200) == (100, True)


class Weighing(Search):
    """A search of which one proposal in ten fits; log weights are normal, and their mean gives the known share of the kind."""

    def __init__(self, share, sigma, rng):
        self._kind, self._usual, self._rare = SimpleNamespace(probability=1.0), Stratum(), None
        self._mean, self._sigma, self._rng = math.log(10 * share) - sigma**2 / 2, sigma, rng

    def needs_more(self, wanted):
        return self.n_found < wanted

    def find_more(self, wanted):
        """Find 100 worlds at first, and then all that are wanted."""
        n = wanted - self.n_found if self.n_found else 100
        is_first = not self.n_found
        self._usual.n_roots += 10 * n
        self._usual.add(None, self._rng.normal(self._mean, self._sigma, n), lost=np.zeros(0))
        if is_first:
            self.first_log_found = self.log_found


@pytest.mark.parametrize("sigma", [4.0, 6.0, 8.0, 10.0])
def test_a_skewed_kind_is_not_dropped(sigma):
    """A kind of 0.1 % may look negligible while the worlds with its weight are missing, but then few worlds share what there is. [oracle]"""
    n_negligible, rng = 0, np.random.default_rng(0)
    for _ in range(200):
        skewed, plain, tiny = searches = Weighing(1e-3, sigma, rng), Weighing(1.0, 0.5, rng), Weighing(1e-9, 0.5, rng)
        _find(list(searches), 1000, 1, Event())
        n_negligible += skewed.first_log_found < plain.first_log_found + math.log(1e-6)
        assert (skewed.n_found, plain.n_found, tiny.n_found) == (1000, 1000, 100)
    assert (n_negligible > 100) == (sigma >= 6)


def tell_of_zone(changes, at_s):
    """Return a scenario whose defects show in one of four zones, and a table in which just this zone has failed."""
    defects = {f"release.bad.{key}": value for key, value in (("start_failure", 0.9), ("affects", {"zones": [0]}))}
    rare = {"release.good.probability": 0.99, "release.bad.probability": 0.01}
    fleet = {"fleet.nodes": 24, "fleet.zones": 4, "fleet.start_attempts": 1, "fleet.start_failure": 0}
    limits = {"max_parallel": 24, "max_failed_nodes": 24, "max_failed_nodes_percent": 100}
    scenario = make({**fleet, **defects, **rare, **changes}, **limits)
    status = ["running" if node % 4 else "failed" for node in range(24)]
    return scenario, read_seen(scenario, None, pd.DataFrame({"node": range(24), "status": status}), at_s)


@pytest.mark.parametrize("seed", [1, 2])
def test_rare_outages_explain_failures(seed):
    """A zone fails because of a defect or of an outage, which one world in a thousand has: the odds are known. [oracle]"""
    changes = {"fleet.crash": {"up": "3h", "repair": "5m"}, "fleet.zone_outage": {"up": "480h", "repair": "30m"}}
    scenario, seen = tell_of_zone(changes, 190)
    conditioned = condition(scenario, seen, replications=400, seed=seed, engine="compiled")
    weighted = Weighted.of(conditioned, 0.95)
    # An outage is in progress at the start, or begins before the last verdict, after 50 to 110 s (if later, not in all nodes).
    up, down = 480 * 3600, 1800
    least = down / (up + down)
    good, bad = (0.99 * np.array([least, least + 90 / up]), 0.01 * 0.9**6)
    found = weighted.kind(1)
    reach = 4 * (found.high - found.low) / (2 * 1.96)
    assert conditioned.effective_worlds >= 100
    assert found.estimate - reach <= bad / (bad + good[0])
    assert found.estimate + reach >= bad / (bad + good[1])


def test_who_may_be_skipped():
    """A node still pending after later dispatches was skipped or is waited for; if neither is possible, it's an error. [contract]"""
    status = ["running", "pending", "running", "starting", "starting", "starting"]
    table = pd.DataFrame({"node": range(6), "position": range(6), "status": status})
    how = {"at": 100, "replications": 20, "engine": "compiled"}
    skipping = make(LINES | SKIP)
    for scenario in (make(SKIP), make(LINES), make(LINES | WAIT)):
        message = "row 2.position: pending, although nodes after it were dispatched"
        assert message in str(refused(sd.forecast, scenario, seen=table, **how))
    assert sd.forecast(skipping, seen=table, **how).state == "in_progress"
    skipped = table.assign(status=table["status"].replace("pending", "skipped"))
    assert sd.forecast(skipping, seen=skipped, **how).state == "in_progress"
    message = "row 2.status: skipped, but the scenario never skips nodes"
    assert message in str(refused(sd.forecast, make(LINES), seen=skipped, **how))
    message = "row 2.position: missing, although a node was skipped"
    assert message in str(refused(sd.forecast, skipping, seen=skipped.drop(columns="position"), **how))
    instants = [0, math.nan, 0, 80, 80, 80]
    unplaced = table.drop(columns="position").assign(dispatched_at_s=instants)
    with pytest.raises(InputError, match=r"row 4\.dispatched_at_s: wave 1 goes at once, .* a position of each node"):
        sd.forecast(skipping, seen=unplaced, **how)
    over = table.assign(status=["skipped", *["running"] * 5])
    assert sd.forecast(skipping, seen=over, **how | {"at": 300}).state == "completed"


def find_plain(scenario, seen, n, seed):
    """Return `outcomes` of those of n unconditioned worlds whose nodes match the table."""
    policy, roots = seen.policy, np.arange(n)
    plan = plan_waves(policy.policy, scenario.orchestrator_of(policy), scenario.fleet.nodes, scenario.fleet.zones)
    nodes = np.repeat(roots[:, np.newaxis], plan.total, axis=1)
    how = {"looks_ns": [], "nodes_at_ns": seen.last.at_ns, "seed": seed, "engine": "compiled"}
    continued = run_continued(scenario, policy, Worlds(roots, nodes), **how)
    rollouts = Rollouts(scenario, policy, plan, scenario.release[0], seed, roots)
    agree = seen.nodes.agree(rollouts, continued.nodes, plan.sizes if plan.pacing == "barrier" else (1,) * plan.total)
    return outcomes(continued.block, np.flatnonzero(agree))


def test_which_nodes_failed():
    """If the release affects some places, the posterior depends on which nodes failed. [oracle]"""
    scenario = make({"release.bad.affects": {"nodes": [0, 3]}, "fleet.start_attempts": 1}, max_parallel=6)
    for failed in ((0,), (1,), (0, 3), (1, 2)):
        table = pd.DataFrame({"node": list("abcdef"), "status": "running"})
        table.loc[list(failed), "status"] = "failed"
        result = sd.forecast(scenario, seen=table, at=175, replications=100, engine="compiled")
        chances = np.array([0.7, 0.3])
        for number, hurt in enumerate(((), (0, 3))):
            p = np.array([0.55 if node in hurt else 0.1 for node in range(6)])
            chances[number] *= np.prod([p[node] if node in failed else 1 - p[node] for node in range(6)])
        assert result.kinds["posterior"].tolist() == pytest.approx((chances / chances.sum()).tolist(), rel=1e-6)
        assert (result.state, result.why_tried) == ("completed", "")


def test_a_table_is_of_a_rollout_in_progress():
    """Waiting canaries are no evidence although defects are canceled, as a canceled rollout no longer waits. [oracle]"""
    people = {"promote_after": {"exponential": {"mean": "2m"}}, "notices_defect": 1, "rejects_good": 0.2}
    sound = {"fleet.start_failure": 0, "release.bad.start_failure": 0, "release.bad.affects": "all"}
    sound |= {"fleet.crash": {"up": "1000h", "repair": "1m"}}
    policy = {"strategy": "canary", "canary_count": 2, "no_auto_rollback": True}
    scenario = make({f"operator.{key}": value for key, value in people.items()} | sound, **policy)
    table = pd.DataFrame({"node": range(2), "status": "running"})
    result = sd.forecast(scenario, seen=table, at=300, replications=400, engine="compiled")
    bad = result.kinds.set_index("kind").loc["bad"]
    assert abs(bad["posterior"] - 0.3) <= 4 * (bad["high"] - bad["low"]) / (2 * 1.96)


def test_starts_are_evidence_on_the_slowdown():
    """Given the starts of nodes, slowdowns have their posterior probabilities. [oracle]"""
    good = {"release.bad.probability": 0, "release.good.probability": 1}
    never_fail = {"fleet.start_failure": 0, "fleet.start_attempts": 1}
    scenario = make({"fleet.slowdown": {"empirical": {"values": [1.0, 1.25]}}, **never_fail, **good}, max_parallel=6)
    starts = np.array([51.0, 60.0, 79.8])
    table = pd.DataFrame({"node": range(6), "started_at_s": [*starts, None, None, None]})
    seen = read_seen(scenario, None, table.assign(status=["validating"] * 3 + ["starting"] * 3), 79.9)
    (found,) = condition(scenario, seen, replications=1500, seed=0, engine="compiled").by_kind
    is_slow = uniforms(0, found.worlds.roots, Stream.SLOWDOWN, 0) > 0.5
    # The last start is known to half a second, so the time of observation may be as late; with 1 all would have started.
    law, end, chances = stats.uniform(40, 40), 80.3, []
    for slowdown in (1.0, 1.25):
        bounds = [law.cdf(np.minimum(starts + h, end) / slowdown) for h in (-0.5, 0.5)]
        chances.append(np.prod(np.diff(bounds, axis=0)) * law.sf(end / slowdown) ** 3)
    assert chances[0] == 0
    assert is_slow.all()
    # Of the first two alone, with nothing known of the others.
    seen = read_seen(scenario, None, table.assign(status="validating", started_at_s=[51.0, 60.0] + [None] * 4), 80.5)
    (found,) = condition(scenario, seen, replications=1500, seed=0, engine="compiled").by_kind
    is_slow = uniforms(0, found.worlds.roots, Stream.SLOWDOWN, 0) > 0.5
    chances = []
    for slowdown in (1.0, 1.25):
        bounds = [law.cdf((starts[:2] + h) / slowdown) for h in (-0.5, 0.5)]
        # Nodes that started by 50.5 s would be running.
        others = law.cdf(80.5 / slowdown) - law.cdf(50.5 / slowdown)
        chances.append(np.prod(np.diff(bounds, axis=0)) * others**4)
    mean = Weighted(found.weights, [len(found.weights)], [found.n_tried], 0.95).mean(is_slow.astype(float))
    assert abs(mean.estimate - chances[1] / sum(chances)) <= 4 * (mean.high - mean.low) / (2 * 1.96) + 1e-9


def test_many_times_leave_many_worlds():
    """Although the times of every node are given, most tried worlds count. [contract]"""
    changes = {"fleet.nodes": 60, "fleet.slowdown": {"lognormal": {"mean": 1, "sd": 0.3}}, "fleet.start_failure": 0.02}
    scenario = make({**changes, "release.bad.affects": "all", "release.bad.start_failure": 0.9}, max_parallel=20)
    rollout = sd.simulate(scenario.given("good"), replication=1)
    seen = read_seen(scenario, None, cut(rollout, float(rollout.nodes["dispatched_at_s"].max())), None)
    good, _ = condition(scenario, seen, replications=200, seed=0, engine="compiled").by_kind
    assert good.weights.sum() ** 2 / (good.weights**2).sum() > 100


DEALT = {
    "share": {},
    "random order": {"fleet.order": "random", "fleet.zones": 2},
    "random order, named": {
        "fleet.order": "random",
        "fleet.classes": [{"name": "rough", "nodes": list(range(12)), "start_failure": 0.4}],
    },
}


@pytest.mark.parametrize("name", DEALT)
def test_classes_of_a_table_are_those_of_its_worlds(name):
    """With twelve of sixty nodes rough, worlds have the observed classes, and the posterior follows from them. [oracle]"""
    classes = {"fleet.classes": [{"name": "rough", "share": 0.2, "start_failure": 0.4}]}
    changes = {"fleet.nodes": 60, "fleet.start_attempts": 1, "release.bad.affects": "all", **classes, **DEALT[name]}
    scenario = make(changes, max_parallel=60, max_failed_nodes=60, max_failed_nodes_percent=100)
    rough = np.isin(np.arange(60), [1, 2, 3, 5, 8, 13, 21, 34, 35, 36, 41, 55])
    failed = np.arange(60) % 3 == 0
    table = {"node": range(60), "position": range(60), "zone": np.arange(60) % scenario.fleet.zones}
    table |= {"status": np.where(failed, "failed", "running"), "class": np.where(rough, "rough", "")}
    seen = read_seen(scenario, None, pd.DataFrame(table), 200)
    found = condition(scenario, seen, replications=60, seed=0, engine="compiled")
    chances = []
    for added in (0.0, 0.5):
        p = 1 - (1 - np.where(rough, 0.4, 0.1)) * (1 - added)
        chances.append(np.prod(np.where(failed, p, 1 - p)))
    weights = [float(each.weights.sum()) for each in found.by_kind]
    # All nodes have their verdicts after 80 s and three windows, so that the chances are known.
    assert weights[1] / weights[0] == pytest.approx(0.3 * chances[1] / (0.7 * chances[0]), rel=1e-6)


# -- what cannot be ----------------------------------------------------------------------------------------------------

SIX = {
    "node": list("abcdef"),
    "zone": [0, 1, 2, 0, 1, 2],
    "status": ["running", "running", "failed", "validating", "starting", "starting"],
    "dispatched_at_s": [0.0, 0, 0, 110, 110, 110],
    "started_at_s": [50.0, 80, None, 155, None, None],
    "resolved_at_s": [80.0, 110, 100, None, None, None],
}
IMPOSSIBLE = [
    ({"node": list("abcdea")}, "row 6.node: the node has a row already"),
    ({"status": ["running"] * 5 + ["runing"]}, "row 6.status: no such status .* did you mean 'running'"),
    ({"status": ["rolled_back"] * 6}, "give the deployment object"),
    ({"status": [None] * 6}, "row 1.status: missing, although the node was resolved"),
    ({"dispatched_at_s": [0, 0, 0, 110, 110, -1]}, "row 6.dispatched_at_s: not an instant"),
    ({"dispatched_at_s": [0, 0, 0, 110, 110, 115]}, "row 6.dispatched_at_s: wave 2 goes at once"),
    ({"dispatched_at_s": [5, 5, 5, 110, 110, 110]}, "row 1.dispatched_at_s: wave 1 goes at the start"),
    ({"dispatched_at_s": [0, 0, 0, 90, 90, 90]}, "row 4.dispatched_at_s: wave 2 went before wave 1 was over"),
    ({"started_at_s": [50, 80, None, 105, None, None]}, "row 4.started_at_s: before its dispatch"),
    ({"started_at_s": [50, 80, None, 155, 160, None]}, "row 5.started_at_s: a node that is starting has no such instant"),
    ({"started_at_s": [50, 100, None, 155, None, None]}, "row 2.resolved_at_s: running after 10 s, but its health windows"),
    ({"started_at_s": [50, 80, None, 175, None, None]}, "row 4.started_at_s: after the time of observation"),
    ({"resolved_at_s": [40, 110, 100, None, None, None]}, "row 1.resolved_at_s: before its start"),
    ({"status": ["running", "running", "starting", "validating", "starting", "starting"], "resolved_at_s": [80, 110] + [None] * 4},
     "row 4.status: wave 2 went, although row 3 has no verdict"),
    ({"status": ["running", "running", "failed", "validating", "starting", "pending"], "dispatched_at_s": [0, 0, 0, 110, 110, None]},
     "row 6.status: only 2 of the 3 nodes of wave 2"),
    ({"zone": [0, 0, 2, 0, 1, 2]}, "row 2.zone: the nodes at this place of the order are of another zone .*found 0"),
    ({"zone": [0, 1, 3, 0, 1, 2]}, "row 3.zone: no such zone"),
    ({"class": ["big"] * 6}, "the scenario has no classes"),
    ({"status": ["running"] + ["failed"] * 2 + ["failed"] * 2 + ["starting"], "started_at_s": [50] + [None] * 5,
      "resolved_at_s": [80, 110, 100, 165, 165, None]}, "more failed nodes than the rollout survives"),
    ({"started_at_s": [30, 80, None, 155, None, None]}, "row 1.status: no kind of release"),
    ({"position": [0, 1, 2, 3, 4, 4]}, "row 6.position: another row"),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "message"), IMPOSSIBLE)
def test_impossible_rows(columns, message):
    """A table that no rollout shows is an error with row and reason. [contract]"""
    scenario = make({"fleet.zones": 3})
    with pytest.raises(InputError, match=message):
        sd.forecast(scenario, seen=pd.DataFrame(SIX | columns), at=170, replications=20, engine="reference")


SLOTS = {
    "row 3.status: 3 nodes in flight at once; allowed: at most 2": ["starting"] * 3,
    "row 3.status: waits, although only 1 of the 2 slots are taken": ["running", "starting", *["pending"] * 4],
}


@pytest.mark.parametrize("message", SLOTS)
def test_impossible_slots(message):
    """Under sliding pacing exactly all slots are taken while nodes wait. [contract]"""
    table = pd.DataFrame({"node": range(len(SLOTS[message])), "status": SLOTS[message]})
    assert message in str(refused(sd.forecast, make(SLIDES, max_parallel=2), seen=table, at=100, replications=20))


def test_a_deadline_that_has_passed():
    """Nodes in flight beyond their deadline, and tables of another fleet, are errors. [contract]"""
    scenario = make({"fleet.zones": 3})
    late = refused(sd.forecast, scenario, seen=pd.DataFrame(SIX), at=320, replications=20)
    assert "row 4.status: no verdict within the deadline, 3m after its dispatch" in str(late)
    seven = pd.DataFrame({"node": range(7), "status": "running"})
    assert "more rows than nodes" in str(refused(sd.forecast, scenario, seen=seven, at=320, replications=20))
    assert "no instant is known" in str(refused(sd.forecast, scenario, seen=seven[:3], replications=20))


# -- from outside ------------------------------------------------------------------------------------------------------


def test_names_and_the_order_of_rows_are_irrelevant():
    """Nodes dispatched together are matched by zone, whatever they are called. [property]"""
    scenario = make({"fleet.zones": 3})
    table = pd.DataFrame(SIX)
    how = {"at": 170, "replications": 40, "engine": "compiled"}
    expected = sd.forecast(scenario, seen=table, **how).to_dict()
    others = table.iloc[[2, 0, 1, 5, 3, 4]].assign(node=list("uvwxyz"))
    assert sd.forecast(scenario, seen=others, **how).to_dict() == expected


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # of pandas with numpy 2.0
def test_a_table_comes_from_files_pipes_and_records(tmp_path, monkeypatch):
    """CSV, Parquet, rows as JSON, standard input and records with timestamps say the same. [contract]"""
    monkeypatch.chdir(tmp_path)
    scenario = {**BASE, "fleet": {**BASE["fleet"], "zones": 3}}
    (tmp_path / "six.yaml").write_text(json.dumps(scenario), encoding="utf-8")
    table = pd.DataFrame(SIX)
    table.to_csv("nodes.csv", index=False)
    table.to_parquet("nodes.parquet")
    table.to_json("nodes.json", orient="records")
    created = pd.Timestamp("2026-01-05T09:00:00Z")
    stamps = {name.removesuffix("_s"): created + pd.to_timedelta(table[name], unit="s") for name in TIMES}
    stamped = table.drop(columns=list(TIMES)).assign(rollout="r", **stamps)
    stamped.to_csv("records.csv", index=False)
    text = (tmp_path / "nodes.csv").read_text(encoding="utf-8")
    outputs = []
    for file in ("nodes.csv", "nodes.parquet", "nodes.json", "-", "records.csv"):
        at = "2026-01-05T09:02:50Z" if file == "records.csv" else "170"
        outputs.append(call("forecast", "six.yaml", "--seen", file, "--at", at, "--json", input=text).stdout)
    documents = [json.loads(text) for text in outputs]
    assert len({each["computed_under"].pop("command") for each in documents}) == len(outputs)
    assert all(document == documents[0] for document in documents)
    assert documents[0]["kinds"]
    records = sd.read_records("records.csv")
    result = sd.forecast("six.yaml", seen=records, at=170, replications=40, engine="compiled")
    assert result.to_dict()["kinds"] == json.loads(outputs[0])["kinds"]


def test_the_past_of_a_table():
    """The course shows the counts at the known times. [contract]"""
    scenario = make({"fleet.zones": 3})
    result = sd.forecast(scenario, seen=pd.DataFrame(SIX), at=170, replications=20, engine="reference")
    past = result.course[result.course["is_past"]]
    assert past[["time_s", "updated_nodes", "failed_nodes"]].to_numpy().tolist() == [
        [0, 0, 0], [80, 1, 0], [100, 1, 1], [110, 2, 1], [170, 2, 1],
    ]  # fmt: skip


def test_retries_are_tried_as_whole_worlds():
    """Without laws of nodes, whole worlds that match the table are kept. [contract]"""
    scenario = make({"fleet.start_failure": 0}, health_check=CHECK, max_parallel=6, strategy="rolling")
    scenario = scenario.with_values({"orchestrator.reporting_delay": "5s"})
    table = pd.DataFrame({"node": range(6), "status": "starting"})
    result = sd.forecast(scenario, seen=table, at=20, replications=20, engine="reference")
    assert (result.why_tried, result.n_worlds) == ("a reporting delay", 20)


SKEWED = {"lognormal": {"median": "60s", "p95": "90s"}}


def test_a_straggler_is_matched_roughly_with_a_warning():
    """A very late start is matched to more than half a second, and a warning says how closely. [contract]"""
    scenario = make({"fleet.update_duration": SKEWED}, health_check={**CHECK, "deadline": "10m"})
    seen = pd.DataFrame({"node": list("abcdef"), "status": ["validating", *["running"] * 2, *["pending"] * 3]})
    seen["dispatched_at_s"] = [0.0] * 3 + [math.nan] * 3
    seen["resolved_at_s"] = [math.nan, 90.0, 90.0] + [math.nan] * 3
    for late_s, has_warning in ((70.0, False), (230.0, True)):
        seen["started_at_s"] = [late_s, 60.0, 60.0] + [math.nan] * 3
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = sd.forecast(scenario, seen=seen, at=late_s + 25, replications=50, engine="compiled")
        assert any("times of improbable nodes are matched to" in str(each.message) for each in caught) == has_warning
        assert result.n_worlds


WIDE = {
    "in flight": (150, ["validating", "running", "pending", "pending"], {"started_at_s": [125.0, *[math.nan] * 3]}),
    "last of its wave": (
        165,
        ["running", "running", "starting", "starting"],
        {"resolved_at_s": [160.0, *[math.nan] * 3], "dispatched_at_s": [0.0, 0.0, 160.0, 160.0]},
    ),
}


@pytest.mark.parametrize("case", WIDE)
def test_rough_matches_match_brute_force(case, monkeypatch):
    """Conditioned worlds are plain ones in which a straggler's times differ by at most the stated seconds. [oracle]"""
    # Wider than usual, so that plain worlds have them.
    monkeypatch.setattr("simdeploy.analysis.advice.proposing_nodes._EASE", 1000.0)
    changes = {"fleet.nodes": 4, "fleet.start_attempts": 1, "fleet.update_duration": SKEWED}
    scenario = make(changes, max_parallel=2, health_check={**CHECK, "deadline": "10m"})
    at, status, times = WIDE[case]
    table = pd.DataFrame({"node": list("abcd"), "status": status, **times})
    seen = read_seen(scenario, None, table, at)
    conditioned = condition(scenario, seen, replications=500, seed=3, engine="compiled")
    assert conditioned.seen.nodes.slack_ns[0] > 2e9
    plain = find_plain(scenario, conditioned.seen, 40_000, 4)
    assert plain.shape[1] >= 40
    assert_like_plain_worlds(conditioned, plain, n_unseen=3)
