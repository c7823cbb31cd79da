"""What a report says, whatever its form."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeploy.errors import printable
from simdeploy.result import Table
from simdeploy.sharing.assumptions import write_value

if TYPE_CHECKING:
    from simdeploy.result import Result
    from simdeploy.sharing.dials import Dials


@dataclass(frozen=True)
class PolicyText:
    """A policy as JSON.

    Attributes
    ----------
    name : str
    forms : tuple of (str, str, tuple of str)
        A dialect, the JSON in it, which is empty if it can't express the policy, and notes on the translation.
    """

    name: str
    forms: tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Contents:
    """What a report says.

    Attributes
    ----------
    title, about : str
        The scenario, and what it says of itself.
    result : Result
        Has the answer, the tables and the picture.
    assumptions : tuple of Table
        The scenario as far as it is known, and the switches of the orchestrator.
    dials : Dials or None
        The grid behind the sliders, if there is one.
    policies : tuple of PolicyText
    command : str or None
        The command line that writes the report, or the result that it shows.
    origin : Table
        Seed, engine, versions, digests.
    """

    title: str
    about: str
    result: Result
    assumptions: tuple[Table, ...]
    dials: Dials | None
    policies: tuple[PolicyText, ...]
    command: str | None
    origin: Table


def make_origin(
    computed_under: Mapping[str, Any], more: Sequence[tuple[str, str]], versions: Mapping[str, str]
) -> Table:
    """Return what must be known to compute a result again.

    Examples
    --------
    >>> make_origin({"seed": 3, "switches": {"preset": "expanso"}}, [], {"simdeploy": "0.1.0"}).rows
    (('seed', '3'), ('versions', 'simdeploy 0.1.0'))
    """
    rows = [(name, write_value(value)) for name, value in computed_under.items() if name not in ("switches", "strata")]
    rows += [*more, ("versions", ", ".join(f"{name} {version}" for name, version in versions.items()))]
    return Table("Computed under", ("what", "value"), tuple(rows))


def join_command(words: Sequence[str]) -> str | None:
    """Return the command line of a report that was typed, as it can be pasted."""
    return printable(shlex.join(["simdeploy", "report", *words])) if words else None
