"""A browser that reaches this machine only, and records console messages and blocked requests."""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_FLAGS = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")
_LOCAL = ("127.0.0.1", "localhost", "::1")
_PATIENCE_MS = 20_000
_SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"


@dataclass
class Visit:
    """A page, and what it did wrong."""

    page: Page
    elsewhere: list[str] = field(default_factory=list)  # addresses off this machine; they were blocked
    errors: list[str] = field(default_factory=list)  # errors and warnings in the console, uncaught exceptions

    def screenshot(self, name: str) -> Path:
        """Keep a picture of the page under build/screenshots."""
        path = _SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path, full_page=True)
        return path

    def assert_quiet(self) -> None:
        """Assert that the page requested nothing but itself and logged nothing to the console."""
        assert self.errors == []
        assert self.elsewhere == []
        loaded = self.page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
        assert all(address.startswith("data:") for address in loaded)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; tests that need it are skipped where none is installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    sandbox = ["--no-sandbox"] * (os.geteuid() == 0)
    playwright.expect.set_options(timeout=_PATIENCE_MS)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=[*_FLAGS, *sandbox])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def blank_tabs() -> defaultdict[str, list[Page]]:
    """Blank tabs that no test is using, by the options of their contexts; opening one takes a quarter of a second."""
    return defaultdict(list)


@pytest.fixture
def visit(browser: Browser, blank_tabs: defaultdict[str, list[Page]]) -> Iterator[Callable[..., Visit]]:
    """Open pages; arguments are those of Playwright's `new_context`, such as `viewport` and `color_scheme`.

    The tab may have shown another page before. `is_reused=False` closes it after the test, for changes that outlive a page.
    """
    leave: list[Callable[[], None]] = []

    def open_page(url: str | None = None, *, is_reused: bool = True, **options: Any) -> Visit:
        options = {"viewport": {"width": 1280, "height": 800}, **options}
        blank = blank_tabs[json.dumps(options, sort_keys=True)] if is_reused else []
        page = blank.pop() if blank else browser.new_context(**options).new_page()
        visit = Visit(page)

        def pass_local(route: Any) -> None:
            address = urlsplit(route.request.url)
            if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in _LOCAL:
                visit.elsewhere.append(route.request.url)
                route.abort()
            else:
                route.continue_()

        def note_socket(socket: Any) -> None:
            if urlsplit(socket.url).hostname not in _LOCAL:
                visit.elsewhere.append(socket.url)

        def on_console(message: Any) -> None:
            if message.type in ("error", "warning"):
                visit.errors.append(message.text)

        listeners: dict[Any, Callable[[Any], None]] = {
            "websocket": note_socket,
            "console": on_console,
            "pageerror": lambda error: visit.errors.append(str(error)),
        }

        def leave_page() -> None:
            for event, listener in listeners.items():
                page.remove_listener(event, listener)
            if not is_reused:
                page.context.close()
                return
            page.context.unroute_all()
            page.emulate_media(media="null")
            page.mouse.move(0, 0)
            page.goto("about:blank")
            blank.append(page)

        page.context.route("**/*", pass_local)
        for event, listener in listeners.items():
            page.on(event, listener)
        page.set_default_timeout(_PATIENCE_MS)
        leave.append(leave_page)
        if url is not None:
            page.goto(url)
        return visit

    yield open_page
    for leave_page in leave:
        leave_page()
