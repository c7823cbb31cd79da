"""Requests that every server refuses before its application sees them."""

import pytest
from http_calls import call, finish

from simdeploy.web.guarding import MOST_BYTES, Guard


@pytest.fixture
def received():
    """The bodies of requests that the application received."""
    return []


@pytest.fixture
def app(received):
    async def behind(scope, receive, send):
        received.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return Guard(behind, hosts=("sim.example",))


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "[::1]:8080", "localhost", "LOCALHOST:1", "sim.example:80"])
def test_allowed_hosts(app, host):
    """Addresses, localhost and allowed names are answered. [contract]"""
    assert call(app, "GET", "/", host=host, origin=f"http://{host}").status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[::1", "127.0.0.1.evil.example"])
def test_other_hosts(app, received, host):
    """A name that others may point to this machine is refused. [contract]"""
    assert (call(app, "GET", "/", host=host).status, received) == (403, [])


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:81", "localhost"])
def test_other_origins(app, received, origin):
    """A request from a page of another site is refused, and the application doesn't see it. [contract]"""
    assert (call(app, "POST", "/", origin=origin).status, received) == (403, [])


def test_large_bodies(app, received):
    """A body is refused once it is too large, in any number of pieces; others arrive in one piece. [contract]"""
    piece = b" " * (MOST_BYTES // 2)
    assert call(app, "POST", "/", [piece, piece, b" "]).status == 413
    assert call(app, "POST", "/", [piece, piece]).status == 200
    assert received == [piece + piece]


def test_half_a_body(app, received):
    """If the client disconnects before the end of its body, nothing is done. [contract]"""
    messages = iter([{"type": "http.request", "body": b"", "more_body": True}, {"type": "http.disconnect"}])
    sent = []

    async def receive():
        return next(messages)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": [(b"host", b"localhost")]}
    finish(app(scope, receive, send))
    assert (sent, received) == ([], [])


def test_sockets_of_other_origins():
    """A WebSocket is closed at once if it has another site's origin, or none. [contract]"""
    sent = []

    async def send(message):
        sent.append(message["type"])

    async def accept(scope, receive, send):
        await send({"type": "websocket.accept"})

    for origins in ([b"http://localhost"], [b"http://evil.example"], []):
        scope = {
            "type": "websocket",
            "headers": [(b"host", b"localhost"), *((b"origin", each) for each in origins)],
        }
        finish(Guard(accept)(scope, None, send))
    assert sent == ["websocket.accept", "websocket.close", "websocket.close"]
