"""``simdeploy compare``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from simdeploy.cli.options import read_precision
from simdeploy.cli.study import Finding, Study, describe_worlds, study_command
from simdeploy.errors import InputError, Problem, not_among, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simdeploy.analysis.comparison.compare import Comparison
    from simdeploy.analysis.costs.causes import CostResult


@study_command(
    "compare",
    policies="all",
    replications=400,
    precision=True,
    example="simdeploy compare scenarios/small-fleet.yaml --replications 200 --plot verdicts.png",
)
@click.option("--baseline", metavar="A", help="Policy to compare the others with; default: the first.")
@click.option("--costs", "by_cause", is_flag=True, help="Split the cost by cause, also in --plot.")
def command(study: Study, *, precision: tuple[str, ...], baseline: str | None, by_cause: bool) -> Finding:
    """Compare policies in the same simulated worlds.

    Prints the best policy of SCENARIO and those that may be as good; then verdict rates, makespan and cost with
    intervals, and the differences from a baseline. --out writes the responses of every replication.
    """
    from simdeploy.analysis.asking.simulating import replicate_kinds
    from simdeploy.analysis.comparison.compare import compare
    from simdeploy.analysis.costs.causes import estimate_costs
    from simdeploy.analysis.estimates.precision import replicate_to_precision
    from simdeploy.experiments.by_kind import count_worlds

    targets = read_precision(study.ctx, precision)
    scenario, policies = study.scenario, study.policies or {name: name for name in study.scenario.policies}
    # Check this before the long work.
    if baseline is not None and baseline not in policies:
        raise InputError(not_among("not among the compared policies", ("baseline",), baseline, policies))
    if by_cause and scenario.costs is None:
        hint = "add a `costs` section"
        raise InputError(Problem("the scenario has no costs", ("--costs",), found=scenario.name, hint=hint))
    precision_reached, replications = None, study.ctx.params["replications"]
    if targets:
        precision_reached = study.run(replicate_to_precision, scenario, policies, targets=targets)
        responses, replications = precision_reached.responses, precision_reached.n_replications
    else:
        responses = study.run(replicate_kinds, scenario, policies)
    confidence_level = study.ctx.params["confidence_level"]
    result = compare(responses, baseline=baseline, confidence_level=confidence_level)
    costs = estimate_costs(responses, confidence_level=confidence_level) if by_cause else None
    return Finding(
        result,
        about=f"{plural(replications, 'replication')} of each policy{describe_worlds(count_worlds(responses))}",
        precision=precision_reached,
        more=[] if costs is None else costs.summarize(),
        table=lambda: responses,
        draw=None if costs is None else lambda: _draw_costs(result, costs),
        under={"replications": replications},
        failed=result.none_meets,
        undecided=result.none_known_to_meet,
    )


def _draw_costs(comparison: Comparison, costs: CostResult) -> Figure:
    """Draw the causes of the cost; below, the difference of each policy from the best of the others, if any is known."""
    from simdeploy.plotting import plot_costs, plot_ranking
    from simdeploy.plotting.figures import draw_figure, stack_panels

    if comparison.ranking.query("response == 'cost'")["estimate"].isna().all():
        figure = draw_figure(costs)
        assert figure is not None  # noqa: S101 - costs have a picture
        return figure
    n = len(comparison.policies)
    ratios = [1.2 + 0.6 * n, 1.4 + 0.4 * n]
    return stack_panels((8, 2.8 + 1.0 * n), plot_costs, plot_ranking, of=(costs, comparison), height_ratios=ratios)
