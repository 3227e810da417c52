"""Through a real CONNECT proxy, and past it: logins, exceptions, trust."""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from buildkit.errors import FetchError, RegistryError
from buildkit.http import HttpPool
from buildkit.oci.model import OCI_LAYER, Descriptor
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from buildkit.registry.credentials import Credential
from tests.fakes.certificates import make_certificates
from tests.fakes.proxy import FakeProxy
from tests.fakes.registry import FakeRegistry, Fault, Login, Logins
from tests.unit.registry.conftest import push_image

NAME = "registry.test"
LOGIN = "ann@company:p@ss/word"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secure:
    """A registry that speaks TLS under a name that only a proxy knows."""

    registry: FakeRegistry
    authority: Path

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.registry.host.partition(":")
        return host, int(port)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    return make_certificates(tmp_path_factory.mktemp("tls"), NAME, "127.0.0.1")


@pytest.fixture
def secure(certificates: tuple[Path, Path, Path]) -> Iterator[Secure]:
    authority, certificate, key = certificates
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with FakeRegistry(tls=context, login=Login(scheme="basic")) as registry:
        yield Secure(registry=registry, authority=authority)


@pytest.fixture
def proxy(secure: Secure) -> Iterator[FakeProxy]:
    with FakeProxy({f"{NAME}:443": secure.address}, login=LOGIN) as fake:
        yield fake


@pytest.fixture
def pauses() -> list[float]:
    return []


def client_of(pool: HttpPool) -> RegistryClient:
    ann = Credential(username="ann", secret="open sesame")
    return RegistryClient(pool=pool, credentials=Logins(ann))


def test_a_push_goes_through_the_proxy_and_both_logins_to_whom_they_are_for(
    secure: Secure, proxy: FakeProxy
) -> None:
    environ = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": str(secure.authority)}
    client = client_of(HttpPool(environ=environ))
    app = Reference.parse(f"{NAME}/team/app:v1")
    pushed = push_image(client, app, bytes(300_000))
    assert client.head_manifest(app) == pushed
    layer = Descriptor.of(OCI_LAYER, bytes(300_000))
    assert b"".join(client.blobs.stream(app, layer)) == bytes(300_000)
    assert set(proxy.seen) == {f"CONNECT {NAME}:443"}
    # The registry never sees the proxy's password, the proxy sees nothing but the host.
    assert all("proxy-authorization" not in seen.headers for seen in secure.registry.seen)


def test_a_wrong_password_of_the_proxy_is_one_clear_error(
    secure: Secure, proxy: FakeProxy, pauses: list[float]
) -> None:
    environ = {
        "HTTPS_PROXY": f"http://ann:s3cret@{proxy.host}",
        "SSL_CERT_FILE": str(secure.authority),
    }
    pool = HttpPool(environ=environ, sleep=pauses.append)
    with pytest.raises(RegistryError, match="refuses the user or password") as caught:
        client_of(pool).head_manifest(Reference.parse(f"{NAME}/team/app:v1"))
    assert f"the proxy {proxy.host}" in caught.value.brief
    assert "http://user:password@host:port" in caught.value.resolution
    assert "s3cret" not in str(caught.value)
    assert pauses == []
    assert len(proxy.seen) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_login_and_gets_none_says_so(
    proxy: FakeProxy, pauses: list[float], scheme: str
) -> None:
    environ = {"ALL_PROXY": f"http://{proxy.host}"}
    pool = HttpPool(environ=environ, sleep=pauses.append)
    with pytest.raises(FetchError, match="asks for a user and a password"):
        pool.read("GET", f"{scheme}://{NAME}/x", limit=100)
    assert pauses == []


def test_plain_http_goes_through_the_proxy_too(proxy: FakeProxy) -> None:
    pool = HttpPool(environ={"HTTP_PROXY": proxy.url})
    answer = pool.read("GET", f"http://{NAME}/x?y", limit=100)
    assert answer.body == b"through the proxy"
    assert proxy.seen == [f"GET http://{NAME}/x?y"]


def test_a_host_that_the_proxy_cannot_reach_is_told_with_the_proxy(
    proxy: FakeProxy, pauses: list[float]
) -> None:
    pool = HttpPool(environ={"HTTPS_PROXY": proxy.url}, sleep=pauses.append)
    with pytest.raises(FetchError, match=f"through the proxy {proxy.host}") as caught:
        pool.read("GET", "https://nowhere.test/", limit=100, retries=1)
    assert "502" in caught.value.details
    assert "p@ss" not in str(caught.value)
    assert pauses == [0.5]


@pytest.mark.parametrize("rule", ["127.0.0.0/8", "localhost", "", "other.test"])
def test_loopback_goes_past_the_proxy_whatever_is_excepted(proxy: FakeProxy, rule: str) -> None:
    with FakeRegistry() as near:
        pool = HttpPool(environ={"ALL_PROXY": proxy.url, "NO_PROXY": rule})
        assert pool.read("GET", f"{near.url}/v2/", limit=100).status == 200
        assert near.count("GET /v2/") == 1
    assert proxy.seen == []


@pytest.mark.parametrize("rule", ["test", ".test", "registry.test", "registry.test:443", "*"])
def test_an_excepted_name_is_not_asked_of_the_proxy(
    proxy: FakeProxy, pauses: list[float], rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, *_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, f"no {host} here")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    pool = HttpPool(environ={"HTTPS_PROXY": proxy.url, "NO_PROXY": rule}, sleep=pauses.append)
    with pytest.raises(FetchError, match=f"there is no host {NAME}"):
        pool.read("GET", f"https://{NAME}/", limit=100)
    assert proxy.seen == []


def test_an_authority_that_nothing_names_is_not_trusted_through_a_proxy_either(
    proxy: FakeProxy, pauses: list[float]
) -> None:
    pool = HttpPool(environ={"HTTPS_PROXY": proxy.url}, sleep=pauses.append)
    with pytest.raises(FetchError, match=f"no trusted TLS connection to {NAME}") as caught:
        pool.read("GET", f"https://{NAME}/v2/", limit=100)
    assert "SSL_CERT_FILE" in caught.value.resolution
    assert pauses == []


def test_the_systems_own_authorities_are_trusted(
    secure: Secure, proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    # OpenSSL takes the place of the system's file from this, whatever the pool is told.
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.authority))
    pool = HttpPool(environ={"HTTPS_PROXY": proxy.url})
    assert pool.read("GET", f"https://{NAME}/v2/", limit=1000).status == 401


def test_a_certificate_of_another_host_is_refused(secure: Secure, pauses: list[float]) -> None:
    with FakeProxy({"other.test:443": secure.address}) as proxy:
        environ = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": str(secure.authority)}
        pool = HttpPool(environ=environ, sleep=pauses.append)
        with pytest.raises(FetchError, match=r"no trusted TLS connection to other\.test"):
            pool.read("GET", "https://other.test/v2/", limit=100)


def test_an_upload_that_breaks_in_the_tunnel_starts_anew(secure: Secure, proxy: FakeProxy) -> None:
    environ = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": str(secure.authority)}
    client = client_of(HttpPool(environ=environ, sleep=lambda _: None))
    secure.registry.misbehave(Fault("PUT .*/uploads/", reset=10_000))
    app = Reference.parse(f"{NAME}/team/app:v1")
    layer = Descriptor.of(OCI_LAYER, bytes(3_000_000))
    client.blobs.push(app, layer, lambda: io.BytesIO(bytes(3_000_000)))
    assert client.blobs.size(app, layer.digest) == 3_000_000


def test_tls_that_ends_in_mid_answer_is_a_broken_connection_not_a_lack_of_trust(
    secure: Secure, proxy: FakeProxy, pauses: list[float]
) -> None:
    environ = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": str(secure.authority)}
    pool = HttpPool(environ=environ, sleep=pauses.append)
    secure.registry.misbehave(Fault("GET /v2/", reset=0, times=2))
    assert pool.read("GET", f"https://{NAME}/v2/", limit=1000).status == 401
    assert pauses == [0.5, 1.0]
