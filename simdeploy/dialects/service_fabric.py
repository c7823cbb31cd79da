"""Azure Service Fabric: the parameters of a rolling upgrade of an application or a cluster, as JSON, or in a publish profile.

An upgrade goes through the cluster's upgrade domains, one after the other. In a monitored upgrade, Service Fabric waits after each
domain; then the application must be healthy for `HealthCheckStableDuration`. It is checked again until `HealthCheckRetryTimeout`;
then `FailureAction` follows, a rollback through the domains or a stop that awaits a person. The application is healthy while the
percentage of unhealthy nodes stays within `MaxPercentUnhealthyDeployedApplications`, rounded up. A cluster has limits on its own
unhealthy nodes, and its upgrade rolls back. Source:
MicrosoftDocs/azure-docs:articles/service-fabric/service-fabric-application-upgrade-parameters.md; the REST reference
(MonitoringPolicyDescription, ApplicationHealthPolicy, ClusterUpgradePolicy, ClusterUpgradeDeltaHealthPolicy).
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from simdeploy.dialects.reading import NOTHING_SERVED, Group, Reading, or_else
from simdeploy.dialects.source import Document, Source, Tagged
from simdeploy.dialects.windows import choose_window
from simdeploy.errors import Path, Problem, format_path, plural, shorten
from simdeploy.units import MAX_DURATION_NS, NS_PER_S, write_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simdeploy.dialects.imported import PolicyImport

_MONITORING = ("monitoringpolicy", "rollingupgrademonitoringpolicy")
_OF_CLUSTERS = ("healthpolicy", "deltahealthpolicy", "clusterhealthpolicy", "clusterupgradehealthpolicy")
_GROUPS = (*_MONITORING, "applicationhealthpolicy", "defaultservicetypehealthpolicy", *_OF_CLUSTERS)
_OF_NODES = ("MaxPercentUnhealthyNodes", "MaxPercentDeltaUnhealthyNodes")
_UPGRADE = "UpgradeDeployment"  # of a publish profile
_TIMES = ("healthcheckwaitduration", "healthcheckstableduration", "healthcheckretrytimeout", "upgradedomaintimeout")
_UNIT = re.compile(r"(inmilliseconds|inseconds|seconds|sec)$")
_TIMESPAN = re.compile(r"(?:(\d{1,8})\.)?(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)")
_ISO = re.compile(r"P(?:(\d{1,8})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,12}(?:\.\d{1,9})?)S)?)?")
_PARAMETER = re.compile(r"\[parameters\('(\w+)'\)\]")
_MS_NS = 10**6
_INFINITE = 4_294_967_295  # infinity in 32-bit numbers
_DEEPEST = 6
_DOMAINS = 5  # Azure's default
_VARIABLE = "upgrade_domains"
_UNWATCHED = "24h"
_SHORTEST_NS = NS_PER_S // 2


def recognises(source: Source) -> bool:
    """Tell whether a text has upgrade parameters."""
    return _is_profile(source) or any(_search(document.data) for document in source.groups)


def read(reading: Reading) -> PolicyImport:
    """Read the upgrade parameters of the application that the variable `application` names, or the first ones of the file."""
    if _is_profile(reading.source):
        profile = Group(reading, _read_profile(reading), (_UPGRADE,))
        if profile.flag("Enabled"):
            profile.exact("Enabled", "the application is upgraded")
        else:
            profile.approximate("Enabled", "the application is replaced, not upgraded; here as if it were upgraded")
        return _read_upgrade(reading, _Parameters(profile))
    for document in reading.source.groups:
        paths = _search(document.data)
        if paths:
            names = [_name(document.data, path) for path in paths]
            path = paths[names.index(reading.choose("application", names))]
            return _read_upgrade(reading, _Parameters(Group(reading, document, path, evaluate=_evaluate)))
    raise reading.nothing("upgrade parameters such as HealthCheckStableDurationSec, or a MonitoringPolicy")


def _is_profile(source: Source) -> bool:
    """Tell whether a text is a publish profile of Visual Studio."""
    return "<PublishProfile" in source.text and source.text.lstrip("\ufeff \t\r\n").startswith("<")


def _read_profile(reading: Reading) -> Document:
    """Return the upgrade of a publish profile, the attributes of two elements, as one group."""
    file = reading.source.file
    upgrade: dict[str, str] = {}
    lines: dict[Path, int] = {}
    parser = expat.ParserCreate("utf-8")

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == _UPGRADE or (name == "Parameters" and lines):
            lines.setdefault((_UPGRADE,), parser.CurrentLineNumber)
            lines.update({(_UPGRADE, key): parser.CurrentLineNumber for key in attributes})
            upgrade.update(attributes)

    def refuse(*_: object) -> None:  # its entities could expand without end
        raise reading.refusal(Problem("not XML: a DTD is not read", file=file, line=parser.CurrentLineNumber))

    parser.StartElementHandler, parser.StartDoctypeDeclHandler = start, refuse
    try:
        parser.Parse(reading.source.text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        why = expat.ErrorString(error.code)
        raise reading.refusal(Problem(f"not XML: {why}", file=file, line=error.lineno)) from None
    if not lines:
        raise reading.refusal(Problem(f"no {_UPGRADE} in this publish profile", file=file))
    return Document({_UPGRADE: upgrade}, reading.source, lines)


def _search(data: Any) -> list[Path]:
    """Return the paths of the outermost mappings with upgrade parameters, also in a template or a response."""
    level: list[tuple[Path, Any]] = [((), data)]
    for _ in range(_DEEPEST):
        paths = [
            path
            for path, value in level
            if isinstance(value, dict) and any(_plain(key) in (*_MONITORING, *_TIMES) for key in value)
        ]
        if paths:
            return paths
        level = [((*path, key), inner) for path, value in level for key, inner in _parts(value)]
    return []


def _name(data: Any, path: Path) -> str:
    """Return the name of the innermost object with a name around a place; its path if there is none."""
    name = format_path(path)
    for part in path:
        data = data[part]
        if isinstance(data, dict) and isinstance(data.get("name"), str):
            name = data["name"]
    return name


def _parts(data: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(data, dict):
        yield from data.items()
    elif isinstance(data, list):
        yield from enumerate(data)


def _plain(key: str) -> str:
    """Return a parameter's name in a form common to PowerShell, REST and templates, without its unit."""
    return _UNIT.sub("", key.lower())


class _Parameters:
    """The parameters of an upgrade, which tools spread over different groups and spell differently."""

    def __init__(self, outermost: Group) -> None:
        self.groups = [outermost]
        for group in self.groups:
            below = [key for key in group if _plain(key) in _GROUPS]
            # PowerShell writes the policy of services as text.
            self.groups += [group.group(key) for key in below if not isinstance(group.data[key], str)]

    def find(self, name: str) -> tuple[Group, str]:
        """Return the group of a parameter and its key there; those of its default if it is not given."""
        for group in self.groups:
            for key in group:
                if _plain(key) == name.lower() and key in group:
                    return group, key
        return self.groups[0], name

    @property
    def limits_of_nodes(self) -> list[tuple[Group, str]]:
        """The groups and keys of the limits on a cluster's nodes; none in the upgrade of an application."""
        return [(group, key) for group, key in map(self.find, _OF_NODES) if key in group]

    def duration(self, name: str, default_ns: int | None) -> int | None:
        """Return a duration in nanoseconds; None if it is infinite."""
        group, key = self.find(name)
        value = group.value(key)
        if value is None:
            return default_ns
        ns = _read_duration(key, value)
        if ns is None:
            number = {None: "", _MS_NS: ", a number of milliseconds", NS_PER_S: ", a number of seconds"}[_unit_ns(key)]
            group.refuse(key, "not a duration", allowed=f'"0:02:00", "PT2M"{number}')
            return default_ns
        return None if ns > MAX_DURATION_NS else ns


def _read_duration(key: str, value: Any) -> int | None:
    """Return a duration in any of the tools' forms; None if it is invalid."""
    text = "" if isinstance(value, bool) else str(value).strip()
    unit_ns = _unit_ns(key)
    if text.isascii() and text.isdecimal() and unit_ns is not None and len(text) <= 20:
        return MAX_DURATION_NS + 1 if int(text) == _INFINITE else int(text) * unit_ns
    match = _TIMESPAN.fullmatch(text) or _ISO.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes = (int(part or 0) for part in match.groups()[:3])
    return ((days * 24 + hours) * 60 + minutes) * 60 * NS_PER_S + int(Fraction(match[4] or 0) * NS_PER_S)


def _unit_ns(key: str) -> int | None:
    """Return the unit in a parameter's name; None if there is none."""
    unit = _UNIT.search(key.lower())
    if unit is None:
        return None
    return _MS_NS if unit[1] == "inmilliseconds" else NS_PER_S


# -- their meaning ---------------------------------------------------------------------------------


def _read_upgrade(reading: Reading, parameters: _Parameters) -> PolicyImport:
    monitored, manual = _read_mode(parameters)
    domains = _read_domains(reading)
    back = monitored and _read_action(parameters)
    nodes = reading.nodes(None)
    switches: dict[str, Any] = {"pacing": "barrier"}
    policy: dict[str, Any] = {
        "strategy": "canary" if manual else "rolling",
        "waves": [{"until": _share(number, domains)} for number in range(1, domains + 1)],
        "rollback_parallel": _share(1, domains) if back else None,
        "no_auto_rollback": None if back else True,
        "health_check": {"deadline": _UNWATCHED},
    }
    if monitored:
        policy |= _read_times(parameters, switches) | _read_health(parameters, nodes)
        switches |= {"limits_judged": "wave_end", "on_failure": "rollback" if back else "pause"}
    else:
        switches |= {"canary_gate": "limits", "on_failure": "continue"}
    for group in parameters.groups:
        group.note_rest("no part of a node's health" if monitored else "without effect unless the upgrade is monitored")
    return reading.finish(policy, switches, nodes=nodes)


def _share(number: int, domains: int) -> str:
    """Return a number of domains as a percentage, rounded down so that rounding it up to nodes is exact."""
    return f"{number * 10**10 // domains / 10**8:.8f}".rstrip("0").rstrip(".") + "%"


def _read_mode(parameters: _Parameters) -> tuple[bool, bool]:
    """Tell whether the upgrade is monitored, and whether a person starts each domain."""
    places = [parameters.find(name) for name in ("RollingUpgradeMode", "Mode", "UpgradeMode")]
    group, key = next(((group, key) for group, key in places if key in group), places[-1])
    unsaid_in_rest = key not in group and any(key.lower() == _MONITORING[0] for key in parameters.groups[0])
    default = "UnmonitoredAuto" if unsaid_in_rest else "Monitored"
    mode = or_else(group.text(key, "Monitored", "UnmonitoredAuto", "UnmonitoredManual"), default)
    if unsaid_in_rest:
        text = (
            "UnmonitoredAuto in the REST API: domain after domain, whatever fails; the MonitoringPolicy has no effect"
        )
        group.exact(key, text)
    elif key not in group and parameters.limits_of_nodes:
        group.exact(key, "domain after domain, if the cluster is healthy")
    elif key not in group:
        group.approximate(key, "taken as Monitored: domain after domain, if healthy")
    elif mode == "UnmonitoredManual":
        group.approximate(key, "a person starts each domain; here only the second (promotion of canaries)")
    else:
        group.exact(key, "domain after domain" + (", if healthy" if mode == "Monitored" else ", whatever fails"))
    return mode == "Monitored", mode == "UnmonitoredManual"


def _read_domains(reading: Reading) -> int:
    """Return the number of upgrade domains, a property of the cluster that the file doesn't state."""
    text = reading.variable(_VARIABLE)
    if text is None:
        unknown = f"the cluster knows their number; {_DOMAINS} are assumed, give another with --var {_VARIABLE}=N"
        reading.note(_VARIABLE, "not evaluated", unknown)
        return _DOMAINS
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0
    if not 1 <= number <= 100:
        reading.problems.append(Problem("not a number of domains", (_VARIABLE,), found=text, allowed="from 1 to 100"))
        return _DOMAINS
    reading.note(_VARIABLE, "approximate", f"{number} waves of equal size; a cluster's domains may differ")
    return number


def _read_action(parameters: _Parameters) -> bool:
    """Tell whether a failed upgrade rolls back."""
    group, key = parameters.find("FailureAction")
    of_cluster = bool(parameters.limits_of_nodes)
    action = or_else(group.text(key, "Rollback", "Manual"), "Rollback" if of_cluster else "Manual")
    if key not in group and not of_cluster:
        group.approximate(key, "required; taken as Manual, which changes nothing by itself")
    elif action == "Rollback":
        group.exact(key, "rolls back domain after domain, all nodes of a domain at once")
    else:
        group.exact(key, "stops and waits for a person")
    return action == "Rollback"


def _read_times(parameters: _Parameters, switches: dict[str, Any]) -> dict[str, Any]:
    """Return the health check and the deadline of the rollout."""
    wait_ns = or_else(parameters.duration("HealthCheckWaitDuration", 0), 0)
    stable_ns = or_else(parameters.duration("HealthCheckStableDuration", 120 * NS_PER_S), 0)
    retry_ns = parameters.duration("HealthCheckRetryTimeout", 600 * NS_PER_S)
    domain_ns = parameters.duration("UpgradeDomainTimeout", None)
    upgrade_ns = parameters.duration("UpgradeTimeout", None)
    watch_ns = MAX_DURATION_NS if retry_ns is None else wait_ns + retry_ns + stable_ns
    observed = f"a node must be healthy for {write_duration(wait_ns + stable_ns)} without interruption (wait and stable duration)"
    for name in ("HealthCheckWaitDuration", "HealthCheckStableDuration"):
        group, key = parameters.find(name)
        group.approximate(key, observed)
    group, key = parameters.find("HealthCheckRetryTimeout")
    group.approximate(key, f"a node that isn't healthy {write_duration(watch_ns)} after its start has failed")
    switches["deadline_starts"] = "started"
    group, key = parameters.find("UpgradeDomainTimeout")
    if domain_ns is not None and domain_ns < wait_ns + stable_ns:
        group.refuse(key, "no domain can be healthy in time", allowed=f"at least {write_duration(wait_ns + stable_ns)}")
    if domain_ns is not None and domain_ns < watch_ns:
        watch_ns, switches["deadline_starts"] = domain_ns, "dispatch"
        group.approximate(key, f"a node that isn't healthy {write_duration(domain_ns)} after its turn has failed")
    elif key in group:
        group.no_counterpart(key, "longer than the health check; a node that hangs fails earlier")
    group, key = parameters.find("UpgradeTimeout")
    group.exact(key, "none" if upgrade_ns is None else f"the rollout fails after {write_duration(upgrade_ns)}")
    healthy_ns = wait_ns + stable_ns
    health = {
        "deadline": write_duration(watch_ns),
        **({"interval": choose_window(healthy_ns, _SHORTEST_NS)} if healthy_ns else {}),
        "max_error_rate": NOTHING_SERVED,
        "min_healthy_time": write_duration(healthy_ns),
    }
    return {"health_check": health, "rollout_deadline": None if upgrade_ns is None else write_duration(upgrade_ns)}


def _read_health(parameters: _Parameters, nodes: int | None) -> dict[str, Any]:
    """Return the limit on unhealthy nodes."""
    default = parameters.find("MaxPercentUnhealthyDeployedApplications")
    limits = [
        (or_else(group.whole(key, 0, 100), 0), group, key) for group, key in parameters.limits_of_nodes or [default]
    ]
    percent, group, key = min(limits, key=lambda limit: limit[0])
    for _, other, its_key in limits:
        if its_key != key:
            other.no_counterpart(its_key, f"{key} is stricter, or as strict")
    domains, its_key = parameters.find("MaxPercentUpgradeDomainDeltaUnhealthyNodes")
    domains.no_counterparts({its_key: "limits each domain; here only the nodes of the cluster are limited"})
    if nodes is None or percent == 0:
        text = f"at most {percent} % of the nodes may be unhealthy, rounded up only if their number is given"
        if percent == 0:
            group.exact(key, "no node may be unhealthy")
        else:
            group.approximate(key, text)
        return {"max_failed_nodes_percent": percent}
    most = math.ceil(Fraction(percent * nodes, 100))
    group.exact(key, f"{percent} % of {plural(nodes, 'node')}, rounded up: {most:,} may be unhealthy")
    return {"max_failed_nodes": most}


def _evaluate(value: Any, group: Group, key: str) -> Any:
    """Return a value with a reference to a template's parameter replaced, if its value is known."""
    text = str(value) if isinstance(value, str | Tagged) else ""
    if not isinstance(value, Tagged) and not (text.startswith("[") and text.endswith("]")):
        return value
    match = _PARAMETER.fullmatch(text)
    if match:
        given = group.reading.variable(match[1])
        parameters = group.document.data.get("parameters")
        declared = parameters.get(match[1]) if isinstance(parameters, dict) else None
        known_value = declared.get("defaultValue") if given is None and isinstance(declared, dict) else given
        if known_value is not None:
            return known_value
    hint = f"give it with --var {match[1]}=VALUE" if match else "an expression"
    group.not_evaluated(key, f"{shorten(text)}: {hint}; treated as not given")
    return None
