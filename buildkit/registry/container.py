"""The local registry as a container, and whether the daemon could reach a host process."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from buildkit.errors import EnvironmentMissingError, RegistryError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

LABEL = "org.meshwright.registry"
"""Marks our containers; its value is where the registry answers."""

IMAGE = "meshwright.local/tools/registry"
"""The name of the image that holds a registry binary which we built."""

_CONFIG = "/registry-config.yml"
_DATA = "/var/lib/registry"
_PORT = 5000
_PREFERRED = ("3", "2", "latest")
_LOCAL_URLS = (
    "http+docker://localhost",
    "http+docker://localnpipe",
    "http://localhost",
    "http://127.",
    "https://localhost",
    "https://127.",
)
"""docker-py's spelling of a socket, a named pipe and a port on this machine."""
_VIRTUAL_SYSTEMS = ("docker desktop", "orbstack", "rancher desktop", "boot2docker", "alpine")
_VIRTUAL_NAMES = ("docker-desktop", "colima", "lima", "rancher", "orbstack", "podman-machine")


class Nearness(StrEnum):
    """How the daemon's network relates to ours."""

    SHARED = "shared"
    """The daemon's localhost is ours: a host process serves both."""
    PUBLISHED = "published"
    """A virtual machine or a namespace: a container's published port serves both."""
    REMOTE = "remote"
    """Another machine: no loopback address serves both."""


def nearness(
    info: Mapping[str, Any], base_url: str, *, host_system: str, host_name: str
) -> Nearness:
    """Tell from ``docker info`` how near a daemon is.

    Args:
        info: the daemon's answer.
        base_url: the address the client uses, as docker-py shows it.
        host_system: ``sys.platform`` of this machine.
        host_name: the name of this machine.
    """
    if not base_url.startswith(_LOCAL_URLS):
        return Nearness.REMOTE
    name = str(info.get("Name", "")).lower()
    system = str(info.get("OperatingSystem", "")).lower()
    rootless = any("rootless" in str(item) for item in info.get("SecurityOptions") or ())
    virtual = (
        not host_system.startswith("linux")
        or rootless
        or any(word in system for word in _VIRTUAL_SYSTEMS)
        or any(name.startswith(word) for word in _VIRTUAL_NAMES)
        or name != host_name.lower()
    )
    return Nearness.PUBLISHED if virtual else Nearness.SHARED


class Containers(Struct, frozen=True, kw_only=True):
    """Runs and ends registry containers at one daemon."""

    client: DockerClient
    nearness: Nearness
    architecture: str
    """In Go's spelling."""

    def registry_image(self) -> str:
        """Return a ``registry`` image that the daemon has, or an empty string; pulls nothing."""
        with _daemon_errors():
            images = self.client.images.list(name="registry")
        names = {tag for image in images for tag in image.tags}
        tags = sorted(name.partition(":")[2] for name in names if name.startswith("registry:"))
        best = next((tag for tag in _PREFERRED if tag in tags), tags[-1] if tags else "")
        return f"registry:{best}" if best else ""

    def built_image(self, version: str) -> str:
        """Return the image of a binary that was imported before, or an empty string."""
        name = f"{IMAGE}:{version}"
        with _daemon_errors():
            return name if self.client.images.list(name=name) else ""

    def import_binary(self, binary: Path, version: str) -> str:
        """Make an image that holds nothing but a static binary, and return its name.

        An import needs no builder, so it works the same with every daemon.
        """
        name = f"{IMAGE}:{version}"
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(binary, "bin/registry", filter=_as_root)
        with _daemon_errors():
            self.client.api.import_image_from_data(
                buffer.getvalue(), IMAGE, version, changes=["ENV PATH=/bin"]
            )
        return name

    def run(self, image: str, registry: str, config: str, data: Path) -> str:
        """Start a registry and return its container's id.

        Args:
            image: has a program ``registry`` on its PATH.
            registry: where it is to answer, ``localhost:5000``.
            config: its configuration, see :func:`container_config`.
            data: where its data lies if the daemon sees this file system;
                else a volume named after the port is used.
        """
        port = int(registry.rpartition(":")[2])
        name = f"meshwright-registry-{port}"
        shared = self.nearness is Nearness.SHARED
        with _daemon_errors():
            self._remove_stale(name)
            container = self.client.containers.create(
                image,
                entrypoint=["registry", "serve", _CONFIG],
                name=name,
                labels={LABEL: registry},
                environment={"OTEL_TRACES_EXPORTER": "none"},
                ports={f"{_PORT}/tcp": ("127.0.0.1", port)},
                volumes={str(data) if shared else name: {"bind": _DATA, "mode": "rw"}},
                # What it writes into a directory of the user must belong to the user.
                user=f"{os.getuid()}:{os.getgid()}" if shared else None,
            )
            container.put_archive("/", _tar(_CONFIG.lstrip("/"), config.encode()))
            container.start()
        return str(container.id)

    def is_running(self, container_id: str) -> bool:
        """Tell whether a container is there and runs."""
        with _daemon_errors():
            container = self._find(container_id)
        return container is not None and container.status == "running"

    def log(self, container_id: str) -> str:
        """Return the last lines that a container wrote."""
        with _daemon_errors():
            container = self._find(container_id)
            return container.logs(tail=20).decode(errors="replace") if container else ""

    def end(self, container_id: str) -> bool:
        """Remove a container if it is ours; its data stays. Tell whether it was there."""
        with _daemon_errors():
            container = self._find(container_id)
            if container is None or LABEL not in container.labels:
                return False
            container.stop(timeout=5)
            container.remove(force=True)
        return True

    def _remove_stale(self, name: str) -> None:
        container = self._find(name)
        if container is None:
            return
        if LABEL not in container.labels:
            raise RegistryError(
                f"a container named {name} exists and is not ours",
                resolution=f"Remove it with `docker rm {name}`, or name another hub.",
            )
        container.remove(force=True)

    def _find(self, name: str) -> Container | None:
        import docker.errors

        try:
            return self.client.containers.get(name)
        except docker.errors.NotFound:
            return None


@contextmanager
def _daemon_errors() -> Iterator[None]:
    import docker.errors
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise EnvironmentMissingError(
            "Docker cannot run a local registry",
            details=str(error),
            resolution="Repair or stop the Docker daemon, or name a running registry with --hub.",
        ) from error


def container_paths() -> tuple[str, str]:
    """Return the listen address and data directory inside the container."""
    return f":{_PORT}", _DATA


def _tar(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), 0o644
        archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755
    return entry
