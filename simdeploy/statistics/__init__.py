"""Arithmetic of samples: arrays in, numbers out; nothing here knows of rollouts.

Intervals and estimates (`intervals`, `estimators`, `levels`, `skewness`), two or many policies in the same worlds
(`paired`, `pairs`, `rivals`), weighted samples (`weights`, `weighted`), the best of many (`selection`), sensitivity
indices (`indices`), boxes (`boxes`), multilevel splitting (`splitting`). From outside: `selection`.
"""
