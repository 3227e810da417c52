"""A release that is signed, published and verified, and what ends it before it begins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from buildkit.attest.dsse import open_envelope
from buildkit.attest.images import verified_statements
from buildkit.attest.keys import generate_key, read_signer
from buildkit.attest.statement import COSIGN_SIGN, SLSA, SPDX, read_statement
from buildkit.digest import Digest
from buildkit.http import HttpPool
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from tests.fakes.registry import Logins
from tests.integration.tiny_project import PROJECT, Tree

pytestmark = [pytest.mark.go, pytest.mark.registry, pytest.mark.timeout(600)]

PASSWORD = "open sesame"
KEY, PUBLIC = generate_key(PASSWORD)
SIGNER = read_signer(KEY, PASSWORD, "cosign.key")
FOREIGN = generate_key("")[1]
RELEASE = """\
[release.archives.app]
binaries = { app = "app" }
[release.sign]
key = "cosign.key"
legacy_tags = true
[publish.hub]
kind = "registry"
hub = "%s/released"
"""


class Project(Tree):
    """The tiny project at a tag, with a key."""

    def __init__(self, root: Path, hub: str) -> None:
        super().__init__(root)
        text = PROJECT.replace('name = "tiny"', 'name = "tiny"\nurl = "https://example.com/tiny"')
        self.write("targets.toml", text + RELEASE % hub)
        self.write("LICENSE", "Do as you like.\n")
        self.write(".gitignore", "out/\ndist/\n*.key\n*.pub\n")
        for words in (
            "add .",
            "-c user.name=x -c user.email=x@x commit -qm release",
            "tag v1.2.3",
        ):
            subprocess.run(["git", *words.split()], cwd=self.place, check=True)
        self.write("cosign.key", KEY.decode())
        self.write("cosign.pub", PUBLIC.decode())
        self.write("foreign.pub", FOREIGN.decode())

    @property
    def dist(self) -> Path:
        return self.place / "dist"

    def fails(self, *words: str, **environ: str) -> tuple[int, str]:
        program = [sys.executable, "-c", "from buildkit.tasks import main; main()", *words]
        env = {**os.environ, "MESHWRIGHT_CACHE": str(self.root / "cache"), **environ}
        done = subprocess.run(
            program, cwd=self.place, env=env, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr


@pytest.fixture
def project(tmp_path: Path, hub: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("COSIGN_PASSWORD", PASSWORD)
    return Project(tmp_path, hub)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_signed_release_is_the_same_each_time_and_verified(project: Project, hub: str) -> None:
    words = ("release", "--version", "1.2.3", "--hub", hub, "--sign")
    first = project.document(*words)
    names = {file["path"] for file in first["files"]}
    assert {
        "provenance.intoto.jsonl",
        "sboms/linux_arm64/app.spdx.json",
        "sboms/linux_arm64/image-app.spdx.json",
        "attestations/provenance.bundle.json",
    } < names
    before = files(project.dist)
    signatures = {name for name in before if name.endswith((".sig", ".sigstore.json"))}
    assert {"release.json.sig", "release.json.sigstore.json", "checksums.txt.sig"} < signatures
    assert not signatures & names
    assert not project.document(*words)["written"]
    project.document(*words, "--force")
    assert files(project.dist) == before
    _check_provenance(project.dist)
    project.run("verify", "dist", "--key", "cosign.pub", "--rebuild")
    code, error = project.fails("verify", "dist", "--key", "foreign.pub")
    assert (code, "of another key" in error) == (9, True), error
    code, error = project.fails(*words[:-1])
    assert (code, "dist is signed, and this one would not be" in error) == (2, True), error
    assert files(project.dist) == before
    (project.dist / "release.json.sig").unlink()
    code, error = project.fails(*words)
    assert (code, "release.json.sig is missing" in error) == (9, True), error


def _check_provenance(dist: Path) -> None:
    data = (dist / "provenance.intoto.jsonl").read_bytes()
    statement = read_statement(open_envelope(data, SIGNER.public_key, "provenance"), "provenance")
    subjects = {item["name"]: item["digest"]["sha256"] for item in statement["subject"]}
    release: dict[str, Any] = json.loads((dist / "release.json").read_bytes())
    for file in release["files"]:
        if file["type"] in {"Archive", "SBOM", "Source"}:
            assert subjects[file["path"]] == Digest.of_file(dist / file["path"]).hex


def test_a_published_image_has_all_that_was_said_about_it(project: Project, hub: str) -> None:
    project.run("release", "--version", "1.2.3", "--hub", hub, "--sign")
    project.run("publish")
    client = RegistryClient(pool=HttpPool(environ={}), credentials=Logins())
    image = Reference.parse(f"{hub}/released/app:1.2.3")
    index = client.get_manifest(image)
    tags = client.tags(image)
    for digest, kinds in (
        (str(index.descriptor.digest), {COSIGN_SIGN, SLSA}),
        *(
            (item["digest"], {COSIGN_SIGN, SLSA, SPDX})
            for item in json.loads(index.data)["manifests"]
        ),
    ):
        found = verified_statements(client, image, Digest.parse(digest), SIGNER.public_key)
        assert {item["predicateType"] for item in found} == kinds
        assert f"{digest.replace(':', '-')}.sig" in tags
    project.run("publish")
    assert client.tags(image) == tags
    signature = project.dist / "checksums.txt.sig"
    signature.rename(project.place / "kept")
    code, error = project.fails("publish")
    assert (code, "checksums.txt.sig" in error) == (9, True), error
    (project.place / "kept").rename(signature)
    expected = ("--expect-source", "https://example.com/tiny")
    project.run("verify", str(image), "--key", "cosign.pub", *expected)
    code, error = project.fails("verify", str(image), "--key", "foreign.pub")
    assert (code, "no signature by this key" in error) == (9, True), error
    wrong = ("--expect-source", "https://example.com/other")
    code, error = project.fails("verify", str(image), "--key", "cosign.pub", *wrong)
    assert (code, "expected https://example.com/other" in error) == (9, True), error
    promoted = f"{hub}/promoted/app:1.2.3"
    (done,) = project.document("promote", str(image), promoted)["images"]
    # Of the index and two platforms: a signature and a provenance each, two SBOMs, the
    # signature and the attestations of cosign's own tags.
    assert len(done["attached"]) == 3 * 2 + 2 + 3 * 2
    project.run("verify", promoted, "--key", "cosign.pub", *expected)
    assert set(client.tags(Reference.parse(promoted))) == set(tags)
    bare = f"{hub}/bare/app:1.2.3"
    project.run("promote", str(image), bare, "--bare")
    assert project.fails("verify", bare, "--key", "cosign.pub")[0] == 9


def test_without_a_key_there_is_a_provenance_and_nothing_is_attached(
    project: Project, hub: str
) -> None:
    project.run("release", "--version", "1.2.3", "--hub", hub)
    assert (project.dist / "provenance.json").is_file()
    assert not (project.dist / "attestations").exists()
    project.run("publish")
    client = RegistryClient(pool=HttpPool(environ={}), credentials=Logins())
    image = Reference.parse(f"{hub}/released/app:1.2.3")
    assert client.referrers.find(image, client.get_manifest(image).descriptor.digest) == ()
    code, error = project.fails("verify", str(image), "--key", "cosign.pub")
    assert (code, "no signature by this key" in error) == (9, True), error


@pytest.mark.parametrize(
    ("words", "environ", "code", "message"),
    [
        (("--sign",), {"COSIGN_PASSWORD": "no"}, 10, "does not open the key"),
        (("--key", "absent.key"), {}, 10, "absent.key cannot be read"),
        (("--key", "cosign.pub"), {}, 10, "is no private key"),
        (("--snapshot", "--sign", "--set", "release.sign.key="), {}, 2, "--sign without a key"),
    ],
)
def test_a_release_that_cannot_be_signed_is_not_begun(
    project: Project, words: tuple[str, ...], environ: dict[str, str], code: int, message: str
) -> None:
    found, error = project.fails("release", "--version", "1.2.3", *words, **environ)
    assert (found, message in error) == (code, True), error
    assert not project.dist.exists()
    assert not (project.place / "out").exists()
