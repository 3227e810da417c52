"""Attachments: through the API, and by the tag that stands in for it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from buildkit.digest import Digest, canonical_json
from buildkit.errors import AuthError, RegistryError
from buildkit.oci.attachment import OCI_EMPTY, Attachment, Content
from buildkit.oci.model import OCI_INDEX, OCI_MANIFEST, Descriptor
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from buildkit.registry.referrers import ATTEMPTS
from tests.fakes.registry import FakeRegistry, Fault
from tests.unit.registry.conftest import push_image

SBOM = "application/spdx+json"
SIGNATURE = "application/vnd.example.signature"


@pytest.fixture(params=[True, False], ids=["api", "tag"])
def registry(request: pytest.FixtureRequest) -> FakeRegistry:
    found = request.getfixturevalue("with_api" if request.param else "without_api")
    assert isinstance(found, FakeRegistry)
    return found


@pytest.fixture
def with_api() -> Iterator[FakeRegistry]:
    with FakeRegistry(page_size=1) as fake:
        yield fake


@pytest.fixture
def without_api() -> Iterator[FakeRegistry]:
    with FakeRegistry(has_referrers=False) as fake:
        yield fake


def reference_at(registry: FakeRegistry) -> Reference:
    return Reference.parse(f"{registry.host}/team/app:v1")


def sbom(subject: Descriptor, data: bytes = b'{"spdxVersion": "SPDX-2.3"}') -> Attachment:
    annotations = {"org.opencontainers.image.created": "2024-01-01T00:00:00Z"}
    return Attachment.of(subject, SBOM, (Content.of(SBOM, data),), annotations)


def stand_in(registry: FakeRegistry, subject: Descriptor) -> dict[str, object]:
    held = registry.look("team/app")
    media_type, data = held.manifests[held.tags[f"sha256-{subject.digest.hex}"]]
    assert media_type == OCI_INDEX
    value: dict[str, object] = json.loads(data)
    return value


def test_an_image_without_attachments_has_none(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    app = reference_at(registry)
    pushed = push_image(client, app)
    assert client.referrers.find(app, pushed.digest) == ()
    nowhere = Reference.parse(f"{registry.host}/never")
    assert client.referrers.find(nowhere, pushed.digest) == ()


def test_what_is_attached_is_listed_with_its_type_and_annotations(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    app = reference_at(registry)
    subject = push_image(client, app)
    signature = Attachment.of(subject, SIGNATURE)
    attached = {client.referrers.attach(app, item) for item in (sbom(subject), signature)}
    found = client.referrers.find(app, subject.digest)
    assert set(found) == attached
    assert list(found) == sorted(found, key=lambda item: item.digest)
    (only,) = client.referrers.find(app, subject.digest, artifact_type=SBOM)
    assert only.artifact_type == SBOM
    assert dict(only.annotations)["org.opencontainers.image.created"] == "2024-01-01T00:00:00Z"
    assert client.referrers.find(app, subject.digest, artifact_type="text/plain") == ()


def test_an_attachment_can_be_read_back(registry: FakeRegistry, client: RegistryClient) -> None:
    app = reference_at(registry)
    subject = push_image(client, app)
    attached = client.referrers.attach(app, sbom(subject))
    value = json.loads(client.get_manifest(app.with_digest(attached.digest)).data)
    assert Descriptor.from_json(value["subject"]) == subject
    assert value["config"]["mediaType"] == OCI_EMPTY
    content = Descriptor.from_json(value["layers"][0])
    assert client.blobs.read(app, content, limit=100) == b'{"spdxVersion": "SPDX-2.3"}'


def test_attaching_again_changes_nothing(registry: FakeRegistry, client: RegistryClient) -> None:
    app = reference_at(registry)
    subject = push_image(client, app)
    first = client.referrers.attach(app, sbom(subject))
    tags = registry.tags("team/app")
    assert client.referrers.attach(app, sbom(subject)) == first
    assert registry.tags("team/app") == tags
    assert client.referrers.find(app, subject.digest) == (first,)


def test_a_registry_with_the_api_gets_no_tag(
    with_api: FakeRegistry, client: RegistryClient
) -> None:
    app = reference_at(with_api)
    client.referrers.attach(app, sbom(push_image(client, app)))
    assert set(with_api.tags("team/app")) == {"v1"}


def test_the_stand_in_keeps_what_others_wrote(
    without_api: FakeRegistry, client: RegistryClient
) -> None:
    app = reference_at(without_api)
    subject = push_image(client, app)
    foreign = push_image(client, replace(app, tag=""), b"foreign").to_json()
    foreign["vendor"] = {"kept": True}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [foreign], "extra": 7}
    tag = app.with_tag(f"sha256-{subject.digest.hex}")
    client.put_manifest(tag, canonical_json(index), OCI_INDEX)
    attached = client.referrers.attach(app, sbom(subject))
    assert stand_in(without_api, subject) == {
        **index,
        "manifests": [foreign, attached.to_json()],
    }


def test_an_entry_that_another_client_overwrote_is_entered_again(
    without_api: FakeRegistry, client: RegistryClient, pauses: list[float]
) -> None:
    app = reference_at(without_api)
    subject = push_image(client, app)
    # The write is answered, but what it wrote is gone at once.
    lost = Fault(f"PUT .*/manifests/sha256-{subject.digest.hex}", status=201, headers=(("X", "y"),))
    without_api.misbehave(lost)
    attached = client.referrers.attach(app, sbom(subject))
    assert client.referrers.find(app, subject.digest) == (attached,)
    assert pauses == [0.5]


def test_a_tag_that_never_keeps_the_entry_is_an_error(
    without_api: FakeRegistry, client: RegistryClient
) -> None:
    app = reference_at(without_api)
    subject = push_image(client, app)
    pattern = f"PUT .*/manifests/sha256-{subject.digest.hex}"
    without_api.misbehave(Fault(pattern, status=201, times=99))
    with pytest.raises(RegistryError, match="overwritten by others") as caught:
        client.referrers.attach(app, sbom(subject))
    assert "one job at a time" in caught.value.resolution
    assert without_api.count(pattern) == ATTEMPTS


def test_a_tag_of_that_name_that_is_an_image_is_not_overwritten(
    without_api: FakeRegistry, client: RegistryClient
) -> None:
    app = reference_at(without_api)
    subject = push_image(client, app)
    tag = app.with_tag(f"sha256-{subject.digest.hex}")
    other = push_image(client, tag, b"other")
    with pytest.raises(RegistryError, match="no list of referrers"):
        client.referrers.attach(app, sbom(subject))
    assert client.head_manifest(tag) == other


def test_a_web_page_is_not_taken_for_a_list(
    without_api: FakeRegistry, client: RegistryClient
) -> None:
    app = reference_at(without_api)
    subject = push_image(client, app)
    attached = client.referrers.attach(app, sbom(subject))
    page = (("Content-Type", "text/html"),)
    without_api.misbehave(Fault("GET .*/referrers/", status=200, headers=page, body=b"<html>"))
    assert client.referrers.find(app, subject.digest) == (attached,)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"manifests": 7}',
        b'{"manifests": [7]}',
        b'{"manifests": [{}]}',
        b'{"manifests": [{"mediaType": "a", "digest": "b", "size": 1}]}',
    ],
)
def test_a_list_that_makes_no_sense_is_an_error(
    with_api: FakeRegistry, client: RegistryClient, body: bytes
) -> None:
    app = reference_at(with_api)
    headers = (("Content-Type", OCI_INDEX),)
    with_api.misbehave(Fault("GET .*/referrers/", status=200, headers=headers, body=body))
    with pytest.raises(RegistryError, match="cannot list what is attached to"):
        client.referrers.find(app, Digest.of_bytes(b"any"))


def test_a_refused_list_is_an_error_with_a_remedy(
    with_api: FakeRegistry, client: RegistryClient
) -> None:
    with_api.misbehave(Fault("GET .*/referrers/", status=403))
    with pytest.raises(AuthError, match="answered 403"):
        client.referrers.find(reference_at(with_api), Digest.of_bytes(b"any"))


def test_a_subject_that_is_no_digest_is_an_error(
    with_api: FakeRegistry, client: RegistryClient
) -> None:
    app = reference_at(with_api)
    subject = push_image(client, app)
    answer = (("OCI-Subject", "nonsense"),)
    with_api.misbehave(Fault("PUT .*/manifests/", status=201, headers=answer))
    with pytest.raises(RegistryError, match="no usable digest"):
        client.referrers.attach(app, sbom(subject))


def test_equal_attachments_have_equal_bytes() -> None:
    subject = Descriptor.of(OCI_MANIFEST, b"{}")
    assert sbom(subject).manifest == sbom(subject).manifest
    assert sbom(subject).descriptor != sbom(subject, b"{}").descriptor
