"""What the five types of deployment mean for the nodes (model section 4)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TypeTraits:
    """What a type of deployment means for its nodes."""

    releases: bool  # whether nodes serve a new version
    undone: bool  # whether a stopped or escaped rollout is rolled back
    first: int  # default version before
    step: int  # usual increase of the version
    begins: bool = False  # whether there is no old version (create): rollback removes a node
    leaves: bool = False  # whether nodes leave for good (stop)

    @property
    def replaces(self) -> bool:
        """Whether a node has an old instance and a new one."""
        return not self.begins and not self.leaves


TYPES = {
    "create": TypeTraits(releases=True, undone=True, first=0, step=1, begins=True),
    "update": TypeTraits(releases=True, undone=True, first=1, step=1),
    "rollback": TypeTraits(releases=True, undone=False, first=2, step=-1),
    "restart": TypeTraits(releases=False, undone=False, first=1, step=0),
    "stop": TypeTraits(releases=False, undone=False, first=1, step=0, leaves=True),
}


def fill_versions(kind: str, from_version: int | None, to_version: int | None) -> tuple[int, int]:
    """Return the versions before and after a deployment of a type, with defaults for those that are None.

    Examples
    --------
    >>> fill_versions("update", None, None), fill_versions("rollback", 8, None), fill_versions("create", None, 3)
    ((1, 2), (8, 7), (0, 3))
    """
    traits = TYPES[kind]
    if from_version is None:
        is_known = to_version is not None and not traits.begins
        from_version = max(0, (to_version or 0) - traits.step) if is_known else traits.first
    return from_version, max(0, from_version + traits.step) if to_version is None else to_version


def doubt_versions(kind: str, from_version: int, to_version: int) -> str | None:
    """Return what is odd about the versions of a deployment of a type; None if nothing is.

    Examples
    --------
    >>> doubt_versions("rollback", 7, 8)
    'a rollback must go to an older version'
    >>> doubt_versions("update", 7, 8) is None
    True
    """
    traits = TYPES[kind]
    if traits.begins and from_version != 0:
        return f"a {kind} has no version before it (from_version is 0)"
    if traits.step == 0 and to_version != from_version:
        return f"a {kind} keeps the version"
    if traits.step > 0 and to_version <= from_version:
        return f"{'an' if kind == 'update' else 'a'} {kind} must go to a newer version"
    if traits.step < 0 and to_version >= from_version:
        return f"a {kind} must go to an older version"
    return None
