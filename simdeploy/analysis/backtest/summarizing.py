"""Rates over rollouts with exact limits, from the bounds of each rollout."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, get_args

from simdeploy.analysis.backtest.result import Measure
from simdeploy.statistics.intervals import proportion_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simdeploy.analysis.backtest.bounding import Bounds

MEASURES: tuple[Measure, ...] = get_args(Measure)


def summarize(
    policy: str,
    bounded: Mapping[str, Mapping[str, Bounds]],  # bounds of responses, by rollout
    # Modelled responses by rollout, if not known; empty if not requested.
    estimates: Mapping[str, Mapping[str, float]],
    # Whether the release was defective, by rollout; None if unknown.
    defective: Mapping[str, bool | None],
    confidence_level: float,
) -> list[dict[str, Any]]:
    """Return the rates of a policy.

    Rollouts with an unknown outcome are not a random sample. They count as "no" in the lower limit and as "yes" in the upper one.
    """
    of_kind = {
        "stopped": (list(bounded), "stopped"),
        "false_alarm given good": ([name for name in bounded if defective[name] is False], "stopped"),
        "escaped given defective": ([name for name in bounded if defective[name] is True], "completed"),
    }
    return [
        {
            "policy": policy,
            "measure": measure,
            **_rate([bounded[name][response] for name in names], confidence_level),
            "modelled": _model([(bounded[name][response], estimates.get(name, {}).get(response)) for name in names]),
        }
        for measure in MEASURES
        for names, response in [of_kind[measure]]
    ]


def _rate(bounds: Sequence[Bounds], confidence_level: float) -> dict[str, Any]:
    n = len(bounds)
    surely, possibly = int(sum(each.low for each in bounds)), int(sum(each.high for each in bounds))
    n_unknown = sum(each.low != each.high for each in bounds)
    low, high = math.nan, math.nan
    if n:
        low, high = (
            proportion_interval(surely, n, confidence_level)[0],
            proportion_interval(possibly, n, confidence_level)[1],
        )
    return {
        "estimate": surely / n if n and not n_unknown else math.nan,
        "low": low,
        "high": high,
        "n_yes": surely,
        "n_known": n - n_unknown,
        "n_unknown": n_unknown,
    }


def _model(values: Sequence[tuple[Bounds, float | None]]) -> float:
    """Return the mean over rollouts of known and modelled values; NaN if some are neither, or if all are known."""
    known = [bounds.low if bounds.low == bounds.high else modelled for bounds, modelled in values]
    is_needed = any(bounds.low != bounds.high for bounds, _ in values)
    if not is_needed or any(value is None for value in known):
        return math.nan
    return sum(value for value in known if value is not None) / len(known)
