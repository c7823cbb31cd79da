"""Change windows: what waits for them, worked out by hand on both engines, and how they are read and reported."""

from __future__ import annotations

import copy
import random
from datetime import datetime, timedelta
from typing import Any

import jsonschema
import numpy as np
import pytest
from by_hand import NO_WINDOWS, canary, control_events, rolling, script, values_of
from generators import TIMETABLES, Decisions, scenario_of, window
from hypothesis import given, settings, strategies as st
from refusals import refused
from rows_equal import differences

from simdeploy import Scenario, simulate, sweep
from simdeploy.errors import SimdeployWarning, format_path
from simdeploy.scenario import scenario_schema
from simdeploy.units import NS_PER_S
from simdeploy.world.change_windows import DAYS, Calendar, ChangeWindow, calendar_of, weekly_openings

MONDAY_9 = "2026-01-05T09:00:00Z"
THIRTY_WITH_CRASHES = {"nodes": 30, "crash": {"up": {"exponential": {"mean": "5m"}}, "repair": 200}}


def by_rate(per_minute: int, **switches: Any) -> dict[str, Any]:
    return {"pacing": "rate", "rate": {"per_minute": per_minute}} | switches


def raw_of(windows: Any, created_at: str = MONDAY_9, policy: Any = None, **sections: Any) -> dict[str, Any]:
    """Return a scenario of six nodes that take 30 s each, by default in waves of two."""
    raw = {
        "name": "hours",
        "fleet": {"nodes": 6, "update_duration": 30, **sections.pop("fleet", {})},
        "operator": {"change_windows": windows, **sections.pop("operator", {})},
        "deployment": {"created_at": created_at},
        "policies": {"p": policy or rolling(2)},
        **sections,
    }
    return copy.deepcopy(raw)


def scenario(windows: Any, created_at: str = MONDAY_9, policy: Any = None, **sections: Any) -> Scenario:
    return Scenario.from_dict(raw_of(windows, created_at, policy, **sections))


def dispatched(scenario: Scenario) -> list[float]:
    """Return the times at which nodes were dispatched, each once."""
    events = simulate(scenario).events
    return sorted(set(events.loc[events["to_status"] == "starting", "time_s"]))


# -- what waits ------------------------------------------------------------------------------------


def test_the_first_wave_waits(engine: str) -> None:
    """A rollout created at 8:59 sends its first wave at 9:00; the makespan counts from its start. [contract]"""
    late = scenario([window("9h", "16h")], "2026-01-05T08:59:00Z")
    assert values_of(late, engine)["makespan_s"] == 60 + 3 * 30
    assert dispatched(late) == [60, 90, 120]


@pytest.mark.parametrize(
    ("closes", "waves", "makespan"), [("9h1m", [0, 30, 3600], 3630), ("9h1m0.000000001s", [0, 30, 60], 90)]
)
def test_work_due_as_a_window_closes_waits(engine: str, closes: str, waves: list[int], makespan: int) -> None:
    """Windows exclude their end: the third wave, due after 60 s, goes only if the window closes later. [contract]"""
    hours = scenario([window("9h", closes), window("10h", "11h")])
    assert dispatched(hours) == waves
    assert values_of(hours, engine)["makespan_s"] == makespan


def test_a_free_slot_waits(engine: str) -> None:
    """Under sliding a slot that is free when the window closes is filled at the next opening. [contract]"""
    fleet = {"nodes": 4, "classes": [{"name": "slow", "nodes": [1], "update_duration": 50}]}
    slots = scenario([window("9h", "9h40s"), window("9h2m", "10h")], fleet=fleet, orchestrator={"pacing": "sliding"})
    # Node 0 is done at 30 s, so that node 2 follows at once; nodes 1 and 2 are done at 50 s and 60 s.
    assert dispatched(slots) == [0, 30, 120]
    # One event, although another slot is free at 60 s.
    assert [time for time, reason in control_events(simulate(slots)) if "opens Mon 09:02" in reason] == [50]
    assert values_of(slots, engine)["makespan_s"] == 150


def test_the_clock_of_rate_pacing_stands_still(engine: str) -> None:
    """Batches are due after each open minute; one that is due at the closing goes at the opening. [contract]"""
    windows = [window("9h", "9h1m"), window("9h10m", "9h11m30s"), window("10h", "11h")]
    batches = scenario(windows, orchestrator=by_rate(1), policy=rolling(0))
    # Due after 0, 1, 2, 3, 4 and 5 open minutes; 2.5 open minutes are over when the second window closes.
    assert dispatched(batches) == [0, 600, 660, 3630, 3690, 3750]
    assert values_of(batches, engine)["makespan_s"] == 3780


@pytest.mark.parametrize(("clocks", "batches"), [("run", [0, 630, 660, 720]), ("stop", [0, 660, 720, 780])])
def test_a_pause_of_the_rate_clock_counts_open_time_only(engine: str, clocks: str, batches: list[int]) -> None:
    """A pause from 30 s to 630 s, with windows closed from 60 s to 600 s, takes at most 60 s off the clock. [contract]"""
    paused = scenario(
        [window("9h", "9h1m"), window("9h10m", "10h")],
        policy=rolling(0),
        fleet={"nodes": 4},
        orchestrator=by_rate(1, paused_clocks=clocks),
        operator=script((30, "pause"), (630, "resume")),
    )
    assert dispatched(paused) == batches
    assert values_of(paused, engine)["makespan_s"] == batches[-1] + 30


def test_the_rate_clock_begins_with_a_promotion_in_the_night(engine: str) -> None:
    """After a promotion while closed, the first batch goes at the opening, the next a minute later. [contract]"""
    windows = [window("9h", "9h20s"), window("9h10m", "10h")]
    promoted = scenario(windows, policy=canary(1, 2, auto_promote=True), orchestrator=by_rate(3))
    assert dispatched(promoted) == [0, 600, 660]
    assert (30, "canaries promoted") in control_events(simulate(promoted))
    assert values_of(promoted, engine)["makespan_s"] == 690


def test_a_resumed_rollout_waits(engine: str) -> None:
    """A resume while closed sends nothing; a pause that outlasts the opening holds the wave. [contract]"""
    windows = [window("9h", "9h20s"), window("9h10m", "9h10m20s"), window("9h20m", "10h")]
    pauses = ((10, "pause"), (100, "resume"), (605, "pause"), (700, "resume"), (1190, "pause"), (1250, "resume"))
    paused = scenario(windows, operator=script(*pauses))
    assert dispatched(paused) == [0, 600, 1250]
    assert values_of(paused, engine)["makespan_s"] == 1280


@pytest.mark.parametrize("what", ["fail", "skip", "wait"])
def test_a_node_is_looked_at_when_the_window_opens(engine: str, what: str) -> None:
    """Whether a node is down is decided at the opening, as after a pause until then. [contract]"""
    switches = {"unreachable_nodes": what, "on_failure": "continue"}
    rest = {"fleet": THIRTY_WITH_CRASHES, "orchestrator": switches, "policy": rolling(30)}
    hours = scenario([window("9h", "16h")], "2026-01-05T08:50:00Z", **rest)
    paused = scenario(None, operator=script((0, "pause"), (600, "resume")), **rest)
    found = values_of(hours, engine)
    assert not differences(["p"], [[values_of(paused, engine)]], [[found]])
    assert found["touched_nodes"] == 30 if what == "wait" else 0 < found["touched_nodes"] < 30


def test_a_node_that_comes_up_in_the_night_waits(engine: str) -> None:
    """Nodes that come up while closed are dispatched at the opening if they are still up. [contract]"""
    waits = {"unreachable_nodes": "wait", "on_failure": "continue"}
    rest = {"fleet": THIRTY_WITH_CRASHES, "orchestrator": waits, "policy": rolling(30)}
    hours = scenario([window("9h", "9h1m"), window("9h10m", "10h")], **rest)
    times = dispatched(hours)
    assert any(0 < time < 60 for time in times)
    assert 600 in times
    assert not any(60 <= time < 600 for time in times)
    # Nodes that went down again before 600 s are waited for again.
    assert times[-1] > 600
    assert values_of(hours, engine)["makespan_s"] == times[-1] + 30


# -- what does not wait ----------------------------------------------------------------------------


def test_bake_time_and_promotion_run_through_the_night(engine: str) -> None:
    """Bake time and promote_after continue while closed; the next wave goes at the opening. [contract]"""
    baked = scenario(
        [window("9h", "9h1m"), window("10h", "11h")],
        policy=canary(2, 2),
        operator={"promote_after": "20m"},
        orchestrator={"bake_time": "10m"},
    )
    # Canaries 0 to 30 s, baked at 630 s, promoted at 1830 s; waves at 3600 s and, baked after it, at 4230 s.
    assert (1830, "operator: promote") in control_events(simulate(baked))
    assert dispatched(baked) == [0, 3600, 4230]
    assert values_of(baked, engine)["makespan_s"] == 4260


@pytest.mark.parametrize(("pacing", "restored_at"), [("all_at_once", 60), ("max_parallel", 90)])
def test_a_stop_rolls_back_in_the_night(engine: str, pacing: str, restored_at: int) -> None:
    """A limit crossed while closed stops the rollout and rolls back at once or in waves. [contract]"""
    stopped = scenario(
        [window("9h", "9h20s"), window("10h", "11h")],
        policy=rolling(4, max_failed_nodes=0),
        fleet={"start_failure": 1, "rollback_duration": 30},
        orchestrator={"rollback_pacing": pacing},
    )
    if pacing == "max_parallel":
        stopped = stopped.with_values({"policies.p": canary(4, 2, max_failed_nodes=0)})
    values = values_of(stopped, engine)
    assert (values["stopped_at_s"], values["restored_at_s"], values["touched_nodes"]) == (30, restored_at, 4)


@pytest.mark.parametrize("pacing", ["barrier", "sliding", "rate"])
def test_a_rollout_completes_in_the_night(engine: str, pacing: str) -> None:
    """The last verdict completes the rollout, also while closed. [contract]"""
    done = scenario([window("9h", "9h1s")], policy=rolling(6), orchestrator=by_rate(6, pacing=pacing))
    values = values_of(done, engine)
    assert (values["state"], values["makespan_s"]) == ("completed", 30)


def test_running_nodes_are_watched_while_the_rollout_waits(engine: str) -> None:
    """A CUSUM looks every 10 s from the first running node at 30 s to the end at 630 s. [contract]"""
    gate = {"kind": "cusum", "good": 0.01, "bad": 0.5, "alarm_every": 1000}
    watched = scenario(
        [window("9h", "9h20s"), window("9h10m", "10h")],
        policy=rolling(1, health={**NO_WINDOWS, "gate": gate}),
        fleet={"nodes": 2, "requests_per_second": 1},
    )
    values = values_of(watched, engine)
    assert (values["makespan_s"], values["decision_requests"]) == (630, 600)


# -- hours and days --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("created_at", "windows", "opens_after_h"),
    [
        ("2026-01-05T17:00:00Z", [window("9h", "16h", "mon", "tue", "wed", "thu")], 16),
        ("2026-01-08T17:00:00Z", [window("9h", "16h", "mon", "tue", "wed", "thu")], 3 * 24 + 16),
        ("2026-01-05T17:00:00+05:30", [window("9h", "16h")], 16),
        ("2026-01-05T03:00:00-11:00", [window("22h", "4h")], 0),
        ("2026-01-05T03:00:00Z", [window("22h", "4h", "mon")], 19),
        ("2026-01-05T03:00:00Z", [window("22h", "4h", "sun")], 0),
        ("2026-01-06T08:00:00Z", [window("9h", "9h", "mon")], 0),
        ("2026-01-06T09:00:00Z", [window("9h", "9h", "mon")], 6 * 24),
        ("2026-01-05T12:00:00Z", [window("9h", "10h"), window("11h", "12h"), window("11h30m", "12h30m")], 0),
        ("2026-01-05T00:00:00Z", [window("23h", "24h", "sun")], 6 * 24 + 23),
    ],
)
def test_hours_are_those_of_created_at(
    engine: str, created_at: str, windows: list[dict[str, Any]], opens_after_h: int
) -> None:
    """Weekday and hour follow created_at in its own offset; windows may run past midnight, and overlap. [contract]"""
    assert values_of(scenario(windows, created_at), engine)["makespan_s"] == opens_after_h * 3600 + 90


def test_a_rollout_may_take_weeks(engine: str) -> None:
    """One minute a week lets two waves of 45 s go. [contract]"""
    slow = scenario([window("9h", "9h1m", "mon")], fleet={"nodes": 10, "update_duration": 45})
    assert values_of(slow, engine)["makespan_s"] == 2 * 7 * 86400 + 45


weekly = st.lists(
    st.builds(
        ChangeWindow,
        st.sets(st.integers(0, 6), min_size=1, max_size=3).map(lambda days: tuple(sorted(days))),
        st.integers(0, 95).map(lambda quarter: quarter * 900 * NS_PER_S),
        st.integers(1, 96).map(lambda quarter: quarter * 900 * NS_PER_S),
    ),
    min_size=1,
    max_size=4,
)


@given(weekly, st.integers(0, 671), st.integers(0, 3000), st.integers(1, 3000))
@settings(max_examples=300)
def test_the_calendar_against_a_list_of_quarters(
    windows: list[ChangeWindow], begins: int, start: int, length: int
) -> None:
    """Openings, changes and open times match a search over every quarter of an hour. [oracle]"""
    quarter = 900 * NS_PER_S

    def is_open(k: int) -> bool:
        at = (begins + k) % 672
        return any(
            (at - 96 * day - one.from_ns // quarter) % 672 < ((one.to_ns - one.from_ns) // quarter - 1) % 96 + 1
            for one in windows
            for day in one.days
        )

    calendar = calendar_of(tuple(windows), begins * quarter)
    if calendar is None:
        assert all(is_open(k) for k in range(672))
        return
    assert weekly_openings(windows) == tuple(sorted(weekly_openings(windows)))
    opens = next(k for k in range(start, start + 673) if is_open(k))
    changes = next(k for k in range(start + 1, start + 674) if is_open(k) != is_open(start))
    open_ns = quarter * sum(is_open(k) for k in range(start, start + length))
    assert calendar.is_open(start * quarter) == is_open(start)
    assert calendar.is_open(start * quarter + 1) == is_open(start)
    assert calendar.next_opening(start * quarter) == opens * quarter
    assert calendar.next_change(start * quarter) == changes * quarter
    assert calendar.open_time(start * quarter, (start + length) * quarter) == open_ns
    if open_ns:
        until = calendar.when_open_for(start * quarter, open_ns)
        assert calendar.open_time(start * quarter, until) == open_ns
        assert calendar.open_time(start * quarter, until - 1) == open_ns - 1


def test_times_are_named_by_weekday_and_hour() -> None:
    """Seconds are named only if there are any. [contract]"""
    calendar = Calendar(((0, 1),), begins_ns=86400 * NS_PER_S)
    names = [calendar.name(int(s * NS_PER_S)) for s in (0, 9 * 3600 + 30 * 60, 5.25, 6 * 86400)]
    assert names == ["Tue 00:00", "Tue 09:30", "Tue 00:00:05.25", "Mon 00:00"]


@pytest.mark.parametrize("number", range(60))
def test_nodes_are_dispatched_in_windows_only(number: int) -> None:
    """In any scenario every dispatch is within a window, by an independent calendar. [property]"""
    raw = scenario_of(Decisions(random.Random(number).randbytes(256)))
    created_at, windows = TIMETABLES[number % len(TIMETABLES)]
    raw["operator"] = raw["operator"] | {"change_windows": windows}
    raw["deployment"] = raw["deployment"] | {"created_at": created_at}
    read = Scenario.from_dict(raw)
    events = simulate(read, seed=number).events
    start = datetime.fromisoformat(created_at)
    # Retries don't wait for windows.
    dispatched = events["to_status"].eq("starting") & events["reason"].str.startswith("dispatched")
    for time_s in set(events.loc[dispatched, "time_s"]):
        assert is_in_some_window(start + timedelta(seconds=float(time_s)), read.operator.change_windows)


def is_in_some_window(at: datetime, windows: tuple[ChangeWindow, ...]) -> bool:
    # To the microsecond, the resolution of datetime.
    for one in windows:
        for days_ago in (0, 1):
            day = (at - timedelta(days=days_ago)).replace(hour=0, minute=0, second=0, microsecond=0)
            opens = day + timedelta(microseconds=one.from_ns // 1000)
            closes = day + timedelta(days=one.to_ns <= one.from_ns, microseconds=one.to_ns // 1000)
            if day.weekday() in one.days and opens <= at < closes:
                return True
    return False


# -- messages --------------------------------------------------------------------------------------


def test_the_message_names_the_next_opening() -> None:
    """Message and events name the next opening; other remarks stay. [contract]"""
    hours = scenario([window("9h", "9h20s"), window("9h", "16h", "tue")], policy=rolling(3))
    rollout = simulate(hours)
    revisions = list(zip(rollout.revisions["time_s"], rollout.revisions["message"], strict=True))
    awaited = "waits for the change window that opens Tue 09:00"
    assert revisions[:3] == [(0, "wave 1 of 2"), (30, f"wave 1 of 2; {awaited}"), (86400, "wave 2 of 2")]
    assert [reason for _, reason in control_events(rollout)].count(awaited) == 1
    first = simulate(scenario([window("9h", "16h")], "2026-01-05T08:00:00Z"))
    assert first.revisions["message"][0] == "nothing dispatched yet; waits for the change window that opens Mon 09:00"


def test_the_message_of_a_clock_that_stands_still() -> None:
    """Under rate pacing the next opening is named from the closing on, once. [contract]"""
    windows = [window("9h", "9h40s"), window("10h", "11h")]
    rollout = simulate(scenario(windows, policy=rolling(0), orchestrator=by_rate(3)))
    times = rollout.revisions.loc[rollout.revisions["message"].str.contains("opens Mon 10:00"), "time_s"]
    assert times.tolist() == [40]
    assert [time for time, reason in control_events(rollout) if "opens Mon 10:00" in reason] == [40]


@pytest.mark.parametrize("number", range(12))
def test_windows_that_are_always_open_change_nothing(number: int) -> None:
    """Responses, events and revisions are the same as without change windows. [property]"""
    raw = scenario_of(Decisions(random.Random(number).randbytes(256)))
    raw["operator"].pop("change_windows", None)
    hours = copy.deepcopy(raw)
    hours["operator"]["change_windows"] = [window("0h", "12h"), window("12h", "24h")]
    plain, restricted = (simulate(Scenario.from_dict(one), seed=number) for one in (raw, hours))
    assert plain.events.equals(restricted.events)
    assert plain.revisions.equals(restricted.revisions)
    assert repr(plain.response_values) == repr(restricted.response_values)


# -- reading ---------------------------------------------------------------------------------------

BAD_DAYS = ([], [1], "mon", ["monday"], ["mon", "mon"])
BAD = [
    ([], "", "no window ever opens, so nothing can be dispatched (found [])"),
    (7, "", "not a list (found 7)"),
    ([7], "[0]", "not a group of keys (found 7); allowed: the keys days, from, to"),
    ([{"to": "3h"}], "[0].from", "required key is missing"),
    ([{"from": "3h"}], "[0].to", "required key is missing"),
    ([window("24h", "3h")], "[0].from", "beyond the day (found '24h'); allowed: a time since"),
    ([window("1h", "25h")], "[0].to", 'such as "9h30m", above 0h, up to "24h"'),
    ([window("1h", "0h")], "[0].to", "write 24h for midnight"),
    ([window("9:30", "16h")], "[0].from", "write 9h30m"),
    ([window("-1h", "16h")], "[0].from", "negative"),
    ([window("1h", "2h", "monday")], "[0].days[0]", "unknown day (found 'monday')"),
    ([window("1h", "2h", "monday")], "[0].days[0]", "write mon"),
    ([window("1h", "2h", "wen")], "[0].days[0]", "did you mean 'wed'?"),
    ([{**window("1h", "2h"), "days": [1]}], "[0].days[0]", "not a day of the week (found 1)"),
    ([{**window("1h", "2h"), "days": []}], "[0].days", "no day: the window never opens"),
    ([{**window("1h", "2h"), "days": "mon"}], "[0].days", "write [mon]"),
    ([window("1h", "2h", "mon", "mon")], "[0].days[1]", "duplicate day (found mon)"),
    ([{**window("1h", "2h"), "day": ["mon"]}], "[0].day", "did you mean 'days'?"),
]


@pytest.mark.parametrize(("windows", "path", "text"), BAD)
def test_bad_windows_are_refused(windows: Any, path: str, text: str) -> None:
    """Windows that never open, impossible hours and unknown days are refused with the allowed values. [contract]"""
    (problem,) = refused(scenario, windows).problems
    assert format_path(problem.path) == f"operator.change_windows{path}"
    assert text in str(problem)


@pytest.mark.parametrize(
    "windows", [[], 7, [7], [{"to": "3h"}], *([{**window("1h", "2h"), "days": days}] for days in BAD_DAYS)]
)
def test_the_schema_refuses_them_too(windows: Any) -> None:
    """The JSON Schema covers missing keys, days and shapes. [contract]"""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(scenario_schema()).validate(raw_of(windows))


def test_windows_are_read_and_written() -> None:
    """Days default to all, numbers are seconds, and the file is written back unchanged. [contract]"""
    raw = raw_of([{"from": "9h30m", "to": 57600}, window("22h", "4h", "fri", "mon")])
    read = Scenario.from_dict(raw)
    half_ns = 1800 * NS_PER_S
    assert read.operator.change_windows == (
        ChangeWindow(tuple(range(7)), 19 * half_ns, 32 * half_ns),
        ChangeWindow((0, 4), 44 * half_ns, 8 * half_ns),
    )
    assert read.to_dict() == raw
    assert Scenario.from_dict(read.to_dict()) == read
    jsonschema.Draft202012Validator(scenario_schema()).validate(raw)
    assert scenario(None).operator.change_windows == ()


ALWAYS_OPEN = "no effect: some window is open at any time"


@pytest.mark.parametrize(
    ("windows", "texts"),
    [
        ("none", []),
        ([window("9h", "16h")], []),
        ([window("0h", "24h")], [ALWAYS_OPEN]),
        ([window("9h", "16h"), window("15h", "9h")], [ALWAYS_OPEN]),
        ([window("9h", "9h", *DAYS)], [ALWAYS_OPEN]),
        ([window("9h", "9h", *DAYS[1:])], []),
        ([{"from": 9, "to": 16.5}], [f"a number is seconds; for the hour write {hour}h" for hour in ("9", "16.5")]),
    ],
)
def test_suspicious_windows_are_warned_about(windows: Any, texts: list[str]) -> None:
    """Windows without effect, and hours that look like seconds, are warned about. [contract]"""
    assert [problem.message for problem in scenario(windows).warnings] == texts


def test_hours_are_factors() -> None:
    """from, to, days and the start of the rollout can be set by path, and varied. [contract]"""
    hours = scenario([window("9h", "16h", "mon")])
    changed = hours.with_values({"operator.change_windows.0.days": ["tue"], "operator.change_windows[0].to": "17h"})
    assert changed.operator.change_windows == (ChangeWindow((1,), 9 * 3600 * NS_PER_S, 17 * 3600 * NS_PER_S),)
    assert hours.with_values({"operator.change_windows": None}).operator.change_windows == ()
    early = hours.with_values({"deployment.created_at": "2026-01-05T07:00:00Z"})
    assert early.identity.created_at.endswith("07:00:00Z")
    vary = {
        "scenario.operator.change_windows.0.from": ["10h", "11h"],
        "scenario.deployment.created_at": ["2026-01-05T09:00:00Z", "2026-01-05T10:30:00Z"],
    }
    table = sweep(hours, "p", vary=vary, replications=1).to_frame()
    assert table["makespan_s"].to_numpy() == pytest.approx(np.array([3600, 0, 7200, 1800]) + 90)


def test_a_warning_names_its_place() -> None:
    """A warning has the path of the window. [contract]"""
    with pytest.warns(SimdeployWarning, match=r"operator.change_windows\[0\].from: a number is seconds"):
        scenario([{"from": 9, "to": "16h"}])
