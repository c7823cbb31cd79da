"""Bootstrap of a calibration: the same fit to other histories that might have been recorded."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.calibration.resampling import FEWEST_TO_DRAW, draw_rollouts, simulate_rollouts
from simdeploy.errors import InputError, Problem, raise_if_any
from simdeploy.experiments.arguments import MOST_SEED, whole_problems
from simdeploy.experiments.store.durable import make_folder, write_file
from simdeploy.scenario import Scenario
from simdeploy.scenario.yaml_text import parse_yaml

if TYPE_CHECKING:
    from simdeploy.records import Records

_QUESTION = "bootstrap.json"


@dataclass(frozen=True)
class Fitted:
    """A fit: its records, the scenario's text, and the function that fits other records (with intervals in comments, or without)."""

    records: Records
    text: str
    write_again: Callable[[Records, bool], str]


def bootstrap(
    fitted: Fitted,
    n: int,
    *,
    seed: int,
    store: str | os.PathLike[str] | None,
    progress: Callable[[int, int], object] | None,
) -> tuple[Scenario, ...]:
    """Return the scenarios of `n` histories; see `Calibration.bootstrap`."""
    raise_if_any([*whole_problems(1, n=n), *whole_problems(0, MOST_SEED, seed=seed)])
    n, seed = int(n), int(seed)
    folder = None if store is None else _open(Path(store), fitted, seed)
    draw = _choose(fitted, seed)
    scenarios = []
    for number in range(n):
        file = None if folder is None else folder / f"fit-{number + 1:05d}.yaml"
        if file is not None and file.exists():
            text = file.read_text(encoding="utf-8")
        else:
            text = fitted.write_again(draw(number), file is not None)  # comments are needed only in files
            if file is not None:
                write_file(file, text.encode())
        scenarios.append(Scenario.from_dict(parse_yaml(text)[0]))
        if progress is not None:
            progress(number + 1, n)
    return tuple(scenarios)


def _choose(fitted: Fitted, seed: int) -> Callable[[int], Records]:
    if len(fitted.records.rollouts) >= FEWEST_TO_DRAW:
        draw = draw_rollouts(fitted.records)
        return lambda number: draw(np.random.default_rng([seed, number]))
    simulated = simulate_rollouts(fitted.records, Scenario.from_dict(parse_yaml(fitted.text)[0]))
    return lambda number: simulated(seed, number)


def _open(folder: Path, fitted: Fitted, seed: int) -> Path:
    """Return the folder, if it is empty or has fits of the same calibration."""
    make_folder(folder)
    question = json.dumps({"seed": seed, "scenario": hashlib.sha256(fitted.text.encode()).hexdigest()})
    file = folder / _QUESTION
    if not file.exists():
        write_file(file, question.encode())
    elif file.read_text(encoding="utf-8") != question:
        hint = "use another folder, or repeat the same call"
        raise InputError(Problem("the folder contains fits to other records", ("store",), file=str(file), hint=hint))
    return folder
