"""Warnings of valid values of policies that are probably not meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache

from simdeploy.api import GeneralSpec
from simdeploy.errors import Path, Problem, plural
from simdeploy.rules.deployment_types import TYPES
from simdeploy.rules.health import read_max_error_rate
from simdeploy.rules.limits import Counts, read_limits
from simdeploy.rules.orchestrator import Orchestrator
from simdeploy.rules.policy import WaveTerms
from simdeploy.rules.waves import Plan, count_canaries, plan_waves
from simdeploy.scenario.down_nodes import count_down, why_one_is_down
from simdeploy.scenario.few_requests import doubt_windows, requests_can_fail
from simdeploy.scenario.gate_checks import gate_in_fleet_suspicions, gate_suspicions, list_ignored_of_gate
from simdeploy.scenario.parts import ScenarioPolicy
from simdeploy.scenario.switch_suspicions import idle_switch_suspicions, waiting_suspicions
from simdeploy.units import NS_PER_S, exact, round_half_up, write_duration
from simdeploy.world.fleet import Behaviour, Fleet
from simdeploy.world.levels import either
from simdeploy.world.release import ReleaseKind

# Updating this many nodes at once may be intended.
_FEW_NODES = 10
_MANY_WINDOWS = 10_000_000  # of one node, which take about a second


def list_ignored(scenario_policy: ScenarioPolicy, orchestrator: Orchestrator) -> list[str]:
    """Return the stated keys of a policy that its strategy or gate ignores."""
    of_gate = [f"health_check.gate.{key}" for key in list_ignored_of_gate(scenario_policy)]
    return [*_list_ignored_by_strategy(scenario_policy, orchestrator), *of_gate]


def _list_ignored_by_strategy(scenario_policy: ScenarioPolicy, orchestrator: Orchestrator) -> list[str]:
    spec, policy = scenario_policy.spec, scenario_policy.policy
    keys: list[str] = []
    if policy.strategy == "immediate":
        keys += ["max_parallel", "canary_count", "canary_percent", "auto_promote", "health_check"]
        if isinstance(spec, GeneralSpec):
            keys += ["waves", "zone_by_zone", "max_parallel_per_zone", "slot_delay"]
        if not orchestrator.limits_apply_to_immediate:
            keys += ["max_failed_nodes", "max_failed_nodes_percent"]
    elif policy.strategy == "rolling":
        keys += ["canary_count", "canary_percent"]
        if not policy.awaits_promotion:
            keys += ["auto_promote"]
    return [key for key in keys if getattr(spec, key)]


@dataclass(frozen=True)
class PolicySuspicions:
    """Warnings about one policy in any fleet."""

    scenario_policy: ScenarioPolicy
    path: Path
    orchestrator: Orchestrator

    def __iter__(self) -> Iterator[Problem]:
        strategy = self.scenario_policy.policy.strategy
        yield from self._dialect()
        if strategy != "immediate":
            yield from self._windows()
            yield from gate_suspicions(self.scenario_policy, self.path)
        if ignored := _list_ignored_by_strategy(self.scenario_policy, self.orchestrator):
            yield self._say(f"{strategy} ignores {', '.join(ignored)}")
        yield from self._of_no_time()
        yield from self._instances()

    def _say(self, message: str, *keys: str | int, found: object = None, hint: str | None = None) -> Problem:
        return Problem(message, (*self.path, *keys), found=None if found is None else str(found), hint=hint)

    def _dialect(self) -> Iterator[Problem]:
        dialect, preset = self.scenario_policy.policy.dialect, self.orchestrator.preset
        usual = {"deployment": "expanso", "rollout": "expanso-rollout"}.get(dialect, preset)
        if preset != usual and self.scenario_policy.orchestrator is None:
            yield self._say(f"{dialect} policy under preset {preset}; its usual preset is {usual}")

    def _windows(self) -> Iterator[Problem]:
        policy = self.scenario_policy.policy
        of_waves = (
            (("waves", number, "min_healthy_time"), wave.min_healthy_ns) for number, wave in enumerate(policy.waves)
        )
        for keys, healthy_ns in [(("health_check", "min_healthy_time"), policy.min_healthy_ns), *of_waves]:
            n_windows = -(-(healthy_ns or 0) // policy.interval_ns)
            watched_ns = n_windows * policy.interval_ns
            if healthy_ns is not None and watched_ns != healthy_ns:
                message = f"rounded up to {plural(n_windows, 'window')} of {write_duration(policy.interval_ns)}"
                message += f", {write_duration(watched_ns)}" if n_windows > 1 else ""
                yield self._say(message, *keys, found=write_duration(healthy_ns))
        deadline_ns = policy.deadline_ns or 0
        if (n_windows := deadline_ns // policy.interval_ns) > _MANY_WINDOWS:
            message = (
                f"slow to simulate: up to {n_windows:,} windows of {write_duration(policy.interval_ns)} for each node"
            )
            yield self._say(message, "health_check", "deadline", found=write_duration(deadline_ns))
        if policy.cumulative_failures and policy.failure_threshold is None:
            yield self._say("no effect without failure_threshold", "health_check", "cumulative_failures", found="true")

    def _of_no_time(self) -> Iterator[Problem]:
        policy = self.scenario_policy.policy
        deadlines = {"progress_deadline": policy.progress_deadline_ns, "rollout_deadline": policy.rollout_deadline_ns}
        for key, deadline_ns in deadlines.items():
            if deadline_ns == 0:
                yield self._say("no rollout can complete in 0s; omit the key for no deadline", key, found="0s")

    def _instances(self) -> Iterator[Problem]:
        policy, kind = self.scenario_policy.policy, self.scenario_policy.identity.type
        if policy.surge and not TYPES[kind].replaces:
            yield self._say(f"no effect: no node has an old and a new instance in a {kind}", "surge")
        if policy.retries and TYPES[kind].leaves:
            yield self._say(f"no effect: nothing starts in a {kind}", "retries", found=policy.retries)
        if policy.retry_delay_ns and not policy.retries:
            yield self._say("no effect without retries", "retry_delay")
        if policy.retry_unhealthy and not policy.retries:
            yield self._say("no effect without retries", "retry_unhealthy")
        if policy.surge_canaries and policy.strategy != "canary":
            yield self._say("no effect without canaries", "surge_canaries")


@dataclass(frozen=True)
class PolicyInFleetSuspicions(PolicySuspicions):
    """Warnings about one policy in its fleet, for the kinds of release that it may update it to."""

    fleet: Fleet
    release: tuple[ReleaseKind, ...]

    @cached_property
    def _plan(self) -> Plan:
        return plan_waves(self.scenario_policy.policy, self.orchestrator, self.fleet.nodes, self.fleet.zones)

    def __iter__(self) -> Iterator[Problem]:
        policy = self.scenario_policy.policy
        if policy.strategy != "immediate":
            yield from self._sizes()
            yield from self._canaries()
            if policy.max_parallel_per_zone or policy.slot_delay_ns:
                yield from self._slots()
            yield from self._deadline()
            yield from self._error_rate()
            yield from self._requests()
            if policy.gate is not None:
                yield from gate_in_fleet_suspicions(self.scenario_policy, self.path, self.fleet, self.orchestrator)
        yield from self._deadlines_of_rollouts()
        yield from self._limits()
        if policy.rollback_delay_ns and self._plan.rollback >= self.fleet.nodes:
            found = write_duration(policy.rollback_delay_ns)
            yield self._say(
                "no effect: all nodes roll back at once; set rollback_parallel", "rollback_delay", found=found
            )
        if self.fleet.classes and self.orchestrator.unreachable_nodes == "fail":
            yield from self._down_nodes()
            yield from self._down_canaries()
        if self.scenario_policy.orchestrator is not None:
            yield from waiting_suspicions(self.orchestrator, self.fleet, self.path)
            yield from idle_switch_suspicions(self.orchestrator, [self.scenario_policy], self.path)

    def _sizes(self) -> Iterator[Problem]:
        policy, nodes = self.scenario_policy.policy, self.fleet.nodes
        if policy.strategy == "canary" and policy.canary_count > nodes:
            found = policy.canary_count
            yield self._say(f"more than the fleet's {plural(nodes, 'node')}", "canary_count", found=found)
        left = nodes - count_canaries(policy, self.orchestrator, nodes) if policy.strategy == "canary" else nodes
        is_count = policy.dialect != "rollout" and isinstance(policy.max_parallel, int)
        if self.orchestrator.pacing == "rate" and policy.max_parallel:
            message = "ignored under pacing: rate; use orchestrator.rate"
            yield self._say(message, "max_parallel", found=policy.max_parallel)
        elif is_count and policy.max_parallel > nodes:
            message = f"more than the fleet's {plural(nodes, 'node')}: one wave updates all"
            yield self._say(message, "max_parallel", found=policy.max_parallel)
        elif (
            self.orchestrator.pacing != "rate"
            and is_count
            and not policy.max_parallel
            and not policy.waves
            and not self._zones_bound()
            and left > _FEW_NODES
        ):
            after = " after the canaries" if policy.strategy == "canary" else ""
            spec, message = self.scenario_policy.spec, f"updates all {left:,} nodes{after} at once"
            if isinstance(spec, GeneralSpec) and spec.max_parallel is None:
                yield self._say(f"unset: {message}", "max_parallel")
            else:
                yield self._say(f"0 {message}", "max_parallel", found=0)

    def _canaries(self) -> Iterator[Problem]:
        policy, fleet = self.scenario_policy.policy, self.fleet
        # Users of other orchestrators know what these do with canaries.
        if policy.strategy != "canary" or policy.waves or not policy.max_parallel or self.scenario_policy.is_imported:
            return
        plan = self._plan
        at_once = min(plan.canaries, plan.per_zone * fleet.zones)
        is_outage = plan.canary_surge < plan.canaries  # of canaries without an old instance beside them
        if plan.pacing != "rate" and at_once > plan.parallel and is_outage:
            message = f"doesn't limit canaries: up to {at_once:,} are updated at once"
            found, hint = self.scenario_policy.spec.max_parallel, "it limits `waves` (dialect: general)"
            yield self._say(message, "max_parallel", found=found, hint=hint)

    def _zones_bound(self) -> bool:
        """Whether max_parallel_per_zone ever makes a node wait."""
        return self._plan.per_zone < -(-self.fleet.nodes // self.fleet.zones)

    def _slots(self) -> Iterator[Problem]:
        policy, spec = self.scenario_policy.policy, self.scenario_policy.spec
        if policy.max_parallel_per_zone and self.orchestrator.pacing == "rate":
            found = getattr(spec, "max_parallel_per_zone", None)
            yield self._say("ignored under pacing: rate", "max_parallel_per_zone", found=found)
        if policy.slot_delay_ns and not self._plan.has_slots:
            message, found = "no effect: nodes have no slots", write_duration(policy.slot_delay_ns)
            yield self._say(message, "slot_delay", found=found)

    def _deadline(self) -> Iterator[Problem]:
        policy = self.scenario_policy.policy
        if self.orchestrator.deadline_starts != "dispatch" or self.scenario_policy.identity.type == "stop":
            return
        windows_ns = policy.windows_needed * policy.interval_ns
        deadline_ns = policy.deadline_ns or 0
        for name, behaviour in self._behaviours():
            least_ns = _least_starting_ns(behaviour.update_duration.support[0], behaviour.slowdown.support[0])
            if windows_ns <= deadline_ns < least_ns + windows_ns:
                message = (
                    f"no node{name} can become healthy in time: an update takes at least {write_duration(least_ns)}, "
                    f"its windows {write_duration(windows_ns)}"
                )
                yield self._say(message, "health_check", "deadline", found=write_duration(deadline_ns))

    def _deadlines_of_rollouts(self) -> Iterator[Problem]:
        policy = self.scenario_policy.policy
        if not (policy.progress_deadline_ns or policy.rollout_deadline_ns):
            return
        least_ns = min(
            (_least_starting_ns(b.update_duration.support[0], b.slowdown.support[0]) for _, b in self._behaviours()),
            default=0,
        )
        if policy.strategy != "immediate" and self.scenario_policy.identity.type != "stop":
            least_ns += min(policy.windows_of_waves) * policy.interval_ns
        plan = self._plan
        waves = len(plan.sizes) if plan.pacing == "barrier" else 1
        whole_ns = waves * least_ns + (sum(plan.bakes_ns) if plan.pacing == "barrier" else 0)
        for key, deadline_ns, needed_ns, what in (
            ("progress_deadline", policy.progress_deadline_ns, least_ns, "a node"),
            ("rollout_deadline", policy.rollout_deadline_ns, whole_ns, plural(waves, "wave")),
        ):
            if deadline_ns and deadline_ns < needed_ns:
                message = f"no rollout can meet it: updating {what} takes at least {write_duration(needed_ns)}"
                yield self._say(message, key, found=write_duration(deadline_ns))

    def _error_rate(self) -> Iterator[Problem]:
        limit = float(read_max_error_rate(self.scenario_policy.policy, self.orchestrator))
        for name, behaviour in self._behaviours():
            usual = _usual_error_rate(behaviour)
            if usual > limit and behaviour.requests_per_second:
                message = f"below the average error rate of nodes{name} without the release, {usual:.3g}: healthy nodes look bad"
                yield self._say(message, "health_check", "max_error_rate", found=f"{limit:g}")

    def _requests(self) -> Iterator[Problem]:
        policy, orchestrator = self.scenario_policy.policy, self.orchestrator
        if TYPES[self.scenario_policy.identity.type].leaves:
            return
        # The deployment dialect has no key for it.
        key, keys = ("health.interval", ()) if policy.dialect == "deployment" else ("it", ("interval",))
        is_shared, can_fail = self.fleet.service is not None, requests_can_fail(self.fleet, self.release)
        for name, behaviour in self._behaviours():
            doubt = doubt_windows(policy, orchestrator, behaviour, name=name, is_shared=is_shared, can_fail=can_fail)
            if doubt is None:
                continue
            message, enough_ns = doubt
            if self.scenario_policy.is_imported:  # its importer chose the interval, which its file may not have
                yield self._say(message, "health_check")
                continue
            hint = f"set {key} to {write_duration(enough_ns)} or more"
            windows_ns = max(replace(policy, interval_ns=enough_ns).windows_needed, 1) * enough_ns
            if windows_ns > (policy.deadline_ns or 0):
                hint += f", and deadline to {write_duration(windows_ns)} or more"
            yield self._say(message, "health_check", *keys, hint=hint)

    def _limits(self) -> Iterator[Problem]:
        policy, nodes = self.scenario_policy.policy, self.fleet.nodes
        reaches = self.orchestrator.limit_comparison == "reaches"
        count, percent = policy.max_failed_nodes, policy.max_failed_nodes_percent
        tries = policy.retries + 1 if self.orchestrator.failed_tries_count else 1
        if count is not None and count >= nodes * tries + reaches:
            message = f"can never stop a rollout of {plural(nodes, 'node')}"
            message += f" that are tried up to {tries:,} times" if tries > 1 else ""
            yield self._say(message, "max_failed_nodes", found=count)
        if not reaches and percent is not None and percent >= 100:
            yield self._say("can never stop a rollout", "max_failed_nodes_percent", found=f"{float(percent):g}")
        if self.orchestrator.failed_percent_of == "fleet":
            yield from self._limit_as_fraction(percent, nodes, "max_failed_nodes_percent")
        most = -(-nodes // self.fleet.zones)  # nodes of a zone
        per_zone = policy.max_failed_nodes_per_zone
        allowed = per_zone * most / 100 if isinstance(per_zone, Fraction) else per_zone
        if allowed is not None and (allowed > most or (allowed == most and not reaches)):
            message = f"can never stop a rollout whose zones have at most {plural(most, 'node')}"
            found = getattr(self.scenario_policy.spec, "max_failed_nodes_per_zone", None)
            yield self._say(message, "max_failed_nodes_per_zone", found=found)
        if policy.strategy != "immediate" and policy.waves:
            yield from self._limits_of_waves(reaches=reaches)

    def _limits_of_waves(self, *, reaches: bool) -> Iterator[Problem]:
        policy = self.scenario_policy.policy
        if all(entry.max_failed_nodes is None and entry.max_failed_nodes_percent is None for entry in policy.waves):
            return
        # With its place as its limit, each entry can be recognised in the planned waves. The repetitions of the last entry, which
        # may be millions, are no larger than its first wave, so one wave stands for them.
        places = [replace(entry, max_failed_nodes=place) for place, entry in enumerate(policy.waves)]
        places.append(WaveTerms(Fraction(100), is_until=True))
        plan = plan_waves(replace(policy, waves=tuple(places)), self.orchestrator, self.fleet.nodes, self.fleet.zones)
        largest = {limits.count: 0 for limits in plan.limits}
        for size, limits in zip(plan.sizes, plan.limits, strict=True):
            largest[limits.count] = max(largest[limits.count], size)
        for place, entry in enumerate(policy.waves):
            count, percent, most = entry.max_failed_nodes, entry.max_failed_nodes_percent, largest.get(place, 0)
            path = (*self.path, "waves", place)
            if most and count is not None and count >= most + reaches:
                message = f"can never stop a wave of {plural(most, 'node')}"
                yield Problem(message, (*path, "max_failed_nodes"), found=str(count))
            if percent is not None and percent >= 100 and not reaches:
                yield Problem("can never stop a wave", (*path, "max_failed_nodes_percent"), found=f"{float(percent):g}")
            if count is None or count > reaches:
                yield from self._limit_as_fraction(percent, most, "waves", place, "max_failed_nodes_percent")

    def _limit_as_fraction(self, percent: Fraction | None, nodes: int, *keys: str | int) -> Iterator[Problem]:
        """Warn about 0.1 for 10 %, unless a count allows no failed node anyway: whoever means none writes 0."""
        # A ratio of another orchestrator may be that small.
        if percent is None or self.scenario_policy.is_imported:
            return
        limits = read_limits(self.scenario_policy.policy, self.orchestrator, self.fleet.nodes)
        if limits is None or limits.both or limits.max_failed_nodes <= limits.reaches:
            return
        if percent < 1 and 0 < percent * nodes < 100:
            value, meant = f"{float(percent):g}", f"{float(percent * 100):g}"
            message = f"allows no failed node: {value} % of {plural(nodes, 'node')} is less than one"
            yield Problem(message, (*self.path, *keys), found=value, hint=f"write {meant} for {meant} %")

    def _down_nodes(self) -> Iterator[Problem]:
        down = count_down(self.fleet)
        if not down or down == self.fleet.nodes:
            return
        limits = read_limits(self.scenario_policy.policy, self.orchestrator, self.fleet.nodes)
        if limits is None or limits.percent_of == "wave":
            return
        crossed = limits.crossed(Counts(failed=down, running=self.fleet.nodes - down, wave_failed=0, wave_size=0))
        if crossed:
            yield self._say(f"no rollout stays within its limits: nodes that are down count as failed; {crossed}")

    def _down_canaries(self) -> Iterator[Problem]:
        policy, orchestrator = self.scenario_policy.policy, self.orchestrator
        is_required = orchestrator.canary_gate == "all_healthy" and orchestrator.on_failure != "continue"
        if policy.strategy != "canary" or not is_required:
            return
        why = why_one_is_down(self.fleet, self._plan.canaries)
        if why is not None:
            yield self._say(f"the canaries are never all healthy, which canary_gate: all_healthy requires: {why}")

    def _behaviours(self) -> Iterator[tuple[str, Behaviour]]:
        classes, nodes = self.fleet.classes, self.fleet.nodes
        if (
            not classes
            or sum(len(each.nodes) if each.share is None else each.share * nodes for each in classes) < nodes
        ):
            yield (" outside the classes" if classes else ""), self.fleet.behaviour
        for node_class in classes:
            if not node_class.behaviour.down:
                yield f" of class {node_class.name}", node_class.behaviour


def _usual_error_rate(behaviour: Behaviour) -> float:
    """Return the average fraction of requests that fail without a release, degraded spells included."""
    flapping, usual = behaviour.flapping, behaviour.error_rate.mean
    if flapping is None:
        return usual
    return either(usual, flapping.error_rate * flapping.degraded_s / (flapping.good_s + flapping.degraded_s))


@lru_cache
def _least_starting_ns(duration_s: float, slowdown: float) -> int:
    return round_half_up(exact(float(duration_s)) * exact(float(slowdown)) * NS_PER_S)
