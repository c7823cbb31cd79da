"""A rollout's tables in pandas: health windows, expected error rates, failures, revisions, and their files."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from small import rolling, small

from simdeploy import InputError, Scenario, simulate
from simdeploy.engines.intervals import FOREVER

CHECK = {"deadline": "5m", "min_healthy_time": "30s", "max_error_rate": 0.1}
ESCAPES = {
    "name": "escapes",
    "fleet": {
        "nodes": 20,
        "update_duration": "30s",
        "requests_per_second": 10,
        "error_rate": {"beta": {"mean": 0.02, "sd": 0.01}},
        "start_failure": 0.1,
        "crash": {"up": {"exponential": {"mean": "20m"}}, "repair": "1m"},
        "flapping": {"good": "10m", "degraded": "1m", "error_rate": 0.3},
        "rollback_duration": "20s",
    },
    "release": {"latent": {"probability": 1, "defective": True, "error_rate": 0.4, "after": {"uniform": {"low": "20m", "high": "30m"}}}},
    "operator": {"escape_detection": "1h"},
    "policies": {"waves": rolling(5, health_check=CHECK, max_failed_nodes=19)},
}  # fmt: skip


def integrate(timeline: pd.DataFrame, rate: pd.Series) -> float:
    """Return the integral of a rate that is constant between rows."""
    return float((np.diff(timeline["time_s"]) * rate.fillna(0).to_numpy()[:-1]).sum())


def test_the_error_rate_accounts_for_every_excess_failure():
    """The timeline's expectation with the defect less that without it is the response, escaped failures included. [oracle]"""
    raw = {**ESCAPES, "fleet": {**ESCAPES["fleet"], "flapping": None, "error_rate": 0.02}}
    raw["fleet"] = {key: value for key, value in raw["fleet"].items() if value is not None}
    n_escaped = n_failed = 0
    for seed in range(8):
        rollout = simulate(Scenario.from_dict(raw), seed=seed)
        timeline = rollout.timeline
        failed = timeline["requests_per_second"] * timeline["error_rate"]
        without = 0.02 * timeline["requests_per_second"]
        excess = integrate(timeline, failed - without)
        n_escaped += rollout.responses["verdict"] == "escaped"
        assert excess == pytest.approx(rollout.responses["failed_requests_excess"], rel=1e-9, abs=1e-6)
        n_failed += excess
    assert n_escaped >= 2
    assert n_failed > 100_000


def test_the_error_rate_follows_from_the_nodes():
    """At any row the fleet's rate is that of its nodes in service, computed one by one from the world. [oracle]"""
    rollout = simulate(Scenario.from_dict(ESCAPES), seed=3)
    world, timeline, nodes = rollout._recording.world, rollout.timeline, rollout.nodes
    assert len(timeline) > 100
    for row in timeline.iloc[::3].itertuples():
        t = round(row.time_s * 1e9)
        spells = rollout.down_spells.query("from_s <= @row.time_s < until_s")
        down = [node for node in range(20) if world.is_down(node, t)]
        assert spells["node"].tolist() == (down if row.time_s < timeline["time_s"].iloc[-1] else [])
        requests = {True: 0.0, False: 0.0}
        failed = {True: 0.0, False: 0.0}
        for node, fate in enumerate(rollout._recording.fates):
            started = FOREVER if fate.started_ns is None else fate.started_ns
            dispatched = FOREVER if fate.dispatched_ns is None else fate.dispatched_ns
            back_from = FOREVER if fate.back_from_ns is None else fate.back_from_ns
            back_until = FOREVER if fate.back_until_ns is None else fate.back_until_ns
            updating = dispatched <= t < min(started, back_until)
            going_back = started < FOREVER and back_from <= t < back_until
            if updating or going_back or world.is_down(node, t):
                continue
            new = started <= t < back_from
            shown = new and t >= started + world.after_ns(node)
            degraded = any(start <= t < end for start, end in world.degraded_spells(node, t, t + 1))
            level = 1 - (1 - world.baseline[node]) * (1 - 0.4 * shown) * (1 - 0.3 * degraded)
            requests[new] += 10
            failed[new] += 10 * level
        assert row.requests_per_second == pytest.approx(sum(requests.values()))
        for name, new in (("error_rate_old", False), ("error_rate_new", True)):
            expected = failed[new] / requests[new] if requests[new] else np.nan
            assert getattr(row, name) == pytest.approx(expected, nan_ok=True)
        assert row.error_rate == pytest.approx(sum(failed.values()) / sum(requests.values()))
    assert len(nodes) == 20


def test_a_fleet_without_traffic_has_no_error_rate():
    """Without requests, or nodes in service, error rates are missing, not 0. [contract]"""
    silent = simulate(small(fleet={"requests_per_second": 0}), "at-once").timeline
    assert silent["error_rate"].isna().all()
    assert (silent["requests_per_second"] == 0).all()
    timeline = simulate(small(), "at-once").timeline
    assert timeline["error_rate"].isna().equals(timeline["in_service"].eq(0))


def test_windows_are_those_of_the_health_check():
    """Windows agree with timeline and nodes, and are unhealthy beyond the limit. [contract]"""
    rollout = simulate(small(), rolling(5, health_check=CHECK, max_failed_nodes=8), seed=2)
    windows = rollout.windows
    sums = windows.groupby("ended_s")[["requests", "failed_requests"]].sum()
    timeline = rollout.timeline.set_index("time_s").loc[sums.index, ["requests", "failed_requests"]]
    assert timeline.equals(sums)
    counts = windows.groupby("node").size()
    assert rollout.nodes.set_index("node")["windows"].loc[counts.index].tolist() == counts.tolist()
    assert windows["healthy"].equals(windows["error_rate"].le(0.1) & windows["up"])
    assert windows["max_error_rate"].eq(0.1).all()
    assert windows["on_new_version"].all()
    assert windows["counted"].sum() == rollout.responses["decision_windows"]
    worst = windows.groupby("node")["error_rate"].max()
    assert rollout.nodes.set_index("node")["worst_error_rate"].dropna().equals(worst.rename("worst_error_rate"))


@pytest.mark.parametrize("gate", [{"kind": "pooled"}, {"kind": "baseline", "alpha": 0.05}])
def test_windows_of_a_gate_add_up_to_its_requests(gate):
    """Counted windows of new nodes have the gate's requests; a comparison has as many of old ones. [contract]"""
    check = {"deadline": "5m", "min_healthy_time": "1m", "max_error_rate": 0.1, "gate": gate}
    for seed in range(4):
        rollout = simulate(small(fleet={"nodes": 30}), rolling(5, health_check=check), seed=seed)
        windows = rollout.windows
        counted = windows[windows["counted"]]
        new, old = counted[counted["on_new_version"]], counted[~counted["on_new_version"]]
        assert new["requests"].sum() == rollout.responses["decision_requests"] > 0
        assert windows["max_error_rate"].isna().all()
        if gate["kind"] == "baseline":
            assert old["requests"].sum() == new["requests"].sum()
            assert old["wave"].isna().all()
        else:
            assert old.empty


def test_watched_nodes_have_windows_after_validation():
    """A gate that watches running nodes leaves windows of them, beyond those of the health check. [contract]"""
    gate = {"kind": "cusum", "good": 0.02, "bad": 0.2, "alarm_every": 100_000}
    check = {"deadline": "5m", "min_healthy_time": "30s", "max_error_rate": 0.9, "gate": gate}
    rollout = simulate(small(fleet={"start_failure": 0}, release=None), rolling(2, health_check=check))
    windows = rollout.windows.merge(rollout.nodes[["node", "resolved_at_s"]])
    watched = windows[windows["ended_s"] > windows["resolved_at_s"]]
    assert len(watched) > 20
    assert watched["counted"].all()


def test_failed_nodes_are_known_after_the_rollback():
    """Failed nodes keep time and reason, also after their rollback, and match the deployment's count. [contract]"""
    rollout = simulate(
        small(fleet={"start_failure": 0.3}, release=None), rolling(3, max_failed_nodes=0, health_check=CHECK)
    )
    nodes = rollout.nodes
    assert rollout.responses["state"] == "failed"
    assert not nodes["status"].eq("failed").any()
    failed = nodes[nodes["ever_failed"]]
    assert len(failed) == rollout.responses["failed_nodes"] >= 1
    events = rollout.events[rollout.events["to_status"].eq("failed") & rollout.events["node"].notna()]
    assert failed["failed_at_s"].tolist() == events.sort_values("node")["time_s"].tolist()
    assert set(failed["failed_reason"]) == {"did not start"} == set(events["reason"])
    others = nodes[~nodes["ever_failed"]]
    assert others["failed_at_s"].isna().all()
    assert others["failed_reason"].eq("").all()


def test_revisions_have_times_that_pandas_understands():
    """Times are UTC, missing ones NaT; type, versions and canaries are those of the deployment objects. [contract]"""
    rollout = simulate(
        small(fleet={"start_failure": 0.3}, release=None), rolling(3, max_failed_nodes=0, health_check=CHECK)
    )
    revisions = rollout.revisions
    assert str(revisions["updated_at"].dtype) == "datetime64[ns, UTC]"
    elapsed = (revisions["updated_at"] - revisions["created_at"].iloc[0]).dt.total_seconds()
    assert elapsed.to_numpy() == pytest.approx(revisions["time_s"].to_numpy(), abs=1e-9)
    assert pd.to_datetime(revisions["updated_at"]).equals(revisions["updated_at"])
    first = revisions.iloc[0]
    assert first["completed_at"] is pd.NaT
    by_id = revisions.groupby("deployment", sort=False)[["type", "from_version", "to_version"]].first()
    assert by_id.values.tolist() == [["update", 1, 2], ["rollback", 2, 1]]
    canary = simulate(
        small(),
        {"strategy": "canary", "canary_count": 2, "max_parallel": 4, "auto_promote": True, "health_check": CHECK},
    )
    assert canary.revisions.query("type == 'update'")["canaries"].eq(2).all()


def test_years_beyond_64_bits_of_nanoseconds():
    """A rollout in the year 2500 keeps its times to the microsecond. [contract]"""
    rollout = simulate(small(deployment={"created_at": "2500-01-01T00:00:00.0000009Z"}), "waves")
    revisions = rollout.revisions
    assert revisions["created_at"].iloc[0] == pd.Timestamp("2500-01-01", tz="UTC").as_unit("us")
    elapsed_ns = np.round(revisions["time_s"].to_numpy() * 1e9).astype(np.int64)
    assert (elapsed_ns % 1000 > 99).any()  # plus 900 ns of the start, that is another microsecond
    elapsed_us = (revisions["updated_at"] - revisions["created_at"].iloc[0]).dt.total_seconds() * 1e6
    assert np.round(elapsed_us).astype(np.int64).tolist() == ((elapsed_ns + 900) // 1000).tolist()


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_rollout_is_written_and_read(tmp_path, form):
    """All tables of a rollout are read back from files unchanged. [contract]"""
    rollout = simulate(small(), "waves", seed=3)
    rollout.write(tmp_path / "records", form=form)
    read = pd.read_parquet if form == "parquet" else pd.read_csv
    for name in ("events", "timeline", "nodes", "windows", "revisions"):
        table, back = getattr(rollout, name), read(tmp_path / "records" / f"{name}.{form}")
        if form == "parquet":
            pd.testing.assert_frame_equal(back, table, check_dtype=False)
        else:
            assert list(back) == list(table)
            assert len(back) == len(table)
    about = json.loads((tmp_path / "records" / "rollout.json").read_text(encoding="utf-8"))
    assert about["responses"]["state"] == rollout.responses["state"]
    assert about["deployments"][0] == rollout.deployment.to_dict()
    assert (about["seed"], about["policy"]) == (3, "waves")


def test_unwritable_places(tmp_path):
    """An unknown form and a file in place of the folder are refused before anything is written. [contract]"""
    rollout = simulate(small(), "waves")
    with pytest.raises(InputError, match="did you mean 'csv'"):
        rollout.write(tmp_path / "new", form="cvs")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="not a folder"):
        rollout.write(tmp_path / "file")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_windows_after_the_end_do_not_count():
    """After a stop without rollback, windows of nodes in flight change no verdict. [contract]"""
    scenario = small(fleet={"start_failure": 0.4}, orchestrator={"on_failure": "stop"}, release=None)
    rollout = simulate(scenario, rolling(6, max_failed_nodes=0, no_auto_rollback=True, health_check=CHECK))
    windows, end = rollout.windows, rollout.responses["makespan_s"]
    late = windows["ended_s"] > end
    assert late.any()
    assert windows["counted"].equals(~late)


def test_no_rounding_error_is_left_without_nodes_in_service():
    """Rates that aren't binary fractions cancel when the last node has changed its version. [contract]"""
    rollout = simulate(
        small(fleet={"nodes": 97, "requests_per_second": 0.1, "start_failure": 0}, release=None), "waves"
    )
    last = rollout.timeline.iloc[-1]
    assert last["exposed"] == last["in_service"] == 97
    assert np.isnan(last["error_rate_old"])
    assert last["error_rate"] == last["error_rate_new"] == 0
