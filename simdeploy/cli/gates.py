"""``simdeploy gates``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from simdeploy.cli.study import Finding, Study, study_command
from simdeploy.errors import InputError, Problem, plural, raise_if_any, shorten
from simdeploy.vocabulary import GATES

_FORMS = "KIND, KIND,key=value,..., or NAME=KIND,key=value,..."


@study_command(
    "gates",
    replications=1000,
    replaces_gates=True,
    example="simdeploy gates scenarios/subtle-defect.yaml --gate pooled --gate quick=sprt,alpha=0.01 --plot gates.png",
)
@click.option(
    "--gate",
    "gates",
    metavar="[NAME=]KIND[,KEY=VALUE...]",
    multiple=True,
    help="Gate to compare with the threshold, such as sprt or strict=sprt,alpha=0.001; repeatable. Kinds: "
    f"{', '.join(GATES[1:])}. Default: every kind, with parameters derived from the policy.",
)
@click.option(
    "--sizes",
    metavar="A,B,...",
    help="Added error rates, such as 0.01,0.02,5%; 0 is always included. Default: up to four times max_error_rate.",
)
def command(study: Study, *, gates: tuple[str, ...], sizes: str | None) -> Finding:
    """Compare gates by their errors and costs.

    Tests every gate in the same simulated worlds of SCENARIO, for defects of several sizes. Prints the errors of the
    threshold and the gates with fewer errors, with their costs; then tables of the gates, a good release, a defect, the
    stop rate by size, and the scenario's releases.
    """
    from simdeploy.analysis import compare_gates

    result = study.run(
        compare_gates,
        study.scenario,
        study.policy,
        gates=read_gate_options(gates) if gates else None,
        sizes=None if sizes is None else _read_sizes(sizes),
    )
    n = study.ctx.params["replications"]
    return Finding(
        result,
        about=f"policy {result.policy}, {plural(n, 'replication')} of each gate at each of {len(result.sizes)} sizes",
        under={"replications": n},
    )


def read_gate_options(texts: Sequence[str]) -> dict[str, Any]:
    """Return the gates given with ``--gate`` by name, or raise all problems.

    Examples
    --------
    >>> read_gate_options(["bayes", "strict=sprt,alpha=0.001"])
    {'bayes': {'kind': 'bayes'}, 'strict': {'kind': 'sprt', 'alpha': 0.001}}
    """
    from simdeploy.scenario.scalars import resolve

    gates: dict[str, Any] = {}
    problems: list[Problem] = []
    for text in texts:
        first, *rest = (part.strip() for part in text.split(","))
        name, separator, kind = (part.strip() for part in first.partition("="))
        if not separator:
            name, kind = text.strip(), name
        pairs = [part.partition("=") for part in rest]
        if not name or not kind or not all(key.strip() and value.strip() for key, _, value in pairs):
            problems.append(Problem("invalid gate", ("--gate",), found=shorten(text), allowed=_FORMS))
        elif name in gates:
            problems.append(Problem("duplicate gate", ("--gate",), found=shorten(name)))
        else:
            try:
                gates[name] = {"kind": kind, **{key.strip(): resolve(value.strip()) for key, _, value in pairs}}
            except ValueError as error:
                problems.append(Problem(str(error), ("--gate",), found=shorten(text)))
    raise_if_any(problems)
    return gates


def _read_sizes(text: str) -> list[float]:
    sizes: list[float] = []
    for word in text.split(","):
        number = word.strip()
        try:
            sizes.append(float(number.removesuffix("%")) / (100 if number.endswith("%") else 1))
        except ValueError:
            problem = Problem(
                "invalid size of a defect", ("--sizes",), found=shorten(word), allowed="error rates separated by commas"
            )
            raise InputError(problem) from None
    return sizes
