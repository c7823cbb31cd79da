"""The fuzzer itself: its cases are reproducible, every mutator changes something, and violations are detected."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from fuzzing import cases, guards
from fuzzing.cases import ACCEPTED, REFUSED, BrokenError, run_cases
from fuzzing.damage import DAMAGES, Place
from fuzzing.deployment_files import mutate_json
from fuzzing.guards import Watch
from fuzzing.scenario_files import dump_yaml
from fuzzing.shown import check_problems, check_text
from fuzzing.stores import Stores
from fuzzing.texts import JSON_MUTATORS, YAML_MUTATORS
from fuzzing.trees import TREE_MUTATORS

from simdeploy.errors import Problem
from simdeploy.experiments.store import reader
from simdeploy.scenario.yaml_text import parse_yaml

pytestmark = pytest.mark.skipif(os.name == "nt", reason="named pipes, alarms and limits are those of Unix")

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
MUTATED = "import sys; sys.path.insert(0, sys.argv[1]); import test_fuzzing_cases as test; print(test.digest_mutated())"


def mutate(number):
    """Return a scenario and a deployment, mutated by each mutator of theirs."""
    recorded = (SCENARIOS / "deployment.json").read_bytes()
    scenario = (SCENARIOS / "small-fleet.yaml").read_bytes()
    random = Random(f"mutate {number}")
    mutated = {f"json {name}": mutate_json(name, random, recorded) for name in (*TREE_MUTATORS, *JSON_MUTATORS)}
    mutated |= {f"yaml {name}": mutator(random, scenario) for name, mutator in YAML_MUTATORS.items()}
    for name, mutator in TREE_MUTATORS.items():
        tree, _ = parse_yaml(scenario.decode())
        mutated[f"tree {name}"] = dump_yaml(random, mutator(random, tree))
    return mutated


def test_every_mutator_changes_something():
    """At least half of twenty mutations by a mutator differ from the original and from each other. [property]"""
    rounds = [mutate(number) for number in range(20)]
    same = {(SCENARIOS / "deployment.json").read_bytes(), (SCENARIOS / "small-fleet.yaml").read_bytes()}
    few = {name: len({mutated[name] for mutated in rounds} - same) for name in rounds[0]}
    assert {name: number for name, number in few.items() if number < (3 if "encoding" in name else 7)} == {}


def digest_mutated():
    """Return a digest of what `mutate` makes."""
    return hashlib.sha256(b"".join(content for number in range(3) for content in mutate(number).values())).hexdigest()


def test_cases_are_the_same_under_any_hash_seed():
    """A number makes the same case in every process, whatever the hash seed. [property]"""
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"  # this process usually has a random one
    done = subprocess.run(
        [sys.executable, "-c", MUTATED, str(Path(__file__).parent)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest_mutated()


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_damages(damage, sound, tmp_path):
    """Most of ten applications of a damage change the store's files. [property]"""
    before = look(sound)
    changed = 0
    for number in range(10):
        folder = tmp_path / f"store-{number}"
        shutil.copytree(sound, folder)
        outside = tmp_path / f"outside-{number}"
        outside.mkdir()
        DAMAGES[damage](Random(f"{damage} {number}"), Place(folder, outside))
        changed += look(folder) != before
    assert changed > 5


def look(folder):
    return {
        path.relative_to(folder): (path.is_symlink(), path.is_dir(), path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
    }


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A store as it was written."""
    folder = tmp_path_factory.mktemp("stores")
    Stores(folder, Watch())
    return folder / "sound"


def change_a_value(table):
    table = table.set_column(0, table.schema.field(0), [[7] * table.num_rows])
    return table.cast(table.schema)


@pytest.mark.parametrize(
    ("damage", "change", "outcome"),
    [
        ("nothing", None, (ACCEPTED, "everything", "mended")),
        ("a line less", None, (ACCEPTED, "less", "mended")),
        ("nothing", change_a_value, "never written"),
        ("nothing", lambda table: table.slice(1), "never written"),
    ],
)
def test_stores_are_judged(damage, change, outcome, tmp_path, monkeypatch):
    """A sound store is read in full, one that lacks a line without its part; unwritten values are detected. [contract]"""

    def drop_line(random, place):
        place.journal.write_bytes(b"".join(place.journal.read_bytes().splitlines(keepends=True)[1:]))

    monkeypatch.setitem(DAMAGES, "nothing", lambda random, place: None)
    monkeypatch.setitem(DAMAGES, "a line less", drop_line)
    target = Stores(tmp_path, Watch())
    if change is None:
        assert target.examine(damage, Random(0)) == outcome
        return
    read = reader.read_part
    monkeypatch.setattr(reader, "read_part", lambda *args: change(read(*args)))
    with pytest.raises(BrokenError, match=outcome):
        target.examine(damage, Random(0))


class Sick:
    """A target that fails in every way, and sometimes succeeds."""

    name = "sick"
    mutators = ("fine", "refuses", "hangs", "raises", "breaks", "grows")

    def __init__(self):
        self.peak = 0

    def examine(self, mutator, random):
        if mutator == "hangs":
            try:
                time.sleep(60)
            except Exception:  # as code under test might
                return (ACCEPTED,)
        if mutator == "raises":
            raise KeyError(random.random())
        if mutator == "breaks":
            raise BrokenError("broken")
        if mutator == "grows":
            self.peak += 10**9
        return (REFUSED,) if mutator == "refuses" else (ACCEPTED,)


def test_failures_are_found(monkeypatch):
    """A hang, an exception, a violated property and excessive memory are failures with their numbers; others continue. [contract]"""
    monkeypatch.setattr(guards, "HANG_S", 0.3)
    target = Sick()
    monkeypatch.setattr(cases, "peak_memory", lambda: target.peak)
    tally = run_cases(target, range(12))
    assert [row[1:] for row in tally.table(target)] == [
        ["fine", 2, 2, 0, 0],
        ["refuses", 2, 0, 2, 0],
        ["hangs", 2, 0, 0, 2],
        ["raises", 2, 0, 0, 2],
        ["breaks", 2, 0, 0, 2],
        ["grows", 2, 0, 0, 2],
    ]
    assert [[failure.number for failure in alike] for alike in tally.failures.values()] == [
        [2, 8],
        [3, 9],
        [4, 10],
        [5, 11],
    ]
    assert "2 x sick 3 (raises): KeyError" in tally.describe_failures(target)


def test_peak_memory():
    """The peak memory of the process includes its current memory, in bytes. [property]"""
    before = guards.peak_memory()
    held = bytearray(b"x" * 200_000_000)
    assert guards.peak_memory() >= max(before, len(held))


def test_accesses_are_recorded(tmp_path):
    """Files opened outside a folder, sockets and programs are recorded, but nothing inside or afterwards. [contract]"""
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "file").write_text("x")
    (inside / "link").symlink_to(tmp_path / "file")
    watch = Watch()
    with watch.on(inside) as seen:
        (inside / "file").write_text("x")
        assert seen == []
        (tmp_path / "file").read_text()
        (inside / "link").read_text()
        (inside / ".." / "file").read_text()
        assert len(seen) == 3
        os.close(os.open(inside / "file", os.O_RDONLY | os.O_NOFOLLOW))
        with pytest.raises(OSError, match="links"):
            os.open(inside / "link", os.O_RDONLY | os.O_NOFOLLOW)
        assert len(seen) == 3
        socket.socket().close()
        os.system("true")  # noqa: S605 - to see that it is heard of
        assert seen[3:] == ["socket.__new__", "os.system"]
    (tmp_path / "file").read_text()
    assert len(seen) == 5


@pytest.mark.parametrize("text", ["a\x1b[2J", "a\nerror: b", "\x9b", "a\u202eb", "SECRET-7c1f"])
def test_forbidden_texts_are_detected(text):
    """An unprintable text, or one with contents of a file outside, is detected. [contract]"""
    check_text("scenario.yaml:3: fleet.nodes: é 😀")
    with pytest.raises(BrokenError):
        check_text(text)


def test_too_many_problems_and_secrets_are_detected():
    """More problems than allowed, and one that quotes a file outside, are detected. [contract]"""
    check_problems([Problem("a problem")] * 101)
    with pytest.raises(BrokenError):
        check_problems([Problem("SECRET-7c1f")])
    with pytest.raises(BrokenError):
        check_problems([Problem("a problem")] * 102)
