"""Decisions compared with exact costs: policies evaluated without simulation (`exact`, by `course` and `moments`), problems with
a known best policy (`problems`, `optimum`), and the answers of `tune` and `compare` to them (`deciding`, `result`).

Other packages use `verify_decisions`, `Decisions`.
"""

from simdeploy.validation.decisions.deciding import verify_decisions
from simdeploy.validation.decisions.result import Decisions

__all__ = ["Decisions", "verify_decisions"]
