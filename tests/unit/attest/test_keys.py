"""Keys: every form that cosign writes, what is refused, and deterministic signatures."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from buildkit.attest.keys import PublicKey, generate_key, open_signer, read_signer
from buildkit.attest.sealed import WrongPasswordError, seal, unseal
from buildkit.digest import Digest
from buildkit.errors import SigningError, VerificationError

PASSWORD = "open sesame"
PRIVATE, PUBLIC = generate_key(PASSWORD)
CURVE = ec.SECP256R1()
DATA, OTHER = Digest.of_bytes(b"data"), Digest.of_bytes(b"date")


def pem_of(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
    password: str = "",
) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password.encode())
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


def test_what_is_signed_is_verified_by_the_public_key_and_nothing_else() -> None:
    signer = read_signer(PRIVATE, PASSWORD, "cosign.key")
    signature = signer.sign(DATA).value
    key = PublicKey.read(PUBLIC, "cosign.pub")
    assert key.verifies(signature, DATA)
    assert not key.verifies(signature, OTHER)
    assert not key.verifies(signature[:-1], DATA)
    assert not key.verifies(b"", DATA)
    assert not PublicKey.read(generate_key("")[1], "other").verifies(signature, DATA)


def test_a_signature_is_the_same_each_time() -> None:
    signer = read_signer(PRIVATE, PASSWORD, "cosign.key")
    assert signer.sign(DATA).value == signer.sign(DATA).value
    assert signer.sign(DATA).value != signer.sign(OTHER).value


def test_the_material_names_the_key_as_sigstore_does() -> None:
    signer = read_signer(PRIVATE, PASSWORD, "cosign.key")
    hint = signer.sign(DATA).material["publicKey"]["hint"]
    assert hint == PublicKey.read(PUBLIC, "").hint
    assert len(base64.b64decode(hint)) == 32


def test_a_generated_key_is_in_cosigns_form() -> None:
    lines = PRIVATE.decode().splitlines()
    assert lines[0] == "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"
    sealed = json.loads(base64.b64decode("".join(lines[1:-1])))
    assert sealed["kdf"]["name"] == "scrypt"
    assert sealed["kdf"]["params"] == {"N": 65536, "r": 8, "p": 1}
    assert sealed["cipher"]["name"] == "nacl/secretbox"
    assert PUBLIC.startswith(b"-----BEGIN PUBLIC KEY-----\n")
    assert generate_key(PASSWORD) != (PRIVATE, PUBLIC)


def test_the_older_label_is_read_too() -> None:
    older = PRIVATE.replace(b"SIGSTORE", b"COSIGN")
    assert read_signer(older, PASSWORD, "cosign.key").public_key.pem == PUBLIC


@pytest.mark.parametrize(
    ("form", "password"),
    [
        (serialization.PrivateFormat.PKCS8, ""),
        (serialization.PrivateFormat.PKCS8, PASSWORD),
        (serialization.PrivateFormat.TraditionalOpenSSL, ""),
    ],
)
def test_plain_keys_are_read(form: serialization.PrivateFormat, password: str) -> None:
    key = ec.generate_private_key(CURVE)
    signer = read_signer(pem_of(key, form, password), password or None, "key.pem")
    assert signer.public_key.verifies(signer.sign(DATA).value, DATA)


def test_a_password_that_is_set_does_not_trouble_a_key_without_one() -> None:
    read_signer(pem_of(ec.generate_private_key(CURVE)), PASSWORD, "key.pem")


@pytest.mark.parametrize(
    "data", [PRIVATE, pem_of(ec.generate_private_key(CURVE), password=PASSWORD)]
)
def test_a_wrong_or_missing_password_is_said(data: bytes) -> None:
    with pytest.raises(SigningError, match="the password does not open the key k"):
        read_signer(data, "wrong", "k")
    with pytest.raises(SigningError, match="COSIGN_PASSWORD is not set"):
        read_signer(data, None, "k")


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
)
def test_other_kinds_of_keys_are_refused(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
) -> None:
    with pytest.raises(SigningError, match="no ECDSA key on P-256"):
        read_signer(pem_of(key), None, "key.pem")
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    with pytest.raises(VerificationError, match="no ECDSA key on P-256"):
        PublicKey.read(public, "key.pub")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "holds no PEM block"),
        (b"\xff\xfe\x00", "holds no PEM block"),
        (PUBLIC, "PEM block of PUBLIC KEY"),
        (PRIVATE[:200], "cannot be read"),
        (PRIVATE.replace(b"\n", b"\nA", 1), "is damaged|cannot be read"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be read"),
    ],
)
def test_what_is_no_key_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(SigningError, match=message):
        read_signer(data, PASSWORD, "k")


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(SigningError, match="--key"):
        open_signer(tmp_path / "cosign.key", {})


def test_a_file_and_its_password_are_read(tmp_path: Path) -> None:
    path = tmp_path / "cosign.key"
    path.write_bytes(PRIVATE)
    assert open_signer(path, {"COSIGN_PASSWORD": PASSWORD}).public_key.pem == PUBLIC


@pytest.mark.parametrize("data", [b"", b"no key", PRIVATE])
def test_what_is_no_public_key_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError, match="is no public key"):
        PublicKey.read(data, "cosign.pub")


def test_a_sealed_text_is_opened_by_its_password_alone() -> None:
    sealed = seal(b"secret", b"password")
    assert unseal(sealed, b"password") == b"secret"
    with pytest.raises(WrongPasswordError):
        unseal(sealed, b"Password")


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("kdf", "params", {"N": 1 << 30, "r": 8, "p": 1}),
        ("kdf", "params", {"N": 1 << 16, "r": 800, "p": 1}),
        ("kdf", "name", "argon2"),
        ("cipher", "name", "rot13"),
        ("cipher", "nonce", "AAAA"),
    ],
)
def test_unusual_parameters_are_refused_before_they_cost_anything(
    part: str, field: str, value: object
) -> None:
    sealed = json.loads(seal(b"secret", b""))
    sealed[part][field] = value
    with pytest.raises(ValueError, match=r"it is sealed|unusual|nonce"):
        unseal(json.dumps(sealed).encode(), b"")
