"""Bad input of every kind gives a clear error with path and line, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from refusals import refused

from simdeploy import sweep
from simdeploy.api import DeploymentSpec, HealthCheck
from simdeploy.errors import InputError, Problem, format_path
from simdeploy.scenario import Scenario, read_scenario

BASE = """\
name: x
fleet:
  nodes: 10
  update_duration: 45s
policies:
  p: {strategy: immediate}
"""
ROLLING = "strategy: rolling, health_check: {deadline: 5m}"
MEASURED = "slowdown: {empirical: {file: x.csv}}"


class Case(NamedTuple):
    """A bad file, and a problem that must be among the reported ones."""

    name: str
    content: str | bytes
    path: str
    line: int | None
    fragment: str


def in_fleet(text: str) -> str:
    """Add keys of the fleet from line 5 on."""
    indented = "".join(f"  {line}\n" for line in text.splitlines())
    return BASE.replace("policies:", indented + "policies:")


def in_policy(text: str) -> str:
    """Put the policy's keys into line 6."""
    return BASE.replace("strategy: immediate", text)


def top(name: str, key: str, value: str, below: str, fragment: str) -> Case:
    """Add a section in line 7, with a mistake at a path below it."""
    return Case(name, f"{BASE}{key}: {value}\n", key + below, 7, fragment)


def fleet(name: str, key: str, value: str, below: str, fragment: str) -> Case:
    """Add a key of the fleet in line 5."""
    return Case(name, in_fleet(f"{key}: {value}"), f"fleet.{key}{below}", 5, fragment)


def release(name: str, kinds: str, below: str, fragment: str) -> Case:
    """Add a release with these kinds."""
    return top(name, "release", f"{{{kinds}}}", f".{below}", fragment)


def policy(name: str, text: str, below: str, fragment: str) -> Case:
    """Have a policy with these keys in line 6."""
    return Case(name, in_policy(text), f"policies.p.{below}", 6, fragment)


def slowdown(name: str, value: str, below: str, fragment: str) -> Case:
    """Add a slowdown in line 5."""
    return fleet(name, "slowdown", value, below, fragment)


def duration(name: str, value: str, fragment: str, below: str = "") -> Case:
    """Add a duration in line 5."""
    return fleet(name, "rollback_duration", value, below, fragment)


def classes(name: str, value: str, below: str, fragment: str) -> Case:
    """Add classes of nodes in line 5."""
    return fleet(name, "classes", f"[{value}]", below, fragment)


def affects(name: str, nodes: str, below: str, fragment: str) -> Case:
    """Add a release that affects these nodes in line 7."""
    return release(name, f"a: {{probability: 1, affects: {nodes}}}", f"a.affects{below}", fragment)


def health(name: str, text: str, below: str, fragment: str) -> Case:
    """Have a rolling policy with this health check in line 6."""
    return policy(name, f"strategy: rolling, health_check: {{{text}}}", f"health_check{below}", fragment)


SYNTAX = [
    Case("empty file", "", "", None, "empty"),
    Case("only comments", "# nothing\n", "", None, "empty"),
    Case("null document", "~\n", "", None, "empty"),
    Case("empty document with a marker", "---\n", "", None, "empty"),
    Case("a list at top", "- a\n- b\n", "", 1, "not a scenario"),
    Case("text at top", "hello\n", "", 1, "not a scenario"),
    Case("a number at top", "5\n", "", 1, "not a scenario"),
    Case("NUL bytes", BASE.encode() + b"\x00\x01\x02", "", 7, "NUL"),
    Case("random bytes", bytes(range(128, 256)) * 4, "", 1, "UTF-8"),
    Case("a control character", BASE + "description: a\x07b\n", "", 7, "control character"),
    Case("UTF-16", BASE.encode("utf-16"), "", 1, "UTF-16"),
    Case("Latin-1", "name: Zürich\n".encode("latin-1"), "", 1, "UTF-8"),
    Case("too large", b"# " + b"x" * 10_000_001, "", None, "10 MB"),
    Case("a tab as indentation", "name: x\nfleet:\n\tnodes: 5\n", "", 3, "tab"),
    Case("an unclosed brace", "name: x\nfleet: {nodes: 5\n", "", 3, "'{' is not closed"),
    Case("an unclosed bracket", "name: [x\n", "", 2, "'[' is not closed"),
    Case("an unclosed quote", 'name: "x\nfleet: 1\n', "", 3, "ends inside quotes"),
    Case("two colons in a line", "name: a: b\n", "", 1, "second ':'"),
    Case("no colon", "fleet:\n  nodes 3\n  zones: 1\n", "", 2, "a key without ': '"),
    Case("full-width colon", "fleet:\n  nodes\uff1a 3\n  zones: 1\n", "", 2, "write ':' instead of a full-width colon"),
    Case("no-break indentation", "fleet:\n\xa0 nodes: 3\n  zones: 1\n", "", 2, "write spaces instead of no-break"),
    Case("too deep", "fleet:\nnodes: 3\n  zones: 1\n", "", 3, "compare with line 2"),
    Case(
        "text with a colon",
        "description: At night\n  (note: from 22:00)\n",
        "",
        2,
        "not in quotes; compare with line 1",
    ),
    Case(
        "a long text with a colon",
        "description: a text\n  going on\n  and: on\n",
        "",
        3,
        "not in quotes; compare with line 1",
    ),
    Case("no colon in a list", "- a: b\n- c d\n  e: f\n", "", 2, "a key without ': '"),
    Case("colon after a comment", "# fleet\n[a] b: 1\n", "", 2, "not valid YAML"),
    Case("no name of a policy", "policies: {strategy: rolling}", "policies", 1, "a policy without a name"),
    Case("a policy", "deployment: {spec: {strategy: immediate}}", "", None, "a policy, not a scenario"),
    Case("broken indentation", "name: x\nfleet:\n    nodes: 5\n  zones: 2\n", "", 4, "indentation"),
    Case("a key without a colon", "name: x\nfleet\nnodes: 1\n", "", 2, "a key without ':'"),
    Case("a later key without a colon", "fleet:\n  nodes: 3\n  zones 1\nname: x\n", "", 3, "a key without ':'"),
    Case("a character that starts nothing", "name: @x\n", "", 1, "not allowed here"),
    Case("a duplicate key", BASE + "name: y\n", "name", 7, "in line 1"),
    Case("a duplicate key below", in_fleet("zones: 1\nzones: 2"), "fleet.zones", 6, "in line 5"),
    top("a number as a key", "1", "2", "", "must be text"),
    Case("null as a key", BASE + "~: 2", "~", 7, "must be text"),
    Case("a list as a key", BASE + "? [a]\n: 1", "?", 7, "must be text"),
    Case("a merge key", BASE + "<<: {a: 1}", "<<", 7, "merge key"),
    top("a tag", "description", "!!python/object:os.system x", "", "tag"),
    fleet("a harmless tag", "zones", "!!int 3", "", "tag"),
    Case("two documents", BASE + "---\n" + BASE, "", 7, "one document"),
    Case("an alias without anchor", BASE + "description: *nowhere", "", 7, "without its anchor"),
    Case("a cycle of anchors", BASE + "costs: &a {failed_request: *a}", "", 7, "cycle"),
    Case("a cycle in a list", BASE + "costs: &a [1, *a]", "", 7, "cycle"),
    Case("deep nesting", BASE + "description: " + "[" * 5000, "", 7, "deeper than 64"),
    Case("deep nesting in blocks", "".join(" " * depth + "a:\n" for depth in range(200)), "", 65, "deeper than 64"),
    fleet("hexadecimal", "zones", "0x10", "", "decimal"),
    fleet("octal", "zones", "0o17", "", "decimal"),
    fleet("NaN", "start_hang", ".nan", "", "finite"),
    fleet("infinity", "requests_per_second", "-.inf", "", "finite"),
    fleet("a decimal that overflows", "requests_per_second", "1e999", "", "too large"),
    fleet("a whole number of 401 digits", "zones", "9" * 401, "", "400 characters"),
]

TYPES = [
    Case("no name", BASE.replace("name: x\n", ""), "name", 1, "required"),
    Case("no fleet", "name: x\npolicies:\n  p: {strategy: immediate}\n", "fleet", 1, "required"),
    Case("no policies", "name: x\nfleet: {nodes: 1, update_duration: 1s}\n", "policies", 1, "required"),
    Case("no nodes", BASE.replace("  nodes: 10\n", ""), "fleet.nodes", 2, "required"),
    Case("null nodes", BASE.replace("nodes: 10", "nodes:"), "fleet.nodes", 3, "required"),
    Case("no update duration", BASE.replace("  update_duration: 45s\n", ""), "fleet.update_duration", 2, "required"),
    Case("empty policies", BASE.replace("\n  p: {strategy: immediate}", " {}"), "policies", 5, "at least one"),
    Case("a list of policies", BASE.replace("  p:", "  -"), "policies", 5, "not policies"),
    Case("text for the fleet", "name: x\nfleet: big\npolicies: {p: {strategy: immediate}}\n", "fleet", 2, "keys"),
    top("unknown key at top", "helth", "{interval: 5s}", "", "'health'"),
    fleet("unknown key of the fleet", "zone", "2", "", "'zones'"),
    fleet("unknown key in crash", "crash", "{up: 1h, repair: 1m, renew: true}", ".renew", "unknown"),
    fleet("a crash's key in a connection", "connection", "{online: 1h, offline: 1m, repair: 1m}", ".repair", "unknown"),
    fleet(
        "a crash's key in a zone outage",
        "zone_outage",
        "{up: 1h, repair: 1m, renewed_by_update: true}",
        ".renewed_by_update",
        "unknown key",
    ),
    Case(
        "unknown key of a class",
        in_fleet("classes:\n  - {name: a, share: 0.1}\n  - {name: b, share: 0.1, zones: 3}"),
        "fleet.classes[1].zones",
        7,
        "unknown key",
    ),
    release("unknown key of a release", "a: {probability: 1, eror_rate: 0.5}", "a.eror_rate", "'error_rate'"),
    top("unknown key of the operator", "operator", "{promote: 1s}", ".promote", "'promote_after'"),
    top("unknown key of an act", "operator", "{script: [{at: 1s, do: pause, who: me}]}", ".script[0].who", "unknown"),
    top("unknown switch", "orchestrator", "{pacin: rate}", ".pacin", "'pacing'"),
    top("unknown key of rate", "orchestrator", "{pacing: rate, rate: {per_hour: 5}}", ".rate.per_hour", "unknown"),
    top("unknown key of health", "health", "{intervals: 5s}", ".intervals", "'interval'"),
    top("unknown key of deployment", "deployment", "{kind: update}", ".kind", "unknown"),
    top("unknown cost", "costs", "{escapes: 5}", ".escapes", "'escape'"),
    top("a wrong version of the format", "simdeploy", "2", "", "allowed: 1"),
    top("true as a version", "simdeploy", "true", "", "allowed: 1"),
    Case("a number as a name", BASE.replace("name: x", "name: 5"), "name", 1, "quotes"),
    Case("an empty name", BASE.replace("name: x", 'name: ""'), "name", 1, "empty"),
    Case("text as a number of nodes", BASE.replace("10", '"10"'), "fleet.nodes", 3, "remove the quotes"),
    Case("grouped digits", BASE.replace("10", "1_000"), "fleet.nodes", 3, "write 1000"),
    Case("a decimal number of nodes", BASE.replace("10", "10.5"), "fleet.nodes", 3, "whole number"),
    Case("a whole number as a decimal", BASE.replace("10", "10.0"), "fleet.nodes", 3, "write 10"),
    Case("true as a number of nodes", BASE.replace("10", "true"), "fleet.nodes", 3, "whole number"),
    Case("no nodes at all", BASE.replace("10", "0"), "fleet.nodes", 3, "1 to 10000000"),
    Case("negative nodes", BASE.replace("10", "-5"), "fleet.nodes", 3, "1 to 10000000"),
    Case("too many nodes", BASE.replace("10", "10000001"), "fleet.nodes", 3, "too large"),
    Case("a list of nodes", BASE.replace("10", "[1, 2]"), "fleet.nodes", 3, "whole number"),
    top("yes for a switch", "orchestrator", "{window_reset: yes}", ".window_reset", "true or false"),
    top("a switch's value that doesn't exist", "orchestrator", "{pacing: slide}", ".pacing", "'sliding'"),
    top("a preset that doesn't exist", "orchestrator", "expansoo", ".preset", "'expanso'"),
    top("a number as the orchestrator", "orchestrator", "5", "", "not a group of keys"),
    fleet("an order that doesn't exist", "order", "indx", "", "'index'"),
    top("an act that doesn't exist", "operator", "{script: [{at: 1s, do: stop}]}", ".script[0].do", "pause"),
    top("an act without a time", "operator", "{script: [{do: pause}]}", ".script[0].at", "required"),
    top("a script that is no list", "operator", "{script: {at: 1s, do: pause}}", ".script", "not a list"),
    top("a type that doesn't exist", "deployment", "{type: upgrade}", ".type", "'update'"),
    top("a time that isn't RFC 3339", "deployment", "{created_at: yesterday}", ".created_at", "RFC 3339"),
    top(
        "a day that doesn't exist", "deployment", '{created_at: "2026-02-30T00:00:00Z"}', ".created_at", "no such time"
    ),
    top("a time out of reach", "deployment", '{created_at: "9999-01-01T00:00:00Z"}', ".created_at", "1970"),
    top("a negative version", "deployment", "{from_version: -1}", ".from_version", "negative"),
    top("a version beyond 63 bits", "deployment", "{to_version: 9223372036854775808}", ".to_version", "too large"),
    top("a negative cost", "costs", "{escape: -5}", ".escape", "negative"),
    top("a number as a unit", "costs", "{unit: 5}", ".unit", "put it in quotes"),
    top("a blank unit", "costs", '{unit: " "}', ".unit", "empty"),
    top("a unit that is a sentence", "costs", "{unit: euros of 2026}", ".unit", "at most 12 characters"),
    top("a unit of two lines", "costs", '{unit: "E\\nU"}', ".unit", "one line without"),
    top("a unit that acts", "costs", '{unit: "\\e[2J"}', ".unit", "control characters"),
]

REQUIREMENTS = [
    top(name, "requirements", value, below, fragment)
    for name, value, below, fragment in [
        ("requirements that are no list", "{of: escaped, at_most: 0.1}", "", "not a list"),
        ("a requirement that is text", '["escaped <= 1%"]', "[0]", "write {of: escaped, at_most: 0.01}"),
        ("a requirement that is a sentence", '["no escapes, please"]', "[0]", "not a group of keys"),
        ("a requirement of nothing", "[{at_most: 0.1}]", "[0].of", "required"),
        ("unknown key of a requirement", "[{of: escaped, at_mots: 0.1}]", "[0].at_mots", "'at_most'"),
        ("a measure that doesn't exist", "[{of: escapd, at_most: 0.1}]", "[0].of", "'escaped'"),
        ("a word as a measure", "[{of: state, at_most: 0.1}]", "[0].of", "unknown measure"),
        ("no limit", "[{of: escaped}]", "[0]", "at_most or at_least"),
        ("two limits", "[{of: escaped, at_most: 0.1, at_least: 0.1}]", "[0]", "exactly one limit is required"),
        ("a percent sign", "[{of: escaped, at_most: 5%}]", "[0].at_most", "write 0.05"),
        ("a percentage as a rate", "[{of: escaped, at_most: 5}]", "[0].at_most", "write 0.05 for 5 %"),
        ("a rate below 0", "[{of: escaped, at_least: -0.1}]", "[0].at_least", "between 0 and 1"),
        ("text as a limit", "[{of: makespan_s, at_most: soon}]", "[0].at_most", "duration"),
        ("true as a limit", "[{of: makespan_s, at_most: true}]", "[0].at_most", "a number, or a duration"),
        ("an infinite limit", "[{of: makespan_s, at_most: .inf}]", "[0].at_most", "finite"),
        ("a quantile in percent", "[{of: waves, quantile: 95, at_most: 9}]", "[0].quantile", "1"),
        ("a quantile of 1", "[{of: waves, quantile: 1, at_most: 9}]", "[0].quantile", "below 1"),
        ("a quantile of an event", "[{of: escaped, quantile: 0.9, at_most: 0.1}]", "[0].quantile", "no quantiles"),
        ("a condition that doesn't exist", "[{of: escaped, given: defectiv, at_most: 1}]", "[0].given", "'defective'"),
        ("a policy that doesn't exist", "[{of: escaped, policy: q, at_most: 1}]", "[0].policy", "no such policy"),
        ("a cost without costs", "[{of: cost, at_most: 1}]", "[0].of", "no costs"),
    ]
]

DURATIONS = [
    duration("a number as text", '"5"', '"5s"'),
    duration("clock time", "1:30", "1m30s"),
    duration("days", "2d", "48h"),
    duration("words", "5 min", "write 5m"),
    duration("capitals", "5M", "write 5m"),
    duration("negative duration", "-5s", "negative"),
    duration("a negative number of seconds", "-5", "negative"),
    duration("a huge duration", "1000000h", "100 years"),
    duration("a huge number of seconds", "1e12", "100 years"),
    duration("beyond any duration", "99999999999999h", "292 years"),
    duration("true as a duration", "true", "not a duration"),
    duration("an empty duration", '""', "not a duration"),
    top("too short an interval", "health", "{interval: 1us}", ".interval", "at least 1ms"),
    top("an interval of 0", "health", "{interval: 0}", ".interval", "too short"),
    top("a negative delay", "orchestrator", "{reporting_delay: -1s}", ".reporting_delay", "negative"),
    top("a bad bake time", "orchestrator", "{bake_time: soon}", ".bake_time", "not a duration"),
]

LAWS = [
    slowdown("a shape of next to nothing", "{gamma: {shape: 1e-320, scale: 1}}", ".gamma.shape", "close to 0"),
    slowdown("an unknown family", "{normal: {mean: 1}}", ".normal", "lognormal"),
    slowdown("a misspelt family", "{lognorml: {mean: 1, sd: 1}}", ".lognorml", "'lognormal'"),
    slowdown("parameters without a family", "{median: 1, p95: 2}", ".median", "lognormal: {median, p95}"),
    slowdown(
        "the family as a value",
        "{distribution: lognormal, median: 1, p95: 2}",
        ".distribution",
        "the key: lognormal: {median, p95}",
    ),
    slowdown("two families", "{constant: 1, exponential: {mean: 1}}", "", "exactly one"),
    slowdown("no family", "{}", "", "exactly one"),
    slowdown("a list as a law", "[1, 2]", "", "distribution"),
    slowdown("a bare parameter", "{exponential: 5}", ".exponential", "{mean}"),
    slowdown("an unknown parameter", "{gamma: {mean: 1, sdd: 1}}", ".gamma.sdd", "'sd'"),
    slowdown("a missing parameter", "{gamma: {mean: 1}}", ".gamma", "{mean, sd} or {shape, scale}"),
    slowdown("mixed parameters", "{lognormal: {median: 1, sd: 1}}", ".lognormal", "{median, p95}"),
    slowdown("a shape of 0", "{weibull: {mean: 1, shape: 0}}", ".weibull.shape", "above 0"),
    duration("a shape with a unit", "{weibull: {mean: 1s, shape: 1s}}", "not a number", ".weibull.shape"),
    duration("a bad duration in a law", "{exponential: {mean: 1x}}", "not a duration", ".exponential.mean"),
    duration("a p95 below the median", "{lognormal: {median: 2m, p95: 1m}}", "p95", ".lognormal"),
    duration("low above high", "{uniform: {low: 2, high: 1}}", "low", ".uniform"),
    duration("low equal to high", "{uniform: {low: 2, high: 2}}", "constant", ".uniform"),
    duration("a mode outside", "{triangular: {low: 1, mode: 5, high: 2}}", "mode", ".triangular"),
    fleet("too wide a beta", "error_rate", "{beta: {mean: 0.5, sd: 0.6}}", ".beta", "sd"),
    fleet("a probability above 1", "start_hang", "1.5", "", "from 0 to 1"),
    fleet("a probability in percent", "start_hang", "5%", "", "write 0.05"),
    fleet("a probability as a percentage", "start_hang", "5", "", "write 0.05 for 5 %"),
    fleet("a law of a probability that leaves [0, 1]", "error_rate", "{exponential: {mean: 0.1}}", "", "[0, 1]"),
    fleet(
        "a parameter of a probability above 1",
        "error_rate",
        "{uniform: {low: 0, high: 2}}",
        ".uniform.high",
        "from 0 to 1",
    ),
    slowdown("a slowdown of 0", "0", "", "always 0"),
    duration("the mean is above 100 years", "{lognormal: {median: 1h, sigma: 8}}", "100 years"),
    slowdown("empty empirical values", "{empirical: {values: []}}", ".empirical.values", "at least one"),
    slowdown("a bad empirical value", "{empirical: {values: [1, x]}}", ".empirical.values[1]", "not a number"),
    slowdown("values and a file", "{empirical: {values: [1], file: x.csv}}", ".empirical", "{file: x.csv}"),
    slowdown("a file that doesn't exist", "{empirical: {file: no.csv}}", ".empirical.file", "No such file"),
    fleet("a crash that never ends", "crash", "{up: 0.0001, repair: 0}", ".repair", "1ms"),
    fleet("a line that never holds", "connection", "{online: 0.0001, offline: 0}", ".offline", "1ms"),
    fleet("a line without offline times", "connection", "{online: 1h}", ".offline", "required"),
    fleet("a crash without repair", "crash", "{up: 1h}", ".repair", "required"),
    fleet("flapping too fast", "flapping", "{good: 1us, degraded: 1us, error_rate: 0.1}", ".degraded", "1ms"),
]

CONTRADICTIONS = [
    fleet("more zones than nodes", "zones", "11", "", "1 to 10"),
    fleet("a node first that doesn't exist", "order", "[9, 10]", "[1]", "allowed: 0 to 9"),
    fleet("a node first that comes twice", "order", "[9, 2, 9]", "[2]", "first named by order[0]"),
    classes("a node of a class that doesn't exist", "{name: a, nodes: [-1]}", "[0].nodes[0]", "negative"),
    classes("half a node", "{name: a, nodes: [0.5]}", "[0].nodes[0]", "not a whole number"),
    classes("a class without nodes", "{name: a}", "[0]", "exactly one of share and nodes"),
    classes(
        "a node of two classes",
        "{name: a, nodes: [4]}, {name: b, nodes: [5, 4]}",
        "[1].nodes[1]",
        "first named by classes[0].nodes[0]",
    ),
    fleet("nodes that are down, but of no class", "down", "true", "", "a key of a class"),
    classes("shares above 1", "{name: a, share: 0.6}, {name: b, share: 0.5}", "", "1.1"),
    classes("classes of one name", "{name: a, share: 0.1}, {name: a, share: 0.1}", "[1].name", "duplicate name"),
    Case(
        "probabilities that don't sum to 1",
        BASE + "release: {a: {probability: 0.5}, b: {probability: 0.4}}",
        "release",
        7,
        "sum to 1",
    ),
    top("no kinds of release", "release", "{}", "", "probability"),
    release("a release without probability", "a: {defective: true}", "a.probability", "required"),
    release("a negative probability", "a: {probability: -1}, b: {probability: 1}", "a.probability", "negative"),
    affects("a class that doesn't exist", "{classes: [arm]}", ".classes[0]", "no classes"),
    affects("a zone that doesn't exist", "{zones: [0, 1]}", ".zones[1]", "0 to 0"),
    affects("an affected node that doesn't exist", "{nodes: [0, 10]}", ".nodes[1]", "0 to 9"),
    affects("a count of 0", "{count: 0}", ".count", "1 to"),
    affects("two choices of nodes", "{count: 1, share: 0.5}", "", "exactly one"),
    affects("an unknown choice of nodes", "{shares: 0.5}", ".shares", "'share'"),
    affects("some nodes", "some", "", "{share: 0.3}"),
    release("a negative crash rate", "a: {probability: 1, crash_rate: -1}", "a.crash_rate", "negative"),
    top(
        "percent of a wave without waves",
        "orchestrator",
        "{pacing: sliding, failed_percent_of: wave}",
        ".failed_percent_of",
        "sliding",
    ),
    top(
        "percent of a wave by the clock",
        "orchestrator",
        "{failed_percent_of: wave, pacing: rate}",
        ".failed_percent_of",
        "rate",
    ),
    top("a rate of 0", "orchestrator", "{pacing: rate, rate: {per_minute: 0}}", ".rate.per_minute", "above 0"),
    top("a growth of 0", "orchestrator", "{pacing: rate, rate: {growth: 0}}", ".rate.growth", "above 0"),
    fleet("too many requests in a window", "requests_per_second", "1e12", "", "10s"),
    health("a deadline too short", "deadline: 20s", ".deadline", "3 windows of 10s = 30s"),
    health("a deadline too short by a nanosecond", "deadline: 29.999999999s", ".deadline", "at least 30s"),
    policy(
        "a deadline too short for the thresholds",
        "dialect: rollout, strategy: rolling, health_check: {deadline: 5000000000}",
        "health_check.deadline",
        "2 windows of 10s = 20s",
    ),
    Case(
        "more windows than can be counted",
        in_policy("strategy: rolling, health_check: {deadline: 876000h}") + "health: {interval: 1ms}\n",
        "policies.p.health_check.deadline",
        6,
        "4,294,967,296 windows",
    ),
]

POLICIES = [
    Case(
        "text as a policy", BASE.replace("{strategy: immediate}", "rolling"), "policies.p", 6, "not a deployment spec"
    ),
    Case("null as a policy", BASE.replace("{strategy: immediate}", ""), "policies.p", 6, "not a deployment spec"),
    Case("a policy without a name", BASE.replace("  p:", '  "":'), "policies.", 6, "without a name"),
    policy("no strategy", "max_parallel: 5", "strategy", "required"),
    policy("an unknown strategy", "strategy: roling", "strategy", "'rolling'"),
    policy("an unknown key of a spec", "strategy: immediate, max_paralel: 5", "max_paralel", "'max_parallel'"),
    policy("rolling without a health check", "strategy: rolling", "health_check", "health"),
    health("rolling without a deadline", "", ".deadline", "deadline"),
    policy("canary needs canary_count", ROLLING.replace("rolling", "canary"), "strategy", "canary_count"),
    health("a percentage as an error rate", "deadline: 5m, max_error_rate: 5", ".max_error_rate", "0 to 1"),
    policy("percent above 100", ROLLING + ", max_failed_nodes_percent: 101", "max_failed_nodes_percent", "0 to 100"),
    policy("a negative limit", ROLLING + ", max_failed_nodes: -1", "max_failed_nodes", "negative"),
    health("a key of the other dialect", "deadline: 5m, interval: 5", ".interval", "rollout"),
    policy("an unknown dialect", "strategy: immediate, dialect: rolout", "dialect", "'rollout'"),
    policy("a number as a dialect", "strategy: immediate, dialect: 1", "dialect", "deployment, rollout, general"),
    policy("keys beside a file", "file: d.json, strategy: immediate", "strategy", "not allowed beside `file`"),
    policy("a policy's file that doesn't exist", "file: nowhere.json", "file", "No such file"),
    policy("a number as a policy's file", "file: 5", "file", "file name"),
]

CASES = SYNTAX + TYPES + REQUIREMENTS + DURATIONS + LAWS + CONTRADICTIONS + POLICIES


def write(file: Path, content: str | bytes) -> Path:
    """Write a file, and return its path."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def problems_of(file: Path) -> list[Problem]:
    """Return what is wrong with a scenario file."""
    return list(refused(read_scenario, file).problems)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_files_are_reported(case: Case, tmp_path: Path) -> None:
    """A bad file gives an InputError that names path, line and reason, once. [contract]"""
    write(tmp_path / "d.json", '{"strategy": "immediate", "health_check": {"deadline": "5m"}}')
    file = write(tmp_path / "bad.yaml", case.content)
    problems = problems_of(file)
    assert len(problems) == (len(set(problems)) if case in SYNTAX else 1)
    fitting = [
        problem for problem in problems if format_path(problem.path) == case.path and case.fragment in str(problem)
    ]
    assert len(fitting) == 1, problems
    if case.line is not None:
        assert (fitting[0].file, fitting[0].line) == (str(file), case.line)


# Of a policy's file; other mistakes in one are in test_api.py.
JSON = [
    Case("an empty JSON file", "", "", None, "empty"),
    Case("a duplicate key in JSON", '{"strategy": "immediate",\n"strategy": "rolling"}', "strategy", 2, "duplicate"),
    Case("no evidence of a dialect", '{"strategy": "immediate"}', "", 1, "dialect"),
    Case("no strategy in JSON", '{"deployment":\n{"spec": {"max_parallel": 5}}}', "deployment.spec.strategy", 2, "req"),
]


@pytest.mark.parametrize("case", JSON, ids=lambda case: case.name)
def test_bad_json_policies_are_reported(case: Case, tmp_path: Path) -> None:
    """A mistake in a policy's JSON file is reported with that file's name and line. [contract]"""
    json_file = write(tmp_path / "d.json", case.content)
    file = write(tmp_path / "good.yaml", in_policy("file: d.json"))
    (problem,) = problems_of(file)
    assert case.fragment in str(problem)
    if case.line is None:
        assert (problem.file, problem.line, format_path(problem.path)) == (str(file), 6, "policies.p.file")
        assert "d.json" in problem.message
    else:
        assert (problem.file, problem.line) == (str(json_file), case.line)
        assert case.path in ("", format_path(problem.path))


@pytest.mark.parametrize(
    ("content", "line", "fragment"),
    [
        ("1\nx\n2\n", 2, "not a number"),
        ("seconds\n1\n", 1, "header"),
        ("1\n\n2\n", 2, "empty line"),
        ("1,2\n", 1, "not a number"),
        ("1\nnan\n", 2, "finite"),
        ("1\n-1\n", 2, "negative"),
        ("1\n1e999\n", 2, "finite"),
        ("", None, "empty"),
    ],
)
def test_bad_lines_of_measured_values_are_reported(
    content: str, line: int | None, fragment: str, tmp_path: Path
) -> None:
    """A bad line of an empirical law's file is reported with that file's name and the line. [contract]"""
    measured = write(tmp_path / "x.csv", content)
    (problem,) = problems_of(write(tmp_path / "good.yaml", in_fleet(MEASURED)))
    assert fragment in str(problem)
    assert problem.path == ("fleet", "slowdown", "empirical", "file")
    if line is not None:
        assert (problem.file, problem.line) == (str(measured), line)


def test_many_bad_lines_are_cut_short(tmp_path: Path) -> None:
    """A file without any numbers gives 20 problems, and says that the rest was not read. [contract]"""
    write(tmp_path / "x.csv", "a\n" * 1000)
    problems = problems_of(write(tmp_path / "good.yaml", in_fleet(MEASURED)))
    assert len(problems) == 21
    assert str(problems[-1]).endswith(
        "x.csv:21: fleet.slowdown.empirical.file: more than 20 bad lines: the rest was not read"
    )


def test_all_problems_are_reported_in_the_files_order(tmp_path: Path) -> None:
    """Problems of all sections, and contradictions between sound ones, are reported together by line. [contract]"""
    content = (
        "name: 5\n"
        "fleet:\n"
        "  nodes: 10\n"
        "  update_duration: {exponential: {mean: -1s}}\n"
        "  zones: 20\n"
        "release:\n"
        "  a: {probability: 0.5, error_rat: 0.1}\n"
        "  b: {probability: 0.4, start_hang: 7}\n"
        "orchestrator: {pacing: sliding, failed_percent_of: wave}\n"
        "helth: {}\n"
        "policies:\n"
        "  p: {strategy: rolling, health_check: {deadline: 1s}, max_failed_nodes: x}\n"
        "  q: {strategy: rolling, health_check: {deadline: 1s}}\n"
    )
    problems = problems_of(write(tmp_path / "bad.yaml", content))
    assert [(problem.line, format_path(problem.path)) for problem in problems] == [
        (1, "name"),
        (4, "fleet.update_duration.exponential.mean"),
        (5, "fleet.zones"),
        (6, "release"),
        (7, "release.a.error_rat"),
        (8, "release.b.start_hang"),
        (9, "orchestrator.failed_percent_of"),
        (10, "helth"),
        (12, "policies.p.max_failed_nodes"),
        (12, "policies.p.health_check.deadline"),
        (13, "policies.q.health_check.deadline"),
    ]


def test_a_misspelt_required_key_is_one_problem(tmp_path: Path) -> None:
    """A misspelt required key is not also reported as missing. [contract]"""
    content = BASE.replace("nodes:", "nods:").replace("policies:", "polices:")
    problems = problems_of(write(tmp_path / "bad.yaml", content))
    assert [format_path(problem.path) for problem in problems] == ["fleet.nods", "polices"]


@pytest.mark.timeout(5)
def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    """Ten levels of ten aliases each are an error at once, without expanding them. [contract]"""
    levels = ["a0: &a0 [" + ", ".join("x" * 10) + "]"]
    levels += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 11)]
    with pytest.raises(InputError, match=r"expand to more than 10,000 values"):
        read_scenario(write(tmp_path / "bomb.yaml", BASE + "\n".join(levels)))


def test_many_values_belong_into_a_file(tmp_path: Path) -> None:
    """More than 20,000 values in a scenario file are refused with a way out. [contract]"""
    content = in_fleet(f"slowdown: {{empirical: {{values: [{'1,' * 20_001}]}}}}")
    with pytest.raises(InputError, match=r"empirical: \{file: x.csv\}"):
        read_scenario(write(tmp_path / "long.yaml", content))


@pytest.mark.parametrize(
    ("name", "fragment"),
    [("nowhere.yaml", "No such file"), (".", "directory"), ("a\0b", "null"), ("x" * 5000, "too long")],
)
def test_unreadable_paths(name: str, fragment: str, tmp_path: Path) -> None:
    """An unreadable path is an InputError with the operating system's reason. [contract]"""
    with pytest.raises(InputError, match=fragment):
        read_scenario(f"{tmp_path}/{name}")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to the administrator")
def test_a_file_without_permission(tmp_path: Path) -> None:
    """A file that may not be read is an InputError. [contract]"""
    file = write(tmp_path / "secret.yaml", BASE)
    file.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read_scenario(file)


def _cycle() -> dict[str, Any]:
    cycle: dict[str, Any] = {}
    cycle["again"] = cycle
    return cycle


GOOD: dict[str, Any] = {
    "name": "x",
    "fleet": {"nodes": 10, "update_duration": "45s"},
    "policies": {"p": {"strategy": "immediate"}},
}


def assert_one_problem(call: Callable[[], object], path: str, fragment: str) -> None:
    """Assert that a call is refused with one problem at that path, which has no file."""
    (problem,) = refused(call).problems
    assert format_path(problem.path) == path
    assert fragment in str(problem)
    assert (problem.file, problem.line) == (None, None)


@pytest.mark.parametrize(
    ("change", "path", "fragment"),
    [
        (None, "", "not a scenario"),
        ([1], "", "not a scenario"),
        ({"name": None}, "name", "required"),
        ({"name": object()}, "name", "not plain data"),
        ({"name": {1, 2}}, "name", "not plain data"),
        ({"name": "\ud800"}, "name", "surrogate"),
        ({3: 4}, "", "must be text"),
        ({"costs": _cycle()}, "costs.again.again", "deeper than 64"),
        ({"fleet": {"nodes": 10**5000, "update_duration": 1}}, "fleet.nodes", "too large"),
        ({"fleet": {"nodes": 1, "update_duration": float("nan")}}, "fleet.update_duration", "finite"),
        ({"fleet": {"nodes": 1, "update_duration": 1e308}}, "fleet.update_duration", "too large"),
        ({"fleet": {"nodes": 1e308, "update_duration": 1}}, "fleet.nodes", "whole number"),
        ({"fleet": {"nodes": 1, "update_duration": "9" * 5000 + "d"}}, "fleet.update_duration", "too long"),
        ({"fleet": {"nodes": "9" * 5000, "update_duration": 1}}, "fleet.nodes", "whole number"),
        ({"policies": {"p": {"strategy": ["rolling"]}}}, "policies.p.strategy", "unknown value"),
    ],
)
def test_bad_dicts_are_reported(change: Any, path: str, fragment: str) -> None:
    """A bad dict gives an InputError with the path, without file or line. [contract]"""
    raw = {**GOOD, **change} if isinstance(change, dict) else change
    assert_one_problem(lambda: Scenario.from_dict(raw), path, fragment)


@pytest.mark.parametrize(
    ("values", "path", "fragment"),
    [
        ({"fleet.nods": 5}, "fleet.nods", "'fleet.nodes'"),
        ({"flet.nodes": 5}, "flet.nodes", "'fleet.nodes'"),
        ({"policies.q.max_parallel": 5}, "policies.q.max_parallel", "'policies.p.max_parallel'"),
        ({"fleet.nodes.": 5}, "fleet.nodes.", "'fleet.nodes'"),
        ({"": 5}, "", "no such key"),
        ({"name.x": 5}, "name.x", "'name'"),
        ({"fleet.classes.0.share": 0.5}, "fleet.classes.0.share", "no such key"),
        ({"fleet.update_duration.exponential.mean": 5}, "fleet.update_duration.exponential.mean", "single value"),
        ({"fleet.nodes": float("inf")}, "fleet.nodes", "finite"),
        ({"fleet.nodes": 0}, "fleet.nodes", "too small"),
        ({"fleet.crash.up": "5h"}, "fleet.crash.repair", "required"),
        ({"policies.q": 5}, "policies.q", "not a deployment spec"),
    ],
)
def test_bad_values_are_reported(values: dict[str, Any], path: str, fragment: str) -> None:
    """A bad path or value given to with_values is an InputError with the full path. [contract]"""
    assert_one_problem(lambda: Scenario.from_dict(GOOD).with_values(values), path, fragment)


def test_suggestions_prefer_the_same_section() -> None:
    """Twenty classes have more keys than are compared with a wrong one, whose own section comes first. [contract]"""
    classes = [{"name": f"c{number}", "share": 0.01} for number in range(20)]
    scenario = Scenario.from_dict({**GOOD, "fleet": {**GOOD["fleet"], "classes": classes}})
    change = {"orchestrator.reporting_dela": "5s"}
    assert_one_problem(
        lambda: scenario.with_values(change), "orchestrator.reporting_dela", "'orchestrator.reporting_delay'"
    )
    with pytest.raises(InputError, match=r"did you mean 'scenario\.operator\.promote_after'"):
        sweep(scenario, vary={"scenario.operator.promote_aftr": ["1m"]}, replications=1)


@pytest.mark.parametrize(
    ("spec", "path", "fragment"),
    [
        ("carefull", "policies", "'careful'"),
        (5, "", "not a policy"),
        ({}, "strategy", "required"),
        ({"strategy": "rolling"}, "health_check", "rolling needs"),
        ({"strategy": "immediate", "max_paralel": 1}, "max_paralel", "'max_parallel'"),
        ({"strategy": "immediate", "max_parallel": float("nan")}, "max_parallel", "finite"),
        ({"strategy": "rolling", "health_check": {"deadline": "1s"}}, "health_check.deadline", "30s"),
        (DeploymentSpec(strategy="canary", health_check=HealthCheck(deadline="5m")), "strategy", "canary_count"),
    ],
)
def test_bad_policies_of_callers_are_reported(spec: Any, path: str, fragment: str) -> None:
    """A policy named or built by a caller is checked like any other. [contract]"""
    scenario = Scenario.from_dict({**GOOD, "policies": {"careful": GOOD["policies"]["p"], **GOOD["policies"]}})
    assert_one_problem(lambda: scenario.policy(spec), path, fragment)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # Mistakes in a file's form don't keep its values from being checked.
        (
            "name: twice\nfleet:\n  nodes: .nan\n  nodes: 5\n  update_duration: -1s\npolicies: {p: {strategy: roling}}\n",
            [(3, "nodes"), (4, "nodes"), (5, "update_duration"), (6, "strategy")],
        ),
        # A policy without canaries still gets the message that its deadline is too short.
        (
            "name: two\nfleet: {nodes: 5, update_duration: 1s}\npolicies:\n  y: {strategy: canary,\n    health_check: {deadline: 20s}}\n",
            [(4, "strategy"), (5, "deadline")],
        ),
    ],
)
def test_one_mistake_hides_no_other(content, expected, tmp_path):
    """Each of several mistakes is reported once, whatever the others are. [contract]"""
    problems = problems_of(write(tmp_path / "several.yaml", content))
    assert [(problem.line, problem.path[-1]) for problem in problems] == expected
