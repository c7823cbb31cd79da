"""Adapt the repository's Markdown for MyST: links between pages, titles of blocks, diagrams, the glossary's terms."""

from __future__ import annotations

import re
from functools import partial
from html import escape

from website.calls import find_name
from website.places import relate

# A block, code within a line, or a link.
_PARTS = re.compile(
    r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$|`(?P<code>[^`\n]+)`|(?P<label>\[[^\[\]]*)?\]\((?P<target>[^)\s]+)\)",
    re.MULTILINE | re.DOTALL,
)
_ENTRY = re.compile(r"^\*\*(?P<term>[^*\n]+)\*\*: (?P<text>.+?)(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
_EDGE = re.compile(r"^\s*(?P<start>.+?) -->(?:\|(?P<label>.*?)\|)? (?P<end>.+?)(?:: (?P<when>.*))?$", re.MULTILINE)
_NODE = re.compile(r'^(?P<name>\w+)\["?(?P<text>.*?)"?\]$')
# Languages that the highlighter lacks.
_LANGUAGES = {"csv": "text", "hcl": "text"}


def adapt(text: str, file: str) -> str:
    """Return the text of a Markdown file of the repository for its page."""
    text = _PARTS.sub(partial(_adapt_part, file=file), text)
    return _ENTRY.sub(_make_entry, text) if file == "docs/glossary.md" else text


def _adapt_part(found: re.Match[str], file: str) -> str:
    if found["target"] is not None:
        name, sign, anchor = found["target"].partition("#")
        link = name if "://" in name or not name else relate(file, name)
        return f"{found['label'] or ''}]({link}{sign}{anchor})"
    if found["code"] is not None:
        return _adapt_code(found)
    language, _, rest = found["info"].partition(" ")
    if language == "mermaid":
        return draw(found["body"])
    caption = f":caption: {rest.removeprefix('title=')}\n" if rest.startswith("title=") else ""
    return f"```{{code-block}} {_LANGUAGES.get(language, language)}\n{caption}\n{found['body'].rstrip()}\n```"


def _adapt_code(found: re.Match[str]) -> str:
    """Link a public name to its page, except in headings and for plain words, which may be commands."""
    name = find_name(found["code"]) if re.search(r"[A-Z_.]", found["code"]) else None
    line = found.string[found.string.rfind("\n", 0, found.start()) + 1 : found.start()]
    return found[0] if name is None or line.startswith("#") else f"{{py:obj}}`{found['code']} <{name}>`"


def _make_entry(found: re.Match[str]) -> str:
    lines = "".join(f"  {line}\n" for line in found["text"].splitlines())
    return f"```{{glossary}}\n{found['term']}\n{lines}```"


def draw(diagram: str) -> str:
    """Return a Mermaid diagram as a chain of boxes or, for states, as a table, so that no script is needed."""
    edges = list(_EDGE.finditer(diagram))
    if diagram.startswith("stateDiagram"):
        rows = [f"| {edge['start']} | {edge['end']} | {edge['when']} |\n" for edge in edges if edge["when"]]
        return "".join(["| from | to | when |\n|---|---|---|\n", *rows])
    names: dict[str, str] = {}

    def name(node: str) -> str:
        found = _NODE.match(node)
        if found:
            names[found["name"]] = found["text"]
        return escape(names.get(node, found["text"] if found else node))

    boxes = [f"<span>{name(edges[0]['start'])}</span>"]
    boxes += [f"<em>{escape(edge['label'] or '')} &rarr;</em> <span>{name(edge['end'])}</span>" for edge in edges]
    return "\n".join(['```{raw} html\n<p class="chain">', *boxes, "</p>\n```"])
