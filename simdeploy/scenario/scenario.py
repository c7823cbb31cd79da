"""A scenario: one frozen value made of world, rules and policies."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from simdeploy.api import DeploymentDocument, DeploymentSpec, RolloutSpec, Spec
from simdeploy.errors import InputError, Problem, cut, listed, nearest, shorten, warn_user
from simdeploy.rules.orchestrator import Orchestrator
from simdeploy.scenario.changes import set_values
from simdeploy.scenario.files import Files, Folder
from simdeploy.scenario.gate_checks import gate_problems
from simdeploy.scenario.measures import Requirement
from simdeploy.scenario.parts import Costs, Identity, ScenarioPolicy
from simdeploy.scenario.plain import plain
from simdeploy.scenario.policies import PolicyReading, Surroundings, document_policy, read_policy, spec_policy
from simdeploy.scenario.reading import health_problems, read_parts, request_problems
from simdeploy.scenario.section import located
from simdeploy.scenario.suspicions import PolicySuspicions
from simdeploy.scenario.yaml_text import Positions
from simdeploy.world.fleet import Fleet
from simdeploy.world.operator import Operator
from simdeploy.world.release import ReleaseKind
from simdeploy.world.tilt import Tilt, tilt_problems


@dataclass(frozen=True)
class _Origin:
    """What a scenario was read from: enough to change it."""

    raw: Mapping[str, Any]
    surroundings: Surroundings
    sections: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What nobody controls, and the policies that are tried on it.

    Made by `read_scenario` or `Scenario.from_dict`, which check everything; two scenarios are equal if
    they mean the same, however they were written.

    Attributes
    ----------
    name, description : str
    fleet : Fleet
    release : tuple of ReleaseKind
        What the new version may turn out to be.
    operator : Operator
    orchestrator : Orchestrator
        How the control plane reads a policy.
    health_interval_ns : int
        Evaluation window where a policy's dialect states none, nanoseconds.
    identity : Identity
    costs : Costs or None
    requirements : tuple of Requirement
        What policies must achieve.
    policies : mapping of str to ScenarioPolicy
        In the file's order; read-only.
    tilt : Tilt or None
        Other chances than the file's, under which replications have weights; see `tilted`. No part of a file.
    warnings : tuple of Problem
        What is legal but probably not meant.
    source : str or None
        The file's name.
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
    tilt: Tilt | None = None
    warnings: tuple[Problem, ...] = field(default=(), compare=False)
    source: str | None = field(default=None, compare=False)
    _origin: _Origin = field(compare=False, repr=False)

    @classmethod
    def from_dict(
        cls, d: Mapping[str, Any], *, base: str | os.PathLike[str] | None = None, allow_files: Sequence[Folder] = ()
    ) -> Scenario:
        """Make a scenario of what a file would say.

        Parameters
        ----------
        d : mapping
            Not changed.
        base : path, optional
            Folder of the files that it names, which have to be in or below it; the working directory unless given.
        allow_files : sequence of path, optional
            Further folders in or below which they may be.

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
        """Return what a file would say, as it was said; names of files are made absolute.

        `from_dict` reads it again with `base`, or `allow_files`, naming the folder of the files.
        """
        raw = copy.deepcopy(dict(self._origin.raw))
        _make_absolute(raw, self._origin.surroundings.files)
        return raw

    def to_question(self) -> dict[str, Any]:
        """Return what a file would say, wherever it is: beside the name of every file that it names stands its digest.

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
        _add_digests(raw, self._origin.surroundings.files)
        if self.tilt is not None:
            raw["tilt"] = self.tilt.factors
        return raw

    def with_values(self, values: Mapping[str, Any]) -> Scenario:
        """Return a scenario with other values.

        Parameters
        ----------
        values : mapping
            From paths with dots to values as a file would have them. Items of a list are named by their
            number, classes also by their name. A key that the file leaves to its default may be set, too.

        Raises
        ------
        InputError
            For a path that doesn't exist, with the nearest one, and for everything else that is wrong.

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
        changed = set_values(
            self._origin.raw, {str(path): plain(value, (str(path),)) for path, value in values.items()}
        )
        files, before = self._origin.surroundings.files, self._origin.raw
        # What isn't touched is shared: a section that is the very same object has been read.
        kept = {
            name: section for name, section in self._origin.sections.items() if changed.get(name) is before.get(name)
        }
        scenario, errors = build(changed, Files(files.base, files.allowed, files.texts), source=self.source, known=kept)
        if scenario is None:
            raise InputError(errors)
        known = [(problem.path, problem.message) for problem in self.warnings]
        warn(problem for problem in scenario.warnings if (problem.path, problem.message) not in known)
        return scenario.tilted(self.tilt)

    def tilted(self, tilt: Tilt | Mapping[str, float] | None) -> Scenario:
        """Return the same scenario with other chances: its replications have a `weight` that makes up for them.

        Parameters
        ----------
        tilt : Tilt, mapping of str to float, or None
            Factors by name; None takes a tilt away. A tilt is put in the place of the one before.

        Raises
        ------
        InputError
            For a factor of something that isn't drawn in this scenario.

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
        if problems:
            raise InputError(problems)
        return replace(self, tilt=tilt)

    def policy(
        self, policy: str | Mapping[str, Any] | Spec | DeploymentDocument | ScenarioPolicy | None = None
    ) -> ScenarioPolicy:
        """Return one of the scenario's policies, or make one that it doesn't have.

        Parameters
        ----------
        policy : str, mapping, DeploymentSpec, RolloutSpec, DeploymentDocument or ScenarioPolicy, optional
            A name; a spec as it would be inline in the file; a spec or a document of the API. The first
            of the scenario's policies unless given. A policy without a name is called by its strategy.

        Raises
        ------
        InputError
            For a name that doesn't exist, with the nearest one, or for a spec that is no use here.

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
        if isinstance(policy, str):
            if policy not in self.policies:
                allowed = listed(self.policies)
                hint = nearest(policy, self.policies)
                raise InputError(
                    Problem("no such policy", ("policies",), found=shorten(policy), allowed=allowed, hint=hint)
                )
            return self.policies[policy]
        reading = self._read(policy)
        errors = list(reading.problems)
        if reading.policy is not None:
            errors += health_problems(reading.policy, ())
            errors += request_problems(self.fleet, [reading.policy.policy.interval_ns])
            errors += gate_problems(reading.policy, (), self.fleet, self.orchestrator)
        if errors or reading.policy is None:
            raise InputError(errors)
        warn([*reading.warnings, *PolicySuspicions(reading.policy, (), self.fleet, self.orchestrator)])
        return reading.policy

    def _read(self, policy: Mapping[str, Any] | Spec | DeploymentDocument) -> PolicyReading:
        around = self._origin.surroundings
        if isinstance(policy, DeploymentDocument):
            return document_policy(policy.spec.strategy, policy, around)
        if isinstance(policy, DeploymentSpec | RolloutSpec):
            return spec_policy(policy.strategy, policy, around)
        if isinstance(policy, Mapping):
            raw = plain(policy)
            return read_policy(str(raw.get("strategy") or raw.get("file")), raw, around)
        allowed = "a policy's name, a dict, a spec or a simdeploy.api document"
        raise InputError(Problem("not a policy", found=shorten(policy), allowed=allowed))


def build(
    raw: Any,
    files: Files,
    *,
    source: str | None = None,
    positions: Positions | None = None,
    known: Mapping[str, Any] | None = None,
) -> tuple[Scenario | None, tuple[Problem, ...]]:
    """Make a scenario of plain data, or say all that is wrong; the scenario holds its warnings.

    `known` has sections that were read of the same data before.
    """
    reading = read_parts(raw, files, known)
    file, places = (source, positions) if positions is not None else (None, {})
    if reading.errors or reading.surroundings is None:
        return None, tuple(located(cut(reading.errors), file, places))
    origin = _Origin(raw, reading.surroundings, reading.sections)
    found = tuple(located(cut(reading.warnings), file, places))
    return Scenario(**reading.parts, warnings=found, source=source, _origin=origin), ()


def warn(problems: Iterable[Problem]) -> None:
    """Emit warnings as those of the public function that calls this."""
    for problem in problems:
        warn_user(str(problem))


def _make_absolute(raw: Any, files: Files) -> None:
    for key, value in raw.items() if isinstance(raw, dict) else enumerate(raw):
        if key == "file" and isinstance(value, str):
            raw[key] = str(Path(files.path(value)).absolute())
        elif isinstance(value, dict | list):
            _make_absolute(value, files)


def _add_digests(raw: Any, files: Files) -> None:
    for key, value in list(raw.items()) if isinstance(raw, dict) else enumerate(raw):
        if key == "file" and isinstance(value, str):
            raw["sha256"] = hashlib.sha256(files.text(value).encode()).hexdigest()
        elif isinstance(value, dict | list):
            _add_digests(value, files)
