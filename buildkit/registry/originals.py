"""Images where they are now, of a registry or of an image layout, with all that they name.

Every index and manifest is kept as the bytes that were hashed, OCI's and Docker's
alike, so that a copy has the digest of its original.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BufferedIOBase
from typing import Any

import msgspec
from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.errors import RegistryError
from buildkit.oci.config import ImageConfig
from buildkit.oci.layout import Layout
from buildkit.oci.model import CONFIGS, INDEXES, MANIFESTS, Descriptor
from buildkit.oci.tarstream import BlockReader
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient

_ELSEWHERE = ("foreign", "nondistributable")
"""Words in the media type of a layer that is not in registries: Windows has such bases."""
_PLAIN = ".tar"


class Document(Struct, frozen=True, kw_only=True):
    """An index or manifest, and the blobs that it names."""

    descriptor: Descriptor
    data: bytes
    blobs: tuple[Descriptor, ...] = ()


class Original(Struct, frozen=True, kw_only=True):
    """An image of any number of platforms.

    Attributes:
        name: where it is, for people.
        documents: each after those that it names, so the image itself is the last.
        open: reads one of its blobs; the end is an error where it is damaged.
        origin: the repository that has it, empty where none has.
    """

    name: str
    documents: tuple[Document, ...]
    open: Callable[[Descriptor], BufferedIOBase]
    origin: str = ""

    @property
    def root(self) -> Document:
        """The index or manifest that the image's tag names."""
        return self.documents[-1]

    @property
    def has_plain_layers(self) -> bool:
        """Whether a layer is not compressed."""
        blobs = (blob for document in self.documents for blob in document.blobs)
        return any(blob.media_type.endswith(_PLAIN) for blob in blobs)


def label_values(original: Original, label: str) -> tuple[str, ...]:
    """Return the different values that a label has in the platforms of an image.

    Raises:
        RegistryError, BuildError: a config cannot be read.
    """
    configs = (
        blob
        for document in original.documents
        for blob in document.blobs
        if blob.media_type in CONFIGS
    )
    found: dict[str, None] = {}
    for blob in configs:
        with original.open(blob) as stream:
            labels = ImageConfig.decode(stream.read()).run.labels or {}
        found |= dict.fromkeys(filter(None, [labels.get(label)]))
    return tuple(found)


def in_registry(client: RegistryClient, reference: Reference) -> Original:
    """Read what a registry has under a reference, blobs left out.

    Raises:
        RegistryError: it is not there, is no image, or the registry fails.
    """

    def read(descriptor: Descriptor) -> bytes:
        return client.get_manifest(reference.with_digest(descriptor.digest)).data

    def open_blob(descriptor: Descriptor) -> BufferedIOBase:
        return BlockReader(client.blobs.stream(reference, descriptor))

    root = client.get_manifest(reference)
    return Original(
        name=str(reference),
        documents=_documents(str(reference), root.descriptor, root.data, read),
        open=open_blob,
        origin=reference.name,
    )


def in_layout(layout: Layout, entry: Descriptor, name: str) -> Original:
    """Read what an image layout has for an entry of its index, blobs left out.

    Raises:
        RegistryError: it is no image.
        BuildError: something of it is missing or damaged.
    """
    where = f"{name} in {layout.folder}"
    return Original(
        name=where,
        documents=_documents(where, entry, layout.read(entry), layout.read),
        open=layout.open_blob,
    )


def _documents(
    name: str, root: Descriptor, data: bytes, read: Callable[[Descriptor], bytes]
) -> tuple[Document, ...]:
    try:
        found = {item.descriptor.digest: item for item in _walk(root, data, read)}
    except (msgspec.MsgspecError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise RegistryError(f"{name} is no image that can be copied", details=str(error)) from error
    return tuple(found.values())


def _walk(
    descriptor: Descriptor, data: bytes, read: Callable[[Descriptor], bytes]
) -> Iterator[Document]:
    value: dict[str, Any] = decode_json(data, dict[str, Any])
    if descriptor.media_type in INDEXES:
        for child in map(Descriptor.from_json, value["manifests"]):
            yield from _walk(child, read(child), read)
        yield Document(descriptor=descriptor, data=data)
        return
    if descriptor.media_type not in MANIFESTS:
        message = f"It is a {descriptor.media_type or 'document of no type'}."
        raise ValueError(message)
    named = map(Descriptor.from_json, (value["config"], *value["layers"]))
    blobs = tuple(blob for blob in named if not any(word in blob.media_type for word in _ELSEWHERE))
    yield Document(descriptor=descriptor, data=data, blobs=blobs)
