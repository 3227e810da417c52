"""A signed release and the same one built again without its key."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from buildkit.attest.statement import SLSA, Statement, Subject
from buildkit.digest import Digest
from buildkit.release.documents import FileEntry, ToolEntry, encode
from buildkit.verify.check import Check
from buildkit.verify.unsigned import compare_unsigned, depends_on_key
from tests.unit.attest.signing import SIGNER
from tests.unit.release.test_sealing import DOCUMENT


def statement(builder: str, **parameters: str) -> Statement:
    predicate = {
        "buildDefinition": {"externalParameters": parameters},
        "runDetails": {"builder": {"id": builder}},
    }
    return Statement.of([Subject(name="a", digest=Digest.of_bytes(b"a"))], SLSA, predicate)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    signed, again = tmp_path / "signed", tmp_path / "again"
    signed.mkdir()
    again.mkdir()
    said = FileEntry(path="attestations/x.json", sha256="0" * 64, size=1, type="Metadata")
    document = msgspec.structs.replace(
        DOCUMENT, signer="me", inputs="other", files=(*DOCUMENT.files, said)
    )
    (signed / "release.json").write_bytes(encode(document))
    (again / "release.json").write_bytes(encode(DOCUMENT))
    envelope = statement("https://ci", version="1").signed(SIGNER)
    (signed / "provenance.intoto.jsonl").write_bytes(envelope.data)
    (again / "provenance.json").write_bytes(statement("local", version="1").data)
    return signed, again


def problems(places: tuple[Path, Path]) -> list[Check]:
    return [check for check in compare_unsigned(*places, {}) if check.problem]


def test_who_signed_and_who_built_is_no_difference(places: tuple[Path, Path]) -> None:
    assert problems(places) == []


def test_everything_else_is(places: tuple[Path, Path]) -> None:
    (places[1] / "provenance.json").write_bytes(statement("local", version="2").data)
    changed = msgspec.structs.replace(DOCUMENT, version="2")
    (places[1] / "release.json").write_bytes(encode(changed))
    assert [check.subject for check in problems(places)] == ["the provenance", "release.json"]


@pytest.mark.parametrize("data", [b"", b"{}", b'{"predicate": 7}'])
def test_a_provenance_that_is_none_is_said(places: tuple[Path, Path], data: bytes) -> None:
    (places[1] / "provenance.json").write_bytes(data)
    assert [check.subject for check in problems(places)] == ["the provenance"]


def test_another_zlib_is_no_difference_where_that_is_said(places: tuple[Path, Path]) -> None:
    zlib, go = ToolEntry(name="zlib", version="0.9"), ToolEntry(name="go", version="1.26.0")
    (places[1] / "release.json").write_bytes(
        encode(msgspec.structs.replace(DOCUMENT, tools=(zlib,)))
    )
    assert [check.subject for check in problems(places)] == ["release.json"]
    assert [it.problem for it in compare_unsigned(*places, {}, by_other_zlib=True)] == ["", ""]
    (places[1] / "release.json").write_bytes(
        encode(msgspec.structs.replace(DOCUMENT, tools=(zlib, go)))
    )
    found = compare_unsigned(*places, {}, by_other_zlib=True)
    assert [it.subject for it in found if it.problem] == ["release.json"]


def test_a_provenance_names_what_was_compressed_otherwise_by_another_digest(
    places: tuple[Path, Path],
) -> None:
    path = places[1] / "provenance.json"
    there, here = Digest.of_bytes(b"a").hex, Digest.of_bytes(b"b").hex
    path.write_bytes(path.read_bytes().replace(there.encode(), here.encode()))
    assert [check.subject for check in problems(places)] == ["the provenance"]
    assert not [it for it in compare_unsigned(*places, {here: there}) if it.problem]


def test_what_depends_on_the_key() -> None:
    assert all(
        map(depends_on_key, ("attestations/x.json", "a.sig", "provenance.json", "checksums.txt"))
    )
    assert not any(map(depends_on_key, ("a.tar.gz", "sboms/x/a.spdx.json", "digests.txt")))
