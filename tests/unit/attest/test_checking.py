"""Checks say what was compared, right or wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from buildkit.attest.checking import (
    Expected,
    ImageChecks,
    provenance_findings,
    sbom_finding,
)
from buildkit.attest.images import Attested, ImageAttester
from buildkit.attest.statement import SLSA, SPDX, Statement, Subject
from buildkit.digest import Digest
from buildkit.http import HttpPool
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
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


def test_a_provenance_is_compared_with_what_is_expected() -> None:
    expected = Expected(source="https://a", builder="https://builder", version="1.2.3")
    found = provenance_findings(provenance(source="https://a", version="1.2.4"), expected, "x")
    by_name = {item.what.rpartition(": ")[2]: item for item in found}
    assert by_name["source"].text == "https://a, as expected"
    assert by_name["version"].text == "1.2.4 instead of 1.2.3"
    assert by_name["commit"].text == "c" * 40
    assert [name for name, item in by_name.items() if not item.is_right] == ["version"]


def test_without_an_expectation_it_says_what_is_there() -> None:
    found = tuple(provenance_findings(provenance(version="1"), Expected(), "x"))
    assert all(item.is_right for item in found)
    assert [item.text for item in found] == ["c" * 40, "none is named", "1", "https://builder"]


@pytest.mark.parametrize("statement", [None, {}, {"predicate": 7}, {"predicate": {}}])
def test_what_is_no_provenance_or_sbom_is_wrong(statement: dict[str, Any] | None) -> None:
    (found,) = provenance_findings(statement, Expected(), "x")
    assert not found.is_right
    assert not sbom_finding(statement, DIGEST, "x").is_right


def test_an_sbom_describes_its_manifest() -> None:
    assert sbom_finding(spdx(DIGEST), DIGEST, "x").text == "2 packages"
    assert not sbom_finding(spdx(Digest.of_bytes(b"other")), DIGEST, "x").is_right


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
    for key, expected in ((SIGNER.public_key, True), (FOREIGN.public_key, False)):
        checks = ImageChecks(client=client, verifier=key, expected=Expected(version="1"))
        found = tuple(checks.findings(image))
        assert all(item.is_right for item in found) is expected
        assert len(found) == (6 if expected else 1)
