"""The table of replications made ready for analysis: checked, cut into policies, categories into indicators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from simdeploy.errors import InputError, Problem, nearest, shorten
from simdeploy.vocabulary import RESPONSES, STATES, VERDICTS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# Categories whose levels are known, so that a level nobody saw is a proportion of 0 and not a missing row. The kind
# of release is left out: no policy has an influence on it.
LEVELS: dict[str, tuple[str, ...]] = {"state": STATES, "verdict": VERDICTS}


class Quantity(NamedTuple):
    """What is estimated: the mean of a response, or the proportion of one level of a category."""

    response: str
    level: str | None


class Observations:
    """The replications of one scenario by policy.

    Parameters
    ----------
    responses : DataFrame
        As from `replicate`. Neither the order of the rows nor further columns matter.

    Attributes
    ----------
    policies : tuple of str
        In the order in which they first appear.
    n_rows, n_failed : dict of str to int
        Replications of a policy, and those that failed and are left out of everything else.
    """

    def __init__(self, responses: pd.DataFrame) -> None:
        _check(responses)
        self.policies = tuple(str(policy) for policy in responses["policy"].unique())
        self.n_rows: dict[str, int] = {}
        self.n_failed: dict[str, int] = {}
        self._tables: dict[str, pd.DataFrame] = {}
        for policy in self.policies:
            rows = responses[responses["policy"].eq(policy)]
            kept = rows[rows["status"].ne("failed")] if "status" in rows else rows
            self.n_rows[policy], self.n_failed[policy] = len(rows), len(rows) - len(kept)
            self._tables[policy] = kept.set_index("replication").sort_index()
        self._columns = [name for name in RESPONSES if name in responses]

    def quantities(self) -> Iterator[Quantity]:
        """Say what can be estimated, in the order of the responses."""
        for name in self._columns:
            if name in LEVELS:
                yield from (Quantity(name, level) for level in LEVELS[name])
            elif RESPONSES[name] != "str":
                yield Quantity(name, None)

    def values(self, policy: str, quantity: Quantity) -> np.ndarray:
        """Return the observations of one quantity that there are; of a category 1 where it has the level, else 0."""
        return self._series(policy, quantity).to_numpy()

    def pairs(self, policy: str, baseline: str, quantity: Quantity) -> tuple[np.ndarray, np.ndarray]:
        """Return the observations of two policies in the replications in which both have one."""
        first, second = self._series(policy, quantity), self._series(baseline, quantity)
        both = first.index.intersection(second.index)
        return first.loc[both].to_numpy(), second.loc[both].to_numpy()

    def _series(self, policy: str, quantity: Quantity) -> pd.Series:
        column = self._tables[policy][quantity.response].dropna()
        if quantity.level is not None:
            column = column.eq(quantity.level)
        return column.astype("float64")


def _check(responses: pd.DataFrame) -> None:
    missing = [name for name in ("policy", "replication") if name not in responses]
    problems = [
        Problem("a table of replications has this column", path=(name,), hint=nearest(name, responses.columns))
        for name in missing
    ]
    if not missing:
        if responses.empty:
            problems.append(Problem("the table of replications is empty"))
        if "scenario" in responses and responses["scenario"].nunique() > 1:
            found = ", ".join(map(str, responses["scenario"].unique()))
            problems.append(Problem("policies are compared within one scenario", path=("scenario",), found=found))
        if responses.duplicated(["policy", "replication"]).any():
            twice = responses.loc[responses.duplicated(["policy", "replication"]), ["policy", "replication"]]
            found = f"policy {shorten(twice.iloc[0, 0])}, replication {int(twice['replication'].iloc[0])}"
            problems.append(Problem("a replication of a policy is there twice", path=("replication",), found=found))
        for name, levels in LEVELS.items():
            strange = set() if name not in responses else set(responses[name].dropna().unique()) - set(levels)
            if strange:
                found = ", ".join(sorted(map(str, strange)))
                problems.append(Problem("unknown level", path=(name,), found=found, allowed=", ".join(levels)))
    if problems:
        raise InputError(problems)
