"""The explorer: a policy and the assumptions about its world, moved by hand.

`position` says what a place on the sliders means, `controls` which sliders there are, `answering` what is known there,
`conversation` in which order it is told. `static` is the front end, one module for the browser (`server`) and for notebooks
(`widget`).

From outside: `explore`, and what `simdeploy.cli.explore` uses.
"""

from simdeploy.explorer.notebook import explore

__all__ = ["explore"]
