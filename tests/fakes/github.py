"""GitHub's releases, as far as a publish uses them, in this process.

https://docs.github.com/en/rest/releases: drafts are only in the list, an asset of a
taken name is 422 with ``already_exists``, an upload that broke off leaves an asset whose
state is ``starter``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from buildkit.digest import Digest
from tests.fakes.mortal import MortalHandler, MortalServer

_ROOT = "/repos/team/mesh"
_Answer = tuple[int, bytes, dict[str, str]]


class _Handler(MortalHandler):
    fake: FakeGitHub

    def process(self, body: bytes) -> _Answer:
        if self.headers.get("Authorization") != f"Bearer {self.fake.token}":
            return 401, b'{"message": "Bad credentials"}', {}
        if self.fake.limits:
            return 403, b'{"message": "API rate limit exceeded"}', self.fake.limits.pop()
        path = urlsplit(self.path).path.removeprefix(_ROOT)
        for pattern, answer in self._routes().items():
            if found := re.fullmatch(pattern, f"{self.command} {path}"):
                return answer(found, body)
        return _json(404, {"message": "Not Found"})

    def _routes(self) -> dict[str, Callable[[re.Match[str], bytes], _Answer]]:
        return {
            "GET /releases": lambda _found, _body: self._page(self.fake.releases),
            "POST /releases": lambda _found, body: _json(
                201, self.fake.add_release(json.loads(body))
            ),
            r"PATCH /releases/(\d+)": lambda found, body: self._change(
                int(found[1]), json.loads(body)
            ),
            r"GET /releases/(\d+)/assets": lambda found, _body: self._page(
                [item for item in self.fake.assets if item["release"] == int(found[1])]
            ),
            r"POST /releases/(\d+)/assets": lambda found, body: self._upload(int(found[1]), body),
            r"(GET|DELETE) /releases/assets/(\d+)": lambda found, _body: self._asset(int(found[2])),
            r"GET /commits/tags%2F(.+)": lambda found, _body: self._commit(found[1]),
        }

    def process_half(self, body: bytes) -> None:
        found = re.fullmatch(rf"{_ROOT}/releases/(\d+)/assets\?name=(.+)", self.path)
        if found and self.command == "POST":
            self.fake.add_asset(int(found[1]), found[2], body, state="starter")

    def _commit(self, tag: str) -> _Answer:
        sha = self.fake.tags.get(tag)
        return _json(200, {"sha": sha}) if sha else _json(422, {"message": "No commit found"})

    def _change(self, identity: int, value: dict[str, Any]) -> _Answer:
        release = next(item for item in self.fake.releases if item["id"] == identity)
        release.update(value)
        if not release["draft"]:
            self.fake.tags.setdefault(release["tag_name"], release["target_commitish"])
        return _json(200, release)

    def _upload(self, release: int, body: bytes) -> _Answer:
        name = parse_qs(urlsplit(self.path).query)["name"][0]
        if any((item["release"], item["name"]) == (release, name) for item in self.fake.assets):
            errors = [{"resource": "ReleaseAsset", "code": "already_exists", "field": "name"}]
            return _json(422, {"message": "Validation Failed", "errors": errors})
        return _json(201, self.fake.add_asset(release, name, body))

    def _asset(self, identity: int) -> _Answer:
        found = [asset for asset in self.fake.assets if asset["id"] == identity]
        if not found:
            return _json(404, {"message": "Not Found"})
        if self.command == "DELETE":
            self.fake.assets.remove(found[0])
            return 204, b"", {}
        return 200, self.fake.content[identity], {}

    def _page(self, items: list[dict[str, Any]]) -> _Answer:
        query = parse_qs(urlsplit(self.path).query)
        page, size = int(query.get("page", ["1"])[0]), self.fake.page_size
        shown = items[(page - 1) * size : page * size]
        path = self.path.partition("?")[0]
        following = f'<{self.fake.url}{path}?page={page + 1}>; rel="next"'
        return _json(200, shown, {"Link": following} if page * size < len(items) else {})


def _json(status: int, value: object, headers: dict[str, str] | None = None) -> _Answer:
    return status, json.dumps(value).encode(), headers or {}


class FakeGitHub(MortalServer):
    """The repository ``team/mesh``.

    Attributes:
        releases, assets: as the API describes them; an asset's ``release`` is an id.
        content: of each asset by id.
        tags: tag and commit.
        limits: headers of the next refusals for a rate limit.
        page_size: entries of a page.
        tells_digests: assets have a digest, as they do since 2025.
    """

    handler = _Handler

    def __init__(self) -> None:
        self.token = "ghp_secret"
        self.releases: list[dict[str, Any]] = []
        self.assets: list[dict[str, Any]] = []
        self.content: dict[int, bytes] = {}
        self.tags: dict[str, str] = {}
        self.limits: list[dict[str, str]] = []
        self.page_size = 2
        self.tells_digests = True
        self._ids = iter(range(1, 10_000))
        super().__init__()

    def add_release(self, value: dict[str, Any]) -> dict[str, Any]:
        identity = next(self._ids)
        upload = f"{self.url}{_ROOT}/releases/{identity}/assets{{?name,label}}"
        page = f"https://github.com/team/mesh/releases/{value['tag_name']}"
        release = {**value, "id": identity, "upload_url": upload, "html_url": page}
        self.releases.append(release)
        return release

    def add_asset(
        self, release: int, name: str, body: bytes, *, state: str = "uploaded"
    ) -> dict[str, Any]:
        identity = next(self._ids)
        asset: dict[str, Any] = {
            "id": identity,
            "release": release,
            "name": name,
            "size": len(body),
            "state": state,
            "url": f"{self.url}{_ROOT}/releases/assets/{identity}",
            "updated_at": f"2026-01-01T00:00:{identity % 60:02}Z",
        }
        if self.tells_digests and state == "uploaded":
            asset["digest"] = str(Digest.of_bytes(body))
        self.assets.append(asset)
        self.content[identity] = body
        return asset

    def files(self) -> dict[str, bytes]:
        """Return what people can download, by name."""
        return {asset["name"]: self.content[asset["id"]] for asset in self.assets}
