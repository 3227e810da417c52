"""Sigstore bundles: a signature with everything that verifying it offline takes.

The format is sigstore_bundle.proto of github.com/sigstore/protobuf-specs, version 0.3,
in protobuf's JSON form, which cosign 2.4 and newer read and cosign 3 writes.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from buildkit.attest.dsse import Envelope
from buildkit.attest.signer import Signature, Signer, Verifier
from buildkit.digest import Digest, canonical_json
from buildkit.errors import VerificationError

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def envelope_bundle(envelope: Envelope) -> bytes:
    """Return the bundle of an envelope with one signature."""
    return _bundle(envelope.signatures[0].material, "dsseEnvelope", envelope.to_json())


def blob_bundle(signer: Signer, digest: Digest) -> bytes:
    """Sign a file and return a bundle without it, as ``cosign sign-blob --bundle`` does.

    Raises:
        SigningError: it cannot be signed.
    """
    return _blob_bundle(signer.sign(digest), digest)


def _blob_bundle(signature: Signature, digest: Digest) -> bytes:
    encoded = base64.b64encode(bytes.fromhex(digest.hex)).decode()
    message = {
        "messageDigest": {"algorithm": "SHA2_256", "digest": encoded},
        "signature": base64.b64encode(signature.value).decode(),
    }
    return _bundle(signature.material, "messageSignature", message)


def signature_file(signer: Signer, digest: Digest) -> bytes:
    """Sign a file and return what a ``.sig`` beside it holds, as cosign writes it: base64.

    Raises:
        SigningError: it cannot be signed.
    """
    return base64.b64encode(signer.sign(digest).value) + b"\n"


def check_signature_file(signature: bytes, digest: Digest, verifier: Verifier, name: str) -> None:
    """Check a ``.sig`` file.

    Args:
        signature: its content.
        digest: of the file beside it.
        verifier: the key.
        name: what that file is called in messages.

    Raises:
        VerificationError: it is no signature, or one of another file or key.
    """
    try:
        value = base64.b64decode(signature.strip(), validate=True)
    except binascii.Error as error:
        raise VerificationError(f"the signature of {name} is damaged") from error
    if base64.b64encode(value) != signature.removesuffix(b"\n"):
        # base64 has several ways to say the same, a signature here has one.
        raise VerificationError(f"the signature of {name} is damaged")
    if not verifier.verifies(value, digest):
        raise _foreign(f"the signature of {name}")


def check_blob_bundle(bundle: bytes, digest: Digest, verifier: Verifier, name: str) -> None:
    """Check a bundle beside a file, as :func:`blob_bundle` writes it.

    Args:
        bundle: its content.
        digest: of the file beside it.
        verifier: the key.
        name: what that file is called in messages.

    Raises:
        VerificationError: it is no such bundle, or one of another file or key.
    """
    try:
        value = msgspec.json.decode(bundle)
        message = value["messageSignature"]
        signature = base64.b64decode(message["signature"], validate=True)
        expected = _blob_bundle(Signature(value=signature, material=verifier.material), digest)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise VerificationError(f"the bundle of {name} is damaged") from error
    if not verifier.verifies(signature, digest):
        raise _foreign(f"the bundle of {name}")
    if bundle.removesuffix(b"\n") != expected:
        raise VerificationError(f"the bundle of {name} names another file or key")


def bundled_envelope(bundle: bytes, name: str) -> bytes:
    """Return the DSSE envelope of a bundle, not verified.

    Raises:
        VerificationError: the bundle cannot be read, or holds none.
    """
    try:
        return canonical_json(msgspec.json.decode(bundle)["dsseEnvelope"])
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise VerificationError(f"{name} is no bundle with an envelope") from error


def _foreign(what: str) -> VerificationError:
    return VerificationError(
        f"{what} is not of its content, or of another key",
        resolution="Check that the key is the signer's; or it was altered: do not use it.",
    )


def _bundle(material: Any, kind: str, content: Any) -> bytes:
    return canonical_json(
        {"mediaType": BUNDLE_TYPE, "verificationMaterial": material, kind: content}
    )
