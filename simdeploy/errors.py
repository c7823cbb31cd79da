"""Exceptions, warnings, and the problems that their messages consist of.

A :class:`Problem` is one finding about the input: where it is, what was found, what is allowed and
what was probably meant. An :class:`InputError` carries all of them at once.
"""

from __future__ import annotations

import contextlib
import difflib
import inspect
import math
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import islice

Path = tuple[str | int, ...]

# Nobody would read more, and a file of 10 MB may have millions.
MOST_PROBLEMS = 100

UNPRINTABLE = "unprintable character"
NAME_FORM = "one line without control characters"

# Longer words are not typing errors, and difflib's time grows with the product of both lengths.
_MOST_LETTERS = 100
_MOST_CHOICES = 1000
_MOST_LISTED = 30
_MOST_HINTS = 20
_LONGEST_LINE = 4000
_MOST_BITS = 1024
_LONGEST_KEY = 60
_LONGEST_FILE = 1000

# Characters that move the cursor, break the line, change the writing direction or are invisible, and those that XML or UTF-8
# can't represent. The joiners U+200C and U+200D are allowed, because some scripts and emoji need them.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)


class SimdeployError(Exception):
    """Base of every exception that simdeploy raises on purpose."""


class SimulationError(SimdeployError):
    """A replication could not be carried out, although its scenario is valid."""


class SimdeployWarning(UserWarning):
    """Something valid that is probably not what was meant."""

    @property
    def problem(self) -> Problem:
        """What is doubtful, and where."""
        about = self.args[0] if self.args else None
        return about if isinstance(about, Problem) else Problem(str(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


# Not the filters of `warnings`, which all threads share.
_caught: ContextVar[list[Problem] | None] = ContextVar("_caught", default=None)


def warn_user(about: Problem | str) -> None:
    """Emit a warning that is attributed to the line of the caller's code that called this library."""
    caught = _caught.get()
    if caught is not None:
        caught.append(about if isinstance(about, Problem) else Problem(about))
        return
    frame, level = inspect.currentframe(), 1
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "simdeploy":
        frame, level = frame.f_back, level + 1
    warnings.warn(SimdeployWarning(about), stacklevel=level)


@contextlib.contextmanager
def catch_warned() -> Iterator[list[Problem]]:
    """Catch this library's warnings of this thread; the list has their problems.

    Examples
    --------
    >>> with catch_warned() as problems:
    ...     warn_user(Problem("can never stop a rollout of 3 nodes", ("max_failed_nodes",), found="5"))
    >>> print(*problems)
    max_failed_nodes: can never stop a rollout of 3 nodes (found 5)
    """
    problems: list[Problem] = []
    before = _caught.set(problems)
    try:
        yield problems
    finally:
        _caught.reset(before)


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
    meant : (str, tuple of str) or None
        A word, and the valid words: `cut` turns them into `hint`, or into `allowed` if none of them is similar.
    n_more : int
        How many further problems this one stands for.

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
    meant: tuple[str, tuple[str, ...]] | None = None
    n_more: int = 0

    @property
    def where(self) -> str:
        """File and line, as far as they are known: ``scenario.yaml:12``."""
        place = _shortened(self.file or "", _LONGEST_FILE)
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
        line = printable(": ".join(part for part in (self.where, format_path(self.path), text) if part))
        return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 3] + "..."

    def at(self, *, file: str | None = None, prefix: Path = ()) -> Problem:
        """Return the same problem located in a file, or below another key."""
        return replace(self, file=self.file or file, path=prefix + self.path)


class InputError(SimdeployError):
    """The input is invalid; `problems` lists everything that is wrong with it.

    Parameters
    ----------
    problems : Problem, str, or iterable of Problem
        At least one. If there are more than a hundred, the first hundred are kept and the others counted.
    """

    def __init__(self, problems: Problem | str | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems = cut((problems,) if isinstance(problems, Problem) else problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[Problem, ...]]]:
        # Unpickling in another process would pass `args`, which hold only the text.
        return (type(self), (self.problems,))


def raise_if_any(problems: Collection[Problem]) -> None:
    """Raise an `InputError` if there are problems."""
    if problems:
        raise InputError(problems)


@contextlib.contextmanager
def collect(problems: list[Problem], prefix: Path = ()) -> Iterator[None]:
    """Add the problems of an `InputError` to a list, with a prefix to their paths, instead of raising it.

    Examples
    --------
    >>> problems = []
    >>> with collect(problems, prefix=("fleet",)):
    ...     raise InputError(Problem("too large", ("nodes",)))
    >>> print(*problems)
    fleet.nodes: too large
    """
    try:
        yield
    except InputError as error:
        problems += [problem.at(prefix=prefix) for problem in error.problems]


def cut(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the first hundred problems, the first of them with hints, and one that counts the rest.

    All problems of a file pass through here, so a file of 10 MB can't produce more messages and hints than anybody reads.

    Examples
    --------
    >>> found = cut(Problem("unknown key", (f"key{number}",)) for number in range(5000))
    >>> len(found), print(found[-1])
    and 4,900 more problems
    (101, None)
    """
    kept: list[Problem] = []
    n_more = 0
    for problem in problems:
        if problem.n_more or len(kept) == MOST_PROBLEMS:
            n_more += problem.n_more or 1
        else:
            kept.append(_with_hint(problem) if len(kept) < _MOST_HINTS else problem)
    if n_more:
        files = {problem.file for problem in kept}
        text = f"and {n_more:,} more problem{'s' if n_more > 1 else ''}"
        kept.append(Problem(text, file=files.pop() if len(files) == 1 else None, n_more=n_more))
    return tuple(kept)


def _with_hint(problem: Problem) -> Problem:
    if problem.meant is None:
        return problem
    hint = nearest(*problem.meant)
    allowed = listed(problem.meant[1]) if hint is None and problem.allowed is None else problem.allowed
    return replace(problem, hint=hint, allowed=allowed, meant=None)


def format_path(path: Sequence[str | int]) -> str:
    """Write a path of keys the way people read it.

    Examples
    --------
    >>> format_path(("fleet", "classes", 0, "share"))
    'fleet.classes[0].share'
    """
    text = ""
    for part in path:
        word = f"[{part}]" if isinstance(part, int) else _shortened(str(part), _LONGEST_KEY)
        text += f".{word}" if text and isinstance(part, str) else word
    return text


def nearest(word: object, allowed: Iterable[str], likeness: float = 0.6) -> str | None:
    """Say which allowed word was probably meant, or None if none is similar enough; equal words have `likeness` 1.

    Examples
    --------
    >>> nearest("max_paralel", ["max_parallel", "strategy"])
    "did you mean 'max_parallel'?"
    """
    text = str(word)
    if len(text) > _MOST_LETTERS:
        return None
    choices = [choice for choice in map(str, islice(allowed, _MOST_CHOICES)) if len(choice) <= _MOST_LETTERS]
    folded = {choice.lower().replace("-", "_"): choice for choice in reversed(choices)}
    close = difflib.get_close_matches(text.lower().replace("-", "_"), folded, n=1, cutoff=likeness)
    return f"did you mean '{folded[close[0]]}'?" if close else None


def nearest_path(path: str, known: Iterable[str]) -> str | None:
    """Say which dotted key was probably meant, as `nearest` does, but try keys of the same section first: not all are compared.

    Examples
    --------
    >>> nearest_path("scenario.operator.promote_aftr", ["scenario.fleet.nodes", "scenario.operator.promote_after"])
    "did you mean 'scenario.operator.promote_after'?"
    """

    def section(key: str) -> str:
        return key.removeprefix("scenario.").partition(".")[0]

    return nearest(path, sorted(known, key=lambda key: section(key) != section(path)))


def not_among(message: str, path: Path, word: object, known: Iterable[str]) -> Problem:
    """Return the problem of a word that is not one of the known words.

    Examples
    --------
    >>> print(not_among("no such setting", ("lever",), "canarys", ["canaries", "minutes"]))
    lever: no such setting (found 'canarys'); allowed: canaries, minutes; did you mean 'canaries'?
    >>> not_among("no such policy", ("policies",), "slow,fast", ["slow", "fast"]).hint
    'give each by itself'
    """
    known = list(known)
    parts = [part.strip() for part in str(word).split(",")]
    hint = "give each by itself" if len(parts) > 1 and set(parts) <= set(known) else nearest(word, known)
    return Problem(message, path, found=shorten(word), allowed=listed(known), hint=hint)


def plural(n: int, noun: str, nouns: str = "") -> str:
    """Write a number with its noun in the singular or plural.

    Examples
    --------
    >>> plural(1, "rollout"), plural(1000, "rollout"), plural(2, "policy", "policies")
    ('1 rollout', '1,000 rollouts', '2 policies')
    """
    return f"{n:,} {noun if n == 1 else nouns or f'{noun}s'}"


def listed(words: Iterable[str]) -> str:
    """Join words with commas; beyond thirty, only say how many more there are.

    Examples
    --------
    >>> listed(["a", "b"])
    'a, b'
    """
    words = list(words)
    rest = f" and {len(words) - _MOST_LISTED:,} more" if len(words) > _MOST_LISTED else ""
    return ", ".join(_shortened(word, _LONGEST_KEY) for word in words[:_MOST_LISTED]) + rest


def shorten(value: object, width: int = 60) -> str:
    """Show a value in a message: its repr, cut at `width` characters.

    Examples
    --------
    >>> shorten("abc")
    "'abc'"
    """
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    if isinstance(value, int) and abs(value) > 1 << _MOST_BITS:
        return f"a number of about {int(value.bit_length() * math.log10(2)) + 1:,} digits"
    try:
        text = repr(value[: width + 1] if isinstance(value, str | bytes) else value)
    except ValueError:  # Python refuses to write a number of more than 4300 digits, also inside a list
        text = f"a {type(value).__name__} with a very large number"
    return _shortened(printable(text), width)


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def is_printable(text: str) -> bool:
    r"""Say whether text has no control characters, line breaks, or characters that change the writing direction.

    Examples
    --------
    >>> is_printable("canary (10 %)"), is_printable("canary\x1b[2K"), is_printable("canary\nerror: no")
    (True, False, False)
    """
    return _UNPRINTABLE.search(text) is None


def printable(text: str) -> str:
    r"""Make text safe for a terminal: characters that `is_printable` refuses become Python escapes.

    Examples
    --------
    >>> print(printable("canary\x1b[2K\nerror: no"))
    canary\x1b[2K\nerror: no
    """
    return escape(text, lambda letter: ascii(letter)[1:-1])


def escape(text: str, write: Callable[[str], str]) -> str:
    r"""Replace every character that `is_printable` refuses by what `write` returns for it.

    Examples
    --------
    >>> escape("a\x1bb", lambda letter: f"<{ord(letter)}>")
    'a<27>b'
    """
    return _UNPRINTABLE.sub(lambda match: write(match[0]), text)


def name_problems(name: str, path: Path = ()) -> list[Problem]:
    r"""List what is wrong with a name given by a user.

    Examples
    --------
    >>> print(*name_problems("canary\x1b", ("policies",)))
    policies: unprintable character (found 'canary\x1b'); allowed: one line without control characters
    """
    return [] if is_printable(name) else [Problem(UNPRINTABLE, path, found=shorten(name), allowed=NAME_FORM)]
