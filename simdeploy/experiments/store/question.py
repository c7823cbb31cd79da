"""Whether a folder belongs to what is asked; and if not, in what it differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from simdeploy.errors import InputError, Path, Problem, shorten
from simdeploy.experiments.store.folder import Folder
from simdeploy.experiments.store.manifest import Manifest, find_versions

_MOST_SHOWN = 5
_ABSENT = object()


def check_belongs(folder: Folder, manifest: Manifest, question: Mapping[str, Any]) -> None:
    """Check that a folder may be gone on with.

    Raises
    ------
    InputError
        If it was begun by another version of simdeploy, whose numbers may differ, or for another question.
    """
    file = str(folder.path)
    then, now = manifest["versions"]["simdeploy"], find_versions()["simdeploy"]
    if then != now:
        message = f"this store was begun with simdeploy {then}, and the numbers of simdeploy {now} may differ"
        raise InputError(
            Problem(message, file=file, hint=f"go on with simdeploy {then}; any version can read the folder")
        )
    differences = list(find_differences(manifest["question"], question))
    if differences:
        shown = [
            Problem(f"{_show(there)} in the folder, {_show(here)} now", path=path, file=file)
            for path, there, here in differences[:_MOST_SHOWN]
        ]
        n_more = len(differences) - len(shown)
        more = f"; {n_more} more differences are not shown" if n_more else ""
        raise InputError([Problem(f"this store belongs to another question{more}", file=file), *shown])


def find_differences(there: Any, here: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Find where two JSON values differ.

    The order of keys counts, for it may be the order of rows; and so does 1 or 1.0, for it may be a column's type.

    Examples
    --------
    >>> list(find_differences({"seed": 0, "vary": [1, 2]}, {"seed": 0, "vary": [1, 3]}))
    [(('vary', 1), 2, 3)]
    """
    if isinstance(there, dict) and isinstance(here, dict):
        for key in {**there, **here}:
            yield from find_differences(there.get(key, _ABSENT), here.get(key, _ABSENT), (*path, key))
        if list(there) != list(here) and set(there) == set(here):
            yield path, list(there), list(here)
    elif isinstance(there, list) and isinstance(here, list):
        for place, pair in enumerate(zip_longest(there, here, fillvalue=_ABSENT)):
            yield from find_differences(*pair, (*path, place))
    elif type(there) is not type(here) or there != here:
        yield path, there, here


def _show(value: Any) -> str:
    return "nothing" if value is _ABSENT else shorten(value)
