"""Take the picture of the explorer: `python docs/explorer.py` writes docs/images/explore.png. Needs Chromium."""

from __future__ import annotations

import shutil
import threading

from pictures import IMAGES
from PIL import Image
from playwright.sync_api import expect, sync_playwright

import simdeploy
from simdeploy.explorer import running
from simdeploy.explorer.preparing import make_explorer
from simdeploy.web.serving import listen

SCENARIO, BEGIN, MOVED = "small-fleet", "#policy=canary", {"max_failed_nodes": 2}


def main() -> None:
    """Move a slider, and take the screenshot once its numbers are refined."""
    scenario = simdeploy.load_example(SCENARIO)
    explorer = make_explorer(scenario, dict(scenario.policies), engine="compiled")
    with listen("127.0.0.1", 0) as listening, sync_playwright() as playwright:
        server, url = running.make_server(explorer, listening)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(60_000)
        page.goto(url + BEGIN)
        refined = page.locator(".simdeploy-explorer[data-rollouts='4000']")
        expect(refined).to_be_visible(timeout=60_000)
        for name, value in MOVED.items():
            page.locator(f".slider:has([data-name='{name}']) input[type=text]").fill(str(value))
            page.keyboard.press("Enter")
            expect(page.locator(".last-change")).to_contain_text(f"→ {value}", timeout=60_000)
        expect(refined).to_be_visible(timeout=60_000)
        expect(page.locator(".tradeoff .note")).to_contain_text("1,000 rollouts", timeout=60_000)
        path = IMAGES / "explore.png"
        page.screenshot(path=path)
        with Image.open(path) as picture:
            picture.convert("RGB").quantize(160).save(path, optimize=True)
        browser.close()
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main()
