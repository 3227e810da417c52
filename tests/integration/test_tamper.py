"""Whatever is changed in a signed release is found, and named."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from buildkit.attest.keys import PublicKey, generate_key, open_signer
from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.pipeline.verifying import run_verify
from buildkit.plan.options import Options
from buildkit.release.assemble import write_documents
from buildkit.release.documents import encode
from buildkit.release.sealing import seal
from buildkit.verify.check import Check
from buildkit.verify.release import check_release, read_release
from buildkit.verify.signed import Trust, check_signatures
from tests.integration.test_signed_release import PASSWORD, Project, files

pytestmark = [pytest.mark.go, pytest.mark.timeout(300)]

HUB = "localhost:1"
SOURCE = "https://example.com/tiny"
FOLLOWING = {"artifacts.json", "metadata.json", "digests.txt"}


@dataclass(frozen=True)
class Release:
    """A signed release that was made once; each test has a copy."""

    project: Project
    dist: Path

    def verify(self, key: str = "cosign.pub", source: str = "", builder: str = "") -> str:
        """Return what is said to be wrong with it; empty where nothing is."""
        options = Options(
            targets=str(self.project.place / "targets.toml"),
            key=str(self.project.place / key) if key else None,
            expect_source=source,
            expect_builder=builder,
        )
        try:
            run_verify(options, str(self.dist))
        except VerificationError as error:
            return str(error)
        return ""

    def document(self) -> Any:
        return json.loads((self.dist / "release.json").read_bytes())

    def write(self, document: Any) -> None:
        (self.dist / "release.json").write_bytes(encode(document))

    def reseal(self) -> None:
        """Have every document say what is there now, as if it had been made so."""
        document = read_release(self.dist)
        kept = [file for file in document.files if file.path not in FOLLOWING]
        found = [(file, self.dist / file.path) for file in kept]
        files = tuple(
            structs.replace(file, sha256=Digest.of_file(path).hex, size=path.stat().st_size)
            for file, path in found
        )
        write_documents(self.dist, structs.replace(document, files=files))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COSIGN_PASSWORD", PASSWORD)
        project = Project(tmp_path_factory.mktemp("release"), HUB)
        project.run("release", "--hub", HUB, "--sign")
        yield project


@pytest.fixture
def release(made: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(made.root / "cache"))
    shutil.copytree(made.dist, tmp_path / "dist")
    return Release(made, tmp_path / "dist")


def test_as_it_was_made_it_is_what_it_should_be(release: Release) -> None:
    assert release.verify() == ""
    assert release.verify(source=SOURCE) == ""
    assert release.verify(key="") == ""


def test_one_bit_of_any_file_is_found_and_the_file_named(release: Release) -> None:
    missed = []
    for name, data in files(release.dist).items():
        at, bit = secrets.randbelow(len(data)), 1 << secrets.randbelow(8)
        path = release.dist / name
        path.write_bytes(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
        said = release.verify()
        signed = name.removesuffix(".sig").removesuffix(".sigstore.json")
        if signed not in said and Path(name).name not in said:
            missed.append((name, at, bit, said))
        path.write_bytes(data)
    assert not missed


def test_a_file_that_is_missing_or_more_is_named(release: Release) -> None:
    for name in files(release.dist):
        path = release.dist / name
        path.rename(release.dist.parent / "kept")
        signed = path.name.removesuffix(".sig").removesuffix(".sigstore.json")
        assert signed in release.verify(), name
        (release.dist.parent / "kept").rename(path)
    for name in ("more.txt", "oci/more", "more.sig", "oci/blobs/sha256/more"):
        (release.dist / name).write_bytes(b"more")
        assert name in release.verify(key=""), name
        (release.dist / name).unlink()
    assert release.verify() == ""


def first_problem(checks: Iterator[Check]) -> Check | None:
    return next((check for check in checks if check.problem), None)


def unreadable(release: Release) -> str:
    """Return why the document is none any more."""
    try:
        read_release(release.dist)
    except VerificationError as error:
        return error.brief
    return ""


def changed(value: Any) -> Iterator[Any]:
    """Yield a JSON value with one thing in it changed, for each thing in it."""
    match value:
        case dict():
            for key in value:
                yield {name: item for name, item in value.items() if name != key}
                for other in changed(value[key]):
                    yield {**value, key: other}
        case list():
            for number, item in enumerate(value):
                yield [*value[:number], *value[number + 1 :]]
                for other in changed(item):
                    yield [*value[:number], other, *value[number + 1 :]]
            yield [*value, "more"]
        case bool():
            yield not value
        case int():
            yield value + 1
        case str():
            yield f"{value}x"
            yield ""


def test_any_field_of_the_document_that_is_changed_is_found(
    release: Release, made: Project
) -> None:
    document = release.document()
    trust = Trust(verifier=PublicKey.read((made.place / "cosign.pub").read_bytes(), "key"))
    sums = (release.dist / "checksums.txt").read_text().splitlines(keepends=True)
    count = 0
    for other in changed(document):
        if other == document:
            continue
        count += 1
        release.write(other)
        if problem := unreadable(release):
            assert "release.json" in problem
            continue
        assert first_problem(check_release(release.dist)), other
        # An attacker makes checksums.txt fit; what is signed does not.
        digest = Digest.of_file(release.dist / "release.json").hex
        lines = [f"{digest}{line[64:]}" if "release.json" in line else line for line in sums]
        (release.dist / "checksums.txt").write_text("".join(lines))
        found = first_problem(check_signatures(release.dist, read_release(release.dist), trust))
        assert found
        assert found.subject == "release.json"
        (release.dist / "checksums.txt").write_text("".join(sums))
    assert count > 200


def swap_images(release: Release) -> None:
    """Give the images' names to each other's platforms."""
    path = release.dist / "oci" / "index.json"
    index = json.loads(path.read_bytes())
    (entry,) = index["manifests"]
    blobs = release.dist / "oci" / "blobs" / "sha256"
    children = json.loads((blobs / entry["digest"][7:]).read_bytes())
    first, second = children["manifests"]
    first["platform"], second["platform"] = second["platform"], first["platform"]
    data = json.dumps(children, sort_keys=True, separators=(",", ":")).encode()
    entry |= {"digest": f"sha256:{Digest.of_bytes(data).hex}", "size": len(data)}
    (blobs / Digest.of_bytes(data).hex).write_bytes(data)
    path.write_bytes(json.dumps(index, sort_keys=True, separators=(",", ":")).encode())


def test_an_image_in_the_place_of_another_is_found(release: Release) -> None:
    swap_images(release)
    said = release.verify(key="")
    assert "oci has localhost:1/app:1.2.3" in said
    assert "localhost:1/app:1.2.3: digest: it is" in said
    assert "localhost:1/app:1.2.3: digest: it is" in release.verify()


def test_a_foreign_key_is_found_in_every_signature(release: Release) -> None:
    said = release.verify(key="foreign.pub")
    signed = [name for name in files(release.dist) if name.endswith((".sig", ".sigstore.json"))]
    assert len([line for line in said.splitlines() if "or of another key" in line]) == len(signed)
    assert "provenance.intoto.jsonl" in said


def test_who_signs_an_edited_release_with_his_own_key_is_found(
    release: Release, tmp_path: Path
) -> None:
    (release.dist / "CHANGELOG.md").write_text("nothing to see\n")
    release.reseal()
    (tmp_path / "own.key").write_bytes(generate_key("")[0])
    signer = open_signer(tmp_path / "own.key", {"COSIGN_PASSWORD": ""})
    seal(release.dist, read_release(release.dist), signer)
    assert release.verify(key="") == ""
    assert "release.json: its signature by this key" in release.verify()


@pytest.fixture(scope="module")
def old(made: Project) -> Iterator[Path]:
    """The provenance of the same project's next commit, by the same key."""
    made.write("cmd/app/more.go", "package main\n\nfunc init() { println(1) }\n")
    for words in ("add .", "-c user.name=x -c user.email=x@x commit -qm more"):
        subprocess.run(["git", *words.split()], cwd=made.place, check=True)
    made.run("release", "--hub", HUB, "--sign", "--version", "1.2.4", "--dist", "other")
    yield made.place / "other" / "provenance.intoto.jsonl"
    shutil.rmtree(made.place / "other")


def test_the_provenance_of_another_commit_is_found(release: Release, old: Path) -> None:
    shutil.copyfile(old, release.dist / old.name)
    assert f"{old.name}: sha256" in release.verify(key="")
    release.reseal()
    said = release.verify()
    assert f"{old.name}: it is about" in said
    assert f"{old.name}: the commit: it is" in said
    assert f"{old.name}: its provenance: version: it is 1.2.4, expected 1.2.3" in said


def test_another_source_or_builder_than_is_expected_is_found(release: Release) -> None:
    said = release.verify(source="https://example.com/fork", builder="https://ci")
    assert f"source: it is {SOURCE}, expected https://example.com/fork" in said
    assert "builder: it is urn:meshwright:builder:local, expected https://ci" in said
    assert "2 checks fail" in said


def reencode(release: Release, edit: Callable[[Any], None]) -> None:
    document = release.document()
    edit(document)
    release.write(document)
    release.reseal()


def forget_units(document: Any) -> None:
    for unit in document["units"]:
        unit["digest"] = f"sha256:{0:064}"


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (forget_units, "is none that was built"),
        (lambda it: it.update(version="1.2.4"), "label org.opencontainers.image.version"),
        (lambda it: it["images"].clear(), "oci/blobs/sha256/"),
        (lambda it: it["tools"].pop(), "the digest of all that decided it"),
    ],
)
def test_a_resealed_document_is_compared_with_what_was_built(
    release: Release, edit: Callable[[Any], None], problem: str
) -> None:
    reencode(release, edit)
    assert problem in release.verify(key="")
