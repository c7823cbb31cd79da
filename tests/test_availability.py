"""Alternating up and down times: stationary from time 0 on, and changed by updates as the model says."""

from __future__ import annotations

import math
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st

from simdeploy.units import MAX_DURATION_NS, NS_PER_S
from simdeploy.world.availability import CRASH_STREAMS, Alternating, Processes
from simdeploy.world.distributions import (
    Constant,
    Distribution,
    Empirical,
    Exponential,
    Lognormal,
    Uniform,
    Weibull,
    sample_ns,
)
from simdeploy.world.draws import Draws
from simdeploy.world.residual import Residual
from simdeploy.world.spells import SpellLaws
from simdeploy.world.streams import Stream, uniform

SEED = 8


def processes(good: Distribution, bad: Distribution, subjects: int = 50, seed: int = SEED) -> Processes:
    return Processes(Draws(seed, 0), np.arange(subjects), good, bad, CRASH_STREAMS)


def good_at_first(made: Processes, subjects: int = 50) -> list[int]:
    return [subject for subject in range(subjects) if not made.bad_at(subject, 0)]


def first_end(process: Alternating) -> int:
    """End of the good spell that runs at time 0."""
    return next(process.bad_spells(0, 1 << 62))[0]


@pytest.mark.parametrize("subject", range(20))
def test_spells_are_a_function_of_the_uniforms(subject: int) -> None:
    """Each spell is the quantile at the uniform of its number among its kind, the first one of the residual law. [property]"""
    good, bad = Weibull(300.0, 0.7), Lognormal(60.0, 1.0)
    process = processes(good, bad).of(subject)
    is_bad = uniform(SEED, 0, Stream.CRASH_STATE, subject) < bad.mean / (good.mean + bad.mean)
    laws = {False: (good, Stream.CRASH_UP), True: (bad, Stream.CRASH_REPAIR)}
    numbers = {False: 0 if not is_bad else 1, True: 0 if is_bad else 1}
    end, expected = 0, []
    for spell in range(9):
        law, stream = laws[is_bad]
        u = uniform(SEED, 0, stream, subject, numbers[is_bad])
        start, end = end, end + int(sample_ns(Residual(law) if spell == 0 else law, u))
        if is_bad:
            expected.append((start, end))
        numbers[is_bad] += 1
        is_bad = not is_bad
    assert list(process.bad_spells(0, end)) == expected


def test_lengths_in_blocks_are_those_one_by_one() -> None:
    """Computing lengths in blocks, once many subjects need them, changes none. [property]"""
    laws = [Weibull(300.0, 0.7), Lognormal(60.0, 1.0), Constant(0.1), Exponential(20.0)]
    places = [(subject, index, is_bad) for subject in range(1_500) for index in (1, 2) for is_bad in (False, True)]
    for good, bad in pairwise(laws):
        draws = Draws(SEED, 0)
        many = SpellLaws(draws, good, bad, CRASH_STREAMS, n_subjects=1_500)
        for place, (subject, index, is_bad) in enumerate(places):
            in_block = many.length_ns(subject, index, is_bad=is_bad)
            if place % 40 == 39:
                alone = SpellLaws(draws, good, bad, CRASH_STREAMS, n_subjects=1_500)
                assert in_block == alone.length_ns(subject, index, is_bad=is_bad)


@given(st.integers(0, 49), st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 900)), min_size=1, max_size=12))
def test_order_of_questions_changes_nothing(subject: int, asked: list[tuple[int, int]]) -> None:
    """Spells don't depend on the order or size of queries. [property]"""
    made = processes(Exponential(200.0), Uniform(0.0, 120.0))
    whole = list(made.undisturbed(subject).bad_spells(0, 6000 * NS_PER_S))
    for start_s, length_s in asked:
        start, end = start_s * NS_PER_S, (start_s + length_s) * NS_PER_S
        clipped = [(max(a, start), min(b, end)) for a, b in whole if max(a, start) < min(b, end)]
        assert list(made.bad_spells(subject, start, end)) == clipped
        assert made.bad_at(subject, start) == any(a <= start < b for a, b in whole)


LAWS = [
    (Exponential(200.0), Uniform(0.0, 120.0)),
    (Weibull(300.0, 0.7), Lognormal(60.0, 1.0)),
    (Constant(150.0), Exponential(90.0)),
    (Uniform(0.0, 500.0), Constant(0.0)),
]


@pytest.mark.parametrize(("good", "bad"), LAWS)
@pytest.mark.parametrize("changes", [False, True])
def test_spells_of_all_subjects_at_once(good: Distribution, bad: Distribution, changes: bool) -> None:
    """Spells of all subjects together are those of each, with and without changes to some. [property]"""
    made, end = processes(good, bad), 3000 * NS_PER_S
    for subject in range(0, 50, 3) if changes else ():
        made.of(subject).renew(100 * NS_PER_S)
        made.of(subject).set_rate(400 * NS_PER_S, 3.0)
    for undisturbed in (True, False):
        of = made.undisturbed if undisturbed else made.of
        expected = [(subject, *spell) for subject in range(50) for spell in of(subject).bad_spells(0, end)]
        rows = np.column_stack(made.all_bad_spells(end, undisturbed=undisturbed)).tolist()
        assert sorted(tuple(row) for row in rows if row[1] < row[2]) == expected


def test_spells_are_half_open() -> None:
    """A bad spell includes its first instant but not its last, which is good again. [contract]"""
    process = processes(Exponential(100.0), Exponential(100.0)).of(3)
    start, end = next(spell for spell in process.bad_spells(0, 10_000 * NS_PER_S) if spell[0] > 0)
    assert [process.bad_at(t) for t in (start - 1, start, end - 1, end)] == [False, True, True, False]
    assert (process.good_again(start), process.good_again(end)) == (end, end)
    assert list(process.bad_spells(start, start)) == []


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (Weibull(1000.0, 0.6), Lognormal(400.0, 1.2)),
        (Constant(600.0), Exponential(300.0)),
        (Uniform(0.0, 900.0), Constant(450.0)),
    ],
    ids=["weibull-lognormal", "constant-exponential", "uniform-constant"],
)
@pytest.mark.parametrize("t_s", [0, 137, 5000])
def test_stationary_at_any_time(good: Distribution, bad: Distribution, t_s: int) -> None:
    """The fraction of bad subjects is mean bad / (mean good + mean bad), at time 0 and later, whatever the laws. [oracle]"""
    subjects = 9000
    made = processes(good, bad, subjects)
    is_bad = np.array([made.bad_at(subject, t_s * NS_PER_S) for subject in range(subjects)])
    truth = bad.mean / (good.mean + bad.mean)
    standard_error = math.sqrt(truth * (1 - truth) / subjects)
    assert standard_error <= 0.02 * truth
    assert abs(is_bad.mean() - truth) <= 4 * standard_error


@pytest.mark.parametrize("rate", [0.25, 3.0])
def test_rate_scales_the_rest_of_an_exponential_time(rate: float) -> None:
    """During a change an exponential time runs `rate` times as fast, and afterwards at its own pace. [oracle]"""
    made = processes(Exponential(1000.0), Exponential(10.0))
    for subject in good_at_first(made):
        end = first_end(made.undisturbed(subject))
        t1, t2 = end // 4, end // 3
        process = made.of(subject)
        process.set_rate(t1, rate)
        assert first_end(made.of(subject)) == pytest.approx(t1 + (end - t1) / rate, rel=1e-9)
    made = processes(Exponential(1000.0), Exponential(10.0))
    for subject in good_at_first(made):
        end = first_end(made.undisturbed(subject))
        t1, t2 = end // 8, end // 5
        process = made.of(subject)
        process.set_rate(t1, rate)
        process.set_rate(t2, 1.0)
        assert first_end(process) == pytest.approx(t2 + (end - t1) - rate * (t2 - t1), rel=1e-9)


@pytest.mark.parametrize("rate", [0.5, 6.0])
@pytest.mark.parametrize("law", [Weibull(500.0, 0.8), Empirical([0.0, 200.0, 400.0])], ids=["weibull", "0 s at times"])
def test_rate_raises_the_survival_to_its_power(law: Distribution, rate: float) -> None:
    """A good spell renewed at another rate, and the next one, have their survival raised to the power of the rate. [oracle]"""
    made = processes(law, Constant(10.0))
    for subject in good_at_first(made):
        t = first_end(made.undisturbed(subject)) // 2
        process = made.of(subject)
        process.renew(t, rate)
        for number in (1, 2):
            u = uniform(SEED, 0, Stream.CRASH_UP, subject, number)
            expected = law.inverse_survival((1 - u) ** (1 / rate))
            ended = next(process.bad_spells(t, 1 << 62))[0]
            assert ended - t == pytest.approx(expected * NS_PER_S, rel=1e-9, abs=2)
            t = ended + 10 * NS_PER_S


def test_rate_holds_for_the_spells_that_follow() -> None:
    """Up times after a repair run at the changed rate, too; repairs are unchanged. [oracle]"""
    made = processes(Exponential(1000.0), Exponential(10.0))
    for subject in good_at_first(made):
        process = made.of(subject)
        process.set_rate(0, 10.0)
        (_, repaired), (again, _) = islice(process.bad_spells(0, 1 << 62), 2)
        up_s = Exponential(100.0).quantile(uniform(SEED, 0, Stream.CRASH_UP, subject, 1))
        assert again - repaired == pytest.approx(up_s * NS_PER_S, rel=1e-9, abs=2)


def test_rate_0_suspends_crashes() -> None:
    """At rate 0 nothing crashes; afterwards the remaining time continues, or is 0 where the law ends earlier. [oracle]"""
    made = processes(Exponential(1000.0), Exponential(10.0))
    subject = good_at_first(made)[0]
    end = first_end(made.undisturbed(subject))
    process = made.of(subject)
    process.set_rate(end // 2, 0.0)
    assert not any(process.bad_spells(0, MAX_DURATION_NS // 2))
    process.set_rate(3 * end, 1.0)
    assert first_end(process) == pytest.approx(3 * end + end - end // 2, rel=1e-9)

    made = processes(Uniform(0.0, 100.0), Exponential(10.0))
    subject = good_at_first(made)[0]
    process = made.of(subject)
    process.set_rate(0, 0.0)
    process.set_rate(500 * NS_PER_S, 1.0)
    assert first_end(process) == 500 * NS_PER_S


def test_renewal_begins_a_new_up_time() -> None:
    """A renewed good spell lasts for a new time from the next uniform; a bad spell is unchanged. [property]"""
    law = Weibull(500.0, 3.0)
    made = processes(law, Exponential(100.0))
    for subject in good_at_first(made):
        t = first_end(made.undisturbed(subject)) // 2
        made.of(subject).renew(t)
        new = int(sample_ns(law, uniform(SEED, 0, Stream.CRASH_UP, subject, 1)))
        assert first_end(made.of(subject)) == t + new
        before = list(made.undisturbed(subject).bad_spells(0, 10**12))
        in_repair = before[0][0]
        process = made.undisturbed(subject)
        process.renew(in_repair)
        assert list(process.bad_spells(0, 10**12)) == before


def test_change_forgets_a_future_that_was_looked_at() -> None:
    """Looking ahead before a change doesn't affect what follows it. [property]"""
    for change in ("renew", "set_rate"):
        ahead = processes(Weibull(300.0, 0.7), Exponential(50.0))
        plain = processes(Weibull(300.0, 0.7), Exponential(50.0))
        for subject in range(50):
            list(ahead.of(subject).bad_spells(0, 10**13))
            for made in (ahead, plain):
                arguments = (200 * NS_PER_S,) if change == "renew" else (200 * NS_PER_S, 4.0)
                getattr(made.of(subject), change)(*arguments)
            later = (0, 2 * 10**12)
            assert list(ahead.of(subject).bad_spells(*later)) == list(plain.of(subject).bad_spells(*later))
