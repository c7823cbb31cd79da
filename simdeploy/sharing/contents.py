"""The contents of a report, in any format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeploy.report.tables import tabulate_pairs
from simdeploy.result import Result, Table
from simdeploy.sharing.assumptions import write_value

if TYPE_CHECKING:
    from simdeploy.scenario.written_specs import Specs
    from simdeploy.sharing.dials import Dials


@dataclass(frozen=True)
class Contents:
    """The contents of a report."""

    # title, about: name and description of the scenario
    title: str
    about: str
    result: Result  # has the answer, the tables and the picture
    assumptions: tuple[Table, ...]  # the scenario as far as it is known, and the switches of the orchestrator
    dials: Dials | None  # the grid behind the sliders, if there is one
    policies: Mapping[str, Specs]  # by name, their specs by dialect
    command: str | None  # the command line that writes the report, or the result that it shows
    origin: Table  # seed, engine, versions, digests


# Shown elsewhere in a report.
_ELSEWHERE = ("switches", "strata", "world", "specs")


def make_origin(
    computed_under: Mapping[str, Any], more: Sequence[tuple[str, str]], versions: Mapping[str, str]
) -> Table:
    """Return the table of everything needed to compute a result again.

    Examples
    --------
    >>> make_origin({"seed": 3, "without_requirement": [], "switches": {}}, [], {"simdeploy": "0.1.0"}).rows
    (('seed', '3'), ('versions', 'simdeploy 0.1.0'))
    """
    shown = {name: value for name, value in computed_under.items() if name not in _ELSEWHERE and value != []}
    rows = [(name, write_value(value)) for name, value in shown.items()]
    rows += [*more, ("versions", ", ".join(f"{name} {version}" for name, version in versions.items()))]
    return tabulate_pairs("Computed under", "what", rows)
