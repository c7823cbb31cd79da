"""Without a usable numba everything except the compiled engine works, and a message says why."""

import json
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
from commands import call

from simdeploy.engines import choice

COMMANDS = ["run", "compare", "timelines", "forecast"]
HINT = "warning: numba is not installed, so the slow reference engine runs; for the fast one: pip install 'simdeploy[fast]'\n"

SCRIPT = f"""
import importlib, json, pathlib, sys
sys.modules["numba"] = sys.modules["llvmlite"] = None
import simdeploy
root = pathlib.Path(simdeploy.__file__).parent
for path in sorted(root.rglob("*.py")):
    parts = path.relative_to(root.parent).with_suffix("").parts
    if path.stem not in ("__init__", "__main__", "trying") and "compiled" not in parts:
        importlib.import_module(".".join(parts))
from commands import call
from simdeploy.engines import choice
calls = [call(name, engine="auto") for name in {COMMANDS}]
choice._LOADING_S = 0.0  # as if the work were large
calls += [call("compare", engine="auto"), call("compare", engine="auto"), call("compare", engine="compiled")]
json.dump([(done.exit_code, done.stdout, done.stderr) for done in calls], sys.stdout)
"""


@pytest.fixture(scope="module")
def calls(repository):
    """Results of commands in a process that can't import numba, after importing everything else."""
    places = os.pathsep.join([str(repository), str(repository / "tests")])
    environment = {**os.environ, "PYTHONPATH": places}
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_commands_give_the_same_numbers(calls):
    """Without numba commands print the same, on the reference engine. [property]"""
    for name, (code, stdout, stderr) in zip(COMMANDS, calls, strict=False):
        here = call(name, engine="reference")
        assert (code, stdout, stderr) == (here.exit_code, here.stdout, here.stderr), name


def test_missing_numba_is_reported_once(calls):
    """Work for which the compiled engine would be chosen runs anyway, with one message on what to install. [contract]"""
    (code, stdout, stderr), again, _ = calls[len(COMMANDS) :]
    assert (code, stderr) == (0, HINT)
    assert "engine reference" in stdout
    assert again == [0, stdout, ""]


def test_the_compiled_engine_is_refused(calls):
    """Requesting the compiled engine is an error that says how to install numba. [contract]"""
    message = "error: engine: numba is not installed (found compiled); pip install 'simdeploy[fast]'\n"
    assert calls[-1] == [2, "", message]


@pytest.fixture
def broken(monkeypatch):
    """Make numba importable, but without its functions, and the compiled engine not yet loaded."""
    numba = ModuleType("numba")
    numba.__spec__ = ModuleSpec("numba", None)
    monkeypatch.setitem(sys.modules, "numba", numba)
    for name in ("simdeploy.engines.compiled", "simdeploy.engines.compiled.jit"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(choice, "_LOADING_S", 0.0)  # as if the work were large
    caches = (choice.why_not_compiled, choice._say_what_is_missing)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


def test_a_broken_numba(broken):
    """Work continues on the reference engine with one message; only requesting the compiled engine is an error. [contract]"""
    why = "numba can't be used: ImportError: cannot import name 'types' from 'numba' (unknown location)"
    done, again, refused = (call("compare", engine=engine) for engine in ("auto", "auto", "compiled"))
    assert (done.exit_code, again.exit_code, refused.exit_code) == (0, 0, 2)
    assert "engine reference" in done.stdout
    hint = "pip install --upgrade numba"
    assert done.stderr == f"warning: {why}, so the slow reference engine runs; for the fast one: {hint}\n"
    assert again.stderr == ""
    assert refused.stderr == f"error: engine: {why}; {hint}\n"
