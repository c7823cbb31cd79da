"""Fits to health windows: the fraction of failed requests, how much it varies between nodes, and the number of requests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, stdtrit

from simdeploy.analysis.calibration.parameters import Parameter, find_drop, ratio_interval
from simdeploy.statistics.beta_binomial import LEAST_LOG_SD, BetaBinomial
from simdeploy.statistics.maximizing import find_curvature, profile

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.records import Records

_STEP = 1e-4


@dataclass(frozen=True)
class Failures:
    """Failed requests on record: their numbers by node, otherwise their rates."""

    frame: pd.DataFrame  # as `count_requests` or `average_rates` returns it

    @classmethod
    def of(cls, records: Records) -> Failures:
        """Return the failures in health windows; rates without numbers are used only if there are no numbers."""
        counts = count_requests(records)
        return cls(average_rates(records) if counts.empty else counts)

    def chosen(self, rows: pd.Series[bool]) -> Failures:
        """Return the failures in some rows."""
        return Failures(self.frame[rows])

    def fit(self, path: str, *, confidence_level: float, note: str) -> list[Parameter]:
        """Fit the error rate of nodes."""
        fit = fit_mean_rate if "rate" in self.frame else fit_error_rate
        return fit(path, self.frame, confidence_level=confidence_level, note=note)


def count_requests(records: Records) -> pd.DataFrame:
    """Return one row per rollout, node and version that had requests: `requests` and `failed_requests`."""
    windows = records.windows
    is_known = windows["requests"].gt(0) & windows["failed_requests"].notna()
    # A node that is down serves nothing, so its window shows nothing of its error rate.
    windows = windows[is_known.fillna(False) & windows["up"].fillna(True)]
    columns = windows[["rollout", "node"]].assign(
        is_new=windows["on_new_version"].fillna(True).astype(bool),
        requests=windows["requests"].astype("float64"),
        failed_requests=windows["failed_requests"].astype("float64"),
    )
    return columns.groupby(["rollout", "node", "is_new"], sort=False, as_index=False).sum()


def average_rates(records: Records) -> pd.DataFrame:
    """Return the mean error rate (`rate`) by rollout, node and version, of windows that have a rate but no numbers of requests.

    Windows of a rollout as a whole count as those of one node.
    """
    windows = records.windows
    windows = windows[windows["requests"].isna() & windows["error_rate"].notna() & windows["up"].fillna(True)]
    columns = windows[["rollout"]].assign(
        node=windows["node"].fillna(""),
        is_new=windows["on_new_version"].fillna(True).astype(bool),
        rate=windows["error_rate"],
    )
    return columns.groupby(["rollout", "node", "is_new"], sort=False, as_index=False).mean()


def fit_mean_rate(path: str, rates: pd.DataFrame, *, confidence_level: float, note: str) -> list[Parameter]:
    """Fit the mean error rate of nodes whose requests were not counted; intervals rest on the variation between rollouts.

    With unknown numbers of requests, real differences between nodes can't be distinguished from chance. So the limits of their spread are 0
    and all the spread that was seen.
    """
    names, of = np.unique(rates["rollout"].to_numpy(dtype=object), return_inverse=True)
    rest = (len(names), len(rates))
    estimate, low, high = ratio_interval(
        np.bincount(of, rates["rate"].to_numpy(dtype=float)), np.bincount(of), confidence_level
    )
    uncounted = "rates of windows, whose requests were not counted"
    mean = Parameter(path, estimate, low, min(high, 1.0), *rest, note="; ".join(filter(None, [uncounted, note])))
    within = rates.groupby("rollout")["rate"]
    freedom = len(rates) - len(names)
    spread = math.sqrt(float((within.var(ddof=0) * within.size()).sum()) / freedom) if freedom else math.nan
    why = "differences between nodes, or chance in requests that were not counted; the value assumes chance"
    return [mean, Parameter(f"{path}.beta.sd", 0.0, 0.0, spread, *rest, source="not_identified", note=why)]


def fit_error_rate(path: str, counts: pd.DataFrame, *, confidence_level: float, note: str) -> list[Parameter]:
    """Fit the error rate of nodes, and its spread between them; intervals rest on the variation between rollouts.

    Notes
    -----
    The estimate maximizes the beta-binomial likelihood of nodes. Its interval uses Student's t and the sandwich variance over rollouts,
    so it also holds if the nodes of a rollout are correlated.
    """
    names, of = np.unique(counts["rollout"].to_numpy(dtype=object), return_inverse=True)
    n, rest = len(names), (len(names), len(counts))
    model = BetaBinomial(counts["failed_requests"].to_numpy(), counts["requests"].to_numpy())
    best = model.fit()
    mean, sd = model.read(best.x)
    drop = find_drop(n, confidence_level)
    has_failures = bool(counts["failed_requests"].sum())
    if not has_failures:
        high = float(expit(profile(model, best, 0, drop=drop)[1])) if n > 1 else math.nan
        return [Parameter(path, 0.0, 0.0, high, *rest, note=note)]
    free = (0, 1) if sd else (0,)
    errors = _find_errors(model, best.x, free, of, n)
    half = float(stdtrit(n - 1, (1 + confidence_level) / 2)) * errors if n > 1 else np.full(len(free), math.nan)
    low, high = expit(best.x[0] - half[0]), expit(best.x[0] + half[0])
    means = [Parameter(f"{path}.beta.mean" if sd else path, mean, float(low), float(high), *rest, note=note)]
    if sd:
        limits = (float(np.exp(best.x[1] - half[1])), float(np.exp(best.x[1] + half[1])))
    else:
        limits = (0.0, float(np.exp(profile(model, best, 1, drop=drop, lowest=LEAST_LOG_SD)[1])) if n > 1 else math.nan)
    return [*means, Parameter(f"{path}.beta.sd", sd, *limits, *rest, note="how much it varies from node to node")]


def _find_errors(model: BetaBinomial, x: np.ndarray, free: tuple[int, ...], of: np.ndarray, n: int) -> np.ndarray:
    """Return the standard errors of estimates whose scores are independent between rollouts."""
    steps = np.eye(2)[list(free)] * _STEP
    points = np.concatenate([x + steps, x - steps])
    plus, minus = np.split(model.by_group(points), 2)
    scores = np.array([np.bincount(of, row, minlength=n) for row in (plus - minus) / (2 * _STEP)])
    inverse = np.linalg.pinv(find_curvature(model, x, free))
    variance = inverse @ (scores @ scores.T) @ inverse * n / max(n - 1, 1)
    return np.sqrt(np.maximum(np.diag(variance), 0.0))


def fit_requests(path: str, records: Records, *, confidence_level: float) -> list[Parameter]:
    """Return the requests per second of a node, from windows whose length is known."""
    import pandas as pd

    windows = records.windows[records.windows["requests"].notna()]
    interval = pd.Series(records.rollouts["interval_s"].to_numpy(), index=records.rollouts["rollout"])
    interval_s = windows["rollout"].map(interval[~interval.index.duplicated()]).to_numpy(dtype=float)
    is_known = interval_s > 0
    if not is_known.any():
        return []
    windows, interval_s = windows[is_known], interval_s[is_known]
    requests = windows["requests"].to_numpy(dtype=float)
    names, of = np.unique(windows["rollout"].to_numpy(dtype=object), return_inverse=True)
    rest = (len(names), len(windows[["rollout", "node"]].drop_duplicates()))
    if (requests / interval_s == requests[0] / interval_s[0]).all():
        rate = requests[0] / interval_s[0]
        half = 0.5 / float(interval_s.max())
        note = "every window had the same number of requests, up to rounding"
        return [Parameter(path, rate, max(rate - half, 0.0), rate + half, *rest, note=note)]
    estimate, low, high = ratio_interval(np.bincount(of, requests), np.bincount(of, interval_s), confidence_level)
    return [Parameter(path, estimate, low, high, *rest, note="windows differ; variation by the hour was not fitted")]
