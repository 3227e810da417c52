"""Images of a registry by manifest and config, read from a mirror where there is one."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Mapping
from functools import partial

import pytest
from msgspec.structs import replace

from buildkit.digest import Digest, canonical_json
from buildkit.errors import BuildError
from buildkit.http import HttpPool
from buildkit.images.indexing import platform_image
from buildkit.images.layers import Layers
from buildkit.images.remote import RegistryImages
from buildkit.oci.model import (
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Index,
)
from buildkit.platform import Platform
from buildkit.reference import Reference, mirrored
from buildkit.registry.client import RegistryClient
from buildkit.store import Store
from tests.fakes.registry import FakeRegistry, Logins

AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
PLAIN = bytes(10240)
PACKED = gzip.compress(PLAIN, mtime=0)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake


@pytest.fixture
def client() -> RegistryClient:
    return RegistryClient(pool=HttpPool(environ={}), credentials=Logins())


def push_base(client: RegistryClient, reference: Reference, *platforms: Platform) -> Descriptor:
    """Push an image of one layer for some platforms and return its index's descriptor."""
    children = []
    for platform in platforms:
        config = canonical_json(
            {
                "architecture": platform.arch,
                "os": platform.os,
                "rootfs": {"type": "layers", "diff_ids": [str(Digest.of_bytes(PLAIN))]},
            }
        )
        parts = [Descriptor.of(OCI_CONFIG, config), Descriptor.of(OCI_LAYER_GZIP, PACKED)]
        for part, data in zip(parts, (config, PACKED), strict=True):
            client.blobs.push(reference, part, partial(io.BytesIO, data))
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": parts[0].to_json(),
            "layers": [parts[1].to_json()],
        }
        pushed = client.put_manifest(
            replace(reference, tag=""), canonical_json(manifest), OCI_MANIFEST
        )
        children.append(replace(pushed, platform=platform))
    return client.put_index(reference, Index.of(tuple(children)))


def images(client: RegistryClient, mirrors: Mapping[str, str] | None = None) -> RegistryImages:
    return RegistryImages(
        registry=lambda: client, locate=lambda name: mirrored(name, mirrors or {})
    )


def test_only_manifests_and_the_config_are_asked_for(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    base = Reference.parse(f"{registry.host}/base:1")
    push_base(client, base, AMD, ARM)
    registry.seen.clear()
    sheet = images(client).sheet(str(base), ARM)
    assert sheet.image_config.platform == ARM
    assert registry.count("GET .*/manifests/") == 2
    assert registry.count("GET .*/blobs/") == 1
    assert registry.count(f"GET .*/blobs/{Digest.of_bytes(PACKED)}") == 0


def test_a_platform_that_is_not_there_is_named_with_those_that_are(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    base = Reference.parse(f"{registry.host}/base:1")
    push_base(client, base, ARM)
    with pytest.raises(BuildError, match="does not exist for linux/amd64") as caught:
        images(client).sheet(str(base), AMD)
    assert "linux/arm64" in caught.value.details


def test_a_mirror_gives_the_same_image_which_keeps_its_name(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    copy = Reference.parse(f"{registry.host}/hub/library/base:1")
    pushed = push_base(client, copy, AMD)
    mirrors = {"docker.io": f"{registry.host}/hub"}
    found = images(client, mirrors).sheet(f"docker.io/library/base:1@{pushed.digest}", AMD)
    (layer,) = found.layers
    assert layer.remote is not None
    assert layer.remote.origin == "docker.io/library/base"
    assert found.id == images(client).sheet(str(copy), AMD).id


def test_layers_are_where_the_mirrors_of_today_say(
    registry: FakeRegistry, client: RegistryClient, store: Store
) -> None:
    copy = Reference.parse(f"{registry.host}/hub/library/base:1")
    push_base(client, copy, AMD)
    mirrors = {"docker.io": f"{registry.host}/hub"}
    sheet = images(client, mirrors).sheet("base:1", AMD)
    layers = Layers(
        store=store,
        digest=lambda _: None,
        fetch=client.blobs.stream,
        locate=lambda name: mirrored(name, mirrors),
    )
    (layer,) = platform_image(sheet, layers, compress=True).layers
    assert layer.origin == copy.name
    assert registry.count(f"GET .*/blobs/{Digest.of_bytes(PACKED)}") == 0
    with layer.open() as stream:
        assert stream.read() == PACKED
    opened, size = layers.plain(sheet.layers[0])
    assert size == len(PLAIN)
    with opened() as stream:
        assert stream.read() == PLAIN
    assert registry.count(f"GET .*/blobs/{Digest.of_bytes(PACKED)}") == 1
