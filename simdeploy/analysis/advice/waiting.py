r"""The value of waiting: of choosing the best act later, given what can be seen then.

Let :math:`C_a` be the cost of a rollout under the act a now, and :math:`C'_a` that of waiting and then doing a. Waiting is worth
:math:`\min_a E[C_a] - E[C'_{r(S)}]`, where S is what the deployment object says then and r the best rule given S. The rule is fitted
to one half of the worlds and evaluated in the other, and vice versa; evaluated in the worlds to which it was fitted, it would seem
better than it is (Stone 1974 [1]_). A rule fitted to half of the worlds is not quite the best one, so this is a lower bound.

References
----------
.. [1] Stone, M. (1974). Cross-validatory choice and assessment of statistical predictions. Journal of the Royal Statistical Society B
   36(2), 111-147.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from simdeploy.analysis.advice.costing import SHIFTED, Priced
from simdeploy.analysis.advice.running import OVER, Runner
from simdeploy.units import NS_PER_S
from simdeploy.world.operator import ScriptedAct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simdeploy.analysis.advice.costing import Costing

Script: TypeAlias = tuple[ScriptedAct, ...]

WAITS_S = (300, 600, 1800)
# Groups of numbers of failed nodes that a rule distinguishes in each state.
_MOST_GROUPS = 10


def list_scripts(at_ns: int, *, may_promote: bool, is_paused: bool) -> dict[tuple[str, int], list[Script]]:
    """Return what people may do, by way and time of waiting; the first script is only to wait, and to resume if paused."""
    ways = ("go on",) if is_paused else ("go on", "pause")
    return {
        (how, wait_s): _scripts(how, at_ns, at_ns + wait_s * NS_PER_S, may_promote, is_paused)
        for how in ways
        for wait_s in WAITS_S
    }


def find_worth(
    runner: Runner,
    costing: Costing,
    acts: Sequence[Priced],  # each world under each act now, the cheapest first
    weights: np.ndarray,
    scripts: Mapping[tuple[str, int], Sequence[Script]],  # from `list_scripts`
) -> list[dict[str, Any]]:
    """Return the value of waiting by way and time, each with a separate interval.

    Waiting `pays` if it costs less than every act, at a level that holds for all rows together.
    """
    rows = []
    for (how, wait_s), of_wait in scripts.items():
        then_ns = runner.conditioned.at_ns + wait_s * NS_PER_S
        outcomes = [runner.run(script) for script in of_wait]
        costs = np.stack([each.costs for each in outcomes])
        verdicts = np.stack([each.words["verdict"] for each in outcomes])
        chosen = choose_by_halves(weights, costs, group(outcomes[0].look(then_ns), weights))
        worlds = np.arange(len(weights))
        # The first script only waits.
        mark = "" if chosen.any() else SHIFTED
        waiting = Priced(costs[chosen, worlds], verdicts[chosen, worlds], mark)
        worth = costing.difference(acts[0], waiting)
        saved = [costing.difference(act, waiting, together=len(scripts)) for act in acts]
        pays = all(each.trusts_low and each.low > 0 for each in saved)
        names = ("worth", "low", "high", "is_trusted")
        rows.append({"how": how, "wait_s": wait_s, **dict(zip(names, worth, strict=False)), "pays": pays})
    return rows


def _scripts(how: str, at_ns: int, then_ns: int, may_promote: bool, is_paused: bool) -> list[Script]:
    """Return what people may do after waiting; the first script is only to wait, and to resume if paused."""
    pause = [ScriptedAct(at_ns + 1, "pause")] if how == "pause" else []
    resume = [ScriptedAct(then_ns + 1, "resume")] if pause or is_paused else []
    scripts = [(*pause, *([] if is_paused else resume)), (*pause, ScriptedAct(then_ns + 1, "cancel"))]
    if is_paused:
        scripts.append((*pause, *resume))
    if may_promote:
        scripts.append((*pause, ScriptedAct(then_ns + 1, "promote"), *resume))
    return scripts


def group(look: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Number the worlds by what they look like: by state, and by at most ten groups of failed nodes."""
    state = np.where(np.isin(look["state"], OVER), -1, look["state"]).astype(np.int64)
    failed = look["failed_nodes"].astype(np.int64)
    order = np.argsort(failed, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    places = np.searchsorted(reached, np.arange(1, _MOST_GROUPS) / _MOST_GROUPS)
    bounds = np.unique(failed[order[np.minimum(places, len(order) - 1)]])
    few = np.unique(failed)
    groups = np.searchsorted(few if len(few) <= _MOST_GROUPS else bounds, failed)
    numbers: np.ndarray = np.where(state < 0, -1, state * (_MOST_GROUPS + 1) + groups)
    return numbers


def choose_by_halves(
    weights: np.ndarray,
    costs: np.ndarray,  # shape (acts, worlds)
    groups: np.ndarray,
) -> np.ndarray:
    """Return for each world the act that is cheapest for its group in the other half of the worlds.

    A group that the other half lacks takes the act that is cheapest there on average. Where nothing is left to choose (group -1), all
    acts cost the same.

    Examples
    --------
    >>> costs = np.array([[1.0, 1, 5, 5], [2.0, 2, 2, 2]])
    >>> choose_by_halves(np.ones(4), costs, np.array([0, 0, 1, 1])).tolist()
    [0, 0, 1, 1]
    """
    chosen = np.zeros(costs.shape[1], dtype=np.int64)
    halves = np.arange(costs.shape[1]) % 2
    for half in (0, 1):
        is_other = halves != half
        usual = int((weights[is_other] * costs[:, is_other]).sum(axis=1).argmin())
        for number in np.unique(groups[~is_other]).tolist():
            places = ~is_other & (groups == number)
            model = is_other & (groups == number)
            act = usual
            if number < 0:
                act = 0
            elif model.any():
                act = int((weights[model] * costs[:, model]).sum(axis=1).argmin())
            chosen[places] = act
    return chosen
