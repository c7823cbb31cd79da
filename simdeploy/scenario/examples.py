"""The example scenarios that come with the package."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import IO, Any

from simdeploy.errors import InputError, Problem, not_among, raise_if_any
from simdeploy.output import write_file
from simdeploy.scenario.loading import read_scenario
from simdeploy.scenario.scenario import Scenario
from simdeploy.scenario.yaml_text import parse_yaml


def example_folder() -> Path:
    """Return the folder of the examples: inside an installed package, beside it in a clone."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "examples"
    return installed if installed.is_dir() else package.parent / "scenarios"


def example_names() -> list[str]:
    """Return the names of the examples."""
    return [path.stem for path in sorted(example_folder().glob("*.yaml"))]


def describe_examples() -> dict[str, str]:
    """Return what each example shows, by name."""
    return {name: " ".join(_read(find_example(name))["description"].split()) for name in example_names()}


def find_example(name: str) -> Path:
    """Return the file of an example.

    Raises
    ------
    InputError
        If there is no example of this name.
    """
    if name not in example_names():
        raise InputError(not_among("no such example", (), name, example_names()))
    return example_folder() / f"{name}.yaml"


def load_example(name: str) -> Scenario:
    """Read an example scenario that comes with the package.

    Parameters
    ----------
    name : str
        Such as ``"small-fleet"``; ``simdeploy examples`` lists them.

    Returns
    -------
    Scenario

    Raises
    ------
    InputError
        If there is no example of this name.

    Examples
    --------
    >>> import simdeploy
    >>> scenario = simdeploy.load_example("small-fleet")
    >>> scenario.fleet.nodes, list(scenario.policies)
    (40, ['all-at-once', 'rolling', 'canary'])
    """
    return read_scenario(find_example(name))


def copy_example(name: str, file: Path) -> list[Path]:
    """Copy an example to a file, with the policies that it names and the folder of its name; return what was written.

    Raises
    ------
    InputError
        If there is no example of this name, or a file exists already.
    """
    source = find_example(name)
    named = [policy["file"] for policy in _read(source)["policies"].values() if "file" in policy]
    beside = [source.parent / each for each in named] + sorted(source.with_suffix("").glob("*"))
    return _copy({source: file} | {path: file.parent / path.relative_to(source.parent) for path in beside})


def copy_examples(folder: Path) -> list[Path]:
    """Copy all examples to a folder, with every file that belongs to them; return what was written.

    Raises
    ------
    InputError
        If a file exists already.
    """
    source = example_folder()
    return _copy({path: folder / path.relative_to(source) for path in sorted(source.rglob("*")) if path.is_file()})


def _read(path: Path) -> dict[str, Any]:
    raw: dict[str, Any] = parse_yaml(path.read_text(encoding="utf-8"))[0]
    return raw


def _write(content: bytes, stream: IO[bytes]) -> None:
    stream.write(content)


def _copy(targets: dict[Path, Path]) -> list[Path]:
    raise_if_any([Problem("exists already", file=str(path)) for path in targets.values() if path.exists()])
    for source, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target, partial(_write, source.read_bytes()))
    return list(targets.values())
