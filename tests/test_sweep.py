"""Sweeps: one row per case and replication, identical wherever and however often the sweep was started."""

import contextlib
import itertools
import json
import re
import warnings
import weakref

import pandas as pd
import pytest
from hypothesis import given, strategies as st
from refusals import refused
from small import SMALL, rolling, small

from simdeploy.engines.block import COLUMNS
from simdeploy.errors import InputError, SimdeployWarning
from simdeploy.experiments import LatinHypercube, StoreError, read_store, replicate, sweep
from simdeploy.experiments.cases import CaseMaker
from simdeploy.experiments.cutting import Piece
from simdeploy.experiments.executors import InProcess
from simdeploy.experiments.rows import Layout
from simdeploy.experiments.store.manifest import hash_json
from simdeploy.experiments.working import cut_parts
from simdeploy.scenario import Scenario
from simdeploy.vocabulary import RESPONSES

VARY = {"max_failed_nodes": [0, 1, 4], "health_check.max_error_rate": [0.05, 0.5]}
WIDE = {"start_failure": [0.1, 0.2], "max_failed_nodes": list(range(9)), "min_healthy_time": ["30s", 30, "20s"]}


@pytest.fixture(scope="module")
def scenario():
    return small()


def run(scenario, policy="waves", *, vary=VARY, replications=3, engine="reference", **options):
    """Sweep with quick defaults."""
    return sweep(scenario, policy, vary=vary, replications=replications, engine=engine, **options)


class Counting(InProcess):
    """An executor that counts the replications of policies that it simulates."""

    def __init__(self):
        object.__setattr__(self, "spans", [])

    def run(self, job, spans):
        for span, block in super().run(job, spans):
            self.spans.append(span)
            yield span, block

    @property
    def n_rollouts(self):
        return sum(span.n_policies * span.n_replications for span in self.spans)


class Backwards(InProcess):
    """An executor that yields spans in reverse order."""

    def run(self, job, spans):
        yield from reversed(list(super().run(job, spans)))


class Interrupted(InProcess):
    """An executor that is interrupted after some spans."""

    def __init__(self, after):
        object.__setattr__(self, "after", after)

    def run(self, job, spans):
        for number, found in enumerate(super().run(job, spans)):
            if number == self.after:
                raise KeyboardInterrupt
            yield found


class NotAtAll(InProcess):
    """An executor that fails if it is used."""

    def run(self, job, spans):
        pytest.fail("nothing was left to simulate")
        yield


@pytest.fixture
def in_ones(monkeypatch):
    """Cut every sweep into spans of one replication of all policies of a group, and into parts of one case each."""
    monkeypatch.setattr(
        "simdeploy.experiments.working.cut_job",
        lambda job, _: tuple(Piece(len(group.policies), 1) for group in job.groups),
    )
    monkeypatch.setattr("simdeploy.experiments.working._MOST_CASES", 1)


# -- the table ---------------------------------------------------------------------------------------------------------


def test_one_row_per_case_and_replication(scenario):
    """Rows are sorted by case and replication; factor columns with full paths precede the responses. [contract]"""
    result = run(scenario, vary={"max_failed_nodes": [0, 4], "max_error_rate": [0.05, 0.5]})
    table = result.to_frame()
    factors = ["max_failed_nodes", "health_check.max_error_rate"]
    assert list(table) == ["case", "scenario", "policy", *factors, "replication", *COLUMNS]
    assert list(result.columns) == list(table)
    assert result.factors == tuple(factors)
    assert table["case"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert table["replication"].tolist() == [0, 1, 2] * 4
    cases = table.drop_duplicates("case")[["case", "scenario", "policy", *factors]].reset_index(drop=True)
    pd.testing.assert_frame_equal(cases, result.cases)
    assert list(result.cases[factors].itertuples(index=False, name=None)) == [(0, 0.05), (0, 0.5), (4, 0.05), (4, 0.5)]
    declared = {name: pd.Series(dtype=dtype).dtype for name, dtype in RESPONSES.items()}
    assert table[list(RESPONSES)].dtypes.to_dict() == declared
    assert (table["case"].dtype, table["replication"].dtype, table["max_failed_nodes"].dtype) == ("int64",) * 3


def test_the_table_has_its_conditions(scenario):
    """Scenario, seed, engine and switches are attributes as for `replicate`; for several scenarios by name. [contract]"""
    attrs = run(scenario, seed=9, replications=1).to_frame().attrs
    assert attrs == replicate(scenario, replications=1, seed=9, engine="reference").attrs
    other = scenario.with_values({"orchestrator.on_failure": "stop", "name": "other"})
    attrs = run([scenario, other], replications=1).to_frame().attrs
    assert attrs["scenario"] == ["small", "other"]
    on_failure = {name: switches["on_failure"] for name, switches in attrs["switches"].items()}
    assert on_failure == {"small": "rollback", "other": "stop"}


def test_every_case_meets_the_same_worlds(scenario):
    """Each case has the rows that `replicate` gives for its policy, whatever else is tried. [property]"""
    table = run(scenario, seed=5, replications=6).to_frame()
    specs = {
        f"{nodes} {rate}": rolling(5, max_failed_nodes=nodes, health_check={"deadline": "5m", "max_error_rate": rate})
        for nodes in VARY["max_failed_nodes"]
        for rate in VARY["health_check.max_error_rate"]
    }
    expected = replicate(scenario, policies=specs, replications=6, seed=5, engine="reference")
    names = ["replication", *COLUMNS]
    pd.testing.assert_frame_equal(table[names], expected[names])
    assert table.groupby("case")["verdict"].unique().astype(str).nunique() > 1


def test_factors_of_the_scenario(scenario):
    """A case with other values of the scenario has the rows of that scenario. [property]"""
    vary = {"start_failure": [0.0, 0.4], "scenario.orchestrator.limit_comparison": ["exceeds", "reaches"]}
    table = run(scenario, vary=vary, replications=5).to_frame()
    for case, rows in table.groupby("case"):
        failure, comparison = rows.iloc[0][["scenario.fleet.start_failure", "scenario.orchestrator.limit_comparison"]]
        changed = scenario.with_values({"fleet.start_failure": failure, "orchestrator.limit_comparison": comparison})
        expected = replicate(changed, policies="waves", replications=5, engine="reference")
        names = ["replication", *COLUMNS]
        pd.testing.assert_frame_equal(rows[names].reset_index(drop=True), expected[names], obj=f"case {case}")


def test_the_design_changes_no_row(scenario):
    """A point of a list or of a Latin hypercube has the rows that it has in a grid. [property]"""
    grid = run(scenario).to_frame()
    asked = {"max_failed_nodes": [4, 0], "max_error_rate": [0.05, 0.5]}
    rest = [name for name in grid if name != "case"]
    for design in ("list", LatinHypercube(2)):
        table = run(scenario, vary=asked, design=design).to_frame()
        merged = table.merge(grid, on=[*VARY, "replication"], suffixes=("", "_of_grid"))
        assert len(merged) == len(table) == 6
        for name in set(rest) - {*VARY, "replication"}:
            pd.testing.assert_series_equal(merged[name], merged[f"{name}_of_grid"], check_names=False)


def test_several_scenarios_and_policies_are_one_call(scenario):
    """Scenarios times policies need no varied key, and are named as in the mapping. [contract]"""
    larger = scenario.with_values({"fleet.nodes": 20})
    result = run({"twelve": scenario, "twenty": larger}, ["at-once", "waves"], vary=None, replications=2)
    table = result.to_frame(["scenario", "policy", "replication", "touched_nodes"])
    assert (result.scenarios, result.policies, result.factors) == (("twelve", "twenty"), ("at-once", "waves"), ())
    expected = list(itertools.product(["twelve", "twenty"], ["at-once", "waves"]))
    assert list(zip(table["scenario"], table["policy"], strict=True))[::2] == expected
    assert table["touched_nodes"].iloc[[0, 4]].tolist() == [12, 20]


def test_unused_parameters_of_a_gate_make_one_case(scenario):
    """Kinds of gates are varied with their parameters; unused ones cause neither an error nor work. [property]"""
    executor = Counting()
    vary = {"gate.kind": ["threshold", "pooled", "sprt"], "gate.alpha": [0.01, 0.1]}
    result = run(scenario, vary=vary, executor=executor, replications=2)
    table = result.to_frame(["health_check.gate.kind", "health_check.gate.alpha", "decision_requests", "status"])
    assert table["status"].eq("ok").all()
    assert len(table) == 12
    assert executor.n_rollouts == 2 * 4
    by_kind = table.groupby(["health_check.gate.kind", "health_check.gate.alpha"])["decision_requests"].sum()
    assert by_kind["pooled", 0.01] == by_kind["pooled", 0.1]
    plain = run(scenario, vary={"max_parallel": [5]}, replications=2).to_frame()
    assert by_kind["threshold", 0.01] == plain["decision_requests"].sum()


def test_nothing_is_simulated_twice(scenario):
    """Equal cases are simulated once, and all of them are in the table. [contract]"""
    counting = Counting()
    twin = scenario.with_values({"name": "twin"})
    vary = {"min_healthy_time": ["30s", 30, "20s"]}
    table = run([scenario, twin], vary=vary, replications=4, executor=counting).to_frame()
    assert counting.n_rollouts == 2 * 4
    assert len(table) == 6 * 4
    makespans = table.pivot(index="replication", columns="case", values="makespan_s")
    assert (makespans[0] == makespans[1]).all()
    assert (makespans[0] == makespans[3]).all()
    assert not (makespans[0] == makespans[2]).all()


def test_all_policies_of_a_world_are_one_pass(scenario):
    """All variants of a policy go to the engine together. [contract]"""
    counting = Counting()
    run(scenario, vary={**VARY, "start_failure": [0.1, 0.2]}, executor=counting)
    assert {(span.group, span.policy, span.n_policies) for span in counting.spans} == {(0, 0, 6), (1, 0, 6)}


def test_columns_may_be_chosen(scenario):
    """Some columns can be read alone; an unknown one is refused with the nearest. [contract]"""
    result = run(scenario)
    table = result.to_frame(["verdict", "max_failed_nodes"])
    assert list(table) == ["verdict", "max_failed_nodes"]
    pd.testing.assert_frame_equal(table, result.to_frame()[list(table)], check_exact=True)
    batches = pd.concat(result.batches(["case", "replication", "verdict"]))
    assert len(batches) == len(table)
    with pytest.raises(InputError, match=r"verdikt: no such column; .* did you mean 'verdict'"):
        result.to_frame(["verdikt"])


def test_a_result_describes_itself(scenario, tmp_path):
    """In a terminal and in a notebook a result shows what was varied, and where the rows are. [contract]"""
    result = run(scenario, replications=1)
    assert repr(result) == (
        "<SweepResult: 6 cases, 1 replication each, over max_failed_nodes, health_check.max_error_rate>"
    )
    assert repr(run(scenario, vary={"max_failed_nodes": [4]}, replications=2)).startswith("<SweepResult: 1 case, 2 re")
    assert "<td>max_failed_nodes</td><td>3 values: 0, 1, 4</td>" in result._repr_html_()
    vary = {"max_failed_nodes": range(10)}
    stored = run(scenario, vary=vary, replications=1, store=tmp_path / "s")
    assert str(tmp_path / "s") in repr(stored)
    assert stored.list_values("max_failed_nodes") == "10 values: 0, 1, ..., 9"
    unset = run(scenario, vary={"max_failed_nodes": [None, 2]}, replications=1)
    assert unset.list_values("max_failed_nodes") == "2 values: unset, 2"


def test_progress_is_reported(scenario, tmp_path):
    """A callable receives the number of rows, from 0 to all, or from those in a resumed folder. [contract]"""
    for store in (None, tmp_path / "s"):
        progress = []
        run(scenario, store=store, progress=lambda *counts, progress=progress: progress.append(counts))
        assert progress[0] == (0, 18)
        assert progress[-1] == (18, 18)
        assert [done for done, _ in progress] == sorted(done for done, _ in progress)
    progress = []
    run(scenario, store=tmp_path / "s", progress=lambda *counts: progress.append(counts))
    assert progress == [(18, 18)]


def test_failed_replications_are_rows(scenario, tmp_path):
    """A failed replication is a row with stage and error; a warning counts them, also when a folder is reopened. [contract]"""
    message = r"6 of 6 replications failed; the first: case 0, replication 0, simulate: ValueError: broken"
    for store in (None, tmp_path / "s", tmp_path / "s"):
        with pytest.warns(SimdeployWarning, match=message):
            result = run(scenario, vary={"max_failed_nodes": [0, 1, 4]}, replications=2, executor=Broken(), store=store)
        table = result.to_frame()
        assert set(table["status"]) == {"failed"}
        assert set(table["error"]) == {"ValueError: broken"}
        assert table[list(RESPONSES)].isna().all(axis=None)


class Broken(InProcess):
    """Every replication fails."""

    def run(self, job, spans):
        for span in spans:
            yield span, job.failed(span, "simulate", "ValueError: broken")


def test_warnings_are_given_once(scenario):
    """A warning about a value is given once, not for each of its cases. [contract]"""
    vary = {"max_failed_nodes": [1, *range(12, 40)], "max_error_rate": [0.1, 0.2]}
    with pytest.warns(SimdeployWarning) as caught:
        run(scenario, vary=vary, replications=1)
    assert [str(warning.message) for warning in caught] == [
        "max_failed_nodes: can never stop a rollout of 12 nodes (found 12, 13, 14 and 25 more)"
    ]
    assert caught[0].filename == __file__
    with pytest.warns(SimdeployWarning, match=r"policies\.waves\.max_failed_nodes"):
        useless = scenario.with_values({"policies.waves.max_failed_nodes": 12})
    with warnings.catch_warnings(action="error"):  # that was said, with its place
        run(useless, vary={"max_error_rate": [0.1, 0.2], "scenario.fleet.start_failure": [0.1, 0.2]}, replications=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vary": None}, "vary: nothing to vary; allowed: a key with values, or several"),
        ({"replications": range(2, 2)}, r"replications: invalid number of replications \(found range\(2, 2\)\)"),
        ({"replications": range(0, 4, 2)}, "replications: invalid number of replications"),
        ({"replications": range(-1, 2)}, "replications: invalid number of replications"),
        ({"design": "grit"}, "design: unknown design"),
    ],
)
def test_invalid_arguments(scenario, tmp_path, options, message):
    """Invalid arguments are refused before anything is simulated or written. [contract]"""
    with pytest.raises(InputError, match=message):
        run(scenario, **{"store": tmp_path / "s", "executor": NotAtAll(), **options})
    assert not (tmp_path / "s").exists()


# -- the store ---------------------------------------------------------------------------------------------------------


def files_of(folder):
    """Return the contents of every file below a folder."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def content(folder):
    """Return the table in a folder, in its own order."""
    stored = read_store(folder)
    assert stored.is_complete
    return stored.to_frame()


def test_a_store_has_the_same_table(scenario, tmp_path):
    """With a store the table is the same as without, types included. [property]"""
    vary = {**VARY, "start_failure": [0.1, 0.2], "canary_percent": [None, 0]}
    in_memory = run(scenario, vary=vary).to_frame()
    result = run(scenario, vary=vary, store=tmp_path / "s")
    pd.testing.assert_frame_equal(result.to_frame(), in_memory, check_exact=True)
    assert result.store == tmp_path / "s"
    stored = content(tmp_path / "s").sort_values(["case", "replication"], ignore_index=True)
    pd.testing.assert_frame_equal(stored, in_memory, check_exact=True)
    assert in_memory["canary_percent"].dtype == "Int64"


def test_the_manifest_has_the_question(scenario, tmp_path):
    """Scenario, policies, values, design, replications, seed, engine and switches are in the manifest. [contract]"""
    run(scenario, store=tmp_path / "s", seed=7)
    question = read_store(tmp_path / "s").manifest["question"]
    assert list(question) == [
        "scenario", "policies", "vary", "design", "replications", "first_replication", "seed", "engine", "switches",
    ]  # fmt: skip
    assert question["vary"] == VARY
    assert (question["design"], question["replications"], question["seed"]) == ("grid", 3, 7)
    assert question["scenario"]["small"]["fleet"] == SMALL["fleet"]
    assert question["policies"]["waves"]["small"]["spec"] == SMALL["policies"]["waves"]
    assert question["switches"]["small"]["limit_comparison"] == "exceeds"


def test_ranges_of_replications(scenario, tmp_path):
    """A range of replications gives the same rows as the whole, in memory, in a store and from `replicate`. [property]"""
    whole = run(scenario, replications=7).to_frame()
    parts = [
        run(scenario, replications=range(3)).to_frame(),
        run(scenario, replications=range(3, 7), store=tmp_path / "s").to_frame(),
    ]
    joined = pd.concat(parts).sort_values(["case", "replication"], ignore_index=True)
    pd.testing.assert_frame_equal(joined, whole, check_exact=True)
    rows = replicate(scenario, replications=range(3, 7))
    expected = replicate(scenario, replications=7).query("replication >= 3").reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, expected, check_exact=True)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 1},
        {"replications": 4},
        {"replications": range(1, 4)},
        {"vary": {**VARY, "max_failed_nodes": [0, 1, 5]}},
        {"vary": dict(reversed(VARY.items()))},
        {"design": "list", "vary": {"max_failed_nodes": [0], "health_check.max_error_rate": [0.05]}},
        {"policy": {"waves": {**SMALL["policies"]["waves"], "max_parallel": 6}}},
        {"scenario": {"fleet.nodes": 13}},
        {"scenario": {"orchestrator.on_failure": "stop"}},
    ],
)
def test_a_store_of_another_question_is_refused(scenario, tmp_path, options):
    """A folder of another question is refused, and left unchanged. [contract]"""
    run(scenario, store=tmp_path / "s")
    before = files_of(tmp_path / "s")
    asked = scenario.with_values(options.pop("scenario", {}))
    error = refused(run, asked, store=tmp_path / "s", executor=NotAtAll(), **options)
    assert "belongs to another question" in str(error)
    assert files_of(tmp_path / "s") == before


def test_irrelevant_differences_are_ignored(tmp_path):
    """A description, unused policies, or the file's place don't make another question. [contract]"""
    base = tmp_path / "here"
    base.mkdir()
    (base / "times.csv").write_text("30\n40\n")
    raw = {**SMALL, "fleet": {**SMALL["fleet"], "update_duration": {"empirical": {"file": "times.csv"}}}}
    run(Scenario.from_dict(raw, base=base), store=tmp_path / "s")
    base.rename(tmp_path / "there")
    moved = {**raw, "description": "moved", "policies": {"waves": SMALL["policies"]["waves"]}}
    run(Scenario.from_dict(moved, base=tmp_path / "there"), store=tmp_path / "s", executor=NotAtAll())
    (tmp_path / "there" / "times.csv").write_text("30\n41\n")
    changed = Scenario.from_dict(moved, base=tmp_path / "there")
    assert "another question" in str(refused(run, changed, store=tmp_path / "s"))


def test_a_latin_hypercube_resumes(scenario, tmp_path):
    """A Latin hypercube resumes without work; choices in place of a range are another question. [contract]"""
    asked = {"max_failed_nodes": (0, 4), "max_error_rate": [0.1, 0.2]}
    how = {"design": LatinHypercube(4), "store": tmp_path / "s"}
    first = run(scenario, vary=asked, **how).to_frame()
    again = run(scenario, vary=asked, executor=NotAtAll(), **how).to_frame()
    pd.testing.assert_frame_equal(again, first, check_exact=True)
    others = {**asked, "max_failed_nodes": [0, 4]}
    assert "another question" in str(refused(run, scenario, vary=others, **how))


@pytest.mark.usefixtures("in_ones")
def test_an_interrupted_store_is_resumed(scenario, tmp_path):
    """However often it was interrupted, only missing replications are simulated, and every part is the same. [property]"""
    vary = {**VARY, "start_failure": [0.1, 0.2]}
    run(scenario, vary=vary, store=tmp_path / "whole")
    for after in (3, 0, 7):  # three spans, of one replication each, make a part
        with pytest.raises(KeyboardInterrupt):
            run(scenario, vary=vary, store=tmp_path / "s", executor=Interrupted(after))
    counting, progress = Counting(), []
    run(scenario, vary=vary, store=tmp_path / "s", executor=counting, progress=lambda *counts: progress.append(counts))
    assert len(counting.spans) == 3 * (12 - 1 - 0 - 2)
    assert progress[0] == (9, 36)
    assert progress[-1] == (36, 36)
    pd.testing.assert_frame_equal(content(tmp_path / "s"), content(tmp_path / "whole"), check_exact=True)
    assert files_of(tmp_path / "s" / "parts") == files_of(tmp_path / "whole" / "parts")


@pytest.mark.parametrize("most_rows", [200_000, 12, 2])
def test_rows_are_in_the_order_of_the_table(scenario, tmp_path, monkeypatch, most_rows):
    """Rows are in order of case and replication in memory, in a store, in pandas, and after interruptions. [property]"""
    monkeypatch.setattr("simdeploy.experiments.working._PART_S", 0.0)
    monkeypatch.setattr("simdeploy.experiments.working._MOST_PARTS", 1)
    for module in ("working", "rows"):
        monkeypatch.setattr(f"simdeploy.experiments.{module}._MOST_ROWS", most_rows)
    vary = {**VARY, "start_failure": [0.1, 0.2], "min_healthy_time": ["30s", 30]}
    result = run(scenario, vary=vary, replications=range(2, 7), executor=Backwards())
    expected = result.to_frame()
    keys = expected[["case", "replication"]]
    pd.testing.assert_frame_equal(keys, keys.sort_values(["case", "replication"], ignore_index=True))
    options = {"vary": vary, "replications": range(2, 7), "store": tmp_path / "s"}
    for after in (1, 5, 2):
        with contextlib.suppress(KeyboardInterrupt):
            run(scenario, executor=Interrupted(after), **options)
    stored = run(scenario, executor=Backwards(), **options)
    n_parts = len(list((tmp_path / "s" / "parts").iterdir()))
    assert n_parts == {200_000: 1, 12: 12, 2: 24 * 3}[most_rows]
    for found in (
        stored.to_frame(),
        read_store(tmp_path / "s").to_frame(),
        pd.read_parquet(tmp_path / "s" / "parts"),
        *(pd.concat(rows.batches()) for rows in (result, stored)),
    ):
        found.attrs.clear()
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_no_clock_decides_on_the_files(scenario, tmp_path, monkeypatch):
    """A question has the same files for any apparent duration of the work, and any number of workers. [property]"""
    ticks = iter(range(0, 10**9, 7))
    run(scenario, replications=40, store=tmp_path / "a")
    monkeypatch.setattr("simdeploy.experiments.cutting.thread_time", lambda: -float(next(ticks)))
    run(scenario, replications=40, store=tmp_path / "b", workers=2)
    assert files_of(tmp_path / "a" / "parts") == files_of(tmp_path / "b" / "parts")


@pytest.mark.usefixtures("in_ones")
def test_a_damaged_part_is_computed_again(scenario, tmp_path):
    """A changed part is named in a warning and recomputed. [contract]"""
    whole = run(scenario, store=tmp_path / "s").to_frame()
    part = sorted((tmp_path / "s" / "parts").iterdir())[1]
    damaged = bytearray(part.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    part.write_bytes(damaged)
    counting = Counting()
    with pytest.warns(SimdeployWarning, match=r"s: recomputing part 1"):
        again = run(scenario, store=tmp_path / "s", executor=counting)
    assert {(span.policy, span.n_policies) for span in counting.spans} == {(1, 1)}
    pd.testing.assert_frame_equal(again.to_frame(), whole, check_exact=True)


@pytest.mark.usefixtures("in_ones")
def test_rows_do_not_pile_up(scenario, tmp_path):
    """With a store, blocks are freed as their parts are written. [contract]"""
    blocks, most = [], []

    class Watched(InProcess):
        def run(self, job, spans):
            for span, block in super().run(job, spans):
                blocks.append(weakref.ref(block))
                most.append(sum(block() is not None for block in blocks))
                yield span, block
                del block

    run(scenario, replications=3, store=tmp_path / "s", executor=Watched())
    assert len(most) == 6 * 3
    assert max(most) <= 4


@given(
    n_cases=st.integers(1, 50),
    first=st.integers(0, 9),
    n_replications=st.integers(1, 50),
    n_rows=st.integers(1, 60),
    most_cases=st.integers(1, 60),
)
def test_parts_are_consecutive_rows(n_cases, first, n_replications, n_rows, most_cases):
    """Parts have each row once, in the order of the table, and at most the requested size. [property]"""
    replications = range(first, first + n_replications)
    layout = Layout.of_size(n_cases, replications, n_rows=n_rows, most_cases=most_cases)
    parts = [layout.part(number) for number in range(layout.n_parts)]
    assert [(case, one) for part in parts for case in part.cases for one in part.replications] == [
        (case, one) for case in range(n_cases) for one in replications
    ]
    assert all(len(part.cases) * len(part.replications) <= n_rows for part in parts)
    assert all(len(part.cases) <= most_cases for part in parts)
    assert layout.count_rows(range(layout.n_parts)) == n_cases * n_replications
    for case in range(n_cases):
        of_case = [number for number, part in enumerate(parts) if case in part.cases]
        assert list(layout.parts_of(range(case, case + 1))) == of_case


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        # A part is about four seconds of work, ...
        ((20, 1000, "reference", 1000), (1, 77, 260)),
        ((1260, 3000, "compiled", 400), (33, 3000, 39)),
        # ... unless there would be very many, ...
        ((20, 100_000, "reference", 1000), (1, 2000, 1000)),
        # ... but never of more rows than are read at a time, nor of more cases than are quickly checked.
        ((400, 10**6, "compiled", 10), (1, 100_000, 4000)),
        ((10**6, 1, "compiled", 10), (5000, 1, 200)),
    ],
)
def test_parts_are_neither_long_nor_many(asked, expected):
    """The size of a part depends on the size of the work, the engine and the fleet. [contract]"""
    n_cases, n_replications, engine, node_updates = asked
    cut = cut_parts(n_cases, n_replications, engine=engine, node_updates=node_updates)
    names = ("engine", "cases_per_part", "replications_per_part", "n_parts")
    assert cut == dict(zip(names, (engine, *expected), strict=True))


@pytest.mark.parametrize("change", [
    {"engine": "none"}, {"n_parts": 7}, {"cases_per_part": 0}, {"cases_per_part": "6"}, {"replications_per_part": None},
])  # fmt: skip
def test_an_impossible_cut_is_refused(scenario, tmp_path, change):
    """A manifest with an invalid division, even with valid hashes, is a clear error. [contract]"""
    run(scenario, store=tmp_path / "s")
    path = tmp_path / "s" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["cut"] |= change
    manifest["hashes"]["cut"] = hash_json(manifest["cut"])
    path.write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match=r"manifest\.json is damaged"):
        run(scenario, store=tmp_path / "s", executor=NotAtAll())


# -- very many cases ---------------------------------------------------------------------------------------------------


@pytest.fixture
def in_stretches(monkeypatch):
    """Check a few cases at a time, as is otherwise done only for very many."""
    for name, number in (("_ALL_CHECKED", 10), ("_CHECKED_FIRST", 8), ("_AT_A_TIME", 7)):
        monkeypatch.setattr(f"simdeploy.experiments.working.{name}", number)
    monkeypatch.setattr("simdeploy.experiments.working._MOST_CASES", 3)


@pytest.mark.usefixtures("in_stretches")
def test_very_many_cases_are_checked_in_turn(scenario, tmp_path, monkeypatch):
    """Of very many cases few are made at a time, the first part exists before the last is made, and the table is the same. [property]"""
    expected = run(scenario, vary=WIDE).to_frame()
    made, make = [], CaseMaker.make

    def watched(self, numbers, **options):
        made.append((len(numbers), len(list(tmp_path.glob("s/parts/*.parquet")))))
        return make(self, numbers, **options)

    monkeypatch.setattr(CaseMaker, "make", watched)
    with pytest.raises(KeyboardInterrupt):
        run(scenario, vary=WIDE, store=tmp_path / "s", executor=Interrupted(3))
    stored = run(scenario, vary=WIDE, store=tmp_path / "s").to_frame()
    assert max(n_cases for n_cases, _ in made) == 6
    assert [n_parts for _, n_parts in made][1] > 0
    pd.testing.assert_frame_equal(stored, expected, check_exact=True)
    made.clear()
    run(scenario, vary=WIDE, store=tmp_path / "s", executor=NotAtAll())
    assert not made


@pytest.mark.usefixtures("in_stretches")
def test_a_wrong_value_among_very_many_is_refused(scenario, tmp_path):
    """An invalid value is refused before anything is simulated, wherever it stands. [contract]"""
    vary = {**WIDE, "max_failed_nodes": [*range(9), -1]}
    error = refused(run, scenario, vary=vary, store=tmp_path / "s", executor=NotAtAll())
    assert "max_failed_nodes: " in str(error)
    assert not (tmp_path / "s").exists()


@pytest.mark.usefixtures("in_stretches")
def test_impossible_combinations_cost_no_other_case(scenario, tmp_path):
    """Of very many cases, impossible ones are failed rows with the reason; others are unaffected. [contract]"""
    healthy = ["30s", "40s", "50s", *(f"{60 + n}s" for n in range(8)), "6m"]
    vary = {"max_failed_nodes": [0, 1, 2, 3, 4], "deadline": ["10m", "5m"], "min_healthy_time": healthy}
    assert "min_healthy_time" in str(refused(run, scenario, vary=vary))
    with pytest.warns(SimdeployWarning, match=r"15 of 360 replications failed; the first: case 23, .*, check: "):
        table = run(scenario, vary=vary, store=tmp_path / "s").to_frame()
    failed = table[table["status"].eq("failed")]
    assert set(failed["stage"]) == {"check"}
    assert failed["error"].str.contains("min_healthy_time").all()
    assert set(failed["health_check.min_healthy_time"]) == {360.0}
    assert set(failed["health_check.deadline"]) == {300.0}
    assert failed["makespan_s"].isna().all()
    vary["min_healthy_time"] = healthy[:-1]
    whole = run(scenario, vary=vary).to_frame()
    names = [name for name in whole if name != "case"]
    others = table[table["health_check.min_healthy_time"].lt(360)][names].reset_index(drop=True)
    pd.testing.assert_frame_equal(others, whole[names], check_exact=True)


def test_a_store_keeps_its_engine(scenario, tmp_path, monkeypatch):
    """The engine that "auto" chose at first is kept when the folder is resumed. [contract]"""
    expected, asked = run(scenario).to_frame(), []
    monkeypatch.setattr(
        "simdeploy.experiments.working.choose_engine",
        lambda engine, _, *, node_updates: asked.append(node_updates) or "reference",
    )
    with pytest.raises(KeyboardInterrupt):
        run(scenario, engine="auto", store=tmp_path / "s", executor=Interrupted(0))
    assert asked == [6 * 3 * 12]
    monkeypatch.setattr("simdeploy.experiments.working.choose_engine", lambda *_, **__: "compiled")
    result = run(scenario, engine="auto", store=tmp_path / "s")
    assert result.attrs["engine"] == "reference"
    pd.testing.assert_frame_equal(result.to_frame(), expected, check_exact=True)


# -- documents ---------------------------------------------------------------------------------------------------------


def test_the_reference_lists_the_columns(scenario, repository):
    """docs/reference.md lists the columns of a sweep other than responses, and those of its summary. [contract]"""
    from simdeploy.analysis import summarize_grid

    text = (repository / "docs" / "reference.md").read_text(encoding="utf-8")

    def listed(heading):
        section = re.split(r"^#+ ", text.split(f"# {heading}\n")[1], flags=re.MULTILINE)[0]
        lines = [line for line in section.splitlines() if line.startswith("| `")]
        return [name for line in lines for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])]

    result = run(scenario, replications=1)
    rest = [name for name in result.columns if name not in RESPONSES and name not in result.factors]
    assert listed("`sweep`") == rest
    cells = summarize_grid(result).cells
    named = listed("`summarize_grid`")
    quantities = [name for name in named if not name.startswith("_") and f"{name}_estimate" in cells]
    assert {name for name in cells if name not in result.factors} == {
        *(name for name in named if not name.startswith("_") and name not in quantities),
        *(f"{name}{ending}" for name in quantities for ending in named if ending.startswith("_")),
    }
