"""``simdeploy run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli.answers import say
from simdeploy.cli.files import folder_option
from simdeploy.cli.options import REPLICATION, Choice, use
from simdeploy.cli.study import Finding, Study, draw_panels, study_command
from simdeploy.vocabulary import RECORD_FORMS

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from simdeploy.engines import Rollout


@study_command("run", simulates=False, example="simdeploy run scenarios/small-fleet.yaml --seed 7 --plot rollout.png")
@use(
    REPLICATION,
    folder_option(["--records"], "Write all tables of the rollout into this folder."),
)
@click.option(
    "--records-form", type=Choice(RECORD_FORMS), default="parquet", show_default=True, help="Form of these tables."
)
def command(study: Study, *, replication: int, records: Path | None, records_form: str) -> Finding:
    """Simulate one rollout and describe what happened.

    Describes the rollout of SCENARIO wave by wave. --out writes the nodes over time, --plot draws each of them and how many there
    are of each status; --json has the API's final deployment object under "deployment". --records writes events, nodes over
    time, nodes, health windows and revisions.
    """
    from simdeploy.engines import OneRollout, simulate
    from simdeploy.report.story import tell
    from simdeploy.units import NS_PER_S, short_duration

    rollout = simulate(study.scenario, study.policy, seed=study.ctx.params["seed"], replication=replication)
    story = tell(rollout, hint=" (--records DIR writes all)")

    def write_records() -> None:
        if records is not None:
            rollout.write(records, form=records_form)
            say(f"wrote {records}")

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
        draw=draw_panels((7.5, 8), _plot, rollout, panels=(2, 1)),
        files=write_records,
    )


def _plot(axes: np.ndarray, rollout: Rollout) -> None:
    """Draw the nodes one by one, and below how many there are of each status."""
    from simdeploy.plotting import plot_fleet, plot_timeline

    above, below = axes[:, 0]
    plot_fleet(above, rollout)
    plot_timeline(below, rollout)
    below.set_title("", loc="left")  # the same


def _describe(rollout: Rollout) -> dict[str, Any]:
    return {
        "scenario": rollout.scenario.name,
        "policy": rollout.policy.name,
        "seed": rollout.seed,
        "replication": rollout.replication,
        "engine": rollout.engine,
        "switches": rollout.orchestrator.switches(),
    }
