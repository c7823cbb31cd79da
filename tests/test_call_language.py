"""Conventions shared by all calls that simulate, checked for each of them."""

import contextlib
import functools
import inspect
import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from elsewhere import Elsewhere
from small import IMMEDIATE, maybe_bad, rolling
from test_command_language import COMMANDS

import simdeploy
from simdeploy.analysis.rare.repetitions import Repetitions
from simdeploy.api import parse_deployment
from simdeploy.errors import InputError
from simdeploy.experiments import cutting
from simdeploy.experiments.executors import InProcess, Processes, Threads
from simdeploy.experiments.jobs import Job
from simdeploy.scenario.measures import Measure, Requirement

SCENARIO = {
    "name": "small",
    "fleet": {
        "nodes": 3,
        "update_duration": {"exponential": {"mean": "1m"}},
        "start_failure": 0.1,
        "requests_per_second": 1,
    },
    "release": maybe_bad(0.3, 0.05),
    "costs": {"hour_of_delay": 60, "escape": 100},
    "policies": {
        "waves": rolling(2, max_failed_nodes=1, health_check={"deadline": "5m", "max_error_rate": 0.02}),
        "at-once": IMMEDIATE,
    },
}
VARY = {"max_failed_nodes": [0, 2]}
RANGES = {"scenario.fleet.start_failure": (0.0, 0.2), "max_failed_nodes": (0, 3)}
RARE = {"event": "failed_nodes >= 2", "replications": 200}

# A quick question for each call; two for the last, which works in either of two ways.
QUICK = {
    "replicate": {"replications": 40},
    "sweep": {"vary": VARY, "replications": 30},
    "replicate_to_precision": {"policies": "waves", "targets": {"p50 makespan_s": "10%"}, "most": 200},
    "sweep_to_precision": {"targets": {"p50 makespan_s": "15%"}, "vary": VARY, "most": 200},
    "check": {"requirements": ["failed <= 40%", "p50 makespan_s <= 1h"], "most": 150},
    "compare_gates": {"gates": ["pooled"], "sizes": [0.05], "replications": 10},
    "tradeoff": {"vary": VARY, "replications": 20},
    "value_of_observation": {"canaries": [1], "minutes": [1], "replications": 20},
    "estimate_sensitivity": {"vary": RANGES, "of": "makespan_s", "size": 4, "replications": 5},
    "timelines": {"quantities": ["failed", "error_rate"], "every": "20s", "replications": 30},
    "discover": {"vary": RANGES, "requirements": "makespan_s <= 5m", "points": 40, "replications": 5},
    "vary_switches": {"of": "makespan_s", "pairs": False, "replications": 5},
    "tune": {"of": "makespan_s", "vary": {"max_parallel": [1, 2]}, "replications": 4, "most": 50, "final": 20},
    "estimate_rare": {**RARE, "tilt": ["start_failure"]},
    "estimate_rare by splitting": {**RARE, "method": "splitting", "levels": {"failed_nodes": [1]}},
}
CALLS = {name: getattr(simdeploy, name.partition(" ")[0]) for name in QUICK}

# At the end in this order, wherever they stand; and their defaults.
SHARED = {
    "replications": ...,
    "most": ...,
    "confidence_level": 0.95,
    "seed": 0,
    "engine": "auto",
    "executor": None,
    "workers": 1,
    "cluster": None,
    "store": None,
    "progress": False,
}
EVERYWHERE = ("seed", "engine", "executor", "workers", "cluster", "store", "progress")
# The corresponding command.
COMMAND_OF = {
    "replicate": "compare", "sweep": "sweep", "replicate_to_precision": "compare", "sweep_to_precision": "sweep",
    "check": "check", "compare_gates": "gates", "tradeoff": "tradeoff", "estimate_sensitivity": "sensitivity",
    "timelines": "timelines", "discover": "discover", "vary_switches": "switches", "tune": "tune", "estimate_rare": "rare",
}  # fmt: skip
TYPES = {"policy": "PolicyLike | None", "policies": "PoliciesLike | None", "requirements": "Asked | None"}
OLD_NAMES = {"rollouts", "worlds", "most_rollouts", "budget", "runs", "n_workers"}


def parameters(call):
    return inspect.signature(call).parameters


@pytest.fixture(autouse=True)
def small_numbers(monkeypatch):
    """Let a search and a pilot take fewer rollouts than correct answers need."""
    for name, number in (
        ("stages._FEWEST_NEW_WORLDS", 8),
        ("stages.WORLDS_OF_A_BATCH", 2),
        ("concluding.WORLDS_OF_A_BATCH", 2),
        ("stages._FIRST_BATCHES", 4),
        ("stages._WORLDS_OF_SCALE", 8),
    ):
        monkeypatch.setattr(f"simdeploy.analysis.tuning.{name}", number)
    monkeypatch.setattr("simdeploy.analysis.rare.question._FEWEST_PILOTS", 8)


@pytest.fixture
def scenario():
    return simdeploy.Scenario.from_dict(SCENARIO)


def comparable(name, found):
    """Return the findings of a call as comparable values, without engines and folders."""
    if isinstance(found, pd.DataFrame):
        return found.to_csv()
    return found.to_frame().to_csv() if name == "sweep" else (found.to_dict(), found.to_frame().to_csv())


def answer(name, scenario, **how):
    """Return the findings of a call as comparable values."""
    return comparable(name, CALLS[name](scenario, **{"engine": "compiled", "seed": 3, **QUICK[name], **how}))


@functools.cache
def undisturbed(name, engine):
    """Return the findings of a call without any of these options."""
    return CALLS[name](simdeploy.Scenario.from_dict(SCENARIO), **QUICK[name], engine=engine, seed=3)


@functools.cache
def expected_answer(name, engine="compiled"):
    """Return the findings without options as comparable values."""
    return comparable(name, undisturbed(name, engine))


# -- names, order, defaults --------------------------------------------------------------------------------------------


def test_every_call_that_simulates_is_here():
    """Every public call with the argument `engine` is checked here. [contract]"""
    public = {name: getattr(simdeploy, name) for name in simdeploy.__all__}
    simulating = {name for name, call in public.items() if inspect.isroutine(call) and "engine" in parameters(call)}
    # A single rollout, a check of the toolkit itself, calls on an observed rollout (`test_advice.py`), a file of any
    # source (`test_report.py`), and the interactive explorer (`test_explorer_server.py`).
    assert simulating - {"simulate", "verify_decisions", "advise", "forecast", "write_report", "explore"} == {
        name for name in CALLS if " " not in name
    }


@pytest.mark.parametrize("name", [name for name in CALLS if " " not in name])
def test_names_order_and_defaults(name):
    """Scenario and policies come first, all else is named, and shared arguments come last with the same defaults. [contract]"""
    own = parameters(CALLS[name])
    positional = [key for key, one in own.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert positional in (["scenario", "policy"], ["scenario", "policies"])
    assert own[positional[1]].default is None
    assert not OLD_NAMES & set(own)
    assert set(EVERYWHERE) <= set(own)
    shared = [key for key in SHARED if key in own]
    assert list(own)[-len(shared) :] == shared
    alike = [key for key in shared if SHARED[key] is not ...]
    assert [own[key].default for key in alike] == [SHARED[key] for key in alike]


@pytest.mark.parametrize("name", ["advise", "backtest", "explore", "forecast", "verify_decisions", "write_report"])
def test_shared_arguments_come_last(name):
    """Calls that have only some of the shared arguments have them last, in the same order. [contract]"""
    own = parameters(getattr(simdeploy, name))
    shared = [key for key in SHARED if key in own]
    assert len(shared) > 1
    assert list(own)[-len(shared) :] == shared


def test_types_of_policies_and_requirements():
    """All public calls take a policy, several policies, and requirements in the same forms. [contract]"""
    public = {name: getattr(simdeploy, name) for name in simdeploy.__all__}
    others = {
        (name, key)
        for name, call in public.items()
        if inspect.isroutine(call)
        for key in TYPES.keys() & set(parameters(call))
        if parameters(call)[key].annotation != TYPES[key]
    }
    assert others == {("backtest", "policies")}  # no scenario names its policies, but files are read
    assert parameters(simdeploy.Scenario.policy)["policy"].annotation == TYPES["policy"]


WAVES = {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}}


@pytest.mark.parametrize(
    "policies",
    [
        WAVES,
        parse_deployment(json.dumps(WAVES)),
        parse_deployment(json.dumps(WAVES)).spec,
        ["waves", WAVES],
        {"mine": WAVES, "theirs": "waves"},
        {"waves": 0}.keys(),
    ],
    ids=["mapping", "document", "spec", "sequence", "named", "keys"],
)
def test_policies_in_every_form(policies, scenario):
    """Calls for one policy and for several take the forms that their types allow. [contract]"""
    table = simdeploy.replicate(scenario, policies, replications=2, engine="reference")
    assert len(table) == 2 * table["policy"].nunique()
    if not hasattr(policies, "__len__") or policies is WAVES:
        assert simdeploy.simulate(scenario, policies).policy.name == "rolling"


@pytest.mark.parametrize("name", COMMAND_OF)
def test_defaults_are_those_of_the_command(name):
    """A call and its command have the same default amounts of simulation. [contract]"""
    options = {option.name: option.default for option in COMMANDS[COMMAND_OF[name]].params}
    own = parameters(CALLS[name])
    for key in {"replications", "most", "candidates", "points", "method", "of"} & set(own) & set(options):
        assert own[key].default == options[key]


@pytest.mark.parametrize("name", [*CALLS, "simulate"])
def test_a_path_is_a_scenario(name, scenario, tmp_path):
    """A path, as text or as a Path, is read as a scenario; anything else is refused. [contract]"""
    call = CALLS.get(name, simdeploy.simulate)
    how = QUICK.get(name, {})
    path = tmp_path / "small.yaml"
    path.write_text(json.dumps(SCENARIO), encoding="utf-8")
    if name == "simulate":
        assert call(str(path)).responses.equals(call(scenario).responses)
    else:
        assert answer(name, path) == expected_answer(name)
    for stranger, message in ((tmp_path / "none.yaml", "none.yaml"), (3, "not a scenario or the path")):
        with pytest.raises(InputError, match=message):
            call(stranger, **how)


@pytest.mark.parametrize("name", [*CALLS, "simulate"])
def test_a_path_is_a_policy(name, scenario, tmp_path):
    """The path of a policy file, as text or as a Path, is a policy that is named after the file. [contract]"""
    call = CALLS.get(name, simdeploy.simulate)
    how = {**QUICK.get(name, {}), "engine": "compiled"}
    key = "policies" if "policies" in parameters(call) else "policy"
    path = tmp_path / "waves.yaml"
    path.write_text(json.dumps({"dialect": "deployment", **SCENARIO["policies"]["waves"]}), encoding="utf-8")
    other = simdeploy.Scenario.from_dict({**SCENARIO, "policies": {"at-once": IMMEDIATE}})
    # A table of differences needs a second policy.
    given, expected = ([str(path), "at-once"], ["waves", "at-once"]) if name == "vary_switches" else (path, "waves")
    found = [call(where, **{**how, key: policy}) for where, policy in ((other, given), (scenario, expected))]
    assert str(found[0]) == str(found[1])
    with pytest.raises(InputError, match=r"none\.yaml: can't be read"):
        call(scenario, **{**how, key: tmp_path / "none.yaml"})


# -- refused -----------------------------------------------------------------------------------------------------------

REFUSED = [
    ({"seed": -1}, "seed: out of range"),
    ({"engine": "refrence"}, "engine: unknown engine .* did you mean 'reference'"),
    ({"workers": 0}, "workers: out of range"),
    ({"workers": 2, "cluster": "tcp://127.0.0.1:1"}, "workers: can't be combined with a cluster"),
    ({"replications": 0}, "replications: (invalid|out of range) "),
    ({"most": 0}, "most: out of range "),
    ({"confidence_level": 95}, "confidence_level: invalid confidence level"),
    ({"policy": "wave"}, "no such policy .* did you mean 'waves'"),
    ({"policies": ["wave"]}, "no such policy .* did you mean 'waves'"),
    ({"of": "makespan"}, "unknown measure .* did you mean 'makespan_s'"),
    ({"of": "makespan_s given god"}, "unknown condition .* did you mean 'good'"),
    ({"of": 5}, "no measure"),
    ({"of": Measure("makespan_s", quantile=2)}, "invalid quantile"),
    ({"of": "min_capacity_ratio"}, "min_capacity_ratio: fleet.service is local"),
    ({"axes": [5, "min_capacity_ratio"]}, r"no measure .*\n.*fleet.service is local"),
    ({"direction": "least"}, "invalid direction"),
    ({"requirements": "false_alarm"}, r"requirements\[0\]: invalid requirement"),
    ({"requirements": ["false_alarm < 1"]}, r"requirements\[0\]: invalid requirement"),
    ({"requirements": ["false_alarm <= 5"]}, "is between 0 and 1.*write 0.05 for 5 %"),
    ({"requirements": [Requirement(Measure("failed"), 5.0)]}, r"requirements\[0\].at_most: failed is between"),
    ({"requirements": [Requirement(Measure("failed"), 0.5, policy="x")]}, r"requirements\[0\].policy: no such policy"),
    ({"vary": {"max_failed_nods": [1, 2]}}, "no such key to vary; did you mean 'max_failed_nodes'"),
    ({"vary": {"max_error_rate": [0.1, 7]}}, r"health_check.max_error_rate: too large \(found 7\)"),
    ({"vary": {}}, ": nothing to vary"),
    ({"vary": ["max_failed_nodes"]}, "vary: no keys to vary"),
    ({"vary": {5: [1, 2]}}, "vary: no keys to vary"),
    ({"event": 5}, "event: no event"),
]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        pytest.param(*(name, arguments, message), id=f"{name} {arguments}")
        for name in CALLS
        for arguments, message in REFUSED
        if set(arguments) <= set(parameters(CALLS[name]))
        # Without keys a search varies the keys that matter, and one case may be enough.
        and (name not in ("tune", "sweep_to_precision") or arguments != {"vary": {}})
    ],
)
def test_invalid_arguments_are_refused_before_the_work(name, arguments, message, scenario, tmp_path, monkeypatch):
    """An invalid value of a shared argument is refused in the same words, before any work. [contract]"""
    for job in (Job, Repetitions):
        monkeypatch.setattr(job, "run", lambda *_: pytest.fail("nothing is to be simulated"))
    with pytest.raises(InputError, match=message):
        answer(name, scenario, store=tmp_path / "kept", **arguments)
    assert not list(tmp_path.iterdir())


# -- where and how -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLS)
def test_where_it_runs_changes_nothing(name, scenario):
    """Two workers, threads and processes give identical results; an executor and workers exclude each other. [property]"""
    expected = expected_answer(name)
    assert answer(name, scenario, executor=Threads(2)) == expected
    with pytest.raises(InputError, match="can't be combined with an executor"):
        answer(name, scenario, executor=InProcess(), workers=2)
    with pytest.raises(InputError, match="invalid address"):
        answer(name, scenario, cluster="here")


def assert_close(one, other):
    """Assert that two documents are equal, numbers to nine digits."""
    if isinstance(one, dict):
        assert list(one) == list(other)
        one, other = one.values(), other.values()
    if isinstance(one, float | int) and isinstance(other, float | int):
        assert other == pytest.approx(one, rel=1e-9, abs=1e-9, nan_ok=True)
    elif isinstance(one, str) or one is None:
        assert one == other
    else:
        for mine, its in zip(one, other, strict=True):
            assert_close(mine, its)


@pytest.mark.parametrize("name", CALLS)
def test_both_engines_find_the_same(name):
    """The compiled engine gives the same answer, with numbers equal up to rounding. [property]"""
    one, other = (undisturbed(name, engine) for engine in ("reference", "compiled"))
    if name in ("replicate", "sweep"):
        frames = [found if name == "replicate" else found.to_frame() for found in (one, other)]
        pd.testing.assert_frame_equal(*frames, rtol=1e-9)
    else:
        assert_close(one.to_dict() | {"computed_under": None}, other.to_dict() | {"computed_under": None})


@pytest.mark.parametrize("name", ["sweep", "check", "estimate_rare by splitting"])
def test_processes_change_nothing(name, scenario):
    """Two processes of the reference engine give identical results. [property]"""
    assert answer(name, scenario, workers=2, engine="reference") == expected_answer(name, "reference")


@pytest.mark.parametrize("name", CALLS)
def test_workers_are_processes(name, scenario, monkeypatch):
    """Every call gives all its work to the requested number of processes, with identical results. [property]"""
    expected, used = expected_answer(name), []

    def run(self, job, spans):
        used.append(self.workers)
        return Elsewhere().run(job, spans)

    monkeypatch.setattr(Processes, "run", run)
    for executor in (InProcess, Threads):
        monkeypatch.setattr(executor, "run", lambda *_: pytest.fail("this is no process"))
    # The compiled engine, as if it needed processes.
    monkeypatch.setattr("simdeploy.experiments.executors.choice._HOLD_THE_LOCK", ("compiled",))
    assert answer(name, scenario, workers=2) == expected
    assert set(used) == {2}


@contextlib.contextmanager
def counted_spans(stop=None):
    """Count the spans that this process runs, the same ones each time; interrupt the one numbered `stop`."""
    run, spans = InProcess.run, []

    def run_counted(executor, job, pieces):
        def counted():
            for span in pieces:
                spans.append(span)
                if len(spans) == stop:
                    raise KeyboardInterrupt
                yield span

        return run(executor, job, counted())

    with pytest.MonkeyPatch.context() as patch:
        # A span is as long as a second's work.
        patch.setattr(cutting, "thread_time", itertools.count(0, 0.01).__next__)
        patch.setattr(InProcess, "run", run_counted)
        yield spans


@functools.cache
def followed(name):
    """Return the number of spans of a call, and the progress that it reports."""
    heard = []
    with counted_spans() as spans:
        answer(name, simdeploy.Scenario.from_dict(SCENARIO), progress=lambda *of: heard.append(of))
    return len(spans), heard


@pytest.mark.parametrize("name", CALLS)
def test_an_interrupted_call_resumes(name, scenario, tmp_path, monkeypatch):
    """Interrupted halfway, a repeated call resumes in its folder, then simulates nothing; numbers are unchanged; another
    question is refused. [property]
    """
    expected, heard = expected_answer(name), []
    n_spans, _ = followed(name)
    with counted_spans(stop=n_spans // 2 + 1), pytest.raises(KeyboardInterrupt):
        answer(name, scenario, store=tmp_path / "kept")
    tell = lambda *of: heard.append(of)  # noqa: E731
    assert answer(name, scenario, store=tmp_path / "kept", progress=tell) == expected
    done, total = heard[-1]
    assert done == total
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    for job in (Job, Repetitions):
        monkeypatch.setattr(job, "run", lambda *_: pytest.fail("nothing is to be simulated"))
    assert answer(name, scenario, store=tmp_path / "kept") == expected
    with pytest.raises(InputError, match="store belongs to another question"):
        answer(name, scenario, store=tmp_path / "kept", seed=1)


@pytest.mark.parametrize("name", CALLS)
def test_progress_reaches_its_total(name):
    """Progress starts at 0, never decreases, and ends at its total. [contract]"""
    _, heard = followed(name)
    done = [so_far for so_far, _ in heard]
    assert done[0] == 0 or name.startswith("estimate_rare")  # whose pilot is over by then
    assert done == sorted(done)
    assert heard[-1][0] == heard[-1][1] > 0


@pytest.mark.parametrize("name", CALLS)
def test_a_foreign_folder_is_refused(name, scenario, tmp_path):
    """A folder with other files is refused before the work, and left unchanged. [contract]"""
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"folder|store"):
        answer(name, scenario, store=tmp_path)
    assert [path.name for path in Path(tmp_path).iterdir()] == ["notes.txt"]


def as_of_numpy(value):
    """Return a value with its whole numbers as those of numpy."""
    if isinstance(value, dict):
        return {key: as_of_numpy(of_key) for key, of_key in value.items()}
    if isinstance(value, list):
        return [as_of_numpy(item) for item in value]
    return np.int64(value) if isinstance(value, int) and not isinstance(value, bool) else value


@pytest.mark.parametrize("name", QUICK)
def test_whole_numbers_of_numpy(scenario, name, tmp_path):
    """Whole numbers may be numpy's, such as cells of a table; the answer and its JSON are the same. [contract]"""
    result = CALLS[name](
        scenario, engine="compiled", store=tmp_path / "store", **as_of_numpy({**QUICK[name], "seed": 3, "workers": 1})
    )
    assert comparable(name, result) == expected_answer(name)
    if hasattr(result, "to_dict"):
        json.dumps(result.to_dict())


@pytest.mark.parametrize("value", ["1", 1.5, None, True])
@pytest.mark.parametrize("argument", ["seed", "workers", "replication"])
def test_other_types_are_not_out_of_range(scenario, argument, value):
    """A number of another type is called that, with what is allowed. [contract]"""
    call = simdeploy.simulate if argument == "replication" else simdeploy.replicate
    with pytest.raises(
        InputError, match=rf"^{argument}: not a whole number \(found .+\); allowed: a whole number from "
    ):
        call(scenario, **{argument: value})
