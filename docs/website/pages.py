"""All pages of the site: the repository's Markdown, notebooks and scenarios, and pages generated from the code.

Sphinx builds the site from the folder that `write_pages` fills (``make docs``).
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from website import calls, commands, file_format, notebooks
from website.markdown import adapt
from website.places import ROOT, list_files, place_of, read, relate

# Pages that docs/index.md can't link to, by the group under which the site lists them.
_MORE = {
    "Look up": ["commands/index", "file-format", "api/index"],
    "Project": ["contributing", "security", "changelog", "license"],
}
_LISTED = ".pages"  # the names of the pages, in their folder
_LANGUAGES = {".yaml": "yaml", ".json": "json"}


def make_pages() -> dict[str, str | bytes]:
    """Return the sources of all pages, and the pictures, by their names in one folder."""
    pages: dict[str, str | bytes] = {"index.md": _make_first_page()}
    for file in list_files():
        if file.endswith(".ipynb"):
            pages |= notebooks.convert(file)
        elif file.endswith(".md"):
            pages[f"{place_of(file)}.md"] = adapt(read(file), file) + _list_children(file)
        else:
            pages[f"{place_of(file)}.md"] = _show_file(file) + _list_children(file)
    pages |= {place_of(f"docs/images/{path.name}"): path.read_bytes() for path in (ROOT / "docs/images").glob("*.png")}
    return {**pages, **calls.make_pages(), **commands.make_pages(), "file-format.rst": file_format.make_page()}


def write_pages(folder: Path) -> None:
    """Make a folder hold all pages. Files that don't change keep their time, so Sphinx skips them.

    Raises
    ------
    FileExistsError
        If the folder has files, but no list of pages that were written into it; only what is listed is ever deleted.
    """
    listed = folder / _LISTED
    if not listed.is_file() and folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} has other files; pages are written into an empty folder (`make docs`)")
    pages = make_pages()
    before = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
    folder.mkdir(parents=True, exist_ok=True)
    # Both, so that an interrupted run leaves nothing that the next one can't delete.
    listed.write_text("\n".join({**dict.fromkeys(before), **pages}), encoding="utf-8")
    for name in set(before) - pages.keys():
        (folder / name).unlink(missing_ok=True)
    for name, page in pages.items():
        path, content = folder / name, page if isinstance(page, bytes) else page.encode()
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    listed.write_text("\n".join(pages), encoding="utf-8")


def list_groups() -> dict[str, list[str]]:
    """Return the pages by group, as docs/index.md lists them."""
    text = read("docs/index.md")
    groups = {
        name: re.findall(r"\]\((\S+?)\)", links)
        for name, links in re.findall(r"^- \*\*(.+?)\*\*: (.+?)(?=\n- |\n\n)", text, re.MULTILINE | re.DOTALL)
    }
    groups["Notebooks"] = re.findall(r"\]\((\S+?)\)", text.partition("\n\nNotebooks")[2])
    # A link to a part of a page leads to one that another link lists.
    pages = {
        name: [relate("docs/index.md", link).removesuffix(".md") for link in links if "#" not in link]
        for name, links in groups.items()
    }
    return {name: [*pages.get(name, []), *_MORE.get(name, [])] for name in dict.fromkeys([*pages, *_MORE])}


def _make_first_page() -> str:
    """Return the README and the list of pages as one."""
    listed = adapt(read("docs/index.md"), "docs/index.md").replace("# ", "## ", 1)
    trees = [
        f"```{{toctree}}\n:hidden:\n:caption: {name}\n\n" + "".join(f"/{page}\n" for page in pages) + "```"
        for name, pages in list_groups().items()
    ]
    return "\n\n".join([adapt(read("README.md"), "README.md"), listed, *trees]) + "\n"


def _list_children(file: str) -> str:
    """Return a table of contents for pages that the first page doesn't list."""
    folders = {"docs/importing.md": "docs/dialects", "scenarios/README.md": "scenarios"}
    folder = folders.get(file, posixpath.splitext(file)[0])
    pages = [place_of(name) for name in list_files() if posixpath.dirname(name) == folder and name != file]
    return "\n```{toctree}\n:hidden:\n\n" + "".join(f"/{page}\n" for page in pages) + "```\n" if pages else ""


def _show_file(file: str) -> str:
    """Return a page that shows a file verbatim."""
    name = posixpath.basename(file)
    stem, ending = posixpath.splitext(name)
    language = _LANGUAGES.get(ending, "text")
    copy = f"`simdeploy new --like {stem} FILE` copies this [scenario](index.md).\n\n" if ending == ".yaml" else ""
    hidden = "" if ending == ".yaml" else "---\nnosearch: true\n---\n\n"
    return f"{hidden}# {name}\n\n{copy}```{{code-block}} {language}\n{read(file).rstrip()}\n```\n"
