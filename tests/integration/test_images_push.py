"""Platforms through a real daemon into a real registry, one index per tag."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from buildkit.digest import Digest
from buildkit.errors import BuildError, RegistryError
from buildkit.http import HttpPool
from buildkit.images.daemon import connect, daemon_platform, find_image
from buildkit.images.load import load_base, pull_image
from buildkit.images.local import base_config
from buildkit.images.push import TEMPORARY_TAG, IndexPusher
from buildkit.oci.layer import file, write_layer
from buildkit.oci.model import INDEXES, Descriptor, Index
from buildkit.plan.units import Artifact, Kind, PushIndex, Step, Unit, Verdict
from buildkit.platform import Platform
from buildkit.proc import Processes
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from buildkit.registry.credentials import DockerCredentials
from buildkit.store import Store

pytestmark = [pytest.mark.docker, pytest.mark.registry]

PLATFORMS = (Platform.parse("linux/amd64"), Platform.parse("linux/arm64"))


@pytest.fixture
def client() -> Iterator[DockerClient]:
    with contextlib.closing(connect(os.environ)) as found:
        yield found


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    """Start a registry on a free port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = tmp_path / "registry.yml"
    config.write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {tmp_path / 'registry'}}}}}\n"
        f"http: {{addr: '{address}'}}\n"
    )
    program = shutil.which("registry") or shutil.which("docker-registry")
    assert program is not None
    with (tmp_path / "registry.log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    try:
        _await(address)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def _await(address: str) -> None:
    name, _, port = address.partition(":")
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection((name, int(port))):
            return
        time.sleep(0.05)
    pytest.fail(f"no registry answers at {address}")


@pytest.fixture
def registry() -> RegistryClient:
    credentials = DockerCredentials(environ=os.environ, runner=Processes(), warn=pytest.fail)
    return RegistryClient(pool=HttpPool(environ={}), credentials=credentials)


@pytest.fixture
def images(client: DockerClient, store: Store, tmp_path: Path) -> Iterator[dict[str, Artifact]]:
    """One small image per platform, loaded into the daemon."""
    content = secrets.token_bytes(1000)
    layer = write_layer([file("content", content)], tmp_path / "layer.tar")
    _, path = store.put_file(layer.path)
    made = {}
    for platform in PLATFORMS:
        unit = f"base/imgtest-push@{platform}"
        base = Artifact(unit=unit, digest=str(layer.diff_id), size=layer.size, path=path)
        found = find_image(client, load_base(client, store, base, platform).name)
        assert found is not None
        image = f"image/x@{platform}"
        made[image] = Artifact(unit=image, digest=found.id, size=found.size)
    yield made
    for artifact in made.values():
        # By id, since a push leaves digests as names.
        client.images.remove(artifact.digest, force=True)


def push(
    client: DockerClient,
    registry: RegistryClient,
    store: Store,
    images: dict[str, Artifact],
    *references: str,
) -> Artifact:
    pusher = IndexPusher(client=lambda: client, registry=registry, store=store)
    action = PushIndex(name="x", images=tuple(images), references=references, push=True)
    unit = Unit(kind=Kind.PUSH, name="x", platform=None, action=action)
    step = Step(unit=unit, verdict=Verdict.RUN, reason="")
    (artifact,) = pusher.build((step,), images, lambda _: None)
    return artifact


def untag(client: DockerClient, *names: str) -> None:
    for name in names:
        client.images.remove(name, force=True)


def test_one_tag_is_one_index_of_both_platforms(
    client: DockerClient,
    registry: RegistryClient,
    store: Store,
    images: dict[str, Artifact],
    host: str,
) -> None:
    names = (f"{host}/imgtest/x:latest", f"{host}/imgtest/x:v1")
    artifact = push(client, registry, store, images, *names)
    for name in names:
        found = registry.get_manifest(Reference.parse(name))
        assert found.descriptor.media_type in INDEXES
        assert str(found.descriptor.digest) == artifact.digest
    tags = registry.tags(Reference.parse(names[0]))
    # This registry may not remove tags; one that stays names the index too.
    for tag in set(tags) - {"latest", "v1"}:
        assert tag == TEMPORARY_TAG
        kept = registry.head_manifest(Reference.parse(f"{host}/imgtest/x:{tag}"))
        assert kept is not None
        assert str(kept.digest) == artifact.digest
    local = find_image(client, names[0])
    assert local is not None
    assert local.platform == daemon_platform(client)
    # Nothing but the asked-for tags, at the daemon's own platform, is left there.
    left = [
        name
        for item in client.api.images()
        for name in (*(item["RepoTags"] or ()), *(item["RepoDigests"] or ()))
        if name.startswith(host)
    ]
    assert sorted(left) == sorted(names)
    untag(client, *names)


def test_each_platform_can_be_pulled_back_by_itself(
    client: DockerClient,
    registry: RegistryClient,
    store: Store,
    images: dict[str, Artifact],
    host: str,
) -> None:
    name = f"{host}/imgtest/x:latest"
    push(client, registry, store, images, name)
    untag(client, name)
    for platform in PLATFORMS:
        local, found = pull_image(client, name, platform, lambda _: None)
        assert found.platform == platform
        assert found.id == images[f"image/x@{platform}"].digest
        untag(client, local)
    untag(client, name)


def test_a_pinned_digest_is_pulled_for_its_platform(
    client: DockerClient,
    registry: RegistryClient,
    store: Store,
    images: dict[str, Artifact],
    host: str,
) -> None:
    name = f"{host}/imgtest/x:latest"
    push(client, registry, store, images, name)
    untag(client, name)
    index = json.loads(registry.get_manifest(Reference.parse(name)).data)
    for item, platform in zip(index["manifests"], PLATFORMS, strict=True):
        pinned = f"{host}/imgtest/x@{item['digest']}"
        local, found = pull_image(client, pinned, platform, lambda _: None)
        assert found.platform == platform
        untag(client, local, pinned)


def test_a_push_that_the_daemon_cannot_do_raises_and_leaves_no_names(
    client: DockerClient,
    registry: RegistryClient,
    store: Store,
    images: dict[str, Artifact],
) -> None:
    name = "127.0.0.1:9/imgtest/x:latest"
    with pytest.raises(RegistryError) as caught:
        push(client, registry, store, images, name)
    assert "connection refused" in caught.value.details
    tags = [tag for image in client.images.list() for tag in image.tags]
    assert not [tag for tag in tags if tag.startswith("127.0.0.1:9/")]


def test_a_pull_of_a_missing_platform_is_an_error(
    client: DockerClient,
    registry: RegistryClient,
    store: Store,
    images: dict[str, Artifact],
    host: str,
) -> None:
    name = f"{host}/imgtest/one:latest"
    amd64 = {key: item for key, item in images.items() if key.endswith("amd64")}
    push(client, registry, store, amd64, name)
    untag(client, name)
    with pytest.raises(BuildError, match="cannot be pulled for linux/arm64"):
        pull_image(client, name, PLATFORMS[1], lambda _: None)


def test_an_index_that_the_registry_refuses_moves_no_tag(
    client: DockerClient,
    registry: RegistryClient,
    store: Store,
    images: dict[str, Artifact],
    host: str,
) -> None:
    name = f"{host}/imgtest/x:latest"
    first = push(client, registry, store, images, name)

    class Broken(RegistryClient):
        def put_index(self, reference: Reference, index: Index) -> Descriptor:
            raise RegistryError(f"{reference} refused {index.descriptor.digest}")

    broken = Broken(
        pool=HttpPool(environ={}),
        credentials=DockerCredentials(environ={}, runner=Processes(), warn=pytest.fail),
    )
    only = dict(list(images.items())[:1])
    with pytest.raises(RegistryError, match="refused"):
        push(client, broken, store, only, name)
    found = registry.head_manifest(Reference.parse(name))
    assert found is not None
    assert str(found.digest) == first.digest
    untag(client, name)


def test_a_base_without_layers_can_be_loaded_for_any_platform(
    client: DockerClient, store: Store
) -> None:
    for platform in PLATFORMS:
        config = base_config(platform, None)
        artifact = Artifact(
            unit=f"base/scratch@{platform}", digest=str(Digest.of_bytes(config)), size=1
        )
        found = find_image(client, load_base(client, store, artifact, platform).name)
        assert found is not None
        assert (found.platform, found.diff_ids) == (platform, ())
