"""The table of replications: its columns and their types, declared once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simdeploy.engines.schema import RESPONSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

# Types that can hold "missing": a failed replication, or what did not happen, is NaN and never 0.
DTYPES: dict[str, str] = {
    "scenario": "str",
    "policy": "str",
    "replication": "int64",
    **RESPONSES,
    "status": "str",
    "stage": "str",
    "error": "str",
}


def rows_to_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Make the table of replications from one mapping per row; what a row lacks is missing."""
    import pandas as pd

    columns = {}
    for name, dtype in DTYPES.items():
        values = [row.get(name) for row in rows]
        if dtype == "Int64":
            # NaN stands for "unknown" in the responses of one rollout, but is no whole number.
            values = [None if value is None or value != value else value for value in values]
        columns[name] = pd.Series(values, dtype=dtype)
    return pd.DataFrame(columns)
