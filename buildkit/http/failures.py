"""What went wrong with a connection, and what to do about it."""

from __future__ import annotations

import socket
import ssl

from buildkit.errors import FetchError
from buildkit.http.routes import host_of, without_userinfo

_PLAIN_TEXT = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "record layer failure")
"""What the versions of OpenSSL say when the other side answers in clear text."""
_CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""How TLS tells of a connection that the other side, or something between, has ended."""


class BrokenTransferError(FetchError):
    """The connection broke or timed out, so trying again (or resuming) makes sense."""


class UnsentError(BrokenTransferError):
    """There was no connection, so nothing was processed."""


def unreachable(host: str, error: Exception, proxy: str) -> FetchError:
    """Tell of a host, or its proxy, that there is no connection to."""
    through = f" through the proxy {host_of(proxy)}" if proxy else ""
    cause = error.__cause__
    if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
        return FetchError(
            f"there is no host {host_of(proxy) if proxy else host}",
            details=reason(error),
            resolution="Check the name, the network, and whether HTTPS_PROXY must be set.",
        )
    return UnsentError(
        f"cannot connect to {host}{through}",
        details=reason(error),
        resolution="Check the network, HTTPS_PROXY and NO_PROXY.",
    )


def no_login(proxy: str) -> FetchError:
    """Tell of a proxy that answered 407."""
    given = bool(without_userinfo(proxy)[1])
    verb = "refuses the user or password" if given else "asks for a user and a password"
    return FetchError(
        f"the proxy {host_of(proxy)} {verb}",
        details="It answered 407.",
        resolution="Write them in HTTPS_PROXY and HTTP_PROXY: http://user:password@host:port, "
        "special characters as %40.",
    )


def broken(host: str, error: Exception) -> BrokenTransferError:
    """Tell of a connection that ended before its time."""
    return BrokenTransferError(f"the connection to {host} broke", details=reason(error))


def untrusted(host: str, error: Exception) -> FetchError:
    """Tell of a failure of TLS: a cut, clear text or a certificate."""
    if error.args and isinstance(error.args[0], _CUT):
        return broken(host, error)
    if any(word in str(error) for word in _PLAIN_TEXT):
        return FetchError(
            f"{host} does not speak TLS",
            details=reason(error),
            resolution="If it speaks plain http, ask it by an http:// address; a registry "
            "is listed in registry.insecure, or for `verify` named with --insecure.",
        )
    return FetchError(
        f"no trusted TLS connection to {host}",
        details=reason(error),
        resolution="If a company proxy or a private authority signs its certificate, "
        "let SSL_CERT_FILE name a bundle that holds that authority.",
    )


def reason(error: Exception) -> str:
    """Return the innermost words of an error of urllib3."""
    text = str(error.args[-1] if error.args else error)
    return text.rpartition(": ")[2] or type(error).__name__
