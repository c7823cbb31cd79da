"""The explorer's server on a port of this machine, until it is interrupted."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING

from simdeploy.errors import InputError, Problem
from simdeploy.explorer.server import LONGEST_MESSAGE, Access, make_app

if TYPE_CHECKING:
    from collections.abc import Callable

    import uvicorn

    from simdeploy.explorer.answering import Explorer

DEFAULT_PORT = 8765
_MOST_AT_ONCE = 64  # connections


def open_port(host: str, port: int | None) -> socket.socket:
    """Return a socket bound to a port; without one, the usual port or, if that is in use, any free one."""
    problem: OSError | None = None
    for wanted in (DEFAULT_PORT, 0) if port is None else (port,):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, wanted, type=socket.SOCK_STREAM)[0]
            bound = socket.socket(family, kind, protocol)
        except OSError as error:
            raise InputError(Problem("no such address", ("--host",), found=host, hint=error.strerror)) from None
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(_MOST_AT_ONCE)
        except OSError as error:
            bound.close()
            problem = error
            if error.errno != errno.EADDRINUSE:
                break
        else:
            return bound
    if problem is not None and problem.errno == errno.EADDRINUSE:
        hint = "choose another, or leave --port out for a free one"
        raise InputError(Problem("the port is in use", ("--port",), found=str(port), hint=hint))
    reason = problem.strerror if problem is not None else None
    raise InputError(Problem(f"can't listen there: {reason}", ("--host, --port",), found=f"{host}, {port}"))


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_server(explorer: Explorer, bound: socket.socket, host: str) -> tuple[uvicorn.Server, str]:
    """Return a server for a bound socket, and its address with the token."""
    import uvicorn

    port = bound.getsockname()[1]
    access = Access.at(host, port)
    config = uvicorn.Config(
        make_app(explorer, access),
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        ws="websockets-sansio",
        ws_max_size=LONGEST_MESSAGE,
        limit_concurrency=_MOST_AT_ONCE,
        timeout_graceful_shutdown=1,
        lifespan="off",
    )
    return uvicorn.Server(config), f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={access.token}"


def serve(explorer: Explorer, bound: socket.socket, host: str, say: Callable[[str], None], *, opens: bool) -> None:
    """Serve the explorer on a bound socket until the process is interrupted; `say` is told the address."""
    server, url = make_server(explorer, bound, host)
    explorer.prepare()
    say(url)
    if opens and _has_screen():
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[bound])


def _has_screen() -> bool:
    """Return whether a browser has somewhere to appear; one in the terminal would get in the way."""
    is_unix = sys.platform not in ("darwin", "win32")
    return not is_unix or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
