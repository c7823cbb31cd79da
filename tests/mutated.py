"""Broken variants of a configuration file: of its text, and of its values."""

from __future__ import annotations

import copy
import json
import random
import warnings
from collections.abc import Iterator
from typing import Any

from simdeploy import Scenario
from simdeploy.dialects import read_policy
from simdeploy.dialects.source import Source, Tagged
from simdeploy.errors import InputError

_VALUES = (
    None, True, False, 0, -1, 3, 10**12, 10**30, 0.5, -2.5, 1e300, "", "x", "0", "-1", "50%", "150%", "1e9%", "10s", "-5s", "99999h",
    "PT5M", "1:2:3", "${A}", "${A:-3}", "$", "{{ x }}", "[parameters('p')]", "é\x7f", [], [[]], [None], [1, "a"], {}, {"Ref": "P"},
    {"Fn::If": ["C", 1, 2]}, {"a": {"b": []}}, "x" * 300,
)  # fmt: skip
_SNIPPETS = (
    "!Ref P",
    "!If [C, 1, 2]",
    "!x",
    "*a",
    "&a",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "\t",
    "\n",
    "'",
    '"',
    "<<: *a",
    "0",
    "~",
    "---\n",
)


def mutations(text: str, n: int, *, seed: int = 0) -> Iterator[str]:
    """Yield broken variants; half of them of the values, as JSON, half of the text."""
    rng = random.Random(seed)
    data = _plain(Source(text).documents[0].data)
    for number in range(n):
        yield _mutate_text(text, rng) if number % 2 else json.dumps(_mutate_values(data, rng))


def assert_survives(kind: str, text: str, *, n: int = 150) -> None:
    """Assert that broken variants are refused with problems, or give policies that a scenario can have."""
    for number, variant in enumerate(mutations(text, n)):
        try:
            imported = read_policy(f"\n{variant}\n ", kind, nodes=12 if number % 3 else None)
        except InputError:
            continue
        fleet = {"nodes": 12, "zones": 3, "order": "zone", "update_duration": "30s", "requests_per_second": 10}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Scenario.from_dict(
                {"name": "x", "fleet": fleet, "policies": {"p": json.loads(json.dumps(imported.policy))}}
            )


def _plain(value: Any) -> Any:
    """Return values as JSON has them: a tagged one as CloudFormation's function."""
    if isinstance(value, Tagged):
        name = value.tag.removeprefix("!")
        return {name if name == "Ref" else f"Fn::{name}": _plain(value.value)}
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _mutate_values(data: Any, rng: random.Random) -> Any:
    data = copy.deepcopy(data)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(data))
        if not places:
            break
        holder, key = rng.choice(places)
        act = rng.random()
        if act < 0.15:
            del holder[key]
        elif act < 0.25 and isinstance(holder, dict):
            holder[f"{key}x"] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(rng.choice(_VALUES))
    return data


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    keys = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
    for key in list(keys):
        yield data, key
        yield from _places(data[key])


def _mutate_text(text: str, rng: random.Random) -> str:
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(text) + 1)
        end = min(len(text), place + rng.choice((0, 1, 5, 40)))
        text = text[:place] + rng.choice(("", text[place:end] * 2, rng.choice(_SNIPPETS))) + text[end:]
    return text
