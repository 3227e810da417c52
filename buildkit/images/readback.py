"""What a registry has after a push, read back and compared with what was meant.

What an image holds was checked where it was put together (``start.py``). Its
manifest names every layer by sha256, and a registry verifies a blob when it takes
it: so where the manifests are the very bytes that were meant, the contents are too,
and nothing needs to be fetched to look into it once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from buildkit.decoding import decode_json
from buildkit.errors import VerificationError
from buildkit.oci.config import ImageConfig
from buildkit.oci.model import Descriptor, Image, Index
from buildkit.platform import Platform
from buildkit.reference import Reference

if TYPE_CHECKING:
    from buildkit.registry.client import RegistryClient

_CONFIG_LIMIT = 8 << 20


class _Listing(msgspec.Struct, frozen=True):
    manifests: tuple[dict[str, object], ...] = ()


def read_back(
    registry: RegistryClient,
    tags: Iterable[Reference],
    index: Index,
    images: Mapping[Platform, Image],
) -> None:
    """Check every tag, and in each repository every platform's manifest and config.

    Raises:
        VerificationError: the registry has something else.
        RegistryError: it cannot be asked.
    """
    repositories: dict[str, Reference] = {}
    for tag in tags:
        _check_tag(registry, tag, index, frozenset(images))
        repositories.setdefault(tag.name, tag)
    for tag in repositories.values():
        for platform, image in images.items():
            _check_image(registry, tag, platform, image)


def _check_tag(
    registry: RegistryClient, tag: Reference, index: Index, wanted: frozenset[Platform]
) -> None:
    found = registry.get_manifest(tag)
    if found.data != index.data:
        raise VerificationError(
            f"{tag} is not what was pushed",
            details=f"It is {found.descriptor.digest}, pushed was {index.descriptor.digest}.",
            resolution="Somebody else may push the same tag; run it again.",
        )
    there = _platforms(found.data)
    if there != wanted:
        raise VerificationError(
            f"{tag} is for {_names(there)}", details=f"It should be for {_names(wanted)}."
        )


def _check_image(
    registry: RegistryClient, tag: Reference, platform: Platform, image: Image
) -> None:
    kept = registry.get_manifest(tag.with_digest(image.descriptor.digest))
    data = registry.blobs.read(tag, image.config_descriptor, limit=_CONFIG_LIMIT)
    config = ImageConfig.decode(data)
    same = (config.os, config.architecture) == (platform.os, platform.arch)
    if kept.data != image.manifest or not same:
        raise VerificationError(
            f"{tag} is not what was pushed for {platform}",
            details=f"Its config is one of {config.platform}.",
        )


def _platforms(data: bytes) -> frozenset[Platform | None]:
    listing = decode_json(data, _Listing)
    return frozenset(Descriptor.from_json(dict(item)).platform for item in listing.manifests)


def _names(platforms: frozenset[Platform | None]) -> str:
    return ", ".join(sorted(map(str, platforms))) or "no platform"
