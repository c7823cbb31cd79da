"""All cases on all engines, compared with closed forms and with each other."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from simdeploy.engines.choice import ENGINES, why_not_compiled
from simdeploy.errors import InputError, Problem, not_among, plural, raise_if_any
from simdeploy.experiments.arguments import MOST_REPLICATIONS, Progress, as_reporter, read_seed, whole_problems
from simdeploy.experiments.replication import replicate
from simdeploy.result import Columns, Result, floats, make_frame
from simdeploy.scenario import Scenario
from simdeploy.validation.verification.case import Case
from simdeploy.validation.verification.change_windows import change_windows
from simdeploy.validation.verification.gates import gates
from simdeploy.validation.verification.line import lines
from simdeploy.validation.verification.requests import requests
from simdeploy.validation.verification.rules import limits, pacing, reports, windows
from simdeploy.validation.verification.world import canaries, service
from simdeploy.vocabulary import RESPONSES

if TYPE_CHECKING:
    import pandas as pd

_COMPARISON = {
    "case": "str",
    "quantity": "str",
    "oracle": "str",
    "engine": "str",
    **floats("closed_form", "estimate", "standard_error", "distance"),
    "rollouts": "int64",
    "ok": "boolean",
    "note": "str",
}
_AGREEMENT = {"case": "str", "rollouts": "int64", "different": "int64", "ok": "boolean", "note": "str"}
# The compiled engine simulates this many times as many rollouts, in a tenth of the time: they detect errors a seventh as large.
_TIMES_COMPILED = 50
# Standard errors are reliable only if a mean is nearly normal.
FEWEST = 100

# Standard errors.
WITHIN = 4.0
_EQUAL = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class Verification(Result):
    """Result of `verify`.

    Attributes
    ----------
    comparisons : DataFrame
        One row per quantity and engine: `case`, `quantity`, the functions of `simdeploy.validation.oracles` that it is
        compared with (`oracle`), `engine`, `closed_form`, `estimate`, `standard_error`, `distance` (in standard
        errors), `rollouts`, `ok` (missing if the engine could not be tried), and `note`.
    agreement : DataFrame
        One row per case: `rollouts` that both engines simulated, in how many of them any response is `different` (`ok`
        if in none, missing if an engine could not be tried), and the first difference (`note`).
    is_ok : bool
        Whether everything that was tried is correct.
    false_alarm_probability : float
        Approximate upper bound of the probability that any comparison fails although the engines are correct.
    seed : int
    computed_under : dict
        Seed and replications.
    """

    comparisons: Annotated[pd.DataFrame, Columns(_COMPARISON)]
    agreement: Annotated[pd.DataFrame, Columns(_AGREEMENT)]
    is_ok: bool
    false_alarm_probability: float
    seed: int
    computed_under: Mapping[str, Any]


def verify(
    *,
    replications: int = 200,
    seed: int = 0,
    engines: str | Sequence[str] = ("compiled", "reference"),
    progress: bool | Progress = False,
) -> Verification:
    r"""Compare the engines with the closed forms of `simdeploy.validation.oracles`, and with each other.

    Parameters
    ----------
    replications : int
        Rollouts of each case on the reference engine, at least 100; the compiled one does 50 times as many.
    seed : int
    engines : sequence of {'compiled', 'reference'}
    progress : bool or callable
        As for `replicate`, in cases.

    Returns
    -------
    Verification

    Raises
    ------
    InputError
        If an argument is invalid.

    Notes
    -----
    Each mean must lie within 4 standard errors of the closed form (the standard error of a rate is that of the closed
    form). A correct engine fails this with probability :math:`2 \Phi(-4) \approx 6.3 \cdot 10^{-5}` by the central
    limit theorem; `false_alarm_probability` is that times the number of comparisons of means that vary (Boole's
    inequality). Constants must be exact to :math:`10^{-9}`. In rollouts that both engines simulated, words and whole
    numbers must be equal and other numbers equal to :math:`10^{-9}`.

    Takes about ten seconds, nearly all on the reference engine. An engine that can't be loaded is noted in its rows;
    one that crashes counts as wrong.

    Examples
    --------
    >>> found = verify(replications=100, engines="compiled")
    >>> found.is_ok, len(found.comparisons)
    (True, 56)
    """
    names = _check_engines(engines)
    seed = read_seed(seed)
    raise_if_any(whole_problems(0, MOST_REPLICATIONS, replications=replications))
    replications = int(replications)
    if replications < FEWEST:
        allowed = f"{FEWEST} or more"
        found = str(replications)
        raise InputError(
            Problem("too few for the normal approximation", ("replications",), found=found, allowed=allowed)
        )
    report = as_reporter(progress)
    comparisons: list[dict[str, Any]] = []
    agreement: list[dict[str, Any]] = []
    cases = make_cases()
    for place, case in enumerate(cases):
        # Quantities of one scenario are adjacent, and use the same rollouts.
        if place == 0 or case.name != cases[place - 1].name:
            n = {"reference": replications, "compiled": _TIMES_COMPILED * replications}
            tables = {name: simulate_case(case, name, n[name], seed) for name in names}
            if len(tables) == 2:
                agreement.append(compare_engines(case, tables["reference"], tables["compiled"]))
        comparisons += [compare_case(case, name, table) for name, table in tables.items()]
        if report is not None:
            report(place + 1, len(cases))
    n_chances = sum(row["standard_error"] > 0 for row in comparisons)
    compared, agreed = make_frame(comparisons, _COMPARISON), make_frame(agreement, _AGREEMENT)
    return Verification(
        comparisons=compared,
        agreement=agreed,
        is_ok=not any(frame["ok"].eq(other=False).any() for frame in (compared, agreed)),
        false_alarm_probability=n_chances * math.erfc(WITHIN / math.sqrt(2)),
        seed=seed,
        computed_under={"seed": seed, "replications": replications},
    )


def make_cases() -> tuple[Case, ...]:
    """Return all cases, by subject."""
    return (
        *pacing(),
        *limits(),
        *windows(),
        *gates(),
        *canaries(),
        *service(),
        *change_windows(),
        *lines(),
        *reports(),
        *requests(),
    )


def _check_engines(engines: str | Sequence[str]) -> list[str]:
    known = [name for name in ENGINES if name != "auto"]
    asked = [engines] if isinstance(engines, str) else list(dict.fromkeys(engines))
    problems = [not_among("no such engine", ("engines",), name, known) for name in asked if name not in known]
    if not asked:
        problems.append(Problem("no engine to verify", ("engines",), allowed=", ".join(known)))
    raise_if_any(problems)
    return asked


def simulate_case(case: Case, engine: str, replications: int, seed: int) -> pd.DataFrame | str:
    """Return the table of a case, or why there is none: a crash of an engine is a finding, not a traceback."""
    if engine == "compiled" and (why := why_not_compiled()) is not None:
        return why.message
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cases are unusual on purpose, and failures are in the table
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
        is_missing = engine == "compiled" and why_not_compiled() is not None
        return {**row, "ok": None if is_missing else False, "note": table}
    row["rollouts"] = len(table)
    failed = table[table["status"].eq("failed")]
    if len(failed):
        return {
            **row,
            "ok": False,
            "note": f"{plural(len(failed), 'rollout')} failed; the first: {failed['error'].iloc[0]}",
        }
    values, truth = case.take(table), row["closed_form"]
    # Relative to the first value, so that constant observations have an error of exactly 0.
    off = values - values[0]
    estimate, standard_error = float(values[0] + off.mean()), math.sqrt(off.var(ddof=1) / len(values))
    if np.isin(values, (0, 1)).all():
        # From the closed form, because with few successes the sample's standard error is far too small.
        standard_error = math.sqrt(truth * (1 - truth) / len(values)) if 0 < truth < 1 else 0.0
    apart = abs(estimate - truth)
    exactly = 0.0 if apart <= _EQUAL * abs(truth) else math.inf
    distance = apart / standard_error if standard_error > 0 else exactly
    estimated = {"estimate": estimate, "standard_error": standard_error, "distance": distance}
    return {**row, **estimated, "ok": distance <= WITHIN, "note": ""}


def compare_engines(case: Case, first: pd.DataFrame | str, second: pd.DataFrame | str) -> dict[str, Any]:
    """Return the row of `Verification.agreement` for a case.

    Compares the replications that both the reference engine (`one`) and the compiled one (`other`) simulated.
    """
    if isinstance(first, str) or isinstance(second, str):
        return {"case": case.name, "rollouts": 0, "different": 0, "ok": None, "note": ""}
    n = min(len(first), len(second))
    first, second = first.head(n), second.head(n)
    is_equal = {name: _are_equal(first[name], second[name], name) for name in (*RESPONSES, "status")}
    differs = ~np.logical_and.reduce(list(is_equal.values()))
    note = ""
    if differs.any():
        place = int(differs.argmax())
        name = next(name for name, equal in is_equal.items() if not equal[place])
        note = f"replication {place}, {name}: {first[name].iloc[place]} and {second[name].iloc[place]}"
    ok = not differs.any()
    return {"case": case.name, "rollouts": n, "different": int(differs.sum()), "ok": ok, "note": note}


def _are_equal(first: pd.Series[Any], second: pd.Series[Any], name: str) -> np.ndarray:
    """Compare a response of each replication: words and whole numbers exactly; unknown values must be unknown in both."""
    is_unknown = first.isna().to_numpy(bool) & second.isna().to_numpy(bool)
    if RESPONSES.get(name) != "float64":
        return is_unknown | first.eq(second).fillna(value=False).to_numpy(bool)
    # An excess is a difference of two integrals over all nodes, with their rounding errors.
    tolerance = 1e-6 if name == "unavailable_excess_node_s" else 0.0
    values, others = first.to_numpy(np.float64), second.to_numpy(np.float64)
    close: np.ndarray = np.isclose(values, others, rtol=_EQUAL, atol=tolerance, equal_nan=True)
    return close
