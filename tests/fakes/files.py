"""A file server in this process that knows ranges, and can misbehave."""

from __future__ import annotations

import re
from dataclasses import dataclass

from buildkit.digest import Digest
from tests.fakes.loopback import LoopbackHandler, LoopbackServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that came in; ranges as the headers had them."""

    path: str
    range: str
    guard: str


class FakeFiles(LoopbackServer):
    """Serves ``files`` by path at ``url`` while it is entered.

    Attributes:
        files: content by path.
        status: answer of a path instead of its content.
        cuts: how many bytes the next answers send before the connection breaks.
        ranges: answer a range with that range.
        redirects: where a path sends the client.
        authorization: what has to be in the header of that name, else the answer is 403.
        headers: of each request, by name in lower case.
        validator: the header that identifies the content, ETag or Last-Modified, or none.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.files: dict[str, bytes] = {}
        self.status: dict[str, int] = {}
        self.cuts: list[int] = []
        self.ranges = True
        self.redirects: dict[str, str] = {}
        self.authorization = ""
        self.headers: list[dict[str, str]] = []
        self.validator = "ETag"
        self.asked: list[Asked] = []


class _Handler(LoopbackHandler):
    fake: FakeFiles

    def do_GET(self) -> None:
        asked = Asked(
            path=self.path.partition("?")[0],
            range=self.headers.get("Range", ""),
            guard=self.headers.get("If-Range", ""),
        )
        self.fake.asked.append(asked)
        self.fake.headers.append({name.lower(): text for name, text in self.headers.items()})
        if self.fake.authorization not in {"", self.headers.get("Authorization")}:
            self._send(403, b"", {})
            return
        if asked.path in self.fake.redirects:
            self._send(302, b"", {"Location": self.fake.redirects[asked.path]})
            return
        content = self.fake.files.get(asked.path)
        status = self.fake.status.get(asked.path, 404 if content is None else 200)
        if content is None or status != 200:
            self._send(status, b"", {})
            return
        mark = self._mark(content)
        start = re.fullmatch(r"bytes=(\d+)-", asked.range)
        if start and self.fake.ranges and asked.guard in mark.values():
            self._send_part(content, int(start[1]), mark)
        else:
            self._send(200, content, mark)

    def _mark(self, content: bytes) -> dict[str, str]:
        digest = Digest.of_bytes(content).short
        marks = {
            "ETag": f'"{digest}"',
            "Last-Modified": f"Mon, 01 Jan 2024 00:00:{len(content) % 60:02} GMT",
        }
        name = self.fake.validator
        return {name: marks[name]} if name else {}

    def _send_part(self, content: bytes, start: int, mark: dict[str, str]) -> None:
        total = len(content)
        if start >= total:
            self._send(416, b"", {"Content-Range": f"bytes */{total}"})
            return
        span = f"bytes {start}-{total - 1}/{total}"
        self._send(206, content[start:], {**mark, "Content-Range": span})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body and self.fake.cuts:
            self.wfile.write(body[: self.fake.cuts.pop(0)])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(body)
