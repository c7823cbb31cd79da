"""The scenario of a calibration, as a commented file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from simdeploy.analysis.calibration.parameters import Parameter
from simdeploy.analysis.calibration.releases import ASSUMED, find_defective
from simdeploy.errors import InputError, catch_warned, plural, printable
from simdeploy.rules.orchestrator import PRESETS

if TYPE_CHECKING:
    from simdeploy.records import Records

# Keys of the fleet in the order of the file; a comment lists those that are never fitted.
_FLEET = (
    "nodes", "zones", "update_duration", "slowdown", "start_failure", "start_attempts", "start_hang", "requests_per_second",
    "error_rate", "crash", "zone_outage", "connection",
)  # fmt: skip
_OF_CLASSES = ("update_duration", "slowdown", "start_failure", "start_hang")
_NEVER_FITTED = "rollback_duration, rollback_failure, traffic, service, flapping"


def write_scenario(
    records: Records,
    parameters: Sequence[Parameter],
    laws: Mapping[str, Any],  # of durations, by path
) -> tuple[str, list[dict[str, Any]]]:
    """Return the text of a scenario, and the policies that can't be used in it, as rows of `Calibration.dropped`."""
    known = _Parameters(parameters, laws)
    head = [*_list_head(records), *_list_fleet(known), "", *_list_releases(known, find_defective(records.rollouts)), ""]
    head.append("# assumed, as by default: what people do (operator), costs, requirements")
    policies, dropped = _find_policies(records, head)
    lines = [*head, "", "policies:", *policies]
    return "\n".join(lines) + "\n", dropped


class _Parameters:
    """Looks up the parameters and laws of a key of the file."""

    def __init__(self, parameters: Iterable[Parameter], laws: Mapping[str, Any]) -> None:
        self.all = list(parameters)
        self.laws = laws
        self.classes = [
            each.path.removeprefix("fleet.classes.").removesuffix(".share")
            for each in self.all
            if each.path.startswith("fleet.classes.") and each.path.endswith(".share")
        ]

    def of(self, path: str) -> list[Parameter]:
        return [each for each in self.all if each.path == path or each.path.startswith(f"{path}.")]

    def estimate(self, path: str, default: float = 0.0) -> float:
        estimate = next((each.estimate for each in self.all if each.path == path), default)
        return default if math.isnan(estimate) else estimate


def _list_head(records: Records) -> Iterator[str]:
    n = len(records.rollouts)
    yield f"# Fitted to the records of {plural(n, 'rollout')} by simdeploy calibrate. Comments give the interval of each number and"
    yield "# the data it rests on. What the records don't show is marked as assumed: replace it with what you know of your fleet."
    yield "simdeploy: 1"
    yield "name: calibrated"
    yield ""


def _list_fleet(known: _Parameters) -> Iterator[str]:
    yield "fleet:"
    for key in _FLEET:
        yield from _list_key(known, f"fleet.{key}", key, "  ")
    if not known.of("fleet.requests_per_second"):
        yield "  requests_per_second: 10  # assumed: no window on record has requests"
    if not known.of("fleet.error_rate"):
        yield "  error_rate: 0.001  # assumed"
    yield f"  # assumed, as by default: {_NEVER_FITTED}" + "".join(
        f", {key}" for key in ("start_failure", "crash", "zone_outage", "connection") if not known.of(f"fleet.{key}")
    )
    if known.classes:
        yield "  classes:"
    for name in known.classes:
        path = f"fleet.classes.{name}"
        yield f"  - name: {_scalar(name)}"
        yield f"    share: {_number(known.estimate(f'{path}.share'))}  # {_describe(known.of(f'{path}.share'))}"
        for key in _OF_CLASSES:
            yield from _list_key(known, f"{path}.{key}", key, "    ")


def _list_key(known: _Parameters, path: str, key: str, indent: str) -> Iterator[str]:
    """Yield the comment and the line of a key, if it has a value."""
    parameters = known.of(path)
    if not parameters:
        return
    value = _find_value(known, path, key)
    text = _describe(parameters)
    yield f"{indent}# {text}"
    if value is not None:
        yield f"{indent}{key}: {_flow(value)}"


def _find_value(known: _Parameters, path: str, key: str) -> Any:
    """Return the value of a key as a scenario file has it; None for the default."""
    if path in known.laws:
        return known.laws[path]
    if key in ("crash", "zone_outage"):
        laws = {}
        for part in ("up", "repair"):
            mean = known.estimate(f"{path}.{part}.exponential.mean", math.nan)
            laws[part] = known.laws.get(f"{path}.{part}", None if math.isnan(mean) else {"exponential": {"mean": mean}})
        return None if None in laws.values() else laws
    if key == "connection":
        return None
    if key == "slowdown":
        spread = known.estimate(f"{path}.lognormal.sigma")
        return {"lognormal": {"median": 1, "sigma": spread}} if spread else None
    mean, sd = known.estimate(f"{path}.beta.mean", math.nan), known.estimate(f"{path}.beta.sd")
    if math.isnan(mean):
        return known.estimate(path)
    # A beta law only approaches the spread of fractions that are all 0 or 1.
    return {"beta": {"mean": mean, "sd": min(sd, 0.9999 * math.sqrt(mean * (1 - mean)))}}


def _list_releases(known: _Parameters, bad: Sequence[str]) -> Iterator[str]:
    yield "release:"
    names = [
        each.path.split(".", 1)[1].removesuffix(".probability")
        for each in known.all
        if each.path.endswith(".probability")
    ]
    left = 1.0
    lines = []
    ordered = sorted(names, key=lambda name: name not in bad)
    for name in ordered:
        is_last = name == ordered[-1]
        probability = round(left if is_last else known.estimate(f"release.{name}.probability"), 6)
        left -= probability
        text = [f"  # {_describe(known.of(f'release.{name}.probability'))}"]
        if probability > 0:
            kind: dict[str, Any] = {"probability": probability}
            if name in bad:
                kind["defective"] = True
                of = {key: known.of(f"release.{name}.{key}") for key in ("start_failure", "error_rate")}
                for key, parameters in of.items():
                    if parameters:
                        text.append(f"  # {key}: {_describe(parameters)}")
                    kind[key] = known.estimate(f"release.{name}.{key}") if parameters else ASSUMED[key]
                assumed = [key for key, parameters in of.items() if not parameters]
                if assumed:
                    text.append(
                        f"  # assumed: {' and '.join(assumed)} of {printable(name)}, and that all nodes are affected"
                    )
            text.append(f"  {_scalar(name)}: {_flow(kind)}")
        else:
            text = [f"  # none was known to be defective: {_describe(known.of(f'release.{name}.probability'))}"]
        lines.append(text)
    for text in reversed(lines):
        yield from text


def _find_policies(records: Records, head: Sequence[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the lines of all policies on record that can be run, or of an assumed one."""
    from simdeploy.scenario import Scenario
    from simdeploy.scenario.yaml_text import parse_yaml

    texts = records.rollouts["policy"].dropna()
    counts = texts.value_counts(sort=False)
    lines: list[str] = []
    dropped = []
    raw = parse_yaml("\n".join(head))[0]
    for text, times in counts.items():
        name = f"recorded-{len(lines) + 1}" if len(counts) > 1 else "recorded"
        try:
            policy = _read(str(text))
            with catch_warned():
                Scenario.from_dict({**raw, "policies": {name: policy}})
        except (ValueError, InputError) as error:
            reason = f"policy not used for the scenario: {printable(str(error)).splitlines()[0][:200]}"
            dropped.append({"file": None, "line": None, "rows": int(times), "reason": reason})
            continue
        lines.append(f"  # of {plural(times, 'rollout')} on record\n  {name}: {_flow(policy)}")
    if not lines:
        size = raw["fleet"]["nodes"]
        policy = {
            "strategy": "rolling",
            "max_parallel": max(1, size // 10),
            "health_check": {"deadline": _find_deadline(records)},
        }
        lines.append(f"  # assumed: no policy is on record\n  rolling: {_flow(policy)}")
    return lines, dropped


def _read(text: str) -> dict[str, Any]:
    policy = json.loads(text)
    if not isinstance(policy, dict):
        raise InputError("not a policy")
    if isinstance(policy.get("orchestrator"), dict):
        policy["orchestrator"] = _shorten(policy["orchestrator"])
    # The default dialect is not written to a file.
    return {key: value for key, value in policy.items() if (key, value) != ("dialect", "deployment")}


def _shorten(switches: dict[str, Any]) -> dict[str, Any]:
    """Leave out switches that are equal to those of the preset."""
    preset = PRESETS.get(switches.get("preset", ""))
    usual = {} if preset is None else preset.switches()
    return {key: value for key, value in switches.items() if key == "preset" or key not in usual or usual[key] != value}


def _find_deadline(records: Records) -> float:
    known = records.rollouts["deadline_s"].dropna()
    longest = (records.nodes["started_at_s"] - records.nodes["dispatched_at_s"]).max()
    return float(known.iloc[-1]) if len(known) else float(f"{np.fmax(2 * longest, 60.0):.2g}")


def _describe(parameters: Sequence[Parameter]) -> str:
    """Describe parameters: `fitted: mean 0.05 (0.04 to 0.06), sd 0.02 (0.01 to 0.04); 20 rollouts, 1,980 nodes`."""
    by_source: dict[str, list[str]] = {}
    for each in parameters:
        name = (
            each.path.rpartition(".")[2]
            if len(parameters) > 1 or each.path.endswith((".sigma", ".mean", ".sd"))
            else ""
        )
        if math.isnan(each.estimate):
            text = ""
        elif math.isnan(each.low) or math.isnan(each.high) or each.low == each.high == each.estimate:
            text = f"{name} {_number(each.estimate)}".strip()
        else:
            text = f"{name} {_number(each.estimate)} ({_number(each.low)} to {_number(each.high)})".strip()
        by_source.setdefault(each.source.replace("_", " "), []).append(text)
    sources = "; ".join(
        f"{source}: {', '.join(filter(None, texts))}".rstrip(": ") for source, texts in by_source.items()
    )
    first = parameters[0]
    rests = [plural(first.n_rollouts, "rollout")] if first.n_rollouts else []
    rests += [plural(first.n_nodes, "node")] if first.n_nodes else []
    notes = list(dict.fromkeys(each.note for each in parameters if each.note))
    return printable("; ".join([sources, *([", ".join(rests)] if rests else []), *notes]))


def _number(value: float) -> str:
    if math.isinf(value):
        return "no limit"
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _flow(value: Any) -> str:
    """Return a value on one line."""
    return (
        yaml.safe_dump(_rounded(value), default_flow_style=True, sort_keys=False, width=1e9, allow_unicode=True)
        .removesuffix("...\n")
        .strip()
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        rounded = float(f"{value:.6g}")
        return int(rounded) if rounded.is_integer() else rounded
    return value


def _scalar(text: str) -> str:
    return yaml.safe_dump(text, allow_unicode=True, width=1e9).removesuffix("...\n").strip()
