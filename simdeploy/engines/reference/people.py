"""The people: an operator who promotes or cancels, and a script of acts at given times (model section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simdeploy.engines.reference.clock import Process
    from simdeploy.engines.reference.node import Node
    from simdeploy.engines.reference.site import Site
    from simdeploy.world.operator import Action, Operator, ScriptedAct


def follow_script(site: Site, tell: Callable[[Action], None], script: Sequence[ScriptedAct]) -> Process:
    """Hand on each act at its time; acts of one instant in the file's order."""
    for act in sorted(script, key=lambda act: act.at_ns):
        yield site.env.timeout(act.at_ns - site.env.now)
        tell(act.do)


def rejects(site: Site, operator: Operator, nodes: Sequence[Node]) -> bool:
    """Tell whether the operator, looking at the nodes that had their turn, cancels instead of promoting."""
    release = site.world.release
    if release is not None and release.defective and any(_shows(site, node) for node in nodes):
        return site.world.operator_uniform < operator.notices_defect
    return site.world.operator_uniform < operator.rejects_good


def _shows(site: Site, node: Node) -> bool:
    """Tell whether a node is affected and was exposed long enough for the defect to show."""
    fate = node.fate
    # A node that was not heard of by its deadline tells the operator nothing.
    if fate.started_ns is None or fate.unheard or not site.world.affected[node.number]:
        return False
    exposed_until = site.env.now if fate.back_from_ns is None else fate.back_from_ns
    return fate.started_ns + site.world.after_ns(node.number) <= exposed_until
