"""Flight Control's fleets become general policies."""

import pytest
from foreign import batches, fidelities, messages, notes, recognised_as, refusal, roll_out, without_note
from refusals import refused

from simdeploy.dialects import read_policy

FLEET = """\
apiVersion: v1alpha1
kind: Fleet
metadata:
  name: shops
spec:
  selector:
    matchLabels: {fleet: shops}
  rolloutPolicy:
    deviceSelection:
      strategy: BatchSequence
      sequence:
      - limit: 2
      - limit: 25%
      - selector: {matchLabels: {site: paris}}
        limit: 60%
    successThreshold: 90%
    defaultUpdateTimeout: 20m
    disruptionBudget:
      maxUnavailable: 8
"""


def fleet(policy):
    return f"kind: Fleet\nspec:\n  rolloutPolicy: {policy}\n"


def batches_of(*entries):
    return read_policy(fleet(f"{{deviceSelection: {{sequence: [{', '.join(entries)}]}}}}"))


def test_every_field_is_mapped():
    """Batches are waves, each judged at its end by its own devices. [contract]"""
    imported = read_policy(FLEET)
    assert imported.kind == "flightctl"
    assert imported.policy == {
        "dialect": "general",
        "strategy": "rolling",
        "waves": [2, {"until": "25%"}, {"until": "60%"}, {"until": "100%"}],
        "max_parallel": 8,
        "health_check": {"deadline": "20m"},
        "max_failed_nodes_percent": 10.0,
        "no_auto_rollback": True,
        "orchestrator": {
            "wave_rounding": "nearest",
            "failed_percent_of": "wave",
            "limits_judged": "wave_end",
            "unreachable_nodes": "skip",
            "on_failure": "pause",
        },
    }


def test_every_field_has_a_note():
    """Every field of the rollout policy has a note; a selector makes its batch approximate. [contract]"""
    imported = read_policy(FLEET)
    assert without_note(imported, FLEET, "spec.rolloutPolicy") == []
    found = fidelities(imported)
    sequence = "spec.rolloutPolicy.deviceSelection.sequence"
    assert (found[f"{sequence}[1].limit"], found[f"{sequence}[2].limit"]) == ("exact", "approximate")
    assert found[f"{sequence}[2].selector"] == "none"


@pytest.mark.parametrize(
    ("entries", "fewer_than"),
    [
        (["{limit: 10%}", "{limit: 20%}"], [5, None]),
        (["{limit: 33%}"], [2]),
        (["{limit: 1%}"], [50]),
        (["{limit: 50%}"], [None]),
        (["{limit: 0%}", "{limit: 10%}"], [None, 5]),
        (["{limit: 1}", "{limit: 10%}"], [None, None]),
    ],
)
def test_a_first_batch_that_may_be_empty_is_approximate(entries, fewer_than):
    """Without the fleet's size, the first percentage is exact only if it rounds to a device in every fleet. [oracle]"""
    found = [note for note in batches_of(*entries).notes if note.field.endswith("].limit")]
    expected = [f"none if the fleet has fewer than {least}" if least else None for least in fewer_than]
    assert [note.fidelity for note in found] == ["approximate" if least else "exact" for least in fewer_than]
    assert all(least is None or note.text.endswith(least) for note, least in zip(found, expected, strict=True))
    sized = read_policy(fleet(f"{{deviceSelection: {{sequence: [{', '.join(entries)}]}}}}"), nodes=3)
    assert {note.fidelity for note in sized.notes if note.field.endswith("].limit")} == {"exact"}


def test_defaults_are_noted():
    """By default 90 % of a batch must succeed within a day. [contract]"""
    imported = batches_of("{limit: 5}")
    assert imported.policy["max_failed_nodes_percent"] == 10
    assert imported.policy["health_check"] == {"deadline": "24h"}
    texts = {note.field: note.text for note in imported.notes if note.line is None}
    assert texts["spec.rolloutPolicy.successThreshold"].startswith("not given: the rollout stops if more than 10 %")
    assert texts["spec.rolloutPolicy.defaultUpdateTimeout"].startswith("not given: ")
    assert texts["node_local_rollback"].startswith("the agent of a device takes back an update that fails")


def test_without_batches_nothing_is_judged():
    """Without batches all devices go at once, as far as the disruption budget allows. [contract]"""
    imported = read_policy(fleet("{successThreshold: 99%, disruptionBudget: {maxUnavailable: 3}}"))
    assert imported.policy["waves"] == [{"until": "100%"}]
    assert "max_failed_nodes_percent" not in imported.policy
    assert imported.orchestrator["on_failure"] == "continue"
    assert fidelities(imported)["spec.rolloutPolicy.successThreshold"] == "none"


def test_a_threshold_of_a_batch_is_that_of_the_one_before(engine):
    """A batch's threshold decides, on the previous batch, whether it starts; the first needs none. [oracle]"""
    first, second = "{limit: 50%, successThreshold: 100%}", "{limit: 80%, successThreshold: 50%}"
    imported = batches_of(first, second)
    assert [wave["max_failed_nodes_percent"] for wave in imported.policy["waves"]] == [50, 10, 10]
    sequence = "spec.rolloutPolicy.deviceSelection.sequence"
    found = fidelities(imported)
    assert [found[f"{sequence}[{number}].successThreshold"] for number in (0, 1)] == ["none", "exact"]
    assert batches(roll_out(imported, 10, fail=[0, 1], engine=engine)) == [5, 3, 2]
    assert batches(roll_out(imported, 10, fail=[0, 1, 2], engine=engine)) == [5]
    assert batches(roll_out(imported, 10, fail=[5], engine=engine)) == [5, 3]


def test_percentages_are_rounded_to_the_nearest_number(engine):
    """Halves are rounded up; a batch of no devices is left out if the fleet's size is known. [oracle]"""
    assert batches(roll_out(batches_of("{limit: 10%}", "{limit: 50%}"), 13, engine=engine)) == [1, 6, 6]
    text = fleet("{deviceSelection: {sequence: [{limit: 10%}, {limit: 50%}]}}")
    assert read_policy(text, nodes=5).policy["waves"][0] == {"until": "10%"}
    assert read_policy(text, nodes=4).policy["waves"] == [{"until": "50%"}, {"until": "100%"}]


def test_fleets_of_other_projects_are_not_recognised():
    """Agones' Fleet objects are not recognised. [contract]"""
    text = "apiVersion: {version}\nkind: Fleet\nspec: {{}}\n"
    versions = ["v1alpha1", "flightctl.io/v1beta1", "agones.dev/v1"]
    assert [recognised_as(text.format(version=one)) for one in versions] == [["flightctl"], ["flightctl"], []]


def test_one_of_several_fleets_is_chosen():
    """Fleets of several documents or of a list have names; the first is read unless another is chosen. [contract]"""
    first, second = FLEET, FLEET.replace("name: shops", "name: depots").replace("limit: 2\n", "limit: 7\n")
    entries = "".join("- " + text.rstrip().replace("\n", "\n  ") + "\n" for text in (first, second))
    for text in (f"{first}---\n{second}", f"apiVersion: v1alpha1\nkind: FleetList\nitems:\n{entries}"):
        imported = read_policy(text)
        assert (imported.kind, imported.policy["waves"][0]) == ("flightctl", 2)
        choice = "Fleet/shops, the first in the file; --var object=NAME chooses one of Fleet/shops, Fleet/depots"
        assert notes(imported)["object"][1] == choice
        assert without_note(imported, first, "spec.rolloutPolicy") == []
        chosen = read_policy(text, variables={"object": "Fleet/depots"})
        assert chosen.policy["waves"][0] == 7
        assert "object" not in notes(chosen)


def test_without_a_rollout_policy_all_devices_are_updated_at_once():
    """Without a rollout policy all devices go at once, and nothing stops them. [contract]"""
    imported = read_policy("kind: Fleet\nspec: {}\n")
    assert imported.policy["strategy"] == "immediate"
    assert imported.orchestrator == {"on_failure": "continue"}


def test_batches_without_a_limit():
    """A batch without a limit takes all remaining devices, or an unknown number that match. [contract]"""
    assert batches_of("{limit: 1}", "{}").policy["waves"] == [1, {"until": "100%"}, {"until": "100%"}]
    selective = batches_of("{limit: 1}", "{selector: {matchLabels: {a: b}}}")
    assert selective.policy["waves"] == [1, {"until": "100%"}]
    assert fidelities(selective)["spec.rolloutPolicy.deviceSelection.sequence[1].limit"] == "approximate"


@pytest.mark.parametrize("limit", ["0", "101%", "10.5%", "-5", "half", "1.5", "true", "[1]"])
def test_other_limits_are_refused(limit):
    """Only a whole number of devices or a percentage is allowed as a batch limit. [contract]"""
    assert "sequence[0].limit" in str(refused(batches_of, f"{{limit: {limit}}}"))


@pytest.mark.parametrize(
    ("threshold", "why"),
    [("95", "not a percent"), ("101%", "too large"), ("99.9%", "not a percent"), ("most", "not a percent")],
)
def test_other_thresholds_are_refused(threshold, why):
    """Only a percentage as text is allowed as a threshold. [contract]"""
    assert f"successThreshold: {why}" in refusal(fleet(f"{{successThreshold: {threshold}}}"))[0]


def test_a_minimum_of_available_devices_needs_the_number_of_nodes():
    """The stricter bound of the budget is used; a minimum without the number of nodes is refused. [contract]"""
    text = fleet("{disruptionBudget: {minAvailable: 6, maxUnavailable: 5}}")
    assert read_policy(text, nodes=10).policy["max_parallel"] == 4
    assert read_policy(text, nodes=20).policy["max_parallel"] == 5
    assert read_policy(text, nodes=6).policy["max_parallel"] == 1
    assert "pass --nodes N" in refusal(text)[0]


def test_groups_of_a_budget_are_zones():
    """A minimum per group needs the number of groups, too. [contract]"""
    text = fleet("{disruptionBudget: {groupBy: [site], minAvailable: 6, maxUnavailable: 5}}")
    assert read_policy(text).policy["max_parallel_per_zone"] == 5
    assert "--var zones=Z" in read_policy(text).unknown[0].text
    assert read_policy(text, nodes=24, variables={"zones": "3"}).policy["max_parallel_per_zone"] == 2


def test_all_bad_values_are_reported_with_lines():
    """All problems are reported together, with line, field and reason. [contract]"""
    text = FLEET.replace("BatchSequence", "Random").replace("25%", "250%").replace("20m", "20").replace("8", "none")
    policy = "spec.rolloutPolicy"
    assert sorted(messages(text)) == [
        (10, f"{policy}.deviceSelection.strategy", "unknown value"),
        (13, f"{policy}.deviceSelection.sequence[1].limit", "too large"),
        (17, f"{policy}.defaultUpdateTimeout", "not a duration"),
        (19, f"{policy}.disruptionBudget.maxUnavailable", "not a whole number"),
    ]


def test_batches_of_a_hundred_devices(engine):
    """Percentages include earlier batches; a batch below its threshold suspends the rollout at its end. [oracle]"""
    imported = batches_of("{limit: 1}", "{limit: 50%}", "{limit: 80%}")
    assert batches(roll_out(imported, 100, engine=engine)) == [1, 49, 30, 20]
    assert batches(roll_out(imported, 100, fail=[50], engine=engine)) == [1, 49, 30, 20]
    assert batches(roll_out(imported, 100, fail=[50, 51, 52], engine=engine)) == [1, 49, 30, 20]
    suspended = roll_out(imported, 100, fail=[50, 51, 52, 53], engine=engine)
    assert batches(suspended) == [1, 49, 30]
    assert suspended.responses["state"] == "paused"


def test_a_batch_at_its_threshold_goes_on(engine):
    """With a threshold of 99 %, one device of a hundred may fail. [oracle]"""
    imported = read_policy(fleet("{deviceSelection: {sequence: []}, successThreshold: 99%}"))
    assert imported.policy["max_failed_nodes_percent"] == 1
    assert roll_out(imported, 100, fail=[0], engine=engine).responses["state"] == "completed"
    assert roll_out(imported, 100, fail=[0, 1], engine=engine).responses["state"] == "paused"


def test_schedules_are_noted():
    """When devices may update is no part of the policy; the scenario's change windows say it. [contract]"""
    schedule = 'updatePolicy: {updateSchedule: {at: "0 4 * * 1", startGraceDuration: 1h}}'
    imported = read_policy(f"kind: Fleet\nspec:\n  template:\n    spec:\n      {schedule}\n")
    fidelity, text, line = notes(imported)["spec.template.spec.updatePolicy"]
    assert (fidelity, "change windows" in text, line) == ("none", True, 5)
    assert read_policy("kind: Fleet\nspec: {template: [...]}\n").policy["strategy"] == "immediate"
