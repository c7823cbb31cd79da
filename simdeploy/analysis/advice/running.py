"""Continues the same worlds under each act, and computes their costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from simdeploy.analysis.asking.measuring import Values
from simdeploy.engines.continuing import LOOK, NOT_THERE, THE_END_NS, Continuation, Continued, Worlds, run_continuations
from simdeploy.experiments.jobs import Executor, Span
from simdeploy.scenario.measures import Measure
from simdeploy.vocabulary import RESPONSES, STATES, TERMINAL_STATES

if TYPE_CHECKING:
    from simdeploy.analysis.advice.conditioning import Conditioned
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.world.operator import ScriptedAct

# A way to continue worlds: further acts, and a policy that replaces theirs.
Way: TypeAlias = "tuple[tuple[ScriptedAct, ...], ScenarioPolicy | None]"
# Nodes per span: for the compiled engine under a dozen acts about a tenth of a second of work.
_NODES_PER_SPAN = {"compiled": 250_000, "reference": 5_000}
# Numbers of the terminal states.
OVER = [STATES.index(state) for state in sorted(TERMINAL_STATES)]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The outcomes of worlds, kind by kind."""

    numbers: dict[str, np.ndarray]  # responses that are numbers; NaN where unknown
    words: dict[str, np.ndarray]  # responses that are words; empty where missing
    looks: np.ndarray  # LOOK, shape (worlds, looks)
    looks_ns: tuple[int, ...]  # their instants
    exposed_later: np.ndarray  # nodes that start after the time of observation; an empty array if not counted
    costs: np.ndarray = field(default_factory=lambda: np.zeros(0))  # NaN without costs, or where unknown

    def look(self, at_ns: int) -> np.ndarray:
        """Return the deployment objects at the end of an instant."""
        return self.looks[:, self.looks_ns.index(at_ns)]


@dataclass(frozen=True, eq=False)
class _Job:
    """Worlds to be continued; a group of spans is a kind of release."""

    scenarios: tuple[Scenario, ...]
    policy: ScenarioPolicy
    worlds: tuple[Worlds, ...]
    ways: tuple[Continuation, ...]
    at_ns: int
    seed: int
    engine: str

    def run(self, span: Span) -> list[Outcomes]:
        """Continue some of the worlds; return their outcomes in each way."""
        places = slice(span.first, span.first + span.n_replications)
        worlds = self.worlds[span.group]
        all_continued = run_continuations(
            self.scenarios[span.group],
            self.policy,
            Worlds(worlds.roots[places], worlds.nodes[places]),
            self.ways,
            seed=self.seed,
            engine=self.engine,
        )
        return [self._read(continued, way) for continued, way in zip(all_continued, self.ways, strict=True)]

    def _read(self, continued: Continued, way: Continuation) -> Outcomes:
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
        return Outcomes(numbers, words, continued.looks, way.looks_ns, exposed)

    def failed(self, span: Span, stage: str, error: str) -> list[Outcomes]:  # noqa: ARG002 - outcomes have no error
        """Return outcomes that are all unknown."""
        n = span.n_replications
        all_outcomes = []
        for way in self.ways:
            looks = np.zeros((n, len(way.looks_ns)), LOOK)
            looks["state"] = NOT_THERE
            numbers = {name: np.full(n, np.nan) for name, dtype in RESPONSES.items() if dtype != "str"}
            words = {name: np.full(n, "", dtype=object) for name, dtype in RESPONSES.items() if dtype == "str"}
            exposed = np.zeros(0 if way.nodes_at_ns is None else n, dtype=np.int64)
            all_outcomes.append(Outcomes(numbers, words, looks, way.looks_ns, exposed))
        return all_outcomes

    def join(self, span: Span, parts: Sequence[tuple[Span, list[Outcomes]]]) -> list[Outcomes]:  # noqa: ARG002 - parts have all of it
        """Return the outcomes of a span that was run in parts."""
        in_order = [outcomes for _, outcomes in sorted(parts, key=lambda part: part[0])]
        return [_join(of_way) for of_way in zip(*in_order, strict=True)]


def _join(parts: Sequence[Outcomes]) -> Outcomes:
    return Outcomes(
        {name: np.concatenate([each.numbers[name] for each in parts]) for name in parts[0].numbers},
        {name: np.concatenate([each.words[name] for each in parts]) for name in parts[0].words},
        np.concatenate([each.looks for each in parts]),
        parts[0].looks_ns,
        np.concatenate([each.exposed_later for each in parts]),
    )


def _price(ways: Sequence[Outcomes], scenario: Scenario) -> list[Outcomes]:
    """Return outcomes with their costs."""
    import pandas as pd

    n = len(ways[0].looks)
    if scenario.costs is None:
        return [replace(outcomes, costs=np.full(n, np.nan)) for outcomes in ways]
    columns: dict[str, Any] = {
        "policy": np.repeat(np.arange(len(ways)), n),
        "replication": np.tile(np.arange(n), len(ways)),
    }
    for name in ways[0].numbers:
        columns[name] = np.concatenate([outcomes.numbers[name] for outcomes in ways])
    for name in ways[0].words:
        words = [word or None for outcomes in ways for word in outcomes.words[name].tolist()]
        columns[name] = pd.array(words, dtype="str")
    costs = Values(pd.DataFrame(columns), [Measure("cost")], costs=scenario.costs).of(Measure("cost"))
    return [replace(outcomes, costs=of_way) for outcomes, of_way in zip(ways, costs, strict=True)]


@dataclass(frozen=True)
class Runner:
    """Continues conditioned worlds."""

    conditioned: Conditioned
    executor: Executor
    # Times at which to look at the worlds: all of them if nothing is done, otherwise those just before acts.
    looks_ns: tuple[int, ...]
    course_ns: tuple[int, ...]  # further times if nothing is done
    report: Callable[[int], None] = lambda _: None  # takes the number of finished rollouts
    _done: dict[Way, Outcomes] = field(default_factory=dict)

    def run(self, script: tuple[ScriptedAct, ...] = (), changed: ScenarioPolicy | None = None) -> Outcomes:
        """Continue all worlds under further acts, or with another policy; return earlier outcomes of the same way, if any."""
        self.run_all([(script, changed)])
        return self._done[script, changed]

    def run_all(self, ways: Sequence[Way]) -> None:
        """Continue all worlds in several ways, which is much faster together than one after the other."""
        # In this order, a world that ends before a way differs from an earlier one need not be run again.
        left = sorted((way for way in dict.fromkeys(ways) if way not in self._done), key=_count_steps)
        if not left:
            return
        conditioned, kinds = self.conditioned, self.conditioned.by_kind
        job = _Job(
            tuple(conditioned.scenario.given(of_kind.kind.name) for of_kind in kinds),
            conditioned.seen.policy,
            tuple(of_kind.worlds for of_kind in kinds),
            tuple(self._continue(*way) for way in left),
            conditioned.at_ns,
            conditioned.seed,
            conditioned.engine,
        )
        nothing = Span(-1, 0, 1, 0, 0)
        done = [(nothing, job.failed(nothing, "", ""))]
        with closing(self.executor.run(job, self._list_spans())) as finished:
            for span, outcomes in finished:
                done.append((span, outcomes))
                self.report(span.n_replications * len(left))
        self._done.update(zip(left, _price(job.join(nothing, done), conditioned.scenario), strict=True))

    def _continue(self, script: tuple[ScriptedAct, ...], changed: ScenarioPolicy | None) -> Continuation:
        if script or changed is not None:
            change = None if changed is None else (self.conditioned.at_ns + 1, changed)
            before_acts = {act.at_ns - 1 for act in script}
            return Continuation(script, change, tuple(sorted(before_acts & {*self.looks_ns})))
        return Continuation((), None, tuple(sorted({*self.looks_ns, *self.course_ns})), THE_END_NS)

    def _list_spans(self) -> Iterator[Span]:
        size = max(_NODES_PER_SPAN[self.conditioned.engine] // self.conditioned.scenario.fleet.nodes, 1)
        for number, of_kind in enumerate(self.conditioned.by_kind):
            n = len(of_kind.weights)
            for first in range(0, n, size):
                yield Span(number, 0, 1, first, min(size, n - first))


def _count_steps(way: Way) -> int:
    script, changed = way
    return len(script) + (changed is not None)
