"""Deployments over HTTP: documented calls, refusals, and every revision as time passes."""

from __future__ import annotations

import http.client
import json
import threading

import pytest
from clocks import Clock
from http_calls import call

from simdeploy import Scenario, simulate
from simdeploy.api import parse_deployment
from simdeploy.errors import InputError, Problem
from simdeploy.units import NS_PER_S
from simdeploy.web import serving
from simdeploy.web.app import make_app
from simdeploy.web.guarding import MOST_BYTES
from simdeploy.web.service import ACTS, Service

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
IN_ROLLOUT = b'{"rollout": {"spec": {"strategy": "immediate"}}}'


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
        """A paused deployment stands still until it is resumed; repeating either act is a conflict. [contract]"""
        clock.pass_s(10)
        assert state_of(call(app, "POST", "/deployments/d-1/pause")) == "paused"
        assert call(app, "POST", "/deployments/d-1/pause").status == 409
        clock.pass_s(10**6)
        assert call(app, "GET", "/deployments/d-1").json["deployment"]["status"]["updated_nodes"] <= 2
        assert state_of(call(app, "POST", "/deployments/d-1/resume")) == "in_progress"
        again = call(app, "POST", "/deployments/d-1/resume")
        assert again.json["detail"] == "resume is impossible: the deployment is not paused"

    def test_promote_needs_canaries(self, app):
        """Without canaries, or before they are resolved, nothing can be promoted. [contract]"""
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
        """The answer is a new deployment of type rollback with swapped versions, which accepts no acts. [contract]"""
        clock.pass_s(10)
        rollback = call(app, "POST", "/deployments/d-1/rollback", b'{"target_version": 1.0}')
        deployment = rollback.json["deployment"]
        assert (rollback.status, deployment["id"], deployment["type"]) == (200, "d-1-rollback", "rollback")
        assert (deployment["from_version"], deployment["to_version"]) == (2, 1)
        assert state_of(call(app, "GET", "/deployments/d-1")) == "canceled"
        for act in ACTS:
            assert call(app, "POST", f"/deployments/d-1-rollback/{act}").status == 409

    def test_unavailable_versions(self, app):
        """Nodes can only be rolled back to the version that they had. [contract]"""
        answer = call(app, "POST", "/deployments/d-1/rollback", b'{"target_version": 0}')
        message = "rollback is impossible: the nodes have version 1 to go back to"
        assert (answer.status, answer.json["detail"]) == (409, message)

    def test_time_does_not_go_back(self, app, clock):
        """Acts at one instant come one after the other, and so do answers if the clock goes backwards. [contract]"""
        clock.pass_s(10)
        for act in ("pause", "resume", "pause"):
            assert call(app, "POST", f"/deployments/d-1/{act}").status == 200
        clock.pass_s(-10)
        later = call(app, "GET", "/deployments/d-1")
        assert (state_of(later), later.headers["date"]) == ("paused", "Mon, 05 Jan 2026 08:00:10 GMT")


def test_behind_the_clock(clock, monkeypatch):
    """A simulation that takes too long is reported, and continues with the next request; no act is done meanwhile. [contract]"""
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
        ("GET", "/deployments", b"", 403),
    ],
)
def test_an_answer_is_of_one_instant(method, path, body, status):
    """The date is the instant of the answer's state, even if the clock goes on meanwhile. [contract]"""

    class Hasty(Clock):
        def __call__(self):
            self.pass_s(1)
            return self.now_ns

    clock = Hasty()
    named = {"host": "evil.example"} if status == 403 else {}
    answer = call(make_app(make_service(clock)), method, path, body, **named)
    assert answer.status == status
    ticks = 1 if status in (403, 413) else 2
    assert answer.headers["date"] == f"Mon, 05 Jan 2026 08:00:0{ticks} GMT"
    assert clock.now_ns == ticks * NS_PER_S


class TestCreating:
    def test_created_deployments(self, app, clock):
        """A deployment begins now, with the body's identity, in the next world; the service sets id and status. [contract]"""
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
        """Deployments of one policy have different outcomes. [contract]"""
        for _ in range(3):
            call(app, "POST", "/deployments", body_of())
        clock.pass_s(10**6)
        listed = call(app, "GET", "/deployments?offset=2&limit=3").json["deployments"]
        assert len({one["deployment"]["status"]["completed_at"] for one in listed}) == 3

    def test_the_rollout_dialect(self, app):
        """A body under the key rollout is answered in that form. [contract]"""
        assert call(app, "POST", "/deployments", IN_ROLLOUT).json["rollout"]["id"] == "d-3"

    def test_lists_say_the_dialect(self, app):
        """A list has the bodies that `GET` returns for each deployment. [contract]"""
        call(app, "POST", "/deployments", IN_ROLLOUT)
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
            (body_of({**SPEC, "health_check": {**CHECK, "gate": "sprt"}}), "the API has no gates"),
            (body_of({**SPEC, "health_check": {"deadline": 120}}), "keys of both dialects"),
        ],
    )
    def test_bad_bodies(self, app, body, says):
        """Invalid bodies are refused with the problems of a file. [contract]"""
        answer = call(app, "POST", "/deployments", body)
        assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
        assert any(says in problem for problem in answer.json["problems"])

    def test_policies_impossible_in_the_scenario(self, app):
        """A valid policy that is impossible in the scenario is a conflict. [contract]"""
        body = body_of(type="rollback", from_version=(1 << 63) - 1, to_version=None)
        assert call(app, "POST", "/deployments", body).status == 201
        body = body_of(type="create", from_version=(1 << 63) - 1)
        answer = call(app, "POST", "/deployments", body)
        message = "versions are too large (found 9223372036854775807, 9223372036854775808)"
        assert (answer.status, answer.json["detail"]) == (409, message)

    def test_all_contradictions_of_the_scenario(self, app, monkeypatch):
        """A conflict has every problem, as for bad bodies. [contract]"""

        def refuse(*_):
            raise InputError([Problem("too fast", ("max_parallel",)), Problem("too late")])

        monkeypatch.setattr(Scenario, "policy", refuse)
        answer = call(app, "POST", "/deployments", body_of())
        assert (answer.status, answer.json["detail"]) == (409, "max_parallel: too fast")
        assert answer.json["problems"] == ["max_parallel: too fast", "too late"]

    def test_fleets_that_are_too_large(self, clock):
        """A fleet too large for memory is refused, without suggesting another engine, as the service has none. [contract]"""
        raw = SIX | {"fleet": {**SIX["fleet"], "nodes": 999_999}}
        scenario = Scenario.from_dict(raw)
        with pytest.raises(InputError, match="too many nodes for the memory limit") as refused:
            Service(scenario, [scenario.policy("at-once")], clock=clock)
        assert "compiled" not in str(refused.value)

    def test_their_number_is_limited(self, app):
        """Beyond the limit no deployment is created. [contract]"""
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
    """Problems are in JSON, and allowed methods in the header. [contract]"""
    clock.pass_s(10)
    answer = call(app, method, path)
    assert answer.status == status
    if status != 200:
        assert (answer.json["status"], answer.headers["content-type"]) == (status, "application/problem+json")
    assert ("allow" in answer.headers) == (status == 405)


def test_bodies_of_other_types(app):
    """A form of another site, which browsers send without permission, is refused as not JSON. [contract]"""
    assert call(app, "POST", "/deployments", body_of(), content_type="text/plain").status == 415
