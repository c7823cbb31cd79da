"""Tables with a row per rollout. A mistake in them is an error, because each row concerns many rows of other tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.api.document import DeploymentDocument, parse_deployment
from simdeploy.errors import InputError
from simdeploy.records.cells import Rows, in_utc
from simdeploy.records.content import Content
from simdeploy.records.parts import Part, part_of
from simdeploy.records.policies import read_health_times, write_policy
from simdeploy.records.sources.tables import name_rollouts, read_rows, read_times
from simdeploy.records.table import COLUMNS
from simdeploy.rules.deployment_types import TYPES
from simdeploy.vocabulary import STATES

if TYPE_CHECKING:
    import pandas as pd

KIND = "table of rollouts"


def recognises(content: Content) -> bool:
    """Return whether rows have a rollout and facts about it, but nothing about nodes."""
    rows = Rows.of(content)
    facts = ("started_at", "nodes", "policy", "release", "defective", "state")
    # A table of nodes with another name for `node` still has times of nodes.
    of_node = ("node", "dispatched_at", "resolved_at", "heard_at", "attempts", "cause")
    return rows.has("rollout") and not rows.has(*of_node) and rows.has(*facts)


def read(contents: Sequence[Content]) -> list[Part]:
    """Read tables of rollouts."""
    return [_read(rows, alone) for rows, alone in read_rows(contents)]


def _read(rows: Rows, alone: str) -> Part:
    started = rows.instants("started_at")
    policies = rows.text("policy")
    columns = {
        "rollout": name_rollouts(rows, alone),
        "started_at": None if started is None else in_utc(started),
        "nodes": rows.whole("nodes", least=1),
        "type": rows.word("type", tuple(TYPES)),
        "policy": policies,
        "interval_s": rows.number("interval_s"),
        "deadline_s": rows.number("deadline_s"),
        "release": rows.name("release"),
        "defective": rows.flag("defective"),
        "state": rows.word("state", STATES),
        **read_times(rows, ("ended", "watched_until")),
    }
    rows.raise_if_refused()
    if policies is not None:
        documents = _read_policies(rows, policies)
        columns["policy"] = policies.map({text: write_policy(document) for text, document in documents.items()})
        for name in ("interval_s", "deadline_s"):
            of_policy = policies.map({text: read_health_times(each.spec)[name] for text, each in documents.items()})
            stated = rows.number(name)
            columns[name] = of_policy if stated is None else np.where(np.isnan(stated), of_policy, stated)
    return part_of(rows, "rollouts", columns, known=list(COLUMNS["rollouts"]))


def _read_policies(rows: Rows, policies: pd.Series) -> dict[str, DeploymentDocument]:
    """Return each distinct policy; raise `InputError` for invalid ones."""
    documents: dict[str, DeploymentDocument] = {}
    for text in policies.dropna().unique():
        try:
            documents[text] = parse_deployment(text)
        except InputError as error:
            row = int(np.flatnonzero((policies == text).fillna(value=False).to_numpy(dtype=bool))[0])
            line = rows.table.find_line(row)
            path = (rows.find("policy") or "policy",)
            problems = [
                replace(each, path=(*path, *each.path), file=rows.file, line=line, column=None)
                for each in error.problems
            ]
            raise InputError(problems) from None
    return documents
