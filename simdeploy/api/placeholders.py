"""The documentation page's example body, pasted as it is: its placeholders where any text would be allowed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from simdeploy.api.values import PLACEHOLDER, PLACEHOLDER_MESSAGE
from simdeploy.errors import MOST_PROBLEMS, Path, Problem

_IDENTITY = {
    "id": "the deployment's id",
    "job_id": "the id of the job that is deployed",
    "job_type": "the job's type, such as daemon",
    "namespace": "the job's namespace, such as default",
}


def placeholders(deployment: Mapping[str, Any]) -> list[Problem]:
    """List the free text that is still the page's "string".

    Such a text may be somebody's real name for a job, so this is asked only where a duration or a time
    of the same body is the placeholder beyond doubt.
    """
    status = deployment.get("status")
    status = status if isinstance(status, Mapping) else {}
    canary_nodes = status.get("canary_nodes")
    found: list[tuple[Path, str]] = [
        ((key,), allowed) for key, allowed in _IDENTITY.items() if deployment.get(key) == PLACEHOLDER
    ]
    if status.get("message") == PLACEHOLDER:
        found.append((("status", "message"), "why the deployment is in its state"))
    if isinstance(canary_nodes, list):
        places = (index for index, node in enumerate(canary_nodes) if node == PLACEHOLDER)
        found += [(("status", "canary_nodes", index), "a node's name") for index in islice(places, MOST_PROBLEMS)]
    return [
        Problem(PLACEHOLDER_MESSAGE, path=path, found=repr(PLACEHOLDER), allowed=allowed) for path, allowed in found
    ]
