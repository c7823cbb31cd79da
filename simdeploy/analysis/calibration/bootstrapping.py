"""Bootstrap of a calibration: the same fit to other histories that might have been recorded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.calibration.resampling import draw_rollouts, simulate_rollouts
from simdeploy.errors import InputError, Problem
from simdeploy.experiments.items import Items
from simdeploy.experiments.jobs import Span
from simdeploy.experiments.store.durable import make_folder, write_file
from simdeploy.scenario import Scenario, read_scenario
from simdeploy.scenario.yaml_text import parse_yaml

if TYPE_CHECKING:
    from simdeploy.experiments.arguments import Progress
    from simdeploy.experiments.jobs import Executor
    from simdeploy.records import Records

_QUESTION = "bootstrap.json"


@dataclass(frozen=True)
class Fits(Items[str]):
    """Texts of scenarios that are fitted to the histories of a seed."""

    records: Records
    fitted: Scenario | None  # simulated for alternative histories; None to draw whole rollouts
    # Fits other records, with intervals in comments, or without.
    write_again: Callable[[Records, bool], str]
    seed: int
    with_comments: bool

    def make(self, group: int, number: int) -> str:  # noqa: ARG002 - there is one group
        """Return the scenario of a history."""
        return self.write_again(self._draw(number), self.with_comments)

    def name(self, group: int, number: int) -> str:  # noqa: ARG002
        """Name the fit, counted from one."""
        return f"fit {number + 1}"

    @cached_property
    def _draw(self) -> Callable[[int], Records]:
        if self.fitted is None:
            draw = draw_rollouts(self.records)
            return lambda number: draw(np.random.default_rng([self.seed, number]))
        simulated = simulate_rollouts(self.records, self.fitted)
        return lambda number: simulated(self.seed, number)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what draws histories, which another process makes for itself."""
        return {name: value for name, value in self.__dict__.items() if name != "_draw"}


def bootstrap(
    fits: Fits,
    n: int,
    *,
    text: str,  # of the calibration's scenario
    executor: Executor,
    folder: Path | None,
    report: Progress | None,
) -> tuple[Scenario, ...]:
    """Return the scenarios of `n` histories; see `Calibration.bootstrap`."""
    files = [] if folder is None else [folder / f"fit-{number + 1:05d}.yaml" for number in range(n)]
    if folder is not None:
        _open(folder, text, fits.seed)
    scenarios = {number: read_scenario(file) for number, file in enumerate(files) if file.exists()}
    spans = [Span(0, 0, 1, number, 1) for number in range(n) if number not in scenarios]
    if report is not None:
        report(len(scenarios), n)
    with closing(executor.run(fits, iter(spans))) as finished:
        for span, (found,) in finished:
            if files:
                write_file(files[span.first], found.encode())
            scenarios[span.first] = Scenario.from_dict(parse_yaml(found)[0])
            if report is not None:
                report(len(scenarios), n)
    return tuple(scenarios[number] for number in range(n))


def _open(folder: Path, text: str, seed: int) -> None:
    """Make the folder; refuse one with fits of another calibration."""
    make_folder(folder)
    question = json.dumps({"seed": seed, "scenario": hashlib.sha256(text.encode()).hexdigest()})
    file = folder / _QUESTION
    if not file.exists():
        write_file(file, question.encode())
    elif file.read_text(encoding="utf-8") != question:
        hint = "use another folder, or repeat the same call"
        raise InputError(Problem("the folder contains fits to other records", ("store",), file=str(file), hint=hint))
