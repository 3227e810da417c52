"""Files that are never half-written, and the user's content-addressed cache."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from buildkit.digest import Digest
from buildkit.errors import FULL

_CACHEDIR_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This directory holds a cache of buildkit; see https://bford.info/cachedir/\n"
)


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
                _sync(temporary)
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


def write_sealed(target: Path, data: bytes, *, sync: bool = True) -> None:
    """Write bytes below a line with their digest, for :func:`read_sealed`."""
    atomic_write(target, str(Digest.of_bytes(data)).encode() + b"\n" + data, sync=sync)


def read_sealed(path: Path) -> bytes | None:
    """Return what :func:`write_sealed` wrote; None where it is missing or damaged."""
    try:
        digest, _, data = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    return data if digest == str(Digest.of_bytes(data)).encode() else None


@dataclass(frozen=True, slots=True)
class Store:
    """Blobs by sha256 below ``root``; safe for several processes at once."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> Store:
        """Use a directory as a store, marking it as a cache for backup programs."""
        root.mkdir(parents=True, exist_ok=True)
        tag = root / "CACHEDIR.TAG"
        if not tag.exists():
            atomic_write(tag, _CACHEDIR_TAG.encode())
        return cls(root)

    def blob(self, digest: Digest) -> Path:
        """Return where a blob lies, whether or not it is there."""
        return self.root / "blobs" / "sha256" / digest.hex[:2] / digest.hex

    def get(self, digest: Digest) -> Path | None:
        """Return a blob's path if it is there and its content still matches."""
        path = self.blob(digest)
        try:
            if Digest.of_file(path) == digest:
                return path
        except FileNotFoundError:
            return None
        path.unlink(missing_ok=True)
        return None

    def put_file(self, source: Path) -> tuple[Digest, Path]:
        """Copy a file in and return its digest and place."""
        digest = Digest.of_file(source)
        path = self.blob(digest)
        if not path.exists():
            atomic_copy(source, path)
        return digest, path

    def put_bytes(self, data: bytes) -> tuple[Digest, Path]:
        """Keep bytes and return their digest and place."""
        digest = Digest.of_bytes(data)
        path = self.blob(digest)
        if not path.exists():
            atomic_write(path, data)
        return digest, path

    def keep(self, source: Path, digest: Digest) -> None:
        """Copy a file in whose digest is known, for readers that use :meth:`get`."""
        path = self.blob(digest)
        if not path.exists():
            with atomic_path(path, sync=False) as temporary:
                shutil.copyfile(source, temporary)

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Yield an empty directory on the store's file system, removed afterwards."""
        base = self.root / "tmp"
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=base) as name, names_full_disk(base):
            yield Path(name)

    def lock(self, name: str) -> FileLock:
        """Return a lock that other processes using this store respect."""
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        return FileLock(locks / f"{name}.lock")


@contextmanager
def names_full_disk(folder: Path) -> Iterator[None]:
    """Add the place to an error that says there is no space: the system's own names no file."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(folder)
        raise


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
