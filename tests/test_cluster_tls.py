"""A cluster with encrypted connections: certificates from options, from Python, from Dask's configuration."""

import shutil
import subprocess
from types import SimpleNamespace

import dask
import pytest
from clusters import run_dask, run_scheduler
from distributed import Security
from invoking import invoke

from simdeploy.errors import InputError, SimulationError
from simdeploy.experiments import replicate
from simdeploy.experiments.executors import DaskCluster, cluster as cluster_module

SWEEP = ["--vary", "max_parallel=1,2", "--replications", "3", "--engine", "reference"]


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_certificates(folder):
    """Make an authority, and a certificate and key that it signs."""
    folder.mkdir()
    names = {name: str(folder / f"{name}.pem") for name in ("ca", "ca-key", "cert", "key", "request")}
    new = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new, "-keyout", names["ca-key"], "-out", names["ca"], "-subj", "/CN=authority")
    openssl("req", *new, "-keyout", names["key"], "-out", names["request"], "-subj", "/CN=localhost")
    authority = ("-CA", names["ca"], "-CAkey", names["ca-key"], "-CAcreateserial")
    openssl("x509", "-req", "-in", names["request"], *authority, "-out", names["cert"])
    return SimpleNamespace(
        ca=names["ca"],
        cert=names["cert"],
        key=names["key"],
        options=["--tls-ca-file", names["ca"], "--tls-cert", names["cert"], "--tls-key", names["key"]],
        security=Security(tls_ca_file=names["ca"], tls_client_cert=names["cert"], tls_client_key=names["key"]),
        configuration={
            "distributed.comm.tls.ca-file": names["ca"],
            "distributed.comm.tls.client.cert": names["cert"],
            "distributed.comm.tls.client.key": names["key"],
        },
    )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates with")
    return make_certificates(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def address(certificates, tmp_path_factory):
    """The address of a scheduler with one worker, both of which require certificates."""
    encrypted = ("--protocol", "tls", *certificates.options)
    with (
        run_scheduler(tmp_path_factory.mktemp("scheduler"), *encrypted) as scheduler,
        run_dask("worker", scheduler.address, "--no-nanny", "--nthreads", "1", *certificates.options),
    ):
        yield scheduler.address


@pytest.fixture
def scenario_file(repository):
    return str(repository / "scenarios" / "small-fleet.yaml")


@pytest.mark.filterwarnings("ignore:the Dask cluster at .* has no workers yet")
class TestOfTLS:
    """Work on a cluster that requires certificates."""

    def test_python(self, address, certificates, make_scenario):
        """With a `Security` the rows are the same as in this process. [contract]"""
        assert address.startswith("tls://")
        here = replicate(make_scenario(), replications=3, engine="reference")
        there = replicate(
            make_scenario(),
            replications=3,
            engine="reference",
            executor=DaskCluster(address, security=certificates.security),
        )
        assert there.equals(here)

    def test_configuration(self, address, certificates, make_scenario):
        """The address suffices if Dask's own configuration has certificates. [contract]"""
        with dask.config.set(certificates.configuration):
            there = replicate(make_scenario(), replications=3, engine="reference", cluster=address)
        assert there["status"].eq("ok").all()

    def test_command(self, address, certificates, scenario_file):
        """With Dask's three options the command prints the same as without a cluster, and leaves no settings behind. [contract]"""
        before = dask.config.get("distributed.comm.tls")
        there = invoke("sweep", scenario_file, *SWEEP, "--cluster", address, *certificates.options)
        here = invoke("sweep", scenario_file, *SWEEP)
        assert (there.exit_code, there.stdout) == (0, here.stdout), there.stderr
        assert dask.config.get("distributed.comm.tls") == before

    def test_strangers(self, address, tmp_path, monkeypatch):
        """Certificates of another authority give an error. [contract]"""
        monkeypatch.setattr(cluster_module, "_PATIENCE_S", 2)
        others = make_certificates(tmp_path / "others")
        with pytest.raises(SimulationError, match=rf"cannot reach a Dask scheduler at {address}"):
            list(DaskCluster(address, security=others.security).run(None, iter([])))

    def test_plain_text(self, address, monkeypatch):
        """An unencrypted connection gives an error. [contract]"""
        monkeypatch.setattr(cluster_module, "_PATIENCE_S", 2)
        plain = address.replace("tls://", "tcp://")
        with pytest.raises(SimulationError, match=rf"cannot reach a Dask scheduler at {plain}"):
            list(DaskCluster(plain).run(None, iter([])))


class TestMessages:
    """Messages about missing or invalid certificates."""

    def test_none(self, scenario_file):
        """An encrypted address without certificates is an error that says which are needed and how to give them. [contract]"""
        result = invoke("sweep", scenario_file, *SWEEP, "--cluster", "tls://127.0.0.1:8786")
        assert result.exit_code == 2
        last = result.stderr.splitlines()[-1]
        assert last.startswith("error: cluster: tls:// needs a CA certificate")
        assert "--tls-ca-file, --tls-cert and --tls-key" in last

    @pytest.mark.parametrize("command", ["sweep", "sensitivity", "discover"])
    @pytest.mark.parametrize("cluster", [["--cluster", "tcp://127.0.0.1:8786"], []])
    def test_not_encrypted(self, command, cluster, certificates, scenario_file):
        """Certificates for an address that doesn't encrypt, or for none, are refused. [contract]"""
        options = ["--of", "makespan_s"] if command == "sensitivity" else []
        result = invoke(
            command, scenario_file, "--vary", "start_failure=0:0.1", *options, *cluster, *certificates.options
        )
        assert result.exit_code == 2
        assert "need --cluster tls://..." in result.stderr
        with pytest.raises(InputError, match="certificates need a tls:// address"):
            DaskCluster("tcp://127.0.0.1:8786", security=certificates.security)

    def test_missing_file(self, certificates, scenario_file, tmp_path):
        """A missing file is named, and no connection is made. [contract]"""
        options = [*certificates.options[:-1], str(tmp_path / "none.pem")]
        result = invoke("sweep", scenario_file, *SWEEP, "--cluster", "tls://127.0.0.1:1", *options)
        assert result.exit_code == 2
        assert "--tls-key" in result.stderr
        assert "none.pem' does not exist" in result.stderr
        with pytest.raises(InputError, match=r"unusable certificates: No such file .*none\.pem"):
            DaskCluster("tls://127.0.0.1:1", security=Security(tls_ca_file="none.pem", tls_client_cert="none.pem"))

    @pytest.mark.parametrize("place", range(3))
    def test_no_certificate(self, certificates, scenario_file, tmp_path, place):
        """A file without a certificate, or with another certificate's key, is an error that names it. [contract]"""
        options = list(certificates.options)
        (tmp_path / "text.pem").write_text("hello\n")
        options[2 * place + 1] = str(tmp_path / "text.pem")
        result = invoke("sweep", scenario_file, *SWEEP, "--cluster", "tls://127.0.0.1:1", *options)
        assert result.exit_code == 2
        last = result.stderr.splitlines()[-1]
        assert last.startswith("error: cluster: unusable certificates: ")
        assert "text.pem" in last

    def test_encryption_required(self):
        """If Dask is configured to encrypt, an unencrypted address is refused. [contract]"""
        with (
            dask.config.set({"distributed.comm.require-encryption": True}),
            pytest.raises(InputError, match="Dask's configuration requires encryption"),
        ):
            DaskCluster("tcp://127.0.0.1:8786")
