"""Logging in for good: credentials are tried at the registry before anything is kept."""

from __future__ import annotations

from http import HTTPStatus

from buildkit.errors import AuthError, ConfigError, UsageError
from buildkit.http import HttpPool
from buildkit.reference import DEFAULT_REGISTRY, Reference
from buildkit.registry.auth import Access, Authenticator
from buildkit.registry.credentials import HUB_NAMES, Credential
from buildkit.registry.errors import as_registry_errors, refusal
from buildkit.registry.wire import Wire

_NO_SCOPE = Access(actions=())
"""A login asks for no right on any repository."""

_UNAUTHORIZED = 401


class _Only:
    """A source of one credential."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def find(self, registry: str, repository: str, *, push: bool) -> Credential:
        """Return it."""
        del registry, repository, push
        return self._credential


def registry_host(text: str) -> str:
    """Return the registry that a user means: ``host``, ``host:port``, or a URL of it.

    Raises:
        UsageError: it is none, or has a path.
    """
    host = text.removeprefix("https://").removeprefix("http://").rstrip("/")
    if host in HUB_NAMES:
        return DEFAULT_REGISTRY
    try:
        found = Reference.parse(f"{host}/name").registry
    except ConfigError:
        found = ""
    if not host or found != host:
        # A URL may hold a password, so it is not shown.
        raise UsageError(
            "the first argument is not the host of a registry",
            resolution="Name it as host or host:port, for example ghcr.io or localhost:5000; "
            "flags come after it.",
        )
    return host


def check_login(
    pool: HttpPool, registry: str, credential: Credential, insecure: frozenset[str] = frozenset()
) -> bool:
    """Try credentials at a registry; False where it asks for none, so nothing was tried.

    Raises:
        AuthError: they are refused.
        RegistryError: the registry or its token server fails.
    """
    auth = Authenticator(pool=pool, credentials=_Only(credential), insecure=insecure)
    wire = Wire(pool=pool, auth=auth, insecure=insecure)
    action = f"log in to {registry}"
    with as_registry_errors(action):
        try:
            answer = wire.read("GET", wire.url(registry, "/v2/"), registry, _NO_SCOPE)
        except AuthError as error:
            raise _refused(registry, credential) from error
    if answer.status == _UNAUTHORIZED:
        raise _refused(registry, credential)
    if answer.status != HTTPStatus.OK:
        raise refusal(action, registry, answer.status, answer.body)
    return bool(auth.header(registry, _NO_SCOPE))


def _refused(registry: str, credential: Credential) -> AuthError:
    return AuthError(
        f"{registry} refuses the login of {credential.username}",
        details="User name or password are wrong; nothing was written.",
        resolution="Check both. Accounts with a second factor need an access token "
        "in place of the password.",
    )
