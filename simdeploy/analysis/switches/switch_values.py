"""Which values of the orchestrator's switches are tried: every one that it could have, and telling ones of the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING, Any

from simdeploy.rules.orchestrator import Orchestrator, Rate, switch_values
from simdeploy.units import NS_PER_S, format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simdeploy.scenario import Scenario
    from simdeploy.world.fleet import Fleet

_LONGEST_NS = 24 * 3600 * NS_PER_S


@dataclass(frozen=True)
class SwitchValue:
    """A value of one switch.

    Attributes
    ----------
    switch : str
        Its key below ``orchestrator``.
    value : str, bool, int or dict
        As a file would have it.
    text : str
        The value in words.
    """

    switch: str
    value: Any = field(compare=False)
    text: str

    def __str__(self) -> str:
        return f"{self.switch}: {self.text}"


def list_switch_values(scenario: Scenario) -> tuple[SwitchValue, ...]:
    """List the values of every switch other than the scenario's own, in the order of the model's section 6.

    Returns
    -------
    tuple of SwitchValue
        Of switches with a closed list all values. Of the three others the preset's value and two that tell something in
        this fleet: `minimum_sample` a tenth and a half of the nodes; `bake_time` the mean duration of an update (of the
        slowest class) and ten times that, in whole seconds and at most a day; `rate` a twentieth of the nodes a
        minute, and a hundredth that doubles every minute.

    Examples
    --------
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "small",
    ...     "fleet": {"nodes": 40, "update_duration": "45s"},
    ...     "orchestrator": {"limit_comparison": "reaches"},
    ...     "policies": {"at-once": {"strategy": "immediate"}},
    ... })
    >>> values = list_switch_values(scenario)
    >>> [str(value) for value in values if value.switch in ("limit_comparison", "minimum_sample", "bake_time", "rate")]
    ['limit_comparison: exceeds', 'minimum_sample: 4', 'minimum_sample: 20', 'bake_time: 45s', 'bake_time: 7m30s', 'rate: {per_minute: 2, growth: 1}', 'rate: {per_minute: 1, growth: 2}']
    """
    own, listed = scenario.orchestrator, {**switch_values(), **_telling_values(scenario.fleet)}
    return tuple(
        _as_in_a_file(switch.name, value)
        for switch in fields(Orchestrator)
        for value in dict.fromkeys(listed.get(switch.name, ()))
        if value != getattr(own, switch.name)
    )


def list_own_values(scenario: Scenario) -> dict[str, SwitchValue]:
    """Return the value that each switch has in a scenario, by its name."""
    switches = (switch.name for switch in fields(Orchestrator) if switch.name != "preset")
    own = (_as_in_a_file(name, getattr(scenario.orchestrator, name)) for name in switches)
    return {value.switch: value for value in own}


def pair_values(values: Sequence[SwitchValue]) -> Iterator[tuple[SwitchValue, SwitchValue]]:
    """Yield every two values of different switches."""
    return ((first, second) for first, second in combinations(values, 2) if first.switch != second.switch)


def _telling_values(fleet: Fleet) -> dict[str, tuple[Any, ...]]:
    nodes = fleet.nodes
    mean_s = max(behaviour.update_duration.mean * behaviour.slowdown.mean for behaviour in fleet.behaviours)
    bake_ns = min(math.ceil(min(mean_s, _LONGEST_NS / NS_PER_S)) * NS_PER_S, _LONGEST_NS)
    doubling = Rate(per_minute=Fraction(math.ceil(nodes / 100)), growth=Fraction(2))
    return {
        "minimum_sample": (0, math.ceil(nodes / 10), math.ceil(nodes / 2)),
        "bake_time_ns": (0, bake_ns, min(10 * bake_ns, _LONGEST_NS)),
        "rate": (Rate(), Rate(per_minute=Fraction(math.ceil(nodes / 20))), doubling),
    }


def _as_in_a_file(name: str, value: Any) -> SwitchValue:
    if name == "bake_time_ns":
        text = format_duration(value)
        return SwitchValue("bake_time", text, text)
    if isinstance(value, Rate):
        keys = {key: float(number) for key, number in vars(value).items() if number is not None}
        return SwitchValue(name, keys, "{" + ", ".join(f"{key}: {number:g}" for key, number in keys.items()) + "}")
    return SwitchValue(name, value, str(value).lower() if isinstance(value, bool) else str(value))
