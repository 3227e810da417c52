"""Names and configs of the per-platform images that exist in a daemon only."""

from __future__ import annotations

import re

from msgspec import Struct

from buildkit.digest import Digest
from buildkit.images.sheet import Sheet, SheetLayer, read_sheet
from buildkit.images.static import CERTIFICATES
from buildkit.oci.image import History, Settings, image_config
from buildkit.plan.units import Artifact
from buildkit.platform import Platform
from buildkit.reference import Reference

LOCAL = "meshwright.local"
"""The registry part of names that exist in the daemon only; no host can have it."""

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LocalBase(Struct, frozen=True, kw_only=True):
    """A base by the name to write after FROM, and what the labels say about it."""

    name: str
    label_name: str
    label_digest: str


def local_name(*parts: str, tag: str) -> str:
    """Return a name in the daemon, characters that a repository cannot have replaced."""
    clean = (re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") or "x" for part in parts)
    return f"{LOCAL}/{'/'.join(clean)}:{tag}"


def pulled_name(reference: str, platform: Platform) -> str:
    """Return the daemon's name of an image of a registry that means one platform of it."""
    tag = f"{platform.slug}-{Digest.of_bytes(reference.encode()).short}"
    return local_name("pulled", Reference.parse(reference).name, tag=tag)


def base_config(platform: Platform, layer: Digest | None) -> bytes:
    """Return the config of a base image: of one layer, or of none for scratch.

    An image without layers can be loaded and built from (seen with Docker 20.10,
    for the daemon's own and for another platform), so scratch needs no
    stand-in layer; only the special word ``scratch`` cannot be used, since the
    classic builder's cache gives its children of one platform to another. Like
    BuildKit's, it has a PATH and a working directory.
    """
    if layer is None:
        return image_config(platform, (), settings=Settings(env=(_PATH,), working_dir="/"))
    return image_config(
        platform,
        (layer,),
        settings=Settings(env=(_PATH, f"SSL_CERT_FILE=/{CERTIFICATES}")),
        history=(History(created_by="base layer"),),
    )


def base_layer(artifact: Artifact) -> Digest | None:
    """Return the DiffID of an assembled base's layer, None for scratch."""
    return Digest.parse(artifact.digest) if artifact.path else None


def local_base(artifact: Artifact, platform: Platform) -> LocalBase:
    """Return how a base is called in the daemon, whether or not it is there yet.

    A registry base carries its local name and its pinned reference, an image of
    ours its local name alone; the name of an assembled base ends in its image
    id, so that it never means anything else.
    """
    match artifact.reference:
        case (name, pinned):
            repository, _, digest = pinned.partition("@")
            return LocalBase(name=name, label_name=repository, label_digest=digest)
        case (name,):
            return LocalBase(name=name, label_name=name, label_digest=artifact.digest)
    digest = str(Digest.of_bytes(base_config(platform, base_layer(artifact))))
    title = artifact.unit.partition("@")[0].partition("/")[2]
    tag = f"{platform.slug}-{Digest.parse(digest).short}"
    name = local_name("base", title, tag=tag)
    return LocalBase(name=name, label_name=name, label_digest=digest)


def base_sheet(artifact: Artifact, platform: Platform) -> Sheet:
    """Return what a base is made of: an assembled one, one of a registry, or an image."""
    if artifact.reference and artifact.path:
        return read_sheet(artifact.path)
    if artifact.path is None:
        return Sheet(config=base_config(platform, None).decode())
    layer = SheetLayer(diff_id=artifact.digest, size=artifact.size)
    config = base_config(platform, Digest.parse(artifact.digest))
    return Sheet(config=config.decode(), layers=(layer,))
