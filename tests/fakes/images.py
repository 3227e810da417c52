"""Images for tests: layers of a store in which all bases lie, and random ones."""

from __future__ import annotations

import gzip
import io
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

from buildkit.digest import Digest
from buildkit.images.indexing import index_of
from buildkit.images.layers import Layers
from buildkit.images.sheet import Sheet, write_sheet
from buildkit.oci.image import Settings, image_config
from buildkit.oci.layer import file, layer_blocks
from buildkit.oci.model import OCI_LAYER, OCI_LAYER_GZIP, Descriptor, Image, Index, Layer
from buildkit.plan.units import Artifact, Kind, unit_id
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.store import Store


def layers_of(store: Store) -> Layers:
    """Return layers that hash files anew each time and know no registry."""

    def digest(path: Path) -> str | None:
        return str(Digest.of_file(path)) if path.is_file() else None

    def fetch(repository: Reference, blob: Descriptor) -> Iterator[bytes]:
        raise AssertionError(f"{blob.digest} of {repository} was asked for")

    return Layers(store=store, digest=digest, fetch=fetch)


def image_artifact(
    layers: Layers, folder: Path, platform: Platform, *contents: bytes, name: str = "pilot"
) -> Artifact:
    """Return what an image unit made whose layers are files of these contents."""
    unit = unit_id(Kind.IMAGE, name, platform)
    made = []
    for number, content in enumerate(contents):
        path = folder / f"{name}-{platform.slug}-{number}"
        path.write_bytes(content)
        made.append(layers.describe([file(f"{number}", path, 0o755)]))
    settings = Settings(labels=(("name", name),))
    config = image_config(platform, tuple(layer.digest for layer in made), settings=settings)
    sheet = Sheet(config=config.decode(), layers=tuple(made))
    path = folder / f"{name}-{platform.slug}.json"
    write_sheet(path, sheet)
    return Artifact(unit=unit, digest=str(sheet.id), size=sheet.size, path=path)


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Let no file grow beyond a size in bytes: what a full disk is, for a test without a disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def random_image(
    platform: Platform,
    *,
    seed: int = 0,
    layers: int = 2,
    size: int = 5000,
    labels: tuple[tuple[str, str], ...] = (),
) -> Image:
    """Return an image of random layers, each a plain tar of one file; a seed gives one image."""
    random = Random(f"{platform} {seed}")
    made = tuple(_random_layer(random, number, size) for number in range(layers))
    settings = Settings(env=(f"SEED={seed}",), entrypoint=("/0",), labels=labels)
    config = image_config(platform, tuple(item.diff_id for item in made), settings=settings)
    return Image.of(config, made)


def compressed(image: Image, level: int) -> Image:
    """Return an image whose layers are compressed; its config is the same."""
    return Image.of(image.config, tuple(_compressed(layer, level) for layer in image.layers))


def _compressed(layer: Layer, level: int) -> Layer:
    data = gzip.compress(layer.open().read(), level, mtime=0)
    descriptor = Descriptor.of(OCI_LAYER_GZIP, data)
    return replace(layer, descriptor=descriptor, open=lambda: io.BytesIO(data))


def random_index(
    *platforms: Platform, seed: int = 0, labels: tuple[tuple[str, str], ...] = ()
) -> tuple[Index, dict[Platform, Image]]:
    """Return an index of random images, and those by platform."""
    images = {platform: random_image(platform, seed=seed, labels=labels) for platform in platforms}
    return index_of(images), images


def _random_layer(random: Random, number: int, size: int) -> Layer:
    entries = (file(f"{number}", random.randbytes(size), 0o755),)
    data = b"".join(map(bytes, layer_blocks(entries)))
    descriptor = Descriptor.of(OCI_LAYER, data)
    return Layer(descriptor=descriptor, diff_id=descriptor.digest, open=lambda: io.BytesIO(data))
