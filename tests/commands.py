"""Every command, with what it computes in a moment, for tests of what holds of all of them."""

from __future__ import annotations

import atexit
import json
import tempfile
from functools import cache
from pathlib import Path

from click.testing import CliRunner

from simdeploy.cli.app import app

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
COMMANDS = {name: app.get_command(None, name) for name in app.list_commands(None)}

# What each command computes here in a moment.
VARIED = ("--policy", "rolling", "--vary", "max_failed_nodes=0,4")
IN_WORLDS = ("--vary", "fleet.start_failure=0:0.1")
QUICK = {
    "run": ["--policy", "rolling"],
    "compare": ["--replications", "20"],
    "timelines": ["--policy", "rolling", "--quantity", "failed", "--until", "10m", "--replications", "20"],
    "sweep": [*VARIED, "--replications", "20"],
    "tradeoff": [*VARIED, "--replications", "20"],
    "tune": [*VARIED, "--replications", "4", "--most", "50", "--final", "40"],
    "gates": ["--policy", "rolling", "--gate", "pooled", "--sizes", "0.1", "--replications", "10"],
    "switches": ["--no-pairs", "--replications", "4"],
    "sensitivity": ["--of", "makespan_s", *IN_WORLDS, "--size", "4", "--replications", "4"],
    "discover": [
        *("--policy", "rolling", "--require", "false_alarm given good <= 5%"),
        *(*IN_WORLDS, "--points", "40", "--replications", "2"),
    ],
    "check": ["--policy", "rolling", "--require", "p95 makespan_s <= 1h", "--most", "100"],
    "rare": [
        *("--policy", "rolling", "--event", "failed_nodes >= 6"),
        *("--tilt", "start_failure=2", "--replications", "100"),
    ],
}
# What takes no scenario.
WITHOUT_SCENARIO = ["backtest", "verify"]
COMPUTING = [*QUICK, *WITHOUT_SCENARIO]
WITH_ENGINE = [name for name in QUICK if name != "run"]


@cache
def make_history():
    """Return a folder with records of two rollouts and the file of a policy; it is gone when Python ends."""
    from simdeploy import simulate

    kept = tempfile.TemporaryDirectory()
    atexit.register(kept.cleanup)
    folder = Path(kept.name)
    for number in range(2):
        simulate(SCENARIOS / "small-fleet.yaml", "canary", replication=number).write(folder / "history" / str(number))
    spec = {"strategy": "rolling", "max_parallel": 8, "health_check": {"deadline": "5m", "min_healthy_time": "30s"}}
    (folder / "eights.json").write_text(json.dumps(spec), encoding="utf-8")
    return folder


def make_quick(name, engine="compiled"):
    """Return the arguments of a quick call, on the shipped small scenario if the command takes one."""
    if name == "backtest":
        return [name, str(make_history() / "history"), "--policy", str(make_history() / "eights.json")]
    scenario = [str(SCENARIOS / "small-fleet.yaml")] if name in QUICK else []
    with_engine = ["--engine", engine] if name in WITH_ENGINE else []
    return [name, *scenario, *QUICK.get(name, ["--replications", "100"]), *with_engine]


def call(name, *arguments, engine="compiled"):
    """Run a command quickly in this process."""
    words = [*make_quick(name, engine), *map(str, arguments)]
    return CliRunner().invoke(app, words, catch_exceptions=False)
