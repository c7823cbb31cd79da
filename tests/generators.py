"""Scenarios over the whole file format for hypothesis: small, quick to simulate, and always valid.

Hypothesis draws one string of bytes for a scenario, and each byte takes one decision. Had it drawn the decisions one by
one, it would have preferred few keys, and repeated parts of a scenario in the next ones: half of the scenarios would say
hardly anything. It makes bytes smaller to simplify what failed, so the first option is always the plainest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, TypeVar

from by_hand import script
from hypothesis import strategies as st

from simdeploy.rules.deployment_types import TYPES
from simdeploy.rules.orchestrator import switch_values
from simdeploy.units import NS_PER_S

Raw = dict[str, Any]
Value = TypeVar("Value")

SWITCHES = switch_values()
STRATEGIES = ("immediate", "rolling", "canary")
ACTIONS = ("pause", "resume", "promote", "cancel")
MAX_NODES = 30
_BYTES = 320  # hardly any scenario takes this many decisions


class Decisions:
    """Decisions read from bytes, one byte each; after their end each is the first option."""

    def __init__(self, taken: bytes) -> None:
        self._bytes = iter(taken)

    def number(self, low: int, high: int) -> int:
        """Take one of the whole numbers from `low` to `high`, or one of 256 of them."""
        return low + next(self._bytes, 0) * (high + 1 - low) // 256

    def one_of(self, options: Sequence[Value]) -> Value:
        # A copy, as callers may change it, and later decisions use the same options.
        return deepcopy(options[self.number(0, len(options) - 1)])

    def some_keys(self, **makers: Callable[[Decisions], Any]) -> Raw:
        """Make each value with probability 1/2, and leave out the other keys."""
        return {key: make(self) for key, make in makers.items() if self.number(0, 1)}


Maker = Callable[[Decisions], Any]


def among(*options: Any) -> Maker:
    return lambda decisions: decisions.one_of(options)


def between(low: int, high: int) -> Maker:
    return lambda decisions: decisions.number(low, high)


# -- laws ------------------------------------------------------------------------------------------

# Every family of durations, about `m` seconds long, in every parametrisation; those of beta are below a second.
Form = Callable[[int], Raw]
_LONG_TIMES: tuple[tuple[Form, ...], ...] = (
    (lambda m: {"constant": m},),
    (lambda m: {"uniform": {"low": 0, "high": 2 * m}},),
    (lambda m: {"triangular": {"low": 0, "mode": m, "high": 2 * m}},),
    (lambda m: {"exponential": {"mean": m}},),
    (lambda m: {"weibull": {"mean": m, "shape": 0.6}}, lambda m: {"weibull": {"scale": m, "shape": 2.5}}),
    (
        lambda m: {"lognormal": {"median": m, "p95": 3 * m}},
        lambda m: {"lognormal": {"mean": m, "sd": 2 * m}},
        lambda m: {"lognormal": {"median": m, "sigma": 0.1}},
    ),
    (lambda m: {"gamma": {"mean": m, "sd": m / 2}}, lambda m: {"gamma": {"shape": 0.7, "scale": m}}),
    (lambda m: {"empirical": {"values": [m, 0, 2 * m]}},),
)
_TIMES: tuple[tuple[Form, ...], ...] = (
    *_LONG_TIMES,
    (lambda m: {"beta": {"mean": m / (m + 10), "sd": 0.01}}, lambda _: {"beta": {"alpha": 0.5, "beta": 2}}),
)
_PROBABILITIES: tuple[Any, ...] = (
    *(0, 0.02, 0.2, 0.7),
    {"constant": 0.1},
    {"uniform": {"low": 0, "high": 0.4}},
    {"triangular": {"low": 0, "mode": 0.05, "high": 0.5}},
    {"beta": {"mean": 0.2, "sd": 0.2}},
    {"beta": {"alpha": 2, "beta": 30}},
    {"empirical": {"values": [0.5, 0, 0.1]}},
)
_FACTORS: tuple[Any, ...] = (
    *(1, 1.5),
    {"constant": 0.5},
    {"uniform": {"low": 0, "high": 2}},
    {"triangular": {"low": 0.5, "mode": 1, "high": 3}},
    {"exponential": {"mean": 1}},
    {"weibull": {"mean": 1, "shape": 2}},
    {"lognormal": {"mean": 1, "sd": 0.3}},
    {"gamma": {"mean": 1, "sd": 0.5}},
    {"beta": {"mean": 0.5, "sd": 0.2}},
    {"empirical": {"values": [1, 4]}},
)


def times(decisions: Decisions, families: Sequence[Sequence[Form]], about_s: int) -> Raw:
    return decisions.one_of(decisions.one_of(families))(about_s)


def durations(longest_s: int) -> Maker:
    """Make laws of about `longest_s` seconds at most; 0 and whole numbers make instants coincide."""
    plain = [0, 1, longest_s // 2, longest_s, f"{longest_s}s", "1500ms"]

    def make(decisions: Decisions) -> Any:
        if decisions.one_of([True, False, False, False]):
            return decisions.one_of(plain)
        return times(decisions, _TIMES, decisions.number(1, longest_s))

    return make


def outages(decisions: Decisions) -> Raw:
    """Make up and repair times, not both below a second, which would give many spells."""
    up, repair = decisions.one_of([(_TIMES, _LONG_TIMES), (_LONG_TIMES, _TIMES)])
    return {
        "up": times(decisions, up, decisions.one_of([400, 90, 1500])),
        "repair": times(decisions, repair, decisions.one_of([30, 60, 300])),
    }


def lines(decisions: Decisions) -> Raw:
    spells = outages(decisions)
    return {"online": spells["up"], "offline": spells["repair"]}


def crashes(decisions: Decisions) -> Raw:
    return outages(decisions) | {"renewed_by_update": decisions.one_of([False, True])}


def flapping(decisions: Decisions) -> Raw:
    return {
        "good": decisions.one_of(["5m", 20]),
        "degraded": decisions.one_of([5, "1m"]),
        "error_rate": decisions.one_of([0.05, 0.5, 1]),
    }


def or_none(make: Maker) -> Maker:
    """Make three in four of them, else None, which in a class differs from leaving out the key."""
    return lambda decisions: make(decisions) if decisions.number(0, 3) else None


# -- fleet and release -----------------------------------------------------------------------------

# Values that cause no failures.
_CALM: dict[str, Maker] = {
    "requests_per_second": among(0, 0.25, 7, 60),
    "rollback_duration": durations(40),
    "slowdown": among(*_FACTORS),
}
_BEHAVIOUR: dict[str, Maker] = {
    **_CALM,
    "rollback_failure": among(0, 0.1, 1),
    "start_failure": among(*_PROBABILITIES),
    "start_attempts": between(1, 3),
    "start_hang": among(0, 0, 0.1),
    "error_rate": among(*_PROBABILITIES),
    "flapping": or_none(flapping),
    "crash": or_none(crashes),
    "zone_outage": or_none(outages),
}


def nodes_of(decisions: Decisions, nodes: int) -> list[int]:
    """Make a list of one to three nodes of a fleet."""
    return list(dict.fromkeys(decisions.number(0, nodes - 1) for _ in range(decisions.number(1, 3))))


def fleet_of(
    decisions: Decisions, behaviour: dict[str, Maker], nodes: int | None = None, *, some_down: bool = False
) -> Raw:
    """Make a fleet of a given or any number of nodes; optionally some may be down for good."""
    drawn = decisions.number(1, MAX_NODES)
    nodes = nodes or drawn

    def order(decisions: Decisions) -> Any:
        return decisions.one_of(["index", "random", "zone", nodes_of(decisions, nodes)])

    fleet = {
        "nodes": nodes,
        "update_duration": durations(40)(decisions),
        "requests_per_second": decisions.one_of([7, 0, 60]),
        **decisions.some_keys(zones=between(1, min(nodes, 4)), order=order, **behaviour),
    }
    shares = decisions.one_of([[], [], [0.3], [0.3, 0.55]])
    classes = [
        {
            "name": f"class-{number}",
            "share": share,
            **decisions.some_keys(update_duration=durations(40), **behaviour),
        }
        for number, share in enumerate(shares)
    ]
    kinds = ["none"] * 5 + ["other"] * 2 + ["down", "down", "share down"] * some_down
    kind = decisions.one_of(kinds)
    if kind in ("other", "down"):
        other = decisions.some_keys(update_duration=durations(40), **behaviour) if kind == "other" else {"down": True}
        classes.append({"name": f"class-{len(classes)}", "nodes": nodes_of(decisions, nodes), **other})
    elif kind == "share down":
        classes.append({"name": f"class-{len(classes)}", "share": 0.1, "down": True})
    if classes:
        fleet["classes"] = classes
    return fleet


def release_of(decisions: Decisions, fleet: Raw) -> Raw:
    affects = [
        among("all"),
        among({"share": 0.4}, {"share": 0}, {"share": 1}),
        lambda decisions: {"count": decisions.number(1, fleet["nodes"] + 1)},
        lambda decisions: {"zones": [decisions.number(0, fleet.get("zones", 1) - 1)]},
        lambda decisions: {"nodes": nodes_of(decisions, fleet["nodes"])},
    ]
    if "classes" in fleet:
        affects.append(among({"classes": ["class-0"]}))
    probabilities = decisions.one_of([[1], [0.5, 0.5], [0.2, 0.3, 0.5]])
    return {
        f"kind-{number}": {
            "probability": probability,
            **decisions.some_keys(
                defective=among(True, False),
                error_rate=among(0, 0.1, 0.3, 1),
                start_failure=among(0, 0.3),
                start_hang=among(0, 0.1),
                after=durations(90),
                affects=lambda decisions: decisions.one_of(affects)(decisions),
                crash_rate=among(1, 0, 0.5, 20),
            ),
        }
        for number, probability in enumerate(probabilities)
    }


# -- people and control plane ----------------------------------------------------------------------


def operator_of(decisions: Decisions) -> Raw:
    def script(decisions: Decisions) -> list[Raw]:
        acts, latest = range(decisions.number(1, 4)), decisions.one_of([10, 30])
        return [{"at": 10 * decisions.number(0, latest), "do": decisions.one_of(ACTIONS)} for _ in acts]

    return calm_operator_of(decisions) | decisions.some_keys(
        notices_defect=among(0, 0.5, 1), rejects_good=among(0, 0.2, 1), script=script
    )


def calm_operator_of(decisions: Decisions) -> Raw:
    """Make an operator who neither cancels nor follows a script."""
    if decisions.one_of([True, *[False] * 7]):
        return {}
    return {"promote_after": durations(120)(decisions), "escape_detection": durations(600)(decisions)}


def rate_of(decisions: Decisions) -> Raw:
    return {
        "per_minute": decisions.one_of([2, 0.5, 5]),
        "growth": decisions.one_of([1, 0.5, 1.5]),
        **decisions.some_keys(max_per_minute=among(4, 1), growth_every=among(3, 10)),
    }


def orchestrator_of(decisions: Decisions) -> Raw:
    switches = decisions.some_keys(
        preset=among("expanso", "expanso-rollout"),
        minimum_sample=between(0, 5),
        bake_time=among(0, 30),
        **{name: among(*values) for name, values in SWITCHES.items()},
    )
    # Hardly any plan depends on it.
    switches.setdefault("wave_rounding", decisions.one_of(SWITCHES["wave_rounding"]))
    pacing = switches.get("pacing", "barrier")
    if pacing == "rate" or decisions.one_of([False, False, False, True]):
        switches["rate"] = rate_of(decisions)
    if pacing != "barrier" and switches.get("failed_percent_of") == "wave":
        switches["failed_percent_of"] = "resolved"
    return switches


def judged(decisions: Decisions) -> Raw:
    return decisions.some_keys(max_failed_nodes=among(0, 1, 3, 50), max_failed_nodes_percent=among(0, 7.5, 20, 100))


def planned(decisions: Decisions) -> Raw:
    return decisions.some_keys(
        max_parallel=among(0, 1, 3, 10, 60), auto_promote=among(True, False, False), no_auto_rollback=among(True, False)
    )


def health_check_of(decisions: Decisions, dialect: str, interval_s: int) -> Raw:
    """Make a health check whose deadline leaves time for its windows."""
    health_check = decisions.some_keys(max_error_rate=among(0, 0.05, 0.3, 1))
    spare_s = decisions.one_of([100, 300, 30, 0])
    if dialect != "rollout":
        healthy_s = decisions.one_of([0, 15, 40, 40])
        windows = -(-healthy_s // interval_s)
        if dialect == "general":
            health_check |= decisions.some_keys(failure_threshold=between(1, 3), cumulative_failures=among(True, False))
        return health_check | {"min_healthy_time": f"{healthy_s}s", "deadline": f"{windows * interval_s + spare_s}s"}
    health_check |= decisions.some_keys(success_threshold=between(1, 3), failure_threshold=between(1, 3))
    windows = health_check.get("success_threshold", 2)
    deadline_ns = (windows * interval_s + spare_s) * NS_PER_S
    return health_check | {"interval": interval_s * NS_PER_S, "deadline": deadline_ns}


def waves_of(decisions: Decisions) -> list[Any]:
    """Make a list of one to three waves."""
    waves: list[Any] = []
    for _ in range(decisions.number(1, 3)):
        key = decisions.one_of(["size", "until"])
        amount = decisions.one_of([2, "31%", "12.5%", 1, "57%", 7])
        own = {
            "bake_time": among("25s", "0s"),
            "promotion": among(False, True, False),
            "min_healthy_time": among("10s", "0s", "30s"),
            "gate": among(True, False),
        }
        few = own if decisions.number(0, 1) else {"bake_time": own["bake_time"]}
        waves.append({key: amount, **decisions.some_keys(**few)})
    return waves


def with_time_for_waves(policy: Raw) -> Raw:
    """Make the deadline leave time for the windows of waves that have their own healthy time."""
    if any(isinstance(wave, dict) and "min_healthy_time" in wave for wave in policy.get("waves", ())):
        return policy | {"health_check": policy["health_check"] | {"deadline": "100s"}}
    return policy


def paced(decisions: Decisions) -> Raw:
    """Make what the general dialect adds to pacing."""
    return decisions.some_keys(max_parallel_per_zone=among(1, 2, "50%"), slot_delay=among("7s", "30s"))


def replaced(decisions: Decisions) -> Raw:
    """Make what the general dialect adds to the update of a node."""
    return decisions.some_keys(
        surge=among(2, "50%", 1, "100%"),
        surge_canaries=among(True, False),
        retries=among(1, 3),
        retry_delay=among("7s", 0, "40s"),
        retry_unhealthy=among(True, False),
    )


def policy_of(decisions: Decisions, interval_s: int) -> Raw:
    """Make a spec of any dialect."""
    dialect = decisions.one_of(["deployment", "rollout", "general"])
    strategy = decisions.one_of(["immediate", "rolling", "canary", "canary"])
    policy = {"dialect": dialect, "strategy": strategy, **judged(decisions), **planned(decisions)}
    if strategy != "immediate" or decisions.number(0, 1):
        policy["health_check"] = health_check_of(decisions, dialect, interval_s)
    if dialect == "general":
        policy |= paced(decisions) | replaced(decisions)
        if decisions.one_of([True, True, False]) and strategy != "immediate":
            policy |= {"waves": waves_of(decisions), "max_parallel": decisions.one_of([2, 0, 1, "17%", 5])}
            return with_time_for_waves(policy)
    if strategy == "canary":
        count, percent = decisions.one_of([(1, 0), (4, 0), (0, 15), (2, 50), (3, 17)])
        policy |= {"canary_count": count, "canary_percent": percent}
    return policy


GATES: tuple[Raw, ...] = (
    {"kind": "pooled"},
    {"kind": "pooled", "over": "window"},
    {"kind": "pooled", "over": "window", "failures_of": "rollout"},
    {"kind": "sprt", "good": 0.05, "bad": 0.2},
    {"kind": "sprt", "on": "requests", "good": 0.1, "bad": 0.3},
    {"kind": "sprt", "on": "requests", "good": 0.02, "bad": 0.05},
    {"kind": "sprt", "on": "requests", "good": 0.1, "bad": 0.15},
    {"kind": "e_process"},
    {"kind": "baseline", "test": "multinomial"},
    {"kind": "baseline", "test": "mann_whitney"},
    {"kind": "bayes", "prior_mean": 0.1, "prior_strength": 20},
    {"kind": "cusum", "good": 0.05, "bad": 0.3, "alarm_every": 50},
)


def with_gate(decisions: Decisions, policy: Raw, pacing: str) -> Raw:
    """Use a gate other than the threshold in one policy of three."""
    if "health_check" not in policy or decisions.one_of([True, True, False]):
        return policy
    policy = {key: value for key, value in policy.items() if key != "retry_unhealthy"}
    gates = [gate for gate in GATES if pacing != "sliding" or "waves" in policy or gate["kind"] == "cusum"]
    health_check = dict(policy["health_check"])
    health_check["gate"] = {
        **decisions.one_of(gates),
        **decisions.some_keys(minimum_sample=among(0, 40, 40, 400)),
        **decisions.some_keys(alpha=among(0.01, 0.3)),
    }
    kind, allowed = health_check["gate"]["kind"], health_check.get("max_error_rate")
    has_none = allowed is None and policy["dialect"] == "general"  # which has no default
    if (has_none and kind != "baseline") or (kind in ("e_process", "bayes") and allowed in (0, 1)):
        health_check["max_error_rate"] = 0.05
    return policy | {"health_check": health_check}


def without_gates(raw: Raw) -> Raw:
    """Use the threshold in every policy."""
    policies = {}
    for name, policy in raw["policies"].items():
        health_check = {key: value for key, value in policy.get("health_check", {}).items() if key != "gate"}
        policies[name] = policy | ({"health_check": health_check} if health_check else {})
    return raw | {"policies": policies}


def one_policy(deadline: str = "5m", healthy: str = "10s", *, check: Raw | None = None, **keys: Any) -> Raw:
    """Return a section with one policy, rolling by default, with this deadline and healthy time."""
    health_check = {"deadline": deadline, "min_healthy_time": healthy, **(check or {})}
    return {"p": {"dialect": "deployment", "strategy": "rolling", **keys, "health_check": health_check}}


def general_policy(deadline: str = "5m", healthy: str = "10s", **keys: Any) -> Raw:
    """Return it in the general dialect."""
    return one_policy(deadline, healthy, dialect="general", **keys)


def tried_policy(deadline: str = "50s", healthy: str = "10s", **keys: Any) -> Raw:
    """Return it with nodes that are surged."""
    return general_policy(deadline, healthy, **{"max_parallel": 3, "surge": 2, **keys})


def canary_policy(count: int, deadline: str = "5m", healthy: str = "10s", **keys: Any) -> Raw:
    """Return it with so many canaries."""
    return one_policy(deadline, healthy, strategy="canary", canary_count=count, **keys)


def spells(up: Any, repair: Any) -> Raw:
    """Return crashes after exponential times."""
    return {"up": {"exponential": {"mean": up}}, "repair": repair}


TWENTY: Raw = {"nodes": 20, "update_duration": 20}
FAILING: Raw = {"start_failure": 0.3, "start_attempts": 1}
SHARED: Raw = {"shared": {"capacity": 1.2}}
OFTEN_OFFLINE: Raw = {"online": 60, "offline": {"exponential": {"mean": 100}}}


# Combinations that are frequent only if several things come together.
LINE_CORNERS: tuple[dict[str, Raw], ...] = (
    # Nodes fail while they are offline, and are rolled back locally.
    {
        "fleet": {"update_duration": 20, "start_failure": 0.3, "connection": {"online": 60, "offline": 30}},
        "orchestrator": {"node_local_rollback": True},
        "deployment": {"type": "update"},
    },
    # Reports of surged nodes are lost.
    {"fleet": {"update_duration": 20, "connection": OFTEN_OFFLINE}, "policies": tried_policy()},
    # Reports of canaries are lost.
    {
        "fleet": {"update_duration": 20, "connection": OFTEN_OFFLINE},
        "operator": {"promote_after": 30},
        "orchestrator": {"canary_gate": "limits"},
        "policies": canary_policy(4, "100s", "0s", max_failed_nodes=50, max_failed_nodes_percent=100),
    },
)


def with_lines(decisions: Decisions, raw: Raw) -> Raw:
    """Let the connections of all nodes, or of a class, break in one scenario of four, which then has no gates."""
    if decisions.one_of([True, True, True, False]):
        return raw
    raw = without_gates(raw)
    raw |= {"fleet": {**raw["fleet"], "connection": lines(decisions)}}
    corner: dict[str, Raw] = decisions.one_of([*[{}] * 3, *LINE_CORNERS])
    raw |= {section: raw[section] | values for section, values in corner.items()}
    if "classes" in raw["fleet"] and decisions.number(0, 1):
        first = {**raw["fleet"]["classes"][0], "connection": or_none(lines)(decisions)}
        raw["fleet"] = {**raw["fleet"], "classes": [first, *raw["fleet"]["classes"][1:]]}
    return raw


DELAY_CORNERS: tuple[dict[str, Raw], ...] = (
    # A wave is judged by its own failures when the next one is dispatched.
    {
        "fleet": {"update_duration": 20, **FAILING},
        "orchestrator": {"failed_percent_of": "wave", "pacing": "barrier", "limit_combination": "either"},
        "policies": one_policy("100s", "0s", max_parallel=3, max_failed_nodes=50, max_failed_nodes_percent=50),
    },
)


def with_reporting_delay(decisions: Decisions, raw: Raw) -> Raw:
    """Let verdicts be judged later than pacing acts on them in one scenario of five, which then has no gates."""
    # Mostly where connections break, so that enough scenarios have gates.
    if decisions.one_of([True, False] if "connection" in raw["fleet"] else [*[True] * 9, False]):
        return raw
    delay = decisions.one_of([10, 40, "2500ms", 150])
    raw = without_gates(raw)
    corner: dict[str, Raw] = decisions.one_of([*[{}] * 8, *DELAY_CORNERS])
    raw |= {section: raw[section] | values for section, values in corner.items()}
    return raw | {"orchestrator": raw["orchestrator"] | {"reporting_delay": delay}}


def with_tries_heard(raw: Raw) -> Raw:
    """Make failed tries not count where only verdicts are reported."""
    if "connection" in raw["fleet"] or raw["orchestrator"].get("reporting_delay"):
        return raw | {"orchestrator": raw["orchestrator"] | {"failed_tries_count": False}}
    return raw


def heard_at_once(raw: Raw) -> Raw:
    """Let every verdict count when it is given."""
    return raw | {"fleet": without_lines(raw["fleet"]), "orchestrator": raw["orchestrator"] | {"reporting_delay": 0}}


def without_lines(fleet: Raw) -> Raw:
    """Keep all nodes of a fleet online, so that it may have gates."""
    classes = [{**one, "connection": None} for one in fleet.get("classes", ())]
    return {**fleet, "connection": None, **({"classes": classes} if classes else {})}


def neighbour_of(decisions: Decisions, policy: Raw, interval_s: int) -> Raw:
    """Make a policy with other limits, another plan, or no relation to this one."""
    differs = decisions.one_of(["judged", "judged", "planned", "another"])
    if differs == "another":
        return policy_of(decisions, interval_s)
    if differs == "planned":
        return policy | planned(decisions)
    neighbour = policy | judged(decisions)
    if "health_check" in policy:
        neighbour["health_check"] = health_check_of(decisions, policy["dialect"], interval_s)
    return with_time_for_waves(neighbour)


TRAFFIC: tuple[Raw, ...] = (
    {"daily": [["0h", 0.5]]},
    {"daily": [["0h", 0.2], ["1m", 2], ["5m", 1]]},
    {"daily": [["6h", 0], ["12h", 1.5]]},
    {"daily": [["23h59m", 1], ["23h59m30s", 0]]},
)


def with_requests(decisions: Decisions, raw: Raw) -> Raw:
    """Let nodes share their requests, or requests vary over the day, in one scenario of three each."""
    fleet = dict(raw["fleet"])
    if decisions.one_of([False, False, True]):
        shared = {"capacity": decisions.one_of([1.15, 0.8, 1, 1.5, 10])}
        fleet["service"] = {"shared": shared | decisions.some_keys(across=among("fleet", "zone", "class"))}
    if decisions.one_of([False, False, True]):
        fleet["traffic"] = decisions.one_of(TRAFFIC)
        if "classes" in fleet:
            fleet["classes"] = [one | decisions.some_keys(traffic=or_none(among(*TRAFFIC))) for one in fleet["classes"]]
        starts = raw["deployment"].get("created_at") or decisions.one_of(
            ["2026-01-01T23:58:30Z", "2026-01-01T11:00:00+05:30", "2026-01-01T00:00:00.5Z"]
        )
        raw = raw | {"deployment": raw["deployment"] | {"created_at": starts}}
    return raw | {"fleet": fleet}


# -- change windows ---------------------------------------------------------------------------------


def window(opens: Any, closes: Any, *days: str) -> Raw:
    return {"from": opens, "to": closes} | ({"days": [*days]} if days else {})


_NINE_S = 9 * 3600
# When a rollout starts, and windows that open and close within minutes of that.
TIMETABLES: tuple[tuple[str, list[Raw]], ...] = (
    ("2026-01-05T09:00:00Z", [window("9h", "9h1m"), window("9h3m", "9h")]),
    ("2026-01-05T09:00:00+05:30", [window("9h40s", "9h2m"), window("9h1m", "9h2m30s"), window("9h5m", "8h59m")]),
    (
        "2026-01-07T09:00:00-11:00",
        [*(window(_NINE_S + 20 * k, _NINE_S + 20 * k + 10) for k in range(30)), window("9h10m", "9h")],
    ),
    (
        "2026-01-04T23:59:10+01:00",
        [window("23h59m30s", "30s", "sun"), window("100s", "120s", "mon"), window("5m", "5m", "mon")],
    ),
    ("2026-01-05T00:00:00Z", [window("30s", "1m", "mon"), window("20m", "24h", "mon")]),
    ("2026-01-05T09:00:00Z", [window("9h", "9h")]),
)


def with_change_windows(decisions: Decisions, raw: Raw) -> Raw:
    """Restrict the hours of dispatch in one scenario of four."""
    if not decisions.one_of([False, False, False, True]):
        return raw
    created_at, windows = decisions.one_of(TIMETABLES)
    return raw | {
        "operator": raw["operator"] | {"change_windows": windows},
        "deployment": raw["deployment"] | {"created_at": created_at},
    }


# -- whole scenarios -------------------------------------------------------------------------------

# Events that need several things to come together, which is rare when each is drawn independently.
CORNERS: tuple[dict[str, Raw], ...] = (
    # Tries fail and count, also those of surged nodes.
    {
        "fleet": {
            "update_duration": 20,
            "start_failure": 0.5,
            "start_hang": 0.1,
            "service": SHARED,
            "crash": spells(60, 10),
        },
        "orchestrator": {"failed_tries_count": True},
        "policies": tried_policy(retries=2, retry_delay="7s", max_failed_nodes=3),
    },
    # Unhealthy nodes are tried again.
    {
        "fleet": {"update_duration": 20, "error_rate": 0.15, "requests_per_second": 7, "start_failure": 0.1},
        "operator": {"script": []},
        "policies": tried_policy(
            *("80s", "20s"),
            retries=2,
            retry_delay="7s",
            retry_unhealthy=True,
            check={"max_error_rate": 0.15, "failure_threshold": 2},
        ),
    },
    # The same in a shared service in which canaries are surged.
    {
        "fleet": {"update_duration": 20, "error_rate": 0.1, "requests_per_second": 7, "service": SHARED},
        "policies": tried_policy(
            *("60s", "20s"),
            strategy="canary",
            canary_count=4,
            surge=1,
            surge_canaries=True,
            auto_promote=True,
            retries=3,
            retry_unhealthy=True,
            check={"max_error_rate": 0.1},
        ),
    },
    # Surged nodes fail, hold their places, and are rolled back.
    {
        "fleet": {"update_duration": 20, **FAILING, "rollback_failure": 0.3},
        "orchestrator": {"failed_node_holds_slot": True, "pacing": "sliding", "failed_percent_of": "fleet"},
        "policies": tried_policy(max_failed_nodes=3),
    },
    # Immediate takes surged nodes that hang for running.
    {
        "fleet": {"start_hang": 0.3, "service": SHARED},
        "policies": {"p": {"dialect": "general", "strategy": "immediate", "surge": "50%"}},
    },
    # Ends while nodes that are down are waited for.
    {
        "fleet": {"crash": spells("1m", {"exponential": {"mean": "3m"}}), "start_failure": 0.7},
        "orchestrator": {"unreachable_nodes": "wait", "limit_comparison": "reaches", "on_failure": "rollback"},
    },
    # Nodes are skipped.
    {
        "fleet": {"crash": spells("2m", 60)},
        "orchestrator": {"unreachable_nodes": "skip", "on_failure": "continue"},
    },
    # Every slot is held.
    {
        "fleet": {"nodes": 20, "start_failure": 0.9, "start_attempts": 1},
        "orchestrator": {
            "pacing": "sliding",
            "failed_percent_of": "fleet",
            "failed_node_holds_slot": True,
            "node_local_rollback": False,
            "on_failure": "continue",
        },
        "operator": {"script": []},
        "policies": one_policy("2m", max_parallel=2),
    },
    # An operator acts later than the script.
    {
        "operator": {"promote_after": "10m", **script((200, "promote"))},
        "policies": canary_policy(2, "1m", "20s"),
    },
    # Goes back in waves.
    {
        "fleet": {"nodes": 20, "start_failure": 0.2},
        "orchestrator": {"rollback_pacing": "max_parallel", "canary_gate": "limits", "on_failure": "rollback"},
        "policies": one_policy("2m", max_parallel=3, max_failed_nodes=1),
    },
    # Script and operator act at the instant at which nodes fail.
    {
        "fleet": {"update_duration": 10, "slowdown": 1, "start_failure": 0.5, "start_attempts": 1},
        "operator": {**script((10, "cancel")), "escape_detection": 50},
        "orchestrator": {"on_failure": "rollback"},
        "policies": one_policy(healthy="0s", max_failed_nodes=2),
    },
    # Script and operator act at one instant.
    {
        "fleet": {"update_duration": 10, "slowdown": 1},
        "operator": {"promote_after": 30, "rejects_good": 0.5, **script((40, "promote"))},
        "orchestrator": {"bake_time": 0},
        "policies": canary_policy(2, healthy="0s"),
    },
    # Pauses at failures, and is resumed.
    {
        "fleet": {"update_duration": 20, **FAILING},
        "operator": script((100, "resume"), (200, "resume"), (300, "resume")),
        "orchestrator": {"on_failure": "pause"},
        "policies": one_policy(healthy="0s", max_parallel=2, max_failed_nodes=1),
    },
    # Nodes crash at the ends of windows.
    {
        "fleet": {"crash": {"up": 20, "repair": 10, "renewed_by_update": True}, "requests_per_second": 0},
        "orchestrator": {"on_failure": "continue", "no_traffic": "healthy"},
        "policies": one_policy("3m", "20s"),
    },
    # Levels of failed requests are near the limit.
    {
        "fleet": {
            "error_rate": 0.1,
            "requests_per_second": 7,
            "flapping": {"good": 20, "degraded": 5, "error_rate": 0.2},
        },
        "policies": one_policy(healthy="40s", max_failed_nodes=3, check={"max_error_rate": 0.2}),
    },
    # Running nodes are watched, which now and then raises an alarm.
    {
        "fleet": {**TWENTY, "requests_per_second": 7, "error_rate": 0.1},
        "operator": {"script": []},
        "orchestrator": {"on_failure": "rollback", "cant_tell": "wait"},
        "deployment": {"type": "restart"},
        "policies": general_policy(
            "10m",
            max_parallel=2,
            check={"max_error_rate": 1, "gate": {"kind": "cusum", "good": 0.05, "bad": 0.3, "alarm_every": 5}},
        ),
    },
    # Looks at several waves are unhealthy.
    {
        "fleet": {"nodes": 20, "update_duration": 10, "requests_per_second": 7, "error_rate": 0.1},
        "operator": {"script": []},
        "orchestrator": {"pacing": "barrier", "cant_tell": "pass", "on_failure": "rollback"},
        "deployment": {"type": "restart"},
        "policies": general_policy(
            "10m",
            max_parallel=2,
            check={
                "max_error_rate": 0.1,
                "failure_threshold": 3,
                "cumulative_failures": True,
                "gate": {"kind": "pooled", "over": "window", "failures_of": "rollout"},
            },
        ),
    },
    # Nodes are compared with nodes on the old version.
    {
        "fleet": {**TWENTY, "requests_per_second": 60},
        "orchestrator": {"pacing": "barrier"},
        "policies": one_policy(
            healthy="40s", max_parallel=4, check={"gate": {"kind": "baseline", "test": "multinomial"}}
        ),
    },
    # Paused and resumed.
    {
        "fleet": {"update_duration": 20, "slowdown": 1},
        "operator": script((40, "pause"), (100, "resume")),
        "orchestrator": {"bake_time": 60, "paused_clocks": "stop"},
        "policies": {
            "p": {
                "dialect": "rollout",
                "strategy": "rolling",
                "max_parallel": 20,
                "max_failed_nodes_percent": 100,
                "health_check": {"deadline": 10**11, "interval": 10**10, "success_threshold": 1},
            }
        },
    },
    # Slots and nodes that come up again wait for a change window.
    {
        "fleet": {**TWENTY, "slowdown": 1, "crash": spells("3m", 40)},
        "operator": {"change_windows": [window("9h", "9h1m"), window("9h3m", "9h")]},
        "orchestrator": {
            "pacing": "sliding",
            "failed_percent_of": "fleet",
            "unreachable_nodes": "wait",
            "on_failure": "continue",
        },
        "deployment": {"created_at": "2026-01-05T08:59:50+01:00"},
        "policies": one_policy(max_parallel=3),
    },
    # The clock of rate pacing stands still while a change window is closed, and while people pause.
    {
        "fleet": TWENTY,
        "operator": {
            "change_windows": [window("9h", "9h1m30s"), window("9h4m", "9h5m"), window("9h7m", "9h")],
            **script((70, "pause"), (290, "resume")),
        },
        "orchestrator": {"pacing": "rate", "failed_percent_of": "fleet", "rate": {"per_minute": 3}},
        "deployment": {"created_at": "2026-01-05T09:00:00-03:00"},
        "policies": canary_policy(2, auto_promote=True),
    },
    # A window slides within waves.
    {
        "fleet": TWENTY,
        "orchestrator": {"pacing": "sliding", "failed_percent_of": "fleet", "slot_until": "resolved"},
        "policies": general_policy(
            healthy="20s",
            waves=[3, {"until": "37%", "bake_time": "20s"}, "13%"],
            max_parallel=2,
            check={"max_error_rate": 0.3},
        ),
    },
    # People also promote later waves, or stop the rollout there.
    {
        "fleet": {**TWENTY, "slowdown": 1, "start_failure": 0, "start_hang": 0},
        "operator": {"promote_after": 50, "notices_defect": 1, "script": []},
        "policies": general_policy(
            waves=[{"size": 1, "promotion": True}, {"until": 14, "promotion": True}, {"size": 5}], max_parallel=0
        ),
    },
    # The gate judges some waves, for some time.
    {
        "fleet": {"nodes": 20, "update_duration": 10, "requests_per_second": 7, "error_rate": 0.05},
        "orchestrator": {"pacing": "barrier", "on_failure": "continue"},
        "policies": general_policy(
            waves=[{"size": 3, "gate": False}, {"size": 4, "min_healthy_time": "40s"}, 6],
            max_parallel=0,
            check={"max_error_rate": 0.1, "gate": {"kind": "pooled", "over": "window"}},
        ),
    },
    # The same in zones, some of whose nodes are down.
    {
        "fleet": {"nodes": 20, "zones": 4, "order": "zone", "crash": spells("3m", 60)},
        "operator": script((30, "pause"), (70, "resume")),
        "policies": general_policy(waves=["55%", 2], max_parallel=3, max_parallel_per_zone=2),
    },
    # A failed node freezes the rollout while nodes that are down are waited for.
    {
        "fleet": {"nodes": 20, "start_failure": 0.2, "start_attempts": 1, "crash": spells("2m", 60)},
        "orchestrator": {"failed_node_freezes": True, "unreachable_nodes": "wait", "on_failure": "continue"},
        "policies": general_policy(waves=[14], max_parallel=0),
    },
    # Failed nodes hold the slots of their zones.
    {
        "fleet": {"nodes": 20, "zones": 4, "start_failure": 0.4, "start_attempts": 1},
        "orchestrator": {
            "failed_node_holds_slot": True,
            "node_local_rollback": False,
            "all_slots_held": "fail",
            "on_failure": "pause",
        },
        "policies": general_policy(
            "2m", strategy="canary", auto_promote=True, waves=[3, 8], max_parallel=5, max_parallel_per_zone=2
        ),
    },
)


def _as_paced(policy: Raw, raw: Raw) -> Raw:
    """Remove a list of waves where the clock paces; plan zone by zone where nodes go by zone."""
    if "waves" not in policy:
        return policy
    if raw["orchestrator"].get("pacing") == "rate":
        canaries = {"canary_count": 2} if policy["strategy"] == "canary" else {}
        return {key: value for key, value in policy.items() if key != "waves"} | canaries
    if raw["fleet"].get("order") == "zone" and policy["strategy"] == "rolling":
        return policy | {"zone_by_zone": True, "zone_bake_time": "35s"}
    return policy


def scenario_of(decisions: Decisions, neighbours: Sequence[int] = (0,)) -> Raw:
    interval_s = decisions.one_of([10, 5, 20])
    corner: dict[str, Raw] = decisions.one_of([*[{}] * 20, *CORNERS])
    policy = policy_of(decisions, interval_s)
    behaviour = decisions.one_of([_CALM, _BEHAVIOUR])
    fleet = fleet_of(decisions, behaviour, corner.get("fleet", {}).get("nodes"), some_down=True)
    raw = {
        "name": "generated",
        "fleet": fleet,
        "release": release_of(decisions, fleet),
        "operator": operator_of(decisions),
        "orchestrator": orchestrator_of(decisions),
        "health": {"interval": interval_s},
        "deployment": {"type": decisions.one_of(["update", *sorted(TYPES)])},
        "policies": {"p": policy},
    }
    raw |= {section: raw[section] | values for section, values in corner.items()}
    for number in range(decisions.one_of(neighbours)):
        raw["policies"][f"p{number}"] = neighbour_of(decisions, raw["policies"]["p"], interval_s)
    pacing = raw["orchestrator"].get("pacing", "barrier")
    raw["policies"] = {name: _as_paced(policy, raw) for name, policy in raw["policies"].items()}
    raw["policies"] = {name: with_gate(decisions, policy, pacing) for name, policy in raw["policies"].items()}
    raw = with_requests(decisions, with_change_windows(decisions, raw))
    raw = with_tries_heard(with_reporting_delay(decisions, with_lines(decisions, raw)))
    return raw | {"operator": raw["operator"] | decisions.some_keys(undo_after=durations(300))}


def _faultless_scenario(decisions: Decisions) -> Raw:
    interval_s = decisions.one_of([10, 5, 20])
    policy = policy_of(decisions, interval_s)
    if "health_check" in policy:
        day_ns = 24 * 3600 * NS_PER_S
        policy["health_check"]["deadline"] = day_ns if policy["dialect"] == "rollout" else "24h"
    raw = {
        "name": "faultless",
        "fleet": fleet_of(decisions, _CALM),
        "operator": calm_operator_of(decisions),
        "orchestrator": {**orchestrator_of(decisions), "no_traffic": "healthy"},
        "health": {"interval": interval_s},
        "deployment": {"type": decisions.one_of(sorted(TYPES))},
        "policies": {"p": policy},
    }
    return raw | {"policies": {"p": _as_paced(policy, raw)}}


def scenarios(neighbours: Sequence[int] = (0,)) -> st.SearchStrategy[Raw]:
    """Draw a whole scenario, as a file would contain it, with a policy named `p` and some others."""
    return st.binary(min_size=_BYTES, max_size=_BYTES).map(lambda taken: scenario_of(Decisions(taken), neighbours))


def faultless_scenarios() -> st.SearchStrategy[Raw]:
    """Draw a scenario in which nothing can fail, and nobody pauses, cancels or rejects."""
    return st.binary(min_size=_BYTES, max_size=_BYTES).map(lambda taken: _faultless_scenario(Decisions(taken)))
