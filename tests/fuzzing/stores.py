"""Damaged stores: only what was written is read, perhaps less, or the damage is named; resuming repairs them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import pandas as pd

from fuzzing.cases import ACCEPTED, REFUSED, BrokenError
from fuzzing.damage import DAMAGES, Place
from fuzzing.guards import Watch
from fuzzing.shown import check_problems, check_text
from fuzzing.texts import CANARY
from simdeploy.errors import InputError, SimdeployWarning
from simdeploy.experiments import read_store, sweep
from simdeploy.experiments.store import StoreError
from simdeploy.scenario import Scenario

_SCENARIO = {
    "name": "small",
    "fleet": {"nodes": 6, "update_duration": {"exponential": {"mean": "30s"}}, "start_failure": 0.2},
    "policies": {"p": {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}}},
}


def sweep_small(folder: Path) -> pd.DataFrame:
    """Begin or resume a store of three parts, and return its table."""
    with mock.patch("simdeploy.experiments.working._MOST_ROWS", 4):
        sweep(
            Scenario.from_dict(_SCENARIO),
            "p",
            vary={"scenario.fleet.start_failure": [0.0, 0.2, 0.5], "max_failed_nodes": [0, 1]},
            replications=2,
            engine="reference",
            store=folder,
        )
    return read_store(folder).to_frame()


def _look(folder: Path) -> dict[str, bytes | str | None]:
    """Return a folder's contents by name: bytes of files, targets of links, otherwise None."""
    return {
        path.relative_to(folder).as_posix(): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in sorted(folder.rglob("*"))
    }


class Stores:
    """A store of a small sweep in a few parts, damaged in an empty folder."""

    name = "store"
    mutators = tuple(DAMAGES)

    def __init__(self, folder: Path, watch: Watch) -> None:
        self._watch = watch
        self._sound = folder / "sound"
        self._folder = folder / "store"
        self._outside = folder / "outside"
        sweep_small(self._sound)
        self._files = _look(self._sound)
        self._rows = [pd.read_parquet(path) for path in sorted((self._sound / "parts").iterdir())]
        self._all = pd.concat(self._rows, ignore_index=True)
        assert len(self._rows) >= 3, "too few parts for damage among them"

    def examine(self, mutator: str, random: Random) -> tuple[str, ...]:
        """Damage a store, read it in every way, and resume it."""
        for path in (self._folder, self._outside):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self._sound, self._folder)
        self._outside.mkdir()
        (self._outside / "precious.txt").write_text("precious\n")
        DAMAGES[mutator](random, Place(self._folder, self._outside))
        damaged, outside = _look(self._folder), _look(self._outside)
        with contextlib.chdir(self._folder), self._watch.on(self._folder) as touched:
            outcomes = [self._read(damaged, call) for call in self._ways(random)]
            outcomes.append(self._mend(damaged))
        if touched:
            raise BrokenError(f"a store touches {touched}")
        if _look(self._outside) != outside:
            raise BrokenError("files outside the store have changed")
        if (self._folder / CANARY).exists():
            raise BrokenError("a store ran a command")
        return (REFUSED if "refused" in outcomes[:-1] else ACCEPTED, *set(outcomes[:-1]) - {REFUSED}, outcomes[-1])

    def _ways(self, random: Random) -> list[Callable[[], pd.DataFrame]]:
        """Return the ways in which a store can be read."""
        column = random.choice(list(self._all))
        columns = random.sample(list(self._all), 3)
        return [
            lambda: read_store(self._folder).to_frame(),
            lambda: read_store(self._folder).to_frame([column]),
            lambda: read_store(self._folder).to_frame(columns),
            lambda: pd.concat([pd.DataFrame(), *read_store(self._folder).batches()]),
            lambda: read_store(self._folder, verify=True).to_frame(),
        ]

    def _read(self, damaged: Mapping[str, Any], call: Callable[[], pd.DataFrame]) -> str:
        """Read and return the outcome: everything, less, or a refusal."""
        frame, warned = self._call(damaged, call)
        if frame is None:
            return REFUSED
        parts = range(len(self._rows))
        here = [number for number in parts if not self._leads_outside(number)]
        numbers = self._find_parts(frame, here)
        if numbers is None and self._find_parts(frame, parts) is not None:
            raise BrokenError("a link out of the folder is followed")
        if numbers is None:
            names = [name for name in frame if name not in self._all]
            raise BrokenError(f"what is read was never written (unknown columns {names})")
        if len(numbers) == len(parts):
            return "everything"
        if not any("part" in text for text in warned):
            raise BrokenError(f"only parts {numbers} are read, without a warning: {warned}")
        return "less"

    def _find_parts(self, frame: pd.DataFrame, numbers: Sequence[int]) -> list[int] | None:
        """Return the parts that make up a table, in order, the earliest ones possible."""
        if not len(frame):
            return []
        for place, number in enumerate(numbers):
            expected = self._rows[number]
            known = list(frame) if set(frame) <= set(expected) else list(expected)
            if expected[known].equals(frame[: len(expected)].reset_index(drop=True)):
                rest = self._find_parts(frame[len(expected) :], numbers[place + 1 :])
                if rest is not None:
                    return [number, *rest]
        return None

    def _mend(self, damaged: Mapping[str, Any]) -> str:
        """Resume the store; afterwards it is complete, or at least no sound part is lost."""
        frame, _ = self._call(damaged, lambda: sweep_small(self._folder))
        files = _look(self._folder)
        sound = {
            name for name, content in self._files.items() if damaged.get(name) == content and name != "simdeploy.lock"
        }
        lost = [name for name in sound if name.startswith("parts/") and files.get(name) != self._files[name]]
        if frame is None:
            if lost:
                raise BrokenError(f"resuming is refused, and {lost} are lost")
            return "not mended"
        if not frame.equals(self._all):
            raise BrokenError("resuming gives another table")
        changed = [name for name in self._files if name.startswith("parts") and files.get(name) != self._files[name]]
        if changed:
            raise BrokenError(f"resuming leaves other files: {changed}")
        return "mended"

    def _call(
        self, damaged: Mapping[str, Any], call: Callable[[], pd.DataFrame]
    ) -> tuple[pd.DataFrame | None, list[str]]:
        """Return a call's table, or None if it refuses; and its warnings."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                frame = call()
            except (StoreError, InputError) as error:
                frame = None
                self._check_refusal(damaged, error, [str(warning.message) for warning in caught])
        for warning in caught:
            if not issubclass(warning.category, SimdeployWarning):
                raise BrokenError(f"a warning that isn't ours: {warning.message}")
            check_text(str(warning.message))
        return frame, [str(warning.message) for warning in caught]

    def _check_refusal(self, damaged: Mapping[str, Any], error: StoreError | InputError, warned: Sequence[str]) -> None:
        """Check that an error, or a warning before it, names the damaged part, or else the folder."""
        if isinstance(error, InputError):
            check_problems(error.problems)
        else:
            check_text(str(error))
        names = [name for name in {**self._files, **damaged} if damaged.get(name) != self._files.get(name)]
        numbers = [match[1] for name in names if (match := re.fullmatch(r"parts/part-(\d{6})\.parquet", name))]
        if names and len(numbers) == len(names):
            text = " ".join([str(error), *warned])
            is_of_all = re.search(r"/parts: this is ", text)
            if not is_of_all and not any(re.search(rf"part {int(number)}\b|part-{number}", text) for number in numbers):
                raise BrokenError(f"an error doesn't name the part: {error}")
        elif str(self._folder) not in str(error):
            raise BrokenError(f"an error doesn't name the folder: {error}")

    def _leads_outside(self, number: int) -> bool:
        path = self._folder / "parts" / f"part-{number:06d}.parquet"
        return not os.path.realpath(path).startswith(os.path.realpath(self._folder) + os.sep)
