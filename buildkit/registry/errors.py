"""What a registry's refusal means and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import msgspec

from buildkit.decoding import decode_json
from buildkit.errors import AuthError, FetchError, RegistryError
from buildkit.reference import Reference

_LONGEST = 400
_TRANSIENT = frozenset({408, 425, 429})
_FIRST_PUSH = (
    " Some registries (ECR, Harbor, Artifact Registry) want the repository or project to be "
    "created before the first push."
)
_ADVICE = {
    401: "Log in with `docker login {registry}` or `invoke registry.login {registry}` "
    "and try again.",
    403: "The account is known but may not do this: ask for the right on this "
    "repository, or log in with another account.",
    404: "Check the name.",
    405: "This registry does not allow that operation; its settings may enable it.",
    413: "A proxy in front of the registry limits the size of an upload: raise its "
    "limit (nginx: client_max_body_size 0).",
    429: "The registry limits the rate: log in for a higher limit, or try later.",
}


class AbsentError(RegistryError):
    """What was to be read is not there."""


class _Entry(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""


class _Body(msgspec.Struct, frozen=True):
    errors: tuple[_Entry, ...] = ()


def is_transient(status: int) -> bool:
    """Tell whether trying again can help."""
    return status in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def refusal(action: str, registry: str, status: int, body: bytes) -> RegistryError:
    """Make the error for a status that ends an action.

    Args:
        action: what was tried, as ``push localhost:5000/pilot:latest``.
        registry: host and port.
        status: the HTTP status.
        body: the answer; the specification's ``errors`` are quoted, nothing else.
    """
    words = _words(body)
    if status == HTTPStatus.NOT_FOUND and action.startswith("read "):
        return AbsentError(
            f"cannot {action}: {registry} answered {status}",
            details=words,
            resolution="Check the name, and its tag or digest; some registries answer like this "
            "to who may not see it, so log in where it is private.",
        )
    family = AuthError if status in {401, 403} else RegistryError
    return family(
        f"cannot {action}: {registry} answered {status}",
        details=words,
        resolution=_advice(registry, status) + _first_push(action, status),
    )


def of_mirror(error: AbsentError, origin: Reference, place: Reference) -> AbsentError:
    """Return an error of reading an image, which says why it was read there if a mirror is asked.

    Args:
        error: what the registry at ``place`` refused.
        origin: the image, as its users know it.
        place: where it was asked for.
    """
    if origin == place:
        return error
    why = f"[mirrors] says that {origin.name} is read there."
    return AbsentError(
        error.brief,
        details="\n".join(part for part in (error.details, why) if part),
        resolution=f"A mirror has the very same image, tag and digest: copy {origin} there, "
        "or let a base of [bases] take its place with `replaces`.",
    )


@contextmanager
def as_registry_errors(action: str) -> Iterator[None]:
    """Turn the pool's errors into this family."""
    try:
        yield
    except FetchError as error:
        raise RegistryError(
            f"cannot {action}: {error.brief}", details=error.details, resolution=error.resolution
        ) from error


def _words(body: bytes) -> str:
    try:
        entries = decode_json(body, _Body).errors
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return ""
    lines = (": ".join(part for part in (entry.code, entry.message) if part) for entry in entries)
    return "; ".join(line for line in lines if line)[:_LONGEST]


def _first_push(action: str, status: int) -> str:
    # Who reads what is not there has no use for it.
    return _FIRST_PUSH if status == HTTPStatus.NOT_FOUND and action.startswith("push") else ""


def _advice(registry: str, status: int) -> str:
    failing = "The registry is failing or overloaded: try again, then look at its log."
    return _ADVICE.get(status, failing if is_transient(status) else "").format(registry=registry)
