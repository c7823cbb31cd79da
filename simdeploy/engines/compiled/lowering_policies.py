"""Lowering of policies to plain records: rules, plans, limits and gates that several of them share are numbered, and computed once."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.api.times import time_in_week
from simdeploy.engines.compiled.bundling import (
    BEYOND_ANY_FLEET,
    LoweredPlan,
    Row,
    bundle_policies,
    chain_policies,
    stops_at,
)
from simdeploy.engines.compiled.codes import code_of
from simdeploy.engines.compiled.lowering_rules import (
    OF_LIMITS,
    last_words,
    lower_class_rule,
    lower_gate,
    lower_limits,
    lower_rule,
)
from simdeploy.engines.compiled.records import CLASS_RULE_RECORD, POLICY_RECORD, WAVE_TERMS_RECORD, make_table
from simdeploy.engines.compiled.tables import NEVER as AT_NO_TIME
from simdeploy.rules.gates.gate import Gate, read_gate
from simdeploy.rules.health import HealthRule, read_health_rule
from simdeploy.rules.limits import NO_PERCENT, Limits, read_limits
from simdeploy.rules.orchestrator import Orchestrator, Pacing
from simdeploy.rules.waves import NO_WAVE_LIMITS, USUAL_WATCH, Plan, WaveLimits, plan_waves, what_plans_depend_on

if TYPE_CHECKING:
    from simdeploy.rules.deployment_types import TypeTraits
    from simdeploy.rules.policy import Policy
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.world.release import ReleaseKind

_MOST_PEAK_WINDOWS = 64
_OTHERS = [name for name in POLICY_RECORD.names or () if name not in OF_LIMITS]  # everything but limits


def lower_policies(
    scenario: Scenario,
    chosen: Sequence[ScenarioPolicy],
    kinds: Sequence[ReleaseKind],
    traits: TypeTraits,
    *,
    may_bundle: bool,
) -> tuple[dict[str, np.ndarray], list[int]]:
    """Return the tables of policies, and the numbers of windows whose highest word is needed.

    Rules, plans, limits and gates that several policies share are numbered, and computed once.
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
    for chosen_policy in chosen:
        policy = chosen_policy.policy
        # Nodes that leave have no windows to judge.
        gate = None if traits.leaves else read_gate(policy, scenario.orchestrator)
        rule = read_health_rule(policy, scenario.orchestrator)
        key = (*what_plans_depend_on(policy), policy.slot_delay_ns, gate is None)
        lowered = plans.get(key)  # a single lookup, because hashing fractions is slow
        if lowered is None:
            plan = plan_waves(policy, scenario.orchestrator, total, scenario.fleet.zones)
            has_steps = plan.has_slots and (plan.is_list or plan.per_zone < total)
            lowered = plans[key] = LoweredPlan(
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
        counts_each = _counts_each(policy, limit, lowered)
        has_more = counts_each or _has_more(policy, scenario.orchestrator, rule, lowered)
        rows.append(
            Row(
                policy.auto_promote,
                policy.no_auto_rollback,
                rules.setdefault(rule, len(rules)),
                lowered,
                limits.setdefault(limit, len(limits)),
                gates.setdefault(gate, len(gates)),
                counts_each,
                has_more,
                is_plain=not has_more and not rule.cumulative and not (traits.undone and lowered.rollback_size < total),
            )
        )
    # With a highest error rate of 1, windows are healthy whatever fails.
    words_matter = [rule for rule in rules if rule.max_error_rate < 1]
    peaks = sorted({rule.windows_needed for rule in words_matter if 0 < rule.windows_needed <= _MOST_PEAK_WINDOWS})
    lowered_rules = [{"rule": number, **lower_rule(rule, peaks)} for rule, number in rules.items()]
    lowered_limits = [lower_limits(limit, total) for limit in limits]
    lowered_gates = [lower_gate(gate) for gate in gates]
    records = [
        {
            "auto_promote": row.auto_promote,
            "no_auto_rollback": row.no_auto_rollback,
            **lowered_rules[row.rule],
            **row.plan._asdict(),
            **lowered_limits[row.limits],
            **lowered_gates[row.gate],
            "progress_deadline": _or_never(chosen_policy.policy.progress_deadline_ns),
            "rollout_deadline": _or_never(chosen_policy.policy.rollout_deadline_ns),
            "counts_each": row.counts_each,
            "rollback_delay": chosen_policy.policy.rollback_delay_ns,
            "has_more": row.has_more,
            "begins_in_week": time_in_week(chosen_policy.identity.created_at),
        }
        for chosen_policy, row in zip(chosen, rows, strict=True)
    ]
    behaviours = scenario.fleet.behaviours
    stops = [stops_at(limit, total) for limit in limits]
    bundles = bundle_policies(rows, list(rules), list(limits), stops, may_bundle=may_bundle)
    counts_nodes = [
        not (limit and (limit.counts_tries or limit.consecutive or limit.per_zone is not None)) for limit in limits
    ]
    chain_policies(
        bundles["members"],
        [*map(itemgetter(*_OTHERS), records)],
        [stops[row.limits] if counts_nodes[row.limits] else None for row in rows],
    )
    tables = {
        "policies": make_table(POLICY_RECORD, records),
        "class_rules": make_table(CLASS_RULE_RECORD, [lower_class_rule(rule, b) for rule in rules for b in behaviours]),
        "last_words": np.array([[last_words(rule, b, kinds) for b in behaviours] for rule in rules], dtype=np.int64),
        "sizes": np.array(sizes, dtype=np.int64),
        "wave_terms": np.array(wave_terms, dtype=WAVE_TERMS_RECORD),
        "bakes": np.array(bakes_ns, dtype=np.int64),
        **bundles,
    }
    return tables, peaks


def _or_never(deadline_ns: int | None) -> int:
    return AT_NO_TIME if deadline_ns is None else deadline_ns


def _counts_each(policy: Policy, limits: Limits | None, plan: LoweredPlan) -> bool:
    """Tell whether not only the numbers of verdicts matter, but also the time or the node of each."""
    deadlines = policy.progress_deadline_ns is not None or policy.rollout_deadline_ns is not None
    of_zones = limits is not None and (limits.per_zone is not None or limits.consecutive)
    return deadlines or of_zones or plan.has_wave_limits


def _gives_slots_unevenly(policy: Policy, switches: Orchestrator, gate: Gate | None) -> bool:
    """Tell whether nodes may give up their slots at another time than at their verdict."""
    is_switched = switches.failed_node_holds_slot or switches.slot_until == "started"
    return is_switched or policy.slot_delay_ns > 0 or gate is not None


def _has_more(policy: Policy, switches: Orchestrator, rule: HealthRule, plan: LoweredPlan) -> bool:
    """Tell whether a rollout needs more steps than a plain one, apart from verdicts that count one by one."""
    return (
        plan.marks_slots
        or plan.watches_by_wave
        or plan.has_promotions
        or plan.canary_surge > 0
        or rule.retries > 0
        or policy.rollback_delay_ns > 0
        or switches.failed_node_freezes
    )


def _lower_wave_terms(plan: Plan, *, reaches: bool) -> list[tuple[int, ...]]:
    lowered: list[tuple[int, ...]] = []
    all_limits = plan.limits or (NO_WAVE_LIMITS,) * len(plan.sizes)
    watches = plan.watches or (USUAL_WATCH,) * len(plan.sizes)
    # Fractions are slow, and most waves have the limits of the one before.
    before: WaveLimits | None = None
    of_limits: tuple[int, ...] = ()
    for limits, watch, promotion in zip(all_limits, watches, plan.promotions, strict=True):
        if limits is not before:
            count = BEYOND_ANY_FLEET if limits.count is None else limits.count + (0 if reaches else 1)
            share = (NO_PERCENT if limits.percent is None else limits.percent) / 100
            before, of_limits = limits, (count, share.numerator, share.denominator)
        healthy_ns = -1 if watch.min_healthy_ns is None else watch.min_healthy_ns
        lowered.append((*of_limits, healthy_ns, watch.by_gate, promotion))
    return lowered
