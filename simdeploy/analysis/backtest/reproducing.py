"""Whether a replay under the recorded policy reproduces the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from simdeploy.analysis.backtest.bounding import Bounds, bound_rollout
from simdeploy.engines.replay.refusing import find_refusals
from simdeploy.records.histories import History, to_ns
from simdeploy.units import NS_PER_S, short_duration
from simdeploy.vocabulary import TERMINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simdeploy.engines.recording import Recording
    from simdeploy.engines.replay import KnownRollout
    from simdeploy.engines.replay.knowing import RunBy


class Reproduction(NamedTuple):
    """A rollout, replayed under its own policy."""

    row: dict[str, Any]  # whether that reproduces the record, and the first difference
    bounds: dict[str, Bounds]  # of its responses, if it does; otherwise empty


def reproduce(history: History, known: KnownRollout, recorded: RunBy | None) -> Reproduction:
    """Replay a rollout under its own policy."""
    row: dict[str, Any] = {"rollout": str(history.rollout["rollout"]), "is_reproduced": None, "differs": ""}
    if recorded is None:
        return Reproduction(row | {"differs": "its policy is not on record"}, {})
    refusal = next(find_refusals(history, known, recorded, recorded), None)
    if refusal is not None:
        return Reproduction(row | {"differs": str(refusal)}, {})
    bounded = bound_rollout(known, recorded)
    difference = next(_differences(history, bounded.recording, bounded.unknown_ns), None)
    if difference is not None:
        return Reproduction(row | {"is_reproduced": False, "differs": difference}, {})
    if bounded.unknown_ns is None:
        return Reproduction(row | {"is_reproduced": True}, bounded.bounds)
    return Reproduction(row | {"differs": f"not known from {short_duration(bounded.unknown_ns)} on"}, {})


def _differences(history: History, recording: Recording, unknown_ns: int | None) -> Iterator[str]:
    """Yield the differences before the first unknown instant, in order of time."""
    differences = []
    for row, fate in zip(history.nodes, recording.fates, strict=True):
        for what, column, time_ns in (
            ("dispatched", "dispatched_at_s", fate.dispatched_ns),
            ("resolved", "resolved_at_s", fate.resolved_ns),
        ):
            was = to_ns(row[column])
            first = min((time for time in (was, time_ns) if time is not None), default=None)
            is_judged = unknown_ns is None or (first is not None and first < unknown_ns)
            # What nodes do after the end is not on record.
            is_over = recording.makespan_ns is not None and first is not None and first > recording.makespan_ns
            if was != time_ns and is_judged and not is_over:
                differences.append((first or 0, f"{row['node']} {what} {_say(time_ns)}, on record {_say(was)}"))
    yield from (text for _, text in sorted(differences))
    if unknown_ns is not None:
        return
    state, ended = history.rollout["state"], to_ns(history.rollout["ended_s"])
    if state in TERMINAL_STATES and state != recording.state:
        yield f"it is {recording.state}, on record {state}"
    if ended is not None and ended != recording.makespan_ns:
        yield f"it ends {_say(recording.makespan_ns)}, on record {_say(ended)}"


def _say(time_ns: int | None) -> str:
    return "never" if time_ns is None else f"at {time_ns / NS_PER_S:.15g} s"  # to the nanosecond
