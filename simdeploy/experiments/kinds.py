"""Worlds by kind of release: each kind is simulated separately, because the kinds' probabilities are known."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.errors import InputError, catch_warned
from simdeploy.experiments.arguments import MOST_REPLICATIONS
from simdeploy.experiments.levers import FACTOR_PREFIX
from simdeploy.scenario.measures import ON_STOPPED, find_subject

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.scenario import Scenario

_RELEASE = f"{FACTOR_PREFIX}release"

# Decimal digits of a probability; smaller differences may be rounding errors.
_DIGITS = 12


@dataclass(frozen=True, eq=False)
class Kinds:
    """The kinds of release of a table, and the worlds of each.

    Kind number k has replications k * `span` + 0, 1, 2, ..., so that no two kinds share a world.

    Examples
    --------
    >>> kinds = Kinds(("good", "bad"), (False, True), np.array([0.9, 0.1]))
    >>> kinds.worlds("bad", range(2))
    range(2147483648, 2147483650)
    """

    names: tuple[str, ...]  # all kinds of the release, in the scenario's order
    are_defective: tuple[bool, ...]
    probabilities: np.ndarray  # float, shape (kinds,) or (cases, kinds)
    # float, shape (cases, kinds), or None: the probability that a rollout is stopped, given the kind of release; NaN if it
    # isn't known without simulation, None if that holds everywhere.
    stopped: np.ndarray | None = None
    policies: tuple[str, ...] = ()  # the policy of each case, if policies identify the cases

    @property
    def span(self) -> int:
        """The number of possible worlds of each kind."""
        return MOST_REPLICATIONS // len(self.names)

    @cached_property
    def possible(self) -> tuple[str, ...]:
        """The kinds that occur."""
        occurs = np.atleast_2d(self.probabilities).max(axis=0) > 0
        return tuple(name for name, is_possible in zip(self.names, occurs.tolist(), strict=True) if is_possible)

    def worlds(self, kind: str, numbers: range) -> range:
        """Return the replications that are a kind's worlds with these numbers, from 0."""
        first = self.names.index(kind) * self.span
        return range(first + numbers.start, first + numbers.stop)

    def divide(self, replications: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the stratum (one of the kinds that occur) of each replication, and the probabilities of the strata."""
        places = [self.names.index(name) for name in self.possible]
        return np.searchsorted(places, replications // self.span), self.probabilities[..., places]

    def verdict_rates(self, verdict: str) -> np.ndarray | None:
        """Return the probability of a verdict by case and by kind that occurs; NaN where unknown."""
        if self.stopped is None:
            return None
        places = [self.names.index(name) for name in self.possible]
        rates = self.stopped[:, places] if verdict in ON_STOPPED else 1 - self.stopped[:, places]
        is_possible = [self.allows(verdict, name) for name in self.possible]
        return np.where(is_possible, np.round(rates, _DIGITS), 0.0)

    def of_cases(self, cases: pd.DataFrame) -> Kinds:
        """Return the kinds of some cases of a table, in their order."""
        probabilities, stopped = self.probabilities, self.stopped
        if "case" in cases:
            rows = cases["case"].to_numpy()
            probabilities = probabilities if probabilities.ndim == 1 else probabilities[rows]
            return replace(self, probabilities=probabilities, stopped=None if stopped is None else stopped[rows])
        if probabilities.ndim == 2:
            probabilities = np.resize(probabilities[0], (len(cases), len(self.names)))
        if stopped is not None:
            known = dict(zip(self.policies, stopped, strict=True))
            unknown = np.full(len(self.names), np.nan)
            stopped = np.array([known.get(policy, unknown) for policy in cases["policy"]])
        return replace(self, probabilities=probabilities, stopped=stopped)

    def allows(self, event: str | None, name: str) -> bool:
        """Return whether an event may happen in a rollout of a kind; always true for None.

        Examples
        --------
        >>> kinds = Kinds(("fine", "bad"), (False, True), np.array([0.5, 0.5]))
        >>> [kinds.allows(event, "fine") for event in ("escaped", "completed", "bad")]
        [False, True, False]
        """
        subject = find_subject(event, self.names)
        return subject is None or subject in (name, self.are_defective[self.names.index(name)])

    def to_attrs(self) -> dict[str, Any]:
        """Return the kinds as attributes of a table."""
        attrs: dict[str, Any] = {
            "names": list(self.names),
            "are_defective": list(self.are_defective),
            "probabilities": self.probabilities.tolist(),
        }
        if self.stopped is not None:
            # None instead of NaN, which would make a table unequal to itself.
            stopped = [[None if math.isnan(p) else p for p in of_case] for of_case in self.stopped.tolist()]
            attrs["stopped"] = dict(zip(self.policies, stopped, strict=True)) if self.policies else stopped
        return attrs

    @classmethod
    def from_attrs(cls, attrs: Mapping[Any, Any]) -> Kinds | None:
        """Return the kinds from the attributes of a table; None if it has none."""
        recorded = attrs.get("release")
        if recorded is None:
            return None
        probabilities, stopped = np.array(recorded["probabilities"], float), recorded.get("stopped")
        policies = tuple(stopped) if isinstance(stopped, Mapping) else ()
        rows = list(stopped.values()) if isinstance(stopped, Mapping) else stopped
        return cls(
            tuple(recorded["names"]),
            tuple(recorded["are_defective"]),
            probabilities,
            None if rows is None else np.array(rows, float),
            policies,
        )


def is_divided(responses: Any) -> bool:
    """Return whether the worlds of a table are divided by kind of release only."""
    attrs = getattr(responses, "attrs", {})
    return attrs.get("strata") == "kinds" and "tilt" not in attrs


def kinds_of(scenario: Scenario) -> Kinds:
    """Return the kinds of release of a scenario."""
    probabilities = np.array([float(kind.probability) for kind in scenario.release])
    names = tuple(kind.name for kind in scenario.release)
    return Kinds(names, tuple(kind.defective for kind in scenario.release), probabilities)


def find_kinds(scenario: Scenario, cases: pd.DataFrame) -> Kinds | None:
    """Return the kinds of release of a sweep, with probabilities by case if these vary; None if kinds differ between cases."""
    kinds = kinds_of(scenario)
    varied = [name for name in cases.columns if is_of_release(name)]
    if not varied:
        return kinds
    bare = scenario.given(None)
    by_case = np.zeros((len(cases), len(kinds.names)))  # an impossible case has no release
    for values, rows in cases.groupby(varied, dropna=False, sort=False).indices.items():
        changed = dict(zip(varied, values if isinstance(values, tuple) else (values,), strict=True))
        with catch_warned():
            try:
                values_of = {name.removeprefix(FACTOR_PREFIX): _value(value) for name, value in changed.items()}
                case = bare.with_values(balance(values_of, bare))
            except InputError:
                continue
        of_case = kinds_of(case)
        if (of_case.names, of_case.are_defective) != (kinds.names, kinds.are_defective):
            return None
        by_case[rows] = of_case.probabilities
    # If no case is possible, the check of the cases says why.
    return replace(kinds, probabilities=by_case) if by_case.any() else kinds


def balance(changes: Mapping[str, Any], scenario: Scenario) -> dict[str, Any]:
    """Add to changes of a scenario's values the probabilities of unchanged kinds, which share the rest in their old ratio.

    Examples
    --------
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "one-node",
    ...     "fleet": {"nodes": 1, "update_duration": "1m"},
    ...     "release": {"good": {"probability": 0.75}, "bad": {"probability": 0.25, "defective": True}},
    ...     "policies": {"p": {"strategy": "immediate"}},
    ... })
    >>> balance({"release.bad.probability": 0.5}, scenario)
    {'release.good.probability': 0.5, 'release.bad.probability': 0.5}
    """
    paths = {f"release.{kind.name}.probability": kind for kind in scenario.release}
    moved = {path: changes[path] for path in paths if path in changes}
    if not moved or not all(isinstance(value, int | float) and 0 <= value <= 1 for value in moved.values()):
        return dict(changes)
    kept = {path: float(kind.probability) for path, kind in paths.items() if path not in moved}
    left, before = max(0, 1 - sum(moved.values())), sum(kept.values())
    if not kept:
        return dict(changes)
    shares = {path: left * (share / before if before else 1 / len(kept)) for path, share in kept.items()}
    return {**shares, **changes}


def is_of_release(name: str) -> bool:
    """Return whether a varied key may change the kinds of release or their probabilities."""
    return name == _RELEASE or name.startswith(f"{_RELEASE}.")


def _value(cell: Any) -> Any:
    """Return a value from a table of cases, in which mappings are text."""
    is_group = isinstance(cell, str) and cell.startswith("{")
    return json.loads(cell) if is_group else cell
