"""A report as Markdown, for a pull request."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from simdeploy.report import ask

if TYPE_CHECKING:
    from simdeploy.result import Table
    from simdeploy.sharing.contents import Contents

MOST_ROWS = 40  # of a table
# Characters with a meaning in Markdown or HTML.
_ACTING = re.compile(r"[\\`*\[\]<>#|~$&]|(?<!\w)_|_(?!\w)|^[-+]")
_LINKING = re.compile(r"@|(?<=:)(?=//)")  # places where mentions and addresses become links


def to_markdown(contents: Contents) -> str:
    r"""Return the Markdown of a report, in GitHub's flavour: answer, tables, policies, and how to compute it again.

    Examples
    --------
    >>> import pandas as pd
    >>> from simdeploy import compare
    >>> from simdeploy.sharing.gathering import gather
    >>> from simdeploy.sharing.simulating import Request
    >>> table = pd.DataFrame({"policy": ["a", "b"], "replication": 0, "makespan_s": [60.0, 80.0]})
    >>> to_markdown(gather(compare(table), Request())).splitlines()[0]
    '## Comparison'
    """
    return "\n".join(_write(contents)) + "\n"


def _write(contents: Contents) -> Iterator[str]:
    result = contents.result
    yield f"## {_escape(contents.title)}"
    yield ""
    yield _escape(ask(result))
    yield ""
    yield f"**{_escape(result.answer)}**"
    yield ""
    for table in result.summarize():
        yield from _write_table(table)
    if contents.policies:
        yield from _collapse("Policies as JSON", _write_policies(contents))
    if contents.assumptions:
        yield from _collapse("Assumptions", (line for table in contents.assumptions for line in _write_table(table)))
    yield from _collapse("Compute it again", _write_origin(contents))


def _collapse(heading: str, lines: Iterator[str]) -> Iterator[str]:
    yield f"<details><summary>{heading}</summary>"
    yield ""
    yield from lines
    yield "</details>"
    yield ""


def _write_policies(contents: Contents) -> Iterator[str]:
    for name, specs in contents.policies.items():
        for dialect, written in specs.items():
            yield f"{_escape(name)}, {dialect} dialect:"
            yield ""
            yield from _fence(json.dumps(written["spec"], indent=2), "json")
            yield from (f"- {_escape(note)}" for note in written["notes"])
            yield ""


def _write_origin(contents: Contents) -> Iterator[str]:
    if contents.command:
        yield from _fence(contents.command, "sh")
        yield ""
    yield from _write_table(contents.origin)


def _write_table(table: Table) -> Iterator[str]:
    yield f"{_escape(table.title)}:"
    yield ""
    yield f"| {' | '.join(map(_escape, table.header))} |"
    yield f"|{' --- |' * len(table.header)}"
    for row in table.rows[:MOST_ROWS]:
        yield f"| {' | '.join(map(_escape, row))} |"
    yield ""
    if len(table.rows) > MOST_ROWS:
        yield f"{len(table.rows) - MOST_ROWS:,} more rows are not shown."
        yield ""


def _fence(text: str, language: str) -> Iterator[str]:
    """Yield a block of code, with a fence longer than any run of backticks inside."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}{language}"
    yield text
    yield fence


def _escape(text: str) -> str:
    """Escape text so that it has no markup and mentions no user."""
    quoted = _ACTING.sub(lambda match: f"\\{match[0]}", text)
    return _LINKING.sub(lambda match: f"{match[0]}\u2060", quoted).replace("\n", "<br>")
