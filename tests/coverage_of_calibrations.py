"""How often the intervals of calibrations contain the truth."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import simdeploy

# Columns that many tools lack. Causes of failures and the order follow from the others; the record ends with the last
# time in it.
MISSING = ("attempts", "cause", "status", "position", "class", "zone", "heard_at_s", "watched_until_s")


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


def export(records, seed):
    """Return records as read from files that repeat a tenth of the rows, are unordered, and lack the columns of `MISSING`."""
    rng = np.random.default_rng([seed, 1])
    tables = {
        "nodes": records.nodes.drop(columns=list(MISSING)),
        "windows": records.windows.drop(columns=["error_rate", "healthy", "up", "on_new_version"]),
        "rollouts": records.rollouts[["rollout", "nodes", "interval_s", "deadline_s", "defective"]],
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, table in tables.items():
            again = table.iloc[rng.permutation(len(table))[: len(table) // 10 if name != "rollouts" else 0]]
            rows = pd.concat([table, again])
            rows.iloc[rng.permutation(len(rows))].to_csv(Path(folder) / f"{name}.csv", index=False)
        return simdeploy.read_records(folder)


def find_covered(fleet, n_rollouts, seed, *, is_exported=False):
    """Return by path whether the interval of one calibration contains the truth; False if it isn't fitted."""
    records = fleet.draw(n_rollouts, seed)
    records = export(records, seed) if is_exported else records
    found = simdeploy.calibrate(records, goodness_samples=0).parameters.set_index("path")
    covered = {}
    for path, truth in list_truths(fleet).items():
        # Without a spread there is a constant instead of a mean.
        name = path if path in found.index else path.removesuffix(".beta.mean")
        covered[path] = name in found.index and bool(found.loc[name, "low"] <= truth <= found.loc[name, "high"])
    return covered


def count_covered(fleet, n_rollouts, seeds, *, is_exported=False):
    """Return by path how many of the calibrations of some seeds cover the truth."""
    return pd.DataFrame([find_covered(fleet, n_rollouts, seed, is_exported=is_exported) for seed in seeds]).sum()
