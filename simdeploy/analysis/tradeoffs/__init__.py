"""What one gives for what: each threshold moved alone, and the front of Pareto.

`moving` and `pareto` have the calls. From outside: `tradeoff`, `pareto_front` and their results.
"""
