"""Crashes of nodes and outages of zones, from logs that state the time span that was watched."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.calibration.parameters import FEWEST_FOR_SPREAD, Parameter, ratio_interval
from simdeploy.analysis.calibration.updates import fit_durations
from simdeploy.errors import plural
from simdeploy.statistics.censored import Durations

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.records import Records

# A family is chosen if at least this many times ended, in enough units for an interval.
_FEWEST_TIMES = 30


@dataclass(frozen=True)
class FittedOutages:
    """The fit to logs of outages."""

    parameters: list[Parameter] = field(default_factory=list)
    # fits, points: rows of `Calibration.fits` and `points`, for times whose family was chosen
    fits: list[dict[str, Any]] = field(default_factory=list)
    points: list[dict[str, Any]] = field(default_factory=list)
    laws: dict[str, Any] = field(default_factory=dict)  # of these times, by path


def fit_outages(records: Records, confidence_level: float, *, samples: int, seed: int) -> FittedOutages:
    """Fit times up and down to the outages of nodes and of zones; intervals rest on the variation between units.

    Notes
    -----
    With enough outages the family is chosen as for other durations. Times up count from the end of an outage, because the rest of a time
    that had begun before the watch has another law, unless times are exponential. With fewer outages times are assumed to be
    exponential. Then the mean time up is the time watched without an outage, divided by the number of outages that began; the mean time
    down is the time in outages, divided by the number that ended: the maximum of the likelihood, censored or not.
    """
    outages = records.outages
    fitted_outages = FittedOutages()
    for path, unit in (("fleet.crash", "node"), ("fleet.zone_outage", "zone")):
        chosen = outages[outages[unit].notna() & (outages["node"].isna() if unit == "zone" else True)]
        if not len(chosen):
            continue
        rows = _read_rows(chosen, unit)
        n_without = int(chosen[["watched_from", "watched_until"]].isna().any(axis=1).sum())
        unused = f"not used, because the span watched is missing: {plural(n_without, 'row')}" if n_without else ""
        sums = _add_up(rows)
        for part, times in (("up", _list_up(rows)), ("repair", _list_repairs(rows))):
            ended = times[times["ended"]]
            if len(ended) < _FEWEST_TIMES or ended["unit"].nunique() < FEWEST_FOR_SPREAD:
                fitted_outages.parameters.append(_fit_exponential(path, part, sums, confidence_level, unit, unused))
                continue
            fitted = fit_durations(
                f"{path}.{part}",
                Durations(
                    times["unit"].to_numpy(),
                    times["time_s"].to_numpy(),
                    np.ones(len(times), dtype=int),
                    times["ended"].to_numpy(),
                ),
                limit_s=times["limit_s"].to_numpy(),
                may_hang=False,
                confidence_level=confidence_level,
                samples=samples,
                seed=seed,
                may_vary=False,
            )
            note = "; ".join(filter(None, [f"{len(ended):,} times of {len(sums):,} {unit}s", unused]))
            law = [
                replace(each, n_rollouts=0, n_nodes=len(sums), note="; ".join(filter(None, [each.note, note])))
                for each in fitted.parameters
                if each.path.startswith(f"{path}.{part}")
            ]
            fitted_outages.parameters.extend(law)
            fitted_outages.fits.extend(fitted.fits)
            fitted_outages.points.extend(fitted.points)
            fitted_outages.laws[f"{path}.{part}"] = fitted.law
    return fitted_outages


def _read_rows(outages: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Return times in seconds: the span watched (`first`, `last`), and the outage (`start`, `end`), NaN if there is none.

    Overlapping spans of a unit are merged, and so are outages, which may be in several logs. Rows without a span are dropped.
    """
    import pandas as pd

    seconds = {name: _to_seconds(outages[name]) for name in ("from", "to", "watched_from", "watched_until")}
    rows = pd.DataFrame(
        {
            "unit": np.unique(outages[unit].to_numpy(dtype=object), return_inverse=True)[1],
            "first": seconds["watched_from"],
            "last": seconds["watched_until"],
            "start": seconds["from"],
            "end": seconds["to"],
        }
    ).dropna(subset=["first", "last"])
    rows = rows.assign(until=rows["end"].fillna(rows["last"]))
    by_span = rows.groupby(_number_overlapping(rows, "first", "last"))
    rows = rows.assign(first=by_span["first"].transform("min"), last=by_span["last"].transform("max"))
    down = rows[rows["start"].notna()]
    merged = down.groupby(_number_overlapping(down, "start", "until")).agg(
        {"unit": "first", "first": "first", "last": "first", "start": "min", "end": "max", "until": "max"}
    )
    # The end of merged outages is unknown if one without an end lasts longer than the others.
    merged["end"] = merged["end"].where(merged["end"] >= merged["until"])
    free = rows[rows["start"].isna()].drop_duplicates(["unit", "first", "last"])
    return pd.concat([merged, free] if len(merged) else [free]).sort_values(
        ["unit", "first", "start"], kind="stable", ignore_index=True
    )


def _number_overlapping(rows: pd.DataFrame, start: str, end: str) -> pd.Series[int]:
    """Number intervals of units so that overlapping ones have the same number."""
    ordered = rows.sort_values(["unit", start], kind="stable")
    reach = ordered.groupby("unit")[end].cummax().groupby(ordered["unit"]).shift()
    return (~(ordered[start] < reach)).astype("int64").cumsum().reindex(rows.index)


def _list_repairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the lengths of outages that began within the span watched."""
    rows = rows[(rows["start"] >= rows["first"]) & (rows["start"] < rows["last"])]
    return _cut_off(rows["unit"], rows["start"], rows["end"], rows["last"])


def _list_up(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how long units were up after the end of an outage."""
    rows = rows[rows["start"].notna()]
    rows = rows.assign(following=rows.groupby(["unit", "first"], sort=False)["start"].shift(-1))
    rows = rows[(rows["end"] >= rows["first"]) & (rows["end"] < rows["last"])]
    return _cut_off(rows["unit"], rows["end"], rows["following"], rows["last"])


def _cut_off(
    unit: pd.Series[int], start: pd.Series[float], end: pd.Series[float], last: pd.Series[float]
) -> pd.DataFrame:
    import pandas as pd

    ended = end.le(last)
    times = pd.DataFrame(
        {"unit": unit, "time_s": end.where(ended, last) - start, "ended": ended, "limit_s": last - start}
    )
    return times[times["time_s"] > 0] if not times.empty else times


def _add_up(rows: pd.DataFrame) -> pd.DataFrame:
    """Return for each unit, within the span watched, the seconds up and down, and the numbers of outages that began and that ended."""
    first, last = rows["first"], rows["last"]
    down = np.minimum(rows["end"].fillna(np.inf), last) - np.maximum(rows["start"], first)
    rows = rows.assign(
        down=np.where(rows["start"].isna(), 0.0, np.maximum(down, 0.0)),
        began=(rows["start"] >= first) & (rows["start"] < last),
        ended=(rows["end"] > first) & (rows["end"] <= last) & rows["start"].notna(),
    )
    # Each outage repeats the span it is in.
    spans = rows.groupby(["unit", "first", "last"])[["down", "began", "ended"]].sum().reset_index()
    spans["up"] = spans["last"] - spans["first"] - spans["down"]
    return spans.groupby("unit")[["up", "down", "began", "ended"]].sum()


def _to_seconds(times: pd.Series[pd.Timestamp]) -> np.ndarray:
    import pandas as pd

    since: np.ndarray = (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(dtype=float)
    return since


def _fit_exponential(
    path: str, part: str, sums: pd.DataFrame, confidence_level: float, unit: str, unused: str
) -> Parameter:
    from scipy.special import gammaincinv

    count = "began" if part == "up" else "ended"
    of, n = sums["up" if part == "up" else "down"].to_numpy(), int(sums[count].sum())
    end, rest = f"{path}.{part}.exponential.mean", (0, len(sums))
    note = "; ".join(filter(None, [f"{n:,} outages of {len(sums):,} {unit}s", unused]))
    total, tail = float(of.sum()), (1 - confidence_level) / 2
    if not n or not total:
        unknown = (math.nan, total / -math.log(tail) if part == "up" else 0.0, math.inf)
        return Parameter(end, *unknown, *rest, source="not_identified", note=note)
    # Limits of the rate, so that units without an outage count; at least as wide as if all units were alike (Poisson).
    rate, low, high = ratio_interval(sums[count].to_numpy(dtype=float), of, confidence_level)
    low, high = np.minimum(low, gammaincinv(n, tail) / total), np.maximum(high, gammaincinv(n + 1, 1 - tail) / total)
    return Parameter(end, 1 / rate, float(1 / high), float(1 / low) if low != 0 else math.inf, *rest, note=note)
