"""Images of a registry that are not there, or not for a platform: one clear error each."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from buildkit.digest import canonical_json
from buildkit.errors import BuildError, RegistryError
from buildkit.http import HttpPool
from buildkit.images.remote import RegistryImages
from buildkit.oci.model import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Descriptor
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from tests.fakes.registry import FakeRegistry, Logins

AMD, ARM, S390 = map(Platform.parse, ("linux/amd64", "linux/arm64", "linux/s390x"))


class Shelf:
    """A registry with images without layers."""

    def __init__(self, host: str) -> None:
        self.client = RegistryClient(
            pool=HttpPool(environ={}, sleep=lambda _: None), credentials=Logins()
        )
        self.base = Reference.parse(f"{host}/base:1")
        self.images = RegistryImages(registry=lambda: self.client)

    def put(self, config: bytes) -> Descriptor:
        """Push an image of one platform under the tag, and return its descriptor."""
        part = Descriptor.of(OCI_CONFIG, config)
        self.client.blobs.push(self.base, part, lambda: io.BytesIO(config))
        return self.manifest(OCI_MANIFEST, config=part.to_json(), layers=[])

    def manifest(self, media_type: str, **fields: Any) -> Descriptor:
        """Push a manifest under the tag."""
        value = {"schemaVersion": 2, "mediaType": media_type, **fields}
        return self.client.put_manifest(self.base, canonical_json(value), media_type)


def config_of(platform: Platform) -> bytes:
    return canonical_json(
        {
            "os": platform.os,
            "architecture": platform.arch,
            "rootfs": {"type": "layers", "diff_ids": []},
            "config": {"Env": [f"ARCH={platform.arch}"]},
        }
    )


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with FakeRegistry() as registry:
        yield Shelf(registry.host)


def test_an_index_gives_the_platform_that_is_asked_for(shelf: Shelf) -> None:
    entries = []
    for platform in (AMD, ARM):
        found = shelf.put(config_of(platform)).to_json()
        entries.append(found | {"platform": {"os": platform.os, "architecture": platform.arch}})
    shelf.manifest(OCI_INDEX, manifests=entries)
    for platform in (AMD, ARM):
        sheet = shelf.images.sheet(str(shelf.base), platform)
        assert sheet.image_config.run.environment == {"ARCH": platform.arch}
    with pytest.raises(BuildError, match="base:1 does not exist for linux/s390x") as caught:
        shelf.images.sheet(str(shelf.base), S390)
    assert caught.value.details == "The registry has it for linux/amd64, linux/arm64."


def test_an_image_of_one_platform_is_no_other(shelf: Shelf) -> None:
    shelf.put(config_of(AMD))
    with pytest.raises(BuildError, match="does not exist for linux/arm64") as caught:
        shelf.images.sheet(str(shelf.base), ARM)
    assert caught.value.details == "The registry has it for linux/amd64."


def test_an_index_of_nothing_has_no_platform(shelf: Shelf) -> None:
    shelf.manifest(OCI_INDEX, manifests=[])
    with pytest.raises(BuildError, match="does not exist for linux/arm64"):
        shelf.images.sheet(str(shelf.base), ARM)


def test_an_image_that_is_not_there_is_named(shelf: Shelf) -> None:
    with pytest.raises(RegistryError) as caught:
        shelf.images.sheet(str(shelf.base), ARM)
    assert str(shelf.base) in str(caught.value)


@pytest.mark.parametrize("config", [b"{}", b"no json", canonical_json({"os": 1})])
def test_a_config_that_is_none_is_an_error(shelf: Shelf, config: bytes) -> None:
    shelf.put(config)
    with pytest.raises(BuildError, match="config cannot be read"):
        shelf.images.sheet(str(shelf.base), ARM)


def test_a_manifest_of_something_else_is_no_image(shelf: Shelf) -> None:
    shelf.manifest(OCI_MANIFEST, other=1)
    with pytest.raises(BuildError, match="base:1 is no image"):
        shelf.images.sheet(str(shelf.base), ARM)


def test_an_image_that_its_mirror_lacks_is_an_error_that_names_both(shelf: Shelf) -> None:
    images = RegistryImages(registry=lambda: shelf.client, locate=lambda _: shelf.base)
    with pytest.raises(RegistryError, match=f"cannot read {shelf.base}") as caught:
        images.sheet("gcr.io/istio-release/iptables:1", AMD)
    assert "[mirrors] says that gcr.io/istio-release/iptables is read there" in caught.value.details
    assert "copy gcr.io/istio-release/iptables:1 there" in caught.value.resolution


def test_an_image_that_is_nowhere_has_nothing_to_do_with_pushing(shelf: Shelf) -> None:
    with pytest.raises(RegistryError, match="answered 404") as caught:
        shelf.images.sheet(str(shelf.base), AMD)
    assert "mirror" not in str(caught.value)
    assert caught.value.resolution.startswith("Check the name, and its tag or digest")
