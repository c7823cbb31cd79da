"""Scenario discovery: boxes of factors in which something happens, found in one half of the worlds and tested in the
other.

Modules: `breaking` classifies worlds, `choosing` picks a box on the path of `simdeploy.statistics.boxes` and its
relevant limits, `searching` tests it on held-out worlds; `discovering` and `finding` are the calls. From outside:
`discover`, `find_boxes`, `Discovery`.
"""
