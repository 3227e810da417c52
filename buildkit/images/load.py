"""Putting bases into the daemon, each under a name of one platform and one content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildkit.digest import Digest
from buildkit.errors import BuildError
from buildkit.images.daemon import (
    LocalImage,
    daemon_errors,
    find_image,
    follow,
    same_platform,
    silent,
    tag_image,
)
from buildkit.images.layers import Layers
from buildkit.images.loading import image_ids, load_sheet
from buildkit.images.local import LocalBase, base_sheet, local_base, pulled_name
from buildkit.plan.units import Artifact, Progress
from buildkit.platform import Platform
from buildkit.reference import Locate, Reference, itself

if TYPE_CHECKING:
    from docker import DockerClient


def load_base(
    client: DockerClient, layers: Layers, artifact: Artifact, platform: Platform
) -> LocalBase:
    """Put a base into the daemon unless it is there, and return its name.

    Raises:
        BuildError: the daemon refuses it, or made something else of it.
    """
    base = local_base(artifact, platform)
    sheet = base_sheet(artifact, platform)
    # Several images start from one base at once; one of them loads it.
    with layers.store.lock(f"load-{Digest.of_bytes(base.name.encode()).short}"):
        found = find_image(client, base.name)
        if found is None or found.id not in image_ids(layers, sheet):
            load_sheet(client, layers, sheet, (base.name,), silent)
    return base


def pull_image(
    client: DockerClient,
    reference: str,
    platform: Platform,
    progress: Progress,
    locate: Locate = itself,
) -> tuple[str, LocalImage]:
    """Pull an image for one platform and give it a local name that means this platform.

    Returns:
        The local name, and what the daemon has there.

    Raises:
        BuildError: it cannot be pulled, or has no such platform.
    """
    target = locate(Reference.parse(reference))
    name = pulled_name(reference, platform)
    brief = f"{reference} cannot be pulled for {platform}"
    version = str(target.digest or target.tag or "latest")
    with daemon_errors(brief):
        entries = client.api.pull(
            target.name,
            tag=version,
            platform=str(platform),
            stream=True,
            decode=True,
        )
    follow(entries, progress, brief=brief)
    found = find_image(client, f"{target.name}{'@' if target.digest else ':'}{version}")
    if found is None or not same_platform(found.platform, platform):
        raise BuildError(
            brief,
            details=f"The daemon got {found.platform if found else 'nothing'}.",
            resolution="Name an image that has this platform, and pin it with `invoke lock`.",
        )
    tag_image(client, found.id, name)
    return name, found
