"""Requirements and their verdicts in the words of a person."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.report.wording import Scale, format_number, measure_scale
from simdeploy.result import Table
from simdeploy.scenario.measures import Measure, Requirement

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from simdeploy.analysis.checking.checking import Check

_NAMED = 3


def describe_requirement(requirement: Requirement) -> str:
    """Say what is required.

    Examples
    --------
    >>> from simdeploy.scenario.measures import parse_requirement
    >>> for text in ("false_alarm given good <= 1%", "p95 makespan_s <= 30m", "min_in_service_fraction >= 0.9"):
    ...     print(describe_requirement(parse_requirement(text)))
    false alarms of good releases: at most 1 %
    p95 of makespan: at most 30 min
    least in service: at least 90 %
    """
    scale = measure_scale(requirement.measure, abs(requirement.limit))
    sign = "at most" if requirement.at_least is None else "at least"
    limit = f"{requirement.limit * scale.factor:,.6g} {scale.unit}".rstrip()
    return f"{describe_measure(requirement.measure)}: {sign} {limit}"


def requirement_of(row: Mapping[Hashable, Any]) -> Requirement:
    """Return the requirement that a row of `Check.verdicts` is about."""
    quantile, at_most, at_least = (
        None if math.isnan(row[name]) else row[name] for name in ("quantile", "at_most", "at_least")
    )
    given = row["given"] if isinstance(row["given"], str) else None
    return Requirement(Measure(row["of"], quantile, given), at_most, at_least)


def format_found(row: Mapping[Hashable, Any]) -> str:
    """Write the estimate of a row of `Check.verdicts` with its bounds, in the unit in which its limit is told.

    Examples
    --------
    >>> row = {"of": "makespan_s", "quantile": 0.95, "given": None, "at_most": 600.0, "at_least": float("nan")}
    >>> format_found({**row, "estimate": 540.0, "low": 510.0, "high": float("nan")})
    '9.00 min (8.50 or more)'
    """
    requirement = requirement_of(row)
    if math.isnan(row["estimate"]):
        return "no value"
    scale = measure_scale(requirement.measure, abs(requirement.limit))
    low, high = row["low"], row["high"]
    known = [abs(bound - row["estimate"]) for bound in (low, high) if not math.isnan(bound)]
    estimate, *bounds = (_format(row[name], max(known, default=0), scale) for name in ("estimate", "low", "high"))
    if not known:
        within = "no bounds"
    elif len(known) == 2:
        within = f"{bounds[0]} to {bounds[1]}"
    else:
        within = f"at most {bounds[1]}" if math.isnan(low) else f"{bounds[0]} or more"
    return f"{estimate} {scale.unit}".rstrip() + f" ({within})"


def tell(check: Check) -> str:
    """Return the answer of a check, in a sentence."""
    verdicts, confidence = check.verdicts["verdict"], f"{100 * check.confidence_level:g} % confidence"
    n, n_missed, n_open = len(verdicts), int(verdicts.eq("not met").sum()), int(verdicts.eq("undecided").sum())
    if n_missed:
        text = f"{_count(n_missed, n, 'not met')}, with {confidence} ({_name(check, 'not met')})"
        text += f"; {n_open:,} {_is(n_open)} undecided" if n_open else ""
    elif n_open:
        tried = check.verdicts.loc[verdicts.eq("undecided"), "replications"].max()
        some = "The requirement" if n == 1 else f"{n_open:,} of {n:,} requirements"
        after = (
            f"{_is(n_open if n > 1 else 1)} undecided after {count_rollouts(tried)} of a policy"
            if tried
            else "can't be decided"
        )
        text = f"{some} {after} ({_name(check, 'undecided')})"
        text += f"; the others are met, each with {confidence}" if n_open < n else ""
    else:
        text = f"{_count(n, n, 'met')}, {'each ' if n > 1 else ''}with {confidence}"
    n_failed = sum(check.n_failed.values())
    failed = f" {n_failed:,} {'replication' if n_failed == 1 else 'replications'} failed and {_is(n_failed)} left out."
    return f"{text}." + (failed if n_failed else "")


def tabulate(check: Check) -> tuple[Table, ...]:
    """Return the verdicts of a check as a table of words."""
    header: tuple[str, ...] = ("policy", "requirement", "verdict", "found", "observations", "rollouts", "why")
    rows: list[tuple[str, ...]] = []
    for row in check.verdicts.to_dict("records"):
        cells = (row["policy"], describe_requirement(requirement_of(row)), row["verdict"], format_found(row))
        rows.append((*cells, f"{row['n']:,}", f"{row['replications']:,}", row["reason"]))
    if not any(row[-1] for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    title = f"Verdicts, each with {100 * check.confidence_level:g} % confidence, as has each bound by itself"
    return (Table(title, header, tuple(rows)),)


def _format(value: float, uncertainty: float, scale: Scale) -> str:
    return format_number(value * scale.factor, uncertainty * scale.factor)


def count_rollouts(n: int) -> str:
    """Write a number of rollouts.

    Examples
    --------
    >>> count_rollouts(1), count_rollouts(1000)
    ('1 rollout', '1,000 rollouts')
    """
    return f"{n:,} rollout" + ("" if n == 1 else "s")


def _count(some: int, n: int, what: str) -> str:
    return f"{some:,} of {n:,} requirements {_is(some)} {what}" if n > 1 else f"The requirement is {what}"


def _is(n: int) -> str:
    return "is" if n == 1 else "are"


def _but(row: Mapping[Hashable, Any]) -> str:
    """Say that nobody can know, where that is the reason."""
    return f", but {row['reason']}" if row["unknown_fraction"] > 0 else ""


def _name(check: Check, verdict: str) -> str:
    rows = check.verdicts[check.verdicts["verdict"].eq(verdict)].to_dict("records")
    named = [f"{row['policy']}, {describe_requirement(requirement_of(row))}{_but(row)}" for row in rows[:_NAMED]]
    return "; ".join(named) + (f"; and {len(rows) - _NAMED:,} more" if len(rows) > _NAMED else "")
