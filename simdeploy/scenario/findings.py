"""Between pydantic's errors and problems for people: exactly one problem per mistake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from simdeploy.api.findings import MISSING
from simdeploy.errors import Path, Problem, shorten
from simdeploy.scenario.yaml_text import Positions


def validation_error(problems: Iterable[Problem]) -> ValidationError:
    """Make the exception that a validator raises: pydantic adds it to what else is wrong, below the field's path."""
    return ValidationError.from_exception_data(
        "problems",
        [
            InitErrorDetails(
                type=PydanticCustomError("problem", "{problem}", {"problem": problem}), loc=problem.path, input=None
            )
            for problem in problems
        ],
    )


def problems_of(error: ValidationError, prefix: Path = ()) -> list[Problem]:
    """Return what an exception of pydantic says, in words for people."""
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


def located(problems: Iterable[Problem], file: str | None, positions: Positions) -> list[Problem]:
    """Give problems their file and line, and put them in the file's order.

    A path that is not in the file (a missing key) gets the line of the nearest one above it.
    """

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
