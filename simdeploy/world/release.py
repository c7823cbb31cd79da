"""Possible kinds of the new version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fractions import Fraction

    from simdeploy.world.distributions import Distribution

AffectedBy = Literal["all", "share", "count", "classes", "zones", "nodes"]


@dataclass(frozen=True)
class Affects:
    """Which nodes a release can affect."""

    by: AffectedBy = "all"  # how the nodes are chosen
    share: Fraction | None = None  # with ``share``: the independent probability of each node
    count: int = 0  # with ``count``: exactly this many nodes, at random
    # With ``classes`` names of classes and with ``zones`` numbers of zones, all of whose nodes are affected; with ``nodes``
    # exactly these nodes.
    members: tuple[str | int, ...] = ()


@dataclass(frozen=True)
class ReleaseKind:
    """One possible kind of the new version."""

    name: str  # the key in the file
    probability: Fraction  # of this kind; all kinds sum to 1
    defective: bool  # whether it should be stopped
    error_rate: float  # fraction of failed requests that it adds on affected nodes
    # start_failure, start_hang: probabilities that it adds to an attempt to start on affected nodes
    start_failure: float
    start_hang: float
    after: Distribution  # exposure before the failures show, seconds, drawn per node
    affects: Affects  # which nodes
    crash_rate: float  # factor on the crash rate of exposed, affected nodes

    @property
    def hurts_running_nodes(self) -> bool:
        """Whether a node that started suffers from the release: it fails requests, or crashes more often."""
        return self.error_rate > 0 or self.crash_rate > 1
