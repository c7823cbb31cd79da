"""The first picture of the README: how often the API's default limits stop a good release.

``python docs/false_alarms.py`` simulates the points (some minutes), writes them to ``docs/images/false-alarms.csv`` and
draws them over the closed form; with ``--draw`` it only draws the points that are there. A test holds points and picture.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pictures import IMAGES, ROOT, digest, stamp

import simdeploy
from simdeploy.plotting.axes import write_percent
from simdeploy.statistics.intervals import proportion_interval
from simdeploy.validation.oracles import stop_probability

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = IMAGES / "false-alarms.csv"
PICTURE = IMAGES / "false-alarms.png"

START_FAILURES = {0.005: ("#0072B2", "o"), 0.01: ("#E69F00", "s"), 0.02: ("#D55E00", "^")}
COMPARISONS = {
    "exceeds": "stopped above a limit (exceeds)",
    "reaches": "stopped at a limit (reaches)",
}
NODES = (30, 100, 300, 500, 1000, 2000)
REPLICATIONS = 200


def stopped_fraction(nodes: int, start_failure: float, comparison: str) -> float:
    """Return the closed form: a binomial tail beyond the limit that is crossed first, 10 nodes or 10 %."""
    reaches = comparison == "reaches"
    ten_percent = -(-nodes // 10) if reaches else nodes // 10
    return stop_probability(nodes, start_failure, min(10, ten_percent), reaches=reaches)


def simulate_point(nodes: int, start_failure: float, comparison: str, *, workers: int = 1) -> int:
    """Return how many of the replications were stopped."""
    raw = simdeploy.read_scenario(ROOT / "scenarios" / "edge-1000.yaml").to_dict()
    raw["fleet"] |= {"nodes": nodes, "start_failure": start_failure}
    raw["orchestrator"] = {"limit_comparison": comparison}
    raw["policies"] = {"api-defaults": raw["policies"]["api-defaults"] | {"max_parallel": min(nodes, 100)}}
    table = simdeploy.replicate(simdeploy.Scenario.from_dict(raw), replications=REPLICATIONS, workers=workers)
    if table["status"].ne("ok").any():  # a failed replication is not one that completed
        raise RuntimeError(table["error"].dropna().iloc[0])
    return int(table["verdict"].eq("false_alarm").sum())


def simulate_points() -> pd.DataFrame:
    """Simulate every point of the picture."""
    keys = [(nodes, failure, name) for name in COMPARISONS for failure in START_FAILURES for nodes in NODES]
    workers = os.cpu_count() or 1
    rows = [(*key, REPLICATIONS, simulate_point(*key, workers=workers if key[0] > 100 else 1)) for key in keys]
    return pd.DataFrame(rows, columns=["nodes", "start_failure", "limit_comparison", "replications", "stopped"])


def draw(points: pd.DataFrame, path: Path) -> None:
    """Draw points over lines, one panel for each reading of a limit."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for ax, (comparison, title) in zip(panels, COMPARISONS.items(), strict=True):
        for failure in START_FAILURES:
            of_line = points["limit_comparison"].eq(comparison) & points["start_failure"].eq(failure)
            _draw_line(ax, failure, comparison, points[of_line])
        ax.set_xscale("log")
        ax.set_xlim(20, 3000)
        ax.set_xticks([30, 100, 300, 1000, 3000], ["30", "100", "300", "1,000", "3,000"])
        ax.minorticks_off()
        ax.set_xlabel("nodes in the fleet")
        ax.set_title(title, fontsize="medium")
        ax.grid(visible=True, color="#E3E3E3", linewidth=0.6)
    panels[0].set_ylim(-0.02, 1.02)
    panels[0].yaxis.set_major_formatter(write_percent)
    panels[0].set_ylabel("probability that a good release is stopped")
    panels[0].legend(
        title="nodes that fail to start", loc="upper left", frameon=False, fontsize="small", alignment="left"
    )
    figure.savefig(path, dpi=130)


def _draw_line(ax: Axes, failure: float, comparison: str, points: pd.DataFrame) -> None:
    colour, marker = START_FAILURES[failure]
    fleets = sorted({*range(20, 200), *range(200, 3001, 20)})
    ax.plot(fleets, [stopped_fraction(nodes, failure, comparison) for nodes in fleets], color=colour, linewidth=1.3)
    shares = (points["stopped"] / points["replications"]).to_numpy()
    counts = zip(points["stopped"].tolist(), points["replications"].tolist(), strict=True)
    intervals = [proportion_interval(stopped, n, confidence_level=0.95) for stopped, n in counts]
    lows, highs = zip(*intervals, strict=True)
    ax.errorbar(
        points["nodes"],
        shares,
        yerr=[shares - lows, highs - shares],
        color=colour,
        marker=marker,
        markersize=4.5,
        linestyle="none",
        capsize=2,
        clip_on=False,
        label=f"{100 * failure:g} %",
    )


def main() -> None:
    """Simulate unless the points are to be taken as they are, and draw."""
    if "--draw" not in sys.argv[1:]:
        simulate_points().to_csv(POINTS, index=False)
    draw(pd.read_csv(POINTS), PICTURE)
    stamp(PICTURE, digest(POINTS.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
