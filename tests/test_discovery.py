"""In which worlds a policy breaks: planted boxes are found, none in noise, and their quality is estimated."""

import json
import math
import re
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from drawn import draw_on, find_unreadable
from hypothesis import given, settings, strategies as st
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from refusals import refused
from scipy import stats
from small import one_by_one, rarely_bad

from simdeploy.analysis import discover, find_boxes
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.discovery.breaking import Breaking, judge_worlds
from simdeploy.analysis.discovery.choosing import choose, hypergeometric_tail, quasi_p, share
from simdeploy.analysis.discovery.columns import describe_boxes, describe_limits, read_columns
from simdeploy.analysis.discovery.finding import make_discovery
from simdeploy.engines.reference.engine import run_reference
from simdeploy.errors import InputError, SimdeployWarning
from simdeploy.experiments import LatinHypercube, Range, read_store, sweep
from simdeploy.plotting import plot_discovery, plot_peeling_path
from simdeploy.scenario import Scenario
from simdeploy.scenario.measures import parse_requirement
from simdeploy.statistics.boxes import Box, Column, Limits, cut_below, peel


def worlds(n, seed, names="abcd"):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: rng.random(n) for name in names})


def make(*, policy=None, **fleet):
    return one_by_one({"on_failure": "pause"}, policy, **fleet)


VARY = {"fleet.update_duration": ("30s", "90s"), "min_healthy_time": [10, 20, 30, 40]}


def test_labels_of_the_worlds_of_a_sweep():
    """The cases of a sweep are worlds, as the same table without its policy is. [contract]"""
    fleet = {"nodes": 1, "update_duration": 1}
    scenario = Scenario.from_dict({"name": "x", "fleet": fleet, "policies": {"p": {"strategy": "immediate"}}})
    vary = {"scenario.fleet.update_duration": list(range(1, 61))}
    found = find_boxes(sweep(scenario, "p", vary=vary, replications=1, engine="reference"), np.arange(60) >= 30)
    points = pd.DataFrame({"scenario.fleet.update_duration": [float(seconds) for seconds in range(1, 61)]})
    assert found.boxes["limits"].tolist() == find_boxes(points, np.arange(60) >= 30).boxes["limits"].tolist()
    with pytest.raises(InputError, match="no table of replications"):
        find_boxes([1, 2], [True, False])


def test_the_planted_box():
    """A box among four factors is found with its factors and limits, and contains nearly all broken worlds and no others. [oracle]"""
    points = worlds(800, 1)
    result = find_boxes(points, (points["a"] > 0.6) & points["c"].between(0.2, 0.7))
    (row,) = result.boxes.to_dict("records")
    assert row["is_found"]
    limits = result.limits.set_index("factor")
    assert list(limits.index) == ["a", "c"]
    found = [limits.loc["a", "low"], limits.loc["c", "low"], limits.loc["c", "high"]]
    # An end is between two of about 80 points of the box: this far only once in e^4 boxes.
    np.testing.assert_allclose(found, [0.6, 0.2, 0.7], atol=4 * 0.5 / 80)
    assert limits.loc["a", "high"] == math.inf
    assert (row["density"], row["coverage"]) == pytest.approx((1, 1), abs=0.1)
    assert (limits["quasi_p"] < 1e-6).all()


def test_the_planted_box_in_noise():
    """With a tenth of the labels flipped the box is still found, with correct density and coverage. [oracle]"""
    points = worlds(1000, 2)
    turned = np.random.default_rng(3).random(1000) < 0.1
    result = find_boxes(points, ((points["a"] > 0.6) & (points["c"] < 0.5)) ^ turned)
    row = result.boxes.iloc[0]
    assert row["is_found"]
    assert set(result.limits["factor"][result.limits["box"] == 1]) == {"a", "c"}
    # 0.2 * 0.9 of all worlds break in it, 0.8 * 0.1 elsewhere.
    for name, truth, n in (("density", 0.9, row["n"]), ("coverage", 0.18 / 0.26, 130)):
        assert abs(row[name] - truth) <= 4 * math.sqrt(truth * (1 - truth) / n) + 0.05


@pytest.mark.parametrize("share_broken", [0.05, 0.3])
def test_nothing_in_noise(share_broken):
    """If breaking is unrelated to the factors, of whatever kind, a box is found in at most 5 % of 120 cases, plus four standard errors. [oracle]"""
    n, found = 120, 0
    for seed in range(n):
        rng = np.random.default_rng([seed, 1])
        points = worlds(120, seed, "abc").assign(k=rng.integers(0, 4, 120), word=rng.choice(["x", "y", "z"], 120))
        result = find_boxes(points, rng.random(120) < share_broken, seed=seed)
        found += bool(result.boxes["is_found"].any())
        # A rejected box ends the search, so only the first one can be a false discovery.
        assert result.boxes["is_found"].iloc[:-1].all()
    assert found / n <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / n)


def test_how_often_intervals_cover():
    """The intervals of density and coverage contain the true values in at least 95 % of 100 cases, less four standard errors. [oracle]"""
    n, covered = 100, {"density": 0, "coverage": 0}
    for seed in range(n):
        rng = np.random.default_rng([seed, 1])
        points = worlds(200, seed, "ab")
        broken = rng.random(200) < np.where(points["a"] > 0.5, 0.7, 0.1)
        result = find_boxes(points, broken, seed=seed)
        limits = result.limits[result.limits["box"] == 1]
        sides = {row["factor"]: (max(row["low"], 0.0), min(row["high"], 1.0)) for row in limits.to_dict("records")}
        low, high = sides.get("a", (0.0, 1.0))
        width_b = np.subtract(*sides.get("b", (0.0, 1.0))[::-1])
        breaks = width_b * (0.7 * max(high - max(low, 0.5), 0) + 0.1 * max(0.5 - low, 0))
        for name, truth in (("density", breaks / width_b / (high - low)), ("coverage", breaks / 0.4)):
            row = result.boxes.iloc[0]
            covered[name] += row[f"{name}_low"] <= truth <= row[f"{name}_high"]
    assert min(covered.values()) / n >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / n)


def count_worlds(p, n, rng):
    """Judge worlds in which a rollout pauses with probability p, as if simulated in n replications that they share."""
    is_paused = rng.random(n) < p[:, None]
    rows = {
        "case": np.repeat(np.arange(len(p)), n),
        "replication": np.tile(np.arange(n), len(p)),
        "policy": "p",
        "state": np.where(is_paused, "paused", "completed").ravel(),
        "makespan_s": 1.0,
    }
    wanted = parse_requirement("paused <= 10%")
    return judge_worlds(Values(pd.DataFrame(rows), [wanted.measure]), [wanted], confidence_level=0.95)


def test_how_often_intervals_cover_in_counted_worlds():
    """Intervals allow for the errors that worlds share: 30 seeds, at least 95 % less four standard errors. [oracle]"""
    covered, cases = Counter(), Counter()
    for seed in range(30):
        rng = np.random.default_rng([seed, 2])
        # Halves of 50 worlds, each a Latin hypercube with replications of its own.
        halves = [0.2 * (rng.permutation(50) + rng.random(50)) / 50 for _ in range(2)]
        known = [count_worlds(half, 40, rng) for half in halves]
        result = make_discovery(
            pd.DataFrame({"p": np.concatenate(halves)}),
            Breaking(*(np.concatenate(columns) for columns in zip(*known, strict=True))),
            np.repeat([True, False], 50),
            policy="p", requirements=(), n_replications=40, n_failed=0, confidence_level=0.95, under={},
        )  # fmt: skip
        # Half of the worlds break: those above 0.1.
        rows = [("share", 0.5, result.to_dict())]
        for box, limits in zip(result.boxes.to_dict("records"), result.limits.to_dict("records"), strict=True):
            low, high = max(limits["low"], 0.0), min(limits["high"], 0.2)
            breaks = max(high - max(low, 0.1), 0.0)
            rows += [("density", breaks / (high - low), box), ("coverage", breaks / 0.1, box)]
        cases.update(name for name, *_ in rows)
        covered.update(name for name, truth, row in rows if row[f"{name}_low"] <= truth <= row[f"{name}_high"])
    assert min(cases.values()) >= 20
    for name, n in cases.items():
        assert covered[name] / n >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / n), name


def test_limits_need_half_the_error_of_a_verdict():
    """A world whose rate is above the limit with 96 % confidence is decided, but open for the limits of shares. [oracle]"""
    n = 100
    # So many of 100 rollouts fail.
    failed = [0, 5, 16, 17, 40]
    rows = [
        {"case": case, "replication": r, "policy": "p", "state": "failed" if r < k else "completed", "makespan_s": 1.0}
        for case, k in enumerate(failed)
        for r in range(n)
    ]
    requirement = parse_requirement("failed <= 10%")
    known = judge_worlds(Values(pd.DataFrame(rows), [requirement.measure]), [requirement], confidence_level=0.95)
    lowest = [1 - stats.beta.cdf(0.1, k, n - k + 1) if k else 0.0 for k in failed]
    highest = [stats.beta.cdf(0.1, k + 1, n - k) for k in failed]
    sure = np.maximum(lowest, highest)
    assert known.is_undecided.tolist() == (sure < 0.95).tolist()
    assert known.is_open.tolist() == (sure < 0.975).tolist()
    assert known.is_undecided.sum() < known.is_open.sum()


def test_no_coverage_without_a_breaking_world():
    """If no held-out world breaks, the coverage and its limits are unknown. [contract]"""
    none = Breaking(*[np.zeros(20, dtype=bool)] * 3, np.full(20, "", dtype=object))
    assert all(map(math.isnan, none.bound_coverage(none.take(np.arange(5)), 0.95)))


def test_ends_are_moved_to_where_they_should_be():
    """Despite large peeling steps the box has the true limits, between two points, and no meaningless limit. [oracle]"""
    x, y = np.linspace(0, 1, 101), np.tile([0.25, 0.75], 51)[:101]
    columns = [Column("x", x), Column("y", y)]
    path = [Box(), Box({0: Limits(low=0.5), 1: Limits(high=0.8)}), Box({0: Limits(low=0.9)})]
    place, box = choose(path, columns, (x > 0.62) & (x < 0.8))
    assert place == 1
    assert box.restricted == (0,)
    assert (box.limits[0].low, box.limits[0].high) == pytest.approx((0.625, 0.795))


def test_two_boxes():
    """The search continues outside the first box, finds the second one, and both hold. [oracle]"""
    points = worlds(800, 5)
    result = find_boxes(points, (points["d"] < 0.2) | ((points["a"] > 0.8) & (points["b"] < 0.5)))
    assert result.boxes["is_found"].tolist()[:2] == [True, True]
    assert result.boxes["limits"][0].startswith("d is below 0.")
    assert result.boxes["limits"][1].startswith("a is above 0.")
    assert re.search(
        r"\. Otherwise where a is above 0\.[^:]*: in [^,]* of these, (which covers )?[^,]* of all breaks\.",
        result.answer,
    )
    in_first = result.worlds["box"] == 1
    assert (result.worlds["d"][in_first] < 0.22).all()
    assert result.boxes["coverage"].sum() <= 1


def test_small_boxes_are_not_reported():
    """A further box with less than a tenth of the broken worlds is no answer. [contract]"""
    points = worlds(800, 5)
    result = find_boxes(points, (points["a"] > 0.6) | (points["b"] < 0.03))
    assert len(result.boxes) == 1
    assert result.boxes["coverage"].iloc[0] > 0.9


def test_limits_in_words():
    """A limit is described by the ends of a range, or by name if only one value is left. [contract]"""
    names = {"k": "k", "x": "x", "w": "w"}
    k = Column("k", np.array([1.0, 2, 5]), is_whole=True)
    asked = [Limits(high=1.5), Limits(low=4.5), Limits(low=1.5), Limits(low=1.5, high=4.2), Limits(low=1.5, high=2.5)]
    words = ["k is 1", "k is 5", "k is at least 2", "k is from 2 to 4", "k is 2"]
    assert [describe_limits(limits, k, names) for limits in asked] == words
    # The fewest digits that keep every value on its side.
    x = Column("x", np.array([0.1, 0.12, 0.1251, 0.2]))
    assert describe_limits(Limits(low=0.123456), x, names) == "x is above 0.123"
    assert describe_limits(Limits(low=0.12498), x, names) == "x is above 0.125"
    assert describe_limits(Limits(low=0.160123, high=0.5), x, names) == "x is from 0.16 to 0.5"
    assert describe_limits(Limits(high=0.5), x, names) == "x is below 0.5"
    duration = "scenario.fleet.update_duration"
    seconds = Column(duration, np.array([30.0, 40, 90, 150]))
    assert describe_limits(Limits(low=61.7, high=121.3), seconds, {duration: "u"}) == "u is from 1m to 1m40s"
    whole = Column(duration, np.array([30.0, 90]), is_whole=True)
    assert describe_limits(Limits(low=60), whole, {duration: "u"}) == "u is at least 1m"
    w = Column("w", np.array([0.0, 1.0]), words=("blue", "red"))
    assert describe_limits(Limits(places=frozenset({1})), w, names) == "w is red"


def test_words_and_whole_numbers():
    """A box may limit words and whole numbers, with inclusive ends. [oracle]"""
    rng = np.random.default_rng(4)
    points = worlds(600, 4, "ab").assign(k=rng.integers(1, 9, 600), word=rng.choice(["x", "y", "z"], 600))
    result = find_boxes(points, (points["k"] >= 4) & (points["word"] != "y"))
    assert result.boxes["limits"].tolist() == ["k is at least 4 and word is x or z"]
    assert result.boxes[["density", "coverage"]].to_numpy().tolist() == [[1.0, 1.0]]
    assert result.limits["values"].tolist() == ["", "x, z"]
    ax = plot_discovery(Figure().subplots(), result)
    assert {ax.get_xlabel(), ax.get_ylabel()} == {"k", "word"}


@settings(max_examples=50)
@given(
    values=st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1), st.booleans()), min_size=5, max_size=80),
    words=st.integers(1, 3),
)
def test_paths(values, words):
    """Each box of a path is inside the previous one and smaller, with correct counts and its own description. [property]"""
    k, x, is_broken = map(np.array, zip(*values, strict=True))
    names = tuple("xyz"[:words])
    columns = [Column("k", k.astype(float), is_whole=True), Column("x", x), Column("w", k % words * 1.0, words=names)]
    path = peel(columns, is_broken)
    for before, after in pairwise(path):
        outer, inner = before.contain(columns), after.contain(columns)
        assert (inner <= outer).all()
        assert inner.sum() < outer.sum()
        counted = share(after, columns, is_broken)
        assert (counted.n, counted.broken) == (inner.sum(), (inner & is_broken).sum())
    by_name = {column.name: column.name for column in columns}
    alone = [describe_boxes([box], columns, by_name)[0] for box in path]
    assert describe_boxes(path, columns, by_name) == alone
    _, box = choose(path, columns, is_broken)
    if box.limits:
        # Dropping a limit may cost a little, but the box stays at least as good as the whole space.
        assert share(box, columns, is_broken).balance >= share(Box(), columns, is_broken).balance


@given(values=st.lists(st.integers(0, 20), min_size=1, max_size=60), fraction=st.floats(0.01, 0.5))
def test_cuts(values, fraction):
    """A cut removes at least the lowest value and about its share, and leaves something, unless all are equal. [property]"""
    values = np.array(values, dtype=float)
    cut = cut_below(values, fraction)
    if cut is None:
        assert len(np.unique(values)) == 1
        return
    below = values[values < cut]
    assert 0 < len(below) < len(values)
    lowest = (values == values.min()).sum()
    assert len(below) <= max(lowest, int(fraction * len(values)), 1)


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 40), st.data())
def test_fishers_test(of_broken, of_held, n, data):
    """The p-value of a box is the upper tail of scipy's hypergeometric law. [oracle]"""
    of_n = of_broken + of_held
    n = min(n, of_n)
    broken = data.draw(st.integers(max(0, n - of_held), min(n, of_broken)))
    expected = stats.hypergeom.sf(broken - 1, of_n, of_broken, n)
    assert hypergeometric_tail(broken, n, of_broken, of_n) == pytest.approx(expected, rel=1e-9)


def test_quasi_p_by_hand():
    """With 3 of 4 broken in a box and 4 of 8 without the limit, it is P(K >= 3) of four coin flips. [oracle]"""
    x = Column("x", np.arange(8.0))
    is_broken = np.array([1, 0, 0, 0, 0, 1, 1, 1], dtype=bool)
    assert quasi_p(Box({0: Limits(low=3.5)}), 0, [x], is_broken) == pytest.approx(5 / 16)


def test_unknown_worlds_shift_nothing():
    """Unknown worlds are left out by position, and the result is that of the table without them. [property]"""
    points = worlds(400, 6)
    labels = pd.Series((points["a"] > 0.6).to_numpy(), dtype=object)
    labels[[3, 77, 200]] = None
    result = find_boxes(points, labels)
    assert dict(result.left_out) == {"no value": 3}
    assert ". 3 of 400 worlds are excluded (no value in 3). " in result.answer
    assert result.worlds["is_broken"].isna().to_numpy().nonzero()[0].tolist() == [3, 77, 200]
    known = result.worlds.drop(index=[3, 77, 200])
    assert (known["is_broken"] == (known["a"] > 0.6)).all()
    assert (result.worlds["box"][[3, 77, 200]] == 0).all()
    assert abs(result.limits["low"].iloc[0] - 0.6) < 0.03


def test_too_much_unknown():
    """If more than a tenth of the worlds is unknown, there is no answer. [property]"""
    points = worlds(400, 6)
    labels = pd.Series((points["a"] > 0.6).to_numpy(), dtype=object)
    labels[:41] = None
    result = find_boxes(points, labels)
    assert result.is_refused
    assert result.boxes.empty
    assert result.answer.startswith("Where the policy breaks is unknown: 41 of 400 worlds are excluded")


def test_a_rollout_that_takes_too_long():
    """The box of too slow rollouts is that of the closed form. [oracle]"""
    result = discover(
        make(), vary={**VARY, "fleet.rollback_duration": (1.0, 9.0)}, requirements="makespan_s <= 6m",
        points=300, replications=1, engine="compiled",
    )  # fmt: skip
    row = result.boxes.iloc[0]
    # Too slow is 5 (u + h) > 360, a slanted border that a box can't match.
    assert row["is_found"]
    assert set(result.limits["factor"][result.limits["box"] == 1]) <= {
        "scenario.fleet.update_duration", "health_check.min_healthy_time",
    }  # fmt: skip
    exact = 5 * (result.worlds["scenario.fleet.update_duration"] + result.worlds["health_check.min_healthy_time"]) > 360
    assert (result.worlds["is_broken"] == exact).all()
    held_out = result.worlds[result.worlds["is_held_out"]]
    inside = held_out[held_out["box"] == 1]
    assert row["density"] == inside["is_broken"].mean()
    assert row["coverage"] == inside["is_broken"].sum() / held_out["is_broken"].sum()
    assert row["mass"] == len(inside) / len(held_out)


def test_halves_share_no_replication(tmp_path):
    """Boxes are judged in worlds with other points and replications than those of the search. [property]"""
    known = {"vary": VARY, "requirements": "makespan_s <= 6m", "points": 40, "replications": 3, "engine": "compiled"}
    result = discover(make(), store=tmp_path / "kept", **known)
    search, held_out = (read_store(tmp_path / "kept" / half).to_frame() for half in ("search", "held-out"))
    assert (set(search["replication"]), set(held_out["replication"])) == ({0, 1, 2}, {3, 4, 5})
    name = "scenario.fleet.update_duration"
    assert not set(search[name]) & set(held_out[name])
    # Each half is a Latin hypercube.
    for half in (search, held_out):
        parts = np.floor((np.sort(half[name].unique()) - 30) / 60 * 20)
        assert parts.tolist() == list(range(20))
    progress = []
    again = discover(make(), store=tmp_path / "kept", progress=lambda *at: progress.append(at), **known)
    assert progress == [(60, 120), (120, 120)]
    assert again.answer == result.answer == discover(make(), **known).answer


def test_where_a_rare_release_breaks(tmp_path):
    """Each half has worlds of each kind of release, so a limit caused by one release in a hundred is found. [oracle]"""
    vary = {"scenario.release.bad.error_rate": (0.1, 0.4), "scenario.fleet.rollback_duration": ("0s", "9s")}
    known = {"vary": vary, "requirements": "cost <= 1800", "points": 80, "replications": 400, "engine": "compiled"}
    result = discover(rarely_bad(), store=tmp_path, **known)
    (limits,) = result.limits.to_dict("records")
    assert (limits["factor"], limits["high"]) == ("scenario.release.bad.error_rate", math.inf)
    # Half of the worlds break: those above 0.25. The mean of 100 or more times until somebody notices moves that edge.
    assert abs(limits["low"] - 0.25) <= 4 * 0.25 / math.sqrt(100) + 0.3 / 40
    first, second = (
        {int(number) % 2**30 for part in ("pilot", "rest") for number in rows(tmp_path / f"{half}-{part}-kind-01")}
        for half in ("search", "held-out")
    )
    assert min(len(first), len(second)) >= 100
    assert not first & second


def rows(folder):
    return read_store(folder).to_frame()["replication"].unique()


def test_the_same_seed():
    """The same seed, including 0, gives the same answer; another seed gives other worlds. [property]"""
    known = {"vary": VARY, "requirements": "makespan_s <= 6m", "points": 40, "replications": 1, "engine": "reference"}
    first, again, other = (discover(make(), seed=seed, **known) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first.worlds, again.worlds)
    assert not first.worlds.equals(other.worlds)


def test_a_failed_simulation_in_the_middle(monkeypatch):
    """A world with a failed replication is left out, and no other takes its place. [property]"""

    def sometimes(scenario, policy, *, replication, **rest):
        if scenario.fleet.nodes == 7 and replication in (1, 2):
            raise ValueError("broken")
        return run_reference(scenario, policy, replication=replication, **rest)

    monkeypatch.setattr("simdeploy.engines.reference.engine.run_reference", sometimes)
    vary = {"fleet.nodes": (4, 12), "fleet.update_duration": ("30s", "90s")}
    how = {"points": 120, "replications": 2, "engine": "reference"}
    with pytest.warns(SimdeployWarning, match="replications failed"):
        result = discover(make(), vary=vary, requirements="makespan_s <= 10m", **how)
    failed = result.worlds["scenario.fleet.nodes"] == 7
    assert (result.worlds["reason"] == np.where(failed, "a replication failed", "")).all()
    assert result.n_failed == failed.sum() == result.left_out["a replication failed"]
    exact = result.worlds["scenario.fleet.nodes"] * (result.worlds["scenario.fleet.update_duration"] + 10) > 600
    assert (result.worlds["is_broken"] == exact)[~failed].all()
    assert not result.is_refused


def test_rollouts_that_never_end():
    """If rollouts never end, a limit on their time is unknown, and the answer says so. [property]"""
    scenario = make(start_failure=0.1, policy={"max_failed_nodes": 0})
    known = {"vary": VARY, "points": 40, "replications": 8, "engine": "compiled"}
    result = discover(scenario, requirements="makespan_s <= 6m", **known)
    assert result.is_refused
    assert result.answer.endswith(" Require a measure known for every rollout, such as in_progress <= 1%.")
    assert not discover(scenario, requirements="paused <= 5%", **known).is_refused


def test_all_or_none():
    """If all worlds break or none does, the answer says so with an interval and without a box. [contract]"""
    # The median of five has no 95 % interval.
    known = {"vary": VARY, "points": 40, "replications": 6, "engine": "compiled"}
    none = discover(make(), requirements="p50 makespan_s <= 1h", **known)
    assert none.answer == "waves breaks in none of 40 worlds: 0.0 % (95 % CI 0.0 to 8.8)."
    every = discover(make(), requirements="p50 makespan_s <= 1m", **known)
    assert every.answer == "waves breaks in all 40 worlds: 100.0 % (95 % CI 91.2 to 100.0)."
    assert none.boxes.empty
    assert every.boxes.empty
    plot_peeling_path(Figure().subplots(), none)


def test_undecided_worlds_are_counted():
    """Worlds with intervals on both sides of a limit are counted, also in the box, and classified by their estimate. [property]"""
    scenario = make(start_failure=0.1, policy={"max_failed_nodes": 0})
    vary = {"fleet.start_failure": (0.0, 0.2), "fleet.update_duration": (30.0, 60.0)}
    result = discover(scenario, vary=vary, requirements="paused <= 40%", points=60, replications=10, engine="compiled")
    n_undecided = int(result.worlds["is_undecided"].sum())
    assert 0 < n_undecided < 60
    assert f". {n_undecided} worlds are undecided after 10 replications" in result.answer
    brief = discover(
        scenario, vary=vary, requirements="in_progress <= 1%", points=60, replications=1, engine="compiled"
    )
    assert brief.answer.endswith(". 60 worlds are counted by their estimates: undecided after 1 replication.")
    mean = discover(make(), vary=VARY, requirements="waves <= 99", points=40, replications=5, engine="compiled")
    assert (brief.why_undecided, mean.why_undecided) == ("", "a mean needs 1,000")
    assert mean.answer.endswith(": undecided after 5 replications, because a mean needs 1,000.")
    # One replication has no interval, so all worlds are undecided, which the answer mentions before a second box.
    points = replace(result, worlds=result.worlds.assign(is_undecided=True))
    first, second, *_ = points.answer.split(". ")
    assert first.startswith("waves seems to break where ")
    assert second == "60 worlds are undecided after 10 replications"
    row = result.boxes.iloc[0]
    inside = result.worlds[result.worlds["is_held_out"] & (result.worlds["box"] == 1)]
    assert row["n_undecided"] == inside["is_undecided"].sum()
    # Most worlds of the box are undecided, so that it would not be found if they didn't break.
    assert (row["is_found"], row["is_sure"]) == (True, False)
    (confirmed,) = [cells[1] for cells in result.summarize()[0].rows]
    assert confirmed == "by estimates"
    assert "Box (by estimates): " in plot_discovery(Figure().subplots(), result).get_title(loc="left")
    sure = replace(result, boxes=result.boxes.assign(is_sure=True))
    assert sure.answer == result.answer.replace("seems to break", "breaks")


def test_a_ready_table():
    """The table of a sweep is searched by its requirements; its cases are the worlds. [contract]"""
    vary = {"fleet.update_duration": (30.0, 90.0), "max_parallel": [1, 5]}
    table = sweep(make(), "waves", vary=vary, design=LatinHypercube(120), replications=2, engine="compiled")
    result = find_boxes(table, requirements="makespan_s <= 150s")
    assert result.boxes["limits"].tolist() == ["max_parallel is at most 3"]
    assert result.policy == "waves"
    assert find_boxes(table.to_frame(), requirements="makespan_s <= 150s").answer == result.answer


def test_a_single_kind_of_release_is_known():
    """With a single kind of release a world breaks exactly where the binomial probability is beyond the limit. [oracle]"""
    scenario = one_by_one("expanso", {"max_failed_nodes": 1, "max_failed_nodes_percent": 100}, nodes=10)
    vary = {"fleet.start_failure": (0.0, 0.1)}
    how = {"requirements": "false_alarm <= 10%", "points": 40, "replications": 20, "engine": "compiled"}
    result = discover(scenario, vary=vary, **how)
    failure = result.worlds["scenario.fleet.start_failure"].astype(float)
    assert (result.worlds["is_broken"] == (stats.binom.sf(1, 10, failure) > 0.1)).all()
    assert result.n_undecided == 0


def test_in_words_and_json():
    """The answer is a sentence with density and coverage; tables and JSON have everything. [contract]"""
    points = worlds(400, 1)
    result = find_boxes(points, points["a"] > 0.6)
    low = float(result.answer.removeprefix("The policy breaks where a is above ").partition(":")[0])
    side = points["a"][result.worlds["is_held_out"]] > low
    assert (side == (points["a"] > result.limits["low"].iloc[0])[side.index]).all()
    assert re.search(
        r": in \S+ % \(.*\) of these worlds, (which covers )?\S+ % \(.*\) of all breaks\. Overall ", result.answer
    )
    boxes, limits, path = result.summarize()
    assert (boxes.header[0], limits.header, path.header[0]) == ("box", ("box", "limit", "quasi-p-value"), "step")
    assert sum("chosen" in row[0] for row in path.rows) == 1
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert document["limits"][0]["high"] == "Infinity"
    assert len(document["worlds"]) == 400


def test_pictures():
    """The box is drawn at its limits, logarithmically for logarithmic ranges; the path has a star at the choice. [contract]"""
    rng = np.random.default_rng(0)
    points = pd.DataFrame({"p": 10 ** rng.uniform(-3, -1, 400), "q": rng.random(400)})
    result = find_boxes(points, (points["p"] > 0.02) & (points["q"] < 0.5))
    ax = draw_on(plot_discovery, result)
    axis = {"x": (ax.get_xlabel(), ax.get_xscale()), "y": (ax.get_ylabel(), ax.get_yscale())}
    assert set(axis.values()) == {("p", "log"), ("q", "linear")}
    corner = dict(zip("xy", ax.patches[0].get_xy(), strict=True))
    of_p = next(name for name, (label, _) in axis.items() if label == "p")
    limits = result.limits.set_index("factor")
    assert corner[of_p] == limits.loc["p", "low"]
    assert {text.get_text() for text in ax.texts} == set(find_ends(result.boxes["limits"].iloc[0]))
    assert not find_unreadable(ax.figure)
    trail = draw_on(plot_peeling_path, result)
    star = trail.lines[-1]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == tuple(100 * result.boxes[["coverage", "density"]].iloc[0])
    lowest = 100 * result.path[["coverage", "held_out_coverage"]].min().min()
    assert 0 <= lowest - trail.get_xlim()[0] <= max(0.06 * (100 - lowest), 0.5) + 1e-9
    assert not find_unreadable(trail.figure)
    narrow = replace(result, path=result.path.assign(coverage=1.0, held_out_coverage=1.0))
    assert max(tick for tick in draw_on(plot_peeling_path, narrow).get_xticks() if tick <= 101) == 100


def test_axes_of_tiny_fractions_have_plain_numbers():
    """Ticks are read without a factor beside the axis. [contract]"""
    rng = np.random.default_rng(0)
    points = pd.DataFrame({"p": rng.uniform(0, 1e-5, 400), "q": rng.uniform(0, 1e9, 400)})
    ax = draw_on(plot_discovery, find_boxes(points, (points["p"] > 6e-6) & (points["q"] < 5e8)))
    assert {ax.xaxis.get_offset_text().get_text(), ax.yaxis.get_offset_text().get_text()} == {""}
    assert not find_unreadable(ax.figure)


def test_axes_of_durations_have_a_unit():
    """The axis of a factor that is a duration has a unit, and so have the labels of its limits. [contract]"""
    rng = np.random.default_rng(0)
    points = pd.DataFrame(
        {
            "health_check.deadline": 10 ** rng.uniform(1, 3, 400),
            "scenario.fleet.update_duration": rng.uniform(30, 300, 400),
        }
    )
    limits = (points["health_check.deadline"] > 200) & (points["scenario.fleet.update_duration"] < 120)
    ax = draw_on(plot_discovery, find_boxes(points, limits))
    assert {ax.get_xlabel(), ax.get_ylabel()} == {"health_check.deadline (s)", "update_duration (min)"}
    assert {"2m", "3m19s"} <= {text.get_text() for text in ax.texts}
    linear = ax.xaxis if ax.get_xscale() == "linear" else ax.yaxis
    assert [label.get_text() for label in linear.get_ticklabels()][1:3] == ["1", "2"]


def find_ends(words):
    """Return the numbers in a description of limits."""
    return re.findall(r"\d[\d.e-]*", words)


def test_limits_have_the_digits_of_the_answer():
    """Pictures and words show a box's limits with the same digits, no more than the worlds determine. [contract]"""
    rng = np.random.default_rng(4)
    points = pd.DataFrame({"p": rng.random(1000), "q": rng.random(1000)})
    here, there = (points["p"] > 0.71234) & (points["q"] > 0.61234), (points["p"] < 0.21234) & (points["q"] < 0.31234)
    result = find_boxes(points, here | there)
    assert result.boxes["is_found"].sum() >= 2
    for box, words in zip(result.boxes["box"], result.boxes["limits"], strict=True):
        ax = draw_on(partial(plot_discovery, box=box), result)
        assert sorted(text.get_text() for text in ax.texts) == sorted(find_ends(words))


def test_broken_worlds_look_different():
    """Broken worlds have their own lightness and mark; worlds outside undrawn limits are faint, and the title names these. [contract]"""
    rng = np.random.default_rng(0)
    points = pd.DataFrame({"x": rng.random(1200), "y": rng.random(1200), "n": rng.integers(0, 10, 1200)})
    result = find_boxes(points, (points["x"] > 0.5) & (points["y"] < 0.5) & (points["n"] > 5))
    ax = draw_on(plot_discovery, result)
    shown = {ax.get_xlabel(), ax.get_ylabel()}
    (further,) = result.limits[~result.limits["factor"].isin(shown)].to_dict("records")
    assert further["limits"] in ax.get_title(loc="left").replace("\n", " ")
    column = result.worlds[further["factor"]]
    beyond = int((~column.between(further["low"], further["high"])).sum())
    dots = [dots for dots in ax.collections if isinstance(dots, PathCollection)]
    assert sum(len(each.get_offsets()) for each in dots) == 1200
    assert sum(len(each.get_offsets()) for each in dots if each.get_alpha() is not None) == beyond
    holds, breaks = (next(each for each in dots if each.get_label() == name) for name in ("holds", "breaks"))
    greys = [float(np.dot(each.get_facecolor()[0][:3], (0.299, 0.587, 0.114))) for each in (holds, breaks)]
    assert greys[0] - greys[1] > 0.15
    assert len(holds.get_paths()[0].vertices) != len(breaks.get_paths()[0].vertices)
    assert not find_unreadable(ax.figure)


def test_columns():
    """Numbers are ordered; everything else, including a missing number, is a word. [contract]"""
    frame = pd.DataFrame({"n": [1, 2], "x": [0.5, 1.5], "t": [True, False], "s": ["b", "a"], "u": [1.0, None]})
    found = {one.name: (one.words, one.is_whole) for one in read_columns(frame)}
    assert found == {
        "n": (None, True), "x": (None, False), "t": (("false", "true"), False), "s": (("a", "b"), False),
        "u": (("1", "unset"), False),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vary": {"fleet.nodes": (5, 2)}}, "scenario.fleet.nodes: invalid range"),
        ({"requirements": None}, "requirements: no requirement"),
        ({"requirements": "escaped given defective <= 1%"}, "the scenario has no defective release"),
        ({"points": 10}, "points: invalid number of worlds (found 10); allowed: 40 to 1,000,000 (half are held out)"),
        ({"vary": {"fleet.start_failure": Range(0.1, 2)}}, "start_failure: too large"),
    ],
)
def test_refusals(arguments, message):
    """Invalid arguments are refused before anything is simulated, with the allowed values. [contract]"""
    assert message in str(refused(discover, make(), **({"vary": VARY, "requirements": "makespan_s <= 6m"} | arguments)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([True], "is_broken: invalid is_broken (found 1 values); allowed: 50 values"),
        (["yes"] * 50, "is_broken: invalid is_broken"),
        (None, "requirements: no requirement"),
    ],
)
def test_invalid_labels(labels, message):
    """Labels have to be true or false, one for each world. [contract]"""
    assert message in str(refused(find_boxes, worlds(50, 0), labels))
    assert "too few worlds" in str(refused(find_boxes, worlds(30, 0), [True] * 30))


@pytest.mark.parametrize(
    ("breaks", "known", "expected", "words"),
    [
        (lambda p: p["a"] > 0.6, 400, "found", "The policy breaks where a is above "),
        (lambda p: p["noise"] > 0.6, 400, "not found", ". No range of the factors has clearly more of them."),
        (lambda p: p["a"] > 2, 400, "none", "The policy breaks in none of 400 worlds: "),
        (lambda p: p["a"] < 2, 400, "all", "The policy breaks in all 400 worlds: "),
        (lambda p: p["a"] > 0.6, 100, "refused", "Where the policy breaks is unknown: 300 of 400 worlds are excluded"),
    ],
)
def test_verdicts_are_data(breaks, known, expected, words):
    """Every verdict of the answer is in to_dict(), and the words follow from it. [contract]"""
    points = worlds(400, 1).assign(noise=np.random.default_rng(9).random(400))
    is_broken = breaks(points).astype(object).where(points.index < known)
    result = find_boxes(points.drop(columns="noise"), is_broken)
    document = result.to_dict()
    if document["is_refused"]:
        verdict = "refused"
    elif document["n_broken"] in (0, document["n_known"]):
        verdict = "all" if document["n_broken"] else "none"
    else:
        verdict = "found" if any(row["is_found"] for row in document["boxes"]) else "not found"
    assert verdict == expected
    assert words in result.answer
    plot_discovery(Figure().subplots(), result)
    plot_peeling_path(Figure().subplots(), result)
    assert document["share"] == pytest.approx(document["n_broken"] / document["n_known"])
    assert document["share_low"] <= document["share"] <= document["share_high"]
    if verdict == "found":
        lost = replace(result, boxes=result.boxes.assign(is_found=False))
        assert "No range of the factors has" in lost.answer
