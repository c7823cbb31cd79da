"""`tune`: many policies in few worlds, then few policies in many worlds, and finally new worlds for the estimates."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.judging import MET, MISSED
from simdeploy.analysis.tuning.concluding import report
from simdeploy.analysis.tuning.confirmed import Confirmed
from simdeploy.analysis.tuning.findings import MISSES, NOT_KNOWN
from simdeploy.analysis.tuning.neighbours import Neighbourhood, make_neighbourhood
from simdeploy.analysis.tuning.question import Question, count_candidates, read_question
from simdeploy.analysis.tuning.space import CURRENT, DEFAULTS, make_candidates
from simdeploy.analysis.tuning.stages import NoValueError, Stages
from simdeploy.analysis.tuning.worlds import FOLDERS, Worlds
from simdeploy.experiments.arguments import Progress, read_seed
from simdeploy.experiments.campaign import Campaign
from simdeploy.scenario import PolicyLike, Scenario, ScenarioOrPath, as_scenario

if TYPE_CHECKING:
    from simdeploy.analysis.asking.requirements import Asked
    from simdeploy.analysis.asking.verdicts import Direction
    from simdeploy.analysis.tuning.result import Tuning
    from simdeploy.experiments.jobs import Executor
    from simdeploy.scenario.measures import Measure
    from simdeploy.statistics.selection import Selection

_MOST_SHOWN = 5
# The most attempts: a choice that fails the requirements may have eliminated better candidates, so the search is repeated.
_MOST_ATTEMPTS = 5


def tune(
    scenario: ScenarioOrPath,
    policy: PolicyLike | None = None,
    *,
    of: Measure | str = "cost",
    direction: Direction | None = None,
    requirements: Asked | None = None,
    vary: Mapping[str, Iterable[Any]] | None = None,
    candidates: int | None = None,
    indifference: float | None = None,
    final: int | None = None,
    largest_wave: int | str | None = None,
    replications: int = 100,
    most: int | None = None,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> Tuning:
    """Search a policy's settings for the lowest expected cost, or the best of any response, under requirements.

    Parameters
    ----------
    scenario : Scenario
    policy : str, path, mapping, spec or document, optional
        The current policy, as for `Scenario.policy`; by default the scenario's first. Keys that are not varied keep
        their values.
    of : Measure or str, default "cost"
        Objective: a mean or a rate, optionally given a kind of release.
    direction : {'min', 'max'}, optional
        Which is better, where the measure doesn't determine it.
    requirements : str or Requirement, or several of them, optional
        For example ``"false_alarm given good <= 1%"``. By default the scenario's requirements for this policy and for
        every policy.
    vary : mapping of str to iterable, optional
        Values by key, as for `sweep`: their grid is searched. By default strategy, sizes of waves and canaries, failure
        limits, `max_error_rate`, observation time and deadline, in steps that suit the fleet.
    candidates : int, optional
        All combinations are tried if there are no more than this. Otherwise this many are drawn at random, and neighbours of
        the best ones are tried, too. By default 10,000; in the default ranges of a shared service, whose simulation takes
        longer, as many as update 12.5 million nodes (500 to 10,000).
    indifference : float, optional
        Smallest difference that matters, in the objective's unit. By default 5 % of the value, in new worlds, of the best
        candidate of the first stage; half a percentage point for a rate.
    final : int, optional
        Budget of rollouts for the final selection, which OCBA allocates. By default there are as many rollouts as the stated
        probability needs.
    largest_wave : int or 'all', optional
        Limit of the default ranges: the most nodes that a policy may plan in flight at once (canaries, a wave, slots, or
        a batch of rate pacing). By default what the current policy plans; no limit if a requirement sets a minimum of
        `min_in_service_fraction` or `min_capacity_ratio` or bounds shed requests, or if the service is shared and the
        objective pays for shed requests; ``'all'`` for no limit. Values in `vary` are tried as they are.
    replications : int, default 100
        Worlds of the first stage.
    most : int, optional
        Budget of rollouts for each of: settling the requirements, the third comparison, the selection, and the new worlds.
        It is exceeded only if the first comparisons take more. By default three million, or as many as update 500 million nodes if
        these are fewer (at least 100,000); with a shared service as many as update 33 million nodes (at least 25,000).
    confidence_level : float, default 0.95
        Probability of correct selection, and level of intervals and verdicts.
    seed, engine, executor, workers, cluster
        As for `sweep`.
    store : path-like, optional
        A folder for all rollouts. The same call resumes an interrupted one.
    progress : bool or callable
        As for `sweep`; the total grows from stage to stage.

    Returns
    -------
    Tuning

    Raises
    ------
    InputError
        Before anything is simulated, if an argument is invalid.
    StoreError
        If the folder can't be written to.

    Notes
    -----
    Each stage uses new worlds, the same for all candidates. Each kind of release is simulated in worlds of its own.

    1. All candidates run in `replications` worlds. Those that miss a requirement are dropped. If there are more combinations than
    `candidates`, a sample is tried, and then candidates one step away from its best, until no neighbour is better; default ranges are
    extended if the best is at their end.
    2. Screening [1]_ drops candidates that are significantly worse than one known to meet the requirements.
    3. The procedure of Kim and Nelson [2]_ selects among the rest: a candidate better than all others by `indifference` is
    selected with probability `confidence_level`. With `final`, OCBA [3]_ spends that many rollouts, and the probability is an
    estimate.
    4. The recommended policy, runners-up, the current policy and API defaults run in new worlds, so that the selection
    doesn't bias their estimates. If these worlds contradict the selection, it is repeated without the policy.

    The probability refers to candidates that were tried and are known to meet the requirements, and assumes nearly normal averages of
    50 worlds. `Tuning.doubt` gives the reason if none is stated. `docs/methods.md` says how the error is divided among the stages.

    API defaults are the current policy with default limits, `max_error_rate` and observation time. Strategy, sizes of waves and
    canaries, and deadline stay, because the API has no useful default for them.

    References
    ----------
    .. [1] Nelson, B. L., Swann, J., Goldsman, D. and Song, W. (2001). Simple procedures for selecting the best simulated
       system when the number of alternatives is large. Operations Research 49(6), 950-963.
    .. [2] Kim, S.-H. and Nelson, B. L. (2001). A fully sequential procedure for indifference-zone selection in
       simulation. ACM Transactions on Modeling and Computer Simulation 11(3), 251-273.
    .. [3] Chen, C.-H., Lin, J., Yücesan, E. and Chick, S. E. (2000). Simulation budget allocation for further enhancing
       the efficiency of ordinal optimization. Discrete Event Dynamic Systems 10(3), 251-270.

    Examples
    --------
    >>> from simdeploy.analysis import tune
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "costs": {"hour_of_delay": 60},
    ...     "policies": {"one-by-one": {"strategy": "rolling", "max_parallel": 1, "health_check": {"deadline": "5m"}}},
    ... })
    >>> tune(scenario, vary={"max_parallel": [1, 2]}, engine="compiled").choice
    {'max_parallel': 2}
    """
    scenario = as_scenario(scenario)
    seed = read_seed(seed, engine)
    question = read_question(
        scenario, policy, of, direction, requirements,
        candidates=candidates, indifference=indifference, final=final, largest_wave=largest_wave,
        replications=replications, most=most, confidence_level=confidence_level,
    )  # fmt: skip
    if candidates is None:
        candidates = count_candidates(scenario, question.worlds, is_default_grid=vary is None)
    tried = make_candidates(
        scenario, question.base, vary, most=int(candidates), seed=seed, largest_wave=question.largest_wave
    )
    campaign = Campaign(seed, engine, executor, workers, cluster, store, progress, parts=FOLDERS)
    nearby = make_neighbourhood(scenario, question.base, tried, may_extend=vary is None)
    stages = Stages(question, tried, Worlds(scenario, question, tried, campaign), nearby)
    return _Search(question, stages, nearby).run(scenario)


class _Search:
    """The state of one call."""

    def __init__(self, question: Question, stages: Stages, nearby: Neighbourhood) -> None:
        self._question, self._stages, self._found, self._nearby = question, stages, stages.found, nearby

    def run(self, scenario: Scenario) -> Tuning:
        """Run the stages, and report."""
        self._stages.try_all()
        confirmed = None
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            certified = self._stages.find_feasible()
            if not len(certified):
                break
            confirmed = self._choose(certified, attempt)
            if confirmed is not None:
                break
            self._found.reopen()
        campaign = self._stages.worlds.campaign
        campaign.warn_of_failures()
        indifference = self._stages.indifference
        return report(
            scenario,
            self._question,
            self._found,
            confirmed,
            indifference=indifference,
            campaign=campaign,
            nearby=self._nearby,
        )

    def _choose(self, certified: np.ndarray, attempt: int) -> Confirmed | None:
        """Choose among the open candidates; None if the choice doesn't meet the requirements, or nothing is left."""
        stages, findings = self._stages, self._found
        certified = stages.settle(stages.screen(certified), certified)
        while len(certified):
            try:
                selection, choice = stages.select(certified)
            except NoValueError:
                certified = certified[findings.is_open[certified]]
                continue
            held_back = stages.find_held_back(choice)
            shown = list(dict.fromkeys([*self._shown(selection, choice), *held_back.values()]))
            measured, verdicts, alpha = stages.confirm(shown, attempt)
            if measured.has_gap[0]:
                stages.rule_out_valueless(np.array(shown[:1]))
            elif verdicts[0] != MET:
                findings.rule_out(np.array(shown[:1]), MISSES if verdicts[0] == MISSED else NOT_KNOWN)
                return None
            else:
                confirmed = Confirmed(
                    self._question, selection, tuple(shown), measured, held_back, alpha, findings.candidates.reference
                )
                better = confirmed.find_better(verdicts)
                if not len(better):
                    return self._confirm_or_switch(confirmed, verdicts)
                findings.admit(better)
                certified = np.union1d(certified, better)
            certified = certified[(certified != choice) & findings.is_open[certified]]
        return None

    def _confirm_or_switch(self, confirmed: Confirmed, verdicts: np.ndarray) -> Confirmed:
        """Return the recommended policy, or another one that new worlds show to be better by more than the indifference.

        It is the current policy if that meets the requirements and nothing is better by more than the indifference.
        """
        cheaper = confirmed.find_cheaper(verdicts, self._stages.indifference)
        if cheaper is not None:
            self._found.admit(np.array([cheaper]))
            return replace(confirmed.choose(cheaper), is_contradicted=True)
        today = self._found.candidates.roles[CURRENT]
        place = confirmed.shown.index(today)
        is_known = verdicts[place] == MET and not confirmed.measured.has_gap[place]
        if place and is_known and confirmed.is_as_good(today, self._stages.indifference):
            self._found.admit(np.array([today]))
            return confirmed.choose(today)
        return confirmed

    def _shown(self, selection: Selection, choice: int) -> list[int]:
        """Return what to simulate in new worlds: the recommended policy, its nearest rivals, then the current policy."""
        order = np.lexsort([selection.means, -selection.n_used])  # the last candidate eliminated was the closest
        others = [n for n in selection.candidates[order].tolist() if n != choice and self._found.is_open[n]]
        roles = self._found.candidates.roles
        return list(dict.fromkeys([choice, *others[:_MOST_SHOWN], roles[CURRENT], roles[DEFAULTS]]))
