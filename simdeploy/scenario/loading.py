"""Scenario files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import get_args

from simdeploy.api.files import read_text
from simdeploy.api.json_text import parse_json
from simdeploy.api.wire import Dialect
from simdeploy.errors import InputError, Problem, cut, shorten
from simdeploy.scenario.file_model import ScenarioFile
from simdeploy.scenario.files import Files, Folder
from simdeploy.scenario.scenario import Scenario, build, warn
from simdeploy.scenario.yaml_text import parse_yaml

_BESIDE_SPEC = {"name", "deployment", "orchestrator"}  # keys of a scenario that a policy may have

ScenarioOrPath = Scenario | str | os.PathLike[str]


def read_scenario(path: str | os.PathLike[str], *, allow_files: Sequence[Folder] = ()) -> Scenario:
    """Read a scenario from a YAML file.

    Parameters
    ----------
    path : path
        A file or pipe. Files that it names are relative to it and must be in or below its folder, links resolved.
    allow_files : sequence of path, optional
        Further folders that may contain them.

    Raises
    ------
    InputError
        With all problems and their lines.

    Warns
    -----
    SimdeployWarning
        For what is valid but probably not meant; also in the scenario's `warnings`.

    Examples
    --------
    >>> import pathlib, tempfile, simdeploy
    >>> text = "{name: small, fleet: {nodes: 12, update_duration: 45s}, policies: {at-once: {strategy: immediate}}}"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "small.yaml")
    ...     _ = path.write_text(text)
    ...     simdeploy.read_scenario(path)
    <Scenario: small, 12 nodes, 1 kind of release, 1 policy (at-once)>
    """
    scenario, errors, warnings = load(path, allow_files=allow_files)
    if scenario is None:
        raise InputError(errors)
    warn(warnings)
    return scenario


def as_scenario(scenario: ScenarioOrPath) -> Scenario:
    """Return a scenario, reading it if a path is given.

    Raises
    ------
    InputError
        If it is neither, or with all problems of the file.

    Warns
    -----
    SimdeployWarning
        As `read_scenario` does.
    """
    if isinstance(scenario, Scenario):
        return scenario
    if isinstance(scenario, str | os.PathLike):
        return read_scenario(scenario)
    message = "not a scenario or the path of one"
    raise InputError(Problem(message, ("scenario",), found=shorten(scenario)))


def is_json_scenario(path: str | os.PathLike[str]) -> bool:
    """Whether a JSON file, which may also hold a policy or a result, is a scenario: it has a fleet."""
    data = None
    with suppress(InputError):  # reported later, by the reader of that kind of file
        data = parse_json(read_text(path))
    return is_scenario(data)


def is_scenario(data: object) -> bool:
    """Whether a file's data are meant as a scenario, not as a policy or a result."""
    return isinstance(data, dict) and "fleet" in data and "result" not in data


def is_policy(data: object) -> bool:
    """Whether a file's data are meant as a policy: a spec, or an object of the API with one, and no other part of a scenario."""
    if not isinstance(data, dict) or data.keys() & ScenarioFile.model_fields.keys() - _BESIDE_SPEC:
        return False
    spec, *wrapped = (data.get(key) for key in ("spec", *get_args(Dialect)))
    return (
        "strategy" in data
        or (isinstance(spec, dict) and "strategy" in spec)  # other objects of Kubernetes have a spec, too
        or any(isinstance(document, dict) and isinstance(document.get("spec"), dict) for document in wrapped)
    )


def load(
    path: str | os.PathLike[str],
    *,
    text: str | None = None,  # its contents, if they have been read: a pipe can be read only once
    allow_files: Sequence[Folder] = (),
) -> tuple[Scenario | None, tuple[Problem, ...], tuple[Problem, ...]]:
    """Read a scenario file; return it (or None), its errors and its warnings. Raises nothing."""
    if not isinstance(path, str | os.PathLike):
        return None, (Problem("not the path of a file", found=shorten(path)),), ()
    file = os.fspath(path)
    problems: list[Problem] = []
    try:
        raw, positions = parse_yaml(read_text(file) if text is None else text, file, problems)
    except InputError as error:
        return None, error.problems, ()
    if is_policy(raw):
        hint = "give it as the policy (`--policy`), beside a scenario"
        return None, (Problem("a policy, not a scenario", file=file, hint=hint),), ()
    scenario, errors = build(raw, Files(str(Path(file).parent), allow_files), source=file, positions=positions)
    if problems:
        # A malformed value is reported only once, although its placeholder may be invalid, too.
        reported = {problem.path for problem in problems}
        problems += [problem for problem in errors if problem.path not in reported]
        return None, cut(sorted(problems, key=lambda problem: problem.line or 0)), ()
    return scenario, errors, scenario.warnings if scenario else ()
