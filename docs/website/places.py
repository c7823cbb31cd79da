"""Where the site shows the files of the repository."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def read(file: str) -> str:
    """Return the text of a file of the repository."""
    return (ROOT / file).read_text(encoding="utf-8")


def list_files() -> list[str]:
    """Return the files that have a page of their own."""
    names = ["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE"]
    for pattern in ("docs/*.md", "docs/dialects/*.md", "scenarios/*.*", "scenarios/*/*.*", "notebooks/*.ipynb"):
        names += sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))
    return [name for name in names if place_of(name) != "index"]


def place_of(file: str) -> str:
    """Return the page that shows a file or folder, without its suffix; for a picture, its path with the suffix.

    The first page is the README, followed by the list of pages.

    Examples
    --------
    >>> place_of("docs/dialects/nomad.md"), place_of("scenarios/README.md"), place_of("docs/index.md")
    ('dialects/nomad', 'scenarios/index', 'index')
    """
    if file == "README.md":
        return "index"
    inner = file.removeprefix("docs/")
    if inner.startswith("images/"):
        return inner
    page = re.sub(r"\.\w+$", "", inner)
    return re.sub(r"\bREADME$", "index", page) if "/" in file else page.lower()


def relate(file: str, target: str) -> str:
    """Return a relative link from the page of a file to `target`, which is relative to that file's folder.

    Examples
    --------
    >>> relate("docs/dialects/nomad.md", "../../scenarios/README.md")
    '../scenarios/index.md'
    >>> relate("README.md", "docs/images/costs.png")
    'images/costs.png'
    """
    place = place_of(posixpath.normpath(posixpath.join(posixpath.dirname(file), target)))
    link = posixpath.relpath(place, posixpath.dirname(place_of(file)) or ".")
    return link if place.startswith("images/") else f"{link}.md"
