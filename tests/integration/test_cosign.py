"""cosign itself on what this tool signs: keys, files, images, attestations, old tags."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from buildkit.attest.bundle import blob_bundle, envelope_bundle, signature_file
from buildkit.attest.images import Attested, ImageAttester, verified_statements
from buildkit.attest.keys import KeySigner, generate_key, open_signer, read_signer
from buildkit.attest.statement import SLSA, SPDX, Statement, Subject
from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.http import HttpPool
from buildkit.oci.attachment import Content
from buildkit.oci.model import OCI_CONFIG, Descriptor
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from tests.fakes.images import random_index
from tests.fakes.registry import Logins
from tests.integration.registry_servers import installed_program, serve

COSIGN = "github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3"
PASSWORD = "open sesame"
KEY, PUBLIC = generate_key(PASSWORD)
SIGNER = read_signer(KEY, PASSWORD, "cosign.key")

pytestmark = [
    pytest.mark.go,
    pytest.mark.network,
    pytest.mark.registry,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]


@dataclass(frozen=True)
class Cosign:
    program: Path
    folder: Path

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        # Offline: it would ask Sigstore's own servers for what a key does not need.
        env = {**os.environ, "COSIGN_PASSWORD": PASSWORD, "HTTPS_PROXY": "http://127.0.0.1:9"}
        done = subprocess.run(
            [self.program, *arguments],
            env=env,
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def verify(self, command: str, image: str, *more: str) -> subprocess.CompletedProcess[str]:
        flags = ("--key", "cosign.pub", "--insecure-ignore-tlog", "--allow-http-registry")
        return self.run(command, *flags, *more, image, check=False)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cosign")
    env = {**os.environ, "GOBIN": str(folder), "GOTOOLCHAIN": "local"}
    subprocess.run(["go", "install", COSIGN], env=env, check=True)
    return folder / "cosign"


@pytest.fixture
def cosign(program: Path, tmp_path: Path) -> Cosign:
    (tmp_path / "cosign.key").write_bytes(KEY)
    (tmp_path / "cosign.pub").write_bytes(PUBLIC)
    return Cosign(program, tmp_path)


@dataclass(frozen=True)
class Pushed:
    client: RegistryClient
    reference: Reference
    index: Descriptor
    manifest: Descriptor

    def attest(self, *, legacy_tags: bool = False, signer: KeySigner = SIGNER) -> None:
        named = [
            Subject(name=self.reference.name, digest=item.digest)
            for item in (self.index, self.manifest)
        ]
        provenance = Statement.of(named, SLSA, {"buildDefinition": {}, "runDetails": {}})
        sbom = Statement.of(named[1:], SPDX, {"spdxVersion": "SPDX-2.3"})
        attester = ImageAttester(
            client=self.client, signer=signer, epoch=1700000000, legacy_tags=legacy_tags
        )
        attester.attest(
            self.reference,
            (
                Attested(subject=self.index, statements=(provenance,)),
                Attested(subject=self.manifest, statements=(provenance, sbom)),
            ),
        )


@pytest.fixture
def pushed(tmp_path: Path) -> Iterator[Pushed]:
    folder = tmp_path / "registry"
    folder.mkdir()
    with serve(installed_program(), folder) as port:
        client = RegistryClient(pool=HttpPool(environ={}), credentials=Logins())
        reference = Reference.parse(f"localhost:{port}/mesh/pilot:1.2.3")
        index, images = random_index(Platform.parse("linux/amd64"), Platform.parse("linux/arm64"))
        for image in images.values():
            for layer in image.layers:
                client.blobs.push(reference, layer.descriptor, layer.open)
            config = Content.of(OCI_CONFIG, image.config)
            client.blobs.push(reference, config.descriptor, config.open)
            client.put_manifest(
                reference.with_digest(image.descriptor.digest), image.manifest, image.media_type
            )
        client.put_index(reference, index)
        image = images[Platform.parse("linux/arm64")]
        yield Pushed(client, reference, index.descriptor, image.descriptor)


def test_cosign_verifies_images_and_attestations_by_referrers(
    cosign: Cosign, pushed: Pushed
) -> None:
    image = str(pushed.reference)
    assert cosign.verify("verify", image).returncode != 0
    pushed.attest()
    for name in (image, str(pushed.reference.with_digest(pushed.manifest.digest))):
        done = cosign.verify("verify", name)
        assert done.returncode == 0, done.stderr
        done = cosign.verify("verify-attestation", name, "--type", "slsaprovenance1")
        assert done.returncode == 0, done.stderr
    assert not any(tag.endswith((".sig", ".att")) for tag in pushed.client.tags(pushed.reference))
    arm64 = str(pushed.reference.with_digest(pushed.manifest.digest))
    done = cosign.verify("verify-attestation", arm64, "--type", "spdxjson")
    assert done.returncode == 0, done.stderr
    assert cosign.verify("verify-attestation", image, "--type", "spdxjson").returncode != 0


def test_our_own_verification_agrees(pushed: Pushed) -> None:
    pushed.attest()
    found = verified_statements(
        pushed.client, pushed.reference, pushed.manifest.digest, SIGNER.public_key
    )
    assert {SLSA, SPDX} < {statement["predicateType"] for statement in found}
    foreign = read_signer(generate_key("")[0], "", "other").public_key
    with pytest.raises(VerificationError, match="no signature by this key"):
        verified_statements(pushed.client, pushed.reference, pushed.manifest.digest, foreign)


def test_a_foreign_key_does_not_verify(cosign: Cosign, pushed: Pushed) -> None:
    pushed.attest(signer=read_signer(generate_key("")[0], "", "other"))
    assert cosign.verify("verify", str(pushed.reference)).returncode != 0
    done = cosign.verify("verify-attestation", str(pushed.reference), "--type", "slsaprovenance1")
    assert done.returncode != 0


def test_cosigns_own_tags_are_read_by_those_who_know_no_referrers(
    cosign: Cosign, pushed: Pushed
) -> None:
    pushed.attest(legacy_tags=True)
    before = pushed.client.tags(pushed.reference)
    digest = pushed.index.digest.hex
    assert {f"sha256-{digest}.sig", f"sha256-{digest}.att"} < set(before)
    flag = "--new-bundle-format=false"
    done = cosign.verify("verify", str(pushed.reference), flag)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["critical"]["image"]["docker-manifest-digest"] == str(pushed.index.digest)
    done = cosign.verify(
        "verify-attestation", str(pushed.reference), "--type", "slsaprovenance1", flag
    )
    assert done.returncode == 0, done.stderr


def test_cosign_signs_with_our_key_and_we_with_cosigns(cosign: Cosign, tmp_path: Path) -> None:
    assert cosign.run("public-key", "--key", "cosign.key").stdout == PUBLIC.decode()
    cosign.run("generate-key-pair", "--output-key-prefix", "theirs")
    theirs = open_signer(tmp_path / "theirs.key", {"COSIGN_PASSWORD": PASSWORD})
    assert theirs.public_key.pem == (tmp_path / "theirs.pub").read_bytes()


def test_cosign_verifies_files(cosign: Cosign, tmp_path: Path) -> None:
    data = b'{"version": "1.2.3"}'
    (tmp_path / "release.json").write_bytes(data)
    (tmp_path / "release.json.sig").write_bytes(signature_file(SIGNER, Digest.of_bytes(data)))
    (tmp_path / "release.json.sigstore.json").write_bytes(
        blob_bundle(SIGNER, Digest.of_bytes(data))
    )
    for proof in (
        ("--signature", "release.json.sig"),
        ("--bundle", "release.json.sigstore.json"),
    ):
        flags = ("--key", "cosign.pub", "--insecure-ignore-tlog", *proof)
        cosign.run("verify-blob", *flags, "release.json")
        (tmp_path / "other.json").write_bytes(data + b"\n")
        assert cosign.run("verify-blob", *flags, "other.json", check=False).returncode != 0


def test_cosign_verifies_the_provenance_of_a_file(cosign: Cosign, tmp_path: Path) -> None:
    (tmp_path / "istioctl").write_bytes(b"binary")
    subject = Subject(name="linux_amd64/istioctl", digest=Digest.of_bytes(b"binary"))
    statement = Statement.of([subject], SLSA, {"buildDefinition": {}, "runDetails": {}})
    (tmp_path / "bundle.json").write_bytes(envelope_bundle(statement.signed(SIGNER)))
    key = ("--key", "cosign.pub", "--insecure-ignore-tlog")
    flags = (*key, "--type", "slsaprovenance1", "--bundle", "bundle.json")
    cosign.run("verify-blob-attestation", *flags, "istioctl")
    (tmp_path / "istioctl").write_bytes(b"other")
    done = cosign.run("verify-blob-attestation", *flags, "istioctl", check=False)
    assert done.returncode != 0
