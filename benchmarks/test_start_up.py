"""Start-up time of the library and the command."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("arguments", "most_s"),
    [(["-c", "import simdeploy"], 0.3), (["-m", "simdeploy", "--help"], 0.5), (["-m", "simdeploy", "--version"], 0.5)],
    ids=["import", "help", "version"],
)
def test_start_up(benchmark: Any, arguments: list[str], most_s: float) -> None:
    """A new process finishes within its budget, including the start of the interpreter."""

    def run() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([sys.executable, *arguments], check=True, capture_output=True)  # noqa: S603 - our own

    benchmark.pedantic(run, rounds=7, warmup_rounds=1)
    assert benchmark.stats.stats.min < most_s
