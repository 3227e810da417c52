"""Writing layouts: what is written, kept, mended and removed, and what a failure leaves."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from buildkit.digest import Digest
from buildkit.errors import BuildError
from buildkit.images.indexing import sheet_of
from buildkit.images.layers import Layers
from buildkit.images.layout import LayoutWriter, drop_image, layout_problem
from buildkit.oci.layout import BLOBS, INDEX_FILE, Layout, layout_index, named
from buildkit.oci.model import OCI_LAYER, OCI_LAYER_GZIP
from buildkit.plan.units import Artifact, Kind, Unit, WriteLayout
from buildkit.platform import Platform
from buildkit.store import Store
from tests.fakes.images import image_artifact, layers_of, random_image, small_files
from tests.fakes.layouts import validate_layout
from tests.fakes.units import running

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
HUB = "localhost:5000"


def digest_of(path: Path) -> str | None:
    return str(Digest.of_file(path)) if path.is_file() else None


@dataclass
class Shelf:
    """A layout, and what images are written into it from."""

    root: Path
    layers: Layers
    tags: tuple[str, ...] = ("latest",)
    compress: bool = False
    writer: LayoutWriter = field(init=False)

    def __post_init__(self) -> None:
        self.writer = LayoutWriter(layers=self.layers, digest=digest_of)

    @property
    def folder(self) -> Path:
        return self.root / "oci"

    @property
    def layout(self) -> Layout:
        return Layout.open(self.folder)

    def action(self, name: str) -> WriteLayout:
        return WriteLayout(
            name=name,
            images=(f"image/{name}@{AMD64}", f"image/{name}@{ARM64}"),
            references=tuple(f"{HUB}/{name}:{tag}" for tag in self.tags),
            folder=self.folder,
            compress=self.compress,
        )

    def images(self, name: str, *contents: bytes) -> dict[str, Artifact]:
        """Make an image of both platforms; one layer is of the platform, others are shared."""
        made = {}
        for platform in (AMD64, ARM64):
            every = (str(platform).encode(), *contents)
            artifact = image_artifact(self.layers, self.root, platform, *every, name=name)
            made[artifact.unit] = artifact
        return made

    def write(self, name: str, *contents: bytes) -> Artifact:
        return self.put(name, self.images(name, *contents))

    def put(self, name: str, given: dict[str, Artifact]) -> Artifact:
        action = self.action(name)
        unit = Unit(kind=Kind.LAYOUT, name=name, platform=None, action=action, needs=action.images)
        (artifact,) = self.writer.build((running(unit),), given, lambda _: None)
        return artifact

    def blobs(self) -> set[str]:
        return {path.name for path in (self.folder / BLOBS).iterdir()}

    def reached(self) -> set[str]:
        layout = self.layout
        return {d.hex for entry in layout.entries for d in layout.reachable(entry)}

    def inodes(self) -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in (self.folder / BLOBS).iterdir()}

    def problem(self, name: str, artifact: Artifact) -> str | None:
        return layout_problem(self.action(name), artifact, digest_of)


@pytest.fixture
def shelf(tmp_path: Path, store: Store) -> Shelf:
    return Shelf(tmp_path, layers_of(store))


def test_an_image_is_there_whole_under_each_of_its_names(shelf: Shelf) -> None:
    shelf.tags = ("1", "2")
    artifact = shelf.write("pilot", b"content")
    layout = shelf.layout
    assert layout.names == (f"{HUB}/pilot:1", f"{HUB}/pilot:2")
    root = layout.find(f"{HUB}/pilot:2")
    assert root is not None
    assert str(root.digest) == artifact.digest
    for images in validate_layout(shelf.folder).values():
        assert images.keys() == {AMD64.arch, ARM64.arch}
        for unit, made in shelf.images("pilot", b"content").items():
            image, sheet = images[unit.rpartition("/")[2]], sheet_of(made)
            assert image.config == json.loads(sheet.config)
            assert [str(Digest.of_bytes(layer)) for layer in image.layers] == [
                part.diff_id for part in sheet.layers
            ]
    assert shelf.blobs() == shelf.reached()
    assert shelf.problem("pilot", artifact) is None


@pytest.mark.parametrize(("compress", "kind"), [(False, OCI_LAYER), (True, OCI_LAYER_GZIP)])
def test_layers_are_as_the_plan_says(shelf: Shelf, kind: str, *, compress: bool) -> None:
    shelf.compress = compress
    shelf.write("pilot", b"content")
    (images,) = validate_layout(shelf.folder).values()
    assert {item for image in images.values() for item in image.media_types} == {kind}


def test_what_is_there_is_not_written_again(shelf: Shelf) -> None:
    shelf.write("pilot", b"content")
    before = shelf.inodes()
    shelf.write("pilot", b"content")
    assert shelf.inodes() == before
    shelf.write("agent", b"content")
    assert before.items() <= shelf.inodes().items()


def test_blobs_that_no_image_has_any_more_are_removed(shelf: Shelf) -> None:
    shelf.write("agent", b"shared", b"old")
    first = shelf.write("pilot", b"shared", b"old")
    both = shelf.blobs()
    second = shelf.write("pilot", b"shared", b"new")
    assert first.digest != second.digest
    assert shelf.blobs() == shelf.reached()
    assert len(shelf.blobs() - both) == len(both - shelf.blobs()) + 1
    shelf.write("agent", b"shared", b"new")
    assert shelf.blobs() == shelf.reached()


def test_an_image_keeps_no_older_names_and_the_others_theirs(shelf: Shelf) -> None:
    shelf.write("pilot", b"content")
    shelf.write("agent", b"content")
    shelf.tags = ("new",)
    shelf.write("pilot", b"content")
    assert shelf.layout.names == (f"{HUB}/agent:latest", f"{HUB}/pilot:new")


def test_entries_of_others_stay(shelf: Shelf) -> None:
    shelf.write("pilot", b"content")
    (own,) = shelf.layout.entries
    names = ("The Thing", "docker.io/other/pilot:latest")
    foreign = (named(own, name) for name in (*names, f"{HUB}/pilot:latest"))
    (shelf.folder / INDEX_FILE).write_bytes(layout_index((own, *foreign)))
    shelf.write("pilot", b"other")
    assert own.digest.hex in shelf.blobs()
    assert shelf.layout.names == (*names, f"{HUB}/pilot:latest")


def test_where_an_entry_cannot_be_followed_nothing_is_removed(shelf: Shelf) -> None:
    shelf.write("pilot", b"content")
    lost = named(random_image(AMD64).descriptor, "example.com/lost:1")
    entries = (*shelf.layout.entries, lost)
    (shelf.folder / INDEX_FILE).write_bytes(layout_index(entries))
    before = shelf.blobs()
    shelf.write("pilot", b"other")
    assert before < shelf.blobs()


def test_an_image_can_be_taken_out(shelf: Shelf) -> None:
    shelf.write("pilot", b"content")
    shelf.write("agent", b"content")
    drop_image(shelf.folder, "pilot")
    assert shelf.layout.names == (f"{HUB}/agent:latest",)
    assert shelf.blobs() == shelf.reached()
    index = (shelf.folder / INDEX_FILE).stat().st_ino
    drop_image(shelf.folder, "pilot")
    assert (shelf.folder / INDEX_FILE).stat().st_ino == index


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def alter(path: Path) -> None:
    path.write_bytes(b"?" + path.read_bytes()[1:])


@pytest.mark.parametrize("damage", [cut, alter, Path.unlink])
def test_a_damaged_blob_is_found_and_written_anew(
    shelf: Shelf, damage: Callable[[Path], object]
) -> None:
    artifact = shelf.write("pilot", b"content")
    for name in shelf.blobs():
        path = shelf.folder / BLOBS / name
        damage(path)
        problem = shelf.problem("pilot", artifact)
        assert problem is not None
        assert name in problem
        shelf.write("pilot", b"content")
        assert Digest.of_file(path).hex == name
        assert shelf.problem("pilot", artifact) is None


def test_a_layout_without_an_image_or_with_another_is_a_problem(shelf: Shelf) -> None:
    artifact = shelf.write("pilot", b"content")
    shelf.tags = ("latest", "2")
    assert shelf.problem("pilot", artifact) == f"{HUB}/pilot:2 is not in the layout"
    shelf.tags = ("latest",)
    shelf.write("pilot", b"other")
    assert shelf.problem("pilot", artifact) == f"{HUB}/pilot:latest is something else in the layout"


def test_a_damaged_index_is_a_problem_and_written_anew(shelf: Shelf) -> None:
    artifact = shelf.write("pilot", b"content")
    cut(shelf.folder / INDEX_FILE)
    assert shelf.problem("pilot", artifact) == f"there is no image layout at {shelf.folder}"
    shelf.write("pilot", b"content")
    assert shelf.problem("pilot", artifact) is None


def test_what_a_killed_run_left_is_removed(shelf: Shelf) -> None:
    shelf.write("pilot", b"content")
    present = min(shelf.blobs())
    for name in (f".{present}.x1y2.tmp", f".{'0' * 64}.x1y2.tmp", "f" * 64):
        (shelf.folder / BLOBS / name).write_bytes(b"half")
    (shelf.folder / BLOBS / "notes.txt").write_text("the user's own")
    shelf.write("pilot", b"content")
    assert shelf.blobs() == shelf.reached() | {"notes.txt"}


def test_threads_that_write_one_layout_lose_nothing(shelf: Shelf) -> None:
    names = [f"image-{number}" for number in range(8)]
    for content in (b"first", b"second"):
        images = [shelf.images(name, b"shared", content) for name in names]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(shelf.put, names, images))
        assert shelf.layout.names == tuple(f"{HUB}/{name}:latest" for name in names)
        assert shelf.blobs() == shelf.reached()


@pytest.mark.parametrize("compress", [False, True])
def test_a_full_disk_in_the_middle_of_a_layer_leaves_the_layout_as_it_was(
    shelf: Shelf, *, compress: bool
) -> None:
    before = shelf.write("pilot", b"content")
    blobs = shelf.blobs()
    shelf.compress = compress
    larger = shelf.images("pilot", os.urandom(300_000))
    with small_files(100_000), pytest.raises(OSError, match="File too large") as caught:
        shelf.put("pilot", larger)
    assert caught.value.filename
    assert shelf.problem("pilot", before) is None
    assert not [name for name in shelf.blobs() if name.endswith(".tmp")]
    assert blobs <= shelf.blobs()
    after = shelf.put("pilot", larger)
    assert shelf.problem("pilot", after) is None
    assert shelf.blobs() == shelf.reached()


def test_a_damaged_layer_of_the_cache_is_no_layer_of_a_layout_and_made_anew(shelf: Shelf) -> None:
    shelf.compress = True
    shelf.write("pilot", b"content")
    names = shelf.blobs()
    kept = [path for path in shelf.layers.store.root.rglob("*") if path.name in names]
    assert len(kept) == 3  # Of each platform one, and a shared one.
    for path in kept:
        alter(path)
        (shelf.folder / BLOBS / path.name).unlink()
        with pytest.raises(BuildError, match=f"layer {path.name[:12]} is not what it was"):
            shelf.write("pilot", b"content")
        assert path.name not in shelf.blobs()
        shelf.write("pilot", b"content")
        assert shelf.blobs() == names
