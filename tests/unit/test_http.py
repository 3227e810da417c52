"""The HTTP pool against an in-process server that misbehaves."""

from __future__ import annotations

import io
import re
import ssl
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.errors import EnvironmentMissingError, FetchError
from buildkit.http import BrokenTransferError, HttpPool, host_of, rewrite
from buildkit.http.pool import LONGEST_PAUSE_SECONDS
from buildkit.http.routes import ProxySettings
from buildkit.http.trust import trust
from tests.fakes.registry import SOON, FakeRegistry, Fault

UPLOAD = "/v2/app/blobs/uploads/"


@pytest.fixture
def server() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def pool(pauses: list[float]) -> HttpPool:
    return HttpPool(environ={}, sleep=pauses.append)


def blob_url(server: FakeRegistry, data: bytes) -> str:
    return f"{server.url}/v2/app/blobs/{server.put_blob('app', data)}"


def test_a_whole_answer_is_read_with_headers_in_any_case(
    server: FakeRegistry, pool: HttpPool
) -> None:
    answer = pool.read("GET", blob_url(server, b"content"), limit=100)
    assert answer.status == 200
    assert answer.body == b"content"
    assert answer.headers["CONTENT-length"] == "7"


def test_no_content_encoding_is_asked_for_since_bytes_are_hashed(
    server: FakeRegistry, pool: HttpPool
) -> None:
    pool.read("GET", server.url + "/v2/", limit=100)
    assert server.seen[0].headers["accept-encoding"] == "identity"


def test_an_answer_over_the_limit_is_refused(server: FakeRegistry, pool: HttpPool) -> None:
    url = blob_url(server, bytes(1001))
    assert len(pool.read("GET", url, limit=1001).body) == 1001
    with pytest.raises(FetchError, match="more than 1000 bytes") as caught:
        pool.read("GET", url, limit=1000)
    assert not isinstance(caught.value, BrokenTransferError)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_transient_status_is_tried_again(
    server: FakeRegistry, pool: HttpPool, pauses: list[float], status: int
) -> None:
    server.misbehave(Fault("GET /v2/", status=status, times=2))
    assert pool.read("GET", server.url + "/v2/", limit=100).status == 200
    assert pauses == [0.5, 1.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 501])
def test_a_final_status_is_returned_at_once(
    server: FakeRegistry, pool: HttpPool, pauses: list[float], status: int
) -> None:
    server.misbehave(Fault("GET /v2/", status=status, times=9))
    assert pool.read("GET", server.url + "/v2/", limit=100).status == status
    assert pauses == []


def test_retry_after_is_honoured_and_capped(
    server: FakeRegistry, pool: HttpPool, pauses: list[float]
) -> None:
    server.misbehave(Fault("GET /v2/", status=429, headers=SOON))
    server.misbehave(Fault("GET /v2/", status=503, headers=(("Retry-After", "86400"),)))
    server.misbehave(Fault("GET /v2/", status=429, headers=(("Retry-After", "soon"),)))
    date = (("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"),)
    server.misbehave(Fault("GET /v2/", status=429, headers=date))
    assert pool.read("GET", server.url + "/v2/", limit=100).status == 200
    assert pauses == [7.0, LONGEST_PAUSE_SECONDS, 2.0, 0.0]


def test_retry_after_may_be_a_date_to_come(
    server: FakeRegistry, pool: HttpPool, pauses: list[float]
) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    server.misbehave(Fault("GET /v2/", status=503, headers=(("Retry-After", later),)))
    assert pool.read("GET", server.url + "/v2/", limit=100).status == 200
    (pause,) = pauses
    assert 10 < pause <= 20


def test_a_storm_ends_with_the_last_answer(
    server: FakeRegistry, pool: HttpPool, pauses: list[float]
) -> None:
    server.misbehave(Fault("GET /v2/", status=429, times=99))
    assert pool.read("GET", server.url + "/v2/", limit=100, retries=3).status == 429
    assert server.count("GET /v2/") == 4
    assert pauses == [0.5, 1.0, 2.0]


def test_a_reset_connection_is_tried_again(server: FakeRegistry, pool: HttpPool) -> None:
    server.misbehave(Fault("GET /v2/", reset=0, times=2))
    assert pool.read("GET", server.url + "/v2/", limit=100).status == 200


def test_a_cut_answer_is_read_again(
    server: FakeRegistry, pool: HttpPool, pauses: list[float]
) -> None:
    url = blob_url(server, bytes(range(256)) * 40)
    server.misbehave(Fault("GET .*/blobs/", cut=1000))
    assert pool.read("GET", url, limit=20_000).body == bytes(range(256)) * 40
    assert pauses == [0.5]


def test_a_cut_stream_is_an_error_for_who_reads_it(server: FakeRegistry, pool: HttpPool) -> None:
    url = blob_url(server, bytes(10_000))
    server.misbehave(Fault("GET .*/blobs/", cut=1000))
    with (
        pool.open("GET", url) as response,
        pytest.raises(BrokenTransferError, match=re.escape(server.host)),
    ):
        b"".join(response.stream())


def test_a_post_is_tried_again_only_if_it_was_surely_not_processed(
    server: FakeRegistry, pool: HttpPool
) -> None:
    server.misbehave(Fault("POST ", status=502))
    assert pool.read("POST", server.url + UPLOAD, limit=100).status == 502
    server.misbehave(Fault("POST ", status=429))
    assert pool.read("POST", server.url + UPLOAD, limit=100).status == 202
    server.misbehave(Fault("POST ", reset=0))
    with pytest.raises(BrokenTransferError):
        pool.read("POST", server.url + UPLOAD, limit=100)


def test_a_seekable_body_is_sent_again_from_where_it_began(
    server: FakeRegistry, pool: HttpPool
) -> None:
    stream = io.BytesIO(b"skip:content")
    stream.seek(5)
    location = pool.read("POST", server.url + UPLOAD, limit=100).headers["Location"]
    server.misbehave(Fault("PUT ", status=500))
    digest = server.put_blob("other", b"content")
    url = f"{server.url}{location}&digest={digest}"
    answer = pool.read("PUT", url, body=stream, headers={"Content-Length": "7"}, limit=100)
    assert answer.status == 201
    assert server.repository("app").blobs[str(digest)] == b"content"


def test_a_body_that_can_be_sent_once_is_not_tried_again(
    server: FakeRegistry, pool: HttpPool
) -> None:
    server.misbehave(Fault("PUT ", status=503))
    blocks = iter((b"a", b"b"))
    url = server.url + UPLOAD + "x"
    with pool.open("PUT", url, body=blocks, headers={"Content-Length": "2"}) as response:
        assert response.status == 503


def test_nothing_listening_names_host_and_remedy_but_no_secret(
    pool: HttpPool, pauses: list[float]
) -> None:
    with pytest.raises(BrokenTransferError) as caught:
        pool.open("GET", "http://ann:s3cret@127.0.0.1:1/x?token=s3cret", retries=2)
    assert "127.0.0.1:1" in caught.value.brief
    assert "HTTPS_PROXY" in caught.value.resolution
    assert "s3cret" not in str(caught.value) + repr(caught.value)
    assert pauses == [0.5, 1.0]


def test_a_url_that_is_none_is_refused_without_showing_it(pool: HttpPool) -> None:
    with pytest.raises(FetchError, match="not a usable URL") as caught:
        pool.open("GET", "https://ann:s3cret@[bad/")
    assert "s3cret" not in str(caught.value)


def test_user_and_password_of_a_url_become_a_header(server: FakeRegistry, pool: HttpPool) -> None:
    pool.read("GET", f"http://ann:a%40b@{server.host}/v2/", limit=100)
    assert server.seen[0].headers["authorization"] == "Basic YW5uOmFAYg=="


def test_authorization_is_dropped_on_the_way_to_another_host(
    server: FakeRegistry, pool: HttpPool
) -> None:
    url = blob_url(server, b"content")
    with FakeRegistry(content=server.content) as storage:
        server.misbehave(Fault("GET .*/blobs/", redirect=storage.url))
        headers = {"authorization": "Bearer s3cret", "X-Kept": "yes"}
        answer = pool.read("GET", url, headers=headers, limit=100)
        assert answer.body == b"content"
        assert server.seen[0].headers["authorization"] == "Bearer s3cret"
        assert "authorization" not in storage.seen[0].headers
        assert storage.seen[0].headers["x-kept"] == "yes"


def test_credentials_of_any_name_stay_with_their_host(server: FakeRegistry) -> None:
    credentials = {"PRIVATE-TOKEN": "s3cret"}
    with FakeRegistry(content=server.content) as storage:
        url = blob_url(server, b"content")
        server.misbehave(Fault("GET .*/blobs/", redirect=storage.url))
        pool = HttpPool(environ={})
        assert pool.read("GET", url, credentials=credentials, limit=100).body == b"content"
        mirrored = HttpPool(environ={}, mirrors={server.url: storage.url})
        mirrored.read("GET", url, credentials=credentials, limit=100)
        assert [seen.headers.get("private-token") for seen in server.seen] == ["s3cret"]
        assert len(storage.seen) == 2
        assert all("private-token" not in seen.headers for seen in storage.seen)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 307, "headers": (("Location", "http://127.0.0.1:1/blob?signature=s3cret"),)},
        {"status": 307, "headers": (("Location", "http://[x/blob?signature=s3cret"),)},
        {"status": 307, "headers": (("Location", "ftp://a.test/blob?signature=s3cret"),)},
        {"reset": 0},
        {"cut": 3},
    ],
)
def test_no_error_shows_a_query_or_a_login(
    server: FakeRegistry, pool: HttpPool, fault: dict[str, Any]
) -> None:
    url = blob_url(server, b"content") + "?token=s3cret"
    server.misbehave(Fault("GET .*/blobs/", times=99, **fault))
    headers = {"Authorization": "Bearer s3cret"}
    with pytest.raises(FetchError) as caught:
        pool.read("GET", url, headers=headers, limit=100, retries=1)
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cret" not in f"{error}{error!r}"
        error = error.__cause__


def test_authorization_stays_with_its_host(server: FakeRegistry, pool: HttpPool) -> None:
    url = blob_url(server, b"content")
    server.misbehave(Fault("GET .*/blobs/", redirect=server.url))
    pool.read("GET", url, headers={"Authorization": "Bearer s3cret"}, limit=100)
    assert [seen.headers.get("authorization") for seen in server.seen] == ["Bearer s3cret"] * 2


def test_redirects_are_returned_where_they_are_not_wanted(
    server: FakeRegistry, pool: HttpPool
) -> None:
    server.misbehave(Fault("GET /v2/", redirect=server.url))
    assert pool.read("GET", server.url + "/v2/", redirect=False, limit=100).status == 307


def test_a_redirect_without_end_is_an_error(server: FakeRegistry, pool: HttpPool) -> None:
    server.misbehave(Fault("GET /v2/", redirect=server.url, times=99))
    with pytest.raises(FetchError, match="redirects more than 10 times"):
        pool.open("GET", server.url + "/v2/")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/x", "http://[bad"])
def test_a_redirect_to_what_is_not_http_is_refused(
    server: FakeRegistry, pool: HttpPool, target: str
) -> None:
    location = (("Location", target),)
    server.misbehave(Fault("GET /v2/", status=302, headers=location))
    with pytest.raises(FetchError, match="redirects"):
        pool.open("GET", server.url + "/v2/")


def test_an_upload_follows_a_redirect_only_if_it_can_be_sent_twice(
    server: FakeRegistry, pool: HttpPool
) -> None:
    server.misbehave(Fault("PUT ", redirect=server.url))
    url = server.url + "/v2/app/manifests/x"
    assert pool.read("PUT", url, body=b"{}", limit=1000).status == 400
    server.misbehave(Fault("PUT ", redirect=server.url))
    with pytest.raises(FetchError, match="cannot be sent twice"):
        pool.open("PUT", url, body=iter((b"{}",)), headers={"Content-Length": "2"})


def test_see_other_turns_a_post_into_a_get(server: FakeRegistry, pool: HttpPool) -> None:
    server.misbehave(Fault("POST ", status=303, headers=(("Location", "/v2/"),)))
    assert pool.read("POST", server.url + UPLOAD, body=b"x", limit=100).status == 200
    assert str(server.seen[1]) == "GET /v2/"
    assert "content-length" not in server.seen[1].headers


def test_mirrors_are_applied_and_get_no_credentials(
    server: FakeRegistry, pauses: list[float]
) -> None:
    mirrors = {"https://downloads.test/": server.url + "/v2/"}
    pool = HttpPool(environ={}, mirrors=mirrors, sleep=pauses.append)
    headers = {"Authorization": "Bearer s3cret"}
    answer = pool.read("GET", "https://downloads.test/_catalog", headers=headers, limit=100)
    assert answer.status == 200
    assert str(server.seen[0]) == "GET /v2/_catalog"
    assert "authorization" not in server.seen[0].headers


def test_offline_this_machine_alone_is_asked(server: FakeRegistry, pauses: list[float]) -> None:
    pool = HttpPool(environ={}, sleep=pauses.append, offline=True)
    assert pool.read("GET", server.url + "/v2/", limit=100).status == 200
    with pytest.raises(FetchError) as caught:
        pool.read("GET", "https://files.test:8443/x", limit=100)
    assert caught.value.brief == "files.test:8443 is not asked, since this run is offline"
    server.misbehave(Fault("GET /v2/", redirect="https://files.test/y"))
    with pytest.raises(FetchError, match=r"files\.test is not asked"):
        pool.read("GET", server.url + "/v2/", limit=100)
    assert pauses == []


def test_a_proxy_gets_the_request_and_its_own_credentials(pauses: list[float]) -> None:
    with FakeRegistry() as proxy:
        environ = {"http_proxy": f"ann:s3cret@{proxy.host}", "NO_PROXY": "direct.test"}
        pool = HttpPool(environ=environ, sleep=pauses.append)
        pool.read("GET", "http://files.test/x", limit=10_000)
        assert str(proxy.seen[0]) == "GET http://files.test/x"
        assert proxy.seen[0].headers["proxy-authorization"] == "Basic YW5uOnMzY3JldA=="


def test_a_proxy_that_refuses_is_named_without_its_credentials(pauses: list[float]) -> None:
    with FakeRegistry() as proxy:
        pool = HttpPool(
            environ={"HTTPS_PROXY": f"http://ann:s3cret@{proxy.host}"}, sleep=pauses.append
        )
        with pytest.raises(FetchError) as caught:
            pool.open("GET", "https://files.test/x", retries=0)
        assert f"through the proxy {proxy.host}" in caught.value.brief
        assert "501" in caught.value.details
        assert "s3cret" not in str(caught.value)


def proxy_for(url: str, **environ: str) -> str:
    return ProxySettings.of(environ).proxy_for(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:5000/",
        "http://127.3.2.1/",
        "http://[::1]:80/",
        "https://registry.localhost/",
    ],
)
def test_loopback_is_never_proxied(url: str) -> None:
    assert proxy_for(url, all_proxy="http://proxy:3128", HTTP_PROXY="http://proxy:3128") == ""


def test_proxies_are_chosen_by_scheme_lower_case_first() -> None:
    environ = {
        "HTTP_PROXY": "http://upper:1",
        "http_proxy": "http://lower:1",
        "ALL_PROXY": "all.test:3",
    }
    assert proxy_for("http://a.test/", **environ) == "http://lower:1"
    assert proxy_for("https://a.test/", **environ) == "http://all.test:3"


@pytest.mark.parametrize(
    ("rule", "url", "direct"),
    [
        ("*", "https://a.test/", True),
        ("example.com", "https://example.com/", True),
        ("example.com", "https://a.b.Example.com/", True),
        ("example.com", "https://notexample.com/", False),
        (".example.com", "https://a.example.com/", True),
        (".example.com", "https://example.com/", False),
        ("*.example.com", "https://a.example.com/", True),
        ("example.com:8443", "https://example.com:8443/", True),
        ("example.com:8443", "https://example.com/", False),
        ("example.com:443", "https://example.com/", True),
        ("10.0.0.0/8", "http://10.1.2.3:80/", True),
        ("10.0.0.0/8", "http://11.1.2.3:80/", False),
        ("10.0.0.0/8", "http://host.test/", False),
        ("10.1.2.3", "http://10.1.2.3/", True),
        ("[fd00::1]:8080", "http://[fd00::1]:8080/", True),
        ("[fd00::1]:8080", "http://[fd00::1]/", False),
        ("fd00::/8", "http://[fd00::1]/", True),
        ("other.test, EXAMPLE.com", "https://example.com/", True),
        ("", "https://example.com/", False),
    ],
)
def test_no_proxy_follows_the_rules_of_go(rule: str, url: str, *, direct: bool) -> None:
    found = proxy_for(url, no_proxy=rule, all_proxy="http://proxy:3128")
    assert (found == "") is direct


@given(st.text(max_size=40))
def test_any_no_proxy_is_understood_or_ignored(rule: str) -> None:
    assert proxy_for("http://127.0.0.1/", no_proxy=rule, all_proxy="http://proxy:1") == ""
    assert proxy_for("https://files.test/", no_proxy=rule, all_proxy="http://proxy:1") in {
        "",
        "http://proxy:1",
    }


def test_a_socks_proxy_is_refused_by_name_without_its_password() -> None:
    with pytest.raises(EnvironmentMissingError, match=r"proxy\.test:1080") as caught:
        ProxySettings.of({"ALL_PROXY": "socks5://ann:s3cret@proxy.test:1080"})
    assert "s3cret" not in str(caught.value)


def test_proxy_settings_do_not_show_credentials() -> None:
    assert "s3cret" not in repr(ProxySettings.of({"http_proxy": "http://ann:s3cret@proxy"}))


def test_the_longest_mirror_prefix_wins() -> None:
    mirrors = {"https://a/": "M1/", "https://a/b/": "M2/", "https://c": ""}
    assert rewrite("https://a/x", mirrors) == "M1/x"
    assert rewrite("https://a/b/x", mirrors) == "M2/x"
    assert rewrite("https://d/x", mirrors) == "https://d/x"


def test_only_the_host_of_a_url_is_shown() -> None:
    assert host_of("https://ann:s3cret@a.test:8443/path?token=x") == "a.test:8443"


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_named_bundle_is_the_only_one_trusted(name: str, tmp_path: Path) -> None:
    first = Path(certifi.where()).read_text().split("-----END CERTIFICATE-----")[0]
    bundle = tmp_path / "ca.pem"
    bundle.write_text(first + "-----END CERTIFICATE-----\n")
    assert trust({name: str(bundle)}).cert_store_stats()["x509_ca"] == 1
    assert trust({name: str(tmp_path)}).verify_mode is ssl.CERT_REQUIRED


def test_a_missing_bundle_is_an_error_that_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentMissingError, match="SSL_CERT_FILE"):
        trust({"SSL_CERT_FILE": str(tmp_path / "none.pem")})


def test_certifi_stands_in_where_the_system_has_no_certificates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # OpenSSL reads these two itself, so this is what an empty system looks like.
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    monkeypatch.setattr(
        ssl,
        "get_default_verify_paths",
        lambda: ssl.DefaultVerifyPaths("", "", "", "", "", str(tmp_path / "none")),
    )
    assert trust({}).cert_store_stats()["x509_ca"] > 50


def test_plain_text_on_a_tls_connection_is_told_as_such(
    server: FakeRegistry, pool: HttpPool, pauses: list[float]
) -> None:
    with pytest.raises(FetchError, match="does not speak TLS") as caught:
        pool.open("GET", f"https://{server.host}/")
    assert "registry.insecure" in caught.value.resolution
    assert pauses == []


def test_importing_the_pool_does_not_load_urllib3() -> None:
    source = Path(sys.modules["buildkit.http.pool"].__file__ or "").read_text()
    assert not re.search(r"^(import|from) urllib3", source, re.MULTILINE)
