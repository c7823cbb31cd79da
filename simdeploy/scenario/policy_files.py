"""Policy files: a deployment of the API, or its spec alone, in JSON or in YAML."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import PurePath

from simdeploy.api import DeploymentDocument, Dialect, parse_deployment
from simdeploy.api.document import read_body
from simdeploy.api.files import read_text
from simdeploy.errors import InputError, cut
from simdeploy.scenario.findings import located
from simdeploy.scenario.yaml_text import parse_yaml

YAML_ENDINGS = (".yaml", ".yml")
POLICY_ENDINGS = (".json", *YAML_ENDINGS)


def read_policy_file(path: str | os.PathLike[str]) -> DeploymentDocument:
    """Read a policy from a JSON or YAML file.

    Parameters
    ----------
    path : path
        What ends with .yaml or .yml is YAML, everything else JSON.

    Raises
    ------
    InputError
        With everything that is wrong, each with its line.
    """
    return parse_policy(read_text(path), file=os.fspath(path))


def parse_policy(text: str, *, file: str, dialect: Dialect | None = None) -> DeploymentDocument:
    r"""Read a policy from the text of a file, whose ending says what it is written in.

    In YAML a key `dialect` beside the spec may say which form it has, as for a policy inside a scenario.

    Raises
    ------
    InputError
        With everything that is wrong, each with its line.

    Examples
    --------
    >>> parse_policy("dialect: rollout\nstrategy: immediate\n", file="now.yaml").dialect
    'rollout'
    """
    if PurePath(file).suffix.lower() not in YAML_ENDINGS:
        return parse_deployment(text, file=file, dialect=dialect)
    body, positions = parse_yaml(text, file)
    if isinstance(body, dict) and body.get("dialect") in ("deployment", "rollout"):
        dialect = dialect or body["dialect"]
        body = {key: value for key, value in body.items() if key != "dialect"}
    document, problems = read_body(body, dialect)
    if document is None:
        raise InputError(located(cut(problems), file, positions))
    # Unknown keys are kept, so nothing is said of what would be allowed.
    kept = [replace(problem, allowed=None) for problem in cut(problems)]
    return replace(document, warnings=tuple(located(kept, file, positions)))
