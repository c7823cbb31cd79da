"""Ranking and selection: the best of many candidates, with a stated probability, from few simulations.

Generic, for minimisation: a candidate is a whole number, and a `Sampler` makes its observations.

Other packages use the names below.
"""

from simdeploy.statistics.selection.kim_nelson import select_kim_nelson
from simdeploy.statistics.selection.ocba import select_ocba
from simdeploy.statistics.selection.screening import screen
from simdeploy.statistics.selection.selected import Sampler, Selection

__all__ = ["Sampler", "Selection", "screen", "select_kim_nelson", "select_ocba"]
