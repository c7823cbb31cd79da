"""Scoring of answers: logs, outcomes, scores and their intervals."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from commands import CREATED, keep
from invoking import invoke
from small import rolling

import simdeploy as sd
from simdeploy.analysis.scoring import log as log_module
from simdeploy.analysis.scoring.log import read_log
from simdeploy.analysis.scoring.scoring import _list_bins, _list_times, _summarize
from simdeploy.errors import InputError, SimdeployWarning
from simdeploy.statistics.reliability import decompose_brier, resample_mean

CHECK = {"deadline": "5m", "min_healthy_time": "0s"}
SCENARIO = {
    "name": "four",
    "fleet": {"nodes": 4, "update_duration": "1m", "start_failure": 0.05},
    "release": {"good": {"probability": 0.9}, "bad": {"probability": 0.1, "defective": True, "start_failure": 0.9}},
    "costs": {"hour_of_delay": 10, "false_alarm": 50, "escape": 400},
    "policies": {"in-twos": rolling(2, max_failed_nodes=2, max_failed_nodes_percent=50, health_check=CHECK)},
}
FEW = {"replications": 20, "engine": "compiled"}


def table(rows):
    """Return outcomes as a table."""
    return pd.DataFrame(rows, columns=["id", "defective", "completed_at"])


def test_a_table_of_nodes_in_the_log_needs_a_name(tmp_path):
    """An answer on a table needs a column that names the rollout, otherwise a warning says that it can't be scored. [contract]"""
    nodes = pd.DataFrame({"node": ["a", "b", "c", "d"], "status": ["running", "running", "starting", "starting"]})
    nodes["dispatched_at_s"] = [0.0, 0.0, 60.0, 60.0]
    with pytest.warns(SimdeployWarning, match="no id, created_at or rollout"):
        sd.forecast(sd.Scenario.from_dict(SCENARIO), seen=nodes, at=90, log=tmp_path / "unnamed", **FEW)
    sd.forecast(sd.Scenario.from_dict(SCENARIO), seen=nodes.assign(rollout="r7"), at=90, log=tmp_path / "named", **FEW)
    assert [entry.rollout for entry in read_log(tmp_path / "named")[0]] == ["r7"]


# -- the log -----------------------------------------------------------------------------------------------------------


def test_a_log_has_questions_and_answers(tmp_path):
    """Forecasts and advice are stored with their observation; the same answer is stored once. [contract]"""
    scenario = sd.Scenario.from_dict(SCENARIO)
    rollout = sd.simulate(scenario, seed=9)
    seen = rollout.deployment_at(2)
    for _ in range(2):
        result = sd.forecast(scenario, seen=seen, log=tmp_path / "log", **FEW)
    advice = sd.advise(scenario, seen=[(30, rollout.deployment_at(1)), (90, seen)], log=tmp_path / "log", **FEW)
    revisions = sd.forecast(scenario, seen=rollout.revisions[:2], at=100, log=tmp_path / "log", **FEW)
    entries, damaged = read_log(tmp_path / "log")
    assert not damaged
    by_type = {(entry.answer["result"], entry.at_s): entry for entry in entries}
    assert set(by_type) == {("Forecast", result.at_s), ("Advice", advice.at_s), ("Forecast", revisions.at_s)}
    entry = by_type["Forecast", result.at_s]
    assert (entry.id, entry.created_at) == (seen.id, seen.status.created_at)
    assert entry.seen == [json.loads(seen.to_json())]
    assert sd.read_result(json.dumps(entry.answer)).answer == result.answer
    assert [each["seen_at"] for each in by_type["Advice", advice.at_s].seen] == [30, 90]
    assert by_type["Forecast", revisions.at_s].id == seen.id


def test_a_full_disk_costs_only_the_log_entry(tmp_path, monkeypatch):
    """A full disk loses the entry, not the answer, and leaves nothing half-written; a file as folder is refused. [contract]"""

    def fail(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_module, "write_file", fail)
    scenario = sd.Scenario.from_dict(SCENARIO)
    seen = sd.simulate(scenario, seed=9).deployment_at(2)
    with pytest.warns(SimdeployWarning, match="not in the log .*No space left"):
        assert sd.forecast(scenario, seen=seen, log=tmp_path, **FEW).answer
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not a folder for a log"):
        sd.forecast(scenario, seen=seen, log=tmp_path / "file", **FEW)


def test_damaged_files_are_named(tmp_path):
    """Truncated, foreign and newer files are named, and the others are scored. [contract]"""
    keep(tmp_path, "whole", 0.5, state="completed")
    keep(tmp_path, "newer", 0.5, log=2, simdeploy="9.0")
    keep(tmp_path, "poorer", 0.5, answer={"kinds": None})
    whole = keep(tmp_path, "cut", 0.5)
    whole.write_text(whole.read_text(encoding="utf-8")[:100], encoding="utf-8")
    (tmp_path / "other.json").write_text("[]", encoding="utf-8")
    (tmp_path / ".hidden.json.tmp").write_text("{", encoding="utf-8")
    result = sd.score(tmp_path)
    assert result.answers["file"].tolist() == ["whole-60.json"]
    problems = result.files.set_index("file")["problem"]
    assert sorted(problems.index) == ["cut-60.json", "newer-60.json", "other.json", "poorer-60.json"]
    assert "newer version of simdeploy ('9.0')" in problems["newer-60.json"]
    assert "saved answer" in problems["other.json"]
    with pytest.raises(InputError, match="no such folder"):
        sd.score(tmp_path / "nowhere")


# -- outcomes ----------------------------------------------------------------------------------------------------------


def test_every_answer_is_scored_or_explained(tmp_path):
    """Each answer is scored, or there is a reason why not. [contract]"""
    keep(tmp_path, "ended", 0.2, state="completed")
    keep(tmp_path, "open", 0.2)
    keep(tmp_path, "stopped", 0.2, state="canceled")
    keep(tmp_path, "vague", 0.2, state="completed", answer={"is_trusted": False})
    keep(tmp_path, "late", 0.2, state="completed", answer={"state": "completed"})
    result = sd.score(tmp_path, outcomes=table([("stopped", True, None)]))
    answers = result.answers.set_index("rollout")
    uses = {"ended": "scored", "open": "no outcome", "stopped": "canceled", "vague": "undecided", "late": "over"}
    assert answers["use"].to_dict() == uses
    # A canceled rollout has no remaining time to compare, but its release was defective.
    assert result.probabilities.set_index("event")["n_rollouts"].to_dict() == {"defective": 1, "completed": 1}
    assert result.times["n_rollouts"].tolist() == [1, 1]
    assert (result.n_rollouts, result.n_scored, result.is_trusted) == (5, 2, False)
    assert result.answer.startswith("Undecided: the outcome of 2 of 5 rollouts")


def test_outcomes_come_in_several_forms(tmp_path):
    """Objects, a table, and files of both mean the same; a file takes precedence over an earlier observation. [contract]"""
    keep(tmp_path, "a", 0.2, state="completed", ended_s=150)
    status = {"state": "failed", "created_at": CREATED, "completed_at": "2026-01-05T09:03:20Z"}
    body = {"deployment": {"id": "a", "status": status}}
    rows = table([("a", None, "2026-01-05T09:03:20Z")]).assign(state="failed")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.json").write_text(json.dumps({"deployments": [body]}), encoding="utf-8")
    rows.to_csv(tmp_path / "out" / "a.csv", index=False)
    rows.to_parquet(tmp_path / "out" / "a.parquet")
    given = [body, [body], rows, *(tmp_path / "out" / f"a.{ending}" for ending in ("json", "csv", "parquet"))]
    for outcomes in given:
        answers = sd.score(tmp_path, outcomes=outcomes).answers
        assert answers["was_left_s"].tolist() == [140.0]
        assert answers["has_completed"].tolist() == [0.0]
    assert sd.score(tmp_path).answers["was_left_s"].tolist() == [90.0]
    defects = sd.score(tmp_path, outcomes=rows.assign(defective=True)[["id", "defective"]]).answers
    assert defects[["was_defective", "was_left_s"]].values.tolist() == [[1.0, 90.0]]


def test_outcomes_that_do_not_fit_the_log_are_warned_about(tmp_path):
    """Outcomes of unknown rollouts, and ends before the look, cause warnings, and are not compared. [contract]"""
    keep(tmp_path, "a", 0.2)
    with pytest.warns(SimdeployWarning, match="no rollout in the log is among the outcomes, such as 'a'"):
        sd.score(tmp_path, outcomes=table([("A", True, None)]))
    with pytest.warns(SimdeployWarning, match="1 of 1 answers were given after the end of their rollout"):
        result = sd.score(tmp_path, outcomes=table([("a", True, "2026-01-05T08:59:00Z")]))
    assert result.times.empty
    assert result.probabilities["n_rollouts"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        (pd.DataFrame({"name": ["a"]}), "not outcomes"),
        (pd.DataFrame({"id": ["a"], "defect": [1], "completed_at": [None]}), "did you mean 'defective'"),
        (table([("a", "perhaps", None)]), "invalid defective .*allowed: true or false"),
        (table([("a", None, "soon")]), "invalid completed_at .*RFC 3339"),
        (table([(None, True, None)]), "the id is missing"),
        (table([("a", True, None), ("a", False, None)]), "contradict each other .*a"),
        ([{"state": "completed"}], "not a deployment object"),
        (3, "not a deployment object"),
    ],
)
def test_invalid_outcomes(tmp_path, outcomes, message):
    """Unreadable outcomes are an error with the reason. [contract]"""
    keep(tmp_path, "a", 0.2)
    with pytest.raises(InputError, match=message):
        sd.score(tmp_path, outcomes=outcomes)


def test_one_id_for_several_rollouts_is_warned_about(tmp_path):
    """If rollouts that began at different times share an id, there is a warning. [contract]"""
    keep(tmp_path, "a", 0.2)
    keep(tmp_path, "a", 0.2, at_s=61.0, created_at="2026-01-06T09:00:00Z")
    with pytest.warns(SimdeployWarning, match="id 'a' has 2 creation times"):
        sd.score(tmp_path)


# -- scores ------------------------------------------------------------------------------------------------------------


def test_murphys_parts():
    """With two values of a probability the parts are as by hand, and sum to the score. [oracle]"""
    called = np.repeat([0.2, 0.7], [10, 5])
    happened = np.r_[np.ones(3), np.zeros(7), np.ones(4), 0.0]
    parts = decompose_brier(called, happened, (10 * called).astype(int))
    base = 7 / 15
    assert parts.reliability == pytest.approx((10 * 0.1**2 + 5 * 0.1**2) / 15)
    assert parts.resolution == pytest.approx((10 * (0.3 - base) ** 2 + 5 * (0.8 - base) ** 2) / 15)
    assert parts.uncertainty == pytest.approx(base * (1 - base))
    assert parts.brier == pytest.approx(parts.reliability - parts.resolution + parts.uncertainty)
    assert parts.brier == pytest.approx((3 * 0.64 + 7 * 0.04 + 4 * 0.09 + 0.49) / 15)


def test_intervals_cover_dependent_answers():
    """With four answers per rollout, intervals of the Brier score cover in 95 % of 300 logs, less four standard errors. [oracle]"""
    rng = np.random.default_rng(3)
    covers, n, answers, repetitions = 0, 60, 4, 300
    rollouts = np.repeat(np.arange(n), answers)
    for _ in range(repetitions):
        called = np.repeat(rng.uniform(0.2, 0.6, n), answers)
        happened = np.repeat(rng.uniform(size=n) < called[::answers], answers).astype(float)
        _, low, high = resample_mean((called - happened) ** 2, rollouts, 0.95, seed=1)
        # The mean of p (1 - p) over the law of p.
        covers += low <= 0.4 - (0.4**2 + 0.4**2 / 12) <= high
    assert covers / repetitions >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / repetitions)


def ask_repeatedly(rng, n, prior):
    """Return exact probabilities that a release is defective, each minute until it is stopped, with probability 0.3, or for 20 minutes."""
    is_defective = rng.uniform(size=n) < prior
    n_answers = np.where(is_defective, np.minimum(rng.geometric(0.3, n), 20), 20)
    rollouts = np.repeat(np.arange(n), n_answers)
    minutes = np.arange(len(rollouts)) - np.repeat(n_answers.cumsum() - n_answers, n_answers)
    left = prior * 0.7**minutes
    columns = {
        "defective": left / (left + 1 - prior),
        "was_defective": is_defective[rollouts].astype(float),
        "before": prior,
    }
    return pd.DataFrame({"rollout": rollouts.astype(str), "at_s": 60.0 * minutes, **columns})


@pytest.mark.parametrize(("n", "prior"), [(20, 0.15), (100, 0.05)])
def test_exact_probabilities_are_seldom_called_wrong(n, prior):
    """Defective releases are stopped early, so they have fewer answers: still 5 % of logs call right forecasts wrong, or fewer. [oracle]"""
    rng, repetitions, n_wrong, differences = np.random.default_rng(5), 30, 0, []
    for _ in range(repetitions):
        answers = ask_repeatedly(rng, n, prior)
        bins = _list_bins("defective", answers, "defective", "was_defective", 0.95)
        row = _summarize("defective", answers, ("defective", "was_defective", "before"), [], 0.95, seed=1)
        n_wrong += any(each["verdict"] != "consistent" for each in bins)
        differences.append(row["happened"] - row["called"])
    assert n_wrong <= (0.05 + 4 * math.sqrt(0.05 * 0.95 / repetitions)) * repetitions
    assert abs(np.mean(differences)) <= 4 * np.std(differences) / math.sqrt(repetitions)


def test_scores_of_rare_outcomes_have_no_interval(tmp_path):
    """With nine defective rollouts of sixty the score has no limits, with ten it has. [contract]"""
    for n_defective in (9, 10):
        folder = tmp_path / str(n_defective)
        folder.mkdir()
        for number in range(60):
            keep(folder, f"r{number}", 0.15)
        rows = [(f"r{number}", number < n_defective, "2026-01-05T09:02:00Z") for number in range(60)]
        row = sd.score(folder, outcomes=table(rows)).probabilities.set_index("event").loc["defective"]
        assert row["brier"] > 0
        assert row[["low", "high", "gain_low", "gain_high"]].isna().all() == (n_defective == 9)


@pytest.mark.parametrize(("shift", "verdicts"), [(0.0, {"consistent"}), (-0.3, {"too low"}), (0.3, {"too high"})])
def test_verdicts(tmp_path, shift, verdicts):
    """Correct probabilities are consistent; those that are 0.3 too low or too high aren't. [oracle]"""
    rng = np.random.default_rng(4)
    rows = []
    for number in range(120):
        truth = rng.uniform(0.3, 0.7)
        keep(tmp_path, f"r{number}", truth + shift)
        rows.append((f"r{number}", rng.uniform() < truth, "2026-01-05T09:02:00Z"))
    result = sd.score(tmp_path, outcomes=table(rows))
    row = result.probabilities.set_index("event").loc["defective"]
    assert {row["verdict"]} == verdicts
    # Of 50 to 200 s a minute was left.
    assert result.times["covered"].tolist() == [1.0, 1.0]
    verdict = result.times["verdict"].iloc[0]
    assert verdict in ("consistent", "too low")
    words = {"consistent": "hold", "too low": "are too wide"}[verdict]
    assert f"orecasts of the remaining time {words}" in result.answer
    assert len(result.answer) <= 240


def test_verdicts_on_times_are_corrected_for_their_number():
    """In at most 5 % of sets of correct forecasts is any horizon called wrong, far fewer than without the correction. [oracle]"""
    rng = np.random.default_rng(6)

    def judge(within):
        n = 90
        is_within = rng.uniform(size=n) < within
        median = np.repeat([300.0, 1200.0, 7200.0], n // 3)
        columns = {"left_low_s": 0.5 * median, "left_s": median, "left_high_s": 2 * median}
        columns |= {
            "rollout": np.arange(n).astype(str),
            "at_s": 60.0,
            "was_left_s": np.where(is_within, median, 3 * median),
        }
        rows = _list_times(pd.DataFrame({"use": "scored", **columns}), 0.95)
        assert [row["n_rollouts"] for row in rows] == [90, 30, 30, 30]
        return rows

    n_calls, wrong, narrow = 150, 0, 0
    for _ in range(n_calls):
        rows = judge(0.95)
        wrong += any(row["verdict"] != "consistent" for row in rows)
        # Alone, each would be judged by its own interval.
        narrow += any(not row["low"] <= 0.95 <= row["high"] for row in rows)
    assert wrong / n_calls <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / n_calls)
    assert narrow > 2 * wrong
    assert [row["verdict"] for row in judge(0.5)] == ["too high"] * 4


def test_each_rollout_counts_once(tmp_path):
    """A hundred answers about one rollout weigh as much as one about another. [property]"""
    for second in range(100):
        keep(tmp_path, "long", 0.9, at_s=float(second), state="completed")
    keep(tmp_path, "short", 0.1, state="completed")
    result = sd.score(tmp_path, outcomes=table([("long", True, None), ("short", False, None)]))
    row = result.probabilities.set_index("event").loc["defective"]
    assert (row["n_answers"], row["n_rollouts"]) == (101, 2)
    assert row["called"] == pytest.approx(0.5)
    assert row["brier"] == pytest.approx(0.01)
    # The prior was 0.3.
    assert row["gain"] == pytest.approx((0.7**2 + 0.3**2) / 2 - 0.01)


# -- the command -------------------------------------------------------------------------------------------------------


def test_from_the_command_line(tmp_path):
    """--log stores, score compares; few outcomes are undecided, and damaged files are listed. [contract]"""
    scenario = sd.Scenario.from_dict(SCENARIO)
    (tmp_path / "s.yaml").write_text(json.dumps(SCENARIO), encoding="utf-8")
    rollout = sd.simulate(scenario, seed=9)
    (tmp_path / "seen.json").write_text(rollout.deployment_at(2).to_json(), encoding="utf-8")
    (tmp_path / "end.json").write_text(rollout.deployment.to_json(), encoding="utf-8")
    log = str(tmp_path / "log")
    words = ["forecast", str(tmp_path / "s.yaml"), "--seen", str(tmp_path / "seen.json"), "--log", log]
    kept = invoke(*words, "--replications", "200", "--engine", "compiled")
    assert kept.exit_code == 0
    (tmp_path / "log" / "bad.json").write_text("{", encoding="utf-8")
    words = ["score", log, "--outcomes", str(tmp_path / "end.json"), "--full", "--plot", str(tmp_path / "p.svg")]
    scored = invoke(*words)
    assert scored.exit_code == 3
    assert scored.stdout.startswith("Undecided: the outcome of 1 of 1 rollout")
    assert "bad.json" in scored.stdout
    assert (tmp_path / "p.svg").exists()
