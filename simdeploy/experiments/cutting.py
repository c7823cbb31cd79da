"""Cutting a job into spans of about a second each."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from time import thread_time
from typing import NamedTuple

from simdeploy.engines.choice import expect_seconds
from simdeploy.experiments.jobs import Group, Job, Span

_SPAN_S = 1.0

# A block of this many rows takes some tens of megabytes.
_MOST_ROWS = 200_000

# Limits of timing. Jobs of fewer cells (a cell is one replication of one policy) are not timed; at most this many groups
# are, and the others are estimated from them. It ends at this fraction of the work, or of a span's time.
_FEWEST_CELLS = 64
_MOST_GROUPS = 8
_MOST_OF_THE_WORK = 1 / 32
_MOST_OF_A_SPAN = 1 / 4

# Short jobs are cut into at least this many, shorter spans, so that several workers have something to do.
_FEWEST_SPANS = 16
_SHORTEST = 1 / 16  # of a span's time

# The last spans, if there are several, are cut again, so that workers end at about the same time.
_LAST, _CUT_LAST, _SEVERAL = 2, 4, 8

_LONG_ENOUGH = 1 / 32  # of a span's time: longer times may be extrapolated, because workers wait meanwhile
_SHARES_NOTHING = 1 / 2  # of the cost of earlier policies: if one more costs this much, policies share nothing
_VISIBLE = 1 / 8  # of the last time measured: larger increases are more than noise of the clock
_LOSS = 0.15  # acceptable relative increase of a cell's cost in spans of few policies


class Piece(NamedTuple):
    """Size of a group's spans; those at the edges may be smaller."""

    n_policies: int
    n_replications: int


Cut = tuple[Piece, ...]  # one piece for each of the job's groups


class _Cost(NamedTuple):
    """Seconds per replication of all policies of a group, and the least number of policies that share nearly all work."""

    replication_s: float
    fewest_policies: int


def cut_job(job: Job, replications: int) -> Cut:
    """Choose the size of each group's spans, so that a span takes about a second on this processor.

    A span has all policies of its group, because engines share work among them, unless one replication takes longer than
    a second and fewer policies would share as much. A span has at most 200,000 rows. For jobs of less than 16 seconds,
    spans are shorter, down to a sixteenth of a second.

    Notes
    -----
    A few replications are timed: at most about a quarter of a second for each of at most eight groups, and hardly more than a twentieth
    of the work. The result varies between calls, but simulated numbers don't. Jobs of fewer than 64 replications, and very short jobs of
    the compiled engine, are not timed: each span is one replication of all policies, or all of a group.

    Examples
    --------
    >>> from simdeploy.experiments.jobs import Group, Job
    >>> from simdeploy import load_example
    >>> scenario = load_example("small-fleet")
    >>> job = Job((Group(scenario, tuple(scenario.policies.values())),), seed=0, engine="reference")
    >>> cut = cut_job(job, 3)
    >>> cut
    (Piece(n_policies=3, n_replications=1),)
    >>> [(span.first, span.n_replications) for span in spans(cut, job, 3)]
    [(0, 1), (1, 1), (2, 1)]
    """
    n_cells = replications * sum(len(group.policies) for group in job.groups)
    if n_cells < _FEWEST_CELLS or _is_short(job, replications):
        return tuple(
            _limit_rows(len(group.policies), _guess_span_size(job, group, replications)) for group in job.groups
        )
    n_measured = min(len(job.groups), _MOST_GROUPS)
    costs: dict[int, _Cost] = {}
    for number in range(n_measured):
        group = (2 * number + 1) * len(job.groups) // (2 * n_measured)
        share = n_cells / n_measured / len(job.groups[group].policies)
        if not costs:
            _time(job, group, Piece(1, 1))  # loads and compiles what is needed on first use
        costs[group] = _measure(job, group, replications, share)
    estimates = [_estimate(job, group, costs) for group in range(len(job.groups))]
    total_s = replications * sum(cost.replication_s for cost in estimates)
    seconds = _SPAN_S * min(1.0, max(_SHORTEST, total_s / _SPAN_S / _FEWEST_SPANS))
    return tuple(
        _choose_piece(cost, len(group.policies), replications, seconds)
        for group, cost in zip(job.groups, estimates, strict=True)
    )


def _is_short(job: Job, replications: int) -> bool:
    """Return whether the compiled engine finishes the job faster than parts of it could be timed."""
    return job.engine == "compiled" and _expect_seconds(job, job.groups, replications) < _SHORTEST * _SPAN_S


def _guess_span_size(job: Job, group: Group, replications: int) -> int:
    """Return the number of replications per span of a small group."""
    if job.engine != "compiled":
        return 1
    return replications if _expect_seconds(job, (group,), replications) < _SHORTEST * _SPAN_S else 1


def _expect_seconds(job: Job, groups: Sequence[Group], replications: int) -> float:
    updates = sum(group.scenario.fleet.nodes * len(group.policies) for group in groups) * replications
    return expect_seconds(job.engine, updates)


def spans(cut: Cut, job: Job, replications: int, *, first: int = 0) -> Iterator[Span]:
    """Yield the spans of a job, by group, policies and replications; the last two of many are cut into quarters."""
    last: deque[Span] = deque()
    n_others = 0
    for number, (group, piece) in enumerate(zip(job.groups, cut, strict=True)):
        for span in cut_rectangle(number, range(len(group.policies)), range(first, first + replications), piece):
            last.append(span)
            if len(last) > _LAST:
                n_others += 1
                yield last.popleft()
    n_parts = 1 if n_others < _SEVERAL else _CUT_LAST
    for span in last:
        policies, numbers = span.n_policies, range(span.first, span.first + span.n_replications)
        part = Piece(policies, math.ceil(span.n_replications / n_parts))
        yield from cut_rectangle(span.group, range(span.policy, span.policy + policies), numbers, part)


def cut_rectangle(group: int, policies: range, replications: range, piece: Piece) -> Iterator[Span]:
    """Yield the spans of some policies and replications of a group: by policies, then by replications.

    Examples
    --------
    >>> for span in cut_rectangle(0, range(2, 5), range(10), Piece(n_policies=2, n_replications=10)):
    ...     print(span.policy, span.n_policies, span.first, span.n_replications)
    2 2 0 10
    4 1 0 10
    """
    for policy in range(policies.start, policies.stop, piece.n_policies):
        n_policies = min(piece.n_policies, policies.stop - policy)
        for first in range(replications.start, replications.stop, piece.n_replications):
            yield Span(group, policy, n_policies, first, min(piece.n_replications, replications.stop - first))


def _measure(job: Job, group: int, replications: int, share: float) -> _Cost:
    """Time increasingly large spans of a group, which represents `share` replications, until its cost is clear."""
    n_policies = len(job.groups[group].policies)
    times: list[tuple[Piece, float]] = []
    spent = 0.0
    for size in _growing_sizes(n_policies, replications):
        if size.n_policies * size.n_replications > max(2.0, _MOST_OF_THE_WORK * share * n_policies):
            break
        if len(times) > 1:
            before, took = times[-1]
            at_least = took / before.n_replications * share  # if further policies cost nothing
            grows = size.n_policies * size.n_replications / (before.n_policies * before.n_replications)
            if spent + grows * took > max(_MOST_OF_A_SPAN * _SPAN_S, _MOST_OF_THE_WORK * at_least):
                break
        times.append((size, _time(job, group, size)))
        spent += times[-1][1]
        if len(times) > 1 and times[-1][1] > _LONG_ENOUGH * _SPAN_S and _is_cost_clear(times):
            break
    return _fit_cost(times, n_policies)


def _is_cost_clear(times: Sequence[tuple[Piece, float]]) -> bool:
    """Return whether larger spans need not be timed: policies share no more work, or replications visibly add up."""
    (before, less), (last, took) = times[-2:]
    if last.n_replications > 1:
        return took - less > _VISIBLE * took
    return (took - less) / (last.n_policies - before.n_policies) > _SHARES_NOTHING * less / before.n_policies


def _time(job: Job, group: int, size: Piece) -> float:
    # Use the time of this thread, so that other work on this machine doesn't count.
    span = Span(group, 0, size.n_policies, 0, size.n_replications)
    job.prepare(span)  # once for many spans
    start = thread_time()
    job.run(span)
    return thread_time() - start


def _growing_sizes(n_policies: int, replications: int) -> Iterator[Piece]:
    """Yield sizes that quadruple, first in policies, then in replications."""
    size = Piece(1, 1)
    while size.n_policies < n_policies:
        yield size
        size = Piece(min(4 * size.n_policies, n_policies), 1)
    most = min(replications, max(1, _MOST_ROWS // n_policies))
    while size.n_replications < most:
        yield size
        size = Piece(n_policies, min(4 * size.n_replications, most))
    yield size


def _fit_cost(times: Sequence[tuple[Piece, float]], n_policies: int) -> _Cost:
    last, took = times[-1]
    before, less = times[-2] if len(times) > 1 else (Piece(0, 0), 0.0)
    if last.n_replications > 1:
        # The fixed cost of a span is paid once and doesn't count.
        slope = max(took - less, _VISIBLE * took) / (last.n_replications - before.n_replications)
        return _Cost(slope, n_policies)
    # A straight line through the last two sizes: the shared cost, and the cost of each policy.
    each = max(0.0, took - less) / (last.n_policies - before.n_policies)
    shared = max(0.0, took - each * last.n_policies)
    together = shared + each * n_policies
    # The smallest n for which shared / n + each is at most 1 + _LOSS times its value for all policies.
    fewest = shared / max((1 + _LOSS) * together / n_policies - each, 1e-12)
    return _Cost(together, min(n_policies, math.ceil(fewest)))


def _estimate(job: Job, group: int, costs: Mapping[int, _Cost]) -> _Cost:
    """Return the measured cost of a group, or scale that of the nearest measured one by its numbers of nodes and policies."""
    if group in costs:
        return costs[group]
    nearest = min(costs, key=lambda other: abs(other - group))
    (unmeasured, measured), cost = (job.groups[group], job.groups[nearest]), costs[nearest]
    per_policy = len(unmeasured.policies) / len(measured.policies)
    per_node = unmeasured.scenario.fleet.nodes / measured.scenario.fleet.nodes
    return _Cost(cost.replication_s * per_policy * per_node, min(cost.fewest_policies, len(unmeasured.policies)))


def _choose_piece(cost: _Cost, n_policies: int, replications: int, seconds: float) -> Piece:
    if cost.replication_s <= seconds:
        return _limit_rows(n_policies, even_size(replications, seconds / max(cost.replication_s, 1e-9)))
    least = max(1, cost.fewest_policies, seconds / cost.replication_s * n_policies)
    return _limit_rows(math.ceil(n_policies / math.floor(n_policies / least)), 1)


def even_size(total: int, most: float) -> int:
    """Cut `total` into equal parts of at most `most`; return the largest."""
    return math.ceil(total / math.ceil(total / max(1, min(total, math.floor(most)))))


def _limit_rows(n_policies: int, n_replications: int) -> Piece:
    n_policies = even_size(n_policies, _MOST_ROWS)
    return Piece(n_policies, min(n_replications, max(1, _MOST_ROWS // n_policies)))
