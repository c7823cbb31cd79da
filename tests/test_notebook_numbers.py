"""Every number that a notebook states in its text is in one of its outputs, or in its code."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))

# Numbers of a text without a matching output, with the reason.
EXEMPT: dict[str, dict[str, str]] = {
    "where-it-breaks": {"60": "3 % of 2,000 nodes"},
}

# A number with its decimals and percent sign; not a part of a word, a link or a version.
STATED = re.compile(
    r"(?<![\w.,/#-])(?P<number>\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?)(?P<percent> ?%| percent)?(?![\w/]|\.\d|,\d{3})"
)
SHOWN = re.compile(r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?(?![\w]|\.\d)")


def numbers_of(text: str) -> set[float]:
    """Return the numbers in an output or in code."""
    return {float(found.replace(",", "")) for found in SHOWN.findall(text.replace("_", ""))}


def read(path: Path) -> tuple[list[tuple[str, str, bool]], set[float]]:
    """Return the numbers stated in a notebook's text (number, words around it, whether in percent), and those shown."""
    stated, shown = [], set()
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"\]\([^)]*\)", "]", cell.source)
            for found in STATED.finditer(text):
                around = " ".join(text[max(found.start() - 40, 0) : found.end() + 20].split())
                stated.append((found["number"], around, bool(found["percent"])))
            continue
        shown |= numbers_of(cell.source)
        for output in cell.get("outputs", []):
            shown |= numbers_of(output.get("text") or output["data"]["text/plain"])
    return stated, shown


def is_shown(number: str, in_percent: bool, shown: set[float]) -> bool:
    """Return whether a shown number rounds to this one at its stated decimals; a percentage may be a fraction."""
    stated, decimals = float(number.replace(",", "")), len(number.partition(".")[2])
    candidates = shown | ({100 * value for value in shown if value <= 1} if in_percent else set())
    return any(abs(value - stated) <= 0.5 * 10**-decimals * (1 + 1e-9) for value in candidates)


def missing(path: Path) -> list[str]:
    """Return the numbers that a notebook's text states and nothing shows, each with the words around it."""
    stated, shown = read(path)
    exempt = EXEMPT.get(path.stem, {})
    return [
        f"{number}: {around}"
        for number, around, in_percent in stated
        if number not in exempt and not is_shown(number, in_percent, shown)
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_numbers_in_text(path):
    """A number in the text of a notebook is in an output, or exempt with a reason. [contract]"""
    assert missing(path) == []


def test_exemptions_are_needed():
    """Every exemption is for a number that the text still states, and has a reason. [contract]"""
    for stem, exempt in EXEMPT.items():
        (path,) = [path for path in NOTEBOOKS if path.stem == stem]
        stated, shown = read(path)
        needed = {number for number, _, in_percent in stated if not is_shown(number, in_percent, shown)}
        assert set(exempt) <= needed
        assert all(exempt.values())


@pytest.mark.parametrize(
    ("number", "in_percent", "shown", "expected"),
    [
        ("73", True, {0.733}, True),
        ("73", True, {0.74}, False),
        ("73", False, {0.733}, False),
        ("0.73", False, {0.733}, True),
        ("2,000", False, {2000.0}, True),
        ("4.8", True, {0.048}, True),
        ("4.8", True, {4.9}, False),
    ],
)
def test_a_number_counts_at_its_precision(number, in_percent, shown, expected):
    """A stated number is shown if an output rounds to it. [oracle]"""
    assert is_shown(number, in_percent, shown) is expected


def test_numbers_are_found(tmp_path):
    """Numbers of a text are distinguished from those in names and links. [contract]"""
    cells = [nbformat.v4.new_markdown_cell("At 73.5 % of 2,000 worlds, p95 and [seed](a-3.md) in `x_1`: 0.1, 8."),
             nbformat.v4.new_code_cell("replications = 2_000")]  # fmt: skip
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "n.ipynb")
    stated, shown = read(tmp_path / "n.ipynb")
    assert [(number, in_percent) for number, _, in_percent in stated] == [
        ("73.5", True), ("2,000", False), ("0.1", False), ("8", False),
    ]  # fmt: skip
    assert shown == {2000.0}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short(path):
    """A cell has at most ten lines of code; longer code belongs into the package. [contract]"""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells if len(cell.source.splitlines()) > 10] == []
