"""Metrics of a rollout in OpenMetrics format."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from invoking import invoke
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from small import IMMEDIATE, rolling, small

from simdeploy import simulate
from simdeploy.api import parse_time
from simdeploy.engines import exposition

CREATED = "2026-01-05T09:00:00.5+01:00"
NAME = 'a "b" \\'


@pytest.fixture(scope="module")
def rollout():
    fleet = {"service": {"shared": {"capacity": 1.1, "across": "fleet"}}}
    policies = {NAME: rolling(5, max_failed_nodes=1)}
    return simulate(small(fleet, policies=policies, deployment={"created_at": CREATED}), replication=3)


@pytest.fixture(scope="module")
def families(rollout):
    return {family.name: family for family in text_string_to_metric_families(rollout.to_openmetrics())}


def series(families, name, **labels):
    """Return seconds after the start, and values, of one series."""
    samples = [one for one in families[name].samples if labels.items() <= one.labels.items()]
    assert {frozenset(one.labels.items()) for one in samples} == {frozenset(samples[0].labels.items())}
    at_s = [float(one.timestamp) - parse_time(CREATED) / 1e9 for one in samples]
    return np.array(at_s), np.array([one.value for one in samples])


def held(table, column, at_s):
    """Return the values of a table at some times."""
    return table[column].to_numpy()[np.searchsorted(table["time_s"], at_s, side="right") - 1]


def test_values_are_those_of_the_timeline(rollout, families):
    """Every 15 s from the start to after the end, each metric has the timeline's value. [contract]"""
    timeline = rollout.timeline
    at_s, running = series(families, "simdeploy_nodes", status="running")
    assert np.allclose(at_s, np.arange(math.ceil(timeline["time_s"].iloc[-1] / 15) + 1) * 15, atol=1e-3)
    at_s = np.round(at_s)
    assert np.array_equal(running, held(timeline, "running", at_s))
    for name, column in (("in_service_nodes", "in_service"), ("exposed_nodes", "exposed"), ("load_ratio", "load")):
        assert np.array_equal(series(families, f"simdeploy_{name}")[1], held(timeline, column, at_s))
    _, requests = series(families, "simdeploy_window_requests")
    assert np.array_equal(requests, held(timeline.assign(all=timeline["requests"].cumsum()), "all", at_s))
    _, errors = series(families, "simdeploy_error_ratio", version="all")
    assert np.array_equal(errors, held(timeline, "error_rate", at_s))
    assert max(errors) > 0


def test_values_are_those_of_the_revisions(rollout, families):
    """Deployment and rollback have their revisions' values, the rollback none before it begins. [contract]"""
    assert rollout.responses["state"] == "failed"
    for id_, rows in rollout.revisions.groupby("deployment"):
        at_s, failed = series(families, "simdeploy_deployment_failed_nodes", deployment=id_)
        assert round(at_s[0]) == math.ceil(rows["time_s"].min() / 15) * 15
        assert np.array_equal(failed, held(rows, "failed_nodes", np.round(at_s)))
    labels = {"deployment": rollout.deployment.id, "state": "failed"}
    _, is_failed = series(families, "simdeploy_deployment_state", **labels)
    assert (is_failed[0], is_failed[-1]) == (0, 1)
    _, limit = series(families, "simdeploy_max_failed_nodes")
    assert set(limit) == {1}


def test_names(families):
    """Every series has the policy and replication, and each name is documented. [contract]"""
    samples = [one for family in families.values() for one in family.samples]
    assert {(one.labels["policy"], one.labels["replication"]) for one in samples} == {(NAME, "3")}
    assert all(name.startswith("simdeploy_") and family.documentation for name, family in families.items())


def test_unknown_values_are_left_out():
    """A service without requests has no error rates, and `immediate` no limit of them. [contract]"""
    rollout = simulate(small({"requests_per_second": 0}, policies={"at-once": IMMEDIATE}))
    text = rollout.to_openmetrics()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert not families["simdeploy_error_ratio"].samples
    assert "simdeploy_max_error_ratio" not in families


def test_long_rollouts_are_scraped_less_often(monkeypatch):
    """Beyond a number of scrapes their interval grows. [contract]"""
    monkeypatch.setattr(exposition, "_MOST_SCRAPES", 10)
    lines = simulate(small(policies={"waves": rolling(1)})).to_openmetrics().splitlines()
    times = [float(line.split()[-1]) for line in lines if line.startswith("simdeploy_in_service_nodes{")]
    assert 5 < len(times) <= 12
    assert {after - before for before, after in pairwise(times)} == {times[1] - times[0]}
    assert (times[1] - times[0]) % 15 == 0


def test_the_command_writes_it(tmp_path, rollout):
    """--prometheus writes what `to_openmetrics` returns. [contract]"""
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps(rollout.scenario.to_dict()))
    words = ["run", str(path), "--replication", "3", "--prometheus", str(tmp_path / "m.prom")]
    result = invoke(*words)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "m.prom").read_text() == rollout.to_openmetrics()
