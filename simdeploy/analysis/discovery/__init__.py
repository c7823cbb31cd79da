"""In which worlds something happens: boxes of factors, found in one half of the worlds and judged in the other.

`breaking` says which worlds break, `choosing` which box it is on the path of `simdeploy.statistics.boxes`, and which of its
limits matter, `searching` what it is where it was not found; `discovering` and `finding` have the calls. From outside:
`discover`, `find_boxes`, `Discovery`.
"""
