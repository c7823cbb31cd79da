"""``simdeploy gates``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli.answers import json_option, print_answer
from simdeploy.cli.files import picture_option, table_option, write_picture, write_table
from simdeploy.cli.inputs import (
    choose_policy,
    confidence_option,
    describe_orchestrator,
    engine_option,
    example,
    policy_option,
    read_with_warnings,
    scenario_argument,
    seed_option,
    workers_option,
)
from simdeploy.cli.resuming import ResumableCommand, resumable, store_option
from simdeploy.errors import InputError, Problem, shorten

if TYPE_CHECKING:
    from simdeploy.analysis import GateComparison

_FORMS = "KIND, KIND,key=value,..., or NAME=KIND,key=value,..."


@click.command("gates", cls=ResumableCommand)
@scenario_argument
@policy_option
@click.option(
    "--gate",
    "gates",
    metavar="[NAME=]KIND[,KEY=VALUE...]",
    multiple=True,
    help="A gate to hold against the threshold, such as sprt, or strict=sprt,alpha=0.001; may be repeated. By default "
    "every kind, with parameters that follow from the policy.",
)
@click.option(
    "--sizes",
    metavar="A,B,...",
    help="Error rates that the release adds, such as 0.01,0.02,5%; 0 is always among them. By default up to four times "
    "the policy's max_error_rate.",
)
@click.option(
    "--replications",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Rollouts of each gate at each size.",
)
@seed_option
@confidence_option
@engine_option
@workers_option
@picture_option("--plot", "Draw the curves of all gates into this .png, .svg or .pdf.")
@table_option("--out", "Write the curves to this .csv or .parquet.")
@store_option
@json_option
@example("simdeploy gates scenarios/subtle-defect.yaml --gate pooled --gate quick=sprt,alpha=0.01 --plot gates.png")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    scenario: str,
    policy: str | None,
    gates: tuple[str, ...],
    sizes: str | None,
    replications: int,
    seed: int,
    confidence_level: float,
    engine: str,
    workers: int,
    plot: Path | None,
    out: Path | None,
    store: Path | None,
    as_json: bool,
) -> None:
    """Put gates side by side on SCENARIO: what each stops, lets through, looks at and takes, over the size of the defect.

    Prints how the threshold errs, which gates surely err less, and what they cost; then the gates, a good release, a
    defect, the curve of what is stopped, and the scenario's own releases.
    """
    from simdeploy.analysis import compare_gates

    read = read_with_warnings(scenario)
    chosen = choose_policy(read, policy)
    with resumable(ctx, store, in_parts=True) as progress:
        result = compare_gates(
            read,
            chosen,
            gates=read_gate_options(gates) if gates else None,
            sizes=None if sizes is None else _read_sizes(sizes),
            replications=replications,
            confidence_level=confidence_level,
            seed=seed,
            engine=engine,
            workers=workers,
            store=store,
            progress=progress,
        )
    under = {**result.computed_under, "replications": replications}
    told = f"policy {result.policy}, {replications:,} replications of each gate at each of {len(result.sizes)} sizes"
    lines = [f"{read.name}: {told}, seed {seed}, engine {under['engine']}", describe_orchestrator(read.orchestrator)]
    print_answer(result, as_json=as_json, computed_under=under, lines=lines)
    if out is not None:
        write_table(result.to_frame(), out)
    if plot is not None:
        _plot(result, plot)
    if result.n_failed:  # a warning has said how many
        raise click.exceptions.Exit(1)


def read_gate_options(texts: Sequence[str]) -> dict[str, Any]:
    """Return gates by name, of what was given to ``--gate``.

    Raises
    ------
    InputError
        With everything that is wrong.

    Examples
    --------
    >>> read_gate_options(["bayes", "strict=sprt,alpha=0.001"])
    {'bayes': {'kind': 'bayes'}, 'strict': {'kind': 'sprt', 'alpha': 0.001}}
    """
    from simdeploy.scenario.scalars import resolve

    gates: dict[str, Any] = {}
    problems: list[Problem] = []
    for text in texts:
        first, *rest = (part.strip() for part in text.split(","))
        name, separator, kind = (part.strip() for part in first.partition("="))
        if not separator:
            name, kind = text.strip(), name
        pairs = [part.partition("=") for part in rest]
        if not name or not kind or not all(key.strip() and value.strip() for key, _, value in pairs):
            problems.append(Problem("not a gate", ("--gate",), found=shorten(text), allowed=_FORMS))
        elif name in gates:
            problems.append(Problem("the same gate twice", ("--gate",), found=shorten(name)))
        else:
            try:
                gates[name] = {"kind": kind, **{key.strip(): resolve(value.strip()) for key, _, value in pairs}}
            except ValueError as error:
                problems.append(Problem(str(error), ("--gate",), found=shorten(text)))
    if problems:
        raise InputError(problems)
    return gates


def _read_sizes(text: str) -> list[float]:
    sizes: list[float] = []
    for word in text.split(","):
        number = word.strip()
        try:
            sizes.append(float(number.removesuffix("%")) / (100 if number.endswith("%") else 1))
        except ValueError:
            problem = Problem(
                "not a size of a defect", ("--sizes",), found=shorten(word), allowed="error rates with commas"
            )
            raise InputError(problem) from None
    return sizes


def _plot(result: GateComparison, path: Path) -> None:
    from matplotlib.figure import Figure

    from simdeploy.plotting.gates import plot_gates

    figure = Figure(figsize=(12, 7), layout="constrained")
    plot_gates(figure.subplots(2, 3), result)
    write_picture(figure, path)
