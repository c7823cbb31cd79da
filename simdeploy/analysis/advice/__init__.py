"""Advice during a rollout: how probable each kind of release is, given what was seen, how the rollout will go on, and what to do.

Other packages use `advise` and `forecast`, which are imported on first use.
"""
