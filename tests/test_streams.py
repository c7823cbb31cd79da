"""Random numbers: the generator, the layout, the registry, the cache."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from simdeploy.errors import InputError
from simdeploy.world import streams
from simdeploy.world.draws import OF_NODES, Draws, Lineage
from simdeploy.world.streams import Stream, few_uniforms, philox4x32, uniform, uniforms

WORDS = st.integers(0, 2**32 - 1)
SEEDS = st.integers(0, 2**64 - 1)
STREAMS = st.sampled_from(list(Stream))


def philox_by_hand(counter: list[int], key: list[int]) -> list[int]:
    """Philox 4x32-10 word by word, as in the paper, on Python's integers."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return [c0, c1, c2, c3]


def uniform_by_hand(seed: int, replication: int, stream: Stream, node: int, index: int) -> float:
    """The documented layout, from the registry's numbers."""
    index_block, lane = divmod(index, 2) if stream.paired_indices else (index, stream.lane)
    out = philox_by_hand([index_block, node, stream.block, replication], [seed % 2**32, seed // 2**32])
    word = out[2 * lane] + out[2 * lane + 1] * 2**32
    return ((word >> 12) + 0.5) / 2**52


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_gives_the_published_answers(counter: list[int], key: list[int], expected: list[int]) -> None:
    """The generator gives the known answers published with Random123. [oracle]"""
    assert philox4x32(counter, key).tolist() == expected
    assert philox_by_hand(counter, key) == expected


@given(st.lists(st.tuples(WORDS, WORDS, WORDS, WORDS), min_size=1, max_size=5), st.tuples(WORDS, WORDS))
def test_philox_on_arrays_equals_it_word_by_word(counters: list[tuple[int, ...]], key: tuple[int, int]) -> None:
    """Many counters at once give the results of an independent implementation. [oracle]"""
    answers = philox4x32(np.array(counters, dtype=np.uint64).T, key).T.tolist()
    assert answers == [philox_by_hand(list(counter), list(key)) for counter in counters]


@given(SEEDS, WORDS, STREAMS, WORDS, WORDS)
def test_uniform_follows_the_documented_layout(
    seed: int, replication: int, stream: Stream, node: int, index: int
) -> None:
    """The number at any place is the documented one. [oracle]"""
    assert uniform(seed, replication, stream, node, index) == uniform_by_hand(seed, replication, stream, node, index)


@given(SEEDS, WORDS, WORDS, st.integers(0, 2**32 - 9), st.integers(0, 8))
def test_a_few_numbers_of_a_node_are_those_of_the_layout(
    seed: int, replication: int, node: int, first: int, n: int
) -> None:
    """One node's numbers at consecutive indices are the documented ones. [oracle]"""
    by_hand = [uniform_by_hand(seed, replication, Stream.WINDOW, node, index) for index in range(first, first + n)]
    assert few_uniforms(seed, replication, Stream.WINDOW, node, first, n) == by_hand


@pytest.mark.parametrize(("word", "expected"), [(0, 2.0**-53), (2**32 - 1, 1 - 2.0**-53)])
def test_uniform_is_never_0_and_never_1(monkeypatch: pytest.MonkeyPatch, word: int, expected: float) -> None:
    """The lowest and the highest word give numbers strictly inside (0, 1). [property]"""
    monkeypatch.setattr(streams, "_apply_rounds", lambda *words_and_key: [np.full((2, 1), word, np.uint64)] * 2)
    assert uniform(0, 0, Stream.ORDER, 0) == expected
    assert 0 < expected < 1


def test_uniforms_broadcasts_replications_nodes_and_indices() -> None:
    """Arrays of replications, nodes and indices give the same numbers as single calls. [property]"""
    replications, nodes, indices = np.array([0, 5]), np.array([0, 1, 2**32 - 1]), np.array([0, 1, 2, 7])
    for stream in (Stream.WINDOW, Stream.START_FAILURE):
        block = uniforms(3, replications[:, None, None], stream, nodes[:, None], indices)
        assert block.shape == (2, 3, 4)
        for (i, r), (j, n), (k, t) in itertools.product(enumerate(replications), enumerate(nodes), enumerate(indices)):
            assert block[i, j, k] == uniform(3, int(r), stream, int(n), int(t))
    assert uniforms(3, 0, Stream.ORDER, np.arange(0)).shape == (0,)


@given(SEEDS, WORDS, st.data())
@settings(deadline=None)
def test_the_cache_changes_no_number(seed: int, replication: int, data: st.DataObject) -> None:
    """For any queries in any order, the cache gives the number of the place. [property]"""
    draws = Draws(seed, replication, data.draw(st.sampled_from([1, 7, 100, 1500])))
    nodes = st.one_of(st.integers(0, 3000), WORDS)
    indices = st.one_of(st.integers(0, 300), WORDS)
    places = data.draw(st.lists(st.tuples(STREAMS, nodes, indices), min_size=1, max_size=6))
    siblings = [(stream, node, index ^ 1) for _, node, index in places for stream in (Stream.WINDOW, Stream.START_HANG)]
    for stream, node, index in [*places, *siblings, *places]:
        number = draws.draw(stream, node, index)
        assert number == uniform(seed, replication, stream, node, index)
        assert type(number) is float


def test_a_chunk_has_the_right_number_for_every_node_and_index() -> None:
    """Across the cache's chunks every lane gives its own numbers. [property]"""
    draws = Draws(11, 2)
    for stream in (Stream.UPDATE_DURATION, Stream.START_FAILURE, Stream.WINDOW):
        assert [draws.draw(stream, node, 3) for node in range(2100)] == draws.fleet(stream, 2100, 3).tolist()
        along = uniforms(11, 2, stream, 5, np.arange(400))
        assert [draws.draw(stream, 5, index) for index in range(400)] == along.tolist()


@pytest.mark.parametrize("lineage", [None, Lineage(np.arange(90, 120), OF_NODES)])
def test_many_numbers_at_once_are_those_of_their_places(lineage: Lineage | None) -> None:
    """First numbers of some nodes, and a series of one node, are the numbers of their places. [property]"""
    draws, nodes = Draws(11, 2, 30, lineage), np.array([3, 0, 29])
    for n in (1, 5, 6):
        each = [[draws.draw(Stream.WINDOW, node, index) for index in range(n)] for node in nodes.tolist()]
        assert draws.first(Stream.WINDOW, nodes, n).tolist() == each
    each = [draws.draw(Stream.WINDOW, 4, index) for index in range(3, 90)]
    for is_usual in (False, True):
        assert draws.series(Stream.WINDOW, 4, 3, 87, is_usual=is_usual) == each


@given(SEEDS, WORDS, STREAMS, st.integers(0, 50), st.integers(0, 9))
def test_a_larger_fleet_has_the_same_nodes(seed: int, replication: int, stream: Stream, n: int, index: int) -> None:
    """One more node changes no number of the others. [property]"""
    draws = Draws(seed, replication)
    assert draws.fleet(stream, n + 1, index)[:n].tolist() == draws.fleet(stream, n, index).tolist()


@pytest.mark.parametrize("bad", [-1, 2**32, 2**64, True, 1.0, "1", None, np.bool_(True), np.float64(3)])
@pytest.mark.parametrize("name", ["replication", "node", "index"])
def test_places_out_of_range_are_refused(name: str, bad: object) -> None:
    """A replication, node or index that isn't a whole number in [0, 2**32) is an error that names it. [contract]"""
    place: dict[str, object] = {"replication": 0, "node": 0, "index": 0, name: bad}
    for stream in (Stream.WINDOW, Stream.START_FAILURE):
        with pytest.raises(InputError, match=rf"{name}: .*0 to 4294967295"):
            uniform(0, place["replication"], stream, place["node"], place["index"])  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [-1, 2**64, True, 1.0, "1", None])
def test_seeds_out_of_range_are_refused(bad: object) -> None:
    """A seed that isn't a whole number in [0, 2**64) is an error that names it. [contract]"""
    with pytest.raises(InputError, match="seed: "):
        uniform(bad, 0, Stream.ORDER, 0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="seed: "):
        Draws(bad, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("node", "index"), [(-1, 0), (2**32, 0), (0, -1), (0, 2**32)])
def test_the_cache_refuses_places_out_of_range(node: int, index: int) -> None:
    """The cache has the limits of the function behind it. [contract]"""
    for stream in (Stream.WINDOW, Stream.START_FAILURE):
        with pytest.raises(InputError, match="out of range"):
            Draws(0, 0).draw(stream, node, index)


def test_the_first_and_last_places_are_allowed() -> None:
    """Seed 0 is a seed, and the largest seed, replication, node and index are in range. [contract]"""
    last = 2**32 - 1
    assert uniform(0, 0, Stream.ORDER, 0, 0) != uniform(2**64 - 1, last, Stream.ORDER, last, last)
    assert Draws(2**64 - 1, last).draw(Stream.WINDOW, last, last) == uniform(2**64 - 1, last, Stream.WINDOW, last, last)
    numpy_seed = np.uint64(2**64 - 1)
    assert uniform(numpy_seed, 0, Stream.ORDER, 0) == uniform(2**64 - 1, 0, Stream.ORDER, 0)  # type: ignore[arg-type]


def test_no_two_streams_share_a_lane() -> None:
    """Each lane of each block belongs to one stream, or both to one with paired indices. [contract]"""
    lanes = [
        (stream.block, lane) for stream in Stream for lane in ((0, 1) if stream.paired_indices else (stream.lane,))
    ]
    assert len(set(lanes)) == len(lanes)
    assert {lane for _, lane in lanes} == {0, 1}
    assert all(stream.value == 2 * stream.block + stream.lane for stream in Stream)


def test_every_coordinate_of_a_place_matters() -> None:
    """Another seed, replication, stream, node or index gives another number. [property]"""
    places = itertools.product((0, 1, 2**32), (0, 1), list(Stream), (0, 1), (0, 1, 2))
    numbers = [uniform(*place) for place in places]
    assert len(set(numbers)) == len(numbers)


def test_the_page_lists_the_registry() -> None:
    """The table in docs/streams.md is the registry, row by row. [contract]"""
    page = (Path(__file__).parents[1] / "docs" / "streams.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")
    ]
    assert rows == [
        [
            f"`{stream.name}`",
            str(stream.block),
            "0, 1" if stream.paired_indices else str(stream.lane),
            stream.node_is,
            stream.index_is,
            stream.decides,
        ]
        for stream in Stream
    ]


@pytest.mark.parametrize("stream", list(Stream))
def test_numbers_are_uniform(stream: Stream) -> None:
    """Over nodes and over replications the mean and the variance are those of a uniform, within 4 se. [oracle]"""
    n = 20_000
    for sample in (uniforms(1, 0, stream, np.arange(n)), uniforms(1, np.arange(n), stream, 0)):
        assert abs(sample.mean() - 1 / 2) < 4 * math.sqrt(1 / 12 / n)
        assert abs(((sample - 1 / 2) ** 2).mean() - 1 / 12) < 4 * math.sqrt(1 / 180 / n)


def test_neighbours_are_uncorrelated() -> None:
    """Numbers of neighbouring lanes, indices, nodes, replications and seeds don't correlate, within 4 se. [oracle]"""
    n = 20_000
    nodes = np.arange(n)
    base = uniforms(5, 0, Stream.UPDATE_DURATION, nodes)
    others = [
        uniforms(5, 0, Stream.START_FAILURE, nodes),
        uniforms(5, 0, Stream.START_HANG, nodes),
        uniforms(5, 0, Stream.UPDATE_DURATION, nodes, 1),
        uniforms(5, 0, Stream.UPDATE_DURATION, nodes + 1),
        uniforms(5, 1, Stream.UPDATE_DURATION, nodes),
        uniforms(6, 0, Stream.UPDATE_DURATION, nodes),
        uniforms(5 + 2**32, 0, Stream.UPDATE_DURATION, nodes),
    ]
    for other in others:
        assert abs(((base - 0.5) * (other - 0.5)).mean()) < 4 / 12 / math.sqrt(n)
