"""What a search found: the choice, what it can't be told from, what holds it back, and the spec to paste."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.grid_table import format_value, shorten_names
from simdeploy.analysis.result import Result
from simdeploy.analysis.tables import Table
from simdeploy.analysis.wording import POINTS, describe_measure, format_estimate, format_number, measure_scale
from simdeploy.scenario.measures import Measure, parse_measure

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.wording import Scale

CHOICE, WITHOUT = "choice", "without "


@dataclass(frozen=True, eq=False, repr=False)
class Tuning(Result):
    """What `tune` found.

    Attributes
    ----------
    objective : str
        The measure, as text.
    direction : {'min', 'max'}
    choice : dict or None
        The levers' values of the chosen policy; None if no candidate is known to meet the requirements.
    specs : mapping of str to dict
        The chosen policy by dialect, ready to paste: `spec`, and `notes` on what the other dialect can't say.
    policies : DataFrame
        The choice, the runners-up that it can't be told from, the current policy, the API's defaults, and what might be
        chosen without one of the requirements, in the same new worlds: `policy`, `candidate`, `measure`, `estimate`, `low`, `high`, `n`, and the difference to the choice
        `difference`, `difference_low`, `difference_high`; of the objective these intervals hold for all policies at once.
    requirements : DataFrame
        `policy`, `requirement`, `estimate`, `low`, `high`, `n`, `verdict` (met, missed or undecided) in the same worlds.
    binding : str or None
        The requirement without which a surely better policy could be chosen.
    out_of_reach : DataFrame
        If there is no choice, each requirement with the nearest `estimate` to it of the candidates that meet all others,
        by the first stage; NaN where none does.
    gain_without_binding : float
        How much better, in the new worlds; NaN without such a requirement.
    candidates : DataFrame
        All that were tried: `candidate`, the levers, `n`, `estimate` of the objective, `outcome` (chosen, can't be told
        from the choice, not better, ruled out, misses a requirement, not known to meet the requirements, never ends,
        equal to another), and of what is equal to another one `equal_to`.
    stages : DataFrame
        `stage`, `candidates`, `worlds` (of each; the most), `rollouts`, `node_updates`.
    current_policy : str
        Its name.
    n_possible : int
        Combinations of the levers, of which `candidates` may be a sample.
    indifference : float
        The smallest difference that matters, in the objective's unit.
    confidence_level : float
    is_decided : bool
        Whether the budget was enough for the stated probability.
    expected_correct : float
        By `budget` alone: the approximate probability that the choice is the best; NaN where Kim and Nelson's procedure
        guarantees `confidence_level`.
    """

    objective: str
    direction: str
    choice: Mapping[str, Any] | None
    specs: Mapping[str, Mapping[str, Any]]
    policies: pd.DataFrame
    requirements: pd.DataFrame
    binding: str | None
    gain_without_binding: float
    out_of_reach: pd.DataFrame
    candidates: pd.DataFrame
    stages: pd.DataFrame
    current_policy: str
    n_possible: int
    indifference: float
    confidence_level: float
    is_decided: bool
    expected_correct: float

    def to_frame(self) -> pd.DataFrame:
        """Return all candidates with what came of them."""
        return self.candidates

    @property
    def answer(self) -> str:
        """The choice, what it saves, and how sure that is."""
        n = len(self.candidates)
        if self.choice is None:
            return (
                f"None of {n:,} policies is known to meet the requirements. "
                f"Those that seem to meet all but one come to {self._nearest()}."
            )
        return " ".join([self._choice_sentence(), self._sure_sentence(n), *self._binding_sentence()])

    def _choice_sentence(self) -> str:
        changes = self.changes()
        what = describe_measure(self._measure)
        row = self._objective_row(CHOICE)
        told = format_estimate(row["estimate"], row["low"], row["high"], self._scale)
        if not changes:
            start = f"Stay with {self.current_policy}: its {what} is {told}"
        else:
            listed = ", ".join(f"{name} {format_value(value)}" for name, value in changes.items())
            start = f"Use {self.current_policy} with {listed}: {what} {told}"
        others = {"current": f"{self.current_policy} as it is", "defaults": "with the API's default thresholds"}
        compared = [
            f"{self._told(self._objective_row(role)['estimate'])} {words}"
            for role, words in others.items()
            if role in set(self.policies["policy"]) and not (role == "current" and not changes)
        ]
        return start + (f"; {', and '.join(compared)}, in the same worlds." if compared else ".")

    def _sure_sentence(self, n: int) -> str:
        margin = self._told(self.indifference, is_difference=True)
        direction = "lower" if self.direction == "min" else "higher"
        which = f"the {n:,} tried" if self.requirements.empty else f"the {n:,} tried that meets the requirements"
        if not math.isnan(self.expected_correct):
            sure = f"It is the best of {which} with a probability of about {100 * self.expected_correct:.0f} %"
        elif self.is_decided:
            level = f"{100 * self.confidence_level:g} %"
            sure = f"One of {which} and is {direction} than all others by {margin} would be chosen with probability {level}"
            sure = sure if not self.requirements.empty else sure.replace(" and is ", " that is ")
        else:
            sure = f"The budget was too small to tell whether another of {which} is {direction} by {margin}"
            sure = sure.replace("that meets", "that meet")
        same = int(self.policies.loc[self.policies["policy"].str.startswith("runner-up"), "policy"].nunique())
        told = f"{same} other{'s' if same > 1 else ''} can't be told from it" if same else "no other comes close"
        return f"{sure}; {told}."

    def _binding_sentence(self) -> list[str]:
        if self.binding is None:
            return []
        gain = self._told(self.gain_without_binding, is_difference=True)
        better = "lower" if self.direction == "min" else "higher"
        return [f"What holds it back is {self.binding}: without it another policy is {gain} {better}."]

    def _nearest(self) -> str:
        told = []
        for row in self.out_of_reach.to_dict("records"):
            measure = parse_measure(row["requirement"].partition(" <=")[0].partition(" >=")[0])
            scale = measure_scale(measure, abs(row["estimate"]))
            value = row["estimate"] * scale.factor
            reached = "no value" if math.isnan(value) else f"{value:.3g} {scale.unit}".rstrip()
            told.append(f"{reached} where {row['requirement']} is required")
        return ", or ".join(told)

    @property
    def _measure(self) -> Measure:
        return parse_measure(self.objective)

    @property
    def _scale(self) -> Scale:
        return measure_scale(self._measure, float(self._rows(self.objective)["estimate"].abs().max()))

    def _told(self, value: float, *, is_difference: bool = False) -> str:
        scale = self._scale
        unit = POINTS.unit if is_difference and self._measure.is_fraction else scale.unit
        return f"{format_number(value * scale.factor, abs(value * scale.factor) / 10)} {unit}".rstrip()

    def _rows(self, measure: str) -> pd.DataFrame:
        return self.policies[self.policies["measure"].eq(measure)]

    def _objective_row(self, policy: str) -> Mapping[Any, Any]:
        rows = self._rows(self.objective)
        return rows[rows["policy"].eq(policy)].iloc[0].to_dict()

    def changes(self) -> dict[str, Any]:
        """Return the chosen values that the current policy doesn't have, by the levers' short names."""
        if self.choice is None:
            return {}
        current = self.candidates.iloc[0]
        changed = {name: value for name, value in self.choice.items() if _differ(value, current[name])}
        return dict(zip(shorten_names(list(changed)), changed.values(), strict=True))

    def summarize(self) -> tuple[Table, ...]:
        """Return the policies with their estimates, what they are, the requirements, and the work that was done."""
        tables = [self._tabulate_policies(), self._tabulate_levers()] if self.choice is not None else []
        if len(self.requirements):
            tables.append(self._tabulate_requirements())
        return (*tables, self._tabulate_stages())

    def _tabulate_policies(self) -> Table:
        level = f"{100 * self.confidence_level:g} %"
        worlds = int(self.policies["n"].max())
        measures = list(dict.fromkeys(self.policies["measure"]))
        header = ["policy", describe_measure(self._measure), "less the choice"]
        columns: list[list[str]] = [self._names(), [], []]
        for row in self._rows(self.objective).to_dict("records"):
            columns[1].append(format_estimate(row["estimate"], row["low"], row["high"], self._scale))
            unit = POINTS if self._measure.is_fraction else self._scale
            found = (row["difference"], row["difference_low"], row["difference_high"])
            columns[2].append("" if math.isnan(found[0]) else format_estimate(*found, unit, sign=True))
        for name in measures:
            if name == self.objective:
                continue
            measure, rows = parse_measure(name), self._rows(name)
            scale = measure_scale(measure, float(rows["estimate"].abs().max()))
            header.append(describe_measure(measure))
            columns.append(
                [format_estimate(row["estimate"], row["low"], row["high"], scale) for row in rows.to_dict("records")]
            )
        title = f"On {worlds:,} new worlds, with {level} intervals; differences for all policies at once"
        return Table(title, tuple(header), tuple(zip(*columns, strict=True)))

    def _names(self) -> list[str]:
        names = {CHOICE: "the choice", "current": self.current_policy, "defaults": "API's defaults"}
        return [names.get(name, name) for name in dict.fromkeys(self.policies["policy"])]

    def _tabulate_levers(self) -> Table:
        numbers = self.policies.drop_duplicates("policy")["candidate"]
        rows = self.candidates.set_index("candidate").loc[numbers]
        levers = [name for name in (self.choice or {}) if rows[name].nunique(dropna=False) > 1]
        cells = [[format_value(value) for value in rows[name]] for name in levers]
        header = ("policy", *shorten_names(levers))
        return Table("What they are, where they differ", header, tuple(zip(self._names(), *cells, strict=True)))

    def _tabulate_requirements(self) -> Table:
        rows = []
        names = dict(zip(dict.fromkeys(self.policies["policy"]), self._names(), strict=True))
        for row in self.requirements.to_dict("records"):
            measure = parse_measure(row["requirement"].partition(" <=")[0].partition(" >=")[0])
            scale = measure_scale(measure, abs(row["estimate"]))
            told = format_estimate(row["estimate"], row["low"], row["high"], scale)
            rows.append((names[row["policy"]], row["requirement"], told, row["verdict"]))
        return Table("Requirements, in the same worlds", ("policy", "requirement", "estimate", "verdict"), tuple(rows))

    def _tabulate_stages(self) -> Table:
        rows = tuple(
            tuple(str(value) if isinstance(value, str) else f"{value:,}" for value in row.values())
            for row in self.stages.to_dict("records")
        )
        tried = f"{len(self.candidates):,} policies" + (
            "" if len(self.candidates) == self.n_possible else f", a sample of {self.n_possible:,}"
        )
        return Table(f"The search: {tried}", ("stage", "candidates", "worlds", "rollouts", "node updates"), rows)

    def describe_specs(self) -> list[str]:
        """Return the chosen policy in both dialects as lines of text: JSON, and notes on what can't be said."""
        lines = []
        for dialect, told in self.specs.items():
            lines += [f"The choice in the {dialect} dialect:", *json.dumps(told["spec"], indent=2).splitlines()]
            lines += [f"note: {note}" for note in told["notes"]]
            lines.append("")
        return lines


def _differ(value: Any, other: Any) -> bool:
    import pandas as pd

    if value is None or pd.isna(other):
        return not (value is None and pd.isna(other))
    return bool(value != other)
