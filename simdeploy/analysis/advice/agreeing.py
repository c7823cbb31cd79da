"""Whether worlds look like what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.node_table import HALF_SECOND_NS
from simdeploy.engines.continuing import NOT_THERE
from simdeploy.vocabulary import STATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.analysis.advice.seen import Look


def agree(looks: np.ndarray, seen: Sequence[Look]) -> np.ndarray:
    """Return which worlds look like what was seen: equal counts, and instants within half a second.

    Parameters
    ----------
    looks : ndarray of LOOK, shape (worlds, looks)
    """
    agrees = np.ones(len(looks), dtype=bool)
    for place, look in enumerate(seen):
        for name, value in look.fields.items():
            column = looks[name][:, place]
            if name.endswith("_ns"):
                agrees &= (column != NOT_THERE) & (np.abs(column - value) <= HALF_SECOND_NS)
            else:
                agrees &= column == (STATES.index(value) if name == "state" else value)
    return agrees
