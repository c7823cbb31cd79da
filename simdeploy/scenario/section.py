"""Base class of the sections of a scenario file, and conversion of pydantic's errors to one problem per mistake."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from simdeploy.api.check import MISSING
from simdeploy.errors import MOST_PROBLEMS, InputError, Path, Problem, nearest, shorten
from simdeploy.scenario.yaml_text import Positions


def optional(default: Any, description: str) -> Any:
    """Declare an optional key, with its default as written in a file."""
    return Field(default=default, description=description)


def _none(value: object) -> object:
    return None if value == "none" else value


def _allow_none(schema: dict[str, Any]) -> None:
    schema["anyOf"].append({"const": "none"})


OrNone = BeforeValidator(_none)


def none_field(description: str) -> Any:
    """Declare a field that defaults to none."""
    return Field(default=None, description=description, json_schema_extra=_allow_none)


def unknown_keys(
    raw: Mapping[str, Any], known: Collection[str], elsewhere: Mapping[str, str] | None = None
) -> list[Problem]:
    """List unknown keys; `elsewhere` has hints for keys that belong elsewhere."""
    words, hints = tuple(known), elsewhere or {}
    return [
        Problem("unknown key", (key,), hint=hints.get(key), meant=None if key in hints else (key, words))
        for key in raw
        if key not in known
    ]


def is_explained(problem: Problem, unknown: Sequence[Problem]) -> bool:
    """Whether a key is missing only because of a reported misspelling."""
    if problem.message != MISSING or len(problem.path) != 1:
        return False
    return any(nearest(other.path[-1], [str(problem.path[0])]) for other in unknown[:MOST_PROBLEMS])


class Section(BaseModel):
    """A group of keys, with defaults as written in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    shorthand: ClassVar[str | None] = None  # key whose text value may stand for the whole group
    # Keys for which null means none; for others, null is the same as leaving the key out.
    nullable: ClassVar[tuple[str, ...]] = ()
    elsewhere: ClassVar[Mapping[str, str]] = {}  # by unknown key: a hint where it belongs

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, raw: Any, handler: ModelWrapValidatorHandler[Self], _info: ValidationInfo) -> Self:
        if isinstance(raw, str) and cls.shorthand is not None:
            raw = {cls.shorthand: raw}
        if not isinstance(raw, dict):
            allowed = "the keys " + ", ".join(cls.model_fields)
            problem = Problem("not a group of keys", found=shorten(raw), allowed=allowed, hint=cls.meant_by(raw))
            raise validation_error([problem])
        fields, nullable = cls._fields(), cls.nullable
        known = {key: value for key, value in raw.items() if key in fields and (value is not None or key in nullable)}
        problems = unknown_keys(raw, fields, cls.elsewhere) if len(known) < len(raw) else []
        try:
            section = handler(known)
        except ValidationError as error:
            unknown = tuple(problems)
            problems += (problem for problem in problems_of(error) if not is_explained(problem, unknown))
        if problems:
            raise validation_error(problems)
        # pydantic has set the other keys to their defaults as written in a file, not as read from it.
        values = section.__dict__
        valid = {key: values[key] for key in known}
        values.update(cls._defaults())
        values.update(valid)
        return section

    @classmethod
    def meant_by(cls, raw: Any) -> str | None:  # noqa: ARG003 - for overrides
        """Return a hint how to write a value that isn't a group of keys, if there is one."""
        return None

    @classmethod
    @cache
    def _fields(cls) -> dict[str, FieldInfo]:
        return cls.model_fields  # cached, because pydantic looks it up every time

    @classmethod
    @cache
    def _defaults(cls) -> dict[str, Any]:
        """Return the values of omitted keys, which are the same for every file."""
        fields = {name: field for name, field in cls.model_fields.items() if not field.is_required()}
        return {name: key_reader(field).validate_python(field.default) for name, field in fields.items()}


def key_reader(field: FieldInfo) -> TypeAdapter[Any]:
    """Return the reader of a key's value."""
    # Restore the annotation, whose Annotated part pydantic has moved into the metadata.
    return TypeAdapter(Annotated[field.annotation, field])  # type: ignore[arg-type]  # made at run time


def validation_error(problems: Iterable[Problem]) -> ValidationError:
    """Return the exception for a validator to raise; pydantic adds it to other problems, below the field's path."""

    def details(problem: Problem) -> InitErrorDetails:
        kind = PydanticCustomError("problem", "{problem}", {"problem": problem})
        return InitErrorDetails(type=kind, loc=problem.path, input=None)

    return ValidationError.from_exception_data("problems", list(map(details, problems)))


@dataclass(frozen=True, eq=False)  # compared and hashed by identity: a schema is a dict
class ReadBy:
    """A reader of plain data of any form, as pydantic metadata."""

    read: Callable[..., Any]  # returns the value, or raises an `InputError` with relative paths
    schema: Mapping[str, Any]  # JSON Schema
    needs_files: bool = False  # whether it takes the files that the scenario names, as `files`

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(self.schema)

    def _validate(self, value: object, info: ValidationInfo) -> object:
        try:
            return self.read(value, files=info.context) if self.needs_files else self.read(value)
        except InputError as error:
            raise validation_error(error.problems) from None


def problems_of(error: ValidationError, prefix: Path = ()) -> list[Problem]:
    """Convert a pydantic exception to problems."""
    return [_problem(details, prefix) for details in error.errors(include_url=False)]


def _problem(details: Mapping[str, Any], prefix: Path) -> Problem:
    path = prefix + tuple(details["loc"])
    found = shorten(details["input"])
    match details["type"]:
        case "problem":
            problem: Problem = details["ctx"]["problem"]
            return replace(problem, path=path)
        case "refused":
            context = details["ctx"]
            return Problem(path=path, found=found, **context)
        case "missing":
            return Problem(MISSING, path)
        case "list_type":
            return Problem("not a list", path, found=found, allowed="a list")
        case _:
            return Problem("not a group of keys", path, found=found, allowed="names, each with its keys")


def located(problems: Collection[Problem], file: str | None, positions: Positions) -> list[Problem]:
    """Add file and line to problems, and sort them by position.

    A missing key gets the line of its nearest existing parent.
    """
    if not problems:
        return []

    def placed(problem: Problem) -> Problem:
        if problem.file is not None:
            return problem
        if problem.n_more:
            return replace(problem, file=file)
        for length in range(len(problem.path), -1, -1):
            if problem.path[:length] in positions:
                line, column = positions[problem.path[:length]]
                return replace(problem, file=file, line=line, column=column)
        return replace(problem, file=file)

    def order(problem: Problem) -> tuple[bool, bool, str, int]:
        return (problem.n_more > 0, problem.file != file, problem.file or "", problem.line or 0)

    unique = dict.fromkeys(placed(problem) for problem in problems)
    return sorted(unique, key=order)
