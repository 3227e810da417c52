"""The local registry as a process of this machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from buildkit.errors import EnvironmentMissingError
from buildkit.proc import Runner

PROGRAMS = ("registry", "docker-registry")
"""Upstream's name, and Debian's."""

_LOG_LINES = 20


class Program(Struct, frozen=True, kw_only=True):
    """A registry program and what it says its version is."""

    path: Path
    version: str


def find_program(environ: Mapping[str, str], runner: Runner) -> Program | None:
    """Return the first registry program on PATH that is the CNCF distribution."""
    for name in PROGRAMS:
        if found := shutil.which(name, path=environ.get("PATH", "")):
            program = identify(Path(found), runner)
            # Other programs are called `registry` too.
            if "distribution" in program.version:
                return program
    return None


def identify(path: Path, runner: Runner) -> Program:
    """Ask a program for its version."""
    try:
        done = runner.run((str(path), "--version"), env=clean_env({}), cwd=Path("/"))
    except EnvironmentMissingError:
        return Program(path=path, version="")
    return Program(path=path, version=" ".join(done.stdout.decode(errors="replace").split()))


def clean_env(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a registry process.

    Every ``REGISTRY_*`` variable of the user would override our configuration,
    Podman's REGISTRY_AUTH_FILE for one even stops it; and without the second
    one here version 3 looks for a trace collector.
    """
    return {"PATH": environ.get("PATH", "/usr/bin:/bin"), "OTEL_TRACES_EXPORTER": "none"}


def default_config(*, address: str, data: str) -> str:
    """Return the configuration of a local registry, for distribution 2.7 to 3.

    Args:
        address: what it listens at, ``127.0.0.1:5000``.
        data: its data directory.
    """
    return "\n".join(
        (
            "# Written by `invoke registry.start`; changed again by the next start.",
            "version: 0.1",
            "log:",
            "  level: warn",
            "  accesslog:",
            "    disabled: true",
            "storage:",
            "  filesystem:",
            f"    rootdirectory: {json.dumps(data)}",
            "  delete:",
            "    enabled: true",
            "http:",
            f"  addr: {json.dumps(address)}",
            "",
        )
    )


def last_lines(log: Path) -> str:
    """Return the end of a log, or what is wrong with it."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
    except OSError as error:
        return str(error)
