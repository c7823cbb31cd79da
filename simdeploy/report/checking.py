"""Requirements and their verdicts in the words of a person."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import (
    find_cost_unit,
    format_amount,
    is_or_are,
    list_some,
    measure_scale,
    percent,
    plural,
    write_estimate,
)
from simdeploy.scenario.measures import Measure, Requirement

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from simdeploy.analysis.checking.checking import Check
    from simdeploy.result import Table

_COLUMNS = (
    Column("policy", "policy"),
    Column("required", "requirement"),
    Column("verdict", "verdict"),
    Column("found", "found"),
    Column("n", "observations", "count"),
    Column("replications", "rollouts", "count"),
    Column("reason", "why", is_optional=True),
)


def describe_requirement(requirement: Requirement, cost_unit: str = "") -> str:
    """Say what is required; an amount of costs in `cost_unit`.

    Examples
    --------
    >>> from simdeploy.scenario.measures import parse_requirement
    >>> for text in ("false_alarm given good <= 1%", "p95 makespan_s <= 30m", "min_in_service_fraction >= 0.9"):
    ...     print(describe_requirement(parse_requirement(text)))
    false alarms of good releases: at most 1 %
    p95 of makespan: at most 30 min
    least in service: at least 90 %
    """
    scale = measure_scale(requirement.measure, abs(requirement.limit), cost_unit)
    sign = "at most" if requirement.at_least is None else "at least"
    return f"{describe_measure(requirement.measure)}: {sign} {format_amount(requirement.limit, scale, digits=6)}"


def requirement_of(row: Mapping[Hashable, Any]) -> Requirement:
    """Return the requirement that a row of `Check.verdicts` is about."""
    quantile, at_most, at_least = (
        None if math.isnan(row[name]) else row[name] for name in ("quantile", "at_most", "at_least")
    )
    given = row["given"] if isinstance(row["given"], str) else None
    return Requirement(Measure(row["of"], quantile, given), at_most, at_least)


def format_found(row: Mapping[Hashable, Any], cost_unit: str = "") -> str:
    """Write the estimate of a row of `Check.verdicts` with its bounds, in the unit in which its limit is told.

    Examples
    --------
    >>> row = {"of": "makespan_s", "quantile": 0.95, "given": None, "at_most": 600.0, "at_least": float("nan")}
    >>> format_found({**row, "estimate": 540.0, "low": 510.0, "high": float("nan")})
    '9.00 min (8.50 or more)'
    """
    requirement = requirement_of(row)
    return write_estimate(row, measure_scale(requirement.measure, abs(requirement.limit), cost_unit))


def tell(check: Check) -> str:
    """Return the answer of a check, in a sentence."""
    verdicts, confidence = check.verdicts["verdict"], f"{percent(check.confidence_level)} confidence"
    n, n_missed, n_open = len(verdicts), int(verdicts.eq("not met").sum()), int(verdicts.eq("undecided").sum())
    if n_missed:
        text = f"{_count(n_missed, n, 'not met')}, with {confidence} ({_name(check, 'not met')})"
        text += f"; {n_open:,} {is_or_are(n_open)} undecided" if n_open else ""
    elif n_open:
        tried = check.verdicts.loc[verdicts.eq("undecided"), "replications"].max()
        some = "The requirement" if n == 1 else f"{n_open:,} of {n:,} requirements"
        after = (
            f"{is_or_are(n_open)} undecided after {plural(tried, 'rollout')} of a policy"
            if tried
            else "can't be decided"
        )
        text = f"{some} {after} ({_name(check, 'undecided')})"
        text += f"; the others are met, each with {confidence}" if n_open < n else ""
    else:
        text = f"{_count(n, n, 'met')}, {'each ' if n > 1 else ''}with {confidence}"
    n_failed = sum(check.n_failed.values())
    failed = f" {plural(n_failed, 'replication')} failed and {is_or_are(n_failed)} left out."
    return f"{text}." + (failed if n_failed else "")


def tabulate(check: Check) -> tuple[Table, ...]:
    """Return the verdicts of a check as a table of words."""
    unit = find_cost_unit(check.computed_under)
    rows = [
        {**row, "required": describe_requirement(requirement_of(row), unit), "found": format_found(row, unit)}
        for row in check.verdicts.to_dict("records")
    ]
    title = f"Verdicts, each with {percent(check.confidence_level)} confidence, as has each bound by itself"
    return (make_table(title, rows, _COLUMNS),)


def _count(some: int, n: int, what: str) -> str:
    return f"{some:,} of {n:,} requirements {is_or_are(some)} {what}" if n > 1 else f"The requirement is {what}"


def _name(check: Check, verdict: str) -> str:
    rows = check.verdicts[check.verdicts["verdict"].eq(verdict)].to_dict("records")
    named, unit = [], find_cost_unit(check.computed_under)
    for row in rows:
        # Where nobody can know, that is the reason.
        but = f", but {row['reason']}" if row["unknown_fraction"] > 0 else ""
        named.append(f"{row['policy']}, {describe_requirement(requirement_of(row), unit)}{but}")
    return list_some(named, separator=";")
