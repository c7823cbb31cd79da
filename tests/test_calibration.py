"""Calibration: fitted parameters, their intervals, and what records can't determine."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from coverage_of_calibrations import count_covered, export, list_truths
from elsewhere import Elsewhere
from invoking import invoke
from matplotlib.figure import Figure
from recorded_fleets import RecordedFleet
from refusals import refused
from scipy import integrate, special, stats

import simdeploy
from simdeploy import Records, Scenario
from simdeploy.analysis.calibration.attempts import read_attempts
from simdeploy.analysis.calibration.constants import find_constant
from simdeploy.analysis.calibration.parameters import find_drop
from simdeploy.analysis.calibration.requests import fit_error_rate, fit_mean_rate
from simdeploy.analysis.calibration.resampling import draw_rollouts
from simdeploy.analysis.calibration.starts import fit_fraction
from simdeploy.plotting import plot_calibration
from simdeploy.records import make_table
from simdeploy.statistics.beta_binomial import BetaBinomial
from simdeploy.statistics.censored import Durations
from simdeploy.statistics.maximizing import maximize, profile
from simdeploy.statistics.shared_scale import HANG, LEAST_LOG, SPREAD, SharedScale

SMALL = RecordedFleet(nodes=30)


def fit(records, **how):
    """Calibrate without testing families."""
    return simdeploy.calibrate(records, **{"goodness_samples": 0, **how})


def rows_of(calibration):
    """Return the parameters by path."""
    return calibration.parameters.set_index("path")


def find(found, path):
    """Return the row of a fraction, which is constant or varies."""
    return found.loc[path if path in found.index else f"{path}.beta.mean"]


def assert_found(row, truth, path=""):
    """Assert that a truth is within twice a parameter's interval, about four standard errors."""
    assert 2 * row["low"] - row["estimate"] <= truth <= 2 * row["high"] - row["estimate"], path


def with_tables(records, **tables):
    """Return records with other tables, which may lack columns."""
    return replace(records, **{name: make_table(name, table) for name, table in tables.items()})


@pytest.fixture(scope="module")
def records():
    """Draw a history of 25 rollouts."""
    return SMALL.draw(25, 1)


@pytest.fixture(scope="module")
def calibration(records):
    """Fit it, and test the families."""
    return simdeploy.calibrate(records)


# -- likelihoods -------------------------------------------------------------------------------------------------------


def test_beta_binomial_is_scipys():
    """The likelihood is that of scipy's distribution, also where it is nearly binomial, or all or nothing. [oracle]"""
    counted, total = np.array([0, 3, 1, 3, 40]), np.array([20, 20, 30, 20, 90])
    model = BetaBinomial(counted, total)
    for mean, sd in ((0.1, 0.05), (0.3, 0.2), (0.2, 0.0005), (0.2, 1e-6), (0.2, 0.399), (1e-6, 1e-6)):
        size = mean * (1 - mean) / sd**2 - 1
        expected = (
            stats.betabinom.logpmf(counted, total, mean * size, (1 - mean) * size)
            if size < 1e8
            else stats.binom.logpmf(counted, total, mean)
        ).sum() - sum(math.log(math.comb(n, k)) for n, k in zip(total.tolist(), counted.tolist(), strict=True))
        found = model(np.array([[math.log(mean / (1 - mean)), -math.log(size)]]))[0]
        assert found == pytest.approx(expected, rel=1e-7)


FRACTIONS = [
    ([30] + [0] * 9, 30),
    ([30] * 9 + [0], 30),
    ([5, 5, 5, 0, 0, 0], 5),
    ([20, 20] + [0] * 10, 20),
    ([10] + [0] * 11, 40),
    ([39, 1, 39, 1, 39, 1], 40),
    ([1] + [0] * 19, 30),
    ([2, 3, 1, 4, 2, 3, 0, 5], 40),
    ([2, 9, 0, 5, 3, 7], 40),
    ([572, 583, 567, 573, 547], 1000),
]


@pytest.mark.parametrize(("counted", "total"), FRACTIONS)
def test_fractions_are_those_of_a_dense_grid(counted, total):
    """Estimates and limits of mean and spread are those of scipy's likelihood on a grid of all distributions. [oracle]"""
    n = len(counted)
    found = fit_fraction("f", np.array(counted), np.full(n, total), n_nodes=1, confidence_level=0.95)
    mean = special.expit(np.arange(-13, 9, 0.05))[:, None]
    size = np.geomspace(1e-4, 1e8, 240)
    sd = np.sqrt(mean * (1 - mean) / (1 + size))
    value = sum(
        times * stats.betabinom.logpmf(k, total, mean * size, (1 - mean) * size)
        for k, times in zip(*np.unique(counted, return_counts=True), strict=True)
    )
    is_inside = value >= value.max() - find_drop(n, 0.95)
    grids = [np.broadcast_to(mean, value.shape), sd]
    for parameter, grid in zip(found, grids, strict=True):
        assert parameter.estimate == pytest.approx(grid.flat[value.argmax()], rel=0.08, abs=2e-4)
        limits = (grid[is_inside].min(), grid[is_inside].max())
        assert (parameter.low, parameter.high) == pytest.approx(limits, rel=0.08, abs=2e-4)


LAWS = {
    "exponential": lambda shape, scale: stats.expon(scale=scale),
    "weibull": lambda shape, scale: stats.weibull_min(shape, scale=scale),
    "lognormal": lambda shape, scale: stats.lognorm(shape, scale=scale),
    "gamma": lambda shape, scale: stats.gamma(shape, scale=scale / shape),
}


@pytest.mark.parametrize("family", LAWS)
@pytest.mark.parametrize("spread", [0.02, 0.3, 1.0])
def test_the_integral_over_slowdowns(family, spread):
    """The likelihood of censored durations with a shared slowdown and hangs is the integral of scipy's densities. [oracle]"""
    times, ended, shape, scale, hang = np.array([30.0, 41.0, 70.0, 90.0]), np.array([1, 1, 1, 0], bool), 1.7, 50.0, 0.05
    data = Durations(np.array([0, 0, 1, 1]), times, np.ones(4, int), ended)
    found = SharedScale(family, data)(np.log([[scale, shape, spread, hang]]))[0]

    law = LAWS[family](shape, scale)

    def density(z, rows):
        slowdown = math.exp(spread * z)
        usual, is_ended = times[rows] / slowdown, ended[rows]
        each = np.where(is_ended, (1 - hang) * law.pdf(usual) / slowdown, hang + (1 - hang) * law.sf(usual))
        return math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * each.prod()

    expected = sum(math.log(integrate.quad(density, -9, 9, args=(rows,), limit=200)[0]) for rows in ([0, 1], [2, 3]))
    # Groups of two nodes have a wide integrand; for larger ones the quadrature is more accurate.
    assert found == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("family", ["exponential", "gamma"])
def test_several_attempts_are_a_sum(family):
    """The time of three gamma attempts is gamma; a fourth that is under way is censored. [oracle]"""
    shape, scale = (1.0, 50.0) if family == "exponential" else (1.7, 50.0)
    data = Durations(np.array([0, 1]), np.array([100.0, 150.0]), np.array([3, 4]), np.array([True, False]))
    found = SharedScale(family, data)(np.array([[math.log(scale), math.log(shape), LEAST_LOG, -30.0]]))[0]
    third, fourth = (stats.gamma(n * shape, scale=scale / shape) for n in (3, 4))
    assert found == pytest.approx(third.logpdf(100) + math.log(third.cdf(150) - fourth.cdf(150)), rel=1e-5)


@pytest.mark.parametrize(("family", "shape"), [("weibull", 1.5), ("lognormal", 0.5)])
def test_sums_of_other_families_are_close(family, shape):
    """The approximate law for sums of two Weibull or lognormal times fits 5,000 sums without bias. [oracle]"""
    law = LAWS[family](shape, 50.0)
    sums = law.rvs((5000, 2), random_state=3).sum(axis=1)
    model = SharedScale(family, Durations(np.arange(5000), sums, np.full(5000, 2), np.ones(5000, bool)))
    best = model.fit(np.array([4.0, 0.0, LEAST_LOG, LEAST_LOG]), fixed=(SPREAD, HANG))
    # With this many, the standard error of a logarithm is about 1 %.
    assert np.exp(best.x[:2]) == pytest.approx([50.0, shape], rel=0.04)


def test_a_profile_is_that_of_the_normal_distribution():
    """For a normal sample with unknown variance the profile interval of the mean is its closed form. [oracle]"""
    sample = np.random.default_rng(0).normal(3, 2, 15)

    def normal(points):
        return stats.norm.logpdf(sample, points[:, :1], np.exp(points[:, 1:])).sum(axis=1)

    low, high = profile(normal, maximize(normal, np.array([0.0, 0.0])), 0, drop=1.92)
    half = sample.std() * math.sqrt(math.exp(2 * 1.92 / 15) - 1)
    assert (low, high) == pytest.approx((sample.mean() - half, sample.mean() + half), abs=0.003)


def test_an_interval_of_level_0_is_its_estimate():
    """If the likelihood may not fall, the interval is the maximum itself, and no likelihood is computed. [contract]"""
    best = maximize(lambda points: -((points[:, 0] - 3) ** 2), np.zeros(1))

    def refuse(points):
        raise AssertionError(points)

    assert profile(refuse, best, 0, drop=find_drop(20, 0.0)) == (best.x[0], best.x[0])


def test_with_few_rollouts_intervals_are_wider():
    """The likelihood may fall by half the squared quantile of Student's t, with many rollouts of the normal. [oracle]"""
    assert find_drop(10, 0.95) == pytest.approx(stats.t(9).ppf(0.975) ** 2 / 2)
    assert find_drop(10**7, 0.9) == pytest.approx(stats.chi2(1).ppf(0.9) / 2, rel=1e-5)


# -- recovery ----------------------------------------------------------------------------------------------------------


def test_drawn_records_are_those_of_simulated_rollouts():
    """Directly drawn records agree with simulated ones in attempts, times, stops and requests. [oracle]"""
    fleet = RecordedFleet(nodes=20, failure=0.2, failure_sd=0.1, most_failed=2, hang=0.02)
    scenario = Scenario.from_dict(fleet.scenario())
    simulated = Records.join([simdeploy.simulate(scenario, replication=k).to_records(str(k)) for k in range(40)])
    drawn = fleet.draw(300, 1)
    for count in (_rates, _times):
        (mean, error), (expected, other) = count(simulated), count(drawn)
        assert (np.abs(mean - expected) < 4 * np.hypot(error, other)).all()


def _rates(records):
    """Return by rollout: dispatched nodes, attempts, failed and silent ones, failed requests; means and standard errors."""
    frame = read_attempts(records).frame
    sums = frame.assign(nodes=1).groupby("rollout")[["nodes", "attempts", "failed", "ended", "silent"]].sum()
    failed = records.windows.groupby("rollout")["failed_requests"].sum().reset_index(drop=True).astype(float)
    sums = sums.assign(requests=failed)
    return sums.mean().to_numpy(), sums.sem().to_numpy()


def _times(records):
    frame = read_attempts(records).frame
    logs = np.log(frame.loc[frame["is_over"] & frame["attempts"].eq(1)].set_index("rollout")["time_s"])
    means = logs.groupby("rollout").agg(["mean", "std"]).dropna()
    return means.mean().to_numpy(), means.sem().to_numpy()


def test_simulated_parameters_are_found():
    """With limits that stop half the rollouts, every parameter is within about its interval. [oracle]"""
    fleet = RecordedFleet(nodes=20, attempts=1, most_failed=2)
    scenario = Scenario.from_dict(fleet.scenario())
    rollouts = [simdeploy.simulate(scenario, seed=3, replication=k).to_records(str(k)) for k in range(40)]
    found = rows_of(fit(Records.join(rollouts)))
    for path, truth in list_truths(fleet).items():
        assert_found(found.loc[path], truth, path)
    assert found.loc["fleet.nodes", "estimate"] == 20
    assert found.loc["fleet.requests_per_second", "estimate"] == 20


@pytest.mark.slow
def test_intervals_cover():
    """In 40 histories of 12 rollouts, 95 % intervals cover the truth as often as stated, within four standard errors. [oracle]"""
    n = 40
    covered = count_covered(replace(SMALL, attempts=1, most_failed=3, skew_s=0.5), 12, range(n))
    fewest = 0.95 * n - 4 * math.sqrt(0.95 * 0.05 * n)
    assert covered.min() >= fewest, covered


def test_stops_do_not_bias_failures():
    """If limits stop rollouts early, the mean of their failure fractions is too high, but the fitted one isn't. [oracle]"""
    fleet = replace(SMALL, nodes=100, attempts=1, most_failed=1, hang=0.0, deadline_s=1e4)
    records = fleet.draw(150, 2)
    attempts = read_attempts(records).frame.groupby("rollout")[["failed", "ended"]].sum()
    naive = (attempts["failed"] / attempts["ended"]).mean()
    row = find(rows_of(fit(records)), "fleet.start_failure")
    error = (row["high"] - row["low"]) / 4
    assert abs(row["estimate"] - 0.05) < 4 * error
    assert naive - 0.05 > 4 * error


def test_nodes_in_flight_are_censored():
    """A deadline that cuts off a third of all starts doesn't bias their duration. [oracle]"""
    fleet = replace(SMALL, nodes=100, deadline_s=70.0, hang=0.0, most_failed=100, failure=0.02, failure_sd=0.01)
    records = fleet.draw(60, 4)
    found = rows_of(fit(records))
    seen = np.log((records.nodes["started_at_s"] - records.nodes["dispatched_at_s"]).dropna())
    row = found.loc["fleet.update_duration.lognormal.median"]
    assert_found(row, 45)
    assert math.exp(seen.mean()) < row["low"]


# -- families ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", LAWS)
def test_the_family_is_found(family):
    """For durations of each family that family has the lowest AIC, and isn't rejected. [oracle]"""
    rng = np.random.default_rng(5)
    times = LAWS[family](2.2, 50.0).rvs((20, 100), random_state=6) * np.exp(0.2 * rng.standard_normal((20, 1)))
    calibration = simdeploy.calibrate(make_records(times))
    (chosen,) = calibration.fits[calibration.fits["chosen"]].to_dict("records")
    assert chosen["family"] == family
    assert f"update times are {'Weibull' if family == 'weibull' else family}, " in calibration.answer
    assert chosen["p"] > 0.01
    assert calibration.fits["difference"].is_monotonic_increasing
    assert next(iter(calibration.scenario.to_dict()["fleet"]["update_duration"])) == family


def make_records(times, **columns):
    """Return records of nodes that all started, at their times: a row per rollout."""
    n, nodes = times.shape
    names = [f"r{k}" for k in range(n)]
    columns = {"dispatched_at_s": 0.0, "attempts": 1, "started_at_s": times.ravel(), "status": "running", **columns}
    rows = {"rollout": np.repeat(names, nodes), "node": [f"n{k}" for k in range(nodes)] * n, **columns}
    rollouts = make_table("rollouts", {"rollout": names, "nodes": nodes})
    return Records(rollouts=rollouts, nodes=make_table("nodes", rows))


def test_times_of_no_family_become_empirical():
    """If no family fits, the scenario has the observed quantiles. [property]"""
    rng = np.random.default_rng(7)
    times = np.where(rng.random((20, 60)) < 0.5, rng.normal(30, 1, (20, 60)), rng.normal(90, 3, (20, 60)))
    calibration = simdeploy.calibrate(make_records(times))
    (chosen,) = calibration.fits[calibration.fits["chosen"]].to_dict("records")
    assert chosen["family"] == "empirical"
    values = np.array(calibration.scenario.to_dict()["fleet"]["update_duration"]["empirical"]["values"], dtype=float)
    assert np.quantile(values, [0.2, 0.8]) == pytest.approx(np.quantile(times, [0.2, 0.8]), rel=0.1)
    mean = rows_of(calibration).loc["fleet.update_duration.empirical.mean", "estimate"]
    assert mean == pytest.approx(times.mean(), rel=0.05)


def test_constant_times_are_a_constant():
    """Equal durations give a constant, and a slowdown if they differ between rollouts. [contract]"""
    same = fit(make_records(np.full((6, 5), 45.0)))
    assert same.fits["family"].tolist() == ["constant"]
    assert same.scenario.to_dict()["fleet"]["update_duration"] in (45, "45s")
    row = rows_of(same).loc["fleet.update_duration"]
    assert row["low"] == row["high"] == row["estimate"]
    assert "assumes that times are constant" in row["note"]
    factors = np.exp(np.random.default_rng(8).normal(0, 0.3, (8, 1)))
    slow = rows_of(fit(make_records(45 * factors * np.ones((8, 5)))))
    assert slow.loc["fleet.slowdown.lognormal.sigma", "estimate"] == pytest.approx(np.log(factors).std(ddof=1))
    several = make_records(np.where(np.arange(30) == 0, 50.0, 45.0).reshape(6, 5), attempts=[2] + [1] * 29)
    assert "constant" not in fit(several).fits["family"].tolist()


@pytest.mark.parametrize("times_s", [[30.0, 60.0, 90.0], [30.0]])
def test_constant_times_of_few_rollouts(times_s):
    """The interval is Student's t of the logarithms by rollout; a single rollout gives none. [oracle]"""
    found = rows_of(fit(make_records(np.array(times_s)[:, None] * np.ones(10))))
    row, logs = found.loc["fleet.update_duration"], np.log(times_s)
    assert row["estimate"] == pytest.approx(np.exp(logs.mean()))
    assert found.loc["fleet.slowdown.lognormal.sigma", "source"] == "assumed"
    expected = stats.t(2, logs.mean(), stats.sem(logs)).interval(0.95) if len(logs) > 1 else (np.nan, np.nan)
    assert row[["low", "high"]].tolist() == pytest.approx(np.exp(expected).tolist(), nan_ok=True)


@pytest.mark.parametrize(("slowdown", "deadline_s"), [(0.3, 180.0), (0.5, 60.0)])
def test_silent_nodes_of_constant_times(slowdown, deadline_s):
    """Attempts that outlast the constant time hang, unless their whole rollout is slow; the scenario has as many. [oracle]"""
    fleet = replace(SMALL, sigma=0.0, slowdown=slowdown, hang=0.1, deadline_s=deadline_s, most_failed=30)
    records = fleet.draw(30, 2)
    calibration = fit(records)
    found = rows_of(calibration)
    assert found.loc["fleet.start_hang", "source"] == "fitted"
    truths = {"update_duration": 45, "slowdown.lognormal.sigma": slowdown, "start_hang": 0.1}
    for path, truth in truths.items():
        assert_found(found.loc[f"fleet.{path}"], truth, path)
    scenario = Scenario.from_dict({**calibration.scenario.to_dict(), "policies": fleet.scenario()["policies"]})
    simulated = [simdeploy.simulate(scenario, replication=k).to_records(str(k)) for k in range(12)]
    (mean, error), (expected, other) = map(_silent, (Records.join(simulated), records))
    assert abs(mean - expected) < 4 * math.hypot(error, other)


@pytest.mark.parametrize(("n_silent", "hangs"), [(1, True), (2, False)])
def test_silent_rollouts_of_constant_times(n_silent, hangs):
    """A rollout in which no attempt ended may be slow if there are five, enough to estimate a slowdown. [property]"""
    times, ended = np.array([30.0, 45.0, 60.0] + [70.0] * n_silent), np.array([True] * 3 + [False] * n_silent)
    constant = find_constant(
        Durations(np.arange(len(times)).repeat(2), times.repeat(2), np.ones(2 * len(times), int), ended.repeat(2)),
        may_vary=True,
    )
    assert constant.hangs.any() == hangs
    assert constant.may_differ != hangs


def test_constant_times_without_a_deadline():
    """If half the nodes start after 30 s and the others not within 200 s, half of the attempts hang. [oracle]"""
    started_at_s = np.tile([30.0, np.nan], 30)
    status = np.where(np.isnan(started_at_s), "starting", "running")
    records = make_records(np.zeros((6, 10)), started_at_s=started_at_s, status=status, watched_until_s=200.0)
    row = rows_of(fit(records)).loc["fleet.start_hang"]
    assert row["estimate"] == pytest.approx(0.5, abs=1e-3)
    assert 0 < row["low"] < 0.5 < row["high"]


def _silent(records):
    """Return the fraction of nodes that don't start, by rollout: its mean and standard error."""
    fractions = records.nodes["started_at_s"].isna().groupby(records.nodes["rollout"]).mean()
    return fractions.mean(), fractions.sem()


@pytest.mark.parametrize(
    ("time_s", "attempts", "ended", "is_constant", "hangs"),
    [
        (60, 2, True, True, False),
        (36, 2, True, False, False),
        (50, 2, False, True, False),  # the second attempt may end later
        (70, 2, False, True, True),
        (25, 2, False, False, False),  # the first attempt ended too early
        (31, 1, False, True, True),
    ],
)
def test_what_contradicts_constant_times(time_s, attempts, ended, is_constant, hangs):
    """Several attempts take a multiple of the constant time, and a longer silence is a hang, except in outages. [property]"""
    times = np.array([30.0, 30.0, time_s, 30.0])
    data = Durations(np.repeat([0, 1], 2), times, np.array([1, 1, attempts, 1]), np.array([True, True, ended, True]))
    constant = find_constant(data, may_vary=True)
    assert (constant is not None) == is_constant
    assert constant is None or constant.hangs.tolist() == [False, False, hangs, False]
    assert (find_constant(data, may_vary=False) is not None) == (is_constant and not hangs)


@pytest.mark.slow
def test_p_values_are_uniform_if_the_family_is_right():
    """For lognormal times the p-values of that family are 0.5 on average, within four standard errors. [oracle]"""
    rng = np.random.default_rng(9)
    ps = []
    for _ in range(20):
        times = 50 * np.exp(0.4 * rng.standard_normal((8, 25)) + 0.3 * rng.standard_normal((8, 1)))
        found = simdeploy.calibrate(make_records(times), goodness_samples=39).fits
        ps += found.loc[found["family"].eq("lognormal"), "p"].dropna().tolist()
    assert abs(np.mean(ps) - 0.5) < 4 * 0.29 / math.sqrt(len(ps))


def test_classes_have_their_own_laws():
    """A class with enough attempts is fitted separately; one with few is pooled with the fleet. [property]"""
    times = np.random.default_rng(10).gamma(9, 5, (8, 30))
    times[:, 20:] *= 4
    classes = (["", ""] * 9 + ["rare"] * 2 + ["arm"] * 10) * 8
    found = rows_of(fit(make_records(times, **{"class": classes})))
    assert found.loc["fleet.classes.arm.share", "estimate"] == pytest.approx(1 / 3)
    means = [
        found.filter(regex=rf"^{path}.update_duration.*(mean|median|scale)$", axis=0)["estimate"].iloc[0]
        for path in ("fleet", "fleet.classes.arm")
    ]
    assert 3 < means[1] / means[0] < 5
    assert not found.index.str.contains("rare").any()
    only, most = (
        rows_of(fit(make_records(times, **{"class": classes * 8})))
        for classes in (["web"] * 30, ["web"] * 20 + ["arm"] * 10)
    )
    assert not only.index.str.contains("web").any()
    assert most.loc["fleet.classes.arm.share", "estimate"] == pytest.approx(1 / 3)


# -- what records can't tell -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mean", "sd"), [(0.002, 0.0), (0.005, 0.008), (0.01, 0.05), (0.05, 0.0)])
def test_intervals_of_failures_cover(mean, sd):
    """For failures that are rare or not, and vary much, little or not at all, intervals cover as often as stated. [oracle]"""
    rng, repetitions = np.random.default_rng(3), 100
    concentration = mean * (1 - mean) / sd**2 - 1 if sd else math.inf
    counted = []
    for _ in range(repetitions):
        levels = rng.beta(concentration * mean, concentration * (1 - mean), 20) if sd else mean
        counted.append(np.sort(rng.binomial(30, levels, 20)))
    # Rare failures give the same counts many times, and the order of rollouts doesn't matter.
    distinct, times = np.unique(counted, axis=0, return_counts=True)
    covered = times @ [_covers(each, (mean, sd)) for each in distinct]
    assert (covered >= repetitions * 0.95 - 4 * math.sqrt(repetitions * 0.95 * 0.05)).all()


def _covers(counted, truths):
    """Return whether the intervals of mean and spread contain the truths, for rollouts of 30 attempts."""
    found = fit_fraction("f", counted, np.full(len(counted), 30), n_nodes=1, confidence_level=0.95)
    return [each.low <= truth <= each.high for each, truth in zip(found, truths, strict=True)]


@pytest.mark.parametrize(("n", "probability"), [(10, 0.2), (20, 0.1), (6, 0.5)])
def test_intervals_of_rollouts_that_fail_wholly_cover(n, probability):
    """If a rollout either fails wholly or not at all, the exact probability that intervals contain the truth is at least 95 %. [oracle]"""
    truths = (probability, math.sqrt(probability * (1 - probability)))
    covers = [_covers(np.repeat([30, 0], [k, n - k]), truths) for k in range(n + 1)]
    assert (stats.binom.pmf(range(n + 1), n, probability) @ covers >= 0.95).all()


@pytest.mark.parametrize("n", [3, 12])
def test_intervals_of_rollouts_that_are_alike(n):
    """If no attempt or every attempt failed, limits treat rollouts as units, and are never narrower than for attempts. [oracle]"""
    total = np.full(n, 20)
    none, some, every = (fit_fraction("f", np.full(n, k), total, n_nodes=1, confidence_level=0.95) for k in (0, 1, 20))
    fewest = 0.025 ** (1 / n)
    assert [none[0].low, none[0].high, every[0].low, every[0].high] == pytest.approx([0, 1 - fewest, fewest, 1])
    exact = stats.binomtest(n, 20 * n).proportion_ci(method="exact")
    assert some[0].low <= 1.05 * exact.low
    assert some[0].high >= exact.high / 1.05
    if n == 12:
        assert none[1].high == every[1].high == pytest.approx(math.sqrt(fewest * (1 - fewest)))


def count_failed(requests, failed):
    """Return requests and failed ones of nodes as records give them: a row per rollout."""
    n, nodes = failed.shape
    columns = {"rollout": np.repeat([f"r{k}" for k in range(n)], nodes), "requests": np.ravel(requests)}
    return pd.DataFrame(columns | {"failed_requests": failed.ravel()})


VARIED = stats.beta(0.005 * 551, 0.995 * 551).ppf((np.arange(500) + 0.5) / 500)  # a standard deviation of 0.003


@pytest.mark.parametrize(
    ("rates", "shares", "n_rollouts", "n_levels"),
    [
        (VARIED, None, 20, 40),
        (VARIED, None, 20, 1),
        ([0.001, 1.0], [0.8, 0.2], 20, 40),
        ([0.001, 0.9], [0.5, 0.5], 20, 40),
        ([0.001, 0.5], [0.9, 0.1], 20, 40),
        ([0.0005], None, 2, 1),
        ([0.0005], None, 20, 1),
    ],
    ids=["nodes vary", "rollouts vary", "0.2 at 1", "0.5 at 0.9", "0.1 at 0.5", "few and rare", "rare"],
)
def test_intervals_of_error_rates_cover(rates, shares, n_rollouts, n_levels):
    """Intervals cover as often as stated whatever the law of rates, even though bad nodes have more windows. [oracle]"""
    rng, repetitions = np.random.default_rng(0), 60
    mean = np.average(rates, weights=shares)
    sd = math.sqrt(np.average((rates - mean) ** 2, weights=shares))
    covered = np.zeros(2)
    for _ in range(repetitions):
        levels = np.repeat(rng.choice(rates, (n_rollouts, n_levels), p=shares), 40 // n_levels, axis=1)
        requests = np.where(levels > 0.1, 4000, 600)
        counts = count_failed(requests, rng.binomial(requests, levels))
        found = fit_error_rate("errors", counts, confidence_level=0.95, note="")
        covered += [each.low <= truth <= each.high for each, truth in zip(found, (mean, sd), strict=True)]
    assert (covered >= repetitions * 0.95 - 4 * math.sqrt(repetitions * 0.95 * 0.05)).all()


@pytest.mark.parametrize("n", [2, 5])
def test_intervals_of_error_rates_that_are_alike(n):
    """Limits from rollouts that are alike are those of a fraction of all requests, or without counts of all nodes. [oracle]"""

    def limits(failed, requests=1000, fitted=fit_error_rate):
        counts = count_failed(np.full(failed.shape, requests), failed)
        counts["rate"] = counts["failed_requests"] / requests
        return fitted("errors", counts, confidence_level=0.95, note="")

    some = np.tile([3, 0, 0, 0, 0], (n, 1))
    mean, spread = limits(some)
    assert (mean.low, mean.high) == pytest.approx(tuple(stats.binomtest(3 * n, 5000 * n).proportion_ci()))
    assert spread.low <= spread.estimate < spread.high <= 0.5
    without = limits(some, fitted=fit_mean_rate)[0]
    assert without.low < mean.low < mean.high < without.high
    for failed, whole in ((0, 0), (200, n), (1000, 5 * n)):
        equal = limits(np.full((n, 5), failed), fitted=fit_mean_rate)[0]
        assert (equal.low, equal.high) == pytest.approx(tuple(stats.binomtest(whole, 5 * n).proportion_ci()))
    (none,) = limits(np.zeros((n, 5)))
    assert none.high == pytest.approx(1 - 0.025 ** (1 / (5 * n)))
    single = limits(some // 3, requests=1)[1]
    assert (single.source, single.low) == ("not_identified", 0)
    assert all(math.isnan(each.high) for each in limits(some[:1]))


def test_a_defect_of_some_nodes():
    """The addition is averaged over all nodes, though bad ones have more windows; rates of 0 and 1 can be written. [oracle]"""
    fleet = {"nodes": 20, "update_duration": {"exponential": {"mean": "20s"}}, "requests_per_second": 20}
    defect = {"probability": 1, "defective": True, "error_rate": 1, "affects": {"share": 0.2}}
    policy = {"strategy": "rolling", "max_parallel": 20, "health_check": {"deadline": "3m"}}
    scenario = {"name": "some", "fleet": {**fleet, "error_rate": 0.001}, "release": {"broken": defect}}
    scenario = Scenario.from_dict({**scenario, "policies": {"at-once": policy}})
    records = Records.join([simdeploy.simulate(scenario, replication=k).to_records(str(k)) for k in range(12)])
    row = rows_of(fit(records)).loc["release.broken.error_rate"]
    assert_found(row, 1 - 0.8 * 0.999)  # no rollout without the defect is on record
    names = sorted(records.nodes["node"].unique())
    windows = records.windows
    failed = windows["requests"].where(windows["node"].isin(names[:8]), 0)
    written = fit(
        with_tables(
            records,
            windows=windows.assign(failed_requests=failed),
            rollouts=records.rollouts.assign(defective=False),
        )
    ).scenario.fleet.behaviour.error_rate
    assert (written.mean, written.variance) == pytest.approx((0.4, 0.24), rel=0.001)


def test_unseen_events_are_bounded_by_rollouts():
    """Without a silent node in 20 rollouts, hangs are bounded by 0 of 20 rollouts. [oracle]"""
    row = rows_of(fit(replace(SMALL, hang=0.0, deadline_s=1e4).draw(20, 3))).loc["fleet.start_hang"]
    assert (row["estimate"], row["low"]) == (0.0, 0.0)
    assert row["high"] == pytest.approx(1 - 0.025 ** (1 / 20))


def test_hangs_are_a_range():
    """Silent nodes may hang or be late, so hangs are between 0 and the silent share, and not identified. [contract]"""
    row = rows_of(fit(replace(SMALL, hang=0.05).draw(20, 3))).loc["fleet.start_hang"]
    assert (row["source"], row["low"]) == ("not_identified", 0)
    assert row["estimate"] < row["high"]
    assert row["high"] > 0.05


def test_few_rollouts_do_not_determine_spreads():
    """Below five rollouts spreads are assumed, and one rollout gives no intervals. [contract]"""
    for n in (1, 3):
        found = rows_of(fit(SMALL.draw(n, 1)))
        spreads = found.loc[["fleet.slowdown.lognormal.sigma", "fleet.start_failure.beta.sd"]]
        assert spreads["source"].eq("assumed").all()
        median = found.loc["fleet.update_duration.lognormal.median"] if n == 3 else found.iloc[1]
        assert math.isnan(median["low"]) == (n == 1)
    wide = rows_of(fit(with_tables(SMALL.draw(2, 1), windows={}), confidence_level=0.9999)).iloc[1]
    assert (wide["low"], wide["high"]) == (0, math.inf)


def test_the_release_mix_is_assumed_or_bounded(records):
    """The mix is assumed without verdicts on releases, bounded with some, and exact with all. [oracle]"""
    rollouts = records.rollouts
    unknown = rows_of(fit(with_tables(records, rollouts=rollouts.assign(defective=pd.NA))))
    assert unknown.loc["release.bad.probability", "source"] == "assumed"
    assert "it is unknown which" in find(unknown, "fleet.start_failure")["note"]
    some = pd.array([True] * 3 + [False] * 12 + [pd.NA] * 10, "boolean")
    row = rows_of(fit(with_tables(records, rollouts=rollouts.assign(defective=some)))).loc["release.bad.probability"]
    assert row["estimate"] == pytest.approx(0.2)
    assert row["low"] == pytest.approx(stats.binomtest(3, 25).proportion_ci(method="exact").low)
    assert row["high"] == pytest.approx(stats.binomtest(13, 25).proportion_ci(method="exact").high)
    types = ["update"] * 15 + ["restart"] * 10  # which release nothing
    row = rows_of(fit(with_tables(records, rollouts=rollouts.assign(defective=some, type=types)))).loc[
        "release.bad.probability"
    ]
    assert row["high"] == pytest.approx(stats.binomtest(3, 15).proportion_ci(method="exact").high)
    bad = pd.array([True] * 3 + [pd.NA] * 22, "boolean")
    mix = rows_of(fit(with_tables(records, rollouts=rollouts.assign(defective=bad)))).filter(like="release", axis=0)
    assert mix.loc["release.good.probability", ["estimate", "low"]].tolist() == pytest.approx([22 / 25, 0])
    assert mix.loc["release.bad.probability", ["estimate", "high"]].tolist() == pytest.approx([3 / 25, 1])


def test_failures_added_by_a_defective_release():
    """The fleet's failures are those of good releases; a defective one's are the excess over them. [oracle]"""
    good = RecordedFleet(failure_sd=0.0, most_failed=100)
    bad = replace(good, failure=1 - 0.95 * 0.8, error_rate=1 - 0.99 * 0.9, error_rate_sd=0.005)
    parts = []
    for kind, part in (("fine", good.draw(20, 1)), ("slow", bad.draw(20, 2))):
        tables = {name: getattr(part, name) for name in ("rollouts", "nodes", "windows")}
        tables = {name: frame.assign(rollout=kind + frame["rollout"]) for name, frame in tables.items()}
        tables["rollouts"] = tables["rollouts"].assign(release=kind, defective=kind == "slow")
        parts.append(with_tables(part, **tables))
    found = rows_of(fit(Records.join(parts)))
    for path, truth in {"release.slow.start_failure": 0.2, "release.slow.error_rate": 0.1}.items():
        assert_found(found.loc[path], truth)
    assert found.loc["fleet.start_failure", "high"] < 0.1
    assert found.loc["release.slow.probability", "estimate"] == 0.5


@pytest.mark.parametrize("named", [["fine"] * 9 + ["slow"] * 3, ["slow"] * 4 + ["broken"] * 4 + ["fatal"] * 4])
@pytest.mark.parametrize("n_seen", [9, 12])
def test_defective_kinds_are_defective_in_the_scenario(named, n_seen):
    """Defective kinds stay defective even without records of their nodes, or if only they are on record. [contract]"""
    records = SMALL.draw(12, 1)
    is_bad = [name != "fine" for name in named]
    nodes = records.nodes[records.nodes["rollout"].isin([f"r{k}" for k in range(n_seen)])]
    rollouts = records.rollouts.assign(release=named, defective=is_bad)
    found = fit(with_tables(records, nodes=nodes, rollouts=rollouts, windows={}))
    kinds = {kind.name: kind for kind in found.scenario.release}
    assert {name: kind.defective for name, kind in kinds.items()} == dict(zip(named, is_bad, strict=True))
    paths = rows_of(found).filter(regex="release.*start_failure", axis=0)
    assert paths["source"].eq("fitted" if "fine" in named else "not_identified").all()
    assert ("flapping, start_failure" in found.text) == ("fine" not in named)


def test_rates_without_numbers_of_requests():
    """From rates alone, mean and added failures are fitted; the spread is at most the observed one. [oracle]"""
    records = SMALL.draw(30, 1)
    counted = records.windows
    rates = counted["failed_requests"] / counted["requests"]
    windows = counted.assign(error_rate=rates, requests=pd.NA, failed_requests=pd.NA)
    calibration = fit(with_tables(records, windows=windows))
    found = rows_of(calibration)
    # Every window has as many requests, so the mean of rates is the rate of all requests.
    mean, spread = found.loc["fleet.error_rate"], found.loc["fleet.error_rate.beta.sd"]
    assert mean["estimate"] == pytest.approx(counted["failed_requests"].sum() / counted["requests"].sum())
    assert mean["low"] < SMALL.error_rate < mean["high"]
    # The variance of a node's 400 requests is added to that of the nodes.
    noise = (SMALL.error_rate * (1 - SMALL.error_rate) - SMALL.error_rate_sd**2) / 400
    assert spread["high"] == pytest.approx(math.sqrt(SMALL.error_rate_sd**2 + noise), rel=0.2)
    assert (spread["source"], spread["low"]) == ("not_identified", 0)
    text = calibration.to_yaml()
    assert "requests_per_second: 10  # assumed" in text
    assert "error_rate: 0.001" not in text
    assert calibration.scenario.fleet.behaviour.error_rate.mean == pytest.approx(mean["estimate"], rel=1e-4)


def test_outages_of_nodes_and_zones():
    """Mean up and down times are the watched times over the numbers that ended, with cut-off ones included. [oracle]"""
    hour, start = pd.Timedelta("1h"), pd.Timestamp("2026-01-01", tz="UTC")
    spans = {"watched_from": start, "watched_until": start + 100 * hour}
    rows = [
        {"node": "a", "from": start + 10 * hour, "to": start + 12 * hour, **spans},
        {"node": "a", "from": start + 98 * hour, "to": pd.NaT, **spans},
        {"node": "b", "from": start + 50 * hour, "to": start + 51 * hour, **spans},
        {"node": "c", "from": pd.NaT, "to": pd.NaT, **spans},
        {"zone": "z", "from": start + 20 * hour, "to": start + 24 * hour, **spans},
        {"zone": "y", "from": pd.NaT, "to": pd.NaT, **spans},
        # Of other logs: a part of the first outage, one of those above in a shorter span, and one that isn't used.
        {"node": "a", "from": start + 11 * hour, "to": start + 12 * hour, **spans},
        {"node": "b", "from": start + 50 * hour, "to": start + 51 * hour, **spans, "watched_until": start + 60 * hour},
        {"node": "d", "from": start + 50 * hour, "to": start + 51 * hour},
    ]
    records = with_tables(SMALL.draw(6, 1), outages=pd.DataFrame(rows))
    calibration = fit(records)
    found = rows_of(calibration)["estimate"] / 3600
    assert found["fleet.crash.up.exponential.mean"] == pytest.approx((300 - 5) / 3)
    assert found["fleet.crash.repair.exponential.mean"] == pytest.approx(5 / 2)
    assert found["fleet.zone_outage.up.exponential.mean"] == pytest.approx(196)
    assert found["fleet.zone_outage.repair.exponential.mean"] == pytest.approx(4)
    assert "zone_outage" in calibration.scenario.to_dict()["fleet"]
    assert "3 outages of 3 nodes; not used, because the span watched is missing: 1 row" in calibration.text


@pytest.mark.parametrize("minutes", [0, 30])
def test_equal_outages(minutes):
    """Limits allow for chance in the number of outages; outages of no duration give no repair time. [oracle]"""
    start, hour = pd.Timestamp("2026-01-01", tz="UTC"), pd.Timedelta("1h")
    ends = start + hour + pd.Timedelta(minutes=minutes)
    outages = {
        "node": list("abc"),
        "from": start + hour,
        "to": ends,
        "watched_from": start,
        "watched_until": start + 100 * hour,
    }
    found = rows_of(fit(with_tables(SMALL.draw(6, 1), outages=pd.DataFrame(outages))))
    up, repair = (found.loc[f"fleet.crash.{part}.exponential.mean"] for part in ("up", "repair"))
    watched_s = 3 * (360_000 - 60 * minutes)
    assert up["low"] == pytest.approx(watched_s / (stats.chi2(8).ppf(0.975) / 2))
    assert up["high"] == pytest.approx(watched_s / (stats.chi2(6).ppf(0.025) / 2))
    assert repair["source"] == ("fitted" if minutes else "not_identified")


def test_laws_of_outages():
    """With many outages the families of up and down times are found, and the truth is within twice the 95 % intervals. [oracle]"""
    rng = np.random.default_rng(4)
    start, days = pd.Timestamp("2026-01-01", tz="UTC"), 40
    rows = []
    for node in range(40):
        at = -rng.uniform(0, 20)  # the watch begins at some time between outages, or in one
        while at < days:
            at += 3 * rng.weibull(2.0)
            down = rng.lognormal(math.log(0.2), 0.6)
            if at + down > 0 and at < days:
                ends = start + pd.Timedelta(days=at + down) if at + down < days else pd.NaT
                rows.append({"from": start + pd.Timedelta(days=at), "to": ends, "node": f"{node}"})
            at += down
    spans = {"watched_from": start, "watched_until": start + pd.Timedelta(days=days)}
    calibration = fit(with_tables(SMALL.draw(6, 1), outages=pd.DataFrame([row | spans for row in rows])))
    found = rows_of(calibration)
    truths = {
        "up.weibull.scale": 3 * 86400,
        "up.weibull.shape": 2.0,
        "repair.lognormal.median": 0.2 * 86400,
        "repair.lognormal.sigma": 0.6,
    }
    for path, truth in truths.items():
        assert_found(found.loc[f"fleet.crash.{path}"], truth, path)
    assert set(calibration.scenario.to_dict()["fleet"]["crash"]) == {"up", "repair"}
    chosen = calibration.fits[calibration.fits["chosen"]].set_index("path")["family"]
    assert chosen["fleet.crash.up"] == "weibull"
    assert chosen["fleet.crash.repair"] == "lognormal"


def test_unused_rows_are_counted(records):
    """A start before its dispatch and one at its dispatch are not used, and each is counted with its reason. [contract]"""
    nodes = records.nodes.reset_index(drop=True)
    started = nodes["started_at_s"].copy()
    first, second = started[started.notna()].index[:2]
    started[first], started[second] = nodes["dispatched_at_s"][[first, second]] - [1.0, 0.0]
    dropped = fit(with_tables(records, nodes=nodes.assign(started_at_s=started))).dropped
    assert dropped["rows"].tolist() == [1, 1]
    assert dropped["reason"].str.contains("clocks differ").sum() == 1


def test_running_nodes_did_not_fail(records):
    """A running node without a start time counts as started; without any times nothing is fitted. [contract]"""
    nodes, path = records.nodes.reset_index(drop=True), "fleet.start_failure"
    complete = find(rows_of(fit(records)), path)
    some = nodes["started_at_s"].mask((nodes["status"] == "running") & (nodes.index % 3 == 0))
    found = fit(with_tables(records, nodes=nodes.assign(started_at_s=some)))
    pd.testing.assert_series_equal(find(rows_of(found), path), complete)
    assert found.dropped["reason"].str.startswith("no time of the start").sum() == 1
    for cause in ("did_not_start", None):
        bare = with_tables(records, nodes=nodes.assign(started_at_s=math.nan, cause=cause))
        assert not cause or read_attempts(bare).frame["failed"].sum() > 0
    assert "no record says how long an attempt to start took" in str(refused(fit, bare))


def test_the_fleet_has_the_size_of_the_last_rollout(records):
    """The rollout that began last determines the size, wherever its row is; the limits are a range. [contract]"""
    days = pd.Timestamp("2026-03-02", tz="UTC") - pd.to_timedelta(np.arange(25), unit="D")
    rollouts = records.rollouts.assign(started_at=days, nodes=[40] + [30] * 24)
    found = fit(with_tables(records, rollouts=rollouts))
    assert rows_of(found).loc["fleet.nodes", ["estimate", "low", "high"]].tolist() == [40, 30, 40]
    assert found.summarize()[0].rows[0][:3] == ("fleet.nodes", "40", "30 to 40 (range)")


def test_a_fleet_that_never_started():
    """Even if no node ever started, the scenario is valid, with an assumed deadline. [contract]"""
    times = {"started_at_s": math.nan, "resolved_at_s": np.linspace(20, 60, 60), "status": "failed"}
    with pytest.warns(simdeploy.SimdeployWarning, match="most start attempts fail"):
        scenario = fit(make_records(np.ones((6, 10)), **times)).scenario
    assert scenario.policies["rolling"].spec.health_check.deadline_ns == 60 * 10**9


def test_nothing_to_fit():
    """Without an attempt, or without rollouts, calibration is refused. [contract]"""
    for records in (Records(), with_tables(SMALL.draw(2, 1), nodes={})):
        assert "no record says how long an attempt to start took" in str(refused(fit, records))
    assert "invalid confidence level" in str(refused(fit, SMALL.draw(5, 1), confidence_level=95))
    assert "goodness_samples: out of range" in str(refused(fit, SMALL.draw(5, 1), goodness_samples=-1))


def test_invalid_arguments(calibration, tmp_path):
    """Seeds, records and names of columns of a wrong type are refused, and so are records with no usable row, with the reasons. [contract]"""
    for seed in (-1, 1.5, "a", 2**64):
        for message in (refused(fit, calibration.records, seed=seed), refused(calibration.bootstrap, 1, seed=seed)):
            assert str(message).startswith(("seed: out of range", "seed: not a whole number"))
    for records in (None, 3, [3]):
        assert "records: not the path of a file or folder" in str(refused(fit, records))
    file = tmp_path / "nodes.csv"
    file.write_text("node,dispatched_at_s,started_at_s,status\na,0,,running\nb,0,inf,running\nc,0,soon,running\n")
    assert "mapping: not a mapping (found 3)" in str(refused(fit, file, mapping=3))
    first, unread, untimed = refused(fit, file).problems
    assert "no record says how long an attempt to start took" in first.message
    assert (unread.message, unread.found) == (
        "started_at_s: not a time (found 'inf'); allowed: a time such as 2026-03-02T08:00:00Z",
        "2 rows",
    )
    assert (untimed.message, untimed.found) == ("no time of the start: not used for durations", "1 row")


def test_order_and_missing_columns(records, calibration):
    """The order of rows changes nothing; without optional columns the rest is fitted, with a note. [property]"""
    turned = with_tables(records, nodes=records.nodes[::-1], windows=records.windows[::-1])
    pd.testing.assert_frame_equal(fit(turned).parameters, calibration.parameters, rtol=1e-6)
    columns = ["rollout", "node", "status", "dispatched_at_s", "started_at_s", "resolved_at_s"]
    bare = fit(with_tables(records, nodes=records.nodes[columns], windows={}))
    found = rows_of(bare)
    assert "one per node assumed" in find(found, "fleet.start_failure")["note"]
    assert found.loc["fleet.start_attempts", ["estimate", "source"]].tolist() == [1, "assumed"]
    assert "no deadline on record" not in find(found, "fleet.start_failure")["note"]
    endless = fit(
        with_tables(records, nodes=records.nodes[columns], rollouts=records.rollouts.drop(columns="deadline_s"))
    )
    assert "no deadline on record" in find(rows_of(endless), "fleet.start_failure")["note"]
    assert "assumed: no window on record has requests" in bare.to_yaml()


def test_exported_records_are_fitted_alike():
    """Repeated or unordered rows, and missing columns that follow from others, change no interval. [property]"""
    records = replace(SMALL, attempts=1, most_failed=3, skew_s=0.5).draw(8, 1)
    exported = export(records, 1)
    assert exported.dropped["reason"].eq("repeats an earlier row").all()
    assert exported.dropped["rows"].sum() > 20
    numbers = ["estimate", "low", "high"]
    found, true = (rows_of(fit(each))[numbers].drop("fleet.start_attempts") for each in (exported, records))
    pd.testing.assert_frame_equal(found, true, rtol=1e-4)


# -- scenario ----------------------------------------------------------------------------------------------------------


def test_the_scenario_runs_and_states_its_sources(calibration):
    """The scenario can be simulated; comments in its file state fitted values with intervals, and mark assumptions. [contract]"""
    text = calibration.to_yaml()
    row = rows_of(calibration).loc["fleet.slowdown.lognormal.sigma"]
    assert f"# fitted: sigma {row['estimate']:.4g} ({row['low']:.4g} to {row['high']:.4g}); 25 rollouts" in text
    assert "# assumed: no policy is on record" in text
    scenario = calibration.scenario
    assert simdeploy.simulate(scenario).responses["state"] in ("completed", "failed")
    assert scenario.fleet.nodes == 30


def test_policies_on_record_are_those_of_the_scenario(records):
    """Each policy appears once, with its switches; invalid ones are dropped and reported. [contract]"""
    policy = {"strategy": "rolling", "max_parallel": 3, "health_check": {"deadline": "5m"}, "dialect": "deployment"}
    switches = Scenario.from_dict(SMALL.scenario()).orchestrator.switches()
    texts = [json.dumps({**policy, "orchestrator": {**switches, "pacing": "sliding"}})] * 10
    texts += [json.dumps(policy)] * 14 + ['{"strategy": "roling"}']
    calibration = fit(with_tables(records, rollouts=records.rollouts.assign(policy=texts)))
    scenario = calibration.scenario
    assert list(scenario.policies) == ["recorded-1", "recorded-2"]
    assert scenario.orchestrator_of(scenario.policies["recorded-1"]).pacing == "sliding"
    assert "policy not used" in calibration.dropped["reason"].iloc[-1]
    assert "preset: expanso, pacing: sliding" in calibration.to_yaml()


def test_the_command_writes_the_scenario(tmp_path, monkeypatch):
    """From files with other column names it writes the call's scenario, and counts unused rows. [contract]"""
    monkeypatch.chdir(tmp_path)
    nodes = SMALL.draw(6, 1).nodes.rename(columns={"node": "host"})
    pd.concat([nodes, nodes[:2]]).to_csv("nodes.csv", index=False)
    done = invoke("calibrate", "nodes.csv", "--map", "node=host", "-o", "fitted.yaml")
    assert done.exit_code == 0, done.output
    assert ", 2 rows not used" in done.output
    text = (tmp_path / "fitted.yaml").read_text(encoding="utf-8")
    assert text == simdeploy.calibrate("nodes.csv", mapping={"node": "host"}).to_yaml()
    assert simdeploy.read_scenario("fitted.yaml").fleet.nodes == 30
    refusals = (
        (["--bootstrap", "2"], "need each other"),
        (["--map", "node"], "ours=theirs"),
        (["--workers", "2"], "--workers needs --bootstrap N"),
    )
    for words, message in refusals:
        run = invoke("calibrate", "nodes.csv", *words)
        assert (run.exit_code, message in run.output) == (2, True)
    assert "names of columns need files" in str(refused(fit, SMALL.draw(6, 1), mapping={"node": "host"}))


def test_a_picture(calibration):
    """The probability plot has the durations over the family's quantiles; an unknown path is refused. [contract]"""
    ax = plot_calibration(Figure().subplots(), calibration)
    assert "lognormal, distance" in ax.get_title(loc="left")
    assert "(p\u00a0=\u00a0" in ax.get_title(loc="left")  # which a line break does not divide
    x, y = ax.lines[1].get_data()
    assert np.corrcoef(x, y)[0, 1] > 0.97
    other = refused(plot_calibration, Figure().subplots(), calibration, path="fleet.rollback_duration")
    assert "no such duration was fitted" in str(other)


# -- bootstrap ---------------------------------------------------------------------------------------------------------


def test_whole_rollouts_are_drawn(records):
    """A resampled history has as many rollouts, each with all of its nodes and windows. [property]"""
    drawn = draw_rollouts(records)(np.random.default_rng(1))
    assert len(drawn.rollouts) == len(records.rollouts)
    sizes = set(records.nodes.groupby("rollout").size())
    assert set(drawn.nodes.groupby("rollout").size()) <= sizes
    assert drawn.nodes["rollout"].nunique() == len(records.rollouts)
    one = drawn.nodes[drawn.nodes["rollout"].eq("3")]["started_at_s"].dropna().sort_values().tolist()
    originals = [part["started_at_s"].dropna().sort_values().tolist() for _, part in records.nodes.groupby("rollout")]
    assert one in originals
    # They stay with their rollout.
    both = drawn.nodes.merge(drawn.rollouts, on="rollout")
    assert both["watched_until_s_x"].equals(both["watched_until_s_y"])


def test_the_bootstrap_resumes(calibration, tmp_path):
    """Repeating the call makes the missing scenarios, unchanged; another calibration's folder is refused. [property]"""
    folder = tmp_path / "fits"
    first = calibration.bootstrap(3, store=folder)
    expected = [one.to_dict() for one in first]
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("fit-*.yaml"))]
    assert len(set(texts)) == 3
    (folder / "fit-00002.yaml").unlink()
    assert [one.to_dict() for one in calibration.bootstrap(3, store=folder)] == expected
    assert [one.to_dict() for one in calibration.bootstrap(2)] == expected[:2]  # nothing is stored
    assert [path.read_text(encoding="utf-8") for path in sorted(folder.glob("fit-*.yaml"))] == texts
    assert "fits to other records" in str(refused(calibration.bootstrap, 3, store=folder, seed=1))
    (folder / "fit-00002.yaml").write_text("a: [")
    (folder / "fit-00003.yaml").unlink()
    assert str(refused(calibration.bootstrap, 3, store=folder)).startswith(str(folder / "fit-00002.yaml"))
    assert not (folder / "fit-00003.yaml").exists()  # it is noticed before work is done


@pytest.mark.parametrize("n_rollouts", [6, 20], ids=["simulated", "drawn"])
def test_where_fits_are_made(n_rollouts, tmp_path):
    """Fits in other processes, in another order, are the same, and so are their files; progress counts them from those there. [property]"""
    calibration, heard = fit(replace(SMALL, nodes=10).draw(n_rollouts, 1)), []
    expected = [one.to_dict() for one in calibration.bootstrap(3, store=tmp_path / "here")]
    there, executor = tmp_path / "there", Elsewhere()
    calibration.bootstrap(1, store=there)
    found = calibration.bootstrap(3, store=there, executor=executor, progress=lambda *of: heard.append(of))
    assert [one.to_dict() for one in found] == expected
    assert {span.first for span in executor.spans} == {1, 2}
    assert heard == [(1, 3), (2, 3), (3, 3)]
    texts = [{path.name: path.read_text("utf-8") for path in (tmp_path / name).iterdir()} for name in ("here", "there")]
    assert texts[0] == texts[1]


def test_few_rollouts_are_simulated_again():
    """With fewer than 20 rollouts, histories of the same size are simulated from the fit. [property]"""
    calibration = fit(replace(SMALL, nodes=10).draw(6, 1))
    scenarios = calibration.bootstrap(2)
    assert [one.fleet.nodes for one in scenarios] == [10, 10]
    assert scenarios[0].to_dict() != scenarios[1].to_dict()


@pytest.mark.slow
def test_a_bootstrap_spreads_as_the_interval(calibration):
    """Medians of fits to resampled histories spread about as widely as the interval. [oracle]"""
    fits = calibration.bootstrap(15)
    laws = [one.to_dict()["fleet"]["update_duration"].get("lognormal") for one in fits]
    medians = np.log([_seconds(law["median"]) for law in laws if law])
    row = rows_of(calibration).loc["fleet.update_duration.lognormal.median"]
    expected = math.log(row["high"] / row["low"]) / 4.1
    assert 0.4 < medians.std(ddof=1) / expected < 1.6


def _seconds(value):
    return simdeploy.api.values.SECONDS.parse(value) if isinstance(value, str) else value
