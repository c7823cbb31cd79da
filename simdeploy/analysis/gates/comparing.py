"""Gates compared in the same worlds: what each stops and misses, and how many requests and how long it takes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.requirements import why_impossible
from simdeploy.analysis.asking.simulating import find_divided, sweep_by_kind
from simdeploy.analysis.gates.curves import conclude, estimate_curves, estimate_mixture, measures_along
from simdeploy.analysis.gates.result import GATE, GateComparison
from simdeploy.analysis.gates.sizes import choose_size, read_sizes, scenario_of_size
from simdeploy.analysis.gates.variants import GateInput, Variant, make_variants
from simdeploy.errors import InputError, Problem, raise_if_any
from simdeploy.experiments.arguments import Progress, check_numbers
from simdeploy.experiments.by_kind import OF_ONE_SWEEP
from simdeploy.experiments.campaign import Campaign
from simdeploy.result import make_frame, read_computed_under
from simdeploy.rules.deployment_types import TYPES
from simdeploy.scenario import PolicyLike, Scenario, ScenarioOrPath, ScenarioPolicy, as_scenario
from simdeploy.scenario.measures import Measure, parse_measure
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    from simdeploy.experiments.jobs import Executor

_OF_MIXTURE = (
    "false_alarm given good",
    "escaped given defective",
    "decision_requests",
    "failed_requests_excess",
    "makespan_s given completed_good",
)


def compare_gates(
    scenario: ScenarioOrPath,
    policy: PolicyLike | None = None,
    *,
    gates: Iterable[str] | Mapping[str, GateInput] | None = None,
    sizes: Iterable[float] | None = None,
    replications: int | range = 1000,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> GateComparison:
    """Compare gates in the same worlds, over the size of the defect.

    Parameters
    ----------
    scenario : Scenario
    policy : str, path, mapping, spec or document, optional
        The policy to combine with the gates; the scenario's first one by default.
    gates : iterable of str, or mapping of str to gate, optional
        Kinds (``["sprt", "bayes"]``), or gates as in a file by name. The threshold, the policy without a gate, is
        always first. By default every kind, with parameters derived from the policy's health check, and the policy's
        own gate if it has one; gates that the policy can't have here are left out, and so are those whose bound on
        false alarms does not hold because error rates vary between nodes.
    sizes : iterable of float, optional
        Error rates that a release adds, as fractions; 0, a good release, is always included. By default from 0 to four
        times the policy's `max_error_rate`, and the error rates of the scenario's defects.
    replications : int or range, default 1000
        Replications of each gate at each size.
    confidence_level : float, default 0.95
        Holds for one gate's curve in one measure, and for all differences in one measure together.
    seed : int, default 0
    engine : {'auto', 'compiled', 'reference'}
    executor, workers, cluster, progress
        As for `sweep`.
    store : path-like, optional
        A folder for all rollouts; the same call resumes from it.

    Returns
    -------
    GateComparison

    Raises
    ------
    InputError
        Raised before anything is simulated; lists everything invalid. Also for a policy without a health check, and for
        restart and stop, which release nothing.

    Notes
    -----
    Only the gate of the policy changes, with one exception. A gate that can pass a wave early (sprt, bayes) would have to wait for each
    node's own observation. So under such a gate a node needs only one healthy window, provided the gate waits when undecided (`cant_tell`).

    At each size every release adds this error rate, on the nodes and after the time of the scenario's most probable defective kind.
    All gates meet the same worlds, at each size and across sizes. Then they meet the scenario's own mixture of releases.

    The intervals of a gate's curve hold together, and so do the differences of all gates from the threshold (Bonferroni). Makespans
    are compared over rollouts that complete under both gates.

    Examples
    --------
    >>> from simdeploy.analysis import compare_gates
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "ten-nodes",
    ...     "fleet": {"nodes": 10, "update_duration": "1m", "requests_per_second": 10},
    ...     "policies": {"waves": {"strategy": "rolling", "max_parallel": 5, "max_failed_nodes": 2,
    ...                            "health_check": {"deadline": "5m", "max_error_rate": 0.02}}},
    ... })
    >>> found = compare_gates(scenario, gates=["pooled"], sizes=[0.03], replications=20, engine="reference")
    >>> curve = found.curves[found.curves["measure"] == "stopped"]
    >>> print(curve[["gate", "size", "estimate"]].to_string(index=False))
         gate  size  estimate
    threshold  0.00      0.00
    threshold  0.03      0.85
       pooled  0.00      0.00
       pooled  0.03      1.00
    """
    scenario = as_scenario(scenario)
    numbers, seed = check_numbers(replications=replications, seed=seed, engine=engine)
    raise_if_any(level_problems(confidence_level))
    chosen = scenario.policy(policy)
    _check_policy(scenario, chosen)
    if not scenario.fleet.has_requests:
        message = "nodes have no requests, so gates have nothing to judge"
        raise InputError(Problem(message, ("scenario", "fleet", "requests_per_second"), allowed="above 0"))
    of_curve = read_sizes(sizes, scenario, chosen)
    variants, left_out = make_variants(scenario, chosen, gates)
    if len(variants) == 1:
        allowed = "at least one gate besides threshold"
        # The default gates may all be refused for one reason, such as nodes that go offline.
        why = next(iter(left_out.values()), None)
        raise InputError(Problem("no gate to compare with the threshold", ("gates",), allowed=allowed, hint=why))
    worlds = {f"defect {size:g}": scenario_of_size(scenario, size) for size in of_curve}
    policies = {variant.gate: variant.policy for variant in variants}
    parts = rf"sizes|mixture(-(pilot|rest)-{OF_ONE_SWEEP})?"
    campaign = Campaign(seed, engine, executor, workers, cluster, store, progress, parts=parts)
    campaign.expect((len(worlds) + 1) * len(variants) * len(numbers), nodes=scenario.fleet.nodes)
    result = campaign.sweep(worlds, policies, part="sizes", replications=numbers)
    at_sizes = Values(result, measures_along())
    names = tuple(policies)
    curves, differences = estimate_curves(at_sizes, names, of_curve, confidence_level)
    measures = _measures_of_mixture(scenario, chosen)
    divided = find_divided(scenario, [chosen], measures, len(numbers))
    of_scenario = sweep_by_kind(campaign, scenario, policies, measures, divided, numbers, part="mixture")
    of_mixture = Values(of_scenario, measures, costs=scenario.costs, release=scenario.release)
    mixture = estimate_mixture(of_mixture, names, measures, confidence_level)
    size = choose_size(of_curve, scenario, chosen)
    campaign.warn_of_failures()
    return GateComparison(
        curves=curves,
        differences=differences,
        mixture=mixture,
        **conclude(_tabulate(variants), curves, differences, mixture, size)._asdict(),
        left_out=left_out,
        policy=chosen.name,
        size=size,
        confidence_level=confidence_level,
        n_replications=len(numbers),
        n_failed=campaign.n_failed,
        computed_under=read_computed_under(of_scenario) | of_mixture.counted_under,
    )


def _check_policy(scenario: Scenario, policy: ScenarioPolicy) -> None:
    if scenario.past is not None:
        message = "gates meet defects of several sizes, and rollouts on record have only their own"
        raise InputError(Problem(message, ("fleet", "records"), hint="use the scenario without records"))
    type_ = policy.identity.type
    if not TYPES[type_].releases:
        message = f"a {type_} has no release for a gate to judge"
        raise InputError(Problem(message, ("policy",), found=policy.name))
    if policy.policy.strategy == "immediate":
        message = "immediate has no health check, so no gate"
        raise InputError(Problem(message, ("policy",), found=policy.name, allowed="rolling or canary"))


def _measures_of_mixture(scenario: Scenario, policy: ScenarioPolicy) -> tuple[Measure, ...]:
    names = [*_OF_MIXTURE, *(["cost"] if scenario.costs is not None else [])]
    measures = map(parse_measure, names)
    return tuple(measure for measure in measures if why_impossible(measure, scenario, policy.identity.type) is None)


def _tabulate(variants: tuple[Variant, ...]) -> Any:
    # Their verdicts follow from all of the simulations.
    return make_frame([{name: getattr(variant, name, None) for name in GATE} for variant in variants], GATE)
