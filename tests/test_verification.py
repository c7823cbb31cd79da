"""Verification: every closed form is checked, both engines pass, and a broken engine doesn't."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from simdeploy import Scenario
from simdeploy.engines.compiled import engine as compiled_engine
from simdeploy.engines.reference import engine as reference_engine
from simdeploy.errors import InputError, Problem
from simdeploy.validation import oracles
from simdeploy.validation.verification import verify, verifying
from simdeploy.validation.verification.rules import limits, pacing
from simdeploy.validation.verification.verifying import make_cases
from simdeploy.world.realized import World

# Why a closed form has no case.
NOT_HELD: dict[str, str] = {
    "wald_approximation": "it is approximate; held against the exact recursion",
    "top_probability": "of a chain, which splitting is tried on",
    "ishigami": "no rollout",
    "ishigami_indices": "no rollout",
    "SobolIndices": "no mean of a rollout; held where sensitivity is estimated",
    "rollout_time_indices": "no mean of a rollout; held where sensitivity is estimated",
}


@pytest.fixture(scope="module")
def verified():
    """Return the result of the example on the page about checks."""
    return verify(replications=100)


def test_every_closed_form_is_checked():
    """Every name of `oracles` has a case or a reason why not; no case names another. [contract]"""
    held = {name for case in make_cases() for name in case.oracles}
    assert held | set(NOT_HELD) == set(oracles.__all__)
    assert not held & set(NOT_HELD)


def test_cases_of_one_name_are_one_scenario():
    """Quantities of one case come from the same scenario, and are adjacent. [contract]"""
    names = [case.name for case in make_cases()]
    assert [name for place, name in enumerate(names) if name not in names[:place]] == list(dict.fromkeys(names))
    for case in make_cases():
        assert all(other.scenario == case.scenario for other in make_cases() if other.name == case.name)
    assert sum(one != other for one, other in pairwise(names)) + 1 == len(set(names))


@pytest.mark.slow
def test_both_engines_pass(verified, repository):
    """Both engines are within four standard errors of every closed form, and equal in every rollout, as the page says. [oracle]"""
    assert verified.is_ok, verified.comparisons[~verified.comparisons["ok"]]
    assert verified.comparisons["distance"].max() <= 4
    assert len(verified.comparisons) == 2 * len(make_cases())
    assert verified.agreement["rollouts"].eq(100).all()
    assert verified.agreement["different"].eq(0).all()
    n, rollouts = len(verified.comparisons), f"{100 * len(verified.agreement):,}"
    expected = f"Both engines agree with the closed forms in all {n} comparisons, and with each other in all {rollouts} rollouts."
    assert verified.answer == expected
    page = (repository / "docs" / "checks.md").read_text(encoding="utf-8")
    assert f"$ simdeploy verify --replications 100 | head -1\n{expected}\n" in page


@pytest.mark.parametrize(
    ("missed", "apart", "words"),
    [
        ([], False, "Both engines agree with the closed forms in all "),
        (["compiled"], False, "Verification failed: the compiled engine missed "),
        ([], True, "Verification failed: the engines differ in 3 of "),
    ],
)
def test_verdicts_are_data(verified, missed, apart, words):
    """Every verdict of the answer is in to_dict(), and the words follow from it. [contract]"""
    comparisons, agreement = verified.comparisons.copy(), verified.agreement.copy()
    comparisons["ok"] = ~comparisons["engine"].isin(missed)
    if apart:
        agreement.loc[0, ["different", "ok"]] = [3, False]
    made = replace(verified, comparisons=comparisons, agreement=agreement, is_ok=not (missed or apart))
    document = made.to_dict()
    rows = [*document["comparisons"], *document["agreement"]]
    assert document["is_ok"] == all(row["ok"] for row in rows) == (not (missed or apart))
    assert made.answer.startswith(words)


def test_the_comparisons_are_sharp(verified):
    """Standard errors of the compiled engine are at most 5 % of the closed form, and 0 for constants. [property]"""
    rows = verified.comparisons[verified.comparisons["engine"].eq("compiled")]
    assert (rows["standard_error"] <= 0.05 * rows["closed_form"]).all()
    exact = rows[rows["standard_error"].eq(0)]
    constants = ["failed nodes", "failed nodes", "makespan, s", "requests of windows", "requests lost"]
    assert exact["quantity"].tolist() == [*constants, "lowest capacity / demand"]
    assert exact["closed_form"].head(3).tolist() == [4.0, 3.0, 435600.0]
    assert exact["estimate"].tolist() == pytest.approx(exact["closed_form"].tolist(), rel=1e-9)


def test_the_chance_of_a_false_alarm(verified):
    """The probability of a false alarm is that of one comparison beyond four standard errors, times the number of varying means. [oracle]"""
    from scipy.stats import norm

    n = int(verified.comparisons["standard_error"].gt(0).sum())
    assert verified.false_alarm_probability == pytest.approx(n * 2 * norm.sf(4))


def test_distances_are_those_of_a_normal_law(verified):
    """The mean square of the compiled engine's distances is 1, within 4 of its errors. [oracle]"""
    rows = verified.comparisons[
        verified.comparisons["engine"].eq("compiled") & verified.comparisons["standard_error"].gt(0)
    ]
    squares = rows["distance"] ** 2
    # The square of a normal variable has variance 2; verdicts of one case are slightly dependent.
    assert abs(squares.mean() - 1) <= 4 * np.sqrt(2 / len(squares))


# -- engines that are broken -------------------------------------------------------------------------------------------


@pytest.fixture
def few_cases(monkeypatch):
    """Verify two subjects, because the reference engine is slow."""
    monkeypatch.setattr(verifying, "make_cases", lambda: (*pacing()[:2], *limits()[2:4]))


def wrong_cases(found):
    rows = found.comparisons[found.comparisons["ok"].eq(other=False)]
    return {(row["engine"], row["quantity"]) for row in rows.to_dict("records")}


def test_a_broken_reference_engine_is_found(few_cases, monkeypatch):
    """Waves with one more node shorten the makespan, which closed form and other engine both detect. [oracle]"""
    plan = reference_engine.plan_waves

    def mutated(policy, orchestrator, total):
        from dataclasses import replace

        wider = replace(policy, max_parallel=policy.max_parallel + 1) if policy.max_parallel else policy
        return plan(wider, orchestrator, total)

    monkeypatch.setattr(reference_engine, "plan_waves", mutated)
    found = verify(replications=100)
    assert not found.is_ok
    assert ("reference", "makespan, s") in wrong_cases(found)
    assert not any(engine == "compiled" for engine, _ in wrong_cases(found))
    assert found.answer.startswith("Verification failed: the reference engine missed ")
    assert "the engines differ in" in found.answer
    assert not found.to_dict()["is_ok"]
    assert found.summarize()[1].title == "Where the engines differ"


def test_a_small_mistake_of_one_engine_is_found_by_the_other(few_cases, monkeypatch):
    """A start that lasts a millionth longer is within every standard error, but no rollout is equal. [oracle]"""
    start_ns = World.start_ns
    monkeypatch.setattr(
        World, "start_ns", lambda world, node, attempt: round(start_ns(world, node, attempt) * 1.000001)
    )
    found = verify(replications=100)
    assert not found.is_ok
    assert not wrong_cases(found)
    row = found.agreement.iloc[0]
    assert (row["rollouts"], row["different"]) == (100, 100)
    assert row["note"].startswith("replication 0, makespan_s: ")


def test_a_broken_compiled_engine_is_found(few_cases, monkeypatch):
    """An engine that counts one failed node too many misses exact values, and others. [oracle]"""
    run = compiled_engine.run_compiled

    def mutated(*args, **more):
        block = run(*args, **more)
        block.numbers["failed_nodes"][:] += 1
        return block

    monkeypatch.setattr(compiled_engine, "run_compiled", mutated)
    found = verify(replications=100)
    assert ("compiled", "failed nodes") in wrong_cases(found)
    assert not any(engine == "reference" for engine, _ in wrong_cases(found))
    row = found.comparisons[found.comparisons["quantity"].eq("failed nodes")].iloc[0]
    assert row["distance"] == np.inf


def test_an_exception_of_an_engine_is_a_failure(few_cases, monkeypatch):
    """An exception, of the whole call or of single rollouts, is in its rows. [contract]"""

    def mutated(*_, **__):
        raise TypeError("no such\ninstruction")

    monkeypatch.setattr(compiled_engine, "run_compiled", mutated)
    monkeypatch.setattr("simdeploy.engines.reference.engine.run_reference", mutated)
    found = verify(replications=100)
    assert not found.is_ok
    assert found.comparisons["ok"].eq(other=False).all()
    notes = found.comparisons.groupby("engine")["note"].unique()
    assert notes["compiled"].tolist() == ["TypeError: no such instruction"]
    assert notes["reference"].tolist() == ["100 rollouts failed; the first: TypeError: no such instruction"]
    assert "NO: TypeError" in found.summarize()[0].rows[0][-1]


def test_without_numba_the_rows_say_so(few_cases, monkeypatch):
    """Without numba the compiled engine is not tried, which is reported and no error. [contract]"""
    missing = Problem("numba is not installed")
    monkeypatch.setattr("simdeploy.validation.verification.verifying.why_not_compiled", lambda: missing)
    found = verify(replications=100)
    rows = found.comparisons[found.comparisons["engine"].eq("compiled")]
    assert rows["ok"].isna().all()
    assert rows["note"].eq("numba is not installed").all()
    assert found.is_ok
    assert found.answer.startswith("The reference engine agrees with the closed forms in all ")
    assert found.answer.endswith("The compiled engine was not tried: numba is not installed.")
    assert found.summarize()[0].rows[0][-1] == "not tried: numba is not installed"
    alone = verify(replications=100, engines="compiled")
    assert alone.answer == "The compiled engine was not tried: numba is not installed."


def test_scenarios_are_valid():
    """Every case is a valid scenario. [contract]"""
    for case in make_cases():
        assert Scenario.from_dict(case.scenario).name == case.name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"replications": 99}, "too few"),
        ({"replications": 0}, "^replications: "),
        ({"seed": -1}, "^seed: "),
        ({"engines": "refrence"}, "did you mean 'reference'"),
        ({"engines": ["auto"]}, "no such engine"),
        ({"engines": []}, "no engine"),
    ],
)
def test_bad_arguments(arguments, message):
    """Invalid arguments are refused with a message. [contract]"""
    with pytest.raises(InputError, match=message):
        verify(**arguments)
