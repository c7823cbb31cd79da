"""A rollout's events as a story, line by line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from simdeploy.errors import plural
from simdeploy.rules.waves import plan_waves
from simdeploy.vocabulary import TERMINAL_STATES

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.engines import Rollout

# With more waves than this, only some are described: the first, the last, and the first in which something happened.
_MANY_WAVES = 10
_FIRST_WAVES = 3
_EVENTFUL_WAVES = 10
_SETTLED = ("running", "stopped", "skipped", "failed")
# Other wordings of reasons that don't fit after a number of nodes.
_REASONS = {"its wave failed the gate": "in a wave that failed the gate"}
_STATE_WORDS = {"in_progress": "resumed", "paused": "paused", "completed": "completed", "failed": "stopped"}


class Line(NamedTuple):
    """A line of the story: its position among the events, its time and its text."""

    place: float
    time_s: float
    text: str


@dataclass
class _Wave:
    """Outcome of one wave; positions are row numbers of the events."""

    begin: int
    begin_s: float
    size: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    last: int = 0
    last_s: float = 0.0

    @property
    def in_flight(self) -> int:
        """Nodes without a verdict when the rollout ended."""
        return self.size - self.ends.total()

    @property
    def is_uneventful(self) -> bool:
        """Whether no node failed, was skipped or is unresolved."""
        return not self.in_flight and not self.ends["failed"] and not self.ends["skipped"]


def tell(rollout: Rollout, *, most_waves: int = _MANY_WAVES, hint: str = "") -> list[Line]:
    """Return the lines in order: waves and their ends, acts of control plane and people, the rollback.

    With more waves than `most_waves`, some are summed up; `hint` says where all are.
    """
    lines = [*_tell_waves(rollout, most_waves, hint), *_tell_control_plane(rollout.events), *_tell_rollback(rollout)]
    return sorted(lines, key=lambda line: line.place)


def _tell_control_plane(events: pd.DataFrame) -> Iterator[Line]:
    acts = events[events["node"].isna()]
    columns = (acts[name] for name in ("time_s", "from_status", "to_status", "reason"))
    for place, time_s, before, after, reason in zip(acts.index, *columns, strict=True):
        if before == after:
            yield Line(place, time_s, reason)
        elif before != "pending":
            yield Line(place, time_s, f"{_STATE_WORDS.get(after, after)}: {reason}")


def _tell_rollback(rollout: Rollout) -> Iterator[Line]:
    events = rollout.events
    leaving = events["to_status"].eq("rolling_back")
    individually = events[leaving & ~events["reason"].eq("rollback")]
    together = events[leaving & events["reason"].eq("rollback")]
    back = events[events["from_status"].eq("rolling_back")]
    if len(individually):
        last = individually.iloc[-1]
        yield Line(
            individually.index[-1], last["time_s"], f"{plural(len(individually), 'node')} rolled back individually"
        )
    if len(together):
        first_s = together["time_s"].iloc[0]
        late = first_s > rollout.response_values["makespan_s"]
        text = f"rollback of {plural(len(together), 'node')} begins"
        yield Line(together.index[0] - 0.1, first_s, f"people notice: {text}" if late else text)
    if len(back):
        ends = back["to_status"].value_counts()
        text = ", ".join(f"{plural(count, 'node')} {str(status).replace('_', ' ')}" for status, count in ends.items())
        yield Line(back.index[-1] + 0.1, back["time_s"].iloc[-1], f"rollback finished: {text}")


def count_planned_waves(rollout: Rollout) -> int:
    """Return how many waves the rollout would have if nothing stopped it."""
    fleet = rollout.scenario.fleet
    return len(plan_waves(rollout.policy.policy, rollout.orchestrator, fleet.nodes, fleet.zones).sizes)


def _tell_waves(rollout: Rollout, most_waves: int, hint: str) -> Iterator[Line]:
    planned = count_planned_waves(rollout)
    nodes = rollout.nodes
    canaries = set(nodes.loc[nodes["canary"], "wave"].dropna())
    windows = nodes.groupby("wave")["windows"].sum().to_dict()
    over, over_s = _end(rollout.events)
    waves = _read_waves(rollout.events, over)
    chosen = _choose_waves(waves) if len(waves) > most_waves else set(waves)
    for is_told, run in groupby(waves.items(), key=lambda item: item[0] in chosen):
        group = list(run)
        if not is_told:
            last = group[-1][1]
            place, time_s = (over, over_s) if any(wave.in_flight for _, wave in group) else (last.last, last.last_s)
            yield Line(place + 0.1, time_s, f"... and {_sum_up([wave for _, wave in group])}{hint}")
            hint = ""
            continue
        for number, wave in group:
            role = " (canaries)" if number in canaries else ""
            yield Line(wave.begin - 0.1, wave.begin_s, f"wave {number} of {planned}{role}: {plural(wave.size, 'node')}")
            text = f"wave {number}: {', '.join(_ends(wave))}"
            if windows[number]:
                text += f"; {plural(windows[number], 'health window')}"
            yield Line(over - 0.1, over_s, text) if wave.in_flight else Line(wave.last + 0.1, wave.last_s, text)


def _choose_waves(waves: Mapping[int, _Wave]) -> set[int]:
    """Return which of many waves to describe one by one, including single waves between these."""
    numbers = list(waves)
    eventful = [number for number in numbers if not waves[number].is_uneventful]
    chosen = {*numbers[:_FIRST_WAVES], *eventful[:_EVENTFUL_WAVES], *eventful[-1:], numbers[-1]}
    for before, number, after in zip(numbers, numbers[1:], numbers[2:], strict=False):
        if {before, after} <= chosen:
            chosen.add(number)
    return chosen


def _sum_up(waves: Sequence[_Wave]) -> str:
    sizes, ends = sum(wave.size for wave in waves), sum((wave.ends for wave in waves), Counter())
    n_open = sum(wave.in_flight for wave in waves)
    troubles = [f"{ends[status]:,} {status}" for status in ("failed", "skipped") if ends[status]]
    troubles += [f"{n_open:,} in flight"] if n_open else []
    return f"{plural(len(waves), 'more wave')}: {plural(sizes, 'node')}, {', '.join(troubles) or 'none failed'}"


def _end(events: pd.DataFrame) -> tuple[int, float]:
    """Return position and time of the rollout's end, or of its last event if it never ends."""
    ended = events[events["node"].isna() & events["to_status"].isin(TERMINAL_STATES)]
    if ended.empty:
        return len(events), float(events["time_s"].iloc[-1])
    return int(ended.index[0]), float(ended["time_s"].iloc[0])


def _read_waves(events: pd.DataFrame, over: int) -> dict[int, _Wave]:
    """Collect each wave's outcome in one pass, because there may be as many waves as nodes."""
    of_waves = events[events["node"].notna() & events["wave"].notna()]
    columns = (of_waves[name] for name in ("wave", "time_s", "from_status", "to_status", "reason"))
    waves: dict[int, _Wave] = {}
    for place, number, time_s, before, after, reason in zip(of_waves.index, *columns, strict=True):
        wave = waves.setdefault(number, _Wave(place, time_s))
        wave.size += before == "pending"
        if after in _SETTLED and place <= over:
            wave.last, wave.last_s = place, time_s
            # A verdict that is reported late has a separate event. A running node that isn't heard from in time has failed.
            if before == after:
                continue
            wave.ends[after] += 1
            if before in _SETTLED:
                wave.ends[before] -= 1
            if after == "failed":
                wave.failures[reason] += 1
    return waves


def _ends(wave: _Wave) -> Iterator[str]:
    """Yield the number of nodes by end, with reasons for failures."""
    for status in _SETTLED:
        if status == "failed" and wave.failures:
            reasons = ", ".join(
                f"{count:,} {_REASONS.get(reason, reason)}" for reason, count in wave.failures.most_common()
            )
            yield f"{wave.ends[status]:,} {status} ({reasons})"
        elif wave.ends[status]:
            yield f"{wave.ends[status]:,} {status}"
    if wave.in_flight:
        yield f"{wave.in_flight:,} in flight"
