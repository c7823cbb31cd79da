"""``simdeploy advise``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from simdeploy.cli.command import UNDECIDED
from simdeploy.cli.forecast import describe, describe_way
from simdeploy.cli.options import use
from simdeploy.cli.seen import AT, EVIDENCE, LOG, SEEN, read_evidence, read_files
from simdeploy.cli.study import Finding, Study, study_command

if TYPE_CHECKING:
    from simdeploy.analysis.advice.result import Advice

WAIT, CANCEL, PROMOTE, OTHER = 10, 11, 12, 13
_CODES = {"go on": 0, "cancel": CANCEL, "promote": PROMOTE}


@study_command(
    "advise",
    policies="seen",
    replications=2000,
    least=10,
    stores=False,
    example="simdeploy advise scenarios/small-fleet.yaml --seen deployment.json",
)
@use(SEEN, AT, EVIDENCE, LOG)
@click.option(
    "--act",
    "acts",
    metavar="ACT",
    multiple=True,
    callback=lambda _ctx, _param, value: value or None,
    help="'go on', promote, 'pause 10m', resume or cancel; repeatable. Default: all that the state allows.",
)
@click.option(
    "--exit-code",
    "tells_act",
    is_flag=True,
    help="The exit code is the best act: 0 go on, 10 wait, 11 cancel, 12 promote, 13 another one, 3 none.",
)
def command(study: Study, *, seen: tuple[str, ...], evidence: str | None, tells_act: bool) -> Finding:
    """Say whether a rollout should go on, wait or end.

    Samples worlds of SCENARIO that agree with what was seen of the rollout, and continues them under each act. Says how probable a
    defective release is, what each act costs, and what waiting is worth.
    """
    from simdeploy.analysis import advise

    result = study.run(
        advise, study.scenario, study.only_policy, seen=read_files(seen), evidence=read_evidence(evidence, seen)
    )
    return Finding(
        result,
        about=describe(result),
        lines=[describe_way(result)],
        undecided=not result.is_trusted or result.is_undecided,
        code=find_code(result) if tells_act else 0,
    )


def find_code(advice: Advice) -> int:
    """Return the exit code of the best act."""
    if not advice.best:
        return UNDECIDED
    if advice.best.startswith("pause") or advice.wait is not None:
        return WAIT
    return _CODES.get(advice.best, OTHER)
