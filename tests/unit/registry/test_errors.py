"""Refusals in the registry's own words, and in no others."""

from __future__ import annotations

import json

import pytest

from buildkit.errors import AuthError, RegistryError
from buildkit.http import BrokenTransferError
from buildkit.registry.errors import as_registry_errors, is_transient, refusal


def words(body: bytes) -> str:
    return refusal("push x", "ghcr.io", 400, body).details


def test_the_errors_of_the_specification_are_quoted() -> None:
    errors = [{"code": "DENIED", "message": "no"}, {"code": "UNKNOWN"}, {"detail": {"a": 1}}]
    assert words(json.dumps({"errors": errors}).encode()) == "DENIED: no; UNKNOWN"


def test_a_long_story_is_cut() -> None:
    body = json.dumps({"errors": [{"code": "X", "message": "m" * 10_000}]}).encode()
    assert len(words(body)) == 400


@pytest.mark.parametrize(
    "body", [b"", b"<html>token=s3cret</html>", b"[]", b'{"errors": 1}', b"\xff"]
)
def test_any_other_answer_is_not_repeated(body: bytes) -> None:
    assert words(body) == ""


@pytest.mark.parametrize(
    ("status", "family"), [(401, AuthError), (403, AuthError), (500, RegistryError)]
)
def test_the_exit_code_tells_a_login_from_a_failure(
    status: int, family: type[RegistryError]
) -> None:
    assert type(refusal("push x", "ghcr.io", status, b"")) is family


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_worth_another_try(status: int) -> None:
    assert is_transient(status)
    assert refusal("push x", "ghcr.io", status, b"").resolution


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413])
def test_what_will_not_pass_is_final(status: int) -> None:
    assert not is_transient(status)


def test_an_error_of_the_pool_keeps_its_three_parts() -> None:
    with pytest.raises(RegistryError) as caught, as_registry_errors("push x"):
        raise BrokenTransferError("broke", details="why", resolution="try again")
    assert str(caught.value) == "cannot push x: broke\nwhy\ntry again"
