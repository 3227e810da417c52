"""The encrypted form of cosign's private keys: JSON in a PEM block.

The format is that of github.com/secure-systems-lab/go-securesystemslib/encrypted:
scrypt makes a key of the password, and NaCl's secret box holds the PKCS #8 key.
"""

from __future__ import annotations

import os

from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.digest import canonical_json

_KEY_SIZE, _NONCE_SIZE, _SALT_SIZE = 32, 24, 32
_STRENGTHS = frozenset({1 << 15, 1 << 16, 1 << 17})
"""The values of N that the original takes: another one could ask for any amount of memory."""
_STRENGTH = 1 << 16


class WrongPasswordError(ValueError):
    """The password does not open it, or it is damaged; which of the two nobody can tell."""


class _Parameters(Struct, frozen=True):
    N: int
    r: int
    p: int


class _Scrypt(Struct, frozen=True):
    name: str
    params: _Parameters
    salt: bytes


class _SecretBox(Struct, frozen=True):
    name: str
    nonce: bytes


class _Sealed(Struct, frozen=True):
    kdf: _Scrypt
    cipher: _SecretBox
    ciphertext: bytes


def unseal(data: bytes, password: bytes) -> bytes:
    """Return what is in it.

    Raises:
        WrongPasswordError: the password is another one.
        ValueError: the data is not of this format.
    """
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    sealed = decode_json(data, _Sealed)
    parameters = sealed.kdf.params
    if (sealed.kdf.name, sealed.cipher.name) != ("scrypt", "nacl/secretbox"):
        raise ValueError(f"it is sealed with {sealed.kdf.name} and {sealed.cipher.name}")
    if parameters.N not in _STRENGTHS or (parameters.r, parameters.p) != (8, 1):
        raise ValueError("its scrypt parameters are unusual")
    if len(sealed.cipher.nonce) != _NONCE_SIZE:
        raise ValueError("its nonce has the wrong size")
    box = SecretBox(_derive(password, sealed.kdf.salt, parameters.N))
    try:
        return box.decrypt(sealed.ciphertext, sealed.cipher.nonce)
    except CryptoError as error:
        raise WrongPasswordError from error


def seal(data: bytes, password: bytes) -> bytes:
    """Encrypt with a password; the result differs each time."""
    from nacl.secret import SecretBox

    salt, nonce = os.urandom(_SALT_SIZE), os.urandom(_NONCE_SIZE)
    box = SecretBox(_derive(password, salt, _STRENGTH))
    parameters = _Parameters(N=_STRENGTH, r=8, p=1)
    return canonical_json(
        _Sealed(
            kdf=_Scrypt(name="scrypt", params=parameters, salt=salt),
            cipher=_SecretBox(name="nacl/secretbox", nonce=nonce),
            ciphertext=box.encrypt(data, nonce).ciphertext,
        )
    )


def _derive(password: bytes, salt: bytes, strength: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=_KEY_SIZE, n=strength, r=8, p=1).derive(password)
