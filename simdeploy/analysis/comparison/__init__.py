"""Policies side by side in the same worlds: estimates, differences, all pairs at once, and which is the best.

`compare` has the call, `measured` what is compared, `ranking` all policies at once.
From outside: `compare`, `Comparison`, and `measured` by reports and pictures.
"""
