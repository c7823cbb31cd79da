"""Docker Swarm's stack files become general policies."""

import pytest
from foreign import batches, fidelities, messages, refusal, roll_out, without_note

from simdeploy.dialects import read_policy
from simdeploy.errors import InputError

STACK = """\
services:
  web:
    image: registry.example/web:2
    deploy:
      mode: replicated
      replicas: 12
      update_config:
        parallelism: 3
        delay: 10s
        failure_action: rollback
        monitor: 1m30s
        max_failure_ratio: 0.25
        order: start-first
      rollback_config:
        parallelism: 2
        delay: 5s
        monitor: 20s
        order: stop-first
      restart_policy:
        condition: none
"""


def update(section, *, replicas=10):
    return (
        f"services:\n  web:\n    image: web\n    deploy:\n      replicas: {replicas}\n      update_config: {section}\n"
    )


def policy(section, **options):
    return read_policy(update(section), **options).policy


def test_every_field_is_mapped():
    """Parallelism, delay, monitor, ratio, order and rollback are mapped to the general policy. [contract]"""
    imported = read_policy(STACK)
    assert imported.kind == "swarm"
    assert imported.nodes == 12
    assert imported.policy == {
        "dialect": "general",
        "strategy": "rolling",
        "max_parallel": 3,
        "surge": 3,
        "slot_delay": "10s",
        "health_check": {
            "deadline": "24h",
            "max_error_rate": 0.99,
            "min_healthy_time": "1m30s",
            "failure_threshold": 1,
        },
        "max_failed_nodes_percent": 25.0,
        "rollback_parallel": 2,
        "rollback_delay": "5s",
        "orchestrator": {"pacing": "sliding", "slot_until": "started", "on_failure": "rollback"},
    }
    assert imported.orchestrator == imported.policy["orchestrator"]


def test_every_field_has_a_note_with_its_line():
    """Every field of the sections on updates has a note. [contract]"""
    imported = read_policy(STACK)
    assert without_note(imported, STACK, "services.web.deploy") == []
    lines = {note.field.rpartition(".")[2]: note.line for note in imported.notes if "update_config" in note.field}
    assert lines == {
        "parallelism": 8,
        "delay": 9,
        "failure_action": 10,
        "monitor": 11,
        "max_failure_ratio": 12,
        "order": 13,
    }
    assert fidelities(imported)["services.web.deploy.rollback_config.monitor"] == "none"


def test_what_makes_an_update_long_is_noted():
    """A task that has a check runs only once that passes; the scenario states how long this takes. [contract]"""
    text = STACK.replace(
        "    deploy:", "    healthcheck: {interval: 10s, start_period: 1m}\n    stop_grace_period: 1m\n    deploy:"
    )
    found = fidelities(read_policy(text))
    assert found["services.web.healthcheck"] == found["services.web.stop_grace_period"] == "none"
    assert read_policy(text).policy == read_policy(STACK).policy


def test_defaults_are_those_of_swarm_and_are_noted():
    """Without update_config: one at a time, stop first, pause at the first failure within 5 s. [contract]"""
    imported = read_policy("services:\n  {web: {image: web}}")
    assert imported.policy["max_parallel"] == 1
    assert "surge" not in imported.policy
    assert "slot_delay" not in imported.policy
    assert imported.policy["health_check"]["min_healthy_time"] == "5s"
    assert imported.policy["max_failed_nodes_percent"] == 0
    assert imported.policy["no_auto_rollback"] is True
    assert imported.orchestrator["on_failure"] == "pause"
    assert imported.nodes is None
    defaults = {note.field.rpartition(".")[2]: note.text for note in imported.notes if note.line is None}
    assert defaults["parallelism"].startswith("not given: ")
    assert "5s" in defaults["monitor"]


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("{parallelism: 0}", "max_parallel", 0),
        ("{parallelism: 0, order: start-first}", "surge", "100%"),
        ("{parallelism: 4, order: start-first}", "surge", 4),
        ("{delay: 0s}", "slot_delay", None),
        ("{delay: 1m30s}", "slot_delay", "1m30s"),
        ("{max_failure_ratio: 0.1}", "max_failed_nodes_percent", 10.0),
        ("{max_failure_ratio: 0.07}", "max_failed_nodes_percent", 7.0),
        ("{failure_action: continue, max_failure_ratio: 0.1}", "max_failed_nodes_percent", None),
        ("{failure_action: rollback}", "rollback_parallel", 1),
        ("{failure_action: rollback}", "no_auto_rollback", None),
        ("{failure_action: pause}", "rollback_parallel", None),
    ],
)
def test_values_are_mapped_as_in_swarm(section, field, value):
    """0 is all at once, a ratio is a percentage, and a rollback has its own pace. [contract]"""
    assert policy(section).get(field) == value


def test_a_number_of_replicas_that_is_not_used():
    """0 replicas are refused unless the caller gives a number; in global mode replicas have no effect. [contract]"""
    empty = "services:\n  web: {image: web, deploy: {replicas: 0}}"
    assert "services.web.deploy.replicas: there is nothing to update" in refusal(empty)[0]
    assert read_policy(empty, nodes=3).nodes == 3
    everywhere = read_policy("services:\n  web: {image: web, deploy: {mode: global, replicas: 3}}")
    assert everywhere.nodes is None
    assert fidelities(everywhere)["services.web.deploy.replicas"] == "none"


def test_a_monitor_of_zero_is_the_default():
    """The client omits a monitor of 0, so the manager uses its default. [contract]"""
    assert policy("{monitor: 0s}")["health_check"]["min_healthy_time"] == "5s"


def test_a_monitor_longer_than_the_deadline_extends_it():
    """A node can be watched for the whole monitoring period. [contract]"""
    assert policy("{monitor: 48h}")["health_check"]["deadline"] == "96h"


def test_rollback_parallelism_of_zero_is_all_at_once():
    """In rollback_config, too, 0 means all slots. [contract]"""
    text = update("{failure_action: rollback}") + "      rollback_config: {parallelism: 0}\n"
    assert read_policy(text).policy["rollback_parallel"] == "100%"


SEVERAL = """\
services:
  db: {image: db}
  web: {image: web, deploy: {replicas: 4, update_config: {parallelism: 2}}}
  api: {image: api, deploy: {replicas: 6, update_config: {parallelism: 3}}}
"""


def test_the_service_with_an_update_config_is_used():
    """Of several services the first is used, and a note says how to name another. [contract]"""
    imported = read_policy(SEVERAL)
    assert imported.nodes == 4
    assert "--var service=NAME chooses one of web, api" in next(note.text for note in imported.notes)


def test_the_variable_service_names_another():
    """The variable `service` may name any service, even one without update_config. [contract]"""
    assert read_policy(SEVERAL, variables={"service": "api"}).policy["max_parallel"] == 3
    assert read_policy(SEVERAL, variables={"service": "db"}).policy["max_parallel"] == 1


def test_an_unknown_service_is_refused():
    """The message on an unknown service names those of the file. [contract]"""
    with pytest.raises(InputError, match=r"no such service.*allowed: db, web, api.*did you mean 'web'"):
        read_policy(SEVERAL, variables={"service": "wep"})


def test_an_unknown_service_makes_no_variable_unknown():
    """Beside an unknown service, other problems of the file are reported, but no variable as unknown. [contract]"""
    text = update("{parallelism: $SLOTS, order: sideways}")
    assert refusal(text, variables={"service": "db", "SLOTS": "2"}) == [
        "service: no such service (found 'db'); allowed: web",
        "line 6: services.web.deploy.update_config.order: unknown value (found 'sideways'); allowed: start-first, stop-first",
    ]


def test_one_service_needs_no_note():
    """A file with one service has no note on the choice. [contract]"""
    assert "service" not in fidelities(read_policy(update("{}")))


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("${SLOTS:-2}", {}, 2),
        ("${SLOTS-2}", {}, 2),
        ("${SLOTS:-2}", {"SLOTS": "7"}, 7),
        ("$SLOTS", {"SLOTS": "7"}, 7),
        ("${SLOTS}", {"SLOTS": "7"}, 7),
        ("${SLOTS:?how many}", {"SLOTS": "7"}, 7),
        ("${SLOTS:-2}", {"SLOTS": ""}, 2),
        ("1${SLOTS:+0}", {"SLOTS": "7"}, 10),
    ],
)
def test_variables_are_replaced(text, variables, expected):
    """Values come from the caller or the file's defaults. [contract]"""
    assert policy(f'{{parallelism: "{text}"}}', variables=variables)["max_parallel"] == expected


def test_an_unknown_variable_is_not_guessed():
    """A note names an unset variable and states the assumption. [contract]"""
    imported = read_policy(update("{parallelism: '${SLOTS}'}"))
    assert imported.policy["max_parallel"] == 1
    (note,) = imported.unknown
    assert note.text.endswith("--var SLOTS=VALUE; assumed: slots at a time: 1")


def test_a_variable_that_the_file_lacks_is_refused():
    """A misspelt --var is an error. [contract]"""
    with pytest.raises(InputError, match=r"SLOT: no such variable.*did you mean 'SLOTS'"):
        read_policy(update("{parallelism: '${SLOTS:-2}'}"), variables={"SLOT": "3"})


def test_all_bad_values_are_reported_with_lines():
    """All problems are reported together, with line, field and allowed values. [contract]"""
    assert messages(
        STACK.replace("3\n", "-3\n").replace("10s", "ten").replace("0.25", "1.5").replace("start-first", "first")
    ) == [
        (8, "services.web.deploy.update_config.parallelism", "too small"),
        (9, "services.web.deploy.update_config.delay", "not a duration"),
        (12, "services.web.deploy.update_config.max_failure_ratio", "too large"),
        (13, "services.web.deploy.update_config.order", "unknown value"),
    ]


def test_jobs_are_refused():
    """Jobs run once, so there is nothing to update. [contract]"""
    with pytest.raises(InputError, match="jobs run once"):
        read_policy("services:\n  {web: {image: web, deploy: {mode: replicated-job}}}")


def test_a_global_service_leaves_the_number_of_nodes_open():
    """The caller states the number of nodes, which is the cluster's. [contract]"""
    text = "services:\n  {web: {image: web, deploy: {mode: global}}}"
    assert read_policy(text).nodes is None
    assert read_policy(text, nodes=7).nodes == 7


@pytest.mark.parametrize(
    ("section", "fail", "expected", "state"),
    [
        ("{parallelism: 4}", [], [4, 4, 2], "completed"),
        ("{parallelism: 0}", [], [10], "completed"),
        ("{parallelism: 4}", [5], [4, 4], "paused"),
        ("{parallelism: 1, max_failure_ratio: 0.2}", [0, 1], [1] * 10, "completed"),
        ("{parallelism: 1, max_failure_ratio: 0.2}", [0, 1, 2], [1] * 3, "paused"),
        ("{parallelism: 2, failure_action: continue}", list(range(10)), [2] * 5, "completed"),
        ("{parallelism: 2, failure_action: rollback}", [2], [2, 2], "failed"),
    ],
)
def test_updates_of_ten_slots(engine, section, fail, expected, state):
    """Workers don't wait for health; strictly more failures than the ratio stop the update. [oracle]"""
    rollout = roll_out(read_policy(update(section)), 10, fail=fail, engine=engine)
    assert batches(rollout) == expected
    assert rollout.responses["state"] == state


def test_a_worker_waits_for_the_start_and_the_delay_only(engine):
    """Each slot takes 30 s of starting and 10 s of delay; only the last adds the monitoring period. [oracle]"""
    rollout = roll_out(read_policy(update("{parallelism: 5, delay: 10s, monitor: 5m}")), 10, engine=engine)
    assert sorted(rollout.nodes["dispatched_at_s"].unique()) == [0, 40]
    assert rollout.responses["makespan_s"] == 40 + 30 + 300


def test_tasks_that_start_first_leave_no_slot_empty(engine):
    """Every slot's old task serves until its new one runs, also while earlier new tasks are monitored. [oracle]"""
    config = "{parallelism: 2, delay: 5s, monitor: 2m, order: start-first}"
    rollout = roll_out(read_policy(update(config)), 10, engine=engine)
    assert rollout.responses["min_in_service_fraction"] == 1
    assert rollout.responses["unavailable_node_s"] == 0
