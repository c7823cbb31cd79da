"""Estimates of any measure, and how many replications they need.

Modules: `estimating`, `grid` and `precision` are the calls. Other packages use `estimate`, `summarize_grid`,
`replicate_to_precision`, `sweep_to_precision` and their results, such as `precision_result`; reports also use
`targets`.
"""
