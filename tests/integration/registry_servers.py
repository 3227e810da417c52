"""Real registry servers for tests: Debian's program, and the CNCF one built from its module."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from buildkit.config.lock import ToolPin, load_lock
from buildkit.http import HttpPool
from buildkit.platform import Platform
from buildkit.proc import Processes
from buildkit.registry.probe import Presence, probe
from buildkit.registry.process import clean_env, default_config
from buildkit.registry.provision import build_registry
from buildkit.store import Store

USER, PASSWORD = "ann", "open sesame"
_HTPASSWD = f"{USER}:$2b$04$XZTPXs2xfHtR.g4c2nim9ejf94Gl.uMy7xirH/US1fR0nhj.ruGES\n"
_TARGETS = Path(__file__).parents[2] / "targets.toml"


def free_port(address: str = "127.0.0.1") -> int:
    with socket.create_server((address, 0)) as server:
        return int(server.getsockname()[1])


def installed_program() -> Path:
    """Return the registry that this machine has."""
    found = shutil.which("registry") or shutil.which("docker-registry")
    assert found, "the marker `registry` promises one"
    return Path(found)


def registry_pin() -> ToolPin:
    """Return what the project's own lock pins."""
    return load_lock(_TARGETS.with_suffix(".lock")).tools["registry"]


def built_program(store: Store, platform: Platform | None = None) -> Path:
    """Return the pinned registry, built by the Go that is on PATH."""
    go = shutil.which("go")
    assert go, "the marker `go` promises one"
    return build_registry(
        platform or Platform.host(),
        pin=registry_pin(),
        go=Path(go),
        env={**os.environ, "GOTOOLCHAIN": "local"},
        runner=Processes(),
        store=store,
    )


@contextmanager
def serve(
    program: Path,
    folder: Path,
    *,
    login: bool = False,
    tls: tuple[Path, Path] | None = None,
    address: str = "127.0.0.1",
) -> Iterator[int]:
    """Run a registry at a free port, which is yielded.

    Args:
        program: the server.
        folder: for its files.
        login: ask for :data:`USER` and :data:`PASSWORD`.
        tls: certificate and key.
        address: where it listens.
    """
    port = free_port(address)
    config = default_config(address=f"{address}:{port}", data=str(folder / "data"))
    if tls:
        config += f"  tls:\n    certificate: {tls[0]}\n    key: {tls[1]}\n"
    if login:
        htpasswd = folder / "htpasswd"
        htpasswd.write_text(_HTPASSWD)
        config += f"auth:\n  htpasswd:\n    realm: test\n    path: {htpasswd}\n"
    path, log = folder / "config.yml", folder / "log"
    path.write_text(config)
    with log.open("wb") as stream:
        child = subprocess.Popen(
            [program, "serve", path], env=clean_env(os.environ), stdout=stream, stderr=stream
        )
    try:
        _await(child, address, port, log, speaks_tls=tls is not None)
        yield port
    finally:
        child.terminate()
        child.wait(10)


def _await(
    child: subprocess.Popen[bytes], address: str, port: int, log: Path, *, speaks_tls: bool
) -> None:
    pool = HttpPool(environ={})
    # To a request in clear text a server that speaks TLS answers something else.
    wanted = Presence.OTHER if speaks_tls else Presence.REGISTRY
    insecure = frozenset({f"{address}:{port}"})
    deadline = time.monotonic() + 20
    while probe(pool, f"{address}:{port}", insecure).presence is not wanted:
        assert child.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
