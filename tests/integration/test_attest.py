"""`invoke attest` and `invoke keys.generate` as a user calls them, on a small real project."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from buildkit.attest.images import verified_statements
from buildkit.attest.keys import generate_key, read_signer
from buildkit.attest.statement import COSIGN_SIGN, SLSA, SPDX
from buildkit.digest import Digest
from buildkit.http import HttpPool
from buildkit.oci.model import Descriptor
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from tests.fakes.damages import damage_each
from tests.fakes.registry import Logins
from tests.integration.tiny_project import MAIN, Tree

pytestmark = [pytest.mark.go, pytest.mark.registry]

PASSWORD = "open sesame"
KEY, PUBLIC = generate_key(PASSWORD)
SIGNER = read_signer(KEY, PASSWORD, "cosign.key")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("COSIGN_PASSWORD", PASSWORD)
    tree = Tree(tmp_path)
    tree.write("cosign.key", KEY.decode())
    return tree


def fails(tree: Tree, *words: str, **environ: str) -> tuple[int, str]:
    program = [sys.executable, "-c", "from buildkit.tasks import main; main()", *words]
    env = {**os.environ, "MESHWRIGHT_CACHE": str(tree.root / "cache"), **environ}
    done = subprocess.run(
        program, cwd=tree.place, env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def statement_of(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "provenance.json").read_bytes())
    return value


def test_sboms_and_provenance_without_a_key(tree: Tree, hub: str) -> None:
    document = tree.document("attest", "--hub", hub, "--no-load")
    folder = tree.place / "out" / "attest"
    assert set(files(folder)) == {
        "linux_amd64/app.spdx.json",
        "linux_amd64/tool.spdx.json",
        "linux_amd64/image-app.spdx.json",
        "linux_arm64/app.spdx.json",
        "linux_arm64/image-app.spdx.json",
        "provenance.json",
    }
    assert document["attached"] == 0
    binary = tree.place / "out" / "linux_arm64" / "app"
    sbom = json.loads((folder / "linux_arm64" / "app.spdx.json").read_bytes())
    sums = [
        item["checksums"][0]["checksumValue"] for item in sbom["packages"] if "checksums" in item
    ]
    assert sums == [Digest.of_file(binary).hex]
    image = json.loads((folder / "linux_arm64" / "image-app.spdx.json").read_bytes())
    assert {item["name"] for item in image["packages"]} == {"app", "certifi", "stdlib", "tzdata"}
    statement = statement_of(folder)
    subjects = {item["name"]: item["digest"]["sha256"] for item in statement["subject"]}
    assert subjects["linux_arm64/app"] == Digest.of_file(binary).hex
    materials = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tree.place, check=True, capture_output=True, text=True
    )
    assert {"gitCommit": head.stdout.strip()} in [item.get("digest") for item in materials]


def test_a_tree_that_differs_from_its_commit_names_none(tree: Tree, hub: str) -> None:
    tree.write("cmd/app/main.go", MAIN % "edited")
    done = tree.run("attest", "--hub", hub, "--no-load")
    assert "differs from its commit" in done.stderr
    statement = statement_of(tree.place / "out" / "attest")
    materials = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert not any("gitCommit" in item.get("digest", {}) for item in materials)


def test_what_is_signed_is_found_beside_the_image_and_a_second_run_changes_nothing(
    tree: Tree, hub: str
) -> None:
    words = ("attest", "--hub", hub, "--no-load", "--key", "cosign.key", "--legacy-tags")
    document = tree.document(*words)
    # Signature and provenance of the index, and with an SBOM of two platforms.
    assert document["attached"] == 2 + 2 * 3
    folder = tree.place / "out" / "attest"
    before = files(folder)
    assert {"provenance.intoto.jsonl", "provenance.sigstore.json"} < set(before)
    client = RegistryClient(pool=HttpPool(environ={}), credentials=Logins())
    image = Reference.parse(f"{hub}/app:latest")
    index = client.get_manifest(image)
    tags = client.tags(image)
    entries = [Descriptor.from_json(item) for item in json.loads(index.data)["manifests"]]
    for digest, kinds in (
        (index.descriptor.digest, {COSIGN_SIGN, SLSA}),
        *((entry.digest, {COSIGN_SIGN, SLSA, SPDX}) for entry in entries),
    ):
        found = verified_statements(client, image, digest, SIGNER.public_key)
        assert {item["predicateType"] for item in found} == kinds
        assert {f"sha256-{digest.hex}.sig", f"sha256-{digest.hex}.att"} < set(tags)
    listed = client.referrers.find(image, index.descriptor.digest)
    # What layers hold is remembered, and looked for again where that is damaged.
    remembered = tree.root / "cache" / "contents"
    contents = files(remembered)
    assert damage_each(remembered) == len(contents) > 2
    tree.document(*words)
    assert files(folder) == before
    assert files(remembered).keys() == contents.keys()
    assert client.referrers.find(image, index.descriptor.digest) == listed
    assert client.tags(image) == tags


@pytest.mark.parametrize(
    ("words", "environ", "code", "message"),
    [
        (("--key", "absent.key"), {}, 10, "absent.key cannot be read"),
        (("--key", "cosign.key"), {"COSIGN_PASSWORD": "no"}, 10, "does not open the key"),
        (("--key", "go.mod"), {}, 10, "is no private key"),
        (("--legacy-tags",), {}, 2, "without a key"),
    ],
)
def test_a_key_that_cannot_sign_ends_it_before_anything_is_built(
    tree: Tree, words: tuple[str, ...], environ: dict[str, str], code: int, message: str
) -> None:
    found, error = fails(tree, "attest", *words, **environ)
    assert (found, message in error) == (code, True), error
    assert not (tree.place / "out").exists()


def test_a_key_pair_is_made_and_never_overwritten(tree: Tree) -> None:
    tree.run("keys.generate", "--key", "new.key")
    key = tree.place / "new.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    signer = read_signer(key.read_bytes(), PASSWORD, "new.key")
    assert (tree.place / "new.pub").read_bytes() == signer.public_key.pem
    before = key.read_bytes()
    code, error = fails(tree, "keys.generate", "--key", "new.key")
    assert (code, "never overwritten" in error) == (2, True), error
    assert key.read_bytes() == before
