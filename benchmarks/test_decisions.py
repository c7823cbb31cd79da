"""How often the decisions that simulation recommends are right, where the best one is known."""

from __future__ import annotations

import pytest

import simdeploy
from simdeploy.result import Table
from simdeploy.validation.decisions.result import CLAIMS

SEEDS = 3


@pytest.mark.timeout(3600)
def test_ten_problems(benchmark, capsys, write_page):
    """Some answers to each of ten problems: minutes."""
    found = benchmark.pedantic(simdeploy.verify_decisions, kwargs={"seeds": SEEDS}, rounds=1, iterations=1)
    assert len(found.answers) == 10 * SEEDS
    assert found.problems["policies"].sum() > 5000
    assert found.answers["rollouts"].sum() > 1_000_000
    with capsys.disabled():
        print(f"\ndecisions: {found.answer}", end=" ")
    costs, problems, _ = found.summarize()
    text = "\n\n".join([found.answer, to_markdown(problems), to_markdown(costs), to_markdown(tabulate_claims(found))])
    write_page("decisions.md", "pytest benchmarks/test_decisions.py --write-page", text)


def tabulate_claims(found):
    """Return a row per problem and a column per claim: true ones of those stated."""
    cells = found.claims.assign(
        cell=[f"{row.true} of {row.stated}" if row.stated else "" for row in found.claims.itertuples()]
    )
    wide = cells.pivot(index="problem", columns="claim", values="cell")
    names = tuple(CLAIMS.values())
    rows = tuple((problem, *wide.loc[problem, list(names)]) for problem in found.problems["problem"])
    return Table("Claims: true of those stated", ("problem", *names), rows)


def to_markdown(table):
    """Return a table in Markdown, below its title."""
    lines = [table.header, ["---"] * len(table.header), *table.rows]
    return "\n".join([f"**{table.title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])
