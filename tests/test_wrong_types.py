"""Arguments of a wrong type, and files in the place of what they contain: each has a message that says what is meant."""

import re

import pytest

import simdeploy
from simdeploy.errors import InputError

RAW = {
    "name": "small",
    "fleet": {"nodes": 2, "update_duration": "45s"},
    "release": {"good": {"probability": 1}},
    "policies": {"at-once": {"strategy": "immediate"}, "again": {"strategy": "immediate"}},
}


@pytest.fixture
def scenario():
    return simdeploy.Scenario.from_dict(RAW)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: simdeploy.replicate(s, progress="yes"), "progress: can't be called (found 'yes'); allowed: true, false, or"),
        (lambda s: simdeploy.replicate(s, store=5), "store: not the path of a folder (found 5)"),
        (lambda _: simdeploy.read_deployment(3), "not the path of a file (found 3)"),
        (lambda _: simdeploy.read_policy(3), "not the path of a file (found 3)"),
        (lambda _: simdeploy.read_scenario(3), "not the path of a file (found 3)"),
        (lambda _: simdeploy.read_result([]), "not the path of a file (found [])"),
        (lambda s: s.with_values([1]), "values: no values to change (found [1]); allowed: a mapping from paths to values"),
        (lambda s: simdeploy.simulate(s).deployment_at("1"), "no revision '1' of the deployment"),
        (lambda s: simdeploy.simulate(s).deployment_at(True), "no revision true of the deployment"),
        (lambda s: simdeploy.simulate(s, "best.yaml"), "best.yaml: can't be read: No such file"),
        (lambda s: simdeploy.simulate(s, 5), "not a policy (found 5); allowed: a policy's name or path"),
        (lambda s: simdeploy.advise(s, seen="best.json"), "seen: not a deployment object (found 'best.json')"),
    ],
)  # fmt: skip
def test_wrong_types(scenario, call, message):
    """A wrong type is an `InputError` that says what is allowed, not an error from within. [contract]"""
    with pytest.raises(InputError, match=re.escape(message)):
        call(scenario)


@pytest.mark.parametrize(("value", "hint"), [("“45s”", "write 45s"), ("„45 s“", "write 45s")])
def test_typographic_quotes(value, hint):
    """Quotes of a word processor around a value give the value to write. [contract]"""
    with pytest.raises(InputError, match=f"; {hint}$"):
        simdeploy.Scenario.from_dict({**RAW, "fleet": {"nodes": 2, "update_duration": value}})
    with pytest.raises(InputError, match=r"; remove the quotes$"):
        simdeploy.Scenario.from_dict({**RAW, "fleet": {"nodes": "“2”", "update_duration": "1s"}})
