"""The site's pages: everything public has one, and all can be reached. `make docs` builds the site from them."""

import doctest
import importlib
import json
import posixpath
import re
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest
from pygments.lexers import get_all_lexers

import simdeploy
from simdeploy.cli.app import app

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def website():
    """Import modules of the site's folder."""
    sys.path.insert(0, str(ROOT / "docs"))
    yield lambda name: importlib.import_module(f"website.{name}")
    sys.path.remove(str(ROOT / "docs"))


@pytest.fixture(scope="module")
def pages(website):
    """All pages and pictures by name."""
    return website("pages").make_pages()


@pytest.fixture(scope="module")
def texts(pages):
    """The text of all pages, by name without suffix."""
    return {posixpath.splitext(name)[0]: text for name, text in pages.items() if name.endswith((".md", ".rst"))}


def test_every_public_name_has_a_place(texts):
    """Each public object is documented from its docstring, on one page. [contract]"""
    documented = re.findall(r"^\.\. auto\w+:: (\S+)$", "\n".join(texts.values()), re.MULTILINE)
    assert len(documented) == len(set(documented))
    objects = [
        getattr(importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2]) for name in documented
    ]
    for package in (
        simdeploy,
        simdeploy.plotting,
        simdeploy.analysis,
        simdeploy.validation,
        simdeploy.validation.oracles,
    ):
        for name in package.__all__:
            value = getattr(package, name)
            assert isinstance(value, ModuleType) or sum(value is other for other in objects) == 1, name


def test_every_command_has_a_page(texts):
    """A command's page has its options with their help, and its usage. [contract]"""
    context = click.Context(app, info_name="simdeploy")
    for name in app.list_commands(context):
        text = texts[f"commands/{name}"].replace("\\", "")
        command = app.get_command(context, name)
        within = click.Context(command, info_name=f"simdeploy {name}")
        assert " ".join(command.get_usage(within).removeprefix("Usage: ").split()) in text
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                options, about = parameter.get_help_record(within)
                assert f".. option:: {options}\n\n   {about.replace('`', '``')}\n" in text


def test_every_key_is_listed(texts):
    """Each key of a scenario file's schema is on the page of keys. [contract]"""
    listed = set(re.findall(r"^\.\. confval:: (?:\S+\.)?(\w+)$", texts["file-format"], re.MULTILINE))
    schema = simdeploy.scenario_schema()
    laws = {name: schema["$defs"].pop(name) for name in ("DurationLaw", "ProbabilityLaw", "FactorLaw")}
    assert laws

    def keys(part):
        if isinstance(part, dict):
            yield from part.get("properties", {})
        for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            yield from keys(value)

    assert listed == set(keys({"file": {"properties": schema["properties"]}, **schema["$defs"]}))


@pytest.mark.parametrize("page", ["scenario-file", "general-policy", "model", "reference"])
def test_tables_of_keys(website, page):
    """Tables of keys and responses in the documents are generated, those of keys for every section. [contract]"""
    assert website
    keys = importlib.import_module("keys")
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert keys.renew(text) == text
    if page == "scenario-file":
        described = {"ActSection", "ZoneOutageSection"}  # in a sentence
        sections = {name for name in simdeploy.scenario_schema()["$defs"] if name.endswith("Section")}
        assert set(re.findall(r"<!-- keys: (\w+Section)", text)) == sections - described


def test_every_page_can_be_reached(texts, website):
    """Tables of contents lead from the first page to every page, including all documents and notebooks. [contract]"""
    found, left = set(), ["index"]
    while left:
        page = left.pop()
        found.add(page)
        trees = re.findall(r"toctree(?:::|\})\n(.*?)(?:```|\Z)", texts[page], re.DOTALL)
        names = [name for tree in trees for name in re.findall(r"^ *([/\w][\w./-]*)$", tree, re.MULTILINE)]
        left += {posixpath.normpath(posixpath.join("/", posixpath.dirname(page), name))[1:] for name in names} - found
    assert found == set(texts)
    places = website("places")
    files = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("scenarios/**/*.*")]
    assert {places.place_of(path.relative_to(ROOT).as_posix()) for path in files} <= found


def test_where_files_are(website):
    """Files and names are where the modules' examples say. [contract]"""
    assert doctest.testmod(website("places")) == (0, 3)
    assert doctest.testmod(website("calls")) == (0, 1)


def test_public_names_in_code_are_links(website):
    """A public name in code links to its page, except in a heading, in a link, or as a plain word. [contract]"""
    adapt = website("markdown").adapt
    assert adapt("Call `plot_fleet`.", "README.md") == "Call {py:obj}`plot_fleet <simdeploy.plotting.plot_fleet>`."
    for text in ("## `plot_fleet`", "[see `plot_fleet` there](https://example.org)", "`compare`", "`half_width`"):
        assert adapt(text, "README.md") == text


def test_links_lead_to_pages(pages, texts):
    """Links and pictures of the documents lead to pages and pictures of the site. [contract]"""
    n_links = 0
    for page, text in texts.items():
        words = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)#\s]+)[^)\s]*\)", words):
            if not link.startswith("https://"):
                target = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
                assert target in pages, (page, link)
                n_links += 1
    assert n_links > 300


def test_dead_links_of_the_site_are_found(website, tmp_path):
    """The build checks links of written pages, relative to their folder, with their places within pages. [contract]"""
    (tmp_path / "api").mkdir()
    (tmp_path / "index.html").write_text(
        '<p id="top"><a href="api/a.html#b"></a><a href="https://example.org/x"></a>href=&quot;x&quot;'
    )
    good = '<h1 id="b"><a href="#b"></a><a href="../index.html#top"></a><img src="../a%20b.png">'
    dead = ["api/a.html", "../index.html#bottom", "#c", "a.md"]
    (tmp_path / "api" / "a.html").write_text(good + "".join(f'<a href="{link}"></a>' for link in dead))
    (tmp_path / "a b.png").touch()
    found = website("links").find_dead_links(tmp_path, ["index.html", "api/a.html"])
    assert list(found) == [("api/a.html", link) for link in dead]


def test_languages_of_code_need_no_plugin(texts):
    """Pygments alone highlights the code of every page; the extra docs installs none of its plugins. [contract]"""
    known = {alias for _, aliases, *_ in get_all_lexers(plugins=False) for alias in aliases}
    languages = set(re.findall(r"code-block(?:::|\}) *(\S*)", "\n".join(texts.values())))
    assert "python" in languages
    assert languages <= known


def test_diagrams_are_complete(website):
    """The texts of a diagram's boxes and arrows are on the page. [contract]"""
    draw = website("markdown").draw
    chain = draw('flowchart LR\n    a[a file] -->|read once| b\n    b --> c["a <table>"]\n')
    words = re.sub(r"<[^>]*>|\s+", " ", chain)
    assert " ".join(words.split()[2:-1]) == "a file read once &rarr; b &rarr; a &lt;table&gt;"
    states = draw("stateDiagram-v2\n    [*] --> on\n    on --> off: by night\n")
    assert states.endswith("|---|---|---|\n| on | off | by night |\n")
    for name in ("architecture", "model"):
        text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        (diagram,) = re.findall(r"^```mermaid\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        labels = re.findall(r'\["?(.+?)"?\]|\|(.+?)\||: (.+)', diagram)
        assert all(label in draw(diagram) for found in labels for label in found if label not in ("", "*"))


def test_notebooks_have_their_outputs(pages):
    """A notebook's page has its code, its stored pictures and tables, and a link to the notebook. [contract]"""
    for path in ROOT.glob("notebooks/*.ipynb"):
        text, cells = pages[f"notebooks/{path.stem}.md"], json.loads(path.read_text(encoding="utf-8"))["cells"]
        outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
        pictures = [name for name in pages if name.startswith(f"notebooks/{path.stem}-") and name.endswith(".png")]
        assert len(pictures) == text.count(".png)") == sum("image/png" in data for data in outputs)
        assert text.count("<table") == sum("text/html" in data for data in outputs)
        assert all("".join(cell["source"]) in text for cell in cells if cell["cell_type"] == "code")
        # The theme's class lets a wide table scroll instead of the page.
        assert text.count('<div class="table-wrapper container output">') == text.count("<table")
        assert pages[f"notebooks/{path.name}"] == path.read_text(encoding="utf-8")


def test_only_own_pages_are_deleted(website, monkeypatch, tmp_path):
    """Pages that no longer exist are deleted, other files never; a folder with other files gets no pages. [contract]"""
    module = website("pages")
    for pages in ({"a.md": "1", "api/b.rst": "2"}, {"a.md": "3", "c.png": b"4"}):
        monkeypatch.setattr(module, "make_pages", lambda pages=pages: pages)
        module.write_pages(tmp_path / "source")
        (tmp_path / "source" / "mine").write_text("mine")
    left = {path.name: path.read_text() for path in (tmp_path / "source").iterdir() if path.is_file()}
    assert left == {"a.md": "3", "c.png": "4", "mine": "mine", ".pages": "a.md\nc.png"}
    assert not any((tmp_path / "source" / "api").iterdir())
    with pytest.raises(FileExistsError, match="has other files"):
        module.write_pages(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
