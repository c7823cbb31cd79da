"""``health_check.gate``: how nodes on the new version are judged, beyond the API's threshold.

The API has no such field; `api_spec` removes it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from simdeploy.api.values import Count, FractionNumber, PositiveNumber, choice
from simdeploy.api.wire import WireObject, unset
from simdeploy.vocabulary import GATES

# The keys beside `kind` that each gate reads.
READ_BY: dict[str, tuple[str, ...]] = {
    "threshold": (),
    "pooled": ("over", "failures_of", "minimum_sample"),
    "sprt": ("on", "good", "bad", "alpha", "beta", "most", "minimum_sample"),
    "e_process": ("alpha", "prior_mean", "prior_strength", "minimum_sample"),
    "baseline": ("test", "alpha", "tolerance", "minimum_sample"),
    "bayes": ("confidence", "prior_mean", "prior_strength", "minimum_sample"),
    "cusum": ("good", "bad", "alarm_every", "minimum_sample"),
}


GateKind = Annotated[str, choice(*GATES)]


class Gate(WireObject):
    """A gate: a name of `GATES`, or keys including ``kind``.

    Examples
    --------
    >>> Gate.model_validate("sprt").kind
    'sprt'
    >>> Gate(kind="pooled", minimum_sample=100).to_dict()
    {'kind': 'pooled', 'minimum_sample': 100}
    """

    kind: GateKind = Field(
        description="Kind of gate: the API's threshold, or a test of the whole wave or of running nodes."
    )
    over: Annotated[str, choice("observation", "window")] | None = unset(
        "pooled: one verdict for the whole observation, or one per window."
    )
    failures_of: Annotated[str, choice("wave", "rollout")] | None = unset(
        "pooled, over window: unhealthy windows are counted in each wave, or in the whole rollout."
    )
    on: Annotated[str, choice("windows", "requests")] | None = unset(
        "sprt: tests window by window, or request by request."
    )
    test: Annotated[str, choice("multinomial", "mann_whitney")] | None = unset(
        "baseline: comparison of the new version with nodes on the old one."
    )
    good: FractionNumber | None = unset("sprt, cusum: error rate of a good release; default: half of max_error_rate.")
    bad: FractionNumber | None = unset("sprt, cusum: error rate to detect; default: twice max_error_rate.")
    alpha: FractionNumber | None = unset("sprt, e_process, baseline: probability of stopping a good release.")
    beta: FractionNumber | None = unset("sprt: probability of passing a bad release.")
    most: Count | None = unset("sprt: most requests; default: three times a fixed-size test's.")
    prior_mean: FractionNumber | None = unset("bayes, e_process: mean of the prior.")
    prior_strength: PositiveNumber | None = unset("bayes, e_process: weight of the prior, in requests.")
    confidence: FractionNumber | None = unset("bayes: posterior probability required for a verdict, either way.")
    tolerance: PositiveNumber | None = unset(
        "baseline, mann_whitney: tolerated shift, as a fraction of the estimated one."
    )
    alarm_every: PositiveNumber | None = unset("cusum: minimum average looks between false alarms.")
    minimum_sample: Count | None = unset("Requests required before a verdict.")

    @model_validator(mode="before")
    @classmethod
    def _read_name(cls, raw: Any) -> Any:
        return {"kind": raw} if isinstance(raw, str) else raw


def accept_name(schema: dict[str, Any]) -> None:
    """Let a gate's JSON Schema accept its name alone."""
    schema["anyOf"] = [{"type": "string", "enum": list(GATES)}, *(part for part in schema["anyOf"] if "$ref" in part)]
