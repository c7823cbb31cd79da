"""The manifest: what was asked, how the work was cut, and with which versions."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module, metadata
from typing import Any

from simdeploy.errors import InputError, Problem, shorten
from simdeploy.experiments.store.folder import Folder

_FORMAT = "simdeploy store"
_FORMAT_VERSION = 1
_LIBRARIES = ("numpy", "scipy", "pandas", "pyarrow", "numba")
_HASHED = ("scenario", "policies")

Manifest = Mapping[str, Any]


def make_manifest(question: Mapping[str, Any], cut: Any) -> dict[str, Any]:
    """Make the manifest of a new folder; both must be as they come from a JSON file."""
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
    """Return the manifest as its file has it, for people to read."""
    return f"{json.dumps(manifest, indent=2, ensure_ascii=False)}\n".encode()


def as_json(value: Any) -> Any:
    """Return a value as it comes back from a JSON file."""
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
    """Return the versions of what numbers and files come from."""
    # Not by an import statement: it would count as one of all that simdeploy has, and imports point one way.
    versions = {"simdeploy": import_module("simdeploy").__version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def compare_versions(manifest: Manifest) -> Iterator[str]:
    """Say which versions are others than those that the folder was begun with."""
    then = manifest["versions"]
    changed = [
        f"{name} {then.get(name, 'absent')} (now {version})"
        for name, version in find_versions().items()
        if version != then.get(name)
    ]
    if changed:
        yield f"begun with {', '.join(changed)}: the last digits of what is added may differ"


def read_manifest(folder: Folder) -> dict[str, Any] | None:
    """Read the manifest of a folder, or return None where a store may be begun because nothing is there.

    Raises
    ------
    InputError
        If it is no folder, or a folder of something else, or the manifest is damaged or of another format.
    """
    if folder.path.exists() and not folder.path.is_dir():
        raise InputError(Problem("a store is a folder, and this is a file", file=str(folder.path)))
    if folder.is_new():
        return None
    try:
        manifest = json.loads(folder.manifest.read_bytes())
    except FileNotFoundError:
        manifest = None
    except ValueError as error:
        raise _refusal(folder, f"manifest.json is damaged ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        names = sorted(path.name for path in folder.path.iterdir())
        raise _refusal(folder, "this folder holds something else than a store", found=shorten(", ".join(names)))
    version = manifest.get("format_version")
    if version != _FORMAT_VERSION:
        raise _refusal(
            folder,
            "a store of a format that this version of simdeploy doesn't know",
            found=shorten(version),
            allowed=str(_FORMAT_VERSION),
        )
    hashes = manifest.get("hashes", {})
    damaged = [name for name in ("question", "cut") if hash_json(manifest.get(name)) != hashes.get(name)]
    if damaged or "simdeploy" not in manifest.get("versions", {}):
        what = " and ".join(damaged) or "versions"
        raise _refusal(folder, f"manifest.json is damaged ({what}: not what was written)")
    return manifest


def _refusal(folder: Folder, message: str, *, found: str | None = None, allowed: str | None = None) -> InputError:
    return InputError(Problem(message, file=str(folder.path), found=found, allowed=allowed))
