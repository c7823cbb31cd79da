"""Estimates between the bounds: what is not on record is drawn from a calibration of the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.backtest.bounding import RESPONSES, measure
from simdeploy.analysis.calibration import calibrate
from simdeploy.engines.replay import KnownRollout, Modeller, replay
from simdeploy.rules.deployment_types import TYPES

if TYPE_CHECKING:
    from simdeploy.engines.replay.knowing import RunBy
    from simdeploy.records import Records


class Estimator:
    """Estimates responses from a scenario that is fitted to all records."""

    def __init__(
        self,
        records: Records,
        n: int,  # draws of what is not on record of a rollout; 0 for no estimates
        *,
        seed: int,
    ) -> None:
        self._scenario = calibrate(records, goodness_samples=0).scenario if n else None
        self._n = n
        self._seed = seed
        self._modellers: dict[int, Modeller] = {}

    def estimate(
        self,
        number: int,  # of the rollout; the same draws of unknown nodes are used for all policies
        known: KnownRollout,
        run_by: RunBy,
    ) -> dict[str, float]:
        """Return the mean of each response of a rollout under a policy; empty without estimates."""
        if self._scenario is None:
            return {}
        if number not in self._modellers:
            kinds = self._scenario.release if TYPES[known.type_name].releases else ()
            self._modellers[number] = Modeller(known, self._scenario.fleet, kinds, self._scenario.operator)
        drawn = []
        for replication in range(number * self._n, (number + 1) * self._n):
            model = self._modellers[number].draw(self._seed, replication)
            values = measure(replay(known, run_by.policy, run_by.orchestrator, model).recording)
            drawn.append([values[name] for name in RESPONSES])
        return dict(zip(RESPONSES, np.mean(drawn, axis=0).tolist(), strict=True))
