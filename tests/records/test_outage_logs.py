"""Logs of outages of nodes and zones."""

import pandas as pd
import pytest

from simdeploy import InputError, read_records


def test_outages(tmp_path):
    """Outages of nodes and zones are read, with open ones, and nodes without any while they were watched. [contract]"""
    text = """node,zone,from,to,watched_from,watched_until
n1,,2026-03-02T08:00:00Z,2026-03-02T08:05:00+00:00,2026-03-01T00:00:00Z,2026-04-01T00:00:00Z
n1,,2026-03-02T08:00:00Z,2026-03-02T08:05:00Z,2026-03-01T00:00:00Z,2026-04-01T00:00:00Z
,eu,2026-03-05 08:00,,,
n2,,,,2026-03-01T00:00:00Z,2026-04-01T00:00:00Z
n3,,2026-03-02T08:05:00Z,2026-03-02T08:00:00Z,,
n4,,,,,
,,2026-03-02T08:05:00Z,,,
n5,,2026-02-02T08:05:00Z,2026-03-02T08:00:00Z,2026-03-01T00:00:00Z,2026-04-01T00:00:00Z
n6,,60,120,,
"""
    (tmp_path / "o.csv").write_text(text)
    records = read_records(tmp_path / "o.csv")
    outages = records.outages
    assert outages["node"].fillna("-").tolist() == ["n1", "-", "n2"]
    assert outages["zone"].fillna("-").tolist() == ["-", "eu", "-"]
    assert (outages["to"] - outages["from"])[0] == pd.Timedelta("5min")
    assert outages["from"].isna().tolist() == [False, False, True]
    assert records.dropped[["line", "rows", "reason"]].to_numpy().tolist() == [
        [pd.NA, 0, "times without an offset are assumed to be UTC, although others have one: 'from' (1 row)"],
        [8, 1, "neither a node nor a zone"],
        [10, 1, "from: not a time (found '60'); allowed: a time such as 2026-03-02T08:00:00Z"],
        [6, 1, "ends before it begins"],
        [9, 1, "not within the span that was watched"],
        [7, 1, "neither an outage nor a span that was watched"],
        [3, 1, "repeats an earlier row"],
    ]


def test_json_lines_and_unix_times(tmp_path):
    """Unix times are instants; a log without any usable row is an error. [contract]"""
    (tmp_path / "o.jsonl").write_text(
        '{"node": "a", "from": 1772438400, "to": 1772438460.5}\n{"node": "b", "from": 1772438400, "to": null}\n'
    )
    outages = read_records(tmp_path / "o.jsonl").outages
    assert outages["from"].tolist() == [pd.Timestamp("2026-03-02T08:00:00Z")] * 2
    assert outages["to"].isna().tolist() == [False, True]
    (tmp_path / "o.jsonl").write_text('{"node": "a", "from": 5, "to": 6}\n{"node": "b", "from": 1, "to": 2}\n')
    with pytest.raises(InputError, match=r"no usable records\n.*from: not a time"):
        read_records(tmp_path / "o.jsonl")
