"""Images of a registry by their manifest and config; layers are read when something needs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from buildkit.decoding import decode_json
from buildkit.errors import BuildError
from buildkit.images.sheet import Remote, Sheet, SheetLayer
from buildkit.oci.config import ImageConfig
from buildkit.oci.model import INDEXES, Descriptor
from buildkit.platform import Platform
from buildkit.reference import Locate, Reference, itself
from buildkit.registry.errors import AbsentError, of_mirror

if TYPE_CHECKING:
    from buildkit.registry.client import Manifest, RegistryClient

_CONFIG_LIMIT = 8 << 20


class RegistryImages(Struct, frozen=True, kw_only=True):
    """Images by reference, for one platform each.

    Attributes:
        registry: reads them.
        locate: where an image is read from, which is a mirror for some.
    """

    registry: Callable[[], RegistryClient]
    locate: Locate = itself

    def pinned(self, name: str) -> dict[Platform, str]:
        """Return an image of each platform that there is, as a reference with its digest.

        Raises:
            BuildError: it is no image.
            RegistryError: it is not there, or the registry fails.
        """
        origin = Reference.parse(name)
        manifest = self._manifest(origin)
        if manifest.descriptor.media_type in INDEXES:
            entries = map(Descriptor.from_json, _decode(manifest.data, name).get("manifests") or ())
            found = {item.platform: item.digest for item in entries if item.platform}
        else:
            data, _ = self._parts(self.locate(origin), manifest.data, name)
            found = {ImageConfig.decode(data).platform: manifest.descriptor.digest}
        return {
            replace(platform, variant=""): str(origin.with_digest(digest))
            for platform, digest in found.items()
        }

    def sheet(self, name: str, platform: Platform) -> Sheet:
        """Return what a registry says an image is made of.

        Raises:
            BuildError: it has no such platform, or is no image.
            RegistryError: it is not there, or the registry fails.
        """
        origin = Reference.parse(name)
        reference = self.locate(origin)
        manifest = self._manifest(origin)
        if manifest.descriptor.media_type in INDEXES:
            chosen = _choose(_decode(manifest.data, name), platform, name)
            manifest = self.registry().get_manifest(reference.with_digest(chosen.digest))
        return _sheet(origin, *self._parts(reference, manifest.data, name), platform)

    def _manifest(self, origin: Reference) -> Manifest:
        return read_manifest(self.registry(), origin, self.locate(origin))

    def _parts(
        self, reference: Reference, manifest: bytes, name: str
    ) -> tuple[bytes, tuple[Descriptor, ...]]:
        """Return the config of a manifest and its layers."""
        value = _decode(manifest, name)
        try:
            described = Descriptor.from_json(value["config"])
            layers = tuple(Descriptor.from_json(item) for item in value["layers"])
        except (KeyError, ValueError, TypeError) as error:
            raise BuildError(f"{name} is no image", details=str(error)) from error
        return self.registry().blobs.read(reference, described, limit=_CONFIG_LIMIT), layers


def read_manifest(registry: RegistryClient, origin: Reference, place: Reference) -> Manifest:
    """Return the manifest or index of an image, read from where a mirror may have it.

    Args:
        registry: reads it.
        origin: the image, as its users know it.
        place: where it is read.

    Raises:
        RegistryError: it is not there, which the error says of the mirror, or the registry fails.
    """
    try:
        return registry.get_manifest(place)
    except AbsentError as error:
        raise of_mirror(error, origin, place) from error


def _sheet(
    reference: Reference, data: bytes, layers: tuple[Descriptor, ...], platform: Platform
) -> Sheet:
    config = ImageConfig.decode(data)
    found = config.platform
    if (found.os, found.arch) != (platform.os, platform.arch):
        raise _wrong_platform(str(reference), platform, str(found))
    if len(config.diff_ids) != len(layers):
        raise BuildError(f"the config of {reference} names other layers than its manifest")
    origin = reference.name
    return Sheet(
        config=data.decode(),
        layers=tuple(
            SheetLayer(
                diff_id=str(diff_id),
                remote=Remote(
                    origin=origin,
                    media_type=layer.media_type,
                    digest=str(layer.digest),
                    size=layer.size,
                ),
            )
            for diff_id, layer in zip(config.diff_ids, layers, strict=True)
        ),
    )


def _choose(value: dict[str, Any], platform: Platform, name: str) -> Descriptor:
    entries = [Descriptor.from_json(item) for item in value.get("manifests") or ()]
    fitting = [
        item
        for item in entries
        if item.platform and (item.platform.os, item.platform.arch) == (platform.os, platform.arch)
    ]
    exact = [item for item in fitting if item.platform == platform]
    if not fitting:
        there = ", ".join(sorted({str(item.platform) for item in entries if item.platform}))
        raise _wrong_platform(name, platform, there or "no platform")
    return (exact or fitting)[0]


def _decode(data: bytes, name: str) -> dict[str, Any]:
    try:
        return decode_json(data, dict[str, Any])
    except msgspec.MsgspecError as error:
        raise BuildError(f"{name} is no image", details=str(error)) from error


def _wrong_platform(name: str, platform: Platform, there: str) -> BuildError:
    return BuildError(
        f"{name} does not exist for {platform}",
        details=f"The registry has it for {there}.",
        resolution="Name an image that has this platform, and pin it with `invoke lock`.",
    )
