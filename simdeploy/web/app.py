"""The service over HTTP: paths, status codes, and problems in JSON (RFC 9457)."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from simdeploy.api import Deployment, canonical_json
from simdeploy.errors import InputError, Problem, SimulationError, printable, shorten
from simdeploy.web.guarding import PROBLEM_JSON, Application, Guard, write_problem
from simdeploy.web.openapi import LIMIT, MOST_LISTED, MOST_OFFSET, describe_api, path_of
from simdeploy.web.service import ACTS, Behind, Full, Refused, Service, UnknownDeployment, read_rollback

if TYPE_CHECKING:
    from starlette.requests import Request

    from simdeploy.engines.reference.people import Act

_JSON = "application/json"
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)


def make_app(service: Service, *, hosts: Collection[str] = ()) -> Application:
    """Return the guarded ASGI application of a service; `hosts` are further names that it answers to."""
    described = json.dumps(describe_api(), indent=2).encode()

    async def show_description(_: Request) -> Response:
        return Response(described, media_type=_JSON)

    async def list_deployments(request: Request) -> Response:
        offset = _read_number(request, "offset", 0, (0, MOST_OFFSET))
        limit = _read_number(request, "limit", LIMIT, (1, MOST_LISTED))
        deployments, total = service.list(offset, limit)
        bodies = [deployment.to_body() for deployment in deployments]
        return Response(canonical_json({"deployments": bodies, "total": total}), media_type=_JSON)

    async def create(request: Request) -> Response:
        deployment = service.create(await _read_json(request))
        response = _show(deployment, HTTPStatus.CREATED)
        response.headers["Location"] = path_of(deployment.id)
        return response

    async def list_or_create(request: Request) -> Response:
        return await (create if request.method == "POST" else list_deployments)(request)

    async def show(request: Request) -> Response:
        return _show(service.show(request.path_params["id"]))

    def acting(act: Act) -> Callable[[Request], Awaitable[Response]]:
        async def do(request: Request) -> Response:
            target = None
            if act == "rollback" and await request.body():
                target = read_rollback(await _read_json(request))
            return _show(service.act(request.path_params["id"], act, target))

        return do

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        service.tick()  # only now: the guard has received the body
        await app(scope, receive, send)

    async def stamp(scope: Any, receive: Any, send: Any) -> None:
        """Add the simulated time to every answer, as its date."""

        async def send_with_date(message: Any) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(datetime.fromisoformat(service.now[:19] + "+00:00"), usegmt=True)
                message["headers"] = [*message["headers"], (b"date", date.encode())]
            await send(message)

        service.tick()
        await guard(scope, receive, send_with_date)

    deployment_path = path_of("{id}")
    app = Starlette(
        routes=[
            Route("/openapi.json", show_description),
            Route(path_of(), list_or_create, methods=["GET", "POST"]),
            Route(deployment_path, show),
            *(Route(f"{deployment_path}/{act}", acting(act), methods=["POST"]) for act in ACTS),
        ],
        exception_handlers=dict.fromkeys((*_STATUS, HTTPException), _show_problem),
    )
    app.router.redirect_slashes = False
    guard = Guard(answer, hosts=hosts)
    return stamp


# Errors by status code.
_STATUS = {
    InputError: HTTPStatus.BAD_REQUEST,
    UnknownDeployment: HTTPStatus.NOT_FOUND,
    Refused: HTTPStatus.CONFLICT,
    Full: HTTPStatus.TOO_MANY_REQUESTS,
    SimulationError: HTTPStatus.INTERNAL_SERVER_ERROR,
    Behind: HTTPStatus.SERVICE_UNAVAILABLE,
}


def _show(deployment: Deployment, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(deployment.to_json(), status, media_type=_JSON)


async def _show_problem(_: Request, error: Exception) -> Response:
    """Return an error as a problem in JSON."""
    headers = error.headers if isinstance(error, HTTPException) else None
    status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else _STATUS[type(error)]
    detail = error.detail if isinstance(error, HTTPException) else printable(str(error).partition("\n")[0])
    problems = error.problems if isinstance(error, InputError | Refused) else ()
    return Response(write_problem(status, detail, problems), status, headers=headers, media_type=PROBLEM_JSON)


async def _read_json(request: Request) -> bytes:
    """Return the body of a request whose content type is JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _JSON:
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        raise HTTPException(status, f"Content-Type must be {_JSON}")
    return await request.body()


def _read_number(request: Request, name: str, default: int, bounds: tuple[int, int]) -> int:
    """Return a number from the query."""
    values = request.query_params.getlist(name)
    if not values:
        return default
    low, high = bounds
    if len(values) > 1 or not _NUMBER.fullmatch(values[0]) or not low <= int(values[0]) <= high:
        allowed = f"one whole number from {low:,} to {high:,}"
        raise InputError(Problem("out of range", (name,), found=shorten(", ".join(values)), allowed=allowed))
    return int(values[0])
