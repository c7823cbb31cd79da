"""What the five types of deployment mean for the nodes (model section 4)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TypeTraits:
    """What a type of deployment means for its nodes.

    Attributes
    ----------
    releases : bool
        Whether nodes come to serve a new version.
    undone : bool
        Whether a stop or an escape is rolled back.
    begins : bool
        Whether there is no old version (create): going back removes a node.
    leaves : bool
        Whether nodes leave for good (stop).
    """

    releases: bool
    undone: bool
    begins: bool = False
    leaves: bool = False


TYPES = {
    "create": TypeTraits(releases=True, undone=True, begins=True),
    "update": TypeTraits(releases=True, undone=True),
    "rollback": TypeTraits(releases=True, undone=False),
    "restart": TypeTraits(releases=False, undone=False),
    "stop": TypeTraits(releases=False, undone=False, leaves=True),
}
