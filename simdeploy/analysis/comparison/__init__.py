"""Policies compared in the same worlds: estimates, differences, all pairs, and the best.

Modules: `compare` is the call, `measured` defines what is compared, `ranking` compares all policies at once. From
outside: `compare`, `Comparison`, and `measured` by reports and pictures.
"""
