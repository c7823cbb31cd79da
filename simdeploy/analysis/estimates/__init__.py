"""Estimates of any measure, and how many replications they need.

Modules: `estimating`, `grid` and `precision` are the calls. From outside: `estimate`, `summarize_grid`,
`replicate_to_precision`, `sweep_to_precision` and their results.
"""
