"""The table of replications made ready for a comparison: checked, with the values of each quantity by policy."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.naming import name_cases
from simdeploy.analysis.asking.unknown import unknown_fractions
from simdeploy.errors import InputError, Problem, nearest
from simdeploy.experiments.gathering import NO_FACTORS, refuse_weights
from simdeploy.experiments.levers import FACTOR_PREFIX
from simdeploy.scenario.measures import Measure
from simdeploy.vocabulary import COSTS, RESPONSES, STATES, VERDICTS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from simdeploy.experiments.gathering import Batches
    from simdeploy.scenario.parts import Costs

# Categories whose levels are known, so that a level nobody saw is a proportion of 0 and not a missing row. The kind
# of release is left out: no policy has an influence on it.
LEVELS: dict[str, tuple[str, ...]] = {"state": STATES, "verdict": VERDICTS}


class Quantity(NamedTuple):
    """What is estimated: the mean of a response, or the proportion of one level of a category."""

    response: str
    level: str | None

    @property
    def measure(self) -> Measure:
        """The same as a measure."""
        return Measure(self.response if self.level is None else self.level)

    @property
    def is_rate(self) -> bool:
        """Whether its values are 1 and 0."""
        return self.level is not None


class Observations:
    """The replications of one scenario by policy.

    Parameters
    ----------
    responses : DataFrame
        As from `replicate`. Neither the order of the rows nor further columns matter.
    costs : Costs, optional
        The scenario's; with them `cost` and its causes are quantities, too.

    Attributes
    ----------
    policies : tuple of str
        In the order in which they first appear.
    quantities : tuple of Quantity
        What can be estimated, in the order of the responses.
    n_rows, n_failed : dict of str to int
        Replications of a policy, and those that failed and are left out of everything else.
    first : int
        The first replication of the values.
    """

    def __init__(self, responses: pd.DataFrame, costs: Costs | None = None) -> None:
        refuse_weights(responses.columns)
        _check(responses)
        names = [name for name in RESPONSES if name in responses]
        kept = [*(name for name in ("scenario", "status") if name in responses), *names]
        table = responses[["policy", "replication", *kept]].astype({"policy": "str"})
        self.quantities = tuple(
            Quantity(name, level)
            for name in [*names, *(COSTS if costs is not None else ())]
            for level in LEVELS.get(name, (None,))
            if name in LEVELS or RESPONSES.get(name) != "str"
        )
        values = Values(table, [quantity.measure for quantity in self.quantities], costs=costs)
        self.policies = tuple(values.cases["policy"])
        self.first = values.first
        self.n_rows = _count(table["policy"], self.policies)
        failed = table["policy"][table["status"].eq("failed")] if "status" in table else table["policy"][:0]
        self.n_failed = _count(failed, self.policies)
        self._measured = values
        # The last one is asked for several times in a row: by its estimates, differences, pairs.
        self._of = lru_cache(maxsize=2)(values.of)

    def values(self, quantity: Quantity) -> np.ndarray:
        """Return the values of a quantity, by policy and replication, NaN where there is none.

        Of a category they are 1 where it has the level, else 0.
        """
        return self._of(quantity.measure)

    def unknown_fractions(self, quantity: Quantity) -> np.ndarray:
        """Return by policy of how many rollouts a quantity is unknown, since they never end."""
        return unknown_fractions(self._measured, quantity.measure)


def read_table(responses: pd.DataFrame | Batches) -> pd.DataFrame:
    """Return the rows of a table of replications; where there are several cases of a policy, each is one by itself.

    Parameters
    ----------
    responses : DataFrame, SweepResult or StoredTable

    Returns
    -------
    DataFrame
        In which `policy` has the name of the case, as in the summary of a grid, if policies have several.

    Raises
    ------
    InputError
        If the cases differ in something else than the policy.
    """
    import pandas as pd

    refuse_weights(responses.columns)
    if not isinstance(responses, pd.DataFrame):
        responses = pd.concat(responses.batches(list(responses.columns)), ignore_index=True)
    if "case" not in responses or "policy" not in responses:
        return responses
    keys = [name for name in map(str, responses) if name not in NO_FACTORS and name != "case"]
    cases = responses.drop_duplicates("case")[["case", *keys]]
    if cases["policy"].is_unique:
        return responses
    of_world = [name for name in keys if name == "scenario" or name.startswith(FACTOR_PREFIX)]
    varied = [name for name in of_world if cases[name].nunique(dropna=False) > 1]
    if varied:
        hint = "give the rows of one world, or compare policies over worlds with `estimate_regret`"
        raise InputError(
            Problem("policies are compared in one world", ("responses",), found=", ".join(varied), hint=hint)
        )
    named = name_cases(cases, [name for name in keys if name not in of_world])
    return responses.assign(policy=responses["case"].map(dict(zip(cases["case"], named, strict=True))))


def _count(column: pd.Series, policies: tuple[str, ...]) -> dict[str, int]:
    counts = column.value_counts()
    return {policy: int(counts.get(policy, 0)) for policy in policies}


def _check(responses: pd.DataFrame) -> None:
    problems = [
        Problem("a table of replications has this column", path=(name,), hint=nearest(name, responses.columns))
        for name in ("policy", "replication")
        if name not in responses
    ]
    for name, levels in LEVELS.items():
        strange = set() if name not in responses else set(responses[name].dropna().unique()) - set(levels)
        if strange:
            found = ", ".join(sorted(map(str, strange)))
            problems.append(Problem("unknown level", path=(name,), found=found, allowed=", ".join(levels)))
    if problems:
        raise InputError(problems)
