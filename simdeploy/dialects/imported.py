"""The result of an importer: a policy, its orchestrator, and a note on every field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from simdeploy.errors import Problem, printable
from simdeploy.result import Columns, Result, make_frame

if TYPE_CHECKING:
    import pandas as pd

Fidelity = Literal["exact", "approximate", "none", "not evaluated"]

UNKNOWN = "not a field that this importer knows"


@dataclass(frozen=True)
class Note:
    """How one field of an imported file maps.

    Examples
    --------
    >>> print(Note("update.stagger", "none", "deprecated; ignored", line=7))
    line 7: update.stagger: no counterpart: deprecated; ignored
    """

    field: str  # the field as the file spells it, such as ``group.app.update.max_parallel``
    fidelity: Fidelity  # how well the policy expresses it; "not evaluated" if it depends on something outside the file
    text: str  # its counterpart, and the difference
    line: int | None = None  # in the file, from 1; None for a default of the format

    def __str__(self) -> str:
        place = "default" if self.line is None else f"line {self.line}"
        words = {"none": "no counterpart"}.get(self.fidelity, self.fidelity)
        return printable(f"{place}: {self.field}: {words}: {self.text}")

    @property
    def warning(self) -> str | None:
        """Warning wherever the file is used as a policy: the field was not evaluated, or is probably misspelt."""
        if self.fidelity == "not evaluated":
            how = "; --var is an option of simdeploy import" if "--var" in self.text else ""
            return f"not evaluated: {self.text}{how}"
        return self.text if self.text.startswith(f"{UNKNOWN}; did you mean") else None


NOTES = Columns({"line": "Int64", "field": "str", "fidelity": "str", "text": "str"}, words={"fidelity": Fidelity})


@dataclass(frozen=True, eq=False, repr=False)
class PolicyImport(Result):
    """A policy read from another orchestrator's file.

    Attributes
    ----------
    kind : str
        One of `simdeploy.dialects.KINDS`.
    policy : dict
        A policy as in a scenario's `policies`: in the general dialect with its own `orchestrator`, or for the kind `expanso` in a
        dialect of the API, for the scenario's orchestrator.
    orchestrator : dict
        Its switches alone, as in the `orchestrator` section of a scenario; empty if the scenario's apply.
    notes : tuple of Note
        One or more for every field of the file that says how to update, and for defaults that matter.
    nodes : int or None
        Nodes (replicas, tasks, hosts) that the file states or the caller gave.
    file : str or None
        The file's name.
    computed_under : mapping
        The number of nodes and the variables that the caller gave.

    Examples
    --------
    >>> imported = PolicyImport("swarm", {"dialect": "general", "strategy": "immediate"}, {}, (), 12)
    >>> imported.answer
    'A swarm policy for 12 nodes, strategy immediate. No field configures the update.'
    """

    kind: str
    policy: dict[str, Any]
    orchestrator: dict[str, Any]
    notes: tuple[Note, ...] = ()
    nodes: int | None = None
    file: str | None = None
    computed_under: Mapping[str, Any] = field(default_factory=dict)

    @property
    def unknown(self) -> tuple[Note, ...]:
        """The notes on values that were not evaluated."""
        return tuple(note for note in self.notes if note.fidelity == "not evaluated")

    def warnings(self) -> list[Problem]:
        """Return the warnings wherever the file is used as a policy."""
        return [Problem(note.warning, (note.field,), self.file, note.line) for note in self.notes if note.warning]

    def to_frame(self) -> pd.DataFrame:
        """Return the notes as a table."""
        return make_frame([asdict(note) for note in self.notes], NOTES.dtypes)


def merge_policy(policy: Mapping[str, Any], orchestrator: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a policy, by default a general one, with its orchestrator if there is one, and without keys that are None."""
    stated = {key: value for key, value in policy.items() if value is not None}
    switches = {} if orchestrator is None else {"orchestrator": dict(orchestrator)}
    return {"dialect": "general", **stated, **switches}
