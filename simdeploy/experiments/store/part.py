"""A part: some rows of the table, as a Parquet file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simdeploy.experiments.store.durable import StoreError
from simdeploy.experiments.store.journal import Entry

if TYPE_CHECKING:
    import pyarrow as pa


def encode_part(table: pa.Table) -> bytes:
    """Return a table as a Parquet file: compressed, and with a checksum in each page."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def make_entry(number: int, rows: int, content: bytes) -> Entry:
    """Return what the journal is to say of a part's file."""
    return Entry(number, rows, len(content), hashlib.sha256(content).hexdigest())


def find_damage(path: Path, entry: Entry, *, verify: bool) -> str | None:
    """Say what is wrong with the file of a part, or None.

    Parameters
    ----------
    path : Path
    entry : Entry
        What the journal says of it.
    verify : bool
        Whether to read the whole file and compare its checksum; its size always is compared.
    """
    import pyarrow.parquet as pq

    try:
        size = path.stat().st_size
        if size != entry.size:
            return f"its file has {size} bytes instead of {entry.size}"
        if not verify:
            return None
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
                return "the checksum of its file is wrong"
        rows = pq.read_metadata(path).num_rows
    except FileNotFoundError:
        return "its file is missing"
    return None if rows == entry.rows else f"its file has {rows} rows instead of {entry.rows}"


def read_schema(path: Path) -> pa.Schema:
    """Read which columns a part has."""
    import pyarrow.parquet as pq

    return pq.read_schema(path)


def read_part(path: Path, entry: Entry, columns: Sequence[str]) -> pa.Table:
    """Read some columns of a part, and nothing of the others.

    Raises
    ------
    StoreError
        If the file is gone, or what is read of it isn't what was written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            # Reading passes over names that the file doesn't have, selecting doesn't.
            table = file.read(columns=list(columns)).select(list(columns))
        is_right = table.num_rows == entry.rows
    except FileNotFoundError:
        reason = "its file is missing"
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
    else:
        if is_right:
            return table
        reason = f"it has {table.num_rows} rows instead of {entry.rows}"
    raise StoreError(
        f"{path}: part {entry.part} can't be read ({reason}); the call that wrote it, given again, repairs it"
    )
