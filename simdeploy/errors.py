"""What can go wrong, told to a person: one kind of exception, made of problems.

A :class:`Problem` is one finding about the input: where it is, what was found, what is allowed and
what was probably meant. An :class:`InputError` carries all of them at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

Path = tuple[str | int, ...]


class SimdeployError(Exception):
    """Base of every exception that simdeploy raises on purpose."""


class SimulationError(SimdeployError):
    """A replication could not be carried out, although its scenario is valid."""


class SimdeployWarning(UserWarning):
    """Something legal that is probably not what was meant."""


@dataclass(frozen=True)
class Problem:
    """One finding about the input.

    Attributes
    ----------
    message : str
        What is wrong.
    path : tuple of str or int
        The keys that lead to the value, outermost first; empty for the whole file.
    file : str or None
        The file's path as the caller gave it.
    line, column : int or None
        Place in the file, counted from 1.
    found : str or None
        The offending value, shortened.
    allowed : str or None
        What would have been right.
    hint : str or None
        What was probably meant.

    Examples
    --------
    >>> print(Problem("unknown key", path=("fleet", "nods"), file="a.yaml", line=3, hint="did you mean 'nodes'?"))
    a.yaml:3: fleet.nods: unknown key; did you mean 'nodes'?
    """

    message: str
    path: Path = ()
    file: str | None = None
    line: int | None = None
    column: int | None = None
    found: str | None = None
    allowed: str | None = None
    hint: str | None = None

    @property
    def where(self) -> str:
        """File and line, as far as they are known: ``scenario.yaml:12``."""
        place = self.file or ""
        if self.line is not None:
            place += f":{self.line}" if place else f"line {self.line}"
        return place

    def __str__(self) -> str:
        text = self.message
        if self.found is not None:
            text += f" (found {self.found})"
        if self.allowed is not None:
            text += f"; allowed: {self.allowed}"
        if self.hint is not None:
            text += f"; {self.hint}"
        return ": ".join(part for part in (self.where, format_path(self.path), text) if part)

    def at(self, *, file: str | None = None, prefix: Path = ()) -> Problem:
        """Return the same problem seen from outside: in a file, or below another key."""
        return replace(self, file=self.file or file, path=prefix + self.path)


class InputError(SimdeployError):
    """The input is not usable; `problems` says everything that is wrong with it.

    Parameters
    ----------
    problems : Problem, str, or iterable of Problem
        At least one.
    """

    def __init__(self, problems: Problem | str | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[Problem, ...]]]:
        # Exceptions are rebuilt from args when they cross a process border; args hold only the text.
        return (type(self), (self.problems,))


def format_path(path: Sequence[str | int]) -> str:
    """Write a path of keys the way people read it.

    Examples
    --------
    >>> format_path(("fleet", "classes", 0, "share"))
    'fleet.classes[0].share'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def nearest(word: object, allowed: Iterable[str]) -> str | None:
    """Say which allowed word was probably meant, or None when nothing is near.

    Examples
    --------
    >>> nearest("max_paralel", ["max_parallel", "strategy"])
    "did you mean 'max_parallel'?"
    """
    choices = [str(choice) for choice in allowed]
    folded = {choice.lower().replace("-", "_"): choice for choice in reversed(choices)}
    close = difflib.get_close_matches(str(word).lower().replace("-", "_"), folded, n=1, cutoff=0.6)
    return f"did you mean '{folded[close[0]]}'?" if close else None


def shorten(value: object, width: int = 60) -> str:
    """Show a value in a message: its repr, cut at `width` characters.

    Examples
    --------
    >>> shorten("abc")
    "'abc'"
    """
    text = "none" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= width else text[: width - 3] + "..."
