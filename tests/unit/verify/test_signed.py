"""Checks of signatures, provenance and SBOMs say what was compared, right or wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from buildkit.attest.bundle import signature_file
from buildkit.attest.images import Attested, ImageAttester
from buildkit.attest.keys import PublicKey
from buildkit.attest.statement import SLSA, SPDX, Statement, Subject
from buildkit.digest import Digest
from buildkit.http import HttpPool
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from buildkit.registry.originals import in_registry
from buildkit.verify.check import Check
from buildkit.verify.signed import (
    Trust,
    check_provenance,
    check_sbom,
    check_signature,
    check_signed_image,
)
from tests.fakes.registry import FakeRegistry, Logins
from tests.unit.attest.signing import FOREIGN, SIGNER
from tests.unit.registry.conftest import push_image

DIGEST = Digest.of_bytes(b"image")


def provenance(**parameters: str) -> dict[str, Any]:
    return {
        "predicate": {
            "buildDefinition": {
                "externalParameters": parameters,
                "resolvedDependencies": [{"digest": {"gitCommit": "c" * 40}}, {"uri": "x"}],
            },
            "runDetails": {"builder": {"id": "https://builder"}},
        }
    }


def spdx(digest: Digest) -> dict[str, Any]:
    package = {"checksums": [{"algorithm": "SHA256", "checksumValue": digest.hex}]}
    return {"predicate": {"packages": [package, {}]}}


def problems(checks: Iterable[Check]) -> list[str]:
    return [check.problem for check in checks if check.problem]


def trust(key: PublicKey = SIGNER.public_key, **expected: str) -> Trust:
    return Trust(verifier=key, **expected)


def test_a_provenance_is_compared_with_what_is_expected() -> None:
    statement = provenance(source="https://a", version="1.2.4")
    wanted = trust(source="https://a", builder="https://builder")
    found = tuple(check_provenance("x", statement, wanted, "1.2.3"))
    assert problems(found) == ["it is 1.2.4, expected 1.2.3"]
    assert found[0].compared == f"its provenance: commit {'c' * 40}"
    assert problems(check_provenance("x", statement, trust(builder="https://other")))


def test_without_an_expectation_it_says_what_is_there() -> None:
    found = tuple(check_provenance("x", provenance(version="1"), trust()))
    assert not problems(found)
    assert [item.compared.rpartition(" is ")[2] for item in found[1:]] == [
        "not told",
        "1",
        "https://builder",
    ]


@pytest.mark.parametrize("statement", [None, {}, {"predicate": 7}, {"predicate": {}}])
def test_what_is_no_provenance_or_sbom_is_wrong(statement: dict[str, Any] | None) -> None:
    assert len(problems(check_provenance("x", statement, trust()))) == 1
    assert check_sbom("x", statement, DIGEST).problem


def test_an_sbom_describes_its_manifest() -> None:
    assert not check_sbom("x", spdx(DIGEST), DIGEST).problem
    assert "does not describe" in check_sbom("x", spdx(Digest.of_bytes(b"other")), DIGEST).problem


def test_a_signature_beside_a_file_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"data")
    assert check_signature(path, SIGNER.public_key).problem == "there is none"
    signature = signature_file(SIGNER, Digest.of_bytes(b"data"))
    (tmp_path / "a.tar.gz.sig").write_bytes(signature)
    assert not check_signature(path, SIGNER.public_key).problem
    assert check_signature(path, FOREIGN.public_key).problem
    path.write_bytes(b"date")
    assert check_signature(path, SIGNER.public_key).problem


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake


def test_an_image_is_checked_with_all_that_is_said_about_it(registry: FakeRegistry) -> None:
    client = RegistryClient(pool=HttpPool(environ={}), credentials=Logins())
    image = Reference.parse(f"{registry.host}/team/app:v1")
    subject = push_image(client, image)
    named = [Subject(name="app", digest=subject.digest)]
    statements = (
        Statement.of(named, SLSA, provenance(version="1")["predicate"]),
        Statement.of(named, SPDX, spdx(subject.digest)["predicate"]),
    )
    attester = ImageAttester(client=client, signer=SIGNER, epoch=0)
    attester.attest(image, [Attested(subject=subject, statements=statements)])
    original = in_registry(client, image)
    found = tuple(check_signed_image(client, image, original, trust()))
    assert (len(found), problems(found)) == (6, [])
    foreign = check_signed_image(client, image, original, trust(FOREIGN.public_key))
    (problem,) = problems(foreign)
    assert "no signature by this key" in problem
