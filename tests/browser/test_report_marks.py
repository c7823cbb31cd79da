"""Marks in the pictures of a report: tips with numbers, highlighting across pictures and tables, and none of it in print."""

import functools
import json

import pytest
from every_result import make
from matplotlib.figure import Figure

import simdeploy as sd
from simdeploy.plotting.marks import mark_points
from simdeploy.sharing import page as page_module

# Of the kinds that the pages of a scenario, of a sweep, and of compare, tradeoff and tune show.
KINDS = ["Comparison", "GridSummary", "Tradeoff", "Tuning"]


@pytest.fixture(scope="module")
def open_report(tmp_path_factory):
    """Return a function that visits the page of a result, written once."""
    folder = tmp_path_factory.mktemp("marks")

    @functools.cache
    def write(kind):
        sd.write_report(make(kind), folder / f"{kind}.html")
        return (folder / f"{kind}.html").as_uri()

    return lambda visit, kind, **options: visit(write(kind), **options)


def find_row(kind, of):
    """Return the first row of the result's tables with a heading and a name, by heading."""
    heading, _, name = of.partition("\n")
    for table in make(kind).summarize():
        for row in table.rows:
            if table.header[0] == heading and row[0].partition("\n")[0] == name:
                return dict(zip(table.header[1:], row[1:], strict=True))
    raise AssertionError(of)


def read_tip(page):
    tip = page.locator("#tip")
    assert tip.is_visible()
    return dict(zip(tip.locator("dt").all_inner_texts(), tip.locator("dd").all_inner_texts(), strict=True))


def list_lit(page):
    """Return the names of highlighted rows, and of dimmed ones."""
    return tuple(set(page.locator(f"tr.{kind}-row .name").all_inner_texts()) for kind in ("lit", "dim"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_mark_shows_the_numbers_of_its_row(kind, open_report, visit):
    """With mouse or keyboard focus a mark shows and announces the numbers of Python's tables; Escape hides them. [contract]"""
    seen = open_report(visit, kind)
    page, marks = seen.page, seen.page.locator(".mark")
    panels = json.loads(page.locator(".picture").get_attribute("data-marks"))
    assert marks.count() == sum(len(marked) for _, marked in panels) > 0
    page.locator("figure").focus()
    for way in ("mouse", "keyboard"):
        if way == "mouse":
            marks.last.hover()
            mark = marks.last
        else:
            page.keyboard.press("Tab")
            page.keyboard.press("ArrowRight")
            mark = page.locator(".mark:focus")
            assert mark.get_attribute("data-row") == marks.nth(1).get_attribute("data-row")
        cells = {name: cell for name, cell in find_row(kind, mark.get_attribute("data-row")).items() if cell}
        assert read_tip(page) == {name: ", ".join(cell.splitlines()) for name, cell in cells.items()}
        assert all(line in mark.get_attribute("aria-label") for cell in cells.values() for line in cell.splitlines())
        page.mouse.move(0, 0)
    seen.screenshot(f"report-marks-{kind}")
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()
    seen.assert_quiet()


def test_a_policy_is_highlighted_everywhere(open_report, visit):
    """Pointing at a policy's name highlights it in the picture and all tables and dims others; a click keeps it so. [contract]"""
    page = open_report(visit, "Comparison").page
    tables = page.get_by_role("table").filter(has=page.locator(".name"))
    assert tables.count() == 4
    name = tables.nth(1).get_by_role("button", name="canary", exact=True)
    for leave, act in [
        (lambda: page.mouse.move(0, 0), name.hover),
        (lambda: page.keyboard.press("Escape"), name.click),
        (lambda: page.locator("h1").click(), name.click),
    ]:
        act()
        assert list_lit(page) == ({"canary"}, {"rolling", "all-at-once"})
        assert page.locator("tr.lit-row").count() == 4
        assert page.locator(".mark.lit").count() == 1
        assert page.locator(".veil").first.is_visible()
        if act == name.click:
            assert name.get_attribute("aria-pressed") == "true"
            page.mouse.move(0, 0)
            assert list_lit(page)[0] == {"canary"}
        leave()
        page.mouse.move(0, 0)
        assert list_lit(page) == (set(), set())
        assert page.locator(".mark.lit").count() == 0
        assert not page.locator(".veil").first.is_visible()


def test_a_mark_is_pinned_by_keyboard(open_report, visit):
    """Enter pins the focused mark and its numbers when the focus moves on; in a table, arrow keys move between names. [contract]"""
    page = open_report(visit, "Comparison").page
    marks = page.locator(".mark")
    marks.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert marks.nth(1).get_attribute("aria-pressed") == "true"
    page.locator(".origin").focus()
    assert list_lit(page)[0] == {"rolling"}
    assert page.locator("#tip").is_visible()
    names = page.locator("tbody").first.locator(".name")
    names.first.focus()
    for key, lit in [
        ("ArrowDown", "rolling"),
        ("ArrowDown", "canary"),
        ("ArrowDown", "canary"),
        ("ArrowUp", "rolling"),
    ]:
        page.keyboard.press(key)
        assert list_lit(page)[0] == {lit}
    page.keyboard.press("Escape")
    assert list_lit(page) == (set(), set())


def test_crowded_marks_are_told_apart(visit, tmp_path, monkeypatch):
    """The nearest of overlapping marks is chosen; of marks at one place, the shown one names the others. [contract]"""
    figure = Figure(figsize=(8, 4))
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, 768), ylim=(384, 0))  # in pixels
    points = {"all-at-once": (100, 100), "rolling": (107, 100), "canary": (107, 100)}
    mark_points(ax, "policy", [*points], [*points.values()])
    monkeypatch.setattr(page_module, "draw_figure", lambda _: figure)
    sd.write_report(make("Comparison"), tmp_path / "crowd.html")
    page = visit((tmp_path / "crowd.html").as_uri()).page
    picture = page.locator("figure img").bounding_box()
    tips = []
    for x in (95, 102, 105, 112):
        page.mouse.move(picture["x"] + x, picture["y"] + 100)
        tips.append(page.locator("#tip strong, #tip .soft").all_inner_texts())
    assert tips == [["policy: all-at-once"]] * 2 + [["policy: canary", "Also here: policy: rolling"]] * 2


@pytest.mark.parametrize(("name", "options"), [
    ("light", {}), ("dark", {"color_scheme": "dark"}), ("small", {"viewport": {"width": 390, "height": 844}}),
])  # fmt: skip
def test_highlighting_is_accessible(name, options, open_report, visit):
    """Axe finds no more than minor issues, including contrast, while one case is pinned and the others are dimmed. [contract]"""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    seen = open_report(visit, "Comparison", **options)
    page = seen.page
    page.locator(".mark").nth(1).click()
    assert page.locator(".dim-row").count() > 0
    box = page.locator("#tip").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= page.viewport_size["width"]
    seen.screenshot(f"report-pinned-{name}")
    found = axe.Axe().run(page).response["violations"]
    assert [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] != "minor"] == []


def test_print_and_pages_without_script_have_no_marks(open_report, visit):
    """Pinned marks leave no trace in print; without JavaScript there are no marks and no useless buttons. [contract]"""
    page = open_report(visit, "Comparison").page
    page.emulate_media(media="print")
    before = page.screenshot(full_page=True)
    page.emulate_media(media="screen")
    assert page.screenshot(full_page=True) != before
    page.locator(".mark").nth(1).click()
    page.emulate_media(media="print")
    assert page.screenshot(full_page=True) == before
    still = open_report(visit, "Comparison", java_script_enabled=False).page
    assert still.locator("figure img").is_visible()
    assert still.locator(".mark, .name, #tip").count() == 0
