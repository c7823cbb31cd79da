"""The assumptions of an answer, as tables: the scenario as its file states it, and the switches of the orchestrator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from simdeploy.result import Table
from simdeploy.rules.orchestrator import PRESETS
from simdeploy.scenario.changes import all_keys
from simdeploy.scenario.json_schema import shared_schema

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario

_NOT_WORLD = ("simdeploy", "name", "description", "policies", "orchestrator")


def read_world(scenario: Scenario) -> dict[str, Any]:
    """Return the sections of a scenario's file about the world and its costs."""
    return {name: section for name, section in scenario.to_question().items() if name not in _NOT_WORLD}


def list_facts(world: Mapping[str, Any]) -> Table:
    """Return the keys that a scenario's file states about the world, with their values and meanings.

    Examples
    --------
    >>> from simdeploy import Scenario
    >>> facts = list_facts(read_world(Scenario.from_dict({
    ...     "name": "small",
    ...     "fleet": {"nodes": 12, "update_duration": {"exponential": {"mean": "45s"}}},
    ...     "policies": {"at-once": {"strategy": "immediate"}},
    ... })))
    >>> facts.rows[:2]
    (('fleet.nodes', '12', 'Number of nodes.'), ('fleet.update_duration', 'exponential: {mean: 45s}', ...))
    """
    meanings = {key.path: _find_description(key.schema) for key in all_keys(world, shared_schema()) if key.is_stated}
    rows = tuple(_list_rows(world, "", meanings))
    return Table("Scenario", ("key", "value", "meaning"), rows)


def list_switches(computed_under: Mapping[str, Any]) -> tuple[Table, ...]:
    """Return the switches of a result's orchestrator beside those of its preset, in a table for each scenario.

    Examples
    --------
    >>> [table] = list_switches({"switches": {"preset": "expanso", "on_failure": "pause"}})
    >>> table.rows
    (('preset', 'expanso', ''), ('on_failure', 'pause', 'rollback'))
    """
    switches = computed_under.get("switches")
    if not isinstance(switches, Mapping):
        return ()
    if "preset" not in switches:  # by scenario
        return tuple(
            _tabulate_switches(f"Switches of the orchestrator, {name}", of)
            for name, of in switches.items()
            if isinstance(of, Mapping)
        )
    return (_tabulate_switches("Switches of the orchestrator", switches),)


def _tabulate_switches(title: str, switches: Mapping[str, Any]) -> Table:
    preset = PRESETS.get(str(switches.get("preset")))
    usual = {} if preset is None else preset.switches()
    rows = tuple(
        (name, write_value(value), "" if usual.get(name, value) == value else write_value(usual[name]))
        for name, value in switches.items()
    )
    return Table(title, ("switch", "value", "of the preset, if different"), rows)


def _list_rows(node: Mapping[str, Any], prefix: str, meanings: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield keys with values and meanings; a group of keys with its own meaning, below a section, is one row."""
    for name, value in node.items():
        path = f"{prefix}{name}"
        meaning = meanings.get(path, "")
        if isinstance(value, Mapping) and (not prefix or not meaning):
            yield from _list_rows(value, f"{path}.", meanings)
        else:
            yield path, write_value(value), meaning


def _find_description(schema: Mapping[str, Any]) -> str:
    if "description" in schema:
        return str(schema["description"])
    return next(filter(None, map(_find_description, schema.get("anyOf", ()))), "")


def write_value(value: Any, *, is_inside: bool = False) -> str:
    """Write a value as in a file, on one line."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{key}: {write_value(item, is_inside=True)}" for key, item in value.items())
        return f"{{{text}}}" if is_inside or not value else text
    if isinstance(value, list | tuple):
        return f"[{', '.join(write_value(item, is_inside=True) for item in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
