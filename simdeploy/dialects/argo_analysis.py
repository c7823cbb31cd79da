"""Argo Rollouts: the metrics of an AnalysisTemplate, as far as simulated rollouts have them.

A metric is measured every `interval`, `count` times or indefinitely. It fails once strictly more than `failureLimit`
measurements have failed, in a row or not, and succeeds at `count`. A measurement fails if it meets `failureCondition`, or if
it misses `successCondition` and only that is given; between the two it is inconclusive, which pauses the rollout. After an
error, such as no data, it is repeated every 10 s; more than `consecutiveErrorLimit` errors in a row end the analysis. The worst
metric decides.
Here only metrics that compare one rate of failed or successful requests with a number can be judged.
Source: argoproj/argo-rollouts, analysis/analysis.go.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import NamedTuple

from simdeploy.dialects.judging import HOUR_NS, Check, read_interval
from simdeploy.dialects.manifests import UNKNOWN, Manifest, evaluate_with
from simdeploy.dialects.reading import Group, Reading
from simdeploy.errors import plural
from simdeploy.units import NS_PER_S, write_duration

_RESULT = r"(?:\bresult\b[\w\[\].]*|\b(?:default|asFloat)\(\s*result\b[^()]*\)|#)"
_NUMBER = r"(?P<number>\d+(?:\.\d+)?|\.\d+)"
_COMPARISON = re.compile(rf"(?P<left>{_RESULT})\s*(?P<op>>=|<=|>|<)\s*{_NUMBER}(?![\w.])")
_MIRRORED = re.compile(rf"(?<![\w.]){_NUMBER}\s*(?P<op>>=|<=|>|<)\s*(?P<left>{_RESULT})")
_FLIPPED = {">=": "<=", "<=": ">=", ">": "<", "<": ">"}
# What the conditions of measurements without data say: a value instead, or an alternative to the comparison.
_DEFAULT = re.compile(rf"\bdefault\(\s*result\b[^(),]*,\s*{_NUMBER}\s*\)")
_NO_DATA = re.compile(r"\b(?:isNaN|isNil)\(|\blen\([^()]*\)\s*==\s*0|==\s*nil\b")
_OR = re.compile(r"\|\||\bor\b")
_MEETS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_OPPOSITE = {">=": "<", "<=": ">", ">": "<=", "<": ">="}
_NO_RATE = re.compile(
    r"latency|duration|quantile|_bucket|\bp\d\d|_seconds|millis|cpu|memory|restart|queue|lag\b", re.IGNORECASE
)
# A histogram of times counts requests, too.
_COUNTS = re.compile(r"\b\w*(?:seconds|duration|latency|millis|_ms)_count\b", re.IGNORECASE)
_ERRORS = re.compile(r"""error|fail|[45]xx|!~?"2|(?<!!~")(?<!!=")\b[45](?:\.|\d\d\b)""", re.IGNORECASE)
_PER_SECOND = re.compile(r"\b(?:i?rate|increase|as_rate|as_count)\s*\(")
_NO_DIVISION = re.compile(r"https?://\S+|\{[^{}']*\}")  # addresses, and labels such as {path="/buy"}
_TIMES_100 = re.compile(r"\b100(?:\.0+)?\s*\*|\*\s*100\b")
_OUTCOMES = re.compile(r"success|availab|healthy|status|code|error|fail|[45]xx|ratio|percent", re.IGNORECASE)
_SUCCESSES = re.compile(r"success|availability", re.IGNORECASE)
_RANGE = re.compile(r"\[(\d{1,6}[smh])\]")
_MINUTE = 60 * NS_PER_S
_MOST_COUNT = 1000


def read_checks(
    analysis: Group,
    templates: Mapping[str, Manifest],  # the AnalysisTemplates of the file by name
    *,
    promotes_inconclusive: bool = False,  # whether the rollout continues after an inconclusive metric
    of_rollout: bool = False,  # whether it is one analysis of the whole rollout, not one of a step
) -> list[Check]:
    """Return the checks of a Rollout's analysis that can be simulated, with notes on every metric."""
    given: dict[str, str] = {}
    for argument in analysis.groups("args"):
        name = argument.text("name")
        if name and isinstance(argument.data.get("value"), str | int | float):
            given[name] = str(argument.data["value"])
    ignored = {str(group.data.get("metricName")) for group in analysis.groups("dryRun")}
    if ignored:
        analysis.no_counterpart("dryRun", "metrics of a dry run decide nothing")
    checks: list[Check] = []
    for reference in analysis.groups("templates"):
        name = reference.text("templateName")
        if name is not None and name in templates:
            reference.exact("templateName", "in this file: see its metrics")
            checks += read_template(
                analysis.reading, templates[name], given, ignored, promotes_inconclusive, of_rollout=of_rollout
            )
        elif name is not None:
            reference.not_evaluated("templateName", f"{name} is not in this file; nothing that it measures is checked")
        if "clusterScope" in reference:
            reference.exact("clusterScope", "locates the template")
        reference.note_rest(UNKNOWN)
    analysis.no_counterparts(_BESIDE)
    analysis.note_rest(UNKNOWN)
    return checks


_BESIDE = {
    "args": "arguments of its templates",
    "measurementRetention": "limits how many past measurements are kept",
    "analysisRunMetadata": "names or labels",
}


def read_template(
    reading: Reading,
    manifest: Manifest,
    given: Mapping[str, str],
    ignored: Collection[str] = (),
    promotes_inconclusive: bool = False,
    *,
    of_rollout: bool = False,
) -> list[Check]:
    """Return the checks of an AnalysisTemplate; `given` are arguments, `ignored` the metrics of a dry run."""
    values = dict(given)

    def look_up(name: str) -> str | None:
        return values[name] if name in values else reading.variable(name)

    template = manifest.open(reading, name=f"{manifest.kind} {manifest.name}", evaluate=evaluate_with(look_up))
    spec = template.group("spec")
    ignored = {*ignored, *(str(group.data.get("metricName")) for group in spec.groups("dryRun"))}
    spec.no_counterparts({"dryRun": "metrics of a dry run decide nothing"})
    for argument in spec.groups("args"):
        default = argument.data.get("value")
        if isinstance(default, str | int | float):
            values.setdefault(str(argument.data.get("name")), str(default))
    checks = [
        check
        for metric in spec.groups("metrics")
        if (check := _read_metric(metric, ignored, promotes_inconclusive, of_rollout=of_rollout)) is not None
    ]
    if "args" in spec:
        spec.exact("args", "used in the metrics")
    if "templates" in spec:
        spec.not_evaluated("templates", "templates within templates are not read; nothing that they measure is checked")
    spec.note_rest("not simulated")
    return checks


def _read_metric(
    metric: Group, ignored: Collection[str], promotes_inconclusive: bool, *, of_rollout: bool
) -> Check | None:
    name = metric.text("name") or ""
    provider = metric.group("provider")
    words = f"{name} {provider.data}"
    interval_ns = read_interval(metric)
    count = metric.whole("count", 0, _MOST_COUNT) or (None if "interval" in metric else 1)
    failure_limit = metric.whole("failureLimit", -1, _MOST_COUNT) or 0
    limit = _read_limit(metric, words, promotes_inconclusive)
    if name in ignored or "*" in ignored:
        metric.no_counterpart("name", "in a dry run: decides nothing")
        limit = None
    elif "name" in metric:
        metric.exact("name", "judged" if limit is not None else "not judged")
    if limit is None:
        metric.note_rest("belongs to a metric that is not judged here")
        return None
    window = interval_ns or _query_range(words)
    every = f"the errors of a wave are judged every {write_duration(window)}"
    times = "without end" if count is None else f"{count:,} times" if count > 1 else "once"
    allowed = "any number of failed measurements" if failure_limit < 0 else plural(failure_limit, "failed measurement")
    text = f"{every}, at the end of a window instead of its start"
    metric.approximate("interval", text, default="one measurement; ")
    metric.approximate("count", times)
    text = f"{allowed} allowed, in {'the whole rollout' if of_rollout else 'each wave'}"
    metric.exact("failureLimit", text, default="0; ")
    is_empty_healthy = _is_empty_healthy(metric)
    how = (
        "is healthy, as the condition says, if other metrics agree" if is_empty_healthy else "stops the rollout at once"
    )
    metric.approximate("consecutiveErrorLimit", f"a window without requests {how}", default="4; ")
    metric.no_counterparts(_WITHOUT)
    provider.note_rest("what is measured is the error rate of the simulated requests")
    metric.note_rest(UNKNOWN)
    return Check(limit, window, count, failure_limit, is_empty_healthy)


_WITHOUT = {
    "initialDelay": "measured from the start of the wave's nodes on",
    "consecutiveSuccessLimit": "the analysis ends at its count",
}


def _is_empty_healthy(metric: Group) -> bool:
    """Tell whether a measurement without data succeeds, as its condition says."""
    key = "successCondition" if "successCondition" in metric else "failureCondition"
    condition, fails = str(metric.value(key)), key == "failureCondition"
    default, comparisons = _DEFAULT.search(condition), _comparisons(condition)
    if default is not None and comparisons:
        op, number = comparisons[0]
        return bool(_MEETS[op](Decimal(default["number"]), Decimal(number))) != fails
    return not fails and bool(_NO_DATA.search(condition) and _OR.search(condition))


def _query_range(words: str) -> int:
    match = _RANGE.search(words)
    if match is None:
        return _MINUTE
    return int(match[1][:-1]) * {"s": NS_PER_S, "m": _MINUTE, "h": HOUR_NS}[match[1][-1]] or _MINUTE


def _read_limit(metric: Group, words: str, promotes_inconclusive: bool) -> float | None:
    """Return the highest error rate that a metric allows, with notes on its conditions; None if unknown."""
    limits = {key: _condition(metric, key, words) for key in ("successCondition", "failureCondition") if key in metric}
    known = {key: limit for key, limit in limits.items() if limit is not None}
    if not limits:
        metric.no_counterpart("provider", "judged by what it runs, which is not simulated")
    if len(known) < 2:
        metric.no_counterparts({"inconclusiveLimit": "one condition leaves no measurement inconclusive"})
        return next(iter(known.values()), None)
    if promotes_inconclusive:
        metric.approximate("inconclusiveLimit", "this version promotes what is inconclusive: only failures count")
        return known["failureCondition"]
    text = "a measurement between both conditions counts as failed; Argo pauses the rollout until a person decides"
    metric.approximate("inconclusiveLimit", text)
    return known["successCondition"]


def _condition(metric: Group, key: str, words: str) -> float | None:
    text = metric.text(key)
    if text is None:
        return None
    comparisons = _comparisons(text)
    if len(comparisons) != 1:
        metric.not_evaluated(key, "only a comparison of one result with one number is read; not checked here")
        return None
    op, number = comparisons[0]
    rate = _max_error_rate(op if key == "successCondition" else _OPPOSITE[op], Decimal(number), words)
    if rate is None:
        text = "not a rate of failed or successful requests, as far as its name, query and number say"
        metric.no_counterpart(key, text)
        return None
    closed = op in (">=", "<=") if key == "successCondition" else op in (">", "<")
    of = f"read as a rate of requests: at most {100 * rate:g} % may fail"
    metric.approximate(key, of if closed else f"{of}; exactly as many count as well here")
    return rate


class Rate(NamedTuple):
    """A rate of requests that a metric measures."""

    is_of_successes: bool  # whether it counts successes, not failures
    whole: int  # its highest value, 1 or 100


def read_rate(
    condition: str,
    *,
    fails: bool,  # whether it is the condition of failure
    words: str,  # the metric's name and query
) -> Rate | None:
    """Return the rate that a metric measures, recognised by one of its conditions; None if it is no rate.

    Examples
    --------
    >>> read_rate("result[0] >= 0.95", fails=False, words="success-rate")
    Rate(is_of_successes=True, whole=1)
    """
    comparisons = _comparisons(condition)
    if len(comparisons) != 1:
        return None
    op, number = _OPPOSITE[comparisons[0][0]] if fails else comparisons[0][0], Decimal(comparisons[0][1])
    if _max_error_rate(op, number, words) is None:
        return None
    is_of_successes = op in (">", ">=")
    is_share = number <= 1 if is_of_successes else number < 1 and not _TIMES_100.search(words)
    return Rate(is_of_successes, 1 if is_share else 100)


def _comparisons(condition: str) -> list[tuple[str, str]]:
    """Return the comparisons of a result with a number in a condition: operator and number."""
    comparisons = [(match["op"], match["number"]) for match in _COMPARISON.finditer(condition)]
    return comparisons + [(_FLIPPED[match["op"]], match["number"]) for match in _MIRRORED.finditer(condition)]


def _max_error_rate(op: str, number: Decimal, words: str) -> float | None:
    """Return the highest rate of failures at which a result meets a comparison; None if the result is no rate."""
    is_undivided = _PER_SECOND.search(words) and "/" not in _NO_DIVISION.sub("", words)
    if is_undivided or _NO_RATE.search(_COUNTS.sub("", words)):
        return None
    name = words.partition(" ")[0]
    if op in (">", ">="):  # the result is a rate of successes
        if number in (1, 100):  # or more often a count, such as of pods that are ready
            return 0.0 if _SUCCESSES.search(name) else None
        if 0 < number < 1:
            return float(1 - number)
        is_percentage = _OUTCOMES.search(words) or _TIMES_100.search(words)
        return float(1 - number / 100) if 50 <= number < 100 and is_percentage else None
    if number < 0 or _SUCCESSES.search(name) or not _ERRORS.search(words):
        return None
    is_percentage = _TIMES_100.search(words)
    if number < 1 and not is_percentage:
        return float(number)
    return float(number / 100) if number <= 100 and (is_percentage or "percent" in words.lower()) else None
