"""Gates as levers of a search: each kind with the parameters that it reads, and no policy twice for those that it doesn't."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from simdeploy.api.gate import READ_BY
from simdeploy.errors import InputError, Problem
from simdeploy.experiments.changes import GATE, GATE_KIND

if TYPE_CHECKING:
    from simdeploy.experiments.levers import Lever


def is_of_gate(lever: Lever) -> bool:
    """Whether a lever is a key of the gate."""
    return lever.path.startswith(f"{GATE}.")


def check_gate_levers(levers: Sequence[Lever], values: Sequence[Sequence[Any]], own_kind: str) -> None:
    """Refuse what no candidate would read.

    Parameters
    ----------
    values : sequence of sequence
        Of each lever.
    own_kind : str
        The gate of the current policy.

    Raises
    ------
    InputError
        For whole gates as values, and for parameters that no kind reads that is tried.
    """
    tried = next((set(of) for lever, of in zip(levers, values, strict=True) if lever.path == GATE_KIND), {own_kind})
    read = {key for kind in tried for key in READ_BY.get(kind or "threshold", READ_BY)}
    problems = [
        Problem("a gate is searched for by its keys", (lever.name,), hint="vary gate.kind, and what the kinds read")
        for lever in levers
        if lever.path == GATE
    ]
    for lever in levers:
        key = lever.path.removeprefix(f"{GATE}.")
        if is_of_gate(lever) and lever.path != GATE_KIND and key not in read:
            kinds = ", ".join(kind for kind, keys in READ_BY.items() if key in keys)
            found = ", ".join(sorted(map(str, tried)))
            hint = f"vary gate.kind, too; {key} is read by {kinds}"
            problems.append(Problem("no gate that is tried reads this", (lever.name,), found=found, hint=hint))
    if problems:
        raise InputError(problems)


def drop_unread(levers: Sequence[Lever], row: tuple[Any, ...], own_kind: str) -> tuple[Any, ...]:
    """Return a candidate's values with None for every parameter of the gate that its kind doesn't read.

    Parameters
    ----------
    row : tuple
        A value of each.
    own_kind : str
        The gate where none of the levers says it.

    Examples
    --------
    >>> from simdeploy.experiments.levers import Lever
    >>> levers = [Lever("health_check.gate.kind", "other"), Lever("health_check.gate.alpha", "number")]
    >>> [drop_unread(levers, row, "threshold") for row in (("pooled", 0.01), ("sprt", 0.01))]
    [('pooled', None), ('sprt', 0.01)]
    """
    of_path = {lever.path: value for lever, value in zip(levers, row, strict=True)}
    kind = of_path.get(GATE_KIND, own_kind) or "threshold"
    read: tuple[str, ...] = READ_BY.get(kind, ())
    if of_path.get("strategy") == "immediate":
        kind, read = None, ()
    kept = {GATE_KIND: kind} | {f"{GATE}.{key}": of_path.get(f"{GATE}.{key}") for key in read}
    return tuple(kept.get(lever.path) if is_of_gate(lever) else value for lever, value in zip(levers, row, strict=True))
