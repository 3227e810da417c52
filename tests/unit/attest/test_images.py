"""What is attached to images, against a registry with the referrers API and one without."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from buildkit.attest.bundle import BUNDLE_TYPE
from buildkit.attest.images import Attested, ImageAttester, verified_statements
from buildkit.attest.signer import Signature
from buildkit.attest.statement import COSIGN_SIGN, SLSA, SPDX, Statement, Subject
from buildkit.digest import Digest
from buildkit.errors import RegistryError, SigningError, VerificationError
from buildkit.oci.model import OCI_MANIFEST, Descriptor
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from tests.fakes.registry import FakeRegistry
from tests.unit.attest.signing import FOREIGN, SIGNER


@pytest.fixture(params=[True, False], ids=["api", "tag"])
def registry(request: pytest.FixtureRequest) -> Iterator[FakeRegistry]:
    with FakeRegistry(has_referrers=request.param) as fake:
        yield fake


def said(subject: Descriptor, kind: str = SLSA, **predicate: object) -> Statement:
    return Statement.of([Subject(name="app", digest=subject.digest)], kind, predicate)


def attester(client: RegistryClient, *, legacy: bool = False) -> ImageAttester:
    return ImageAttester(client=client, signer=SIGNER, epoch=86400, legacy_tags=legacy)


def test_a_signature_and_statements_are_attached_once(
    client: RegistryClient, image: Reference, subject: Descriptor
) -> None:
    item = Attested(subject=subject, statements=(said(subject), said(subject, SPDX)))
    attached = attester(client).attest(image, [item])
    found = client.referrers.find(image, subject.digest, artifact_type=BUNDLE_TYPE)
    assert set(attached) == set(found)
    assert sorted(
        dict(entry.annotations)["dev.sigstore.bundle.predicateType"] for entry in found
    ) == sorted([COSIGN_SIGN, SLSA, SPDX])
    assert all(
        dict(entry.annotations)["org.opencontainers.image.created"] == "1970-01-02T00:00:00Z"
        for entry in found
    )
    assert attester(client).attest(image, [item]) == attached
    assert len(client.referrers.find(image, subject.digest)) == 3


def test_what_this_key_signed_about_this_image_is_read_back(
    client: RegistryClient, image: Reference, subject: Descriptor
) -> None:
    attester(client).attest(image, [Attested(subject=subject, statements=(said(subject, x=1),))])
    statements = verified_statements(client, image, subject.digest, SIGNER.public_key)
    by_type = {item["predicateType"]: item for item in statements}
    assert by_type[SLSA]["predicate"] == {"x": 1}
    assert by_type.keys() == {SLSA, COSIGN_SIGN}


def test_others_and_statements_about_other_images_do_not_count(
    client: RegistryClient, image: Reference, subject: Descriptor
) -> None:
    other = Descriptor.of(OCI_MANIFEST, b"other")
    foreign = ImageAttester(client=client, signer=FOREIGN, epoch=0)
    foreign.attest(image, [Attested(subject=subject)])
    with pytest.raises(VerificationError, match="has no signature by this key") as caught:
        verified_statements(client, image, subject.digest, SIGNER.public_key)
    assert "1 bundles" in caught.value.details
    attester(client).attest(image, [Attested(subject=subject, statements=(said(other),))])
    (found,) = verified_statements(client, image, subject.digest, SIGNER.public_key)
    assert found["predicateType"] == COSIGN_SIGN


def test_an_image_without_anything_is_not_signed(
    client: RegistryClient, image: Reference, subject: Descriptor
) -> None:
    with pytest.raises(VerificationError, match="has no signature"):
        verified_statements(client, image, subject.digest, SIGNER.public_key)


def test_nothing_is_written_where_something_cannot_be_signed(
    client: RegistryClient, image: Reference, subject: Descriptor, registry: FakeRegistry
) -> None:
    class Broken:
        def __init__(self) -> None:
            self.left = 1

        def sign(self, digest: Digest) -> Signature:
            self.left -= 1
            if self.left < 0:
                raise SigningError("the token is gone")
            return SIGNER.sign(digest)

    broken = ImageAttester(client=client, signer=Broken(), epoch=0)
    before = registry.count("P(OS|U)T .*")
    with pytest.raises(SigningError, match="token"):
        broken.attest(image, [Attested(subject=subject, statements=(said(subject),))])
    assert registry.count("P(OS|U)T .*") == before


def test_old_tags_are_extended_and_never_shortened(
    client: RegistryClient, image: Reference, subject: Descriptor, registry: FakeRegistry
) -> None:
    item = Attested(subject=subject, statements=(said(subject),))
    tag = f"sha256-{subject.digest.hex}.sig"
    for signer in (FOREIGN, SIGNER, SIGNER):
        made = ImageAttester(client=client, signer=signer, epoch=0, legacy_tags=True)
        made.attest(image, [item])
    layers = json.loads(client.get_manifest(image.with_tag(tag)).data)["layers"]
    # Both signed the same text; the signatures are in the annotations.
    assert len({layer["digest"] for layer in layers}) == 1
    assert (
        len({layer["annotations"]["dev.cosignproject.cosign/signature"] for layer in layers}) == 2
    )
    att = json.loads(client.get_manifest(image.with_tag(tag.replace("sig", "att"))).data)
    assert [layer["annotations"]["predicateType"] for layer in att["layers"]] == [SLSA, SLSA]
    assert set(registry.tags("team/app")) >= {tag, tag.replace(".sig", ".att")}


def test_an_old_tag_that_is_something_else_stops_it(
    client: RegistryClient, image: Reference, subject: Descriptor
) -> None:
    tag = image.with_tag(f"sha256-{subject.digest.hex}.sig")
    index = b'{"schemaVersion": 2, "manifests": []}'
    client.put_manifest(tag, index, "application/vnd.oci.image.index.v1+json")
    with pytest.raises(RegistryError, match="is no list of signatures"):
        attester(client, legacy=True).attest(image, [Attested(subject=subject)])


def test_the_digest_is_what_is_signed() -> None:
    digest = Digest.of_bytes(b"image")
    payload = json.loads(Statement.of([Subject(name="", digest=digest)], COSIGN_SIGN, {}).data)
    assert payload["subject"] == [{"digest": {"sha256": digest.hex}}]
