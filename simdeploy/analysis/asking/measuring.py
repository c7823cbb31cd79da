"""Values of any measure, by case and replication, from a table of replications: the start of every analysis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.columns import find_columns, names_kind
from simdeploy.analysis.asking.known import Known
from simdeploy.analysis.asking.pricing import describe_costs, find_amounts, find_costs, find_extra, find_prices
from simdeploy.errors import InputError, Problem, collect, raise_if_any, shorten
from simdeploy.experiments.gathering import Batches, Gathered, gather, refuse_others
from simdeploy.experiments.kinds import Kinds, is_divided
from simdeploy.scenario.measures import ON_DEFECTIVE, PASSED, SORTS, Measure, measure_problems, of_text, parse_measure
from simdeploy.statistics.sample import UNBOUNDED, Lump, Sample, Strata, count_for_trust
from simdeploy.vocabulary import CAUSES, COSTS, STATES, VERDICTS, WEIGHT

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.scenario.parts import Costs
    from simdeploy.world.release import ReleaseKind

# Columns that show for which rollouts a measure is unknown.
_SHOW_UNKNOWN = ("makespan_s", "release", "touched_nodes")


class Values:
    """The replications of a table, ready to be measured.

    Raises
    ------
    InputError
        Lists everything wrong with the table or a measure.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({
    ...     "policy": ["a"] * 3, "replication": range(3), "makespan_s": [60.0, 80.0, 70.0],
    ...     "verdict": ["completed_good", "escaped", "false_alarm"], "release": ["good", "bad", "good"],
    ... })
    >>> values = Values(table, ["makespan_s given good", "false_alarm"])
    >>> [values.of(measure).tolist() for measure in values.measures]
    [[[60.0, nan, 70.0]], [[0.0, 0.0, 1.0]]]
    """

    def __init__(
        self,
        # From `replicate`, `sweep` or `read_store`. Row order and further columns are irrelevant.
        responses: pd.DataFrame | Batches | Gathered,
        measures: Sequence[Measure | str],  # measures to evaluate; only the columns they need are read
        *,
        costs: Costs | None = None,  # for the measures `cost` and `cost_...`; by default those recorded with the table
        # The scenario's. Without it, verdicts show whether a kind is defective, if there are any.
        release: Sequence[ReleaseKind] = (),
        takes_weights: bool = False,  # whether the caller uses `weights`; otherwise a weighted table is an error
    ) -> None:
        refuse_others(responses)
        self.measures = read_measures(measures)
        self.kinds: tuple[str, ...] = ()  # names of the kinds of release, if they were simulated separately
        known = find_costs(responses, costs)
        self._costs = costs = None if isinstance(known, Mapping) else known
        self._release = {kind.name: float(kind.defective) for kind in release}
        needed = list(dict.fromkeys(name for measure in self.measures for name in find_columns(measure, costs)))
        # Without a release column, verdicts show whether a release was defective.
        self._has_release_column = "release" in responses.columns
        if not self._has_release_column and not any(names_kind(measure) for measure in self.measures):
            needed = [name for name in needed if name != "release"]
        if costs is None:
            missing = [m for m in self.measures if m.of in COSTS]
            if missing:
                hint = "pass the scenario's costs"
                raise InputError([Problem("no costs", (str(measure),), hint=hint) for measure in missing])
        further = [name for name in _SHOW_UNKNOWN if name not in needed and name in responses.columns]
        # Whether the replications were made under a tilt.
        self.is_weighted = takes_weights and WEIGHT in responses.columns and not is_divided(responses)
        gathered = gather(responses, [*needed, *further, *((WEIGHT,) if self.is_weighted else ())])
        self.cases = gathered.cases  # one row per case: `policy` and other identifying columns
        self.replications = gathered.replications  # numbers of the replications
        self.n_replications = len(self.replications)
        # Kinds of release that were simulated separately; otherwise a single stratum.
        self.strata = self._divide(gathered.kinds if is_divided(responses) else None)
        self._known = Known(gathered.kinds, self.strata, self.kinds, costs)
        self._outcomes = gathered.outcomes
        self._read = frozenset((*needed, *further))
        recorded = () if gathered.kinds is None else gathered.kinds.names
        kinds = (*self._outcomes.codes("release")[1], *self._release, *recorded) if "release" in needed else None
        problems = [p for m in self.measures for p in of_text(str(m), measure_problems(m, kinds))]
        raise_if_any(problems)

    @property
    def counted_under(self) -> dict[str, Any]:
        """What the values depend on besides the table's `computed_under`: see `describe_costs`."""
        return describe_costs(self._costs, self.measures)

    @property
    def is_ok(self) -> np.ndarray:
        """Whether a replication is present and did not fail, by case and replication."""
        return self._outcomes.is_ok

    @property
    def weights(self) -> np.ndarray:
        """Weight of each replication, by case and replication; 1 without a tilt, NaN for failures."""
        if self.is_weighted:
            return self._outcomes.numbers(WEIGHT)
        return np.where(self.is_ok, 1.0, np.nan)

    def of(self, measure: Measure) -> np.ndarray:
        """Return the values of one of `measures`, by case and replication.

        An event is 1 or 0. NaN without a value, where the condition doesn't hold, or for a kind of release that a case doesn't have.
        """
        values = self._number(measure.of) if measure.kind != "rate" else self.holds(measure.of)
        if measure.given is not None:
            values = np.where(self.holds(measure.given) == 1, values, np.nan)
        return values if self._occurs.all() else np.where(self._occurs, values, np.nan)

    def sample(self, measure: Measure) -> Sample:
        """Return the values with the strata and lumps (costs that verdicts add) that their estimates need.

        Where the probability of a verdict is known, it replaces the verdict: in rates, and, times its price, in costs. A
        world's cost is then the mean over the verdicts it might have (`Sample.as_drawn` reverts that).
        """
        values, known = self.of(measure), self._known.rates(measure)
        is_certain, drawn = self._known.certain(measure), None
        least = -math.inf if (values < 0).any() else 0.0
        lumps = tuple(self._lumps(measure, values, known))
        if measure.kind == "rate" and measure.of in known:
            is_known, drawn = ~np.isnan(known[measure.of]), values
            known_rates = known[measure.of][:, self.strata.of]
            values = np.where(is_known[:, self.strata.of] & ~np.isnan(values), known_rates, values)
            is_certain = is_certain | is_known
        for lump in lumps:
            values = values - lump.surprises(self.strata)
        return Sample(
            values,
            self.strata,
            lumps=lumps,
            is_certain=is_certain,
            drawn=drawn,
            made=None if self.strata.n == 1 or self.is_ok.all() else self.is_ok,
            covers=self._known.covers(measure),
            selects=self._known.selects(measure),
            n_expected=np.broadcast_to(self._known.expected(measure, self._counts), len(self.cases)),
            bounds=(0.0, 1.0) if measure.is_fraction else UNBOUNDED,
            least=least,
        )

    def is_unknown(self, measure: Measure) -> np.ndarray:
        """Return which rollouts that one of `measures` covers, or may cover, have an unknown value because they never
        end.

        None in a table without makespans, which doesn't show what never ends.
        """
        if "makespan_s" not in self._read:
            return np.zeros(self.is_ok.shape, dtype=bool)
        never_ends = np.isnan(self._number("makespan_s"))
        is_unknown: np.ndarray = self.may_concern(measure) & never_ends & np.isnan(self.of(measure))
        return is_unknown

    def unknown_fractions(self, measure: Measure) -> np.ndarray:
        """Return by case the fraction of a measure's rollouts with unknown value, because they never end.

        Such a rollout may become the most expensive of all, so a mean over the others says little. Failed replications
        are not counted.
        """
        meant, unknown = self.count_unknown(measure)
        return unknown / np.where(meant > 0, meant, 1.0)

    def count_unknown(self, measure: Measure) -> tuple[np.ndarray, np.ndarray]:
        """Return by case how many rollouts a measure covers, or may cover, and how many of them have an unknown value."""
        return self._count(self.may_concern(measure)), self._count(self.is_unknown(measure))

    def _count(self, is_true: np.ndarray) -> np.ndarray:
        """Count the worlds in which something is true, by case; strata are weighted by their probabilities."""
        if self.strata.n == 1:
            return np.asarray(is_true.sum(axis=1))
        shares = self._count_by_stratum(is_true) / np.maximum(self._count_by_stratum(self.is_ok), 1)
        count: np.ndarray = self.n_replications * (shares * self.strata.probabilities).sum(axis=1)
        return count

    def may_concern(self, measure: Measure) -> np.ndarray:
        """Return which rollouts a measure covers, as far as known: those whose condition isn't ruled out.

        A rollout without a verdict may still get any that its release allows.
        """
        given = measure.given
        is_counted: np.ndarray = self.is_ok & self._occurs
        if given is None:
            return is_counted
        is_ruled_out = self.holds(given) == 0
        if given in VERDICTS and "release" in self._read:
            is_ruled_out |= self.holds("good" if given in ON_DEFECTIVE else "defective") == 1
        is_possible: np.ndarray = is_counted & ~is_ruled_out
        return is_possible

    def holds(self, event: str) -> np.ndarray:
        """Return 1 where an event that `measures` name holds, 0 where it doesn't, NaN where unknown; by case and
        replication.
        """
        if event in VERDICTS:
            known = self._outcomes.codes("verdict")[0] >= 0
            return _indicator(self._has_verdict(event), known)
        if event in STATES:
            codes, words = self._outcomes.codes("state")
            return _indicator(codes == _place(words, event), codes >= 0)
        if event == PASSED:
            went_on = (self._outcomes.numbers("waves") > 1) | (self.holds("completed") == 1)
            return _indicator(went_on, self.is_ok)
        if event in SORTS and not self._has_release_column:
            verdicts = np.array([*(float(word in ON_DEFECTIVE) for word in self._outcomes.codes("verdict")[1]), np.nan])
            is_defective: np.ndarray = verdicts[self._outcomes.codes("verdict")[0]]
            return is_defective if event == "defective" else 1 - is_defective
        codes, words = self._outcomes.codes("release")
        if event in SORTS:
            defective: np.ndarray = np.array([*(self._defective.get(word, np.nan) for word in words), np.nan])[codes]
            return defective if event == "defective" else 1 - defective
        return _indicator(codes == _place(words, event), codes >= 0)

    @cached_property
    def _counts(self) -> np.ndarray:
        """Numbers of worlds that count for trust, by stratum, or by case and stratum."""
        if self.strata.n == 1 or self.is_ok.all():
            return self.strata.counts
        return count_for_trust(self.strata.counts, self._count_by_stratum(self.is_ok))

    def _count_by_stratum(self, is_true: np.ndarray) -> np.ndarray:
        return np.stack([is_true[:, columns].sum(axis=1) for columns in self.strata.columns], axis=1)

    @cached_property
    def _occurs(self) -> np.ndarray:
        """Whether a case may have the kind of release of a replication: a varied probability may be 0."""
        occurs: np.ndarray = self.strata.probabilities > 0
        return np.ones(1, dtype=bool) if occurs.all() else occurs[..., self.strata.of]

    def _number(self, name: str) -> np.ndarray:
        if name == "cost":
            total: np.ndarray = np.sum([self._number(cause) for cause in CAUSES], axis=0)
            return total
        if name in CAUSES:
            assert self._costs is not None  # noqa: S101 - checked at the door
            return find_amounts(name, self._costs, self._outcomes.numbers, self._has_verdict)
        return self._outcomes.numbers(name)

    def _divide(self, kinds: Kinds | None) -> Strata:
        if kinds is None:
            return Strata(np.zeros(self.n_replications, dtype=np.int64), np.ones(1))
        self.kinds = kinds.possible
        return Strata(*kinds.divide(self.replications))

    def _lumps(self, measure: Measure, values: np.ndarray, known: Mapping[str, np.ndarray]) -> Iterator[Lump]:
        """Yield what priced verdicts add to a cost: their price, and how much more rollouts with them cost otherwise.

        Causes other than verdicts have lumps only where the verdicts' probabilities are known, so that causes add up to the cost.
        """
        prices = {} if measure.kind != "mean" else find_prices(measure, self._costs)
        prices = {verdict: price for verdict, price in prices.items() if price or verdict in known}
        if not prices:
            return
        whole = replace(measure, of="cost")
        happened = {verdict: np.where(np.isnan(values), np.nan, self._has_verdict(verdict)) for verdict in VERDICTS}

        def rest_of(values: np.ndarray, prices: Mapping[str, float]) -> np.ndarray:
            return values - sum(price * happened[verdict] for verdict, price in prices.items())

        of_all = rest_of(values if measure == whole else self.of(whole), find_prices(whole, self._costs))
        rest = of_all if measure == whole else rest_of(values, prices)
        for verdict, price in prices.items():
            sizes = np.zeros(self.strata.n)
            for place, columns in enumerate(self.strata.columns):
                if self._known.allows(place, verdict):
                    extra = find_extra(rest[:, columns], happened[verdict][:, columns], of_all[:, columns])
                    sizes[place] = price + extra
            rates = known.get(verdict, np.full((len(values), self.strata.n), np.nan))
            yield Lump(sizes, happened[verdict], rates)

    def _has_verdict(self, verdict: str) -> np.ndarray:
        codes, words = self._outcomes.codes("verdict")
        is_it: np.ndarray = codes == _place(words, verdict)
        return is_it

    @cached_property
    def _defective(self) -> Mapping[str, float]:
        """Whether each kind of release is defective, according to the scenario or to its rollouts' verdicts."""
        verdict_codes, verdicts = self._outcomes.codes("verdict")
        release_codes, kinds = self._outcomes.codes("release")
        known = (release_codes >= 0) & (verdict_codes >= 0)
        pairs = np.bincount(release_codes[known] * len(verdicts) + verdict_codes[known])
        of_pairs = (divmod(pair, len(verdicts)) for pair in np.flatnonzero(pairs).tolist())
        learned = {kinds[release]: float(verdicts[verdict] in ON_DEFECTIVE) for release, verdict in of_pairs}
        return learned | self._release


def read_measures(measures: Sequence[Measure | str]) -> tuple[Measure, ...]:
    """Return measures, parsed if they are text; an `InputError` lists everything wrong."""
    parsed: list[Measure] = []
    problems: list[Problem] = []
    for measure in measures:
        with collect(problems):
            if not isinstance(measure, Measure | str):
                raise InputError(Problem("no measure", found=shorten(measure), allowed='such as "makespan_s"'))
            parsed.append(parse_measure(measure) if isinstance(measure, str) else measure)
            problems += of_text(str(parsed[-1]), measure_problems(parsed[-1]))
    raise_if_any(problems)
    return tuple(parsed)


def _indicator(is_true: np.ndarray, is_known: np.ndarray) -> np.ndarray:
    return np.where(is_known, is_true.astype(np.float64), np.nan)


def _place(words: tuple[str, ...], word: str) -> int:
    """Return the index of a word; -2 for one that doesn't occur."""
    return words.index(word) if word in words else -2
