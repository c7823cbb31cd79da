"""Names of responses, measures, cases and factors, shortened as far as they stay distinct."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.experiments.levers import FACTOR_PREFIX, write_duration_of
from simdeploy.responses import ALL_RESPONSES

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.scenario.measures import Measure

# The name and unit of each response that is a number; "fraction" is shown as a percentage, "s" in the unit of time that fits.
LABELS: dict[str, tuple[str, str]] = {
    **{
        response.name: (response.label, "s" if response.is_duration else "fraction" if response.is_fraction else "")
        for response in ALL_RESPONSES
        if response.dtype != "str"
    },
    "cost": ("cost", ""),
    "cost_delay": ("cost of delay", ""),
    "cost_failed_requests": ("cost of failed requests", ""),
    "cost_unavailability": ("cost of unavailability", ""),
    "cost_unrestored_nodes": ("cost of unrestored nodes", ""),
    "cost_lost_requests": ("cost of lost requests", ""),
    "cost_shed_requests": ("cost of shed requests", ""),
    "cost_false_alarm": ("cost of false alarms", ""),
    "cost_escape": ("cost of escapes", ""),
}

# The name of each event, in the plural.
EVENTS = {
    "completed_good": "completed good releases",
    "stopped_defective": "stopped defective releases",
    "false_alarm": "false alarms",
    "escaped": "escapes",
    "pending": "pending rollouts",
    "in_progress": "rollouts that never end",
    "paused": "rollouts that stay paused",
    "completed": "completed rollouts",
    "failed": "failed rollouts",
    "canceled": "canceled rollouts",
    "good": "good releases",
    "defective": "defective releases",
    "passed_canary": "rollouts past their canaries",
}
_GIVEN = {
    "good": "of good releases",
    "defective": "of defective releases",
    "completed_good": "of completed good releases",
    "completed": "of completed rollouts",
    "passed_canary": "past the canaries",
}


def describe_measure(measure: Measure) -> str:
    """Name a measure, as the heading of a column.

    Examples
    --------
    >>> from simdeploy.scenario.measures import parse_measure
    >>> for text in ("makespan_s", "p95 blast_radius given defective", "false_alarm given good"):
    ...     print(describe_measure(parse_measure(text)))
    makespan
    p95 of blast radius of defective releases
    false alarms of good releases
    """
    name = EVENTS[measure.of] if measure.kind == "rate" else LABELS[measure.of][0]
    how = "" if measure.quantile is None else f"p{100 * measure.quantile:g} of "
    given = "" if measure.given is None else f" {_GIVEN.get(measure.given, f'given {measure.given}')}"
    return f"{how}{name}{given}"


def name_cases(cases: pd.DataFrame, columns: Sequence[str] | None = None) -> list[str]:
    """Return a name for the case of each row: the values that differ.

    The name consists of scenario and policy, and of factors by the ends of their keys; if nothing differs, of the policy. Cases that
    occur twice in a design also get their number. `columns` identify a case; by default all columns do.

    Examples
    --------
    >>> import pandas as pd
    >>> cases = pd.DataFrame({
    ...     "case": range(3), "policy": "waves", "error_rate": [0.1, 0.2, float("nan")],
    ...     "scenario.fleet.error_rate": [0.1, 0.1, 0.2], "auto_promote": [True, False, False],
    ... })
    >>> for name in name_cases(cases):
    ...     print(name)
    error_rate 0.1, fleet.error_rate 0.1, auto_promote true
    error_rate 0.2, fleet.error_rate 0.1, auto_promote false
    error_rate unset, fleet.error_rate 0.2, auto_promote false
    >>> name_cases(cases[:1])
    ['waves']
    """
    keys = [str(name) for name in (cases.columns if columns is None else columns) if name != "case"]
    telling = [key for key in keys if cases[key].nunique(dropna=False) > 1]
    telling = telling or ["policy" if "policy" in keys else key for key in keys[:1]]
    varied = [key for key in telling if key not in ("scenario", "policy")]
    short = dict(zip(varied, shorten_names(varied), strict=True))
    words = [
        [f"{short[key]} {format_factor(key, value)}" if key in short else str(value) for value in cases[key]]
        for key in telling
    ]
    names = [", ".join(of_case) for of_case in zip(*words, strict=True)]
    if "case" not in cases:
        return names
    numbers = cases["case"].tolist()
    owners: dict[str, set[Any]] = {}
    for name, number in zip(names, numbers, strict=True):
        owners.setdefault(name, set()).add(number)
    return [
        f"{name}, case {number}" if len(owners[name]) > 1 else name for name, number in zip(names, numbers, strict=True)
    ]


def shorten_names(names: Sequence[str]) -> list[str]:
    """Return the shortest distinct ends of paths.

    Examples
    --------
    >>> shorten_names(["health_check.max_error_rate", "scenario.fleet.start_failure"])
    ['max_error_rate', 'start_failure']
    >>> shorten_names(["scenario.fleet.error_rate", "scenario.release.bad.error_rate"])
    ['fleet.error_rate', 'bad.error_rate']
    >>> shorten_names(["health_check.gate.kind", "scenario.fleet.traffic.daily.1.1"])
    ['gate.kind', 'daily.1.1']
    """
    short = []
    for name in names:
        parts = name.split(".")
        # Keys of a gate are unclear by themselves, and so are ends that begin with an index of a list.
        least = 2 if parts[-2:-1] == ["gate"] else 1
        lengths = (n for n in range(least, len(parts) + 1) if not parts[-n].isdigit())
        ends = (".".join(parts[-n:]) for n in lengths)
        others = [other for other in names if other != name]
        short.append(next((end for end in ends if not any(f".{other}".endswith(f".{end}") for other in others)), name))
    return short


def name_factors(names: Sequence[str]) -> list[str]:
    """Return names of factors without the section of the scenario, if they stay distinct.

    Examples
    --------
    >>> name_factors(["scenario.fleet.start_failure", "scenario.release.bad.error_rate", "max_parallel"])
    ['start_failure', 'bad.error_rate', 'max_parallel']
    """
    short = [name.split(".", 2)[-1] if name.startswith(FACTOR_PREFIX) else name for name in names]
    return [name if short.count(end) > 1 else end for name, end in zip(names, short, strict=True)]


def format_factor(name: str, value: Any) -> str:
    """Write the value of a varied key by its full name; durations, which are seconds in tables, with their unit.

    Examples
    --------
    >>> format_factor("health_check.deadline", 600.0), format_factor("max_parallel", 4)
    ('10m', '4')
    """
    return write_duration_of(name, value) or format_value(value)


def format_value(value: Any) -> str:
    """Write the value of a factor.

    Examples
    --------
    >>> format_value(0.05), format_value(3), format_value(True), format_value(float("nan"))
    ('0.05', '3', 'true', 'unset')
    """
    import pandas as pd

    if pd.isna(value):
        return "unset"
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
