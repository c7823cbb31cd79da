"""The cases of a sweep as candidates, which one chooses, and worlds, which nobody does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.naming import name_cases
from simdeploy.errors import InputError, Problem
from simdeploy.experiments.levers import FACTOR_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


@dataclass(frozen=True, eq=False)
class Worlds:
    """Candidates and worlds.

    Attributes
    ----------
    candidates, worlds : DataFrame
        One row each, in the order of the cases: `candidate` or `world` as text, and the columns that they are made of.
    case : ndarray of int, shape (candidates, worlds)
        Which case is a candidate in a world.
    """

    candidates: pd.DataFrame
    worlds: pd.DataFrame
    case: np.ndarray

    @property
    def names(self) -> list[str]:
        """Texts of the worlds."""
        return list(self.worlds["world"])

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each candidate in each world, the worlds fastest."""
        return self.candidates.merge(self.worlds, how="cross")


def find_worlds(cases: pd.DataFrame) -> Worlds:
    """Tell candidates from worlds.

    Parameters
    ----------
    cases : DataFrame
        As of `Values`: `policy`, and what else identifies a case.

    Raises
    ------
    InputError
        If a candidate is missing in a world.

    Examples
    --------
    >>> import pandas as pd
    >>> cases = pd.DataFrame({
    ...     "case": range(4), "scenario": "small", "policy": "waves",
    ...     "max_parallel": [1, 1, 2, 2], "scenario.fleet.nodes": [10, 20, 10, 20],
    ... })
    >>> worlds = find_worlds(cases)
    >>> worlds.candidates["candidate"].tolist(), worlds.names, worlds.case.tolist()
    (['max_parallel 1', 'max_parallel 2'], ['nodes 10', 'nodes 20'], [[0, 1], [2, 3]])
    """
    of_world = [name for name in map(str, cases) if name == "scenario" or name.startswith(FACTOR_PREFIX)]
    of_candidate = [name for name in map(str, cases) if name not in ("case", *of_world)]
    candidates, candidate = _distinct(cases, of_candidate, "candidate")
    worlds, world = _distinct(cases, of_world, "world")
    case = np.full((len(candidates), len(worlds)), -1)
    # A case that is there twice (a point that a design has twice) is the same rollouts twice.
    case[candidate[::-1], world[::-1]] = np.arange(len(cases))[::-1]
    if (case < 0).any():
        row, column = np.argwhere(case < 0)[0]
        found = f"{candidates['candidate'][row]} in {worlds['world'][column]}"
        hint = 'vary keys of policy and scenario together by design="grid"'
        raise InputError(Problem("a candidate is missing in a world", found=found, hint=hint))
    return Worlds(candidates, worlds, case)


def _distinct(cases: pd.DataFrame, columns: Sequence[str], what: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the distinct values of some columns with a text for each, and the place of each case."""
    if not columns:
        import pandas as pd

        return pd.DataFrame({what: ["the world"]}), np.zeros(len(cases), np.int64)
    groups = cases.groupby(list(columns), sort=False, dropna=False)
    place = groups.ngroup().to_numpy()
    first = np.unique(place, return_index=True)[1]
    frame = cases.iloc[first][list(columns)].reset_index(drop=True)
    frame.insert(0, what, name_cases(frame))
    return frame, place
