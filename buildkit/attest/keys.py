"""Keys that sign and verify: ECDSA on P-256 with sha256, in the PEM files of cosign.

Signatures are deterministic (RFC 6979), so that a release that is made again has the
same bytes, its signatures included.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from buildkit.attest.sealed import WrongPasswordError, seal, unseal
from buildkit.attest.signer import Signature
from buildkit.digest import Digest
from buildkit.errors import SigningError, VerificationError

PASSWORD_VARIABLE = "COSIGN_PASSWORD"  # noqa: S105 - a name
"""The environment variable that holds a key's password, as for cosign."""

_SEALED = frozenset({"ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"})
_PLAIN = frozenset({"PRIVATE KEY", "EC PRIVATE KEY"})
_PKCS8_ENCRYPTED = "ENCRYPTED PRIVATE KEY"
_HINT = "Make one with `invoke keys.generate`, or with `cosign generate-key-pair`."


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Verifies what its private key signed."""

    key: ec.EllipticCurvePublicKey = field(repr=False)

    @classmethod
    def read(cls, data: bytes, name: str) -> PublicKey:
        """Read a PEM public key, such as ``cosign.pub``.

        Raises:
            VerificationError: it is no public key, or no ECDSA key on P-256.
        """
        try:
            key = serialization.load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise VerificationError(
                f"{name} is no public key",
                details=str(error).splitlines()[0],
                resolution="Name the file that belongs to the private key: cosign.pub.",
            ) from error
        if not _is_p256(key):
            raise VerificationError(f"{name} is no ECDSA key on P-256", resolution=_HINT)
        return cls(cast("ec.EllipticCurvePublicKey", key))

    @property
    def pem(self) -> bytes:
        """The key as a file holds it."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_bytes(serialization.Encoding.PEM, form)

    @property
    def hint(self) -> str:
        """How bundles name it: base64 of the sha256 of its DER."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        der = self.key.public_bytes(serialization.Encoding.DER, form)
        return base64.b64encode(hashlib.sha256(der).digest()).decode()

    @property
    def material(self) -> dict[str, object]:
        """What a bundle says of it."""
        return {"publicKey": {"hint": self.hint}}

    def verifies(self, signature: bytes, digest: Digest) -> bool:
        """Tell whether a signature in DER is of what has this digest."""
        try:
            self.key.verify(signature, bytes.fromhex(digest.hex), ec.ECDSA(Prehashed(SHA256())))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class KeySigner:
    """A :class:`buildkit.attest.signer.Signer` with a private key."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def public_key(self) -> PublicKey:
        """What verifies its signatures."""
        return PublicKey(self.key.public_key())

    def sign(self, digest: Digest) -> Signature:
        """Sign what has this digest; the same gives the same signature.

        Raises:
            SigningError: the cryptography library here cannot sign like that.
        """
        try:
            algorithm = ec.ECDSA(Prehashed(SHA256()), deterministic_signing=True)
            value = self.key.sign(bytes.fromhex(digest.hex), algorithm)
        except UnsupportedAlgorithm as error:
            raise SigningError(
                "this Python cannot make deterministic signatures",
                details=str(error),
                resolution="Install the package cryptography from its wheel, which brings "
                "OpenSSL 3.2 or newer.",
            ) from error
        return Signature(value=value, material=self.public_key.material)


def open_signer(path: Path, environ: Mapping[str, str]) -> KeySigner:
    """Read a private key from a file, its password from ``COSIGN_PASSWORD``.

    Raises:
        SigningError: the file cannot be read, is no key of this kind, or the password
            is missing or wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SigningError(
            f"the key {path} cannot be read",
            details=error.strerror or str(error),
            resolution=f"Name the file with --key or as release.sign.key. {_HINT}",
        ) from error
    return read_signer(data, environ.get(PASSWORD_VARIABLE), str(path))


def read_signer(data: bytes, password: str | None, name: str) -> KeySigner:
    """Read a PEM private key: cosign's, PKCS #8 with or without a password, or SEC 1.

    Args:
        data: the file.
        password: for a key that has one; an empty one is a password too.
        name: what the key is called in messages.

    Raises:
        SigningError: it is no key of this kind, or the password is missing or wrong.
    """
    label, body = _pem_block(data, name)
    if label not in _PLAIN and password is None:
        raise SigningError(
            f"the key {name} has a password, and {PASSWORD_VARIABLE} is not set",
            resolution=f"Set {PASSWORD_VARIABLE} in the environment; nothing asks for it.",
        )
    secret = (password or "").encode()
    try:
        if label in _SEALED:
            key = serialization.load_der_private_key(unseal(body, secret), None)
        else:
            key = serialization.load_pem_private_key(data, None if label in _PLAIN else secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _refused(label, name, error) from error
    if not _is_p256(key.public_key()):
        raise SigningError(
            f"the key {name} is no ECDSA key on P-256",
            details="It is the one kind that every verifier of cosign's signatures takes.",
            resolution=_HINT,
        )
    return KeySigner(cast("ec.EllipticCurvePrivateKey", key))


def generate_key(password: str) -> tuple[bytes, bytes]:
    """Return a new private key in cosign's encrypted form and its public key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    body = base64.b64encode(seal(der, password.encode())).decode()
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    label = "ENCRYPTED SIGSTORE PRIVATE KEY"
    pem = "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))
    return pem.encode(), KeySigner(key).public_key.pem


def _pem_block(data: bytes, name: str) -> tuple[str, bytes]:
    """Return the label and content of the one PEM block (RFC 7468) that a key file has."""
    lines = [line.strip() for line in data.decode("ascii", "replace").splitlines()]
    start = next((i for i, line in enumerate(lines) if line.startswith("-----BEGIN ")), None)
    label = lines[start][11:].removesuffix("-----") if start is not None else ""
    if start is None or label not in _SEALED | _PLAIN | {_PKCS8_ENCRYPTED}:
        raise SigningError(
            f"{name} is no private key",
            details=f"It holds a PEM block of {label}." if label else "It holds no PEM block.",
            resolution=_HINT,
        )
    end = next((i for i, line in enumerate(lines) if line == f"-----END {label}-----"), start)
    try:
        return label, base64.b64decode("".join(lines[start + 1 : end]), validate=False)
    except ValueError as error:
        raise SigningError(f"the key {name} is damaged", details=str(error)) from error


def _refused(label: str, name: str, error: Exception) -> SigningError:
    is_password = isinstance(error, WrongPasswordError) or (
        label == _PKCS8_ENCRYPTED and "password" in str(error).lower()
    )
    if is_password:
        return SigningError(
            f"the password does not open the key {name}",
            details=f"It came from {PASSWORD_VARIABLE}.",
            resolution="Set the right one; or the file is damaged, which looks the same.",
        )
    return SigningError(
        f"the key {name} cannot be read",
        details=(str(error) or type(error).__name__).splitlines()[0],
        resolution=_HINT,
    )


def _is_p256(key: object) -> bool:
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
