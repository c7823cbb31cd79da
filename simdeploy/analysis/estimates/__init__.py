"""Estimates of any measure, and how many replications they take."""
