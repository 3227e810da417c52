"""OCI's image model as immutable values; the bytes that were hashed are kept.

Media types and fields are those of the OCI image specification 1.1 and of
Docker's image manifest version 2, schema 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import Any

from msgspec import Struct

from buildkit.digest import Digest, canonical_json
from buildkit.platform import Platform

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})


class Descriptor(Struct, frozen=True, kw_only=True):
    """Names content by type, digest and size in bytes."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    artifact_type: str = ""

    @classmethod
    def of(cls, media_type: str, data: bytes, platform: Platform | None = None) -> Descriptor:
        """Describe bytes."""
        return cls(
            media_type=media_type,
            digest=Digest.of_bytes(data),
            size=len(data),
            platform=platform,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the descriptor as the specification writes it."""
        value: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.platform is not None:
            value["platform"] = platform_json(self.platform)
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Descriptor:
        """Read a descriptor of a manifest or index.

        Raises:
            KeyError, ValueError: a required field is missing or malformed.
        """
        platform = value.get("platform")
        return cls(
            media_type=value["mediaType"],
            digest=Digest.parse(value["digest"]),
            size=int(value["size"]),
            platform=_platform(platform) if platform else None,
            annotations=tuple(sorted((value.get("annotations") or {}).items())),
            artifact_type=value.get("artifactType") or "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer: ``descriptor`` is of its bytes as moved, ``diff_id`` of its plain tar.

    ``origin`` names a repository that has those bytes, where one is known.
    """

    descriptor: Descriptor
    diff_id: Digest
    open: Callable[[], BufferedIOBase] = field(compare=False)
    origin: str = ""


class Image(Struct, frozen=True, kw_only=True):
    """One platform's image: manifest and config as bytes, and its layers."""

    manifest: bytes
    media_type: str
    config: bytes
    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, config: bytes, layers: tuple[Layer, ...]) -> Image:
        """Make the OCI manifest of a config and its layers, the lowest first."""
        manifest = canonical_json(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": Descriptor.of(OCI_CONFIG, config).to_json(),
                "layers": [layer.descriptor.to_json() for layer in layers],
            }
        )
        return cls(manifest=manifest, media_type=OCI_MANIFEST, config=config, layers=layers)

    @property
    def descriptor(self) -> Descriptor:
        """The manifest's own descriptor."""
        return Descriptor.of(self.media_type, self.manifest)

    @property
    def config_descriptor(self) -> Descriptor:
        """The config's descriptor."""
        return Descriptor.of(OCI_CONFIG, self.config)


class Index(Struct, frozen=True, kw_only=True):
    """Several platforms under one name."""

    data: bytes
    media_type: str
    manifests: tuple[Descriptor, ...]

    @classmethod
    def of(cls, manifests: tuple[Descriptor, ...]) -> Index:
        """Make the index of platform manifests, in the order of their platforms.

        A list of Docker manifests becomes a Docker manifest list, since some
        registries refuse an index of mixed families.
        """
        docker = all(item.media_type == DOCKER_MANIFEST for item in manifests)
        media_type = DOCKER_LIST if docker else OCI_INDEX
        ordered = tuple(sorted(manifests, key=lambda item: str(item.platform)))
        data = canonical_json(
            {
                "schemaVersion": 2,
                "mediaType": media_type,
                "manifests": [item.to_json() for item in ordered],
            }
        )
        return cls(data=data, media_type=media_type, manifests=ordered)

    @property
    def descriptor(self) -> Descriptor:
        """The index's own descriptor."""
        return Descriptor.of(self.media_type, self.data)


def platform_json(platform: Platform) -> dict[str, str]:
    """Return a platform as OCI's index writes it."""
    value = {"architecture": platform.arch, "os": platform.os}
    return value | {"variant": platform.variant} if platform.variant else value


def _platform(value: dict[str, str]) -> Platform:
    return Platform(value["os"], value["architecture"], value.get("variant", ""))
