"""Comparison of gates: curves against closed forms and single simulations; words are supported by intervals."""

import math
import re
from dataclasses import replace
from types import MappingProxyType

import pandas as pd
import pytest
from drawn import draw, find_unreadable
from invoking import invoke
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from refusals import refused
from scipy import stats
from small import maybe_bad, rolling

from simdeploy import InputError, Scenario, compare_gates, replicate
from simdeploy.analysis.asking.verdicts import judge_change
from simdeploy.analysis.gates.curves import CURVE, DIFFERENCE, MEASURES, OF_MIXTURE, STOPPED, conclude, find_better
from simdeploy.analysis.gates.result import GateComparison
from simdeploy.analysis.gates.sizes import choose_size, read_sizes, scenario_of_size
from simdeploy.analysis.gates.variants import CURRENT, DEFAULT_GATES, make_variants
from simdeploy.engines.reference.engine import run_reference
from simdeploy.errors import SimdeployWarning
from simdeploy.experiments.jobs import Job
from simdeploy.plotting import plot_gates
from simdeploy.plotting.gates import PANELS
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import estimate_difference
from simdeploy.statistics.intervals import proportion_interval
from simdeploy.vocabulary import GATES

NODES, WINDOWS, PER_WINDOW, LIMIT = 4, 3, 25, 0.04


def make(**changes):
    """Make one wave of nodes with just enough time for their windows: one bad window fails a node."""
    check = {"deadline": "60s", "max_error_rate": LIMIT, "min_healthy_time": "30s"}
    raw = {
        "name": "four-nodes",
        "fleet": {"nodes": NODES, "update_duration": "30s", "requests_per_second": 2.5, "error_rate": 0.02},
        "orchestrator": {"explicit_zero_limit": "zero_tolerance"},
        "release": maybe_bad(error_rate=0.05),
        "policies": {"waves": rolling(max_failed_nodes=0, max_failed_nodes_percent=99, health_check=check)},
    }
    return Scenario.from_dict(raw | changes)


def compare(scenario, gates=None, replications=2, engine="compiled", **how):
    return compare_gates(scenario, gates=gates, replications=replications, engine=engine, **how)


def total(size):
    """Return the error rate of a node under a release that adds one."""
    return 1 - (1 - 0.02) * (1 - size)


def stopped(comparison, gate):
    rows = comparison.curves[comparison.curves["measure"].eq(STOPPED) & comparison.curves["gate"].eq(gate)]
    return dict(zip(rows["size"], rows["estimate"], strict=True))


@pytest.fixture(scope="module")
def comparison():
    """Return a comparison of three gates at three sizes."""
    costs = {"hour_of_delay": 60, "false_alarm": 100, "escape": 500}
    return compare(make(costs=costs), ["pooled", "sprt"], 30, sizes=[0.02, 0.08])


# -- the numbers -----------------------------------------------------------------------------------------------------


def test_the_curves_of_threshold_and_pooling():
    """The fraction stopped at each size is binomial, in every node's windows or in all requests. [oracle]"""
    n = 4000
    comparison = compare(make(), ["pooled"], n, sizes=(0.0, 0.01, 0.03, 0.06))
    requests = NODES * WINDOWS * PER_WINDOW
    truths = {
        "threshold": lambda p: 1 - stats.binom.cdf(1, PER_WINDOW, p) ** (NODES * WINDOWS),
        "pooled": lambda p: stats.binom.sf(int(LIMIT * requests), requests, p),
    }
    for gate, truth in truths.items():
        for size, estimate in stopped(comparison, gate).items():
            expected = truth(total(size))
            assert abs(estimate - expected) <= 4 * math.sqrt(expected * (1 - expected) / n)
    # The point of pooling: fewer of both errors, at the same number of requests.
    assert stopped(comparison, "pooled")[0.0] < 0.05
    assert stopped(comparison, "threshold")[0.0] > 0.5


def test_requests_of_a_good_release_that_completes():
    """If nothing fails, threshold and pooling use all windows, an SPRT only those up to its lower bound. [oracle]"""
    scenario = make(fleet={"nodes": NODES, "update_duration": "30s", "requests_per_second": 2.5})
    comparison = compare(scenario, ["pooled", "sprt"], sizes=[0.5])
    looked = {gate: comparison.row(gate, 0.0, "decision_requests")["estimate"] for gate in comparison.gates["gate"]}
    # Wald's lower bound log(beta / (1 - alpha)), at 5 % each, in steps of log((1 - bad) / (1 - good)) a request.
    needed = math.log(0.05 / 0.95) / math.log((1 - 2 * LIMIT) / (1 - LIMIT / 2))
    windows = math.ceil(needed / (NODES * PER_WINDOW))
    everything = NODES * WINDOWS * PER_WINDOW
    assert looked == {"threshold": everything, "pooled": everything, "sprt": windows * NODES * PER_WINDOW}


def test_a_point_is_that_release_under_that_policy(comparison):
    """A point of a curve is the mean of the scenario's replications with that release and gate. [property]"""
    scenario = make().with_values({"release": {"x": {"probability": 1, "defective": True, "error_rate": 0.02}}})
    spec = scenario.policy().spec.to_dict()
    for gate in ("pooled", "sprt"):
        health_check = spec["health_check"] | {"gate": gate}
        if gate == "sprt":
            health_check["min_healthy_time"] = "10s"
        policies = {"one": spec | {"health_check": health_check}}
        rows = replicate(scenario, policies=policies, replications=30, engine="compiled")
        own = {measure: comparison.row(gate, 0.02, measure) for measure in MEASURES}
        assert own[STOPPED]["estimate"] == rows["verdict"].eq("stopped_defective").mean()
        for name in ("decision_requests", "failed_requests_excess", "makespan_s", "stopped_at_s"):
            assert own[name]["estimate"] == pytest.approx(rows[name].mean(), nan_ok=True)
        completed = rows.loc[rows["state"].eq("completed"), "makespan_s"]
        assert own["makespan_s given completed"]["n"] == len(completed)


def test_intervals_hold_together():
    """A gate's curve shares its error over sizes, differences over sizes and gates. [oracle]"""
    n = 40
    scenario, sizes = make(), (0.0, 0.02)
    comparison = compare(scenario, ["pooled", "bayes"], n, sizes=sizes)
    observed = {}
    for gate in ("threshold", "pooled"):
        policies, _ = make_variants(scenario, scenario.policy(), ["pooled"])
        policy = next(variant.policy for variant in policies if variant.gate == gate)
        rows = replicate(scenario_of_size(scenario, 0.02), policies={gate: policy}, replications=n, engine="compiled")
        observed[gate] = rows["verdict"].eq("stopped_defective").to_numpy(float)
    row = comparison.row("pooled", 0.02, STOPPED)
    ends = proportion_interval(int(observed["pooled"].sum()), n, 1 - 0.05 / len(sizes))
    assert (row["low"], row["high"]) == pytest.approx(ends)
    less = comparison.difference("pooled", 0.02, STOPPED)
    level = 1 - 0.05 / (len(sizes) * 2)
    expected = estimate_difference(observed["pooled"], observed["threshold"], Measure("stopped_defective"), level)
    assert (less["estimate"], less["low"], less["high"]) == pytest.approx(expected[:3])


def test_the_scenarios_releases_beside_the_curve(comparison):
    """The mixture has both errors and the cost of every gate, and differences to the threshold. [contract]"""
    assert list(comparison.mixture) == list(OF_MIXTURE)
    measures = comparison.mixture["measure"].drop_duplicates().tolist()
    assert measures[:2] == ["false_alarm given good", "escaped given defective"]
    assert measures[-1] == "cost"
    cost = comparison.mixture[comparison.mixture["measure"].eq("cost")].set_index("gate")
    assert cost["difference"].isna().tolist() == [True, False, False]


def test_the_cheapest_gate_is_found_in_the_same_worlds():
    """A gate with counted verdicts that stops the same rollouts earlier is cheaper than the threshold with known ones, whatever its mean. [oracle]"""
    fleet = {"nodes": 20, "requests_per_second": 10, "update_duration": "40s", "rollback_duration": "20s"}
    check = {"deadline": "5m", "min_healthy_time": "30s", "max_error_rate": 0.05}
    limits = {"max_failed_nodes": 2, "max_failed_nodes_percent": 100}
    canary = {"strategy": "canary", "canary_count": 2, "auto_promote": True, "max_parallel": 10, "health_check": check}
    scenario = make(
        fleet=fleet | {"start_failure": 0.02, "error_rate": 0.005},
        release=maybe_bad(0.15, error_rate=0.1),
        policies={"canary": canary | limits},
        costs={"failed_request": 0.01, "hour_of_delay": 10, "false_alarm": 200, "escape": 2000},
    )
    differences, of_means = [], []
    for seed in range(4):
        comparison = compare(scenario, ["threshold", "sprt"], 400, sizes=[0.1], seed=seed)
        cost = comparison.mixture[comparison.mixture["measure"].eq("cost")].set_index("gate")
        assert comparison.cheapest == "sprt"
        differences.append(cost.loc["sprt", "difference"])
        of_means.append(cost.loc["sprt", "estimate"] - cost.loc["threshold", "estimate"])
    assert max(of_means) > 0
    assert max(differences) - min(differences) < 0.5 < max(of_means) - min(of_means)


def test_a_threshold_that_may_be_the_cheapest_is_no_clear_difference(comparison):
    """If the threshold has the lowest mean cost, but another gate may be as cheap, the answer says so. [contract]"""
    for verdicts, end in ((["worse", "unclear"], ", not a clear difference."), (["worse", "worse"], ".")):
        mixture = comparison.mixture.copy()
        mixture.loc[mixture["measure"].eq("cost") & mixture["gate"].ne("threshold"), "verdict"] = verdicts
        told = replace(comparison, mixture=mixture, cheapest="threshold").answer
        assert f"The threshold has the lowest mean cost{end}" in told


# -- what is compared ------------------------------------------------------------------------------------------------


def test_the_default_has_every_kind():
    """By default the threshold comes first, then every kind with the policy's parameters. [contract]"""
    variants, left_out = make_variants(make(), make().policy(), None)
    assert [variant.gate for variant in variants] == ["threshold", *DEFAULT_GATES]
    assert {variant.kind for variant in variants} == set(GATES)
    assert not left_out
    assert variants[0].policy.policy == make().policy().policy


@pytest.mark.parametrize("dialect", ["deployment", "rollout"])
def test_gates_that_pass_early_are_not_held_up(dialect):
    """Under sprt and bayes a node needs one window, under all others as many as before. [contract]"""
    health_check = {
        "deployment": {"deadline": "5m", "min_healthy_time": "30s"},
        "rollout": {"deadline": 300 * 10**9, "success_threshold": 3},
    }[dialect]
    policy = {"dialect": dialect, "strategy": "rolling", "max_parallel": 2, "health_check": health_check}
    scenario = make(policies={"waves": policy})
    variants, _ = make_variants(scenario, scenario.policy(), None)
    early = {variant.gate for variant in variants if variant.observation_s == 10}
    assert early == {"sprt", "sprt requests", "bayes"}
    assert {variant.observation_s for variant in variants if variant.gate not in early} == {30}
    for variant in variants:
        assert variant.policy.policy.deadline_ns == scenario.policy().policy.deadline_ns


@pytest.mark.parametrize("cant_tell", ["pass", "stop"])
def test_a_test_is_not_cut_short(cant_tell):
    """If a gate must decide at the end of the observation, every gate has the policy's own observation. [contract]"""
    scenario = make(orchestrator={"cant_tell": cant_tell})
    variants, _ = make_variants(scenario, scenario.policy(), None)
    assert {variant.observation_s for variant in variants} == {30}


def test_a_policy_that_needs_no_window_still_needs_none():
    """If a node needs no healthy window, no gate makes it need one. [property]"""
    scenario = make().with_values({"policies.waves.health_check.min_healthy_time": 0})
    variants, _ = make_variants(scenario, scenario.policy(), ["sprt"])
    assert [variant.observation_s for variant in variants] == [0, 0]


def test_the_policys_own_gate_is_unchanged():
    """A policy with a gate is compared unchanged, observation included, beside the threshold. [contract]"""
    scenario = make().with_values({"policies.waves.health_check.gate": {"kind": "sprt", "alpha": 0.01}})
    variants, _ = make_variants(scenario, scenario.policy(), None)
    own = variants[1]
    assert (variants[0].gate, own.gate, own.says) == ("threshold", CURRENT, "{kind: sprt, alpha: 0.01}")
    assert own.observation_s == 30
    assert own.policy is scenario.policy()
    assert variants[0].policy.policy.gate is None


def find_table(comparison, title):
    """Return the table with a title that begins like this."""
    return next(table for table in comparison.summarize() if table.title.startswith(title))


def test_impossible_default_gates_are_left_out():
    """A default gate that is impossible here is left out, with the reason in the table; a requested one is an error. [contract]"""
    scenario = make(orchestrator={"pacing": "sliding"})
    comparison = compare(scenario, sizes=[0.05])
    assert comparison.gates["gate"].tolist() == ["threshold", "cusum"]
    assert set(comparison.left_out) == set(DEFAULT_GATES) - {"cusum"}
    assert find_table(comparison, "Gates of").rows[-1][3].startswith("excluded: judges waves, but pacing")
    assert "gates.bayes.health_check.gate.kind: judges waves" in str(refused(compare, scenario, ["bayes"]))


def test_the_defect_varies_only_in_size():
    """Delay and affected nodes are those of the most probable defective kind; nothing else of it is used, and 0 is good. [contract]"""
    release = {
        "good": {"probability": 0.1},
        "hangs": {"probability": 0.45, "defective": True, "start_hang": 0.5},
        "blatant": {"probability": 0.05, "defective": True, "error_rate": 0.9},
        "late": {
            "probability": 0.4,
            "defective": True,
            "error_rate": 0.2,
            "start_failure": 0.3,
            "after": "20s",
            "affects": {"count": 2},
        },
    }
    scenario = make(release=release, requirements=[{"of": "escaped", "given": "late", "at_most": 0.05}])
    (kind,) = scenario_of_size(scenario, 0.07).release
    late = scenario.release[3]
    assert (kind.defective, kind.error_rate, kind.start_failure, kind.start_hang) == (True, 0.07, 0, 0)
    assert (kind.after, kind.affects) == (late.after, late.affects)
    (good,) = scenario_of_size(scenario, 0.0).release
    assert (good.defective, good.error_rate) == (False, 0)


@pytest.mark.parametrize(
    ("rates", "limit", "expected", "spoken"),
    [
        ([0.042], 0.04, [0, 0.01, 0.02, 0.03, 0.042, 0.06, 0.08, 0.12, 0.16], 0.042),
        ([], 0.04, [0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.16], 0.08),
        ([0.5], 0.5, [0, 0.125, 0.25, 0.375, 0.5, 0.75, 1], 0.5),
        ([0.2], 0, [0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8], 0.2),
    ],
)
def test_sizes_are_around_the_limit(rates, limit, expected, spoken):
    """Default sizes reach four times the limit and include the scenario's defects, which the answer refers to. [contract]"""
    release = {
        f"bad{number}": {"probability": 0.2, "defective": True, "error_rate": r} for number, r in enumerate(rates)
    }
    scenario = make(release={"good": {"probability": 1 - 0.2 * len(rates)}, **release})
    scenario = scenario.with_values({"policies.waves.health_check.max_error_rate": limit})
    sizes = read_sizes(None, scenario, scenario.policy())
    assert list(sizes) == expected
    assert choose_size(sizes, scenario, scenario.policy()) == spoken


def test_good_releases_are_always_there():
    """Given sizes are sorted, unique, and completed by a good release. [contract]"""
    assert read_sizes([0.1, 0.05, 0.1], make(), make().policy()) == (0.0, 0.05, 0.1)


# -- invalid arguments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gates": ["sprtt"]}, "did you mean 'sprt'?"),
        ({"gates": {"mine": {"kind": "sprt", "alfa": 0.1}}}, "gates.mine.alfa: unknown key; did you mean 'alpha'?"),
        ({"gates": {"mine": {"kind": "sprt", "alpha": 2}}}, "gates.mine.alpha"),
        ({"gates": {"mine": {"alpha": 0.1}}}, "gates.mine.kind: required key is missing"),
        ({"gates": {"mine": 3}}, "invalid gate"),
        ({"gates": [{"kind": "sprt"}]}, "invalid gates"),
        ({"gates": 3}, "invalid gates (found 3)"),
        ({"gates": {"threshold": "sprt"}}, "gates.threshold: duplicate name (found sprt)"),
        ({"gates": ["threshold"]}, "no gate to compare with the threshold"),
        ({"gates": []}, "no gate to compare with the threshold"),
        ({"sizes": [0]}, "no defect"),
        ({"sizes": [0.1, 5]}, "sizes[1]: invalid size of a defect (found 5)"),
        ({"sizes": [True]}, "invalid size of a defect"),
        ({"policy": {"strategy": "immediate"}}, "immediate has no health check"),
    ],
)
def test_invalid_arguments_are_refused_before_the_work(monkeypatch, arguments, message):
    """Each invalid argument is refused by name, before anything is simulated. [contract]"""
    monkeypatch.setattr(Job, "run", lambda *_: pytest.fail("nothing is to be simulated"))
    assert message in str(refused(compare, make(), **arguments))


def test_rollouts_without_a_release_are_refused():
    """A restart has no release to judge, and nodes without requests show nothing of one. [contract]"""
    restart = make(deployment={"type": "restart"}, release=None)
    assert "a restart has no release" in str(refused(compare, restart))
    silent = make(fleet={"nodes": NODES, "update_duration": "30s"}, release={"good": {"probability": 1}})
    assert "nodes have no requests, so gates have nothing to judge" in str(refused(compare, silent))


# -- words -----------------------------------------------------------------------------------------------------------


def pretend(served=MappingProxyType({}), cost=None, **gates):
    """Make a result of pairs of errors with their differences: (false alarms, escapes, differences as (low, high)).

    `served` are differences in all other measures by gate, `cost` rows of the scenario's own releases.
    """
    curve, difference = [], []
    for gate, (alarms, escapes, *less) in gates.items():
        for place, (size, value) in enumerate(((0.0, alarms), (0.05, 1 - escapes))):
            row = {"gate": gate, "size": size, "n": 100, "unknown_fraction": 0.0}
            for measure in MEASURES:
                at = value if measure == STOPPED else 100.0
                curve.append(row | {"measure": measure, "estimate": at, "low": at, "high": at})
                if less:
                    low, high = less[place] if measure == STOPPED else served.get(gate, (-1.0, 1.0))
                    verdict = judge_change(low, high, find_better(measure, size), unknown=math.isnan(low))
                    ends = {"estimate": (low + high) / 2, "low": low, "high": high, "verdict": verdict}
                    difference.append(row | {"measure": measure, **ends})
    curves = pd.DataFrame(curve, columns=list(CURVE))
    differences = pd.DataFrame(difference, columns=list(DIFFERENCE))
    mixture = pd.DataFrame(cost or [], columns=list(OF_MIXTURE))
    of_gates = pd.DataFrame({"gate": list(gates), "kind": "sprt", "says": "sprt", "observation_s": 10.0})
    return GateComparison(
        curves=curves,
        differences=differences,
        mixture=mixture,
        **conclude(of_gates, curves, differences, mixture, 0.05)._asdict(),
        left_out={},
        policy="waves",
        size=0.05,
        confidence_level=0.95,
        n_replications=100,
        n_failed=0,
        computed_under={},
    )


def test_verdicts_are_supported_by_intervals():
    """Better means certainly fewer errors of one kind and not certainly more of the other; the best has the fewest of both. [contract]"""
    within, fewer, more = (-0.02, 0.02), (-0.2, -0.1), (0.1, 0.2)
    result = pretend(
        threshold=(0.3, 0.1),
        same=(0.3, 0.1, within, within),
        quiet=(0.1, 0.1, fewer, within),
        sharp=(0.3, 0.0, within, more),  # more defects are stopped
        both=(0.1, 0.0, fewer, more),
        blind=(0.1, 0.4, fewer, fewer),
        bad=(0.5, 0.4, more, within),
    )
    rows = result.to_dict()["gates"]
    assert {row["gate"]: row["verdict"] for row in rows} == {
        "threshold": None,
        "same": "unclear",
        "quiet": "better",
        "sharp": "better",
        "both": "better",
        "blind": "trades",
        "bad": "worse",
    }
    assert result.best == "both"
    assert "Use both instead of the threshold, with the lowest estimated errors: " in result.answer
    assert "false alarms change by -20.0 to -10.0 pp, escapes change by -20.0 to -10.0 pp" in result.answer
    assert "quiet and sharp are also better." in result.answer
    assert "blind lowers one error but raises the other." in result.answer


UNKNOWN = (math.nan, math.nan)


@pytest.mark.parametrize(
    ("less", "verdict", "shown", "sentence"),
    [
        (((-0.2, -0.1), (-0.1, 0.1)), "better", "better", "Use other instead of the threshold: "),
        (((-0.2, -0.1), (0.0, 0.0)), "better", "better", "-20.0 to -10.0 pp, escapes stay the same (95 % CI)."),
        (((0.1, 0.2), (0.0, 0.0)), "worse", "worse", "other has more errors."),
        (((-0.2, -0.1), (-0.2, -0.1)), "trades", "trade-off", "other lowers one error but raises the other."),
        (((0.0, 0.0), (0.0, 0.0)), "equal", "equal", "No other gate clearly errs less"),
        (((-0.1, 0.1), (0.0, 0.0)), "unclear", "unclear", "No other gate clearly errs less"),
        (((-0.2, -0.1), UNKNOWN), "unknown", "unknown", "No other gate clearly errs less"),
    ],
)
def test_every_verdict_is_data(less, verdict, shown, sentence):
    """Verdicts of answer and table, and the best gate, are in the JSON. [contract]"""
    result = pretend(threshold=(0.3, 0.1), other=(0.1, 0.1, *less))
    document = result.to_dict()
    assert document["gates"][1]["verdict"] == verdict
    assert document["best"] == ("other" if verdict == "better" else None)
    assert sentence in result.answer
    assert result.summarize()[2].rows[1][-1] == shown


def test_requests_and_costs_are_judged():
    """The gates with the fewest failed requests and the lowest cost in the answer are in the JSON. [contract]"""
    within = (-0.1, 0.1)
    own = {"measure": "cost", "estimate": 5.0, "low": 4.0, "high": 6.0, "n": 9, "unknown_fraction": 0.0}
    less = {"difference": -2.0, "difference_low": -3.0, "difference_high": -1.0, "verdict": "better"}
    cost = [own | {"gate": "threshold"}, own | {"gate": "other", "estimate": 3.0} | less]
    errors = {"threshold": (0.3, 0.1), "other": (0.3, 0.1, within, within), "bad": (0.9, 0.1, (0.5, 0.7), within)}
    result = pretend({"other": (-9.0, -1.0), "bad": (-19.0, -9.0)}, cost, **errors)
    document = result.to_dict()
    assert (document["fewest_failed_requests"], document["cheapest"]) == ("other", "other")
    assert "Fewest excess failed requests without more errors: other, " in result.answer
    assert "other has the lowest mean cost, -2.0 per rollout (-3.0 to -1.0) against the threshold" in result.answer
    unsure = pretend(cost=[cost[0], cost[1] | {"verdict": "unclear"}], **errors)
    assert unsure.to_dict()["mixture"][1]["verdict"] == "unclear"
    assert " against the threshold, not a clear difference" in unsure.answer
    assert pretend(**errors).to_dict()["fewest_failed_requests"] is None


def test_nothing_is_better_without_certainty():
    """Without a supporting interval no gate is called better. [contract]"""
    result = pretend(threshold=(0.3, 0.1), other=(0.1, 0.0, (-0.4, 0.01), (-0.01, 0.2)))
    assert result.answer == (
        "No other gate clearly errs less than the threshold (95 % confidence). "
        "Threshold: false alarms 30.0 %, escapes 10.0 % (defects that fail 5 % of requests)."
    )


def test_two_replications_are_inconclusive():
    """With two rollouts no gate is called better or worse. [property]"""
    comparison = compare(make(), sizes=[0.03])
    assert set(comparison.gates["verdict"][1:]) == {"unclear"}


def test_endless_rollouts_have_no_verdict():
    """If a stop waits for a person, the fraction stopped is unknown, in words, tables and picture. [contract]"""
    comparison = compare(make(orchestrator={"on_failure": "pause"}), ["pooled"], 20, sizes=[0.08])
    assert comparison.row("threshold", 0.08, STOPPED)["unknown_fraction"] > 0.9
    # Some good releases get a verdict, and the others may still get any.
    assert 0.2 < comparison.row("threshold", 0.0, STOPPED)["unknown_fraction"] < 0.9
    assert comparison.row("threshold", 0.0, STOPPED)["n"] > 2
    assert math.isnan(comparison.difference("pooled", 0.0, STOPPED)["low"])
    assert comparison.gates["verdict"].tolist()[1:] == ["unknown"]
    assert "Verdict unknown for threshold and pooled: " in comparison.answer
    assert "unknown" in comparison.summarize()[2].rows[0]
    axes = plot_gates(Figure().subplots(5), comparison)
    assert 0.08 not in axes[0].lines[0].get_xdata()


def test_curves_and_tables(comparison):
    """Every curve is there, tables have a line per gate, and the repr is the answer. [contract]"""
    assert len(comparison.curves) == 3 * 3 * len(MEASURES)
    assert len(comparison.differences) == 2 * 3 * len(MEASURES)
    assert comparison.to_frame() is comparison.curves
    tables = comparison.summarize()
    assert len(tables) == 5
    for table in tables:
        assert [row[0] for row in table.rows] == ["threshold", "pooled", "sprt"]
        assert {len(row) for row in table.rows} == {len(table.header)}
    assert tables[0].header == ("gate", "0 %", "2 %", "8 %")
    assert comparison.answer in repr(comparison)
    assert (comparison.policy, comparison.size, comparison.computed_under["scenario"]) == ("waves", 0.08, "four-nodes")


def test_the_cheapest_is_named(comparison):
    """The answer names the cheapest gate over the scenario's releases, and whether that is certain. [contract]"""
    cost = comparison.mixture[comparison.mixture["measure"].eq("cost")].set_index("gate")
    best = cost["estimate"].idxmin()
    assert best != "threshold"
    sure = "" if cost.loc[best, "difference_high"] < 0 else ", not a clear difference"
    answer = replace(comparison, best=None).answer  # with room for it
    assert re.search(rf"{best} has the lowest mean cost, \S+ per rollout \(.*\) against the threshold{sure}\.", answer)


# -- picture, store --------------------------------------------------------------------------------------------------


def rows_of(ax):
    """Return the value and the row of each mark of a panel, by gate: hollow marks are False, filled ones True."""
    marks = {}
    for line in ax.lines:
        (value,), (row,) = line.get_data()
        is_filled = to_hex(line.get_markerfacecolor()) == to_hex(line.get_color())
        marks[line.get_label(), is_filled] = (value, row)
    return marks


def test_the_picture_has_every_gate(comparison):
    """Curves have a line per gate, other panels a row; a wrong number of axes is refused. [contract]"""
    axes = Figure(figsize=(8, 5)).subplots(2, 3)
    assert plot_gates(axes, comparison) is axes
    curves, errors, *others = axes.ravel()
    gates = ["threshold", "pooled", "sprt"]
    assert [line.get_label() for line in curves.lines if not line.get_label().startswith("_")] == gates
    assert dict(zip(*curves.lines[0].get_data(), strict=True)) == stopped(comparison, "threshold")
    for place, gate in enumerate(gates):
        by_size = stopped(comparison, gate)
        assert rows_of(errors)[gate, False] == (by_size[0.0], place)
        assert rows_of(errors)[gate, True] == (1 - by_size[comparison.size], place)
    assert [label.get_text() for label in errors.get_yticklabels()] == gates
    for ax, name, size in zip(others[1:], PANELS[2:], (comparison.size, 0.0, comparison.size), strict=True):
        assert rows_of(ax)["pooled", size > 0] == (comparison.row("pooled", size, name)["estimate"], 1)
    assert plot_gates(Figure().subplots(5), comparison)[1].get_title(loc="left").startswith("○ good release")
    with pytest.raises(InputError, match=r"not as many axes as panels \(found 2\)"):
        plot_gates(Figure().subplots(2), comparison)


def test_curves_end_where_all_gates_stop_everything(comparison):
    """The axis of sizes ends, with a note, at the first size that every gate stops, else at the last. [property]"""
    curves = comparison.curves
    at = curves["measure"].eq(STOPPED) & curves["size"].eq(comparison.sizes[1])
    for estimate, end in ((1.0, comparison.sizes[1]), (0.5, comparison.sizes[-1])):
        changed = replace(comparison, curves=curves.assign(estimate=curves["estimate"].mask(at, estimate)), size=0.01)
        ax = plot_gates(Figure().subplots(5), changed)[0]
        assert ax.get_xlim()[1] == pytest.approx(1.03 * end)
        assert ("all gates stop larger defects" in ax.get_xlabel()) == (estimate == 1.0)


@pytest.mark.parametrize("size", [(8, 5), (10, 6)])
def test_the_picture_of_gates_can_be_read(comparison, size):
    """No text overlaps another or is cut off, even with long names of gates. [contract]"""
    named = {"pooled": "pooled over all of the nodes of a wave"}
    changed = replace(
        comparison, gates=comparison.gates.replace(named), curves=comparison.curves.replace(named), best=named["pooled"]
    )
    tiny = replace(changed, size=changed.size / 1e4, curves=changed.curves.assign(size=changed.curves["size"] / 1e4))
    for drawn in (changed, tiny):
        figure = Figure(figsize=size, layout="constrained")
        plot_gates(figure.subplots(2, 3), drawn)
        assert find_unreadable(draw(figure)) == []


def test_a_log_axis_draws_no_zero(comparison):
    """Failed requests of 0, and ends of intervals below 0, are not on the logarithmic axes. [contract]"""
    curves = comparison.curves.assign(low=comparison.curves["low"] - 1e9)
    is_first = curves["measure"].eq("failed_requests_excess") & curves["gate"].eq("threshold")
    changed = replace(comparison, curves=curves.assign(estimate=curves["estimate"].mask(is_first, 0.0)))
    ax = plot_gates(Figure().subplots(5), changed)[2]
    assert ax.get_xscale() == "log"
    assert {gate for gate, _ in rows_of(ax)} == {"pooled", "sprt"}
    assert [text.get_text() for text in ax.texts] == ["no value"]
    assert all((path.vertices[:, 0] > 0).all() for bars in ax.collections for path in bars.get_paths())


def test_failed_replications_are_reported(monkeypatch):
    """A failed replication is warned about once, counted, and left out. [contract]"""

    def sometimes(scenario, policy, *, replication, **rest):
        if replication == 1:
            raise ValueError("broken")
        return run_reference(scenario, policy, replication=replication, **rest)

    monkeypatch.setattr("simdeploy.engines.reference.engine.run_reference", sometimes)
    message = r"^6 of 30 replications failed; the first: defect 0, policy threshold, replication 1, "
    with pytest.warns(SimdeployWarning, match=message):
        comparison = compare(make(), ["pooled"], 5, "reference", sizes=[0.05])
    assert comparison.n_failed == 6
    assert comparison.row("pooled", 0.05, STOPPED)["n"] == 4


def test_help_lists_the_kinds_of_gate():
    """--help names every kind of --gate. [contract]"""
    shown = " ".join(invoke("gates", "--help").stdout.split())
    assert f"Kinds: {', '.join(kind for kind in GATES if kind != 'threshold')}." in shown
