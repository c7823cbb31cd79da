"""A guard in front of a server: refuses requests for other hosts, from other sites, without the token, and large bodies.

A page on another site may send requests to servers on your machine. Browsers state that site as the origin; or, if its name
has been made to point to your machine (DNS rebinding), as the host. Other programs send no origin.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

PROBLEM_JSON = "application/problem+json"
MOST_BYTES = 1_000_000
_SCHEMES = {"ws": "http", "wss": "https"}  # those of the pages that open a WebSocket


class _TooLarge(Exception):  # noqa: N818 (describes the body)
    pass


class Guard:
    """An ASGI application that passes only harmless requests on to another one.

    The host of a request must be an IP address, ``localhost`` or one of `hosts`. If a request states an origin, as a WebSocket
    must, it must be the same server. The application is called once the body is complete, and not at all if the client
    disconnects before. Refused requests get a problem in JSON (RFC 9457): 403 for a wrong host, origin or token, 413 for a
    large body. A refused WebSocket is closed with 1008.
    """

    def __init__(
        self,
        app: Application,  # the application behind
        *,
        hosts: Collection[str] = (),  # names of this server, besides ``localhost`` and addresses
        token: str | None = None,  # required as ``token`` in the query of every request
        headers: Mapping[str, str] | None = None,  # headers of all answers, refusals included
        most_bytes: int = MOST_BYTES,  # of a body
    ) -> None:
        self._app = app
        self._hosts = {"localhost", *(host.lower() for host in hosts)}
        self._token = token
        self._headers = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        self._most_bytes = most_bytes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or let the application do so."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        send = self._add_headers(send)
        why = self._why_not(scope)
        if why is not None and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why})
        elif why is not None:
            await _refuse(send, HTTPStatus.FORBIDDEN, why)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            try:
                body = await self._read(receive)
            except _TooLarge:
                detail = f"bodies have at most {self._most_bytes:,} bytes"
                await _refuse(send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
                return
            if body is not None:
                await self._app(scope, _repeat(body, receive), send)

    def _why_not(self, scope: Message) -> str | None:
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return "this server doesn't answer to that host name"
        is_socket = scope["type"] == "websocket"
        scheme = scope.get("scheme", "ws" if is_socket else "http")
        expected = f"{_SCHEMES.get(scheme, scheme)}://{hosts[0]}".lower()
        origins = _values(scope, b"origin")
        if any(origin.lower() != expected for origin in origins) or (is_socket and not origins):
            return "requests from pages of other sites are refused"
        if self._token is not None:
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[-1]
            if not secrets.compare_digest(given.encode(), self._token.encode()):
                return "wrong token: open the address that the command printed"
        return None

    def _add_headers(self, send: Send) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        return send_with_headers

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:  # half of an IPv6 address
            return False
        return name in self._hosts or _is_address(name)

    async def _read(self, receive: Receive) -> bytes | None:
        """Return the body of a request; None if the client disconnected before its end."""
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._most_bytes:
                raise _TooLarge
            if not message.get("more_body", False):
                return b"".join(parts)


def _values(scope: Message, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _repeat(body: bytes, receive: Receive) -> Receive:
    """Return a channel from which the application receives the body in one piece."""
    is_read = False

    async def repeated() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return repeated


def write_problem(status: HTTPStatus, detail: str, problems: Collection[object] = ()) -> bytes:
    """Return a problem in JSON (RFC 9457), with a list of all `problems` if there is more than the detail."""
    document: dict[str, Any] = {"title": status.phrase, "status": status.value, "detail": detail}
    if problems:
        document["problems"] = [str(problem) for problem in problems]
    return json.dumps(document, indent=2).encode()


async def _refuse(send: Send, status: HTTPStatus, detail: str) -> None:
    body = write_problem(status, detail)
    headers = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body})
