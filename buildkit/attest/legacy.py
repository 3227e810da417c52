"""The tags of cosign 1 and 2: ``sha256-<hex>.sig`` and ``.att`` beside an image.

Formats: specs/SIGNATURE_SPEC.md and specs/ATTESTATION_SPEC.md of github.com/sigstore/cosign.
Each tag names a manifest whose layers are signed payloads; others may have put theirs
there before, which stay.
"""

from __future__ import annotations

import base64
from typing import Any

from msgspec import Struct

from buildkit.attest.dsse import ENVELOPE_TYPE
from buildkit.attest.signer import Signer
from buildkit.digest import Digest, canonical_json
from buildkit.oci.attachment import Content
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from buildkit.registry.signature_tags import (
    ATTESTATION,
    SIGNATURE,
    kept_layers,
    signature_tag,
    write_layers,
)

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"


class Payload(Struct, frozen=True, kw_only=True):
    """A layer of such a manifest: what was signed, and the annotations of its descriptor."""

    content: Content
    annotations: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the layer's descriptor."""
        return {**self.content.descriptor.to_json(), "annotations": dict(self.annotations)}


class LegacyTags(Struct, frozen=True, kw_only=True):
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
        self._add(repository.with_tag(signature_tag(digest, SIGNATURE)), (signed,))
        if said:
            self._add(repository.with_tag(signature_tag(digest, ATTESTATION)), said)

    def _add(self, tag: Reference, payloads: tuple[Payload, ...]) -> None:
        kept = kept_layers(self.client, tag)
        new = [item.to_json() for item in payloads]
        layers = [*kept, *(item for item in new if item not in kept)]
        if layers == kept:
            return
        for item in payloads:
            self.client.blobs.push(tag, item.content.descriptor, item.content.open)
        write_layers(self.client, tag, layers)


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
