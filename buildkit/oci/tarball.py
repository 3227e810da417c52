"""The archive that ``docker load`` reads: one image of one platform.

The format is Docker's image specification v1.2 as ``docker save`` writes it:
``manifest.json`` names the config and the layer tars beside it.
"""

from __future__ import annotations

from pathlib import Path

from buildkit.digest import Digest, canonical_json
from buildkit.oci.layer import Entry, LayerFile, file, write_layer


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
        config: the image's config; its sha256 becomes the image id.
        layers: DiffID and plain tar of each layer, the lowest first.
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
    contents: dict[str, Entry] = {
        f"{diff_id.hex}.tar": file(f"{diff_id.hex}.tar", path) for diff_id, path in layers
    }
    contents[name] = file(name, config)
    contents["manifest.json"] = file("manifest.json", canonical_json(manifest))
    return write_layer(contents.values(), target)
