"""Nomad: the `update` block of a service or system job, in HCL or JSON.

At most `max_parallel` allocations of the new version are in flight; each success frees its place. An unhealthy allocation of a
service job blocks new ones until its replacement is placed; in a system job it doesn't count. The deployment of a service job
fails at the first allocation that may not be rescheduled (with a progress deadline of 0: at the first unhealthy one), or if none
became healthy for `progress_deadline`; that of a system job fails at the first unhealthy allocation. Then `auto_revert` rolls back to
the last stable version; without it, the update of a system job goes on. Canaries of a service job are a number of additional allocations; those of a system job are a percent of the nodes, rounded up, at most `max_parallel`. Sources:
hashicorp/nomad, nomad/structs/structs.go (defaults, validation), scheduler/reconciler/reconcile_cluster.go (service),
scheduler/scheduler_system.go (system), nomad/deploymentwatcher/deployment_watcher.go (failures).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simdeploy.dialects.nomad_job import JobFile, is_job
from simdeploy.dialects.reading import NOTHING_SERVED, Group, Reading, or_else
from simdeploy.dialects.windows import choose_window
from simdeploy.errors import plural
from simdeploy.units import MAX_DURATION_NS, NS_PER_S, write_duration

if TYPE_CHECKING:
    from simdeploy.dialects.imported import PolicyImport
    from simdeploy.dialects.source import Source

_DEFAULTS = {
    "min_healthy_time": 10 * NS_PER_S,
    "healthy_deadline": 300 * NS_PER_S,
    "progress_deadline": 600 * NS_PER_S,
}
_RESCHEDULE_DELAY = 30 * NS_PER_S
_SHORTEST = NS_PER_S // 1000  # window
_POLLING = NS_PER_S // 2  # Nomad looks at an allocation's health this often
_AT_ONCE = ({"strategy": "immediate"}, {"on_failure": "continue", "unreachable_nodes": "skip"})
_BLOCKS = ("update", "reschedule", "scaling")
# Other blocks of a group, and the keys of a scenario that simulate them.
_BESIDE = {
    "restart": "restarts on the same node are the fleet's start_attempts",
    "migrate": "says how nodes are drained, not updated",
    "disconnect": "nodes that disconnect are the fleet's connection",
    **dict.fromkeys(
        ("max_client_disconnect", "stop_after_client_disconnect", "prevent_reschedule_on_lost"),
        "nodes that disconnect are the fleet's connection",
    ),
    "shutdown_delay": "the scenario says how long an update takes",
}


def recognises(source: Source) -> bool:
    """Tell whether a text is a job."""
    return is_job(source)


def read(reading: Reading) -> PolicyImport:
    """Read the update of one group of a job."""
    file = JobFile(reading)
    job = file.job()
    group = file.group(job)
    kind = job.text("type", "service", "system", "batch", "sysbatch")
    if kind in ("batch", "sysbatch"):
        job.refuse("type", "jobs of this type have no deployments", allowed="service, system")
    job.exact("type", kind or "service")
    job.no_counterparts({"multiregion": "regions are not simulated; this is the rollout of one of them"})
    nodes = reading.nodes(None) if kind == "system" else _read_count(reading, file, group)
    for owner in (job, group):
        _note_generated(owner)
    group.no_counterparts(_BESIDE)
    policy, orchestrator = _Update(reading, file, job, group, is_system=kind == "system").read(nodes)
    for stated in (job, group):
        stated.note_misspelt()
    return reading.finish(policy, orchestrator, nodes=nodes)


def _note_generated(owner: Group) -> None:
    """Note blocks that say how to update but are generated from expressions."""
    generated = owner.data.get("dynamic")
    if not isinstance(generated, dict):
        return
    for block in _BLOCKS:
        if block in generated:
            line = owner.document.line((*owner.path, "dynamic", block))
            text = "a generated block; treated as not given"
            owner.reading.note(owner.name_of(f"dynamic.{block}"), "not evaluated", text, line)


def _read_count(reading: Reading, file: JobFile, group: Group) -> int | None:
    count = group.whole("count")
    stated = count if "count" in group else file.block(group, "scaling").whole("min") or 1
    nodes = reading.nodes(stated or None)
    if stated == 0 and nodes is None:
        group.refuse("count", "there is nothing to update", allowed="1 or more", hint="pass --nodes N")
    if reading.given_nodes is not None:
        group.approximate("count", f"{plural(reading.given_nodes, 'node')}, as given by the caller")
    else:
        group.exact("count", "unknown" if stated is None else f"{plural(stated, 'allocation')}: as many nodes")
    return nodes


def _duration(group: Group, key: str, low_ns: int) -> int | None:
    """Return a duration in nanoseconds, which the API's JSON writes as a number."""
    value = group.data.get(group.spelled(key))
    if isinstance(value, int) and not isinstance(value, bool):
        return group.whole(key, low_ns, MAX_DURATION_NS)
    return group.duration(key, low_ns)


class _Update:
    """The update of a group; fields that it leaves out may be in the job's update."""

    def __init__(self, reading: Reading, file: JobFile, job: Group, group: Group, *, is_system: bool) -> None:
        self._reading = reading
        self._file = file
        self._is_system = is_system
        self._name = group.name_of(group.spelled("update"))
        self._group = file.block(group, "update")
        self._job = file.block(job, "update")
        self._reschedules = [file.block(owner, "reschedule") for owner in (group, job)]
        # In the API's JSON a job always has an update, and all its fields are unset if it has none of its own.
        self._has_update = "update" in group or (any(self._job.data.values()) if file.is_api else "update" in job)

    def _find_update(self, key: str) -> Group:
        """Return the update, of the group or the job, that states a field; in the API's JSON 0 may mean unset."""
        job = self._job
        is_stated = key in job and not (self._file.is_api and job.data[job.spelled(key)] in ("", 0, False))
        return job if key not in self._group and is_stated else self._group

    def _find_reschedule(self, key: str) -> Group:
        """Return the block, of the group or the job, that states a field."""
        group, job = self._reschedules
        return job if key in job and key not in group else group

    def read(self, nodes: int | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the policy and the orchestrator."""
        if self._is_system and not self._has_update:
            text = "not given: a system job without it has no deployment; all allocations are replaced at once, regardless of failures"
            self._reading.note(self._name, "exact", text)
            return _AT_ONCE
        update = self._find_update("max_parallel")
        max_parallel = update.whole("max_parallel")
        if max_parallel == 0:
            update.exact(
                "max_parallel",
                "0: there is no deployment; all allocations are replaced at once, regardless of failures",
            )
            self._note_rest("there is no deployment")
            return _AT_ONCE
        at_most = 1 if max_parallel is None else max_parallel
        update.exact("max_parallel", f"at most {at_most:,} in flight")
        check, progress = self._read_health()
        reverts = self._read_flag("auto_revert", "rolls back", "never rolls back")
        canary = self._read_canary(at_most, nodes)
        limit, text = self._read_limit(progress, reverts=reverts)
        retries = self._read_retries(progress)
        self._note_rest("deprecated: deployments don't read it", "stagger")
        self._note_rest("not read by this importer")
        self._reading.note(self._group.name_of("failures"), "exact" if limit == 0 else "approximate", text)
        if reverts:
            text = f"a deployment of the old version; here waves of {at_most:,}, each after the previous one is back"
            self._reading.note(self._group.name_of("rollback"), "approximate", text)
        policy = {
            "strategy": "canary" if canary else "rolling",
            "max_parallel": at_most,
            **canary,
            "health_check": check,
            "max_failed_nodes": limit,
            **retries,
            "progress_deadline": write_duration(progress) if progress and not self._is_system else None,
            "no_auto_rollback": not reverts,
            "rollback_parallel": at_most if reverts else None,
        }
        freezes = {} if self._is_system else {"failed_node_freezes": True}
        return policy, {"pacing": "sliding", **freezes, "unreachable_nodes": "skip"}

    def _read_health(self) -> tuple[dict[str, Any], int]:
        """Return the health check and the progress deadline."""
        update = self._find_update("health_check")
        judged = update.text("health_check", "checks", "task_states", "manual", "") or "checks"
        texts = {
            "checks": "a check of a service fails where nothing is served: an error rate above 99 %",
            "task_states": "a node is healthy while it is up",
            "manual": "health is not set by hand here: a node is healthy while it is up",
        }
        note = update.exact if judged == "task_states" else update.approximate
        note("health_check", texts[judged], default="checks; ")
        values: dict[str, int] = {}
        meanings = {
            "min_healthy_time": "must be healthy that long without interruption",
            "healthy_deadline": "counted from the dispatch",
            "progress_deadline": "the rollout fails if no node becomes healthy for that long",
        }
        if self._is_system:  # its allocations are not tried again, and healthy_deadline is shorter
            meanings["progress_deadline"] = "no effect: the deployment fails earlier, at its first unhealthy allocation"
        for name in meanings:
            value = _duration(self._find_update(name), name, _SHORTEST if name == "healthy_deadline" else 0)
            values[name] = _DEFAULTS[name] if value is None else value
        polling = min(_POLLING, values["healthy_deadline"])
        for name, meaning in meanings.items():
            update = self._find_update(name)
            is_none = name == "progress_deadline" and not values[name]
            text = "0: none" if is_none else f"{write_duration(values[name])}: {meaning}"
            if name == "min_healthy_time" and 0 < values[name] < polling:
                why = "as often as Nomad looks" if polling == _POLLING else "healthy_deadline"
                update.approximate(name, f"{text}; here {write_duration(polling)}, {why}")
            else:
                update.exact(name, text)
        healthy, deadline, progress = (values[name] for name in _DEFAULTS)
        limit = f"healthy_deadline, {write_duration(deadline)}"
        if healthy >= deadline:
            self._refuse_duration("min_healthy_time", healthy, "too long", f"less than {limit}")
        if 0 < progress <= deadline:
            self._refuse_duration("progress_deadline", progress, "too short", f"more than {limit}, or 0")
        check = {
            "deadline": write_duration(deadline),
            "interval": choose_window(healthy, polling) if healthy else None,
            "min_healthy_time": write_duration(healthy),
            "max_error_rate": NOTHING_SERVED if judged == "checks" else None,
        }
        return {key: value for key, value in check.items() if value is not None}, progress

    def _refuse_duration(self, name: str, value: int, problem: str, allowed: str) -> None:
        update = self._find_update(name)
        message = problem if name in update else f"the default, {write_duration(value)}, is {problem}"
        update.refuse(name, message, allowed=allowed)

    def _read_flag(self, name: str, yes: str, no: str) -> bool:
        update = self._find_update(name)
        flag = update.flag(name)
        update.exact(name, yes if flag else no)
        return bool(flag)

    def _read_canary(self, max_parallel: int, nodes: int | None) -> dict[str, Any]:
        update = self._find_update("canary")
        canary = update.whole("canary")
        if not canary:
            update.exact("canary", "no canaries")
            update = self._find_update("auto_promote")
            if update.flag("auto_promote"):
                allowed = "canary of at least 1, or false"
                update.refuse("auto_promote", "there are no canaries to promote", allowed=allowed)
            if "auto_promote" in update:
                update.exact("auto_promote", "there are no canaries")
            return {}
        promotes = self._read_flag("auto_promote", "promotes as soon as all canaries are healthy", "a person promotes")
        if self._is_system:
            why = "canary is a percent of the nodes of a system job, at most max_parallel"
            nodes = self._reading.nodes(nodes, why=why)
            share = min(canary, 100)
            count = 1 if nodes is None else min(-(-share * nodes // 100), max_parallel)
            update.exact("canary", f"{share} % of the nodes, rounded up, and at most max_parallel: {count:,}")
            return {"canary_count": count, "auto_promote": promotes}
        count = canary if nodes is None else min(canary, nodes)
        text = "beside old allocations, each of which serves until its canary is healthy; in Nomad until the promotion"
        update.approximate("canary", f"canaries: {count:,}, {text}")
        return {"canary_count": count, "surge_canaries": True, "auto_promote": promotes}

    def _read_limit(self, progress: int, *, reverts: bool) -> tuple[int | None, str]:
        if not self._is_system:
            if progress:
                return 0, "the first allocation that may not be rescheduled (any more) fails the deployment"
            return 0, "progress_deadline is 0: the first unhealthy allocation fails the deployment"
        if reverts:
            text = "nothing reschedules the allocations of a system job: the first unhealthy one fails the deployment"
            return 0, text
        return None, (
            "the first unhealthy allocation of a system job makes its deployment failed, but without auto_revert the update goes on; "
            "here it completes with failed nodes"
        )

    def _read_retries(self, progress: int) -> dict[str, Any]:
        """Return the retries of an allocation that did not start or became unhealthy."""
        if self._is_system:
            for block in self._reschedules:
                for key in block:
                    block.refuse(key, "a system job has no reschedule block")
            return {}
        where = {name: self._find_reschedule(name) for name in ("attempts", "unlimited", "delay", "delay_function")}
        attempts, unlimited = where["attempts"].whole("attempts"), or_else(where["unlimited"].flag("unlimited"), True)
        if attempts and unlimited:
            message = "Nomad refuses attempts beside unlimited, which is true by default"
            where["attempts"].refuse("attempts", message, allowed="unlimited = false beside it, or no attempts")
        delay = _duration(where["delay"], "delay", 5 * NS_PER_S) or _RESCHEDULE_DELAY
        function = where["delay_function"].text("delay_function", "constant", "exponential", "fibonacci", "")
        if not progress:
            self._note_rest_of_reschedule("progress_deadline is 0: nothing is rescheduled while the deployment runs")
            return {}
        retries = -(-progress // delay) if unlimited else attempts or 0
        often = "any number of times within progress_deadline" if unlimited else plural(retries, "time")
        text = f"an unhealthy allocation is tried again {often}, {write_duration(delay)} later, here on the same node"
        text += ", where it serves until the next try has started; nothing else is placed until that begins"
        where["attempts"].approximate("attempts", text)
        if "delay" in where["delay"]:
            where["delay"].exact("delay", f"{write_duration(delay)} before each further try")
        if function == "constant":
            where["delay_function"].exact("delay_function", "the same delay every time")
        elif function or retries:
            text = f"{function or 'exponential'}: here the delay stays the same"
            where["delay_function"].approximate("delay_function", text)
        if "unlimited" in where["unlimited"]:
            where["unlimited"].exact("unlimited", often)
        self._note_rest_of_reschedule("tries are counted over the whole rollout, and their delay doesn't grow")
        if not retries:
            return {}
        return {"retries": retries, "retry_delay": write_duration(delay), "retry_unhealthy": True}

    def _note_rest_of_reschedule(self, text: str) -> None:
        for block in self._reschedules:
            for key in block:
                over = self._find_reschedule(key) is not block
                block.note_rest("the group's reschedule overrides it" if over else text, [key])

    def _note_rest(self, text: str, *keys: str) -> None:
        """Note fields without a note, all of them or `keys`."""
        for update in (self._group, self._job):
            for key in [update.spelled(key) for key in keys] or list(update):
                over = update is self._job and self._find_update(key) is not update and not keys
                update.note_rest("the group's update overrides it" if over else text, [key])
