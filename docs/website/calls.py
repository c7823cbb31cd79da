"""The pages of public names, from their docstrings."""

from __future__ import annotations

import inspect
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from simdeploy.result import Result

# Groups with a page for each name, and packages with one page for all.
_GROUPS = {
    "simulating": "Calls that simulate",
    "calls": "Other calls",
    "results": "Results",
    "values": "Values and errors",
}
_TOGETHER = {"simdeploy.plotting": "Plots", "simdeploy.validation.oracles": "Closed forms"}
_INTRODUCTION = """\
Calls that simulate take ``scenario`` and ``policy`` (or ``policies``), and everything else by name. Every result has
``answer``, ``summarize``, ``to_frame`` and ``to_dict``. :doc:`/reference` explains the columns of tables,
:doc:`plotting` draws results, and :doc:`oracles` has what is known without simulation.
"""


def list_names() -> dict[str, Any]:
    """Return every public object by its full name, once if two packages export it."""
    found: dict[str, Any] = {}
    for package in ("simdeploy", "simdeploy.analysis", *_TOGETHER):
        module = import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if not isinstance(value, ModuleType) and not any(value is other for other in found.values()):
                found[f"{package}.{name}"] = value
    return {**found, "simdeploy.result.Result": Result}


@cache
def _by_last_word() -> dict[str, str]:
    # `estimate` is mostly a column.
    return {name.rpartition(".")[2]: name for name in list_names() if not name.endswith(".estimate")}


def find_name(code: str) -> str | None:
    """Return the full public name that code in a docstring means, or None.

    Examples
    --------
    >>> find_name("plot_fleet"), find_name("simdeploy.compare()"), find_name("half_width")
    ('simdeploy.plotting.plot_fleet', 'simdeploy.compare', None)
    """
    return _by_last_word().get(code.removeprefix("simdeploy.").removesuffix("()"))


def page_of(name: str) -> str:
    """Return the page that has a public name."""
    package = name.rpartition(".")[0]
    return f"api/{package.rpartition('.')[2] if package in _TOGETHER else name}"


def _group(value: Any) -> str:
    if inspect.isclass(value):
        return "results" if issubclass(value, Result) else "values"
    return "simulating" if "scenario" in inspect.signature(value).parameters else "calls"


def make_pages() -> dict[str, str]:
    """Return the pages of all names, and the list of them."""
    names = list_names()
    pages = {}
    for package, title in _TOGETHER.items():
        parts = [_write_name(name, value) for name, value in names.items() if name.startswith(f"{package}.")]
        about = (inspect.getdoc(import_module(package)) or "").partition("From outside")[0].rstrip()
        pages[page_of(f"{package}.x")] = "\n".join([title, "=" * len(title), "", about, "", *parts])
    single = {name: value for name, value in names.items() if page_of(name) not in pages}
    parts = [f"API\n===\n\n{_INTRODUCTION}"]
    for group, title in _GROUPS.items():
        members = {name: value for name, value in single.items() if _group(value) == group}
        parts += [f"{title}\n{'-' * len(title)}\n", *(_write_item(name, value) for name, value in members.items())]
    for name, value in single.items():
        title = name.rpartition(".")[2]
        pages[page_of(name)] = f"{title}\n{'=' * len(title)}\n\n{_write_name(name, value)}"
    tree = "".join(f"   /{page}\n" for page in pages)
    parts.append(f".. toctree::\n   :hidden:\n\n{tree}")
    return {"api/index.rst": "\n".join(parts), **{f"{page}.rst": text for page, text in pages.items()}}


def _write_item(name: str, value: Any) -> str:
    summary = " ".join((inspect.getdoc(value) or "").split("\n\n", maxsplit=1)[0].split())
    return f":doc:`{name.rpartition('.')[2]} </{page_of(name)}>`\n   {summary}\n"


def _write_name(name: str, value: Any) -> str:
    if inspect.isclass(value):
        base = "   :show-inheritance:\n" if issubclass(value, Result) and value is not Result else ""
        return f".. autoclass:: {name}\n   :members:\n   :exclude-members: __init__, __new__\n{base}"
    return f".. auto{'function' if callable(value) else 'data'}:: {name}\n"
