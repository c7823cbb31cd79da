"""Every shipped scenario reads, runs and shows what its description claims."""

from __future__ import annotations

import json
import math
import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

import simdeploy
from simdeploy.cli.advise import find_code
from simdeploy.cli.seen import read_content, read_files
from simdeploy.validation import oracles

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
FILES = sorted(SCENARIOS.glob("*.yaml"))

# Intended warnings of scenarios.
INTENDED_WARNINGS = {"overnight-promotion": ["orchestrator.bake_time"]}


@cache
def read(name: str) -> simdeploy.Scenario:
    return simdeploy.read_scenario(SCENARIOS / f"{name}.yaml")


@cache
def replicate(name: str, replications: int, *values: tuple[str, object], policies: str | None = None) -> pd.DataFrame:
    """Replicate a shipped scenario, optionally with other values."""
    scenario = read(name).with_values(dict(values))
    table = simdeploy.replicate(scenario, policies=policies, replications=replications, engine="compiled")
    assert table["status"].eq("ok").all(), table["error"].dropna().unique()
    return table


def assert_near(share: pd.Series, probability: float) -> None:
    """Assert that a share of observations is near a probability, within four standard errors."""
    standard_error = math.sqrt(probability * (1 - probability) / len(share))
    assert abs(share.mean() - probability) <= 4 * standard_error, f"{share.mean()} of {len(share)}, not {probability}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_reads_and_introduces_itself(path):
    """A shipped scenario has only intended warnings, and a description of what it shows. [contract]"""
    scenario = simdeploy.read_scenario(path)
    assert [str(".".join(problem.path)) for problem in scenario.warnings] == INTENDED_WARNINGS.get(path.stem, [])
    assert scenario.name == path.stem
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert 100 <= len(scenario.description) <= 260


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_policy_comes_to_an_end(path):
    """Every policy of a shipped scenario reaches a terminal state. [contract]"""
    table = replicate(path.stem, 2)
    assert set(table["policy"]) == set(read(path.stem).policies)
    assert table["state"].isin(["completed", "failed", "canceled"]).all()


def test_readme_lists_the_scenarios():
    """scenarios/README.md has one entry per file, with its exact description. [contract]"""
    entries = {
        f"- [{path.name}]({path.name}) ({', '.join(read(path.stem).policies)}): {read(path.stem).description}"
        for path in FILES
    }
    text = (SCENARIOS / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[.*?(?=^$|^- )", text, re.MULTILINE | re.DOTALL)
    assert sorted(" ".join(entry.split()) for entry in listed) == sorted(entries)


class TestSmallFleet:
    """Forty nodes and a release that may be bad."""

    def test_good_releases(self):
        """Canaries stop a good release if one of two starts fails, waves if five of forty do, at these rates. [oracle]"""
        table = replicate("small-fleet", 200)
        good = table[table["release"].eq("good")]
        stopped = good["verdict"].eq("false_alarm").groupby(good["policy"])
        later = oracles.stop_probability(38, 0.02, 4)
        assert_near(stopped.get_group("canary"), 1 - 0.98**2 * (1 - later))
        assert_near(stopped.get_group("rolling"), oracles.stop_probability(40, 0.02, 4))
        assert_near(stopped.get_group("all-at-once"), oracles.stop_probability(40, 0.02, 4))

    def test_all_at_once_rarely_stops(self):
        """All at once stops a blatant defect only if five of forty starts fail. [oracle]"""
        table = replicate("small-fleet", 600, ("release.good.probability", 0), ("release.blatant.probability", 0.95),
                          policies="all-at-once")  # fmt: skip
        blatant = table[table["release"].eq("blatant")]
        fails = 1 - 0.98 * 0.95
        assert_near(blatant["verdict"].eq("stopped_defective"), oracles.stop_probability(40, fails, 4))

    def test_which_policy_stops_which_defect(self):
        """Canaries stop the blatant defect on two nodes, waves on more; the subtle one mostly escapes. [property]"""
        table = replicate("small-fleet", 200)
        blatant = table[table["release"].eq("blatant")]
        exposed = blatant.pivot_table(index="replication", columns="policy", values="peak_exposed_nodes")
        assert len(exposed) >= 10
        assert (exposed["canary"] <= 2).all()
        assert (exposed["rolling"] > exposed["canary"]).all()
        carefully = blatant[blatant["policy"].ne("all-at-once")]
        assert carefully["verdict"].eq("stopped_defective").all()
        subtle = table[table["release"].eq("subtle")]
        assert len(subtle) >= 9
        assert (subtle["verdict"].eq("escaped").groupby(subtle["policy"]).mean() > 0.5).all()


class TestEdge1000:
    """The first picture of the README at a thousand nodes."""

    def stopped(self, *values: tuple[str, object]) -> pd.Series:
        table = replicate("edge-1000", 200, *values, policies="api-defaults")
        return table.set_index("replication")["verdict"].eq("false_alarm")

    @pytest.mark.slow
    def test_one_percent(self):
        """The default limits stop a good release with probability 0.417, or 0.543 where reaching is enough. [oracle]"""
        probabilities = [oracles.stop_probability(1000, 0.01, 10, reaches=reaches) for reaches in (False, True)]
        assert [round(probability, 3) for probability in probabilities] == [0.417, 0.543]
        exceeds = self.stopped()
        reaches = self.stopped(("orchestrator.limit_comparison", "reaches"))
        assert_near(exceeds, probabilities[0])
        assert_near(reaches, probabilities[1])
        # In the same worlds: where the limit is exceeded, and also where exactly ten nodes fail.
        assert reaches[exceeds].all()
        assert reaches.sum() > exceeds.sum()

    @pytest.mark.slow
    def test_two_percent(self):
        """At 2 % a good release is almost certainly stopped. [oracle]"""
        probability = oracles.stop_probability(1000, 0.02, 10)
        assert probability > 0.98
        assert_near(self.stopped(("fleet.start_failure", 0.02)), probability)

    def test_a_limit_that_fits(self):
        """With a limit of fifty nodes a good release completes. [oracle]"""
        assert oracles.stop_probability(1000, 0.01, 50) < 1e-15
        table = replicate("edge-1000", 20, policies="limit-that-fits")
        assert table["verdict"].eq("completed_good").all()


@pytest.mark.slow
def test_edge_offline():
    """With a fifth offline, 5 minutes stop every good release, 10 minutes 60 %, 20 minutes none. [oracle]"""
    line = read("edge-offline").fleet.behaviour.connection
    online_s, offline_s = line.online.mean, line.offline.mean
    assert round(oracles.unreachable_at_turn(online_s, offline_s), 9) == 0.2

    def unheard(minutes: int) -> float:
        return oracles.unheard_by_deadline(online_s, offline_s, verdict_s=90, deadline_s=60 * minutes)

    assert round(unheard(5), 2) == 0.03
    stopped = {minutes: oracles.stop_probability(1000, unheard(minutes), 10) for minutes in (5, 10, 20)}
    assert stopped[5] > 0.9999
    assert 0.55 < stopped[10] < 0.65
    assert stopped[20] < 1e-6
    for minutes, policy in ((5, "api-deadline"), (10, "api-deadline"), (20, "long-deadline")):
        table = replicate(
            "edge-offline", 200, (f"policies.{policy}.health_check.deadline", f"{minutes}m"), policies=policy
        )
        assert_near(table["verdict"].eq("false_alarm"), stopped[minutes])


def test_latent_defect():
    """A brief canary lets every latent defect out to the whole fleet, a patient one stops it hours later. [property]"""
    table = replicate("latent-defect", 60)
    latent = table[table["release"].eq("latent")]
    brief, patient = (latent[latent["policy"].eq(name)] for name in ("brief-canary", "patient-canary"))
    assert len(brief) == len(patient) >= 10
    assert brief["verdict"].eq("escaped").all()
    assert brief["blast_radius"].eq(1).all()
    assert patient["verdict"].eq("stopped_defective").all()
    assert (patient["blast_radius"] <= 0.05).all()
    makespan_s = table[table["release"].eq("good")].groupby("policy")["makespan_s"]
    assert makespan_s.max()["brief-canary"] < 1800
    assert makespan_s.min()["patient-canary"] > 2 * 3600


def test_subtle_defect():
    """The threshold stops one good release in four, pooling one in thirty; both find a defect near the limit. [property]"""
    table = replicate("subtle-defect", 400)
    good = table[table["release"].eq("good")]
    alarms = good["verdict"].eq("false_alarm").groupby(good["policy"])
    assert_near(alarms.get_group("node-by-node"), 1 / 4)
    assert_near(alarms.get_group("wave-by-wave"), 1 / 30)
    subtle = table[table["release"].eq("subtle")]
    assert len(subtle) >= 100
    assert (subtle["verdict"].eq("escaped").groupby(subtle["policy"]).mean() < 0.05).all()


class TestSharedService:
    """A hundred nodes that share their requests, with 15 % to spare."""

    @staticmethod
    def of_policy(name: str, *values: tuple[str, object]) -> pd.DataFrame:
        return replicate("shared-service", 400, *values, policies=name)

    def test_how_much_is_shed(self):
        """With a tenth out nothing is shed, with a fifth 8 %; 13 nodes shed nothing, 17 at most 5 %. [oracle]"""
        service = read("shared-service").fleet.service
        assert service is not None
        assert [round(oracles.shed_fraction(100, out, service.capacity), 12) for out in (10, 20)] == [0, 0.08]
        assert [oracles.largest_wave(100, service.capacity, shed) for shed in (0, 0.05)] == [13, 17]

    def test_tenths(self):
        """With waves of a tenth nothing is shed, and every rollout completes. [oracle]"""
        table = self.of_policy("by-tenths")
        assert table["verdict"].eq("completed_good").mean() > 0.99
        fine = table[table["failed_nodes"].eq(0)]
        assert (table["shed_requests"] == 0).all()
        lowest = oracles.waves_min_capacity_ratio(100, [10] * 10, 1.15)
        assert fine["min_capacity_ratio"].to_numpy() == pytest.approx(lowest, rel=1e-12)

    def test_fifths(self):
        """With waves of a fifth healthy nodes fail, and every other good release is stopped. [property]"""
        table = self.of_policy("by-fifths")
        assert_near(table["verdict"].eq("false_alarm"), 1 / 2)
        assert (table["min_capacity_ratio"] <= oracles.waves_min_capacity_ratio(100, [20] * 5, 1.15) + 1e-12).all()
        assert table["failed_nodes"].mean() > 8
        # With room to spare nothing fails.
        table = self.of_policy("by-fifths", ("fleet.service.shared.capacity", 1.3))
        assert table["failed_nodes"].mean() < 0.1

    def test_a_search_finds_the_largest_wave(self):
        """If shed requests and time have a price, the cheapest wave is the largest that sheds nothing. [oracle]"""
        largest = oracles.largest_wave(100, 1.15)
        vary = {"max_parallel": [5, 10, largest - 1, largest, largest + 1, 15, 20]}
        priced = read("shared-service").with_values({"costs": {"shed_request": 0.001, "hour_of_delay": 30}})
        found = simdeploy.tune(priced, "by-fifths", vary=vary, engine="compiled")
        assert found.choice == {"max_parallel": largest}

    def test_a_stop_is_an_outage(self):
        """A stop mostly rolls back more than half the fleet at once; by waves of a fifth it is no outage. [property]"""
        table = self.of_policy("by-fifths")
        stopped = table[table["state"].eq("failed")]
        assert stopped["peak_exposed_nodes"].gt(50).mean() > 0.75
        assert stopped["min_capacity_ratio"].lt(0.5).mean() > 0.75
        table = self.of_policy("by-fifths", ("orchestrator.rollback_pacing", "max_parallel"))
        assert table["min_capacity_ratio"].min() > 0.6


class TestZoneBreaks:
    """Failures that come together."""

    def test_the_defect(self):
        """One canary per zone finds the defect of a zone on four nodes; two canaries never do. [property]"""
        table = replicate("zone-breaks", 200)
        bad = table[table["release"].eq("bad-in-zone-2")]
        exposed = bad.pivot_table(index="replication", columns="policy", values="peak_exposed_nodes")
        assert len(exposed) >= 20
        assert (exposed["one-canary-per-zone"] <= 4).all()
        waves = bad[bad["policy"].eq("two-canaries")]["waves"]
        assert_near(waves.gt(1), 0.97)  # past the canaries, unless their zones are down
        assert bad["verdict"].eq("stopped_defective").all()

    def test_the_outage(self):
        """A good release is stopped only if a zone is down, with all failed nodes in that zone. [property]"""
        table = replicate("zone-breaks", 200)
        alarms = table[table["verdict"].eq("false_alarm")]
        most = 0
        for row in alarms.itertuples():
            rollout = simdeploy.simulate(read("zone-breaks"), row.policy, replication=row.replication)
            failed = rollout.events[rollout.events["to_status"].eq("failed")]["node"].dropna()
            assert rollout.nodes.set_index("node")["zone"][failed].nunique() == 1
            most = max(most, len(failed))
        assert most > 8  # a limit of 10 % of 80 nodes, crossed by one zone


class TestOvernightPromotion:
    """Canaries in the evening, a person in the morning."""

    def test_the_person(self):
        """The person notices nine defects of ten and rejects one good release in fifty. [oracle]"""
        table = replicate("overnight-promotion", 250)
        table = table[table["policy"].eq("person-in-the-morning")]
        bad = table["release"].eq("after-hours")
        assert_near(table[~bad]["verdict"].eq("false_alarm"), 0.02)
        # A defect that shows early on a canary is stopped by its health check.
        noticed = table[bad & table["state"].ne("failed")]
        assert_near(noticed["verdict"].eq("stopped_defective"), 0.9)

    def test_the_price(self):
        """Promotion by hand takes a night longer; automatic promotion lets most defects out. [property]"""
        table = replicate("overnight-promotion", 250)
        makespan_s = table.groupby("policy")["makespan_s"].mean()
        assert makespan_s["person-in-the-morning"] - makespan_s["promotes-itself"] > 8 * 3600
        itself = table[table["release"].eq("after-hours") & table["policy"].eq("promotes-itself")]
        assert itself["verdict"].eq("escaped").mean() > 0.7


class TestChangeWindow:
    """A change window at night, and rollouts that start before it and within it."""

    @pytest.mark.parametrize(("day", "hour", "policy"), [(2, 17, "in-tens"), (3, 3, "in-tens"), (3, 3, "in-thirties")])
    def test_a_night_or_a_day(self, day, hour, policy):
        """A good release completes in the night if started at 17:00; at 3:00, within two hours or the next night. [property]"""
        created_at = f"2026-03-{day:02}T{hour:02}:00:00+01:00"
        makespan_h = self.replicate(created_at, policy, "good")["makespan_s"] / 3600
        low, high = {(17, "in-tens"): (10, 12), (3, "in-tens"): (22, 24), (3, "in-thirties"): (0.8, 2)}[hour, policy]
        assert makespan_h.between(low, high).all()

    def test_the_price(self):
        """In a mixed fleet a defect fails several times as many requests, as nobody looks before completion. [property]"""
        failed = [
            self.replicate(created_at, "in-tens", "after-hours")["failed_requests_excess"].mean()
            for created_at in ("2026-03-02T17:00:00+01:00", "2026-03-03T03:00:00+01:00")
        ]
        assert failed[1] > 4 * failed[0]

    @staticmethod
    def replicate(created_at, policy, release):
        table = replicate("change-window", 100, ("deployment.created_at", created_at), policies=policy)
        return table[table["release"].eq(release)]


class TestNightRelease:
    """A rollout in the night, observed at three instants."""

    def advise(self, file, at, evidence=None):
        """Return the exit code of the advice, and the advice."""
        seen = read_files([str(SCENARIOS / "night-release" / file)])
        how = {"at": at, "evidence": evidence, "replications": 1000, "engine": "compiled"}
        advice = simdeploy.advise(read("night-release"), seen=seen, **how)
        return find_code(advice), advice

    def test_advice_changes(self):
        """The advice is first to go on, then to wait, then to cancel. [contract]"""
        codes = [self.advise(f"02-{when}.json", at)[0] for when, at in (("01-30", 90), ("02-00", 120), ("02-30", 150))]
        assert codes == [0, 10, 11]

    def test_requests_decide(self):
        """If the nodes are inconclusive, their requests show that the release is defective. [contract]"""
        code, nodes = self.advise("nodes.csv", 120)
        assert (code, 0.5 < nodes.defective < 0.9) == (10, True)
        code, both = self.advise("nodes.csv", 120, read_content(str(SCENARIOS / "night-release" / "windows.csv")))
        assert (code, both.defective > 0.99) == (11, True)


class TestTypes:
    """One scenario for each type of deployment."""

    def test_create(self):
        """A new job costs no availability, and a rollback removes it. [property]"""
        table = replicate("type-create", 40)
        assert table[table["state"].eq("completed")]["unavailable_node_s"].eq(0).all()
        stopped = table[table["verdict"].eq("stopped_defective")]
        assert len(stopped) >= 3
        rollout = simdeploy.simulate(read("type-create"), replication=int(stopped.iloc[0]["replication"]))
        assert set(rollout.nodes["status"]) == {"removed", "pending"}

    def test_update(self):
        """One try in thirty is followed by a second one, and a stopped release is rolled back. [oracle]"""
        scenario = read("type-update")
        rollouts = [simdeploy.simulate(scenario, replication=number) for number in range(60)]
        attempts = pd.concat([rollout.nodes["attempts"] for rollout in rollouts])
        assert_near(attempts[attempts > 0].gt(1), 0.033)
        stopped = [rollout for rollout in rollouts if rollout.responses["verdict"] == "stopped_defective"]
        back = stopped[0].deployments[1]
        assert (back.type, back.from_version, back.to_version) == ("rollback", 8, 7)
        assert set(stopped[0].nodes["status"]) == {"rolled_back", "pending"}

    def test_restart(self):
        """One by one takes longer and keeps all but one node in service; there is no verdict. [property]"""
        table = replicate("type-restart", 20)
        assert table["verdict"].isna().all()
        assert table["release"].eq("").all()
        ones, tens = (table[table["policy"].eq(name)].set_index("replication") for name in ("by-ones", "by-tens"))
        assert (ones["makespan_s"] > 5 * tens["makespan_s"]).all()
        assert ones["min_in_service_fraction"].mul(30).round(9).eq(29).all()
        assert tens["min_in_service_fraction"].mul(30).round(9).eq(20).all()

    def test_rollback(self):
        """Waves take many times as long as all at once; a stopped rollback is not undone. [property]"""
        table = replicate("type-rollback", 60)
        done = table[table["state"].eq("completed")].groupby("policy")["makespan_s"].mean()
        assert done["in-tens"] > 3 * done["all-at-once"]
        stopped = table[table["verdict"].eq("stopped_defective")].iloc[0]
        rollout = simdeploy.simulate(read("type-rollback"), stopped["policy"], replication=int(stopped["replication"]))
        assert len(rollout.deployments) == 1
        assert not rollout.nodes["status"].isin(["rolling_back", "rolled_back"]).any()

    def test_stop(self):
        """The makespan is the sum of the slowest drains of three waves, and every node leaves. [oracle]"""
        table = replicate("type-stop", 300)
        expected_s = oracles.barrier_makespan_s(read("type-stop").fleet.behaviour.update_duration, [10, 10, 10])
        makespan_s = table["makespan_s"]
        assert abs(makespan_s.mean() - expected_s) <= 4 * makespan_s.sem()
        assert table["state"].eq("completed").all()
        assert simdeploy.simulate(read("type-stop")).nodes["status"].eq("stopped").all()


class TestApiResponse:
    """A deployment as the API returns it."""

    def test_it_is_the_file(self):
        """Spec, ids and versions are those of the JSON file, and are written back unchanged. [contract]"""
        body = json.loads((SCENARIOS / "deployment.json").read_text(encoding="utf-8"))["deployment"]
        result = json.loads(simdeploy.simulate(read("api-response"), "as-it-runs").to_json())["deployment"]
        assert result["spec"] == body["spec"]
        assert [result[key] for key in ("id", "job_id", "from_version", "to_version")] == [
            body[key] for key in ("id", "job_id", "from_version", "to_version")
        ]

    def test_its_limits(self):
        """The policy as it runs stops a good release as often as five of 200 starts fail, wider limits never. [oracle]"""
        table = replicate("api-response", 150)
        good = table[table["release"].eq("good")]
        stopped = good["verdict"].eq("false_alarm").groupby(good["policy"])
        assert_near(stopped.get_group("as-it-runs"), oracles.stop_probability(200, 0.02, 4))
        assert not stopped.get_group("wider-limits").any()
