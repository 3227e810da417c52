"""ADD of a local archive: what is in it, if it is one."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from buildkit.errors import BuildkitError
from buildkit.oci.layer import Entry, EntryType
from buildkit.oci.listing import list_tar
from buildkit.oci.tarstream import BLOCK, BlockReader, content_blocks, content_size
from buildkit.store import Store

_OPENERS: dict[bytes, Callable[[BinaryIO], object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_ZSTD = b"\x28\xb5\x2f\xfd"
_DAMAGED = (EOFError, gzip.BadGzipFile, lzma.LZMAError, OSError)


def unpacked(
    entry: Entry, store: Store, refuse: Callable[[str], BuildkitError]
) -> tuple[Entry, ...] | None:
    """Return what a tar holds, plain or compressed with gzip, bzip2 or xz; None for another file.

    As BuildKit does, it goes by the content, not by the name. The plain tar is kept
    in the store, and the entries point into it.

    Raises:
        BuildkitError: it is compressed with zstd, or holds what a layer cannot.
    """
    if entry.type is not EntryType.FILE:
        return None
    with store.workspace() as folder:
        plain = folder / "plain.tar"
        if not _write_plain(entry, plain, refuse) or not tarfile.is_tarfile(plain):
            return None
        problem = _problem(plain)
        if problem:
            raise refuse(f"{entry.path} {problem}")
        _, path = store.put_file(plain)
    return list_tar(path, name=entry.path)


def _problem(path: Path) -> str:
    with tarfile.open(path, mode="r:", errors="surrogateescape") as archive:
        for member in archive:
            if ".." in member.name.split("/"):
                return f"holds a path that leads out of it: {member.name}"
            if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
                return f"holds a device or pipe, which only a daemon can add: {member.name}"
    return ""


def _write_plain(entry: Entry, target: Path, refuse: Callable[[str], BuildkitError]) -> bool:
    size = content_size(entry.content)
    stream = BlockReader(content_blocks(entry.content, size))
    head = stream.read(tarfile.BLOCKSIZE)
    if head.startswith(_ZSTD):
        raise refuse(f"{entry.path} is compressed with zstd, which the OCI engine does not read")
    opener = next((item for magic, item in _OPENERS.items() if head.startswith(magic)), None)
    if opener is None and not _is_header(head):
        return False
    raw = cast("BinaryIO", BlockReader(content_blocks(entry.content, size)))
    try:
        with target.open("wb") as out:
            source = cast("BinaryIO", opener(raw)) if opener else raw
            while block := source.read(BLOCK):
                out.write(block)
    except _DAMAGED:
        return False
    return True


def _is_header(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
