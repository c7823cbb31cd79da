"""During a rollout: how probable each kind of release is, given what was seen, how it will go on, and what to do.

From outside: `advise` and `forecast`, imported on first use.
"""
