"""``--precision``: as many replications as it takes."""

from __future__ import annotations

from collections.abc import Sequence

import click

from simdeploy.cli.options import is_given
from simdeploy.errors import shorten


def read_precision(ctx: click.Context, texts: Sequence[str]) -> dict[str, str]:
    """Return the half-widths asked for, by measure; none if ``--precision`` wasn't given.

    What they mean is for the analysis to say, which checks them before its work.
    """
    if not texts:
        if is_given(ctx, "most"):
            raise click.UsageError("--most is the budget of --precision, which isn't there")
        return {}
    if is_given(ctx, "replications"):
        raise click.UsageError("--precision and --replications exclude each other: --most N is the budget")
    targets: dict[str, str] = {}
    for text in texts:
        measure, sign, width = (part.strip() for part in text.rpartition("="))
        if not (measure and sign and width):
            raise click.UsageError(f"--precision: {shorten(text)} is not MEASURE=WIDTH, such as 'makespan_s=5s'")
        if measure in targets:
            raise click.UsageError(f"--precision: {shorten(measure)} is there twice")
        targets[measure] = width
    return targets
