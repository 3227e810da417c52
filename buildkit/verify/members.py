"""The files inside archives, packages and layers, read in one pass without unpacking.

.tar, .tar.gz and .zip by the standard library; a .deb is an ar(5) of two tars (deb(5)); an .rpm
is headers and a compressed cpio, https://rpm-software-management.github.io/rpm/manual/format_v4.html
and cpio(5), the "new ASCII" format.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Protocol

from msgspec import Struct

from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.machine import HEADER_SIZE

_BLOCK = 1 << 20
_AR_MAGIC, _AR_HEADER = b"!<arch>\n", 60
_RPM_LEAD, _RPM_HEADER = 96, b"\x8e\xad\xe8\x01"
_CPIO_MAGIC, _CPIO_HEADER, _CPIO_END = (b"070701", b"070702"), 110, "TRAILER!!!"
_NAME_LIMIT = 1 << 16
BROKEN = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
)
"""What reading a damaged archive raises."""


class Readable(Protocol):
    """What content is read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""


Stream = IO[bytes] | io.BufferedIOBase | gzip.GzipFile | lzma.LZMAFile


class Member(Struct, frozen=True, kw_only=True):
    """A file in an archive.

    Attributes:
        name: its path, without ``./`` or a slash in front.
        mode: its permissions.
        digest: of its content; of a link, of where it leads to.
        head: its first bytes.
        time: of its last change, in seconds since 1970.
        holds: whether the text that was looked for is in it.
    """

    name: str
    mode: int
    digest: Digest
    head: bytes
    time: int = 0
    holds: bool = False


class PackageFacts(Struct, frozen=True, kw_only=True):
    """What a package says of itself."""

    name: str
    version: str
    architecture: str


def read_members(path: Path, text: bytes = b"") -> tuple[Member, ...]:
    """Return the files of an archive or package, as its name ends; others have none.

    Args:
        path: the archive.
        text: bytes to look for in each file.

    Raises:
        VerificationError: it is damaged, or no such archive.
    """
    try:
        return tuple(_members(path, text))
    except BROKEN as error:
        raise VerificationError(f"{path.name} cannot be read", details=str(error)) from error


def layer_members(path: Path) -> tuple[Member, ...]:
    """Return the files of a tar whatever it is called, such as a layer.

    Raises:
        VerificationError: it is no tar.
    """
    try:
        with path.open("rb") as stream:
            return tuple(tar_members(stream))
    except BROKEN as error:
        raise VerificationError(f"{path.name} is no tar", details=str(error)) from error


def tar_members(stream: Stream, text: bytes = b"") -> Iterator[Member]:
    """Yield the files of a tar, compressed or not, from a stream that cannot seek."""
    with tarfile.open(fileobj=stream, mode="r|*") as archive:
        for info in archive:
            name = info.name.removeprefix("./").lstrip("/")
            if info.isfile() and (content := archive.extractfile(info)):
                yield _member(name, info.mode, content, int(info.mtime), text)
            elif info.issym() or info.islnk():
                target = io.BytesIO(info.linkname.encode())
                yield _member(name, info.mode, target, int(info.mtime))


def read_package(path: Path) -> PackageFacts:
    """Return name, version and architecture of a .deb or an .rpm.

    Raises:
        VerificationError: it is neither.
    """
    try:
        with path.open("rb") as stream:
            return _rpm_facts(stream) if path.suffix == ".rpm" else _deb_facts(stream)
    except BROKEN as error:
        raise VerificationError(f"{path.name} is no package", details=str(error)) from error


def _members(path: Path, text: bytes) -> Iterator[Member]:
    name = path.name
    if name.endswith(".zip"):
        yield from _zip_members(path, text)
        return
    with path.open("rb") as stream:
        if name.endswith((".tar", ".tar.gz", ".tgz")):
            yield from tar_members(stream, text)
        elif name.endswith(".deb"):
            yield from tar_members(_deb_part(stream, "data.tar"), text)
        elif name.endswith(".rpm"):
            _rpm_header(stream)
            yield from _cpio_members(_decompressed(stream), text)


def _zip_members(path: Path, text: bytes) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                moment = int(datetime(*info.date_time, tzinfo=UTC).timestamp())
                with archive.open(info) as content:
                    yield _member(info.filename, info.external_attr >> 16, content, moment, text)


def _member(name: str, mode: int, content: Readable, moment: int = 0, text: bytes = b"") -> Member:
    state, head, tail, holds = hashlib.sha256(), b"", b"", False
    while block := content.read(_BLOCK):
        head += block[: HEADER_SIZE - len(head)]
        state.update(block)
        if text and not holds:
            window = tail + block
            holds, tail = text in window, window[-len(text) :]
    return Member(
        name=name,
        mode=stat.S_IMODE(mode),
        digest=Digest(state.hexdigest()),
        head=head,
        time=moment,
        holds=holds,
    )


def _deb_part(stream: IO[bytes], wanted: str) -> Stream:
    if stream.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise ValueError("it has no header of ar")
    while header := stream.read(_AR_HEADER):
        name, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
        if name.startswith(wanted):
            data = stream.read(size)
            if len(data) < size:
                raise EOFError("it ends too early")
            return _decompressed(io.BytesIO(data))
        stream.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError(f"it has no {wanted}")


def _deb_facts(stream: IO[bytes]) -> PackageFacts:
    from debian.deb822 import Deb822

    with tarfile.open(fileobj=_deb_part(stream, "control.tar"), mode="r|*") as archive:
        for info in archive:
            content = archive.extractfile(info)
            if content and info.name.removeprefix("./") == "control":
                control = Deb822(content.read())
                return PackageFacts(
                    name=control["Package"],
                    version=control["Version"],
                    architecture=control["Architecture"],
                )
    raise ValueError("it has no control file")


def _rpm_facts(stream: IO[bytes]) -> PackageFacts:
    texts = _rpm_header(stream)
    return PackageFacts(name=texts[1000], version=texts[1001], architecture=texts[1022])


def _rpm_header(stream: IO[bytes]) -> dict[int, str]:
    """Read lead, signature and header; return the header's texts by tag."""
    stream.seek(_RPM_LEAD)
    _, length = _rpm_section(stream)
    stream.seek(-length % 8, io.SEEK_CUR)
    return _rpm_section(stream)[0]


def _rpm_section(stream: IO[bytes]) -> tuple[dict[int, str], int]:
    magic, count, length = struct.unpack(">4s4xII", stream.read(16))
    if magic != _RPM_HEADER:
        raise ValueError("it has no header of rpm")
    entries = [struct.unpack(">IIII", stream.read(16)) for _ in range(count)]
    data = stream.read(length)
    texts = {
        tag: data[offset : data.index(b"\0", offset)].decode()
        for tag, kind, offset, _ in entries
        if kind in {6, 9}
    }
    return texts, length


def _cpio_members(stream: Stream, text: bytes) -> Iterator[Member]:
    with closing(stream):
        while True:
            header = stream.read(_CPIO_HEADER)
            if header[:6] not in _CPIO_MAGIC:
                raise ValueError("it has no header of cpio")
            mode, moment, size, length = (int(header[at : at + 8], 16) for at in (14, 46, 54, 94))
            if length > _NAME_LIMIT:
                raise ValueError("a name is too long")
            name = stream.read(length + -(_CPIO_HEADER + length) % 4)[: length - 1].decode()
            if name == _CPIO_END:
                return
            content = _Part(stream, size)
            member = _member(name.removeprefix(".").lstrip("/"), mode, content, moment, text)
            stream.read(-size % 4)
            if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                yield member


def _decompressed(stream: IO[bytes]) -> Stream:
    """Return the content of a stream that begins with the magic of gzip, xz or nothing."""
    start = stream.tell()
    magic = stream.read(6)
    stream.seek(start)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(stream)
    if magic == b"\xfd7zXZ\0":
        return lzma.open(stream)
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        raise NotImplementedError("it is compressed with zstd, which is not read here")
    return stream


class _Part:
    """The next bytes of a stream, as a stream."""

    def __init__(self, stream: Readable, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, self._left))
        if not data and self._left:
            raise EOFError("it ends too early")
        self._left -= len(data)
        return data
