"""Decisions whose best answer is known: exact costs (`exact`), and ten problems with their optima (`problems`).

From outside, until a command uses them: `evaluate` of `exact`, `make_problems` of `problems`.
"""
