"""A private Docker daemon, unpacked from Debian's packages, run in namespaces that end with it, and called without a client."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

PACKAGES = ("docker.io", "containerd", "runc", "tini", "busybox-static")
IMAGE = "box:1"
_ADDRESS = "10.77.0.1"
_START_S = 60


class DockerError(Exception):
    """Docker can't be run here, or refused a call."""


class Docker:
    """The calls of Docker's API that recording an update needs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def call(self, method: str, path: str, body: Any = None) -> Any:
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("docker", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        with contextlib.closing(connection):
            connection.sock.settimeout(60)
            connection.sock.connect(str(self._path))
            connection.request(method, path, raw, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode()
        if response.status >= 400:
            raise DockerError(f"{method} {path}: {response.status} {text.strip()}")
        return json.loads(text) if text.startswith(("{", "[", '"')) else None

    def find(self, kind: str, **filters: str) -> list[Any]:
        query = quote(json.dumps({key: [value] for key, value in filters.items()}))
        found: list[Any] = self.call("GET", f"/{kind}?filters={query}")
        return found


@contextlib.contextmanager
def swarm() -> Iterator[tuple[Docker, dict[str, str]]]:
    """Run a daemon as a swarm of one node with a busybox image; yield it with the versions of the packages."""
    if os.geteuid() != 0:
        raise DockerError("needs root: containers are made")
    with tempfile.TemporaryDirectory(prefix="docker-") as folder:
        place = Path(folder)
        versions = _unpack(place)
        with _daemon(place) as docker:
            docker.call("POST", "/swarm/init", {"ListenAddr": f"{_ADDRESS}:2377", "AdvertiseAddr": _ADDRESS})
            name, _, tag = IMAGE.partition(":")
            docker.call(
                "POST", f"/images/create?fromSrc=-&repo={name}&tag={tag}", _image(place / "root/usr/bin/busybox")
            )
            yield docker, versions


def _unpack(place: Path) -> dict[str, str]:
    """Unpack the packages, and return their versions."""
    (place / "packages").mkdir()
    _run(["apt-get", "download", *PACKAGES], place / "packages")
    versions = {}
    for package in sorted((place / "packages").glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(place / "root")], place)
        name, version = _run(["dpkg-deb", "-f", str(package), "Package", "Version"], place).split("\n")[:2]
        versions[name.removeprefix("Package: ")] = version.removeprefix("Version: ")
    return versions


def _run(command: list[str], folder: Path) -> str:
    try:
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise DockerError(f"{' '.join(command[:2])}: {getattr(error, 'stderr', '') or error}") from error


@contextlib.contextmanager
def _daemon(place: Path) -> Iterator[Docker]:
    """Run the daemon; everything it started, and its mounts, end with its namespaces."""
    path, socket_path = f"{place}/root/usr/bin:{place}/root/usr/sbin:{os.environ['PATH']}", place / "docker.sock"
    options = f"--bridge=none --iptables=false --ip6tables=false --storage-driver vfs --data-root {place}/data --exec-root {place}/exec"
    network = f"ip link set lo up && ip addr add {_ADDRESS}/32 dev lo"
    script = f"{network} && exec dockerd {options} -H unix://{socket_path} -p {place}/docker.pid"
    namespaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            [*namespaces, "sh", "-c", script], env={**os.environ, "PATH": path}, stdout=log, stderr=log
        )
    try:
        docker = Docker(socket_path)
        _await(docker, process, place / "log")
        yield docker
    finally:
        process.kill()
        process.wait()
        for _ in range(50):  # until the kernel has released the last mount
            with contextlib.suppress(OSError):
                shutil.rmtree(place / "data", ignore_errors=False)
                break
            time.sleep(0.1)


def _await(docker: Docker, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            docker.call("GET", "/version")
        except (OSError, http.client.HTTPException):
            time.sleep(0.2)
        else:
            return
    raise DockerError("the daemon did not start: " + "\n".join(log.read_text().splitlines()[-5:]))


def _image(busybox: Path) -> bytes:
    """Return a file system with a shell and `sleep`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(busybox, "bin/busybox")
        for name in ("sh", "sleep"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return buffer.getvalue()
