"""One file out of an archive, without trusting the archive.

Nothing is unpacked by the names in it: the one member asked for is copied to a
path of the caller's, so no name can escape, and links are refused, not followed.
"""

from __future__ import annotations

import difflib
import errno
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from posixpath import basename, normpath

from buildkit.errors import FetchError

MEMBER_LIMIT = 2 << 30
"""Bytes; the largest binary that is taken. An unstripped Envoy has 0.6 GB."""
SCAN_LIMIT = 8 << 30
"""Bytes; how much of a tar is unpacked in search of a member."""

_ZSTD = b"\x28\xb5\x2f\xfd"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    RuntimeError,
    ValueError,
)
"""What the readers raise for bytes that are no archive, or one that is cut or encrypted."""


def extract_member(
    archive: Path,
    member: str,
    target: Path,
    *,
    limit: int = MEMBER_LIMIT,
    scan_limit: int = SCAN_LIMIT,
) -> None:
    """Copy a file out of a zip, a tar, or a tar packed with gzip, xz or bzip2.

    The format is told by content, not by name.

    Args:
        archive: the file to read.
        member: the path in it; a leading ``./`` there does not matter.
        target: where the content goes.
        limit: the largest member that is taken, in bytes.
        scan_limit: the largest total of a tar's members up to that one, in bytes.

    Raises:
        FetchError: the member is not there, is a link or larger than the limit, or
            the archive cannot be read. ``target`` does not remain.
    """
    try:
        if is_zip(archive):
            _from_zip(archive, member, target, limit)
        else:
            _from_tar(archive, member, target, limit, scan_limit)
    except BaseException as error:
        target.unlink(missing_ok=True)
        # A zip with a wrong offset in it makes its reader seek where nothing can be.
        misled = isinstance(error, OSError) and error.errno in {None, errno.EINVAL}
        if not misled and not isinstance(error, BROKEN):
            raise
        raise FetchError(
            f"{archive.name} is not an archive that can be read",
            details=str(error) or type(error).__name__,
        ) from error


def is_zip(archive: Path) -> bool:
    """Tell a zip by how it begins.

    Raises:
        FetchError: it is packed with zstd, which nothing here reads.
    """
    with archive.open("rb") as stream:
        head = stream.read(6)
    if head.startswith(_ZSTD):
        raise FetchError(
            f"{archive.name} is packed with zstd, which is not supported",
            resolution="Use a source packed with gzip, xz, bzip2 or zip.",
        )
    return head.startswith(_ZIP)


def _from_zip(archive: Path, member: str, target: Path, limit: int) -> None:
    with zipfile.ZipFile(archive) as opened:
        names = {normpath(info.filename): info for info in opened.infolist()}
        info = names.get(normpath(member))
        if info is None or info.is_dir():
            raise _missing(archive, member, names)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _link(archive, member)
        _check_size(archive, member, info.file_size, limit)
        # zipfile stops at the declared size and then checks the CRC.
        with opened.open(info) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)


def _from_tar(archive: Path, member: str, target: Path, limit: int, scan_limit: int) -> None:
    names, scanned = [], 0
    with tarfile.open(archive, mode="r|*") as opened:
        for info in opened:
            names.append(normpath(info.name))
            if names[-1] != normpath(member):
                scanned += info.size
                _check_scan(archive, scanned, scan_limit)
                continue
            if info.issym() or info.islnk():
                raise _link(archive, member)
            source = opened.extractfile(info)
            if source is None:
                break
            _check_size(archive, member, info.size, limit)
            with target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            return
    raise _missing(archive, member, names)


def _check_size(archive: Path, member: str, size: int, limit: int) -> None:
    if size > limit:
        raise FetchError(
            f"{member} in {archive.name} is larger than allowed",
            details=f"It has {size} bytes, the limit is {limit}.",
        )


def _check_scan(archive: Path, scanned: int, limit: int) -> None:
    if scanned > limit:
        raise FetchError(
            f"{archive.name} unpacks to more than {limit} bytes before the member was found",
            details="That is what a decompression bomb looks like.",
        )


def _link(archive: Path, member: str) -> FetchError:
    return FetchError(
        f"{member} in {archive.name} is a link, which is not followed",
        resolution="Name the file itself as member in targets.toml.",
    )


def _missing(archive: Path, member: str, names: Iterable[str]) -> FetchError:
    files = list(dict.fromkeys(names))
    same = [name for name in files if basename(name) == basename(member)]
    close = difflib.get_close_matches(member, files, n=5, cutoff=0.4)
    near = list(dict.fromkeys([*same, *close]))[:5] or files[:5]
    return FetchError(
        f"{archive.name} holds no {member}",
        details=f"It holds {', '.join(near)}." if near else "It is empty.",
        resolution="Correct member in targets.toml, then run `invoke lock`.",
    )
