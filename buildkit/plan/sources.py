"""Source directories of Go packages: what a compiler could take from them."""

from __future__ import annotations

import glob
import os
import stat

from buildkit.plan.hashing import Hasher
from buildkit.plan.units import SourceDirectory

_SUFFIXES = (
    *(".go", ".s", ".S", ".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".inc"),
    *(".m", ".sx", ".f", ".F", ".for", ".f90", ".swig", ".swigcxx", ".syso"),
)
"""What the go command takes from a package directory (``go help packages``, go/build)."""


def build_names(directory: str) -> tuple[str, ...]:
    """Return the names in a package directory that a compiler could take, sorted."""
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries if _counts(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(names))


def embed_names(directory: str, pattern: str) -> tuple[str, ...]:
    """Return what a go:embed pattern of a package could take, below its directory, sorted.

    Hidden files and nested modules are among it, which Go leaves out of most patterns.
    """
    plain = pattern.removeprefix("all:")
    # Python's globs have no escapes; whatever lies there includes what such a pattern means.
    plain = "*" if "\\" in plain else plain.replace("[^", "[!")
    found = set()
    for name in glob.glob(plain, root_dir=directory, include_hidden=True):  # noqa: PTH207 - root_dir
        folder = f"{directory}/{name}"
        inside = [
            os.path.relpath(f"{below}/{file}", directory)
            for below, _, files in os.walk(folder)
            for file in files
        ]
        found.update([name] if not os.path.isdir(folder) else inside)  # noqa: PTH112 - see hashing
    return tuple(sorted(found))


def snapshot(directory: str, files: list[str], hasher: Hasher) -> SourceDirectory:
    """Describe a package directory of which ``files`` (names in it) were compiled or embedded.

    Every file that could count is hashed, used or not: a changed build
    constraint can turn one that is not into one that is.
    """
    names = build_names(directory)
    hashed = ((name, hasher.digest(f"{directory}/{name}")) for name in sorted({*names, *files}))
    return SourceDirectory(
        path=directory,
        names=names,
        files=tuple((name, digest) for name, digest in hashed if digest is not None),
    )


def embed_snapshot(directory: str, pattern: str) -> SourceDirectory:
    """Describe what a go:embed pattern of a package could take: names alone."""
    names = embed_names(directory, pattern)
    return SourceDirectory(path=directory, pattern=pattern, names=names, files=())


def files_snapshot(files: list[str], hasher: Hasher) -> SourceDirectory:
    """Describe single files by absolute path, absent ones too: one that appears is a change."""
    return SourceDirectory(
        path="", files=tuple((name, hasher.digest(name) or "") for name in sorted(files))
    )


def changed_source(before: SourceDirectory, hasher: Hasher) -> str | None:
    """Say what differs in a directory since it was described; None where nothing does."""
    if before.path:
        names = _names(before)
        if names != before.names:
            return _moved(before.path, set(before.names), set(names))
    for name, digest in before.files:
        file = _absolute(before, name)
        if (hasher.digest(file) or "") != digest:
            return f"{_short(file)} changed"
    return None


def changed_since(source: SourceDirectory, limit_ns: int) -> bool:
    """Tell whether anything of a directory changed at or after a time, in ns since 1970.

    A file that was removed or renamed away shows in its directory's time alone.
    """
    files = {_absolute(source, name) for name in (*source.names, *(n for n, _ in source.files))}
    folders = {os.path.dirname(file) for file in files if source.path} | {source.path}  # noqa: PTH120
    return any(_changed_ns(path) >= limit_ns for path in (*files, *folders) if path)


def _changed_ns(path: str) -> int:
    try:
        found = os.stat(path)  # noqa: PTH116 - see hashing
    except (FileNotFoundError, NotADirectoryError):
        return 0
    is_folder = stat.S_ISDIR(found.st_mode)
    return found.st_mtime_ns if is_folder else max(found.st_mtime_ns, found.st_ctime_ns)


def _names(source: SourceDirectory) -> tuple[str, ...]:
    if source.pattern:
        return embed_names(source.path, source.pattern)
    return build_names(source.path)


def _absolute(source: SourceDirectory, name: str) -> str:
    return f"{source.path}/{name}" if source.path else name


def _counts(name: str) -> bool:
    return (
        name.endswith(_SUFFIXES)
        and not name.endswith("_test.go")
        and not name.startswith(("_", "."))
    )


def _moved(path: str, before: set[str], now: set[str]) -> str:
    added, removed = sorted(now - before), sorted(before - now)
    if added:
        return f"{_short(f'{path}/{added[0]}')} is new"
    return f"{_short(f'{path}/{removed[0]}')} was removed"


def _short(path: str) -> str:
    """Shorten to the last three parts, which is what a reader needs to find the file."""
    return "/".join(path.split("/")[-3:])
