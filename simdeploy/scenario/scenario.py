"""Scenarios: frozen values of world, rules and policies."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from html import escape
from pathlib import Path
from typing import Any

from simdeploy.api import DeploymentDocument, DeploymentSpec, GeneralSpec, RolloutSpec, Spec
from simdeploy.dialects import PolicyImport
from simdeploy.errors import (
    InputError,
    Problem,
    cut,
    listed,
    name_problems,
    not_among,
    plural,
    raise_if_any,
    shorten,
    warn_user,
)
from simdeploy.records.histories import PastRollouts
from simdeploy.rules.orchestrator import Orchestrator
from simdeploy.scenario.changes import set_values
from simdeploy.scenario.files import Files, Folder
from simdeploy.scenario.measures import Requirement
from simdeploy.scenario.parts import Costs, Identity, ScenarioPolicy
from simdeploy.scenario.plain import plain
from simdeploy.scenario.policies import (
    PolicyReading,
    document_policy,
    imported_policy,
    is_policy_file,
    read_policy,
    read_policy_file,
    spec_policy,
)
from simdeploy.scenario.policy_checks import health_problems, policy_problems
from simdeploy.scenario.reading import Origin, read_parts, request_problems
from simdeploy.scenario.section import located
from simdeploy.scenario.suspicions import PolicyInFleetSuspicions, PolicySuspicions
from simdeploy.scenario.yaml_text import Positions
from simdeploy.world.fleet import Fleet
from simdeploy.world.operator import Operator
from simdeploy.world.release import ReleaseKind
from simdeploy.world.tilt import Tilt, tilt_problems

# A policy as `Scenario.policy` takes it; and one or several, perhaps by name, as calls that simulate take them.
PolicyLike = str | os.PathLike[str] | Mapping[str, Any] | Spec | DeploymentDocument | PolicyImport | ScenarioPolicy
PoliciesLike = PolicyLike | Iterable[PolicyLike] | Mapping[str, PolicyLike]


@dataclass(frozen=True, kw_only=True, repr=False)
class Scenario:
    """The circumstances of a rollout, and the policies to try.

    Made by `read_scenario` or `Scenario.from_dict`, which check everything. Scenarios are equal if they mean the same,
    however they are written.

    Attributes
    ----------
    name, description : str
    fleet : Fleet
    release : tuple of ReleaseKind
        Kinds of release that the new version may be.
    operator : Operator
    orchestrator : Orchestrator
        How the control plane interprets a policy.
    health_interval_ns : int
        Evaluation window if a policy's dialect states none, nanoseconds.
    identity : Identity
    costs : Costs or None
    requirements : tuple of Requirement
        Requirements for policies.
    policies : mapping of str to ScenarioPolicy
        In the file's order; read-only.
    past : PastRollouts or None
        Rollouts on record that replications are, if the fleet has `records`.
    tilt : Tilt or None
        Changed probabilities, so that replications have weights; see `tilted`. Not part of a file.
    kind : str or None
        The kind of release that every rollout has; see `given`. Not part of a file.
    warnings : tuple of Problem
        What is valid but probably not meant.
    source : str or None
        The file's name.

    Examples
    --------
    >>> import simdeploy
    >>> scenario = simdeploy.load_example("small-fleet")
    >>> scenario.fleet.nodes, [kind.name for kind in scenario.release], list(scenario.policies)
    (40, ['good', 'blatant', 'subtle'], ['all-at-once', 'rolling', 'canary'])
    """

    name: str
    description: str
    fleet: Fleet
    release: tuple[ReleaseKind, ...]
    operator: Operator
    orchestrator: Orchestrator
    health_interval_ns: int
    identity: Identity
    costs: Costs | None
    requirements: tuple[Requirement, ...]
    policies: Mapping[str, ScenarioPolicy]
    past: PastRollouts | None = None
    tilt: Tilt | None = None
    kind: str | None = None
    warnings: tuple[Problem, ...] = field(default=(), compare=False)
    source: str | None = field(default=None, compare=False)
    _origin: Origin = field(compare=False, repr=False)

    def __repr__(self) -> str:
        return f"<Scenario: {self._headline}>"

    def _repr_html_(self) -> str:
        description = f"<p>{escape(self.description)}</p>" if self.description else ""
        return f"<p>{escape(self._headline)}</p>{description}"

    @property
    def _headline(self) -> str:
        return (
            f"{self.name}, {plural(self.fleet.nodes, 'node')}, {plural(len(self.release), 'kind')} of release, "
            f"{plural(len(self.policies), 'policy', 'policies')} ({listed(self.policies)})"
        )

    @classmethod
    def from_dict(
        cls, d: Mapping[str, Any], *, base: str | os.PathLike[str] | None = None, allow_files: Sequence[Folder] = ()
    ) -> Scenario:
        """Make a scenario from the contents of a file.

        Parameters
        ----------
        d : mapping
            Not changed.
        base : path, optional
            Folder that contains the files it names; default: the working directory.
        allow_files : sequence of path, optional
            Further folders that may contain them.

        Raises
        ------
        InputError
            With all problems.

        Warns
        -----
        SimdeployWarning
            For each of `warnings`.

        Examples
        --------
        >>> scenario = Scenario.from_dict({
        ...     "name": "small",
        ...     "fleet": {"nodes": 12, "update_duration": "45s"},
        ...     "policies": {"at-once": {"strategy": "immediate"}},
        ... })
        >>> scenario.fleet.nodes
        12
        """
        scenario, errors = build(plain(d), Files("" if base is None else os.fspath(base), allow_files))
        if scenario is None:
            raise InputError(errors)
        warn(scenario.warnings)
        return scenario

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of its file, with absolute file names.

        To read it again with `from_dict`, pass the folder of the files as `base` or `allow_files`.
        """
        raw = copy.deepcopy(dict(self._origin.raw))
        _make_absolute(raw, self._origin.files)
        return raw

    def to_question(self) -> dict[str, Any]:
        """Return the contents of its file, with a digest beside every file name.

        Examples
        --------
        >>> scenario = Scenario.from_dict({
        ...     "name": "small",
        ...     "fleet": {"nodes": 12, "update_duration": "45s"},
        ...     "policies": {"at-once": {"strategy": "immediate"}},
        ... })
        >>> scenario.to_question()["fleet"]
        {'nodes': 12, 'update_duration': '45s'}
        """
        raw = copy.deepcopy(dict(self._origin.raw))
        _add_digests(raw, self._origin.files)
        if self.past is not None:
            raw["fleet"]["sha256"] = self.past.digest
        if self.tilt is not None:
            raw["tilt"] = self.tilt.factors
        if self.kind is not None:
            raw["kind"] = self.kind
        return raw

    def with_values(self, values: Mapping[str, Any]) -> Scenario:
        """Return a scenario with changed values.

        Parameters
        ----------
        values : mapping
            Values as in a file, by dotted path. List items are named by number, classes also by name. Keys that the file leaves to
            their defaults may be set.

        Raises
        ------
        InputError
            For paths that don't exist, with the nearest one, and for all other problems.

        Examples
        --------
        >>> scenario = Scenario.from_dict({
        ...     "name": "small",
        ...     "fleet": {"nodes": 12, "update_duration": "45s"},
        ...     "policies": {"at-once": {"strategy": "immediate"}},
        ... })
        >>> scenario.with_values({"fleet.nodes": 500, "orchestrator.on_failure": "stop"}).fleet.nodes
        500
        """
        if not isinstance(values, Mapping):
            allowed = 'a mapping from paths to values, such as {"fleet.nodes": 500}'
            raise InputError(Problem("no values to change", ("values",), found=shorten(values), allowed=allowed))
        origin = self._origin
        changed = set_values(origin.raw, {str(path): plain(value, (str(path),)) for path, value in values.items()})
        files = Files(origin.files.base, origin.files.allowed, origin.files.texts, origin.files.past)
        scenario, errors = build(changed, files, source=self.source, before=origin)
        if scenario is None:
            raise InputError(errors)
        known = [(problem.path, problem.message) for problem in self.warnings]
        warn(problem for problem in scenario.warnings if (problem.path, problem.message) not in known)
        scenario = scenario if self.tilt is None else scenario.tilted(self.tilt)
        return scenario if self.kind is None else scenario.given(self.kind)

    def tilted(self, tilt: Tilt | Mapping[str, float] | None) -> Scenario:
        """Return the scenario with changed probabilities; the `weight` of its replications corrects for them.

        Parameters
        ----------
        tilt : Tilt, mapping of str to float, or None
            Factors by name, replacing any earlier tilt; None removes it.

        Raises
        ------
        InputError
            For a factor of something that this scenario doesn't draw.

        Examples
        --------
        >>> scenario = Scenario.from_dict({
        ...     "name": "small",
        ...     "fleet": {"nodes": 12, "update_duration": "45s", "start_failure": 0.001},
        ...     "policies": {"at-once": {"strategy": "immediate"}},
        ... })
        >>> print(scenario.tilted({"start_failure": 100}).tilt)
        start_failure x 100
        """
        if tilt is not None and not isinstance(tilt, Tilt):
            tilt = Tilt.of(tilt)
        problems = tilt_problems(tilt, self.fleet, self.release, self.operator) if tilt else []
        if tilt and self.past is not None:
            problems = [Problem("rollouts on record have probabilities that can't be changed", ("fleet", "records"))]
        raise_if_any(problems)
        return replace(self, tilt=tilt)

    def given(self, kind: str | None) -> Scenario:
        """Return the scenario in which every release is of one kind; all other random numbers stay the same.

        `release` keeps the probabilities of the kinds, so that results can be weighted with them.

        Parameters
        ----------
        kind : str or None
            One of `release`, replacing any earlier one; None for a kind drawn anew in every rollout.

        Raises
        ------
        InputError
            For an unknown kind, with the nearest one.

        Examples
        --------
        >>> scenario = Scenario.from_dict({
        ...     "name": "small",
        ...     "fleet": {"nodes": 12, "update_duration": "45s"},
        ...     "release": {
        ...         "good": {"probability": 0.9},
        ...         "bad": {"probability": 0.1, "defective": True, "start_failure": 0.2},
        ...     },
        ...     "policies": {"at-once": {"strategy": "immediate"}},
        ... })
        >>> [float(kind.probability) for kind in scenario.given("bad").drawn_release]
        [0.0, 1.0]
        """
        names = [each.name for each in self.release]
        if kind is not None and kind not in names:
            raise InputError(not_among("no such kind of release", ("kind",), kind, names))
        return replace(self, kind=kind)

    @property
    def drawn_release(self) -> tuple[ReleaseKind, ...]:
        """The kinds of `release` with the probabilities that rollouts have: 1 for `kind`, if there is one."""
        if self.kind is None:
            return self.release
        return tuple(replace(each, probability=Fraction(each.name == self.kind)) for each in self.release)

    def orchestrator_of(self, policy: ScenarioPolicy) -> Orchestrator:
        """Return the orchestrator that a policy is run by: its own, or else the scenario's."""
        return self.orchestrator if policy.orchestrator is None else policy.orchestrator

    def under(self, policy: ScenarioPolicy) -> Scenario:
        """Return the scenario with the orchestrator that a policy is run by."""
        return self if policy.orchestrator is None else replace(self, orchestrator=policy.orchestrator)

    def policy(self, policy: PolicyLike | None = None) -> ScenarioPolicy:
        """Return one of the scenario's policies, or make a new one.

        Parameters
        ----------
        policy : str, path, mapping, spec, DeploymentDocument, PolicyImport or ScenarioPolicy, optional
            A name; the path of a policy file; a spec as in the scenario's file; a spec or document of the API; an imported policy.
            Default: the scenario's first policy. A policy without a name is named after its file, or else its strategy. Text is a path if
            no policy has that name, and it ends with ``.json``, ``.yaml`` or ``.yml`` or there is such a file.

        Raises
        ------
        InputError
            For an unknown name, with the nearest one, or for an unusable file or spec.

        Examples
        --------
        >>> scenario = Scenario.from_dict({
        ...     "name": "small",
        ...     "fleet": {"nodes": 12, "update_duration": "45s"},
        ...     "policies": {"at-once": {"strategy": "immediate"}},
        ... })
        >>> scenario.policy({"strategy": "rolling", "health_check": {"deadline": "5m"}}).name
        'rolling'
        """
        if policy is None:
            return next(iter(self.policies.values()))
        if isinstance(policy, ScenarioPolicy):
            return policy
        if isinstance(policy, str) and policy in self.policies:
            return self.policies[policy]
        if isinstance(policy, os.PathLike) or (isinstance(policy, str) and is_policy_file(policy)):
            return self._read_file(policy)
        if isinstance(policy, str):
            raise InputError(not_among("no such policy", ("policies",), policy, self.policies))
        reading = self._read(policy)
        errors = list(reading.problems)
        if reading.policy is not None:
            errors += health_problems(reading.policy, ())
            errors += request_problems(self.fleet, [reading.policy.policy.interval_ns])
            errors += policy_problems(reading.policy, (), self.fleet, self.orchestrator_of(reading.policy))
        if errors or reading.policy is None:
            raise InputError(errors)
        orchestrator = self.orchestrator_of(reading.policy)
        warn([*reading.warnings, *PolicySuspicions(reading.policy, (), orchestrator)])
        warn(PolicyInFleetSuspicions(reading.policy, (), orchestrator, self.fleet, self.release))
        return reading.policy

    def _read_file(self, path: str | os.PathLike[str]) -> ScenarioPolicy:
        """Read a policy from a file, and name it after that."""
        name = Path(path).stem
        problems = name_problems(name, ("policies",))
        if problems:
            hint = "the policy is named after its file: rename the file"
            raise InputError(replace(problem, hint=hint) for problem in problems)
        return replace(self.policy(read_policy_file(path, self.fleet.nodes)), name=name)

    def _read(self, policy: Mapping[str, Any] | Spec | DeploymentDocument | PolicyImport) -> PolicyReading:
        around = self._origin.surroundings
        if isinstance(policy, DeploymentDocument):
            return document_policy(policy.spec.strategy, policy, around)
        if isinstance(policy, PolicyImport):
            return imported_policy(policy.kind, policy, around)
        if isinstance(policy, DeploymentSpec | RolloutSpec | GeneralSpec):
            return spec_policy(policy.strategy, policy, around)
        if isinstance(policy, Mapping):
            raw = plain(policy)
            return read_policy(str(raw.get("strategy") or raw.get("file")), raw, around)
        allowed = "a policy's name or path, a dict, a spec or a simdeploy.api document"
        raise InputError(Problem("not a policy", found=shorten(policy), allowed=allowed))


def build(
    raw: Any,
    files: Files,
    *,
    source: str | None = None,
    positions: Positions | None = None,
    before: Origin | None = None,
) -> tuple[Scenario | None, tuple[Problem, ...]]:
    """Make a scenario from plain data, or return all problems; the scenario holds its warnings.

    What is unchanged since `before` is not read again.
    """
    reading = read_parts(raw, files, before)
    file, places = (source, positions) if positions is not None else (None, {})
    problems = tuple(located(cut(reading.problems), file, places))
    if reading.origin is None:
        return None, problems
    return Scenario(**reading.parts, warnings=problems, source=source, _origin=reading.origin), ()


def warn(problems: Iterable[Problem]) -> None:
    """Emit warnings on behalf of the calling public function."""
    for problem in problems:
        warn_user(problem)


def _make_absolute(raw: Any, files: Files) -> None:
    for key, value in raw.items() if isinstance(raw, dict) else enumerate(raw):
        if key in ("file", "records") and isinstance(value, str):
            raw[key] = str(Path(files.path(value)).absolute())
        elif isinstance(value, dict | list):
            _make_absolute(value, files)


def _add_digests(raw: Any, files: Files) -> None:
    for key, value in list(raw.items()) if isinstance(raw, dict) else enumerate(raw):
        if key == "file" and isinstance(value, str):
            raw["sha256"] = hashlib.sha256(files.text(value).encode()).hexdigest()
        elif isinstance(value, dict | list):
            _add_digests(value, files)
