"""What all results share: an answer in a sentence, tables, and forms for notebooks and other programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cache, cached_property, lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, get_type_hints

if TYPE_CHECKING:
    import pandas as pd


Declared = TypeVar("Declared")

# Format of documents from `Result.to_dict`; it changes when older versions can't read them.
FORMAT = 1

# Recorded with a table of replications although no rollout depends on them; each analysis reports those it uses.
OF_ANALYSES = ("costs", "requirements")
_NOT_REPORTED = (*OF_ANALYSES, "release")


def floats(*names: str) -> dict[str, str]:
    """Return columns of floating-point numbers, as `Columns` has them."""
    return dict.fromkeys(names, "float64")


# Columns of an estimate, alone and with all that `Estimate.to_row` has.
INTERVAL = floats("estimate", "low", "high")
ESTIMATE = {**INTERVAL, "half_width": "float64", "n": "int64", "standard_error": "float64", "is_trusted": "bool"}


def interval_columns(name: str) -> dict[str, str]:
    """Return the columns of a further estimate in a row: its name, alone and with `_low`, `_high` and `_is_trusted`."""
    return {**floats(name, f"{name}_low", f"{name}_high"), f"{name}_is_trusted": "bool"}


def interval_cells(name: str, interval: Any) -> dict[str, Any]:
    """Return the cells of `interval_columns`."""
    return {
        name: interval.estimate,
        f"{name}_low": interval.low,
        f"{name}_high": interval.high,
        f"{name}_is_trusted": interval.is_trusted,
    }


@dataclass(frozen=True)
class Columns:
    """The columns of a result's table, used to write, describe and read it."""

    dtypes: Mapping[str, str]  # by the names of the columns that are always present
    # Whether there are further columns, such as the factors of a sweep: a document states the types of all.
    has_more: bool = False
    # By column with a fixed set of words, such as verdicts: its words.
    words: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """The values of a mapping that is one row of a table, by column."""

    dtypes: Mapping[str, str]


@dataclass(frozen=True)
class Array:
    """The element type of an array."""

    dtype: str


@dataclass(frozen=True)
class Written:
    """Marks a value that a document holds as text, and how to parse it."""

    parse: Callable[[str], Any]


class LateTable(cached_property["pd.DataFrame"]):
    """A table of a result that is computed on first access: a method decorator."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def __call__(self, compute: Callable[[Any], pd.DataFrame]) -> LateTable:
        """Take the method."""
        super().__init__(compute)
        return self


@dataclass(frozen=True)
class Table:
    """A table for people: cells of text, possibly with several lines."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Result:
    """Base of every analysis' frozen result; its public fields are tidy tables and plain values.

    `simdeploy.report` puts a result into words: it chooses the sentence and the tables by the result's type. It is
    imported on first use, so analyses contain no wording.

    Attributes
    ----------
    also : tuple of str
        Properties, derived from the fields, that a document also contains.
    """

    also: ClassVar[tuple[str, ...]] = ()
    # Finds `simdeploy.report`, a higher layer: the package's `__init__` sets it.
    find_report: ClassVar[Callable[[], Any]]

    @property
    def answer(self) -> str:
        """The answer in one or two sentences."""
        return cast("str", Result.find_report().tell(self))

    def to_frame(self) -> pd.DataFrame:
        """Return the main table, by default the first."""
        return cast("pd.DataFrame", getattr(self, next(iter(self.tables()))))

    def summarize(self) -> tuple[Table, ...]:
        """Return the tables to show to people, in words."""
        return cast("tuple[Table, ...]", Result.find_report().tabulate(self))

    @classmethod
    @cache
    def hints(cls, **names: Any) -> Mapping[str, Any]:
        """Return the type of each public field, with its declarations; `names` replace names in annotations."""
        # Modules of results import these for the type checker only.
        known = {"pd": SimpleNamespace(DataFrame=Any), "np": SimpleNamespace(ndarray=Any), **names}
        hints = get_type_hints(cls, localns=known, include_extras=True)
        return {field.name: hints[field.name] for field in fields(cls) if not field.name.startswith("_")}  # type: ignore[arg-type]

    @classmethod
    def tables(cls) -> dict[str, Columns]:
        """Return the columns of each table, by its name."""
        declared = {name: columns for name, hint in cls.hints().items() if (columns := find_declared(hint, Columns))}
        return declared | {name: late.columns for name, late in vars(cls).items() if isinstance(late, LateTable)}

    def to_dict(self) -> dict[str, Any]:
        """Return everything in JSON values; `simdeploy.read_result` restores the result.

        Contains the type of the `result`, the `format` of the document and the `answer`, then every public field, with
        tables as lists of rows, and as `dtypes` the column types of tables whose columns depend on the question.
        Unknown is None, and infinity a word.
        """
        hints, tables = self.hints(), self.tables()
        document = {"result": type(self).__name__, "format": FORMAT, "answer": self.answer}
        for name in dict.fromkeys([*hints, *self.also, *tables]):
            value = getattr(self, name)
            document[name] = str(value) if find_declared(hints.get(name), Written) else to_plain(value)
        stated = {
            name: {str(column): str(dtype) for column, dtype in getattr(self, name).dtypes.items()}
            for name, columns in tables.items()
            if columns.has_more
        }
        return document | ({"dtypes": stated} if stated else {})

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.answer}>"

    def _repr_html_(self) -> str:
        return cast("str", Result.find_report().to_html(self))


def find_declared(hint: Any, kind: type[Declared]) -> Declared | None:
    """Return the declaration of a field beside its type."""
    return next((annotation for annotation in getattr(hint, "__metadata__", ()) if isinstance(annotation, kind)), None)


def make_frame(rows: Sequence[Mapping[str, Any]], dtypes: Mapping[str, Any]) -> pd.DataFrame:
    """Return rows as a table with these columns, even if empty; other keys of a row are left out.

    Examples
    --------
    >>> make_frame([], {"policy": "str", "n": "int64"}).dtypes.astype(str).tolist()
    ['str', 'int64']
    """
    import pandas as pd

    # Arrays, because pandas would align the index of every series.
    return pd.DataFrame(
        {name: _make_array([row[name] for row in rows], _read_dtype(dtype)) for name, dtype in dtypes.items()}
    )


def _make_array(values: list[Any], dtype: Any) -> Any:
    """Return values as an array; numbers without the detour through pandas."""
    import numpy as np
    import pandas as pd

    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return np.array(values, dtype)
    return pd.array(values, dtype=dtype)


@lru_cache(maxsize=64)  # parsing the name takes longer than making a short column
def _read_dtype(dtype: Any) -> Any:
    from pandas.api.types import pandas_dtype

    return pandas_dtype(dtype)


def read_computed_under(responses: Any) -> dict[str, Any]:
    """Return the origin recorded with a table of replications: scenario, seed, engine and switches, if any.

    Costs and requirements are not included, because they don't affect rollouts and each analysis reports those it uses;
    nor are the probabilities of the kinds of release, which the scenario has.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"policy": ["a"]})
    >>> table.attrs["seed"] = 3
    >>> read_computed_under(table), read_computed_under(object())
    ({'seed': 3}, {})
    """
    return {str(name): value for name, value in getattr(responses, "attrs", {}).items() if name not in _NOT_REPORTED}


def list_rows(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return the rows of a table, in half the time of its `to_dict`.

    Examples
    --------
    >>> import pandas as pd
    >>> list_rows(pd.DataFrame({"policy": ["a", "b"], "n": [1, 2]}))
    [{'policy': 'a', 'n': 1}, {'policy': 'b', 'n': 2}]
    """
    names = list(frame)
    columns = [column.tolist() for _, column in frame.items()]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def to_plain(value: Any) -> Any:
    """Return a value in JSON types.

    Examples
    --------
    >>> import pandas as pd
    >>> to_plain({"rows": pd.DataFrame({"policy": ["a"], "estimate": [float("nan")]}), "limits": (1, 2.5)})
    {'rows': [{'policy': 'a', 'estimate': None}], 'limits': [1, 2.5]}
    """
    import numpy as np
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return [to_plain(row) for row in list_rows(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return to_plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value != value:
        return None
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, bool | int | float | str) else str(value)
