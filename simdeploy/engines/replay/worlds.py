"""Rollouts on record as the worlds of a scenario."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from simdeploy.api.times import time_in_week
from simdeploy.engines.replay.interpreting import Interpreter
from simdeploy.engines.replay.knowing import RunBy, know, number
from simdeploy.engines.replay.model import Modeller
from simdeploy.engines.replay.refusing import find_refusals
from simdeploy.engines.replay.replaying import replay
from simdeploy.errors import raise_if_any
from simdeploy.rules.deployment_types import TYPES
from simdeploy.scenario.past_rollouts import choose_histories
from simdeploy.world.change_windows import calendar_of
from simdeploy.world.draws import Draws
from simdeploy.world.streams import Stream

if TYPE_CHECKING:
    from simdeploy.engines.recording import Recording
    from simdeploy.engines.replay.known import KnownRollout
    from simdeploy.engines.replay.model import Model
    from simdeploy.records.histories import History
    from simdeploy.scenario import Scenario, ScenarioPolicy


class Past(NamedTuple):
    """A rollout on record, prepared for replays."""

    interpreter: Interpreter  # interprets policies for its fleet
    run_by: RunBy | None  # policy and switches that it was run by; None if not on record
    known: KnownRollout

    @classmethod
    def of(cls, history: History) -> Past:
        """Read the record of a rollout."""
        interpreter = Interpreter(history, number([row["zone"] for row in history.nodes]))
        run_by = interpreter.recorded()
        return cls(interpreter, run_by, know(history, run_by, interpreter.interval_ns(run_by)))


class _Shared:
    """What replications share whose world is the same rollout, which may also be those of other scenarios."""

    def __init__(self, past: Past) -> None:
        self.recorded, self.known = past.run_by, past.known
        self._last: tuple[object, Modeller] | None = None

    def find_modeller(self, scenario: Scenario) -> Modeller:
        """Return the modeller of the rollout in a scenario, mostly the same as in the last one."""
        last, kinds = self._last, scenario.drawn_release if TYPES[self.known.type_name].releases else ()
        laws = scenario.fleet, kinds, scenario.operator
        if last is None or last[0] != laws:
            last = self._last = laws, Modeller(self.known, *laws)
        return last[1]


# Must not refer to the records, which would then be kept forever.
_SHARED: WeakKeyDictionary[History, _Shared] = WeakKeyDictionary()


class PastWorld:
    """The recorded rollout of a replication, as the world of any number of policies."""

    def __init__(self, scenario: Scenario, *, seed: int, replication: int) -> None:
        self._scenario, self._seed, self._replication = scenario, seed, replication

    # What all policies share is computed once.

    @cached_property
    def _history(self) -> History:
        return choose_past(self._scenario, seed=self._seed, replication=self._replication)

    @cached_property
    def _shared(self) -> _Shared:
        if self._history not in _SHARED:
            _SHARED[self._history] = _Shared(Past.of(self._history))
        return _SHARED[self._history]

    @cached_property
    def _model(self) -> Model:
        return self._shared.find_modeller(self._scenario).draw(self._seed, self._replication)

    def run(self, chosen: ScenarioPolicy) -> Recording:
        """Replay the rollout under a policy; after the record ends, draw from the fleet's laws given the record.

        Raises
        ------
        InputError
            If the rollout can't be replayed under the policy.
        """
        scenario, history, shared = self._scenario, self._history, self._shared
        run_by = RunBy(chosen.policy, scenario.orchestrator_of(chosen))
        where = ("rollout", str(history.rollout["rollout"]))
        raise_if_any(
            [problem.at(prefix=where) for problem in find_refusals(history, shared.known, shared.recorded, run_by)]
        )
        calendar = calendar_of(scenario.operator.change_windows, time_in_week(chosen.identity.created_at))
        return replay(shared.known, *run_by, self._model, calendar=calendar).recording


def choose_past(scenario: Scenario, *, seed: int, replication: int) -> History:
    """Return the recorded rollout of a replication: one of all, or of those with the scenario's kind of release."""
    if scenario.past is None:
        raise AssertionError
    histories = choose_histories(scenario.past, scenario.release, scenario.kind)
    if not scenario.past.is_resampled:
        return histories[replication % len(histories)]
    return histories[int(Draws(seed, replication).draw(Stream.PAST_ROLLOUT) * len(histories))]
