"""The API format: reading, checking and writing deployments in JSON."""

from __future__ import annotations

import json
import pickle
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jsonschema
import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError
from refusals import refused

from simdeploy.api import (
    DEFAULTS,
    Deployment,
    DeploymentDocument,
    DeploymentSpec,
    DeploymentStatus,
    Dialect,
    HealthCheck,
    RolloutHealthCheck,
    RolloutSpec,
    canonical_json,
    format_time,
    parse_deployment,
    parse_time,
    read_deployment,
    spec_from_dict,
    spec_problems,
    time_in_week,
    unknown_keys,
)
from simdeploy.api.json_text import MAX_VALUES, locate
from simdeploy.errors import MOST_PROBLEMS, Problem, SimulationError

# The example body of the documentation page, with its placeholders.
PAGE = Path(__file__).parent / "data" / "placeholders.json"

ROLLING = {"strategy": "rolling", "health_check": {"deadline": "5m"}}
CANARY = {**ROLLING, "strategy": "canary"}

# Every field of the page, with values in place of its placeholders.
FULL: dict[str, Any] = {
    "deployment": {
        "from_version": 0,
        "id": "d-1",
        "job_id": "sensor-pipeline",
        "job_type": "daemon",
        "namespace": "default",
        "spec": {
            "auto_promote": True,
            "canary_count": 0,
            "canary_percent": 5,
            "health_check": {"deadline": "1h30m", "max_error_rate": 0, "min_healthy_time": "0.5s"},
            "max_failed_nodes": 0,
            "max_failed_nodes_percent": 10.0,
            "max_parallel": 0,
            "no_auto_rollback": True,
            "strategy": "canary",
        },
        "status": {
            "canary_nodes": ["n-1", "n-2"],
            "canary_promoted": True,
            "completed_at": "",
            "created_at": "2024-02-29T23:59:59.000000001+05:30",
            "current_wave": 0,
            "failed_nodes": 0,
            "health_check_deadline": "2026-01-01T00:00:00Z",
            "healthy_deadline": "2026-01-01T00:00:00Z",
            "last_progress_time": "2026-01-01T00:00:00.25Z",
            "message": "",
            "revision": 9223372036854775807,
            "state": "pending",
            "total_nodes": 0,
            "updated_at": "0001-01-01T00:00:00Z",
            "updated_nodes": 0,
        },
        "to_version": 0,
        "type": "create",
    }
}


def problems_of(text: str, dialect: Dialect | None = None) -> list[Problem]:
    return list(refused(parse_deployment, text, file="f.json", dialect=dialect).problems)


def the_problem(text: str, dialect: Dialect | None = None) -> Problem:
    (problem,) = problems_of(text, dialect)
    return problem


def page_body() -> str:
    """The example body of the documentation page, untouched."""
    return PAGE.read_text(encoding="utf-8")


def leaves(value: object, path: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], object]:
    """Every scalar of JSON values by its path."""
    if isinstance(value, dict):
        return {at: leaf for key, item in value.items() for at, leaf in leaves(item, (*path, key)).items()}
    if isinstance(value, list):
        return {at: leaf for index, item in enumerate(value) for at, leaf in leaves(item, (*path, index)).items()}
    return {path: value}


# ---------------------------------------------------------------- the page


def test_the_untouched_page_has_one_problem_per_placeholder() -> None:
    """The page's unchanged example gives exactly one problem at each "string", with its line. [contract]"""
    body = page_body()
    problems = problems_of(body)
    placeholders = [path for path, leaf in leaves(json.loads(body)).items() if leaf == "string"]
    assert len(placeholders) == 14
    assert sorted(map(str, placeholders)) == sorted(str(problem.path) for problem in problems)
    lines = body.splitlines()
    for problem in problems:
        assert problem.line is not None
        assert '"string"' in lines[problem.line - 1]
        assert "API documentation's placeholder" in problem.message
        assert problem.allowed


def test_the_page_with_values_round_trips() -> None:
    """The page's example with values for its placeholders is written back as the same JSON. [contract]"""
    body = page_body()
    for name in ("deadline", "min_healthy_time"):
        body = body.replace(f'"{name}": "string"', f'"{name}": "1m30s"')
    for name in (
        "completed_at",
        "created_at",
        "health_check_deadline",
        "healthy_deadline",
        "last_progress_time",
        "updated_at",
    ):
        body = body.replace(f'"{name}": "string"', f'"{name}": "2026-01-01T00:00:00Z"')
    document = parse_deployment(body)
    assert document.warnings == ()
    assert json.loads(document.to_json()) == json.loads(body)


def test_every_field_of_the_page_is_known() -> None:
    """The page's example and the types have the same keys. [contract]"""
    deployment = json.loads(page_body())["deployment"]
    assert set(deployment) == set(Deployment.model_fields)
    assert set(deployment["spec"]) == set(DeploymentSpec.model_fields)
    # The gate is beyond the API, and is left out of what is sent to it.
    assert set(deployment["spec"]["health_check"]) == set(HealthCheck.model_fields) - {"gate"}
    assert set(deployment["status"]) == set(DeploymentStatus.model_fields)


def test_string_is_a_name_unless_surely_a_placeholder() -> None:
    """A job may be called "string" if no duration or time is the placeholder. [contract]"""
    deployment = {"id": "string", "job_id": "string", "spec": ROLLING, "status": {"message": "string"}}
    assert parse_deployment(json.dumps({"deployment": deployment})).warnings == ()


# ---------------------------------------------------------------- round trips


def test_every_field_round_trips_in_canonical_form() -> None:
    """A body with every field is written with the same values, sorted keys, two spaces, a line feed. [contract]"""
    text = parse_deployment(json.dumps(FULL)).to_json()
    assert text == json.dumps(FULL, sort_keys=True, indent=2) + "\n"
    assert parse_deployment(text).to_json() == text


def test_numbers_are_written_as_read() -> None:
    """10 stays 10, 10.0 stays 10.0, an explicit null stays, and unset keys stay unset. [contract]"""
    spec = '{"max_failed_nodes":null,"max_failed_nodes_percent":%s,"strategy":"immediate"}'
    for number in ("10", "10.0"):
        text = '{"deployment":{"spec":' + spec % number + "}}"
        assert parse_deployment(text).to_json().replace(" ", "").replace("\n", "") == text


JSON_KEYS = st.text(st.characters(codec="utf-8"), max_size=8)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(JSON_KEYS, inner, max_size=3),
    max_leaves=8,
)
STRANGERS = st.dictionaries(
    JSON_KEYS | st.sampled_from(["to_json", "to_dict", "model_config", "_x", "__class__", "dialect", "effective"]),
    JSON_VALUES,
    max_size=3,
)


@given(st.tuples(STRANGERS, STRANGERS, STRANGERS, STRANGERS, STRANGERS))
def test_unknown_keys_are_kept_and_warned_about(strangers: tuple[dict[str, Any], ...]) -> None:
    """Unknown keys at any level are written back, and each causes one warning. [property]"""
    body = json.loads(json.dumps(FULL))
    deployment = body["deployment"]
    spots = [body, deployment, deployment["spec"], deployment["spec"]["health_check"], deployment["status"]]
    n_added = 0
    for spot, stranger in zip(spots, strangers, strict=True):
        added = {key: value for key, value in stranger.items() if key not in spot and key not in SPECIAL}
        spot.update(added)
        n_added += len(added)
    document = parse_deployment(json.dumps(body))
    assert json.loads(document.to_json()) == body
    assert [problem.message for problem in document.warnings] == ["unknown key"] * n_added


# Keys that mean something at another place.
SPECIAL = {"rollout", "interval", "success_threshold", "failure_threshold"}


def test_an_unknown_key_is_warned_about_with_line_and_nearest() -> None:
    """A misspelt key in JSON is a warning that names its line and the right key. [contract]"""
    text = '{"strategy": "rolling",\n "max_paralel": 5,\n "health_check": {"deadline": "5m"}}'
    (warning,) = parse_deployment(text).warnings
    assert (warning.path, warning.line, warning.column) == (("max_paralel",), 2, 2)
    assert warning.hint == "did you mean 'max_parallel'?"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(FULL),
        json.dumps(FULL["deployment"]),
        json.dumps(FULL["deployment"]["spec"]),
        "\ufeff" + json.dumps(ROLLING),
        '{"rollout": {"id": "r", "spec": {"strategy": "immediate"}}}',
    ],
)
def test_documents_are_written_in_the_form_they_were_read(text: str) -> None:
    """A response body, a deployment and a bare spec are written in their own form. [contract]"""
    assert json.loads(parse_deployment(text).to_json()) == json.loads(text.removeprefix("\ufeff"))


def test_empty_durations_and_times_are_unset_but_written_back() -> None:
    """An empty string for an optional duration or time reads as unset and is kept on the wire. [contract]"""
    spec = {"strategy": "rolling", "health_check": {"deadline": "5m", "min_healthy_time": ""}}
    document = parse_deployment(json.dumps({"deployment": {"spec": spec, "status": {"created_at": ""}}}))
    assert isinstance(document.spec, DeploymentSpec)
    assert document.spec.health_check is not None
    assert document.spec.health_check.min_healthy_time_ns == 30 * 10**9
    assert json.loads(document.to_json())["deployment"]["spec"] == spec


# ---------------------------------------------------------------- dialects


@pytest.mark.parametrize(
    ("body", "dialect"),
    [
        ({"deployment": {"spec": {"strategy": "immediate"}}}, "deployment"),
        ({"rollout": {"spec": {"strategy": "immediate"}}}, "rollout"),
        (ROLLING, "deployment"),
        ({"strategy": "rolling", "health_check": {"deadline": 300_000_000_000}}, "rollout"),
        ({"strategy": "immediate", "health_check": {"success_threshold": 1}}, "rollout"),
        ({"strategy": "immediate", "health_check": {"failure_threshold": 1}}, "rollout"),
        ({"strategy": "immediate", "health_check": {"interval": 10**9}}, "rollout"),
        ({"strategy": "immediate", "health_check": {"min_healthy_time": "0"}}, "deployment"),
        ({"spec": {"strategy": "rolling", "health_check": {"deadline": 300_000_000_000}}}, "rollout"),
    ],
)
def test_the_dialect_is_recognised_by_what_only_one_has(body: dict[str, Any], dialect: Dialect) -> None:
    """Wrapper, form of durations and a dialect's own keys each determine the dialect. [contract]"""
    document = parse_deployment(json.dumps(body))
    assert (document.dialect, document.spec.dialect) == (dialect, dialect)


_NAME, _WRAP, _REWRAP = "set 'dialect: deployment' or 'dialect: rollout'", "or wrap the spec", "or the key around it as"


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        ({"strategy": "immediate"}, {_NAME, _WRAP}),
        ({"spec": {"strategy": "immediate", "max_parallel": 5}}, {_NAME, _WRAP}),
        ({"strategy": "immediate", "health_check": {}}, {_NAME, _WRAP}),
        ({"strategy": "immediate", "health_check": {"deadline": ""}}, {_NAME, _WRAP}),
        ({"deployment": {"spec": {"strategy": "rolling", "health_check": {"deadline": 300}}}}, {_REWRAP}),
        ({"rollout": {"spec": ROLLING}}, {_REWRAP}),
        ({"strategy": "rolling", "health_check": {"deadline": "5m", "success_threshold": 2}}, {_NAME}),
        ({"strategy": "rolling", "health_check": {"deadline": 5, "min_healthy_time": "30s"}}, {_NAME}),
        ({"deployment": {"spec": {"strategy": "immediate", "health_check": {"deadline": 0.5}}}}, {_REWRAP}),
    ],
)
def test_no_evidence_or_a_mix_asks_for_the_dialect(body: dict[str, Any], advice: set[str]) -> None:
    """Without or with contradictory evidence, the only problem asks for the dialect, and says what helps. [contract]

    A key around a spec with signs of both doesn't settle it; a request, which always has the key, can't name the dialect.
    """
    problem = the_problem(json.dumps(body))
    assert "dialect" in str(problem)
    assert {way for way in (_NAME, _WRAP, _REWRAP) if way in (problem.hint or "")} == advice
    assert parse_deployment(json.dumps(body), dialect="deployment").dialect == "deployment"
    if "strategy" in body:
        is_settled = _WRAP in advice
        for wrapper in ("deployment", "rollout"):
            text = json.dumps({wrapper: {"spec": body}})
            assert (parse_deployment(text).dialect == wrapper) if is_settled else the_problem(text)


def test_contradictions_are_reported_beside_the_unknown_dialect() -> None:
    """A strategy's missing settings are reported even if the dialect is unknown. [contract]"""
    problems = problems_of('{"strategy": "canary"}')
    assert sorted(problem.path for problem in problems) == [(), ("health_check",), ("strategy",)]


def test_a_given_dialect_reads_the_other_form_of_durations() -> None:
    """With a given dialect, numbers are seconds or nanoseconds, and strings are Go durations. [contract]"""
    text = '{"strategy": "rolling", "health_check": {"deadline": %s}}'
    seconds = parse_deployment(text % "300", dialect="deployment").spec.health_check
    ns = parse_deployment(text % '"5m"', dialect="rollout").spec.health_check
    assert seconds is not None
    assert ns is not None
    assert seconds.deadline_ns == ns.deadline_ns == 300 * 10**9
    assert (seconds.deadline, ns.deadline) == ("5m0s", 300 * 10**9)


def test_an_unknown_dialect_is_a_problem() -> None:
    """An unknown dialect is refused by name. [contract]"""
    assert the_problem(json.dumps(ROLLING), "nomad").allowed == "deployment, rollout, general"  # type: ignore[arg-type]


# ---------------------------------------------------------------- values

CHECK = ("spec", "health_check")
WRONG = [
    # path in the deployment, JSON text, part of the message
    (("spec", "strategy"), '"rollin"', "did you mean 'rolling'"),
    (("spec", "strategy"), "1", "unknown value"),
    (("spec", "max_parallel"), "-1", "negative"),
    (("spec", "max_parallel"), "10.0", "write 10"),
    (("spec", "max_parallel"), "true", "not a whole number"),
    (("spec", "max_parallel"), '"5"', "not a whole number"),
    (("spec", "max_parallel"), "10000001", "too large"),
    (("spec", "canary_count"), "1e9", "too large"),
    (("spec", "canary_percent"), "101", "from 0 to 100"),
    (("spec", "canary_percent"), "0.5", "not a whole number"),
    (("spec", "canary_percent"), '"5%"', "write 5"),
    (("spec", "canary_percent"), '"2.5%"', "not a whole number"),
    (("spec", "auto_promote"), "1", "not a boolean"),
    (("spec", "auto_promote"), '"true"', "not a boolean"),
    (("spec", "no_auto_rollback"), "0", "not a boolean"),
    (("spec", "max_failed_nodes"), "[]", "not a whole number"),
    (("spec", "max_failed_nodes"), "123456789012345678901234567890", "too large"),
    (("spec", "max_failed_nodes_percent"), "100.5", "write 10 for 10 %"),
    (("spec", "max_failed_nodes_percent"), "-0.1", "negative"),
    (("spec", "max_failed_nodes_percent"), "true", "not a number"),
    (("spec", "max_failed_nodes_percent"), '"150%"', "not a number"),
    (("spec", "health_check"), '"5m"', "not a group of keys"),
    (("spec", "health_check"), "[]", "not a group of keys"),
    ((*CHECK, "deadline"), '"5 m"', "write 5m"),
    ((*CHECK, "deadline"), '"5min"', "write 5m"),
    ((*CHECK, "deadline"), '"soon"', "not a duration"),
    ((*CHECK, "deadline"), '"-5m"', "negative"),
    ((*CHECK, "deadline"), '"1000000h"', "longer than 100 years"),
    ((*CHECK, "deadline"), '"9999999h"', "at most 292 years"),
    ((*CHECK, "deadline"), '"string"', "placeholder"),
    ((*CHECK, "deadline"), '""', "needs a deadline"),
    ((*CHECK, "deadline"), "null", "needs a deadline"),
    ((*CHECK, "deadline"), "true", "not a duration"),
    ((*CHECK, "max_error_rate"), "5", "write 0.05 for 5 %"),
    ((*CHECK, "max_error_rate"), '"2.5%"', "write 0.025"),
    ((*CHECK, "max_error_rate"), '"0.1"', "not a number"),
    ((*CHECK, "min_healthy_time"), "{}", "not a duration"),
    (("status",), "[]", "not a group of keys"),
    (("status", "state"), '"cancelled"', "did you mean 'canceled'"),
    (("status", "revision"), "-1", "negative"),
    (("status", "revision"), "9223372036854775808", "too large"),
    (("status", "canary_nodes"), '"n-1"', "not a list"),
    (("status", "canary_nodes"), "{}", "not a list"),
    (("status", "canary_promoted"), "null ", ""),
    (("status", "message"), "5", "in quotes"),
    (("status", "created_at"), '"2026-02-29T00:00:00Z"', "no such time"),
    (("status", "created_at"), '"2026-01-01"', "RFC 3339"),
    (("status", "created_at"), "0", "not text"),
    (("id",), "1", "in quotes"),
    (("type",), '"updat"', "did you mean 'update'"),
    (("from_version",), "-1", "negative"),
    (("to_version",), "1.5", "not a whole number"),
    (("spec",), "null", "required"),
    (("spec",), "5", "not a group of keys"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_a_wrong_value_is_one_problem_at_its_line(path: tuple[str, ...], value: str, message: str) -> None:
    """Each wrong value gives one problem with path, line and reason; a number in its hint is valid. [contract]"""
    body = json.loads(json.dumps(FULL))
    spot = body["deployment"]
    for key in path[:-1]:
        spot = spot[key]
    spot[path[-1]] = "@"
    around = json.dumps(body, indent=1)
    text = around.replace('"@"', value)
    if not message:
        assert parse_deployment(text).warnings == ()
        return
    problem = the_problem(text)
    assert problem.path == ("deployment", *path)
    assert problem.line == next(n for n, line in enumerate(text.splitlines(), 1) if f'"{path[-1]}": {value}' in line)
    assert message in str(problem)
    assert problem.file == "f.json"
    if suggested := re.fullmatch(r"write ([0-9.]+)", problem.hint or ""):
        parse_deployment(around.replace('"@"', suggested[1]))


def test_all_problems_are_reported_at_once_in_the_order_of_the_text() -> None:
    """Problems of all sections, and contradictions, are reported together by line. [contract]"""
    text = """{"deployment": {
      "type": "updat",
      "spec": {
        "strategy": "canary",
        "max_parallel": -1,
        "health_check": {"max_error_rate": 10}
      },
      "status": {
        "canary_nodes": ["a", 5]
      }
    }}"""
    problems = problems_of(text)
    assert [(problem.line, problem.path[1:]) for problem in problems] == [
        (2, ("type",)),
        (4, ("spec", "strategy")),
        (5, ("spec", "max_parallel")),
        (6, ("spec", "health_check", "deadline")),
        (6, ("spec", "health_check", "max_error_rate")),
        (9, ("status", "canary_nodes", 1)),
    ]


def test_a_misspelt_required_key_is_named() -> None:
    """The problem of a missing key names its misspelling. [contract]"""
    problem = the_problem('{"stategy": "rolling", "health_check": {"deadline": "5m"}}')
    assert problem.path == ("strategy",)
    assert "found 'stategy'" in (problem.hint or "")


@pytest.mark.parametrize(
    "text", ["[]", "5", "null", '"string"', "{}", '{"id": "x"}', '{"deployment": {}, "rollout": {}}']
)
def test_other_json_lists_the_allowed_forms(text: str) -> None:
    """JSON that is neither a deployment nor a spec is refused with the allowed forms. [contract]"""
    assert '{"deployment": {...}}' in (the_problem(text).allowed or "")


@pytest.mark.parametrize("text", ['{"deployment": []}', '{"deployment": null}', '{"deployment": {}}', '{"rollout": 5}'])
def test_a_wrapper_around_nothing_is_a_problem(text: str) -> None:
    """A wrapper that holds no deployment is a problem at its path. [contract]"""
    assert the_problem(text).path[0] == next(iter(json.loads(text)))


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"strategy": "rolling"}, [("health_check",)]),
        ({"strategy": "rolling", "health_check": None}, [("health_check",)]),
        ({"strategy": "rolling", "health_check": {}}, [("health_check", "deadline")]),
        ({"strategy": "canary"}, [("health_check",), ("strategy",)]),
        (CANARY | {"canary_count": 0, "canary_percent": 0}, [("strategy",)]),
        (CANARY | {"canary_percent": 1}, []),
        ({"strategy": "immediate", "health_check": {}}, []),
        ({"strategy": "immediate"}, []),
    ],
)
def test_contradictions_are_found_in_every_form(body: dict[str, Any], paths: list[tuple[str, ...]]) -> None:
    """Spec objects, inline specs and JSON have the same rules for a strategy. [contract]"""
    inline, problems = spec_from_dict(body, dialect="deployment")
    assert [problem.path for problem in problems] == paths
    assert (inline is None) == bool(paths)
    assert [problem.path for problem in spec_problems(DeploymentSpec.model_validate(body))] == paths
    if paths:
        found = [problem.path for problem in problems_of(json.dumps(body), "deployment")]
        assert sorted(found) == sorted(paths)


# ---------------------------------------------------------------- JSON text

NOT_JSON = [
    # text, line, part of the message
    ('{"a": 1,\n "b": }', 2, "not valid JSON"),
    ('{"a": 1,\n}', 2 if sys.version_info < (3, 13) else 1, "not valid JSON"),  # before the brace, or at the comma
    ("{'strategy': 1}", 1, "not valid JSON"),
    ('{"strategy": "immediate"} x', 1, "extra data"),
    ('{"strategy": "immediate"', 1, "not valid JSON"),
    ('{"a": "x\ny"}', 1, "control character"),
    ('{"strategy":\n "immediate', 2, "unterminated string"),
    ('{"strategy": "immediate", // why\n}', 1, "not valid JSON"),
    ('{\n"x": NaN}', 2, "not a JSON number"),
    ('{"x": [1,\n -Infinity]}', 2, "not a JSON number"),
    ('{\n"x": 1e999}', 2, "number too large"),
    ('{\n"x":' + "9" * 5000 + "}", 2, "number too large"),
    ('{"x": "\\ud800"}', 1, "surrogate"),
    ('{"\\udc00": 1}', 1, "surrogate"),
    ('{"a": 1,\n"b": {"a": 2},\n"a": 3}', 3, "duplicate key"),
    ("[" * 65 + "]" * 65, 1, "nested deeper"),
    ("\n" + '{"a":' * 100_000, 2, "nested deeper"),
    ("[" * 1_000_000, 1, "nested deeper"),
    ('"' + '\\"' * 1_000_000, 1, "not valid JSON"),
]


@pytest.mark.parametrize(("text", "line", "message"), NOT_JSON, ids=[text[:20] for text, _, _ in NOT_JSON])
def test_bad_json_is_a_problem_with_its_line(text: str, line: int, message: str) -> None:
    """Invalid JSON, even if Python accepts it, is a problem at its line. [contract]"""
    problem = the_problem(text)
    assert problem.line == line
    assert message in problem.message


def test_duplicate_keys_and_numbers_are_found_at_once() -> None:
    """Each duplicate key, even a nested one, names its first line, and is reported together with NaN. [contract]"""
    problems = problems_of('{"a": {"b": 1},\n "a": {"b": 2},\n "c": [{"d": 1, "d": 2}],\n "e": NaN}')
    places = sorted((problem.line, problem.path) for problem in problems)
    assert places == [(2, ("a",)), (3, ("c", 0, "d")), (4, ("e",))]
    assert "line 1" in next(problem.hint or "" for problem in problems if problem.path == ("a",))


def test_64_levels_are_read() -> None:
    """The deepest allowed nesting is read; brackets in strings don't count. [contract]"""
    deep = "[" * 63 + "]" * 63
    text = '{"strategy": "rolling", "health_check": {"deadline": "5m"}, "x": @, "y": "#"}'.replace("@", deep)
    text = text.replace("#", "[" * 99)
    assert len(parse_deployment(text).warnings) == 2


def test_a_flood_of_problems_is_cut_off() -> None:
    """Of ninety thousand problems the first hundred are listed, and the rest is counted. [contract]"""
    for text in ("[" + "NaN," * 90_000 + "0]", "{" + '"a":0,' * 90_000 + '"a":0}'):
        problems = problems_of(text)
        assert len(problems) == MOST_PROBLEMS + 1
        assert problems[-1].message.startswith("and 89,90")


def test_more_values_than_a_deployment_has() -> None:
    """More than 100,000 values are refused without being parsed. [contract]"""
    lists = ("[" + "0," * MAX_VALUES + "0]", "[" + "NaN," * 2_000_000 + "0]", '["a"' + '"a"' * 2_000_000)
    for text in (*lists, "{" + '"a":0,' * 500_000 + '"a":0}'):
        assert [problem.message for problem in problems_of(text)] == [f"more than {MAX_VALUES:,} values"]


@given(st.dictionaries(JSON_KEYS, JSON_VALUES, max_size=4), st.integers(0, 3))
def test_every_path_is_found_again_in_the_text(value: dict[str, Any], indent: int) -> None:
    """The scanner's places are those of keys and items in any JSON text. [property]"""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    lines = text.split("\n")
    for path, leaf in leaves(value).items():
        if not path:
            continue
        (problem,) = locate([Problem("x", path=path)], text)
        assert problem.line is not None
        assert problem.column is not None
        rest = "\n".join(lines[problem.line - 1 :])[problem.column - 1 :]
        start = path[-1] if isinstance(path[-1], str) else leaf
        if not (isinstance(start, dict | list)):
            assert rest.startswith(json.dumps(start, ensure_ascii=False))


# ---------------------------------------------------------------- files


def file_problem(path: Path | str) -> Problem:
    (problem,) = refused(read_deployment, path).problems
    assert problem.file == str(path)
    return problem


@pytest.mark.parametrize(
    ("data", "message", "line"),
    [
        (b"", "empty", None),
        (b" \n\t ", "empty", None),
        (b"\xef\xbb\xbf", "empty", None),
        (b'{"a":\n"\xe9"}', "not UTF-8", 2),
        ('{"a": 1}'.encode("utf-16"), "UTF-16", 1),
        (b'{"a":\n\n"\0"}', "binary", 3),
        (b"\x7fELF\x02\x01\x01\0", "binary", 1),
        (b" " * 10_000_001, "larger than 10 MB", None),
    ],
)
def test_unreadable_content_is_one_problem(tmp_path: Path, data: bytes, message: str, line: int | None) -> None:
    """An empty, binary, too large or differently encoded file is one problem that says so. [contract]"""
    path = tmp_path / "d.json"
    path.write_bytes(data)
    problem = file_problem(path)
    assert message in problem.message
    assert problem.line == line


def test_unreadable_paths_are_one_problem(tmp_path: Path) -> None:
    """A missing file, a folder and an impossible name are problems, not system exceptions. [contract]"""
    assert "No such file" in file_problem(tmp_path / "none.json").message
    assert "directory" in file_problem(tmp_path).message
    assert "can't be read" in file_problem("a\0b").message


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """A byte order mark in front is no part of the JSON. [contract]"""
    path = tmp_path / "d.json"
    path.write_text(json.dumps(FULL), encoding="utf-8-sig")
    document = read_deployment(path)
    assert isinstance(document, DeploymentDocument)
    assert document.deployment is not None
    assert document.deployment.job_id == "sensor-pipeline"


# ---------------------------------------------------------------- inline specs


@pytest.mark.parametrize(
    ("dialect", "deadline", "ns"),
    [
        ("deployment", "5m", 300 * 10**9),
        ("deployment", 300, 300 * 10**9),
        ("deployment", 0.1, 10**8),
        ("deployment", 1e-9, 1),
        ("deployment", 0, 0),
        ("rollout", 300, 300),
        ("rollout", 300_000_000_000, 300 * 10**9),
        ("rollout", "5m", 300 * 10**9),
    ],
)
def test_inline_durations(dialect: Dialect, deadline: str | float, ns: int) -> None:
    """Inline, a bare number is seconds in a deployment and nanoseconds in a rollout; a string is a Go duration. [contract]"""
    raw = {"strategy": "rolling", "health_check": {"deadline": deadline}}
    spec, problems = spec_from_dict(raw, dialect=dialect)
    assert problems == []
    assert spec is not None
    assert spec.health_check is not None
    assert spec.health_check.deadline_ns == ns
    assert Deployment(spec=spec).spec == spec
    again = parse_deployment(Deployment(spec=spec).to_json())
    assert (again.spec, again.dialect, again.warnings) == (spec, dialect, ())


@pytest.mark.parametrize(
    ("dialect", "raw", "path", "message"),
    [
        ("deployment", {"max_paralel": 1}, "max_paralel", "did you mean 'max_parallel'"),
        ("deployment", {"deadline": "5m"}, "deadline", "move it into health_check"),
        ("deployment", {"health_check": {"interval": 5}}, "health_check.interval", "dialect: rollout"),
        (
            "rollout",
            {"health_check": {"min_healthy_time": "5s"}},
            "health_check.min_healthy_time",
            "dialect: deployment",
        ),
        ("rollout", {"health_check": {"max_parallel": 5}}, "health_check.max_parallel", "move it out of health_check"),
        ("rollout", {"max_parallel": 101}, "max_parallel", "from 0 to 100"),
        ("rollout", {"health_check": {"deadline": 3e11}}, "health_check.deadline", "not whole nanoseconds"),
        ("rollout", {"health_check": {"deadline": -1}}, "health_check.deadline", "negative"),
        ("rollout", {"health_check": {"deadline": 1 << 63}}, "health_check.deadline", "longer than 100 years"),
        ("rollout", {"health_check": {"interval": 0}}, "health_check.interval", "too short"),
        ("rollout", {"health_check": {"success_threshold": 0}}, "health_check.success_threshold", "too small"),
        ("deployment", {"health_check": {"deadline": float("nan")}}, "health_check.deadline", "not a duration"),
        ("deployment", {"health_check": {"deadline": -1}}, "health_check.deadline", "negative"),
        ("deployment", {"health_check": {"deadline": 1e300}}, "health_check.deadline", "longer"),
        ("deployment", {"max_failed_nodes_percent": float("inf")}, "max_failed_nodes_percent", "finite"),
        ("deployment", {1: 2}, "1", "unknown key"),
    ],
)
def test_inline_problems(dialect: Dialect, raw: dict[str, Any], path: str, message: str) -> None:
    """Inline, an unknown key or a wrong value is one problem with its path. [contract]"""
    spec, problems = spec_from_dict({"strategy": "immediate", **raw}, dialect=dialect)
    assert spec is None
    assert [problem.path for problem in problems] == [tuple(path.split("."))]
    assert message in str(problems[0])


def test_inline_takes_mappings_and_changes_nothing() -> None:
    """Read-only mappings are accepted, other values refused, and the caller's dict is unchanged. [contract]"""
    raw = {"strategy": "rolling", "health_check": MappingProxyType({"deadline": 300})}
    spec, problems = spec_from_dict(MappingProxyType(raw), dialect="deployment")
    assert (spec is None, problems) == (False, [])
    assert raw["health_check"] == {"deadline": 300}
    assert spec_from_dict(5, dialect="rollout")[1][0].path == ()  # type: ignore[arg-type]


def test_null_is_unset() -> None:
    """Null for an optional key means that it is unset. [contract]"""
    names = set(DeploymentSpec.model_fields) - {"strategy"}
    spec, problems = spec_from_dict({"strategy": "immediate"} | dict.fromkeys(names), dialect="deployment")
    assert problems == []
    assert spec is not None
    assert spec.effective("max_failed_nodes") == 10


# ---------------------------------------------------------------- types


@pytest.mark.parametrize(
    ("value", "dialect"),
    [
        (DeploymentSpec(strategy="immediate"), "deployment"),
        (HealthCheck(), "deployment"),
        (RolloutSpec(strategy="immediate"), "rollout"),
        (RolloutHealthCheck(), "rollout"),
    ],
)
def test_unset_and_zero_are_distinct(value: DeploymentSpec, dialect: Dialect) -> None:
    """An unset key is None and has its documented default; an explicit 0 stays 0. [contract]"""
    for name in type(value).model_fields.keys() & DEFAULTS[dialect].keys():
        assert getattr(value, name) is None
        assert value.effective(name) == DEFAULTS[dialect][name]
        if name in ("max_parallel", "max_error_rate", "max_failed_nodes", "max_failed_nodes_percent"):
            assert value.model_copy(update={name: 0}).effective(name) == 0


def test_types_are_frozen_hashable_and_picklable() -> None:
    """Objects of the API can't be changed, and can be sent between processes. [contract]"""
    document = parse_deployment(json.dumps(FULL))
    deployment = document.deployment
    assert deployment is not None
    assert {document, pickle.loads(pickle.dumps(document))} == {document}  # noqa: S301
    with pytest.raises(ValidationError, match="frozen"):
        deployment.id = "other"  # type: ignore[misc]  # what the test is about
    assert pickle.loads(pickle.dumps(deployment)) == deployment  # noqa: S301
    assert hash(deployment) == hash(pickle.loads(pickle.dumps(deployment)))  # noqa: S301


def test_a_spec_is_never_guessed_from_a_dict() -> None:
    """A deployment accepts only a spec object. [contract]"""
    with pytest.raises(ValidationError, match="instance of DeploymentSpec"):
        Deployment(spec=ROLLING)


def test_trusted_values_read_again() -> None:
    """A deployment built from valid values without checks is read back without a problem. [contract]"""
    status = DeploymentStatus.model_construct(state="failed", canary_nodes=("n-1",), revision=7)
    spec = RolloutSpec(strategy="rolling", health_check=RolloutHealthCheck(deadline=10**9))
    deployment = Deployment.model_construct(id="d", type="update", spec=spec, status=status)
    document = parse_deployment(deployment.to_json())
    assert (document.deployment, document.warnings) == (deployment, ())


def test_unknown_keys_of_an_object_are_listed() -> None:
    """An unknown key given to a constructor is kept, and listed on demand. [contract]"""
    spec = DeploymentSpec.model_validate(ROLLING | {"max_paralel": 1})
    assert [problem.path for problem in unknown_keys(spec)] == [("max_paralel",)]


@pytest.mark.parametrize("model", [DeploymentSpec, RolloutSpec])
def test_the_schema_accepts_what_the_reader_accepts(model: type[DeploymentSpec | RolloutSpec]) -> None:
    """The JSON Schema is valid, describes every key, and takes bare numbers and strings for durations. [contract]"""
    schema = model.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for deadline in ("5m", 300, None):
        raw = {"strategy": "immediate", "max_failed_nodes": None, "health_check": {"deadline": deadline}}
        assert spec_from_dict(raw, dialect=model.dialect)[1] == []
        validator.validate(raw)
    for bad in ({}, {"strategy": "x"}, {"strategy": "immediate", "health_check": {"deadline": -1}}):
        assert not validator.is_valid(bad)
    health_check = schema["$defs"][model.__name__.replace("Spec", "").replace("Deployment", "") + "HealthCheck"]
    for part in (schema, health_check):
        assert all(key["description"] for key in part["properties"].values())
        shown = {name: key["default"] for name, key in part["properties"].items() if "default" in key}
        assert shown.items() <= DEFAULTS[model.dialect].items()
        assert ">>>" not in part["description"]


# ---------------------------------------------------------------- times


@given(st.datetimes(), st.integers(0, 999))
def test_times_are_exact_to_the_nanosecond(wall: datetime, ns: int) -> None:
    """A UTC time with nanoseconds reads as the exact number of them since 1970, and is written back. [oracle]"""
    microseconds = (wall.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    text = wall.isoformat(timespec="microseconds") + f"{ns:03d}Z"
    assert parse_time(text) == microseconds * 1000 + ns
    assert parse_time(format_time(microseconds * 1000 + ns)) == microseconds * 1000 + ns


@pytest.mark.parametrize("epoch_ns", [1 << 70, -(1 << 70), 253_402_300_800 * 10**9])
def test_no_time_beyond_the_year_9999(epoch_ns: int) -> None:
    """An instant that RFC 3339 can't express is an error that names the last possible year. [contract]"""
    with pytest.raises(SimulationError, match="9999"):
        format_time(epoch_ns)


def test_offsets_are_subtracted() -> None:
    """The same instant in two time zones is the same number. [oracle]"""
    assert parse_time("2026-01-01T05:30:00+05:30") == parse_time("2025-12-31T23:00:00-01:00")


@pytest.mark.parametrize(
    ("text", "day", "hour"),
    [
        ("2026-01-05T00:00:00Z", 0, 0),  # a Monday
        ("2026-01-04T23:00:00-11:00", 6, 23),
        ("1969-12-31T12:00:00+01:00", 2, 12),
        ("2026-11-26T09:00:00+05:30", 3, 9),
    ],
)
def test_time_in_week(text, day, hour):
    """Weekday and hour follow the offset as written. [contract]"""
    assert time_in_week(text) == (24 * day + hour) * 3600 * 10**9


@pytest.mark.parametrize(
    "text",
    """2026-01-01 00:00:00Z|2026-01-01T00:00:00|2026-01-01t00:00:00Z|2026-01-01T00:00:00z|2026-1-1T00:00:00Z|
2026-01-01T24:00:00Z|2026-01-01T00:60:00Z|2026-01-01T00:00:60Z|2026-13-01T00:00:00Z|2026-00-01T00:00:00Z|
2100-02-29T00:00:00Z|2026-01-01T00:00:00.Z|2026-01-01T00:00:00.1234567890Z|2026-01-01T00:00:00,5Z|
2026-01-01T00:00:00+24:00|2026-01-01T00:00:00+00:60|2026-01-01T00:00:00+0000|20260101T000000Z|
+2026-01-01T00:00:00Z|２026-01-01T00:00:00Z| 2026-01-01T00:00:00Z|2026-01-01T00:00:00Z\n|x""".replace("|\n", "|").split(
        "|"
    ),
)
def test_other_forms_of_time_are_refused(text: str) -> None:
    """Times that Go's time.Time doesn't read, and impossible dates, are refused. [contract]"""
    with pytest.raises(ValueError, match="time"):
        parse_time(text)


# ---------------------------------------------------------------- docs


def test_canonical_json_refuses_nan() -> None:
    """NaN is never written to a file. [contract]"""
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))
