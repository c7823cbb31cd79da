"""Mutated files of other orchestrators: refused with problems, or imported as policies that a scenario accepts."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from fuzzing.cases import ACCEPTED, REFUSED, BrokenError
from fuzzing.shown import check_problems
from fuzzing.texts import CANARY, JSON_MUTATORS, YAML_MUTATORS
from fuzzing.trees import TREE_MUTATORS
from simdeploy import Scenario
from simdeploy.api.files import read_text
from simdeploy.dialects.importing import import_source, recognise
from simdeploy.dialects.source import Source, Tagged
from simdeploy.errors import InputError

FLEET = {"nodes": 12, "zones": 3, "order": "zone", "update_duration": "30s", "requests_per_second": 10}


def plain(value: Any) -> Any:
    """Return values as JSON has them: a tagged one as CloudFormation's function."""
    if isinstance(value, Tagged):
        name = value.tag.removeprefix("!")
        return {name if name == "Ref" else f"Fn::{name}": plain(value.value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


class PolicyFiles:
    """Files of one kind, mutated in an empty folder; only `texts` can't be represented as YAML or JSON."""

    mutators = (*TREE_MUTATORS, *(YAML_MUTATORS | JSON_MUTATORS))

    def __init__(self, kind: str, texts: Sequence[str], folder: Path) -> None:
        self.name = kind
        self._texts = texts
        self._trees = [
            [plain(document.data) for document in Source(text).documents]
            for text in texts
            if not text.startswith("job ")
        ]
        self._file = folder / "case"

    def examine(self, mutator: str, random: Random) -> tuple[str, ...]:
        """Mutate a file, recognise its kind as `read_policy` does, and import it as the right one."""
        self._file.write_bytes(self._mutate(mutator, random))
        nodes = random.choice([12, 12, None])
        with warnings.catch_warnings(action="ignore"):
            try:
                source = Source(read_text(self._file), str(self._file))
                recognise(source)
                imported = import_source(source, self.name, nodes=nodes)
            except InputError as error:
                check_problems(error.problems)
                return (REFUSED,)
            policy = json.loads(json.dumps(imported.policy))
            Scenario.from_dict({"name": "around", "fleet": FLEET, "policies": {"p": policy}})
        if Path(CANARY).exists():
            raise BrokenError("a file ran a command")
        return (ACCEPTED,)

    def _mutate(self, mutator: str, random: Random) -> bytes:
        if mutator not in TREE_MUTATORS:
            mutate = (YAML_MUTATORS | JSON_MUTATORS)[mutator]
            return mutate(random, random.choice(self._texts).encode())
        documents = json.loads(json.dumps(random.choice(self._trees)))
        at = random.randrange(len(documents))
        documents[at] = TREE_MUTATORS[mutator](random, documents[at])
        return "\n---\n".join(map(json.dumps, documents)).encode()
