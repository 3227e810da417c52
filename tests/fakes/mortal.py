"""What servers that take uploads share: they keep files, and can die at any request."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import Any

from tests.fakes.loopback import LoopbackHandler, LoopbackServer

_METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")


class Death(StrEnum):
    """Where in a request a server dies."""

    BEFORE = "nothing of the request was processed"
    AMID = "half of a body was taken"
    AFTER = "the request was processed, its answer is lost"


class MortalServer(LoopbackServer):
    """Serves on a free port of loopback while it is entered.

    Attributes:
        asked: ``METHOD path`` of each request that arrived while it lived.
        deadline: how many requests it still answers; None for all.
        death: how it ends then. Until :meth:`revive` every connection breaks.
    """

    handler: type[MortalHandler]

    def __init__(self) -> None:
        methods = {f"do_{method}": self.handler.answer for method in _METHODS}
        super().__init__(type("Handler", (self.handler,), methods))
        self.asked: list[str] = []
        self.deadline: int | None = None
        self.death = Death.BEFORE
        self.lock = threading.RLock()

    def die_at(self, request: int, death: Death) -> None:
        """Die at a request, counted from 0 from now."""
        self.deadline, self.death = request, death

    def revive(self) -> None:
        self.deadline = None


class MortalHandler(LoopbackHandler):
    """Reads a request's body, asks :meth:`process`, and answers - or dies."""

    fake: Any

    def process(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers of the answer."""
        raise NotImplementedError

    def process_half(self, body: bytes) -> None:
        """Take the first half of an upload; other requests leave nothing."""

    def answer(self) -> None:
        """Take one request of any method."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.fake.lock:
            dying = self.fake.deadline is not None and self.fake.deadline <= 0
            first = self.fake.deadline == 0
            if self.fake.deadline is not None:
                self.fake.deadline -= 1
            if dying:
                self._die(body if first else None)
                return
            self.fake.asked.append(f"{self.command} {self.path}")
            status, content, headers = self.process(body)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _die(self, body: bytes | None) -> None:
        if body is not None and self.fake.death is Death.AFTER:
            self.process(body)
        if body is not None and self.fake.death is Death.AMID:
            self.process_half(body[: len(body) // 2])
        self.close_connection = True
