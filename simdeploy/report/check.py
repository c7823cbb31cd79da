"""Requirements and their verdicts in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.errors import plural
from simdeploy.report import formatting, wording
from simdeploy.report.tables import Column, make_table
from simdeploy.scenario.measures import Measure, Requirement

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from simdeploy.analysis.checking.checking import Check
    from simdeploy.analysis.discovery.result import Discovery
    from simdeploy.analysis.switches.result import Switches
    from simdeploy.analysis.tuning.result import Tuning
    from simdeploy.result import Table

_COLUMNS = (
    Column("required", "requirement"),
    Column("verdict", "verdict"),
    Column("bounds", "estimate"),
    Column("n", "observations", "count"),
    Column("replications", "rollouts", "count"),
    Column("reason", "reason"),
)


def describe_requirement(requirement: Requirement, cost_unit: str = "", *, is_brief: bool = False) -> str:
    """Describe a requirement; costs are in `cost_unit`. A brief description leaves out usual conditions.

    Examples
    --------
    >>> from simdeploy.scenario.measures import parse_requirement
    >>> for text in ("false_alarm given good <= 1%", "p95 makespan_s <= 30m", "min_in_service_fraction >= 0.9"):
    ...     print(describe_requirement(parse_requirement(text)))
    false alarms of good releases at most 1 %
    p95 of makespan at most 30 min
    minimum in service at least 90 %
    >>> describe_requirement(parse_requirement("false_alarm given good <= 1%"), is_brief=True)
    'false alarms at most 1 %'
    """
    name = (wording.name_briefly if is_brief else describe_measure)(requirement.measure)
    return f"{name} {describe_limit(requirement, cost_unit)}"


def describe_requirements(result: Discovery | Switches | Tuning) -> list[str]:
    """Describe the requirements of a result, costs in its unit."""
    cost_unit = formatting.find_cost_unit(result.computed_under)
    return [describe_requirement(requirement, cost_unit) for requirement in result.requirements]


def describe_limit(requirement: Requirement, cost_unit: str = "") -> str:
    """Describe what a requirement allows; costs are in `cost_unit`.

    Examples
    --------
    >>> from simdeploy.scenario.measures import parse_requirement
    >>> describe_limit(parse_requirement("p95 makespan_s <= 30m"))
    'at most 30 min'
    """
    sign = "at most" if requirement.at_least is None else "at least"
    return f"{sign} {formatting.format_amount(requirement.limit, limit_scale(requirement, cost_unit), digits=6)}"


def limit_scale(requirement: Requirement, cost_unit: str) -> formatting.Scale:
    """Return the scale in which a requirement's limit is written."""
    return formatting.measure_scale(requirement.measure, abs(requirement.limit), cost_unit)


def estimate_scale(row: Mapping[Hashable, Any], requirement: Requirement, cost_unit: str) -> formatting.Scale:
    """Return the scale in which the estimate of a row is written: that of the limit, except for much shorter or longer durations."""
    scale = limit_scale(requirement, cost_unit)
    values = [abs(float(row[name])) for name in ("estimate", "low", "high") if not math.isnan(row[name])]
    if requirement.measure.is_duration and values and not 1 <= max(values) * scale.factor < 1000:
        return formatting.measure_scale(requirement.measure, max(values), cost_unit)
    return scale


def name_row(row: Mapping[Hashable, Any], cost_unit: str) -> str:
    """Return the name in tables of a row of `Check.verdicts`."""
    return f"{row['policy']}: {describe_requirement(requirement_of(row), cost_unit)}"


def requirement_of(row: Mapping[Hashable, Any]) -> Requirement:
    """Return the requirement of a row of `Check.verdicts`."""
    quantile, at_most, at_least = (
        None if math.isnan(row[name]) else row[name] for name in ("quantile", "at_most", "at_least")
    )
    given = row["given"] if isinstance(row["given"], str) else None
    return Requirement(Measure(row["of"], quantile, given), at_most, at_least)


def format_bounds(row: Mapping[Hashable, Any], cost_unit: str = "") -> str:
    """Write the estimate and bounds of a row of `Check.verdicts`, in the unit of its limit if that suits them.

    Examples
    --------
    >>> row = {"of": "makespan_s", "quantile": 0.95, "given": None, "at_most": 600.0, "at_least": float("nan")}
    >>> format_bounds({**row, "estimate": 540.0, "low": 510.0, "high": float("nan")})
    '9.00 min (8.50 or more)'
    >>> format_bounds({**row, "estimate": 5.0, "low": 3.8, "high": float("nan")})
    '5.0 s (3.8 or more)'
    """
    return formatting.write_estimate(row, estimate_scale(row, requirement_of(row), cost_unit))


def tell(check: Check) -> str:
    """Say whether all requirements are met, and which are not."""
    verdicts = check.verdicts["verdict"]
    n, n_missed, n_open = len(verdicts), int(verdicts.eq("not met").sum()), int(verdicts.eq("undecided").sum())
    level = formatting.percent(check.confidence_level)
    if n_missed:
        start = f"{_count(n_missed, n, 'not met')} ({level} confidence)"
        sentences = [[*_name(check, "not met", start), start]]
        if n_open:
            sentences.append([f"{n_open:,} {wording.is_or_are(n_open)} undecided"])
    elif n_open:
        tried = int(check.verdicts.loc[verdicts.eq("undecided"), "replications"].max())
        may_be_decided = bool(check.verdicts["may_be_decided"].any())
        state = "undecided" if tried or may_be_decided else "undecidable"
        start = _count(n_open, n, f"{state} after {plural(tried, 'rollout')} per policy" if tried else state)
        sentences = [[*_name(check, "undecided", start), start]]
        if may_be_decided:
            sentences.append(["Raise `most` (--most) to decide"])
        elif check.lacks_records:
            sentences.append([wording.say_on_record(check.computed_under["rollouts_on_record"]).capitalize()])
        if n_open < n:
            others = "The other is" if n - n_open == 1 else f"The {n - n_open:,} others are"
            sentences.append([f"{others} met ({level} confidence)"])
    else:
        sentences = [[f"{_count(n, n, 'met')} ({level} confidence{' each' if n > 1 else ''})"]]
    simulated = check.verdicts.groupby("policy")["replications"].max()
    if (n_failed := sum(check.n_failed.values())) and n_failed >= simulated.sum():
        sentences.append(["Every replication failed"])
    else:
        sentences.append([wording.say_failed(n_failed)])
    return wording.join_answer(sentences)


def tabulate(check: Check) -> tuple[Table, ...]:
    """Return the verdicts as a table."""
    unit = formatting.find_cost_unit(check.computed_under)
    rows = [
        {**row, "required": name_row(row, unit), "bounds": format_bounds(row, unit)}
        for row in check.verdicts.to_dict("records")
    ]
    title = f"Requirements (bounds: {formatting.percent(check.confidence_level)} confidence each)"
    return (make_table(title, rows, _COLUMNS),)


def _count(n_some: int, n: int, state: str) -> str:
    if n == 1:
        return f"The requirement is {state}"
    if n_some == n:
        # "All requirements are not met" could mean that some are.
        negated = {"not met": "is met", "undecidable": "can be decided"}.get(state)
        if negated:
            return f"{'Neither' if n == 2 else f'None of the {n:,}'} requirement{'s' if n > 2 else ''} {negated}"
        return f"{'Both' if n == 2 else f'All {n:,}'} requirements are {state}"
    return f"{n_some:,} of {n:,} requirements {wording.is_or_are(n_some)} {state}"


def _name(check: Check, verdict: str, start: str) -> list[str]:
    """Return a sentence that names the requirements with a verdict, and shorter ones."""
    names, unit = [], formatting.find_cost_unit(check.computed_under)
    for row in check.verdicts[check.verdicts["verdict"].eq(verdict)].to_dict("records"):
        # Rollouts that never end make a verdict impossible, so name them as the reason.
        reason = f", but {row['reason']}" if row["unknown_fraction"] > 0 else ""
        names.append(f"{row['policy']}, {describe_requirement(requirement_of(row), unit)}{reason}")
    return [f"{start}: {listed}" for listed in wording.list_forms(names, separator=";")]
