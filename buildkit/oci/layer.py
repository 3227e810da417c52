"""Layers as deterministic tar files, written in one pass without holding a file in memory.

The same entries give the same bytes on every machine. The bytes depend on the
entries, the given epoch, and on nothing of the host: names are sorted, owners
are numbers, times are one constant. Headers are USTAR as the standard library's
``tarfile`` writes them, with a PAX record only for what USTAR cannot hold (a
path or link longer than 100 bytes or not ASCII, a file of 8 GiB or more). Gzip
members carry no name and no time; their bytes also depend on zlib's version, so
a layer's identity is its DiffID, never the digest of its compressed form.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import BinaryIO, cast

from msgspec import Struct

from buildkit.digest import Digest
from buildkit.errors import BuildError
from buildkit.oci.tarstream import Block, Content, content_size, tar_blocks

GZIP_LEVEL = 6


class EntryType(Enum):
    """What an entry of a layer is; devices and sockets have no place in one."""

    FILE = tarfile.REGTYPE
    DIRECTORY = tarfile.DIRTYPE
    SYMLINK = tarfile.SYMTYPE
    HARDLINK = tarfile.LNKTYPE


class Entry(Struct, frozen=True, kw_only=True):
    """One path of a layer.

    ``path`` is relative and normal (``usr/bin/envoy``). ``content`` is bytes or
    what holds them and counts for files only; ``link`` is the target of
    a link: for a hard link a path of the same layer.
    """

    path: str
    type: EntryType = EntryType.FILE
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    content: Content = b""
    link: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """The components of the path."""
        return tuple(self.path.split("/"))


def file(path: str, content: bytes | Path, mode: int = 0o644) -> Entry:
    """Return a file owned by root."""
    return Entry(path=path, mode=mode, content=content)


def directory(path: str, mode: int = 0o755, *, uid: int = 0, gid: int = 0) -> Entry:
    """Return a directory."""
    return Entry(path=path, type=EntryType.DIRECTORY, mode=mode, uid=uid, gid=gid)


def symlink(path: str, target: str) -> Entry:
    """Return a symbolic link owned by root."""
    return Entry(path=path, type=EntryType.SYMLINK, mode=0o777, link=target)


class LayerFile(Struct, frozen=True, kw_only=True):
    """A written layer: ``diff_id`` is of its plain tar, ``digest`` and ``size`` of the file."""

    path: Path
    diff_id: Digest
    digest: Digest
    size: int


def write_layer(
    entries: Iterable[Entry],
    target: Path,
    *,
    epoch: int = 0,
    known: Mapping[str, Entry] | None = None,
    compress: bool = False,
) -> LayerFile:
    """Write a layer; a failure leaves no file.

    Args:
        entries: in any order; a missing parent directory is added.
        target: the file to write, in a place where nobody looks for a whole one.
        epoch: the modification time of every entry, seconds since 1970.
        known: directories of the layers below, so that an added parent keeps
            their mode and owner; others become 0755 of root.
        compress: gzip the tar.

    Raises:
        BuildError: two entries name one path, or a path is not normal.
        OSError: a content file cannot be read, or the disk is full.
    """
    ordered = arrange(entries, known=known)
    try:
        with target.open("wb") as raw:
            outer = _Hashed(raw)
            with _compressed(outer, compress) as plain:
                for block in layer_blocks(ordered, epoch=epoch):
                    plain.write(block)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return LayerFile(path=target, diff_id=plain.digest, digest=outer.digest, size=outer.position)


def arrange(
    entries: Iterable[Entry], *, known: Mapping[str, Entry] | None = None
) -> tuple[Entry, ...]:
    """Return entries sorted with their parents, hard links last since targets come first.

    Raises:
        BuildError: two entries name one path, one lies below a file or link, or a
            path is not normal.
    """
    placed: dict[str, Entry] = {}
    for entry in entries:
        check_path(entry.path)
        if entry.path in placed and placed[entry.path] != entry:
            raise BuildError(f"two different files are placed at /{entry.path}")
        placed[entry.path] = entry
    for path in tuple(placed):
        for parent in parents(path):
            above = placed.setdefault(parent, (known or {}).get(parent) or directory(parent))
            if above.type is not EntryType.DIRECTORY:
                raise BuildError(f"/{path} is placed below /{parent}, which is no directory")
    return tuple(
        sorted(placed.values(), key=lambda item: (item.type is EntryType.HARDLINK, item.parts))
    )


def parents(path: str) -> tuple[str, ...]:
    """Return the directories above a path, outermost first: ``a/b/c`` has ``a``, ``a/b``."""
    parts = path.split("/")
    return tuple("/".join(parts[:count]) for count in range(1, len(parts)))


def check_path(path: str) -> str:
    """Return a path that is relative and normal.

    Raises:
        BuildError: it is empty, absolute, or has an empty, ``.`` or ``..`` component.
    """
    if not path or "\0" in path or any(part in {"", ".", ".."} for part in path.split("/")):
        raise BuildError(f"{path!r} is not a path inside a layer")
    return path


def tar_header(entry: Entry, epoch: int) -> tarfile.TarInfo:
    """Return the header of an entry, with nothing of the host in it."""
    info = tarfile.TarInfo(entry.path)
    info.type = entry.type.value
    info.mode = entry.mode
    info.uid, info.gid = entry.uid, entry.gid
    info.mtime = epoch
    info.linkname = entry.link
    if entry.type is EntryType.FILE:
        info.size = content_size(entry.content)
    return info


def layer_blocks(entries: Iterable[Entry], *, epoch: int = 0) -> Iterator[Block]:
    """Yield the bytes of a layer of entries that :func:`arrange` put in order."""
    return tar_blocks((tar_header(entry, epoch), entry.content) for entry in entries)


@contextmanager
def _compressed(outer: _Hashed, compress: bool) -> Iterator[_Hashed]:
    if not compress:
        yield outer
        return
    # An empty name and a zero time leave the optional header fields out.
    with gzip.GzipFile(
        filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=cast("BinaryIO", outer), mtime=0
    ) as packed:
        yield _Hashed(cast("BinaryIO", packed))


class _Hashed:
    """A write-only file that hashes what goes through it."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._hash = hashlib.sha256()
        self.position = 0

    def write(self, data: Block) -> int:
        self._raw.write(data)
        self._hash.update(data)
        self.position += len(data)
        return len(data)

    def tell(self) -> int:
        return self.position

    def flush(self) -> None:
        self._raw.flush()

    @property
    def digest(self) -> Digest:
        return Digest(self._hash.hexdigest())
