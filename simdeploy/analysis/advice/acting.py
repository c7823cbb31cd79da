"""Acts: what people can do to a rollout that is under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from simdeploy.engines.continuing import change_problems
from simdeploy.errors import InputError, Path, Problem, not_among, raise_if_any, shorten
from simdeploy.units import parse_duration
from simdeploy.vocabulary import TERMINAL_STATES
from simdeploy.world.operator import ScriptedAct

if TYPE_CHECKING:
    from simdeploy.analysis.advice.seen import Seen
    from simdeploy.rules.waves import Plan
    from simdeploy.scenario import Scenario, ScenarioPolicy

GO_ON = "go on"
_PAUSE = "pause "
_DEFAULT_PAUSE = "pause 10m"
_WORDS = (GO_ON, "promote", "pause 10m", "resume", "cancel")


@dataclass(frozen=True)
class Act:
    """Something that people may do just after the time of observation."""

    name: str
    do: str  # empty: do nothing
    length_ns: int = 0  # of a pause
    policy: ScenarioPolicy | None = None  # replaces the current one

    def script(self, at_ns: int) -> tuple[ScriptedAct, ...]:
        """Return the scripted acts, which take effect one nanosecond after `at_ns`."""
        match self.do:
            case "":
                return ()
            case "pause":
                return ScriptedAct(at_ns + 1, "pause"), ScriptedAct(at_ns + 1 + self.length_ns, "resume")
            case "promote" | "resume" | "cancel":
                return (ScriptedAct(at_ns + 1, self.do),)
        raise AssertionError(self.do)


def awaits_promotion(fields: Mapping[str, Any], policy: ScenarioPolicy, plan: Plan) -> bool:
    """Return whether the current wave awaits a promotion, judging by the status fields."""
    wave = fields.get("current_wave")
    if wave is None or not 1 <= wave <= len(plan.sizes) or not plan.promotions[wave - 1] or policy.policy.auto_promote:
        return False
    resolved = fields.get("updated_nodes", 0) + fields.get("failed_nodes", 0)
    return resolved >= sum(plan.sizes[:wave]) and not (wave == 1 and fields.get("canary_promoted"))


def choose_acts(asked: Any, scenario: Scenario, seen: Seen, plan: Plan) -> tuple[Act, ...]:
    """Return the requested acts, by default all that the state of the deployment allows."""
    state = seen.last.fields.get("state", "in_progress")
    if state in TERMINAL_STATES:
        if asked:
            raise InputError(Problem(f"a deployment that is {state} offers no acts", ("acts",)))
        return ()
    may_promote = awaits_promotion(seen.last.fields, seen.policy, plan)
    if asked is None:
        offered = [GO_ON, *(["promote"] if may_promote else [])]
        offered.append("resume" if state == "paused" else _DEFAULT_PAUSE)
        return tuple(_read(name, name, scenario, seen) for name in (*offered, "cancel"))
    acts = [_read(*item, scenario, seen) for item in _list(asked)]
    if not acts:
        raise InputError(Problem("no act", ("acts",), allowed=", ".join(_WORDS)))
    if not all(act.name.strip() for act in acts):
        raise InputError(Problem("an act without a name", ("acts",)))
    if len({act.name for act in acts}) < len(acts):
        raise InputError(Problem("duplicate name", ("acts",)))
    for act in acts:
        if act.do == "promote" and not may_promote:
            raise InputError(Problem("nothing awaits a promotion", ("acts", act.name)))
        if act.do == "resume" and state != "paused":
            raise InputError(Problem("the deployment is not paused", ("acts", act.name)))
        if act.do == "pause" and state == "paused":
            raise InputError(Problem("the deployment is already paused", ("acts", act.name)))
    return tuple(acts)


def _list(asked: Any) -> Sequence[tuple[str, Any]]:
    if isinstance(asked, str):
        return [(asked, asked)]
    if isinstance(asked, Mapping):
        return [(str(name), what) for name, what in asked.items()]
    if isinstance(asked, Sequence):
        return [(str(name), name) for name in asked]
    raise InputError(Problem("not acts", ("acts",), found=shorten(asked), allowed="names, or acts by name"))


def _read(name: str, what: Any, scenario: Scenario, seen: Seen) -> Act:
    path = ("acts", name)
    if isinstance(what, Mapping):
        return Act(name, "", policy=_change(what, scenario, seen, path))
    if what == "rollback":
        raise InputError(
            Problem("a rollback by hand is not supported", path, hint="cancel rolls back what was updated")
        )
    if isinstance(what, str) and what.startswith(_PAUSE):
        try:
            length_ns = parse_duration(what.removeprefix(_PAUSE).strip())
        except ValueError:
            length_ns = 0
        if length_ns <= 0:
            raise InputError(Problem("invalid pause", path, found=shorten(what), allowed="such as pause 10m"))
        return Act(name, "pause", length_ns)
    if what == GO_ON:
        return Act(name, "")
    if what in ("promote", "resume", "cancel"):
        return Act(name, what)
    raise InputError(not_among("no such act", path, what if isinstance(what, str) else shorten(what), _WORDS))


def _change(fields: Mapping[str, Any], scenario: Scenario, seen: Seen, path: Path) -> ScenarioPolicy:
    """Return the current policy with some fields of its spec changed."""
    before = seen.policy
    if not fields:
        raise InputError(Problem("nothing changes", path, allowed="fields of the spec, such as {max_failed_nodes: 20}"))
    spec = {**before.spec.to_dict(), **fields, "dialect": before.spec.dialect}
    try:
        after = replace(scenario.policy(spec), name=before.name, orchestrator=before.orchestrator)
    except InputError as error:
        raise InputError([problem.at(prefix=path) for problem in error.problems]) from None
    raise_if_any([problem.at(prefix=path) for problem in change_problems(scenario, before, after)])
    return after
