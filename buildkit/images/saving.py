"""Images as archives, one file each, streamed: no layer is written or held on the way.

Equal images give equal archives; layers in them are those that a registry gets.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from msgspec import Struct

from buildkit.errors import BuildError
from buildkit.images.indexing import index_images, index_of
from buildkit.images.layers import Layers
from buildkit.images.meter import Meter
from buildkit.oci.layer import Entry, write_layer
from buildkit.oci.layout import Blob, layout_blobs, named
from buildkit.oci.model import Image
from buildkit.oci.tarball import docker_archive, oci_archive
from buildkit.oci.tarstream import BlockReader, Made
from buildkit.oci.verified import verified_blocks
from buildkit.plan.units import ArchiveFormat, Artifact, Progress, SaveImage, Step
from buildkit.platform import Platform
from buildkit.store import atomic_path


class ArchiveWriter(Struct, frozen=True, kw_only=True):
    """Builder of SaveImage units; an artifact is the archive.

    Attributes:
        layers: gives the bytes of layers.
    """

    layers: Layers

    def build(
        self,
        steps: tuple[Step, ...],
        given: Mapping[str, Artifact],
        progress: Progress,
    ) -> tuple[Artifact, ...]:
        """Write each archive.

        Raises:
            BuildError: a layer is not what it was when the image was made.
            VerificationError: a container of the image could not start.
            OSError: the archive cannot be written; an older one is as it was.
        """
        return tuple(self._save(step, given, progress) for step in steps)

    def _save(self, step: Step, given: Mapping[str, Artifact], progress: Progress) -> Artifact:
        action = step.unit.action
        if not isinstance(action, SaveImage):
            raise BuildError(f"{step.unit.id} saves nothing")
        images = index_images(action.images, given, self.layers, compress=action.compress)
        size = sum(layer.descriptor.size for image in images.values() for layer in image.layers)
        meter = Meter(size, progress)
        with atomic_path(action.output) as temporary:
            written = write_layer(self._entries(action, images, meter), temporary)
        return Artifact(
            unit=step.unit.id,
            digest=str(written.digest),
            size=written.size,
            path=action.output,
            reference=action.references,
        )

    def _entries(
        self, action: SaveImage, images: Mapping[Platform, Image], meter: Meter
    ) -> tuple[Entry, ...]:
        match action.format:
            case ArchiveFormat.OCI:
                root = index_of(images)
                entries = tuple(named(root.descriptor, name) for name in action.references)
                blobs = layout_blobs(root, images.values())
                return oci_archive(
                    entries, ((digest, self._made(blob, meter)) for digest, blob in blobs.items())
                )
            case ArchiveFormat.DOCKER:
                (image,) = images.values()
                layers = tuple(
                    (f"{item.descriptor.digest.hex}.tar", self._made(Blob.of_layer(item), meter))
                    for item in image.layers
                )
                return docker_archive(image.config, layers, action.references)

    def _made(self, blob: Blob, meter: Meter) -> Made:
        fail = partial(self.layers.damaged, blob.descriptor)

        def opened() -> BlockReader:
            return BlockReader(meter.count(verified_blocks(blob.open(), blob.descriptor, fail)))

        return Made(open=opened, size=blob.descriptor.size)
