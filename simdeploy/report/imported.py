"""An imported policy in words, and a table of notes on its fields."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from simdeploy.errors import plural
from simdeploy.report.wording import join_answer
from simdeploy.result import Table

if TYPE_CHECKING:
    from simdeploy.dialects import PolicyImport
    from simdeploy.dialects.imported import Fidelity

_WORDS: dict[Fidelity, str] = {
    "exact": "exact",
    "approximate": "approximate",
    "none": "without counterpart",
    "not evaluated": "not evaluated",
}


def tell(imported: PolicyImport) -> str:
    """Say what was read, and how exactly its fields map."""
    nodes = "" if imported.nodes is None else f" for {plural(imported.nodes, 'node')}"
    strategy = imported.policy.get("strategy", "unknown")
    counts = Counter(note.fidelity for note in imported.notes)
    parts = [f"{counts[fidelity]:,} {word}" for fidelity, word in _WORDS.items() if counts[fidelity]]
    fields = f"Its fields: {', '.join(parts)}" if parts else "No field configures the update"
    article = "An" if imported.kind[0] in "aeiou" else "A"
    kind = f"{article} {imported.kind} policy{nodes}"
    return join_answer([[f"{kind}, strategy {strategy}", kind], fields])


def tabulate(imported: PolicyImport) -> tuple[Table, ...]:
    """Return the notes."""
    rows = tuple(
        ("default" if note.line is None else str(note.line), note.field, _WORDS[note.fidelity], note.text)
        for note in imported.notes
    )
    return (Table("Fields", ("line", "field", "mapping", "in the policy"), rows),)
