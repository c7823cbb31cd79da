"""Deployments over HTTP: what the API documents, what is refused, and every revision as time passes."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading

import pytest
from click.testing import CliRunner
from clocks import Clock
from http_calls import call

from simdeploy import Scenario, simulate
from simdeploy.api import parse_deployment
from simdeploy.cli.app import app as command_line
from simdeploy.errors import InputError, Problem
from simdeploy.units import NS_PER_S
from simdeploy.web import serving
from simdeploy.web.app import make_app
from simdeploy.web.guarding import MOST_BYTES, Guard
from simdeploy.web.service import ACTS, Service

pytestmark = pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning")

CHECK = {"deadline": "2m", "min_healthy_time": "30s"}
CANARY = {"strategy": "canary", "canary_count": 2, "max_parallel": 2, "health_check": CHECK}
SIX = {
    "name": "six",
    "fleet": {
        "nodes": 6,
        "update_duration": {"uniform": {"low": "20s", "high": "40s"}},
        "start_failure": 0.2,
        "start_attempts": 5,
    },
    "deployment": {"created_at": "2026-01-05T09:00:00+01:00"},
    "policies": {"canary": CANARY, "at-once": {"strategy": "immediate"}},
}
SPEC = {"strategy": "rolling", "max_parallel": 3, "health_check": CHECK}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def app(clock):
    return make_app(make_service(clock, most=5))


def make_service(clock, **options):
    scenario = Scenario.from_dict(SIX)
    return Service(scenario, list(scenario.policies.values()), clock=clock, **options)


def body_of(spec=SPEC, **keys):
    return json.dumps({"deployment": {"spec": spec, **keys}}).encode()


def state_of(answer):
    return answer.json["deployment"]["status"]["state"]


class Client:
    """A plain client of a real server on the loopback interface."""

    def __init__(self, app) -> None:
        self._socket = serving.listen("127.0.0.1", 0)
        self._server = serving.make_server(app)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self):
        self._thread.start()
        self._connection = http.client.HTTPConnection(*self._socket.getsockname(), timeout=20)
        return self

    def __exit__(self, *_):
        self._connection.close()
        self._server.should_exit = True
        self._thread.join(20)
        self._socket.close()

    def ask(self, method, path, body=None):
        headers = {} if body is None else {"Content-Type": "application/json"}
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read().decode()


def test_a_canary_rollout_through_a_plain_client(clock):
    """Every revision that a client sees, from creation through a promotion to the end, is the engine's. [contract]"""
    scenario = Scenario.from_dict(SIX)
    with Client(make_app(make_service(clock))) as client:
        clock.pass_s(3600)  # so it begins at another time of day, in the next world
        status, created = client.ask("POST", "/deployments", json.dumps({"deployment": {"spec": CANARY}}))
        seen = [created]
        assert status == 201
        # Of the engine's: the same deployment, whose script promotes a nanosecond after half an hour.
        begins = {"deployment.created_at": "2026-01-05T10:00:00+01:00"}
        script = [{"at": f"{1800 * NS_PER_S + 1}ns", "do": "promote"}]
        whole = scenario.with_values(begins | {"operator": {"promote_after": "99h", "script": script}})
        same = parse_deployment(json.dumps({"deployment": {"id": "d-3", "spec": CANARY}}))
        rollout = simulate(whole, same, replication=1)
        times_s = rollout.revisions["time_s"].tolist()
        for at_s in [at_s for at_s in times_s if 0 < at_s < 1800]:
            clock.now_ns = 3600 * NS_PER_S + round(at_s * NS_PER_S)
            seen.append(client.ask("GET", "/deployments/d-3")[1])
        clock.now_ns = 5400 * NS_PER_S
        assert client.ask("GET", "/deployments/d-3")[1] == seen[-1]
        seen.append(client.ask("POST", "/deployments/d-3/promote")[1])
        for at_s in [at_s for at_s in times_s if at_s > 1801]:
            clock.now_ns = 3600 * NS_PER_S + round(at_s * NS_PER_S)
            seen.append(client.ask("GET", "/deployments/d-3")[1])
        clock.pass_s(10**6)
        assert client.ask("GET", "/deployments/d-3")[1] == seen[-1]
    expected = [rollout.deployment_at(revision).to_json() for revision in range(1, len(times_s) + 1)]
    assert seen == expected
    assert json.loads(seen[-1])["deployment"]["status"]["state"] == "completed"
    assert len(seen) > 7


class TestActs:
    def test_pause_and_resume(self, app, clock):
        """A paused deployment stands still until it is resumed; either act twice is a conflict. [contract]"""
        clock.pass_s(10)
        assert state_of(call(app, "POST", "/deployments/d-1/pause")) == "paused"
        assert call(app, "POST", "/deployments/d-1/pause").status == 409
        clock.pass_s(10**6)
        assert call(app, "GET", "/deployments/d-1").json["deployment"]["status"]["updated_nodes"] <= 2
        assert state_of(call(app, "POST", "/deployments/d-1/resume")) == "in_progress"
        assert call(app, "POST", "/deployments/d-1/resume").json["detail"] == (
            "resume is impossible: the deployment is not paused"
        )

    def test_promote_needs_canaries(self, app, clock):
        """What has no canaries, or none that are resolved, can't be promoted. [contract]"""
        for id_ in ("d-1", "d-2"):
            assert call(app, "POST", f"/deployments/{id_}/promote").status == 409

    def test_cancel(self, app, clock):
        """A canceled deployment is rolled back, and the rollback is listed after it. [contract]"""
        clock.pass_s(10)
        assert state_of(call(app, "POST", "/deployments/d-1/cancel")) == "canceled"
        listed = call(app, "GET", "/deployments").json
        ids = [one["deployment"]["id"] for one in listed["deployments"]]
        assert ids == ["d-1", "d-1-rollback", "d-2"]
        assert listed["total"] == 3
        assert call(app, "POST", "/deployments/d-1/cancel").status == 409

    def test_rollback(self, app, clock):
        """The answer is a new deployment of type rollback with the versions swapped, which nobody can act on. [contract]"""
        clock.pass_s(10)
        rollback = call(app, "POST", "/deployments/d-1/rollback", b'{"target_version": 1.0}')
        deployment = rollback.json["deployment"]
        assert (rollback.status, deployment["id"], deployment["type"]) == (200, "d-1-rollback", "rollback")
        assert (deployment["from_version"], deployment["to_version"]) == (2, 1)
        assert state_of(call(app, "GET", "/deployments/d-1")) == "canceled"
        for act in ACTS:
            assert call(app, "POST", f"/deployments/d-1-rollback/{act}").status == 409

    def test_other_versions_are_gone(self, app, clock):
        """Nodes go back to the version that they had. [contract]"""
        answer = call(app, "POST", "/deployments/d-1/rollback", b'{"target_version": 0}')
        assert (answer.status, answer.json["detail"]) == (
            409,
            "rollback is impossible: the nodes have version 1 to go back to",
        )

    def test_time_does_not_go_back(self, app, clock):
        """Acts at one instant come one after the other, and so do answers if the clock falls back. [contract]"""
        clock.pass_s(10)
        for act in ("pause", "resume", "pause"):
            assert call(app, "POST", f"/deployments/d-1/{act}").status == 200
        clock.pass_s(-10)
        later = call(app, "GET", "/deployments/d-1")
        assert (state_of(later), later.headers["date"]) == ("paused", "Mon, 05 Jan 2026 08:00:10 GMT")


def test_behind_the_clock(clock, monkeypatch):
    """What takes too long is said so, and goes on with the next request; no act is done meanwhile. [contract]"""
    service = make_service(clock, patience_s=0)
    app = make_app(service)
    clock.pass_s(3600)
    for method, path in (("GET", "/deployments"), ("GET", "/deployments/d-1"), ("POST", "/deployments/d-1/cancel")):
        answer = call(app, method, path)
        assert answer.status == 503
        assert answer.json["detail"].startswith("the simulation is behind its clock")
    monkeypatch.setattr(service, "_patience_s", 60)
    assert state_of(call(app, "GET", "/deployments/d-1")) == "in_progress"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/deployments", b"", 200),
        ("GET", "/deployments/d-2", b"", 200),
        ("POST", "/deployments", body_of(), 201),
        ("GET", "/openapi.json", b"", 200),
        ("GET", "/elsewhere", b"", 404),
        ("POST", "/deployments", b" " * (MOST_BYTES + 1), 413),
    ],
)
def test_an_answer_is_of_one_instant(method, path, body, status):
    """The date is the instant at which the answer is true, even if the clock goes on meanwhile. [contract]"""

    class Hasty(Clock):
        def __call__(self):
            self.pass_s(1)
            return self.now_ns

    clock = Hasty()
    answer = call(make_app(make_service(clock)), method, path, body)
    assert answer.status == status
    ticks = 1 if status == 413 else 2
    assert answer.headers["date"] == f"Mon, 05 Jan 2026 08:00:0{ticks} GMT"
    assert clock.now_ns == ticks * NS_PER_S


class TestCreating:
    def test_what_is_created(self, app, clock):
        """It begins now, with the identity of the body, in the next world; the service says id and status. [contract]"""
        clock.pass_s(90)
        status = {"state": "completed"}
        answer = call(app, "POST", "/deployments", body_of(id="mine", job_id="other", to_version=8, status=status))
        deployment = answer.json["deployment"]
        assert (answer.status, answer.headers["location"]) == (201, "/deployments/d-3")
        assert (deployment["id"], deployment["job_id"], deployment["to_version"]) == ("d-3", "other", 8)
        assert deployment["status"]["created_at"] == "2026-01-05T08:01:30Z"
        assert deployment["spec"] == SPEC
        assert call(app, "GET", answer.headers["location"]).body == answer.body
        assert answer.headers["date"] == "Mon, 05 Jan 2026 08:01:30 GMT"

    def test_worlds_differ(self, app, clock):
        """Deployments of one policy differ by what happens to them. [contract]"""
        for _ in range(3):
            call(app, "POST", "/deployments", body_of())
        clock.pass_s(10**6)
        listed = call(app, "GET", "/deployments?offset=2&limit=3").json["deployments"]
        assert len({one["deployment"]["status"]["completed_at"] for one in listed}) == 3

    def test_the_rollout_dialect(self, app):
        """A body under the key rollout is answered so. [contract]"""
        body = json.dumps({"rollout": {"spec": {"strategy": "immediate"}}}).encode()
        assert call(app, "POST", "/deployments", body).json["rollout"]["id"] == "d-3"

    def test_lists_say_the_dialect(self, app):
        """A list has the bodies that `GET` returns for each deployment. [contract]"""
        body = json.dumps({"rollout": {"spec": {"strategy": "immediate"}}}).encode()
        call(app, "POST", "/deployments", body)
        listed = call(app, "GET", "/deployments").json["deployments"]
        assert [next(iter(one)) for one in listed] == ["deployment", "deployment", "rollout"]
        assert listed == [call(app, "GET", f"/deployments/d-{number}").json for number in (1, 2, 3)]

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (b"", "empty"),
            (b'{"strategy": "immediate"}', "not a deployment"),
            (b'{"deployment": [], "rollout": []}', "not a deployment"),
            (b'{"deployment": []}', "deployment: not an object"),
            (b'{"deployment": {"spec": {"strategy": "imediate"}}}', "did you mean 'immediate'?"),
            (b'{"deployment": {"spec": {"strategy": "rolling"}}}', "rolling needs a health check"),
            (b'{"deployment": {"spec": {"strategy": "immediate", "dialect": "general"}}}', "not in a request"),
            (body_of({**SPEC, "health_check": {**CHECK, "gate": "sprt"}}), "a gate is beyond the API"),
            (body_of({**SPEC, "health_check": {"deadline": 120}}), "keys of both dialects"),
        ],
    )
    def test_bad_bodies(self, app, body, says):
        """They are refused with the problems of a file. [contract]"""
        answer = call(app, "POST", "/deployments", body)
        assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
        assert any(says in problem for problem in answer.json["problems"])

    def test_what_the_scenario_excludes(self, app):
        """A valid policy that is impossible in the scenario is a conflict. [contract]"""
        body = body_of(type="rollback", from_version=(1 << 63) - 1, to_version=None)
        assert call(app, "POST", "/deployments", body).status == 201
        body = body_of(type="create", from_version=(1 << 63) - 1)
        answer = call(app, "POST", "/deployments", body)
        assert (answer.status, answer.json["detail"]) == (
            409,
            "versions are too large (found 9223372036854775807, 9223372036854775808)",
        )

    def test_all_that_the_scenario_excludes(self, app, monkeypatch):
        """A conflict has every problem, as bad bodies do. [contract]"""

        def refuse(*_):
            raise InputError([Problem("too fast", ("max_parallel",)), Problem("too late")])

        monkeypatch.setattr(Scenario, "policy", refuse)
        answer = call(app, "POST", "/deployments", body_of())
        assert (answer.status, answer.json["detail"]) == (409, "max_parallel: too fast")
        assert answer.json["problems"] == ["max_parallel: too fast", "too late"]

    def test_fleets_that_are_too_large(self, clock):
        """The memory that is missing is said, and no other engine is suggested, which the service has not. [contract]"""
        raw = SIX | {"fleet": {**SIX["fleet"], "nodes": 999_999}}
        scenario = Scenario.from_dict(raw)
        with pytest.raises(InputError, match="too many nodes for the memory limit") as refused:
            Service(scenario, [scenario.policy("at-once")], clock=clock)
        assert "compiled" not in str(refused.value)

    def test_their_number_is_limited(self, app):
        """Beyond the limit nothing is created. [contract]"""
        statuses = [call(app, "POST", "/deployments", body_of()).status for _ in range(4)]
        assert statuses == [201, 201, 201, 429]
        assert call(app, "GET", "/deployments").json["total"] == 5


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/deployments/d-9", 404),
        ("GET", "/deployments/d-1-rollback", 404),
        ("POST", "/deployments/d-9/pause", 404),
        ("GET", "/elsewhere", 404),
        ("GET", "/deployments/", 404),
        ("DELETE", "/deployments", 405),
        ("GET", "/deployments/d-1/pause", 405),
        ("GET", "/deployments?limit=0", 400),
        ("GET", "/deployments?limit=1&limit=2", 400),
        ("GET", "/deployments?offset=%D9%A3", 400),
        ("POST", "/deployments/d-1/rollback", 200),
    ],
)
def test_status_codes(app, clock, method, path, status):
    """Problems are told in JSON, and methods that are allowed in the header. [contract]"""
    clock.pass_s(10)
    answer = call(app, method, path)
    assert answer.status == status
    if status != 200:
        assert (answer.json["status"], answer.headers["content-type"]) == (status, "application/problem+json")
    assert ("allow" in answer.headers) == (status == 405)


class TestGuard:
    @pytest.mark.parametrize("host", ["127.0.0.1:8080", "[::1]:8080", "localhost", "LOCALHOST:1", "sim.example:80"])
    def test_hosts_of_ours(self, clock, host):
        """Addresses, localhost and names that are allowed are answered. [contract]"""
        app = make_app(make_service(clock), hosts=("sim.example",))
        assert call(app, "GET", "/deployments", host=host, origin=f"http://{host}").status == 200

    @pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[::1", "127.0.0.1.evil.example"])
    def test_other_hosts(self, app, host):
        """A name that somebody else may point to this machine is refused. [contract]"""
        answer = call(app, "GET", "/deployments", host=host)
        assert (answer.status, answer.headers["date"]) == (403, "Mon, 05 Jan 2026 08:00:00 GMT")

    @pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:81", "localhost"])
    def test_other_origins(self, app, origin):
        """Pages of other sites can neither read nor act. [contract]"""
        assert call(app, "POST", "/deployments/d-1/pause", origin=origin).status == 403

    def test_large_bodies(self, app):
        """A body is refused when it has become too large, in however many pieces. [contract]"""
        piece = b" " * (MOST_BYTES // 2)
        assert call(app, "POST", "/deployments", [piece, piece]).status == 400
        assert call(app, "POST", "/deployments", [piece, piece, b" "]).status == 413

    def test_half_a_body(self, app):
        """If the client leaves before the end of its body, nothing is done. [contract]"""
        sent = []

        async def send(message):
            sent.append(message)

        messages = iter(
            [
                {"type": "http.request", "body": b"", "more_body": True},
                {"type": "http.disconnect"},
            ]
        )

        async def receive():
            return next(messages)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/deployments/d-1/rollback",
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
        }
        asyncio.run(app(scope, receive, send))
        assert sent == []
        assert call(app, "GET", "/deployments").json["total"] == 2

    def test_bodies_of_other_types(self, app):
        """A form of another page, which needs no permission, is no JSON. [contract]"""
        assert call(app, "POST", "/deployments", body_of(), content_type="text/plain").status == 415

    def test_sockets_of_other_origins(self):
        """A connection that stays open is closed at once if another site opens it, or nobody says which. [contract]"""
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
            asyncio.run(Guard(accept)(scope, None, send))
        assert sent == ["websocket.accept", "websocket.close", "websocket.close"]


class TestCommand:
    @pytest.mark.parametrize(
        ("host", "says"), [("nowhere.invalid", "--host: not an address"), ("192.0.2.1", "--host: can't listen")]
    )
    def test_other_addresses(self, host, says):
        """What is no address of this machine is an error that says so; no name is looked up. [contract]"""
        with pytest.raises(InputError, match=says):
            serving.listen(host, 0)

    def test_port_in_use(self, tmp_path):
        """It says that the port is taken, and how to find another one. [contract]"""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            result = CliRunner().invoke(command_line, ["serve", str(write(tmp_path)), "--port", str(port)])
        assert result.exit_code == 2
        assert f"--port: port {port} is in use; choose another one" in result.output

    def test_missing_packages(self, tmp_path, monkeypatch):
        """It says what to install. [contract]"""
        monkeypatch.setattr(serving, "find_spec", lambda name: None)
        result = CliRunner().invoke(command_line, ["serve", str(write(tmp_path))])
        assert result.exit_code == 2
        assert "pip install 'simdeploy[serve]'" in result.output

    def test_ctrl_c_is_quiet(self, tmp_path, monkeypatch):
        """It ends without a word, and the port is free again. [contract]"""
        import uvicorn

        def run(_, sockets):
            raise KeyboardInterrupt

        monkeypatch.setattr(uvicorn.Server, "run", run)
        result = CliRunner().invoke(command_line, ["serve", str(write(tmp_path)), "--port", "0", "--speed", "60"])
        assert result.exit_code == 0
        first, second, url = result.output.splitlines()
        assert (first, second) == ("d-1: canary", "d-2: at-once")
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/deployments, 60 x real time; Ctrl-C stops")

    def test_printed_ids_at_high_speed(self, tmp_path, monkeypatch):
        """The ids are those of the policies, even if there is a rollback before they are printed. [contract]"""
        import uvicorn

        monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: None)
        path = tmp_path / "canceled.yaml"
        path.write_text(json.dumps(SIX | {"operator": {"script": [{"at": "1ns", "do": "cancel"}]}}))
        words = ["serve", str(path), "--port", "0", "--speed", "10000"]
        result = CliRunner().invoke(command_line, words, catch_exceptions=False)
        assert result.stdout.splitlines()[:2] == ["d-1: canary", "d-2: at-once"]

    @pytest.mark.parametrize("speed", ["0", "nan", "-1", "10001"])
    def test_speeds(self, tmp_path, speed):
        """A clock must go forward, and not too fast. [contract]"""
        result = CliRunner().invoke(command_line, ["serve", str(write(tmp_path)), "--speed", speed])
        assert result.exit_code == 2
        assert "--speed" in result.output


def write(folder):
    path = folder / "six.yaml"
    path.write_text(json.dumps(SIX))
    return path
