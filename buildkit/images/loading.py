"""Putting images into the Docker daemon, so that ``docker images`` lists them.

An image goes as an archive that is made while the daemon reads it. A daemon with a
graph driver gets a docker-archive and does not read layers that it has, so those
are left out; its id of an image is the config's digest. One with the containerd
store gets an oci-archive with all layers; its id is the manifest's digest, which it
could not keep if it had to make up a manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from buildkit.errors import BuildError
from buildkit.images.daemon import (
    LocalImage,
    daemon_errors,
    find_image,
    follow,
    same_platform,
    tag_image,
)
from buildkit.images.indexing import platform_image, sheet_of
from buildkit.images.layers import Layers
from buildkit.images.sheet import Sheet
from buildkit.oci.layer import Entry, arrange, layer_blocks
from buildkit.oci.layout import image_blobs, named
from buildkit.oci.model import Image
from buildkit.oci.tarball import docker_archive, oci_archive
from buildkit.oci.tarstream import Made, content_size
from buildkit.plan.units import Artifact, LoadImage, Progress, Step

if TYPE_CHECKING:
    from docker import DockerClient

_CONTAINERD = "io.containerd.snapshotter"


class ImageLoader(Struct, frozen=True, kw_only=True):
    """Builder of LoadImage units; an artifact's digest is the id that the daemon gives."""

    client: Callable[[], DockerClient]
    layers: Layers

    def build(
        self,
        steps: tuple[Step, ...],
        given: Mapping[str, Artifact],
        progress: Progress,
    ) -> tuple[Artifact, ...]:
        """Load and name each image.

        Raises:
            BuildError: the daemon refused it, or made something else of it.
        """
        return tuple(self._load(step, given, progress) for step in steps)

    def _load(self, step: Step, given: Mapping[str, Artifact], progress: Progress) -> Artifact:
        action = step.unit.action
        if not isinstance(action, LoadImage):
            raise BuildError(f"{step.unit.id} loads nothing")
        sheet = sheet_of(given[action.image])
        found = load_sheet(self.client(), self.layers, sheet, action.references, progress)
        return Artifact(
            unit=step.unit.id, digest=found.id, size=found.size, reference=action.references
        )


def load_sheet(
    client: DockerClient,
    layers: Layers,
    sheet: Sheet,
    names: tuple[str, ...],
    progress: Progress,
) -> LocalImage:
    """Make sure that the daemon has an image under all these names, and return it.

    Raises:
        BuildError: it refuses the image, or made something else of it.
    """
    brief = f"the daemon cannot load {names[0]}"
    containerd = _uses_containerd(client)
    identity = image_ids(layers, sheet)[containerd]
    if find_image(client, identity) is not None:
        for name in names:
            tag_image(client, identity, name)
    elif containerd:
        image = platform_image(sheet, layers, compress=False)
        _send(client, image_entries(image, names), progress, brief)
    else:
        _send_new_layers(client, layers, sheet, names, progress)
    found = find_image(client, names[0])
    config = sheet.image_config
    if (
        found is None
        or found.diff_ids != config.rootfs.diff_ids
        or not same_platform(found.platform, config.platform)
    ):
        raise BuildError(brief, details="What it has there is another image.")
    return found


def image_ids(layers: Layers, sheet: Sheet) -> tuple[str, str]:
    """Return what an image's id is in a daemon with a graph driver, and with containerd's store."""
    manifest = platform_image(sheet, layers, compress=False).descriptor
    return str(sheet.id), str(manifest.digest)


def archive_entries(
    layers: Layers, sheet: Sheet, names: tuple[str, ...], *, kept: int = 0
) -> tuple[Entry, ...]:
    """Return the files of an image's docker-archive, without the ``kept`` lowest layers."""
    contents = []
    for number, layer in enumerate(sheet.layers):
        opened, size = layers.plain(layer) if number >= kept else (None, 0)
        content = Made(open=opened, size=size) if opened else None
        contents.append((f"{layer.digest.hex}.tar", content))
    return arrange(docker_archive(sheet.config.encode(), tuple(contents), names))


def image_entries(image: Image, names: tuple[str, ...]) -> tuple[Entry, ...]:
    """Return the files of an oci-archive of one platform's image."""
    blobs = {blob.descriptor.digest: blob for blob in image_blobs(image)}
    contents = (
        (digest, Made(open=blob.open, size=blob.descriptor.size)) for digest, blob in blobs.items()
    )
    entries = tuple(named(image.descriptor, name) for name in names)
    return arrange(oci_archive(entries, contents))


def _send_new_layers(
    client: DockerClient,
    layers: Layers,
    sheet: Sheet,
    names: tuple[str, ...],
    progress: Progress,
) -> None:
    brief = f"the daemon cannot load {names[0]}"
    kept = _common_layers(client, names[0], sheet)
    try:
        _send(client, archive_entries(layers, sheet, names, kept=kept), progress, brief)
    except BuildError:
        if not kept:
            raise
        _send(client, archive_entries(layers, sheet, names), progress, brief)


def _send(client: DockerClient, entries: tuple[Entry, ...], progress: Progress, brief: str) -> None:
    progress(f"{sum(content_size(entry.content) for entry in entries) / 1e6:.0f} MB")
    with daemon_errors(brief):
        api: Any = client.api  # load_image has no type information
        stream = (bytes(block) for block in layer_blocks(entries))
        follow(api.load_image(stream), progress, brief=brief)


def _common_layers(client: DockerClient, name: str, sheet: Sheet) -> int:
    """Count the lowest layers that the daemon has for sure, since another image has them."""
    found = find_image(client, name)
    pairs = zip(sheet.layers, found.diff_ids if found else (), strict=False)
    count = 0
    for layer, diff_id in pairs:
        if layer.diff_id != diff_id:
            break
        count += 1
    return count


def _uses_containerd(client: DockerClient) -> bool:
    with daemon_errors("the daemon does not describe itself"):
        status = client.info().get("DriverStatus") or ()
    return any(_CONTAINERD in str(pair) for pair in status)
