"""The files of a release, each described before it is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.digest import Digest
from buildkit.errors import ConfigError
from buildkit.release.archive import Entry, write_archive
from buildkit.release.documents import (
    CHECKSUMS_FILE,
    RELEASE_FILE,
    FileEntry,
    ReleaseDocument,
    encode,
    release_checksums,
    repeated_documents,
)

ARCHIVE, PACKAGE, SOURCE, DOCUMENT = "Archive", "Linux Package", "Source", "Metadata"
"""Types of files, in GoReleaser's words."""


class Piece(Struct, frozen=True, kw_only=True):
    """A file that is to be.

    Attributes:
        path: below dist/, with slashes.
        type: in GoReleaser's words.
        write: writes it to a path.
        platform: as ``os/arch``; empty for all.
        contains: ids of the units whose outputs are in it.
    """

    path: str
    type: str
    write: Callable[[Path], None]
    platform: str = ""
    contains: tuple[str, ...] = ()


def archive_piece(
    path: str, entries: Iterable[Entry], *, epoch: int, platform: str, contains: Iterable[str]
) -> Piece:
    """Describe an archive."""
    return Piece(
        path=path,
        type=ARCHIVE,
        write=partial(write_archive, entries=tuple(entries), epoch=epoch),
        platform=platform,
        contains=tuple(contains),
    )


def copy_piece(path: str, kind: str, source: Path, *, platform: str, unit: str) -> Piece:
    """Describe a file that is taken as it is."""
    return Piece(
        path=path,
        type=kind,
        write=lambda target: _copy(source, target),
        platform=platform,
        contains=(unit,),
    )


def text_piece(path: str, text: str, kind: str = DOCUMENT) -> Piece:
    """Describe a file by its content."""
    data = text.encode()
    return Piece(path=path, type=kind, write=lambda target: _write(target, data))


def check_pieces(pieces: Iterable[Piece]) -> None:
    """Refuse two files of one name.

    Raises:
        ConfigError: there are such.
    """
    seen: set[str] = set()
    for piece in pieces:
        if piece.path in seen:
            raise ConfigError(
                f"two files of the release would be {piece.path}",
                resolution="Give the archives in [release] names that differ: ${os}, ${arch}.",
            )
        seen.add(piece.path)


def write_pieces(
    folder: Path, pieces: Iterable[Piece], told: Callable[[str], None]
) -> tuple[FileEntry, ...]:
    """Write files below a directory and describe what they became, sorted by path.

    Args:
        folder: an empty directory.
        pieces: what to write, names once each.
        told: takes the name of each file when it begins.

    Raises:
        OSError: one cannot be written.
    """
    found = []
    for piece in pieces:
        told(piece.path)
        target = folder / piece.path
        target.parent.mkdir(parents=True, exist_ok=True)
        piece.write(target)
        target.chmod(0o644)
        found.append(describe(folder, piece))
    return tuple(sorted(found, key=lambda entry: entry.path))


def describe(folder: Path, piece: Piece) -> FileEntry:
    """Describe a file that was written."""
    path = folder / piece.path
    return FileEntry(
        path=piece.path,
        sha256=Digest.of_file(path).hex,
        size=path.stat().st_size,
        type=piece.type,
        platform=piece.platform,
        contains=piece.contains,
    )


def write_documents(folder: Path, document: ReleaseDocument) -> ReleaseDocument:
    """Write what names the files of a release, each after what it names; return all of it.

    Raises:
        OSError: one cannot be written.
    """
    document = msgspec.structs.replace(
        document, files=tuple(sorted(document.files, key=lambda file: file.path))
    )
    documents = repeated_documents(document)
    for name, data in documents.items():
        (folder / name).write_bytes(data)
    described = (
        describe(folder, Piece(path=name, type=DOCUMENT, write=lambda _: None))
        for name in documents
    )
    files = tuple(sorted((*document.files, *described), key=lambda file: file.path))
    whole = msgspec.structs.replace(document, files=files)
    release = encode(whole)
    (folder / RELEASE_FILE).write_bytes(release)
    sums = release_checksums(whole, Digest.of_bytes(release))
    (folder / CHECKSUMS_FILE).write_bytes(sums)
    return whole


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _write(target: Path, data: bytes) -> None:
    target.write_bytes(data)
