"""Recorded rollouts under other policies: the reference engine, with nodes that do what a record says.

What a record leaves open happens as a `Filler` says, or a `Model`: what the laws of a fleet make of it, given the record. Modules: `knowing`
reads what is known of a rollout, `interpreting` what a policy means in it, `refusing` what can't be asked; `worlds` makes it a replication of a
scenario. From outside: these, `replay` and what it takes, `find_longest_move`.
"""

from simdeploy.engines.replay.known import KnownNode, KnownRollout, Outage
from simdeploy.engines.replay.model import Model, Modeller
from simdeploy.engines.replay.replaying import Replay, find_longest_move, replay

__all__ = ["KnownNode", "KnownRollout", "Model", "Modeller", "Outage", "Replay", "find_longest_move", "replay"]
