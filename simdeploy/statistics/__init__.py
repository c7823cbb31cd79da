"""Arithmetic of samples: arrays in, numbers out, independent of rollouts.

Intervals and estimates (`intervals`, `estimators`, `levels`, `skewness`), many policies in the same worlds (`pairs`),
weighted samples (`weights`), the best of many (`selection`), sensitivity indices (`indices`), boxes (`boxes`),
multilevel splitting (`splitting`). From outside: `selection`.
"""
