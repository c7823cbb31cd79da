"""How often the decisions that simulation recommends are right, where the best one is known."""

import pytest

import simdeploy
from simdeploy.result import Table
from simdeploy.validation.decisions.result import CLAIMS

# With --write-page, and without it.
SEEDS, FEW = 30, 3


@pytest.mark.timeout(3 * 3600)
def test_ten_problems(benchmark, capsys, request, write_page):
    """Answers each of ten problems several times: minutes, or half an hour for the page."""
    seeds = SEEDS if request.config.getoption("--write-page") else FEW
    found = benchmark.pedantic(simdeploy.verify_decisions, kwargs={"seeds": seeds}, rounds=1, iterations=1)
    assert len(found.answers) == 10 * seeds
    assert found.problems["policies"].sum() > 5000
    assert found.answers["rollouts"].sum() > 1_000_000
    with capsys.disabled():
        print(f"\ndecisions: {found.answer}", end=" ")
    costs, problems, _ = found.summarize()
    tables = (without(problems, "best policy"), tabulate_best(found), costs, tabulate_claims(found))
    text = "\n\n".join([found.answer, *map(to_markdown, tables)])
    write_page("decisions.md", "pytest benchmarks/test_decisions.py --write-page", text)


# Claims, as short as a column heading has to be.
SHORT = dict(
    zip(CLAIMS.values(), ("choice", "its cost", "differences from it", "cost today", "which costs less"), strict=True)
)


def without(table, name):
    """Return a table without a column."""
    place = table.header.index(name)
    rows = tuple((*row[:place], *row[place + 1 :]) for row in table.rows)
    return Table(table.title, (*table.header[:place], *table.header[place + 1 :]), rows)


def tabulate_best(found):
    """Return a row per problem that has a best policy, and a column per setting."""
    best = {
        row.problem: dict(part.rsplit(" ", 1) for part in row.best.split(", "))
        for row in found.problems.itertuples()
        if row.best
    }
    names = tuple(dict.fromkeys(name for settings in best.values() for name in settings))
    rows = tuple((problem, *(settings.get(name, "") for name in names)) for problem, settings in best.items())
    return Table("Best policies", ("problem", *names), rows)


def tabulate_claims(found):
    """Return a row per problem and a column per claim: how many of the stated ones were true."""
    cells = found.claims.assign(
        cell=[f"{row.true} of {row.stated}" if row.stated else "" for row in found.claims.itertuples()]
    )
    wide = cells.pivot(index="problem", columns="claim", values="cell")
    names = tuple(CLAIMS.values())
    rows = tuple((problem, *wide.loc[problem, list(names)]) for problem in found.problems["problem"])
    return Table("Claims: true of those stated", ("problem", *(SHORT[name] for name in names)), rows)


def to_markdown(table):
    """Return a table in Markdown, below its title."""
    lines = [table.header, ["---"] * len(table.header), *table.rows]
    return "\n".join([f"**{table.title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])
