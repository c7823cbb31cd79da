"""Cases of nodes whose line to the control plane breaks."""

from __future__ import annotations

from simdeploy.validation import oracles
from simdeploy.validation.verification.case import NEVER_STOPS, Case, make_case, number_of, rolling

_ONLINE_S, _OFFLINE_S = 1200, 400


def lines() -> tuple[Case, ...]:
    """Nodes reached, verdicts heard in time, and when all nodes are rolled back."""
    spells = {"online": {"exponential": {"mean": _ONLINE_S}}, "offline": {"exponential": {"mean": _OFFLINE_S}}}
    skips = {"unreachable_nodes": "skip", "on_failure": "continue"}

    def reached() -> float:
        return 1 - oracles.unreachable_at_turn(_ONLINE_S, _OFFLINE_S)

    return (
        make_case(
            "offline at their turn, or down",
            "nodes touched",
            "unreachable_at_turn unavailability",
            lambda: 1 - oracles.unreachable_at_turn(3, 1, down=oracles.unavailability(9, 1)),
            number_of("touched_nodes", 20),
            {
                "nodes": 20,
                "connection": {
                    "online": {"weibull": {"mean": "3h", "shape": 0.6}},
                    "offline": {"lognormal": {"mean": "1h", "sd": "2h"}},
                },
                "crash": {"up": {"exponential": {"mean": "9h"}}, "repair": {"exponential": {"mean": "1h"}}},
            },
            {"strategy": "immediate", **NEVER_STOPS},
            orchestrator=skips,
            operator={"script": [{"at": 0, "do": "pause"}, {"at": "2h", "do": "resume"}]},
        ),
        make_case(
            "offline at the verdict and until the deadline",
            "nodes that fail",
            "unheard_by_deadline unreachable_at_turn",
            lambda: reached() * oracles.unheard_by_deadline(_ONLINE_S, _OFFLINE_S, verdict_s=240, deadline_s=360),
            number_of("failed_nodes", 20),
            {"nodes": 20, "update_duration": "200s", "connection": spells},
            rolling(health_check={"deadline": "6m", "min_healthy_time": "40s"}, **NEVER_STOPS),
            orchestrator=skips,
        ),
        make_case(
            "a cancel while some are offline",
            "restored at, s",
            "mean_restoration_s offline_after unreachable_at_turn",
            # Skipped nodes are not rolled back.
            lambda: (
                300
                + oracles.mean_restoration_s(
                    20,
                    reached() * oracles.offline_after(_ONLINE_S, _OFFLINE_S, 300),
                    _OFFLINE_S,
                    rollback_s=50,
                )
            ),
            number_of("restored_at_s"),
            {"nodes": 20, "update_duration": "400s", "rollback_duration": "50s", "connection": spells},
            {"strategy": "immediate", **NEVER_STOPS},
            orchestrator=skips,
            operator={"script": [{"at": "5m", "do": "cancel"}]},
        ),
    )
