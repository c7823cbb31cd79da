"""Probabilities of rare events, by importance sampling or splitting, beyond the reach of plain simulation.

Modules: `estimating` is the call, `by_importance` and `by_splitting` are the methods. Other packages use `estimate_rare`,
`Rare` and `repetitions.count_saved`.
"""
