"""The judging of one wave by its gate: the evidence so far, and the verdict after each look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from simdeploy.rules.gates.gate import MOST_RANKED, Gate
from simdeploy.rules.gates.statistics import judge_ranks, log_likelihood_ratio, log_mixture_evidence, posterior_above

GateVerdict = Literal["pass", "fail"]


@dataclass(frozen=True)
class Look:
    """New evidence since the previous look."""

    # requests, failed: of nodes on the new version
    requests: int
    failed: int
    old_failed: int = 0  # failed requests of the compared nodes on the old version, among as many requests


@dataclass
class UnhealthyLooks:
    """Count of unhealthy looks, of one wave or of all waves of a rollout."""

    count: int = 0


class Judge:
    """Judges one wave, look by look.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from simdeploy.rules.gates.gate import Gate
    >>> gate = Gate("pooled_observation", 100, "wait", Fraction(1, 10), 3, True, None)
    >>> judge = Judge(gate, uniform=None)
    >>> judge.take(Look(60, 2), is_over=False), judge.take(Look(60, 4), is_over=True)
    (None, 'pass')
    """

    def __init__(
        self,
        gate: Gate,  # any but one that judges running nodes
        uniform: Callable[[int], float] | None,  # random numbers by index, for the order of requests
        unhealthy: UnhealthyLooks | None = None,  # count of the rollout so far; None for a count of this wave alone
    ) -> None:
        self._gate = gate
        self._uniform = uniform
        self.requests = 0  # of the new version, as far as examined
        self.failed = 0  # of these
        # Whether there are nodes to compare with, for a gate that compares; set before the first look.
        self.can_compare = True
        self.can_tell = False  # whether the last look was informative, even if it led to no verdict
        self._old_failed = 0
        self._draws = 0
        self._healthy = 0
        self._unhealthy = UnhealthyLooks() if unhealthy is None else unhealthy
        self._rates: tuple[list[float], list[float]] = ([], [])

    def take(
        self,
        look: Look,
        *,
        is_over: bool,  # whether the observation has ended: no later look is certain to come in time
    ) -> GateVerdict | None:
        """Take one more look; return the verdict on the wave, if there is one now."""
        if self._gate.method == "pooled_window":
            return self._take_window(look)
        verdict = self._walk(look) if self._gate.method == "sprt_requests" else self._add(look)
        if verdict is None and is_over and self._gate.method not in ("sprt_windows", "sprt_requests", "bayes"):
            verdict = self._conclude()
        self.can_tell = verdict is not None
        return verdict or (self.without_verdict() if is_over else None)

    def without_verdict(self) -> GateVerdict | None:
        """Return what happens to a wave without a verdict.

        Without nodes to compare with, waiting brings no evidence, so the wave passes.
        """
        if self._gate.cant_tell == "wait" and not self.can_compare:
            return "pass"
        if self._gate.cant_tell == "unhealthy" and self._gate.method == "pooled_window":
            return None  # its windows were counted as unhealthy, which decides nothing else
        verdicts: dict[str, GateVerdict | None] = {"wait": None, "pass": "pass", "stop": "fail", "unhealthy": "fail"}
        return verdicts[self._gate.cant_tell]

    def _take_window(self, look: Look) -> GateVerdict | None:
        """Judge one pooled window, as the API judges one of a node."""
        gate = self._gate
        self.requests += look.requests
        self.failed += look.failed
        self.can_tell = look.requests >= max(gate.minimum_sample, 1)
        if self.can_tell:
            healthy = look.failed <= gate.max_error_rate * look.requests
        elif gate.cant_tell == "wait":
            return None
        else:
            healthy = gate.cant_tell == "pass"
        if healthy:
            self._healthy += 1
            if not gate.cumulative:
                self._unhealthy.count = 0
            return "pass" if self._healthy >= gate.windows_needed else None
        if not self.can_tell and gate.cant_tell == "stop":
            return "fail"
        self._unhealthy.count += 1
        if gate.consecutive:
            self._healthy = 0
        threshold = gate.failure_threshold
        return "fail" if threshold is not None and self._unhealthy.count >= threshold else None

    @property
    def _has_sample(self) -> bool:
        return self.requests >= max(self._gate.minimum_sample, 1)

    def _add(self, look: Look) -> GateVerdict | None:
        """Add a look to the totals; return the verdict if the gate can give it at any look."""
        gate = self._gate
        self.requests += look.requests
        self.failed += look.failed
        self._old_failed += look.old_failed
        if gate.method == "mann_whitney" and look.requests and len(self._rates[0]) < MOST_RANKED:
            self._rates[0].append(look.failed / look.requests)
            self._rates[1].append(look.old_failed / look.requests)
        if not self._has_sample:
            return None
        match gate.method:
            case "sprt_windows":
                return self._by_ratio()
            case "e_process":
                evidence = log_mixture_evidence(self.failed, self.requests, gate.null, gate.prior_a, gate.prior_b)
                return "fail" if evidence >= gate.upper else None
            case "multinomial":
                both = self.failed + self._old_failed
                evidence = log_mixture_evidence(self.failed, both, gate.null, gate.prior_a, gate.prior_b)
                return "fail" if evidence >= gate.upper else None
            case "bayes":
                above = posterior_above(self.failed, self.requests, gate.null, gate.prior_a, gate.prior_b)
                if above >= gate.confidence:
                    return "fail"
                return "pass" if 1 - above >= gate.confidence else None
            case _:
                return None

    def _by_ratio(self) -> GateVerdict | None:
        gate = self._gate
        ratio = log_likelihood_ratio(self.failed, self.requests, gate.if_failed, gate.if_served)
        if ratio >= gate.upper or ratio <= gate.lower:
            return "fail" if ratio >= gate.upper else "pass"
        if self.requests >= gate.most:
            # Truncated: the sign decides, as in Wald, "Sequential Analysis" (1947), section 3.8.
            return "fail" if ratio > 0 else "pass"
        return None

    def _walk(self, look: Look) -> GateVerdict | None:
        gate = self._gate
        if self._uniform is None:
            raise AssertionError("a test from request to request needs random numbers")
        walk = walk_requests(
            Walk(self.requests, self.failed, False, self._draws),
            look.requests,
            look.failed,
            bounds=(gate.lower, gate.upper),
            steps=(gate.if_failed, gate.if_served),
            least=max(gate.minimum_sample, 1),
            most=gate.most,
            uniform=self._uniform,
        )
        self.requests, self.failed, self._draws = walk.requests, walk.failed, walk.draws
        return self._by_ratio() if walk.is_over else None

    def _conclude(self) -> GateVerdict | None:
        """Return the verdict of a gate that decides only at the end of the observation."""
        gate = self._gate
        if not self._has_sample:
            return None
        if gate.method == "pooled_observation":
            return "pass" if self.failed <= gate.max_error_rate * self.requests else "fail"
        if gate.method == "mann_whitney":
            verdict = judge_ranks(*self._rates, tolerance=gate.tolerance, z=gate.z)
            return None if verdict is None else ("fail" if verdict == "higher" else "pass")
        return "pass"  # a one-sided test that found nothing


class Walk(NamedTuple):
    """Progress of a test in a look."""

    # requests, failed: totals up to where it stopped, or to the end of the look
    requests: int
    failed: int
    is_over: bool  # whether it reached a bound, or the most requests
    draws: int  # random numbers used in total


def walk_requests(
    before: Walk,  # current state of the test
    requests: int,  # of this look
    failed: int,  # of this look
    *,
    bounds: tuple[float, float],  # lower and upper bound of the log-likelihood ratio
    steps: tuple[float, float],  # what a failed and a served request add to it
    least: int,  # requests before which there is no verdict; takes precedence over `most` if larger
    most: int,  # requests at which it ends
    uniform: Callable[[int], float],  # the random number of an index
) -> Walk:
    """Process the requests of one look one by one, and stop at a bound.

    Which of them fail is chosen at random, by drawing the gap before each failure: J. S. Vitter, "Faster methods for random
    sampling", Communications of the ACM 27 (1984) 703-718, method A.

    Examples
    --------
    >>> walk = walk_requests(Walk(0, 0, False, 0), 1000, 900, bounds=(-3.0, 3.0), steps=(1.5, -0.1), least=0, most=5000,
    ...                      uniform=lambda index: 0.5)
    >>> walk.is_over, walk.requests < 10
    (True, True)
    """
    lower, upper = bounds
    seen, bad, draws = before.requests, before.failed, before.draws
    left, bad_left = requests, failed
    while left:
        if bad_left:
            u = uniform(draws)
            draws += 1
            good_left = left - bad_left
            quotient = good_left / left
            gap = 0
            while quotient > u:
                gap += 1
                left -= 1
                good_left -= 1
                quotient *= good_left / left
        else:
            gap = left
            left = 0
        for _ in range(gap):
            seen += 1
            ratio = log_likelihood_ratio(bad, seen, *steps)
            if seen >= least and (seen >= most or not lower < ratio < upper):
                return Walk(seen, bad, True, draws)
        if bad_left:
            seen += 1
            bad += 1
            left -= 1
            bad_left -= 1
            ratio = log_likelihood_ratio(bad, seen, *steps)
            if seen >= least and (seen >= most or not lower < ratio < upper):
                return Walk(seen, bad, True, draws)
    return Walk(seen, bad, False, draws)
