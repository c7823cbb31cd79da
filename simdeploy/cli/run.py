"""``simdeploy run``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simdeploy.cli.files import picture_option, table_option, write_picture, write_table
from simdeploy.cli.inputs import (
    choose_policy,
    describe_orchestrator,
    example,
    policy_option,
    read_with_warnings,
    scenario_argument,
    seed_option,
)

if TYPE_CHECKING:
    from simdeploy.engines import Rollout

_VERDICTS = {
    "completed_good": "a good release completed",
    "stopped_defective": "a defective release was stopped",
    "false_alarm": "a good release was stopped",
    "escaped": "a defective release completed",
}


@click.command("run")
@scenario_argument
@policy_option
@seed_option
@click.option(
    "--replication",
    type=click.IntRange(0, (1 << 32) - 1),
    default=0,
    show_default=True,
    help="Which of the worlds of that seed.",
)
@picture_option("--plot", "Draw the nodes over time into this .png, .svg or .pdf.")
@table_option("--timeline", "Write the nodes over time to this .csv or .parquet.")
@click.option("--json", "as_json", is_flag=True, help="Print nothing but the final deployment object of the API.")
@example("simdeploy run scenarios/small-fleet.yaml --seed 7 --plot rollout.png")
def command(
    *,
    scenario: str,
    policy: str | None,
    seed: int,
    replication: int,
    plot: Path | None,
    timeline: Path | None,
    as_json: bool,
) -> None:
    """Simulate one rollout of SCENARIO and tell what happened, wave by wave."""
    from simdeploy.engines import simulate

    read = read_with_warnings(scenario)
    rollout = simulate(read, choose_policy(read, policy), seed=seed, replication=replication)
    if as_json:
        click.echo(rollout.to_json(), nl=False)
    else:
        _tell(rollout)
    if timeline is not None:
        write_table(rollout.timeline, timeline)
    if plot is not None:
        _plot(rollout, plot)


def _tell(rollout: Rollout) -> None:
    from simdeploy.cli.screen import make_console, print_table
    from simdeploy.cli.story import tell
    from simdeploy.units import NS_PER_S, short_duration

    values = rollout.response_values
    console = make_console()
    console.print(
        f"{rollout.scenario.name}: policy {rollout.policy.name}, seed {rollout.seed}, "
        f"replication {rollout.replication}, engine {rollout.engine}",
        soft_wrap=True,
    )
    console.print(describe_orchestrator(rollout.orchestrator), soft_wrap=True)
    if values["release"]:
        console.print(f"the new version turns out to be: {values['release']}", soft_wrap=True)
    console.print()
    for line in tell(rollout):
        console.print(f"{short_duration(line.time_s * NS_PER_S):>10}  {line.text}", soft_wrap=True)
    console.print()
    if isinstance(values["verdict"], str):
        console.print(f"verdict: {values['verdict'].replace('_', ' ')}, {_VERDICTS[values['verdict']]}", soft_wrap=True)
        console.print()
    rows = [(name, _word(name, value)) for name, value in values.items()]
    print_table(console, "Responses", ("response", "value"), rows)


def _word(name: str, value: object) -> str:
    from simdeploy.units import NS_PER_S, short_duration

    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        number = f"{value:,.3f}".rstrip("0").rstrip(".")
        times = ("makespan_s", "stopped_at_s", "restored_at_s")
        return f"{number} ({short_duration(value * NS_PER_S)})" if name in times else number
    return f"{value:,}" if isinstance(value, int) else str(value)


def _plot(rollout: Rollout, path: Path) -> None:
    from matplotlib.figure import Figure

    from simdeploy.plotting import plot_timeline

    figure = Figure(figsize=(9, 5), layout="constrained")
    plot_timeline(figure.subplots(), rollout)
    write_picture(figure, path)
