"""Where pictures are, and the stamp that ties each one to the data or output that it shows."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"

_KEY = "simdeploy-data"


def digest(text: str) -> str:
    """Return the digest of a text for a picture's stamp."""
    return sha256(text.encode()).hexdigest()


def stamp(path: Path, value: str) -> None:
    """Write a stamp into a PNG file, by which a test detects that the picture's data have changed since."""
    info = PngInfo()
    info.add_text(_KEY, value)
    with Image.open(path) as picture:
        picture.load()
        # 128 colours are plenty for a chart, and a third of the bytes; colours of few pixels must be among them.
        reduced = picture.convert("RGB").quantize(128, method=Image.Quantize.MAXCOVERAGE)
        reduced.save(path, pnginfo=info, optimize=True)


def read_stamp(path: Path) -> str | None:
    """Return the stamp of a PNG file, or None if it has none."""
    with Image.open(path) as picture:
        return picture.info.get(_KEY)
