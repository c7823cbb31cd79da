"""Tilts: other chances, the weights that make up for them, and that nobody ignores these."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from generators import Decisions, scenario_of
from test_engines_equal import are_equal

from simdeploy import InputError, Scenario, estimate, simulate
from simdeploy.analysis import compare, pareto_front, summarize_grid
from simdeploy.engines.running import run_block
from simdeploy.experiments import read_store, replicate, sweep
from simdeploy.world.tilt import Tilt, tiltable

pytestmark = pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning")

FLEET = {
    "nodes": 40,
    "update_duration": {"lognormal": {"median": "30s", "p95": "60s"}},
    "rollback_duration": {"exponential": {"mean": "20s"}},
    "start_failure": {"uniform": {"low": 0.005, "high": 0.03}},
    "start_hang": 0.01,
    "start_attempts": 2,
    "rollback_failure": 0.02,
    "slowdown": {"lognormal": {"median": 1, "p95": 2}},
}
RELEASE = {
    "good": {"probability": 0.9},
    "bad": {"probability": 0.1, "defective": True, "start_failure": 0.05, "affects": {"share": 0.5}},
}
OPERATOR = {"escape_detection": {"exponential": {"mean": "1h"}}, "promote_after": {"exponential": {"mean": "5m"}}}
ROLLING = {"strategy": "rolling", "max_parallel": 8, "max_failed_nodes": 2, "health_check": {"deadline": "2m"}}


def world(**changes: Any) -> Scenario:
    raw = {"name": "tilted", "fleet": FLEET, "release": RELEASE, "operator": OPERATOR, "policies": {"rolling": ROLLING}}
    return Scenario.from_dict({**raw, **changes})


FACTORS = {
    "start_failure": 3.0,
    "start_hang": 2.0,
    "rollback_failure": 4.0,
    "update_duration": 1.1,
    "rollback_duration": 1.1,
    "slowdown": 2.0,
    "start_failure_level": 1.5,
    "escape_detection": 0.8,
    "release.bad": 4.0,
}


# -- both engines ------------------------------------------------------------------------------------


def test_engines_are_equal_under_tilts() -> None:
    """Whatever is tilted in whatever scenario, responses and weights of both engines are equal. [property]"""
    weighted = 0
    for number in range(250):
        chance = random.Random(number)
        scenario = Scenario.from_dict(scenario_of(Decisions(chance.randbytes(256))))
        able = tiltable(scenario.fleet, scenario.release, scenario.operator)
        tilted = scenario.tilted({name: chance.choice([0.5, 1.5, 4.0]) for name in able if chance.random() < 0.7})
        policies = list(tilted.policies.values())
        one, other = (
            run_block(tilted, policies, seed=number, first=0, count=2, engine=engine)
            for engine in ("reference", "compiled")
        )
        for policy in range(len(policies)):
            for place in range(2):
                a, b = one.row(policy, place), other.row(policy, place)
                assert all(are_equal(name, a, b, 1e-9) for name in a if name != "weight"), (number, policy, place)
                assert math.isclose(a["weight"], b["weight"], rel_tol=1e-9), (number, policy, place, a["weight"], b["weight"])
                weighted += a["weight"] != 1
    assert weighted > 300
