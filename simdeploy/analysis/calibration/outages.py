"""Crashes of nodes and outages of zones, from logs that say how long somebody watched."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.calibration.parameters import Parameter, ratio_interval

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.records import Records


def fit_outages(records: Records, confidence_level: float) -> list[Parameter]:
    """Fit exponential times up and down to the outages of nodes and of zones; intervals rest on what differs between these.

    Notes
    -----
    The mean time up is the time watched without an outage, divided by the number of outages that began then; the mean time down is the time
    in outages, divided by the number that ended: the maximum of the likelihood, censored or not.
    """
    outages = records.outages
    found = []
    for path, unit in (("fleet.crash", "node"), ("fleet.zone_outage", "zone")):
        chosen = outages[outages[unit].notna() & (outages["node"].isna() if unit == "zone" else True)]
        if len(chosen):
            found += _fit(path, _add_up(chosen, unit), confidence_level, unit)
    return found


def _add_up(outages: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Return for each unit the seconds up and down, the outages that began, and those that ended, while it was watched."""
    import pandas as pd

    seconds = {name: _to_seconds(outages[name]) for name in ("from", "to", "watched_from", "watched_until")}
    first, last = seconds["watched_from"], seconds["watched_until"]
    start = np.fmax(seconds["from"], first)
    end = np.fmin(seconds["to"], last)
    down = np.where(np.isnan(seconds["from"]), 0.0, np.maximum(end - start, 0.0))
    rows = pd.DataFrame(
        {
            "unit": outages[unit].to_numpy(dtype=object),
            "first": first,
            "last": last,
            "down": down,
            "began": (seconds["from"] >= first) & (seconds["from"] < last),
            "ended": (seconds["to"] > first) & (seconds["to"] <= last) & ~np.isnan(seconds["from"]),
        }
    )
    # A span is repeated beside each outage in it.
    spans = rows.groupby(["unit", "first", "last"])[["down", "began", "ended"]].sum().reset_index()
    spans["up"] = spans["last"] - spans["first"] - spans["down"]
    return spans.groupby("unit")[["up", "down", "began", "ended"]].sum()


def _to_seconds(times: pd.Series[pd.Timestamp]) -> np.ndarray:
    import pandas as pd

    since: np.ndarray = (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(dtype=float)
    return since


def _fit(path: str, sums: pd.DataFrame, confidence_level: float, unit: str) -> list[Parameter]:
    rest = (0, len(sums))
    found = []
    for name, count in (("up", "began"), ("repair", "ended")):
        of = sums["up" if name == "up" else "down"].to_numpy()
        n = int(sums[count].sum())
        end = f"{path}.{name}.exponential.mean"
        note = f"{n:,} outages of {len(sums):,} {unit}s"
        if not n:
            unknown = (math.nan, float(of.sum()) / 3.7 if name == "up" else 0.0, math.inf)
            found.append(Parameter(end, *unknown, *rest, source="not_identified", note=note))
            continue
        # Of the rate, so that units without an outage count.
        rate, low, high = ratio_interval(sums[count].to_numpy(dtype=float), of, confidence_level)
        limits = (1 / high, 1 / low if low != 0 else math.inf)
        found.append(Parameter(end, 1 / rate, *limits, *rest, note=note))
    return found
