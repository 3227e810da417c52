"""The tags of cosign 1 and 2: ``sha256-<hex>.sig`` and ``.att`` beside an image.

Formats: specs/SIGNATURE_SPEC.md and specs/ATTESTATION_SPEC.md of github.com/sigstore/cosign.
Each tag names a manifest whose layers are signed payloads; others may have put theirs
there before, which stay.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from buildkit.attest.dsse import ENVELOPE_TYPE
from buildkit.attest.signer import Signer
from buildkit.digest import Digest, canonical_json
from buildkit.errors import RegistryError
from buildkit.oci.attachment import Content
from buildkit.oci.model import OCI_CONFIG, OCI_MANIFEST
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A layer of such a manifest: what was signed, and the annotations of its descriptor."""

    content: Content
    annotations: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the layer's descriptor."""
        return {**self.content.descriptor.to_json(), "annotations": dict(self.annotations)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyTags:
    """Writes the tags of a manifest."""

    client: RegistryClient

    def write(
        self, repository: Reference, digest: Digest, signed: Payload, said: tuple[Payload, ...]
    ) -> None:
        """Add a signature and attestations; doing it again changes nothing.

        Args:
            repository: where the image is; tag and digest are ignored.
            digest: of its manifest or index.
            signed: see :func:`signature_payload`.
            said: see :func:`attestation_payload`.

        Raises:
            RegistryError: the registry fails or refuses.
        """
        stem = f"sha256-{digest.hex}"
        self._add(repository.with_tag(f"{stem}.sig"), (signed,))
        if said:
            self._add(repository.with_tag(f"{stem}.att"), said)

    def _add(self, tag: Reference, payloads: tuple[Payload, ...]) -> None:
        kept = self._kept(tag)
        new = [item.to_json() for item in payloads]
        layers = [*kept, *(item for item in new if item not in kept)]
        if layers == kept:
            return
        config = Content.of(OCI_CONFIG, _config(layers))
        for content in (config, *(item.content for item in payloads)):
            self.client.blobs.push(tag, content.descriptor, content.open)
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.descriptor.to_json(),
            "layers": layers,
        }
        self.client.put_manifest(tag, canonical_json(manifest), OCI_MANIFEST)

    def _kept(self, tag: Reference) -> list[dict[str, Any]]:
        if self.client.head_manifest(tag) is None:
            return []
        try:
            layers = msgspec.json.decode(self.client.get_manifest(tag).data)["layers"]
            return list(layers)
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            raise RegistryError(
                f"{tag} is no list of signatures",
                resolution="Remove that tag, or leave --legacy-tags out.",
            ) from error


def signature_payload(name: str, digest: Digest, signer: Signer) -> Payload:
    """Sign what cosign calls simple signing.

    Args:
        name: the image's, without tag and digest.
        digest: of its manifest or index.
        signer: signs.

    Raises:
        SigningError: it cannot be signed.
    """
    data = canonical_json(
        {
            "critical": {
                "identity": {"docker-reference": name},
                "image": {"docker-manifest-digest": str(digest)},
                "type": "cosign container image signature",
            },
            "optional": None,
        }
    )
    value = base64.b64encode(signer.sign(Digest.of_bytes(data)).value).decode()
    return signed_payload(data, value)


def signed_payload(data: bytes, signature: str) -> Payload:
    """Return such a payload that was signed before; the signature is in base64."""
    return Payload(content=Content.of(SIMPLE_SIGNING, data), annotations=((_SIGNATURE, signature),))


def attestation_payload(predicate_type: str, envelope: bytes) -> Payload:
    """Return an attestation, an envelope with a statement of a type."""
    return Payload(
        content=Content.of(ENVELOPE_TYPE, envelope),
        # The signature is in the envelope; cosign wants the annotation nevertheless.
        annotations=((_SIGNATURE, ""), ("predicateType", predicate_type)),
    )


def _config(layers: Iterable[dict[str, Any]]) -> bytes:
    diff_ids = [layer["digest"] for layer in layers]
    return canonical_json(
        {
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    )
