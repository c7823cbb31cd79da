"""The explorer's server on a port of this machine, until it is interrupted."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
import webbrowser
from ipaddress import ip_address
from typing import TYPE_CHECKING

from simdeploy.explorer.server import LONGEST_MESSAGE, make_app
from simdeploy.web import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    import uvicorn

    from simdeploy.explorer.answering import Explorer

_MOST_AT_ONCE = 64  # connections


def make_server(explorer: Explorer, listening: socket.socket) -> tuple[uvicorn.Server, str]:
    """Return a server for a listening socket, and its address with a new token.

    If other machines can reach it, it also answers to this machine's name.
    """
    token = secrets.token_urlsafe(24)
    is_here_only = ip_address(listening.getsockname()[0]).is_loopback
    server = serving.make_server(
        make_app(explorer, token, hosts=() if is_here_only else (socket.gethostname(),)),
        log_level="critical",
        ws="websockets-sansio",
        ws_max_size=LONGEST_MESSAGE,
        limit_concurrency=_MOST_AT_ONCE,
    )
    return server, f"{serving.url_of(listening)}/?token={token}"


def serve(explorer: Explorer, listening: socket.socket, say: Callable[[str], None], *, opens: bool) -> None:
    """Serve the explorer on a socket until the process is interrupted; `say` is called with the address."""
    server, url = make_server(explorer, listening)
    explorer.prepare()
    say(url)
    if opens and _has_screen():
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    serving.serve(server, listening)


def _has_screen() -> bool:
    """Return whether there is a display for a browser; one in the terminal would get in the way."""
    is_unix = sys.platform not in ("darwin", "win32")
    return not is_unix or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
