"""Recorded rollouts under other policies: the reference engine, with nodes that repeat their records.

Where a record ends, a `Filler` decides, or a `Model`, which draws from the laws of a fleet given the record. Modules: `knowing`
extracts what is known of a rollout, `interpreting` interprets a policy for it, `refusing` lists policies that can't be replayed,
`worlds` makes it a replication of a scenario. Other packages use these, `replay` and its arguments, `find_longest_move`.
"""

from simdeploy.engines.replay.known import KnownNode, KnownRollout, Outage
from simdeploy.engines.replay.model import Model, Modeller
from simdeploy.engines.replay.replaying import Replay, find_longest_move, replay

__all__ = ["KnownNode", "KnownRollout", "Model", "Modeller", "Outage", "Replay", "find_longest_move", "replay"]
