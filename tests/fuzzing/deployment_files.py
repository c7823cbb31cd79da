"""Mutated deployments in JSON: refused with problems, or read and written back unchanged."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from random import Random

from generators import Decisions, policy_of

from fuzzing.cases import ACCEPTED, REFUSED, BrokenError
from fuzzing.guards import Watch
from fuzzing.shown import check_problems, check_validate
from fuzzing.texts import CANARY, JSON_MUTATORS
from fuzzing.trees import TREE_MUTATORS, Tree
from simdeploy.api import parse_deployment, read_deployment
from simdeploy.errors import InputError
from simdeploy.scenario import Scenario


def dump_json(random: Random, tree: Tree) -> bytes:
    """Write a tree as JSON, with NaN and infinity, which Python accepts."""
    text = json.dumps(tree, indent=random.choice([None, 1]), ensure_ascii=random.choice([False, True]))
    return text.encode(errors="surrogatepass")


def mutate_json(mutator: str, random: Random, content: bytes) -> bytes:
    """Mutate JSON by the name of a mutator of trees, or of texts."""
    if mutator in JSON_MUTATORS:
        return JSON_MUTATORS[mutator](random, content)
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):  # of a second mutation, after the first broke the file
        return content
    return dump_json(random, TREE_MUTATORS[mutator](random, tree))


class DeploymentFiles:
    """A recorded deployment, and generated specs of both dialects, mutated in an empty folder; `recorded` is the body of a response."""

    name = "deployment"
    mutators = (*TREE_MUTATORS, *JSON_MUTATORS)

    def __init__(self, recorded: Path, folder: Path, watch: Watch) -> None:
        self._recorded = recorded.read_bytes()
        self._folder = folder
        self._watch = watch
        self._scenario = Scenario.from_dict(
            {
                "name": "around",
                "fleet": {"nodes": 20, "update_duration": "45s"},
                "policies": {"p": {"strategy": "immediate"}},
            }
        )

    def examine(self, mutator: str, random: Random) -> tuple[str, ...]:
        """Mutate a deployment, read it, and write what was read."""
        content = mutate_json(mutator, random, self._base(random))
        if random.random() < 0.2:
            content = mutate_json(random.choice(self.mutators), random, content)
        file = self._folder / "case.json"
        file.write_bytes(content)
        with warnings.catch_warnings(), self._watch.on(self._folder) as touched:
            warnings.simplefilter("error")
            try:
                document = read_deployment(file)
            except InputError as error:
                document = None
                check_problems(error.problems)
        if touched:
            raise BrokenError(f"reading a deployment touches {touched}")
        check_validate(file, is_good=document is not None)
        if any(folder.joinpath(CANARY).exists() for folder in (Path(), self._folder)):
            raise BrokenError("a deployment ran a command")
        if document is None:
            return (REFUSED,)
        check_problems(document.warnings)
        text = document.to_json()
        again = parse_deployment(text)
        if again.to_json() != text or again.spec != document.spec:
            raise BrokenError(f"written again it is another one: {text[:500]}")
        if json.loads(text) != json.loads(content.decode().lstrip("\ufeff")):
            raise BrokenError(f"something is lost: {text[:500]}")
        try:
            self._scenario.policy(document)
        except InputError as error:
            check_problems(error.problems)
            return ACCEPTED, "no policy"
        return ACCEPTED, "a policy"

    def _base(self, random: Random) -> bytes:
        if random.random() < 0.4:
            return self._recorded
        spec = policy_of(Decisions(random.randbytes(64)), 10)
        dialect = spec.pop("dialect")
        return dump_json(random, random.choice([spec, {"spec": spec}, {dialect: {"id": "d-1", "spec": spec}}]))
