"""Nomad's jobs as policies."""

from __future__ import annotations

import json
import sys

import pytest
from foreign import batches, notes, refusal

from simdeploy import Scenario, simulate
from simdeploy.dialects import read_policy

JOB = """\
variable "count" {
  default = 6
}
locals {
  patience = "2m"
}
job "shop" {
  type = "TYPE"
  group "front" {
    count = var.count
    update {
UPDATE
    }
    task "web" {
      template {
        data = <<EOT
{{ key "a" }}
EOT
      }
    }
  }
}
"""
FULL = """\
      max_parallel      = 2
      health_check      = "task_states"
      min_healthy_time  = "15s"
      healthy_deadline  = local.patience
      progress_deadline = "20m"
      auto_revert       = true
      stagger           = "10s"
"""


def job(update: str = "", kind: str = "service") -> str:
    return JOB.replace("TYPE", kind).replace("UPDATE\n", update)


def policy(update: str = "", kind: str = "service", **given):
    return read_policy(job(update, kind), **given).policy


def test_every_field_of_a_service_job_is_mapped() -> None:
    """Each field of `update` and the rules of a service job are in the policy. [contract]"""
    imported = read_policy(job(FULL))
    assert imported.nodes == 6
    assert imported.policy == {
        "dialect": "general",
        "strategy": "rolling",
        "max_parallel": 2,
        "health_check": {"deadline": "2m", "interval": "7.5s", "min_healthy_time": "15s"},
        "max_failed_nodes": 0,
        "retries": 40,
        "retry_delay": "30s",
        "retry_unhealthy": True,
        "progress_deadline": "20m",
        "no_auto_rollback": False,
        "rollback_parallel": 2,
        "orchestrator": {"pacing": "sliding", "failed_node_freezes": True, "unreachable_nodes": "skip"},
    }


def test_an_empty_update_has_nomads_defaults() -> None:
    """Defaults: one at a time, healthy for 10 s within 5 min, progress within 10 min, no rollback. [contract]"""
    found = policy()
    assert found["max_parallel"] == 1
    assert found["health_check"] == {
        "deadline": "5m",
        "interval": "10s",
        "min_healthy_time": "10s",
        "max_error_rate": 0.99,
    }
    assert found["progress_deadline"] == "10m"
    assert found["no_auto_rollback"] is True
    assert "rollback_parallel" not in found


@pytest.mark.parametrize(
    ("healthy", "fidelity", "each_s"),
    [
        ("0s", "exact", 2),
        ("1s", "exact", 3),
        ("5s", "exact", 7),
        ("61s", "exact", 63),
        ("9.1s", "exact", 11.1),
        ("13.000000007s", "exact", 15.000000007),
        ("100ms", "approximate", 2.5),
    ],
)
def test_min_healthy_time_is_not_rounded_to_the_scenarios_windows(healthy: str, fidelity: str, each_s: float) -> None:
    """Each of four allocations takes its start of 2 s and min_healthy_time, or half a second if that is shorter. [oracle]"""
    update = f'min_healthy_time = "{healthy}"\nhealthy_deadline = "70s"\n'
    imported = read_policy(job(update), variables={"count": 4})
    assert notes(imported)["group.front.update.min_healthy_time"][0] == fidelity
    fleet = {"nodes": 4, "update_duration": "2s"}
    scenario = Scenario.from_dict({"name": "quick", "fleet": fleet, "policies": {"p": imported.policy}})
    assert simulate(scenario).responses["makespan_s"] == pytest.approx(4 * each_s, abs=1e-8)


def test_a_short_healthy_deadline_is_valid() -> None:
    """A job whose healthy_deadline is shorter than the scenario's windows can complete, as in Nomad. [contract]"""
    update = 'min_healthy_time = "5s"\nhealthy_deadline = "9s"\nprogress_deadline = "20s"\n'
    raw = {"name": "short", "fleet": {"nodes": 4, "update_duration": "2s"}, "policies": {"p": policy(update)}}
    assert simulate(Scenario.from_dict(raw)).responses["makespan_s"] == 4 * 7


def test_a_healthy_deadline_shorter_than_nomads_polling_is_valid() -> None:
    """The window is no longer than the deadline, and a note says so. [contract]"""
    update = 'min_healthy_time = "300ms"\nhealthy_deadline = "400ms"\n'
    imported = read_policy(job(update), variables={"count": 4})
    raw = {"name": "short", "fleet": {"nodes": 4, "update_duration": 0}, "policies": {"p": imported.policy}}
    assert simulate(Scenario.from_dict(raw)).responses["makespan_s"] == pytest.approx(4 * 0.4)
    fidelity, text = notes(imported)["group.front.update.min_healthy_time"][:2]
    assert fidelity == "approximate"
    assert text.endswith("here 400ms, healthy_deadline")


def test_failures_of_a_system_job() -> None:
    """A failed allocation freezes nothing, and stops the rollout only if it is rolled back. [contract]"""
    found = policy('progress_deadline = "10m"\n', "system", nodes=9)
    assert found.keys().isdisjoint({"max_failed_nodes", "progress_deadline", "retries"})
    assert "failed_node_freezes" not in found["orchestrator"]
    assert policy("auto_revert = true\n", "system", nodes=9)["max_failed_nodes"] == 0


@pytest.mark.parametrize("deadline", ["10m", "0s"])
@pytest.mark.parametrize("effect", ["start_failure", "start_hang", "error_rate"])
def test_a_bad_version_reaches_every_node_of_a_system_job(deadline: str, effect: str, engine: str) -> None:
    """Without auto_revert the update goes on after failures, however the version fails. [oracle]"""
    raw = {
        "name": "bad",
        "fleet": {"nodes": 6, "update_duration": "30s", "requests_per_second": 10},
        "release": {"bad": {"probability": 1, "defective": True, effect: 1}},
        "policies": {"theirs": policy(f'progress_deadline = "{deadline}"\n', "system", nodes=6)},
    }
    rollout = simulate(Scenario.from_dict(raw), seed=1, engine=engine)
    assert batches(rollout) == [1] * 6
    assert rollout.responses["state"] == "completed"


def test_a_progress_deadline_of_0_fails_at_the_first_failure() -> None:
    """With `progress_deadline = 0` nothing is retried, and one failed node stops the rollout. [contract]"""
    found = policy('progress_deadline = "0s"\n')
    assert found["max_failed_nodes"] == 0
    assert found.keys().isdisjoint({"progress_deadline", "retries", "retry_delay"})


@pytest.mark.parametrize(
    ("update", "kind", "nodes", "expected"),
    [
        ("canary = 2\n", "service", 6, 2),
        ("canary = 9\n", "service", 6, 6),
        ("max_parallel = 9\ncanary = 10\n", "system", 25, 3),
        ("max_parallel = 9\ncanary = 10\n", "system", 30, 3),
        ("max_parallel = 2\ncanary = 10\n", "system", 25, 2),
        ("max_parallel = 4\ncanary = 100\n", "system", 2, 2),
        ("max_parallel = 4\ncanary = 250\n", "system", 3, 3),
    ],
)
def test_canaries_are_a_number_or_a_percent(update: str, kind: str, nodes: int, expected: int) -> None:
    """A service job has a number of canaries, a system job a percentage, rounded up and at most max_parallel. [contract]"""
    found = policy(update, kind, nodes=nodes)
    assert found["strategy"] == "canary"
    assert found["canary_count"] == expected
    assert found["auto_promote"] is False


def test_as_many_canaries_as_allocations_run_beside_them() -> None:
    """In a blue/green deployment every old allocation serves until its canary does. [contract]"""
    for count in (5, 6):
        found = policy(f"canary = {count}\nauto_promote = true\n")
        assert (found["canary_count"], found["surge_canaries"], found.get("surge")) == (count, True, None)


def test_a_percent_of_unknown_nodes_is_refused() -> None:
    """Canaries of a system job need the number of nodes, which the job doesn't state. [contract]"""
    (problem,) = refusal(job("canary = 10\n", "system"), kind="nomad")
    assert "--nodes N" in problem


def test_max_parallel_0_replaces_all_at_once() -> None:
    """With max_parallel = 0 everything is replaced at once, without health checks. [contract]"""
    imported = read_policy(job("max_parallel = 0\ncanary = 1\n"))
    assert imported.policy["strategy"] == "immediate"
    assert imported.orchestrator["on_failure"] == "continue"
    assert notes(imported)["group.front.update.canary"][0] == "none"


@pytest.mark.parametrize(
    ("block", "retries", "delay"),
    [
        ('reschedule {\n attempts = 3\n interval = "1h"\n unlimited = false\n}\n', 3, "30s"),
        ('reschedule {\n unlimited = true\n delay = "2m"\n delay_function = "constant"\n}\n', 5, "2m"),
        ("reschedule {\n attempts = 0\n unlimited = false\n}\n", None, None),
        ("reschedule {\n attempts = 0\n}\n", 20, "30s"),
        ("", 20, "30s"),
    ],
)
def test_rescheduling_is_retrying(block: str, retries: int | None, delay: str | None) -> None:
    """Retries are those that `reschedule` allows and that fit into the progress deadline. [contract]"""
    imported = read_policy(job().replace("    task", f"{block}    task"))
    assert imported.policy.get("retries") == retries
    assert imported.policy.get("retry_delay") == delay
    named = {note.field.removeprefix("group.front.reschedule.") for note in imported.notes}
    assert all(line.split()[0] in named for line in block.splitlines()[1:-1])


def test_the_delay_of_reschedules_grows_by_default() -> None:
    """The default delay_function is exponential, which has a note as if it were given. [contract]"""
    field = "group.front.reschedule.delay_function"
    text = "not given: exponential: here the delay stays the same"
    assert notes(read_policy(job()))[field] == ("approximate", text, None)


def test_generated_blocks_are_not_read() -> None:
    """An update that a dynamic block generates is not evaluated; other such blocks, also several, don't matter. [contract]"""

    def generated(*types: str) -> str:
        blocks = "".join(f'    dynamic "{kind}" {{\n for_each = [1]\n content {{}}\n }}\n' for kind in types)
        return job().replace("    task", f"{blocks}    task")

    (note,) = read_policy(generated("constraint", "update", "constraint"), kind="nomad").unknown
    assert (note.field, note.line) == ("group.front.dynamic.update", 17)
    assert not read_policy(generated("constraint", "constraint")).unknown
    (note,) = read_policy(generated("update", "update"), kind="nomad").unknown
    assert note.field == "group.front.dynamic.update"


def test_a_task_outside_of_a_group_is_a_group() -> None:
    """Nomad makes a group of one allocation of each such task, with the job's update. [contract]"""
    text = 'job "shop" {\n update {\n max_parallel = 3\n }\n task "web" {}\n task "log" {}\n}\n'
    imported = read_policy(text, variables={"group": "log"})
    assert (imported.nodes, imported.policy["max_parallel"]) == (1, 3)
    assert notes(imported)["group.log.count"][1] == "not given: 1 allocation: as many nodes"


def test_an_expression_after_blanks_is_quoted_as_it_is() -> None:
    """Blanks at the ends of lines don't move what a note quotes. [contract]"""
    text = 'job "a" {   \n  group "g" {\t\n    count = local.n + 1  \r\n    task "t" {}\n  }\n}\n'
    (note,) = read_policy(text, kind="nomad").unknown
    assert "'local.n + 1'" in note.text


def test_blanks_after_a_heredoc_are_ignored() -> None:
    """Nomad ends a heredoc at its word, whether or not blanks follow. [contract]"""
    text = job().replace("EOT\n      }", "EOT \t\n      }")
    assert policy() == read_policy(text).policy == read_policy(text.replace("\n", "\r\n")).policy


@pytest.mark.parametrize(
    "field",
    ["restart {}", 'max_client_disconnect = "1h"', "prevent_reschedule_on_lost = true", 'shutdown_delay = "10s"'],
)
def test_what_a_group_says_about_nodes_is_noted(field: str) -> None:
    """Fields about restarts, lost nodes and the end of tasks say what simulates them. [contract]"""
    imported = read_policy(job().replace("    task", f"    {field}\n    task"))
    assert notes(imported)[f"group.front.{field.split(maxsplit=1)[0]}"][0] == "none"
    assert imported.policy == policy()


def test_attempts_beside_unlimited_are_refused() -> None:
    """Rescheduling is unlimited by default, and Nomad refuses attempts beside that. [contract]"""
    text = job().replace("    task", "    reschedule {\n      attempts = 3\n    }\n    task")
    (problem,) = refusal(text, kind="nomad")
    assert problem.startswith("line 14: job.shop.group.front.reschedule.attempts: ")
    assert "unlimited = false" in problem


def test_the_groups_reschedule_takes_precedence_over_the_jobs() -> None:
    """Fields that the group's `reschedule` leaves out come from the job's, as for `update`. [contract]"""
    of_job = '  reschedule {\n    delay = "1m"\n    unlimited = false\n    attempts = 5\n  }\n'
    text = job().replace("  group", f"{of_job}  group")
    text = text.replace("    task", "    reschedule {\n      attempts = 2\n    }\n    task")
    imported = read_policy(text)
    assert (imported.policy["retries"], imported.policy["retry_delay"]) == (2, "1m")
    assert notes(imported)["reschedule.attempts"] == ("none", "the group's reschedule overrides it", 12)


@pytest.mark.parametrize("of_job", ["", "  update {}\n"])
@pytest.mark.parametrize("of_group", ["", "  update {}\n"])
@pytest.mark.parametrize("kind", ["service", "system"])
def test_only_a_system_job_without_update_is_updated_at_once(kind: str, of_group: str, of_job: str) -> None:
    """A service job has an update with Nomad's defaults in any case, a system job only if it has a block. [contract]"""
    text = f'job "agent" {{\n  type = "{kind}"\n{of_job}  group "app" {{\n  {of_group}  }}\n}}\n'
    imported = read_policy(text, nodes=9)
    at_once = kind == "system" and not of_group and not of_job
    assert imported.policy["strategy"] == ("immediate" if at_once else "rolling")
    assert ("group.app.update" in notes(imported)) is at_once


@pytest.mark.parametrize("of_group", ["null", '{"MaxParallel": 1}'])
def test_the_apis_json_of_a_system_job_without_update_has_an_empty_one(of_group: str) -> None:
    """The API returns a job's missing update as one of zeros, and the group's as null. [contract]"""
    of_job = '{"MaxParallel": 0, "Stagger": 0, "HealthCheck": "", "AutoRevert": false}'
    group = f'{{"Name": "app", "Update": {of_group}}}'
    text = f'{{"Job": {{"ID": "agent", "Type": "system", "Update": {of_job}, "TaskGroups": [{group}]}}}}'
    strategy = read_policy(text, nodes=9).policy["strategy"]
    assert strategy == ("immediate" if of_group == "null" else "rolling")


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ('healthy_deadline = "12m"\n', "progress_deadline: the default, 10m, is too short"),
        ('health_check = "check"\n', "allowed: checks, task_states, manual; did you mean"),
    ],
)
def test_messages_about_defaults_and_words(update: str, words: str) -> None:
    """A message says if a default is the problem, and lists only words that can be written. [contract]"""
    assert words in refusal(job(update), kind="nomad")[0]


def test_the_groups_update_takes_precedence_over_the_jobs() -> None:
    """Fields that the group leaves out come from the job; overridden ones have a note. [contract]"""
    of_job = "  update {\n    max_parallel = 5\n    canary = 1\n  }\n"
    imported = read_policy(job("max_parallel = 2\n").replace("  group", f"{of_job}  group"))
    assert (imported.policy["max_parallel"], imported.policy["canary_count"]) == (2, 1)
    assert notes(imported)["update.max_parallel"] == ("none", "the group's update overrides it", 10)


def test_one_of_several_groups_is_chosen() -> None:
    """By default it is the first with an update section; the variable `group` names another. [contract]"""
    text = job(FULL).replace("  group", '  group "cron" {\n    count = 3\n  }\n  group')
    assert read_policy(text).policy["max_parallel"] == 2
    note = "front, the only one that says how to update; --var group=NAME chooses one of cron, front"
    assert notes(read_policy(text))["group"][1] == note
    other = read_policy(text, variables={"group": "cron"})
    assert (other.policy["max_parallel"], other.nodes) == (1, 3)
    own = text.replace("variable", 'variable "group" {\n  default = 1\n}\nvariable', 1)
    assert read_policy(own, variables={"group": "7"}).policy["max_parallel"] == 2
    assert "group: no such group (found 'corn')" in refusal(text, variables={"group": "corn"}, kind="nomad")[0]


def test_variables_come_from_the_caller_or_the_file() -> None:
    """The caller's value takes precedence over the default; unknown variables are refused. [contract]"""
    assert read_policy(job()).nodes == 6
    assert read_policy(job(), variables={"count": 8}).nodes == 8
    assert "no such variable" in refusal(job(), variables={"cuont": 8}, kind="nomad")[0]


@pytest.mark.parametrize(
    "value", ["var.missing", "max(1, 2)", "local.none", '"${upper("a")}"', "var.count > 3 ? 1 : 2"]
)
def test_unevaluated_values_are_noted(value: str) -> None:
    """Functions, conditions and variables without a value have a note with the assumed value. [contract]"""
    imported = read_policy(job(f"max_parallel = {value}\n"))
    assert imported.policy["max_parallel"] == 1
    (note,) = imported.unknown
    assert note.field == "group.front.update.max_parallel"
    assert note.text.endswith("; assumed: at most 1 in flight")
    assert "\n" not in note.text


def test_circular_locals_end() -> None:
    """Neither circular locals nor texts that double at every step are evaluated for ever. [property]"""
    doubling = "".join(f'l{n} = "${{local.l{n + 1}}}${{local.l{n + 1}}}"\n' for n in range(60))
    circle = "a = local.b\nb = local.a\n"
    doubled = [doubling + f'l60 = "{last}"\n' for last in ("x", "")]
    for more, name in ((circle, "a"), *((text, "l0") for text in doubled)):
        text = job(f"max_parallel = local.{name}\n").replace("locals {\n", f"locals {{\n{more}")
        assert read_policy(text).unknown


def test_every_field_of_update_has_a_note_with_its_line() -> None:
    """Line and fidelity of each field; defaults have no line. [contract]"""
    found = notes(read_policy(job(FULL)))
    for number, name in enumerate(line.split()[0] for line in FULL.splitlines()):
        assert found[f"group.front.update.{name}"][2] == 12 + number
    assert found["group.front.update.stagger"][0] == "none"
    assert found["group.front.update.canary"] == ("exact", "not given: no canaries", None)


OF_GROUP = {"MaxParallel": 2, "MinHealthyTime": 15 * 10**9, "HealthyDeadline": 120 * 10**9, "Canary": None}
API = {
    "Job": {
        "Type": "service",
        "Update": {"MaxParallel": 1, "HealthCheck": "", "MinHealthyTime": 0, "Canary": 0},
        "TaskGroups": [{"Name": "front", "Count": 6, "Update": OF_GROUP}],
    }
}
IN_HCL = {"max_parallel": 2, "min_healthy_time": "15s", "healthy_deadline": "2m"}
WITH_VARIABLE = {"count": 6, "update": [IN_HCL | {"max_parallel": "${var.n}"}]}
TWINS = [
    json.dumps(API, indent=1),
    json.dumps(API["Job"]),
    json.dumps({"job": {"shop": {"group": {"front": {"count": 6, "update": IN_HCL}}}}}),
    json.dumps({"variable": {"n": [{"default": 2}]}, "job": [{"shop": [{"group": [{"front": [WITH_VARIABLE]}]}]}]}),
]


def test_fields_of_the_jobs_update_alone_are_not_overridden() -> None:
    """In JSON, too, a field that only the job's update states applies. [contract]"""
    update = {**API["Job"]["Update"], "Pace": 3}
    found = notes(read_policy(json.dumps({**API["Job"], "Update": update})))
    assert found["Update.Pace"][:2] == ("none", "not read by this importer")
    assert found["Update.MaxParallel"][:2] == ("none", "the group's update overrides it")


@pytest.mark.parametrize("text", TWINS, ids=["api", "api-bare", "hcl-json", "hcl-json-lists"])
def test_json_means_the_same(text: str) -> None:
    """A job of Nomad's API and HCL's JSON form give the same policy as HCL. [contract]"""
    twin = 'max_parallel = 2\nmin_healthy_time = "15s"\nhealthy_deadline = "2m"\n'
    imported = read_policy(text)
    assert (imported.kind, imported.nodes) == ("nomad", 6)
    assert imported.policy == policy(twin)


@pytest.mark.parametrize(
    ("update", "problem"),
    [
        ("max_parallel = -1\n", "line 12: job.shop.group.front.update.max_parallel: too small"),
        ('healthy_deadline = "9us"\n', "line 12: job.shop.group.front.update.healthy_deadline: too short"),
        ('min_healthy_time = "5 minutes"\n', "line 12: job.shop.group.front.update.min_healthy_time: not a duration"),
        (
            'healthy_deadline = "5s"\n',
            "line 11: job.shop.group.front.update.min_healthy_time: the default, 10s, is too long",
        ),
        ('progress_deadline = "1m"\n', "line 12: job.shop.group.front.update.progress_deadline: too short"),
        ("auto_promote = true\n", "line 12: job.shop.group.front.update.auto_promote: there are no canaries"),
        ('health_check = "check"\n', "did you mean 'checks'?"),
        ("max_parallel = 1\nmax_parallel = 2\n", "line 13: job.shop.group.front.update.max_parallel: given twice"),
    ],
)
def test_bad_values_have_a_line_and_a_field(update: str, problem: str) -> None:
    """What Nomad would refuse is refused with its place. [contract]"""
    assert problem in refusal(job(update), kind="nomad")[0]


def test_all_problems_are_reported_at_once() -> None:
    """Two bad values give two problems. [contract]"""
    assert len(refusal(job('max_parallel = "x"\nauto_revert = 3\n'), kind="nomad")) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('job "a" {\n  group "b" {\n', "line 3: not valid HCL (found the end of the file); is a brace"),
        ('job "a" {\n  type = \n}\n', "line 2: not valid HCL (found the end of the line)"),
        (
            'job "a" {\n  type = "batch"\n  group "b" {}\n}\n',
            "line 2: job.a.type: jobs of this type have no deployments",
        ),
        ('job "a" {\n  count = [[ .count ]]\n}\n', "line 2: not valid HCL (found '.count ]]'); render templates first"),
        ('[[ if .a ]]\njob [[ template "name" . ]] {\n}\n', "line 1: not valid HCL (found '[[ if .a ]]'); render"),
        ('job "a" {\n}\n', "line 1: job.a.group: no group"),
        ('variable "a" {\n}\n', "no job"),
        ('job "a" {\n group "g" {}\n}\njob "b" {\n}\n', "line 4: job.b: more than one job"),
        ('job "a" {\n group "g" {\n update {}\n update {}\n }\n}\n', "job.a.group.g.update: not a group of keys"),
        ("a {\n" * 70 + "}\n" * 70, "nested deeper than 64 levels"),
        ('job "a" {\n group "g" {\n  count = 0\n }\n}\n', "line 3: job.a.group.g.count: there is nothing to update"),
    ],
)
def test_a_malformed_job_has_a_line(text: str, problem: str) -> None:
    """A text that is not a job, or has nothing to update, is refused with its line. [contract]"""
    assert any(problem in found for found in refusal(text, kind="nomad"))
    if "[[" in text:
        assert any(problem in found for found in refusal(text))


def test_values_nested_too_deeply_are_not_evaluated() -> None:
    """A value nested 20,000 deep is noted in an attribute, and left out of a label. [property]"""
    value = "[" * 20_000 + "]" * 20_000
    assert read_policy(job(f"max_parallel = {value}\n")).unknown
    labelled = read_policy(job().replace('"front"', f'"front${{{value}}}"')).notes
    assert "group.front.update.max_parallel" in {note.field for note in labelled}


def test_a_file_too_large_for_the_parser_is_refused() -> None:
    """Half a million characters are refused. [contract]"""
    assert "HCL of more than 500,000 characters" in refusal(job() + "\n" * 500_000, kind="nomad")[0]


def test_without_the_parser_the_message_says_what_to_install(monkeypatch) -> None:
    """HCL needs python-hcl2; JSON doesn't. [contract]"""
    monkeypatch.setitem(sys.modules, "hcl2.api", None)
    assert "simdeploy[nomad]" in refusal(job(), kind="nomad")[0]
    assert read_policy(TWINS[0]).nodes == 6
