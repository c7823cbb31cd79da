"""Rollouts that never end: no analysis calls a policy with some of them the best, certain, or good enough."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from small import rolling

from simdeploy import compare, replicate, sweep, write_report
from simdeploy.analysis import summarize_grid
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.checking.checking import check
from simdeploy.analysis.costs.causes import estimate_costs
from simdeploy.analysis.costs.information import value_of_perfect_information
from simdeploy.analysis.costs.observation import value_of_observation
from simdeploy.analysis.estimates.grid import MEANS
from simdeploy.analysis.tradeoffs.moving import tradeoff
from simdeploy.analysis.tradeoffs.pareto import pareto_front
from simdeploy.documents import read_result
from simdeploy.errors import InputError
from simdeploy.plotting import plot_heatmap
from simdeploy.scenario import Scenario
from simdeploy.scenario.measures import parse_measure

N = 500


def policy(max_failed_nodes):
    """Make a policy of waves."""
    return rolling(2, max_failed_nodes=max_failed_nodes, max_failed_nodes_percent=99)


@pytest.fixture(scope="module")
def pausing():
    """Three releases of five fail half of the starts: strict and stricter stop them, and then wait for a person for ever."""
    bad = {"probability": 0.6, "defective": True, "start_failure": 0.5}
    raw = {
        "name": "pausing",
        "fleet": {"nodes": 20, "update_duration": "1m"},
        "release": {"good": {"probability": 0.4}, "bad": bad},
        "costs": {"hour_of_delay": 60, "escape": 20},
        "orchestrator": {"on_failure": "pause"},
        "policies": {"strict": policy(1), "lax": policy(19), "laxer": {**policy(19), "max_parallel": 1}},
    }
    return Scenario.from_dict(raw)


@pytest.fixture(scope="module")
def table(pausing):
    """Replicate that scenario."""
    return replicate(pausing, replications=N, engine="compiled")


@pytest.fixture(scope="module")
def share(table):
    """Return the fraction of endless rollouts under strict."""
    fraction = table.loc[table["policy"].eq("strict"), "makespan_s"].isna().mean()
    assert 0.5 < fraction < 0.7
    return fraction


@pytest.fixture(scope="module")
def unknown_share(share):
    """Return how answers state that fraction."""
    return f"strict: {100 * share:.3g} % of its rollouts never end"


def test_what_is_unknown(pausing, table, share):
    """An endless rollout is unknown for a measure if the measure is, or may be, about it. [oracle]"""
    all_of = {
        "cost": share,
        "false_alarm": share,
        "false_alarm given good": 0,
        "escaped given defective": 1,
        "makespan_s given bad": 1,
        # A defective release can't complete good, and what is paused isn't completed; either may escape.
        "makespan_s given completed_good": 0,
        "makespan_s given escaped": 1,
        "makespan_s given completed": 0,
        "blast_radius": 0,
        "paused": 0,
    }
    values = Values(table, list(all_of), costs=pausing.costs, release=pausing.release)
    found = {name: values.unknown_fractions(parse_measure(name)).tolist() for name in all_of}
    assert found == {name: [fraction, 0, 0] for name, fraction in all_of.items()}
    of_few = Values(table.drop(columns="makespan_s"), ["false_alarm"])
    assert not of_few.is_unknown(parse_measure("false_alarm")).any()


def test_failed_is_not_unknown(pausing, table):
    """Failed replications are neither unknown nor possible events. [property]"""
    failed = table.copy()
    rows = failed["policy"].eq("strict") & failed["makespan_s"].isna()
    failed.loc[rows, "status"] = "failed"
    assert Values(failed, ["cost"], costs=pausing.costs).unknown_fractions(parse_measure("cost")).tolist() == [0, 0, 0]
    # If strict ends at all, it does the same as lax.
    assert compare(failed, costs=pausing.costs).answer.startswith("Use strict or lax: mean cost ")
    assert value_of_perfect_information(failed, costs=pausing.costs).n_left_out == rows.sum()


def test_a_comparison(pausing, table, unknown_share):
    """A policy of unknown cost has no rank, and the answer says why after comparing the others. [contract]"""
    comparison = compare(table, costs=pausing.costs)
    estimates = comparison.estimates.query("response == 'cost'").set_index("policy")
    assert estimates["estimate"].idxmin() == "strict"
    ranking = comparison.ranking.query("response == 'cost'").set_index("policy")
    assert ranking.loc["strict", ["rank", "is_among_best"]].isna().all()
    assert ranking.loc["strict", "unknown_fraction"] == estimates.loc["strict", "unknown_fraction"] > 0
    assert ranking["is_among_best"].tolist()[1:] == [True, False]
    assert comparison.answer.startswith("Of those with known cost, use lax: mean cost ")
    assert comparison.answer.endswith(f"lower than laxer. Cost unknown for {unknown_share}.")
    # If the number is known for every rollout, it is compared.
    assert comparison.ranking.query("response == 'blast_radius'")["rank"].notna().all()
    of_two = compare(table[table["policy"].ne("laxer")], costs=pausing.costs).answer
    assert of_two.startswith("lax: mean cost ")
    assert of_two.endswith(f". Cost unknown for {unknown_share}.")
    assert "low" not in of_two
    without_costs = table.copy()
    del without_costs.attrs["costs"]
    without_costs = compare(without_costs).answer
    assert without_costs.endswith("Escapes unknown for strict: 100 % of its relevant rollouts never end.")


def test_costs(pausing, table, unknown_share):
    """The cheapest policy is the cheapest of known cost. [contract]"""
    result = estimate_costs(table, costs=pausing.costs)
    assert result.totals["estimate"].idxmin() == 0
    assert result.answer.startswith("Of the cases with known cost, lax has the lowest mean cost: ")
    assert result.answer.endswith(f"Cost unknown for {unknown_share}.")
    alone = estimate_costs(table[table["policy"].ne("laxer")], costs=pausing.costs).answer
    assert alone.startswith("Mean cost of lax: ")
    assert alone.endswith(f"Cost unknown for {unknown_share}.")


def test_a_front(pausing, table, unknown_share):
    """An unknown case is neither on the front nor dominated, and dominates none. [contract]"""
    front = pareto_front(table, {"cost": "min", "blast_radius": "min"}, costs=pausing.costs)
    cases = front.cases.set_index("policy")
    assert cases.loc["strict", ["cost", "blast_radius"]].lt(cases.loc["lax", ["cost", "blast_radius"]]).all()
    assert cases["is_on_front"].isna().tolist() == [True, False, False]
    assert "strict" not in cases["dominated_by"].tolist()
    assert cases["is_significantly_dominated"].tolist()[:2] == [False, False]
    assert front.answer.endswith(f"Standing unknown for {unknown_share}.")
    assert [row[-1] for row in front.summarize()[0].rows if row[0] == "strict"] == ["unknown"]
    known = pareto_front(table, {"blast_radius": "min"}).cases.set_index("policy")
    assert known["is_on_front"].tolist() == [True, False, False]


def test_a_check(pausing):
    """A requirement of unknown value is undecided with the reason, and replicated no further; others are decided. [contract]"""
    asked = ["p95 makespan_s <= 60m", "cost <= 20", "false_alarm given good <= 20%", "paused <= 1%"]
    found = check(pausing, requirements=asked, policies=["strict", "lax"], most=2000, engine="compiled")
    verdicts = found.verdicts.set_index(["policy", "of"])
    assert verdicts.loc["strict", "verdict"].tolist() == ["undecided", "undecided", "met", "not met"]
    assert verdicts.loc["strict", "replications"].tolist()[:2] == [100, 100]
    assert verdicts.loc[("strict", "makespan_s"), "reason"].endswith("% of the rollouts never end")
    assert verdicts.loc["strict", "unknown_fraction"].gt(0).tolist() == [True, True, False, False]
    assert verdicts.loc[("lax", "makespan_s"), "verdict"] == "met"
    assert found.verdict == "not met"
    alone = check(pausing, requirements=asked[:2], policies="strict", engine="compiled")
    assert alone.verdict == "undecided"
    # All rollouts of the bad release, which has its exact share of the worlds.
    assert "but 60 % of the rollouts never end" in alone.answer


def test_perfect_information(pausing, table, share, unknown_share):
    """Policies of unknown cost are left out of the value of information; with only one other it is refused. [property]"""
    result = value_of_perfect_information(table, costs=pausing.costs)
    others = value_of_perfect_information(table[table["policy"].ne("strict")], costs=pausing.costs)
    assert result.values.equals(others.values)
    assert (result.policy, result.n_left_out) == ("lax", 0)
    assert result.answer.startswith("Knowing the kind of release in advance saves ")
    assert result.answer.endswith(f"Cost unknown for {unknown_share}.")
    message = rf"can't choose: rollouts that never end .* \(found {100 * share:.3g} % of strict"
    with pytest.raises(InputError, match=message):
        value_of_perfect_information(table[table["policy"].ne("laxer")], costs=pausing.costs)


def test_watching(pausing):
    """Savings by or against a policy that may never end are missing, nothing pays, and the answer says why. [contract]"""
    result = value_of_observation(pausing, "strict", replications=N, engine="compiled", canaries=[2], minutes=[1])
    assert result.savings[["estimate", "low", "high"]].isna().all(axis=None)
    assert result.savings["cost"].gt(0).any()
    assert (result.limits["pays_until"] == result.limits["current"]).all()
    assert "the effect of one more canary is unknown" in result.answer
    assert result.answer.endswith("% of the rollouts: they never end.")


def test_a_tradeoff(pausing):
    """A value with endless rollouts is no improvement, and is called unknown. [contract]"""
    how = {"axes": ["cost", "blast_radius"], "replications": N, "engine": "compiled"}
    found = tradeoff(pausing, "lax", vary={"max_failed_nodes": [0, 19]}, **how)
    rows = found.differences.query("measure == 'cost'")
    assert rows["unknown_fraction"].gt(0).all()
    assert rows[["estimate", "low", "high"]].isna().all(axis=None)
    assert found.differences.query("measure == 'blast_radius' and value == 0")["high"].lt(0).all()
    assert "instead of" not in found.answer
    judged = {row[0]: row[-1] for row in found.summarize()[0].rows}
    assert judged["0"] == "unknown"
    other_way = tradeoff(pausing, "strict", vary={"max_failed_nodes": [19]}, **how)
    assert "Cost unknown for strict: " in other_way.answer
    assert np.isnan(other_way.differences.query("measure == 'cost'")["low"]).all()


@pytest.mark.parametrize("strata", [None, "kinds"])
def test_a_sweep(pausing, strata, tmp_path):
    """Cases have the unknown fractions of `Values`, which answer, table, JSON, picture and report state. [contract]"""
    how = {"replications": 100, "engine": "compiled", "strata": strata}
    result = sweep(pausing, "lax", vary={"max_failed_nodes": [0, 1, 19], "max_parallel": [2, 4]}, **how)
    summary = summarize_grid(result)
    measures = {"false_alarm": "false_alarm given good", "escape": "escaped given defective"}
    measures |= {key: f"{name} given completed_good" if key != name else name for key, name in MEANS.items()}
    values = Values(result, list(measures.values()))
    for name, measure in measures.items():
        found = summary.cells[f"{name}_unknown_fraction"]
        assert found.tolist() == pytest.approx(values.unknown_fractions(parse_measure(measure)).tolist()), name
    assert summary.answer.startswith("False alarms in 6 cases: ")
    assert "Escapes unknown for 4 cases: " in summary.answer
    (table,) = summary.summarize()
    assert (table.header[1], [row[1] == "0.0 %" for row in table.rows]) == ("never end", [False] * 4 + [True] * 2)
    assert read_result(json.loads(json.dumps(summary.to_dict()))).answer == summary.answer
    axes = plot_heatmap(Figure(figsize=(13, 4)).subplots(1, 3), summary)
    most = f"{100 * summary.cells['escape_unknown_fraction'].max():.3g} % never end"
    assert [most in ax.get_title() for ax in axes] == [False, True, False]
    write_report(summary, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().count(most) >= 2


def test_a_sweep_where_the_first_quantity_is_unknown(pausing):
    """The answer gives the extremes of the known cases, and what is unknown for the others. [contract]"""
    good = pausing.with_values({"release.good.start_failure": 0.5})
    how = {"vary": {"max_failed_nodes": [0, 19]}, "replications": 100, "engine": "compiled"}
    assert summarize_grid(sweep(good, "lax", **how)).answer.startswith("False alarms where known (1 of 2 cases): ")
    how["vary"] = {"max_failed_nodes": [0, 1]}
    assert summarize_grid(sweep(good, "lax", **how)).answer.startswith("False alarms, escapes and makespan")
