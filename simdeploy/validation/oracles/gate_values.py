"""A gate by itself, as the closed forms take it, and what they say of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from simdeploy.errors import InputError, Problem
from simdeploy.rules.gates.gate import read_gate
from simdeploy.rules.orchestrator import EXPANSO
from simdeploy.rules.policy import GateTerms, Policy
from simdeploy.units import NS_PER_S, exact

if TYPE_CHECKING:
    from simdeploy.rules.gates.gate import Gate


@dataclass(frozen=True)
class GateCharacteristics:
    """What becomes of a wave before its gate.

    Attributes
    ----------
    fails, passes : float
        Probabilities of the verdicts.
    cant_tell : float
        Probability that there is none at the last look: what happens then is the switch's matter.
    expected_requests : float
        Mean number of requests of the new version that were looked at, up to the verdict or the last look.
    """

    fails: float
    passes: float
    cant_tell: float
    expected_requests: float


def make_gate(
    kind: str,
    *,
    max_error_rate: float | Fraction = Fraction(1, 10),
    windows_needed: int = 1,
    failure_threshold: int | None = None,
    cant_tell: Literal["wait", "pass", "stop"] = "wait",
    **keys: Any,
) -> Gate:
    """Make a gate from the keys of a policy's ``health_check.gate``, to look at its characteristics.

    Parameters
    ----------
    kind : str
        Any but ``threshold``.
    max_error_rate : float or Fraction
        Of the policy; a float is read as its shortest decimal literal.
    windows_needed, failure_threshold : int
        Of the policy: healthy looks that pass, unhealthy ones in a row that fail (``pooled`` over windows).
    cant_tell : {'wait', 'pass', 'stop'}
        The orchestrator's switch.
    **keys
        The gate's own keys, as in a policy.

    Examples
    --------
    >>> make_gate("bayes", confidence=0.99, prior_mean=0.01, prior_strength=200).method
    'bayes'
    """
    policy = Policy(
        dialect="deployment",
        strategy="rolling",
        max_parallel=0,
        canary_count=0,
        canary_percent=0,
        auto_promote=True,
        deadline_ns=None,
        interval_ns=NS_PER_S,
        max_error_rate=exact(max_error_rate),
        min_healthy_ns=windows_needed * NS_PER_S,
        success_threshold=None,
        failure_threshold=failure_threshold,
        max_failed_nodes=None,
        max_failed_nodes_percent=None,
        no_auto_rollback=False,
        gate=GateTerms(kind, **keys),
    )
    gate = read_gate(policy, replace(EXPANSO, cant_tell=cant_tell))
    if gate is None:
        raise InputError(
            Problem("is no test of a wave", found=kind, allowed="pooled, sprt, e_process, baseline, bayes, cusum")
        )
    return gate
