r"""The chance of totals of requests that no health window judged.

Given a world, the number of failed requests to the nodes on a version is binomial. Its probability is the mean of their levels of errors,
weighted by requests and by how long each node was on that version during the time of the total.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.counted import log_relative_binomial
from simdeploy.analysis.advice.drawing import draw_own_numbers
from simdeploy.analysis.advice.node_table import PENDING
from simdeploy.analysis.advice.ways import find_spells
from simdeploy.engines.looks import NOT_THERE
from simdeploy.errors import InputError, Problem, plural, raise_if_any
from simdeploy.units import NS_PER_S
from simdeploy.vocabulary import TERMINAL_STATES
from simdeploy.world.streams import Stream, uniforms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.analysis.advice.observed import Total
    from simdeploy.analysis.advice.rollouts import Rollouts
    from simdeploy.analysis.advice.seen import Seen
    from simdeploy.engines.worlds import Worlds
    from simdeploy.scenario import Scenario


def refuse_evidence(scenario: Scenario, seen: Seen, why_tried: str) -> None:
    """Raise `InputError` with the reason if counts of requests can't be conditioned on."""
    counts = seen.nodes is not None and bool(seen.nodes.counts)
    if not seen.totals and not counts:
        return
    behaviours, spells = scenario.fleet.behaviours, find_spells(scenario)
    reasons = {
        "a fleet without requests": not all(each.requests_per_second for each in behaviours),
        spells: bool(spells),
        "traffic": any(each.traffic for each in behaviours),
        "a shared service": scenario.fleet.service is not None,
        "surged nodes": bool(seen.policy.policy.surge),
        "a rollout that has ended": seen.last.fields.get("state") in TERMINAL_STATES - {"completed"},
        "nodes that roll back by themselves": scenario.orchestrator_of(seen.policy).node_local_rollback,
    }
    why = next((reason for reason, holds in reasons.items() if holds), why_tried if counts else "")
    if why:
        raise InputError(Problem(f"counts of requests are not supported with {why}", ("evidence",)))


def refuse_totals(
    totals: Sequence[Total],
    possible: np.ndarray,  # whether any world can have had each
    n_worlds: int,  # that agree with the rest of what was seen
) -> None:
    """Raise `InputError` for totals that no world can have had, although worlds agree with the rest."""
    if not n_worlds:
        return
    problems = []
    for total, is_possible in zip(totals, possible, strict=True):
        if not is_possible:
            of_wave = "" if total.wave is None else f" of wave {total.wave + 1}"
            times = f"between {total.from_ns / NS_PER_S:g} and {total.to_ns / NS_PER_S:g} s"
            hint = f"was a node{of_wave} on the {total.version} version {times}"
            hint += ", and can its requests fail?" if total.failed else "?"
            worlds = plural(n_worlds, "world that otherwise agrees", "worlds that otherwise agree")
            message = f"none of {worlds} with what was seen can have had it"
            problems.append(Problem(message, ("evidence", f"row {total.row}"), hint=hint))
    raise_if_any(problems)


@dataclass(frozen=True, eq=False)
class Exposures:
    """When nodes were on each version, and their levels of errors."""

    rollouts: Rollouts
    worlds: Worlds
    nodes: np.ndarray  # NODE_LOOK at the time of observation, shape (worlds, nodes)

    def weigh(self, totals: Sequence[Total]) -> np.ndarray:
        """Return the log chance of each total in each world, relative to its maximum over all levels; shape (worlds, totals)."""
        n_worlds, n_nodes = self.nodes.shape
        numbers = np.tile(np.arange(n_nodes), n_worlds)
        replications = self.worlds.nodes.ravel()
        laws = self.rollouts.law_places.ravel()
        base, release, shows_ns = np.zeros(laws.shape), np.zeros(laws.shape), np.full(laws.shape, np.inf)
        rates = np.zeros(laws.shape)
        for place, law in enumerate(self.rollouts.laws(0)):
            chosen = np.flatnonzero(laws == place)
            if not len(chosen):
                continue
            identity = numbers[chosen], self.rollouts.seed, replications[chosen]
            levels, after_ns = draw_own_numbers(law, *identity)
            base[chosen], rates[chosen] = levels, float(law.behaviour.requests_per_second)
            if law.kind is not None and law.kind.error_rate:
                release[chosen], shows_ns[chosen] = law.kind.error_rate, after_ns
            if law.parts:
                u = uniforms(self.rollouts.seed, replications[chosen], Stream.AFFECTED, numbers[chosen])
                release[chosen[u >= law.share]] = 0.0
        of_nodes = [each.reshape(n_worlds, n_nodes) for each in (base, release, shows_ns, rates)]
        logs = np.zeros((n_worlds, len(totals)))
        for number, total in enumerate(totals):
            mean = self._mean(total, *of_nodes)
            with np.errstate(divide="ignore", invalid="ignore"):
                log_chance = log_relative_binomial(np.array(total.requests), np.array(total.failed), mean)
            logs[:, number] = np.where(np.isnan(mean), -np.inf if total.requests else 0.0, log_chance)
        return logs

    def _mean(
        self, total: Total, base: np.ndarray, release: np.ndarray, shows_ns: np.ndarray, rates: np.ndarray
    ) -> np.ndarray:
        """Return the mean level of the nodes on a version; NaN without any."""
        started = self.nodes["started_ns"].astype(float)
        never = self.nodes["started_ns"] == NOT_THERE
        if total.version == "old":
            dispatched = np.where(self.nodes["status"] == PENDING, np.inf, self.nodes["dispatched_ns"])
            begin, end = np.full(base.shape, total.from_ns), np.minimum(dispatched, total.to_ns)
            release = np.zeros(base.shape)
        else:
            begin, end = np.maximum(started, total.from_ns), np.where(never, -np.inf, total.to_ns)
        if total.wave is not None:
            sizes = self.rollouts.plan.sizes
            first = sum(sizes[: total.wave])
            of_wave = np.zeros(base.shape, dtype=bool)
            np.put_along_axis(of_wave, self.rollouts.order[:, first : first + sizes[total.wave]], values=True, axis=1)
            end = np.where(of_wave, end, -np.inf)
        length = np.maximum(end - begin, 0.0) * rates
        shown = np.where(never, 0.0, np.maximum(end - np.maximum(begin, started + shows_ns), 0.0) * rates)
        failed = base * length + (1 - base) * release * np.minimum(shown, length)
        with np.errstate(invalid="ignore", divide="ignore"):
            means: np.ndarray = failed.sum(axis=1) / length.sum(axis=1)
        return means
