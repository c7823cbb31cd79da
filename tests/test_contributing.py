"""CONTRIBUTING names all files that an additional switch, pacing, response, gate or distribution has to touch."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from simdeploy.rules.gates.gate import METHODS
from simdeploy.rules.orchestrator import Orchestrator
from simdeploy.vocabulary import GATES, RESPONSES

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

# By the heading of its list: the existing items of a kind, and one of them, under each name that it has.
KINDS: dict[str, list[Collection[str]]] = {
    "a switch of the orchestrator": [
        [field.name for field in fields(Orchestrator) if field.name != "preset"],
        *(["unreachable_nodes"], ["UnreachableNodes"], ["UNREACHABLE_SKIP"]),
    ],
    "a pacing": [["sliding"], ["SLIDING"]],
    "a response": [tuple(RESPONSES), ["decision_windows"]],
    "a gate": [GATES, METHODS, ["e_process"], ["E_PROCESS"]],
    "a distribution": [["Weibull"], ["weibull"], ["WEIBULL"]],
}


def name_paths(text: str) -> set[str]:
    """Return backticked text that looks like a path in the repository."""
    return {word for word in re.findall(r"`([\w./*-]+)`", text) if re.search(r"/|\.(py|md|toml)$", word)}


def list_of(heading: str) -> str:
    section = re.search(rf"^## Adding {heading}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert section, heading
    return section[1]


def _words(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name
        elif isinstance(node, ast.keyword | ast.arg):
            yield node.arg or ""


@cache
def all_words() -> dict[str, frozenset[str]]:
    """Collect the names and strings of every module of the package."""
    return {
        path.relative_to(ROOT).as_posix(): frozenset(_words(ast.parse(path.read_text(encoding="utf-8"))))
        for path in ROOT.glob("simdeploy/**/*.py")
    }


def test_every_path_is_there():
    """Each file and folder that CONTRIBUTING names exists. [contract]"""
    missing = sorted(path for path in name_paths(TEXT) if not list(ROOT.glob(path)))
    assert not missing


@pytest.mark.parametrize("kind", KINDS)
def test_lists_are_complete(kind: str):
    """A module that knows most items of a kind, or the chosen one, is listed, or its folder is. [contract]"""
    named = name_paths(list_of(kind))
    for items in KINDS[kind]:
        knowing = [path for path, words in all_words().items() if 2 * sum(item in words for item in items) > len(items)]
        assert knowing, items
        for path in knowing:
            assert path in named or f"{Path(path).parent.as_posix()}/" in named, f"{path} knows {items}"


def test_every_folder_of_modules_is_a_package():
    """Each folder with modules has an `__init__`, without which import-linter skips it. [contract]"""
    folders = {path.parent for path in ROOT.glob("simdeploy/**/*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]
