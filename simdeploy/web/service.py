"""Simulated deployments that progress with a clock, as in a control plane."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, get_args

from simdeploy.api.document import WRAPPED, WRAPPERS, read_body
from simdeploy.api.files import decode
from simdeploy.api.json_text import locate, parse_json
from simdeploy.api.times import format_time, parse_time, shift_time
from simdeploy.api.values import MAX_VERSION
from simdeploy.engines.live import LiveRollout
from simdeploy.engines.reference.people import Act
from simdeploy.errors import InputError, Path, Problem, SimulationError, cut, shorten
from simdeploy.world.operator import Action

if TYPE_CHECKING:
    from simdeploy.api import Deployment, DeploymentDocument
    from simdeploy.scenario import Scenario, ScenarioPolicy

ACTS: tuple[Act, ...] = (*get_args(Action), "rollback")
MOST_DEPLOYMENTS = 1000
PATIENCE_S = 5.0

_SERVICE_KEYS = ("id", "status")  # keys of a deployment that the service sets


class UnknownDeployment(LookupError):  # noqa: N818 (describes the request)
    """There is no deployment with this id."""

    def __str__(self) -> str:
        return f"there is no deployment {shorten(self.args[0])}"


class Refused(Exception):  # noqa: N818 (describes the request)
    """The request is valid, but impossible in the present state or in this scenario; `problems` lists several reasons."""

    def __init__(self, why: str, problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(why)


class Full(Exception):  # noqa: N818 (describes the service)
    """The service keeps no more deployments."""


class Behind(Exception):  # noqa: N818 (describes the service)
    """The simulation hasn't reached the present time yet."""

    def __str__(self) -> str:
        return "the simulation is behind its clock: ask again, or choose a lower --speed"


class PacedClock:
    """A clock that starts at 0 and runs faster or slower than real time, in nanoseconds.

    Examples
    --------
    >>> times = iter([100, 107])
    >>> clock = PacedClock(60, wall_ns=lambda: next(times))
    >>> clock()
    420
    """

    def __init__(
        self,
        speed: float,  # simulated seconds per second
        *,
        wall_ns: Callable[[], int] = time.monotonic_ns,  # real time, nanoseconds
    ) -> None:
        self._speed = Fraction(speed)
        self._wall_ns = wall_ns
        self._start_ns = wall_ns()

    def __call__(self) -> int:
        return int((self._wall_ns() - self._start_ns) * self._speed)


@dataclass(frozen=True)
class _Entry:
    rollout: LiveRollout
    created_ns: int


class Service:
    """The deployments of one scenario.

    Each has its own fleet. The initial ones, one per policy, are in the world of the first replication; each later one is in
    that of the next. Everything is shown and done as of the latest `tick`.
    """

    def __init__(
        self,
        scenario: Scenario,
        policies: Sequence[ScenarioPolicy],  # of the initial deployments
        *,
        clock: Callable[[], int],  # simulated time, nanoseconds after the scenario's ``created_at``
        seed: int = 0,
        replication: int = 0,  # of the initial deployments
        most: int = MOST_DEPLOYMENTS,  # deployments, not counting rollbacks
        # Seconds of real time to simulate after a tick; if it takes longer, `Behind` is raised, and the simulation
        # continues after the next tick.
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._scenario = scenario
        self._seed = seed
        self._replication = replication
        self._clock = clock
        self._most = most
        self._patience_s = patience_s
        self._gives_up_s = 0.0
        self._now_ns = 0
        self._entries: dict[str, _Entry] = {}
        # The ids of the initial deployments.
        self.first = tuple(self._begin(policy, replication).id for policy in policies)

    def tick(self) -> None:
        """Take the time from the clock; it never goes back."""
        self._now_ns = max(self._now_ns, self._clock())
        self._gives_up_s = time.monotonic() + self._patience_s

    @property
    def now(self) -> str:
        """Simulated time of the latest tick or act, RFC 3339 in UTC."""
        return format_time(parse_time(self._scenario.identity.created_at) + self._now_ns)

    # -- showing -----------------------------------------------------------------------------------

    def show(self, id_: str) -> Deployment:
        """Return the present state of a deployment or rollback.

        Raises
        ------
        UnknownDeployment
            If there is none.
        Behind
            If it takes too long to simulate it up to now.
        """
        entry = self._find(id_)
        for recorded in entry.rollout.recorded:
            if recorded.id == id_:
                return entry.rollout.show(recorded)
        raise UnknownDeployment(id_)

    def list(self, offset: int, limit: int) -> tuple[list[Deployment], int]:
        """Return some deployments in order of creation, each before its rollback, and the total number."""
        everything = []
        for entry in self._entries.values():
            self._advance(entry)
            everything += [(entry.rollout, recorded) for recorded in entry.rollout.recorded]
        page = everything[offset : offset + limit]
        return [rollout.show(recorded) for rollout, recorded in page], len(everything)

    # -- acting ------------------------------------------------------------------------------------

    def create(
        self,
        body: bytes,  # JSON: a deployment under the key of its dialect
    ) -> Deployment:
        """Begin a deployment.

        Raises
        ------
        InputError
            Lists everything invalid in the body.
        Refused
            If the policy is impossible in the scenario.
        Full
            If the service keeps no more deployments.
        """
        document = read_request(body)
        if len(self._entries) >= self._most:
            raise Full(f"there are {self._most:,} deployments, the most that this service keeps")
        try:
            number = self._replication + 1 + len(self._entries) - len(self.first)
            return self._begin(self._scenario.policy(document), number % (1 << 32))
        except InputError as error:
            raise Refused(str(error.problems[0]), error.problems) from None
        except SimulationError as error:
            raise Refused(str(error)) from None

    def act(self, id_: str, act: Act, target_version: int | None = None) -> Deployment:
        """Act on a deployment; return it, or its rollback if the act is "rollback".

        Raises
        ------
        UnknownDeployment
            If there is none with this id.
        Refused
            If the act is impossible now.
        Behind
            If it takes too long to simulate it up to now.
        """
        shown = self.show(id_)
        entry = self._find(id_)
        if id_ not in self._entries:
            raise Refused(f"{act} is impossible: a rollback goes on by itself")
        if target_version not in (None, shown.from_version):
            raise Refused(f"rollback is impossible: the nodes have version {shown.from_version} to go back to")
        why = entry.rollout.why_not(act)
        if why is not None:
            raise Refused(f"{act} is impossible: {why}")
        entry.rollout.act(act)
        self._now_ns = entry.created_ns + entry.rollout.now_ns
        deployments = entry.rollout.deployments()
        return deployments[-1] if act == "rollback" else deployments[0]

    def _begin(self, policy: ScenarioPolicy, replication: int) -> Deployment:
        id_ = f"d-{len(self._entries) + 1}"
        created_at = shift_time(self._scenario.identity.created_at, self._now_ns)
        identity = replace(policy.identity, id=id_, created_at=created_at)
        if max(identity.from_version, identity.to_version) > MAX_VERSION:
            raise InputError(Problem("versions are too large", found=f"{identity.from_version}, {identity.to_version}"))
        policy = replace(policy, identity=identity)
        rollout = LiveRollout(self._scenario, policy, seed=self._seed, replication=replication)
        self._entries[id_] = _Entry(rollout, self._now_ns)
        return rollout.deployments()[0]

    def _find(self, id_: str) -> _Entry:
        entry = self._entries.get(id_) or self._entries.get(id_.removesuffix("-rollback"))
        if entry is None:
            raise UnknownDeployment(id_)
        self._advance(entry)
        return entry

    def _advance(self, entry: _Entry) -> None:
        if not entry.rollout.advance(self._now_ns - entry.created_ns, lambda: time.monotonic() < self._gives_up_s):
            raise Behind


def read_request(body: bytes) -> DeploymentDocument:
    """Read the body of a request to create a deployment.

    It is read like a file, but must name its dialect by the outermost key, and may not use simdeploy's extensions of the API; 10.0
    is a whole number. ``id`` and ``status``, which the service sets, are ignored.

    Raises
    ------
    InputError
        Lists all problems, with their lines.

    Examples
    --------
    >>> read_request(b'{"rollout": {"spec": {"strategy": "immediate"}}}').dialect
    'rollout'
    """
    text = decode(body)
    raw = _whole(parse_json(text))
    problems = list(_beyond_api(raw))
    if not problems:
        key = next(iter(raw.keys() & set(WRAPPERS)))
        asked = {name: value for name, value in raw[key].items() if name not in _SERVICE_KEYS}
        document, problems = read_body({**raw, key: asked}, None)
        if document is not None:
            return document
    raise InputError(locate(cut(problems), text))


def read_rollback(body: bytes) -> int | None:
    """Read the body of a request to roll back; return the version to go back to, None if not given.

    Raises
    ------
    InputError
        If it is invalid.

    Examples
    --------
    >>> read_rollback(b'{"target_version": 1}')
    1
    """
    raw = _whole(parse_json(decode(body)))
    if not isinstance(raw, Mapping):
        raise InputError(Problem("not an object", found=shorten(raw), allowed='{"target_version": 1}'))
    if "target_version" not in raw:
        return None
    version = raw["target_version"]
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version <= MAX_VERSION:
        allowed = f"a whole number from 0 to {MAX_VERSION}"
        raise InputError(Problem("not a version", ("target_version",), found=shorten(version), allowed=allowed))
    return version


def _whole(value: Any) -> Any:
    """Convert whole numbers such as 10.0 to int, as JSON Schema, unlike the reader of files, accepts them as integers."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _beyond_api(raw: Any) -> Sequence[Problem]:
    """Return problems with what is allowed in files, but not in requests."""
    keys = raw.keys() & set(WRAPPERS) if isinstance(raw, Mapping) else ()
    if len(keys) != 1:
        return [Problem("not a deployment", found=shorten(raw), allowed=WRAPPED)]
    key = next(iter(keys))
    deployment = raw[key]
    if not isinstance(deployment, Mapping):
        return [Problem("not an object", (key,), found=shorten(deployment), allowed=WRAPPED)]
    spec = deployment.get("spec")
    if not isinstance(spec, Mapping):
        return []
    problems = []
    path: Path = (key, "spec")
    health_check = spec.get("health_check")
    if "dialect" in spec:
        problems.append(
            Problem("not in a request", (*path, "dialect"), hint=f"the key around it states the dialect: {WRAPPED}")
        )
    if isinstance(health_check, Mapping) and "gate" in health_check:
        hint = "put the policy into the scenario"
        problems.append(Problem("the API has no gates", (*path, "health_check", "gate"), hint=hint))
    return problems
