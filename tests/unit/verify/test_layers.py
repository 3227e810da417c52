"""Layers are compared by what is in them, whoever compressed them."""

from __future__ import annotations

import dataclasses
import gzip
import io
from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.digest import Digest
from buildkit.images.sheet import SheetLayer
from buildkit.oci.model import OCI_LAYER_GZIP, Descriptor, Image
from buildkit.store import Store
from buildkit.verify.check import Check
from buildkit.verify.layers import Compression, Rebuilt, compare_layers, released_layers
from buildkit.verify.release import read_release
from tests.fakes.images import compressed, layers_of, random_image
from tests.unit.verify.test_file import AMD, PILOT, add_images, version_image
from tests.unit.verify.test_release import write

OTHER = Compression(recorded="0.9", here="1.3")


def release(folder: Path, image: Image) -> Path:
    write(folder)
    add_images(folder, image)
    return folder


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A release whose layers are compressed at level 1."""
    return release(tmp_path / "first", compressed(version_image(), 1))


def layer_checks(first: Path, again: Path) -> list[Check]:
    document = read_release(first)
    rebuilt = Rebuilt(folder=first, again=again, document=document, zlib=OTHER)
    return list(compare_layers(rebuilt))


def compare(first: Path, again: Path) -> Check:
    (check,) = layer_checks(first, again)
    assert check.subject == f"{PILOT} linux/amd64"
    return check


def test_other_compressed_bytes_of_the_same_content_are_no_difference(
    first: Path, tmp_path: Path
) -> None:
    again = release(tmp_path / "again", compressed(version_image(), 9))
    names = [{path.name for path in it.rglob("blobs/sha256/*")} for it in (first, again)]
    assert len(names[0] & names[1]) == 1  # the config
    check = compare(first, again)
    assert check.problem == ""
    assert check.compared == (
        "rebuilt: its config, and 2 layers by DiffID, compressed by zlib 1.3 instead of 0.9"
    )


def test_another_content_is_named_by_layer_and_file(first: Path, tmp_path: Path) -> None:
    other = random_image(AMD, seed=1)
    image = replace(version_image(), layers=(version_image().layers[0], other.layers[1]))
    config = image.config.replace(
        str(version_image().layers[1].diff_id).encode(), str(other.layers[1].diff_id).encode()
    )
    again = release(tmp_path / "again", compressed(Image.of(config, image.layers), 1))
    assert compare(first, again).problem.startswith("layer 1: 1: its digest is ")


def test_another_config_is_named(first: Path, tmp_path: Path) -> None:
    config = version_image().config.replace(b"SEED=0", b"SEED=7")
    image = Image.of(config, version_image().layers)
    again = release(tmp_path / "again", compressed(image, 1))
    assert compare(first, again).problem == ".config.Env[0] is 'SEED=0' and 'SEED=7'"


def test_an_image_that_was_not_built_again_is_named(first: Path, tmp_path: Path) -> None:
    again = release(tmp_path / "again", compressed(version_image(), 1))
    index = again / "oci" / "index.json"
    index.write_bytes(index.read_bytes().replace(b"pilot:1.0.0", b"pilot:1.0.1"))
    assert compare(first, again).problem == "it is in the release alone"


def test_a_layer_that_holds_something_else_than_its_config_says_is_found(tmp_path: Path) -> None:
    image = compressed(version_image(), 1)
    data = gzip.compress(b"other", mtime=0)
    false = dataclasses.replace(
        image.layers[0],
        descriptor=Descriptor.of(OCI_LAYER_GZIP, data),
        open=lambda: io.BytesIO(data),
    )
    first = release(tmp_path / "first", Image.of(image.config, (false, image.layers[1])))
    again = release(tmp_path / "again", image)
    content = Digest.of_bytes(b"other")
    said = compare(first, again).problem
    assert said.startswith(f"layer 0: its content is {content}, and its DiffID ")
    # A rebuild takes it for what it is, so that it can stand for nothing else.
    found = released_layers(first, read_release(first))
    assert set(found) == {content, image.layers[1].diff_id}


def test_a_damaged_layout_is_one_problem(first: Path, tmp_path: Path) -> None:
    again = release(tmp_path / "again", compressed(version_image(), 1))
    (again / "oci" / "oci-layout").unlink()
    (check,) = layer_checks(first, again)
    assert "there is no image layout" in check.problem


def test_a_build_with_the_layers_of_a_release_gives_its_bytes(first: Path, tmp_path: Path) -> None:
    packed = released_layers(first, read_release(first))
    layers = layers_of(Store(tmp_path / "store"))
    image = version_image()
    assert set(packed) == {layer.diff_id for layer in image.layers}
    made = replace(layers, packed=packed)
    for layer, released in zip(image.layers, compressed(image, 1).layers, strict=True):
        sheet = SheetLayer(diff_id=str(layer.diff_id), size=1, entries=())
        moved = made.moved(sheet, compress=True)
        assert moved == released
        with moved.open() as stream:
            assert stream.read() == released.open().read()


def test_without_images_there_is_nothing_to_compare(tmp_path: Path) -> None:
    write(tmp_path / "dist")
    document = read_release(tmp_path / "dist")
    assert released_layers(tmp_path / "dist", document) == {}
    assert layer_checks(tmp_path / "dist", tmp_path) == []
