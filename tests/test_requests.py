"""Requests, worked out by hand on both engines: traffic by the time of day, and services whose nodes share requests."""

from __future__ import annotations

import copy
import math
import random
from typing import Any

import numpy as np
import pytest
from by_hand import ENGINES, rolling, script, values_of
from generators import Decisions, scenario_of as generated, spells
from hypothesis import given, strategies as st
from refusals import refused
from scipy.stats import binom
from small import IMMEDIATE

from simdeploy import Scenario, simulate, sweep
from simdeploy.engines.reference.engine import run_reference
from simdeploy.engines.requests import PoolLoad
from simdeploy.engines.service import Service
from simdeploy.errors import InputError, format_path
from simdeploy.rules.health import read_health_rule
from simdeploy.validation import oracles
from simdeploy.world.draws import Draws
from simdeploy.world.pools import integrate_many, pools_of
from simdeploy.world.streams import Stream
from simdeploy.world.traffic import DAY_NS, Traffic

CHECK = {"deadline": "10m", "min_healthy_time": "30s", "max_error_rate": 0.05}
AT_ONCE = rolling(0, CHECK)
LENIENT = {"max_failed_nodes": 10, "max_failed_nodes_percent": 100}
IN_TWOS = rolling(2)
SLOW = {"name": "slow", "nodes": [0], "update_duration": 60}
AWAY = {"name": "away", "nodes": [9], "down": True}
EIGHT = "2026-03-02T08:00:00Z"


def scenario_of(fleet: dict[str, Any], policy: dict[str, Any] = AT_ONCE, at: str = "", **sections: Any) -> Scenario:
    """Return ten nodes of three requests per second that take 30 s each, at once; `at` is when the rollout starts."""
    if at:
        sections["deployment"] = {**sections.get("deployment", {}), "created_at": at}
    fleet = {"nodes": 10, "update_duration": 30, "requests_per_second": 3, **fleet}
    return Scenario.from_dict(
        {"name": "requests", "fleet": fleet, "policies": {"p": policy}, **copy.deepcopy(sections)}
    )


def shared(capacity: float, across: str = "fleet") -> dict[str, Any]:
    return {"shared": {"capacity": capacity, "across": across}}


def daily(*points: list[Any]) -> dict[str, Any]:
    """Return the key of a fleet, or of a class, with daily traffic."""
    return {"traffic": {"daily": [*points]}}


def met(scenario: Scenario, node: int = 0) -> list[int]:
    """Return the requests of a node's windows; the compiled engine must agree on their sum."""
    windows = simulate(scenario).windows
    for engine in ENGINES:
        assert values_of(scenario, engine)["decision_requests"] == windows["requests"].sum()
    return windows.loc[windows["node"].eq(node), "requests"].tolist()


# -- windows by the time of day --------------------------------------------------------------------

RISING = daily(["8h", 1], ["9h", 2])
ONE = {"nodes": 1, "requests_per_second": 36}


@pytest.mark.parametrize(
    ("at", "requests"),
    [
        # At 8:00 the middles of the windows are 35, 45 and 55 s after it: 360 (1 + 35 / 3600) = 363.5, a half, is rounded up.
        (EIGHT, [364, 365, 366]),
        # It is 8:00 where the time is written, whatever the hour in UTC.
        ("2026-03-02T08:00:00+05:30", [364, 365, 366]),
        ("2026-03-02T08:00:00-11:00", [364, 365, 366]),
        # From 9:00 on traffic falls to 1 within 23 h: 720 - 360 x 35 / 82,800 = 719.8.
        ("2026-03-02T09:00:00Z", [720, 720, 720]),
        # 10 s before 9:00 it is 360 (1 + 3590 / 3600) = 719; 9:00 is the middle of the second window.
        ("2026-03-02T08:59:15Z", [719, 720, 720]),
    ],
)
def test_windows_meet_the_traffic_of_their_hour(at: str, requests: list[int]) -> None:
    """A window meets the rounded integral of the traffic, in the offset of created_at. [contract]"""
    assert met(scenario_of({**ONE, **RISING}, at=at)) == requests


def test_traffic_runs_over_midnight() -> None:
    """Traffic is also linear between the last point of a day and the first of the next. [contract]"""
    # From 12 at 18:00 to 0 at 6:00: 6 at midnight, 1 less every hour. The first window lies around midnight.
    fleet = {"nodes": 1, "requests_per_second": 360, **daily(["6h", 0], ["18h", 12])}
    assert met(scenario_of(fleet, at="2026-03-02T23:59:25Z")) == [21_600, 21_590, 21_580]


@pytest.mark.parametrize("service", ["local", shared(2)])
def test_traffic_bends_within_a_window(service: Any) -> None:
    """A window of four hours in which traffic bends three times meets the area under it. [contract]"""
    # From 1:00 to 5:00: an hour of 0 to 2, one of 2, one of 2 to 0, and one of 0. 3 x 3600 x (1 + 2 + 1) requests.
    fleet = {**daily(["1h", 0], ["2h", 2], ["3h", 2], ["4h", 0]), "service": service}
    policy = rolling(0, {"deadline": "5h", "min_healthy_time": "4h"})
    rest = {"at": "2026-03-02T00:59:30Z", "health": {"interval": "4h"}}
    assert met(scenario_of(fleet, policy, **rest)) == [43_200]


def test_one_point_is_a_constant() -> None:
    """A single point is the factor for the whole day; a class may have its own traffic. [contract]"""
    classes = [
        {"name": "quiet", "nodes": [1], **daily(["0h", 0])},
        {"name": "plain", "nodes": [2], "traffic": "none"},
    ]
    scenario = scenario_of({**daily(["5h", 2]), "classes": classes})
    assert [met(scenario, node) for node in (0, 1, 2)] == [[60] * 3, [0] * 3, [30] * 3]


@pytest.mark.parametrize(("silence", "state"), [("healthy", "completed"), ("unhealthy", "failed")])
def test_hours_without_traffic_have_no_requests(engine: str, silence: str, state: str) -> None:
    """Windows of an hour without traffic are windows without requests. [contract]"""
    fleet = {**daily(["0h", 0], ["5h", 0], ["6h", 1]), "error_rate": 0.9}
    scenario = scenario_of(fleet, at="2026-03-02T03:00:00Z", orchestrator={"no_traffic": silence})
    values = values_of(scenario, engine)
    assert (values["state"], values["decision_requests"]) == (state, 0)
    assert values["lost_requests"] == 0


# -- requests that are lost ------------------------------------------------------------------------


def test_a_local_service_loses_requests(engine: str) -> None:
    """Every node's requests are lost for 30 s; nothing is shed, and there is no capacity. [contract]"""
    values = values_of(scenario_of({}), engine)
    assert (values["lost_requests"], values["lost_requests_excess"]) == (900, 900)
    assert (values["shed_requests"], values["shed_requests_excess"]) == (0, 0)
    assert math.isnan(values["min_capacity_ratio"])


def test_a_shared_service_loses_nothing(engine: str) -> None:
    """In a shared service all requests are shed for 30 s instead of lost. [contract]"""
    values = values_of(scenario_of({"service": shared(1)}), engine)
    assert (values["lost_requests"], values["lost_requests_excess"]) == (0, 0)
    assert (values["shed_requests"], values["shed_requests_excess"]) == (900, 900)


def test_more_is_lost_by_day(engine: str) -> None:
    """The first wave loses 2 x 3 requests per second for 30 s at 8:00, each further one a little more. [oracle]"""
    # Five waves are out one after the other: 6 x the integral of 1 + t / 3600 over 150 s.
    values = values_of(scenario_of(RISING, IN_TWOS, at=EIGHT), engine)
    assert values["lost_requests"] == pytest.approx(6 * (150 + 150**2 / 7200), rel=1e-12)


@pytest.mark.parametrize("service", ["local", shared(1)], ids=["local", "shared"])
def test_nodes_down_anyway_are_no_excess(engine: str, service: Any) -> None:
    """A node that is down for good adds to lost or shed requests, but not to their excess. [contract]"""
    fleet = {"service": service, "classes": [AWAY]}
    values = values_of(scenario_of(fleet, IN_TWOS), engine)
    name = "lost_requests" if service == "local" else "shed_requests"
    # Node 9 for the 150 s of five waves, the other nine for 30 s each.
    assert values["makespan_s"] == 150
    assert (values[name], values[f"{name}_excess"]) == pytest.approx((450 + 810, 810), rel=1e-12)


def test_spare_capacity_covers_a_down_node(engine: str) -> None:
    """With a ninth to spare one down node sheds nothing, so only what waves take beyond that is shed. [contract]"""
    fleet = {"service": shared(10 / 9), "classes": [AWAY]}
    values = values_of(scenario_of(fleet, IN_TWOS), engine)
    # Seven nodes serve 7 x 10/9 of 10 during four waves, eight of them during the last one, of one node.
    expected = 3 * 30 * (4 * (10 - 70 / 9) + (10 - 80 / 9))
    assert values["shed_requests"] == pytest.approx(expected, rel=1e-12)
    assert values["shed_requests_excess"] == pytest.approx(expected, rel=1e-9)
    assert values["min_capacity_ratio"] == pytest.approx(7 / 9, rel=1e-12)


# -- the load of a pool ----------------------------------------------------------------------------


@pytest.mark.parametrize("slow", [0, 5, 9])
def test_nodes_take_over_requests_of_those_out_of_service(slow: int) -> None:
    """While one of ten starts, nine meet 10/9 of their requests; the end of a window is exclusive. [contract]"""
    scenario = scenario_of({"service": shared(2), "classes": [{**SLOW, "nodes": [slow]}]})
    assert met(scenario, node=(slow + 1) % 10) == [33, 33, 33]
    assert met(scenario, node=slow) == [30, 30, 30]


def test_a_window_meets_the_load_during_it() -> None:
    """A window in whose middle the tenth node returns meets 3 x (5 x 10/9 + 5) = 31.7 requests. [contract]"""
    scenario = scenario_of({"service": shared(2), "classes": [{**SLOW, "update_duration": 35}]})
    assert met(scenario, node=1) == [32, 30, 30]


def test_a_balancer_weighs_by_size() -> None:
    """A node of twice the requests takes over twice as much. [contract]"""
    # 9 x 3 + 6 = 33 requests per second meet 8 x 3 + 6 = 30: 1.1 times as many for everybody.
    classes = [SLOW, {"name": "large", "nodes": [5], "requests_per_second": 6}]
    scenario = scenario_of({"service": shared(2), "classes": classes})
    assert met(scenario, node=1) == [33] * 3
    assert met(scenario, node=5) == [66] * 3
    assert met(scenario, node=0) == [30] * 3


@pytest.mark.parametrize(("update_s", "shed"), [(60, (1 / 10, 1 / 10, 1 / 10)), (35, (1 / 19, 0, 0))])
def test_shed_requests_are_failed_requests(update_s: int, shed: tuple[float, ...]) -> None:
    """Of 10/9 at a capacity of 1 a tenth is shed, of (5 x 10/9 + 5) a nineteenth, by the quantile of the window's uniform. [oracle]"""
    scenario = scenario_of({"service": shared(1), "classes": [{**SLOW, "update_duration": update_s}]})
    windows = simulate(scenario).windows
    draws = Draws(0, 0, 10)
    for node in range(1, 10):
        of_node = windows[windows["node"].eq(node)].head(3)
        for place, (requests, failed) in enumerate(zip(of_node["requests"], of_node["failed_requests"], strict=True)):
            assert failed == binom.ppf(draws.draw(Stream.WINDOW, node, place), requests, shed[place])
    assert windows["failed_requests"].sum() > 0


def test_shed_requests_and_errors_combine() -> None:
    """A request fails if it is shed or, served, meets an error: p = 1 - (1 - 0.2)(1 - 0.1). [oracle]"""
    scenario = scenario_of({"service": shared(1), "classes": [SLOW], "error_rate": 0.2})
    windows = simulate(scenario).windows
    uniform = Draws(0, 0, 10).draw(Stream.WINDOW, 4, 0)
    assert windows.loc[windows["node"].eq(4), "failed_requests"].iloc[0] == binom.ppf(uniform, 33, 0.28)


BUSY = {"requests_per_second": 3000}  # if a tenth of all requests fails, no window is below 5 %


@pytest.mark.parametrize(("capacity", "failed"), [(1, 9), (1.05, 9), (1.06, 0), (1.2, 0)])
def test_overload_fails_good_nodes(engine: str, capacity: float, failed: int) -> None:
    """1 - 0.9 x 1.05 = 5.5 % of the requests are more than 5 %, and 1 - 0.9 x 1.06 = 4.6 % are not. [oracle]"""
    policy = {**AT_ONCE, **LENIENT, "health_check": {**CHECK, "deadline": "61s"}}
    fleet = {**BUSY, "service": shared(capacity), "classes": [{**SLOW, "update_duration": 61}]}
    values = values_of(scenario_of(fleet, policy), engine)
    # The slow node starts at its deadline and fails in any case.
    assert (values["failed_nodes"], values["makespan_s"]) == (failed + 1, 61)


def test_overload_ends(engine: str) -> None:
    """Nodes that outlast the overload have three healthy windows once the last node is back, at 60 s. [contract]"""
    values = values_of(scenario_of({**BUSY, "service": shared(1), "classes": [SLOW]}), engine)
    assert (values["state"], values["makespan_s"], values["failed_nodes"]) == ("completed", 90, 0)
    # Nine nodes have six windows, the slow one three. For 30 s none serves, then a tenth is shed for 30 s.
    assert values["decision_windows"] == 9 * 6 + 3
    assert values["shed_requests"] == pytest.approx(3000 * (10 * 30 + 1 * 30), rel=1e-12)
    assert values["min_capacity_ratio"] == 0


def test_rollbacks_overload_the_others(engine: str) -> None:
    """A cascade: two early nodes are overloaded and rolled back, which overloads eight, which are rolled back, too. [contract]"""
    health = {
        "deadline": 600 * 10**9,
        "interval": 10**10,
        "success_threshold": 3,
        "failure_threshold": 2,
        "max_error_rate": 0.05,
    }
    policy = {"dialect": "rollout", "strategy": "rolling", "max_parallel": 100, "health_check": health, **LENIENT}
    early = {"name": "early", "nodes": [2, 7], "update_duration": 10}
    fleet = {**BUSY, "service": shared(1.1), "rollback_duration": 25, "classes": [early]}
    scenario = scenario_of(fleet, policy, orchestrator={"node_local_rollback": True})
    failed_at_s = simulate(scenario).nodes.set_index("node")["failed_at_s"]
    # Two of ten serve until 30 s; then eight, until 55 s, and shed 1 - 1.1 x 0.8 = 12 % in their first two windows.
    assert failed_at_s[[2, 7]].tolist() == [30, 30]
    assert failed_at_s.drop([2, 7]).tolist() == [50] * 8
    values = values_of(scenario, engine)
    assert (values["failed_nodes"], values["makespan_s"], values["min_capacity_ratio"]) == (10, 50, 0)
    # Out of ten times 3000: all for 10 s, ten less 2.2 for 20 s, and ten less 8.8 for 20 s.
    assert values["shed_requests"] == pytest.approx(3000 * (10 * 10 + 20 * 7.8 + 20 * 1.2), rel=1e-12)


# -- the lowest capacity ---------------------------------------------------------------------------


@pytest.mark.parametrize(("wave", "out"), [(1, 1), (2, 2), (3, 3), (10, 10)])
def test_capacity_is_that_of_settled_instants(engine: str, wave: int, out: int) -> None:
    """A wave that starts as another returns is not out of service together with it. [contract]"""
    values = values_of(scenario_of({"service": shared(1.5)}, {**IN_TWOS, "max_parallel": wave}), engine)
    assert values["min_capacity_ratio"] == pytest.approx(1.5 * (10 - out) / 10, rel=1e-12)


def test_capacity_is_lowest_at_the_peak(engine: str) -> None:
    """A peak of traffic within a wave counts, even if no node changes then. [contract]"""
    fleet = {"service": shared(1.5), **daily(["8h", 1], ["8h15s", 4], ["8h30s", 1])}
    values = values_of(scenario_of(fleet, IN_TWOS, at=EIGHT), engine)
    assert values["min_capacity_ratio"] == pytest.approx(1.5 * 8 / 40, rel=1e-12)
    # Demand is 30 (1 + t / 5) up to 15 s and falls likewise; 8 x 3 x 1.5 = 36 are served from 1 s to 29 s on.
    assert values["shed_requests"] == pytest.approx(28 * (120 - 36) / 2, rel=1e-12)


@pytest.mark.parametrize("silence", [{"requests_per_second": 0}, daily(["3h", 0])])
def test_capacity_is_unknown_without_demand(engine: str, silence: dict[str, Any]) -> None:
    """Without requests nothing is shed, and the ratio is NaN. [contract]"""
    values = values_of(scenario_of({"service": shared(1.5), **silence}), engine)
    assert math.isnan(values["min_capacity_ratio"])
    assert (values["shed_requests"], values["shed_requests_excess"]) == (0, 0)


def test_an_outage_without_demand_is_none(engine: str) -> None:
    """A pool without demand doesn't lower the ratio, even if none of its nodes serves. [contract]"""
    classes = [{"name": "idle", "nodes": [0, 1], "requests_per_second": 0}]
    values = values_of(scenario_of({"service": shared(2, "class"), "classes": classes}, IN_TWOS), engine)
    # The waves after the first one take two of the eight others.
    assert values["min_capacity_ratio"] == pytest.approx(2 * 6 / 8, rel=1e-12)


def test_responses_about_requests_are_unknown_without_an_end(engine: str) -> None:
    """If a rollout never ends, lost and shed requests and the lowest capacity are NaN. [contract]"""
    paused = scenario_of({"service": shared(2)}, IN_TWOS, operator=script((5, "pause")))
    values = values_of(paused, engine)
    names = ("lost_requests", "lost_requests_excess", "shed_requests", "shed_requests_excess", "min_capacity_ratio")
    assert values["state"] == "paused"
    assert all(math.isnan(values[name]) for name in names)


# -- pools -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("across", "lowest", "shed"), [("fleet", 0.8, 0.2 * 10), ("zone", 0.6, 0.4 * 5)])
def test_zones_may_share(engine: str, across: str, lowest: float, shed: float) -> None:
    """With two nodes out in a zone of five, three serve the zone's requests, or eight the fleet's. [contract]"""
    fleet = {"service": shared(1, across), "zones": 2, "order": "zone"}
    first_two = scenario_of(fleet, IN_TWOS, operator=script((10, "cancel")))
    values = values_of(first_two, engine)
    assert values["min_capacity_ratio"] == pytest.approx(lowest, rel=1e-12)
    # They go back at once, which takes 30 s.
    assert values["shed_requests"] == pytest.approx(3 * 40 * shed, rel=1e-12)


def test_zones_meet_their_own_requests() -> None:
    """Nodes of a slow node's zone meet 5/4 of their requests, those of the other zone 1. [contract]"""
    scenario = scenario_of({"service": shared(2, "zone"), "zones": 2, "classes": [SLOW]})
    assert met(scenario, node=2) == [38] * 3  # 37.5
    assert met(scenario, node=1) == [30] * 3


def test_classes_may_share(engine: str) -> None:
    """A class that is updated in one wave serves nothing meanwhile; the others keep their load. [contract]"""
    classes = [{"name": "database", "nodes": [0, 1], "requests_per_second": 10}]
    scenario = scenario_of({"service": shared(4, "class"), "classes": classes}, IN_TWOS)
    values = values_of(scenario, engine)
    assert values["min_capacity_ratio"] == 0
    assert values["shed_requests"] == pytest.approx(2 * 10 * 30, rel=1e-12)
    whole = scenario.with_values({"fleet.service.shared.across": "fleet"})
    assert values_of(whole, engine)["shed_requests"] == 0


CRASHING = {
    "nodes": 40,
    "zones": 4,
    "update_duration": {"exponential": {"mean": 30}},
    "crash": spells("4m", {"exponential": {"mean": 40}}) | {"renewed_by_update": True},
    "zone_outage": spells("20m", "30s"),
    "classes": [{"name": "away", "share": 0.1, "down": True}],
}
NEVER_STOPPED = {"max_failed_nodes": 40, "max_failed_nodes_percent": 100}


@pytest.mark.parametrize("type_name", ["update", "restart", "rollback"])
def test_shed_requests_follow_from_the_nodes_in_service(engine: str, type_name: str) -> None:
    """Shed requests and lowest capacity follow from the timeline's nodes in service, crashes included. [property]"""
    policy = rolling(6, **NEVER_STOPPED)
    scenario = scenario_of({**CRASHING, "service": shared(1.3)}, policy, deployment={"type": type_name})
    for replication in range(5):
        rollout = simulate(scenario, replication=replication)
        end_s = rollout.response_values["makespan_s"]
        timeline = rollout.timeline[rollout.timeline["time_s"].le(end_s)]
        lengths_s = (timeline["time_s"].shift(-1).fillna(end_s) - timeline["time_s"]).clip(lower=0)
        shed = (3 * (40 - 1.3 * timeline["in_service"]).clip(lower=0) * lengths_s).sum()
        values = values_of(scenario, engine, replication)
        assert values["shed_requests"] == pytest.approx(shed, rel=1e-9)
        assert values["min_capacity_ratio"] == pytest.approx(1.3 * timeline["in_service"].min() / 40, rel=1e-9)
        assert timeline["load"].to_numpy() == pytest.approx((40 / (1.3 * timeline["in_service"])).to_numpy(), rel=1e-9)
        assert shed > 0


@pytest.mark.parametrize("up", [{}, {"up": {"empirical": {"values": [0, 240, 480]}}}], ids=["later", "at once"])
def test_load_follows_from_the_nodes_in_service(up: dict[str, Any]) -> None:
    """Windows meet all nodes' requests divided among those in service, crashes included, also at the start. [property]"""
    policy = {**AT_ONCE, **NEVER_STOPPED}
    release = {"shaky": {"probability": 1, "crash_rate": 4}}
    crashing = {**CRASHING, "crash": CRASHING["crash"] | up}
    scenario = scenario_of({**crashing, "service": shared(2)}, policy, release=release)
    for replication in range(3):
        rollout = simulate(scenario, replication=replication)
        serving = rollout.timeline.drop_duplicates("time_s", keep="last").set_index("time_s")["in_service"]
        windows = rollout.windows
        assert serving.loc[windows["ended_s"].min() :].nunique() > 5
        for window in windows.itertuples():
            start_s, end_s = window.ended_s - 10, window.ended_s
            within = serving[(serving.index > start_s) & (serving.index < end_s)]
            counts = [serving[serving.index <= start_s].iloc[-1], *within]
            edges = np.array([start_s, *within.index, end_s])
            # A node that is down has windows as well, with the requests that the balancer would give it.
            load_s = sum(40 / count * length for count, length in zip(counts, np.diff(edges), strict=True) if count)
            assert window.requests == pytest.approx(3 * load_s, abs=0.5 + 1e-5)
        for engine in ENGINES:
            assert values_of(scenario, engine, replication)["decision_requests"] == windows["requests"].sum()


def test_lost_requests_follow_from_the_time_out_of_service(engine: str) -> None:
    """Lost requests are node-seconds out of service times requests per second, also in excess. [property]"""
    policy = {**IN_TWOS, **NEVER_STOPPED}
    for replication in range(5):
        values = values_of(scenario_of(CRASHING, policy), engine, replication)
        assert values["lost_requests"] == pytest.approx(3 * values["unavailable_node_s"], rel=1e-9)
        excess = 3 * values["unavailable_excess_node_s"]
        assert values["lost_requests_excess"] == pytest.approx(excess, rel=1e-9, abs=1e-6)


def test_down_nodes_leave_their_requests() -> None:
    """If a node is down for good, nine nodes meet 10/9 of their requests. [contract]"""
    assert met(scenario_of({"service": shared(2), "classes": [AWAY]}, {**AT_ONCE, **LENIENT})) == [33] * 3


def load_s(pool: PoolLoad, capacity: float, start: int, end: int) -> float:
    """Return the integral of a pool's load over a window, from what the responses are computed from."""
    edges = np.unique([*np.clip(pool.times_ns, start, end).tolist(), start, end])
    place = np.searchsorted(pool.times_ns, edges[:-1], side="right") - 1
    begins, lasts = pool.times_ns[place], np.diff(np.append(pool.times_ns, end + 1))[place]
    slopes = (pool.load_after - pool.load)[place] / np.maximum(lasts, 1)
    first, last = (pool.load[place] + slopes * (at - begins) for at in (edges[:-1], edges[1:]))
    return float(integrate_many(first, last, capacity, np.diff(edges) / 1e9)[0].sum())


@pytest.mark.parametrize("chunk", range(4))
def test_windows_and_responses_see_the_same_load(chunk: int) -> None:
    """In generated scenarios a window's load during the rollout is the load computed from its records. [property]"""
    numbers = random.Random(chunk)
    n_windows = n_loaded = 0
    for _ in range(100):
        raw = generated(Decisions(numbers.randbytes(256)))
        sharing = {"capacity": numbers.choice([0.8, 1.15]), "across": numbers.choice(["fleet", "zone", "class"])}
        raw["fleet"]["service"] = {"shared": sharing}
        scenario = Scenario.from_dict(raw)
        chosen = scenario.policies["p"]
        recording = run_reference(scenario, chosen, seed=chunk, replication=0)
        windows, world = recording.windows, recording.world
        if not len(windows.end_ns):
            continue
        length_ns = read_health_rule(chosen.policy, scenario.orchestrator).interval_ns
        service = Service(recording, open_end_ns=int(windows.end_ns[-1]))
        pool_of = pools_of(world)
        for end, node, requests in zip(windows.end_ns, windows.node, windows.requests, strict=True):
            # Nodes may be validated beyond the horizon.
            if end > service.end_ns:
                continue
            met_s = load_s(service.requests.pools[pool_of[node]], sharing["capacity"], end - length_ns, end)
            expected = float(world.behaviour_of[node].requests_per_second) * met_s
            assert abs(requests - expected) <= 0.5 + 1e-5
            n_windows += 1
            n_loaded += not math.isclose(met_s, length_ns / 1e9)
    assert n_windows > 1000
    assert n_loaded > 300


# -- types -----------------------------------------------------------------------------------------


def test_a_node_is_not_missed_before_it_is_created(engine: str) -> None:
    """In a create each node brings its own requests, so nothing is shed, and the load stays 1. [contract]"""
    scenario = scenario_of({"service": shared(1.5), "classes": [SLOW]}, deployment={"type": "create"})
    values = values_of(scenario, engine)
    assert (values["shed_requests"], values["min_capacity_ratio"]) == (0, 1.5)
    assert values["decision_requests"] == 10 * 3 * 30


def test_a_created_node_is_missed_until_it_is_removed(engine: str) -> None:
    """Nodes are missed during their rollback of 30 s, and not afterwards. [contract]"""
    rest = {"deployment": {"type": "create"}, "operator": script((70, "cancel"))}
    values = values_of(scenario_of({"service": shared(1.5)}, IN_TWOS, **rest), engine)
    # Four nodes run at 60 s and go back at 70 s; the third wave has not started.
    assert (values["shed_requests"], values["min_capacity_ratio"]) == (4 * 3 * 30, 0)


def test_a_node_is_missed_until_it_leaves(engine: str) -> None:
    """In a stop a node serves until it leaves with its requests, so the ratio stays the capacity. [contract]"""
    values = values_of(scenario_of({"service": shared(1.5)}, IN_TWOS, deployment={"type": "stop"}), engine)
    assert (values["shed_requests"], values["min_capacity_ratio"]) == (0, 1.5)


def test_nodes_that_stop_take_their_requests_along(engine: str) -> None:
    """In a stop with one of ten down for good, demand is that of 10, 8, 6, 4 and 2 nodes, and one is always missing. [contract]"""
    fleet = {"service": shared(1), "classes": [AWAY]}
    values = values_of(scenario_of(fleet, {**IN_TWOS, **LENIENT}, deployment={"type": "stop"}), engine)
    # At last one of two serves, until 150 s; the missing one is not missed any more when that has left, too.
    assert values["makespan_s"] == 150
    assert values["shed_requests"] == pytest.approx(3 * 150, rel=1e-12)
    assert values["shed_requests_excess"] == pytest.approx(0, abs=1e-9)
    assert values["min_capacity_ratio"] == pytest.approx(1 / 2, rel=1e-12)


def test_down_nodes_are_missed_as_long_as_their_pool(engine: str) -> None:
    """In a stop by zones, nodes that are down for good are missed until their pool has left. [contract]"""
    classes = [
        {"name": "away", "nodes": [4, 9], "down": True},
        {"name": "slow", "nodes": [1, 3, 5, 7], "update_duration": 100},
    ]
    policy = {**AT_ONCE, **LENIENT}
    stop = {"service": shared(1.5, "zone"), "zones": 2, "classes": classes}
    values = values_of(scenario_of(stop, policy, deployment={"type": "stop"}), engine)
    # Four of five serve and leave together, at 30 s and at 100 s: demand is 5/4 of what serves.
    assert (values["makespan_s"], values["shed_requests"]) == (100, 0)
    assert values["min_capacity_ratio"] == pytest.approx(1.5 * 4 / 5, rel=1e-12)
    # By classes the two that are down are alone: nobody serves their requests.
    alone = scenario_of({**stop, "service": shared(1.5, "class")}, policy, deployment={"type": "stop"})
    assert values_of(alone, engine)["shed_requests"] == pytest.approx(2 * 3 * 100, rel=1e-12)


# -- failed requests -------------------------------------------------------------------------------

DEFECT_FOR_100_S: dict[str, Any] = {
    "release": {"bad": {"probability": 1, "defective": True, "error_rate": 0.5}},
    "operator": {"escape_detection": 100},
}


@pytest.mark.parametrize(
    ("service", "served"), [("local", 1), (shared(2), 10 / 9), (shared(1.05), 1.05), (shared(1), 1)]
)
def test_a_defect_fails_what_a_node_serves(engine: str, service: Any, served: float) -> None:
    """Nine nodes serve their own load, 10/9 of it, or as much as they can, for 100 s, and then all ten their own. [oracle]"""
    fleet = {"service": service, "classes": [{**SLOW, "update_duration": 130}]}
    values = values_of(scenario_of(fleet, IMMEDIATE, **DEFECT_FOR_100_S), engine)
    assert values["failed_requests_excess"] == pytest.approx(0.5 * 3 * (900 * served + 900 + 100), rel=1e-12)


def test_a_defect_fails_more_by_day(engine: str) -> None:
    """Excess failed requests are weighted by the traffic from 30 s after 8:00 on for 100 s. [oracle]"""
    scenario = scenario_of(RISING, IMMEDIATE, at=EIGHT, **DEFECT_FOR_100_S)
    expected = 10 * 3 * 0.5 * 100 * (1 + 80 / 3600)
    assert values_of(scenario, engine)["failed_requests_excess"] == pytest.approx(expected, rel=1e-12)


# -- the file --------------------------------------------------------------------------------------


def test_requests_are_read_and_written() -> None:
    """Service and traffic are read, and written back unchanged; `local` and `none` are the defaults. [contract]"""
    fleet = {
        "nodes": 10,
        "update_duration": 30,
        "service": shared(1.4, "zone"),
        "traffic": {"daily": [["0h", 0.2], ["8h30m", 1], ["20h", 0.6]]},
        "classes": [{"name": "a", "share": 0.5, "traffic": "none"}],
    }
    raw = {"name": "requests", "fleet": fleet, "policies": {"p": IN_TWOS}}
    scenario = Scenario.from_dict(raw)
    assert scenario.to_dict() == raw
    assert scenario.fleet.service is not None
    assert (scenario.fleet.service.capacity, scenario.fleet.service.across) == (1.4, "zone")
    assert scenario.fleet.classes[0].behaviour.traffic is None
    plain = scenario_of({})
    assert scenario_of({"service": "local", "traffic": "none"}).fleet == plain.fleet
    assert (plain.fleet.service, plain.fleet.behaviour.traffic) == (None, None)


BAD = [
    ({"service": "shared"}, "service", "allowed: local, or {shared: {capacity: 1.4}}; write {shared:"),
    ({"service": "lokal"}, "service", "did you mean 'local'?"),
    ({"service": True}, "service", "(found true); allowed: local, or {shared: {capacity: 1.4}}"),
    ({"service": {"shared": {}}}, "service.shared.capacity", "required key is missing"),
    ({"service": shared(0)}, "service.shared.capacity", "(found 0); allowed: a number above 0"),
    ({"service": {"shared": {"capacity": "140%"}}}, "service.shared.capacity", "write 1.4"),
    ({"service": shared(1, "zones")}, "service.shared.across", "did you mean 'zone'?"),
    ({"service": {"shard": {"capacity": 1}}}, "service.shard", "did you mean 'shared'?"),
    ({"service": {"capacity": 1.4}}, "service.capacity", "a key of shared: service: {shared: {capacity: 1.4"),
    ({"shared": {"capacity": 1.4}}, "shared", "a key of service"),
    ({"daily": [["8h", 1]]}, "daily", "a key of traffic: traffic: {daily:"),
    ({"capacity": 1.4}, "capacity", "a key of service: service: {shared: {capacity: 1.4}}"),
    ({"classes": [{"name": "a", "share": 0.5, "service": "local"}]}, "classes[0].service", "unknown key"),
    (daily(), "traffic.daily", "a list of pairs, such as [[0h, 0.2], [8h, 1]]"),
    (daily(["8h", 1, 2]), "traffic.daily[0]", "a time of day and a factor"),
    (daily(["8h", 1], ["8h", 2]), "traffic.daily[1][0]", "a time after 8h"),
    (daily(["24h", 1]), "traffic.daily[0][0]", "(found '24h'); allowed: a time of day from 0h"),
    (daily(["8:30", 1]), "traffic.daily[0][0]", "write 8h30m or 8m30s"),
    (daily(["8h", -1]), "traffic.daily[0][1]", "negative (found -1); allowed: a number from 0"),
    ({"traffic": {"dayly": [["8h", 1]]}}, "traffic.dayly", "did you mean 'daily'?"),
]


@pytest.mark.parametrize(("fleet", "path", "fragment"), BAD)
def test_bad_requests_are_refused(fleet: dict[str, Any], path: str, fragment: str) -> None:
    """A bad value is an error with its place, the allowed values, and a suggestion. [contract]"""
    problem = next(one for one in refused(scenario_of, fleet).problems if format_path(one.path) == f"fleet.{path}")
    assert fragment in str(problem)


@pytest.mark.parametrize(
    ("fleet", "costs", "path", "text"),
    [
        ({"service": shared(1.4)}, {"shed_request": 1}, "", ""),
        ({}, {"lost_request": 1, "shed_request": 0}, "", ""),
        ({}, {"shed_request": 1}, "costs.shed_request", "no effect: in a local service no request is shed"),
        (
            {"service": shared(2)},
            {"lost_request": 1},
            "costs.lost_request",
            "no effect: in a shared service no request is lost",
        ),
        ({"service": shared(2, "zone"), "zones": 2}, {}, "", ""),
        ({"service": shared(2, "zone")}, {}, "fleet.service.shared.across", "no effect: the fleet has no zones"),
        ({"service": shared(2, "class")}, {}, "fleet.service.shared.across", "no effect: the fleet has no classes"),
        ({"service": shared(0.9)}, {}, "fleet.service.shared.capacity", "below the demand of 1 at any hour"),
        ({"service": shared(0.9), **RISING}, {}, "fleet.service.shared.capacity", "below the demand of 1 at"),
        ({"service": shared(1), **RISING}, {}, "", ""),
        ({"service": shared(2), "requests_per_second": 0}, {}, "fleet.service", "no effect: there are no requests"),
        ({**RISING, "requests_per_second": 0}, {}, "fleet.traffic", "no effect: there are no requests"),
        (daily([0, 1], [28_800, 2]), {}, "", ""),
        (daily([0, 1], [8.5, 2]), {}, "fleet.traffic.daily[1][0]", "a number is seconds; for the hour write 8.5h"),
        (
            {"classes": [{"name": "a", "share": 0.5, **daily([8, 1])}]},
            {},
            "fleet.classes[0].traffic.daily[0][0]",
            "a number is seconds; for the hour write 8h",
        ),
    ],
)
def test_suspicious_requests_are_warned_about(
    fleet: dict[str, Any], costs: dict[str, Any], path: str, text: str
) -> None:
    """Keys without effect, hours that look like seconds, and a constantly overloaded service are warned about. [contract]"""
    policy = {**AT_ONCE, "max_parallel": 2}
    found = scenario_of(fleet, policy, at=EIGHT, costs={"failed_request": 1, **costs}).warnings
    assert [format_path(problem.path) for problem in found] == [path] * bool(path)
    assert all(text in problem.message for problem in found)


def test_requests_can_be_varied() -> None:
    """Capacity, factors and times of traffic, and the start are factors of `with_values` and of a sweep. [contract]"""
    scenario = scenario_of({"service": shared(1), **RISING}, IN_TWOS, at=EIGHT)
    service = {"fleet.service.shared.capacity": 1.5, "fleet.service.shared.across": "zone"}
    changed = scenario.with_values({**service, "fleet.traffic.daily.1.0": "10h", "fleet.traffic.daily.1.1": 3})
    assert changed.fleet.service is not None
    assert (changed.fleet.service.capacity, changed.fleet.service.across) == (1.5, "zone")
    assert changed.fleet.behaviour.traffic is not None
    assert changed.fleet.behaviour.traffic.factors == (1, 3)
    assert changed.fleet.behaviour.traffic.times_ns == (8 * 3600 * 10**9, 10 * 3600 * 10**9)
    with pytest.raises(InputError, match=r"fleet\.traffic\.daily.*times must rise"):
        scenario.with_values({"fleet.traffic.daily.0.0": "9h"})


def test_requests_can_be_swept(engine: str) -> None:
    """A sweep over capacity, traffic and hour gives what each scenario gives alone. [contract]"""
    scenario = scenario_of({"service": shared(1), **RISING}, IN_TWOS, at=EIGHT)
    vary: dict[str, list[Any]] = {
        "scenario.fleet.service.shared.capacity": [0.9, 1.1],
        "scenario.fleet.traffic.daily.1.1": [2, 4],
        "scenario.deployment.created_at": [EIGHT, "2026-03-02T09:00:00+02:00"],
    }
    table = sweep(scenario, "p", vary=vary, replications=1, engine=engine).to_frame()
    assert table["status"].eq("ok").all()
    assert table["shed_requests"].nunique() == 8
    for record in table.to_dict("records"):
        alone = scenario.with_values({name.removeprefix("scenario."): record[name] for name in vary})
        assert values_of(alone, engine)["shed_requests"] == pytest.approx(record["shed_requests"], rel=1e-12)


# -- traffic as a function -------------------------------------------------------------------------

_MILLISECONDS = st.integers(0, 86_399_999).map(lambda ms: ms * 10**6)
_TIMES = st.lists(_MILLISECONDS, min_size=1, max_size=6, unique=True).map(sorted)


@given(times=_TIMES, data=st.data(), start=st.integers(0, 3 * DAY_NS), length=st.integers(0, 3 * DAY_NS))
def test_traffic_is_the_sum_of_its_trapezoids(times: list[int], data: st.DataObject, start: int, length: int) -> None:
    """The integral of any traffic over any span, or many spans at once, is the closed form. [oracle]"""
    factors = data.draw(st.lists(st.floats(0, 100), min_size=len(times), max_size=len(times)))
    traffic = Traffic(tuple(times), tuple(factors))
    daily = [(time / 1e9, factor) for time, factor in zip(times, factors, strict=True)]
    expected = oracles.traffic_s(daily, start / 1e9, length / 1e9)
    assert traffic.between(start, start + length) == pytest.approx(expected, rel=1e-9, abs=1e-6)
    many = traffic.between_many(np.array([start, 0]), np.array([start + length, start]))
    assert many.tolist() == [traffic.between(start, start + length), traffic.between(0, start)]
    assert traffic.factors_at(np.array([start])).tolist() == [traffic.factor_at(start)]
    points = traffic.points_between(start, start + length)
    assert all(start < point < start + length for point in points.tolist())
