"""Reading tars that others made, without trusting their paths.

Nothing is ever written under a name from the archive: contents go to numbered
files of a directory, and the caller gets entries that point at them.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from buildkit.errors import BuildError
from buildkit.oci.layer import Entry, EntryType
from buildkit.oci.members import entry_of, entry_type, inside

_BLOCK = 1 << 20


class Limits(Struct, frozen=True, kw_only=True):
    """What an archive may hold at most, against archives made to fill a disk."""

    entries: int = 200_000
    total_bytes: int = 4 << 30


def unpack(
    stream: BinaryIO, into: Path, *, name: str, limits: Limits | None = None
) -> tuple[Entry, ...]:
    """Read a plain tar and return its entries, contents kept as files in ``into``.

    The root directory itself is left out. Symbolic links are returned as they
    are: they are data of the layer and nothing here follows them.

    Args:
        stream: the tar, read once from front to back.
        into: an empty directory.
        name: what the tar is, for messages.
        limits: refuses larger archives.

    Raises:
        BuildError: a path leads out of the archive, an entry is a device, a hard
            link points at nothing before it, a limit is passed, or the tar is damaged.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r|", errors="surrogateescape") as archive:
            return _entries(archive, into, name, limits or Limits())
    except tarfile.TarError as error:
        raise BuildError(f"{name} is damaged", details=str(error)) from error


def _entries(archive: tarfile.TarFile, into: Path, name: str, limits: Limits) -> tuple[Entry, ...]:
    found: dict[str, Entry] = {}
    total = 0
    for count, member in enumerate(archive):
        total += member.size
        if count >= limits.entries or total > limits.total_bytes:
            raise BuildError(
                f"{name} is larger than expected",
                details=f"More than {limits.entries} entries or {limits.total_bytes} bytes.",
            )
        _check_inside(member.name, name)
        if path := inside(member.name):
            found[path] = _entry(archive, member, path, into / str(count), name)
            _check_hardlink(found[path], found, name)
    return tuple(found.values())


def _entry(
    archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, place: Path, name: str
) -> Entry:
    kind = entry_type(member)
    if kind is None:
        raise BuildError(
            f"{name} holds a device or other special file at {member.name!r}",
            details="Only files, directories and links can be part of a layer.",
        )
    if kind is EntryType.FILE:
        _copy(archive, member, place)
    if kind is EntryType.HARDLINK:
        _check_inside(member.linkname, name)
    return entry_of(member, kind, path, place)


def _copy(archive: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    source = archive.extractfile(member)
    if source is None:
        raise tarfile.ReadError(member.name)
    with source, place.open("wb") as target:
        while block := source.read(_BLOCK):
            target.write(block)


def _check_inside(path: str, name: str) -> None:
    # A leading slash or "./" is common and harmless; any ".." is neither.
    if ".." in path.split("/") or "\0" in path:
        raise BuildError(f"{name} holds a path that leads out of it: {path!r}")


def _check_hardlink(entry: Entry, found: dict[str, Entry], name: str) -> None:
    if entry.type is not EntryType.HARDLINK:
        return
    target = found.get(entry.link)
    if target is None or target.type is not EntryType.FILE:
        raise BuildError(f"{name} holds a hard link to nothing: {entry.path!r} -> {entry.link!r}")
