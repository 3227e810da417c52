"""Putting bases into the daemon, each under a name of one platform and one content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildkit.digest import Digest
from buildkit.errors import BuildError
from buildkit.images.daemon import LocalImage, daemon_errors, find_image, follow, silent, tag_image
from buildkit.images.local import LocalBase, base_config, base_layer, local_base, local_name
from buildkit.oci.tarball import write_docker_archive
from buildkit.plan.units import Artifact, Progress
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.store import Store

if TYPE_CHECKING:
    from docker import DockerClient


def load_base(
    client: DockerClient, store: Store, artifact: Artifact, platform: Platform
) -> LocalBase:
    """Put a base into the daemon unless it is there, and return its name.

    Raises:
        BuildError: the daemon refuses it, or made something else of it.
    """
    base = local_base(artifact, platform)
    # Several images start from one base at once; one of them loads it.
    with store.lock(f"load-{Digest.of_bytes(base.name.encode()).short}"):
        if artifact.reference:
            _bring_back(client, artifact, platform)
        elif not _is_loaded(client, base, platform, base_layer(artifact)):
            _load(client, store, artifact, platform, base)
    return base


def pull_image(
    client: DockerClient,
    reference: str,
    platform: Platform,
    progress: Progress,
    *,
    name: str = "",
) -> tuple[str, LocalImage]:
    """Pull an image for one platform and give it a local name that means this platform.

    Returns:
        The local name, and what the daemon has there.

    Raises:
        BuildError: it cannot be pulled, or has no such platform.
    """
    target = Reference.parse(reference)
    name = name or local_name("pulled", target.name, tag=_pulled_tag(reference, platform))
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


def _bring_back(client: DockerClient, artifact: Artifact, platform: Platform) -> None:
    if find_image(client, artifact.reference[0]) is not None:
        return
    match artifact.reference:
        case (name, pinned):
            pull_image(client, pinned, platform, silent, name=name)
        case _:
            raise BuildError(
                f"the daemon no longer has {artifact.reference[0]}",
                details=f"It is the base that {artifact.unit} made.",
                resolution="Run the build again: the plan then sees that it is missing.",
            )


def same_platform(found: Platform, wanted: Platform) -> bool:
    """Compare system and architecture; a daemon may name a variant that nobody asked for."""
    return (found.os, found.arch) == (wanted.os, wanted.arch)


def _load(
    client: DockerClient, store: Store, artifact: Artifact, platform: Platform, base: LocalBase
) -> None:
    layer = base_layer(artifact)
    layers = ((layer, artifact.path),) if layer and artifact.path else ()
    brief = f"the daemon cannot load {base.name}"
    with store.workspace() as folder:
        archive = folder / "image.tar"
        write_docker_archive(
            archive, config=base_config(platform, layer), layers=layers, tags=(base.name,)
        )
        with archive.open("rb") as stream, daemon_errors(brief):
            api: Any = client.api  # load_image has no type information
            follow(api.load_image(stream), silent, brief=brief)
    if not _is_loaded(client, base, platform, layer):
        raise BuildError(brief, details="What it has there is another platform or other layers.")


def _is_loaded(
    client: DockerClient, base: LocalBase, platform: Platform, layer: Digest | None
) -> bool:
    found = find_image(client, base.name)
    # With the containerd store an image's id is its manifest's, so layers are compared.
    return (
        found is not None
        and same_platform(found.platform, platform)
        and found.diff_ids == ((str(layer),) if layer else ())
    )


def _pulled_tag(reference: str, platform: Platform) -> str:
    return f"{platform.slug}-{Digest.of_bytes(reference.encode()).short}"
