"""Tables of words in a notebook."""

from __future__ import annotations

import html

from simdeploy.result import Table


def table_to_html(table: Table) -> str:
    """Return a table as HTML.

    Examples
    --------
    >>> table_to_html(Table("t", ("a",), (("1 < 2",),)))
    '<table><caption>t</caption><thead><tr><th>a</th></tr></thead><tbody><tr><td>1 &lt; 2</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{_escape(cell)}</th>" for cell in table.header)
    body = "".join("<tr>" + "".join(f"<td>{_escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return (
        f"<table><caption>{_escape(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _escape(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")
