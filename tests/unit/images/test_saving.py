"""Archives: what a reader finds in them, that they are equal, and what a failure leaves."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import pytest

from buildkit.digest import Digest
from buildkit.errors import BuildError, CancelledError
from buildkit.images.layers import Layers
from buildkit.images.saving import ArchiveWriter
from buildkit.oci.model import OCI_LAYER_GZIP
from buildkit.plan.units import ArchiveFormat, Artifact, Kind, Progress, SaveImage, Unit
from buildkit.platform import Platform
from buildkit.store import Store
from tests.fakes.images import image_artifact, layers_of, small_files
from tests.fakes.layouts import validate_layout
from tests.fakes.units import running

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
NAMES = ("localhost:5000/pilot:1", "localhost:5000/pilot:2")


@dataclass
class Desk:
    """Where archives of one image are written."""

    root: Path
    layers: Layers

    def images(self, *platforms: Platform, content: bytes = b"content") -> tuple[Artifact, ...]:
        return tuple(
            image_artifact(self.layers, self.root, platform, b"one", content)
            for platform in platforms
        )

    def save(
        self,
        form: ArchiveFormat,
        images: tuple[Artifact, ...],
        progress: Progress = lambda _: None,
    ) -> Artifact:
        action = SaveImage(
            name="pilot",
            images=tuple(image.unit for image in images),
            references=NAMES,
            format=form,
            output=self.root / "out" / "pilot.tar",
            compress=True,
        )
        unit = Unit(kind=Kind(form), name="pilot", platform=None, action=action)
        given = {image.unit: image for image in images}
        writer = ArchiveWriter(layers=self.layers)
        (made,) = writer.build((running(unit),), given, progress)
        return made


@pytest.fixture
def desk(tmp_path: Path, store: Store) -> Desk:
    return Desk(tmp_path, layers_of(store))


def unpack(artifact: Artifact, folder: Path) -> Path:
    assert artifact.path is not None
    with tarfile.open(artifact.path) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_an_oci_archive_has_every_platform_under_every_name(desk: Desk, tmp_path: Path) -> None:
    artifact = desk.save(ArchiveFormat.OCI, desk.images(AMD64, ARM64))
    found = validate_layout(unpack(artifact, tmp_path / "in"))
    assert tuple(found) == NAMES
    for images in found.values():
        assert images.keys() == {"amd64", "arm64"}
        assert {kind for image in images.values() for kind in image.media_types} == {OCI_LAYER_GZIP}


def test_a_docker_archive_has_one_platform(desk: Desk, tmp_path: Path) -> None:
    folder = unpack(desk.save(ArchiveFormat.DOCKER, desk.images(ARM64)), tmp_path / "in")
    (entry,) = json.loads((folder / "manifest.json").read_bytes())
    config = json.loads((folder / entry["Config"]).read_bytes())
    assert config["architecture"] == "arm64"
    assert entry["RepoTags"] == list(NAMES)
    plain = [gzip.decompress((folder / name).read_bytes()) for name in entry["Layers"]]
    assert [str(Digest.of_bytes(data)) for data in plain] == config["rootfs"]["diff_ids"]


@pytest.mark.parametrize("form", ArchiveFormat)
def test_the_same_image_gives_the_same_archive_and_its_digest(
    desk: Desk, form: ArchiveFormat
) -> None:
    one = desk.save(form, desk.images(AMD64))
    assert one.path is not None
    data = one.path.read_bytes()
    assert desk.save(form, desk.images(AMD64)) == one
    assert one.path.read_bytes() == data
    assert (one.digest, one.size) == (str(Digest.of_bytes(data)), len(data))


@pytest.mark.parametrize("form", ArchiveFormat)
def test_a_full_disk_leaves_the_older_archive(desk: Desk, form: ArchiveFormat) -> None:
    before = desk.save(form, desk.images(AMD64))
    assert before.path is not None
    larger = desk.images(AMD64, content=os.urandom(300_000))
    with small_files(100_000), pytest.raises(OSError, match="File too large") as caught:
        desk.save(form, larger)
    assert caught.value.filename
    assert str(Digest.of_file(before.path)) == before.digest
    assert [path.name for path in before.path.parent.iterdir()] == ["pilot.tar"]
    assert desk.save(form, larger).size > 300_000


@pytest.mark.parametrize("form", ArchiveFormat)
def test_a_damaged_layer_of_the_cache_gets_into_no_archive(desk: Desk, form: ArchiveFormat) -> None:
    artifact = desk.save(form, desk.images(AMD64))
    assert artifact.path is not None
    artifact.path.unlink()
    kept = [path for path in desk.layers.store.root.rglob("blobs/sha256/*/*") if path.is_file()]
    assert len(kept) == 2
    for path in kept:
        path.write_bytes(b"?" + path.read_bytes()[1:])
    for _ in kept:
        with pytest.raises(BuildError, match="is not what it was"):
            desk.save(form, desk.images(AMD64))
        assert not artifact.path.exists()
    assert desk.save(form, desk.images(AMD64)) == artifact


@pytest.mark.parametrize("form", ArchiveFormat)
def test_no_layer_is_held_in_memory(desk: Desk, form: ArchiveFormat) -> None:
    images = desk.images(AMD64, content=bytes(64 << 20))
    tracemalloc.start()
    try:
        desk.save(form, images)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 << 20


def test_a_run_that_is_stopped_leaves_no_archive(desk: Desk) -> None:
    def stop(_text: str) -> None:
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        desk.save(ArchiveFormat.OCI, desk.images(AMD64), progress=stop)
    assert list((desk.root / "out").iterdir()) == []
