"""Which nodes and zones may have a spell by some time: the other nodes do what their laws say, so they need not be simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.units import NS_PER_S
from simdeploy.world.availability import CRASH_STREAMS, FLAP_STREAMS, ZONE_STREAMS
from simdeploy.world.distributions import Exponential
from simdeploy.world.residual import Residual
from simdeploy.world.streams import uniforms

if TYPE_CHECKING:
    from simdeploy.analysis.advice.rollouts import Rollouts
    from simdeploy.world.distributions import Distribution
    from simdeploy.world.fleet import Fleet, Outages
    from simdeploy.world.spells import SpellStreams

# Exceeds the rounding errors of chances, and of times to nanoseconds.
_ROUNDING = 1e-6


def find_disturbed(
    rollouts: Rollouts,
    worlds: np.ndarray,  # indices of the worlds
    nodes: np.ndarray,  # shape (worlds, nodes)
    tried: np.ndarray,  # the replications that nodes may take, shape (worlds, tries)
    at_ns: int,
) -> np.ndarray:
    """Return which nodes may crash, be degraded or lose their connection by some time; shape (worlds, tries, nodes).

    The others are, under any policy, in the good spells of time 0 until then.
    """
    fleet, x_s = rollouts.scenario.fleet, at_ns / NS_PER_S
    # An update may make crashes more frequent.
    rate = max(float(rollouts.kind.crash_rate), 1.0)
    classes = rollouts.class_of(rollouts.law_places[worlds[:, np.newaxis], nodes])
    disturbed = np.zeros((*tried.shape, nodes.shape[1]), dtype=bool)
    for number, behaviour in enumerate(fleet.behaviours):
        rows, columns = np.nonzero(classes == number)
        crash, flapping, outage = behaviour.crash, behaviour.flapping, behaviour.zone_outage
        if behaviour.down or behaviour.connection or (crash and crash.renewed_by_update):
            disturbed[rows, :, columns] = True
            continue
        subjects = nodes[rows, columns][:, np.newaxis]
        of_nodes = rollouts.seed, tried[rows], subjects, x_s
        ends = np.zeros((len(rows), tried.shape[1]), dtype=bool)
        if crash:
            ends |= _may_end(crash.up, crash.repair, CRASH_STREAMS, *of_nodes, rate)
        if flapping:
            good, degraded = Exponential(flapping.good_s), Exponential(flapping.degraded_s)
            ends |= _may_end(good, degraded, FLAP_STREAMS, *of_nodes)
        if outage:
            of_zones = rollouts.seed, rollouts.roots[worlds[rows], np.newaxis], subjects % fleet.zones, x_s
            ends |= _may_end(outage.up, outage.repair, ZONE_STREAMS, *of_zones)
        disturbed[rows, :, columns] = ends
    return disturbed


def find_outages(fleet: Fleet, zones: np.ndarray, seed: int, roots: np.ndarray, at_ns: float) -> np.ndarray:
    """Return in which of some zones an outage may be or begin by some time; shape (worlds, zones)."""
    down, ends = _bound_outages(fleet, at_ns)
    of_zones = roots[:, np.newaxis], zones
    found: np.ndarray = (uniforms(seed, of_zones[0], ZONE_STREAMS.state, of_zones[1]) < down) | (
        uniforms(seed, of_zones[0], ZONE_STREAMS.good, of_zones[1]) < ends
    )
    return found


def outage_chance(fleet: Fleet, n_zones: int, at_ns: float) -> float:
    """Return the chance that `find_outages` finds any of some zones; 0 if zones have no outages."""
    down, ends = _bound_outages(fleet, at_ns)
    return float(1 - ((1 - down) * (1 - ends)) ** n_zones)


def _bound_outages(fleet: Fleet, at_ns: float) -> tuple[float, float]:
    """Return the chances that a zone is down at time 0, and that an up time of time 0 may end by some time.

    Classes share the random numbers of a zone, so the largest chances are those of an outage for any class.
    """
    outages = _list_outages(fleet)
    down = [each.repair.mean / (each.up.mean + each.repair.mean) for each in outages]
    ends = [1 - float(Residual(each.up).survival(at_ns / NS_PER_S)) + _ROUNDING for each in outages]
    return max(down, default=0.0), min(max(ends, default=0.0), 1.0)


def _list_outages(fleet: Fleet) -> list[Outages]:
    return [each.zone_outage for each in fleet.behaviours if each.zone_outage and not each.down]


def _may_end(
    good: Distribution,
    bad: Distribution,
    streams: SpellStreams,
    seed: int,
    replications: np.ndarray,
    subjects: np.ndarray,
    x_s: float,
    rate: float = 1.0,  # the highest factor on the rate at which good spells end
) -> np.ndarray:
    """Return which processes begin with a bad spell, or with a good one that may end within a time."""
    lasts = float(Residual(good).survival(x_s)) ** rate
    is_bad = uniforms(seed, replications, streams.state, subjects) < bad.mean / (good.mean + bad.mean)
    may_end: np.ndarray = is_bad | (uniforms(seed, replications, streams.good, subjects) < 1 - lasts + _ROUNDING)
    return may_end
