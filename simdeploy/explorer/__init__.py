"""The explorer: sliders for a policy and the assumptions about its world, with live estimates.

`controls` makes the sliders, `position` turns their positions into a scenario and policy, `answering` computes what is
shown, and `conversation` sends it, quick answers first. `static` is the front end, one module for the browser (`server`)
and for notebooks (`widget`).

Other packages use `explore`; its command also uses `preparing` and `running`.
"""

from simdeploy.explorer.notebook import explore

__all__ = ["explore"]
