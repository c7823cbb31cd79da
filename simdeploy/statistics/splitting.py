"""Multilevel splitting with fixed effort, for any process that can resume from the point at which it reached a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np


class Stage(NamedTuple):
    """Trajectories on their way to a level."""

    reached: np.ndarray  # whether each reached it
    values: np.ndarray  # final values of each trajectory (row), whether or not it reached the level
    entrances: Any  # what the process needs to resume trajectories at the level


class Process(Protocol):
    """A process that can be split.

    Each trajectory depends only on its number. One that resumes from an entrance must have the distribution of the process
    given everything up to there.
    """

    def start(self, numbers: np.ndarray, level: int | None) -> Stage:
        """Run trajectories from start to end; `level` is the one to watch for, None for none."""

    def resume(self, stage: Stage, parents: np.ndarray, numbers: np.ndarray, level: int | None) -> Stage:
        """Resume trajectories from the entrances of some that reached the previous level."""


@dataclass(frozen=True, eq=False)
class Split:
    """One run of the whole scheme.

    It has unbiased estimates of the mean of each functional; per level, the fraction of trajectories that reached the next
    one; and per stage the values of its trajectories.
    """

    estimates: np.ndarray
    fractions: np.ndarray
    values: tuple[np.ndarray, ...]


def split(process: Process, levels: Sequence[int], *, effort: int, first: int, seed: int) -> Split:
    r"""Run a process through ascending levels, with `effort` trajectories from each, numbered from `first`.

    `seed` and `first` determine the entrance from which each trajectory resumes.

    Notes
    -----
    The `effort` trajectories of a stage resume from the `R` entrances of the previous one, spread as evenly as
    possible, the rest at random. A trajectory that reaches the next level is represented by those that resume from it;
    one that doesn't counts with its value. So the estimate of :math:`E f` is
    :math:`\sum_k \prod_{i<k} (R_i / N) \cdot \frac1N \sum f`, the inner sum over the trajectories of stage k that
    didn't reach level k + 1. It is unbiased for every functional, also if an event happens without any level being
    reached (Garvels 2000 [1]_, section 2.2; his estimate is the last stage alone). Estimates within a run are
    dependent: intervals need independent runs.

    References
    ----------
    .. [1] Garvels, M. J. J. (2000). The splitting method in rare event simulation. Thesis, University of Twente.
    """
    chance = np.random.Generator(np.random.Philox(key=[seed & ((1 << 64) - 1), first]))
    numbers = np.arange(effort, dtype=np.int64) + first
    following = [*levels, None]
    stage = process.start(numbers, following[0])
    share = 1.0
    total = np.zeros(stage.values.shape[1])
    fractions, values = [], []
    for place, level in enumerate(following):
        if place:
            stage = process.resume(stage, _parents(stage.reached, effort, chance), numbers + place * effort, level)
        stays = np.ones(effort, dtype=bool) if level is None else ~stage.reached
        total += share * stage.values[stays].sum(axis=0) / effort
        values.append(stage.values)
        if level is not None:
            fractions.append(float(stage.reached.mean()))
            share *= fractions[-1]
            if not share:
                break
    fractions += [0.0] * (len(levels) - len(fractions))
    return Split(total, np.array(fractions), tuple(values))


def _parents(reached: np.ndarray, effort: int, chance: np.random.Generator) -> np.ndarray:
    """Choose the entrance of each next trajectory: each equally often, and the remainder at random."""
    entrances = np.flatnonzero(reached)
    rest = chance.permutation(entrances)[: effort % len(entrances)]
    return np.concatenate([np.repeat(entrances, effort // len(entrances)), rest])
