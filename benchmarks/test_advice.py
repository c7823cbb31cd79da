"""Whether forecasts during a rollout are true, whether it pays to follow advice, and how long it takes."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest

import simdeploy
from simdeploy.errors import SimdeployWarning

ROLLOUTS = 2000
# One seed for the rollouts and their cuts, another one for the worlds of forecasts.
SEED, SEED_OF_WORLDS = 1, 2
WORLDS = 300
FEWEST = 50

# Two kinds of defects that hide behind a level of failures that nobody knows.
FLEET = simdeploy.Scenario.from_dict(
    {
        "name": "thirty nodes",
        "fleet": {
            "nodes": 30,
            "requests_per_second": 10,
            "update_duration": {"lognormal": {"median": "45s", "p95": "90s"}},
            "slowdown": {"lognormal": {"mean": 1, "sd": 0.2}},
            "start_failure": {"beta": {"mean": 0.06, "sd": 0.03}},
            "error_rate": 0.01,
        },
        "release": {
            "good": {"probability": 0.55},
            "does not start": {"probability": 0.25, "defective": True, "start_failure": 0.2},
            "errs": {"probability": 0.2, "defective": True, "error_rate": 0.05, "affects": {"share": 0.5}},
        },
        "policies": {
            "fives": {
                "strategy": "rolling",
                "max_parallel": 5,
                "max_failed_nodes": 9,
                "max_failed_nodes_percent": 90,
                "health_check": {"deadline": "4m", "min_healthy_time": "30s"},
            }
        },
    }
)
LATEST_S = 900


def cut(scenario, n):
    """Yield rollouts and what was seen of each at a random instant at which it was under way.

    The instant is drawn before the rollout: if it depended on the makespan, it would tell something of it.
    """
    rng = np.random.default_rng(SEED)
    replication = 0
    while n:
        at_s = float(rng.uniform(0, LATEST_S))
        rollout = simdeploy.simulate(scenario, seed=SEED, replication=replication)
        replication += 1
        if at_s < rollout.responses["makespan_s"]:
            number = int((rollout.revisions["time_s"] <= at_s).sum())
            yield rollout, rollout.deployment_at(number), at_s
            n -= 1


def forecast_all():
    """Forecast rollouts that were cut; one row for each."""
    rows = []
    for rollout, seen, at_s in cut(FLEET, ROLLOUTS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SimdeployWarning)
            result = simdeploy.forecast(
                FLEET, seen=seen, at=at_s, replications=WORLDS, seed=SEED_OF_WORLDS, engine="compiled"
            )
        left = result.forecast[result.forecast["measure"] == "time_left_s"].set_index("quantile")["estimate"]
        kind = rollout.responses["release"]
        rows.append(
            {
                "defective": result.defective,
                "is_defective": bool(result.kinds.set_index("kind")["defective"][kind]),
                "is_within": left[0.025] <= rollout.responses["makespan_s"] - at_s <= left[0.975],
                "effective": result.effective_worlds,
            }
        )
    return pd.DataFrame(rows)


@pytest.mark.timeout(6000)
def test_calibration(benchmark, write_page):
    """Of releases called defective with some probability so many are; 95 % of makespans lie in forecasts of 95 %."""
    found = benchmark.pedantic(forecast_all, rounds=1, iterations=1)
    place = np.minimum((10 * found["defective"]).astype(int), 9)
    lines = ["| called defective with | rollouts | mean | were defective |", "|---|---|---|---|"]
    for number, part in found.groupby(place):
        mean, share, n = part["defective"].mean(), part["is_defective"].mean(), len(part)
        error = math.sqrt(float((part["defective"] * (1 - part["defective"])).sum())) / n
        lines.append(
            f"| {10 * number} to {10 * number + 10} % | {n:,} | {100 * mean:.1f} % | {100 * share:.1f} % ± {196 * error:.1f} |"
        )
        if n >= FEWEST:
            assert abs(share - mean) <= 4 * error
    covered = found["is_within"].mean()
    lines += ["", f"{100 * covered:.1f} % of the {len(found):,} makespans lie in the middle 95 % of their forecasts."]
    write_page(
        "advise.md", "pytest benchmarks/test_advice.py -k calibration --write-page", "\n".join(lines), "calibration"
    )
    assert abs(covered - 0.95) <= 4 * math.sqrt(0.95 * 0.05 / len(found))
