"""Worlds in which what was seen happened, with their weights, by kind of release."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from simdeploy.analysis.advice.impossible import check_possible
from simdeploy.analysis.advice.impossible_nodes import check_chances, check_nodes
from simdeploy.analysis.advice.proposing_batches import read_batches
from simdeploy.analysis.advice.proposing_nodes import NodeGuide, widen
from simdeploy.analysis.advice.result import NODE_BY_NODE, WITHOUT_TABLE
from simdeploy.analysis.advice.searching import Found, Search
from simdeploy.analysis.advice.settling import settle_fleet
from simdeploy.analysis.advice.totals import refuse_evidence, refuse_totals
from simdeploy.analysis.advice.waves import find_cancel, find_pauses, read_course
from simdeploy.analysis.advice.ways import (
    find_spells,
    follows_clock,
    refuse_unsupported,
    shows_all_verdicts,
    why_no_laws,
)
from simdeploy.errors import InputError, Problem, warn_user
from simdeploy.rules.waves import Plan, plan_waves
from simdeploy.units import NS_PER_S
from simdeploy.world.operator import ScriptedAct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from simdeploy.analysis.advice.node_table import NodeTable
    from simdeploy.analysis.advice.seen import Seen
    from simdeploy.engines.continuing import Worlds
    from simdeploy.scenario import Scenario
    from simdeploy.world.release import ReleaseKind

_T = TypeVar("_T")
_R = TypeVar("_R")

# Warn if times are matched less closely than this.
_ROUGH_S = 2.0
# A kind whose rough share of the probability is smaller gets few worlds.
_LOG_NEGLIGIBLE = math.log(1e-6)
# The fraction of the probability that may be lost to worlds for which no replication was found.
_MOST_LOST = 0.01


@dataclass(frozen=True, eq=False)
class OfKind:
    """The worlds of one kind of release."""

    kind: ReleaseKind
    n_tried: int  # worlds drawn to find them
    worlds: Worlds
    # One per world: probability of the kind x (chance of what was seen / that of proposing it) / `n_tried`, on a scale
    # common to all kinds.
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class Conditioned:
    """Worlds in which what was seen happened."""

    scenario: Scenario  # with the pauses, or the cancel, that were seen
    seen: Seen  # as it was matched: improbable instants of nodes may differ by more
    by_kind: tuple[OfKind, ...]  # kinds that occur
    why_tried: str  # why whole worlds were tried; empty if chances are from the laws
    seed: int
    engine: str

    @property
    def why_any_tried(self) -> str:
        """Why whole worlds were tried, or each node by itself; empty if neither."""
        spells = find_spells(self.scenario)
        is_by_node = not self.why_tried and bool(spells)
        return f"{spells}{NODE_BY_NODE}" if is_by_node else self.why_tried

    @property
    def at_ns(self) -> int:
        """The instant after which acts take effect."""
        return self.seen.last.at_ns

    @property
    def effective_worlds(self) -> float:
        """The effective sample size of the weighted worlds (Kish)."""
        weights = np.concatenate([each.weights for each in self.by_kind])
        return float(weights.sum() ** 2 / (weights**2).sum())


def condition(
    scenario: Scenario,
    seen: Seen,
    *,
    replications: int,
    seed: int,
    engine: str,
    workers: int = 1,  # threads, over which kinds of release are distributed
    report_progress: Callable[[int], None] = lambda _: None,  # takes the number of worlds found since the last call
) -> Conditioned:
    """Draw worlds until there are about `replications` in which what was seen happened.

    Raises
    ------
    InputError
        If it can't happen, or can't be conditioned on.
    """
    refuse_unsupported(scenario, seen)
    orchestrator = scenario.orchestrator_of(seen.policy)
    plan = plan_waves(seen.policy.policy, orchestrator, scenario.fleet.nodes, scenario.fleet.zones)
    why_tried = why_no_laws(scenario, plan, seen)
    refuse_evidence(scenario, seen, why_tried)
    has_verdicts = shows_all_verdicts(scenario, seen, why_tried)
    if seen.nodes is not None:
        scenario = settle_fleet(scenario, seen.nodes)
        check_nodes(
            scenario,
            seen.policy,
            plan,
            seen.nodes,
            seen.last.at_ns,
            every_node_has_verdict=has_verdicts,
            has_laws=not why_tried and not find_spells(scenario),
        )
    by_clock = follows_clock(plan, why_tried)
    check_possible(scenario, plan, seen, every_node_has_verdict=has_verdicts, by_clock=by_clock)
    course = None
    if seen.nodes is None and not why_tried:
        read_seen = read_batches if plan.pacing == "rate" else read_course
        course = read_seen(scenario, plan, seen)
        course.pauses = find_pauses(seen)
    report_progress(0)  # the input is valid; from here on it can only turn out to be too improbable
    paused = _with_acts(scenario, seen, plan)
    kinds = [kind for kind in scenario.release if kind.probability]

    stop = Event()

    def search_all(seen: Seen) -> list[Search]:
        def search(number: int) -> Search:
            place, how = (number, len(kinds)), (seed, engine, report_progress, stop.is_set)
            return Search(paused, seen, plan, course, kinds[number], place, *how, has_laws=not why_tried)

        return _map_threads(workers, stop, search, range(len(kinds)))

    searches = search_all(seen)
    guides = [search.guide for search in searches if isinstance(search.guide, NodeGuide)]
    guides = [] if find_spells(scenario) else guides  # guides ignore spells, so they could refuse what is possible
    if seen.nodes is not None and guides:
        check_chances(seen.nodes, guides)
        wider = widen(seen.nodes, guides)
        if wider is not seen.nodes:
            _warn_of_width(wider)
            seen = replace(seen, nodes=wider)
            searches = search_all(seen)
    # Very improbable kinds get few worlds at first. If those turn out more probable, the kind gets as many as the others.
    most = max(search.log_likelihood for search in searches)
    likely = [search for search in searches if search.log_likelihood >= most + _LOG_NEGLIGIBLE]
    _map_threads(workers, stop, Search.glance, [search for search in searches if search not in likely])
    _find(likely, -(-replications // len(likely)), workers, stop)
    # Kinds under which this can't have happened leave their worlds to the others.
    most = max(search.log_found for search in searches)
    relevant = [search for search in searches if search.n_found and search.log_found >= most + _LOG_NEGLIGIBLE]
    missing = sum(search.n_found for search in relevant) < replications
    wanted = -(-replications // max(len(relevant), 1))
    _find([each for each in relevant if missing or each not in likely], wanted, workers, stop)
    if not any(search.n_found for search in searches):
        possible = np.any([search.possible_totals for search in searches], axis=0)
        refuse_totals(seen.totals, possible, sum(search.n_agreeing for search in searches))
    by_kind = _weigh([each.found for each in searches], why_tried)
    _refuse_rare_outages(searches)
    return Conditioned(paused, seen, by_kind, why_tried, seed, engine)


def _find(searches: list[Search], wanted: int, workers: int, stop: Event) -> None:
    """Search until `wanted` worlds of each kind are found, or no more can be, or the kind has turned out to be negligible."""
    searching, least = searches, -math.inf
    while searching := [search for search in searching if search.needs_more(wanted)]:
        # A kind that seems to be negligible gets only as many worlds again, until enough share the weight to tell.
        numbers = [wanted if search.log_found >= least else min(2 * search.n_found, wanted) for search in searching]
        _map_threads(workers, stop, lambda pair: pair[0].find_more(pair[1]), zip(searching, numbers, strict=True))
        least = max(search.log_found for search in searches) + _LOG_NEGLIGIBLE
        searching = [search for search in searching if search.log_found >= least or not search.is_settled]


def _refuse_rare_outages(searches: Sequence[Search]) -> None:
    """Raise `InputError` if what was seen may be due to outages of which too few could be found."""
    found, missed = (
        float(np.logaddexp.reduce([getattr(each, name) for each in searches])) for name in ("log_found", "log_missed")
    )
    if missed > found + math.log(_MOST_LOST):
        message = "an outage of a zone may explain what was seen, but is too rare for such worlds to be found"
        raise InputError(Problem(message, ("seen",), hint="leave out zone_outage if there was no outage"))


def _map_threads(workers: int, stop: Event, function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """Apply a function to each item on several threads, which are told to stop if this one is interrupted."""
    if workers == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(workers) as pool:
        try:
            return list(pool.map(function, items))
        except BaseException:
            stop.set()
            raise


def _warn_of_width(table: NodeTable) -> None:
    """Warn if the least probable times are matched only roughly."""
    widest_s = float(table.slack_ns.max()) / NS_PER_S
    if widest_s > _ROUGH_S:
        warn_user(f"the times of improbable nodes are matched to {widest_s:.0f} s instead of half a second")


def _with_acts(scenario: Scenario, seen: Seen, plan: Plan) -> Scenario:
    """Return a scenario with the pauses, resumptions and cancellation that were seen as scripted acts, taken as given.

    Canceling canaries that await a promotion is not scripted: it is the simulated operator's decision, which is evidence about the release.
    """
    pauses = find_pauses(seen)
    acts = [ScriptedAct(begins, "pause") for begins, _ in pauses]
    acts += [ScriptedAct(int(ends), "resume") for _, ends in pauses if np.isfinite(ends)]
    if (canceled_ns := find_cancel(plan, seen)) is not None:
        acts.append(ScriptedAct(canceled_ns, "cancel"))
    operator = scenario.operator
    return replace(scenario, operator=replace(operator, script=(*operator.script, *acts))) if acts else scenario


def _weigh(pieces: list[Found], why_tried: str) -> tuple[OfKind, ...]:
    """Return the worlds of all kinds, with weights on one scale."""
    best = max((each.log_weights.max(initial=-np.inf) for each in pieces), default=-np.inf)
    if not np.isfinite(best):
        n_tried = sum(each.n_tried for each in pieces)
        hint = "does the scenario describe this fleet?"
        if why_tried:
            better = "a table of nodes" if WITHOUT_TABLE in why_tried else "fields"
            hint = f"whole worlds were tried because of {why_tried}; give fewer timestamps, or {better}"
        message = f"none of {n_tried:,} worlds agrees with this"
        raise InputError(Problem(message, ("seen",), hint=hint))
    by_kind, lost, kept = [], 0.0, 0.0
    for each in pieces:
        scale = float(each.kind.probability)
        weights = scale * np.exp(each.log_weights - best)
        by_kind.append(OfKind(each.kind, each.n_tried, each.worlds, weights))
        lost += scale * float(np.exp(each.lost - best).sum())
        kept += float(weights.sum())
    if lost > _MOST_LOST * (lost + kept):
        message = "what was seen is too improbable to find worlds in which it happens"
        raise InputError(Problem(message, ("seen",), hint="give fewer timestamps"))
    return tuple(by_kind)
