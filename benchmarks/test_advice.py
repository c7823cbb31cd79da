"""Whether forecasts during a rollout are calibrated, whether following advice pays, and how long it takes."""

import math
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simdeploy
from simdeploy.analysis.asking.measuring import Values
from simdeploy.api import Deployment, DeploymentStatus
from simdeploy.engines.continuing import Worlds, run_continued
from simdeploy.errors import InputError, SimdeployWarning
from simdeploy.scenario.measures import Measure
from simdeploy.vocabulary import STATES

ROLLOUTS = 2000
# One seed for the rollouts and their cuts, others from here on for the worlds of forecasts.
SEED, SEED_OF_WORLDS = 1, 2
FEWEST = 50

# Two kinds of defects, both harder to see because the fleet's error rate is unknown.
FLEET = simdeploy.Scenario.from_dict(
    {
        "name": "thirty nodes",
        "fleet": {
            "nodes": 30,
            "requests_per_second": 10,
            "update_duration": {"lognormal": {"median": "45s", "p95": "90s"}},
            "slowdown": {"lognormal": {"mean": 1, "sd": 0.2}},
            "start_failure": {"beta": {"mean": 0.06, "sd": 0.03}},
            "error_rate": 0.01,
        },
        "release": {
            "good": {"probability": 0.55},
            "does not start": {"probability": 0.25, "defective": True, "start_failure": 0.2},
            "errs": {"probability": 0.2, "defective": True, "error_rate": 0.05, "affects": {"share": 0.5}},
        },
        "policies": {
            "fives": {
                "strategy": "rolling",
                "max_parallel": 5,
                "max_failed_nodes": 9,
                "max_failed_nodes_percent": 90,
                "health_check": {"deadline": "4m", "min_healthy_time": "30s"},
            }
        },
    }
)
LATEST_S = 900


def cut(scenario, n):
    """Yield rollouts, each with its observed state at a random instant before its end.

    The instant is drawn before the rollout: if it depended on the makespan, it would tell something of it.
    """
    rng = np.random.default_rng(SEED)
    replication = 0
    while n:
        at_s = float(rng.uniform(0, LATEST_S))
        rollout = simdeploy.simulate(scenario, seed=SEED, replication=replication)
        replication += 1
        if at_s < rollout.responses["makespan_s"]:
            number = int((rollout.revisions["time_s"] <= at_s).sum())
            yield rollout, rollout.deployment_at(number), at_s
            n -= 1


def set_against(result, rollout, at_s):
    """Return a forecast beside the actual outcome of the rollout."""
    left = result.forecast[result.forecast["measure"] == "time_left_s"].set_index("quantile")["estimate"]
    kind = rollout.responses["release"]
    return {
        "defective": result.defective,
        "is_defective": bool(result.kinds.set_index("kind")["defective"][kind]),
        "is_within": left[0.025] <= rollout.responses["makespan_s"] - at_s <= left[0.975],
        "effective": result.effective_worlds,
    }


def forecast_all():
    """Forecast rollouts that were cut; one row for each that isn't refused."""
    rows = []
    for number, (rollout, seen, at_s) in enumerate(cut(FLEET, ROLLOUTS)):
        # Worlds of one seed would give all calls of the same kind the same error.
        how = {"seed": SEED_OF_WORLDS + number, "engine": "compiled"}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SimdeployWarning)
                # With few worlds, chance alone spreads estimated probabilities towards 0 and 1.
                result = simdeploy.forecast(FLEET, seen=seen, at=at_s, **how)
        except InputError:
            continue  # too improbable for worlds to be drawn; counted
        rows.append(set_against(result, rollout, at_s))
    return pd.DataFrame(rows)


@pytest.mark.timeout(6000)
def test_calibration(benchmark, write_page):
    """Releases called defective with probability p are so in a share p of cases; 95 % forecasts contain 95 % of makespans."""
    found = benchmark.pedantic(forecast_all, rounds=1, iterations=1)
    place = np.minimum((10 * found["defective"]).astype(int), 9)
    lines = ["| called defective with | rollouts | mean | were defective |", "|---|---|---|---|"]
    for number, part in found.groupby(place):
        mean, share, n = part["defective"].mean(), part["is_defective"].mean(), len(part)
        error = math.sqrt(float((part["defective"] * (1 - part["defective"])).sum())) / n
        lines.append(
            f"| {10 * number} to {10 * number + 10} % | {n:,} | {100 * mean:.1f} % | {100 * share:.1f} % ± {196 * error:.1f} |"
        )
        if n >= FEWEST:
            assert abs(share - mean) <= 4 * error
    covered = found["is_within"].mean()
    lines += ["", f"{100 * covered:.1f} % of the {len(found):,} makespans lie in the middle 95 % of their forecasts."]
    if len(found) < ROLLOUTS:
        lines[-1] += f" Refused, since too improbable for worlds to be drawn: {ROLLOUTS - len(found):,}."
    assert len(found) >= 0.99 * ROLLOUTS
    write_page(
        "advise.md", "pytest benchmarks/test_advice.py -k calibration --write-page", "\n".join(lines), "calibration"
    )
    assert abs(covered - 0.95) <= 4 * math.sqrt(0.95 * 0.05 / len(found))


PLAIN_WORLDS, PLAIN_AT_S, COMPARED = 300_000, 300, 12


def count_plain():
    """Return how many worlds of each kind show each triple of wave, updated and failed nodes during the rollout."""
    policy, counts = FLEET.policy(), {}
    for place, kind in enumerate(FLEET.release):
        roots = np.arange(round(PLAIN_WORLDS * float(kind.probability)))
        worlds = Worlds(roots, np.repeat(roots[:, np.newaxis], FLEET.fleet.nodes, axis=1))
        how = {"looks_ns": [PLAIN_AT_S * 10**9], "seed": SEED, "engine": "compiled"}
        looks = run_continued(FLEET.given(kind.name), policy, worlds, **how).looks[:, 0]
        looks = looks[looks["state"] == STATES.index("in_progress")]
        columns = [looks[name].astype(int) for name in ("current_wave", "updated_nodes", "failed_nodes")]
        for key, n in zip(*np.unique(np.stack(columns, axis=1), axis=0, return_counts=True), strict=True):
            counts.setdefault(tuple(key.tolist()), np.zeros(len(FLEET.release)))[place] += n
    return counts


@pytest.mark.timeout(600)
def test_posterior_is_that_of_plain_worlds(benchmark, say):
    """The probability of a defect given counts is its share among plain worlds with these counts, even if improbable."""
    counts = count_plain()
    often = sorted(counts, key=lambda key: -counts[key].sum())[: 4 * COMPARED : 4]

    def compare():
        off = []
        for number, key in enumerate(often):
            names = ("current_wave", "updated_nodes", "failed_nodes")
            status = DeploymentStatus(
                state="in_progress", created_at="2026-01-05T09:00:00Z", **dict(zip(names, key, strict=True))
            )
            seen = Deployment(id="d", type="update", spec=FLEET.policy().spec, status=status)
            result = simdeploy.forecast(FLEET, seen=seen, at=PLAIN_AT_S, seed=number, engine="compiled")
            share, n = 1 - counts[key][0] / counts[key].sum(), counts[key].sum()
            good = result.kinds.iloc[0]
            error = math.hypot((good["high"] - good["low"]) / (2 * 1.96), math.sqrt(share * (1 - share) / n))
            say(f"wave, updated, failed {key}: called {result.defective:.1%}, {share:.1%} of {n:,.0f} plain worlds")
            off.append((result.defective - share) / error)
        return np.array(off)

    off = benchmark.pedantic(compare, rounds=1, iterations=1)
    assert (np.abs(off) <= 4).all()
    assert abs(off.mean()) <= 4 / math.sqrt(len(off))


# -- following advice --------------------------------------------------------------------------------------------------

# Scenario, policy, nodes, and seconds between looks.
FOLLOWED = [
    ("small-fleet", "rolling", 40, 120),
    ("latent-defect", "patient-canary", 50, 600),
    ("overnight-promotion", "promotes-itself", 50, 1200),
]
FOLLOWERS, LOOKS, WORLDS = 500, 12, 300


class Course:
    """Rollouts of a scenario, each inspected at regular intervals until somebody cancels it."""

    def __init__(self, name, policy, nodes, every_s):
        path = Path(__file__).parents[1] / "scenarios" / f"{name}.yaml"
        self.scenario = simdeploy.read_scenario(path).with_values({"fleet.nodes": nodes})
        self.policy = self.scenario.policy(policy)
        self.at_s = every_s * np.arange(1, LOOKS + 1)
        roots = np.arange(FOLLOWERS)
        self.worlds = Worlds(roots, np.repeat(roots[:, np.newaxis], nodes, axis=1))
        self.looks, self.costs = self._run(np.arange(FOLLOWERS))
        self._known = {}

    def _run(self, places, canceled_s=None):
        worlds = Worlds(self.worlds.roots[places], self.worlds.nodes[places])
        change = None if canceled_s is None else (round(1e9 * canceled_s), "cancel")
        instants = [round(1e9 * at_s) for at_s in self.at_s]
        how = {"looks_ns": instants, "change": change, "seed": SEED, "engine": "compiled"}
        continued = run_continued(self.scenario, self.policy, worlds, **how)
        rows = [{"policy": "a", "replication": n, **continued.block.row(0, n)} for n in range(len(places))]
        values = Values(pd.DataFrame(rows), [Measure("cost")], costs=self.scenario.costs)
        return continued.looks, values.of(Measure("cost"))[0]

    def cancel(self, is_canceled):
        """Return each rollout's cost if it is canceled at the first look that meets a condition, and the share canceled."""
        under_way = self.looks["state"] == STATES.index("in_progress")
        cancels = is_canceled & under_way
        first = np.where(cancels.any(axis=1), cancels.argmax(axis=1), LOOKS)
        costs = self.costs.copy()
        for look in np.unique(first[first < LOOKS]).tolist():
            places = np.flatnonzero(first == look)
            costs[places] = self._run(places, self.at_s[look])[1]
        return costs, float((first < LOOKS).mean())

    def follow(self):
        """Return the looks at which advice says to cancel; rollouts in the same state get the same advice."""
        advised = np.zeros(self.looks.shape, dtype=bool)
        for place, look in np.ndindex(*self.looks.shape):
            seen = self.looks[place, look]
            if STATES[seen["state"]] == "in_progress" and not advised[place].any():
                key = look, int(seen["current_wave"]), int(seen["updated_nodes"]), int(seen["failed_nodes"])
                if key not in self._known:
                    self._known[key] = self._ask(*key)
                advised[place, look] = self._known[key] == "cancel"
        return advised

    def _ask(self, look, wave, updated, failed):
        counts = {"current_wave": wave, "updated_nodes": updated, "failed_nodes": failed}
        status = DeploymentStatus(state="in_progress", created_at="2026-01-05T09:00:00Z", **counts)
        seen = Deployment(id="d", type="update", spec=self.policy.spec, status=status)
        how = {"replications": WORLDS, "seed": SEED_OF_WORLDS, "engine": "compiled"}
        found = simdeploy.advise(self.scenario, seen=seen, at=float(self.at_s[look]), acts=["go on", "cancel"], **how)
        return found.best


@pytest.mark.timeout(6000)
def test_following_pays(benchmark, write_page):
    """Following advice at every look costs no more than the better of two fixed rules, within four standard errors."""
    lines = [
        "| scenario | always go on | cancel at the first failure | follow advice | canceled |",
        "|---|---|---|---|---|",
    ]

    def follow_all():
        for name, policy, nodes, every_s in FOLLOWED:
            course = Course(name, policy, nodes, every_s)
            at_failure, _ = course.cancel(course.looks["failed_nodes"] > 0)
            followed, share = course.cancel(course.follow())
            means = [f"{costs.mean():,.0f}" for costs in (course.costs, at_failure, followed)]
            lines.append(
                f"| `{name}`, {policy}, {nodes} nodes, every {every_s:,} s | {' | '.join(means)} | {100 * share:.0f} % |"
            )
            for fixed in (course.costs, at_failure):
                more = followed - fixed
                assert more.mean() <= 4 * more.std(ddof=1) / math.sqrt(len(more))

    benchmark.pedantic(follow_all, rounds=1, iterations=1)
    write_page("advise.md", "pytest benchmarks/test_advice.py -k following --write-page", "\n".join(lines), "following")


# -- tables of nodes ---------------------------------------------------------------------------------------------------

TABLES, WORLDS_OF_TABLES = 400, 100
TIMES = ("dispatched_at_s", "started_at_s", "resolved_at_s")


def observe(rollout, at_s):
    """Return the nodes of a rollout at an instant, and the windows that had ended."""
    nodes = rollout.nodes
    dispatched, started, resolved = (nodes[name].le(at_s) for name in TIMES)
    conditions = [~dispatched, resolved & nodes["ever_failed"], resolved, started]
    status = np.select(conditions, ["pending", "failed", "running", "validating"], "starting")
    times = {name: nodes[name].where(nodes[name].le(at_s)) for name in TIMES}
    windows = rollout.windows[rollout.windows["ended_s"].le(at_s)]
    return pd.DataFrame({"node": nodes["node"], "status": status, **times}), windows


def forecast_tables(*, with_windows):
    """Forecast rollouts that were cut; one row for each."""
    rows = []
    for rollout, _, at_s in cut(FLEET, TABLES):
        nodes, windows = observe(rollout, at_s)
        how = {"evidence": windows} if with_windows and len(windows) else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SimdeployWarning)
            result = simdeploy.forecast(
                FLEET, seen=nodes, at=at_s, replications=WORLDS_OF_TABLES, seed=SEED_OF_WORLDS, engine="compiled", **how
            )
        rows.append(set_against(result, rollout, at_s))
    return pd.DataFrame(rows)


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("with_windows", [False, True])
def test_calibration_of_tables(benchmark, say, with_windows):
    """Given node times and request counts, releases called defective with probability p are so in a share p of cases."""
    found = benchmark.pedantic(forecast_tables, kwargs={"with_windows": with_windows}, rounds=1, iterations=1)
    place = np.minimum((5 * found["defective"]).astype(int), 4)
    for number, part in found.groupby(place):
        mean, share, n = part["defective"].mean(), part["is_defective"].mean(), len(part)
        # Probabilities estimated from a hundred worlds have a sampling error.
        error = math.sqrt(float((part["defective"] * (1 - part["defective"])).sum())) / n + 1 / n
        say(f"called defective with {20 * number} to {20 * number + 20} %: {n}, mean {mean:.1%}, were {share:.1%}")
        assert abs(share - mean) <= 4 * error
    within = found["is_within"].mean()
    say(
        f"{within:.1%} of makespans within 95 %; {found['effective'].median():.0f} effective worlds of {WORLDS_OF_TABLES}"
    )
    # A hundred weighted worlds have few beyond their 95 %.
    assert abs(within - 0.95) <= 4 * math.sqrt(0.95 * 0.05 / TABLES) + 0.02


THOUSAND = FLEET.with_values(
    {
        "fleet.nodes": 1000,
        "policies.fives.max_parallel": 50,
        "policies.fives.max_failed_nodes": 300,
        "costs": {"hour_of_delay": 10, "false_alarm": 50, "escape": 400},
    }
)


def clock(benchmark, call, how):
    """Return a call's answer, its CPU time with one worker, and its duration with two, excluding compilation."""
    call(THOUSAND, **how | {"replications": 100}, engine="compiled")
    begin = time.process_time()
    result = benchmark.pedantic(call, (THOUSAND,), how | {"engine": "compiled"}, rounds=1, iterations=1)
    cpu_s, begin = time.process_time() - begin, time.perf_counter()
    call(THOUSAND, **how, workers=2, engine="compiled")
    assert result.n_worlds >= 2000
    assert result.is_trusted
    return f"{cpu_s:.1f} s of CPU time, {time.perf_counter() - begin:.1f} s with two workers"


CALLS = [
    (simdeploy.forecast, "finding random numbers with which each node behaves as observed"),
    (simdeploy.advise, "the same, and eleven continuations of each world"),
]


@pytest.mark.parametrize(("call", "bound_by"), CALLS)
def test_one_object_of_a_thousand_nodes(benchmark, row, call, bound_by):
    """Times 2,000 worlds conditioned on the counts of 270 of a thousand nodes."""
    rollout = simdeploy.simulate(THOUSAND.given("good"), seed=SEED)
    number = int((rollout.revisions["current_wave"] <= 6).sum()) - 20
    shown = rollout.deployment_at(number)
    names = ("state", "created_at", "updated_at", "current_wave", "updated_nodes", "failed_nodes")
    status = DeploymentStatus(**{name: getattr(shown.status, name) for name in names})
    seen = Deployment(id="d", type="update", spec=shown.spec, status=status)
    row(f"{call.__name__}, 2,000 worlds of 1,000 nodes, one object", clock(benchmark, call, {"seen": seen}), bound_by)


@pytest.mark.parametrize("with_windows", [False, True])
def test_a_table_of_a_thousand_nodes(benchmark, row, with_windows):
    """Times 2,000 worlds conditioned on the times of 300 of a thousand nodes, and on their windows."""
    rollout = simdeploy.simulate(THOUSAND.given("good"), seed=SEED)
    at_s = float(np.sort(rollout.nodes["dispatched_at_s"].unique())[5]) + 30
    nodes, windows = observe(rollout, at_s)
    how = {"seen": nodes, "at": at_s} | ({"evidence": windows} if with_windows else {})
    what = "instants and windows" if with_windows else "instants"
    case = f"advise, 2,000 worlds of 1,000 nodes, {what} of 300"
    row(case, clock(benchmark, simdeploy.advise, how), "finding random numbers with which nodes match within a second")
