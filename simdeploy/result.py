"""What all results have in common: an answer in a sentence, tables, and forms for notebooks and other programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """A table for people: cells of text; a cell may have several lines."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Result:
    """The base of every analysis' frozen result, whose public fields are tidy tables and plain values.

    What is said of a result stands in `simdeploy.report`, which knows by the type of the result which sentence and which
    tables are meant. It is looked up when somebody asks, so that no analysis imports a word.
    """

    @property
    def answer(self) -> str:
        """The answer, in a sentence that can be read aloud."""
        return cast("str", _report().tell(self))

    def to_frame(self) -> pd.DataFrame:
        """Return the main table."""
        raise NotImplementedError

    def summarize(self) -> tuple[Table, ...]:
        """Return the tables that a person wants to see, in words."""
        return cast("tuple[Table, ...]", _report().tabulate(self))

    def to_dict(self) -> dict[str, Any]:
        """Return everything in values that JSON knows: the answer, and every public field; tables as lists of rows.

        Whatever is unknown is None.
        """
        public = [field.name for field in fields(self) if not field.name.startswith("_")]  # type: ignore[arg-type]
        return {"answer": self.answer, **{name: to_plain(getattr(self, name)) for name in public}}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.answer}>"

    def _repr_html_(self) -> str:
        return cast("str", _report().to_html(self))


def _report() -> Any:
    # Not by an import statement, which would point up.
    return import_module("simdeploy.report")


def read_computed_under(responses: Any) -> dict[str, Any]:
    """Return what a table of replications says of its origin: scenario, seed, engine and switches, if it says so.

    What a scenario costs had no part in a rollout; whoever counts costs says which.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"policy": ["a"]})
    >>> table.attrs["seed"] = 3
    >>> read_computed_under(table), read_computed_under(object())
    ({'seed': 3}, {})
    """
    return {str(name): value for name, value in getattr(responses, "attrs", {}).items() if name != "costs"}


def to_plain(value: Any) -> Any:
    """Return a value in what JSON knows.

    Examples
    --------
    >>> import pandas as pd
    >>> to_plain({"rows": pd.DataFrame({"policy": ["a"], "estimate": [float("nan")]}), "limits": (1, 2.5)})
    {'rows': [{'policy': 'a', 'estimate': None}], 'limits': [1, 2.5]}
    """
    import numpy as np
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return [to_plain(dict(row)) for row in value.to_dict("records")]
    if is_dataclass(value) and not isinstance(value, type):
        return to_plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, bool | int | float | str) else str(value)
