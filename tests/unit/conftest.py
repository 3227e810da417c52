"""Unit tests start no process and reach nothing beyond loopback; one that tries fails."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Iterator

import pytest

_PROCESS_EVENTS = {
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pty.spawn",
    "subprocess.Popen",
}
# Which argument of the event is the address or host: docs.python.org/3/library/audit_events.html
_ADDRESS_ARGUMENT = {
    "socket.bind": 1,
    "socket.connect": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyaddr": 0,
    "socket.gethostbyname": 0,
    "socket.sendmsg": 1,
    "socket.sendto": 1,
}


class Guard:
    """An audit hook, which sees what C extensions and other libraries do too.

    It cannot be removed again (PEP 578), hence the switch. What it raises is no ``Exception``, so
    that no handler of the tested code hides it.
    """

    def __init__(self) -> None:
        self.armed = False
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.armed:
            return
        if event in _PROCESS_EVENTS:
            self._refuse(f"starts a process: {event}{arguments[:2]}")
        position = _ADDRESS_ARGUMENT.get(event)
        if position is not None and not _is_local(arguments[position]):
            self._refuse(f"leaves this machine: {event} {arguments[position]!r}")

    def _refuse(self, what: str) -> None:
        pytest.fail(f"A unit test {what}. It belongs into tests/integration.")


def _is_local(address: object) -> bool:
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(host, bytes):
        host = host.decode("idna")
    if host is None or host in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return host == socket.gethostname()


_GUARD = Guard()


@pytest.fixture(autouse=True)
def guard(isolated_user: object) -> Iterator[None]:
    del isolated_user
    _GUARD.armed = True
    yield
    _GUARD.armed = False
