"""Output of the benchmarks: on the screen and, on request, in the documents that explain it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from speed_cases import Row

_DOCS = Path(__file__).parents[1] / "docs"
_BEGIN, _END = "<!-- {} -->\n", "<!-- end -->\n"
_rows: list[tuple[str, str, str]] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-page", action="store_true", help="write what was measured into pages of docs/")


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[str], None]]:
    """Print a line despite pytest's capturing."""

    def out(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", end=" ")

    return out


@pytest.fixture
def row(capsys: pytest.CaptureFixture[str]) -> Row:
    """Print a row of the table on the performance page, and keep it."""

    def out(case: str, measured: str, bound_by: str) -> None:
        _rows.append((case, measured, bound_by))
        with capsys.disabled():
            print(f"\n{case}: {measured}", end=" ")

    return out


@pytest.fixture
def write_page(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Return a function that replaces a measurement on a page of docs/ with a text, if `--write-page` is given."""
    is_asked: bool = request.config.getoption("--write-page")
    return _write if is_asked else lambda *_: None


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if session.config.getoption("--write-page") and exitstatus == 0 and _rows:
        is_whole = not session.config.option.keyword and not any(".py" in name for name in session.config.args)
        rows = {} if is_whole else _read_rows("performance.md")
        rows.update({case: [case, *others] for case, *others in _rows})
        lines = [["case", "measured", "bound by"], ["---"] * 3, *rows.values()]
        _write("performance.md", "make bench", "\n".join(f"| {' | '.join(cells)} |" for cells in lines))


def _read_rows(page: str) -> dict[str, list[str]]:
    """Return the earlier rows by case, so that a partial run replaces only its own."""
    text = (_DOCS / page).read_text().split(_BEGIN.format("measured"))[1].split(_END)[0]
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row for row in cells[2:]}


def _write(page: str, command: str, text: str, place: str = "measured") -> None:
    """Replace the text between a place's marks; pages with several measurements name the place."""
    path, begin = _DOCS / page, _BEGIN.format(place)
    before, rest = path.read_text().split(begin)
    after = rest.split(_END, 1)[1]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    head = f"Measured by `{command}` on {datetime.now(UTC).date()} ({machine}):"
    path.write_text(f"{before}{begin}{head}\n\n{text}\n{_END}{after}")
