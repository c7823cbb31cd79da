"""Generate the tables of keys in the documents from the schema of a scenario file, and those of responses: ``python docs/keys.py``.

A comment above a table names a section of the schema, and the keys if not all are meant: ``<!-- keys: ClassSection; name, share -->``,
or ``<!-- keys: OrchestratorSection; not preset -->``. ``<!-- responses -->`` is above the table of responses, and
``<!-- responses: names -->`` above an item of a list that names those that are numbers.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from website.file_format import find_sections

from simdeploy import scenario_schema
from simdeploy.responses import ALL_RESPONSES

DOCUMENTS = [
    Path(__file__).with_name(name) for name in ("scenario-file.md", "general-policy.md", "model.md", "reference.md")
]

_TABLE = re.compile(
    r"^<!-- keys: (?P<section>[^;\n]+?)(?:; (?P<but>not )?(?P<keys>[^\n]+))? -->\n\n(?:\|.*\n)*", re.MULTILINE
)
_RESPONSES = re.compile(
    r"^(?P<mark><!-- responses(?P<names>: names)? -->\n\n)(?:(?:\|.*\n)+|- .*\n(?:  .*\n)*)", re.MULTILINE
)
_DEFAULT = re.compile(r"; default:? (.*?)\.(?= |$)")
# Code, or a name of several words.
_NAME = re.compile(r"`[^`]*`|\b([a-z]+(?:[._][a-z]+)+)\b")
_MOST_WORDS = 10  # in a table


def renew(text: str) -> str:
    """Return the text of a document with its tables generated anew."""
    sections = {section.title: section.schema for section in find_sections()} | scenario_schema()["$defs"]

    def write(found: re.Match[str]) -> str:
        schema = sections[found["section"]]
        named = found["keys"].split(", ") if found["keys"] else []
        keys = [key for key in schema["properties"] if key not in named] if found["but"] or not named else named
        keys.sort(key=lambda key: key not in schema.get("required", ()))
        rows = [(f"`{key}`", *_describe(key, schema, sections)) for key in keys]
        return f"{found[0].partition('|')[0].rstrip()}\n\n{_make_table(('key', 'default', 'meaning'), rows)}"

    return _RESPONSES.sub(_write_responses, _TABLE.sub(write, text))


def _make_table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in [heading, ("---",) * len(heading), *rows])


def _write_responses(found: re.Match[str]) -> str:
    if found["names"]:
        names = ", ".join(f"`{response.name}`" for response in ALL_RESPONSES if response.dtype != "str")
        return f"{found['mark']}{textwrap.fill(f'- {names}', 120, subsequent_indent='  ')}\n"
    rows = ((f"`{response.name}`", response.dtype, response.unit) for response in ALL_RESPONSES)
    return found["mark"] + _make_table(("column", "type", "unit"), rows)


def _describe(key: str, section: Mapping[str, Any], sections: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """Return the default of a key, and what it means, in Markdown."""
    schema = section["properties"][key]
    about = schema.get("description") or sections[schema["$ref"].rpartition("/")[2]]["description"]
    stated = _DEFAULT.search(about)
    if key in section.get("required", ()):
        default = "required"
    elif stated:
        default, about = _mark(stated[1]), f"{about[: stated.start()]}.{about[stated.end() :]}"
    else:
        value = schema.get("default")
        default = (
            "none" if value in (None, "", {}, []) else f"`{value if isinstance(value, str) else json.dumps(value)}`"
        )
    words = list(_find_words(schema))
    is_listed = len(words) <= _MOST_WORDS and not all(word in about for word in words)
    return default, _mark(about) + (f" One of `{'`, `'.join(words)}`." if is_listed else "")


def _mark(text: str) -> str:
    """Return plain text with the names of keys as code."""
    return _NAME.sub(lambda found: f"`{found[1]}`" if found[1] else found[0], text)


def _find_words(schema: Mapping[str, Any]) -> Iterator[str]:
    """Return the words among which a value is chosen."""
    yield from schema.get("enum", ())
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _find_words(choice)
    if isinstance(schema.get("items"), dict):
        yield from _find_words(schema["items"])


if __name__ == "__main__":
    for document in DOCUMENTS:
        document.write_text(renew(document.read_text(encoding="utf-8")), encoding="utf-8")
