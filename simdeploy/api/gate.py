"""How nodes on the new version are judged, where a policy names more than the API's threshold: ``health_check.gate``.

The API has no such field. It stands where the API has its health check, is read like the rest of a spec, and is left out of
what is sent to the API (`api_spec`).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from simdeploy.api.values import Count, FractionNumber, PositiveNumber, choice
from simdeploy.api.wire import WireObject

GATES = ("threshold", "pooled", "sprt", "e_process", "baseline", "bayes", "cusum")

# Which keys beside `kind` a gate reads.
READ_BY: dict[str, tuple[str, ...]] = {
    "threshold": (),
    "pooled": ("over", "minimum_sample"),
    "sprt": ("on", "good", "bad", "alpha", "beta", "most", "minimum_sample"),
    "e_process": ("alpha", "prior_mean", "prior_strength", "minimum_sample"),
    "baseline": ("test", "alpha", "tolerance", "minimum_sample"),
    "bayes": ("confidence", "prior_mean", "prior_strength", "minimum_sample"),
    "cusum": ("good", "bad", "alarm_every", "minimum_sample"),
}


GateKind = Annotated[str, choice(*GATES)]


class Gate(WireObject):
    """How nodes on the new version are judged: a name of `GATES`, or a group of keys with ``kind``.

    Examples
    --------
    >>> Gate.model_validate("sprt").kind
    'sprt'
    >>> Gate(kind="pooled", minimum_sample=100).to_dict()
    {'kind': 'pooled', 'minimum_sample': 100}
    """

    kind: GateKind = Field(
        description="What judges: the API's threshold, or a test of the whole wave, or of running nodes."
    )
    over: Annotated[str, choice("observation", "window")] | None = Field(
        default=None, description="pooled: one verdict on the whole observation, or one per window."
    )
    on: Annotated[str, choice("windows", "requests")] | None = Field(
        default=None, description="sprt: goes from window to window, or from request to request."
    )
    test: Annotated[str, choice("multinomial", "mann_whitney")] | None = Field(
        default=None, description="baseline: how the new version is compared with nodes on the old one."
    )
    good: FractionNumber | None = Field(
        default=None, description="sprt, cusum: error rate of a release in order; half of max_error_rate if left out."
    )
    bad: FractionNumber | None = Field(
        default=None, description="sprt, cusum: error rate to be found; twice max_error_rate if left out."
    )
    alpha: FractionNumber | None = Field(
        default=None, description="sprt, e_process, baseline: probability of stopping what is in order."
    )
    beta: FractionNumber | None = Field(default=None, description="sprt: probability of passing what is bad.")
    most: Count | None = Field(
        default=None,
        description="sprt: requests after which it ends; three times those of a test of fixed size if left out.",
    )
    prior_mean: FractionNumber | None = Field(default=None, description="bayes, e_process: mean of the prior.")
    prior_strength: PositiveNumber | None = Field(
        default=None, description="bayes, e_process: requests that the prior is worth."
    )
    confidence: FractionNumber | None = Field(
        default=None, description="bayes: probability from which on it is sure, either way."
    )
    tolerance: PositiveNumber | None = Field(
        default=None, description="baseline, mann_whitney: shift that is let pass, as a part of the estimated one."
    )
    alarm_every: PositiveNumber | None = Field(
        default=None, description="cusum: looks between false alarms, at least, on average."
    )
    minimum_sample: Count | None = Field(default=None, description="Requests before which there is no verdict.")

    @model_validator(mode="before")
    @classmethod
    def _read_name(cls, raw: Any) -> Any:
        return {"kind": raw} if isinstance(raw, str) else raw


def accept_name(schema: dict[str, Any]) -> None:
    """Let the JSON Schema of a gate accept its name alone."""
    schema["anyOf"] = [{"type": "string", "enum": list(GATES)}, *(part for part in schema["anyOf"] if "$ref" in part)]
