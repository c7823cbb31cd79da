"""The rules without a clock: plan, verdicts on windows and nodes, limits."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import floor

import pytest
from hypothesis import given, strategies as st

from simdeploy.rules.health import HealthRecord, HealthRule, read_health_rule
from simdeploy.rules.limits import Counts, Limits, read_limits
from simdeploy.rules.orchestrator import EXPANSO, PRESETS, Rate, switch_values
from simdeploy.rules.policy import Policy
from simdeploy.rules.waves import batch_size, count_canaries, plan_waves

S = 10**9
ROLLING = Policy(
    dialect="deployment",
    strategy="rolling",
    max_parallel=4,
    canary_count=0,
    canary_percent=0,
    auto_promote=True,
    deadline_ns=300 * S,
    interval_ns=10 * S,
    max_error_rate=None,
    min_healthy_ns=30 * S,
    success_threshold=None,
    failure_threshold=None,
    max_failed_nodes=None,
    max_failed_nodes_percent=None,
    no_auto_rollback=False,
)
LIMITS = Limits(
    max_failed_nodes=10,
    max_failed_nodes_percent=Fraction(10),
    reaches=False,
    both=False,
    percent_of="fleet",
    minimum_sample=0,
    total=1000,
)
RULE = HealthRule(10 * S, True, 300 * S, True, 3, True, None, Fraction(1, 10), True)


def counts(failed=0, running=0, wave_failed=0, wave_size=10):
    return Counts(failed=failed, running=running, wave_failed=wave_failed, wave_size=wave_size)


def test_waves_are_filled_in_order():
    """Waves are filled in order and the last one has the rest. [contract]"""
    assert plan_waves(ROLLING, EXPANSO, 10).sizes == (4, 4, 2)


def test_no_limit_on_parallel_is_one_wave():
    """max_parallel 0 updates all nodes at once. [contract]"""
    assert plan_waves(replace(ROLLING, max_parallel=0), EXPANSO, 10).sizes == (10,)


@pytest.mark.parametrize(("percent", "total", "wave"), [(0, 25, 3), (10, 25, 3), (5, 1000, 50), (1, 3, 1), (100, 7, 7)])
def test_rollout_waves_are_percents(percent, total, wave):
    """In the rollout dialect max_parallel is a percentage, rounded up, and 0 means 10. [contract]"""
    policy = replace(ROLLING, dialect="rollout", max_parallel=percent)
    assert plan_waves(policy, EXPANSO, total).parallel == wave


def test_immediate_ignores_parallel_pacing_and_canaries():
    """The strategy immediate is one wave under every pacing. [contract]"""
    policy = replace(ROLLING, strategy="immediate", canary_count=3)
    for pacing in ("barrier", "sliding", "rate"):
        plan = plan_waves(policy, replace(EXPANSO, pacing=pacing), 10)
        assert (plan.sizes, plan.canaries, plan.pacing) == ((10,), 0, "barrier")


def test_five_percent_of_a_thousand_is_fifty_canaries():
    """5 % of 1,000 nodes is 50 canaries, whatever the rounding. [contract]"""
    policy = replace(ROLLING, strategy="canary", canary_percent=5)
    for rounding in ("ceil", "floor", "nearest"):
        assert count_canaries(policy, replace(EXPANSO, canary_rounding=rounding), 1000) == 50


@pytest.mark.parametrize(
    ("rounding", "percent", "total", "canaries"),
    [("ceil", 5, 30, 2), ("floor", 5, 30, 1), ("nearest", 5, 30, 2), ("nearest", 5, 29, 1), ("floor", 1, 10, 1)],
)
def test_canary_percent_is_rounded_as_the_switch_says(rounding, percent, total, canaries):
    """A percentage of canaries is rounded up, down or to the nearest, halves up, and at least 1. [contract]"""
    policy = replace(ROLLING, strategy="canary", canary_percent=percent)
    assert count_canaries(policy, replace(EXPANSO, canary_rounding=rounding), total) == canaries


@pytest.mark.parametrize(
    ("size", "count", "percent", "canaries"),
    [
        ("larger", 3, 10, 10),
        ("larger", 20, 10, 20),
        ("count_first", 3, 10, 3),
        ("count_first", 0, 10, 10),
        ("percent_first", 3, 10, 10),
        ("percent_first", 3, 0, 3),
        ("larger", 500, 0, 100),
    ],
)
def test_count_and_percent_of_canaries(size, count, percent, canaries):
    """If count and percentage are both set the switch decides; more canaries than nodes are the whole fleet. [contract]"""
    policy = replace(ROLLING, strategy="canary", canary_count=count, canary_percent=percent)
    assert count_canaries(policy, replace(EXPANSO, canary_size=size), 100) == canaries


def test_sliding_has_one_wave_after_the_canaries():
    """Under sliding pacing the nodes after the canaries are one wave. [contract]"""
    policy = replace(ROLLING, strategy="canary", canary_count=3)
    assert plan_waves(policy, replace(EXPANSO, pacing="sliding"), 10).sizes == (3, 7)


@given(
    st.integers(1, 400),
    st.integers(0, 120),
    st.integers(0, 120),
    st.integers(0, 100),
    st.sampled_from(["immediate", "rolling", "canary"]),
    st.sampled_from(["barrier", "sliding", "rate"]),
    st.sampled_from(["deployment", "rollout"]),
)
def test_every_node_has_one_turn(total, parallel, count, percent, strategy, pacing, dialect):
    """The waves of every plan are nonempty and sum to the fleet. [property]"""
    policy = replace(
        ROLLING,
        dialect=dialect,
        strategy=strategy,
        max_parallel=min(parallel, 100) if dialect == "rollout" else parallel,
        canary_count=count or 1,
        canary_percent=percent,
    )
    plan = plan_waves(policy, replace(EXPANSO, pacing=pacing), total)
    assert sum(plan.sizes) == total
    assert min(plan.sizes) > 0


@given(
    st.fractions(min_value=Fraction(1, 100), max_value=80, max_denominator=100),
    st.fractions(min_value=Fraction(1, 2), max_value=3, max_denominator=100),
    st.none() | st.fractions(min_value=Fraction(1, 10), max_value=200, max_denominator=10),
    st.integers(0, 12),
)
def test_batches_are_exact(per_minute, growth, largest, k):
    """A batch is floor(min(max_per_minute, per_minute x growth^k)), at least 1, by exact fractions. [property]"""
    exact = per_minute * growth**k
    wanted = max(floor(min(exact, largest) if largest is not None else exact), 1)
    assert min(batch_size(Rate(per_minute, growth, largest), k, 500), 500) == min(wanted, 500)


def test_batches_of_ansible_like_growth():
    """1.1^k of 100 nodes a minute is exact where a float would fall below a whole number. [contract]"""
    rate = Rate(Fraction(100), Fraction(11, 10), None)
    assert [batch_size(rate, k, 10**6) for k in range(3)] == [100, 110, 121]


def test_allowed_failures_are_exact():
    """7 of 100 failed requests are healthy at a limit of 0.07, which is not a binary fraction. [contract]"""
    rule = replace(RULE, max_error_rate=Fraction("0.07"))
    assert rule.allowed_failures(100) == 7


def test_requests_per_window_round_half_up():
    """A window of 2.5 requests meets 3. [contract]"""
    assert RULE.requests_per_window(Fraction(1, 4)) == 3


def test_windows_without_traffic():
    """A switch decides whether a window without requests is healthy. [contract]"""
    assert RULE.allowed_failures(0) == 0
    assert replace(RULE, no_traffic_is_healthy=False).allowed_failures(0) == -1


def test_min_healthy_time_needs_whole_windows():
    """min_healthy_time needs ceil(time / interval) windows, and 0 none. [contract]"""
    needed = [replace(ROLLING, min_healthy_ns=s * S).windows_needed for s in (0, 1, 10, 25, 30)]
    assert needed == [0, 1, 1, 3, 3]


def test_one_bad_window_restarts_the_count():
    """Under window_reset one unhealthy window restarts min_healthy_time; otherwise it only doesn't count. [contract]"""
    looks = [True, True, False, True, True, True]
    strict, lenient = HealthRecord(RULE), HealthRecord(replace(RULE, consecutive=False))
    assert [strict.add(look) for look in looks][-1] == "running"
    assert [lenient.add(look) for look in looks][3] == "running"


def test_failure_threshold_is_consecutive():
    """Consecutive unhealthy windows fail a node, others don't. [contract]"""
    record = HealthRecord(replace(RULE, failure_threshold=2, consecutive=False))
    assert [record.add(look) for look in (False, True, False, False)] == [None, None, None, "failed"]


@pytest.mark.parametrize("threshold", [None, 1, 2])
@pytest.mark.parametrize("cumulative", [False, True])
@pytest.mark.parametrize("consecutive", [False, True])
def test_windows_together_equal_windows_one_by_one(threshold, cumulative, consecutive):
    """Windows added together give the first verdict and the state of adding them singly. [property]"""
    rule = replace(RULE, failure_threshold=threshold, cumulative=cumulative, consecutive=consecutive)
    for before, looks in product(product((True, False), repeat=1), product((True, False), repeat=4)):
        together, single = HealthRecord(rule), HealthRecord(rule)
        if None not in (together.add(before[0]), single.add(before[0])):
            continue
        verdicts = [single.add(look) for look in looks]
        n = next((place for place, verdict in enumerate(verdicts, start=1) if verdict), len(looks))
        assert together.add_all(looks) == (n, verdicts[n - 1])
        if verdicts[n - 1] is None:
            assert (together.healthy, together.add(True)) == (single.healthy, single.add(True))


def test_thresholds_of_the_rollout_dialect_stay_consecutive():
    """window_reset: false doesn't affect success_threshold. [contract]"""
    lenient = replace(EXPANSO, window_reset=False)
    rollout = replace(ROLLING, success_threshold=2, failure_threshold=3, min_healthy_ns=None)
    assert read_health_rule(rollout, lenient).consecutive
    assert not read_health_rule(ROLLING, lenient).consecutive


@pytest.mark.parametrize(("reaches", "first"), [(False, 11), (True, 10)])
def test_count_limit(reaches, first):
    """The count limit is crossed above it, or at it. [contract]"""
    limits = replace(LIMITS, reaches=reaches)
    assert not limits.crossed(counts(failed=first - 1))
    assert limits.crossed(counts(failed=first))


@pytest.mark.parametrize(("reaches", "first"), [(False, 8), (True, 7)])
def test_percent_limit_is_exact(reaches, first):
    """7 of 100 is exactly 7 %, where floats say 7.000000000000001. [contract]"""
    limits = replace(LIMITS, reaches=reaches, max_failed_nodes=10**6, max_failed_nodes_percent=Fraction(7), total=100)
    assert not limits.crossed(counts(failed=first - 1))
    assert limits.crossed(counts(failed=first))


def test_nothing_is_crossed_before_a_failure():
    """Without failures, reaching a limit of 0 doesn't stop the rollout. [contract]"""
    limits = replace(LIMITS, reaches=True, max_failed_nodes=0, max_failed_nodes_percent=Fraction(0))
    assert not limits.crossed(counts(running=5))
    assert limits.crossed(counts(failed=1))


def test_both_limits():
    """Under `both` one limit alone stops nothing. [contract]"""
    limits = replace(LIMITS, both=True, max_failed_nodes=2)
    assert not limits.crossed(counts(failed=50))
    assert limits.crossed(counts(failed=101))


def test_percent_of_resolved_with_minimum_sample():
    """The percent of resolved nodes applies from the minimum sample on. [contract]"""
    limits = replace(LIMITS, percent_of="resolved", minimum_sample=10)
    assert not limits.crossed(counts(failed=2, running=7))
    assert limits.crossed(counts(failed=2, running=8))
    assert not limits.crossed(counts(failed=2, running=18))


def test_percent_of_wave():
    """The percent of a wave looks at that wave's failures only. [contract]"""
    limits = replace(LIMITS, percent_of="wave")
    assert not limits.crossed(counts(failed=5, wave_failed=1, wave_size=10))
    assert limits.crossed(counts(failed=5, wave_failed=2, wave_size=10))


def test_unset_and_zero_limits():
    """Unset limits are the API's defaults; a switch decides what an explicit 0 means. [contract]"""
    zero = replace(ROLLING, max_failed_nodes=0, max_failed_nodes_percent=Fraction(0), max_error_rate=Fraction(0))
    lenient = replace(EXPANSO, explicit_zero_limit="default")
    for policy, orchestrator in ((ROLLING, EXPANSO), (zero, lenient)):
        limits = read_limits(policy, orchestrator, 100)
        assert (limits.max_failed_nodes, limits.max_failed_nodes_percent) == (10, 10)
        assert read_health_rule(policy, orchestrator).max_error_rate == Fraction(1, 10)
    strict = read_limits(zero, EXPANSO, 100)
    assert (strict.max_failed_nodes, strict.max_failed_nodes_percent) == (0, 0)
    assert read_health_rule(zero, EXPANSO).max_error_rate == 0


def test_limits_of_immediate_are_a_switch():
    """Whether limits apply to immediate is a switch. [contract]"""
    immediate = replace(ROLLING, strategy="immediate")
    assert read_limits(immediate, EXPANSO, 10) is not None
    assert read_limits(immediate, replace(EXPANSO, limits_apply_to_immediate=False), 10) is None


def test_switches_and_presets():
    """Every switch with a closed list starts with the value of the preset expanso. [contract]"""
    for name, values in switch_values().items():
        assert getattr(EXPANSO, name) == values[0], name
    assert len(switch_values()) == 27
    assert PRESETS["expanso-rollout"].node_local_rollback is True
    assert replace(PRESETS["expanso-rollout"], preset="expanso", node_local_rollback=False) == EXPANSO
