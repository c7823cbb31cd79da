"""What a rollout goes by: a policy as its orchestrator reads it. Somebody may change the policy on the way."""

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
    """A policy, and what follows from it."""

    policy: Policy
    plan: Plan
    rule: HealthRule  # how nodes are judged, unless their wave has its own rule
    limits: Limits | None

    def rule_of(self, wave: int) -> HealthRule:
        """Return the rule for the nodes of a wave, which are counted from 1."""
        return self.rule.of_wave(self.plan.watches[wave - 1]) if self.plan.watches else self.rule
