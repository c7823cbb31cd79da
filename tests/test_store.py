"""The store: finished work survives, unfinished work never counts as finished, and other programs can read it."""

import contextlib
import doctest
import errno
import functools
import hashlib
import importlib
import inspect
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, strategies as st
from pandas.testing import assert_frame_equal

import simdeploy
from simdeploy.errors import InputError, SimdeployError, SimdeployWarning
from simdeploy.experiments.store import Store, StoreError, read_store
from simdeploy.experiments.store.journal import read_journal
from simdeploy.experiments.store.part import encode_part, fit_table
from simdeploy.experiments.table import DTYPES

ROOT = Path(__file__).resolve().parents[1]
N_PARTS = 3
N_ROWS = 4
QUESTION = {
    "scenario": {"name": "small", "fleet": {"nodes": 10}},
    "policies": {"canary": {"max_parallel": 2}, "rolling": {"max_parallel": 4}},
    "vary": {"max_failed_nodes": [0, 1, 2]},
    "seed": 0,
}


def make_frame(number, n_rows=4):
    """Make the rows of a part: columns of every type, two with a common prefix, some with missing values."""
    import pandas as pd

    first = number * n_rows
    return pd.DataFrame(
        {
            "scenario": pd.Series(["small"] * n_rows, dtype="str"),
            "scenario.fleet.start_failure": [number / 8] * n_rows,
            "replication": range(first, first + n_rows),
            "makespan_s": [float("nan") if row % 3 == 2 else 60.0 + row / 7 for row in range(first, first + n_rows)],
            "waves": pd.Series([None if row % 4 == 1 else row for row in range(first, first + n_rows)], dtype="Int64"),
            "error": pd.Series(
                [f"é {row}" if row % 5 == 4 else None for row in range(first, first + n_rows)], dtype="str"
            ),
        }
    )


def make_table(number, n_rows=4):
    """Make a part as a sweep passes it."""
    import pyarrow as pa

    return pa.Table.from_pandas(make_frame(number, n_rows), preserve_index=False)


def intercept(act, at, names, put):
    """Call `act` before one of the calls that change the disk; if that is a write, after half of it.

    `at` is the call's number, or what is called, on which file, and for which time. Returns the list of calls, which
    grows.
    """
    import os
    from pathlib import Path

    calls, opened = [], {}

    def wrap(name, real):
        def call(target, *args, **options):
            calls.append((name, opened.get(target, Path(str(target)).name)))
            if at in (len(calls), [*calls[-1], calls.count(calls[-1])]):
                if name == "write":
                    real(target, bytes(args[0])[: len(args[0]) // 2])
                act()
            result = real(target, *args, **options)
            if name == "open":
                opened[result] = Path(str(target)).name
            return result

        return call

    for name in names:
        put(os, name, wrap(name, getattr(os, name)))
    return calls


def write_missing(folder, question, n_parts, *, report=lambda number: None):
    """Open the folder, write its missing parts, and finish, as a sweep does."""
    from simdeploy.experiments.store import Store

    with Store.open(folder, question=question, make_cut=lambda: {"n_parts": n_parts}) as store:
        notes = store.notes
        for number in range(n_parts):
            if number not in store.finished:
                store.write(number, make_table(number))
                report(number)
        store.finish(n_parts)
    return notes


CALLS = ("mkdir", "open", "write", "fsync", "replace", "unlink", "ftruncate")
SCRIPT = "\n".join(inspect.getsource(function) for function in (make_frame, make_table, intercept, write_missing))


@contextlib.contextmanager
def running(script, *args):
    """Run a script in another process with the functions above, until the block ends."""
    text = f"import json, os, sys\nQUESTION, CALLS = {QUESTION!r}, {CALLS!r}\n{SCRIPT}\n{script}"
    with subprocess.Popen(
        [sys.executable, "-c", text, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_line(process):
    line = process.stdout.readline()
    assert line, f"the process has ended with {process.wait()}"
    return line.strip()


def catch(call, *args, **options):
    """Return the error that ends a call, or None."""
    try:
        call(*args, **options)
    except SimdeployError as error:
        return error
    return None


def look(folder):
    """Return a folder's contents: names and bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def look_at_parts(folder):
    return {name: content for name, content in look(folder).items() if name.startswith("parts/")}


make_frame_once = functools.cache(make_frame)


def expect(numbers=range(N_PARTS)):
    return pd.concat([make_frame_once(number) for number in numbers], ignore_index=True)


def check_complete(folder, reference):
    """Check that a folder equals an undisturbed one."""
    stored = read_store(folder, verify=True)
    assert stored.is_complete
    assert_frame_equal(stored.to_frame(), expect(), check_exact=True)
    assert look_at_parts(folder) == look_at_parts(reference)
    assert (folder / "manifest.json").read_bytes() == (reference / "manifest.json").read_bytes()
    assert sorted(look(folder)) == sorted(look(reference))


def check_mended(folder, reference, *notes):
    """Check that a call on a folder gives these notes, and leaves it as if undisturbed."""
    assert write_missing(folder, QUESTION, N_PARTS) == notes
    check_complete(folder, reference)


def open_store(folder, question=QUESTION):
    return Store.open(folder, question=question, make_cut=lambda: {"n_parts": N_PARTS})


def write_parts(folder, numbers):
    """Write some parts by a call that doesn't finish the store."""
    with open_store(folder) as store:
        for number in numbers:
            store.write(number, make_table(number))


@contextlib.contextmanager
def warned_of(number, message):
    """Expect the warnings of a reader about a part that it leaves out and about the missing part."""
    with (
        pytest.warns(SimdeployWarning, match=rf"store: part {number} is left out \({message}"),
        pytest.warns(SimdeployWarning, match="1 of 3 parts are missing"),
    ):
        yield


def fail_with(code):
    """Return a system call that fails with an error."""

    def fail(*_):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A complete, undisturbed store."""
    folder = tmp_path_factory.mktemp("reference") / "store"
    assert write_missing(folder, QUESTION, N_PARTS) == ()
    return folder


@pytest.fixture(scope="module")
def journal(reference):
    """The journal of a complete store."""
    return (reference / "journal.jsonl").read_bytes()


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """The system calls of an undisturbed writer."""
    folder = tmp_path_factory.mktemp("calls") / "store"
    with pytest.MonkeyPatch.context() as patch:
        calls = intercept(None, None, CALLS, patch.setattr)
        write_missing(folder, QUESTION, N_PARTS)
    return calls


@pytest.fixture
def folder(reference, tmp_path):
    """A copy of a complete store."""
    return shutil.copytree(reference, tmp_path / "store")


@pytest.fixture
def begun(tmp_path):
    """A store with only the first part finished."""
    write_parts(tmp_path / "begun", [0])
    return tmp_path / "begun"


class TestTable:
    """Tables read back unchanged, and are written with the same bytes each time."""

    def test_it_reads_back(self, folder, reference):
        """A finished store has its rows in order, with their types. [contract]"""
        stored = read_store(folder)
        assert stored.is_complete
        assert len(stored) == N_PARTS * N_ROWS
        assert stored.columns == tuple(make_frame(0))
        assert list(stored) == list(make_frame(0))
        assert_frame_equal(stored.to_frame(), expect(), check_exact=True)
        check_complete(folder, reference)

    @pytest.mark.parametrize("order", [(2, 0, 1), (2, 1, 0)])
    def test_order_of_parts(self, tmp_path, reference, order):
        """Parts may be finished in any order: files and table are the same. [property]"""
        for number in order:  # each by a separate call
            write_parts(tmp_path / "store", [number])
        check_mended(tmp_path / "store", reference)

    def test_metadata_of_pandas(self, tmp_path, reference):
        """Index, attributes and chunks of a table change no byte. [property]"""
        with open_store(tmp_path / "store") as store:
            for number in range(N_PARTS):
                frame = make_frame(number)
                frame.attrs = {"number": number}
                table = pa.Table.from_pandas(frame)
                store.write(number, pa.concat_tables([table.slice(0, number), table.slice(number)]))
            store.finish(N_PARTS)
        check_complete(tmp_path / "store", reference)

    def test_index(self, tmp_path):
        """An index is stored as ordinary columns. [contract]"""
        with open_store(tmp_path / "store") as store:
            for number in range(N_PARTS):
                store.write(number, pa.Table.from_pandas(make_frame(number).set_index("makespan_s")))
        columns = [*make_frame(0).columns.drop("makespan_s"), "makespan_s"]
        assert_frame_equal(read_store(tmp_path / "store").to_frame(), expect()[columns], check_exact=True)

    def test_files(self):
        """Parts are compressed with zstd, or with snappy if they have few rows, column by column. [contract]"""
        for n_rows, compression in ((N_ROWS, "SNAPPY"), (1000, "ZSTD")):
            group = pq.read_metadata(pa.BufferReader(encode_part(make_table(0, n_rows)))).row_group(0)
            assert {group.column(place).compression for place in range(group.num_columns)} == {compression}

    def test_later_libraries(self):
        """Type metadata of a later pyarrow or pandas are stored as in the first part. [contract]"""
        first = fit_table(make_table(0), None)
        noted = first.schema.metadata[b"pandas"]
        older = first.schema.with_metadata({b"pandas": noted.replace(pa.__version__.encode(), b"17.0.0")})
        assert older.metadata != first.schema.metadata
        assert fit_table(make_table(1), older).schema.metadata == older.metadata

    def test_table_of_replicate(self, tmp_path, make_scenario):
        """The table of `replicate` reads back unchanged, with types and failed rows. [contract]"""
        table = simdeploy.replicate(make_scenario(fleet={"start_failure": 0.1}), replications=3)
        failed = {"scenario": "plain", "policy": "p", "replication": 3, "status": "failed", "error": "Error: no"}
        parts = [
            table.iloc[:2],
            table.iloc[2:],
            pd.DataFrame({name: pd.Series([failed.get(name)], dtype=dtype) for name, dtype in DTYPES.items()}),
            table.iloc[:0],
        ]
        with open_store(tmp_path / "store") as store:
            for number, part in enumerate(parts):
                store.write(number, pa.Table.from_pandas(part, preserve_index=False))
            store.finish(len(parts))
        stored = read_store(tmp_path / "store").to_frame()
        assert_frame_equal(stored, pd.concat(parts, ignore_index=True), check_exact=True)

    def test_tables_without_pandas(self, tmp_path):
        """In a table not made by pandas, nullable whole numbers are Int64, others int64. [contract]"""
        columns = {  # name, type of pyarrow, whether a value may be missing, type of pandas
            "replication": (pa.int64(), False, "int64"),
            "waves": (pa.int64(), True, "Int64"),
            "policy": (pa.string(), True, "str"),
            "makespan_s": (pa.float64(), True, "float64"),
            "canary_promoted": (pa.bool_(), False, "bool"),
        }
        schema = pa.schema([pa.field(name, kind, nullable=may_miss) for name, (kind, may_miss, _) in columns.items()])
        row = {"replication": 0, "waves": None, "policy": "p", "makespan_s": None, "canary_promoted": True}
        with open_store(tmp_path / "store") as store:
            for number, rows in enumerate(([{**row, "waves": 3}], [row], [])):
                store.write(number, pa.Table.from_pylist(rows, schema))
            store.finish(3)
        frame = read_store(tmp_path / "store").to_frame()
        assert frame.dtypes.astype(str).to_dict() == {name: stored for name, (_, _, stored) in columns.items()}
        assert frame["waves"].isna().tolist() == [False, True]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                lambda frame: frame.drop(columns="waves"),
                "waves: .*found no such column.*allowed: int64, in pandas Int64",
            ),
            (lambda frame: frame.assign(extra=1), r"extra: .*found int64, in pandas int64.*allowed: no such column"),
            (lambda frame: frame.assign(waves=1), r"waves: .*found int64, in pandas int64.*allowed: .* Int64"),
            (lambda frame: frame.assign(makespan_s=1), r"makespan_s: .*found int64.*allowed: double"),
            (lambda frame: frame[sorted(frame)], "in another order"),
        ],
    )
    @pytest.mark.parametrize("is_resumed", [False, True])
    def test_other_columns(self, tmp_path, change, message, is_resumed):
        """A part with other columns than earlier ones is refused, and the columns are named. [contract]"""
        store = open_store(tmp_path / "store")
        store.write(0, make_table(0))
        if is_resumed:
            store.close()
            store = open_store(tmp_path / "store")
        with store:
            with pytest.raises(InputError, match=message):
                store.write(1, pa.Table.from_pandas(change(make_frame(1)), preserve_index=False))
            assert store.finished == {0}
            store.write(1, make_table(1))


class TestMistakes:
    """Invalid use by a sweep."""

    def test_writing(self, begun):
        """Writing a finished part again, and negative numbers, are errors. [contract]"""
        with open_store(begun) as store:
            with pytest.raises(ValueError, match="part 0 is finished already"):
                store.write(0, make_table(0))
            with pytest.raises(ValueError, match="part -1 is no part"):
                store.write(-1, make_table(0))

    @pytest.mark.parametrize(("n_parts", "wrong"), [(3, 1), (0, 0)])
    def test_finishing(self, begun, n_parts, wrong):
        """A store can only be finished with all parts and no others. [contract]"""
        with open_store(begun) as store:
            with pytest.raises(ValueError, match=f"see part {wrong}$"):
                store.finish(n_parts)
            store.finish(1)
            store.finish(1)
        assert (begun / "journal.jsonl").read_text().count("complete") == 1

    def test_closed(self, begun):
        """Nothing is written to a closed store. [contract]"""
        with open_store(begun) as store:
            pass
        store.close()
        for call in (lambda: store.write(1, make_table(1)), lambda: store.finish(1)):
            with pytest.raises(ValueError, match="closed"):
                call()


class TestManifest:
    """Contents of the manifest."""

    def test_hashes(self, folder):
        """Hashes are those of canonical JSON, so that other programs can compute them. [contract]"""
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for name, value in {**QUESTION, "question": QUESTION, "cut": {"n_parts": N_PARTS}}.items():
            if name in manifest["hashes"]:
                text = json.dumps(value, sort_keys=True, separators=(",", ":"))
                assert manifest["hashes"].pop(name) == hashlib.sha256(text.encode()).hexdigest()
        assert manifest["hashes"] == {}
        assert manifest["question"] == QUESTION
        assert read_store(folder).manifest["question"] == QUESTION

    def test_versions(self, folder):
        """The versions of everything that affects numbers and files are recorded. [contract]"""
        versions = read_store(folder).manifest["versions"]
        assert versions["simdeploy"] == simdeploy.__version__
        assert versions["pyarrow"] == pa.__version__
        assert {"python", "numpy", "scipy", "pandas"} <= set(versions)

    def test_journal(self, folder):
        """The journal has number, rows, size and checksum of each part, and an end mark. [contract]"""
        *lines, end = map(json.loads, (folder / "journal.jsonl").read_text().splitlines())
        assert end == {"complete": N_PARTS}
        for number, line in enumerate(lines):
            path = folder / f"parts/part-{number:06d}.parquet"
            content = path.read_bytes()
            footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
            chunks = [pq.read_metadata(path).row_group(0).column(place) for place in range(6)]
            starts = [chunk.dictionary_page_offset or chunk.data_page_offset for chunk in chunks]
            ends = [start + chunk.total_compressed_size for start, chunk in zip(starts, chunks, strict=True)]
            columns = [content[start:end] for start, end in zip(starts, ends, strict=True)]
            assert line == {
                "part": number,
                "rows": N_ROWS,
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "footer": hashlib.sha256(content[footer:]).hexdigest(),
                "columns": [hashlib.sha256(column).hexdigest()[:16] for column in columns],
            }

    def test_cut_is_made_once(self, tmp_path):
        """The division into parts is made for a new folder only, and is the same in all later calls. [contract]"""
        made = []

        def make_cut():
            made.append(1)
            return {"spans": [(0, 1), (1, 2)], 7: 1.5}

        cuts = []
        for is_resumed in (False, True):
            with Store.open(tmp_path / "a" / "b", question=QUESTION, make_cut=make_cut) as store:
                cuts.append(store.cut)
                assert store.is_resumed == is_resumed
        assert cuts == [{"spans": [[0, 1], [1, 2]], "7": 1.5}] * 2
        assert len(made) == 1

    def test_cut_that_fails(self, tmp_path):
        """If making the division fails, the folder can be begun again. [contract]"""
        with pytest.raises(KeyboardInterrupt):
            Store.open(tmp_path / "store", question=QUESTION, make_cut=lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        with open_store(tmp_path / "store") as store:
            assert not store.is_resumed


class TestRefusals:
    """Folders that must not be written to are left unchanged."""

    def check_refusal(self, folder, message, question=QUESTION, error=InputError):
        before = look(folder)
        times = {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}
        with pytest.raises(error, match=message) as caught:
            open_store(folder, question)
        assert str(folder) in str(caught.value)
        assert "nothing was changed; use another folder" in str(caught.value)
        assert look(folder) == before
        assert {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]} == times

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"seed": 1}, "seed: 0 in the folder, 1 now"),
            ({"seed": 0.0}, "seed: 0 in the folder, 0.0 now"),
            ({"seed": False}, "seed: 0 in the folder, false now"),
            ({"engine": "compiled"}, "engine: nothing in the folder, 'compiled' now"),
            ({"vary": {}}, "vary.max_failed_nodes: [0, 1, 2] in the folder, nothing now"),
            ({"vary": {"max_failed_nodes": [0, 1, 5]}}, "vary.max_failed_nodes[2]: 2 in the folder, 5 now"),
            ({"vary": {"max_failed_nodes": [0, 1, 2, 3]}}, "vary.max_failed_nodes[3]: nothing in the folder, 3 now"),
            (
                {"policies": dict(reversed(QUESTION["policies"].items()))},
                "policies: ['canary', 'rolling'] in the folder, ['rolling', 'canary'] now",
            ),
            ({"vary": {"max_failed_nodes": [*range(10, 20)]}}, "another question (5 more differences)"),
        ],
    )
    def test_other_question(self, folder, change, message):
        """A folder of another question is refused with the differences. [contract]"""
        self.check_refusal(folder, re.escape(message), {**QUESTION, **change})

    def test_other_version(self, folder, monkeypatch):
        """A folder of another version of simdeploy is refused with advice, and can be read. [contract]"""
        monkeypatch.setattr(simdeploy, "__version__", "9.8.7")
        now = re.escape(read_store(folder).manifest["versions"]["simdeploy"])
        self.check_refusal(folder, f"begun with simdeploy {now}; .* 9.8.7 may differ; resume with simdeploy {now}")
        assert len(read_store(folder)) == N_PARTS * N_ROWS

    def test_other_libraries(self, folder, monkeypatch):
        """A folder begun with another version of a library is resumed with a note. [contract]"""
        monkeypatch.setattr("simdeploy.experiments.store.manifest._find_version", lambda name: f"{name}-0")
        begun_with = read_store(folder).manifest["versions"]["numpy"]
        with open_store(folder) as store:
            assert any(f"numpy {begun_with} (now numpy-0)" in note for note in store.notes)
            assert len(store.finished) == N_PARTS

    @pytest.mark.parametrize(
        "files",
        [
            {"notes.txt": "mine"},
            {".hidden": ""},
            {"parts/part-000000.parquet": "mine"},
            {"manifest.json": '{"name": "web application"}'},
            {"manifest.json": "[1, 2]"},
            {".manifest.json.tmp": "mine"},
            {"simdeploy.lock": "", "journal.jsonl": ""},
        ],
    )
    def test_foreign_folder(self, tmp_path, files):
        """A folder with other contents is refused and left unchanged, by writers and readers. [contract]"""
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        self.check_refusal(tmp_path, "the folder is not a store")
        with pytest.raises(InputError, match="the folder is not a store"):
            read_store(tmp_path)

    def test_later_format(self, folder):
        """An unknown format is refused, by writers and readers. [contract]"""
        text = (folder / "manifest.json").read_text()
        (folder / "manifest.json").write_text(text.replace('"format_version": 2', '"format_version": 3'))
        self.check_refusal(folder, r"doesn't know the store's format \(found 3\); allowed: 1 or 2")
        with pytest.raises(InputError, match="doesn't know"):
            read_store(folder)

    def test_file(self, tmp_path):
        """A file in place of the folder is refused. [contract]"""
        path = tmp_path / "file"
        path.write_text("mine")
        for call in (open_store, read_store):
            with pytest.raises(InputError, match="file: a store must be a folder"):
                call(path)
        assert path.read_text() == "mine"

    def test_link_to_nothing(self, tmp_path):
        """A link to a missing folder is refused as such. [contract]"""
        (tmp_path / "link").symlink_to(tmp_path / "gone")
        with pytest.raises(StoreError, match="link: a link to nothing"):
            open_store(tmp_path / "link" / "below")

    def test_below_a_file(self, tmp_path):
        """A folder that can't be made is reported. [contract]"""
        (tmp_path / "file").write_text("mine")
        with pytest.raises(StoreError, match=r"file/store: can't be written to \(.*\)"):
            open_store(tmp_path / "file" / "store")


class TestKilled:
    """A killed process loses only the part in flight."""

    # A process that has imported everything, and forks a writer for each line that it reads.
    WRITERS = """
import pandas, pyarrow
import simdeploy.experiments.store

def stop():
    print("stop", flush=True)
    sys.stdin.readline()

while line := sys.stdin.readline():
    folder, at, n_parts = json.loads(line)
    writer = os.fork()
    if not writer:
        print(os.getpid(), flush=True)
        intercept(stop, at, CALLS, setattr)
        write_missing(folder, QUESTION, n_parts, report=lambda number: print(number, flush=True))
        print("end", flush=True)
        os._exit(0)
    print(os.WTERMSIG(os.waitpid(writer, 0)[1]), flush=True)
"""

    @pytest.fixture(scope="class")
    @classmethod
    def writers(cls):
        with running(cls.WRITERS) as process:
            yield process

    @pytest.fixture
    def kill_at(self, writers):
        """Start a writer, kill it just before a call; return the parts it reported as finished."""

        def kill(folder, at):
            print(json.dumps([str(folder), at, N_PARTS]), file=writers.stdin, flush=True)
            writer, finished = int(read_line(writers)), []
            while (line := read_line(writers)) != "stop":
                finished.append(int(line))
            os.kill(writer, signal.SIGKILL)
            assert int(read_line(writers)) == signal.SIGKILL
            return finished

        return kill

    def check_resumed(self, folder, finished, reference):
        """Check that finished parts are kept, at most one part is lost, and the rest is completed."""
        before = look_at_parts(folder) if folder.exists() else {}
        with open_store(folder) as store:
            assert len(finished) <= len(store.finished) <= len(finished) + 1
            assert store.finished >= set(finished)
            assert {f"parts/part-{number:06d}.parquet" for number in store.finished} <= set(before)
        write_missing(folder, QUESTION, N_PARTS)
        check_complete(folder, reference)

    @pytest.mark.parametrize(
        ("at", "n_reported", "note"),
        [
            (["write", ".manifest.json.tmp", 1], 0, None),
            (["replace", ".manifest.json.tmp", 1], 0, None),
            (["write", ".part-000001.parquet.tmp", 1], 1, None),
            (["replace", ".part-000001.parquet.tmp", 1], 1, None),
            # Moved to its place, without a line in the journal; with half a line; with an unflushed line.
            (["fsync", "parts", 2], 1, "recomputing part 1: not in the journal"),
            (["write", "journal.jsonl", 2], 1, "dropped the incomplete last line"),
            (["fsync", "journal.jsonl", 2], 1, None),
            (["write", "journal.jsonl", N_PARTS + 1], N_PARTS, "dropped the incomplete last line"),
        ],
    )
    def test_at_a_chosen_moment(self, tmp_path, kill_at, reference, at, n_reported, note):
        """Whatever the writer was doing, the next call completes the same table and files. [property]"""
        finished = kill_at(tmp_path / "store", at)
        assert finished == list(range(n_reported))
        copy = shutil.copytree(tmp_path / "store", tmp_path / "copy")
        notes = write_missing(copy, QUESTION, N_PARTS)
        assert any(note in text for text in notes) if note else notes == ()
        check_complete(copy, reference)
        self.check_resumed(tmp_path / "store", finished, reference)

    def test_order_of_calls(self, calls):
        """A part is flushed, then moved, its folder flushed, and then the journal written and flushed. [contract]"""
        begin = calls.index(("open", ".part-000001.parquet.tmp"))
        assert [call for call in calls[begin:] if call[0] != "open"][:6] == [
            ("write", ".part-000001.parquet.tmp"),
            ("fsync", ".part-000001.parquet.tmp"),
            ("replace", ".part-000001.parquet.tmp"),
            ("fsync", "parts"),
            ("write", "journal.jsonl"),
            ("fsync", "journal.jsonl"),
        ]

    @pytest.mark.slow
    def test_at_every_moment(self, tmp_path, kill_at, calls, reference):
        """Killed before any system call, a writer loses at most one part, and the next call completes the store. [property]"""
        for at in range(1, len(calls) + 1):
            self.check_resumed(tmp_path / f"{at}", kill_at(tmp_path / f"{at}", at), reference)

    @pytest.mark.slow
    def test_at_every_moment_of_a_repair(self, tmp_path, kill_at, reference, journal):
        """Killed before any system call of a repair, it loses no sound part. [property]"""
        damaged = shutil.copytree(reference, tmp_path / "damaged")
        (damaged / "journal.jsonl").write_bytes(journal[: journal.rindex(b'"complete"')])
        os.truncate(damaged / "parts/part-000001.parquet", 100)
        (damaged / "parts/.part-000002.parquet.tmp").write_text("half")
        copy = shutil.copytree(damaged, tmp_path / "copy")
        with pytest.MonkeyPatch.context() as patch:
            calls = intercept(None, None, CALLS, patch.setattr)
            write_missing(copy, QUESTION, N_PARTS)
        assert {("unlink", "part-000001.parquet"), ("replace", ".journal.jsonl.tmp")} <= set(calls)
        for at in range(1, len(calls) + 1):
            folder = shutil.copytree(damaged, tmp_path / f"{at}")
            finished = kill_at(folder, at)
            with open_store(folder) as store:
                assert store.finished >= {0, 2, *finished}
            write_missing(folder, QUESTION, N_PARTS)
            check_complete(folder, reference)

    def test_again_and_again(self, tmp_path, kill_at, reference):
        """Runs killed one after another complete the store in the end. [property]"""
        for n_finished in range(1, N_PARTS + 1):
            # Before it flushes the line of its first part.
            assert kill_at(tmp_path / "store", ["fsync", "journal.jsonl", 1]) == []
            with open_store(tmp_path / "store") as store:
                assert len(store.finished) == n_finished
        write_missing(tmp_path / "store", QUESTION, N_PARTS)
        check_complete(tmp_path / "store", reference)


class TestFullDisk:
    """A full disk loses only the part that doesn't fit."""

    NEED_ROOM = ("mkdir", "open", "write", "fsync", "replace")
    REASONS = (
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EIO, "can't be written to"),
    )

    def test_at_every_moment(self, tmp_path, reference):
        """Whichever system call finds no room, it is reported, nothing incomplete counts, and the store can be resumed. [property]"""
        for at, (reason, text) in enumerate(itertools.cycle(self.REASONS), start=1):
            folder, finished = tmp_path / f"{at}", []
            what = re.escape(f"{text} ({os.strerror(reason)})")
            message = rf".*/(\d+): {what}; finished work is saved. To resume, .* and repeat the same call."
            with pytest.MonkeyPatch.context() as patch:
                calls = intercept(fail_with(reason), at, self.NEED_ROOM, patch.setattr)
                error = catch(write_missing, folder, QUESTION, N_PARTS, report=finished.append)
            if len(calls) < at:
                assert error is None
                break
            assert isinstance(error, StoreError)
            assert re.fullmatch(message, str(error))
            assert not list(folder.rglob("*.tmp"))
            with open_store(folder) as store:
                assert store.finished == set(finished)
            write_missing(folder, QUESTION, N_PARTS)
            check_complete(folder, reference)
        assert at > 30

    def test_closed_after_it(self, begun):
        """After such a failure the store is closed, and available to the next call. [contract]"""
        with open_store(begun) as store:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(os, "fsync", fail_with(errno.ENOSPC))
                with pytest.raises(StoreError, match="the disk is full"):
                    store.write(1, make_table(1))
            with pytest.raises(ValueError, match="closed"):
                store.write(1, make_table(1))
            with open_store(begun) as again:
                assert again.finished == {0}

    def test_limit_of_the_system(self, tmp_path, reference):
        """A write beyond the system's limit on file sizes loses only that part. [contract]"""
        pytest.importorskip("resource")
        script = """
import resource
from simdeploy.errors import SimdeployError

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    write_missing(sys.argv[1], QUESTION, int(sys.argv[3]), report=print)
except SimdeployError as error:
    print(error)
"""
        sizes = [len(content) for _, content in sorted(look_at_parts(reference).items())]
        first = sizes.index(max(sizes))
        with running(script, tmp_path / "store", max(sizes) - 1, N_PARTS) as process:
            *finished, output = process.communicate()[0].splitlines()
        assert finished == [str(number) for number in range(first)]
        assert output.startswith(f"{tmp_path / 'store'}: can't be written to (File too large)")
        check_mended(tmp_path / "store", reference)


class TestDamage:
    """Later damage is detected, named and repaired."""

    @given(data=st.data())
    def test_journal_cut_anywhere(self, data, tmp_path_factory, reference, journal):
        """A journal cut anywhere, with any text after it, leads to the same table and files. [property]"""
        kept = data.draw(st.integers(0, len(journal)), label="kept bytes")
        tail = data.draw(
            st.sampled_from([b"", b"\0" * 9, b'{"part": 1', b"\xff\n", b'{"part": 2}\n', b"7\n"]), label="tail"
        )
        folder = shutil.copytree(reference, tmp_path_factory.mktemp("cut") / "store")
        (folder / "journal.jsonl").write_bytes(journal[:kept] + tail)
        whole = journal[:kept].count(b"\n")
        with open_store(folder) as store:
            assert store.finished == set(range(min(whole, N_PARTS)))
            for number in range(whole, N_PARTS):
                assert f"recomputing part {number}: not in the journal" in store.notes
            is_damaged = bool(tail) or not journal[:kept].endswith(b"\n")
            assert any("of the journal" in note for note in store.notes) == (is_damaged and kept + len(tail) > 0)
        assert (folder / "journal.jsonl").read_bytes() == b"".join(journal.splitlines(keepends=True)[:whole])
        check_mended(folder, reference)
        shutil.rmtree(folder)

    def test_journal_at_every_byte(self, tmp_path, journal):
        """Cut at any byte, a journal counts by its complete lines, and a partial line is noticed. [property]"""
        path = tmp_path / "journal.jsonl"
        for kept in range(len(journal) + 1):
            path.write_bytes(journal[:kept])
            found = read_journal(path, N_PARTS)
            n_whole = journal[:kept].count(b"\n")
            assert list(found.entries) == list(range(min(n_whole, N_PARTS)))
            assert found.n_parts == (N_PARTS if n_whole > N_PARTS else None)
            assert found.is_torn == (kept > 0 and journal[kept - 1 : kept] != b"\n")
            assert found.unreadable == []

    def test_journal_gone(self, folder, reference):
        """Without its journal nothing counts as finished. [contract]"""
        (folder / "journal.jsonl").unlink()
        with pytest.warns(SimdeployWarning, match="3 of 3 parts are missing"):
            assert len(read_store(folder)) == 0
        assert len(write_missing(folder, QUESTION, N_PARTS)) == N_PARTS
        check_complete(folder, reference)

    def test_part_after_the_last(self, folder, reference):
        """A file that would be a further part is removed, not recomputed. [contract]"""
        (folder / "parts" / "part-000007.parquet").write_bytes(b"")
        check_mended(folder, reference, f"removed part 7: the last one is part {N_PARTS - 1}")

    def test_folder_after_the_last(self, folder):
        """A folder in place of a further part is said to be set aside, and not to be removed. [contract]"""
        (folder / "parts" / "part-000007.parquet").mkdir()
        (folder / "parts" / "part-000007.parquet" / "kept").touch()
        (note,) = write_missing(folder, QUESTION, N_PARTS)
        assert note.startswith("moved the folder in place of part 7 to ")

    def test_line_in_the_middle(self, folder, reference, journal):
        """An unreadable line loses its part, and is named. [contract]"""
        lines = journal.splitlines(keepends=True)
        (folder / "journal.jsonl").write_bytes(b"".join([lines[0], lines[1].replace(b"rows", b"rovs"), *lines[2:]]))
        notes = ("dropped unreadable line 2 of the journal", "recomputing part 1: not in the journal")
        check_mended(folder, reference, *notes)

    def test_line_that_lies(self, folder, reference, journal):
        """A line with a wrong number of rows is detected. [contract]"""
        (folder / "journal.jsonl").write_bytes(journal.replace(b'"rows": 4', b'"rows": 5', 1))
        with warned_of(0, "4 rows instead of 5"):
            assert len(read_store(folder, verify=True)) == 2 * N_ROWS
        with pytest.raises(StoreError, match=r"part 0 can't be read \(4 rows instead of 5"):
            read_store(folder)["waves"]
        check_mended(folder, reference, "recomputing part 0: 4 rows instead of 5")

    @given(data=st.data())
    def test_any_byte(self, data, tmp_path_factory, reference):
        """A single flipped bit anywhere in any part is detected, named and repaired. [property]"""
        folder = shutil.copytree(reference, tmp_path_factory.mktemp("flip") / "store")
        number = data.draw(st.integers(0, N_PARTS - 1), label="part")
        path = folder / f"parts/part-{number:06d}.parquet"
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1), label="byte")
        content[place] ^= 1 << data.draw(st.integers(0, 7), label="bit")
        path.write_bytes(content)
        with warned_of(number, "wrong file checksum"):
            stored = read_store(folder, verify=True)
        assert not stored.is_complete
        others = [other for other in range(N_PARTS) if other != number]
        assert_frame_equal(stored.to_frame(), expect(others), check_exact=True)
        check_mended(folder, reference, f"recomputing part {number}: wrong file checksum")
        shutil.rmtree(folder)

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda path: path.unlink(), "missing file"),
            (lambda path: os.truncate(path, 100), r"100 bytes instead of \d+"),
            (lambda path: os.truncate(path, 0), r"0 bytes instead of \d+"),
            (lambda path: path.write_bytes(path.read_bytes() + b"x"), r"\d+ bytes instead of \d+"),
        ],
    )
    def test_file(self, folder, reference, damage, message):
        """A part that is missing or of another size is left out by readers, and recomputed. [contract]"""
        damage(folder / "parts/part-000001.parquet")
        with warned_of(1, rf"{message}\); repeat the call"):
            stored = read_store(folder)
        assert not stored.is_complete
        assert len(stored) == 2 * N_ROWS
        shutil.copytree(folder, folder.with_name("copy"))
        open_store(folder.with_name("copy")).close()
        assert b"complete" not in (folder.with_name("copy") / "journal.jsonl").read_bytes()
        (note,) = write_missing(folder, QUESTION, N_PARTS)
        assert re.fullmatch(f"recomputing part 1: {message}", note)
        check_complete(folder, reference)

    def test_strays(self, folder, reference):
        """Half-written files of a killed run are removed, other files are not. [contract]"""
        for name in (".part-000001.parquet.tmp", ".part-1234567.parquet.tmp"):
            (folder / "parts" / name).write_text("half")
        (folder / ".journal.jsonl.tmp").write_text("half")
        (folder / "parts" / "notes.tmp").write_text("mine")
        (folder / "README").write_text("mine")
        assert write_missing(folder, QUESTION, N_PARTS) == ()
        assert (folder / "parts" / "notes.tmp").read_text() == "mine"
        assert (folder / "README").read_text() == "mine"
        (folder / "parts" / "notes.tmp").unlink()
        (folder / "README").unlink()
        check_complete(folder, reference)


class TestTwoCalls:
    """Only one call at a time writes to a folder."""

    HOLDER = """
from simdeploy.experiments.store import Store

with Store.open(sys.argv[1], question=QUESTION, make_cut=lambda: {"n_parts": 3}):
    print("open", flush=True)
    sys.stdin.readline()
print("closed", flush=True)
"""

    @pytest.mark.parametrize("is_killed", [False, True])
    def test_two_processes(self, tmp_path, reference, is_killed):
        """A second writer is refused with the first one's identity, until that ends, even by kill -9. [contract]"""
        with running(self.HOLDER, tmp_path / "store") as process:
            assert read_line(process) == "open"
            before = look(tmp_path / "store")
            message = f"store: another call is writing to this folder .process {process.pid} on .*; wait for it"
            with pytest.raises(StoreError, match=message):
                open_store(tmp_path / "store")
            assert look(tmp_path / "store") == before
            if is_killed:
                process.kill()
                process.wait()
            else:
                process.stdin.close()
                assert read_line(process) == "closed"
            write_missing(tmp_path / "store", QUESTION, N_PARTS)
        check_complete(tmp_path / "store", reference)

    def test_refused_before_it_is_begun(self, tmp_path):
        """A call that is still dividing the work already locks the folder. [contract]"""
        errors = []

        def make_cut():
            with pytest.raises(StoreError, match=f"process {os.getpid()} on") as caught:
                open_store(tmp_path / "store")
            errors.append(caught.value)
            return {"n_parts": 1}

        Store.open(tmp_path / "store", question=QUESTION, make_cut=make_cut).close()
        assert len(errors) == 1

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    def test_child_that_outlives_it(self, tmp_path):
        """A forked child doesn't lock the folder after the writer was killed. [contract]"""
        script = """
from simdeploy.experiments.store import Store

store = Store.open(sys.argv[1], question=QUESTION, make_cut=lambda: {"n_parts": 3})
pid = os.fork()
if pid == 0:
    print("child", flush=True)
    sys.stdin.readline()
    store.close()
    print("child ends", flush=True)
    os._exit(0)
sys.stdin.readline()
"""
        with running(script, tmp_path / "store") as process:
            assert read_line(process) == "child"
            with pytest.raises(StoreError, match=f"process {process.pid} on"):
                open_store(tmp_path / "store")
            process.kill()
            process.wait()
            with open_store(tmp_path / "store") as store:
                store.write(0, make_table(0))
            process.stdin.close()
            assert read_line(process) == "child ends"

    @pytest.mark.skipif(sys.platform == "win32", reason="there is no flock here")
    def test_file_system_without_locks(self, tmp_path, monkeypatch):
        """On a file system without locks, the call continues with a warning. [contract]"""
        monkeypatch.setattr("fcntl.flock", fail_with(errno.ENOLCK))
        with open_store(tmp_path / "store") as store:
            assert store.notes == ("the file system has no locks: make sure that no other call writes to this folder",)


class TestReading:
    """What `read_store` reads."""

    def overwrite(self, path, columns):
        """Overwrite the bytes of some columns in a part."""
        content = bytearray(path.read_bytes())
        group = pq.read_metadata(path).row_group(0)
        for place in range(group.num_columns):
            column = group.column(place)
            if column.path_in_schema in columns:
                first = column.dictionary_page_offset or column.data_page_offset
                content[first : first + column.total_compressed_size] = b"\xff" * column.total_compressed_size
        path.write_bytes(content)

    @pytest.mark.parametrize("column", list(make_frame(0)))
    def test_lazy(self, folder, column):
        """Reading a column reads nothing else, even if all others are damaged. [property]"""
        for path in (folder / "parts").iterdir():
            self.overwrite(path, set(make_frame(0)) - {column})
        stored = read_store(folder)
        pd.testing.assert_series_equal(stored[column], expect()[column], check_exact=True)
        assert_frame_equal(stored.to_frame([column]), expect()[[column]], check_exact=True)
        for other in set(make_frame(0)) - {column}:
            with pytest.raises(StoreError, match=r"part-000000.parquet: part 0 can't be read .*to repair it"):
                stored[other]

    def test_damaged_footer(self, folder):
        """A part with a damaged column name is detected, whatever is read. [contract]"""
        path = folder / "parts/part-000001.parquet"
        path.write_bytes(path.read_bytes().replace(b"waves", b"waxes"))
        for column in ("waves", "error"):
            with pytest.raises(StoreError, match=r"part 1 can't be read \(wrong footer checksum\)"):
                read_store(folder)[column]

    def test_choice(self, folder):
        """Columns come in the requested order; batches are parts of what `to_frame` returns. [property]"""
        stored = read_store(folder)
        columns = ["waves", "scenario"]
        assert_frame_equal(stored.to_frame(columns), expect()[columns], check_exact=True)
        for chosen in (None, columns):
            batches = list(stored.batches(chosen))
            assert [len(batch) for batch in batches] == [N_ROWS] * N_PARTS
            assert_frame_equal(pd.concat(batches), stored.to_frame(chosen), check_exact=True)

    def test_no_such_column(self, folder):
        """An unknown column is refused with the one that was probably meant. [contract]"""
        stored = read_store(folder)
        assert "makespan_s" in stored
        for call in (
            lambda: stored["makespan"],
            lambda: stored.to_frame(["makespan"]),
            lambda: next(stored.batches(["makespan"])),
        ):
            with pytest.raises(InputError, match=r"no such column .found 'makespan'.; .*did you mean 'makespan_s'"):
                call()

    def test_nothing_there(self, tmp_path):
        """A missing or empty folder is no store. [contract]"""
        with pytest.raises(InputError, match="no such folder"):
            read_store(tmp_path / "store")
        with pytest.raises(InputError, match="empty folder"):
            read_store(tmp_path)

    @pytest.mark.parametrize(
        ("cut", "message"),
        [({"n_parts": 3}, "3 of 3 parts"), ({"n_parts": True}, "some parts"), ([], "some parts"), (None, "some parts")],
    )
    def test_no_part(self, tmp_path, cut, message):
        """A store without parts has no rows or columns, and says what is missing as far as known. [contract]"""
        Store.open(tmp_path / "store", question=QUESTION, make_cut=lambda: cut).close()
        with pytest.warns(SimdeployWarning, match=f"store: {message}.* missing; repeat the call that wrote the others"):
            stored = read_store(tmp_path / "store")
        assert (len(stored), stored.columns, stored.is_complete) == (0, (), False)
        assert stored.to_frame().empty
        assert list(stored.batches()) == []
        with pytest.raises(InputError, match="none yet"):
            stored["makespan_s"]

    def test_parts_missing(self, tmp_path):
        """Of an incomplete store the finished parts are read in order, and missing ones counted. [contract]"""
        write_parts(tmp_path / "store", [2, 0])
        with pytest.warns(SimdeployWarning, match="1 of 3 parts are missing"):
            stored = read_store(tmp_path / "store")
        assert not stored.is_complete
        assert repr(stored) == "<StoredTable: 8 rows, 6 columns, not complete>"
        assert_frame_equal(stored.to_frame(), expect([0, 2]))

    def test_all_parts_without_an_end(self, tmp_path):
        """With all parts a store is complete even without an end mark. [contract]"""
        write_parts(tmp_path / "store", range(N_PARTS))
        assert read_store(tmp_path / "store").is_complete

    def test_gone_meanwhile(self, folder):
        """A part removed after the store was opened is reported missing. [contract]"""
        stored = read_store(folder)
        (folder / "parts/part-000002.parquet").unlink()
        with pytest.raises(StoreError, match=r"part 2 can't be read \(missing file"):
            stored["waves"]

    def test_while_it_is_written(self, tmp_path):
        """During writing, a reader sees finished parts, complete and in order. [property]"""
        n_parts = 40
        script = """
write_missing(sys.argv[1], QUESTION, int(sys.argv[2]), report=lambda number: print(number, flush=True))
print("end", flush=True)
"""
        seen = []
        with running(script, tmp_path / "store", n_parts) as process:
            while (line := read_line(process)) != "end":
                stored = read_store(tmp_path / "store")
                assert len(stored) >= (int(line) + 1) * N_ROWS
                assert_frame_equal(stored.to_frame(), expect(range(len(stored) // N_ROWS)), check_exact=True)
                seen.append(len(stored))
        assert seen == sorted(seen)
        assert read_store(tmp_path / "store").is_complete

    def test_memory(self, tmp_path):
        """For any number of parts, writing and reading in batches hold less than three of them in memory. [property]"""
        n_rows, n_parts = 20_000, 12
        size = make_table(0, n_rows).nbytes
        base, held = pa.total_allocated_bytes(), []
        with open_store(tmp_path / "store") as store:
            for number in range(n_parts):
                store.write(number, make_table(number, n_rows))
                held.append(pa.total_allocated_bytes() - base)
            store.finish(n_parts)
        for batch in read_store(tmp_path / "store").batches():
            assert len(batch) == n_rows
            held.append(pa.total_allocated_bytes() - base)
        assert max(held) < 3 * size


class TestOthers:
    """Other programs can read the folder."""

    @pytest.mark.filterwarnings("default")
    def test_duckdb(self, folder):
        """DuckDB reads all parts by one pattern. [contract]"""
        duckdb = pytest.importorskip("duckdb")
        found = duckdb.read_parquet(f"{folder}/parts/*.parquet").order("replication").df()
        assert list(found) == list(make_frame(0))
        for column in found:
            assert found[column].dropna().tolist() == expect()[column].dropna().tolist()

    @pytest.mark.filterwarnings("default")
    def test_polars(self, folder):
        """Polars scans all parts by one pattern. [contract]"""
        polars = pytest.importorskip("polars")
        found = polars.scan_parquet(f"{folder}/parts/*.parquet").sort("replication").collect()
        assert found.columns == list(make_frame(0))
        for column in found.columns:
            values = [value for value in found[column].to_list() if value is not None]
            assert values == expect()[column].dropna().tolist()

    def test_pandas(self, folder):
        """pandas reads the parts as one folder, or singly, with their types. [contract]"""
        assert_frame_equal(pd.read_parquet(folder / "parts"), expect())
        assert_frame_equal(pd.read_parquet(folder / "parts/part-000001.parquet"), make_frame(1))

    def test_half_written_parts(self, begun):
        """Patterns and folders never include a part being written. [contract]"""
        (begun / "parts" / ".part-000001.parquet.tmp").write_text("half")
        assert len(list((begun / "parts").glob("*.parquet"))) == 1
        assert_frame_equal(pd.read_parquet(begun / "parts"), make_frame(0))


class TestDocument:
    """docs/store.md."""

    @pytest.mark.parametrize("needed", ["duckdb", "polars"])
    @pytest.mark.filterwarnings("default")
    def test_examples(self, needed, tmp_path, monkeypatch):
        """The document's examples with other programs give the output shown. [contract]"""
        pytest.importorskip(needed)
        monkeypatch.syspath_prepend(str(ROOT / "docs"))
        examples = importlib.import_module("examples")
        text = (ROOT / "docs" / "store.md").read_text(encoding="utf-8")
        examples.make_folder(tmp_path, text)
        monkeypatch.chdir(tmp_path)
        namespace, n_run = {}, 0
        for block in examples.read_blocks(text):
            if block.language in ("python", f"python needs={needed}"):
                session = doctest.DocTestParser().get_doctest(block.body, namespace, "store.md", None, block.line)
                assert session.examples
                failures = []
                doctest.DocTestRunner().run(session, out=failures.append, clear_globs=False)
                assert not failures, "".join(failures)
                namespace.update(session.globs)
                n_run += block.language != "python"
        assert n_run == 1

    def test_layout(self, reference):
        """The document lists every file of a store. [contract]"""
        text = (ROOT / "docs" / "store.md").read_text(encoding="utf-8")
        for name in look(reference):
            assert re.sub(r"parts/part-\d+", "part-000000", name) in text


def test_errors_are_ours():
    """A StoreError is an error that the command shows without a traceback. [contract]"""
    assert issubclass(StoreError, SimdeployError)


def test_import():
    """Importing the store imports neither pandas nor pyarrow. [contract]"""
    script = "import simdeploy.experiments.store, sys; sys.exit(bool({'pandas', 'pyarrow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
