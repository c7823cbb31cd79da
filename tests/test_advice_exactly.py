"""Advice with exactly known probabilities, times and costs: attempts, hangs, memoryless starts, promotions, waiting."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_advice import at, canary, look, make

import simdeploy as sd
from simdeploy.analysis.advice.costing import Costing, Priced
from simdeploy.analysis.advice.estimating import Weighted
from simdeploy.analysis.advice.evidence import read_evidence
from simdeploy.analysis.advice.seen import read_seen
from simdeploy.report.advice import tabulate
from simdeploy.report.formatting import UNTRUSTED
from simdeploy.rules.waves import plan_waves

# Nodes go one after the other, take a minute to start, and run at once; the release affects all of them.
STEADY = {
    "fleet.nodes": 4,
    "fleet.update_duration": "1m",
    "fleet.start_attempts": 1,
    "fleet.start_failure": 0.1,
    "release.bad.affects": "all",
}
QUICK = {"deadline": "5m", "min_healthy_time": "0s"}
ALLOWED = {"max_parallel": 1, "max_failed_nodes": 4, "max_failed_nodes_percent": 100, "health_check": QUICK}


STATUS = ("failed", "running")


def assert_posterior(result, good, bad):
    """Assert that the probability of a bad release follows from the observation's chances under both kinds."""
    exact = 0.3 * bad / (0.3 * bad + 0.7 * good)
    found = result.kinds.set_index("kind").loc["bad"]
    assert abs(found["posterior"] - exact) <= 4 * (found["high"] - found["low"]) / (2 * 1.96) + 1e-9


def assert_mean(result, measure, exact):
    """Assert that a mean of the forecast is near its known value."""
    rows = result.forecast
    found = rows[(rows["measure"] == measure) & rows["quantile"].isna()].iloc[0]
    assert abs(found["estimate"] - exact) <= 4 * (found["high"] - found["low"]) / (2 * 1.96) + 1e-6


@pytest.mark.parametrize(
    ("status", "chance"),
    [
        ({"updated_nodes": 1, "failed_nodes": 0}, lambda p: p * (1 - p)),
        ({"updated_nodes": 0, "failed_nodes": 1}, lambda p: p * p),
    ],
)
def test_two_attempts(status, chance):
    """A verdict at the end of the second attempt has the chance of a failed first one and of the second one's end. [oracle]"""
    scenario = make(STEADY | {"fleet.start_attempts": 2}, **ALLOWED)
    seen = look(scenario, 120, current_wave=2, **status, last_progress_time=at(120))
    result = sd.forecast(scenario, seen=seen, replications=400, engine="compiled")
    assert result.why_tried == ""
    assert_posterior(result, chance(0.1), chance(1 - 0.9 * 0.5))


@pytest.mark.parametrize("starts", ["dispatch", "started"])
def test_a_node_that_hangs(starts):
    """A node that is silent when it should have started hangs until its deadline. [oracle]"""
    hangs = {"fleet.start_hang": 0.05, "release.bad.start_hang": 0.4, "release.bad.start_failure": 0}
    scenario = make(STEADY | hangs | {"orchestrator.deadline_starts": starts}, **ALLOWED)
    seen = look(scenario, 0, current_wave=1, updated_nodes=0, failed_nodes=0)
    result = sd.forecast(scenario, seen=seen, at=100, replications=400, engine="compiled")
    assert_posterior(result, 0.05, 1 - 0.95 * 0.6)
    # It fails at the deadline, and three more nodes follow, each of which hangs with these chances.
    bad = result.defective
    deadline_s = 300 if starts == "dispatch" else 360
    hang = (1 - bad) * 0.05 + bad * 0.43
    assert_mean(result, "time_left_s", deadline_s - 100 + 3 * (60 + hang * (deadline_s - 60)))
    assert_mean(result, "failed_nodes_to_come", 1 + 3 * ((1 - bad) * (1 - 0.95 * 0.9) + bad * (1 - 0.57 * 0.9)))


def test_nodes_in_flight_without_memory():
    """Three exponential starts take the mean times 1 + 1/2 + 1/3, however long ago they began. [oracle]"""
    changes = STEADY | {"fleet.nodes": 3, "fleet.update_duration": {"exponential": {"mean": "1m"}}}
    policy = ALLOWED | {"max_parallel": 3, "health_check": {**QUICK, "deadline": "10h"}}
    scenario = make(changes, **policy)
    seen = look(scenario, 0, current_wave=1, updated_nodes=0, failed_nodes=0)
    result = sd.forecast(scenario, seen=seen, at=150, replications=1000, engine="compiled")
    assert_posterior(result, 1, 1)
    assert_mean(result, "time_left_s", 60 * (1 + 1 / 2 + 1 / 3))


@pytest.mark.parametrize("form", ["object", "revisions"])
@pytest.mark.parametrize(
    ("message", "waits"),
    [("wave 1 of 1", 0), ("wave 1 of 1; waits for 1 unreachable node", 1), ("all is well", 0.25), (None, 0.25)],
)
def test_the_message_names_nodes_that_are_waited_for(message, waits, form):
    """A node that is offline at its turn starts a minute later, the mean rest of its spell; other messages say nothing. [oracle]"""
    changes = STEADY | {"fleet.nodes": 1, "fleet.start_failure": 0, "release.bad.start_failure": 0}
    changes |= {
        f"fleet.connection.{name}.exponential.mean": mean for name, mean in (("online", "3m"), ("offline", "1m"))
    }
    changes |= {"orchestrator.unreachable_nodes": "wait"}
    scenario = make(changes, **ALLOWED | {"health_check": {**QUICK, "deadline": "20h"}})
    seen = look(scenario, 0, (1, 0, 0), message=message)
    if form == "revisions":
        fields = seen.status.to_dict()
        seen = pd.DataFrame([{**fields, **{name: pd.Timestamp(fields[name]) for name in ("created_at", "updated_at")}}])
    result = sd.forecast(scenario, seen=seen, at=0.5, replications=1000, engine="compiled")
    # Its verdict comes after a minute, and is heard when it is online.
    is_offline = 0.25 * (1 - math.exp(-60 * (1 / 180 + 1 / 60)))
    assert_mean(result, "time_left_s", 60 * (waits + 1 + is_offline) - (0.5 if waits < 1 else 0))


@pytest.mark.parametrize("changes", [{}, {"orchestrator.reporting_delay": "1s"}])
@pytest.mark.parametrize("replications", [300, 2000])
def test_intervals_of_kinds(changes, replications):
    """Posteriors from laws alone are exact, whatever the rounding; from whole worlds, those of two kinds mirror each other. [oracle]"""
    scenario = make(STEADY | changes, **ALLOWED | {"max_parallel": 2})
    seen = look(scenario, 90, (2, 1, 1))
    result = sd.forecast(scenario, seen=seen, replications=replications, engine="compiled")
    kinds = result.kinds.set_index("kind")
    assert_posterior(result, 2 * 0.1 * 0.9, 2 * 0.55 * 0.45)
    assert (kinds["low"] == kinds["high"]).tolist() == [not changes] * 2
    good, bad = (kinds.loc[name, ["low", "posterior", "high"]].to_numpy(float) for name in ("good", "bad"))
    assert good == pytest.approx(1 - bad[::-1])
    assert ("(exact)" in str(tabulate(result)[0].rows)) == (not changes)


@pytest.mark.parametrize("form", ["object", "table"])
def test_an_observation_without_instants(form):
    """Without a known instant of a change, nodes are still in flight at the time of observation, not half a second later. [oracle]"""
    changes = {"fleet.start_failure": 0, "release.bad.start_failure": 0, "release.bad.start_hang": 0.5}
    changes["fleet.update_duration"] = {"exponential": {"mean": "2s"}}
    scenario = make(STEADY | changes, **ALLOWED | {"max_parallel": 2})
    seen = look(scenario, 0, (1, 0, 0), updated_at=None)
    if form == "table":
        seen = pd.DataFrame({"node": range(2), "status": "starting"})
    result = sd.forecast(scenario, seen=seen, at=2.5, replications=40, engine="compiled")
    good = math.exp(-2.5 / 2)
    bad = 0.3 * (0.5 + 0.5 * good) ** 2
    assert result.defective == pytest.approx(bad / (bad + 0.7 * good**2))


@pytest.mark.parametrize("form", ["object", "table", "windows"])
def test_an_observation_with_instants(form):
    """A world may show a change half a second later than it was seen, so it is compared that much later. [contract]"""
    scenario = make(STEADY, **ALLOWED | {"health_check": {**QUICK, "min_healthy_time": "10s"}})
    seen, evidence = look(scenario, 0, (1, 0, 0), updated_at=None, health_check_deadline=at(390)), None
    if form != "object":
        seen = pd.DataFrame({"node": [0], "status": "starting", "dispatched_at_s": 90.0})
    if form == "windows":
        seen = pd.DataFrame({"node": [0], "status": "validating"})
        evidence = [{"node": 0, "requests": 100, "failed": 9, "to_s": 90}]
    plan = plan_waves(scenario.policy().policy, scenario.orchestrator, 4, 1)
    found = read_evidence(scenario, plan, read_seen(scenario, None, seen, 90.2), evidence)
    assert (found.at_ns / 1e9, found.last.at_ns / 1e9) == (90.2, 90.5)


@pytest.mark.parametrize("form", ["object", "object with progress", "revisions"])
@pytest.mark.parametrize(("engine", "n"), [("compiled", 400), ("reference", 40)])
def test_nothing_changed_since(form, engine, n):
    """One node ran at 80 s, and the other had no two healthy windows in a row by 95 s: 2 h^2 P(no two in three). [oracle]"""
    changes = {"release.good.probability": 0.5, "release.bad.probability": 0.5, "release.bad.start_failure": 0}
    changes |= {"fleet.error_rate": 0.3, "release.bad.error_rate": 0.4, "fleet.requests_per_second": 0.1}
    check = {"deadline": "5m", "min_healthy_time": "20s", "max_error_rate": 0.05}
    scenario = make(
        STEADY | {"fleet.start_failure": 0} | changes, **ALLOWED | {"max_parallel": 2, "health_check": check}
    )
    seen = look(scenario, 80, (1, 1, 0), last_progress_time=at(80) if form == "object with progress" else None)
    if form == "revisions":
        times = pd.to_datetime([at(0), at(80)])
        seen = pd.DataFrame({"state": "in_progress", "created_at": times[0], "updated_at": times, "current_wave": 1})
        seen = seen.assign(updated_nodes=[0, 1], failed_nodes=0)
    result = sd.forecast(scenario, seen=seen, at=95, replications=n, engine=engine)
    chances = [2 * h**2 * ((1 - h) ** 3 + 3 * h * (1 - h) ** 2 + h**2 * (1 - h)) for h in (0.7, 0.42)]
    assert chances[1] / sum(chances) == pytest.approx(0.41702, abs=1e-5)
    bad = result.kinds.set_index("kind").loc["bad"]
    assert abs(bad["posterior"] - 0.41702) <= 4 * (bad["high"] - bad["low"]) / (2 * 1.96) + 1e-5
    assert abs(bad["posterior"] - 0.41702) < 0.02  # if the second node may have run at 90 s, the probability is 0.465


def test_rare_expensive_escapes():
    """Few worlds show an escape, or none: intervals cover exact costs, and wrong acts are as seldom called best as promised. [oracle]"""
    price, post = 2e5, 0.3 * 0.937 * 0.063 / (0.3 * 0.937 * 0.063 + 0.7 * 0.1 * 0.9)
    prices = {"costs.escape": price, "costs.hour_of_delay": 0}
    scenario = make(
        STEADY | prices | {"release.bad.start_failure": 0.93}, **ALLOWED | {"max_parallel": 2, "max_failed_nodes": 1}
    )
    seen = look(scenario, 60, (2, 1, 1))
    going_on, canceling = (1 - post) * (1 - 0.9**2) * 50 + post * 0.063**2 * price, (1 - post) * 50
    missed, n = np.zeros(3), 60
    for seed in range(n):
        how = {"replications": 200, "seed": seed, "engine": "compiled"}
        result = sd.advise(scenario, seen=seen, acts=["go on", "cancel"], **how)
        assert (result.acts["low"] >= 0).all()
        goes_on, cancels = result.acts.itertuples()
        rival, exact = (
            (goes_on, going_on - canceling) if cancels.cost < goes_on.cost else (cancels, canceling - going_on)
        )
        missed += [
            goes_on.is_trusted and not goes_on.low <= going_on <= goes_on.high,
            rival.more_is_trusted and not rival.more_low <= exact <= rival.more_high,
            result.best == "go on",
        ]
    assert (missed <= 0.05 * n + 4 * math.sqrt(0.05 * 0.95 * n)).all()


def test_acts_that_nothing_decides():
    """An answer names the acts between which it can't decide, why, and what helps; untrusted intervals have a mark. [contract]"""
    scenario = make(
        STEADY | {"costs.escape": 1e7, "release.bad.start_failure": 0.999}, **ALLOWED | {"max_failed_nodes": 2}
    )
    result = sd.advise(scenario, seen=look(scenario, 60, (2, 0, 1)), replications=200, engine="compiled")
    assert (result.best, result.is_undecided, result.is_trusted) == ("", True, True)
    assert result.rivals["act"].tolist() == ["cancel"]
    assert result.answer.startswith(
        "Undecided between going on and canceling: the release is defective with probability "
    )
    assert result.answer.endswith("So few worlds can't rule out that it costs less. Simulate more --replications.")
    assert UNTRUSTED not in str(tabulate(result)[0])
    assert [row[2] == "" for row in tabulate(result)[0].rows if row[0] in ("go on", "cancel")] == [True, False]
    untrusted = dataclasses.replace(result, acts=result.acts.assign(is_trusted=False, more_is_trusted=False))
    assert "That can't be trusted, because a few worlds decide it. " in untrusted.answer
    assert UNTRUSTED in str(tabulate(untrusted)[0])


def test_skewed_costs():
    """A mean that a few of 400 worlds decide is not trusted, whatever their number. [oracle]"""
    scenario, words = make(), np.full(400, "", dtype=object)
    costing = Costing(Weighted(np.ones(400), [400], [400], 0.95), scenario, [False], 0.95, has_enough=True)
    for n, is_trusted in ((1, False), (2, True), (40, True)):
        costs = np.where(np.arange(400) < n, 1e6, 0.0)
        assert costing.mean(Priced(costs, words)).is_trusted == is_trusted


@pytest.mark.parametrize("share", [0.01, 1e-4])  # of the time during which a zone is down
@pytest.mark.parametrize("form", ["object", "table"])
def test_a_zone_fails(form, share):
    """All six nodes of a zone fail, because it is down or by a defect; either is far more probable than six single failures. [oracle]"""
    p, bad_p, up = 0.01, 0.2 if share == 0.01 else 0.1, 1 - share
    outages = {"fleet.zones": 4, "fleet.zone_outage": {"up": f"{1800 * up / share}s", "repair": "30m"}}
    defects = {"release.bad.start_failure": bad_p, "release.bad.affects": {"zones": [0]}}
    spread = {"fleet.nodes": 24, "fleet.update_duration": {"uniform": {"low": "0.9s", "high": "1s"}}}
    limits = {"max_parallel": 24, "max_failed_nodes": 24}
    scenario = make(STEADY | spread | {"fleet.start_failure": p} | outages | defects, **ALLOWED | limits)
    seen = look(scenario, 1, (1, 18, 6), last_progress_time=at(1), state="completed")
    if form == "table":
        seen = pd.DataFrame({"node": range(24), "status": [STATUS[node % 4 > 0] for node in range(24)]})
    result = sd.forecast(scenario, seen=seen, at=1.5, replications=400, engine="compiled")
    q, ran = 1 - (1 - p) * (1 - bad_p), (1 - p) ** 18
    if form == "table":
        good = (up**4 * p**6 + share * up**3) * ran
        bad = (up**4 * q**6 + share * up**3) * ran
    else:
        good = up**4 * stats.binom.pmf(6, 24, p) + 4 * share * up**3 * ran
        by_itself = sum(stats.binom.pmf(n, 6, q) * stats.binom.pmf(6 - n, 18, p) for n in range(7))
        bad = up**4 * by_itself + share * up**3 * (ran + 3 * (1 - p) ** 12 * (1 - q) ** 6)
    assert result.is_trusted
    assert_posterior(result, good, bad)


@pytest.mark.parametrize("form", ["object", "table"])
def test_a_zone_fails_at_any_level_of_failures(form):
    """An outage explains failures however probable single ones are, which differs between rollouts. [oracle]"""
    share, level = 1e-3, stats.beta(0.96, 47.04)
    outages = {"fleet.zones": 4, "fleet.zone_outage": {"up": f"{1800 * (1 - share) / share}s", "repair": "30m"}}
    defects = {"release.bad.start_failure": 0.2, "release.bad.affects": {"zones": [0]}}
    spread = {"fleet.nodes": 24, "fleet.update_duration": {"uniform": {"low": "0.9s", "high": "1s"}}}
    levels = {"fleet.start_failure": {"beta": {"mean": level.mean(), "sd": level.std()}}}
    limits = {"max_parallel": 24, "max_failed_nodes": 24}
    scenario = make(STEADY | spread | levels | outages | defects, **ALLOWED | limits)
    seen = look(scenario, 1, (1, 18, 6), last_progress_time=at(1), state="completed")
    p = level.ppf((np.arange(10_000) + 0.5) / 10_000)
    q, up = 1 - (1 - p) * 0.8, 1 - share
    if form == "table":
        seen = pd.DataFrame({"node": range(24), "status": [STATUS[node % 4 > 0] for node in range(24)]})
        good, bad = ((up**4 * each**6 + share * up**3) * (1 - p) ** 18 for each in (p, q))
    else:
        by_itself = sum(stats.binom.pmf(n, 6, q) * stats.binom.pmf(6 - n, 18, p) for n in range(7))
        good = up**4 * stats.binom.pmf(6, 24, p) + 4 * share * up**3 * (1 - p) ** 18
        bad = up**4 * by_itself + share * up**3 * ((1 - p) ** 18 + 3 * (1 - p) ** 12 * (1 - q) ** 6)
    result = sd.forecast(scenario, seen=seen, at=1.5, replications=400, engine="compiled")
    assert result.is_trusted
    assert_posterior(result, good.mean(), bad.mean())


def test_one_of_many_zones_fails():
    """An outage once a year explains why one of 50 zones fails, as far as a defect does not. [oracle]"""
    outages = {"fleet.zones": 50, "fleet.zone_outage": {"up": "8760h", "repair": "1h"}, "fleet.nodes": 200}
    defects = {"release.bad.start_failure": 0.2, "release.bad.affects": {"zones": [0]}, "fleet.start_failure": 0.01}
    spread = {"fleet.update_duration": {"uniform": {"low": "0.9s", "high": "1s"}}}
    limits = {"max_parallel": 200, "max_failed_nodes": 200}
    scenario = make(STEADY | outages | defects | spread, **ALLOWED | limits)
    seen = pd.DataFrame({"node": range(200), "status": [STATUS[node % 50 > 0] for node in range(200)]})
    result = sd.forecast(scenario, seen=seen, at=1.5, replications=400, engine="compiled")
    assert result.is_trusted
    down = 1 / 8761
    assert_posterior(result, 0.01**4 + down, (1 - 0.99 * 0.8) ** 4 + down)


@pytest.mark.parametrize("form", ["object", "table"])
def test_outages_too_rare_for_worlds(form):
    """Outages of one second in 100 days are refused as a probable explanation of a zone that fails, but don't matter otherwise. [contract]"""
    outages = {
        "fleet.zones": 4,
        "fleet.zone_outage": {"up": "2400h", "repair": "1s"},
        "release.bad.start_failure": 0.01,
    }
    spread = {"fleet.nodes": 24, "fleet.update_duration": {"uniform": {"low": "0.9s", "high": "1s"}}}
    defects = {"release.bad.affects": {"zones": [0]}, "fleet.start_failure": 1e-3}
    scenario = make(STEADY | spread | outages | defects, **ALLOWED | {"max_parallel": 24, "max_failed_nodes": 24})
    how = {"at": 1.5, "replications": 300, "engine": "compiled"}
    for n_failed in (0, 6):
        seen = look(scenario, 1, (1, 24 - n_failed, n_failed), last_progress_time=at(1), state="completed")
        if form == "table":
            status = [STATUS[node % 4 > 0 or not n_failed] for node in range(24)]
            seen = pd.DataFrame({"node": range(24), "status": status})
        if n_failed:
            with pytest.raises(sd.InputError, match="an outage of a zone may explain what was seen, but is too rare"):
                sd.forecast(scenario, seen=seen, **how)
        else:
            assert sd.forecast(scenario, seen=seen, **how).is_trusted


def test_a_slow_rollout_of_a_release_that_affects_some_nodes():
    """Verdicts show a slowdown that one rollout in a thousand has, and not which nodes a defect affects. [oracle]"""
    slow = {"fleet.slowdown": {"lognormal": {"mean": 1, "sd": 0.1}}, "release.bad.affects": {"count": 6}}
    spread = {"fleet.nodes": 12, "fleet.update_duration": {"uniform": {"low": "50s", "high": "70s"}}}
    scenario = make(STEADY | slow | spread, **ALLOWED | {"max_parallel": 12, "max_failed_nodes": 12})
    seen = pd.DataFrame({"node": range(12), "status": [STATUS[node > 3] for node in range(12)]})
    seen["resolved_at_s"] = 1.3 * np.linspace(50.5, 69.5, 12)
    result = sd.forecast(scenario, seen=seen, at=120, replications=800, engine="compiled")
    ways = [
        math.comb(4, n) * math.comb(8, 6 - n) * 0.55**n * 0.1 ** (4 - n) * 0.45 ** (6 - n) * 0.9 ** (2 + n)
        for n in range(5)
    ]
    assert_posterior(result, 0.1**4 * 0.9**8, sum(ways) / math.comb(12, 6))
    assert result.effective_worlds > 50


CANARIES = STEADY | {"fleet.start_failure": 0, "release.bad.start_failure": 0, "release.bad.error_rate": 0.5}


def test_canaries_that_wait():
    """An exponential delay of promotion says nothing of the release; then people promote or cancel. [oracle]"""
    scenario = canary(**CANARIES)
    waits = {"current_wave": 1, "updated_nodes": 2, "failed_nodes": 0, "canary_promoted": False}
    result = sd.forecast(scenario, seen=look(scenario, 90, **waits), at=200, replications=1000, engine="compiled")
    assert_posterior(result, 1, 1)
    promoted = 0.7 * 0.9 + 0.3 * 0.4
    assert_mean(result, "canceled", 1 - promoted)
    assert_mean(result, "time_left_s", 120 + 90 * promoted)


def test_a_promotion_is_evidence():
    """If people cancel six of ten defects and a tenth of the rest, a promotion has probability 0.4 or 0.9. [oracle]"""
    scenario = canary(**CANARIES)
    seen = look(scenario, 300, current_wave=2, updated_nodes=2, failed_nodes=0, last_progress_time=at(300))
    result = sd.forecast(scenario, seen=seen, replications=400, engine="compiled")
    assert_posterior(result, 0.9, 0.4)
    assert_mean(result, "time_left_s", 90)


def test_the_value_of_waiting():
    """Nodes of a bad release all fail, so waiting five minutes identifies it, and half an hour is too long. [oracle]"""
    changes = STEADY | {"fleet.nodes": 12, "fleet.start_failure": 0, "release.bad.start_failure": 1}
    scenario = make(changes | {"costs.hour_of_delay": 0}, **ALLOWED | {"max_failed_nodes": 12})
    seen = look(scenario, 0, current_wave=1, updated_nodes=0, failed_nodes=0)
    result = sd.advise(scenario, seen=seen, at=30, replications=400, engine="compiled")
    bad = result.defective
    assert bad == pytest.approx(0.3, abs=0.01)
    costs = result.acts.set_index("act")["cost"]
    assert costs["go on"] == pytest.approx(400 * bad)
    assert costs["cancel"] == pytest.approx(50 * (1 - bad))
    worth = result.waiting.set_index(["how", "wait_s"])["worth"]
    # Known in time, a good release continues at no cost and a bad one is canceled at no cost; otherwise it has escaped.
    for how, wait_s, exact in (
        ("go on", 300, costs["cancel"]),
        ("pause", 300, costs["cancel"]),
        ("pause", 1800, costs["cancel"]),
        ("go on", 1800, costs["cancel"] - costs["go on"]),
    ):
        assert worth[how, wait_s] == pytest.approx(exact)
    assert result.wait["worth"] == pytest.approx(costs["cancel"])
