"""Logging in, through the client, against a registry that wants to know who is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.errors import AuthError, RegistryError
from buildkit.http import HttpPool
from buildkit.oci.model import OCI_MANIFEST
from buildkit.reference import Reference
from buildkit.registry.auth import Access, Authenticator, Challenge, parse_challenges
from buildkit.registry.client import RegistryClient
from buildkit.registry.credentials import Credential
from tests.fakes.registry import FakeRegistry, Fault, Login, Logins
from tests.unit.registry.conftest import push_image

ANN = Credential(username="ann", secret="open sesame")
IDENTITY = Credential(username="<token>", secret="identity-of-ann", is_identity_token=True)
EVE = Credential(username="eve", secret="s3cret")


@pytest.fixture
def basic() -> Iterator[FakeRegistry]:
    with FakeRegistry(login=Login(scheme="basic")) as fake:
        yield fake


@pytest.fixture
def bearer() -> Iterator[FakeRegistry]:
    with FakeRegistry(login=Login(scheme="bearer")) as fake:
        yield fake


def client_of(pool: HttpPool, credential: Credential | None) -> RegistryClient:
    return RegistryClient(pool=pool, credentials=Logins(credential))


def app_at(registry: FakeRegistry) -> Reference:
    return Reference.parse(f"{registry.host}/team/app:v1")


def test_basic_credentials_are_sent_after_they_are_asked_for_and_then_at_once(
    basic: FakeRegistry, pool: HttpPool
) -> None:
    client = client_of(pool, ANN)
    assert client.head_manifest(app_at(basic)) is None
    assert client.head_manifest(app_at(basic)) is None
    assert ["authorization" in seen.headers for seen in basic.seen] == [False, True, True]


def test_a_registry_that_asks_nobody_asks_for_no_credentials(
    registry: FakeRegistry, pool: HttpPool
) -> None:
    logins = Logins(ANN)
    client = RegistryClient(pool=pool, credentials=logins)
    push_image(client, app_at(registry))
    assert logins.asked == []
    assert all("authorization" not in seen.headers for seen in registry.seen)


def test_wrong_basic_credentials_are_refused_once_without_showing_them(
    basic: FakeRegistry, pool: HttpPool
) -> None:
    with pytest.raises(AuthError) as caught:
        push_image(client_of(pool, EVE), app_at(basic))
    assert "s3cret" not in f"{caught.value}{caught.value!r}{caught.value.__cause__!r}"
    assert len(basic.seen) == 2


def test_credentials_that_were_refused_are_not_sent_over_and_over(
    basic: FakeRegistry, pool: HttpPool
) -> None:
    client = client_of(pool, EVE)
    for _ in range(2):
        with pytest.raises(AuthError) as caught:
            client.head_manifest(app_at(basic))
    assert caught.value.details == "The credentials were refused."
    assert len(basic.seen) == 3


def test_no_credentials_for_a_push_say_how_to_log_in(basic: FakeRegistry, pool: HttpPool) -> None:
    with pytest.raises(AuthError, match=re.escape(f"push to {basic.host}/team/app")) as caught:
        client_of(pool, None).put_manifest(app_at(basic), b"{}", "x")
    assert caught.value.details == "No credentials were found."
    assert f"docker login {basic.host}" in caught.value.resolution


def test_credentials_are_looked_up_for_what_is_done(basic: FakeRegistry, pool: HttpPool) -> None:
    logins = Logins(ANN)
    client = RegistryClient(pool=pool, credentials=logins)
    client.head_manifest(app_at(basic))
    client.put_manifest(app_at(basic), b"{}", OCI_MANIFEST)
    assert logins.asked == [
        (basic.host, "team/app", False),
        (basic.host, "team/app", True),
    ]


@pytest.mark.parametrize("credential", [ANN, IDENTITY])
def test_a_push_with_tokens_works_and_asks_once_per_scope(
    bearer: FakeRegistry, pool: HttpPool, credential: Credential
) -> None:
    client = client_of(pool, credential)
    pushed = push_image(client, app_at(bearer))
    assert client.head_manifest(app_at(bearer)) == pushed
    scopes = {token for granted in bearer.tokens.values() for token in granted}
    assert scopes == {"repository:team/app:pull", "repository:team/app:push"}
    assert bearer.count("(GET|POST) /token") == len(bearer.tokens) == 2


def test_an_expired_token_is_renewed_in_mid_push(bearer: FakeRegistry, pool: HttpPool) -> None:
    client = client_of(pool, ANN)
    push_image(client, app_at(bearer))
    bearer.expire_tokens()
    pushed = push_image(client, app_at(bearer).with_tag("v2"), b"another layer")
    assert bearer.tags("team/app")["v2"] == str(pushed.digest)


def test_a_token_that_expires_between_session_and_upload_is_renewed(
    bearer: FakeRegistry, pool: HttpPool
) -> None:
    client = client_of(pool, ANN)
    bearer.misbehave(
        Fault("PUT .*/uploads/", status=401, headers=(("WWW-Authenticate", challenge(bearer)),))
    )
    push_image(client, app_at(bearer))
    assert bearer.count("PUT .*/uploads/") == 3
    assert bearer.count("POST .*/uploads/") == 3


def challenge(registry: FakeRegistry) -> str:
    return f'Bearer realm="{registry.url}/token",service="fake"'


def test_a_token_is_renewed_before_its_end(bearer: FakeRegistry, pool: HttpPool) -> None:
    now = [1000.0]
    auth = Authenticator(pool=pool, credentials=Logins(ANN), clock=lambda: now[0])
    access = Access(repository="team/app")
    first = auth.answer(bearer.host, access, challenge(bearer), rejected="")
    now[0] += 289
    assert auth.header(bearer.host, access) == first
    now[0] += 2
    assert auth.header(bearer.host, access) == ""


def test_threads_that_ask_at_once_share_one_token(bearer: FakeRegistry, pool: HttpPool) -> None:
    client = client_of(pool, ANN)
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(client.head_manifest, [app_at(bearer)] * 16))
    assert results == [None] * 16
    assert bearer.count("GET /token") == 1


def test_anonymous_pulls_get_a_token_without_credentials(pool: HttpPool) -> None:
    with FakeRegistry(login=Login(scheme="bearer", anonymous_pull=True)) as public:
        assert client_of(pool, None).head_manifest(app_at(public)) is None
        with pytest.raises(AuthError) as caught:
            push_image(client_of(pool, None), app_at(public))
        assert "docker login" in caught.value.resolution


@pytest.mark.parametrize("credential", [EVE, None])
def test_a_refused_login_is_an_error_that_shows_no_secret(
    bearer: FakeRegistry, pool: HttpPool, credential: Credential | None
) -> None:
    with pytest.raises(AuthError, match="not allowed to read") as caught:
        client_of(pool, credential).head_manifest(app_at(bearer))
    why = "refused" if credential else "No credentials"
    assert why in caught.value.details
    assert "s3cret" not in str(caught.value)


def test_a_mount_asks_for_the_right_to_read_its_source(
    bearer: FakeRegistry, pool: HttpPool
) -> None:
    access = Access(repository="a", actions=("pull", "push"), source="b")
    auth = Authenticator(pool=pool, credentials=Logins(ANN))
    auth.answer(bearer.host, access, challenge(bearer), rejected="")
    (granted,) = bearer.tokens.values()
    assert granted == {"repository:a:pull", "repository:a:push", "repository:b:pull"}


def test_the_catalog_has_a_scope_of_its_own(bearer: FakeRegistry, pool: HttpPool) -> None:
    client_of(pool, ANN).catalog(bearer.host)
    (granted,) = bearer.tokens.values()
    assert granted == {"registry:catalog:*"}


@pytest.mark.parametrize("realm", ["http://tokens.test/token", "ftp://x", "", "http://[x"])
def test_credentials_are_not_sent_to_an_unsafe_realm(
    registry: FakeRegistry, pool: HttpPool, realm: str
) -> None:
    header = (("WWW-Authenticate", f'Bearer realm="{realm}"'),)
    registry.misbehave(Fault("HEAD", status=401, headers=header))
    with pytest.raises(RegistryError, match="no safe place to log in"):
        client_of(pool, ANN).head_manifest(app_at(registry))


def test_a_way_to_log_in_that_we_do_not_know_is_named(
    registry: FakeRegistry, pool: HttpPool
) -> None:
    header = (("WWW-Authenticate", "Negotiate"),)
    registry.misbehave(Fault("HEAD", status=401, headers=header))
    with pytest.raises(RegistryError, match="negotiate"):
        client_of(pool, ANN).head_manifest(app_at(registry))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 7}', b"\xff"])
def test_a_token_answer_without_a_token_is_an_error(
    bearer: FakeRegistry, pool: HttpPool, body: bytes
) -> None:
    bearer.misbehave(Fault("GET /token", status=200, body=body))
    with pytest.raises(RegistryError, match="sent no"):
        client_of(pool, ANN).head_manifest(app_at(bearer))


def test_a_failing_token_server_is_no_matter_of_credentials(
    bearer: FakeRegistry, pool: HttpPool
) -> None:
    bearer.misbehave(Fault("GET /token", status=503, times=99))
    with pytest.raises(RegistryError, match="answered 503") as caught:
        client_of(pool, ANN).head_manifest(app_at(bearer))
    assert not isinstance(caught.value, AuthError)


def test_access_token_is_the_other_name_of_token(bearer: FakeRegistry, pool: HttpPool) -> None:
    bearer.misbehave(Fault("GET /token", status=200, body=b'{"access_token": "t"}'))
    auth = Authenticator(pool=pool, credentials=Logins(ANN))
    access = Access(repository="team/app")
    assert auth.answer(bearer.host, access, challenge(bearer), rejected="") == "Bearer t"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            'Bearer realm="https://a/t",service="s",scope="repository:a:pull,push"',
            [
                (
                    "bearer",
                    {"realm": "https://a/t", "service": "s", "scope": "repository:a:pull,push"},
                )
            ],
        ),
        (
            'Basic realm="x", Bearer realm=y',
            [("basic", {"realm": "x"}), ("bearer", {"realm": "y"})],
        ),
        (r'Negotiate, BASIC Realm="a \"b\""', [("negotiate", {}), ("basic", {"realm": 'a "b"'})]),
        ("Basic", [("basic", {})]),
        ("", []),
    ],
)
def test_challenges_are_read(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    found = parse_challenges(header)
    assert [(item.scheme, dict(item.parameters)) for item in found] == expected


@given(st.text(max_size=200))
def test_any_header_is_read_without_an_error(header: str) -> None:
    assert all(item.scheme for item in parse_challenges(header))


TOKEN = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,8}", fullmatch=True)


@given(TOKEN, st.dictionaries(TOKEN.map(str.lower), st.text(max_size=12), min_size=1, max_size=4))
def test_what_is_written_by_the_rules_is_read_back(scheme: str, values: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        return re.sub(r'(["\\])', r"\\\1", text)

    header = f"{scheme} " + ", ".join(f'{key}="{quoted(text)}"' for key, text in values.items())
    expected = Challenge(scheme=scheme.lower(), parameters=tuple(values.items()))
    assert parse_challenges(header) == (expected,)


def test_credentials_do_not_show_their_secret() -> None:
    assert "s3cret" not in repr(EVE)
