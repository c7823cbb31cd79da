"""How causes of failed requests combine, at an instant and over a window (model section 3)."""

from __future__ import annotations


def either(a: float, b: float) -> float:
    """Combine two independent causes: 1 - (1 - a)(1 - b).

    Examples
    --------
    >>> either(0.5, 0.5), either(0.01, 0.0)
    (0.75, 0.01)
    """
    if a == 0 or b == 0:
        return a + b
    return 1 - (1 - a) * (1 - b)


def mean_level(
    baseline: float,  # fraction of the node itself
    added: float,  # of the release
    degraded: float,  # of a degraded spell
    length: int,  # of the window, nanoseconds
    added_for: int,  # of the part in which the release's failures show
    degraded_for: int,  # of the part in which the node is degraded
    both_for: int,  # of the part with both
) -> float:
    """Return the time-average of a node's fraction of failed requests over a window.

    At any instant it is ``1 - (1 - baseline)(1 - added)(1 - degraded)``, with the causes present; the average depends
    only on how long each, and both at once, were present.

    Examples
    --------
    >>> mean_level(0.0, 0.5, 0.0, length=10, added_for=5, degraded_for=0, both_for=0)
    0.25
    """
    if not added_for and not degraded_for:
        return baseline
    lost = (added * added_for + degraded * degraded_for - added * degraded * both_for) / length
    return min(max(1 - (1 - baseline) * (1 - lost), 0.0), 1.0)
