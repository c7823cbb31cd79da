"""The random numbers of one replication, computed in blocks and served one at a time."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from simdeploy.world.streams import (
    SEED_LIMIT,
    WORD_LIMIT,
    FloatArray,
    Stream,
    block_uniforms,
    few_uniforms,
    uniforms,
    whole_number,
)

# Most numbers have a small index (the first attempt, the first windows), so they are computed for many nodes at once;
# a long series of one node (a flapping node, a long validation) is computed for many indices at once.
_FIRST_INDICES = 64
_NODES_BITS = 10
_NODES = 1 << _NODES_BITS
# A call of the generator costs as much as some hundred numbers, so for a small fleet one call computes several indices.
_WORTH_A_CALL = 256
_INDICES_BITS = 7
_INDICES = 1 << _INDICES_BITS
_MOST_CHUNKS = 16  # chunks of indices cached per node, far more than are in use at a time
# Blocks with decisions about a node from its dispatch on.
BRANCHING = frozenset(
    stream.block for stream in (Stream.UPDATE_DURATION, Stream.START_HANG, Stream.WINDOW, Stream.ROLLBACK_DURATION)
)
# Blocks with all decisions about single nodes.
OF_NODES = BRANCHING | frozenset(
    stream.block
    for stream in (
        Stream.AFFECTED,
        Stream.ERROR_RATE,
        Stream.CRASH_STATE,
        Stream.CRASH_UP,
        Stream.FLAP_GOOD,
        Stream.OLD_WINDOW,
        Stream.WATCHED_WINDOW,
        Stream.CONNECTION_STATE,
        Stream.CONNECTION_ONLINE,
    )
)

# Blocks with a number for each node at index 0.
_OF_EACH_NODE = sorted({stream.block for stream in Stream if stream.node_is == "node"})
_PLACES = {block: place for place, block in enumerate(_OF_EACH_NODE)}
# Blocks with one number per rollout, which nearly every rollout needs.
_SINGLE = sorted({stream.block for stream in Stream if stream.node_is == stream.index_is == "0"} - OF_NODES)
# Up to this size of the fleet, all of these are computed in one call, because calls cost more than numbers.
_SMALL_FLEET = 64


@dataclass(frozen=True, eq=False)
class Lineage:
    """Which other replications supply the random numbers of nodes."""

    nodes: np.ndarray  # int, shape (n_nodes,): replication that supplies each node's numbers
    blocks: frozenset[int]  # which numbers: `BRANCHING`, or `OF_NODES`


class Draws:
    """Random numbers of one (seed, replication), each equal to :func:`~simdeploy.world.streams.uniform`.

    A cache speeds up engines that need one number at a time.

    Raises
    ------
    InputError
        If one of them is out of range.

    Examples
    --------
    >>> from simdeploy.world.streams import uniform
    >>> draws = Draws(seed=1, replication=4)
    >>> draws.draw(Stream.WINDOW, 17, 3) == uniform(1, 4, Stream.WINDOW, 17, 3)
    True
    """

    __slots__ = ("_first", "_index_chunks", "_lineage", "_n_nodes", "_node_chunks", "replication", "seed")

    def __init__(
        self,
        seed: int,  # in [0, 2**64)
        replication: int,  # in [0, 2**32)
        n_nodes: int = WORD_LIMIT,  # number of nodes; others are allowed, but slower
        lineage: Lineage | None = None,  # other replications that supply numbers of nodes
    ) -> None:
        self.seed = whole_number(seed, "seed", SEED_LIMIT)
        self.replication = whole_number(replication, "replication", WORD_LIMIT)
        self._n_nodes = n_nodes
        self._lineage = lineage
        # (stream, index, node // _NODES) and (stream, node, index // _INDICES) -> consecutive numbers, packed for the caches
        self._node_chunks: dict[tuple[int, int, int], array[float]] = {}
        self._index_chunks: dict[tuple[int, int, int], array[float]] = {}
        self._first: FloatArray | None = None  # of a small fleet, by lane, block of `_OF_EACH_NODE` and node

    def draw(self, stream: Stream, node: int = 0, index: int = 0) -> float:
        """One random number, in (0, 1)."""
        try:
            if index < _FIRST_INDICES:
                return self._node_chunks[stream, index, node >> _NODES_BITS][node & (_NODES - 1)]
            return self._index_chunks[stream, node, index >> _INDICES_BITS][index & (_INDICES - 1)]
        except LookupError:
            # Chunks end where the ranges end, so arguments out of range are never in the cache and are detected here.
            whole_number(node, "node", WORD_LIMIT)
            whole_number(index, "index", WORD_LIMIT)
            if index < _FIRST_INDICES:
                self._compute_node_chunk(stream, index, node)
            else:
                self._compute_index_chunk(stream, node, index >> _INDICES_BITS)
            return self.draw(stream, node, index)

    def series(self, stream: Stream, node: int, first: int, n: int, *, is_usual: bool) -> list[float]:
        """Return n numbers of a node from index `first` on, of a stream with paired indices; `is_usual`: most nodes need theirs."""
        if not is_usual:
            replication = int(self._replication_of(stream.block, node))
            return few_uniforms(self.seed, replication, stream, node, first, n)
        chunk, place = node >> _NODES_BITS, node & (_NODES - 1)
        try:
            return [self._node_chunks[stream, index, chunk][place] for index in range(first, first + n)]
        except LookupError:
            return [self.draw(stream, node, index) for index in range(first, first + n)]

    def fleet(self, stream: Stream, n: int, index: int = 0) -> FloatArray:
        """Return the numbers of nodes 0, ..., n - 1 at one index."""
        return self.of_nodes(stream, np.arange(n), index)

    def coupled(self, stream: Stream, n: int) -> FloatArray:
        """Return the numbers of nodes 0, ..., n - 1 for a decision about all of them together, so no lineage applies."""
        is_own = self._lineage is None or stream.block not in self._lineage.blocks
        if n == self._n_nodes <= _SMALL_FLEET and is_own:
            return self._first_of(stream)
        return uniforms(self.seed, self.replication, stream, np.arange(n))

    def of_nodes(self, stream: Stream, nodes: np.ndarray, index: int = 0) -> FloatArray:
        """Return the numbers of some nodes at one index."""
        if index == 0 and stream.node_is == "node" and self._n_nodes <= _SMALL_FLEET:
            numbers: FloatArray = self._first_of(stream)[nodes]
            return numbers
        if 0 < index < _FIRST_INDICES and self._n_nodes <= _SMALL_FLEET:
            # Cached, because the other stream of the block, and both at the next index, are mostly needed next.
            if (stream, index, 0) not in self._node_chunks:
                self._compute_node_chunk(stream, index, 0)
            at_index: FloatArray = np.frombuffer(self._node_chunks[stream, index, 0])[nodes]
            return at_index
        return uniforms(self.seed, self._replication_of(stream.block, nodes), stream, nodes, index)

    def table(self, stream: Stream, nodes: np.ndarray, indices: np.ndarray) -> FloatArray:
        """Return the numbers of some nodes at some indices, shape (nodes, indices)."""
        replication = np.asarray(self._replication_of(stream.block, nodes))[..., np.newaxis]
        return uniforms(self.seed, replication, stream, nodes[:, np.newaxis], indices)

    def first(self, stream: Stream, nodes: np.ndarray, n: int) -> FloatArray:
        """Return the numbers of some nodes at indices 0, ..., n - 1 of a stream with paired indices, shape (nodes, n)."""
        index_blocks = np.arange((n + 1) // 2)
        replication = self._replication_of(stream.block, nodes)
        lanes = block_uniforms(self.seed, replication, stream.block, nodes, index_blocks[:, np.newaxis])
        return lanes.T.reshape(len(nodes), -1)[:, :n]

    def _replication_of(self, block: int, nodes: int | np.ndarray) -> Any:
        if self._lineage is None or block not in self._lineage.blocks:
            return self.replication
        return self._lineage.nodes[nodes]

    def _first_of(self, stream: Stream) -> FloatArray:
        """Return the numbers of all nodes of a small fleet at index 0."""
        if self._first is None:
            self._first = self._compute_first()
        numbers: FloatArray = self._first[stream.lane, _PLACES[stream.block]]
        return numbers

    def _compute_first(self) -> FloatArray:
        blocks, nodes = _lay_out(self._n_nodes)
        replications: Any = self.replication
        if self._lineage is not None:
            is_of_others = np.isin(blocks, list(self._lineage.blocks))
            replications = np.where(is_of_others, self._lineage.nodes[nodes], self.replication)
        lanes = block_uniforms(self.seed, replications, blocks, nodes, 0)
        self._keep_single(lanes[:, -len(_SINGLE) :])
        return lanes[:, : -len(_SINGLE)].reshape(2, len(_OF_EACH_NODE), self._n_nodes)

    def _compute_single(self) -> None:
        blocks, nodes = _lay_out(0)
        self._keep_single(block_uniforms(self.seed, self.replication, blocks, nodes, 0))

    def _keep_single(self, lanes: FloatArray) -> None:
        for block, *numbers in zip(_SINGLE, *lanes.tolist(), strict=True):
            self._node_chunks |= {(2 * block + lane, 0, 0): array("d", [number]) for lane, number in enumerate(numbers)}

    def _compute_node_chunk(self, stream: Stream, index: int, node: int) -> None:
        is_small = self._n_nodes <= _SMALL_FLEET
        if index == node == 0 and stream.block in _SINGLE:
            if is_small:
                self._first = self._compute_first()
            else:
                self._compute_single()
            return
        if index == 0 and is_small and stream.node_is == "node" and node < self._n_nodes:
            self._node_chunks[stream, 0, 0] = array("d", self._first_of(stream).tobytes())
            return
        chunk = node >> _NODES_BITS
        first, stop = chunk << _NODES_BITS, (chunk + 1) << _NODES_BITS
        n_nodes = 1 if stream.node_is == "0" else self._n_nodes
        nodes = np.arange(first, min(stop, n_nodes) if node < n_nodes else stop)
        index_block = index // 2 if stream.paired_indices else index
        n_blocks = 1 if stream.index_is == "0" else min(max(_WORTH_A_CALL // len(nodes), 1), _FIRST_INDICES)
        index_blocks = np.arange(n_blocks) + index_block // n_blocks * n_blocks
        replication = self._replication_of(stream.block, nodes)
        lanes = block_uniforms(self.seed, replication, stream.block, nodes, index_blocks[:, np.newaxis])
        numbers = array("d", lanes.tobytes())
        first_lane = 2 * stream.block  # a member's value is this plus its lane, so both streams of the block are served
        place = 0
        for lane in (0, 1):
            for block in index_blocks.tolist():
                key = (first_lane, 2 * block + lane) if stream.paired_indices else (first_lane + lane, block)
                self._node_chunks[*key, chunk] = numbers[place : place + len(nodes)]
                place += len(nodes)

    def _compute_index_chunk(self, stream: Stream, node: int, chunk: int) -> None:
        if len(self._index_chunks) >= _MOST_CHUNKS * self._n_nodes:
            self._index_chunks.clear()  # bounds the memory of very long rollouts
        first, stop = chunk * _INDICES, (chunk + 1) * _INDICES
        replication = self._replication_of(stream.block, node)
        if stream.paired_indices:
            lanes = block_uniforms(self.seed, replication, stream.block, node, np.arange(first // 2, stop // 2))
            self._index_chunks[stream, node, chunk] = array("d", lanes.T.tobytes())
            return
        lanes = block_uniforms(self.seed, replication, stream.block, node, np.arange(first, stop))
        for lane, numbers in enumerate(lanes):
            self._index_chunks[2 * stream.block + lane, node, chunk] = array("d", numbers.tobytes())


@lru_cache(maxsize=_SMALL_FLEET + 1)
def _lay_out(n_nodes: int) -> tuple[Any, Any]:
    """Return block and node of each number of a small fleet's one call: numbers of each node, then those of the rollout."""
    blocks = np.concatenate([np.repeat(_OF_EACH_NODE, n_nodes), _SINGLE]).astype(np.int64)
    nodes = np.concatenate([np.tile(np.arange(n_nodes), len(_OF_EACH_NODE)), np.zeros(len(_SINGLE), np.int64)])
    return blocks, nodes
