"""What every result records: its conditions, and failed replications."""

from dataclasses import replace

import pytest
from every_result import run
from small import IMMEDIATE, rolling, small

from simdeploy import (
    compare,
    estimate,
    estimate_costs,
    estimate_regret,
    pareto_front,
    replicate,
    value_of_perfect_information,
)
from simdeploy.result import read_computed_under

FLEET = {"nodes": 4, "update_duration": {"exponential": {"mean": "1m"}}}
POLICIES = {"fast": IMMEDIATE, "slow": rolling(1)}
SCENARIO = small(FLEET, release=None, costs={"hour_of_delay": 60}, policies=POLICIES)


@pytest.fixture(scope="module")
def table():
    """Make a table in which one replication of the first policy failed."""
    made = replicate(SCENARIO, replications=6, seed=3, engine="reference")
    lost = made["replication"].eq(2) & made["policy"].eq("fast")
    keys = ("scenario", "policy", "replication", "release")
    values = {name: column.mask(lost) for name, column in made.items() if name not in keys}
    attrs = made.attrs
    made = made.assign(**values).assign(status=made["status"].mask(lost, "failed"))
    made.attrs = attrs
    return made


ANALYSES = {
    "compare": compare,
    "estimate": lambda table: estimate(table, "makespan_s"),
    "estimate_costs": lambda table: estimate_costs(table, costs=SCENARIO.costs),
    "estimate_regret": lambda table: estimate_regret(table, of="makespan_s"),
    "pareto_front": lambda table: pareto_front(table, {"makespan_s": "min"}),
    "value_of_perfect_information": lambda table: value_of_perfect_information(table, costs=SCENARIO.costs),
}


@pytest.mark.parametrize("name", ANALYSES)
def test_a_result_records_its_conditions(table, name):
    """Scenario, seed, engine and switches are the table's, costs those used; nothing is made up. [contract]"""
    result = ANALYSES[name](table)
    given = {"costs": SCENARIO.costs.to_dict()} if name in ("estimate_costs", "value_of_perfect_information") else {}
    of_table = {"costs": SCENARIO.costs.to_dict()} if name == "compare" else {}
    assert result.computed_under == read_computed_under(table) | given | of_table
    assert result.to_dict()["computed_under"]["seed"] == 3
    bare = table.copy()
    bare.attrs = {}
    assert ANALYSES[name](bare).computed_under == given


@pytest.mark.parametrize("name", ANALYSES)
def test_a_result_counts_failed_replications(table, name):
    """The replication that failed is counted. [contract]"""
    result = ANALYSES[name](table)
    if name == "compare":
        assert result.n_failed == {"fast": 1, "slow": 0}
    elif name == "estimate":
        assert result.estimates["n_left_out"].tolist() == [1, 0]
    else:
        assert getattr(result, "n_failed", None) == 1 or result.n_left_out == 1
    if hasattr(result, "n_left_out"):
        assert result.answer.endswith("1 replication failed and is excluded.")


@pytest.mark.parametrize("name", ANALYSES)
def test_an_answer_is_a_sentence(table, name):
    """An answer begins with a name, a number or a capital letter, and ends with a full stop. [contract]"""
    answer = ANALYSES[name](table).answer
    assert answer.startswith(("fast", "slow")) or not answer[0].islower()
    assert answer.endswith(".")


def test_a_rollout_names_shed_requests():
    """Shed requests are stated as a whole number, if there are any. [contract]"""
    rollout = run()
    assert "shed" not in rollout.answer
    shed = replace(rollout, responses={**rollout.responses, "shed_requests": 359.6})
    assert shed.answer.endswith("; the service shed 360 requests.")
