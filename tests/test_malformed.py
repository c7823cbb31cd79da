"""Bad input of every kind: a clear error with path and line each, and nothing but that."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from simdeploy.api import DeploymentSpec, HealthCheck
from simdeploy.errors import InputError, format_path
from simdeploy.scenario import Scenario, load, read_scenario

BASE = """\
name: x
fleet:
  nodes: 10
  update_duration: 45s
policies:
  p: {strategy: immediate}
"""
ROLLING = "strategy: rolling, health_check: {deadline: 5m}"


def top(text: str) -> str:
    """Add sections from line 7 on."""
    return BASE + text + "\n"


def fleet(text: str) -> str:
    """Add keys of the fleet from line 5 on."""
    indented = "".join(f"  {line}\n" for line in text.splitlines())
    return BASE.replace("policies:", indented + "policies:")


def policy(text: str) -> str:
    """Put the policy's keys into line 6."""
    return BASE.replace("strategy: immediate", text)


def release(text: str) -> str:
    """Put a release into line 7."""
    return top("release: {" + text + "}")


class Case(NamedTuple):
    """A bad file, and the problem that must be among those told."""

    name: str
    content: str | bytes
    path: str
    line: int | None
    fragment: str


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
    Case("broken indentation", "name: x\nfleet:\n    nodes: 5\n  zones: 2\n", "", 4, "indentation"),
    Case("a key without a colon", "name: x\nfleet\nnodes: 1\n", "", 3, "':'"),
    Case("a character that starts nothing", "name: @x\n", "", 1, "can't stand here"),
    Case("a duplicate key", BASE + "name: y\n", "name", 7, "in line 1"),
    Case("a duplicate key below", fleet("zones: 1\nzones: 2"), "fleet.zones", 6, "in line 5"),
    Case("a number as a key", top("1: 2"), "1", 7, "not text"),
    Case("null as a key", top("~: 2"), "~", 7, "not text"),
    Case("a list as a key", top("? [a]\n: 1"), "?", 7, "not text"),
    Case("a merge key", top("<<: {a: 1}"), "<<", 7, "merge key"),
    Case("a tag", top("description: !!python/object:os.system x"), "description", 7, "tag"),
    Case("a harmless tag", fleet("zones: !!int 3"), "fleet.zones", 5, "tag"),
    Case("two documents", BASE + "---\n" + BASE, "", 7, "second document"),
    Case("an alias without anchor", top("description: *nowhere"), "", 7, "without its anchor"),
    Case("a cycle of anchors", top("costs: &a {failed_request: *a}"), "", 7, "cycle"),
    Case("a cycle in a list", top("costs: &a [1, *a]"), "", 7, "cycle"),
    Case("deep nesting", top("description: " + "[" * 5000), "", 7, "deeper than 64"),
    Case(
        "deep nesting in block style", "".join(" " * depth + "a:\n" for depth in range(200)), "", 65, "deeper than 64"
    ),
    Case("hexadecimal", fleet("zones: 0x10"), "fleet.zones", 5, "decimal"),
    Case("octal", fleet("zones: 0o17"), "fleet.zones", 5, "decimal"),
    Case("NaN", fleet("start_hang: .nan"), "fleet.start_hang", 5, "finite"),
    Case("infinity", fleet("requests_per_second: -.inf"), "fleet.requests_per_second", 5, "finite"),
    Case("a decimal that overflows", fleet("requests_per_second: 1e999"), "fleet.requests_per_second", 5, "too large"),
    Case("a whole number of 401 digits", fleet("zones: " + "9" * 401), "fleet.zones", 5, "400 characters"),
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
    Case("unknown key at top", top("helth: {interval: 5s}"), "helth", 7, "'health'"),
    Case("unknown key of the fleet", fleet("zone: 2"), "fleet.zone", 5, "'zones'"),
    Case("unknown key in crash", fleet("crash: {up: 1h, repair: 1m, renew: true}"), "fleet.crash.renew", 5, "unknown"),
    Case(
        "a crash's key in a zone outage",
        fleet("zone_outage: {up: 1h, repair: 1m, renewed_by_update: true}"),
        "fleet.zone_outage.renewed_by_update",
        5,
        "unknown key",
    ),
    Case(
        "unknown key of a class",
        fleet("classes:\n  - {name: a, share: 0.1}\n  - {name: b, share: 0.1, nodes: 3}"),
        "fleet.classes[1].nodes",
        7,
        "unknown key",
    ),
    Case(
        "unknown key of a release",
        release("a: {probability: 1, eror_rate: 0.5}"),
        "release.a.eror_rate",
        7,
        "'error_rate'",
    ),
    Case("unknown key of the operator", top("operator: {promote: 1s}"), "operator.promote", 7, "'promote_after'"),
    Case(
        "unknown key of an act",
        top("operator: {script: [{at: 1s, do: pause, who: me}]}"),
        "operator.script[0].who",
        7,
        "unknown",
    ),
    Case("unknown switch", top("orchestrator: {pacin: rate}"), "orchestrator.pacin", 7, "'pacing'"),
    Case(
        "unknown key of rate",
        top("orchestrator: {pacing: rate, rate: {per_hour: 5}}"),
        "orchestrator.rate.per_hour",
        7,
        "unknown",
    ),
    Case("unknown key of health", top("health: {intervals: 5s}"), "health.intervals", 7, "'interval'"),
    Case("unknown key of deployment", top("deployment: {kind: update}"), "deployment.kind", 7, "unknown"),
    Case("unknown cost", top("costs: {escapes: 5}"), "costs.escapes", 7, "'escape'"),
    Case("a wrong version of the format", top("simdeploy: 2"), "simdeploy", 7, "allowed: 1"),
    Case("true as a version", top("simdeploy: true"), "simdeploy", 7, "allowed: 1"),
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
    Case("yes for a switch", top("orchestrator: {window_reset: yes}"), "orchestrator.window_reset", 7, "true or false"),
    Case(
        "a switch's value that doesn't exist",
        top("orchestrator: {pacing: slide}"),
        "orchestrator.pacing",
        7,
        "'sliding'",
    ),
    Case("a preset that doesn't exist", top("orchestrator: expansoo"), "orchestrator.preset", 7, "'expanso'"),
    Case("a number as the orchestrator", top("orchestrator: 5"), "orchestrator", 7, "not a group of keys"),
    Case("an order that doesn't exist", fleet("order: indx"), "fleet.order", 5, "'index'"),
    Case(
        "an act that doesn't exist",
        top("operator: {script: [{at: 1s, do: stop}]}"),
        "operator.script[0].do",
        7,
        "pause",
    ),
    Case("an act without a time", top("operator: {script: [{do: pause}]}"), "operator.script[0].at", 7, "required"),
    Case(
        "a script that is no list", top("operator: {script: {at: 1s, do: pause}}"), "operator.script", 7, "not a list"
    ),
    Case("a type that doesn't exist", top("deployment: {type: upgrade}"), "deployment.type", 7, "'update'"),
    Case(
        "a time that isn't RFC 3339", top("deployment: {created_at: yesterday}"), "deployment.created_at", 7, "RFC 3339"
    ),
    Case(
        "a day that doesn't exist",
        top('deployment: {created_at: "2026-02-30T00:00:00Z"}'),
        "deployment.created_at",
        7,
        "no such time",
    ),
    Case(
        "a time out of reach",
        top('deployment: {created_at: "9999-01-01T00:00:00Z"}'),
        "deployment.created_at",
        7,
        "1970",
    ),
    Case("a negative version", top("deployment: {from_version: -1}"), "deployment.from_version", 7, "negative"),
    Case(
        "a version beyond 63 bits",
        top("deployment: {to_version: 9223372036854775808}"),
        "deployment.to_version",
        7,
        "too large",
    ),
    Case("a negative cost", top("costs: {escape: -5}"), "costs.escape", 7, "negative"),
    Case("a number as a unit", top("costs: {unit: 5}"), "costs.unit", 7, "put it in quotes"),
    Case("a blank unit", top('costs: {unit: " "}'), "costs.unit", 7, "empty"),
    Case("a unit that is a sentence", top("costs: {unit: euros of 2026}"), "costs.unit", 7, "at most 12 characters"),
    Case("a unit of two lines", top('costs: {unit: "E\\nU"}'), "costs.unit", 7, "a name in one line"),
    Case("a unit that acts", top('costs: {unit: "\\e[2J"}'), "costs.unit", 7, "control characters"),
]

REQUIREMENTS = [
    Case(name, top("requirements: " + text), "requirements" + path, 7, fragment)
    for name, text, path, fragment in [
        ("requirements that are no list", "{of: escaped, at_most: 0.1}", "", "not a list"),
        ("a requirement that is text", '["escaped <= 1%"]', "[0]", "not a group of keys"),
        ("a requirement of nothing", "[{at_most: 0.1}]", "[0].of", "required"),
        ("unknown key of a requirement", "[{of: escaped, at_mots: 0.1}]", "[0].at_mots", "'at_most'"),
        ("a measure that doesn't exist", "[{of: escapd, at_most: 0.1}]", "[0].of", "'escaped'"),
        ("a word as a measure", "[{of: state, at_most: 0.1}]", "[0].of", "nothing that can be measured"),
        ("no limit", "[{of: escaped}]", "[0]", "at_most or at_least"),
        ("two limits", "[{of: escaped, at_most: 0.1, at_least: 0.1}]", "[0]", "not exactly one limit"),
        ("a percentage as a rate", "[{of: escaped, at_most: 5}]", "[0].at_most", "0.05 is 5 percent"),
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
    Case("a number as text", fleet('rollback_duration: "5"'), "fleet.rollback_duration", 5, '"5s"'),
    Case("clock time", fleet("rollback_duration: 1:30"), "fleet.rollback_duration", 5, "1m30s"),
    Case("days", fleet("rollback_duration: 2d"), "fleet.rollback_duration", 5, "48h"),
    Case("words", fleet("rollback_duration: 5 min"), "fleet.rollback_duration", 5, "write 5m"),
    Case("capitals", fleet("rollback_duration: 5M"), "fleet.rollback_duration", 5, "write 5m"),
    Case("a negative duration", fleet("rollback_duration: -5s"), "fleet.rollback_duration", 5, "negative"),
    Case("a negative number of seconds", fleet("rollback_duration: -5"), "fleet.rollback_duration", 5, "negative"),
    Case("a huge duration", fleet("rollback_duration: 1000000h"), "fleet.rollback_duration", 5, "100 years"),
    Case("a huge number of seconds", fleet("rollback_duration: 1e12"), "fleet.rollback_duration", 5, "100 years"),
    Case("beyond any duration", fleet("rollback_duration: 99999999999999h"), "fleet.rollback_duration", 5, "292 years"),
    Case("true as a duration", fleet("rollback_duration: true"), "fleet.rollback_duration", 5, "not a duration"),
    Case("an empty duration", fleet('rollback_duration: ""'), "fleet.rollback_duration", 5, "not a duration"),
    Case("too short an interval", top("health: {interval: 1us}"), "health.interval", 7, "at least 1ms"),
    Case("an interval of 0", top("health: {interval: 0}"), "health.interval", 7, "too short"),
    Case("a bad bake time", top("orchestrator: {bake_time: soon}"), "orchestrator.bake_time", 7, "not a duration"),
]

LAWS = [
    Case(
        "a shape of next to nothing",
        fleet("slowdown: {gamma: {shape: 1e-320, scale: 1}}"),
        "fleet.slowdown.gamma.shape",
        5,
        "close to 0",
    ),
    Case("an unknown family", fleet("slowdown: {normal: {mean: 1}}"), "fleet.slowdown.normal", 5, "lognormal"),
    Case(
        "a misspelt family",
        fleet("slowdown: {lognorml: {mean: 1, sd: 1}}"),
        "fleet.slowdown.lognorml",
        5,
        "'lognormal'",
    ),
    Case(
        "parameters without a family",
        fleet("slowdown: {median: 1, p95: 2}"),
        "fleet.slowdown.median",
        5,
        "lognormal: {median, p95}",
    ),
    Case("two families", fleet("slowdown: {constant: 1, exponential: {mean: 1}}"), "fleet.slowdown", 5, "exactly one"),
    Case("no family", fleet("slowdown: {}"), "fleet.slowdown", 5, "exactly one"),
    Case("a list as a law", fleet("slowdown: [1, 2]"), "fleet.slowdown", 5, "distribution"),
    Case("a bare parameter", fleet("slowdown: {exponential: 5}"), "fleet.slowdown.exponential", 5, "{mean}"),
    Case("an unknown parameter", fleet("slowdown: {gamma: {mean: 1, sdd: 1}}"), "fleet.slowdown.gamma.sdd", 5, "'sd'"),
    Case(
        "a missing parameter",
        fleet("slowdown: {gamma: {mean: 1}}"),
        "fleet.slowdown.gamma",
        5,
        "{mean, sd} or {shape, scale}",
    ),
    Case(
        "mixed parameters",
        fleet("slowdown: {lognormal: {median: 1, sd: 1}}"),
        "fleet.slowdown.lognormal",
        5,
        "{median, p95}",
    ),
    Case(
        "a shape of 0", fleet("slowdown: {weibull: {mean: 1, shape: 0}}"), "fleet.slowdown.weibull.shape", 5, "above 0"
    ),
    Case(
        "a shape with a unit",
        fleet("rollback_duration: {weibull: {mean: 1s, shape: 1s}}"),
        "fleet.rollback_duration.weibull.shape",
        5,
        "not a number",
    ),
    Case(
        "a bad duration in a law",
        fleet("rollback_duration: {exponential: {mean: 1x}}"),
        "fleet.rollback_duration.exponential.mean",
        5,
        "not a duration",
    ),
    Case(
        "a p95 below the median",
        fleet("rollback_duration: {lognormal: {median: 2m, p95: 1m}}"),
        "fleet.rollback_duration.lognormal",
        5,
        "p95",
    ),
    Case(
        "low above high",
        fleet("rollback_duration: {uniform: {low: 2, high: 1}}"),
        "fleet.rollback_duration.uniform",
        5,
        "low",
    ),
    Case(
        "low equal to high",
        fleet("rollback_duration: {uniform: {low: 2, high: 2}}"),
        "fleet.rollback_duration.uniform",
        5,
        "constant",
    ),
    Case(
        "a mode outside",
        fleet("rollback_duration: {triangular: {low: 1, mode: 5, high: 2}}"),
        "fleet.rollback_duration.triangular",
        5,
        "mode",
    ),
    Case("too wide a beta", fleet("error_rate: {beta: {mean: 0.5, sd: 0.6}}"), "fleet.error_rate.beta", 5, "sd"),
    Case("a probability above 1", fleet("start_hang: 1.5"), "fleet.start_hang", 5, "from 0 to 1"),
    Case("a probability in percent", fleet("start_hang: 5%"), "fleet.start_hang", 5, "write 0.05"),
    Case("a probability as a percentage", fleet("start_hang: 5"), "fleet.start_hang", 5, "0.05 is 5 percent"),
    Case(
        "a law of a probability that leaves [0, 1]",
        fleet("error_rate: {exponential: {mean: 0.1}}"),
        "fleet.error_rate",
        5,
        "[0, 1]",
    ),
    Case(
        "a parameter of a probability above 1",
        fleet("error_rate: {uniform: {low: 0, high: 2}}"),
        "fleet.error_rate.uniform.high",
        5,
        "from 0 to 1",
    ),
    Case("a slowdown of 0", fleet("slowdown: 0"), "fleet.slowdown", 5, "always 0"),
    Case(
        "a mean of more than 100 years",
        fleet("rollback_duration: {lognormal: {median: 1h, sigma: 8}}"),
        "fleet.rollback_duration",
        5,
        "100 years",
    ),
    Case(
        "empty empirical values",
        fleet("slowdown: {empirical: {values: []}}"),
        "fleet.slowdown.empirical.values",
        5,
        "at least one",
    ),
    Case(
        "a bad empirical value",
        fleet("slowdown: {empirical: {values: [1, x]}}"),
        "fleet.slowdown.empirical.values[1]",
        5,
        "not a number",
    ),
    Case(
        "values and a file",
        fleet("slowdown: {empirical: {values: [1], file: x.csv}}"),
        "fleet.slowdown.empirical",
        5,
        "{file: x.csv}",
    ),
    Case(
        "a file that doesn't exist",
        fleet("slowdown: {empirical: {file: no.csv}}"),
        "fleet.slowdown.empirical.file",
        5,
        "No such file",
    ),
    Case("a crash that never ends", fleet("crash: {up: 0.0001, repair: 0}"), "fleet.crash.repair", 5, "1ms"),
    Case("a crash without repair", fleet("crash: {up: 1h}"), "fleet.crash.repair", 5, "required"),
    Case(
        "flapping too fast",
        fleet("flapping: {good: 1us, degraded: 1us, error_rate: 0.1}"),
        "fleet.flapping.degraded",
        5,
        "1ms",
    ),
]

CONTRADICTIONS = [
    Case("more zones than nodes", fleet("zones: 11"), "fleet.zones", 5, "1 to 10"),
    Case("shares above 1", fleet("classes: [{name: a, share: 0.6}, {name: b, share: 0.5}]"), "fleet.classes", 5, "1.1"),
    Case(
        "classes of one name",
        fleet("classes: [{name: a, share: 0.1}, {name: a, share: 0.1}]"),
        "fleet.classes[1].name",
        5,
        "second class",
    ),
    Case(
        "probabilities that don't sum to 1",
        release("a: {probability: 0.5}, b: {probability: 0.4}"),
        "release",
        7,
        "sum to 1",
    ),
    Case("no kinds of release", top("release: {}"), "release", 7, "probability"),
    Case("a release without probability", release("a: {defective: true}"), "release.a.probability", 7, "required"),
    Case(
        "a negative probability",
        release("a: {probability: -1}, b: {probability: 1}"),
        "release.a.probability",
        7,
        "negative",
    ),
    Case(
        "a class that doesn't exist",
        release("a: {probability: 1, affects: {classes: [arm]}}"),
        "release.a.affects.classes[0]",
        7,
        "no classes",
    ),
    Case(
        "a zone that doesn't exist",
        release("a: {probability: 1, affects: {zones: [0, 1]}}"),
        "release.a.affects.zones[1]",
        7,
        "0 to 0",
    ),
    Case("a count of 0", release("a: {probability: 1, affects: {count: 0}}"), "release.a.affects.count", 7, "1 to"),
    Case(
        "two choices of nodes",
        release("a: {probability: 1, affects: {count: 1, share: 0.5}}"),
        "release.a.affects",
        7,
        "exactly one",
    ),
    Case(
        "an unknown choice of nodes",
        release("a: {probability: 1, affects: {shares: 0.5}}"),
        "release.a.affects.shares",
        7,
        "'share'",
    ),
    Case("some nodes", release("a: {probability: 1, affects: some}"), "release.a.affects", 7, "{share: 0.3}"),
    Case(
        "a negative crash rate", release("a: {probability: 1, crash_rate: -1}"), "release.a.crash_rate", 7, "negative"
    ),
    Case(
        "percent of a wave without waves",
        top("orchestrator: {pacing: sliding, failed_percent_of: wave}"),
        "orchestrator.failed_percent_of",
        7,
        "sliding",
    ),
    Case(
        "percent of a wave by the clock",
        top("orchestrator: {failed_percent_of: wave, pacing: rate}"),
        "orchestrator.failed_percent_of",
        7,
        "rate",
    ),
    Case(
        "a rate of 0",
        top("orchestrator: {pacing: rate, rate: {per_minute: 0}}"),
        "orchestrator.rate.per_minute",
        7,
        "above 0",
    ),
    Case(
        "a growth of 0",
        top("orchestrator: {pacing: rate, rate: {growth: 0}}"),
        "orchestrator.rate.growth",
        7,
        "above 0",
    ),
    Case("too many requests in a window", fleet("requests_per_second: 1e12"), "fleet.requests_per_second", 5, "10s"),
    Case(
        "a deadline too short",
        policy("strategy: rolling, health_check: {deadline: 20s}"),
        "policies.p.health_check.deadline",
        6,
        "3 windows of 10s = 30s",
    ),
    Case(
        "a deadline too short by a nanosecond",
        policy("strategy: rolling, health_check: {deadline: 29.999999999s}"),
        "policies.p.health_check.deadline",
        6,
        "at least 30s",
    ),
    Case(
        "a deadline too short for the thresholds",
        policy("dialect: rollout, strategy: rolling, health_check: {deadline: 5000000000}"),
        "policies.p.health_check.deadline",
        6,
        "2 windows of 10s = 20s",
    ),
    Case(
        "more windows than can be counted",
        policy("strategy: rolling, health_check: {deadline: 876000h}") + "health: {interval: 1ms}\n",
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
    Case("no strategy", policy("max_parallel: 5"), "policies.p.strategy", 6, "required"),
    Case("an unknown strategy", policy("strategy: roling"), "policies.p.strategy", 6, "'rolling'"),
    Case(
        "an unknown key of a spec",
        policy("strategy: immediate, max_paralel: 5"),
        "policies.p.max_paralel",
        6,
        "'max_parallel'",
    ),
    Case("rolling without a health check", policy("strategy: rolling"), "policies.p.health_check", 6, "health"),
    Case(
        "rolling without a deadline",
        policy("strategy: rolling, health_check: {}"),
        "policies.p.health_check.deadline",
        6,
        "deadline",
    ),
    Case(
        "canary without canaries",
        policy(ROLLING.replace("rolling", "canary")),
        "policies.p.strategy",
        6,
        "canary_count",
    ),
    Case(
        "a percentage as an error rate",
        policy("strategy: rolling, health_check: {deadline: 5m, max_error_rate: 5}"),
        "policies.p.health_check.max_error_rate",
        6,
        "0 to 1",
    ),
    Case(
        "percent above 100",
        policy(ROLLING + ", max_failed_nodes_percent: 101"),
        "policies.p.max_failed_nodes_percent",
        6,
        "0 to 100",
    ),
    Case("a negative limit", policy(ROLLING + ", max_failed_nodes: -1"), "policies.p.max_failed_nodes", 6, "negative"),
    Case(
        "a key of the other dialect",
        policy("strategy: rolling, health_check: {deadline: 5m, interval: 5}"),
        "policies.p.health_check.interval",
        6,
        "rollout",
    ),
    Case("an unknown dialect", policy("strategy: immediate, dialect: rolout"), "policies.p.dialect", 6, "'rollout'"),
    Case(
        "a number as a dialect",
        policy("strategy: immediate, dialect: 1"),
        "policies.p.dialect",
        6,
        "deployment, rollout",
    ),
    Case("keys beside a file", policy("file: d.json, strategy: immediate"), "policies.p.strategy", 6, "no keys but"),
    Case("a policy's file that doesn't exist", policy("file: nowhere.json"), "policies.p.file", 6, "No such file"),
    Case("a number as a policy's file", policy("file: 5"), "policies.p.file", 6, "name of a file"),
]

CASES = SYNTAX + TYPES + REQUIREMENTS + DURATIONS + LAWS + CONTRADICTIONS + POLICIES


@pytest.mark.timeout(5)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_files_are_told(case: Case, tmp_path: Path) -> None:
    """A bad file gives an InputError that names the path and the line and says what is wrong. [contract]"""
    (tmp_path / "d.json").write_text('{"strategy": "immediate", "health_check": {"deadline": "5m"}}', encoding="utf-8")
    file = tmp_path / "bad.yaml"
    content = case.content
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as caught:
        read_scenario(file)
    problems = caught.value.problems
    assert len(problems) == len(set(problems))
    fitting = [
        problem for problem in problems if format_path(problem.path) == case.path and case.fragment in str(problem)
    ]
    assert len(fitting) == 1, str(caught.value)
    if case.line is not None:
        assert (fitting[0].file, fitting[0].line) == (str(file), case.line)


@pytest.mark.parametrize(
    "case", TYPES + REQUIREMENTS + DURATIONS + LAWS + CONTRADICTIONS + POLICIES, ids=lambda case: case.name
)
def test_one_message_per_problem(case: Case, tmp_path: Path) -> None:
    """One mistake is told once. [contract]"""
    (tmp_path / "d.json").write_text('{"strategy": "immediate", "health_check": {"deadline": "5m"}}', encoding="utf-8")
    file = tmp_path / "bad.yaml"
    assert isinstance(case.content, str)
    file.write_text(case.content, encoding="utf-8")
    _, errors, _ = load(file)
    assert len(errors) == 1, "\n".join(map(str, errors))


JSON = [
    Case("an empty JSON file", "", "", None, "empty"),
    Case("JSON that isn't", "{", "", 1, "not valid JSON"),
    Case("a duplicate key in JSON", '{"strategy": "immediate",\n"strategy": "rolling"}', "strategy", 2, "duplicate"),
    Case("NaN in JSON", '{"deployment":\n{"spec": {"strategy": NaN}}}', "deployment.spec.strategy", 2, "finite"),
    Case("a list in JSON", "[1]", "", 1, "not an object"),
    Case("deep JSON", "[" * 100_000, "", 1, "deeper than 64"),
    Case("binary JSON", b"\x00\x01", "", 1, "NUL"),
    Case("JSON in UTF-16", '{"strategy": "immediate"}'.encode("utf-16"), "", 1, "UTF-16"),
    Case("no evidence of a dialect", '{"strategy": "immediate"}', "", 1, "dialect"),
    Case(
        "mixed dialects",
        '{"strategy": "rolling",\n"health_check": {"deadline": "5m", "success_threshold": 2}}',
        "",
        1,
        "dialect",
    ),
    Case(
        "a negative duration in JSON",
        '{"deployment": {"spec": {"strategy": "rolling",\n"health_check": {"deadline": "-5m"}}}}',
        "deployment.spec.health_check.deadline",
        2,
        "negative",
    ),
    Case(
        "no strategy in JSON",
        '{"deployment":\n{"spec": {"max_parallel": 5}}}',
        "deployment.spec.strategy",
        2,
        "required",
    ),
]


@pytest.mark.parametrize("case", JSON, ids=lambda case: case.name)
def test_bad_json_policies_are_told(case: Case, tmp_path: Path) -> None:
    """What is wrong in a policy's JSON file is told with that file's name and line. [contract]"""
    json_file = tmp_path / "d.json"
    json_file.write_bytes(case.content.encode() if isinstance(case.content, str) else case.content)
    file = tmp_path / "good.yaml"
    file.write_text(policy("file: d.json"), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_scenario(file)
    (problem,) = caught.value.problems
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
        ("1\n\n2\n", 2, "an empty line"),
        ("1,2\n", 1, "not a number"),
        ("1\nnan\n", 2, "finite"),
        ("1\n-1\n", 2, "negative"),
        ("1\n1e999\n", 2, "finite"),
        ("", None, "empty"),
    ],
)
def test_bad_lines_of_measured_values_are_told(content: str, line: int | None, fragment: str, tmp_path: Path) -> None:
    """A bad line of an empirical law's file is told with that file's name and the line. [contract]"""
    (tmp_path / "x.csv").write_text(content, encoding="utf-8")
    file = tmp_path / "good.yaml"
    file.write_text(fleet("slowdown: {empirical: {file: x.csv}}"), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_scenario(file)
    (problem,) = caught.value.problems
    assert fragment in str(problem)
    assert problem.path == ("fleet", "slowdown", "empirical", "file")
    if line is not None:
        assert (problem.file, problem.line) == (str(tmp_path / "x.csv"), line)


def test_many_bad_lines_are_cut_short(tmp_path: Path) -> None:
    """A file that holds no numbers at all gives 20 problems, and says that the rest was not read. [contract]"""
    (tmp_path / "x.csv").write_text("a\n" * 1000, encoding="utf-8")
    file = tmp_path / "good.yaml"
    file.write_text(fleet("slowdown: {empirical: {file: x.csv}}"), encoding="utf-8")
    _, errors, _ = load(file)
    assert len(errors) == 21
    assert str(errors[-1]).endswith(
        "x.csv:21: fleet.slowdown.empirical.file: more than 20 lines like these: the rest was not read"
    )


def test_all_problems_are_told_at_once_in_the_files_order(tmp_path: Path) -> None:
    """Problems of every section, and contradictions between the sound ones, come together, by line. [contract]"""
    file = tmp_path / "bad.yaml"
    file.write_text(
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
        "  q: {strategy: rolling, health_check: {deadline: 1s}}\n",
        encoding="utf-8",
    )
    _, errors, _ = load(file)
    assert [(problem.line, format_path(problem.path)) for problem in errors] == [
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
    """A misspelt required key is not told a second time as missing. [contract]"""
    file = tmp_path / "bad.yaml"
    file.write_text(BASE.replace("nodes:", "nods:").replace("policies:", "polices:"), encoding="utf-8")
    _, errors, _ = load(file)
    assert [format_path(problem.path) for problem in errors] == ["fleet.nods", "polices"]


@pytest.mark.timeout(5)
def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    """Ten levels of ten aliases each are an error at once, not ten thousand million values. [contract]"""
    levels = ["a0: &a0 [" + ", ".join("x" * 10) + "]"]
    levels += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 11)]
    file = tmp_path / "bomb.yaml"
    file.write_text(BASE + "\n".join(levels), encoding="utf-8")
    with pytest.raises(InputError, match=r"expand to more than 10,000 values"):
        read_scenario(file)


def test_many_values_belong_into_a_file(tmp_path: Path) -> None:
    """More than 20,000 values in a scenario file are refused with a way out. [contract]"""
    file = tmp_path / "long.yaml"
    file.write_text(fleet(f"slowdown: {{empirical: {{values: [{'1,' * 20_001}]}}}}"), encoding="utf-8")
    with pytest.raises(InputError, match=r"empirical: \{file: x.csv\}"):
        read_scenario(file)


@pytest.mark.parametrize(
    ("name", "fragment"),
    [("nowhere.yaml", "No such file"), (".", "directory"), ("a\0b", "null"), ("x" * 5000, "too long")],
)
def test_paths_that_are_no_files(name: str, fragment: str, tmp_path: Path) -> None:
    """What can't be opened is an InputError with the operating system's reason. [contract]"""
    with pytest.raises(InputError, match=fragment):
        read_scenario(f"{tmp_path}/{name}")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to the administrator")
def test_a_file_without_permission(tmp_path: Path) -> None:
    """A file that may not be read is an InputError. [contract]"""
    file = tmp_path / "secret.yaml"
    file.write_text(BASE, encoding="utf-8")
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


@pytest.mark.parametrize(
    ("change", "path", "fragment"),
    [
        (None, "", "not a scenario"),
        ([1], "", "not a scenario"),
        ({"name": None}, "name", "required"),
        ({"name": object()}, "name", "not plain data"),
        ({"name": {1, 2}}, "name", "not plain data"),
        ({"name": "\ud800"}, "name", "surrogate"),
        ({3: 4}, "", "not text"),
        ({"costs": _cycle()}, "costs.again.again", "deeper than 64"),
        ({"fleet": {"nodes": 10**5000, "update_duration": 1}}, "fleet.nodes", "too large"),
        ({"fleet": {"nodes": 1, "update_duration": float("nan")}}, "fleet.update_duration", "finite"),
        ({"fleet": {"nodes": 1, "update_duration": 1e308}}, "fleet.update_duration", "too large"),
        ({"fleet": {"nodes": 1e308, "update_duration": 1}}, "fleet.nodes", "whole number"),
        ({"fleet": {"nodes": 1, "update_duration": "9" * 5000 + "d"}}, "fleet.update_duration", "too long"),
        ({"fleet": {"nodes": "9" * 5000, "update_duration": 1}}, "fleet.nodes", "whole number"),
        ({"policies": {"p": {"strategy": ["rolling"]}}}, "policies.p.strategy", "not one of"),
    ],
)
def test_bad_dicts_are_told(change: Any, path: str, fragment: str) -> None:
    """A bad dict gives an InputError with the path, without file or line. [contract]"""
    with pytest.raises(InputError) as caught:
        Scenario.from_dict({**GOOD, **change} if isinstance(change, dict) else change)
    (problem,) = caught.value.problems
    assert format_path(problem.path) == path
    assert fragment in str(problem)
    assert (problem.file, problem.line) == (None, None)


@pytest.mark.parametrize(
    ("values", "path", "fragment"),
    [
        ({"fleet.nods": 5}, "fleet.nods", "'fleet.nodes'"),
        ({"flet.nodes": 5}, "flet.nodes", "'fleet.nodes'"),
        ({"policies.q.max_parallel": 5}, "policies.q.max_parallel", "'policies.p.max_parallel'"),
        ({"fleet.nodes.": 5}, "fleet.nodes.", "'fleet.nodes'"),
        ({"": 5}, "", "no such path"),
        ({"name.x": 5}, "name.x", "'name'"),
        ({"fleet.classes.0.share": 0.5}, "fleet.classes.0.share", "no such path"),
        ({"fleet.update_duration.exponential.mean": 5}, "fleet.update_duration.exponential.mean", "one value"),
        ({"fleet.nodes": float("inf")}, "fleet.nodes", "finite"),
        ({"fleet.nodes": 0}, "fleet.nodes", "too small"),
        ({"fleet.crash.up": "5h"}, "fleet.crash.repair", "required"),
        ({"policies.q": 5}, "policies.q", "not a deployment spec"),
    ],
)
def test_bad_values_are_told(values: dict[str, Any], path: str, fragment: str) -> None:
    """A bad path or value given to with_values is an InputError with the full path. [contract]"""
    scenario = Scenario.from_dict(GOOD)
    with pytest.raises(InputError) as caught:
        scenario.with_values(values)
    (problem,) = caught.value.problems
    assert format_path(problem.path) == path
    assert fragment in str(problem)
    assert (problem.file, problem.line) == (None, None)


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
def test_bad_policies_of_callers_are_told(spec: Any, path: str, fragment: str) -> None:
    """A policy that a caller names or builds goes through the same checks. [contract]"""
    scenario = Scenario.from_dict(
        {**GOOD, "policies": {"careful": {"strategy": "immediate"}, "p": {"strategy": "immediate"}}}
    )
    with pytest.raises(InputError) as caught:
        scenario.policy(spec)
    (problem,) = caught.value.problems
    assert format_path(problem.path) == path
    assert fragment in str(problem)


def test_a_repeated_key_hides_nothing(tmp_path):
    """What is wrong with a file's form doesn't keep its values from being checked, and is told once. [contract]"""
    path = tmp_path / "twice.yaml"
    path.write_text(
        "name: twice\nfleet:\n  nodes: .nan\n  nodes: 5\n  update_duration: -1s\npolicies: {p: {strategy: roling}}\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError) as caught:
        read_scenario(path)
    assert [(problem.line, problem.path[-1]) for problem in caught.value.problems] == [
        (3, "nodes"),
        (4, "nodes"),
        (5, "update_duration"),
        (6, "strategy"),
    ]


def test_two_contradictions_of_one_policy(tmp_path):
    """A policy without canaries is still told that its deadline is too short. [contract]"""
    path = tmp_path / "two.yaml"
    path.write_text(
        "name: two\nfleet: {nodes: 5, update_duration: 1s}\npolicies:\n  y:\n    strategy: canary\n"
        "    health_check:\n      deadline: 20s\n      min_healthy_time: 30s\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError) as caught:
        read_scenario(path)
    assert [(problem.line, problem.path[-1]) for problem in caught.value.problems] == [(5, "strategy"), (7, "deadline")]
