"""Choices under every switch, against scenarios with known effects, and the model's table."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn import draw_on, find_unreadable
from matplotlib.figure import Figure
from scipy import stats

from simdeploy.analysis.asking.judging import Feasibility
from simdeploy.analysis.switches.conclusions import Rule, Standings, conclude
from simdeploy.analysis.switches.switch_choice import adjust_by_holm, estimate_interaction
from simdeploy.analysis.switches.switch_values import list_own_values, list_switch_values, pair_values
from simdeploy.analysis.switches.varying import vary_switches
from simdeploy.documents import read_result
from simdeploy.errors import InputError, SimdeployWarning, SimulationError
from simdeploy.experiments import read_store, replicate
from simdeploy.experiments.jobs import Job
from simdeploy.plotting.switches import plot_tornado
from simdeploy.rules.orchestrator import SWITCHES, switch_values
from simdeploy.scenario import Scenario
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import estimate_cases
from simdeploy.statistics.sample import as_sample

pytestmark = pytest.mark.usefixtures("few_worlds_suffice")

REPETITIONS = 400
SPREAD = 4 * math.sqrt(0.95 * 0.05 / REPETITIONS)
MET = Feasibility(is_met=True, verdict="met", broken=(), is_known=True)
COSTS = {"hour_of_delay": 1, "false_alarm": 1000, "escape": 1000, "failed_request": 0, "unavailable_node_hour": 0}
# A delay decides, whatever false alarms few rollouts may have missed.
HASTE = {**COSTS, "hour_of_delay": 5000}
# One node of ten never starts; nothing else ever goes wrong.
BROKEN = [{"name": "broken", "share": 0.1, "start_failure": 1}]
HEALTH = {"deadline": "10m", "min_healthy_time": "10s"}


def scenario(policies, *, orchestrator="expanso", costs=COSTS, requirements=(), classes=BROKEN, release=None, **fleet):
    """Make a scenario of ten nodes of which one never starts."""
    usual = {"strategy": "rolling", "health_check": HEALTH, "max_failed_nodes_percent": 100}
    raw = {
        "name": "known",
        "fleet": {"nodes": 10, "update_duration": 60, "requests_per_second": 1, "classes": classes, **fleet},
        "orchestrator": orchestrator,
        "policies": {name: usual | spec for name, spec in policies.items()},
        "requirements": list(requirements),
        "costs": costs,
        "release": release,
    }
    return Scenario.from_dict(raw)


def vary(made, replications, **how):
    """Vary switches singly, by default with the compiled engine."""
    return vary_switches(made, replications=replications, **{"pairs": False, "engine": "compiled"} | how)


def by_value(result):
    """Return the rows of a result's values by switch and value."""
    return result.values.set_index(["switch", "value"])


def simulated(made, replications, **switches):
    """Return the table of rollouts under some switches."""
    changed = made.with_values({f"orchestrator.{name}": value for name, value in switches.items()})
    return replicate(changed, replications=replications, engine="compiled")


def makespans(table, policy):
    return table.loc[table["policy"].eq(policy), "makespan_s"].to_numpy()


def paired_interval(one, other):
    """Return Student's interval of the mean of differences."""
    difference = one - other
    half_width = stats.t.ppf(0.975, len(difference) - 1) * np.std(difference, ddof=1) / math.sqrt(len(difference))
    return difference.mean() - half_width, difference.mean() + half_width


def flips(result):
    """Return the values under which the choice changes."""
    rows = result.values[result.values["holds"].eq(False)]
    return {f"{row.switch}: {row.value}" for row in rows.itertuples()}


# Without other settings the fast policy is close to being stopped, and the slow one far from it.
EDGE = {"fast": {"max_parallel": 5, "max_failed_nodes": 1}, "slow": {"max_parallel": 2, "max_failed_nodes": 5}}
# Stopped by the broken node every time, unless an explicit 0 means the default of 10.
ZERO = {
    "strict": {"max_parallel": 5, "max_failed_nodes": 0, "max_failed_nodes_percent": 0},
    "slow": {"max_parallel": 2, "max_failed_nodes": 5},
}
# The gate stops it whenever the broken node is a canary; the limits never do.
GATE = {
    "canary": {"strategy": "canary", "canary_count": 3, "auto_promote": True, "max_parallel": 0, "max_failed_nodes": 5},
    "slow": {"max_parallel": 2, "max_failed_nodes": 5},
}


@pytest.mark.parametrize(
    ("policies", "choice", "expected"),
    [
        (EDGE, "fast", {"limit_comparison: reaches"}),
        (ZERO, "slow", {"explicit_zero_limit: default", "on_failure: continue"}),
        (GATE, "slow", {"canary_gate: limits", "on_failure: continue"}),
    ],
)
def test_known_switches_flip_the_choice(policies, choice, expected):
    """The choice certainly flips under exactly the values known to flip it. [oracle]"""
    result = vary(scenario(policies), 100)
    assert result.choice == choice
    assert flips(result) == expected
    rows = result.values[result.values["holds"].eq(False)]
    # Two that save minutes may differ by a false alarm that none of 100 rollouts had.
    assert (rows["is_sure"] == (rows["margin_high"] < 0)).all()
    assert (rows["margin"] < 0).all()
    assert set(rows["choice"]) == {name for name in policies if name != choice}
    n = int(result.values["is_possible"].sum())
    n_under = n - len(expected) - int("on_failure: continue" in expected)
    assert f"recommended under {n_under} of {n} switch values" in result.answer


def leave_switches(monkeypatch, *switches):
    """Vary only a few switches, so that there are few pairs; return their values in a scenario."""

    def list_few(made):
        return [value for value in list_switch_values(made) if value.switch in switches]

    monkeypatch.setattr("simdeploy.analysis.switches.varying.list_switch_values", list_few)
    return list_few


def test_two_switches_that_flip_the_choice_together(monkeypatch):
    """Held slots of failed nodes matter under sliding only; the two together flip what neither flips. [oracle]"""
    # Two slots of which one is lost, or four of which one is lost: the fast one loses half of its speed.
    two = {"max_parallel": 2, "max_failed_nodes": 9}
    four = {**two, "max_parallel": 4, "health_check": {**HEALTH, "min_healthy_time": "90s"}}
    made = scenario({"two": two, "four": four}, nodes=20).with_values({"fleet.classes.broken.share": 0.05})
    leave_switches(monkeypatch, "pacing", "failed_node_holds_slot", "slot_until", "canary_gate", "limit_comparison")
    result = vary(made, 100, of="makespan_s", pairs=True)
    assert result.choice == "two"
    assert not flips(result) & {"pacing: sliding", "failed_node_holds_slot: true"}
    pairs = result.pairs.set_index(["switch", "value", "other_switch", "other_value"])
    row = pairs.loc[("pacing", "sliding", "failed_node_holds_slot", "true")]
    assert row["flips_together"]
    assert row["interacts"]
    assert row["is_sure"]
    assert row["choice"] == "four"
    assert row["p_value"] < 0.01
    both = simulated(made, 100, pacing="sliding", failed_node_holds_slot=True)
    sliding = simulated(made, 100, pacing="sliding")
    margins = [makespans(table, "four") - makespans(table, "two") for table in (both, sliding)]
    # Alone, held slots change nothing, so the interaction is the difference to sliding alone.
    interval = paired_interval(*margins)
    assert row["interaction"] == pytest.approx((margins[0] - margins[1]).mean())
    assert (row["interaction_low"], row["interaction_high"]) == pytest.approx(interval, rel=0.01)
    idle = by_value(result).loc[("failed_node_holds_slot", "true")]
    assert not idle["has_effect"]
    assert "pacing: sliding, failed_node_holds_slot: true" in [row[0] for row in result.summarize()[-1].rows]


def test_every_value_of_the_models_table_is_tried(repository, make_scenario):
    """For every open switch, all values of model section 6 except the scenario's own are tried. [contract]"""
    page = (repository / "docs/model.md").read_text(encoding="utf-8")
    section = page.partition("## 6. Switches")[2].partition("\n## ")[0]
    model = {
        name: (default, re.findall(r"`(\w+)`", text.rpartition(". ")[2]))
        for name, default, text in re.findall(r"^\| `(\w+)` \| `?(.*?)`? \| (.*) \|$", section, re.MULTILINE)
    }
    assert list(model) == list(SWITCHES)
    model = {name: row for name, row in model.items() if not SWITCHES[name].of_others}
    values = list_switch_values(make_scenario())
    tried = {name: [value.text for value in values if value.switch == name] for name in model}
    assert sum(map(len, tried.values())) == len(values)
    for name, (default, listed) in model.items():
        if name in switch_values():
            words = ["false", "true"] if default in ("false", "true") else listed
            assert tried[name] == [word for word in words if word != default], name
        else:
            assert len(tried[name]) == 2, name
    assert list(list_own_values(make_scenario())) == list(model)


def test_values_are_relative_to_the_scenario(make_scenario):
    """If a scenario sets a switch, its default is one of the values, and its own is not. [contract]"""
    own = {"pacing": "rate", "minimum_sample": 3, "bake_time": "1m", "rate": {"per_minute": 2, "max_per_minute": 8}}
    values = list_switch_values(make_scenario(orchestrator=own))
    tried = [value.text for value in values if value.switch in own]
    assert tried == [
        *("barrier", "sliding", "0", "1", "5", "0s", "30s", "5m"),
        *("{per_minute: 50, growth: 1}", "{per_minute: 1, growth: 1}", "{per_minute: 1, growth: 2}"),
    ]


def test_pairs_are_of_different_switches(make_scenario):
    """Every two values of different switches are a pair, once. [property]"""
    values = list_switch_values(make_scenario())
    sizes = pd.Series([value.switch for value in values]).value_counts()
    pairs = list(pair_values(values))
    assert len(set(pairs)) == len(pairs) == (len(values) ** 2 - (sizes**2).sum()) / 2
    assert all(first.switch != second.switch for first, second in pairs)


def test_numbers_are_those_of_replicate():
    """A row has the choice, margin and paired change of cost that replicate gives under that value. [oracle]"""
    made = scenario(EDGE)
    result = vary(made, 60, of="makespan_s")
    found = by_value(result)
    for switch, value, raw in (("pacing", "sliding", "sliding"), ("bake_time", "10m", "10m")):
        base = makespans(simulated(made, 60), "fast")
        changed = simulated(made, 60, **{switch: raw})
        fast, slow = makespans(changed, "fast"), makespans(changed, "slow")
        row = found.loc[switch, value]
        interval = paired_interval(slow, fast)
        assert row["margin"] == pytest.approx((slow - fast).mean())
        assert (row["margin_low"], row["margin_high"]) == pytest.approx(interval)
        assert row["effect"] == pytest.approx((fast - base).mean())
        assert row["choice"] == ("fast" if fast.mean() < slow.mean() else "slow")
    assert result.policies["n"].tolist() == [60, 60]


def test_values_without_effect():
    """A value has no effect exactly if no response of any rollout of any policy differs. [oracle]"""
    made = scenario({name: GATE[name] for name in ("slow", "canary")})  # the gate is nothing to the first of them
    result = vary(made, 20)
    base = simulated(made, 20).drop(columns=["scenario"])
    for value in list_switch_values(made):
        same = simulated(made, 20, **{value.switch: value.value}).drop(columns=["scenario"]).equals(base)
        row = by_value(result).loc[(value.switch, value.text)]
        assert row["has_effect"] == (not same), value
        assert (row["verdict"] == "no effect") == same, value
    shown = [row[2] for row in result.summarize()[0].rows]
    assert shown.count("no effect") == (~result.values["has_effect"]).sum() > 0


def test_no_effect_means_no_change_of_cost(monkeypatch):
    """Without an effect the cost does not change, even if the rate of false alarms is known under one value only. [oracle]"""
    kinds = {"good": {"probability": 0.9}, "bad": {"probability": 0.1, "defective": True, "start_failure": 0.5}}
    policies = {"strict": {"max_failed_nodes": 0}, "lax": {"max_failed_nodes": 1}}
    made = scenario(policies, classes=(), start_failure=0.05, release=kinds)
    leave_switches(monkeypatch, "failed_node_holds_slot", "canary_rounding")
    result = vary(made, 20)
    assert not result.values["has_effect"].any()
    assert result.values["effect"].tolist() == [0.0, 0.0, 0.0]


def test_impossible_values_are_listed(monkeypatch):
    """Contradictory values are rows that say so, alone and as pairs. [contract]"""
    made = scenario(EDGE, orchestrator={"pacing": "sliding"})
    list_few = leave_switches(monkeypatch, "pacing", "failed_percent_of", "failed_node_holds_slot", "slot_until")
    result = vary(made, 5, pairs=True)
    row = by_value(result).loc[("failed_percent_of", "wave")]
    assert not row["is_possible"]
    assert "invalid under pacing: sliding" in row["reason"]
    assert row[["choice", "holds", "is_sure", "margin", "effect", "has_effect"]].isna().all()
    shown = [row[1:3] for row in result.summarize()[0].rows if row[0] == "failed_percent_of: wave"]
    assert shown == [("fleet", "impossible")]
    refused = result.pairs[~result.pairs["is_possible"]]
    # With barrier, waves have a meaning again.
    assert "barrier" not in set(refused["value"])
    assert {"rate"} <= set(refused["value"])
    assert len(result.pairs) == len(list(pair_values(list_few(made))))


def test_endless_rollouts_make_the_choice_unknown(monkeypatch):
    """Under on_failure: pause stopped rollouts have no cost, so the choice is reported as unknown. [contract]"""
    leave_switches(monkeypatch, "on_failure", "pacing", "limit_comparison")
    result = vary(scenario(ZERO), 10, pairs=True)
    row = by_value(result).loc[("on_failure", "pause")]
    assert row[["choice", "holds", "margin", "effect"]].isna().all()
    assert row["reason"] == "100 % of strict's rollouts never end, so their cost is unknown"
    assert "nknown under on_failure: pause" in result.answer
    pairs = result.pairs[result.pairs["other_value"].eq("pause") & result.pairs["is_possible"]]
    assert pairs["interaction"].isna().sum() == pairs["holds"].isna().sum() > 0
    json.dumps(result.to_dict(), allow_nan=False)


def test_an_unknown_choice_without_changes():
    """If the choice is unknown under the current switches, the call is refused with the reason. [contract]"""
    made = scenario(ZERO, orchestrator={"on_failure": "pause"})
    with pytest.raises(InputError, match="no policy can be chosen: 100 % of strict's rollouts never end"):
        vary(made, 5)


def test_a_policy_that_always_fails_is_an_error(monkeypatch):
    """If all replications of one policy failed, that is an error of the simulation, not of the arguments. [contract]"""
    from simdeploy.engines.reference.engine import run_reference

    def break_strict(scenario, policy, **how):
        if policy.name == "strict":
            raise RuntimeError("broken")
        return run_reference(scenario, policy, **how)

    monkeypatch.setattr("simdeploy.engines.reference.engine.run_reference", break_strict)
    with (
        pytest.warns(SimdeployWarning, match="replications failed"),
        pytest.raises(SimulationError, match="no policy can be chosen: every replication of strict failed"),
    ):
        vary_switches(scenario(ZERO), of="blast_radius", replications=2, pairs=False, engine="reference")


@pytest.mark.usefixtures("few_values_suffice")
def test_requirements_decide_before_the_measure():
    """A policy that misses a requirement isn't chosen; if none is left there is no choice, certainly or not. [oracle]"""
    strict = [{"of": "false_alarm", "given": "good", "at_most": 0.01}]
    cheap = {**COSTS, "false_alarm": 0}
    free = vary(scenario(EDGE, costs=cheap), 50)
    bound = vary(scenario(EDGE, costs=cheap, requirements=strict), 50)
    assert flips(free) == set()
    assert flips(bound) == {"limit_comparison: reaches"}
    row = by_value(bound).loc[("limit_comparison", "reaches")]
    assert row["reason"] == "fast breaks false_alarm given good <= 0.01"
    # 0 of 50 may be more than 1 %.
    assert bound.policies["verdict"].tolist() == ["undecided", "undecided"]
    assert bound.to_dict()["unsure_of"] == "requirements"
    undecided = "whether fast and slow can meet the requirements is undecided"
    assert f"he recommendation is uncertain (95 % confidence): {undecided}" in bound.answer
    none = vary(scenario(ZERO, requirements=strict), 50, policies=["strict"])
    assert none.choice is None
    assert none.answer.startswith("No policy meets the requirements under")
    assert flips(none) == {"explicit_zero_limit: default", "on_failure: continue"}
    assert none.values["margin"].isna().all()
    # If a policy meets them under some values, the others say that none does.
    assert {row[3] for row in none.summarize()[0].rows if row[2] == "none meets"} == {"none"}
    changed = {row[0]: row[2:4] for row in none.summarize()[0].rows if row[3] == "strict"}
    assert changed["explicit_zero_limit: default"] == ("one may meet", "strict")


def test_no_policy_meets_the_requirements_under_any_switch():
    """If no policy ever meets the requirements, answer and table say so, without empty columns. [contract]"""
    never = [{"of": "makespan_s", "at_most": 1}]
    result = vary(scenario(EDGE, requirements=never), 1000)
    table = result.summarize()[0]
    assert result.answer.startswith("No policy meets the requirements under any of 3")
    assert "recommended" not in table.header
    assert "margin" not in table.header
    assert {row[2] for row in table.rows} == {"none meets", "no effect"}


@pytest.mark.usefixtures("few_values_suffice")
def test_an_uncertain_lead_needs_more_replications():
    """Half as wide an interval needs four times as many replications; a lead of 0 is never confirmed. [oracle]"""
    result = vary(scenario(EDGE, costs=HASTE), 20)
    assert math.isnan(result.replications_needed)
    base = result.base.assign(margin=2.0, margin_low=-2.0, margin_high=6.0)
    unsure = replace(result, unsure_of="margin", base=base)
    assert unsure.replications_needed == 20 * 4
    assert unsure.to_dict()["replications_needed"] == 20 * 4
    documents = [each.to_dict() for each in (unsure, result)]
    assert [read_result(each).to_dict() for each in documents] == documents
    assert "; about 80 replications needed" in unsure.answer
    equal = replace(unsure, base=base.assign(margin=0.0))
    assert math.isnan(equal.replications_needed)
    assert "needed" not in equal.answer
    assert math.isnan(replace(unsure, unsure_of="requirements").replications_needed)


@pytest.mark.usefixtures("few_values_suffice")
def test_verdicts_are_data(few_switch_values):
    """Every verdict of the answer is in to_dict(), and the words follow from it. [contract]"""
    result = vary(scenario(EDGE, costs=HASTE), 20, pairs=True)
    document = result.to_dict()
    words = {
        (True, True): "holds",
        (True, False): "holds, uncertain",
        (False, False): "may change",
        (False, True): "changes",
        (None, None): "unknown",
    }
    for row in [*document["values"], *document["pairs"], *document["base"]]:
        word = words[row["holds"], row["is_sure"]] if row["is_possible"] else "impossible"
        # The scenario's own switches differ from themselves in nothing, which says nothing about the choice.
        is_idle = row["switch"] is not None and row.get("has_effect") is False
        assert row["verdict"] == ("no effect" if is_idle else word)
    assert {"holds", "changes"} <= set(result.values["verdict"])
    assert document["unsure_of"] is None
    parts = {
        "no effect": "recommended under 1 of 6 switch values",
        "holds": "recommended under 1 of 6 switch values",
        "holds, uncertain": "recommended under 1 of 6 switch values",
        "changes": "hanges under ",
        "may change": "ay change under ",
        "unknown": "nknown under ",
    }
    for verdict, part in parts.items():
        others = "changes" if verdict.startswith(("holds", "no effect")) else "holds"
        verdicts = [verdict, *[others] * (len(result.values) - 1)]
        made = replace(result, values=result.values.assign(verdict=verdicts))
        assert part in made.answer
        assert made.to_dict()["values"][0]["verdict"] == verdict
    for unsure_of, part in (("margin", "lead over "), ("requirements", "he recommendation is uncertain")):
        made = replace(result, unsure_of=unsure_of)
        assert part in made.answer
        assert made.to_dict()["unsure_of"] == unsure_of
    tied = replace(result, unsure_of="margin", base=result.base.assign(margin=0.0, margin_low=0.0, margin_high=0.0))
    assert f"o difference from {result.base['rival'].item()} was seen" in tied.answer
    assert "lead" not in tied.answer
    alone = replace(result, pairs=result.pairs.assign(flips_together=False))
    for verdict, said in (
        ("holds", f"one of {len(result.pairs)} pairs changes it"),
        ("changes", "o pair of other values"),
    ):
        assert said in replace(alone, values=result.values.assign(verdict=verdict)).answer
    together = result.pairs.assign(flips_together=True, verdict="may change")
    assert f"{len(together)} of {len(together)} pairs may change it" in replace(result, pairs=together).answer


def test_one_policy_needs_a_requirement():
    """With one policy the question is whether it meets its requirements, so it needs some. [contract]"""
    with pytest.raises(InputError, match="only one policy to choose from"):
        vary_switches(scenario(EDGE), policies="fast", replications=5)
    result = vary(scenario(EDGE), 50, policies="fast", requirements=["false_alarm <= 50%"])
    assert result.answer.startswith("fast meets its requirements under ")
    assert flips(result) == {"limit_comparison: reaches"}
    ax = plot_tornado(Figure().subplots(), result)
    assert ax.get_xlabel().startswith("change of cost of fast")


def test_the_picture_counts_unknown_values(few_switch_values):
    """The picture's title has the number of values with unknown effect on the choice, as its rows and the table do. [contract]"""
    result = vary_switches(scenario(EDGE, costs=HASTE), replications=20, engine="compiled", pairs=False)
    for n, ending in ((0, "choice"), (1, "; 1 is unknown"), (2, "; 2 are unknown")):
        verdicts = ["unknown"] * n + ["holds"] * (len(result.values) - n)
        made = replace(result, values=result.values.assign(verdict=verdicts))
        title = plot_tornado(Figure(figsize=(9, 4)).subplots(), made).get_title().replace("\n", " ")
        assert title.startswith(f"0 of {len(verdicts)} switch values change")
        assert title.endswith(ending)


def test_restarts_have_no_verdicts_but_a_makespan():
    """For a restart, which draws no release, policies are chosen by their makespan. [contract]"""
    made = scenario(EDGE).with_values({"deployment.type": "restart"})
    result = vary(made, 10, of="makespan_s")
    assert result.choice == "fast"
    with pytest.raises(InputError, match="no rollout of fast has a value"):
        vary(made, 10, of="restored_at_s")
    with pytest.raises(InputError, match="false_alarm: a restart has no release"):
        vary(made, 10, of="false_alarm")


def test_a_folder_resumes(tmp_path, few_switch_values, monkeypatch):
    """An interrupted call simulates nothing twice, and has the numbers of a call without a folder. [contract]"""
    made = scenario(EDGE)
    how = {"replications": 4, "engine": "compiled"}
    n_first = 2 * 4 * 7
    progress = []

    def interrupt(done, total):
        progress.append((done, total))
        if done > n_first + 20:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        for name, number in (("_MOST_ROWS", 4), ("_CASES_TOGETHER", 1), ("_SPANS_TOGETHER", 0)):
            patch.setattr(f"simdeploy.experiments.working.{name}", number)
        with pytest.raises(KeyboardInterrupt):
            vary_switches(made, store=tmp_path / "s", progress=interrupt, **how)
    again = []
    stored = vary_switches(made, store=tmp_path / "s", progress=lambda *progress: again.append(progress), **how)
    plain = vary_switches(made, **how)
    pd.testing.assert_frame_equal(stored.to_frame(), plain.to_frame())
    total = progress[-1][1]
    assert again[-1] == (total, total)
    # The first sweep was finished, and the second one had begun.
    assert again[0] == (n_first, total)
    assert again[1][0] > n_first
    assert [done for done, _ in again] == sorted(done for done, _ in again)
    frame = read_store(tmp_path / "s" / "values").to_frame(["policy", "scenario.orchestrator.pacing"])
    assert frame["scenario.orchestrator.pacing"].value_counts()["sliding"] == 2 * 4


def test_parts_of_the_pairs_change_no_number(monkeypatch, few_switch_values):
    """However many pairs are simulated at a time, the table is the same. [property]"""
    made = scenario(EDGE)
    whole = vary(made, 3, pairs=True)
    monkeypatch.setattr("simdeploy.analysis.switches.switch_values._MOST_ROWS", 20)
    pd.testing.assert_frame_equal(vary(made, 3, pairs=True).pairs, whole.pairs)


def test_flips_together_are_flips_of_neither(few_switch_values):
    """A pair flips together exactly if it flips the choice, and neither of its values does. [property]"""
    result = vary(scenario(EDGE, costs=HASTE), 20, pairs=True)
    alone = flips(result)
    assert alone
    for row in result.pairs.itertuples():
        each = {f"{row.switch}: {row.value}", f"{row.other_switch}: {row.other_value}"}
        assert row.flips_together == (not row.holds and not each & alone)
    assert not result.pairs["holds"].all()


def test_failed_replications_are_counted(monkeypatch):
    """Failed replications are left out of the estimates, counted, and warned about. [contract]"""
    whole = Job.run

    def fail_first(job, span):
        block = whole(job, span)
        is_ok = np.arange(block.n_rows) != block.index[0, 0]
        codes = {**block.codes, "status": np.where(is_ok, block.codes["status"], 1)}
        words = {**block.words, "status": ("ok", "failed")}
        return replace(block, codes=codes, words=words)

    monkeypatch.setattr(Job, "run", fail_first)
    with pytest.warns(SimdeployWarning, match="replications failed; the first: case"):
        result = vary(scenario(EDGE), 10, of="makespan_s")
    assert result.n_failed > 0
    assert result.policies["n"].tolist() == [9, 10]
    assert result.choice == "fast"


def test_holm_by_hand():
    """The p-values of Holm's step-down method, by hand; untested ones stay unknown. [oracle]"""
    assert adjust_by_holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjust_by_holm(np.array([0.5, 0.9])).tolist() == [1.0, 1.0]
    assert np.isnan(adjust_by_holm(np.array([np.nan, 0.2]))).tolist() == [True, False]
    assert adjust_by_holm(np.array([])).tolist() == []


def test_holm_errs_no_more_often_than_stated():
    """Of 20 dependent tests with 15 true null hypotheses, any of these is rejected in at most 5 %; n = 30. [oracle]"""
    rng = np.random.default_rng(7)
    common, own = rng.normal(size=(REPETITIONS, 1, 30)), rng.normal(size=(REPETITIONS, 20, 30))
    effects = np.where(np.arange(20) < 5, 1.0, 0.0)[:, None]
    p_values = stats.ttest_1samp(common + own + effects, 0, axis=2).pvalue
    errs = [(adjust_by_holm(row)[5:] <= 0.05).any() for row in p_values]
    assert np.mean(errs) <= 0.05 + SPREAD


@pytest.mark.parametrize("skewed", [False, True])
def test_interactions_are_covered(skewed):
    """The interval of a difference of differences covers as often as stated, also for exponentials; n = 100. [oracle]"""
    rng = np.random.default_rng(11)
    draws = rng.exponential(1, (REPETITIONS, 4, 100)) if skewed else rng.normal(0, 1, (REPETITIONS, 4, 100))
    # All four meet the same worlds.
    draws = draws + (rng.exponential(3, (REPETITIONS, 1, 100)) if skewed else 0)
    effects = np.array([0.0, 1.0, 2.0, 3.5])[:, None]
    found = [estimate_interaction(*(each + effects), confidence_level=0.95) for each in draws]
    covered = np.mean([interaction.low <= 0.5 <= interaction.high for interaction in found])
    assert 0.95 - SPREAD <= covered <= 0.95 + SPREAD
    neither, one, other, both = draws[0] + effects
    p_value = stats.ttest_1samp(both - one - other + neither, 0).pvalue
    assert found[0].p_value == pytest.approx(p_value)


def test_interactions_of_few_or_equal_values():
    """Below two replications there is no interval; without variation an interaction is certain, or there is none. [contract]"""
    one, two = np.array([1.0]), np.array([1.0, 2.0])
    assert math.isnan(estimate_interaction(one, one, one, one, confidence_level=0.95).p_value)
    assert estimate_interaction(two, two, two, two, confidence_level=0.95).p_value == 1
    assert estimate_interaction(two, two, two, two + 1, confidence_level=0.95)[:4] == (1, 1, 1, 0)


def conclusion(values, *, subject=0, has_base=True, feasibility=None):
    """Conclude from made-up values, by policy and replication."""
    rule = Rule(Measure("makespan_s"), "min", 0.95)
    names = [f"p{place}" for place in range(len(values))]
    estimates = tuple(estimate_cases(as_sample(values), rule.of, 0.95))
    feasibility = tuple(feasibility or [MET] * len(values))
    zeros = np.zeros(len(values))
    standings = Standings(tuple(names), values, estimates, feasibility, zeros, zeros.astype(bool))
    return conclude(standings, rule, subject=subject, base=subject if has_base else None)


def test_margins_are_covered():
    """The interval of the margin over the best of five equally good rivals covers; n = 50, skewed. [oracle]"""
    rng = np.random.default_rng(3)
    means = np.array([2.0, 3.0, 3.0, 3.0, 3.0, 3.0])[:, None]
    covered = 0
    for _ in range(REPETITIONS):
        draws = 0.8 * rng.exponential(1, (1, 50)) + 0.2 * rng.exponential(1, (6, 50))
        margin = conclusion(means - 1 + draws).margin
        covered += margin.low <= 1 <= margin.high
    assert covered / REPETITIONS >= 0.95 - SPREAD


def test_equal_policies_seldom_differ_certainly():
    """If all policies are equally good, a choice is called certain in at most 5 % of the cases; n = 40, skewed. [oracle]"""
    rng = np.random.default_rng(4)
    found = [
        conclusion(rng.exponential(1, (1, 40)) + rng.exponential(1, (4, 40)), subject=place % 4)
        for place in range(REPETITIONS)
    ]
    assert np.mean([each.is_sure for each in found]) <= 0.05 + SPREAD
    assert 0.15 < np.mean([each.choice == "p0" for each in found]) < 0.35


@pytest.mark.usefixtures("few_values_suffice")
def test_a_choice_is_certain_only_if_requirements_are():
    """A cheaper policy with undecided requirements leaves the choice uncertain; one that misses them doesn't. [oracle]"""
    values = np.array([[2.0, 2.1, 1.9], [1.0, 1.1, 0.9]])
    broken = Feasibility(is_met=False, verdict="not met", broken=("x",), is_known=True)
    undecided = Feasibility(is_met=False, verdict="undecided", broken=("x",), is_known=True)
    sure, unsure = (conclusion(values, feasibility=[MET, each]) for each in (broken, undecided))
    assert (sure.choice, sure.is_sure, sure.rival) == ("p0", True, None)
    assert (unsure.choice, unsure.is_sure) == ("p0", False)
    flipped = conclusion(values)
    assert (flipped.choice, flipped.is_sure, flipped.rival, flipped.reason) == ("p1", True, "p1", "p1 is better")
    # That p1 is better is certain, but not that p2 is.
    wild = conclusion(np.array([*values, [9.0, -9.0, 1.0]]))
    assert (wild.choice, wild.is_sure, wild.reason) == ("p2", True, "p2 seems better")
    may_miss = Feasibility(is_met=True, verdict="undecided", broken=(), is_known=True)
    assert conclusion(values, feasibility=[MET, may_miss]).reason == "p1 seems better"
    either = conclusion(values, has_base=False, feasibility=[MET, may_miss])
    assert (either.choice, either.is_sure, either.reason) == ("p1", True, "seems to meet the requirements")
    seems_to_break = conclusion(values[::-1], feasibility=[undecided, MET])
    assert (seems_to_break.choice, seems_to_break.reason) == ("p1", "p0 seems to break x")
    assert flipped.margin[0] == pytest.approx(-1)
    assert flipped.margin[2] < 0


def draw_tornado(result):
    """Draw switches half a page large."""
    ax = draw_on(plot_tornado, result)
    return ax, [label.get_text() for label in ax.get_yticklabels()]


def test_the_picture_shows_flips_and_sizes():
    """Flips are on top and named, the rest is sorted by size with its number, and all values are accounted for. [contract]"""
    result = vary(scenario(GATE), 50)
    ax, labels = draw_tornado(result)
    words = {labels[round(text.xy[1])]: text.get_text() for text in ax.texts if text.xy[0] == 1.02}
    values = result.values.assign(name=result.values["switch"] + ": " + result.values["value"]).set_index("name")
    assert list(words) == labels
    flips = values.index[values["verdict"].isin(["changes", "may change"])]
    assert {"canary_gate: limits", "on_failure: continue"} == set(flips) == set(labels[: len(flips)])
    for name, word in words.items():
        row = values.loc[name]
        if name in flips:
            assert word == f"{row['verdict']} to {row['choice']}"
        elif row["verdict"] == "unknown":
            assert word == "unknown"
        else:
            assert float(word.replace(",", "")) == pytest.approx(row["margin"], abs=0.51)
    marks = [line for line in ax.lines if line.get_marker() in ("D", "s", "o")]
    known = values.loc[labels, "margin"].dropna()
    assert [line.get_xdata()[0] for line in marks] == pytest.approx(known.tolist())
    sizes = (known.drop(flips) - result.base["margin"].iloc[0]).abs()
    assert sizes.is_monotonic_decreasing
    further = int(re.search(r"(\d+) further", ax.get_xlabel())[1])
    assert len(labels) + further == result.values["is_possible"].sum()
    assert not find_unreadable(ax.figure)


@pytest.mark.parametrize("width_in", [3.3, 6, 9])
def test_long_names_leave_room_for_the_bars(width_in):
    """Long names of policies are shortened in the middle, so that the bars have three tenths of the width. [contract]"""
    result = vary(scenario(GATE), 50)
    names = result.values["choice"] + "-of-the-team-that-updates-the-whole-fleet-in-waves-of-10"
    ax = draw_on(plot_tornado, replace(result, values=result.values.assign(choice=names)), size=(width_in, 4.2))
    flips = [text.get_text() for text in ax.texts if text.get_text().startswith(("changes to", "may change to", "to "))]
    assert flips
    assert all("..." in text and text.rstrip("?").endswith("-10") for text in flips)
    assert not find_unreadable(ax.figure)
    assert ax.get_window_extent().width >= 0.3 * ax.figure.bbox.width


def test_unknown_values_without_a_row_are_counted_separately(monkeypatch):
    """With more values than rows, unknown ones are not among those that change the margin by less. [contract]"""
    monkeypatch.setattr("simdeploy.plotting.switches._MOST_ROWS", 3)
    result = vary(scenario(GATE), 20)
    last = result.values.index[result.values["verdict"].str.startswith("holds")][-2:]
    unknown = {"verdict": "unknown", "margin": math.nan, "margin_low": math.nan, "margin_high": math.nan}
    values = result.values.copy()
    values.loc[last, list(unknown)] = list(unknown.values())
    ax, labels = draw_tornado(replace(result, values=values))
    n_unknown, n = int(values["verdict"].eq("unknown").sum()), int(values["is_possible"].sum())
    label = ax.get_xlabel().replace("\n", " ")
    assert len(labels) == 3
    assert (
        f"; {n - 3 - n_unknown} further values change it by less or not at all; {n_unknown} more are unknown" in label
    )


def test_labels_of_short_bars_show_their_side():
    """The label of a bar whose side is uncertain isn't 0. [contract]"""
    result = vary(scenario(GATE), 20)
    uncertain = result.values.assign(verdict="holds", margin=-0.2, margin_low=-50.0, margin_high=50.0)
    ax, labels = draw_tornado(replace(result, values=uncertain))
    assert [text.get_text() for text in ax.texts if text.xy[0] == 1.02] == ["-0.20"] * len(labels)


def test_one_large_margin_flattens_no_other():
    """If margins differ by orders of magnitude the axis is partly logarithmic, with a note, else linear. [contract]"""
    result = vary(scenario(GATE), 20)
    ax, _ = draw_tornado(result)
    assert ax.get_xscale() == "linear"
    largest = result.values["margin"].abs().idxmax()
    far = result.values.assign(margin=result.values["margin"].mask(result.values.index == largest, 1e5))
    ax, _ = draw_tornado(replace(result, values=far.assign(margin_low=far["margin"], margin_high=far["margin"])))
    assert ax.get_xscale() == "symlog"
    assert "logarithmic beyond" in ax.get_xlabel()
    assert not find_unreadable(ax.figure)
