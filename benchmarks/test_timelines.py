"""Time and memory of the bands over many rollouts."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from speed_cases import Row

SCENARIO = Path(__file__).parents[1] / "scenarios" / "bench-1000.yaml"


def test_timelines_of_10_000_rollouts(benchmark: Any, row: Row) -> None:
    """All quantities of 10,000 rollouts of 1,000 nodes take less than 10 s of two cores, and 500 MB."""
    code = textwrap.dedent(
        f"""
        import re, time
        from pathlib import Path
        import simdeploy
        scenario = simdeploy.read_scenario({str(SCENARIO)!r})
        simdeploy.timelines(scenario, replications=2, engine="compiled")  # compiled, or read from the cache
        begun = time.process_time()
        bands = simdeploy.timelines(scenario, replications=10_000, engine="compiled", workers=2)
        taken = time.process_time() - begun
        assert bands.peaks["rollouts"].sum() == 10_000 * bands.peaks["quantity"].nunique()
        # Not ru_maxrss, which a process inherits from the one that started it.
        print(taken, int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024)
        """
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    run = benchmark.pedantic(
        subprocess.run, (command,), {"check": True, "capture_output": True, "text": True}, rounds=1
    )
    cpu_s, megabytes = map(float, run.stdout.split())
    row(
        "timelines of 10,000 rollouts of 1,000 nodes",
        f"{cpu_s:.1f} s of processor time, {megabytes:.0f} MB at most",
        "every change of every node, for each quantity",
    )
    assert cpu_s < 20
    assert megabytes < 500
