"""Where a request goes: mirrors, proxies, and what of an address may be shown."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from buildkit.errors import EnvironmentMissingError
from buildkit.reference import is_loopback


def rewrite(url: str, mirrors: Mapping[str, str]) -> str:
    """Replace the longest prefix of a URL (or reference) that the mirrors name."""
    prefix = max((key for key in mirrors if url.startswith(key)), key=len, default=None)
    return url if prefix is None else mirrors[prefix] + url[len(prefix) :]


def host_of(url: str) -> str:
    """Return a URL's host and port, all that may be shown of it."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _default_port(parts: SplitResult) -> int:
    return 443 if parts.scheme == "https" else 80


def origin(url: str) -> tuple[str, str | None, int]:
    """Return scheme, host and port: what credentials are bound to."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _default_port(parts)


def without_userinfo(url: str) -> tuple[str, str]:
    """Split a URL into itself without user and password, and the header value they make."""
    parts = urlsplit(url)
    userinfo, _, host = parts.netloc.rpartition("@")
    plain = urlunsplit(parts._replace(netloc=host))
    if not userinfo:
        return plain, ""
    return plain, f"Basic {base64.b64encode(unquote(userinfo).encode()).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """Which proxy a URL goes through, by the rules of Go's ``httpproxy`` package.

    https://pkg.go.dev/golang.org/x/net/http/httpproxy - beside ``ALL_PROXY``,
    which is curl's. Loopback addresses never go through one.
    """

    by_scheme: Mapping[str, str] = field(repr=False)
    exceptions: tuple[str, ...]

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> ProxySettings:
        """Read the variables; lower case wins, as with curl.

        Raises:
            EnvironmentMissingError: a proxy speaks SOCKS.
        """

        def variable(name: str) -> str:
            return environ.get(name) or environ.get(name.upper()) or ""

        fallback = variable("all_proxy")
        by_scheme = {
            scheme: _proxy_url(variable(f"{scheme}_proxy") or fallback)
            for scheme in ("http", "https")
        }
        exceptions = variable("no_proxy").replace(",", " ").lower().split()
        return cls(by_scheme=by_scheme, exceptions=tuple(exceptions))

    def proxy_for(self, url: str) -> str:
        """Return the proxy's URL, credentials included, or an empty string."""
        if stays_here(url):
            return ""
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        port = parts.port or _default_port(parts)
        if any(_excepts(rule, host, port) for rule in self.exceptions):
            return ""
        return self.by_scheme.get(parts.scheme, "")


def stays_here(url: str) -> bool:
    """Tell whether a URL's host is this machine."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    return is_loopback(f"[{host}]" if ":" in host else host)


def _proxy_url(text: str) -> str:
    if not text:
        return ""
    url = text if "://" in text else f"http://{text}"
    if urlsplit(url).scheme not in {"http", "https"}:
        raise EnvironmentMissingError(
            f"the proxy {host_of(url)} is not an HTTP proxy",
            resolution="Set HTTP_PROXY and HTTPS_PROXY to an http:// or https:// proxy, "
            "or list the hosts that need none in NO_PROXY.",
        )
    return url


def _excepts(rule: str, host: str, port: int) -> bool:
    if rule == "*":
        return True
    network = _network(rule)
    if network is not None:
        return _network(host) is not None and ipaddress.ip_address(host) in network
    name, _, wanted = rule.partition(":") if rule.count(":") == 1 else (rule, "", "")
    if rule.startswith("["):
        name, _, wanted = rule[1:].partition("]")
        wanted = wanted.lstrip(":")
    if wanted and wanted != str(port):
        return False
    suffix = name.removeprefix("*")
    return host == suffix or host.endswith(suffix if suffix.startswith(".") else f".{suffix}")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
