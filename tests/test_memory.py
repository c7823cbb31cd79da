"""Memory: how much there is, refusals before the work, and memory used beside the table."""

import json
import re
import resource
import subprocess
import sys
import textwrap
import tracemalloc
import weakref

import numpy as np
import pandas as pd
import pytest
from invoking import invoke
from small import maybe_bad, rolling
from test_call_language import CALLS, QUICK, SCENARIO, parameters

from simdeploy import Scenario, analysis, memory, simulate
from simdeploy.analysis.estimates.streaming import FirstValues
from simdeploy.engines.reference import engine
from simdeploy.engines.reference.engine import begin_reference
from simdeploy.errors import InputError, SimdeployWarning
from simdeploy.experiments import jobs, replicate, sweep
from simdeploy.memory import check_rows_fit, find_free_bytes
from simdeploy.statistics.heavy_tails import SHOWN

MANY = 100_000
DEADLINE_S = 300


@pytest.fixture
def scenario(make_scenario):
    return make_scenario(costs={"hour_of_delay": 60}, release=maybe_bad(), policies={"q": rolling(2)})


@pytest.fixture
def no_work(monkeypatch):
    """With a megabyte left, fail if anything is simulated."""

    def refuse(*_):
        raise AssertionError("it began to simulate")

    monkeypatch.setattr(memory, "find_free_bytes", lambda: 1_000_000)
    monkeypatch.setattr(jobs.Job, "run", refuse)


VARY = {"max_parallel": [1, 2]}


def run_limited(words, limit=None, *, check=False):
    """Run Python with a limit on its address space, if any."""

    def set_limit():
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    how = {"capture_output": True, "text": True, "timeout": DEADLINE_S, "preexec_fn": set_limit}
    return subprocess.run([sys.executable, *map(str, words)], check=check, **how)


# The memory of timelines does not grow with the replications.
@pytest.mark.parametrize(
    "name", [name for name in CALLS if "replications" in parameters(CALLS[name]) and name != "timelines"]
)
@pytest.mark.usefixtures("no_work")
def test_what_cannot_fit_is_refused_before_any_work(name):
    """A call whose rows would not fit is refused before anything is simulated, with size and advice. [contract]"""
    with pytest.raises(InputError, match=r"[\d,]+ rows of \d+ bytes don't fit in memory \(found ") as caught:
        CALLS[name](Scenario.from_dict(SCENARIO), **{**QUICK[name], "replications": MANY})
    (problem,) = caught.value.problems
    assert problem.hint


@pytest.mark.usefixtures("no_work")
def test_a_store_needs_no_memory_for_its_rows(scenario, tmp_path):
    """With a store the same sweep begins, for any number of replications. [contract]"""
    with pytest.raises(AssertionError, match="it began to simulate"):
        sweep(scenario, "p", vary=VARY, replications=10**9, store=tmp_path / "store", engine="reference")


def test_a_command_that_runs_out_of_memory_says_so(repository, monkeypatch):
    """A command that still runs out of memory ends with a sentence and exit code 1. [contract]"""

    def run_out(*_):
        raise MemoryError("Unable to allocate 16.0 GiB")

    monkeypatch.setattr(jobs.Job, "run", run_out)
    result = invoke("compare", repository / "scenarios" / "small-fleet.yaml")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "error: out of memory: Unable to allocate 16.0 GiB"


def test_the_table_is_in_memory_once():
    """Beside its table `replicate` takes no memory that grows with the replications. [contract]"""
    code = textwrap.dedent("""
        import resource
        import numpy as np
        from simdeploy.engines.block import Block
        from simdeploy.experiments import replicate
        from simdeploy.scenario import Scenario

        class Repeating:
            def run(self, job, spans):
                block = job.run(next(spans)._replace(first=0, n_replications=1))
                for first in range(0, N, 100_000):
                    index = np.zeros((1, 100_000), np.int32)
                    yield FIRST._replace(first=first, n_replications=100_000), Block(
                        first, index, block.codes, block.words, block.numbers
                    )

        from simdeploy.experiments.jobs import Span
        FIRST = Span(0, 0, 1, 0, 1)
        fleet = {"nodes": 1, "update_duration": 60}
        scenario = Scenario.from_dict({"name": "s", "fleet": fleet, "policies": {"p": {"strategy": "immediate"}}})
        N = 100_000
        replicate(scenario, replications=N, engine="reference", executor=Repeating())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        N = 1_000_000
        table = replicate(scenario, replications=N, engine="reference", executor=Repeating())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print((peak - before) * 1024, table.memory_usage(deep=True).sum())
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    grown, size = map(int, done.stdout.split())
    assert size > 200_000_000
    assert grown < 1.15 * size


def test_a_table_may_be_changed(scenario):
    """Every column of the table of `replicate` is writable, and changing a row changes no other. [contract]"""
    table = replicate(scenario, replications=3, engine="reference")
    for name in table.columns:
        table.loc[table["replication"].eq(0), name] = table[name].iloc[-1]
    failed = table.copy()
    table.loc[0, "waves"] = None
    assert table.drop(columns="waves").equals(failed.drop(columns="waves"))


class TestFree:
    """How much memory there is."""

    @pytest.fixture
    def system(self, tmp_path, monkeypatch):
        """A machine with 8 GB left, and whatever a test adds."""
        proc, groups = tmp_path / "proc", tmp_path / "groups"
        (proc / "self").mkdir(parents=True)
        groups.mkdir()
        (proc / "meminfo").write_text("MemTotal: 16000000 kB\nMemFree: 10 kB\nMemAvailable: 8000000 kB\n")
        monkeypatch.setattr(memory, "_PROC", proc)
        monkeypatch.setattr(memory, "_CONTROL_GROUPS", groups)
        monkeypatch.setattr(memory, "_of_address_space", lambda: iter(()))
        return proc, groups

    def test_of_the_machine(self, system):
        """Memory that could be given to a process counts, not only free memory. [contract]"""
        assert find_free_bytes() == 8_000_000 * 1024

    @pytest.mark.parametrize(
        ("line", "root", "limit", "used"),
        [
            ("0::/outer/inner", "", "memory.max", "anon"),
            ("4:cpu,memory:/outer/inner", "memory", "memory.limit_in_bytes", "total_rss"),
        ],
    )
    def test_of_control_groups(self, system, line, root, limit, used):
        """A limit of this process's group, or of one above it, counts, less its usage without cached files. [contract]"""
        proc, groups = system
        (proc / "self/cgroup").write_text(f"1:name=systemd:/\n3:cpuset:/\n{line}\n")
        outer = groups / root / "outer"
        (outer / "inner").mkdir(parents=True)
        (outer / limit).write_text("3000000000\n")
        (outer / "memory.stat").write_text(f"file 2500000000\n{used} 1000000000\n")
        (outer / "inner" / limit).write_text("max\n" if limit == "memory.max" else "9223372036854771712\n")
        (outer / "inner" / "memory.stat").write_text(f"{used} 0\n")
        assert find_free_bytes() == 2_000_000_000

    def test_unknown_memory(self, system, monkeypatch):
        """If the system doesn't say how much there is, nothing is refused. [contract]"""
        proc, _ = system
        (proc / "meminfo").unlink()
        monkeypatch.setattr(memory.os, "sysconf", lambda _: (_ for _ in ()).throw(ValueError("unknown")))
        assert find_free_bytes() is None
        check_rows_fit(10**18, 1000, hint="")

    def test_of_the_address_space(self):
        """A limit on the address space counts, less what is used. [contract]"""
        limit = 3_000_000_000
        code = "from simdeploy.memory import find_free_bytes; print(find_free_bytes())"
        assert 0 < int(run_limited(["-c", code], limit, check=True).stdout) < limit


def test_the_size_is_that_of_the_table(scenario):
    """The estimated size of a row is right within a fifth. [property]"""
    from simdeploy.experiments.table import ROW_BYTES

    table = replicate(scenario, replications=500, engine="compiled")
    assert np.isclose(table.memory_usage(deep=True, index=False).sum() / len(table), ROW_BYTES, rtol=0.2)


class TestFleet:
    """Fleets that are too large for an engine."""

    @pytest.fixture
    def huge(self, make_scenario):
        return make_scenario(fleet={"nodes": 10_000_000}, costs={"hour_of_delay": 60})

    @pytest.mark.parametrize(
        "call",
        [
            lambda s, engine: simulate(s, "p", engine=engine),
            lambda s, engine: replicate(s, replications=1, engine=engine),
            lambda s, engine: sweep(s, "p", vary=VARY, replications=1, engine=engine),
            lambda s, engine: sweep(s, "p", vary={"scenario.fleet.nodes": [10, 10**7]}, replications=1, engine=engine),
            lambda s, engine: analysis.estimate_rare(s, "p", event="failed_nodes >= 6", engine=engine),
        ],
    )
    def test_ten_million_nodes(self, huge, call, engine):
        """A fleet that takes more than 2 GB per rollout is refused, with an estimate and what is possible. [contract]"""
        limit = rf"memory limit of the {engine} engine \(found 10,000,000: \d+\.\d GB\); allowed: 2 GB, or"
        with pytest.raises(InputError, match=f"fleet.nodes: .* {limit}"):
            call(huge, engine)

    def test_on_the_command_line(self, repository, tmp_path):
        """`simdeploy run` refuses it as well. [contract]"""
        text = (repository / "scenarios" / "small-fleet.yaml").read_text(encoding="utf-8")
        file = tmp_path / "huge.yaml"
        file.write_text(re.sub(r"(?m)^  nodes: \d+$", "  nodes: 10000000", text), encoding="utf-8")
        result = invoke("run", file)
        assert result.exit_code == 2
        assert "too many nodes for the memory limit" in result.stderr

    @pytest.mark.parametrize("service", ["local", {"shared": {"capacity": 2}}], ids=["local", "shared"])
    @pytest.mark.parametrize("max_parallel", [1, 4, 1000])
    @pytest.mark.parametrize("connection", [None, {"online": "1h", "offline": "5m"}])
    def test_tables_of_the_compiled_engine(self, make_scenario, max_parallel, service, connection):
        """The estimated memory per node is that of its tables, or a little more. [property]"""
        from simdeploy.engines.choice import _COMPILED, _COMPILED_LINES, _COMPILED_SHARED, _COMPILED_WINDOWS
        from simdeploy.engines.compiled.lowering import lower
        from simdeploy.engines.compiled.memory import Memory
        from simdeploy.rules.deployment_types import TYPES

        def size(n):
            fleet = {"nodes": n, "service": service, "connection": connection}
            scenario = make_scenario(fleet=fleet, policies={"p": {"max_parallel": max_parallel}})
            lowered = lower(scenario, list(scenario.policies.values()), TYPES["update"])
            memory = Memory(lowered, 0)
            made = [tables[name] for tables in (memory._of_nodes, memory._zeros) for name in tables.addresses]
            return sum(table.nbytes for table in (*made, *memory._kept.values()))

        per_node = (size(20_000) - size(10_000)) / 10_000
        stated = _COMPILED + (0 if service == "local" else _COMPILED_SHARED) + (_COMPILED_LINES if connection else 0)
        assert stated / 1.5 < per_node <= stated + _COMPILED_WINDOWS

    @pytest.mark.parametrize(
        "policy", [{"strategy": "immediate"}, {}, {"health_check": {"deadline": "20m", "min_healthy_time": "10m"}}]
    )
    def test_records_of_the_reference_engine(self, make_scenario, policy):
        """The estimated memory per node is no less than its objects take. [property]"""
        from simdeploy.engines.choice import _REFERENCE, _REFERENCE_WINDOW, _count_windows

        n = 1000
        fleet = {"requests_per_second": 10, "flapping": {"good": "1h", "degraded": "1m", "error_rate": 0.01}}
        scenario = make_scenario(fleet=fleet | {"nodes": n}, policies={"p": {"max_parallel": n // 3, **policy}})
        simulate(scenario.with_values({"fleet.nodes": 10}), "p").responses.copy()  # imports what it needs
        tracemalloc.start()
        assert simulate(scenario, "p").responses["state"] == "completed"
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        windows = _count_windows(scenario.policies["p"])
        assert peak / n < _REFERENCE + _REFERENCE_WINDOW * windows
        assert peak / n > 0.2 * (_REFERENCE + _REFERENCE_WINDOW * windows)


def test_tables_that_do_not_fit_are_failed_rows(scenario, monkeypatch):
    """If a span's tables can't be allocated, its replications fail with the reason, without an exception. [contract]"""

    def run_out(*_, **__):
        raise MemoryError("no")

    monkeypatch.setattr("simdeploy.engines.running.run_block", run_out)
    with pytest.warns(SimdeployWarning, match="6 of 6 replications failed"):
        table = replicate(scenario, replications=3, engine="reference")
    assert table["stage"].eq("simulate").all()
    assert table["error"].eq("MemoryError: no").all()


def test_a_failed_rollout_frees_its_memory(scenario, monkeypatch):
    """While the error of a rollout that ran out of memory is handled, the rollout holds none. [contract]"""
    begun = []

    def begin(*args, **kwargs):
        begun.append(weakref.ref(run := begin_reference(*args, **kwargs)))
        return run

    def fail(site, *_):
        yield site.env.timeout(10**9)
        raise MemoryError

    monkeypatch.setattr(engine, "begin_reference", begin)
    monkeypatch.setattr(engine, "follow_script", fail)
    try:
        simulate(scenario, "q", engine="reference")
    except MemoryError:
        assert [run() for run in begun] == [None]
    else:
        pytest.fail("the rollout did not run out of memory")


class TestLimits:
    """Processes with a limit on their address space."""

    SCRIPT = """
import json, os, resource, sys
from simdeploy.errors import SimulationError
from simdeploy.experiments import sweep
from simdeploy.experiments.executors import processes
from simdeploy.scenario import Scenario
import simdeploy.engines.reference.engine, simdeploy.engines.rollout, scipy.special, pandas
if __name__ == "__mp_main__" and int(os.environ["OF_WORKERS"]):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + int(os.environ["OF_WORKERS"]),) * 2)
if __name__ == "__main__":
    limits, nodes, how = json.loads(sys.argv[1])
    scenario = Scenario.from_dict({
        "name": "s",
        "fleet": {"nodes": nodes, "update_duration": {"exponential": {"mean": "30s"}}},
        "policies": {"p": {"strategy": "rolling", "health_check": {"deadline": "10m"}}},
    })
    for limit in limits:
        os.environ["OF_WORKERS"] = str(limit)
        try:
            result = sweep(scenario, "p", vary={"max_parallel": [10, 20]}, replications=2, **how)
            print(result.to_frame()[["status", "stage", "error"]].to_json(orient="records"))
        except SimulationError as error:
            print(json.dumps(str(error)))
        for worker in processes._spare.pop(os.getpid(), []):  # of this limit
            worker.process.terminate()
"""

    @classmethod
    def run(cls, *, of_workers=(0,), of_all=None, nodes=20, **how):
        """Run a sweep in processes whose workers have limits, one after the other; each gives rows as dictionaries, or the text of an error."""
        return run_limited(["-W", "ignore", cls.script, json.dumps([of_workers, nodes, how])], of_all)

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def write_script(cls, tmp_path_factory):
        """Write the script into a file, which workers import."""
        cls.script = tmp_path_factory.mktemp("limits") / "script.py"
        cls.script.write_text(cls.SCRIPT)

    SPARE = (1_000_000, 10_000_000, 100_000_000)

    @pytest.fixture(scope="class")
    @classmethod
    def outcomes(cls):
        """Return the results of sweeps by the memory limit of their workers, from one process, because starting it takes longest."""
        done = cls.run(of_workers=cls.SPARE, nodes=5000, engine="reference", workers=2)
        assert done.returncode == 0, done.stderr
        return dict(zip(cls.SPARE, map(json.loads, done.stdout.splitlines()), strict=True))

    @pytest.mark.parametrize("spare", SPARE)
    def test_of_workers(self, outcomes, spare):
        """Workers without memory leave failed rows with the reason, or the call ends with an error; nothing hangs. [contract]"""
        if isinstance(outcomes[spare], str):
            assert outcomes[spare].startswith("no worker process could start: ")
            return
        assert len(outcomes[spare]) == 4
        for row in outcomes[spare]:
            assert row["status"] == "ok" or (row["stage"] in ("simulate", "worker") and row["error"])

    def test_of_a_starting_worker(self):
        """If memory suffices for a worker's watching thread to be created, but not to run, the worker doesn't hang: the script ends. [contract]"""
        code = textwrap.dedent("""
            import multiprocessing, os, resource, threading
            from simdeploy.experiments.executors import processes

            STACK = 1 << 20  # bytes
            threading.stack_size(STACK)
            ended = 0
            for spare in range(0, 100_000, 2048):
                child = os.fork()
                if not child:
                    ours, of_worker = multiprocessing.Pipe()
                    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
                    resource.setrlimit(resource.RLIMIT_AS, (used + STACK + spare,) * 2)
                    ours.close()  # as if the parent were gone: the worker has nothing to do
                    try:
                        processes._serve(of_worker)
                    finally:
                        os._exit(0)
                os.waitpid(child, 0)
                ended += 1
            print(ended)
        """)
        assert run_limited(["-c", code], check=True).stdout == "49\n"

    def test_of_everything(self):
        """If memory suffices only for the reference engine, `auto` takes it for any job. [contract]"""
        code = "from simdeploy.engines.choice import choose_engine; print(choose_engine('auto', node_updates=10**9))"
        assert run_limited(["-c", code], 10**9, check=True).stdout == "reference\n"

    @pytest.mark.parametrize("workers", [1, 2])
    def test_of_the_compiled_engine(self, workers):
        """If the compiled engine doesn't fit it is refused with a message, rather than ended by a library. [contract]"""
        done = self.run(of_all=10**9, engine="compiled", workers=workers)
        assert done.returncode == 1
        assert "InputError: engine: too little address space for the compiled engine" in done.stderr.splitlines()[-1]


def test_summaries_of_cases_need_little_memory():
    """Each mean of a case stores its first 400 values and replications, for any parts. [contract]"""
    n_cases, n = 50, 2000
    cells, numbers = np.repeat(np.arange(n_cases), n), np.tile(np.arange(n), n_cases)
    rng = np.random.default_rng(1)
    values = rng.normal(size=len(cells))
    values[rng.random(len(cells)) < 0.3] = np.nan
    of_cases = [values[cells == case] for case in range(n_cases)]
    expected = np.stack([row[~np.isnan(row)][:SHOWN] for row in of_cases])
    for order in (np.arange(len(cells)), np.argsort(numbers, kind="stable"), rng.permutation(len(cells))):
        parts = [order[start : start + 5000] for start in range(0, len(cells), 5000)]
        tracemalloc.start()
        try:
            shown = FirstValues(1)
            for part in parts:
                shown.add(cells[part], numbers[part], values[part])
            (found,), peak = shown.of(np.arange(n_cases)), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert np.array_equal(found, expected)
        # Values and replications, with half as much in reserve, and the returned copy.
        assert peak < n_cases * SHOWN * (1.5 * (8 + 4) + 2 * 8) + 2_000_000


class TestUsedMemory:
    """Reuse of memory for tables of nodes by the next call on the thread."""

    @pytest.fixture
    def spare(self):
        """Memory full of numbers that are no node's."""
        from simdeploy.engines.compiled import scratch

        scratch._of_thread.spare = spare = np.full(1_000_000, 0x80, np.uint8)
        yield spare
        vars(scratch._of_thread).pop("spare", None)

    @pytest.mark.parametrize(
        "fleet",
        [{}, {"start_hang": 0.2}, {"traffic": {"daily": [["0h", 0.5], ["12h", 2]]}}],
        ids=["plain", "hangs", "traffic"],
    )
    def test_old_contents_do_not_matter(self, make_scenario, spare, fleet):
        """Rollouts don't depend on the previous contents of memory, and the next call reuses it, too. [property]"""
        from simdeploy.engines.compiled import scratch

        scenario = make_scenario(fleet={"nodes": 60, "error_rate": 0.01, "requests_per_second": 10, **fleet})
        expected = replicate(scenario, replications=5, engine="reference")
        pd.testing.assert_frame_equal(replicate(scenario, replications=5, engine="compiled"), expected, rtol=1e-9)
        assert scratch._of_thread.spare is spare

    def test_not_too_much_is_kept(self, scenario, spare, monkeypatch):
        """Memory beyond the limit is returned to the system. [contract]"""
        from simdeploy.engines.compiled import scratch

        monkeypatch.setattr(scratch, "MOST_KEPT", len(spare) - 1)
        replicate(scenario, replications=1, engine="compiled")
        assert "spare" not in vars(scratch._of_thread)
