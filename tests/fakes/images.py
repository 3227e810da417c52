"""Images for tests: layers of a store in which all bases lie, and random ones."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from random import Random

from buildkit.digest import Digest
from buildkit.images.indexing import index_of
from buildkit.images.layers import Layers
from buildkit.oci.image import Settings, image_config
from buildkit.oci.layer import file, layer_blocks
from buildkit.oci.model import OCI_LAYER, Descriptor, Image, Index, Layer
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


def random_image(platform: Platform, *, seed: int = 0, layers: int = 2, size: int = 5000) -> Image:
    """Return an image of random layers, each a plain tar of one file; a seed gives one image."""
    random = Random(f"{platform} {seed}")  # noqa: S311 - no secrets here
    made = tuple(_random_layer(random, number, size) for number in range(layers))
    settings = Settings(env=(f"SEED={seed}",), entrypoint=("/0",))
    config = image_config(platform, tuple(item.diff_id for item in made), settings=settings)
    return Image.of(config, made)


def random_index(*platforms: Platform, seed: int = 0) -> tuple[Index, dict[Platform, Image]]:
    """Return an index of random images, and those by platform."""
    images = {platform: random_image(platform, seed=seed) for platform in platforms}
    return index_of(images), images


def _random_layer(random: Random, number: int, size: int) -> Layer:
    entries = (file(f"{number}", random.randbytes(size), 0o755),)
    data = b"".join(map(bytes, layer_blocks(entries)))
    descriptor = Descriptor.of(OCI_LAYER, data)
    return Layer(descriptor=descriptor, diff_id=descriptor.digest, open=lambda: io.BytesIO(data))
