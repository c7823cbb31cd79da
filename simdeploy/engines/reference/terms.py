"""The terms of a rollout: a policy as its orchestrator interprets it. They may change during the rollout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simdeploy.rules.health import HealthRule
    from simdeploy.rules.limits import Limits
    from simdeploy.rules.policy import Policy
    from simdeploy.rules.waves import Plan


@dataclass(frozen=True)
class Terms:
    """A policy, and the plan, rule and limits derived from it."""

    policy: Policy
    plan: Plan
    rule: HealthRule  # for nodes whose wave has no rule of its own
    limits: Limits | None

    def rule_of(self, wave: int) -> HealthRule:
        """Return the rule for the nodes of a wave, counted from 1."""
        return self.rule.of_wave(self.plan.watches[wave - 1]) if self.plan.watches else self.rule
