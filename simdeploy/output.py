"""Output files: tables as CSV or Parquet, and files that are never left half-written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# A spreadsheet reads text that starts with one of these as a formula.
_FORMULA = "=+-@\t\r"


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV or Parquet, by the file's ending.

    In CSV, text that a spreadsheet would read as a formula gets a leading apostrophe.
    """
    if path.suffix.lower() == ".csv":
        write_file(path, lambda file: _without_formulas(frame).to_csv(file, index=False))
    else:
        write_file(path, lambda file: frame.to_parquet(file, index=False, compression="zstd", write_page_checksum=True))


def _without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd
    from pandas.api import types as pd_types

    is_text = [not pd_types.is_numeric_dtype(dtype) for dtype in frame.dtypes]
    texts = {
        # As objects, because otherwise whole numbers beside an unknown one would become floats.
        name: pd.Series([_quote_formula(cell) for cell in frame[name].astype(object)], frame.index, dtype=object)
        for name in frame.columns[is_text]
    }
    return frame.assign(**texts) if texts else frame


def _quote_formula(cell: Any) -> Any:
    if not isinstance(cell, str) or len(cell) < 2 or cell[0] not in _FORMULA:
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell  # a number, such as -1, is harmless


def write_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a temporary file and rename it: the target is either complete or unchanged."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        # Name the requested file, not the temporary one.
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()
