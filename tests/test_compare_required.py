"""A comparison recommends no policy that is shown to miss a requirement, judged as in every analysis."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from small import IMMEDIATE, rolling, small

import simdeploy
from simdeploy.analysis import compare
from simdeploy.errors import InputError
from simdeploy.plotting.comparison import plot_ranking
from simdeploy.report.excluded import tell_missed
from simdeploy.scenario.measures import Measure, Requirement
from simdeploy.scenario.parts import Costs

pytestmark = pytest.mark.usefixtures("few_worlds_suffice")

HOURLY = Costs(0, 0, hour_of_delay=1, false_alarm=0, escape=0)
ESCAPES, FEW_ESCAPES = "escaped given defective <= 20%", "escapes of defective releases at most 20 %"
N = 200


def policies(**escapes):
    """Make a table of policies by the share of defective releases that escape; each takes four times as long as the previous one.

    Every second release is good. A stopped defective one causes no delay.
    """
    number = np.arange(N)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "policy": name,
                    "replication": number,
                    "makespan_s": 3600.0 * 4**place + number % 7,
                    "verdict": np.where(
                        number % 2 == 1, "completed_good", np.where(number < share * N, "escaped", "stopped_defective")
                    ),
                    "failed_requests_excess": 0.0,
                    "unavailable_excess_node_s": 0.0,
                    "blast_radius": 0.5,
                }
            )
            for place, (name, share) in enumerate(escapes.items())
        ],
        ignore_index=True,
    )


def ranked(found, response="cost"):
    rows = found.ranking[found.ranking["response"].eq(response)].set_index("policy")
    return rows["verdict"].to_dict(), rows["rank"].astype("float").to_dict()


def test_the_cheapest_that_misses_nothing_is_recommended():
    """A cheaper policy that misses a requirement is excluded by verdict, and the answer names the requirement. [contract]"""
    found = compare(policies(cheap=1.0, fair=0.0, slow=0.0), costs=HOURLY, requirements=ESCAPES)
    judged = found.verdicts[["policy", "verdict"]].values.tolist()
    assert judged == [["cheap", "not met"], ["fair", "met"], ["slow", "met"]]
    verdicts, ranks = ranked(found)
    assert verdicts == {"cheap": "excluded", "fair": "better", "slow": "worse"}
    assert (found.excluded, found.none_meets, found.joint_verdicts) == (("cheap",), False, dict(judged))
    assert ranks["fair"] == 1
    assert np.isnan(ranks["cheap"])
    assert found.answer.startswith("Use fair: mean cost ")
    assert found.answer.endswith(f"lower than slow. cheap (1) misses a requirement: {FEW_ESCAPES}.")
    without = compare(policies(cheap=1.0, fair=0.0, slow=0.0), costs=HOURLY)
    assert without.verdicts.empty
    assert without.answer.startswith("Use cheap: ")


@pytest.mark.parametrize(
    ("left_by_cheap", "price", "told"),
    [
        (2.0, None, " cheap leaves more nodes out of service than fair; costs.unrestored_node can price them."),
        (2.0, 0.0, ""),
        (0.5, None, ""),
    ],
)
def test_nodes_left_out_of_service_without_a_price(left_by_cheap, price, told):
    """The answer says so if the cheapest policy surely leaves more nodes out of service, unless their price is stated. [contract]"""
    table = policies(cheap=1.0, fair=0.0)
    is_cheap, varies = table["policy"].eq("cheap"), table["replication"] % 2
    table["unrestored_nodes"] = np.where(is_cheap, left_by_cheap, 0.5) + varies
    found = compare(table, costs=replace(HOURLY, unrestored_node=price))
    assert found.answer.startswith("Use cheap: ")
    assert found.answer.endswith(f"lower than fair.{told}")
    # The table says it, too, since an answer with long names has no room.
    assert ("unrestored nodes (no price)" in found.summarize()[0].header) == bool(told)
    assert ranked(found, "unrestored_nodes")[0]["cheap"] == ("worse" if left_by_cheap > 0.5 else "equal")
    assert compare(table, costs=replace(HOURLY, unrestored_node=20.0)).recommended == (
        ("fair",) if left_by_cheap > 0.5 else ("cheap",)
    )


def test_the_only_one_left_is_recommended():
    """If all policies but one miss a requirement, that one is recommended. [contract]"""
    found = compare(policies(cheap=1.0, fair=0.0), costs=HOURLY, requirements=ESCAPES)
    assert found.answer.startswith("Use fair: mean cost ")
    assert found.answer.endswith(f" cheap (1) misses a requirement: {FEW_ESCAPES}.")
    assert tell_missed(found)[-1] == "1 policy misses requirements"


def test_nothing_is_recommended_if_all_miss():
    """If every policy misses a requirement, all are ranked and none is recommended. [contract]"""
    found = compare(policies(cheap=1.0, fair=0.9), costs=HOURLY, requirements=ESCAPES)
    assert "excluded" not in ranked(found)[0].values()
    assert (found.excluded, found.none_meets) == ((), True)
    sentence = f"No policy meets the requirements. Both miss one: {FEW_ESCAPES}. cheap has the lowest mean cost: "
    assert found.answer.startswith(sentence)


def test_a_common_miss_is_named():
    """If all policies miss one requirement, among others, the answer names at least this one. [contract]"""
    table = policies(cheap=1.0, fair=0.9, slow=0.8)
    table.loc[table["policy"].eq("fair"), "blast_radius"] = 0.1
    requirements = [ESCAPES, "p90 blast_radius given defective <= 20%", "p95 blast_radius given defective <= 30%"]
    found = compare(table, costs=HOURLY, requirements=requirements)
    misses_all = found.verdicts.groupby("policy")["verdict"].agg(lambda of: set(of) == {"not met"})
    assert misses_all.to_dict() == {"cheap": True, "fair": False, "slow": True}
    sentence = f"No policy meets the requirements. All miss one: {FEW_ESCAPES}. cheap has the lowest "
    assert found.answer.startswith(sentence)


def test_undecided_policies_are_not_excluded():
    """A policy with an undecided verdict may be recommended, and the answer says what is undecided. [contract]"""
    found = compare(policies(cheap=0.2, fair=0.0), costs=HOURLY, requirements=ESCAPES)
    assert found.verdicts["verdict"].tolist() == ["undecided", "met"]
    assert (found.excluded, found.none_meets) == ((), False)
    assert found.answer.startswith("Use cheap: ")
    assert found.answer.endswith(f"Undecided: {FEW_ESCAPES}.")
    assert not found.none_known_to_meet


@pytest.mark.parametrize(("costly", "is_open"), [(0.2, True), (1.0, True), (0.0, False)])
def test_no_policy_may_be_known_to_meet_the_requirements(costly, is_open):
    """That is so if one is undecided and the others are, too, or miss them; not without requirements. [contract]"""
    table = policies(cheap=0.2, fair=costly)
    assert compare(table, costs=HOURLY, requirements=ESCAPES).none_known_to_meet == is_open
    assert not compare(table, costs=HOURLY).none_known_to_meet
    assert not compare(policies(cheap=1.0), costs=HOURLY, requirements=ESCAPES).none_known_to_meet


def test_undecided_policies_are_named_after_missing_ones():
    """The answer names the policy that misses a requirement before the one with an undecided requirement. [contract]"""
    found = compare(policies(cheap=0.2, slow=1.0), costs=HOURLY, requirements=ESCAPES)
    assert found.verdicts["verdict"].tolist() == ["undecided", "not met"]
    assert found.answer.endswith(f"Undecided for cheap: {FEW_ESCAPES}.")


def test_recommended_policies_are_in_the_result():
    """The answer recommends exactly the policies listed in `recommended`, which JSON has, too. [contract]"""
    only = compare(policies(cheap=0.0, slow=1.0), costs=HOURLY, requirements=ESCAPES)
    clear = compare(policies(cheap=0.2, fair=0.0), costs=HOURLY, requirements=ESCAPES)
    none_meets = compare(policies(cheap=1.0, slow=1.0), costs=HOURLY, requirements=ESCAPES)
    without_costs = compare(policies(cheap=0.2, fair=0.0), requirements=ESCAPES)
    assert [found.recommended for found in (only, clear, none_meets, without_costs)] == [("cheap",), ("cheap",), (), ()]
    for found in (only, clear, none_meets, without_costs):
        assert found.answer.startswith("Use cheap: ") == (found.recommended == ("cheap",))
        assert found.to_dict()["recommended"] == list(found.recommended)


def test_why_a_mean_is_undecided():
    """The table has the reason for an open requirement, and so has the answer if it isn't only the interval. [contract]"""
    required = "unavailable_excess_node_s <= 5"
    found = compare(policies(cheap=0.0, fair=0.0), costs=HOURLY, requirements=[required, ESCAPES])
    reason = "a mean needs at least 1,000 observations; there are 200"
    assert found.verdicts["reason"].tolist() == [reason, "", reason, ""]
    assert found.answer.endswith(f" Undecided: excess unavailable node-seconds at most 5 ({reason}).")
    _, verdicts, *_ = found.summarize()
    assert verdicts.header[-1] == "reason"
    assert verdicts.rows[0][-1] == reason
    within = compare(policies(cheap=0.2, fair=0.0), costs=HOURLY, requirements=ESCAPES)
    assert within.verdicts["reason"].tolist() == ["the confidence interval contains the limit", ""]


def test_undecided_requirements_without_a_recommendation():
    """If all may be the best, the answer says what is undecided, but not for policies that miss something. [contract]"""
    required = "unavailable_excess_node_s <= 5"
    alike = compare(policies(cheap=0.0, fair=0.0), requirements=required)
    assert "Undecided for cheap and fair: excess unavailable node-seconds at most 5" in alike.answer
    differ = compare(policies(cheap=0.2, fair=0.0), requirements=[required, ESCAPES])
    assert "Undecided for cheap and fair: some requirements" in differ.answer
    alone = compare(policies(cheap=0.0), requirements=required)
    assert "Undecided: excess" in alone.answer
    missed = compare(policies(cheap=1.0), requirements=[required, ESCAPES])
    assert "Undecided" not in missed.answer
    assert all(len(found.answer) <= 240 for found in (alike, differ, alone, missed))


def test_without_costs_the_others_are_compared():
    """Without costs, too, policies that miss a requirement are named, and the others compared. [contract]"""
    found = compare(policies(cheap=1.0, fair=0.1, slow=0.0), requirements=ESCAPES)
    assert found.judged_by == ("false_alarm given good", "escaped given defective")
    assert found.answer.startswith(f"cheap misses a requirement: {FEW_ESCAPES}. Of the others, ")
    rows = found.ranking[found.ranking["level"].eq("escaped")].set_index("policy")
    assert rows["verdict"].to_dict() == {"cheap": "excluded", "fair": "worse", "slow": "better"}


def test_the_answer_stays_short():
    """With many missed requirements the recommendation still fits an answer of 240 characters. [contract]"""
    missing = {f"policy-with-a-long-name-{number}": 1.0 for number in range(6)}
    requirements = [ESCAPES, "blast_radius given defective <= 10%", "p95 blast_radius given defective <= 20%"]
    table = policies(**missing, fair=0.0)
    table.loc[table["policy"].eq("fair"), "blast_radius"] = 0.0
    found = compare(table, costs=HOURLY, requirements=requirements)
    assert found.answer.startswith("Use fair: ")
    assert " requirements." in found.answer
    assert len(found.answer) <= 240


def test_the_table_shows_the_verdicts():
    """The first table has a verdict per policy, the second one per requirement; without requirements neither has. [contract]"""
    table = policies(cheap=1.0, fair=0.0)
    estimates, verdicts, *_ = compare(table, costs=HOURLY, requirements=ESCAPES).summarize()
    assert estimates.header[:2] == ("policy", "requirements")
    assert [row[1] for row in estimates.rows] == ["not met", "met"]
    assert verdicts.rows[0][:4] == ("cheap", FEW_ESCAPES, "not met", "100.0 % (97.0 to 100.0)")
    plain = compare(table, costs=HOURLY).summarize()
    assert "requirements" not in plain[0].header
    assert len(plain) == 2


def test_the_picture_names_the_excluded():
    """The picture of a ranking has a row for an excluded policy, without a mark. [contract]"""
    found = compare(policies(cheap=1.0, fair=0.0, slow=0.0), costs=HOURLY, requirements=ESCAPES)
    ax = plot_ranking(Figure().subplots(), found)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["fair", "slow", "cheap"]
    assert "misses a requirement" in [text.get_text() for text in ax.texts]


# -- one judge ---------------------------------------------------------------------------------------------------------

SCENARIO = small(
    {"start_failure": 0.02},
    costs={"hour_of_delay": 60, "escape": 10},
    requirements=[
        {"of": "false_alarm", "given": "good", "at_most": 0.05},
        {"of": "escaped", "given": "defective", "at_most": 0.3},
        {"of": "blast_radius", "quantile": 0.9, "given": "defective", "at_most": 0.6},
        {"policy": "waves", "of": "makespan_s", "at_most": "1h"},
    ],
    policies={"waves": rolling(5), "strict": rolling(3, max_failed_nodes=0), "at-once": IMMEDIATE},
)


@pytest.mark.parametrize("replications", [15, 300])  # the first are too few to divide by kind of release
def test_verdicts_are_those_of_the_other_analyses(replications):
    """In the same worlds `compare`, `estimate_regret` and `vary_switches` give each policy the same verdict. [property]"""
    how = {"replications": replications, "engine": "compiled"}
    swept = simdeploy.sweep(SCENARIO, list(SCENARIO.policies), **how)
    found = compare(swept)
    joined = {}
    for policy, verdicts in found.verdicts.groupby("policy")["verdict"]:
        joined[policy] = next(word for word in ("not met", "undecided", "met") if word in set(verdicts))
    regrets = simdeploy.estimate_regret(swept, requirements=SCENARIO.requirements).regrets
    assert joined == dict(zip(regrets["policy"], regrets["verdict"], strict=True))
    if replications <= 100:  # one look, which has the whole error
        checked = simdeploy.check(SCENARIO, most=replications, engine="compiled").verdicts
        keys = ["policy", "requirement", "verdict"]
        assert checked[keys].values.tolist() == found.verdicts[keys].values.tolist()
        # A check knows beforehand that its budget is too small for a mean.
        reasons, expected = (
            verdicts["reason"].str.replace("the budget is", "there are") for verdicts in (checked, found.verdicts)
        )
        assert reasons.tolist() == expected.tolist()
    switches = simdeploy.vary_switches(SCENARIO, pairs=False, **how).policies
    assert joined == dict(zip(switches["policy"], switches["verdict"], strict=True))
    assert len(set(joined.values())) > 1


# -- where requirements come from --------------------------------------------------------------------------------------


def test_a_table_has_its_scenarios_requirements():
    """Like costs, requirements come with a table, each for its policy; others may be given instead. [contract]"""
    table = simdeploy.replicate(SCENARIO, replications=20, engine="compiled")
    found = compare(table)
    assert found.requirements == SCENARIO.requirements
    assert found.verdicts.groupby("policy").size().to_dict() == {"waves": 4, "strict": 3, "at-once": 3}
    assert "requirements" not in found.computed_under
    assert compare(table, requirements=SCENARIO.requirements).to_dict() == found.to_dict()
    assert compare(table, requirements=()).verdicts.empty
    some = simdeploy.replicate(SCENARIO, ["strict", "at-once"], replications=20, engine="compiled")
    assert compare(some).requirements == SCENARIO.requirements[:3]
    with pytest.raises(InputError, match="no such policy"):
        compare(some, requirements=[Requirement(Measure("makespan_s"), 5.0, policy="waves")])
    with pytest.raises(InputError, match=r"requirements\[0\]: invalid requirement"):
        compare(table, requirements="false_alarm")


def test_a_requirement_of_a_policy_applies_to_its_cases():
    """In a sweep over a policy's settings its requirements apply to each case. [contract]"""
    swept = simdeploy.sweep(SCENARIO, "waves", vary={"max_parallel": [2, 4]}, replications=20, engine="compiled")
    found = compare(swept)
    assert found.requirements == SCENARIO.requirements
    assert found.verdicts.groupby("policy").size().to_dict() == {"max_parallel 2": 4, "max_parallel 4": 4}


# -- exposure ----------------------------------------------------------------------------------------------------------


def test_exposure_counts_where_a_release_is_defective():
    """The table shows the blast radius of defective releases, or of all rollouts if there are none. [oracle]"""
    table = pd.DataFrame({"policy": ["a"] * 4 + ["b"] * 4, "replication": [*range(4)] * 2, "makespan_s": 60.0})
    table = table.assign(verdict=["completed_good", "completed_good", "escaped", "stopped_defective"] * 2)
    table = table.assign(blast_radius=[1.0, 1.0, 0.4, 0.2, 1.0, 1.0, 0.8, 0.4])
    header, rows = (found := compare(table).summarize()[0]).header, found.rows
    place = header.index("blast radius of defective releases")
    assert "blast radius" not in header
    assert [row[place].split(" ")[0] for row in rows] == ["30", "60"]
    assert [row[place].endswith("n = 2") for row in rows] == [True, True]
    good = compare(table[table["verdict"].eq("completed_good")]).summarize()[0]
    assert "blast radius" in good.header
    assert "blast radius of defective releases" not in good.header
