"""Import of policies from other orchestrators' files, after recognising their format."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from simdeploy.api.files import read_text
from simdeploy.dialects.reading import Reading
from simdeploy.dialects.source import Source
from simdeploy.errors import InputError, Problem, listed, not_among, shorten
from simdeploy.units import is_whole
from simdeploy.vocabulary import IMPORT_KINDS as KINDS

if TYPE_CHECKING:
    from simdeploy.dialects.imported import PolicyImport


def read_policy(
    text_or_path: str | os.PathLike[str],
    kind: str | None = None,
    *,
    nodes: int | None = None,
    variables: Mapping[str, object] | None = None,
) -> PolicyImport:
    r"""Read a policy from another orchestrator's configuration.

    Parameters
    ----------
    text_or_path : str or path
        The text, if it has more than one line or begins with a brace; otherwise the name of a file.
    kind : str, optional
        One of `KINDS`; by default recognised by the content.
    nodes : int, optional
        Number of nodes (replicas, tasks, hosts); by default the file's own.
    variables : mapping of str to object, optional
        Values of the format's variables, parameters and templates.

    Returns
    -------
    PolicyImport
        With a note on every field that says how to update.

    Raises
    ------
    InputError
        If the text is in none of the formats, or has bad values; with all problems, their lines and fields.

    Examples
    --------
    >>> job = "update {\n  max_parallel = 4\n}"
    >>> imported = read_policy(f'job "web" {{\n type = "system"\n {job}\n group "app" {{}}\n}}\n', nodes=10)
    >>> imported.kind, imported.policy["max_parallel"]
    ('nomad', 4)
    """
    if kind is not None and kind not in KINDS:
        raise InputError(not_among("unknown kind of file", ("kind",), kind, KINDS))
    if nodes is not None and not is_whole(nodes, 1):
        raise InputError(Problem("not a number of nodes", ("nodes",), found=shorten(nodes), allowed="1 or more"))
    source = _source(text_or_path)
    recognised = kind or recognise(source)
    if recognised is None:
        raise InputError(unrecognised(source))
    return import_source(source, recognised, nodes=None if nodes is None else int(nodes), variables=variables)


def import_source(
    source: Source, kind: str, *, nodes: int | None = None, variables: Mapping[str, object] | None = None
) -> PolicyImport:
    """Read a policy from a text whose kind is known; raise `InputError` with all problems."""
    given = {str(name): str(value) for name, value in (variables or {}).items()}
    imported: PolicyImport = _module(kind).read(Reading(kind, source, nodes, given))
    return imported


def recognise(source: Source) -> str | None:
    """Return the kind of a text, recognised by its content; None if it is unknown."""
    return next((kind for kind in KINDS if _module(kind).recognises(source)), None)


def unrecognised(source: Source) -> list[Problem]:
    """Return the reasons why a text can't be imported: it can't be parsed, or is in no known format."""
    if source.is_json or not source.groups:
        try:
            _ = source.documents
        except InputError as error:
            return list(error.problems)
    hint = None
    if any(_is_of_chart(document.data) for document in source.groups):
        hint = "values of a Helm chart are no manifest: import what helm template prints"
    elif any("strategy" in document.data for document in source.groups):
        hint = "a policy of simdeploy needs no import: use it with --policy, in Python by its path"
    message = "not a policy in any format that can be imported"
    return [Problem(message, file=source.file, allowed=listed(KINDS), hint=hint)]


def _is_of_chart(data: Mapping[str, Any]) -> bool:
    """Tell whether these may be values of a Helm chart: a strategy as in a manifest, perhaps below a key such as `rollout`."""
    places = [place for place in (data, *data.values()) if isinstance(place, dict)]
    is_like_manifest = any(isinstance(place.get("strategy"), dict) for place in places)
    return "replicaCount" in data or (is_like_manifest and "kind" not in data)


def _source(text_or_path: str | os.PathLike[str]) -> Source:
    if isinstance(text_or_path, str):
        text = text_or_path
        if "\n" in text.strip() or text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
            return Source(text)
    text = read_text(text_or_path)
    return Source(text, os.fspath(text_or_path))


def _module(kind: str) -> Any:
    return import_module(f"simdeploy.dialects.{kind.replace('-', '_')}")
