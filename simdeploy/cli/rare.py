"""``simdeploy rare``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from simdeploy.cli.options import Choice
from simdeploy.cli.study import Finding, Study, study_command
from simdeploy.errors import InputError, Problem, raise_if_any, shorten


@study_command(
    "rare",
    replications=20_000,
    least=100,
    example='simdeploy rare scenarios/stop-that-hurts.yaml --event "min_in_service_fraction < 90%"',
)
@click.option(
    "--event",
    required=True,
    metavar="EVENT",
    help='Event, such as "min_in_service_fraction < 90%" or "failed_requests_excess > 1e6 and escaped".',
)
@click.option(
    "--method",
    type=Choice(["importance", "splitting"]),
    default="importance",
    show_default=True,
    help="importance: make the event likelier and weight the results; splitting: branch rollouts that come near it.",
)
@click.option(
    "--tilt",
    "tilts",
    metavar="NAME[=FACTOR]",
    multiple=True,
    help="Probability to increase, such as start_failure or release.KIND, and its factor (by default found by a pilot); "
    "repeatable. Default: all; none in fleets with crashes, outages, degraded spells or offline nodes.",
)
@click.option(
    "--levels",
    default="failed_nodes",
    show_default=True,
    metavar="NAME[=N,N,...]",
    help="Response for splitting, failed_nodes or peak_exposed_nodes, and its levels (by default found by a pilot).",
)
def command(study: Study, *, tilts: tuple[str, ...], levels: str) -> Finding:
    """Estimate the probability of a rare catastrophe.

    Prints the probability under a policy of SCENARIO with its interval, the cost of plain simulation, and diagnostics.
    Exits with 3, without a probability, if the estimate is unreliable.
    """
    from simdeploy.analysis.rare.estimating import estimate_rare

    how = {"tilt": _read_tilts(tilts), "levels": _read_levels(levels)}
    result = study.run(estimate_rare, study.scenario, study.policy, **how)
    return Finding(
        result,
        about=f"policy {result.policy}, {result.method}",
        undecided=bool(result.doubts),
    )


def _read_tilts(tilts: Sequence[str]) -> Mapping[str, float] | list[str] | None:
    if not tilts:
        return None
    pairs = [tilt.partition("=") for tilt in tilts]
    if not any(sign for _, sign, _ in pairs):
        return [name.strip() for name, _, _ in pairs]
    factors = {}
    problems = []
    for name, _, text in pairs:
        try:
            factors[name.strip()] = float(text)
        except ValueError:
            allowed = "a number above 0 for every name or for none"
            problems.append(Problem("invalid factor", ("--tilt", name), found=shorten(text), allowed=allowed))
    raise_if_any(problems)
    return factors


def _read_levels(levels: str) -> str | dict[str, list[int]]:
    name, sign, text = levels.partition("=")
    if not sign:
        return name.strip()
    try:
        return {name.strip(): [int(word) for word in text.split(",")]}
    except ValueError:
        problem = Problem(
            "invalid levels", ("--levels", name), found=shorten(text), allowed="whole numbers, such as 3,5,7"
        )
        raise InputError(problem) from None
