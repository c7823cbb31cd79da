"""What every command reads: the scenario, its warnings, the options that several commands share."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli.answers import say
from simdeploy.cli.files import PathName
from simdeploy.errors import InputError, listed, name_problems, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.scenario import Scenario, ScenarioPolicy

_TLS_META = "simdeploy.tls"
_ALLOWED = "simdeploy.allow_files"


def _allow_files(ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> None:
    ctx.meta[_ALLOWED] = value


allow_files_option = click.option(
    "--allow-files",
    metavar="DIR",
    multiple=True,
    type=PathName(exists=True, file_okay=False),
    callback=_allow_files,
    expose_value=False,
    help="Files that a scenario names may also be in or below this folder, not only its own; may be repeated.",
)


def scenario_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command take a scenario file, and say which files that may name."""
    return click.argument("scenario", metavar="SCENARIO", type=PathName())(allow_files_option(function))


seed_option = click.option(
    "--seed", type=click.IntRange(0, (1 << 64) - 1), default=0, show_default=True, help="Seed of the random numbers."
)
engine_option = click.option("--engine", default="auto", show_default=True, help="Which engine simulates.")
workers_option = click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Cores that work at it; changes no number."
)

# By the names that Dask's own commands have for them, and that its configuration has.
_TLS = {
    "tls_ca_file": ("distributed.comm.tls.ca-file", "Certificate of the authority of a tls:// cluster, in PEM."),
    "tls_cert": ("distributed.comm.tls.client.cert", "Our own certificate for a tls:// cluster, in PEM."),
    "tls_key": ("distributed.comm.tls.client.key", "Private key of our own certificate, in PEM."),
}


def _note_tls(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta.setdefault(_TLS_META, {})[_TLS[str(param.name)][0]] = value


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a Dask cluster to a command: it gets `cluster`, its certificates are Dask's while it runs."""
    file = PathName(exists=True, dir_okay=False, readable=True)
    for name, (_, text) in reversed(_TLS.items()):
        flag = "--" + name.replace("_", "-")
        command = click.option(flag, metavar="FILE", type=file, callback=_note_tls, expose_value=False, help=text)(
            command
        )
    text = "Dask scheduler, such as tcp://HOST:PORT, or tls://HOST:PORT with certificates; changes no number."
    return click.option("--cluster", metavar="ADDRESS", help=text)(command)


def check_cluster(ctx: click.Context) -> None:
    """Refuse what goes with a cluster, or without one, only; tell Dask of the certificates for as long as the command runs."""
    settings = ctx.meta.get(_TLS_META)
    if settings:
        if not (ctx.params["cluster"] or "").startswith("tls://"):
            flags = ", ".join("--" + name.replace("_", "-") for name in _TLS)
            raise click.UsageError(f"{flags} are for a cluster whose address begins with tls://")
        with contextlib.suppress(ImportError):  # that Dask is missing is said of --cluster
            import dask

            ctx.with_resource(dask.config.set(settings))
    is_asked = ctx.get_parameter_source("workers") is click.core.ParameterSource.COMMANDLINE
    if ctx.params["cluster"] is not None and is_asked:
        raise click.UsageError("--workers and --cluster exclude each other: a cluster has its own workers")


def _check_level(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    from simdeploy.statistics.levels import level_problems

    for problem in level_problems(value):
        raise click.BadParameter(str(replace(problem, path=())))
    return value


confidence_option = click.option(
    "--confidence-level",
    type=float,
    default=0.95,
    show_default=True,
    callback=_check_level,
    help="Of each interval, a fraction.",
)
require_option = click.option(
    "--require",
    "requirements",
    metavar="REQUIREMENT",
    multiple=True,
    help='What a policy has to meet, such as "false_alarm given good <= 1%"; may be repeated. The scenario\'s own '
    "requirements by default.",
)
of_option = click.option(
    "--of", default="cost", show_default=True, metavar="MEASURE", help="What the choice is to be best in."
)
direction_option = click.option(
    "--direction", type=click.Choice(["min", "max"]), help="Which is better, where --of doesn't tell."
)
policy_option = click.option(
    "--policy",
    metavar="NAME|FILE",
    help="A policy of the scenario, or a deployment in JSON; the first of the scenario by default.",
)


def policies_option(text: str, metavar: str = "A,B") -> Callable[[Any], Any]:
    """Return an option that names several policies; `text` is its help."""
    return click.option("--policies", metavar=metavar, callback=_split_names, help=text)


def _split_names(_ctx: click.Context, _param: click.Parameter, value: str | None) -> list[str] | None:
    if value is None:
        return None
    names = [name.strip() for name in value.split(",") if name.strip()]
    if not names:
        raise click.BadParameter(f"{shorten(value)} names no policy")
    return names


def read_with_warnings(path: str) -> Scenario:
    """Read a scenario and show its warnings; of a file that is no use show the warnings, and all errors by raising."""
    from simdeploy.scenario import load

    scenario, errors, warnings = load(path, allow_files=click.get_current_context().meta.get(_ALLOWED, ()))
    for problem in warnings:
        say(f"warning: {problem}")
    if scenario is None:
        raise InputError(errors)
    return scenario


def find_policy(scenario: Scenario, policy: str) -> str | ScenarioPolicy:
    """Take an argument for a name first; what is no name but looks like a file is read, and called like the file."""
    if policy in scenario.policies or not (policy.endswith(".json") or _is_file(policy)):
        return policy
    from simdeploy.api import read_deployment

    name = Path(policy).stem
    problems = name_problems(name, ("--policy",))
    if problems:
        hint = "a policy has the name of its file: rename that"
        raise InputError(replace(problem, hint=hint) for problem in problems)
    return replace(scenario.policy(read_deployment(policy)), name=name)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long for a path, say
        return False


def choose_policy(scenario: Scenario, name: str | None) -> ScenarioPolicy:
    """Return the policy of an argument, the first of the scenario if there is none."""
    return scenario.policy(None if name is None else find_policy(scenario, name))


def choose_policies(scenario: Scenario, names: Sequence[str]) -> dict[str, str | ScenarioPolicy]:
    """Return the policies of several arguments by name; two with the same name are refused."""
    found = [find_policy(scenario, name) for name in names]
    named = {policy if isinstance(policy, str) else policy.name: policy for policy in found}
    if len(named) < len(found):
        raise click.UsageError(f"two policies with the same name: {listed(names)}")
    return named


def describe_orchestrator(orchestrator: Orchestrator) -> str:
    """Say under which switches something was computed: the preset, and what differs from it."""
    from simdeploy.rules.orchestrator import PRESETS

    preset = PRESETS[orchestrator.preset].switches()
    changed = {name: value for name, value in orchestrator.switches().items() if value != preset.get(name)}
    changed.pop("preset", None)
    listed = ", ".join(f"{name}: {_plain(value)}" for name, value in changed.items())
    return f"orchestrator {orchestrator.preset}" + (f" with {listed}" if listed else ", no switch changed")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) + "}"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def example(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put an example under a command's help, kept line by line."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__doc__ = f"{function.__doc__}\n\n    \b\n    Example:\n      {text}\n    "
        return function

    return add
