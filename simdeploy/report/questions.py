"""What each kind of result answers, as a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simdeploy.result import Result

QUESTIONS = {
    "Advice": "What should be done with the rollout that is under way?",
    "Backtest": "What would other policies have done in the rollouts on record?",
    "Calibration": "What do the rollouts on record say about the fleet?",
    "Check": "Does the policy meet its requirements?",
    "Comparison": "Which policy is best?",
    "CostResult": "What does a policy cost, and why?",
    "Decisions": "Are recommendations right?",
    "Discovery": "In which worlds does the policy break?",
    "Estimates": "What is to be expected of each case?",
    "Forecast": "How will the rollout that is under way go on?",
    "GateComparison": "Which test stops defective releases best?",
    "GridSummary": "What happens at other values?",
    "InformationResult": "What is it worth to know the release beforehand?",
    "ObservationResult": "What is it worth to watch the release longer?",
    "OneRollout": "What happens in one rollout?",
    "ParetoFront": "Which cases are no worse than all others in something?",
    "PolicyImport": "What does this policy do here?",
    "Precision": "Are there enough replications?",
    "Rare": "How likely is the rare event?",
    "Robustness": "Which policy loses least if the assumptions are wrong?",
    "Score": "How good were the forecasts?",
    "Selection": "Which candidate is best?",
    "Sensitivity": "Which assumptions matter?",
    "Switches": "Does undocumented behaviour of the orchestrator matter?",
    "Timelines": "How do rollouts go over time?",
    "Tradeoff": "How do false alarms trade against escapes?",
    "Tuning": "Which policy should be used?",
    "Verification": "Is the simulator right?",
}


def ask(result: Result) -> str:
    """Return the question that a result answers."""
    return QUESTIONS[type(result).__name__]
