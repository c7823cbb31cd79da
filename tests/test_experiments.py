"""Replications: their table, identical numbers for any number of workers, and failures."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pandas as pd
import pytest
from small import IMMEDIATE, rolling, small

from simdeploy.engines.reference.engine import run_reference
from simdeploy.errors import InputError, SimulationError
from simdeploy.experiments import replicate
from simdeploy.vocabulary import RESPONSES

DEADLINE_S = 60


@pytest.fixture
def scenario():
    policies = {"in-fives": rolling(5), "at-once": IMMEDIATE}
    return small({"nodes": 20, "start_failure": 0.05}, policies=policies)


def test_one_row_per_policy_and_replication(scenario):
    """Policies are in the requested order, replications ascend, and the columns are the documented ones. [contract]"""
    table = replicate(scenario, policies=["at-once", "in-fives"], replications=3)
    assert list(table["policy"]) == ["at-once"] * 3 + ["in-fives"] * 3
    assert list(table["replication"]) == [0, 1, 2] * 2
    assert list(table) == ["scenario", "policy", "replication", *RESPONSES, "status", "stage", "error"]
    assert set(table["scenario"]) == {"small"}
    assert set(table["status"]) == {"ok"}
    assert table[["stage", "error"]].isna().all(axis=None)


def test_types_do_not_depend_on_the_values(scenario, monkeypatch):
    """A table of failed replications has the same types as one without failures. [contract]"""
    expected = replicate(scenario, replications=2).dtypes
    declared = {name: pd.Series(dtype=dtype).dtype for name, dtype in RESPONSES.items()}
    assert expected[list(RESPONSES)].to_dict() == declared
    monkeypatch.setattr("simdeploy.engines.reference.engine.run_reference", lambda *_, **__: 1 / 0)
    pd.testing.assert_series_equal(replicate(scenario, replications=2).dtypes, expected)


def test_the_table_has_its_conditions(scenario):
    """Scenario, seed, engine and every switch are attributes of the table. [contract]"""
    changed = scenario.with_values({"orchestrator.limit_comparison": "reaches"})
    attrs = replicate(changed, replications=1, seed=9).attrs
    assert (attrs["scenario"], attrs["seed"], attrs["engine"]) == ("small", 9, "reference")
    assert attrs["switches"] == changed.orchestrator.switches()
    assert attrs["switches"]["limit_comparison"] == "reaches"


def test_specs_have_the_names_they_are_given(scenario):
    """Policies may be given as specs under new names; a single name is one policy. [contract]"""
    spec = {"strategy": "rolling", "max_parallel": 10, "health_check": {"deadline": "5m"}}
    table = replicate(scenario, policies={"in-tens": spec, "old": "in-fives"}, replications=2)
    assert list(table["policy"].unique()) == ["in-tens", "old"]
    alone = replicate(scenario, policies="in-fives", replications=2)
    old = table[table["policy"].eq("old")]
    pd.testing.assert_series_equal(old["makespan_s"], alone["makespan_s"], check_index=False)


def test_a_failed_replication_is_a_row(scenario, monkeypatch):
    """An exception affects one replication only, whose row has its place and reason in one line. [contract]"""

    def sometimes(scenario, policy, *, replication, **options):
        if replication == 1:
            raise ValueError("two\nlines")
        return run_reference(scenario, policy, replication=replication, **options)

    monkeypatch.setattr("simdeploy.engines.reference.engine.run_reference", sometimes)
    table = replicate(scenario, replications=3)
    failed = table[table["status"].eq("failed")]
    assert list(failed["replication"]) == [1, 1]
    assert set(failed["stage"]) == {"simulate"}
    assert set(failed["error"]) == {"ValueError: two lines"}
    assert failed[list(RESPONSES)].isna().all(axis=None)
    assert table.loc[table["status"].eq("ok"), "makespan_s"].notna().all()


def test_ctrl_c_passes(scenario, monkeypatch):
    """An interrupt ends the run instead of failing a replication. [contract]"""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("simdeploy.engines.reference.engine.run_reference", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replicate(scenario, replications=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replications": True}, "^replications: "),
        ({"replications": 2.0}, "^replications: "),
        ({"replications": 1, "policies": []}, "no policy"),
        ({"replications": 1, "policies": ["at-once", "at-once"]}, "duplicate name"),
        ({"replications": 1, "policies": {"x": {"strategy": "rolling"}}}, "rolling needs a health check"),
    ],
)
def test_arguments_are_checked(scenario, options, message):
    """Invalid arguments are refused with the reason. [contract]"""
    with pytest.raises(InputError, match=message):
        replicate(scenario, **options)


def test_progress_is_reported_and_nothing_printed(scenario, capsys):
    """A callable receives every piece, up to the last; nothing is printed by default. [contract]"""
    heard = []
    replicate(scenario, replications=3, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(0, 6), (2, 6), (4, 6), (6, 6)]
    assert capsys.readouterr() == ("", "")
    replicate(scenario, replications=3, progress=True)
    out, err = capsys.readouterr()
    assert (out, err.rstrip("\n").split("\r")[-1]) == ("", "6 of 6 replications")


LONG = "replicate(scenario, replications=20_000, engine='reference', workers=2, progress=report_progress)"
GUARD = "if __name__ == '__main__':"


def run_script(tmp_path, *, worker="time.sleep(1)", once_working="pass", last=f"{GUARD} {LONG}"):
    """Start a script that replicates something long on two workers, in a process group of its own.

    `worker` is what a worker does that imports the script, `once_working` what the parent does when there are workers.
    """
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
            import json, os, signal, time
            if __name__ == "__mp_main__":
                print("a worker is starting", flush=True)
                {worker}
            from simdeploy.experiments import replicate
            from simdeploy.scenario import Scenario
            scenario = Scenario.from_dict({{
                "name": "long",
                "fleet": {{"nodes": 500, "update_duration": 60}},
                "policies": {{"p": {{"strategy": "immediate"}}}},
            }})
            def report_progress(done, total):
                {once_working}
                print("work is done", flush=True)
        """)
        + last
    )
    return subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def living(group):
    """Return the processes of a group that are alive and no zombies."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, its_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                found.append(int(folder.name))
    return found


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("sent", "when"),
    [(signal.SIGINT, "a worker is starting"), (signal.SIGINT, "work is done"), (signal.SIGKILL, "work is done")],
)
def test_workers_end_with_their_parent(tmp_path, sent, when):
    """Interrupted or killed, early or late, the parent leaves no worker behind, and no worker prints an error. [contract]"""
    process = run_script(tmp_path)
    assert any(when in line for line in process.stdout)  # two workers may write into one line
    if sent == signal.SIGINT:
        # A terminal sends it to all; here the workers get it first, which would have time to print an error.
        for worker in set(living(process.pid)) - {process.pid}:
            os.kill(worker, sent)
        time.sleep(0.3)
    process.send_signal(sent)
    _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == -sent, err
    # Python itself prints an error in a worker that was being started when its parent was killed.
    assert err.count("Traceback") == (1 if sent == signal.SIGINT else err.count("EOFError: Ran out of input"))
    end = time.monotonic() + DEADLINE_S
    while living(process.pid) and time.monotonic() < end:
        time.sleep(0.1)
    assert living(process.pid) == []


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="looks for processes in /proc")
def test_workers_end_although_a_fork_of_their_parent_lives(tmp_path):
    """A killed parent may leave a forked copy behind, but no worker. [contract]"""
    copy = "os.path.exists('copy') or (os.close(os.open('copy', os.O_CREAT)), os.fork() or time.sleep(600))"
    process = run_script(tmp_path, once_working=copy.replace("copy", str(tmp_path / "copy")))
    assert any("work is done" in line for line in process.stdout)
    process.kill()
    assert process.wait(DEADLINE_S) == -signal.SIGKILL

    def commands():
        return [Path(f"/proc/{number}/cmdline").read_text() for number in living(process.pid)]

    end = time.monotonic() + DEADLINE_S
    try:
        while any("spawn_main" in command for command in commands()) and time.monotonic() < end:
            time.sleep(0.1)
        assert any("script.py" in command for command in commands())
        assert not any("spawn_main" in command for command in commands())
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_script_without_a_guard_is_an_error(tmp_path):
    """A script that would restart itself in its workers gets an error that says what to do. [contract]"""
    process = run_script(tmp_path, worker="pass", last=LONG)
    _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert "SimulationError: no worker process could start" in err.splitlines()[-1]
    assert "under `if __name__ == '__main__':`" in err.splitlines()[-1]
    assert err.count("Traceback") == 1


# What a worker does before it starts, and how the message says that it ended.
ENDS = {
    "os.kill(os.getpid(), signal.SIGKILL)": "it was killed by SIGKILL, perhaps out of memory",
    "os.kill(os.getpid(), signal.SIGSEGV)": "it was killed by SIGSEGV",
    "raise OSError('no library')": "it ended with exit status 1; see its standard error",
    "os._exit(0)": "it ended with exit status 0; see its standard error",
}
IN_TURN = f"""
messages = {{}}
{GUARD}
    for os.environ["END"] in {list(ENDS)}:
        try:
            {LONG}
        except Exception as error:
            messages[os.environ["END"]] = repr(error)
    print("\\n" + json.dumps(messages))  # a worker's line may have no end
"""


def test_workers_that_end_before_they_start(tmp_path):
    """If no worker can start, the message says how they ended, without blaming the script. [contract]"""
    process = run_script(tmp_path, worker='exec(os.environ["END"])', last=IN_TURN)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    assert json.loads(out.splitlines()[-1]) == {
        end: repr(SimulationError(f"no worker process could start: {message}")) for end, message in ENDS.items()
    }
