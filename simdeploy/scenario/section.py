"""What all sections of a scenario file have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from simdeploy.api.findings import MISSING
from simdeploy.errors import MOST_PROBLEMS, Problem, nearest, shorten
from simdeploy.scenario.findings import problems_of, validation_error


def optional(default: Any, description: str) -> Any:
    """Declare a key that may be left out; its default is written as a file would write it, and read like that."""
    return Field(default=default, description=description)


def unknown_keys(raw: Mapping[str, Any], known: Collection[str]) -> list[Problem]:
    """Name the keys that don't exist."""
    words = tuple(known)
    return [Problem("unknown key", (key,), meant=(key, words)) for key in raw if key not in known]


def is_explained(problem: Problem, unknown: Sequence[Problem]) -> bool:
    """Say whether a key is missing only because it is misspelt, which has been told."""
    if problem.message != MISSING or len(problem.path) != 1:
        return False
    return any(nearest(other.path[-1], [str(problem.path[0])]) for other in unknown[:MOST_PROBLEMS])


class Section(BaseModel):
    """A group of keys. Defaults are written as a file would write them.

    Attributes
    ----------
    shorthand : str or None
        Key whose value may stand for the whole group, where that is text.
    nullable : tuple of str
        Keys for which null says something: "none of these here". Elsewhere it is the same as leaving the key out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, arbitrary_types_allowed=True)

    shorthand: ClassVar[str | None] = None
    nullable: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, raw: Any, handler: ModelWrapValidatorHandler[Self], _info: ValidationInfo) -> Self:
        if isinstance(raw, str) and cls.shorthand is not None:
            raw = {cls.shorthand: raw}
        if not isinstance(raw, dict):
            allowed = "keys out of " + ", ".join(cls.model_fields)
            raise validation_error([Problem("not a group of keys", found=shorten(raw), allowed=allowed)])
        problems = unknown_keys(raw, cls.model_fields)
        known = {
            key: value
            for key, value in raw.items()
            if key in cls.model_fields and (value is not None or key in cls.nullable)
        }
        try:
            section = handler(known)
        except ValidationError as error:
            unknown = tuple(problems)
            problems += (problem for problem in problems_of(error) if not is_explained(problem, unknown))
        if problems:
            raise validation_error(problems)
        return section
