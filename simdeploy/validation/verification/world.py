"""Cases of the release, the people and the nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simdeploy.validation import oracles
from simdeploy.validation.verification.case import NEVER_STOPS, Case, canary, make_case, number_of, share_of
from simdeploy.world.distributions import Constant, Exponential

_ONE_WINDOW = {"deadline": "1m", "min_healthy_time": "10s"}


def canaries() -> tuple[Case, ...]:
    """What canaries show, and how people respond."""
    broken = {"probability": 1, "defective": True, "error_rate": 1}

    def rollout(name: str, quantity: str, held: str, truth: Callable[[], float], column: str, **more: Any) -> Case:
        take = share_of("verdict", column) if column == "escaped" else number_of(column)
        policy = canary(more.pop("canaries"), health_check=_ONE_WINDOW, **NEVER_STOPS)
        fleet = {"nodes": more.pop("nodes"), "requests_per_second": 1}
        release = {"broken": {**broken, "affects": more.pop("affects")}}
        return make_case(name, quantity, held, truth, take, fleet, policy, release=release)

    def passing() -> float:
        return oracles.no_affected_canary_of_share(0.2, 3)

    share = {"nodes": 12, "canaries": 3, "affects": {"share": 0.2}}
    verdicts = ("completed_good", "stopped_defective", "false_alarm", "escaped")
    operated = {"shown": 1 - oracles.no_affected_canary_of_share(0.5, 2), "notices_defect": 0.6, "rejects_good": 0.4}
    return (
        rollout("canaries, a share is hurt", "escapes", "no_affected_canary_of_share", passing, "escaped", **share),
        rollout(
            "canaries, a share is hurt",
            "blast radius",
            "canary_blast_radius",
            lambda: oracles.canary_blast_radius(12, 3, passing()),
            "blast_radius",
            **share,
        ),
        rollout(
            "canaries, two of six are hurt",
            "escapes",
            "no_affected_canary_of_count",
            lambda: oracles.no_affected_canary_of_count(6, 2, 2),
            "escaped",
            nodes=6,
            canaries=2,
            affects={"count": 2},
        ),
        *(
            make_case(
                "a person decides",
                verdict.replace("_", " "),
                "operator_verdicts",
                lambda verdict=verdict: oracles.operator_verdicts(0.5, **operated)[verdict],  # type: ignore[misc]
                share_of("verdict", verdict),
                {"nodes": 4, "requests_per_second": 1},
                canary(2, auto_promote=False),
                release={
                    "good": {"probability": 0.5},
                    "bad": {"probability": 0.5, "defective": True, "error_rate": 0.5, "affects": {"share": 0.5}},
                },
                operator={"promote_after": "5m", "notices_defect": 0.6, "rejects_good": 0.4},
            )
            for verdict in verdicts
        ),
    )


def service() -> tuple[Case, ...]:
    """Nodes that are down or degraded, and the failures that a release adds."""
    escapes = {"strategy": "immediate", **NEVER_STOPS}
    noticed = {"escape_detection": "1h"}
    bad = {"probability": 1, "defective": True}
    up_s, repair_s, hour_s = 36_000, 3600, 3600

    def added_down() -> float:
        # Only nodes that are up are touched; each is exposed to the release for the hour until it is noticed. While it is up, it
        # crashes at a constant rate, and each crash counts until it is repaired.
        n_crashes = [rate * (hour_s - oracles.exposed_down_s(up_s, repair_s, rate, hour_s)) / up_s for rate in (1, 10)]
        return (1 - oracles.unavailability(up_s, repair_s)) * (n_crashes[1] - n_crashes[0]) * repair_s

    return (
        make_case(
            "crashes, nothing is touched",
            "fraction of time down",
            "unavailability",
            lambda: oracles.unavailability(3600, 1800),
            number_of("unavailable_node_s", 20 * 7200),
            {
                "nodes": 20,
                "crash": {
                    "up": {"weibull": {"mean": 3600, "shape": 0.5}},
                    "repair": {"lognormal": {"mean": 1800, "sd": 3600}},
                },
            },
            {"strategy": "immediate"},
            operator={"script": [{"at": 0, "do": "pause"}, {"at": "2h", "do": "cancel"}]},
        ),
        make_case(
            "a release that crashes nodes",
            "seconds down in excess, a node",
            "exposed_down_s unavailability",
            added_down,
            number_of("unavailable_excess_node_s", 20),
            {
                "nodes": 20,
                "update_duration": "0s",
                "rollback_duration": "0s",
                "crash": {"up": {"exponential": {"mean": up_s}}, "repair": {"exponential": {"mean": repair_s}}},
            },
            escapes,
            orchestrator={"unreachable_nodes": "skip"},
            release={"bad": {**bad, "crash_rate": 10}},
            operator=noticed,
        ),
        make_case(
            "a latent defect",
            "failed requests in excess",
            "failed_requests_excess",
            lambda: 20 * 0.75 * oracles.failed_requests_excess(5, 0.3, hour_s, after=Exponential(1200.0), baseline=0.2),
            number_of("failed_requests_excess"),
            {"nodes": 20, "requests_per_second": 5, "error_rate": 0.2},
            escapes,
            release={
                "latent": {
                    **bad,
                    "error_rate": 0.3,
                    "after": {"exponential": {"mean": "20m"}},
                    "affects": {"share": 0.75},
                }
            },
            operator=noticed,
        ),
        make_case(
            "nodes that flap anyway",
            "failed requests in excess",
            "degraded_error_level failed_requests_excess",
            # Requests that would have failed anyway are not in excess.
            lambda: (
                20
                * oracles.failed_requests_excess(5, 0.3, hour_s, after=Constant(0.0))
                * (1 - oracles.degraded_error_level(0.2, 0.6, good_s=300, degraded_s=300))
            ),
            number_of("failed_requests_excess"),
            {
                "nodes": 20,
                "requests_per_second": 5,
                "error_rate": 0.2,
                "flapping": {"good": "5m", "degraded": "5m", "error_rate": 0.6},
            },
            escapes,
            release={"bad": {**bad, "error_rate": 0.3}},
            operator=noticed,
        ),
    )
