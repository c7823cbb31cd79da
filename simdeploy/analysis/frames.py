"""Tables of rows, with a type for each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
# Columns of an estimate, alone and with all that `Estimate.to_row` has.
INTERVAL = dict.fromkeys(("estimate", "low", "high"), "float64")
ESTIMATE = {**INTERVAL, "half_width": "float64", "n": "int64", "standard_error": "float64"}


def make_frame(rows: Sequence[Mapping[str, Any]], dtypes: Mapping[str, Any]) -> pd.DataFrame:
    """Return rows as a table with these columns, also if there are none; what else a row has is left out.

    Examples
    --------
    >>> make_frame([], {"policy": "str", "n": "int64"}).dtypes.astype(str).tolist()
    ['str', 'int64']
    """
    import pandas as pd

    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=dtype) for name, dtype in dtypes.items()})
