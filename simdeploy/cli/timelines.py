"""``simdeploy timelines``."""

from __future__ import annotations

import click

from simdeploy.cli.options import Choice
from simdeploy.cli.study import Finding, Study, study_command
from simdeploy.errors import plural
from simdeploy.vocabulary import TRACED


@study_command(
    "timelines",
    policies="all",
    replications=1000,
    intervals=False,
    example="simdeploy timelines scenarios/small-fleet.yaml --quantity failed --plot bands.png",
)
@click.option(
    "--quantity",
    "quantities",
    multiple=True,
    type=Choice(TRACED),
    callback=lambda _ctx, _param, value: value or None,
    help="What to show over time; repeatable. Default: all (shed only for a shared service).",
)
@click.option("--every", metavar="DURATION", help="Time between instants; default: about 1/200 of --until.")
@click.option("--until", metavar="DURATION", help="Last instant; default: the end of the longest of 100 rollouts.")
def command(study: Study) -> Finding:
    """Show the spread of rollouts over time.

    Simulates every policy of SCENARIO and prints the extremes by kind of release: how many nodes are updated, have failed, are exposed or in service,
    and which fraction of requests fails or is shed. --out writes the bands (mean and quantiles at each instant), and --plot draws them.
    """
    from simdeploy.analysis.bands.tracing import timelines
    from simdeploy.units import NS_PER_S, short_duration

    result = study.run(timelines, study.scenario, study.policies or None)
    return Finding(
        result,
        about=f"{plural(result.n_replications, 'replication')} of each policy, every {short_duration(result.every_s * NS_PER_S)}",
    )
