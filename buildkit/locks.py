"""Locks that keep processes and threads apart, by flock(2): whoever ends leaves none behind.

Every file is this tool's alone, and stays: one that was removed would let in two, each with
a file of its own.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedWriter
from pathlib import Path

from buildkit.errors import EnvironmentMissingError


@contextmanager
def lock(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock during the block; wait for whoever has it.

    Args:
        path: the lock's file.
        shared: any number of holders that say so may have it at once.

    Raises:
        EnvironmentMissingError: the file system has no locks.
    """
    with _opened(path) as stream:
        _flock(stream, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


@contextmanager
def try_lock(path: Path) -> Iterator[Callable[[], bool]]:
    """Yield what takes a lock if it is free, and tells whether it was; asked any number of times.

    What it took is given back after the block.

    Raises:
        EnvironmentMissingError: the file system has no locks.
    """
    with _opened(path) as stream:

        def attempt() -> bool:
            try:
                _flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        yield attempt


@contextmanager
def _opened(path: Path) -> Iterator[BufferedWriter]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        # Another thread may do the same and hold the lock by now: its file must stay.
        shutil.rmtree(path, ignore_errors=True)
    with path.open("ab") as stream:
        yield stream


def _flock(stream: BufferedWriter, operation: int) -> None:
    try:
        fcntl.flock(stream, operation)
    except BlockingIOError:
        raise
    except OSError as error:
        raise EnvironmentMissingError(
            f"{stream.name} cannot be locked",
            details=error.strerror or str(error),
            resolution="Use a directory on a file system with locks, as local disks have them.",
        ) from error
