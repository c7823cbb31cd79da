"""Record what a real Docker Swarm does: updates in which some slots fail, with the time of every task.

    python tests/conformance/record_swarm.py FOLDER [CASE...]

writes one file per case. Needs root and Debian's packages of Docker, which are unpacked, not installed.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from docker_engine import IMAGE, Docker, DockerError, swarm

_POLL_S = 0.02
_LONGEST_S = 180
_DONE = ("completed", "paused", "rollback_completed", "rollback_paused")
_NS = 10**9

# Slots of a task say in its environment whether it fails at once, or later.
_SCRIPT = """
case " $FAIL " in *" $SLOT "*) exit 1;; esac
case " $LATE " in *" $SLOT "*) sleep $AFTER; exit 1;; esac
trap 'exit 0' TERM
sleep 100000 & wait
"""


@dataclass(frozen=True)
class Case:
    """One update."""

    name: str
    replicas: int
    update: dict[str, Any]  # `update_config` of the stack file
    fail: tuple[int, ...] = ()  # slots, from 1, whose new task ends at once
    late: tuple[int, ...] = ()  # slots whose new task ends `after_s` seconds after its start
    after_s: int = 0
    rollback: dict[str, Any] = field(default_factory=dict)  # `rollback_config`

    def stack(self) -> str:
        """Return the stack file."""
        deploy = {"replicas": self.replicas, "update_config": self.update}
        if self.rollback:
            deploy["rollback_config"] = self.rollback
        return yaml.safe_dump({"services": {"web": {"image": IMAGE, "deploy": deploy}}}, sort_keys=False)


_TENTH = {"parallelism": 4, "monitor": "2s", "max_failure_ratio": 0.1, "failure_action": "pause"}

CASES = (
    Case("no-failure", 12, {"parallelism": 4, "monitor": "3s"}),
    Case("all-at-once", 12, {"parallelism": 0, "monitor": "3s"}),
    Case("one-at-a-time", 6, {"monitor": "2s"}),
    Case("delay", 9, {"parallelism": 3, "delay": "3s", "monitor": "2s"}),
    Case("first-failure-pauses", 12, {"parallelism": 2, "monitor": "2s"}, fail=(3, 8)),
    Case("fails-within-monitor", 8, {"parallelism": 2, "monitor": "8s"}, late=(2, 5), after_s=3),
    Case("fails-after-monitor", 8, {"parallelism": 2, "monitor": "2s"}, late=(2, 5), after_s=5),
    Case("tenth-of-20-fails-two", 20, _TENTH, fail=(2, 9)),
    Case("tenth-of-20-fails-five", 20, _TENTH, fail=(2, 9, 13, 14, 16)),
    Case("tenth-of-20-fails-five-others", 20, _TENTH, fail=(1, 4, 7, 11, 20)),
    Case("tenth-of-20-fails-six", 20, {**_TENTH, "parallelism": 2}, fail=(3, 6, 9, 12, 15, 18)),
    Case("continue", 12, {"parallelism": 3, "monitor": "2s", "failure_action": "continue"}, fail=(1, 2, 3, 4)),
    Case("start-first", 12, {"parallelism": 3, "monitor": "2s", "order": "start-first"}),
    Case(
        "start-first-fails",
        12,
        {"parallelism": 3, "monitor": "2s", "order": "start-first", "max_failure_ratio": 0.2},
        fail=(2, 4, 6, 8, 10),
    ),
    Case("rolls-back", 12, {"parallelism": 3, "monitor": "2s", "failure_action": "rollback"}, fail=(4, 9)),
    Case(
        "rolls-back-in-fours",
        12,
        {"parallelism": 3, "monitor": "2s", "failure_action": "rollback"},
        fail=(4, 9),
        rollback={"parallelism": 4},
    ),
)


def record(docker: Docker, case: Case) -> dict[str, Any]:
    """Run one case and return its recording."""
    service = docker.call("POST", "/services/create", _spec(case, version=1))["ID"]
    _await_running(docker, service, case.replicas)
    old = {task["ID"] for task in docker.find("tasks", service=service)}
    current = docker.call("GET", f"/services/{service}")
    docker.call("POST", f"/services/{service}/update?version={current['Version']['Index']}", _spec(case, version=2))
    tasks, status, started_s = _watch(docker, service, old)
    docker.call("DELETE", f"/services/{service}")
    while docker.find("tasks"):
        time.sleep(0.2)
    new = sorted((task for task in tasks.values() if task["new"]), key=lambda task: float(task["created_s"]))
    back = [task for task in tasks.values() if not task["new"]]
    for task in new:
        del task["new"]
    return {
        "stack": case.stack(),
        "fail": list(case.fail),
        "late": list(case.late),
        "after_s": case.after_s,
        "state": status["State"],
        "ended_s": round(_seconds(status["CompletedAt"]) - started_s, 3) if "CompletedAt" in status else None,
        "tasks": new,
        "tasks_of_rollback": len(back),
    }


def _spec(case: Case, *, version: int) -> dict[str, Any]:
    new = version == 2
    environment = {
        "SLOT": "{{.Task.Slot}}",
        "VERSION": version,
        "FAIL": " ".join(map(str, case.fail)) if new else "",
        "LATE": " ".join(map(str, case.late)) if new else "",
        "AFTER": case.after_s,
    }
    spec: dict[str, Any] = {
        "Name": case.name,
        "Mode": {"Replicated": {"Replicas": case.replicas}},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": IMAGE,
                "Command": ["sh", "-c", _SCRIPT],
                "Env": [f"{name}={value}" for name, value in environment.items()],
                "StopGracePeriod": 5 * _NS,
            },
            "RestartPolicy": {"Condition": "none"},
            "Networks": [{"Target": "host"}],
        },
        "UpdateConfig": _config(case.update),
    }
    if case.rollback:
        spec["RollbackConfig"] = _config(case.rollback)
    return spec


def _config(config: dict[str, Any]) -> dict[str, Any]:
    """Return the API's form of a section of the stack file, as the client makes it."""
    section = {"Parallelism": config.get("parallelism", 1), "FailureAction": config.get("failure_action", "pause")}
    for key in ("delay", "monitor"):
        if key in config:
            section[key.title()] = int(config[key].removesuffix("s")) * _NS
    section["MaxFailureRatio"] = config.get("max_failure_ratio", 0)
    section["Order"] = config.get("order", "stop-first")
    return section


def _await_running(docker: Docker, service: str, replicas: int) -> None:
    end = time.monotonic() + _LONGEST_S
    while time.monotonic() < end:
        states = [task["Status"]["State"] for task in docker.find("tasks", service=service)]
        if states.count("running") == replicas:
            time.sleep(1)
            return
        time.sleep(0.2)
    raise TimeoutError("the first version did not run")


def _watch(docker: Docker, service: str, old: set[str]) -> tuple[dict[str, dict[str, Any]], dict[str, Any], float]:
    """Follow the tasks until the update ends; return them, the update's status, and when it started."""
    tasks: dict[str, dict[str, Any]] = {}
    end = time.monotonic() + _LONGEST_S
    last: float | None = None  # time of the end; tasks already begun are followed a little longer
    while time.monotonic() < end and (last is None or time.monotonic() < last + 5):
        status = docker.call("GET", f"/services/{service}").get("UpdateStatus", {})
        for task in docker.find("tasks", service=service):
            if task["ID"] not in old:
                _note(tasks, task)
        if last is None and status.get("State") in _DONE:
            last = time.monotonic()
        time.sleep(_POLL_S)
    started_s = _seconds(status["StartedAt"])
    for task in tasks.values():
        for key in ("created_s", "running_s", "ended_s"):
            if task[key] is not None:
                task[key] = round(task[key] - started_s, 3)
    return tasks, status, started_s


def _note(tasks: dict[str, dict[str, Any]], task: dict[str, Any]) -> None:
    """Record a task's new state; a task that runs and fails between two polls has no time of running."""
    new = "VERSION=2" in task["Spec"]["ContainerSpec"]["Env"]
    known = tasks.setdefault(
        task["ID"],
        {
            "slot": task["Slot"],
            "created_s": _seconds(task["CreatedAt"]),
            "running_s": None,
            "ended_s": None,
            "new": new,
        },
    )
    state, at_s = task["Status"]["State"], _seconds(task["Status"]["Timestamp"])
    if state == "running" and known["running_s"] is None:
        known["running_s"] = at_s
    # Tasks shut down by a rollback or the end of the case have not failed.
    if state in ("failed", "rejected", "complete") and task["DesiredState"] != "remove" and known["ended_s"] is None:
        known["ended_s"] = at_s if state != "complete" else None


def _seconds(text: str) -> float:
    return datetime.fromisoformat(f"{text[:26].rstrip('Z')}Z").timestamp()


def main(folder: Path, names: list[str]) -> None:
    """Record all cases, or those named."""
    folder.mkdir(parents=True, exist_ok=True)
    with swarm() as (docker, versions):
        for case in CASES:
            if names and case.name not in names:
                continue
            begun = time.monotonic()
            recording = {"recorded": datetime.now(UTC).date().isoformat(), "versions": versions, **record(docker, case)}
            (folder / f"swarm-{case.name}.json").write_text(json.dumps(recording, indent=1) + "\n")
            n_new = len(recording["tasks"])
            print(f"{case.name}: {recording['state']}, {n_new} tasks, {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2:])
    except DockerError as error:
        sys.exit(f"Docker Swarm can't be run here: {error}")
