"""Files that a scenario may name, kinds of files that are read, and the cost of a bad file of 10 MB."""

import json
import os
import socket
import subprocess
import sys
import threading

import pytest
from invoking import invoke
from refusals import refusals

import simdeploy.errors
from simdeploy import InputError, Scenario, read_scenario
from simdeploy.api import files, read_deployment
from simdeploy.cli.app import app
from simdeploy.errors import MOST_PROBLEMS
from simdeploy.scenario import load

SPEC = '{"strategy": "immediate", "health_check": {"deadline": "5m"}}'
OUTSIDE = "outside the scenario's folder; use --allow-files DIR, or allow_files in Python"


def scenario(law="1m", policy=None):
    """Return a scenario with a law and a policy."""
    return {
        "name": "x",
        "fleet": {"nodes": 5, "update_duration": law},
        "policies": {"a": policy or {"strategy": "immediate"}},
    }


def write(path, raw):
    """Write a scenario, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(raw if isinstance(raw, str) else json.dumps(raw), encoding="utf-8")
    return path


@pytest.fixture
def secret(tmp_path):
    """Make files beside the scenario's folder, and return their paths."""
    write(tmp_path / "secrets" / "times.csv", "5\n6\n")
    write(tmp_path / "secrets" / "spec.json", SPEC)
    (tmp_path / "home" / "below").mkdir(parents=True)
    (tmp_path / "home" / "link.csv").symlink_to(tmp_path / "secrets" / "times.csv")
    (tmp_path / "home" / "folder").symlink_to(tmp_path / "secrets")
    write(tmp_path / "home" / "below" / "times.csv", "5\n")
    return tmp_path / "secrets"


@pytest.mark.parametrize("name", ["../secrets/{}", "{absolute}/{}", "folder/{}", "below/../../secrets/{}", "link.csv"])
def test_files_elsewhere_are_refused_unless_allowed(secret, name):
    """Paths and links out of the folder are refused, unless their folder is allowed. [contract]"""
    home = secret.parent / "home"
    place = name.format("times.csv", absolute=secret)
    raw = scenario({"empirical": {"file": place}})
    file = write(home / "s.yaml", raw)
    path = f"{home}/{place}" if not os.path.isabs(place) else place  # noqa: PTH117 - text
    assert refusals(read_scenario, file) == [f"{file}:1: fleet.update_duration.empirical.file: {path}: {OUTSIDE}"]
    assert len(refusals(Scenario.from_dict, raw, base=home)) == 1
    for allowed in ([secret], [home, secret.parent]):
        assert read_scenario(file, allow_files=allowed).fleet.behaviour.update_duration.mean == 5.5
        assert Scenario.from_dict(raw, base=home, allow_files=allowed) == read_scenario(file, allow_files=allowed)


def test_policies_elsewhere_are_refused_unless_allowed(secret):
    """Policies in JSON out of the folder are refused, too, also by the command; a scenario keeps its permissions. [contract]"""
    file = write(secret.parent / "home" / "s.yaml", scenario(policy={"file": "../secrets/spec.json"}))
    assert refusals(read_scenario, file)[0].endswith(OUTSIDE)
    read = read_scenario(file, allow_files=[secret])
    assert read.with_values({"fleet.nodes": 6}).fleet.nodes == 6
    for command in (["validate"], ["run", "--seed", "1"]):
        refused = invoke(*command, file)
        assert (refused.exit_code, OUTSIDE in refused.stderr) == (2, True)
        assert invoke(*command, "--allow-files", secret, file).exit_code == 0


def test_every_command_that_reads_a_scenario_can_allow_files():
    """Every command that takes a scenario has --allow-files. [contract]"""
    commands = {name: app.get_command(None, name) for name in app.list_commands(None)}
    asked = {"scenario", "files", "source"}
    reading = {name for name, command in commands.items() if asked & {p.name for p in command.params}}
    assert len(reading) == 19
    assert reading == {name for name, command in commands.items() if "allow_files" in {p.name for p in command.params}}


def test_below_the_folder_is_inside(secret, monkeypatch):
    """Files in the folder and below it are read, however the scenario's own path is written. [contract]"""
    home = secret.parent / "home"
    write(home / "s.yaml", scenario({"empirical": {"file": "below/times.csv"}}))
    (secret.parent / "door").symlink_to(home)
    monkeypatch.chdir(home)
    for path in ("s.yaml", "./below/../s.yaml", secret.parent / "door" / "s.yaml"):
        assert read_scenario(path).fleet.behaviour.update_duration.mean == 5
    assert Scenario.from_dict(scenario({"empirical": {"file": "below/times.csv"}})).name == "x"
    assert refusals(Scenario.from_dict, scenario({"empirical": {"file": "../secrets/times.csv"}}))[0].endswith(OUTSIDE)


def test_a_link_put_there_meanwhile_is_not_followed(secret, monkeypatch):
    """A file inside the folder that becomes a link before it is opened is refused. [contract]"""
    home = secret.parent / "home"
    (home / "times.csv").symlink_to(secret / "times.csv")
    monkeypatch.setattr(os.path, "realpath", os.path.abspath)
    file = write(home / "s.yaml", scenario({"empirical": {"file": "times.csv"}}))
    assert "can't be read: Too many levels of symbolic links" in refusals(read_scenario, file)[0]


def test_only_files_are_read(tmp_path):
    """Pipes, sockets, devices, folders and kernel files are refused at once. [contract]"""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    allowed = ["/dev", "/proc"]
    cases = {
        "pipe": "a pipe, not a file",
        "socket": "a socket or a device, not a file",
        ".": "Is a directory",
        "/dev/zero": "a device, not a file",
        "/dev/null": "a device, not a file",
        "/proc/self/environ": "empty",
        "/proc/self/mem": "empty",
    }
    for name, message in cases.items():
        raw = scenario({"empirical": {"file": name}}, {"file": name})
        problems = refusals(Scenario.from_dict, raw, base=tmp_path, allow_files=allowed)
        assert len(problems) == 2
        assert all(message in problem for problem in problems)


@pytest.mark.parametrize("read", [read_scenario, read_deployment])
def test_named_pipes_are_read_but_no_devices(tmp_path, read, monkeypatch):
    """A scenario or policy is read from a pipe up to its limit; a device and a silent pipe are refused. [contract]"""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = json.dumps(scenario()) if read is read_scenario else SPEC
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    assert read(pipe)
    writer.join()
    for device in ("/dev/zero", "/dev/null"):
        assert refusals(read, device) == [f"{device}: a device, not a file; allowed: a regular file"]
    monkeypatch.setattr(files, "_PATIENCE_S", 0.05)
    assert refusals(read, pipe) == [f"{pipe}: nothing came from the pipe for 0.05 s"]


def test_an_endless_pipe():
    """An endless pipe is read up to 10 MB only. [contract]"""
    with subprocess.Popen(["cat", "/dev/zero"], stdout=subprocess.PIPE) as endless:
        assert refusals(read_scenario, f"/dev/fd/{endless.stdout.fileno()}")[0].endswith("larger than 10 MB")
        endless.stdout.close()


SECRET = "Secret-1234567890-abcdefghijklmnop and another"  # noqa: S105 - of nobody


@pytest.mark.parametrize("text", [f"{SECRET}\n" * 3, f"5\n{SECRET}\n", f"{SECRET}\x1b]0;T\x07\n"])
def test_messages_reveal_little_of_numbers(tmp_path, text):
    """For a file without numbers the message has a line number and the start of one word, escaped. [contract]"""
    write(tmp_path / "x.csv", text)
    problems = "\n".join(refusals(Scenario.from_dict, scenario({"empirical": {"file": "x.csv"}}), base=tmp_path))
    assert "(found 'Secret-123456789...)" in problems
    assert SECRET[:20] not in problems
    assert "another" not in problems
    assert "\x1b" not in problems


@pytest.mark.parametrize(
    "text", [json.dumps(SECRET), json.dumps([SECRET]), json.dumps({"strategy": SECRET}), SECRET, f'{{"a": {SECRET}}}']
)
def test_messages_reveal_little_of_policies(tmp_path, text):
    """For a file without a policy the message reveals as little. [contract]"""
    write(tmp_path / "x.json", text)
    problems = "\n".join(refusals(Scenario.from_dict, scenario(policy={"file": "x.json"}), base=tmp_path))
    assert "x.json:1: " in problems
    assert SECRET[:20] not in problems
    assert "another" not in problems


# -- the cost of a file of 10 MB ---------------------------------------------------------------------------------------

HEAD = "name: x\nfleet: {nodes: 5, update_duration: 45s}\npolicies:\n  a: {strategy: immediate}\n"
SIZE = 9_900_000


def fill(unit):
    """Repeat a text up to nearly 10 MB."""
    return unit * (SIZE // len(unit))


def numbered(unit, n):
    """Repeat a text with a number in it."""
    before, after = unit.split("#")
    return "".join([f"{before}{number}{after}" for number in range(n)])


def inline(values):
    """Return a scenario with values of a law."""
    return HEAD.replace("45s", f"{{empirical: {{values: [{values}]}}}}")


NASTY = {
    "near-misses.yaml": HEAD + numbered("nam#: " + "x" * 90 + "\n", 95_000),
    "fewer-near-misses.yaml": HEAD + numbered("nam#: 1\n", 9_900),
    "tags.yaml": HEAD + f"x: [{'!a 1,' * 190_000}]\n",
    "fewer-tags.yaml": HEAD + f"x: [{'!a 1,' * 19_000}]\n",
    "keys-twice.yaml": HEAD + "x:\n" + "  a: 1\n" * 9_900,
    "bad-values.yaml": inline("a," * 19_000),
    "policies.yaml": HEAD + numbered("  p#: {strategi: rollin, max_paralel: x}\n", 2_700),
    "classes.yaml": HEAD.replace("nodes: 5", f"nodes: 5, classes: [{numbered('{name: a#, shar: 1},', 3_900)}]"),
    "members.yaml": HEAD.replace("nodes: 5", f"nodes: 5, classes: [{numbered('{name: class#, share: 0},', 2_000)}]")
    + f"release: {{good: {{probability: 1, affects: {{classes: [{numbered('clas#,', 9_000)}]}}}}}}\n",
    "requirements.yaml": HEAD + f"requirements: [{numbered('{of: makespan, at_most: 1, policy: q#},', 2_700)}]\n",
    "deep.yaml": HEAD + "x: " + fill("["),
    "deep-keys.yaml": fill("? "),
    "long-number.yaml": HEAD.replace("nodes: 5", "nodes: " + fill("9")),
    "long-word.yaml": HEAD.replace("nodes: 5", "nodes: " + fill("9") + "e"),
    "long-key.yaml": HEAD + "? " + fill("a") + "\n: 1\n",
    "long-alias.yaml": HEAD + "y: *" + fill("a") + "\n",
    "aliases.yaml": HEAD + "x: &a [1]\ny: [" + fill("*a,") + "]\n",
    "escapes.yaml": HEAD.replace("name: x", f'name: "{fill(chr(92) + "e")}"'),
    "empty-lines.yaml": HEAD + fill("\n") + "nods: 1\n",
    "unknown-keys.json": f'{{{numbered(chr(34) + "k#" + chr(34) + ":0,", 500_000)}"strategy": 5}}',
    "fewer-unknown-keys.json": f'{{{numbered(chr(34) + "strateg#" + chr(34) + ":0,", 90_000)}"strategy": 5}}',
    "nan.json": "[" + fill("NaN,") + "0]",
    "fewer-nan.json": "[" + "NaN," * 90_000 + "0]",
    "keys-twice.json": "{" + '"a":0,\n' * 90_000 + '"a":0}',
    "half-pairs.json": "[" + '"\\ud800",' * 90_000 + "0]",
    "canaries.json": f'{{"deployment": {{"spec": {SPEC}, "status": {{"canary_nodes": [{"0," * 90_000}0]}}}}}}',
    "deep.json": fill('{"a":'),
    "long-number.json": '{"strategy": ' + fill("9") + "}",
    "long-fraction.json": '{"strategy": ' + fill("9") + ".5}",
    "words.json": "[" + fill('"a"') + "]",
    "open-word.json": '{"a": "' + fill('\\"'),
    "empty-lines.json": fill("\n") + '{"strategy": 5}',
    "words.csv": fill("x\n"),
    "numbers.csv": fill("1\n"),
    "empty-lines.csv": "1\n" + fill("\n") + "1\n",
    "long-line.csv": fill("x"),
}

# In its own process, so that the peak belongs to this file: forked from one that has imported everything.
READ = """
import os, re, sys
from pathlib import Path
from simdeploy import InputError, errors, read_scenario
from simdeploy.api import read_deployment

looked_for, matching = [], errors.difflib.get_close_matches

def count_and_match(*args, **options):
    looked_for.append(args)
    return matching(*args, **options)

errors.difflib.get_close_matches = count_and_match

def read(file):
    try:
        (read_deployment if file.endswith("json") else read_scenario)(file)
    except InputError as error:
        # The peak in getrusage is inherited from whoever started the process.
        peak_kb = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
        return len(error.problems), len(str(error)), int(peak_kb) // 1024, len(looked_for)
    return 0, 0, 0, 0

read(sys.argv[1])
for line in sys.stdin:
    if not os.fork():
        print(*read(line.rstrip()), flush=True)
        os._exit(0)
    if os.wait()[1]:
        print(0, 0, 0, 0, flush=True)
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Start a process that reads the files it is given."""
    file = write(tmp_path_factory.mktemp("reader") / "s.yaml", scenario())
    with subprocess.Popen(
        [sys.executable, "-c", READ, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", NASTY)
def test_a_file_full_of_mistakes(tmp_path, name, reader):
    """A file of up to 10 MB gives at most 101 lines, in less than 200 MB and linear time, with at most a few hundred searches for suggestions. [contract]"""
    file = write(tmp_path / name, NASTY[name])
    if name.endswith("csv"):
        file = write(tmp_path / "s.yaml", scenario({"empirical": {"file": name}}))
    print(file, file=reader.stdin, flush=True)
    n_problems, n_letters, peak_mb, n_looked_for = map(int, reader.stdout.readline().split())
    assert 1 <= n_problems <= MOST_PROBLEMS + 1
    assert n_letters < 50_000
    assert peak_mb < 200
    assert n_looked_for <= LOOKED_FOR.get(name, 150)


# A class without a share may have it misspelt: one pair of words for each.
LOOKED_FOR = {"classes.yaml": 5_000, "policies.yaml": 9_000, "requirements.yaml": 3_000}


def test_further_problems_are_counted(tmp_path):
    """Of many problems the first hundred are listed in the file's order, the first with suggestions, and the rest counted. [contract]"""
    file = write(tmp_path / "s.yaml", NASTY["fewer-near-misses.yaml"])
    _, errors, _ = load(file)
    assert len(errors) == MOST_PROBLEMS + 1
    assert str(errors[0]) == f"{file}:5: nam0: unknown key; did you mean 'name'?"
    assert str(errors[-2]) == f"{file}:104: nam99: unknown key"
    assert str(errors[-1]) == f"{file}: and 9,800 more problems"
    refused = invoke("validate", file)
    assert refused.stderr.splitlines() == [f"error: {problem}" for problem in errors]


def test_counts_add_up():
    """Problems passed on below another key keep their number. [property]"""
    inner = InputError([simdeploy.errors.Problem(f"p{number}") for number in range(250)])
    outer = InputError([*(problem.at(prefix=("a",)) for problem in inner.problems), *inner.problems])
    assert len(outer.problems) == MOST_PROBLEMS + 1
    assert outer.problems[-1].n_more == 2 * 250 - MOST_PROBLEMS
    assert str(outer).endswith("and 400 more problems")
