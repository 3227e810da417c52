"""A source tree out of an archive that is not trusted.

A name that leads out of the tree, a link that does, a device, or more than the limits
refuse the whole archive; nothing is skipped in silence.
"""

from __future__ import annotations

import posixpath
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

from msgspec import Struct

from buildkit.build.archive import BROKEN, is_zip
from buildkit.errors import FetchError

_CONTRADICTING = (FileExistsError, IsADirectoryError, NotADirectoryError)
"""What comes of one name that is two things."""


class TreeLimits(Struct, frozen=True, kw_only=True):
    """What a source tree may hold at most, against archives made to fill a disk."""

    entries: int = 500_000
    total_bytes: int = 8 << 30


def extract_tree(archive: Path, target: Path, name: str, limits: TreeLimits | None = None) -> Path:
    """Unpack a zip or a tar (plain, gzip, xz, bzip2); the format is told by content.

    Args:
        archive: the file.
        target: does not exist; what is left there on an error is the caller's to remove.
        name: what the archive is, for messages.
        limits: refuses larger ones.

    Returns:
        The root of the tree: ``target``, or the one directory that everything lies in.

    Raises:
        FetchError: it is empty, damaged, larger than allowed, or leads out of the tree.
    """
    target.mkdir(parents=True)
    limits = limits or TreeLimits()
    try:
        if is_zip(archive):
            _unzip(archive, target, name, limits)
        else:
            _untar(archive, target, name, limits)
    except (*BROKEN, *_CONTRADICTING, NotImplementedError) as error:
        raise FetchError(
            f"{name} is not an archive that can be unpacked",
            details=str(error) or type(error).__name__,
            resolution="Mend project.source.",
        ) from error
    return _root(target, name)


def _root(target: Path, name: str) -> Path:
    found = list(target.iterdir())
    if not found:
        raise FetchError(f"{name} is empty", resolution="Mend project.source.url and its sha256.")
    alone = found[0]
    return alone if len(found) == 1 and alone.is_dir() and not alone.is_symlink() else target


def _untar(archive: Path, target: Path, name: str, limits: TreeLimits) -> None:
    with tarfile.open(archive, mode="r|*") as opened:
        total = 0
        for count, info in enumerate(opened):
            total += info.size
            _check(count, total, name, limits)
            # The filter refuses devices, and names and links that lead out (PEP 706).
            opened.extract(info, target, filter=_inside)


def _inside(info: tarfile.TarInfo, target: str) -> tarfile.TarInfo | None:
    _check_name(info.name)
    return tarfile.data_filter(info, target)


def _unzip(archive: Path, target: Path, name: str, limits: TreeLimits) -> None:
    with zipfile.ZipFile(archive) as opened:
        total, links = 0, []
        for count, info in enumerate(opened.infolist()):
            total += info.file_size
            _check(count, total, name, limits)
            _check_name(info.filename)
            if stat.S_ISLNK(info.external_attr >> 16):
                links.append((info.filename, opened.read(info).decode()))
            else:
                _member(opened, info, target / info.filename)
        # Last, so that nothing is written through one.
        _link(target.resolve(), links)


def _member(opened: zipfile.ZipFile, info: zipfile.ZipInfo, place: Path) -> None:
    if info.is_dir():
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(info) as source, place.open("xb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
    place.chmod(0o755 if info.external_attr >> 16 & 0o100 else 0o644)


def _link(target: Path, links: list[tuple[str, str]]) -> None:
    for place, link in links:
        path = target / posixpath.normpath(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.resolve() != path.parent:
            raise ValueError(f"{place} lies behind a link")
        path.symlink_to(link)
    # Only now is known where each of them leads, by way of others too.
    for place, link in links:
        if not (target / place).resolve().is_relative_to(target):
            raise ValueError(f"{place} -> {link} leads out of it")


def _check_name(name: str) -> None:
    normal = posixpath.normpath(name)
    if name.startswith("/") or normal == ".." or normal.startswith("../") or "\0" in name:
        raise ValueError(f"{name} leads out of it")


def _check(count: int, total: int, name: str, limits: TreeLimits) -> None:
    if count >= limits.entries or total > limits.total_bytes:
        raise FetchError(
            f"{name} is larger than allowed",
            details=f"More than {limits.entries} entries or {limits.total_bytes} bytes; "
            "that is what a decompression bomb looks like.",
            resolution="Unpack it yourself and name the tree as project.source.",
        )
