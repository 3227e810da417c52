"""Images as one file: Docker's archive, and OCI's, which is a layout in a tar.

Docker's is that of its image specification v1.2 as ``docker save`` writes it:
``manifest.json`` names the config and the layer tars beside it, which may be
gzipped. Of OCI's there is no specification but the one of the layout.
"""

from __future__ import annotations

from collections.abc import Iterable

from buildkit.digest import Digest, canonical_json
from buildkit.oci.layer import Entry, file
from buildkit.oci.layout import INDEX_FILE, MARKER, MARKER_FILE, blob_name, layout_index
from buildkit.oci.model import Descriptor
from buildkit.oci.tarstream import Content


def docker_archive(
    config: bytes, layers: tuple[tuple[str, Content | None], ...], tags: tuple[str, ...]
) -> tuple[Entry, ...]:
    """Return the files of a docker-archive, which holds one image of one platform.

    Args:
        config: the image's config; its sha256 becomes the image id.
        layers: file name and tar of each layer, the lowest first; None leaves
            the tar out, for a daemon that is known to have it.
        tags: names with tag, such as ``localhost/base:static``.
    """
    name = f"{Digest.of_bytes(config).hex}.json"
    names = [layer for layer, _ in layers]
    manifest = [{"Config": name, "RepoTags": list(tags), "Layers": names}]
    contents = {layer: content for layer, content in layers if content is not None}
    return (
        *(Entry(path=path, content=content) for path, content in contents.items()),
        file(name, config),
        file("manifest.json", canonical_json(manifest)),
    )


def oci_archive(
    entries: tuple[Descriptor, ...], blobs: Iterable[tuple[Digest, Content]]
) -> tuple[Entry, ...]:
    """Return the files of an oci-archive.

    Args:
        entries: what its index names, see :func:`buildkit.oci.layout.named`.
        blobs: everything that those reach.
    """
    return (
        file(MARKER_FILE, MARKER),
        file(INDEX_FILE, layout_index(entries)),
        *(Entry(path=blob_name(digest), content=content) for digest, content in blobs),
    )
