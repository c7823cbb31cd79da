"""All cases on all engines, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from simdeploy.analysis.frames import make_frame
from simdeploy.engines.choice import ENGINES
from simdeploy.errors import InputError, Problem, nearest, shorten
from simdeploy.experiments.arguments import Progress, as_reporter, check_numbers
from simdeploy.result import Columns, Result
from simdeploy.validation.verification.case import Case
from simdeploy.validation.verification.comparing import WITHIN, compare_case, compare_engines, simulate_case
from simdeploy.validation.verification.gates import gates
from simdeploy.validation.verification.rules import limits, pacing, windows
from simdeploy.validation.verification.world import canaries, service

if TYPE_CHECKING:
    import pandas as pd

_COMPARISON = {
    "case": "str",
    "quantity": "str",
    "oracle": "str",
    "engine": "str",
    "closed_form": "float64",
    "estimate": "float64",
    "standard_error": "float64",
    "distance": "float64",
    "rollouts": "int64",
    "ok": "boolean",
    "note": "str",
}
_AGREEMENT = {"case": "str", "rollouts": "int64", "different": "int64", "ok": "boolean", "note": "str"}
# The compiled engine does as many in a tenth of the time, which find errors a seventh of the size.
_TIMES_COMPILED = 50
# Standard errors mean what they say only where a mean is nearly normal.
FEWEST = 100


@dataclass(frozen=True, eq=False, repr=False)
class Verification(Result):
    """What `verify` found.

    Attributes
    ----------
    comparisons : DataFrame
        One row per quantity and engine: `case`, `quantity`, the functions of `simdeploy.validation.oracles` that are held
        (`oracle`), `engine`, `closed_form`, `estimate`, `standard_error`, `distance` (in standard errors), `rollouts`,
        `ok` (missing if the engine could not be tried), and what else is to be said (`note`).
    agreement : DataFrame
        One row per case: how many `rollouts` of it both engines simulated, in how many of them any response is `different`
        (`ok` if in none, missing if an engine could not be tried), and the first difference (`note`).
    is_ok : bool
        Whether nothing that was tried is wrong.
    false_alarm_probability : float
        That any comparison fails although all is well: at most about this.
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

    def to_frame(self) -> pd.DataFrame:
        """Return `comparisons`."""
        return self.comparisons


def verify(
    *,
    replications: int = 200,
    seed: int = 0,
    engines: str | Sequence[str] = ("compiled", "reference"),
    progress: bool | Progress = False,
) -> Verification:
    r"""Hold the engines against the closed forms of `simdeploy.validation.oracles`, and against each other.

    Parameters
    ----------
    replications : int
        Rollouts of each case on the reference engine, 100 at least; the compiled one does 50 times as many.
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
        If an argument makes no sense.

    Notes
    -----
    Each mean must lie within 4 standard errors of the closed form, which it misses by chance with probability
    :math:`2 \Phi(-4) \approx 6.3 \cdot 10^{-5}` by the central limit theorem (the standard error of a rate is that of the
    closed form); `false_alarm_probability` is that times
    the number of comparisons of means that vary (Boole's inequality). What doesn't vary must be exact, to :math:`10^{-9}`.
    In rollouts that both engines simulated, words and whole numbers must be equal and other numbers to :math:`10^{-9}`.

    About ten seconds, nearly all of them the reference engine's. An engine that can't be loaded is said so in its rows; one
    that breaks down is wrong.

    Examples
    --------
    >>> found = verify(replications=100, engines="compiled")
    >>> found.is_ok, len(found.comparisons)
    (True, 39)
    """
    names = _check_engines(engines)
    check_numbers(replications=replications, seed=seed, engine="auto")
    if replications < FEWEST:
        allowed = f"{FEWEST} or more"
        found = str(replications)
        raise InputError(Problem("too few for the normal law", ("replications",), found=found, allowed=allowed))
    report = as_reporter(progress)
    comparisons: list[dict[str, Any]] = []
    agreement: list[dict[str, Any]] = []
    cases = make_cases()
    for place, case in enumerate(cases):
        # Quantities of one scenario stand together, and take it from the same rollouts.
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
    return (*pacing(), *limits(), *windows(), *gates(), *canaries(), *service())


def _check_engines(engines: str | Sequence[str]) -> list[str]:
    known = [name for name in ENGINES if name != "auto"]
    asked = [engines] if isinstance(engines, str) else list(dict.fromkeys(engines))
    allowed = ", ".join(known)
    problems = [
        Problem("no such engine", ("engines",), found=shorten(name), allowed=allowed, hint=nearest(name, known))
        for name in asked
        if name not in known
    ]
    if not asked:
        problems.append(Problem("no engine to verify", ("engines",), allowed=allowed))
    if problems:
        raise InputError(problems)
    return asked
