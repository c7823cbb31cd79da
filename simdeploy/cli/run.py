"""``simdeploy run``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli.study import Finding, Study, draw_panels, study_command
from simdeploy.result import Result, Table

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.engines import Rollout

_VERDICTS = {
    "completed_good": "A good release completed",
    "stopped_defective": "A defective release was stopped",
    "false_alarm": "False alarm: a good release was stopped",
    "escaped": "Escape: a defective release completed",
}


@dataclass(frozen=True, eq=False, repr=False)
class OneRollout(Result):
    """What happened in one rollout.

    Attributes
    ----------
    responses : mapping
    deployment : mapping
        The final deployment object of the API.
    story : tuple of mapping
        What happened, with its time in seconds.
    computed_under : mapping
    """

    responses: Mapping[str, Any]
    deployment: Mapping[str, Any]
    story: tuple[Mapping[str, Any], ...]
    computed_under: Mapping[str, Any]

    @property
    def answer(self) -> str:
        """How it ended."""
        from simdeploy.units import NS_PER_S, short_duration

        verdict, makespan_s = self.responses["verdict"], self.responses["makespan_s"]
        ended = _VERDICTS[verdict] if isinstance(verdict, str) else f"The rollout is {self.responses['state']}"
        return f"{ended}." if math.isnan(makespan_s) else f"{ended}, after {short_duration(makespan_s * NS_PER_S)}."

    def to_frame(self) -> pd.DataFrame:
        """Return the responses as a table of one row."""
        import pandas as pd

        return pd.DataFrame([self.responses])

    def summarize(self) -> tuple[Table, ...]:
        """Return the responses in words."""
        rows = tuple((name, _word(name, value)) for name, value in self.responses.items())
        return (Table("Responses", ("response", "value"), rows),)


@study_command("run", simulates=False, example="simdeploy run scenarios/small-fleet.yaml --seed 7 --plot rollout.png")
@click.option(
    "--replication",
    type=click.IntRange(0, (1 << 32) - 1),
    default=0,
    show_default=True,
    help="Which of the worlds of that seed.",
)
def command(study: Study, *, replication: int) -> Finding:
    """Simulate one rollout and tell what happened.

    Tells the rollout of SCENARIO wave by wave. --out writes the nodes over time, --plot draws them; --json has the
    final deployment object of the API under "deployment".
    """
    from simdeploy.cli.story import tell
    from simdeploy.engines import simulate
    from simdeploy.plotting import plot_timeline
    from simdeploy.units import NS_PER_S, short_duration

    rollout = simulate(study.scenario, study.policy, seed=study.ctx.params["seed"], replication=replication)
    story = tell(rollout)
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
        draw=draw_panels((9, 5), plot_timeline, rollout),
    )


def _describe(rollout: Rollout) -> dict[str, Any]:
    return {
        "scenario": rollout.scenario.name,
        "policy": rollout.policy.name,
        "seed": rollout.seed,
        "replication": rollout.replication,
        "engine": rollout.engine,
        "switches": rollout.orchestrator.switches(),
    }


def _word(name: str, value: object) -> str:
    from simdeploy.units import NS_PER_S, short_duration

    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        number = f"{value:,.3f}".rstrip("0").rstrip(".")
        times = ("makespan_s", "stopped_at_s", "restored_at_s")
        return f"{number} ({short_duration(value * NS_PER_S)})" if name in times else number
    return f"{value:,}" if isinstance(value, int) else str(value)
