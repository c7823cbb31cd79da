"""Recorded rollouts under other policies: the reference engine, with nodes that do what a record says.

`replay` runs one; what the record leaves open happens as a `Filler` says.
"""

from simdeploy.engines.replay.known import KnownNode, KnownRollout, Outage
from simdeploy.engines.replay.replaying import Replay, find_longest_move, replay

__all__ = ["KnownNode", "KnownRollout", "Outage", "Replay", "find_longest_move", "replay"]
