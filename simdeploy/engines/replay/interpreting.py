"""Interpretation of policies for the fleet of a recorded rollout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from simdeploy.engines.replay.knowing import RunBy
from simdeploy.errors import InputError, Problem, catch_warned, shorten
from simdeploy.records.histories import History, to_ns
from simdeploy.scenario import Scenario
from simdeploy.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence


_DEFAULT_INTERVAL_S = 10.0


class Interpreter:
    """Reads policies for the fleet of one rollout, as its control plane would."""

    def __init__(
        self,
        history: History,
        zones: Sequence[int],  # zone of each node, in the order of dispatch
    ) -> None:
        self._history = history
        n_zones = max(zones, default=0) + 1
        self.interval_s = _find_interval_s(history)
        requests = max((row["requests"] or 0 for row in history.windows), default=0)
        order = "zone" if _is_zone_by_zone(zones, n_zones) else "index"
        self._scenario = Scenario.from_dict(
            {
                "name": "on record",
                "fleet": {
                    "nodes": len(zones),
                    "zones": n_zones,
                    "order": order,
                    "update_duration": 0,
                    "requests_per_second": requests / self.interval_s,
                },
                "health": {"interval": self.interval_s},
                "policies": {"none": {"strategy": "immediate"}},
            }
        )

    def recorded(self) -> RunBy | None:
        """Return the policy and switches that the rollout was run by; None if not on record."""
        text = self._history.rollout["policy"]
        if text is None:
            return None
        path = ("rollout", str(self._history.rollout["rollout"]), "policy")
        try:
            raw = json.loads(text)
        except ValueError:
            raise InputError(Problem("not JSON", path, found=shorten(text))) from None
        if not isinstance(raw, dict):  # text would be the path of a file
            raise InputError(Problem("not a policy", path, found=shorten(raw), allowed="a spec as in a scenario"))
        if "file" in raw:  # records may come from others, who must not choose files to be read
            message = "names a file, which records may not"
            raise InputError(Problem(message, (*path, "file"), found=shorten(raw["file"]), allowed="a spec itself"))
        try:
            return self.read(raw)
        except InputError as error:
            raise InputError(problem.at(prefix=path) for problem in error.problems) from None

    def read(self, policy: Any, fallback: RunBy | None = None) -> RunBy:
        """Return policy and switches; without its own orchestrator a policy has that of `fallback`, or the default one."""
        with catch_warned():  # keys without effect in this fleet may have one in another
            scenario = self._scenario
            chosen = scenario.policy(policy)
            orchestrator = chosen.orchestrator
            if orchestrator is None:
                orchestrator = scenario.orchestrator if fallback is None else fallback.orchestrator
        return RunBy(chosen.policy, orchestrator)

    def interval_ns(self, run_by: RunBy | None) -> int:
        """Return the length of the recorded windows."""
        stated = to_ns(self._history.rollout["interval_s"])
        if stated is None and run_by is not None:
            return run_by.policy.interval_ns
        return to_ns(self.interval_s) or 0 if stated is None else stated


def _find_interval_s(history: History) -> float:
    """Return the length of a health window: as stated, or the shortest time between windows of a node."""
    stated = history.rollout["interval_s"]
    if stated is not None:
        return float(stated)
    ends: dict[Any, list[float]] = {}
    for row in history.windows:
        if row["ended_s"] is not None:
            ends.setdefault(row["node"], []).append(row["ended_s"])
    gaps = [b - a for times in ends.values() for a, b in zip(sorted(times), sorted(times)[1:], strict=False) if b > a]
    return min(gaps) if gaps else _DEFAULT_INTERVAL_S


def _is_zone_by_zone(zones: Sequence[int], n_zones: int) -> bool:
    """Return whether nodes were dispatched zone by zone, in zones of the sizes that `i % n_zones` gives."""
    sizes = [len(range(zone, len(zones), n_zones)) for zone in range(n_zones)]
    return list(zones) == [zone for zone, size in enumerate(sizes) for _ in range(size)]


def describe_s(ns: int) -> str:
    """Return nanoseconds as seconds in words."""
    return f"{ns / NS_PER_S:g} s"
