"""The glossary explains every response and every column of a result."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from every_result import make

from simdeploy import vocabulary
from simdeploy.documents import KINDS
from simdeploy.vocabulary import RESPONSES

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS, PATTERNS = TEXT.split("\n## Patterns of column names\n")
PARTS = [
    dict(re.findall(r"^\*\*(.+?)\*\*: (.+?)(?=\n\n)", part + "\n", re.MULTILINE | re.DOTALL))
    for part in TERMS.split("\n## Columns of single analyses\n")
]
ENTRIES = {**PARTS[0], **PARTS[1]}
SUFFIXES = re.findall(r"`<name>(_\w+)`", PATTERNS)
# Of the tables of replications, which are no results.
OF_REPLICATIONS = {"scenario", "policy", "case", "replication", "status", "stage", "error", "weight", *vocabulary.COSTS}


def listed(entry: str) -> set[str]:
    """Return the names that an entry lists as responses or columns, without explanatory ones."""
    lists = re.findall(r"(?:Responses?|Columns?|Response and column):\s(.+?)(?:\.\s|\.$)", entry, re.DOTALL)
    return {name for names in lists for name in re.findall(r"`([a-z_]+)`", re.sub(r"\([^)]*\)", "", names))}


NAMES = set().union(*map(listed, ENTRIES.values()))


def is_explained(column: str) -> bool:
    """Whether an entry lists the column, or the name that a pattern derives it from."""
    return column in NAMES or any(column.removesuffix(suffix) in NAMES for suffix in SUFFIXES)


def columns_of(kind: str) -> set[str]:
    """Return the columns that a result's tables always have."""
    return {column for columns in make(kind).tables().values() for column in columns.dtypes}


def test_entries():
    """There are about thirty terms, and fewer for tables only, in alphabetical order. [contract]"""
    assert 25 <= len(PARTS[0]) <= 35
    assert 15 <= len(PARTS[1]) <= 25
    assert all(list(part) == sorted(part, key=str.casefold) for part in PARTS)


@pytest.mark.parametrize("name", [*RESPONSES, *vocabulary.COSTS])
def test_responses_are_explained(name):
    """Every response, and every cause of cost, is listed in an entry. [contract]"""
    assert name in NAMES


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_explained(kind):
    """Every column of a result is listed in an entry, or follows from a documented pattern. [contract]"""
    assert {column for column in columns_of(kind) if not is_explained(column)} == set()


def test_listed_names_exist():
    """Every name that an entry lists is a response or a column. [contract]"""
    known = set().union(*map(columns_of, KINDS), RESPONSES, OF_REPLICATIONS, make("ParetoFront").cases)
    assert known >= NAMES
    assert {name for name in NAMES if any(name.removesuffix(suffix) in NAMES - {name} for suffix in SUFFIXES)} == set()


# Headings that need no entry.
PLAIN = {"above", "meanwhile", "minutes", "required", "where"}


@pytest.mark.parametrize("kind", KINDS)
def test_headings_are_explained(kind):
    """Every column heading that isn't a setting's name is in the glossary. [contract]"""
    headings = [heading for table in make(kind).summarize() for heading in table.header if "_" not in heading]
    words = {word for heading in headings for word in re.findall(r"[a-z][a-z-]{2,}", heading.lower())}
    text = TEXT.lower()
    assert {word for word in words - PLAIN if word.removesuffix("s") not in text} == set()
