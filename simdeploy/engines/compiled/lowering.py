"""Lowering of a scenario and its policies to plain records for compiled code.

Exact comparisons are prepared here, with unlimited precision: a probability becomes the first word that is not below it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.compiled.bundling import BEYOND_ANY_FLEET
from simdeploy.engines.compiled.codes import SLIDING, code_of
from simdeploy.engines.compiled.laws import LawTable
from simdeploy.engines.compiled.levels import make_pieces
from simdeploy.engines.compiled.lowering_policies import lower_policies
from simdeploy.engines.compiled.records import (
    CLASS_RECORD,
    CONTINUATION_RECORD,
    KIND_RECORD,
    PROCESS_RECORD,
    UNKNOWN,
    make_table,
)
from simdeploy.engines.compiled.spells import CRASH, FLAPPING, LINE, ZONE
from simdeploy.world.change_windows import is_always_open, weekly_openings
from simdeploy.world.distributions import Constant, Distribution, Exponential
from simdeploy.world.fleet import Across, Behaviour, Fleet, Order, traffic_points
from simdeploy.world.operator import Action, ScriptedAct
from simdeploy.world.release import AffectedBy, ReleaseKind
from simdeploy.world.tilt import NO_TILT, Tilt, log_weight_of_chance, odds_times, tilted_probabilities

if TYPE_CHECKING:
    from simdeploy.rules.deployment_types import TypeTraits
    from simdeploy.scenario import Scenario, ScenarioPolicy


@dataclass(frozen=True)
class Lowered:
    """The input of compiled code.

    Attributes
    ----------
    scalars : mapping of str to number
        Fields of the record of a run.
    tables : mapping of str to ndarray
        By the names of `tables.TABLES`.
    kept : tuple of ndarray
        Arrays that tables point to.
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
    behaviours = fleet.behaviours
    laws = LawTable()
    processes: list[dict[str, float]] = []
    classes = [_lower_class(scenario, number, b, laws, processes) for number, b in enumerate(behaviours)]
    pieces = _lower_traffic(behaviours, classes)
    lowered_kinds = _lower_kinds(kinds, laws, scenario.tilt or NO_TILT)
    may_bundle = may_bundle and _may_bundle(scenario, traits)
    policies, peaks = lower_policies(scenario, chosen, kinds, traits, may_bundle=may_bundle)
    script = lower_script(operator.script)
    names = [node_class.name for node_class in fleet.classes]
    by_zone = [set(kind.affects.members if kind.affects.by == "zones" else ()) for kind in kinds]
    # Windows that are always open are equivalent to none.
    openings = () if is_always_open(operator.change_windows) else weekly_openings(operator.change_windows)
    class_nodes = [(node, number) for number, of_class in enumerate(fleet.classes, start=1) for node in of_class.nodes]
    affects_nodes = [node for kind in kinds for node in _exact_nodes(kind)]
    scalars = {
        "nodes": fleet.nodes,
        "zones": fleet.zones,
        "order": code_of(Order, fleet.order),
        "n_classes": len(classes),
        "n_kinds": len(kinds),
        "n_acts": len(script),
        "last_act": len(script),
        "n_peaks": len(peaks),
        "n_affects_nodes": len(affects_nodes),
        "n_ordered": len(fleet.first),
        "n_class_nodes": len(class_nodes),
        "deals_classes": any(node_class.share is not None for node_class in fleet.classes),
        "releases": traits.releases,
        "undone": traits.undone,
        "begins": traits.begins,
        "leaves": traits.leaves,
        "goes_down": any(b.crash or b.zone_outage or b.down for b in behaviours),
        "degrades": any(b.flapping for b in behaviours),
        "goes_offline": any(b.connection for b in behaviours),
        "draws_levels": not all(isinstance(b.error_rate, Constant) for b in behaviours),
        "affects_some": any(kind.affects.by != "all" for kind in kinds),
        "shuffles": fleet.order == "random"
        or any(node_class.share is not None for node_class in fleet.classes)
        or any(kind.affects.by == "count" for kind in kinds),
        "draws_after": not all(isinstance(kind.after, Constant) for kind in kinds),
        "restarts": any(b.start_attempts > 1 for b in behaviours),
        "promote_after_law": laws.add(operator.promote_after),
        "escape_detection_law": laws.add(operator.escape_detection),
        "undo_after_law": laws.add(operator.undo_after),
        "notices_defect": operator.notices_defect,
        "rejects_good": operator.rejects_good,
        **_lower_service(fleet),
        "n_openings": len(openings),
        **scenario.orchestrator.to_numbers(),
        "goes_back_by_itself": scenario.orchestrator.node_local_rollback and traits.releases,
        **_lower_tilt(scenario.tilt),
        "n_policies": len(chosen),
        "n_rules": len(policies["rules"]),
        "n_bundles": len(policies["bundles"]),
        "n_slots": len(policies["bundle_slots"]),
        "n_stops": len(policies["stops"]),
        "has_gates": bool((policies["policies"]["gate"] >= 0).any()),
        "slides": bool((policies["policies"]["pacing"] == SLIDING).any()),
        "retries": bool((policies["policies"]["retries"] > 0).any()),
        "has_other_laws": laws.has_other_spells,
        "n_continuations": 0,
        "n_lineages": 0,
        "all_bundled": bool((policies["members"]["stop"] >= 0).all()),
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
        "level_pieces": np.array([make_pieces(b.error_rate) for b in behaviours]),
        "processes": make_table(PROCESS_RECORD, processes),
        "script": np.array(script, dtype=np.int64),
        "peaks": np.array(peaks, dtype=np.int64),
        "traffic": pieces,
        "continuations": np.zeros(0, CONTINUATION_RECORD),
        "look_times": np.zeros(0, np.int64),
        "day_points": np.array(traffic_points(behaviours), dtype=np.int64),
        "openings": np.array(openings, dtype=np.int64),
        **policies,
    }
    return Lowered(scalars, tables, (floats,))


def lower_script(acts: Sequence[ScriptedAct]) -> list[tuple[int, int]]:
    """Return times and codes of acts, by time."""
    return [(act.at_ns, code_of(Action, act.do)) for act in sorted(acts, key=lambda act: act.at_ns)]


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
        # The good law is never used.
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
    """Return the pieces of all classes' traffic, and store in each class which are its own."""
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
        share, factor = float(kind.affects.share or 0), tilt.affects if kind.affects.by == "share" else 1.0
        lowered.append(
            {
                # u = (word + 1/2) / 2**52 is below the probability p for words before this one: 2**52 p - 1/2, rounded up; in
                # integers, because fractions are slow.
                "first_word_beyond": -((reached.denominator - (reached.numerator << 53)) // (2 * reached.denominator)),
                "defective": kind.defective,
                "error_rate": kind.error_rate,
                "start_failure": kind.start_failure,
                "start_hang": kind.start_hang,
                "after": laws.add(kind.after),
                "crash_rate": kind.crash_rate,
                "affects": code_of(AffectedBy, kind.affects.by),
                "share": odds_times(share, factor),
                "log_spared": log_weight_of_chance(share, factor, happened=False),
                "log_affected": log_weight_of_chance(share, factor, happened=True),
                "count": min(kind.affects.count, BEYOND_ANY_FLEET),
                "first_node": first_node,
                "last_node": n_nodes,
                "log_weight": math.log(kind.probability / probability) if probability else 0.0,
            }
        )
    return lowered


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


def _may_bundle(scenario: Scenario, traits: TypeTraits) -> bool:
    """Tell whether policies under barrier pacing can be followed in bundles: nothing depends on the clock or on people."""
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
