"""The same policies in many worlds: what each of them loses against the best.

`robustness` has the call, `regrets` the numbers. From outside: `estimate_regret`, `Robustness`.
"""
