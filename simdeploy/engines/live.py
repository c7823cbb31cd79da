"""A rollout that advances with the caller's clock, and on which people act by hand (model section 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.engines.choice import check_room
from simdeploy.engines.deployments import Recorded, make_deployment, recorded_deployments
from simdeploy.engines.reference.engine import begin_reference
from simdeploy.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from simdeploy.api import Deployment
    from simdeploy.engines.reference.people import Act
    from simdeploy.scenario import Scenario, ScenarioPolicy


class LiveRollout:
    """One replication of one policy up to an instant, simulated no further.

    The caller is the operator, who promotes and rolls back with `act`. The scenario's script acts as well.

    Raises
    ------
    InputError
        If the fleet is too large, or replays rollouts on record.

    Examples
    --------
    >>> import simdeploy
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "two nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "policies": {"one-by-one": {"strategy": "rolling", "max_parallel": 1, "health_check": {"deadline": "5m"}}},
    ... })
    >>> rollout = LiveRollout(scenario, scenario.policy(), seed=0, replication=0)
    >>> rollout.act("pause")
    >>> rollout.advance(600_000_000_000)
    True
    >>> status = rollout.deployments()[0].status
    >>> status.state, status.updated_nodes
    ('paused', 1)
    """

    def __init__(self, scenario: Scenario, policy: ScenarioPolicy, *, seed: int, replication: int) -> None:
        if scenario.past is not None:
            message = "rollouts on record can't be acted on"
            raise InputError(Problem(message, ("fleet", "records"), file=scenario.source))
        check_room(scenario, [policy], "reference", is_choice=False)
        self._policy = policy
        self._run = begin_reference(scenario, policy, seed=seed, replication=replication, by_hand=True)
        self.now_ns = 0
        self._run.advance(0)

    def advance(self, now_ns: int, may_go_on: Callable[[], bool] = lambda: True) -> bool:
        """Simulate up to the end of an instant, nanoseconds after the start.

        Stops when `may_go_on` returns false, and returns whether the end was reached. If not, call it again before anything else.
        """
        self.now_ns = max(self.now_ns, now_ns)
        return self._run.advance(self.now_ns, may_go_on)

    def why_not(self, act: Act) -> str | None:
        """Say why an act would have no effect now; None if it would."""
        return self._run.controller.people.why_not(act)

    def act(self, act: Act) -> None:
        """Act in the nanosecond after now, and advance to it."""
        self._run.act(act, self.now_ns + 1)
        self.advance(self.now_ns + 1)

    @property
    def recorded(self) -> list[Recorded]:
        """The deployment so far, and its rollback if there is one."""
        run = self._run
        canaries = [node.number for node in run.controller.canaries]
        return recorded_deployments(self._policy, run.controller.history, run.rollback.history, canaries)

    def deployments(self) -> tuple[Deployment, ...]:
        """Return the deployment, and its rollback if there is one, as the API shows them now."""
        return tuple(self.show(recorded) for recorded in self.recorded)

    def show(self, recorded: Recorded) -> Deployment:
        """Return one of `recorded` as the API shows it now."""
        return make_deployment(self._policy, recorded, len(recorded.history))
