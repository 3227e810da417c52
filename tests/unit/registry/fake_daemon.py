"""As much of a Docker daemon, as the SDK shows it, as a registry container needs."""

from __future__ import annotations

import io
import tarfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import docker.errors

from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from docker import DockerClient


class FakeContainer:
    """A container that serves a fake registry at its published port while it runs."""

    def __init__(self, daemon: FakeDaemon, identity: str, image: str, **settings: Any) -> None:
        self.daemon = daemon
        self.id = identity
        self.image = image
        self.settings = settings
        self.name = settings["name"]
        self.labels = settings.get("labels", {})
        self.status = "created"
        self.files: dict[str, str] = {}
        self.server: FakeRegistry | None = None

    def put_archive(self, path: str, data: bytes) -> None:
        assert path == "/"
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for entry in archive:
                content = archive.extractfile(entry)
                assert content
                self.files[entry.name] = content.read().decode()

    def start(self) -> None:
        if self.daemon.fails:
            raise docker.errors.APIError(self.daemon.fails)
        if self.daemon.dies:
            self.status = "exited"
            return
        ((address, port),) = self.settings["ports"].values()
        assert address == "127.0.0.1"
        self.server = FakeRegistry(port=port).__enter__()
        self.status = "running"

    def stop(self, timeout: int = 0) -> None:
        del timeout
        if self.server:
            self.server.__exit__(None, None, None)
        self.server, self.status = None, "exited"

    def remove(self, *, force: bool) -> None:
        assert force
        self.stop()
        del self.daemon.containers[self.id]

    def logs(self, tail: int) -> bytes:
        assert tail
        return self.daemon.dies.encode()


class FakeDaemon:
    """The daemon; ``client()`` is what the SDK would give."""

    def __init__(self, images: tuple[str, ...] = (), *, dies: str = "", fails: str = "") -> None:
        self.images = set(images)
        self.dies = dies
        self.fails = fails
        self.containers: dict[str, FakeContainer] = {}
        self.created: list[FakeContainer] = []
        self.imported: dict[str, dict[str, tuple[int, bytes]]] = {}
        self.pulled: list[str] = []

    def client(self) -> DockerClient:
        fake = SimpleNamespace(
            images=SimpleNamespace(list=self._list, pull=self.pulled.append),
            containers=SimpleNamespace(create=self._create, get=self._get),
            api=SimpleNamespace(import_image_from_data=self._import),
        )
        return cast("DockerClient", fake)

    def add(self, name: str) -> str:
        """Have a container that somebody else made."""
        return str(self._create("other", name=name).id)

    def reboot(self) -> None:
        for container in self.containers.values():
            container.stop()

    def close(self) -> None:
        self.reboot()

    def _list(self, name: str) -> list[SimpleNamespace]:
        # As the daemon does: a name without a tag matches every tag of it.
        found = [tag for tag in sorted(self.images) if name in {tag, tag.partition(":")[0]}]
        return [SimpleNamespace(tags=[tag]) for tag in found]

    def _create(self, image: str, **settings: Any) -> FakeContainer:
        identity = f"{len(self.created) + len(self.containers):064x}"
        container = FakeContainer(self, identity, image, **settings)
        self.containers[identity] = container
        if container.labels:
            self.created.append(container)
        return container

    def _get(self, name: str) -> FakeContainer:
        for container in self.containers.values():
            if name in {container.id, container.name}:
                return container
        raise docker.errors.NotFound(name)

    def _import(self, data: bytes, repository: str, tag: str, changes: list[str]) -> None:
        assert changes == ["ENV PATH=/bin"]
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            files = {}
            for entry in archive:
                content = archive.extractfile(entry)
                assert content
                assert (entry.uid, entry.gid) == (0, 0)
                files[entry.name] = (entry.mode, content.read())
        name = f"{repository}:{tag}"
        self.imported[name] = files
        self.images.add(name)
