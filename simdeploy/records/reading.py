"""Reads records: detects the kind of each file, and joins them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType

from simdeploy.errors import InputError, Problem, listed, nearest, not_among, raise_if_any, shorten
from simdeploy.records.content import Content
from simdeploy.records.joining import join
from simdeploy.records.parts import Dropped, Part
from simdeploy.records.sources import SOURCES, prometheus
from simdeploy.records.table import COLUMNS, Records
from simdeploy.records.walking import read_contents


def read_records(*paths: str | os.PathLike[str], mapping: Mapping[str, str] | None = None) -> Records:
    r"""Read records of rollouts from files and folders.

    Parameters
    ----------
    *paths : path
        Files, or folders of files. Their kinds are recognised by their contents.
    mapping : mapping of str to str, optional
        From our names of columns to those in the tables: ``{"node": "hostname", "started_at": "up_since"}``.

    Returns
    -------
    Records
        Its table `dropped` lists the rows that were left out, and why.

    Raises
    ------
    InputError
        If a file can't be read, is damaged, or is of no known kind or of two; if files contradict each other about a rollout, or
        it ends before its start; if a mapped column is missing; or if there are no usable rows.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "monday.csv"
    ...     _ = file.write_text("host,dispatched_at_s,started_at_s\nweb-1,0,31.5\nweb-2,0,29\n")
    ...     records = read_records(file, mapping={"node": "host"})
    >>> records.nodes[["rollout", "node", "started_at_s"]]
      rollout   node  started_at_s
    0  monday  web-1          31.5
    1  monday  web-2          29.0
    """
    if not paths:
        raise InputError(Problem("no files of records", allowed="at least one file or folder"))
    raise_if_any(
        [
            Problem("not the path of a file or folder", ("records",), found=shorten(path))
            for path in paths
            if not isinstance(path, str | os.PathLike)
        ]
    )
    names = _check_mapping(mapping or {})
    dropped: list[Dropped] = []
    contents = [replace(content, names=names) for content in read_contents(paths, dropped)]
    _check_columns(names, contents)
    parts = _read_parts(contents)
    contents.clear()  # otherwise a large table would be in memory twice
    return join(parts, dropped)


def as_records(
    records: Records | str | os.PathLike[str] | Iterable[str | os.PathLike[str]], mapping: Mapping[str, str] | None
) -> Records:
    """Return records, read if they are one path or several; an `InputError` for anything else."""
    if isinstance(records, Records):
        if mapping:
            raise InputError(Problem("names of columns need files", ("mapping",)))
        return records
    paths = records if isinstance(records, Iterable) and not isinstance(records, str) else [records]
    return read_records(*paths, mapping=mapping)


def _read_parts(contents: Sequence[Content]) -> list[Part]:
    by_source: dict[ModuleType, list[Content]] = {source: [] for source in SOURCES}
    for content in contents:
        by_source[_recognise(content)].append(content)
    return [part for source, of_kind in by_source.items() if of_kind for part in source.read(of_kind)]


def _check_mapping(mapping: Mapping[str, str]) -> dict[str, str]:
    fields = [column for table, columns in COLUMNS.items() if table != "dropped" for column in columns]
    known = list(dict.fromkeys([*fields, *(name.removesuffix("_s") for name in fields)]))
    if not isinstance(mapping, Mapping):
        allowed = "our names of columns with those in the files"
        raise InputError(Problem("not a mapping", ("mapping",), found=shorten(mapping), allowed=allowed))
    problems = []
    for name, column in mapping.items():
        if name not in known:
            problems.append(not_among("no such column of records", ("mapping",), name, known))
        elif not isinstance(column, str):
            problems.append(Problem("not the name of a column", ("mapping", name), found=shorten(column)))
    raise_if_any(problems)
    return dict(mapping)


def _check_columns(names: Mapping[str, str], contents: Sequence[Content]) -> None:
    columns_of_files = (
        content.table.columns if content.table is not None else prometheus.find_names(content) for content in contents
    )
    columns = sorted({column for names_of_file in columns_of_files for column in names_of_file})
    missing = [column for column in names.values() if column not in columns]
    if missing:
        raise InputError([not_among("no file has this column", ("mapping",), name, columns) for name in missing])


def _recognise(content: Content) -> ModuleType:
    kinds = [source for source in SOURCES if source.recognises(content)]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        both = " and ".join(source.KIND for source in kinds)
        hint = "rename or remove the columns of the other kind"
        raise InputError(Problem(f"may be two kinds of records: {both}", file=content.file, hint=hint))
    allowed = "; ".join(source.KIND for source in SOURCES)
    found = _describe(content)
    raise InputError(
        Problem("no kind of records", file=content.file, found=found, allowed=allowed, hint=_hint(content))
    )


def _describe(content: Content) -> str:
    """Describe the content of an unknown file."""
    if content.table is not None:
        return f"columns {listed(content.table.columns)}"
    data = content.documents[0].data if content.documents else None
    return f"an object with {listed(data)}" if isinstance(data, dict) else shorten(data)


def _hint(content: Content) -> str | None:
    """Return a hint on the names of a table's columns, with the likely meaning of one of them."""
    if content.table is None:
        return None
    wanted = ("node", "rollout", "dispatched_at_s", "started_at_s", "status", "ended_s", "requests", "from", "to")
    missing = [name for name in wanted if name not in content.table.columns]
    hints = (nearest(name, missing) for name in content.table.columns if name not in wanted)
    meant = next(filter(None, hints), None)
    return f"{f'{meant}; ' if meant else ''}use our names for its columns, or map them (mapping=, --map)"
