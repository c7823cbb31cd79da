"""The explorer in a browser: used with a mouse, with keys, and in a notebook's widget."""

import json
import queue
import re
import threading

import pytest

import simdeploy
from simdeploy.analysis.asking.simulating import replicate_kinds
from simdeploy.explorer import running
from simdeploy.explorer.answering import Effort, Explorer, find_measures
from simdeploy.explorer.front_end import read_module, read_style
from simdeploy.explorer.position import Position, settle
from simdeploy.explorer.preparing import begin_loading
from simdeploy.report.formatting import format_amount, measure_scale
from simdeploy.report.rollout import say_end
from simdeploy.web.serving import listen

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")
from playwright.sync_api import expect

FINAL = 60  # rollouts behind a refined number
SCENARIO = "small-fleet"
TOO_WIDE = """() => document.documentElement.scrollWidth <= document.documentElement.clientWidth ? []
  : [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > innerWidth + 0.5
    && !each.closest(".scroll")).map((each) => each.outerHTML.slice(0, 80))"""
LONG = """() => {
  for (const each of document.querySelectorAll(".card .value, .card .interval")) each.textContent = "9,002,600,241,162 EUR";
  for (const each of document.querySelectorAll("h1, .title option")) each.textContent = "the-policy-of-all-shops-".repeat(4);
}"""
# Looked at in every frame; `expect` looks once a second in the end.
HAS_NUMBERS = """(final) => document.querySelector(`.simdeploy-explorer[data-rollouts="${final}"]:not(.asking)`)
  && document.querySelector(".tradeoff .chart .here")"""
EVENTS = """([name, step]) => {
  const range = document.querySelector(`input[type=range][data-name="${name}"]`);
  range.value = step;
  range.dispatchEvent(new Event("input", { bubbles: true }));
  range.dispatchEvent(new Event("change", { bubbles: true }));
}"""


@pytest.fixture(scope="module")
def scenario():
    return simdeploy.load_example(SCENARIO)


@pytest.fixture(scope="module")
def url(scenario):
    """Serve the explorer in a thread; return its address."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Explorer, "efforts", lambda _: [Effort(20, False), Effort(FINAL, True)])
        policies = {name: scenario.policies[name] for name in ("rolling", "canary")}
        explorer = Explorer(scenario, policies, engine="compiled")
        with listen("127.0.0.1", 0) as listening:
            server, url = running.make_server(explorer, listening)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            yield url
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def explore(visit, url):
    """Open the explorer, and wait for its numbers; console messages and outside requests fail the test."""
    visits = []

    def open_page(fragment="", **options):
        visits.append(visit(url + fragment, **options))
        wait_for_numbers(visits[-1].page)
        return visits[-1]

    yield open_page
    for each in visits:
        assert each.elsewhere == []
        assert each.errors == []


def wait_for_numbers(page):
    """Wait until the numbers are refined, and the curve is drawn."""
    page.wait_for_function(HAS_NUMBERS, arg=str(FINAL))
    expect(page.locator(".tradeoff .chart .here")).to_be_visible()


def slider(page, name):
    """Return the slider of a key."""
    return page.locator(f"input[type=range][data-name='{name}']")


def read_cards(page):
    """Return the displayed numbers by measure."""
    cards = page.locator(".card")
    return {card.get_attribute("data-measure"): card.locator(".value").inner_text() for card in cards.all()}


def expected_cards(scenario, policy="rolling", **values):
    """Return the numbers of the Python API at a position."""
    place = settle(Position(policy, values), scenario, scenario.policies)
    table = replicate_kinds(place.scenario, {policy: place.policy}, replications=FINAL, engine="compiled")
    rows = simdeploy.estimate(table, find_measures(place.scenario, "update")).estimates
    return {
        name: format_amount(value, measure_scale(simdeploy.scenario.measures.parse_measure(name), abs(value), ""))
        for name, value in zip(rows["measure"], rows["estimate"], strict=True)
    }


def expect_cards(page, wanted):
    """Wait until the cards have these numbers, refined."""
    page.wait_for_function(HAS_NUMBERS, arg=str(FINAL))
    for name, text in wanted.items():
        expect(page.locator(f".card[data-measure='{name}'] .value")).to_have_text(text)


def test_numbers_follow_the_mouse(explore, scenario):
    """Dragging sliders of policy and world shows the Python API's numbers, and how the setting changed them. [contract]"""
    page = explore().page
    expect_cards(page, expected_cards(scenario))
    box = slider(page, "max_failed_nodes").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.8, middle)
    page.mouse.down()
    for share in (0.6, 0.3, 0.0):
        page.mouse.move(box["x"] + 4 + (box["width"] - 8) * share, middle, steps=4)
    page.mouse.up()
    expect(slider(page, "max_failed_nodes")).to_have_value("0")
    expect_cards(page, expected_cards(scenario, max_failed_nodes=0))
    expect(page.locator(".last-change")).to_have_text(re.compile("Last change: max failed nodes 10 → 0"))
    expect(page.locator(".card[data-measure='false_alarm given good'] .change")).to_contain_text("worse, was")
    page.evaluate(EVENTS, ["scenario.fleet.start_failure", 0])
    expect_cards(page, expected_cards(scenario, **{"max_failed_nodes": 0, "scenario.fleet.start_failure": 0}))


def test_everything_works_with_keys(explore, scenario):
    """Sliders, undo, redo, strategy and steps of time work with keys alone. [contract]"""
    page = explore().page
    before = read_cards(page)
    page.keyboard.press("Tab")
    for _ in range(30):
        if page.evaluate("document.activeElement.dataset.name") == "max_failed_nodes":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Home")
    expect_cards(page, expected_cards(scenario, max_failed_nodes=0))
    page.keyboard.press("Control+z")
    expect(slider(page, "max_failed_nodes")).not_to_have_value("0")
    expect_cards(page, before)
    page.keyboard.press("Control+Shift+z")
    expect(slider(page, "max_failed_nodes")).to_have_value("0")
    page.get_by_role("radio", name="rolling").focus()
    page.keyboard.press("ArrowRight")
    expect(slider(page, "canary_count")).to_be_visible()
    slider(page, "canary_count").focus()
    page.keyboard.press("Home")
    expect_cards(page, expected_cards(scenario, strategy="canary", canary_count=1, max_failed_nodes=0))
    page.get_by_role("radio", name="canary").focus()
    page.keyboard.press("ArrowLeft")
    expect(slider(page, "canary_count")).to_have_count(0)
    assert page.evaluate("location.hash") == "#policy=rolling&max_failed_nodes=0"
    clock = page.locator(".clock")
    page.get_by_role("slider", name="Time", exact=True).focus()
    page.keyboard.press("Home")
    expect(clock).to_contain_text("0:00 of")
    page.get_by_role("button", name="Next event").focus()
    page.keyboard.press("Enter")
    expect(clock).not_to_contain_text("0:00 of")


def test_a_link_restores_the_position(explore, scenario):
    """The address holds only what was changed, and shows the same numbers to whoever opens it. [contract]"""
    page = explore().page
    page.evaluate(EVENTS, ["max_failed_nodes", 1])
    page.get_by_label("Deadline, exact value").fill("8m")
    page.keyboard.press("Enter")
    values = {"max_failed_nodes": 1, "health_check.deadline": "8m"}
    expect_cards(page, expected_cards(scenario, **values))
    fragment = page.evaluate("location.hash")
    assert sorted(fragment[1:].split("&")) == ["health_check.deadline=8m", "max_failed_nodes=1", "policy=rolling"]
    other = explore(fragment).page
    expect_cards(other, expected_cards(scenario, **values))
    expect(other.get_by_label("Deadline, exact value")).to_have_value("8m")
    other.evaluate("location.hash = '#policy=canary'")
    expect_cards(other, expected_cards(scenario, "canary"))
    other.get_by_role("button", name="Undo").click()
    expect_cards(other, expected_cards(scenario, **values))
    other.get_by_role("button", name="Reset to").click()
    expect_cards(other, expected_cards(scenario))
    other.evaluate("location.hash = '#policy=canary'")
    expect_cards(other, expected_cards(scenario, "canary"))
    other.evaluate("location.hash = ''")
    expect_cards(other, expected_cards(scenario))


def test_invalid_values_are_explained(explore, scenario):
    """Typing a value that a file can't have shows the reason; the next valid value shows numbers. [contract]"""
    page = explore().page
    exact = page.get_by_label("Max failed nodes, exact value")
    for wrong in ("-3", "1e309", "<img src=x onerror=alert(1)>"):
        exact.fill(wrong)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("max_failed_nodes")
    exact.fill("3")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("")
    expect_cards(page, expected_cards(scenario, max_failed_nodes=3))
    assert page.locator("img").count() == 0


def test_a_typed_value_is_written_like_others(explore):
    """Once its field is left, a typed value has its unit, and an empty field the value that applies. [contract]"""
    page = explore().page
    for label, typed, written in [("Max error rate", "2", "2 %"), ("Max failed nodes", "", "10")]:
        exact = page.get_by_label(f"{label}, exact value")
        exact.fill(typed)
        for key in ("Enter", "Tab"):
            page.keyboard.press(key)
        expect(exact).to_have_value(written)


def test_a_change_of_strategy_is_one_change(explore):
    """The number of canaries, which comes and goes with the strategy, is no change of its own. [contract]"""
    page = explore().page
    change = page.locator(".last-change")
    page.locator(".choice label", has_text="canary").click()
    expect(change).to_have_text("Last change: Strategy rolling → canary")
    page.get_by_role("button", name="Undo").click()
    expect(change).to_have_text("Last change: Strategy canary → rolling")


def test_a_link_to_an_unknown_policy_is_refused(visit, url):
    """A link that names a policy of another scenario shows this, instead of another policy; choosing one shows numbers. [contract]"""
    page = visit(f"{url}#policy=nope").page
    expect(page.get_by_role("alert")).to_contain_text("no such policy (found 'nope'); allowed: rolling, canary")
    expect(page.get_by_role("heading", name="Trade-off")).to_be_hidden()
    page.get_by_role("combobox", name="Policy", exact=True).select_option("canary")
    expect(page.get_by_role("alert")).to_have_text("")
    wait_for_numbers(page)


def test_the_policy_is_copied_in_both_dialects(explore, scenario):
    """A copied policy is accepted by the scenario, in either dialect, with the same meaning. [contract]"""
    page = explore(permissions=["clipboard-read", "clipboard-write"]).page
    page.evaluate(EVENTS, ["max_failed_nodes", 2])
    wait_for_numbers(page)
    meant = []
    for dialect in ("deployment", "rollout"):
        page.get_by_role("button", name=f"{dialect} dialect").click()
        page.get_by_role("button", name="Copy the policy as JSON").click()
        expect(page.locator(".policy .bar")).to_contain_text("Copied")
        spec = json.loads(page.evaluate("navigator.clipboard.readText()"))
        meant.append(scenario.policy({"dialect": dialect, **spec}).policy)
    assert [policy.max_failed_nodes for policy in meant] == [2, 2]
    assert meant[0].deadline_ns == meant[1].deadline_ns


def test_a_rollout_is_stepped_through(explore, scenario):
    """A chosen rollout of a kind of release ends as in `simulate`; its steps have times, counts and events. [contract]"""
    page = explore("#policy=rolling&max_failed_nodes=0").page
    panel = page.locator(".rollout")
    panel.get_by_role("combobox").select_option("good")
    panel.get_by_role("button", name="Next rollout").click()
    place = settle(Position("rolling", {"max_failed_nodes": 0}), scenario, scenario.policies)
    rollout = simdeploy.simulate(scenario.given("good"), place.policy, replication=1)
    expect(panel.locator("output").first).to_have_text("rollout 1")
    expect(panel.locator(".headline")).to_have_text(f"{say_end(rollout.response_values)}. Release: good.")
    for drawn in panel.locator("path.area").all():  # ends where it begins: upright
        path = drawn.get_attribute("d")
        assert path.split("H")[-1].removesuffix("Z") == path.removeprefix("M").partition(",")[0]
    panel.get_by_role("button", name="To the end").click()
    states = {"completed": "completed", "failed": "failed"}
    expect(panel.locator(".clock")).to_contain_text(states[rollout.response_values["state"]])
    for status, count in rollout.nodes["status"].value_counts().items():
        expect(panel.locator(".legend")).to_contain_text(f"{status.replace('_', ' ')} {count}")
    panel.get_by_role("button", name="To the start").click()
    expect(panel.locator(".legend")).to_contain_text("starting")
    expect(panel.locator(".lines li").first).to_contain_text("wave 1 of")


def test_numbers_while_the_engine_compiles(visit, scenario, monkeypatch):
    """While the engine compiles, the page shows rough numbers and says why; then better ones and the curve follow. [contract]"""
    is_ready = threading.Event()
    sizes = {"reference": [Effort(10, True)], "compiled": [Effort(10, False), Effort(FINAL, True)]}
    monkeypatch.setattr(Explorer, "efforts", lambda self: sizes[self.engine])
    monkeypatch.setattr("simdeploy.experiments.replication.replicate", lambda *_, **__: is_ready.wait(30))
    explorer = Explorer(scenario, scenario.policies, engine="reference", prepare=begin_loading)
    with listen("127.0.0.1", 0) as listening:
        server, url = running.make_server(explorer, listening)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        visited = visit(url)
        effort = visited.page.locator(".effort")
        expect(effort).to_have_text("10 rollouts, more in a minute: compiling…")
        expect(visited.page.locator(".tradeoff .note")).to_have_text(
            "The curve comes when the fast engine is compiled."
        )
        assert len(read_cards(visited.page)) == 6
        is_ready.set()
        wait_for_numbers(visited.page)
        expect(effort).to_have_text(f"{FINAL} rollouts")
        server.should_exit = True
        thread.join(10)
    assert visited.errors == []


def test_the_curve_marks_the_position(explore):
    """Chart, description and table of the curve name the position and the API's default; other settings have their own curve. [contract]"""
    page = explore("#policy=rolling&max_failed_nodes=1").page
    chart = page.locator(".tradeoff .chart")
    expect(chart).to_have_attribute("aria-label", re.compile("You are at 1: .*API default 10: "))
    expect(chart).to_contain_text("you are here: 1")
    page.locator(".tradeoff summary").click()
    for text in ("1 (you are here)", "10 (API default)"):
        expect(page.get_by_role("rowheader", name=text)).to_be_visible()
    page.get_by_label("Setting that moves").select_option("max_parallel")
    expect(chart).to_have_attribute("aria-label", re.compile("as max parallel moves"))
    page.get_by_label("Vertical axis").select_option("cost")
    expect(chart).to_have_attribute("aria-label", re.compile("^Cost against"))


@pytest.mark.parametrize(("name", "options"), [
    ("light", {}), ("dark", {"color_scheme": "dark", "reduced_motion": "reduce"}),
    ("small", {"viewport": {"width": 390, "height": 844}, "has_touch": True}),
])  # fmt: skip
def test_the_explorer_is_accessible(explore, name, options):
    """Axe finds no more than minor issues, in light, dark and on a small screen, which doesn't scroll sideways. [contract]"""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    visited = explore("#policy=canary&max_failed_nodes=2", **options)
    page = visited.page
    page.locator(".tradeoff summary").click()
    visited.screenshot(f"explorer-{name}")
    found = axe.Axe().run(page).response["violations"]
    assert [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] != "minor"] == []
    assert page.evaluate(TOO_WIDE) == []
    page.evaluate(LONG)
    assert page.evaluate(TOO_WIDE) == []


@pytest.mark.parametrize(
    ("size", "stays"),
    [((1280, 800), True), ((1024, 600), True), ((390, 700), True), ((844, 390), False), ((320, 256), False)],
)
def test_estimates_stay_in_view_where_there_is_room(size, stays, explore):
    """The estimates stay above the sliders, but not in a low window, such as at 400 % zoom, which they would fill. [contract]"""
    page = explore(viewport={"width": size[0], "height": size[1]}).page
    page.evaluate("scrollTo(0, 500)")
    summary = page.get_by_role("region", name="Estimates").bounding_box()
    assert (summary["y"] == 0) == stays
    assert max(summary["y"] + summary["height"], 0) < 0.4 * size[1]


def test_the_widget_has_the_same_front_end(visit, scenario, monkeypatch):
    """In a page with a notebook's model, a slider shows the Python API's numbers through the widget's messages. [contract]"""
    monkeypatch.setattr(Explorer, "efforts", lambda _: [Effort(FINAL, True)])
    monkeypatch.setattr(Explorer, "prepare", lambda _: None)
    widget = simdeploy.explore(scenario, "rolling", engine="compiled")
    answers = queue.Queue()
    monkeypatch.setattr(widget, "send", answers.put)
    visited = visit(is_reused=False)
    page = visited.page
    page.expose_function("toKernel", lambda content: widget._handle_custom_msg(content, []))
    page.expose_function("save", lambda position: setattr(widget, "position", position))
    page.set_content("<div id='cell'></div>")
    page.add_style_tag(content=read_style())
    page.add_script_tag(type="module", content=f"""{read_module()}
      const state = {json.dumps({"position": widget.position})};
      const listeners = {{}};
      window.model = {{
        get: (name) => state[name], set: (name, value) => {{ state[name] = value; }}, save_changes: () => save(state.position),
        send: (content) => toKernel(content), on: (name, listener) => {{ listeners[name] = listener; }}, off: () => {{}},
      }};
      window.tell = (answer) => listeners["msg:custom"](answer, []);
      render({{ model, el: document.getElementById("cell") }});
    """)  # fmt: skip

    def deliver(last):
        """Pass answers on until one of a type arrives; waiting lets the page's messages through."""
        for _ in range(3000):
            page.wait_for_timeout(10)
            while not answers.empty():
                answer = answers.get()
                page.evaluate("(answer) => tell(answer)", answer)
                if answer["type"] == last:
                    return
        pytest.fail(f"no {last}")

    deliver("curve")
    expect_cards(page, expected_cards(scenario))
    page.evaluate(EVENTS, ["max_failed_nodes", 0])
    deliver("curve")
    expect_cards(page, expected_cards(scenario, max_failed_nodes=0))
    assert widget.position == {"policy": "rolling", "values": {"max_failed_nodes": 0}}
    expect(page.get_by_role("button", name="Copy link")).to_be_hidden()
    visited.screenshot("explorer-widget")
    assert (visited.errors, visited.elsewhere) == ([], [])
    widget.close()
