"""Public names: listed once, imported on first use."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import simdeploy
from simdeploy.report import REPORTS
from simdeploy.result import Result

ROOT = Path(simdeploy.__file__).parent
PACKAGES = ["simdeploy", "simdeploy.analysis", "simdeploy.plotting", "simdeploy.validation"]


class Source(NamedTuple):
    """What several tests read in a file of the package."""

    docstring: str
    docstrings: list[tuple[str, str]]  # functions and classes, and theirs
    names: set[str]  # of functions and classes that it defines, and what it imports
    imported: list[tuple[str, str]]  # modules of the package, and a name from each


@cache
def read_source(path):
    """Read a file; its tree is not kept, because those of all files take hundreds of megabytes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    defined = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    imported = [
        (node.module, each.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("simdeploy.")
        for each in node.names
    ]
    return Source(
        ast.get_docstring(tree) or "",
        [(node.name, ast.get_docstring(node) or "") for node in defined],
        {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.alias)},
        imported,
    )


@pytest.mark.parametrize("name", PACKAGES)
def test_every_listed_name_is_there(name):
    """Every name of a package's list can be imported, and has a docstring. [contract]"""
    package = importlib.import_module(name)
    assert package.__all__
    assert package.__all__ == sorted(package.__all__)
    for public in package.__all__:
        assert getattr(package, public).__doc__, public
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("name", [*PACKAGES, "simdeploy.validation.oracles"])
def test_public_names_have_examples(name):
    """Public functions, and classes other than results and errors, have an example, which the tests run. [contract]"""
    package = importlib.import_module(name)
    public = [getattr(package, each) for each in package.__all__]
    ours = [
        each
        for each in public
        if inspect.isfunction(each) or (inspect.isclass(each) and not issubclass(each, Result | Exception))
    ]
    examples = {each.__name__: inspect.getdoc(each).partition("\nExamples\n--------\n")[2] for each in ours}
    assert [each for each, text in examples.items() if ">>> " not in text] == []


def test_unknown_names_are_an_error():
    """An unlisted name is an AttributeError, as in any module. [contract]"""
    for name in PACKAGES:
        with pytest.raises(AttributeError, match="nonsense"):
            _ = importlib.import_module(name).nonsense


def test_importing_is_cheap():
    """`import simdeploy`, and listing its names, imports no analysis, pandas or numba. [contract]"""
    script = "import sys, simdeploy; dir(simdeploy); print([m for m in sys.modules if m in %r])"
    heavy = ["pandas", "numba", "scipy", "matplotlib", "simdeploy.analysis", "simdeploy.engines", "simdeploy.report"]
    ran = subprocess.run([sys.executable, "-c", script % heavy], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_every_kind_of_result_has_its_report():
    """Each kind of result has a module of `simdeploy.report` with its sentence and tables, and there is no other. [contract]"""
    for name in simdeploy.__all__:
        getattr(simdeploy, name)
    importlib.import_module("simdeploy.statistics.selection")

    def kinds(base):
        for kind in base.__subclasses__():
            yield kind
            yield from kinds(kind)

    ours = {
        kind.__name__
        for kind in kinds(Result)
        if kind.__module__.startswith("simdeploy.") and ".cli." not in kind.__module__
    }
    assert set(REPORTS) == ours
    for module in {report.module for report in REPORTS.values()}:
        report = importlib.import_module(f"simdeploy.report.{module}")
        assert callable(report.tell)
        assert callable(report.tabulate)


def test_every_package_documents_its_public_parts():
    """The docstring of each package says what it contains, and what others may use. [contract]"""
    for path in Path(simdeploy.__file__).parent.rglob("__init__.py"):
        words = " ".join(read_source(path).docstring.split())
        assert re.match(r".{20,}[.;:] .*(Other packages use|Users import) .+", words), path


def test_no_entry_of_a_docstring_is_inside_another():
    """Parameters and attributes begin at the margin of their docstring, where readers and schemas look for them. [contract]"""
    for path in ROOT.rglob("*.py"):
        for name, docstring in read_source(path).docstrings:
            assert not re.findall(r"^ +\w[\w, ]* : .*", docstring, re.MULTILINE), (path, name)


def list_modules_used_from_outside():
    """Yield each module that another package imports names from, and that package."""
    for path in ROOT.rglob("*.py"):
        package = path.relative_to(ROOT).parts[0]
        for name, part in read_source(path).imported:
            of_module = ROOT.parent.joinpath(*name.split("."))
            for module in (of_module, of_module / part):
                parts = module.relative_to(ROOT).parts
                if module.with_suffix(".py").is_file() and len(parts) > 1 and parts[0] != package:
                    yield parts, package


def test_a_package_names_the_modules_that_others_import():
    """A module that is imported from another package is named in the docstring of its package, or of the one around.

    It is named before what the package may import and the list of its files. [contract]
    """
    missing = set()
    for parts, package in list_modules_used_from_outside():
        folders = [ROOT.joinpath(*parts[:depth]) for depth in range(1, len(parts))]
        texts = [re.split(r"May import:|\nFiles", read_source(each / "__init__.py").docstring)[0] for each in folders]
        if not re.search(rf"[`.]{parts[-1]}\b|use everything|use all of|modules of single results", "\n".join(texts)):
            missing.add(f"{package} imports {'.'.join(parts)}")
    assert missing == set()


def find_names(package):
    """Return the names of modules and packages in or beside a package, and those that its files define or import."""
    names = {path.stem for folder in (package, package.parent, ROOT) for path in folder.iterdir()}
    return names.union(*(read_source(path).names for path in package.rglob("*.py")))


def test_names_in_docstrings_of_packages_exist():
    """A module, function or class named in a package's docstring exists. [contract]"""
    missing = []
    for path in sorted(ROOT.rglob("__init__.py")):
        named = re.findall(r"`([a-zA-Z_.]+)`", read_source(path).docstring)
        known = find_names(path.parent) | set(simdeploy.__all__) | {"__init__.pyi"}
        missing += [(path.parent.name, name) for name in named if name not in known and not is_found(name, path.parent)]
    assert missing == []


def is_found(name, package):
    """Return whether a dotted name, absolute or relative to a package, is a module or a name in one."""
    start, _, last = name.rpartition(".")
    if not start:
        return any(
            re.search(rf"^(    )?{name}\b", text.read_text(encoding="utf-8"), re.MULTILINE)
            for text in package.rglob("*.py")
        )
    base = name if name.startswith("simdeploy.") else f"simdeploy.{'.'.join(package.relative_to(ROOT).parts)}.{name}"
    try:
        importlib.import_module(base)
    except ModuleNotFoundError:
        return hasattr(importlib.import_module(base.rpartition(".")[0]), last)
    return True


@pytest.mark.parametrize("package", ["statistics", "engines/compiled", "engines/reference"])
def test_a_package_that_lists_its_files_lists_all(package):
    """A package whose docstring lists modules lists all of them. [contract]"""
    words = read_source(ROOT / package / "__init__.py").docstring
    modules = {path.stem for path in (ROOT / package).glob("*.py")} - {"__init__"}
    assert {name for name in modules if f"`{name}" not in words} == set()
