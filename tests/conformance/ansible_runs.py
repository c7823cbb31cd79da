"""Run a play with real Ansible, and record what happens to each host, batch by batch.

To record with another version: ``PYTHONPATH=tests python -m conformance.ansible_runs PATH/TO/ansible-playbook``.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from conformance.plays import DIFFERENCES, PLAYS, Play

HERE = Path(__file__).parent
RECORDINGS = HERE / "recordings"
_MOST_S = 120


def find_ansible() -> str | None:
    """Return the path of ansible-playbook, beside this interpreter or in the PATH."""
    return shutil.which("ansible-playbook", path=Path(sys.executable).parent) or shutil.which("ansible-playbook")


@cache
def read_version(program: str) -> tuple[str, str]:
    """Return the versions of ansible-core and of its Python."""
    text = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=_MOST_S).stdout
    versions = [re.search(pattern, text) for pattern in (r"\[core ([\w.]+)\]", r"python version = ([\w.]+)")]
    return versions[0][1], versions[1][1]


def run(program: str, play: Play, folder: Path) -> dict[str, Any]:
    """Run a play.

    Returns
    -------
    dict
        `batches`: the hosts of each batch with a result, in order; `failures`, `unreachable`: hosts; `stopped`: whether Ansible
        said that no host was left; `exit_code`.
    """
    (folder / "play.yml").write_text(play.playbook, encoding="utf-8")
    (folder / "hosts.yml").write_text(play.inventory, encoding="utf-8")
    (folder / "ansible.cfg").write_text("", encoding="utf-8")
    lines = folder / "batches.jsonl"
    lines.unlink(missing_ok=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
    settings = {
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "plugins" / "callback"),
        "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "plugins" / "connection"),
        "ANSIBLE_STDOUT_CALLBACK": "batches",
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_FORKS": "50",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "BATCHES_FILE": str(lines),
        "LC_ALL": "C.UTF-8",
    }
    command = [program, "-i", "hosts.yml", "play.yml"]
    done = subprocess.run(
        command, cwd=folder, env={**clean, **settings}, capture_output=True, text=True, check=False, timeout=_MOST_S
    )
    if not lines.exists():
        raise RuntimeError(f"ansible-playbook recorded nothing (exit code {done.returncode}): {done.stderr}")
    return {**read_lines(lines.read_text(encoding="utf-8")), "exit_code": done.returncode}


def read_lines(text: str) -> dict[str, Any]:
    """Return batches and outcomes from the callback's lines."""
    batches: list[set[int]] = []
    found: dict[str, list[int]] = {"failures": [], "unreachable": []}
    stopped = False
    for line in map(json.loads, text.splitlines()):
        event = line["event"]
        if event == "batch":
            batches.append(set())
        elif event == "stopped":
            stopped = True
        elif event == "host":
            batches[-1].add(int(line["host"].removeprefix("host")))
        else:
            found[event].append(int(line["host"].removeprefix("host")))
    return {"batches": [sorted(batch) for batch in batches], **found, "stopped": stopped}


def record(program: str) -> Path:
    """Run all plays and write their recording."""
    version, python = read_version(program)
    with tempfile.TemporaryDirectory() as name:
        plays = {**PLAYS, **DIFFERENCES}
        runs = {title: run(program, play, Path(name)) for title, play in plays.items()}
    recording = {
        "ansible_core": version,
        "python": python,
        "recorded": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "runs": runs,
    }
    path = RECORDINGS / f"ansible-core-{version}.json"
    path.write_text(json.dumps(recording, indent=1).replace("\n    ", " ") + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    print(record(sys.argv[1]))
