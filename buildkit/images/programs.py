"""A program out of an image: of a registry, or of the Docker daemon.

Which one a name means is decided as Docker decides it: a name without a registry is
looked for in the daemon first. skopeo's transports, ``docker://`` for a registry and
``docker-daemon:`` for the daemon, leave no choice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from buildkit.errors import EnvironmentMissingError, FetchError
from buildkit.images.daemon import find_image
from buildkit.images.exported import export_image
from buildkit.images.layers import Layers
from buildkit.images.remote import RegistryImages
from buildkit.images.sheet import Sheet
from buildkit.images.tree import Tree
from buildkit.oci.layer import EntryType
from buildkit.oci.tarstream import content_blocks, content_size
from buildkit.plan.units import Override
from buildkit.platform import Platform
from buildkit.reference import Reference

if TYPE_CHECKING:
    from docker import DockerClient

    from buildkit.images.daemon import LocalImage

PROGRAM = "usr/local/bin/envoy"
"""Where the images of Envoy and Istio have it."""
REGISTRY, DAEMON = "docker://", "docker-daemon:"
_ID = "sha256:"


class ImagePrograms(Struct, frozen=True, kw_only=True):
    """Finds images by what a user calls them, and reads a program of theirs.

    Attributes:
        remote: images of registries.
        layers: reads what is in them.
        client: the daemon; None where there is none.
    """

    remote: RegistryImages
    layers: Layers
    client: Callable[[], DockerClient] | None

    def find(self, words: str) -> dict[Platform, str]:
        """Return an image of each platform: a reference with its digest, or the daemon's id.

        Raises:
            ConfigError: the words are no name of an image.
            EnvironmentMissingError: the daemon is asked for, and there is none.
            FetchError: the daemon has no such image.
            BuildError, RegistryError: the registry has no such image, or fails.
        """
        name = words.removeprefix(REGISTRY).removeprefix(DAEMON)
        reference = Reference.parse(name)
        if words.startswith(DAEMON):
            return _of_daemon(self._local(reference), words)
        has_host = name.startswith(f"{reference.registry}/")
        if not words.startswith(REGISTRY) and not has_host and self.client is not None:
            local = self._local(reference)
            if local is not None:
                return _of_daemon(local, words)
        return self.remote.pinned(str(reference))

    def extract(self, given: Override, platform: Platform, target: Path) -> None:
        """Write the program of an image to a file.

        Raises:
            FetchError: the image has no such file.
            BuildkitError: the registry or the daemon fails.
        """
        sheet = self._sheet(given.image, platform)
        tree = Tree.of(*(self.layers.entries(layer) for layer in sheet.layers))
        entry = tree.find(PROGRAM)
        if entry is None or entry.type is not EntryType.FILE:
            raise _absent(given.words, tree)
        with target.open("wb") as stream:
            for block in content_blocks(entry.content, content_size(entry.content)):
                stream.write(block)

    def _sheet(self, image: str, platform: Platform) -> Sheet:
        if not image.startswith(_ID):
            return self.remote.sheet(image, platform)
        return export_image(self._daemon(), self.layers.store, image)

    def _local(self, reference: Reference) -> LocalImage | None:
        return find_image(self._daemon(), reference.familiar)

    def _daemon(self) -> DockerClient:
        if self.client is None:
            raise EnvironmentMissingError(
                "there is no Docker daemon to take an image from",
                resolution="`invoke doctor` says why; or name an image of a registry, or a file.",
            )
        return self.client()


def _of_daemon(image: LocalImage | None, words: str) -> dict[Platform, str]:
    if image is None:
        raise FetchError(
            f"the Docker daemon has no image {words.removeprefix(DAEMON)}",
            resolution="`docker images` lists what it has.",
        )
    return {Platform(image.platform.os, image.platform.arch): image.id}


def _absent(words: str, tree: Tree) -> FetchError:
    name = PROGRAM.rpartition("/")[2]
    other = [f"/{item.path}" for item in tree.below("") if item.path.rpartition("/")[2] == name]
    return FetchError(
        f"{words} has no /{PROGRAM}",
        details=f"It has {', '.join(other)}." if other else "",
        resolution="Copy the program out of the image (`docker cp`), and give that file.",
    )
