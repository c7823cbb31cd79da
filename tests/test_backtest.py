"""Backtests by hand: what a record determines of another policy, what it leaves open, and refused questions."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from by_hand import script
from refusals import refusals, refused
from small import IMMEDIATE

from simdeploy import InputError, Records, SimdeployWarning, backtest, simulate
from simdeploy.analysis.backtest.doubting import find_doubts
from simdeploy.engines.replay.worlds import Past
from simdeploy.records import make_table
from simdeploy.records.histories import read_histories

CHECK = {"deadline": "10m", "min_healthy_time": "30s"}


NEVER_STOPS = {"max_failed_nodes": 10, "max_failed_nodes_percent": 100}


def rolling(parallel=4, **more):
    return {"strategy": "rolling", "max_parallel": parallel, "health_check": CHECK, **more}


def check(**keys):
    """Return a policy with another health check."""
    return rolling(health_check=CHECK | keys)


def replay(records, policy):
    return backtest(records, {"other": policy})


def record(scenario, policy="p", name="monday", **how):
    """Return the record of a simulated rollout."""
    return simulate(scenario, policy).to_records(name, **how)


def bounds(found, response, policy="other", rollout=None):
    """Return the bounds of a response in the only rollout, or in one of several."""
    rows = found.rollouts[found.rollouts["policy"].eq(policy) & found.rollouts["response"].eq(response)]
    rows = rows if rollout is None else rows[rows["rollout"].eq(rollout)]
    (row,) = rows.to_dict("records")
    assert row["is_known"] == (row["low"] == row["high"])
    return row["low"], row["high"]


def change(records, table, rows, **values):
    """Return records with other values in some rows of a table."""
    frame = getattr(records, table).copy()
    for column, value in values.items():
        frame.loc[rows, column] = value
    return replace(records, **{table: make_table(table, frame)})


@pytest.fixture
def calm(make_scenario):
    """Return the record of ten nodes in fours: 30 s to start and three windows each, so waves of 60 s."""
    return record(make_scenario(fleet={"requests_per_second": 10}))


class TestKnown:
    """Outcomes that a record determines."""

    def test_smaller_waves(self, calm):
        """Ten nodes of 60 s in twos take five times 60 s instead of three times; the last two go 120 s later. [oracle]"""
        found = replay(calm, rolling(2))
        assert bounds(found, "makespan_s") == (300, 300)
        assert bounds(found, "completed") == (1, 1)
        # Nodes start 30 s after their dispatch, in twos at 0, 60, ... 240 s; all are exposed until 300 s.
        assert bounds(found, "exposed_node_s") == (2 * (270 + 210 + 150 + 90 + 30),) * 2
        assert found.rollouts["moved_s"].max() == 120

    def test_shorter_deadlines(self, calm):
        """With 40 s until the deadline no node gets its third window, and the first wave stops the rollout. [oracle]"""
        found = replay(calm, check(deadline="50s", min_healthy_time="20s"))
        assert bounds(found, "makespan_s") == (150, 150)
        found = replay(calm, check(deadline="29s", min_healthy_time="10s") | {"max_failed_nodes": 0})
        assert (bounds(found, "stopped"), bounds(found, "makespan_s")) == ((1, 1), (29, 29))
        assert bounds(found, "failed_nodes") == (4, 4)
        assert bounds(found, "blast_radius") == (0, 0)

    def test_stricter_windows(self, make_scenario):
        """Windows with failed requests are judged anew: 50 % allows what 0 doesn't. [oracle]"""
        scenario = make_scenario(fleet={"requests_per_second": 10, "error_rate": 0.2})
        records = record(scenario, check(max_error_rate=0.9))
        assert records.windows["failed_requests"].gt(0).all()
        strict = check(deadline="50s", min_healthy_time="20s", max_error_rate=0)
        found = replay(records, strict | {"max_failed_nodes": 0})
        assert (bounds(found, "stopped"), bounds(found, "makespan_s")) == ((1, 1), (50, 50))
        assert bounds(found, "failed_nodes") == (4, 4)

    def test_longer_windows_are_made_of_several(self, calm):
        """A window of 20 s is two of 10 s; one of 30 s needs all three; 15 s is not a multiple. [oracle]"""
        for seconds, makespan in ((30, 180), (20, 150)):
            spec = {"dialect": "general", **check(interval=f"{seconds}s", min_healthy_time="20s")}
            # After 30 s one window of 20 s is known to be healthy, and that is enough; then waves of 50 s.
            assert bounds(replay(calm, spec), "makespan_s") == (makespan, makespan)
        message = r"monday.other.health_check.interval: not a multiple.*15 s.*multiples of 10 s"
        with pytest.raises(InputError, match=message):
            replay(calm, {"dialect": "general", **check(interval="15s")})

    def test_people_count_from_the_canaries(self, make_scenario):
        """A promotion 100 s after the canaries is repeated 100 s after they run, at 60 s, or at 40 s with a third of the windows. [oracle]"""
        canary = {"strategy": "canary", "canary_count": 1, "max_parallel": 9, "health_check": CHECK}
        records = record(make_scenario(operator={"promote_after": 100}), canary)
        assert records.acts[["time_s", "act"]].to_numpy().tolist() == [[160.0, "promote"]]
        quick = canary | {"health_check": {**CHECK, "min_healthy_time": "10s"}}
        assert bounds(replay(records, quick), "makespan_s") == (40 + 100 + 40,) * 2
        again = replay(records, canary)
        assert bounds(again, "makespan_s") == (220, 220)

    @pytest.mark.parametrize("on_failure", ["stop", "rollback"])
    def test_nodes_that_start_at_the_stop(self, make_scenario, on_failure):
        """Three nodes start as the fourth fails, which stops the rollout: they stay exposed unless it takes them back. [oracle]"""
        scenario = make_scenario(orchestrator={"on_failure": on_failure})
        records = record(scenario, rolling(max_failed_nodes=10))
        failed = {
            "cause": "did_not_start",
            "status": "failed",
            "started_at_s": math.nan,
            "resolved_at_s": 30,
            "heard_at_s": 30,
        }
        found = replay(change(records, "nodes", [3], **failed), rolling(max_failed_nodes=0))
        assert (bounds(found, "stopped"), bounds(found, "makespan_s")) == ((1, 1), (30, 30))
        assert bounds(found, "blast_radius") == ((0.3, 0.3) if on_failure == "stop" else (0, 0))

    def test_windows_of_the_same_check_are_not_needed(self, calm):
        """Without windows verdicts are as recorded under any deadline; stricter limits are refused. [oracle]"""
        blind = replace(calm, windows=make_table("windows", {}))
        assert bounds(replay(blind, rolling(2)), "makespan_s") == (300, 300)
        hasty = rolling(max_failed_nodes=0, health_check={**CHECK, "deadline": "45s"})
        assert bounds(replay(blind, hasty), "makespan_s") == (45, 45)
        error = refused(replay, blind, check(max_error_rate=0))
        assert "no windows with requests are on record" in str(error)


class TestUnknown:
    """Outcomes that a record leaves open, and their bounds."""

    @pytest.fixture
    def stopped(self, make_scenario):
        """Return a record of ten nodes in fours that all fail to start; the first wave stops at 30 s."""
        return record(make_scenario(fleet={"start_failure": 1}), rolling(max_failed_nodes=3))

    def test_nodes_that_were_never_dispatched(self, stopped):
        """The six others can't cross a limit of 10; the rollout ends between 30 s and two missed deadlines. [oracle]"""
        found = replay(stopped, rolling(**NEVER_STOPS))
        assert bounds(found, "completed") == (1, 1)
        assert bounds(found, "makespan_s") == (30, 30 + 2 * 600)
        assert bounds(found, "failed_nodes") == (4, 10)
        assert bounds(found, "updated_nodes") == (0, 6)

    def test_a_laxer_limit(self, stopped):
        """With a limit of 5 the six unknown nodes decide: two more failures stop, four successes complete. [oracle]"""
        found = replay(stopped, rolling(max_failed_nodes=5, max_failed_nodes_percent=100))
        assert bounds(found, "stopped") == (0, 1)
        assert bounds(found, "completed") == (0, 1)
        assert bounds(found, "makespan_s") == (30, 30 + 2 * 600)
        assert bounds(found, "blast_radius") == (0, 0.6)
        assert bounds(found, "touched_nodes") == (4, 10)

    def test_nodes_taken_back(self, make_scenario):
        """A node rolled back 30 s after its dispatch may do anything then, from failing at once to running at its deadline. [oracle]"""
        records = record(make_scenario(fleet={"nodes": 2, "update_duration": 50}, operator=script((30, "cancel"))))
        lax = rolling(max_failed_nodes=2, max_failed_nodes_percent=100)
        found = replay(change(records, "acts", [0], time_s=math.nan), lax)
        low, high = bounds(found, "makespan_s")
        assert (round(low, 6), high) == (30, 600)
        assert bounds(found, "stopped") == (0, 0)

    def test_longer_deadlines(self, make_scenario):
        """A node that was silent until its deadline may start after it. [oracle]"""
        scenario = make_scenario(fleet={"nodes": 1, "update_duration": 100})
        records = record(scenario, rolling(health_check={"deadline": "60s"}))
        longer = replay(records, rolling(health_check={"deadline": "90s"}, max_failed_nodes=0))
        assert bounds(longer, "stopped") == (0, 1)
        low, high = bounds(longer, "makespan_s")
        assert (round(low, 6), high) == (60, 90)
        shorter = replay(records, rolling(health_check={"deadline": "40s"}, max_failed_nodes=0))
        assert bounds(shorter, "makespan_s") == (40, 40)

    def test_more_windows(self, calm):
        """Nodes were seen healthy for 30 s; whether they would be for 60 s is open until their deadlines. [oracle]"""
        found = replay(calm, rolling(10, health_check={**CHECK, "min_healthy_time": "60s"}))
        assert bounds(found, "makespan_s") == (70, 600)
        assert bounds(found, "blast_radius") == (1, 1)  # all have started, whatever becomes of them

    def test_promotions_that_never_were(self, calm):
        """The duration and outcome of a promotion that is not on record are unknown. [oracle]"""
        found = replay(calm, {"strategy": "canary", "canary_count": 2, "health_check": CHECK})
        assert bounds(found, "stopped") == (0, 1)
        assert bounds(found, "makespan_s") == (60, math.inf)
        assert bounds(found, "touched_nodes") == (2, 10)

    def test_acts_after_a_move(self, make_scenario):
        """A recorded cancel is repeated if nothing moved before it; otherwise it is unknown. [oracle]"""
        records = record(make_scenario(operator=script((130, "cancel"))))
        same = replay(records, rolling(max_failed_nodes=0))
        assert (bounds(same, "stopped"), bounds(same, "makespan_s")) == ((1, 1), (130, 130))
        moved = replay(records, rolling(2))
        assert (bounds(moved, "stopped"), bounds(moved, "makespan_s")) == ((0, 1), (130, math.inf))
        quicker = replay(records, rolling(10))
        low, high = bounds(quicker, "makespan_s")
        assert (round(low, 6), high) == (10, math.inf)  # the last two nodes were rolled back 10 s after their dispatch

    def test_outages_stay_where_they_were(self, calm):
        """A node that meets an outage otherwise than recorded is unknown from then on. [oracle]"""
        start = calm.rollouts["started_at"].iloc[0]
        outage = {"node": ["node-4"], "from": [start + pd.Timedelta("130s")], "to": [start + pd.Timedelta("170s")]}
        records = replace(calm, outages=make_table("outages", outage))
        assert bounds(replay(records, rolling(4)), "makespan_s") == (180, 180)
        # In twos node 4 is dispatched at 120 s, and goes down 10 s later.
        low, high = bounds(replay(records, rolling(2)), "makespan_s")
        assert (low, high) == (130, math.inf)

    def test_gates_are_open_beyond_what_is_known(self, calm):
        """Under a gate that judges waves everything after the first unknown instant is open, and nothing before it. [oracle]"""
        gate = {"kind": "pooled"}
        known = replay(calm, check(gate=gate))
        assert bounds(known, "makespan_s") == (180, 180)
        long = replay(calm, check(min_healthy_time="60s", gate=gate))
        assert (bounds(long, "stopped"), bounds(long, "makespan_s")) == ((0, 1), (70, math.inf))


class TestRates:
    """Rates over rollouts."""

    @pytest.fixture
    def records(self, make_scenario):
        """Return ten rollouts: six good ones that completed, and four defective ones that were stopped."""
        good, bad = make_scenario(), make_scenario(fleet={"start_failure": 1})
        parts = [record(good, rolling(), f"good-{number}") for number in range(6)]
        parts += [record(bad, rolling(max_failed_nodes=3), f"bad-{number}") for number in range(4)]
        joined = Records.join(parts)
        defective = joined.rollouts["rollout"].str.startswith("bad")
        return replace(joined, rollouts=make_table("rollouts", joined.rollouts.assign(defective=defective)))

    def test_unknown_rollouts_count_as_either(self, records):
        """With 0 to 4 of 10 stopped, limits are those of 0 and of 4, without an estimate. [oracle]"""
        lax = rolling(max_failed_nodes=5, max_failed_nodes_percent=100)
        summary = backtest(records, {"lax": lax}).summary.set_index(["policy", "measure"])
        stopped = summary.loc[("lax", "stopped")]
        assert (stopped["n_yes"], stopped["n_known"], stopped["n_unknown"]) == (0, 6, 4)
        assert math.isnan(stopped["estimate"])
        assert stopped["low"] == 0
        # Clopper and Pearson for 4 of 10: 0.1216 to 0.7376.
        assert stopped["high"] == pytest.approx(0.73762, abs=1e-4)
        on_record = summary.loc[("recorded", "stopped")]
        assert on_record["estimate"] == 0.4
        assert on_record["low"] == pytest.approx(0.12155, abs=1e-4)
        assert summary.loc[("lax", "false_alarm given good"), "estimate"] == 0
        assert summary.loc[("lax", "escaped given defective"), "n_unknown"] == 4

    def test_only_known_kinds_count(self, records):
        """A rollout of unknown kind is neither a false alarm nor an escape. [contract]"""
        unknown = change(records, "rollouts", records.rollouts["rollout"].isin(["good-1", "bad-2"]), defective=pd.NA)
        summary = backtest(unknown, {"same": rolling(max_failed_nodes=3)}).summary
        n = (summary["n_known"] + summary["n_unknown"]).groupby(summary["measure"]).max()
        assert n.to_dict() == {"stopped": 10, "false_alarm given good": 5, "escaped given defective": 3}


class TestReproduced:
    """Whether the recorded policy leads to what was recorded."""

    def test_a_correct_record(self, calm):
        """A correct record is reproduced. [contract]"""
        assert replay(calm, rolling(2)).reproduced["is_reproduced"].tolist() == [True]

    @pytest.mark.parametrize(
        ("table", "rows", "values", "what"),
        [
            ("nodes", [4], {"dispatched_at_s": 61.0}, "node-4 dispatched at 60 s, on record at 61 s"),
            ("nodes", [0], {"started_at_s": 33.0}, "node-0"),
            ("rollouts", [0], {"ended_s": 180.0004}, "it ends at 180 s, on record at 180.0004 s"),
            ("rollouts", [0], {"state": "failed"}, "it is completed, on record failed"),
            ("rollouts", [0], {"ended_s": 200.0}, "it ends at 180 s, on record at 200 s"),
            ("windows", [0], {"failed_requests": 50}, "node-0"),
        ],
    )
    def test_planted_mistakes_are_found(self, calm, table, rows, values, what):
        """A mistake in a record gives a named difference and a warning. [contract]"""
        with pytest.warns(SimdeployWarning, match="1 of 1 rollout is not reproduced"):
            found = replay(change(calm, table, rows, **values), rolling(2))
        assert found.reproduced["is_reproduced"].tolist() == [False]
        assert what in found.reproduced["differs"].iloc[0]
        assert found.warnings

    def test_failures_without_a_cause(self, make_scenario):
        """A node that never started gave up if it failed before its deadline, and was silent if it failed at it. [oracle]"""
        for fleet in ({"start_failure": 1}, {"start_hang": 1}):
            records = record(make_scenario(fleet=fleet), rolling(**NEVER_STOPS))
            found = replay(change(records, "nodes", records.nodes.index, cause=None), rolling(2))
            assert found.reproduced["is_reproduced"].tolist() == [True]
            back = change(records, "nodes", records.nodes.index, cause=None, status="rolled_back")
            assert replay(back, rolling(2)).reproduced["is_reproduced"].tolist() == [True]

    def test_another_policy_on_record(self, calm):
        """A record with the wrong policy is not reproduced; one without a policy can't be. [contract]"""
        spec = json.loads(calm.rollouts["policy"].iloc[0])
        wrong = change(calm, "rollouts", [0], policy=json.dumps(spec | {"max_parallel": 3}))
        with pytest.warns(SimdeployWarning, match="not reproduced"):
            assert not replay(wrong, rolling(2)).reproduced["is_reproduced"].iloc[0]
        none = replay(change(calm, "rollouts", [0], policy=None), rolling(2))
        assert none.reproduced.iloc[0].tolist()[1:] == [pd.NA, "its policy is not on record"]
        assert bounds(none, "makespan_s") == (300, 300)

    @pytest.mark.parametrize("cause", ["did_not_start", None])
    def test_outcomes_that_depend_on_the_place(self, make_scenario, cause):
        """A warning says that nodes late in the order fail more often. [contract]"""
        records = record(make_scenario(fleet={"nodes": 60}), IMMEDIATE)
        late = records.nodes["position"].ge(50)
        failed = change(records, "nodes", late, cause=cause, started_at_s=math.nan, status="failed")
        with pytest.warns(SimdeployWarning) as caught:
            found = replay(failed, IMMEDIATE)
        assert any("the place in the order" in str(each.message) for each in caught)
        assert not any("the place in the order" in text for text in replay(records, IMMEDIATE).warnings)
        assert len(found.warnings) >= 1

    @pytest.mark.parametrize(
        ("policy", "late"),
        [
            (rolling(1, max_failed_nodes=0), 0.05),
            (rolling(4, max_failed_nodes=1), 0.05),
            (rolling(4, max_failed_nodes_percent=20), 0.05),
            (rolling(8, strategy="canary", canary_count=4, auto_promote=True), 0.05),
            (rolling(4, max_failed_nodes=3), 0.5),
        ],
    )
    def test_stops_are_no_evidence(self, make_scenario, policy, late):
        """That a stopped rollout ends with a failure is no evidence; that the last third of the nodes fails more often is. [property]"""
        classes = [{"name": "late", "nodes": list(range(27, 40)), "start_failure": late}]
        switches = {"failed_percent_of": "resolved" if "max_failed_nodes_percent" in policy else "fleet"}
        scenario = make_scenario(
            fleet={"nodes": 40, "start_failure": 0.05, "classes": classes},
            orchestrator=switches,
            policies={"p": policy},
        )
        rollouts = [simulate(scenario, replication=number, engine="reference") for number in range(60)]
        histories = read_histories(Records.join([rollout.to_records(f"{n}") for n, rollout in enumerate(rollouts)]))
        run_by = Past.of(histories[0]).run_by
        assert sum(rollout.responses["state"] == "failed" for rollout in rollouts) > 10
        doubts = list(find_doubts([(history, run_by) for history in histories]))
        assert [text.split(" (")[0] for text in doubts] == ["failures to start depend on the place in the order"] * (
            late > 0.05
        )


class TestWords:
    """Answers and tables."""

    def test_rollouts_that_end_differently(self, calm):
        """Rollouts that end later are compared with the record; if none differs, the answer says so. [contract]"""
        found = replay(calm, rolling(2))
        assert [row[1:6] for row in found.summarize()[1].rows] == [
            ("recorded", "no", "3 min", "10", "100 %"),
            ("other", "no", "5 min", "10", "100 %"),
        ]
        same = replay(calm, rolling(4))
        assert same.answer.endswith("No rollout ends differently.")
        assert [table.title for table in same.summarize()][1:] == ["The recorded policy, replayed"]

    def test_one_verdict(self, make_scenario):
        """One false alarm is singular. [contract]"""
        records = record(make_scenario(fleet={"start_failure": 1}), rolling(max_failed_nodes=3))
        good = change(records, "rollouts", [0], defective=False)
        assert "1 of 1 rollout (recorded: 1), with 1 false alarm of 1 good release" in replay(good, rolling(2)).answer


class TestRefused:
    """Questions that are refused by name."""

    def test_arguments_of_a_wrong_type(self, make_scenario):
        """Seeds and records of a wrong type are refused, and so are names of columns without files. [contract]"""
        records = simulate(make_scenario(), "p").to_records("monday")
        for seed in (-1, 1.5, "a"):
            message = str(refused(backtest, records, rolling(2), seed=seed))
            assert message.startswith(("seed: out of range", "seed: not a whole number"))
        for wrong in (None, 3, [3]):
            assert "records: not the path of a file or folder" in str(refused(backtest, wrong, rolling(2)))
        assert "names of columns need files" in str(refused(backtest, records, rolling(2), mapping={"node": "host"}))

    @pytest.mark.parametrize(
        ("gate", "message"),
        [
            ({"kind": "baseline"}, "compares with nodes on the old version"),
            ({"kind": "cusum"}, "watches running nodes"),
            ({"kind": "sprt", "on": "requests"}, "their order is not on record"),
        ],
    )
    def test_gates(self, calm, gate, message):
        """Gates that need unrecorded data are refused. [contract]"""
        with pytest.raises(InputError, match=f"monday.other.health_check.gate: .*{message}"):
            replay(calm, check(max_error_rate=0.1, gate=gate))

    def test_zones(self, calm):
        """Limits by zone need zones. [contract]"""
        spec = {"dialect": "general", **rolling(max_failed_nodes_per_zone=1)}
        assert bounds(replay(calm, spec), "makespan_s") == (180, 180)
        nameless = change(calm, "nodes", calm.nodes.index, zone=None)
        message = r"monday.other.max_failed_nodes_per_zone: needs the zones of all nodes.*10 nodes"
        with pytest.raises(InputError, match=message):
            replay(nameless, spec)

    def test_verdicts_heard_late(self, calm):
        """Scenarios with connections that break are refused, as reports depend on the time. [contract]"""
        late = change(calm, "nodes", [3], heard_at_s=70.0)
        assert "heard later" in (message := str(refused(replay, late, rolling(2))))
        assert "1 nodes" not in message

    def test_a_stop(self, calm):
        """For type stop nothing starts that another policy could judge; an unknown type is treated as an update. [contract]"""
        stop, unknown = (change(calm, "rollouts", slice(None), type=type_) for type_ in ("stop", None))
        assert "type: nodes only leave" in str(refused(replay, stop, rolling(2)))
        found = replay(unknown, rolling(2))
        assert bounds(found, "makespan_s") == (300, 300)

    @pytest.mark.parametrize(
        ("table", "values", "message"),
        [
            ("nodes", {"dispatched_at_s": math.nan}, "and one is missing (found 10 nodes, such as node-0)"),
            ("nodes", {"started_at_s": math.nan}, "dispatch and start, and one is missing"),
            ("rollouts", {"policy": "{"}, "monday.policy: not JSON"),
            ("rollouts", {"policy": '"/etc/policy.json"'}, "monday.policy: not a policy"),
            (
                "rollouts",
                {"policy": '{"file": "policy.json"}'},
                "monday.policy.file: names a file, which records may not",
            ),
            ("rollouts", {"policy": '{"strategy": "rollin"}'}, "did you mean 'rolling'"),
            ("rollouts", {"nodes": 3}, "10 nodes on record of 3"),
        ],
    )
    def test_records(self, calm, table, values, message):
        """Records that can't be replayed are refused, with the rollout's name. [contract]"""
        broken = change(calm, table, getattr(calm, table).index, **values)
        error = str(refused(replay, broken, rolling(2)))
        assert message in error
        assert "monday" in error

    def test_a_fleet_of_unknown_size(self, make_scenario):
        """A stopped rollout without the size of its fleet on record is refused. [contract]"""
        records = record(make_scenario(fleet={"start_failure": 1}), rolling(max_failed_nodes=3))
        sizeless = change(records, "rollouts", [0], nodes=pd.NA)
        assert "size of the fleet is not on record" in str(refused(replay, sizeless, rolling(2)))

    def test_the_size_of_the_fleet_is_asked_for_once(self, make_scenario):
        """`nodes` is used if a record has no size; one line asks for it, however many rollouts lack it. [contract]"""
        one = record(make_scenario(fleet={"start_failure": 1}), rolling(max_failed_nodes=3))
        several = Records.join([replace_name(one, f"r{number}") for number in range(4)])
        sizeless = change(several, "rollouts", [0, 1, 3], nodes=pd.NA)
        error = refused(replay, sizeless, rolling(2))
        assert "--nodes N" in str(error)
        assert str(error).endswith("the same in 2 more rollouts")
        found = backtest(sizeless, {"other": rolling(2)}, nodes=10)
        pd.testing.assert_frame_equal(found.rollouts, replay(several, rolling(2)).rollouts)
        assert "nodes: out of range" in str(refused(backtest, sizeless, {"other": rolling(2)}, nodes=0))

    @pytest.mark.parametrize(
        ("policies", "message"),
        [
            ({}, "no policy"),
            (None, "no policy"),
            (5, "not a policy"),
            ({"recorded": rolling()}, "reserved for the policy on record"),
            ({"x": {"strategy": "rollin"}}, "did you mean 'rolling'"),
            (["a/x.json", "b/x.json"], "duplicate name (found 'x')"),
        ],
    )
    def test_policies(self, calm, policies, message):
        """Policies that can't be used are refused. [contract]"""
        assert message in str(refused(backtest, calm, policies))

    def test_shared_problems_are_reported_once(self, calm):
        """The same problem of many rollouts is one line that counts them. [contract]"""
        several = Records.join([replace_name(calm, f"r{number}") for number in range(5)])
        (problem,) = refusals(replay, several, check(max_error_rate=0.1, gate={"kind": "cusum"}))
        assert "the same in 4 more rollouts" in problem


def replace_name(records, name):
    for table in ("rollouts", "nodes", "windows", "acts"):
        records = change(records, table, slice(None), rollout=name)
    return records


def test_files(make_scenario, tmp_path):
    """Records and policies may be files; a policy has the name of its file. [contract]"""
    simulate(make_scenario(), "p").write(tmp_path / "history" / "monday")
    (tmp_path / "twos.json").write_text(json.dumps(rolling(2)))
    other = backtest(tmp_path / "history", make_scenario(policies={"twos": rolling(2)}).policy("twos"))
    found = backtest(tmp_path / "history", [tmp_path / "twos.json"])
    pd.testing.assert_frame_equal(other.rollouts, found.rollouts)
    assert found.policies == ("twos",)
    assert bounds(found, "makespan_s", "twos") == (300, 300)
    assert np.isfinite(found.summary["low"]).any()
