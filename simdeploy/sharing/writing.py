"""`write_report`: a page or Markdown, by the file's ending."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError, Problem, printable, shorten
from simdeploy.output import write_file
from simdeploy.sharing.gathering import gather
from simdeploy.sharing.markdown import to_markdown
from simdeploy.sharing.page import to_page
from simdeploy.sharing.simulating import Request

if TYPE_CHECKING:
    from simdeploy.experiments.arguments import Progress
    from simdeploy.experiments.gathering import Batches
    from simdeploy.experiments.jobs import Executor
    from simdeploy.result import Result
    from simdeploy.scenario import PolicyLike, Scenario

FORMS = {".html": to_page, ".md": to_markdown}


def write_report(
    source: str | os.PathLike[str] | Scenario | Result | Batches,
    path: str | os.PathLike[str],
    *,
    policy: PolicyLike | None = None,
    vary: Mapping[str, Sequence[Any]] | None = None,
    replications: int = 400,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    progress: bool | Progress = False,
) -> None:
    """Write one file to share: question, answer, picture, tables, assumptions, policies, and how to compute it again.

    Parameters
    ----------
    source : path, Scenario, Result, SweepResult or StoredTable
        A scenario or its file: its policies are compared, and thresholds of one of them varied. Or a result or its JSON
        file; or a sweep or its folder.
    path : path-like
        The file. With the ending .html it is a page that needs nothing else; with .md, Markdown for a pull request.
    policy : str, path, mapping, spec or document, optional
        For a scenario: the policy whose thresholds move. Default: the first policy with two of them.
    vary : mapping of str to sequence, optional
        For a scenario: the thresholds that move, and their values. Default: two that matter.
    replications : int, default 400
        For a scenario: rollouts of each policy, and of each position of the sliders.
    confidence_level : float, default 0.95
        For a scenario or a sweep.
    seed : int, default 0
    engine : {'auto', 'compiled', 'reference'}
    executor, workers, cluster
        For a scenario: where to simulate, as of `sweep`.
    progress : bool or callable, default False
        As of `sweep`.

    Raises
    ------
    InputError
        For a source that can't be read, and for an ending that is neither.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from simdeploy import compare, write_report
    >>> table = pd.DataFrame({
    ...     "policy": ["fast"] * 3 + ["slow"] * 3, "replication": [0, 1, 2] * 2,
    ...     "makespan_s": [60.0, 80.0, 70.0, 100.0, 121.0, 111.0],
    ... })
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(compare(table), Path(folder, "report.md"))
    ...     print(Path(folder, "report.md").read_text().splitlines()[2])
    Which policy is best?
    """
    target = Path(path)
    form = FORMS.get(target.suffix.lower())
    if form is None:
        allowed = " or ".join(FORMS)
        raise InputError(Problem("unknown form of a report", ("path",), found=shorten(target.name), allowed=allowed))
    request = Request(policy, vary, replications, confidence_level, seed, engine, executor, workers, cluster, progress)
    if isinstance(source, str | os.PathLike) and policy is None and vary is None:
        request = replace(request, command=_write_command(source, target, request))
    text = form(gather(source, request))
    write_file(target, lambda file: file.write(text.encode()))


def _write_command(source: str | os.PathLike[str], target: Path, request: Request) -> str:
    """Return the command that writes the same report."""
    usual = Request()
    options = [
        word
        for name in ("replications", "confidence_level", "seed", "engine")
        if getattr(request, name) != getattr(usual, name)
        for word in (f"--{name.replace('_', '-')}", str(getattr(request, name)))
    ]
    return printable(shlex.join(["simdeploy", "report", os.fspath(source), "-o", target.name, *options]))
