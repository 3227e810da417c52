"""One file of a release is found in it wherever it lies, and compared with what names it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec import structs

from buildkit.attest.bundle import blob_bundle, signature_file
from buildkit.attest.signer import Signer
from buildkit.attest.statement import SLSA, Statement, Subject
from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.images.indexing import index_of
from buildkit.oci.layout import (
    INDEX_FILE,
    MARKER,
    MARKER_FILE,
    Layout,
    blob_name,
    layout_blobs,
    layout_index,
    named,
)
from buildkit.oci.model import Image
from buildkit.platform import Platform
from buildkit.release.assemble import text_piece, write_pieces
from buildkit.release.layout import copy_images
from buildkit.verify.check import Check
from buildkit.verify.file import ReleasedFile, check_released_file, find_release
from buildkit.verify.release import check_release, read_release
from buildkit.verify.signed import Trust, check_signed_file, signed_path
from tests.fakes.images import random_image
from tests.unit.attest.signing import FOREIGN, SIGNER
from tests.unit.verify.test_release import MADE_ANEW, seal, write

AMD = Platform("linux", "amd64")
PILOT = "example.com/pilot:1.0.0"
SBOM = "sboms/linux_amd64/app.spdx.json"
PACKAGE_SBOM = "sboms/linux_amd64/mesh.rpm.spdx.json"
TRUST = Trust(verifier=SIGNER.public_key)


def version_image() -> Image:
    """Return an image that says that it is of the release's version."""
    labels = (("org.opencontainers.image.version", "1.0.0"),)
    return random_image(AMD, labels=labels)


def add_images(folder: Path, image: Image | None = None) -> None:
    """Add a layout of one image, and an SBOM below two directories, to a release."""
    image = image or version_image()
    index = index_of({AMD: image})
    source = folder.parent / f"{folder.name}.source"
    (source / "blobs" / "sha256").mkdir(parents=True)
    for blob in layout_blobs(index, [image]).values():
        data = b"".join(map(bytes, blob.open()))
        (source / blob_name(blob.descriptor.digest)).write_bytes(data)
    (source / INDEX_FILE).write_bytes(layout_index((named(index.descriptor, PILOT),)))
    (source / MARKER_FILE).write_bytes(MARKER)
    entries = copy_images(Layout.open(source), {PILOT: "pilot"}, folder / "oci")
    texts = [text_piece(name, "{}", "SBOM") for name in (SBOM, PACKAGE_SBOM)]
    sboms = write_pieces(folder, texts, lambda _: None)
    document = read_release(folder)
    kept = tuple(file for file in document.files if file.path not in MADE_ANEW)
    seal(folder, structs.replace(document, files=(*kept, *sboms), images=entries))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "dist")
    add_images(tmp_path / "dist")
    return tmp_path / "dist"


def found_at(path: Path) -> ReleasedFile:
    found = find_release(path)
    assert found is not None
    return found


def problems(checks: Iterable[Check]) -> list[tuple[str, str]]:
    return [(check.subject, check.problem) for check in checks if check.problem]


def checked(path: Path) -> list[tuple[str, str]]:
    """Return what is wrong with a file; something has to be compared."""
    checks = tuple(check_released_file(found_at(path)))
    assert checks
    return problems(checks)


def all_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def test_every_file_of_a_release_is_found_and_changed_it_is_named(folder: Path) -> None:
    paths = all_files(folder)
    assert {path.relative_to(folder).parts[0] for path in paths} > {"oci", "sboms", "release.json"}
    for path in paths:
        assert checked(path) == []
    for path in paths:
        data, name = path.read_bytes(), path.relative_to(folder).as_posix()
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        if name == "release.json":
            with pytest.raises(VerificationError, match=r"release\.json cannot be read"):
                checked(path)
        else:
            assert name in {subject for subject, _ in checked(path)}
        path.write_bytes(data)


def test_a_blob_says_which_image_it_is_of(folder: Path) -> None:
    blobs = [path for path in all_files(folder) if "blobs" in path.parts]
    for path in blobs:
        (check,) = check_released_file(found_at(path))
        assert check.compared.startswith(f"sha256, as {PILOT} has it, is ")
    strange = blobs[0].with_name("0" * 64)
    strange.write_bytes(b"more")
    assert checked(strange) == [(f"oci/blobs/sha256/{'0' * 64}", "no image of the release has it")]
    strange = blobs[0].with_name("notes")
    strange.write_bytes(b"more")
    assert "not a sha256 digest" in checked(strange)[0][1]


def test_the_index_of_the_layout_is_compared_with_release_json(folder: Path) -> None:
    index = folder / "oci" / INDEX_FILE
    index.write_bytes(index.read_bytes().replace(b"example.com/pilot", b"example.org/pilot"))
    ((subject, problem),) = checked(index)
    assert subject == "oci/index.json"
    assert f"oci lacks {PILOT}" in problem


@pytest.mark.parametrize("name", ["other.tar.gz", "sboms/app.tar.gz", "deep/er/notes.txt"])
def test_a_file_that_the_release_does_not_name_is_refused(folder: Path, name: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / "app.tar.gz", path)
    with pytest.raises(VerificationError, match=rf"mesh 1\.0\.0 has no file {name}"):
        tuple(check_released_file(found_at(path)))


def test_where_nothing_names_a_file_there_is_no_release(tmp_path: Path) -> None:
    (tmp_path / "app.tar.gz").write_bytes(b"x")
    assert find_release(tmp_path / "app.tar.gz") is None


def test_the_nearest_release_counts(folder: Path) -> None:
    inner = folder / "more" / "dist"
    inner.parent.mkdir()
    write(inner)
    assert found_at(inner / "app.tar.gz").root == inner


def test_a_name_that_github_made_flat_is_known(folder: Path) -> None:
    flat = folder / SBOM.replace("/", ".")
    shutil.copyfile(folder / SBOM, flat)
    assert checked(flat) == []
    flat.write_text("[]")
    assert checked(flat) == [(flat.name, checked(flat)[0][1])]


@pytest.fixture
def download(folder: Path, tmp_path: Path) -> Path:
    """An archive with checksums.txt, in a directory of its own."""
    place = tmp_path / "downloads"
    place.mkdir()
    for name in ("app.tar.gz", "checksums.txt"):
        shutil.copyfile(folder / name, place / name)
    return place


def test_checksums_alone_do_for_an_archive(download: Path) -> None:
    archive = download / "app.tar.gz"
    (check,) = check_released_file(found_at(archive))
    assert check.compared == f"sha256 in checksums.txt is {Digest.of_file(archive).hex}"
    archive.write_bytes(archive.read_bytes() + b"\0")
    assert [subject for subject, _ in checked(archive)] == ["app.tar.gz"]
    (download / "other.zip").write_bytes(b"")
    with pytest.raises(VerificationError, match=r"this release has no file other\.zip"):
        checked(download / "other.zip")
    with pytest.raises(VerificationError, match="nothing but a key says"):
        checked(download / "checksums.txt")


def test_a_signature_without_a_key_is_refused(folder: Path) -> None:
    (folder / "app.tar.gz.sig").write_bytes(b"c2ln")
    with pytest.raises(VerificationError, match="is a signature, which a key alone can check"):
        checked(folder / "app.tar.gz.sig")


def sign(path: Path, signer: Signer = SIGNER) -> None:
    signature = signature_file(signer, Digest.of_file(path))
    path.with_name(f"{path.name}.sig").write_bytes(signature)


def signed(path: Path, trust: Trust = TRUST) -> list[str]:
    return [problem for _, problem in problems(check_signed_file(path, find_release(path), trust))]


def test_one_signature_has_to_be_there_and_all_that_are_have_to_be_right(download: Path) -> None:
    archive, sums = download / "app.tar.gz", download / "checksums.txt"
    assert signed(archive) == ["there is no app.tar.gz.sig or checksums.txt.sig"]
    sign(sums)
    assert signed(archive) == []
    sign(archive)
    assert signed(archive) == []
    sign(sums, FOREIGN)
    assert len(signed(archive)) == 1
    (download / "checksums.txt.sig").unlink()
    bundle = blob_bundle(SIGNER, Digest.of_file(sums))
    (download / "checksums.txt.sigstore.json").write_bytes(bundle)
    assert signed(archive) == []
    sums.write_bytes(sums.read_bytes() + b"\n")
    assert len(signed(archive)) == 1


def test_a_signed_file_that_nothing_names_is_believed_by_its_signature(tmp_path: Path) -> None:
    (tmp_path / "app.tar.gz").write_bytes(b"x")
    assert signed(tmp_path / "app.tar.gz") == ["there is no app.tar.gz.sig"]
    sign(tmp_path / "app.tar.gz")
    assert signed(tmp_path / "app.tar.gz") == []
    expecting = expecting_source("https://example.com/mesh")
    assert signed(tmp_path / "app.tar.gz", expecting) == ["there is none"]
    (tmp_path / "app.tar.gz").write_bytes(b"y")
    assert len(signed(tmp_path / "app.tar.gz")) == 1


def expecting_source(source: str) -> Trust:
    return Trust(verifier=SIGNER.public_key, source=source)


def prove(folder: Path, *subjects: Subject, source: str = "https://example.com/mesh") -> None:
    predicate = {
        "buildDefinition": {
            "externalParameters": {"source": source, "version": "1.0.0"},
            "resolvedDependencies": [],
        },
        "runDetails": {"builder": {"id": "https://ci"}},
    }
    envelope = Statement.of(subjects, SLSA, predicate).signed(SIGNER)
    (folder / "provenance.intoto.jsonl").write_bytes(envelope.data)


def test_a_provenance_has_to_be_about_the_file_and_of_the_source(folder: Path) -> None:
    archive, expecting = folder / "app.tar.gz", expecting_source("https://example.com/mesh")
    sign(folder / "release.json")
    assert signed(archive) == []
    assert signed(archive, expecting) == ["it is missing"]
    prove(folder, Subject(name="app.tar.gz", digest=Digest.of_file(archive)))
    assert signed(archive, expecting) == []
    assert signed(archive, expecting_source("https://example.com/fork")) == [
        "it is https://example.com/mesh, expected https://example.com/fork"
    ]
    # What is about documents is release.json; a source can be asked of what is shipped alone.
    assert signed(folder / "metadata.json") == []
    assert len(signed(folder / "metadata.json", expecting)) == 1
    prove(folder, Subject(name="app.tar.gz", digest=Digest.of_bytes(b"other")))
    assert len(signed(archive)) == 1


def test_a_signature_stands_for_what_it_is_of() -> None:
    assert signed_path(Path("a/x.tar.gz.sig")) == Path("a/x.tar.gz")
    assert signed_path(Path("release.json.sigstore.json")) == Path("release.json")
    assert signed_path(Path("x.tar.gz")) == Path("x.tar.gz")


def test_what_was_published_without_images_is_whole_and_says_so(folder: Path) -> None:
    shutil.rmtree(folder / "oci" / "blobs")
    assert problems(check_release(folder))
    shutil.rmtree(folder / "oci")
    checks = tuple(check_release(folder))
    assert problems(checks) == []
    assert "1 images are not here: verify each in its registry" in {it.compared for it in checks}


@pytest.mark.parametrize("name", [SBOM, PACKAGE_SBOM])
def test_a_program_that_no_sbom_describes_is_named(folder: Path, name: str) -> None:
    compared = {check.compared for check in check_release(folder)}
    assert "one for each of 2 binaries, packages and images" in compared
    document = read_release(folder)
    kept = tuple(it for it in document.files if it.path not in {name, *MADE_ANEW})
    (folder / name).unlink()
    seal(folder, structs.replace(document, files=kept))
    assert problems(check_release(folder)) == [("sboms", f"missing: {name}")]
