"""Mutated files of records of every kind: refused with problems, or read as valid tables."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from random import Random

import pandas as pd
from samples import argo, cdevents, nomad, prometheus
from small import rolling, small

from fuzzing.cases import ACCEPTED, REFUSED, BrokenError
from fuzzing.deployment_files import mutate_json
from fuzzing.guards import Watch
from fuzzing.shown import check_problems, check_text
from fuzzing.texts import JSON_MUTATORS, TEXT_MUTATORS
from fuzzing.trees import TREE_MUTATORS
from simdeploy import read_records, simulate
from simdeploy.errors import InputError
from simdeploy.records.table import COLUMNS

CHECK = {"deadline": "5m", "min_healthy_time": "30s"}


def _bases() -> dict[str, bytes]:
    """Return a small file of every kind, by name."""
    rollout = simulate(small(), rolling(5, health_check=CHECK, max_failed_nodes=11), seed=3)
    records = rollout.to_records("r")
    bodies = [json.loads(rollout.deployment_at(number + 1).to_json()) for number in range(3)]
    outages = pd.DataFrame(
        {
            "node": ["a", None],
            "zone": [None, "z"],
            "from": ["2026-03-02T08:00:00Z", 1772438400],
            "to": ["2026-03-02T08:00:01Z", None],
        }
    )
    run = argo.run([argo.SUCCESSES], [argo.results("success-rate", argo.measurement(1, "[0.9]"))])
    tables = {
        "nodes": records.nodes,
        "windows": records.windows.head(20),
        "rollouts": records.rollouts,
        "outages": outages,
    }
    tables["instants"] = records.nodes[["node"]].assign(
        dispatched_at=pd.Timestamp("2026-03-02T08:00:00Z"), started_at="2026-03-02 08:00:01"
    )
    files = {f"{name}.csv": frame.to_csv(index=False).encode() for name, frame in tables.items()}
    for name, frame in tables.items():
        content = io.BytesIO()
        frame.astype({"from": str} if "from" in frame else {}).to_parquet(content, index=False)
        files[f"{name}.parquet"] = content.getvalue()
        files[f"{name}.jsonl"] = frame.to_json(orient="records", lines=True, date_format="iso").encode()
    documents = {
        "deployments": bodies,
        "nomad": [*nomad.ALLOCATIONS[:4], nomad.deployment()],
        "argo": {"kind": "List", "items": [run, run]},
        "prometheus": prometheus.answer(prometheus.series(["0.1", "NaN"], instance="node-1")),
        "cdevents": cdevents.YEAR[:4],
    }
    files |= {f"{name}.json": json.dumps(data, indent=1).encode() for name, data in documents.items()}
    return files


class RecordFiles:
    """Files of every kind, alone or in a folder with others, mutated in an empty folder."""

    name = "records"
    mutators = (*TREE_MUTATORS, *JSON_MUTATORS)

    def __init__(self, folder: Path, watch: Watch) -> None:
        self._folder = folder / "records"
        self._watch = watch
        self._bases = _bases()
        self._rollout = folder / "simulated"
        simulate(small(), rolling(5, health_check=CHECK, max_failed_nodes=11), seed=3).write(self._rollout)
        read_records(self._rollout)  # modules are imported before the watch begins

    def examine(self, mutator: str, random: Random) -> tuple[str, ...]:
        """Mutate a file, read it, alone or beside others, and check the tables."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        if random.random() < 0.15:
            shutil.copytree(self._rollout, self._folder / "r")
            file = random.choice(sorted((self._folder / "r").iterdir()))
            content = file.read_bytes()
        else:
            name = random.choice(sorted(self._bases))
            file, content = self._folder / name, self._bases[name]
            for other in random.sample(sorted(self._bases), random.choice([0, 0, 1, 2])):
                (self._folder / f"other-{other}").write_bytes(self._bases[other])
        file.write_bytes(self._mutate(mutator, random, file, content))
        mapping = random.choice([None, None, {"zone": "class"}, {"node": "instance"}])
        with self._watch.on(self._folder) as touched:
            try:
                records = read_records(self._folder, mapping=mapping)
            except InputError as error:
                records = None
                check_problems(error.problems)
        if touched:
            raise BrokenError(f"reading records touches {touched}")
        if records is None:
            return (REFUSED,)
        for table, columns in COLUMNS.items():
            frame = getattr(records, table)
            if {name: str(dtype) for name, dtype in frame.dtypes.items()} != dict(columns):
                raise BrokenError(f"{table} has other columns or types: {frame.dtypes}")
        nodes = records.nodes
        if (nodes["started_at_s"] < nodes["dispatched_at_s"]).any() or nodes.duplicated(["rollout", "node"]).any():
            raise BrokenError("a negative duration, or a node twice")
        if not set(nodes["rollout"]) | set(records.windows["rollout"]) <= set(records.rollouts["rollout"]):
            raise BrokenError("a rollout without a row")
        for reason in records.dropped["reason"]:
            check_text(reason)
        return (ACCEPTED,)

    def _mutate(self, mutator: str, random: Random, file: Path, content: bytes) -> bytes:
        if file.suffix == ".json":
            return mutate_json(mutator, random, content)
        return TEXT_MUTATORS[random.choice(sorted(TEXT_MUTATORS))](random, content)
