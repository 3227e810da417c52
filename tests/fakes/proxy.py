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
from urllib.parse import quote

from tests.fakes.loopback import LoopbackHandler, LoopbackServer

_BLOCK = 1 << 16


class FakeProxy(LoopbackServer):
    """The proxy; a context manager that serves while it is open.

    Args:
        hosts: ``host:port`` and the address that it stands for.
        login: ``user:password`` to ask for; empty for none.
    """

    def __init__(self, hosts: Mapping[str, tuple[str, int]], *, login: str = "") -> None:
        super().__init__(_Handler)
        self.hosts = dict(hosts)
        self.login = login
        self.seen: list[str] = []

    @property
    def url(self) -> str:
        """What stands in HTTPS_PROXY, login included."""
        user, _, password = self.login.partition(":")
        userinfo = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        return f"http://{userinfo}{self.host}"


class _Handler(LoopbackHandler):
    fake: FakeProxy

    def do_CONNECT(self) -> None:
        self.fake.seen.append(f"CONNECT {self.path}")
        if not self._may():
            return
        address = self.fake.hosts.get(self.path)
        if address is None:
            self._answer(502)
            return
        with socket.create_connection(address) as server:
            self.send_response_only(200)
            self.end_headers()
            self._join(server)
        self.close_connection = True

    def do_GET(self) -> None:
        self.fake.seen.append(f"GET {self.path}")
        if self._may():
            self._answer(200, b"through the proxy")

    def _may(self) -> bool:
        expected = f"Basic {base64.b64encode(self.fake.login.encode()).decode()}"
        if not self.fake.login or self.headers.get("Proxy-Authorization") == expected:
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
