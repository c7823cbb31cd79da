"""Records of many rollouts, drawn directly by the model's rules, a thousand times faster than by simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from simdeploy.records import Records, make_table


@dataclass(frozen=True)
class RecordedFleet:
    """What records are drawn of: waves of a tenth of the fleet, a limit that stops the rollout and takes nodes back.

    Durations of attempts are lognormal times the rollout's slowdown. A node that is up has two windows of 10 s.
    """

    nodes: int = 100
    median_s: float = 45.0
    sigma: float = 0.4
    slowdown: float = 0.3
    failure: float = 0.05
    failure_sd: float = 0.03
    attempts: int = 2
    hang: float = 0.01
    deadline_s: float = 180.0
    most_failed: int = 4
    requests: int = 200
    error_rate: float = 0.01
    error_rate_sd: float = 0.005
    skew_s: float = 0.0  # of the clocks that record when a node started

    def scenario(self):
        """Return the equivalent scenario, with an equivalent policy."""
        health = {"deadline": self.deadline_s, "min_healthy_time": "20s"}
        limits = {"max_failed_nodes": self.most_failed, "max_failed_nodes_percent": 100}
        return {
            "name": "recorded",
            "fleet": {
                "nodes": self.nodes,
                "update_duration": {"lognormal": {"median": self.median_s, "sigma": self.sigma}},
                "slowdown": {"lognormal": {"median": 1, "sigma": self.slowdown}},
                "start_failure": {"beta": {"mean": self.failure, "sd": self.failure_sd}},
                "start_attempts": self.attempts,
                "start_hang": self.hang,
                "requests_per_second": self.requests / 10,
                "error_rate": {"beta": {"mean": self.error_rate, "sd": self.error_rate_sd}},
            },
            "policies": {
                "tenths": {"strategy": "rolling", "max_parallel": self.nodes // 10, **limits, "health_check": health}
            },
        }

    def draw(self, n_rollouts, seed):
        """Draw records."""
        rng = np.random.default_rng(seed)
        parts = [self._draw_rollout(name, rng) for name in range(n_rollouts)]
        nodes = pd.DataFrame({name: np.concatenate([part[0][name] for part in parts]) for name in parts[0][0]})
        # The order of rows has no meaning.
        nodes = nodes.iloc[rng.permutation(len(nodes))]
        ends = [part[1] for part in parts]
        names = [f"r{name}" for name in range(n_rollouts)]
        rollouts = {"rollout": names, "nodes": self.nodes, "interval_s": 10.0, "deadline_s": self.deadline_s}
        return Records(
            rollouts=make_table("rollouts", rollouts | {"defective": False, "watched_until_s": ends}),
            nodes=make_table("nodes", nodes),
            windows=make_table("windows", self._draw_windows(nodes, rng)),
        )

    def _draw_rollout(self, name, rng):
        n, wave = self.nodes, self.nodes // 10
        size = self.failure * (1 - self.failure) / self.failure_sd**2 - 1 if self.failure_sd else np.inf
        level = rng.beta(self.failure * size, (1 - self.failure) * size) if self.failure_sd else self.failure
        slow = np.exp(self.slowdown * rng.standard_normal())
        shape = (n, self.attempts)
        took = slow * self.median_s * np.exp(self.sigma * rng.standard_normal(shape))
        took[rng.random(shape) < self.hang] = np.inf
        fails = rng.random(shape) < level
        ends = np.cumsum(took, axis=1)
        good = ~fails
        first = np.where(good.any(axis=1), good.argmax(axis=1), self.attempts - 1)
        end = ends[np.arange(n), first]
        has_started = good.any(axis=1) & (end <= self.deadline_s - 20)
        ready = good.any(axis=1) & (end <= self.deadline_s)
        gave_up = ~good.any(axis=1) & (end <= self.deadline_s)
        resolved = np.where(has_started, end + 20, np.where(gave_up, end, self.deadline_s))
        dispatched, at, failed, stop = np.full(n, np.nan), 0.0, 0, np.inf
        for start in range(0, n, wave):
            rows = slice(start, start + wave)
            dispatched[rows] = at
            bad = np.sort(at + resolved[rows][~has_started[rows]])
            if failed + len(bad) > self.most_failed:
                stop = bad[self.most_failed - failed]
                break
            failed += len(bad)
            at += resolved[rows].max()
        # Nothing after the stop is on record.
        last = stop if np.isfinite(stop) else at
        starts = np.concatenate([np.zeros((n, 1)), ends[:, :-1]], axis=1)
        begun = (dispatched[:, None] + starts < last) & (starts < self.deadline_s)
        used = np.minimum(begun.sum(axis=1), first + 1)
        is_resolved = dispatched + resolved <= last
        started_at = np.where(ready & (dispatched + end <= last), dispatched + end, np.nan)
        cause = np.select([gave_up, ~ready], ["did_not_start", "silent"], default="unhealthy").astype(object)
        rows = ~np.isnan(dispatched)
        columns = {
            "rollout": np.full(n, f"r{name}", dtype=object),
            "node": np.array([f"n{node}" for node in range(n)], dtype=object),
            "attempts": used,
            "dispatched_at_s": dispatched,
            "started_at_s": started_at + self.skew_s * rng.standard_normal(n),
            "resolved_at_s": np.where(is_resolved, dispatched + resolved, np.nan),
            "watched_until_s": np.full(n, last),
            "status": np.where(is_resolved, np.where(has_started, "running", "failed"), "starting").astype(object),
            "cause": np.where(is_resolved & ~has_started, cause, None),
        }
        return {column: values[rows] for column, values in columns.items()}, last

    def _draw_windows(self, nodes, rng):
        up = nodes[nodes["status"].eq("running")]
        size = self.error_rate * (1 - self.error_rate) / self.error_rate_sd**2 - 1
        rate = rng.beta(self.error_rate * size, (1 - self.error_rate) * size, len(up))
        windows = pd.concat([up[["rollout", "node"]]] * 2, ignore_index=True)
        ended = np.concatenate([up["resolved_at_s"] - 10, up["resolved_at_s"]])
        failed = rng.binomial(self.requests, np.concatenate([rate, rate]))
        return windows.assign(
            ended_s=ended, requests=self.requests, failed_requests=failed, up=True, on_new_version=True
        )
