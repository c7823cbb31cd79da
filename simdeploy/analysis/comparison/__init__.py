"""Policies compared in the same worlds: estimates, differences, all pairs, and the best.

Modules: `compare` is the call, `measured` defines what is compared, `ranking` compares all policies at once. Other
packages use `compare`, `Comparison`; reports and pictures also use `measured` and `required`.
"""
