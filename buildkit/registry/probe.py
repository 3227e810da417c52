"""What answers at a registry's address: a registry, something else, or nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import urlsplit

from msgspec import Struct

from buildkit.errors import FetchError
from buildkit.http import Answer, HttpPool
from buildkit.registry.wire import base_url

PROBE_SECONDS = 3.0
_LIMIT = 1 << 20
_AIRPLAY = ("AirTunes", "AirTunnes")
"""macOS 12 and later answer port 5000 with this and status 403; reports spell it both ways."""


class Presence(StrEnum):
    """Who is at an address."""

    REGISTRY = "registry"
    OTHER = "other"
    NOTHING = "nothing"


class Found(Struct, frozen=True, kw_only=True):
    """The result of a probe; ``words`` says in a few what answered."""

    presence: Presence
    words: str = ""


def probe(pool: HttpPool, registry: str, insecure: frozenset[str] = frozenset()) -> Found:
    """Ask ``GET /v2/`` once, as the Distribution specification's check for support.

    A registry is told from any other web server by its version header, or by a
    JSON answer of a status that the specification allows there: a server that
    answers 200 to everything is none.
    """
    url = base_url(registry, insecure)
    if not _listens(url):
        return Found(presence=Presence.NOTHING)
    try:
        answer = pool.read("GET", f"{url}/v2/", retries=0, seconds=PROBE_SECONDS, limit=_LIMIT)
    except FetchError as error:
        return Found(presence=Presence.OTHER, words=error.details or error.brief)
    if _is_registry(answer):
        return Found(presence=Presence.REGISTRY)
    return Found(presence=Presence.OTHER, words=_describe(answer.status, answer.headers))


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    address = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection(address, timeout=PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def _is_registry(answer: Answer) -> bool:
    if answer.status not in {200, 401}:
        return False
    if answer.headers.get("Docker-Distribution-Api-Version"):
        return True
    if "json" not in answer.headers.get("Content-Type", ""):
        return False
    try:
        value = json.loads(answer.body)
    except ValueError:
        return False
    return isinstance(value, dict) and (answer.status == HTTPStatus.OK or "errors" in value)


def _describe(status: int, headers: Mapping[str, str]) -> str:
    server = headers.get("Server", "")[:80]
    known = " (AirPlay of macOS)" if server.startswith(_AIRPLAY) else ""
    return f"HTTP status {status}" + (f" from '{server}'{known}" if server else "")
