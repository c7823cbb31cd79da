"""How often releases are defective, and how many failures defective ones add."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.calibration.parameters import Parameter
from simdeploy.analysis.calibration.starts import count_by_rollout, fit_fraction
from simdeploy.errors import plural
from simdeploy.rules.deployment_types import TYPES
from simdeploy.statistics.intervals import proportion_interval

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.calibration.attempts import Attempts
    from simdeploy.analysis.calibration.requests import Failures

GOOD, BAD = "good", "bad"
# Assumptions about defective releases if none is on record.
ASSUMED = {"probability": 0.05, "error_rate": 0.2, "start_failure": 0.05}


@dataclass(frozen=True)
class Base:
    """A fraction of the fleet without a defective release: mean and limits."""

    mean: float
    low: float
    high: float
    is_known: bool = True


def name_kinds(rollouts: pd.DataFrame) -> np.ndarray:
    """Return the kind of each rollout's release; empty if it is not known whether it was defective."""
    is_defective = rollouts["defective"].fillna(False).to_numpy(dtype=bool)
    names = rollouts["release"].fillna("").astype(str).to_numpy(dtype=object)
    names = np.where(names == "", np.where(is_defective, BAD, GOOD), names)
    both = set(names[is_defective]) & set(names[~is_defective & rollouts["defective"].notna().to_numpy()])
    names = np.array(
        [f"{name}-{BAD}" if bad and name in both else name for name, bad in zip(names, is_defective, strict=True)]
    )
    return np.where(rollouts["defective"].notna().to_numpy(), names.astype(object), "")


def find_releases(rollouts: pd.DataFrame) -> np.ndarray:
    """Return which rollouts release something, unlike restarts and stops; those of unknown type count as updates."""
    return ~rollouts["type"].isin([name for name, traits in TYPES.items() if not traits.releases]).to_numpy()


def find_defective(rollouts: pd.DataFrame) -> list[str]:
    """Return the names of the defective kinds on record, or of the assumed one."""
    is_bad = rollouts["defective"].fillna(False).to_numpy(dtype=bool)
    return list(dict.fromkeys(name_kinds(rollouts)[is_bad])) or [BAD]


def fit_mix(rollouts: pd.DataFrame, kinds: np.ndarray, confidence_level: float) -> list[Parameter]:
    """Return the probability of each kind; limits allow for rollouts whose kind is unknown."""
    is_release = find_releases(rollouts)
    rollouts, kinds = rollouts[is_release], kinds[is_release]
    n, n_known = len(rollouts), int((kinds != "").sum())
    rest = (n_known, 0)
    if not n_known:
        note = (
            "no record says which releases were defective; a stop may be a false alarm, a completed rollout an escape"
        )
        assumed = ASSUMED["probability"]
        return [
            Parameter(f"release.{GOOD}.probability", 1 - assumed, 0.0, 1.0, *rest, source="assumed", note=note),
            Parameter(f"release.{BAD}.probability", assumed, 0.0, 1.0, *rest, source="assumed", note=note),
        ]
    is_bad = rollouts["defective"].fillna(False).to_numpy(dtype=bool)
    names = list(dict.fromkeys([*kinds[(kinds != "") & ~is_bad], *kinds[is_bad]]))
    if not is_bad.any():
        names.append(BAD)
    n_open = n - n_known
    # Incidents show that releases were defective, but no event shows that one was good.
    others = (GOOD if GOOD not in names else "others") if is_bad.sum() == n_known < n else None
    parameters = []
    for name in names if others is None else [others, *names]:
        k = 0 if name == others else int((kinds == name).sum())
        low = proportion_interval(k, n, confidence_level)[0]
        high = proportion_interval(k + n_open, n, confidence_level)[1]
        note = "" if n_known == n else f"limits allow for {plural(n_open, 'rollout')} with an unknown release"
        estimate = k / n_known
        if others is not None:
            note += f", which count as {GOOD}"
            estimate = (n_open if name == others else k) / n
        parameters.append(Parameter(f"release.{name}.probability", estimate, low, high, *rest, note=note))
    return parameters


def fit_effects(
    name: str,
    is_kind: np.ndarray,
    attempts: Attempts,
    failures: Failures,
    *,
    rollouts: pd.DataFrame,
    starts: Base,
    errors: Base,
    confidence_level: float,
) -> list[Parameter]:
    """Return the failed starts and failed requests that a defective kind adds, as far as its rollouts show them."""
    parameters = []
    frame = attempts.frame[is_kind[attempts.frame["rollout"].to_numpy()]]
    counted, total = count_by_rollout(frame, "failed", ["ended"])
    if len(total):
        path = f"release.{name}.start_failure"
        level = fit_fraction(path, counted, total, n_nodes=len(frame), confidence_level=confidence_level)[0]
        parameters.append(_beyond(replace(level, path=path), starts))
    seen = failures.chosen(failures.frame["is_new"] & failures.frame["rollout"].isin(rollouts["rollout"][is_kind]))
    if len(seen.frame):
        path = f"release.{name}.error_rate"
        level = seen.fit(path, confidence_level=confidence_level, note="")[0]
        parameters.append(_beyond(replace(level, path=path), errors))
    return parameters


def _beyond(level: Parameter, base: Base) -> Parameter:
    """Return the failures added to the fleet's own, with limits that allow for the uncertainty of both."""

    def beyond(total: float, of_fleet: float) -> float:
        return min(max(1 - (1 - total) / (1 - of_fleet), 0.0), 1.0) if of_fleet < 1 else 0.0

    low, high = np.nan_to_num(base.high, nan=base.mean), np.nan_to_num(base.low, nan=base.mean)
    note = "average addition over all nodes; whether all of them are affected was not fitted"
    if not base.is_known:
        note = f"{note}; failures without a defect are not on record, and assumed to be none"
    return replace(
        level,
        source="fitted" if base.is_known else "not_identified",
        estimate=beyond(level.estimate, base.mean),
        low=beyond(level.low, float(low)) if math.isfinite(level.low) else math.nan,
        high=beyond(level.high, float(high)) if math.isfinite(level.high) else math.nan,
        note=note,
    )
