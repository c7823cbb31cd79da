"""Reports: one file for any result, sweep or scenario, as a page and as Markdown."""

import json
import os
import re
from contextlib import nullcontext
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import SCENARIOS
from elsewhere import Elsewhere
from every_result import MAKE, SCENARIO, grid, make
from hypothesis import given, strategies as st
from invoking import invoke
from matplotlib.figure import Figure
from refusals import refused
from small import rolling

import simdeploy as sd
from simdeploy.errors import SimdeployWarning
from simdeploy.experiments.executors import InProcess
from simdeploy.plotting.figures import draw_figure
from simdeploy.report import REPORTS, ask
from simdeploy.report.formatting import PERCENT, Scale, format_estimate
from simdeploy.sharing import page as page_module
from simdeploy.sharing.cells import list_intervals, list_numbers
from simdeploy.sharing.dials import Cell, Dial, Dials, Quantity, make_dials
from simdeploy.sharing.gathering import gather
from simdeploy.sharing.markdown import to_markdown
from simdeploy.sharing.page import MOST_ROWS, to_page
from simdeploy.sharing.simulating import Request

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>|*@team*"
QUICK = Request(replications=20, engine="compiled")
EVIL = {
    "name": HOSTILE,
    "fleet": {"nodes": 4, "update_duration": {"exponential": {"mean": "30s"}}, "start_failure": 0.2},
    "release": {HOSTILE: {"probability": 1}},
    "requirements": [{"of": "makespan_s", "at_most": "1h", "given": HOSTILE}],
    "policies": {HOSTILE: rolling(2, max_failed_nodes=1)},
}


class Page(HTMLParser):
    """A parsed page: elements with their attributes, and texts."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    def text(self, *tags):
        return " ".join(text for tag, text in self.texts if not tags or tag in tags)


@pytest.fixture
def small_pictures(monkeypatch):
    """Draw nothing where a test isn't about pictures."""
    monkeypatch.setattr(page_module, "draw_figure", lambda _: Figure(figsize=(1, 1)))


# -- any result ----------------------------------------------------------------------------------------------------------


def test_every_kind_of_result_answers_a_question():
    """Exactly the kinds of result have a question. [contract]"""
    assert set(REPORTS) == set(MAKE)
    assert all(report.question.endswith("?") for report in REPORTS.values())


@pytest.mark.parametrize("name", MAKE)
def test_contents_of_a_report(name, small_pictures):
    """Page and Markdown of every kind of result have its question, answer, and each cell of its tables. [contract]"""
    result = make(name)
    contents = gather(result, Request())
    text, markdown = to_page(contents), to_markdown(contents)
    page = Page(text)
    assert len(text) < 3e6
    assert "default-src 'none'" in page.all("meta")[1]["content"]
    answer = result.answer.replace(" %", "\N{NO-BREAK SPACE}%")  # a line never begins with the sign
    assert {ask(result), answer} <= {content for tag, content in page.texts if tag == "p"}
    assert ask(result) in markdown
    for table in result.summarize():
        shown = {content for _, content in page.texts}
        cells = [line for row in (table.header, *table.rows[:40]) for cell in row for line in cell.splitlines()]
        assert {line for line in cells if line.strip()} <= shown
    assert markdown.count("\n| ") >= sum(len(table.rows[:40]) + 1 for table in result.summarize())


# Results that no command makes; their own tests draw them.
@pytest.mark.parametrize("name", ["CostResult", "Estimates", "ObservationResult", "ParetoFront", "Robustness"])
def test_pictures_of_results_without_a_command(name):
    """The picture of a result that only Python makes has panels with contents. [contract]"""
    figure = draw_figure(make(name))
    assert all(ax.has_data() for ax in figure.axes)


def test_results_without_a_picture():
    """A result without a picture, or with nothing to draw, has a report without one. [contract]"""
    assert draw_figure(make("OneRollout")) is None
    one = sd.sweep(SCENARIO, "rolling", vary={"max_failed_nodes": [1]}, replications=4, engine="compiled")
    assert draw_figure(gather(one, Request()).result) is None
    assert "<figure" not in to_page(gather(one, Request()))


def test_a_result_keeps_its_command(tmp_path, monkeypatch):
    """A command's JSON states its assumptions and policies, and how to compute it again. [contract]"""
    monkeypatch.chdir(tmp_path)
    scenario = str(SCENARIOS / "small-fleet.yaml")
    invoke("check", scenario, "--require", "makespan_s <= 2h", "--most", 100, "--engine", "compiled", "-o", "a.json")
    markdown = invoke("report", "a.json", "--format", "md").stdout
    assert f"simdeploy check {scenario} --require 'makespan_s <= 2h' --most 100 --engine compiled -o a.json" in markdown
    assert re.search(r"\| scenario_sha256 \| [0-9a-f]{64} \|", markdown)
    assert "| seed | 0 |" in markdown
    page = Page(to_page(gather("a.json", Request())))
    assert {"Assumptions", "Policies as JSON"} <= {content for tag, content in page.texts if tag == "h2"}
    facts = sd.load_example("small-fleet").to_question()["fleet"]
    assert set(map("fleet.{}".format, facts)) <= {content for _, content in page.texts}
    policies = sd.load_example("small-fleet").policies
    assert set(policies) <= {content for tag, content in page.texts if tag == "h3"}
    written = [json.loads(text) for tag, text in page.texts if tag == "pre" and text.startswith("{")]
    assert [spec for spec in written if "canary_count" in spec]
    assert f"simdeploy {sd.__version__}" in markdown


@pytest.mark.parametrize("junk", [
    1, "x", [1], {}, {"a": 1}, {"fleet": 3}, {"a": {"b": 1}}, {"a": {"b": {"spec": 1}}}, {"a": {"b": {"spec": HOSTILE, "notes": [2]}}},
    {"fleet": {"nodes": {"deep": [{}, None, HOSTILE]}}}, {HOSTILE: {HOSTILE: []}}, {"release": []}, {"costs": None},
])  # fmt: skip
def test_junk_in_a_document_does_no_harm(junk, small_pictures):
    """World and policies of a document may have any contents, which the report shows as text. [contract]"""
    document = make("Check").to_dict() | {"computed_under": {"world": junk, "specs": junk, "switches": junk}}
    contents = gather(sd.read_result(document), Request())
    page = Page(to_page(contents))
    assert len(page.all("script")) <= 2
    assert all("onerror" not in attrs for attrs in page.all("img"))
    to_markdown(contents)


def test_untrusted_intervals_are_marked(small_pictures):
    """An interval that may be too narrow is marked in tables and slider values, and has a hollow point. [contract]"""
    frame = make("GridSummary").cells.assign(false_alarm_is_trusted=False)
    result = sd.GridSummary(frame, make("GridSummary").factors, 0.95, {})
    page = to_page(gather(result, Request()))
    cells = json.loads(re.search(r'id="grid">(.*?)</script>', page)[1])["quantities"][0]["cells"]
    assert all("(~" in text and not is_trusted for text, *_, is_trusted in cells)
    assert "interval may be too narrow" in page
    assert 'fill="white"' in page


# -- dials ---------------------------------------------------------------------------------------------------------------


def test_positions_are_cases():
    """Each position of the sliders shows the estimates of its case, for any order of cases. [property]"""
    result = sd.estimate(grid(), ["makespan_s", "failed"])
    shuffled = replace(result, estimates=result.estimates.sample(frac=1, random_state=1))
    dials = make_dials(shuffled)
    keys = ["max_failed_nodes", "scenario.fleet.start_failure", "policy"]
    assert [(dial.key, dial.is_slider) for dial in dials.dials] == list(zip(keys, [True, True, False], strict=True))
    by_case = result.estimates.set_index(["measure", *[dial.key for dial in dials.dials]])["estimate"]
    for number, position in enumerate(dials.positions()):
        values = [dial.raw[place] for dial, place in zip(dials.dials, position, strict=True)]
        assert dials.quantities[1].cells[number].estimate == pytest.approx(100 * by_case[("failed", *values)])


def test_other_designs_have_no_sliders():
    """Lists of points, repeated cases and a single case have no sliders. [contract]"""
    cells = make("GridSummary").cells
    for rows in (cells[1:], pd.concat([cells, cells]), cells[:1]):
        assert make_dials(sd.GridSummary(rows.reset_index(drop=True), make("GridSummary").factors, 0.95, {})) is None


def test_missing_values_come_last():
    """A key that is unset in some cases has that as its last value. [contract]"""
    frame = make("GridSummary").cells.replace({"max_failed_nodes": {4: float("nan")}})
    assert make_dials(sd.GridSummary(frame, make("GridSummary").factors, 0.95, {})).dials[0].values == ("0", "unset")


def test_a_scenario_has_thresholds_that_matter():
    """For a scenario two thresholds vary, initially at the policy's values; of both limits the decisive one. [contract]"""
    dials = gather(SCENARIO, QUICK).dials
    percent, rate = dials.dials
    # 4 of 40 nodes, before 10.
    assert (percent.key, percent.values[percent.start]) == ("max_failed_nodes_percent", "10")
    assert (rate.key, rate.values[rate.start]) == ("health_check.max_error_rate", "0.1")
    both = SCENARIO.with_values({"orchestrator.limit_combination": "both"})
    assert gather(both, QUICK).dials.dials[0].key == "max_failed_nodes"


@pytest.mark.parametrize("type_", ["restart", "stop"])
def test_a_scenario_without_a_release_has_sliders(type_):
    """The page of a restart or stop has sliders, with the measures that such a rollout has. [contract]"""
    dials = gather(sd.read_scenario(SCENARIOS / f"type-{type_}.yaml"), QUICK).dials
    titles = [quantity.title for quantity in dials.quantities]
    assert titles == ["makespan of completed rollouts", "failed rollouts", "minimum in service of completed rollouts"]
    assert all(len(quantity.cells) == len(list(dials.positions())) for quantity in dials.quantities)


@pytest.mark.parametrize("limit", ["max_failed_nodes", "max_failed_nodes_percent"])
def test_unset_limits(limit):
    """Of two limits the set one varies; a setting without a value starts at unset, and its policy omits it. [contract]"""
    policy = {"dialect": "general", **rolling(2)}
    raw = {**EVIL, "policies": {"p": {**policy, limit: 2}}}
    dials = gather(sd.Scenario.from_dict(raw), QUICK).dials
    assert (dials.dials[0].key, dials.dials[0].values[dials.dials[0].start]) == (limit, "2")
    request = replace(QUICK, vary={"health_check.min_healthy_time": [0, 30]})
    dials = gather(sd.Scenario.from_dict({**EVIL, "policies": {"p": policy}}), request).dials
    (dial,) = dials.dials
    assert (dial.values, dial.start) == (("0s", "30s", "unset"), 2)
    healths = [specs["general"]["spec"]["health_check"].get("min_healthy_time") for specs in dials.specs]
    assert healths == ["0s", "30s", None]


def test_policies_of_positions():
    """The JSON at each position is the policy with these values, in a suitable dialect. [contract]"""
    dials = gather(SCENARIO, QUICK).dials
    for position, specs in zip(dials.positions(), dials.specs, strict=True):
        assert list(specs) == ["deployment", "rollout"]
        for spec in (written["spec"] for written in specs.values()):
            assert spec["max_failed_nodes_percent"] == dials.dials[0].raw[position[0]]
            assert spec["health_check"]["max_error_rate"] == dials.dials[1].raw[position[1]]


def test_chosen_thresholds():
    """--policy and --vary choose what varies; the policy's own value and the default are among the values. [contract]"""
    dials = gather(SCENARIO, Request("canary", {"canary_count": [1, 8]}, 20, engine="compiled")).dials
    assert [(dial.name, dial.values, dial.start) for dial in dials.dials] == [("canary_count", ("1", "2", "8"), 1)]
    assert dials.policy == "canary"


def test_varied_keys_belong_to_a_policy_that_uses_them(tmp_path, monkeypatch):
    """By default the first policy that doesn't ignore the varied keys is used; if all do, one must be named. [contract]"""
    scenario = sd.read_scenario(SCENARIOS / "small-fleet.yaml")
    assert next(iter(scenario.policies.values())).policy.strategy == "immediate"
    for name, policy in (("max_parallel", "rolling"), ("canary_count", "canary")):
        dials = gather(scenario, replace(QUICK, vary={name: [1, 5]})).dials
        assert (dials.policy, dials.dials[0].key) == (policy, name)
        assert len({cell.text for cell in dials.quantities[2].cells}) > 1
    monkeypatch.chdir(tmp_path)
    small = {"name": "s", "fleet": {"nodes": 4, "update_duration": "1m"}, "policies": {"p": {"strategy": "immediate"}}}
    Path("s.yaml").write_text(json.dumps(small), encoding="utf-8")
    found = invoke("report", "s.yaml", "-o", "a.html", "--vary", "max_parallel=1,2")
    assert found.exit_code == 2
    assert "ignored by every policy of the scenario" in found.stderr
    with pytest.raises(sd.InputError, match="no such key"):
        gather(scenario, replace(QUICK, vary={"max_paralel": [1, 5]}))


def test_a_policy_may_ignore_other_keys_than_the_varied_ones():
    """A policy that ignores a key of its own is used for keys that it doesn't ignore. [contract]"""
    gated = rolling(2, canary_count=1, health_check={"deadline": "5m", "gate": {"kind": "pooled", "alpha": 0.05}})
    fleet = {"nodes": 6, "update_duration": 60, "requests_per_second": 10, "error_rate": 0.001}
    raw = {"name": "g", "fleet": fleet, "policies": {"p": gated}}
    with pytest.warns(sd.SimdeployWarning, match="ignores"):
        scenario = sd.Scenario.from_dict(raw)
    for name, is_used in (("max_parallel", True), ("canary_count", False), ("health_check.gate.alpha", False)):
        request = replace(QUICK, vary={name: [1, 2] if name != "health_check.gate.alpha" else [0.05, 0.1]})
        with nullcontext() if is_used else pytest.raises(sd.InputError, match="ignored by every policy"):
            assert gather(scenario, request).dials.dials[0].key == name


def test_a_given_policy_is_compared(small_pictures):
    """A policy with the name of one of the scenario's replaces it, in sliders and comparison. [contract]"""
    scenario = sd.read_scenario(SCENARIOS / "small-fleet.yaml")
    contents = gather(scenario, replace(QUICK, policy=replace(scenario.policies["all-at-once"], name="canary")))
    assert contents.policies["canary"]["deployment"]["spec"]["strategy"] == "immediate"
    of = dict(list(contents.result.estimates.groupby("policy")["estimate"]))
    np.testing.assert_array_equal(of["canary"], of["all-at-once"])


# -- stores --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strata", ["kinds", None])
def test_a_sweep_and_its_folder(strata, tmp_path):
    """A sweep's folder gives its report, with scenario, policies at each position and digest. [contract]"""
    vary = {"max_failed_nodes": [0, 4], "health_check.deadline": ["5m", "10m"]}
    how = {"vary": vary, "replications": 20, "strata": strata, "engine": "compiled"}
    sweep = sd.sweep(SCENARIO, "rolling", **how, store=tmp_path / "kept")
    of_sweep, of_folder = gather(sweep, Request()), gather(tmp_path / "kept", Request())
    assert of_folder.result.answer == of_sweep.result.answer
    assert [dial.values for dial in of_folder.dials.dials] == [("0", "4"), ("5m", "10m")]
    assert of_folder.dials.quantities == of_sweep.dials.quantities
    assert of_folder.dials.specs[1]["rollout"]["spec"]["health_check"]["deadline"] == 600_000_000_000
    assert {"fleet.nodes", "release.good.probability"} <= {row[0] for row in of_folder.assumptions[0].rows}
    assert dict(of_folder.origin.rows)["SHA-256 of the question"]
    assert dict(of_folder.origin.rows)["replications"] == "20"


@pytest.mark.filterwarnings("ignore:.* missing:simdeploy.SimdeployWarning")
def test_a_folder_of_an_unfinished_sweep(tmp_path):
    """A report on a part of a sweep's rollouts says so; without any there is none. [contract]"""
    vary = {"max_failed_nodes": [0, 4]}
    sd.sweep(SCENARIO, "rolling", vary=vary, replications=20, strata="kinds", engine="compiled", store=tmp_path)
    *others, last = sorted(tmp_path.glob("*/parts/*"))
    for part in others:
        part.unlink()
    n = len(sd.read_store(tmp_path))
    contents = gather(tmp_path, Request())
    assert contents.about == f"Not finished: {n} rollouts so far, of a part of the worlds."
    assert dict(contents.origin.rows)["finished"] == f"no: {n} rollouts so far"
    last.unlink()
    assert str(refused(gather, tmp_path, Request())) == "the table of replications is empty"


def test_a_pipe_of_unknown_contents_is_refused(tmp_path):
    """A named pipe that may hold a scenario or a result is refused, because finding out would use it up. [contract]"""
    os.mkfifo(tmp_path / "source.json")
    done = invoke("report", tmp_path / "source.json", "--format", "md")
    assert done.exit_code == 2
    assert "source.json: a pipe named .json, which may hold a scenario or a result; write it to a file" in done.stderr


def test_a_folder_of_batches(tmp_path):
    """The folder of a sweep to a precision, which has one for each batch, says what the sweep does. [contract]"""
    how = {"targets": {"p50 makespan_s": "1s"}, "vary": {"max_failed_nodes": [0, 4]}, "most": 200, "engine": "compiled"}
    found = sd.sweep_to_precision(SCENARIO, "rolling", **how, store=tmp_path)
    assert (tmp_path / "batch-01").is_dir()
    of_sweep, of_folder = gather(found.responses, Request()), gather(tmp_path, Request())
    assert of_folder.result.answer == of_sweep.result.answer
    origin = dict(of_folder.origin.rows)
    assert (of_folder.title, origin["replications"], origin["seed"]) == (SCENARIO.name, "200", "0")
    next(tmp_path.glob("batch-01/parts/*")).unlink()
    with pytest.warns(SimdeployWarning, match="1 of 1 parts are missing"):
        assert gather(tmp_path, Request()).about.startswith("Not finished: 200 rollouts so far")


def test_a_folder_of_policies(tmp_path):
    """The folder of replications of policies gives a comparison. [contract]"""
    sd.replicate(SCENARIO, ["rolling", "canary"], replications=20, engine="compiled", store=tmp_path / "kept")
    contents = gather(tmp_path / "kept", Request())
    assert contents.result.policies == ("rolling", "canary")
    assert list(contents.policies) == ["rolling", "canary"]
    assert contents.dials is None


# -- names and text ------------------------------------------------------------------------------------------------------


def test_names_are_text():
    """Markup in a name is text in a page: it adds no element or attribute, and ends no script. [contract]"""
    scenario = sd.Scenario.from_dict(EVIL)
    contents = gather(scenario, QUICK)
    page = Page(to_page(contents))
    assert [attrs.get("type") for attrs in page.all("script")] == ["application/json", None]
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert [attrs["src"][:26] for attrs in page.all("img")] == ["data:image/svg+xml;base64,"]
    assert page.text("h1") == HOSTILE
    grid = page.text("script").partition('"use strict"')[0]
    assert not {"<", ">", "&"} & set(grid)
    assert HOSTILE in json.loads(grid)["quantities"][-1]["title"]
    markdown = to_markdown(contents)
    assert markdown.startswith("## \\</script\\>\\<script\\>")
    outside = re.sub(r"```.*?```", "", markdown, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<(?!/?(details|summary|br)\b)", outside)
    assert "@team" not in outside


def test_cells_of_markdown():
    """A cell stays one cell, with Markdown's characters escaped; words with _ stay readable. [contract]"""
    table = pd.DataFrame({"policy": ["a|b", "max_failed_nodes"], "replication": 0, "makespan_s": [60.0, 80.0]})
    markdown = to_markdown(gather(sd.compare(table), Request()))
    lines = markdown.splitlines()
    places = [number for number, line in enumerate(lines) if line.startswith("| a\\|b")]
    assert places
    for row, rule in ((lines[place], lines[place - 1]) for place in places):
        assert set(rule) <= set("|-: "), rule
        assert len(re.split(r"(?<!\\)\|", row)) == len(rule.split("|"))
    assert "| max_failed_nodes" in markdown


def test_large_tables_are_cut(small_pictures):
    """The page of a large sweep has its first rows, the number of others, and less than 3 MB. [contract]"""
    cells = make("GridSummary").cells
    many = pd.concat([cells] * 400, ignore_index=True).assign(case=range(400 * len(cells)))
    text = to_page(gather(sd.GridSummary(many, make("GridSummary").factors, 0.95, {}), Request()))
    assert f"{len(many) - MOST_ROWS:,} more rows are not shown." in text
    assert len(text) < 3e6


@pytest.mark.parametrize(("n", "quantities", "left"), [(2, 2, "all"), (60, 6, "sliders"), (100, 6, "nothing")])
def test_pages_of_many_positions_are_short(n, quantities, left, small_pictures):
    """A page has less than 3 MB: first policies are left out, then sliders, with a note. [contract]"""
    contents = gather(sd.Scenario.from_dict(EVIL), replace(QUICK, vary={"max_failed_nodes": [0, 1]}))
    values = tuple(map(str, range(n)))
    keys = [Dial(key, key, tuple(range(n)), values, 0, True) for key in ("a", "b")]
    cell = Cell("12.3 % (10.1 to 15.2)", 12.345, 10.123, 15.234, True)
    measured = tuple(Quantity(f"q{number}", "%", (cell,) * n**2) for number in range(quantities))
    specs = (next(iter(contents.policies.values())),) * n**2
    text = to_page(replace(contents, dials=Dials(tuple(keys), measured, "waves", specs)))
    assert len(text.encode()) < 3e6
    page = Page(text)
    assert ('id="grid"' in text, 'id="json-0"' in text) == (left != "nothing", left == "all")
    text = page.text("p")
    assert (f"policies of the {n**2:,} positions are left out" in text) == (left == "sliders")
    assert (f"with {n**2:,} positions the page would be too large" in text) == (left == "nothing")


def test_equal_reports_are_equal_bytes():
    """The same source gives the same file, pictures included. [contract]"""
    one, other = (to_page(gather(make("GridSummary"), Request())) for _ in range(2))
    assert one == other


numbers = st.floats(-1e6, 1e6, allow_nan=False)


@given(
    numbers,
    numbers,
    numbers,
    st.sampled_from([PERCENT, Scale(1 / 60, "min"), Scale(1, ""), Scale(1, "EUR per rollout")]),
)
def test_intervals_are_read_as_they_are_written(a, b, c, scale):
    """Any estimate in a table can be drawn with its interval, and sorted by. [property]"""
    low, estimate, high = sorted((a, b, c))
    text = format_estimate(estimate, low, high, scale, sign=True)
    assert list_intervals([text, text.replace(" (", "\n").rstrip(")")]) == [list_intervals([text] * 2)[0]] * 2
    (interval, _), [value] = list_intervals([text, text]), list_numbers([text])
    assert interval.low <= interval.estimate <= interval.high
    assert value == pytest.approx(interval.estimate * (60 if scale.unit == "min" else 1))


# -- the command ---------------------------------------------------------------------------------------------------------


def test_no_warning_is_repeated_for_every_case(tmp_path, monkeypatch):
    """A warning about a value of a threshold is given once, not for each case. [contract]"""
    monkeypatch.chdir(tmp_path)
    raw = {
        "name": "three",
        "fleet": {"nodes": 3, "update_duration": 60, "start_failure": 0.1, "requests_per_second": 10},
        "policies": {"p": {"strategy": "rolling", "max_failed_nodes": 0, "health_check": {"deadline": "5m"}}},
    }
    Path("three.yaml").write_text(json.dumps(raw), encoding="utf-8")
    found = invoke("report", "three.yaml", "-o", "report.md", "--replications", 20, "--engine", "compiled")
    assert found.stderr.count("max_failed_nodes: can never stop a rollout of 3 nodes") == 1


def test_the_command_and_the_call(tmp_path, monkeypatch):
    """The command writes what the call writes, and both show that command. [contract]"""
    monkeypatch.chdir(tmp_path)
    scenario = SCENARIOS / "zone-breaks.yaml"
    found = invoke("report", scenario, "-o", "report.md", "--replications", 20, "--engine", "compiled")
    assert (found.exit_code, found.stderr) == (0, "wrote report.md\n")
    by_command = Path("report.md").read_text(encoding="utf-8")
    sd.write_report(scenario, "report.md", replications=20, engine="compiled")
    assert Path("report.md").read_text(encoding="utf-8") == by_command
    assert f"simdeploy report {scenario} -o report.md --replications 20 --engine compiled" in by_command


def test_a_report_is_simulated_elsewhere(tmp_path, monkeypatch):
    """An executor runs all rollouts of a report, which stays the same. [property]"""
    page = tmp_path / "report.html"
    sd.write_report(SCENARIO, page, replications=20, engine="compiled")
    here = page.read_text(encoding="utf-8")
    monkeypatch.setattr(InProcess, "run", lambda *_: pytest.fail("this is not elsewhere"))
    sd.write_report(SCENARIO, page, replications=20, engine="compiled", executor=Elsewhere())
    assert page.read_text(encoding="utf-8") == here


def test_a_scenario_in_json(tmp_path, monkeypatch):
    """The report is that of the same scenario in YAML, with the same options. [contract]"""
    monkeypatch.chdir(tmp_path)
    for file in ("s.json", "s.yaml"):
        Path(file).write_text(json.dumps(EVIL | {"name": "s"}), encoding="utf-8")
    words = ("--replications", 20, "--engine", "compiled", "--format", "md")
    by_json, by_yaml = (invoke("report", file, *words) for file in ("s.json", "s.yaml"))
    assert (by_json.exit_code, by_json.stdout) == (0, by_yaml.stdout.replace("s.yaml", "s.json"))
    sd.write_report("s.json", "s.md", replications=20, engine="compiled")
    assert Path("s.md").read_text(encoding="utf-8").partition("```")[0] == by_json.stdout.partition("```")[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.json"], "a page needs -o FILE.html"),
        (["a.json", "-o", "a.html", "--format", "md"], "needs a file that ends with .md"),
        (["a.json", "-o", "a.html", "--seed", "3"], "--seed is for scenarios"),
        (["a.json", "-o", "a.html", "--cluster", "tcp://h:1"], "--cluster is for scenarios"),
        (["s.yaml", "-o", "a.html", "--cluster", "tcp://h:1", "--workers", "2"], "can't be combined with --cluster"),
        (["s.yaml", "-o", "a.html", "--cluster", "nowhere"], "cluster: invalid address"),
        (["a.json", "-o", "a.pdf"], "must end with one of .html, .md"),
        (["a.json", "-o", "a.html"], "the kind of result is missing"),
        (["empty", "-o", "a.html"], "allowed: a store's folder"),
        (["s.yaml", "-o", "a.html", "--policy", "a", "--policy", "b"], "takes one --policy"),
        (["s.yaml", "-o", "a.html", "--vary", "release=1"], "can't be varied as a threshold"),
    ],
)
def test_invalid_sources_and_options(words, message, tmp_path, monkeypatch):
    """The command refuses invalid sources and options, with the allowed ones. [contract]"""
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_text("{}", encoding="utf-8")
    Path("s.yaml").write_text(json.dumps(EVIL | {"name": "s"}), encoding="utf-8")
    Path("empty").mkdir()
    found = invoke("report", *words)
    assert (found.exit_code, message in found.stderr) == (2, True), found.stderr


def test_invalid_arguments(tmp_path):
    """The call refuses endings without a form, and invalid sources. [contract]"""
    with pytest.raises(sd.InputError, match=r"unknown form of a report .*allowed: .html or .md"):
        sd.write_report(SCENARIO, tmp_path / "report.pdf")
    with pytest.raises(sd.InputError, match="not a source of a report"):
        sd.write_report(3, tmp_path / "report.md")
