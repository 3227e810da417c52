"""Signatures beside the files of a release, and what of them was changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.attest.bundle import check_signature_file
from buildkit.digest import Digest
from buildkit.release.documents import (
    CHECKSUMS_FILE,
    RELEASE_FILE,
    SCHEMA,
    FileEntry,
    ReleaseDocument,
    SourceEntry,
)
from buildkit.release.sealing import seal, seal_differences
from tests.unit.attest.signing import FOREIGN, SIGNER


def entry(name: str, kind: str) -> FileEntry:
    return FileEntry(path=name, sha256=Digest.of_bytes(name.encode()).hex, size=1, type=kind)


DOCUMENT = ReleaseDocument(
    schema_version=SCHEMA,
    project="mesh",
    version="1.0.0",
    snapshot=False,
    previous_tag="",
    source=SourceEntry(revision="c" * 40, tag="v1.0.0", dirty=False, time=0, url=""),
    epoch=0,
    platforms=(),
    configuration={},
    pins={},
    tools=(),
    units=(),
    images=(),
    files=(
        entry("a.tar.gz", "Archive"),
        entry("a.spdx.json", "SBOM"),
        entry("a.deb", "Linux Package"),
    ),
    decided="",
    inputs="",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for file in DOCUMENT.files:
        (tmp_path / file.path).write_bytes(file.path.encode())
    (tmp_path / RELEASE_FILE).write_bytes(b"{}")
    (tmp_path / CHECKSUMS_FILE).write_bytes(b"")
    seal(tmp_path, DOCUMENT, SIGNER)
    return tmp_path


def test_what_is_downloaded_alone_and_the_documents_are_signed(folder: Path) -> None:
    signed = sorted(path.name for path in folder.glob("*.sig"))
    assert signed == ["a.deb.sig", "a.tar.gz.sig", "checksums.txt.sig", "release.json.sig"]
    for name in signed:
        file = name.removesuffix(".sig")
        digest = Digest.of_file(folder / file)
        check_signature_file((folder / name).read_bytes(), digest, SIGNER.public_key, file)
    bundles = sorted(path.name for path in folder.glob("*.sigstore.json"))
    assert bundles == ["checksums.txt.sigstore.json", "release.json.sigstore.json"]


def test_what_was_changed_is_named(folder: Path) -> None:
    assert seal_differences(folder, DOCUMENT, SIGNER) == ()
    assert len(seal_differences(folder, DOCUMENT, FOREIGN)) == 6
    (folder / "a.deb.sig").unlink()
    (folder / "release.json.sig").write_bytes(b"x")
    assert set(seal_differences(folder, DOCUMENT, SIGNER)) == {
        "a.deb.sig is missing",
        "release.json.sig was changed",
    }
