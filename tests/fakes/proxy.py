"""An HTTP proxy in the same process: CONNECT tunnels and plain requests, with Basic login.

Names lead where ``hosts`` says, so that a test can ask for a host that does not
exist and the proxy alone knows it::

    with FakeProxy({"registry.test:443": server.address}, login="ann:pass") as proxy:
        pool = HttpPool(environ={"HTTPS_PROXY": proxy.url})
"""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import quote

_BLOCK = 1 << 16


class FakeProxy:
    """The proxy; a context manager that serves while it is open.

    Args:
        hosts: ``host:port`` and the address that it stands for.
        login: ``user:password`` to ask for; empty for none.
    """

    def __init__(self, hosts: Mapping[str, tuple[str, int]], *, login: str = "") -> None:
        self.hosts = dict(hosts)
        self.login = login
        self.seen: list[str] = []
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def host(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """What stands in HTTPS_PROXY, login included."""
        user, _, password = self.login.partition(":")
        userinfo = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        return f"http://{userinfo}{self.host}"


class _Handler(BaseHTTPRequestHandler):
    proxy: FakeProxy
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def do_CONNECT(self) -> None:
        self.proxy.seen.append(f"CONNECT {self.path}")
        if not self._may():
            return
        address = self.proxy.hosts.get(self.path)
        if address is None:
            self._answer(502)
            return
        with socket.create_connection(address) as server:
            self.send_response_only(200)
            self.end_headers()
            self._join(server)
        self.close_connection = True

    def do_GET(self) -> None:
        self.proxy.seen.append(f"GET {self.path}")
        if self._may():
            self._answer(200, b"through the proxy")

    def _may(self) -> bool:
        expected = f"Basic {base64.b64encode(self.proxy.login.encode()).decode()}"
        if not self.proxy.login or self.headers.get("Proxy-Authorization") == expected:
            return True
        self._answer(407)
        return False

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response_only(status)
        if status == 407:
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _join(self, server: socket.socket) -> None:
        back = threading.Thread(target=_pour, args=(server, self.connection), daemon=True)
        back.start()
        _pour(self.connection, server)
        back.join()


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_BLOCK):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
