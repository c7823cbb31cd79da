"""The explorer for a browser: pages and a WebSocket, which require the token, the same origin and a name of this host."""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from simdeploy.errors import InputError, Problem, shorten
from simdeploy.explorer.conversation import Conversation
from simdeploy.explorer.front_end import read_module, read_static, read_style
from simdeploy.web.guarding import Guard

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.requests import Request

    from simdeploy.explorer.answering import Explorer

LONGEST_MESSAGE = 64 * 1024  # bytes
MOST_CONVERSATIONS = 8  # at a time
_TOO_LARGE, _TRY_LATER = 1009, 1013

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


def make_app(explorer: Explorer, token: str, *, hosts: Collection[str] = ()) -> Guard:
    """Return the server as a guarded ASGI application; `hosts` are further names that it answers to."""
    page = read_static("page.html").replace("{title}", html.escape(explorer.scenario.name))
    page = page.replace("{token}", html.escape(token))
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
            return Response(text, media_type=kind)

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
    return Guard(app, hosts=hosts, token=token, headers=_HEADERS)


async def _converse(visitor: WebSocket, explorer: Explorer) -> None:
    """Answer the questions of one front end until it leaves."""
    loop, answers = asyncio.get_running_loop(), asyncio.Queue[str]()

    def send(answer: dict[str, Any]) -> None:
        text = json.dumps(answer, allow_nan=False)  # in the conversation's thread, which reports errors
        with contextlib.suppress(RuntimeError):  # the server has stopped
            loop.call_soon_threadsafe(answers.put_nowait, text)

    async def pass_on() -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the front end has left
            while True:
                await visitor.send_text(await answers.get())

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
