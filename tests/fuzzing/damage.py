"""Damage to the folder of a store: flipped bits, changed files, and other kinds of files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pyarrow.parquet as pq

from fuzzing.deployment_files import mutate_json
from fuzzing.texts import JSON_MUTATORS, flip_bit, truncate
from fuzzing.trees import TREE_MUTATORS

_MAGIC = 4
_LENGTH = 8  # of the footer, with the magic behind it


@dataclass(frozen=True)
class Place:
    """A store to be damaged, and a folder outside that must not be touched."""

    folder: Path
    outside: Path

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.json"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def lock(self) -> Path:
        return self.folder / "simdeploy.lock"

    def parts(self) -> list[Path]:
        return sorted((self.folder / "parts").glob("*.parquet"))


Damage = Callable[[Random, Place], None]


# -- bits of parts ---------------------------------------------------------------------------------


def _regions(path: Path) -> dict[str, list[range]]:
    """Return where a Parquet file has what."""
    metadata = pq.read_metadata(path)
    size = path.stat().st_size
    headers, data = [], []
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            column = metadata.row_group(group).column(place)
            start = column.data_page_offset
            if column.has_dictionary_page and column.dictionary_page_offset is not None:
                start = min(start, column.dictionary_page_offset)
                headers.append(range(column.data_page_offset, column.data_page_offset + 16))
            headers.append(range(start, start + 16))
            data.append(range(start + 16, start + column.total_compressed_size))
    return {
        "magic": [range(_MAGIC), range(size - _MAGIC, size)],
        "a page's header": headers,
        "a page": data,
        "the footer": [range(size - _LENGTH - metadata.serialized_size, size - _LENGTH)],
        "the footer's length": [range(size - _LENGTH, size - _MAGIC)],
    }


def _flip_in(region: str) -> Damage:
    def damage(random: Random, place: Place) -> None:
        path = random.choice(place.parts())
        content = bytearray(path.read_bytes())
        at = random.choice(random.choice(_regions(path)[region]))
        content[min(at, len(content) - 1)] ^= 1 << random.randrange(8)
        path.write_bytes(content)

    return damage


# -- whole parts -----------------------------------------------------------------------------------


def _change_part(change: Callable[[Random, bytes], bytes]) -> Damage:
    def damage(random: Random, place: Place) -> None:
        path = random.choice(place.parts())
        path.write_bytes(change(random, path.read_bytes()))

    return damage


def _clear_block(random: Random, content: bytes) -> bytes:
    at = random.randrange(len(content))
    n = min(random.choice([8, 64, 512]), len(content) - at)
    return content[:at] + bytes(n) + content[at + n :]


def _swap_parts(random: Random, place: Place) -> None:
    one, other = random.sample(place.parts(), 2)
    beside = one.with_suffix(".beside")
    one.rename(beside)
    other.rename(one)
    beside.rename(other)


def _copy_part(random: Random, place: Place) -> None:
    one, other = random.sample(place.parts(), 2)
    shutil.copy(one, other)


def _rewrite_part(random: Random, place: Place) -> None:
    """Write a part anew, sound in itself, with a value, a name or a type changed."""
    path = random.choice(place.parts())
    table = pq.read_table(path)
    name = random.choice([field.name for field in table.schema if str(field.type) in ("int64", "double")])
    at = table.schema.get_field_index(name)
    change = random.randrange(3)
    if change == 0:
        table = table.slice(0, table.num_rows - 1)
    elif change == 1:
        table = table.rename_columns([f"{column}x" if column == name else column for column in table.column_names])
    else:
        table = table.set_column(at, name, [[7] * table.num_rows])
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def _extra_part(random: Random, place: Place) -> None:
    number = random.choice([len(place.parts()), 999_999, 10**12])
    shutil.copy(place.parts()[0], place.folder / "parts" / f"part-{number:06d}.parquet")


# -- kinds of files --------------------------------------------------------------------------------


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _link_outside(path: Path, place: Place) -> None:
    """Move the file outside, and put a link in its place."""
    target = place.outside / path.name
    path.rename(target)
    path.symlink_to(target)


def _replace(path: Path, random: Random, place: Place) -> None:
    """Replace a file with something that is no file, or is elsewhere."""
    kind = random.choice(
        ["nothing", "folder", "full folder", "pipe", "loop", "nowhere", "outside", "elsewhere", "empty"]
    )
    if kind == "outside" and path.exists():
        _link_outside(path, place)
        return
    _remove(path)
    if kind in ("folder", "full folder"):
        path.mkdir()
        if kind == "full folder":
            (path / "kept.txt").write_text("kept")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "nowhere":
        path.symlink_to(place.outside / "new.txt")
    elif kind in ("outside", "elsewhere"):
        path.symlink_to(place.outside / "precious.txt")
    elif kind == "empty":
        path.touch()


def _replace_one(choose: Callable[[Random, Place], Path]) -> Damage:
    return lambda random, place: _replace(choose(random, place), random, place)


def _parts_folder(random: Random, place: Place) -> None:
    parts = place.folder / "parts"
    if random.randrange(2):
        _replace(parts, random, place)
    else:
        _link_outside(parts, place)


def _stray(random: Random, place: Place) -> None:
    """Put something where half-written files of an interrupted run would be."""
    name = random.choice(
        [".manifest.json.tmp", ".journal.jsonl.tmp", "parts/.part-000001.parquet.tmp", "parts/x.parquet"]
    )
    _replace(place.folder / name, random, place)


# -- manifest and journal --------------------------------------------------------------------------


def _manifest(mutators: Iterable[str]) -> Damage:
    def damage(random: Random, place: Place) -> None:
        mutator = random.choice(list(mutators))
        place.manifest.write_bytes(mutate_json(mutator, random, place.manifest.read_bytes()))

    return damage


def _line_of_journal(mutators: Iterable[str]) -> Damage:
    def damage(random: Random, place: Place) -> None:
        lines = place.journal.read_bytes().splitlines()
        at = random.randrange(len(lines))
        lines[at] = mutate_json(random.choice(list(mutators)), random, lines[at]).replace(b"\n", b" ")
        place.journal.write_bytes(b"\n".join([*lines, b""]))

    return damage


def _lying_line(random: Random, place: Place) -> None:
    """Add a line with impossible or wrong contents."""
    lines = place.journal.read_bytes().splitlines()
    entry = json.loads(lines[0])
    line = random.choice(
        [
            *({"complete": number} for number in (50_000_000, 10**30, -1, 0, 1, 2, True, 4, 2.0, None)),
            *(entry | {"part": number} for number in (3, -1, 50_000_000, 10**30, True, 1)),
            *(entry | {"rows": number} for number in (0, -1, 1, 10**30, True, 50_000_000)),
            *(entry | {"size": number} for number in (0, -1, 1, 10**30, True)),
            *(entry | {"sha256": text} for text in ("0" * 64, "", "x" * 64, "\ud800")),
            *([], {}, None, "part", 5, [entry], {"part": [0]}, {"complete": {}}),
        ]
    )
    at = random.choice([len(lines), random.randrange(len(lines) + 1)])  # of two lines the later one counts
    lines.insert(at, json.dumps(line).encode())
    place.journal.write_bytes(b"\n".join([*lines, b""]))


def _lines_of_journal(random: Random, place: Place) -> None:
    """Drop, repeat, swap or cut lines."""
    lines = place.journal.read_bytes().splitlines(keepends=True)
    change = random.randrange(4)
    if change == 0:
        del lines[random.randrange(len(lines))]
    elif change == 1:
        lines.insert(random.randrange(len(lines) + 1), random.choice(lines))
    elif change == 2:
        random.shuffle(lines)
    else:
        lines = [truncate(random, b"".join(lines))]
    place.journal.write_bytes(b"".join(lines))


def _part(random: Random, place: Place) -> Path:
    return random.choice(place.parts())


DAMAGES: dict[str, Damage] = {
    **{f"part: flip a bit in {region}": _flip_in(region) for region in ("magic", "a page's header", "a page")},
    "part: flip a bit in the footer": _flip_in("the footer"),
    "part: flip a bit in the footer, once more": _flip_in("the footer"),
    "part: flip a bit in the footer's length": _flip_in("the footer's length"),
    "part: flip any bit": _change_part(flip_bit),
    "part: truncate": _change_part(truncate),
    "part: extend": _change_part(lambda random, content: content + random.randbytes(random.choice([1, 8, 1000]))),
    "part: clear a block": _change_part(_clear_block),
    "part: swap with another": _swap_parts,
    "part: copy over another": _copy_part,
    "part: rewrite": _rewrite_part,
    "part: one too many": _extra_part,
    "part: something else in its place": _replace_one(_part),
    "parts: something else in their place": _parts_folder,
    "manifest: something else in its place": _replace_one(lambda _, place: place.manifest),
    "journal: something else in its place": _replace_one(lambda _, place: place.journal),
    "lock: something else in its place": _replace_one(lambda _, place: place.lock),
    "stray file": _stray,
    "journal: lying line": _lying_line,
    "journal: other lines": _lines_of_journal,
    "manifest: other data": _manifest(TREE_MUTATORS),
    "manifest: other text": _manifest(JSON_MUTATORS),
    "journal: other data": _line_of_journal(TREE_MUTATORS),
    "journal: other text": _line_of_journal(JSON_MUTATORS),
}
