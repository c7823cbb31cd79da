"""The explorer's server, command and widget: access, answers, and messages about invalid input."""

import json
import queue
import re
import socket
import sys
import warnings
from contextlib import closing, suppress

import pytest
from commands import SCENARIOS
from invoking import invoke
from starlette.websockets import WebSocketDisconnect

import simdeploy
from simdeploy.errors import InputError
from simdeploy.explorer import running, server
from simdeploy.explorer.answering import Effort, Explorer
from simdeploy.explorer.front_end import read_module, read_style
from simdeploy.web import serving

with warnings.catch_warnings(action="ignore"):  # for the client that it is based on, and that will change
    from starlette.testclient import TestClient

ORIGIN = "http://127.0.0.1:8765"
PATHS = ("/", "/explorer.js", "/host.js", "/explorer.css", "/icon.svg")

pytestmark = pytest.mark.usefixtures("few_rollouts")


@pytest.fixture
def few_rollouts(monkeypatch):
    """Answer with few rollouts, without refinement."""
    monkeypatch.setattr(Explorer, "efforts", lambda _: [Effort(10, True)])


@pytest.fixture
def explorer(make_scenario):
    scenario = make_scenario(fleet={"nodes": 4})
    return Explorer(scenario, scenario.policies, engine="reference")


@pytest.fixture
def client(explorer):
    with TestClient(server.make_app(explorer, "the-token"), base_url=ORIGIN) as client:
        yield client


def talk(client, token="the-token", **headers):  # noqa: S107
    """Open a WebSocket as the server's own page does."""
    headers = {"origin": ORIGIN, "host": "127.0.0.1:8765", **headers}
    return client.websocket_connect(f"/talk?token={token}", headers={k: v for k, v in headers.items() if v is not None})


def ask(policy="p", **more):
    return {"ask": 1, "position": {"policy": policy, "values": {}}, **more}


# -- who may ask -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_a_page_needs_the_token(client, path):
    """Each part of the page needs the token; without it, or with another, there is nothing. [contract]"""
    assert client.get(path, params={"token": "the-token"}).status_code == 200
    for token in ({}, {"token": ""}, {"token": "the-toke"}, {"token": "thé-token"}, {"token": "the-token\x00"}):
        refused = client.get(path, params=token)
        assert refused.status_code == 403
        assert "wrong token" in refused.text
        assert len(refused.text) < 150


@pytest.mark.parametrize("headers", [
    {"host": "example.org"}, {"host": "127.0.0.1"}, {"host": "127.0.0.1:8766"}, {"host": "127.0.0.1.example.org:8765"},
    {"origin": "http://example.org"}, {"origin": "null"}, {"origin": "https://127.0.0.1:8765"}, {"origin": "http://127.0.0.1:9"},
])  # fmt: skip
def test_other_names_and_origins_are_refused(client, headers):
    """Requests to another host name or from another origin are refused even with the token. [contract]"""
    of_page = {"origin": ORIGIN, **headers}
    assert client.get("/", params={"token": "the-token"}, headers=of_page).status_code == 403
    with pytest.raises(WebSocketDisconnect) as closed, talk(client, **headers):
        pass
    assert closed.value.code == 1008


@pytest.mark.parametrize("refused", [{"token": "other"}, {"token": ""}, {"origin": None}])
def test_a_conversation_needs_token_and_origin(client, refused):
    """A WebSocket without the token, or without an origin, is refused. [contract]"""
    with pytest.raises(WebSocketDisconnect) as closed, talk(client, **refused):
        pass
    assert closed.value.code == 1008


@pytest.mark.parametrize(("host", "is_called"), [("127.0.0.1", False), ("0.0.0.0", True)])  # noqa: S104
@pytest.mark.filterwarnings("ignore:other machines")
def test_names_of_a_server(explorer, host, is_called):
    """Only a server that others can reach accepts this machine's name, none a foreign one; tokens differ. [contract]"""
    names = {**dict.fromkeys(("10.0.0.7", "[fe80::1]", "localhost"), 200), "example.org": 403}
    names[socket.gethostname()] = 200 if is_called else 403
    with closing(serving.listen(host, 0)) as listening:
        made, url = running.make_server(explorer, listening)
        token = url.partition("?token=")[2]
        assert len(token) >= 32
        assert running.make_server(explorer, listening)[1] != url
    visitor = TestClient(made.config.app)
    for name, status in names.items():
        answer = visitor.get("/icon.svg", params={"token": token}, headers={"host": f"{name}:80"})
        assert answer.status_code == status, name


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "/../pyproject.toml", "/static/host.js"])
def test_every_answer_has_the_policy(client, path):
    """Every answer, also a refusal, forbids scripts, styles and connections from elsewhere. [contract]"""
    for token in ("the-token", "wrong"):
        answer = client.get(path, params={"token": token})
        rules = dict(rule.strip().split(" ", 1) for rule in answer.headers["content-security-policy"].split(";"))
        assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
        assert {rules[f"{kind}-src"] for kind in ("script", "style", "connect", "img")} == {"'self'"}
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.status_code == (403 if token == "wrong" else 200 if path in PATHS else 404)  # noqa: S105


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_pages_are_read_only(client, method):
    """Pages can only be read. [contract]"""
    assert client.request(method, "/", params={"token": "the-token"}).status_code == 405


def test_the_page_is_self_contained(client):
    """The page has no inline script or style, and requests only what this server has; its title can't be markup. [contract]"""
    page = client.get("/", params={"token": "the-token"}).text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    parts = {path[1:] for path in PATHS if path not in ("/", "/explorer.js")}
    assert {address.partition("?")[0] for address in addresses} == parts
    assert all(address.endswith("?token=the-token") for address in addresses)
    assert not re.search(r"<style|style=|<script[^>]*>[^<]| on\w+=", page)
    scenario = simdeploy.Scenario.from_dict(
        {"name": "a&lt;b", "fleet": {"nodes": 1, "update_duration": "1s"}, "policies": {"p": {"strategy": "immediate"}}}
    )
    with TestClient(server.make_app(Explorer(scenario, scenario.policies), "the-token"), base_url=ORIGIN) as other:
        assert "<title>a&amp;lt;b - " in other.get("/", params={"token": "the-token"}).text


# -- what they get -----------------------------------------------------------------------------------------------------


def test_a_question_is_answered(client):
    """Over a WebSocket a question gets the answers of a conversation. [contract]"""
    with talk(client) as visitor:
        assert visitor.receive_json()["type"] == "start"
        visitor.send_json(ask())
        answers = [visitor.receive_json() for _ in range(3)]
        assert [answer["type"] for answer in answers] == ["numbers", "controls", "rollout"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 60_000, "not JSON"),
        ("1" * 10_000, "not JSON"),
        ("null", "not a question"),
        ('{"ask": NaN}', "ask: not a number"),
        ('{"ask": 1e999}', "ask: not a number"),
        ('{"ask": 1, "position": {"policy": "\\ud800"}}', "no such policy"),
        ('{"ask": 1, "position": {"policy": "p", "values": {"fleet.nodes": 99999999999999999999}}}', "nodes"),
        ('{"ask": 1, "position": {"policy": "p", "values": {"\\u001b[2J": 1}}}', "no such key"),
    ],
)
def test_malformed_messages_are_answered(client, text, says):
    """Any malformed message is answered with the reason in plain text, and the next question with its numbers. [contract]"""
    with talk(client) as visitor:
        visitor.receive_json()
        visitor.send_text(text)
        answer = visitor.receive_json()
        assert answer["type"] == "error"
        assert says in answer["problems"][0]
        assert "Traceback" not in str(answer)
        assert "\x1b" not in answer["problems"][0]
        assert len(json.dumps(answer)) < 2000
        visitor.send_json(ask())
        assert visitor.receive_json()["type"] == "numbers"


def test_an_unwritable_answer_is_an_error(client, monkeypatch):
    """An answer that isn't valid JSON is replaced by an error, and the next question gets its numbers. [contract]"""
    with talk(client) as visitor, monkeypatch.context() as patched:
        visitor.receive_json()
        patched.setattr(Explorer, "estimate", lambda *_: [float("nan")])
        visitor.send_json(ask())
        answer = visitor.receive_json()
        assert (answer["type"], answer["ask"]) == ("error", 1)
        patched.undo()
        visitor.send_json(ask())
        assert visitor.receive_json()["type"] == "numbers"


def test_binary_and_large_messages(client):
    """A binary message is answered; one that is too large ends the conversation. [contract]"""
    with talk(client) as visitor:
        visitor.receive_json()
        visitor.send_bytes(b"\x00\xff")
        assert "not a text" in visitor.receive_json()["problems"][0]
        visitor.send_text(" " * (server.LONGEST_MESSAGE + 1))
        with pytest.raises(WebSocketDisconnect) as closed:
            visitor.receive_json()
        assert closed.value.code == 1009


def test_conversations_are_limited(client, monkeypatch):
    """Beyond the limit a visitor is asked to come later, and may when another has left. [contract]"""
    monkeypatch.setattr(server, "MOST_CONVERSATIONS", 1)
    with talk(client) as first:
        first.receive_json()
        with pytest.raises(WebSocketDisconnect) as closed, talk(client):
            pass
        assert closed.value.code == 1013
    with talk(client) as later:
        assert later.receive_json()["type"] == "start"


# -- the port and the command ------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch):
    """Run the command until the simulated Ctrl-C; return its result and what it served."""
    import uvicorn

    served = []

    def interrupt(self, sockets):
        served.append((self.config, sockets[0].getsockname()))
        raise KeyboardInterrupt

    monkeypatch.setattr(uvicorn.Server, "run", interrupt)
    monkeypatch.setattr(running.webbrowser, "open", served.append)
    monkeypatch.setattr(Explorer, "prepare", lambda _: None)

    def call(*arguments):
        return invoke("explore", SCENARIOS / "small-fleet.yaml", *arguments), served

    return call


def test_the_command_prints_its_address_and_ends_quietly(run, monkeypatch):
    """The command prints an address with a token, opens it in a browser, and ends silently at Ctrl-C. [contract]"""
    monkeypatch.setattr(running, "_has_screen", lambda: True)
    ended, served = run("--port", "0", "--policy", "canary")
    assert (ended.exit_code, ended.stderr) == (0, "Ctrl-C ends it.\n")
    found = re.fullmatch(r"(http://127\.0\.0\.1:(\d+)/\?token=[\w-]{32,})\n", ended.stdout)
    assert found
    urls = [each for each in served if isinstance(each, str)]
    (config, address) = next(each for each in served if not isinstance(each, str))
    assert urls == [found[1]]
    assert address == ("127.0.0.1", int(found[2]))
    assert config.ws_max_size == server.LONGEST_MESSAGE


def test_no_browser(run, monkeypatch):
    """With --no-browser no browser is opened, even if there is a display. [contract]"""
    monkeypatch.setattr(running, "_has_screen", lambda: True)
    assert not any(isinstance(each, str) for each in run("--no-browser", "--port", "0")[1])


def test_a_taken_default_port_is_replaced(run):
    """If the usual port is taken, any free one is used. [contract]"""
    taken = socket.socket()
    with taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # another process has it
            taken.bind(("127.0.0.1", 8765))
            taken.listen()
        ended, [(_, (_, port))] = run("--no-browser")
    assert ended.exit_code == 0
    assert port != 8765
    assert f"http://127.0.0.1:{port}/?token=" in ended.stdout


def test_addresses_for_other_machines_are_warned_about(run):
    """An address that other machines reach causes a warning; loopback doesn't. [contract]"""
    assert "warning: other machines can reach 0.0.0.0" in run("--host", "0.0.0.0", "--port", "0")[0].stderr  # noqa: S104
    assert "warning" not in run("--host", "localhost", "--port", "0")[0].stderr


def test_wrong_input_is_reported_before_serving(run):
    """A port in use, an impossible one and an unknown policy are errors with exit code 2. [contract]"""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        taken_port = taken.getsockname()[1]
        ended, served = run("--port", str(taken_port))
    assert (ended.exit_code, served) == (2, [])
    assert f"error: --port: port {taken_port} is in use; choose another one" in ended.stderr
    assert run("--policy", "canari", "--port", "0")[0].exit_code == 2
    assert run("--port", "65536")[0].exit_code == 2


def test_a_missing_extra_is_named(run, monkeypatch, make_scenario):
    """Without the extra's packages, command and call name the missing ones and how to install them. [contract]"""
    monkeypatch.setattr(serving, "find_spec", lambda name: None if name in ("uvicorn", "anywidget") else sys)
    ended, _ = run("--port", "0")
    assert (ended.exit_code, ended.stderr) == (
        2,
        "error: missing packages: uvicorn; pip install 'simdeploy[explore]'\n",
    )
    with pytest.raises(InputError, match=r"missing packages: anywidget; pip install 'simdeploy\[explore\]'"):
        simdeploy.explore(make_scenario())


# -- the widget --------------------------------------------------------------------------------------------------------


def test_the_widget_has_the_same_front_end_and_answers(make_scenario, monkeypatch):
    """A notebook has the server's module and style, and a question gets the same answers. [contract]"""
    monkeypatch.setattr(Explorer, "prepare", lambda _: None)
    widget = simdeploy.explore(make_scenario(fleet={"nodes": 4}), "p", engine="reference")
    assert widget.get_state()["_esm"] == read_module()
    assert widget.get_state()["_css"] == read_style()
    assert widget.position == {"policy": "p", "values": {}}
    answers = queue.Queue()
    monkeypatch.setattr(widget, "send", answers.put)
    for content in ("hello", ask()):
        widget._handle_custom_msg({"view": "a", "content": content}, [])
    assert [answers.get(timeout=30)["type"] for _ in range(3)] == ["start", "numbers", "controls"]
    widget.close()


def test_each_view_of_a_widget_has_a_conversation(make_scenario, monkeypatch):
    """A widget in two cells answers each by its id, also after the other is gone; messages without one are ignored. [contract]"""
    monkeypatch.setattr(Explorer, "prepare", lambda _: None)
    widget = simdeploy.explore(make_scenario(fleet={"nodes": 4}), "p", engine="reference")
    answers = queue.Queue()
    monkeypatch.setattr(widget, "send", answers.put)

    def say(view, content):
        widget._handle_custom_msg({"view": view, "content": content}, [])

    say("a", "hello")
    say("b", "hello")
    assert [answers.get(timeout=30)["view"] for _ in range(2)] == ["a", "b"]
    say("a", ask())
    assert {answers.get(timeout=30)["view"] for _ in range(3)} == {"a"}
    say("a", "bye")
    for nobody in ("hello", {"view": 1}, {"content": "hello"}, None):
        widget._handle_custom_msg(nobody, [])
    say("a", ask())
    say("b", ask())
    answer = answers.get(timeout=30)
    assert (answer["view"], answer["type"]) == ("b", "numbers")
    for number in range(20):  # rerun cells
        say(str(number), "hello")
    assert len(widget._conversations) == 8
    widget.close()
    assert widget._conversations == {}


def test_an_unsaved_policy_is_first(make_scenario):
    """A spec that is not in the scenario is the starting position, beside the scenario's policies. [contract]"""
    spec = {"strategy": "immediate"}
    widget = simdeploy.explore(make_scenario(), spec, engine="reference")
    assert len(widget._explorer.policies) == 2
    assert next(iter(widget._explorer.policies.values())).spec.strategy == "immediate"
