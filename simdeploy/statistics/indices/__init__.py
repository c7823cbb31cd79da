"""Sensitivity indices: Morris' elementary effects, Sobol's indices, and their jackknives."""
