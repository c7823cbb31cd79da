"""Measures of a policy (mean, quantile or rate, of all rollouts or some), events and requirements."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

from simdeploy.errors import InputError, Problem, listed, nearest, shorten
from simdeploy.responses import ALL_RESPONSES
from simdeploy.units import NS_PER_S, parse_duration
from simdeploy.vocabulary import COSTS, RESPONSES, STATES, VERDICTS

if TYPE_CHECKING:
    import numpy as np

# Numbers have means and quantiles, events have rates.
NUMBERS = (*(name for name, dtype in RESPONSES.items() if dtype != "str"), *COSTS)
SORTS = ("good", "defective")
PASSED = "passed_canary"
EVENTS = (*VERDICTS, *STATES, *SORTS, PASSED)
FRACTIONS = tuple(response.name for response in ALL_RESPONSES if response.is_fraction)
DURATIONS = tuple(response.name for response in ALL_RESPONSES if response.is_duration)
# Verdicts on defective releases; the others are on good ones.
ON_DEFECTIVE = ("stopped_defective", "escaped")
# Verdicts on rollouts that were stopped; the others are on completed ones.
ON_STOPPED = ("stopped_defective", "false_alarm")

_FORM = "[mean | p95] NAME [given WHAT]"
_REQUIREMENT_FORM = f"{_FORM} <= NUMBER, or >= NUMBER"
_MEASURE = re.compile(r"(?:(?P<how>mean|p\d{1,2}(?:\.\d+)?)\s+)?(?P<of>[\w-]+)(?:\s+given\s+(?P<given>.+))?")
_EVENT_FORM = "NUMBER < LIMIT (or <=, >, >=), or the name of an event; several with `and`; [given WHAT]"
_CONDITION = re.compile(r"(?P<of>[\w-]+)(?:\s*(?P<sign><=|>=|<|>)\s*(?P<limit>\S.*))?")
_REQUIREMENT = re.compile(r"(?P<measure>.*?)\s*(?P<sign><=|>=)\s*(?P<limit>.*)")


@dataclass(frozen=True)
class Measure:
    """A quantity estimated from a policy's replications.

    Notes
    -----
    ``passed_canary``: nodes were dispatched after the first wave (the canaries, if any), or the rollout completed. Rates
    of verdicts are among the rollouts with a verdict.

    Examples
    --------
    >>> str(Measure("blast_radius", quantile=0.95, given="defective"))
    'p95 blast_radius given defective'
    >>> parse_measure("false_alarm given good")
    Measure(of='false_alarm', quantile=None, given='good')
    """

    of: str  # one of `NUMBERS` (mean or quantile) or of `EVENTS` (rate)
    quantile: float | None = None  # quantile of a number, strictly between 0 and 1; None for the mean
    # Only these rollouts: ``good`` or ``defective`` releases, a kind of release by name, ``passed_canary``, a verdict
    # or a state.
    given: str | None = None

    @property
    def kind(self) -> Literal["mean", "quantile", "rate"]:
        """Kind of estimate."""
        if self.of in EVENTS:
            return "rate"
        return "mean" if self.quantile is None else "quantile"

    @property
    def is_fraction(self) -> bool:
        """Whether it is between 0 and 1 and shown as a percentage."""
        return self.kind == "rate" or self.of in FRACTIONS

    @property
    def is_duration(self) -> bool:
        """Whether it is a time in seconds."""
        return self.of in DURATIONS

    def __str__(self) -> str:
        how = "" if self.quantile is None else f"p{_write_percent(self.quantile)} "
        given = "" if self.given is None else f" given {self.given}"
        return f"{how}{self.of}{given}"


@dataclass(frozen=True)
class Condition:
    """A number (except costs) compared with a limit; or an event, without sign and limit."""

    of: str
    sign: str | None = None
    limit: float | None = None

    def __str__(self) -> str:
        return self.of if self.limit is None else f"{self.of} {self.sign} {_write(self.limit)}"


@dataclass(frozen=True)
class Event:
    """What may happen in a rollout: all conditions together.

    Examples
    --------
    >>> event = parse_event("failed_requests_excess > 50000 and escaped")
    >>> event.conditions[0].limit, str(event)
    (50000.0, 'failed_requests_excess > 50000 and escaped')
    """

    conditions: tuple[Condition, ...]
    given: str | None = None  # only these rollouts, as in `Measure`

    def __str__(self) -> str:
        given = "" if self.given is None else f" given {self.given}"
        return " and ".join(map(str, self.conditions)) + given


@dataclass(frozen=True)
class Requirement:
    """An upper or lower limit of a measure.

    Examples
    --------
    >>> requirement = parse_requirement("p95 blast_radius given defective <= 10%")
    >>> requirement.at_most, str(requirement)
    (0.1, 'p95 blast_radius given defective <= 0.1')
    """

    measure: Measure
    at_most: float | None = None  # this or the other, in the measure's unit (seconds, fractions, ...)
    at_least: float | None = None
    policy: str | None = None  # the policy it applies to; None for all

    @property
    def limit(self) -> float:
        """The limit, upper or lower."""
        limit = self.at_least if self.at_most is None else self.at_most
        assert limit is not None  # noqa: S101 - exactly one is set
        return limit

    def is_broken_by(self, values: np.ndarray) -> np.ndarray:
        """Return which values are beyond the limit; NaN never is.

        Examples
        --------
        >>> import numpy as np
        >>> parse_requirement("false_alarm <= 1%").is_broken_by(np.array([0.01, 0.02, np.nan])).tolist()
        [False, True, False]
        """
        is_broken: np.ndarray = values > self.at_most if self.at_most is not None else values < self.limit
        return is_broken

    def __str__(self) -> str:
        sign = ">=" if self.at_most is None else "<="
        return f"{self.measure} {sign} {_write(self.limit)}"


def find_subject(event: str | None, kinds: Collection[str]) -> bool | str | None:
    """Return the releases that an event is about: defective or good ones, or one of the `kinds`; None for any.

    Examples
    --------
    >>> [find_subject(event, ("fine", "bad")) for event in ("escaped", "good", "bad", "completed")]
    [True, False, 'bad', None]
    """
    if event in VERDICTS:
        return event in ON_DEFECTIVE
    if event in SORTS:
        return event == "defective"
    return event if event in kinds else None


def measure_problems(
    measure: Measure, kinds: tuple[str, ...] | None = None, *, has_costs: bool | None = None
) -> list[Problem]:
    """Return a measure's problems; paths are its keys.

    If the scenario's kinds of release are unknown, `given` may be any name; if it is unknown whether it has costs, they
    are allowed.
    """
    problems = []
    if measure.of not in (*NUMBERS, *EVENTS):
        hint = nearest(measure.of, [*NUMBERS, *EVENTS])
        allowed = None if hint else f"a response ({', '.join(NUMBERS)}) or an event ({', '.join(EVENTS)})"
        problems.append(Problem("unknown measure", ("of",), found=shorten(measure.of), allowed=allowed, hint=hint))
    if measure.quantile is not None:
        if not 0 < measure.quantile < 1:
            is_percent = 1 < measure.quantile < 100
            hint = f"write {measure.quantile / 100:g} for {measure.quantile:g} %" if is_percent else None
            found, allowed = f"{measure.quantile:g}", "above 0 and below 1, such as 0.95"
            problems.append(Problem("invalid quantile", ("quantile",), found=found, allowed=allowed, hint=hint))
        elif measure.of in EVENTS:
            problems.append(Problem("an event has no quantiles, only a rate", ("quantile",), found=measure.of))
    known = tuple(dict.fromkeys((*EVENTS, *(kinds or ()))))  # a kind may be called good
    if measure.given is not None and kinds is not None and measure.given not in known:
        found, meant = shorten(measure.given), (measure.given, known)
        problems.append(Problem("unknown condition", ("given",), found=found, allowed=listed(known), meant=meant))
    if measure.of in COSTS and has_costs is False:
        hint = 'add a `costs` section or use another measure, such as "makespan_s"'
        message = f"the scenario has no costs, so {measure.of} can't be measured"
        problems.append(Problem(message, ("of",), hint=hint))
    return problems


def requirement_problems(requirement: Requirement) -> list[Problem]:
    """Return problems of a requirement's limits; paths are its keys."""
    given = {key: getattr(requirement, key) for key in ("at_most", "at_least") if getattr(requirement, key) is not None}
    if len(given) != 1:
        found = "both" if given else "none"
        return [Problem("exactly one limit is required", found=found, allowed="at_most or at_least")]
    (key, limit), measure = next(iter(given.items())), requirement.measure
    if not _is_finite(limit):
        return [Problem("invalid amount", (key,), found=shorten(limit), allowed="a number")]
    if measure.is_fraction and not 0 <= limit <= 1:
        hint = f"write {limit / 100:g} for {limit:g} %" if 1 < limit <= 100 else None
        message = f"{measure.of} is between 0 and 1"
        return [Problem(message, (key,), found=f"{limit:g}", allowed="a fraction such as 0.01", hint=hint)]
    return []


def of_text(text: str, problems: Iterable[Problem]) -> list[Problem]:
    """Return problems with the text itself as their path."""
    return [replace(problem, path=(text,)) for problem in problems]


def parse_measure(text: str) -> Measure:
    """Parse a measure: ``makespan_s``, ``p95 blast_radius given defective``."""
    match = _MEASURE.fullmatch(text.strip())
    if match is None:
        raise InputError(Problem("invalid measure", found=shorten(text), allowed=_FORM))
    how, of, given = match["how"], match["of"], match["given"]
    quantile = None if how in (None, "mean") else _percent(how[1:])
    measure = Measure(of, quantile, given.strip() if given else None)
    problems = measure_problems(measure)
    if how == "mean" and measure.of in EVENTS:
        problems.append(Problem("an event has no mean, only a rate", ("of",), found=measure.of))
    if problems:
        raise InputError(of_text(text.strip(), problems))
    return measure


def parse_requirement(text: str) -> Requirement:
    """Parse a requirement: ``false_alarm given good <= 1%``, ``makespan_s <= 30m``."""
    match = _REQUIREMENT.fullmatch(text.strip())
    if match is None:
        raise InputError(Problem("invalid requirement", found=shorten(text), allowed=_REQUIREMENT_FORM))
    measure = parse_measure(match["measure"])
    limit = parse_amount(match["limit"], measure)
    is_most = match["sign"] == "<="
    requirement = Requirement(measure, limit if is_most else None, None if is_most else limit)
    problems = requirement_problems(requirement)
    if problems:
        raise InputError(of_text(text.strip(), problems))
    return requirement


def parse_event(text: str, kinds: tuple[str, ...] | None = None) -> Event:
    """Parse an event: ``min_in_service_fraction < 90%``, ``makespan_s > 2h and escaped``."""
    body, _, given = (part.strip() for part in text.partition(" given "))
    conditions = []
    problems: list[Problem] = []
    for part in re.split(r"\s+and\s+", body):
        match = _CONDITION.fullmatch(part)
        if match is None:
            problems.append(Problem("invalid event", found=shorten(part), allowed=_EVENT_FORM))
            continue
        measure = Measure(match["of"], given=given or None)
        problems += measure_problems(measure, kinds)
        if measure.of in COSTS:
            hint = 'use the quantities it depends on, such as "failed_requests_excess > 1000 and escaped"'
            problems.append(Problem("a cost can't be part of an event", (measure.of,), hint=hint))
        if (measure.of in EVENTS) == bool(match["sign"]):
            message = "an event takes no limit" if match["sign"] else "a response needs a limit"
            problems.append(Problem(message, (measure.of,), allowed=_EVENT_FORM))
        elif match["sign"]:
            conditions.append(Condition(measure.of, match["sign"], parse_amount(match["limit"], measure)))
        else:
            conditions.append(Condition(measure.of))
    if problems:
        raise InputError(of_text(text.strip(), dict.fromkeys(problems)))
    return Event(tuple(conditions), given or None)


def parse_amount(text: str, measure: Measure) -> float:
    """Parse a number in a measure's unit: ``0.01`` or ``1%`` for a fraction, ``600`` or ``10m`` for a time.

    Examples
    --------
    >>> parse_amount("10m", Measure("makespan_s")), parse_amount("1%", Measure("false_alarm"))
    (600.0, 0.01)
    """
    text = text.strip()
    try:
        if measure.is_fraction and text.endswith("%"):
            value = _percent(text[:-1])
        elif measure.is_duration and text[-1:].isalpha():
            value = parse_duration(text) / NS_PER_S
        else:
            value = float(text)
    except (ValueError, ArithmeticError):
        value = float("nan")
    if value - value != 0:
        allowed = "a number" + (", or a percentage such as 1%" if measure.is_fraction else "")
        allowed += ", or a duration such as 10m" if measure.is_duration else ""
        raise InputError(Problem("invalid amount", (str(measure),), found=shorten(text), allowed=allowed))
    return value


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _write(number: float) -> str:
    """Write a number in six digits if that is exact, otherwise in all its digits."""
    return short if float(short := f"{number:g}") == number else repr(number)


def _write_percent(fraction: float) -> str:
    return short if _percent(short := f"{100 * fraction:g}") == fraction else f"{100 * Decimal(repr(fraction)):f}"


def _percent(text: str) -> float:
    """Return the float nearest to a hundredth of a decimal: float("99.9") / 100 is not 0.999."""
    return float(Decimal(text.strip()) / 100)
