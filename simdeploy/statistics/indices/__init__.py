"""Sensitivity indices: Morris' elementary effects, Sobol's indices, and their jackknives.

From outside: everything, by `simdeploy.analysis.sensitivity`.
"""
