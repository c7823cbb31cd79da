"""The promises of SECURITY.md: no foreign code is run, no network is used, and each promise has its tests."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing.guards import Watch
from fuzzing.stores import sweep_small
from fuzzing.texts import CANARY, TAGS

from simdeploy.api import read_deployment
from simdeploy.cli import app as application
from simdeploy.experiments import read_store
from simdeploy.scenario import load

ROOT = Path(__file__).resolve().parents[1]
SCENARIO = """
name: small
fleet: {nodes: 4, update_duration: 30s, start_failure: 0.1, requests_per_second: 20}
release:
  good: {probability: 0.7}
  bad: {probability: 0.3, defective: true, error_rate: 0.4}
policies:
  waves: {strategy: rolling, max_parallel: 1, max_failed_nodes: 0, health_check: {deadline: 5m}}
  at-once: {strategy: immediate}
requirements: [{of: false_alarm, given: good, at_most: 0.9}]
costs: {escape: 100, false_alarm: 5}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a scenario and nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(SCENARIO)
    spec = "spec: {updateStrategy: {type: RollingUpdate}}"
    (tmp_path / "job.yaml").write_text(f"apiVersion: apps/v1\nkind: DaemonSet\n{spec}\n")
    nodes = "".join(f"monday,n{number},0,{30 + number}\n" for number in range(9))
    (tmp_path / "nodes.csv").write_text(f"rollout,node,dispatched_at_s,started_at_s\n{nodes}")
    spec = {"strategy": "rolling", "max_parallel": 1, "max_failed_nodes": 0, "health_check": {"deadline": "5m"}}
    times = {"created_at": "2026-01-05T09:00:00Z", "updated_at": "2026-01-05T09:01:10Z"}
    status = {"state": "in_progress", "current_wave": 2, "updated_nodes": 1, "failed_nodes": 0, **times}
    (tmp_path / "seen.json").write_text(json.dumps({"id": "d", "type": "update", "spec": spec, "status": status}))
    return tmp_path


@pytest.fixture(scope="module")
def watch():
    """An audit hook that records every pickle and every started program."""
    return Watch()


def run_quietly(call):
    """Call something, however it ends, as only its actions count here."""
    with contextlib.suppress(Exception):
        call()


# -- no code ---------------------------------------------------------------------------------------


class Evil:
    """A pickle that makes the canary file when it is read."""

    def __reduce__(self):
        return open, (CANARY, "w")


def test_the_canary_sings(folder):
    """The pickles of these tests run code when they are unpickled. [contract]"""
    with pickle.loads(pickle.dumps(Evil())):  # noqa: S301 - to see that it would
        assert Path(CANARY).exists()


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("place", ["name: {}", "fleet: {}", "? {}\n: 1", "policies:\n  p: {}", "- {}"])
def test_tags_of_a_scenario(folder, watch, tag, place):
    """A YAML tag anywhere in a scenario file is a problem, and makes no object. [contract]"""
    file = folder / "tag.yaml"
    file.write_text(SCENARIO + "\n" + place.format(tag) + "\n")
    alone = folder / "alone.yaml"
    alone.write_text(place.format(tag) + "\n")
    with watch.on(folder) as seen:
        assert [load(path)[0] for path in (file, alone)] == [None, None]
    assert (seen, Path(CANARY).exists()) == ([], False)


@pytest.mark.parametrize(
    "body",
    [
        {"py/object": "os.system", "py/reduce": [f"touch {CANARY}"]},
        {"__reduce__": ["os.system", f"touch {CANARY}"]},
        {"__class__": "subprocess.Popen", "args": ["touch", CANARY]},
        {"model_config": {"extra": "forbid"}, "__init__": "x", "model_fields": {}},
        {"strategy": f"__import__('os').system('touch {CANARY}')"},
        {"health_check": {"deadline": f"{{__import__('os').system('touch {CANARY}')}}"}},
    ],
)
def test_objects_of_a_deployment(folder, watch, body):
    """Keys and texts from which other readers have made objects are plain data in a deployment. [contract]"""
    file = folder / "d.json"
    spec = {"strategy": "immediate", "max_parallel": 3}
    inside = {**spec, **body}
    for document in (inside, {"deployment": {"spec": inside}}, {"deployment": {"spec": spec, **body}}):
        file.write_text(json.dumps(document))
        with watch.on(folder) as seen:
            run_quietly(lambda: read_deployment(file))
        assert (seen, Path(CANARY).exists()) == ([], False)


def _seal(store, number, content):
    """Put a part into a store with a valid line of the journal."""
    path = store / "parts" / f"part-{number:06d}.parquet"
    path.write_bytes(content)
    try:
        rows = pq.read_metadata(path).num_rows
    except pa.ArrowException:
        rows = 2
    entry = {"part": number, "rows": rows, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    with (store / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps(entry) + "\n")


def _change(store, change):
    """Put another table into the first part."""
    sink = pa.BufferOutputStream()
    pq.write_table(change(pq.read_table(store / "parts" / "part-000000.parquet")), sink)
    _seal(store, 0, sink.getvalue().to_pybytes())


def _note(store, **changes):
    """Give the first part other metadata for pandas."""

    def note(table):
        noted = json.loads(table.schema.metadata[b"pandas"]) | changes
        return table.replace_schema_metadata({b"pandas": json.dumps(noted).encode()})

    _change(store, note)


def _extend(table):
    """Give a table an extension type that is restored from a pickle."""
    noted = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickle.dumps(Evil())}
    fields = [field.with_metadata(noted) for field in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata))


def _pickle_cells(table):
    """Give a table pickles as texts, which pandas is asked to make objects of."""
    cells = pa.array([pickle.dumps(Evil())] * table.num_rows, pa.binary())
    at = table.schema.get_field_index("error")
    return table.set_column(at, pa.field("error", pa.binary()), cells)


def _column(**changes):
    column = {"name": "error", "field_name": "error", "pandas_type": "object", "numpy_type": "object", "metadata": None}
    return {"columns": [column | changes]}


TOUCH = f"__import__('os').system('touch {CANARY}')"
ATTACKS = {
    "pickle as part": lambda store: _seal(store, 0, pickle.dumps(Evil())),
    "pickled type": lambda store: _change(store, _extend),
    "pickled cells": lambda store: _change(store, _pickle_cells),
    "pandas type": lambda store: _note(store, **_column(numpy_type=TOUCH)),
    "pandas metadata": lambda store: _note(
        store, **_column(metadata={"py/reduce": f"touch {CANARY}"}, pandas_type="pickle")
    ),
    "pandas index": lambda store: _note(store, index_columns=[{"kind": TOUCH}]),
    "pickle as manifest": lambda store: (store / "manifest.json").write_bytes(pickle.dumps(Evil())),
    "pickle as journal": lambda store: (store / "journal.jsonl").write_bytes(pickle.dumps(Evil()) + b"\n"),
    "pickles beside": lambda store: [
        (store / name).write_bytes(pickle.dumps(Evil()))
        for name in ("manifest.pkl", "journal.pickle", "parts/part-000000.pkl", "parts/_metadata", "parts/cache.npy")
    ],
    "modules beside": lambda store: [
        (store / name).write_text(f"open({CANARY!r}, 'w')")
        for name in ("__init__.py", "sitecustomize.py", "parts/__init__.py", "numpy.py")
    ],
}


@pytest.mark.filterwarnings("ignore:pyarrow.PyExtensionType", "ignore:pickle-based")  # of which older pyarrow warns
@pytest.mark.parametrize("attack", ATTACKS)
def test_pickles_in_a_store(folder, watch, attack):
    """A store manipulated with a valid journal can't run code in those who read or resume it. [contract]"""
    store = folder / "store"
    sweep_small(store)
    ATTACKS[attack](store)
    with watch.on(folder) as seen:
        for call in (
            lambda: read_store(store).to_frame(),
            lambda: read_store(store)["error"],
            lambda: list(read_store(store).batches()),
            lambda: read_store(store, verify=True),
            lambda: sweep_small(store),
        ):
            run_quietly(call)
    assert (seen, list(folder.rglob(CANARY))) == ([], [])


@pytest.mark.skipif(os.name == "nt", reason="the command has another name there")
def test_modules_beside_a_scenario(folder):
    """The command imports nothing from the working directory. [contract]"""
    for name in ("yaml", "numpy", "pandas", "simpy", "click", "simdeploy", "sitecustomize"):
        (folder / f"{name}.py").write_text(f"open({CANARY!r}, 'w')")
    command = Path(sys.executable).parent / "simdeploy"
    done = subprocess.run([command, "run", "s.yaml"], capture_output=True, text=True, check=False)
    assert (done.returncode, Path(CANARY).exists()) == (0, False), done.stderr


# -- no network ------------------------------------------------------------------------------------

# Also in worker processes: Python imports this when it starts.
SITECUSTOMIZE = """
import os, sys

def hear(event, args):
    internet = event == "socket.__new__" and args[1] in (2, 10, 23, 30)  # AF_INET, and AF_INET6 of several systems
    if internet or event.startswith(("socket.getaddrinfo", "socket.gethostby", "socket.getnameinfo", "urllib.", "http.")):
        with open(os.environ["NETWORK_LOG"], "a") as log:
            log.write(f"{event} {args[1:]}\\n")
        raise PermissionError("no network here")

sys.addaudithook(hear)
"""
RUNNER = """
import io, json, sys
from contextlib import redirect_stdout

codes = {}
if __name__ == "__main__":
    from simdeploy.analysis.rare import question
    from simdeploy.analysis.tuning import concluding, stages
    from simdeploy.cli.app import app
    from simdeploy.validation.verification import verifying

    # What takes a minute otherwise does the same with less.
    cases = verifying.make_cases()[:2]
    verifying.make_cases = lambda: cases
    question._FEWEST_PILOTS = 8
    stages._FEWEST_NEW_WORLDS, stages._WORLDS_OF_SCALE = 8, 8
    stages._FIRST_BATCHES = stages.WORLDS_OF_A_BATCH = concluding.WORLDS_OF_A_BATCH = 2
    for arguments in json.loads(sys.argv[1]):
        with redirect_stdout(io.StringIO()):
            try:
                app.main(arguments, prog_name="simdeploy")
            except SystemExit as end:
                codes[" ".join(arguments)] = end.code
    print(json.dumps(codes))
"""
VARY = ("--vary", "fleet.start_failure=0.01:0.5:log", "--vary", "update_duration=20s:40s")
ON_AN_ENGINE = {
    "compare": [("s.yaml", "--replications", "4", "--plot", "compare.svg", "--out", "compare.csv")],
    "timelines": [("s.yaml", "--quantity", "failed", "--until", "10m", "--replications", "4", "--plot", "bands.svg")],
    "sweep": [
        ("s.yaml", "--vary", "max_failed_nodes=0,1", "--replications", "2", "--store", "store-{engine}"),
        ("s.yaml", "--vary", "max_failed_nodes=0,1", "--replications", "4", "--workers", "2"),
    ],
    "tradeoff": [("s.yaml", "--vary", "max_failed_nodes=0,1", "--replications", "10")],
    "tune": [("s.yaml", "--vary", "max_parallel=1,2", "--replications", "2", "--final", "1", "--most", "1")],
    "gates": [("s.yaml", "--policy", "waves", "--gate", "pooled", "--replications", "4")],
    "switches": [("s.yaml", "--no-pairs", "--replications", "4")],
    "sensitivity": [("s.yaml", "--of", "makespan_s", "--size", "4", "--replications", "4", *VARY)],
    "discover": [("s.yaml", "--points", "40", "--replications", "2", *VARY)],
    "check": [("s.yaml", "--most", "100", "--junit", "report.xml")],
    "forecast": [
        ("s.yaml", "--seen", "seen.json", "--replications", "20", "--plot", "forecast.svg", "--log", "forecasts")
    ],
    "advise": [("s.yaml", "--seen", "seen.json", "--replications", "20", "--plot", "advice.svg")],
    "rare": [("s.yaml", "--event", "blast_radius > 50%", "--method", "splitting", "--replications", "100")],
    "report": [("s.yaml", "-o", "report.html", "--replications", "10")],
}
OF_NO_ENGINE = {
    "new": [("--like", "small-fleet", "like.yaml"), ("new.yaml",)],
    "examples": [()],
    "calibrate": [("nodes.csv", "--plot", "fit.svg", "--out", "fitted.yaml")],
    "score": [("forecasts", "--plot", "score.svg")],
    "import": [("job.yaml",)],
    "run": [("s.yaml", "--plot", "run.png", "--records", "records")],
    "watch": [("s.yaml",), ("s.yaml", "--save", "film.gif"), ("s.yaml", "--save", "film.html")],
    "serve": [("--openapi",)],
    "backtest": [("records", "--policy", "job.yaml", "--plot", "backtest.png")],  # the records of the run above
    "verify": [("--replications", "100")],
    "validate": [("s.yaml",)],
    "schema": [()],
    "completion": [("bash",)],
}


@pytest.mark.slow
def test_no_command_uses_the_network(folder):
    """No command looks up an address or opens an internet socket, on either engine, nor do its workers. [contract]"""
    # `explore` listens, and only to those who know how (tests/test_explorer_server.py).
    assert {**ON_AN_ENGINE, **OF_NO_ENGINE}.keys() == set(application._COMMANDS) - {"explore"}
    calls = [
        [name, *(argument.format(engine=engine) for argument in arguments), "--engine", engine]
        for engine in ("reference", "compiled")
        for name, variants in ON_AN_ENGINE.items()
        for arguments in variants
    ]
    calls += [[name, *arguments] for name, variants in OF_NO_ENGINE.items() for arguments in variants]
    done, log = run_without_network(folder, RUNNER, json.dumps(calls))
    assert done.returncode == 0, done.stderr
    codes = json.loads(done.stdout)
    assert len(codes) == len(calls)
    # 1 and 3 are answers, too: these few rollouts allow no choice or statement.
    assert {call: code for call, code in codes.items() if code not in (0, 1, 3)} == {}, done.stderr
    assert "error:" not in done.stderr, done.stderr
    assert log == ""


def test_the_network_is_watched(folder):
    """The test above detects a socket, an address lookup and a download. [contract]"""
    for text in (
        "import socket; socket.socket()",
        "import socket; socket.getaddrinfo('localhost', 80)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')",
    ):
        done, log = run_without_network(folder, text)
        assert done.returncode != 0
        assert log != ""
        (folder / "network.log").unlink()


def run_without_network(folder, text, *arguments):
    """Run a script in a process without network; return it and what it attempted."""
    hooks = folder / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "sitecustomize.py").write_text(SITECUSTOMIZE)
    (folder / "script.py").write_text(text)
    log = folder / "network.log"
    done = subprocess.run(
        [sys.executable, "script.py", *arguments],
        env={**os.environ, "PYTHONPATH": str(hooks), "NETWORK_LOG": str(log), "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done, log.read_text() if log.exists() else ""


# -- the page --------------------------------------------------------------------------------------


@cache
def find_tests(file: Path) -> set[str]:
    """Return the tests of a file, methods with their class's name."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        functions = [member for member in members if isinstance(member, ast.FunctionDef)]
        found |= {prefix + function.name for function in functions if function.name.startswith("test_")}
    return found


def read_promises():
    """Return the items of the page's list of promises."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    section = text.split("\n## What is promised\n")[1].split("\n## ")[0]
    return re.findall(r"^- .*(?:\n  .*)*", section, re.MULTILINE)


class TestPage:
    """SECURITY.md names existing tests for each promise."""

    def test_promises(self):
        """Every promise names at least one test. [contract]"""
        promises = read_promises()
        assert len(promises) >= 8
        assert [promise for promise in promises if "`tests/" not in promise] == []

    def test_tests(self):
        """Every test that the page names exists. [contract]"""
        text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
        named = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", text)
        assert text.count("`tests/") == len(named)
        assert [f"{file}::{test}" for file, test in named if test not in find_tests(ROOT / file)] == []
