"""How often the intervals of calibrations contain the truth."""

from __future__ import annotations

import pandas as pd

import simdeploy


def list_truths(fleet):
    """Return the true values by path."""
    return {
        "fleet.update_duration.lognormal.median": fleet.median_s,
        "fleet.update_duration.lognormal.sigma": fleet.sigma,
        "fleet.slowdown.lognormal.sigma": fleet.slowdown,
        "fleet.start_failure.beta.mean": fleet.failure,
        "fleet.start_failure.beta.sd": fleet.failure_sd,
        "fleet.error_rate.beta.mean": fleet.error_rate,
        "fleet.error_rate.beta.sd": fleet.error_rate_sd,
    }


def find_covered(fleet, n_rollouts, seed):
    """Return by path whether the interval of one calibration contains the truth; one that isn't fitted doesn't."""
    found = simdeploy.calibrate(fleet.draw(n_rollouts, seed), goodness_samples=0).parameters.set_index("path")
    covered = {}
    for path, truth in list_truths(fleet).items():
        # Without a spread there is a constant instead of a mean.
        name = path if path in found.index else path.removesuffix(".beta.mean")
        covered[path] = name in found.index and bool(found.loc[name, "low"] <= truth <= found.loc[name, "high"])
    return covered


def count_covered(fleet, n_rollouts, seeds):
    """Return by path how many of the calibrations of some seeds cover the truth."""
    return pd.DataFrame([find_covered(fleet, n_rollouts, seed) for seed in seeds]).sum()
