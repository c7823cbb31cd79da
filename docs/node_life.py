"""The picture of the model's section 3: what happens to four nodes of a rollout that is stopped.

``python docs/node_life.py`` simulates the scenario that ``docs/model.md`` shows as ``node-life.yaml``, writes what the
nodes do to ``docs/images/node-life.csv`` and draws it. Tests compare the CSV file with the engine and the picture with it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from examples import read_blocks
from pictures import IMAGES, ROOT, digest, stamp

import simdeploy
from simdeploy.engines.reference.engine import run_reference
from simdeploy.plotting.style import BLACK, INK, LIGHT_GREY, STATUS_LOOKS
from simdeploy.scenario.yaml_text import parse_yaml
from simdeploy.units import NS_PER_S

PAGE = ROOT / "docs" / "model.md"
SPANS = IMAGES / "node-life.csv"
PICTURE = IMAGES / "node-life.png"

SEED = 1
POLICY = "in-twos"

_COLOURS = {status: look.colour for status, look in STATUS_LOOKS.items()}

# Colour, hatch and label of each kind of span. Thin bars: the node serves the old version, or none.
KINDS = {
    "waits": (_COLOURS["pending"], "", "waits for its turn (old version)"),
    "failed attempt": (LIGHT_GREY, "xxx", "attempt to start fails"),
    "starting": (_COLOURS["starting"], "", "starting (out of service)"),
    "healthy window": (_COLOURS["validating"], "", "healthy window"),
    "unhealthy window": (_COLOURS["failed"], "///", "unhealthy window"),
    "running": (_COLOURS["running"], "", "running (new version)"),
    "rolling back": (_COLOURS["rolling_back"], "...", "rolling back (out of service)"),
    "rolled back": (_COLOURS["rolled_back"], "|||", "rolled back (old version)"),
}


def _choose_edge(hatch: str) -> str:
    return INK if hatch in {"", "..."} else "white"


def read_page_scenario() -> simdeploy.Scenario:
    """Return the scenario that the page shows."""
    blocks = read_blocks(PAGE.read_text(encoding="utf-8"))
    (text,) = [block.body for block in blocks if block.title == "node-life.yaml"]
    return simdeploy.Scenario.from_dict(parse_yaml(text)[0])


def simulate_spans() -> pd.DataFrame:
    """Return the spans of each node's activities, in seconds."""
    scenario = read_page_scenario()
    recording = run_reference(scenario, scenario.policy(POLICY), seed=SEED, replication=0)
    world, windows = recording.world, recording.windows
    rows = []
    for number, fate in enumerate(recording.fates):
        begin = 0
        spans = [("waits", fate.dispatched_ns)]
        attempts = [fate.dispatched_ns]
        for attempt in range(fate.attempts):
            attempts.append(attempts[-1] + world.start_ns(number, attempt))
        spans += [("failed attempt", end) for end in attempts[1:-1]]
        spans.append(("starting", fate.started_ns))
        for end, node, healthy in zip(windows.end_ns, windows.node, windows.healthy, strict=True):
            if node == number:
                spans.append(("healthy window" if healthy else "unhealthy window", end))
        spans += [
            ("running", fate.back_from_ns),
            ("rolling back", fate.back_until_ns),
            ("rolled back", recording.horizon_ns + 20 * NS_PER_S),
        ]
        for kind, end in spans:
            if end > begin:
                rows.append((number, kind, begin // NS_PER_S, end // NS_PER_S))
                begin = end
    return pd.DataFrame(rows, columns=["node", "kind", "from_s", "to_s"])


def draw(spans: pd.DataFrame, path: Path) -> None:
    """Draw one row per node, and what the controller does above them."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(9, 4.6), layout="constrained")
    ax = figure.subplots()
    for span in spans.itertuples():
        colour, hatch, _ = KINDS[span.kind]
        height = 0.16 if span.kind in {"waits", "rolled back"} else 0.5
        ax.barh(
            span.node,
            span.to_s - span.from_s,
            left=span.from_s,
            height=height,
            color=colour,
            hatch=hatch,
            edgecolor=_choose_edge(hatch),
            linewidth=0.6,
        )
    stop = spans.loc[spans["kind"].eq("rolling back"), "from_s"].min()
    second_wave = spans.loc[spans["kind"].eq("waits"), "to_s"].max()
    restored = spans.loc[spans["kind"].eq("rolling back"), "to_s"].max()
    marks = {
        0: "wave 1\nis dispatched",
        second_wave: "wave 1 resolved:\nwave 2 is dispatched",
        stop: "deadline of node 3:\nrollout stopped",
        restored: "service\nrestored",
    }
    for time, words in marks.items():
        ax.axvline(time, color=BLACK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        left = time == stop
        ax.text(time + (-1 if left else 1), -0.92, words, ha="right" if left else "left", va="center", fontsize="small")
    ax.set_yticks(range(4), [f"node {number}" for number in range(4)])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(3.5, -1.3)
    ax.set_xlim(0, spans["to_s"].max() + 12)
    ax.set_xticks(range(0, int(spans["to_s"].max()) + 1, 30))
    ax.set_xlabel("seconds since the start of the rollout")
    ax.spines[["top", "right", "left"]].set_visible(False)
    handles = [
        Patch(facecolor=colour, hatch=hatch, edgecolor=_choose_edge(hatch), label=label)
        for colour, hatch, label in KINDS.values()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize="small")
    figure.savefig(path, dpi=130)


def main() -> None:
    """Simulate, draw, and stamp the picture."""
    simulate_spans().to_csv(SPANS, index=False)
    draw(pd.read_csv(SPANS), PICTURE)
    stamp(PICTURE, digest(SPANS.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
