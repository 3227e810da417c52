"""The one HTTP client for registries and downloads: proxies, trust, retries, redirects.

urllib3 moves the bytes. It reads no proxy variables, follows redirects through
the proxy of the first address, and sleeps by itself, so those three are done
here. Bodies are passed as the server sent them, since they are hashed: no
content encoding is asked for and none is undone.
"""

from buildkit.http.failures import BrokenTransferError
from buildkit.http.pool import Answer, HttpPool, Response
from buildkit.http.request import Body
from buildkit.http.routes import host_of, rewrite

__all__ = [
    "Answer",
    "Body",
    "BrokenTransferError",
    "HttpPool",
    "Response",
    "host_of",
    "rewrite",
]
