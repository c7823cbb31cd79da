"""The same policies in many worlds: the loss of each against the best.

Modules: `robustness` is the call, `regrets` computes the numbers. Other packages use `estimate_regret` and `Robustness`.
"""
