"""The archive that ``docker load`` reads: one image of one platform.

The format is Docker's image specification v1.2 as ``docker save`` writes it:
``manifest.json`` names the config and the layer tars beside it.
"""

from __future__ import annotations

from pathlib import Path

from buildkit.digest import Digest, canonical_json
from buildkit.oci.layer import Entry, LayerFile, file, write_layer
from buildkit.oci.tarstream import Content


def docker_archive(
    config: bytes, layers: tuple[tuple[Digest, Content | None], ...], tags: tuple[str, ...]
) -> tuple[Entry, ...]:
    """Return the files of a docker-archive.

    Args:
        config: the image's config; its sha256 becomes the image id.
        layers: DiffID and plain tar of each layer, the lowest first; None leaves
            the tar out, for a daemon that is known to have it.
        tags: names with tag, such as ``localhost/base:static``.
    """
    name = f"{Digest.of_bytes(config).hex}.json"
    manifest = [
        {
            "Config": name,
            "RepoTags": list(tags),
            "Layers": [f"{diff_id.hex}.tar" for diff_id, _ in layers],
        }
    ]
    contents = {f"{diff_id.hex}.tar": content for diff_id, content in layers if content is not None}
    return (
        *(Entry(path=path, content=content) for path, content in contents.items()),
        file(name, config),
        file("manifest.json", canonical_json(manifest)),
    )


def write_docker_archive(
    target: Path,
    *,
    config: bytes,
    layers: tuple[tuple[Digest, Path], ...],
    tags: tuple[str, ...],
) -> LayerFile:
    """Write an image as a docker-archive; a failure leaves no file.

    Args:
        target: the file to write.
        config: see :func:`docker_archive`, as for the rest.
        layers: DiffID and plain tar of each layer, the lowest first.
        tags: names with tag.
    """
    return write_layer(docker_archive(config, layers, tags), target)
