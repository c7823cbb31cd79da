"""Alternative histories: whole rollouts drawn with replacement, or simulated from the fit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.records import Records, make_table

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from simdeploy.scenario import Scenario

# With fewer rollouts, too few different samples can be drawn.
FEWEST_TO_DRAW = 20


def draw_rollouts(records: Records) -> Callable[[np.random.Generator], Records]:
    """Return a function that draws the same number of whole rollouts, with replacement."""
    tables = {name: getattr(records, name) for name in ("nodes", "windows", "acts")}
    rows = {name: table.groupby("rollout", sort=False).indices for name, table in tables.items()}
    names = records.rollouts["rollout"].tolist()

    def draw(rng: np.random.Generator) -> Records:
        chosen = rng.integers(len(names), size=len(names))
        taken = {name: _take(tables[name], rows[name], [names[place] for place in chosen]) for name in tables}
        rollouts = records.rollouts.iloc[chosen].assign(rollout=_number(len(chosen)))
        return Records(rollouts=make_table("rollouts", rollouts), outages=records.outages, **taken)

    return draw


def _number(n: int) -> list[str]:
    return [str(number) for number in range(n)]


def _take(table: pd.DataFrame, rows: dict[str, np.ndarray], chosen: list[str]) -> pd.DataFrame:
    nothing = np.zeros(0, int)
    parts = [rows.get(name, nothing) for name in chosen]
    taken = table.iloc[np.concatenate(parts)].reset_index(drop=True)
    return taken.assign(
        rollout=np.repeat(np.array(_number(len(parts)), dtype=object), [len(part) for part in parts])
    ).astype(table.dtypes)


def simulate_rollouts(records: Records, scenario: Scenario) -> Callable[[int, int], Records]:
    """Return a function of seed and number that simulates the scenario once under the policy of each rollout."""
    from simdeploy.engines import simulate

    policies = {json.dumps(policy.spec.to_dict(), sort_keys=True): name for name, policy in scenario.policies.items()}
    default = next(iter(scenario.policies))
    chosen = [_find_policy(text, policies, default) for text in records.rollouts["policy"]]
    is_known = records.rollouts["defective"].notna().to_numpy()

    def draw(seed: int, number: int) -> Records:
        parts = [
            simulate(scenario, policy, seed=seed, replication=number * len(chosen) + place).to_records(str(place))
            for place, policy in enumerate(chosen)
        ]
        joined = Records.join(parts)
        unknown = joined.rollouts.assign(
            defective=joined.rollouts["defective"].where(is_known), release=joined.rollouts["release"].where(is_known)
        )
        return Records(
            rollouts=make_table("rollouts", unknown),
            nodes=joined.nodes,
            windows=joined.windows,
            acts=joined.acts,
            outages=records.outages,
        )

    return draw


def _find_policy(text: object, policies: dict[str, str], default: str) -> str:
    """Return the name of a rollout's policy in the scenario; the first if it isn't there."""
    try:
        spec = json.loads(str(text))
        spec = {key: value for key, value in spec.items() if key not in ("dialect", "orchestrator")}
    except (ValueError, AttributeError):
        return default
    return policies.get(json.dumps(spec, sort_keys=True), default)
