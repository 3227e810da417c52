"""Debian packages unpacked into a layer, the way the distroless images are made.

No maintainer script runs, so no emulation is needed for any architecture. What
scanners read lies in ``/var/lib/dpkg/status.d``, one control file per package.
The file format is deb(5): an ar archive of a control and a data tar.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import posixpath
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from msgspec.structs import replace

from buildkit.errors import BuildError
from buildkit.images.static import certificate_entries, user_entries
from buildkit.oci.layer import Entry, EntryType, directory, file, symlink
from buildkit.oci.tarstream import content_blocks, content_size
from buildkit.oci.untar import unpack

STATUS = "var/lib/dpkg/status.d"

_MERGED = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
"""Directories that are links into /usr since Debian 12."""

_OPENERS: dict[str, Callable[[Any], Any]] = {
    "": lambda stream: stream,
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".lzma": lzma.open,
    ".bz2": bz2.open,
}


def debian_entries(packages: Iterable[tuple[str, Path]], folder: Path) -> tuple[Entry, ...]:
    """Return the files of a Debian base: packages, users, certificates.

    Args:
        packages: name and .deb file of each.
        folder: an empty directory that holds contents until the layer is written.

    Raises:
        BuildError: a package is damaged, or two of them bring the same file.
    """
    placed: dict[str, Entry] = {}
    for name, path in packages:
        for entry in package_entries(name, path, folder):
            _place(placed, entry, name)
    for top in _MERGED:
        if f"usr/{top}" in placed or top in {"bin", "lib", "sbin"}:
            placed[top] = symlink(top, f"usr/{top}")
            placed.setdefault(f"usr/{top}", directory(f"usr/{top}"))
    for entry in (*user_entries(), *certificate_entries()):
        placed[entry.path] = entry
    return tuple(placed.values())


def package_entries(name: str, path: Path, folder: Path) -> Iterator[Entry]:
    """Yield one package's files below /usr, and its control file for scanners.

    Raises:
        BuildError: it is damaged, or compressed in a way that is not supported.
    """
    control = unpack_member(path, "control.tar", folder, name)
    described = {entry.path: entry for entry in control}
    if "control" not in described:
        raise BuildError(f"the package {name} has no control file")
    yield file(f"{STATUS}/{name}", _content(described["control"]))
    if "md5sums" in described:
        yield file(f"{STATUS}/{name}.md5sums", _content(described["md5sums"]))
    for entry in unpack_member(path, "data.tar", folder, name):
        merged = merge_usr(entry)
        if merged is not None:
            yield merged


def unpack_member(path: Path, member: str, folder: Path, name: str) -> tuple[Entry, ...]:
    """Unpack the control or data tar of a package below ``folder``.

    Raises:
        BuildError: the package is damaged or compressed in an unsupported way.
    """
    from debian.arfile import ArError

    place = folder / f"{name}-{member}"
    place.mkdir()
    try:
        with _open_member(path, member, name) as stream:
            return unpack(stream, place, name=f"the package {name}")
    except (ArError, EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        raise BuildError(
            f"the package {name} is damaged", details=str(error) or type(error).__name__
        ) from error


def merge_usr(entry: Entry) -> Entry | None:
    """Move an entry of /bin, /lib*, /sbin below /usr; None for those directories themselves.

    Packages before Debian 13 still ship the old paths. A relative link that is
    moved would mean another place, so it becomes an absolute one.
    """
    top, slash, _ = entry.path.partition("/")
    if top not in _MERGED:
        return _with_merged_hardlink(entry)
    if not slash:
        is_link = entry.type is EntryType.SYMLINK
        return None if is_link else replace(entry, path=f"usr/{top}")
    link = entry.link
    if entry.type is EntryType.SYMLINK and not link.startswith("/"):
        link = posixpath.normpath(posixpath.join("/", posixpath.dirname(entry.path), link))
    return _with_merged_hardlink(replace(entry, path=f"usr/{entry.path}", link=link))


def _with_merged_hardlink(entry: Entry) -> Entry:
    if entry.type is EntryType.HARDLINK and entry.link.partition("/")[0] in _MERGED:
        return replace(entry, link=f"usr/{entry.link}")
    return entry


def _place(placed: dict[str, Entry], entry: Entry, name: str) -> None:
    before = placed.get(entry.path)
    if before is None:
        placed[entry.path] = entry
    elif before.type is not EntryType.DIRECTORY or entry.type is not EntryType.DIRECTORY:
        # Of a directory that several packages ship, dpkg keeps the first one's mode.
        raise BuildError(
            f"the package {name} brings /{entry.path}, which another package has too",
            resolution="Leave one of them out of bases.<name>.packages.",
        )


def _content(entry: Entry) -> bytes:
    return b"".join(map(bytes, content_blocks(entry.content, content_size(entry.content))))


@contextmanager
def _open_member(path: Path, member: str, name: str) -> Iterator[BinaryIO]:
    from debian.arfile import ArFile

    with path.open("rb") as raw:
        archive = ArFile(fileobj=raw)
        found = next((item for item in archive.getnames() if item.startswith(member)), None)
        if found is None:
            raise BuildError(f"the package {name} has no {member}")
        opener = _OPENERS.get(found.removeprefix(member))
        if opener is None:
            raise BuildError(
                f"the package {name} is compressed as {found.removeprefix(member)}",
                details="Python's standard library reads gz, xz and bz2; Debian uses xz, "
                "Ubuntu zstd.",
                resolution="Take the package from a Debian archive.",
            )
        with closing(opener(archive.getmember(found))) as stream:
            yield cast("BinaryIO", stream)
