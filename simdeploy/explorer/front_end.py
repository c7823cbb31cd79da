"""The front end: one module and one style sheet for browser and notebook, joined from the parts in `static`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from simdeploy.plotting.style import OUTCOME_LOOKS, STATUS_LOOKS

# In the order of their dependencies. None imports another, because a notebook takes the module as one text.
_PARTS = ("format", "svg", "cards", "controls", "tradeoff", "rollout", "policy", "state", "explorer")


@cache
def read_module() -> str:
    """Return the ES module, which exports `render` as anywidget requires."""
    return "\n".join(read_static(f"{part}.js") for part in _PARTS)


@cache
def read_style() -> str:
    """Return the style sheet."""
    return read_static("explorer.css")


def read_static(name: str) -> str:
    """Return the text of a file of `static`."""
    return files("simdeploy.explorer").joinpath("static", name).read_text(encoding="utf-8")


def list_looks() -> dict[str, dict[str, str]]:
    """Return the colours of statuses and outcomes, the same as in all pictures."""
    return {
        "statuses": {name: look.colour for name, look in STATUS_LOOKS.items()},
        "outcomes": {name: look.colour for name, look in OUTCOME_LOOKS.items()},
    }
