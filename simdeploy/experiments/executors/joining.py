"""Spans in parts: how one is halved, and how the blocks of its parts become its block again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.block import WORDS, Block

if TYPE_CHECKING:
    from simdeploy.experiments.jobs import Span


def halve(span: Span) -> tuple[Span, Span]:
    """Cut a span of more than one cell in two: by replications, or by policies where there is one replication.

    Examples
    --------
    >>> from simdeploy.experiments.jobs import Span
    >>> [(half.first, half.n_replications) for half in halve(Span(0, 0, 4, first=10, n_replications=5))]
    [(10, 2), (12, 3)]
    """
    if span.n_replications > 1:
        half = span.n_replications // 2
        later = span._replace(first=span.first + half, n_replications=span.n_replications - half)
        return span._replace(n_replications=half), later
    half = span.n_policies // 2
    return span._replace(n_policies=half), span._replace(policy=span.policy + half, n_policies=span.n_policies - half)


def join_blocks(span: Span, parts: Sequence[tuple[Span, Block]]) -> Block:
    """Make the block of a span of those of its parts, which hold each of its cells once."""
    index = np.empty((span.n_policies, span.n_replications), dtype=np.int32)
    n_rows = 0
    for part, block in parts:
        policy, first = part.policy - span.policy, part.first - span.first
        index[policy : policy + part.n_policies, first : first + part.n_replications] = block.index + n_rows
        n_rows += block.n_rows
    blocks = [block for _, block in parts]
    words = {name: tuple(dict.fromkeys(word for block in blocks for word in block.words[name])) for name in WORDS}
    return Block(
        first=span.first,
        index=index,
        codes={name: _join_codes(blocks, name, words[name]) for name in WORDS},
        words=words,
        numbers={name: np.concatenate([block.numbers[name] for block in blocks]) for name in blocks[0].numbers},
    )


def _join_codes(blocks: Iterable[Block], name: str, words: Sequence[str]) -> np.ndarray:
    places = {word: place for place, word in enumerate(words)}
    # The last entry is what -1, missing, stands for.
    known = [np.array([*(places[word] for word in block.words[name]), -1], dtype=np.int32) for block in blocks]
    return np.concatenate([of_block[block.codes[name]] for of_block, block in zip(known, blocks, strict=True)])
