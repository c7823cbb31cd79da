"""Scenarios whose mean response has a closed form, to hold any engine against."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from simdeploy import Scenario
from simdeploy.engines.running import run_block
from simdeploy.validation import oracles
from simdeploy.world.distributions import Beta, Exponential, Lognormal

SEED = 20260101
DAY = "24h"
NO_WINDOWS = {"deadline": DAY, "min_healthy_time": "0s"}
NEVER_STOPS = {"max_failed_nodes": 10**6, "max_failed_nodes_percent": 100}


@dataclass(frozen=True)
class Sample:
    """Observations whose mean should be `truth`, each independent of the others."""

    values: np.ndarray
    truth: float

    @property
    def standard_error(self) -> float:
        return float(self.values.std(ddof=1) / math.sqrt(len(self.values)))

    @property
    def is_precise(self) -> bool:
        """The standard error is above 0 and at most 2 % of the truth."""
        return 0 < self.standard_error <= 0.02 * abs(self.truth)

    @property
    def agrees(self) -> bool:
        """The mean is within 4 standard errors of the truth."""
        return abs(float(self.values.mean()) - self.truth) <= 4 * self.standard_error


def make(
    fleet: dict[str, Any], policy: dict[str, Any], orchestrator: dict[str, Any] | None = None, **more: Any
) -> Scenario:
    """Make a scenario of one policy; without traffic and failures unless the fleet says otherwise."""
    raw = {
        "name": "oracle",
        "fleet": {"update_duration": "30s", **fleet},
        "policies": {"p": policy},
        "orchestrator": orchestrator or {},
        **more,
    }
    return Scenario.from_dict(raw)


def rolling(max_parallel: int = 0, **more: Any) -> dict[str, Any]:
    return {"strategy": "rolling", "max_parallel": max_parallel, "health_check": NO_WINDOWS, **more}


def canaries(count: int, **more: Any) -> dict[str, Any]:
    return {"strategy": "canary", "canary_count": count, "health_check": NO_WINDOWS, "auto_promote": True, **more}


def responses(scenario: Scenario, name: str, replications: int, engine: str) -> np.ndarray:
    block = run_block(scenario, [scenario.policy()], seed=SEED, first=0, count=replications, engine=engine)
    assert block.is_ok.all()
    return block.numbers[name][block.index[0]].astype(float)


def share_of(scenario: Scenario, name: str, value: str, replications: int, engine: str) -> np.ndarray:
    block = run_block(scenario, [scenario.policy()], seed=SEED, first=0, count=replications, engine=engine)
    assert block.is_ok.all()
    words = np.array([*block.words[name], ""])
    return (words[block.codes[name][block.index[0]]] == value).astype(float)


# -- how long it takes -----------------------------------------------------------------------------


def barrier_exponential(engine: str = "reference") -> Sample:
    """Waves of 4, 4 and 2 with exponential starts last mean x (H4 + H4 + H2)."""
    scenario = make({"nodes": 10, "update_duration": {"exponential": {"mean": "1m"}}}, rolling(4))
    truth = oracles.exponential_barrier_makespan_s(60, [4, 4, 2])
    return Sample(responses(scenario, "makespan_s", 400, engine), truth)


def barrier_lognormal(engine: str = "reference") -> Sample:
    """Waves of 3, 3 and 1 with lognormal starts, two windows and a bake last what order statistics say."""
    scenario = make(
        {"nodes": 7, "update_duration": {"lognormal": {"median": "1m", "sigma": 0.8}}},
        rolling(3, health_check={"deadline": DAY, "min_healthy_time": "40s"}),
        {"bake_time": "25s"},
        health={"interval": "20s"},
    )
    truth = oracles.barrier_makespan_s(Lognormal(60.0, 0.8), [3, 3, 1], validation_s=40, bake_s=25)
    return Sample(responses(scenario, "makespan_s", 700, engine), truth)


def sliding_exponential(engine: str = "reference") -> Sample:
    """Three slots over 12 nodes with exponential starts last mean x (9 / 3 + H3)."""
    scenario = make(
        {"nodes": 12, "update_duration": {"exponential": {"mean": "1m"}}}, rolling(3), {"pacing": "sliding"}
    )
    return Sample(responses(scenario, "makespan_s", 500, engine), oracles.exponential_sliding_makespan_s(60, 12, 3))


def rate_exponential(engine: str = "reference") -> Sample:
    """Batches of 2, 4 and 3, a minute apart, end with the last of nine exponential starts."""
    scenario = make(
        {"nodes": 9, "update_duration": {"exponential": {"mean": "1m"}}},
        rolling(),
        {"pacing": "rate", "rate": {"per_minute": 2, "growth": 2}},
    )
    truth = oracles.last_end_s(Exponential(60.0), [(0, 2), (60, 4), (120, 3)])
    return Sample(responses(scenario, "makespan_s", 400, engine), truth)


def slowdown(engine: str = "reference") -> Sample:
    """One slowdown for all of ten nodes: the makespan is the constant duration times its mean."""
    fleet = {"nodes": 10, "update_duration": "1m", "slowdown": {"lognormal": {"mean": 1.5, "sd": 0.6}}}
    return Sample(responses(make(fleet, {"strategy": "immediate"}), "makespan_s", 500, engine), 60 * 1.5)


def escape_horizon(engine: str = "reference") -> Sample:
    """An escape ends at makespan + detection + the longest of five exponential rollbacks."""
    scenario = make(
        {"nodes": 5, "update_duration": "5m", "rollback_duration": {"exponential": {"mean": "10m"}}},
        {"strategy": "immediate"},
        release={"bad": {"probability": 1, "defective": True}},
        operator={"escape_detection": {"lognormal": {"mean": "1h", "sd": "20m"}}},
    )
    truth = 300 + 3600 + oracles.exponential_barrier_makespan_s(600, [5])
    return Sample(responses(scenario, "restored_at_s", 500, engine), truth)


# -- starts that fail, and limits ------------------------------------------------------------------


def stop_above(engine: str = "reference") -> Sample:
    """Under `exceeds` a limit of 1 stops 20 nodes with the binomial tail from 2 on."""
    scenario = make({"nodes": 20, "start_failure": 0.15}, rolling(6, max_failed_nodes=1, max_failed_nodes_percent=100))
    return Sample(share_of(scenario, "state", "failed", 700, engine), oracles.stop_probability(20, 0.15, 1))


def stop_at(engine: str = "reference") -> Sample:
    """Under `reaches` a limit of 2 stops 20 nodes with the same tail."""
    scenario = make(
        {"nodes": 20, "start_failure": 0.15},
        rolling(6, max_failed_nodes=2, max_failed_nodes_percent=100),
        {"limit_comparison": "reaches"},
    )
    return Sample(
        share_of(scenario, "state", "failed", 700, engine), oracles.stop_probability(20, 0.15, 2, reaches=True)
    )


def stop_by_percent(engine: str = "reference") -> Sample:
    """5 % of a fleet of 20 is one node: the percent limit stops like a count of 1."""
    scenario = make({"nodes": 20, "start_failure": 0.15}, rolling(6, max_failed_nodes=20, max_failed_nodes_percent=5.0))
    return Sample(share_of(scenario, "state", "failed", 700, engine), oracles.stop_probability(20, 0.15, 1))


def correlated_stop(engine: str = "reference") -> Sample:
    """With a failure probability drawn once per rollout from a beta law the stop is beta-binomial."""
    scenario = make(
        {"nodes": 20, "start_failure": {"beta": {"alpha": 1.5, "beta": 3.5}}},
        {"strategy": "immediate", "max_failed_nodes": 2, "max_failed_nodes_percent": 100},
    )
    return Sample(
        share_of(scenario, "state", "failed", 900, engine), oracles.correlated_stop_probability(20, 1.5, 3.5, 2)
    )


def overdispersion(engine: str = "reference") -> Sample:
    """Failures that come together have the variance n m (1 - m) + n (n - 1) sd^2."""
    law = Beta(0.3, 0.3)
    scenario = make(
        {"nodes": 20, "start_failure": {"beta": {"alpha": 0.3, "beta": 0.3}}}, {"strategy": "immediate", **NEVER_STOPS}
    )
    failed = responses(scenario, "failed_nodes", 1200, engine)
    truth = oracles.correlated_failures_variance(20, law.mean, math.sqrt(law.variance))
    return Sample((failed - 20 * law.mean) ** 2, truth)


def dispatched_until_stop(engine: str = "reference") -> Sample:
    """One at a time, the stop comes with the fourth failure or at the end of 30 nodes."""
    scenario = make({"nodes": 30, "start_failure": 0.25}, rolling(1, max_failed_nodes=3, max_failed_nodes_percent=100))
    return Sample(responses(scenario, "touched_nodes", 700, engine), oracles.mean_dispatched_until_stop(30, 0.25, 3))


# -- canaries and people ---------------------------------------------------------------------------


BROKEN = {"probability": 1, "defective": True, "error_rate": 1}
ONE_WINDOW = {"deadline": "1m", "min_healthy_time": "10s"}


def _canary_rollout(nodes: int, count: int, affects: dict[str, Any]) -> Scenario:
    return make(
        {"nodes": nodes, "requests_per_second": 1},
        canaries(count, health_check=ONE_WINDOW, **NEVER_STOPS),
        release={"broken": {**BROKEN, "affects": affects}},
    )


def canaries_miss_share(engine: str = "reference") -> Sample:
    """A defect of a share of the nodes passes three canaries with probability (1 - share)^3."""
    values = share_of(_canary_rollout(12, 3, {"share": 0.08}), "verdict", "escaped", 900, engine)
    return Sample(values, oracles.no_affected_canary_of_share(0.08, 3))


def canaries_catch_count(engine: str = "reference") -> Sample:
    """A defect of two of four nodes is caught by two canaries with the hypergeometric probability."""
    values = share_of(_canary_rollout(4, 2, {"count": 2}), "verdict", "stopped_defective", 900, engine)
    return Sample(values, 1 - oracles.no_affected_canary_of_count(4, 2, 2))


def canary_blast_radius(engine: str = "reference") -> Sample:
    """Blast radius is the canaries' share of the fleet where they catch the defect, else everything."""
    values = responses(_canary_rollout(12, 3, {"share": 0.08}), "blast_radius", 900, engine)
    return Sample(values, oracles.canary_blast_radius(12, 3, oracles.no_affected_canary_of_share(0.08, 3)))


def _operated(release: dict[str, Any]) -> Scenario:
    return make(
        {"nodes": 4},
        canaries(2, auto_promote=False),
        release=release,
        operator={"promote_after": "5m", "notices_defect": 1.0, "rejects_good": 0.2},
    )


def operator_accepts(engine: str = "reference") -> Sample:
    """A good release is promoted unless the operator rejects it."""
    values = share_of(_operated({"good": {"probability": 1}}), "verdict", "completed_good", 700, engine)
    truth = oracles.operator_verdicts(0, shown=0, notices_defect=1, rejects_good=0.2)
    return Sample(values, truth["completed_good"])


def operator_cancels(engine: str = "reference") -> Sample:
    """A defective release is cancelled where a canary shows it, and by mistake where none does."""
    release = {"bad": {"probability": 1, "defective": True, "affects": {"share": 0.5}}}
    values = share_of(_operated(release), "verdict", "stopped_defective", 700, engine)
    shown = 1 - oracles.no_affected_canary_of_share(0.5, 2)
    truth = oracles.operator_verdicts(1, shown=shown, notices_defect=1, rejects_good=0.2)
    return Sample(values, truth["stopped_defective"])


# -- down and degraded -----------------------------------------------------------------------------


def zones_whole(engine: str = "reference") -> Sample:
    """Two zones of five nodes: nobody is out with the probability that two zones are up, not ten nodes."""
    scenario = make(
        {
            "nodes": 10,
            "zones": 2,
            "zone_outage": {"up": {"exponential": {"mean": "9h"}}, "repair": {"exponential": {"mean": "1h"}}},
        },
        {"strategy": "immediate", **NEVER_STOPS},
    )
    touched = responses(scenario, "touched_nodes", 700, engine)  # a node that is down at its turn is not
    return Sample((touched == 10).astype(float), (1 - oracles.unavailability(9, 1)) ** 2)


def excess(engine: str = "reference") -> Sample:
    """A latent defect adds failed requests once it shows, less what would have failed anyway."""
    scenario = make(
        {
            "nodes": 100,
            "requests_per_second": 5,
            "error_rate": 0.2,
            "flapping": {"good": "1m", "degraded": "1m", "error_rate": 0.4},
        },
        {"strategy": "immediate", **NEVER_STOPS},
        release={
            "latent": {
                "probability": 1,
                "defective": True,
                "error_rate": 0.3,
                "after": {"exponential": {"mean": "20m"}},
                "affects": {"share": 0.75},
            }
        },
        operator={"escape_detection": "1h"},
    )
    values = responses(scenario, "failed_requests_excess", 40, engine)
    on_affected = oracles.failed_requests_excess(
        5, 0.3, 3600, after=Exponential(1200.0), baseline=0.2, degraded=0.4 * oracles.unavailability(60, 60)
    )
    return Sample(values, 100 * 0.75 * on_affected)


CLOSED_FORMS: list[Callable[..., Sample]] = [
    barrier_exponential,
    barrier_lognormal,
    sliding_exponential,
    rate_exponential,
    slowdown,
    escape_horizon,
    stop_above,
    stop_at,
    stop_by_percent,
    correlated_stop,
    overdispersion,
    dispatched_until_stop,
    canaries_miss_share,
    canaries_catch_count,
    canary_blast_radius,
    operator_accepts,
    operator_cancels,
    zones_whole,
    excess,
]
