"""What a layer's tar holds, as entries that point into the file: nothing is unpacked.

A layer takes a path of the layers below away by an empty file named
``.wh.<name>``, and everything in a directory by ``.wh..wh..opq`` there (OCI image
specification 1.1, layer.md).
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

from buildkit.errors import BuildError
from buildkit.oci.layer import Entry
from buildkit.oci.members import entry_of, entry_type, inside
from buildkit.oci.tarstream import Slice

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


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
        kind = entry_type(member)
        place = inside(member.name)
        if kind is not None and place:
            part = Slice(path=path, offset=member.offset_data, size=member.size)
            yield entry_of(member, kind, place, part)
