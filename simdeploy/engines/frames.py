"""The tables of one rollout, made from its recording on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.engines.deployments import Recorded, node_name
from simdeploy.engines.error_rates import ErrorRates
from simdeploy.engines.intervals import FOREVER, Intervals, distinct, or_forever
from simdeploy.engines.recording import CONTROL_PLANE, Recording
from simdeploy.engines.schema import EVENT_WORDS, PENDING, STATUSES
from simdeploy.rules.deployment_types import TYPES
from simdeploy.units import NS_PER_S

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.engines.service import Service


def make_events(recording: Recording) -> pd.DataFrame:
    """Return one row per change of a node's status or act of the control plane (node missing)."""
    moves = recording.transitions.columns
    # Rows are in order of time and round of the control plane; sort them by node within a round.
    look = np.cumsum((np.diff(moves.time_ns, prepend=0) > 0) | (np.diff(moves.round, prepend=0) > 0))
    order = _order(look, moves.node)
    columns = {
        "time_s": moves.time_ns / NS_PER_S,
        "node": _whole_numbers(moves.node, missing=CONTROL_PLANE),
        "from_status": _words(moves.from_status, EVENT_WORDS),
        "to_status": _words(moves.to_status, EVENT_WORDS),
        "wave": _whole_numbers(moves.wave, missing=0),
        "reason": _texts(moves.reason),
    }
    return _make_table(columns, order)


def make_timeline(recording: Recording, service: Service) -> pd.DataFrame:
    """Return one row per settled instant at which anything changed, and a last one at the horizon."""
    end, total = service.end_ns, recording.world.n_nodes
    moves = recording.transitions.columns
    of_node = (moves.node >= 0) & (moves.time_ns <= end)
    moved = moves.time_ns[of_node]
    left, entered = moves.from_status[of_node], moves.to_status[of_node]
    window_ends = recording.windows.end_ns
    looked = np.argsort(window_ends)  # `searchsorted` is faster with sorted values
    looked = looked[: np.searchsorted(window_ends, end, side="right", sorter=looked)]
    window_ends = window_ends[looked]
    exposed_at, exposed = service.exposed.count_changes(end)
    serving_at, serving = service.in_service.count_changes(end)
    rates = ErrorRates(recording, service)
    changes = [np.zeros(1, np.int64), moved, window_ends, exposed_at, serving_at, rates.changes_ns, np.array([end])]
    times = distinct(np.concatenate(changes))

    counts = np.zeros((len(STATUSES), len(times)), dtype=np.int64)
    counts[PENDING] = total
    at = np.searchsorted(times, moved)
    for status in np.union1d(left, entered):
        came, went = (np.bincount(at[states == status], minlength=len(times)) for states in (entered, left))
        counts[status] += np.cumsum(came - went)

    ended = np.searchsorted(window_ends, times, side="right")
    requests, failed = (
        np.diff(np.cumsum(np.concatenate([[0], column[looked]]))[ended], prepend=0)
        for column in (recording.windows.requests, recording.windows.failed)
    )
    old, new = rates.at(times)
    both = old + new
    demand, lost, shed = service.requests.rates_at(times)
    columns = {
        "time_s": times / NS_PER_S,
        **dict(zip(STATUSES, counts, strict=True)),
        "exposed": _as_of(times, exposed_at, exposed),
        "in_service": _as_of(times, serving_at, serving),
        "requests": requests,
        "failed_requests": failed,
        "demand_per_second": demand,
        "lost_per_second": lost,
        "shed_per_second": shed,
        "load": service.requests.highest_load_at(times),
        "requests_per_second": both.requests,
        "error_rate": both.error_rate,
        "error_rate_old": old.error_rate,
        "error_rate_new": new.error_rate,
    }
    return _make_table(columns)


def make_down_spells(service: Service) -> pd.DataFrame:
    """Return one row per spell in which a node was down, up to the horizon."""
    return _to_spells(service.down.clipped(0, service.end_ns))


def make_offline_spells(recording: Recording, end_ns: int) -> pd.DataFrame:
    """Return one row per spell in which a node was offline, from its turn up to the horizon."""
    lines = recording.world.lines
    had_turn = [node for node, fate in enumerate(recording.fates) if fate.wave]
    return _to_spells(Intervals.of((node, *spell) for node in had_turn for spell in lines.offline_spells(node, end_ns)))


def _to_spells(spells: Intervals) -> pd.DataFrame:
    return _make_table({"node": spells.node, "from_s": spells.start / NS_PER_S, "until_s": spells.end / NS_PER_S})


def make_windows(recording: Recording, class_names: list[str], max_error_rate: float) -> pd.DataFrame:
    """Return one row per health window; `max_error_rate` is NaN where windows are not judged one by one."""
    new, old = recording.windows, recording.compared
    ended, node = np.concatenate([new.end_ns, old.end_ns]), np.concatenate([new.node, old.node])
    requests, failed = np.concatenate([new.requests, old.requests]), np.concatenate([new.failed, old.failed])
    on_new = np.repeat([TYPES[recording.type_name].releases, False], [len(new.node), len(old.node)])
    waves = np.array([fate.wave for fate in recording.fates], np.int64)[node]
    waves[len(new.node) :] = 0
    counted = np.concatenate([new.counted, old.counted])
    if recording.makespan_ns is not None:  # later verdicts, of nodes still in flight, change nothing
        counted &= ended <= recording.makespan_ns
    columns = {
        "ended_s": ended / NS_PER_S,
        "node": node,
        "wave": _whole_numbers(waves, missing=0),
        "class": _words(recording.world.class_of[node], class_names),
        "zone": recording.world.zone_of[node],
        "requests": requests,
        "failed_requests": failed,
        "error_rate": _divide(failed, requests),
        "max_error_rate": np.full(len(node), max_error_rate),
        "healthy": np.concatenate([new.healthy, old.healthy]),
        "up": np.concatenate([new.up, old.up]),
        "on_new_version": on_new,
        "counted": counted,
    }
    return _make_table(columns, _order(ended, node))


def make_nodes(recording: Recording, service: Service, class_names: list[str]) -> pd.DataFrame:
    """Return one row per node: its identity and its fate."""
    world, fates = recording.world, recording.fates
    position = np.empty(world.n_nodes, dtype=np.int64)
    position[world.order] = np.arange(world.n_nodes)
    canary = np.zeros(world.n_nodes, dtype=bool)
    canary[recording.canaries] = True
    windows = recording.windows
    worst = np.full(world.n_nodes, np.nan)
    np.fmax.at(worst, windows.node, _divide(windows.failed, windows.requests))
    columns = {
        "node": np.arange(world.n_nodes),
        "name": _name_nodes(world.n_nodes).copy(),
        "zone": world.zone_of,
        "class": _words(world.class_of, class_names),
        "position": position,
        "wave": _whole_numbers([fate.wave for fate in fates], missing=0),
        "canary": canary,
        "affected": np.array(world.affected),
        "status": _words(np.array([fate.status for fate in fates]), STATUSES),
        "reason": _texts([fate.reason for fate in fates]),
        "ever_failed": np.array([fate.ever_failed for fate in fates]),
        "failed_reason": _texts([fate.failed_reason for fate in fates]),
        "attempts": np.array([fate.attempts for fate in fates]),
        "windows": np.array([fate.windows for fate in fates]),
        "worst_error_rate": worst,
        "dispatched_at_s": _times_s([fate.dispatched_ns for fate in fates]),
        "started_at_s": _times_s([fate.started_ns for fate in fates]),
        "resolved_at_s": _times_s([fate.resolved_ns for fate in fates]),
        "heard_at_s": _times_s([fate.heard_ns for fate in fates]),
        "failed_at_s": _times_s([fate.failed_ns for fate in fates]),
        "rollback_started_at_s": _times_s([fate.back_from_ns for fate in fates]),
        "rollback_ended_at_s": _times_s([fate.back_until_ns for fate in fates]),
        "exposed_s": service.seconds_per_node(service.exposed.clipped(0, service.end_ns)),
        "unavailable_s": service.seconds_per_node(service.unavailable),
    }
    return _make_table(columns)


def make_revisions(deployments: Sequence[Recorded], start_ns: int) -> pd.DataFrame:
    """Return one row per revision of each deployment, without the names of canaries, which are in `nodes`."""
    histories = [deployment.history for deployment in deployments]
    lengths = [len(history) for history in histories]
    revised_ns = np.concatenate([np.array(history.times_ns, np.int64) for history in histories])

    fields = [history.columns for history in histories]

    def of_all(name: str) -> list[Any]:
        return list(chain.from_iterable(columns[name] for columns in fields))

    of_deployment = np.repeat(np.arange(len(deployments)), lengths)
    columns = {
        "deployment": _words(of_deployment, [deployment.id for deployment in deployments]),
        "revision": np.concatenate([np.arange(1, length + 1) for length in lengths]),
        "time_s": revised_ns / NS_PER_S,
        "type": _words(of_deployment, [deployment.type for deployment in deployments]),
        "from_version": np.repeat([deployment.from_version for deployment in deployments], lengths),
        "to_version": np.repeat([deployment.to_version for deployment in deployments], lengths),
        "state": _texts(of_all("state")),
        "message": _texts(of_all("message")),
        "current_wave": np.array(of_all("current_wave")),
        "total_nodes": np.repeat([history.total_nodes for history in histories], lengths),
        "updated_nodes": np.array(of_all("updated_nodes")),
        "failed_nodes": np.array(of_all("failed_nodes")),
        "canaries": np.repeat([len(deployment.canaries) for deployment in deployments], lengths),
        "canary_promoted": np.array(of_all("canary_promoted")),
    }
    times = {
        "created_at": np.repeat([history.times_ns[0] for history in histories], lengths),
        "updated_at": revised_ns,
        "completed_at": or_forever(of_all("completed_ns")),
        "last_progress_time": or_forever(of_all("last_progress_ns")),
        "health_check_deadline": or_forever(of_all("health_check_deadline_ns")),
        "healthy_deadline": or_forever(of_all("healthy_deadline_ns")),
    }
    return _make_table(columns | _datetimes(times, start_ns))


def _datetimes(columns: Mapping[str, np.ndarray], start_ns: int) -> dict[str, pd.DatetimeIndex]:
    """Make columns of instants in UTC from nanoseconds after the start; `FOREVER` becomes NaT.

    Years in which nanoseconds since 1970 don't fit into 64 bits are kept in microseconds.
    """
    import pandas as pd

    elapsed = np.concatenate(list(columns.values()))
    is_known = elapsed < FOREVER
    fits = max(abs(start_ns), abs(start_ns + int(elapsed.max(where=is_known, initial=0)))) < 1 << 63
    unit, size = ("ns", 1) if fits else ("us", 1000)
    start, rest = divmod(start_ns, size)
    whole = np.where(is_known, (np.where(is_known, elapsed, 0) + rest) // size + start, np.iinfo(np.int64).min)
    instants = pd.DatetimeIndex(whole.view(f"datetime64[{unit}]")).tz_localize("UTC")
    ends = np.cumsum([len(column) for column in columns.values()]).tolist()
    return {name: instants[end - len(column) : end] for (name, column), end in zip(columns.items(), ends, strict=True)}


def _make_table(columns: Mapping[str, Any], order: np.ndarray | None = None) -> pd.DataFrame:
    """Make a table of columns without copying them, or of their rows in an order."""
    import pandas as pd

    if order is not None:
        columns = {name: column.take(order) for name, column in columns.items()}
    return pd.DataFrame(columns, copy=False)


def _order(first: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Return the order of rows by one column, then by small numbers."""
    order = np.argsort(first, kind="stable")
    is_next = np.diff(first[order], prepend=-1) > 0
    if is_next.all():
        return order
    return order[np.argsort(np.cumsum(is_next) * (int(then.max()) + 2) + then[order], kind="stable")]


def _words(places: np.ndarray, words: Sequence[str]) -> pd.api.extensions.ExtensionArray:
    """Make a column of words, given as places in a list."""
    return _vocabulary(tuple(words)).take(places)


@lru_cache(maxsize=32)  # most rollouts have the same words
def _vocabulary(words: tuple[str, ...]) -> pd.api.extensions.ExtensionArray:
    import pandas as pd

    return pd.array(words, dtype="str")


def _texts(texts: Sequence[str]) -> pd.api.extensions.ExtensionArray:
    """Make a column of texts with few distinct values."""
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return _words(np.fromiter(map(places.__getitem__, texts), np.int64, count=len(texts)), list(places))


@lru_cache(maxsize=1)
def _name_nodes(n_nodes: int) -> pd.api.extensions.ExtensionArray:
    """Make a column of the nodes' names, cached for all rollouts of a fleet."""
    import pandas as pd

    return pd.array([node_name(number) for number in range(n_nodes)], dtype="str")


def _whole_numbers(numbers: Sequence[int] | np.ndarray, *, missing: int) -> pd.arrays.IntegerArray:
    """Make a column in which one number stands for a missing value."""
    import pandas as pd

    values = np.array(numbers, dtype=np.int64)
    return pd.arrays.IntegerArray(values, values == missing)


def _divide(failed: np.ndarray, requests: np.ndarray) -> np.ndarray:
    """Return the error rates of windows; NaN without requests."""
    rates = np.full(len(requests), np.nan)
    np.divide(failed, requests, out=rates, where=requests > 0)
    return rates


def _as_of(times: np.ndarray, changed_at: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the counts that hold at each time; 0 before the first change."""
    return np.concatenate([[0], counts])[np.searchsorted(changed_at, times, side="right")]


def _times_s(times_ns: Sequence[int | None]) -> np.ndarray:
    known = or_forever(times_ns)
    return np.where(known == FOREVER, np.nan, known / NS_PER_S)
