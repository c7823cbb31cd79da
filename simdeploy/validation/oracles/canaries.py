"""Defects that canaries show, and people's decisions about them."""

from __future__ import annotations

from math import comb


def no_affected_canary_of_share(share: float, canaries: int) -> float:
    """Probability that a defect that hurts each node independently hurts no canary.

    Parameters
    ----------
    share : float
        Probability of each node.
    canaries : int

    Notes
    -----
    The binomial law's ``P(X = 0) = (1 - share)**canaries``.

    References
    ----------
    W. Feller, "An Introduction to Probability Theory and Its Applications", vol. I, 3rd ed., Wiley, 1968, section VI.2,
    equation (2.1).

    Examples
    --------
    >>> no_affected_canary_of_share(0.5, 3)
    0.125
    """
    return (1 - share) ** canaries


def no_affected_canary_of_count(nodes: int, affected: int, canaries: int) -> float:
    """Probability that a defect that hurts a number of nodes, at random, hurts no canary.

    Parameters
    ----------
    nodes, affected, canaries : int
        Of the fleet; hurt by the defect; in the canary set.

    Notes
    -----
    The hypergeometric law's ``P(X = 0) = C(nodes - affected, canaries) / C(nodes, canaries)``.

    References
    ----------
    W. Feller, vol. I, section II.6, equation (6.1) (the hypergeometric law).

    Examples
    --------
    >>> no_affected_canary_of_count(nodes=4, affected=2, canaries=1)
    0.5
    """
    return comb(nodes - affected, canaries) / comb(nodes, canaries)


def canary_blast_radius(nodes: int, canaries: int, passing: float) -> float:
    """Mean blast radius of a canary rollout that stops at its canaries or goes through the whole fleet.

    Parameters
    ----------
    nodes, canaries : int
    passing : float
        Probability that the canaries pass.

    Notes
    -----
    ``canaries / nodes`` if they don't pass, 1 if they do: every canary serves the new version when the first of them is
    judged, provided that all start in the same time.

    Examples
    --------
    >>> canary_blast_radius(nodes=100, canaries=5, passing=0.5)
    0.525
    """
    return passing + (1 - passing) * canaries / nodes


def operator_verdicts(
    defective: float, *, shown: float, notices_defect: float, rejects_good: float
) -> dict[str, float]:
    """Probabilities of the four verdicts when only the operator can stop the rollout.

    Parameters
    ----------
    defective : float
        Probability that the release is defective.
    shown : float
        Probability that a defective release shows its defect on a canary.
    notices_defect, rejects_good : float
        The operator's, as in a scenario: the second one wherever no defect is shown.

    Returns
    -------
    dict of str to float
        By verdict; they sum to 1.

    Examples
    --------
    >>> verdicts = operator_verdicts(0.5, shown=1.0, notices_defect=0.75, rejects_good=0.25)
    >>> verdicts["stopped_defective"], verdicts["escaped"], verdicts["false_alarm"], verdicts["completed_good"]
    (0.375, 0.125, 0.125, 0.375)
    """
    cancelled = shown * notices_defect + (1 - shown) * rejects_good
    return {
        "completed_good": (1 - defective) * (1 - rejects_good),
        "stopped_defective": defective * cancelled,
        "false_alarm": (1 - defective) * rejects_good,
        "escaped": defective * (1 - cancelled),
    }
