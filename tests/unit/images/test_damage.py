"""What the user's cache holds may be damaged or gone at any time: it is noticed, and made again."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from io import BufferedIOBase
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from buildkit.digest import Digest
from buildkit.errors import BuildError
from buildkit.images.layers import Layers
from buildkit.images.sheet import Remote, Sheet, SheetLayer, read_sheet, sheet_problem, write_sheet
from buildkit.oci.image import image_config
from buildkit.oci.layer import file
from buildkit.oci.model import Descriptor
from buildkit.oci.tarstream import Slice
from buildkit.plan.units import Artifact
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.store import Store
from tests.fakes.images import image_artifact, layers_of

LINUX = Platform("linux", "amd64")
DAMAGE = (
    st.just(None) | st.binary(max_size=40) | st.tuples(st.integers(0, 10_000), st.integers(1, 255))
)
"""A file that is gone, one with other content, or one with a byte that flipped."""


def damage(path: Path, how: bytes | tuple[int, int] | None) -> None:
    if how is None:
        path.unlink()
    elif isinstance(how, bytes):
        path.write_bytes(how)
    else:
        data = bytearray(path.read_bytes())
        data[how[0] % len(data)] ^= how[1]
        path.write_bytes(data)


def digest(path: Path) -> str | None:
    return str(Digest.of_file(path)) if path.is_file() else None


@pytest.fixture
def image(store: Store, tmp_path: Path) -> Artifact:
    return image_artifact(layers_of(store), tmp_path, LINUX, b"a program", b"another one")


def packed(layers: Layers, image: Artifact) -> list[tuple[str, bytes]]:
    """Return digest and bytes of each layer as they go to a registry."""
    sheet = read_sheet(image.path or Path())
    moved = [layers.moved(layer, compress=True) for layer in sheet.layers]
    return [(str(layer.descriptor.digest), content(layer.open)) for layer in moved]


def content(opened: Callable[[], BufferedIOBase]) -> bytes:
    with opened() as stream:
        return stream.read()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(harm=st.dictionaries(st.integers(0, 3), DAMAGE))
def test_compressed_layers_are_made_again_the_same(
    store: Store, image: Artifact, harm: dict[int, bytes | tuple[int, int] | None]
) -> None:
    expected = packed(layers_of(store), image)
    files = sorted(path for path in store.root.glob("[gb][zl]*/**/*") if path.is_file())
    assert len(files) == 4
    for number, how in harm.items():
        damage(files[number], how)
    assert packed(layers_of(store), image) == expected
    assert all(str(Digest.of_bytes(data)) == name for name, data in expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(how=DAMAGE)
def test_what_is_remembered_of_a_layer_is_not_believed_when_it_is_damaged(
    store: Store, tmp_path: Path, how: bytes | tuple[int, int] | None
) -> None:
    path = tmp_path / "app"
    path.write_bytes(b"a program")
    first = layers_of(store).describe([file("app", path)])
    (place,) = (store.root / "layers").iterdir()
    damage(place, how)
    assert layers_of(store).describe([file("app", path)]) == first


def test_a_sound_image_has_no_problem(store: Store, image: Artifact) -> None:
    assert sheet_problem(image, store, digest) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(how=DAMAGE)
def test_a_damaged_sheet_is_a_problem(
    store: Store, image: Artifact, how: bytes | tuple[int, int] | None
) -> None:
    assert image.path is not None
    before = image.path.read_bytes()
    damage(image.path, how)
    problem = sheet_problem(image, store, digest)
    image.path.write_bytes(before)
    assert problem in {"its description is missing", "its description is damaged"}


def test_the_sheet_of_another_image_is_a_problem(store: Store, image: Artifact) -> None:
    assert image.path is not None
    write_sheet(image.path, Sheet(config=image_config(LINUX, ()).decode()))
    assert sheet_problem(image, store, digest) == "its description is of another image"


def test_an_image_that_was_moved_with_its_files_is_read_there(store: Store, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "out" / "state").mkdir(parents=True)
    (tree / "out" / "app").write_bytes(b"a program")
    layer = layers_of(store).describe([file("app", tree / "out" / "app")])
    sheet = Sheet(config=image_config(LINUX, (layer.digest,)).decode(), layers=(layer,))
    write_sheet(tree / "out" / "state" / "sheet.json", sheet)
    moved = tree.rename(tmp_path / "moved")
    place = moved / "out" / "state" / "sheet.json"
    made = Artifact(unit="image/x", digest=str(sheet.id), size=1, path=place)
    assert sheet_problem(made, store, digest) is None
    assert read_sheet(place).layers[0].entries[0].source == str(moved / "out" / "app")
    (moved / "out" / "app").unlink()
    assert sheet_problem(made, store, digest) == "app is no longer where it was"


def from_store(store: Store, tmp_path: Path) -> tuple[Artifact, Digest, Digest]:
    """Return an image with a plain layer of the store, and one that is a part of a blob there."""
    layers = layers_of(store)
    plain, _ = store.put_bytes(b"a tar")
    blob, path = store.put_bytes(b"an archive with a program")
    part = layers.describe([replace(file("app", path), content=Slice(path=path, offset=3, size=7))])
    whole = SheetLayer(diff_id=str(plain), size=5)
    config = image_config(LINUX, (plain, part.digest))
    sheet = Sheet(config=config.decode(), layers=(whole, part))
    place = tmp_path / "sheet.json"
    write_sheet(place, sheet)
    return Artifact(unit="image/x", digest=str(sheet.id), size=1, path=place), plain, blob


@pytest.mark.parametrize("how", [None, b"", b"other", (0, 1)])
@pytest.mark.parametrize("which", [1, 2])
def test_bytes_that_only_the_cache_has_are_missed(
    store: Store, tmp_path: Path, how: bytes | tuple[int, int] | None, which: int
) -> None:
    found = from_store(store, tmp_path)
    image, blob = found[0], found[which]
    assert isinstance(image, Artifact)
    assert isinstance(blob, Digest)
    assert sheet_problem(image, store, digest) is None
    damage(store.blob(blob), how)
    problem = sheet_problem(image, store, digest)
    assert problem == f"{blob.short} is no longer in the cache as it was"


def test_a_plain_layer_that_is_damaged_is_not_given_out(store: Store, tmp_path: Path) -> None:
    image, plain, _ = from_store(store, tmp_path)
    layer = read_sheet(image.path or Path()).layers[0]
    store.blob(plain).write_bytes(b"a rat")
    with pytest.raises(BuildError, match="no longer in the cache") as caught:
        layers_of(store).plain(layer)
    assert "--force" not in caught.value.resolution


def test_a_layer_of_a_registry_is_fetched_again(store: Store) -> None:
    tar = b"not really a tar"
    data = gzip.compress(tar, mtime=0)
    asked = []

    def fetch(repository: Reference, blob: Descriptor) -> Iterator[bytes]:
        asked.append((str(repository), str(blob.digest)))
        yield data

    def layers() -> Layers:
        return Layers(store=store, digest=lambda _: None, fetch=fetch)

    layer = remote_layer(tar, data)
    for how in (None, b"", (3, 7)):
        opened, _ = layers().plain(layer)
        assert content(opened) == tar
        for blob in (layer.digest, Digest.of_bytes(data)):
            damage(store.blob(blob), how)
    assert len(asked) == 3


def remote_layer(tar: bytes, data: bytes) -> SheetLayer:
    remote = Remote(
        origin="example.com/base:1",
        media_type="application/vnd.oci.image.layer.v1.tar+gzip",
        digest=str(Digest.of_bytes(data)),
        size=len(data),
    )
    return SheetLayer(diff_id=str(Digest.of_bytes(tar)), size=len(tar), remote=remote)


def test_a_directory_in_the_place_of_compressed_bytes_is_replaced(
    store: Store, image: Artifact
) -> None:
    expected = packed(layers_of(store), image)
    for name, _ in expected:
        path = store.blob(Digest.parse(name))
        path.unlink()
        (path / "x").mkdir(parents=True)
    assert packed(layers_of(store), image) == expected
    for name, _ in expected:
        path = store.blob(Digest.parse(name))
        path.unlink()
        (path / "x").mkdir(parents=True)
    for path in (store.root / "gzip").iterdir():
        path.unlink()
    assert packed(layers_of(store), image) == expected
