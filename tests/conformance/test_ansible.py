"""Real Ansible and the simulated playbooks reach, fail and stop at the same hosts, batch by batch."""

from __future__ import annotations

import json

import pytest
from conformance.ansible_runs import RECORDINGS, find_ansible, read_version, run
from conformance.plays import DIFFERENCES, PLAYS
from conformance.simulated import simulate

RECORDED = {
    recording["ansible_core"]: recording["runs"]
    for recording in (
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(RECORDINGS.glob("ansible-*.json"))
    )
}
ENGINES = ("reference", "compiled")


def reached(real) -> dict:
    """Return the batches of a simulation without unreachable hosts."""
    batches = [sorted({*batch} - {*real["unreachable"]}) for batch in real["batches"]]
    return {"batches": [batch for batch in batches if batch], "failures": real["failures"]}


def has_stopped(real, n_hosts: int) -> bool:
    """Return whether Ansible left hosts out, or reported in the last batch that no host was left."""
    return sum(map(len, real["batches"])) < n_hosts or (real["stopped"] and not real["unreachable"])


def agree(play, real, version, engine, folder) -> None:
    simulated = simulate(play, version, engine, folder)
    assert simulated == {**reached(real), "stopped": has_stopped(real, play.n_hosts)}


@pytest.mark.parametrize("title", PLAYS)
@pytest.mark.parametrize("version", RECORDED)
def test_recordings_agree(version: str, title: str, engine: str, tmp_path) -> None:
    """Every recorded run of every version agrees with both engines. [oracle]"""
    agree(PLAYS[title], RECORDED[version][title], version, engine, tmp_path)


@pytest.mark.parametrize("title", DIFFERENCES)
@pytest.mark.parametrize("version", RECORDED)
def test_differences_are_as_documented(version: str, title: str, engine: str, tmp_path) -> None:
    """Where Ansible adds unreachable hosts to failed ones, one of the two stops and the other continues. [oracle]"""
    play, real = DIFFERENCES[title], RECORDED[version][title]
    simulated = simulate(play, version, engine, tmp_path)
    assert simulated["stopped"] is not has_stopped(real, play.n_hosts)
    assert simulated["failures"] == real["failures"]


def test_two_versions_are_recorded() -> None:
    """Each recording has a run of every play, and the versions differ in one. [contract]"""
    assert len(RECORDED) >= 2
    for runs in RECORDED.values():
        assert runs.keys() == {*PLAYS, *DIFFERENCES}
    first, *others = RECORDED.values()
    assert {title for runs in others for title in runs if runs[title] != first[title]} == {"a template that says false"}


@pytest.mark.slow
def test_ansible_itself(tmp_path) -> None:
    """Installed Ansible repeats every fourth recorded play; an unrecorded version agrees with both engines in all plays. [oracle]"""
    program = find_ansible()
    if program is None:
        pytest.skip("ansible-playbook is not installed: pip install 'simdeploy[conformance]'")
    version, _ = read_version(program)
    plays = {**PLAYS, **DIFFERENCES}
    for title in [*plays][:: 4 if version in RECORDED else 1]:
        real = run(program, plays[title], tmp_path)
        if version in RECORDED or title in DIFFERENCES:
            assert real == RECORDED.get(version, next(iter(RECORDED.values())))[title], title
            continue
        for engine in ENGINES:
            agree(plays[title], real, version, engine, tmp_path)
