"""HashiCorp's configuration language (HCL2), parsed to a `Document`.

The package python-hcl2 parses; nothing is executed. Attributes that are not constant are kept as `Expression`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NoReturn

from simdeploy.api.json_text import MAX_DEPTH
from simdeploy.dialects.hcl_values import Expression, constant
from simdeploy.dialects.source import Document, Source, Unknown
from simdeploy.errors import InputError, Path, Problem, shorten

# The parser takes about a second for every 150 kB.
MAX_LETTERS = 500_000

_NAMES = {"$END": "the end of the file"}


def parse_hcl(source: Source) -> Document:
    """Parse a text in HCL.

    A block is a mapping below its type and labels; blocks of one type without labels are a list if there are several, as are
    generated (``dynamic``) blocks of one type.

    Raises
    ------
    InputError
        If the text is no HCL, is too large, or python-hcl2 is not installed.
    """
    try:
        from hcl2.api import parses_to_tree
        from lark.exceptions import LarkError, UnexpectedInput
    except ImportError:
        how = "install it with: pip install 'simdeploy[nomad]'; or give the job as JSON: nomad job run -output FILE"
        raise InputError(Problem("HCL is read with the package python-hcl2", file=source.file, hint=how)) from None
    if len(source.text) > MAX_LETTERS:
        raise InputError(Problem(f"HCL of more than {MAX_LETTERS:,} characters", file=source.file))
    # The parser recognises the end of a heredoc only without blanks after it.
    text = "\n".join(line.rstrip(" \t\r") for line in source.text.removeprefix("\ufeff").split("\n"))
    try:
        tree = parses_to_tree(text)
    except UnexpectedInput as error:
        token = getattr(error, "token", getattr(error, "char", ""))
        kind = str(getattr(token, "type", ""))
        words = str(token).partition("\n")[0]
        found = _NAMES.get(kind, shorten(words, 30) if words else "the end of the line")
        line, column = (error.line, error.column) if error.line > 0 else (None, None)
        hint = "is a brace or a quotation mark missing?" if kind == "$END" else None
        if "[[" in source.text:  # Levant and Nomad Pack
            hint = "render templates first"
        problem = Problem("not valid HCL", file=source.file, line=line, column=column, found=found, hint=hint)
        raise InputError(problem) from None
    except (LarkError, RecursionError) as error:
        words = str(error).partition("\n")[0]
        raise InputError(Problem(f"not valid HCL: {shorten(words)}", file=source.file)) from None
    lines: dict[Path, int] = {(): 1}
    data = _Builder(source, text, lines).body(tree.children[0], ())
    return Document(data, source, lines)


class _Builder:
    def __init__(self, source: Source, text: str, lines: dict[Path, int]) -> None:
        self._source = source
        self._text = text
        self._lines = lines

    def body(self, tree: Any, path: Path) -> dict[str, Any]:
        if len(path) > MAX_DEPTH:
            self._refuse(f"nested deeper than {MAX_DEPTH} levels", path[:3], tree)
        data: dict[str, Any] = {}
        parts = [child for child in tree.children if child.data in ("attribute", "block")]
        heads = [self._head(part) for part in parts]
        n_alike = Counter(heads)
        for head, part in zip(heads, parts, strict=True):
            place, at = data, path
            for word in head[:-1]:
                at = (*at, word)
                self._lines.setdefault(at, part.meta.line)
                place = place.setdefault(word, {})
                if not isinstance(place, dict):
                    self._refuse("given twice", at, part)
            at = (*at, head[-1])
            if part.data == "block" and (len(head) == 1 or head[0] == "dynamic") and n_alike[head] > 1:
                self._lines.setdefault(at, part.meta.line)
                blocks = place.setdefault(head[-1], [])
                if not isinstance(blocks, list):
                    self._refuse("given twice", at, part)
                at = (*at, len(blocks))
                blocks.append(self.body(part.children[-2], at))
            elif head[-1] in place:
                self._refuse("given twice", at, part)
            else:
                # The last three parts of a block are the opening brace, its body and the closing brace.
                place[head[-1]] = self.body(part.children[-2], at) if part.data == "block" else self._value(part)
            self._lines[at] = part.meta.line
        return data

    def _head(self, part: Any) -> tuple[str, ...]:
        """Return the name of an attribute, or the type and labels of a block."""
        if part.data == "attribute":
            return (_word(part.children[0]),)
        return tuple(_word(child) for child in part.children if getattr(child, "data", "body") in _HEADS)

    def _value(self, part: Any) -> Any:
        tree = part.children[-1]
        try:
            return constant(tree)
        except Unknown:
            return Expression(tree, self._text[tree.meta.start_pos : tree.meta.end_pos].strip())

    def _refuse(self, message: str, path: Path, tree: Any) -> NoReturn:
        raise InputError(Problem(message, path, file=self._source.file, line=tree.meta.line))


_HEADS = ("identifier", "keyword", "literal_value", "string")


def _word(tree: Any) -> str:
    """Return a name or a label; an expression within it is left out."""
    parts = tree.children[1:-1] if tree.data == "string" else [tree]
    return "".join(str(part.children[0]) for part in parts if not hasattr(part.children[0], "data"))
