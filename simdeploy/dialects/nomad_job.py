"""The parts of a Nomad job in HCL, HCL's JSON form or JSON of Nomad's API (``nomad job inspect``, ``nomad job run -output``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from simdeploy.dialects.hcl import parse_hcl
from simdeploy.dialects.hcl_values import Scope
from simdeploy.dialects.reading import Group, Reading
from simdeploy.errors import Path

if TYPE_CHECKING:
    from simdeploy.dialects.source import Source

_JOB = re.compile(r'^job[ \t]+("[^"\n]*"|\[\[[^\n]*\]\]|[\w.-]+)[ \t]*\{', re.MULTILINE)
_API_NAMES = {"group": "TaskGroups", "restart": "RestartPolicy", "reschedule": "ReschedulePolicy"}


def is_job(source: Source) -> bool:
    """Tell whether a text is a job: HCL with a job block, HCL's JSON form, or JSON of Nomad's API."""
    if not source.is_json:
        return _JOB.search(source.text) is not None
    return any(_is_api(document.data) or _is_hcl_json(document.data) for document in source.groups)


class JobFile:
    """A file with one job."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.document = reading.source.documents[0] if reading.source.is_json else parse_hcl(reading.source)
        self._data = self.document.data if isinstance(self.document.data, dict) else {}
        self._scope = Scope(reading, self._data)
        self.is_api = _is_api(self._data)

    def job(self) -> Group:
        """Return the job, with fields named as in HCL."""
        if self.is_api:
            path: Path = ("Job",) if "Job" in self._data else ()
            return Group(self._reading, self.document, path, name="", spell=_spell_for_api)
        path = self._descend(("job",)) if "job" in self._data else ()
        jobs = self._at(path) if path else None
        if not isinstance(jobs, dict) or not jobs:
            allowed = 'a job, as in: job "web" { ... }, {"job": {"web": {...}}} or {"Job": {"TaskGroups": [...]}}'
            raise self._reading.refusal(self.document.problem("no job", (), allowed=allowed))
        names = list(jobs)
        if len(names) > 1:
            problem = self.document.problem("more than one job", (*path, names[1]), allowed="one job in a file")
            self._reading.problems.append(problem)
        return self._group((*path, names[0]), "")

    def group(self, job: Group) -> Group:
        """Return the group to import; Nomad updates all groups side by side, each by itself."""
        named: dict[str, Group] = {}
        if self.is_api:
            named = {str(group.data.get("Name", number)): group for number, group in enumerate(job.groups("group"))}
        elif "group" in job:
            path = self._descend((*job.path, "group"))
            groups = self._at(path)
            names = list(groups) if isinstance(groups, dict) else []
            named = {name: self._group((*path, name), f"group.{name}") for name in names}
        elif isinstance(job.value("task"), dict):  # a task without a group is a group of its own
            place = (*job.path, "group")  # there is none
            named = {
                name: Group(self._reading, self.document, place, name=f"group.{name}") for name in job.data["task"]
            }
        if not named:
            job.refuse("group", "no group", allowed='a group, as in: group "app" { ... }')
            raise self._reading.refusal()
        preferred = [name for name, group in named.items() if "update" in group]
        if "group" in self._scope:  # a variable of the file
            return named[(preferred or list(named))[0]]
        return named[self._reading.choose("group", list(named), preferred)]

    def block(self, group: Group, key: str) -> Group:
        """Return a block within a group."""
        if self.is_api or key not in group:
            return group.group(key)
        return self._group((*group.path, key), group.name_of(key))

    def _group(self, path: Path, name: str) -> Group:
        return Group(self._reading, self.document, self._descend(path), evaluate=self._scope.evaluate, name=name)

    def _descend(self, path: Path) -> Path:
        """Return the path to a block, which HCL's JSON form may put into a list."""
        while self.document.source.is_json and isinstance(self._at(path), list) and len(self._at(path)) == 1:
            path = (*path, 0)
        return path

    def _at(self, path: Path) -> Any:
        value: Any = self._data
        for part in path:
            value = value[part]
        return value


def _spell_for_api(group: Group, key: str) -> str:  # noqa: ARG001 - as every `Spell`
    """Return the API's spelling of a key of HCL; other keys stay as they are."""
    return key if key[:1].isupper() else _API_NAMES.get(key, key.title().replace("_", ""))


def _is_api(data: dict[str, Any]) -> bool:
    job = data.get("Job", data)
    return isinstance(job, dict) and "TaskGroups" in job


def _is_hcl_json(data: dict[str, Any]) -> bool:
    jobs = _only(data.get("job"))
    bodies = [_only(job) for job in jobs.values()] if isinstance(jobs, dict) else []
    return any(isinstance(body, dict) and "group" in body for body in bodies)


def _only(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value
