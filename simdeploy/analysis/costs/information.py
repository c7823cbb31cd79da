"""The value of knowing the world, or the kind of release, before choosing a policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from simdeploy.analysis.asking.pricing import describe_costs, find_costs
from simdeploy.analysis.comparison.measured import measure_policies, read_table
from simdeploy.analysis.costs.causes import check_arguments
from simdeploy.analysis.costs.knowing import estimate_values_of_knowing, find_single, mean_by_kind
from simdeploy.errors import InputError, Problem, listed, raise_if_any
from simdeploy.experiments.gathering import missing_columns
from simdeploy.result import ESTIMATE, Columns, Result, floats, make_frame, read_computed_under
from simdeploy.scenario.measures import Measure

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.gathering import Batches
    from simdeploy.scenario.parts import Costs
    from simdeploy.statistics.sample import Sample

_VALUE = {
    "information": "str",
    **ESTIMATE,
}
_KIND = {
    "release": "str",
    "n": "int64",
    "share": "float64",
    "policy": "str",
    **floats("cost", "cost_of_single", "saved"),
}


@dataclass(frozen=True, eq=False, repr=False)
class InformationResult(Result):
    """Result of `value_of_perfect_information`.

    Attributes
    ----------
    values : DataFrame
        One row per `information`: the whole ``world``, or the ``kind of release``. `estimate` is what knowing it would
        save per rollout, in the unit of the costs; `low`, `high`, `half_width`, `n`, `standard_error`, `is_trusted`.
    kinds : DataFrame
        One row per kind of `release`: `n` and `share` of the rollouts; `policy`, the cheapest for it; its mean `cost`;
        `cost_of_single`, that of the single policy; `saved`, the difference.
    policy : str
        The single policy with the lowest mean cost without information.
    confidence_level : float
        Of each interval separately.
    n_left_out : int
        Replications in which some policy failed.
    unknown_fractions : dict of str to float
        Per policy, the share of rollouts that never end, so their cost is unknown. Policies with such rollouts are
        excluded from the choice.
    note : str
        Direction of the estimates' bias.
    computed_under : dict
        Scenario, seed, engine and switches, if the table has them, and the costs.
    """

    values: Annotated[pd.DataFrame, Columns(_VALUE)]
    kinds: Annotated[pd.DataFrame, Columns(_KIND)]
    policy: str
    confidence_level: float
    n_left_out: int
    unknown_fractions: Mapping[str, float]
    note: str
    computed_under: Mapping[str, Any]


def value_of_perfect_information(
    responses: pd.DataFrame | Batches, *, costs: Costs | None = None, confidence_level: float = 0.95
) -> InformationResult:
    """Estimate how much it would save to know the world, or the kind of release, before choosing the policy.

    Parameters
    ----------
    responses : DataFrame, SweepResult or StoredTable
        From `replicate`, `sweep` or `read_store`, with several policies in the same worlds; if a policy has several cases, each
        counts as a policy.
    costs : Costs, optional
        By default the scenario's, from `replicate` or `sweep`.
    confidence_level : float, default 0.95
        Of each interval separately, between 0 and 1.

    Returns
    -------
    InformationResult

    Raises
    ------
    InputError
        If there are no costs, the table is not one of replications of a single world, fewer than two replications have all costs, or
        fewer than two policies are left without those with rollouts that never end.

    Notes
    -----
    The expected value of perfect information (Raiffa and Schlaifer 1961 [1]_): the mean cost of the best single policy less that of
    the cheapest policy in each world, or for each kind of release. No test, canary or person that informs the choice is worth more.
    Replications in which some policy failed are left out, since it may have been the cheapest there, although `compare` uses the others'
    costs in them; so are policies with rollouts that never end.

    With few replications the value of knowing the world is underestimated, and that of knowing the kind overestimated, most for
    rare kinds. Intervals allow for the choice among policies by Bonferroni's inequality; they need enough replications to have seen
    the expensive events, and don't cover kinds that never occurred. `docs/methods.md` has the formulas.

    References
    ----------
    .. [1] Raiffa, H. and Schlaifer, R. (1961). Applied Statistical Decision Theory. Harvard University.

    Examples
    --------
    Half of the releases are bad. The bold policy costs 1 or 9, the careful one always 4. Using bold for good releases would save 1.5.

    >>> import pandas as pd
    >>> from simdeploy.analysis.costs.information import value_of_perfect_information
    >>> from simdeploy.scenario.parts import Costs
    >>> table = pd.DataFrame({
    ...     "policy": ["bold"] * 4 + ["careful"] * 4, "replication": [*range(4), *range(4)],
    ...     "release": ["good", "bad"] * 4, "verdict": ["completed_good", "escaped"] * 4,
    ...     "makespan_s": [1.0, 9.0] * 2 + [4.0] * 4, "failed_requests_excess": 0.0, "unavailable_excess_node_s": 0.0,
    ... })
    >>> result = value_of_perfect_information(table, costs=Costs(0, 0, hour_of_delay=3600, false_alarm=0, escape=0))
    >>> result.policy, result.values["estimate"].tolist()
    ('careful', [1.5, 1.5])
    """
    table, _ = read_table(responses)
    costs = check_arguments(find_costs(responses, costs), confidence_level)
    policies, cost, kind_of, kinds, n_left_out, unknown = _gather(table, costs)
    counts = np.bincount(kind_of, minlength=len(kinds))
    shares = cost.strata.probabilities if cost.strata.n > 1 else counts / len(kind_of)
    estimates = estimate_values_of_knowing(cost, kind_of, confidence_level)
    single, by_kind = find_single(cost), mean_by_kind(cost, kind_of)
    choice = by_kind.argmin(axis=1)
    rows = [
        {
            "release": name,
            "n": counts[kind],
            "share": shares[kind],
            "policy": policies[choice[kind]],
            "cost": by_kind[kind, choice[kind]],
            "cost_of_single": by_kind[kind, single],
            "saved": by_kind[kind, single] - by_kind[kind, choice[kind]],
        }
        for kind, name in enumerate(kinds)
    ]
    note = (
        "With few replications the value of knowing the world is underestimated; that of knowing the kind is overestimated "
        "if a kind was rarely seen."
    )
    values = [{"information": name, **value} for name, value in estimates.items()]
    return InformationResult(
        values=make_frame(values, _VALUE),
        kinds=make_frame(rows, _KIND),
        policy=policies[single],
        confidence_level=confidence_level,
        n_left_out=n_left_out,
        unknown_fractions=unknown,
        note=note,
        computed_under=read_computed_under(responses) | describe_costs(costs, [Measure("cost")]),
    )


def _gather(
    responses: pd.DataFrame, costs: Costs
) -> tuple[list[str], Sample, np.ndarray, list[str], int, dict[str, float]]:
    """Return policies, costs by policy and world, each world's kind, the kinds, and numbers left out or unknown."""
    values, of = measure_policies(responses, costs), Measure("cost")
    cost, unknown = values.sample(of), values.unknown_fractions(of)
    fractions = dict(zip(values.cases["policy"], unknown.tolist(), strict=True))
    policies = [policy for policy, fraction in fractions.items() if not fraction]
    if len(policies) < min(2, len(fractions)):
        message = "can't choose: rollouts that never end make some policies' costs unknown"
        found = listed(f"{100 * fraction:.3g} % of {policy}" for policy, fraction in fractions.items() if fraction)
        raise InputError(Problem(message, found=found))
    cost = cost[unknown == 0]
    raise_if_any(missing_columns(["release"], responses.columns))
    is_known = ~np.isnan(cost.values).any(axis=0)
    if is_known.sum() < 2:
        message = "fewer than two replications with known costs of all policies"
        raise InputError(Problem(message, found=str(is_known.sum())))
    # A world has one kind, the same for all policies.
    of_world = responses.groupby("replication")["release"].first()
    named = [str(of_world[number]) for number in values.replications[is_known]]
    kinds = list(dict.fromkeys(of_world.astype(str)))  # strata in their order
    kinds = [kind for kind in kinds if kind in set(named)]
    if len(kinds) < cost.strata.n:
        message = "a kind of release has no replication with known costs of all policies"
        missing = [kind for kind in of_world.astype(str).unique() if kind not in kinds]
        raise InputError(Problem(message, ("release",), found=listed(missing)))
    kind_of = np.array([kinds.index(kind) for kind in named])
    return policies, cost.in_worlds(is_known).on_one_footing(), kind_of, kinds, int((~is_known).sum()), fractions
