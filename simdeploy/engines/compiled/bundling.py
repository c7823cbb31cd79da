"""Which policies can be followed together (see `barrier`), and what they share."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.engines.compiled.codes import BARRIER
from simdeploy.engines.compiled.records import BUNDLE_RECORD, MEMBER_RECORD, RULE_RECORD, make_table

if TYPE_CHECKING:
    from simdeploy.rules.limits import Limits

BEYOND_ANY_FLEET = 1 << 40  # nodes


class LoweredPlan(NamedTuple):
    """A plan as the table of policies has it."""

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
    is_plain: bool  # nothing that bundles don't know


def stops_at(limits: Limits | None, total: int) -> int | None:
    """Return the number of failed nodes at which limits stop a rollout; None if it takes more than that number to tell."""
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
    rows: Sequence[Row], spans: Sequence[tuple[int, int]], stops: Sequence[int | None], *, may_bundle: bool
) -> dict[str, np.ndarray]:
    """Make the tables of bundles: policies with the same rule of judging nodes, plan and promotion.

    Parameters
    ----------
    spans : sequence of (int, int)
        By number of the rule: a window's length, and how many of them are needed. Rules with the same come one after the
        other, since most nodes have the same fate under them.
    stops : sequence of int or None
        By number of limits.
    may_bundle : bool
        Whether the scenario allows it at all.
    """
    bundles: dict[int, dict[tuple[int, bool, bool], list[int]]] = {}
    for number, row in enumerate(rows):
        if (
            may_bundle
            and row.is_plain
            and not row.gate
            and row.plan.pacing == BARRIER
            and stops[row.limits] is not None
        ):
            key = (row.plan.first_size, row.auto_promote, row.no_auto_rollback)
            bundles.setdefault(row.rule, {}).setdefault(key, []).append(number)
    members = np.zeros(len(rows), dtype=MEMBER_RECORD)
    members["bundle"] = members["stop"] = -1
    bundle_of, stop_of = members["bundle"], members["stop"]
    kinds: dict[tuple[object, ...], int] = {}
    rules: list[dict[str, int]] = []
    records: list[dict[str, int]] = []
    all_stops: list[int] = []
    for _, of_rule in sorted(bundles.items(), key=lambda item: (spans[item[0]], item[0])):
        first_policy = next(iter(of_rule.values()))[0]
        last = len(records) + len(of_rule)
        rules.append({"policy": first_policy, "first_bundle": len(records), "last_bundle": last, "key0": 0, "key1": 0})
        for key, numbers in of_rule.items():
            own = sorted({stops[rows[number].limits] or 0 for number in numbers})
            places = {stop: place for place, stop in enumerate(own)}
            for number in numbers:
                bundle_of[number] = len(records)
                stop_of[number] = places[stops[rows[number].limits] or 0]
            kind = kinds.setdefault((*key, *own), len(kinds))
            first, last = len(all_stops), len(all_stops) + len(own)
            records.append({"policy": numbers[0], "kind": kind, "first": first, "last": last, "same_as": 0})
            all_stops += own
    return {
        "members": members,
        "rules": make_table(RULE_RECORD, rules),
        "bundles": make_table(BUNDLE_RECORD, records),
        "stops": np.array(all_stops, dtype=np.int64),
        "rule_slots": np.zeros(1 << (2 * len(rules)).bit_length(), dtype=np.int64),
        "places": np.zeros(len(all_stops), dtype=np.int64),
    }


def chain_policies(members: np.ndarray, alike: Sequence[Hashable], stops: Sequence[int | None]) -> None:
    """Note for each policy which one differs in nothing but the next stricter limits, and order their turns so that it comes first.

    Parameters
    ----------
    members : ndarray of MEMBER_RECORD
    alike : sequence
        Everything of each policy but its limits.
    stops : sequence of int or None
        By policy: the number of failed nodes at which its limits stop it, if that is all there is to them.
    """
    members["stricter"] = -1
    latest: dict[Hashable, int] = {}
    turns = sorted(range(len(members)), key=lambda number: (stops[number] or 0, number))
    members["turn"] = turns
    for number in turns:
        if stops[number] is not None:
            members["stricter"][number] = latest.get(alike[number], -1)
            latest[alike[number]] = number
