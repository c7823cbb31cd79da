"""Candidates (what can be chosen), worlds (what can't), and the regrets of candidates in worlds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.naming import name_cases
from simdeploy.analysis.asking.pricing import describe_costs, find_costs
from simdeploy.analysis.asking.verdicts import Direction, judge_difference
from simdeploy.errors import InputError, Problem, listed, nearest
from simdeploy.experiments.levers import FACTOR_PREFIX
from simdeploy.result import INTERVAL, floats, interval_columns
from simdeploy.statistics.estimators import estimate_cases
from simdeploy.statistics.pairs import Gaps, estimate_gaps
from simdeploy.statistics.sample import Sample

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.gathering import Batches
    from simdeploy.scenario.measures import Measure
    from simdeploy.scenario.parts import Costs

REGRET = {
    **INTERVAL,
    "n": "int64",
    "is_trusted": "bool",
    **interval_columns("regret"),
    "is_best": "bool",
    "unknown_fraction": "float64",
    "verdict": "str",
}
SUMMARY = {
    **interval_columns("max_regret"),
    **interval_columns("mean_regret"),
    "worst_world": "str",
    "n_worlds": "int64",
    **floats("met_fraction", "not_met_fraction", "undecided_fraction"),
    "regret_verdict": "str",
}


def read_values(
    responses: pd.DataFrame | Batches, measures: Sequence[Measure], costs: Costs | Mapping[str, Costs] | None
) -> tuple[list[tuple[Values, np.ndarray]], dict[str, Any]]:
    """Return the values under each scenario's costs with the cases to which they apply, and the costs used."""
    costs = find_costs(responses, costs)
    if not isinstance(costs, Mapping):
        values = Values(responses, measures, costs=costs)
        return [(values, np.arange(len(values.cases)))], values.counted_under
    scenarios = Values(responses, ()).cases.get("scenario")
    names = [] if scenarios is None else scenarios.tolist()
    missing = [name for name in dict.fromkeys(names) if name not in costs]
    if missing or not names:
        hint = nearest(missing[0], costs) if missing else None
        found = ", ".join(missing) or "no column `scenario`"
        raise InputError(Problem("a scenario has no costs", ("costs",), found=found, hint=hint))
    costs = {name: costs[name] for name in dict.fromkeys(names)}
    counted_under = describe_costs(costs, measures)
    if counted_under:
        _refuse_units(costs)
    parts = []
    for of_scenario in dict.fromkeys(costs.values()):
        rows = np.flatnonzero([costs[name] == of_scenario for name in names])
        parts.append((Values(responses, measures, costs=of_scenario), rows))
    return parts, counted_under


def _refuse_units(costs: Mapping[str, Costs]) -> None:
    """Raise `InputError` for costs in several units (or some without unit), which can't be compared."""
    of_unit: dict[str, list[str]] = {}
    for name, of_scenario in costs.items():
        of_unit.setdefault(of_scenario.unit, []).append(name)
    if len(of_unit) > 1:
        message, hint = "the scenarios' costs have different units", "use one unit for all"
        found = "; ".join(f"{unit or 'no unit'} in {listed(names)}" for unit, names in of_unit.items())
        raise InputError(Problem(message, ("costs", "unit"), found=found, hint=hint))


def estimate_regrets(
    samples: Sequence[Sample],
    unknown: np.ndarray,
    worlds: Worlds,
    measure: Measure,
    direction: Direction,
    confidence_level: float,
) -> tuple[dict[str, Any], np.ndarray]:
    """Return the columns of the table of regrets, and simultaneous limits, shape (candidates, worlds, 6).

    `samples` has the values of each case: a sample of all candidates by world. The limits are followed by those that a
    verdict may rest on, and those that can be trusted.
    """
    n_candidates, n_worlds = worlds.case.shape
    regrets, bounds = (np.full((n_candidates, n_worlds, size), np.nan) for size in (7, 6))
    n_pairs = n_candidates * (n_candidates - 1) // 2
    for world in range(n_worlds):
        cases = worlds.case[:, world]
        if (unknown[cases] > 0).any():
            continue
        by_itself, together = (
            estimate_gaps(
                samples[world], measure, direction=direction, confidence_level=confidence_level, together=max(size, 1)
            )
            for size in (n_candidates - 1, n_pairs * n_worlds)
        )
        regrets[:, world] = largest_gaps(by_itself)
        bounds[:, world] = largest_gaps(together)[:, 1:]
    of_worlds = [estimate_cases(of_world, measure, confidence_level) for of_world in samples]
    estimates = [of_world[candidate] for candidate in range(n_candidates) for of_world in of_worlds]
    flat = regrets.reshape(-1, 7)
    columns = {
        **{
            name: [getattr(each, name) for each in estimates] for name in ("estimate", "low", "high", "n", "is_trusted")
        },
        **dict(zip(("regret", "regret_low", "regret_high"), flat.T, strict=False)),
        "regret_is_trusted": (flat[:, 1:3] == flat[:, 5:]).all(axis=1),
        "is_best": flat[:, 0] == 0,
    }
    return columns, bounds


def largest_gaps(gaps: Gaps) -> np.ndarray:
    """Return each candidate's regret with its interval: the largest gap to any other, 0 for the best.

    Further columns have the limits that a verdict may rest on, and those that can be trusted.
    """
    columns = []
    for gap in (getattr(gaps, field.name) for field in fields(gaps)):
        # A candidate isn't compared with itself. Another limit is NaN only if there are too few replications.
        others = gap.copy()
        np.fill_diagonal(others, 0.0)
        columns.append(np.maximum(others.max(axis=1), 0.0))
    return np.stack(columns, axis=1)


def summarize_candidates(regrets: pd.DataFrame, bounds: np.ndarray, worlds: Worlds) -> pd.DataFrame:
    """Return the table of candidates."""
    estimate = regrets["regret"].to_numpy().reshape(worlds.case.shape)
    verdicts = regrets["verdict"].to_numpy(object).reshape(worlds.case.shape)
    is_known = ~np.isnan(estimate).any(axis=0)
    columns: dict[str, Any] = {"n_worlds": is_known.sum()}
    missing = np.full(len(estimate), np.nan)
    ends = ("_low", "_high", "_sure_low", "_sure_high", "_trusted_low", "_trusted_high")
    for end, values in (("", estimate), *zip(ends, np.moveaxis(bounds, 2, 0), strict=True)):
        known = values[:, is_known]
        columns[f"max_regret{end}"] = known.max(axis=1) if is_known.any() else missing
        columns[f"mean_regret{end}"] = known.mean(axis=1) if is_known.any() else missing
    for how in ("max", "mean"):
        columns[f"{how}_regret_is_trusted"] = np.logical_and(
            *(columns[f"{how}_regret_{end}"] == columns[f"{how}_regret_trusted_{end}"] for end in ("low", "high"))
        )
    worst = np.where(is_known, estimate, -1).argmax(axis=1)
    columns["worst_world"] = [worlds.names[place] if is_known.any() else None for place in worst]
    for name, verdict in (("met", "met"), ("not_met", "not met"), ("undecided", "undecided")):
        share = (verdicts == verdict).mean(axis=1)
        columns[f"{name}_fraction"] = np.where((verdicts == "").all(axis=1), np.nan, share)
    frame = worlds.candidates.assign(**columns)
    frame = frame.sort_values(["max_regret", "mean_regret"], kind="stable", ignore_index=True)
    frame["regret_verdict"] = _judge(frame)
    return frame[[*worlds.candidates.columns, *SUMMARY]].astype(SUMMARY)


def _judge(candidates: pd.DataFrame) -> list[str | None]:
    """Compare each candidate's largest regret with the least, from the intervals of both."""
    least, others = candidates.iloc[0], candidates.iloc[1:]
    low = others["max_regret_sure_low"] - least["max_regret_sure_high"]
    high = others["max_regret_sure_high"] - least["max_regret_sure_low"]
    unknown = others["max_regret"].isna().to_numpy()
    return [None, *judge_difference(low.to_numpy(), high.to_numpy(), "min", unknown=unknown).tolist()]


@dataclass(frozen=True, eq=False)
class Worlds:
    """Candidates and worlds, one row each in the order of the cases: as text, and their columns.

    `case`, shape (candidates, worlds), is the case of a candidate in a world.
    """

    candidates: pd.DataFrame
    worlds: pd.DataFrame
    case: np.ndarray

    @property
    def names(self) -> list[str]:
        """Texts of the worlds."""
        return list(self.worlds["world"])

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each candidate in each world, the worlds fastest."""
        return self.candidates.merge(self.worlds, how="cross")


def find_worlds(cases: pd.DataFrame) -> Worlds:
    """Separate candidates from worlds in the cases of `Values`; `InputError` if a candidate is missing in a world.

    Examples
    --------
    >>> import pandas as pd
    >>> cases = pd.DataFrame({
    ...     "case": range(4), "scenario": "small", "policy": "waves",
    ...     "max_parallel": [1, 1, 2, 2], "scenario.fleet.nodes": [10, 20, 10, 20],
    ... })
    >>> worlds = find_worlds(cases)
    >>> worlds.candidates["candidate"].tolist(), worlds.names, worlds.case.tolist()
    (['max_parallel 1', 'max_parallel 2'], ['nodes 10', 'nodes 20'], [[0, 1], [2, 3]])
    """
    of_world = [name for name in map(str, cases) if name == "scenario" or name.startswith(FACTOR_PREFIX)]
    of_candidate = [name for name in map(str, cases) if name not in ("case", *of_world)]
    candidates, candidate = _distinct(cases, of_candidate, "candidate")
    worlds, world = _distinct(cases, of_world, "world")
    case = np.full((len(candidates), len(worlds)), -1)
    # If a design has a point twice, both cases have the same rollouts.
    case[candidate[::-1], world[::-1]] = np.arange(len(cases))[::-1]
    if (case < 0).any():
        row, column = np.argwhere(case < 0)[0]
        found = f"{candidates['candidate'][row]} in {worlds['world'][column]}"
        hint = 'vary policy and scenario keys with design="grid"'
        raise InputError(Problem("missing candidate in a world", found=found, hint=hint))
    return Worlds(candidates, worlds, case)


def _distinct(cases: pd.DataFrame, columns: Sequence[str], label: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the distinct values of some columns with a text for each, and the index of each case."""
    if not columns:
        import pandas as pd

        return pd.DataFrame({label: ["the world"]}), np.zeros(len(cases), np.int64)
    groups = cases.groupby(list(columns), sort=False, dropna=False)
    place = groups.ngroup().to_numpy()
    first = np.unique(place, return_index=True)[1]
    frame = cases.iloc[first][list(columns)].reset_index(drop=True)
    frame.insert(0, label, name_cases(frame))
    return frame, place
