"""The same policies in many worlds: the loss of each against the best.

Modules: `robustness` is the call, `regrets` computes the numbers. From outside: `estimate_regret`, `Robustness`.
"""
