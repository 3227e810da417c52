"""A look at the Docker daemon without the Docker SDK, which takes longer to load than to ask.

Only a daemon behind a Unix socket is looked at: the default one, or what
DOCKER_HOST names. For any other, contexts included, the SDK is needed.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.errors import EnvironmentMissingError
from buildkit.images.daemon import PROBE_SECONDS, check_version, connect, daemon_errors, unusable
from buildkit.platform import Platform
from buildkit.reference import Reference

DEFAULT_SOCKET = "/var/run/docker.sock"
_SECONDS = 10
_OK = 200


class Nearby(Struct, frozen=True, kw_only=True):
    """What a daemon says of itself; ``problem`` is empty where it can be used."""

    problem: str = ""
    platform: Platform | None = None
    socket: str = ""


class _Context(msgspec.Struct, frozen=True, rename="camel"):
    current_context: str = ""


def find_socket(environ: Mapping[str, str]) -> str:
    """Return the path of the daemon's Unix socket; empty where only the SDK can tell."""
    host = environ.get("DOCKER_HOST", "")
    if host:
        return host.removeprefix("unix://") if host.startswith("unix://") else ""
    name, _ = chosen_context(environ)
    return "" if name else DEFAULT_SOCKET


def look(environ: Mapping[str, str]) -> Nearby:
    """Find out whether a daemon can be used, and what it runs."""
    path = find_socket(environ)
    try:
        version = _get(path, "/version") if path else _version_by_sdk(environ)
        check_version(version)
    except EnvironmentMissingError as error:
        return Nearby(problem=f"{error.brief}: {error.details}" if error.details else error.brief)
    return Nearby(platform=Platform(version["Os"], version["Arch"]), socket=path)


def describe(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the daemon says of its version and of its state, as ``docker info`` shows it.

    Raises:
        EnvironmentMissingError: none can be used; the message says why.
    """
    path = find_socket(environ)
    if path:
        version, info = _get(path, "/version"), _get(path, "/info")
        check_version(version)
        return version, info
    client = connect(environ, timeout=PROBE_SECONDS)
    try:
        with daemon_errors("the Docker daemon cannot be used", EnvironmentMissingError):
            return client.version(), client.info()
    finally:
        client.close()


def chosen_context(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the Docker context in force and what chose it; both are empty for the default one."""
    if environ.get("DOCKER_CONTEXT"):
        name, origin = environ["DOCKER_CONTEXT"], "DOCKER_CONTEXT"
    else:
        folder = environ.get("DOCKER_CONFIG") or str(Path(environ.get("HOME", "/")) / ".docker")
        path = Path(folder) / "config.json"
        name, origin = _context(path), f"currentContext in {path}"
    return ("", "") if name in {"", "default"} else (name, origin)


def list_images(path: str) -> dict[str, str]:
    """Return the id of every name that the daemon behind a socket has.

    Raises:
        EnvironmentMissingError: it does not answer.
    """
    listed: list[dict[str, Any]] = _get(path, "/images/json")
    return {tag: item["Id"] for item in listed for tag in item.get("RepoTags") or ()}


def load_problem(names: tuple[str, ...], identity: str, listed: Mapping[str, str]) -> str | None:
    """Say why a daemon, by its list of images, has not this one under these names."""
    for name in names:
        found = listed.get(Reference.parse(name).familiar)
        if found is None:
            return f"the daemon does not have {name}"
        if found != identity:
            return f"{name} is something else in the daemon"
    return None


def _context(path: Path) -> str:
    try:
        return decode_json(path.read_bytes(), _Context).current_context
    except (OSError, msgspec.MsgspecError):
        return ""


def _version_by_sdk(environ: Mapping[str, str]) -> dict[str, Any]:
    client = connect(environ, timeout=PROBE_SECONDS)
    try:
        found: dict[str, Any] = client.version()
    finally:
        client.close()
    return found


def _get(path: str, address: str) -> Any:
    connection = _UnixConnection(path)
    try:
        connection.request("GET", address)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != _OK:
            raise EnvironmentMissingError(
                "the Docker daemon cannot be used",
                details=f"It answers {answer.status} to {address}.",
            )
        return msgspec.json.decode(body)
    except (OSError, http.client.HTTPException, msgspec.MsgspecError) as error:
        raise unusable(error) from error
    finally:
        connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(self._path)
