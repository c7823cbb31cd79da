"""Which factors move a response: a design, its responses, and indices with intervals.

`designs.py` spreads points, `responding.py` says what a point's response is and which points have none, `tables.py` the
points of a sweep's table; the indices are those of `simdeploy.statistics.indices`. `analyzing.py` and `estimating.py` have the calls. From outside:
`estimate_sensitivity`, `design_sensitivity`, `analyze_sensitivity`, `Sensitivity`, `SensitivityDesign`.
"""
