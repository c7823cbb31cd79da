"""The cases of a sweep: numbers and identifying columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.experiments.design import Points, read_number
from simdeploy.experiments.table import columns_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from simdeploy.experiments.levers import Lever


@dataclass(frozen=True)
class CaseTable:
    """All combinations of scenario, policy and point, numbered with the point varying fastest."""

    scenarios: tuple[str, ...]
    policies: tuple[str, ...]
    points: Points
    is_weighted: bool  # whether a scenario is tilted, so replications have weights

    def __len__(self) -> int:
        return len(self.scenarios) * len(self.policies) * len(self.points)

    @property
    def row_columns(self) -> tuple[str, ...]:
        """Columns of the table of replications."""
        of_cases = ("case", "scenario", "policy", *self.factors)
        return (*of_cases, "replication", *columns_of(is_weighted=self.is_weighted))

    @property
    def factors(self) -> tuple[str, ...]:
        """Columns of the varied keys."""
        return tuple(lever.name for lever in self.points.levers)

    def find(self, case: int) -> tuple[str, str, int]:
        """Return a case's scenario, policy and point."""
        scenario, rest = divmod(case, len(self.policies) * len(self.points))
        policy, point = divmod(rest, len(self.points))
        return self.scenarios[scenario], self.policies[policy], point

    @cached_property
    def columns(self) -> dict[str, pa.Array]:
        """Identifying columns: `case`, `scenario`, `policy` and the factors; one value per case."""
        import pyarrow as pa

        numbers = np.arange(len(self))
        scenario, rest = np.divmod(numbers, len(self.policies) * len(self.points))
        policy, point = np.divmod(rest, len(self.points))
        columns = {
            "case": pa.array(numbers),
            "scenario": pa.array(self.scenarios, pa.large_string()).take(pa.array(scenario)),
            "policy": pa.array(self.policies, pa.large_string()).take(pa.array(policy)),
        }
        for lever, values, index in zip(self.points.levers, self.points.values, self.points.index.T, strict=True):
            columns[lever.name] = _column(lever, values).take(pa.array(index[point]))
        return columns

    def to_frame(self) -> pd.DataFrame:
        """Return the identifying columns as a DataFrame, with the types of the table of replications."""
        import pyarrow as pa

        from simdeploy.experiments.store.part import fit_table

        fields = [pa.field(name, column.type, column.null_count > 0) for name, column in self.columns.items()]
        table = pa.table(list(self.columns.values()), schema=pa.schema(fields))
        frame: pd.DataFrame = fit_table(table, None).to_pandas(use_threads=False)
        return frame


def _column(lever: Lever, values: Sequence[Any]) -> pa.Array:
    """Return a lever's values as a column: numbers as numbers, durations in seconds, anything else as text."""
    import pyarrow as pa

    types = {"whole": (int, pa.int64()), "number": (int | float, pa.float64()), "truth": (bool, pa.bool_())}
    types["duration"] = types["number"]
    numbers = [read_number(lever.kind, value) for value in values]
    expected, kind = types.get(lever.kind, (str, pa.large_string()))
    if all(value is None or _is_a(value, expected) for value in numbers):
        return pa.array(numbers, kind)
    return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in numbers], pa.large_string())


def _is_a(value: object, expected: Any) -> bool:
    return isinstance(value, expected) and (expected is bool or not isinstance(value, bool))
