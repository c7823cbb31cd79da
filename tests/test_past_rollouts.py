"""Rollouts on record as the worlds of a scenario: each replication is one of them, under any policy."""

import gc
import math
import pickle
import shutil
import warnings
import weakref
from collections import Counter
from dataclasses import replace

import pandas as pd
import pytest
from test_backtest import CHECK, bounds, rolling

import simdeploy
from simdeploy import InputError, Scenario, backtest, simulate
from simdeploy.analysis import tune
from simdeploy.analysis.asking.simulating import cap_replications
from simdeploy.engines.choice import choose_engine
from simdeploy.engines.replay import KnownNode
from simdeploy.engines.replay.knowing import RunBy
from simdeploy.engines.replay.refusing import find_refusals
from simdeploy.engines.replay.silences import Silences
from simdeploy.engines.replay.worlds import Past, choose_past
from simdeploy.errors import catch_warned
from simdeploy.experiments.campaign import Campaign
from simdeploy.explorer.answering import Explorer
from simdeploy.scenario.past_rollouts import find_kind
from simdeploy.sharing.simulating import Request, report_scenario
from simdeploy.world.realized import World

FLEET = {
    "nodes": 10,
    "zones": 2,
    "update_duration": {"exponential": {"mean": "1m"}},
    "rollback_duration": "10s",
    "start_failure": 0.15,
    "requests_per_second": 10,
    "error_rate": 0.01,
}
RELEASE = {"good": {"probability": 0.7}, "bad": {"probability": 0.3, "defective": True, "error_rate": 0.3}}
POLICIES = {"fours": rolling(max_failed_nodes=2, max_failed_nodes_percent=100), "twos": rolling(2, max_failed_nodes=1)}
RAW = {"name": "drawn", "fleet": FLEET, "release": RELEASE, "policies": POLICIES}
N = 6
SEED = 7  # of the records only


@pytest.fixture(scope="module")
def drawn():
    """Return the scenario that the records are simulated from."""
    return Scenario.from_dict(RAW)


@pytest.fixture(scope="module")
def folder(drawn, tmp_path_factory):
    """Return a folder with records of six rollouts under the first policy, of good and of bad releases."""
    place = tmp_path_factory.mktemp("past")
    for replication in range(N):
        simulate(drawn, seed=SEED, replication=replication).write(place / "history" / f"{replication}")
    return place


@pytest.fixture(scope="module")
def scenario(folder):
    """Return the same scenario with worlds on record."""
    return read(folder)


def read(folder):
    """Read it anew."""
    return Scenario.from_dict({**RAW, "fleet": {**FLEET, "records": "history"}}, base=folder)


def rows(rollout):
    return {name: None if value != value else value for name, value in rollout.response_values.items()}


def test_replications_are_the_rollouts_on_record(drawn, scenario):
    """Under its own policy each replication repeats a rollout with all responses, cyclically. [oracle]"""
    assert len({str(rows(simulate(drawn, seed=SEED, replication=k))) for k in range(N)}) == N
    for replication in range(2 * N):
        true = simulate(drawn, seed=SEED, replication=replication % N)
        assert rows(simulate(scenario, replication=replication)) == rows(true)
    kept = ["name", "zone", "status", "attempts", "started_at_s", "resolved_at_s", "failed_reason"]
    again, true = simulate(scenario, replication=1), simulate(drawn, seed=SEED, replication=1)
    pd.testing.assert_frame_equal(again.nodes[kept], true.nodes[kept])


def test_policies_on_record_are_read_without_changing_filters(scenario, monkeypatch):
    """Replays on threads read records; filters of warnings, which all threads share, stay as they are meanwhile. [contract]"""
    filters, read_policy = [], Scenario.policy

    def read(self, policy):
        filters.append(id(warnings.filters))
        return read_policy(self, policy)

    monkeypatch.setattr(Scenario, "policy", read)
    Past.of(scenario.past.histories[0])
    assert filters == [id(warnings.filters)]


def test_people_do_as_recorded_although_a_canary_fails_early(tmp_path):
    """A canary that fails is watched for less than its time, which leaves nothing unknown: people still cancel. [oracle]"""
    check = {"deadline": "10m", "min_healthy_time": "60s", "failure_threshold": 2, "max_error_rate": 0.05}
    policy = {
        "dialect": "general",
        "strategy": "canary",
        "canary_count": 4,
        "max_parallel": 3,
        "auto_promote": False,
        "health_check": check,
    }
    raw = {
        "name": "canceled",
        "fleet": FLEET,
        "release": {"bad": {"probability": 1, "defective": True, "error_rate": 0.3, "affects": {"share": 0.5}}},
        "orchestrator": {"canary_gate": "limits"},
        "operator": {"promote_after": "10m", "script": [{"at": "12m", "do": "cancel"}]},
        "policies": {"p": {**policy, "max_failed_nodes": 9, "max_failed_nodes_percent": 100}},
    }
    true = [simulate(Scenario.from_dict(raw), replication=replication) for replication in range(N)]
    for replication, rollout in enumerate(true):
        rollout.write(tmp_path / "history" / f"{replication}")
    raw |= {"fleet": {**FLEET, "records": "history"}, "operator": {"promote_after": "1m"}}
    again = Scenario.from_dict(raw, base=tmp_path)
    canceled = [k for k in range(N) if true[k].responses["state"] == "canceled" and true[k].responses["failed_nodes"]]
    assert canceled
    for replication in canceled:
        assert rows(simulate(again, replication=replication)) == rows(true[replication])


def test_other_policies_are_as_in_a_backtest(folder, scenario):
    """Another policy has the values that a backtest knows, and others between its bounds. [property]"""
    found = backtest(folder / "history", {"other": POLICIES["twos"]})
    n_known = 0
    for replication in range(N):
        values = simulate(scenario, "twos", replication=replication).response_values
        for response in ("makespan_s", "touched_nodes", "failed_nodes", "updated_nodes"):
            low, high = bounds(found, response, rollout=f"{replication}")
            assert low <= values[response] <= high
            n_known += low == high
    assert n_known > N


def test_a_record_is_read_once(folder, scenario, monkeypatch):
    """Policies, repetitions and other fleets share what depends on the record alone; rows are those of single rollouts. [property]"""
    singles = {
        (name, replication): rows(simulate(scenario, name, replication=replication))
        for name in POLICIES
        for replication in range(2 * N)
    }
    n_read = Counter()
    of = Past.of

    def count(history):
        n_read[history.rollout["rollout"]] += 1
        return of(history)

    monkeypatch.setattr(Past, "of", count)
    scenario = read(folder)
    table = simdeploy.replicate(scenario, replications=2 * N)
    simdeploy.timelines(scenario, replications=N, until="10m")
    simdeploy.sweep(
        scenario, "fours", vary={"fleet.start_hang": [0.1, 0.2], "max_failed_nodes": [1, 2]}, replications=N
    )
    assert n_read == {str(replication): 1 for replication in range(N)}
    for row in table.to_dict("records"):
        values = singles[row["policy"], row["replication"]]
        assert {name: None if row[name] != row[name] else row[name] for name in values} == values


def test_unrecorded_outcomes_follow_the_last_change_of_the_fleet(folder, scenario):
    """Fleets that take turns with the same records have the same rows as each alone. [property]"""
    lax = rolling(2, max_failed_nodes=9, max_failed_nodes_percent=100)
    means = []
    for mean in ("1m", "9m", "1m", "9m"):
        values = {"fleet.update_duration": {"exponential": {"mean": mean}}}
        shared, alone = (
            [rows(simulate(each.with_values(values), lax, replication=k)) for k in range(N)]
            for each in (scenario, read(folder))
        )
        assert shared == alone
        means.append(shared)
    assert means[0] == means[2] != means[1] == means[3]


def test_records_are_not_kept(folder):
    """The records of a scenario that is gone leave the memory. [property]"""
    scenario = read(folder)
    simdeploy.replicate(scenario, replications=1)
    history = weakref.ref(scenario.past.histories[0])
    del scenario
    gc.collect()
    assert history() is None


def test_silent_nodes_make_the_attempts_of_a_world_as_silent(scenario):
    """Of many series of attempts, a silent node makes the first that begins with as long a silence, one by one. [oracle]"""
    fleet = {
        "nodes": 40,
        "start_attempts": 2,
        "start_hang": 0.01,
        "start_failure": 0.3,
        "update_duration": FLEET["update_duration"],
    }
    classes = [
        {
            "name": "slow",
            "share": 0.4,
            "start_attempts": 3,
            "start_hang": 0,
            "update_duration": {"uniform": {"low": 0, "high": 90}},
        }
    ]
    drawn = Scenario.from_dict({**RAW, "fleet": {**fleet, "classes": classes}})
    world = World(drawn.fleet, drawn.release, drawn.operator, SEED, 3)
    silent_ns = [node * 10**10 for node in range(39)] + [10**15]
    silences = Silences([KnownNode(0, "silent", silent) for silent in silent_ns])

    def is_silent(node, first, n):
        ends = 0
        for attempt in range(first, first + n):
            ends += world.start_ns(node, attempt)
            if ends > silent_ns[node] or world.start_hangs(node, attempt):
                return True
            if not world.start_fails(node, attempt):
                return False
        return False

    firsts = []
    for node in range(40):
        n = world.behaviour_of[node].start_attempts
        firsts.append(next((first for first in range(0, 200 * n, n) if is_silent(node, first, n)), None))
        assert silences.find_first(world, node) == firsts[-1]
    assert None in firsts
    assert max(first or 0 for first in firsts) > 100


def test_many_attempts_are_not_drawn_at_once(monkeypatch):
    """Of a thousand possible attempts of each silent node, only as many are drawn as may be made, a million at once. [contract]"""
    fleet = {"nodes": 2000, "start_attempts": 1000, "start_failure": 0.3, "update_duration": "1m"}
    drawn = Scenario.from_dict({**RAW, "fleet": fleet})
    world = World(drawn.fleet, drawn.release, drawn.operator, SEED, 3)
    n_drawn = []
    attempts_of = World.attempts_of

    def count(self, number, nodes, attempts):
        n_drawn.append(len(nodes) * len(attempts))
        return attempts_of(self, number, nodes, attempts)

    monkeypatch.setattr(World, "attempts_of", count)
    silences = Silences([KnownNode(0, "silent", 0)] * 2000)
    assert {silences.find_first(world, node) for node in range(2000)} == {0}
    assert max(n_drawn) <= 10**6
    assert sum(n_drawn) == 2000 * 75
    # A silence that is seldom as long needs many series, of which most are short.
    n_drawn.clear()
    seldom = [KnownNode(0, "silent", 10**15), *[KnownNode(0, "silent", 0)] * 1999]
    assert Silences(seldom).find_first(world, 0) is None
    assert sum(n_drawn) == (2000 + 199) * 75


def test_unrecorded_outcomes_follow_the_fleet(tmp_path):
    """The first of two nodes on record failed and stopped the rollout; the second follows the fleet's keys. [oracle]"""
    header = "rollout,node,dispatched_at_s,resolved_at_s,status,cause,attempts"
    (tmp_path / "nodes.csv").write_text(f"{header}\nr,a,0,20,failed,did_not_start,1\n")
    (tmp_path / "rollouts.csv").write_text("rollout,nodes,state\nr,2,failed\n")
    lax = {
        "strategy": "rolling",
        "max_parallel": 1,
        "max_failed_nodes": 1,
        "max_failed_nodes_percent": 100,
        "health_check": {**CHECK, "min_healthy_time": 0},
    }
    raw = {"name": "two", "policies": {"p": lax}, "fleet": {"nodes": 2, "update_duration": "50s", "records": "."}}
    rollout = simulate(Scenario.from_dict(raw, base=tmp_path))
    assert rollout.nodes["resolved_at_s"].tolist() == [20, 70]
    assert rollout.nodes["status"].tolist() == ["failed", "running"]
    assert rollout.responses["makespan_s"] == 70


def test_resampling_draws_whole_rollouts(scenario):
    """With `resample` each rollout is drawn equally often, within four standard errors, and unchanged. [oracle]"""
    resampled = scenario.with_values({"fleet.resample": "rollouts"})
    n = 600
    names = [choose_past(resampled, seed=1, replication=k).rollout["rollout"] for k in range(n)]
    counts = Counter(names)
    assert len(counts) == N
    assert names[: 2 * N] != names[N : 3 * N]
    assert max(abs(count - n / N) for count in counts.values()) < 4 * math.sqrt(n * (N - 1) / N**2)
    assert rows(simulate(resampled, seed=1)) == rows(simulate(scenario, replication=int(names[0])))


def test_a_kind_has_the_rollouts_of_its_kind(drawn, scenario):
    """A kind of release has the recorded rollouts of that kind; without kinds all are used, in order. [contract]"""
    kinds = [simulate(drawn, seed=SEED, replication=k).responses["release"] for k in range(N)]
    n_good = kinds.count("good")
    assert 0 < n_good < N
    good = scenario.given("good")
    of_good = [k for k, kind in enumerate(kinds) if kind == "good"]
    makespans = [simulate(drawn, seed=SEED, replication=k).responses["makespan_s"] for k in of_good]
    assert [simulate(good, replication=k).responses["makespan_s"] for k in range(n_good)] == makespans
    table = simdeploy.replicate(scenario, "fours", replications=N)
    assert table["release"].tolist() == kinds
    found = simdeploy.check(scenario, "fours", requirements=["p50 makespan_s <= 1h"], most=20)
    assert found.n_failed == {"fours": 0}


def test_only_the_reference_engine_has_records(scenario):
    """The compiled engine is refused for rollouts on record, and not chosen for much work. [contract]"""
    for call in (simulate, simdeploy.replicate, simdeploy.timelines, simdeploy.explore):
        with pytest.raises(InputError, match="only the reference engine simulates rollouts on record"):
            call(scenario, engine="compiled")
    asked = [(scenario, list(scenario.policies.values()))]
    assert choose_engine("auto", asked, node_updates=10**9) == "reference"


def test_each_reason_of_a_refusal_is_listed_once(scenario):
    """What both the recorded and the other policy lack is one problem, and the order doesn't depend on their hashes. [contract]"""
    waves = [{"size": 1, "promotion": True}, {"size": 9}]
    raw = rolling(dialect="general", waves=waves, retries=1, retry_unhealthy=True)
    policies = {"a": raw, "b": {**raw, "max_failed_nodes": 3}}
    both = [
        RunBy(of.policy, scenario.orchestrator_of(of))
        for of in Scenario.from_dict({**RAW, "policies": policies}).policies.values()
    ]
    history = scenario.past.histories[0]
    found = find_refusals(history, Past.of(history).known, *both)
    assert [problem.path for problem in found] == [("retry_unhealthy",), ("waves", "promotion")]


def test_a_scenario_keeps_its_records(tmp_path):
    """A changed or pickled scenario keeps its rollouts although a file is gone; read again, it has others. [contract]"""
    raw = {"name": "plain", "fleet": FLEET, "policies": POLICIES}
    for replication in range(2):
        simulate(Scenario.from_dict(raw), replication=replication).write(tmp_path / "history" / f"{replication}")
    raw["fleet"] = {**FLEET, "records": "history"}
    scenario = Scenario.from_dict(raw, base=tmp_path)
    before = rows(simulate(scenario, replication=1))
    shutil.rmtree(tmp_path / "history" / "1")
    changed = scenario.with_values({"fleet.start_hang": 0.1})
    sent = pickle.loads(pickle.dumps(scenario))  # noqa: S301 - our own
    for same in (scenario, changed, sent):
        assert rows(simulate(same, replication=1)) == before
    again = Scenario.from_dict(scenario.to_dict(), allow_files=[tmp_path])
    assert len(again.past.histories) == 1
    assert again != scenario
    assert again.to_question()["fleet"] != scenario.to_question()["fleet"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"fleet.nodes": 9},
            "fleet.nodes: must be the number of nodes of all rollouts on record .found 9, but a rollout has 10.",
        ),
        ({"fleet.order": "random"}, "fleet.order: not allowed beside `records`"),
        ({"fleet.crash": {"up": "24h", "repair": "1h"}}, "fleet.crash: not allowed beside `records`"),
        ({"fleet.connection": {"online": "24h", "offline": "1h"}}, "fleet.connection: not allowed beside `records`"),
        (
            {"fleet.classes": [{"name": "x", "nodes": [1], "down": True}]},
            r"fleet.classes\[0\].down: not allowed beside `records`",
        ),
        ({"operator.script": [{"at": "1m", "do": "pause"}]}, "operator.script: not allowed beside `records`"),
        ({"deployment.type": "restart"}, "deployment.type: must be the type of all rollouts"),
        (
            {"release": {"good": {"probability": 1}, "fine": {"probability": 0}}},
            "fleet.records: the kind of a rollout's release",
        ),
        (
            {"release": RELEASE | {"good": {"probability": 0.4}, "fine": {"probability": 0.3}}},
            "release.fine: no rollout on record has a release of this kind",
        ),
        ({"fleet.records": 5}, "fleet.records: not a file name"),
        ({"fleet.records": "nowhere"}, "fleet.records: .*nowhere.*No such file"),
        ({"fleet.records": "x" * 5000}, "fleet.records: .*name too long"),
        ({"fleet.records": "a\0b"}, "fleet.records: can't be read: .*null (byte|character)"),
        ({"fleet.records": "/etc"}, "fleet.records: .*outside the scenario's folder"),
        ({"fleet.records": None, "fleet.resample": "rollouts"}, "fleet.resample: has no effect without `records`"),
        ({"fleet.resample": "nodes"}, "fleet.resample: .*allowed: rollouts"),
    ],
)
def test_contradictions_of_records_are_refused(scenario, values, message):
    """What records determine can't be stated beside them, and they must suit the fleet and kinds. [contract]"""
    with pytest.raises(InputError, match=message):
        scenario.with_values(values)


def test_messages_reveal_little_of_records(scenario, folder):
    """A file that is not a record is refused without quoting it. [contract]"""
    (folder / "notes.csv").write_text("secret,password\nhush,1234\n")
    with pytest.raises(InputError, match=r"fleet.records: .*notes.csv: no kind of records") as caught:
        scenario.with_values({"fleet.records": "notes.csv"})
    assert not any(word in str(caught.value) for word in ("secret", "password", "hush", "1234"))


UPDATED = "mon,{},2026-03-02T08:00:00Z,2026-03-02T08:00:30Z,running\n"
TABLE = f"rollout,node,dispatched_at,started_at,status\n{UPDATED.format('a')}{UPDATED.format('b')}"


def with_table(nodes, folder):
    """Return a scenario with one recorded rollout that states neither its fleet's size nor its end."""
    (folder / "nodes.csv").write_text(TABLE, encoding="utf-8")
    raw = {"name": "r", "fleet": {"nodes": nodes, "update_duration": 30, "records": "nodes.csv"}}
    return Scenario.from_dict(raw | {"policies": {"p": {"strategy": "immediate"}}}, base=folder)


def test_the_fleet_states_its_size_if_records_do_not(tmp_path):
    """Further nodes were never dispatched; a changed size changes them, even without the file. [contract]"""
    scenario = with_table(4, tmp_path)
    (tmp_path / "nodes.csv").unlink()
    for fleet in (scenario, scenario.with_values({"fleet.nodes": 7})):
        (history,) = fleet.past.histories
        assert len(history.nodes) == fleet.fleet.nodes
        assert [node["node"] for node in history.nodes[:3]] == ["a", "b", "(unnamed 1)"]
        assert simulate(fleet).responses["updated_nodes"] == fleet.fleet.nodes


def test_a_mistake_of_no_single_file_names_none(tmp_path):
    """If a rollout has more nodes than the fleet, the message names the key, and no file. [contract]"""
    with pytest.raises(InputError, match=r"^fleet\.records: more nodes on record than in the fleet") as caught:
        with_table(1, tmp_path)
    assert "mon" not in str(caught.value)
    with pytest.raises(InputError, match=r"^fleet\.nodes: [^\n]*$"):
        with_table(0, tmp_path)


def test_unsupported_questions(scenario):
    """For rollouts on record tilts, rare events, other defects, and gates that compare with the old version are refused. [contract]"""
    with pytest.raises(InputError, match="can't be changed"):
        scenario.tilted({"start_failure": 2})
    with pytest.raises(InputError, match="rare events can't be estimated"):
        simdeploy.estimate_rare(scenario, event="failed_nodes >= 2", method="splitting", levels={"failed_nodes": [1]})
    with pytest.raises(InputError, match=r"fleet.records: gates meet defects of several sizes"):
        simdeploy.compare_gates(scenario)
    gate = {**rolling(), "health_check": {**CHECK, "gate": {"kind": "baseline"}}}
    with pytest.raises(InputError, match=r"rollout.0.health_check.gate: compares with nodes on the old version"):
        simulate(scenario, gate)


def test_rollouts_that_stop_before_any_node_runs_have_no_windows_of_running_nodes(tmp_path):
    """Under a gate that watches running nodes, rollouts are repeated whether they stopped before any node ran or not. [oracle]"""
    gate = {**rolling(max_failed_nodes=2), "health_check": {**CHECK, "gate": {"kind": "cusum"}}}
    drawn = Scenario.from_dict({**RAW, "policies": {"watched": gate}})
    true = [simulate(drawn, seed=SEED, replication=replication) for replication in range(N)]
    for number, rollout in enumerate(true):
        rollout.write(tmp_path / "history" / f"{number}")
    assert {rollout.responses["updated_nodes"] > 0 for rollout in true} == {False, True}
    past = Scenario.from_dict({**drawn.to_dict(), "fleet": {**FLEET, "records": "history"}}, base=tmp_path)
    for number, rollout in enumerate(true):
        assert rows(simulate(past, replication=number)) == rows(rollout)


def test_restarts_on_record_have_no_kind_of_release(tmp_path):
    """Restarts on record are repeated, and a scenario may have several kinds of release, which don't concern them. [oracle]"""
    drawn = Scenario.from_dict({**RAW, "deployment": {"type": "restart"}})
    true = [simulate(drawn, seed=SEED, replication=replication) for replication in range(N)]
    for number, rollout in enumerate(true):
        rollout.write(tmp_path / "history" / f"{number}")
    past = Scenario.from_dict({**drawn.to_dict(), "fleet": {**FLEET, "records": "history"}}, base=tmp_path)
    for number, rollout in enumerate(true):
        assert rows(simulate(past, replication=number)) == rows(rollout)
    assert cap_replications(past, 100) == N
    assert simdeploy.replicate(past, replications=N)["status"].eq("ok").all()


def test_explorer_and_report_count_no_rollout_twice(scenario):
    """Estimates, curves and reports use at most the number of rollouts on record, and no slider moves recorded values. [property]"""
    explorer = Explorer(scenario, scenario.policies, engine="reference")
    assert [(effort.n, effort.is_last) for effort in explorer.efforts()] == [(N, True)]
    assert explorer.size_of_curve(N) == N
    assert not any(control["group"] == "world" for control in explorer.find_controls(explorer.settle(explorer.start)))
    contents = report_scenario(scenario, Request(replications=200, engine="reference"))
    assert contents.result.estimates["n"].max() <= N
    assert ("replications of each policy", str(N)) in contents.origin.rows


def test_repeated_rollouts_give_a_warning(scenario):
    """More replications than rollouts on record, also of one kind or in several looks, give one warning each. [contract]"""
    message = "fleet.records: more replications than rollouts on record, so intervals are too narrow (found {})"

    def warned(call, *args, **options):
        with catch_warned() as problems:
            call(*args, **options)
        return [str(problem) for problem in problems if "on record" in str(problem)]

    assert not warned(simdeploy.replicate, scenario, "fours", replications=N)
    assert warned(simdeploy.replicate, scenario, replications=N + 1) == [message.format("6 rollouts")]
    by_kind = {"requirements": [f"p50 makespan_s given {kind} <= 100h" for kind in RELEASE], "most": 40}
    of_kinds = warned(simdeploy.check, scenario, "fours", **by_kind)
    assert of_kinds == [message.format(f"{n} rollouts with release {kind}") for n, kind in ((2, "good"), (4, "bad"))]
    asked = {"requirements": ["p50 makespan_s <= 100h"], "most": 20}
    assert warned(simdeploy.check, scenario, "fours", **asked) == [message.format("6 rollouts")]
    assert not warned(report_scenario, scenario, Request(engine="reference"))


def test_more_rollouts_than_on_record_are_not_advised(scenario):
    """A larger budget would repeat the rollouts on record, so answers of `check` say how many there are instead. [contract]"""
    found = simdeploy.check(scenario, "fours", requirements=["failed <= 50%", "makespan_s <= 1h"], most=N)
    assert found.answer.startswith("Both requirements are undecided after 6 rollouts per policy: ")
    assert found.answer.endswith(" Only 6 rollouts are on record.")
    assert not found.verdicts["may_be_decided"].any()
    assert found.verdicts["reason"].str.endswith("; only 6 rollouts on record").all()
    assert replace(found, verdicts=found.verdicts.assign(reason="why")).answer == found.answer
    assert found.computed_under["rollouts_on_record"] == N
    fewer = simdeploy.check(scenario, "fours", requirements=["failed <= 50%"], most=N - 1)
    assert fewer.answer.endswith("Raise `most` (--most) to decide.")
    mean = simdeploy.check(scenario, "fours", requirements=["makespan_s <= 1h"], most=N - 1)
    assert mean.answer.endswith(" Only 6 rollouts are on record.")


def test_only_the_rollouts_that_a_requirement_covers_are_counted(scenario):
    """A larger budget is advised until all rollouts on record of its kinds are used, however few others there are. [contract]"""
    past = scenario.past
    kinds = [find_kind(history, scenario.release).name for history in past.histories]
    good = [history for history, kind in zip(past.histories, kinds, strict=True) if kind == "good"]
    many = replace(scenario, past=replace(past, histories=(*past.histories, *good[:1] * 20)))
    n_good = kinds.count("good") + 20
    for most, is_advised in ((n_good - 1, True), (n_good, False)):
        found = simdeploy.check(many, "fours", requirements=["failed given good <= 95%"], most=most)
        (row,) = found.verdicts.to_dict("records")
        assert row["verdict"] == "undecided"
        assert row["may_be_decided"] == is_advised
        assert row["reason"].endswith(f"; only {n_good} rollouts on record") != is_advised
        assert ("--most" in found.answer) == is_advised


def test_records_are_not_blamed_for_other_reasons(scenario):
    """Answers name the rollouts on record only if more of them might decide. [contract]"""
    found = simdeploy.check(scenario, "fours", requirements=["paused <= 0"], most=N)
    assert found.verdicts["reason"].tolist() == ["no number of rollouts can confirm a rate of exactly 0"]
    assert found.answer.endswith(" at most 0 %.")


def test_tune_advises_to_use_all_rollouts_on_record(scenario):
    """If `tune` has used only some rollouts on record of each kind, it advises a larger budget. [contract]"""
    many = replace(scenario, past=replace(scenario.past, histories=scenario.past.histories * 100))
    bad = [history for history in scenario.past.histories if find_kind(history, scenario.release).name == "bad"][:1]
    asked = {"of": "failed_nodes", "vary": {"max_failed_nodes": [0, 2]}, "requirements": ["failed <= 60%"]}
    found = tune(many, "fours", **asked, replications=2, most=8)
    assert found.n_undecided == 2
    assert found.answer.endswith("2 may: raise `most` (--most) to decide.")
    few_good = replace(many, past=replace(scenario.past, histories=(*scenario.past.histories, *bad * 100)))
    found = tune(few_good, "fours", **asked, replications=2, most=8)
    assert found.has_used_records
    assert found.answer.endswith("2 may: only 106 rollouts are on record.")


def test_rollouts_on_record_are_counted_by_kind(scenario):
    """A kind is used up with all its rollouts on record, and repeated only with more, however many others there are. [contract]"""
    for n, is_repeated in ((2, False), (3, True)):
        campaign = Campaign(seed=0)
        for kind in ("bad", "good"):
            campaign.sweep({"good": scenario.given(kind)}, {"fours": POLICIES["fours"]}, replications=range(n))
        assert campaign.has_used_records
        assert campaign.has_repeated_records == is_repeated
    campaign = Campaign(seed=0)
    campaign.sweep({"drawn": scenario}, {"fours": POLICIES["fours"]}, replications=range(N - 1))
    assert not campaign.has_used_records


def test_no_precision_is_advised_that_repeats_rollouts_on_record(scenario):
    """If more replications are needed than rollouts are on record, answers say how many there are instead. [contract]"""
    found = simdeploy.replicate_to_precision(scenario, "fours", targets={"failed": "1pp"}, most=100)
    assert found.estimates["n_needed"].item() > 100
    assert found.answer.endswith(" (the interval is wider than requested; only 6 rollouts are on record).")
    both = {"computed_under": {**found.computed_under, "rollouts_on_record": {"a": 6, "b": 10**9}}}
    assert replace(found, **both).answer == found.answer


@pytest.mark.parametrize(("copies", "n"), [(1, 6), (3, 18), (5, 19), (10, 20), (100, 200)])
def test_the_number_of_independent_replications(scenario, copies, n):
    """With worlds by kind it is limited by the rarest kind on record, otherwise by all rollouts. [oracle]"""
    past = scenario.past
    rare = Counter(find_kind(history, scenario.release).name for history in past.histories)
    assert min(rare.values()) == 2
    many = replace(scenario, past=replace(past, histories=past.histories * copies))
    assert cap_replications(many, 10_000) == n
    assert cap_replications(many, 3) == 3


def test_advice_needs_drawn_worlds(scenario):
    """Rollouts on record can't be conditioned on another observation, and are refused by name. [contract]"""
    seen = simulate(scenario).deployment_at(2)
    with pytest.raises(InputError, match="rollouts on record are not supported"):
        simdeploy.forecast(scenario, seen=seen, replications=20)
