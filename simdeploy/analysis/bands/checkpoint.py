"""The store of `timelines`: one file with the counts so far, which is replaced regularly."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.errors import InputError, Problem, warn_user
from simdeploy.experiments.store.durable import make_folder, write_file
from simdeploy.experiments.store.lock import FolderLock

if TYPE_CHECKING:
    from simdeploy.analysis.bands.counting import Bands

FILE = "bands.npz"
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
LOCK = "simdeploy.lock"
_EVERY_S = 5.0


class Checkpoint:
    """Saves counts every few seconds.

    Raises
    ------
    InputError
        If the folder contains the counts of another question.
    StoreError
        If another call writes to the folder.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],  # created if missing
        question: Mapping[str, Any],  # all that the counts depend on, as JSON values
    ) -> None:
        self._folder = Path(folder)
        self._question = json.dumps(question, sort_keys=True)
        make_folder(self._folder)
        self._lock = FolderLock(self._folder / LOCK)
        self._saved_at = monotonic()

    def load(self, bands: Bands) -> list[range]:
        """Put saved counts into `bands`; return the replications that they contain."""
        path = self._folder / FILE
        if not path.exists():
            return []
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
                if str(saved["question"]) != self._question:
                    hint = "use another folder, or repeat the same call"
                    raise InputError(
                        Problem("the folder contains other timelines", ("store",), file=str(path), hint=hint)
                    )
                content = {key: saved[key] for key in saved.files}
                done = [range(first, stop) for first, stop in content["done"].tolist()]
                n_failed, first_error = int(content["n_failed"]), str(content["first_error"])
                n_rollouts = content["n_rollouts"].reshape(bands.n_rollouts.shape)
        except _UNREADABLE as error:
            warn_user(f"{path} is damaged ({error}); computing everything again")
            return []
        # Bands are changed only after the whole file was read, so nothing remains of a damaged one.
        bands.n_rollouts, bands.n_failed, bands.first_error = n_rollouts, n_failed, first_error
        for key, values in content.items():
            if key.startswith("counts-"):
                _, policy, kind = key.split("-")
                bands.counts[int(policy), int(kind)] = values
        return done

    def save(self, bands: Bands, done: Sequence[range], *, at_once: bool = False) -> None:
        """Save the counts if some seconds have passed, or `at_once`."""
        if not at_once and monotonic() - self._saved_at < _EVERY_S:
            return
        content = io.BytesIO()
        counts: dict[str, Any] = {f"counts-{policy}-{kind}": of for (policy, kind), of in bands.counts.items()}
        np.savez_compressed(
            content,
            question=np.array(self._question),
            done=np.array([(part.start, part.stop) for part in done], np.int64).reshape(-1, 2),
            n_rollouts=bands.n_rollouts,
            n_failed=np.array(bands.n_failed),
            first_error=np.array(bands.first_error),
            **counts,
        )
        write_file(self._folder / FILE, content.getvalue())
        self._saved_at = monotonic()

    def close(self) -> None:
        """Release the folder."""
        self._lock.release()


def count_saved(folder: str | os.PathLike[str]) -> int:
    """Return the number of rollouts whose counts are in a folder; 0 if there are none, or they can't be read."""
    try:
        with (Path(folder) / FILE).open("rb") as file, np.load(file, allow_pickle=False) as saved:
            return int(saved["n_rollouts"].sum()) + int(saved["n_failed"])
    except _UNREADABLE:
        return 0
