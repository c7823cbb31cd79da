"""``simdeploy run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli.answers import say
from simdeploy.cli.files import file_option, folder_option, write_text
from simdeploy.cli.options import REPLICATION, Choice, use
from simdeploy.cli.study import Finding, Study, study_command
from simdeploy.vocabulary import RECORD_FORMS

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from simdeploy.engines import Rollout


@study_command("run", simulates=False, example="simdeploy run scenarios/small-fleet.yaml --seed 7 --plot rollout.png")
@use(
    REPLICATION,
    folder_option(["--records"], "Write all tables of the rollout into this folder."),
    file_option(["--prometheus"], "Write metrics over time as OpenMetrics text (.prom, .txt).", ".prom", ".txt"),
)
@click.option(
    "--records-form", type=Choice(RECORD_FORMS), default="parquet", show_default=True, help="Format of these tables."
)
def command(
    study: Study, *, replication: int, records: Path | None, prometheus: Path | None, records_form: str
) -> Finding:
    """Simulate one rollout and describe what happened.

    Describes the rollout of SCENARIO wave by wave. --out writes the numbers of nodes over time. --plot draws each node, and the number
    in each status. --json has the API's final deployment object under "deployment". --records writes events, nodes over time, nodes,
    health windows and revisions. --prometheus writes metrics to import into Prometheus.
    """
    from simdeploy.engines import OneRollout, simulate
    from simdeploy.report.story import tell
    from simdeploy.units import NS_PER_S, short_duration

    rollout = simulate(study.scenario, study.policy, seed=study.ctx.params["seed"], replication=replication)
    story = tell(rollout, hint=" (--records DIR writes all)")

    def write_files() -> None:
        if records is not None:
            rollout.write(records, form=records_form)
            say(f"wrote {records}")
        if prometheus is not None:
            write_text(rollout.to_openmetrics(), prometheus)

    release = rollout.response_values["release"]
    return Finding(
        OneRollout(
            rollout.response_values,
            rollout.deployment.to_dict(),
            tuple({"time_s": line.time_s, "text": line.text} for line in story),
            _describe(rollout),
        ),
        about=f"policy {rollout.policy.name}, replication {replication}",
        lines=[
            *([f"actual release: {release}"] if release else []),
            "",
            *(f"{short_duration(line.time_s * NS_PER_S):>10}  {line.text}" for line in story),
        ],
        table=lambda: rollout.timeline,
        draw=lambda: _draw(rollout),
        files=write_files,
    )


def _draw(rollout: Rollout) -> Figure:
    """Draw the nodes one by one, and below the number of nodes by status."""
    from simdeploy.plotting import plot_fleet, plot_timeline
    from simdeploy.plotting.figures import stack_panels

    figure = stack_panels((7.5, 8), plot_fleet, plot_timeline, of=(rollout, rollout), height_ratios=[1, 1])
    figure.axes[1].set_title("", loc="left")  # it would repeat the first
    return figure


def _describe(rollout: Rollout) -> dict[str, Any]:
    return {
        "scenario": rollout.scenario.name,
        "policy": rollout.policy.name,
        "seed": rollout.seed,
        "replication": rollout.replication,
        "engine": rollout.engine,
        "switches": rollout.orchestrator.switches(),
    }
