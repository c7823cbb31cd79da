"""Ansible's playbooks as policies."""

from __future__ import annotations

import pytest
from foreign import notes, refusal

from simdeploy.dialects import read_policy

PLAY = """\
- name: prepare
  hosts: localhost
  tasks: []
- name: roll
  hosts: fleet
  vars:
    size: 4
  # keywords
  tasks:
    - name: update
      ansible.builtin.command: /opt/update
- name: check
  hosts: fleet
  roles: [smoke]
"""


def playbook(*keywords: str) -> str:
    return PLAY.replace("  # keywords\n", "".join(f"  {keyword}\n" for keyword in ("serial: 5", *keywords)))


def serial(value: str, **given) -> list:
    return read_policy(PLAY.replace("# keywords", f"serial: {value}"), **given).policy["waves"]


def test_the_keywords_of_a_play_become_a_policy() -> None:
    """Batches and per-batch limits are kept, nothing is rolled back, and unreachable nodes are skipped. [contract]"""
    imported = read_policy(playbook("max_fail_percentage: 30", "throttle: 2"))
    assert imported.policy == {
        "dialect": "general",
        "strategy": "rolling",
        "waves": [5],
        "max_parallel": 2,
        "health_check": {"deadline": "24h"},
        "max_failed_nodes_percent": 30.0,
        "no_auto_rollback": True,
        "orchestrator": {
            "wave_rounding": "floor",
            "failed_percent_of": "wave",
            "limit_comparison": "exceeds",
            "unreachable_nodes": "skip",
            "lost_waves": "fail",
        },
    }


@pytest.mark.parametrize(
    ("value", "waves"),
    [
        ("5", [5]),
        ('"7"', [7]),
        ('"20%"', ["20%"]),
        ("[1, 10%, 30%, 100%]", [1, "10%", "30%", "100%"]),
        ("[1, 20%, -1]", [1, "20%", {"until": "100%"}]),
        ("[1, 0, 5]", [1, {"until": "100%"}]),
        ("0", [{"until": "100%"}]),
        ("[]", [{"until": "100%"}]),
        ('"0%"', [1]),
        ('[1, "130%"]', [1, {"until": "100%"}]),
    ],
)
def test_serial_is_a_number_a_percent_or_a_list(value: str, waves: list) -> None:
    """A serial of 0 or less takes all remaining hosts; 0 % is one host. [contract]"""
    assert serial(value) == waves


@pytest.mark.parametrize(
    ("percent", "nodes", "wave"), [(29, 100, 28), (29, 101, "29%"), (57, 100, 56), (50, 100, "50%")]
)
def test_a_percent_is_cut_in_floating_point(percent: int, nodes: int, wave: object) -> None:
    """Where floating point and exact arithmetic differ, the wave has Ansible's number. [oracle]"""
    assert serial(f'"{percent}%"', nodes=nodes) == [wave]
    assert int(percent / 100.0 * nodes) == (wave if isinstance(wave, int) else percent * nodes // 100)


def test_without_serial_all_hosts_are_one_batch() -> None:
    """A play without serial, chosen by name, has one batch. [contract]"""
    imported = read_policy(PLAY, variables={"play": "check"})
    assert imported.policy["waves"] == [{"until": "100%"}]
    assert notes(imported)["serial"] == ("exact", "not given: all hosts are one batch", None)


@pytest.mark.parametrize(
    ("keyword", "percent"),
    [
        ("max_fail_percentage: 0", 0.0),
        ("max_fail_percentage: 9.99", 9.99),
        ('max_fail_percentage: "25%"', 25.0),
        ("max_fail_percentage: 100", None),
        ("order: sorted", None),
    ],
)
def test_the_limit_of_a_batch(keyword: str, percent: float | None) -> None:
    """More than the percentage stops the play, and so does a batch in which all hosts failed or are down. [contract]"""
    imported = read_policy(playbook(keyword))
    assert imported.policy.get("max_failed_nodes_percent") == percent
    switches = {"limit_comparison": "exceeds", "unreachable_nodes": "skip", "lost_waves": "fail"}
    assert imported.orchestrator.items() >= switches.items()


def test_any_errors_fatal() -> None:
    """Under any_errors_fatal the first failed host stops the play, but an unreachable one doesn't. [contract]"""
    imported = read_policy(playbook("max_fail_percentage: 100", "any_errors_fatal: true"))
    assert imported.policy["max_failed_nodes"] == 0
    assert "max_failed_nodes_percent" not in imported.policy
    assert imported.orchestrator["unreachable_nodes"] == "skip"


@pytest.mark.parametrize(
    ("word", "stops"), [('"yes"', True), ("1", True), ("'T'", True), ('"off"', False), ("0", False)]
)
def test_any_errors_fatal_in_all_words_of_ansible(word: str, stops: bool) -> None:
    """Ansible also takes texts and numbers for true or false. [contract]"""
    imported = read_policy(playbook(f"any_errors_fatal: {word}"))
    assert (imported.policy.get("max_failed_nodes") == 0) is stops
    assert "not a boolean" in refusal(playbook("any_errors_fatal: maybe"))[0]


@pytest.mark.parametrize(("version", "stops"), [(None, False), ("2.21.5", False), ("2.20", True), ("2.19.14", True)])
def test_a_template_for_any_errors_fatal_depends_on_the_version(version: str | None, stops: bool) -> None:
    """Up to ansible-core 2.20 any template was true, whatever it says. [contract]"""
    given = {} if version is None else {"ansible_version": version}
    found = read_policy(playbook('any_errors_fatal: "{{ strict | default(false) }}"'), variables=given)
    assert ("max_failed_nodes" in found.policy) is stops
    strict = read_policy(playbook('any_errors_fatal: "{{ strict }}"'), variables={"strict": "true"})
    assert strict.policy["max_failed_nodes"] == 0


@pytest.mark.parametrize("strategy", ["linear", "debug", "ansible.builtin.linear", "mitogen_linear"])
def test_linear_strategies_have_limits(strategy: str) -> None:
    """Strategies that run task by task judge max_fail_percentage. [contract]"""
    imported = read_policy(playbook(f"strategy: {strategy}", "max_fail_percentage: 10"))
    assert imported.policy["max_failed_nodes_percent"] == 10.0
    assert notes(imported)["strategy"][0] == "exact"


def test_keywords_of_tasks_have_notes_of_their_own() -> None:
    """What limits only some tasks, also within a block, is said not to be simulated. [contract]"""
    inner = "      block:\n        - command: /opt/restart\n          throttle: 1\n"
    imported = read_policy(
        playbook().replace("    - name: update\n", f"    - any_errors_fatal: true\n{inner}    - name: update\n")
    )
    found = notes(imported)
    assert found["tasks[0].any_errors_fatal"][::2] == ("none", 10)
    assert found["tasks[0].block[0].throttle"][::2] == ("none", 13)
    assert found["tasks"][0] == "none"
    once = notes(read_policy(playbook("run_once: true")))["run_once"]
    assert once[:2] == ("none", "tasks run on one host of each batch; here every host is updated")


def test_other_strategies_have_no_limits() -> None:
    """Ansible ignores max_fail_percentage and any_errors_fatal if hosts don't go task by task. [contract]"""
    imported = read_policy(playbook("strategy: free", "max_fail_percentage: 10", "any_errors_fatal: true"))
    assert "max_failed_nodes_percent" not in imported.policy
    assert notes(imported)["strategy"][0] == "approximate"


@pytest.mark.parametrize(
    ("template", "variables", "waves"),
    [
        ("{{ serial | default('20%') }}", {}, ["20%"]),
        ("{{ serial | default('20%') }}", {"serial": "3"}, [3]),
        ("{{ size }}", {}, [4]),
        ("{{ size }}%", {}, ["4%"]),
        ("{{ size | int }}", {"size": 9}, [9]),
        ("{{ pct | d(25, true) }}%", {"pct": ""}, ["25%"]),
    ],
)
def test_template_values_by_precedence(template: str, variables: dict, waves: list) -> None:
    """A template takes the caller's value, else the play's, else its default. [contract]"""
    assert serial(f'"{template}"', variables=variables) == waves
    assert serial(f'[1, "{template}"]', variables=variables) == [1, *waves]


@pytest.mark.parametrize(
    "template",
    [
        "{{ batch }}",
        "{{ batch | default(omit) }}",
        "{{ a + 1 }}",
        "{% if x %}3{% endif %}",
        "{{ groups['all'] | length }}",
        "{{ x | default(y) }}",
    ],
)
def test_unevaluated_templates_are_noted(template: str) -> None:
    """If the batch size is a template without a value, a note says that one batch of all hosts is assumed. [contract]"""
    imported = read_policy(PLAY.replace("# keywords", f'serial: "{template}"'))
    assert imported.policy["waves"] == [{"until": "100%"}]
    (note,) = imported.unknown
    assert note.text.endswith("; assumed: all hosts are one batch")


def test_only_ansible_reads_its_tags_and_omits() -> None:
    """The note names the variable that is omitted, or says that nobody else can read a secret. [contract]"""
    omitted = read_policy(PLAY.replace("# keywords", 'serial: "{{ batch | default(omit) }}"')).unknown[0].text
    assert "the variable batch has no value; pass --var batch=VALUE" in omitted
    secret = read_policy(playbook("max_fail_percentage: !vault abc")).unknown[0]
    assert (secret.field, "max_failed_nodes_percent" in secret.text) == ("max_fail_percentage", False)
    assert secret.text.startswith("!vault abc: only Ansible can read it; assumed: the play stops if a whole batch")
    assert not secret.text.endswith("without the inventory's variables")


def test_the_last_play_with_serial_is_the_rollout() -> None:
    """The last play with serial, or the last one, is imported unless `play` names another; other plays get notes. [contract]"""
    imported = read_policy(playbook())
    assert {"[0]", "[2]"} <= notes(imported).keys()
    assert notes(read_policy(PLAY))["hosts"][2] == 13
    assert notes(read_policy(playbook() + "- {hosts: fleet, serail: 2}\n"))["serail"][1].endswith(
        "did you mean 'serial'?"
    )
    assert read_policy(playbook(), variables={"play": "1"}).policy["waves"] == [{"until": "100%"}]
    assert "did you mean 'check'?" in refusal(playbook(), variables={"play": "chek"}, kind="ansible")[0]


def test_a_final_pause_is_bake_time_and_a_timeout_a_deadline() -> None:
    """A pause in the last task follows each batch; a play's timeout is the nodes' deadline. [contract]"""
    text = playbook("timeout: 600", "post_tasks:", "  - ansible.builtin.pause: {minutes: 1, seconds: 30}")
    imported = read_policy(text)
    assert imported.orchestrator["bake_time"] == "90s"
    assert imported.policy["health_check"] == {"deadline": "600s"}
    conditional = playbook("post_tasks:", "  - pause: {minutes: 1}", "    when: soak")
    assert notes(read_policy(conditional))["post_tasks"][1].endswith(
        "after each batch but the last, whether or not 'soak'"
    )


@pytest.mark.parametrize(
    ("pause", "bake_time"),
    [
        ('{minutes: "2"}', "120s"),
        ("{seconds: 30.0}", "30s"),
        ('{seconds: "{{ soak }}"}', "45s"),
        ('{seconds: "{{ other }}"}', None),
        ('{minutes: 0, seconds: "{{ other }}"}', None),
        ("{seconds: 0}", None),
        ("minutes=2", None),
        ("{prompt: continue?}", None),
        ("{}", None),
    ],
)
def test_a_final_pause_is_read_or_said_to_be_left_out(pause: str, bake_time: str | None) -> None:
    """Numbers may be text or templates; a note says that a pause without a known length is left out. [contract]"""
    imported = read_policy(
        playbook("post_tasks:", f"  - pause: {pause}"), variables={"soak": 45} if "soak" in pause else {}
    )
    assert imported.orchestrator.get("bake_time") == bake_time
    fidelity, text, _ = notes(imported)["post_tasks"]
    assert fidelity == "approximate"
    assert text.endswith("left out") is (bake_time is None)
    assert ("unknown length" in text) is (bake_time is None and pause != "{seconds: 0}")


def test_every_keyword_has_a_note_with_its_line() -> None:
    """All keywords have a note, also those that don't affect a rollout. [contract]"""
    found = notes(read_policy(playbook("max_fail_percentage: 3", "order: shuffle", "gather_facts: false")))
    assert [found[key][2] for key in ("serial", "max_fail_percentage", "order", "gather_facts")] == [8, 9, 10, 11]
    assert {"name", "hosts", "vars", "tasks", "forks", "unreachable hosts"} <= found.keys()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (playbook().replace("5", "12.5%"), "line 8: [1].serial: not a batch size (found '12.5%')"),
        (playbook().replace("5", "[1, many]"), "line 8: [1].serial: not a batch size: 'many'"),
        (playbook("max_fail_percentage: some"), "line 9: [1].max_fail_percentage: not a percent"),
        (playbook("any_errors_fatal: 3"), "line 9: [1].any_errors_fatal: not a boolean"),
        ("- hosts: all\n  serial: {{ n }}\n", "line 2"),
        ("---\n- import_playbook: a.yml\n", "no play: all are imported"),
        ("# nothing\n---\n", "no playbook"),
        ("a: 1\nb: 2\n", "no playbook"),
    ],
)
def test_bad_values_have_a_line_and_a_field(text: str, problem: str) -> None:
    """A bad value is refused with its line, its field and the reason, a file without a play as a whole. [contract]"""
    assert problem in refusal(text, kind="ansible")[0]
