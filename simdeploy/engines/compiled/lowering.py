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

from simdeploy.engines.compiled.binomial import ALWAYS, NEVER
from simdeploy.engines.compiled.bundling import BEYOND_ANY_FLEET, Row, bundle_policies, stops_at
from simdeploy.engines.compiled.laws import LawTable
from simdeploy.engines.compiled.run import (
    CLASS_RECORD,
    CLASS_RULE_RECORD,
    KIND_RECORD,
    POLICY_RECORD,
    PROCESS_RECORD,
    UNKNOWN,
)
from simdeploy.engines.compiled.spells import CRASH, FLAPPING, ZONE
from simdeploy.rules.gates.gate import METHODS, MOST_GATED_REQUESTS, read_gate
from simdeploy.rules.health import read_health_rule
from simdeploy.rules.limits import read_limits
from simdeploy.rules.waves import plan_waves
from simdeploy.units import round_half_up
from simdeploy.world.binomial import binomial_cdf
from simdeploy.world.distributions import Constant, Exponential
from simdeploy.world.realized import mean_level
from simdeploy.world.special import special
from simdeploy.world.tilt import NO_TILT, odds_times, tilted_probabilities

if TYPE_CHECKING:
    from simdeploy.rules.deployment_types import TypeTraits
    from simdeploy.rules.gates.gate import Gate
    from simdeploy.rules.health import HealthRule
    from simdeploy.rules.limits import Limits
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.world.distributions import Distribution
    from simdeploy.world.fleet import Behaviour
    from simdeploy.world.release import ReleaseKind
    from simdeploy.world.tilt import Tilt

ORDERS = ("index", "random", "zone")
PACINGS = ("barrier", "sliding", "rate")
AFFECTS = ("all", "share", "count", "classes", "zones")
PERCENT_OF = ("fleet", "resolved", "wave")
ON_FAILURE = ("rollback", "pause", "stop", "continue")
UNREACHABLE = ("fail", "skip", "wait")
ACTIONS = ("pause", "resume", "promote", "cancel")
CANT_TELL = ("wait", "pass", "stop")

_MOST_PEAK_WINDOWS = 64


@dataclass(frozen=True)
class Lowered:
    """What compiled code reads.

    Attributes
    ----------
    scalars : mapping of str to number
        Fields of the record of a run.
    tables : mapping of str to ndarray
        By the names of `run.TABLES`.
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
    kinds = scenario.release if traits.releases else ()
    fleet, operator = scenario.fleet, scenario.operator
    laws = LawTable()
    processes: list[tuple[float, ...]] = []
    classes = [_lower_class(scenario, number, b, laws, processes) for number, b in enumerate(fleet.behaviours)]
    lowered_kinds = _lower_kinds(kinds, laws, scenario.tilt or NO_TILT)
    may_bundle = may_bundle and _may_bundle(scenario, traits)
    policies, peaks = _lower_policies(scenario, chosen, kinds, traits, may_bundle=may_bundle)
    script = [(act.at_ns, ACTIONS.index(act.do)) for act in sorted(operator.script, key=lambda act: act.at_ns)]
    names = [node_class.name for node_class in fleet.classes]
    scalars = {
        "nodes": fleet.nodes,
        "zones": fleet.zones,
        "order": ORDERS.index(fleet.order),
        "n_classes": len(classes),
        "n_kinds": len(kinds),
        "n_acts": len(script),
        "n_peaks": len(peaks),
        "releases": traits.releases,
        "undone": traits.undone,
        "begins": traits.begins,
        "leaves": traits.leaves,
        "goes_down": any(b.crash or b.zone_outage for b in fleet.behaviours),
        "degrades": any(b.flapping for b in fleet.behaviours),
        "promote_after_law": laws.add(operator.promote_after),
        "escape_detection_law": laws.add(operator.escape_detection),
        "notices_defect": operator.notices_defect,
        "rejects_good": operator.rejects_good,
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
        "classes": np.array(classes, dtype=CLASS_RECORD),
        "kinds": np.array(lowered_kinds, dtype=KIND_RECORD),
        "affects_class": np.array(
            [[False, *(name in kind.affects.members for name in names)] for kind in kinds], dtype=np.bool_
        ),
        "affects_zone": np.array(
            [[zone in kind.affects.members for zone in range(fleet.zones)] for kind in kinds], dtype=np.bool_
        ),
        "laws": records,
        "processes": np.array(processes, dtype=PROCESS_RECORD),
        "script": np.array(script, dtype=np.int64),
        "peaks": np.array(peaks, dtype=np.int64),
        **policies,
    }
    return Lowered(scalars, tables, (floats,))


def _lower_class(
    scenario: Scenario, number: int, behaviour: Behaviour, laws: LawTable, processes: list[tuple[float, ...]]
) -> tuple[float, ...]:
    def add_process(kind: int, good: Distribution, bad: Distribution) -> int:
        p_bad = bad.mean / (good.mean + bad.mean)
        processes.append((kind, laws.add(good, runs_at_0=True), laws.add(bad, runs_at_0=True), p_bad))
        return len(processes) - 1

    flapping, crash, outage = behaviour.flapping, behaviour.crash, behaviour.zone_outage
    fleet = scenario.fleet
    size = round_half_up(fleet.classes[number - 1].share * fleet.nodes) if number else 0
    is_constant = isinstance(behaviour.error_rate, Constant)
    return (
        size,
        laws.add(behaviour.update_duration),
        laws.add(behaviour.rollback_duration),
        laws.add(behaviour.slowdown),
        laws.add(behaviour.start_failure),
        laws.add(behaviour.error_rate),
        behaviour.error_rate.mean if is_constant else math.nan,
        odds_times(behaviour.rollback_failure, (scenario.tilt or NO_TILT).rollback_failure),
        behaviour.start_attempts,
        behaviour.start_hang,
        flapping.error_rate if flapping else 0.0,
        float(behaviour.requests_per_second),
        add_process(CRASH, crash.up, crash.repair) if crash else -1,
        bool(crash and crash.renewed_by_update),
        add_process(FLAPPING, Exponential(flapping.good_s), Exponential(flapping.degraded_s)) if flapping else -1,
        add_process(ZONE, outage.up, outage.repair) if outage else -1,
        behaviour.rollback_failure,
    )


def _lower_kinds(kinds: Sequence[ReleaseKind], laws: LawTable, tilt: Tilt) -> list[tuple[float, ...]]:
    lowered: list[tuple[float, ...]] = []
    reached = Fraction(0)
    for kind, probability in zip(kinds, tilted_probabilities(kinds, tilt), strict=True):
        reached += probability
        lowered.append(
            (
                # u = (word + 1/2) / 2**52 is below the probability for words before this one.
                math.ceil(reached * (1 << 52) - Fraction(1, 2)),
                kind.defective,
                kind.error_rate,
                kind.start_failure,
                kind.start_hang,
                laws.add(kind.after),
                kind.crash_rate,
                AFFECTS.index(kind.affects.by),
                float(kind.affects.share or 0),
                min(kind.affects.count, BEYOND_ANY_FLEET),
                math.log(kind.probability / probability) if probability else 0.0,
            )
        )
    return lowered


def _lower_switches(switches: Orchestrator, traits: TypeTraits) -> dict[str, int]:
    return {
        "failed_node_holds_slot": switches.failed_node_holds_slot,
        "judged_at_wave_end": switches.limits_judged == "wave_end",
        "gate_all_healthy": switches.canary_gate == "all_healthy",
        "bake_time": switches.bake_time_ns,
        "goes_back_by_itself": switches.node_local_rollback and traits.releases,
        "on_failure": ON_FAILURE.index(switches.on_failure),
        "rollback_in_waves": switches.rollback_pacing == "max_parallel",
        "unreachable": UNREACHABLE.index(switches.unreachable_nodes),
        "clocks_stop": switches.paused_clocks == "stop",
        "cant_tell": CANT_TELL.index(switches.cant_tell),
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

    Rules, plans and limits that several policies share are numbered, and worked out once.
    """
    total = scenario.fleet.nodes
    rules: dict[HealthRule, int] = {}
    plans: dict[tuple[object, ...], tuple[int, ...]] = {}
    sizes: list[int] = []
    limits: dict[Limits | None, int] = {}
    rows = []
    # Nodes that leave have no windows to judge.
    gates = [None if traits.leaves else read_gate(one.policy, scenario.orchestrator) for one in chosen]
    for one, gate in zip(chosen, gates, strict=True):
        policy = one.policy
        rule = read_health_rule(policy, scenario.orchestrator)
        # What a plan depends on; planning a large fleet anew for every policy would take longer than to simulate it.
        key = (
            policy.strategy,
            policy.dialect,
            policy.max_parallel,
            *((policy.canary_count, policy.canary_percent) if policy.strategy == "canary" else ()),
        )
        if key not in plans:
            plan = plan_waves(policy, scenario.orchestrator, total)
            pacing = PACINGS.index(plan.pacing)
            plans[key] = (len(sizes), len(plan.sizes), plan.canaries, plan.parallel, pacing)
            sizes += plan.sizes
        limit = read_limits(policy, scenario.orchestrator, total)
        rows.append(
            Row(
                policy.auto_promote,
                policy.no_auto_rollback,
                rules.setdefault(rule, len(rules)),
                plans[key],
                limits.setdefault(limit, len(limits)),
                gate is not None,
            )
        )
    peaks = sorted({rule.windows_needed for rule in rules if 0 < rule.windows_needed <= _MOST_PEAK_WINDOWS})
    lowered_rules = [(number, *_lower_rule(rule, peaks)) for rule, number in rules.items()]
    lowered_limits = [_lower_limits(limit, total) for limit in limits]
    records = [
        (
            row.auto_promote,
            row.no_auto_rollback,
            *lowered_rules[row.rule],
            *row.plan,
            *lowered_limits[row.limits],
            *_lower_gate(gate),
        )
        for row, gate in zip(rows, gates, strict=True)
    ]
    behaviours = scenario.fleet.behaviours
    tables = {
        "policies": np.array(records, dtype=POLICY_RECORD),
        "class_rules": np.array(
            [[_lower_class_rule(rule, b) for b in behaviours] for rule in rules], dtype=CLASS_RULE_RECORD
        ),
        "last_words": np.array([[_last_words(rule, b, kinds) for b in behaviours] for rule in rules], dtype=np.int64),
        "sizes": np.array(sizes, dtype=np.int64),
        **bundle_policies(
            rows,
            [(rule.interval_ns, rule.windows_needed) for rule in rules],
            [stops_at(limit, total) for limit in limits],
            may_bundle=may_bundle,
        ),
    }
    return tables, peaks


def _may_bundle(scenario: Scenario, traits: TypeTraits) -> bool:
    """Tell whether policies under barrier pacing can be followed in bundles: nothing depends on the clock, or on people."""
    switches = scenario.orchestrator
    return (
        not any(b.crash or b.zone_outage or b.flapping for b in scenario.fleet.behaviours)
        and not scenario.operator.script
        and not traits.begins
        and not traits.leaves
        and not (switches.node_local_rollback and traits.releases)
        and not (switches.rollback_pacing == "max_parallel" and traits.undone)
        and switches.on_failure in ("rollback", "stop")
    )


def _lower_rule(rule: HealthRule, peaks: list[int]) -> tuple[int, ...]:
    return (
        rule.interval_ns,
        rule.is_checked,
        rule.deadline_ns,
        rule.deadline_from_dispatch,
        rule.windows_needed,
        rule.consecutive,
        rule.failure_threshold or 0,
        peaks.index(rule.windows_needed) if rule.windows_needed in peaks else -1,
    )


def _lower_class_rule(rule: HealthRule, behaviour: Behaviour) -> tuple[int, int]:
    requests = rule.requests_per_window(behaviour.requests_per_second)
    return requests, min(rule.allowed_failures(requests), requests)


def _last_words(rule: HealthRule, behaviour: Behaviour, kinds: Sequence[ReleaseKind]) -> list[int]:
    """Return the last healthy words by level; see `run.CLASS_RULE_RECORD`."""
    requests, allowed = _lower_class_rule(rule, behaviour)
    if allowed < 0 or allowed >= requests:
        return [NEVER if allowed < 0 else ALWAYS] * (1 + len(kinds))
    if not isinstance(behaviour.error_rate, Constant):
        return [UNKNOWN] * (1 + len(kinds))
    own = behaviour.error_rate.quantile(0.5)
    levels = [own, *(mean_level(own, kind.error_rate, 0.0, 1, 1, 0, 0) for kind in kinds)]
    return [NEVER if p >= 1 else math.floor(binomial_cdf(allowed, requests, p) * 2.0**52 - 0.5) for p in levels]


def _lower_limits(limits: Limits | None, total: int) -> tuple[int, ...]:
    if limits is None:
        return (False, BEYOND_ANY_FLEET, 0, 1, False, False, 0, 0)
    share, reaches = _exact_in_64_bits(limits.max_failed_nodes_percent / 100, total, reaches=limits.reaches)
    return (
        True,
        min(limits.max_failed_nodes + (0 if limits.reaches else 1), BEYOND_ANY_FLEET),
        share.numerator,
        share.denominator,
        reaches,
        limits.both,
        PERCENT_OF.index(limits.percent_of),
        min(limits.minimum_sample, BEYOND_ANY_FLEET),
    )


def _lower_gate(gate: Gate | None) -> tuple[float, ...]:
    if gate is None:
        return (-1, False, 0, 1, 0, 1, 0, *[0.0] * 11)
    rate, _ = _exact_in_64_bits(gate.max_error_rate, MOST_GATED_REQUESTS, reaches=False)
    prior = 0.0
    if gate.method in ("e_process", "multinomial"):
        a, b = gate.prior_a, gate.prior_b
        prior = float(special.betaln(a, b)) + math.log(float(special.betaincc(a, b, gate.null)))
    return (
        METHODS.index(gate.method),
        gate.compares,
        gate.minimum_sample,
        gate.windows_needed,
        rate.numerator,
        rate.denominator,
        gate.most,
        gate.if_failed,
        gate.if_served,
        gate.upper,
        gate.lower,
        gate.null,
        gate.prior_a,
        gate.prior_b,
        prior,
        gate.confidence,
        gate.tolerance,
        gate.z,
    )


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
