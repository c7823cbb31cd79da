"""Trade-offs between measures: each threshold varied alone, and the Pareto front.

Modules: `moving` and `pareto` are the calls. Other packages use `tradeoff`, `pareto_front` and their results; reports
and the explorer also use `lever_ranges`.
"""
