"""Names of rollouts from the paths of their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def name_files(files: Sequence[str]) -> list[str]:
    """Name the rollouts of files that name none, without the endings of the files.

    Examples
    --------
    >>> name_files(["/2026/monday/nodes.csv", "/2026/tuesday/nodes.csv"])
    ['monday/nodes', 'tuesday/nodes']
    """
    return name_paths([Path(file).absolute().with_suffix("") for file in files])


def name_paths(paths: Sequence[Path]) -> list[str]:
    """Name absolute paths by their last parts, as few as are needed to distinguish them."""
    parts = [path.parts for path in paths]
    n_different = len(set(parts))
    n_parts = 1
    while len({each[-n_parts:] for each in parts}) < n_different:
        n_parts += 1
    return ["/".join(each[-n_parts:]) for each in parts]
