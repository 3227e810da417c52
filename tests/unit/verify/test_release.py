"""A small release is what it should be, and each thing that is not is named."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.release.archive import Entry
from buildkit.release.assemble import Piece, archive_piece, write_documents, write_pieces
from buildkit.release.documents import ReleaseDocument, UnitEntry, inputs_digest
from buildkit.verify.check import Check
from buildkit.verify.release import check_release, read_release
from tests.unit.build.elf import TEXT, Section, make_elf
from tests.unit.release.test_sealing import DOCUMENT
from tests.unit.verify.packages import rpm

AMD = "linux/amd64"
APP = make_elf(TEXT, Section(name=".data", content=b"1.0.0\0", loaded=True))
UNIT, PACKAGE = "binary/app@linux/amd64", "rpm/mesh@linux/amd64"
MADE_ANEW = {"artifacts.json", "metadata.json", "digests.txt"}


def write(folder: Path, *, app: bytes = APP, version: str = "1.0.0", arch: str = "x86_64") -> None:
    """Write a release of an archive and a package."""
    folder.mkdir(exist_ok=True)
    source = folder.parent / "app"
    source.write_bytes(app)
    package = rpm({"./usr/bin/app": (0o100755, app)}, version=version, architecture=arch)
    pieces = (
        archive_piece(
            "app.tar.gz",
            [Entry(name="bin/app", path=source, executable=True)],
            epoch=0,
            platform=AMD,
            contains=[UNIT],
        ),
        Piece(
            path="mesh.rpm",
            type="Linux Package",
            write=lambda path: _write(path, package),
            platform=AMD,
            contains=(PACKAGE,),
        ),
    )
    files = write_pieces(folder, pieces, lambda _: None)
    digest = str(Digest.of_bytes(APP))
    units = (
        UnitEntry(id=UNIT, digest=digest, size=len(APP), stamped=True),
        UnitEntry(id=PACKAGE, digest=digest, size=1, holds=(UNIT,)),
    )
    document = structs.replace(DOCUMENT, files=files, units=units, platforms=(AMD,))
    seal(folder, document)


def seal(folder: Path, document: ReleaseDocument) -> None:
    digests = {unit.id: unit.digest for unit in document.units}
    inputs = inputs_digest(document, digests, document.tools)
    write_documents(folder, structs.replace(document, inputs=inputs))


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def problems(folder: Path) -> list[Check]:
    return [check for check in check_release(folder) if check.problem]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "dist")
    return tmp_path / "dist"


def test_a_release_is_what_it_should_be(folder: Path) -> None:
    found = list(check_release(folder))
    assert not [check for check in found if check.problem]
    compared = {(check.subject, check.compared) for check in found}
    assert ("app.tar.gz", "1 executables are for linux/amd64") in compared
    assert ("app.tar.gz", "1 of them hold the version") in compared
    assert ("mesh.rpm", "it holds what 1 units made") in compared
    assert ("mesh.rpm", "its architecture is x86_64") in compared


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a missing file": (lambda it: (it / "mesh.rpm").unlink(), "mesh.rpm"),
    "one more file": (lambda it: _write(it / "x.txt", b"x"), "dist"),
    "a signature of nothing": (lambda it: _write(it / "x.sig", b"x"), "dist"),
    "another archive": (lambda it: _write(it / "app.tar.gz", b"x"), "app.tar.gz"),
    "no checksums": (lambda it: (it / "checksums.txt").unlink(), "checksums.txt"),
    "bad checksums": (lambda it: _write(it / "checksums.txt", b"x  /y\n"), "checksums.txt"),
    "other metadata": (lambda it: _write(it / "metadata.json", b"{}"), "metadata.json"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_named(folder: Path, change: str) -> None:
    apply, subject = CHANGES[change]
    apply(folder)
    assert subject in {check.subject for check in problems(folder)}


@pytest.mark.parametrize("end", [b"\x0b", b"\x0c", b"\r", b"\x1e"])
def test_a_line_of_checksums_ends_in_a_line_feed(folder: Path, end: bytes) -> None:
    path = folder / "checksums.txt"
    path.write_bytes(path.read_bytes()[:-1] + end)
    (found,) = problems(folder)
    assert (found.subject, found.problem) == ("checksums.txt", "its form")


@pytest.mark.parametrize(
    ("flags", "subject", "problem"),
    [
        ({"app": APP.replace(b"1.0.0", b"1.0.1")}, "app.tar.gz", "is none that was built"),
        ({"app": make_elf(TEXT, machine=183)}, "mesh.rpm", "usr/bin/app is "),
        ({"version": "1.0.1"}, "mesh.rpm", "it is 1.0.1, expected 1.0.0"),
        ({"arch": "aarch64"}, "mesh.rpm", "it is filed under linux/amd64"),
    ],
)
def test_contents_are_compared_with_what_was_built(
    tmp_path: Path, flags: dict[str, Any], subject: str, problem: str
) -> None:
    write(tmp_path / "dist", **flags)
    found = {(check.subject, check.problem) for check in problems(tmp_path / "dist")}
    assert [text for name, text in found if name == subject and problem in text]


def test_programs_that_a_command_made_are_looked_at_as_far_as_they_are_known(
    folder: Path,
) -> None:
    made, arm = folder.parent / "made", folder.parent / "arm"
    made.write_bytes(make_elf(TEXT, Section(name=".data", content=b"more", loaded=True)))
    arm.write_bytes(make_elf(TEXT, machine=183))

    def found(*names: str, contains: tuple[str, ...]) -> list[str]:
        places = {"app": folder.parent / "app", "made": made, "arm": arm}
        entries = [Entry(name=name, path=places[name], executable=True) for name in names]
        piece = archive_piece("app.tar.gz", entries, epoch=0, platform=AMD, contains=contains)
        (file,) = write_pieces(folder, [piece], lambda _: None)
        document = read_release(folder)
        kept = (it for it in document.files if it.path not in {"app.tar.gz", *MADE_ANEW})
        seal(folder, structs.replace(document, files=(*kept, file)))
        return [check.problem for check in problems(folder)]

    (strange,) = found("app", "made", contains=(UNIT,))
    assert strange.startswith("made is none that was built")
    assert found("app", "made", contains=(UNIT, "command/more")) == []
    assert len(found("made", contains=(UNIT, "command/more"))) == 1
    (foreign,) = found("app", "arm", contains=(UNIT, "command/more"))
    assert foreign.startswith("arm is ")


def test_what_decided_is_computed_again(folder: Path) -> None:
    document = read_release(folder)
    kept = tuple(file for file in document.files if file.path not in MADE_ANEW)
    write_documents(folder, structs.replace(document, files=kept, decided="other"))
    (found,) = problems(folder)
    assert found.compared == "the digest of all that decided it"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"epoch": 0', b'"epoch": 999999999999999'),
        (b'"epoch": 0', b'"epoch": -1'),
        (b'"shard": ""', b'"shard": "a/b"'),
        (b'"schema_version": 1', b'"schema_version": 2'),
        (b'"project"', b'"projekt"'),
        (b"{", b"\xff"),
    ],
)
def test_a_document_that_cannot_be_is_one_error(folder: Path, old: bytes, new: bytes) -> None:
    path = folder / "release.json"
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))
    with pytest.raises(VerificationError, match=r"release\.json"):
        read_release(folder)


def test_a_directory_without_a_release_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="is no release"):
        next(check_release(tmp_path))


def test_an_archive_with_a_link_out_of_it_is_only_read(folder: Path) -> None:
    document = read_release(folder)
    with tarfile.open(folder / "app.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("../../etc/passwd")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    seal(folder, structs.replace(document, files=_described(folder, document)))
    assert [check.subject for check in problems(folder)] == ["app.tar.gz"]


def _described(folder: Path, document: ReleaseDocument) -> tuple[object, ...]:
    return tuple(
        structs.replace(file, sha256=Digest.of_file(folder / file.path).hex)
        for file in document.files
        if file.path not in MADE_ANEW
    )
