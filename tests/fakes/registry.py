"""An in-process registry on loopback that keeps to the Distribution specification - or not.

It speaks plain http on a free port of 127.0.0.1, keeps everything in memory and
checks what a strict registry checks: digests, sizes, that a manifest's blobs and
an index's manifests exist, media types, scopes of tokens. Use it as a fixture::

    with FakeRegistry() as registry:
        reference = Reference.parse(f"{registry.host}/team/app:v1")
        ...
        assert registry.tags("team/app") == {"v1": "sha256:..."}
        assert registry.count("PUT .*/manifests/") == 1

``login=Login(...)`` makes it ask for Basic credentials or for Bearer tokens of its
own ``/token`` (GET with Basic, and POST with an identity token). ``expire_tokens()``
makes every token given out so far worthless.

Misbehaviour is a :class:`Fault`, which applies to the requests whose
``METHOD path`` its pattern matches, ``times`` times, first come first served, once
``after`` of them were answered as they should be::

    registry.misbehave(Fault("PUT .*/manifests/", status=429, headers=SOON, times=3))  # a storm
    registry.misbehave(Fault("GET .*/blobs/", cut=1000))        # body ends after 1000 bytes
    registry.misbehave(Fault("GET .*/blobs/", flip=True))       # one bit of the body differs
    registry.misbehave(Fault("PUT .*/uploads/", reset=100_000)) # RST after reading 100 kB
    registry.misbehave(Fault("GET .*/blobs/", redirect="http://127.0.0.1:1234"))  # 307, path kept
    registry.misbehave(Fault("PUT .*/manifests/", digest="sha256:00..."))  # a false digest header
    registry.misbehave(Fault("POST .*/uploads/", lose_session=True))  # 202, then the PUT gets 404

``FakeRegistry(content=other.content)`` shares the memory of another one: that is
how a storage host behind redirects is made.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from buildkit.digest import Digest
from buildkit.registry.credentials import Credential
from tests.fakes.distribution import DistributionHandler
from tests.fakes.loopback import LoopbackServer

SOON = (("Retry-After", "7"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who may do what; ``scheme`` is ``basic`` or ``bearer``."""

    scheme: str
    username: str = "ann"
    password: str = "open sesame"
    identity_token: str = "identity-of-ann"
    anonymous_pull: bool = False
    lifetime: int = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """How to misbehave where ``pattern`` matches ``METHOD path``; see the module."""

    pattern: str
    times: int = 1
    after: int = 0
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    cut: int | None = None
    flip: bool = False
    reset: int | None = None
    redirect: str = ""
    digest: str = ""
    lose_session: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request that arrived."""

    method: str
    path: str
    headers: Mapping[str, str]

    def __str__(self) -> str:
        """Return ``METHOD path?query``."""
        return f"{self.method} {self.path}"


@dataclass(slots=True)
class Repository:
    """What a repository holds; manifests are (media type, bytes) by digest."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class FakeRegistry(LoopbackServer):
    """The registry; a context manager that serves while it is open.

    Args:
        login: ask for credentials.
        page_size: the most entries one page of a list has.
        reports_digests: False leaves out the optional Docker-Content-Digest.
        has_referrers: it has the referrers API; it leaves the filter to the client.
        tls: certificate and key, in an SSL context, to serve https with.
        content: share the memory of another one.
        port: on 127.0.0.1; 0 takes a free one.
    """

    def __init__(
        self,
        *,
        login: Login | None = None,
        page_size: int = 100,
        reports_digests: bool = True,
        has_referrers: bool = True,
        tls: ssl.SSLContext | None = None,
        content: dict[str, Repository] | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(DistributionHandler, port)
        self.login = login
        self.page_size = page_size
        self.reports_digests = reports_digests
        self.has_referrers = has_referrers
        self.content: dict[str, Repository] = {} if content is None else content
        self.seen: list[Seen] = []
        self.sessions: dict[str, bytearray] = {}
        self.tokens: dict[str, frozenset[str]] = {}
        self.connections: set[socket.socket] = set()
        self.lock = threading.RLock()
        self._faults: list[tuple[Fault, list[int]]] = []
        """What is left of each: requests to answer rightly, then times to misbehave."""
        if tls:
            # The thread of a connection shakes hands, not the one that accepts.
            self.server.socket = tls.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        # Else a client with a connection that is kept alive would still be answered.
        for connection in tuple(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def misbehave(self, fault: Fault) -> None:
        """Add a fault; the first that matches and is not used up applies."""
        with self.lock:
            self._faults.append((fault, [fault.after, fault.times]))

    def expire_tokens(self) -> None:
        """Forget every token."""
        with self.lock:
            self.tokens.clear()

    def count(self, pattern: str) -> int:
        """Count the requests whose ``METHOD path`` matches."""
        return len(self.requests(pattern))

    def requests(self, pattern: str) -> list[Seen]:
        """Return the requests whose ``METHOD path`` matches."""
        with self.lock:
            return [seen for seen in self.seen if re.match(pattern, str(seen))]

    def repository(self, name: str) -> Repository:
        """Return what a repository holds, made when first asked for."""
        with self.lock:
            return self.content.setdefault(name, Repository())

    def look(self, name: str) -> Repository:
        """Return what a repository holds; one that does not exist is empty."""
        return self.content.get(name, Repository())

    def tags(self, name: str) -> dict[str, str]:
        """Return a repository's tags and their digests."""
        return dict(self.look(name).tags)

    def put_blob(self, name: str, data: bytes) -> Digest:
        """Place a blob without HTTP."""
        digest = Digest.of_bytes(data)
        self.repository(name).blobs[str(digest)] = data
        return digest

    def receive(self, method: str, path: str, headers: Mapping[str, str]) -> Fault | None:
        """Note a request and return the fault that applies to it."""
        seen = Seen(method=method, path=path, headers=headers)
        with self.lock:
            self.seen.append(seen)
            for fault, left in self._faults:
                if left[1] == 0 or not re.match(fault.pattern, str(seen)):
                    continue
                if left[0]:
                    left[0] -= 1
                    continue
                left[1] -= 1
                return fault
        return None


class Logins:
    """A :class:`buildkit.registry.credentials.CredentialSource` that knows one answer."""

    def __init__(self, credential: Credential | None = None) -> None:
        self.credential = credential
        self.asked: list[tuple[str, str, bool]] = []

    def find(self, registry: str, repository: str, *, push: bool) -> Credential | None:
        """Return the answer and remember the question."""
        self.asked.append((registry, repository, push))
        return self.credential
