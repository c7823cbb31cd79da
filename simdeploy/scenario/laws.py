"""Distributions in a scenario file: a constant, or one key that names the family.

The reader, the messages and the JSON Schema all follow from the table of families.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Annotated, Any

from simdeploy.api.values import Kind
from simdeploy.errors import InputError, Problem, collect, listed, nearest, raise_if_any, shorten
from simdeploy.scenario.files import Files, first_word
from simdeploy.scenario.plain import read_once
from simdeploy.scenario.section import ReadBy
from simdeploy.scenario.values import NOT_NEGATIVE, POSITIVE, PROBABILITY, SECONDS, SHARED, read_value
from simdeploy.units import MAX_DURATION_NS, NS_PER_S
from simdeploy.world import distributions
from simdeploy.world.distributions import Constant, Distribution, Empirical

Form = tuple[tuple[str, ...], Callable[..., Distribution]]

# By family: its sets of parameters, each with the function that takes them in this order.
FAMILIES: dict[str, tuple[Form, ...]] = {
    "uniform": ((("low", "high"), distributions.Uniform),),
    "triangular": ((("low", "mode", "high"), distributions.Triangular),),
    "exponential": ((("mean",), distributions.Exponential),),
    "weibull": ((("scale", "shape"), distributions.Weibull), (("mean", "shape"), distributions.Weibull.from_mean)),
    "lognormal": (
        (("median", "p95"), distributions.Lognormal.from_p95),
        (("median", "sigma"), distributions.Lognormal),
        (("mean", "sd"), distributions.Lognormal.from_mean_sd),
    ),
    "gamma": ((("mean", "sd"), distributions.Gamma.from_mean_sd), (("shape", "scale"), distributions.Gamma)),
    "beta": ((("mean", "sd"), distributions.Beta.from_mean_sd), (("alpha", "beta"), distributions.Beta)),
}
# Parameters without a unit; all others have the unit of the quantity.
_SHAPES = ("shape", "sigma", "alpha", "beta")
_ALL_FAMILIES = ("constant", *FAMILIES, "empirical")
_MAX_BAD_LINES = 20
_MAX_LINES = 100_000
_MAX_SECONDS = MAX_DURATION_NS / NS_PER_S


@dataclass(frozen=True)
class Quantity:
    """Quantity that a distribution describes."""

    name: str  # in words
    definition: str  # name of the JSON Schema of its distributions
    scalar: Kind  # reads a constant or a parameter as a float
    low: float = 0.0  # bounds of the distribution's support
    high: float = math.inf
    positive_mean: bool = False


DURATION = Quantity("duration", "DurationLaw", SECONDS)
PROBABILITY_LAW = Quantity("probability", "ProbabilityLaw", PROBABILITY, high=1.0)
FACTOR = Quantity("factor", "FactorLaw", NOT_NEGATIVE, positive_mean=True)

QUANTITIES = (DURATION, PROBABILITY_LAW, FACTOR)


@read_once
def read_law(raw: object, quantity: Quantity, files: Files | None = None) -> Distribution:
    """Read a constant or a distribution; `files` are for ``empirical: {file: ...}``, and paths of problems are relative.

    Examples
    --------
    >>> read_law({"exponential": {"mean": "10m"}}, DURATION).mean
    600.0
    """
    if isinstance(raw, list) or raw is None:
        allowed = f"{quantity.scalar.allowed}, or one of {', '.join(_ALL_FAMILIES)}"
        raise InputError(Problem(f"not a {quantity.name} or a distribution", found=shorten(raw), allowed=allowed))
    if not isinstance(raw, dict):
        law: Distribution = Constant(read_value(quantity.scalar, raw))
    else:
        family = _family(raw)
        try:
            law = _of_family(family, raw[family], quantity, files)
        except InputError as error:
            raise InputError([problem.at(prefix=(family,)) for problem in error.problems]) from None
    _check_law(law, quantity)
    return law


def _law_of(quantity: Quantity) -> ReadBy:
    def read(raw: object, files: Files | None) -> Distribution:
        return read_law(raw, quantity, files=files)

    return ReadBy(read, {SHARED: quantity.definition}, needs_files=True)


DurationLaw = Annotated[Distribution, _law_of(DURATION)]
ProbabilityLaw = Annotated[Distribution, _law_of(PROBABILITY_LAW)]
FactorLaw = Annotated[Distribution, _law_of(FACTOR)]


def _family(raw: Mapping[str, Any]) -> str:
    unknown = [key for key in raw if key not in _ALL_FAMILIES]
    if unknown:
        allowed = ", ".join(_ALL_FAMILIES)
        hint = nearest(unknown[0], _ALL_FAMILIES) or _family_in_a_value(raw) or _family_of_parameters(tuple(raw))
        raise InputError(Problem("unknown distribution", (unknown[0],), allowed=allowed, hint=hint))
    if len(raw) != 1:
        found = "{" + listed(raw) + "}"
        raise InputError(Problem("exactly one distribution is required", found=found, allowed="one key"))
    return next(iter(raw))


def _family_in_a_value(raw: Mapping[str, Any]) -> str | None:
    family = next((value for value in raw.values() if isinstance(value, str) and value in FAMILIES), None)
    return None if family is None else f"make the name the key: {family}: {_forms_in_words(family)}"


def _family_of_parameters(keys: tuple[str, ...]) -> str | None:
    for family, forms in FAMILIES.items():
        if any(sorted(names) == sorted(keys) for names, _ in forms):
            return f"name the distribution: {family}: {{{', '.join(keys)}}}"
    return None


def _of_family(family: str, raw: object, quantity: Quantity, files: Files | None) -> Distribution:
    if family == "constant":
        return Constant(read_value(quantity.scalar, raw))
    forms = "{values: [...]} or {file: x.csv}" if family == "empirical" else _forms_in_words(family)
    if not isinstance(raw, Mapping):
        raise InputError(Problem(f"invalid parameters of {family}", found=shorten(raw), allowed=forms))
    given = {key: value for key, value in raw.items() if value is not None}
    if family == "empirical":
        return Empirical(_empirical_values(given, quantity, files, forms))
    return _parametric(family, given, quantity, forms)


def _forms_in_words(family: str) -> str:
    return " or ".join("{" + ", ".join(names) + "}" for names, _ in FAMILIES[family])


def _parametric(family: str, given: Mapping[str, Any], quantity: Quantity, forms: str) -> Distribution:
    known = tuple(dict.fromkeys(name for names, _ in FAMILIES[family] for name in names))
    problems = [
        Problem(f"{family} has no such parameter", (key,), allowed=forms, meant=(key, known))
        for key in given
        if key not in known
    ]
    values: dict[str, float] = {}
    for key in given:
        if key in known:
            kind = POSITIVE if key in _SHAPES else quantity.scalar
            with collect(problems, prefix=(key,)):
                values[key] = read_value(kind, given[key])
    form = next((form for form in FAMILIES[family] if sorted(form[0]) == sorted(given)), None)
    if form is None and all(key in known for key in given):
        found = "{" + listed(given) + "}"
        problems.append(Problem(f"invalid set of parameters of {family}", found=found, allowed=forms))
    if problems or form is None:
        raise InputError(problems)
    names, make = form
    try:
        return make(*(values[name] for name in names))
    except ValueError as error:
        raise InputError(Problem(str(error), found=shorten(dict(given)))) from None


def _empirical_values(
    given: Mapping[str, Any], quantity: Quantity, files: Files | None, forms: str
) -> tuple[float, ...]:
    if len(given) != 1 or next(iter(given)) not in ("values", "file"):
        found = "{" + listed(given) + "}"
        unknown = next((key for key in given if key not in ("values", "file")), None)
        hint = nearest(unknown, ("values", "file")) if unknown else None
        raise InputError(Problem("invalid set of parameters of empirical", found=found, allowed=forms, hint=hint))
    if "file" in given:
        name = given["file"]
        if not isinstance(name, str) or not name.strip():
            raise InputError(Problem("not a file name", ("file",), found=shorten(name)))
        return _file_values(name, quantity, files or Files(""))
    items = given["values"]
    if not isinstance(items, list) or not items:
        raise InputError(Problem("not a list of values", ("values",), found=shorten(items), allowed="at least one"))
    values: list[float] = []
    problems: list[Problem] = []
    for number, item in enumerate(items):
        with collect(problems, prefix=("values", number)):
            values.append(read_value(quantity.scalar, item))
    raise_if_any(problems)
    return tuple(values)


def _file_values(name: str, quantity: Quantity, files: Files) -> tuple[float, ...]:
    try:
        text = files.text(name)
    except InputError as error:
        raise InputError([problem.at(prefix=("file",)) for problem in error.problems]) from None
    values: list[float] = []
    problems: list[Problem] = []
    path = files.path(name)
    for number, line in enumerate(StringIO(text.rstrip(), newline=None), start=1):
        if number > _MAX_LINES or len(problems) == _MAX_BAD_LINES:
            most = f"{_MAX_LINES:,} values" if number > _MAX_LINES else f"{_MAX_BAD_LINES} bad lines"
            problems.append(Problem(f"more than {most}: the rest was not read", ("file",), path, number))
            break
        cell = line.strip().strip('"')
        try:
            values.append(read_value(quantity.scalar, _cell_value(cell)))
        except InputError as error:
            hint = "a header line is not allowed" if number == 1 else None
            problem = error.problems[0]
            message, found = problem.message if cell else "empty line", first_word(cell)
            problems.append(Problem(message, ("file",), path, number, found=found, allowed=problem.allowed, hint=hint))
    raise_if_any(problems)
    return tuple(values)


def _cell_value(cell: str) -> str | float:
    try:
        return float(cell) if "_" not in cell else cell
    except ValueError:
        return cell


def _check_law(law: Distribution, quantity: Quantity) -> None:
    low, high = law.support
    mean = law.mean
    message = None
    if low < quantity.low or high > quantity.high:
        message = f"range {low:g} to {high:g}: a {quantity.name} must lie in "
        message += f"[{quantity.low:g}, {quantity.high:g}]" if quantity.high < math.inf else "[0, infinity)"
    elif not math.isfinite(mean) or (quantity is DURATION and mean > _MAX_SECONDS):
        message = "the mean is above 100 years" if quantity is DURATION else "the mean is not finite"
    elif quantity.positive_mean and mean <= 0:
        message = f"the {quantity.name} is always 0"
    if message is not None:
        raise InputError(Problem(message))


def law_schema(quantity: Quantity) -> dict[str, Any]:
    """Return the JSON Schema of a distribution."""
    scalar = dict(quantity.scalar.schema)

    def form(names: tuple[str, ...]) -> dict[str, Any]:
        shape = {"type": "number", "exclusiveMinimum": 0}
        properties = {name: shape if name in _SHAPES else scalar for name in names}
        return {"type": "object", "properties": properties, "required": list(names), "additionalProperties": False}

    families: dict[str, Any] = {"constant": scalar}
    for family, forms in FAMILIES.items():
        allowed = [form(names) for names, _ in forms]
        families[family] = allowed[0] if len(allowed) == 1 else {"anyOf": allowed}
    families["empirical"] = {
        "type": "object",
        "properties": {"values": {"type": "array", "items": scalar, "minItems": 1}, "file": {"type": "string"}},
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }
    one_family = {
        "type": "object",
        "properties": families,
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }
    return {"anyOf": [scalar, one_family]}
