"""in-toto statements: something is said about artifacts that are named by digest.

https://in-toto.io/Statement/v1, spec/v1/statement.md of github.com/in-toto/attestation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from buildkit.attest.dsse import Envelope, envelop
from buildkit.attest.signer import Signer
from buildkit.decoding import decode_json
from buildkit.digest import Digest, canonical_json
from buildkit.errors import VerificationError

STATEMENT = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"

COSIGN_SIGN = "https://sigstore.dev/cosign/sign/v1"
"""What cosign 3 calls the plain signature of an image: a statement that says nothing."""
SPDX = "https://spdx.dev/Document"
"""``cosign verify-attestation --type spdxjson``."""
SLSA = "https://slsa.dev/provenance/v1"
"""``cosign verify-attestation --type slsaprovenance1``."""


class Subject(Struct, frozen=True, kw_only=True, order=True):
    """What a statement is about: a name for people, a digest for everything else."""

    name: str
    digest: Digest

    def to_json(self) -> dict[str, Any]:
        """Return it as the specification writes it; a name is optional there."""
        named = {"name": self.name} if self.name else {}
        return {**named, "digest": {"sha256": self.digest.hex}}


class Statement(Struct, frozen=True, kw_only=True):
    """A statement as bytes, with its type beside them."""

    predicate_type: str
    data: bytes

    @classmethod
    def of(
        cls, subjects: Iterable[Subject], predicate_type: str, predicate: Mapping[str, Any]
    ) -> Statement:
        """Say something about artifacts, in the order of their names."""
        value = {
            "_type": STATEMENT,
            "subject": [subject.to_json() for subject in sorted(subjects)],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
        return cls(predicate_type=predicate_type, data=canonical_json(value))

    def signed(self, signer: Signer) -> Envelope:
        """Return it in an envelope.

        Raises:
            SigningError: it cannot be signed.
        """
        return envelop(signer, PAYLOAD_TYPE, self.data)


def read_statement(envelope: Envelope, name: str) -> dict[str, Any]:
    """Return the statement in an envelope that was verified.

    Raises:
        VerificationError: it holds something else.
    """
    try:
        value = decode_json(envelope.payload, dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise VerificationError(f"{name} holds no in-toto statement") from error
    if envelope.payload_type != PAYLOAD_TYPE or value.get("_type") != STATEMENT:
        raise VerificationError(f"{name} holds no in-toto statement of version 1")
    return value
