"""Policies that observe more or less: other numbers of canaries, other times until a node is healthy."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from simdeploy.errors import InputError, Problem, raise_if_any, shorten
from simdeploy.experiments.levers import Lever, change_quietly
from simdeploy.units import NS_PER_S, exact, format_duration, is_whole, round_half_up

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

Kind = Literal["canaries", "minutes"]
LEVERS: tuple[Kind, ...] = get_args(Kind)

_MINUTE_NS = 60 * NS_PER_S
_MORE_CANARIES = (1, 2, 4, 8)
_MORE_MINUTES = (1, 2, 4, 8)


class Step(NamedTuple):
    """A policy with an amount of observation, `value`; `is_current` marks the current policy.

    A value is a number of canaries, or the additional minutes of observation per node, negative for less.
    """

    lever: Kind
    value: float
    policy: ScenarioPolicy
    is_current: bool


def make_steps(
    scenario: Scenario,
    policy: ScenarioPolicy,
    *,
    canaries: Sequence[int] | None = None,
    minutes: Sequence[float] | None = None,
) -> list[Step]:
    """Make policies that observe more or less than a rolling or canary policy, by setting, ascending.

    The current policy, one more canary, and one more minute are always included. By default numbers of canaries are
    none, half as many, as many, and 1, 2, 4 and 8 more, up to the number of nodes; minutes the shortest possible, 0,
    and 1, 2, 4 and 8 more. Under a policy with a list of waves, canaries stay as they are. Raises `InputError` for invalid
    values, and for a policy that observes nothing.
    """
    if policy.policy.strategy == "immediate" or policy.policy.deadline_ns is None:
        message = "the policy has no health check"
        allowed = "a rolling or canary policy"
        raise InputError(Problem(message, ("policy",), found=policy.name, allowed=allowed))
    _check(scenario, canaries, minutes)
    return [*_canary_steps(scenario, policy, canaries), *_minute_steps(scenario, policy, minutes)]


def _check(scenario: Scenario, canaries: Sequence[int] | None, minutes: Sequence[float] | None) -> None:
    nodes = scenario.fleet.nodes
    problems = [
        Problem(
            "invalid number of canaries",
            ("canaries",),
            found=shorten(value),
            allowed=f"0 to {nodes}, the number of nodes",
        )
        for value in (() if canaries is None else canaries)
        if not is_whole(value, 0, nodes)
    ]
    problems += [
        Problem("invalid number of minutes", ("minutes",), found=shorten(value), allowed="a finite number")
        for value in (() if minutes is None else minutes)
        if isinstance(value, bool) or not isinstance(value, Real) or value - value != 0
    ]
    raise_if_any(problems)


def _canary_steps(scenario: Scenario, policy: ScenarioPolicy, asked: Sequence[int] | None) -> list[Step]:
    from simdeploy.rules.waves import plan_waves

    nodes = scenario.fleet.nodes
    now = plan_waves(policy.policy, scenario.orchestrator_of(policy), nodes, scenario.fleet.zones).canaries
    usual = (0, now // 2, *(now + more for more in _MORE_CANARIES))
    values = {now, now + 1, *(usual if asked is None else map(int, asked))}
    if policy.policy.waves:
        if asked is not None and set(asked) - {now}:
            message = "the policy has a list of waves, which has no number of canaries"
            raise InputError(Problem(message, ("canaries",), found=shorten(asked), hint="compare other lists of waves"))
        values = {now}
    steps = []
    for value in sorted(value for value in values if value <= nodes):
        changed = policy if value == now else _with_canaries(scenario, policy, value)
        steps.append(Step("canaries", float(value), changed, is_current=value == now))
    return steps


def _with_canaries(scenario: Scenario, policy: ScenarioPolicy, count: int) -> ScenarioPolicy:
    values = {
        Lever("strategy", "other"): "canary" if count else "rolling",
        Lever("canary_count", "whole"): count or None,
        Lever("canary_percent", "whole"): None,
    }
    if count and policy.policy.strategy != "canary":
        # The policy has no manual promotion, so canaries are promoted automatically: nothing else should vary.
        values[Lever("auto_promote", "truth")] = True
    return change_quietly(policy, values, scenario)


def _minute_steps(scenario: Scenario, policy: ScenarioPolicy, asked: Sequence[float] | None) -> list[Step]:
    interval_ns, windows = policy.policy.interval_ns, policy.policy.windows_needed
    is_counted = policy.policy.min_healthy_ns is None
    # A threshold of 0 would mean that it is not set.
    least_ns = -(windows - 1) * interval_ns if is_counted else -(policy.policy.min_healthy_ns or 0)
    added = {0, _MINUTE_NS}
    for minutes in (least_ns / _MINUTE_NS, *_MORE_MINUTES) if asked is None else asked:
        added.add(max(round_half_up(exact(float(minutes)) * _MINUTE_NS), least_ns))
    if is_counted:
        added = {-(-ns // interval_ns) * interval_ns for ns in added}
    return [
        Step(
            "minutes",
            ns / _MINUTE_NS,
            _with_time(scenario, policy, ns) if ns else policy,
            is_current=ns == 0,
        )
        for ns in sorted(added)
    ]


def _with_time(scenario: Scenario, policy: ScenarioPolicy, added_ns: int) -> ScenarioPolicy:
    """Return the policy with another time until a node is healthy, and the deadline moved by as much.

    A node has as long to start as before; only the observation differs.
    """
    now = policy.policy
    assert now.deadline_ns is not None  # noqa: S101 - there is a health check
    deadline = format_duration(now.deadline_ns + added_ns)
    values: dict[Lever, object] = {Lever("health_check.deadline", "other"): deadline}
    if now.min_healthy_ns is not None:
        values[Lever("health_check.min_healthy_time", "other")] = format_duration(now.min_healthy_ns + added_ns)
    else:
        values[Lever("health_check.success_threshold", "whole")] = now.windows_needed + added_ns // now.interval_ns
    return change_quietly(policy, values, scenario)
