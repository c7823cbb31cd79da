"""Running the same worlds on under each act, and what each of them costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.measuring import Values
from simdeploy.engines.continuing import LOOK, NOT_THERE, Worlds, run_continued
from simdeploy.experiments.jobs import Span
from simdeploy.scenario.measures import Measure
from simdeploy.vocabulary import RESPONSES, STATES, TERMINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Callable

    from simdeploy.analysis.advice.conditioning import Conditioned, OfKind
    from simdeploy.experiments.jobs import Executor
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.world.operator import ScriptedAct

# Nodes whose rollouts are run in one span: about a tenth of a second of work.
_NODES_PER_SPAN = {"compiled": 250_000, "reference": 5_000}
# Later than anything that happens.
_END_NS = (1 << 62) - 1
# Numbers of states in which nothing is left to do.
OVER = [STATES.index(state) for state in sorted(TERMINAL_STATES)]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What becomes of worlds, kind by kind.

    Attributes
    ----------
    numbers : dict of str to ndarray of float
        Responses that are numbers; NaN where unknown.
    words : dict of str to ndarray of str
        Those that are words; empty where missing.
    looks : ndarray of LOOK, shape (worlds, looks)
    looks_ns : tuple of int
        Their instants.
    exposed_later : ndarray of int
        Nodes that start after the instant of looking; none if they were not counted.
    """

    numbers: dict[str, np.ndarray]
    words: dict[str, np.ndarray]
    looks: np.ndarray
    looks_ns: tuple[int, ...]
    exposed_later: np.ndarray

    def look(self, at_ns: int) -> np.ndarray:
        """Return the deployment objects at the end of an instant."""
        return self.looks[:, self.looks_ns.index(at_ns)]

    def replaced(self, places: np.ndarray, others: Outcomes) -> Outcomes:
        """Return outcomes of which some are those of others, with the looks of these."""

        def put(these: np.ndarray, those: np.ndarray) -> np.ndarray:
            these = these.copy()
            these[places] = those
            return these

        return Outcomes(
            {name: put(of, others.numbers[name]) for name, of in self.numbers.items()},
            {name: put(of, others.words[name]) for name, of in self.words.items()},
            put(self.looks[:, [self.looks_ns.index(at_ns) for at_ns in others.looks_ns]], others.looks),
            others.looks_ns,
            others.exposed_later,
        )

    def costs(self, scenario: Scenario) -> np.ndarray:
        """Return the cost of each rollout; NaN without costs, or where unknown."""
        import pandas as pd

        n = len(self.looks)
        if scenario.costs is None:
            return np.full(n, np.nan)
        columns: dict[str, Any] = {"policy": "seen", "replication": np.arange(n), **self.numbers}
        columns |= {
            name: pd.array([word or None for word in of.tolist()], dtype="str") for name, of in self.words.items()
        }
        found = Values(pd.DataFrame(columns), [Measure("cost")], costs=scenario.costs).of(Measure("cost"))
        costs: np.ndarray = found[0]
        return costs


@dataclass(frozen=True, eq=False)
class _Job:
    """Worlds to be run on; a group of spans is a kind of release."""

    scenarios: tuple[Scenario, ...]
    policy: ScenarioPolicy
    worlds: tuple[Worlds, ...]
    looks_ns: tuple[int, ...]
    at_ns: int
    changed: ScenarioPolicy | None
    seed: int
    engine: str
    counts_exposed: bool

    def run(self, span: Span) -> Outcomes:
        """Run some of the worlds."""
        places = slice(span.first, span.first + span.n_replications)
        worlds = self.worlds[span.group]
        continued = run_continued(
            self.scenarios[span.group],
            self.policy,
            Worlds(worlds.roots[places], worlds.nodes[places]),
            looks_ns=self.looks_ns,
            nodes_at_ns=_END_NS if self.counts_exposed else None,
            change=None if self.changed is None else (self.at_ns, self.changed),
            seed=self.seed,
            engine=self.engine,
        )
        block = continued.block
        rows, is_ok = block.index[0], block.is_ok[block.index[0]]
        numbers, words = {}, {}
        for name in RESPONSES:
            if name in block.codes:
                codes = np.where(is_ok, block.codes[name][rows], -1)
                words[name] = np.array([*block.words[name], ""], dtype=object)[codes]
            else:
                numbers[name] = np.where(is_ok, block.numbers[name][rows].astype(float), np.nan)
        exposed = np.zeros(0, dtype=np.int64)
        if continued.nodes is not None:
            exposed = (continued.nodes["started_ns"] > self.at_ns).sum(axis=1)
        return Outcomes(numbers, words, continued.looks, self.looks_ns, exposed)

    def failed(self, span: Span, stage: str, error: str) -> Outcomes:  # noqa: ARG002 - what it was is not told
        """Return worlds of which nothing is known."""
        n = span.n_replications
        looks = np.zeros((n, len(self.looks_ns)), LOOK)
        looks["state"] = NOT_THERE
        numbers = {name: np.full(n, np.nan) for name, dtype in RESPONSES.items() if dtype != "str"}
        words = {name: np.full(n, "", dtype=object) for name, dtype in RESPONSES.items() if dtype == "str"}
        exposed = np.zeros(n if self.counts_exposed else 0, dtype=np.int64)
        return Outcomes(numbers, words, looks, self.looks_ns, exposed)

    def join(self, span: Span, parts: Sequence[tuple[Span, Outcomes]]) -> Outcomes:  # noqa: ARG002 - parts have all of it
        """Return the outcome of a span that was done in parts."""
        return _join([outcomes for _, outcomes in sorted(parts, key=lambda part: part[0])])


def _join(parts: Sequence[Outcomes]) -> Outcomes:
    return Outcomes(
        {name: np.concatenate([each.numbers[name] for each in parts]) for name in parts[0].numbers},
        {name: np.concatenate([each.words[name] for each in parts]) for name in parts[0].words},
        np.concatenate([each.looks for each in parts]),
        parts[0].looks_ns,
        np.concatenate([each.exposed_later for each in parts]),
    )


@dataclass(frozen=True)
class Runner:
    """Runs conditioned worlds on.

    Attributes
    ----------
    executor : Executor
    looks_ns : tuple of int
        Instants at which the worlds are looked at.
    course_ns : tuple of int
        Further ones if nothing is done.
    report : callable
        Takes the number of rollouts that are done.
    """

    conditioned: Conditioned
    executor: Executor
    looks_ns: tuple[int, ...]
    course_ns: tuple[int, ...]
    report: Callable[[int], None] = lambda _: None
    _done: dict[tuple[ScriptedAct, ...], Outcomes] = field(default_factory=dict)

    def run(self, script: tuple[ScriptedAct, ...] = (), changed: ScenarioPolicy | None = None) -> Outcomes:
        """Run all worlds under further acts, once, or with another policy from now on."""
        if changed is not None:
            return self._run(script, changed)
        if script not in self._done:
            self._done[script] = self._run_rest(script)
        return self._done[script]

    def _run_rest(self, script: tuple[ScriptedAct, ...]) -> Outcomes:
        """Run worlds under a script; those that are over before its last act, under the acts before that, stay as they are."""
        acts_ns = script[-1].at_ns if script else 0
        before = self._done.get(tuple(act for act in script if act.at_ns < acts_ns))
        if before is None or not script or acts_ns - 1 not in self.looks_ns:
            return self._run(script, None)
        are_over = np.isin(before.look(acts_ns - 1)["state"], OVER)
        kinds, first = [], 0
        for of_kind in self.conditioned.by_kind:
            n = len(of_kind.weights)
            places = np.flatnonzero(~are_over[first : first + n])
            worlds = Worlds(of_kind.worlds.roots[places], of_kind.worlds.nodes[places])
            kinds.append(replace(of_kind, worlds=worlds, weights=of_kind.weights[places]))
            first += n
        self.report(int(are_over.sum()))
        return before.replaced(~are_over, self._run(script, None, kinds))

    def _run(
        self, script: tuple[ScriptedAct, ...], changed: ScenarioPolicy | None, kinds: Sequence[OfKind] | None = None
    ) -> Outcomes:
        operator = self.conditioned.scenario.operator
        scenario = replace(self.conditioned.scenario, operator=replace(operator, script=(*operator.script, *script)))
        kinds = self.conditioned.by_kind if kinds is None else kinds
        goes_on = not script and changed is None
        job = _Job(
            tuple(scenario.given(of_kind.kind.name) for of_kind in kinds),
            self.conditioned.seen.policy,
            tuple(of_kind.worlds for of_kind in kinds),
            (*self.looks_ns, *self.course_ns) if goes_on else self.looks_ns,
            self.conditioned.at_ns,
            changed,
            self.conditioned.seed,
            self.conditioned.engine,
            counts_exposed=goes_on,
        )
        nothing = Span(-1, 0, 1, 0, 0)
        done = [(nothing, job.failed(nothing, "", ""))]
        with closing(self.executor.run(job, self._list_spans(kinds))) as finished:
            for span, outcomes in finished:
                done.append((span, outcomes))
                self.report(span.n_replications)
        return job.join(nothing, done)

    def _list_spans(self, kinds: Sequence[OfKind]) -> Iterator[Span]:
        size = max(_NODES_PER_SPAN[self.conditioned.engine] // self.conditioned.scenario.fleet.nodes, 1)
        for number, of_kind in enumerate(kinds):
            n = len(of_kind.weights)
            for first in range(0, n, size):
                yield Span(number, 0, 1, first, min(size, n - first))
