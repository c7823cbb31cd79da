"""The OpenAPI description of the service matches its behaviour."""

import json
import os

import pytest
import schemathesis
from clocks import Clock
from http_calls import call
from hypothesis import HealthCheck, given, settings
from invoking import invoke
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode

from simdeploy import Scenario
from simdeploy.units import NS_PER_S
from simdeploy.web.app import make_app
from simdeploy.web.guarding import MOST_BYTES
from simdeploy.web.openapi import describe_api
from simdeploy.web.service import ACTS, Service

CASES = int(os.environ.get("FUZZ_CASES", "20"))
TICK_NS = 7 * NS_PER_S
SIX = Scenario.from_dict(
    {
        "name": "six",
        "fleet": {"nodes": 6, "update_duration": "30s", "start_failure": 0.2},
        "policies": {
            "canary": {"strategy": "canary", "canary_count": 2, "max_parallel": 2, "health_check": {"deadline": "2m"}}
        },
    }
)


@pytest.fixture(scope="module")
def clock():
    return Clock()


@pytest.fixture(scope="module")
def app(clock):
    service = Service(SIX, [SIX.policy()], clock=clock, most=1000)
    return make_app(service, hosts=("testserver",))


@pytest.fixture(scope="module")
def schema(app):
    return schemathesis.openapi.from_asgi("/openapi.json", app)


def test_it_is_served_and_printed(app):
    """The served and the printed description are the same, with every path. [contract]"""
    described = call(app, "GET", "/openapi.json").json
    assert described == describe_api() == json.loads(invoke("serve", "--openapi").output)
    assert "405" in described["info"]["description"]
    assert {path.rpartition("/")[2] for path in described["paths"]} == {"deployments", "{id}", *ACTS}


def test_every_request_may_be_too_large(app):
    """A large body is refused whatever the request needs, and the description says so. [contract]"""
    for path, operations in describe_api()["paths"].items():
        for method in operations.keys() & {"get", "post"}:
            answer = call(app, method.upper(), path.replace("{id}", "d-1"), b" " * (MOST_BYTES + 1))
            assert answer.status == 413
            assert "413" in operations[method]["responses"], (method, path)


CHECK = {"deadline": "5m"}
SPECS = [
    ({"strategy": "immediate"}, True),
    ({"strategy": "immediate", "health_check": None}, True),
    ({"strategy": "immediate", "health_check": {"deadline": ""}}, True),
    ({"strategy": "immediate", "health_check": {"deadline": 300}}, False),
    ({"strategy": "immediate", "health_check": {"interval": 10**10}}, False),
    ({"strategy": "immediate", "surge": [3]}, True),
    ({"strategy": "rolling"}, False),
    ({"strategy": "rolling", "health_check": {}}, False),
    ({"strategy": "rolling", "health_check": {"deadline": ""}}, False),
    ({"strategy": "rolling", "health_check": CHECK}, True),
    ({"strategy": "immediate", "health_check": {"deadline": "0"}}, True),
    ({"strategy": "rolling", "health_check": {"deadline": "1h1.5m"}}, True),
    ({"strategy": "rolling", "health_check": {"deadline": "5 m"}}, False),
    ({"strategy": "rolling", "health_check": {**CHECK, "gate": "sprt"}}, False),
    ({"strategy": "rolling", "health_check": CHECK, "max_parallel": 2.0}, True),
    ({"strategy": "rolling", "health_check": CHECK, "max_parallel": 2.5}, False),
    ({"strategy": "rolling", "health_check": CHECK, "max_parallel": True}, False),
    ({"strategy": "canary", "health_check": CHECK}, False),
    ({"strategy": "canary", "health_check": CHECK, "canary_count": 0, "canary_percent": 0}, False),
    ({"strategy": "canary", "health_check": CHECK, "canary_count": 0, "canary_percent": 20}, True),
    ({"strategy": "canary", "health_check": CHECK, "canary_count": 1, "canary_percent": None}, True),
]


@pytest.mark.parametrize(("spec", "is_valid"), SPECS)
def test_the_reader_agrees(app, spec, is_valid):
    """A spec is valid by the description if and only if a deployment is created with it. [contract]"""
    body = {"deployment": {"spec": spec, "job_id": "caf\u00e9"}}
    described = {"$ref": "#/components/schemas/NewDeployment", "components": describe_api()["components"]}
    assert Draft202012Validator(described).is_valid(body) == is_valid
    assert call(app, "POST", "/deployments", json.dumps(body).encode()).status == (201 if is_valid else 400)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *((name, GenerationMode.POSITIVE) for name in ("list", "create", "get", *ACTS)),
        # Nothing in the other requests can be wrong.
        *((name, GenerationMode.NEGATIVE) for name in ("list", "create", "rollback")),
    ],
)
def test_answers_match_the_description(clock, schema, name, mode):
    """Requests generated from the description, valid or not, get answers that it allows. [property]"""
    operation = schema.find_operation_by_id(name)
    ids = ["d-1", "d-2", "d-3", "d-1-rollback"]

    @settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def meets(case):
        clock.now_ns += TICK_NS
        if "{id}" in operation.path:
            case.path_parameters = {"id": ids[clock.now_ns // TICK_NS % len(ids)]}
        case.call_and_validate()

    meets()
