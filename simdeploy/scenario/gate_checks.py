"""Checks of a policy's gate against the fleet and the switches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from simdeploy.api.gate import READ_BY
from simdeploy.errors import Path, Problem
from simdeploy.rules.deployment_types import TYPES
from simdeploy.rules.gates.gate import (
    DEFAULT_ERROR,
    MOST_GATED_REQUESTS,
    MOST_ORDERED_REQUESTS,
    beta_prior,
    good_and_bad,
    method_of,
)
from simdeploy.rules.health import judges_waves, read_health_rule, read_max_error_rate
from simdeploy.rules.waves import plan_waves
from simdeploy.scenario.gate_fit import find_misfit
from simdeploy.world.fleet import Fleet, peak_rate
from simdeploy.world.special import special

if TYPE_CHECKING:
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import GateTerms, Policy
    from simdeploy.scenario.parts import ScenarioPolicy


def gate_problems(
    scenario_policy: ScenarioPolicy, path: Path, fleet: Fleet, orchestrator: Orchestrator
) -> Iterator[Problem]:
    """List reasons why a gate with valid values can't be used in this fleet."""
    policy = scenario_policy.policy
    terms = policy.gate
    if terms is None or policy.strategy == "immediate":
        return
    path = (*path, "health_check", "gate")
    if any(behaviour.connection for behaviour in fleet.behaviours):
        message = "a gate needs reports at once, but nodes go offline (fleet.connection)"
        yield Problem(message, (*path, "kind"), found=terms.kind, allowed="threshold, or no fleet.connection")
    if orchestrator.reporting_delay_ns:
        message = "a gate needs reports at once, but orchestrator.reporting_delay is not 0s"
        yield Problem(message, (*path, "kind"), found=terms.kind, allowed="threshold, or no reporting_delay")
    has_waves = orchestrator.pacing != "sliding" or bool(policy.waves)
    if judges_waves(policy) and not has_waves:
        message = "judges waves, but pacing: sliding has none"
        allowed = "threshold or cusum, or pacing: barrier or rate"
        yield Problem(message, (*path, "kind"), found=terms.kind, allowed=allowed)
    yield from _number_problems(terms, path)
    if policy.dialect == "general" and policy.max_error_rate is None and _compares_with_limit(terms):
        message = f"the gate {terms.kind} needs it: the general dialect has no default"
        yield Problem(message, (*path[:-1], "max_error_rate"), allowed="above 0 and below 1")
        return
    limit = float(read_max_error_rate(policy, orchestrator))
    if terms.kind in ("sprt", "cusum"):
        yield from _rate_problems(terms, limit, path)
    if terms.kind in ("e_process", "bayes") and not 0 < limit < 1:
        message = f"{terms.kind} needs an error rate between 0 and 1"
        yield Problem(message, (*path[:-1], "max_error_rate"), found=f"{limit:g}", allowed="above 0 and below 1")
    elif terms.kind == "e_process" and not _has_mass_above(terms, limit):
        message = f"the prior has no mass above max_error_rate {limit:g}"
        yield Problem(message, (*path, "prior_mean"), allowed="a larger mean or a smaller strength")
    if judges_waves(policy) and has_waves:
        yield from _size_problems(policy, path, fleet, orchestrator)


def _compares_with_limit(terms: GateTerms) -> bool:
    """Whether a gate's test uses `max_error_rate`."""
    if terms.kind in ("sprt", "cusum"):
        return terms.good is None or terms.bad is None
    return terms.kind in ("pooled", "e_process", "bayes")


def _has_mass_above(terms: GateTerms, limit: float) -> bool:
    mean, strength = terms.prior_mean, terms.prior_strength
    if (mean is not None and not 0 < mean < 1) or (strength is not None and strength <= 0):
        return True  # reported by `_number_problems`
    a, b = beta_prior(terms, limit)
    return float(special.betaincc(a, b, limit)) > 0


def _number_problems(terms: GateTerms, path: Path) -> Iterator[Problem]:
    # (key, lowest, highest), both exclusive.
    ranges = (
        ("alpha", 0.0, 1.0),
        ("beta", 0.0, 1.0),
        ("prior_mean", 0.0, 1.0),
        ("prior_strength", 0.0, None),
        ("confidence", 0.5, 1.0),
        ("alarm_every", 1.0, None),
        ("most", 0.0, None),
    )
    for key, low, high in ranges:
        value = getattr(terms, key)
        if value is None or key not in READ_BY[terms.kind]:
            continue
        if value <= low or (high is not None and value >= high):
            allowed = f"above {low:g}" + ("" if high is None else f" and below {high:g}")
            yield Problem("out of range", (*path, key), found=f"{value:g}", allowed=allowed)
    if terms.kind == "sprt":
        alpha = DEFAULT_ERROR if terms.alpha is None else terms.alpha
        beta = DEFAULT_ERROR if terms.beta is None else terms.beta
        if alpha + beta >= 1:
            message = "alpha and beta sum to 1 or more"
            yield Problem(message, (*path, "alpha"), found=f"alpha {alpha:g}, beta {beta:g}", allowed="a sum below 1")


def _rate_problems(terms: GateTerms, limit: float, path: Path) -> Iterator[Problem]:
    good, bad = good_and_bad(terms, limit)
    if not 0 < good < bad < 1:
        key = "good" if terms.good is not None or terms.bad is None else "bad"
        found = f"good {good:g}, bad {bad:g}"
        allowed = "0 < good < bad < 1; defaults: half and twice max_error_rate"
        yield Problem("good and bad must be distinct error rates", (*path, key), found=found, allowed=allowed)


def _size_problems(policy: Policy, path: Path, fleet: Fleet, orchestrator: Orchestrator) -> Iterator[Problem]:
    in_window, in_all = _most_requests(policy, fleet, orchestrator)
    if in_all > MOST_GATED_REQUESTS:
        message = f"more than {MOST_GATED_REQUESTS:,} requests per wave until the deadline"
        yield Problem(message, (*path, "kind"), found=f"{in_all:,}", allowed="the gate threshold, which judges nodes")
    if policy.gate is not None and method_of(policy.gate) == "sprt_requests" and in_window > MOST_ORDERED_REQUESTS:
        message = f"more than {MOST_ORDERED_REQUESTS:,} requests per wave and window for a test request by request"
        yield Problem(message, (*path, "on"), found=f"{in_window:,}", allowed="on: windows")


def _most_requests(policy: Policy, fleet: Fleet, orchestrator: Orchestrator) -> tuple[int, int]:
    """Return the most requests that one wave can receive: in an interval, and until the deadline."""
    rule = read_health_rule(policy, orchestrator)
    window = max(rule.requests_per_window(peak_rate(behaviour)) for behaviour in fleet.behaviours)
    # In a shared service one wave may receive the requests of all nodes.
    in_window = window * (max(_sizes(policy, fleet, orchestrator)) if fleet.service is None else fleet.nodes)
    return in_window, in_window * max(rule.deadline_ns // rule.interval_ns, 1)


def _sizes(policy: Policy, fleet: Fleet, orchestrator: Orchestrator) -> tuple[int, ...]:
    return plan_waves(policy, orchestrator, fleet.nodes, fleet.zones).sizes


def gate_suspicions(scenario_policy: ScenarioPolicy, path: Path) -> Iterator[Problem]:
    """Warn about keys of a gate without effect in any fleet."""
    ignored = list_ignored_of_gate(scenario_policy)
    terms = scenario_policy.policy.gate
    path = (*path, "health_check", "gate")
    if ignored:
        kind = "threshold" if terms is None else terms.kind
        yield Problem(f"{kind} ignores {', '.join(ignored)}", path)
    if terms is not None and terms.tolerance is not None and method_of(terms) == "multinomial":
        message = "no effect without test: mann_whitney"
        yield Problem(message, (*path, "tolerance"), found=f"{terms.tolerance:g}")
    if terms is not None and TYPES[scenario_policy.identity.type].leaves:
        message = f"no effect: nothing starts in a {scenario_policy.identity.type}"
        yield Problem(message, (*path, "kind"), found=terms.kind)
    if terms is not None and terms.failures_of is not None and not ignored:
        without = "over: window" if terms.over != "window" else "failure_threshold"
        if terms.over != "window" or scenario_policy.policy.failure_threshold is None:
            message = f"no effect without {without}: no unhealthy windows are counted"
            yield Problem(message, (*path, "failures_of"), found=terms.failures_of)
    if not judges_waves(scenario_policy.policy):
        for number, wave in enumerate(scenario_policy.policy.waves):
            if not wave.by_gate:
                yield Problem("no effect: no gate judges waves", (*path[:-2], "waves", number, "gate"), found="false")
    if terms is not None and terms.kind == "sprt" and 0 < (terms.most or 0) < (terms.minimum_sample or 0):
        message = "below minimum_sample, before which the test can't end"
        yield Problem(message, (*path, "most"), found=f"{terms.most:,}")


def gate_in_fleet_suspicions(
    scenario_policy: ScenarioPolicy, path: Path, fleet: Fleet, orchestrator: Orchestrator
) -> Iterator[Problem]:
    """Warn about a gate that doesn't suit the fleet, such as one that never gives a verdict."""
    policy = scenario_policy.policy
    terms = policy.gate
    if terms is None or TYPES[scenario_policy.identity.type].leaves:
        return
    path = (*path, "health_check", "gate")
    is_silent = judges_waves(policy) and _most_requests(policy, fleet, orchestrator)[1] == 0
    if terms.kind != "threshold" and (is_silent or not fleet.has_requests):
        message = "no window has a request" if fleet.has_requests else "nodes have no requests"
        message += f", so the gate has nothing to judge{_say_what_silence_does(policy, orchestrator)}"
        yield Problem(message, (*path, "kind"), found=terms.kind)
    if terms.kind == "baseline":
        doubt = _doubt_comparison(scenario_policy, fleet, orchestrator)
        if doubt is not None:
            yield Problem(doubt, (*path, "kind"), found="baseline")
    misfit = find_misfit(policy, fleet, orchestrator)
    if misfit is not None:
        yield Problem(misfit, (*path, "kind"), found=terms.kind)
    if judges_waves(policy) and terms.minimum_sample:
        _, most = _most_requests(policy, fleet, orchestrator)
        if most < terms.minimum_sample:
            message = f"no wave can reach this before its deadline: at most {most:,} requests"
            yield Problem(message, (*path, "minimum_sample"), found=f"{terms.minimum_sample:,}")


def _doubt_comparison(scenario_policy: ScenarioPolicy, fleet: Fleet, orchestrator: Orchestrator) -> str | None:
    """Say that a gate can compare no wave or only few nodes, or that the last wave, which it never can, ends every rollout."""
    plan = plan_waves(scenario_policy.policy, orchestrator, fleet.nodes, fleet.zones)
    judged = [watch.by_gate for watch in plan.watches] or [True] * len(plan.sizes)
    first_alone = 0 if TYPES[scenario_policy.identity.type].begins else len(judged) - 1
    compares = any(judged[:first_alone])
    alone = f"{'the last wave has no' if compares else 'no wave has'} old nodes to compare with"
    if orchestrator.cant_tell not in ("stop", "unhealthy") or not any(judged[first_alone:]):
        return _doubt_coverage(plan.sizes, judged, fleet) if compares else f"{alone}: passes every release"
    return f"{alone}: {_say_how_it_ends(orchestrator, 'fails its nodes' if compares else 'fails every node')}"


def _say_how_it_ends(orchestrator: Orchestrator, fails: str) -> str:
    """Say what a gate that always fails does; `fails` if the rollout goes on."""
    return {"continue": fails, "pause": "pauses every rollout"}.get(orchestrator.on_failure, "stops every rollout")


def _say_what_silence_does(policy: Policy, orchestrator: Orchestrator) -> str:
    """Say what a gate without requests does to every rollout; nothing if that depends on the waves, or if it does nothing."""
    of_running = policy.gate is not None and policy.gate.kind == "cusum"  # it fails no node
    if orchestrator.cant_tell in ("stop", "unhealthy"):
        if of_running and orchestrator.on_failure == "continue":
            return ""
        return f": {_say_how_it_ends(orchestrator, 'fails every node')}"
    if orchestrator.cant_tell == "pass":
        return ": passes every release"
    if of_running or (policy.gate is not None and policy.gate.kind == "baseline"):
        return ""
    return ": fails every node at its deadline"


def _doubt_coverage(sizes: tuple[int, ...], judged: list[bool], fleet: Fleet) -> str | None:
    """Say that half of the nodes, or part of a wave that is more than half of them, have no partner in a later wave."""
    left, alone, largest = fleet.nodes, 0, 0
    for size, is_judged in zip(sizes, judged, strict=True):
        left -= size
        if is_judged:
            alone += max(size - left, 0)
            largest = max(largest, size)
    # The last wave is never compared, which is no surprise while it is small.
    if 2 * alone < fleet.nodes and 2 * largest <= fleet.nodes:
        return None
    least = "at least " if fleet.classes else ""  # partners are of the same class
    return f"{least}{alone:,} of {fleet.nodes:,} nodes have no old nodes in later waves to compare with: defects there pass"


def list_ignored_of_gate(scenario_policy: ScenarioPolicy) -> list[str]:
    """Return the stated keys of a gate that its kind does not read."""
    health_check = scenario_policy.spec.health_check
    gate = None if health_check is None else health_check.gate
    if gate is None:
        return []
    used = ("kind", *READ_BY[gate.kind])
    return [key for key, value in gate.to_dict().items() if key not in used and value is not None]
