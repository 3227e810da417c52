from __future__ import annotations

import json
from pathlib import Path

import pytest

from buildkit.digest import Digest, canonical_json
from buildkit.errors import BuildError
from buildkit.oci.layout import (
    CONTAINERD_NAME,
    INDEX_FILE,
    MARKER,
    MARKER_FILE,
    TITLE,
    Layout,
    blob_name,
    layout_blobs,
    layout_index,
    named,
)
from buildkit.platform import Platform
from buildkit.release.documents import ImageEntry
from buildkit.release.layout import (
    copy_images,
    layers_size,
    layout_differences,
    platform_manifests,
)
from tests.fakes.images import random_index
from tests.fakes.layouts import validate_layout

AMD, ARM = Platform("linux", "amd64"), Platform("linux", "arm64")
PILOT, OTHER = "example.com/pilot:1.2.3", "example.com/other:1.2.3"


def digest(path: Path) -> str:
    return str(Digest.of_file(path)) if path.is_file() else ""


@pytest.fixture
def source(tmp_path: Path) -> Layout:
    """A layout of two images."""
    folder = tmp_path / "source"
    (folder / "blobs" / "sha256").mkdir(parents=True)
    entries = []
    for seed, name in enumerate((PILOT, OTHER)):
        index, images = random_index(AMD, ARM, seed=seed)
        for blob in layout_blobs(index, images.values()).values():
            data = b"".join(map(bytes, blob.open()))
            (folder / blob_name(blob.descriptor.digest)).write_bytes(data)
        entries.append(named(index.descriptor, name))
    (folder / INDEX_FILE).write_bytes(layout_index(tuple(entries)))
    (folder / MARKER_FILE).write_bytes(MARKER)
    return Layout.open(folder)


@pytest.fixture
def copied(source: Layout, tmp_path: Path) -> tuple[Path, tuple[ImageEntry, ...]]:
    target = tmp_path / "oci"
    return target, copy_images(source, {PILOT: "pilot"}, target)


def test_only_what_was_asked_for_is_copied(
    copied: tuple[Path, tuple[ImageEntry, ...]], source: Layout
) -> None:
    folder, (image,) = copied
    assert set(validate_layout(folder)) == {PILOT}
    assert (image.name, image.reference) == ("pilot", PILOT)
    assert set(image.platforms) == {"linux/amd64", "linux/arm64"}
    entry = source.find(PILOT)
    assert entry is not None
    assert image.digest == str(entry.digest)
    assert layout_differences(folder, [image], digest) == ()


def test_an_image_that_is_not_there_is_an_error(source: Layout, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="has no image"):
        copy_images(source, {"example.com/none:1": "none"}, tmp_path / "oci")


def test_each_blob_that_was_changed_is_named(copied: tuple[Path, tuple[ImageEntry, ...]]) -> None:
    folder, images = copied
    blobs = sorted((folder / "blobs" / "sha256").iterdir())
    for blob in blobs:
        before = blob.read_bytes()
        blob.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        found = layout_differences(folder, images, digest)
        assert any(blob.name in line for line in found), found
        blob.write_bytes(before)
    assert layout_differences(folder, images, digest) == ()


def test_files_that_belong_to_nothing_are_named(
    copied: tuple[Path, tuple[ImageEntry, ...]],
) -> None:
    folder, images = copied
    (folder / "blobs" / "sha256" / ("0" * 64)).write_bytes(b"x")
    (folder / MARKER_FILE).write_bytes(MARKER + b" ")
    assert set(layout_differences(folder, images, digest)) == {
        f"oci/{MARKER_FILE} was changed, or is missing",
        f"oci/blobs/sha256/{'0' * 64} is no part of it",
    }


def test_another_image_under_the_name_is_named(
    copied: tuple[Path, tuple[ImageEntry, ...]], source: Layout
) -> None:
    folder, images = copied
    other = source.find(OTHER)
    assert other is not None
    (folder / INDEX_FILE).write_bytes(layout_index((named(other, PILOT),)))
    for item in source.reachable(other):
        (folder / blob_name(item)).write_bytes(source.blob(item).read_bytes())
    found = layout_differences(folder, images, digest)
    assert f"oci has {PILOT} as {other.digest}" in found
    assert f"oci lacks {PILOT}, {images[0].digest}" in found


def test_a_layout_that_is_gone_is_said(tmp_path: Path) -> None:
    marker, index = layout_differences(tmp_path / "oci", [], digest)
    assert marker == f"oci/{MARKER_FILE} was changed, or is missing"
    assert index.startswith(f"oci/{INDEX_FILE}: there is no image layout")


@pytest.mark.parametrize("key", [CONTAINERD_NAME, TITLE, "more"])
def test_what_the_index_says_of_an_image_is_all_compared(
    copied: tuple[Path, tuple[ImageEntry, ...]], key: str
) -> None:
    folder, images = copied
    index = json.loads((folder / INDEX_FILE).read_bytes())
    index["manifests"][0]["annotations"][key] = "example.com/other:1"
    (folder / INDEX_FILE).write_bytes(canonical_json(index))
    assert layout_differences(folder, images, digest) == (f"oci/{INDEX_FILE} was changed",)


def test_layers_weigh_what_is_pulled(source: Layout) -> None:
    entry = source.find(PILOT)
    assert entry is not None
    manifests = platform_manifests(source, entry)
    assert [manifest.platform for manifest in manifests] == [AMD, ARM]
    _, images = random_index(AMD, ARM)
    expected = [sum(layer.descriptor.size for layer in images[p].layers) for p in (AMD, ARM)]
    assert [layers_size(source, manifest) for manifest in manifests] == expected
