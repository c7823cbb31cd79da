"""Gallery pictures that no documented command draws: shipped scenarios, half a page wide.

``python docs/gallery.py`` simulates and draws them all. A picture's stamp is that of its data, which a test simulates again.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from functools import partial

from pictures import IMAGES, ROOT, digest, stamp
from PIL import Image

import simdeploy
from simdeploy.cli.watching.frame import Film
from simdeploy.cli.watching.saving import write_gif
from simdeploy.cli.watching.view import find_room, render
from simdeploy.plotting import plot_distribution, plot_fleet
from simdeploy.sharing.contents import Contents
from simdeploy.sharing.gathering import gather
from simdeploy.sharing.page import to_page
from simdeploy.sharing.simulating import Request

HALF_PAGE = (3.4, 2.7)  # inches
SCREEN = (80, 24)
# Later digits depend on the versions of libraries.
DIGITS = "%.9g"


def draw_fleet(scenario: str, policy: str, replication: int) -> tuple[str, Image.Image]:
    """Return the data of a fleet's map, and the map."""
    rollout = simdeploy.simulate(ROOT / "scenarios" / scenario, policy, replication=replication)
    tables = (rollout.events, rollout.down_spells, rollout.offline_spells, rollout.timeline)
    data = "".join(table.to_csv(float_format=DIGITS) for table in tables)
    return digest(data), draw_half_page(partial(plot_fleet, rollout=rollout))


def draw_makespans() -> tuple[str, Image.Image]:
    """Return how long good releases take under each policy: data and picture."""
    table = simdeploy.replicate(ROOT / "scenarios" / "small-fleet.yaml", replications=1000, engine="compiled")
    data = table[["policy", "replication", "release", "makespan_s"]].to_csv(float_format=DIGITS)
    return digest(data), draw_half_page(partial(plot_distribution, responses=table, measure="makespan_s given good"))


def draw_screen() -> tuple[str, Image.Image]:
    """Return what `simdeploy watch` shows at an instant: its text and a picture of it."""
    film = Film(simdeploy.simulate(ROOT / "scenarios" / "shared-service.yaml", "by-fifths", replication=4))
    lines = render(film.frame(0.65 * film.end_s, find_room(*SCREEN)), *SCREEN)
    file = io.BytesIO()
    write_gif(file, [lines], *SCREEN)
    return digest("\n".join(line.plain for line in lines)), Image.open(file)


def read_report() -> Contents:
    """Return what a report on the small fleet says."""
    return gather(ROOT / "scenarios" / "small-fleet.yaml", Request(engine="compiled"))


def digest_report(contents: Contents) -> str:
    """Return the digest of what the picture of a report shows."""
    assert contents.dials is not None  # noqa: S101 - the fleet of the picture has them
    texts = [[one.title, one.unit, *(cell.text for cell in one.cells)] for one in contents.dials.quantities]
    return digest(contents.result.answer + repr((contents.dials.dials, texts)))


def draw_report() -> tuple[str, Image.Image]:
    """Return the data of a report, and the top of its page in Chromium."""
    from playwright.sync_api import sync_playwright

    contents = read_report()
    with sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = browser.new_page(viewport={"width": 1060, "height": 1450})
        page.set_content(to_page(contents))
        picture = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    return digest_report(contents), picture


def draw_half_page(plot: Callable[..., object]) -> Image.Image:
    """Draw on axes of half a page."""
    from matplotlib.figure import Figure

    figure, file = Figure(figsize=HALF_PAGE, layout="constrained"), io.BytesIO()
    plot(figure.subplots())
    figure.savefig(file, dpi=200)
    return Image.open(file)


PICTURES = {
    "fleet-canary.png": partial(draw_fleet, "zone-breaks.yaml", "two-canaries", 0),
    "fleet-large.png": partial(draw_fleet, "edge-1000.yaml", "api-defaults", 0),
    "fleet-offline.png": partial(draw_fleet, "edge-offline.yaml", "api-deadline", 0),
    "fleet-overload.png": partial(draw_fleet, "shared-service.yaml", "by-fifths", 4),
    "distribution.png": draw_makespans,
    "watch.png": draw_screen,
    "report.png": draw_report,
}


def main() -> None:
    """Draw and stamp every picture."""
    for name, draw in PICTURES.items():
        value, picture = draw()
        picture.save(IMAGES / name)
        stamp(IMAGES / name, value)


if __name__ == "__main__":
    main()
