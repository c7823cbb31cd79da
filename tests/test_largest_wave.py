"""By default a search plans no more nodes in flight at once than the current policy."""

import copy
import json
import math
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from invoking import invoke
from small import rolling

import simdeploy
from simdeploy.analysis import tune
from simdeploy.analysis.tuning.neighbours import make_neighbourhood
from simdeploy.analysis.tuning.space import make_candidates
from simdeploy.errors import InputError
from simdeploy.report.tuning import tell
from simdeploy.scenario import Scenario

NODES = 40
SCENARIO = {
    "name": "slow-nodes",
    "fleet": {"nodes": NODES, "update_duration": "30s"},
    "release": {"good": {"probability": 0.9}, "bad": {"probability": 0.1, "defective": True, "start_failure": 0.3}},
    "health": {"interval": "10s"},
    "costs": {"hour_of_delay": 100, "escape": 10},
    "policies": {
        "waves": rolling(6, max_failed_nodes_percent=100, health_check={"deadline": "5m", "min_healthy_time": "10s"})
    },
}
SHARED = SCENARIO["fleet"] | {"requests_per_second": 10, "service": {"shared": {"capacity": 1.3}}}
FEWEST = {"replications": 2, "most": 100, "final": 100}
IN_NS = {"deadline": 300 * 10**9}
LIFTED = "No wave larger than today's 6 nodes was tried (--largest-wave all)."
SHORT = "No wave above 6 was tried (--largest-wave all)."


def make(policy=None, **sections):
    """Return the scenario with a changed policy and other sections."""
    raw = copy.deepcopy(SCENARIO)
    raw["policies"]["waves"] |= policy or {}
    return Scenario.from_dict(raw | sections)


def search(scenario, **options):
    """Search the default ranges with few rollouts."""
    few = {"candidates": 60, "replications": 10, "most": 1000, "final": 1000, "engine": "compiled"}
    return tune(scenario, **few | options)


@contextmanager
def short_searches():
    """Search with fewer rollouts than a good choice needs, for tests of what is tried."""
    stages = {"_FIRST_BATCHES": 2, "WORLDS_OF_A_BATCH": 2, "_WORLDS_OF_SCALE": 8, "_FEWEST_NEW_WORLDS": 8}
    stages |= {"_MOST_CARRIED": 5, "_LEADERS": 5, "_MOST_STEPS": 1, "_STEPS": 2}
    with pytest.MonkeyPatch.context() as patch:
        for name, number in stages.items():
            patch.setattr(f"simdeploy.analysis.tuning.stages.{name}", number)
        patch.setattr("simdeploy.analysis.tuning.concluding.WORLDS_OF_A_BATCH", 2)
        yield


def try_few(scenario, **options):
    """Search as above in a short search."""
    with short_searches():
        return search(scenario, **FEWEST | options)


def sizes(result, scenario):
    """Return the nodes that every candidate has in flight at once, from its settings."""
    return sizes_of(result.candidates, scenario)


def sizes_of(candidates, scenario):
    nodes, is_rollout = scenario.fleet.nodes, scenario.policy().spec.dialect == "rollout"
    found = []
    for row in candidates.fillna({"max_parallel": 0, "canary_count": 0}).to_dict("records"):
        wave = row["max_parallel"]
        wave = math.ceil((wave or 10) * nodes / 100) if is_rollout else wave or nodes
        wave = nodes if row["strategy"] == "immediate" else wave
        canaries = row["canary_count"] if row["strategy"] == "canary" else 0
        found.append(max(canaries, min(wave, nodes - canaries)))
    return np.array(found)


class TestLimit:
    def test_the_limit_is_the_current_plan(self):
        """No candidate has a larger wave than the current policy, whose size is among those tried. [property]"""
        scenario = make()
        result = try_few(scenario, candidates=30)
        assert result.largest_wave == result.current_wave == 6
        # All candidates, which a search of the whole ranges would simulate.
        how = {"most": 10**6, "seed": 0}
        everything = make_candidates(scenario, scenario.policy(), None, largest_wave=None, **how)
        limited = make_candidates(scenario, scenario.policy(), None, largest_wave=6, **how)
        assert limited.n_beyond == result.n_beyond_largest_wave
        tables = [pd.DataFrame(made.columns(range(len(made)))) for made in (everything, limited)]
        of_grid, within = (sizes_of(table, scenario) for table in tables)
        assert set(within) == {1, 2, 4, 5, 6}
        assert max(of_grid) == NODES
        rolling = tables[1][tables[1]["strategy"].eq("rolling")]
        n_per_size = rolling["max_parallel"].eq(1).sum()
        assert rolling["max_parallel"].eq(6).sum() >= n_per_size  # size outside the whole ranges
        # Waves of 6 after 10 canaries are beyond it as well.
        assert limited.n_beyond == (of_grid > 6).sum() + n_per_size

    def test_without_a_limit_a_search_takes_the_fleet_down(self, limited):
        """Simultaneous outage is free in the model, so without the limit all nodes are updated at once. [property]"""
        free = search(make(), largest_wave="all")
        assert free.changes().get("max_parallel") == 0
        assert free.largest_wave is None
        assert free.n_beyond_largest_wave == 0
        assert limited.choice["max_parallel"] == 6

    @pytest.mark.parametrize(
        ("policy", "orchestrator", "limit"),
        [
            ({"strategy": "canary", "canary_count": 9, "max_parallel": 3}, {}, 9),
            ({"strategy": "canary", "canary_percent": 30, "max_parallel": 3}, {}, 12),
            ({"max_parallel": 0}, {}, NODES),
            ({"strategy": "immediate", "max_parallel": 3}, {}, NODES),
            ({}, {"pacing": "sliding"}, 6),
            ({}, {"pacing": "rate", "rate": {"per_minute": 3, "growth": 2, "max_per_minute": 13}}, 13),
            ({"dialect": "rollout", "max_parallel": 12, "health_check": IN_NS}, {}, 5),  # 4.8 nodes
            ({"dialect": "rollout", "max_parallel": 0, "health_check": IN_NS}, {}, 4),  # 10 % by default
        ],
    )
    def test_the_current_plan(self, policy, orchestrator, limit):
        """Canaries, a wave, slots, batches and percentages give the nodes in flight at once. [oracle]"""
        scenario = make(policy, orchestrator=orchestrator)
        result = try_few(scenario, candidates=30)
        assert result.largest_wave == result.current_wave == limit
        assert (result.n_beyond_largest_wave > 0) == (limit < NODES)
        if not orchestrator:
            assert max(sizes(result, scenario)) <= limit

    @pytest.mark.parametrize("dialect", ["deployment", "rollout"])
    def test_a_number_of_nodes(self, dialect):
        """Another limit, above or below the current plan, is kept in both dialects; the current policy stays. [property]"""
        health = {} if dialect == "deployment" else {"health_check": IN_NS}
        scenario = make({"dialect": dialect, "max_parallel": 10, **health})
        today = 10 if dialect == "deployment" else 4
        for limit in (2, 12):
            result = try_few(scenario, largest_wave=limit, candidates=200)
            assert (result.largest_wave, result.current_wave) == (limit, today)
            assert max(set(sizes(result, scenario)) - {today}) == limit
            assert result.n_beyond_largest_wave > 0

    @pytest.mark.parametrize("dialect", ["deployment", "rollout"])
    def test_neighbours_keep_the_limit(self, dialect):
        """No neighbour of a tried policy has a larger wave either. [property]"""
        scenario = make({"dialect": dialect} | ({} if dialect == "deployment" else {"health_check": IN_NS}))
        few = make_candidates(scenario, scenario.policy(), None, most=60, seed=0, largest_wave=2)
        everywhere = make_neighbourhood(scenario, scenario.policy(), few, may_extend=True)
        more = everywhere.around(few, np.arange(len(few)))
        new = pd.DataFrame(more.columns(range(len(few), len(more))))
        assert len(new) > 100
        assert max(sizes_of(new, scenario)) == 2

    def test_the_scenarios_other_policies_have_to_keep_it(self):
        """A policy of the file that plans more is left out and counted, unless values are named. [contract]"""
        reckless = {"reckless": {**SCENARIO["policies"]["waves"], "max_parallel": 39}}
        scenario = make(policies=SCENARIO["policies"] | reckless)
        limited, free = (try_few(scenario, largest_wave=limit, candidates=5) for limit in (None, "all"))
        assert 39 not in set(limited.candidates["max_parallel"])
        assert 39 in set(free.candidates["max_parallel"])
        assert limited.n_beyond_largest_wave == try_few(make(), candidates=5).n_beyond_largest_wave + 1
        assert 39 in set(try_few(scenario, vary={"max_parallel": [6]}).candidates["max_parallel"])


class TestLifted:
    @pytest.mark.parametrize("how", [{}, {"largest_wave": 3}])
    def test_named_values_are_tried_as_named(self, how):
        """Values in `vary` are all tried, whatever the limit. [contract]"""
        result = try_few(make(), vary={"max_parallel": [2, 20, 0]}, **how)
        assert set(result.candidates["max_parallel"]) == {6, 2, 20, 0}
        assert (result.largest_wave, result.n_beyond_largest_wave) == (None, 0)
        assert "No wave" not in result.answer

    @pytest.mark.parametrize("required", [
        "min_in_service_fraction >= 0.5", "p5 min_in_service_fraction >= 50%", "min_in_service_fraction given good >= 0.5",
    ])  # fmt: skip
    def test_a_requirement_on_the_minimum_in_service_lifts_it(self, required):
        """With such a requirement there is only an explicit limit. [contract]"""
        scenario = make()
        result = try_few(scenario, requirements=[required])
        assert (result.largest_wave, result.n_beyond_largest_wave) == (None, 0)
        assert max(sizes(result, scenario)) == NODES
        assert try_few(scenario, requirements=[required], largest_wave=6, candidates=5).largest_wave == 6

    @pytest.mark.parametrize(
        "required", ["min_capacity_ratio >= 1", "shed_requests <= 10", "p95 shed_requests_excess <= 0"]
    )
    def test_a_requirement_on_shed_requests_lifts_it(self, required):
        """With a requirement on shed requests of a shared service there is only an explicit limit. [contract]"""
        result = try_few(make(fleet=SHARED), of="makespan_s", requirements=[required], candidates=5)
        assert result.largest_wave is None

    @pytest.mark.parametrize(
        ("fleet", "costs", "of", "limit"),
        [
            ("shared", {"shed_request": 0.1, "escape": 1}, "cost", None),
            ("shared", {"failed_request": 0.1, "escape": 1}, "cost", None),
            ("shared", {"escape": 1}, "cost", 6),
            ("shared", {"failed_request": 0.1, "shed_request": 0}, "cost", 6),
            ("shared", {"shed_request": 0.1}, "makespan_s", 6),
            ("local", {"failed_request": 0.1}, "cost", 6),
        ],
    )
    def test_a_price_of_shed_requests_lifts_it(self, fleet, costs, of, limit):
        """If the objective pays for simultaneous outages, no limit is needed. [contract]"""
        fleet = SHARED if fleet == "shared" else SCENARIO["fleet"]
        result = try_few(make(fleet=fleet, costs=costs), of=of, candidates=5)
        assert result.largest_wave == limit

    @pytest.mark.parametrize("required", ["makespan_s <= 1h", "min_in_service_fraction <= 0.9"])
    def test_other_requirements_keep_it(self, required):
        """A requirement that keeps no nodes in service leaves the limit. [contract]"""
        assert try_few(make(), requirements=[required], candidates=5).largest_wave == 6

    @pytest.mark.parametrize("wrong", [0, -1, 2.5, True, "al"])
    def test_invalid_limits_are_refused(self, wrong):
        """Anything but a number of nodes or all is an error with the allowed values. [contract]"""
        with pytest.raises(InputError, match=r"largest_wave: invalid limit .*; allowed: nodes, from 1, or 'all'"):
            try_few(make(), largest_wave=wrong)

    def test_nothing_left_to_try(self):
        """If every policy of the default ranges plans more, the error says how many nodes are needed, and the way out. [contract]"""
        scenario = make(orchestrator={"pacing": "rate", "rate": {"per_minute": 10}})
        message = (
            r"largest_wave: nothing left to try \(found 3\); allowed: 10 or more nodes, or 'all'; .* vary \(--vary\)"
        )
        with pytest.raises(InputError, match=message):
            try_few(scenario, largest_wave=3)


@pytest.fixture(scope="module")
def limited():
    # With few rollouts, so that whether their costs can be trusted doesn't matter.
    names = ("FEWEST_WORLDS", "LARGEST_WEIGHT", "_LARGEST_OF_SOME", "_FEWEST_VALUES", "_FEWEST_EQUAL")
    limits = dict.fromkeys(names, 1)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**limits, "MOST_SKEWED": 1e9}.items():
            patch.setattr(f"simdeploy.statistics.combining.{name}", value)
        found = search(make())
    rows = found.policies.copy()  # the length of the answer must not depend on the digits of its numbers
    rows.loc[rows["measure"].eq("cost"), ["estimate", "low", "high"]] = 7.0
    return replace(found, policies=rows)


class TestTold:
    def test_the_last_sentence_names_the_limit(self, limited):
        """The answer ends with the limit and the option that lifts it, also for other limits. [contract]"""
        few = limited.policies[limited.policies["policy"].eq("choice") & limited.policies["measure"].eq("cost")]
        limited = replace(limited, policies=few)
        limited = replace(limited, keeps_current=True, at_end=())
        assert limited.answer.endswith(f" {LIFTED}")
        assert len(limited.answer) <= 240
        assert "No wave larger than 9 nodes was tried" in tell(replace(limited, largest_wave=9))
        assert "No other wave larger than 1 node was tried" in tell(replace(limited, largest_wave=1))
        assert "No wave" not in tell(replace(limited, n_beyond_largest_wave=0))
        binds = {"binding": "cost <= 1", "gain_without_binding": 2.0, "keeps_current": True}
        assert replace(limited, **binds).answer.endswith(f"another policy is 2.00 lower. {SHORT}")
        nothing = replace(limited, choice=None, specs={}, requirements=())
        assert nothing.answer.endswith(LIFTED)

    def test_little_room(self, limited):
        """If the sentence doesn't fit, a shorter one does. [contract]"""
        kept = replace(limited, keeps_current=True, at_end=())
        answers = [replace(kept, current_policy="w" * length).answer for length in range(5, 41)]
        assert all(answer.endswith((f" {LIFTED}", f" {SHORT}")) for answer in answers)
        assert {answer.endswith(f" {SHORT}") for answer in answers} == {True, False}
        assert max(map(len, answers)) <= 240

    def test_it_is_the_first_to_be_cut(self, limited):
        """In a long answer the limit is left out before anything else. [contract]"""
        long = replace(limited, current_policy="a-policy-" * 6)
        assert "The best of" in long.answer
        assert "No wave" not in long.answer
        assert len(long.answer) <= 240

    def test_it_is_data(self, limited):
        """Limit, the candidates left out, and the current plan are in the JSON. [contract]"""
        document = limited.to_dict()
        assert (document["largest_wave"], document["current_wave"]) == (6, 6)
        assert document["n_beyond_largest_wave"] == limited.n_beyond_largest_wave > 0

    def test_the_minimum_in_service(self, limited):
        """Every row of the table has it; the answer names it below 80 %, unless it is the objective. [contract]"""
        table = limited.summarize()[0]
        place = table.header.index("minimum in service")
        in_service = limited.policies[limited.policies["measure"].eq("min_in_service_fraction")]
        shown = [float(row[place].split()[0]) for row in table.rows]
        assert shown == pytest.approx(100 * in_service["estimate"].to_numpy(), abs=0.1)
        named = {0.8: "", 0.7951: "; minimum in service 80 %", 0.62: "; minimum in service 62 %"}
        for value, sentence in named.items():
            rows = limited.policies.copy()
            rows.loc[in_service.index[0], "estimate"] = value
            assert f" for the current policy{sentence}. The best of" in replace(limited, policies=rows).answer
        # The certainty of the choice takes precedence.
        long = replace(limited, policies=rows, current_policy="a-policy-" * 6)
        assert "minimum in service" not in long.answer
        assert "The best of" in long.answer
        of_it = search(make(), of="min_in_service_fraction", vary={"max_parallel": [20, 30]})
        assert "minimum in service" not in tell(of_it).partition(";")[2]

    def test_more_nodes_left_out_of_service(self, limited):
        """The answer names them if the current policy leaves fewer, unless their price is stated. [contract]"""
        rows = limited.policies.copy()
        place = rows.index[rows["measure"].eq("unrestored_nodes") & rows["policy"].eq("current")].item()
        short = replace(limited, policies=rows, n_beyond_largest_wave=0, at_end=(), keeps_current=True)
        for verdict in ("better", "worse", "unclear"):
            rows.loc[place, "verdict"] = verdict
            told = short.answer.endswith("Nodes left out of service have no price (costs.unrestored_node).")
            assert told == (verdict == "better")
        rows.loc[place, "verdict"] = "better"
        # Where the answer has no room for it, the table says it.
        assert "unrestored nodes (no price)" in short.summarize()[0].header
        assert "(no price)" not in " ".join(limited.summarize()[0].header)
        bound = replace(
            short, current_policy="policy-" * 5, binding="escaped given defective <= 0.01", gain_without_binding=1.0
        )
        assert "Nodes left out of service have no price" in bound.answer
        assert len(bound.answer) <= 240
        priced = limited.computed_under | {"costs": limited.computed_under["costs"] | {"unrestored_node": 0.0}}
        assert "unrestored_node" not in replace(short, computed_under=priced).answer

    @pytest.mark.parametrize(("dialect", "shown"), [("deployment", "all at once"), ("rollout", "0")])
    def test_all_at_once(self, dialect, shown):
        """A max_parallel of 0 is written as all at once, but not in the rollout dialect; JSON has the 0. [contract]"""
        health = {} if dialect == "deployment" else {"health_check": IN_NS}
        policy = {"dialect": dialect, "max_parallel": 5, **health}
        result = search(make(policy), vary={"max_parallel": [0]})
        assert result.answer.startswith(f"Use waves with max_parallel {shown}: ")
        (table,) = (table for table in result.summarize() if table.title.startswith("Settings that differ"))
        assert [row[1] for row in table.rows[:2]] == [shown, "5"]
        assert result.to_dict()["choice"] == {"max_parallel": 0}


class TestCommand:
    @pytest.mark.parametrize(
        ("option", "limit"), [([], 6), (["--largest-wave", "9"], 9), (["--largest-wave", "all"], None)]
    )
    def test_the_option_is_the_argument(self, option, limit, tmp_path):
        """--largest-wave takes a number or all, as the argument does. [contract]"""
        path = tmp_path / "slow.yaml"
        path.write_text(json.dumps(SCENARIO), encoding="utf-8")
        few = ["--candidates", "20", "--replications", "4", "--most", "100", "--final", "100", "--engine", "compiled"]
        with short_searches():
            done = invoke("tune", path, *few, *option, "--json")
        assert done.exit_code == 0
        document = json.loads(done.stdout)
        assert document["largest_wave"] == limit
        assert simdeploy.read_result(document).largest_wave == limit
        wrong = invoke("tune", path, *few, "--largest-wave", "x")
        assert wrong.exit_code == 2
        assert "invalid limit (found 'x')" in wrong.stderr
