"""What is said about an image and kept beside it: an SBOM, a signature, provenance.

OCI image specification 1.1, manifest.md, "Guidelines for Artifact Usage": a manifest
whose ``subject`` names the image, whose type is ``artifactType``, with the content as
layers and an empty config.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BufferedIOBase, BytesIO

from msgspec import Struct
from msgspec.structs import replace

from buildkit.digest import canonical_json
from buildkit.oci.model import OCI_MANIFEST, Descriptor

OCI_EMPTY = "application/vnd.oci.empty.v1+json"
EMPTY = b"{}"
"""The content that the specification prescribes where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A blob of an attachment."""

    descriptor: Descriptor
    open: Callable[[], BufferedIOBase] = field(compare=False)

    @classmethod
    def of(cls, media_type: str, data: bytes) -> Content:
        """Take bytes."""
        return cls(descriptor=Descriptor.of(media_type, data), open=lambda: BytesIO(data))


class Attachment(Struct, frozen=True, kw_only=True):
    """A manifest with a subject, as bytes, and the blobs that it names."""

    manifest: bytes
    subject: Descriptor
    artifact_type: str
    contents: tuple[Content, ...]
    annotations: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(
        cls,
        subject: Descriptor,
        artifact_type: str,
        contents: tuple[Content, ...] = (),
        annotations: Mapping[str, str] | None = None,
    ) -> Attachment:
        """Attach contents to a manifest or index.

        Args:
            subject: what it is said about.
            artifact_type: a media type such as ``application/spdx+json``.
            contents: may be none, where the annotations say it all.
            annotations: of the manifest; lists of referrers repeat them.
        """
        config = Content.of(OCI_EMPTY, EMPTY)
        layers = contents or (config,)
        value = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": config.descriptor.to_json(),
            "layers": [layer.descriptor.to_json() for layer in layers],
            "subject": replace(subject, platform=None, annotations=()).to_json(),
        }
        if annotations:
            value["annotations"] = dict(annotations)
        return cls(
            manifest=canonical_json(value),
            subject=subject,
            artifact_type=artifact_type,
            contents=(config, *contents),
            annotations=tuple(sorted((annotations or {}).items())),
        )

    @property
    def descriptor(self) -> Descriptor:
        """How a list of referrers names it."""
        return replace(
            Descriptor.of(OCI_MANIFEST, self.manifest),
            artifact_type=self.artifact_type,
            annotations=self.annotations,
        )
