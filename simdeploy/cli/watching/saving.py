"""Files that play a rollout: a GIF, and a self-contained page."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rich.console import Console

from simdeploy.plotting.style import STATUS_LOOKS, contrast_to

if TYPE_CHECKING:
    from PIL import Image
    from rich.text import Text

_FRAME_MS = 150
_LAST_MS = 3000  # duration of the last frame
_CELL = (9, 19)  # pixels of a character
_FONT_SIZE = 15
_SHADES = 8  # between the colour of a cell and that of its letters
_PAPER, _INK = "#ffffff", "#222222"

# A page that loads nothing, and runs only this script.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 1rem; color: {ink}; background: {paper}; font-family: sans-serif; }}
pre {{ font: 15px/1.25 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; overflow-x: auto; }}
#place {{ width: 30rem; max-width: 70%; vertical-align: middle; }}
</style>
</head>
<body>
<p><button id="play" type="button">Pause</button>
<input id="place" type="range" min="0" max="{last}" value="0" aria-label="Time in the rollout"></p>
<pre id="screen"></pre>
<script>
const screens = {frames};
const place = document.getElementById("place"), play = document.getElementById("play");
let timer = null;
function show() {{ document.getElementById("screen").innerHTML = screens[place.value]; }}
function stop() {{ clearInterval(timer); timer = null; play.textContent = "Play"; }}
function step() {{ if (+place.value < {last}) {{ place.value = +place.value + 1; show(); }} else stop(); }}
function start() {{
  if (+place.value >= {last}) place.value = 0;
  timer = setInterval(step, {frame_ms}); play.textContent = "Pause"; show();
}}
place.addEventListener("input", () => {{ stop(); show(); }});
play.addEventListener("click", () => timer === null ? start() : stop());
if (matchMedia("(prefers-reduced-motion: reduce)").matches) {{ stop(); show(); }} else start();
</script>
</body>
</html>
"""


def write_html(file: IO[bytes], screens: Sequence[Sequence[Text]], title: str, width: int) -> None:
    """Write a page that plays screens of lines."""
    console = Console(
        file=io.StringIO(), width=width, record=True, force_terminal=True, color_system="truecolor", highlight=False
    )
    frames = []
    for lines in screens:
        for line in lines:
            console.print(line)
        frames.append(console.export_html(inline_styles=True, code_format="{code}"))
    # The export escapes HTML in lines, so that none can end the script.
    data = json.dumps(frames)
    page = _PAGE.format(
        title=escape(title), frames=data, last=len(frames) - 1, frame_ms=_FRAME_MS, ink=_INK, paper=_PAPER
    )
    file.write(page.encode())


def write_gif(file: IO[bytes], screens: Sequence[Sequence[Text]], width: int, height: int) -> None:
    """Write an animation of screens of lines."""
    from PIL import Image

    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in _mix_colours() for part in colour])
    # With one palette for all, only the changes from frame to frame are written.
    images = [_draw(lines, width, height).quantize(palette=palette, dither=Image.Dither.NONE) for lines in screens]
    durations = [_FRAME_MS] * (len(images) - 1) + [_LAST_MS]
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)


def _draw(lines: Sequence[Text], width: int, height: int) -> Image.Image:
    """Draw a screen of lines with Pillow, in the font that comes with matplotlib, which also requires Pillow."""
    from matplotlib import get_data_path
    from PIL import Image, ImageDraw, ImageFont

    fonts = Path(get_data_path(), "fonts", "ttf")
    plain, bold = (
        ImageFont.truetype(str(fonts / name), _FONT_SIZE, layout_engine=ImageFont.Layout.BASIC)
        for name in ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf")
    )
    across, down = _CELL
    image = Image.new("RGB", ((width + 2) * across, (height + 1) * down), _PAPER)
    pen = ImageDraw.Draw(image)
    console = Console(file=io.StringIO(), width=width, color_system="truecolor", force_terminal=True)
    for row, line in enumerate(lines):
        column = 0
        for segment in line.render(console):
            x, y = (column + 1) * across, row * down + down // 2
            style = segment.style
            fore, back = (_PAPER, _INK) if style and style.reverse else (_INK, None)
            if style and style.color and style.color.triplet:
                fore = style.color.triplet.hex
            if style and style.bgcolor and style.bgcolor.triplet:
                back = style.bgcolor.triplet.hex
            if back:
                pen.rectangle((x, y, x + across * segment.cell_length - 1, y + down - 1), fill=back)
            pen.text((x, y), segment.text, fill=fore, font=bold if style and style.bold else plain)
            column += segment.cell_length
    return image


def _mix_colours() -> list[tuple[int, ...]]:
    """Return the colours of cells, and shades between these and the colours of their letters."""
    from matplotlib.colors import to_rgb

    pairs = [
        (_PAPER, _INK),
        *((look.colour, contrast_to(look.colour)) for look in STATUS_LOOKS.values()),
    ]
    return [
        tuple(
            round(255 * (a + (b - a) * step / (_SHADES - 1))) for a, b in zip(to_rgb(back), to_rgb(fore), strict=True)
        )
        for back, fore in pairs
        for step in range(_SHADES)
    ]
