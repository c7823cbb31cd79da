"""A report as one HTML page that loads nothing and runs only its own scripts."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError
from simdeploy.plotting.figures import draw_figure
from simdeploy.plotting.style import BLUE
from simdeploy.report import ask
from simdeploy.report.tables import escape_cell
from simdeploy.sharing.cells import Interval, list_intervals, list_numbers
from simdeploy.sharing.pictures import write_picture

if TYPE_CHECKING:
    from simdeploy.result import Table
    from simdeploy.scenario.written_specs import Specs
    from simdeploy.sharing.contents import Contents
    from simdeploy.sharing.dials import Cell, Dials

_FILES = ("page.css", "page.js", "marks.js")
MOST_ROWS = 1000  # of a table
_MOST_GRID_BYTES = 1_200_000  # of the numbers behind the sliders, and of the policies
_BAR = (90, 8)  # of an interval in a cell


def to_page(contents: Contents) -> str:
    """Return the page of a report.

    Examples
    --------
    >>> import pandas as pd
    >>> from simdeploy import compare
    >>> from simdeploy.sharing.gathering import gather
    >>> from simdeploy.sharing.simulating import Request
    >>> table = pd.DataFrame({"policy": ["a", "b"], "replication": 0, "makespan_s": [60.0, 80.0]})
    >>> page = to_page(gather(compare(table), Request()))
    >>> page.splitlines()[0]
    '<!DOCTYPE html>'
    """
    css, *scripts = (files("simdeploy.sharing").joinpath(name).read_text("utf-8") for name in _FILES)
    js = "".join(scripts)
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(css)}'; script-src '{_digest(js)}'"
    )
    title = escape(contents.title)
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{title}: {escape(ask(contents.result))}</title>",
        f"<style>{css}</style>",
        "</head>",
        "<body>",
        "<header>",
        f"<h1>{title}</h1>",
        *([f"<p>{escape(contents.about)}</p>"] if contents.about else []),
        "</header>",
        "<main>",
        *_write_body(contents),
        "</main>",
        "<footer><p>Written by simdeploy; this page loads nothing and sends nothing.</p></footer>",
        f"<script>{js}</script>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _write_body(contents: Contents) -> Iterator[str]:
    result = contents.result
    yield from _section("answer", "Answer", _write_answer(contents))
    if contents.dials is not None:
        yield from _section("thresholds", "Move the thresholds", _write_dials(contents.dials))
    yield from _section("numbers", "Numbers", map(_write_table, result.summarize()))
    if contents.assumptions:
        yield from _section("assumptions", "Assumptions", map(_write_table, contents.assumptions))
    if contents.policies:
        of_policies = (line for name, specs in contents.policies.items() for line in _write_policy(name, specs))
        yield from _section("policies", "Policies as JSON", of_policies)
    yield from _section("again", "Compute it again", _write_origin(contents))


def _section(name: str, heading: str, lines: Iterable[str]) -> Iterator[str]:
    yield f'<section aria-labelledby="{name}">'
    yield f'<h2 id="{name}">{heading}</h2>'
    yield from lines
    yield "</section>"


def _write_answer(contents: Contents) -> Iterator[str]:
    answer, figure = contents.result.answer, None
    yield f'<p class="question">{escape(ask(contents.result))}</p>'
    unbroken = answer.replace(" %", "\N{NO-BREAK SPACE}%")
    yield f'<p class="answer">{escape(unbroken)}</p>'
    with suppress(InputError):  # a result without the data of its picture
        figure = draw_figure(contents.result)
    if figure is not None:
        alt = f"Picture of the answer: {answer} The tables below have its numbers."
        yield write_picture(figure, alt)


# -- tables ------------------------------------------------------------------------------------------------------------


def _write_table(table: Table, css_class: str = "") -> str:
    """Return a table that is sorted by clicking its headings; intervals of a column are also drawn, on one scale."""
    rows = table.rows[:MOST_ROWS]
    columns = [[row[place] for row in rows] for place in range(len(table.header))]
    written = [_write_column(column) for column in columns]
    sorts = len(rows) > 1
    head = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{escape_cell(name)}</button></th>'
        if sorts
        else f'<th scope="col">{escape_cell(name)}</th>'
        for name in table.header
    )
    body = "\n".join(f"<tr>{''.join(cells)}</tr>" for cells in zip(*written, strict=True))
    label = escape(table.title)
    n_more = len(table.rows) - len(rows)
    more = f'<p class="soft">{n_more:,} more rows are not shown.</p>' if n_more else ""
    return (
        f'<div class="scroll {css_class}" role="region" aria-label="{label}" tabindex="0"><table>'
        f"<caption>{label}</caption><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>{more}"
    )


def _write_column(cells: list[str]) -> Iterator[str]:
    numbers, intervals = list_numbers(cells), list_intervals(cells)
    drawn = [""] * len(cells) if intervals is None else list(_draw_intervals(intervals))
    for place, cell in enumerate(cells):
        number = None if numbers is None else numbers[place]
        value = "" if number is None else f' data-value="{number:.12g}"'
        yield f"<td{value}>{escape_cell(cell)}{drawn[place]}</td>"


def _draw_intervals(intervals: list[Interval | None]) -> Iterator[str]:
    """Yield for each interval of a column a bar with a point, which is filled if the interval is trusted."""
    known = [interval for interval in intervals if interval is not None]
    least, most = min(each.low for each in known), max(each.high for each in known)
    width, height = _BAR
    factor = (width - height) / (most - least) if most > least else 0.0
    for interval in intervals:
        if interval is None:
            yield ""
            continue
        estimate, low, high = (height / 2 + (value - least) * factor for value in interval[:3])
        fill = BLUE if interval.is_trusted else "white"
        yield (
            f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" aria-hidden="true">'
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{height / 2}" y2="{height / 2}" stroke="{BLUE}" stroke-width="2"/>'
            f'<circle cx="{estimate:.1f}" cy="{height / 2}" r="3" fill="{fill}" stroke="{BLUE}"/></svg>'
        )


# -- dials -------------------------------------------------------------------------------------------------------------


def _write_dials(dials: Dials) -> Iterator[str]:
    """Yield the sliders and their data; without policies, or not at all, if the page would become too large."""
    n, grid, policies = math.prod(len(dial.values) for dial in dials.dials), _list_grid(dials), _list_policies(dials)
    if len(_to_script(grid)) > _MOST_GRID_BYTES:
        yield f'<p class="soft">The sliders are left out: with {n:,} positions the page would be too large.</p>'
        return
    is_short = len(_to_script(policies)) <= _MOST_GRID_BYTES
    yield "<noscript><p>The sliders need JavaScript.</p></noscript>"
    yield '<div id="dials" hidden>'
    yield '<p class="soft no-print">Each position is a case that was simulated. A bar is its interval; a hollow point marks one '
    yield "that may be too narrow, an arrow one that extends beyond the axis. Faint lines are at other values of the other slider.</p>"
    yield '<div class="dials">'
    for number, dial in enumerate(dials.dials):
        name, last = escape(dial.name), len(dial.values) - 1
        if dial.is_slider:
            yield f'<div><label for="dial-{number}">{name}: <output id="value-{number}"></output></label>'
            yield f'<input type="range" id="dial-{number}" min="0" max="{last}" step="1" value="{dial.start}">'
            yield f'<div class="ends" aria-hidden="true"><span>{escape(dial.values[0])}</span>'
            yield f"<span>{escape(dial.values[-1])}</span></div></div>"
        else:
            options = "".join(f'<option value="{n}">{escape(value)}</option>' for n, value in enumerate(dial.values))
            yield f'<div><label for="dial-{number}">{name}</label><select id="dial-{number}">{options}</select></div>'
    yield "</div>"
    yield '<div class="no-print">'
    if len(dials.dials) > 1:
        yield "<fieldset><legend>Lines along</legend>"
        for number, dial in enumerate(dials.dials[:2]):
            checked = " checked" if number == 0 else ""
            yield f'<label><input type="radio" name="along" value="{number}"{checked}> {escape(dial.name)}</label>'
        yield "</fieldset>"
    yield '<button type="button" id="reset">Back to the start</button></div>'
    yield '<div class="quantities">'
    for number, quantity in enumerate(dials.quantities):
        unit = f" ({escape(quantity.unit)})" if quantity.unit else ""
        yield f'<div><h3 id="quantity-{number}">{escape(quantity.title)}{unit}</h3>'
        yield f'<output id="estimate-{number}" aria-labelledby="quantity-{number}"></output>'
        yield f'<svg id="chart-{number}" viewBox="0 0 320 176" role="img"></svg></div>'
    yield "</div>"
    if dials.specs and not is_short:
        yield f'<p class="soft">The policies of the {n:,} positions are left out: the page would be too large.</p>'
    elif dials.specs:
        yield f"<h3>Policy {escape(dials.policy)} at this position</h3>"
        yield '<div class="forms">'
        for number, dialect in enumerate(dials.specs[0]):
            label = f"{escape(dialect)} dialect"
            yield f'<div><p>{label}</p><pre id="json-{number}" tabindex="0" role="region" aria-label="{label}"></pre>'
            yield f'<p class="soft" id="notes-{number}"></p></div>'
        yield "</div>"
    data = _to_script({**grid, "policies": policies if is_short else []})
    yield f'</div><script type="application/json" id="grid">{data}</script>'


def _list_grid(dials: Dials) -> dict[str, Any]:
    return {
        "dials": [
            {"name": dial.name, "values": dial.values, "start": dial.start, "slider": dial.is_slider}
            for dial in dials.dials
        ],
        "quantities": [
            {"title": quantity.title, "unit": quantity.unit, "cells": [_list_numbers(cell) for cell in quantity.cells]}
            for quantity in dials.quantities
        ],
    }


def _list_policies(dials: Dials) -> list[Any]:
    return [[[_to_json(written), "; ".join(written["notes"])] for written in specs.values()] for specs in dials.specs]


def _list_numbers(cell: Cell) -> list[Any]:
    numbers = (float(f"{x:.5g}") if math.isfinite(x) else None for x in (cell.estimate, cell.low, cell.high))
    return [cell.text, *numbers, int(cell.is_trusted)]


def _to_script(data: Any) -> str:
    """Return JSON that can't end the script element, whatever names it contains."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# -- policies and origin -----------------------------------------------------------------------------------------------


def _to_json(written: Mapping[str, Any]) -> str:
    return json.dumps(written["spec"], indent=2)


def _write_policy(name: str, specs: Specs) -> Iterator[str]:
    yield f"<h3>{escape(name)}</h3>"
    yield '<div class="forms">'
    for dialect, written in specs.items():
        label = escape(f"{name}, {dialect} dialect")
        yield f"<div><p>{escape(dialect)} dialect</p>"
        yield f'<pre tabindex="0" role="region" aria-label="{label}">{escape(_to_json(written))}</pre>'
        yield from (f'<p class="soft">{escape(note)}</p>' for note in written["notes"])
        yield "</div>"
    yield "</div>"


def _write_origin(contents: Contents) -> Iterator[str]:
    if contents.command:
        yield f'<pre tabindex="0" role="region" aria-label="command">{escape(contents.command)}</pre>'
    yield _write_table(contents.origin, "origin")
