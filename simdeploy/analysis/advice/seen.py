"""What was seen of a rollout: reads deployment objects in any form into `Look` objects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.advice.messages import read_awaited
from simdeploy.analysis.advice.node_table import FAILED, HALF_SECOND_NS, PENDING, RUNNING, SKIPPED, NodeTable
from simdeploy.analysis.advice.nodes_seen import is_table_of_nodes, read_nodes
from simdeploy.analysis.advice.rows import read_seconds
from simdeploy.api import Deployment, DeploymentDocument, parse_time
from simdeploy.api.document import read_body
from simdeploy.api.times import shift_time
from simdeploy.engines.looks import NOT_THERE
from simdeploy.engines.rollout import Rollout
from simdeploy.errors import InputError, Path, Problem, shorten
from simdeploy.records import Records
from simdeploy.rules.waves import plan_waves
from simdeploy.units import NS_PER_S
from simdeploy.vocabulary import STATES, TERMINAL_STATES

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.advice.observed import Total
    from simdeploy.scenario import Scenario, ScenarioPolicy

_WHOLE = ("current_wave", "updated_nodes", "failed_nodes")
_TIMES = {
    "completed_at": "completed_ns",
    "last_progress_time": "last_progress_ns",
    "health_check_deadline": "health_check_deadline_ns",
    "healthy_deadline": "healthy_deadline_ns",
}
_FIELDS = ("state", *_WHOLE, "canary_promoted")
# Fields that must be equal in all objects of a rollout, where they are given.
_IDENTITY = ("id", "job_id", "namespace", "type", "from_version", "to_version")
_FORMS = "a deployment object, a list of (instant, object), a rollout's revisions, or a table of nodes"


@dataclass(frozen=True)
class Look:
    """What is known of a deployment from its last change until it was seen."""

    # When a world must look like this, nanoseconds after the start: at least half a second after each known instant of a
    # change, because times of worlds may be that much later.
    from_ns: int
    at_ns: int
    since_ns: int  # when it was seen, or last changed
    # Known fields of the status, named as in `engines.looks.LOOK`; times in nanoseconds after the start.
    fields: Mapping[str, Any]

    @property
    def ends_ns(self) -> tuple[int, ...]:
        """The first and the last instant at which a world must look like this; in between it cannot change there and back."""
        return (self.at_ns,) if self.from_ns >= self.at_ns else (self.from_ns, self.at_ns)


@dataclass(frozen=True)
class Seen:
    """What was seen, in order."""

    looks: tuple[Look, ...]  # at least one
    policy: ScenarioPolicy
    at_ns: int  # the time of observation
    is_assumed: bool  # whether `at_ns` was not given, and so is the last change
    are_revisions: bool = False  # whether every change is among the looks
    # The nodes at the time of observation, if they were seen; the only look has their counts.
    nodes: NodeTable | None = None
    totals: tuple[Total, ...] = ()  # of requests that no health window judged

    @property
    def last(self) -> Look:
        """The last look."""
        return self.looks[-1]

    @property
    def instants_ns(self) -> tuple[int, ...]:
        """The instants at which worlds must look like what was seen."""
        return tuple(at_ns for look in self.looks for at_ns in look.ends_ns)

    @property
    def past(self) -> list[tuple[int, Mapping[str, Any]]]:
        """The known counts over time."""
        if self.nodes is not None:
            return [*self.nodes.count(), (self.at_ns, self.last.fields)]
        return [(look.since_ns, look.fields) for look in self.looks]

    def know_instant(self, changed_ns: int) -> Seen:
        """Return the same if the time of a change is known: worlds may show it up to half a second later."""
        at_ns = max(self.last.at_ns, min(changed_ns, self.at_ns) + HALF_SECOND_NS)
        return replace(self, looks=(*self.looks[:-1], replace(self.last, from_ns=at_ns, at_ns=at_ns)))

    def agree(
        self,
        found: np.ndarray,  # LOOK of shape (worlds, instants)
    ) -> np.ndarray:
        """Return which worlds look like this: with equal counts, and times within half a second."""
        agrees = np.ones(len(found), dtype=bool)
        looks = [look for look in self.looks for _ in look.ends_ns]
        for place, look in enumerate(looks):
            for name, value in look.fields.items():
                column = found[name][:, place]
                if name.endswith("_ns"):
                    agrees &= (column != NOT_THERE) & (np.abs(column - value) <= HALF_SECOND_NS)
                else:
                    agrees &= column == (STATES.index(value) if name == "state" else value)
        return agrees


@dataclass(frozen=True)
class _Status:
    """One status: times in nanoseconds since 1970, except `seen_at`, which is as the caller gave it."""

    fields: Mapping[str, Any]
    created_ns: int | None
    updated_ns: int | None
    total_nodes: int | None
    seen_at: Any = None


def read_seen(
    scenario: Scenario,
    policy: Any,  # only needed if `seen` has no spec
    seen: Any,
    at: Any,  # the time of observation, RFC 3339 or seconds after the start
) -> Seen:
    """Read what was seen, in any of its forms; raise `InputError` otherwise."""
    import pandas as pd

    wanted = None if policy is None else scenario.policy(policy)
    are_revisions = False
    if isinstance(seen, Rollout):
        wanted = seen.policy if wanted is None else wanted
        seen = seen.revisions
    if isinstance(seen, Records):
        seen = seen.nodes.dropna(axis=1, how="all")
    elif _is_list(seen) and seen and all(isinstance(row, Mapping) and "node" in row for row in seen):
        seen = pd.DataFrame(list(seen))
    if isinstance(seen, pd.DataFrame) and is_table_of_nodes(seen.columns):
        return _look_at_nodes(scenario, scenario.policy() if wanted is None else wanted, seen, at)
    if isinstance(seen, pd.DataFrame):
        chosen = scenario.policy() if wanted is None else wanted
        statuses = _read_revisions(seen, _count_waves(scenario, chosen))
        are_revisions = True
    else:
        pairs = [(None, seen)] if not _is_list(seen) else [_pair(item) for item in seen]
        if not pairs:
            raise InputError(Problem("nothing was seen", ("seen",), allowed=_FORMS))
        documents = [_read_object(each, wanted, number) for number, (_, each) in enumerate(pairs)]
        chosen = _choose_policy(scenario, wanted, documents)
        n_waves = _count_waves(scenario, chosen)
        statuses = [_read_status(each, when, n_waves) for each, (when, _) in zip(documents, pairs, strict=True)]
    created_ns = _find_start(statuses)
    for status in statuses:
        if status.total_nodes not in (None, scenario.fleet.nodes):
            allowed = f"{scenario.fleet.nodes}, the nodes of the scenario's fleet"
            raise InputError(_impossible("total_nodes", "another fleet", status.total_nodes, allowed))
    chosen = _start_at(chosen, created_ns)
    return _make_looks(statuses, chosen, created_ns, at, are_revisions=are_revisions)


def _count_waves(scenario: Scenario, policy: ScenarioPolicy) -> int:
    fleet = scenario.fleet
    return len(plan_waves(policy.policy, scenario.orchestrator_of(policy), fleet.nodes, fleet.zones).sizes)


def _start_at(policy: ScenarioPolicy, created_ns: int) -> ScenarioPolicy:
    """Return a policy whose rollout starts at an instant, given with the UTC offset of the start in the scenario."""
    planned = policy.identity.created_at
    created_at = shift_time(planned, created_ns - parse_time(planned))
    return replace(policy, identity=replace(policy.identity, created_at=created_at))


def _look_at_nodes(scenario: Scenario, policy: ScenarioPolicy, frame: pd.DataFrame, at: Any) -> Seen:
    """Read a table of nodes; counts and the current wave follow from them."""
    nodes, created_ns = read_nodes(scenario, frame)
    policy = policy if created_ns is None else _start_at(policy, created_ns)
    last_ns = nodes.last_ns
    if at is None and math.isnan(last_ns):
        raise InputError(Problem("no instant is known", ("at",), allowed="the time of observation"))
    at_ns = round(last_ns) if at is None else _read_instant(at, created_ns or 0, ("at",))
    n_running, n_failed = (int((nodes.status == status).sum()) for status in (RUNNING, FAILED))
    orchestrator = scenario.orchestrator_of(policy)
    plan = plan_waves(policy.policy, orchestrator, scenario.fleet.nodes, scenario.fleet.zones)
    reached = np.cumsum((0, *plan.sizes))
    wave = int(np.searchsorted(reached, nodes.n_turns))
    n_passed_over = 0
    if orchestrator.unreachable_nodes != "fail" and any(each.may_be_unreachable for each in scenario.fleet.behaviours):
        if plan.pacing == "barrier" and not plan.has_slots:
            nodes = replace(nodes, n_turns=int(reached[wave]))  # a wave has its turn as a whole
        is_left = np.isin(nodes.status[: nodes.n_turns], (PENDING, SKIPPED))
        n_passed_over = int(is_left.sum()) if orchestrator.unreachable_nodes == "skip" else 0
    is_over = n_running + n_failed + n_passed_over == plan.total
    fields = {
        "state": "completed" if is_over else "in_progress",
        "current_wave": wave,
        "updated_nodes": n_running,
        "failed_nodes": n_failed,
    }
    since_ns = at_ns if math.isnan(last_ns) else min(round(last_ns), at_ns)
    seen = Seen((Look(at_ns, at_ns, since_ns, fields),), policy, at_ns, at is None, nodes=nodes)
    return seen if math.isnan(last_ns) else seen.know_instant(since_ns)


def _is_list(seen: Any) -> bool:
    return isinstance(seen, Sequence) and not isinstance(seen, str | bytes)


def _pair(item: Any) -> tuple[Any, Any]:
    if _is_list(item) and len(item) == 2:
        return item[0], item[1]
    return None, item


def _read_object(given: Any, wanted: ScenarioPolicy | None, number: int) -> Deployment:
    """Return a deployment with a status."""
    path = ("seen",) if number == 0 else ("seen", number)
    if isinstance(given, DeploymentDocument):
        given = given.deployment
    if isinstance(given, Deployment):
        deployment: Deployment | None = given
    elif isinstance(given, Mapping):
        document, problems = read_body(dict(given), None)
        if document is None and wanted is not None:  # whose dialect is known
            document, problems = read_body(dict(given), wanted.spec.dialect)
        if document is None:
            raise InputError([problem.at(prefix=path) for problem in problems])
        deployment = document.deployment
    else:
        hint = "read a file with json.load or pandas.read_csv first" if isinstance(given, str | PathLike) else None
        raise InputError(Problem("not a deployment object", path, found=shorten(given), allowed=_FORMS, hint=hint))
    if deployment is None or deployment.status is None:
        raise InputError(Problem("a spec without a status", path, allowed='a deployment object with a "status"'))
    return deployment


def _choose_policy(
    scenario: Scenario, wanted: ScenarioPolicy | None, documents: Sequence[Deployment]
) -> ScenarioPolicy:
    """Return the policy of the objects: if equal to one of the scenario's policies, that one."""
    spec = documents[0].spec
    for number, each in enumerate(documents[1:], start=1):
        if each.spec != spec:
            raise InputError(Problem("the spec changes within the list", ("seen", number, "spec")))
    _check_identity(documents)
    candidates = [wanted] if wanted is not None else list(scenario.policies.values())
    mine = scenario.policy(spec)
    chosen = next((each for each in candidates if each.policy == mine.policy), None)
    if wanted is not None and chosen is None:
        hint = "leave the policy out: it is that of the deployment object"
        raise InputError(Problem("differs from the spec that was seen", ("policy",), found=wanted.name, hint=hint))
    chosen = mine if chosen is None else chosen
    type_name = documents[0].type
    if type_name is not None and type_name != chosen.identity.type:
        chosen = replace(chosen, identity=replace(chosen.identity, type=type_name))
    return chosen


def _check_identity(documents: Sequence[Deployment]) -> None:
    """Raise `InputError` if objects are not of the same deployment."""
    for name in _IDENTITY:
        values = [getattr(each, name) for each in documents]
        first = next((value for value in values if value is not None), None)
        for number, value in enumerate(values):
            if value not in (None, first):
                message, allowed = "objects of several deployments", f"{shorten(first)}, as before"
                raise InputError(Problem(message, ("seen", number, name), found=shorten(value), allowed=allowed))


def _read_status(deployment: Deployment, seen_at: Any, n_waves: int) -> _Status:
    status = deployment.status
    fields = {name: getattr(status, name) for name in _FIELDS}
    fields |= {field: _parse(getattr(status, name)) for name, field in _TIMES.items()}
    fields |= _read_message(fields["state"], getattr(status, "message", None), n_waves)
    return _Status(
        {name: value for name, value in fields.items() if value is not None},
        _parse(getattr(status, "created_at", None)),
        _parse(getattr(status, "updated_at", None)),
        getattr(status, "total_nodes", None),
        seen_at,
    )


def _read_message(state: str | None, message: Any, n_waves: int) -> dict[str, Any]:
    """Return what a message says about the rollout; that of one that is over is only the reason."""
    is_known = isinstance(message, str) and state not in TERMINAL_STATES
    return {"awaited_nodes": read_awaited(message, n_waves) if is_known else None}


def _read_revisions(frame: pd.DataFrame, n_waves: int) -> list[_Status]:
    """Read a table with the columns of `Rollout.revisions`; revisions of a rollback are left out."""
    columns = set(map(str, frame.columns))
    if not {"state", "updated_at", "current_wave"} <= columns:
        raise InputError(
            Problem(
                "neither a table of revisions nor of nodes",
                ("seen",),
                allowed="the columns of Rollout.revisions, or of a table of nodes (node, status)",
            )
        )
    if "deployment" in columns and len(frame):
        frame = frame[frame["deployment"] == frame["deployment"].iloc[0]]
    if not len(frame):
        raise InputError(Problem("nothing was seen", ("seen",), allowed=_FORMS))
    statuses = []
    for row in frame.to_dict("records"):
        fields = {name: row[name] for name in _FIELDS if name in row and row[name] == row[name]}
        fields |= {field: _to_timestamp(row.get(column)) for column, field in _TIMES.items()}
        fields |= _read_message(fields.get("state"), row.get("message"), n_waves)
        known = {name: value for name, value in fields.items() if value is not None}
        total = row.get("total_nodes")
        statuses.append(_Status(known, _to_timestamp(row.get("created_at")), _to_timestamp(row["updated_at"]), total))
    return statuses


def _to_timestamp(value: Any) -> int | None:
    """Return a pandas timestamp in nanoseconds since 1970; None if it is missing."""
    if value is None or value != value:
        return None
    return int(np.datetime64(value.to_datetime64(), "ns").astype(np.int64))


def _parse(time: str | None) -> int | None:
    return parse_time(time) if time else None


def _find_start(statuses: Sequence[_Status]) -> int:
    created = {status.created_ns for status in statuses if status.created_ns is not None}
    if not created:
        raise InputError(_impossible("created_at", "missing", None, "the RFC 3339 time at which the rollout started"))
    if len(created) > 1:
        raise InputError(Problem("several creation times", ("seen", "status", "created_at")))
    return created.pop()


def _disorder(when_ns: int, before_ns: int, path: Path) -> Problem:
    found, allowed = f"{when_ns / NS_PER_S:g} s", f"at least {before_ns / NS_PER_S:g} s after the start"
    return Problem("earlier than the object before", path, found=found, allowed=allowed)


def _make_looks(
    statuses: Sequence[_Status], policy: ScenarioPolicy, created_ns: int, at: Any, *, are_revisions: bool
) -> Seen:
    """Convert times to nanoseconds after the start; refuse looks that are not in order."""
    since: list[int] = []
    seen_at: list[int] = []
    for number, status in enumerate(statuses):
        updated = None if status.updated_ns is None else status.updated_ns - created_ns
        when = updated if status.seen_at is None else _read_instant(status.seen_at, created_ns, ("seen", number))
        if number == len(statuses) - 1 and at is not None:
            when = _read_instant(at, created_ns, ("at",))
        if when is None:
            raise InputError(_impossible("updated_at", "missing", None, "an instant, here or as `at`"))
        if updated is not None and updated < 0:
            raise InputError(_impossible("updated_at", "before created_at"))
        if updated is not None and when < updated:
            message = "the time of observation is before updated_at"
            found, allowed = f"{when / NS_PER_S:g} s", f"at least {updated / NS_PER_S:g} s after the start"
            raise InputError(Problem(message, ("at",), found=found, allowed=allowed))
        if seen_at and when < seen_at[-1]:
            is_last = number == len(statuses) - 1 and at is not None
            raise InputError(_disorder(when, seen_at[-1], ("at",) if is_last else ("seen", number)))
        since.append(when if updated is None else updated)
        seen_at.append(when)
    next_change: list[int | None] = [None] * len(since)
    for number in reversed(range(len(since) - 1)):
        next_change[number] = since[number + 1] if since[number + 1] > since[number] else next_change[number + 1]
    looks = []
    for number, status in enumerate(statuses):
        following = since[number + 1] if number + 1 < len(since) else None
        if following is not None and following < since[number]:
            raise InputError(_disorder(following, since[number], ("seen", number + 1, "status", "updated_at")))
        if following is not None and are_revisions and following - since[number] < HALF_SECOND_NS:
            continue  # looks closer than this count as one
        later = next_change[number]
        slack = HALF_SECOND_NS if later is None else min(HALF_SECOND_NS, (later - since[number]) // 2)
        known = {name: value - created_ns if name.endswith("_ns") else value for name, value in status.fields.items()}
        changed_ns = _find_changes(known, policy) if status.updated_ns is None else [since[number]]
        at_ns = max([seen_at[number], *(min(change_ns, since[number]) + slack for change_ns in changed_ns)])
        from_ns = at_ns if status.updated_ns is None else since[number] + slack
        if are_revisions and later is not None:
            at_ns = max(at_ns, later - slack - 1)
        looks.append(Look(from_ns, at_ns, since[number], known))
    return Seen(tuple(looks), policy, seen_at[-1], at is None and statuses[-1].seen_at is None, are_revisions)


def _find_changes(fields: Mapping[str, Any], policy: ScenarioPolicy) -> list[int]:
    """Return the instants of changes that fields show; deadlines show when nodes were dispatched, or started."""
    deadline_ns = policy.policy.deadline_ns or 0
    return [
        value - (deadline_ns if "deadline" in name else 0) for name, value in fields.items() if name.endswith("_ns")
    ]


def _read_instant(value: Any, created_ns: int, path: tuple[str | int, ...]) -> int:
    """Return an instant in nanoseconds after the start."""
    allowed = "an RFC 3339 time, or seconds after created_at"
    try:
        is_time = isinstance(value, str) and "T" in value
        at_ns = parse_time(value) - created_ns if is_time else read_seconds(value)
    except ValueError:
        at_ns = None
    if at_ns is None:
        raise InputError(Problem("not an instant", path, found=shorten(value), allowed=allowed))
    return at_ns


def _impossible(field: str, message: str, found: Any = None, allowed: str | None = None) -> Problem:
    path = ("seen", "status", field)
    return Problem(message, path, found=None if found is None else shorten(found), allowed=allowed)
