"""What the documents say is so: examples run, pictures are of their data, lists are complete, links lead somewhere."""

from __future__ import annotations

import doctest
import importlib
import inspect
import os
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

import simdeploy
from simdeploy.analysis import oracles
from simdeploy.engines import schema
from simdeploy.rules.orchestrator import Orchestrator

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def docs_module():
    """Import a script that stands beside the documents."""
    sys.path.insert(0, str(ROOT / "docs"))
    yield importlib.import_module
    sys.path.remove(str(ROOT / "docs"))


PAGES = [
    ROOT / name
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "scenarios/README.md")
] + sorted((ROOT / "docs").glob("*.md"))  # fmt: skip
page_id = lambda page: str(page.relative_to(ROOT))  # noqa: E731


def is_executed(block) -> bool:
    return block.language in ("console", "python", "pycon")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_examples(page, docs_module, tmp_path, monkeypatch):
    """Every command and every Python session of a document gives the output that the document shows [contract]."""
    examples = docs_module("examples")
    text = page.read_text(encoding="utf-8")
    examples.make_folder(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in filter(is_executed, examples.read_blocks(text)):
        if block.language == "console":
            commands = examples.read_commands(block)
            assert commands, f"line {block.line}: a console block without a command"
            for command in commands:
                assert examples.run_command(command.command, tmp_path) == command.output, command.command
        else:
            _run_session(block, namespace, page)


def _run_session(block, namespace, page):
    session = doctest.DocTestParser().get_doctest(block.body, namespace, page.name, str(page), block.line - 1)
    assert session.examples, f"line {block.line}: a Python block without a session"
    said = []
    doctest.DocTestRunner(optionflags=_END_OF_LINE).run(session, out=said.append, clear_globs=False)
    namespace.update(session.globs)
    assert not said, "".join(said)


class _WithoutTrailingBlanks(doctest.OutputChecker):
    """pandas pads its headings with blanks, which documents leave out."""

    def check_output(self, want, got, optionflags):
        got = "".join(f"{line.rstrip()}\n" for line in got.splitlines())
        return super().check_output(want, got, optionflags)
