"""Cases of change windows: makespans of rollouts that wait for them."""

from __future__ import annotations

from typing import Any

from simdeploy.validation import oracles
from simdeploy.validation.verification.case import Case, make_case, number_of, rolling
from simdeploy.world.distributions import Exponential

_HOUR_S = 3600.0
_WEEK_S = 7 * 24 * _HOUR_S


def _starting(created_at: str, *windows: dict[str, Any]) -> dict[str, Any]:
    return {"operator": {"change_windows": list(windows)}, "deployment": {"created_at": created_at}}


def change_windows() -> tuple[Case, ...]:
    """Waves and batches that go only while a window is open."""
    makespan_s = number_of("makespan_s")
    night = [(0, 1 * _HOUR_S), (23 * _HOUR_S, 24 * _HOUR_S)]
    # Monday to Thursday, 9 to 11; 2026-01-08 is a Thursday.
    of_week = [((24 * day + 9) * _HOUR_S, (24 * day + 11) * _HOUR_S) for day in range(4)]
    minutes = [(9 * _HOUR_S, 9 * _HOUR_S + 90), (9 * _HOUR_S + 150, 9 * _HOUR_S + 240)]
    return (
        make_case(
            "waves from Thursday to Tuesday",
            "makespan, s",
            "waves_in_change_windows_s",
            lambda: oracles.waves_in_change_windows_s(
                [_HOUR_S] * 5, of_week, starts_s=(3 * 24 + 10) * _HOUR_S, every_s=_WEEK_S
            ),
            makespan_s,
            {"nodes": 9, "update_duration": "1h"},
            rolling(2),
            **_starting("2026-01-08T10:00:00+03:00", {"days": ["mon", "tue", "wed", "thu"], "from": "9h", "to": "11h"}),
        ),
        make_case(
            "exponential waves, by night",
            "makespan, s",
            "exponential_waves_in_change_windows_s",
            lambda: oracles.exponential_waves_in_change_windows_s(1800, 8, night, starts_s=22 * _HOUR_S),
            makespan_s,
            {"nodes": 8, "update_duration": {"exponential": {"mean": "30m"}}},
            rolling(1),
            **_starting("2026-01-05T22:00:00+01:00", {"from": "23h", "to": "1h"}),
        ),
        make_case(
            "batches by the clock, in windows",
            "makespan, s",
            "batches_in_change_windows_s last_end_s",
            lambda: oracles.last_end_s(
                Exponential(60.0),
                [(sent_s, 3) for sent_s in oracles.batches_in_change_windows_s(3, minutes, starts_s=9 * _HOUR_S + 30)],
            ),
            makespan_s,
            {"nodes": 9, "update_duration": {"exponential": {"mean": "1m"}}},
            rolling(),
            orchestrator={"pacing": "rate", "rate": {"per_minute": 3}},
            **_starting("2026-01-05T09:00:30Z", {"from": "9h", "to": "9h1m30s"}, {"from": "9h2m30s", "to": "9h4m"}),
        ),
    )
