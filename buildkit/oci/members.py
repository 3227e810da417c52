"""Members of a tar as entries of a layer."""

from __future__ import annotations

import posixpath
import tarfile

from buildkit.oci.layer import Entry, EntryType
from buildkit.oci.tarstream import Content

_TYPES = {
    tarfile.REGTYPE: EntryType.FILE,
    tarfile.AREGTYPE: EntryType.FILE,
    tarfile.DIRTYPE: EntryType.DIRECTORY,
    tarfile.SYMTYPE: EntryType.SYMLINK,
    tarfile.LNKTYPE: EntryType.HARDLINK,
}


def entry_type(member: tarfile.TarInfo) -> EntryType | None:
    """Return what a member is in a layer; None for a device, a socket and the like."""
    return _TYPES.get(member.type)


def entry_of(member: tarfile.TarInfo, kind: EntryType, path: str, content: Content) -> Entry:
    """Return a member as an entry.

    Args:
        member: gives mode, owner and, for a link, where it points.
        kind: see :func:`entry_type`.
        path: its own in the layer.
        content: of a file; no other entry has one.
    """
    return Entry(
        path=path,
        type=kind,
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        content=content if kind is EntryType.FILE else b"",
        link=_link(member, kind),
    )


def _link(member: tarfile.TarInfo, kind: EntryType) -> str:
    match kind:
        case EntryType.SYMLINK:
            return member.linkname
        case EntryType.HARDLINK:
            return inside(member.linkname)
        case _:
            return ""


def inside(path: str) -> str:
    """Return a path relative to the root and normal; empty for the root itself."""
    return posixpath.normpath("/" + path).lstrip("/")
