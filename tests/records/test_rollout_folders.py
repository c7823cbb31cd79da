"""Folders of simulated rollouts are read as exactly the records that the rollout itself gives."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest
from small import maybe_bad, rolling, small

import simdeploy
from simdeploy import InputError, Records, read_records, simulate

TABLES = [each.name for each in fields(Records)]
CHECK = {"deadline": "5m", "min_healthy_time": "30s"}
SCENARIOS = sorted(path.stem for path in (Path(__file__).resolve().parents[2] / "scenarios").glob("*.yaml"))


def assert_same(records: Records, expected: Records) -> None:
    """Assert that all tables are equal, to the last bit."""
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(records, name), getattr(expected, name), check_exact=True)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_written_rollout_reads_as_its_records(name, repository, tmp_path):
    """Written in either form and read back together, rollouts of each shipped scenario equal `to_records`. [contract]"""
    scenario = simdeploy.read_scenario(repository / "scenarios" / f"{name}.yaml")
    policies = list(scenario.policies)[: 1 if scenario.fleet.nodes > 500 else 3]
    rollouts = {policy: simulate(scenario, policy, seed=3) for policy in policies}
    expected = Records.join([rollouts[policy].to_records(policy) for policy in sorted(policies)])
    for form in ("parquet", "csv"):
        for policy, rollout in rollouts.items():
            rollout.write(tmp_path / form / policy, form=form)
        assert_same(read_records(tmp_path / form), expected)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_odd_names_survive(form, tmp_path):
    """Class names that look like formulas, or have commas and quotes, are read back unchanged. [contract]"""
    classes = [{"name": name, "share": 0.25} for name in ("=1+1", 'a,"b"', "nan")]
    scenario = small(fleet={"classes": classes})
    rollout = simulate(scenario, "waves", seed=2)
    rollout.write(tmp_path / "r", form=form)
    records = read_records(tmp_path / "r")
    assert_same(records, rollout.to_records("r"))
    assert set(records.nodes["class"]) == {"=1+1", 'a,"b"', "nan", ""}


def test_a_folder_of_folders(tmp_path):
    """Each subfolder is a rollout, named by the shortest distinct part of its path; none is read twice. [contract]"""
    for number, place in enumerate(("march/one", "march/two", "april/one")):
        simulate(small(), "waves", replication=number).write(tmp_path / place)
    (tmp_path / "notes.txt").write_text("beside them")
    records = read_records(tmp_path, tmp_path / "march", tmp_path / "march" / "one")
    assert records.rollouts["rollout"].tolist() == ["april/one", "march/one", "march/two"]
    assert records.nodes.groupby("rollout").size().tolist() == [12, 12, 12]
    [note] = records.dropped.itertuples()
    assert note.file.endswith("notes.txt")
    assert note.rows == 0


def test_people_and_policies_are_on_record(tmp_path):
    """Acts of people are read, and the policy with its switches can be simulated again. [contract]"""
    script = {"script": [{"at": "1m", "do": "pause"}, {"at": "3m", "do": "resume"}]}
    scenario = small(operator=script, release=maybe_bad(1.0))
    rollout = simulate(scenario, rolling(3), seed=1)
    rollout.write(tmp_path / "r")
    records = read_records(tmp_path / "r")
    assert records.acts[["time_s", "act"]].to_numpy().tolist() == [[60.0, "pause"], [180.0, "resume"]]
    row = records.rollouts.iloc[0]
    assert row["release"] == "bad"
    assert row["defective"]
    again = simulate(scenario, json.loads(row["policy"]), seed=1)
    assert again.responses["makespan_s"] == row["ended_s"]


def test_how_far_nodes_are_known(tmp_path):
    """A rolled back node is known until its rollback, others until the end of the record. [contract]"""
    scenario = small(fleet={"start_failure": 0.5, "start_attempts": 1}, release=None)
    rollout = simulate(scenario, rolling(4, max_failed_nodes=0, health_check=CHECK), seed=2)
    rollout.write(tmp_path / "r")
    records = read_records(tmp_path / "r")
    back = rollout.nodes["rollback_started_at_s"]
    assert 0 < back.notna().sum() < len(back)
    end = records.rollouts["watched_until_s"][0]
    assert end >= back.max()
    assert records.nodes["watched_until_s"].tolist() == back.fillna(end).tolist()
    causes = {
        "did not start": "did_not_start",
        "silent until the deadline": "silent",
        "not healthy by the deadline": "unhealthy",
    }
    failed = rollout.nodes["failed_reason"]
    assert records.nodes["cause"].fillna("").tolist() == [causes.get(reason, "") for reason in failed]
    assert records.nodes["cause"].notna().any()


def _change(folder, **changes):
    file = folder / "rollout.json"
    written = json.loads(file.read_text())
    written["record"].update(changes)
    file.write_text(json.dumps({key: value for key, value in written.items() if value is not ...}))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: (folder / "nodes.parquet").unlink(), "nodes.parquet: can't be read: No such file"),
        (lambda folder: (folder / "nodes.csv").write_text("a,b\n1,2\n"), "both nodes.parquet and nodes.csv"),
        (lambda folder: (folder / "windows.parquet").write_bytes(b"PAR1 no more"), "not a valid Parquet file"),
        (
            lambda folder: (folder / "rollout.json").write_text('{"policy": "x"}'),
            "record: no record of a rollout; it was written by an older",
        ),
        (
            lambda folder: _change(folder, nodes="12"),
            "record.nodes: wrong type \\(found '12'\\); allowed: a whole number",
        ),
        (lambda folder: _change(folder, started_at="monday"), "record.started_at: not an RFC 3339 time"),
        (lambda folder: _change(folder, policy=None), "record.policy: missing; allowed: an object"),
        (
            lambda folder: (
                pd.read_parquet(folder / "nodes.parquet").drop(columns="zone").to_parquet(folder / "nodes.parquet")
            ),
            "nodes.parquet: zone: no such column",
        ),
        (
            lambda folder: (
                pd.read_parquet(folder / "windows.parquet").assign(node=12).to_parquet(folder / "windows.parquet")
            ),
            "a window of a node that isn't in the table of nodes",
        ),
        (
            lambda folder: (
                pd.read_parquet(folder / "nodes.parquet").assign(attempts=-1.5).to_parquet(folder / "nodes.parquet")
            ),
            "attempts: not a whole number \\(found -1.5\\); allowed: a whole number, 0 or more",
        ),
    ],
)
def test_damaged_folders_are_refused(break_it, message, tmp_path):
    """A damaged folder is refused with the damage and its place. [contract]"""
    policy = rolling(5, health_check=CHECK, max_failed_nodes=12, max_failed_nodes_percent=100)
    simulate(small(), policy).write(tmp_path)
    break_it(tmp_path)
    with pytest.raises(InputError, match=message):
        read_records(tmp_path)


def test_flipped_bits_are_found(tmp_path):
    """A bit flipped in a page of a Parquet file is an error, not another value. [contract]"""
    simulate(small(), "waves").write(tmp_path)
    file = tmp_path / "nodes.parquet"
    content = bytearray(file.read_bytes())
    content[80] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"nodes.parquet: not a valid Parquet file: .*CRC"):
        read_records(tmp_path)


def test_links_out_of_a_folder_are_not_followed(tmp_path):
    """A table that is a link to a file elsewhere is refused. [contract]"""
    simulate(small(), "waves").write(tmp_path / "r")
    secret = tmp_path / "secret.parquet"
    (tmp_path / "r" / "nodes.parquet").rename(secret)
    (tmp_path / "r" / "nodes.parquet").symlink_to(secret)
    with pytest.raises(InputError, match=r"nodes.parquet: a link out of the folder; name the file itself"):
        read_records(tmp_path / "r")
    (tmp_path / "tables").mkdir()
    (tmp_path / "secret.csv").write_text("node,started_at_s\na,1\n")
    (tmp_path / "tables" / "n.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(InputError, match=r"n.csv: a link out of the folder; name the file itself"):
        read_records(tmp_path / "tables")
