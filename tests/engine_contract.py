"""The contract of every engine, worked out by hand: tests that look at responses only."""

from __future__ import annotations

from typing import Any

import pytest
from by_hand import BAD, BAD_ZONE_3_FAILS, CHECK, TEN, ZONE_3_FAILS, canary, rolling, script, switches

from simdeploy import Scenario, SimulationError, simulate


class EngineContract:
    """Tests of one engine, inherited by a class that names it.

    The fixture `make_scenario` makes a scenario: ten nodes, 30 s each; `changes` are merged into it.
    """

    engine: str

    def run(self, scenario: Scenario, policy: Any, replication: int = 0) -> dict[str, Any]:
        return simulate(scenario, policy, replication=replication, engine=self.engine).response_values

    # -- windows and deadlines ---------------------------------------------------------------------

    def test_a_node_starts_validates_and_runs(self, make_scenario):
        """30 s of starting and three windows of 10 s make a node running after 60 s. [contract]"""
        values = self.run(make_scenario(fleet={"nodes": 1}), rolling(health=CHECK))
        assert (values["makespan_s"], values["decision_windows"]) == (60, 3)

    def test_no_healthy_time_needs_no_window(self, make_scenario):
        """With min_healthy_time 0 a started node is running at once. [contract]"""
        values = self.run(make_scenario(fleet={"nodes": 1}), rolling())
        assert (values["makespan_s"], values["decision_windows"]) == (30, 0)

    @pytest.mark.parametrize(("deadline", "state"), [("60s", "completed"), ("59999999999ns", "failed")])
    def test_a_verdict_on_the_deadline_counts(self, make_scenario, deadline, state):
        """The last window may end exactly on the deadline, but not a nanosecond later. [contract]"""
        values = self.run(make_scenario(fleet={"nodes": 1}), rolling(health={**CHECK, "deadline": deadline}))
        assert values["state"] == state
        assert values["makespan_s"] == pytest.approx(60, abs=1e-8)

    def test_the_deadline_may_start_when_the_node_has_started(self, make_scenario):
        """Under deadline_starts: started 35 s suffice after a start of 30 s for 30 s of health. [contract]"""
        policy = rolling(health={**CHECK, "deadline": "35s"})
        started = make_scenario(fleet={"nodes": 1}, orchestrator=switches(deadline_starts="started"))
        assert self.run(started, policy)["state"] == "completed"
        assert self.run(make_scenario(fleet={"nodes": 1}), policy)["state"] == "failed"

    def test_no_traffic_can_be_unhealthy(self, make_scenario):
        """Windows without requests are healthy or not, as the switch says. [contract]"""
        silent = make_scenario(fleet={"nodes": 1}, orchestrator=switches(no_traffic="unhealthy"))
        assert self.run(make_scenario(fleet={"nodes": 1}), rolling(health=CHECK))["state"] == "completed"
        assert self.run(silent, rolling(health=CHECK))["state"] == "failed"

    def test_thresholds_of_the_rollout_dialect(self, make_scenario):
        """Two healthy windows pass a node and three unhealthy ones fail it; windows have the policy's length. [contract]"""
        health = {"deadline": 600 * 10**9, "interval": 5 * 10**9}
        policy = rolling(100, health, dialect="rollout")
        assert self.run(make_scenario(fleet={"nodes": 1}), policy)["makespan_s"] == 30 + 2 * 5
        sick = make_scenario(fleet={"nodes": 1, "requests_per_second": 10, "error_rate": 0.9})
        assert self.run(sick, policy)["stopped_at_s"] == 30 + 3 * 5

    def test_slowdown_stretches_starting_only(self, make_scenario):
        """A slowdown stretches every attempt, but no rollback. [contract]"""
        scenario = make_scenario(fleet={"nodes": 1, "slowdown": 2, "start_failure": 1, "start_attempts": 2})
        values = self.run(scenario, rolling(health=CHECK))
        assert (values["stopped_at_s"], values["restored_at_s"]) == (120, 150)

    def test_causes_combine(self, make_scenario):
        """The release adds only failures that the node would not have had anyway. [oracle]"""
        scenario = make_scenario(
            fleet={"nodes": 1, "requests_per_second": 10, "error_rate": 0.2},
            release={"bad": {**BAD["bad"], "error_rate": 0.5}},
            operator={"escape_detection": 1000},
        )
        values = self.run(scenario, {"strategy": "immediate"})
        assert values["failed_requests_excess"] == pytest.approx(10 * 1000 * 0.8 * 0.5, rel=1e-12)

    # -- limits and gate ---------------------------------------------------------------------------

    @pytest.mark.parametrize(("comparison", "state"), [("exceeds", "completed"), ("reaches", "failed")])
    def test_a_limit_of_two_with_two_failures(self, make_scenario, comparison, state):
        """Two failures against a limit of two stop the rollout only where reaching is enough. [contract]"""
        scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=switches(limit_comparison=comparison))
        assert self.run(scenario, rolling(max_failed_nodes=2, max_failed_nodes_percent=100))["state"] == state

    def test_a_limit_crossed_by_the_last_node(self, make_scenario):
        """A limit crossed by the last node makes the rollout failed, not completed. [contract]"""
        release = {"good": {"probability": 1, "start_failure": 1, "affects": {"zones": [9]}}}
        values = self.run(make_scenario(fleet={"zones": 10}, release=release), rolling(1, max_failed_nodes=0))
        assert (values["state"], values["stopped_at_s"], values["updated_nodes"]) == ("failed", 300, 9)

    @pytest.mark.parametrize(("judged", "stopped_at"), [("at_once", 30), ("wave_end", 100)])
    def test_limits_at_once_or_at_the_wave_s_end(self, make_scenario, judged, stopped_at):
        """Judged at the wave's end, a limit crossed within the wave lets the wave finish; the script's pause excuses nothing. [contract]"""
        fleet = {**TEN, "classes": [{"name": "slow", "share": 0.1, "update_duration": 100}]}
        operator = script((40, "pause"), (50, "resume"))
        orchestrator = switches(limits_judged=judged)
        scenario = make_scenario(fleet=fleet, release=ZONE_3_FAILS, orchestrator=orchestrator, operator=operator)
        assert self.run(scenario, rolling(max_failed_nodes=0))["stopped_at_s"] == stopped_at

    def test_a_wave_that_is_passed_over(self, make_scenario):
        """A wave without a verdict has its end, too: limits are next judged at the end of the next wave. [contract]"""
        slow = {"name": "slow", "nodes": [9], "update_duration": 100}
        fleet = {**TEN, "classes": [{"name": "gone", "nodes": [0], "down": True}, slow]}
        orchestrator = switches(limits_judged="wave_end", unreachable_nodes="skip")
        scenario = make_scenario(fleet=fleet, release=ZONE_3_FAILS, orchestrator=orchestrator)
        assert self.run(scenario, canary(1, max_failed_nodes=0, auto_promote=True))["stopped_at_s"] == 100

    @pytest.mark.parametrize(
        ("of", "sample", "stopped_at"),
        [("fleet", 0, None), ("resolved", 0, 120), ("resolved", 7, None), ("wave", 0, None)],
    )
    def test_percent_of_what(self, make_scenario, of, sample, stopped_at):
        """One at a time, node 3 fails first: 1 of 4 resolved nodes exceeds 20 %, 1 of 10 nodes or of 8 doesn't. [contract]"""
        orchestrator = switches(failed_percent_of=of, minimum_sample=sample)
        scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=orchestrator)
        parallel, percent = 10 if of == "wave" else 1, 25 if sample else 20
        values = self.run(scenario, rolling(parallel, max_failed_nodes=10, max_failed_nodes_percent=percent))
        assert values["state"] == ("failed" if stopped_at else "completed")
        if stopped_at:
            assert values["stopped_at_s"] == stopped_at

    def test_percent_of_the_wave_stops_a_bad_wave(self, make_scenario):
        """One failure in a wave of four exceeds 20 % of it. [contract]"""
        scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=switches(failed_percent_of="wave"))
        values = self.run(scenario, rolling(4, max_failed_nodes=10, max_failed_nodes_percent=20))
        assert (values["stopped_at_s"], values["touched_nodes"]) == (30, 4)

    def test_both_limits_must_be_crossed(self, make_scenario):
        """Under `both` the count limit alone doesn't stop the rollout. [contract]"""
        scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=switches(limit_combination="both"))
        values = self.run(scenario, rolling(max_failed_nodes=0, max_failed_nodes_percent=50))
        assert values["state"] == "completed"

    @pytest.mark.parametrize(("zero", "state"), [("zero_tolerance", "failed"), ("default", "completed")])
    def test_explicit_zero(self, make_scenario, zero, state):
        """An explicit 0 tolerates no failure, or means the API's default of 10. [contract]"""
        fleet = {"nodes": 100, "zones": 50}
        scenario = make_scenario(fleet=fleet, release=ZONE_3_FAILS, orchestrator=switches(explicit_zero_limit=zero))
        assert self.run(scenario, rolling(max_failed_nodes=0))["state"] == state

    @pytest.mark.parametrize(("applies", "state"), [(True, "failed"), (False, "completed")])
    def test_limits_need_not_apply_to_immediate(self, make_scenario, applies, state):
        """Whether limits stop the strategy immediate is a switch. [contract]"""
        orchestrator = switches(limits_apply_to_immediate=applies)
        scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=orchestrator)
        assert self.run(scenario, {"strategy": "immediate", "max_failed_nodes": 0})["state"] == state

    @pytest.mark.parametrize(("gate", "state"), [("all_healthy", "failed"), ("limits", "completed")])
    def test_one_failed_canary_stops_or_counts(self, make_scenario, gate, state):
        """Under all_healthy one failed canary stops the rollout; under limits it counts like any node. [contract]"""
        fleet = {"nodes": 40, "zones": 20}
        scenario = make_scenario(fleet=fleet, release=ZONE_3_FAILS, orchestrator=switches(canary_gate=gate))
        assert self.run(scenario, canary(4, auto_promote=True))["state"] == state

    def test_pausing_on_failure(self, make_scenario):
        """on_failure: pause pauses the rollout; after a resume it continues until another node fails. [contract]"""
        changes = {"fleet": TEN, "release": ZONE_3_FAILS, "orchestrator": switches(on_failure="pause")}
        policy = rolling(1, max_failed_nodes=0, max_failed_nodes_percent=100)
        for_good = self.run(make_scenario(**changes), policy)
        assert (for_good["state"], for_good["touched_nodes"]) == ("paused", 4)
        assert for_good["verdict"] != for_good["verdict"]
        resumed = make_scenario(**changes, operator=script((1000, "resume"), (2000, "resume")))
        # Four nodes before the first pause, at 120 s; four before the second, at 1120 s; two after it.
        values = self.run(resumed, policy)
        assert (values["state"], values["makespan_s"]) == ("completed", 2060)

    def test_a_failed_node_may_hold_its_slot(self, make_scenario):
        """A sliding rollout whose slots are all held by failed nodes never ends. [contract]"""
        orchestrator = switches(pacing="sliding", failed_node_holds_slot=True)
        policy = rolling(2, max_failed_nodes=10, max_failed_nodes_percent=100)
        values = self.run(make_scenario(fleet={**TEN, "start_failure": 1}, orchestrator=orchestrator), policy)
        assert (values["state"], values["failed_nodes"], values["peak_exposed_nodes"]) == ("in_progress", 2, 0)
        for unknown in ("makespan_s", "verdict", "unavailable_node_s"):
            assert values[unknown] != values[unknown]
        local = {**orchestrator, "node_local_rollback": True}
        scenario = make_scenario(fleet={**TEN, "start_failure": 1}, orchestrator=local)
        assert self.run(scenario, policy)["state"] == "completed"

    # -- nodes that are down -----------------------------------------------------------------------

    @pytest.mark.parametrize(("what", "state", "failed"), [("fail", "failed", 5), ("skip", "completed", 0)])
    def test_unreachable_nodes(self, make_scenario, what, state, failed):
        """Nodes that are down at their turn fail at once or are skipped; neither are touched. [contract]"""
        fleet = {"crash": {"up": "1ms", "repair": "1000h"}}
        scenario = make_scenario(fleet=fleet, orchestrator=switches(unreachable_nodes=what))
        values = self.run(scenario, rolling(5, max_failed_nodes=4, max_failed_nodes_percent=100))
        assert (values["state"], values["failed_nodes"], values["touched_nodes"]) == (state, failed, 0)

    def test_an_outage_does_not_run_through_a_sliding_rollout(self, make_scenario):
        """Under sliding pacing nodes that are down fail slot by slot, and limits are judged in between. [contract]"""
        fleet = {"crash": {"up": "1ms", "repair": "1000h"}}
        scenario = make_scenario(fleet=fleet, orchestrator=switches(pacing="sliding"))
        assert self.run(scenario, rolling(2, max_failed_nodes=3, max_failed_nodes_percent=100))["failed_nodes"] == 4

    def test_excess_leaves_out_other_crashes(self, make_scenario):
        """unavailable_excess_node_s counts what the rollout itself caused, without crashes that happened anyway. [contract]"""
        fleet = {"nodes": 40, "rollback_duration": 20, "crash": {"up": "10m", "repair": "10m"}}
        scenario = make_scenario(fleet=fleet, orchestrator=switches(unreachable_nodes="skip"))
        values = self.run(scenario, rolling())
        touched = values["touched_nodes"]
        assert 5 < touched < 35
        assert values["unavailable_node_s"] > values["unavailable_excess_node_s"]
        # A crash within the 30 s of starting can only reduce the 30 s per node.
        assert 15 * touched < values["unavailable_excess_node_s"] <= 30 * touched

    # -- people ------------------------------------------------------------------------------------

    def test_canaries_that_are_the_whole_fleet_are_promoted(self, make_scenario):
        """Canaries that are the whole fleet wait for their promotion, without a bake time. [contract]"""
        scenario = make_scenario(operator={"promote_after": "10m"}, orchestrator=switches(bake_time="5m"))
        assert self.run(scenario, canary(10))["makespan_s"] == 630

    @pytest.mark.parametrize(
        ("after", "verdict", "state"),
        [
            ("0s", "stopped_defective", "canceled"),
            ("600s", "stopped_defective", "canceled"),
            ("601s", "escaped", "completed"),
        ],
    )
    def test_a_shown_defect_is_noticed(self, make_scenario, after, verdict, state):
        """A defect is noticed if a canary was exposed for `after` when the operator looks. [contract]"""
        release = {"bad": {**BAD["bad"], "error_rate": 0.01, "after": after}}
        scenario = make_scenario(release=release, operator={"promote_after": "10m", "notices_defect": 1})
        values = self.run(scenario, canary(2))
        assert (values["verdict"], values["state"]) == (verdict, state)

    def test_only_affected_canaries_show_a_defect(self, make_scenario):
        """A defect that affects no canary is not noticed. [contract]"""
        release = {"bad": {**BAD["bad"], "error_rate": 0.01, "affects": {"zones": [9]}}}
        scenario = make_scenario(fleet={"zones": 10}, release=release, operator={"notices_defect": 1})
        assert self.run(scenario, canary(2))["verdict"] == "escaped"

    @pytest.mark.parametrize(
        ("defect", "state", "makespan"),
        [
            # The first canary fails at 30 s, or hangs until its deadline at 120 s. A minute later the operator decides.
            ({"start_failure": 1}, "canceled", 30 + 60),
            ({"start_hang": 1}, "canceled", 120 + 60),
            # Failures of nodes that the release doesn't affect say nothing about it.
            ({"start_failure": 1, "affects": {"nodes": [1]}}, "completed", 30 + 60 + 30),
            # Canaries that started show no defect of starts, but they fail requests, or crash.
            ({"start_failure": 1e-9}, "completed", 30 + 60 + 30),
            ({"start_hang": 1e-9}, "completed", 30 + 60 + 30),
            ({"error_rate": 0.01}, "canceled", 30 + 60),
            ({"crash_rate": 1.5}, "canceled", 30 + 60),
            ({"crash_rate": 0.5, "start_failure": 1e-9}, "completed", 30 + 60 + 30),
            # A failure is seen although the other canary runs, and although its node was exposed for less than `after`.
            ({"start_failure": 1, "affects": {"nodes": [0]}, "after": "10h"}, "canceled", 30 + 60),
        ],
    )
    def test_what_an_operator_sees_in_the_canaries(self, make_scenario, defect, state, makespan):
        """An affected node that failed, or that suffers while it runs, shows a defect. [contract]"""
        never = {"name": "never", "nodes": [0], "start_failure": 1}
        fleet = {"classes": [never]} if defect.get("affects") == {"nodes": [1]} else {}
        canaries = 1 if fleet else 2
        scenario = make_scenario(
            fleet=fleet,
            release={"bad": {**BAD["bad"], **defect}},
            operator={"promote_after": "60s", "notices_defect": 1},
            orchestrator=switches(canary_gate="limits"),
        )
        health = {"deadline": "2m", "min_healthy_time": "0s"}
        limits = {"max_failed_nodes": 10, "max_failed_nodes_percent": 100}
        values = self.run(scenario, canary(canaries, health_check=health, **limits))
        assert (values["state"], values["makespan_s"]) == (state, makespan)

    @pytest.mark.parametrize(("by_hand", "restored_at"), [(False, 30 + 30), (True, 30 + 100 + 30)])
    def test_a_good_release_may_be_rejected(self, make_scenario, by_hand, restored_at):
        """rejects_good cancels a release without a defect: a false alarm, undone automatically or by hand. [contract]"""
        scenario = make_scenario(operator={"rejects_good": 1, "escape_detection": "100s"})
        values = self.run(scenario, canary(2, no_auto_rollback=by_hand))
        assert (values["verdict"], values["state"]) == ("false_alarm", "canceled")
        assert values["restored_at_s"] == restored_at

    def test_paused_for_good(self, make_scenario):
        """Paused with all nodes resolved, a rollout stays paused: no makespan, no verdict, no horizon. [contract]"""
        values = self.run(make_scenario(operator=script((10, "pause"))), rolling())
        assert (values["state"], values["updated_nodes"]) == ("paused", 10)
        for unknown in ("verdict", "makespan_s", "exposed_node_s"):
            assert values[unknown] != values[unknown]

    def test_cancel(self, make_scenario):
        """A cancel rolls back every touched node at once, also those in flight. [contract]"""
        values = self.run(make_scenario(operator=script((45, "cancel"))), rolling(4))
        assert (values["state"], values["verdict"]) == ("canceled", "false_alarm")
        assert (values["stopped_at_s"], values["restored_at_s"]) == (45, 75)
        assert (values["touched_nodes"], values["updated_nodes"]) == (8, 4)
        assert values["exposed_node_s"] == 4 * 15

    @pytest.mark.parametrize("by_hand", [False, True])
    def test_a_cancel_of_nothing(self, make_scenario, by_hand):
        """A cancel before any dispatch has nothing to undo, not even by hand. [contract]"""
        scenario = make_scenario(operator=script((0, "pause"), (5, "cancel")))
        values = self.run(scenario, rolling(no_auto_rollback=by_hand))
        assert (values["stopped_at_s"], values["restored_at_s"], values["touched_nodes"]) == (5, 5, 0)

    @pytest.mark.parametrize(("start_failure", "state"), [(0, "canceled"), (1, "failed")])
    def test_a_stop_beats_a_cancel_and_a_cancel_beats_completion(self, make_scenario, start_failure, state):
        """At one instant a stop takes precedence over a cancel, and a cancel over completion. [contract]"""
        scenario = make_scenario(operator=script((30, "cancel")), fleet={"start_failure": start_failure})
        assert self.run(scenario, rolling())["state"] == state

    def test_acts_of_one_instant_come_in_the_file_s_order(self, make_scenario):
        """Two acts at one instant happen in the file's order. [contract]"""
        first = self.run(make_scenario(operator=script((10, "pause"), (10, "resume"))), rolling(5))
        assert (first["state"], first["makespan_s"]) == ("completed", 60)
        second = self.run(make_scenario(operator=script((10, "resume"), (10, "pause"))), rolling(5))
        assert second["state"] == "paused"

    # -- stops, escapes and types ------------------------------------------------------------------

    def test_nothing_is_dispatched_at_or_after_a_stop(self, make_scenario):
        """A dispatch due at the instant of a stop does not happen. [contract]"""
        scenario = make_scenario(fleet={**TEN, "start_failure": 1}, orchestrator=switches(pacing="sliding"))
        values = self.run(scenario, rolling(2, max_failed_nodes=1, max_failed_nodes_percent=100))
        assert (values["stopped_at_s"], values["touched_nodes"]) == (30, 2)

    def test_durations_of_zero(self, make_scenario):
        """With durations of 0 a rollout ends at the instant it begins, and no node was ever out of service. [contract]"""
        values = self.run(make_scenario(fleet={"update_duration": 0}), rolling(3))
        assert (values["makespan_s"], values["updated_nodes"], values["min_in_service_fraction"]) == (0, 10, 1)

    def test_a_rollback_that_fails(self, make_scenario):
        """A node whose rollback failed is out of service; restored_at_s is NaN and the horizon the last attempt's end. [contract]"""
        scenario = make_scenario(fleet={**TEN, "rollback_failure": 1}, release=BAD_ZONE_3_FAILS)
        values = self.run(scenario, rolling(max_failed_nodes=0))
        assert values["restored_at_s"] != values["restored_at_s"]
        assert (values["unavailable_node_s"], values["min_in_service_fraction"]) == (10 * 50, 0)
        assert values["unrestored_nodes"] == 10

    def test_nodes_left_out_of_service(self, make_scenario):
        """Nodes that did not start are out of service for good, unless they are rolled back. [contract]"""
        scenario = make_scenario(fleet={**TEN, "start_failure": 1})
        limits = {"max_failed_nodes": 10, "max_failed_nodes_percent": 100}
        for policy in (rolling(5, **limits), rolling(2, **limits), {"strategy": "immediate", **limits}):
            values = self.run(scenario, policy)
            assert (values["state"], values["failed_nodes"], values["unrestored_nodes"]) == ("completed", 10, 10)
        stopped = self.run(scenario, rolling(5, max_failed_nodes=0))
        assert (stopped["state"], stopped["failed_nodes"], stopped["unrestored_nodes"]) == ("failed", 5, 0)

    def test_unnoticed_nodes_are_left_out_of_service(self, make_scenario):
        """A node that hung under immediate counts as running, and is out of service for good. [contract]"""
        values = self.run(make_scenario(fleet={**TEN, "start_hang": 1}), {"strategy": "immediate"})
        assert (values["state"], values["updated_nodes"], values["unrestored_nodes"]) == ("completed", 10, 10)

    def test_new_and_absent_nodes_are_not_left_out(self, make_scenario):
        """Nobody misses a new node that never started, or a node that is down for good. [contract]"""
        limits = {"max_failed_nodes": 10, "max_failed_nodes_percent": 100}
        created = make_scenario(fleet={**TEN, "start_failure": 1}, deployment={"type": "create"})
        assert self.run(created, rolling(5, **limits))["unrestored_nodes"] == 0
        classes = [{"name": "away", "nodes": [0, 1, 2], "down": True}]
        away = make_scenario(fleet={**TEN, "start_failure": 1, "classes": classes})
        assert self.run(away, rolling(5, **limits))["unrestored_nodes"] == 7

    def test_an_escape_is_noticed_and_undone(self, make_scenario):
        """A completed defective release serves until people notice it, and is then rolled back. [contract]"""
        fleet = {"rollback_duration": 20, "requests_per_second": 10}
        release = {"bad": {**BAD["bad"], "error_rate": 0.05}}
        scenario = make_scenario(fleet=fleet, release=release, operator={"escape_detection": 600})
        values = self.run(scenario, rolling(5))
        assert (values["state"], values["verdict"]) == ("completed", "escaped")
        assert (values["makespan_s"], values["restored_at_s"]) == (60, 680)
        assert values["stopped_at_s"] != values["stopped_at_s"]
        exposed = 5 * (660 - 30) + 5 * (660 - 60)
        assert values["exposed_node_s"] == values["defective_node_s"] == exposed
        assert values["failed_requests_excess"] == pytest.approx(exposed * 10 * 0.05, rel=1e-12)
        assert (values["unavailable_node_s"], values["blast_radius"]) == (10 * 50, 1)

    def test_an_escape_that_is_noticed_at_once(self, make_scenario):
        """Peaks are taken once an instant has settled: nodes rolled back as the last one starts were never exposed together. [contract]"""
        scenario = make_scenario(release=BAD, operator={"escape_detection": 0})
        values = self.run(scenario, {"strategy": "immediate"})
        assert (values["verdict"], values["restored_at_s"]) == ("escaped", 60)
        assert (values["peak_exposed_nodes"], values["exposed_node_s"]) == (0, 0)

    def test_escape_detection_is_an_hour_by_default(self, make_scenario):
        """Unless stated, an escape is noticed after exponential time with a mean of an hour. [oracle]"""
        scenario = make_scenario(release=BAD)
        times = [self.run(scenario, rolling(), replication=k)["restored_at_s"] - 60 for k in range(400)]
        assert abs(sum(times) / 400 - 3600) < 4 * 3600 / 20

    def test_service_waits_for_nodes_that_go_back_by_themselves(self, make_scenario):
        """restored_at_s is when the last node is back, including node-local rollbacks. [contract]"""
        fleet = {**TEN, "classes": [{"name": "all", "share": 1, "rollback_duration": 500}]}
        scenario = make_scenario(fleet=fleet, release=BAD_ZONE_3_FAILS, orchestrator="expanso-rollout")
        assert self.run(scenario, rolling(max_failed_nodes=0))["restored_at_s"] == 530

    def test_a_stop_that_touched_nothing_is_not_undone_by_hand(self, make_scenario):
        """A stop has nothing to undo if all nodes were down at their turn. [contract]"""
        scenario = make_scenario(fleet={"nodes": 3, "crash": {"up": "1ns", "repair": "1000h"}})
        values = self.run(scenario, rolling(max_failed_nodes=0, no_auto_rollback=True))
        assert (values["state"], values["failed_nodes"], values["touched_nodes"]) == ("failed", 3, 0)
        assert (values["stopped_at_s"], values["restored_at_s"]) == (0, 0)

    def test_rollback_type(self, make_scenario):
        """For type rollback neither a stop nor an escape is undone. [contract]"""
        scenario = make_scenario(
            fleet=TEN,
            release=BAD_ZONE_3_FAILS,
            deployment={"type": "rollback"},
            operator={"escape_detection": 1000},
        )
        stopped = self.run(scenario, rolling(max_failed_nodes=0))
        assert (stopped["state"], stopped["verdict"]) == ("failed", "stopped_defective")
        assert stopped["restored_at_s"] != stopped["restored_at_s"]
        assert stopped["unavailable_node_s"] == 10 * 30
        escaped = self.run(scenario, rolling(max_failed_nodes_percent=100))
        assert (escaped["verdict"], escaped["exposed_node_s"]) == ("escaped", 8 * 1000)

    @pytest.mark.parametrize(
        ("kind", "state", "makespan", "updated", "unavailable"),
        [("restart", "failed", 30, 0, 5 * 30), ("stop", "completed", 60, 10, 0)],
    )
    def test_types_without_a_release(self, make_scenario, kind, state, makespan, updated, unavailable):
        """restart and stop draw no release: no verdict, no exposure, no escape, no rollback. [contract]"""
        scenario = make_scenario(
            fleet={**TEN, "start_failure": 1}, release=BAD, deployment={"type": kind}, orchestrator="expanso-rollout"
        )
        values = self.run(scenario, rolling(5, max_failed_nodes=0))
        assert values["release"] == ""
        assert values["verdict"] != values["verdict"]
        assert values["restored_at_s"] != values["restored_at_s"]
        assert values["exposed_node_s"] == values["peak_exposed_nodes"] == values["decision_windows"] == 0
        assert (values["state"], values["makespan_s"], values["updated_nodes"]) == (state, makespan, updated)
        assert values["unavailable_node_s"] == unavailable

    def test_a_run_that_outlasts_64_bits_is_refused(self, make_scenario):
        """Times beyond 64 bits fail the replication with a message instead of wrong numbers. [contract]"""
        scenario = make_scenario(fleet={"update_duration": "700000h"})
        with pytest.raises(SimulationError, match="146 years"):
            self.run(scenario, rolling(1, {"deadline": "800000h", "min_healthy_time": "0s"}))
