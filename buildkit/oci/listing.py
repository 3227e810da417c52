"""What a layer's tar holds, as entries that point into the file: nothing is unpacked.

A layer takes a path of the layers below away by an empty file named
``.wh.<name>``, and everything in a directory by ``.wh..wh..opq`` there (OCI image
specification 1.1, layer.md).
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from pathlib import Path

from buildkit.errors import BuildError
from buildkit.oci.layer import Entry, EntryType
from buildkit.oci.tarstream import Slice

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"

_TYPES = {
    tarfile.REGTYPE: EntryType.FILE,
    tarfile.AREGTYPE: EntryType.FILE,
    tarfile.DIRTYPE: EntryType.DIRECTORY,
    tarfile.SYMTYPE: EntryType.SYMLINK,
    tarfile.LNKTYPE: EntryType.HARDLINK,
}


def list_tar(path: Path, *, name: str) -> tuple[Entry, ...]:
    """Return the entries of a plain tar, in its order; devices and sockets are left out.

    A path is made relative and normal, whatever it is in the tar, so that none
    leads out of the image. A path that occurs twice is there twice.

    Raises:
        BuildError: the tar is damaged.
        OSError: it cannot be read.
    """
    try:
        with tarfile.open(path, mode="r:", errors="surrogateescape") as archive:
            return tuple(_entries(archive, path))
    except tarfile.TarError as error:
        raise BuildError(f"{name} is damaged", details=str(error)) from error


def _entries(archive: tarfile.TarFile, path: Path) -> Iterator[Entry]:
    for member in archive:
        kind = _TYPES.get(member.type)
        place = inside(member.name)
        if kind is None or not place:
            continue
        part = Slice(path=path, offset=member.offset_data, size=member.size)
        link = member.linkname if kind is EntryType.SYMLINK else inside(member.linkname)
        yield Entry(
            path=place,
            type=kind,
            mode=member.mode & 0o7777,
            uid=member.uid,
            gid=member.gid,
            content=part if kind is EntryType.FILE else b"",
            link=link if kind in {EntryType.SYMLINK, EntryType.HARDLINK} else "",
        )


def inside(path: str) -> str:
    """Return a path relative to the root and normal; empty for the root itself."""
    return posixpath.normpath("/" + path).lstrip("/")
