"""Rollouts on record as the worlds of a scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from simdeploy.api.times import time_in_week
from simdeploy.engines.replay.interpreting import Interpreter
from simdeploy.engines.replay.knowing import RunBy, know, number
from simdeploy.engines.replay.model import Modeller
from simdeploy.engines.replay.refusing import find_refusals
from simdeploy.engines.replay.replaying import replay
from simdeploy.errors import raise_if_any
from simdeploy.rules.deployment_types import TYPES
from simdeploy.scenario.past_rollouts import find_kind
from simdeploy.world.change_windows import calendar_of
from simdeploy.world.draws import Draws
from simdeploy.world.streams import Stream

if TYPE_CHECKING:
    from simdeploy.engines.recording import Recording
    from simdeploy.engines.replay.known import KnownRollout
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


def run_past(scenario: Scenario, chosen: ScenarioPolicy, *, seed: int, replication: int) -> Recording:
    """Replay the recorded rollout of a replication; after the record ends, draw from the fleet's laws given the record.

    Raises
    ------
    InputError
        If that rollout can't be replayed under the policy.
    """
    history = choose_past(scenario, seed=seed, replication=replication)
    past = Past.of(history)
    run_by = RunBy(chosen.policy, scenario.orchestrator_of(chosen))
    where = ("rollout", str(history.rollout["rollout"]))
    raise_if_any([problem.at(prefix=where) for problem in find_refusals(history, past.known, past.run_by, run_by)])
    kinds = scenario.drawn_release if TYPES[past.known.type_name].releases else ()
    model = Modeller(past.known, scenario.fleet, kinds, scenario.operator).draw(seed, replication)
    calendar = calendar_of(scenario.operator.change_windows, time_in_week(chosen.identity.created_at))
    return replay(past.known, *run_by, model, calendar=calendar).recording


def choose_past(scenario: Scenario, *, seed: int, replication: int) -> History:
    """Return the recorded rollout of a replication: one of all, or of those with the scenario's kind of release."""
    if scenario.past is None:
        raise AssertionError
    histories = scenario.past.histories
    if scenario.kind is not None:
        names = [find_kind(history, scenario.release) for history in histories]
        histories = tuple(
            history
            for history, kind in zip(histories, names, strict=True)
            if kind is not None and kind.name == scenario.kind
        )
    if not scenario.past.is_resampled:
        return histories[replication % len(histories)]
    return histories[int(Draws(seed, replication).draw(Stream.PAST_ROLLOUT) * len(histories))]
