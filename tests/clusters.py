"""A scheduler and workers of Dask in processes of their own."""

import contextlib
import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

DEADLINE_S = 60


def wait_until(is_so):
    """Wait until a condition holds, and fail on timeout."""
    end = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@contextlib.contextmanager
def run_dask(command, *arguments, **environment):
    """Run one of Dask's commands, with its output hidden."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{command}", *arguments, "--no-dashboard"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def run_scheduler(folder, *options):
    """Run a scheduler; yield an object with `process` and `address`."""
    file = folder / "scheduler.json"
    # The usual ports are left to other clusters: Dask also occupies that of the dashboard if there is none.
    ports = ("--port", "0", "--dashboard-address", "127.0.0.1:0")
    here = ("--host", "127.0.0.1", *ports, "--scheduler-file", str(file))
    with run_dask("scheduler", *here, *options) as process:
        wait_until(lambda: file.exists() and file.read_text().endswith("}"))
        yield SimpleNamespace(process=process, address=json.loads(file.read_text())["address"])
