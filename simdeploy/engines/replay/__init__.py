"""Recorded rollouts under other policies: the reference engine, with nodes that do what a record says.

`replay` runs one; what the record leaves open happens as a `Filler` says.
"""

from simdeploy.engines.replay.known import KnownNode, KnownRollout, Outage
from simdeploy.engines.replay.replaying import Filler, Replay, replay

__all__ = ["Filler", "KnownNode", "KnownRollout", "Outage", "Replay", "replay"]
