"""Image layouts: a directory of blobs, and an index that names the images in it.

The format is that of the OCI image specification 1.1, image-layout.md. What a
layout calls an image is the annotation ``org.opencontainers.image.ref.name``;
containerd, and so Docker, reads ``io.containerd.image.name`` first. Both are the
full reference here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.digest import Digest, canonical_json
from buildkit.errors import BuildError
from buildkit.oci.model import INDEXES, MANIFESTS, OCI_INDEX, Descriptor, Image, Index, Layer
from buildkit.oci.tarstream import Block, BlockReader
from buildkit.oci.verified import verified_blocks

INDEX_FILE = "index.json"
MARKER_FILE = "oci-layout"
MARKER = canonical_json({"imageLayoutVersion": "1.0.0"})
"""What the marker file holds; 1.0.0 is the version of every layout up to now."""

BLOBS = "blobs/sha256"
"""Where blobs lie."""

REF_NAME = "org.opencontainers.image.ref.name"
TITLE = "org.opencontainers.image.title"
CONTAINERD_NAME = "io.containerd.image.name"

_JSON_LIMIT = 32 << 20
_MALFORMED = (msgspec.MsgspecError, AttributeError, KeyError, TypeError, ValueError)


class Blob(Struct, frozen=True, kw_only=True):
    """What goes into a layout under its digest."""

    descriptor: Descriptor
    open: Callable[[], BufferedIOBase]

    @classmethod
    def of(cls, descriptor: Descriptor, data: bytes) -> Blob:
        """Make a blob of bytes."""
        return cls(descriptor=descriptor, open=lambda: io.BytesIO(data))

    @classmethod
    def of_layer(cls, layer: Layer) -> Blob:
        """Take a layer as it is moved."""
        return cls(descriptor=layer.descriptor, open=layer.open)


class Layout(Struct, frozen=True, kw_only=True):
    """A layout as its index was when it was opened; what is read of it is verified.

    Attributes:
        folder: the directory.
        entries: the index's descriptors, in its order.
    """

    folder: Path
    entries: tuple[Descriptor, ...]

    @classmethod
    def open(cls, folder: Path) -> Layout:
        """Read the index of a layout.

        Raises:
            BuildError: there is no layout, or its index cannot be read.
        """
        try:
            if "imageLayoutVersion" not in _decode((folder / MARKER_FILE).read_bytes()):
                raise _no_layout(folder, f"{MARKER_FILE} names no version")
            data = (folder / INDEX_FILE).read_bytes()
            return cls(folder=folder, entries=_entries(_decode(data)))
        except (OSError, *_MALFORMED) as error:
            raise _no_layout(folder, str(error)) from error

    @property
    def names(self) -> tuple[str, ...]:
        """What its images are called, in the index's order."""
        return tuple(name for entry in self.entries if (name := image_name(entry)))

    def find(self, name: str) -> Descriptor | None:
        """Return the index or manifest of an image, None where the layout has no such name."""
        return next((entry for entry in self.entries if image_name(entry) == name), None)

    def blob(self, digest: Digest) -> Path:
        """Return where a blob lies, whether or not it is there."""
        return self.folder / blob_name(digest)

    def read(self, descriptor: Descriptor) -> bytes:
        """Return an index, a manifest or a config.

        Raises:
            BuildError: it is missing, damaged, or too large to be one.
        """
        if descriptor.size > _JSON_LIMIT:
            raise self._damaged(descriptor, f"It has {descriptor.size} bytes.")
        return b"".join(map(bytes, self.blocks(descriptor)))

    def open_blob(self, descriptor: Descriptor) -> BufferedIOBase:
        """Return a blob as a stream, whose end is an error where the blob is damaged.

        Raises:
            BuildError: it is missing, or while it is read: it is damaged.
        """
        if not self.blob(descriptor.digest).is_file():
            raise self._damaged(descriptor, "It is missing.")
        return BlockReader(self.blocks(descriptor))

    def blocks(self, descriptor: Descriptor) -> Iterator[Block]:
        """Yield a blob, and fail at its end if it is not what its digest says.

        Raises:
            BuildError: it is missing or damaged.
        """
        try:
            stream = self.blob(descriptor.digest).open("rb")
            yield from verified_blocks(stream, descriptor, partial(self._damaged, descriptor))
        except OSError as error:
            raise self._damaged(descriptor, error.strerror or str(error)) from error

    def image(self, descriptor: Descriptor) -> Image:
        """Return the image of a manifest, its layers as the layout has them.

        Raises:
            BuildError: something is missing or damaged, or it is no manifest.
        """
        manifest = self.read(descriptor)
        try:
            value = _decode(manifest)
            config = self.read(Descriptor.from_json(value["config"]))
            blobs = tuple(map(Descriptor.from_json, value["layers"]))
            diff_ids = map(Digest.parse, _decode(config)["rootfs"]["diff_ids"])
            layers = tuple(
                Layer(descriptor=blob, diff_id=diff_id, open=partial(self.open_blob, blob))
                for blob, diff_id in zip(blobs, diff_ids, strict=True)
            )
        except _MALFORMED as error:
            raise self._damaged(descriptor, f"It is no manifest: {error}") from error
        return Image(
            manifest=manifest, media_type=descriptor.media_type, config=config, layers=layers
        )

    def reachable(self, descriptor: Descriptor) -> frozenset[Digest]:
        """Return the digests of a blob and of everything that it names, at any depth.

        Raises:
            BuildError: an index or a manifest is missing or damaged.
        """
        found = {descriptor.digest}
        if descriptor.media_type in INDEXES | MANIFESTS:
            try:
                children = _children(_decode(self.read(descriptor)))
            except _MALFORMED as error:
                raise self._damaged(descriptor, f"It is no manifest: {error}") from error
            for child in children:
                found |= self.reachable(child)
        return frozenset(found)

    def _damaged(self, descriptor: Descriptor, details: str) -> BuildError:
        return BuildError(
            f"{blob_name(descriptor.digest)} in {self.folder} is not what it should be",
            details=details,
            resolution="Write the layout anew, with `invoke docker --layout`.",
        )


def blob_name(digest: Digest) -> str:
    """Return a blob's path inside a layout."""
    return f"{BLOBS}/{digest.hex}"


def layout_blobs(index: Index, images: Iterable[Image]) -> dict[Digest, Blob]:
    """Return every blob of an index and its images, what names others after those."""
    found = [blob for image in images for blob in image_blobs(image)]
    found.append(Blob.of(index.descriptor, index.data))
    return {blob.descriptor.digest: blob for blob in found}


def image_blobs(image: Image) -> tuple[Blob, ...]:
    """Return every blob of one platform's image, the manifest last."""
    return (
        *map(Blob.of_layer, image.layers),
        Blob.of(image.config_descriptor, image.config),
        Blob.of(image.descriptor, image.manifest),
    )


def image_name(entry: Descriptor) -> str:
    """Return what a layout calls an image; empty where it has no name."""
    found = dict(entry.annotations)
    return found.get(REF_NAME) or found.get(CONTAINERD_NAME) or ""


def named(descriptor: Descriptor, reference: str, *, title: str = "") -> Descriptor:
    """Return a descriptor as an entry of a layout's index; ``title`` is the image's own name."""
    annotations = [(CONTAINERD_NAME, reference), (REF_NAME, reference)]
    return Descriptor(
        media_type=descriptor.media_type,
        digest=descriptor.digest,
        size=descriptor.size,
        annotations=(*annotations, (TITLE, title)) if title else tuple(annotations),
    )


def layout_index(entries: tuple[Descriptor, ...]) -> bytes:
    """Return the bytes of a layout's index, sorted by name so that order does not matter."""
    ordered = sorted(entries, key=lambda entry: (image_name(entry), entry.digest))
    return canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [entry.to_json() for entry in ordered],
        }
    )


def _decode(data: bytes) -> dict[str, Any]:
    return decode_json(data, dict[str, Any])


def _entries(value: dict[str, Any]) -> tuple[Descriptor, ...]:
    return tuple(Descriptor.from_json(item) for item in value["manifests"])


def _children(value: dict[str, Any]) -> tuple[Descriptor, ...]:
    """Return what an index or a manifest names; that of an artifact may have no config."""
    items = [*(value.get("manifests") or ()), *(value.get("layers") or ())]
    config = value.get("config")
    return tuple(Descriptor.from_json(item) for item in (*items, *((config,) if config else ())))


def _no_layout(folder: Path, details: str) -> BuildError:
    return BuildError(
        f"there is no image layout at {folder}",
        details=details,
        resolution="Write one with `invoke docker --layout`, or name another directory.",
    )
