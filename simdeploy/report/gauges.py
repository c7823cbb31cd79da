"""The numbers of a rollout at an instant, with the limits that they must keep."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.rules.health import judges_waves, read_max_error_rate
from simdeploy.rules.limits import NO_COUNT, NO_PERCENT, read_limits

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.engines import Rollout

_OF_DEPLOYMENT = ("time_s", "failed_nodes", "updated_nodes", "current_wave")
_OF_FLEET = ("time_s", "in_service", "requests_per_second", "demand_per_second", "error_rate", "error_rate_new", "load")
_SHARES = {"fleet": "failed of fleet", "resolved": "failed/resolved", "wave": "failed of wave"}


class Gauge(NamedTuple):
    """A number, in nodes or as a fraction, with its limit, if any.

    `what` describes the limit: a "limit" of this number, the "total" or the "capacity" that it is part of, or another number
    that is limited. If `stops_at` is set, reaching the limit counts as exceeding it.
    """

    name: str
    value: float
    limit: float | None = None
    is_fraction: bool = True
    what: str = "limit"
    stops_at: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the number crosses its limit."""
        if self.limit is None or self.what not in ("limit", "capacity"):
            return False
        return self.value > self.limit or (self.stops_at and self.value == self.limit > 0)

    @property
    def value_words(self) -> str:
        """The number in its unit."""
        return self._say(self.value)

    @property
    def limit_words(self) -> str:
        """What follows the number: its limit, or what it is part of; empty if there is neither."""
        match self.limit, self.what:
            case None, _:
                return ""
            case _, "capacity":
                return "of capacity"
            case limit, "total":
                return f"of {self._say(limit)}"
            case limit, "limit":
                return f"limit {self._say(limit)}"
            case limit, other:
                return f"limit {self._say(limit)} {other}"

    def _say(self, value: float) -> str:
        return "-" if math.isnan(value) else f"{100 * value:.3g} %" if self.is_fraction else f"{value:,.0f}"


class Gauges:
    """The gauges of a rollout at any instant."""

    def __init__(self, rollout: Rollout) -> None:
        policy, nodes = rollout.policy.policy, rollout.nodes
        of_update = rollout.revisions["deployment"].eq(rollout.policy.identity.id)
        self._deployment = _columns(rollout.revisions[of_update], _OF_DEPLOYMENT)
        self._fleet = _columns(rollout.timeline, _OF_FLEET)
        self._n_nodes = len(nodes)
        self._wave = nodes["wave"].fillna(-1).to_numpy(np.int64)
        self._failed_at_s = nodes["failed_at_s"].to_numpy(float)
        self._limits = read_limits(policy, rollout.orchestrator, len(nodes))
        is_judged = policy.strategy != "immediate" and not judges_waves(policy)
        most_errors = float(read_max_error_rate(policy, rollout.orchestrator)) if is_judged else 1.0
        self._most_errors = most_errors if most_errors < 1 else None

    def at(self, time_s: float) -> list[Gauge]:
        """Return the gauges once everything at an instant has happened."""
        deployment, fleet = _last(self._deployment, time_s), _last(self._fleet, time_s)
        n_failed, n_updated = int(deployment["failed_nodes"]), int(deployment["updated_nodes"])
        gauges = [
            Gauge("updated", n_updated, self._n_nodes, is_fraction=False, what="total"),
            Gauge("in service", int(fleet["in_service"]), self._n_nodes, is_fraction=False, what="total"),
            *self._compare_failed(n_failed, n_updated, int(deployment["current_wave"]), time_s),
        ]
        if fleet["requests_per_second"] > 0 or fleet["demand_per_second"] > 0:
            gauges += [
                Gauge("errors", fleet["error_rate"]),
                Gauge("errors, new", fleet["error_rate_new"], self._most_errors),
            ]
        if not math.isnan(fleet["load"]):
            gauges.append(Gauge("load", fleet["load"], 1.0, what="capacity"))
        return gauges

    def _compare_failed(self, n_failed: int, n_updated: int, wave: int, time_s: float) -> list[Gauge]:
        """Return gauges of the failed nodes, as the deployment counts them, with the limits of the policy."""
        limits = self._limits
        if limits is None:
            return [Gauge("failed", n_failed, is_fraction=False)]
        most = None if limits.max_failed_nodes == NO_COUNT else limits.max_failed_nodes
        what = "in a row" if limits.consecutive else "tries" if limits.counts_tries else "limit"
        gauges = [Gauge("failed", n_failed, most, is_fraction=False, what=what, stops_at=limits.reaches)]
        if limits.max_failed_nodes_percent == NO_PERCENT:
            return gauges
        of_wave = self._wave == wave
        failed, of = {
            "fleet": (n_failed, self._n_nodes),
            "resolved": (n_failed, n_failed + n_updated),
            "wave": (int((self._failed_at_s[of_wave] <= time_s).sum()), int(of_wave.sum())),
        }[limits.percent_of]
        is_compared = n_failed + n_updated >= limits.minimum_sample
        percent = float(limits.max_failed_nodes_percent / 100) if is_compared else None
        value = failed / of if of else math.nan
        return [*gauges, Gauge(_SHARES[limits.percent_of], value, percent, stops_at=limits.reaches)]


def _columns(rows: pd.DataFrame, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {name: rows[name].to_numpy(float) for name in names}


def _last(columns: dict[str, np.ndarray], time_s: float) -> dict[str, float]:
    """Return the row that holds at an instant."""
    row = max(int(np.searchsorted(columns["time_s"], time_s, side="right")) - 1, 0)
    return {name: float(column[row]) for name, column in columns.items()}
