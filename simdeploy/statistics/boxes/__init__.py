"""Boxes in a table of points: finding them by peeling (PRIM), and what is in them."""
