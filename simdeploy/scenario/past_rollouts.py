"""Rollouts on record as the worlds of a scenario: their file, and the keys that they exclude."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from simdeploy.errors import InputError, Problem, shorten
from simdeploy.records.histories import History, PastRollouts
from simdeploy.rules.deployment_types import TYPES
from simdeploy.scenario.files import Files, first_word
from simdeploy.scenario.section import ReadBy

if TYPE_CHECKING:
    from simdeploy.world.fleet import Fleet
    from simdeploy.world.operator import Operator
    from simdeploy.world.release import ReleaseKind

_PATH = ("fleet", "records")
# Keys that records replace, or have no counterpart of.
_INSTEAD = ("crash", "zone_outage", "connection", "down")


def _read_records(raw: object, files: Files) -> PastRollouts:
    if not isinstance(raw, str) or not raw.strip():
        raise InputError(Problem("not a file name", found=shorten(raw), allowed="a file or folder of records"))
    return files.past_rollouts(raw)


RECORDS = ReadBy(_read_records, {"type": "string"}, needs_files=True)


def find_kind(history: History, release: Sequence[ReleaseKind]) -> ReleaseKind | None:
    """Return the scenario's kind of release of a recorded rollout: by its name, or the only kind with the same `defective`.

    None if it can't be determined.
    """
    is_defective = history.rollout["defective"]
    alike = [kind for kind in release if is_defective in (None, kind.defective)]
    named = [kind for kind in alike if kind.name == history.rollout["release"]]
    candidates = named or (alike if is_defective is not None or len(release) == 1 else [])
    return candidates[0] if len(candidates) == 1 else None


def choose_histories(past: PastRollouts, release: Sequence[ReleaseKind], name: str | None) -> tuple[History, ...]:
    """Return the rollouts whose release is of a kind, or all if none is named."""
    if name is None:
        return past.histories
    kinds = [find_kind(history, release) for history in past.histories]
    return tuple(
        history for history, kind in zip(past.histories, kinds, strict=True) if kind is not None and kind.name == name
    )


def past_problems(
    past: PastRollouts, fleet: Fleet, release: Sequence[ReleaseKind], operator: Operator, deployment_type: str
) -> Iterator[Problem]:
    """List keys that contradict rollouts on record, or can't be combined with them."""
    sizes = {len(history.nodes) for history in past.histories} - {fleet.nodes}
    if sizes:
        found = f"{fleet.nodes:,}, but a rollout has {min(sizes):,}"
        yield Problem("must be the number of nodes of all rollouts on record", ("fleet", "nodes"), found=found)
    places: list[tuple[str | int, ...]] = [(), *(("classes", number) for number in range(len(fleet.classes)))]
    for place, behaviour in zip(places, fleet.behaviours, strict=True):
        for key in _INSTEAD:
            if getattr(behaviour, key) and not (place and getattr(fleet.behaviour, key)):
                message = "not allowed beside `records`, which state when nodes are down or offline"
                yield Problem(message, ("fleet", *place, key))
    if fleet.order != "index":
        yield Problem("not allowed beside `records`, which have the order of the nodes", ("fleet", "order"))
    if operator.script:
        yield Problem("not allowed beside `records`, which have people's actions", ("operator", "script"))
    types = {history.rollout["type"] or "update" for history in past.histories} - {deployment_type}
    if types:
        found = f"{deployment_type}, but a rollout has type {min(types)}"
        yield Problem("must be the type of all rollouts on record", ("deployment", "type"), found=found)
    if not TYPES[deployment_type].releases:
        return
    kinds = [find_kind(history, release) for history in past.histories]
    if None in kinds and release:
        name = past.histories[kinds.index(None)].rollout["rollout"]
        message = "the kind of a rollout's release is not recorded, or matches none of the scenario's"
        hint = "state `release` or `defective` in a table of rollouts, or only one kind in `release`"
        yield Problem(message, _PATH, found=f"rollout {first_word(str(name))}", hint=hint)
        return
    for kind in release:
        if kind.probability and kind not in kinds:
            yield Problem("no rollout on record has a release of this kind", ("release", kind.name))
