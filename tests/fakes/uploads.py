"""A server that takes files by PUT, in this process."""

from __future__ import annotations

from buildkit.digest import Digest
from tests.fakes.mortal import MortalHandler, MortalServer


class _Handler(MortalHandler):
    fake: FakeUploads

    def process(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if self.headers.get("Authorization", "") != self.fake.authorization:
            return 401, b"", {}
        return self._put(body) if self.command == "PUT" else self._get()

    def _put(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if self.path in self.fake.statuses:
            return self.fake.statuses.pop(self.path), b"", {}
        if self.headers.get("If-None-Match") == "*" and self.path in self.fake.files:
            return 412, b"", {}
        self.fake.files[self.path] = body
        return 201, b"", {}

    def _get(self) -> tuple[int, bytes, dict[str, str]]:
        if self.command == "HEAD" and not self.fake.knows_head:
            return 405, b"", {}
        found = self.fake.files.get(self.path)
        if found is None:
            return 404, b"", {}
        mark = {"ETag": f'"{Digest.of_bytes(found).short}"'} if self.fake.marks else {}
        return 200, found, mark

    def process_half(self, body: bytes) -> None:
        if self.command == "PUT":
            self.fake.files[self.path] = body


class FakeUploads(MortalServer):
    """Keeps ``files`` by path.

    Attributes:
        files: what is there.
        authorization: what each request must send.
        statuses: the answer to the next PUT of a path, instead of taking it.
        marks: answer with ETags.
        knows_head: answer HEAD.
    """

    handler = _Handler

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.authorization = ""
        self.statuses: dict[str, int] = {}
        self.marks = True
        self.knows_head = True
        super().__init__()
