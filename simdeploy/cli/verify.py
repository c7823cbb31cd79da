"""``simdeploy verify``."""

from __future__ import annotations

from pathlib import Path

import click

from simdeploy.cli.answers import json_option, print_answer
from simdeploy.cli.files import table_option, write_table
from simdeploy.cli.inputs import example, seed_option
from simdeploy.cli.progress import progress_bar

_WRONG = 1


@click.command("verify")
@click.option(
    "--replications",
    type=click.IntRange(100),
    default=200,
    show_default=True,
    help="Rollouts of each case on the reference engine; the compiled one does 50 times as many.",
)
@seed_option
@table_option("--out", "Write the comparisons to this .csv or .parquet.")
@json_option
@example("simdeploy verify")
def command(*, replications: int, seed: int, out: Path | None, as_json: bool) -> None:
    """Hold both engines against closed forms and against each other, on this machine.

    Simulates small scenarios whose means are known without simulating. Ends with 0 if nothing is wrong, else with 1.
    """
    from simdeploy.validation.verification import verify

    with progress_bar("cases") as progress:
        found = verify(replications=replications, seed=seed, progress=progress or False)
    chance = f"one fails by chance with probability {found.false_alarm_probability:.1g} at most"
    lines = [f"seed {seed}; of {len(found.comparisons)} comparisons {chance}"]
    print_answer(found, as_json=as_json, computed_under={"seed": seed, "replications": replications}, lines=lines)
    if out is not None:
        write_table(found.comparisons, out)
    if not found.is_ok:
        raise click.exceptions.Exit(_WRONG)
