"""The requested precision of an estimate, absolute or relative, and when it is reached."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.measuring import read_measures
from simdeploy.analysis.asking.requirements import why_impossible
from simdeploy.errors import InputError, Problem, collect, plural, raise_if_any, shorten
from simdeploy.scenario.measures import Measure, measure_problems, of_text, parse_amount
from simdeploy.statistics.sample import Sample, as_sample
from simdeploy.statistics.skewness import fewest_of_a_mean, standardised_moment
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario
    from simdeploy.scenario.parts import Costs
    from simdeploy.statistics.estimators import Estimate

# A mapping from str is included explicitly, because keys of mappings are invariant.
Targets = Mapping[Measure | str, float | str] | Mapping[str, float | str] | Mapping[str, str]

_POINTS, _RELATIVE = "pp", "relative"

FIRST_LOOK = 100
# 100 rollouts miss an event of one rollout in a hundred one time in three, 500 one time in 150.
FEWEST_OF_A_MEAN = 500


@dataclass(frozen=True)
class Target:
    """Largest half-width of a measure's interval: in the measure's unit, or as a fraction of the estimate.

    Examples
    --------
    >>> from simdeploy.scenario.measures import parse_measure
    >>> str(parse_target("5s", parse_measure("makespan_s"))), str(parse_target("10% relative", parse_measure("escaped")))
    ('makespan_s to 5', 'escaped to 10 % of the estimate')
    """

    measure: Measure
    half_width: float
    is_relative: bool = False

    def limit(self, estimate: float) -> float:
        r"""Return the largest half-width allowed for an estimate.

        Notes
        -----
        For a relative target :math:`\gamma` it is :math:`\gamma / (1 + \gamma)` of the estimate. If the interval
        contains the true value :math:`\mu`, a half-width of at most :math:`\gamma' |\hat\mu|` means
        :math:`|\hat\mu - \mu| \le \gamma' |\hat\mu| \le \gamma' (|\mu| + |\hat\mu - \mu|)`, hence an error of at most
        :math:`\gamma' / (1 - \gamma') = \gamma` of the true value (Law 2015 [1]_, section 9.4.1).

        References
        ----------
        .. [1] Law, A. M. (2015). Simulation Modeling and Analysis, 5th edition. McGraw-Hill.

        Examples
        --------
        >>> round(Target(Measure("makespan_s"), 0.25, is_relative=True).limit(100.0), 9)
        20.0
        """
        return self.half_width / (1 + self.half_width) * abs(estimate) if self.is_relative else self.half_width

    def __str__(self) -> str:
        amount = f"{100 * self.half_width:g} % of the estimate" if self.is_relative else f"{self.half_width:g}"
        return f"{self.measure} to {amount}"


def parse_target(text: str, measure: Measure) -> Target:
    """Parse a half-width: in the measure's unit, ``5`` or ``5s`` for a time, ``0.01`` or ``1pp`` (percentage points)
    for a fraction; relative to the estimate, ``5% relative``, or ``5%`` for a measure that is not shown as a
    percentage.

    ``1%`` of a fraction is ambiguous, hence an `InputError`.

    Examples
    --------
    >>> false_alarm = Measure("false_alarm")
    >>> parse_target("1pp", false_alarm).half_width, parse_target("5%", Measure("makespan_s")).is_relative
    (0.01, True)
    >>> parse_target("1%", false_alarm)
    Traceback (most recent call last):
    simdeploy.errors.InputError: false_alarm: ambiguous percentage (found '1%'); allowed: 1pp (the same as 0.01), or 1% relative
    """
    asked = text.strip()
    amount, is_relative = asked.removesuffix(_RELATIVE).strip(), asked.endswith(_RELATIVE)
    is_share = amount.endswith("%")
    if is_share and not is_relative and measure.is_fraction:
        share = amount[:-1].strip()
        allowed = f"{share}{_POINTS} (the same as {_percent_as_fraction(share)}), or {share}% {_RELATIVE}"
        message = "ambiguous percentage"
        raise InputError(Problem(message, (str(measure),), found=shorten(asked), allowed=allowed))
    try:
        if is_share:
            return _checked(Target(measure, float(amount[:-1]) / 100, is_relative=True), asked)
        if measure.is_fraction and amount.endswith(_POINTS):
            amount = amount.removesuffix(_POINTS) + "%"
        if not is_relative:
            return _checked(Target(measure, parse_amount(amount, measure)), asked)
    except (ValueError, InputError) as error:
        if isinstance(error, InputError) and error.problems[0].message != "invalid amount":
            raise
    raise InputError(_not_a_target(measure, asked))


def read_targets(targets: Targets, scenarios: Collection[Scenario]) -> tuple[tuple[Target, ...], Costs | None]:
    """Return targets, parsed if they are text, and the costs for their measures.

    A number is a half-width in the measure's unit; text is as for `parse_target`. Each measure must be possible in at
    least one scenario, and all scenarios must have the same costs if a measure uses them; an `InputError` lists
    everything wrong.
    """
    if not isinstance(targets, Mapping) or not targets:
        allowed = 'a mapping from measures to half-widths, such as {"makespan_s": "5s"}'
        raise InputError(Problem("no target", ("targets",), found=shorten(targets), allowed=allowed))
    wanted: list[Target] = []
    problems: list[Problem] = []
    for asked, amount in targets.items():
        with collect(problems):
            target = _read_target(read_measures([asked])[0], amount)
            if any(target.measure == other.measure for other in wanted):
                problems.append(Problem("two targets for one measure", ("targets",), found=str(target.measure)))
            problems += of_text(str(target.measure), _impossible(target.measure, scenarios))
            wanted.append(target)
    costs = {scenario.costs for scenario in scenarios}
    if len(costs) > 1:
        hint = "use one scenario at a time"
        problems += [
            Problem("the scenarios have different costs", (str(target.measure),), hint=hint)
            for target in wanted
            if target.measure.of in COSTS
        ]
    raise_if_any(problems)
    return tuple(wanted), next(iter(costs)) if len(costs) == 1 else None


def _read_target(measure: Measure, amount: Any) -> Target:
    if isinstance(amount, str):
        return parse_target(amount, measure)
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        raise InputError(_not_a_target(measure, amount))
    return _checked(Target(measure, float(amount)), amount)


def _checked(target: Target, asked: Any) -> Target:
    most = 1 if target.is_relative else math.inf
    if not 0 < target.half_width < most:
        raise InputError(_not_a_target(target.measure, asked))
    return target


def _not_a_target(measure: Measure, asked: Any) -> Problem:
    if measure.is_fraction:
        allowed = "above 0: percentage points such as 1pp, the same as 0.01; or relative such as 10% relative"
    else:
        absolute = "5 or 5s" if measure.is_duration else "5"
        allowed = f"above 0: a half-width such as {absolute}; or relative such as 5%"
    return Problem("invalid half-width", (str(measure),), found=shorten(asked), allowed=allowed)


def _impossible(measure: Measure, scenarios: Collection[Scenario]) -> list[Problem]:
    """Return why no replication of these scenarios can measure something; paths are the measure's keys."""
    kinds = tuple(dict.fromkeys(kind.name for scenario in scenarios for kind in scenario.release))
    problems = measure_problems(measure, kinds, has_costs=any(scenario.costs is not None for scenario in scenarios))
    reasons = [why_impossible(measure, scenario, scenario.identity.type) for scenario in scenarios]
    if not problems and None not in reasons:
        problems = [Problem(str(reasons[0]))]
    return problems


def _percent_as_fraction(share: str) -> str:
    try:
        return f"{float(share) / 100:g}"
    except ValueError:
        return "0.01"


def plan_looks(most: int) -> tuple[int, ...]:
    """Return the numbers of replications at which to look: 100, 200, 500, 1,000, 2,000, ..., up to `most`.

    They don't depend on results, and a run resumed with a larger `most` has the same looks.

    Examples
    --------
    >>> plan_looks(2500), plan_looks(99)
    ((100, 200, 500, 1000, 2000), ())
    """
    looks: list[int] = []
    decade = FIRST_LOOK
    while decade <= most:
        looks += [step * decade for step in (1, 2, 5) if step * decade <= most]
        decade *= 10
    return tuple(looks)


def why_not_yet(values: np.ndarray | Sample, estimate: Estimate, target: Target) -> str:
    r"""Return why an estimate of these values, ignoring NaN, isn't precise enough; empty if it is.

    Notes
    -----
    Stopping at the first narrow interval favours looks that underestimate the variance, and with it the mean of skewed
    values. Such intervals have their nominal coverage only in the limit of narrow intervals (Chow and Robbins 1965
    [1]_). Intervals of rates and quantiles are conservative enough. A mean also needs:

    - at least 500 values, so that rare events are likely to be seen;
    - at least 25 times the square of their skewness (Cochran 1977 [2]_, section 2.15);
    - a half-width that would be narrow enough even if the variance were larger by its own standard error, whose ratio
      to the variance is :math:`\sqrt{(b_2 - 1)/n}`, with kurtosis :math:`b_2` (Cramér 1946 [3]_, section 27.4).

    References
    ----------
    .. [1] Chow, Y. S. and Robbins, H. (1965). On the asymptotic theory of fixed-width sequential confidence intervals for
       the mean. Annals of Mathematical Statistics 36(2), 457-462.
    .. [2] Cochran, W. G. (1977). Sampling Techniques, 3rd edition. Wiley.
    .. [3] Cramér, H. (1946). Mathematical Methods of Statistics. Princeton University Press.

    Examples
    --------
    >>> import numpy as np
    >>> from simdeploy.statistics.estimators import estimate_values
    >>> from simdeploy.analysis.estimates.targets import parse_target
    >>> from simdeploy.scenario.measures import Measure
    >>> values, measure = np.tile([60.0, 80.0], 250), Measure("makespan_s")
    >>> found = estimate_values(values, measure, 0.95)
    >>> [why_not_yet(values, found, parse_target(text, measure)) for text in ("1s", "0.5s")]
    ['', 'the interval is wider than requested']
    """
    if not estimate.n:
        return "no replication has a value"
    limit = target.limit(estimate.estimate)
    if target.is_relative and limit == 0:
        return "the estimate is 0, so a relative width is undefined"
    if math.isnan(estimate.half_width):
        return f"{plural(estimate.n, 'value is', 'values are')} too few for a confidence interval"
    widening = 1.0
    if target.measure.kind == "mean":
        if estimate.n < FEWEST_OF_A_MEAN:
            return f"a mean needs at least {FEWEST_OF_A_MEAN:,} values; there are {estimate.n:,}"
        sample = as_sample(values)
        fewest = float(fewest_of_a_mean(sample.values)) if sample.strata.n == 1 else 0.0
        if estimate.n < fewest:
            return f"a mean of values this skewed needs at least {math.ceil(fewest):,}; there are {estimate.n:,}"
        if not estimate.is_trusted:
            return "values this skewed, or all equal, or kinds of release this rare, need more replications"
        widening = math.sqrt(1 + _error_of_variance(sample))
    return "" if estimate.half_width * widening <= limit else "the interval is wider than requested"


def _error_of_variance(sample: Sample) -> float:
    """Return the standard error of the variance of a mean, relative to it: of its sum over strata."""
    variances, errors = [], []
    for place, columns in enumerate(sample.strata.columns):
        known = sample.values[columns]
        known = known[~np.isnan(known)]
        if len(known) > 1:
            scale = float(sample.strata.probabilities[..., place]) ** 2 / len(known)
            variances.append(scale * float(known.var(ddof=1)))
            errors.append(variances[-1] * math.sqrt((float(standardised_moment(known, 4)) - 1) / len(known)))
    total = sum(variances)
    return math.hypot(*errors) / total if total else 0.0


def count_needed(n: int, estimate: Estimate, target: Target) -> float:
    """Return about how many replications would be enough, given this half-width; NaN if unknown.

    The half-width falls with the square root of the number (Law 2015, *Simulation Modeling and Analysis*, eq. 9.2 and
    9.3).
    """
    limit = target.limit(estimate.estimate)
    return n * (estimate.half_width / limit) ** 2 if limit > 0 else math.nan
