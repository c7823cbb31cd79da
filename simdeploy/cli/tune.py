"""``simdeploy tune``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simdeploy.cli.answers import say
from simdeploy.cli.files import file_option, write_text
from simdeploy.cli.options import (
    DIRECTION,
    OF,
    REQUIRE,
    AnyNumber,
    Choice,
    most_option,
    use,
    vary_option,
    whole_option,
)
from simdeploy.cli.study import Finding, Study, study_command
from simdeploy.cli.vary import read_vary
from simdeploy.errors import InputError, Problem

if TYPE_CHECKING:
    from simdeploy.analysis import Tuning
    from simdeploy.scenario import ScenarioPolicy

POLICY_FILES = (".json", ".yaml", ".yml")


def _read_wave(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | str | None:
    """Convert a number of nodes; `tune` checks everything else."""
    return int(value) if value is not None and value.isdecimal() else value


@study_command(
    "tune",
    replications=100,
    least=2,
    example='simdeploy tune scenarios/small-fleet.yaml --policy canary --require "false_alarm given good <= 5%"',
)
@use(
    OF,
    DIRECTION,
    REQUIRE,
    vary_option("Search only this grid of policy keys; default: strategy, sizes, thresholds and times."),
)
@use(
    whole_option(
        "--candidates",
        None,
        "Policies to try. If there are more combinations: a sample, and neighbours of its best. Default: 10,000, fewer for a"
        " shared service.",
    )
)
@click.option(
    "--largest-wave",
    metavar="N|all",
    callback=_read_wave,
    help="Most nodes in flight at once in the default ranges. Default: as many as the current policy plans, unless --require"
    " keeps nodes in service.",
)
@click.option(
    "--indifference",
    type=AnyNumber(),
    help="Smallest difference that matters; default: 5 % of the best, or 0.5 points of a rate.",
)
@use(
    whole_option("--final", None, "Rollouts for the final choice; default: as many as needed."),
    most_option(None),
    file_option(
        ["--write-policy"],
        "Write the recommended policy (.json, .yaml) for --policy.",
        *POLICY_FILES,
    ),
)
@click.option(
    "--dialect",
    type=Choice(["deployment", "rollout"]),
    help="API dialect of --write-policy; default: that of --policy.",
)
def command(study: Study, *, vary: tuple[str, ...], write_policy: Path | None, dialect: str | None) -> Finding:
    """Find the best policy that meets the requirements.

    Tries every candidate in --replications worlds of SCENARIO. Each later stage has a budget of --most rollouts (default: three million,
    fewer for large fleets and shared services), and exceeds it only if its first comparisons take more. Prints the recommended policy
    and its savings, others that may be as good, the limiting requirement, and the policy as a deployment spec in both API dialects.
    """
    from simdeploy.analysis import tune
    from simdeploy.analysis.asking.naming import describe_measure
    from simdeploy.report.check import describe_requirements
    from simdeploy.report.tuning import describe_specs

    base = study.policy
    if dialect is not None and base.spec.dialect == "general":
        raise InputError(Problem("a general policy is written in its own dialect", ("--dialect",), found=dialect))
    values = read_vary(vary, study.scenario, {base.name: base}, has_ranges=False, is_grid=True) if vary else None
    result = study.run(tune, study.scenario, base, vary=values)
    required = "; ".join(describe_requirements(result))
    is_unknown = result.choice is None and (result.n_undecided > 0 or result.n_valueless > 0)
    return Finding(
        result,
        about=f"policy {base.name}",
        lines=[
            f"{result.direction}imise {describe_measure(result.of)}" + (f", subject to {required}" if required else "")
        ],
        after=describe_specs(result),
        files=lambda: _write_policy(result, write_policy, dialect, base),
        failed=result.choice is None and not is_unknown,
        undecided=is_unknown,
    )


def _write_policy(result: Tuning, path: Path | None, dialect: str | None, base: ScenarioPolicy) -> None:
    """Write the recommended policy in API form, under the key of its dialect; as a bare spec if it has its own orchestrator."""
    if path is None:
        return
    if result.choice is None:
        say(f"{path} was not written: no recommended policy")
        return
    dialect = dialect or next(iter(result.specs))
    spec = result.specs[dialect]["spec"]
    if dialect == "general":
        policy = spec
    elif base.orchestrator is None:
        policy = {dialect: {"spec": spec}}
    else:
        from simdeploy.scenario.orchestrator_section import write_orchestrator

        policy = {"dialect": dialect, **spec, "orchestrator": write_orchestrator(base.orchestrator)}
    if path.suffix.lower() == ".json":
        text = json.dumps(policy, indent=2) + "\n"
    else:
        import yaml

        text = yaml.safe_dump(policy, sort_keys=False)
    write_text(text, path)
