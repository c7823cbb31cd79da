"""What the benchmarks say, on the screen and, on request, on the page that explains it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

_PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_BEGIN, _END = "<!-- measured -->\n", "<!-- end -->\n"
_said: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-page", action="store_true", help="write what was measured into docs/performance.md")


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[str], None]]:
    """Print a line past pytest's capturing, and keep it."""

    def out(text: str) -> None:
        _said.append(text)
        with capsys.disabled():
            print(f"\n{text}", end=" ")

    return out


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if not session.config.getoption("--write-page") or exitstatus != 0 or not _said:
        return
    before, rest = _PAGE.read_text().split(_BEGIN)
    after = rest.split(_END)[1]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    lines = [f"Measured by `make bench` on {datetime.now(UTC).date()} ({machine}):", "", "```", *_said, "```"]
    _PAGE.write_text(before + _BEGIN + "\n".join(lines) + "\n" + _END + after)
