"""Bundles of policies that can be followed together (see `barrier`), and the parts that they share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.engines.compiled.codes import BARRIER
from simdeploy.engines.compiled.records import BUNDLE_RECORD, MEMBER_RECORD, RULE_RECORD, make_table

if TYPE_CHECKING:
    from simdeploy.rules.health import HealthRule
    from simdeploy.rules.limits import Limits

BEYOND_ANY_FLEET = 1 << 40  # nodes


class LoweredPlan(NamedTuple):
    """A plan as in the table of policies."""

    first_size: int
    n_waves: int
    canaries: int
    parallel: int
    pacing: int
    has_wave_limits: bool
    watches_by_wave: bool
    has_promotions: bool
    rollback_size: int
    is_list: bool
    marks_slots: bool
    has_steps: bool
    per_zone: int
    slot_delay: int
    surge: int
    canary_surge: int


class Row(NamedTuple):
    """A policy, with the numbers of its parts."""

    auto_promote: bool
    no_auto_rollback: bool
    rule: int
    plan: LoweredPlan
    limits: int
    gate: int  # 0 for none
    counts_each: bool
    has_more: bool
    is_plain: bool  # whether it has only features that bundles support


def stops_at(limits: Limits | None, total: int) -> int | None:
    """Return the number of failed nodes at which limits stop a rollout; None if they depend on more than that number."""
    if limits is None:
        return BEYOND_ANY_FLEET
    is_of_fleet = limits.percent_of == "fleet" or (limits.max_failed_nodes_percent >= 100 and not limits.reaches)
    if not is_of_fleet or limits.minimum_sample > 0:
        return None
    share = limits.max_failed_nodes_percent / 100 * total
    by_count = max(limits.max_failed_nodes + (0 if limits.reaches else 1), 1)
    by_percent = max(math.ceil(share) if limits.reaches else math.floor(share) + 1, 1)
    return min(max(by_count, by_percent) if limits.both else min(by_count, by_percent), BEYOND_ANY_FLEET)


def bundle_policies(
    rows: Sequence[Row],
    rules: Sequence[HealthRule],
    limits: Sequence[Limits | None],
    stops: Sequence[int | None],
    *,
    may_bundle: bool,
) -> dict[str, np.ndarray]:
    """Make the tables of bundles: policies with the same rule of judging nodes, plan and promotion.

    Parameters
    ----------
    rules : sequence of HealthRule
        By number. Rules that differ only in the highest error rate become neighbours, the strictest first, because most nodes have
        the same fate under them.
    limits : sequence of Limits or None
        By their numbers.
    stops : sequence of int or None
        By number of limits: the result of `stops_at`.
    may_bundle : bool
        Whether the scenario allows it at all.
    """
    bundles: dict[int, dict[tuple[int, bool, bool], list[int]]] = {}
    for number, row in enumerate(rows):
        if may_bundle and row.is_plain and not row.gate and row.plan.pacing == BARRIER:
            key = (row.plan.first_size, row.auto_promote, row.no_auto_rollback)
            bundles.setdefault(row.rule, {}).setdefault(key, []).append(number)
    members = np.zeros(len(rows), dtype=MEMBER_RECORD)
    members["stop"] = -1
    kinds: dict[tuple[object, ...], int] = {}
    rule_records: list[dict[str, int]] = []
    records: list[dict[str, int]] = []
    all_stops: list[int] = []
    groups: dict[HealthRule, int] = {}
    group_of = {number: groups.setdefault(_all_but_error_rate(rules[number]), len(groups)) for number in bundles}
    n_alike = Counter(group_of.values())
    for number in sorted(bundles, key=lambda number: (group_of[number], rules[number].max_error_rate)):
        of_rule = bundles[number]
        rule_records.append(
            {
                "policy": next(iter(of_rule.values()))[0],
                "first_bundle": len(records),
                "last_bundle": len(records) + len(of_rule),
                "group": group_of[number],
                "n_alike": n_alike[group_of[number]],
            }
        )
        for key, numbers in of_rule.items():
            # The stops of its policies: ascending numbers of failed nodes, or else limits, given by the first policy with each.
            first_with = {rows[number].limits: number for number in reversed(numbers)}
            by_limits = any(stops[limit] is None for limit in first_with)
            at = {limit: limit if by_limits else stops[limit] or 0 for limit in first_with}
            own_stops = sorted(set(at.values()))
            first = len(all_stops)
            places = {stop: first + place for place, stop in enumerate(own_stops)}
            members["stop"][numbers] = [places[at[rows[number].limits]] for number in numbers]
            all_stops += [first_with[limit] for limit in own_stops] if by_limits else own_stops
            records.append(
                {
                    "policy": numbers[0],
                    "kind": kinds.setdefault((*key, by_limits, *own_stops), len(kinds)),
                    "first": first,
                    "last": len(all_stops),
                    "by_limits": by_limits,
                    "minimum_sample": max(_minimum_sample(limits[limit]) for limit in first_with),
                    **dict.fromkeys(("touched", "key0", "key1", "last_waves", "most_touched"), 0),
                }
            )
    return {
        "members": members,
        "rules": make_table(RULE_RECORD, rule_records),
        "bundles": make_table(BUNDLE_RECORD, records),
        "stops": np.array(all_stops, dtype=np.int64),
        "bundle_slots": np.zeros(1 << (2 * len(records)).bit_length(), dtype=np.int64),
        "places": np.zeros(len(all_stops), dtype=np.int64),
    }


def _all_but_error_rate(rule: HealthRule) -> HealthRule:
    return replace(rule, max_error_rate=Fraction(0))


def _minimum_sample(limits: Limits | None) -> int:
    return 0 if limits is None else min(limits.minimum_sample, BEYOND_ANY_FLEET)


def chain_policies(members: np.ndarray, alike: Sequence[Hashable], stops: Sequence[int | None]) -> None:
    """Note for each policy the one that differs only in the next stricter limits, and order their turns so that it comes first.

    Parameters
    ----------
    members : ndarray of MEMBER_RECORD
    alike : sequence
        Everything of each policy but its limits.
    stops : sequence of int or None
        By policy: the number of failed nodes at which its limits stop it; None if they depend on more.
    """
    members["stricter"] = -1
    latest: dict[Hashable, int] = {}
    turns = sorted(range(len(members)), key=lambda number: (stops[number] or 0, number))
    members["turn"] = turns
    for number in turns:
        if stops[number] is not None:
            members["stricter"][number] = latest.get(alike[number], -1)
            latest[alike[number]] = number
