"""A scenario around an imported policy, as text: what the file doesn't say is assumed, and marked."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import yaml

from simdeploy.errors import InputError, Problem, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simdeploy.dialects import PolicyImport

_TEMPLATE = """\
# Made from {file} ({kind}). What it doesn't say is assumed: put in what you know of your fleet.
simdeploy: 1
name: {name}

fleet:
  nodes: {nodes}
  requests_per_second: 10  # assumed; per node
  update_duration: {{lognormal: {{median: 30s, p95: 1m}}}}  # assumed; to stop a node, update it and start it again
  start_failure: 0.005  # assumed; probability that a good version doesn't start
  error_rate: 0.001  # assumed; fraction of requests that fail on a good version

release:  # assumed: what a new version may turn out to be
  good: {{probability: 0.95}}
  bad: {{probability: 0.05, defective: true, error_rate: 0.2, start_failure: 0.05}}

policies:
{notes}
  {policy_name}:
{policy}
"""


def write_template(imported: PolicyImport, file: str) -> str:
    """Return the text of a scenario with an imported policy.

    Raises
    ------
    InputError
        If neither the file nor the caller states the number of nodes.
    """
    if imported.nodes is None:
        hint = "pass --nodes N"
        raise InputError(
            Problem("a scenario needs the number of nodes, which the file doesn't state", file=file, hint=hint)
        )
    name = PurePath(file).name.partition(".")[0] or imported.kind
    return _TEMPLATE.format(
        file=printable(file),
        kind=imported.kind,
        name=_scalar(name),
        nodes=imported.nodes,
        notes="\n".join(f"  # {printable(str(note))}" for note in imported.notes),
        policy_name=_scalar(name),
        policy=_indent(write_yaml(imported.policy), 4),
    )


def write_yaml(data: Mapping[str, Any]) -> str:
    """Return plain data as YAML, in its own order."""
    return yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=100)


def _scalar(text: str) -> str:
    return yaml.safe_dump(text, allow_unicode=True, width=1000).partition("\n")[0]


def _indent(text: str, by: int) -> str:
    return "\n".join(" " * by + line for line in text.rstrip().splitlines())
