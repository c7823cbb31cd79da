"""How long attempts take: the family of distributions, its parameters, and the slowdown shared by a rollout's nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.calibration.constants import Constant, average_logs, find_constant
from simdeploy.analysis.calibration.goodness import Goodness, measure_goodness
from simdeploy.analysis.calibration.parameters import FEWEST_FOR_SPREAD, NO_SPREAD, Parameter, find_drop
from simdeploy.statistics.intervals import mean_interval
from simdeploy.statistics.lifetimes import FAMILIES, LIFETIMES, Family
from simdeploy.statistics.maximizing import Maximum, maximize, profile
from simdeploy.statistics.shared_scale import HANG, LEAST_LOG, LOCATION, SHAPE, SPREAD, SharedScale

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simdeploy.statistics.censored import Durations

# Names in a scenario file of each family's parameters: location, then shape.
NAMES: Mapping[Family, tuple[str, ...]] = {
    "exponential": ("mean",),
    "weibull": ("scale", "shape"),
    "lognormal": ("median", "sigma"),
    "gamma": ("mean", "sd"),
}
# Up to this p-value no family is used, but the law of the values themselves, if there are enough.
_REJECTED = 0.01
_FEWEST_VALUES = 50
_MOST_VALUES = 400


@dataclass(frozen=True)
class FittedDurations:
    """A law of durations."""

    parameters: tuple[Parameter, ...]  # of the law, then the spread of the slowdown
    # fits, points: rows of `Calibration.fits` and `points`
    fits: tuple[dict[str, Any], ...]
    points: tuple[dict[str, Any], ...]
    law: Any  # as a scenario file has it
    spread: float  # of the logarithm of the slowdown
    hang: float  # the fraction of attempts that hang according to this family
    hangs: np.ndarray | None = None  # by row, whether the last attempt hangs; None if that is not known


@dataclass(frozen=True)
class _Question:
    path: str
    data: Durations
    n_rollouts: int
    n_nodes: int
    confidence_level: float
    fixed: tuple[int, ...]

    @property
    def slowdown(self) -> str:
        return self.path.rpartition(".")[0] + ".slowdown.lognormal.sigma"

    def parameter(self, end: str, limits: tuple[float, float, float], **more: Any) -> Parameter:
        path = end if end == self.slowdown else f"{self.path}{end}"
        return Parameter(path, *limits, n_rollouts=self.n_rollouts, n_nodes=self.n_nodes, **more)


def fit_durations(
    path: str,  # of the law in a scenario
    data: Durations,  # grouped by rollout
    *,
    limit_s: np.ndarray,  # how long each of its rows would have been watched
    may_hang: bool,  # whether some were silent until their deadline, so that attempts may hang
    confidence_level: float,
    samples: int,  # of the bootstrap that tests the chosen family; 0 for no test
    seed: int,
    may_vary: bool = True,  # whether groups may share a slowdown
) -> FittedDurations:
    """Fit all families; choose the one with the lowest AIC of the integrated likelihood."""
    n_rollouts = len(np.unique(data.group))
    has_spread = may_vary and n_rollouts >= FEWEST_FOR_SPREAD
    fixed = (() if has_spread else (SPREAD,)) + (() if may_hang else (HANG,))
    question = _Question(path, data, n_rollouts, len(data), confidence_level, fixed)
    constant = find_constant(data, may_vary=may_vary)
    if constant is not None:
        return _fit_constant(question, constant)
    start = _find_start(data, may_hang=may_hang, has_spread=has_spread)
    models = {family: SharedScale(family, data) for family in FAMILIES}
    best = {family: model.fit(start.of(family), fixed=_fixed(family, fixed)) for family, model in models.items()}
    aic = {family: 2 * (4 - len(_fixed(family, fixed))) - 2 * best[family].value for family in FAMILIES}
    chosen = min(FAMILIES, key=aic.__getitem__)
    tests = {
        family: measure_goodness(
            models[family],
            best[family],
            data,
            limit_s=limit_s,
            fixed=_fixed(family, fixed),
            samples=samples if family == chosen else 0,
            seed=seed,
        )
        for family in FAMILIES
    }
    test = tests[chosen]
    is_rejected = test.p <= _REJECTED and len(test.values) >= _FEWEST_VALUES
    fits = [
        {
            "path": path,
            "family": family,
            "aic": aic[family],
            "difference": aic[family] - aic[chosen],
            "ks": tests[family].distance,
            "p": tests[family].p,
            "chosen": family == chosen and not is_rejected,
        }
        for family in sorted(FAMILIES, key=aic.__getitem__)
    ]
    if is_rejected:
        unknown = dict.fromkeys(("aic", "difference", "ks", "p"), math.nan)
        fits.append({"path": path, "family": "empirical", **unknown, "chosen": True})
    parameters = _find_intervals(question, models[chosen], best[chosen])
    hang = math.exp(best[chosen].x[HANG]) if may_hang else 0.0
    spread = parameters[-1].estimate
    law = _write_law(chosen, best[chosen].x)
    if is_rejected:
        law, parameters = _use_values(chosen, best[chosen], test, parameters, hang)
    return FittedDurations(
        tuple(parameters), tuple(fits), tuple(_list_points(path, chosen, best[chosen], test, hang)), law, spread, hang
    )


def _fixed(family: Family, fixed: tuple[int, ...]) -> tuple[int, ...]:
    return fixed if LIFETIMES[family].has_shape else (SHAPE, *fixed)


@dataclass(frozen=True)
class _Start:
    """Moments of logarithms, the starting point of the maximization."""

    mean: float
    within: float
    between: float
    hang: float
    means: np.ndarray  # by rollout

    def of(self, family: Family) -> np.ndarray:
        within = min(max(self.within, 0.02), 2.0)
        shape = {"exponential": 1.0, "weibull": 1.28 / within, "lognormal": within, "gamma": 1 / within**2}[family]
        shift = {"exponential": 0.58, "weibull": 0.45 * within, "lognormal": 0.0, "gamma": within**2 / 2}[family]
        return np.array([self.mean + shift, math.log(shape), self.between, self.hang])


def _find_start(data: Durations, *, may_hang: bool, has_spread: bool) -> _Start:
    rows = data.of(data.ended)
    rows = rows.of(rows.attempts == 1) if (rows.attempts == 1).any() else rows
    _, means, within = average_logs(rows)
    between = float(means.std()) if has_spread else 0.0
    silent = float((~data.ended).mean())
    return _Start(
        float(np.median(np.log(rows.time / rows.attempts))),
        within,
        math.log(max(between, 0.02)) if has_spread else LEAST_LOG,
        math.log(max(silent / 2, 1e-4)) if may_hang else LEAST_LOG * 2,
        means,
    )


def _fit_constant(question: _Question, constant: Constant) -> FittedDurations:
    """Fit a constant, times a slowdown if rollouts differ."""
    value, spread = constant.fit(question.confidence_level)
    if not constant.may_differ:
        question = replace(question, fixed=(*question.fixed, SPREAD))
    note = (
        "all attempts of a rollout take the same time"
        if constant.spread
        else "all attempts took the same time; the interval assumes that times are constant, and recorded exactly"
    )
    parameters = (question.parameter("", value, note=note), _of_slowdown(question, spread))
    unknown = dict.fromkeys(("aic", "difference", "p"), math.nan)
    fit = {"path": question.path, "family": "constant", **unknown, "ks": 0.0, "chosen": True}
    return FittedDurations(parameters, (fit,), (), value[0], parameters[1].estimate, 0.0, constant.hangs)


def _of_slowdown(question: _Question, limits: tuple[float, float, float]) -> Parameter:
    if SPREAD in question.fixed:
        return question.parameter(question.slowdown, (0.0, math.nan, math.nan), source="assumed", note=NO_SPREAD)
    return question.parameter(question.slowdown, limits, note="one factor per rollout, of median 1")


def _find_intervals(question: _Question, model: SharedScale, best: Maximum) -> list[Parameter]:
    """Return the parameters of the law and of the slowdown, with profile-likelihood intervals."""
    family, drop = model.family, find_drop(question.n_rollouts, question.confidence_level)
    fixed = _fixed(family, question.fixed)
    parameters = []
    for place, name in enumerate(NAMES[family]):
        function, top = (model.__call__, best)
        if family == "gamma" and place == SHAPE:
            function, top = _by_deviation(model, best, fixed)
        limits = profile(function, top, place, drop=drop, fixed=fixed)
        if question.n_rollouts < FEWEST_FOR_SPREAD:
            limits = _few_limits(question, top.x[place], limits, place)
        with np.errstate(over="ignore"):
            low, high = np.exp(limits).tolist()
        parameters.append(question.parameter(f".{family}.{name}", (math.exp(top.x[place]), low, high)))
    if SPREAD in fixed:
        return [*parameters, _of_slowdown(question, (0.0, 0.0, 0.0))]
    low, high = np.exp(profile(model, best, SPREAD, drop=drop, fixed=fixed, lowest=LEAST_LOG))
    spread = math.exp(best.x[SPREAD]) if best.x[SPREAD] > LEAST_LOG + 2 else 0.0
    return [*parameters, _of_slowdown(question, (spread, float(low) if spread else 0.0, float(high)))]


def _few_limits(question: _Question, at: float, limits: tuple[float, float], place: int) -> tuple[float, float]:
    """Return limits for few rollouts, which ignore the number of nodes because the variation between rollouts is uncertain."""
    means = _find_start(question.data, may_hang=False, has_spread=False).means
    if place != LOCATION or len(means) < 2:
        return limits if len(means) > 1 else (math.nan, math.nan)
    error = float(means.std(ddof=1)) / math.sqrt(len(means))
    return mean_interval(at, error, len(means), question.confidence_level)


def _by_deviation(model: SharedScale, best: Maximum, fixed: tuple[int, ...]) -> tuple[Any, Maximum]:
    """Return the likelihood of a gamma law as a function of its standard deviation instead of its shape, and its maximum."""

    def convert(points: np.ndarray) -> np.ndarray:
        converted = points.copy()
        converted[:, SHAPE] = 2 * (points[:, LOCATION] - points[:, SHAPE])
        return converted

    def by_deviation(points: np.ndarray) -> np.ndarray:
        return model(convert(points))

    start = best.x.copy()
    start[SHAPE] = best.x[LOCATION] - best.x[SHAPE] / 2
    fixed = tuple({*fixed, SPREAD}) if best.x[SPREAD] <= LEAST_LOG + 2 else fixed
    return by_deviation, maximize(by_deviation, start, fixed=fixed)


def _write_law(family: Family, x: np.ndarray) -> dict[str, dict[str, float]]:
    location, shape = math.exp(x[LOCATION]), math.exp(x[SHAPE])
    values = (location, location / math.sqrt(shape)) if family == "gamma" else (location, shape)
    return {family: dict(zip(NAMES[family], values, strict=False))}


def _quantiles(family: Family, x: np.ndarray, p: np.ndarray) -> np.ndarray:
    return math.exp(x[LOCATION]) * LIFETIMES[family].quantile(p, math.exp(x[SHAPE]))


def _use_values(
    family: Family, best: Maximum, test: Goodness, parameters: list[Parameter], hang: float
) -> tuple[dict[str, Any], list[Parameter]]:
    """Return the observed law, whose tail beyond the longest observed time is that of the best family."""
    n = min(len(test.values), _MOST_VALUES)
    p = (np.arange(n) + 0.5) / n
    places = np.searchsorted(test.levels, p * (1 - hang))
    is_seen = places < len(test.levels)
    values = np.where(is_seen, test.values[np.minimum(places, len(test.levels) - 1)], _quantiles(family, best.x, p))
    values = np.sort(values)
    first = parameters[0]
    ratio = float(values.mean()) / first.estimate
    note = f"no family fits: {n} observed quantiles; the interval is that of the {family} law's location"
    path = first.path.rpartition(f".{family}.")[0] + ".empirical.mean"
    mean = replace(
        first, path=path, estimate=float(values.mean()), low=first.low * ratio, high=first.high * ratio, note=note
    )
    return {"empirical": {"values": [float(f"{value:.5g}") for value in values]}}, [mean, parameters[-1]]


def _list_points(path: str, family: Family, best: Maximum, test: Goodness, hang: float) -> list[dict[str, Any]]:
    """Return at most 200 points of a probability plot."""
    n = len(test.values)
    if not n:
        return []
    chosen = np.unique(np.linspace(0, n - 1, min(n, 200)).round().astype(int))
    before = np.concatenate([[0.0], test.levels[:-1]])
    p = np.clip((before + test.levels)[chosen] / 2 / (1 - hang), 1e-9, 1 - 1e-9)
    expected = _quantiles(family, best.x, p)
    return [
        {"path": path, "value": float(value), "expected": float(at)}
        for value, at in zip(test.values[chosen], expected, strict=True)
    ]
