"""Converts any table of replications to columns by case and replication."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from simdeploy.errors import InputError, Problem, nearest, raise_if_any, shorten
from simdeploy.experiments.by_kind import are_in_memory
from simdeploy.experiments.kinds import Kinds, is_divided
from simdeploy.experiments.result import SweepResult
from simdeploy.experiments.table import Outcomes
from simdeploy.vocabulary import RESPONSES, WEIGHT

if TYPE_CHECKING:
    import pandas as pd

# Columns that don't identify a case.
NO_FACTORS = {"replication", "status", "stage", "error", *RESPONSES, WEIGHT}


class Batches(Protocol):
    """A table that can be read in parts: a `SweepResult`, or the result of `read_store`."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of the columns."""

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield some columns in parts."""


@dataclass(frozen=True, eq=False)
class Gathered:
    """Replications in columns.

    `cases` has one row per case, in order, or per policy, in the table's order, with `scenario` and `policy` if the table
    has them, and `case` and the factors of a sweep. The outcomes' policies are these cases, in this order; missing
    replications count as failed.
    """

    cases: pd.DataFrame
    outcomes: Outcomes
    replications: np.ndarray  # replication numbers of the outcomes' columns
    kinds: Kinds | None  # of release, with their probabilities, if the table records them

    @property
    def columns(self) -> Sequence[str]:
        """Names of the columns, as of a table."""
        return [*self.cases.columns, "replication", *self.outcomes.columns]


def refuse_others(responses: object) -> None:
    """Raise `InputError` for anything but a table of replications, such as a scenario or its path."""
    if not hasattr(responses, "columns"):
        allowed = "a table of replications, such as from `replicate` or `sweep`"
        raise InputError(Problem("no table of replications", ("responses",), found=shorten(responses), allowed=allowed))


def gather(responses: pd.DataFrame | Batches | Gathered, columns: Sequence[str]) -> Gathered:
    """Gather some columns of a table of replications, if not yet done; row order and further columns don't matter.

    Raises `InputError` if it is not such a table, lacks a column or has duplicate replications; or if it has weights
    but `columns` does not.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"policy": ["a", "b"], "replication": [0, 1], "makespan_s": [60.0, 80.0]})
    >>> gathered = gather(table, ["makespan_s"])
    >>> gathered.cases["policy"].tolist(), gathered.outcomes.numbers("makespan_s").tolist()
    (['a', 'b'], [[60.0, nan], [nan, 80.0]])
    """
    if isinstance(responses, Gathered):
        return responses
    refuse_others(responses)
    kinds = Kinds.from_attrs(getattr(responses, "attrs", {}))
    if WEIGHT not in columns and not is_divided(responses):
        refuse_weights(responses.columns)
    raise_if_any(missing_columns(("policy", "replication", *columns), responses.columns))
    if isinstance(responses, SweepResult) and are_in_memory(rows := responses._rows):  # noqa: SLF001 - of this package
        outcomes = rows.to_outcomes(columns)
        return Gathered(responses.cases, outcomes, outcomes.replications, kinds)
    frame = _read(responses, columns)
    keys = [name for name in frame.columns if name not in NO_FACTORS]
    identity = "case" if "case" in frame else "policy"
    cases = frame[keys].drop_duplicates(identity).reset_index(drop=True)
    if identity == "case":
        cases = cases.sort_values("case", ignore_index=True)
    if identity == "policy" and "scenario" in frame and frame["scenario"].nunique() > 1:
        found = ", ".join(map(str, frame["scenario"].unique()))
        raise InputError(Problem("comparing policies needs a single scenario", path=("scenario",), found=found))
    place = cases.reset_index().set_index(identity)["index"]
    policies, replications = place[frame[identity]].to_numpy(), frame["replication"].to_numpy(np.int64)
    if not is_divided(responses):
        first = int(replications.min())
        numbers = np.arange(first, int(replications.max()) + 1)
        columns_of = replications - first
    else:
        numbers, columns_of = np.unique(replications, return_inverse=True)
    _check_twice(policies * len(numbers) + columns_of, frame, identity)
    outcomes = Outcomes(len(cases), len(numbers), columns=[*columns, "status"])
    if "status" not in frame:
        # Without a status column, rollouts count as failed if one of their whole-number responses is missing.
        counts = [name for name in columns if RESPONSES.get(name) == "Int64"]
        frame = frame.assign(status=np.where(frame[counts].isna().any(axis=1), "failed", "ok"))
    outcomes.put_rows(policies, columns_of, frame)
    return Gathered(cases, outcomes, numbers, kinds and kinds.of_cases(cases))


def refuse_weights(columns: Iterable[Any]) -> None:
    """Raise `InputError` for a table with weights, in analyses that don't use them."""
    if WEIGHT in columns:
        message = "these replications are weighted (tilted), but this analysis ignores weights"
        hint = "use `estimate`, or simulate without the tilt"
        raise InputError(Problem(message, (WEIGHT,), hint=hint))


def missing_columns(
    needed: Iterable[str], columns: Iterable[Any], *, table: str = "a table of replications"
) -> list[Problem]:
    """Return a problem for each needed column that a table doesn't have."""
    present, message = [str(name) for name in columns], f"{table} needs this column"
    if not present:
        return [Problem("the table of replications is empty")]
    return [Problem(message, (name,), hint=nearest(name, present)) for name in needed if name not in present]


def _read(responses: Any, columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    wanted = [
        name for name in responses.columns if name not in NO_FACTORS or name in (*columns, "replication", "status")
    ]
    is_stored = hasattr(responses, "batches")
    frame: pd.DataFrame = pd.concat(responses.batches(wanted)) if is_stored else responses[wanted]
    if frame.empty:
        raise InputError(Problem("the table of replications is empty"))
    frame.attrs = {}  # pandas would copy them with every column
    return frame


def _check_twice(cells: np.ndarray, frame: pd.DataFrame, identity: str) -> None:
    _, first, counts = np.unique(cells, return_index=True, return_counts=True)
    if (counts > 1).any():
        row = frame.iloc[first[counts > 1][0]]
        name = row[identity] if identity == "policy" else int(row[identity])
        found = f"{identity} {shorten(name)}, replication {int(row['replication'])}"
        raise InputError(Problem("duplicate replication", ("replication",), found=found))
