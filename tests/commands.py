"""Quick arguments for every command, for tests of properties that all commands share."""

import atexit
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from invoking import invoke
from recorded_fleets import RecordedFleet

from simdeploy.api import format_time, parse_time
from simdeploy.cli.app import app

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
CREATED = "2026-01-05T09:00:00Z"
COMMANDS = {name: app.get_command(None, name) for name in app.list_commands(None)}

# Arguments with which each command finishes in a moment.
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
# Commands that read an observed rollout.
OF_SEEN = ["forecast", "advise"]
QUICK |= {name: ["--replications", "20"] for name in OF_SEEN}
# Commands that read files of records.
OF_RECORDS = ["calibrate", "backtest"]
# Commands that show what happens in a scenario, and print no result.
WATCHING = ["watch", "serve", "explore"]
# Writes a report of others' results, or of a scenario what `compare` and `sweep` find.
REPORTING = ["report"]
# Commands that read kept forecasts.
OF_LOGS = ["score"]
# With --bootstrap, --modelled or --decisions.
SOMETIMES_LONG = [*OF_RECORDS, "verify"]
COMPUTING = [*QUICK, *OF_RECORDS, *OF_LOGS, "verify"]
WITH_ENGINE = [name for name in QUICK if name != "run"]


@cache
def write_records():
    """Write records of a few small rollouts into a folder that is removed when the tests end."""
    folder = TemporaryDirectory()
    RecordedFleet(nodes=10).draw(8, 1).nodes.to_csv(Path(folder.name) / "nodes.csv", index=False)
    return folder


@cache
def write_history():
    """Write two rollouts, a policy and an observed rollout into a folder that is removed when the tests end; return it."""
    from simdeploy import read_scenario, simulate

    kept = TemporaryDirectory()
    atexit.register(kept.cleanup)
    folder = Path(kept.name)
    for number in range(2):
        simulate(SCENARIOS / "small-fleet.yaml", "canary", replication=number).write(folder / "history" / str(number))
    spec = {"strategy": "rolling", "max_parallel": 8, "health_check": {"deadline": "5m", "min_healthy_time": "30s"}}
    (folder / "eights.json").write_text(json.dumps(spec), encoding="utf-8")
    spec = read_scenario(SCENARIOS / "small-fleet.yaml").policy("rolling").spec.to_dict()
    times = {"created_at": "2026-01-05T09:00:00Z", "updated_at": "2026-01-05T09:02:20Z"}
    status = {"state": "in_progress", "current_wave": 2, "updated_nodes": 7, "failed_nodes": 1, **times}
    seen = {"deployment": {"id": "d", "type": "update", "spec": spec, "status": status}}
    (folder / "seen.json").write_text(json.dumps(seen), encoding="utf-8")
    return folder


@cache
def write_log(n=50):
    """Write kept forecasts that came true into a folder that is removed when the tests end; return it."""
    kept = TemporaryDirectory()
    atexit.register(kept.cleanup)
    for number in range(n):
        keep(Path(kept.name), f"r-{number}", 0.4, state="completed" if number % 2 else "in_progress")
    return Path(kept.name)


def keep(folder, name, defective, *, at_s=60.0, state="in_progress", ended_s=160.0, answer=(), **changes):
    """Write a kept forecast of a rollout in some state; return its file."""
    estimates = [("completed", None, 0.9), ("canceled", None, 0.0)]
    estimates += [("time_left_s", level, left) for level, left in ((0.025, 50.0), (0.5, 100.0), (0.975, 200.0))]
    ended = format_time(parse_time(CREATED) + round(ended_s * 1e9))
    entry = {
        "log": 1,
        "simdeploy": "0.1.0",
        "id": name,
        "created_at": CREATED,
        "at_s": at_s,
        "seen": [
            {"deployment": {"id": name, "status": {"state": state, "created_at": CREATED, "completed_at": ended}}}
        ],
        "answer": {
            "state": "in_progress",
            "is_trusted": True,
            "kinds": [
                {"kind": "good", "defective": False, "prior": 0.7, "posterior": 1 - defective},
                {"kind": "bad", "defective": True, "prior": 0.3, "posterior": defective},
            ],
            "forecast": [dict(zip(("measure", "quantile", "estimate"), row, strict=True)) for row in estimates],
            **dict(answer),
        },
        **changes,
    }
    file = folder / f"{name}-{at_s:.0f}.json"
    file.write_text(json.dumps(entry), encoding="utf-8")
    return file


def make_quick(name, engine="compiled"):
    """Return the arguments of a quick call, on the shipped small scenario or on records."""
    if name == "backtest":
        return [name, str(write_history() / "history"), "--policy", str(write_history() / "eights.json")]
    if name in OF_LOGS:
        return [name, str(write_log())]
    if name in OF_RECORDS:
        return [name, write_records().name]
    if name in OF_SEEN:
        seen = str(write_history() / "seen.json")
        return [name, str(SCENARIOS / "small-fleet.yaml"), "--seen", seen, *QUICK[name], "--engine", engine]
    scenario = [str(SCENARIOS / "small-fleet.yaml")] if name in QUICK else []
    with_engine = ["--engine", engine] if name in WITH_ENGINE else []
    return [name, *scenario, *QUICK.get(name, ["--replications", "100"]), *with_engine]


def call(name, *arguments, engine="compiled"):
    """Run a command quickly in this process."""
    return invoke(*make_quick(name, engine), *arguments)
