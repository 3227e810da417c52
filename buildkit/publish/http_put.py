"""A server that takes files by HTTP PUT as a destination: Artifactory, Nexus, WebDAV, a bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from buildkit.digest import Digest
from buildkit.errors import FetchError, PublishError
from buildkit.http import Answer, BrokenTransferError, HttpPool
from buildkit.http.routes import without_userinfo
from buildkit.publish.cargo import CargoFile
from buildkit.publish.files import Found
from buildkit.publish.wire import as_publish_error, open_file
from buildkit.registry.errors import is_transient

ATTEMPTS = 4

_LIMIT = 1 << 16
_OK = 200
_GONE = 404
_TAKEN = 412
_WRITTEN = frozenset({200, 201, 204})
_REFUSED = frozenset({401, 403})
_NO_HEAD = frozenset({405, 501})


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPut:
    """A shelf below a URL.

    Attributes:
        pool: the connections.
        url: ends in a slash.
        headers: sent with each request, such as Authorization; they are secrets.
    """

    pool: HttpPool = field(repr=False)
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def place(self, name: str) -> str:
        """Return the URL without a password."""
        return without_userinfo(self.url)[0] + quote(name)

    def look(self, name: str) -> Found | None:
        """Ask for size and ETag.

        Raises:
            PublishError: the server refuses or fails.
        """
        try:
            answer = self.pool.read("HEAD", self._url(name), headers=self.headers, limit=_LIMIT)
        except FetchError as error:
            raise as_publish_error(error) from error
        if answer.status in _NO_HEAD:
            return self._look_by_get(name)
        if answer.status == _GONE:
            return None
        if answer.status != _OK:
            raise self._refusal("ask for", name, answer.status)
        size = answer.headers.get("Content-Length", "")
        return Found(
            size=int(size) if size.isdecimal() else None, mark=answer.headers.get("ETag", "")
        )

    def put(self, file: CargoFile, *, replace: bool) -> None:
        """Send a file.

        Raises:
            PublishError: the server refuses or fails, or the file cannot be read.
        """
        # RFC 9110, 13.1.2: never over a file that somebody else has written meanwhile.
        condition = {} if replace else {"If-None-Match": "*"}
        for attempt in range(ATTEMPTS):
            is_last = attempt == ATTEMPTS - 1
            try:
                answer = self._send(file, condition)
            except BrokenTransferError as error:
                if is_last:
                    raise as_publish_error(error) from error
                answer = None
            except FetchError as error:
                raise as_publish_error(error) from error
            if answer is not None and (is_last or not is_transient(answer.status)):
                break
            # What a broken transfer has left there is ours.
            condition = {}
            self.pool.wait(attempt, answer.headers if answer else None)
        if answer is None or answer.status not in _WRITTEN:
            raise self._refusal("write", file.name, answer.status if answer else 0)

    def _send(self, file: CargoFile, condition: Mapping[str, str]) -> Answer:
        headers = {
            **self.headers,
            **condition,
            "Content-Length": str(file.size),
            "Content-Type": "application/octet-stream",
        }
        with open_file(file) as body:
            return self.pool.read(
                "PUT", self._url(file.name), headers=headers, body=body, retries=0, limit=_LIMIT
            )

    def digest(self, name: str) -> Digest:
        """Read a file back.

        Raises:
            PublishError: the server refuses or fails.
        """
        try:
            with self.pool.open("GET", self._url(name), headers=self.headers) as response:
                if response.status != _OK:
                    raise self._refusal("read back", name, response.status)
                state = hashlib.sha256()
                for block in response.stream():
                    state.update(block)
        except FetchError as error:
            raise as_publish_error(error) from error
        return Digest(state.hexdigest())

    def _look_by_get(self, name: str) -> Found | None:
        try:
            with self.pool.open("GET", self._url(name), headers=self.headers) as response:
                if response.status not in {_OK, _GONE}:
                    raise self._refusal("ask for", name, response.status)
                found = Found(size=None, mark=response.headers.get("ETag", ""))
                return found if response.status == _OK else None
        except FetchError as error:
            raise as_publish_error(error) from error

    def _url(self, name: str) -> str:
        return self.url + quote(name)

    def _refusal(self, verb: str, name: str, status: int) -> PublishError:
        place = self.place(name)
        if status in _REFUSED:
            return PublishError(
                f"cannot {verb} {place}: the server refuses the credentials ({status})",
                resolution="Set the environment variable that the header in [publish] names, or "
                "ask for the permission to write there.",
            )
        if status == _TAKEN:
            return PublishError(
                f"somebody else wrote {place} just now",
                resolution="Let one job at a time publish a version.",
            )
        return PublishError(
            f"cannot {verb} {place}: the server answers {status}",
            resolution="Run it again when the server is well: what has arrived is not sent again.",
        )
