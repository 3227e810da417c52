"""Pushing and promoting with real registries, one of which is killed in the middle."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildkit.digest import Digest
from buildkit.errors import RegistryError
from buildkit.http import HttpPool
from buildkit.images.publish import IndexPublisher
from buildkit.images.sheet import Sheet, write_sheet
from buildkit.oci.config import ImageConfig, RootFs
from buildkit.oci.layer import Entry, file, write_layer
from buildkit.oci.model import DOCKER_MANIFEST
from buildkit.plan.units import Artifact, Kind, Progress, PushIndex, Unit
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from buildkit.registry.originals import in_registry
from buildkit.registry.process import clean_env, default_config
from buildkit.registry.promotion import Change, Promotion, promote
from buildkit.registry.sending import Sender
from buildkit.store import Store
from tests.fakes.images import layers_of
from tests.fakes.registry import Logins
from tests.fakes.units import running
from tests.integration.registry_servers import free_port, installed_program

pytestmark = pytest.mark.registry

AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
SMALL, LARGE = 1 << 20, 64 << 20


class Server:
    """A registry process at one port with one data directory, to be killed and started again."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.host = f"127.0.0.1:{free_port()}"
        self._config, self._log = folder / "config.yml", folder / "log"
        self._config.write_text(default_config(address=self.host, data=str(folder / "data")))
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, client: RegistryClient) -> None:
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [installed_program(), "serve", self._config],
                env=clean_env(os.environ),
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 20
        while not client.answers(self.host):
            assert self._child.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait(10)


@pytest.fixture
def client() -> RegistryClient:
    return RegistryClient(pool=HttpPool(environ={}, sleep=lambda _: None), credentials=Logins())


@pytest.fixture
def server(tmp_path: Path, client: RegistryClient) -> Iterator[Server]:
    server = Server(tmp_path / "first")
    server.start(client)
    yield server
    server.kill()


@pytest.fixture
def other(tmp_path: Path, client: RegistryClient) -> Iterator[Server]:
    server = Server(tmp_path / "second")
    server.start(client)
    yield server
    server.kill()


class Press:
    """Images of random files, the first of which is large."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.layers = layers_of(store)
        self.blobs: dict[Digest, int] = {}
        self.images = tuple(self._image(platform) for platform in (AMD, ARM))

    def _image(self, platform: Platform) -> Artifact:
        layers = []
        for number, size in enumerate((LARGE, SMALL) if platform == AMD else (SMALL, SMALL)):
            path = self.folder / f"{platform.slug}-{number}"
            path.write_bytes(os.urandom(size))
            layers.append(self.layers.describe([Entry(path=str(number), content=path)]))
            self.blobs[layers[-1].digest] = size
        config = ImageConfig(
            architecture=platform.arch,
            os=platform.os,
            rootfs=RootFs(diff_ids=tuple(layer.diff_id for layer in layers)),
        )
        sheet = Sheet(config=config.encode().decode(), layers=tuple(layers))
        path = self.folder / f"{platform.slug}.json"
        write_sheet(path, sheet)
        return Artifact(
            unit=f"image/app@{platform}", digest=str(sheet.id), size=sheet.size, path=path
        )

    def push(self, client: RegistryClient, progress: Progress, *references: str) -> str:
        publisher = IndexPublisher(layers=self.layers, sender=Sender(registry=client))
        action = PushIndex(
            name="app",
            images=tuple(image.unit for image in self.images),
            references=references,
            no_clobber=True,
        )
        unit = Unit(kind=Kind.PUSH, name="app", platform=None, action=action)
        given = {image.unit: image for image in self.images}
        (made,) = publisher.build((running(unit),), given, progress)
        return made.digest


@pytest.fixture
def press(tmp_path: Path, store: Store) -> Press:
    return Press(tmp_path, store)


def silent(_: str) -> None:
    pass


def megabytes(progress: str) -> int:
    """Return how much was sent, of progress such as ``12 of 35 MB``."""
    return int(progress.partition(" ")[0])


def test_a_registry_killed_in_mid_push_is_one_error_and_the_next_push_goes_on(
    press: Press, server: Server, client: RegistryClient
) -> None:
    name = Reference.parse(f"{server.host}/app:1")
    small = [digest for digest, size in press.blobs.items() if size < LARGE]

    def kill(text: str) -> None:
        if megabytes(text) >= 8 and all(client.blobs.size(name, digest) for digest in small):
            server.kill()

    with pytest.raises(RegistryError) as caught:
        press.push(client, kill, str(name))
    assert caught.value.brief == f"{server.host} does not answer"
    server.start(client)
    assert client.tags(name) == ()
    sent: list[int] = []
    digest = press.push(client, lambda text: sent.append(megabytes(text)), str(name))
    assert client.tags(name) == ("1",)
    described = client.head_manifest(name)
    assert described is not None
    assert str(described.digest) == digest
    # What had arrived is not sent once more: only the large layer is.
    assert max(sent) == LARGE // 1_000_000


def test_two_hubs_and_two_tags_get_one_index(
    press: Press, server: Server, other: Server, client: RegistryClient
) -> None:
    names = [f"{host}/{tag}" for host in (server.host, other.host) for tag in ("app:1", "app:2")]
    digest = press.push(client, silent, *names)
    for name in names:
        found = client.head_manifest(Reference.parse(name))
        assert found is not None
        assert str(found.digest) == digest


def test_an_image_is_promoted_with_its_digest_and_resumed_after_a_kill(
    press: Press, server: Server, other: Server, client: RegistryClient
) -> None:
    source = Reference.parse(f"{server.host}/app:1")
    digest = press.push(client, silent, str(source))
    promotion = Promotion(
        original=in_registry(client, source), tag=Reference.parse(f"{other.host}/team/app:2")
    )

    def kill(text: str) -> None:
        if megabytes(text) >= 8:
            other.kill()

    with pytest.raises(RegistryError, match=f"{other.host} does not answer"):
        promote((promotion,), Sender(registry=client), kill, no_clobber=True)
    other.start(client)
    assert client.tags(promotion.tag) == ()
    for change in (Change.NEW, Change.SAME):
        (done,) = promote((promotion,), Sender(registry=client), silent, no_clobber=True)
        assert done.change is change
        assert str(done.after) == digest
    same = in_registry(client, promotion.tag)
    assert [item.data for item in same.documents] == [
        item.data for item in promotion.original.documents
    ]


def test_a_source_killed_in_the_middle_moves_no_tag(
    press: Press, server: Server, other: Server, client: RegistryClient
) -> None:
    source = Reference.parse(f"{server.host}/app:1")
    press.push(client, silent, str(source))
    tag = Reference.parse(f"{other.host}/app:1")
    promotion = Promotion(original=in_registry(client, source), tag=tag)

    def kill(text: str) -> None:
        if megabytes(text) >= 8:
            server.kill()

    with pytest.raises(RegistryError, match=f"{server.host} does not answer"):
        promote((promotion,), Sender(registry=client), kill, no_clobber=False)
    assert client.tags(tag) == ()


def docker(*words: str | Path) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.docker
def test_what_docker_pushed_in_its_own_format_is_promoted_and_pulled(
    server: Server, other: Server, client: RegistryClient, tmp_path: Path
) -> None:
    layer = write_layer([file("hello", os.urandom(100))], tmp_path / "layer.tar")
    source, target = f"{server.host}/app:1", f"{other.host}/team/app:2"
    try:
        docker("import", layer.path, source)
        docker("push", source)
        original = in_registry(client, Reference.parse(source))
        assert original.root.descriptor.media_type == DOCKER_MANIFEST
        promotion = Promotion(original=original, tag=Reference.parse(target))
        (done,) = promote((promotion,), Sender(registry=client), silent, no_clobber=True)
        docker("image", "rm", source)
        assert f"Digest: {done.after}" in docker("pull", target)
    finally:
        subprocess.run(
            ["docker", "image", "rm", "--force", source, target], check=False, capture_output=True
        )
