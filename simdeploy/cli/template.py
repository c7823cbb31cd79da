"""The text of a scenario to be completed: unknown values are assumed, and marked as such."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import PurePath
from textwrap import indent
from typing import TYPE_CHECKING, Any

import yaml

from simdeploy.errors import InputError, Problem, format_path, is_printable, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simdeploy.dialects import PolicyImport

_TEMPLATE = """\
{head}
simdeploy: 1
name: {name}

fleet:
  nodes: {nodes}
{zones}  requests_per_second: {requests}
  update_duration: {{lognormal: {{median: 30s, p95: 1m}}}}  # assumed; to stop a node, update it and start it again
  start_failure: 0.005  # assumed; probability that a good version doesn't start
  error_rate: 0.001  # assumed; fraction of requests that fail on a good version

release:  # assumed: what a new version may turn out to be
{release}
{more}
policies:
{policies}
"""

_MORE = """
operator:
  escape_detection: {lognormal: {median: 30m, p95: 4h}}  # assumed; until somebody notices a defect that is out

# assumed; in any unit of money
costs: {failed_request: 0.01, unavailable_node_hour: 1, unrestored_node: 10, hour_of_delay: 20, false_alarm: 200, escape: 2000}

# What a policy has to keep, for `simdeploy check` and `simdeploy tune`; remove the marks to use it.
# requirements:
#   - {of: false_alarm, given: good, at_most: 0.02}
#   - {of: makespan_s, quantile: 0.95, at_most: 4h}
"""

_POLICIES = """\
  # Limits that are not named are the API's: max_failed_nodes 10, max_failed_nodes_percent 10, max_error_rate 0.1.
  waves:  # a tenth of the fleet at a time
    strategy: rolling
    max_parallel: {tenth}
    health_check: {{deadline: 5m}}
  canary:  # a few nodes first
    strategy: canary
    canary_count: {canaries}
    auto_promote: true
    max_parallel: {tenth}
    health_check: {{deadline: 5m}}"""


# Zones of a fleet that are updated one after the other, if their number isn't stated.
_ZONES = 3


def write_scenario(file: PurePath, nodes: int, requests: float, percent_defective: float) -> str:
    """Return the text of a scenario with two policies."""
    head = f"""\
# Values marked "assumed" are plausible guesses: replace them with what you know of your fleet. Then try
#   simdeploy compare {shlex.quote(printable(str(file)))}
# Further keys: docs/scenario-file.md."""
    probability = float(f"{percent_defective / 100:.10g}")
    return _TEMPLATE.format(
        head=head,
        name=_scalar(_name(file.stem, "scenario")),
        nodes=nodes,
        zones="",
        requests=f"{requests:.10g}  # per node",
        release=_write_release(probability),
        more=_MORE,
        policies=_POLICIES.format(tenth=-(-nodes // 10), canaries=min(2, nodes)),
    )


def _name(of_file: str, default: str) -> str:
    """Return the name of a file if it is valid for a scenario, too."""
    return of_file if of_file.strip() and is_printable(of_file) else default


def _write_release(probability: float) -> str:
    good = float(f"{1 - probability:.10g}")
    return (
        f"  good: {{probability: {good}}}\n"
        f"  bad: {{probability: {probability}, defective: true, error_rate: 0.2, start_failure: 0.05}}"
    )


def write_template(imported: PolicyImport, file: str) -> str:
    """Return the text of a scenario with an imported policy.

    Raises
    ------
    InputError
        If neither the file nor the caller states the number of nodes, or if an assumption contradicts the policy.
    """
    from simdeploy.scenario.files import Files
    from simdeploy.scenario.scenario import build
    from simdeploy.scenario.yaml_text import parse_yaml

    if imported.nodes is None:
        hint = "pass --nodes N"
        raise InputError(
            Problem("a scenario needs the number of nodes, which the file doesn't state", file=file, hint=hint)
        )
    name = _name(PurePath(file).name.partition(".")[0], imported.kind)
    notes = "\n".join(f"  # {printable(str(note))}" for note in imported.notes)
    text = _TEMPLATE.format(
        head=f"# Made from {printable(file)} ({imported.kind}). What it doesn't state is assumed: replace it with what you "
        "know of your fleet.",
        name=_scalar(name),
        nodes=imported.nodes,
        zones=_write_zones(imported, imported.nodes),
        requests="10  # assumed; per node",
        release=_write_release(0.05),
        more="",
        policies=f"{notes}\n\n  {_scalar(name)}:\n{indent(write_yaml(imported.policy).rstrip(), '    ')}",
    )
    _, problems = build(parse_yaml(text)[0], Files(""))
    if problems:
        raise InputError([_in_imported(problem, imported, file) for problem in problems])
    return text


def _write_zones(imported: PolicyImport, nodes: int) -> str:
    """Return the keys for a fleet that a policy updates zone by zone."""
    if not imported.policy.get("zone_by_zone"):
        return ""
    given = imported.computed_under["variables"].get("zones")
    zones = given or f"{min(_ZONES, nodes)}  # assumed"
    return f"  zones: {zones}\n  order: zone  # as the policy needs it\n"


def _in_imported(problem: Problem, imported: PolicyImport, file: str) -> Problem:
    """Return a problem of a scenario as one of the imported file, with the line if it has a field of the same name."""
    path = problem.path[2:] if problem.path[:1] == ("policies",) else problem.path
    lines = (note.line for note in imported.notes if path and note.field.endswith(format_path(path)))
    return replace(problem, path=path, file=file, line=next(lines, None))


def write_yaml(data: Mapping[str, Any]) -> str:
    """Return plain data as YAML, in the order of its keys."""
    return yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=100)


def _scalar(text: str) -> str:
    if text[:1] in "+-.0123456789":  # versions of YAML differ in what is a number
        return json.dumps(text, ensure_ascii=False)
    return yaml.safe_dump(text, allow_unicode=True, width=1000).partition("\n")[0]
