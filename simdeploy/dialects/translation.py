"""Translation of a policy to the other dialect of the API, with notes on losses."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any

from simdeploy.api import (
    DeploymentSpec,
    GeneralSpec,
    HealthCheck,
    RolloutHealthCheck,
    RolloutSpec,
    canonical_json,
    unknown_keys,
)
from simdeploy.api.spec import SPEC_TYPES, api_spec
from simdeploy.api.values import MAX_COUNT
from simdeploy.dialects.general_form import from_general, to_general
from simdeploy.errors import Problem, format_path, nearest, plural, raise_if_any, shorten
from simdeploy.rules.waves import DEFAULT_WAVE_PERCENT
from simdeploy.units import MAX_DURATION_NS, short_duration, write_duration

if TYPE_CHECKING:
    from simdeploy.api import Dialect, Spec


@dataclass(frozen=True)
class Translation:
    """A spec in another dialect."""

    spec: Spec
    notes: tuple[str, ...] = ()  # keys that change their form, in words, including the losses
    # Keys that this dialect can't express, at least not in this fleet. Without any, rollouts are the same.
    losses: tuple[str, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether both specs mean the same rollouts."""
        return not self.losses

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as in a scenario's policies, with its dialect."""
        return {"dialect": self.spec.dialect, **self.spec.to_dict()}

    def to_json(self) -> str:
        """Return the spec as JSON that the API accepts, without a gate."""
        return canonical_json(api_spec(self.spec).to_dict())


def translate_spec(
    spec: Spec, dialect: Dialect, *, nodes: int, interval_ns: int, window_reset: bool = True
) -> Translation:
    """Translate a spec to another dialect: between the API's dialects as closely as possible, otherwise exactly or not at all.

    Parameters
    ----------
    spec : DeploymentSpec or RolloutSpec
        Without `spec_problems`.
    dialect : {'deployment', 'rollout'}
        The dialect to write. In its own dialect a spec is unchanged, except that `Translation.to_json` omits a gate, which the
        API doesn't have.
    nodes : int
        Nodes of the fleet, at least 1, to convert between numbers of nodes and percentages.
    interval_ns : int
        Length of an evaluation window if the dialect states none (`health.interval` of the scenario), nanoseconds.
    window_reset : bool, default True
        The orchestrator's switch: whether an unhealthy window resets the count of healthy windows in the deployment dialect.
        In the rollout dialect it always does.

    Returns
    -------
    Translation
        With explicit values wherever the defaults of the dialects differ. Keys that the API doesn't know, and those
        that the strategy immediate ignores, are left out.

    Raises
    ------
    InputError
        If there is no such dialect, or the fleet has no nodes; or for every key of a general policy that a dialect of the
        API can't express.

    Notes
    -----
    `max_parallel` n of N nodes becomes the highest percent p with ceil(p N / 100) <= n (model, section 4), which is
    exact if any is; the lowest one, 1 percent, may be more than n. `min_healthy_time` becomes a number of windows, rounded
    up as in the model (section 3). `failure_threshold` becomes one more than the number of windows that can end before the
    deadline, so that it never decides; in the other direction it is lost, unless it never decides. Translations to and from
    the general dialect assume the orchestrator's defaults `wave_rounding: ceil` (for percentages) and
    `explicit_zero_limit: zero_tolerance` (for limits of 0).

    Examples
    --------
    >>> spec = DeploymentSpec(strategy="rolling", max_parallel=45, health_check=HealthCheck(deadline="5m"))
    >>> translation = translate_spec(spec, "rollout", nodes=1000, interval_ns=10_000_000_000)
    >>> translation.spec.max_parallel, translation.spec.health_check.success_threshold
    (4, 3)
    >>> translation.losses
    ('max_parallel: 45 of 1,000 nodes is not a whole percent; 4 percent are 40 nodes',)
    """
    problems = []
    if dialect not in SPEC_TYPES:
        allowed, hint = ", ".join(SPEC_TYPES), nearest(dialect, SPEC_TYPES)
        problems.append(Problem("unknown dialect", found=shorten(dialect), allowed=allowed, hint=hint))
    if nodes < 1:
        problems.append(Problem("the fleet has no nodes", ("nodes",), found=shorten(nodes), allowed="1 or more"))
    raise_if_any(problems)
    if spec.dialect == dialect:
        gate = name_gate(spec)
        return Translation(spec, (f"{gate}; omitted from the API spec",) if gate else ())
    if isinstance(spec, GeneralSpec):
        translated, notes = from_general(spec, dialect, nodes=nodes, interval_ns=interval_ns)
        return Translation(translated, tuple(notes))
    if dialect == "general":
        return Translation(to_general(spec, interval_ns=interval_ns))
    translator = _Translator(spec, nodes, interval_ns, window_reset)
    bare = api_spec(spec)
    if isinstance(bare, RolloutSpec):
        return translator.to_deployment(bare)
    assert isinstance(bare, DeploymentSpec)  # noqa: S101 - the other two have been dealt with
    return translator.to_rollout(bare)


def name_gate(spec: Spec) -> str:
    """Say which gate of a spec the API doesn't have; empty without one.

    Examples
    --------
    >>> name_gate(DeploymentSpec(strategy="rolling", health_check={"deadline": "5m", "gate": "sprt"}))
    'gate: the API has no sprt gate, only the threshold'
    """
    gate = None if spec.health_check is None or spec.strategy == "immediate" else spec.health_check.gate
    if gate is None or gate.kind == "threshold":
        return ""
    return f"gate: the API has no {gate.kind} gate, only the threshold"


class _Translator:
    """One translation, which collects its notes."""

    def __init__(self, spec: Spec, nodes: int, interval_ns: int, window_reset: bool) -> None:
        self._nodes = nodes
        self._interval_ns = interval_ns
        self._window_reset = window_reset
        self._notes: list[str] = []
        self._losses: list[str] = []
        unknown = [format_path(problem.path) for problem in unknown_keys(spec)]
        self._notes += [f"{path}: not an API key; left out" for path in unknown]
        changed = ("max_parallel", "health_check")
        self._common = {name: value for name, value in spec if value is not None and name not in (*changed, *unknown)}
        if spec.strategy == "immediate":
            ignored = [name for name in changed if getattr(spec, name) is not None]
            self._notes += [f"{name}: ignored by immediate; left out" for name in ignored]
        if gate := name_gate(spec):
            self._note_loss(f"{gate}; left out")

    def _note_loss(self, text: str) -> None:
        self._notes.append(text)
        self._losses.append(text)

    def to_rollout(self, spec: DeploymentSpec) -> Translation:
        if spec.strategy == "immediate":
            return self._end(RolloutSpec(**self._common))
        max_parallel = self._percent(spec.effective("max_parallel"))
        health_check = self._windows(spec.health_check or HealthCheck())
        return self._end(RolloutSpec(**self._common, max_parallel=max_parallel, health_check=health_check))

    def _percent(self, wanted: int) -> int:
        nodes = self._nodes
        if wanted == 0:
            return 100
        if wanted >= nodes:
            who = f"{wanted:,} nodes are all {nodes:,} of this fleet" if nodes > 1 else "1 node is all of this fleet"
            self._notes.append(f"max_parallel: {who}, 100 percent")
            return 100
        # In this dialect 0 percent would mean the default.
        percent = max(100 * wanted // nodes, 1)
        wave = ceil(Fraction(percent * nodes, 100))
        meant = f"{percent} percent {'is 1 node' if wave == 1 else f'are {wave:,} nodes'}"
        if wave == wanted:
            self._notes.append(f"max_parallel: in this fleet of {nodes:,}, {meant}; a percentage scales with the fleet")
        else:
            self._note_loss(f"max_parallel: {wanted:,} of {nodes:,} nodes is not a whole percent; {meant}")
        return percent

    def _windows(self, health_check: HealthCheck) -> RolloutHealthCheck:
        deadline_ns, interval_ns = health_check.deadline_ns or 0, self._interval_ns
        healthy_ns = health_check.min_healthy_time_ns
        successes = -(-healthy_ns // interval_ns)
        window = short_duration(interval_ns)
        if successes == 0:
            self._note_loss("min_healthy_time: a node needs 1 healthy window, since success_threshold can't be 0")
        elif healthy_ns % interval_ns:
            meant = f"{short_duration(healthy_ns)} is rounded up to {plural(successes, 'window')} of {window}"
            self._notes.append(f"min_healthy_time: {meant}, as in the simulation")
        self._compare_counting(successes)
        fitting = deadline_ns // interval_ns
        self._notes.append(
            f"failure_threshold: {fitting + 1:,}, never reached: only {plural(fitting, 'window')} of {window} "
            f"{'fits' if fitting == 1 else 'fit'} the deadline (the deployment dialect has no such threshold)"
        )
        given = {} if health_check.max_error_rate is None else {"max_error_rate": health_check.max_error_rate}
        return RolloutHealthCheck(
            deadline=deadline_ns,
            interval=interval_ns,
            success_threshold=self._cap(max(successes, 1), MAX_COUNT, "success_threshold"),
            failure_threshold=self._cap(fitting + 1, MAX_COUNT, "failure_threshold"),
            **given,
        )

    def to_deployment(self, spec: RolloutSpec) -> Translation:
        if spec.strategy == "immediate":
            return self._end(DeploymentSpec(**self._common))
        max_parallel = self._count(spec.effective("max_parallel") or DEFAULT_WAVE_PERCENT)
        health_check = self._time(spec.health_check or RolloutHealthCheck())
        return self._end(DeploymentSpec(**self._common, max_parallel=max_parallel, health_check=health_check))

    def _count(self, percent: int) -> int:
        if percent == 100:
            return 0
        wave = ceil(Fraction(percent * self._nodes, 100))
        meant = f"{wave:,} of this fleet's {self._nodes:,} nodes are {percent} percent"
        self._notes.append(f"max_parallel: {meant}; a number of nodes doesn't scale with the fleet")
        return wave

    def _time(self, health_check: RolloutHealthCheck) -> HealthCheck:
        deadline_ns, interval_ns = health_check.deadline_ns or 0, health_check.interval_ns
        successes = health_check.effective("success_threshold")
        failures = health_check.effective("failure_threshold")
        if interval_ns != self._interval_ns:
            lengths = short_duration(interval_ns), short_duration(self._interval_ns)
            self._note_loss(f"interval: windows of {lengths[0]} can't be expressed; the scenario's {lengths[1]} apply")
        self._compare_counting(successes)
        if failures <= deadline_ns // interval_ns:
            windows = "unhealthy window" if failures == 1 else "unhealthy windows in a row"
            self._note_loss(
                f"failure_threshold: can't be expressed; a node fails at its deadline, not after {failures:,} {windows}"
            )
        healthy_ns = self._cap(successes * interval_ns, MAX_DURATION_NS, "min_healthy_time")
        given = {} if health_check.max_error_rate is None else {"max_error_rate": health_check.max_error_rate}
        return HealthCheck(deadline=write_duration(deadline_ns), min_healthy_time=write_duration(healthy_ns), **given)

    def _compare_counting(self, successes: int) -> None:
        if successes > 1 and not self._window_reset:
            self._note_loss(
                "window_reset: if false, healthy windows add up in the deployment dialect; the rollout dialect needs them "
                "in a row"
            )

    def _cap(self, value: int, most: int, name: str) -> int:
        if value > most:
            self._note_loss(f"{name}: cut to the dialect's maximum")
        return min(value, most)

    def _end(self, spec: Spec) -> Translation:
        return Translation(spec, tuple(self._notes), tuple(self._losses))
