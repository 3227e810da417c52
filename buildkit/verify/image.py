"""Checks of images, in a release's layout or in a registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from buildkit.build.stamps import stored_stamp
from buildkit.decoding import decode_json
from buildkit.digest import Digest
from buildkit.errors import BuildkitError
from buildkit.oci.model import INDEXES, MANIFESTS, Descriptor
from buildkit.platform import Platform
from buildkit.registry.originals import Document, Original
from buildkit.release.documents import ImageEntry, ReleaseDocument
from buildkit.verify.check import Check, compare
from buildkit.verify.contents import Expected, check_contents
from buildkit.verify.members import BROKEN, Member, tar_members
from buildkit.verify.release import is_file, stamped_units, unit_digests

_MALFORMED = (*BROKEN, BuildkitError, AttributeError, TypeError, msgspec.MsgspecError)
_VERSION, _REVISION = "org.opencontainers.image.version", "org.opencontainers.image.revision"


def check_image(original: Original, image: ImageEntry, release: ReleaseDocument) -> Iterator[Check]:
    """Compare an image with what a release says of it: digests, platforms, configs, contents."""
    name = image.reference
    yield compare(name, "digest", str(original.root.descriptor.digest), image.digest)
    manifests = {
        str(document.descriptor.digest): document
        for document in original.documents
        if document.descriptor.media_type in MANIFESTS
    }
    for platform, digest in image.platforms.items():
        subject = f"{name} {platform}"
        if digest not in manifests:
            yield Check(subject=subject, compared="manifest", problem=f"{digest} is missing")
            continue
        try:
            yield from _platform(subject, original, manifests[digest], (platform, image, release))
        except _MALFORMED as error:
            yield Check(subject=subject, compared="its content", problem=str(error))


def check_alone(original: Original) -> Iterator[Check]:
    """Compare an image with itself, where no release says what it should be.

    Its executables are for its platforms, its configs have the platforms of its index.
    """
    indexed = _indexed_platforms(original)
    for document in original.documents:
        if document.descriptor.media_type in MANIFESTS:
            digest = document.descriptor.digest
            subject = f"{original.name} {indexed.get(digest, digest.short)}"
            try:
                yield from _manifest(subject, original, document, indexed.get(digest))
            except _MALFORMED as error:
                yield Check(subject=subject, compared="its content", problem=str(error))


def _manifest(
    subject: str, original: Original, document: Document, expected: Platform | None
) -> Iterator[Check]:
    config = _config(original, document)
    platform = _config_platform(config)
    yield compare(subject, "the config's platform", str(platform), str(expected or platform))
    labels = config.get("config", {}).get("Labels") or {}
    yield Check(subject=subject, compared=f"label {_VERSION} is {labels.get(_VERSION, 'none')}")
    members = _members(original, document, b"")
    yield from check_contents(subject, members, Expected(platform=platform, units={}, others=True))


def _indexed_platforms(original: Original) -> dict[Digest, Platform]:
    if original.root.descriptor.media_type not in INDEXES:
        return {}
    entries = msgspec.json.decode(original.root.data)["manifests"]
    found = (Descriptor.from_json(entry) for entry in entries)
    return {item.digest: item.platform for item in found if item.platform is not None}


def _platform(
    subject: str,
    original: Original,
    manifest: Document,
    of: tuple[str, ImageEntry, ReleaseDocument],
) -> Iterator[Check]:
    platform, image, release = of
    config = _config(original, manifest)
    labels = config.get("config", {}).get("Labels") or {}
    yield compare(subject, "the config's platform", str(_config_platform(config)), platform)
    yield compare(subject, f"label {_VERSION}", labels.get(_VERSION), release.version)
    revision = f"{release.source.revision}-dirty" if release.source.dirty else None
    if _REVISION in labels:
        expected = revision or release.source.revision
        yield compare(subject, f"label {_REVISION}", labels[_REVISION], expected)
    digests = unit_digests(release)
    unit = f"image/{image.unit}@{platform}"
    held = next((item.holds for item in release.units if item.id == unit), ())
    expected_files = Expected(
        platform=Platform.parse(platform),
        units={name: digests[name] for name in held if is_file(name)},
        stamped=stamped_units(release),
        others=True,
    )
    members = _members(original, manifest, stored_stamp(release.version))
    yield from check_contents(subject, members, expected_files)


def _members(original: Original, manifest: Document, text: bytes) -> Iterator[Member]:
    for layer in msgspec.json.decode(manifest.data)["layers"]:
        with original.open(Descriptor.from_json(layer)) as stream:
            yield from tar_members(stream, text)


def _config(original: Original, manifest: Document) -> dict[str, Any]:
    descriptor = Descriptor.from_json(msgspec.json.decode(manifest.data)["config"])
    with original.open(descriptor) as stream:
        return decode_json(stream.read(), dict[str, Any])


def _config_platform(config: dict[str, Any]) -> Platform:
    parts = (config["os"], config["architecture"], config.get("variant"))
    return Platform.parse("/".join(filter(None, parts)))
