"""Which factors affect a response: a design, its responses, and indices with intervals.

Modules: `designs` places the points, `responding` computes their responses, `simdeploy.statistics.indices` the indices;
`analyzing` and `estimating` are the calls. Other packages use `estimate_sensitivity`, `design_sensitivity`,
`analyze_sensitivity`, `Sensitivity` and `SensitivityDesign`.
"""
