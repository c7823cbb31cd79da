"""The visible state of a rollout at an instant, as plain values that depend only on rollout and instant."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.fleet_map import SHOWN, Cells, FleetMap, choose, make_cells
from simdeploy.report.gauges import Gauge, Gauges
from simdeploy.report.story import Line, count_planned_waves, tell

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.engines import Rollout


@dataclass(frozen=True)
class Frame:
    """A rollout at an instant, once everything at that instant has happened."""

    title: str
    # time_s, end_s: the instant, and the last one at which anything happens
    time_s: float
    end_s: float
    state: str  # of the deployment, and of its rollback once that has begun
    # wave, n_waves: the current wave, and how many are planned
    wave: int
    n_waves: int
    # By zone: its name (empty if there is only one), and the state that each of its cells shows (one of `SHOWN`).
    cells: tuple[tuple[str, tuple[str, ...]], ...]
    nodes_per_cell: int  # of the largest cell
    counts: dict[str, int]  # nodes by state
    gauges: tuple[Gauge, ...]
    events: tuple[Line, ...]  # so far, in order


class Film:
    """Frames of a rollout."""

    def __init__(self, rollout: Rollout) -> None:
        self.rollout = rollout
        self.end_s = float(max(rollout.timeline["time_s"].iloc[-1], rollout.events["time_s"].iloc[-1]))
        revisions = rollout.revisions
        first = revisions["deployment"].eq(rollout.policy.identity.id)
        self._update, self._rollback = revisions[first], revisions[~first]
        self._divided: tuple[tuple[int, bool], Cells] | None = None  # the latest division, with its arguments
        self._n_waves = count_planned_waves(rollout)
        self._gauges = Gauges(rollout)

    @cached_property
    def steps_s(self) -> np.ndarray:
        """The instants at which a node or the control plane does something."""
        return np.unique(self.rollout.events["time_s"])

    def frame(self, time_s: float, room: tuple[int, int]) -> Frame:
        """Return the frame of an instant; `room` is the number of lines for cells, and of cells per line."""
        n_lines, width = room
        zones = self.rollout.nodes["zone"].nunique()
        # A zone begins on a new line, if there are enough lines.
        by_zone = 1 < zones <= n_lines
        cells = self._divide(n_lines // zones * width if by_zone else n_lines * width, by_zone)
        counts = self._map.count(cells, np.array([time_s]))[0]
        shown = choose(counts)
        by_name = {
            f"zone {zone}" if by_zone else "": tuple(SHOWN[number] for number in shown[cells.zone == zone])
            for zone in np.unique(cells.zone).tolist()
        }
        revision = _last(self._update, time_s)
        title = f"{self.rollout.scenario.name} / {self.rollout.policy.name}, replication {self.rollout.replication}"
        return Frame(
            title=title,
            time_s=time_s,
            end_s=self.end_s,
            state=self._describe_state(str(revision["state"]), time_s),
            wave=int(revision["current_wave"]),
            n_waves=self._n_waves,
            cells=tuple(by_name.items()),
            nodes_per_cell=int(cells.n_nodes.max()),
            counts={name: int(n) for name, n in zip(SHOWN, counts.sum(axis=0), strict=True) if n},
            gauges=tuple(self._gauges.at(time_s)),
            events=tuple(line for line in self._lines if line.time_s <= time_s),
        )

    @cached_property
    def _map(self) -> FleetMap:
        return FleetMap(self.rollout)

    def _divide(self, most_of_zone: int, by_zone: bool) -> Cells:
        asked = most_of_zone, by_zone
        if self._divided is None or self._divided[0] != asked:
            self._divided = asked, make_cells(self.rollout.nodes, most_of_zone, by_zone=by_zone)
        return self._divided[1]

    @cached_property
    def _lines(self) -> list[Line]:
        """The story with every wave and every failed node, in order."""
        failed = self.rollout.events[
            self.rollout.events["to_status"].eq("failed") & self.rollout.events["node"].notna()
        ]
        columns = (failed["time_s"], failed["node"], failed["reason"])
        nodes = [
            Line(place, time_s, f"node-{node} failed: {reason}")
            for place, time_s, node, reason in zip(failed.index, *columns, strict=True)
        ]
        story = tell(self.rollout, most_waves=len(self.rollout.nodes))
        return sorted([*story, *nodes], key=lambda line: (line.time_s, line.place))

    def _describe_state(self, state: str, time_s: float) -> str:
        words = state.replace("_", " ")
        if len(self._rollback) and self._rollback["time_s"].iloc[0] <= time_s:
            words += f", rollback {str(_last(self._rollback, time_s)['state']).replace('_', ' ')}"
        return words


def _last(rows: pd.DataFrame, time_s: float) -> pd.Series:
    """Return the row that holds at an instant."""
    return rows.iloc[max(int(np.searchsorted(rows["time_s"], time_s, side="right")) - 1, 0)]
