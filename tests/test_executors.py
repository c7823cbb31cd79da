"""Where spans run: the same blocks everywhere, even if workers die, and how a job is cut into spans."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import pickle
import re
import signal
import socket
import sys
import threading
import warnings
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from clusters import run_dask, run_scheduler, wait_until
from fake_jobs import FakeJob, make_job
from hypothesis import given, settings, strategies as st
from small import IMMEDIATE, rolling, small

import simdeploy
from simdeploy.engines.block import Block
from simdeploy.errors import InputError, SimdeployWarning, SimulationError, catch_warned, warn_user
from simdeploy.experiments import cutting, replicate
from simdeploy.experiments.cutting import Piece, cut_job, spans
from simdeploy.experiments.executors import (
    DaskCluster,
    InProcess,
    Processes,
    Threads,
    choose_executor,
    cluster as cluster_module,
    processes as processes_module,
)
from simdeploy.experiments.executors.processes import halve
from simdeploy.experiments.jobs import Group, Job, Span
from simdeploy.experiments.table import DTYPES, Outcomes
from simdeploy.vocabulary import RESPONSES

KINDS = ("in_process", "threads", "processes", "dask")


@pytest.fixture(scope="module")
def local_cluster():
    """Two worker processes and a scheduler, as on a laptop."""
    import dask
    from distributed import LocalCluster

    settings = {
        # Workers are copies of a process that has imported everything: they start in a moment, again and again.
        "distributed.worker.multiprocessing-method": "forkserver",
        # A span is given up after two workers died of it, not four.
        "distributed.scheduler.allowed-failures": 1,
        # A worker asks another one, which has just died, for what it needs; that takes this long.
        "distributed.comm.timeouts.connect": "5s",
    }
    with dask.config.set(settings):
        started = LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",  # of several clusters only one has the usual port
            host="127.0.0.1",
            silence_logs=60,
        )
    with started as cluster:
        yield cluster


@pytest.fixture
def executor(request, kind):
    """An executor of that kind with two workers."""
    if kind == "dask":
        return DaskCluster(request.getfixturevalue("local_cluster").scheduler_address)
    return {"in_process": InProcess(), "threads": Threads(2), "processes": Processes(2)}[kind]


@pytest.fixture
def scenario():
    policies = {"in-fives": rolling(5), "in-twos": rolling(2), "at-once": IMMEDIATE}
    return small({"start_failure": 0.05}, policies=policies)


def tabulate(job, finished, replications):
    """Put an executor's blocks, in any order, into one table."""
    n_policies = len(job.groups[0].policies)
    outcomes = Outcomes(n_policies, replications)
    seen = Counter()
    for span, block in finished:
        outcomes.put(span.policy, block)
        seen[span] += 1
    assert set(seen.values()) <= {1}
    return outcomes.to_frame({"case": np.arange(n_policies)})


def expected_of_fake(n_policies, replications):
    cells = [(policy, replication) for policy in range(n_policies) for replication in range(replications)]
    return [(policy, replication, policy, replication) for policy, replication in cells]


def rows_of_fake(table):
    names = ["case", "replication", "waves", "updated_nodes"]
    return [tuple(row) for row in table[names].itertuples(index=False)]


@contextlib.contextmanager
def when_begun(job, cell, act):
    """Act once a cell is begun, while the block waits for it."""

    def wait():
        wait_until(job.mark(cell).exists)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_blocks_everywhere(scenario, executor):
    """Threads, processes and a Dask cluster give the same rows as one span in this process, bit by bit. [property]"""
    job = Job((Group(scenario, tuple(scenario.policies.values())),), seed=3, engine="reference")
    whole = tabulate(job, InProcess().run(job, iter([Span(0, 0, 3, 0, 10)])), 10)
    assert whole["status"].eq("ok").all()
    assert whole["verdict"].nunique() > 1
    cut = tabulate(job, executor.run(job, spans((Piece(2, 3),), job, 10)), 10)
    pd.testing.assert_frame_equal(cut, whole, check_exact=True)


def test_replicate_takes_an_address(scenario, local_cluster):
    """`replicate` needs only the address of a cluster to use it. [contract]"""
    table = replicate(scenario, replications=3, cluster=local_cluster.scheduler_address)
    pd.testing.assert_frame_equal(table, replicate(scenario, replications=3), check_exact=True)


@pytest.mark.parametrize("kind", KINDS)
def test_spans_are_taken_as_needed(executor):
    """However many spans there are, at most two per worker are taken and not yet returned. [property]"""
    taken = 0

    def count():
        nonlocal taken
        for span in spans((Piece(1, 1),), job, 40):
            taken += 1
            yield span

    job = make_job(1)
    most = handed_back = 0
    for _ in executor.run(job, count()):
        most = max(most, taken - handed_back)
        handed_back += 1
    assert (taken, handed_back) == (40, 40)
    assert most <= 4


@pytest.mark.parametrize("kind", KINDS)
def test_no_spans_no_blocks(executor):
    """Without spans, as at the end of a resumed sweep, an executor ends at once. [contract]"""
    assert list(executor.run(make_job(1), iter([]))) == []


@pytest.mark.parametrize("kind", KINDS)
def test_errors_reach_the_caller(executor):
    """An exception of a job is raised unchanged, and is not a failed replication. [contract]"""
    job = make_job(1, error="no such thing")
    with pytest.raises(ValueError, match="no such thing") as caught:
        list(executor.run(job, spans((Piece(1, 1),), job, 4)))
    assert str(caught.value) == "no such thing"


def helpers_of_ours():
    """Threads and processes that an executor may have started."""
    names = ("simdeploy", "IO loop", "ThreadPoolExecutor")
    threads = {thread for thread in threading.enumerate() if thread.name.startswith(names)}
    return threads.union(multiprocessing.active_children())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ["interrupted", "closed"])
def test_nothing_is_left_behind(executor, kind, end, request):
    """Interrupted by Ctrl-C or closed early, an executor leaves neither threads nor processes nor work. [contract]"""
    job = make_job(1)

    def some_spans():
        yield from spans((Piece(1, 1),), job, 4)
        if end == "interrupted":
            raise KeyboardInterrupt
        yield from (span._replace(first=span.first + 4) for span in spans((Piece(1, 1),), job, 100))

    before = helpers_of_ours()
    running = executor.run(job, some_spans())
    if end == "interrupted":
        with pytest.raises(KeyboardInterrupt):
            list(running)
    else:
        next(running)
        running.close()
    if kind == "dask":
        scheduler = request.getfixturevalue("local_cluster").scheduler
        wait_until(lambda: not scheduler.tasks and len(scheduler.clients) == 1 and helpers_of_ours() <= before)
    assert helpers_of_ours() <= before  # those of an earlier test may end meanwhile


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_a_killed_worker_costs_nothing(executor, tmp_path):
    """A worker killed at work changes no row, as its span is repeated. [contract]"""
    job = make_job(2, folder=str(tmp_path), held_once=((0, 5),))
    with when_begun(job, (0, 5), lambda: os.kill(int(job.mark((0, 5)).read_text()), signal.SIGKILL)):
        table = tabulate(job, executor.run(job, spans((Piece(1, 2),), job, 20)), 20)
    assert rows_of_fake(table) == expected_of_fake(2, 20)
    assert table["status"].eq("ok").all()


@pytest.fixture
def spare(monkeypatch):
    """Return the idle workers of this process, none at first."""
    found = []
    monkeypatch.setattr(processes_module, "_spare", {os.getpid(): found})
    yield found
    for worker in found:
        worker.process.terminate()
        worker.process.join()


def test_idle_workers_are_used_again(spare, tmp_path):
    """The next run uses the same processes, except those killed while idle. [contract]"""
    job = make_job(1)
    list(Processes(2).run(job, spans((Piece(1, 2),), job, 8)))
    first = [worker.process for worker in spare]
    assert len(first) == 2
    other = make_job(2, folder=str(tmp_path))
    table = tabulate(other, Processes(2).run(other, spans((Piece(2, 2),), other, 8)), 8)
    assert rows_of_fake(table) == expected_of_fake(2, 8)
    assert {worker.process for worker in spare} == set(first)
    first[0].kill()
    first[0].join()
    table = tabulate(job, Processes(2).run(job, spans((Piece(1, 2),), job, 8)), 8)
    assert rows_of_fake(table) == expected_of_fake(1, 8)
    assert table["status"].eq("ok").all()
    left = {worker.process for worker in spare}
    assert first[1] in left
    assert first[0] not in left
    assert len(left) == 2


def test_a_fork_has_no_idle_workers(monkeypatch):
    """A forked process leaves the idle workers to its parent, which owns their pipes. [contract]"""
    monkeypatch.setattr(processes_module, "_spare", defaultdict(list, {os.getpid(): ["a worker"]}))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert processes_module._find_spare() is None


def test_a_worker_ends_after_a_long_idle_time(monkeypatch):
    """An idle worker waits for the next job only for a time, but between spans without limit. [contract]"""
    monkeypatch.setattr(processes_module, "_IDLE_S", 0.01)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    ours, theirs = multiprocessing.Pipe()
    span = Span(0, 0, 1, 0, 1)
    for message in (make_job(1), span):
        ours.send_bytes(pickle.dumps(message))
    later = threading.Timer(0.1, lambda: [ours.send_bytes(pickle.dumps(message)) for message in (span, None)])
    later.start()
    processes_module._serve(theirs)
    later.join()
    sent = []
    while ours.poll():
        sent.append(ours.recv())
    assert sent[0] is None
    assert [block.n_rows for block in sent[1:]] == [1, 1]


def test_processes_lose_a_cell_and_no_more(tmp_path):
    """Of a span, only the replication at which workers die twice is lost; dying once costs nothing. [contract]"""
    job = make_job(3, folder=str(tmp_path), deadly=((1, 4),), deadly_once=((2, 11),))
    table = tabulate(job, Processes(2).run(job, spans((Piece(3, 2),), job, 16)), 16)
    failed = table[table["status"].eq("failed")]
    assert failed[["case", "replication", "stage"]].to_numpy().tolist() == [[1, 4, "worker"]]
    assert failed["error"].str.contains("died twice").all()
    assert failed[list(RESPONSES)].isna().all(axis=None)
    expected = [row for row in expected_of_fake(3, 16) if row[:2] != (1, 4)]
    assert rows_of_fake(table[table["status"].eq("ok")]) == expected


def test_processes_give_up_a_span_in_the_end(tmp_path, monkeypatch):
    """If every replication kills its worker, the rest of the span fails after a while. [contract]"""
    monkeypatch.setattr(processes_module, "_DEATHS_OF_A_SPAN", 3)
    job = make_job(1, folder=str(tmp_path), deadly=tuple((0, number) for number in range(8)))
    table = tabulate(job, Processes(1).run(job, spans((Piece(1, 8),), job, 16)), 16)
    assert table["stage"].eq("worker").tolist() == [True] * 8 + [False] * 8
    assert table["error"].dropna().str.contains("times on this and neighbouring replications").all()


def test_a_cluster_loses_a_span_and_no_more(executor_of_dask, tmp_path):
    """A span at which Dask's workers die repeatedly becomes failed rows; others survive. [contract]"""
    job = make_job(1, folder=str(tmp_path), deadly=((0, 5),))
    table = tabulate(job, executor_of_dask.run(job, spans((Piece(1, 2),), job, 12)), 12)
    assert table["stage"].eq("worker").tolist() == [number in (4, 5) for number in range(12)]
    expected = [row for row in expected_of_fake(1, 12) if row[1] not in (4, 5)]
    assert rows_of_fake(table[table["status"].eq("ok")]) == expected


@pytest.fixture
def executor_of_dask(local_cluster):
    return DaskCluster(local_cluster.scheduler_address)


class TestClusterMessages:
    """Messages about problems with a cluster."""

    def test_without_dask(self, monkeypatch):
        """Without `distributed`, the message says how to install it, before any work. [contract]"""
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(InputError, match=r"cluster: .*not installed; pip install 'simdeploy\[cluster\]'"):
            DaskCluster("tcp://127.0.0.1:8786")

    @pytest.mark.parametrize(
        "address", ["", "tcp://127.0.0.1", "tcp//127.0.0.1:8786", "http://host:8787", 8786, "a b:1"]
    )
    def test_no_address(self, address):
        """An invalid address is refused with an example of a valid one. [contract]"""
        with pytest.raises(InputError, match=r"cluster: invalid address .*such as tcp://10.0.0.5:8786"):
            DaskCluster(address)

    @pytest.mark.parametrize("somebody_listens", [False, True])
    def test_out_of_reach(self, monkeypatch, somebody_listens):
        """If no scheduler answers, the message says so, and how to continue later. [contract]"""
        monkeypatch.setattr(cluster_module, "_PATIENCE_S", 0.3)
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
            if somebody_listens:
                listening.listen()
            with pytest.raises(
                SimulationError, match=rf"cannot reach a Dask scheduler at {address} .no answer within 0.3 s.*is saved"
            ):
                list(DaskCluster(address).run(make_job(1), iter([Span(0, 0, 1, 0, 1)])))

    def test_another_version(self, executor_of_dask, monkeypatch):
        """Workers with another version are refused, as their numbers may differ. [contract]"""
        monkeypatch.setattr(simdeploy, "__version__", "999.0")
        with pytest.raises(SimulationError, match=r"worker has simdeploy .*, this process 999\.0"), waiting():
            list(executor_of_dask.run(make_job(1), iter([Span(0, 0, 1, 0, 1)])))

    def test_without_simdeploy(self, scheduler, tmp_path):
        """Workers that can't import simdeploy are named, instead of dying of their first span. [contract]"""
        (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['simdeploy'] = None\n")
        with run_dask("worker", scheduler.address, "--no-nanny", "--nthreads", "1", PYTHONPATH=str(tmp_path)):
            running = DaskCluster(scheduler.address).run(make_job(1), iter([Span(0, 0, 1, 0, 1)]))
            with pytest.raises(SimulationError, match=r"worker tcp://\S+ cannot import simdeploy .*install"), waiting():
                list(running)

    def test_a_scheduler_that_dies(self, scheduler, tmp_path):
        """A cluster without workers is waited for with a message; a dead scheduler is an error with advice. [contract]"""
        job = make_job(1, folder=str(tmp_path), held_once=((0, 0),))
        lost = pytest.raises(SimulationError, match=r"lost the Dask scheduler at tcp://\S+\. .*is saved")
        worker = run_dask("worker", scheduler.address, "--no-nanny", "--nthreads", "1")
        with worker, when_begun(job, (0, 0), scheduler.process.kill), lost, waiting():
            list(DaskCluster(scheduler.address).run(job, spans((Piece(1, 1),), job, 50)))


@contextlib.contextmanager
def waiting():
    """Allow the message about missing workers, which depends on timing."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the Dask cluster at .* has no workers yet", SimdeployWarning)
        yield


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler in a process of its own: `process` and `address`."""
    with run_scheduler(tmp_path) as running:
        yield running


class TestChoice:
    """The choice of an executor by workers or cluster."""

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"engine": "reference"}, InProcess()),
            ({"engine": "compiled"}, InProcess()),
            ({"engine": "reference", "workers": 3}, Processes(3)),
            ({"engine": "compiled", "workers": 3}, Threads(3)),
            ({"engine": "compiled", "cluster": "tcp://10.0.0.5:8786"}, DaskCluster("tcp://10.0.0.5:8786")),
            ({"engine": "reference", "executor": Threads(2)}, Threads(2)),
        ],
    )
    def test_what_suits(self, options, expected):
        """Processes are used if the engine holds the interpreter's lock, else threads; a given executor is used as it is. [contract]"""
        assert choose_executor(**options) == expected

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"workers": 0}, "workers: out of range"),
            ({"workers": True}, "workers: not a whole number"),
            ({"workers": 2, "cluster": "tcp://10.0.0.5:8786"}, "workers: can't be combined with a cluster"),
            ({"workers": 2, "executor": InProcess()}, "workers: can't be combined with an executor"),
            ({"cluster": "tcp://h:1", "executor": InProcess()}, "cluster: can't be combined with an executor"),
        ],
    )
    def test_too_much_or_nothing(self, options, message):
        """An invalid number of workers, and two executors at once, are refused. [contract]"""
        with pytest.raises(InputError, match=message):
            choose_executor(engine="compiled", **options)


def test_a_block_is_pickled_compactly():
    """A block is unpickled unchanged, with each column in a buffer beside it, equal ones only once. [contract]"""
    rows = [{"status": "ok", "makespan_s": float(n), "shed_requests": -0.0} for n in range(500)]
    block = Block.of_rows(0, [rows])
    strided = {name: np.repeat(column, 3)[::3] for name, column in block.numbers.items()}
    pieces: list[pickle.PickleBuffer] = []
    sent = pickle.dumps(replace(block, numbers=strided), protocol=5, buffer_callback=pieces.append)
    assert len(sent) < 3000
    # Besides words: makespans, negative zeros, and missing values: zeros of whole numbers, and NaN.
    assert sum(piece.raw().nbytes > 8 * 499 for piece in pieces) == 4
    received = pickle.loads(sent, buffers=pieces)  # noqa: S301
    assert list(received.numbers) == list(block.numbers)
    for name, column in block.numbers.items():
        assert received.numbers[name].dtype == column.dtype
        np.testing.assert_array_equal(received.numbers[name].view(np.int64), column.view(np.int64))


pieces = st.builds(Piece, st.integers(1, 9), st.integers(1, 30))


@given(st.lists(st.tuples(st.integers(1, 12), pieces), min_size=1, max_size=4), st.integers(1, 40))
def test_spans_tile_the_job(groups, replications):
    """Spans have each replication of each policy of each group once, in order, and no more than asked. [property]"""
    job = FakeJob(tuple(Group(None, (None,) * n_policies) for n_policies, _ in groups), 0, "reference")
    cut = tuple(piece for _, piece in groups)
    found = list(spans(cut, job, replications))
    assert found == sorted(found)
    cells = Counter(
        (span.group, policy, replication)
        for span in found
        for policy in range(span.policy, span.policy + span.n_policies)
        for replication in range(span.first, span.first + span.n_replications)
    )
    assert set(cells.values()) == {1}
    assert len(cells) == replications * sum(n_policies for n_policies, _ in groups)
    assert all(span[2] <= cut[span.group].n_policies and span[4] <= cut[span.group].n_replications for span in found)


def test_the_last_spans_are_smaller():
    """Of several spans the last two are quartered, so that no worker waits for another for long. [contract]"""
    job = FakeJob((Group(None, (None,) * 2),), 0, "reference")
    sizes = [[span.n_replications for span in spans((Piece(2, 10),), job, n)] for n in (90, 100)]
    assert sizes == [[10] * 9, [10] * 8 + [3, 3, 3, 1] * 2]


class Clock:
    """A clock that a job advances by the stated cost of its spans."""

    now = 0.0
    n_spans = 0


class CostlyJob(Job):
    """A job with a cost of `start` seconds per span, `world` per replication, and `policy` per policy and replication."""

    start = world = policy = 0.0
    first_use = 0.0

    def __post_init__(self):
        """There is no fleet that could be too large."""

    def run(self, span):
        Clock.now += (0 if Clock.n_spans else self.first_use) + self.cost(span)
        Clock.n_spans += 1

    def cost(self, span):
        return self.start + span.n_replications * (self.world + span.n_policies * self.policy)


def cut_costly(n_policies, replications, **costs):
    """Cut a job with given costs; return the piece, the costs of a span and the whole job, and the cost of cutting it."""
    job = CostlyJob((Group(None, (None,) * n_policies),), 0, "reference")
    vars(job).update(costs)
    Clock.now = Clock.n_spans = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "thread_time", lambda: Clock.now)
        found = cut_job(job, replications)
    return found[0], job.cost(next(spans(found, job, replications))), job, Clock.now


@pytest.mark.parametrize(("engine", "nodes", "n_replications"), [
    ("compiled", 1000, 30), ("compiled", 1_000_000, 1), ("reference", 1000, 1),
])  # fmt: skip
def test_a_quick_job_of_the_compiled_engine_is_one_span(engine, nodes, n_replications):
    """A small job of the compiled engine is not cut; others are, by replication. [contract]"""
    scenario = small(fleet={"nodes": nodes})
    job = Job((Group(scenario, tuple(scenario.policies.values())),), seed=0, engine=engine)
    assert cut_job(job, 30) == (Piece(len(scenario.policies), n_replications),)


@given(
    n_policies=st.integers(1, 5) | st.integers(1, 500),
    replications=st.integers(1, 20) | st.integers(1, 100_000),
    world=st.floats(0, 0.5),
    policy=st.floats(1e-6, 0.5),
    start=st.floats(0, 0.2),
    first_use=st.sampled_from([0.0, 0.5, 40.0]),
)
@settings(max_examples=300)
def test_a_span_takes_about_a_second(n_policies, replications, world, policy, start, first_use):
    """For any cost of a replication, a span takes about a second if possible, and cutting costs little. [property]"""
    costs = {"world": world, "policy": policy, "start": start, "first_use": first_use}
    piece, of_span, job, of_cutting = cut_costly(n_policies, replications, **costs)
    n_cells, n_rows = n_policies * replications, piece.n_policies * piece.n_replications
    if n_cells < 64:
        assert (piece, of_cutting) == ((n_policies, 1), 0)
        return
    # Two measurements are needed; further ones are bounded by a span's time, or by the work.
    one_by_one = replications * job.cost(Span(0, 0, n_policies, 0, 1))
    assert of_cutting - first_use <= 2 * job.cost(Span(0, 0, 2, 0, 2)) + max(0.25, one_by_one / 32)
    assert n_rows <= 200_000
    if of_span > 2 + start:
        assert piece.n_replications == 1
        assert piece.n_policies == 1 or start + world > policy / 4, "policies that share nothing can be split"
    n_spans = math.ceil(n_policies / piece.n_policies) * math.ceil(replications / piece.n_replications)
    if start < of_span / 8 and n_rows < 100_000:
        assert n_rows == n_cells or of_span > 0.02, "not worth the while"
        assert n_spans > 4 or replications < 16 or of_span < 0.15, "too few for several workers"
        assert n_spans < 50 or of_span > 0.3, "too many"


def test_policies_stay_together_where_they_share():
    """If a further policy costs almost nothing, all 400 are in one span, however long it takes. [contract]"""
    piece, of_span, *_ = cut_costly(400, 1000, world=2.0, policy=0.001)
    assert piece == (400, 1)
    assert of_span == pytest.approx(2.4)


def test_policies_are_split_no_further_than_costs_little():
    """If policies share work, a span has enough of them that splitting costs at most a sixth more. [contract]"""
    piece, of_span, job, _ = cut_costly(400, 10, world=0.5, policy=0.009)
    assert piece.n_policies < 400
    assert 400 / piece.n_policies * of_span <= 7 / 6 * job.cost(Span(0, 0, 400, 0, 1))


def test_policies_are_split_where_they_share_nothing():
    """If a replication of 400 independent policies takes 20 s, a span has about 20 of them. [contract]"""
    piece, *_ = cut_costly(400, 1000, policy=0.05)
    assert piece.n_replications == 1
    assert 20 <= piece.n_policies <= 22


def test_fixed_costs_of_a_span_are_paid_seldom():
    """A high cost of preparing policies does not lead to short spans, each of which would pay it. [contract]"""
    piece, of_span, *_ = cut_costly(400, 10_000, start=0.2, world=0.002, policy=0.00001)
    assert piece.n_policies == 400
    assert of_span > 3 * 0.2


def test_rows_of_a_span_are_bounded():
    """However cheap replications are, a span has at most 200,000 rows, so that memory stays flat. [contract]"""
    piece, *_ = cut_costly(7, 10**6, policy=1e-9, world=1e-9)
    assert 190_000 < piece.n_policies * piece.n_replications <= 200_000
    piece, *_ = cut_costly(300_000, 2, policy=1e-9, world=1e-9)
    assert piece == (150_000, 1)


def test_groups_beyond_the_first_are_judged_by_their_nodes(make_scenario):
    """Only eight groups are measured; others are cut by the measured cost per node and policy. [contract]"""
    seen = set()

    class ByNodes(FakeJob):
        def run(self, span):
            Clock.now += 1e-4 * self.groups[span.group].scenario.fleet.nodes * span.n_policies * span.n_replications
            seen.add(span.group)

    small, large = Group(make_scenario(), (None,)), Group(make_scenario(fleet={"nodes": 100}), (None,))
    job = ByNodes((small,) * 10 + (small, large) * 3, 0, "reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "thread_time", lambda: Clock.now)
        cut = cut_job(job, 10_000)
    assert len(seen) == 8
    for group, piece in zip(job.groups, cut, strict=True):
        assert piece.n_replications == pytest.approx(1000 if group == small else 100, rel=0.1)


def block_to_table(block, keys):
    outcomes = Outcomes(*block.index.shape, first=block.first)
    outcomes.put(0, block)
    return outcomes.to_table(keys)


def table_of(block):
    return block_to_table(block, keys={"case": np.arange(len(block.index))})


@given(st.data())
def test_parts_of_a_span_join_to_its_block(data):
    """Blocks of a span's halves, recursively, join to a block with the same rows. [property]"""
    job = make_job(5)
    span = Span(0, data.draw(st.integers(0, 2)), data.draw(st.integers(1, 3)), 3, data.draw(st.integers(1, 6)))
    parts, whole = [span], job.run(span)
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(0, len(parts) - 1))
        if parts[place].n_policies * parts[place].n_replications > 1:
            parts[place : place + 1] = halve(parts[place])
    lost = data.draw(st.sampled_from(parts))
    blocks = [(part, job.run(part)) for part in data.draw(st.permutations(parts))]
    assert table_of(job.join(span, blocks)).equals(table_of(whole))
    blocks = [(part, job.failed(part, "worker", "it died") if part == lost else block) for part, block in blocks]
    joined = table_of(job.join(span, blocks)).to_pandas()
    assert joined["status"].eq("failed").sum() == lost.n_policies * lost.n_replications
    assert joined["status"].eq("failed").equals(joined["stage"].eq("worker"))
    assert joined["error"].dropna().unique().tolist() == ["it died"]


class TestTable:
    """Blocks as tables."""

    ROWS = (
        {"status": "ok", "state": "completed", "release": "", "makespan_s": 60.0, "waves": 3, "restored_at_s": np.nan},
        {"status": "failed", "stage": "simulate", "error": "KeyError: 'x'"},
    )

    def test_columns_and_types(self):
        """Keys come first, then the replication, responses, status, stage and error, for any values. [contract]"""
        keys = {"policy": ["p"], "max_failed_nodes": np.array([2], dtype=np.int32)}
        table = block_to_table(Block.of_rows(5, [self.ROWS]), keys=keys)
        assert table.column_names == [
            "policy", "max_failed_nodes", "replication", *RESPONSES, "status", "stage", "error"
        ]  # fmt: skip
        kinds = {"str": pa.large_string(), "Int64": pa.int64(), "int64": pa.int64(), "float64": pa.float64()}
        for name in table.column_names:
            expected = pa.int32() if name == "max_failed_nodes" else kinds[DTYPES[name]]
            assert table.schema.field(name).type == expected, name
        outcomes = Outcomes(1, 2, first=5)
        outcomes.put(0, Block.of_rows(5, [self.ROWS]))
        frame = outcomes.to_frame(keys)
        assert frame.columns.tolist() == table.column_names
        for name in set(frame) & set(DTYPES):
            assert str(frame.dtypes[name]) == DTYPES[name]

    def test_missing_is_missing(self):
        """Unknown values, and all responses of a failed replication, are missing rather than NaN. [contract]"""
        ok, failed = block_to_table(Block.of_rows(5, [self.ROWS]), keys={}).to_pylist()
        assert (ok["replication"], ok["waves"], ok["makespan_s"], ok["release"]) == (5, 3, 60.0, "")
        assert ok["restored_at_s"] is ok["verdict"] is ok["stage"] is ok["error"] is None
        assert {failed[name] for name in RESPONSES} == {None}
        assert (failed["status"], failed["stage"], failed["error"]) == ("failed", "simulate", "KeyError: 'x'")

    def test_outcomes_kept_once(self):
        """A block that stores equal outcomes once still has a row for each policy and replication. [contract]"""
        block = Block.of_rows(0, [self.ROWS])
        shared = Block(0, np.array([[0, 1], [1, 1], [0, 0]], dtype=np.int32), block.codes, block.words, block.numbers)
        table = block_to_table(shared, keys={"policy": ["a", "b", "c"]})
        assert table["policy"].to_pylist() == ["a", "a", "b", "b", "c", "c"]
        assert table["replication"].to_pylist() == [0, 1] * 3
        assert table["waves"].to_pylist() == [3, None, None, None, 3, 3]
        assert table["error"].is_valid().to_pylist() == [False, True, True, True, False, False]

    @given(st.randoms())
    def test_order_does_not_matter(self, random):
        """Blocks may come in any order. [property]"""
        job = make_job(4)
        cut = list(spans((Piece(3, 2),), job, 5))
        random.shuffle(cut)
        table = tabulate(job, InProcess().run(job, iter(cut)), 5)
        assert rows_of_fake(table) == expected_of_fake(4, 5)


def test_documented_dask_commands_and_numbers(repository):
    """The commands of docs/clusters.md exist in Dask, and its numbers are those of the code. [contract]"""
    import dask
    from distributed.cli import dask_scheduler, dask_worker

    text = (repository / "docs" / "clusters.md").read_text(encoding="utf-8")
    for name, command in (("scheduler", dask_scheduler.main), ("worker", dask_worker.main)):
        lines = re.findall(rf"dask {name} .*", text)
        shown = {option for line in lines for option in re.findall(r"--[a-z-]+", line)}
        assert shown
        assert shown <= {option for parameter in command.params for option in parameter.opts}
    assert f"{cutting._MOST_ROWS:,} rows" in text
    assert f"`allowed-failures`, {dask.config.get('distributed.scheduler.allowed-failures')})" in text


def test_each_thread_catches_its_own_warnings():
    """If blocks of two threads overlap, each catches what its thread warns of, and no filter of warnings stays changed. [contract]"""
    filters, first_began, second_began, first_ended = list(warnings.filters), *(threading.Event() for _ in range(3))
    heard = {}

    def hear(name, begun, waits_for):
        with catch_warned() as heard[name]:
            begun.set()
            assert waits_for.wait(60)
            warn_user(name)

    def hear_first():
        hear("first", first_began, second_began)
        first_ended.set()

    thread = threading.Thread(target=hear_first)
    thread.start()
    assert first_began.wait(60)
    hear("second", second_began, first_ended)
    thread.join()
    assert {name: [problem.message for problem in problems] for name, problems in heard.items()} == {
        "first": ["first"], "second": ["second"],
    }  # fmt: skip
    assert list(warnings.filters) == filters
