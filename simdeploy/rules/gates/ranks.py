"""Whether one series of error rates lies above another one, by ranks: the judge of Kayenta.

References
----------
M. Hollander, D. A. Wolfe, "Nonparametric Statistical Methods", 2nd edition, Wiley, 1999: the estimate of the shift (section 4.2,
Hodges and Lehmann) and its interval by the order of all differences (section 4.3, Moses). Its end is placed by the normal
approximation: E. L. Lehmann, "Nonparametric confidence intervals for a shift parameter", Annals of Mathematical Statistics 34
(1963) 1507-1512.

Kayenta's judge (`MannWhitneyClassifier` in spinnaker/kayenta) calls a metric high if the lower end of that interval is above a
part, the tolerance, of the size of the estimated shift; it is called with a confidence of 0.98 and a tolerance of 0.25. It finds
the end where the test's own statistic, with a correction for ties and for continuity, meets the quantile, which is about the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal


def judge_ranks(
    new: Sequence[float], old: Sequence[float], *, tolerance: float, z: float
) -> Literal["higher", "alike"] | None:
    """Tell whether the new series lies above the old one by more than a tolerance; None where there is too little to tell.

    Parameters
    ----------
    new, old : sequence of float
        Error rates, one a look.
    tolerance : float
        The part of the estimated shift below which the lower end of its interval is let pass.
    z : float
        Normal quantile of the two-sided interval. Only its lower end counts, so a release in order is called higher about half as
        often as the interval errs, or less.

    Examples
    --------
    >>> judge_ranks([0.2, 0.3, 0.25, 0.28, 0.22], [0.01, 0.02, 0.0, 0.01, 0.03], tolerance=0.25, z=1.96)
    'higher'
    >>> judge_ranks([0.2], [0.1], tolerance=0.25, z=1.96) is None
    True
    """
    m, n = len(new), len(old)
    place = math.floor(m * n / 2 - z * math.sqrt(m * n * (m + n + 1) / 12))
    if place < 1:
        return None
    differences = sorted(x - y for x in new for y in old)
    middle = len(differences) // 2
    estimate = differences[middle] if len(differences) % 2 else (differences[middle - 1] + differences[middle]) / 2
    return "higher" if differences[place - 1] > tolerance * abs(estimate) else "alike"
