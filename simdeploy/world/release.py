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
    """Which nodes a release can affect.

    Attributes
    ----------
    by : {'all', 'share', 'count', 'classes', 'zones', 'nodes'}
        How the nodes are chosen.
    share : Fraction
        With ``share``: the independent probability of each node.
    count : int
        With ``count``: exactly this many nodes, at random.
    members : tuple of str or int
        With ``classes`` the classes' names, with ``zones`` the zones' numbers: all of their nodes. With ``nodes`` exactly
        these nodes.
    """

    by: AffectedBy = "all"
    share: Fraction | None = None
    count: int = 0
    members: tuple[str | int, ...] = ()


@dataclass(frozen=True)
class ReleaseKind:
    """One possible kind of the new version.

    Attributes
    ----------
    name : str
        The key in the file.
    probability : Fraction
        Of this kind; all kinds sum to 1.
    defective : bool
        Whether it should be stopped.
    error_rate : float
        Fraction of failed requests that it adds on affected nodes.
    start_failure, start_hang : float
        Probabilities that it adds to an attempt to start on affected nodes.
    after : Distribution
        Exposure before the failures show, seconds, drawn per node.
    affects : Affects
        Which nodes.
    crash_rate : float
        Factor on the crash rate of exposed, affected nodes.
    """

    name: str
    probability: Fraction
    defective: bool
    error_rate: float
    start_failure: float
    start_hang: float
    after: Distribution
    affects: Affects
    crash_rate: float
