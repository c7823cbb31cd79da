"""The search itself: many policies in a few worlds, few policies in many worlds, and the answer in new worlds."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.selection import Selection, screen, select_kim_nelson, select_ocba
from simdeploy.analysis.tuning.feasibility import MET, MISSED, UNDECIDED, judge, settle
from simdeploy.analysis.tuning.findings import MISSES, NEVER_ENDS, NOT_KNOWN, RULED_OUT, Findings
from simdeploy.analysis.tuning.question import Question, read_question
from simdeploy.analysis.tuning.report import Confirmed, report
from simdeploy.analysis.tuning.space import CURRENT, DEFAULTS, Candidates, make_candidates
from simdeploy.analysis.tuning.worlds import Worlds, unconditional
from simdeploy.experiments.progress import Progress, as_reporter

if TYPE_CHECKING:
    from simdeploy.analysis.tuning.result import Tuning
    from simdeploy.scenario import Scenario
    from simdeploy.scenario.measures import Measure, Requirement

# Costs are rare and large: so many worlds are averaged into one observation, which is nearly normal then, as the
# procedure of Kim and Nelson supposes; and it begins with so many of them. What happens in none of the first thousand
# worlds is unknown to it.
_BATCH, _FIRST_BATCHES = 50, 20
# Into which a budget is cut: every step is a sweep, which has a cost of its own.
_STEPS = 20

# Candidates are compared after the first stage, and twice more in five times as many worlds, unless few are left.
_LOOKS, _GROWTH, _FEW = 3, 5, 20

# Candidates whose requirements are settled at once while one is looked for that meets them; and how often.
_AT_ONCE, _TRIES = 16, 12
# More than these, the most promising ones, are not carried into the long stages.
_MOST_CARRIED = 500
_MOST_SHOWN = 5
_FEWEST_NEW_WORLDS = 2000


def tune(
    scenario: Scenario,
    policy: Any = None,
    *,
    minimize: Measure | str | None = None,
    maximize: Measure | str | None = None,
    requirements: Sequence[Requirement | str] | None = None,
    vary: Mapping[str, Iterable[Any]] | None = None,
    candidates: int = 2000,
    worlds: int = 100,
    indifference: float | None = None,
    budget: int | None = None,
    most_rollouts: int = 1_000_000,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    workers: int = 1,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> Tuning:
    r"""Search the levers of a policy for the least expected cost, or the best of any response, under constraints.

    Parameters
    ----------
    scenario : Scenario
    policy : str, mapping, spec or document, optional
        The current policy, as for `Scenario.policy`; by default the scenario's first. Keys that are no levers stay as
        they are in it.
    minimize, maximize : Measure or str, optional
        One of them: a mean or a rate, also given a sort or kind of release. By default the expected cost, if the scenario
        has costs.
    requirements : sequence of Requirement or str, optional
        What the choice must meet, such as ``"false_alarm given good <= 1%"``. By default the scenario's requirements for
        this policy and for every policy.
    vary : mapping of str to iterable, optional
        Values by key, as for `sweep`: their grid is searched. By default strategy, sizes of waves and canaries, failure
        limits, `max_error_rate`, time of observation and deadline, in steps that suit the fleet.
    candidates : int, default 2000
        Of more combinations, so many are drawn at random.
    worlds : int, default 100
        In which every candidate is tried.
    indifference : float, optional
        The smallest difference that matters, in the objective's unit. By default 5 % of the best candidate's value in
        the first stage, of a rate half a percentage point.
    budget : int, optional
        Rollouts that choosing among the remaining candidates may cost. Then they are spent where they help most
        (OCBA), instead of as many as the stated probability needs.
    most_rollouts : int, default 1,000,000
        That each of the stages after the first may cost; more only where its first look needs them.
    confidence_level : float, default 0.95
        The probability of correct selection, and the level of intervals and verdicts.
    seed, engine, workers
        As for `sweep`.
    store : path-like, optional
        A folder for all rollouts. The same call again goes on where an earlier one ended, however it ended.
    progress : bool or callable
        As for `sweep`; the total grows from stage to stage.

    Returns
    -------
    Tuning

    Raises
    ------
    InputError
        Before anything is simulated, if the question makes no sense.
    StoreError
        If the folder can't be written to.

    Notes
    -----
    Stages meet worlds that no earlier stage has met, and within a stage all candidates meet the same ones.

    1. Every candidate in `worlds` worlds. Those whose rollouts are equal in all of them are taken for one, the
       one that differs least from the current policy; those that surely miss a requirement are left out.
    2. With requirements: some promising candidates are simulated until one is known to meet them all.
    3. Whatever is surely worse than a candidate that is known to meet the requirements is left out, by paired
       differences with Bonferroni's inequality over all candidates: subset selection after Nelson, Swann, Goldsman and
       Song (2001) [1]_; twice more if many are left, in 5 and 25 times as many worlds, each time with a third of the
       error. The best candidate survives with probability :math:`1 - \alpha/2`.
    4. With requirements: the survivors' are settled, too.
    5. Selection by the procedure of Kim and Nelson (2001) [2]_ under common random numbers, with error :math:`\alpha/2`:
       a candidate that is better than all others by `indifference` is chosen with probability :math:`1 - \alpha`.
       Averages of 50 worlds are its observations. Or, under `budget`, by OCBA (Chen, Lin, Yücesan and Chick 2000 [3]_).
    6. The choice, runners-up, the current policy and the API's defaults in new worlds: their estimates owe nothing to
       having been chosen. A choice that turns out to miss a requirement there is dropped, and stage 5 repeated.

    The API's defaults are the current policy with limits, `max_error_rate` and the time of observation left
    to their defaults; strategy, sizes of waves and canaries and the deadline, for which the API has no useful
    default, stay.

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
    >>> tune(scenario, vary={"max_parallel": [1, 2]}, worlds=2, engine="reference").choice
    {'max_parallel': 2}
    """
    question = read_question(
        scenario, policy, minimize, maximize, requirements,
        candidates=candidates, worlds=worlds, indifference=indifference, budget=budget, most_rollouts=most_rollouts,
        confidence_level=confidence_level,
    )  # fmt: skip
    tried = make_candidates(scenario, question.base, vary, most=candidates, seed=seed)
    simulated = Worlds(
        scenario, question.base, tried, question.measures,
        store=store, report=as_reporter(progress), seed=seed, engine=engine, workers=workers,
    )  # fmt: skip
    return _Search(scenario, question, tried, simulated).run()


class _NoValueError(Exception):
    """Candidates of which a rollout has no value, after many that had."""

    def __init__(self, numbers: np.ndarray) -> None:
        super().__init__(numbers)
        self.numbers = numbers


class _Search:
    """The stages of one call; `next_world` is the first that no stage has met."""

    def __init__(self, scenario: Scenario, question: Question, candidates: Candidates, worlds: Worlds) -> None:
        self._scenario, self._question = scenario, question
        self._candidates, self._worlds = candidates, worlds
        self._next_world = 0
        self._alpha = 1 - question.confidence_level
        self._found = Findings(candidates)

    def run(self) -> Tuning:
        """Run the stages."""
        question, found = self._question, self._found
        values = self._try_all()
        certified = self._find_feasible(values)
        if len(certified):
            certified = self._settle(self._screen(values, certified), certified)
        while len(certified):
            try:
                selection = self._select(certified)
            except _NoValueError as error:
                found.rule_out(error.numbers, NEVER_ENDS)
                certified = certified[found.is_open[certified]]
                continue
            shown = self._shown(selection)
            held_back = self._find_held_back(selection.best)
            shown = list(dict.fromkeys([*shown, *held_back.values()]))
            measured, alpha = self._confirm(shown)
            if judge(measured, question.requirements, alpha).overall[0] != MISSED:
                confirmed = Confirmed(selection, tuple(shown), measured, held_back, alpha)
                return report(self._scenario, question, found, confirmed, self._indifference)
            found.rule_out(np.array(shown[:1]), MISSES)
            certified = certified[certified != selection.best]
        return report(self._scenario, question, found, None, self._indifference)

    def _try_all(self) -> np.ndarray:
        """Try every candidate; return the objective's observations, and rule out what is not worth pursuing."""
        question, found = self._question, self._found
        numbers = np.arange(len(self._candidates))
        measured = self._measure("try all", numbers, question.worlds)
        values = self._observations(measured)
        found.note_estimates(values.mean(axis=1) * question.sign, question.worlds)
        found.rule_out(numbers[np.isnan(values).any(axis=1)], NEVER_ENDS)
        found.merge_equal([values, *(measured[r.measure] for r in question.requirements)])
        judged = judge(measured, question.requirements, self._alpha)
        found.note_requirements(judged.estimates, question.requirements)
        found.rule_out(numbers[judged.overall == MISSED], MISSES)
        return values

    def _find_feasible(self, values: np.ndarray) -> np.ndarray:
        """Look among the most promising candidates for some that surely meet the requirements; without any, all do."""
        numbers = self._found.open_numbers()
        if not self._question.requirements:
            return numbers
        looks_fine = self._found.looks_feasible[numbers]
        order = numbers[np.lexsort([values[numbers].mean(axis=1), ~looks_fine])]
        for start in range(0, min(len(order), _AT_ONCE * _TRIES), _AT_ONCE):
            some = order[start : start + _AT_ONCE]
            met: np.ndarray = some[self._settle_some(some, enough=1) == MET]
            if len(met):
                return met
        none: np.ndarray = order[:0]
        return none

    def _settle(self, survivors: np.ndarray, certified: np.ndarray) -> np.ndarray:
        """Settle the requirements of whatever survived; return all that surely meet them."""
        is_known = np.isin(survivors, certified)
        unknown = survivors[~is_known]
        if not len(unknown):
            return survivors
        verdicts = self._settle_some(unknown)
        self._found.rule_out(unknown[verdicts == UNDECIDED], NOT_KNOWN)
        return np.concatenate([survivors[is_known], unknown[verdicts == MET]])

    def _settle_some(self, numbers: np.ndarray, *, enough: int | None = None) -> np.ndarray:
        question = self._question
        before = self._worlds.done
        verdicts, end = settle(
            self._worlds.measure, numbers, question.requirements, enough=enough, alpha=self._alpha,
            first=self._next_world, fewest=question.worlds, most=max(question.worlds, self._most_worlds(numbers)),
        )  # fmt: skip
        self._note("settle", len(numbers), end - self._next_world, before)
        self._next_world = end
        self._found.rule_out(numbers[verdicts == MISSED], MISSES)
        return verdicts

    def _screen(self, values: np.ndarray, certified: np.ndarray) -> np.ndarray:
        """Leave out what is surely worse than something that surely meets the requirements, in ever more worlds."""
        question = self._question
        numbers = self._found.open_numbers()
        values = values[numbers]
        for look in range(_LOOKS):
            rivals = np.flatnonzero(np.isin(numbers, certified))
            means = values.mean(axis=1)
            kept = screen(values, alpha=self._alpha / 2 / _LOOKS, rivals=rivals)
            # What costs much and happens seldom may not have happened yet: a lead that doesn't matter decides nothing.
            kept |= means <= means[rivals].min() + self._indifference
            self._found.rule_out(numbers[~kept], RULED_OUT)
            numbers, values = numbers[kept], values[kept]
            n_more = min(question.worlds * _GROWTH ** (look + 1), self._most_worlds(numbers)) - values.shape[1]
            if look == _LOOKS - 1 or len(numbers) <= _FEW or n_more <= 0:
                break
            more = self._observations(self._measure("screen", numbers, n_more))
            has_value = ~np.isnan(more).any(axis=1)
            self._found.rule_out(numbers[~has_value], NEVER_ENDS)
            numbers, values = numbers[has_value], np.concatenate([values, more], axis=1)[has_value]
            if not np.isin(numbers, certified).any():
                break
        order = np.argsort(values.mean(axis=1), kind="stable")
        self._found.rule_out(numbers[order[_MOST_CARRIED:]], RULED_OUT)
        self._found.is_cut = len(numbers) > _MOST_CARRIED
        return np.sort(numbers[order[:_MOST_CARRIED]])

    def _select(self, numbers: np.ndarray) -> Selection:
        question, n0 = self._question, _FIRST_BATCHES
        most = max(n0 * _BATCH, self._most_worlds(numbers))
        before, first = self._worlds.done, self._next_world
        if question.budget is None:
            selection = select_kim_nelson(
                self._sample, numbers, start=first, n0=n0, batch=_BATCH, most=most,
                indifference=self._indifference, alpha=self._alpha / 2,
            )  # fmt: skip
        else:
            budget = max(question.budget, n0 * _BATCH * len(numbers))
            selection = select_ocba(
                self._sample, numbers, start=first, n0=n0 * _BATCH, step=max(budget // _STEPS, _BATCH), budget=budget
            )
        used = int(selection.n_used.max())
        self._note("select", len(numbers), used, before)
        self._next_world = first + used
        return selection

    def _sample(self, candidates: np.ndarray, first: int, count: int) -> np.ndarray:
        values = self._observations(self._worlds.measure(candidates, first, count))
        has_value = ~np.isnan(values).any(axis=1)
        if not has_value.all():
            raise _NoValueError(candidates[~has_value])
        return values

    def _observations(self, measured: Mapping[Measure, np.ndarray]) -> np.ndarray:
        """Return what is to be minimised."""
        question = self._question
        observations: np.ndarray = question.sign * unconditional(
            measured[question.objective], question.objective, self._scenario
        )
        return observations

    def _measure(self, stage: str, numbers: Sequence[int] | np.ndarray, count: int) -> dict[Measure, np.ndarray]:
        before = self._worlds.done
        measured = self._worlds.measure(numbers, self._next_world, count)
        self._next_world += count
        self._note(stage, len(numbers), count, before)
        return measured

    @cached_property
    def _indifference(self) -> float:
        return self._question.indifference or self._found.default_indifference(self._question)

    def _confirm(self, shown: Sequence[int]) -> tuple[dict[Measure, np.ndarray], float]:
        """Simulate in new worlds, until it is clear whether the choice meets the requirements; return the error of that."""
        count = max(_FEWEST_NEW_WORLDS, self._question.worlds)
        most = max(count, self._question.most_rollouts // len(shown))
        alpha = self._alpha / (1 + int(math.log2(most / count)))
        measured = self._measure("confirm", shown, count)
        while 2 * count <= most and judge(measured, self._question.requirements, alpha).overall[0] == UNDECIDED:
            more = self._measure("confirm", shown, count)
            measured = {name: np.concatenate([values, more[name]], axis=1) for name, values in measured.items()}
            count *= 2
        return measured, alpha

    def _note(self, stage: str, candidates: int, worlds: int, before: tuple[int, int]) -> None:
        rollouts, node_updates = (now - then for now, then in zip(self._worlds.done, before, strict=True))
        self._found.note_stage(stage, candidates, worlds, rollouts, node_updates)

    def _most_worlds(self, numbers: np.ndarray) -> int:
        return self._question.most_rollouts // len(numbers)

    def _shown(self, selection: Selection) -> list[int]:
        """Return what is simulated in new worlds: the choice first, then its nearest rivals, then what there is today."""
        order = np.lexsort([selection.means, -selection.n_used])  # who was dropped last came nearest
        others = [number for number in selection.candidates[order].tolist() if number != selection.best]
        today = [self._candidates.roles[role] for role in (CURRENT, DEFAULTS)]
        return list(dict.fromkeys([int(selection.best), *others[:_MOST_SHOWN], *today]))

    def _find_held_back(self, choice: int) -> dict[str, int]:
        """Find what might be chosen if one requirement were dropped: the best of a few in more worlds, by requirement."""
        held_back = {}
        for name, numbers in self._found.find_held_back(self._question, choice, _AT_ONCE).items():
            measured = self._measure("without one", numbers, self._question.worlds * _GROWTH)
            held_back[name] = int(numbers[np.nanargmin(self._observations(measured).mean(axis=1))])
        return held_back
