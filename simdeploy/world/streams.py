"""Random numbers as a function of where they are used: Philox 4x32-10 and the registry of streams.

Nothing is drawn "next". Every random number is ``uniform(seed, replication, stream, node, index)``, so the order
of events, the policy, the engine, the number of workers and the batch size can't change any of them.

The layout is a contract between engines:

- key = (low 32 bits of the seed, high 32 bits of the seed), the seed in [0, 2**64);
- counter = (index block, node, block number of the stream, replication), each in [0, 2**32);
- a block is four 32-bit words, read as two 64-bit words: lane 0 is ``out[0] | out[1] << 32``, lane 1 is
  ``out[2] | out[3] << 32``;
- uniform = ``((word >> 12) + 0.5) * 2**-52``: exact in 64-bit floating point, never 0 and never 1 (with 53 bits the
  largest value would round to 1).

Streams that are needed together share a block, one lane each, at the same index. A stream with `paired_indices`
has the block to itself: index i is lane ``i % 2`` of index block ``i // 2``.

References
----------
J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", Proc. SC'11, 2011
(Philox: section 3.3).
"""

from __future__ import annotations

import enum
import functools
import operator
from typing import Self

import numpy as np
import numpy.typing as npt

from simdeploy.errors import InputError, Problem, shorten

FloatArray = npt.NDArray[np.float64]
WordArray = npt.NDArray[np.uint64]

_ROUNDS = 10
_MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], dtype=np.uint64)
_KEY_STEPS = np.array([[0x9E3779B9], [0xBB67AE85]], dtype=np.uint64)
_MULTIPLIER, _OTHER_MULTIPLIER = (int(row[0]) for row in _MULTIPLIERS)
_WORD_MASK = 0xFFFFFFFF
# Arrays, because numpy would convert numbers in each call.
_MASK, _WORD, _DROPPED_BITS = (np.array(number, dtype=np.uint64) for number in (_WORD_MASK, 32, 12))

SEED_LIMIT = 1 << 64
WORD_LIMIT = 1 << 32


@enum.unique
class Stream(enum.IntEnum):
    """Every random decision; the value is twice the block number plus the lane.

    Examples
    --------
    >>> Stream.START_FAILURE.block, Stream.START_FAILURE.lane, Stream.START_FAILURE.index_is
    (6, 1, 'attempt')
    """

    block: int  # block number, the third word of the counter
    lane: int  # which 64-bit word of the block, 0 or 1
    node_is: str  # what `node` counts; "0" where there is only one
    index_is: str  # what `index` counts, likewise
    decides: str  # what the number decides
    paired_indices: bool  # whether the stream uses both lanes of its block, for even and odd indices

    def __new__(
        cls, block: int, lane: int, node_is: str, index_is: str, decides: str, paired_indices: bool = False
    ) -> Self:
        """Make a member from a line of the table below."""
        member = int.__new__(cls, 2 * block + lane)
        member._value_ = 2 * block + lane
        member.block = block
        member.lane = lane
        member.node_is = node_is
        member.index_is = index_is
        member.decides = decides
        member.paired_indices = paired_indices
        return member

    RELEASE_KIND = 0, 0, "0", "0", "the kind of release"
    SLOWDOWN = 0, 1, "0", "0", "the factor on every update duration"
    START_FAILURE_LEVEL = (1, 0, "0", "0", "the probability that an attempt to start fails")
    PROMOTE_AFTER = 1, 1, "0", "0", "how long the operator takes to act on the canaries"
    OPERATOR_DECISION = 2, 0, "0", "0", "whether the operator cancels or promotes"
    ESCAPE_DETECTION = 2, 1, "0", "0", "when people notice an escaped defect, or undo a stop"
    ORDER = 3, 0, "node", "0", "the node's place in a random order"
    CLASS = 3, 1, "node", "0", "which class the node is in"
    AFFECTED = 4, 0, "node", "0", "whether the release affects the node"
    AFTER = 4, 1, "node", "0", "how much exposure a latent defect needs to show"
    ERROR_RATE = 5, 0, "node", "0", "the node's error rate"
    PAST_ROLLOUT = 5, 1, "0", "0", "which rollout on record is replayed"
    UPDATE_DURATION = 6, 0, "node", "attempt", "how long an attempt to start takes"
    START_FAILURE = 6, 1, "node", "attempt", "whether the attempt fails"
    START_HANG = 7, 0, "node", "attempt", "whether the attempt leaves the node silent"
    WINDOW = 8, 0, "node", "window", "how many requests of a health window fail", True
    ROLLBACK_DURATION = 9, 0, "node", "0", "how long the rollback takes"
    ROLLBACK_FAILURE = 9, 1, "node", "0", "whether the rollback fails"
    CRASH_STATE = 10, 0, "node", "0", "whether the node is down at time 0"
    FLAP_STATE = 10, 1, "node", "0", "whether the node is degraded at time 0"
    CRASH_UP = 11, 0, "node", "spell", "how long the node stays up"
    CRASH_REPAIR = 11, 1, "node", "spell", "how long its repair takes"
    FLAP_GOOD = 12, 0, "node", "spell", "how long the node stays good"
    FLAP_DEGRADED = 12, 1, "node", "spell", "how long it stays degraded"
    ZONE_STATE = 13, 0, "zone", "0", "whether the zone is down at time 0"
    ZONE_UP = 14, 0, "zone", "spell", "how long the zone stays up"
    ZONE_REPAIR = 14, 1, "zone", "spell", "how long its repair takes"
    OLD_WINDOW = 15, 0, "node", "interval", "how many requests fail on an old node in a comparison"
    GATE_ORDER = 16, 0, "wave", "failure", "in which order a gate meets the requests of a look"
    WATCHED_WINDOW = 17, 0, "node", "look", "how many requests fail on a watched running node"
    CONNECTION_STATE = 18, 0, "node", "0", "whether the node is offline at its turn"
    CONNECTION_ONLINE = 19, 0, "node", "spell", "how long the node stays online"
    CONNECTION_OFFLINE = 19, 1, "node", "spell", "how long it stays offline"
    SEEN_VERDICT = 20, 0, "place", "0 or 1", "advice: the node's observed verdict; its replication"
    SEEN_WAVE = 20, 1, "wave", "look", "advice: a wave's failures, its last node, and kept worlds"


def philox4x32(
    counter: npt.ArrayLike,  # four words below 2**32 along the first axis
    key: npt.ArrayLike,  # two words below 2**32
) -> WordArray:
    """Apply the ten rounds of Philox 4x32 to counters, and return four words of each.

    Examples
    --------
    >>> [hex(word) for word in philox4x32([0, 0, 0, 0], [0, 0])]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    words = np.asarray(counter, dtype=np.uint64)
    made = np.empty_like(words)
    flat, made_flat = words.reshape(4, -1), made.reshape(4, -1)
    made_flat[0::2], made_flat[1::2] = _apply_rounds(flat[0::2], flat[1::2], *map(int, np.asarray(key)))
    return made


def _apply_rounds(even: WordArray, odd: WordArray, low_key: int, high_key: int) -> tuple[WordArray, WordArray]:
    # Both halves of a round do the same with different words, so they are two rows of one array. A round swaps the products.
    even, odd = even.copy(), odd.copy()
    product = np.empty_like(even)
    swapped = product[::-1]
    for round_key in _round_keys(low_key, high_key):
        np.multiply(even, _MULTIPLIERS, out=swapped)
        np.right_shift(product, _WORD, out=even)
        even ^= odd
        even ^= round_key
        np.bitwise_and(product, _MASK, out=odd)
    return even, odd


@functools.lru_cache(maxsize=8)
def _round_keys(low_key: int, high_key: int) -> list[WordArray]:
    numbers = np.arange(_ROUNDS, dtype=np.uint64)[:, np.newaxis, np.newaxis]
    keys = np.array([[low_key], [high_key]], dtype=np.uint64)
    return list((keys + numbers * _KEY_STEPS) & _MASK)


def block_uniforms(
    seed: int, replication: npt.ArrayLike, block: int, nodes: npt.ArrayLike, index_blocks: npt.ArrayLike
) -> FloatArray:
    """Both lanes of the blocks at (replication, node, index block), all broadcast against each other.

    The first axis has lane 0 and lane 1; each number is in (0, 1).
    """
    seed = whole_number(seed, "seed", SEED_LIMIT)
    index_blocks, nodes = _whole_numbers(index_blocks, "index"), _whole_numbers(nodes, "node")
    replication = _whole_numbers(replication, "replication")
    shape = np.broadcast(index_blocks, nodes, replication).shape
    counter = np.empty((4, *shape), dtype=np.uint64)
    for word, numbers in enumerate((index_blocks, nodes, block, replication)):
        counter[word, ...] = numbers
    flat = counter.reshape(4, -1)
    low, high = _apply_rounds(flat[0::2], flat[1::2], seed % WORD_LIMIT, seed // WORD_LIMIT)
    lanes: FloatArray = (((low | high << _WORD) >> _DROPPED_BITS).astype(np.float64) + 0.5) * 2.0**-52
    return lanes.reshape(2, *shape)


def uniforms(
    seed: int,  # in [0, 2**64)
    replication: npt.ArrayLike,  # in [0, 2**32), like nodes and indices, which the registry defines
    stream: Stream,
    nodes: npt.ArrayLike,
    indices: npt.ArrayLike = 0,
) -> FloatArray:
    """Many random numbers of one stream; `replication`, `nodes` and `indices` are broadcast against each other.

    They are in (0, 1), each equal to `uniform` with the same arguments.

    Raises
    ------
    InputError
        If one of the numbers is not whole or out of range.

    Examples
    --------
    >>> uniforms(7, 0, Stream.START_FAILURE, [0, 1, 2]).tolist()[1] == uniform(7, 0, Stream.START_FAILURE, 1)
    True
    """
    if not stream.paired_indices:
        return block_uniforms(seed, replication, stream.block, nodes, indices)[stream.lane, ...]
    index_blocks, odd = np.divmod(_whole_numbers(indices, "index"), np.uint64(2))
    even_lane, odd_lane = block_uniforms(seed, replication, stream.block, nodes, index_blocks)
    chosen: FloatArray = np.where(odd, odd_lane, even_lane)
    return chosen


def few_uniforms(
    seed: int,  # in [0, 2**64)
    replication: int,  # in [0, 2**32), like node and indices
    stream: Stream,  # with paired indices
    node: int,
    first: int,
    n: int,
) -> list[float]:
    """The numbers of one node at n indices from `first` on: equal to `uniforms`, and faster up to a few dozen.

    Examples
    --------
    >>> few_uniforms(7, 0, Stream.WINDOW, 4, 3, 2) == uniforms(7, 0, Stream.WINDOW, 4, [3, 4]).tolist()
    True
    """
    numbers: list[float] = []
    for index_block in range(first // 2, (first + n + 1) // 2):
        word, left, other, right = index_block, node, stream.block, replication
        for low_key, high_key in _plain_round_keys(seed):
            product, other_product = word * _MULTIPLIER, other * _OTHER_MULTIPLIER
            word, other = other_product >> 32 ^ left ^ low_key, product >> 32 ^ right ^ high_key
            left, right = other_product & _WORD_MASK, product & _WORD_MASK
        numbers += (((word | left << 32) >> 12) + 0.5) * 2.0**-52, (((other | right << 32) >> 12) + 0.5) * 2.0**-52
    return numbers[first % 2 : first % 2 + n]


@functools.lru_cache(maxsize=8)
def _plain_round_keys(seed: int) -> list[tuple[int, int]]:
    return [(int(low[0]), int(high[0])) for low, high in _round_keys(seed % WORD_LIMIT, seed // WORD_LIMIT)]


def uniform(
    seed: int,  # in [0, 2**64)
    replication: int,  # in [0, 2**32), like node and index
    stream: Stream,
    node: int,
    index: int = 0,
) -> float:
    """One random number, in (0, 1).

    Raises
    ------
    InputError
        If one of the numbers is not whole or out of range.

    Examples
    --------
    >>> 0 < uniform(0, 0, Stream.SLOWDOWN, 0) < 1
    True
    """
    return float(uniforms(seed, replication, stream, node, index))


def whole_number(value: object, name: str, limit: int) -> int:
    """Validate a whole number in [0, limit).

    Raises
    ------
    InputError
        Naming `name`; booleans and floats are not whole numbers.

    Examples
    --------
    >>> whole_number(0, "seed", SEED_LIMIT)
    0
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None:
        raise InputError(_invalid("not a whole number", value, name, limit))
    if not 0 <= number < limit:
        raise InputError(_invalid("out of range", value, name, limit))
    return number


def _whole_numbers(values: npt.ArrayLike, name: str) -> WordArray:
    if isinstance(values, int):
        return np.asarray(whole_number(values, name, WORD_LIMIT), dtype=np.uint64)
    array = np.asarray(values)
    if array.dtype.kind in "iu":
        words = array.astype(np.uint64)  # negative numbers become large ones
        if not words.size or words.max() < WORD_LIMIT:
            return words
    message = "out of range" if array.dtype.kind in "iu" else "not a whole number"
    raise InputError(_invalid(message, values, name, WORD_LIMIT))


def _invalid(message: str, value: object, name: str, limit: int) -> Problem:
    allowed = f"a whole number from 0 to {limit - 1} (2**{limit.bit_length() - 1} - 1)"
    return Problem(message, path=(name,), found=shorten(value), allowed=allowed)
