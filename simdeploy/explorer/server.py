"""The explorer for a browser: pages and a WebSocket for those who know the token, from the same origin, by this host's name."""

from __future__ import annotations

import asyncio
import contextlib
import html
import ipaddress
import json
import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, QueryParams
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from simdeploy.errors import InputError, Problem, shorten
from simdeploy.explorer.conversation import Conversation
from simdeploy.explorer.front_end import read_module, read_static, read_style

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from simdeploy.explorer.answering import Explorer

LONGEST_MESSAGE = 64 * 1024  # bytes
MOST_CONVERSATIONS = 8  # at a time
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ALL = ("0.0.0.0", "::")  # noqa: S104 - what users may ask for
_POLICY_VIOLATION, _TOO_LARGE, _TRY_LATER = 1008, 1009, 1013

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Access:
    """Who may ask: whoever knows the token and calls this server by one of its names.

    `hosts` are names with the port, as in a Host header. A server on all addresses of this machine may be called by any address,
    but by no other name.
    """

    token: str
    hosts: frozenset[str]
    has_all_addresses: bool = False

    @classmethod
    def at(cls, host: str, port: int) -> Access:
        """Return the access to a server on an address, with a new token."""
        names = {host, *(_LOOPBACK if host in _LOOPBACK or host in _ALL else ())}
        names |= {socket.gethostname()} if host in _ALL else set()
        hosts = frozenset(f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in names)
        return cls(secrets.token_urlsafe(24), hosts, host in _ALL)

    def knows(self, host: str) -> bool:
        """Return whether a Host header names this server."""
        if host in self.hosts:
            return True
        if not self.has_all_addresses:
            return False
        try:
            ipaddress.ip_address(host.rpartition(":")[0].strip("[]"))
        except ValueError:
            return False
        return True

    def find_fault(self, headers: Headers, query: QueryParams, *, needs_origin: bool) -> str | None:
        """Return why a request is refused; None if it isn't.

        The name protects against other sites that call themselves this machine, the origin against pages of other sites.
        """
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self.knows(host):
            return "unknown host name"
        if (needs_origin or origin is not None) and origin != f"http://{host}":
            return "foreign origin"
        given = query.get("token", "")
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            return "wrong token: open the address that simdeploy explore printed"
        return None


class _Guard:
    """Refuses requests that `Access` faults, before any of them is looked at, and adds headers to all answers."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        is_socket = scope["type"] == "websocket"
        query = QueryParams(scope.get("query_string", b""))
        fault = self._access.find_fault(Headers(scope=scope), query, needs_origin=is_socket)
        if fault is None:
            await self._app(scope, receive, send)
        elif is_socket:
            await WebSocket(scope, receive, send).close(_POLICY_VIOLATION, fault)
        else:
            await PlainTextResponse(f"{fault}\n", 403, _HEADERS)(scope, receive, send)


def make_app(explorer: Explorer, access: Access) -> Starlette:
    """Return the server as an ASGI application."""
    token = html.escape(access.token)
    page = read_static("page.html").replace("{title}", html.escape(explorer.scenario.name)).replace("{token}", token)
    texts = {
        "/": (page, "text/html"),
        "/explorer.js": (read_module(), "text/javascript"),
        "/host.js": (read_static("host.js"), "text/javascript"),
        "/explorer.css": (read_style(), "text/css"),
        "/icon.svg": (read_static("icon.svg"), "image/svg+xml"),
    }
    talking: set[WebSocket] = set()

    def serve(text: str, kind: str) -> Any:
        async def answer(_request: Request) -> Response:
            return Response(text, media_type=kind, headers=_HEADERS)

        return answer

    async def talk(visitor: WebSocket) -> None:
        if len(talking) >= MOST_CONVERSATIONS:
            await visitor.close(_TRY_LATER, "too many conversations")
            return
        talking.add(visitor)
        try:
            await visitor.accept()
            await _converse(visitor, explorer)
        finally:
            talking.discard(visitor)

    routes = [Route(path, serve(*text), methods=["GET"]) for path, text in texts.items()]
    app = Starlette(routes=[*routes, WebSocketRoute("/talk", talk)])
    app.add_middleware(_Guard, access=access)
    return app


async def _converse(visitor: WebSocket, explorer: Explorer) -> None:
    """Answer the questions of one front end until it leaves."""
    loop, answers = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any]]()

    def send(answer: dict[str, Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(answers.put_nowait, answer)

    async def pass_on() -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it has left
            while True:
                await visitor.send_text(json.dumps(await answers.get(), allow_nan=False))

    conversation = Conversation(explorer, send)
    sending = asyncio.create_task(pass_on())
    try:
        while True:
            message = await visitor.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            size = len(message.get("bytes") or b"") if text is None else len(text.encode())
            if size > LONGEST_MESSAGE:
                await visitor.close(_TOO_LARGE, "message too large")
                return
            try:
                conversation.hear(_parse(text))
            except InputError as error:
                conversation.refuse(error)
    finally:
        conversation.close()
        sending.cancel()


def _parse(text: str | None) -> object:
    """Return the value of a JSON text."""
    if text is None:
        raise InputError(Problem("not a text", allowed="JSON"))
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(Problem("not JSON", found=shorten(text))) from None
