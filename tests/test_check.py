"""Checks: when they look, which requirements apply to which policy, and what they report."""

import math
from dataclasses import replace

import pytest
from drawn import draw, draw_on, find_unreadable
from refusals import refused

from simdeploy import Scenario
from simdeploy.analysis.asking.judging import plan_looks
from simdeploy.analysis.checking.checking import check
from simdeploy.errors import SimdeployWarning
from simdeploy.experiments import replicate
from simdeploy.experiments.campaign import Campaign
from simdeploy.plotting.figures import draw_figure
from simdeploy.report.check import describe_requirement, format_bounds, requirement_of
from simdeploy.scenario.measures import Measure, Requirement, parse_requirement
from simdeploy.statistics.intervals import proportion_interval
from simdeploy.validation import oracles

# Limits that can never stop a rollout are intended here.
# -- a check -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "looks"), [
    (1, (1,)), (100, (100,)), (101, (100, 101)), (1000, (100, 200, 400, 800, 1000)),
])  # fmt: skip
def test_looks(most, looks):
    """Looks are at 100 replications, twice as many each time, and the budget. [contract]"""
    assert plan_looks(most) == looks


FAILURE, LIMIT = 0.15, 2


def at_once(limit):
    """Return a policy that only the count of failed nodes can stop; in the general dialect no chances of verdicts are known."""
    return {"dialect": "general", "strategy": "immediate", "max_failed_nodes": limit, "max_failed_nodes_percent": 100}


def failing(failure=FAILURE, **more):
    """Make a scenario with false alarms in closed form."""
    fleet = {"nodes": 20, "update_duration": "30s", "start_failure": failure}
    return Scenario.from_dict({"name": "failing", "fleet": fleet, "policies": {"p": at_once(LIMIT)}, **more})


def test_worlds_stay_divided_by_kind():
    """Once requirements on errors are decided, an open quantile still gets worlds of every kind. [contract]"""
    release = {"good": {"probability": 0.7}, "bad": {"probability": 0.3, "defective": True, "start_failure": 0.2}}
    requirements = ["escaped given defective <= 90%", "p90 failed_nodes <= 6"]
    found = check(failing(release=release), requirements=requirements, most=400, engine="reference")
    rates, quantile = found.verdicts["replications"]
    assert rates < quantile
    assert found.verdicts["verdict"].iloc[0] == "met"


def test_a_check_agrees_with_the_closed_form(engine):
    """Limits on both sides of the closed form get correct verdicts, and both engines give the same table. [oracle]"""
    truth = oracles.stop_probability(20, FAILURE, LIMIT)
    requirements = [f"false_alarm <= {truth + 0.15}", f"false_alarm <= {truth - 0.15}"]
    found = check(failing(), requirements=requirements, engine=engine)
    assert list(found.verdicts["verdict"]) == ["met", "not met"]
    assert found.verdict == "not met"
    assert found.verdicts["low"].le(truth).all()
    assert found.verdicts["high"].ge(truth).all()


def test_rates_of_the_only_kind_of_release_are_exact():
    """The chance of a false alarm is known, so a hundred rollouts decide what is near the limit. [oracle]"""
    policy = {"strategy": "immediate", "max_failed_nodes": LIMIT, "max_failed_nodes_percent": 99}
    truth = oracles.stop_probability(20, FAILURE, LIMIT)
    requirements = [f"false_alarm <= {truth + 0.001}", f"false_alarm given good <= {truth - 0.001}"]
    found = check(failing(policies={"p": policy}), requirements=requirements, engine="reference").verdicts
    assert found["verdict"].tolist() == ["met", "not met"]
    assert found[["estimate", "low", "high"]].to_numpy() == pytest.approx(truth)
    assert found["replications"].eq(100).all()


def test_a_row_follows_from_its_replications():
    """Estimate and bounds are those of the first n replications, with n from the row. [oracle]"""
    found = check(failing(), requirements="false_alarm given good <= 0.5", most=400, confidence_level=0.9)
    row = found.verdicts.iloc[0]
    assert found.looks == (100, 200, 400)
    table = replicate(failing(), replications=int(row["replications"]))
    k, n = int(table["verdict"].eq("false_alarm").sum()), len(table)
    assert (row["estimate"], row["n"]) == (k / n, n)
    assert (row["low"], row["high"]) == pytest.approx(proportion_interval(k, n, 1 - 2 * 0.1 / 3))


def test_only_the_undecided_are_replicated_further(monkeypatch):
    """A decided policy is replicated no further, and its verdicts stay. [property]"""
    asked, simulate = [], Campaign.sweep

    def counting(campaign, scenarios, policies, **arguments):
        asked.append((tuple(policies), arguments["replications"]))
        return simulate(campaign, scenarios, policies, **arguments)

    monkeypatch.setattr(Campaign, "sweep", counting)
    scenario = failing(0.02, policies={"p": at_once(LIMIT), "q": at_once(0)})
    progress, requirements = [], ["false_alarm <= 0.33", "p90 makespan_s <= 1m"]
    found = check(scenario, requirements=requirements, most=200, progress=lambda *n: progress.append(n))
    assert asked == [(("p", "q"), range(100)), (("q",), range(100, 200))]
    assert found.verdicts["replications"].tolist() == [100, 100, 200, 100]
    assert progress[-1] == (300, 300)
    assert progress == sorted(progress)


def test_requirements_of_the_scenario_are_the_default():
    """By default the scenario's requirements are checked, for one or every policy. [contract]"""
    requirements = [{"of": "failed", "at_most": 0.9}, {"of": "completed", "at_least": 0.1, "policy": "q"}]
    scenario = failing(requirements=requirements, policies={"p": at_once(20), "q": at_once(20)})
    found = check(scenario, most=100).verdicts
    pairs = [("p", "failed <= 0.9"), ("q", "failed <= 0.9"), ("q", "completed >= 0.1")]
    assert list(zip(found["policy"], found["requirement"], strict=True)) == pairs
    assert found["verdict"].eq("met").all()
    assert check(scenario, policies="p", most=100).verdicts["policy"].tolist() == ["p"]


def test_costs_are_checked():
    """A requirement on the cost is judged by the scenario's costs. [oracle]"""
    scenario = failing(costs={"hour_of_delay": 120, "false_alarm": 50})
    truth = 50 * oracles.stop_probability(20, FAILURE, LIMIT) + 120 * 30 / 3600
    requirements = [f"cost <= {1.2 * truth}", f"cost <= {0.8 * truth}"]
    found = check(scenario, requirements=requirements, engine="compiled").verdicts
    assert found["verdict"].tolist() == ["met", "not met"]
    assert found["replications"].ge(1000).all()


RESTART = {"deployment": {"type": "restart"}}
DEFECTIVE = {"release": {"bad": {"probability": 1, "defective": True}, "fine": {"probability": 0}}}


@pytest.mark.parametrize(
    ("more", "text", "reason"),
    [
        ({}, "blast_radius given defective <= 0.1", "the scenario has no defective release"),
        ({}, "p95 makespan_s given escaped <= 10m", "the scenario has no defective release"),
        (DEFECTIVE, "false_alarm given good <= 0.1", "the scenario has no good release"),
        (DEFECTIVE, "completed given fine >= 0.1", "the scenario has no fine release"),
        (RESTART, "false_alarm <= 0.1", "a restart has no release"),
        (RESTART, "completed given good >= 0.1", "a restart has no release"),
        ({}, "makespan_s <= 10m", "a mean needs at least 1,000 observations; the budget is 999"),
    ],
)
def test_undecidable_requirements_are_not_simulated(more, text, reason, monkeypatch):
    """What can't occur in the scenario, or be decided within the budget, is undecided at once, with the reason. [contract]"""
    monkeypatch.delattr(Campaign, "sweep")
    found = check(failing(**more), requirements=text, most=999)
    row = found.verdicts.iloc[0]
    assert row["verdict"] == found.verdict == "undecided"
    assert row["reason"].startswith(reason)
    assert (row["n"], row["replications"]) == (0, 0)
    assert math.isnan(row["estimate"])
    assert found.computed_under["engine"] == "none"
    is_of_budget = "budget" in reason
    how = "undecided" if is_of_budget else "undecidable"
    assert found.answer.startswith(f"The requirement is {how}: p, ")
    assert ("Raise `most` (--most) to decide." in found.answer) == row["may_be_decided"] == is_of_budget
    other = replace(found, verdicts=found.verdicts.assign(may_be_decided=not is_of_budget))
    assert ("Raise `most`" in other.answer) != is_of_budget


def test_a_type_without_verdicts_can_be_checked():
    """For a restart all requirements except those on releases and verdicts are decided. [contract]"""
    found = check(failing(**RESTART), requirements=["completed >= 1%", "p95 makespan_s <= 1m"], most=200)
    assert found.verdict == "met"


def test_failed_replications_are_left_out_and_counted(monkeypatch):
    """A failed replication is in no estimate; their number and cause are reported. [contract]"""
    from simdeploy.engines.reference.engine import run_reference

    def failing_twice(scenario, policy, *, seed, replication):
        if replication in (3, 7):
            raise ZeroDivisionError("by chance")
        return run_reference(scenario, policy, seed=seed, replication=replication)

    monkeypatch.setattr("simdeploy.engines.reference.engine.run_reference", failing_twice)
    with pytest.warns(SimdeployWarning, match="2 of 100"):
        found = check(failing(), requirements="false_alarm <= 0.9", engine="reference")
    assert found.verdicts.loc[0, ["n", "replications"]].tolist() == [98, 100]
    assert found.n_failed == {"p": 2}
    assert found.failures == {"p": "replication 3, simulate: ZeroDivisionError: by chance"}
    assert "2 replications failed and are excluded" in found.answer


def test_failures_of_all_replications_are_the_reason(monkeypatch):
    """If every replication failed, no budget decides, and reason and answer say so. [contract]"""

    def fail(*_args, **_how):
        raise ZeroDivisionError("by chance")

    monkeypatch.setattr("simdeploy.engines.reference.engine.run_reference", fail)
    with pytest.warns(SimdeployWarning, match="200 of 200 replications failed; the first: .* by chance"):
        found = check(failing(), requirements=["false_alarm <= 0.9", "makespan_s <= 1h"], most=200, engine="reference")
    of_rate = found.verdicts.iloc[0]
    assert of_rate[["verdict", "may_be_decided", "reason"]].tolist() == ["undecided", False, "every replication failed"]
    assert found.answer.endswith(" Every replication failed.")
    assert "Raise" not in check(failing(), requirements="false_alarm <= 0.9", most=200, engine="reference").answer


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"requirements": ["false_alrm <= 1%"]}, "did you mean 'false_alarm'"),
        ({"requirements": ["cost <= 5"]}, "the scenario has no costs"),
        ({"requirements": [Requirement(Measure("failed", given="bda"), at_most=0.5)]}, "unknown condition"),
        ({"requirements": []}, "no requirements"),
        ({}, "no requirements"),
        ({"policies": []}, "no policy"),
        ({"confidence_level": 0.5}, "above 0.5"),
        ({"confidence_level": True}, "above 0.5"),
        ({"confidence_level": "high"}, "above 0.5"),
        ({"most": 1.5}, "most: not a whole number (found 1.5)"),
    ],
)
def test_bad_arguments(arguments, message):
    """Invalid arguments are refused with a message. [contract]"""
    asked = {"requirements": "failed <= 0.5", **arguments} if arguments else {}
    assert message in str(refused(check, failing(), **asked))


# -- in words ----------------------------------------------------------------------------------------------------------


def test_the_answer_says_what_is_not_met():
    """The answer names requirements not met or undecided, and the error probability. [contract]"""
    both = check(failing(), requirements=["failed <= 0.9", "failed <= 0.1"], most=100)
    assert both.answer == "1 of 2 requirements is not met (95 % confidence): p, failed rollouts at most 10 %."
    met = check(failing(), requirements="failed <= 0.9", most=100)
    assert met.answer == "The requirement is met (95 % confidence)."
    unknown = check(failing(), requirements=["failed <= 0.9", "in_progress <= 0"], most=100)
    assert unknown.answer == (
        "1 of 2 requirements is undecided after 100 rollouts per policy: p, rollouts that never end at most 0 %. "
        "The other is met (95 % confidence)."
    )
    (table,) = unknown.summarize()
    assert table.header[-1] == "reason"
    assert table.rows[1][-1] == "no number of rollouts can confirm a rate of exactly 0"
    assert "reason" not in both.summarize()[0].header


@pytest.mark.parametrize(
    ("texts", "verdict", "message"),
    [
        (["failed <= 0.9"], "met", "The requirement is met"),
        (["failed <= 0.9", "failed <= 0.1"], "not met", "1 of 2 requirements is not met"),
        (["failed <= 0.2", "failed <= 0.1"], "not met", "Neither requirement is met"),
        (["failed <= 0.2", "failed <= 0.15", "failed <= 0.1"], "not met", "None of the 3 requirements is met"),
        (["failed <= 0.9", "in_progress <= 0"], "undecided", "1 of 2 requirements is undecided"),
        (["failed <= 0.1", "in_progress <= 0"], "not met", "1 of 2 requirements is not met"),
    ],
)
def test_every_verdict_of_the_answer_is_in_the_plain_form(texts, verdict, message):
    """`to_dict` has every verdict of the answer: the overall one, and each requirement's. [contract]"""
    plain = check(failing(), requirements=texts, most=100).to_dict()
    assert plain["verdict"] == verdict
    assert plain["answer"].startswith(message)
    judged = [row["verdict"] for row in plain["verdicts"]]
    assert (" 1 is undecided." in plain["answer"]) == (verdict == "not met" and "undecided" in judged)
    for row in plain["verdicts"]:
        limit = f"at most {100 * row['at_most']:g} %"
        assert (limit in plain["answer"]) == (len(texts) > 1 and row["verdict"] == verdict)


def test_rows_are_requirements():
    """A requirement can be rebuilt from its row. [property]"""
    texts = ["p99 blast_radius given good <= 0.5", "min_in_service_fraction >= 0.1", "failed <= 0.1"]
    requirements = [parse_requirement(text) for text in texts]
    rows = check(failing(), requirements=requirements, most=100).to_dict()["verdicts"]
    frame = check(failing(), requirements=requirements, most=100).verdicts.to_dict("records")
    assert [requirement_of(row) for row in frame] == requirements
    assert rows[0]["high"] is None  # 100 observations don't bound a 0.99 quantile from above
    assert format_bounds(frame[0]).endswith("or more)")
    assert describe_requirement(requirements[1]) == "minimum in service at least 10 %"


@pytest.mark.parametrize(("limit", "written"), [("3m", "2.83 min"), ("90s", "170 s"), ("90h", "2.83 min")])
def test_estimates_have_a_unit_that_suits_them(limit, written):
    """An estimate is in the unit of its limit, unless that is far too long or short for it. [contract]"""
    (row,) = check(failing(), requirements=f"p95 makespan_s <= {limit}", most=100).verdicts.to_dict("records")
    assert format_bounds(row | {"estimate": 170.0, "low": 150.0, "high": 190.0}).startswith(written)


def drawn(found):
    """Draw a check half a page large; return the axes and the segments of each row, by height."""

    from simdeploy.plotting.check import plot_check

    ax = draw_on(plot_check, found)
    assert not find_unreadable(ax.figure)
    lines = {}
    for line in ax.get_lines():
        heights = set(line.get_ydata())
        if len(heights) == 1 and len(line.get_xdata()) == 2:
            lines.setdefault(heights.pop(), []).append((line.get_linestyle(), [float(x) for x in line.get_xdata()]))
    return ax, lines


def test_the_picture_shows_estimates_relative_to_their_limits():
    """Estimate and bounds are placed relative to the limit; met ones are on the left. [contract]"""
    requirements = ["failed <= 0.9", "completed >= 0.8", "p99 makespan_s <= 1m", "in_progress <= 0"]
    found = check(failing(), requirements=requirements, most=100)
    ax, lines = drawn(found)
    for height, sign in ((0, 1), (1, -1)):
        row = found.verdicts.iloc[height]
        limit = row["at_most"] if sign > 0 else row["at_least"]
        places = [sign * (row[name] - limit) / limit for name in ("estimate", "low", "high")]
        ends = {end for style, (start, end) in lines[height] if style == "-" and start == pytest.approx(places[0])}
        assert sorted(ends) == pytest.approx(sorted(places[1:]))
    # 100 observations bound a 0.99 quantile from below only.
    assert {style for style, _ in lines[2]} == {"-", ":"}
    words = {(text.xy[1], text.get_va()): text.get_text() for text in ax.texts if text.xy[0] == 1.02}
    for height, row in enumerate(found.verdicts.to_dict("records")):
        assert words[height, "bottom"] == row["verdict"]
        assert words[height, "top"] == format_bounds(row)
    assert ax.get_yticklabels()[1].get_text() == "p\ncompleted rollouts\nat least 80 %"
    n_met = int(found.verdicts["verdict"].eq("met").sum())
    assert ax.get_title().startswith(f"{n_met} of 4 requirements met")


def test_the_picture_of_long_names():
    """Rows of the command's picture are as high as their labels. [contract]"""
    found = check(failing(), requirements=["failed <= 0.9", "completed >= 0.8"], most=100)
    long = replace(
        found, verdicts=found.verdicts.assign(policy="the policy that this team has used since it was founded")
    )
    figure = draw_figure(long)
    assert find_unreadable(draw(figure)) == []
    assert figure.get_figheight() > draw_figure(found).get_figheight()


def test_the_picture_of_a_kind_whose_name_reads_like_a_limit():
    """Measure and limit are separate lines of a label, also if the name of a kind of release contains "at most". [contract]"""
    kinds = {"good": {"probability": 0.5}, "leaks at most a bit": {"probability": 0.5, "defective": True}}
    ax, _ = drawn(check(failing(release=kinds), requirements="failed given leaks at most a bit <= 0.9", most=100))
    label = ax.get_yticklabels()[0].get_text().splitlines()
    assert " ".join(label[1:-1]) == "failed rollouts given leaks at most a bit"
    assert label[-1] == "at most 90 %"


def test_the_picture_of_undecidable_requirements():
    """A requirement that can't be decided has a row without a value. [contract]"""
    ax, lines = drawn(check(failing(), requirements="makespan_s <= 1m", most=10))
    assert not lines
    assert "no value" in [text.get_text() for text in ax.texts]
