"""Blobs: verified downloads that resume, uploads that start anew."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from io import BufferedIOBase
from pathlib import Path

import pytest

from buildkit.errors import AuthError, RegistryError
from buildkit.http import HttpPool
from buildkit.oci.model import OCI_LAYER, Descriptor
from buildkit.oci.tarstream import BlockReader
from buildkit.reference import Reference
from buildkit.registry.blobs import ATTEMPTS, Pushed, upload_url
from buildkit.registry.client import RegistryClient
from buildkit.registry.credentials import Credential
from tests.fakes.registry import SOON, FakeRegistry, Fault, Login, Logins

DATA = bytes(range(256)) * 4096
BLOB = Descriptor.of(OCI_LAYER, DATA)
UPLOAD = "PUT .*/blobs/uploads/"
DOWNLOAD = "GET .*/blobs/"


def opener(data: bytes = DATA) -> Callable[[], BufferedIOBase]:
    return lambda: io.BytesIO(data)


def stored(registry: FakeRegistry, name: str = "team/app") -> bytes:
    return registry.repository(name).blobs[str(BLOB.digest)]


def test_a_blob_is_uploaded_once_and_then_present(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    sent: list[int] = []
    assert client.blobs.push(app, BLOB, opener(), sent=sent.append) is Pushed.UPLOADED
    assert stored(registry) == DATA
    assert sum(sent) == len(DATA)
    assert client.blobs.push(app, BLOB, opener()) is Pushed.PRESENT
    assert registry.count(UPLOAD) == 1


def test_an_empty_blob_is_uploaded_too(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    empty = Descriptor.of(OCI_LAYER, b"")
    assert client.blobs.push(app, empty, opener(b"")) is Pushed.UPLOADED
    assert registry.repository("team/app").blobs[str(empty.digest)] == b""


def test_a_blob_of_another_repository_is_mounted_not_sent(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    registry.put_blob("base", DATA)
    assert client.blobs.push(app, BLOB, opener(), mount_from="base") is Pushed.MOUNTED
    assert stored(registry) == DATA
    assert registry.count(UPLOAD) == 0


def test_a_mount_of_what_is_not_there_becomes_an_upload_in_the_same_session(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    assert client.blobs.push(app, BLOB, opener(), mount_from="base") is Pushed.UPLOADED
    assert registry.count("POST ") == 1


def test_a_registry_that_refuses_to_mount_gets_an_upload(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    registry.misbehave(Fault("POST .*mount=", status=405))
    assert client.blobs.push(app, BLOB, opener(), mount_from="base") is Pushed.UPLOADED


def test_what_a_broken_upload_did_not_read_is_closed(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    closed: list[int] = []

    def blocks() -> Iterator[bytes]:
        try:
            for start in range(0, len(DATA), 1000):
                yield DATA[start : start + 1000]
        finally:
            closed.append(1)

    registry.misbehave(Fault(UPLOAD, reset=10, times=2))
    pushed = client.blobs.push(app, BLOB, lambda: BlockReader(blocks()))
    assert pushed is Pushed.UPLOADED
    assert len(closed) == 3


def test_an_upload_that_is_reset_starts_anew(
    registry: FakeRegistry, client: RegistryClient, app: Reference, pauses: list[float]
) -> None:
    registry.misbehave(Fault(UPLOAD, reset=100_000, times=2))
    assert client.blobs.push(app, BLOB, opener()) is Pushed.UPLOADED
    assert stored(registry) == DATA
    sessions = {seen.path for seen in registry.requests(UPLOAD)}
    assert len(sessions) == 3
    assert pauses == [0.5, 1.0]


@pytest.mark.parametrize("status", [408, 416, 429, 500, 502, 503])
def test_an_upload_that_fails_starts_anew(
    registry: FakeRegistry, client: RegistryClient, app: Reference, status: int
) -> None:
    registry.misbehave(Fault(UPLOAD, status=status))
    assert client.blobs.push(app, BLOB, opener()) is Pushed.UPLOADED
    assert stored(registry) == DATA


def test_an_upload_waits_as_long_as_the_registry_asks(
    registry: FakeRegistry, client: RegistryClient, app: Reference, pauses: list[float]
) -> None:
    registry.misbehave(Fault(UPLOAD, status=429, headers=SOON, times=2))
    client.blobs.push(app, BLOB, opener())
    assert pauses == [7.0, 7.0]


def test_a_session_that_the_registry_forgot_starts_anew(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    registry.misbehave(Fault("POST ", lose_session=True))
    assert client.blobs.push(app, BLOB, opener()) is Pushed.UPLOADED
    assert registry.count("POST ") == 2


def test_a_blob_whose_answer_was_lost_is_not_sent_again(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    def arrives_but_breaks() -> BufferedIOBase:
        registry.put_blob("team/app", DATA)
        return io.BytesIO(DATA)

    registry.misbehave(Fault(UPLOAD, reset=len(DATA)))
    assert client.blobs.push(app, BLOB, arrives_but_breaks) is Pushed.UPLOADED
    assert registry.count(UPLOAD) == 1


def test_an_upload_that_always_breaks_is_an_error_of_ours(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    registry.misbehave(Fault(UPLOAD, reset=10, times=99))
    with pytest.raises(RegistryError, match=f"cannot push {BLOB.digest}"):
        client.blobs.push(app, BLOB, opener())
    assert registry.count(UPLOAD) == ATTEMPTS


@pytest.mark.parametrize(("status", "family"), [(403, AuthError), (413, RegistryError)])
def test_a_refused_upload_is_final(
    registry: FakeRegistry,
    client: RegistryClient,
    app: Reference,
    status: int,
    family: type[RegistryError],
) -> None:
    registry.misbehave(Fault(UPLOAD, status=status, times=9))
    with pytest.raises(family, match=f"answered {status}"):
        client.blobs.push(app, BLOB, opener())
    assert registry.count(UPLOAD) == 1


def test_content_that_is_not_what_the_descriptor_says_is_refused(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    other = DATA[:-1] + b"x"
    with pytest.raises(RegistryError, match="answered 400") as caught:
        client.blobs.push(app, BLOB, opener(other))
    assert "DIGEST_INVALID" in caught.value.details
    assert registry.repository("team/app").blobs == {}


def test_a_file_that_shrank_is_named_as_the_cause(client: RegistryClient, app: Reference) -> None:
    with pytest.raises(RegistryError, match="changed while it was pushed"):
        client.blobs.push(app, BLOB, opener(DATA[:-1]))


def test_a_file_that_is_gone_is_not_taken_for_a_broken_connection(
    client: RegistryClient, app: Reference, tmp_path: Path, pauses: list[float]
) -> None:
    with pytest.raises(RegistryError, match="cannot be read to push it"):
        client.blobs.push(app, BLOB, lambda: (tmp_path / "gone").open("rb"))
    assert pauses == []


def test_an_upload_location_on_another_host_gets_no_login(pool: HttpPool) -> None:
    login = Login(scheme="basic")
    ann = Credential(username=login.username, secret=login.password)
    client = RegistryClient(pool=pool, credentials=Logins(ann))
    with FakeRegistry(login=login) as registry, FakeRegistry(content=registry.content) as storage:
        app = Reference.parse(f"{registry.host}/team/app")
        storage.sessions["abc"] = bytearray()
        location = f"{storage.url}/v2/team/app/blobs/uploads/abc?_state=x%2By"
        client.blobs.push(app, Descriptor.of(OCI_LAYER, b""), opener(b""))
        registry.misbehave(Fault("POST ", status=202, headers=(("Location", location),)))
        assert client.blobs.push(app, BLOB, opener()) is Pushed.UPLOADED
        assert stored(registry) == DATA
        (upload,) = storage.requests(UPLOAD)
        assert "authorization" in registry.requests("POST ")[-1].headers
        assert "authorization" not in upload.headers


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/v2/a/blobs/uploads/1", "https://r.test/v2/a/blobs/uploads/1?digest={}"),
        ("1?_state=x%2By", "https://r.test/v2/a/blobs/uploads/1?_state=x%2By&digest={}"),
        ("http://r.test/up/1", "https://r.test/up/1?digest={}"),
        ("https://storage.test/1?sig=a", "https://storage.test/1?sig=a&digest={}"),
    ],
)
def test_an_upload_goes_where_the_session_says(location: str, expected: str) -> None:
    url = upload_url("https://r.test/v2/a/blobs/uploads/", location, BLOB.digest)
    assert url == expected.format(str(BLOB.digest).replace(":", "%3A"))


def test_an_upload_never_leaves_encryption() -> None:
    with pytest.raises(RegistryError, match="without encryption"):
        upload_url("https://r.test/v2/a/blobs/uploads/", "http://storage.test/1", BLOB.digest)


def test_an_upload_without_a_location_is_an_error(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    registry.misbehave(Fault("POST ", status=202))
    with pytest.raises(RegistryError, match="without saying where"):
        client.blobs.push(app, BLOB, opener())


def test_the_size_of_a_blob_tells_whether_it_is_there(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    assert client.blobs.size(app, BLOB.digest) is None
    registry.put_blob("team/app", DATA)
    assert client.blobs.size(app, BLOB.digest) == len(DATA)
    registry.misbehave(Fault("HEAD ", status=403))
    with pytest.raises(AuthError, match="cannot look up"):
        client.blobs.size(app, BLOB.digest)


def test_a_blob_is_read_whole(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    registry.put_blob("team/app", DATA)
    assert b"".join(client.blobs.stream(app, BLOB)) == DATA
    assert client.blobs.read(app, BLOB, limit=len(DATA)) == DATA


def test_a_blob_too_large_for_memory_is_not_even_asked_for(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    with pytest.raises(RegistryError, match="too large"):
        client.blobs.read(app, BLOB, limit=len(DATA) - 1)
    assert registry.seen == []


def test_a_cut_download_goes_on_where_it_broke(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    registry.put_blob("team/app", DATA)
    registry.misbehave(Fault(DOWNLOAD, cut=300_000, times=2))
    assert b"".join(client.blobs.stream(app, BLOB)) == DATA
    ranges = [seen.headers.get("range") for seen in registry.requests(DOWNLOAD)]
    assert ranges[0] is None
    starts = [int(re.sub(r"\D", "", text or "")) for text in ranges[1:]]
    assert starts == sorted(starts)
    assert starts[0] > 0


def test_a_registry_that_ignores_ranges_is_understood(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    registry.put_blob("team/app", DATA)
    registry.misbehave(Fault(DOWNLOAD, cut=300_000))
    registry.misbehave(Fault(DOWNLOAD, status=200, body=DATA))
    assert b"".join(client.blobs.stream(app, BLOB)) == DATA


def test_a_download_that_always_breaks_is_an_error_of_ours(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    registry.put_blob("team/app", DATA)
    registry.misbehave(Fault(DOWNLOAD, cut=10, times=99))
    with pytest.raises(RegistryError, match="broke off"):
        b"".join(client.blobs.stream(app, BLOB))
    assert registry.count(DOWNLOAD) == ATTEMPTS


def test_an_altered_blob_is_refused_at_its_end(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    registry.put_blob("team/app", DATA)
    registry.misbehave(Fault(DOWNLOAD, flip=True))
    with pytest.raises(RegistryError, match="not what its descriptor says") as caught:
        b"".join(client.blobs.stream(app, BLOB))
    assert str(BLOB.digest) in caught.value.details


@pytest.mark.parametrize("data", [DATA + b"more", DATA[:-1]])
def test_a_blob_of_another_size_is_refused_by_its_size(
    registry: FakeRegistry, client: RegistryClient, app: Reference, data: bytes
) -> None:
    registry.misbehave(Fault(DOWNLOAD, status=200, body=data))
    with pytest.raises(RegistryError, match="not what its descriptor says") as caught:
        b"".join(client.blobs.stream(app, BLOB))
    assert f"Expected {len(DATA)}, got " in caught.value.details


def test_a_blob_that_is_not_there_is_an_error(client: RegistryClient, app: Reference) -> None:
    with pytest.raises(RegistryError, match="answered 404"):
        b"".join(client.blobs.stream(app, BLOB))


def test_a_download_follows_a_redirect_to_a_storage_host(
    registry: FakeRegistry, client: RegistryClient, app: Reference
) -> None:
    registry.put_blob("team/app", DATA)
    with FakeRegistry(content=registry.content) as storage:
        registry.misbehave(Fault(DOWNLOAD, redirect=storage.url))
        assert b"".join(client.blobs.stream(app, BLOB)) == DATA
        assert storage.count(DOWNLOAD) == 1
