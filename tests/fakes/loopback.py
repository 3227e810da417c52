"""What all HTTP servers in this process share: their start, their end, and their silence."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class LoopbackHandler(BaseHTTPRequestHandler):
    """Speaks HTTP/1.1 and logs nothing."""

    protocol_version = "HTTP/1.1"
    # Small answers are two writes; without this each costs Nagle's 40 ms.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class LoopbackServer:
    """Serves on 127.0.0.1 while it is entered.

    Args:
        handler: answers each request; it finds this server in its attribute ``fake``.
        port: 0 takes a free one.
    """

    def __init__(self, handler: type[LoopbackHandler], port: int = 0) -> None:
        bound = type("Handler", (handler,), {"fake": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", port), bound)
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    @property
    def host(self) -> str:
        """``127.0.0.1:port``, as a reference begins."""
        return f"127.0.0.1:{self.server.server_address[1]}"

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``."""
        return f"http://{self.host}"
