"""Connections to any host, and one response as it streams in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from buildkit.errors import FetchError
from buildkit.http.failures import (
    BrokenTransferError,
    UnsentError,
    broken,
    no_login,
    reason,
    unreachable,
    untrusted,
)
from buildkit.http.request import HOST_BOUND, IDEMPOTENT, Body, Request, position, rewind
from buildkit.http.routes import ProxySettings, host_of, rewrite, stays_here, without_userinfo
from buildkit.http.trust import trust

if TYPE_CHECKING:
    import urllib3

USER_AGENT = "meshwright"
CONNECT_SECONDS = 20.0
READ_SECONDS = 120.0
"""Between two reads, not for a whole transfer."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
"""Caps the back-off and what a server asks for with Retry-After."""
MAX_REDIRECTS = 10
BLOCK_SIZE = 1 << 18

_PROXY_LOGIN = 407
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Answer(NamedTuple):
    """A whole answer in memory; header names are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Response:
    """An answer whose body is still to be read; a context manager that closes it.

    ``headers`` is case-insensitive, ``url`` is where redirects ended.
    """

    def __init__(self, raw: urllib3.BaseHTTPResponse, url: str) -> None:
        self._raw = raw
        self.url = url
        self.status: int = raw.status
        self.headers: Mapping[str, str] = raw.headers

    def __repr__(self) -> str:
        """Name status and host; paths and queries can hold tokens."""
        return f"<Response {self.status} from {host_of(self.url)}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back if little of the body is left, else end it."""
        _finish(self._raw)

    def stream(self, block_size: int = BLOCK_SIZE) -> Iterator[bytes]:
        """Yield the body in blocks.

        Raises:
            BrokenTransferError: it ended before its Content-Length, or stalled.
        """
        import urllib3

        try:
            yield from self._raw.stream(block_size, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise BrokenTransferError(
                f"the transfer from {host_of(self.url)} broke off", details=reason(error)
            ) from error

    def read(self, limit: int) -> bytes:
        """Return the whole body, at most ``limit`` bytes.

        Raises:
            FetchError: it is larger.
            BrokenTransferError: it was cut.
        """
        blocks, size = [], 0
        for block in self.stream(min(BLOCK_SIZE, limit + 1)):
            size += len(block)
            if size > limit:
                raise FetchError(
                    f"{host_of(self.url)} sent more than {limit} bytes",
                    details="The answer is larger than anything expected there.",
                )
            blocks.append(block)
        return b"".join(blocks)


class HttpPool:
    """Connections to any host, kept alive and shared between threads.

    Args:
        environ: proxy variables (``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``,
            ``NO_PROXY``, either case) and certificate bundles (``SSL_CERT_FILE``,
            ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``) are taken from it.
        mirrors: URL prefix and replacement, applied to each URL asked for, not
            to redirects. Credentials are not sent to a mirror on another host.
        sleep: waits between attempts.
        offline: no host but this machine is asked.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        mirrors: Mapping[str, str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        offline: bool = False,
    ) -> None:
        self._offline = offline
        self._proxies = ProxySettings.of(environ)
        self._environ = dict(environ)
        self._mirrors = dict(mirrors or {})
        self._sleep = sleep
        self._lock = threading.Lock()
        self._managers: dict[tuple[str, bool], urllib3.PoolManager] = {}

    def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        credentials: Mapping[str, str] | None = None,
        body: Body | None = None,
        redirect: bool = True,
        retries: int = 4,
        seconds: float = READ_SECONDS,
    ) -> Response:
        """Send one request and return its answer, body unread; the caller closes it.

        ``credentials`` are headers too, which no other host gets to see, be it a
        mirror or where the answer redirects to.

        Broken connections, 408, 425, 429 and 5xx are tried again ``retries``
        times, after the time that Retry-After or the back-off says. A POST is
        tried again only where it was surely not processed. The last answer is
        returned whatever its status. A read that takes longer than ``seconds``
        counts as broken.

        Raises:
            BrokenTransferError: no connection, or no whole answer.
            FetchError: certificates, redirects or the address are wrong, or nothing may be asked.
        """
        request = Request(
            method=method,
            url=url,
            headers={
                "Accept-Encoding": "identity",
                "User-Agent": USER_AGENT,
                **(headers or {}),
                **(credentials or {}),
            },
            body=body,
            start=position(body),
            seconds=seconds,
            bound=HOST_BOUND | {name.lower() for name in credentials or ()},
        )
        request = request.toward(rewrite(url, self._mirrors))
        for _ in range(MAX_REDIRECTS + 1):
            raw = self._attempts(request, retries)
            location = raw.headers.get("Location")
            if not (redirect and location and raw.status in _REDIRECTS):
                return Response(raw, request.url)
            _finish(raw)
            request = request.redirected(raw.status, location)
        raise FetchError(f"{host_of(url)} redirects more than {MAX_REDIRECTS} times")

    def read(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        credentials: Mapping[str, str] | None = None,
        body: Body | None = None,
        redirect: bool = True,
        retries: int = 4,
        seconds: float = READ_SECONDS,
        limit: int,
    ) -> Answer:
        """Send one request and return the whole answer of at most ``limit`` bytes.

        A cut answer counts as a broken connection.

        Raises:
            FetchError: as :meth:`open`, or the answer is too large.
        """
        start = position(body)
        for attempt in range(retries + 1):
            with self.open(
                method,
                url,
                headers=headers,
                credentials=credentials,
                body=body,
                redirect=redirect,
                retries=retries,
                seconds=seconds,
            ) as response:
                try:
                    return Answer(response.status, response.headers, response.read(limit))
                except BrokenTransferError:
                    if attempt == retries or method not in IDEMPOTENT or not rewind(body, start):
                        raise
            self.wait(attempt)
        raise AssertionError

    def wait(self, attempt: int, headers: Mapping[str, str] | None = None) -> None:
        """Sleep as before trying again: what Retry-After asks, else by the attempt (from 0)."""
        self._sleep(_asked_pause(headers or {}, _back_off(attempt)))

    def _attempts(self, request: Request, retries: int) -> urllib3.BaseHTTPResponse:
        for attempt in range(retries + 1):
            last = attempt == retries
            headers: Mapping[str, str] = {}
            try:
                raw = self._send(request)
            except BrokenTransferError as error:
                unsent = isinstance(error, UnsentError)
                repeatable = unsent or request.method in IDEMPOTENT
                if last or not repeatable or not rewind(request.body, request.start):
                    raise
            else:
                if last or not request.may_repeat(raw.status):
                    return raw
                headers = raw.headers
                _finish(raw)
            self.wait(attempt, headers)
        raise AssertionError

    def _send(self, request: Request) -> urllib3.BaseHTTPResponse:
        import urllib3

        errors = urllib3.exceptions
        host = host_of(request.url)
        if self._offline and not stays_here(request.url):
            raise FetchError(
                f"{host} is not asked, since this run is offline",
                resolution="Run once without --offline, so that what is needed is cached.",
            )
        proxy = self._proxies.proxy_for(request.url)
        try:
            raw = self._manager(request.url).urlopen(
                request.method,
                request.url,
                headers=request.headers,
                body=request.body,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(
                    connect=min(CONNECT_SECONDS, request.seconds), read=request.seconds
                ),
                decode_content=False,
            )
        except (errors.NewConnectionError, errors.ConnectTimeoutError, errors.ProxyError) as error:
            if proxy and f" {_PROXY_LOGIN} " in str(error):
                # What http.client says of a CONNECT that was answered so.
                raise no_login(proxy) from error
            raise unreachable(host, error, proxy) from error
        except errors.SSLError as error:
            raise untrusted(host, error) from error
        except errors.LocationValueError as error:
            raise FetchError(f"'{host}' is not a usable host") from error
        except (errors.HTTPError, OSError) as error:
            raise broken(host, error) from error
        if proxy and raw.status == _PROXY_LOGIN:
            _finish(raw)
            raise no_login(proxy)
        return raw

    def _manager(self, url: str) -> urllib3.PoolManager:
        proxy = self._proxies.proxy_for(url)
        # Loading the certificates takes longer than a request to a local registry.
        secure = url.startswith("https:") or proxy.startswith("https:")
        with self._lock:
            if (proxy, secure) not in self._managers:
                self._managers[proxy, secure] = self._connect(proxy, secure=secure)
            return self._managers[proxy, secure]

    def _connect(self, proxy: str, *, secure: bool) -> urllib3.PoolManager:
        import urllib3

        context = trust(self._environ) if secure else None
        shared: dict[str, Any] = {
            "num_pools": 32,
            "maxsize": 16,
            "ssl_context": context,
            "blocksize": BLOCK_SIZE,
        }
        if not proxy:
            return urllib3.PoolManager(**shared)
        plain, authorization = without_userinfo(proxy)
        headers = {"Proxy-Authorization": authorization} if authorization else {}
        return urllib3.ProxyManager(
            plain, proxy_headers=headers, proxy_ssl_context=context, **shared
        )


def _back_off(attempt: int) -> float:
    return min(FIRST_PAUSE_SECONDS * 2.0**attempt, LONGEST_PAUSE_SECONDS)


def _asked_pause(headers: Mapping[str, str], otherwise: float) -> float:
    import urllib3

    try:
        asked = urllib3.Retry().parse_retry_after(headers["Retry-After"])
    except (KeyError, urllib3.exceptions.InvalidHeader):
        return otherwise
    return min(asked, LONGEST_PAUSE_SECONDS)


def _finish(raw: urllib3.BaseHTTPResponse) -> None:
    if raw.length_remaining is not None and raw.length_remaining <= BLOCK_SIZE:
        raw.drain_conn()
    raw.close()
