"""Scenarios over the whole file format, for hypothesis: small, quick to simulate, and never refused."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from simdeploy.rules.deployment_types import TYPES
from simdeploy.rules.orchestrator import PRESETS, switch_values
from simdeploy.units import NS_PER_S

Raw = dict[str, Any]

STRATEGIES = ("immediate", "rolling", "canary")
ACTIONS = ("pause", "resume", "promote", "cancel")
MAX_NODES = 30

# What happens only if several things come together, which is rare when each is drawn by itself.
CORNERS: dict[str, dict[str, Raw]] = {
    "ends while nodes that are down are waited for": {
        "fleet": {
            "crash": {"up": {"exponential": {"mean": "1m"}}, "repair": {"exponential": {"mean": "3m"}}},
            "start_failure": 0.7,
        },
        "orchestrator": {"unreachable_nodes": "wait", "limit_comparison": "reaches", "on_failure": "rollback"},
    },
    "nodes are skipped": {
        "fleet": {"crash": {"up": {"exponential": {"mean": "2m"}}, "repair": 60}},
        "orchestrator": {"unreachable_nodes": "skip", "on_failure": "continue"},
    },
    "every slot is held": {
        "fleet": {"nodes": 20, "start_failure": 0.9, "start_attempts": 1},
        "orchestrator": {
            "pacing": "sliding",
            "failed_percent_of": "fleet",
            "failed_node_holds_slot": True,
            "node_local_rollback": False,
            "on_failure": "continue",
        },
        "operator": {"script": []},
        "policies": {
            "p": {
                "dialect": "deployment",
                "strategy": "rolling",
                "max_parallel": 2,
                "health_check": {"deadline": "2m", "min_healthy_time": "10s"},
            }
        },
    },
    "paused and resumed": {
        "operator": {"script": [{"at": 10, "do": "pause"}, {"at": 100, "do": "resume"}]},
    },
}


def some_keys(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Raw]:
    """Draw a mapping that may leave out any of the keys."""
    return st.fixed_dictionaries({}, optional=keys)


def durations(longest_s: int) -> st.SearchStrategy[Any]:
    """Draw a law of durations with a mean of at most `longest_s` seconds; 0 and whole numbers make instants coincide."""
    mean = st.integers(1, longest_s)
    return st.one_of(
        st.sampled_from([0, 1, longest_s // 2, longest_s]),
        st.sampled_from([f"{longest_s}s", "1500ms"]),
        mean.map(lambda m: {"constant": m}),
        mean.map(lambda m: {"uniform": {"low": 0, "high": 2 * m}}),
        mean.map(lambda m: {"triangular": {"low": 0, "mode": m, "high": 2 * m}}),
        mean.map(lambda m: {"exponential": {"mean": m}}),
        st.tuples(mean, st.sampled_from([0.6, 1.0, 2.5])).map(lambda a: {"weibull": {"mean": a[0], "shape": a[1]}}),
        mean.map(lambda m: {"lognormal": {"median": m, "p95": 3 * m}}),
        mean.map(lambda m: {"gamma": {"mean": m, "sd": m / 2}}),
        mean.map(lambda m: {"empirical": {"values": [0, m, 2 * m]}}),
    )


def probabilities() -> st.SearchStrategy[Any]:
    """Draw a law of a probability."""
    return st.one_of(
        st.sampled_from([0, 0.02, 0.2, 0.7]),
        st.just({"beta": {"mean": 0.2, "sd": 0.2}}),
        st.just({"uniform": {"low": 0, "high": 0.4}}),
    )


def outages() -> st.SearchStrategy[Raw]:
    """Draw up and repair times."""
    up = st.sampled_from(
        [
            {"exponential": {"mean": 90}},
            {"exponential": {"mean": 400}},
            {"weibull": {"mean": 1500, "shape": 0.7}},
            {"uniform": {"low": 0, "high": 600}},
        ]
    )
    repair = st.sampled_from([30, {"exponential": {"mean": 300}}, {"lognormal": {"median": 20, "p95": 200}}])
    return st.fixed_dictionaries({"up": up, "repair": repair})


def flapping() -> st.SearchStrategy[Raw]:
    """Draw degraded spells."""
    return st.fixed_dictionaries(
        {
            "good": st.sampled_from([20, "5m"]),
            "degraded": st.sampled_from([5, "1m"]),
            "error_rate": st.sampled_from([0.05, 0.5, 1]),
        }
    )


def _behaviour() -> dict[str, st.SearchStrategy[Any]]:
    return {
        "requests_per_second": st.sampled_from([0, 0.25, 7]),
        "rollback_duration": durations(40),
        "rollback_failure": st.sampled_from([0, 0.1, 1]),
        "slowdown": st.sampled_from([1, 1.5, {"lognormal": {"mean": 1, "sd": 0.3}}]),
        "start_failure": probabilities(),
        "start_attempts": st.integers(1, 3),
        "start_hang": st.sampled_from([0, 0, 0.1]),
        "error_rate": probabilities(),
        "flapping": st.none() | flapping(),
        "crash": st.none()
        | st.tuples(outages(), st.booleans()).map(lambda drawn: {**drawn[0], "renewed_by_update": drawn[1]}),
        "zone_outage": st.none() | outages(),
    }


@st.composite
def fleets(draw: st.DrawFn, *, faultless: bool = False) -> Raw:
    """Draw a fleet; a faultless one has no way to fail, whatever a policy asks of it."""
    nodes = draw(st.integers(1, MAX_NODES))
    faultless_keys = ("requests_per_second", "rollback_duration", "slowdown")
    keys = {name: law for name, law in _behaviour().items() if not faultless or name in faultless_keys}
    fleet = {
        "nodes": nodes,
        "update_duration": draw(durations(40)),
        **draw(some_keys(**keys)),
        **draw(some_keys(zones=st.integers(1, min(nodes, 4)), order=st.sampled_from(["index", "random", "zone"]))),
    }
    classes = draw(st.lists(some_keys(update_duration=durations(40), **keys), max_size=2))
    if classes:
        fleet["classes"] = [
            {"name": f"class-{number}", "share": share, **keys}
            for number, (share, keys) in enumerate(zip([0.3, 0.55], classes, strict=False))
        ]
    return fleet


@st.composite
def releases(draw: st.DrawFn, fleet: Raw) -> Raw:
    """Draw one to three kinds of release."""
    affects: list[st.SearchStrategy[Any]] = [
        st.just("all"),
        st.sampled_from([0, 0.4, 1]).map(lambda share: {"share": share}),
        st.integers(1, fleet["nodes"] + 1).map(lambda count: {"count": count}),
        st.integers(0, fleet.get("zones", 1) - 1).map(lambda zone: {"zones": [zone]}),
    ]
    if "classes" in fleet:
        affects.append(st.just({"classes": ["class-0"]}))
    kind = some_keys(
        defective=st.booleans(),
        error_rate=st.sampled_from([0, 0.3, 1]),
        start_failure=st.sampled_from([0, 0.3]),
        start_hang=st.sampled_from([0, 0.1]),
        after=durations(90),
        affects=st.one_of(affects),
        crash_rate=st.sampled_from([0, 0.5, 1, 20]),
    )
    probabilities = draw(st.sampled_from([[1], [0.5, 0.5], [0.2, 0.3, 0.5]]))
    return {f"kind-{number}": {"probability": p, **draw(kind)} for number, p in enumerate(probabilities)}


def operators(*, interferes: bool = True) -> st.SearchStrategy[Raw]:
    """Draw an operator; one that doesn't interfere neither cancels nor follows a script."""
    keys: dict[str, st.SearchStrategy[Any]] = {"promote_after": durations(120), "escape_detection": durations(600)}
    if interferes:
        act = st.fixed_dictionaries({"at": st.integers(0, 30).map(lambda k: 10 * k), "do": st.sampled_from(ACTIONS)})
        keys["notices_defect"] = keys["rejects_good"] = st.sampled_from([0, 0.5, 1])
        keys["script"] = st.lists(act, max_size=4)
        promoted = {"promote_after": "10m", "script": [{"at": 200, "do": "promote"}]}
        strict = {"notices_defect": 1, "rejects_good": 1}
        return st.one_of(some_keys(**keys), some_keys(**keys), st.sampled_from([promoted, strict]))
    return some_keys(**keys)


@st.composite
def orchestrators(draw: st.DrawFn) -> Raw:
    """Draw any of the switches."""
    switches = draw(
        some_keys(
            preset=st.sampled_from(sorted(PRESETS)),
            minimum_sample=st.integers(0, 5),
            bake_time=st.sampled_from([0, 30]),
            rate=some_keys(
                per_minute=st.sampled_from([0.5, 2, 5]),
                growth=st.sampled_from([0.5, 1, 1.5]),
                max_per_minute=st.sampled_from([1, 4]),
            ),
            **{name: st.sampled_from(values) for name, values in switch_values().items()},
        )
    )
    if switches.get("pacing", "barrier") != "barrier" and switches.get("failed_percent_of") == "wave":
        switches["failed_percent_of"] = "resolved"
    return switches


@st.composite
def policies(draw: st.DrawFn, interval_s: int) -> Raw:
    """Draw a spec of either dialect whose deadline leaves time for its windows."""
    dialect = draw(st.sampled_from(["deployment", "rollout"]))
    strategy = draw(st.sampled_from(STRATEGIES))
    spare_s = draw(st.sampled_from([0, 30, 100]))
    health_check = draw(some_keys(max_error_rate=st.sampled_from([0, 0.05, 0.3, 1])))
    if dialect == "deployment":
        healthy_s = draw(st.sampled_from([0, 15, 40]))
        windows = -(-healthy_s // interval_s)
        health_check |= {"min_healthy_time": f"{healthy_s}s", "deadline": f"{windows * interval_s + spare_s}s"}
    else:
        health_check |= draw(some_keys(success_threshold=st.integers(1, 3), failure_threshold=st.integers(1, 3)))
        windows = health_check.get("success_threshold", 2)
        health_check["interval"] = interval_s * NS_PER_S
        health_check["deadline"] = (windows * interval_s + spare_s) * NS_PER_S
    policy = draw(
        some_keys(
            max_parallel=st.sampled_from([0, 1, 3, 10, 60]),
            max_failed_nodes=st.sampled_from([0, 1, 3, 50]),
            max_failed_nodes_percent=st.sampled_from([0, 7.5, 20, 100]),
            auto_promote=st.booleans(),
            no_auto_rollback=st.booleans(),
        )
    )
    policy |= {"dialect": dialect, "strategy": strategy}
    if strategy != "immediate" or draw(st.booleans()):
        policy["health_check"] = health_check
    if strategy == "canary":
        count, percent = draw(st.sampled_from([(1, 0), (4, 0), (0, 15), (2, 50)]))
        policy |= {"canary_count": count, "canary_percent": percent}
    return policy


@st.composite
def scenarios(draw: st.DrawFn) -> Raw:
    """Draw a whole scenario, as a file would say it, with one policy named `p`."""
    interval_s = draw(st.sampled_from([5, 10, 20]))
    fleet = draw(fleets())
    raw = {
        "name": "generated",
        "fleet": fleet,
        "release": draw(releases(fleet)),
        "operator": draw(operators()),
        "orchestrator": draw(orchestrators()),
        "health": {"interval": interval_s},
        "deployment": {"type": draw(st.sampled_from(sorted(TYPES)))},
        "policies": {"p": draw(policies(interval_s))},
    }
    corner = draw(st.sampled_from([None] * 7 + sorted(CORNERS)))
    if corner is not None:
        for section, values in CORNERS[corner].items():
            raw[section] |= values
    return raw


@st.composite
def faultless_scenarios(draw: st.DrawFn) -> Raw:
    """Draw a scenario in which nothing can fail, and nobody pauses, cancels or rejects."""
    interval_s = draw(st.sampled_from([5, 10, 20]))
    policy = draw(policies(interval_s))
    if "health_check" in policy:
        day_ns = 24 * 3600 * NS_PER_S
        policy["health_check"]["deadline"] = "24h" if policy["dialect"] == "deployment" else day_ns
    return {
        "name": "faultless",
        "fleet": draw(fleets(faultless=True)),
        "operator": draw(operators(interferes=False)),
        "orchestrator": {**draw(orchestrators()), "no_traffic": "healthy"},
        "health": {"interval": interval_s},
        "deployment": {"type": draw(st.sampled_from(sorted(TYPES)))},
        "policies": {"p": policy},
    }
