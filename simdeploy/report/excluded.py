"""Which of the compared policies miss requirements, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.comparison.measured import find_rows
from simdeploy.errors import plural
from simdeploy.report.check import describe_requirement
from simdeploy.report.formatting import Scale, find_cost_unit, format_amount
from simdeploy.report.wording import find_shared_reason, join_words, list_forms, list_some
from simdeploy.scenario.measures import Measure, parse_requirement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sized

    from simdeploy.analysis.comparison.compare import Comparison


def tell_missed(comparison: Comparison) -> list[str]:
    """Name the policies that miss requirements, and which: a sentence and shorter ones, or nothing."""
    verdicts, excluded = comparison.verdicts, comparison.excluded
    missed = verdicts[verdicts["verdict"].eq("not met")].groupby("policy", sort=False)["requirement"].agg(tuple)
    policies: dict[tuple[str, ...], list[str]] = {}
    for policy, requirements in missed.items():
        policies.setdefault(requirements, []).append(str(policy))
    if not policies:
        return []
    named = [form for is_brief in (False, True) for form in _list_missed(comparison, policies, is_brief=is_brief)]
    if excluded:
        return [
            *named,
            f"{list_some(excluded)} {_miss(excluded)} requirements",
            f"{plural(len(excluded), 'policy', 'policies')} {_miss(excluded)} requirements",
        ]
    none = "No policy meets the requirements"
    by_all = [text for text in next(iter(policies)) if all(text in requirements for requirements in policies)]
    subject = {1: "It", 2: "Both"}.get(len(missed), "All")
    of_all = [
        f"{subject} {_miss(missed)} {_count(by_all, 'one')}: {join_words(_describe(comparison, by_all, is_brief=is_brief))}"
        for is_brief in (False, True)
        if by_all
    ]
    forms = of_all if len(policies) == 1 else [*named, *of_all]
    return [*(f"{none}. {form}" for form in forms), none]


def tell_undecided(comparison: Comparison, policies: Collection[str]) -> list[str]:
    """Say which requirements some policies may miss, and why that is unknown: a sentence and shorter ones, or nothing."""
    verdicts = comparison.verdicts
    rows = verdicts[verdicts["verdict"].eq("undecided") & verdicts["policy"].isin(policies)]
    of_policies = rows.groupby("policy", sort=False)["requirement"].agg(tuple)
    if of_policies.empty:
        return []
    # A sentence without a name would refer to the policy that was named last, which misses a requirement.
    is_clear = len(policies) == 1 and not verdicts["verdict"].eq("not met").any()
    subjects = [""] if is_clear else [f" for {names}" for names in list_forms(of_policies.index.tolist())]
    if of_policies.nunique() == 1:
        requirements = list_forms(_describe(comparison, of_policies.iloc[0], is_brief=False))
    else:
        requirements = ["some requirements"]
    forms = [f"Undecided{who}: {what}" for who in subjects for what in requirements]
    why = find_shared_reason(rows["reason"])
    return [*([f"{form} ({why})" for form in forms] if why else []), *forms]


def _miss(policies: Sized) -> str:
    return "misses" if len(policies) == 1 else "miss"


def _count(requirements: Sized, singular: str) -> str:
    """Return the number of requirements in words; `singular` is used for one."""
    return singular if len(requirements) == 1 else plural(len(requirements), "requirement")


def _list_missed(comparison: Comparison, policies: Mapping[tuple[str, ...], list[str]], *, is_brief: bool) -> list[str]:
    """Return sentences on the requirements that policies miss, from long to short; `policies` are grouped by these."""
    groups = [
        [
            f"{names} {_miss(some)} {_count(requirements, 'a requirement')}: "
            f"{join_words(_describe(comparison, requirements, is_brief=is_brief))}"
            for names in _name(comparison, some)
        ]
        for requirements, some in policies.items()
    ]
    return ["; ".join([first, *(forms[-1] for forms in groups[1:])]) for first in groups[0]]


def _describe(comparison: Comparison, requirements: Iterable[str], *, is_brief: bool) -> list[str]:
    unit = find_cost_unit(comparison.computed_under)
    return [describe_requirement(parse_requirement(text), unit, is_brief=is_brief) for text in requirements]


def _name(comparison: Comparison, policies: list[str]) -> list[str]:
    """Return lists of policies, the longest first, with their costs if cost decides, because excluded policies aren't ranked by it."""
    if comparison.judged_by != ("cost",) or comparison.none_meets:
        return list_forms(policies)
    costs = find_rows(comparison.estimates, Measure("cost")).set_index("policy")["estimate"]
    scale = Scale(1, find_cost_unit(comparison.computed_under))
    priced = [f"{policy} ({format_amount(costs[policy], scale)})" for policy in policies]
    return [*list_forms(priced), *list_forms(policies)]
