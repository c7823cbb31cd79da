"""Ansible: one play of a playbook.

The hosts of a play go in batches of `serial`; a percent is cut to whole hosts, at least one, and the last entry of a list repeats. Each
task runs on all hosts of the batch before the next task. The play ends when more than `max_fail_percentage` of the batch have failed,
when the whole batch has failed or is unreachable, or, under `any_errors_fatal`, at the first host that fails. Batches don't add up,
unreachable hosts don't count otherwise, and nothing is rolled back. Sources: ansible/ansible,
lib/ansible/executor/playbook_executor.py and lib/ansible/plugins/strategy/linear.py; runs of ansible-core 2.19 and 2.21.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.api.check import misspelt
from simdeploy.dialects import jinja
from simdeploy.dialects.reading import LIKE, Group, Reading
from simdeploy.dialects.source import Document, Source, Tagged, Unknown
from simdeploy.errors import InputError, Problem, listed, nearest, plural, shorten

if TYPE_CHECKING:
    from simdeploy.dialects.imported import PolicyImport

_IMPORTS = ("import_playbook", "ansible.builtin.import_playbook")
_PAUSES = ("pause", "ansible.builtin.pause")
_DEADLINE = "24h"
_OLD_TEMPLATES = ("2.19", "2.20")
# Strategies that run task by task on all hosts of a batch; the last one is a plugin's variant of the first.
_LINEAR = ("linear", "debug", "mitogen_linear")
_TASKS = ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always")
# Ansible's words for truth values, also as texts and numbers.
_TRUE, _FALSE = ("y", "yes", "on", "1", "true", "t", "1.0"), ("n", "no", "off", "0", "false", "f", "0.0")
_OF_A_TASK = {
    "any_errors_fatal": "of these tasks alone: here a host's whole update fails; set it for the play to stop at the first failure",
    "throttle": "of these tasks alone: here the play's throttle limits whole updates",
}
_REST = {
    "run_once": "tasks run on one host of each batch; here every host is updated",
    "order": "hosts are updated in the order of the scenario's fleet",
    "vars": "variables that the keywords above contain are looked up here",
}


def recognises(source: Source) -> bool:
    """Tell whether a text is a playbook: a list of plays, each with hosts, or imports of playbooks."""
    try:
        return any(_is_playbook(document.data) for document in source.documents)
    except InputError:
        return False


def _is_playbook(data: object) -> bool:
    if not isinstance(data, list) or not data:
        return False
    return all(isinstance(play, dict) and ("hosts" in play or any(key in play for key in _IMPORTS)) for play in data)


def read(reading: Reading) -> PolicyImport:
    """Read the rollout from one play."""
    document = next((candidate for candidate in reading.source.documents if _is_playbook(candidate.data)), None)
    if document is None:
        allowed = "a list of plays, each with hosts"
        raise reading.refusal(Problem("no playbook", file=reading.source.file, allowed=allowed))
    play = _choose_play(reading, document)
    waves = _read_serial(play, reading)
    limit, orchestrator = _read_limits(play, reading)
    deadline, bake = _read_times(play)
    policy = {
        "strategy": "rolling",
        "waves": waves,
        "max_parallel": _read_throttle(play),
        "health_check": {"deadline": deadline},
        **limit,
        "no_auto_rollback": True,
    }
    play.no_counterparts(_REST)
    play.exact("rollback", "a playbook rolls nothing back by itself (rescue is part of a host's tasks)")
    play.note_rest("what tasks do and how long they take is the scenario's fleet and release")
    _note_tasks(play)
    switches = {"wave_rounding": "floor", "failed_percent_of": "wave", **orchestrator, "bake_time": bake}
    return reading.finish(policy, {key: value for key, value in switches.items() if value}, nodes=reading.nodes(None))


def _choose_play(reading: Reading, document: Document) -> Group:
    """Return the play to import: the one that the variable `play` names, else the last with serial, else the last."""
    plays = {number: play for number, play in enumerate(document.data) if "hosts" in play}
    wanted = reading.variable("play")
    names = {number: str(play.get("name", number + 1)) for number, play in plays.items()}
    matching = [number for number, name in names.items() if wanted in (name, str(number + 1))]
    if wanted is not None and not matching:
        message, hint = f"no play {shorten(wanted)}", nearest(wanted, names.values())
        raise reading.refusal(document.problem(message, (), allowed=listed(names.values()), hint=hint))
    if not plays:
        message = "no play: all are imported from other files"
        raise reading.refusal(document.problem(message, (), allowed="a play with hosts"))
    serial = [
        number for number, play in plays.items() if play.get("serial") is not None or misspelt("serial", play, LIKE)
    ]
    chosen = matching[0] if matching else (serial or list(plays))[-1]
    for number in range(len(document.data)):
        if number != chosen:
            name = names.get(number, "import_playbook")
            text = f"{shorten(name)} is another play; the rollout is {shorten(names[chosen])} (--var play=NAME takes another)"
            reading.note(f"[{number}]", "none", text, document.line((number,)))
    return Group(reading, document, (chosen,), evaluate=_evaluator(reading, plays[chosen]), name="")


def _evaluator(reading: Reading, play: dict[str, Any]) -> Any:
    given = play.get("vars")
    variables: dict[str, Any] = given if isinstance(given, dict) else {}

    def look_up(name: str) -> Any:
        value = reading.variable(name)
        if value is None:
            value = variables[name]
        if jinja.is_template(value) or not isinstance(value, str | int | float):
            raise Unknown(f"vars.{name} is not a plain value; pass --var {name}=VALUE")
        return value

    def evaluate(value: Any, group: Group, key: str) -> Any:
        if isinstance(value, Tagged):
            group.not_evaluated(key, f"{shorten(value)}: only Ansible can read it; treated as not given")
            return None
        try:
            if isinstance(value, list):
                return [jinja.render(item, look_up) if jinja.is_template(item) else item for item in value]
            return jinja.render(value, look_up) if jinja.is_template(value) else value
        except Unknown as unknown:
            group.not_evaluated(key, f"{shorten(value)}: {unknown}; treated as not given")
            return None

    return evaluate


def _name_template(play: Group, key: str) -> str:
    """Say which template a value comes from, if any, because an inventory may override its variables."""
    raw = play.data.get(key)
    parts = raw if isinstance(raw, list) else [raw]
    if play.name_of(key) in play.reading.unknown:
        return ""
    return f", from {shorten(raw)} without the inventory's variables" if any(map(jinja.is_template, parts)) else ""


def _read_serial(play: Group, reading: Reading) -> list[Any]:
    value = play.value("serial")
    if value is None:
        play.exact("serial", "all hosts are one batch")
        return [{"until": "100%"}]
    waves: list[Any] = []
    words: list[str] = []
    for item in value if isinstance(value, list) else [value]:
        wave, text = _read_batch(play, item, reading.given_nodes)
        waves.append(wave)
        words.append(text)
        if isinstance(wave, dict):
            break
    if not waves:
        play.exact("serial", "all hosts are one batch")
        return [{"until": "100%"}]
    more = "" if isinstance(waves[-1], dict) else "; the last repeats"
    play.exact("serial", f"batches of {', '.join(words)}{more}{_name_template(play, 'serial')}")
    return waves


def _read_batch(play: Group, item: Any, nodes: int | None) -> tuple[Any, str]:
    text = str(item).strip()
    number = text.removesuffix("%").strip()
    if (
        isinstance(item, bool)
        or not isinstance(item, str | int)
        or not number.removeprefix("-").isdecimal()
        or len(number) > 9
    ):
        allowed = 'a whole number, a whole percent such as "20%", or a list'
        message = "not a batch size" if item is play.data["serial"] else f"not a batch size: {shorten(item)}"
        play.refuse("serial", message, allowed=allowed)
        return 1, "1"
    size = int(number)
    if size < 0 or text == "0" or (text.endswith("%") and size > 100):
        return {"until": "100%"}, "all remaining hosts"
    if not text.endswith("%"):
        return size, f"{size:,}"
    # Ansible computes in floating point: 29 % of 100 hosts are 28.
    cut = None if nodes is None else int(size / 100.0 * nodes)
    if size == 0 or (nodes is not None and cut != size * nodes // 100):
        return cut or 1, f"{size} % (for Ansible {cut or 1:,})"
    return f"{size}%", f"{size} % of the hosts, rounded down, at least 1"


def _read_limits(play: Group, reading: Reading) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the limits and the switches that interpret them."""
    strategy = play.text("strategy") or "linear"
    limits: dict[str, Any]
    is_linear = strategy.rpartition(".")[2] in _LINEAR
    if is_linear:
        play.exact("strategy", f"{strategy}: task by task on all hosts of a batch")
    else:
        text = "max_fail_percentage and any_errors_fatal have no effect; other strategies are not simulated"
        play.approximate("strategy", f"{strategy}: {text}")
    percent = _percent(play)
    fatal = _read_fatal(play, reading)
    key = "max_fail_percentage"
    if not is_linear:
        percent, fatal = None, False
    whole = "the play stops if a whole batch has failed or is unreachable"
    unreachable = "skipped and not counted as failures, unless a whole batch is lost"
    if fatal:
        limits, text = {"max_failed_nodes": 0}, "any_errors_fatal decides"
        unreachable += "; Ansible skips further tasks of the batch of a host that it finds unreachable"
    elif percent is None or percent >= 100:
        limits, text = {}, whole
    else:
        limits = {"max_failed_nodes_percent": percent}
        text = f"the play stops if more than {percent:g} % of a batch have failed"
    switches = {"limit_comparison": "exceeds", "unreachable_nodes": "skip", "lost_waves": "fail"}
    play.exact(key, f"{text}{_name_template(play, key)}")
    play.no_counterparts(
        {
            "ignore_errors": "a host whose tasks fail goes on and counts as updated; here a node that fails has failed",
            "ignore_unreachable": "nodes that are down can't be updated",
        }
    )
    play.approximate("unreachable hosts", unreachable)
    return limits, switches


def _percent(play: Group) -> float | None:
    key = "max_fail_percentage"
    value = play.value(key)
    if value is None:
        return None
    try:
        percent = math.nan if isinstance(value, bool) else float(str(value).strip().removesuffix("%"))
    except ValueError:
        percent = math.nan
    if not 0 <= percent < math.inf:
        play.refuse(key, "not a percent", allowed="a number of at least 0, of the hosts in a batch")
        return None
    return percent


def _read_fatal(play: Group, reading: Reading) -> bool:
    key = "any_errors_fatal"
    if jinja.is_template(play.data.get(key)):
        version = reading.variable("ansible_version")
        if version is not None and version.startswith(_OLD_TEMPLATES):
            play.exact(key, f"ansible-core {version} treats any template as true: the first failed host stops the play")
            return True
    word = str(play.value(key)).lower()
    fatal = word in _TRUE if word in (*_TRUE, *_FALSE) else play.flag(key)
    if fatal is None:
        play.exact(key, "false")
        return False
    old = (
        "; up to ansible-core 2.20 any template is true: --var ansible_version=2.20"
        if _name_template(play, key)
        else ""
    )
    meaning = "the first failed host stops the play" if fatal else "false"
    play.exact(key, f"{meaning}{_name_template(play, key)}{old}")
    return fatal


def _read_throttle(play: Group) -> int | None:
    throttle = play.whole("throttle")
    if throttle:
        text = f"at most {plural(throttle, 'host')} of a batch in flight; Ansible counts them task by task"
        play.approximate("throttle", text)
        return throttle
    text = "not in a playbook (command line or configuration, 5 by default): here all hosts of a batch are in flight at once"
    play.approximate("forks", text)
    return None


def _note_tasks(tasks: Group) -> None:
    """Note keywords that only some tasks have, also within blocks."""
    for section in _TASKS:
        parts = tasks.data.get(section)
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            continue
        for part in tasks.groups(section):
            stated = {key: text for key, text in _OF_A_TASK.items() if part.data.get(key) not in (None, False, 0)}
            part.no_counterparts(stated)
            _note_tasks(part)


def _read_times(play: Group) -> tuple[str, str | None]:
    """Return the deadline of a host, and the pause after a batch or None."""
    timeout = play.whole("timeout")
    if timeout:
        play.approximate("timeout", f"{timeout:,} s for a host's whole update; Ansible counts each task")
    else:
        text = f"Ansible has none: a host that never answers holds its batch; here it has failed after {_DEADLINE}"
        play.approximate("deadline", text)
    key = "post_tasks" if play.data.get("post_tasks") else "tasks"
    tasks = play.data.get(key)
    last = tasks[-1] if isinstance(tasks, list) and tasks and isinstance(tasks[-1], dict) else {}
    name = next((name for name in _PAUSES if name in last), None)
    if name is None:
        return f"{timeout}s" if timeout else _DEADLINE, None
    # Other forms, such as `pause: minutes=5`, are not read.
    task = play.groups(key)[-1] if isinstance(last[name], dict) else None
    pause = None if task is None else task.group(name)
    stated = {} if pause is None else {key: pause.whole(key) for key in ("minutes", "seconds") if key in pause}
    seconds = 60 * (stated.get("minutes") or 0) + (stated.get("seconds") or 0)
    if seconds:
        condition = f", whether or not {shorten(last['when'])}" if "when" in last else ""
        play.approximate(key, f"end with a pause of {seconds:,} s: after each batch but the last{condition}")
    elif set(stated.values()) == {0}:
        play.approximate(key, "end with a pause of 0 s: left out")
    else:
        play.approximate(key, "end with a pause of unknown length, or until a person goes on: left out")
    return f"{timeout}s" if timeout else _DEADLINE, f"{seconds}s" if seconds else None
