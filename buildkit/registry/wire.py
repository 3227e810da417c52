"""Requests to a registry: address, scheme and login around the HTTP pool."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from buildkit.errors import RegistryError
from buildkit.http import Answer, Body, HttpPool, Response, host_of
from buildkit.reference import DEFAULT_REGISTRY, is_loopback
from buildkit.registry.auth import Access, Authenticator

_A = TypeVar("_A", Answer, Response)
_UNAUTHORIZED = 401
_ERROR_LIMIT = 1 << 20
_NEXT = re.compile(r"<([^>]*)>\s*;[^,]*\brel=\"?next\"?", re.IGNORECASE)


class Wire:
    """Sends requests as somebody who may, logging in when asked to."""

    def __init__(self, *, pool: HttpPool, auth: Authenticator, insecure: frozenset[str]) -> None:
        self.pool = pool
        self._auth = auth
        self._insecure = insecure

    def url(self, registry: str, path: str) -> str:
        """Return the URL of a path below a registry."""
        return base_url(registry, self._insecure) + path

    def open(
        self,
        method: str,
        url: str,
        registry: str,
        access: Access,
        *,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Body] | None = None,
        retries: int = 4,
    ) -> Response:
        """Send a request; after a 401, log in and send it once more with a new body.

        The login goes to the registry only, not to another host that it names
        for an upload or a page.
        """

        def send(login: Mapping[str, str]) -> Response:
            return self.pool.open(
                method,
                url,
                headers={**(headers or {}), **login},
                body=body() if body else None,
                retries=retries,
            )

        return self._logged_in(send, url, registry, access)

    def read(
        self,
        method: str,
        url: str,
        registry: str,
        access: Access,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit: int = _ERROR_LIMIT,
    ) -> Answer:
        """Send a request as :meth:`open` and return the whole answer."""

        def send(login: Mapping[str, str]) -> Answer:
            return self.pool.read(
                method, url, headers={**(headers or {}), **login}, body=body, limit=limit
            )

        return self._logged_in(send, url, registry, access)

    def pages(self, url: str, registry: str, access: Access, *, limit: int) -> Iterator[Answer]:
        """Yield the answers of a list, page by page, up to one that is not 200.

        Raises:
            RegistryError: a page names a next one that is no address.
        """
        seen: set[str] = set()
        while url and url not in seen:
            seen.add(url)
            answer = self.read("GET", url, registry, access, limit=limit)
            yield answer
            link = next_page(answer.headers.get("Link", ""))
            url = resolve(url, link) if link and answer.status == HTTPStatus.OK else ""

    def _logged_in(
        self, send: Callable[[Mapping[str, str]], _A], url: str, registry: str, access: Access
    ) -> _A:
        if not self._is_at(url, registry):
            return send({})
        given = self._auth.header(registry, access)
        answer = send({"Authorization": given} if given else {})
        challenge = answer.headers.get("WWW-Authenticate")
        if answer.status != _UNAUTHORIZED or not challenge:
            return answer
        if isinstance(answer, Response):
            answer.close()
        got = self._auth.answer(registry, access, challenge, rejected=given)
        return send({"Authorization": got})

    def _is_at(self, url: str, registry: str) -> bool:
        return urlsplit(url)[:2] == urlsplit(self.url(registry, ""))[:2]


def base_url(registry: str, insecure: frozenset[str]) -> str:
    """Return scheme and host of a registry; plain http for loopback and ``insecure`` alone."""
    if registry == DEFAULT_REGISTRY:
        return "https://registry-1.docker.io"
    plain = is_loopback(registry) or registry in insecure or registry.partition(":")[0] in insecure
    return f"{'http' if plain else 'https'}://{registry}"


def resolve(url: str, location: str) -> str:
    """Return the address that an answer from ``url`` names, which may be relative.

    Raises:
        RegistryError: it is none.
    """
    try:
        found = urljoin(url, location)
        # Only asking for the port finds a malformed one.
        _ = urlsplit(found).port
    except ValueError as error:
        raise RegistryError(f"{host_of(url)} names an address that is none") from error
    return found


def next_page(link: str) -> str:
    """Return the URL that a Link header (RFC 8288) names as the next page, or nothing."""
    match = _NEXT.search(link)
    return match[1] if match else ""
