"""Dead links between the pages of the built site, which Sphinx doesn't notice where it makes links itself."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from functools import cache
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit


def find_dead_links(folder: Path, pages: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each page with each of its links that leads to no file of the folder, or to no place in a page of it."""

    @cache
    def places(page: str) -> set[str]:
        return set(re.findall(r'\bid="([^"]+)"', (folder / page).read_text(encoding="utf-8")))

    for page in pages:
        links = re.findall(r'\b(?:href|src)="([^"]*)"', (folder / page).read_text(encoding="utf-8"))
        for link in dict.fromkeys(links):
            scheme, site, path, _, place = urlsplit(unescape(link))
            if scheme or site:
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(path))) if path else page
            is_there = not target.startswith(("/", "..")) and (folder / target).exists()
            if not is_there or (place and target.endswith(".html") and unquote(place) not in places(target)):
                yield page, link
