"""The manifest: question, division of the work, and versions."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module, metadata
from itertools import zip_longest
from typing import Any

from simdeploy.errors import InputError, Path, Problem, printable, shorten
from simdeploy.experiments.store.durable import StoreError, read_file, reading
from simdeploy.experiments.store.folder import Folder

_FORMAT = "simdeploy store"
_FORMAT_VERSION = 2
_READABLE = (1, 2)  # format 1 can't be resumed, because it cut parts differently
_MOST_BYTES = 1 << 28
_LIBRARIES = ("numpy", "scipy", "pandas", "pyarrow", "numba")
_HASHED = ("scenario", "policies")

# Entries of a question that are computed from others, so that their last digits may differ between machines: in folders of
# a kind of release, the probability by case that a rollout is stopped.
KNOWN = "stopped"

Manifest = Mapping[str, Any]

_MOST_SHOWN = 5
_ABSENT = object()


def make_manifest(question: Mapping[str, Any], cut: Any) -> dict[str, Any]:
    """Make the manifest of a new folder from JSON values."""
    hashes = {"question": hash_json(question), "cut": hash_json(cut)}
    hashes |= {name: hash_json(question[name]) for name in _HASHED if name in question}
    return {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "versions": find_versions(),
        "hashes": hashes,
        "question": question,
        "cut": cut,
    }


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest's file contents."""
    return f"{json.dumps(manifest, indent=2, ensure_ascii=False)}\n".encode()


def as_json(value: Any) -> Any:
    """Return a value after a round trip through JSON."""
    return json.loads(json.dumps(value, allow_nan=False))


def hash_json(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON: keys sorted, no blanks, UTF-8.

    Examples
    --------
    >>> hash_json({"b": 1, "a": "é"}) == hashlib.sha256('{"a":"é","b":1}'.encode()).hexdigest()
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def find_versions() -> dict[str, str]:
    """Return the versions of simdeploy and its libraries."""
    # Imported by name, because an import statement would violate the direction of imports.
    versions = {"simdeploy": import_module("simdeploy").__version__, "python": platform.python_version()}
    return versions | {name: version for name in _LIBRARIES if (version := _find_version(name)) is not None}


@cache
def _find_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def compare_versions(manifest: Manifest) -> Iterator[str]:
    """Yield a note on versions that differ from those in the folder."""
    then = manifest["versions"]
    changed = [
        f"{name} {then.get(name, 'absent')} (now {version})"
        for name, version in find_versions().items()
        if version != then.get(name)
    ]
    if changed:
        yield printable(f"begun with {', '.join(changed)}: last digits of new rows may differ")


def read_manifest(folder: Folder) -> dict[str, Any] | None:
    """Read a folder's manifest; None if a new store may be created there.

    Raises `InputError` if it is not a folder or not a store, or has an unknown format, and `StoreError` if the manifest is
    damaged.
    """
    if folder.path.exists() and not folder.path.is_dir():
        raise InputError(Problem("a store must be a folder, not a file", file=str(folder.path)))
    with reading(folder.path):
        if folder.is_new():
            return None
        folder.check()
        manifest = _load(folder)
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        names = sorted(path.name for path in folder.path.iterdir())
        raise _refusal(folder, "the folder is not a store", found=shorten(", ".join(names)))
    version = manifest.get("format_version")
    if version not in _READABLE or isinstance(version, bool):
        raise _refusal(
            folder,
            "this version of simdeploy doesn't know the store's format",
            found=shorten(version),
            allowed=" or ".join(map(str, _READABLE)),
        )
    damaged = _find_damage(manifest)
    if damaged:
        raise _damage(folder, f"{' and '.join(damaged)}: wrong checksum")
    return manifest


def check_writable(folder: Folder, manifest: Manifest) -> None:
    """Raise `InputError` for a folder of an older format, which can't be resumed."""
    if manifest["format_version"] != _FORMAT_VERSION:
        message = "older store format: it can be read but not resumed"
        raise _refusal(folder, message, found=str(manifest["format_version"]), allowed=str(_FORMAT_VERSION))


def count_parts(manifest: Manifest) -> int | None:
    """Return the total number of parts, if known."""
    cut = manifest["cut"]
    n_parts = cut.get("n_parts") if isinstance(cut, Mapping) else None
    return n_parts if isinstance(n_parts, int) and not isinstance(n_parts, bool) and n_parts >= 0 else None


def _load(folder: Folder) -> Any:
    try:
        return json.loads(read_file(folder.manifest, most=_MOST_BYTES))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise _damage(folder, shorten(str(error))) from error


def _find_damage(manifest: Mapping[str, Any]) -> list[str]:
    """Return the names of damaged entries of a manifest."""
    hashes, versions = manifest.get("hashes"), manifest.get("versions")
    damaged = []
    for name in ("question", "cut"):
        try:
            is_intact = isinstance(hashes, dict) and hash_json(manifest.get(name)) == hashes.get(name)
        except (ValueError, RecursionError):  # NaN, or an unpaired surrogate
            is_intact = False
        if not is_intact or (name == "question" and not isinstance(manifest.get(name), dict)):
            damaged.append(name)
    if not isinstance(versions, dict) or not all(
        isinstance(text, str) for text in [versions.get("simdeploy"), *versions.values()]
    ):
        damaged.append("versions")
    return damaged


def _damage(folder: Folder, reason: str) -> StoreError:
    return StoreError(f"{folder.path}: manifest.json is damaged ({reason}); nothing was changed; use another folder")


def _refusal(folder: Folder, message: str, *, found: str | None = None, allowed: str | None = None) -> InputError:
    return InputError(Problem(message, file=str(folder.path), found=found, allowed=allowed))


def check_belongs(folder: Folder, manifest: Manifest, question: Mapping[str, Any]) -> None:
    """Raise `InputError` for a folder of another question, or of another version of simdeploy, whose numbers may differ."""
    file = str(folder.path)
    then, now = manifest["versions"]["simdeploy"], find_versions()["simdeploy"]
    if then != now:
        message = f"this store was begun with simdeploy {then}; the numbers of simdeploy {now} may differ"
        raise InputError(
            Problem(message, file=file, hint=f"resume with simdeploy {then}; any version can read the folder")
        )
    stored, current = (
        {key: value for key, value in each.items() if key != KNOWN} for each in (manifest["question"], question)
    )
    differences = list(find_differences(stored, current))
    if differences:
        asked = list(find_differences(_as_asked(stored), _as_asked(current)))
        # The division follows from the other arguments, unless only it differs.
        differences = [each for each in asked if each[0][:1] != ("strata",)] or asked or differences
        shown = [
            Problem(f"{_show(stored)} in the folder, {_show(current)} now", path=path, file=file)
            for path, stored, current in differences[:_MOST_SHOWN]
        ]
        n_more = len(differences) - len(shown)
        more = f" ({n_more} more differences)" if n_more else ""
        raise InputError([Problem(f"this store belongs to another question{more}", file=file), *shown])


def _as_asked(question: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a question about one kind of release with the replications of all kinds, and their division, as the user gave them."""
    try:
        worlds = question["worlds"].items()
        asked = {
            "replications": question.get("planned", sum(stop - start for _, (start, stop) in worlds)),
            "strata": {name: range(start, stop) if start else stop for name, (start, stop) in worlds},
        }
    except (KeyError, AttributeError, TypeError, ValueError):  # not about one kind, or damaged
        return question
    of_one_kind = ("worlds", "planned", "first_replication")
    return {key: value for key, value in question.items() if key not in of_one_kind} | asked


def find_differences(stored: Any, current: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Find where two JSON values differ.

    The order of keys matters (it may be that of rows), and so do 1 and 1.0 (a column's type).

    Examples
    --------
    >>> list(find_differences({"seed": 0, "vary": [1, 2]}, {"seed": 0, "vary": [1, 3]}))
    [(('vary', 1), 2, 3)]
    """
    if isinstance(stored, dict) and isinstance(current, dict):
        for key in {**stored, **current}:
            yield from find_differences(stored.get(key, _ABSENT), current.get(key, _ABSENT), (*path, key))
        if list(stored) != list(current) and set(stored) == set(current):
            yield path, list(stored), list(current)
    elif isinstance(stored, list) and isinstance(current, list):
        for place, pair in enumerate(zip_longest(stored, current, fillvalue=_ABSENT)):
            yield from find_differences(*pair, (*path, place))
    elif type(stored) is not type(current) or stored != current:
        yield path, stored, current


def _show(value: Any) -> str:
    return "nothing" if value is _ABSENT else shorten(value)
