"""Advice given counts of requests: closed forms of windows and totals, and refused counts."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from scipy import stats
from scipy.special import betaln
from test_advice import BASE, at, call, look, make

import simdeploy as sd
from simdeploy.analysis.advice.conditioning import condition
from simdeploy.analysis.advice.evidence import read_evidence
from simdeploy.analysis.advice.seen import read_seen
from simdeploy.errors import InputError
from simdeploy.rules.waves import plan_waves
from simdeploy.world.streams import Stream, uniforms

# Three of six nodes at a time start in a minute and have windows with a hundred requests; one in ten may fail.
SERVING = {
    "fleet.update_duration": "1m",
    "fleet.start_failure": 0,
    "fleet.requests_per_second": 10,
    "fleet.error_rate": 0.05,
    "release.bad.start_failure": 0,
    "release.bad.error_rate": 0.04,
    "release.bad.affects": "all",
}
OLD, NEW = 0.05, 0.05 + 0.95 * 0.04
COUNTS = [(6, 5, 9), (8, 7, 10), (4, 9, 8)]


def table(statuses=("running",) * 3 + ("starting",) * 3):
    """Return six nodes, the first three of which are done."""
    return pd.DataFrame({"node": list("abcdef"), "status": list(statuses)})


def windows(counts=COUNTS, requests=100):
    """Return windows of the first nodes."""
    rows = [(node, requests, failed) for node, of_node in zip("abc", counts, strict=False) for failed in of_node]
    return pd.DataFrame(rows, columns=["node", "requests", "failed"])


def find_posterior(scenario, evidence, seen=None, instant=100, n=200):
    """Return the kinds, and the interval of the second one's probability."""
    seen = table() if seen is None else seen
    result = sd.forecast(scenario, seen=seen, at=instant, evidence=evidence, replications=n, engine="compiled")
    return result.kinds.iloc[1]


def read_with_counts(scenario, seen, instant, counts):
    """Return observed nodes and counts in the form that conditioning takes."""
    plan = plan_waves(scenario.policy().policy, scenario.orchestrator, 6, 1)
    return read_evidence(scenario, plan, read_seen(scenario, None, seen, instant), counts)


def assert_near(kind, chances):
    """Assert that a posterior follows from the evidence's chances under both kinds."""
    exact = 0.3 * chances[1] / (0.7 * chances[0] + 0.3 * chances[1])
    assert abs(kind["posterior"] - exact) <= 4 * (kind["high"] - kind["low"]) / (2 * 1.96) + 1e-9


def pmf(level, counts=COUNTS, requests=100):
    """Return the probability of the windows at a level."""
    return float(np.prod([stats.binom.pmf(failed, requests, level) for of_node in counts for failed in of_node]))


def test_windows_at_known_levels():
    """The posterior is that of binomials. [oracle]"""
    kind = find_posterior(make(SERVING), windows())
    assert kind["posterior"] == pytest.approx(0.3 * pmf(NEW) / (0.3 * pmf(NEW) + 0.7 * pmf(OLD)), rel=1e-6)


def test_other_numbers_of_requests():
    """Windows may have other numbers of requests than the scenario implies. [oracle]"""
    counts = [(1, 2, 1)]
    kind = find_posterior(make(SERVING), windows(counts, 30), instant=95)
    # The other nodes were healthy in three windows.
    chances = [pmf(level, counts, 30) * stats.binom.cdf(10, 100, level) ** 6 for level in (OLD, NEW)]
    assert kind["posterior"] == pytest.approx(0.3 * chances[1] / (0.3 * chances[1] + 0.7 * chances[0]), rel=1e-6)


def test_windows_of_a_release_that_affects_a_share():
    """Each node's windows are a mixture of both levels. [oracle]"""
    scenario = make({**SERVING, "release.bad.affects": {"share": 0.6}})
    mixed = np.prod([0.6 * pmf(NEW, [counts]) + 0.4 * pmf(OLD, [counts]) for counts in COUNTS])
    kind = find_posterior(scenario, windows())
    assert_near(kind, [pmf(OLD), mixed])


def test_a_failed_node_with_windows():
    """A node that fails its health check contributes the evidence of its windows. [oracle]"""
    check = {"deadline": "95s", "min_healthy_time": "20s"}
    scenario = make({**SERVING, "orchestrator.window_reset": False}, health_check=check)
    seen = table(("failed", "running", "running", "starting", "starting", "starting"))
    counts = [(12, 11, 6), (8, 7), (4, 9)]
    kind = find_posterior(scenario, windows(counts), seen=seen)
    assert_near(kind, [pmf(OLD, counts), pmf(NEW, counts)])


def test_individual_levels():
    """Given its windows a node's level has a beta distribution, from which further windows are drawn. [oracle]"""
    good = {"release.bad.probability": 0, "release.good.probability": 1}
    scenario = make({**SERVING, "fleet.error_rate": {"beta": {"mean": 0.05, "sd": 0.03}}, **good})
    seen = read_with_counts(scenario, table(), 100, windows())
    (found,) = condition(scenario, seen, replications=1500, seed=0, engine="compiled").by_kind
    strength = 0.05 * 0.95 / 0.03**2 - 1
    a, b = 0.05 * strength, 0.95 * strength
    law = scenario.fleet.behaviour.error_rate
    for node, counts in enumerate(COUNTS):
        level = law.quantile(uniforms(0, found.worlds.nodes[:, node], Stream.ERROR_RATE, node))
        known = stats.beta(a + sum(counts), b + 300 - sum(counts))
        weights = found.weights / found.weights.sum()
        n = 1 / (weights**2).sum()
        assert abs((weights * level).sum() - known.mean()) <= 4 * known.std() / math.sqrt(n)
        squares = level**2
        moment = known.var() + known.mean() ** 2
        assert abs((weights * squares).sum() - moment) <= 4 * stats.tstd(squares) / math.sqrt(n)
    assert found.weights.std() < 1e-6 * found.weights.mean()


def test_kinds_with_individual_levels():
    """If good and bad fleets have beta levels, the posterior is that of beta-binomials. [oracle]"""
    classes = [{"name": "rough", "nodes": [0, 1, 2], "error_rate": {"beta": {"mean": 0.06, "sd": 0.02}}}]
    scenario = make({**SERVING, "fleet.classes": classes, "release.bad.error_rate": 0.000001})
    strength = 0.06 * 0.94 / 0.02**2 - 1
    a, b = 0.06 * strength, 0.94 * strength
    seen = read_with_counts(scenario, table(), 100, windows())
    found = condition(scenario, seen, replications=100, seed=0, engine="compiled")
    # Relative to the largest probability that the counts can have.
    logs = 0.0
    for counts in COUNTS:
        logs += betaln(a + sum(counts), b + 300 - sum(counts)) - betaln(a, b)
        logs -= sum(k * math.log(k / 100) + (100 - k) * math.log(1 - k / 100) for k in counts)
    weight = sum(float(each.weights.sum()) for each in found.by_kind)
    assert [float(each.weights.sum()) / weight for each in found.by_kind] == pytest.approx([0.7, 0.3], rel=1e-3)
    from simdeploy.analysis.advice.counted import Counts
    from simdeploy.analysis.advice.laws import NodeLaw
    from simdeploy.rules.health import read_health_rule

    rule = read_health_rule(seen.policy.policy, scenario.orchestrator)
    law = NodeLaw(scenario.fleet.behaviours[1], None, rule)
    ours = [Counts(tuple((100, k) for k in counts)).chances_of(law).running[3] for counts in COUNTS]
    assert sum(map(math.log, ours)) == pytest.approx(logs, abs=0.02)


def test_times_of_windows_determine_the_start():
    """A node whose first window ended at 75 s started at 65 s, within half a second. [oracle]"""
    scenario = make({**SERVING, "fleet.update_duration": {"uniform": {"low": "40s", "high": "80s"}}})
    counts = windows([(6, 5)]).assign(to_s=[75.0, 85.0])
    seen = table(("validating",) * 3 + ("pending",) * 3)
    assert read_with_counts(scenario, seen, 90, counts).nodes.started_ns[0] == 65e9
    error = refused(read_with_counts, scenario, table(), 90, counts.assign(to_s=[75.0, 88.0]))
    assert "row 2.to_s: no window of the node ends then" in str(error)


def test_a_total_at_known_levels():
    """Failed requests to the new version are binomial. [oracle]"""
    scenario = make(SERVING)
    seen = look(scenario, 95, current_wave=2, updated_nodes=3, failed_nodes=0)
    kind = find_posterior(scenario, [{"requests": 900, "failed": 60}], seen=seen, instant=95)
    chances = [stats.binom.pmf(60, 900, level) * stats.binom.cdf(10, 100, level) ** 9 for level in (OLD, NEW)]
    assert kind["posterior"] == pytest.approx(0.3 * chances[1] / (0.3 * chances[1] + 0.7 * chances[0]), rel=1e-6)


def test_a_total_of_some_affected_nodes():
    """If a share of the nodes is affected, a total is a mixture over their number in the wave. [oracle]"""
    changes = {**SERVING, "release.bad.affects": {"share": 0.5}}
    scenario = make(changes, health_check={"deadline": "3m", "min_healthy_time": "30s", "max_error_rate": 0.9})
    seen = look(scenario, 95, current_wave=2, updated_nodes=3, failed_nodes=0)
    evidence = [{"version": "new", "wave": 1, "requests": 800, "failed": 56, "from_s": 65, "to_s": 90}]
    kind = find_posterior(scenario, evidence, seen=seen, instant=95, n=2000)
    mixed = sum(stats.binom.pmf(k, 3, 0.5) * stats.binom.pmf(56, 800, OLD + (NEW - OLD) * k / 3) for k in range(4))
    assert_near(kind, [stats.binom.pmf(56, 800, OLD), mixed])


def test_a_late_defect():
    """Before a defect shows, requests fail as on the old version; a total is weighted by time. [oracle]"""
    changes = {**SERVING, "release.bad.after": "20s", "release.bad.error_rate": 0.4, "orchestrator.pacing": "barrier"}
    scenario = make(changes, health_check={"deadline": "3m", "min_healthy_time": "30s", "max_error_rate": 0.9})
    seen = look(scenario, 95, current_wave=2, updated_nodes=3, failed_nodes=0)
    # Nodes started at 60 s and show it from 80 s on: 10 of 30 s.
    evidence = [{"requests": 600, "failed": 60, "from_s": 60, "to_s": 90}]
    kind = find_posterior(scenario, evidence, seen=seen, instant=95)
    level = OLD + 0.95 * 0.4 / 3
    chances = [stats.binom.pmf(60, 600, each) for each in (OLD, level)]
    assert kind["posterior"] == pytest.approx(0.3 * chances[1] / (0.3 * chances[1] + 0.7 * chances[0]), rel=1e-6)


def test_the_old_version_says_nothing():
    """Requests to the old version are no evidence on the release. [oracle]"""
    scenario = make(SERVING)
    seen = look(scenario, 95, current_wave=2, updated_nodes=3, failed_nodes=0)
    kind = find_posterior(scenario, [{"version": "old", "requests": 5000, "failed": 400}], seen=seen, instant=95)
    without = find_posterior(scenario, None, seen=seen, instant=95)
    assert kind["posterior"] == pytest.approx(without["posterior"], rel=1e-9)


REFUSED = [
    ([{"requests": 10, "failed": 11}], "row 1.failed: more failed requests than requests"),
    ([{"requests": 10.5, "failed": 1}], "row 1.requests: not a number of requests"),
    ([{"requests": 10, "failed": 1, "version": "nwe"}], "no such version .* did you mean 'new'"),
    ([{"requests": 10, "failed": 1, "node": "x"}], "no such node"),
    ([{"requests": 10, "failed": 1, "node": "e"}], "row 1.node: has windows, although it has not started"),
    ([{"requests": 10, "failed": 1, "node": "a", "version": "old"}], "on the old version are not supported"),
    ([{"requests": 10, "failed": 1, "to_s": 200}], "row 1.to_s: after the time of observation"),
    ([{"requests": 10, "failed": 1, "from_s": 50, "to_s": 40}], "row 1.to_s: not after from_s"),
    ([{"requests": 10, "failed": 1, "wave": 3}], "row 1.wave: no such wave"),
    ([{"requests": float("inf"), "failed": 1}], "row 1.requests: not a number of requests"),
    ([{"failed": 1}], "not counts of requests"),
    ("windows", "not counts of requests"),
    ([{"requests": 100, "failed": 50, "node": "a"}] * 5, "row 1.status: no kind of release"),
]


@pytest.mark.parametrize(("evidence", "message"), REFUSED)
def test_impossible_counts(evidence, message):
    """Counts that are invalid, or can't have been observed, are errors with row and reason. [contract]"""
    with pytest.raises(InputError, match=message):
        sd.forecast(make(SERVING), seen=table(), at=100, evidence=evidence, replications=20, engine="reference")


def test_totals_that_cannot_be():
    """Requests to nodes that had not started yet are an error that names the row; others in the same table are not. [contract]"""
    scenario = make(SERVING)
    seen = look(scenario, 95, current_wave=2, updated_nodes=3, failed_nodes=0)
    evidence = [
        {"requests": 900, "failed": 60},
        {"requests": 10, "failed": 1, "to_s": 50},
        {"requests": 10, "failed": 0, "wave": 2, "from_s": 80},
    ]
    for observed in (seen, table()):
        with pytest.raises(InputError) as refused:
            sd.forecast(scenario, seen=observed, at=100, evidence=evidence, replications=20, engine="compiled")
        rows = [problem.path[1] for problem in refused.value.problems]
        assert rows == ["row 2", "row 3"]
        tried, still = map(str, refused.value.problems)
        assert "worlds that otherwise agree with what was seen can have had it; was a node on the new" in tried
        assert tried.endswith("between 0 and 50 s, and can its requests fail?")
        assert still.endswith("was a node of wave 2 on the new version between 80 and 100 s?")
    nothing = [{"requests": 0, "failed": 0, "to_s": 50}]
    assert sd.forecast(scenario, seen=seen, at=100, evidence=nothing, replications=20, engine="compiled").n_worlds


def test_unsupported_counts():
    """Counts that can't be conditioned on are refused by name. [contract]"""
    total = [{"requests": 10, "failed": 1}]
    for changes, evidence, message in (
        ({"fleet.crash": {"up": "5h", "repair": "5m"}}, total, "crashes"),
        ({"fleet.flapping": {"good": "4h", "degraded": "1m", "error_rate": 0.3}}, total, "degraded spells"),
        ({"fleet.service": {"shared": {"capacity": 2}}}, total, "a shared service"),
        ({"fleet.requests_per_second": 0}, total, "a fleet without requests"),
        ({"orchestrator.reporting_delay": "5s"}, windows(), "a reporting delay"),
    ):
        how = {"seen": table(), "at": 100, "evidence": evidence, "replications": 20}
        assert f"not supported with {message}" in str(refused(sd.forecast, make({**SERVING, **changes}), **how))
    seen = look(make(SERVING), 95, current_wave=2, updated_nodes=3, failed_nodes=0)
    error = refused(sd.forecast, make(SERVING), seen=seen, evidence=windows(), replications=20)
    assert "need a table of nodes" in str(error)


def test_counts_come_from_files(tmp_path, monkeypatch):
    """CSV and JSON say the same, beside an object from standard input. [contract]"""
    monkeypatch.chdir(tmp_path)
    scenario = make(SERVING)
    fleet = {**BASE["fleet"], "requests_per_second": 10, "error_rate": 0.05}
    (tmp_path / "six.yaml").write_text(json.dumps({**BASE, "fleet": fleet}), encoding="utf-8")
    text = look(scenario, 150, current_wave=1, updated_nodes=1, failed_nodes=0, last_progress_time=at(100)).to_json()
    rows = [{"version": "new", "requests": 900, "failed": 60}]
    (tmp_path / "totals.json").write_text(json.dumps(rows), encoding="utf-8")
    pd.DataFrame(rows).to_csv("totals.csv", index=False)
    asked = ("advise", "six.yaml", "--seen", "-", "--evidence")
    outputs = [call(*asked, f"totals.{end}", "--json", input=text).stdout for end in ("json", "csv")]
    documents = [json.loads(text) for text in outputs]
    assert len({each["computed_under"].pop("command") for each in documents}) == 2
    assert documents[0] == documents[1]
    assert documents[0]["kinds"]
    both = call(*asked, "-", input=text)
    assert (both.exit_code, "standard input" in both.stderr) == (2, True)


def test_the_log_of_an_answer(tmp_path):
    """A log has the nodes and counts that an answer was conditioned on. [contract]"""
    how = {"seen": table(), "at": 100, "evidence": windows(), "replications": 20, "engine": "reference"}
    sd.forecast(make(SERVING), log=tmp_path, **how)
    (file,) = tmp_path.glob("*.json")
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept["seen"][0] == {"node": "a", "status": "running"}
    assert kept["evidence"][:2] == [{"node": "a", "requests": 100, "failed": k} for k in (6, 5)]
