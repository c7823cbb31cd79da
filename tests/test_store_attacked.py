"""Damaged or manipulated stores give a clear error or the right rows, nothing else."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from simdeploy.errors import InputError, SimdeployWarning
from simdeploy.experiments import StoreError, read_store
from simdeploy.experiments.batches import batch_name, read_batches
from simdeploy.experiments.store import Store, place_within

N_PARTS = 3
QUESTION = {"scenario": {"name": "small"}, "policies": {"canary": {"max_parallel": 2}}, "seed": 0}


def make_table(number, n_rows=40):
    """Make the rows of a part, with columns of every type: constant, repeated, varied, and partly missing."""
    rng = np.random.default_rng(number)
    frame = pd.DataFrame(
        {
            "policy": pd.Series(["canary"] * n_rows, dtype="str"),
            "verdict": pd.Series(rng.choice(["completed_good", "false_alarm"], n_rows), dtype="str"),
            "replication": np.arange(n_rows),
            "makespan_s": np.where(rng.random(n_rows) < 0.2, np.nan, rng.normal(60, 9, n_rows)),
            "waves": pd.Series([None if row % 4 == 1 else row % 5 for row in range(n_rows)], dtype="Int64"),
        }
    )
    return pa.Table.from_pandas(frame, preserve_index=False)


def finish(folder, *, n_parts=N_PARTS):
    """Open the folder, write its missing parts, and finish, as a sweep does; return the notes."""
    with Store.open(folder, question=QUESTION, make_cut=lambda: {"n_parts": n_parts}) as store:
        for number in range(n_parts):
            if number not in store.finished:
                store.write(number, make_table(number))
        store.finish(n_parts)
        return store.notes


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A complete, undisturbed store."""
    folder = tmp_path_factory.mktemp("reference") / "store"
    finish(folder)
    return folder


@pytest.fixture(scope="module")
def expected(reference):
    return read_store(reference).to_frame()


@pytest.fixture
def folder(reference, tmp_path):
    """A copy of a complete store."""
    return shutil.copytree(reference, tmp_path / "store")


def flip_bits(path, step):
    """Yield a file with one flipped bit, a different one at each place."""
    content = path.read_bytes()
    for at in range(0, len(content), step):
        damaged = bytearray(content)
        damaged[at] ^= 1 << (at * 5 % 8)
        path.write_bytes(damaged)
        yield


class TestBits:
    """Flipped bits in a part."""

    def test_whole_table(self, folder):
        """If any bit is flipped, a whole table isn't read, and the error names the part. [property]"""
        stored = read_store(folder)
        for _ in flip_bits(folder / "parts/part-000001.parquet", 3):
            with pytest.raises(StoreError, match=r"part-000001.parquet: part 1 can't be read \(wrong file checksum"):
                stored.to_frame()

    def test_single_columns(self, folder, expected):
        """If any bit is flipped, in page headers and footer, too, a column is read unchanged or not at all. [property]"""
        stored = read_store(folder)
        outcomes = {name: [0, 0] for name in stored.columns}
        for _ in flip_bits(folder / "parts/part-000001.parquet", 6):
            for name in stored.columns:
                try:
                    found = stored[name]
                except StoreError as error:
                    assert "part-000001.parquet: part 1 can't be read (" in str(error)  # noqa: PT017 - most are read
                    outcomes[name][0] += 1
                else:
                    assert found.equals(expected[name])
                    outcomes[name][1] += 1
        assert all(min(counts) > 50 for counts in outcomes.values())

    def test_headers_of_pages_need_a_digest(self, reference):
        """The format's checksums miss changes in page headers, for which columns have digests. [contract]"""
        content = (reference / "parts/part-000000.parquet").read_bytes()
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            table = file.read()

        def is_unseen(at: int, bit: int) -> bool:
            damaged = bytearray(content)
            damaged[at] ^= 1 << bit
            try:
                with pq.ParquetFile(pa.BufferReader(bytes(damaged)), page_checksum_verification=True) as file:
                    return not file.read().equals(table)
            except (OSError, ValueError, pa.ArrowException):
                return False

        assert any(is_unseen(at, bit) for bit in range(8) for at in range(4, len(content) - 2000))

    def test_parts_that_change_places(self, folder, expected):
        """A sound part in another one's place is detected. [contract]"""
        paths = [folder / f"parts/part-00000{number}.parquet" for number in (0, 1)]
        contents = [path.read_bytes() for path in paths]
        for path, content in zip(paths, reversed(contents), strict=True):
            path.write_bytes(content)
        with pytest.warns(SimdeployWarning) as caught:
            stored = read_store(folder, verify=True)
        assert [f"part {number} is left out" in str(caught[number].message) for number in (0, 1)] == [True, True]
        assert_frame_equal(stored.to_frame(), expected[80:].reset_index(drop=True), check_exact=True)

    def test_only_requested_columns_are_read(self, folder, monkeypatch):
        """Reading a column reads its own bytes and the footer's, not the file's. [contract]"""
        from simdeploy.experiments.store import part

        with Store.open(folder.parent / "wide", question=QUESTION, make_cut=lambda: {"n_parts": 1}) as store:
            columns = {f"c{number}": np.random.default_rng(number).random(20_000) for number in range(10)}
            store.write(0, pa.table(columns))
            store.finish(1)
        hashed, digest = [], part._digest
        monkeypatch.setattr(part, "_digest", lambda content: hashed.append(len(content)) or digest(content))
        stored = read_store(folder.parent / "wide")
        hashed.clear()
        stored["c3"]
        size = (folder.parent / "wide/parts/part-000000.parquet").stat().st_size
        assert 0 < sum(hashed) < size / 5
        hashed.clear()
        stored.to_frame()
        assert hashed == [size]


class TestOlderFormat:
    """A store of format 1, which had no digests of columns."""

    FOLDER = Path(__file__).parent / "data" / "store-format-1"

    def test_is_read(self):
        """A store of format 1 can be read. [contract]"""
        stored = read_store(self.FOLDER)
        assert stored.is_complete
        assert len(stored) == 8
        assert stored["max_failed_nodes"].tolist() == [0, 0, 4, 4] * 2
        assert stored.to_frame()["replication"].tolist() == [0, 1, 0, 1, 2, 3, 2, 3]

    def test_damage_is_found(self, tmp_path):
        """A flipped bit is found by the digest of the file, whatever is read. [property]"""
        folder = shutil.copytree(self.FOLDER, tmp_path / "store")
        stored = read_store(folder)
        for _ in flip_bits(folder / "parts/part-000000.parquet", 97):
            with pytest.raises(StoreError, match="part 0 can't be read"):
                stored["waves"]

    def test_is_not_resumed(self, tmp_path):
        """Writers refuse a store of format 1, and leave it unchanged. [contract]"""
        folder = shutil.copytree(self.FOLDER, tmp_path / "store")
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        question = json.loads((folder / "manifest.json").read_text())["question"]
        with pytest.raises(InputError, match=r"older store format: it can be read but not resumed \(found 1\)"):
            Store.open(folder, question=question, make_cut=dict)
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


LINES = {
    "very many parts": b'{"complete": 50000000}',
    "more parts than fit a word": b'{"complete": 1' + b"0" * 30 + b"}",
    "a negative number of parts": b'{"complete": -1}',
    "true parts": b'{"complete": true}',
    "nested brackets": b"[" * 100_000,
    "nested maps": b'{"a":' * 100_000,
    "a number of very many digits": b'{"complete": ' + b"9" * 100_000 + b"}",
    "a very long line": b'{"complete": 3, "x": "' + b"x" * 2_000_000 + b'"}',
    "a part beyond the last": b'{"part": 7, "rows": 4, "size": 4, "sha256": "' + b"0" * 64 + b'"}',
    "a part that is true": b'{"part": true, "rows": 4, "size": 4, "sha256": "' + b"0" * 64 + b'"}',
    "a part without digits": b'{"part": 1, "rows": 4, "size": 4, "sha256": "' + "٣".encode() * 64 + b'"}',
    "a part with half of a footer": b'{"part": 1, "rows": 4, "size": 4, "sha256": "'
    + b"0" * 64
    + b'", "footer": "ab"}',
    "NaN": b"NaN",
    "a lone surrogate": b'{"part": "\\ud800"}',
    "no UTF-8": b"\xff\xfe\x00",
}


class TestJournal:
    """Invalid lines of the journal."""

    @pytest.mark.parametrize("line", LINES.values(), ids=LINES)
    def test_strange_line(self, folder, expected, line):
        """An invalid line is ignored by readers, and dropped with a note by the next writer. [contract]"""
        path = folder / "journal.jsonl"
        content = path.read_bytes()
        path.write_bytes(content + line + b"\n")
        stored = read_store(folder)
        assert stored.is_complete
        assert_frame_equal(stored.to_frame(), expected, check_exact=True)
        assert finish(folder) == ("dropped unreadable line 5 of the journal",)
        assert path.read_bytes() == content


def in_manifest(change):
    """Return a function that writes a manifest with a change."""

    def write(path):
        manifest = json.loads(path.read_text())
        change(manifest)
        path.write_text(json.dumps(manifest))

    return write


def replacing(before, after):
    """Return a function that writes a manifest with a text replaced by another."""
    return lambda path: path.write_text(path.read_text().replace(before, after))


MANIFESTS = {
    "hashes are a list": in_manifest(lambda manifest: manifest.update(hashes=[])),
    "no hashes": in_manifest(lambda manifest: manifest.pop("hashes")),
    "versions are a number": in_manifest(lambda manifest: manifest.update(versions=3)),
    "a version is a list": in_manifest(lambda manifest: manifest["versions"].update(simdeploy=["0"])),
    "no cut": in_manifest(lambda manifest: manifest.pop("cut")),
    "the question is a list": in_manifest(lambda manifest: manifest.update(question=[])),
    "NaN": in_manifest(lambda manifest: manifest.update(question={"seed": float("nan")})),
    "a lone surrogate": in_manifest(lambda manifest: manifest["question"].update(name="\ud800")),
    "nested brackets": lambda path: path.write_text("[" * 100_000),
    "nested brackets in the question": replacing('"seed": 0', '"seed": ' + "[" * 5000 + "]" * 5000),
    "another question than its hash": replacing('"max_parallel": 2', '"max_parallel": 3'),
    "another cut than its hash": replacing('"n_parts": 3', '"n_parts": 4'),
    "no version of simdeploy": replacing('"simdeploy": ', '"simdeplox": '),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "no UTF-8": lambda path: path.write_bytes(path.read_bytes().replace(b"small", b"sm\xe4ll")),
}


@pytest.mark.parametrize("write", MANIFESTS.values(), ids=MANIFESTS)
def test_damaged_manifest(folder, write):
    """An invalid manifest is a StoreError that says so, for readers and writers, and stays unchanged. [contract]"""
    path = folder / "manifest.json"
    whole = path.read_bytes()
    write(path)
    content = path.read_bytes()
    assert content != whole
    for call in (read_store, finish):
        with pytest.raises(StoreError, match=r"store: manifest.json is damaged \("):
            call(folder)
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", ["journal.jsonl", "manifest.json"])
def test_too_large(folder, monkeypatch, name):
    """A journal or manifest above the maximum size is not read into memory. [contract]"""
    monkeypatch.setattr(f"simdeploy.experiments.store.{name.partition('.')[0]}._MOST_BYTES", 100)
    for call in (read_store, finish):
        with pytest.raises(StoreError, match=rf"{name}: larger than 100 bytes"):
            call(folder)


OUTSIDE = "nobody's but mine\n"


def as_link(path):
    (path.parent.parent / "outside").write_text(OUTSIDE)
    path.symlink_to(path.parent.parent / "outside")


def as_loop(path):
    path.symlink_to(path.name)


def as_folder(path):
    path.mkdir()
    (path / "kept").write_text(OUTSIDE)


STRANGERS = {"a named pipe": os.mkfifo, "a folder": as_folder, "a link": as_link, "a link to itself": as_loop}


def in_place_of(path, put):
    """Put something else in place of a file, and return its description."""
    path.unlink(missing_ok=True)
    STRANGERS[put](path)
    return put.removesuffix(" to itself")


def check_untouched(folder):
    """Check that nothing outside the store was changed, and that a folder's contents still exist."""
    for path in (folder / "outside", folder.parent / "outside"):
        assert not path.exists() or path.read_text() == OUTSIDE
    assert all(path.read_text() == OUTSIDE for path in folder.rglob("kept"))


@pytest.mark.parametrize("put", STRANGERS)
class TestStrangers:
    """Other objects in place of files: nothing waits for them, and no link is followed."""

    @pytest.mark.parametrize("name", ["manifest.json", "journal.jsonl"])
    def test_manifest_and_journal(self, folder, put, name):
        """Readers and writers report an object in place of manifest or journal at once, and leave it there. [contract]"""
        kind = in_place_of(folder / name, put)
        for call in (read_store, finish):
            with pytest.raises(StoreError, match=rf"{name}: {kind} where a store has a file; move it away"):
                call(folder)
        assert os.path.lexists(folder / name)
        check_untouched(folder)

    def test_lock(self, folder, put):
        """Writers report an object in place of the lock; readers ignore it. [contract]"""
        kind = in_place_of(folder / "simdeploy.lock", put)
        with pytest.raises(StoreError, match=rf"simdeploy.lock: {kind} where a store has a file"):
            finish(folder)
        assert read_store(folder).is_complete
        check_untouched(folder)

    def test_part(self, folder, expected, put):
        """Readers leave out a part with an object in its place and report that; writers recompute it, and keep a folder's contents. [contract]"""
        path = folder / "parts/part-000001.parquet"
        stored = read_store(folder)
        kind = in_place_of(path, put)
        with pytest.raises(StoreError, match=rf"part 1 can't be read \({kind} instead of a file\)"):
            stored.to_frame()
        with pytest.warns(SimdeployWarning) as caught:
            assert len(read_store(folder)) == 2 * 40
        assert f"part 1 is left out ({kind} instead of a file)" in str(caught[0].message)
        assert {warning.filename for warning in caught} == {__file__}
        notes = finish(folder)
        assert notes[0] == f"recomputing part 1: {kind} instead of a file"
        check_untouched(folder)
        if put == "a folder":
            aside = folder / "parts" / ".part-000001.parquet.set-aside"
            assert str(aside.name) in notes[1]
            assert (aside / "kept").read_text() == OUTSIDE
        assert_frame_equal(read_store(folder).to_frame(), expected, check_exact=True)
        assert_frame_equal(pd.read_parquet(folder / "parts"), expected, check_exact=True)

    def test_half_written_files(self, folder, expected, put):
        """An object in place of a file being written can't redirect writes outside the folder. [contract]"""
        (folder / "parts/part-000001.parquet").unlink()
        for path in (folder / ".journal.jsonl.tmp", folder / "parts/.part-000001.parquet.tmp"):
            in_place_of(path, put)
        finish(folder)
        check_untouched(folder)
        assert_frame_equal(read_store(folder).to_frame(), expected, check_exact=True)

    def test_manifest_that_is_being_written(self, tmp_path, put):
        """A folder with an unfinished manifest is begun again, despite objects in the way. [contract]"""
        folder = tmp_path / "store"
        folder.mkdir()
        (folder / "simdeploy.lock").touch()
        in_place_of(folder / ".manifest.json.tmp", put)
        finish(folder)
        check_untouched(folder)
        assert read_store(folder).is_complete


def test_parts_elsewhere(folder, tmp_path):
    """If parts is a link to another folder it is refused, and nothing is written there. [contract]"""
    shutil.move(folder / "parts", tmp_path / "elsewhere")
    (folder / "parts").symlink_to(tmp_path / "elsewhere")
    before = sorted(path.name for path in (tmp_path / "elsewhere").iterdir())
    (folder / "journal.jsonl").unlink()
    for call in (read_store, finish):
        with pytest.raises(StoreError, match="parts: a link where a store has a folder"):
            call(folder)
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == before


def test_a_folder_in_the_way_is_set_aside_repeatedly(folder):
    """Each folder in place of a part is kept under a new name. [contract]"""
    for _ in range(3):
        path = folder / "parts/part-000001.parquet"
        path.unlink()
        as_folder(path)
        finish(folder)
    assert len(list((folder / "parts").rglob("kept"))) == 3


def test_parts_of_other_columns(folder):
    """A part with other columns than the first is an error that names it, even with a valid line. [contract]"""
    other = folder.parent / "other"
    with Store.open(other, question=QUESTION, make_cut=lambda: {"n_parts": 2}) as store:
        for number in range(2):
            store.write(number, make_table(number).drop_columns(["waves"]))
    shutil.copy(other / "parts/part-000001.parquet", folder / "parts/part-000001.parquet")
    lines = [(place / "journal.jsonl").read_bytes().splitlines(keepends=True) for place in (folder, other)]
    (folder / "journal.jsonl").write_bytes(b"".join([lines[0][0], lines[1][1], *lines[0][2:]]))
    stored = read_store(folder)
    for read in (stored.to_frame, lambda: list(stored.batches()), lambda: stored["waves"]):
        with pytest.raises(StoreError, match="part 1 "):
            read()


def test_stores_of_a_folder_are_no_links(folder, tmp_path):
    """In a folder of several stores, a link among them is refused by readers and writers. [contract]"""
    study = tmp_path / "study"
    study.mkdir()
    (study / "batch-00").symlink_to(folder)
    for call in (lambda: read_batches(study), lambda: place_within(study, batch_name(0))):
        with pytest.raises(StoreError, match="batch-00: a link where a store has a folder"):
            call()
