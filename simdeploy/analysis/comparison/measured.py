"""What is compared: every response of a table of replications, and every level of its categories."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.naming import name_cases
from simdeploy.errors import InputError, Problem, raise_if_any
from simdeploy.experiments.gathering import NO_FACTORS, Batches, missing_columns, refuse_others, refuse_weights
from simdeploy.experiments.kinds import is_divided
from simdeploy.experiments.levers import FACTOR_PREFIX
from simdeploy.scenario.measures import Measure
from simdeploy.vocabulary import COSTS, RESPONSES, STATES, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from simdeploy.scenario.parts import Costs

# Categories with known levels, so a level that never occurs has proportion 0 instead of a missing row. The kind
# of release is left out because no policy affects it.
LEVELS: dict[str, tuple[str, ...]] = {"state": STATES, "verdict": VERDICTS}
# Only good releases have false alarms, only defective ones escape.
_KINDS = {"completed_good": "good", "false_alarm": "good", "stopped_defective": "defective", "escaped": "defective"}


def read_table(responses: pd.DataFrame | Batches) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the rows of a table of replications, and the name in the scenario of each policy in it.

    Each case counts as a policy if a policy has several: `policy` then holds the name of the case, as in the summary of
    a grid. Raises `InputError` if the cases differ in anything but the policy.
    """
    import pandas as pd

    refuse_others(responses)
    _refuse_weights(responses)
    if not isinstance(responses, pd.DataFrame):
        attrs = getattr(responses, "attrs", {})
        responses = pd.concat(responses.batches(list(responses.columns)), ignore_index=True)
        responses.attrs = dict(attrs)
    names = responses["policy"].drop_duplicates().astype("str") if "policy" in responses else ()
    owners = dict(zip(names, names, strict=True))
    if "case" not in responses or "policy" not in responses:
        return responses, owners
    keys = [name for name in map(str, responses) if name not in NO_FACTORS and name != "case"]
    cases = responses.drop_duplicates("case")[["case", *keys]]
    if cases["policy"].is_unique:
        return _with_policies(responses, dict(zip(cases["case"], cases["policy"], strict=True))), owners
    of_world = [name for name in keys if name == "scenario" or name.startswith(FACTOR_PREFIX)]
    varied = [name for name in of_world if cases[name].nunique(dropna=False) > 1]
    if varied:
        hint = "select one world, or use `estimate_regret` for several"
        raise InputError(
            Problem("comparing policies needs a single world", ("responses",), found=", ".join(varied), hint=hint)
        )
    named = name_cases(cases, [name for name in keys if name not in of_world])
    owners = dict(zip(named, cases["policy"], strict=True))
    return _with_policies(responses, dict(zip(cases["case"], named, strict=True))), owners


def _with_policies(responses: pd.DataFrame, policies: Mapping[int, str]) -> pd.DataFrame:
    """Return a table in which each case is a policy, also where its kinds of release have probabilities by case."""
    table = responses.assign(policy=responses["case"].map(policies))
    release = table.attrs.get("release", {})
    if isinstance(release.get("stopped"), list):
        stopped = {policy: release["stopped"][case] for case, policy in policies.items()}
        table = table.drop(columns="case")
        table.attrs["release"] = {**release, "stopped": stopped}
    return table


def measure_policies(responses: pd.DataFrame, costs: Costs | None = None) -> Values:
    """Return the replications of one scenario by policy, ready to be compared.

    Row order and further columns are irrelevant. With costs, `cost` and its causes are measures too. Raises
    `InputError` if the table is not one of replications.
    """
    _refuse_weights(responses)
    _check(responses)
    names = [name for name in RESPONSES if name in responses]
    kept = [*(name for name in ("scenario", "status") if name in responses), *names]
    table = responses[["policy", "replication", *kept]].assign(policy=responses["policy"].astype("str"))
    measures = [
        Measure(level, given=_KINDS.get(level))
        for name in [*names, *(COSTS if costs is not None else ())]
        for level in LEVELS.get(name, (name,))
        if name in LEVELS or RESPONSES.get(name) != "str"
    ]
    completed = find_completed(table)
    if completed is not None and "makespan_s" in names:
        measures.append(Measure("makespan_s", given=completed))
    if completed == "completed_good" and "blast_radius" in names:
        measures.append(Measure("blast_radius", given="defective"))
    return Values(table, measures, costs=costs)


def find_completed(responses: pd.DataFrame) -> str | None:
    """Return the event that a rollout achieved its purpose; None if the table has no such information.

    Stopped rollouts end early, so makespans are compared over completed rollouts only, with a good release if there are
    verdicts.
    """
    if "verdict" in responses and responses["verdict"].notna().any():
        return "completed_good"
    return "completed" if "state" in responses else None


def name_measure(measure: Measure) -> dict[str, str | None]:
    """Return the cells that identify a measure in the tables of a comparison.

    Examples
    --------
    >>> name_measure(Measure("makespan_s"))
    {'response': 'makespan_s', 'level': None, 'given': None}
    >>> name_measure(Measure("escaped", given="defective"))
    {'response': 'verdict', 'level': 'escaped', 'given': 'defective'}
    """
    category = next((name for name, levels in LEVELS.items() if measure.of in levels), None)
    return {"response": category or measure.of, "level": category and measure.of, "given": measure.given}


def name_rows(frame: pd.DataFrame) -> pd.Series[str]:
    """Return the measure of each row of a comparison's table, as text."""
    import pandas as pd

    # Python's strings: for a few hundred of them pandas takes ten times as long.
    cells = zip(*(frame[name].to_numpy(object) for name in ("level", "response", "given")), strict=True)
    names = [
        f"{level if isinstance(level, str) else response}{f' given {given}' if isinstance(given, str) else ''}"
        for level, response, given in cells
    ]
    return pd.Series(names, index=frame.index, dtype="str")


def find_rows(frame: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """Return the rows of a comparison's table for a measure; a verdict always has its kind of release as condition."""
    return frame[name_rows(frame).eq(str(replace(measure, given=measure.given or _KINDS.get(measure.of))))]


def _refuse_weights(responses: pd.DataFrame | Batches) -> None:
    if not is_divided(responses):
        refuse_weights(responses.columns)


def _check(responses: pd.DataFrame) -> None:
    problems = missing_columns(("policy", "replication"), responses.columns)
    for name, levels in LEVELS.items():
        strange = set() if name not in responses else set(responses[name].dropna().unique()) - set(levels)
        if strange:
            found = ", ".join(sorted(map(str, strange)))
            problems.append(Problem("unknown level", path=(name,), found=found, allowed=", ".join(levels)))
    raise_if_any(problems)
