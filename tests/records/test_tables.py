"""Tables of nodes, windows, rollouts and acts as teams export them: other names, timestamps, gaps, repetitions, any order."""

import json

import numpy as np
import pandas as pd
import pytest
from by_hand import script
from small import small

from simdeploy import InputError, read_records, simulate

NODES = pd.DataFrame(
    {
        "rollout": ["mon", "mon", "tue", "tue"],
        "node": ["a", "b", "a", "b"],
        "zone": ["z1", "z2", "z1", "z2"],
        "status": ["running", "failed", "running", "starting"],
        "cause": [None, "unhealthy", None, None],
        "attempts": [1, 2, 1, None],
        "dispatched_at_s": [0, 60, 0, 10.5],
        "started_at_s": [30.25, 95, 20, None],
        "resolved_at_s": [60.25, 400, 50, None],
    }
)
STARTS = {"mon": pd.Timestamp("2026-03-02T08:00:00Z"), "tue": pd.Timestamp("2026-03-03T08:00:00.000000001Z")}
TIMES = ["dispatched_at_s", "started_at_s", "resolved_at_s"]


def write(frame, file):
    """Write a table in the form of the file's ending."""
    if file.suffix == ".parquet":
        frame.to_parquet(file, index=False)
    elif file.suffix == ".csv":
        frame.to_csv(file, index=False)
    else:
        cells = frame.astype(object).where(frame.notna(), None).to_dict("records")
        rows = json.loads(json.dumps(cells, default=pd.Timestamp.isoformat))
        file.write_text("\n".join(map(json.dumps, rows)) if file.suffix == ".jsonl" else json.dumps(rows, indent=1))
    return file


def with_instants(frame):
    """Return the table with instants in place of seconds."""
    instants = {
        name.removesuffix("_s"): [
            STARTS[rollout] + pd.Timedelta(seconds=seconds) if seconds == seconds else pd.NaT
            for rollout, seconds in zip(frame["rollout"], frame[name], strict=True)
        ]
        for name in TIMES
    }
    return frame.drop(columns=TIMES).assign(**instants)


def dropped(records):
    """Return what was left out: line, rows, reason."""
    return [
        (None if line is pd.NA else int(line), int(rows), reason)
        for _, line, rows, reason in records.dropped.itertuples(index=False)
    ]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "parquet"])
@pytest.mark.parametrize("has_instants", [False, True])
def test_forms_and_times(ending, has_instants, tmp_path):
    """All file forms give the same records, with seconds, or with timestamps to the nanosecond. [contract]"""
    frame = with_instants(NODES) if has_instants else NODES
    records = read_records(write(frame, tmp_path / f"n.{ending}"))
    found = records.nodes
    assert found["rollout"].tolist() == NODES["rollout"].tolist()
    assert found[TIMES].equals(NODES[TIMES].astype(float))
    assert found["attempts"].tolist() == [1, 2, 1, pd.NA]
    assert found["cause"].fillna("-").tolist() == ["-", "unhealthy", "-", "-"]
    assert found["position"].tolist() == [0, 1, 0, 1]
    assert found["watched_until_s"].tolist() == [400, 400, 50, 50]
    assert records.rollouts["rollout"].tolist() == ["mon", "tue"]
    if has_instants:
        assert records.rollouts["started_at"].tolist() == list(STARTS.values())
    else:
        assert records.rollouts["started_at"].isna().all()
    assert records.dropped.empty


def test_instants_of_any_zone_and_unit(tmp_path):
    """Instants in Parquet files are the same in any time zone and unit. [contract]"""
    start = pd.Timestamp("2026-03-02T09:00:00+01:00")
    for unit, zone in (("ns", "Europe/Berlin"), ("us", "America/New_York"), ("ms", "UTC"), ("s", "Asia/Tokyo")):
        dispatched = pd.Series([start] * 2).dt.tz_convert(zone).dt.as_unit(unit)
        started = ["2026-03-02T08:00:07Z", "2026-03-02T08:00:08Z"]
        frame = pd.DataFrame({"node": ["a", "b"], "dispatched_at": dispatched, "started_at": started})
        records = read_records(write(frame, tmp_path / "n.parquet"))
        assert records.rollouts["started_at"].tolist() == [start]
        assert records.nodes["started_at_s"].tolist() == [7, 8]


def test_mapping_and_unix_times(tmp_path):
    """Columns of other names are mapped; numbers under a name without _s are seconds since 1970. [contract]"""
    text = "host,region,sent,up,extra\nweb-1,eu,1772438400,1772438430.25,x\nweb-2,us,1772438410,,x\n"
    (tmp_path / "release 7.csv").write_text(text)
    names = {"node": "host", "zone": "region", "dispatched_at": "sent", "started_at": "up"}
    records = read_records(tmp_path / "release 7.csv", mapping=names)
    assert records.rollouts["rollout"].tolist() == ["release 7"]
    assert records.rollouts["started_at"].tolist() == [pd.Timestamp("2026-03-02T08:00:00Z")]
    assert records.nodes["zone"].tolist() == ["eu", "us"]
    assert records.nodes["dispatched_at_s"].tolist() == [0, 10]
    assert records.nodes["started_at_s"].fillna(-1).tolist() == [30.25, -1]
    assert dropped(records) == [(None, 0, "columns not read: extra")]
    # A mapped column takes precedence over ours, whatever the ending of its name.
    (tmp_path / "both.csv").write_text("node,sent,dispatched_at_s\na,1772438400,90\nb,1772438410,90\n")
    records = read_records(tmp_path / "both.csv", mapping={"dispatched_at": "sent"})
    assert records.nodes["dispatched_at_s"].tolist() == [0, 10]
    assert dropped(records) == [(None, 0, "columns not read: dispatched_at_s")]


def test_the_start_of_a_table_of_rollouts_counts(tmp_path):
    """Timestamps are relative to the stated start, else to the first dispatch. [contract]"""
    write(with_instants(NODES), tmp_path / "nodes.csv")
    policy = {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m", "min_healthy_time": "30s"}}
    rollouts = {"rollout": "mon", "started_at": "2026-03-02T07:59:00Z", "policy": policy}
    rollouts |= {"defective": False, "state": "completed"}
    (tmp_path / "rollouts.json").write_text(json.dumps([rollouts]))
    records = read_records(tmp_path)
    assert records.nodes["dispatched_at_s"].tolist() == [60, 120, 0, 10.5]
    first = records.rollouts.set_index("rollout").loc["mon"]
    assert json.loads(first["policy"]) == {"dialect": "deployment", **policy}
    assert first["deadline_s"] == 300
    assert records.rollouts["defective"].isna().tolist() == [False, True]
    assert not first["defective"]


@pytest.mark.parametrize(
    ("dispatched", "started", "noted"),
    [
        ("2026-03-29T01:59:50Z", "2026-03-29 03:00:20", ["'started_at' (2 rows)"]),
        ("2026-03-29T01:59:50+01:00", "2026-03-29T03:00:20.5+0200", []),
        ("2026-03-29", "2026-03-29 03:00:20", []),
    ],
)
def test_times_of_two_clocks_are_noted(dispatched, started, noted, tmp_path):
    """If only some timestamps have an offset, the others, taken for UTC, are named. [contract]"""
    rows = [f"{node},{dispatched},{started}\n" for node in "ab"]
    (tmp_path / "n.csv").write_text("".join(["node,dispatched_at,started_at\n", *rows]))
    message = "times without an offset are assumed to be UTC, although others have one: "
    assert dropped(read_records(tmp_path / "n.csv")) == [(None, 0, f"{message}{columns}") for columns in noted]


def test_negative_durations_are_left_out(tmp_path):
    """A node that started before its dispatch is left out, with line and reason, rather than set to 0. [contract]"""
    lines = [
        "node,dispatched_at,started_at,resolved_at",
        *(f"n{i},2026-03-02T08:00:0{i}Z,2026-03-02T08:00:0{i}.5Z," for i in range(6)),
    ]
    lines[3] = "n2,2026-03-02T08:00:02Z,2026-03-02T08:00:01.999Z,"
    lines[5] = "n4,2026-03-02T08:00:04Z,2026-03-02T08:00:05Z,2026-03-02T08:00:04.5Z"
    (tmp_path / "n.csv").write_text("\n".join(lines) + "\n")
    records = read_records(tmp_path / "n.csv")
    assert records.nodes["node"].tolist() == ["n0", "n1", "n3", "n5"]
    assert dropped(records) == [
        (4, 1, "negative duration: started_at_s is before dispatched_at_s"),
        (6, 1, "negative duration: resolved_at_s is before started_at_s"),
    ]
    unset = "0001-01-01T00:00:00Z"  # as Go writes it: missing
    (tmp_path / "n.csv").write_text(f"node,dispatched_at,started_at\na,2026-03-02T08:00:00Z,{unset}\n")
    records = read_records(tmp_path / "n.csv")
    assert records.nodes["started_at_s"].isna().all()
    assert records.dropped.empty
    (tmp_path / "n.csv").write_text("node,dispatched_at_s,watched_until_s\na,0,9\nb,10,9\n")
    [left_out] = dropped(read_records(tmp_path / "n.csv"))
    assert left_out == (3, 1, "negative duration: watched_until_s is before dispatched_at_s")


def test_repeated_and_contradicting_rows(tmp_path):
    """Equal rows count once, even across files; rows that contradict each other are all left out. [contract]"""
    head = "rollout,node,dispatched_at_s,started_at_s\n"
    (tmp_path / "1.csv").write_text(f"{head}r,a,0,5\nr,b,0,6\nr,a,0,5\nr,a,0,5\n")
    (tmp_path / "2.csv").write_text(f"{head}r,c,0,7\nr,b,0,6.5\nr,c,0,7\n")
    records = read_records(tmp_path)
    assert records.nodes["node"].tolist() == ["a", "c"]
    repeats, contradicts = "repeats an earlier row", "contradicts another row of the same node of a rollout"
    assert dropped(records) == [(4, 2, repeats), (3, 1, contradicts), (4, 1, repeats), (3, 1, contradicts)]


def test_rows_that_complement_each_other(tmp_path):
    """Rows of a node or window are combined, also across files, unless a known cell differs. [contract]"""
    (tmp_path / "1.csv").write_text("rollout,node,dispatched_at_s,started_at_s\nr,a,0,5\nr,b,0,6\nr,c,0,7\n")
    (tmp_path / "2.csv").write_text(
        "rollout,node,status,attempts,started_at_s\nr,c,running,1,\nr,a,failed,2,5\nr,b,running,1,7\n"
    )
    (tmp_path / "3.csv").write_text("rollout,node,zone,status\nr,a,z,\nr,c,z,failed\nr,d,z,running\n")
    (tmp_path / "4.csv").write_text("rollout,node,ended_s,requests\nr,a,10,600\nr,a,20,600\nr,b,10,600\n")
    (tmp_path / "5.csv").write_text(
        "rollout,node,ended_s,failed_requests,healthy\nr,a,20,6,true\nr,a,10,3,\nr,b,10,601,\n"
    )
    records = read_records(tmp_path)
    columns = ["node", "zone", "status", "attempts", "dispatched_at_s", "started_at_s"]
    nodes = records.nodes[columns].astype(object)
    assert nodes.where(nodes.notna(), None).to_numpy().tolist() == [
        ["a", "z", "failed", 2, 0, 5],
        ["d", "z", "running", None, None, None],
    ]
    windows = records.windows[["ended_s", "requests", "failed_requests", "error_rate", "healthy"]]
    assert windows.to_numpy().tolist() == [[10, 600, 3, 0.005, pd.NA], [20, 600, 6, 0.01, True]]
    contradicts = "contradicts another row of the same node of a rollout"
    more = (4, 1, "more failed requests than requests")
    assert dropped(records) == [(3, 2, contradicts), (2, 2, contradicts), (3, 1, contradicts), more]


def test_tables_of_the_same_name(tmp_path):
    """Tables of the same name in different folders are different rollouts; those of another kind complete them. [contract]"""
    for day in ("02", "03"):
        (tmp_path / day).mkdir()
        rows = f"a,2026-03-{day}T08:00:00Z,2026-03-{day}T08:00:30Z\nb,2026-03-{day}T08:00:10Z,\n"
        (tmp_path / day / "nodes.csv").write_text(f"node,dispatched_at,started_at\n{rows}")
    records = read_records(tmp_path)
    assert records.rollouts["rollout"].tolist() == ["02/nodes", "03/nodes"]
    assert records.nodes["dispatched_at_s"].tolist() == [0, 10] * 2
    assert records.dropped.empty
    (tmp_path / "03" / "nodes.json").write_text('[{"node": "b", "attempts": 2}, {"node": "c", "attempts": 1}]')
    again = read_records(tmp_path / "03")
    assert again.rollouts["rollout"].tolist() == ["nodes"]
    assert again.nodes["attempts"].fillna(0).tolist() == [0, 2, 1]
    (tmp_path / "acts").mkdir()
    (tmp_path / "acts" / "nodes.csv").write_text("time,act\n2026-03-03T08:00:20Z,pause\n")
    acts = read_records(tmp_path / "03" / "nodes.csv", tmp_path / "acts").acts
    assert acts.to_numpy().tolist() == [["nodes", 20, "pause"]]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("acts.csv", "rollout,time,act\nr,2026-03-02T07:00:00Z,pause\n", "acts.csv:2: time: before the start of rollout 'r' \\(found 1h before it\\); compare clocks"),
        ("acts.csv", "rollout,time_s,act\nr,0,pause\nr,-60,resume\n", "acts.csv:3: time_s: before the start .*1m before it"),
        ("r.csv", "rollout,state,ended\nr,failed,2026-03-02T07:00:00Z\n", "r.csv:2: ended: before the start of rollout 'r'"),
        ("r.csv", "rollout,state,watched_until_s\nr,failed,-0.5\n", "r.csv:2: watched_until_s: before the start .*500ms before"),
        ("r.csv", "rollout,started_at,ended\nq,2026-03-02T08:00:00Z,2026-03-02T07:59:00Z\n", "r.csv:2: ended: before the start of rollout 'q'"),
    ],
)  # fmt: skip
def test_times_before_the_start_of_a_rollout_are_refused(name, text, message, tmp_path):
    """An act or end before the start of its rollout is an error with file, line and field. [contract]"""
    (tmp_path / "n.csv").write_text(
        "rollout,node,dispatched_at,started_at\nr,a,2026-03-02T08:00:00Z,2026-03-02T08:00:30Z\n"
    )
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_records(tmp_path)


def test_the_order_of_rows_does_not_matter(tmp_path):
    """Shuffled rows get the same positions, by their dispatch. [property]"""
    rng = np.random.default_rng(5)
    names = {"rollout": np.repeat(["a", "b", "c"], 40), "node": np.tile([f"n{i}" for i in range(40)], 3)}
    nodes = pd.DataFrame(names | {"dispatched_at_s": rng.permuted(np.arange(120.0))})
    keys = ["rollout", "node"]
    expected = read_records(write(nodes, tmp_path / "n.csv")).nodes.sort_values(keys, ignore_index=True)
    for seed in range(3):
        shuffled = nodes.sample(frac=1, random_state=seed)
        found = read_records(write(shuffled, tmp_path / "s.csv")).nodes.sort_values(keys, ignore_index=True)
        pd.testing.assert_frame_equal(found, expected)
    ranks = nodes.groupby("rollout")["dispatched_at_s"].rank().sub(1)
    assert expected["position"].tolist() == nodes.assign(rank=ranks).sort_values(keys)["rank"].tolist()


def test_unreadable_rows_are_left_out(tmp_path):
    """Each column reports its first unreadable line, their number, the value found and allowed ones. [contract]"""
    text = """node,status,attempts,dispatched_at_s,started_at_s
a,running,1,0,30
b,runing,1,0,30
c,running,1.5,0,30
d,running,1,soon,30
e,failed,-1,0,30
,running,1,0,30
g,running,1,0,-1
h\x07,running,1,0,30
i,running,1,inf,30
"""
    (tmp_path / "n.csv").write_text(text)
    records = read_records(tmp_path / "n.csv")
    assert records.nodes["node"].tolist() == ["a"]
    found = {line: (rows, reason) for line, rows, reason in dropped(records)}
    assert found[3][1].startswith("status: unknown word (found 'runing'); allowed: pending,")
    assert found[3][1].endswith("did you mean 'running'?")
    assert found[4] == (2, "attempts: not a whole number (found '1.5'); allowed: a whole number, 0 or more")
    assert found[5][0] == 2
    assert found[5][1].startswith("dispatched_at_s: not a time (found 'soon'); allowed: seconds after the start")
    assert found[7] == (1, "node: missing")
    assert found[9][1].startswith("node: unprintable character (found 'h\\x07')")
    assert found[8] == (1, "negative duration: started_at_s is before dispatched_at_s")
    assert sum(rows for rows, _ in found.values()) == 8


def test_cells_with_line_ends(tmp_path):
    """Line numbers are those of the file, also below a cell that spans several lines. [contract]"""
    (tmp_path / "n.csv").write_text('node,note,dispatched_at_s\na,"one\ntwo\nthree",0\nb,"x",0\nc,"y",never\n')
    records = read_records(tmp_path / "n.csv")
    allowed = "seconds after the start of the rollout, or timestamps"
    message = f"dispatched_at_s: not a time (found 'never'); allowed: {allowed}"
    assert [each for each in dropped(records) if each[1]] == [(6, 1, message)]


def test_windows(tmp_path):
    """Windows have requests and failures, or only a rate; those with more failures than requests are left out. [contract]"""
    write(with_instants(NODES), tmp_path / "nodes.parquet")
    text = """rollout,node,ended_at,requests,failed_requests,healthy,up
mon,a,2026-03-02T08:00:40.25Z,100,3,true,1
mon,a,2026-03-02T08:00:50.25Z,100,101,true,1
mon,b,2026-03-02T08:00:50.25Z,0,0,,0
wed,b,2026-03-04T08:00:50.25Z,10,0,,0
"""
    (tmp_path / "windows.csv").write_text(text)
    (tmp_path / "rates.jsonl").write_text(
        '{"rollout": "tue", "ended_s": 30, "error_rate": 0.02}\n{"rollout": "tue", "ended_s": 40, "error_rate": 2}\n'
    )
    records = read_records(tmp_path, mapping={"ended": "ended_at"})
    windows = records.windows
    assert windows["ended_s"].tolist() == [30, 40.25, 50.25]
    assert windows["error_rate"].fillna(-1).tolist() == [0.02, 0.03, -1]
    assert windows["requests"].tolist() == [pd.NA, 100, 0]
    assert windows["healthy"].tolist() == [pd.NA, True, pd.NA]
    assert windows["up"].tolist() == [pd.NA, True, False]
    assert dropped(records) == [
        (2, 1, "error_rate: out of range (found 2.0); allowed: a number from 0 to 1"),
        (5, 1, "neither start nor dispatch of its rollout is known"),
        (3, 1, "more failed requests than requests"),
    ]


def test_rates_and_counts_of_a_window(tmp_path):
    """A missing rate follows from the counts; a stated one may be rounded, but must agree with them. [contract]"""
    text = """rollout,node,ended_s,requests,failed_requests,error_rate
r,a,10,600,3,
r,a,20,600,3,0.01
r,a,30,600,3,0.5
r,a,40,1,0,0.33
r,a,50,0,0,
r,a,60,,3,0.5
"""
    (tmp_path / "w.csv").write_text(text)
    records = read_records(tmp_path / "w.csv")
    assert records.windows["ended_s"].tolist() == [10, 20, 40, 50, 60]
    assert records.windows["error_rate"].fillna(-1).tolist() == [0.005, 0.01, 0.33, -1, 0.5]
    assert dropped(records) == [(4, 1, "error_rate contradicts requests and failed_requests")]


def test_tables_of_records_read_as_they_were(tmp_path):
    """The tables of `Records`, written as CSV, give the same records again. [contract]"""
    scenario = small(operator=script((60, "pause"), (180, "resume")))
    records = simulate(scenario, "waves", seed=4).to_records("r")
    for name in ("rollouts", "nodes", "windows", "acts"):
        getattr(records, name).to_csv(tmp_path / f"{name}.csv", index=False)
    again = read_records(tmp_path)
    for name in ("rollouts", "windows", "acts"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(records, name))
    expected = records.nodes.assign(**{"class": records.nodes["class"].replace("", np.nan)})
    pd.testing.assert_frame_equal(again.nodes, expected)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.csv": "colour,shape\nred,round\n"}, "a.csv: no kind of records \\(found columns colour, shape\\); allowed: folder of a simulated"),
        ({"a.csv": "nodes_,started_at_s\nred,3\n"}, "did you mean 'node'"),
        ({"a.csv": "node,started_at_s,from,to\n"}, "may be two kinds of records: table of nodes and log of outages"),
        ({"a.csv": "node;started_at_s\na;3\n"}, "columns are separated by semicolons; use commas"),
        ({"a.csv": "node,started_at_s\na,3,4\n"}, "a.csv:2: another number of columns than the header \\(found 3\\); allowed: 2"),
        ({"a.csv": 'node,started_at_s\na,3\n"b,3\n'}, "a.csv:3: not valid CSV"),
        ({"a.csv": "node,node\na,3\n"}, "a.csv:1: two columns of the same name \\(found 'node'\\)"),
        ({"a.csv": "node,started_at_s\na,x\n"}, "no usable records\n.*a.csv:2: started_at_s: not a time .*found 1 row[)]"),
        ({"a.csv": "node,started_at_s\n"}, "no usable records; no file has a row"),
        ({"a.csv": "rollout,node,ended,requests\nr,a,2026-03-02T08:00:00Z,5\n"}, "no usable records\n.*a.csv:2: neither start nor dispatch of its rollout is known"),
        ({"a.csv": "node,started_at\na,2026-03-02T08:00:00Z\n"}, "no usable records\n.*a.csv:2: neither start nor dispatch of its rollout is known"),
        ({"a.csv": "PK\x03\x04"}, "a.csv: compressed \\(zip, as spreadsheets are\\); unpack it first"),
        ({"a.csv": "node,started_at_s\na,1772438400000\n"}, "too long after the start .*map Unix times to started_at"),
        ({"a.json": '{"apiVersion": "v1", "kind": "Pod", "spec": {}}'}, "a.json: no kind of records \\(found an object with apiVersion, kind, spec\\)"),
        ({"a.json": "[]"}, "a.json: no kind of records \\(found none\\)"),
        ({"a.csv": "node,started_at\na,1772438400000\n"}, "not a time .*; allowed: seconds since 1970, not milliseconds"),
        ({"a.csv": "hello\nworld\n"}, "a.csv:1: neither JSON, Parquet, nor CSV"),
        ({"a.csv": ""}, "a.csv: empty"),
        ({"a.jsonl": '{"node": "a", "attempts": 1}\n{"node": "a", "node": "b"}\n'}, "a.jsonl:2: node: duplicate key"),
        ({"a.jsonl": '{"node": "a", "attempts": 1}\n{"node": NaN}\n'}, "a.jsonl:2: node: not a JSON number \\(found NaN\\)"),
        ({"a.jsonl": '{"node": "a", "attempts": 1}\n[1, 2]\n'}, "a.jsonl:2: not an object"),
        ({"a.jsonl": '{"node": "a", "attempts": 1}\n{"node": \n'}, "a.jsonl:2: not valid JSON"),
        ({"a.csv": "rollout,state\nr,complete\n"}, "a.csv:2: state: unknown word .*did you mean 'completed'"),
        ({"a.csv": "rollout,state,type\nr,completed,restat\n"}, "a.csv:2: type: unknown word .*did you mean 'restart'"),
        ({"a.csv": "rollout,nodes\nr,0\n"}, "a.csv:2: nodes: out of range \\(found '0'\\); allowed: a whole number, 1 or more"),
        ({"a.csv": 'rollout,policy\nr,"{""strategy"": ""roling""}"\n'}, "a.csv:2: policy"),
        ({"a.csv": "rollout,state\nr,completed\nr,failed\n"}, "a.csv:3: state: rollout 'r' is stated twice, with different values \\(found 'completed', 'failed'\\)"),
        ({"a.csv": "rollout,state\n" + "r,x\n" * 9}, "a.csv:4: state: unknown word .*; the same in 6 more rows$"),
        ({"a.csv": "rollout,host,dispatched_at_s,started_at_s\nr,a,0,3\n"}, "no kind of records .*map them"),
        ({"a.csv": "rollout,time_s,act\nr,3,pose\n"}, "a.csv:2: act: unknown word .*did you mean 'pause'"),
        ({"a.txt": "no"}, "no records in this folder; allowed: files with the endings .csv"),
    ],
)  # fmt: skip
def test_invalid_tables_are_refused(files, message, tmp_path):
    """Invalid or contradictory tables are errors with file, line, field and allowed values. [contract]"""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_records(tmp_path)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"nod": "host"}, "mapping: no such column of records \\(found 'nod'\\).*did you mean 'node'"),
        ({"node": "hots"}, "mapping: no file has this column \\(found 'hots'\\).*did you mean 'host'"),
        ({"node": 3}, "mapping.node: not the name of a column"),
    ],
)
def test_mappings_that_are_refused(mapping, message, tmp_path):
    """A mapping from or to an unknown column is an error that suggests a known one. [contract]"""
    (tmp_path / "n.csv").write_text("host,dispatched_at_s\na,0\n")
    with pytest.raises(InputError, match=message):
        read_records(tmp_path, mapping=mapping)


def test_nothing_to_read(tmp_path):
    """No file, and a missing one, are errors. [contract]"""
    with pytest.raises(InputError, match="no files of records"):
        read_records()
    with pytest.raises(InputError, match="can't be read: No such file"):
        read_records(tmp_path / "no.csv")
