"""Logging in: the Basic scheme and the Bearer token flow.

Sources: RFC 9110 section 11 for challenges, and the distribution project's
token and OAuth2 specifications
(https://distribution.github.io/distribution/spec/auth/token/).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.errors import AuthError, RegistryError
from buildkit.http import Answer, HttpPool, host_of
from buildkit.reference import is_loopback
from buildkit.registry.credentials import Credential, CredentialSource
from buildkit.registry.errors import as_registry_errors, refusal

CLIENT_ID = "meshwright"
_TOKEN_LIMIT = 1 << 20
_DEFAULT_LIFE_SECONDS = 60
_MARGIN_SECONDS = 10
"""A token is not used in its last seconds: the transfer it starts would fail."""

_CHALLENGE = re.compile(r"\s*,?\s*(?P<scheme>[A-Za-z][\w-]*)(?:\s+|\s*,|$)(?!=)")
_PARAMETER = re.compile(
    r"\s*,?\s*(?P<key>[A-Za-z][\w-]*)\s*=\s*(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<bare>[^\s,\"]*))"
)


class Access(Struct, frozen=True, kw_only=True):
    """What a request wants to do, hence which scopes its token needs.

    An empty repository stands for the catalog; ``source`` is another repository
    to mount blobs from; ``actions`` are ``pull`` and ``push``, or
    none where only the login counts.
    """

    repository: str = ""
    actions: tuple[str, ...] = ("pull",)
    source: str = ""

    @property
    def changes(self) -> bool:
        """Tell whether something would be written."""
        return self.actions != ("pull",)

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes in the notation of the token specification."""
        if not self.actions:
            return ()
        if not self.repository:
            return ("registry:catalog:*",)
        own = f"repository:{self.repository}:{','.join(self.actions)}"
        return (own, f"repository:{self.source}:pull") if self.source else (own,)


class Challenge(Struct, frozen=True, kw_only=True):
    """One scheme of a WWW-Authenticate header; the scheme and keys in lower case."""

    scheme: str
    parameters: tuple[tuple[str, str], ...]

    def get(self, key: str) -> str:
        """Return a parameter, or an empty string."""
        return dict(self.parameters).get(key, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    header: str = field(repr=False)
    until: float


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""
    expires_in: int | None = None


class Authenticator:
    """Turns challenges into Authorization headers and keeps them while they are valid.

    Args:
        pool: asks the token servers.
        credentials: what to log in with.
        insecure: token servers beyond loopback that may be asked by plain http.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        pool: HttpPool,
        credentials: CredentialSource,
        insecure: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._credentials = credentials
        self._insecure = insecure
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[tuple[str, Access], _Held] = {}

    def header(self, registry: str, access: Access) -> str:
        """Return the Authorization that worked before, or an empty string."""
        # Without the lock: it is held while another token is fetched.
        held = self._held.get((registry, access))
        return held.header if held and held.until > self._clock() else ""

    def answer(self, registry: str, access: Access, challenge: str, *, rejected: str) -> str:
        """Return the Authorization for a challenge.

        Args:
            registry: who asks.
            access: for what.
            challenge: its WWW-Authenticate header.
            rejected: what it did not accept just now; asking for the same again
                would not help.

        Raises:
            AuthError: there are no credentials, or they are refused.
            RegistryError: the token server fails or its answer makes no sense.
        """
        with self._lock:
            held = self._held.get((registry, access))
            if held and held.header != rejected and held.until > self._clock():
                # Another thread was faster.
                return held.header
            held = self._obtain(registry, access, challenge, rejected)
            self._held[(registry, access)] = held
            return held.header

    def _obtain(self, registry: str, access: Access, challenge: str, rejected: str) -> _Held:
        challenges = {item.scheme: item for item in parse_challenges(challenge)}
        credential = self._credentials.find(registry, access.repository, push=access.changes)
        if bearer := challenges.get("bearer"):
            return self._fetch(registry, access, bearer, credential)
        if "basic" not in challenges:
            schemes = ", ".join(challenges) or "none"
            raise RegistryError(f"{registry} asks for an unknown way to log in: {schemes}")
        if credential is None or credential.is_identity_token or credential.basic() == rejected:
            raise _no_access(registry, access, refused=credential is not None)
        return _Held(header=credential.basic(), until=float("inf"))

    def _fetch(
        self, registry: str, access: Access, challenge: Challenge, credential: Credential | None
    ) -> _Held:
        realm = self._checked_realm(registry, challenge.get("realm"))
        scopes = tuple(dict.fromkeys((*access.scopes, *challenge.get("scope").split())))
        service = challenge.get("service")
        action = f"log in to {registry}"
        with as_registry_errors(action):
            if credential and credential.is_identity_token:
                answer = self._post(realm, service, scopes, credential)
            else:
                answer = self._get(realm, service, scopes, credential)
        if answer.status in {401, 403}:
            raise _no_access(registry, access, refused=credential is not None)
        if answer.status != HTTPStatus.OK:
            raise refusal(action, host_of(realm), answer.status, answer.body)
        return self._hold(realm, answer.body)

    def _get(
        self, realm: str, service: str, scopes: tuple[str, ...], credential: Credential | None
    ) -> Answer:
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        separator = "&" if urlsplit(realm).query else "?"
        headers = {"Authorization": credential.basic()} if credential else {}
        url = f"{realm}{separator}{urlencode(query)}"
        return self._pool.read("GET", url, headers=headers, limit=_TOKEN_LIMIT)

    def _post(
        self, realm: str, service: str, scopes: tuple[str, ...], credential: Credential
    ) -> Answer:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": credential.secret,
            "service": service,
            "scope": " ".join(scopes),
            "client_id": CLIENT_ID,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode()
        return self._pool.read("POST", realm, headers=headers, body=body, limit=_TOKEN_LIMIT)

    def _checked_realm(self, registry: str, realm: str) -> str:
        try:
            scheme, host = urlsplit(realm).scheme, host_of(realm)
        except ValueError:
            scheme, host = "", ""
        safe = is_loopback(host) or host in self._insecure
        if scheme == "https" or (scheme == "http" and safe):
            return realm
        raise RegistryError(
            f"{registry} names no safe place to log in",
            details=f"Its token server would be '{scheme}://{host}'.",
            resolution="Credentials are sent over https only, except to loopback hosts and "
            "those listed in registry.insecure.",
        )

    def _hold(self, realm: str, body: bytes) -> _Held:
        try:
            token = decode_json(body, _Token)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
            raise RegistryError(f"the token server {host_of(realm)} sent no valid token") from error
        value = token.token or token.access_token
        if not value:
            raise RegistryError(f"the token server {host_of(realm)} sent no token")
        life = max(token.expires_in or _DEFAULT_LIFE_SECONDS, _DEFAULT_LIFE_SECONDS)
        return _Held(header=f"Bearer {value}", until=self._clock() + life - _MARGIN_SECONDS)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Read a WWW-Authenticate header, which may hold several schemes; never raises."""
    found: list[Challenge] = []
    place = 0
    while match := _CHALLENGE.match(header, place):
        place = match.end()
        parameters: list[tuple[str, str]] = []
        while parameter := _PARAMETER.match(header, place):
            place = parameter.end()
            quoted = parameter["quoted"]
            value = parameter["bare"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters.append((parameter["key"].lower(), value))
        found.append(Challenge(scheme=match["scheme"].lower(), parameters=tuple(parameters)))
    return tuple(found)


def _no_access(registry: str, access: Access, *, refused: bool) -> AuthError:
    target = f"{registry}/{access.repository}" if access.repository else f"{registry}'s catalog"
    verb = "push to" if access.changes else "read"
    why = "The credentials were refused." if refused else "No credentials were found."
    return AuthError(
        f"not allowed to {verb} {target}",
        details=why,
        resolution=f"Log in with `docker login {registry}` or `invoke registry.login {registry}` "
        "as an account that may, and check the name.",
    )
