"""Which factors move a response: against closed forms, another implementation, and the coverage of intervals."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn import draw_on, find_unreadable
from hypothesis import given, strategies as st
from matplotlib.figure import Figure
from refusals import refused
from scipy import stats
from small import maybe_bad, one_by_one, rarely_bad, rolling

from simdeploy.analysis import analyze_sensitivity, design_sensitivity, estimate_sensitivity
from simdeploy.analysis.sensitivity.responding import respond
from simdeploy.engines.reference.engine import run_reference
from simdeploy.errors import SimdeployWarning
from simdeploy.experiments import Range, sweep
from simdeploy.plotting import plot_sensitivity
from simdeploy.scenario import Scenario
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.indices import variance_indices, variance_moments
from simdeploy.validation import oracles

PI = math.pi
CUBE = dict.fromkeys(("x1", "x2", "x3"), (-PI, PI))
TRUTH = oracles.ishigami_indices()


def ishigami(design):
    return oracles.ishigami(design.points.to_numpy())


def index(result, name):
    """One index of all factors, by their names."""
    return result.indices[result.indices["index"] == name].set_index("factor")


def within(row, truth):
    return abs(row["estimate"] - truth) <= 4 * row["standard_error"] + 1e-12


def make(**fleet):
    return one_by_one(**{"nodes": 10} | fleet)


def estimate(scenario, vary, of, size, replications=2, engine="compiled", **how):
    asked = {"vary": vary, "of": of, "size": size, "replications": replications, "engine": engine}
    return estimate_sensitivity(scenario, **asked, **how)


def assert_within(result, factors, truth):
    """Assert that first and total order indices of factors are near their closed forms."""
    for name, truths in zip(("first", "total"), truth, strict=True):
        rows = index(result, name)
        assert all(within(rows.loc[factor], one) for factor, one in zip(factors, truths, strict=True))


# Healthy times are whole windows of 10 s.
WAVES, UPDATE, HEALTHY = (5, 20), (30.0, 90.0), [10.0, 20.0, 30.0, 40.0]
VARY = {"fleet.nodes": WAVES, "fleet.update_duration": UPDATE, "min_healthy_time": HEALTHY}
NAMES = ("scenario.fleet.nodes", "scenario.fleet.update_duration", "health_check.min_healthy_time")


def test_sobol_of_ishigami():
    """First and total order indices of Ishigami's function are those of its closed form. [oracle]"""
    design = design_sensitivity(CUBE, method="sobol", size=4096)
    result = analyze_sensitivity(design, ishigami(design))
    assert_within(result, CUBE, TRUTH)
    assert (result.indices["standard_error"] < 0.03).all()


def test_sobol_is_that_of_scipy():
    """From the same evaluations scipy, with another estimate of the variance, gives proportional indices. [oracle]"""
    design = design_sensitivity(CUBE, method="sobol", size=256)
    responses = ishigami(design).reshape(256, 5)
    ours = variance_indices(variance_moments(responses).mean(axis=0))
    a, b, mixed = responses[:, 0], responses[:, 1], responses.T[2:]
    evaluated = {"f_A": a[None], "f_B": b[None], "f_AB": mixed[:, None]}
    theirs = stats.sobol_indices(func=evaluated, n=256, method="saltelli_2010")
    variance = ((a - b) ** 2).mean() / 2
    scale = np.concatenate([a, b]).var()
    np.testing.assert_allclose(ours[1] * variance, theirs.total_order * scale)
    # Scipy's is (b) of the same table, which differs from (c) by a term of expectation 0.
    centre = np.concatenate([a, b]).mean()
    gap = ((mixed - centre) ** 2 - (a - centre) ** 2).mean(axis=1) / 2
    np.testing.assert_allclose(ours[0] * variance, theirs.first_order * scale - gap)


def test_morris_of_ishigami():
    """Mean absolute effects are those over all steps of the grid, computed one by one. [oracle]"""
    levels = np.array([0, 1 / 3, 2 / 3, 1])
    grid = np.array(list(itertools.product(levels, repeat=3)))
    design = design_sensitivity(CUBE, size=400)
    rows = index(analyze_sensitivity(design, ishigami(design)), "mu_star")
    for number, factor in enumerate(CUBE):
        start = grid[grid[:, number] < 0.5]
        end = start.copy()
        end[:, number] += 2 / 3
        change = oracles.ishigami(2 * PI * end - PI) - oracles.ishigami(2 * PI * start - PI)
        assert within(rows.loc[factor], np.abs(change).mean() * 1.5)


def test_sobol_of_a_rollout():
    """The indices of a simulated rollout's makespan are those of its closed form, interactions included. [oracle]"""
    result = estimate(make(), VARY, "makespan_s", 250, policy="waves", method="sobol")
    assert_within(result, NAMES, oracles.rollout_time_indices(WAVES, UPDATE, HEALTHY))
    assert (result.indices["standard_error"] < 0.08).all()


def test_morris_of_a_rollout():
    """Effects on a simulated makespan are number of waves times range, at every step. [oracle]"""
    vary = {"fleet.update_duration": UPDATE, "min_healthy_time": HEALTHY, "fleet.rollback_duration": ("1s", "9s")}
    result = estimate(make(), vary, "makespan_s", 6)
    effects = index(result, "mu")["estimate"]
    assert effects.round(6).tolist() == [600.0, 300.0, 0.0]
    assert index(result, "sigma")["estimate"].round(6).tolist() == [0.0, 0.0, 0.0]
    assert result.answer == (
        "update_duration moves makespan under waves most: by 10.0 min (~95 % CI 10.0 to 10.0) on average across its range. "
        "Another factor may matter as much. Next: health_check.min_healthy_time 5.0 min (~5.0 to 5.0)."
    )


def noisy(design, seed, replications, noise):
    """Ishigami's function in individual worlds: a slope for each world, and noise at each point."""
    rng = np.random.default_rng(seed)
    points = design.points.to_numpy()
    slopes = rng.normal(size=(3, replications))
    return ishigami(design)[:, None] + points @ slopes + rng.normal(scale=noise, size=(len(points), replications))


@pytest.mark.parametrize(("n", "is_trusted"), [(100, False), (400, True)])
def test_rare_effects_are_not_ruled_out(n, is_trusted):
    """A factor with the largest effect, in one world of a hundred, is seldom said not to matter most. [oracle]"""
    repetitions, n_wrong, n_trusted = 40, 0, 0
    for seed in range(repetitions):
        design, rng = (
            design_sensitivity({"rare": (0.0, 1.0), "usual": (0.0, 1.0)}, size=8, seed=seed),
            np.random.default_rng(seed),
        )
        events, amounts = rng.random(n) < 0.01, rng.exponential(5, n)
        result = analyze_sensitivity(design, design.points.to_numpy() @ [1000 * events, amounts])
        n_trusted += result.indices["is_trusted"].all()
        n_wrong += result.is_first_sure and result.indices["factor"].iloc[0] == "usual"
    assert n_trusted > repetitions / 2 if is_trusted else not n_trusted
    assert n_wrong <= (0.05 + 4 * (0.05 * 0.95 / repetitions) ** 0.5) * repetitions


@pytest.mark.parametrize(("n", "highest", "is_trusted"), [(400, 0.5, True), (400, 0.05, False), (100, 0.5, False)])
def test_rates_that_no_world_shows_matter_little_beside_large_ones(n, highest, is_trusted):
    """Where 400 worlds show no event, at most 1 % have one: little beside differences of half of the worlds. [oracle]"""
    rates = highest * np.array([0, 0, 0.005, 0.3, 1])
    events = (np.arange(n) + 0.5) / n < rates[:, None]
    assert respond(events.astype(float), Measure("escaped")).is_trusted == is_trusted
    assert not respond(events.astype(float), None).is_trusted


@pytest.mark.parametrize("replications", [None, 30])
def test_how_often_sobol_intervals_cover(replications):
    """95 % intervals cover the truth that often, with points and worlds both sampled. [oracle]"""
    n = 120
    covered = {(name, factor): 0 for name in ("first", "total") for factor in CUBE}
    for seed in range(n):
        design = design_sensitivity(CUBE, method="sobol", size=128, seed=seed)
        responses = ishigami(design) if replications is None else noisy(design, seed, replications, 6.0)
        result = analyze_sensitivity(design, responses)
        for name, truths in zip(("first", "total"), TRUTH, strict=True):
            rows = index(result, name)
            for factor, truth in zip(CUBE, truths, strict=True):
                covered[name, factor] += rows.loc[factor, "low"] <= truth <= rows.loc[factor, "high"]
    least = 0.95 - 4 * math.sqrt(0.95 * 0.05 / n)
    assert min(covered.values()) / n >= least


def test_how_often_morris_intervals_cover():
    """95 % intervals of the mean absolute effect cover the truth that often, also a truth of 0. [oracle]"""
    n, vary = 150, {"x": (0.0, 1.0), "y": (0.0, 1.0), "z": (0.0, 1.0)}
    covered = {"x": 0, "y": 0, "z": 0}
    # The effect of x is 1 + y, whose mean over the levels is 1.5; that of y is x, 0.5; that of z is 0, but not in each world.
    for seed in range(n):
        design = design_sensitivity(vary, size=20, seed=seed)
        x, y, z = design.points.to_numpy().T
        rng = np.random.default_rng(seed)
        slopes = rng.normal(scale=0.8, size=(2, 20))
        in_worlds = x[:, None] * slopes[0] + z[:, None] * slopes[1]
        responses = (x + x * y)[:, None] + in_worlds + rng.normal(scale=0.3, size=(len(x), 20))
        rows = index(analyze_sensitivity(design, responses), "mu_star")
        for factor, truth in (("x", 1.5), ("y", 0.5), ("z", 0.0)):
            covered[factor] += rows.loc[factor, "low"] <= truth <= rows.loc[factor, "high"]
    assert min(covered.values()) / n >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / n)


def test_how_often_intervals_of_a_rare_release_cover():
    """As each kind of release has its own worlds, 100 replications suffice for a release in a hundred. [oracle]"""
    n, covered, widest = 30, 0, 0.0
    vary = {"scenario.release.bad.error_rate": (0.1, 0.4)}
    for seed in range(n):
        result = estimate_sensitivity(rarely_bad(), vary=vary, size=4, seed=seed, engine="compiled")
        row = index(result, "mu_star").iloc[0]
        covered += row["low"] <= 0.3 * 7200 <= row["high"]
        widest = max(widest, row["high"] - row["low"])
    assert covered / n >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / n)
    # With the one bad release expected in a hundred, the error would be as large as the effect.
    assert widest < 0.3 * 7200


def test_kinds_that_points_make_possible(tmp_path):
    """If the release varies, kinds have worlds as long as they are the same kinds; stores handle both. [property]"""
    releases = [maybe_bad(0), maybe_bad()]
    named = [{"good": {"probability": 0.5}, "worse": {"probability": 0.5, "defective": True}}, maybe_bad()]
    for kinds, folders in ((releases, 4), (named, 0)):
        known = {"vary": {"scenario.release": kinds}, "of": "cost", "size": 4, "engine": "compiled"}
        scenario = rarely_bad(release=releases[0])
        result = estimate_sensitivity(scenario, store=tmp_path / str(folders), **known)
        assert len(list((tmp_path / str(folders)).glob("*kind-*"))) == folders
        assert estimate_sensitivity(scenario, store=tmp_path / str(folders), **known).answer == result.answer
        if folders:
            assert within(index(result, "mu").iloc[0], 0.5 * 0.4 * 200 * 3600)


def test_kinds_without_a_value_need_no_worlds():
    """A response of good releases only is simulated for these alone, with intervals. [contract]"""
    vary = {"fleet.update_duration": ("10s", "60s")}
    of = "makespan_s given completed_good"
    result = estimate_sensitivity(rarely_bad(), vary=vary, of=of, size=4, engine="compiled")
    assert index(result, "mu_star")[["low", "high"]].notna().all(axis=None)


def test_noise_is_not_taken_for_variance():
    """With few replications indices are on average those of the expectation. [oracle]"""
    found = []
    for seed in range(60):
        design = design_sensitivity(CUBE, method="sobol", size=256, seed=seed)
        found.append(index(analyze_sensitivity(design, noisy(design, seed, 10, 6.0)), "first").loc["x2", "estimate"])
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    assert abs(np.mean(found) - TRUTH.first[1]) <= 4 * error
    # Noise of variance 3.6 beside a variance of 13.8: taking it for an effect would be off by a fifth.
    assert 4 * error < 0.15 * TRUTH.first[1]


@given(
    slopes=st.lists(st.floats(-100, 100), min_size=1, max_size=5),
    ends=st.tuples(st.floats(-50, 50), st.floats(1, 50)),
    seed=st.integers(0, 2**64 - 1),
)
def test_morris_of_a_plane(slopes, ends, seed):
    """For a plane the effects are slope times range, without spread, for any ranges. [property]"""
    low, width = ends
    design = design_sensitivity({f"x{n}": (low, low + width) for n in range(len(slopes))}, size=4, seed=seed)
    result = analyze_sensitivity(design, design.points.to_numpy() @ np.array(slopes))
    rows = index(result, "mu")
    expected = [slope * width for slope in slopes]
    scale = 1 + sum(map(abs, slopes)) * (abs(low) + width)
    found = [rows.loc[f"x{n}", "estimate"] for n in range(len(slopes))]
    np.testing.assert_allclose(found, expected, atol=1e-9 * scale)


@given(n=st.integers(1, 6), seed=st.integers(0, 1000))
def test_trajectories(n, seed):
    """A trajectory moves each factor once, by two thirds of its range, and stays within it. [property]"""
    design = design_sensitivity({f"x{i}": (0.0, 1.0) for i in range(n)}, size=5, seed=seed)
    steps = np.diff(design.places, axis=1)
    assert ((steps != 0).sum(axis=1) == 1).all()
    np.testing.assert_allclose(np.abs(steps).sum(axis=1), 2 / 3)
    assert (design.places >= 0).all()
    assert (design.places <= 1).all()


def test_the_grid_is_met_evenly():
    """Steps go up as often as down, and each of the four levels is used as often as the others. [property]"""
    design = design_sensitivity(CUBE, size=1000)
    steps = np.diff(design.places, axis=1)
    error = math.sqrt(0.25 / 3000)
    assert abs((steps > 0).sum() / 3000 - 0.5) <= 4 * error
    levels, counts = np.unique(design.places[:, 0].round(9), return_counts=True)
    np.testing.assert_allclose(levels, [0, 1 / 3, 2 / 3, 1])
    assert (np.abs(counts / 3000 - 0.25) <= 4 * math.sqrt(0.25 * 0.75 / 3000)).all()


def test_whole_numbers_choices_and_logarithms():
    """Factors with few values have their effect per range, logarithmic ones per range of the logarithm. [oracle]"""
    vary = {"n": [1, 2, 3], "flag": [False, True], "p": Range(0.001, 0.1, log=True), "few": [7, 9]}
    design = design_sensitivity(vary, size=40)
    points = design.points
    responses = 10 * points["n"] + 5 * points["flag"] + np.log10(points["p"]) + points["few"]
    rows = index(analyze_sensitivity(design, responses), "mu")["estimate"]
    np.testing.assert_allclose(rows.loc[["n", "flag", "p", "few"]], [20, 5, 2, 2], atol=1e-9)
    spread = design_sensitivity(vary, method="sobol", size=1200).points
    assert spread["n"].value_counts(normalize=True).between(0.3, 0.37).all()
    assert abs((spread["p"] < 0.01).mean() - 0.5) < 0.01


def test_ranges_of_durations_have_units():
    """The range of a factor that is a duration has a unit, others have none. [contract]"""
    design = design_sensitivity(
        {"health_check.deadline": (30, 600), "scenario.fleet.update_duration": [10, 90.5], "n": (2, 20)}, size=4
    )
    result = analyze_sensitivity(design, design.points.sum(axis=1))
    assert result.factors["over"].tolist() == ["30s to 10m", "10s, 1m30.5s", "2 to 20"]


def test_seed_0_is_a_seed():
    """The same seed, including 0, gives the same points, another one others. [property]"""
    for method in ("morris", "sobol"):
        first, again, other = (design_sensitivity(CUBE, method=method, seed=seed).points for seed in (0, 0, 1))
        pd.testing.assert_frame_equal(first, again)
        assert not first.equals(other)


@pytest.mark.parametrize("method", ["morris", "sobol"])
@pytest.mark.parametrize("point", [0, 7, 113])
def test_a_failed_run_shifts_no_row(method, point):
    """Without a point's response the result is that of the design without its block, for any point. [property]"""
    design = design_sensitivity(CUBE, method=method, size=40)
    responses = noisy(design, 3, 8, 1.0)
    responses[point, 5] = math.nan
    result = analyze_sensitivity(design, responses)
    per_block = design.places.shape[1]
    block = point // per_block
    kept = np.delete(np.arange(40), block)
    rows = np.concatenate([np.arange(one * per_block, (one + 1) * per_block) for one in kept])
    smaller = replace(
        design,
        values=tuple(tuple(np.array(values)[rows].tolist()) for values in design.values),
        places=design.places[kept],
        moved=None if design.moved is None else design.moved[kept],
    )
    expected = analyze_sensitivity(smaller, responses[rows])
    columns = ["factor", "index", "estimate", "low", "high", "standard_error"]
    pd.testing.assert_frame_equal(result.indices[columns], expected.indices[columns], rtol=1e-9)
    assert (result.n_blocks, result.n_used, dict(result.left_out)) == (40, 39, {"a replication failed": 1})
    assert " are excluded (a replication failed in 1)." in result.answer


def test_a_failed_simulation_in_the_middle(monkeypatch):
    """A failed simulation removes its trajectory, is counted, and leaves exact effects unchanged. [property]"""

    def sometimes(scenario, policy, *, replication, **rest):
        if replication == 1 and scenario.fleet.nodes == 12:
            raise ValueError("broken")
        return run_reference(scenario, policy, replication=replication, **rest)

    monkeypatch.setattr("simdeploy.engines.reference.engine.run_reference", sometimes)
    vary = {"fleet.nodes": [8, 12, 16, 20], "min_healthy_time": HEALTHY}
    with pytest.warns(SimdeployWarning, match="replications failed"):
        result = estimate(make(), vary, "makespan_s", 30, engine="reference")
    failed = result.points["block"][result.points["scenario.fleet.nodes"] == 12].nunique()
    assert 0 < failed == result.n_blocks - result.n_used < 30
    assert result.n_failed == (result.points["scenario.fleet.nodes"] == 12).sum()
    assert set(result.points["reason"]) == {"", "a replication failed"}
    used = result.points[~result.points["block"].isin(result.points["block"][result.points["reason"] != ""])]
    exact = used["scenario.fleet.nodes"] * (60 + used["health_check.min_healthy_time"])
    np.testing.assert_allclose(used["response"], exact)


def test_rollouts_that_never_end():
    """If more than a tenth of the trajectories has endless rollouts there is no answer, but counts. [property]"""
    scenario = Scenario.from_dict(
        {
            "name": "pausing",
            "fleet": {"nodes": 6, "update_duration": "60s", "start_failure": 0.1},
            "orchestrator": {"on_failure": "pause"},
            "policies": {"p": rolling(max_failed_nodes=0)},
        }
    )
    vary = {"fleet.start_failure": (0.0, 0.2), "fleet.update_duration": (30.0, 60.0)}
    result = estimate(scenario, vary, "makespan_s", 10, 20)
    assert result.is_refused
    assert result.indices["estimate"].isna().all()
    n_out = result.n_blocks - result.n_used
    assert result.answer == (
        f"What moves makespan under p is unknown: {n_out} of 10 trajectories are excluded "
        f"(some rollouts never end in {n_out}). "
        "Choose a measure known for every rollout, such as in_progress or blast_radius."
    )
    assert not estimate(scenario, vary, "blast_radius", 10, 20).is_refused


def test_a_ready_table():
    """The table of a sweep over the points gives what the call gives, in any order of rows; other tables are refused. [contract]"""
    vary = {"scenario.fleet.update_duration": UPDATE, "scenario.fleet.start_failure": (0.0, 0.3)}
    design = design_sensitivity(vary, size=5)
    values = dict(zip(design.names, map(list, design.values), strict=True))
    table = sweep(make(), "waves", vary=values, design="list", replications=10, engine="compiled")
    expected = estimate(make(), vary, "makespan_s", 5, 10)
    shuffled = table.to_frame().sample(frac=1, random_state=1)
    for responses in (table, shuffled):
        result = analyze_sensitivity(design, responses, of="makespan_s")
        pd.testing.assert_frame_equal(result.indices, expected.indices)
        assert result.answer == expected.answer
    missing = analyze_sensitivity(design, shuffled[shuffled["case"] != 4], of="makespan_s")
    assert (missing.n_used, missing.points["reason"][4]) == (4, "a replication failed")
    other = design_sensitivity(vary, size=5, seed=1)
    assert "the table belongs to another design" in str(refused(analyze_sensitivity, other, table, of="makespan_s"))
    assert "a table of replications needs a measure" in str(refused(analyze_sensitivity, design, table))


def test_a_quantile_and_a_condition():
    """A response may be a quantile or have a condition, computed at each point from its replications. [oracle]"""
    design = design_sensitivity({"x": (0.0, 1.0)}, size=4)
    rows = []
    for case, x in enumerate(design.values[0]):
        for replication in range(40):
            is_good = replication % 2 == 0
            verdict = "completed_good" if is_good else "escaped"
            value = 10 * x + replication if is_good else 1000.0
            rows.append((case, "s", "p", replication, value, verdict, "good" if is_good else "bad", x, 1))
    columns = ["case", "scenario", "policy", "replication", "makespan_s", "verdict", "release", "x", "touched_nodes"]
    table = pd.DataFrame(rows, columns=columns)
    for measure in ("makespan_s given good", "p50 makespan_s given good"):
        result = analyze_sensitivity(design, table, of=measure)
        assert index(result, "mu").loc["x", "estimate"] == pytest.approx(10)
        # For 0, 2, ... 38 the mean is 19, and the tenth of twenty 18.
        middle = 18 if measure.startswith("p50") else 19
        np.testing.assert_allclose(result.points["response"], 10 * result.points["x"] + middle)
    assert analyze_sensitivity(design, table, of="makespan_s given escaped").is_constant


def test_one_replication_has_no_interval():
    """With one replication the variance is unknown: there are indices, but no intervals. [property]"""
    design = design_sensitivity(CUBE, size=10)
    result = analyze_sensitivity(design, ishigami(design)[:, None])
    assert result.indices["estimate"].notna().all()
    assert result.indices[["low", "high", "standard_error"]].isna().all(axis=None)
    assert "(no interval)" in result.answer


def test_nothing_moves():
    """A constant response is reported as such, by both methods, without arithmetic warnings. [contract]"""
    for method in ("morris", "sobol"):
        design = design_sensitivity(CUBE, method=method)
        result = analyze_sensitivity(design, np.full(len(design), 0.1))
        assert result.answer == "None of the 3 factors moves the response: it is the same at every point."
        plot_sensitivity(Figure().subplots(), result)


def test_sobol_in_words():
    """The answer names what moves the response most, what is next, and what doesn't move it; a single factor has no rival. [contract]"""
    design = design_sensitivity({"x": (0.0, 1.0), "y": (0.0, 1.0), "z": (0.0, 1.0)}, method="sobol")
    result = analyze_sensitivity(design, 9 * design.points["x"] + design.points["y"])
    assert result.answer.startswith("x moves the response most: alone it explains 98.")
    assert result.answer.endswith("No effect of z was seen.")
    assert result.summarize()[0].header == (
        "factor", "range", "alone (first order)", "with interactions (total order)",
    )  # fmt: skip
    alone = design_sensitivity({"x": (0.0, 1.0)})
    assert analyze_sensitivity(alone, alone.points["x"]).answer.startswith("x moves the response: by 1.0 ")


@pytest.mark.parametrize(
    ("respond", "truth"),
    [
        (lambda p: 3 * p["x"] - p["y"], ("rises", "falls", None)),
        (lambda p: 3 * p["x"] - (p["y"] - 0.5) ** 2, ("rises", None, None)),
        # Rising by far, and steeply falling at the end: on average it rises, but not monotonically.
        (lambda p: p["x"].where(p["x"] < 0.75, 0.25 - (p["x"] - 0.75)), (None, None, None)),
    ],
)
@pytest.mark.parametrize("method", ["morris", "sobol"])
def test_directions(method, respond, truth):
    """A monotone factor has a direction; the slope of a plane is exact, that of Morris is mu. [oracle]"""
    design = design_sensitivity(dict.fromkeys("xyz", (0.0, 1.0)), method=method, size=200)
    result = analyze_sensitivity(design, respond(design.points).to_numpy())
    factors = result.factors.set_index("factor")
    assert [row if isinstance(row, str) else None for row in factors["direction"]] == list(truth)
    if truth[1] == "falls":
        slopes = factors[["slope", "slope_low", "slope_high"]].to_numpy()
        assert slopes == pytest.approx(np.repeat([[3], [-1], [0]], 3, axis=1))
        assert factors["monotone_fraction"][["x", "y"]].tolist() == [1, 1]
    if method == "morris":
        mu = index(result, "mu").loc[factors.index]
        for name, column in (("slope", "estimate"), ("slope_low", "low"), ("slope_high", "high")):
            assert factors[name].to_numpy() == pytest.approx(mu[column].to_numpy())


def test_directions_of_lists():
    """Ascending numbers have a direction, from first to last; other lists have none. [contract]"""
    lists = {"up": [1, 2, 5], "mixed": [2, 1, 5], "words": ["a", "b"], "bools": [False, True]}
    for method in ("morris", "sobol"):
        design = design_sensitivity(lists, method=method, size=64)
        factors = analyze_sensitivity(design, -sum(design.points[name].rank() for name in lists)).factors
        assert factors["direction"].isna().tolist() == [False, True, True, True]
        assert factors["slope"].isna().tolist() == [False, True, True, True]
        assert factors["direction"][0] == "falls"


def test_luck_has_no_direction():
    """If every world has a slope but the mean has none, a direction is stated in about 5 % of 200 cases. [property]"""
    design = design_sensitivity({"x": (0.0, 1.0)}, method="sobol", size=64)
    rng = np.random.default_rng(1)
    x = design.points[["x"]].to_numpy()
    n = sum(analyze_sensitivity(design, x * rng.normal(size=20)).factors["direction"].notna().sum() for _ in range(200))
    assert n <= 200 * 0.05 + 4 * math.sqrt(200 * 0.05 * 0.95)


@pytest.mark.parametrize(
    ("respond", "slope"),
    [
        # E(x^k) = 1 / (k + 1), and a least-squares slope is 12 (E(x f) - E(f) / 2).
        (lambda x: x**8, 12 * (1 / 10 - 1 / 18)),
        (lambda x: x**30, 12 * (1 / 32 - 1 / 62)),
        # An event of 2 % of the worlds.
        (lambda x: (x > 0.98).astype(float), 6 * 0.98 * 0.02),
    ],
)
def test_slopes_are_covered(respond, slope):
    """Intervals of slopes cover as often as stated, also for skewed and rare responses, over 200 designs. [oracle]"""
    covered = 0
    for seed in range(200):
        design = design_sensitivity({"x": (0.0, 1.0), "y": (0.0, 1.0)}, method="sobol", size=128, seed=seed)
        result = analyze_sensitivity(design, (respond(design.points["x"]) + design.points["y"]).to_numpy())
        row = result.factors.iloc[0]
        covered += row["slope_low"] <= slope <= row["slope_high"]
    assert covered >= 200 * 0.95 - 4 * math.sqrt(200 * 0.95 * 0.05)


def test_the_picture_of_sobol():
    """The light bar of the total contains the dark one of the first order; the longest is on top. [contract]"""
    design = design_sensitivity(CUBE, method="sobol", size=512)
    result = analyze_sensitivity(design, ishigami(design))
    ax = draw_on(plot_sensitivity, result)
    light, dark = ax.containers
    factors = list(dict.fromkeys(result.indices["factor"]))
    for bars, name in ((light, "total"), (dark, "first")):
        estimates = 100 * index(result, name)["estimate"][factors]
        assert [bar.get_width() for bar in bars] == pytest.approx(estimates.tolist())
    for inner, outer in zip(dark, light, strict=True):
        assert inner.get_y() > outer.get_y()
        assert inner.get_height() < outer.get_height()
    assert [label.get_text().splitlines()[0] for label in ax.get_yticklabels()] == factors
    assert not find_unreadable(ax.figure)


@pytest.mark.parametrize("method", ["morris", "sobol"])
def test_the_picture_shows_the_direction(method):
    """Beside each bar stands the response's direction as the factor rises; factors without effect have no mark. [contract]"""
    names = {"up": "rises", "down": "falls", "hill.of.a.very.long.name.indeed": "unclear", "nothing": "no effect seen"}
    design = design_sensitivity(dict.fromkeys(names, (0.0, 1.0)), method=method, size=64)
    points = design.points
    hill = -20 * (points["hill.of.a.very.long.name.indeed"] - 0.5) ** 2
    ax = draw_on(plot_sensitivity, analyze_sensitivity(design, 10 * points["up"] - 6 * points["down"] + hill))
    rows = [label.get_text().splitlines()[0] for label in ax.get_yticklabels()]
    words = {rows[round(text.xy[1])]: text.get_text() for text in ax.texts if text.get_position()[0] == 1.02}
    assert {name[:7]: word.split(" ", 1)[-1] if word[0] in "▲▼" else word for name, word in words.items()} == {
        name[:7]: word for name, word in names.items()
    }
    assert not find_unreadable(ax.figure)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vary": {"fleet.start_failure": (0.1, 0.1)}}, "scenario.fleet.start_failure: a single value can't be varied"),
        ({"vary": {"fleet.nodes": [5, 5, 6]}}, "scenario.fleet.nodes: duplicate value (found 5, 5, 6)"),
        ({"vary": {"fleet.start_failure": (0.2, 0.1)}}, "scenario.fleet.start_failure: invalid range"),
        ({"vary": {"fleet.start_failure": Range(0, 0.1, log=True)}}, "invalid logarithmic range"),
        ({"vary": {"fleet.start_failure": (0.1, 2.0)}}, "start_failure: too large"),
        ({"method": "sobel"}, "method: unknown method (found 'sobel'); allowed: morris, sobol; did you mean 'sobol'?"),
        ({"size": 2}, "size: invalid design size (found 2); allowed: at least 4 trajectories"),
    ],
)
def test_refusals(arguments, message):
    """Invalid arguments are refused before anything is simulated, with the allowed values. [contract]"""
    arguments = {"vary": VARY, "of": "makespan_s"} | arguments
    assert message in str(refused(estimate_sensitivity, make(start_failure=0.01), **arguments))


def test_responses_of_another_shape_are_refused():
    """The number of responses has to match the design. [contract]"""
    design = design_sensitivity(CUBE)
    message = "the responses don't match the design (found shape (3,))"
    assert message in str(refused(analyze_sensitivity, design, [1.0, 2.0, 3.0]))


def test_the_message_suggests_factors():
    """Without ranges the message has numbers that the scenario states. [contract]"""
    error = refused(estimate_sensitivity, make(start_failure=0.25), vary={}, of="makespan_s")
    assert "stated there, for example: fleet.start_failure = 0.25" in str(error)


@pytest.mark.parametrize(
    ("respond", "expected", "words"),
    [
        (lambda p: 3 * p["x"] - p["y"], (False, False, True, ["z"]), "moves the response most"),
        (
            lambda p: p["x"] * p["y"] + p["z"] * p["y"] + p["x"] * p["z"],
            (False, False, False, []),
            "Another factor may matter as much.",
        ),
        (lambda p: 0 * p["x"], (False, True, None, ["x", "y", "z"]), "None of the 3 factors moves"),
        (lambda p: p["x"] / 0, (True, False, None, []), "What moves the response is unknown"),
    ],
)
def test_verdicts_are_data(respond, expected, words):
    """Every verdict of the answer is in to_dict(), and the words follow from it. [contract]"""
    design = design_sensitivity(dict.fromkeys("xyz", (0.0, 1.0)))
    result = analyze_sensitivity(design, respond(design.points).to_numpy())
    document = result.to_dict()
    inert = [row["factor"] for row in document["factors"] if row["is_inert"]]
    assert (document["is_refused"], document["is_constant"], document["is_first_sure"], inert) == expected
    assert words in result.answer
    if expected[2] is not None:
        other = replace(result, is_first_sure=not result.is_first_sure, factors=result.factors.assign(is_inert=False))
        assert ("Another factor may matter" in other.answer) == result.is_first_sure
        assert "No effect" not in other.answer
    if expected[1]:
        unsure = replace(result, indices=result.indices.assign(is_trusted=False))
        assert unsure.answer.startswith("No effect of the 3 factors on the response was seen: it is the same at every")
