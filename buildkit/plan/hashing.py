"""Digests of files, found out by stat and decided by content.

A digest is remembered with the file's size, mtime, ctime and inode, and is
believed as long as none of them moved. As in git's index, an entry is not
believed if the file changed so shortly before it was hashed that a second
change could have left the same stat ("racily clean", git's racy-git.txt).
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from buildkit.digest import Digest
from buildkit.errors import EnvironmentMissingError

RACY_NS = 25_000_000
"""Nanoseconds below which two changes may carry one timestamp; file systems tick in 1 to 10 ms."""

_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


class FileState(Struct, frozen=True, array_like=True):
    """A digest and the stat that it was taken under; times in nanoseconds."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    hashed_ns: int
    digest: str

    def believes(self, found: os.stat_result) -> bool:
        """Tell whether the digest still holds for a file with this stat."""
        return (
            found.st_size == self.size
            and found.st_mtime_ns == self.mtime_ns
            and found.st_ctime_ns == self.ctime_ns
            and found.st_ino == self.inode
            and changed_ns(found, self.hashed_ns) + RACY_NS < self.hashed_ns
        )

    def is_of(self, found: os.stat_result) -> bool:
        """Tell whether a stat is of the same file, not written since; it may be renamed."""
        return (found.st_size, found.st_mtime_ns, found.st_ino) == (
            self.size,
            self.mtime_ns,
            self.inode,
        )


def changed_ns(found: os.stat_result, now_ns: int) -> int:
    """Return when a file last changed, by its mtime or ctime; in nanoseconds since 1970.

    Args:
        found: its stat.
        now_ns: the clock. An mtime beyond it was set, as tar, rsync or touch do; when that
            was, only the ctime tells.
    """
    if found.st_mtime_ns > now_ns:
        return found.st_ctime_ns
    return max(found.st_mtime_ns, found.st_ctime_ns)


class Hasher:
    """Digests of files and trees; remembers what it hashed. Safe for several threads."""

    def __init__(
        self,
        known: Mapping[str, FileState],
        clock: Callable[[], int] = time.time_ns,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._known = known
        self._pause = pause
        self._fresh: dict[str, FileState] = {}
        self._renamed: dict[str, FileState] = {}
        self.hashed = False
        """Whether a file had to be read."""
        self._clock = clock
        self._lock = threading.Lock()

    def digest(self, path: Path | str) -> str | None:
        """Return a regular file's ``sha256:...``, following links; None where there is none.

        Raises:
            EnvironmentMissingError: there is one that cannot be read.
        """
        name = str(path)
        try:
            state = self._state(name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise EnvironmentMissingError(
                f"cannot read {name}", details=error.strerror or str(error)
            ) from error
        return state.digest if state else None

    def tree(self, path: Path) -> str | None:
        """Return the digest of a file, or of a directory's names, modes, links and contents.

        As in a build context, a mode is whether the file is executable.
        """
        if not path.exists():
            return None
        entries = []
        for item in (path, *sorted(path.rglob("*"))):
            name = item.relative_to(path).as_posix()
            if item.is_symlink() and item != path:
                entries.append((name, "link", str(item.readlink())))
            elif item.is_dir():
                entries.append((name, "dir", ""))
            else:
                mode = "755" if item.stat().st_mode & _EXECUTABLE else "644"
                entries.append((name, mode, self.digest(item) or ""))
        return str(Digest.of_json(entries))

    def now_ns(self) -> int:
        """Return the time, in nanoseconds since 1970."""
        return self._clock()

    def rename(self, path: Path, target: Path) -> str:
        """Give a file another name, and return the digest of what it then is.

        A rename moves its ctime, so that it would have to be left alone for a while and hashed
        again. Nobody else writes to it before, and whoever does later moves its mtime, which
        was old enough when it was hashed.
        """
        state = self._state(str(path))
        if state is None:
            raise FileNotFoundError(str(path))
        path.replace(target)
        with self._lock:
            self._fresh.pop(str(path), None)
            self._renamed[str(target)] = state
        return state.digest

    def fresh(self) -> dict[str, FileState]:
        """Return everything that this run had to read.

        Waits until a change of what was renamed would show.
        """
        with self._lock:
            renamed, self._renamed = self._renamed, {}
        settled = {name: self._settled(name, state) for name, state in renamed.items()}
        with self._lock:
            self._fresh |= {name: state for name, state in settled.items() if state}
            return dict(self._fresh)

    def _settled(self, name: str, state: FileState) -> FileState | None:
        """Return the state of a renamed file once a change would show in it."""
        try:
            self._wait_out(os.stat(name))  # noqa: PTH116 - see _state
            found = os.stat(name)  # noqa: PTH116 - see _state
        except OSError:
            return None
        if not state.is_of(found):
            return None
        return replace(state, ctime_ns=found.st_ctime_ns, hashed_ns=self._clock())

    def _state(self, name: str) -> FileState | None:
        found = os.stat(name)  # noqa: PTH116 - thousands of calls: no Path objects here
        state = self._fresh.get(name) or self._known.get(name)
        if state is not None and state.believes(found):
            return state
        renamed = self._renamed.get(name)
        if renamed is not None and renamed.is_of(found):
            return renamed
        if not stat.S_ISREG(found.st_mode):
            return None
        self._wait_out(found)
        state = self._hash(name)
        with self._lock:
            self._fresh[name] = state
            self.hashed = True
        return state

    def _wait_out(self, found: os.stat_result) -> None:
        # What was just written, such as an output, would be hashed again by every later run.
        now = self._clock()
        age = now - changed_ns(found, now)
        if 0 <= age <= RACY_NS:
            self._pause((RACY_NS - age + 1) / 1e9)

    def _hash(self, name: str) -> FileState:
        with open(name, "rb") as stream:  # noqa: PTH123 - see _state
            # The stat is taken from the open file, so it belongs to the bytes that are read.
            before = os.fstat(stream.fileno())
            now = self._clock()
            digest = str(Digest.of_stream(stream))
        return FileState(
            size=before.st_size,
            mtime_ns=before.st_mtime_ns,
            ctime_ns=before.st_ctime_ns,
            inode=before.st_ino,
            hashed_ns=now,
            digest=digest,
        )


class Witness(Hasher):
    """Digests that another hasher tells, and whether their files have stayed as they were."""

    def __init__(self, inner: Hasher) -> None:
        super().__init__({})
        self._inner = inner
        self._seen: dict[str, tuple[int, ...]] = {}

    def digest(self, path: Path | str) -> str | None:
        """Return what the other hasher does, and remember the file's stat from before."""
        name = str(path)
        self._seen[name] = _stamp(name)
        return self._inner.digest(path)

    @property
    def is_unmoved(self) -> bool:
        """Whether no file that was asked for has been written since, not even with the same."""
        return all(_stamp(name) == stamp for name, stamp in self._seen.items())


def _stamp(name: str) -> tuple[int, ...]:
    try:
        found = os.stat(name)  # noqa: PTH116 - see Hasher
    except OSError:
        return ()
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
