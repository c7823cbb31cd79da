"""The compiled engine's work per node update with a gate, counted on any machine; and bounds that avoid exact statistics."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from interpreted import Interpreted
from scipy import special
from speed_cases import POLICY, bench_1000

from simdeploy.engines.compiled.engine import run_compiled

NODES = 100
SMALL = {"fleet.nodes": NODES, f"policies.{POLICY}.max_parallel": 20, f"policies.{POLICY}.max_failed_nodes": 20}
RANKS = {"kind": "baseline", "test": "mann_whitney"}
# Maximum per node update: blocks of Philox, steps of loops, and exact evaluations: single windows, numbers of failures
# from the cdf, and statistics.
MOST: dict[str, tuple[Any, int, tuple[float, float, float]]] = {
    "pooled": ("pooled", 20, (12.5, 150, 0)),
    "sprt": ("sprt", 20, (1.8, 48, 0)),
    "e_process": ("e_process", 20, (12.5, 150, 0)),
    "baseline": ("baseline", 20, (23, 182, 0)),
    "bayes": ("bayes", 20, (1.8, 48, 0.08)),
    "cusum": ("cusum", 20, (56, 217, 0)),
    "ranks": (RANKS, 20, (23, 190, 0)),
    "ranks of many requests": (RANKS, 10_000, (23, 258, 0.12)),
}
# Where exact evaluations happen, by module.
EXACT = {
    "ahead": ("see", "gather"),
    "running_watch": ("watch",),
    "at_once": ("failed_of_exactly", "failed_by_guess"),
    "judge": ("_log_evidence", "betaincc"),
}


@pytest.mark.parametrize("name", MOST)
def test_work_per_node_update(interpreted: Interpreted, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, steps and exact evaluations per node update stay within their bounds. [property]"""
    gate, requests_per_second, most = MOST[name]
    scenario = bench_1000(
        {**SMALL, "fleet.requests_per_second": requests_per_second, f"policies.{POLICY}.health_check.gate": gate}
    )
    exact = Counter[str]()
    for module, functions in EXACT.items():
        for function in functions:
            counted = _counted(exact, getattr(interpreted.modules[module], function))
            monkeypatch.setattr(interpreted.modules[module], function, counted)
    outcomes, index = interpreted.run(scenario)
    block = run_compiled(scenario, list(scenario.policies.values()), seed=0, first=0, count=1)
    for response in ("touched_nodes", "decision_requests"):
        np.testing.assert_array_equal(outcomes[response][index], block.numbers[response][block.index])
    assert block.numbers["touched_nodes"].tolist() == [NODES]
    counts = [interpreted.counts["blocks"], interpreted.counts["passes"], exact["exact"]]
    assert all(np.less_equal(np.array(counts) / NODES, most)), (np.array(counts) / NODES, most)


def _counted(counts: Counter[str], function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        counts["exact"] += 1
        return function(*arguments)

    return call


def test_a_posterior_is_judged_as_by_its_tail(interpreted: Interpreted) -> None:
    """The bound on a beta posterior's tail agrees with scipy's tail, and mostly decides. [oracle]"""
    judge, some = interpreted.modules["judge"], np.random.default_rng(0)
    exact = Counter[str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "betaincc", _counted(exact, judge.betaincc))
        for _ in range(500):
            gate = SimpleNamespace(gate_null=some.uniform(0.001, 0.5), gate_confidence=some.choice([0.6, 0.95, 0.999]))
            n = 10 ** some.uniform(0, 6)
            a = n * min(gate.gate_null * math.exp(some.normal(0, 1)), 0.99)
            above = special.betaincc(a, n - a, gate.gate_null)
            is_sure = (above >= gate.gate_confidence, 1 - above >= gate.gate_confidence)
            expected = {(True, False): judge.FAILS, (False, True): judge.PASSES, (False, False): judge.NO_VERDICT}
            assert judge._by_posterior(gate, a, n - a) == expected[is_sure]
    assert exact["exact"] < 250


def test_sufficient_evidence_is_never_missed(interpreted: Interpreted) -> None:
    """The bound on the evidence passes over no look at which it suffices, and decides most others. [property]"""
    judge, some = interpreted.modules["judge"], np.random.default_rng(0)
    n_spared = n_enough = 0
    for _ in range(500):
        null = some.choice([0.5, some.uniform(0.001, 0.3)])
        prior = special.betaln(0.5, 0.5) + math.log(special.betaincc(0.5, 0.5, null))
        gate = SimpleNamespace(gate_a=0.5, gate_b=0.5, gate_null=null, gate_prior=prior, gate_upper=3.0)
        requests = int(10 ** some.uniform(0, 6))
        mean, sd = requests * null, math.sqrt(requests * null * (1 - null))
        failed = int(np.clip(mean + sd * some.normal(1, 2), 0, requests))
        evidence = judge._log_evidence(gate, failed, requests)
        exact = Counter[str]()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(judge, "_log_evidence", _counted(exact, judge._log_evidence))
            assert judge._is_evident(gate, failed, requests) == (evidence >= 3)
        n_spared += exact["exact"] == 0
        n_enough += evidence >= 3
    assert n_enough > 25
    assert n_spared > 0.7 * (500 - n_enough)
