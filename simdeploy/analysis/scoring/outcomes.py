"""Reads the outcomes of rollouts, from final deployment objects or a table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.scoring.log import find_body, list_objects
from simdeploy.api import parse_time
from simdeploy.api.files import read_text
from simdeploy.api.json_text import parse_json
from simdeploy.errors import InputError, Problem, not_among, raise_if_any, shorten
from simdeploy.vocabulary import STATES, TERMINAL_STATES

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("id", "defective", "state", "completed_at")
_FORMS = f"deployment objects, or a table of {', '.join(_COLUMNS)}"
_YES, _NO = ("true", "yes", "1", "1.0"), ("false", "no", "0", "0.0")
_MOST_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Outcome:
    """The known outcome of a rollout; None for what is unknown."""

    defective: bool | None = None
    state: str | None = None  # a terminal state
    completed_ns: int | None = None  # nanoseconds since 1970

    def merge(self, other: Outcome) -> Outcome | None:
        """Return the combination of both; None if they contradict each other."""
        values: dict[str, Any] = {}
        for name in ("defective", "state", "completed_ns"):
            own, others = getattr(self, name), getattr(other, name)
            if None not in (own, others) and own != others:
                return None
            values[name] = others if own is None else own
        return Outcome(**values)


def read_outcomes(given: Any) -> dict[str, Outcome]:
    """Return outcomes by rollout, from deployment objects, a table, or a file with either.

    Raises
    ------
    InputError
        If it is neither, or if two of them contradict each other.
    """
    import pandas as pd

    if isinstance(given, str | os.PathLike):
        given = _read_file(Path(given))
    if isinstance(given, Mapping) and isinstance(given.get("deployments"), Sequence):
        given = given["deployments"]
    if isinstance(given, pd.DataFrame) and "revision" not in given:
        if not set(_COLUMNS[1:]) & set(given):
            raise InputError(Problem("not outcomes", ("outcomes",), found=shorten(list(given)), allowed=_FORMS))
        pairs = _read_table(given)
    else:
        pairs = [pair for each in list_objects(given) if (pair := find_outcome(each, strict=True))]
    return join_outcomes(pairs)


def join_outcomes(pairs: Iterable[tuple[str, Outcome]]) -> dict[str, Outcome]:
    """Return the combined outcome of each rollout; raise `InputError` for contradictions."""
    by_rollout: dict[str, Outcome] = {}
    for name, outcome in pairs:
        merged = by_rollout.get(name, Outcome()).merge(outcome)
        if merged is None:
            raise InputError(Problem("outcomes contradict each other", ("outcomes",), found=shorten(name)))
        by_rollout[name] = merged
    return by_rollout


def find_outcome(
    given: Any,
    *,
    strict: bool = False,  # whether to raise `InputError` for anything but a deployment object, instead of returning None
) -> tuple[str, Outcome] | None:
    """Return the rollout of a deployment object and its outcome; None if it isn't over."""
    body = find_body(given)
    status = body.get("status")
    status = status if isinstance(status, Mapping) else {}
    name, state = body.get("id") or status.get("created_at"), status.get("state")
    if not (isinstance(name, str) and isinstance(state, str)):
        if strict:
            raise InputError(Problem("not a deployment object", ("outcomes",), found=shorten(given), allowed=_FORMS))
        return None
    if state not in TERMINAL_STATES:
        return None
    ended = status.get("completed_at") or status.get("updated_at")
    return name, Outcome(None, state, parse_time(ended) if isinstance(ended, str) else None)


def _read_file(path: Path) -> Any:
    import pandas as pd

    if path.suffix.lower() not in (".csv", ".parquet"):
        text = read_text(path, most_bytes=_MOST_BYTES)
        content = parse_json(text, file=str(path))
        return content if isinstance(content, list | dict) else [content]
    try:
        return pd.read_csv(path, dtype=str) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
    except pd.errors.ParserError:
        allowed = "CSV or Parquet with the columns " + ", ".join(_COLUMNS)
        raise InputError(Problem("not a table of outcomes", file=str(path), allowed=allowed)) from None
    except (ValueError, OSError) as error:
        found = shorten(str(error).split("\n")[0])
        raise InputError(Problem("not a table of outcomes", file=str(path), found=found)) from None


def _read_table(frame: pd.DataFrame) -> list[tuple[str, Outcome]]:
    problems = [not_among("no such column", ("outcomes",), name, _COLUMNS) for name in frame if name not in _COLUMNS]
    if "id" not in frame:
        problems.append(Problem("a column is missing", ("outcomes", "id"), allowed=_FORMS))
    raise_if_any(problems)
    pairs = []
    for number, row in enumerate(frame.to_dict("records")):
        where = ("outcomes", number)
        known = {str(name): value for name, value in row.items() if value == value and value not in (None, "")}
        if "id" not in known:
            problems.append(Problem("the id is missing", where))
            continue
        values: dict[str, Any] = {}
        for name, reader in (("defective", _read_yes), ("state", _read_state), ("completed_at", _read_time)):
            values[name] = reader(known[name]) if name in known else None
            if name in known and values[name] is None:
                allowed = {"defective": "true or false", "state": ", ".join(STATES)}
                message, shown = f"invalid {name}", allowed.get(name, "an RFC 3339 time")
                problems.append(Problem(message, (*where, name), found=shorten(known[name]), allowed=shown))
        is_over = values["state"] in TERMINAL_STATES if "state" in known else True
        pairs.append((str(known["id"]), Outcome(*values.values()) if is_over else Outcome(values["defective"])))
    raise_if_any(problems)
    return pairs


def _read_yes(value: Any) -> bool | None:
    text = str(value).strip().lower()
    return text in _YES if text in (*_YES, *_NO) else None


def _read_state(value: Any) -> str | None:
    return str(value) if str(value) in STATES else None


def _read_time(value: Any) -> int | None:
    import pandas as pd

    if isinstance(value, pd.Timestamp):
        return int(value.tz_localize("UTC").value if value.tzinfo is None else value.value)
    try:
        return parse_time(str(value))
    except (InputError, ValueError):
        return None
