"""One request as a value: what a redirect or a retry may do with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import BufferedIOBase, IOBase
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

from buildkit.errors import FetchError
from buildkit.http.routes import host_of, origin, without_userinfo

IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
# Statuses of RFC 9110, 15; 501 is what a server will never do.
_NOT_PROCESSED = frozenset({425, 429, 503})
_FAILED = frozenset({408, *range(500, 600)}) - {501}
_MOVED, _SEE_OTHER = frozenset({301, 302}), 303
HOST_BOUND = frozenset({"authorization", "cookie", "proxy-authorization"})

Body = bytes | BinaryIO | BufferedIOBase | Iterator[bytes]
"""What a request sends; an iterator can be sent once, so it is never retried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request.

    ``start`` is where its body begins in a seekable stream, ``seconds`` how long
    the server may stay silent, ``bound`` the headers, in lower case, that no other
    host may see.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: Body | None
    start: int
    seconds: float
    bound: frozenset[str] = HOST_BOUND

    def toward(self, url: str) -> Request:
        """Return the request at another URL, without what only its own host may see.

        Raises:
            FetchError: it is no URL.
        """
        try:
            moved = origin(url) != origin(self.url)
        except ValueError as error:
            # The address may hold a password, so it is not shown.
            raise FetchError("an address is not a usable URL") from error
        plain, authorization = without_userinfo(url)
        headers = dict(self.headers)
        if moved:
            headers = {key: headers[key] for key in headers if key.lower() not in self.bound}
        if authorization and "authorization" not in {key.lower() for key in headers}:
            headers["Authorization"] = authorization
        return replace(self, url=plain, headers=headers)

    def redirected(self, status: int, location: str) -> Request:
        """Return the request that follows a redirect.

        Raises:
            FetchError: it leaves https, leads nowhere, or the body cannot be sent twice.
        """
        host = host_of(self.url)
        try:
            url = urljoin(self.url, location)
        except ValueError as error:
            raise FetchError(f"{host} redirects to what is not a usable URL") from error
        scheme = urlsplit(url).scheme
        if scheme != "https" and (scheme != "http" or self.url.startswith("https:")):
            raise FetchError(f"{host} redirects away from https, to '{scheme}', which is refused")
        turns_to_get = status == _SEE_OTHER or (status in _MOVED and self.method == "POST")
        if turns_to_get and self.method != "HEAD":
            dropped = {"content-length", "content-type", "transfer-encoding"}
            headers = {key: self.headers[key] for key in self.headers if key.lower() not in dropped}
            return replace(self, method="GET", body=None, headers=headers).toward(url)
        if not rewind(self.body, self.start):
            raise FetchError(f"{host} redirects an upload that cannot be sent twice")
        return self.toward(url)

    def may_repeat(self, status: int) -> bool:
        """Tell whether an answer of this status allows another try, and prepare it."""
        repeatable = status in _NOT_PROCESSED or (status in _FAILED and self.method in IDEMPOTENT)
        return repeatable and rewind(self.body, self.start)


def rewind(body: Body | None, start: int) -> bool:
    """Put a body back to its start; tell whether that was possible."""
    if isinstance(body, IOBase) and body.seekable():
        body.seek(start)
        return True
    return body is None or isinstance(body, bytes)


def position(body: Body | None) -> int:
    """Return where a seekable body stands, else 0."""
    return body.tell() if isinstance(body, IOBase) and body.seekable() else 0
