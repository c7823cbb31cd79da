"""Bands over many rollouts: counts on both engines, in parts and after an interruption."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from by_hand import ENGINES
from commands import SCENARIOS
from drawn import draw, draw_on, find_unreadable
from generators import scenarios
from invoking import invoke
from matplotlib.figure import Figure
from refusals import refused
from small import maybe_bad, rolling, small
from test_engines_equal import assert_no_differences

import simdeploy
from simdeploy import Scenario
from simdeploy.analysis.bands.counting import Bands
from simdeploy.engines.traces import BROKEN, ERROR_RATE, QUANTITIES, STEP, Grid, Traces
from simdeploy.engines.tracing import run_traces, trace
from simdeploy.plotting import plot_timelines
from simdeploy.plotting.figures import draw_figure
from simdeploy.units import short_duration

FEW = {"replications": 60, "engine": "compiled"}


def rollouts_of(scenario, policy, n):
    """Return single rollouts."""
    return [simdeploy.simulate(scenario, policy, replication=number) for number in range(n)]


def at(timeline, column, time_s):
    """Return the values at an instant of one rollout."""
    return timeline[column].to_numpy()[timeline["time_s"].searchsorted(time_s + 1e-9) - 1]


def test_bands_are_those_of_single_rollouts():
    """Means and quantiles follow from the timelines and revisions of every rollout. [oracle]"""
    scenario, n = small(), 60
    result = simdeploy.timelines(scenario, "waves", every="45s", until="6m", replications=n, engine="reference")
    rollouts = rollouts_of(scenario, "waves", n)
    kinds = np.array([rollout.responses["release"] for rollout in rollouts])
    for kind in ("good", "bad"):
        chosen = [rollout for rollout, of in zip(rollouts, kinds, strict=True) if of == kind]
        timelines = [rollout.timeline for rollout in chosen]
        of_update = [rollout.revisions.query("type == 'update'") for rollout in chosen]
        for time_s in (0.0, 45.0, 90.0, 225.0, 360.0):
            values = {}
            for name in ("exposed", "in_service", "error_rate"):
                values[name] = [at(timeline, name, time_s) for timeline in timelines]
            for name in ("updated", "failed"):
                values[name] = [at(revisions, f"{name}_nodes", time_s) for revisions in of_update]
            for name, expected in values.items():
                rows = result.bands.query("quantity == @name and release == @kind and time_s == @time_s")
                (row,) = rows.to_dict("records")
                known = np.array([value for value in expected if value == value])
                assert row["n"] == len(known)
                if not len(known):
                    assert np.isnan([row["mean"], row["p50"]]).all()
                    continue
                step = 0.0005 if name == "error_rate" else 0
                assert row["mean"] == pytest.approx(known.mean(), abs=1e-9 + step / 2)
                for column, level in (("p5", 0.05), ("p50", 0.5), ("p95", 0.95)):
                    exact = np.sort(known)[max(int(np.ceil(level * len(known) - 1e-9)), 1) - 1]
                    assert row[column] == pytest.approx(exact, abs=1e-9 + 0.51 * step)


@pytest.mark.parametrize(
    "name", ["small-fleet", "latent-defect", "type-create", "type-stop", "type-restart", "zone-breaks"]
)
def test_both_engines_give_the_same_bands(name):
    """The engines agree to the last digit, with any number of workers. [property]"""
    path = SCENARIOS / f"{name}.yaml"
    how = {"every": "17s", "until": "40m", "replications": 20, "seed": 5}
    bands = [
        simdeploy.timelines(path, engine=engine, workers=workers, **how).bands
        for engine, workers in (("reference", 1), ("compiled", 1), ("compiled", 3))
    ]
    for other in bands[1:]:
        pd.testing.assert_frame_equal(bands[0], other, check_exact=True)


def test_traces_are_equal_on_generated_scenarios():
    """Over scenarios that use the whole file format, both engines trace the same values. [property]"""
    met = Counter()

    def differ(raw, seed):
        scenario = Scenario.from_dict(raw)
        policies = [scenario.policy(name) for name in scenario.policies]
        grid = Grid(23 * 10**9, 60)
        how = {"seed": seed, "first": 0, "count": 2}
        both = [run_traces(scenario, policies, grid, engine=engine, **how) for engine in ENGINES]
        met.update(name for row, name in enumerate(QUANTITIES) if (np.ptp(both[0].values[:, :, row], axis=2) > 0).any())
        met["broken"] += (both[0].kinds == BROKEN).sum()
        if not np.array_equal(both[0].kinds, both[1].kinds):
            return ["kinds of release"]
        return [QUANTITIES[row] for row in np.unique(np.nonzero(both[0].values != both[1].values)[2])]

    assert_no_differences(scenarios(), 150, 7, differ)
    assert all(met[name] >= 20 for name in QUANTITIES)


def test_an_endless_rollout_is_followed():
    """A paused rollout keeps its counts while its nodes continue to crash, on both engines alike. [property]"""
    scenario = small(
        fleet={"crash": {"up": {"exponential": {"mean": "5m"}}, "repair": "1m"}},
        operator={"script": [{"at": "70s", "do": "pause"}]},
    )
    how = {"until": "2h", "replications": 20}
    both = [simdeploy.timelines(scenario, "waves", engine=engine, **how).bands for engine in ENGINES]
    pd.testing.assert_frame_equal(*both, check_exact=True)
    bands = both[0]
    late = bands[bands["time_s"] > 3600]
    assert late[late["quantity"].eq("updated")]["mean"].nunique() <= 2  # one for each kind of release
    assert late[late["quantity"].eq("in_service")]["mean"].nunique() > 5


def test_finished_rollouts_keep_their_last_values():
    """After the last horizon nothing changes, though nodes would continue to crash. [contract]"""
    scenario = small(fleet={"crash": {"up": {"exponential": {"mean": "5m"}}, "repair": "1m"}})
    result = simdeploy.timelines(scenario, "at-once", until="10h", **FEW)
    ends = simdeploy.replicate(scenario, "at-once", **FEW)[["makespan_s", "restored_at_s"]].max().max()
    late = result.bands[result.bands["time_s"] > ends]
    assert len(late) > 100
    assert late.groupby(["release", "quantity"])["mean"].nunique(dropna=False).eq(1).all()


def test_large_fleets_are_counted_in_steps():
    """From 2,000 nodes on, a count is right to half of 1/2,000 of the fleet, and memory stays constant. [contract]"""
    values = np.array([0, 1, 4999, 5000, 9999, 10_000], np.int32)
    traces = Traces(np.broadcast_to(values[:, None, None], (6, 7, 1))[None].copy(), np.zeros((1, 6), np.int32))
    bands = Bands(1, 1, n_nodes=10_000, grid=Grid(10**9, 1), rows=[0])
    bands.add(0, traces)
    (row,) = bands.rows([0.1, 0.3, 0.4, 0.6, 0.8, 0.9])
    assert [row[f"p{n}"] for n in (10, 30, 40, 60, 80, 90)] == [0, 0, 5000, 5000, 10_000, 10_000]
    assert row["mean"] == pytest.approx(values.mean(), abs=2.5)
    assert bands.count_bytes() == Bands(1, 1, n_nodes=2000, grid=Grid(10**9, 1), rows=[0]).count_bytes()


def test_low_error_rates_are_counted_in_fine_steps():
    """Up to 0.5 % a rate is right to half of 0.001 %, beyond it to half of 0.05 %. [contract]"""
    rates = np.array([0.00001, 0.0002, 0.00499, 0.005, 0.0123, 1.0])
    steps = np.round(rates / STEP).astype(np.int32)
    traces = Traces(np.broadcast_to(steps[:, None, None], (6, 7, 1))[None].copy(), np.zeros((1, 6), np.int32))
    bands = Bands(1, 1, n_nodes=10, grid=Grid(10**9, 1), rows=[ERROR_RATE])
    bands.add(0, traces)
    (row,) = bands.rows([0.1, 0.3, 0.4, 0.6, 0.8, 0.9])
    counted = [0.00001, 0.0002, 0.00499, 0.005, 0.0125, 1.0]
    assert [row[f"p{n}"] for n in (10, 30, 40, 60, 80, 90)] == pytest.approx(counted)
    assert row["mean"] == pytest.approx(np.mean(counted))


def test_quantiles_are_covered():
    """For 4,000 worlds, the band of failed starts is the binomial's, within four standard errors. [oracle]"""
    from scipy.stats import binom

    scenario = small(fleet={"nodes": 50, "start_failure": 0.08, "requests_per_second": 0}, release=None)
    never_stopped = {"strategy": "immediate", "max_failed_nodes": 49, "max_failed_nodes_percent": 99}
    how = {"quantities": "failed", "quantiles": [0.1, 0.9], "until": "1h"}
    result = simdeploy.timelines(scenario, never_stopped, replications=4000, engine="compiled", **how)
    last = result.bands.iloc[-1]
    law = binom(50, 0.08)
    assert abs(last["mean"] - law.mean()) <= 4 * law.std() / np.sqrt(4000)
    for column, level in (("p10", 0.1), ("p90", 0.9)):
        slack = 4 * np.sqrt(level * (1 - level) / 4000)
        assert law.cdf(last[column]) >= level - slack
        assert law.cdf(last[column] - 1) <= level + slack


FIVE_MINUTES = {"quantities": ["failed", "error_rate"], "every": "20s", "until": "5m", "engine": "compiled"}


def test_an_interrupted_call_is_resumed(tmp_path, monkeypatch):
    """Work before an interruption is counted once, and the result is that of one call. [contract]"""
    scenario = small()
    how = {**FIVE_MINUTES, "replications": 1200}
    expected = simdeploy.timelines(scenario, **how)

    def stop(done, total):
        if 0 < done < total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simdeploy.timelines(scenario, store=tmp_path, progress=stop, **how)
    with np.load(tmp_path / "bands.npz") as saved:
        ((first, stop),) = saved["done"]
        assert first == 0 < stop < 1200
    traced = []
    original = run_traces
    monkeypatch.setattr(
        "simdeploy.analysis.bands.job.run_traces",
        lambda *args, **options: (traced.append(options["first"]), original(*args, **options))[1],
    )
    again = simdeploy.timelines(scenario, store=tmp_path, **how)
    assert 0 not in traced
    pd.testing.assert_frame_equal(again.bands, expected.bands, check_exact=True)
    traced.clear()
    simdeploy.timelines(scenario, store=tmp_path, **how)
    assert traced == []
    before = (tmp_path / "bands.npz").read_bytes()
    more = {**how, "replications": 1201}
    assert "other timelines" in str(refused(simdeploy.timelines, scenario, store=tmp_path, **more))
    assert (tmp_path / "bands.npz").read_bytes() == before


def test_nothing_is_counted_twice(tmp_path, monkeypatch):
    """A call interrupted while it counts saves no counts that it would repeat. [contract]"""
    how = {**FIVE_MINUTES, "replications": 800}
    expected = simdeploy.timelines(small(), **how)
    count, calls = Bands._count, []

    def interrupt(bands, *args):
        calls.append(args)
        if len(calls) == 6:
            raise KeyboardInterrupt
        count(bands, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Bands, "_count", interrupt)
        with pytest.raises(KeyboardInterrupt):
            simdeploy.timelines(small(), store=tmp_path, **how)
    again = simdeploy.timelines(small(), store=tmp_path, **how)
    pd.testing.assert_frame_equal(again.bands, expected.bands, check_exact=True)


def drop_list(path):
    """Leave out the list of what a store contains."""
    with np.load(path) as saved:
        content = {key: saved[key] for key in saved.files if key != "done"}
    np.savez_compressed(path, **content)


def cut_off(path):
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize("damage", [drop_list, cut_off])
def test_a_damaged_store_is_computed_again(tmp_path, damage):
    """A file without its list, or an unreadable one, causes a warning and no wrong number. [contract]"""
    how = {"quantities": "failed", "until": "5m", "replications": 50, "engine": "compiled"}
    expected = simdeploy.timelines(small(), store=tmp_path, **how)
    damage(tmp_path / "bands.npz")
    with pytest.warns(simdeploy.SimdeployWarning, match="damaged"):
        again = simdeploy.timelines(small(), store=tmp_path, **how)
    assert again.peaks.equals(expected.peaks)
    pd.testing.assert_frame_equal(again.bands, expected.bands)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("quantities", "fialed", "did you mean 'failed'"),
        ("quantities", [], "no quantity"),
        ("quantiles", [0.5, 1.0], "between 0 and 1"),
        ("quantiles", [], "no quantile"),
        ("every", "soon", 'such as "30s"'),
        ("every", 0, "above 0"),
        ("until", -5, "above 0"),
        ("until", "10min", "; write 10m"),
        ("until", "-10min", "or seconds"),
        ("until", "0s", "or seconds"),
        ("every", "1ms", "more than 5,000 instants"),
    ],
)
def test_invalid_arguments(argument, value, message):
    """Each invalid argument is refused with the allowed values. [contract]"""
    asked = {"until": "10m", "replications": 2, argument: value}
    error = str(refused(simdeploy.timelines, small(), **asked))
    assert message in error
    assert ("write" in error) == ("write" in message)


def test_endless_rollouts_need_a_last_instant():
    """If no rollout ends, the call asks for `until`. [contract]"""
    scenario = small(operator={"script": [{"at": "0s", "do": "pause"}]})
    error = refused(simdeploy.timelines, scenario, "waves", replications=5, engine="reference")
    assert "no rollout ends" in str(error)


@pytest.fixture
def unreplayable(tmp_path):
    """Write a scenario on a record that has too little to replay its policy."""
    header = "rollout,node,dispatched_at,started_at,resolved_at,status,attempts"
    node = "a,web-1,2026-03-02T08:00:00Z,2026-03-02T08:00:30Z,2026-03-02T08:01:00Z,running,1"
    (tmp_path / "nodes.csv").write_text(f"{header}\n{node}\n")
    policies = {"p": rolling(1)}
    raw = {"name": "t", "fleet": {"nodes": 1, "update_duration": "45s", "records": "nodes.csv"}, "policies": policies}
    (tmp_path / "t.yaml").write_text(json.dumps(raw))
    return tmp_path / "t.yaml"


@pytest.mark.parametrize(
    ("words", "last"),
    [
        (["timelines"], "error: every replication failed"),
        (["timelines", "--until", "2h"], "Every replication failed."),
        (["compare"], "Every replication failed, so the policies can't be compared."),
        (["check", "--most", "100", "--require", "failed <= 10%"], "Every replication failed."),
    ],
)
def test_failures_of_all_replications_are_named(unreplayable, words, last):
    """If every replication failed, commands say so and why, advise nothing else, and exit with 1. [contract]"""
    command, *options = words
    done = invoke(command, unreplayable, *options)
    assert done.exit_code == 1
    assert "replications failed; the first: " in done.stderr
    assert "a.health_check: no windows with requests are on record" in done.stderr
    said = done.stderr.splitlines()[-1] if last.startswith("error") else done.stdout.splitlines()[0]
    assert said.endswith(last)
    assert "until:" not in done.stderr
    assert "--most" not in done.stdout.splitlines()[:1]


def test_instants_are_round():
    """By default there are about 200 instants, a round duration apart, up to the longest rollout. [contract]"""
    result = simdeploy.timelines(small(), **FEW)
    times = result.bands["time_s"].unique()
    assert result.every_s in (1, 2, 5, 10, 15, 20, 30)
    assert 100 <= len(times) <= 202
    assert times[-1] == result.until_s


def test_trace_has_the_quantities():
    """A trace has one row per quantity and one column per instant. [contract]"""
    rollout = simdeploy.simulate(small(), "waves")
    assert trace(rollout._recording, Grid(10**9, 7)).shape == (len(QUANTITIES), 7)


def test_pictures_can_be_read():
    """At half a page no text of the command's picture overlaps or is cut, for either kind of release. [contract]"""
    result = simdeploy.timelines(SCENARIOS / "small-fleet.yaml", quantities=["failed"], until="20m", **FEW)
    for release in ("good", "blatant"):
        figure = Figure(figsize=(5, 3), layout="constrained")
        plot_timelines(figure.subplots(), result, release=release)
        assert find_unreadable(draw(figure)) == []
    # Many and long names are in a legend: once in the command's picture.
    copies = [result.bands.assign(policy=result.bands["policy"] + f" in the shops of region {n}") for n in range(3)]
    many = replace(result, bands=pd.concat(copies, ignore_index=True))
    assert find_unreadable(draw(draw_figure(many))) == []
    ax = draw_on(plot_timelines, many, release="good", size=(6, 5))
    assert find_unreadable(ax.figure) == []
    assert len(ax.get_legend().get_texts()) == many.bands["policy"].nunique() == 9
    assert "no such release" in str(refused(plot_timelines, Figure().subplots(), result, release="bda"))


def test_labels_of_axes_are_written_once():
    """Panels of one row or column share the label of their axis. [contract]"""
    result = simdeploy.timelines(small(), quantities=["failed", "error_rate"], until="10m", **FEW)
    axes = np.reshape(draw(draw_figure(result)).axes, (2, 2))
    assert [[bool(ax.get_ylabel()) for ax in row] for row in axes] == [[True, False]] * 2
    assert [[bool(ax.get_xlabel()) for ax in row] for row in axes] == [[False] * 2, [True] * 2]


def test_pictures_show_the_bands():
    """Each policy's line is the median, and its area reaches from the lowest quantile to the highest. [contract]"""
    result = simdeploy.timelines(small(), quantities="failed", until="10m", **FEW)
    ax = plot_timelines(Figure().subplots(), result, release="bad")
    lines = {line.get_label(): line for line in ax.lines}
    for policy, area in zip(("waves", "at-once"), ax.collections, strict=True):
        band = result.bands.query("policy == @policy and release == 'bad'")
        np.testing.assert_array_equal(lines[policy].get_xydata(), band[["time_s", "p50"]])
        corners = set(map(tuple, area.get_paths()[0].vertices))
        for edge in ("p5", "p95"):
            assert set(map(tuple, band[["time_s", edge]].to_numpy())) <= corners
        assert (band["p5"] < band["p95"]).any()


def test_the_command_names_the_worst_instant(tmp_path):
    """The answer has the highest band of failed nodes; the table of bands goes to --out. [contract]"""
    words = ["timelines", str(SCENARIOS / "small-fleet.yaml"), "--quantity", "failed", "--replications", "50"]
    words += ["--every", "2m", "--until", "2h"]
    done = invoke(*words, "--out", tmp_path / "bands.csv", "--engine", "compiled")
    assert done.exit_code == 0
    table = pd.read_csv(tmp_path / "bands.csv")
    worst = table.loc[table["p95"].idxmax()]
    assert done.output.startswith(
        f"95 % of rollouts have at most {worst['p95']:g} failed nodes at any time; the worst is at "
    )
    assert f"under {worst['policy']} with release {worst['release']}" in done.output
    assert ", every 2m, " in done.output
    assert "Extremes, up to 2h, and when they are first reached" in done.output


def test_the_answer_says_how_often_it_looks():
    """Nodes may be out of service between two instants, so the answer says how far these are apart. [contract]"""
    answers = [
        simdeploy.timelines(small(), quantities=of, every="6m", until="30m", **FEW).answer
        for of in ("in_service", "failed")
    ]
    assert "nodes in service, looking every 6m; the worst is" in answers[0]
    assert "failed nodes at any time; the worst is" in answers[1]  # a count that never falls


def test_the_answer_about_updated_nodes():
    """It says how many nodes 95 % of the rollouts with the usual release have updated under the first policy, and when. [contract]"""
    scenario = small({"start_failure": 0.05}, release=maybe_bad(0.2))
    found = simdeploy.timelines(scenario, quantities="updated", every="30s", until="20m", **FEW)
    good = found.bands.query("release == 'good'").sort_values("time_s", kind="stable")
    first = good.loc[good["p5"].idxmax()]
    level, time = f"{first['p5']:g} nodes", short_duration(first["time_s"] * 10**9)
    words = (
        f"At best, 95 % of rollouts with release good have updated at least {level} by {time}, under {first['policy']}."
    )
    assert found.answer == words
    steady = small({"start_failure": 0}, release=None)
    everything = simdeploy.timelines(steady, "at-once", quantities="updated", until="1h", **FEW)
    assert everything.answer.startswith("95 % of rollouts have updated all 12 nodes by ")
    nothing = simdeploy.timelines(small(release=None), "waves", quantities="updated", until="1s", **FEW)
    assert nothing.answer == "At no time have more than 95 % of rollouts updated a node."


@pytest.mark.parametrize(
    ("failure", "words"),
    [(0, "95 % of rollouts have no failed nodes at any time."), (1, "have at most 1 failed node at any time")],
)
def test_no_node_and_one_node_in_words(failure, words):
    """The answer is grammatical for no failed node and for one. [contract]"""
    fleet = {"start_failure": failure, "nodes": 1}
    found = simdeploy.timelines(small(fleet, release=None), "waves", quantities="failed", until="6m", **FEW)
    assert words in found.answer
