"""Common parts of commands that simulate: options, running, output and exit codes.

A command is a function of a `Study` and further options that returns a `Finding`; `study_command` does the rest.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli import options as shared
from simdeploy.cli.answers import print_answer, to_json, whoever_listens
from simdeploy.cli.command import FAILED, UNDECIDED, Command, command_line
from simdeploy.cli.files import silence_matplotlib, write_picture, write_table, write_text
from simdeploy.cli.inputs import choose_policies, describe_orchestrator, prepare_cluster, read_with_warnings
from simdeploy.cli.progress import progress_bar, resumable
from simdeploy.errors import plural

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from simdeploy.analysis.estimates.precision_result import Precision
    from simdeploy.result import Result, Table
    from simdeploy.scenario import Scenario, ScenarioPolicy


@dataclass(frozen=True)
class Finding:
    """A command's result, and how to show it."""

    result: Result
    about: str = ""  # the simulations, such as "policy canary, 100 replications of each value"
    lines: Sequence[str] = ()  # before the tables
    precision: Precision[Any] | None = None  # outcome of --precision
    more: Sequence[Table] = ()  # after the tables of the result
    after: Sequence[str] = ()  # after the tables
    table: Callable[[], pd.DataFrame] | None = None  # for --out, instead of the result's table
    text: Callable[[], str] | None = None  # for --out FILE.yaml
    draw: Callable[[], Figure | None] | None = None  # for --plot, instead of the result's picture
    files: Callable[[], None] | None = None  # writes other files
    under: Mapping[str, Any] = field(default_factory=dict)  # in addition to the result's `computed_under`
    failed: bool = False  # exit as failed, even without failed replications
    undecided: bool = False
    code: int = 0  # exit code if nothing failed


class Study:
    """A command's input: scenario, policies by name and options."""

    def __init__(self, ctx: click.Context, scenario: Scenario, policies: Sequence[str]) -> None:
        self.ctx = ctx
        self.scenario = scenario
        self.policies = choose_policies(scenario, policies)

    @property
    def policy(self) -> ScenarioPolicy:
        """The single policy of ``--policy``; default: the scenario's first."""
        if len(self.policies) > 1:
            raise click.UsageError(f"simdeploy {self.ctx.info_name} takes one --policy, not {len(self.policies)}")
        return self.scenario.policy(next(iter(self.policies.values()), None))

    @property
    def only_policy(self) -> ScenarioPolicy | None:
        """The single policy of ``--policy``; None without one."""
        return self.policy if self.policies else None

    def run(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Call a simulating function with progress; options are passed to arguments of the same name."""
        signature = inspect.signature(function)
        options = {name: value for name, value in self.ctx.params.items() if name in signature.parameters}
        with resumable(self.ctx, self.ctx.params.get("store")) as progress:
            return function(**{**options, **signature.bind_partial(*args, **named).arguments}, progress=progress)


def run_with_bar(ctx: click.Context, unit: str, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Call a function that takes long, but simulates no scenario of the command, with progress, seed, workers and cluster."""
    where = {name: ctx.params[name] for name in ("seed", "workers", "cluster")}
    with progress_bar(unit) as progress:
        return function(*args, **named, **where, progress=progress or False)


def describe_worlds(counts: Mapping[str, int]) -> str:
    """Return the number of worlds per kind of release, in brackets; empty if kinds are drawn."""
    return f" ({', '.join(f'{kind} {count:,}' for kind, count in counts.items())})" if counts else ""


def study_command(
    name: str,
    *,
    example: str,
    policies: str | None = "one",
    replications: int | None = None,
    least: int = 1,
    precision: bool = False,
    simulates: bool = True,
    stores: bool = True,
    intervals: bool = True,
    plot: bool = True,
    replaces_gates: bool = False,
    out: click.Option = shared.OUT,
) -> Callable[[Callable[..., Finding]], Command]:
    """Decorate a function of a `Study` and further options that returns a `Finding`; make it a command.

    `policies` says what ``--policy`` takes: "one" policy, or several with a default: "all", or the one that was "seen".
    If None, the command has no scenario. `replications` is the default of ``--replications`` (None: no such option), `least` its
    minimum. `precision` adds ``--precision`` and ``--most``. A command that `simulates` has options for engine, workers and
    cluster; for a store if it `stores` replications; and with `intervals` ``--confidence-level``. `out` replaces ``--out``.
    A command that `replaces_gates` of the policies does not warn of what follows from theirs.
    """

    def decorate(function: Callable[..., Finding]) -> Command:
        params: list[click.Parameter] = [
            *([] if policies is None else [shared.SCENARIO, shared.policy_option(policies)]),
            *reversed(function.__dict__.pop("__click_params__", [])),
            *([] if replications is None else [shared.replications_option(replications, least)]),
            *([shared.PRECISION, shared.most_option()] if precision else []),
            shared.SEED,
            *([shared.CONFIDENCE_LEVEL] if simulates and intervals else []),
            *(shared.SIMULATING if simulates and stores else shared.WHERE if simulates else ()),
            *([shared.PLOT] if plot else []),
            out,
            shared.FULL,
            shared.JSON,
            *([] if policies is None else [shared.ALLOW_FILES]),
        ]
        names = inspect.signature(function).parameters

        @click.pass_context
        def callback(ctx: click.Context, /, **_: Any) -> None:
            prepare_cluster(ctx)
            options = {name: value for name, value in ctx.params.items() if name in names}
            if policies is None:
                finding = function(ctx, **options)
            else:
                chosen = ctx.params["policies"]
                scenario = read_with_warnings(
                    ctx.params["scenario"], chosen, is_all=policies == "all", replaces_gates=replaces_gates
                )
                study = Study(ctx, scenario, chosen)
                finding = function(study, **options)
                under = {**finding.under, **_identify(ctx, study, is_one=policies == "one")}
                finding = replace(finding, lines=[_describe_switches(study), *finding.lines], under=under)
            _finish(ctx, finding)

        return Command(name, callback=callback, params=params, help=inspect.getdoc(function), example=example)

    return decorate


def _writes_json(ctx: click.Context) -> bool:
    out: Path | None = ctx.params.get("out")
    return bool(ctx.params["as_json"]) or (out is not None and out.suffix.lower() == ".json")


def _identify(ctx: click.Context, study: Study, *, is_one: bool) -> dict[str, Any]:
    """Return what a document states about the scenario: digest, world, and the specs of the command's policies."""
    if not _writes_json(ctx):
        return {}
    from simdeploy.experiments.store.manifest import hash_json
    from simdeploy.scenario.written_specs import write_specs
    from simdeploy.sharing.assumptions import read_world

    scenario = study.scenario
    asked = study.policies.values() or ([study.policy] if is_one else scenario.policies.values())
    return {
        "scenario_sha256": hash_json(scenario.to_question()),
        "world": read_world(scenario),
        "specs": {policy.name: write_specs(policy, scenario) for policy in map(scenario.policy, asked)},
    }


def _describe_switches(study: Study) -> str:
    """Describe the scenario's switches, and name the policies that have their own."""
    used = study.policies.values() if study.policies else study.scenario.policies.values()
    with_switches = [policy.name for policy in map(study.scenario.policy, used) if policy.orchestrator is not None]
    text = describe_orchestrator(study.scenario.orchestrator)
    have = "has its" if len(with_switches) == 1 else "have their"
    return f"{text}; {', '.join(with_switches)} {have} own" if with_switches else text


def _finish(ctx: click.Context, finding: Finding) -> None:
    """Print, write and plot the finding, then exit with its code."""
    result, precision = finding.result, finding.precision
    under = {**getattr(result, "computed_under", {}), **finding.under}
    if precision is not None:
        under["precision"] = precision.to_dict()
    if _writes_json(ctx):
        from simdeploy.experiments.store.manifest import find_versions

        under |= {"command": command_line(ctx), "versions": find_versions()}
    try:
        _print(ctx, finding, under)
    finally:  # a full disk behind standard output must not lose the files
        _write(ctx.params, finding, under)
    n_failed: int | Mapping[str, int] = getattr(result, "n_failed", 0)  # a warning has named them
    if finding.failed or (any(n_failed.values()) if isinstance(n_failed, Mapping) else n_failed):
        raise click.exceptions.Exit(FAILED)
    if finding.undecided or (precision is not None and not precision.is_reached):
        raise click.exceptions.Exit(UNDECIDED)
    if finding.code:
        raise click.exceptions.Exit(finding.code)


def _print(ctx: click.Context, finding: Finding, under: Mapping[str, Any]) -> None:
    result, precision = finding.result, finding.precision
    if ctx.params["as_json"]:
        with whoever_listens():
            click.echo(to_json(result, under))
        return
    tables, after = list(result.summarize()), list(finding.after)
    if len(tables) > 1 and not ctx.params["full"]:
        after.append(f"--full prints {plural(len(tables) - 1, 'more table')}.")
        del tables[1:]
    tables += [*(precision.summarize() if precision else ()), *finding.more]
    print_answer(result.answer, _head(ctx, finding, under), tables, after, full=ctx.params["full"])


def _head(ctx: click.Context, finding: Finding, under: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines on the simulations, with seed, engine and switches."""
    engine = f", engine {under['engine']}" if "engine" in under else ""
    engine = ", nothing simulated" if under.get("engine") == "none" else engine
    name = f"{under['scenario']}: " if "scenario" in under else ""
    seed = f", seed {ctx.params['seed']}" if "seed" in ctx.params else ""
    yield f"{name}{finding.about}{seed}{engine}"
    yield from finding.lines
    if finding.precision is not None:
        yield finding.precision.answer


def _write(params: Mapping[str, Any], finding: Finding, under: Mapping[str, Any]) -> None:
    if finding.files is not None:
        finding.files()
    out: Path | None = params["out"] if "out" in params else params["table_or_text"]
    if out is not None and finding.text is not None and out.suffix.lower() in (".yaml", ".yml"):
        write_text(finding.text(), out)
    elif out is not None and out.suffix.lower() == ".json":
        write_text(to_json(finding.result, under) + "\n", out)
    elif out is not None:
        write_table((finding.table or finding.result.to_frame)(), out)
    plot: Path | None = params.get("plot")
    if plot is not None:
        silence_matplotlib()
        from simdeploy.plotting.figures import draw_figure

        figure = (finding.draw or partial(draw_figure, finding.result))()
        assert figure is not None  # noqa: S101 - a command without a picture has no --plot
        write_picture(figure, plot)
