"""A log of answers: a folder with one file per answer, which includes what was seen.

The name of a file contains a digest of its contents, so a repeated answer is saved once. Files are written as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simdeploy.api import Deployment, DeploymentDocument, format_time
from simdeploy.api.files import read_text
from simdeploy.api.json_text import parse_json
from simdeploy.engines.rollout import Rollout
from simdeploy.errors import InputError, Problem, SimdeployError, shorten, warn_user
from simdeploy.experiments.store.durable import make_folder, write_file
from simdeploy.records import Records
from simdeploy.result import Result, to_plain

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario

# Version of the file format; it changes when older versions of simdeploy can't read the files.
FORMAT = 1
_ENDING = ".json"
_DIGITS = 12
# Fields of an answer that are used.
_FIELDS_USED = {"kinds": ("defective", "prior", "posterior"), "forecast": ("measure", "quantile", "estimate")}
_MOST_BYTES = 100_000_000


@dataclass(frozen=True)
class Entry:
    """An answer in the log."""

    file: str
    id: str  # of the deployment object; empty if it has none
    created_at: str  # RFC 3339; empty if unknown
    at_s: float  # the time of observation, seconds after the start
    answer: Mapping[str, Any]  # as `Result.to_dict` wrote it
    seen: list[Any]  # deployment objects, or rows of a table

    @property
    def rollout(self) -> str:
        """Identifier of the rollout: its id, or else `created_at`."""
        return self.id or self.created_at


def prepare_log(folder: str | os.PathLike[str]) -> Path:
    """Create the folder of a log; raise `InputError` if that fails."""
    path = Path(folder)
    try:
        make_folder(path)
        is_writable = os.access(path, os.W_OK)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(Problem(f"not a folder for a log: {reason}", ("log",), found=shorten(str(path)))) from None
    if not is_writable:
        raise InputError(Problem("not a folder for a log: not writable", ("log",), found=shorten(str(path))))
    return path


def keep_answer(folder: Path, scenario: Scenario, seen: Any, evidence: Any, answer: Result, at_s: float) -> Path | None:
    """Save an answer, given `at_s` seconds after the start; if that fails, warn and return None, because the answer matters more."""
    objects = list_objects(seen)
    question = json.dumps(to_plain(scenario.to_question()), sort_keys=True)
    entry = {
        "log": FORMAT,
        "simdeploy": import_module("simdeploy").__version__,
        "id": _first(objects, "id") or _first(objects, "rollout"),
        "created_at": _first(objects, "created_at"),
        "at_s": at_s,
        "scenario": {"name": scenario.name, "sha256": hashlib.sha256(question.encode()).hexdigest()},
        "seen": objects,
        "evidence": [] if evidence is None else list_objects(evidence),
        "answer": answer.to_dict(),
    }
    if entry["id"] is None and entry["created_at"] is None:
        warn_user("no id, created_at or rollout identifies the rollout, so the answer in the log can't be scored")
    text = json.dumps(entry, indent=1, allow_nan=False)
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in entry["id"] or "rollout")
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    path = folder / f"{name[:60]}-{round(at_s)}s-{digest}{_ENDING}"
    try:
        write_file(path, text.encode())
    except (OSError, SimdeployError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        warn_user(f"the answer is not in the log {shorten(str(folder))}: {reason}")
        return None
    return path


def read_log(folder: str | os.PathLike[str]) -> tuple[list[Entry], dict[str, str]]:
    """Return the entries of a log, and by name of the file the errors of files that can't be read."""
    path = Path(folder)
    if not path.is_dir():
        raise InputError(Problem("no such folder", ("log",), found=shorten(str(path)), allowed="the folder of a log"))
    entries, damaged = [], {}
    for file in sorted(path.glob(f"*{_ENDING}")):
        if file.name.startswith("."):
            continue
        try:
            entries.append(_read_entry(file))
        except InputError as error:
            damaged[file.name] = error.problems[0].message
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            damaged[file.name] = f"not a saved answer: {type(error).__name__} {shorten(str(error))}"
    return entries, damaged


def _read_entry(file: Path) -> Entry:
    content = parse_json(read_text(file, most_bytes=_MOST_BYTES), file=str(file))
    version = content["log"]
    if not isinstance(version, int) or version > FORMAT:
        raise InputError(Problem(f"written by a newer version of simdeploy ({shorten(content.get('simdeploy'))})"))
    answer = content["answer"]
    for name, columns in _FIELDS_USED.items():
        for row in answer[name]:
            for column in columns:
                row[column]
    answer["state"], answer["is_trusted"]
    texts = (content["id"] or "", content["created_at"] or "")
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("id")
    return Entry(file.name, *texts, float(content["at_s"]), answer, list(content["seen"]))


# -- what was seen -----------------------------------------------------------------------------------------------------


def list_objects(seen: Any) -> list[Any]:
    """Return what was seen as JSON values."""
    import pandas as pd

    if isinstance(seen, Rollout):
        seen = seen.revisions
    if isinstance(seen, Records):
        seen = (seen.nodes if len(seen.nodes) else seen.windows).dropna(axis=1, how="all")
    if isinstance(seen, pd.DataFrame):
        return [_to_row(row) for row in seen.to_dict("records")]
    many = seen if isinstance(seen, Sequence) and not isinstance(seen, str | bytes | tuple) else [seen]
    objects = []
    for item in many:
        when, each = item if isinstance(item, tuple) and len(item) == 2 else (None, item)
        if isinstance(each, DeploymentDocument):
            each = each.deployment
        body = json.loads(each.to_json()) if isinstance(each, Deployment) else to_plain(each)
        objects.append(body if when is None or not isinstance(body, dict) else {"seen_at": to_plain(when), **body})
    return objects


def _to_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    import pandas as pd

    return {
        str(name): format_time(value.value)
        if isinstance(value, pd.Timestamp) and not pd.isna(value)
        else to_plain(value)
        for name, value in row.items()
    }


def find_body(given: Any) -> Mapping[str, Any]:
    """Return the deployment in the body of a response; anything else unchanged."""
    body = given.get("deployment", given) if isinstance(given, Mapping) else {}
    return body if isinstance(body, Mapping) else {"id": body, "status": given}


def _first(objects: list[Any], field: str) -> str | None:
    for each in objects:
        body = find_body(each)
        status = body.get("status")
        for where in (body, status if isinstance(status, Mapping) else {}):
            if isinstance(where.get(field), str) and where[field]:
                value: str = where[field]
                return value
    return None
