"""In which worlds something happens: boxes of factors, found in one half of the worlds and judged in the other.

`boxes.py` is what a box is, `peeling.py` PRIM's path of boxes, `choosing.py` the one on the path and which of its limits matter,
`judging.py` how often it is right where it was not found; `breaking.py` which worlds break; `discovering.py` and
`finding.py` have the calls. From outside: `discover`, `find_boxes`, `Discovery`.
"""
