"""The requests of a GitHub release: https://docs.github.com/en/rest/releases (2022-11-28)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from io import IOBase
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from buildkit.decoding import decode_json
from buildkit.errors import FetchError, PublishError
from buildkit.http import Answer, HttpPool
from buildkit.publish.cargo import CargoFile
from buildkit.publish.wire import as_publish_error, open_file

_LIMIT = 16 << 20
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')
_PATIENCE_SECONDS = 120
_GONE, _UNPROCESSABLE = 404, 422
_RATE = frozenset({403, 429})
_REFUSED = frozenset({401, 403})
_FINE = frozenset({200, 201, 204})
_TRIES = 4
_T = TypeVar("_T")


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a release; ``state`` is ``uploaded`` or, of one that broke off, another word."""

    id: int
    name: str
    size: int
    state: str = "uploaded"
    digest: str | None = None
    url: str = ""
    updated_at: str = ""


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A release, or its draft."""

    id: int
    tag_name: str
    draft: bool
    upload_url: str
    html_url: str = ""
    body: str | None = None


class _Commit(msgspec.Struct, frozen=True):
    sha: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub:
    """One repository, with a token that is never shown.

    Attributes:
        pool: the connections.
        api: the address of the API, without a slash at its end.
        repository: ``owner/name``.
        token: may write contents.
        clock: seconds since 1970.
        sleep: waits for a rate limit that ends soon.
    """

    pool: HttpPool = field(repr=False)
    api: str
    repository: str
    token: str = field(repr=False)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def find(self, tag: str) -> Release | None:
        """Return the release of a tag, a draft too; drafts are only in the list.

        Raises:
            PublishError: there are several, or GitHub refuses or fails.
        """
        found = [
            release
            for page in self._pages(f"{self._root}/releases?per_page=100", list[Release])
            for release in page
            if release.tag_name == tag
        ]
        published = [release for release in found if not release.draft]
        if len(published or found) > 1:
            raise PublishError(
                f"{self.repository} has {len(found)} releases of {tag}",
                details="\n".join(release.html_url for release in found),
                resolution="Remove the drafts that nobody needs.",
            )
        return next(iter(published or found), None)

    def create(self, tag: str, body: Mapping[str, object]) -> Release:
        """Make a draft, and return it; one that another try has made is found again."""
        value = {**body, "tag_name": tag, "draft": True}
        for attempt in range(_TRIES):
            try:
                answer = self._ask("POST", f"{self._root}/releases", value)
                return self._decoded("make a release", answer, Release)
            except PublishError:
                # Whether it arrived is unknown, so look before it is sent again.
                if (found := self.find(tag)) is not None:
                    return found
                if attempt == _TRIES - 1:
                    raise
            self.pool.wait(attempt)
        raise AssertionError

    def update(self, release: Release, body: Mapping[str, object]) -> Release:
        """Change a release."""
        answer = self._ask("PATCH", f"{self._root}/releases/{release.id}", body)
        return self._decoded("change the release", answer, Release)

    def assets(self, release: Release) -> tuple[Asset, ...]:
        """Return the files of a release."""
        url = f"{self._root}/releases/{release.id}/assets?per_page=100"
        return tuple(asset for page in self._pages(url, list[Asset]) for asset in page)

    def remove(self, asset: Asset) -> None:
        """Remove a file of a release; one that is gone is no error."""
        answer = self._ask("DELETE", f"{self._root}/releases/assets/{asset.id}")
        if answer.status not in _FINE | {_GONE}:
            raise self._refusal(f"remove {asset.name}", answer)

    def upload(self, release: Release, file: CargoFile, name: str) -> bool:
        """Send a file; False where GitHub has one of that name, or the connection broke.

        The caller looks what is there then.
        """
        url = f"{release.upload_url.partition('{')[0]}?name={quote(name)}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file.size)}
        with open_file(file) as body:
            try:
                answer = self._patient("POST", url, headers=headers, body=body)
            except FetchError:
                return False
        if answer.status == _UNPROCESSABLE and b"already_exists" in answer.body:
            return False
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return False
        if answer.status not in _FINE:
            raise self._refusal(f"upload {name}", answer)
        return True

    def download(self, asset: Asset) -> Iterator[bytes]:
        """Yield the content of a file of a release."""
        headers = {**self._headers, "Accept": "application/octet-stream"}
        try:
            with self.pool.open("GET", asset.url, headers=headers) as response:
                if response.status != HTTPStatus.OK:
                    answer = Answer(response.status, response.headers, response.read(_LIMIT))
                    raise self._refusal(f"read {asset.name} back", answer)
                yield from response.stream()
        except FetchError as error:
            raise as_publish_error(error) from error

    def commit_of(self, tag: str) -> str | None:
        """Return the commit that a tag names there, None where it does not exist."""
        answer = self._ask("GET", f"{self._root}/commits/{quote(f'tags/{tag}', safe='')}")
        if answer.status in {_GONE, _UNPROCESSABLE}:
            return None
        return self._decoded(f"look at the tag {tag}", answer, _Commit).sha

    @property
    def _root(self) -> str:
        return f"{self.api}/repos/{self.repository}"

    @property
    def _headers(self) -> dict[str, str]:
        return {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def _pages(self, url: str, kind: type[_T]) -> Iterator[_T]:
        while url:
            answer = self._ask("GET", url)
            yield self._decoded("list what is there", answer, kind)
            following = _NEXT.search(answer.headers.get("Link", ""))
            url = following[1] if following else ""

    def _ask(self, method: str, url: str, value: Mapping[str, object] | None = None) -> Answer:
        body = msgspec.json.encode(value) if value is not None else None
        try:
            return self._patient(method, url, body=body)
        except FetchError as error:
            raise as_publish_error(error) from error

    def _patient(self, method: str, url: str, **request: Any) -> Answer:
        """Ask, and once more after a rate limit that ends soon.

        https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
        """
        headers = {**self._headers, **request.pop("headers", {})}
        answer = self.pool.read(method, url, headers=headers, limit=_LIMIT, **request)
        seconds = self._limited(answer)
        if seconds is None:
            return answer
        if seconds > _PATIENCE_SECONDS:
            raise PublishError(
                f"GitHub's rate limit is used up for {seconds:.0f} s more",
                resolution="Run the same command again then: what has arrived is not sent again.",
            )
        self.sleep(seconds)
        if isinstance(body := request.get("body"), IOBase):
            body.seek(0)
        return self.pool.read(method, url, headers=headers, limit=_LIMIT, **request)

    def _limited(self, answer: Answer) -> float | None:
        if answer.status not in _RATE:
            return None
        if (after := answer.headers.get("Retry-After", "")).isdecimal():
            return float(after)
        if answer.headers.get("X-RateLimit-Remaining") != "0":
            return None
        reset = answer.headers.get("X-RateLimit-Reset", "0")
        return max(1.0, int(reset) - self.clock()) if reset.isdecimal() else 1.0

    def _decoded(self, action: str, answer: Answer, kind: type[_T]) -> _T:
        if answer.status not in _FINE:
            raise self._refusal(action, answer)
        try:
            return decode_json(answer.body, kind)
        except msgspec.MsgspecError as error:
            raise PublishError(
                f"cannot {action} of {self.repository}: the answer makes no sense",
                details=str(error),
            ) from error

    def _refusal(self, action: str, answer: Answer) -> PublishError:
        try:
            told = str(decode_json(answer.body, dict[str, Any]).get("message", ""))
        except msgspec.MsgspecError:
            told = ""
        resolution = "Run it again when GitHub is well: what has arrived is not sent again."
        if answer.status in _REFUSED:
            resolution = "The token needs `contents: write` of that repository."
        if answer.status == _GONE:
            resolution = "Check the repository's name, and that the token may see it."
        return PublishError(
            f"cannot {action} of {self.repository}: GitHub answers {answer.status}",
            details=told,
            resolution=resolution,
        )
