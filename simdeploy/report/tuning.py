"""The recommended policy of a search, in words and as tables."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure, format_value, shorten_names
from simdeploy.analysis.tuning.in_flight import IN_SERVICE
from simdeploy.analysis.tuning.result import CHOICE, REFERENCE, RUNNER_UP, Tuning
from simdeploy.errors import plural
from simdeploy.report import formatting, wording
from simdeploy.report.check import describe_limit
from simdeploy.report.tables import Column, make_table, measure_columns, spread
from simdeploy.scenario.measures import Measure, parse_measure, parse_requirement

if TYPE_CHECKING:
    from simdeploy.result import Table

# The answer names the recommended policy's minimum in service if it is below this.
_FEW_IN_SERVICE = 0.8
_UNRESTORED = Measure("unrestored_nodes")

_VERDICTS = (
    Column("named", "requirement"),
    Column("estimate", "estimate", "estimate", scale="scale"),
    Column("verdict", "verdict"),
)
_STAGES = (
    Column("stage", "stage"),
    Column("candidates", "candidates", "count"),
    Column("worlds", "worlds", "count"),
    Column("rollouts", "rollouts", "count"),
    Column("node_updates", "node updates", "count"),
)


def tell(result: Tuning) -> str:
    """Say which policy to use, how certain that is and which requirement binds; or why there is none."""
    if result.choice is None:
        return _tell_nothing(result)
    certainty = _tell_certainty(result)
    # Whether another policy is close is known only if the choice is decided.
    says_rivals = result.n_candidates > 1 and (result.is_decided or result.n_runners_up)
    with_rivals = [f"{form}; {rivals}" for rivals in _tell_rivals(result) for form in certainty] if says_rivals else []
    choice, in_service = _tell_choice(result), _tell_in_service(result)
    if choice and len(f"{choice[-1]}{in_service}. {certainty[-1]}.") <= wording.LONGEST_ANSWER:
        choice = [f"{form}{in_service}" for form in choice]
    return wording.join_answer(
        [
            choice,
            [*with_rivals, *certainty],
            # A cost that leaves something out comes before what would lower it.
            _tell_unpriced(result),
            _tell_binding(result),
            _tell_limit(result),
            _tell_end(result),
        ]
    )


def _tell_nothing(result: Tuning) -> str:
    n, limit = result.n_candidates, _tell_limit(result)
    if not result.requirements or result.n_valueless == n:
        unknown = f"the {wording.name_objective(result.of)} of all {n:,} policies is unknown"
        return wording.join_answer([f"No recommendation: {unknown}, as rollouts never end or failed", limit])
    if result.n_undecided:
        none = f"None of {n:,} policies is known to meet the requirements"
        return wording.join_answer([none, f"{result.n_undecided:,} may: {_say_remedy(result, ' to decide')}", limit])
    required, best = "meets the requirement", "the best has"
    if len(result.requirements) > 1:
        required, best = "meets all requirements", "the best that meet the others have"
    if result.n_valueless:
        required = f"is known to meet the requirements, as rollouts of {result.n_valueless:,} never end or failed"
    nearest = _tell_nearest(result)
    forms = [wording.join_words(nearest[:most], word="or") for most in range(len(nearest), 0, -1)]
    reached = [f"By first estimates, {best} {form}" for form in forms]
    return wording.join_answer([f"None of {n:,} policies {required}", reached, limit])


def _tell_nearest(result: Tuning) -> list[str]:
    """Say for each requirement how near to it policies come that seem to meet all others."""
    unit, nearest = formatting.find_cost_unit(result.computed_under), []
    for row in result.out_of_reach.dropna().to_dict("records"):
        requirement = parse_requirement(row["requirement"])
        scale = formatting.measure_scale(requirement.measure, abs(row["estimate"]), unit)
        best, limit = formatting.format_amount(row["estimate"], scale), describe_limit(requirement, unit)
        nearest.append(f"{wording.name_briefly(requirement.measure)} of {best} ({limit} required)")
    return nearest


def _tell_choice(result: Tuning) -> list[str]:
    is_cost = result.of == Measure("cost")
    scale = (
        formatting.cost_scale(formatting.find_cost_unit(result.computed_under)) if is_cost else objective_scale(result)
    )
    row = result.objective_row(CHOICE)
    assert row is not None  # noqa: S101 - there is a choice
    amount = formatting.write_estimate(row, scale, level=result.confidence_level)
    estimate = f"{wording.name_objective(result.of)} {amount}"
    futile = _tell_futile(result)
    if result.keeps_current:
        starts = [f"Keep {result.current_policy}{futile}: {estimate}"]
    else:
        changes = result.changes()
        names = shorten_names(list(changes))
        values = [format_setting(result, name, value) for name, value in changes.items()]
        settings = wording.list_forms([f"{name} {value}" for name, value in zip(names, values, strict=True)], 2)
        starts = [f"Use {result.current_policy} with {listed}{futile}: {estimate}" for listed in settings]
    against = _tell_other(result)
    return [f"{start}{against}" for start in starts]


def _tell_futile(result: Tuning) -> str:
    """Say if the recommended policy completed no rollout at all, or none of a good release."""
    for name, what in (("completed_good", "good release"), ("completed", "rollout")):
        row = result.row(CHOICE, parse_measure(f"makespan_s given {name}"))
        if row is not None and row["n"] == 0:
            return f" (no {what} completes)"
    return ""


def _tell_in_service(result: Tuning) -> str:
    row = result.row(CHOICE, IN_SERVICE)
    if row is None or result.of == IN_SERVICE or not row["estimate"] < _FEW_IN_SERVICE:
        return ""
    return f"; minimum in service {formatting.format_amount(row['estimate'], formatting.PERCENT, digits=2)}"


def _tell_unpriced(result: Tuning) -> list[str]:
    """Say if the recommended policy leaves more nodes out of service than the current one, and these have no price."""
    current = result.row("current", _UNRESTORED)
    if result.of != Measure("cost") or current is None or current["verdict"] != "better":
        return []
    return wording.say_unpriced(["It"], [result.current_policy], result.computed_under)


def _tell_other(result: Tuning) -> str:
    """Compare the recommended policy with the current one, or else with the API defaults."""
    for role, name in (("current", "the current policy"), ("defaults", "API defaults")):
        row = result.objective_row(role)
        if row is not None:
            if row["unknown_fraction"] > 0:
                fraction = f"{100 * row['unknown_fraction']:.2g} %"
                return f", against an unknown value for {name} ({fraction} of its rollouts never end)"
            amount = formatting.write_without_interval(row, objective_scale(result))
            return f", against {amount} for {name}{_tell_miss(result, role, row)}"
    return ""


def _tell_miss(result: Tuning, role: str, row: formatting.Row) -> str:
    """Say why a policy that seems better than the recommended one is not recommended."""
    seems_better = row["difference"] < 0 if result.direction == "min" else row["difference"] > 0
    verdicts = set(result.verdicts.loc[result.verdicts["policy"].eq(role), "verdict"]) if seems_better else set()
    if "not met" in verdicts:
        return " (misses a requirement)"
    if "undecided" in verdicts:
        return " (requirements undecided)"
    is_reference = seems_better and row["candidate"] == result.reference
    return " (they change limits that are not varied)" if is_reference else ""


def _tell_certainty(result: Tuning) -> list[str]:
    """Say with which probability the recommended policy is the best."""
    if result.is_decided and not math.isnan(result.expected_correct):
        n_left = int(result.stages.loc[result.stages["stage"].eq("select"), "candidates"].iloc[-1])
        best = f"The best of {n_left:,} finalists" if n_left > 1 else "The only finalist, and the best"
        return [f"{best} with probability about {100 * result.probability_correct:.0f} %"]
    margin = _tell_amount(result, result.indifference, is_difference=True)
    if result.is_decided:
        n, policies = result.n_candidates, "policies"
        if n < result.n_possible:
            policies = f"policies tried, {_tell_share(result)} of the grid"
        if n == 1:
            return ["It is the only candidate"]
        certainty = f"({formatting.percent(result.confidence_level)} confidence unless another is within {margin})"
        forms = [
            f"The best of {n:,} {policies} {certainty}",
            f"Best of {n:,}{policies.removeprefix('policies')} {certainty}",
        ]
        required = f"Of {n:,} {policies}, the best that meets the requirements {certainty}"
        return [required, *forms] if result.requirements else forms
    another, remedy = f"another is {_better(result)} by {margin}", _say_remedy(result)
    match result.doubt:
        case "contradicted":
            return [f"New worlds contradict the search, so it is undecided whether {another}: {remedy}"]
        case "skewed":
            doubt = f"the interval of the {wording.name_objective(result.of)} can't be trusted"
            return [f"Undecided whether {another}: {doubt}; {remedy}"]
        case "requirements":
            return [f"Undecided whether {another} and meets the requirements: {remedy}"]
    if not math.isnan(result.rollouts_to_decide) and not result.has_used_records:
        short = (
            f"Undecided whether {another}: set `most` (--most) to {formatting.round_up(result.rollouts_to_decide):,}"
        )
        return [f"{short}, or widen `indifference`", short]
    return [f"Undecided whether {another}: {remedy}"]


def _say_remedy(result: Tuning, end: str = "") -> str:
    if result.has_used_records:
        return wording.say_on_record(result.computed_under["rollouts_on_record"])
    return f"raise `most` (--most){end}"


def _tell_share(result: Tuning) -> str:
    """Say how much of the grid was tried."""
    return formatting.format_amount(result.n_candidates / result.n_possible, formatting.PERCENT, digits=2)


def _tell_end(result: Tuning) -> str:
    """Name settings whose recommended value is the last one tried."""
    names = shorten_names(list(result.at_end))
    return f"Better values of {wording.join_words(names)} may lie beyond those tried" if names else ""


def _tell_rivals(result: Tuning) -> list[str]:
    """Say how many others may be as good, and why if their differences can't tell; the longest form first."""
    n, n_equal = result.n_runners_up, result.n_equal
    if not n:
        return [f"{plural(n_equal, 'other')} {wording.is_or_are(n_equal)} equal" if n_equal else "no other is close"]
    rivals = result.policies[
        result.policies["measure"].eq(str(result.of)) & result.policies["policy"].str.startswith(RUNNER_UP)
    ]
    why = wording.find_shared_reason(rivals["reason"])
    short = f"{plural(n, 'other')} may be as good"
    return [*([f"{short} ({why})"] if why else []), short]


def _tell_binding(result: Tuning) -> str:
    if result.binding is None:
        return ""
    gain = _tell_amount(result, result.gain_without_binding, is_difference=True)
    return f"Without the requirement {result.binding}, another policy is {gain} {_better(result)}"


def _tell_limit(result: Tuning) -> list[str]:
    """Say which candidates were left out because their waves are too large, and how to try them."""
    if not result.n_beyond_largest_wave or result.largest_wave is None:
        return []
    nodes, today = plural(result.largest_wave, "node"), result.current_wave
    than = f"today's {nodes}" if result.largest_wave == today else nodes
    wave, lift = f"No {'other ' * (result.largest_wave < today)}wave", "was tried (--largest-wave all)"
    return [f"{wave} larger than {than} {lift}", f"{wave} above {result.largest_wave} {lift}"]


def _better(result: Tuning) -> str:
    return "lower" if result.direction == "min" else "higher"


def objective_scale(result: Tuning) -> formatting.Scale:
    """Return one scale for all values of the objective."""
    values = result.policies.loc[result.policies["measure"].eq(str(result.of)), "estimate"]
    return formatting.scale_of(result.of, values, formatting.find_cost_unit(result.computed_under))


def _tell_amount(result: Tuning, value: float, *, is_difference: bool = False) -> str:
    scale = objective_scale(result)
    unit = (formatting.difference_scale(scale) if is_difference else scale).unit
    return f"{formatting.format_number(value * scale.factor, abs(value * scale.factor) / 10)} {unit}".rstrip()


def format_setting(result: Tuning, name: str, value: Any) -> str:
    """Write the value of a setting; waves of 0 nodes are the whole fleet, except in the rollout dialect."""
    is_all = name == "max_parallel" and value == 0 and next(iter(result.specs), "") != "rollout"
    return "all at once" if is_all else format_value(value)


def describe_specs(result: Tuning) -> list[str]:
    """Return the recommended policy in both dialects as lines of text: JSON, and notes on what is lost."""
    lines = []
    for dialect, translated in result.specs.items():
        spec = json.dumps(translated["spec"], indent=2)
        notes = [f"note: {note}" for note in translated["notes"]]
        if dialect == next(iter(result.specs)) and translated["spec"]["strategy"] != "immediate":
            left_out = [
                (name, default) for name, default in result.default_limits.items() if name not in translated["spec"]
            ]
            notes += [f"note: {name} is left out: {_tell_default(default)}" for name, default in left_out]
        lines += [f"Recommended policy in the {dialect} dialect:", *spec.splitlines(), *notes, ""]
    return lines


def tabulate(result: Tuning) -> tuple[Table, ...]:
    """Return the policies with their estimates and settings, the requirements, and the search."""
    tables = []
    if result.choice is not None:
        tables += [_tabulate_policies(result), _tabulate_levers(result)]
    if len(result.verdicts):
        tables.append(_tabulate_verdicts(result))
    return (*tables, _tabulate_stages(result))


def _tabulate_policies(result: Tuning) -> Table:
    frame, of = spread(result.policies, "policy", "measure"), str(result.of)
    of_objective = result.policies[result.policies["measure"].eq(of)]
    differences = of_objective[
        ["policy", *formatting.interval_names("difference"), formatting.trust_name("difference")]
    ]
    frame = frame.merge(differences, on="policy", how="left").assign(named=list(name_policies(result).values()))
    others = [measure for name in result.policies["measure"].unique() if (measure := parse_measure(name)) != result.of]
    scale = objective_scale(result)
    columns = [
        Column("named", "policy"),
        Column(of, describe_measure(result.of), "estimate", scale),
        Column("difference", "minus recommended", "difference", scale),
        *measure_columns(others),
    ]
    if _tell_unpriced(result):
        # The answer may have no room for it.
        columns = [
            replace(column, heading=f"{column.heading} {wording.UNPRICED}") if column.scale == _UNRESTORED else column
            for column in columns
        ]
    worlds, level = int(result.policies["n"].max()), formatting.percent(result.confidence_level)
    title = f"Policies in {worlds:,} new worlds ({level} CI, for all differences together)"
    return make_table(title, frame, columns, formatting.find_cost_unit(result.computed_under))


def name_policies(result: Tuning) -> dict[str, str]:
    """Return the names in tables of a result's policies."""
    defaults = "API defaults"
    row = result.objective_row("defaults")
    if row is not None and row["candidate"] == result.reference:
        defaults += f" ({REFERENCE})"
    names = {CHOICE: "recommended", "current": result.current_policy, "defaults": defaults}
    return {name: names.get(name, name) for name in result.policies["policy"].unique()}


def _tabulate_levers(result: Tuning) -> Table:
    numbers = result.policies.drop_duplicates("policy")["candidate"]
    rows = result.candidates.set_index("candidate").loc[numbers].assign(named=list(name_policies(result).values()))
    levers = [name for name in (result.choice or {}) if rows[name].nunique(dropna=False) > 1]
    written = {name: [format_setting(result, name, value) for value in rows[name]] for name in levers}
    spec = next(iter(result.specs.values()))["spec"]
    strategies = rows["strategy"] if "strategy" in rows else [spec["strategy"]] * len(rows)
    for limit, default in result.default_limits.items():
        values = rows[limit] if limit in rows else [spec.get(limit)] * len(rows)
        is_left_out = [
            value is None and strategy != "immediate" for value, strategy in zip(values, strategies, strict=True)
        ]
        if any(is_left_out):
            texts = [format_setting(result, limit, value) for value in values]
            default_text = _tell_default(default)
            written[limit] = [default_text if out else text for out, text in zip(is_left_out, texts, strict=True)]
    rows = rows.assign(**written)
    columns = (Column(*each) for each in zip(written, shorten_names(list(written)), strict=True))
    return make_table("Settings that differ, and limits by default", rows, (Column("named", "policy"), *columns))


def _tell_default(limit: float) -> str:
    return f"{limit:g} (default)"


def _tabulate_verdicts(result: Tuning) -> Table:
    rows, unit = result.verdicts.to_dict("records"), formatting.find_cost_unit(result.computed_under)
    for row in rows:
        row["named"] = f"{name_policies(result)[row['policy']]}: {row['requirement']}"
        row["scale"] = formatting.measure_scale(
            parse_requirement(row["requirement"]).measure, abs(row["estimate"]), unit
        )
    return make_table("Requirements in the same worlds", rows, _VERDICTS)


def _tabulate_stages(result: Tuning) -> Table:
    n, n_possible = result.n_candidates, result.n_possible
    tried = plural(n, "policy", "policies") + ("" if n >= n_possible else f", {_tell_share(result)} of {n_possible:,}")
    beyond = result.n_beyond_largest_wave
    left_out = f"; {beyond:,} with larger waves left out" if beyond else ""
    return make_table(f"Search: {tried}{left_out}", result.stages, _STAGES)
