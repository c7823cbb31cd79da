"""A socket to listen on, and a quiet server on it."""

from __future__ import annotations

import errno
import logging
import socket
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError, Problem, shorten, warn_user

if TYPE_CHECKING:
    import uvicorn

_PATIENCE_S = 1  # for pending answers when the server stops


def require_packages(extra: str, *names: str) -> None:
    """Raise `InputError` if packages of an extra of simdeploy are missing."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        hint = f"pip install 'simdeploy[{extra}]'"
        raise InputError(Problem(f"missing packages: {', '.join(missing)}", hint=hint))


def listen(
    host: str,  # an address of this machine, or ``localhost``; names are not looked up
    port: int,  # 0 is any free one
    *others: int,  # ports to try next if it is in use
) -> socket.socket:
    """Return a socket that listens on an address; warn if other machines can reach it.

    Raises
    ------
    InputError
        If the address isn't one of this machine, or the port is in use.
    """
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        allowed = "localhost, or an address such as 127.0.0.1 or 0.0.0.0"
        raise InputError(Problem("not an address", ("--host",), found=shorten(host), allowed=allowed)) from None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        listening = socket.create_server((str(address), port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            if others:
                return listen(host, *others)
            hint = "choose another one; 0 is any free one"
            raise InputError(Problem(f"port {port} is in use", ("--port",), hint=hint)) from None
        raise InputError(
            Problem(f"can't listen: {error.strerror}", ("--host",), found=f"{host}, port {port}")
        ) from None
    if not address.is_loopback:
        warn_user(
            f"other machines can reach {address}; traffic is not encrypted, and whoever has the address can use it"
        )
    # Inherited by connections: otherwise the second part of an answer would wait for 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def url_of(listening: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(app: Any, **settings: Any) -> uvicorn.Server:
    """Return a server of an ASGI application that logs nothing, and leaves the date header to the application.

    `settings` of `uvicorn.Config` add to or replace those here.
    """
    import uvicorn

    quiet = {
        "lifespan": "off",
        "log_config": None,
        "log_level": "error",
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "timeout_graceful_shutdown": _PATIENCE_S,
    }
    return uvicorn.Server(uvicorn.Config(app, **(quiet | settings)))


def serve(server: uvicorn.Server, listening: socket.socket) -> None:
    """Serve until Ctrl-C, which drops unfinished requests without a message."""

    def is_running(_: logging.LogRecord) -> bool:
        return not server.should_exit

    log = logging.getLogger("uvicorn.error")
    log.addFilter(is_running)
    try:
        with listening, suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    finally:
        log.removeFilter(is_running)
