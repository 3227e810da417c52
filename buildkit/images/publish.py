"""Pushing images to registries, each tag an index of its platforms.

Blobs first, then manifests by digest, tags last: a reader of a tag finds all of it,
and a push that breaks has moved no tag. Nothing is written to a temporary tag.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BufferedIOBase
from typing import TYPE_CHECKING

from buildkit.digest import Digest
from buildkit.errors import BuildError, RegistryError, VerificationError
from buildkit.images.indexing import index_images, index_of
from buildkit.images.layers import Layers
from buildkit.oci.config import ImageConfig
from buildkit.oci.model import Descriptor, Image, Index
from buildkit.plan.units import Artifact, Progress, PushIndex, Step
from buildkit.platform import Platform
from buildkit.reference import Reference

if TYPE_CHECKING:
    from buildkit.registry.client import RegistryClient

UPLOADS = 4
"""Blobs of one image that move at once."""

_CONFIG_LIMIT = 8 << 20
_MEGA = 1e6


class BlobPlaces:
    """Which repository got a blob in this run; what two images share is sent once, then mounted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[tuple[str, Digest], threading.Lock] = {}
        self._places: dict[tuple[str, Digest], str] = {}

    @contextmanager
    def turn(self, target: Reference, digest: Digest) -> Iterator[str]:
        """Yield the repository of the target's registry that has a blob, or nothing.

        One thread at a time has the turn of a blob; where the block succeeds, the
        target has it too.
        """
        key = (target.registry, digest)
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            yield self._places.get(key, "")
            self._places[key] = target.repository


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPublisher:
    """Builder of PushIndex units; an artifact's digest is the pushed index's.

    Attributes:
        layers: gives the bytes of layers.
        registry: writes them.
        places: where blobs are already.
    """

    layers: Layers
    registry: RegistryClient
    places: BlobPlaces = field(default_factory=BlobPlaces)

    def build(
        self,
        steps: tuple[Step, ...],
        given: Mapping[str, Artifact],
        progress: Progress,
    ) -> tuple[Artifact, ...]:
        """Push each image.

        Raises:
            RegistryError: the registry failed or refused; no tag moved.
            VerificationError: the image could not start, or the registry has
                something else than was pushed.
        """
        return tuple(self._push(step, given, progress) for step in steps)

    def _push(self, step: Step, given: Mapping[str, Artifact], progress: Progress) -> Artifact:
        action = step.unit.action
        if not isinstance(action, PushIndex):
            raise BuildError(f"{step.unit.id} pushes nothing")
        images = index_images(action.images, given, self.layers, compress=action.compress)
        index = index_of(images)
        references = tuple(Reference.parse(text) for text in action.references)
        if action.no_clobber:
            self._refuse_to_clobber(references, index)
        for target in _repositories(references):
            self._push_images(target, images.values(), progress)
        for tag in references:
            self.registry.put_index(tag, index)
            self._read_back(tag, index, images)
        return Artifact(
            unit=step.unit.id,
            digest=str(index.descriptor.digest),
            size=sum(layer.descriptor.size for image in images.values() for layer in image.layers),
            reference=tuple(map(str, references)),
        )

    def _refuse_to_clobber(self, references: Iterable[Reference], index: Index) -> None:
        for reference in references:
            found = self.registry.head_manifest(reference)
            if found is not None and found.digest != index.descriptor.digest:
                raise RegistryError(
                    f"{reference} exists and is something else",
                    details=f"It is {found.digest}, this build is {index.descriptor.digest}.",
                    resolution="Choose another --tag, or leave --no-clobber out to move it.",
                )

    def _push_images(self, target: Reference, images: Iterable[Image], progress: Progress) -> None:
        # What a manifest names was there before it, so its blobs need not be asked for.
        missing = [
            image
            for image in images
            if self.registry.head_manifest(target.with_digest(image.descriptor.digest)) is None
        ]
        self._push_blobs(target, missing, progress)
        for image in missing:
            self.registry.put_manifest(target, image.manifest, image.media_type)

    def _push_blobs(self, target: Reference, images: Iterable[Image], progress: Progress) -> None:
        blobs = {blob.descriptor.digest: blob for image in images for blob in _blobs(image)}
        # The largest first, so that none of them begins when the others are done.
        ordered = sorted(blobs.values(), key=lambda blob: -blob.descriptor.size)
        sent = _Sent(sum(blob.descriptor.size for blob in ordered), progress)
        with ThreadPoolExecutor(max_workers=UPLOADS) as pool:
            for done in [pool.submit(self._push_blob, target, blob, sent) for blob in ordered]:
                done.result()

    def _push_blob(self, target: Reference, blob: _Blob, sent: _Sent) -> None:
        with self.places.turn(target, blob.descriptor.digest) as source:
            self.registry.blobs.push(
                target,
                blob.descriptor,
                blob.open,
                mount_from=source or _mountable(blob.origin, target),
                sent=sent,
            )

    def _read_back(self, tag: Reference, index: Index, images: Mapping[Platform, Image]) -> None:
        found = self.registry.get_manifest(tag)
        if found.data != index.data:
            raise VerificationError(
                f"{tag} is not what was pushed",
                details=f"It is {found.descriptor.digest}, pushed was {index.descriptor.digest}.",
                resolution="Somebody else may push the same tag; run it again.",
            )
        for platform, image in images.items():
            kept = self.registry.get_manifest(tag.with_digest(image.descriptor.digest))
            data = self.registry.blobs.read(tag, image.config_descriptor, limit=_CONFIG_LIMIT)
            config = ImageConfig.decode(data)
            same = (config.os, config.architecture) == (platform.os, platform.arch)
            if kept.data != image.manifest or not same:
                raise VerificationError(
                    f"{tag} is not what was pushed for {platform}",
                    details=f"Its config is one of {config.platform}.",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blob:
    descriptor: Descriptor
    open: Callable[[], BufferedIOBase]
    origin: str = ""


class _Sent:
    """Turns bytes that were sent into progress; called by several threads."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total / _MEGA
        self._progress = progress
        self._sent = 0
        self._shown = -1
        self._lock = threading.Lock()

    def __call__(self, count: int) -> None:
        with self._lock:
            self._sent += count
            mega = int(self._sent / _MEGA)
            if mega == self._shown:
                return
            self._shown = mega
        self._progress(f"{mega} of {self._total:.0f} MB")


def _blobs(image: Image) -> Iterator[_Blob]:
    for layer in image.layers:
        yield _Blob(descriptor=layer.descriptor, open=layer.open, origin=layer.origin)
    yield _Blob(
        descriptor=image.config_descriptor,
        open=lambda: io.BytesIO(image.config),
    )


def _mountable(origin: str, target: Reference) -> str:
    """Return the repository to mount a blob from, if it is another one of the same registry."""
    if not origin:
        return ""
    found = Reference.parse(origin)
    same = found.registry == target.registry and found.repository != target.repository
    return found.repository if same else ""


def _repositories(references: tuple[Reference, ...]) -> tuple[Reference, ...]:
    return tuple(dict.fromkeys(replace(reference, tag="") for reference in references))
