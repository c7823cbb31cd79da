"""Replications up to a precision: targets, stopping, results, and coverage."""

import itertools
import json
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from invoking import invoke
from refusals import refused

from simdeploy.analysis.asking.allocating import plan_next
from simdeploy.analysis.estimates.estimating import ESTIMATE_COLUMNS, estimate
from simdeploy.analysis.estimates.precision import replicate_to_precision, sweep_to_precision
from simdeploy.analysis.estimates.targets import (
    Target,
    count_needed,
    parse_target,
    plan_looks,
    read_targets,
    why_not_yet,
)
from simdeploy.errors import InputError, SimdeployWarning
from simdeploy.experiments import replicate
from simdeploy.experiments.batches import read_batches
from simdeploy.experiments.by_kind import count_worlds
from simdeploy.experiments.design import LatinHypercube
from simdeploy.experiments.jobs import Job
from simdeploy.experiments.kinds import Kinds
from simdeploy.experiments.sweep import sweep
from simdeploy.result import read_computed_under
from simdeploy.scenario import Scenario
from simdeploy.scenario.measures import Measure, parse_measure
from simdeploy.statistics.estimators import estimate_cases, estimate_values
from simdeploy.statistics.sample import Lump, Sample, Strata, as_sample

RAW = {
    "name": "small",
    "fleet": {"nodes": 4, "update_duration": {"exponential": {"mean": 30}}, "start_failure": 0.05},
    "release": {"fine": {"probability": 0.7}, "bad": {"probability": 0.3, "defective": True, "start_failure": 0.3}},
    "costs": {"failed_request": 0, "unavailable_node_hour": 0, "hour_of_delay": 60, "false_alarm": 10, "escape": 100},
    "policies": {
        "waves": {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}},
        "at-once": {"strategy": "immediate"},
    },
}
VARY = {"max_parallel": [1, 2]}
REPETITIONS = 400
TARGETS = {"p50 makespan_s": "8s", "false_alarm given good": "8pp"}
QUICK = {"engine": "compiled", "most": 1000}


@pytest.fixture(scope="module")
def scenario():
    return Scenario.from_dict(RAW)


@pytest.fixture
def no_work(monkeypatch):
    """Fail if anything is simulated."""
    monkeypatch.setattr(Job, "run", lambda *_: pytest.fail("nothing is to be simulated"))


# -- targets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measure", "text", "half_width", "is_relative"),
    [
        ("makespan_s", "5", 5.0, False),
        ("p95 makespan_s", "2m", 120.0, False),
        ("makespan_s", "5%", 0.05, True),
        ("makespan_s", "5 % relative", 0.05, True),
        ("cost", "2.5", 2.5, False),
        ("escaped", "0.01", 0.01, False),
        ("escaped", "0.7pp", 0.007, False),
        ("blast_radius given defective", "10% relative", 0.1, True),
    ],
)
def test_half_widths_as_people_write_them(measure, text, half_width, is_relative):
    """A half-width is in the measure's unit, in percentage points, or relative. [contract]"""
    measure = parse_measure(measure)
    assert parse_target(text, measure) == Target(measure, half_width, is_relative)


@pytest.mark.parametrize(
    ("measure", "text", "message"),
    [
        ("escaped", "1%", "ambiguous percentage (found '1%'); allowed: 1pp (the same as 0.01), or"),
        ("escaped", "x%", "ambiguous percentage"),
        ("escaped", "5s", "invalid half-width (found '5s'); allowed: above 0: percentage points such as 1pp"),
        ("makespan_s", "1pp", "invalid half-width (found '1pp'); allowed: above 0: a half-width such as 5 or 5s"),
        ("makespan_s", "0s", "invalid half-width"),
        ("makespan_s", "-1", "invalid half-width"),
        ("makespan_s", "5 relative", "invalid half-width"),
        ("makespan_s", "100%", "invalid half-width"),
        ("makespan_s", "nan%", "invalid half-width"),
        ("cost", "inf", "invalid half-width"),
        ("waves", "", "invalid half-width"),
        ("waves", True, "invalid half-width"),
        ("waves", None, "invalid half-width"),
    ],
)
def test_invalid_half_widths(scenario, measure, text, message):
    """An invalid or ambiguous half-width is refused with the allowed forms. [contract]"""
    assert str(refused(read_targets, {measure: text}, [scenario])).startswith(f"{measure}: {message}")


@given(st.floats(0.001, 0.999), st.floats(0.01, 1e6), st.floats(-1, 1))
def test_a_relative_half_width_bounds_the_relative_error(gamma, truth, place):
    """If the interval covers, a half-width within the limit bounds the error by gamma times the truth. [property]"""
    # The estimate farthest from the truth that the limit allows: |e - truth| = limit(e), on either side.
    target = Target(Measure("cost"), gamma, is_relative=True)
    share = gamma / (1 + gamma)
    found = truth / (1 - place * share)
    assert abs(found - truth) <= target.limit(found) * (1 + 1e-9)
    assert abs(found - truth) <= gamma * truth * (1 + 1e-9)


@pytest.mark.parametrize(
    ("targets", "options", "message"),
    [
        ({}, {}, "targets: no target"),
        ("makespan_s=5s", {}, "targets: no target"),
        ({"makespan": 5}, {}, "did you mean 'makespan_s'"),
        ({"makespan_s": 5, "mean makespan_s": 4}, {}, "two targets for one measure"),
        ({"escaped given fnie": 0.1}, {}, "did you mean 'fine'"),
        ({"makespan_s": 5}, {"most": 99}, "most: out of range (found 99); allowed: a whole number from 100"),
        ({"makespan_s": 5}, {"most": 1e4}, "most: not a whole number"),
    ],
)
def test_invalid_arguments_are_refused_before_the_work(scenario, no_work, targets, options, message):
    """Invalid targets and arguments are reported before anything is simulated. [contract]"""
    assert message in str(refused(replicate_to_precision, scenario, targets=targets, **options))


RESTART = {"deployment": {"type": "restart"}, "release": None}
NEVER_BAD = {"release": {"fine": {"probability": 1}, "bad": {"probability": 0, "defective": True}}}


@pytest.mark.parametrize(
    ("change", "measure", "message"),
    [
        ({"costs": None}, "cost", "cost: the scenario has no costs"),
        (RESTART, "escaped", "escaped: a restart has no release"),
        (RESTART, "waves given good", "waves given good: a restart has no release"),
        ({"release": {"fine": {"probability": 1}}}, "escaped given defective", "no defective release"),
        (NEVER_BAD, "escaped given defective", "escaped given defective: the scenario has no defective release"),
    ],
)
def test_impossible_measures_are_refused(no_work, change, measure, message):
    """A measure that can have no value in this scenario would use up any budget, so it is refused. [contract]"""
    raw = {key: value for key, value in {**RAW, **change}.items() if value is not None}
    assert message in str(refused(replicate_to_precision, Scenario.from_dict(raw), targets={measure: 0.1}))


def test_scenarios_with_different_costs(scenario, no_work):
    """A cost needs scenarios with the same costs. [contract]"""
    other = Scenario.from_dict({**RAW, "name": "other", "costs": {**RAW["costs"], "escape": 1}})
    with pytest.raises(InputError, match="cost: the scenarios have different costs"):
        sweep_to_precision([scenario, other], "waves", targets={"cost": 5})


# -- stopping ----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_looks_do_not_depend_on_the_budget(most, more):
    """A larger budget begins with the same looks; each is 2 or 2.5 times the previous one. [property]"""
    looks = plan_looks(most)
    assert plan_looks(most + more)[: len(looks)] == looks
    assert all(after / before in (2, 2.5) for before, after in itertools.pairwise(looks))
    assert not looks or looks[-1] <= most < 2.5 * looks[-1]


def look(values, text, width):
    """Look once at values of a measure."""
    target = parse_target(width, parse_measure(text))
    found = estimate_values(np.asarray(values, float), target.measure, 0.95)
    return why_not_yet(np.asarray(values, float), found, target)


def test_why_a_target_is_not_reached():
    """A target is reached if the interval is narrow enough with enough values; otherwise there is a reason. [contract]"""
    level = np.tile([1.0, 3.0], 250)  # mean 2, standard error 0.0448, half-width 0.0879
    assert look(level, "cost", "0.09") == ""
    assert look(level, "cost", "0.0878") == "the interval is wider than requested"
    assert look(level[:499], "cost", "9") == "a mean needs at least 500 values; there are 499"
    assert "or all equal" in look([1.0] * 999, "cost", "0.001")
    assert look([1.0] * 1000, "cost", "0.001") == ""
    assert look([np.nan] * 500, "cost", "9") == "no replication has a value"
    assert look([0.0] * 500, "cost", "50%") == "the estimate is 0, so a relative width is undefined"
    assert look([0.0] * 500, "escaped", "50% relative") == "the estimate is 0, so a relative width is undefined"
    assert look(level[:71], "p95 cost", "9") == "71 values are too few for a confidence interval"
    assert look(level[:100], "p50 cost", "2") == ""
    assert look([0.0] * 184, "escaped", "0.01") == ""
    assert look([0.0] * 182, "escaped", "0.01") == "the interval is wider than requested"
    # One in a hundred: skewness 98 / sqrt(99).
    rare = np.tile([1.0] + [0.0] * 99, 24)
    needed = math.ceil(25 * 98**2 / 99)
    reason = f"a mean of values this skewed needs at least {needed:,}; there are 2,400"
    assert look(rare, "cost", "1") == reason
    assert look(np.tile(rare, 2), "cost", "1") == ""


def test_the_variance_may_be_underestimated():
    """The half-width of a mean must suffice even if the variance is one standard error larger. [oracle]"""
    values = np.random.default_rng(1).exponential(1, 1000)
    half_width = estimate_values(values, Measure("cost"), 0.95).half_width
    kurtosis = ((values - values.mean()) ** 4).mean() / values.var() ** 2
    needed = half_width * math.sqrt(1 + math.sqrt((kurtosis - 1) / 1000))
    assert needed > 1.02 * half_width
    assert look(values, "cost", str(needed * 1.0001)) == ""
    assert look(values, "cost", str(needed * 0.9999)) == "the interval is wider than requested"


def test_how_many_are_needed():
    """Half the half-width takes four times the replications; a relative one is compared with its own limit. [oracle]"""
    found = estimate_values(np.tile([1.0, 3.0], 250), Measure("cost"), 0.95)
    assert count_needed(1000, found, Target(Measure("cost"), found.half_width / 2)) == pytest.approx(4000)
    relative = Target(Measure("cost"), 0.25, is_relative=True)
    assert count_needed(1000, found, relative) == pytest.approx(1000 * (found.half_width / 0.4) ** 2)


LAWS = {
    "normal": (lambda rng, n: rng.normal(100, 30, n), "cost", 100, "3"),
    "exponential, absolute": (lambda rng, n: rng.exponential(1, n), "cost", 1, "0.1"),
    "exponential, relative": (lambda rng, n: rng.exponential(1, n), "cost", 1, "10%"),
    "lognormal": (lambda rng, n: rng.lognormal(0, 1, n), "cost", math.exp(0.5), "10%"),
    "rare cost": (lambda rng, n: 20 + 1000 * (rng.random(n) < 0.02), "cost", 40, "15"),
    "rare event": (lambda rng, n: 1.0 * (rng.random(n) < 0.01), "escaped", 0.01, "1pp"),
    "event, relative": (lambda rng, n: 1.0 * (rng.random(n) < 0.1), "escaped", 0.1, "20% relative"),
    "median": (lambda rng, n: rng.exponential(1, n), "p50 cost", math.log(2), "10%"),
    "p95": (lambda rng, n: rng.lognormal(0, 1, n), "p95 cost", math.exp(1.6448536269514722), "20%"),
}


@pytest.mark.parametrize("law", LAWS)
def test_coverage_of_the_interval_at_which_it_stops(law):
    """Stopped by its own width, a nominal 95 % interval covers at least 95 %, less binomial error. [oracle]"""
    draw, text, truth, width = LAWS[law]
    target = parse_target(width, parse_measure(text))
    looks, covered, used = plan_looks(5000), 0, set()
    rng = np.random.default_rng(21)
    going_on = np.array([draw(rng, looks[-1]) for _ in range(REPETITIONS)])
    for n in looks:
        found = estimate_cases(as_sample(going_on[:, :n]), target.measure, 0.95)
        rows = zip(going_on, found, strict=True)
        waits = np.array([bool(why_not_yet(row[:n], of_row, target)) for row, of_row in rows])
        waits &= n < looks[-1]
        covers = np.array([of_row.low <= truth <= of_row.high for of_row in found])
        covered += covers[~waits].sum()
        used |= set() if waits.all() else {n}
        going_on = going_on[waits]
        if not len(going_on):
            break
    assert covered >= REPETITIONS * 0.95 - 4 * math.sqrt(REPETITIONS * 0.95 * 0.05)
    assert used & set(looks[:-1])  # stopped by the width, not by the budget


# For a release that is defective once in a hundred or a thousand times: probability of a defect, its escape,
# its cost, and the target.
SKEWED = {
    "expensive escapes": (0.01, 0.05, 1e4, "cost", "9%"),
    "very rare defects": (1e-4, 0.02, 1e6, "cost", "30%"),
    "escapes": (1e-3, 0.02, 1e4, "escaped", "0.002pp"),
    "escapes of defective releases": (0.01, 0.3, 1e4, "escaped given defective", "3pp"),
}


def take_worlds(rng, kinds, numbers, escape, price, measure):
    """Draw costs of worlds of a good and a bad kind, and their escapes; return a measure of them."""
    n = [len(numbers.get(kind, ())) for kind in kinds.names]
    strata = Strata(np.repeat([0, 1], n), kinds.probabilities)
    escaped = np.concatenate([np.zeros(n[0]), rng.random(n[1]) < escape])
    values, lumps, n_expected = escaped, (), np.inf
    if measure.of == "cost":
        values = 20 * rng.lognormal(0, 0.5, sum(n)) + price * escaped
        lumps, n_expected = (Lump(np.array([0.0, price]), escaped, np.full(2, np.nan)),), float(min(n))
    elif measure.given is not None:
        values = np.where(strata.of == 1, escaped, np.nan)
    is_certain = np.array([measure.kind == "rate", False])
    return Sample(values, strata, np.array(n_expected), lumps, is_certain)


@pytest.mark.parametrize("problem", SKEWED)
def test_coverage_with_worlds_by_kind(problem):
    """With worlds allocated by earlier batches, and stopped by its own width, a nominal 95 % interval covers. [oracle]"""
    probability, escape, price, text, width = SKEWED[problem]
    kinds = Kinds(("good", "bad"), (False, True), np.array([1 - probability, probability]))
    measure = parse_measure(text)
    rate = escape * (1.0 if measure.given else probability)
    truth = 20 * math.exp(0.5**2 / 2) + price * rate if text == "cost" else rate
    target, looks, repetitions = parse_target(width, measure), plan_looks(5000), 500
    rng, n_covered, used = np.random.default_rng(31), 0, set()
    for _ in range(repetitions):
        taken, judged = {}, []
        for before, look in itertools.pairwise((0, *looks)):
            numbers = plan_next(kinds, kinds.possible, taken, judged, look - before)
            taken |= {kind: of.stop for kind, of in numbers.items()}
            more = take_worlds(rng, kinds, numbers, escape, price, measure)
            sample = judged[0][1][0].join(more) if judged else more
            found = estimate_values(sample, measure, 0.95)
            if not why_not_yet(sample, found, target):
                break
            judged = [(measure, sample[None])]
        assert sum(taken.values()) == look
        n_covered += found.low <= truth <= found.high
        used.add(look)
    assert n_covered >= repetitions * 0.93 - 4 * math.sqrt(repetitions * 0.93 * 0.07)
    assert used - {looks[-1]}  # stopped by the width, not by the budget


# -- results -----------------------------------------------------------------------------------------------------------


def test_it_equals_one_replicate(scenario):
    """Table and estimates are those of one call with the final number of worlds of each kind. [property]"""
    found = replicate_to_precision(scenario, targets=TARGETS, seed=4, **QUICK)
    assert found.is_reached
    assert found.n_replications in (200, 500, 1000)
    worlds = count_worlds(found.responses)
    assert sum(worlds.values()) == found.n_replications
    table = replicate(scenario, strata=worlds, seed=4, engine="compiled")
    pd.testing.assert_frame_equal(found.responses, table)
    assert found.responses.attrs == table.attrs
    assert found.computed_under == read_computed_under(table)
    expected = estimate(table, list(TARGETS)).estimates
    pd.testing.assert_frame_equal(found.estimates[["scenario", "policy", *ESTIMATE_COLUMNS]], expected)
    # One look earlier it was not.
    most = plan_looks(found.n_replications)[-2]
    before = replicate_to_precision(scenario, targets=TARGETS, seed=4, engine="compiled", most=most)
    assert before.n_replications < found.n_replications
    assert not before.is_reached


def test_it_equals_one_sweep(scenario, tmp_path):
    """In memory and in a folder it equals one sweep with the final number of worlds of each kind, in every case. [property]"""
    asked, key = (scenario, ["waves", "at-once"]), "scenario.fleet.start_failure"
    found = sweep_to_precision(*asked, targets=TARGETS, vary={key: (0.0, 0.1)}, **QUICK)
    stored = sweep_to_precision(*asked, targets=TARGETS, vary={key: iter([0.0, 0.1])}, store=tmp_path, **QUICK)
    worlds = count_worlds(found.responses)
    expected = sweep(*asked, vary={key: iter([0.0, 0.1])}, strata=worlds, engine="compiled")
    estimates = estimate(expected, list(TARGETS)).estimates[list(ESTIMATE_COLUMNS)]
    for one in (found, stored):
        assert one.n_replications == found.n_replications > 100
        pd.testing.assert_frame_equal(one.responses.to_frame(), expected.to_frame())
        pd.testing.assert_frame_equal(one.estimates[list(ESTIMATE_COLUMNS)], estimates)
    assert stored.responses.store == tmp_path
    read = read_batches(tmp_path)
    assert len(read) == 4 * found.n_replications
    pd.testing.assert_frame_equal(read.to_frame(["case", "weight"]), expected.to_frame(["case", "weight"]))
    assert found.estimates["case"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_ranges_of_a_hypercube_stay_ranges(scenario):
    """A pair is a range to a Latin hypercube, and its points are the same in every batch. [contract]"""
    asked = {"targets": {"makespan_s": "30%"}, "vary": {"scenario.fleet.start_failure": (0.0, 0.1)}}
    found = sweep_to_precision(scenario, "waves", design=LatinHypercube(3), **asked, **QUICK)
    assert found.estimates["scenario.fleet.start_failure"].between(0.001, 0.0999).all()
    assert found.n_replications > 100


def test_a_larger_budget_resumes(scenario, tmp_path, monkeypatch):
    """A call with a larger budget reads its folder, and simulates nothing if that is enough. [contract]"""
    asked = {"targets": TARGETS, "vary": VARY, "engine": "compiled", "store": tmp_path}
    first = sweep_to_precision(scenario, "waves", most=1000, **asked)
    assert first.n_replications > 100
    monkeypatch.setattr(Job, "run", lambda *_: pytest.fail("nothing is to be simulated"))
    again = sweep_to_precision(scenario, "waves", most=10**6, **asked)
    pd.testing.assert_frame_equal(again.estimates, first.estimates)


def test_a_folder_of_a_fixed_number(scenario, tmp_path):
    """A folder of a sweep with a fixed number of replications is refused. [contract]"""
    sweep(scenario, "waves", vary=VARY, replications=2, engine="compiled", store=tmp_path / "fixed")
    with pytest.raises(InputError, match="the folder contains a single sweep"):
        sweep_to_precision(scenario, "waves", targets=TARGETS, vary=VARY, store=tmp_path / "fixed", **QUICK)


def test_a_budget_that_is_too_small(scenario):
    """A call stops at the last look within its budget, and says what was not reached, why, and about how many are needed. [contract]"""
    asked = {"makespan_s": "1s", "escaped given defective": "30pp"}
    found = replicate_to_precision(scenario, targets=asked, most=999, engine="compiled", policies="waves")
    assert (found.n_replications, found.most) == (500, 999)
    assert found.estimates["is_reached"].tolist() == [False, True]
    assert found.estimates["reason"].tolist() == ["the interval is wider than requested", ""]
    row = found.estimates.iloc[0]
    assert row["n_needed"] == pytest.approx(500 * row["half_width"] ** 2)
    assert (row["target"], row["is_relative"], row["n_replications"]) == (1.0, False, 500)
    assert not found.is_reached
    document = found.to_dict()
    assert document["is_reached"] is False
    assert [row["is_hardest"] for row in document["estimates"]] == [True, False]
    assert (
        "1 of 2 estimates are not precise enough after 500 replications per policy (limit 999). "
        "Hardest: makespan for waves (the interval is wider than requested; about" in found.answer
    )
    (words,) = found.summarize()
    assert [row[-1] for row in words.rows] == ["no: the interval is wider than requested", "yes"]
    json.dumps(found.to_dict(), allow_nan=False)


def test_progress_covers_all_batches(scenario):
    """Progress counts the rollouts of all batches, out of those at the next look. [contract]"""
    progress = []
    found = replicate_to_precision(scenario, targets=TARGETS, progress=lambda *of: progress.append(of), **QUICK)
    totals = [2 * look for look in plan_looks(found.n_replications)]
    assert list(dict.fromkeys(total for _, total in progress)) == totals
    assert [done for done, _ in progress] == sorted(done for done, _ in progress)
    assert progress[-1] == (totals[-1], totals[-1])


def test_a_warning_is_given_once(scenario):
    """A warning of every batch is given once. [contract]"""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SimdeployWarning)
        found = sweep_to_precision(scenario, "waves", targets=TARGETS, vary={"max_failed_nodes": [3, 100]}, **QUICK)
    texts = [str(warning.message) for warning in caught]
    assert found.n_replications > 100
    assert texts
    assert len(set(texts)) == len(texts)


def test_failed_replications_are_left_out(scenario, monkeypatch):
    """Failed replications are warned about, counted, and in no estimate. [contract]"""
    run = Job.run

    def fail_later(job, span):
        return job.failed(span, "simulate", "broken") if span.first >= 100 else run(job, span)

    monkeypatch.setattr(Job, "run", fail_later)
    with pytest.warns(SimdeployWarning, match="200 of 400 replications failed"):
        found = replicate_to_precision(scenario, targets={"p50 makespan_s": "1s"}, most=200, engine="compiled")
    assert set(found.estimates["n_left_out"]) == {100}
    assert (found.estimates["n"] <= 100).all()


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "s.json").write_text(json.dumps(RAW))
    monkeypatch.chdir(tmp_path)


def compared(*arguments):
    """Run `simdeploy compare` in this process."""
    return invoke("compare", "s.json", "--engine", "compiled", *arguments)


ASKED = ("--precision", "p50 makespan_s=8s", "--precision", "false_alarm given good = 8pp", "--most", 1000)


def test_compare_says_how_many_it_took(folder, scenario):
    """`compare` prints the number of replications and each estimate, also as JSON. [contract]"""
    found = replicate_to_precision(scenario, targets=TARGETS, **QUICK)
    result = compared(*ASKED, "--out", "t.csv")
    assert result.exit_code == 0
    of_kinds = ", ".join(f"{kind} {n:,}" for kind, n in count_worlds(found.responses).items())
    n = f"{found.n_replications:,} replications of each policy ({of_kinds})"
    assert f"small: {n}, seed 0, engine compiled" in result.stdout
    assert f"{found.answer}\n" in result.stdout
    for row in found.summarize()[0].rows:
        assert all(word in result.stdout for cell in row for word in cell.split())  # a cell may be wrapped
    assert len(pd.read_csv("t.csv")) == 2 * found.n_replications
    document = json.loads(compared(*ASKED, "--json").stdout)["computed_under"]
    assert document["replications"] == found.n_replications
    assert document["precision"]["estimates"] == found.to_dict()["estimates"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "makespan_s"], "'makespan_s' is not MEASURE=WIDTH, such as 'makespan_s=5s'"),
        (["--precision", "=5s"], "is not MEASURE=WIDTH"),
        (["--precision", "makespan_s=5s", "--precision", "makespan_s=4s"], "duplicate measure 'makespan_s'"),
        (["--precision", "makespan_s=5s", "--replications", "10"], "--precision can't be combined with --replications"),
        (["--most", "500"], "--most needs --precision"),
        (["--precision", "makespan_s=5s", "--most", "50"], "most: out of range (found 50)"),
    ],
)
def test_compare_refuses_before_the_work(folder, no_work, arguments, message):
    """Invalid options are refused with exit code 2. [contract]"""
    result = compared(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
