"""Fits to health windows: the fraction of failed requests, how much it varies between nodes, and the number of requests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit, stdtrit

from simdeploy.analysis.calibration.parameters import Parameter, ratio_interval
from simdeploy.statistics.intervals import proportion_interval

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.records import Records

# Times that weights are found anew; with more, they change by less than 1 %.
_ROUNDS = 3


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
    rate = rates["rate"].to_numpy(dtype=float)
    mean, error = _average(rate, np.ones(len(rate)), of)
    # As many requests as would explain all differences between nodes by chance, or one per node if there are none.
    n_requests = len(rate) * (mean * (1 - mean) / float(rate.var()) if np.ptp(rate) else 1.0)
    low, high = _limit_mean(mean, error, n_requests, len(names), confidence_level)
    uncounted = "rates of windows, whose requests were not counted"
    fitted = Parameter(path, mean, low, high, *rest, note="; ".join(filter(None, [uncounted, note])))
    within = rates.groupby("rollout")["rate"]
    freedom = len(rates) - len(names)
    spread = math.sqrt(float((within.var(ddof=0) * within.size()).sum()) / freedom) if freedom else math.nan
    why = "differences between nodes, or chance in requests that were not counted; the value assumes chance"
    return [fitted, Parameter(f"{path}.beta.sd", 0.0, 0.0, spread, *rest, source="not_identified", note=why)]


def fit_error_rate(path: str, counts: pd.DataFrame, *, confidence_level: float, note: str) -> list[Parameter]:
    """Fit the mean error rate of nodes, and its spread between them; intervals rest on the variation between rollouts.

    Notes
    -----
    Mean and variance are moments, which are right for every law of the rates. A node with n requests has the weight n / (1 + (n - 1) r),
    where r is the correlation between the requests of a node. So all requests count equally if nodes are alike, and all nodes do if they
    differ much, although bad ones have more windows.
    """
    names, of = np.unique(counts["rollout"].to_numpy(dtype=object), return_inverse=True)
    n, rest = len(names), (len(names), len(counts))
    requests = counts["requests"].to_numpy(dtype=float)
    rate = counts["failed_requests"].to_numpy(dtype=float) / requests
    if rate.max() == 0 or rate.min() == 1:
        # The worst case is that all requests of a node have the same outcome.
        low, high = _limit_mean(float(rate[0]), 0.0, len(rate), n, confidence_level)
        return [Parameter(path, float(rate[0]), low, high, *rest, note=note)]
    # A single request of a node says nothing about differences.
    is_several = requests > 1
    chance = rate * (1 - rate) / np.where(is_several, requests - 1, 1.0)
    correlation = variance = variance_error = 0.0
    for _ in range(_ROUNDS):
        weight = requests / (1 + (requests - 1) * correlation)
        mean, error = _average(rate, weight, of)
        if is_several.any():
            variance, variance_error = _average((rate - mean) ** 2 - chance, weight * is_several, of)
        variance = min(max(variance, 0.0), mean * (1 - mean))
        correlation = variance / (mean * (1 - mean))
    n_requests = float(weight.sum() ** 2 / (weight**2 / requests).sum())
    low, high = _limit_mean(mean, error, n_requests, n, confidence_level)
    fitted = Parameter(f"{path}.beta.mean" if variance else path, mean, low, high, *rest, note=note)
    # Rates differ most if all are 0 or 1, and if their mean is the one within its limits that is closest to 0.5.
    middle = float(np.clip(0.5, low, high))
    most = math.sqrt(middle * (1 - middle))
    if not is_several.any():
        unknown = "single requests of nodes don't show how much it varies; the value assumes that it does not"
        return [fitted, Parameter(f"{path}.beta.sd", 0.0, 0.0, most, *rest, source="not_identified", note=unknown)]
    weight = weight * is_several
    by_chance = float((weight * chance).sum() / weight.sum())
    # The variance is at best known as that of normal rates: as many as there are nodes, or as would explain the error of the mean.
    one_in = max(float((weight**2).sum() / weight.sum() ** 2), error**2 / (variance + by_chance))
    variance_error = max(variance_error, math.sqrt(2 * one_in) * (variance + by_chance))
    low, high = _limit_variance(variance, variance_error, by_chance, n, confidence_level)
    varies = "how much it varies from node to node"
    sd, low, high = math.sqrt(variance), math.sqrt(low), min(math.sqrt(high), most)
    return [fitted, Parameter(f"{path}.beta.sd", sd, low, high, *rest, note=varies)]


def _average(values: np.ndarray, weight: np.ndarray, of: np.ndarray) -> tuple[float, float]:
    """Return the weighted mean over nodes, and its standard error from the variation between rollouts; NaN for one rollout."""
    total = float(weight.sum())
    mean = float((weight * values).sum()) / total
    sums = np.bincount(of, weight * (values - mean))
    n = len(sums)
    return mean, math.sqrt(n / (n - 1) * float((sums**2).sum())) / total if n > 1 else math.nan


def _limit_mean(mean: float, error: float, n_requests: float, n: int, confidence_level: float) -> tuple[float, float]:
    """Return Student's limits of the logit for n rollouts; at least as wide as those of a fraction of so many requests."""
    if n < 2:
        return math.nan, math.nan
    low, high = proportion_interval(mean * n_requests, n_requests, confidence_level)
    if 0 < mean < 1:
        half = _find_quantile(n, confidence_level) * error / (mean * (1 - mean))
        low, high = min(low, float(expit(logit(mean) - half))), max(high, float(expit(logit(mean) + half)))
    return float(low), float(high)


def _limit_variance(
    variance: float, error: float, by_chance: float, n: int, confidence_level: float
) -> tuple[float, float]:
    """Return Student's limits of the logarithm of a variance with the part that is by chance, minus that part; never negative."""
    total = variance + by_chance
    half = _find_quantile(n, confidence_level) * error / total
    low, high = total * np.exp(np.array([-half, min(half, 100.0)])) - by_chance
    return max(float(low), 0.0), max(float(high), 0.0)


def _find_quantile(n: int, confidence_level: float) -> float:
    """Return Student's quantile for the limits of an interval from n rollouts."""
    return float(stdtrit(n - 1, (1 + confidence_level) / 2))


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
