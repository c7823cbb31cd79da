"""Parts of the explorer's front end in a browser, without a server."""

import pytest

from simdeploy.explorer.front_end import read_module, read_style

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")

# Curves of two values, and a model that keeps what it is sent.
HELPERS = """
const estimate = (measure, value, more) => ({
  measure, label: measure, about: "", given: null, better: "min", estimate: value, low: value - 0.1, high: value + 0.1, n: 9, is_trusted: true,
  text: String(value), interval: "1 to 2", factor: 1, unit: "", ...more,
});
const curveOf = (names, more) => ({ lever: "limit", n: 50, kind: "whole", points: [1, 2].map((value) => ({
  value, is_here: value === 1, is_default: false, estimates: names.map((name, place) => estimate(name, place ? 5 - value : value, more)),
})) });
const controlOf = (more) => ({ name: "limit", label: "limit", group: "policy", kind: "whole", base: 1, default: null, factor: 1, unit: "",
  steps: [0, 1, 2, 3].map((value) => ({ values: { limit: value }, number: value, text: String(value) })), ...more });
class FakeModel {
  constructor(position) { this.values = { position }; this.sent = []; this.listeners = {}; }
  get(name) { return this.values[name]; }
  set(name, value) { this.values[name] = value; }
  save_changes() {}
  send(content) { this.sent.push(content); }
  on(name, listener) { (this.listeners[name] ??= []).push(listener); }
  off() {}
  tell(answer, name = "msg:custom") { for (const listener of this.listeners[name]) listener(answer); }
}
const START = { type: "start", looks: { statuses: {}, outcomes: {} }, scenario: "s", description: "", policies: ["waves", "other"], kinds: [],
  confidence_level: 0.95, nodes: 4, start: { policy: "waves", values: {} } };
"""


@pytest.fixture
def page(visit):
    """Return a page with the front end's parts; errors in it fail the test."""
    visited = visit()
    visited.page.set_content("<div id='cell'></div>")
    visited.page.add_style_tag(content=read_style())
    visited.page.add_script_tag(content=read_module().replace("export default { render };", "") + HELPERS)
    yield visited.page
    assert visited.errors == []


def test_doubtful_intervals_decide_nothing(page):
    """An interval that can't be trusted is dashed in the chart, marked ~ in the table, and never counts as better or worse. [contract]"""
    trusted, doubtful = (
        page.evaluate(
            """(is_trusted) => {
              const view = new Tradeoff(() => {}, "95 %");
              view.show(curveOf(["false_alarm", "escaped"], { is_trusted }), controlOf());
              const now = estimate("escaped", 1, { is_trusted });
              const cell = view.table.querySelector("td").textContent;
              const changes = [compareEstimates(now, estimate("escaped", 3)), compareEstimates(estimate("escaped", 3), now)];
              return [view.place.querySelectorAll(".bar").length, view.place.querySelectorAll(".doubtful").length, cell, changes, view.note.textContent];
            }""",
            is_trusted,
        )
        for is_trusted in (True, False)
    )
    assert trusted[:4] == [4, 0, "1 (1 to 2)", ["better", "worse"]]
    assert doubtful[:4] == [4, 4, "1 (~1 to 2)", ["unclear", "unclear"]]
    assert "Dashed" not in trusted[4]
    assert "Dashed ones, with ~ in the table, may be too narrow." in doubtful[4]


CUT = """(chart) => [...chart.querySelectorAll("text")].filter((text) => {
  const [of, room] = [text.getBoundingClientRect(), chart.getBoundingClientRect()];
  return of.left < room.left || of.right > room.right;
}).map((text) => text.textContent)"""


@pytest.mark.parametrize("factor", [1, 2_000_000, 3e12])
def test_numbers_on_axes_are_complete(page, factor):
    """Numbers of any size on both axes of the curve are within the picture, so that they can be read. [contract]"""
    cut = page.evaluate(
        f"""(factor) => {{
          const view = new Tradeoff(() => {{}}, "95 %");
          const cell = document.getElementById("cell");
          cell.className = "simdeploy-explorer";
          cell.replaceChildren(view.element);
          view.show(curveOf(["false_alarm", "cost"], {{ factor }}), controlOf());
          return ({CUT})(view.place.querySelector("svg"));
        }}""",
        factor,
    )
    assert cut == []


def test_the_size_of_a_fleet_is_complete(page):
    """A large number of nodes is within the picture of a rollout. [contract]"""
    cut = page.evaluate(
        f"""() => {{
          const view = new Rollout({{ statuses: {{ pending: "#ccc" }} }}, [], () => {{}});
          const cell = document.getElementById("cell");
          cell.className = "simdeploy-explorer";
          cell.replaceChildren(view.element);
          view.show({{
            replication: 0, kind: null, headline: "", end_s: 60, scale: {{ factor: 1, unit: "s" }}, times_s: [0, 60],
            statuses: {{ pending: [2000000, 2000000] }}, shown: ["pending"], cells: [[[0, 0]]], nodes_per_cell: 2000000,
            states: ["in_progress", "in_progress"], gauges: [[], []], lines: [],
          }});
          return ({CUT})(view.place.querySelector("svg"));
        }}"""
    )
    assert cut == []


@pytest.mark.parametrize("is_picked", [False, True])
def test_an_axis_without_a_measure_is_replaced(page, is_picked):
    """If a measure on an axis is no longer estimated, axes are suggested anew, even if the user chose them. [contract]"""
    chosen = page.evaluate(
        """(isPicked) => {
          const view = new Tradeoff(() => {}, "95 %");
          view.show(curveOf(["false_alarm", "escaped"]), controlOf());
          const before = { ...view.chosen };
          if (isPicked) view.choose();
          view.show(curveOf(["false_alarm", "blast_radius"]), controlOf());
          return [before, view.chosen, view.y.value, view.isPicked];
        }""",
        is_picked,
    )
    now = {"x": "false_alarm", "y": "blast_radius"}
    assert chosen[:3] == [{"x": "false_alarm", "y": "escaped"}, now, "blast_radius"]
    assert not chosen[3]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("duration", "90", 90),
        ("duration", " 1.5 ", 1.5),
        ("duration", "1m30s", "1m30s"),
        ("duration", "soon", "soon"),
        ("whole", "2", 2),
        ("whole", "1e309", "1e309"),
        ("number", "-Infinity", "-Infinity"),
        ("duration", 400 * "9", 400 * "9"),
    ],
)
def test_typed_values(page, kind, text, value):
    """Plain digits are a number, in seconds if the value is a duration; other texts, and numbers too large for JSON, read as in a
    file. [contract]"""
    assert page.evaluate("([kind, text]) => readTyped(controlOf({ kind }), text)", [kind, text]) == value


BEGIN = """() => {
  const model = new FakeModel({ policy: "waves", values: {} });
  const explorer = new Explorer(model, document.getElementById("cell"));
  model.tell(START);
  model.tell({ type: "controls", ask: explorer.number, view: explorer.view, controls: [controlOf()] });
  Object.assign(window, { model, explorer });
}"""


@pytest.mark.parametrize("end", ["pointerup", "pointercancel", "blur"])
def test_returning_a_slider_to_its_start(page, end):
    """A slider dragged back to its start, for which browsers fire no change event, does not disturb the next undo step. [contract]"""
    page.evaluate(BEGIN)
    found = page.evaluate(
        """(end) => {
          const range = document.querySelector("input[type=range][data-name=limit]");
          range.focus();
          for (const step of [3, 1]) {
            range.value = step;
            range.dispatchEvent(new Event("input", { bubbles: true }));
          }
          if (end === "blur") range.blur();
          else range.dispatchEvent(new Event(end, { bubbles: true }));
          const isMoving = Boolean(explorer.moving);
          explorer.goTo({ policy: "other", values: {} }, null);
          explorer.chooseLever("limit");
          return [isMoving, explorer.past.before.length, explorer.past.now.policy];
        }""",
        end,
    )
    assert found == [False, 1, "other"]


def test_refused_values_are_no_change(page):
    """The last change is from the last value that was not refused. [contract]"""
    page.evaluate(BEGIN)
    shown = page.evaluate(
        """() => {
          const specs = { deployment: { spec: {}, notes: [] } };
          return [0, -1, 3].map((limit) => {
            explorer.past.last.at = -Infinity; // a step of its own
            explorer.move("limit", { limit }, true);
            const { ask, position } = model.sent.at(-1).content;
            if (limit < 0) model.tell({ type: "error", ask, problems: ["no"] });
            else model.tell({ type: "numbers", ask, position, estimates: [], n: 9, is_last: true, specs, warnings: [] });
            return explorer.change.textContent;
          });
        }"""
    )
    assert shown[0] == "Last change: limit 1 → 0"
    assert shown[2] == "Last change: limit 0 → 3"


def test_views_receive_their_own_answers(page):
    """Each of two views of one widget receives the answers with its id and those to all, even if question numbers coincide. [contract]"""
    page.evaluate(BEGIN)
    heard = page.evaluate(
        """() => {
          const [one, two] = [explorer, new Explorer(model, document.getElementById("cell"))];
          two.ask = () => {};
          const start = { ...START, view: two.view };
          const before = one.number;
          model.tell(start);
          const isAlone = one.number === before && Boolean(two.about);
          one.showError = two.showError = function (answer) { this.error = answer.problems[0]; };
          model.tell({ type: "error", ask: 9, view: one.view, problems: ["mine"] });
          model.tell({ type: "error", ask: 9, problems: ["all"] });
          const all = [one.error, two.error];
          model.tell({ type: "error", ask: 9, view: two.view, problems: ["other"] });
          two.close();
          return [isAlone, all, one.error, two.error, one.view !== two.view, model.sent.at(-1).content, model.sent.at(-1).view === two.view];
        }"""
    )
    assert heard == [True, ["all", "all"], "all", "other", True, "bye", True]


def test_controls_of_an_earlier_question_are_shown(page):
    """Controls that arrive after a further question was asked aren't sent again, and are shown with its rollout. [contract]"""
    page.evaluate(BEGIN)
    shown = page.evaluate(
        """() => {
          explorer.rollout.show = () => {};
          const count = () => document.querySelectorAll(".slider").length;
          const ask = explorer.number;
          explorer.move("limit", { limit: 2 }, true);
          model.tell({ type: "controls", ask, controls: [controlOf(), controlOf({ name: "other", label: "other" })] });
          const before = count();
          model.tell({ type: "rollout", ask: explorer.number });
          return [before, count()];
        }"""
    )
    assert shown == [1, 2]


def test_a_position_without_values_is_the_file(page):
    """A position that Python sets without values is that of the file. [contract]"""
    page.evaluate(BEGIN)
    asked = page.evaluate(
        """() => {
          model.set("position", { policy: "other" });
          model.tell({}, "change:position");
          return model.sent.at(-1).content.position;
        }"""
    )
    assert asked == {"policy": "other", "values": {}}


def test_focus_is_kept(page):
    """A dialect button keeps the focus when numbers arrive; a reset button passes it to its slider. [contract]"""
    page.evaluate(BEGIN)
    focused = page.evaluate(
        """() => {
          const specs = { deployment: { spec: {}, notes: [] }, rollout: { spec: {}, notes: [] } };
          explorer.policy.show(specs);
          const button = explorer.policy.tabs.children[1];
          button.click();
          button.focus();
          explorer.policy.show(specs);
          const isKept = document.activeElement === button && button.getAttribute("aria-pressed") === "true";
          explorer.goTo({ policy: "waves", values: { limit: 2 } }, "limit");
          const reset = document.querySelector(".slider button");
          reset.focus();
          reset.click();
          return [isKept, reset.hidden, document.activeElement.dataset.name, explorer.past.now.values];
        }"""
    )
    assert focused == [True, True, "limit", {}]


@pytest.mark.parametrize("has_link", [True, False])
def test_undo_shortcut_is_limited_in_notebooks(page, has_link):
    """In the served page Ctrl+Z undoes wherever the focus is; in a notebook, only inside the widget. [contract]"""
    page.evaluate(
        BEGIN.replace("model.tell(START)", f"model.set('has_link', {str(has_link).lower()}); model.tell(START)")
    )
    page.evaluate("explorer.goTo({ policy: 'other', values: {} }, null); document.activeElement.blur()")
    page.keyboard.press("Control+z")
    assert page.evaluate("explorer.past.now.policy") == ("waves" if has_link else "other")


def test_time_is_disabled_without_a_film(page):
    """Until a rollout has been shown, as after a link to an invalid position, its time control is disabled. [contract]"""
    page.evaluate(BEGIN)
    moved = page.evaluate(
        """() => {
          const buttons = [...document.querySelectorAll(".rollout .steps button")];
          for (const button of buttons) button.click();
          return [buttons.length, buttons.every((button) => button.disabled), explorer.rollout.slider.disabled];
        }"""
    )
    assert moved == [5, True, True]
