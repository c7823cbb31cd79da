"""Base of API objects, with the documented defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from simdeploy.errors import escape
from simdeploy.units import NS_PER_S

Dialect = Literal["deployment", "rollout", "general"]

_BOTH: dict[str, bool | int | float | str] = {
    "auto_promote": False,
    "max_error_rate": 0.10,
    "max_failed_nodes": 10,
    "max_failed_nodes_percent": 10.0,
    "no_auto_rollback": False,
}

DEFAULTS: Mapping[Dialect, Mapping[str, bool | int | float | str]] = MappingProxyType(
    {
        "deployment": MappingProxyType(_BOTH | {"max_parallel": 0, "min_healthy_time": "30s"}),
        "rollout": MappingProxyType(
            _BOTH | {"max_parallel": 10, "interval": 10 * NS_PER_S, "success_threshold": 2, "failure_threshold": 3}
        ),
        # In a general policy, keys that are not stated don't apply.
        "general": MappingProxyType({"auto_promote": False, "no_auto_rollback": False}),
    }
)


def unset(description: str) -> Any:
    """Declare a key that may be left out, with the description that editors show."""
    return Field(default=None, description=description)


def for_editors(schema: dict[str, Any], model: type[WireObject]) -> None:
    """Show only the docstring's first paragraph, and the API's documented defaults instead of null for unset."""
    schema["description"] = schema["description"].partition("\n\n")[0]
    for name, field in schema.get("properties", {}).items():
        field.pop("default", None)
        if name in DEFAULTS[model.dialect]:
            field["default"] = DEFAULTS[model.dialect][name]


class WireObject(BaseModel):
    """A frozen JSON object of the API.

    None means unset, which differs from an explicit 0; `effective` applies the documented default. Unknown keys are kept.
    Direct construction raises pydantic's ``ValidationError``; readers raise :class:`~simdeploy.errors.InputError`.
    """

    model_config = ConfigDict(frozen=True, extra="allow", json_schema_extra=for_editors)

    dialect: ClassVar[Dialect] = "deployment"

    def effective(self, name: str) -> Any:
        """Return the field's value, or its documented default if unset (None if there is none).

        Examples
        --------
        >>> from simdeploy.api import DeploymentSpec
        >>> spec = DeploymentSpec(strategy="immediate", max_failed_nodes=0)
        >>> spec.effective("max_failed_nodes"), spec.effective("max_failed_nodes_percent")
        (0, 10.0)
        """
        value = getattr(self, name)
        return DEFAULTS[self.dialect].get(name) if value is None or value == "" else value

    def to_dict(self) -> dict[str, Any]:
        """Return the keys that were given, as JSON values."""
        return self.model_dump(mode="json", exclude_unset=True)


def canonical_json(value: object) -> str:
    """Write canonical JSON: sorted keys, indent 2, final line feed.

    Examples
    --------
    >>> print(canonical_json({"b": 10, "a": 10.0}), end="")
    {
      "a": 10.0,
      "b": 10
    }
    """
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    # JSON itself doesn't escape most characters that affect a terminal.
    return "\n".join(escape(line, lambda letter: json.dumps(letter)[1:-1]) for line in text.split("\n")) + "\n"
