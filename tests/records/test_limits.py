"""Files that are too large are refused before they are held in memory."""

import json

import pandas as pd
import pytest

from simdeploy import InputError, read_records
from simdeploy.records import content, walking


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_BYTES", 50, "n.{}: larger than 5e-05 MB"),
        ("MAX_ROWS", 3, "n.{}: more than 3 rows"),
        ("MAX_COLUMNS", 1, "n.{}: more than 1 columns"),
    ],
)
def test_files_that_are_too_large(ending, limit, value, message, tmp_path, monkeypatch):
    """Too many bytes, rows or columns are an error that names the limit. [contract]"""
    frame = pd.DataFrame({"node": [f"node-{number}" for number in range(5)], "dispatched_at_s": range(5)})
    file = tmp_path / f"n.{ending}"
    if ending == "parquet":
        frame.to_parquet(file, index=False)
    else:
        file.write_text(frame.to_csv(index=False) if ending == "csv" else frame.to_json(orient="records", lines=True))
    assert len(read_records(file).nodes) == 5
    monkeypatch.setattr(content, limit, value)
    monkeypatch.setattr(walking, "MAX_BYTES", content.MAX_BYTES)
    with pytest.raises(InputError, match=message.format(ending)):
        read_records(file)


def test_documents_that_are_too_large(tmp_path, monkeypatch):
    """Documents with too many values, or too large as lines of nested objects, are refused. [contract]"""
    answer = {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1772438400, "0"]] * 100}]},
    }
    (tmp_path / "p.json").write_text(json.dumps(answer))
    (tmp_path / "p.jsonl").write_text(f"{json.dumps(answer)}\n{json.dumps(answer)}\n")
    monkeypatch.setattr(content, "MAX_VALUES", 50)
    with pytest.raises(InputError, match=r"p.json:1: more than 50 values"):
        read_records(tmp_path / "p.json")
    monkeypatch.setattr(content, "MAX_NESTED_BYTES", 1000)
    with pytest.raises(InputError, match=r"p.jsonl: larger than 0.001 MB"):
        read_records(tmp_path / "p.jsonl")


def test_folders_that_are_too_large(tmp_path, monkeypatch):
    """A folder with too many files is refused. [contract]"""
    for number in range(4):
        (tmp_path / f"{number}.csv").write_text("node,started_at_s\na,1\n")
    assert len(read_records(tmp_path).rollouts) == 4
    monkeypatch.setattr(walking, "MAX_FILES", 3)
    with pytest.raises(InputError, match="more than 3 files"):
        read_records(tmp_path)
