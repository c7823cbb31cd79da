"""Reading a foreign file field by field: checked values, a note on each, and all problems at once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar

from simdeploy.api.check import misspelt
from simdeploy.api.json_text import MAX_DEPTH
from simdeploy.dialects.imported import UNKNOWN, Fidelity, Note, PolicyImport, merge_policy
from simdeploy.dialects.source import Document, Source, Tagged
from simdeploy.errors import (
    InputError,
    Path,
    Problem,
    format_path,
    listed,
    nearest,
    not_among,
    raise_if_any,
    shorten,
)
from simdeploy.units import MAX_DURATION_NS, parse_duration, write_duration

# Above this error rate a node serves nothing; for formats whose health checks detect dead tasks but no rates.
NOTHING_SERVED = 0.99

# End of a note on a value that was not evaluated; `Reading.assume` replaces it.
_NOT_GIVEN = "; treated as not given"
# From this likeness on, an unknown field counts as misspelt; and the most fields of a group that are compared.
LIKE = 0.8
_MOST_COMPARED = 100
_PART = re.compile(r"[.\[]")
T = TypeVar("T")

# ``evaluate(value, group, key)`` returns the value of a template or reference. If it can't, it calls `Group.not_evaluated` and
# returns None, so the field counts as not given.
Evaluate = Callable[[Any, "Group", str], Any]

# ``spell(group, key)`` returns a field's name as the file spells it.
Spell = Callable[["Group", str], str]


@dataclass
class Reading:
    """The input of an importer, and its notes and problems so far."""

    kind: str
    source: Source
    given_nodes: int | None = None  # the number of nodes that the caller states
    variables: Mapping[str, str] = field(default_factory=dict)  # values that the caller gives to the format's variables
    notes: list[Note] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    used_variables: set[str] = field(default_factory=set)
    noted: set[str] = field(default_factory=set)  # fields with a note, and their groups
    unknown: dict[str, int] = field(default_factory=dict)  # by field that was not evaluated: place of its note

    def note(self, name: str, fidelity: Fidelity, text: str, line: int | None = None) -> None:
        """Add a note on a field, or without a line on a default of the format."""
        if fidelity == "not evaluated":
            self.unknown.setdefault(name, len(self.notes))
        self.noted.update((name, *(name[: mark.start()] for mark in islice(_PART.finditer(name), MAX_DEPTH))))
        self.notes.append(Note(name, fidelity, text, line))

    def assume(self, name: str, text: str) -> None:
        """Add to the note on a field that was not evaluated what is assumed instead."""
        note = self.notes[self.unknown[name]]
        known, mark, assumed = note.text.removesuffix(_NOT_GIVEN).partition("; assumed: ")
        if text not in assumed:
            text = f"{known}; assumed: {f'{assumed}; ' if mark else ''}{text}"
            self.notes[self.unknown[name]] = replace(note, text=text)

    def variable(self, name: str) -> str | None:
        """Return the caller's value of a variable, and record that it was requested."""
        self.used_variables.add(name)
        return self.variables.get(name)

    def choose(
        self,
        variable: str,
        names: Sequence[str],  # at least one
        # Those of `names` that say how to update; if there are any, the first of them is the default.
        preferred: Sequence[str] = (),
    ) -> str:
        """Return one of several parts of the file: the one that the caller names by a variable, or the first.

        If there is no part of that name, the first is read nevertheless, to report all problems of the file.
        """
        chosen = self.variable(variable)
        if chosen is not None and chosen in names:
            return chosen
        candidates = preferred or names
        if chosen is not None:
            self.problems.append(not_among(f"no such {variable}", (variable,), chosen, names))
        elif len(names) > 1:
            which = "the only one that says how to update" if len(preferred) == 1 else "the first in the file"
            others = candidates if len(candidates) > 1 else names
            how = f"--var {variable}=NAME chooses one of {listed(others)}"
            self.note(variable, "approximate", f"{candidates[0]}, {which}; {how}")
        return candidates[0]

    def nodes(self, stated: int | None, *, why: str | None = None) -> int | None:
        """Return the number of nodes: the caller's, else the file's; with `why`, there must be one."""
        nodes = self.given_nodes if self.given_nodes is not None else stated
        if nodes is None and why is not None:
            message, hint = (
                f"{why}, and the file doesn't state the number of nodes",
                "pass --nodes N (in Python: nodes=N)",
            )
            self.problems.append(Problem(message, file=self.source.file, hint=hint))
        return nodes

    def nothing(self, allowed: str) -> InputError:
        """Return the exception for a file without anything of its kind.

        Raises
        ------
        InputError
            If the file can't be parsed.
        """
        _ = self.source.documents
        return self.refusal(Problem(f"nothing of the kind {self.kind!r}", file=self.source.file, allowed=allowed))

    def refusal(self, *last: Problem) -> InputError:
        """Return the exception with all problems so far, followed by `last`."""
        self.problems += last
        return InputError(self._all_problems())

    def finish(
        self,
        # A general policy, unless it states another `dialect`, without `orchestrator`; keys that are None are left out.
        policy: Mapping[str, Any],
        orchestrator: Mapping[str, Any] | None,  # its switches; None if the scenario's apply
        *,
        nodes: int | None = None,
    ) -> PolicyImport:
        """Return the import.

        Raises
        ------
        InputError
            If there are problems, or a variable of the caller that the file doesn't have.
        """
        raise_if_any(self._all_problems())
        merged = merge_policy(policy, orchestrator)
        under = {"nodes": self.given_nodes, "variables": dict(self.variables)}
        notes = tuple(dict.fromkeys(self.notes))  # parts that are used twice have one note
        return PolicyImport(self.kind, merged, dict(orchestrator or {}), notes, nodes, self.source.file, under)

    def _all_problems(self) -> list[Problem]:
        """Return the problems, followed by those of variables that were never requested."""
        known = sorted(self.used_variables)
        allowed = listed(known) if known else "none: nothing that is read depends on a variable"
        return self.problems + [
            Problem("no such variable", (name,), allowed=allowed, hint=nearest(name, known))
            for name in self.variables
            if name not in self.used_variables
        ]


class Group:
    """A mapping of the file, with fields that are read by name; every getter returns None if the field is not given.

    A group that the file doesn't have is empty, and its notes are on defaults.

    A value that depends on something outside the file (`Tagged`, or as `evaluate` decides) gets the note "not evaluated" and
    counts as not given. An invalid value is a problem with line and field, and counts as not given, too.
    """

    def __init__(
        self,
        reading: Reading,
        document: Document,
        path: Path,
        *,
        evaluate: Evaluate | None = None,
        name: str | None = None,  # name of the group in notes; default: its path
        spell: Spell | None = None,
    ) -> None:
        self.reading = reading
        self.document = document
        self.path = path
        self._evaluate = evaluate
        self._spell = spell
        self._name = format_path(path) if name is None else name
        self._asked: set[str] = set()  # the fields that the importer knows, as the file spells them
        data: Any = document.data
        for part in path:
            is_there = isinstance(data, dict) and part in data
            data = data[part] if is_there or (isinstance(data, list) and isinstance(part, int)) else None
        self.data: dict[str, Any] = data if isinstance(data, dict) else {}
        if isinstance(data, Tagged):
            reading.note(self._name, "not evaluated", _unknown(data), document.line(path))
        elif data is not None and not isinstance(data, dict):
            self._refuse(None, "not a group of keys", data, "keys with values")

    def __contains__(self, key: str) -> bool:
        return self.data.get(self.spelled(key)) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def spelled(self, key: str) -> str:
        """Return a field's name as the file spells it."""
        spelled = key if self._spell is None else self._spell(self, key)
        self._asked.add(spelled)
        return spelled

    def name_of(self, spelled: str) -> str:
        """Return a field's name for notes."""
        return f"{self._name}.{spelled}" if self._name else spelled

    def spelling(self, *names: str) -> str:
        """Return the spelling of a field's name that occurs in the group, by default the first."""
        return next((name for name in names if self.data.get(name) is not None), names[0])

    # -- notes -------------------------------------------------------------------------------------

    def exact(self, key: str, text: str, *, default: str = "") -> None:
        """Note that a field, or if it isn't given its default, maps exactly; `default` precedes the text then."""
        self._note(self.spelled(key), "exact", text, default)

    def approximate(self, key: str, text: str, *, default: str = "") -> None:
        """Note that a field, or its default, maps approximately, and how."""
        self._note(self.spelled(key), "approximate", text, default)

    def no_counterpart(self, key: str, text: str) -> None:
        """Note that a field has no counterpart."""
        self._note(self.spelled(key), "none", text)

    def no_counterparts(self, texts: Mapping[str, str]) -> None:
        """Note that some fields, if given, have no counterpart."""
        for key, text in texts.items():
            if key in self:
                self.no_counterpart(key, text)

    def not_evaluated(self, key: str, text: str) -> None:
        """Note that a field's value was not evaluated; a later note on how it maps is added as the assumption."""
        if self.name_of(self.spelled(key)) not in self.reading.unknown:
            self._note(self.spelled(key), "not evaluated", text)

    def note_rest(self, text: str = "not simulated", keys: Iterable[str] | None = None) -> None:
        """Note that all fields of this group without a note, or those of them in `keys`, have no counterpart."""
        self.note_misspelt()
        for key in list(self.data) if keys is None else keys:
            if key in self.data and self.name_of(key) not in self.reading.noted:
                is_empty = key in self._asked and self.data[key] in (None, [], {})
                self._note(key, "none", "empty" if is_empty else text)

    def note_misspelt(self) -> None:
        """Note for each unknown field which known one was probably meant, if any is similar."""
        missing = sorted(key for key in self._asked if self.data.get(key) is None)
        for key in islice(self.data, _MOST_COMPARED):
            is_known = key in self._asked or self.name_of(key) in self.reading.noted
            meant = None if is_known else nearest(key, missing, LIKE)
            if meant:
                self._note(key, "none", f"{UNKNOWN}; {meant}")

    def _note(self, key: str, fidelity: Fidelity, text: str, default: str = "") -> None:
        line = self.document.line((*self.path, key)) if key in self.data else None
        if self.data.get(key) is None and not text.startswith(("not given", "empty")):
            text = f"not given: {default}{text}"
        name = self.name_of(key)
        if name in self.reading.unknown and fidelity != "none":
            self.reading.assume(name, text)
        else:
            self.reading.note(name, fidelity, text, line)

    # -- values ------------------------------------------------------------------------------------

    def value(self, key: str) -> Any:
        """Return a field's value unchecked, but evaluated."""
        value = self.data.get(self.spelled(key))
        if value is None:
            return None
        if self._evaluate is not None:
            return self._evaluate(value, self, key)
        if isinstance(value, Tagged):
            self.not_evaluated(key, _unknown(value))
            return None
        return value

    def text(self, key: str, *allowed: str) -> str | None:
        """Return a field that is text, one of `allowed` if any are given; messages don't list an empty one."""
        value = self.value(key)
        if value is None:
            return None
        words = [word for word in allowed if word]
        if not isinstance(value, str):
            self._refuse(key, "not text", value, listed(words) if words else "text")
            return None
        if allowed and value not in allowed:
            self._refuse(key, "unknown value", value, listed(words), nearest(value, words))
            return None
        return value

    def flag(self, key: str) -> bool | None:
        """Return a field that is true or false."""
        value = self.value(key)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if value is None or isinstance(value, bool):
            return value
        self._refuse(key, "not a boolean", value, "true or false")
        return None

    def whole(self, key: str, low: int = 0, high: int = 10_000_000) -> int | None:
        """Return a field that is a whole number, possibly as text."""
        value = self.value(key)
        if value is None:
            return None
        allowed = f"a whole number from {low:,} to {high:,}"
        number = _whole(value)
        if number is None:
            self._refuse(key, "not a whole number", value, allowed)
            return None
        if not low <= number <= high:
            self._refuse(key, "too small" if number < low else "too large", value, allowed)
            return None
        return number

    def number(self, key: str, low: float = 0.0, high: float = math.inf) -> float | None:
        """Return a field that is a finite number."""
        value = self.value(key)
        if value is None:
            return None
        allowed = f"a number of at least {low:g}" if high == math.inf else f"a number from {low:g} to {high:g}"
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            self._refuse(key, "not a number", value, allowed)
            return None
        if not low <= number <= high:
            self._refuse(key, "too small" if number < low else "too large", value, allowed)
            return None
        return number

    def duration(self, key: str, low_ns: int = 0) -> int | None:
        """Return a field that is a duration in Go's form, such as ``1m30s``, in nanoseconds; 0 may be a number."""
        value = self.value(key)
        if value is None:
            return None
        allowed = f'text such as "1m30s", of at least {write_duration(low_ns)}'
        try:
            ns = parse_duration("0" if value == 0 and not isinstance(value, bool) else value)
        except (TypeError, ValueError):
            self._refuse(key, "not a duration", value, allowed)
            return None
        if not low_ns <= ns <= MAX_DURATION_NS:
            self._refuse(key, "too short" if ns < low_ns else "too long", value, allowed)
            return None
        return ns

    def group(self, key: str) -> Group:
        """Return a field that is a group of keys; an empty one if it is not given."""
        spelled = self.spelled(key)
        return self._make_subgroup(self.name_of(spelled), spelled)

    def items(self, key: str) -> list[Any]:
        """Return a field that is a list; an empty one if it is not given."""
        value = self.value(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self._refuse(key, "not a list", value, "a list")
            return []
        return value

    def groups(self, key: str) -> list[Group]:
        """Return the groups in a list of groups."""
        spelled = self.spelled(key)
        name = self.name_of(spelled)
        return [self._make_subgroup(f"{name}[{number}]", spelled, number) for number in range(len(self.items(key)))]

    def _make_subgroup(self, name: str, *below: str | int) -> Group:
        path = (*self.path, *below)
        return Group(self.reading, self.document, path, evaluate=self._evaluate, name=name, spell=self._spell)

    def refuse(self, key: str, message: str, *, allowed: str | None = None, hint: str | None = None) -> None:
        """Add a problem with a field's value."""
        spelled = self.spelled(key)
        found = self.data.get(spelled)
        if found is None and hint is None:
            hint = misspelt(spelled, self.data, LIKE)
        self._refuse(key, message, found, allowed, hint)

    def _refuse(
        self, key: str | None, message: str, found: object, allowed: str | None = None, hint: str | None = None
    ) -> None:
        path = self.path if key is None else (*self.path, self.spelled(key))
        self.reading.problems.append(self.document.problem(message, path, found=found, allowed=allowed, hint=hint))


def or_else(value: T | None, default: T) -> T:
    """Return a value, or the format's default if it is not given."""
    return default if value is None else value


def _unknown(value: Tagged) -> str:
    how = f"; give {', '.join(f'--var {name}=VALUE' for name in value.missing[:3])}" if value.missing else ""
    return f"{shorten(str(value))}: depends on something outside the file{how}{_NOT_GIVEN}"


def _whole(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        text = value.strip()
        digits = text.removeprefix("-")
        return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None
    return value if isinstance(value, int) else None
