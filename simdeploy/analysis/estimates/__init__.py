"""Estimates of any measure, and how many replications they take.

`estimating`, `grid` and `precision` have the calls. From outside: `estimate`, `summarize_grid`, `replicate_to_precision`,
`sweep_to_precision` and their results.
"""
