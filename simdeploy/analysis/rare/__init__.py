"""Probabilities of rare events, by importance sampling or splitting, beyond the reach of plain simulation.

Modules: `estimating` is the call, `by_importance` and `by_splitting` the methods. From outside: `estimate_rare`,
`Rare`.
"""
