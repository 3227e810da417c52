"""Putting images into the Docker daemon, so that ``docker images`` lists them.

An image goes as a docker-archive that is made while the daemon reads it. A daemon
with a graph driver does not read layers that it has, so those are left out; one
with the containerd store wants all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from buildkit.errors import BuildError
from buildkit.images.daemon import (
    LocalImage,
    daemon_errors,
    find_image,
    follow,
    same_platform,
    tag_image,
)
from buildkit.images.indexing import sheet_of
from buildkit.images.layers import Layers
from buildkit.images.sheet import Sheet
from buildkit.oci.layer import Entry, arrange, layer_blocks
from buildkit.oci.tarball import docker_archive
from buildkit.oci.tarstream import Made, content_size
from buildkit.plan.units import Artifact, LoadImage, Progress, Step

if TYPE_CHECKING:
    from docker import DockerClient

_CONTAINERD = "io.containerd.snapshotter"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLoader:
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
    if find_image(client, str(sheet.id)) is None:
        kept = 0 if _uses_containerd(client) else _common_layers(client, names[0], sheet)
        try:
            _send(client, archive_entries(layers, sheet, names, kept=kept), progress, brief)
        except BuildError:
            if not kept:
                raise
            _send(client, archive_entries(layers, sheet, names), progress, brief)
    else:
        for name in names:
            tag_image(client, str(sheet.id), name)
    found = find_image(client, names[0])
    config = sheet.image_config
    if (
        found is None
        or found.diff_ids != config.rootfs.diff_ids
        or not same_platform(found.platform, config.platform)
    ):
        raise BuildError(brief, details="What it has there is another image.")
    return found


def archive_entries(
    layers: Layers, sheet: Sheet, names: tuple[str, ...], *, kept: int = 0
) -> tuple[Entry, ...]:
    """Return the files of an image's docker-archive, without the ``kept`` lowest layers."""
    contents = []
    for number, layer in enumerate(sheet.layers):
        opened, size = layers.plain(layer) if number >= kept else (None, 0)
        contents.append((layer.digest, Made(open=opened, size=size) if opened else None))
    return arrange(docker_archive(sheet.config.encode(), tuple(contents), names))


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
