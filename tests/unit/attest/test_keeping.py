"""What a release keeps to be attached later: the same as what is attached at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildkit.attest.images import Attested, ImageAttester, verified_statements
from buildkit.attest.keeping import FOLDER, ImageProofs, KeptProofs
from buildkit.attest.statement import COSIGN_SIGN, SLSA, SPDX, Statement, Subject
from buildkit.errors import VerificationError
from buildkit.http import HttpPool
from buildkit.oci.model import Descriptor
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from tests.fakes.registry import FakeRegistry, Logins
from tests.unit.attest.signing import SIGNER


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry(has_referrers=False) as fake:
        yield fake


def about(subject: Descriptor, kind: str) -> Statement:
    return Statement.of([Subject(name="app", digest=subject.digest)], kind, {"of": kind})


def keep(folder: Path, subject: Descriptor, name: str, *, legacy: bool = False) -> list[str]:
    proofs = ImageProofs(signer=SIGNER, legacy_tags=legacy)
    files = {
        **dict(proofs.about_all(about(subject, SLSA))),
        **dict(proofs.about(name, subject.digest, about(subject, SPDX))),
    }
    (folder / FOLDER).mkdir(exist_ok=True)
    for path, data in files.items():
        (folder / path).write_bytes(data)
    return sorted(files)


def test_files_are_named_by_what_they_are_about(tmp_path: Path, subject: Descriptor) -> None:
    stem = f"{FOLDER}/{subject.digest.hex}"
    names = keep(tmp_path, subject, "hub/app", legacy=True)
    assert names == sorted(
        (
            f"{stem}.cosign.json",
            f"{stem}.sbom.bundle.json",
            f"{stem}.signature.bundle.json",
            f"{FOLDER}/provenance.bundle.json",
        )
    )


def test_what_was_kept_is_attached_as_what_is_attached_at_once(
    tmp_path: Path, client: RegistryClient, image: Reference, subject: Descriptor
) -> None:
    keep(tmp_path, subject, image.name, legacy=True)
    kept = KeptProofs(folder=tmp_path, epoch=7, client=client)
    assert kept.attach(image, subject) == 3
    found = verified_statements(client, image, subject.digest, SIGNER.public_key)
    assert {item["predicateType"] for item in found} == {COSIGN_SIGN, SLSA, SPDX}
    before = client.referrers.find(image, subject.digest), client.tags(image)
    statements = (about(subject, SLSA), about(subject, SPDX))
    attester = ImageAttester(client=client, signer=SIGNER, epoch=7, legacy_tags=True)
    attester.attest(image, [Attested(subject=subject, statements=statements)])
    assert (client.referrers.find(image, subject.digest), client.tags(image)) == before
    tag = image.with_tag(f"sha256-{subject.digest.hex}.att")
    assert len(json.loads(client.get_manifest(tag).data)["layers"]) == 2


def test_an_image_that_is_not_signed_gets_nothing(
    tmp_path: Path, client: RegistryClient, image: Reference, subject: Descriptor
) -> None:
    kept = KeptProofs(folder=tmp_path, epoch=7, client=client)
    assert kept.attach(image, subject) == 0
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "provenance.bundle.json").write_bytes(b"{}")
    assert kept.attach(image, subject) == 0
    assert client.referrers.find(image, subject.digest) == ()


@pytest.mark.parametrize("name", ["signature.bundle.json", "cosign.json"])
@pytest.mark.parametrize("data", [b"", b"{}", b'{"payload": "e30=", "signature": "%"}'])
def test_a_damaged_file_is_refused(
    tmp_path: Path, image: Reference, subject: Descriptor, name: str, data: bytes
) -> None:
    keep(tmp_path, subject, image.name, legacy=True)
    (tmp_path / FOLDER / f"{subject.digest.hex}.{name}").write_bytes(data)
    client = RegistryClient(pool=HttpPool(environ={}), credentials=Logins())
    with pytest.raises(VerificationError):
        KeptProofs(folder=tmp_path, epoch=7, client=client).attach(image, subject)
