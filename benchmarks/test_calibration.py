"""How often intervals of calibrations contain the truth, and how long a calibration takes."""

import resource
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter

import pandas as pd
import pytest
from coverage_of_calibrations import count_covered
from recorded_fleets import RecordedFleet

import simdeploy

# Levels and slowdowns that vary, stops, hangs, deadlines, and clocks that differ; read from files with rows that are there twice, in no
# order, and without many columns.
FLEET = RecordedFleet(attempts=1, most_failed=6, skew_s=0.5)
REPETITIONS = 500
SIZES = (10, 20, 50)
WORKERS = 4


@pytest.mark.timeout(6000)
def test_coverage(benchmark, capsys, write_page):
    """Intervals of 95 % cover in 92 to 98 % of 500 repetitions with 20 and 50 rollouts, and in at least 90 % with 10."""
    found = benchmark.pedantic(_cover, rounds=1, iterations=1)
    _print(
        capsys,
        f"calibration: intervals of 95 % cover in {100 * found.min(axis=None):.1f} to {100 * found.max(axis=None):.1f} %",
    )
    rows = [[f"`{path}`", *(f"{100 * share:.1f} %" for share in found.loc[path])] for path in found.index]
    header = ["parameter", *(f"{size} rollouts" for size in SIZES)]
    lines = [header, ["---"] * len(header), *rows]
    write_page(
        "calibration.md",
        "pytest benchmarks/test_calibration.py --write-page",
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
    )
    assert found[10].min() >= 0.9
    assert found[[20, 50]].min(axis=None) >= 0.92
    assert found[[20, 50]].max(axis=None) <= 0.98


def _cover():
    shares = {}
    with ProcessPoolExecutor(WORKERS) as pool:
        for size in SIZES:
            parts = [range(first, REPETITIONS, WORKERS * 5) for first in range(WORKERS * 5)]
            counts = list(pool.map(_count_exported, [size] * len(parts), parts))
            shares[size] = sum(counts) / REPETITIONS
    return pd.DataFrame(shares)


def _count_exported(size, seeds):
    return count_covered(FLEET, size, seeds, is_exported=True)


def test_speed(benchmark, capsys):
    """Times a calibration of 50 rollouts of 100 nodes."""
    records = FLEET.draw(50, 1)
    benchmark.pedantic(simdeploy.calibrate, [records], {"goodness_samples": 0}, rounds=3, iterations=1)
    _print(capsys, f"calibration of 50 rollouts of 100 nodes: {benchmark.stats.stats.min:.2f} s")


@pytest.mark.timeout(600)
def test_a_million_nodes(benchmark, capsys, tmp_path):
    """Times a calibration from a file with a million rows."""
    records = RecordedFleet(nodes=1000, most_failed=1000).draw(100, 1)
    many = pd.concat([records.nodes.assign(rollout=records.nodes["rollout"] + f"-{part}") for part in range(10)])
    many.to_csv(tmp_path / "nodes.csv", index=False)
    before = perf_counter()
    found = benchmark.pedantic(simdeploy.calibrate, [tmp_path / "nodes.csv"], rounds=1, iterations=1)
    assert found.n_nodes == len(many)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _print(
        capsys,
        f"calibration of {len(many):,} nodes from a file: {perf_counter() - before:.1f} s, at most {memory_mb:,.0f} MB",
    )


def _print(capsys, text):
    with capsys.disabled():
        print(f"\n{text}", end=" ")
