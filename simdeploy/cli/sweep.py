"""``simdeploy sweep``."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import TYPE_CHECKING

import click

from simdeploy.cli.answers import say
from simdeploy.cli.options import read_precision, use, vary_option
from simdeploy.cli.study import Finding, Study, describe_worlds, study_command
from simdeploy.cli.vary import read_count, read_vary
from simdeploy.errors import InputError, Problem, plural, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simdeploy.analysis import GridSummary
    from simdeploy.experiments import LatinHypercube


def _read_design(_ctx: click.Context, _param: click.Parameter, value: str) -> str | LatinHypercube:
    if value in ("grid", "list"):
        return value
    kind, _, points = value.partition(":")
    from simdeploy.experiments.design import MOST_CASES, LatinHypercube

    number = read_count(points, MOST_CASES)
    if kind != "lhs" or number is None:
        message = f"{shorten(value)} is not grid, list or lhs:N (N points, up to {MOST_CASES:,})"
        raise click.BadParameter(message)
    return LatinHypercube(number)


@study_command(
    "sweep",
    replications=400,
    precision=True,
    example="simdeploy sweep scenarios/small-fleet.yaml --policy rolling --vary max_failed_nodes=0:10:6 "
    "--vary max_error_rate=0.01,0.05,0.1 --replications 200 --plot sweep.png",
)
@use(vary_option("Policy keys, or scenario keys after 'scenario.'."))
@click.option(
    "--design",
    metavar="grid|list|lhs:N",
    default="grid",
    show_default=True,
    callback=_read_design,
    help="grid: every combination; list: lists side by side; lhs:N: Latin hypercube of N points (with ranges low:high "
    "or low:high:log).",
)
def command(
    study: Study, *, vary: tuple[str, ...], design: str | LatinHypercube, precision: tuple[str, ...]
) -> Finding:
    """Try many values of policy and scenario keys.

    All cases share the same simulated worlds of SCENARIO. Prints false alarm and escape rates, makespan and excess
    failed requests per case, with intervals. If there are several kinds of release, each has separate worlds.
    """
    from simdeploy.analysis import summarize_grid
    from simdeploy.analysis.asking.simulating import find_possible
    from simdeploy.analysis.estimates.precision import sweep_to_precision
    from simdeploy.experiments import sweep
    from simdeploy.experiments.by_kind import count_worlds
    from simdeploy.scenario.measures import parse_measure

    scenario, params = study.scenario, study.ctx.params
    targets = read_precision(study.ctx, precision)
    chosen = study.policies or {(first := next(iter(scenario.policies))): first}
    values = read_vary(vary, scenario, chosen, has_ranges=not isinstance(design, str), is_grid=design == "grid")
    if not values and not targets and len(chosen) == 1:
        raise InputError(Problem("nothing to vary", ("--vary",), allowed="KEY=VALUES, or several --policy"))
    if params["plot"] is not None and not any(len(of_key) > 1 for of_key in values.values()):
        raise click.UsageError("--plot needs --vary KEY=... with several values")
    start = perf_counter()
    precision_reached = None
    if targets:
        precision_reached = study.run(sweep_to_precision, scenario, chosen, targets=targets, vary=values)
        result = precision_reached.responses
    else:
        how = {"vary": values, "design": design, "seed": params["seed"]}
        measures = [parse_measure(name) for name in ("false_alarm given good", "escaped given defective")]
        kinds = find_possible(scenario, chosen, measures, params["replications"], **how)
        result = study.run(sweep, scenario, chosen, vary=values, strata=None if kinds is None else "kinds")
    if sys.stderr.isatty():
        seconds = perf_counter() - start
        say(f"{seconds:.1f} s, {seconds / len(result.cases):.3g} s per case")
    summary = summarize_grid(result, confidence_level=params["confidence_level"])
    several = "policies" if len(result.policies) > 1 else "policy"
    return Finding(
        summary,
        about=f"{several} {', '.join(result.policies)}, {plural(len(result.cases), 'case')}, "
        f"{plural(result.replications, 'replication')} of each{describe_worlds(count_worlds(result))}",
        lines=[f"{name}, {result.list_values(name)}" for name in result.factors],
        precision=precision_reached,
        draw=lambda: _draw(summary),
        under={"replications": result.replications},
        failed=bool(summary.cells["failed"].any()),
    )


def _draw(summary: GridSummary) -> Figure | None:
    from simdeploy.plotting.figures import MOST_SLICES, draw_figure
    from simdeploy.plotting.slices import list_slices

    n = len(list_slices(summary))
    if n > MOST_SLICES:
        say(f"the plot shows {MOST_SLICES} of {n} combinations of the other keys")
    return draw_figure(summary)
