"""Boxes in sequence: found in the search half, each tested in held-out worlds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.analysis.asking.naming import name_factors
from simdeploy.analysis.discovery.choosing import Share, choose, hypergeometric_tail, quasi_p, share
from simdeploy.analysis.discovery.columns import describe_boxes, describe_limits
from simdeploy.analysis.discovery.result import BOX, LIMIT, STEP
from simdeploy.result import make_frame
from simdeploy.statistics.boxes import Box, Column, peel

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.discovery.breaking import Breaking

# The most boxes in a result, and the least fraction of breaking worlds in a further box.
MOST_BOXES = 3
LEAST_COVERAGE = 0.1


class Found(NamedTuple):
    """Outcome of a search: tables as in `Discovery`, and the box of each world, 0 for none."""

    boxes: pd.DataFrame
    limits: pd.DataFrame
    path: pd.DataFrame
    members: np.ndarray


class _Half(NamedTuple):
    columns: list[Column]
    known: Breaking

    def take(self, rows: np.ndarray) -> _Half:
        return _Half([column.take(rows) for column in self.columns], self.known.take(rows))


def search(columns: Sequence[Column], known: Breaking, is_search: np.ndarray, *, confidence_level: float) -> Found:
    """Find boxes in sequence until one is not confirmed.

    The worlds of `is_search` are searched, the others test; unknown worlds are in neither.

    Notes
    -----
    Covering (Friedman and Fisher 1999): the second box is searched for, and tested, outside the first one. Boxes are
    tested in this order and the first that isn't significantly denser ends the search, so all tests together err at
    most as often as one (fixed sequence). The search also ends after three boxes, or if a further box has less than a
    tenth of all breaking worlds of the search half.
    """
    factors = [column.name for column in columns]
    names = dict(zip(factors, name_factors(factors), strict=True))
    rows = [np.flatnonzero(known.is_known & half) for half in (is_search, ~is_search)]
    whole = _Half(list(columns), known)
    searched, held_out = (whole.take(of_half) for of_half in rows)
    of_all = held_out.known
    least = LEAST_COVERAGE * searched.known.is_broken.sum()
    members = np.zeros(len(is_search), dtype=np.int64)
    boxes, limits, steps = [], [], []
    for number in range(1, MOST_BOXES + 1):
        path = peel(searched.columns, searched.known.is_broken)
        place, box = choose(path, searched.columns, searched.known.is_broken)
        texts = describe_boxes(path, searched.columns, names)
        for step, (candidate, text) in enumerate(zip(path, texts, strict=True)):
            shares = _step(candidate, searched, held_out)
            steps.append({"box": number, "step": step, **shares, "limits": text, "is_chosen": step == place})
        is_little = number > 1 and share(box, searched.columns, searched.known.is_broken).broken < least
        if not box.limits or is_little:
            break
        inside = [box.contain(half.columns) for half in (searched, held_out)]
        row = _judge(number, box, held_out, of_all, confidence_level, names)
        boxes.append(row)
        limits += [_limits(number, box, factor, held_out, names) for factor in box.restricted]
        if not row["is_found"]:
            break
        for of_half, in_half in zip(rows, inside, strict=True):
            members[of_half[in_half]] = number
        rows = [of_half[~in_half] for of_half, in_half in zip(rows, inside, strict=True)]
        searched, held_out = (whole.take(of_half) for of_half in rows)
    return Found(make_frame(boxes, BOX), make_frame(limits, LIMIT), make_frame(steps, STEP), members)


def _judge(
    number: int, box: Box, held_out: _Half, of_all: Breaking, confidence_level: float, names: dict[str, str]
) -> dict[str, Any]:
    """Return the properties of a box in held-out worlds, and its coverage of all of them."""
    counts = share(box, held_out.columns, held_out.known.is_broken)
    inside = box.contain(held_out.columns)
    known = held_out.known.take(inside)
    n_broken = int(of_all.is_broken.sum())
    density_low, density_high = known.bound_share(confidence_level)
    coverage_low, coverage_high = of_all.bound_coverage(known, confidence_level)
    n_outside = counts.of_n - counts.n
    p_value = hypergeometric_tail(counts.broken, counts.n, counts.of_broken, counts.of_n)
    n_unsure = int((known.is_broken & known.is_undecided).sum())
    largest_p = hypergeometric_tail(counts.broken - n_unsure, counts.n, counts.of_broken - n_unsure, counts.of_n)
    return {
        "box": number,
        "is_found": p_value <= 1 - confidence_level,
        "is_sure": largest_p <= 1 - confidence_level,
        "limits": describe_boxes([box], held_out.columns, names)[0],
        "density": counts.density,
        "density_low": density_low,
        "density_high": density_high,
        "coverage": counts.broken / n_broken if n_broken else math.nan,
        "coverage_low": coverage_low,
        "coverage_high": coverage_high,
        "mass": counts.mass,
        "n": counts.n,
        "n_broken": counts.broken,
        "n_undecided": int(known.is_undecided.sum()),
        "density_outside": (counts.of_broken - counts.broken) / n_outside if n_outside else math.nan,
        "p_value": p_value,
    }


def _limits(number: int, box: Box, factor: int, held_out: _Half, names: dict[str, str]) -> dict[str, Any]:
    limits, column = box.limits[factor], held_out.columns[factor]
    words = column.words or ()
    return {
        "box": number,
        "factor": column.name,
        "low": limits.low,
        "high": limits.high,
        "values": ", ".join(words[place] for place in sorted(limits.places or ())),
        "limits": describe_limits(limits, column, names),
        "quasi_p": quasi_p(box, factor, held_out.columns, held_out.known.is_broken),
    }


def _step(box: Box, searched: _Half, held_out: _Half) -> dict[str, Any]:
    here: Share = share(box, searched.columns, searched.known.is_broken)
    there: Share = share(box, held_out.columns, held_out.known.is_broken)
    return {
        "coverage": here.coverage,
        "density": here.density,
        "mass": here.mass,
        "held_out_coverage": there.coverage,
        "held_out_density": there.density,
        "n_restricted": len(box.limits),
    }
