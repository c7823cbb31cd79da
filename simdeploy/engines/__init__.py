"""Clocks for the model: `simulate` and its result.

May be used from outside: `simulate`, `Rollout`, `OneRollout`, `RESPONSES` and the other tables' columns in `schema`.
May import: `simdeploy.scenario` and what lies below it.
"""

from simdeploy.engines.choice import ENGINES
from simdeploy.engines.one_rollout import OneRollout
from simdeploy.engines.rollout import Rollout
from simdeploy.engines.simulation import simulate
from simdeploy.vocabulary import RESPONSES

__all__ = ["ENGINES", "RESPONSES", "OneRollout", "Rollout", "simulate"]
