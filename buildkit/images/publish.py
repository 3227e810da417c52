"""Pushing images to registries, each tag an index of its platforms."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from buildkit.errors import BuildError
from buildkit.images.indexing import index_images, index_of
from buildkit.images.layers import Layers
from buildkit.images.readback import read_back
from buildkit.oci.model import Image, Index
from buildkit.plan.units import Artifact, Progress, PushIndex, Step
from buildkit.reference import Reference
from buildkit.registry.sending import Parcel, Sender


class IndexPublisher(Struct, frozen=True, kw_only=True):
    """Builder of PushIndex units; an artifact's digest is the pushed index's.

    Attributes:
        layers: gives the bytes of layers.
        sender: brings them to registries.
    """

    layers: Layers
    sender: Sender

    def build(
        self,
        steps: tuple[Step, ...],
        given: Mapping[str, Artifact],
        progress: Progress,
    ) -> tuple[Artifact, ...]:
        """Push each image.

        Raises:
            RegistryError: a registry failed or refused; no tag moved.
            VerificationError: the image could not work, or a registry has
                something else than was pushed.
        """
        return tuple(self._push(step, given, progress) for step in steps)

    def _push(self, step: Step, given: Mapping[str, Artifact], progress: Progress) -> Artifact:
        action = step.unit.action
        if not isinstance(action, PushIndex):
            raise BuildError(f"{step.unit.id} pushes nothing")
        images = index_images(action.images, given, self.layers, compress=action.compress)
        index = index_of(images)
        tags = tuple(Reference.parse(text) for text in action.references)
        with self.sender.answering(tag.registry for tag in tags):
            self._write(tags, index, tuple(images.values()), action, progress)
            read_back(self.sender.registry, tags, index, images)
        return Artifact(
            unit=step.unit.id,
            digest=str(index.descriptor.digest),
            size=sum(layer.descriptor.size for image in images.values() for layer in image.layers),
            reference=tuple(map(str, tags)),
        )

    def _write(
        self,
        tags: tuple[Reference, ...],
        index: Index,
        images: tuple[Image, ...],
        action: PushIndex,
        progress: Progress,
    ) -> None:
        sender, registry = self.sender, self.sender.registry
        guarded = [(tag, index.descriptor.digest) for tag in tags if action.no_clobber]
        sender.refuse_to_clobber(guarded)
        missing = [
            (target, image)
            for target in _repositories(tags)
            for image in images
            if sender.lacks(target, image.descriptor.digest)
        ]
        parcels = {
            (parcel.target, parcel.descriptor.digest): parcel
            for target, image in missing
            for parcel in _parcels(target, image)
        }
        sender.send(parcels.values(), progress)
        for target, image in missing:
            registry.put_manifest(target, image.manifest, image.media_type)
        # Somebody else may have pushed meanwhile; registries have no compare-and-set.
        sender.refuse_to_clobber(guarded)
        for tag in tags:
            registry.put_index(tag, index)


def _parcels(target: Reference, image: Image) -> Iterator[Parcel]:
    for layer in image.layers:
        yield Parcel(
            target=target, descriptor=layer.descriptor, open=layer.open, origin=layer.origin
        )
    config = image.config
    yield Parcel(target=target, descriptor=image.config_descriptor, open=lambda: io.BytesIO(config))


def _repositories(references: tuple[Reference, ...]) -> tuple[Reference, ...]:
    return tuple(dict.fromkeys(replace(reference, tag="") for reference in references))
