"""How a control plane interprets a policy: the switches that the API leaves undocumented, and their presets."""

# ruff: noqa: RUF009 - `switch` returns a field

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from simdeploy.units import NS_PER_S

Pacing = Literal["barrier", "sliding", "rate"]
PercentOf = Literal["fleet", "resolved", "wave"]
OnFailure = Literal["rollback", "pause", "stop", "continue"]
UnreachableNodes = Literal["fail", "skip", "wait"]
CantTell = Literal["wait", "pass", "stop", "unhealthy"]
Rounding = Literal["ceil", "floor", "nearest"]

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Rate:
    """Batches under ``pacing: rate``: one a minute, growing with time or with the nodes of earlier batches."""

    per_minute: Fraction = Fraction(50)  # nodes in the first batch
    growth: Fraction = Fraction(1)  # factor from batch to batch
    max_per_minute: Fraction | None = None  # largest batch; None without a limit
    # A batch grows each time the earlier ones have had this many more nodes; None: after each batch.
    growth_every: int | None = None


def switch(
    default: _Value,
    text: str,  # what it means, in the schema and the documents
    *,
    tried: tuple[
        Fraction, ...
    ] = (),  # of a number: values to try, as fractions of the nodes or of the mean duration of an update
    of_others: bool = False,  # whether it describes other orchestrators, as opposed to what the API leaves open
) -> _Value:
    """Declare a switch: a field of `Orchestrator`, whose type says which values are allowed."""
    return field(default=default, metadata={"text": text, "tried": tried, "of_others": of_others})


@dataclass(frozen=True)
class Orchestrator:
    """One value per switch; the defaults are the preset ``expanso``.

    A key of the scenario file, its schema and the tables in the documents follow from a field, and so do a field of compiled code's
    record and the values to try. Times are in nanoseconds.
    """

    preset: str = "expanso"  # the bundle that the switches started from
    pacing: Pacing = switch("barrier", "What starts the next nodes: the wave resolved, a free slot, or the clock.")
    failed_node_holds_slot: bool = switch(
        default=False, text="Whether a failed node keeps its slot (sliding, or within a wave)."
    )
    failed_node_freezes: bool = switch(
        default=False, text="Whether nothing more is dispatched once a node has failed.", of_others=True
    )
    slot_until: Literal["resolved", "started"] = switch("resolved", "When a node's slot is free.", of_others=True)
    all_slots_held: Literal["wait", "fail"] = switch(
        "wait", "Effect of failed nodes that hold all slots or freeze the rollout.", of_others=True
    )
    lost_waves: Literal["continue", "fail"] = switch(
        "continue", "Effect of a wave in which every node failed or was skipped.", of_others=True
    )
    limit_comparison: Literal["exceeds", "reaches"] = switch("exceeds", "Whether to stop above a limit or at it.")
    limit_combination: Literal["either", "both"] = switch("either", "Limits to cross: count or percent, or both.")
    failures_counted: Literal["cumulative", "consecutive"] = switch(
        "cumulative",
        "Which failures max_failed_nodes bounds: all, or those since a node last became running.",
        of_others=True,
    )
    failed_tries_count: bool = switch(
        default=False,
        text="Whether each failed try of a node counts for max_failed_nodes, not only its last.",
        of_others=True,
    )
    failed_percent_of: PercentOf = switch("fleet", "Denominator of the percent limit.")
    limits_judged: Literal["at_once", "wave_end"] = switch(
        "at_once", "When limits are judged; always at once under sliding."
    )
    minimum_sample: int = switch(
        0,
        "Resolved nodes required before max_failed_nodes_percent applies.",
        tried=(Fraction(1, 10), Fraction(1, 2)),
    )
    limits_apply_to_immediate: bool = switch(default=True, text="Whether limits stop an immediate rollout.")
    canary_size: Literal["larger", "count_first", "percent_first"] = switch(
        "larger", "Which of count and percent applies if both are set."
    )
    canary_rounding: Rounding = switch("ceil", "Rounding of a percent of the nodes; at least 1.")
    wave_rounding: Rounding = switch(
        "ceil", "Rounding of a percent of the nodes in the general dialect; at least 1.", of_others=True
    )
    canary_gate: Literal["all_healthy", "limits"] = switch(
        "all_healthy", "Whether one failed canary stops the rollout, or canaries count like other nodes."
    )
    deadline_starts: Literal["dispatch", "started"] = switch("dispatch", "Start of the deadline's clock.")
    window_reset: bool = switch(default=True, text="Whether an unhealthy window restarts min_healthy_time.")
    bake_time_ns: int = switch(
        0, "Pause after a wave; running nodes are not watched.", tried=(Fraction(1), Fraction(10))
    )
    reporting_delay_ns: int = switch(
        0,
        "By how much limits, promotion and completion lag behind pacing.",
        tried=(Fraction(1, 4), Fraction(1)),
    )
    rate: Rate = switch(Rate(), "Batches, under pacing: rate; default: 50 nodes a minute.")
    no_traffic: Literal["healthy", "unhealthy"] = switch("healthy", "How a window without requests counts.")
    node_local_rollback: bool = switch(default=False, text="Whether a failed node rolls back by itself.")
    on_failure: OnFailure = switch("rollback", "Effect of a crossed limit.")
    rollback_pacing: Literal["all_at_once", "max_parallel"] = switch("all_at_once", "Pacing of a rollback.")
    unreachable_nodes: UnreachableNodes = switch(
        "fail", "Treatment of nodes that are down or offline when their turn comes."
    )
    paused_clocks: Literal["run", "stop"] = switch(
        "run", "Whether bake time, promotion delay and rate clock run while paused."
    )
    explicit_zero_limit: Literal["zero_tolerance", "default"] = switch(
        "zero_tolerance", "Meaning of an explicit limit of 0."
    )
    cant_tell: CantTell = switch("wait", "What an undecided gate does at the end of the observation.")

    def switches(self) -> dict[str, Any]:
        """Return every switch under its name in the scenario file, as plain values."""
        values = {each.key: each.write(getattr(self, each.field)) for each in SWITCHES.values()}
        return {"preset": self.preset, **values}

    def to_numbers(self) -> dict[str, int]:
        """Return every switch but `rate` as a number, for compiled code: a word as its place among the allowed ones."""
        numbers = {each.key: each.number_of(getattr(self, each.field)) for each in SWITCHES.values()}
        return {key: number for key, number in numbers.items() if number is not None}


@dataclass(frozen=True)
class Switch:
    """A switch as it was declared."""

    field: str  # of `Orchestrator`
    hint: Any  # `bool`, a `Literal`, `int` or `Rate`
    default: Any
    text: str
    tried: tuple[Fraction, ...]
    of_others: bool

    @property
    def key(self) -> str:
        """Its name in a scenario file."""
        return self.field.removesuffix("_ns")

    @property
    def is_duration(self) -> bool:
        """Whether it is a time."""
        return self.key != self.field

    @property
    def values(self) -> tuple[str | bool, ...]:
        """The allowed values if they are a closed list, the default first."""
        return (self.default, not self.default) if self.hint is bool else get_args(self.hint)

    def write(self, value: Any) -> Any:
        """Return a value as plain data, times in seconds."""
        if isinstance(value, Rate):
            return {key: float(x) if isinstance(x, Fraction) else x for key, x in vars(value).items()}
        return value / NS_PER_S if self.is_duration else value

    def number_of(self, value: Any) -> int | None:
        """Return a value as a number, None if it is a `Rate`."""
        if isinstance(value, str):
            return self.values.index(value)
        return value if isinstance(value, int) else None


def _list_switches() -> dict[str, Switch]:
    hints = get_type_hints(Orchestrator)
    declared = [each for each in fields(Orchestrator) if each.metadata]
    switches = (Switch(each.name, hints[each.name], each.default, **each.metadata) for each in declared)
    return {each.key: each for each in switches}


SWITCHES = _list_switches()  # by key


def switch_values() -> dict[str, tuple[str | bool, ...]]:
    """Return the values of every switch with a closed list, the default first.

    Examples
    --------
    >>> switch_values()["limit_comparison"]
    ('exceeds', 'reaches')
    """
    return {key: each.values for key, each in SWITCHES.items() if each.values}


EXPANSO = Orchestrator()
PRESETS: dict[str, Orchestrator] = {
    "expanso": EXPANSO,
    "expanso-rollout": replace(EXPANSO, preset="expanso-rollout", node_local_rollback=True),
}
