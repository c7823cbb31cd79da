"""A scenario and its policies as plain records: everything that compiled code reads and nothing that it would have to ask.

Exact comparisons are prepared here, where numbers have no end: a probability becomes the first word that is not below it, a
percent a fraction whose products fit into 64 bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.api.times import time_in_week
from simdeploy.engines.compiled.binomial import ALWAYS, NEVER
from simdeploy.engines.compiled.bundling import (
    BEYOND_ANY_FLEET,
    LoweredPlan,
    Row,
    bundle_policies,
    chain_policies,
    stops_at,
)
from simdeploy.engines.compiled.codes import code_of
from simdeploy.engines.compiled.laws import LawTable
from simdeploy.engines.compiled.levels import make_pieces
from simdeploy.engines.compiled.spells import CRASH, FLAPPING, LINE, ZONE
from simdeploy.engines.compiled.tables import (
    CLASS_RECORD,
    CLASS_RULE_RECORD,
    KIND_RECORD,
    NEVER as AT_NO_TIME,
    POLICY_RECORD,
    PROCESS_RECORD,
    UNKNOWN,
    WAVE_TERMS_RECORD,
    make_table,
)
from simdeploy.rules.gates.gate import MOST_GATED_REQUESTS, Method, read_gate
from simdeploy.rules.health import read_health_rule
from simdeploy.rules.limits import NO_PERCENT, read_limits
from simdeploy.rules.orchestrator import CantTell, OnFailure, Pacing, PercentOf, UnreachableNodes
from simdeploy.rules.waves import NO_WAVE_LIMITS, USUAL_WATCH, plan_waves, what_plans_depend_on
from simdeploy.world.binomial import binomial_cdf
from simdeploy.world.change_windows import is_always_open, weekly_openings
from simdeploy.world.distributions import Constant, Exponential
from simdeploy.world.fleet import Across, Order, traffic_points
from simdeploy.world.operator import Action
from simdeploy.world.realized import mean_level
from simdeploy.world.release import AffectedBy
from simdeploy.world.special import special
from simdeploy.world.tilt import NO_TILT, odds_times, tilted_probabilities

if TYPE_CHECKING:
    from simdeploy.rules.deployment_types import TypeTraits
    from simdeploy.rules.gates.gate import Gate
    from simdeploy.rules.health import HealthRule
    from simdeploy.rules.limits import Limits
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import Policy
    from simdeploy.rules.waves import Plan
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.world.distributions import Distribution
    from simdeploy.world.fleet import Behaviour, Fleet
    from simdeploy.world.release import ReleaseKind
    from simdeploy.world.tilt import Tilt

_MOST_PEAK_WINDOWS = 64


@dataclass(frozen=True)
class Lowered:
    """What compiled code reads.

    Attributes
    ----------
    scalars : mapping of str to number
        Fields of the record of a run.
    tables : mapping of str to ndarray
        By the names of `tables.TABLES`.
    kept : tuple of ndarray
        What tables point to.
    """

    scalars: Mapping[str, int | float]
    tables: Mapping[str, np.ndarray]
    kept: tuple[np.ndarray, ...]


def lower(
    scenario: Scenario, chosen: Sequence[ScenarioPolicy], traits: TypeTraits, *, may_bundle: bool = True
) -> Lowered:
    """Lower a scenario for policies whose deployments are of types with the same traits."""
    kinds = scenario.drawn_release if traits.releases else ()
    fleet, operator = scenario.fleet, scenario.operator
    laws = LawTable()
    processes: list[dict[str, float]] = []
    classes = [_lower_class(scenario, number, b, laws, processes) for number, b in enumerate(fleet.behaviours)]
    pieces = _lower_traffic(fleet.behaviours, classes)
    lowered_kinds = _lower_kinds(kinds, laws, scenario.tilt or NO_TILT)
    may_bundle = may_bundle and _may_bundle(scenario, traits)
    policies, peaks = _lower_policies(scenario, chosen, kinds, traits, may_bundle=may_bundle)
    script = [(act.at_ns, code_of(Action, act.do)) for act in sorted(operator.script, key=lambda act: act.at_ns)]
    names = [node_class.name for node_class in fleet.classes]
    by_zone = [set(kind.affects.members if kind.affects.by == "zones" else ()) for kind in kinds]
    # Always open is the same as no change windows.
    openings = () if is_always_open(operator.change_windows) else weekly_openings(operator.change_windows)
    class_nodes = [(node, number) for number, one in enumerate(fleet.classes, start=1) for node in one.nodes]
    affects_nodes = [node for kind in kinds for node in _exact_nodes(kind)]
    scalars = {
        "nodes": fleet.nodes,
        "zones": fleet.zones,
        "order": code_of(Order, fleet.order),
        "n_classes": len(classes),
        "n_kinds": len(kinds),
        "n_acts": len(script),
        "n_peaks": len(peaks),
        "n_affects_nodes": len(affects_nodes),
        "n_ordered": len(fleet.first),
        "n_class_nodes": len(class_nodes),
        "deals_classes": any(node_class.share is not None for node_class in fleet.classes),
        "releases": traits.releases,
        "undone": traits.undone,
        "begins": traits.begins,
        "leaves": traits.leaves,
        "goes_down": any(b.crash or b.zone_outage or b.down for b in fleet.behaviours),
        "degrades": any(b.flapping for b in fleet.behaviours),
        "goes_offline": any(b.connection for b in fleet.behaviours),
        "promote_after_law": laws.add(operator.promote_after),
        "escape_detection_law": laws.add(operator.escape_detection),
        "notices_defect": operator.notices_defect,
        "rejects_good": operator.rejects_good,
        **_lower_service(fleet),
        "n_openings": len(openings),
        **_lower_switches(scenario.orchestrator, traits),
        **_lower_tilt(scenario.tilt),
        "n_rules": len(policies["rules"]),
        "n_bundles": len(policies["bundles"]),
        "n_slots": len(policies["rule_slots"]),
        "n_stops": len(policies["stops"]),
        "n_brackets": policies["last_words"].size if (policies["last_words"] == UNKNOWN).any() else 0,
    }
    records, floats = laws.arrays()
    tables = {
        "classes": make_table(CLASS_RECORD, classes),
        "kinds": make_table(KIND_RECORD, lowered_kinds),
        "affects_class": np.array(
            [[False, *(name in kind.affects.members for name in names)] for kind in kinds], dtype=np.bool_
        ),
        "affects_zone": np.array(
            [[zone in members for zone in range(fleet.zones)] for members in by_zone], dtype=np.bool_
        ),
        "affects_nodes": np.array(affects_nodes, dtype=np.int64),
        "ordered": np.array(fleet.first, dtype=np.int64),
        "class_nodes": np.array(class_nodes, dtype=np.int64),
        "laws": records,
        "level_pieces": np.array([make_pieces(b.error_rate) for b in fleet.behaviours]),
        "processes": make_table(PROCESS_RECORD, processes),
        "script": np.array(script, dtype=np.int64),
        "peaks": np.array(peaks, dtype=np.int64),
        "traffic": pieces,
        "day_points": np.array(traffic_points(fleet.behaviours), dtype=np.int64),
        "openings": np.array(openings, dtype=np.int64),
        **policies,
    }
    return Lowered(scalars, tables, (floats,))


def _exact_nodes(kind: ReleaseKind) -> Sequence[int]:
    return [int(node) for node in kind.affects.members] if kind.affects.by == "nodes" else ()


def _lower_class(
    scenario: Scenario, number: int, behaviour: Behaviour, laws: LawTable, processes: list[dict[str, float]]
) -> dict[str, float]:
    def add_process(kind: int, good: Distribution, bad: Distribution) -> int:
        p_bad = bad.mean / (good.mean + bad.mean)
        good_law, bad_law = laws.add(good, runs_at_0=True), laws.add(bad, runs_at_0=True)
        processes.append({"kind": kind, "good": good_law, "bad": bad_law, "p_bad": p_bad})
        return len(processes) - 1

    def add_down() -> int:
        # The good law is never drawn from.
        processes.append({"kind": CRASH, "good": laws.add(Constant(1.0), runs_at_0=True), "bad": -1, "p_bad": 1.0})
        return len(processes) - 1

    flapping, crash, outage = behaviour.flapping, behaviour.crash, behaviour.zone_outage
    line = behaviour.connection
    fleet = scenario.fleet
    is_dealt = number > 0 and fleet.classes[number - 1].share is not None
    size = fleet.classes[number - 1].wanted(fleet.nodes) if is_dealt else 0
    is_constant = isinstance(behaviour.error_rate, Constant)
    flaps = (Exponential(flapping.good_s), Exponential(flapping.degraded_s)) if flapping else None
    return {
        "size": size,
        "update": laws.add(behaviour.update_duration),
        "rollback": laws.add(behaviour.rollback_duration),
        "slowdown": laws.add(behaviour.slowdown),
        "start_failure": laws.add(behaviour.start_failure),
        "error_rate": laws.add(behaviour.error_rate),
        "baseline": behaviour.error_rate.mean if is_constant else math.nan,
        "rollback_failure": odds_times(behaviour.rollback_failure, (scenario.tilt or NO_TILT).rollback_failure),
        "true_rollback_failure": behaviour.rollback_failure,
        "start_attempts": behaviour.start_attempts,
        "start_hang": behaviour.start_hang,
        "degraded_level": flapping.error_rate if flapping else 0.0,
        "requests_per_second": float(behaviour.requests_per_second),
        "crash": add_down() if behaviour.down else add_process(CRASH, crash.up, crash.repair) if crash else -1,
        "renewed": bool(crash and crash.renewed_by_update),
        "flapping": add_process(FLAPPING, *flaps) if flaps else -1,
        "zone_outage": add_process(ZONE, outage.up, outage.repair) if outage else -1,
        "connection": add_process(LINE, line.online, line.offline) if line else -1,
    }


def _lower_service(fleet: Fleet) -> dict[str, float]:
    service, behaviours = fleet.service, fleet.behaviours
    rates = {behaviour.requests_per_second for behaviour in behaviours}
    points = traffic_points(behaviours)
    n_pools = {"fleet": 1, "zone": fleet.zones, "class": len(behaviours)}
    return {
        "varies": service is not None or bool(points),
        "shared": service is not None,
        "capacity": service.capacity if service else 0.0,
        "across": code_of(Across, service.across) if service else 0,
        "n_pools": n_pools[service.across] if service else 0,
        "n_day_points": len(points),
        "n_pieces": sum(behaviour.traffic.pieces.shape[1] for behaviour in behaviours if behaviour.traffic),
        "is_even": len(rates) == 1 and not points,
        "even_rate": float(behaviours[0].requests_per_second),
    }


def _lower_traffic(behaviours: Sequence[Behaviour], classes: Sequence[dict[str, float]]) -> np.ndarray:
    """Return the pieces of all classes' traffic, and tell each class which are its own."""
    pieces = [np.empty((4, 0))]
    done = 0
    for behaviour, lowered in zip(behaviours, classes, strict=True):
        if behaviour.traffic is not None:
            pieces.append(behaviour.traffic.pieces)
        first, done = done, sum(part.shape[1] for part in pieces)
        day_s = behaviour.traffic.day_s if behaviour.traffic else 0.0
        lowered |= {"first_piece": first, "last_piece": done, "day_s": day_s}
    return np.concatenate(pieces, axis=1)


def _lower_kinds(kinds: Sequence[ReleaseKind], laws: LawTable, tilt: Tilt) -> list[dict[str, float]]:
    lowered: list[dict[str, float]] = []
    reached = Fraction(0)
    n_nodes = 0
    for kind, probability in zip(kinds, tilted_probabilities(kinds, tilt), strict=True):
        reached += probability
        first_node, n_nodes = n_nodes, n_nodes + len(_exact_nodes(kind))
        lowered.append(
            {
                # u = (word + 1/2) / 2**52 is below the probability for words before this one.
                "first_word_beyond": math.ceil(reached * (1 << 52) - Fraction(1, 2)),
                "defective": kind.defective,
                "error_rate": kind.error_rate,
                "start_failure": kind.start_failure,
                "start_hang": kind.start_hang,
                "after": laws.add(kind.after),
                "crash_rate": kind.crash_rate,
                "affects": code_of(AffectedBy, kind.affects.by),
                "share": float(kind.affects.share or 0),
                "count": min(kind.affects.count, BEYOND_ANY_FLEET),
                "first_node": first_node,
                "last_node": n_nodes,
                "log_weight": math.log(kind.probability / probability) if probability else 0.0,
            }
        )
    return lowered


def _lower_switches(switches: Orchestrator, traits: TypeTraits) -> dict[str, int]:
    return {
        "failed_node_holds_slot": switches.failed_node_holds_slot,
        "judged_at_wave_end": switches.limits_judged == "wave_end",
        "gate_all_healthy": switches.canary_gate == "all_healthy",
        "failed_node_freezes": switches.failed_node_freezes,
        "slot_is_free_at_start": switches.slot_until == "started",
        "fails_when_stuck": switches.all_slots_held == "fail",
        "fails_when_lost": switches.lost_waves == "fail",
        "goes_back_by_itself": switches.node_local_rollback and traits.releases,
        "on_failure": code_of(OnFailure, switches.on_failure),
        "unreachable": code_of(UnreachableNodes, switches.unreachable_nodes),
        "clocks_stop": switches.paused_clocks == "stop",
        "cant_tell": code_of(CantTell, switches.cant_tell),
        "reporting_delay": switches.reporting_delay_ns,
    }


def _lower_tilt(tilt: Tilt | None) -> dict[str, float]:
    chosen = tilt or NO_TILT
    return {
        "is_tilted": tilt is not None,
        "tilt_failure": chosen.start_failure,
        "tilt_hang": chosen.start_hang,
        "tilt_back": chosen.rollback_failure,
        "tilt_update": chosen.update_duration,
        "tilt_rollback": chosen.rollback_duration,
        "tilt_slowdown": chosen.slowdown,
        "tilt_level": chosen.start_failure_level,
        "tilt_promote": chosen.promote_after,
        "tilt_escape": chosen.escape_detection,
    }


def _lower_policies(
    scenario: Scenario,
    chosen: Sequence[ScenarioPolicy],
    kinds: Sequence[ReleaseKind],
    traits: TypeTraits,
    *,
    may_bundle: bool,
) -> tuple[dict[str, np.ndarray], list[int]]:
    """Return the tables of policies, and the numbers of windows whose highest word is wanted.

    Rules, plans, limits and gates that several policies share are numbered, and worked out once.
    """
    total = scenario.fleet.nodes
    rules: dict[HealthRule, int] = {}
    plans: dict[tuple[object, ...], LoweredPlan] = {}
    sizes: list[int] = []
    wave_terms: list[tuple[int, ...]] = []
    bakes_ns: list[int] = []
    limits: dict[Limits | None, int] = {}
    gates: dict[Gate | None, int] = {None: 0}
    rows = []
    for one in chosen:
        policy = one.policy
        # Nodes that leave have no windows to judge.
        gate = None if traits.leaves else read_gate(policy, scenario.orchestrator)
        rule = read_health_rule(policy, scenario.orchestrator)
        key = (*what_plans_depend_on(policy), policy.slot_delay_ns, gate is None)
        if key not in plans:
            plan = plan_waves(policy, scenario.orchestrator, total, scenario.fleet.zones)
            has_steps = plan.has_slots and (plan.is_list or plan.per_zone < total)
            plans[key] = LoweredPlan(
                len(sizes),
                len(plan.sizes),
                plan.canaries,
                plan.parallel,
                code_of(Pacing, plan.pacing),
                bool(plan.limits),
                bool(plan.watches),
                any(plan.promotions[1:]) or (plan.canaries == 0 and plan.promotions[0]),
                plan.rollback,
                plan.is_list,
                has_steps or (plan.has_slots and _gives_slots_unevenly(policy, scenario.orchestrator, gate)),
                has_steps,
                plan.per_zone,
                policy.slot_delay_ns,
                plan.surge if traits.replaces else 0,
                plan.canary_surge if traits.replaces else 0,
            )
            sizes += plan.sizes
            bakes_ns += plan.bakes_ns
            wave_terms += _lower_wave_terms(plan, reaches=scenario.orchestrator.limit_comparison == "reaches")
        limit = read_limits(policy, scenario.orchestrator, total)
        counts_each = _counts_each(policy, limit, plans[key])
        has_more = counts_each or _has_more(policy, scenario.orchestrator, rule, plans[key])
        rows.append(
            Row(
                policy.auto_promote,
                policy.no_auto_rollback,
                rules.setdefault(rule, len(rules)),
                plans[key],
                limits.setdefault(limit, len(limits)),
                gates.setdefault(gate, len(gates)),
                counts_each,
                has_more,
                is_plain=not has_more
                and not rule.cumulative
                and not (traits.undone and plans[key].rollback_size < total),
            )
        )
    peaks = sorted({rule.windows_needed for rule in rules if 0 < rule.windows_needed <= _MOST_PEAK_WINDOWS})
    lowered_rules = [{"rule": number, **_lower_rule(rule, peaks)} for rule, number in rules.items()]
    lowered_limits = [_lower_limits(limit, total) for limit in limits]
    lowered_gates = [_lower_gate(gate) for gate in gates]
    records = [
        {
            "auto_promote": row.auto_promote,
            "no_auto_rollback": row.no_auto_rollback,
            **lowered_rules[row.rule],
            **row.plan._asdict(),
            **lowered_limits[row.limits],
            **lowered_gates[row.gate],
            "progress_deadline": _or_never(one.policy.progress_deadline_ns),
            "rollout_deadline": _or_never(one.policy.rollout_deadline_ns),
            "counts_each": row.counts_each,
            "rollback_delay": one.policy.rollback_delay_ns,
            "has_more": row.has_more,
            "begins_in_week": time_in_week(one.identity.created_at),
        }
        for one, row in zip(chosen, rows, strict=True)
    ]
    behaviours = scenario.fleet.behaviours
    stops = [stops_at(limit, total) for limit in limits]
    bundles = bundle_policies(
        rows, [(rule.interval_ns, rule.windows_needed) for rule in rules], stops, may_bundle=may_bundle
    )
    counts_nodes = [
        not (limit and (limit.counts_tries or limit.consecutive or limit.per_zone is not None)) for limit in limits
    ]
    chain_policies(
        bundles["members"],
        [tuple(value for name, value in record.items() if name not in _OF_LIMITS) for record in records],
        [stops[row.limits] if counts_nodes[row.limits] else None for row in rows],
    )
    tables = {
        "policies": make_table(POLICY_RECORD, records),
        "class_rules": make_table(
            CLASS_RULE_RECORD, [_lower_class_rule(rule, b) for rule in rules for b in behaviours]
        ),
        "last_words": np.array([[_last_words(rule, b, kinds) for b in behaviours] for rule in rules], dtype=np.int64),
        "sizes": np.array(sizes, dtype=np.int64),
        "wave_terms": np.array(wave_terms, dtype=WAVE_TERMS_RECORD),
        "bakes": np.array(bakes_ns, dtype=np.int64),
        **bundles,
    }
    return tables, peaks


def _or_never(deadline_ns: int | None) -> int:
    return AT_NO_TIME if deadline_ns is None else deadline_ns


def _counts_each(policy: Policy, limits: Limits | None, plan: LoweredPlan) -> bool:
    """Tell whether it matters when, or of which node, a verdict counts, beside the numbers that are counted."""
    deadlines = policy.progress_deadline_ns is not None or policy.rollout_deadline_ns is not None
    of_zones = limits is not None and (limits.per_zone is not None or limits.consecutive)
    return deadlines or of_zones or plan.has_wave_limits


def _gives_slots_unevenly(policy: Policy, switches: Orchestrator, gate: Gate | None) -> bool:
    """Tell whether nodes may have their slots for another time than until their verdict."""
    is_switched = switches.failed_node_holds_slot or switches.slot_until == "started"
    return is_switched or policy.slot_delay_ns > 0 or gate is not None


def _has_more(policy: Policy, switches: Orchestrator, rule: HealthRule, plan: LoweredPlan) -> bool:
    """Tell whether a rollout takes steps beside those of a plain one, apart from verdicts that count one by one."""
    return (
        plan.marks_slots
        or plan.watches_by_wave
        or plan.has_promotions
        or plan.canary_surge > 0
        or rule.retries > 0
        or policy.rollback_delay_ns > 0
        or switches.failed_node_freezes
    )


def _may_bundle(scenario: Scenario, traits: TypeTraits) -> bool:
    """Tell whether policies under barrier pacing can be followed in bundles: nothing depends on the clock, or on people."""
    switches = scenario.orchestrator
    return (
        not any(b.crash or b.zone_outage or b.flapping or b.down or b.traffic for b in scenario.fleet.behaviours)
        and scenario.fleet.service is None
        and not any(b.connection for b in scenario.fleet.behaviours)
        and not scenario.operator.script
        and not scenario.operator.change_windows
        and not traits.begins
        and not traits.leaves
        and not (switches.node_local_rollback and traits.releases)
        and not switches.reporting_delay_ns
        and not switches.failed_node_freezes
        and switches.lost_waves == "continue"
        and switches.on_failure in ("rollback", "stop")
    )


def _lower_rule(rule: HealthRule, peaks: list[int]) -> dict[str, int]:
    rate, _ = _exact_in_64_bits(rule.max_error_rate, MOST_GATED_REQUESTS, reaches=False)
    return {
        "rate_top": rate.numerator,
        "rate_bottom": rate.denominator,
        "idle_is_healthy": rule.no_traffic_is_healthy,
        "interval": rule.interval_ns,
        "is_checked": rule.is_checked,
        "deadline": rule.deadline_ns,
        "from_dispatch": rule.deadline_from_dispatch,
        "needed": rule.windows_needed,
        "consecutive": rule.consecutive,
        "failure_threshold": rule.failure_threshold or 0,
        "retries": rule.retries,
        "retry_delay": rule.retry_delay_ns,
        "tries_unhealthy": rule.retries_unhealthy,
        "cumulative": rule.cumulative,
        "peak": peaks.index(rule.windows_needed) if rule.windows_needed in peaks else -1,
    }


def _lower_class_rule(rule: HealthRule, behaviour: Behaviour) -> dict[str, int]:
    requests = rule.requests_per_window(behaviour.requests_per_second)
    return {"requests": requests, "allowed": min(rule.allowed_failures(requests), requests)}


def _last_words(rule: HealthRule, behaviour: Behaviour, kinds: Sequence[ReleaseKind]) -> list[int]:
    """Return the last healthy words by level; see `tables.CLASS_RULE_RECORD`."""
    lowered = _lower_class_rule(rule, behaviour)
    requests, allowed = lowered["requests"], lowered["allowed"]
    if allowed < 0 or allowed >= requests:
        return [NEVER if allowed < 0 else ALWAYS] * (1 + len(kinds))
    if not isinstance(behaviour.error_rate, Constant):
        return [UNKNOWN] * (1 + len(kinds))
    own = behaviour.error_rate.quantile(0.5)
    levels = [own, *(mean_level(own, kind.error_rate, 0.0, 1, 1, 0, 0) for kind in kinds)]
    return [NEVER if p >= 1 else math.floor(binomial_cdf(allowed, requests, p) * 2.0**52 - 0.5) for p in levels]


def _lower_limits(limits: Limits | None, total: int) -> dict[str, int]:
    if limits is None:
        return {
            "has_limits": False,
            "stopping_count": BEYOND_ANY_FLEET,
            "top": 0,
            "bottom": 1,
            "reaches": False,
            "both": False,
            "counts_tries": False,
            "percent_of": 0,
            "minimum_sample": 0,
            "in_a_row": False,
            "watches_zones": False,
            "zone_count": BEYOND_ANY_FLEET,
            **_fraction("zone", NO_PERCENT),
        }
    share, reaches = _exact_in_64_bits(limits.max_failed_nodes_percent / 100, total, reaches=limits.reaches)
    return {
        "has_limits": True,
        "stopping_count": min(max(limits.max_failed_nodes + (0 if limits.reaches else 1), 1), BEYOND_ANY_FLEET),
        "top": share.numerator,
        "bottom": share.denominator,
        "reaches": reaches,
        "both": limits.both,
        "counts_tries": limits.counts_tries,
        "percent_of": code_of(PercentOf, limits.percent_of),
        "minimum_sample": min(limits.minimum_sample, BEYOND_ANY_FLEET),
        "in_a_row": limits.consecutive,
        **_lower_zone_limit(limits),
    }


def _lower_zone_limit(limits: Limits) -> dict[str, int]:
    of_zone = limits.per_zone
    is_percent = isinstance(of_zone, Fraction)
    count = BEYOND_ANY_FLEET if is_percent or of_zone is None else of_zone + (0 if limits.reaches else 1)
    percent = of_zone if isinstance(of_zone, Fraction) else NO_PERCENT
    return {"watches_zones": of_zone is not None, "zone_count": int(count), **_fraction("zone", percent)}


def _fraction(name: str, percent: Fraction) -> dict[str, int]:
    """Return a percent as a fraction in two numbers; those of waves and zones have few digits."""
    return {f"{name}_top": (percent / 100).numerator, f"{name}_bottom": (percent / 100).denominator}


# The fields of a policy's record in which policies with other limits differ.
_OF_LIMITS = frozenset(_lower_limits(None, 1))


def _lower_wave_terms(plan: Plan, *, reaches: bool) -> list[tuple[int, ...]]:
    lowered: list[tuple[int, ...]] = []
    all_limits = plan.limits or (NO_WAVE_LIMITS,) * len(plan.sizes)
    watches = plan.watches or (USUAL_WATCH,) * len(plan.sizes)
    for limits, watch, promotion in zip(all_limits, watches, plan.promotions, strict=True):
        count = BEYOND_ANY_FLEET if limits.count is None else limits.count + (0 if reaches else 1)
        share = (NO_PERCENT if limits.percent is None else limits.percent) / 100
        healthy_ns = -1 if watch.min_healthy_ns is None else watch.min_healthy_ns
        lowered.append((count, share.numerator, share.denominator, healthy_ns, watch.by_gate, promotion))
    return lowered


def _lower_gate(gate: Gate | None) -> dict[str, float]:
    if gate is None:
        nothing = {name: 0 for name in POLICY_RECORD.names or () if name.startswith("gate")}
        return {**nothing, "gate": -1, "gate_needed": 1, "gate_bottom": 1}
    rate, _ = _exact_in_64_bits(gate.max_error_rate, MOST_GATED_REQUESTS, reaches=False)
    prior = 0.0
    if gate.method in ("e_process", "multinomial"):
        a, b = gate.prior_a, gate.prior_b
        prior = float(special.betaln(a, b)) + math.log(float(special.betaincc(a, b, gate.null)))
    return {
        "gate": code_of(Method, gate.method),
        "gate_compares": gate.compares,
        "gate_of_rollout": gate.of_rollout,
        "gate_minimum": gate.minimum_sample,
        "gate_needed": gate.windows_needed,
        "gate_top": rate.numerator,
        "gate_bottom": rate.denominator,
        "gate_most": gate.most,
        "gate_if_failed": gate.if_failed,
        "gate_if_served": gate.if_served,
        "gate_upper": gate.upper,
        "gate_lower": gate.lower,
        "gate_null": gate.null,
        "gate_a": gate.prior_a,
        "gate_b": gate.prior_b,
        "gate_prior": prior,
        "gate_confidence": gate.confidence,
        "gate_tolerance": gate.tolerance,
        "gate_z": gate.z,
    }


def _exact_in_64_bits(share: Fraction, total: int, *, reaches: bool) -> tuple[Fraction, bool]:
    """Return a share with a small denominator that the same numbers of failed among at most `total` nodes cross.

    No ratio of such numbers equals a share whose denominator is larger than `total`, nor lies between it and the next
    fraction below it (in the Farey sequence of that order); above that fraction is above the share.
    """
    if share.denominator <= total:
        return share, reaches
    nearest = share.limit_denominator(total)
    if nearest > share:
        # The neighbour below: the one with the largest denominator for which the determinant with `nearest` is 1.
        p, q = nearest.numerator, nearest.denominator
        below = pow(p, -1, q) if q > 1 else 0
        below += (total - below) // q * q
        nearest = Fraction((p * below - 1) // q, below)
    return nearest, False
