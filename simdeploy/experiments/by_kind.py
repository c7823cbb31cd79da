"""Sweeps with separate worlds for each kind of release, joined into one table with weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from simdeploy.experiments.arguments import find_bases
from simdeploy.experiments.case_table import CaseTable
from simdeploy.experiments.cases import Shared
from simdeploy.experiments.design import Design, count_points, keep_values, make_points
from simdeploy.experiments.kinds import Kinds, find_kinds, is_divided, is_of_release, kinds_of
from simdeploy.experiments.levers import find_levers
from simdeploy.experiments.result import SweepResult
from simdeploy.experiments.rows import Rows, RowsInMemory, sort_rows
from simdeploy.experiments.store import place_within
from simdeploy.experiments.store.folder import Folder
from simdeploy.experiments.store.manifest import read_manifest
from simdeploy.experiments.table import Outcomes
from simdeploy.units import is_whole
from simdeploy.vocabulary import WEIGHT

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.campaign import Campaign
    from simdeploy.scenario import Scenario

# Names of the folders of kinds in the store of a sweep; in that of several sweeps, after the name of each.
OF_ONE_SWEEP = r"kind-\d{2,}"
FOLDERS = rf"(.+-|){OF_ONE_SWEEP}"


@dataclass(frozen=True)
class RowsByKind:
    """Rows of several kinds, with weights."""

    parts: tuple[tuple[str, range, Rows], ...]  # kind, its replications, rows
    kinds: Kinds
    is_tilted: bool  # whether the rows already have weights from a tilt

    def to_frame(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return some columns of all rows, by case, then by replication."""
        return sort_rows(self, columns)

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield some columns in parts."""
        needed = [name for name in dict.fromkeys([*columns, "case"]) if name != WEIGHT or self.is_tilted]
        for kind, _, rows in self.parts:
            for batch in rows.batches(needed):
                if WEIGHT in columns:
                    weights = self._weights(kind)
                    self._weigh(batch, weights[batch["case"].to_numpy()] if weights.ndim else float(weights))
                yield batch[list(columns)]

    def to_outcomes(self, columns: Sequence[str]) -> Outcomes:
        """Return some columns of rows in memory, by case and replication."""
        return Outcomes.join([rows.to_outcomes(columns) for _, _, rows in self.parts if isinstance(rows, RowsInMemory)])

    def to_replications(self, columns: Sequence[str], keys: Mapping[str, Sequence[str]]) -> pd.DataFrame:
        """Return some columns of rows in memory, by case, then by replication; `keys` have a value for each case."""
        outcomes = self.to_outcomes([name for name in columns if name != WEIGHT or self.is_tilted])
        n_cases, _ = outcomes.shape
        frame = outcomes.to_frame(keys)
        if WEIGHT in columns:
            weights = [np.full((len(worlds), n_cases), self._weights(kind)) for kind, worlds, _ in self.parts]
            self._weigh(frame, np.concatenate(weights).T.ravel())
        return frame[list(columns)]

    def _weigh(self, frame: pd.DataFrame, of_rows: np.ndarray | float) -> None:
        frame[WEIGHT] = of_rows * frame[WEIGHT] if self.is_tilted else of_rows

    def _weights(self, kind: str) -> np.ndarray:
        """Return the weight of a world of a kind, by case if probabilities differ; the mean of all weights is 1."""
        n = sum(len(worlds) for _, worlds, _ in self.parts)
        n_of_kind = sum(len(worlds) for name, worlds, _ in self.parts if name == kind)
        weights: np.ndarray = self.kinds.probabilities[..., self.kinds.names.index(kind)] * n / n_of_kind
        return weights


def are_in_memory(rows: Rows) -> TypeGuard[RowsInMemory | RowsByKind]:
    """Return whether all rows are in memory, so that they can be converted to outcomes."""
    parts = [of for _, _, of in rows.parts] if isinstance(rows, RowsByKind) else [rows]
    return all(isinstance(of, RowsInMemory) for of in parts)


def count_worlds(responses: SweepResult | pd.DataFrame) -> dict[str, int]:
    """Return the number of worlds of each kind of release in a table of `sweep` or `replicate`; empty if kinds are drawn."""
    kinds = Kinds.from_attrs(responses.attrs)
    if kinds is None or not is_divided(responses):
        return {}
    if isinstance(responses, SweepResult):
        parts = responses._rows.parts if isinstance(responses._rows, RowsByKind) else ()  # noqa: SLF001
        return {name: sum(len(worlds) for kind, worlds, _ in parts if kind == name) for name in kinds.possible}
    strata, _ = kinds.divide(responses["replication"].unique())
    counts = np.bincount(strata, minlength=len(kinds.possible))
    return dict(zip(kinds.possible, counts.tolist(), strict=True))


def kinds_of_sweep(
    scenario: Scenario,
    policies: Mapping[str, Any],
    *,
    vary: Mapping[str, Iterable[Any]] | None,
    design: Design,
    seed: int,
) -> Kinds | None:
    """Return the kinds of release of a sweep before it is simulated; None if its cases have different kinds."""
    bases = find_bases({scenario.name: scenario}, policies)
    levers = find_levers(vary or {}, [scenario], [base.spec for base in bases.values()])
    if not any(is_of_release(lever.name) for lever in levers):
        return kinds_of(scenario)
    points = make_points(levers, list((vary or {}).values()), design, seed=seed)
    return find_kinds(scenario, CaseTable((scenario.name,), tuple(policies), points, is_weighted=False).to_frame())


def sweep_kinds(
    campaign: Campaign,
    scenario: Scenario,
    policies: Mapping[str, Any],
    worlds: Mapping[str, range],
    *,
    part: str | None = None,
    vary: Mapping[str, Iterable[Any]] | None = None,
    design: Design = "grid",
    shared: Shared | None = None,
    n_planned: int | None = None,
) -> SweepResult:
    """Simulate a sweep with separate worlds for each kind of release; `worlds` are their numbers, from 0.

    With a store, each kind has a folder. `shared` has what sweeps of the same cases in other worlds have in common. A pilot's
    `n_planned` is the number of all worlds, including those that follow it.
    """
    kinds = kinds_of(scenario)
    prefix = "" if part is None else f"{part}-"
    vary = keep_values(vary)
    campaign.expect_more(len(policies) * count_points(vary, design) * sum(map(len, worlds.values())))
    parts = []
    shared = Shared() if shared is None else shared
    for kind, numbers in worlds.items():
        result = campaign.sweep(
            {scenario.name: scenario.given(kind)},
            policies,
            part=f"{prefix}kind-{kinds.names.index(kind):02d}",
            vary=vary,
            design=design,
            replications=kinds.worlds(kind, numbers),
            shared=shared,
            worlds=worlds,
            n_planned=n_planned,
        )
        parts.append((kind, kinds.worlds(kind, numbers), result))
    first = parts[0][2]
    of_cases = Kinds.from_attrs(first.attrs)
    assert of_cases is not None  # noqa: S101 - cases with other kinds were refused
    stopped = {kind: result._stopped for kind, _, result in parts}  # noqa: SLF001 - of this package
    of_cases = with_stop_chances(of_cases, stopped, () if first.factors else tuple(first.cases["policy"]))
    rows = [(kind, numbers, result._rows) for kind, numbers, result in parts]  # noqa: SLF001
    return _assemble(first, rows, of_cases, campaign.store)


def read_division(store: Path | None, part: str) -> dict[str, range] | None:
    """Return the worlds of each kind as recorded when a part of a store was begun; None if it wasn't begun."""
    places = sorted(store.glob(f"{part}-kind-*")) if store is not None else []
    for place in places:
        manifest = read_manifest(Folder(place_within(place.parent, place.name)))
        worlds = {} if manifest is None else manifest["question"].get("worlds", {})
        if worlds and all(len(ends) == 2 and all(map(is_whole, ends)) for ends in worlds.values()):
            return {kind: range(*ends) for kind, ends in worlds.items()}
    return None


def with_stop_chances(kinds: Kinds, stopped: Mapping[str, Any], policies: tuple[str, ...]) -> Kinds:
    """Return the kinds with each kind's probability that a rollout is stopped, by case; `policies` identify the cases."""
    by_case = np.full((max(map(len, stopped.values())), len(kinds.names)), np.nan)
    for kind, chances in stopped.items():
        by_case[:, kinds.names.index(kind)] = chances
    return kinds if np.isnan(by_case).all() else replace(kinds, stopped=by_case, policies=policies)


def with_weight(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of a table, with weights if it has none."""
    return columns if WEIGHT in columns else (*columns[:-3], WEIGHT, *columns[-3:])


def join_kinds(results: Sequence[SweepResult]) -> SweepResult:
    """Join results of the same sweep by kinds in different worlds."""
    rows = [result._rows for result in results]  # noqa: SLF001 - of this package
    parts = [part for of_result in rows if isinstance(of_result, RowsByKind) for part in of_result.parts]
    kinds = next(of_result.kinds for of_result in rows if isinstance(of_result, RowsByKind))
    joined = _assemble(results[0], parts, kinds, results[0].store)
    return replace(joined, attrs={**joined.attrs, "engine": name_engines(results)})


def name_engines(results: Iterable[SweepResult]) -> str:
    """Name the engines of several results; small ones may have used another engine."""
    return " and ".join(dict.fromkeys(str(result.attrs["engine"]) for result in results))


def _assemble(first: SweepResult, parts: Sequence[tuple[str, range, Rows]], kinds: Kinds, store: Any) -> SweepResult:
    # Sort by kind, so that the table does not depend on the order of simulation.
    ordered = sorted(parts, key=lambda part: part[1].start)
    return replace(
        first,
        replications=sum(len(worlds) for _, worlds, _ in parts),
        columns=with_weight(first.columns),
        store=store,
        attrs={**first.attrs, "strata": "kinds", "release": kinds.to_attrs()},
        _rows=RowsByKind(tuple(ordered), kinds, is_tilted="tilt" in first.attrs),
    )
