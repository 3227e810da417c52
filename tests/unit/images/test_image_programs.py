"""A program out of an image of a registry or of the daemon."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from docker import DockerClient
from msgspec.structs import replace

from buildkit.digest import Digest, canonical_json
from buildkit.errors import BuildkitError, EnvironmentMissingError, FetchError
from buildkit.http import HttpPool
from buildkit.images.layers import Layers
from buildkit.images.programs import PROGRAM, ImagePrograms
from buildkit.images.remote import RegistryImages
from buildkit.oci.layer import Entry, file, symlink, write_layer
from buildkit.oci.model import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor, Index
from buildkit.plan.units import Override
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from buildkit.store import Store
from tests.fakes.registry import FakeRegistry, Logins
from tests.unit.images.fake_docker import FakeDocker

AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
Entries = tuple[Entry, ...]


class World:
    """A registry with images, and perhaps a daemon."""

    def __init__(self, fake: FakeRegistry, store: Store, folder: Path) -> None:
        self.fake = fake
        self.store = store
        self.folder = folder
        self.client = RegistryClient(pool=HttpPool(environ={}), credentials=Logins())
        self.name = f"{fake.host}/me/envoy"
        self.docker: FakeDocker | None = None

    def push(self, tag: str, contents: dict[Platform, tuple[Entries, ...]]) -> Descriptor:
        """Push an index of images with these layers each."""
        reference = Reference.parse(f"{self.name}:{tag}")
        found = [
            replace(self.image(reference, platform, *layers), platform=platform)
            for platform, layers in contents.items()
        ]
        return self.client.put_index(reference, Index.of(tuple(found)))

    def image(self, reference: Reference, platform: Platform, *layers: Entries) -> Descriptor:
        parts, diffs = [], []
        for entries in layers:
            plain = write_layer(entries, self.folder / "layer.tar").path.read_bytes()
            diffs.append(str(Digest.of_bytes(plain)))
            parts.append(self._blob(reference, OCI_LAYER_GZIP, gzip.compress(plain, mtime=0)))
        config = canonical_json(
            {
                "architecture": platform.arch,
                "os": platform.os,
                "rootfs": {"type": "layers", "diff_ids": diffs},
            }
        )
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self._blob(reference, OCI_CONFIG, config).to_json(),
            "layers": [part.to_json() for part in parts],
        }
        return self.client.put_manifest(reference, canonical_json(manifest), OCI_MANIFEST)

    def _blob(self, reference: Reference, kind: str, data: bytes) -> Descriptor:
        described = Descriptor.of(kind, data)
        self.client.blobs.push(reference, described, lambda: io.BytesIO(data))
        return described

    def programs(self) -> ImagePrograms:
        layers = Layers(
            store=self.store,
            digest=lambda path: str(Digest.of_file(path)),
            fetch=self.client.blobs.stream,
        )
        daemon = cast("Callable[[], DockerClient]", lambda: self.docker and self.docker.client)
        return ImagePrograms(
            remote=RegistryImages(registry=lambda: self.client),
            layers=layers,
            client=daemon if self.docker else None,
        )

    def extracted(self, image: str, platform: Platform = AMD) -> bytes:
        target = self.folder / "envoy"
        given = Override(words="me/envoy", image=image)
        self.programs().extract(given, platform, target)
        return target.read_bytes()


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    with FakeRegistry() as fake:
        yield World(fake, store, tmp_path)


def test_each_platform_gives_its_own_program_pinned_by_digest(world: World) -> None:
    world.push("1", {AMD: ((file(PROGRAM, b"amd"),),), ARM: ((file(PROGRAM, b"arm"),),)})
    found = world.programs().find(f"{world.name}:1")
    assert set(found) == {AMD, ARM}
    world.push("1", {AMD: ((file(PROGRAM, b"another"),),)})
    assert world.extracted(found[AMD]) == b"amd"
    assert world.extracted(found[ARM], ARM) == b"arm"


def test_an_image_of_one_platform_needs_no_index(world: World) -> None:
    reference = Reference.parse(f"{world.name}:1")
    pushed = world.image(reference, ARM, (file(PROGRAM, b"arm"),))
    found = world.programs().find(f"docker://{reference}")
    assert found == {ARM: f"{world.name}@{pushed.digest}"}
    assert world.extracted(found[ARM], ARM) == b"arm"


def test_later_layers_and_links_count(world: World) -> None:
    old, new = file(PROGRAM, b"old"), file("opt/envoy-2", b"new")
    link = symlink(PROGRAM, "/opt/envoy-2")
    world.push("1", {AMD: ((old,), (new,), (link,))})
    assert world.extracted(world.programs().find(f"{world.name}:1")[AMD]) == b"new"


def test_an_image_without_it_says_where_it_has_one(world: World) -> None:
    world.push("1", {AMD: ((file("usr/bin/envoy", b"x"),),)})
    image = world.programs().find(f"{world.name}:1")[AMD]
    with pytest.raises(FetchError, match=r"me/envoy has no /usr/local/bin/envoy") as caught:
        world.extracted(image)
    assert caught.value.details == "It has /usr/bin/envoy."


def test_a_name_without_a_registry_is_the_daemons_if_it_has_it(world: World) -> None:
    world.docker = FakeDocker()
    identity = world.docker.add("me/envoy:dev", "linux/arm64")
    assert world.programs().find("me/envoy:dev") == {ARM: identity}
    assert world.programs().find("docker-daemon:me/envoy:dev") == {ARM: identity}
    with pytest.raises(FetchError, match="the Docker daemon has no image me/envoy:other"):
        world.programs().find("docker-daemon:me/envoy:other")
    # With a registry in its name it is looked for there.
    world.docker.add(f"{world.name}:dev", "linux/arm64")
    with pytest.raises(BuildkitError):
        world.programs().find(f"{world.name}:dev")
    found: dict[Platform, Any] = dict(world.programs().find(f"docker-daemon:{world.name}:dev"))
    assert list(found) == [ARM]


def test_without_a_daemon_only_registries_are_asked(world: World) -> None:
    with pytest.raises(EnvironmentMissingError, match="there is no Docker daemon"):
        world.programs().find("docker-daemon:me/envoy:1")
