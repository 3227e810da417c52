"""Manifests, indexes, tags and the catalog against the in-process registry."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from buildkit.digest import Digest, canonical_json
from buildkit.errors import AuthError, RegistryError
from buildkit.http import HttpPool
from buildkit.oci.model import OCI_INDEX, OCI_MANIFEST, Descriptor, Index
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.registry.client import MANIFEST_LIMIT, RegistryClient
from buildkit.registry.credentials import Credential
from buildkit.registry.wire import base_url
from tests.fakes.registry import SOON, FakeRegistry, Fault, Login, Logins
from tests.unit.registry.conftest import push_image

WRONG = f"sha256:{'0' * 64}"


def test_what_was_pushed_is_found_and_read_back_byte_for_byte(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    pushed = push_image(client, app)
    assert registry.tags("team/app") == {"v1": str(pushed.digest)}
    assert client.head_manifest(app) == pushed
    read = client.get_manifest(app)
    assert read.descriptor == pushed
    assert Digest.of_bytes(read.data) == pushed.digest
    assert client.get_manifest(app.with_digest(pushed.digest)) == read


def test_a_manifest_can_be_pushed_by_its_digest_alone(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    pushed = push_image(client, replace(app, tag=""))
    assert registry.tags("team/app") == {}
    assert client.head_manifest(app.with_digest(pushed.digest)) == pushed


def test_an_index_names_the_platforms_of_a_tag(client: RegistryClient, app: Reference) -> None:
    children = tuple(
        replace(push_image(client, app, name.encode()), platform=Platform("linux", name))
        for name in ("arm64", "amd64")
    )
    index = Index.of(children)
    assert client.put_index(app, index) == index.descriptor
    read = client.get_manifest(app)
    assert read.descriptor.media_type == OCI_INDEX
    assert read.data == index.data


def test_what_is_not_there_is_none_for_head_and_an_error_for_get(
    client: RegistryClient, app: Reference
) -> None:
    assert client.head_manifest(app) is None
    with pytest.raises(RegistryError, match=r"cannot read .*/team/app:v1") as caught:
        client.get_manifest(app)
    assert "MANIFEST_UNKNOWN" in caught.value.details
    assert "Check the name" in caught.value.resolution
    assert "first push" not in caught.value.resolution


def test_a_registry_that_does_not_report_digests_works_too(pool: HttpPool) -> None:
    with FakeRegistry(reports_digests=False) as quiet:
        client = RegistryClient(pool=pool, credentials=Logins())
        reference = Reference.parse(f"{quiet.host}/app:v1")
        pushed = push_image(client, reference)
        assert client.head_manifest(reference) == pushed
        assert client.get_manifest(reference).descriptor == pushed


def test_altered_content_is_refused(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    pushed = push_image(client, app)
    for reference in (app, app.with_digest(pushed.digest)):
        registry.misbehave(Fault("GET .*/manifests/", flip=True))
        with pytest.raises(RegistryError, match="not what its digest says") as caught:
            client.get_manifest(reference)
        assert str(pushed.digest) in caught.value.details


def test_another_manifest_than_the_asked_digest_is_refused_whatever_the_header_says(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    pushed = push_image(client, app)
    registry.repository("team/app").manifests[WRONG] = (OCI_MANIFEST, b"{}")
    registry.misbehave(Fault("GET .*/manifests/", digest=str(Digest.of_bytes(b"{}"))))
    assert pushed.digest != Digest.of_bytes(b"{}")
    with pytest.raises(RegistryError, match="not what its digest says"):
        client.get_manifest(app.with_digest(Digest.parse(WRONG)))


def test_a_registry_that_keeps_something_else_is_told(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    registry.misbehave(Fault("PUT .*/manifests/", digest=WRONG))
    with pytest.raises(RegistryError, match="keeps something else"):
        push_image(client, app)


@pytest.mark.parametrize("text", ["md5:1", "sha256:xyz", "nonsense"])
def test_a_digest_that_is_none_is_an_error_of_ours(
    registry: FakeRegistry, client: RegistryClient, app: Reference, text: str
) -> None:
    push_image(client, app)
    registry.misbehave(Fault("HEAD .*/manifests/", digest=text))
    with pytest.raises(RegistryError, match="no usable digest"):
        client.head_manifest(app)


def test_a_manifest_without_end_is_not_read_into_memory(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    huge = b" " * (MANIFEST_LIMIT + 1)
    registry.misbehave(Fault("GET .*/manifests/", status=200, body=huge))
    with pytest.raises(RegistryError, match="more than"):
        client.get_manifest(app)


def test_a_missing_blob_is_told_in_the_registrys_words(
    client: RegistryClient, app: Reference
) -> None:
    absent = Descriptor.of("x", b"absent").to_json()
    manifest = {"schemaVersion": 2, "config": absent, "layers": []}
    with pytest.raises(RegistryError) as caught:
        client.put_manifest(app, canonical_json(manifest), OCI_MANIFEST)
    assert caught.value.details == f"MANIFEST_BLOB_UNKNOWN: {absent['digest']}"


def test_a_storm_of_429_is_sat_out_as_long_as_the_registry_asks(
    registry: FakeRegistry, client: RegistryClient, app: Reference, pauses: list[float]
) -> None:
    registry.misbehave(Fault("PUT .*/manifests/", status=429, headers=SOON, times=3))
    push_image(client, app)
    assert pauses == [7.0, 7.0, 7.0]
    assert registry.count("PUT .*/manifests/") == 4


def test_a_storm_that_does_not_end_is_an_error_with_a_remedy(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    registry.misbehave(Fault("GET .*/manifests/", status=429, times=99))
    with pytest.raises(RegistryError, match="answered 429") as caught:
        client.get_manifest(app)
    assert "limits the rate" in caught.value.resolution


ADVICE = {
    401: "docker login",
    403: "may not do this",
    404: "created before the first push",
    413: "client_max_body_size",
}


@pytest.mark.parametrize("status", ADVICE)
def test_a_final_refusal_is_not_tried_again_and_says_what_to_do(
    registry: FakeRegistry,
    client: RegistryClient,
    app: Reference,
    status: int,
) -> None:
    registry.misbehave(Fault("PUT .*/manifests/", status=status, times=9))
    with pytest.raises(
        AuthError if status in {401, 403} else RegistryError, match=f"answered {status}"
    ) as caught:
        push_image(client, app)
    assert ADVICE[status] in caught.value.resolution
    assert registry.host in caught.value.brief
    assert registry.count("PUT .*/manifests/") == 1


def test_nothing_listening_is_a_registry_error_that_names_the_action(
    client: RegistryClient,
) -> None:
    reference = Reference.parse("127.0.0.1:1/app:v1")
    with pytest.raises(RegistryError, match=r"cannot look up 127\.0\.0\.1:1/app:v1"):
        client.head_manifest(reference)


def test_tags_and_repositories_are_collected_over_all_pages(pool: HttpPool) -> None:
    with FakeRegistry(page_size=2) as paged:
        client = RegistryClient(pool=pool, credentials=Logins())
        names = [f"app{number}" for number in range(5)]
        for name in names:
            push_image(client, Reference.parse(f"{paged.host}/{name}:v1"))
        for number in range(5):
            push_image(client, Reference.parse(f"{paged.host}/app0:t{number}"))
        repository = Reference.parse(f"{paged.host}/app0")
        assert client.tags(repository) == ("t0", "t1", "t2", "t3", "t4", "v1")
        assert client.catalog(paged.host) == tuple(names)
        assert paged.count("GET .*/tags/list") == 3
        assert paged.count("GET .*/_catalog") == 3


def test_a_repository_that_does_not_exist_has_no_tags(
    client: RegistryClient, app: Reference
) -> None:
    assert client.tags(app) == ()


def test_pages_that_lead_in_a_circle_end(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    link = (("Link", '</v2/team/app/tags/list?n=1000>; rel="next"'),)
    registry.misbehave(
        Fault("GET .*/tags", status=200, headers=link, body=b'{"tags": ["a"]}', times=9)
    )
    assert client.tags(app) == ("a",)
    assert registry.count("GET .*/tags") == 1


def test_a_page_elsewhere_gets_no_login(pool: HttpPool) -> None:
    login = Login(scheme="basic")
    ann = Credential(username=login.username, secret=login.password)
    client = RegistryClient(pool=pool, credentials=Logins(ann))
    with FakeRegistry() as elsewhere, FakeRegistry(login=login) as registry:
        client.catalog(registry.host)
        link = (("Link", f'<{elsewhere.url}/v2/_catalog>; rel="next"'),)
        registry.misbehave(
            Fault("GET .*/_catalog", status=200, headers=link, body=b'{"repositories": ["a"]}')
        )
        assert client.catalog(registry.host) == ("a",)
        assert "authorization" in registry.seen[-1].headers
        assert "authorization" not in elsewhere.seen[-1].headers


@pytest.mark.parametrize("body", [b"not json", b"[1]", b"\xff"])
def test_a_list_that_is_none_is_an_error(
    registry: FakeRegistry, client: RegistryClient, app: Reference, body: bytes
) -> None:
    registry.misbehave(Fault("GET .*/tags", status=200, body=body))
    with pytest.raises(RegistryError, match=re.escape(registry.host)):
        client.tags(app)


@pytest.mark.parametrize("target", ["http://[x", "http://host:port/"])
def test_a_next_page_that_is_no_address_is_an_error(
    registry: FakeRegistry, client: RegistryClient, app: Reference, target: str
) -> None:
    link = (("Link", f'<{target}>; rel="next"'),)
    registry.misbehave(Fault("GET .*/tags", status=200, headers=link, body=b"{}"))
    with pytest.raises(RegistryError, match="address that is none"):
        client.tags(app)


@pytest.mark.parametrize(
    ("registry_name", "url"),
    [
        ("docker.io", "https://registry-1.docker.io"),
        ("ghcr.io", "https://ghcr.io"),
        ("localhost:5000", "http://localhost:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("lab.test:5000", "http://lab.test:5000"),
        ("lab.test", "http://lab.test"),
        ("10.0.0.7:5000", "http://10.0.0.7:5000"),
        ("10.0.0.7:5001", "https://10.0.0.7:5001"),
    ],
)
def test_plain_http_is_for_loopback_and_what_is_listed(registry_name: str, url: str) -> None:
    assert base_url(registry_name, frozenset({"lab.test", "10.0.0.7:5000"})) == url
