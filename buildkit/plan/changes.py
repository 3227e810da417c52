"""What differs between two moments: inputs by name, source files by path, each with both values."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from buildkit.plan.units import SourceDirectory


class Change(Struct, frozen=True, kw_only=True):
    """One input, or one source file, that is not as it was.

    ``before`` and ``after`` are values, or digests as ``sha256:<hex>``; None for what
    was not there, empty where nobody looked at more than the name.
    """

    name: str
    before: str | None
    after: str | None

    @property
    def text(self) -> str:
        """What happened to it, as the rest of a sentence."""
        if self.before is None:
            return "is new"
        return "was removed" if self.after is None else "changed"


def input_changes(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[Change, ...]:
    """Return the declared inputs that differ, by name."""
    return tuple(
        Change(name=name, before=before.get(name), after=now.get(name))
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    )


def source_changes(
    before: SourceDirectory, now: SourceDirectory, digest: Callable[[str], str | None]
) -> Iterator[Change]:
    """Yield the files of a source directory that differ.

    Args:
        before: as it was.
        now: as it is, by what was read of it before.
        digest: tells the digest of a path below the source tree, for new files that were
            only looked for by name.
    """
    old, new = _decisive(before), _decisive(now)
    was, found = dict(_digests(before)), dict(_digests(now))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        path = posixpath.normpath(posixpath.join(before.path, name))
        here = found.get(name) or digest(path) or ""
        yield Change(
            name=path,
            before=was.get(name, "") if name in old else None,
            after=here if name in new else None,
        )


def source_files(source: SourceDirectory) -> Iterator[tuple[str, str]]:
    """Yield the path and digest of each file that was read, relative to the source tree."""
    for name, digest in _digests(source):
        if digest:
            yield posixpath.normpath(posixpath.join(source.path, name)), digest


def _digests(source: SourceDirectory) -> Iterator[tuple[str, str]]:
    yield from source.files
    yield from ((name, digest) for name, digest, _ in source.excluded)


def _decisive(source: SourceDirectory) -> dict[str, str]:
    """Return what decides whether a file is as it was, by name; absent files are left out."""
    found = dict.fromkeys(source.names, "")
    found |= {name: digest for name, digest in source.files if digest}
    return found | {name: constraints for name, _, constraints in source.excluded}
