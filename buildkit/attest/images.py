"""Signatures and attestations that lie beside an image in its registry, as cosign 3 keeps them.

Each is a Sigstore bundle in a manifest of its own that refers to the image's
(``WriteAttestationNewBundleFormat`` in cosign's pkg/oci/remote/write.go). A plain
signature is one too: a statement of cosign's own type about the digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from buildkit.attest.bundle import BUNDLE_TYPE, bundled_envelope, envelope_bundle
from buildkit.attest.dsse import Envelope, open_envelope
from buildkit.attest.legacy import LegacyTags, attestation_payload, signature_payload
from buildkit.attest.signer import Signer, Verifier
from buildkit.attest.statement import COSIGN_SIGN, Statement, Subject, read_statement
from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.oci.attachment import Attachment, Content
from buildkit.oci.image import timestamp
from buildkit.oci.model import Descriptor
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient

_LIMIT = 64 << 20
"""Bytes of a bundle; the SBOM of a large image has a few million."""

_Enveloped = tuple[Statement, Envelope]


class Attested(Struct, frozen=True, kw_only=True):
    """A manifest or index, and what is said about it beside its signature."""

    subject: Descriptor
    statements: tuple[Statement, ...] = ()


class ImageAttester(Struct, frozen=True, kw_only=True):
    """Signs images and attaches what is said about them.

    Attributes:
        client: writes to the registry.
        signer: signs.
        epoch: the time that the manifests carry, in seconds since 1970.
        legacy_tags: write cosign's own tags as well, which its older versions read.
    """

    client: RegistryClient
    signer: Signer
    epoch: int
    legacy_tags: bool = False

    def attest(self, repository: Reference, items: Iterable[Attested]) -> tuple[Descriptor, ...]:
        """Sign each manifest and attach its statements; doing it again changes nothing.

        Everything is signed before anything is written.

        Raises:
            SigningError: something cannot be signed.
            RegistryError: the registry fails or refuses.
        """
        signed = [(item, self._sign(item)) for item in items]
        for item, envelopes in signed if self.legacy_tags else ():
            self._write_tags(repository, item.subject.digest, envelopes)
        return tuple(
            entry
            for item, envelopes in signed
            for entry in attach_missing(
                self.client, repository, item.subject, self._attachments(item, envelopes)
            )
        )

    def _write_tags(
        self, repository: Reference, digest: Digest, envelopes: tuple[_Enveloped, ...]
    ) -> None:
        said = (item for item in envelopes if item[0].predicate_type != COSIGN_SIGN)
        LegacyTags(client=self.client).write(
            repository,
            digest,
            signature_payload(repository.name, digest, self.signer),
            tuple(attestation_payload(one.predicate_type, other.data) for one, other in said),
        )

    def _sign(self, item: Attested) -> tuple[_Enveloped, ...]:
        statements = (signature_statement(item.subject.digest), *item.statements)
        return tuple((statement, statement.signed(self.signer)) for statement in statements)

    def _attachments(
        self, item: Attested, envelopes: tuple[_Enveloped, ...]
    ) -> tuple[Attachment, ...]:
        return tuple(
            bundle_attachment(
                item.subject, statement.predicate_type, envelope_bundle(envelope), self.epoch
            )
            for statement, envelope in envelopes
        )


def attach_missing(
    client: RegistryClient,
    repository: Reference,
    subject: Descriptor,
    attachments: Iterable[Attachment],
) -> tuple[Descriptor, ...]:
    """Attach what is not attached yet, and return how all of it is called.

    Raises:
        RegistryError: the registry fails or refuses.
    """
    listed = client.referrers.find(repository, subject.digest, artifact_type=BUNDLE_TYPE)
    known = {entry.digest for entry in listed}
    wanted = tuple(attachments)
    for attachment in wanted:
        if attachment.descriptor.digest not in known:
            client.referrers.attach(repository, attachment)
    return tuple(attachment.descriptor for attachment in wanted)


def signature_statement(digest: Digest) -> Statement:
    """Return the statement that cosign 3 signs as the plain signature of an image."""
    return Statement.of([Subject(name="", digest=digest)], COSIGN_SIGN, {})


def bundle_attachment(
    subject: Descriptor, predicate_type: str, bundle: bytes, epoch: int
) -> Attachment:
    """Return what a registry keeps of a signed statement.

    Args:
        subject: what it is about.
        predicate_type: the statement's.
        bundle: with the statement in an envelope.
        epoch: the manifest's time, in seconds since 1970.
    """
    return Attachment.of(
        subject,
        BUNDLE_TYPE,
        (Content.of(BUNDLE_TYPE, bundle),),
        {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": predicate_type,
            "org.opencontainers.image.created": timestamp(epoch),
        },
    )


def verified_statements(
    client: RegistryClient, image: Reference, subject: Digest, verifier: Verifier
) -> tuple[dict[str, Any], ...]:
    """Return the verified statements about a manifest, its signature among them.

    Bundles of other signers are passed over: anybody who may push can attach one.

    Raises:
        VerificationError: there is no signature by this key.
        RegistryError: the registry fails or refuses.
    """
    entries = client.referrers.find(image, subject, artifact_type=BUNDLE_TYPE)
    found = [_verified(client, image, entry, verifier) for entry in entries]
    about = tuple(item for item in found if item is not None and _is_about(item, subject))
    if not any(item["predicateType"] == COSIGN_SIGN for item in about):
        raise VerificationError(
            f"{image.with_digest(subject)} has no signature by this key",
            details=f"{len(entries)} bundles are attached to it." if entries else "",
            resolution="Check that the key is the signer's, and that this image was released.",
        )
    return about


def _verified(
    client: RegistryClient, image: Reference, entry: Descriptor, verifier: Verifier
) -> dict[str, Any] | None:
    name = str(image.with_digest(entry.digest))
    try:
        manifest = client.get_manifest(image.with_digest(entry.digest))
        (layer,) = msgspec.json.decode(manifest.data)["layers"]
        bundle = client.blobs.read(image, Descriptor.from_json(layer), limit=_LIMIT)
        envelope = open_envelope(bundled_envelope(bundle, name), verifier, name)
        return read_statement(envelope, name)
    except (VerificationError, msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return None


def _is_about(statement: Mapping[str, Any], subject: Digest) -> bool:
    subjects = statement.get("subject") or ()
    return any(item.get("digest", {}).get("sha256") == subject.hex for item in subjects)
