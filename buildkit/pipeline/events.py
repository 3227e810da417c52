"""Changes of files as they happen, from watchfiles."""

from __future__ import annotations

from collections.abc import Callable, Generator

from buildkit.errors import EnvironmentMissingError
from buildkit.plan.watched import Watched

Changes = Callable[[Watched, int], Generator[tuple[str, ...]]]
"""Yields the changed paths of each burst that matters, for what is watched, starting with what
changed since a time in nanoseconds since 1970; waits in between."""

_QUIET_MS = 50
"""A burst ends where nothing more comes for this long. No digest of a file that changed less
than that ago would be believed, so waiting less would win nothing (plan.hashing.RACY_NS)."""
_LONGEST_MS = 1000
"""A burst that never ends is cut off here."""
_READY_MS = 100
"""How soon the watcher first tells that it is there."""


def file_changes(watched: Watched, since_ns: int) -> Generator[tuple[str, ...]]:
    """Watch files with the operating system's means.

    Raises:
        EnvironmentMissingError: it cannot watch so much.
    """
    from watchfiles import Change, watch

    bursts = watch(
        *(folder for folder, _ in watched.places),
        watch_filter=lambda what, path: watched.matters(path, is_name=what != Change.modified),
        recursive=False,
        debounce=_LONGEST_MS,
        step=_QUIET_MS,
        rust_timeout=_READY_MS,
        yield_on_timeout=True,
    )
    missed = True
    try:
        for burst in bursts:
            paths = {path for _, path in burst}
            # Nothing can be lost: the watcher runs by now, so files are looked at after it began.
            paths.update(watched.changed_since(since_ns) if missed else ())
            missed = False
            if paths:
                yield tuple(sorted(paths))
    except FileNotFoundError as error:
        # A directory went away before it was watched.
        yield (str(error.filename or ""),)
    except OSError as error:
        raise EnvironmentMissingError(
            f"the sources cannot be watched: {error.strerror or error}",
            details=f"{len(watched.places)} directories were to be watched.",
            resolution="Raise fs.inotify.max_user_watches or max_user_instances, or set "
            "WATCHFILES_FORCE_POLLING=1.",
        ) from error
