"""Layers of a release and of the same built again, compared by what is in them.

A layer's DiffID is the digest of its plain tar (OCI image specification, config.md), so it
stays where another zlib compressed the tar to other bytes.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.digest import Digest
from buildkit.errors import BuildkitError
from buildkit.images.layers import PackedLayer
from buildkit.oci.layout import Layout
from buildkit.oci.model import OCI_LAYER_GZIP, Image, Layer
from buildkit.release.documents import LAYOUT_FOLDER, ImageEntry, ReleaseDocument
from buildkit.release.layout import platform_manifests
from buildkit.verify.check import Check
from buildkit.verify.difference import json_difference, member_difference
from buildkit.verify.members import BROKEN, Member, tar_members


class Compression(Struct, frozen=True, kw_only=True):
    """Which zlib compressed a release, and which one compresses here."""

    recorded: str
    here: str

    @property
    def differs(self) -> bool:
        """Whether other bytes may be the same content."""
        return self.recorded != self.here

    def __str__(self) -> str:
        """Say that, for a check's line."""
        return f"by zlib {self.here} instead of {self.recorded or 'one that it does not name'}"


class Rebuilt(Struct, frozen=True, kw_only=True):
    """A release and the same, made once more.

    Attributes:
        folder: the release.
        again: what was made of it now.
        document: the release's own.
        zlib: what compressed the two.
    """

    folder: Path
    again: Path
    document: ReleaseDocument
    zlib: Compression


def released_layers(folder: Path, document: ReleaseDocument) -> dict[Digest, PackedLayer]:
    """Return the compressed layers of a release by the digest of what is really in them.

    Built again with these, the same contents have the same manifests, whatever zlib is here.

    Raises:
        BuildError: the layout is damaged.
    """
    if not (folder / LAYOUT_FOLDER).is_dir():
        return {}
    layout = Layout.open(folder / LAYOUT_FOLDER)
    layers = {
        layer.descriptor.digest: layer
        for image in document.images
        for one in _platforms(layout, image).values()
        for layer in one.layers
        if layer.descriptor.media_type == OCI_LAYER_GZIP
    }
    packed = (
        PackedLayer(path=layout.blob(digest), descriptor=layer.descriptor)
        for digest, layer in layers.items()
    )
    return {found: it for it in packed if (found := _content(layers[it.descriptor.digest]))}


def compare_layers(rebuilt: Rebuilt) -> Iterator[Check]:
    """Compare config and layers of each platform's image; the first file that differs is named."""
    document, zlib = rebuilt.document, rebuilt.zlib
    if not document.images:
        return
    if not (rebuilt.folder / LAYOUT_FOLDER).is_dir():
        yield _absent(document, zlib)
        return
    for image in document.images:
        try:
            first, second = (
                _platforms(Layout.open(place / LAYOUT_FOLDER), image)
                for place in (rebuilt.folder, rebuilt.again)
            )
        except BuildkitError as error:
            yield Check(subject=image.reference, compared="rebuilt", problem=str(error))
            continue
        for platform in image.platforms:
            told = f", compressed {zlib}" if zlib.differs else ""
            one, other = first.get(platform), second.get(platform)
            count = len(one.layers) if one else 0
            yield Check(
                subject=f"{image.reference} {platform}",
                compared=f"rebuilt: its config, and {count} layers by DiffID{told}",
                problem=_difference(one, other),
            )


def _absent(document: ReleaseDocument, zlib: Compression) -> Check:
    what = f"{len(document.images)} images are not here"
    problem = f"their layers were compressed {zlib}, so their digests cannot be compared"
    return Check(subject=LAYOUT_FOLDER, compared=what, problem=problem if zlib.differs else "")


def _platforms(layout: Layout, image: ImageEntry) -> dict[str, Image]:
    entry = layout.find(image.reference)
    manifests = platform_manifests(layout, entry) if entry else ()
    # Of one platform there may be no index, and then only the config tells it.
    names = iter(image.platforms)
    return {str(item.platform or next(names)): layout.image(item) for item in manifests}


def _difference(first: Image | None, second: Image | None) -> str:
    if first is None or second is None:
        return f"it is in {'the release' if first else 'what was built again'} alone"
    for number, (one, other) in enumerate(zip(first.layers, second.layers, strict=False)):
        if found := _layer_difference(one, other):
            return f"layer {number}: {found}"
    return json_difference(*(msgspec.json.decode(image.config) for image in (first, second)))


def _layer_difference(first: Layer, second: Layer) -> str:
    found = _content(first)
    if found != first.diff_id:
        return f"its content is {found or 'no gzip'}, and its DiffID {first.diff_id}"
    if first.diff_id == second.diff_id:
        return ""
    try:
        members = [_members(layer) for layer in (first, second)]
    except BROKEN as error:
        return str(error)
    return member_difference(*members) or f"its DiffID is {first.diff_id} and {second.diff_id}"


def _members(layer: Layer) -> tuple[Member, ...]:
    with layer.open() as stream:
        return tuple(tar_members(stream))


def _content(layer: Layer) -> Digest | None:
    """Return the digest of a layer's plain tar; None where it cannot be read."""
    try:
        with layer.open() as stream:
            if layer.descriptor.media_type != OCI_LAYER_GZIP:
                return Digest.of_stream(stream)
            with gzip.open(stream) as plain, io.BufferedReader(plain) as content:
                return Digest.of_stream(content)
    except (BuildkitError, *BROKEN):
        return None
