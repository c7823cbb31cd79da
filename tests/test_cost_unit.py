"""The unit of costs, if the scenario states one, follows every cost that is printed or drawn."""

import json
import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from invoking import invoke
from matplotlib.figure import Figure
from matplotlib.text import Text

import simdeploy as sd
from simdeploy import plotting
from simdeploy.analysis import summarize_grid
from simdeploy.scenario.parts import Costs

SMALL = sd.read_scenario(Path(__file__).resolve().parents[1] / "scenarios" / "small-fleet.yaml")
UNIT = "€"
POLICIES = ["rolling", "canary"]
STARTS = "scenario.fleet.start_failure"
FEW = {"replications": 20, "engine": "compiled"}


@cache
def scenario(unit):
    """Return the scenario with costs in a unit, or unchanged if that is None."""
    return SMALL if unit is None else SMALL.with_values({"costs.unit": unit})


@cache
def replications(unit):
    """Return replications of all policies."""
    return sd.replicate(scenario(unit), **FEW)


@cache
def grid(unit):
    """Return a sweep of policies and of the world."""
    return sd.sweep(scenario(unit), POLICIES, vary={"max_failed_nodes": [0, 4], STARTS: [0.0, 0.1]}, **FEW)


def world(end):
    """Return a scenario with other costs and another name."""
    return scenario(UNIT).with_values({"name": f"world {end}", "costs.escape": end})


# Each result with costs, made with the unit.
MAKE = {
    "Check": lambda unit: sd.check(scenario(unit), requirements=["cost <= 1000", "p95 cost_delay <= 1"], most=100, engine="compiled"),
    "Comparison": lambda unit: sd.compare(replications(unit)),
    "CostResult": lambda unit: sd.estimate_costs(grid(unit)),
    "Estimates": lambda unit: sd.estimate(grid(unit), ["p95 cost", "makespan_s", "cost_delay given good"]),
    "GateComparison": lambda unit: sd.compare_gates(scenario(unit), "rolling", gates=["pooled"], sizes=[0.1], replications=100, engine="compiled"),
    "InformationResult": lambda unit: sd.value_of_perfect_information(replications(unit)),
    "ObservationResult": lambda unit: sd.value_of_observation(scenario(unit), "canary", canaries=[1, 2], minutes=[0, 1], **FEW),
    "ParetoFront": lambda unit: sd.pareto_front(grid(unit), {"cost": "min", "blast_radius": "min"}),
    "Precision": lambda unit: sd.replicate_to_precision(
        scenario(unit), "canary", targets={"cost_delay": 5, "makespan_s": "9%"}, most=500, engine="compiled"
    ),
    "Robustness": lambda unit: sd.estimate_regret(grid(unit), requirements="cost <= 100"),
    "Sensitivity": lambda unit: sd.estimate_sensitivity(
        scenario(unit), "rolling", vary={STARTS: (0.0, 0.1), "max_parallel": [2, 5]}, size=6, replications=4, engine="compiled"
    ),
    "Switches": lambda unit: sd.vary_switches(scenario(unit), policies=POLICIES, replications=4, pairs=False, engine="compiled"),
    "Tradeoff": lambda unit: sd.tradeoff(
        scenario(unit), "rolling", vary={"max_failed_nodes": [0, 8]}, axes=["cost", "makespan_s"], **FEW
    ),
    "Tuning": lambda unit: sd.tune(
        scenario(unit), "rolling", requirements="cost_delay <= 50", vary={"max_parallel": [1, 40]}, direction="max", replications=20, final=500,
        most=20_000, engine="compiled",
    ),
}  # fmt: skip
# The columns of their tables that have the unit, by heading; and whether the answer states a cost.
WHERE = {
    "Check": ({"requirement", "estimate"}, True),
    "Comparison": ({"cost", "minus best other"}, True),
    "CostResult": (
        {"cost", *(f"cost of {cause}" for cause in ("delay", "failed requests", "unavailability", "false alarms", "escapes"))},
        True,
    ),
    "Estimates": ({"p95 of cost", "cost of delay of good releases"}, True),
    "GateComparison": ({"cost", "cost minus threshold"}, True),
    "InformationResult": ({"saved", "cost"}, True),
    "ObservationResult": ({"total", "delay", "failed requests", "unavailability", "false alarms", "by this step"}, True),
    "ParetoFront": ({"cost (min)"}, False),
    "Precision": ({"estimate", "half-width", "required"}, True),
    "Robustness": ({"largest gap", "mean gap", "start_failure 0", "start_failure 0.1"}, True),
    "Sensitivity": ({"mean absolute effect (mu*)", "mean effect (mu)", "spread of effects (sigma)"}, True),
    "Switches": ({"cost", "margin", "change in cost"}, True),
    "Tradeoff": ({"cost"}, True),
    "Tuning": ({"cost", "minus recommended", "estimate"}, True),
}  # fmt: skip
PLOTS = {
    "Check": plotting.plot_check,
    "Comparison": lambda ax, result: plotting.plot_comparison(ax, result, response="cost"),
    "CostResult": plotting.plot_costs,
    "Estimates": plotting.plot_estimates,
    "ObservationResult": plotting.plot_value_of_observation,
    "ParetoFront": plotting.plot_pareto,
    "Robustness": plotting.plot_regret,
    "Sensitivity": plotting.plot_sensitivity,
    "Switches": plotting.plot_tornado,
    "Tradeoff": plotting.plot_tradeoff,
    "Tuning": plotting.plot_tuning,
    "ranking": lambda ax, result: plotting.plot_ranking(ax, result, of="cost"),
}


@cache
def make(name, unit):
    """Return a result."""
    return MAKE["Comparison" if name == "ranking" else name](unit)


def texts_of(result, unit=None):
    """Return all texts of a result, with the unit removed."""
    texts = [result.answer]
    for table in result.summarize():
        texts += [table.title, *table.header, *(cell for row in table.rows for cell in row)]
    return texts if unit is None else [text.replace(f" {unit}", "") for text in texts]


def draw(name, unit):
    """Return all texts of a result's picture."""
    ax = Figure(figsize=(6, 4)).subplots()
    PLOTS[name](ax, make(name, unit))
    return [text.get_text() for text in ax.findobj(Text)]


@pytest.mark.parametrize("name", MAKE)
def test_every_cost_has_its_unit(name):
    """Each cell with a cost has the unit, or its heading does; no other cell has it; the answer does. [contract]"""
    result = make(name, UNIT)
    headings, is_in_answer = WHERE[name]
    assert (f" {UNIT}" in result.answer) == is_in_answer
    found = set()
    for table in result.summarize():
        for heading, cells in zip(table.header, zip(*table.rows, strict=True), strict=True):
            if any(UNIT in cell for cell in (heading, *cells)):
                found.add(heading)
            if heading in headings and any(UNIT in cell for cell in cells) and name != "Precision":
                # Here makespans share these columns.
                assert all(re.search(rf"\d {UNIT}", cell) for cell in cells if re.search(r"\d", cell)), (heading, cells)
    assert found == headings


@pytest.mark.parametrize("name", MAKE)
def test_without_a_unit_nothing_else_changes(name):
    """Texts differ only by the unit, and documents have the bare amounts. [property]"""
    plain = make(name, None)
    assert texts_of(make(name, UNIT), UNIT) == texts_of(plain)
    assert plain.computed_under["costs"] == {
        "failed_request": 0.02, "unavailable_node_hour": 0.5, "hour_of_delay": 20, "false_alarm": 150, "escape": 1000,
    }  # fmt: skip
    pd.testing.assert_frame_equal(plain.to_frame(), make(name, UNIT).to_frame())


@pytest.mark.parametrize("name", MAKE)
def test_the_unit_is_in_the_document(name):
    """A result read from its document states the same costs. [contract]"""
    document = json.loads(json.dumps(make(name, UNIT).to_dict()))
    assert document["computed_under"]["costs"]["unit"] == UNIT
    assert Costs(**document["computed_under"]["costs"]) == scenario(UNIT).costs
    assert texts_of(sd.read_result(document)) == texts_of(make(name, UNIT))


@pytest.mark.parametrize("name", PLOTS)
def test_every_cost_is_drawn_with_its_unit(name):
    """A label has the unit; otherwise the picture is the same. [contract]"""
    words = draw(name, UNIT)
    assert any(UNIT in text for text in words)
    without = [re.sub(rf", {UNIT}| \({UNIT}\)| {UNIT}", "", text) for text in words]
    # Lines may break elsewhere.
    assert [text.split() for text in without] == [text.split() for text in draw(name, None)]


def test_a_rollouts_unit_is_shown_with_its_cost():
    """A rollout states amount and unit, per rollout. [contract]"""
    assert re.match(r"canary has the lowest mean cost: [\d.]+ € per rollout \(", make("Comparison", UNIT).answer)
    assert re.search(r"Largest cause: [a-z ]+, [\d.]+ €\.$", make("CostResult", UNIT).answer)


@pytest.mark.parametrize("name", MAKE)
def test_answers_stay_short(name):
    """The longest unit keeps an answer within its limit, and a unit ending in a full stop adds no second one. [contract]"""
    document = make(name, UNIT).to_dict()
    document["computed_under"]["costs"]["unit"] = "Rechnungsgl."
    answer = sd.read_result(document).answer
    assert ("Rechnungsgl." in answer) == WHERE[name][1]
    assert len(answer) <= 240
    assert ".." not in answer


def test_other_numbers_have_no_costs():
    """Results in which no cost matters record none. [contract]"""
    for result in (
        sd.estimate(grid(UNIT), "makespan_s"),
        sd.pareto_front(grid(UNIT), {"makespan_s": "min"}),
        sd.estimate_regret(grid(UNIT), of="makespan_s"),
        sd.check(scenario(UNIT), requirements="makespan_s <= 1h", most=100, engine="compiled"),
        summarize_grid(grid(UNIT)),
    ):
        assert "costs" not in result.computed_under
        assert UNIT not in " ".join(texts_of(result))


def test_a_verdict_on_costs_records_them():
    """If a world breaks by its cost, the result records the costs. [contract]"""
    how = {"vary": {STARTS: (0.0, 0.5)}, "points": 40, "replications": 2, "engine": "compiled"}
    limits = ("p50 cost <= 100", "p50 makespan_s <= 1h")
    found = [sd.discover(scenario(UNIT), "canary", requirements=limit, **how) for limit in limits]
    assert [result.computed_under.get("costs", {}).get("unit") for result in found] == [UNIT, None]


def test_scenarios_of_one_unit():
    """Regrets over scenarios with different costs are in their common unit. [contract]"""
    table = sd.sweep([world(500), world(2000)], POLICIES, **FEW)
    result = sd.estimate_regret(table)
    prices = {name: of["escape"] for name, of in result.computed_under["costs"].items()}
    assert prices == {"world 500": 500, "world 2000": 2000}
    assert f" {UNIT} (" in result.answer
    assert texts_of(sd.read_result(result.to_dict())) == texts_of(result)


def test_the_unit_is_no_part_of_a_rollout(tmp_path):
    """Scenario files and tables, also those of a resumed store, keep the unit. [contract]"""
    again = sd.Scenario.from_dict(scenario(UNIT).to_dict())
    assert again == scenario(UNIT) != scenario(None)
    assert again.costs.unit == UNIT
    assert scenario("") == scenario(None)
    assert replications(UNIT).attrs["costs"] == again.costs.to_dict()
    assert "unit" not in replications(None).attrs["costs"]
    how = {"vary": {"max_failed_nodes": [0, 4]}, **FEW, "store": tmp_path / "store"}
    first = sd.sweep(scenario(None), "rolling", **how)
    manifest = (tmp_path / "store" / "manifest.json").read_bytes()
    second = sd.sweep(scenario("USD"), "rolling", **how)
    assert (tmp_path / "store" / "manifest.json").read_bytes() == manifest
    pd.testing.assert_frame_equal(first.to_frame(), second.to_frame())
    assert " USD per rollout" in sd.estimate_costs(second).answer
    read = sd.read_store(tmp_path / "store")
    assert " USD per rollout" in sd.estimate_costs(read, costs=scenario("USD").costs).answer


def test_commands_show_the_unit(tmp_path):
    """A command takes the unit from the file; JUnit reports have it, too. [contract]"""
    file = tmp_path / "x.yaml"
    requirement = {"of": "cost_delay", "quantile": 0.95, "at_most": 1}
    raw = {**scenario(UNIT).to_dict(), "requirements": [requirement]}
    file.write_text(json.dumps(raw), encoding="utf-8")
    few = ["--engine", "compiled", "--replications", "20"]
    run = invoke("compare", file, *few, "--costs", "--plot", tmp_path / "x.svg")
    assert run.exit_code == 3, run.stderr  # so few can't decide the requirement
    assert " € per rollout" in run.stdout.splitlines()[0]
    assert run.stdout.count(f" {UNIT}") > 10
    junit = tmp_path / "x.xml"
    checked = invoke("check", file, "--engine", "compiled", "--most", "100", "--junit", junit)
    assert checked.exit_code in (0, 1, 3), checked.stderr
    pattern = r"p95 of cost of delay at most 1 (€|&#8364;).*found [\d.]+ (€|&#8364;)"
    assert re.search(pattern, junit.read_text(encoding="utf-8"))
