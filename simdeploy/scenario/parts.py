"""Parts of a scenario outside world and rules."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from simdeploy.api import Spec
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import Policy

V = TypeVar("V")

DeploymentType = Literal["update", "create", "restart", "rollback", "stop"]


@dataclass(frozen=True)
class Identity:
    """Identity shown in the deployment object."""

    type: DeploymentType
    id: str
    job_id: str
    job_type: str
    namespace: str
    from_version: int
    to_version: int
    created_at: str  # start of the rollout, RFC 3339


@dataclass(frozen=True)
class Costs:
    """Money or points per unit.

    Examples
    --------
    >>> Costs(failed_request=0, unavailable_node_hour=0, hour_of_delay=20, false_alarm=150, escape=1000).unit
    ''
    """

    failed_request: float  # per excess failed request
    unavailable_node_hour: float  # per excess node-hour out of service
    hour_of_delay: float  # per hour of makespan
    false_alarm: float  # per stopped good release
    escape: float  # per completed defective release
    unit: str = ""  # unit shown after amounts, such as EUR or points; may be empty
    # Per excess lost request. Default: `failed_request`, or 0 where `unavailable_node_hour` has a price, which pays for
    # the same.
    lost_request: float | None = None
    shed_request: float | None = None  # per excess shed request. Default: `failed_request`.
    unrestored_node: float | None = None  # per node that the rollout leaves out of service. Default: 0.

    @property
    def per_lost_request(self) -> float:
        """Price of an excess lost request."""
        if self.lost_request is not None:
            return self.lost_request
        return 0.0 if self.unavailable_node_hour else self.failed_request

    @property
    def per_unrestored_node(self) -> float:
        """Price of a node that the rollout leaves out of service."""
        return self.unrestored_node or 0.0

    @property
    def per_shed_request(self) -> float:
        """Price of an excess shed request."""
        return self.failed_request if self.shed_request is None else self.shed_request

    def to_dict(self) -> dict[str, float | str]:
        """Return the arguments of ``Costs``, with the unit if there is one.

        Examples
        --------
        >>> Costs(0, 0, 20, 150, 1000, "EUR").to_dict()["unit"]
        'EUR'
        """
        return {name: value for name, value in asdict(self).items() if value not in ("", None)}


@dataclass(frozen=True)
class ScenarioPolicy:
    """A policy of a scenario."""

    name: str
    spec: Spec  # as it was read
    policy: Policy  # as the rules use it
    identity: Identity  # the scenario's, overridden by a JSON file
    orchestrator: Orchestrator | None = None  # the policy's own, which replaces the scenario's
    is_imported: bool = field(default=False, compare=False)  # read from another orchestrator's file


class FrozenMapping(Mapping[str, V]):
    """An immutable mapping that can be pickled."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, V]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: str) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def items(self) -> ItemsView[str, V]:
        """Return the pairs of names and values."""
        return self._items.items()  # Mapping's would look up every value

    def values(self) -> ValuesView[V]:
        """Return the values."""
        return self._items.values()

    def __repr__(self) -> str:
        return f"FrozenMapping({self._items!r})"
