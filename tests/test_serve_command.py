"""The command `serve`: its address, messages and end."""

import json
import re
import socket
import threading
import time

import pytest
from invoking import invoke

from simdeploy.errors import InputError
from simdeploy.web import serving

SCENARIO = {
    "name": "two",
    "fleet": {"nodes": 2, "update_duration": "30s"},
    "policies": {
        "canary": {"strategy": "canary", "canary_count": 1, "health_check": {"deadline": "2m"}},
        "at-once": {"strategy": "immediate"},
    },
}


def write(folder):
    path = folder / "two.yaml"
    path.write_text(json.dumps(SCENARIO))
    return path


@pytest.mark.parametrize(
    ("host", "says"), [("nowhere.invalid", "--host: not an address"), ("192.0.2.1", "--host: can't listen")]
)
def test_other_addresses(host, says):
    """An address not of this machine is an error that says so; no name is looked up. [contract]"""
    with pytest.raises(InputError, match=says):
        serving.listen(host, 0)


def test_port_in_use(tmp_path):
    """A port in use is an error that names it, and says how to get a free one. [contract]"""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = invoke("serve", write(tmp_path), "--port", port)
    assert result.exit_code == 2
    assert f"--port: port {port} is in use; choose another one; 0 is any free one" in result.output


def test_a_limit_below_the_first_deployments(tmp_path, monkeypatch):
    """Fewer deployments than begin at the start are refused, with what helps. [contract]"""
    monkeypatch.setattr(serving, "serve", lambda *_: None)
    result = invoke("serve", write(tmp_path), "--limit", 1, "--port", 0)
    assert result.exit_code == 2
    assert "--limit: less than the 2 deployments at the start, one per policy (found 1)" in result.output
    assert "choose policies with --policy, or raise --limit" in result.output


def test_missing_packages(tmp_path, monkeypatch):
    """Without the packages of the server the message says what to install. [contract]"""
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    result = invoke("serve", write(tmp_path))
    assert result.exit_code == 2
    assert "pip install 'simdeploy[serve]'" in result.output


def test_ctrl_c_is_quiet(tmp_path, monkeypatch):
    """Ctrl-C ends the command silently, and frees the port. [contract]"""
    import uvicorn

    def run(_, sockets):
        raise KeyboardInterrupt

    monkeypatch.setattr(uvicorn.Server, "run", run)
    result = invoke("serve", write(tmp_path), "--port", "0", "--speed", "60")
    assert result.exit_code == 0
    first, second, url = result.output.splitlines()
    assert (first, second) == ("d-1: canary", "d-2: at-once")
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/deployments, 60 x real time; Ctrl-C stops")
    port = int(re.search(r":(\d+)/", url)[1])
    serving.listen("127.0.0.1", port).close()


def test_ctrl_c_during_a_request_is_quiet(caplog):
    """A request whose body never comes is dropped at the end without a traceback. [contract]"""

    async def never_answer(_scope, receive, _send):
        while True:
            await receive()

    listening = serving.listen("127.0.0.1", 0)
    server = serving.make_server(never_answer, timeout_graceful_shutdown=0)
    thread = threading.Thread(target=serving.serve, args=(server, listening))
    with socket.create_connection(listening.getsockname()) as client:
        thread.start()
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{")
        while not server.server_state.tasks:
            time.sleep(0.01)
        server.should_exit = True
        thread.join()
    assert caplog.records == []


def test_printed_ids_at_high_speed(tmp_path, monkeypatch):
    """Printed ids are those of the policies, even if a rollback comes first. [contract]"""
    import uvicorn

    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: None)
    path = tmp_path / "canceled.yaml"
    path.write_text(json.dumps(SCENARIO | {"operator": {"script": [{"at": "1ns", "do": "cancel"}]}}))
    words = ["serve", str(path), "--port", "0", "--speed", "10000"]
    result = invoke(*words)
    assert result.stdout.splitlines()[:2] == ["d-1: canary", "d-2: at-once"]


@pytest.mark.parametrize(
    ("speed", "message"),
    [("0", "range"), ("nan", "range"), ("-1", "range"), ("10001", "range"), ("fast", "'fast' is not a number")],
)
def test_speeds(tmp_path, speed, message):
    """The speed of the clock must be a positive number and not too high. [contract]"""
    result = invoke("serve", write(tmp_path), "--speed", speed)
    assert result.exit_code == 2
    assert "--speed" in result.output
    assert message in result.output
