"""Scenario discovery: boxes of factors in which something happens, found in half of the worlds and tested in the rest.

Modules: `breaking` classifies worlds, `choosing` picks a box on the path of `simdeploy.statistics.boxes` and its
relevant limits, `searching` tests it on held-out worlds; `discovering` and `finding` are the calls. Other packages use
`discover`, `find_boxes`, `Discovery`; pictures also use `columns`.
"""
