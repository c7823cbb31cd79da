"""The explorer: the meaning of a position, its sliders, answers, and their order."""

import json
import queue
import re
import threading
from dataclasses import replace
from time import process_time

import numpy as np
import pytest
from commands import SCENARIOS
from refusals import refused
from small import rolling

import simdeploy
from simdeploy.analysis.asking.simulating import replicate_kinds
from simdeploy.errors import InputError
from simdeploy.explorer import answering
from simdeploy.explorer.answering import Effort, Explorer, find_measures
from simdeploy.explorer.controls import find_policy_controls, find_world_controls
from simdeploy.explorer.conversation import Conversation, read_question
from simdeploy.explorer.film import make_film
from simdeploy.explorer.front_end import list_looks, read_module
from simdeploy.explorer.position import Position, read_position, settle
from simdeploy.explorer.preparing import begin_loading
from simdeploy.plotting.style import STATUS_LOOKS
from simdeploy.report.rollout import say_end

SCENARIO = {
    "name": "small",
    "fleet": {
        "nodes": 6,
        "update_duration": {"uniform": {"low": "20s", "high": "90s"}},
        "start_failure": 0.1,
        "requests_per_second": 5,
    },
    "release": {
        "good": {"probability": 0.6},
        "dull": {"probability": 0.2},
        "bad": {"probability": 0.2, "defective": True, "error_rate": 0.2},
    },
    "costs": {"escape": 100, "false_alarm": 10, "hour_of_delay": 5},
    "policies": {
        "waves": rolling(2, max_failed_nodes=1, health_check={"deadline": "5m", "max_error_rate": 0.05}),
        "canary": {"strategy": "canary", "canary_count": 1, "health_check": {"deadline": "5m"}},
    },
}


def begin(scenario, policy="waves", values=None):
    """Return the starting position of a scenario's own policies."""
    return settle(Position(policy, values or {}), scenario, scenario.policies)


@pytest.fixture
def scenario():
    return simdeploy.Scenario.from_dict(SCENARIO)


@pytest.fixture
def explorer(scenario):
    return Explorer(scenario, scenario.policies, engine="reference")


def at(explorer, policy="waves", **values):
    """Return a position; two underscores in a name are a dot."""
    return explorer.settle(Position(policy, {name.replace("__", "."): value for name, value in values.items()}))


# -- positions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (None, "not a position"),
        ([], "not a position"),
        ({}, "policy: not a name"),
        ({"policy": 1}, "policy: not a name (found 1)"),
        ({"policy": "waves", "value": {}}, "did you mean 'values'?"),
        ({"policy": "waves", "values": [1]}, "not values"),
        ({"policy": "waves", "values": {"a": {}}}, "'a': not a value"),
        ({"policy": "waves", "values": {"a": float("nan")}}, "'a': not a value"),
        ({"policy": "waves", "values": {"a": "x" * 300}}, "'a': not a value"),
        ({"policy": "waves", "values": {"a" * 300: 1}}, "not a value"),
        ({"policy": "waves", "values": dict.fromkeys(map(str, range(60)), 1)}, "too many values (found 60)"),
    ],
)
def test_invalid_positions_are_refused(raw, says):
    """An invalid position is refused with reason and place. [contract]"""
    assert says in str(refused(read_position, raw))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"max_failed_nods": 1}, "did you mean 'max_failed_nodes'?"),
        ({"max_failed_nodes": -1}, "max_failed_nodes: negative"),
        ({"health_check.deadline": "soon"}, "health_check.deadline: not a duration"),
        ({"scenario.fleet.start_failure": 2}, "fleet.start_failure: too large"),
        ({"scenario.policies.waves.max_parallel": 2}, "can't be varied"),
        ({"scenario.release.bad.probability": 0.9, "scenario.release.dull.probability": 0.2}, "sum to 1"),
    ],
)
def test_values_are_checked_like_those_of_a_file(explorer, values, says):
    """A value that is invalid in a file is refused, with its path. [contract]"""
    assert says in str(refused(explorer.settle, Position("waves", values)))


def test_a_position_is_the_file_with_these_values(explorer):
    """A position has the rollouts of a file with the same values in world and policy. [property]"""
    values = {"max_failed_nodes": 3, "health_check.max_error_rate": 0.1, "scenario.fleet.start_failure": 0.3}
    place = explorer.settle(Position("waves", values))
    changed = json.loads(json.dumps(SCENARIO))
    changed["fleet"]["start_failure"] = 0.3
    changed["policies"]["waves"] |= {"max_failed_nodes": 3}
    changed["policies"]["waves"]["health_check"]["max_error_rate"] = 0.1
    other = simdeploy.Scenario.from_dict(changed)
    for number in range(5):
        one = simdeploy.simulate(place.scenario, place.policy, replication=number)
        two = simdeploy.simulate(other, "waves", replication=number)
        assert one.events.equals(two.events)


def test_other_kinds_keep_their_ratio(explorer):
    """If a kind of release becomes more likely, the others share the rest as before. [property]"""
    place = at(explorer, scenario__release__bad__probability=0.6)
    assert [float(kind.probability) for kind in place.scenario.release] == pytest.approx([0.3, 0.1, 0.6])
    none_left = at(explorer, scenario__release__bad__probability=1)
    assert [float(kind.probability) for kind in none_left.scenario.release] == [0, 0, 1]


def test_requirements_of_a_policy_leave_assumptions_movable():
    """With a requirement that names a policy, assumptions can be moved, with the numbers of such a file. [property]"""
    limits = [{"of": "makespan_s", "at_most": "1h", "policy": name} for name in SCENARIO["policies"]]
    raw = json.loads(json.dumps({**SCENARIO, "requirements": limits}))
    required = simdeploy.Scenario.from_dict(raw)
    place = settle(Position("waves", {"scenario.fleet.start_failure": 0.2}), required, required.policies)
    raw["fleet"]["start_failure"] = 0.2
    same = settle(Position("waves", {}), simdeploy.Scenario.from_dict(raw), required.policies)
    found = [
        Explorer(each.scenario, {"waves": each.policy}, engine="reference")._estimate(each, 20, bool)
        for each in (place, same)
    ]
    assert found[0] == found[1]


def test_suspicious_values_have_a_warning(explorer):
    """A valid but suspicious value has the warning that the file would have. [contract]"""
    assert at(explorer).warnings == ()
    assert any("max_error_rate" in text for text in at(explorer, scenario__fleet__error_rate=0.3).warnings)


# -- controls ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["small-fleet", "tune-1000", "zone-breaks", "shared-service", "type-stop"])
def test_controls_begin_at_the_file_and_know_the_default(name):
    """Each control starts at the file's value, its steps ascend, and its default is the API's. [property]"""
    scenario = simdeploy.load_example(name)
    for policy in list(scenario.policies)[:2]:
        place = begin(scenario, policy)
        for control in [*find_policy_controls(place), *find_world_controls(scenario)]:
            there = begin(scenario, policy, control.steps[control.base].values)
            assert there.policy.policy == place.policy.policy, control
            assert there.scenario.fleet == scenario.fleet, control
            numbers = [step.number for step in control.steps]
            assert control.kind == "choice" or numbers == sorted(set(numbers))
            if control.default not in (None, control.base):  # where the file states it
                unset = begin(scenario, policy, {control.name: None})
                default = begin(scenario, policy, control.steps[control.default].values)
                assert default.policy.policy == unset.policy.policy, control


def test_the_ends_of_all_sliders_can_be_simulated(scenario, explorer):
    """The sliders are those of the policy, then those of the world, and both their ends are valid. [property]"""
    controls = [*find_policy_controls(at(explorer)), *find_world_controls(scenario)]
    assert [control.name for control in controls] == [
        "strategy", "max_failed_nodes", "max_failed_nodes_percent", "max_parallel", "health_check.max_error_rate",
        "health_check.min_healthy_time", "health_check.deadline", "scenario.release.bad.probability",
        "scenario.fleet.start_failure", "scenario.release.bad.error_rate", "scenario.fleet.requests_per_second",
    ]  # fmt: skip
    for control in controls:
        for step in (control.steps[0], control.steps[-1]):
            explorer.settle(Position("waves", step.values))


@pytest.mark.parametrize("name", sorted(path.stem for path in SCENARIOS.glob("*.yaml")))
def test_sliders_of_shipped_scenarios_have_valid_ends(name):
    """Both ends of every slider of a shipped scenario are valid. [property]"""
    scenario = simdeploy.read_scenario(SCENARIOS / f"{name}.yaml")
    first = next(iter(scenario.policies))
    place = begin(scenario, first)
    for control in [*find_policy_controls(place), *find_world_controls(scenario)]:
        for step in (control.steps[0], control.steps[-1]):
            begin(scenario, first, step.values)


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (0.05, 0.9, 0.05), (0.0, 0.3, 0.7), (None, 0.4, 0.6)])
def test_defective_kinds_are_never_too_probable_together(shares):
    """All probabilities of defective kinds can be at their ends together, even if every kind is defective. [property]"""
    names = [(name, share) for name, share in zip(("good", "bad", "ugly"), shares, strict=True) if share is not None]
    release = {name: {"probability": share, "defective": name != "good"} for name, share in names}
    scenario = simdeploy.Scenario.from_dict({**SCENARIO, "release": release})
    controls = [control for control in find_world_controls(scenario) if control.name.endswith("probability")]
    assert len(controls) == len(names) - 1
    for end in (0, -1):
        values = {control.name: control.steps[end].values[control.name] for control in controls}
        place = begin(scenario, "waves", values)
        assert sum(kind.probability for kind in place.scenario.release) == pytest.approx(1)


def test_unset_is_a_step_of_its_own():
    """A setting without value and default is at `unset`, and 0 is another step. [contract]"""
    general = {**SCENARIO["policies"]["waves"], "dialect": "general"}
    scenario = simdeploy.Scenario.from_dict({**SCENARIO, "policies": {"waves": general}})
    place = begin(scenario)
    controls = {control.name: control for control in find_policy_controls(place)}
    limit, wait = controls["max_failed_nodes_percent"], controls["health_check.min_healthy_time"]
    for control, name, at in ((limit, "max_failed_nodes_percent", -1), (wait, "health_check.min_healthy_time", 0)):
        assert control.steps[control.base] is control.steps[at]
        assert (control.steps[at].values, control.steps[at].text) == ({name: None}, "unset")
        assert 0 in [step.values[name] for step in control.steps]
    assert "unset" not in [step.text for step in controls["max_failed_nodes"].steps]
    stricter = begin(scenario, "waves", {"max_failed_nodes_percent": 0})
    assert stricter.policy.policy != place.policy.policy


def test_a_strategy_brings_its_sliders(explorer):
    """Another strategy brings its own settings; the file's strategy can be chosen again. [contract]"""
    strategy = explorer.find_controls(at(explorer))[0]
    canary = next(step for step in strategy["steps"] if step["text"] == "canary")
    names = [each["name"] for each in explorer.find_controls(explorer.settle(Position("waves", canary["values"])))]
    assert "canary_count" in names
    back = explorer.find_controls(at(explorer, "canary"))[0]["steps"]
    rolling = next(step["values"] for step in back if step["text"] == "rolling")
    assert explorer.settle(Position("canary", rolling)).policy.policy.canary_count == 0


# -- answers -----------------------------------------------------------------------------------------------------------


def test_estimates_are_those_of_a_comparison(explorer):
    """Numbers and intervals are those of `simdeploy compare` with the same file. [contract]"""
    place = at(explorer, max_failed_nodes=2)
    found = explorer.estimate(place, 60)
    measures = find_measures(place.scenario, "update")
    table = replicate_kinds(place.scenario, {"waves": place.policy}, replications=60, engine="reference")
    expected = simdeploy.estimate(table, measures).estimates
    assert [row["measure"] for row in found] == expected["measure"].tolist()
    for name in ("estimate", "low", "high"):
        np.testing.assert_array_equal([row[name] for row in found], expected[name])
    assert [row["n"] for row in found] == expected["n"].tolist()


def test_an_estimate_at_a_position_is_right(explorer):
    """With three nodes that fail with 0.2 each and a limit of none, 1 - 0.8 ** 3 of good rollouts are stopped. [oracle]"""
    values = {"max_failed_nodes": 0, "scenario.fleet.nodes": 3, "scenario.fleet.start_failure": 0.2}
    row = explorer.estimate(explorer.settle(Position("waves", values)), 60)[0]
    assert row["measure"] == "false_alarm given good"
    assert row["estimate"] == pytest.approx(1 - 0.8**3)
    assert (row["text"], row["interval"]) == ("48.8 %", "exact")


def test_a_large_cost_is_short():
    """A cost of many digits is written in millions or billions, as it has to fit on a card. [contract]"""
    dear = simdeploy.Scenario.from_dict(SCENARIO | {"costs": {"hour_of_delay": 1e12}})
    explorer = Explorer(dear, dear.policies, engine="reference")
    (row,) = (row for row in explorer.estimate(at(explorer), 20) if row["measure"] == "cost")
    assert row["estimate"] > 1e9
    assert re.fullmatch(r"\d+(\.\d+)? billion", row["text"])


def test_no_estimate_without_cases(explorer):
    """Without a good release there is no estimate of false alarms, and the answer is still JSON. [contract]"""
    rows = explorer.estimate(at(explorer, scenario__release__bad__probability=1), 40)
    assert "false_alarm given good" not in [row["measure"] for row in rows]
    json.dumps(rows, allow_nan=False)


def test_a_curve_has_the_position_and_the_default(explorer):
    """One point of a curve is the position, one the API's default, and all are those of `tradeoff`. [contract]"""
    place = at(explorer, max_failed_nodes=3)
    curve = explorer.draw_curve(place, "max_failed_nodes", 30)
    assert [point["value"] for point in curve["points"] if point["is_here"]] == [3]
    assert [point["value"] for point in curve["points"] if point["is_default"]] == [10]
    vary = {"max_failed_nodes": [0, 1, 2, 5]}
    measures = find_measures(place.scenario, "update")
    how = {"vary": vary, "axes": measures, "replications": 30, "engine": "reference"}
    same = simdeploy.tradeoff(place.scenario, place.policy, **how).curves
    rates = same[same["measure"].eq(str(measures[0]))].set_index("value")["estimate"]
    for point in curve["points"]:
        assert point["estimates"][0]["estimate"] == pytest.approx(rates[point["value"]])
    with pytest.raises(InputError, match="no curve of this setting"):
        explorer.draw_curve(place, "strategy", 30)


def test_answers_are_cached(explorer, monkeypatch):
    """A repeated question is not simulated again, but another one is. [contract]"""
    place = at(explorer)
    first = explorer.estimate(place, 30)
    with monkeypatch.context() as patched:
        patched.setattr(answering, "sweep_by_kind", None)
        assert explorer.estimate(at(explorer), 30) is first
        assert explorer.knows(place, 30)
        assert not explorer.knows(place, 40)
        with pytest.raises(TypeError):
            explorer.estimate(place, 40)


@pytest.mark.parametrize(("nodes", "engine", "sizes"), [
    (1000, "compiled", [100, 1000, 4000]), (50_000, "compiled", [20, 1000]), (10, "reference", [100, 1000, 4000]),
    (1000, "reference", [20]),
])  # fmt: skip
def test_efforts_suit_the_fleet(scenario, nodes, engine, sizes):
    """Large fleets and the slower engine get fewer rollouts at first, and at most a few seconds' worth. [contract]"""
    scenario = replace(scenario, fleet=replace(scenario.fleet, nodes=nodes))
    efforts = Explorer(scenario, scenario.policies, engine=engine).efforts()
    assert [effort.n for effort in efforts] == sizes
    assert [effort.is_last for effort in efforts] == [False] * (len(sizes) - 1) + [True]


def test_a_first_answer_takes_a_moment():
    """On a thousand nodes a first answer, in policy or world, takes less than 0.3 s of processor time. [contract]"""
    scenario = simdeploy.load_example("tune-1000")
    explorer, times_s = Explorer(scenario, scenario.policies, engine="compiled"), []
    for number in range(7):
        values = {"max_failed_nodes": 20 + number, "scenario.fleet.start_failure": 0.01 + number / 1000}
        begin = process_time()
        place = explorer.settle(Position("waves-of-100", values))
        explorer.estimate(place, explorer.efforts()[0].n)
        explorer.write_policy(place)
        times_s.append(process_time() - begin)
    assert sorted(times_s)[3] < 0.3  # the first one loads the engine


# -- a rollout ---------------------------------------------------------------------------------------------------------


def test_a_film_is_its_rollout(explorer):
    """At every instant all nodes have a status, cells and counts agree, and the end is the rollout's. [property]"""
    place = at(explorer, max_failed_nodes=0)
    film = make_film(place, 3, "bad", seed=0)
    rollout = simdeploy.simulate(place.scenario.given("bad"), place.policy, replication=3)
    counts = np.array(list(film["statuses"].values()))
    assert (counts.sum(axis=0) == 6).all()
    ends = {name: of[-1] for name, of in film["statuses"].items() if of[-1]}
    assert ends == rollout.nodes["status"].value_counts().to_dict()
    for place_, _ in enumerate(film["times_s"]):
        shown = [next(what for when, what in reversed(of) if when <= place_) for of in film["cells"]]
        for name, of in film["statuses"].items():
            assert sum(film["shown"][what] == name for what in shown) == of[place_]
    assert film["kind"] == "bad"
    assert film["headline"] == f"{say_end(rollout.response_values)}."
    assert film["states"][-1] == rollout.response_values["state"]
    failed = f"{rollout.response_values['failed_nodes']:.0f}"
    assert ["failed", failed, "limit 0", True] in film["gauges"][-1]
    assert [limit for name, _, limit, _ in film["gauges"][-1] if name == "errors, new"] == ["limit 5 %"]
    json.dumps(film, allow_nan=False)


@pytest.mark.parametrize(
    ("switches", "failed", "share"),
    [
        ({}, ["failed", "2", "limit 2", False], ["failed of fleet", "33.3 %", "limit 30 %", True]),
        (
            {"limit_comparison": "reaches"},
            ["failed", "2", "limit 2", True],
            ["failed of fleet", "33.3 %", "limit 30 %", True],
        ),
        (
            {"failures_counted": "consecutive"},
            ["failed", "2", "limit 2 in a row", False],
            ["failed of fleet", "33.3 %", "limit 30 %", True],
        ),
        (
            {"failed_tries_count": True},
            ["failed", "2", "limit 2 tries", False],
            ["failed of fleet", "33.3 %", "limit 30 %", True],
        ),
        (
            {"failed_percent_of": "resolved"},
            ["failed", "1", "limit 2", False],
            ["failed/resolved", "100 %", "limit 30 %", True],
        ),
        (
            {"failed_percent_of": "resolved", "minimum_sample": 3},
            ["failed", "2", "limit 2", False],
            ["failed/resolved", "100 %", "", False],
        ),
    ],
)
def test_limits_follow_the_switches(switches, failed, share):
    """A rollout shows both limits of failed nodes as the orchestrator applies them: of what, and when crossed. [contract]"""
    policy = rolling(2, max_failed_nodes=2, max_failed_nodes_percent=30, health_check={"deadline": "5m"})
    raw = {"fleet": {**SCENARIO["fleet"], "start_failure": 1}, "policies": {"waves": policy}}
    orchestrator = {"preset": "expanso", **switches}
    scenario = simdeploy.Scenario.from_dict({"name": "all-fail", **raw, "orchestrator": orchestrator})
    gauges = make_film(begin(scenario), 0, None, seed=0)["gauges"]
    first = next(shown for shown in gauges if shown[2][1] == failed[1])
    assert first[2:4] == [failed, share]


def test_endless_rollouts_are_explained():
    """If rollouts never end, numbers and curve give that as the reason for a missing value; the film stays paused. [contract]"""
    paused = {"operator": {"script": [{"at": "1s", "do": "pause"}]}, "release": {"good": {"probability": 1}}}
    scenario = simdeploy.Scenario.from_dict({**SCENARIO, **paused, "fleet": {**SCENARIO["fleet"], "start_failure": 0}})
    explorer = Explorer(scenario, scenario.policies, engine="reference")
    place = explorer.settle(explorer.start)
    curve = explorer.draw_curve(place, "max_failed_nodes", 2)
    for rows in (explorer.estimate(place, 2), *(point["estimates"] for point in curve["points"])):
        assert {row["interval"] for row in rows if row["measure"].startswith("makespan_s")} == {"rollouts never end"}
    assert explorer.show_rollout(place, 0, None)["headline"] == "The rollout never ends: it stays paused."


@pytest.mark.parametrize("name", sorted(path.stem for path in SCENARIOS.glob("*.yaml")))
def test_answers_about_every_shipped_scenario_are_json(name):
    """Numbers and film of every shipped scenario are JSON, also for rollouts without a verdict. [contract]"""
    scenario = simdeploy.read_scenario(SCENARIOS / f"{name}.yaml")
    explorer = Explorer(scenario, scenario.policies, engine="reference")
    place = explorer.settle(explorer.start)
    film = explorer.show_rollout(place, 0, None)
    json.dumps([film, explorer.estimate(place, 2)], allow_nan=False)
    assert (film["verdict"] is None) == (name in ("type-restart", "type-stop"))


# -- conversations -----------------------------------------------------------------------------------------------------


class Heard:
    """Collected answers, taken one after the other."""

    def __init__(self):
        self.answers = queue.Queue()

    def next(self, *types):
        """Return the next answer of one of some types."""
        while True:
            answer = self.answers.get(timeout=30)
            if not types or answer["type"] in types:
                return answer


@pytest.fixture
def talk(explorer, monkeypatch):
    """Return a function that begins conversations, which end with the test; answers are refined once, immediately."""
    monkeypatch.setattr("simdeploy.explorer.conversation._REST_S", 0.01)
    monkeypatch.setattr("simdeploy.explorer.conversation._PAUSE_S", 0.01)
    monkeypatch.setattr(Explorer, "efforts", lambda _: [Effort(20, False), Effort(40, True)])
    begun = []

    def begin():
        heard = Heard()
        begun.append(Conversation(explorer, heard.answers.put))
        assert heard.next()["type"] == "start"
        return begun[-1], heard

    yield begin
    for conversation in begun:
        conversation.close()
        conversation._thread.join(10)
        assert not conversation._thread.is_alive()


def ask(number, **values):
    """Return a question."""
    position, rollout = {"policy": "waves", "values": values}, {"replication": 1, "kind": None}
    return {"ask": number, "position": position, "curve": "max_failed_nodes", "rollout": rollout}


def test_numbers_come_first_and_are_refined(talk):
    """First come rough numbers, then sliders, rollout and curve, then refined numbers and curve. [contract]"""
    conversation, heard = talk()
    conversation.hear(ask(1))
    answers = [heard.next() for _ in range(5)]
    assert [answer["type"] for answer in answers] == ["numbers", "controls", "rollout", "curve", "numbers"]
    assert {answer["ask"] for answer in answers} == {1}
    assert [(answers[place]["n"], answers[place]["is_last"]) for place in (0, 4)] == [(20, False), (40, True)]
    assert answers[0]["specs"]["deployment"]["spec"] == SCENARIO["policies"]["waves"]
    assert set(answers[0]["specs"]) == {"deployment", "rollout"}
    conversation.hear(ask(2))  # the same position: known answers, and no controls
    again = [heard.next() for _ in range(3)]
    known = [("numbers", 40), ("rollout", None), ("curve", 50)]
    assert [(answer["type"], answer.get("n")) for answer in again] == known


@pytest.mark.parametrize("fails", [False, True])
def test_the_loaded_engine_answers_until_a_better_one_is_ready(talk, explorer, monkeypatch, fails):
    """While an engine compiles the other one answers and says so; afterwards more rollouts follow unasked, unless it failed. [contract]"""
    is_ready = threading.Event()

    def compile_something(*_, **__):
        is_ready.wait(30)
        if fails:
            raise MemoryError

    sizes = {"reference": [Effort(20, True)], "compiled": [Effort(20, False), Effort(30, True)]}
    monkeypatch.setattr(Explorer, "efforts", lambda self: sizes[self.engine])
    monkeypatch.setattr("simdeploy.experiments.replication.replicate", compile_something)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(explorer, "_prepare", begin_loading)
    conversation, heard = talk()
    conversation.hear(ask(1))
    first = heard.next("numbers")
    assert (first["n"], first["is_last"], first["awaits_engine"]) == (20, False, True)
    heard.next("rollout")
    is_ready.set()
    then = heard.next()
    assert (then["type"], then["n"], then["is_last"], then["awaits_engine"]) == ("numbers", 20, fails, False)
    if not fails:
        assert then["estimates"] == first["estimates"]  # engines agree
        assert [heard.next()["type"] for _ in range(2)] == ["curve", "numbers"]
        assert explorer.engine == "compiled"


def test_only_the_last_question_is_refined(talk, monkeypatch):
    """While a slider moves, the first and last positions have numbers, and only the last has refined ones. [contract]"""
    conversation, heard = talk()
    real = Explorer._estimate

    def estimate(self, place, n, is_superseded):
        if place.position.values == {"max_failed_nodes": 0}:  # meanwhile the slider moves on
            for number in (2, 3, 4):
                conversation.hear(ask(number, max_failed_nodes=number))
        return real(self, place, n, is_superseded)

    monkeypatch.setattr(Explorer, "_estimate", estimate)
    conversation.hear(ask(1, max_failed_nodes=0))
    assert [heard.next("numbers")["ask"] for _ in range(3)] == [1, 4, 4]


def test_a_missing_setting_has_no_curve(talk, monkeypatch):
    """A question about a setting without a range is answered without a curve, and without an error. [contract]"""
    monkeypatch.setattr(Explorer, "efforts", lambda _: [Effort(20, True)])
    conversation, _ = talk()
    question = read_question({**ask(1, strategy="immediate"), "curve": "max_parallel"})
    assert [answer["type"] for answer in conversation._answers(question)] == ["numbers", "controls", "rollout"]


def test_a_question_ends_the_previous_refinement(talk, monkeypatch):
    """A new question ends the refinement of the previous one. [contract]"""
    monkeypatch.setattr(Explorer, "efforts", lambda _: [Effort(20, False), Effort(200_000, True)])
    conversation, heard = talk()
    conversation.hear(ask(1))
    heard.next("curve")
    conversation.hear(ask(2, max_failed_nodes=2))
    assert heard.next("numbers")["ask"] == 2


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (None, "not a question"),
        ("hello", "not a question"),
        ({"ask": 1}, "not a position"),
        ({"ask": True, "position": {"policy": "waves"}}, "ask: not a number"),
        ({"ask": -1, "position": {"policy": "waves"}}, "ask: not a number"),
        ({"ask": 1, "position": {"policy": "waves"}, "rollout": 3}, "not a rollout"),
        ({"ask": 1, "position": {"policy": "waves"}, "rollout": {"replication": 1.5}}, "replication: not a number"),
        ({"ask": 1, "position": {"policy": "waves"}, "curve": ["x"]}, "curve: not a name"),
        ({"ask": 1, "position": {"policy": "waves"}, "curves": "x"}, "did you mean 'curve'?"),
    ],
)
def test_invalid_questions_are_refused(raw, says):
    """A message that is no question is refused with the reason. [contract]"""
    assert says in str(refused(read_question, raw))


def test_the_conversation_continues_after_a_bad_question(talk):
    """An invalid question is answered with its problems, and the conversation continues. [contract]"""
    conversation, heard = talk()
    conversation.hear({"ask": 7})
    assert heard.next()["ask"] == 7
    conversation.hear(ask(8, max_failed_nodes="many"))
    answer = heard.next()
    assert (answer["type"], answer["ask"]) == ("error", 8)
    assert "max_failed_nodes" in answer["problems"][0]
    conversation.hear({**ask(9), "rollout": {"kind": "worse"}})
    assert "no such kind of release" in heard.next("error")["problems"][0]
    conversation.hear(ask(10))
    assert heard.next("numbers")["ask"] == 10


def test_a_bug_is_reported_and_ends_nothing(talk, monkeypatch):
    """An unexpected exception is answered in a sentence without a traceback, and the conversation continues. [contract]"""
    conversation, heard = talk()
    with monkeypatch.context() as patched:
        patched.setattr(Explorer, "estimate", lambda *_: 1 // 0)
        conversation.hear(ask(1))
        (message,) = heard.next("error")["problems"]
    assert message == "unexpected ZeroDivisionError: integer division or modulo by zero; please report it"
    conversation.hear(ask(2))
    assert heard.next("numbers")["ask"] == 2


# -- the front end -----------------------------------------------------------------------------------------------------


def test_the_module_is_self_contained():
    """The front end imports nothing, requests no address, treats texts as text, and has the colours of all pictures. [contract]"""
    module = read_module()
    imports, addresses, markup = ("import ", "import("), ("fetch(", "XMLHttpRequest"), ("innerHTML", "outerHTML")
    for word in (*imports, *addresses, *markup, "insertAdjacentHTML", "eval(", "Function("):
        assert word not in module, word
    assert module.rstrip().endswith("export default { render };")
    assert set(list_looks()["statuses"].values()) == {look.colour for look in STATUS_LOOKS.values()}
