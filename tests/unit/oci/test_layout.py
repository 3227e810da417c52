"""Reading image layouts, whole and damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from buildkit.digest import Digest, canonical_json
from buildkit.errors import BuildError
from buildkit.oci.layout import (
    CONTAINERD_NAME,
    INDEX_FILE,
    MARKER,
    MARKER_FILE,
    REF_NAME,
    Layout,
    blob_name,
    layout_blobs,
    layout_index,
    named,
)
from buildkit.oci.model import OCI_INDEX, Descriptor, Image, Index
from buildkit.platform import Platform
from tests.fakes.images import random_image, random_index
from tests.fakes.layouts import validate_layout

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
NAME = "localhost:5000/pilot:latest"


def put(folder: Path, data: bytes) -> None:
    path = folder / blob_name(Digest.of_bytes(data))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Index, dict[Platform, Image]]:
    index, images = random_index(AMD64, ARM64)
    for blob in layout_blobs(index, images.values()).values():
        put(tmp_path, blob.open().read())
    (tmp_path / MARKER_FILE).write_bytes(MARKER)
    (tmp_path / INDEX_FILE).write_bytes(layout_index((named(index.descriptor, NAME),)))
    return tmp_path, index, images


Written = tuple[Path, Index, dict[Platform, Image]]


def test_an_image_is_found_by_its_full_name_and_read_whole(written: Written) -> None:
    folder, index, images = written
    layout = Layout.open(folder)
    assert layout.names == (NAME,)
    found = layout.find(NAME)
    assert found is not None
    assert layout.find("localhost:5000/pilot:other") is None
    assert layout.read(found) == index.data
    for blob in layout_blobs(index, images.values()).values():
        assert layout.open_blob(blob.descriptor).read() == blob.open().read()


def test_the_oracle_agrees(written: Written) -> None:
    folder, _, images = written
    (found,) = validate_layout(folder).values()
    for platform, image in images.items():
        assert found[platform.arch].config == json.loads(image.config)
        plain = tuple(layer.open().read() for layer in image.layers)
        assert found[platform.arch].layers == plain


def test_what_an_index_in_an_index_names_is_reached_too(written: Written) -> None:
    folder, index, images = written
    outer = canonical_json({"schemaVersion": 2, "manifests": [index.descriptor.to_json()]})
    put(folder, outer)
    root = Descriptor.of(OCI_INDEX, outer)
    expected = layout_blobs(index, images.values()).keys() | {root.digest}
    assert Layout.open(folder).reachable(root) == expected


def test_an_image_reaches_its_own_blobs_and_no_others(written: Written) -> None:
    folder, index, images = written
    other = random_image(AMD64, seed=7)
    for blob in layout_blobs(Index.of((other.descriptor,)), [other]).values():
        put(folder, blob.open().read())
    expected = layout_blobs(index, images.values()).keys()
    assert Layout.open(folder).reachable(index.descriptor) == expected
    # An index, and for each platform a manifest, a config and two layers.
    assert len(expected) == 1 + 2 * (1 + 1 + 2)


def test_an_entry_without_a_name_of_oci_is_found_by_that_of_containerd(written: Written) -> None:
    folder, index, _ = written
    value = index.descriptor.to_json() | {"annotations": {CONTAINERD_NAME: NAME}}
    (folder / INDEX_FILE).write_bytes(canonical_json({"manifests": [value]}))
    assert Layout.open(folder).names == (NAME,)


def test_the_index_does_not_depend_on_the_order_of_its_entries() -> None:
    one, two = random_image(AMD64, seed=1).descriptor, random_image(AMD64, seed=2).descriptor
    entries = (named(one, "b:1"), named(two, "a:1"))
    assert layout_index(entries) == layout_index(entries[::-1])
    assert dict(entries[0].annotations) == {REF_NAME: "b:1", CONTAINERD_NAME: "b:1"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"),
        lambda path: path.write_bytes(path.read_bytes() + b"\n"),
        Path.unlink,
    ],
    ids=["cut", "altered", "longer", "missing"],
)
def test_a_damaged_blob_is_an_error_that_names_it(
    written: Written, damage: Callable[[Path], object]
) -> None:
    folder, index, images = written
    layout = Layout.open(folder)
    layer = images[AMD64].layers[0]
    for descriptor in (index.descriptor, index.manifests[0], layer.descriptor):
        damage(layout.blob(descriptor.digest))
        with pytest.raises(BuildError, match=descriptor.digest.hex):
            layout.read(descriptor)
        with pytest.raises(BuildError, match=descriptor.digest.hex):
            layout.open_blob(descriptor).read()


def test_what_is_too_large_for_a_manifest_is_not_read(written: Written) -> None:
    folder, index, _ = written
    huge = Descriptor(media_type=OCI_INDEX, digest=index.descriptor.digest, size=1 << 40)
    with pytest.raises(BuildError, match=f"(?s)not what it should be.*{1 << 40} bytes"):
        Layout.open(folder).read(huge)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (MARKER_FILE, None),
        (MARKER_FILE, b"{}"),
        (INDEX_FILE, None),
        (INDEX_FILE, b"{"),
        (INDEX_FILE, b"[]"),
        (INDEX_FILE, b"{}"),
        (INDEX_FILE, b'{"manifests": [{"size": 1}]}'),
        (INDEX_FILE, b'{"manifests": [{"mediaType": "x", "size": 1, "digest": "sha512:00"}]}'),
        (INDEX_FILE, b'{"manifests": 1}'),
    ],
)
def test_what_is_no_layout_is_refused(written: Written, file: str, content: bytes | None) -> None:
    folder, _, _ = written
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(BuildError, match="no image layout"):
        Layout.open(folder)


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"config": {"size": 1}}', b'{"layers": 1}'])
def test_a_manifest_that_cannot_be_followed_is_refused(written: Written, data: bytes) -> None:
    folder, _, images = written
    put(folder, data)
    descriptor = Descriptor.of(images[AMD64].media_type, data)
    with pytest.raises(BuildError, match="no manifest"):
        Layout.open(folder).reachable(descriptor)
