"""With bounds checks, the compiled engine reports an index that is out of bounds."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import numpy as np
from bounds import check_bounds
check_bounds()
from simdeploy.engines.compiled.jit import compiled, entry

@compiled
def read(table, place):
    return {item}

@entry()
def ask(table, place):
    return read(table, place) + read(table, place - 1)

table = np.arange(6.0).reshape(2, 3)
print(ask(table, 1), flush=True)
ask(table, {place})
"""


@pytest.mark.parametrize(
    ("item", "place", "expected", "message"),
    [
        ("table[1, place]", 3, 7.0, "read, line 9, axis 1: index 3 is out of bounds for size 3"),
        ("table[place][2]", 0, 7.0, "read, line 9, axis 0: index -1 is out of bounds for size 2"),
        ("table[:, place].sum()", 3, 8.0, "axis 1: index 3 is out of bounds for size 3"),
    ],
)
def test_an_index_out_of_bounds_is_named(item: str, place: int, expected: float, message: str) -> None:
    """Within bounds, values are read; otherwise the process ends and names function and index. [contract]"""
    script = SCRIPT.format(item=item, place=place)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (-signal.SIGABRT, str(expected)), done.stderr
    assert message in done.stderr
