"""Which factors move a response: a design, its responses, and indices with intervals.

`designs` spreads points, `responding` says what a point's response is and which points have none; the indices are those of
`simdeploy.statistics.indices`. `analyzing` and `estimating` have the calls. From outside: `estimate_sensitivity`,
`design_sensitivity`, `analyze_sensitivity`, `Sensitivity`, `SensitivityDesign`.
"""
