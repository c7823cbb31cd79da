"""Failed requests of many windows at once equal those of each window; accuracy of the quantile's expansion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from interpreted import Interpreted
from scipy import special
from speed_cases import bench_1000

from simdeploy.engines.compiled.binomial import expand
from simdeploy.world.binomial import binomial_cdf, failed_requests

# On both sides of every change of algorithm.
CASES = [
    (200, 0.004),
    (200, 0.0),
    (200, 1.0),
    (1000, 0.02),
    (1000, 0.049),
    (1000, 0.051),
    (1000, 0.3),
    (60, 0.97),
    (3, 0.5),
    (100_000, 0.004),
    (100_000, 0.9999),
    (1_000_000, 1e-5),
    (2_000_000, 0.3),
]


@pytest.fixture(scope="module")
def run(interpreted: Interpreted) -> Iterator[Any]:
    """The record of a run, with its tables kept alive."""
    kept, records = interpreted.begin(bench_1000({"fleet.nodes": 100, "policies.waves-of-100.max_failed_nodes": 20}))
    yield records[0]
    del kept


@pytest.mark.parametrize("variance", [4, 6, 9, 25, 100, 2500, 100_000])
def test_the_expansion_is_accurate(variance: float) -> None:
    """At every step of scipy's cdf the cubic's error is less than half of the allowed one. [oracle]"""
    some = 10 ** np.random.default_rng(0).uniform(-6, np.log10(0.5), 60)
    for p in [*some, *(1 - some), 0.5]:
        requests = int(np.ceil(variance / (p * (1 - p))))
        if requests > 1_000_000:
            continue
        c0, c1, c2, c3, exact = expand.py_func(requests, p)
        spread = 6 * np.sqrt(exact) + 8
        k = np.arange(max(0, int(requests * p - spread)), min(requests - 1, int(requests * p + spread)) + 1)
        below, above = special.betaincc(k + 1.0, requests - k, p), special.betainc(k + 1.0, requests - k, p)
        z = np.where(below < 0.5, special.ndtri(below), -special.ndtri(above))
        k, z = k[abs(z) <= 5], z[abs(z) <= 5]
        off = np.abs(c0 + z * (c1 + z * (c2 + z * c3)) - (k + 1))
        assert (off < 0.6 * (0.1 + 0.02 * z**4) / exact).all(), (requests, p)


def last_word_below(requests: int, p: float, k: int) -> int:
    """Return the last word whose uniform is not above the cdf at k."""
    return int(np.floor(binomial_cdf(k, requests, p) * 2.0**52 - 0.5))


@pytest.mark.parametrize(("requests", "p"), CASES)
def test_many_at_once_are_as_each_alone(interpreted: Interpreted, run: Any, requests: int, p: float) -> None:
    """Counts of many windows are those of each window, also if the level is only approximate. [property]"""
    modules, tables = interpreted.modules, interpreted.modules["tables"]
    words, counts = (modules["access"].counted(run)[row] for row in (tables.WINDOW_WORD, tables.COUNT))
    drawn = np.random.default_rng(1).integers(0, 1 << 52, size=64)
    drawn[:4] = 0, 1 << 22, (1 << 52) - (1 << 22), (1 << 52) - 1
    expected = [failed_requests(requests, p, (word + 0.5) * 2.0**-52) for word in drawn.tolist()]
    for off in (0.0, 2e-11):
        for near in (p,) if off == 0 else (p * (1 - 1e-11), p + (1 - p) * 1e-11):
            words[: len(drawn)] = drawn
            counts[:] = -7
            is_known = modules["at_once"].count_failed(run, len(drawn), requests, near, off)
            assert is_known or off > 0
            assert not is_known or counts[: len(drawn)].tolist() == expected


@pytest.mark.parametrize(("requests", "p"), [(200, 0.004), (1000, 0.02), (1000, 0.049), (200, 1e-18)])
def test_words_at_a_step_are_distinguished(interpreted: Interpreted, run: Any, requests: int, p: float) -> None:
    """The last word whose uniform is not above the cdf, and the next one, count as their uniforms do. [property]"""
    modules, tables = interpreted.modules, interpreted.modules["tables"]
    words, counts = (modules["access"].counted(run)[row] for row in (tables.WINDOW_WORD, tables.COUNT))
    steps = [last_word_below(requests, p, k) for k in range(int(requests * p), int(requests * p) + 12)]
    at_steps = np.clip([step + more for step in steps for more in (0, 1)], 0, (1 << 52) - 1)
    words[: len(at_steps)] = at_steps
    assert modules["at_once"].count_failed(run, len(at_steps), requests, p, 0.0)
    expected = [failed_requests(requests, p, (word + 0.5) * 2.0**-52) for word in at_steps.tolist()]
    assert counts[: len(at_steps)].tolist() == expected


def test_an_inaccurate_level_is_noticed(interpreted: Interpreted, run: Any) -> None:
    """A uniform at a step of the cdf is not decided by an approximate level. [property]"""
    modules = interpreted.modules
    words = modules["access"].counted(run)[modules["tables"].WINDOW_WORD]
    for requests, p in ((200, 0.004), (100_000, 0.004)):
        words[:8] = 1 << 51
        words[3] = last_word_below(requests, p, int(requests * p))
        assert modules["at_once"].count_failed(run, 8, requests, p, 0.0)
        assert not modules["at_once"].count_failed(run, 8, requests, p, 2e-11)
