"""Archives whose bytes depend on their content alone: .tar.gz and .zip.

Entries are sorted, owned by root, of one time, and have one of two modes. The gzip header
has no name and no time (RFC 1952), as `git archive` and reproducible-builds.org want it.
What deflate makes of the content depends on the zlib that Python was built with.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from msgspec import Struct

from buildkit.errors import BuildError

LEVEL = 6
"""Of deflate: the default of gzip, zip and Python's own archives."""

_BLOCK = 1 << 20
_ZIP_EPOCH = 315_532_800
"""1980-01-01, the first time that a .zip can hold (APPNOTE.TXT, 4.4.6)."""


class Entry(Struct, frozen=True, kw_only=True):
    """A file, or with ``target`` a symbolic link; ``name`` is its path in the archive."""

    name: str
    path: Path | None = None
    data: bytes | None = None
    """What it holds, where that is in no file."""
    executable: bool = False
    target: str = ""

    @property
    def mode(self) -> int:
        """Its permissions."""
        return 0o755 if self.executable else 0o644


def walk(name: str, path: Path) -> Iterator[Entry]:
    """Yield a file, or every file and link below a directory, under a name in an archive.

    What belongs to git is left out, and so are directories that hold nothing.

    Raises:
        BuildError: there is something that is neither file, directory nor link.
        OSError: it cannot be read.
    """
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        yield Entry(name=name, target=str(path.readlink()))
    elif stat.S_ISDIR(status.st_mode):
        for child in sorted(path.iterdir()):
            if child.name != ".git":
                yield from walk(str(PurePosixPath(name) / child.name), child)
    elif stat.S_ISREG(status.st_mode):
        yield Entry(name=name, path=path, executable=bool(status.st_mode & 0o100))
    else:
        raise BuildError(f"{path} cannot be in an archive", details="It is a device or a socket.")


def write_archive(target: Path, entries: Iterable[Entry], *, epoch: int) -> None:
    """Write a .tar.gz or a .zip, as the target's name ends.

    Args:
        target: the file; what is there is replaced, not atomically.
        entries: in any order, names once each.
        epoch: the time of everything, in seconds since 1970.

    Raises:
        OSError: something cannot be read or written.
    """
    ordered = sorted(entries, key=lambda entry: entry.name)
    if target.name.endswith(".zip"):
        _write_zip(target, ordered, max(epoch, _ZIP_EPOCH))
    else:
        with target.open("wb") as stream, gzipped(stream) as packed:
            _write_tar(packed, ordered, epoch)


def gzipped(stream: io.BufferedIOBase) -> gzip.GzipFile:
    """Return a stream that compresses into another, without name and time."""
    return gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=stream, mtime=0)


def _write_tar(stream: gzip.GzipFile, entries: Iterable[Entry], epoch: int) -> None:
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            info.mtime, info.mode = epoch, entry.mode
            if entry.data is not None:
                info.size = len(entry.data)
                archive.addfile(info, io.BytesIO(entry.data))
                continue
            if entry.path is None:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
                archive.addfile(info)
                continue
            with entry.path.open("rb") as content:
                info.size = os.fstat(content.fileno()).st_size
                archive.addfile(info, content)


def _write_zip(target: Path, entries: Iterable[Entry], epoch: int) -> None:
    moment = time.gmtime(epoch)[:6]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, moment)
            info.create_system, info.compress_type = 3, zipfile.ZIP_DEFLATED
            kind = stat.S_IFLNK | 0o777 if entry.target else stat.S_IFREG | entry.mode
            info.external_attr = kind << 16
            with archive.open(info, "w", force_zip64=True) as packed:
                _copy(entry, packed)


def _copy(entry: Entry, packed: IO[bytes]) -> None:
    if entry.path is None:
        packed.write(entry.target.encode() if entry.data is None else entry.data)
        return
    with entry.path.open("rb") as content:
        while block := content.read(_BLOCK):
            packed.write(block)
