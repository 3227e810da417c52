"""Signed statements about images as files of a release, to be attached when it is published.

Names begin with the digest of what they are about, so that a publish finds them by it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from buildkit.attest.bundle import bundled_envelope, envelope_bundle
from buildkit.attest.dsse import parse_envelope
from buildkit.attest.images import attach_missing, bundle_attachment, signature_statement
from buildkit.attest.legacy import (
    LegacyTags,
    Payload,
    attestation_payload,
    signature_payload,
    signed_payload,
)
from buildkit.attest.signer import Signer
from buildkit.attest.statement import COSIGN_SIGN, Statement
from buildkit.decoding import decode_json
from buildkit.digest import Digest, canonical_json
from buildkit.errors import VerificationError
from buildkit.oci.model import Descriptor
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient

FOLDER = "attestations"
_PROVENANCE = "provenance.bundle.json"
"""About everything in the release, so it is there once."""
_SIGNATURE, _SBOM, _TAG = "signature.bundle.json", "sbom.bundle.json", "cosign.json"


class _Simple(msgspec.Struct):
    """A signature for cosign's own tag."""

    payload: bytes
    signature: str


class ImageProofs(Struct, frozen=True, kw_only=True):
    """Signs what a release says about its images; pure but for the signer.

    Attributes:
        signer: signs.
        legacy_tags: keep what cosign's own tags need, too.
    """

    signer: Signer
    legacy_tags: bool = False

    def about_all(self, provenance: Statement) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of the file about everything.

        Raises:
            SigningError: it cannot be signed.
        """
        yield f"{FOLDER}/{_PROVENANCE}", self._bundle(provenance)

    def about(
        self, name: str, digest: Digest, sbom: Statement | None
    ) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of each file about a manifest or index.

        Args:
            name: the image's, without tag.
            digest: what is signed.
            sbom: of a manifest; an index has none.

        Raises:
            SigningError: it cannot be signed.
        """
        stem = f"{FOLDER}/{digest.hex}"
        yield f"{stem}.{_SIGNATURE}", self._bundle(signature_statement(digest))
        if sbom is not None:
            yield f"{stem}.{_SBOM}", self._bundle(sbom)
        if self.legacy_tags:
            yield f"{stem}.{_TAG}", _encode(signature_payload(name, digest, self.signer))

    def _bundle(self, statement: Statement) -> bytes:
        return envelope_bundle(statement.signed(self.signer)) + b"\n"


class KeptProofs(Struct, frozen=True, kw_only=True):
    """Attaches what a release says about its images.

    Attributes:
        folder: the release.
        epoch: its time, in seconds since 1970.
        client: writes to registries.
    """

    folder: Path
    epoch: int
    client: RegistryClient

    def attach(self, repository: Reference, subject: Descriptor) -> int:
        """Attach what is said about a manifest that is there; returns how much that is.

        Raises:
            VerificationError: a file is not what this tool wrote.
            RegistryError: the registry fails or refuses.
        """
        bundles = tuple(self._bundles(subject.digest))
        attachments = (
            bundle_attachment(subject, kind, bundle, self.epoch) for kind, bundle in bundles
        )
        tag = self.folder / FOLDER / f"{subject.digest.hex}.{_TAG}"
        if tag.is_file():
            said = (item for item in bundles if item[0] != COSIGN_SIGN)
            LegacyTags(client=self.client).write(
                repository,
                subject.digest,
                _decode(tag),
                tuple(
                    attestation_payload(kind, bundled_envelope(bundle, FOLDER))
                    for kind, bundle in said
                ),
            )
        return len(attach_missing(self.client, repository, subject, attachments))

    def _bundles(self, digest: Digest) -> Iterator[tuple[str, bytes]]:
        """Yield predicate type and bundle of each; nothing where the image is not signed."""
        folder = self.folder / FOLDER
        if not (folder / f"{digest.hex}.{_SIGNATURE}").is_file():
            return
        for name in (f"{digest.hex}.{_SIGNATURE}", f"{digest.hex}.{_SBOM}", _PROVENANCE):
            path = folder / name
            if path.is_file():
                bundle = path.read_bytes().rstrip(b"\n")
                yield _predicate_type(bundle, name), bundle


def _predicate_type(bundle: bytes, name: str) -> str:
    envelope = parse_envelope(bundled_envelope(bundle, name), name)
    try:
        statement: dict[str, Any] = msgspec.json.decode(envelope.payload)
        return str(statement["predicateType"])
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise VerificationError(f"{name} holds no statement") from error


def _encode(payload: Payload) -> bytes:
    with payload.content.open() as stream:
        data = stream.read()
    (signature,) = dict(payload.annotations).values()
    return canonical_json(_Simple(payload=data, signature=signature)) + b"\n"


def _decode(path: Path) -> Payload:
    try:
        found = decode_json(path.read_bytes(), _Simple)
        base64.b64decode(found.signature, validate=True)
    except (msgspec.MsgspecError, binascii.Error) as error:
        raise VerificationError(f"{path.name} holds no signature") from error
    return signed_payload(found.payload, found.signature)
