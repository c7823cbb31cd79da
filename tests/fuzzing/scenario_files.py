"""Mutated scenario files: refused with problems, or simulated alike by both engines, without access to anything outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import yaml
from generators import Decisions, scenario_of
from rows_equal import differences, run

from fuzzing.cases import ACCEPTED, REFUSED, BrokenError
from fuzzing.guards import TooLong, Watch, limited
from fuzzing.shown import SECRET, check_problems, check_validate
from fuzzing.texts import CANARY, YAML_MUTATORS
from fuzzing.trees import TREE_MUTATORS, Tree
from simdeploy.scenario import Scenario, load
from simdeploy.scenario.yaml_text import parse_yaml

_MOST_NODES, _MOST_POLICIES = 200, 5
_LONGEST_RUN_S = 3.0
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def dump_yaml(random: Random, tree: Tree) -> bytes:
    """Write a tree as YAML, in block or flow style, or as the JSON that is YAML as well."""
    if random.random() < 0.8:
        try:
            text: str = yaml.dump(
                tree, Dumper=_DUMPER, default_flow_style=random.choice([False, None]), sort_keys=False
            )
            return text.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            pass
    return json.dumps(tree, indent=1, ensure_ascii=random.choice([False, True])).encode(errors="surrogatepass")


class ScenarioFiles:
    """Every scenario of a folder, and generated ones, mutated in an empty folder."""

    name = "scenario"

    def __init__(self, scenarios: Path, folder: Path, watch: Watch) -> None:
        self._watch = watch
        self._inside = folder / "inside"
        self._outside = folder / "outside"
        shutil.copytree(scenarios, self._inside)
        self._outside.mkdir()
        (self._outside / "secret.csv").write_text(f"{SECRET}\n" * 5)
        (self._outside / "numbers.csv").write_text("0.5\n0.25\n")
        shutil.copy(scenarios / "deployment.json", self._outside)
        (self._inside / "numbers.csv").write_text("0.5\n0.25\n")
        (self._inside / "link").symlink_to(self._outside)
        (self._inside / "link.csv").symlink_to(self._outside / "numbers.csv")
        (self._inside / "loop").symlink_to("loop")
        os.mkfifo(self._inside / "fifo")
        # Small enough for the reference engine.
        self._bases = [
            re.sub(rb"nodes: \d{3,}", b"nodes: 40", path.read_bytes()) for path in sorted(scenarios.glob("*.yaml"))
        ]
        self.tree_mutators = {**TREE_MUTATORS, "name a file": self._name_file}
        self.mutators = [*self.tree_mutators, *YAML_MUTATORS]

    def examine(self, mutator: str, random: Random) -> tuple[str, ...]:
        """Mutate a scenario file, read it, and simulate what was read."""
        content = self._mutate(mutator, random, self._base(random))
        if random.random() < 0.2:
            content = self._mutate(random.choice(self.mutators), random, content)
        file = self._inside / "case.yaml"
        file.write_bytes(content)
        with contextlib.chdir(self._inside), warnings.catch_warnings(), self._watch.on(self._inside) as touched:
            warnings.simplefilter("error")
            scenario, errors, suspicions = load(file)
        if touched:
            raise BrokenError(f"reading a scenario touches {touched}")
        if (scenario is None) != bool(errors):
            raise BrokenError(f"a scenario and {len(errors)} errors")
        check_problems(errors)
        check_problems(suspicions)
        check_validate(file, is_good=scenario is not None)
        if any(folder.joinpath(CANARY).exists() for folder in (Path(), self._inside, self._outside)):
            raise BrokenError("a scenario ran a command")
        return (REFUSED,) if scenario is None else (ACCEPTED, _simulate(scenario, random))

    def _base(self, random: Random) -> bytes:
        if random.random() < 0.7:
            return random.choice(self._bases)
        return dump_yaml(Random(0), scenario_of(Decisions(random.randbytes(256)), neighbours=(0, 1)))

    def _mutate(self, mutator: str, random: Random, content: bytes) -> bytes:
        if mutator in YAML_MUTATORS:
            return YAML_MUTATORS[mutator](random, content)
        try:
            tree, _ = parse_yaml(content.decode())
        except Exception:  # of a second mutation, after the first broke the file
            return content
        return dump_yaml(random, self.tree_mutators[mutator](random, tree))

    def _name_file(self, random: Random, tree: Tree) -> Tree:
        """Let a policy or a distribution name a file, mostly one that is outside or unreadable."""
        if not isinstance(tree, dict):
            return tree
        name = random.choice(
            [
                *("numbers.csv", "deployment.json", "./numbers.csv", f"../{self._inside.name}/numbers.csv"),
                *("../outside/secret.csv", "../outside/numbers.csv", "../outside/deployment.json", "link.csv"),
                *("link/numbers.csv", "link/deployment.json", "link/../outside/secret.csv", "loop", "fifo", ".", ".."),
                *(
                    str(self._outside / "secret.csv"),
                    str(self._outside / "deployment.json"),
                    "/etc/passwd",
                    "/dev/zero",
                ),
                *("/dev/null", "/dev/stdin", "/proc/self/environ", "missing.csv", "a\0b", "x" * 5000, "", "~/.profile"),
                *(
                    "file:///etc/passwd",
                    "http://127.0.0.1:9/x.csv",
                    "//etc/passwd",
                    "case.yaml",
                    "a\x1b[2J.csv",
                    "\ud800",
                ),
            ]
        )
        places: list[Callable[[], Any]] = [
            lambda: tree.update(policies={"p": {"file": name}}),
            lambda: tree["fleet"].update(update_duration={"empirical": {"file": name}}),
            lambda: tree["fleet"].update(error_rate={"empirical": {"file": name}}),
            lambda: tree["fleet"].update(slowdown={"empirical": {"file": name}}),
        ]
        try:
            random.choice(places)()
        except (KeyError, AttributeError):  # after another mutation
            tree["policies"] = {"p": {"file": name}}
        return tree


def _simulate(scenario: Scenario, random: Random) -> str:
    """Simulate a small scenario on both engines, and return the outcome."""
    if scenario.fleet.nodes > _MOST_NODES:
        return "large"
    policies = list(scenario.policies.values())[:_MOST_POLICIES]
    seed = random.randrange(2**64)
    try:
        with limited(_LONGEST_RUN_S):
            expected = run(scenario, policies, "reference", seed, replications=2)
    except TooLong:  # legal, but huge
        return "long"
    found = run(scenario, policies, "compiled", seed, replications=2)
    for of_one, of_other in zip(expected, found, strict=True):
        for place, (one, other) in enumerate(zip(of_one, of_other, strict=True)):
            if one["status"] == other["status"] == "failed":  # for a reason that each engine words differently
                of_one[place] = of_other[place] = {"status": "failed"}
    differing = differences([policy.name for policy in policies], expected, found)
    if differing:
        raise BrokenError("engines differ: " + "; ".join(differing))
    return "failed" if any(row["status"] == "failed" for rows in expected for row in rows) else "simulated"
