"""DSSE envelopes: a payload, its type, and signatures over both together.

The format is that of github.com/secure-systems-lab/dsse, protocol.md and envelope.md,
version 1.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from msgspec import Struct

from buildkit.attest.signer import Signature, Signer, Verifier
from buildkit.decoding import decode_json
from buildkit.digest import Digest, canonical_json
from buildkit.errors import VerificationError

ENVELOPE_TYPE = "application/vnd.dsse.envelope.v1+json"


class Envelope(Struct, frozen=True, kw_only=True):
    """A payload with one signature or several."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as the specification writes it."""
        return {
            "payloadType": self.payload_type,
            "payload": _encode(self.payload),
            "signatures": [{"sig": _encode(item.value)} for item in self.signatures],
        }

    @property
    def data(self) -> bytes:
        """The bytes of a file that holds it."""
        return canonical_json(self.to_json())


class _Signed(msgspec.Struct):
    sig: str


class _Form(msgspec.Struct, rename="camel"):
    payload_type: str
    payload: str
    signatures: list[_Signed]


def envelop(signer: Signer, payload_type: str, payload: bytes) -> Envelope:
    """Sign a payload.

    Raises:
        SigningError: it cannot be signed.
    """
    signature = signer.sign(Digest.of_bytes(encoding(payload_type, payload)))
    return Envelope(payload_type=payload_type, payload=payload, signatures=(signature,))


def open_envelope(data: bytes, verifier: Verifier, name: str) -> Envelope:
    """Read an envelope and return it once one of its signatures is verified.

    Raises:
        VerificationError: it is no envelope, or nobody who counts has signed it.
    """
    envelope = parse_envelope(data, name)
    signed = Digest.of_bytes(encoding(envelope.payload_type, envelope.payload))
    if not any(verifier.verifies(item.value, signed) for item in envelope.signatures):
        raise VerificationError(
            f"{name} is not signed by this key",
            resolution="Check that the key is the signer's; or it was altered: do not use it.",
        )
    return envelope


def parse_envelope(data: bytes, name: str) -> Envelope:
    """Read an envelope without looking at its signatures.

    Raises:
        VerificationError: it is none.
    """
    try:
        form = decode_json(data, _Form)
        return Envelope(
            payload_type=form.payload_type,
            payload=_decode(form.payload),
            signatures=tuple(
                Signature(value=_decode(item.sig), material={}) for item in form.signatures
            ),
        )
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise VerificationError(f"{name} is no DSSE envelope", details=str(error)) from error


def encoding(payload_type: str, payload: bytes) -> bytes:
    """Return what is signed: the specification's pre-authentication encoding, PAE."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
