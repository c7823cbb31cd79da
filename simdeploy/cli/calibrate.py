"""``simdeploy calibrate``."""

from __future__ import annotations

from pathlib import Path

import click

from simdeploy.cli.command import TABLE_ENDINGS
from simdeploy.cli.files import PathName, file_option, folder_option
from simdeploy.cli.options import CLUSTER, MAP, WORKERS, refuse_without, use, whole_option
from simdeploy.cli.study import Finding, run_with_bar, study_command
from simdeploy.errors import plural


@study_command(
    "calibrate",
    policies=None,
    simulates=False,
    example="simdeploy calibrate records -o scenario.yaml --plot fit.png",
    out=file_option(
        ["-o", "--out", "table_or_text"],
        "Write the scenario (.yaml), the parameters (.csv, .parquet) or everything (.json).",
        *(".yaml", ".yml", *TABLE_ENDINGS),
    ),
)
@click.argument("records", metavar="RECORDS...", nargs=-1, required=True, type=PathName(exists=True))
@use(
    MAP,
    whole_option("--bootstrap", None, "Resampled histories to fit, each a scenario in --store.", most=10_000),
    folder_option(
        ["--store", "scenario_folder"], "Folder for the scenarios of --bootstrap; repeat the command to resume."
    ),
    WORKERS,
    *CLUSTER,
)
def command(
    ctx: click.Context,
    *,
    records: tuple[str, ...],
    mapping: dict[str, str],
    bootstrap: int | None,
    scenario_folder: Path | None,
) -> Finding:
    """Fit a scenario to records of rollouts.

    RECORDS are files or folders: records that simdeploy wrote, tables of nodes, health windows and rollouts, and others. Prints every
    parameter with its interval, and those that the records can't determine. -o FILE.yaml writes the scenario, with a comment on each
    number.
    """
    from simdeploy.analysis.calibration import calibrate

    if (bootstrap is None) != (scenario_folder is None):
        raise click.UsageError("--bootstrap N and --store DIR need each other")
    if bootstrap is None:
        refuse_without(ctx, "--bootstrap N", "workers", "cluster")
    result = calibrate(records, mapping=mapping or None, seed=ctx.params["seed"])
    if bootstrap is not None and scenario_folder is not None:
        run_with_bar(ctx, "fits", result.bootstrap, bootstrap, store=scenario_folder)
    n_dropped = int(result.dropped["rows"].sum())
    counts = [plural(result.n_rollouts, "rollout"), plural(result.n_nodes, "node")]
    return Finding(
        result,
        about=", ".join([*counts, f"{plural(n_dropped, 'row')} not used"] if n_dropped else counts),
        text=result.to_yaml,
        after=[] if bootstrap is None else [f"{plural(bootstrap, 'scenario')} in {scenario_folder}"],
    )
