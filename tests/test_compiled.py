"""Components of the compiled engine, and its limits of memory and time."""

from __future__ import annotations

import gc
import itertools
import math
import os
import runpy
import subprocess
import sys
import textwrap
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numba
import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from numba import from_dtype
from numba.core import caching
from numba.core.compiler import run_frontend
from numba.core.runtime import _nrt_python, rtsys

from simdeploy import Scenario, SimulationError, read_scenario, simulate
from simdeploy.engines import choice
from simdeploy.engines.block import Block
from simdeploy.engines.compiled import (
    clock,
    codes,
    engine,
    jit,
    kernel,
    laws,
    levels,
    out_at_once,
    philox,
    residual,
    sorting,
    special,
)
from simdeploy.engines.compiled.binomial import (
    ALWAYS,
    failed_of,
    is_healthy_word,
    last_healthy_word,
    surely_healthy_word,
)
from simdeploy.engines.compiled.engine import prepare_compiled, run_compiled
from simdeploy.engines.compiled.jit import compiled, entry
from simdeploy.engines.compiled.load import allowed_of, words_between
from simdeploy.engines.compiled.lowering_rules import _exact_in_64_bits
from simdeploy.engines.compiled.records import POLICY_RECORD, PROCESS_RECORD, make_table
from simdeploy.engines.compiled.run import RUN
from simdeploy.engines.compiled.shortcuts import shortcuts
from simdeploy.engines.running import run_block
from simdeploy.vocabulary import NODE_STATUSES
from simdeploy.world import distributions as kinds
from simdeploy.world.binomial import binomial_cdf, failed_requests
from simdeploy.world.residual import Residual
from simdeploy.world.streams import Stream, uniform

SCENARIOS = Path(__file__).parents[1] / "scenarios"

LAWS = [
    kinds.Constant(3.5),
    kinds.Uniform(0.0, 10.0),
    kinds.Uniform(2.0, 10.0),
    kinds.Triangular(1.0, 2.0, 9.0),
    kinds.Triangular(1.0, 1.0, 9.0),
    kinds.Triangular(1.0, 9.0, 9.0),
    kinds.Exponential(600.0),
    kinds.Weibull(100.0, 0.8),
    kinds.Weibull(100.0, 3.0),
    kinds.Lognormal(45.0, 0.6),
    kinds.Lognormal(45.0, 2.6),
    kinds.Gamma(4.0, 2.5),
    kinds.Gamma(0.3, 2.5),
    kinds.Beta(2.0, 3.0),
    kinds.Beta(0.2, 0.3),
    kinds.Empirical([0.0, 30.0, 60.0]),
    kinds.Empirical([1.0, 1.0, 2.0, 7.5]),
    kinds.Empirical([4.0]),
]


@entry(cache=True)
def ask_law(records, place, u, out):
    law = records[place]
    for i in range(len(u)):
        out[0, i] = laws.quantile(law, u[i])
        out[1, i] = laws.inverse_survival(law, u[i])
        out[2, i] = residual.residual_quantile(law, u[i])
        out[3, i] = residual.residual_inverse_survival(law, u[i])
        out[4, i] = laws.survival(law, 1.01 * out[0, i])
        out[5, i] = residual.residual_survival(law, 1.01 * out[2, i])


@entry(cache=True)
def ask_special(u, x, out):
    for i in range(len(u)):
        out[0, i] = special.normal_quantile(u[i])
        out[1, i] = special.exp(x[i])
        out[2, i] = special.log(u[i])
    special.normal_quantiles(u, out[3], out[4])


@entry(cache=True)
def ask_words(records, stream, nodes, index, out):
    for node in range(nodes):
        out[0, node] = philox.draw(records[0], stream, node, index)
        out[1, node] = philox.draw_window(records[0], node, index)


@entry(cache=True)
def ask_binomial(allowed, requests, p, word):
    healthy = is_healthy_word(word, allowed, requests, p)
    return last_healthy_word(allowed, requests, p), healthy, failed_of(requests, p, (word + 0.5) * 2.0**-52)


@entry(cache=True)
def ask_surely(policies, allowed, fewest, most, p):
    """Also return the highest word up to which all windows with this range of requests are healthy under a policy."""
    least = np.int64(ALWAYS)
    for requests in range(fewest, most + 1):
        least = min(least, last_healthy_word(allowed_of(policies[0], requests), requests, p))
    return surely_healthy_word(allowed, fewest, p), words_between(policies[0], fewest, most, p), least


@entry(cache=True)
def ask_queue(records, nodes, out):
    run = records[0]
    for i in range(len(nodes)):
        clock.enqueue(run, len(nodes) - i, nodes[i], i % clock.N_EVENTS)
    for i in range(len(nodes)):
        out[0, i], out[1, i] = clock.dequeue(run)


def test_the_queue_is_ordered():
    """Events come out by time, each with its node and kind, up to the largest time that fits. [contract]"""
    largest = (1 << (63 - clock.EVENT_BITS)) - 1
    nodes = np.array([largest - i for i in range(2 * clock.N_EVENTS)])
    table = np.zeros((2, len(nodes)), np.int64)
    records = np.zeros(1, RUN)
    records["room"], records["queue_at"] = len(nodes), table.ctypes.data
    out = np.empty((2, len(nodes)), np.int64)
    ask_queue(records, nodes, out)
    np.testing.assert_array_equal(out[0], nodes[::-1])
    np.testing.assert_array_equal(out[1], np.arange(len(nodes))[::-1] % clock.N_EVENTS)


@entry(cache=True)
def sort_both(values, keys):
    return sorting.sort(values), sorting.find_order(keys)


def test_sorting_is_stable():
    """Values come in numpy's order, and equal keys keep theirs, in one run and in many. [oracle]"""
    drawn = np.random.default_rng(0).integers(-9, 9, 100)
    for n in (0, 1, 8, 9, 17, 100):
        values, order = sort_both(drawn[:n], drawn[:n])
        np.testing.assert_array_equal(values, np.sort(drawn[:n]))
        np.testing.assert_array_equal(order, np.argsort(drawn[:n], kind="stable"))


@entry(cache=True)
def ask_most(starts, ends, until):
    return out_at_once.most_at_once(starts, ends, until)


def test_most_intervals_at_once():
    """The most simultaneous intervals are counted as by hand: in clusters, far apart, with ends at starts, and none. [oracle]"""
    rng = np.random.default_rng(3)
    for scale, n, share in itertools.product((5, 10**9, 1 << 61), (0, 1, 2, 40), (0, 0.1, 0.9)):
        starts = np.where(rng.random(n) < share, rng.integers(0, 3, n), rng.integers(0, scale, n))
        ends = starts + 1 + rng.integers(0, 1 + scale // 20, n)
        ends[: n // 8] = starts[n - n // 8 :] + 1
        ends = np.maximum(ends, starts + 1)
        until = int(np.quantile(starts, 0.8)) if n else 0
        at_once = [int(((starts <= t) & (t < ends)).sum()) for t in starts[starts <= until]]
        assert ask_most(starts, ends, until) == max(at_once, default=0)


def test_shortcuts_end():
    """Numba is restored after the engine is compiled, even after an error. [contract]"""
    before = repr(from_dtype(RUN)), gc.get_threshold()

    def fail() -> None:
        with shortcuts():
            assert repr(from_dtype(RUN)) != before[0]
            assert gc.get_threshold() > before[1]
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (repr(from_dtype(RUN)), gc.get_threshold()) == before


@pytest.mark.parametrize("frozen", [False, True])
def test_frozen_objects_stay_frozen(frozen):
    """Objects made while compiling move to the oldest generation, unless that would unfreeze those of others. [contract]"""
    gc.collect()
    had = gc.get_freeze_count()
    gc.freeze() if frozen else gc.unfreeze()
    try:
        with shortcuts():
            young = [[]]
        assert bool(gc.get_freeze_count()) == frozen
        assert any(one is young for one in gc.get_objects(generation=2)) != frozen
    finally:
        gc.freeze() if had else gc.unfreeze()


def test_shortcuts_list_the_same_variables():
    """For calls, loops, tuples, slices and named arguments, the shortcut finds the variables that numba finds. [contract]"""

    def look(values: Any, start: Any) -> Any:
        total = start
        for place in range(len(values)):
            low, high = values[place], max(total, values[1:][place])
            total += int(low, base=high) if low else -high
        return (total, [start])

    instructions = [one for block in run_frontend(look).blocks.values() for one in block.body]

    def list_all() -> list[list[str]]:
        return [sorted(variable.name for variable in one.list_vars()) for one in instructions]

    theirs = list_all()
    with shortcuts():
        assert list_all() == theirs


def test_no_shortcuts_without_what_they_replace(monkeypatch):
    """A version of numba without one of the replaced functions is left unchanged. [contract]"""
    before = repr(from_dtype(RUN))
    monkeypatch.delattr("numba.core.interpreter.Interpreter.post_process")
    with shortcuts():
        assert repr(from_dtype(RUN)) == before


def test_code_is_loaded_without_the_compiler(tmp_path):
    """Loading from the cache imports no compiler modules; missing code is still compiled. [contract]"""
    (tmp_path / "made.py").write_text(
        textwrap.dedent("""
            import sys
            from math import floor
            from simdeploy.engines.compiled.jit import entry
            from simdeploy.engines.compiled.shortcuts import loading

            @entry(cache=True)
            def whole(x):
                return floor(x)

            with loading():
                whole.compile("(float64,)")
            print(whole(2.5), "scipy.linalg" in sys.modules)
        """)
    )
    command = [sys.executable, "-c", "import made"]
    how = {"cwd": tmp_path, "env": {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}, "text": True}
    outputs = [subprocess.check_output(command, **how) for _ in range(2)]
    assert outputs == ["2 True\n", "2 False\n"]


def test_compiled_code_knows_every_word():
    """An option without a number, or a number without an option, fails the import. [contract]"""
    choice = Literal["some", "other"]
    assert codes._codes(choice, "other", "some") == (1, 0)
    for words in (["some"], ["some", "other", "third"]):
        with pytest.raises(AssertionError, match=r"other|third"):
            codes._codes(choice, *words)
    assert [getattr(codes, f"NODE_{status.upper()}") for status in NODE_STATUSES] == [*range(len(NODE_STATUSES))]


def test_records_are_given_field_by_field():
    """Fields may be in any order; a missing or unknown one is refused. [contract]"""
    row = {"p_bad": 0.5, "bad": 2, "good": 1, "kind": 0}
    assert make_table(PROCESS_RECORD, [row])[0].item() == (0, 1, 2, 0.5)
    assert make_table(PROCESS_RECORD, []).shape == (0,)
    for wrong in ({**row, "badly": 1}, {"kind": 0}):
        with pytest.raises(AssertionError, match="bad"):
            make_table(PROCESS_RECORD, [row, wrong])


def test_laws_are_those_of_the_reference():
    """Quantiles, survivals and residuals of every family agree with the reference to 13 digits. [oracle]"""
    table = laws.LawTable()
    for law in LAWS:
        table.add(law, runs_at_0=True)
    records, _floats = table.arrays()
    u = np.concatenate([np.random.default_rng(5).random(500), [2.0**-53, 1e-12, 0.5, 1 - 1e-12, 1 - 2.0**-53]])
    for place, law in enumerate(LAWS):
        out = np.empty((6, len(u)))
        ask_law(records, place, u, out)
        residual = Residual(law)
        expected = [law.quantile(u), law.inverse_survival(u), residual.quantile(u), residual.inverse_survival(u)]
        expected += [law.survival(1.01 * out[0]), residual.survival(1.01 * out[2])]
        for ours, theirs in zip(out, expected, strict=True):
            # Differences of nearly equal numbers in a survival near 0 have fewer digits.
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-15, err_msg=str(law))


@pytest.mark.parametrize(
    ("law", "least_known"), [(kinds.Beta(2.77, 551.0), 0.99), (kinds.Beta(2.0, 3.0), 0.9), (kinds.Beta(0.2, 0.3), 0.1)]
)
def test_levels_of_sums_are_nearly_exact(law, least_known):
    """The polynomials for individual levels have eleven digits, or report that they don't; most of them do. [oracle]"""
    from scipy.special import ndtr

    pieces = levels.make_pieces(law)
    z = np.random.default_rng(7).uniform(-8.2, 8.2, 5000)
    place, t = np.divmod(z - levels._LOWEST, 1 / levels._PER_UNIT)
    t = 2 * levels._PER_UNIT * t - 1
    served = 1 - (pieces[place.astype(int)] * t[:, None] ** np.arange(pieces.shape[1])).sum(axis=1)
    is_known = ~np.isnan(served)
    assert is_known[abs(z) < 3].mean() > least_known
    expected = 1 - law.quantile(ndtr(z[is_known]))
    np.testing.assert_allclose(served[is_known], expected, rtol=2e-11)


def test_normal_quantile_exponential_and_logarithm():
    """These functions agree with scipy and the C library to the last digits, singly and in arrays. [oracle]"""
    from scipy.special import ndtri

    powers = 2.0 ** -np.arange(2.0, 53)
    u = np.concatenate([np.random.default_rng(6).random(5000), powers, 1 - powers])
    x = np.linspace(-707, 709, len(u))
    out = np.empty((5, len(u)))
    ask_special(u, x, out)
    np.testing.assert_allclose(out[0], ndtri(u), rtol=4e-15, atol=1e-15)
    np.testing.assert_allclose(out[1], np.exp(x), rtol=1e-15)
    np.testing.assert_allclose(out[2], np.log(u), rtol=1e-15)
    np.testing.assert_allclose(out[3], out[0], rtol=4e-15, atol=1e-15)


def test_words_are_those_of_the_registry():
    """Every stream's numbers are bit-identical to the reference's. [contract]"""
    seed, replication = 123456789012345, 7
    records = np.zeros(1, RUN)
    records["key0"], records["key1"], records["replication"] = seed & 0xFFFFFFFF, seed >> 32, replication
    for stream in Stream:
        for index in (0, 2, 3):  # a stream that pairs its indices has even ones in one lane and odd ones in the other
            out = np.empty((2, 5))
            ask_words(records, stream.value, 5, index, out)
            for node in range(5):
                expected = uniform(seed, replication, stream, node, index)
                if stream is Stream.WINDOW:
                    assert (out[1, node] + 0.5) * 2.0**-52 == expected
                else:
                    assert out[0, node] == expected


@given(
    requests=st.one_of(st.integers(1, 3000), st.integers(1, 2_000_000)),
    share=st.floats(0, 1),
    p=st.one_of(st.floats(1e-6, 0.999), st.sampled_from([0.004, 0.25, 0.5])),
    word=st.one_of(st.integers(0, (1 << 52) - 1), st.integers(-3, 3)),
)
@example(900, 0.2, 0.2, 1 << 51)
@example(900, 0.2, 0.2, 0)
def test_windows_step_where_the_cdf_does(requests: int, share: float, p: float, word: int):
    """A window is healthy up to the word of the reference's cdf, and has the same number of failed requests. [oracle]"""
    allowed = min(int(share * requests), requests - 1)
    last, _, _ = ask_binomial(allowed, requests, p, 0)
    assert (last + 0.5) * 2.0**-52 == pytest.approx(binomial_cdf(allowed, requests, p), abs=1e-12)
    near = word if word > 3 else min(max(last + word, 0), (1 << 52) - 1)
    _, is_healthy, failed = ask_binomial(allowed, requests, p, near)
    assert is_healthy == (near <= last)
    assert failed == failed_requests(requests, p, (near + 0.5) * 2.0**-52)


@settings(max_examples=300)
@given(
    requests=st.one_of(st.integers(0, 3000), st.integers(999_990, 1_000_010), st.just(1 << 40)),
    more=st.integers(0, 200),
    rate=st.fractions(0, 1, max_denominator=1000),
    of_rate=st.one_of(st.floats(0.2, 1.5), st.sampled_from([0.0, math.inf, math.nan])),
    idle=st.booleans(),
)
@example(1_000_001, 0, Fraction(999, 1000), 1.001, True)
def test_bounds_on_words_of_windows(requests: int, more: int, rate: Fraction, of_rate: float, idle: bool):
    """Bounds below which windows are surely healthy don't exceed the exact words, and are close where the cdf determines them. [oracle]"""
    policies = np.zeros(1, POLICY_RECORD)
    policies["rate_top"], policies["rate_bottom"], policies["idle_is_healthy"] = rate.numerator, rate.denominator, idle
    p = of_rate if math.isnan(of_rate) else min(float(rate) * of_rate, 1.0) if rate else 0.1
    allowed = min(int(rate * requests), max(requests - 1, 0))
    surely, between, least = ask_surely(policies, allowed, requests, requests + more, p)
    if math.isnan(p):
        assert between == -1
        return
    exact = ask_binomial(allowed, requests, p, 0)[0]
    close = math.ceil(3e-12 * 2**52)
    assert surely <= exact or p == 0
    assert between <= least or p == 0
    if requests <= 1_000_000:
        assert surely >= exact - close
    if requests + more <= 1_000_000 and rate * more < 6:
        assert between >= least - close


@settings(max_examples=300)
@given(total=st.integers(1, 60), share=st.fractions(0, 1, max_denominator=5000), reaches=st.booleans())
def test_a_percent_in_small_numbers_is_equivalent(total: int, share: Fraction, reaches: bool):
    """The reduced fraction of a limit is crossed at the same numbers of failed nodes as the exact one. [property]"""
    small, small_reaches = _exact_in_64_bits(share, total, reaches=reaches)
    assert small.denominator <= total

    def first_crossing(limit: Fraction, of: int, *, reaches: bool) -> int:
        """Return the fewest failed nodes that cross the limit, or one more than there are nodes."""
        whole, rest = divmod(limit.numerator * of, limit.denominator)
        return min(whole if reaches and rest == 0 else whole + 1, of + 1)

    for of in range(1, total + 1):
        ours = first_crossing(small, of, reaches=small_reaches)
        assert ours == first_crossing(share, of, reaches=reaches)


def assert_same(scenario: Scenario, *, replications: int = 5, seed: int = 3) -> Block:
    """Assert that both engines agree on every policy."""
    policies = list(scenario.policies.values())
    ours = run_compiled(scenario, policies, seed=seed, first=0, count=replications)
    theirs = run_block(scenario, policies, seed=seed, first=0, count=replications, engine="reference")
    for number in range(len(policies)):
        for place in range(replications):
            got, expected = ours.row(number, place), theirs.row(number, place)
            assert got.keys() == expected.keys()
            for name, value in expected.items():
                if isinstance(value, float):
                    assert got[name] == pytest.approx(value, rel=1e-9, abs=1e-6, nan_ok=True), name
                else:
                    assert got[name] == value, name
    return ours


def test_many_spells_need_more_memory(make_scenario: Callable[..., Scenario]):
    """A node that goes down thousands of times gets more memory than was allocated at first. [contract]"""
    crash = {"up": {"exponential": {"mean": 20}}, "repair": {"exponential": {"mean": 5}}}
    scenario = make_scenario(
        fleet={"nodes": 3, "crash": crash},
        release={"bad": {"probability": 1, "defective": True, "crash_rate": 3}},
        operator={"escape_detection": "10h"},
        orchestrator={"preset": "expanso", "unreachable_nodes": "wait"},
        policies={"p": {"health_check": {"min_healthy_time": "0s"}}},
    )
    block = assert_same(scenario, replications=3)
    assert block.numbers["unavailable_node_s"].min() > 0.3 * 3 * 10 * 3600


def test_beyond_the_end_of_time(make_scenario: Callable[..., Scenario]):
    """A rollout of more than 146 years fails in both engines with the same words, and affects no other replication. [contract]"""
    scenario = make_scenario(
        fleet={"nodes": 4, "update_duration": {"empirical": {"values": [1, 3.1e9]}}},
        policies={"p": {"max_parallel": 1, "health_check": {"deadline": "800000h", "min_healthy_time": "0s"}}},
    )
    block = assert_same(scenario, replications=12)
    codes = block.codes["status"][block.index[0]]
    assert 0 < sum(block.words["status"][code] == "failed" for code in codes) < 12
    place = next(place for place in range(12) if block.row(0, place)["status"] == "failed")
    assert block.codes["state"][block.index[0, place]] == -1
    with pytest.raises(SimulationError, match="146 years"):
        simulate(scenario, seed=3, replication=place, engine="compiled")


def test_sums_of_long_times(make_scenario: Callable[..., Scenario]):
    """Sums over many nodes and decades exceed 64 bits of nanoseconds, and are still right. [contract]"""
    scenario = make_scenario(
        fleet={"nodes": 300, "update_duration": {"uniform": {"low": 1e8, "high": 1e9}}, "start_failure": 0.1},
        policies={"p": {"max_parallel": 300, "max_failed_nodes": 300, "health_check": {"deadline": "800000h"}}},
    )
    block = assert_same(scenario)
    assert block.numbers["unavailable_node_s"].max() * 1e9 > 2.0**64


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_scenarios(path: Path):
    """Every policy of every shipped scenario has the same outcomes on both engines. [contract]"""
    scenario = read_scenario(path)
    assert_same(scenario, replications=2 if scenario.fleet.nodes > 500 else 6)


@pytest.mark.parametrize("name", ["small-fleet", "shared-service", "edge-offline"])
def test_prepared_tables_are_read_only(name: str):
    """A run writes into none of the tables that all replications share. [property]"""
    scenario = read_scenario(SCENARIOS / f"{name}.yaml")
    policies = list(scenario.policies.values())
    prepared = prepare_compiled(scenario, policies)
    before = [{table: array.tobytes() for table, array in lowered.tables.items()} for _, lowered in prepared.parts]
    assert any(tables["bundles"] for tables in before) or name != "small-fleet"
    how = {"seed": 5, "first": 3, "count": 4}
    blocks = [run_compiled(scenario, policies, prepared=ready, **how) for ready in (prepared, prepared, None)]
    for tables, (_, lowered) in zip(before, prepared.parts, strict=True):
        assert all(lowered.tables[table].tobytes() == content for table, content in tables.items())
    rows = [[block.row(0, place) for place in range(4)] for block in blocks]
    assert repr(rows[0]) == repr(rows[1]) == repr(rows[2])


@pytest.mark.parametrize("on_failure", ["rollback", "pause", "continue"])
@pytest.mark.parametrize("judged", ["at_once", "wave_end"])
def test_limits_that_nothing_crosses(on_failure: str, judged: str):
    """In a shared service, a rollout that crossed no limit is reused for all looser limits; others are simulated per policy. [property]"""
    raw = read_scenario(SCENARIOS / "shared-service.yaml").to_dict()
    raw["fleet"] |= {"nodes": 12, "start_failure": 0.1}
    raw["orchestrator"] = {"preset": "expanso-rollout", "on_failure": on_failure, "limits_judged": judged}
    scenario = Scenario.from_dict(raw)
    limits = [(0, 100), (5, 100), (1, 20), (12, 100), (2, 100), (1, 100), (3, 10), (2, 50)]
    policies = [
        scenario.policy({**raw["policies"][name], "max_failed_nodes": count, "max_failed_nodes_percent": percent})
        for name in raw["policies"]
        for count, percent in limits
    ]
    together = run_compiled(scenario, policies, seed=2, first=0, count=25)
    for number, policy in enumerate(policies):
        alone = run_compiled(scenario, [policy], seed=2, first=0, count=25)
        for place in range(25):
            assert repr(together.row(number, place)) == repr(alone.row(0, place))
    of_one_plan = together.index[: len(limits)]
    n_distinct = [len(np.unique(rows)) for rows in of_one_plan.T]
    assert min(n_distinct) == 1  # nothing failed
    assert max(n_distinct) > 3


def test_replications_that_fill_the_rows(make_scenario: Callable[..., Scenario]):
    """Blocks with more outcomes than are kept at once give the same rows as small ones. [contract]"""
    scenario = make_scenario(fleet={"update_duration": {"exponential": {"mean": 30}}})
    policies = list(scenario.policies.values())
    whole = run_compiled(scenario, policies, seed=1, first=0, count=9000)
    part = run_compiled(scenario, policies, seed=1, first=8500, count=300)
    expected = whole.numbers["makespan_s"][whole.index[0, 8500:8800]]
    assert whole.n_rows == 9000
    np.testing.assert_array_equal(part.numbers["makespan_s"][part.index[0]], expected)


def test_equal_outcomes_are_kept_once(make_scenario: Callable[..., Scenario]):
    """Policies that can't differ share their rows, as do limits that stop at the same failure. [contract]"""
    scenario = make_scenario(
        fleet={"nodes": 50, "start_failure": 0.2, "update_duration": {"exponential": {"mean": 30}}}
    )
    spec = scenario.to_dict()["policies"]["p"]
    policies = [
        scenario.policy({**spec, "max_failed_nodes": limit, "max_failed_nodes_percent": 100}) for limit in range(50)
    ]
    block = run_compiled(scenario, policies, seed=1, first=0, count=20)
    for place in range(20):
        n_failed = block.row(49, place)["failed_nodes"]
        assert len(set(block.index[:, place])) <= n_failed + 1
        assert len(set(block.index[n_failed:, place])) == 1
    # Another rule with the same outcomes for every node.
    patient = {**spec, "health_check": {**spec["health_check"], "deadline": "2h"}}
    both = run_compiled(scenario, [scenario.policy(spec), scenario.policy(patient)], seed=1, first=0, count=20)
    np.testing.assert_array_equal(both.index[0], both.index[1])


# -- when it is compiled, and which engine runs ------------------------------------------------------


def test_no_folder_for_compiled_code(monkeypatch: pytest.MonkeyPatch):
    """Without a writable folder, as in another user's container, code is still compiled. [contract]"""
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    assert entry(cache=True)(lambda x: x + 1)(1) == 2


def test_compiled_code_is_cached_by_its_sources(monkeypatch: pytest.MonkeyPatch):
    """A change in any source of compiled code changes its key in the cache. [contract]"""
    before = jit.source_number()
    read = Path.read_bytes
    constants = ("streams.py", "units.py", "vocabulary.py", "orchestrator.py", "gate.py", "release.py")
    for name in ("laws.py", "barrier.py", *constants):
        jit.source_number.cache_clear()
        monkeypatch.setattr(Path, "read_bytes", lambda path, name=name: read(path) + b" " * (path.name == name))
        assert jit.source_number() != before
    monkeypatch.undo()
    jit.source_number.cache_clear()
    assert jit.source_number() == before
    store, codegen = kernel._run._cache, kernel._run.targetctx.codegen()
    kept, name = store._index_key(kernel._SIGNATURE, codegen), store._cache_file._data_name(1)
    monkeypatch.setattr(jit, "source_number", lambda: before + 1)
    assert store._index_key(kernel._SIGNATURE, codegen) != kept
    assert store._cache_file._data_name(1) != name


def test_code_that_is_not_written_yet(compiled_engine: None, monkeypatch: pytest.MonkeyPatch):
    """Code that another process has indexed but not yet written counts as missing. [contract]"""
    assert jit.is_cached(kernel._run, kernel._SIGNATURE)
    monkeypatch.setattr(kernel._run._cache._cache_file, "_data_path", lambda name: f"{name} later")
    assert not jit.is_cached(kernel._run, kernel._SIGNATURE)


@pytest.mark.parametrize(
    ("kind", "damage"), [("nbi", "emptied"), ("nbi", "cut"), ("nbc", "emptied"), ("nbc", "cut"), ("nbc", "changed")]
)
def test_damaged_code_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, damage: str):
    """A truncated cache file, or one with a flipped bit, counts as missing, and is written again. [contract]"""
    module = tmp_path / "module.py"
    imported = "from simdeploy.engines.compiled.jit import entry\n"
    module.write_text(f"{imported}@entry(cache=True)\ndef add_one(x):\n    return x + 1\n")
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(tmp_path))

    def count_hits() -> int:
        add_one = runpy.run_path(str(module))["add_one"]
        assert add_one(1) == 2
        return sum(add_one.stats.cache_hits.values())

    assert count_hits() == 0
    assert count_hits() == 1
    (path,) = tmp_path.rglob(f"*.{kind}")
    written = path.read_bytes()
    middle = len(written) // 2
    changed = written[:middle] + bytes([written[middle] ^ 1]) + written[middle + 1 :]
    path.write_bytes({"emptied": b"", "cut": written[:middle], "changed": changed}[damage])
    assert count_hits() == 0
    assert count_hits() == 1


@pytest.mark.parametrize(
    ("node_updates", "compiling_s", "chosen"),
    [
        (1_000, 0, "reference"),
        (100_000, 0, "compiled"),
        (300_000, 20, "reference"),
        (500_000, 20, "compiled"),
        (10_000_000, 100, "compiled"),
    ],
)
def test_auto_takes_the_faster_engine(
    monkeypatch: pytest.MonkeyPatch, node_updates: int, compiling_s: float, chosen: str
):
    """Small jobs don't load the compiled engine, and medium ones don't wait longer for compilation than they take. [contract]"""
    monkeypatch.setattr(engine, "expect_compiling", lambda *_, **__: compiling_s)
    assert choice.choose_engine("auto", node_updates=node_updates) == chosen
    assert choice.choose_engine("compiled", node_updates=node_updates) == "compiled"


def test_tables_of_a_compiled_rollout(make_scenario: Callable[..., Scenario]):
    """A rollout of the compiled engine has its responses, and the tables of the same replication. [contract]"""
    scenario = make_scenario(fleet={"update_duration": {"exponential": {"mean": 30}}})
    ours, theirs = (simulate(scenario, seed=4, replication=9, engine=engine) for engine in ("compiled", "reference"))
    assert (ours.engine, theirs.engine) == ("compiled", "reference")
    assert ours.response_values["makespan_s"] == pytest.approx(theirs.response_values["makespan_s"], rel=1e-9)
    assert ours.events.equals(theirs.events)
    assert math.isnan(ours.responses["stopped_at_s"])


@pytest.mark.parametrize("name", ["shared-service", "subtle-defect", "edge-offline"])
def test_arrays_are_freed(compiled_engine: None, name: str):
    """Every array that compiled code allocates is freed. [contract]"""
    scenario = read_scenario(SCENARIOS / f"{name}.yaml")
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        run_compiled(scenario, list(scenario.policies.values()), seed=1, first=0, count=20)
        after = rtsys.get_allocation_stats()
    finally:
        _nrt_python.memsys_disable_stats()
    assert after.alloc > before.alloc
    assert after.alloc - before.alloc == after.free - before.free


def sum_up(table, first, last, least):
    """Do what the engine's functions do: count, look up, compare; rows by the first axis."""
    total = 0.0
    for row in range(first, last):
        ours = table[row]
        for column in range(len(ours)):
            total += max(ours[column], least) * (row + 1) + min(column, 1, row)
        for column in range(0, len(ours), 2):
            total -= table[row, column] ** 2
    return total


def refuse(number):
    if number < 0:
        raise ValueError
    return number


_sum_up, _refuse = compiled(sum_up), compiled(refuse)


@entry()
def ask_own(table, first, last, least):
    return _sum_up(table, first, last, least)


@compiled
def every_second(n):
    return range(1, n, 2)


@entry()
def mark_every_second(marks):
    for place in every_second(len(marks)):
        marks[place] = 1


def test_a_range_of_another_function_keeps_its_step() -> None:
    """Only a range made in the loop itself is assumed to have step 1. [contract]"""
    marks = np.zeros(6)
    mark_every_second(marks)
    assert marks.tolist() == [0, 1, 0, 1, 0, 1]


@entry()
def ask_refusal(number):
    return _refuse(_refuse(number) + 1)


@pytest.mark.parametrize(("first", "last"), [(0, 3), (1, 2), (2, 2), (2, 0), (0, -1)])
def test_own_instructions_match_python(first: int, last: int) -> None:
    """Loops, rows, maximum and minimum match Python, also for empty loops and NaN. [oracle]"""
    table = np.random.default_rng(5).normal(size=(3, 4))
    assert ask_own(table, first, last, 0.2) == pytest.approx(sum_up(table, first, last, 0.2), rel=1e-14)
    table[1, 2] = np.nan  # which max() keeps if it comes first
    assert ask_own(table, first, last, 0.2) == pytest.approx(sum_up(table, first, last, 0.2), rel=1e-14, nan_ok=True)


def test_a_function_that_can_fail_reports_it() -> None:
    """An error in a linked function reaches its caller. [contract]"""
    assert ask_refusal(3) == 4
    with pytest.raises(ValueError):
        ask_refusal(-1)


def test_numba_still_works_for_others(compiled_engine: None):
    """Numba's functions that were linked into the engine still serve other compiled functions. [contract]"""

    def add_up(n: int) -> float:
        values, whole = np.empty(n), np.zeros(n, np.int64)
        for i in range(n):
            values[i], whole[i] = max(i, 3) + min(i, 2), -i
        return values.sum() + whole[-1] + max(2.0, n)

    assert numba.njit(add_up)(10) == add_up(10)
    with shortcuts():  # in another thread
        assert numba.njit(add_up)(10) == add_up(10)
