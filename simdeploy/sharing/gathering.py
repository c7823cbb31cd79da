"""Gathers the contents of a report: scenarios are simulated, stores and results are read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from simdeploy.analysis import Comparison, Estimates, GridSummary, compare, summarize_grid
from simdeploy.documents import read_result
from simdeploy.errors import InputError, Problem, catch_warned, plural, shorten
from simdeploy.experiments import read_store
from simdeploy.experiments.batches import batch_name, read_batches
from simdeploy.experiments.levers import find_levers
from simdeploy.experiments.store.manifest import find_versions
from simdeploy.result import Result, Table, read_computed_under
from simdeploy.rules.orchestrator import PRESETS
from simdeploy.scenario import Scenario, read_scenario
from simdeploy.scenario.loading import is_json_scenario
from simdeploy.scenario.written_specs import Specs, write_specs
from simdeploy.sharing.assumptions import list_facts, list_switches, read_world
from simdeploy.sharing.contents import Contents, make_origin
from simdeploy.sharing.dials import Dials, make_dials
from simdeploy.sharing.simulating import Request, add_policies, report_scenario


def gather(source: Any, request: Request) -> Contents:
    """Return the contents of a report on a source."""
    if isinstance(source, Result):
        return _of_result(source, request)
    if isinstance(source, Scenario):
        return report_scenario(source, request)
    if not isinstance(source, str | os.PathLike):
        if hasattr(source, "batches"):  # a sweep, or a table of a store
            return _of_table(source, request, None)
        allowed = "a scenario, a result, a sweep, or the path of one"
        raise InputError(Problem("not a source of a report", ("source",), found=shorten(source), allowed=allowed))
    path = Path(source)
    if path.is_dir():
        is_batched = any(path.glob(batch_name(0)))
        return _of_table(read_batches(path) if is_batched else read_store(path), request, path.name)
    if is_computed(path):
        return _of_result(read_result(path), request, path)
    return report_scenario(read_scenario(path), request)


def is_computed(path: Path) -> bool:
    """Whether a path leads to a sweep or a result, not to a scenario."""
    if path.is_dir() or path.suffix.lower() != ".json":
        return path.is_dir()
    if path.is_fifo():  # can be read only once
        message = "a pipe named .json, which may hold a scenario or a result"
        raise InputError(Problem(message, file=str(path), hint="write it to a file first"))
    return not is_json_scenario(path)


def _of_table(table: Any, request: Request, name: str | None) -> Contents:
    """Return the contents of a report on the rows of a sweep, or on the policies of a comparison."""
    level = request.confidence_level
    result: GridSummary | Comparison
    result = summarize_grid(table, confidence_level=level)
    if not result.factors and result.cells["scenario"].nunique() == 1:
        result = compare(table.to_frame(), confidence_level=level)
    manifest = getattr(table, "manifest", {})
    question = manifest.get("question", {})
    scenario = _find_scenario(question)
    computed_under = {**_read_question(question), **read_computed_under(table), **result.computed_under}
    more = [("SHA-256 of the question", manifest["hashes"]["question"])] if "hashes" in manifest else []
    about = "" if scenario is None else scenario.description
    if not getattr(table, "is_complete", True):
        about = f"Not finished: {plural(len(table), 'rollout')} so far, of a part of the worlds."
        more.append(("finished", f"no: {plural(len(table), 'rollout')} so far"))
    return Contents(
        _name(computed_under, scenario, name or "sweep"),
        about,
        result,
        (*([] if scenario is None else [list_facts(read_world(scenario))]), *list_switches(computed_under)),
        _make_dials(result, question, scenario) if isinstance(result, GridSummary) else None,
        {} if scenario is None else {name: write_specs(each, scenario) for name, each in scenario.policies.items()},
        request.command,
        make_origin(computed_under, more, manifest.get("versions") or find_versions()),
    )


def _make_dials(result: GridSummary, question: Mapping[str, Any], scenario: Scenario | None) -> Dials | None:
    dials = make_dials(result)
    if dials is None or scenario is None or len(scenario.policies) > 1:
        return dials
    (policy,) = scenario.policies.values()
    levers = {lever.name: lever for lever in find_levers(question.get("vary") or {}, [scenario], [policy.spec])}
    return add_policies(dials, scenario, policy, levers)


def _find_scenario(question: Mapping[str, Any]) -> Scenario | None:
    """Return the scenario of a store with its policies; None if there are several, or if files that it names are missing.

    A store keeps only those keys that rollouts depend on, and keeps the switches separately.
    """
    scenarios = question.get("scenario", {})
    if len(scenarios) != 1:
        return None
    ((name, raw),) = scenarios.items()
    # A store notes a fixed kind of release, or a tilt, in keys that no file has.
    world = {key: section for key, section in raw.items() if key not in ("kind", "tilt")}
    policies = {
        policy: {"dialect": of[name]["dialect"], **of[name]["spec"]} for policy, of in question["policies"].items()
    }
    switches = question.get("switches", {}).get(name, {})
    preset = PRESETS[switches["preset"]].switches() if switches else {}
    changed = {switch: value for switch, value in switches.items() if preset.get(switch, switch) != value}
    with suppress(InputError), catch_warned():
        return Scenario.from_dict({**world, "orchestrator": changed or {}, "policies": policies})
    return None


def _read_question(question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the question of a store without its scenario."""
    known = {
        name: question[name] for name in ("replications", "worlds", "seed", "engine", "design") if name in question
    }
    if "worlds" in known:  # numbers by kind of release, where a folder has the replications of only one kind
        known["replications"] = sum(range(*ends).stop for ends in known.pop("worlds").values())
    switches = question.get("switches", {})
    return known | ({"switches": next(iter(switches.values()))} if len(switches) == 1 else {})


def _of_result(result: Result, request: Request, path: Path | None = None) -> Contents:
    computed_under = dict(getattr(result, "computed_under", {}))
    versions, command = computed_under.pop("versions", None), computed_under.pop("command", None)
    of_file = [] if path is None else [(f"SHA-256 of {path.name}", hashlib.sha256(path.read_bytes()).hexdigest())]
    return Contents(
        _name(computed_under, None, type(result).__name__ if path is None else path.stem),
        "",
        result,
        (*_list_facts(computed_under.get("world")), *list_switches(computed_under)),
        make_dials(result) if isinstance(result, GridSummary | Estimates) else None,
        {**_read_specs(computed_under.get("specs")), **dict(_list_specs(result))},
        str(command) if command else request.command,
        make_origin(computed_under, of_file, versions if isinstance(versions, Mapping) else find_versions()),
    )


def _list_facts(world: Any) -> list[Table]:
    """Return the facts about the world in a document, if they have the form of a scenario file."""
    is_world = isinstance(world, Mapping) and all(isinstance(section, Mapping | list) for section in world.values())
    return [list_facts(world)] if is_world and world else []


def _read_specs(specs: Any) -> dict[str, Specs]:
    """Return the specs of policies in a document, without malformed ones."""
    if not isinstance(specs, Mapping):
        return {}
    return {
        str(name): {
            str(dialect): {"spec": written["spec"], "notes": [str(note) for note in written["notes"]]}
            for dialect, written in of_policy.items()
            if isinstance(written, Mapping) and "spec" in written and isinstance(written.get("notes"), list)
        }
        for name, of_policy in specs.items()
        if isinstance(of_policy, Mapping)
    }


def _name(computed_under: Mapping[str, Any], scenario: Scenario | None, default: str) -> str:
    name = computed_under.get("scenario") if scenario is None else scenario.name
    return ", ".join(map(str, name)) if isinstance(name, list | tuple) else str(name or default)


def _list_specs(result: Result) -> Iterator[tuple[str, Specs]]:
    """Yield the policy that a result holds: of a search, or of an import."""
    specs, policy = getattr(result, "specs", None), getattr(result, "policy", None)
    if isinstance(specs, Mapping) and specs:
        yield "recommended policy", dict(specs)
    if isinstance(policy, Mapping):
        yield "policy", {str(policy.get("dialect", "general")): {"spec": policy, "notes": []}}
