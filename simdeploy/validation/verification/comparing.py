"""One case on one engine, held against its closed form; and on two engines, held against each other."""

from __future__ import annotations

import math
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.experiments.replication import replicate
from simdeploy.scenario import Scenario
from simdeploy.statistics.estimators import moments
from simdeploy.vocabulary import RESPONSES

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.validation.verification.case import Case

# Standard errors.
WITHIN = 4.0
_EQUAL = 1e-9
_NOT_THERE = "numba is not installed"


def simulate_case(case: Case, engine: str, replications: int, seed: int) -> pd.DataFrame | str:
    """Return the table of a case, or why there is none: an engine that breaks down is a finding, and no traceback."""
    if engine == "compiled" and find_spec("numba") is None:
        return _NOT_THERE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cases are suspicious on purpose, and what fails is told in the table
        scenario = Scenario.from_dict(case.scenario)
        try:
            return replicate(scenario, replications=replications, seed=seed, engine=engine)
        except Exception as error:  # noqa: BLE001 - whatever it is
            return " ".join(f"{type(error).__name__}: {error}".split())


def compare_case(case: Case, engine: str, table: pd.DataFrame | str) -> dict[str, Any]:
    """Return the row of `Verification.comparisons` for a case on an engine."""
    row: dict[str, Any] = {
        "case": case.name,
        "quantity": case.quantity,
        "oracle": ", ".join(case.oracles),
        "engine": engine,
        "closed_form": case.truth(),
        **dict.fromkeys(("estimate", "standard_error", "distance"), math.nan),
        "rollouts": 0,
    }
    if isinstance(table, str):
        return {**row, "ok": None if table == _NOT_THERE else False, "note": table}
    row["rollouts"] = len(table)
    failed = table[table["status"].eq("failed")]
    if len(failed):
        return {**row, "ok": False, "note": f"{len(failed):,} rollouts failed; the first: {failed['error'].iloc[0]}"}
    values, truth = case.take(table), row["closed_form"]
    estimate, standard_error = moments(values)
    if np.isin(values, (0, 1)).all():
        # That of the closed form: of a few successes the sample's own error is far too small.
        standard_error = math.sqrt(truth * (1 - truth) / len(values)) if 0 < truth < 1 else 0.0
    apart = abs(estimate - truth)
    exactly = 0.0 if apart <= _EQUAL * abs(truth) else math.inf
    distance = apart / standard_error if standard_error > 0 else exactly
    found = {"estimate": estimate, "standard_error": standard_error, "distance": distance}
    return {**row, **found, "ok": distance <= WITHIN, "note": ""}


def compare_engines(case: Case, one: pd.DataFrame | str, other: pd.DataFrame | str) -> dict[str, Any]:
    """Return the row of `Verification.agreement` for a case: the replications that both the reference engine (`one`) and
    the compiled one (`other`) simulated.
    """
    if isinstance(one, str) or isinstance(other, str):
        return {"case": case.name, "rollouts": 0, "different": 0, "ok": None, "note": ""}
    n = min(len(one), len(other))
    one, other = one.head(n), other.head(n)
    is_equal = {name: _are_equal(one[name], other[name], name) for name in (*RESPONSES, "status")}
    differs = ~np.logical_and.reduce(list(is_equal.values()))
    note = ""
    if differs.any():
        place = int(differs.argmax())
        name = next(name for name, equal in is_equal.items() if not equal[place])
        note = f"replication {place}, {name}: {one[name].iloc[place]} and {other[name].iloc[place]}"
    ok = not differs.any()
    return {"case": case.name, "rollouts": n, "different": int(differs.sum()), "ok": ok, "note": note}


def _are_equal(one: pd.Series[Any], other: pd.Series[Any], name: str) -> np.ndarray:
    """Compare a response of each replication: words and whole numbers exactly, and what is unknown is unknown to both."""
    is_unknown = one.isna().to_numpy(bool) & other.isna().to_numpy(bool)
    if RESPONSES.get(name) != "float64":
        equal: np.ndarray = is_unknown | one.eq(other).fillna(value=False).to_numpy(bool)
        return equal
    # An excess is a difference of two integrals over all nodes, and as exact as they are.
    tolerance = 1e-6 if name == "unavailable_excess_node_s" else 0.0
    values, others = one.to_numpy(np.float64), other.to_numpy(np.float64)
    close: np.ndarray = np.isclose(values, others, rtol=_EQUAL, atol=tolerance, equal_nan=True)
    return close
