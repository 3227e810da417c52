"""Envelopes, statements, bundles and files beside archives."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.attest.bundle import (
    BUNDLE_TYPE,
    blob_bundle,
    bundled_envelope,
    check_blob_bundle,
    check_signature_file,
    envelope_bundle,
    signature_file,
)
from buildkit.attest.dsse import encoding, envelop, open_envelope
from buildkit.attest.statement import PAYLOAD_TYPE, SLSA, Statement, Subject, read_statement
from buildkit.digest import Digest
from buildkit.errors import VerificationError
from tests.unit.attest.signing import FOREIGN, SIGNER

KEY = SIGNER.public_key
DATA = Digest.of_bytes(b"data")
STATEMENT = Statement.of([Subject(name="a", digest=Digest.of_bytes(b"a"))], SLSA, {"x": 1})


def test_the_encoding_is_the_specifications_example() -> None:
    assert (
        encoding("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_an_envelope_is_opened_by_its_signers_key_alone() -> None:
    data = STATEMENT.signed(SIGNER).data
    envelope = open_envelope(data, KEY, "x")
    assert read_statement(envelope, "x")["predicate"] == {"x": 1}
    with pytest.raises(VerificationError, match="x is not signed by this key"):
        open_envelope(data, FOREIGN.public_key, "x")


@pytest.mark.parametrize("field", ["payload", "payloadType", "sig"])
def test_an_altered_envelope_is_refused(field: str) -> None:
    value = json.loads(STATEMENT.signed(SIGNER).data)
    holder = value["signatures"][0] if field == "sig" else value
    holder[field] = base64.b64encode(b"other").decode()
    with pytest.raises(VerificationError, match="not signed"):
        open_envelope(json.dumps(value).encode(), KEY, "x")


@given(st.binary(max_size=60))
def test_what_is_no_envelope_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        open_envelope(data, KEY, "x")


def test_what_is_signed_but_no_statement_is_refused() -> None:
    for kind, payload in (
        ("text/plain", STATEMENT.data),
        (PAYLOAD_TYPE, b"{}"),
        (PAYLOAD_TYPE, b"\xff"),
    ):
        with pytest.raises(VerificationError, match="no in-toto statement"):
            read_statement(envelop(SIGNER, kind, payload), "x")


def test_subjects_are_sorted_and_a_statement_is_the_same_each_time() -> None:
    subjects = [Subject(name=name, digest=Digest.of_bytes(name.encode())) for name in "ba"]
    one, two = (Statement.of(items, SLSA, {}) for items in (subjects, subjects[::-1]))
    assert one == two
    assert [item["name"] for item in json.loads(one.data)["subject"]] == ["a", "b"]
    assert one.signed(SIGNER).data == two.signed(SIGNER).data


def test_a_bundle_holds_the_envelope_and_names_the_key() -> None:
    bundle = envelope_bundle(STATEMENT.signed(SIGNER))
    value = json.loads(bundle)
    assert value["mediaType"] == BUNDLE_TYPE
    assert value["verificationMaterial"] == {"publicKey": {"hint": KEY.hint}}
    assert open_envelope(bundled_envelope(bundle, "b"), KEY, "b").payload == STATEMENT.data


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"7"])
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError, match="b is no bundle"):
        bundled_envelope(data, "b")


def test_a_bundle_of_a_file_names_its_digest() -> None:
    message = json.loads(blob_bundle(SIGNER, DATA))["messageSignature"]
    digest = base64.b64decode(message["messageDigest"]["digest"])
    assert digest.hex() == DATA.hex
    assert KEY.verifies(base64.b64decode(message["signature"]), DATA)


def test_a_signature_beside_a_file_is_checked() -> None:
    signature = signature_file(SIGNER, DATA)
    check_signature_file(signature, DATA, KEY, "f")
    for text, data, verifier in (
        (signature, Digest.of_bytes(b"date"), KEY),
        (signature, DATA, FOREIGN.public_key),
        (b"", DATA, KEY),
    ):
        with pytest.raises(VerificationError, match="the signature of f is not"):
            check_signature_file(text, data, verifier, "f")
    with pytest.raises(VerificationError, match="is damaged"):
        check_signature_file(b"%%%", DATA, KEY, "f")


@given(st.data())
def test_a_signature_has_one_spelling(data: st.DataObject) -> None:
    for written, check in (
        (signature_file(SIGNER, DATA), check_signature_file),
        (blob_bundle(SIGNER, DATA) + b"\n", check_blob_bundle),
    ):
        check(written, DATA, KEY, "f")
        at = data.draw(st.integers(0, len(written) - 1))
        bit = 1 << data.draw(st.integers(0, 7))
        other = written[:at] + bytes([written[at] ^ bit]) + written[at + 1 :]
        with pytest.raises(VerificationError, match="f"):
            check(other, DATA, KEY, "f")


def test_a_bundle_of_another_file_or_key_is_refused() -> None:
    for signer, digest in ((FOREIGN, DATA), (SIGNER, Digest.of_bytes(b"date"))):
        with pytest.raises(VerificationError, match="not of its content, or of another key"):
            check_blob_bundle(blob_bundle(signer, digest), DATA, KEY, "f")
