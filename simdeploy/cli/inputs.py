"""Inputs of commands: scenario, policies and cluster."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simdeploy.cli.answers import say
from simdeploy.cli.options import ALLOWED, TLS, TLS_META, flags, is_given
from simdeploy.errors import InputError, Problem, listed
from simdeploy.units import NS_PER_S, write_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.scenario import Scenario, ScenarioPolicy


def prepare_cluster(ctx: click.Context) -> None:
    """Configure Dask's certificates while the command runs; refuse contradicting options."""
    if ctx.params.get("cluster") is not None and is_given(ctx, "workers"):
        raise click.UsageError("--workers can't be combined with --cluster, which has its own workers")
    settings = ctx.meta.get(TLS_META)
    if not settings:
        return
    if not (ctx.params["cluster"] or "").startswith("tls://"):
        raise click.UsageError(f"{flags(list(TLS))} need --cluster tls://...")
    with contextlib.suppress(ImportError):  # the check of --cluster reports that Dask is missing
        import dask

        ctx.with_resource(dask.config.set(settings))


def read_with_warnings(
    path: str,
    policies: Sequence[str] = (),
    *,
    is_all: bool = True,  # without `policies`: whether all are used, or only the first
    replaces_gates: bool = False,  # whether the command gives the policies other gates
    text: str | None = None,  # of the file, if it has been read
) -> Scenario:
    """Read a scenario and print its warnings, except those on unused policies; raise all errors."""
    from simdeploy.api.files import is_file
    from simdeploy.scenario import load
    from simdeploy.scenario.switch_suspicions import OF_ALL_POLICIES

    scenario, errors, warnings = load(path, text=text, allow_files=click.get_current_context().meta.get(ALLOWED, ()))
    if scenario is None:
        raise InputError(errors if is_file(path) else [_with_example(problem) for problem in errors])
    used = policies or list(scenario.policies)[: None if is_all else 1]
    are_others = replaces_gates or not scenario.policies.keys() >= set(used)
    for problem in warnings:
        if are_others and problem.path in OF_ALL_POLICIES:
            continue
        if problem.path[:1] != ("policies",) or problem.path[1] in used:
            say(f"warning: {problem}")
    return scenario


def _with_example(problem: Problem) -> Problem:
    """Add a hint if the missing file is named like an example."""
    from simdeploy.scenario.examples import example_names

    hint = "to write the examples: simdeploy examples scenarios"
    return replace(problem, hint=hint) if Path(problem.file or "").stem in example_names() else problem


def choose_policies(scenario: Scenario, names: Sequence[str]) -> dict[str, str | ScenarioPolicy]:
    """Return several policies by name, those of files already read; duplicates are refused."""
    from simdeploy.scenario.policies import is_policy_file

    policies = [
        scenario.policy(name) if name not in scenario.policies and is_policy_file(name) else name for name in names
    ]
    named = {policy if isinstance(policy, str) else policy.name: policy for policy in policies}
    if len(named) < len(policies):
        raise click.UsageError(f"duplicate policy names: {listed(names)}")
    return named


def describe_orchestrator(orchestrator: Orchestrator) -> str:
    """Describe the switches: the preset and changes to it.

    Examples
    --------
    >>> from simdeploy.rules.orchestrator import Orchestrator
    >>> describe_orchestrator(Orchestrator(pacing="sliding", bake_time_ns=90 * NS_PER_S))
    'orchestrator expanso with pacing: sliding, bake_time: 1m30s'
    """
    from simdeploy.scenario.orchestrator_section import write_orchestrator
    from simdeploy.sharing.assumptions import write_value

    changed = write_orchestrator(orchestrator)
    preset = changed.pop("preset")
    for name in ("bake_time", "reporting_delay"):
        if name in changed:
            changed[name] = write_duration(round(changed[name] * NS_PER_S))
    listed = ", ".join(f"{name}: {write_value(value, is_inside=True)}" for name, value in changed.items())
    return f"orchestrator {preset}" + (f" with {listed}" if listed else "")
