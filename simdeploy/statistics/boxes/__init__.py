"""Boxes in a table of points: finding them by peeling (PRIM), and what is in them.

From outside: everything, by `simdeploy.analysis.discovery`.
"""
