"""Files that are never half-written, and the user's content-addressed cache."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from buildkit.digest import Digest
from buildkit.errors import FULL
from buildkit.locks import lock, try_lock

_CACHEDIR_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This directory holds a cache of buildkit; see https://bford.info/cachedir/\n"
)
_USE_SECONDS = 24 * 3600
"""How exact the time of last use is: where a file is an input, each note of it costs a hash."""

_TEMPORARY = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.tmp")
"""The name of an :func:`atomic_path`, around that of its target."""

_NO_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


@contextmanager
def atomic_path(target: Path, *, mode: int = 0o644, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary sibling of ``target`` that replaces it when the block succeeds.

    The content is synced to disk before the rename, so a crash leaves the old
    file or the new one; without ``sync``, for what is verified whenever it is
    read, a power cut may leave a damaged one. If the block raises, nothing remains.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with names_full_disk(target.parent):
            yield temporary
            temporary.chmod(mode)
            if sync:
                sync_file(temporary)
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write(target: Path, data: bytes, *, mode: int = 0o644, sync: bool = True) -> None:
    """Write bytes to a file, wholly or not at all."""
    with atomic_path(target, mode=mode, sync=sync) as temporary:
        temporary.write_bytes(data)


def atomic_copy(source: Path, target: Path, *, mode: int = 0o644) -> None:
    """Copy a file's content, wholly or not at all."""
    with atomic_path(target, mode=mode) as temporary:
        shutil.copyfile(source, temporary)


def remove_leftovers(folder: Path, targets: Container[str] | None = None) -> None:
    """Remove what a killed process left of an :func:`atomic_path`, while nobody writes there.

    Args:
        folder: where the targets lie, or would.
        targets: their names; all where none are given.
    """
    with suppress(*_NO_FILE):
        for path in folder.iterdir():
            found = _TEMPORARY.fullmatch(path.name)
            if found and (targets is None or found[1] in targets):
                discard(path)


def discard(path: Path) -> None:
    """Remove what lies at a place that is this tool's alone, be it a directory; or nothing."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        # unlink(2) of a directory is EISDIR on Linux, EPERM elsewhere.
        if not path.is_dir():
            raise
        shutil.rmtree(path)


def write_sealed(target: Path, data: bytes, *, sync: bool = True) -> None:
    """Write bytes below a line with their digest, for :func:`read_sealed`.

    The place is this tool's alone: a directory there is removed.
    """
    if target.is_dir():
        discard(target)
    atomic_write(target, str(Digest.of_bytes(data)).encode() + b"\n" + data, sync=sync)


def read_sealed(path: Path) -> bytes | None:
    """Return what :func:`write_sealed` wrote; None where it is missing or damaged."""
    try:
        digest, _, data = path.read_bytes().partition(b"\n")
    except _NO_FILE:
        return None
    return data if digest == str(Digest.of_bytes(data)).encode() else None


def note_use(path: Path, now: float | None = None) -> None:
    """Have a file count as used now, for collection by last use; exact to a day.

    Args:
        path: a file or directory of the cache.
        now: the time in seconds since 1970; the clock's where it is not given.
    """
    with suppress(OSError):
        found, moment = path.stat(), time.time() if now is None else now
        if moment - found.st_mtime > _USE_SECONDS:
            os.utime(path, (moment, moment))


class Store(Struct, frozen=True):
    """Blobs by sha256 below ``root``; safe for several processes at once.

    Looking into a store that does not exist makes none.
    """

    root: Path

    @classmethod
    def open(cls, root: Path) -> Store:
        """Use a directory as a store, marking it as a cache for backup programs."""
        store = cls(root)
        store.mark()
        return store

    def mark(self) -> None:
        """Make the directory, with the tag that tells backup programs to leave it out."""
        tag, text = self.root / "CACHEDIR.TAG", _CACHEDIR_TAG.encode()
        with suppress(*_NO_FILE):
            if tag.read_bytes() == text:
                return
        discard(tag)
        atomic_write(tag, text)

    def blob(self, digest: Digest) -> Path:
        """Return where a blob lies, whether or not it is there."""
        return self.root / "blobs" / "sha256" / digest.hex[:2] / digest.hex

    def get(self, digest: Digest) -> Path | None:
        """Return a blob's path if it is there and its content still matches; it counts as used.

        What is damaged is removed.
        """
        path = self.peek(digest)
        if path is None:
            discard(self.blob(digest))
        else:
            note_use(path)
        return path

    def peek(self, digest: Digest) -> Path | None:
        """Return what :meth:`get` does, and change nothing."""
        path = self.blob(digest)
        try:
            return path if Digest.of_file(path) == digest else None
        except _NO_FILE:
            return None

    def put_file(self, source: Path) -> tuple[Digest, Path]:
        """Copy a file in and return its digest and place."""
        digest = Digest.of_file(source)
        path = self.get(digest)
        if path is None:
            path = self.blob(digest)
            atomic_copy(source, path)
        return digest, path

    def put_bytes(self, data: bytes) -> tuple[Digest, Path]:
        """Keep bytes and return their digest and place."""
        digest = Digest.of_bytes(data)
        path = self.get(digest)
        if path is None:
            path = self.blob(digest)
            atomic_write(path, data)
        return digest, path

    def keep(self, source: Path, digest: Digest) -> None:
        """Copy a file in whose digest is known, for readers that use :meth:`get`."""
        if self.get(digest) is None:
            with atomic_path(self.blob(digest), sync=False) as temporary:
                shutil.copyfile(source, temporary)

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Yield an empty directory on the store's file system, removed afterwards."""
        self.mark()
        base = self.root / "tmp"
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=base) as name, names_full_disk(base):
            yield Path(name)

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Return a lock that other processes using this store respect."""
        return lock(self._lock_file(name))

    def in_use(self) -> AbstractContextManager[None]:
        """Keep those that collect out during the block; any number may use the store at once."""
        return lock(self._lock_file("use"), shared=True)

    @contextmanager
    def unused(self) -> Iterator[bool]:
        """Yield whether nobody uses the store, and keep it so during the block."""
        with try_lock(self._lock_file("use")) as attempt:
            yield attempt()

    def _lock_file(self, name: str) -> Path:
        self.mark()
        return self.root / "locks" / f"{name}.lock"


@contextmanager
def names_full_disk(folder: Path) -> Iterator[None]:
    """Add the place to an error that says there is no space: the system's own names no file."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(folder)
        raise


def sync_file(path: Path) -> None:
    """Have a file's content reach the disk, see fsync(2)."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
