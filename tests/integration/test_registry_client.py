"""The registry client against real servers: with and without login, over TLS."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.digest import Digest, canonical_json
from buildkit.errors import AuthError, RegistryError
from buildkit.http import HttpPool
from buildkit.oci.attachment import Attachment, Content
from buildkit.oci.model import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor, Index
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.registry.blobs import Pushed
from buildkit.registry.client import RegistryClient
from buildkit.registry.credentials import Credential
from buildkit.registry.login import check_login
from buildkit.store import Store
from tests.fakes.certificates import make_certificates
from tests.fakes.registry import Logins
from tests.integration.registry_servers import (
    PASSWORD,
    USER,
    built_program,
    installed_program,
    serve,
)

SBOM = "application/spdx+json"
LAYER = os.urandom(3_000_000)
ANN = Credential(username=USER, secret=PASSWORD)


@pytest.fixture(
    params=[
        pytest.param("installed", marks=pytest.mark.registry),
        pytest.param(
            "built",
            marks=[
                pytest.mark.go,
                pytest.mark.network,
                pytest.mark.slow,
                pytest.mark.timeout(1200),
            ],
        ),
    ]
)
def program(
    request: pytest.FixtureRequest, machine: None, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    del machine
    if request.param == "installed":
        return installed_program()
    return built_program(Store.open(tmp_path_factory.getbasetemp() / "tools"))


def client_of(credential: Credential | None = None, **environ: str) -> RegistryClient:
    return RegistryClient(pool=HttpPool(environ=environ), credentials=Logins(credential))


def push_image(client: RegistryClient, reference: Reference, architecture: str) -> Descriptor:
    """Push an image of two blobs and return its descriptor with its platform."""
    config = canonical_json(
        {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of_bytes(LAYER))]},
        }
    )
    parts = []
    for media_type, data in ((OCI_CONFIG, config), (OCI_LAYER, LAYER)):
        part = Descriptor.of(media_type, data)
        client.blobs.push(reference, part, opener(data))
        parts.append(part.to_json())
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": parts[0],
        "layers": parts[1:],
    }
    pushed = client.put_manifest(reference, canonical_json(manifest), OCI_MANIFEST)
    return replace(pushed, platform=Platform("linux", architecture))


def opener(data: bytes) -> Callable[[], io.BytesIO]:
    return lambda: io.BytesIO(data)


def exercise(client: RegistryClient, host: str) -> None:
    """Push two platforms under one tag and read everything back."""
    app = Reference.parse(f"{host}/team/app:v1")
    assert client.head_manifest(app) is None
    assert client.tags(app) == ()
    children = tuple(push_image(client, replace(app, tag=""), name) for name in ("amd64", "arm64"))
    index = Index.of(children)
    pushed = client.put_index(app, index)
    assert client.head_manifest(app) == pushed
    read = client.get_manifest(app)
    assert read.data == index.data
    assert read.descriptor.media_type == OCI_INDEX
    for child in children:
        found = client.get_manifest(app.with_digest(child.digest))
        assert replace(found.descriptor, platform=child.platform) == child
    layer = Descriptor.of(OCI_LAYER, LAYER)
    assert b"".join(client.blobs.stream(app, layer)) == LAYER
    other = Reference.parse(f"{host}/team/other:v1")
    assert client.blobs.push(other, layer, opener(LAYER), mount_from="team/app") is Pushed.MOUNTED
    assert client.blobs.push(other, layer, opener(LAYER)) is Pushed.PRESENT
    assert client.tags(app) == ("v1",)
    assert "team/app" in client.catalog(host)


def test_a_real_registry_takes_and_gives_what_the_client_sends(
    program: Path, tmp_path: Path
) -> None:
    with serve(program, tmp_path) as port:
        exercise(client_of(), f"localhost:{port}")


def test_attachments_are_found_on_a_real_registry(program: Path, tmp_path: Path) -> None:
    with serve(program, tmp_path) as port:
        client = client_of()
        app = Reference.parse(f"localhost:{port}/team/app:v1")
        subject = replace(push_image(client, app, "amd64"), platform=None)
        assert client.referrers.find(app, subject.digest) == ()
        sbom = Attachment.of(subject, SBOM, (Content.of(SBOM, b"{}"),), {"made.by": "test"})
        signature = Attachment.of(subject, "application/vnd.example.signature")
        attached = {client.referrers.attach(app, item) for item in (sbom, signature, sbom)}
        assert set(client.referrers.find(app, subject.digest)) == attached
        (found,) = client.referrers.find(app, subject.digest, artifact_type=SBOM)
        assert client.get_manifest(app.with_digest(found.digest)).data == sbom.manifest
        # Neither server has the API (seen with 2.8 and 3.1), so the tag stands in for it.
        assert client.tags(app) == (f"sha256-{subject.digest.hex}", "v1")


def test_a_wrong_digest_is_refused_in_the_servers_words(program: Path, tmp_path: Path) -> None:
    with serve(program, tmp_path) as port:
        client = client_of()
        app = Reference.parse(f"localhost:{port}/app:v1")
        false = replace(Descriptor.of(OCI_LAYER, LAYER), digest=Digest.of_bytes(b"other"))
        with pytest.raises(RegistryError, match="answered 400") as caught:
            client.blobs.push(app, false, opener(LAYER))
        assert "DIGEST_INVALID" in caught.value.details
        assert client.blobs.size(app, false.digest) is None


def test_basic_credentials_open_a_real_registry(program: Path, tmp_path: Path) -> None:
    with serve(program, tmp_path, login=True) as port:
        exercise(client_of(ANN), f"localhost:{port}")


def test_a_login_is_tried_at_a_real_registry(program: Path, tmp_path: Path) -> None:
    with serve(program, tmp_path, login=True) as port:
        host = f"localhost:{port}"
        assert check_login(HttpPool(environ={}), host, ANN) is True
        with pytest.raises(AuthError, match=f"{host} refuses the login of {USER}") as caught:
            check_login(HttpPool(environ={}), host, Credential(username=USER, secret="s3cret"))
        assert "s3cret" not in str(caught.value)
    with serve(program, tmp_path) as port:
        assert check_login(HttpPool(environ={}), f"localhost:{port}", ANN) is False


@pytest.mark.parametrize("credential", [None, Credential(username=USER, secret="s3cret")])
def test_without_the_right_credentials_it_stays_shut(
    program: Path, tmp_path: Path, credential: Credential | None
) -> None:
    with serve(program, tmp_path, login=True) as port:
        host = f"localhost:{port}"
        with pytest.raises(AuthError, match=host) as caught:
            client_of(credential).head_manifest(Reference.parse(f"{host}/app:v1"))
        assert f"docker login {host}" in caught.value.resolution
        assert "s3cret" not in str(caught.value)


def test_a_private_authority_is_trusted_if_the_environment_names_it(
    program: Path, tmp_path: Path
) -> None:
    # Not "localhost": loopback is asked in clear text.
    name = socket.gethostname()
    address = socket.gethostbyname(name)
    authority, certificate, key = make_certificates(tmp_path, name, address)
    with serve(program, tmp_path, tls=(certificate, key), address=address) as port:
        host = f"{name}:{port}"
        exercise(client_of(SSL_CERT_FILE=str(authority)), host)
        with pytest.raises(RegistryError, match="no trusted TLS connection") as caught:
            client_of().head_manifest(Reference.parse(f"{host}/app:v1"))
        assert "SSL_CERT_FILE" in caught.value.resolution
