"""The OpenAPI description of the service, made from the types of the API's objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from simdeploy import __version__
from simdeploy.api import Deployment
from simdeploy.api.document import WRAPPERS
from simdeploy.api.spec import SPEC_TYPES, HealthCheck, RolloutHealthCheck
from simdeploy.api.values import MAX_VERSION
from simdeploy.api.wire import Dialect
from simdeploy.web.guarding import PROBLEM_JSON
from simdeploy.web.service import ACTS

LIMIT = 100
MOST_LISTED = 1000
MOST_OFFSET = 1_000_000_000

_JSON = "application/json"
_CHECKS = {"deployment": HealthCheck.__name__, "rollout": RolloutHealthCheck.__name__}
_REF = "#/components/schemas/"
# Files allow several forms of a duration, requests only those of the dialect.
_GO_DURATION = r"^(0|([0-9]{1,5}(\.[0-9]{1,9})?(h|m|s|ms|us|ns)){1,4})?$"
_LINE = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\ufffe\\uffff\U000e0000-\U000e007f]*$"
_SUMMARIES = {
    "pause": "Pause a deployment: nothing more is dispatched.",
    "resume": "Resume a paused deployment.",
    "promote": "Promote the canaries, or the wave that awaits it, once all its nodes are resolved.",
    "rollback": "Roll a deployment back, which cancels it unless it has ended; the answer is the rollback.",
    "cancel": "Cancel a deployment; its nodes are rolled back unless the policy says otherwise.",
}
_REFUSALS = {
    400: "The request is wrong.",
    403: "The request names another host, or comes from a page of another site.",
    404: "There is no such deployment.",
    409: "It is impossible in the present state, or in this scenario.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    429: "The service keeps no more deployments.",
    500: "The deployment could not be simulated further.",
    503: "The simulation is behind its clock.",
}


def path_of(id_: str | None = None) -> str:
    """Return the path of all deployments, or of one.

    Examples
    --------
    >>> path_of("d-1")
    '/deployments/d-1'
    """
    return "/deployments" if id_ is None else f"/deployments/{id_}"


def describe_api() -> dict[str, Any]:
    """Return the OpenAPI 3.1 description.

    Examples
    --------
    >>> sorted(describe_api()["paths"])[:3]
    ['/deployments', '/deployments/{id}', '/deployments/{id}/cancel']
    """
    _, wire = models_json_schema([(Deployment, "validation")], ref_template=_REF + "{model}")
    schemas = {name: _without_titles(schema) for name, schema in wire["$defs"].items()}
    schemas |= {
        "DeploymentBody": {"anyOf": [_group({key: _ref("Deployment")}, key) for key in WRAPPERS]},
        "DeploymentList": _group(
            {
                "deployments": {"type": "array", "items": _ref("DeploymentBody"), "maxItems": MOST_LISTED},
                "total": {"type": "integer", "minimum": 0, "description": "Number of all deployments."},
            },
            "deployments",
            "total",
        ),
        "NewDeployment": {"anyOf": [_new_deployment(key, schemas) for key in WRAPPERS]},
        "RollbackRequest": _group({"target_version": _version("Default and only choice: `from_version`.")}),
        "Problem": _group(
            {
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
                "problems": {"type": "array", "items": {"type": "string"}, "description": "All problems."},
            },
            "title",
            "status",
            "detail",
        ),
    }
    id_parameter = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}, "example": "d-1"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "simdeploy serve",
            "version": __version__,
            "description": "Simulated deployments, as the API would show them. Other methods are refused with 405, other paths with 404.",
        },
        "paths": {
            path_of(): {
                "get": _operation(
                    "list", "List deployments in the order of their creation.", {200: "DeploymentList"}, 400, query=True
                ),
                "post": _create(),
            },
            path_of("{id}"): {
                "parameters": [id_parameter],
                "get": _operation("get", "Return a deployment.", {200: "DeploymentBody"}, 404),
            },
            **{f"{path_of('{id}')}/{act}": {"parameters": [id_parameter], "post": _act(act)} for act in ACTS},
        },
        "components": {"schemas": schemas},
    }


def _create() -> dict[str, Any]:
    create = _operation(
        "create", "Begin a deployment, which gets its own fleet.", {201: "DeploymentBody"}, 400, 409, 415, 429
    )
    location = {"description": "Path of the deployment.", "schema": {"type": "string"}, "required": True}
    create["responses"]["201"]["headers"] = {"Location": location}
    example = {"deployment": {"spec": {"strategy": "rolling", "max_parallel": 5, "health_check": {"deadline": "5m"}}}}
    content = {_JSON: {"schema": _ref("NewDeployment"), "example": example}}
    return create | {"requestBody": {"required": True, "content": content}}


def _act(act: str) -> dict[str, Any]:
    if act != "rollback":
        return _operation(act, _SUMMARIES[act], {200: "DeploymentBody"}, 404, 409)
    operation = _operation(act, _SUMMARIES[act], {200: "DeploymentBody"}, 400, 404, 409, 415)
    return operation | {"requestBody": {"required": False, "content": {_JSON: {"schema": _ref("RollbackRequest")}}}}


def _operation(
    name: str, summary: str, answers: Mapping[int, str], *refusals: int, query: bool = False
) -> dict[str, Any]:
    responses: dict[str, Any] = {
        str(status): {"description": "Done.", "content": {_JSON: {"schema": _ref(schema)}}}
        for status, schema in answers.items()
    }
    for status in sorted({*refusals, 403, 413, 500, 503}):
        content = {PROBLEM_JSON: {"schema": _ref("Problem")}}
        responses[str(status)] = {"description": _REFUSALS[status], "content": content}
    parameters = [
        _query("offset", 0, 0, MOST_OFFSET, "Number of deployments to skip."),
        _query("limit", LIMIT, 1, MOST_LISTED, "Maximum number of deployments to return."),
    ]
    return {
        "operationId": name,
        "summary": summary,
        **({"parameters": parameters} if query else {}),
        "responses": responses,
    }


def _query(name: str, default: int, low: int, high: int, text: str) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": low, "maximum": high, "default": default}
    return {"name": name, "in": "query", "schema": schema, "description": text}


# -- bodies of requests ----------------------------------------------------------------------------


def _new_deployment(dialect: Dialect, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a new deployment in a dialect; the service sets id and status."""
    keys = _strict(schemas["Deployment"]["properties"])
    ignored = {"description": "Ignored."}
    keys |= {"id": ignored, "status": ignored, "spec": {"anyOf": list(_specs(dialect, schemas))}}
    others: dict[str, Any] = {other: False for other in WRAPPERS if other != dialect}
    return _group(others | {dialect: _group(keys, "spec")}, dialect)


def _specs(dialect: Dialect, schemas: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schema of the spec of each strategy, with its required keys."""
    checks = {each: schemas[_CHECKS[each]]["properties"] for each in WRAPPERS}
    foreign: dict[str, Any] = {key: False for each in WRAPPERS for key in checks[each] if key not in checks[dialect]}
    health_check = _strict(checks[dialect]) | foreign | {"gate": False}
    keys = _strict(schemas[SPEC_TYPES[dialect].__name__]["properties"]) | {"dialect": False}
    anything = _group(health_check)
    yield _group(
        keys | {"strategy": {"const": "immediate"}, "health_check": {"anyOf": [anything, {"type": "null"}]}}, "strategy"
    )
    timed = _group(health_check | {"deadline": _set(health_check["deadline"]["anyOf"][0])}, "deadline")
    yield _group(keys | {"strategy": {"const": "rolling"}, "health_check": timed}, "strategy", "health_check")
    for size in ("canary_count", "canary_percent"):
        number = keys[size]["anyOf"][0] | {"minimum": 1}
        canary = {"strategy": {"const": "canary"}, "health_check": timed, size: number}
        yield _group(keys | canary, "strategy", "health_check", size)


def _strict(schema: Any) -> Any:
    """Return the stricter schema of a request."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")
    if kind == "string" and "enum" not in schema:
        return schema | {"pattern": _LINE}
    if kind == ["string", "number"]:
        return {"type": "string", "pattern": _GO_DURATION}
    if kind == ["integer", "string"]:
        return {"anyOf": [schema | {"type": "integer"}, {"const": ""}]}
    return {key: _strict(part) for key, part in schema.items()}


def _set(duration: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a duration that may not be empty."""
    return duration["anyOf"][0] if "anyOf" in duration else duration | {"minLength": 1}


# -- schemas ---------------------------------------------------------------------------------------


def _group(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF + name}


def _version(text: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": MAX_VERSION, "description": text}


def _without_titles(schema: Any) -> Any:
    """Drop the titles that pydantic derives from names."""
    if isinstance(schema, list):
        return [_without_titles(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _without_titles(part) for key, part in schema.items() if key != "title" or not isinstance(part, str)}
