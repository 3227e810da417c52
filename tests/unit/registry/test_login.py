"""A login is tried before it is kept."""

from __future__ import annotations

import pytest

from buildkit.errors import AuthError, RegistryError, UsageError
from buildkit.http import HttpPool
from buildkit.registry.credentials import Credential
from buildkit.registry.login import check_login, registry_host
from tests.fakes.registry import FakeRegistry, Fault, Login

ANN = Credential(username="ann", secret="open sesame")
EVE = Credential(username="eve", secret="s3cret")


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_the_right_password_opens(pool: HttpPool, scheme: str) -> None:
    with FakeRegistry(login=Login(scheme=scheme)) as registry:
        assert check_login(pool, registry.host, ANN) is True
        assert all("scope" not in str(seen) for seen in registry.seen)


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_a_wrong_password_is_one_clear_error(pool: HttpPool, scheme: str) -> None:
    with FakeRegistry(login=Login(scheme=scheme)) as registry:
        with pytest.raises(AuthError, match=f"{registry.host} refuses the login of eve") as caught:
            check_login(pool, registry.host, EVE)
        assert "nothing was written" in caught.value.details
        assert "access token" in caught.value.resolution
        assert "s3cret" not in str(caught.value)


def test_a_registry_without_logins_gets_no_password(registry: FakeRegistry, pool: HttpPool) -> None:
    assert check_login(pool, registry.host, EVE) is False
    assert [seen.headers.get("authorization") for seen in registry.seen] == [None]


def test_a_refusal_of_another_kind_is_told_as_such(registry: FakeRegistry, pool: HttpPool) -> None:
    registry.misbehave(Fault("GET /v2/", status=404))
    with pytest.raises(RegistryError, match=r"cannot log in to .* answered 404"):
        check_login(pool, registry.host, ANN)


def test_a_401_without_a_challenge_is_a_refusal(registry: FakeRegistry, pool: HttpPool) -> None:
    registry.misbehave(Fault("GET /v2/", status=401))
    with pytest.raises(AuthError, match="refuses the login"):
        check_login(pool, registry.host, ANN)


def test_nothing_listening_is_a_registry_error(pool: HttpPool) -> None:
    with pytest.raises(RegistryError, match=r"cannot log in to 127\.0\.0\.1:1"):
        check_login(pool, "127.0.0.1:1", ANN)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:5000", "localhost:5000"),
        ("localhost", "localhost"),
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io/", "ghcr.io"),
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("[::1]:5000", "[::1]:5000"),
    ],
)
def test_a_host_may_be_written_as_a_url(text: str, expected: str) -> None:
    assert registry_host(text) == expected


@pytest.mark.parametrize(
    "text", ["", "--help", "ghcr.io/team", "library", "https://ann:s3cret@ghcr.io", "a b.io"]
)
def test_what_is_no_host_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(UsageError, match="not the host of a registry") as caught:
        registry_host(text)
    assert "s3cret" not in str(caught.value)
