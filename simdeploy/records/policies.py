"""Policies as records have them."""

from __future__ import annotations

import json

from simdeploy.api.document import DeploymentDocument


def write_policy(document: DeploymentDocument) -> str:
    """Return a policy as JSON, with its dialect and its own orchestrator.

    Examples
    --------
    >>> from simdeploy.api.document import parse_deployment
    >>> write_policy(parse_deployment('{"deployment": {"id": "d", "spec": {"strategy": "immediate"}}}'))
    '{"dialect": "deployment", "strategy": "immediate"}'
    """
    own = {} if document.orchestrator is None else {"orchestrator": document.orchestrator}
    return json.dumps({"dialect": document.dialect, **document.spec.to_dict(), **own})
