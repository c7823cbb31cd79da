"""The page of a report in a browser: sliders, sorting, screen readers, and no outside requests."""

import functools
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from small import rolling

import simdeploy as sd
from simdeploy.analysis import summarize_grid
from simdeploy.experiments import sweep
from simdeploy.sharing.dials import Cell, Dial, Dials, Quantity, make_dials
from simdeploy.sharing.gathering import gather
from simdeploy.sharing.page import to_page
from simdeploy.sharing.simulating import Request

SCENARIO = {
    "name": "</script><script>throw 1</script>",
    "description": "Four nodes.",
    "fleet": {
        "nodes": 4,
        "requests_per_second": 10,
        "update_duration": {"exponential": {"mean": "30s"}},
        "start_failure": 0.2,
    },
    "release": {"good": {"probability": 0.6}, "bad": {"probability": 0.4, "defective": True, "error_rate": 0.3}},
    "policies": {
        "waves": rolling(
            2, max_failed_nodes=1, max_failed_nodes_percent=50, health_check={"deadline": "5m", "max_error_rate": 0.1}
        ),
        "at-once": {"strategy": "immediate"},
    },
}
VARY = {"max_failed_nodes": [0, 1, 2], "max_parallel": [1, 2, 4]}


@functools.cache
def grid():
    """Return a sweep over two thresholds, with a scenario name that contains markup."""
    return sweep(sd.Scenario.from_dict(SCENARIO), "waves", vary=VARY, replications=40, engine="compiled")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Write the page of a scenario, and that of a sweep; return their addresses."""
    folder = tmp_path_factory.mktemp("reports")
    sources = {"scenario": sd.Scenario.from_dict(SCENARIO), "sweep": grid()}
    for name, source in sources.items():
        sd.write_report(source, folder / f"{name}.html", replications=20, engine="compiled")
    return {name: (folder / f"{name}.html").as_uri() for name in sources}


@pytest.mark.parametrize("name", ["scenario", "sweep"])
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_it_opens_without_a_network(name, size, pages, visit):
    """A page opened from its file shows answer and picture, makes no request, logs nothing, and fits the window. [contract]"""
    seen = visit(pages[name], viewport={"width": size[0], "height": size[1]}, offline=True)
    page = seen.page
    assert page.get_by_role("heading", level=1).inner_text() == SCENARIO["name"]
    assert page.locator("figure img").evaluate("image => image.complete && image.naturalWidth > 100")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    seen.assert_quiet()
    seen.screenshot(f"report-{name}-{size[0]}")


def test_large_costs_have_short_ticks(tmp_path, visit):
    """Ticks of a chart are evenly spaced short numbers, neither powers of ten nor rounded to one digit. [contract]"""
    costs = {"costs": {"escape": 3e6, "false_alarm": 3e6}}
    sd.write_report(
        sd.Scenario.from_dict({**SCENARIO, **costs}), tmp_path / "dear.html", replications=20, engine="compiled"
    )
    page = visit((tmp_path / "dear.html").as_uri()).page
    (dear,) = [svg for svg in page.locator("svg[id^=chart-]").all() if "cost" in svg.get_attribute("aria-label")]
    ticks = [text for text in dear.locator("text[text-anchor=end]").all_text_contents() if text != "0"]
    assert len(ticks) > 1
    assert all(re.fullmatch(r"[\d.]+[KM]", tick) for tick in ticks)


def read_estimates(page, dials):
    return [page.locator(f"#estimate-{n}").inner_text() for n in range(len(dials.quantities))]


def test_sliders_move_the_numbers(pages, visit):
    """Each position that is dragged or typed to shows the Python API's values of the case, in numbers and in JSON. [contract]"""
    seen = visit(pages["sweep"])
    page, dials = seen.page, make_dials(summarize_grid(grid()))
    texts = {
        position: [quantity.cells[number].text for quantity in dials.quantities]
        for number, position in enumerate(dials.positions())
    }
    sliders = page.get_by_role("slider")
    assert sliders.count() == 2
    assert read_estimates(page, dials) == texts[0, 0]
    for position in [(2, 0), (2, 2), (1, 1), (0, 2)]:
        for number, place in enumerate(position):
            sliders.nth(number).fill(str(place))
        assert read_estimates(page, dials) == texts[position]
        assert [sliders.nth(n).get_attribute("aria-valuetext") for n in (0, 1)] == [
            dial.values[place] for dial, place in zip(dials.dials, position, strict=True)
        ]
    box = sliders.nth(0).bounding_box()
    page.mouse.move(box["x"] + 8, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    assert read_estimates(page, dials) == texts[2, 2]
    sliders.nth(0).press("Home")
    assert read_estimates(page, dials) == texts[0, 2]
    page.get_by_role("button", name="Back to the start").click()
    assert read_estimates(page, dials) == texts[0, 0]
    seen.assert_quiet()


def test_charts_are_clickable_and_described(pages, visit):
    """A click in a chart moves its slider; its alternative text describes chart and position; lines run along either key. [contract]"""
    page = visit(pages["sweep"]).page
    chart = page.get_by_role("img").nth(1)
    box = chart.bounding_box()
    chart.click(position={"x": box["width"] * 0.96, "y": box["height"] / 2})
    slider = page.get_by_role("slider", name="max_failed_nodes")
    assert slider.get_attribute("aria-valuetext") == "2"
    number = page.locator("#estimate-0").inner_text()
    description = chart.get_attribute("aria-label")
    assert (
        description
        == f"false alarms of good releases along max_failed_nodes; at max_failed_nodes 2, max_parallel 1: {number}"
    )
    page.get_by_role("radio", name="max_parallel").check()
    assert "along max_parallel" in chart.get_attribute("aria-label")
    assert chart.locator("circle title").count() == 3


@pytest.mark.parametrize("values", [("0", "1", "2"), tuple(f"{n / 190:.6g}" for n in range(20)), ("5m30s",) * 12])
def test_labels_along_a_chart_have_room(values, visit, tmp_path):
    """At every position of the slider its label is shown, and no label overlaps another or is cut, however long. [contract]"""
    cells = tuple(Cell("1", 1, 0, 2, is_trusted=True) for _ in values)
    dial = Dial("k", "k", tuple(range(len(values))), values, 0, is_slider=True)
    contents = replace(
        gather(sd.estimate(grid(), ["failed"]), Request()), dials=Dials((dial,), (Quantity("q", "%", cells),))
    )
    path = tmp_path / "page.html"
    path.write_text(to_page(contents), encoding="utf-8")
    page = visit(path.as_uri()).page
    for place, value in enumerate(values):
        page.get_by_role("slider").fill(str(place))
        labels = page.locator("#chart-0 text[y='155']")
        ends = sorted(
            labels.evaluate_all(
                "all => all.map((each) => each.getBoundingClientRect()).map((box) => [box.left, box.right])"
            )
        )
        chart = page.locator("#chart-0").bounding_box()
        assert page.locator("#chart-0 text[font-weight=bold]").all_text_contents() == [value]
        assert len(ends) >= 3
        assert chart["x"] <= ends[0][0]
        assert ends[-1][1] <= chart["x"] + chart["width"]
        assert all(before[1] < after[0] for before, after in pairwise(ends))


@pytest.mark.parametrize(
    ("estimates", "highs", "arrows"),
    [
        ((0, 0, 0), (84, 84, 84), 0),
        ((10, 20, 5), (30, 30, 100), 1),
        ((10, 20, 5), (12, 22, 7), 0),
        ((3e-10, 5e-10, 0), (5e-10, 5e-10, 1e-9), 0),
    ],
)
def test_clipped_values_are_marked(estimates, highs, arrows, visit, tmp_path):
    """The axis reaches to the highest bound, and to at least 1 %; an arrow marks what lies beyond it. [contract]"""
    cells = tuple(
        Cell(str(value), value, 0, high, is_trusted=True) for value, high in zip(estimates, highs, strict=True)
    )
    dial = Dial("k", "k", (0, 1, 2), ("0", "1", "2"), 0, is_slider=True)
    contents = replace(
        gather(sd.estimate(grid(), ["failed"]), Request()), dials=Dials((dial,), (Quantity("q", "%", cells),))
    )
    path = tmp_path / "page.html"
    path.write_text(to_page(contents), encoding="utf-8")
    page = visit(path.as_uri()).page
    assert page.locator("#chart-0 .cut").count() == arrows
    ticks = [float(tick) for tick in page.locator("#chart-0 text[text-anchor=end]").all_text_contents()]
    assert max(ticks) > (24 if arrows else 0.7 * max(1, *highs))


def test_the_policy_follows(pages, visit):
    """The JSON of both dialects is that of the position. [contract]"""
    page = visit(pages["scenario"]).page
    slider = page.get_by_role("slider").first
    name = page.locator("label[for=dial-0]").inner_text().partition(":")[0]
    before = page.locator("#json-0").inner_text()
    slider.press("Home")
    for number in (0, 1):
        text = page.locator(f"#json-{number}").inner_text()
        assert text != before
        assert f'"{name}": 0' in text


def test_tables_sort(pages, visit):
    """Headings sort by click and by keyboard, in both directions, by value, and announce it; missing values stay last. [contract]"""
    page = visit(pages["scenario"]).page
    table = page.get_by_role("table").first
    heading = table.get_by_role("columnheader", name="makespan of completed good releases")
    column = table.get_by_role("columnheader").evaluate_all(
        "(all, name) => all.findIndex(each => each.textContent.includes(name))", "makespan"
    )

    def cells():
        return [
            float(cell)
            for cell in table.locator(f"tbody td:nth-child({column + 1})").evaluate_all(
                "all => all.map(cell => cell.dataset.value ?? 'inf')"
            )
        ]

    assert heading.get_attribute("aria-sort") == "none"
    button = heading.get_by_role("button")
    button.click()
    assert (heading.get_attribute("aria-sort"), cells()) == ("ascending", sorted(cells()))
    button.press("Enter")
    assert (heading.get_attribute("aria-sort"), cells()) == ("descending", sorted(cells(), reverse=True))
    other = table.get_by_role("columnheader").first
    other.get_by_role("button").focus()
    page.keyboard.press("Space")
    names = table.locator("tbody td:first-child").all_inner_texts()
    assert names == sorted(names)
    assert (heading.get_attribute("aria-sort"), other.get_attribute("aria-sort")) == ("none", "ascending")


def test_wide_tables_can_be_read_on_a_phone(pages, visit):
    """Of a table wider than the window, the title and the names of rows stay in view, and no column becomes a few letters wide. [contract]"""
    page = visit(pages["scenario"], viewport={"width": 390, "height": 844}).page
    (estimates,) = page.get_by_role("region", name="Estimates").all()
    assert estimates.evaluate("region => region.scrollWidth > region.clientWidth")
    for at in (0, 10_000):
        estimates.evaluate("(region, at) => { region.scrollLeft = at; }", at)
        for part in estimates.locator("caption, th:first-child, tbody td:first-child").all():
            box = part.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
            assert part.evaluate(
                """part => { part.scrollIntoView({ block: "center", inline: "nearest" });
                const { left, top } = part.getBoundingClientRect();
                return part.contains(document.elementFromPoint(left + 5, top + 5)); }"""
            )
    meaning = page.get_by_role("region", name="Scenario").get_by_role("columnheader", name="meaning")
    assert meaning.bounding_box()["width"] > 200


@pytest.mark.parametrize("name", ["scenario", "sweep"])
def test_it_can_be_read_aloud(name, pages, visit):
    """Landmarks, ordered headings, names of all interactive and scrolling elements, and alternative texts are there. [contract]"""
    page = visit(pages[name]).page
    for landmark in ("banner", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(each => +each.tagName[1])")
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    nameless = page.locator(
        "button, input, select, output, img, svg[role=img], [tabindex], section, table"
    ).evaluate_all(
        """all => all.filter(each => !(each.getAttribute("aria-label") || each.alt || each.textContent.trim()
           || document.getElementById(each.getAttribute("aria-labelledby") || " ")
           || each.labels?.length)).map(each => each.outerHTML)"""
    )
    assert nameless == []
    assert page.locator("html").get_attribute("lang") == "en"
    # Everything that a mouse can do works with the keyboard.
    page.get_by_role("slider").first.focus()
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName"))
    assert {"INPUT", "BUTTON"} <= reached


def test_it_prints(pages, visit):
    """A printed page fits the paper, has no useless buttons, and shows the numbers of the sliders' positions. [contract]"""
    seen = visit(pages["scenario"], viewport={"width": 700, "height": 990})
    page = seen.page
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not page.get_by_role("button", name="Back to the start").is_visible()
    assert page.locator("#estimate-0").is_visible()
    seen.screenshot("report-print")
    assert len(page.pdf(format="A4")) > 10_000
