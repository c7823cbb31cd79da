"""Common parts of commands that simulate: options, running, output and exit codes.

A command is a function from a `Study` and further options to a `Finding`; `study_command` does the rest.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli import options as shared
from simdeploy.cli.answers import print_answer, say, to_json, whoever_listens
from simdeploy.cli.command import BAD_INPUT, FAILED, UNDECIDED, Command
from simdeploy.cli.files import write_file, write_picture, write_table
from simdeploy.cli.inputs import choose_policies, describe_orchestrator, prepare_cluster, read_with_warnings
from simdeploy.cli.progress import resumable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from simdeploy.result import Result, Table
    from simdeploy.scenario import Scenario, ScenarioPolicy


@dataclass(frozen=True)
class Finding:
    """A command's result, and how to show it.

    Attributes
    ----------
    result : Result
    about : str
        What was simulated, such as "policy canary, 100 replications of each value".
    lines : sequence of str
        Further lines before the tables.
    more : sequence of Table
        Additional tables.
    after : sequence of str
        Lines after the tables.
    table : callable
        Returns the table for ``--out``; default: that of the result.
    draw : callable
        Draws the figure for ``--plot``.
    files : callable
        Writes other files.
    under : mapping
        What the numbers depend on, besides the result's `computed_under`.
    failed, undecided : bool
        Determine the exit code.
    """

    result: Result
    about: str = ""
    lines: Sequence[str] = ()
    more: Sequence[Table] = ()
    after: Sequence[str] = ()
    table: Callable[[], pd.DataFrame] | None = None
    draw: Callable[[], Figure] | None = None
    files: Callable[[], None] | None = None
    under: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False
    undecided: bool = False


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

    def run(self, function: Callable[..., Any], *args: Any, **own: Any) -> Any:
        """Call a simulating function with progress; options are passed to arguments of the same name."""
        signature = inspect.signature(function)
        asked = {name: value for name, value in self.ctx.params.items() if name in signature.parameters}
        with resumable(self.ctx, self.ctx.params["store"]) as progress:
            return function(**{**asked, **signature.bind_partial(*args, **own).arguments}, progress=progress)


def draw_panels(
    size: tuple[float, float], plot: Callable[..., object], *args: Any, panels: tuple[int, int] | None = None
) -> Callable[[], Figure]:
    """Return a function that draws a figure of `size` inches with `plot(axes, *args)`; `panels` makes an array of axes."""

    def draw() -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots() if panels is None else figure.subplots(*panels, squeeze=False)
        plot(axes, *args)
        return figure

    return draw


def study_command(
    name: str,
    *,
    example: str,
    policies: str | None = "one",
    replications: int | None = None,
    least: int = 1,
    precision: bool = False,
    simulates: bool = True,
    plot: bool = True,
) -> Callable[[Callable[..., Finding]], Command]:
    """Make a command from a function of a `Study` and further options that returns a `Finding`.

    Parameters
    ----------
    name : str
    example : str
        Command line for the help.
    policies : {'one', 'first', 'all', None}
        Meaning of ``--policy``: one policy, or several with the first or all as default. None without a scenario.
    replications : int, optional
        Default of ``--replications``; no such option unless given.
    least : int, default 1
        Minimum replications.
    precision : bool, default False
        Whether to offer ``--precision`` and ``--most``.
    simulates : bool, default True
        Whether to offer options for engine, workers, cluster and store.
    plot : bool, default True
        Whether it has ``--plot``.
    """

    def decorate(function: Callable[..., Finding]) -> Command:
        own: list[click.Parameter] = list(reversed(function.__dict__.pop("__click_params__", [])))
        params: list[click.Parameter] = [
            *([] if policies is None else [shared.SCENARIO, shared.policy_option(is_all=policies == "all")]),
            *own,
            *([] if replications is None else [shared.replications_option(replications, least)]),
            *([shared.PRECISION, shared.most_option()] if precision else []),
            shared.SEED,
            *(shared.SIMULATING if simulates else ()),
            *([shared.PLOT] if plot else []),
            shared.OUT,
            shared.FULL,
            shared.JSON,
            *([] if policies is None else [shared.ALLOW_FILES]),
        ]
        names = inspect.signature(function).parameters

        @click.pass_context
        def callback(ctx: click.Context, /, **_: Any) -> None:
            prepare_cluster(ctx)
            own_values = {name: value for name, value in ctx.params.items() if name in names}
            if policies is None:
                finding = function(ctx, **own_values)
            else:
                study = Study(ctx, read_with_warnings(ctx.params["scenario"]), ctx.params["policies"])
                finding = function(study, **own_values)
                finding = replace(finding, lines=[describe_orchestrator(study.scenario.orchestrator), *finding.lines])
            _finish(ctx, finding)

        return Command(name, callback=callback, params=params, help=inspect.getdoc(function), example=example)

    return decorate


def _finish(ctx: click.Context, finding: Finding) -> None:
    """Print, write and plot the finding, then exit with its code."""
    result = finding.result
    known: Mapping[str, Any] = getattr(result, "computed_under", {})
    under = {**known, **finding.under}
    if ctx.params["as_json"]:
        with whoever_listens():
            click.echo(to_json(result, under))
    else:
        first, *others = result.summarize() or [None]
        after = list(finding.after)
        if others and not ctx.params["full"]:
            n = f"{len(others)} more table{'s' * (len(others) != 1)}"
            after.append(f"--full prints {n}.")
            others = []
        tables = [table for table in (first, *others, *finding.more) if table is not None]
        print_answer(result.answer, _head(ctx, finding, under), tables, after)
    try:
        _write(ctx.params, finding, under)
    except OSError as error:
        # Not 1, which says that a requirement is not met.
        say(f"error: {error.filename}: {error.strerror}")
        raise click.exceptions.Exit(BAD_INPUT) from None
    if finding.failed:
        raise click.exceptions.Exit(FAILED)
    if finding.undecided:
        raise click.exceptions.Exit(UNDECIDED)


def _head(ctx: click.Context, finding: Finding, under: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines on what was simulated, with seed, engine and switches."""
    engine = f", engine {under['engine']}" if "engine" in under else ""
    name = f"{under['scenario']}: " if "scenario" in under else ""
    yield f"{name}{finding.about}, seed {ctx.params['seed']}{engine}"
    yield from finding.lines


def _write(params: Mapping[str, Any], finding: Finding, under: Mapping[str, Any]) -> None:
    if finding.files is not None:
        finding.files()
    out: Path | None = params["out"]
    if out is not None and out.suffix.lower() == ".json":
        text = to_json(finding.result, under) + "\n"
        write_file(out, lambda file: file.write(text.encode()))
    elif out is not None:
        write_table((finding.table or finding.result.to_frame)(), out)
    plot: Path | None = params.get("plot")
    if plot is not None and finding.draw is not None:
        write_picture(finding.draw(), plot)
