"""Spans on a Dask cluster, from a laptop to SLURM and Kubernetes."""

from __future__ import annotations

import contextlib
import logging
import pickle
import re
import zlib
from collections.abc import Generator, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from itertools import islice
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError, Problem, SimulationError, shorten, warn_user
from simdeploy.experiments.jobs import Outcome, Runnable, Span

if TYPE_CHECKING:
    from distributed import Client, Future, Security

_ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?[^/\s]+:\d+")
_PATIENCE_S = 10.0
_LOOK_AGAIN_S = 1.0  # interval between looks at the size of the cluster
_DIED = "Dask workers died repeatedly on this piece of {} replications (killed or out of memory)"
_OTHER = "a Dask worker has simdeploy {there}, this process {here}; install the same version"
_CERTIFICATES = (
    "use --tls-ca-file, --tls-cert and --tls-key, DaskCluster(address, security=distributed.Security(...)) in Python, "
    "or distributed.comm.tls in Dask's configuration"
)
_KEPT = "If the call has a store, finished work is saved there; repeat the same call to resume."


@dataclass(frozen=True)
class DaskCluster:
    """Runs spans on the workers of a Dask cluster (`distributed`), whose number may change.

    Attributes
    ----------
    address : str
        Scheduler, such as ``tcp://10.0.0.5:8786``, or ``tls://10.0.0.5:8786`` for encryption.
    security : distributed.Security, optional
        Certificates for a ``tls://`` address; default: Dask's configuration (``distributed.comm.tls``).

    Raises
    ------
    InputError
        If the address is invalid, Dask is not installed, or certificates are missing, unusable or not used by the address.

    Notes
    -----
    Data is pickled: anyone who reaches the scheduler's port can run code on the workers and here, unless certificates
    prevent it; see "Who can reach the port" in the documentation.

    Dask reruns the work of a worker that dies. A span on which workers die repeatedly, and once more when run alone,
    becomes failed rows with stage "worker".

    Examples
    --------
    >>> DaskCluster("tcp://127.0.0.1:8786")
    DaskCluster(address='tcp://127.0.0.1:8786')
    """

    address: str
    security: Security | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.address, str) or not _ADDRESS.fullmatch(self.address):
            allowed = "a Dask scheduler such as tcp://10.0.0.5:8786"
            raise InputError(Problem("invalid address", ("cluster",), found=shorten(self.address), allowed=allowed))
        try:
            import distributed  # noqa: F401
        except ImportError:
            hint = "pip install 'simdeploy[cluster]'"
            raise InputError(Problem("Dask is not installed", ("cluster",), hint=hint)) from None
        if not self.address.startswith("tls://"):
            if self.security is not None:
                message = "certificates need a tls:// address"
                raise InputError(Problem(message, ("cluster",), found=shorten(self.address)))
            if self._security().require_encryption and self.address.startswith("tcp://"):
                message = "Dask's configuration requires encryption"
                raise InputError(Problem(message, ("cluster",), found=shorten(self.address), allowed="tls://HOST:PORT"))
            return
        settings = self._security().get_tls_config_for_role("client")
        if not settings["ca_file"] or not settings["cert"]:
            message = "tls:// needs a CA certificate and a client certificate with its key"
            raise InputError(Problem(message, ("cluster",), found=shorten(self.address), hint=_CERTIFICATES))
        try:
            self._security().get_connection_args("client")
        except OSError as error:  # reading a file, or in OpenSSL
            given = [settings[name] for name in ("ca_file", "cert", "key") if settings[name]]
            # Dask also takes the text of a certificate or key, which must not be shown.
            names = ", ".join("PEM text" if "\n" in text else shorten(text, 400) for text in given)
            message = f"unusable certificates: {error.strerror or error}"
            raise InputError(Problem(message, ("cluster",), found=names, allowed="readable PEM files")) from None

    def _security(self) -> Security:
        from distributed import Security

        return Security() if self.security is None else self.security

    def run(self, job: Runnable[Outcome], spans: Iterator[Span]) -> Generator[tuple[Span, Outcome], None, None]:
        """Yield each span with its block as they finish, with at most two spans in flight per thread of the cluster.

        Closing it, or Ctrl-C, cancels spans that no worker has begun.

        Raises
        ------
        SimulationError
            If the scheduler can't be reached or is lost, or workers have another version of simdeploy.

        Warns
        -----
        SimdeployWarning
            If it has to wait for the cluster's first worker.
        """
        from distributed import as_completed

        with self._connected() as client:
            self._wait_for_workers(client)
            sent = _send(client, job)
            under_way: dict[Future[Outcome], Span] = {}
            finished = as_completed(loop=client.loop)
            suspects = []
            for limit in self._limits(client):
                for span in islice(spans, max(0, limit - len(under_way))):
                    future = client.submit(_run_span, sent, span, _version(), pure=False)
                    under_way[future] = span
                    finished.add(future)
                if not under_way:
                    break
                span = under_way.pop(future := next(finished))
                block = self._collect(future)
                if block is None:
                    suspects.append(span)
                else:
                    yield span, block
            for span in suspects:  # some only ran beside the span that killed the worker
                block = self._collect(client.submit(_run_span, sent, span, _version(), pure=False))
                n_rows = span.n_policies * span.n_replications
                yield span, block or job.failed(span, "worker", _DIED.format(n_rows))

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Client]:
        import asyncio

        from distributed import Client
        from distributed.comm.core import CommClosedError

        try:
            # In another thread, because a notebook already runs an event loop here.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(asyncio.run, _check_scheduler(self.address, self._security())).result()
            client = Client(self.address, timeout=_PATIENCE_S, set_as_default=False, security=self._security())
        except OSError as error:
            reason = " ".join(str(error).split()) or f"no answer within {_PATIENCE_S:g} s"
            raise SimulationError(
                f"cannot reach a Dask scheduler at {self.address} ({reason}); is it running? {_KEPT}"
            ) from error
        with _silence_dask():
            try:
                yield client
            except (CommClosedError, CancelledError) as error:
                raise self._lost() from error
            finally:
                with contextlib.suppress(TimeoutError):
                    client.close(timeout=_PATIENCE_S)

    def _wait_for_workers(self, client: Client) -> None:
        """Wait for the first worker, and check that the present ones can do the work."""
        if not self._count_threads(client):
            warn_user(f"the Dask cluster at {self.address} has no workers yet; waiting for the first")
            while not self._count_threads(client):
                sleep(_LOOK_AGAIN_S)
        with self._report_lost_scheduler():
            # eval, because a function of simdeploy can't be unpickled where it is missing and would end the worker.
            versions = client.run(eval, "__import__('simdeploy').__version__", on_error="return")
        for worker, version in sorted(versions.items()):
            if isinstance(version, ImportError):
                raise SimulationError(
                    f"the Dask worker {worker} cannot import simdeploy ({version}); install {_version()} there"
                )
            if isinstance(version, str) and version != _version():
                raise SimulationError(_OTHER.format(there=version, here=_version()))

    def _limits(self, client: Client) -> Iterator[int]:
        """Yield how many spans may be in flight now; workers come and go."""
        looked_at = -_LOOK_AGAIN_S
        while True:
            if monotonic() - looked_at >= _LOOK_AGAIN_S:
                limit, looked_at = 2 * max(1, self._count_threads(client)), monotonic()
            yield limit

    def _count_threads(self, client: Client) -> int:
        with self._report_lost_scheduler():
            return sum(client.nthreads().values())

    @contextlib.contextmanager
    def _report_lost_scheduler(self) -> Iterator[None]:
        """Report the scheduler as lost if it does not answer."""
        try:
            yield
        except OSError as error:
            raise self._lost() from error

    @staticmethod
    def _collect(future: Future[Outcome]) -> Outcome | None:
        """Wait for the block of a span; None if the span keeps killing workers."""
        from distributed import KilledWorker

        try:
            return future.result()
        except KilledWorker:
            return None

    def _lost(self) -> SimulationError:
        return SimulationError(f"lost the Dask scheduler at {self.address}. {_KEPT}")


async def _check_scheduler(address: str, security: Security) -> None:
    """Check that a Dask scheduler answers; the client would wait forever for another service."""
    import asyncio

    from distributed.comm.core import connect

    async with asyncio.timeout(_PATIENCE_S):
        comm = await connect(address, timeout=_PATIENCE_S, **security.get_connection_args("client"))
    await comm.close()


@contextlib.contextmanager
def _silence_dask() -> Iterator[None]:
    """Keep Dask from writing tracebacks when a scheduler goes, which has its own message."""
    logs = [logging.getLogger(name) for name in ("distributed.client", "distributed.batched")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def _version() -> str:
    version: str = import_module("simdeploy").__version__  # the top-level package, which no module imports by name
    return version


def _send(client: Client, job: Runnable[Outcome]) -> Future[Runnable[Outcome]]:
    """Send the job once, as the result of a task: unlike data, Dask can recreate it when its holder dies."""
    return client.submit(_load_job, zlib.compress(pickle.dumps(job), 1), pure=False)


def _load_job(sent: bytes) -> Runnable[Any]:
    job: Runnable[Any] = pickle.loads(zlib.decompress(sent))  # noqa: S301 - from the client that sends all work
    return job


def _run_span(job: Runnable[Outcome], span: Span, version: str) -> Outcome:
    if version != _version():  # a worker that joined later
        raise SimulationError(_OTHER.format(there=_version(), here=version))
    return job.run(span)
