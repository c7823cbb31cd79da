"""How likely is a catastrophe: importance sampling, and splitting, for what plain simulation would never meet.

`estimating` has the call, `by_importance` and `by_splitting` the methods. From outside: `estimate_rare`, `Rare`.
"""
