"""Windows that are surely healthy or unhealthy, given only an interval for a node's own level, which mostly suffices."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import (
    bracket_of,
    bracket_words,
    class_rule_of,
    classes,
    kinds,
    last_word_of,
    law_at,
    policy_of,
    words_beyond,
)
from simdeploy.engines.compiled.binomial import last_healthy_word
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.laws import quantile
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.records import N_BRACKETS, UNKNOWN

_LARGEST = 1.0 - 2.0**-53
_SLACK = 1e-9


@part("brackets", seconds=0.3, can_fail=True)
def prepare_brackets(run):
    """Fill the tables: the last healthy word at either end of each interval, by rule, class and level."""
    n, ends = N_BRACKETS >> 1, np.empty(N_BRACKETS)
    for class_number in range(run.n_classes):
        law = law_at(run, classes(run)[class_number].error_rate)
        for place in range(N_BRACKETS):
            end = (place + 1) / n if place < n else (n - 1 + (place - n + 1) / n) / n
            ends[place] = quantile(law, min(end, _LARGEST))
        done = np.int64(-1)
        for number in range(run.n_policies):
            run.policy = number
            policy = policy_of(run)
            if policy.rule > done:  # rules are numbered in the order of their first use
                done = policy.rule
                if last_word_of(run, policy, class_number, 0) == UNKNOWN:
                    _fill_rows(run, policy, class_number, ends)


@compiled
def _fill_rows(run, policy, number, ends):
    class_rule = class_rule_of(run, policy, number)
    for level in range(1 + run.n_kinds):
        added = kinds(run)[level - 1].error_rate if level else 0.0
        row = bracket_of(run, policy, number, level)
        p_low = added
        for place in range(len(ends)):
            if place == len(ends) // 2 - 1:
                continue  # the last interval is divided below
            p_own = ends[place]
            p_high = p_own if added == 0 else 1 - (1 - p_own) * (1 - added)
            # With some slack, because quantiles and words are not exact in their last digits.
            bracket_words(run)[row, place] = _word_at(class_rule, min(p_high * (1 + _SLACK), 1.0)) - 64
            words_beyond(run)[row, place] = _word_at(class_rule, p_low * (1 - _SLACK)) + 64
            p_low = p_high


@compiled
def _word_at(class_rule, p):
    return last_healthy_word(class_rule.allowed, class_rule.requests, p)
