"""From a table of worlds to columns that can be cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.naming import format_value
from simdeploy.statistics.boxes.boxes import Column

if TYPE_CHECKING:
    import pandas as pd


def read_columns(worlds: pd.DataFrame) -> list[Column]:
    """Return what can be cut.

    Parameters
    ----------
    worlds : DataFrame
        A factor a column. Numbers have an order; whatever else there is, and numbers of which one is missing, are words.

    Examples
    --------
    >>> import pandas as pd
    >>> [(one.name, one.words) for one in read_columns(pd.DataFrame({"x": [0.5, 1.0], "auto": [True, False]}))]
    [('x', None), ('auto', ('false', 'true'))]
    """
    import pandas as pd

    columns = []
    for name in worlds.columns:
        values = worlds[name]
        kind = pd.api.types
        is_number = kind.is_numeric_dtype(values.dtype) and not kind.is_bool_dtype(values.dtype)
        if is_number and not values.isna().any():
            numbers = values.to_numpy(dtype=np.float64)
            columns.append(Column(str(name), numbers, is_whole=kind.is_integer_dtype(values.dtype)))
            continue
        words = [format_value(value) for value in values]
        known = tuple(sorted(set(words)))
        places = np.array([known.index(word) for word in words], dtype=np.float64)
        columns.append(Column(str(name), places, words=known))
    return columns
